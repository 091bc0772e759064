"""SoftHebb: competitive Hebbian learning in a soft winner-take-all layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from ..synapses import Synapses
from .base import AdditiveRule, batch_mean, on_synapses


@dataclass(frozen=True, kw_only=True)
class SoftHebb(AdditiveRule):
    """``dw_ij = eta mean_b(y_bi (x_bj - u_bi w_ij))`` with ``y = softmax_i(beta u)``.

    ``Y`` is the drive ``u = W x``, not yet a rate: the competition is the rule's own. Each row goes to the unit vector
    along the mean of the inputs, weighted by the cell's share in each: on unit-norm inputs, a prototype.

    Parameters
    ----------
    eta : float > 0, default 0.1
    beta : float > 0, default 10
        Gain of the competition (the inverse of its temperature).

    References
    ----------
    Moraitis, Toichkin, Journe, Chua & Guo 2022, SoftHebb: Bayesian inference in unsupervised Hebbian soft
    winner-take-all networks, Neuromorph. Comput. Eng. 2:044017.
    """

    beta: float = 10.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("beta")

    def delta(self, synapses: Synapses, w: NDArray, X: NDArray, Y: NDArray) -> NDArray:
        y = softmax(np.multiply(Y, self.beta, dtype=float), axis=1).astype(Y.dtype)
        return self.eta * (self.hebb(synapses, X, y) - on_synapses(synapses, batch_mean(y * Y)) * w)
