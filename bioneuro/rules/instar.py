"""Instar rule: the weights of a cell follow the inputs at which it is active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..synapses import Synapses
from .base import AdditiveRule, batch_mean, on_synapses


@dataclass(frozen=True, kw_only=True)
class Instar(AdditiveRule):
    """``dw_ij = eta y_i (x_j - w_ij)``, integrated over the batch.

    With ``G_ij = mean_b(y_bi x_bj)`` and ``c_i = mean_b(y_bi)`` held, the solution is
    ``w_ij += (1 - exp(-eta c_i)) (G_ij / c_i - w_ij)``, which overshoots at no ``eta``. Fixed point:
    ``E[y_i x_j] / E[y_i]``, the mean of the inputs at which the cell is active; with one winner a sample, the mean of
    a cluster. :class:`~bioneuro.rules.LogRelaxation` is the same in log w.

    Parameters
    ----------
    eta : float > 0, default 0.1

    References
    ----------
    Grossberg 1976, Adaptive pattern classification and universal recoding I, Biol. Cybern. 23, 121-134.
    Kohonen 1982, Self-organized formation of topologically correct feature maps, Biol. Cybern. 43, 59-69.
    """

    nonnegative: ClassVar[bool] = True

    def delta(self, synapses: Synapses, w: NDArray, X: NDArray, Y: NDArray) -> NDArray:
        c = batch_mean(Y)
        speed = -np.expm1(-self.eta * c) / np.where(c > 0, c, 1)  # silent cells stay as they are
        return on_synapses(synapses, speed) * (self.hebb(synapses, X, Y) - on_synapses(synapses, c) * w)
