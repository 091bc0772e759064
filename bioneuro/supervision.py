"""What labels do to association cells, as a parameter of the classifier."""

from __future__ import annotations

from dataclasses import dataclass

from .checks import Checked, Number
from .rules import Contrastive
from .spelling import spelled

__all__ = ["Supervision"]


@spelled
@dataclass(frozen=True, kw_only=True)
class Supervision(Checked):
    """How labels take part in what association cells learn.

    Parameters
    ----------
    kappa : float, default 0.2
        Top-down gain of the label while cells compete, in units of the spread of the drive, in [0, 1e6]: 0 leaves cells
        feature-specific. In ``partial_fit`` at least 5, so that cells learn from samples of their own label, unless
        there is no growth.
    eta : float, default 0.15
        Learning rate of the third factor (:class:`bioneuro.rules.Contrastive`), which teaches the cells after they have
        competed, in ``fit``, in [0, 100]; 0: none. The cells of a circuit are never taught.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    kappa: float = 0.2
    eta: float = 0.15

    _kinds = {"kappa": (Number(0, 1e6),), "eta": (Number(0, 100),)}

    @property
    def teacher(self) -> Contrastive | None:
        """The rule of the third factor; None where there is none."""
        return Contrastive(eta=self.eta) if self.eta else None
