"""BCM rule: potentiation above, depression below a threshold that slides with the cell's own activity."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import NDArray

from .._attributes import Array
from ..synapses import Synapses
from .base import AdditiveRule, batch_mean


@dataclass(frozen=True, kw_only=True)
class BCM(AdditiveRule):
    """``dw_ij = eta mean_b(y_bi (y_bi - theta_i) x_bj)``, ``theta_i`` a running mean of ``y_i^2``.

    The threshold moves first: ``theta += (1 - exp(-batch / tau)) (mean_b(y_bi^2) - theta)``; the first batch sets it.
    On linearly independent patterns a cell becomes selective: in the stable fixed points it answers to one pattern
    alone, at the rate ``1 / p`` where ``p`` is that pattern's probability. ``tau`` must be short against ``1 / eta``,
    or rates oscillate.

    Parameters
    ----------
    eta : float > 0, default 0.1
    tau : float > 0, default 100
        Time constant of the threshold, in samples.

    Notes
    -----
    Remembers ``theta (n_post,)``, the sliding threshold of each cell.

    References
    ----------
    Bienenstock, Cooper & Munro 1982, Theory for the development of neuron selectivity, J. Neurosci. 2, 32-48.
    Intrator & Cooper 1992, Objective function formulation of the BCM theory, Neural Networks 5, 3-17 (this form).
    """

    tau: float = 100.0

    remembers: ClassVar = {"theta": Array("n_post", low=0)}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("tau")

    def delta(self, synapses: Synapses, w: NDArray, X: NDArray, Y: NDArray) -> NDArray:
        theta, power = self.recall(synapses, "theta"), batch_mean(Y * Y)
        theta = power if theta is None else theta - math.expm1(-len(Y) / self.tau) * (power - theta)
        self.remember(synapses, theta=theta)
        return self.eta * self.hebb(synapses, X, Y * (Y - theta))
