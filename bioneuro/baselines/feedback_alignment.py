"""Backpropagation without weight transport: errors come back through fixed random synapses."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..checks import Flag
from .mlp import BackpropMLP

__all__ = ["FeedbackAlignmentMLP"]


@dataclass(kw_only=True, eq=False, repr=False)
class FeedbackAlignmentMLP(BackpropMLP):
    """:class:`BackpropMLP` whose hidden cells learn from errors that random synapses B, which never learn, bring back.

    With ``e = dloss / dz`` and rates ``h_l``, hidden layer l learns from ``delta_l = (delta_{l+1} B_{l+1}) (h_l > 0)``,
    where backpropagation has ``W_{l+1}`` (feedback alignment), or with ``direct`` from ``delta_l = (e B_l) (h_l > 0)``
    (direct feedback alignment). All else, Adam and the readout's own gradient, is as there; what attacks are given is
    the exact gradient, through W.

    Parameters
    ----------
    direct : bool
        Whether each hidden layer hears the error of the logits itself.
    hidden and all others
        Those of :class:`BackpropMLP`, except that there is no adversarial training, which needs the exact gradient.

    Attributes
    ----------
    feedback_ : list of ndarray
        B of each hidden layer, from the first on, (n_cells of where it comes from, n_cells of the layer): N(0, 1 / n)
        with n cells where it comes from.

    References
    ----------
    Lillicrap, Cownden, Tweed & Akerman 2016, Random synaptic feedback weights support error backpropagation for deep
    learning, Nat. Commun. 7:13276; Nokland 2016, Direct feedback alignment provides learning in deep neural networks,
    arXiv:1609.01596.
    """

    direct: bool = False
    adversarial: None = field(default=None, init=False)

    constraints = {"direct": (Flag(),)}

    def _start(self, classes: NDArray) -> None:
        super()._start(classes)
        self.feedback_ = []
        for W in self.pathways_[1:]:
            n = len(classes) if self.direct else W.n_post
            self.feedback_.append(self._rng.normal(0, 1 / math.sqrt(n), (n, W.n_pre)).astype(self.dtype))

    def _backward(self, rates: list[NDArray], dlogits: NDArray) -> Iterable[tuple[int, NDArray, NDArray]]:
        delta = dlogits
        for k in range(len(self.pathways_) - 1, -1, -1):
            delta = np.ascontiguousarray(delta)
            yield k, self.pathways_[k].weight_grad(rates[k], delta, n_threads=self.n_threads), delta.sum(axis=0)
            if k:
                delta = ((dlogits if self.direct else delta) @ self.feedback_[k - 1]) * (rates[k] > 0)
