"""Contrastive teaching: what a cell does with the label known, less what it does without."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import NDArray

from ..synapses import Synapses
from .base import Rule
from .exponential import gradient_step
from .log_covariance import standardised


@dataclass(frozen=True, kw_only=True)
class Contrastive(Rule):
    """``log |w_ij| += eta sgn(w_ij) sum_b y_bi z_bj``, ``z_bj = (x_bj - m_j) / s_j``, with ``y`` a difference of rates.

    ``y = y_clamped - y_free``: the rates that a cell would have were the answer known, less those it has. Where the
    cells compete by a softmax and vote, ``y_clamped`` is proportional to ``y_free`` times the vote for the label, and
    ``sum_b (y_clamped - y_free)_bi (x_bj - m_j)``, times the gain of the competition, is the exact gradient of
    ``log p(label)``: local, with no weights transported. The step is the multiplicative one of Kivinen & Warmuth 1997:
    no sign can change, sizes change in proportion to themselves, and weights whose log is the sum of many small steps
    are close to lognormal. Rows are not scaled. ``m_j`` and ``s_j`` are ``pre_mean`` and ``pre_sd`` of the pathway; the
    growth of log w in one step is bounded by 1.

    Parameters
    ----------
    eta : float > 0, default 0.1
        Learning rate. Here the equation sums over the batch.

    References
    ----------
    Movellan 1991, Contrastive Hebbian learning in the continuous Hopfield model, Connectionist Models, 10-17.
    Kivinen & Warmuth 1997, Exponentiated gradient versus gradient descent for linear predictors, Inf. Comput. 132,
    1-63.
    """

    observes: ClassVar[bool] = True

    def change(self, synapses: Synapses, X: NDArray, Y: NDArray, gain: NDArray | None, reward: float | None) -> None:
        difference = Y if gain is None else Y * gain
        Z = standardised(synapses, X)
        synapses.hebbian_step(Z, difference, gradient_step(self.eta), n_threads=self.n_threads)
