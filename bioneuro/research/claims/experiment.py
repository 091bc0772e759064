"""Run claims seed by seed, keep what they found, and say it in one table."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...datasets import Dataset
from ..comparison.experiment import environment
from ..records.configuration import network_defaults
from ..records.ledger import Ledger, Row
from ..records.output import new_figure, save, write_frame
from .claim import NOT_SHOWN, Claim, Settings, Verdict

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["figures", "frame_of", "run", "text", "write_csv"]

COLUMNS = {
    "model": "claim",
    "readout": "condition",
    "setting": "x",
    "metric": "measure",
    "value": "value",
    "seed": "seed",
    "note": "note",
}
WIDTH = 120


def run(
    claims: Sequence[Claim[Any]],
    dataset: str,
    data: Dataset,
    out: Path,
    n_seeds: int,
    *,
    full: bool = False,
    n_train: int | None = None,
    rule: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Run each claim at seeds 0 to ``n_seeds - 1``; seeds that are in ``out/<number>`` already are not run again.

    Parameters
    ----------
    claims : sequence of Claim
    dataset : str
        Name of the data, which becomes part of what the results depend on.
    data : Dataset
    out : Path
        A ledger a claim is kept in here, and grows by whole seeds.
    n_seeds : int >= 1
    full : bool
        Full settings instead of small ones.
    n_train : int or None
        Training images instead of those of the settings.
    rule : str or None
        Rule of the association instead of the default one (:data:`bioneuro.rules.RULES`).

    Returns
    -------
    dict of claim number to DataFrame
        Columns claim, condition, x, measure, value, seed, note; of seeds below ``n_seeds``.
    """
    from tqdm.auto import tqdm

    def progress(items: Any, desc: str) -> Any:
        return tqdm(items, desc=desc, disable=None, leave=False, position=1)

    settings = {claim.number: (claim.full if full else claim.small).fitted_to(data, n_train) for claim in claims}
    if rule is not None:
        settings = {number: replace(own, changed={**own.changed, "rule": rule}) for number, own in settings.items()}
    ledgers = {
        claim.number: Ledger(out / claim.number, _configuration(claim, dataset, settings[claim.number]), environment())
        for claim in claims
    }
    units = [
        (claim, seed)
        for seed in range(n_seeds)
        for claim in claims
        if not ledgers[claim.number].finished(claim.number, seed)
    ]
    with tqdm(units, desc=dataset, unit="unit", disable=None, leave=False) as bar:
        for claim, seed in bar:
            bar.set_description(f"{dataset}, {claim.number}, seed {seed}")
            ledgers[claim.number].add(_rows(claim, data, seed, settings[claim.number], progress))
    return {number: frame_of(ledger.rows, n_seeds) for number, ledger in ledgers.items()}


def _configuration(claim: Claim[Any], dataset: str, settings: Settings) -> dict[str, Any]:
    """What rows must share to be read together; the defaults of the network are part of it."""
    return {"claim": claim.number, "dataset": dataset, "settings": asdict(settings), "network": network_defaults()}


def _rows(claim: Claim[Any], data: Dataset, seed: int, settings: Settings, progress: Any) -> Iterator[Row]:
    for found in claim.run(data, seed, settings, progress):
        x = "" if found.x is None else repr(float(found.x))
        yield Row(claim.number, found.condition, seed, found.measure, x, float(found.value), found.note)


def frame_of(rows: Sequence[Row], n_seeds: int) -> pd.DataFrame:
    """Rows of a ledger as a tidy frame; x is NaN where nothing was varied."""
    import pandas as pd

    frame = pd.DataFrame(rows, columns=Row._fields).rename(columns=COLUMNS)[list(COLUMNS.values())]
    frame["x"] = pd.to_numeric(frame["x"])
    return frame[frame["seed"] < n_seeds].reset_index(drop=True)


def text(claims: Sequence[Claim[Any]], verdicts: Mapping[str, Verdict], dataset: str, n_seeds: int, full: bool) -> str:
    """One table of all claims, then what each states and the figures that decided."""
    size = "" if full else "; SMALL SETTINGS: a look, not a result (--full)"
    rows = [("", "claim", "effect [95 % interval]", "verdict")]
    details = []
    for claim in claims:
        verdict = verdicts[claim.number]
        interval = f" [{verdict.low:.3g}, {verdict.high:.3g}]" if np.isfinite(verdict.low) else ""
        passed = "passed" if verdict.passed else "FAILED"
        form = verdict.form if verdict.passed or verdict.form == NOT_SHOWN else f"{verdict.form}, but goals are missed"
        rows.append((claim.number, claim.title, f"{verdict.effect:.3g}{interval}", f"{passed}; {form}"))
        lines = [f"Claim: {claim.statement}", f"Effect: {verdict.unit}.", *verdict.note.split("\n")]
        details += ["", f"{claim.number}, {claim.title}"]
        details += [textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ") for line in lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    table = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    table.insert(1, "-" * max(map(len, table)))
    seeds = f"{n_seeds} seed{'s' * (n_seeds > 1)}"
    return "\n".join([f"{dataset}, {seeds}, intervals over seeds{size}", "", *table, *details])


def write_csv(frames: Mapping[str, pd.DataFrame], path: Path) -> Path:
    """All rows of all claims in one tidy file."""
    import pandas as pd

    return write_frame(pd.concat(frames.values()), path)


def figures(claims: Sequence[Claim[Any]], frames: Mapping[str, pd.DataFrame], out: Path) -> list[Path]:
    """One picture a claim, ``<number>.png``."""
    written = []
    for claim in claims:
        figure = new_figure(7.2, 4.6)
        ax = claim.figure(frames[claim.number], figure.subplots())
        n_seeds = frames[claim.number]["seed"].nunique()
        ax.set_title(f"{claim.number}, {claim.title} ({n_seeds} seeds; bands: 95 % intervals)", loc="left", fontsize=10)
        written.append(save(figure, out / f"{claim.number}.png"))
    return written
