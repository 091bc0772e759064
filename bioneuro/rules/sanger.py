"""Sanger's rule: Hebbian principal components, one cell after another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..synapses import Synapses
from .base import AdditiveRule


@dataclass(frozen=True, kw_only=True)
class Sanger(AdditiveRule):
    """``dw_i = eta mean_b(y_bi (x_b - sum_{k <= i} y_bk w_k))``: each cell learns what those before leave over.

    For linear cells ``y = W x`` on centred inputs row i goes to the i-th principal component, at unit norm, where
    ``eta`` times the largest eigenvalue stays well below 1. With rates that are no linear function of the drive it is
    nonlinear Hebbian PCA (HPCA). Other cells' weights are read, so it is local only with lateral synapses that carry
    what is explained.

    Parameters
    ----------
    eta : float > 0, default 0.1

    References
    ----------
    Sanger 1989, Optimal unsupervised learning in a single-layer linear feedforward neural network, Neural Netw. 2:459;
    Lagani, Falchi, Gennaro & Amato 2021, Hebbian semi-supervised learning in a sample efficiency setting, Neural Netw.
    143:719 (HPCA).
    """

    def delta(self, synapses: Synapses, w: NDArray, X: NDArray, Y: NDArray) -> NDArray:
        W = sp.csr_array((w, synapses.indices, synapses.indptr), shape=synapses.shape)
        explained = np.tril(Y.T.astype(float) @ Y / len(Y)) @ W
        rows = np.repeat(np.arange(synapses.n_post), np.diff(synapses.indptr))
        return self.eta * (self.hebb(synapses, X, Y) - explained[rows, synapses.indices].astype(w.dtype))
