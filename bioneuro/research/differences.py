"""Differences between models, and when they are called better or worse."""

from __future__ import annotations

from dataclasses import dataclass

from .. import analysis

__all__ = ["ALPHA", "MIN_SEEDS", "Difference"]

#: Level of the Holm-adjusted p-values, and fewest seeds for a verdict: two give intervals of twelve standard errors.
ALPHA, MIN_SEEDS = 0.05, 3


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
            return f"{self.found.mean:+.1f} (one seed)"
        return f"{self.found.mean:+.1f} [{self.found.low:+.1f}, {self.found.high:+.1f}] {self.verdict:7}"
