"""Rows of a claim: what was measured, read again for the verdict and for the figure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ... import analysis

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Found(NamedTuple):
    """One measured value: ``condition`` names the network, ``x`` the value of what was varied (None: nothing)."""

    condition: str
    measure: str
    value: float
    x: float | None = None
    note: str = ""


def values_of(frame: pd.DataFrame, condition: str, measure: str, x: float | None = None) -> NDArray[np.float64]:
    """Values of one measure, one for each seed, in the order of the seeds."""
    rows = frame[(frame["condition"] == condition) & (frame["measure"] == measure)]
    if x is not None:
        rows = rows[np.isclose(rows["x"], x)]
    return rows.sort_values("seed")["value"].to_numpy(float)


def curve_of(frame: pd.DataFrame, condition: str, measure: str) -> pd.DataFrame:
    """One row for each value of x, one column for each seed."""
    rows = frame[(frame["condition"] == condition) & (frame["measure"] == measure)]
    return rows.pivot(index="x", columns="seed", values="value").sort_index()


def legend_beside(ax: Axes, handles: list[Any] | None = None, *, left: float = 1.02) -> None:
    """A legend to the right of the axes, from ``left`` of their width on: on nothing that is drawn."""
    ax.legend(
        handles=handles, frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(left, 0.5), borderaxespad=0
    )


def draw_mean(ax: Axes, curve: pd.DataFrame, **style: Any) -> None:
    """Mean over the seeds, with the band of the 95 % interval where there are two or more."""
    intervals = [analysis.mean_interval(row[np.isfinite(row)]) for row in curve.to_numpy()]
    (line,) = ax.plot(curve.index, [interval.mean for interval in intervals], **style)
    low, high = ([getattr(interval, side) for interval in intervals] for side in ("low", "high"))
    ax.fill_between(curve.index, low, high, color=line.get_color(), alpha=0.18, lw=0)
