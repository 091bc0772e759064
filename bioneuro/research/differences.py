"""Differences between models, and when they are called better or worse."""

from __future__ import annotations

from dataclasses import dataclass

from .. import analysis

__all__ = ["ALPHA", "MIN_SEEDS", "Difference", "in_words"]

#: Level of the Holm-adjusted p-values, and fewest seeds for a verdict: two give intervals of twelve standard errors.
ALPHA, MIN_SEEDS = 0.05, 3


def in_words(
    found: analysis.MeanInterval | analysis.PairedDifference,
    form: str = "+.1f",
    scale: float = 100,
    unit: str = "",
    p: float | None = None,
) -> str:
    """``scale`` times the mean in ``unit``, with its interval and the adjusted ``p``; one seed has neither."""
    mean = f"{scale * found.mean:{form}}{unit}"
    if found.n < 2:
        return mean
    level = "" if p is None else f", Holm-adjusted p {p:.2g}"
    return f"{mean} [{scale * found.low:{form}}, {scale * found.high:{form}}]{level}"


@dataclass(frozen=True)
class Difference:
    """`model` minus the reference in one line of the table, in points."""

    model: str
    label: str
    found: analysis.PairedDifference
    p_holm: float
    suspect: bool
    """Of robustness, and the model's audit warns."""
    reference: str = ""

    @property
    def verdict(self) -> str:
        # Accuracies are counts: differences of a few seeds may agree exactly by chance, which shows no spread.
        if self.found.n < MIN_SEEDS or self.found.half_width == 0 or not self.p_holm <= ALPHA:
            return "unclear"
        if self.found.mean < 0:
            return "WORSE"
        return "suspect" if self.suspect else "better"

    def __str__(self) -> str:
        if self.found.n < 2:
            return f"{in_words(self.found, scale=1)} (one seed)"
        return f"{in_words(self.found, scale=1)} {self.verdict:7}"
