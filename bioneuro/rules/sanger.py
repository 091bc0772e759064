"""Sanger's rule: Hebbian principal components, one cell after another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..synapses import Synapses
from .base import AdditiveRule, on_synapses


@dataclass(frozen=True, kw_only=True)
class Sanger(AdditiveRule):
    """``dw_i = eta mean_b(y_bi (x_b - sum_{k <= i} y_bk w_k))``: each cell learns what those before it leave
    unexplained.

    For linear cells ``y = W x`` on centred inputs row i goes to the i-th principal component, at unit norm, where
    ``eta`` times the largest eigenvalue stays well below 1. With rates that are no linear function of the drive it is
    nonlinear Hebbian PCA (HPCA). Other cells' weights are read, so it is local only with lateral synapses that carry
    what is explained.

    Parameters
    ----------
    eta : float > 0, default 0.1
    group : int >= 1 or None, default None
        Cells i and k are compared only within groups of so many rows, one after another: cells that look at the same
        place, say. It must divide their number; None: all are one group.

    References
    ----------
    Sanger 1989, Optimal unsupervised learning in a single-layer linear feedforward neural network, Neural Netw. 2:459;
    Lagani, Falchi, Gennaro & Amato 2021, Hebbian semi-supervised learning in a sample efficiency setting, Neural Netw.
    143:719 (HPCA).
    """

    group: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.group is not None:
            self.require_integer("group", 1)

    def delta(self, synapses: Synapses, w: NDArray, X: NDArray, Y: NDArray) -> NDArray:
        n = self.group or synapses.n_post
        if synapses.n_post % n:
            raise ValueError(f"group = {n} must divide the post-synaptic cells, the pathway has {synapses.n_post}")
        W = sp.csr_array((w, synapses.indices, synapses.indptr), shape=synapses.shape).toarray()
        grouped = Y.astype(float).reshape(len(Y), -1, n).swapaxes(0, 1)  # (groups, batch, n)
        together = np.tril(grouped.swapaxes(1, 2) @ grouped / len(Y))
        explained = (together @ W.reshape(-1, n, synapses.n_pre)).reshape(synapses.shape)
        rows = on_synapses(synapses, np.arange(synapses.n_post))
        return self.eta * (self.hebb(synapses, X, Y) - explained[rows, synapses.indices].astype(w.dtype))
