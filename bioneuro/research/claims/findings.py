"""Report on the claims: a table of verdicts with the figures that decided, a file of all rows, pictures."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import plot
from ..differences import MIN_SEEDS
from ..records.ledger import write_table
from ..records.pictures import blank_figure, save_picture
from ..records.text_table import left_aligned
from .claim import Claim
from .verdict import NOT_SHOWN, Verdict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["all_rows", "figures", "text", "verdict_rows", "write_csv"]

WIDTH = 120


def text(claims: Sequence[Claim[Any]], verdicts: Mapping[str, Verdict], dataset: str, n_seeds: int, full: bool) -> str:
    """A table of all claims, then the statement of each and the figures that decided."""
    size = "" if full else "; SMALL SETTINGS: a look, not a result (--full)"
    rows = [("", "claim", "effect [95 % interval]", "verdict")]
    details = []
    for claim in claims:
        verdict = verdicts[claim.number]
        interval = f" [{verdict.low:.3g}, {verdict.high:.3g}]" if np.isfinite(verdict.low) else ""
        rows.append((claim.number, claim.title, f"{verdict.effect:.3g}{interval}", _in_short(verdict, n_seeds)))
        lines = [f"Claim: {claim.statement}", f"Effect: {verdict.unit}.", *verdict.note.split("\n")]
        details += ["", f"{claim.number}, {claim.title}"]
        details += [textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ") for line in lines]
    seeds = f"{n_seeds} seed{'s' * (n_seeds > 1)}"
    return "\n".join([f"{dataset}, {seeds}, intervals over seeds{size}", "", left_aligned(rows), *details])


def _in_short(verdict: Verdict, n_seeds: int) -> str:
    if n_seeds < MIN_SEEDS:
        return f"open; {n_seeds} of the {MIN_SEEDS} seeds that a verdict needs"
    if verdict.passed:
        return f"passed; {verdict.form}"
    return f"FAILED; {verdict.form}" + ", but goals are missed" * (verdict.form != NOT_SHOWN)


def all_rows(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Of all claims, in one tidy table."""
    import pandas as pd

    return pd.concat(frames.values(), ignore_index=True)


def verdict_rows(verdicts: Mapping[str, Verdict]) -> pd.DataFrame:
    """A row for each claim."""
    import pandas as pd

    return pd.DataFrame([{"claim": number, **asdict(verdict)} for number, verdict in verdicts.items()])


def write_csv(frames: Mapping[str, pd.DataFrame], path: Path) -> Path:
    """All rows of all claims in one tidy file."""
    return write_table(all_rows(frames), path)


def figures(claims: Sequence[Claim[Any]], frames: Mapping[str, pd.DataFrame], out: Path) -> list[Path]:
    """One picture for each claim, ``<number>.png``."""
    written = []
    for claim in claims:
        figure = blank_figure(7.2, 4.6)
        blank = figure.subplots()
        blank.set_prop_cycle(color=plot.COLOURS)
        ax = claim.figure(frames[claim.number], blank)
        n_seeds = frames[claim.number]["seed"].nunique()
        seeds = "1 seed" if n_seeds == 1 else f"{n_seeds} seeds; bands: 95 % intervals"
        ax.set_title(f"{claim.number}, {claim.title} ({seeds})", loc="left", fontsize=10)
        written.append(save_picture(figure, out / f"{claim.number}.png"))
    return written
