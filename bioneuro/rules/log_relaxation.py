"""Log w relaxes towards the log of the mean input at which the cell is active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..synapses import Form
from .fused import FusedRule


@dataclass(frozen=True, kw_only=True)
class LogRelaxation(FusedRule):
    """``log(w_ij + floor) += alpha_i [log(T_ij + floor) - log(w_ij + floor)] + noise``, then rows of unit norm.

    ``G_ij = mean_b(y_bi x_bj)``, ``c_i = mean_b(y_bi)``, ``T = G / c``, ``alpha_i = 1 - exp(-eta c_i)``,
    ``noise = sigma sqrt(alpha_i (2 - alpha_i)) xi_ij``. Multiplicative, so no weight reaches 0 from above; cells that
    are silent in the whole batch stay as they are (:func:`bioneuro.kernels.plasticity_step`).

    Parameters
    ----------
    eta : float > 0, default 0.1
    floor : float > 0, default 1e-3
        Added to weights and targets before the logarithm.
    sigma, normalize, seed
        Noise and scaling: as for :class:`FusedRule`.

    References
    ----------
    This project's reconstruction of Inoue, Roehrbein & Knoblauch 2026, arXiv:2603.03234; size-proportional noise:
    Loewenstein, Kuras & Rumpel 2011, J. Neurosci. 31, 9481-9488.
    """

    floor: float = 1e-3

    form: ClassVar[Form] = "log-relaxation"
    saturating: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("floor")
