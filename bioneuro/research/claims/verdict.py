"""The verdict on a claim: which form of it the rows bear out."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from ... import analysis
from ..differences import MIN_SEEDS

STRONG, NOT_SHOWN = "strong", "not shown"
#: Largest loss of accuracy, as a share, that a property may cost.
TOLERATED_LOSS = 0.005


def weak(premise: str) -> str:
    """The form of a property that holds, but only because of the premise named."""
    return f"weak: follows from {premise}"


@dataclass(frozen=True)
class Verdict:
    """What the rows of a claim say.

    Parameters
    ----------
    form : str
        ``"strong"``, ``"weak: follows from ..."`` or ``"not shown"``.
    effect, low, high : float
        Mean effect over the seeds and its 95 % Student interval.
    passed : bool
        Whether every goal of the claim is reached, in whatever form.
    unit : str
        What the effect is.
    note : str
        The figures that decided.
    """

    form: str
    effect: float
    low: float
    high: float
    passed: bool
    unit: str
    note: str

    @classmethod
    def of(cls, values: NDArray, form: str, passed: bool, unit: str, note: str) -> Verdict:
        """With the interval of ``values``, one for each seed. Too few seeds show nothing, whatever they are."""
        interval = analysis.mean_interval(values)
        if interval.n < MIN_SEEDS:
            note = f"{interval.n} of the {MIN_SEEDS} seeds that a verdict needs; {note}"
            form, passed = NOT_SHOWN, False
        return cls(form, interval.mean, interval.low, interval.high, bool(passed), unit, note)
