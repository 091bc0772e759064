"""Log w relaxes towards a power of the mean input at which the cell is active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..synapses import Form
from .log_relaxation import LogRelaxation


@dataclass(frozen=True, kw_only=True)
class LogPower(LogRelaxation):
    """``log w_ij += alpha_i [exponent log(T_ij + floor) - log w_ij] + noise``, then rows of unit norm.

    :class:`LogRelaxation` towards a power of the target, floor and all: above exponent 1 potentiation is superlinear,
    cells respond to the few inputs they know best, and weights spread over more orders of magnitude.

    Parameters
    ----------
    exponent : float > 0, default 1
    eta, floor, sigma, normalize, seed
        As for :class:`LogRelaxation`.

    References
    ----------
    This project's own, after Inoue, Roehrbein & Knoblauch 2026, arXiv:2603.03234.
    """

    exponent: float = 1.0

    form: ClassVar[Form] = "log-power"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("exponent")
