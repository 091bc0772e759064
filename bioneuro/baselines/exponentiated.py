"""Exponentiated gradient: backpropagation by multiplicative steps, which keep signs and make lognormal weights."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ..checks import SHARE, Flag, Number
from ..synapses import Synapses
from .mlp import BackpropMLP

__all__ = ["ExponentiatedMLP"]

#: First weights: mean over standard deviation of their sizes.
MEAN_TO_SD = 1.5
#: Most that the logarithm of a weight changes in a step. Never reached where learning is stable.
LARGEST_STEP = 1.0


@dataclass(kw_only=True, eq=False, repr=False)
class ExponentiatedMLP(BackpropMLP):
    """:class:`BackpropMLP` that learns by exponentiated gradient, every cell excitatory or inhibitory.

    ``w <- w exp(-learning_rate sign(w) v)`` with ``v <- momentum v + dloss / dw + weight_decay sign(w)``: mirror
    descent under the unnormalised negative entropy. No weight changes its sign, so that of each column (the synapses
    that a cell makes) is drawn once: Dale's law. A bias is the sum of a positive and a negative part, which learn in
    the same way.

    Parameters
    ----------
    dale : bool
        One sign for all synapses that a cell makes, inputs included; else a sign for each synapse.
    inhibitory : float in [0, 1]
        Share of the cells (without ``dale``, of the synapses) that inhibit.
    learning_rate : float > 0
        Relative change of a weight for a gradient of 1.
    momentum : float in [0, 1)
    weight_decay : float >= 0
        Added to the gradient towards 0: weights shrink by the factor ``exp(-learning_rate weight_decay)`` a step.
    hidden and all others
        Those of :class:`BackpropMLP`.

    Attributes
    ----------
    signs_ : list of ndarray
        Of each layer's weights, -1 or 1: of columns, (n_pre,), or of synapses, (nnz,).

    Notes
    -----
    After the authors' code (github.com/linclab/EG_optimiser): first weights are lognormal in size, with mean 1.5
    standard deviations and ``mean(w^2) = 2 / n_post``; parts of biases start uniform up to ``sqrt(2 / n_pre)``. One
    change: no step takes a weight further than by the factor e.

    References
    ----------
    Cornford, Pogodin, Ghosh, Sheng, Bicknell, Codol, Clark, Lajoie & Richards 2024, Brain-like learning with
    exponentiated gradients, bioRxiv 2024.10.25.620272; Kivinen & Warmuth 1997, Exponentiated gradient versus gradient
    descent for linear predictors, Inf. Comput. 132:1.
    """

    dale: bool = True
    inhibitory: float = 0.5
    learning_rate: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 0.0
    adversarial: None = field(default=None, init=False)

    constraints = {"dale": (Flag(),), "inhibitory": (SHARE,), "momentum": (Number(0, 1, ends="[)"),)}

    def _pathways(self, sizes: tuple[int, ...]) -> list[Synapses]:
        self.signs_: list[NDArray] = []
        return super()._pathways(sizes)

    def _pathway(self, n_pre: int, n_post: int) -> Synapses:
        sd = math.sqrt(2 / n_post / (1 + MEAN_TO_SD**2))
        sigma = math.sqrt(math.log(1 + 1 / MEAN_TO_SD**2))
        sizes = self._rng.lognormal(math.log(MEAN_TO_SD * sd) - sigma**2 / 2, sigma, (n_post, n_pre))
        n = n_pre if self.dale else n_pre * n_post
        signs = np.ones(n)
        signs[self._rng.permutation(n)[: round(self.inhibitory * n)]] = -1
        self.signs_.append(signs)
        return Synapses.from_scipy(csr_array((sizes * signs.reshape(-1, n_pre)).astype(self.dtype)))

    def _start(self, classes: NDArray) -> None:
        super()._start(classes)
        self._parts = [
            self._rng.uniform(0, math.sqrt(2 / W.n_pre), (2, W.n_post)).astype(self.dtype) * _PARTS.astype(self.dtype)
            for W in self.pathways_
        ]
        self.biases_ = [parts.sum(axis=0) for parts in self._parts]

    def reset_optimizer(self) -> None:
        """Forget the momentum."""
        self._velocities: list[list[NDArray | float]] = [[0.0, 0.0] for _ in self.biases_]

    def _step(self, rates: list[NDArray], dlogits: NDArray) -> None:
        for k, dW, db in list(self._backward(rates, dlogits)):
            W = self.pathways_[k]
            W.add(self._change(W.weights, dW, k, 0))
            self._parts[k] += self._change(self._parts[k], db, k, 1)
            self.biases_[k] = self._parts[k].sum(axis=0)

    def _change(self, w: NDArray, gradient: NDArray, k: int, which: int) -> NDArray:
        """What to add to values w of layer k: its weights (0) or the parts of its bias (1)."""
        sign = np.sign(w)
        velocity = self.momentum * self._velocities[k][which] + gradient + w.dtype.type(self.weight_decay) * sign
        self._velocities[k][which] = velocity.astype(w.dtype, copy=False)
        exponent = np.clip(-self.learning_rate * sign * velocity, -LARGEST_STEP, LARGEST_STEP)
        return w * np.expm1(exponent).astype(w.dtype)


#: Signs of the two parts of a bias.
_PARTS = np.array([[1.0], [-1.0]])
