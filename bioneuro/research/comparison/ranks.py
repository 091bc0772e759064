"""The grand table: every model under every criterion, its rank there, and how far seeds leave that open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ... import analysis
from ..audit_verdicts import audited, warned

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CRITERIA", "RankCriterion", "beyond_doubt", "overall", "rank_table", "scores", "value_table"]


@dataclass(frozen=True)
class RankCriterion:
    """A column: the mean of a metric over its settings, but for those of `skip`.

    Parameters
    ----------
    label : str
    metric : str
        Of the ledger.
    higher : bool
        Whether more of it is better.
    scale : float
        What the table multiplies it by.
    digits : int
    skip : tuple of str
        Settings that are left out.
    only : str
        The one setting that counts; "": all.
    """

    label: str
    metric: str
    higher: bool = True
    scale: float = 100.0
    digits: int = 1
    skip: tuple[str, ...] = ()
    only: str = ""


CRITERIA = (
    RankCriterion("clean", "accuracy"),
    RankCriterion("few images", "low_data_accuracy"),
    RankCriterion("robust Linf", "robust_accuracy", skip=("0",)),
    RankCriterion("robust L2", "robust_accuracy_l2", skip=("0",)),
    RankCriterion("stream", "stream_accuracy"),
    RankCriterion("density", "density", higher=False),
    RankCriterion("Dale", "dale_index", only="smallest", scale=1, digits=2),
    RankCriterion("operations, k", "synaptic_operations", higher=False, scale=1e-3),
    RankCriterion("bytes, k", "bytes_moved", higher=False, scale=1e-3),
    RankCriterion("training, s", "train_seconds", higher=False, scale=1),
    RankCriterion("memory, MB", "memory_bytes", higher=False, scale=1e-6, digits=2),
)


def scores(frame: pd.DataFrame, criterion: RankCriterion) -> pd.DataFrame:
    """Of each seed (rows) and model (columns)."""
    rows = audited(frame)
    rows = rows[(rows["metric"] == criterion.metric) & ~rows["setting"].isin(criterion.skip)]
    if criterion.only:
        rows = rows[rows["setting"] == criterion.only]
    values = rows.pivot_table(index="seed", columns="model", values="value", aggfunc="mean")
    return values[[model for model in frame["model"].unique() if model in values]]


def rank_table(frame: pd.DataFrame, criteria: Iterable[RankCriterion] = CRITERIA) -> pd.DataFrame:
    """Rank of every model under every criterion, with its interval.

    The rank is that of the mean over seeds, ties at the best rank they share. A model's rank may be as good as 1 + the
    number of models that are better beyond doubt, and as bad as their number less those that are worse beyond doubt:
    the 95 % interval of the paired difference over seeds excludes 0, without correction for the many pairs. With one
    seed nothing is beyond doubt except what no seed changes.

    Returns
    -------
    DataFrame
        Columns model, criterion, rank, low, high, and bound (whether a better attack may lower it): criteria in their
        order, within each the best models overall first.
    """
    import pandas as pd

    found, criteria, doubted = [], list(criteria), warned(frame)
    for criterion in criteria:
        values = scores(frame, criterion) * (1 if criterion.higher else -1)
        means = values.mean()
        beaten = {(a, b) for a in values for b in values if beyond_doubt(values[a], values[b])}
        for model in values:
            better, worse = (sum(pair[side] == model for pair in beaten) for side in (1, 0))
            rank = int((means > means[model]).sum()) + 1
            low, high = min(better + 1, rank), max(len(means) - worse, rank)
            bound = criterion.metric.startswith("robust") and model in doubted
            found.append((model, criterion.label, rank, low, high, bound))
    table = pd.DataFrame(found, columns=["model", "criterion", "rank", "low", "high", "bound"])
    places = {model: i for i, model in enumerate(overall(table))}
    columns = {criterion.label: i for i, criterion in enumerate(criteria)}
    return table.sort_values(
        ["criterion", "model"], key=lambda column: column.map(columns if column.name == "criterion" else places)
    ).reset_index(drop=True)


def beyond_doubt(a: pd.Series, b: pd.Series) -> bool:
    """Whether a is more than b by the paired difference's interval."""
    first, second = a.to_numpy(float), b.to_numpy(float)
    both = ~(np.isnan(first) | np.isnan(second))
    first, second = first[both], second[both]
    if not (len(first) and (first - second).mean() > 0):
        return False
    if len(first) > 1 and np.ptp(first - second) == 0:  # the same at every seed
        return True
    return bool(analysis.paired_difference(first, second).low > 0)


def overall(ranks: pd.DataFrame) -> list[str]:
    """Models by their mean rank, as a share of the models ranked, over criteria; the best first."""
    share = ranks["rank"] / ranks.groupby("criterion")["rank"].transform("size")
    return list(ranks.assign(share=share).groupby("model", sort=False)["share"].mean().sort_values(kind="stable").index)


def value_table(
    frame: pd.DataFrame, models: Iterable[str], criteria: Iterable[RankCriterion] = CRITERIA
) -> pd.DataFrame:
    """Mean and half-width of the 95 % interval of every model (rows) under every criterion (columns), as text.

    Robustness is an upper bound (<=) where the audit warns; "-": not measured, for want of a gradient or a step.
    """
    import pandas as pd

    criteria, doubted = list(criteria), warned(frame)
    table = pd.DataFrame("-", index=list(models), columns=[criterion.label for criterion in criteria])
    for criterion in criteria:
        values = scores(frame, criterion) * criterion.scale
        for model in values:
            bound = "≤ " if criterion.metric.startswith("robust") and model in doubted else ""
            table.loc[model, criterion.label] = bound + _mean(values[model].dropna().to_numpy(), criterion.digits)
    return table


def _mean(values: np.ndarray, digits: int) -> str:
    interval = analysis.mean_interval(values)
    spread = f" ± {interval.half_width:.{digits}f}" if interval.n > 1 and interval.half_width > 0 else ""
    return f"{interval.mean:.{digits}f}{spread}"
