"""Log w relaxes towards the standardised covariance of the two cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..synapses import Form, Synapses
from .exponential import gradient_step
from .fused import FusedRule


@dataclass(frozen=True, kw_only=True)
class LogCovariance(FusedRule):
    """``log w_ij += alpha_i [gain z_ij - log w_ij] + noise``, then rows of unit norm.

    ``z_ij = (E[x_j | i active] - m_j) / s_j``: how far, in standard deviations, the rate of the pre-synaptic cell moves
    when the post-synaptic one is active. ``E[x_j | i active] = G_ij / c_i`` with ``G_ij = mean_b(y_bi x_bj)`` and
    ``c_i = mean_b(y_bi)``; ``alpha_i = 1 - exp(-eta c_i)``; ``noise = sigma sqrt(alpha_i (2 - alpha_i)) xi_ij``.
    ``m_j`` and ``s_j`` are the mean and standard deviation of all rates so far, this batch among them (``pre_mean`` and
    ``pre_sd`` of the pathway, which the step lets observe ``X``); a pre-synaptic cell that never varied has z = 0.

    Fixed point: ``log w_ij = gain z_ij``, up to the scale of the row. ``c_i s_j z_ij`` is the covariance of the two
    rates. ``z`` over j is a sum of many features where pre-synaptic cells mix them, hence close to Gaussian (central
    limit), and ``w = exp(gain z)`` lognormal, with ``gain`` times the spread of z for sigma: no noise is needed.

    Kin: the covariance rule (Sejnowski 1977), here in the log domain, and BCPNN (Lansner & Ekeberg 1989), whose weight
    ``log(E[y_i x_j] / (E[y_i] E[x_j]))`` is the log of a lift where this one is a standardised difference, and is
    itself the weight, where here it is the log of one that is >= 0.

    Parameters
    ----------
    eta : float > 0, default 0.1
    gain : float >= 0, default 1
        Of log w over z.
    sigma, normalize, seed
        Noise and scaling: as for :class:`FusedRule`.

    References
    ----------
    Sejnowski 1977, Storing covariance with nonlinearly interacting neurons, J. Math. Biol. 4, 303-321.
    Lansner & Ekeberg 1989, A one-layer feedback artificial neural network with a Bayesian learning rule, Int. J. Neural
    Syst. 1, 77-87.
    """

    gain: float = 1.0

    form: ClassVar[Form] = "log-covariance"
    observes: ClassVar[bool] = True
    saturating: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_nonnegative("gain")

    @property
    def slope(self) -> float:
        """``gain`` under the name that it has in the kernel, where ``gain`` is that of a cell."""
        return self.gain

    def change(self, synapses: Synapses, X: NDArray, Y: NDArray, gain: NDArray | None, reward: float | None) -> None:
        super().change(synapses, standardised(synapses, X), Y, gain, reward)

    def follow_mean(self, synapses: Synapses, before: NDArray) -> None:
        """All synapses that a pre-synaptic cell makes shrink alike as its mean rate rises, by ``exp(-gain / s_j)`` for
        each unit of rate; then rows are scaled as in a step."""
        moved = standardised(synapses, before)  # minus the shift of the mean, in standard deviations
        all_cells = np.ones((1, synapses.n_post), synapses.dtype)
        rule = gradient_step(1.0, normalize=self.normalize)
        synapses.hebbian_step((self.gain * moved)[None], all_cells, rule, n_threads=self.n_threads)


def standardised(synapses: Synapses, X: NDArray) -> NDArray:
    """Rates less their mean, in units of their standard deviation; 0 where a cell never varied."""
    mean, sd = synapses.pre_mean, synapses.pre_sd
    assert mean is not None and sd is not None  # observed in this very step
    scale = np.divide(1, sd, out=np.zeros_like(sd), where=sd > 0)
    Z = X - mean
    Z *= scale
    return Z
