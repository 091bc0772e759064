"""Competition for a pre-synaptic resource: the synapses that a cell makes share what it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..synapses import Sign, Synapses
from .base import AdditiveRule


@dataclass(frozen=True, kw_only=True)
class PresynapticCompetition(AdditiveRule):
    """``dw_ij / dt = eta w_ij (G_ij - sum_k w_kj G_kj / sum_k w_kj)``, ``G_ij = mean_b(y_bi x_bj)``.

    A replicator equation over the synapses of each axon j: what one gains the others lose, and ``sum_i w_ij`` stays.
    The step is its solution at constant G, ``w_ij exp(eta G_ij)`` brought back to that sum. Its stable fixed points
    have one synapse an axon, onto the cell that is active most together with it; the others fall silent. (With a
    ``gain`` that differs from cell to cell the sum is not kept.)

    Parameters
    ----------
    eta : float > 0, default 0.1

    Notes
    -----
    A reconstruction of the hidden layer of Stricker et al., whose table counts about one synapse for each input.

    References
    ----------
    Stricker, Roehrbein & Knoblauch 2026, Energy-efficient information representation in MNIST classification using
    biologically inspired learning, arXiv:2603.00588.
    """

    signs: ClassVar[tuple[Sign, ...]] = ("E", "I")
    nonnegative: ClassVar[bool] = True

    def delta(self, synapses: Synapses, w: NDArray, X: NDArray, Y: NDArray) -> NDArray:
        growth = self.eta * self.hebb(synapses, X, Y).astype(float)
        size, axon, n = w.astype(float), synapses.indices, synapses.n_pre
        fastest = np.full(n, -np.inf)
        np.maximum.at(fastest, axon[size > 0], growth[size > 0])
        # relative to the fastest of those that are there: nothing overflows, and no axon loses all of its synapses
        grown = size * np.exp(np.minimum(growth - np.where(np.isfinite(fastest), fastest, 0)[axon], 0))
        before, after = np.bincount(axon, size, n), np.bincount(axon, grown, n)
        grown *= (before / np.where(after > 0, after, 1))[axon]
        return grown.astype(w.dtype) - w
