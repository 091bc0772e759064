"""Run claims seed by seed and keep what they found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...datasets import Dataset
from ..execution import succeeded
from ..records.configuration import network_defaults
from ..records.environment import environment
from ..records.ledger import ModelLedger, Row
from .claim import Claim
from .settings import Settings

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["frame_of", "run"]

COLUMNS = {
    "model": "claim",
    "readout": "condition",
    "setting": "x",
    "metric": "measure",
    "value": "value",
    "seed": "seed",
    "note": "note",
}


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
    n_jobs: int | None = 1,
    scheduler: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Run each claim at seeds 0 to ``n_seeds - 1``; seeds that are in ``out/<number>`` already are not run again.

    Parameters
    ----------
    claims : sequence of Claim
    dataset : str
        Name of the data set, part of the configuration of the results.
    data : Dataset
    out : Path
        Folder of the ledgers, one for each claim; each grows by whole seeds.
    n_seeds : int >= 1
    full : bool
        Full settings instead of small ones.
    n_train : int or None
        Training images instead of those of the settings.
    rule : str or None
        Rule of the association instead of the default one (:data:`bioneuro.rules.RULES`).
    n_jobs : int >= 1 or None
        Processes that share claims and seeds; None: one for each processor.
    scheduler : str or None
        Address of a Dask cluster that runs them instead.

    Returns
    -------
    dict of claim number to DataFrame
        Columns claim, condition, x, measure, value, seed, note; of seeds below ``n_seeds``.

    Raises
    ------
    UnitsFailedError
        Claims failed to run at some seeds; all others are kept.
    """
    settings = {claim.number: (claim.full if full else claim.small).fitted_to(data, n_train) for claim in claims}
    if rule is not None:
        settings = {number: replace(own, changed={**own.changed, "rule": rule}) for number, own in settings.items()}
    ledgers = {
        number: ModelLedger(out / number, _configuration(number, dataset, own), environment())
        for number, own in settings.items()
    }
    units = [
        (claim, seed)
        for seed in range(n_seeds)
        for claim in claims
        if not ledgers[claim.number].finished(claim.number, seed)
    ]
    for i, rows in succeeded(
        partial(_rows, data, within if n_jobs == 1 and scheduler is None else silent),
        [(claim, seed, settings[claim.number]) for claim, seed in units],
        [f"{claim.number}, seed {seed}" for claim, seed in units],
        n_jobs=n_jobs,
        scheduler=scheduler,
        description=dataset,
    ):
        ledgers[units[i][0].number].add_rows(rows)
    return {number: frame_of(ledger.frame(), n_seeds) for number, ledger in ledgers.items()}


def _configuration(number: str, dataset: str, settings: Settings) -> dict[str, Any]:
    """What rows must agree in to be put together, the defaults of the network included."""
    return {"claim": number, "dataset": dataset, "settings": asdict(settings), "network": network_defaults()}


def within(items: Any, desc: str) -> Any:
    """A bar within a unit, below the one over the units."""
    from tqdm.auto import tqdm

    return tqdm(items, desc=desc, disable=None, leave=False, position=1)


def silent(items: Any, desc: str) -> Any:
    """No bar: several units would write over one another's."""
    return items


def _rows(data: Dataset, progress: Any, claim: Claim[Any], seed: int, settings: Settings) -> list[Row]:
    rows = []
    for found in claim.run(data, seed, settings, progress):
        x = "" if found.x is None else repr(float(found.x))
        rows.append(Row(claim.number, found.condition, seed, found.measure, x, float(found.value), found.note))
    return rows


def frame_of(rows: pd.DataFrame, n_seeds: int) -> pd.DataFrame:
    """Rows of a ledger as a tidy frame; x is NaN where nothing was varied."""
    import pandas as pd

    frame = rows.rename(columns=COLUMNS)[list(COLUMNS.values())]
    frame["x"] = pd.to_numeric(frame["x"])
    return frame[frame["seed"] < n_seeds].reset_index(drop=True)
