"""Krotov and Hopfield's rule: the most driven cell learns, a runner-up unlearns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..synapses import Synapses
from .base import AdditiveRule, batch_mean, on_synapses


@dataclass(frozen=True, kw_only=True)
class KrotovHopfield(AdditiveRule):
    """``dw_ij = eta mean_b(g_bi (x_bj - y_bi w_ij))`` with ``g = 1`` for the cell of largest ``y``, ``-anti`` for the
    k-th largest, 0 for all others.

    ``Y`` is the drive ``W x``, not yet a rate: the competition is the rule's own (their ``p = 2``; at ties the lower
    cell ranks first). Fixed point without unlearning: the unit vector along the mean of the inputs won. Nothing
    recruits a cell that never wins.

    Parameters
    ----------
    eta : float > 0, default 0.1
    k : int >= 2, default 2
        Rank of the cell that unlearns.
    anti : float >= 0, default 0.4
        How much it unlearns.

    References
    ----------
    Krotov & Hopfield 2019, Unsupervised learning by competing hidden units, PNAS 116, 7723-7731.
    """

    k: int = 2
    anti: float = 0.4

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_integer("k", 2)
        self.require_nonnegative("anti")

    def delta(self, synapses: Synapses, w: NDArray, X: NDArray, Y: NDArray) -> NDArray:
        if self.k > synapses.n_post:
            raise ValueError(f"k = {self.k} needs as many post-synaptic cells, the pathway has {synapses.n_post}")
        rank = np.argsort(-Y, axis=1, kind="stable")
        g, sample = np.zeros_like(Y), np.arange(len(Y))
        g[sample, rank[:, 0]] = 1
        g[sample, rank[:, self.k - 1]] = -self.anti
        return self.eta * (self.hebb(synapses, X, g) - on_synapses(synapses, batch_mean(g * Y)) * w)
