"""Signed rule: steps in proportion to the size of a weight, which may cross 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..synapses import Form
from .fused import FusedRule


@dataclass(frozen=True, kw_only=True)
class Signed(FusedRule):
    """``w_ij <- (w_ij + eta (|w_ij| + w0) (G_ij - c_i w_ij)) exp(noise)`` on a "mixed" pathway ("Kesten-Hebb").

    ``G_ij = mean_b(y_bi x_bj)``, ``c_i = mean_b(y_bi)``, ``noise`` as in :class:`~bioneuro.rules.Exponential`, whose
    Euler step this is for ``w0 = 0``. Nothing here looks at the signs of other synapses.

    Parameters
    ----------
    eta : float > 0, default 0.1
    w0 : float >= 0, default 0.02
        Size below which a weight still moves as if it had this one: what lets it cross 0.
    sigma, normalize, seed
        Noise and scaling (off): as for :class:`FusedRule`.

    References
    ----------
    Kesten 1973, Random difference equations and renewal theory for products of random matrices, Acta Math. 131,
    207-248 (the process); the rule is this project's.
    """

    w0: float = 0.02
    normalize: bool = False

    form: ClassVar[Form] = "signed"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_nonnegative("w0")
