"""Run claims seed by seed and keep what they found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...datasets import Dataset
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
        number: ModelLedger(out / number, _configuration(number, dataset, own), environment())
        for number, own in settings.items()
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
            ledgers[claim.number].add_rows(_rows(claim, data, seed, settings[claim.number], progress))
    return {number: frame_of(ledger.rows, n_seeds) for number, ledger in ledgers.items()}


def _configuration(number: str, dataset: str, settings: Settings) -> dict[str, Any]:
    """What rows must agree in to be put together, among it the defaults of the network."""
    return {"claim": number, "dataset": dataset, "settings": asdict(settings), "network": network_defaults()}


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
