"""Oja's rule: Hebb with a decay that keeps the weights at unit norm."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from ..synapses import Synapses
from .base import AdditiveRule, batch_mean, on_synapses


@dataclass(frozen=True, kw_only=True)
class Oja(AdditiveRule):
    """``dw_ij = eta mean_b(y_bi x_bj - y_bi^2 w_ij)``.

    For linear cells ``y = W x`` on centred inputs each row goes to the first principal component of the inputs it is
    connected to, at unit norm, where ``eta`` times the largest eigenvalue stays well below 1.

    Parameters
    ----------
    eta : float > 0, default 0.1

    References
    ----------
    Oja 1982, A simplified neuron model as a principal component analyzer, J. Math. Biol. 15, 267-273.
    """

    def delta(self, synapses: Synapses, w: NDArray, X: NDArray, Y: NDArray) -> NDArray:
        return self.eta * (self.hebb(synapses, X, Y) - on_synapses(synapses, batch_mean(Y * Y)) * w)
