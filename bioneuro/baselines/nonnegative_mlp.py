"""Backpropagation under the constraints of excitatory synapses: weights that are not negative, and few of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..checks import Number
from ..connectivity import HalfNormal, dense
from ..synapses import Synapses
from .mlp import BackpropMLP

__all__ = ["NonNegativeMLP"]


@dataclass(kw_only=True, eq=False, repr=False)
class NonNegativeMLP(BackpropMLP):
    """:class:`BackpropMLP` whose weights stay >= 0, those of hidden cells few (biases are free).

    After each step of Adam ``w <- (w - learning_rate * sparsity)+``, to the logits without ``sparsity``: the projected,
    exactly sparse form of penalties on negative and on large weights (after Chorowski & Zurada, who used sigmoid hidden
    cells). A synapse at 0 is silent; it keeps its place, so its gradient can raise it again. Forward and backward
    passes are those of the plain perceptron.

    Parameters
    ----------
    sparsity : float >= 0
        Strength of the L1 penalty on hidden cells' weights, in units of Adam's step.
    hidden, learning_rate, n_epochs, batch_size, weight_decay, contrast, random_state, dtype, n_threads, progress
        See :class:`BackpropMLP`; here weights do not decay by default.

    References
    ----------
    J. Chorowski & J. M. Zurada, IEEE Trans. Neural Networks and Learning Systems 26:62 (2015).
    """

    sparsity: float = 0.1
    weight_decay: float = 0.0
    adversarial: None = field(default=None, init=False)

    constraints = {"sparsity": (Number(0),)}

    def _pathway(self, n_pre: int, n_post: int) -> Synapses:
        # positive weights do not cancel: a sum of n_pre of them is of order 1
        return dense(n_post, n_pre, HalfNormal(1 / n_pre), random_state=self._rng, dtype=self.dtype)

    def _update(self, R: NDArray, true: NDArray) -> float:
        loss = super()._update(R, true)
        for k, W in enumerate(self.pathways_, start=1):
            shrinkage = self.learning_rate * self.sparsity if k < len(self.pathways_) else 0.0
            W.add(np.maximum(W.weights - W.dtype.type(shrinkage), 0) - W.weights)
        return loss
