"""Ranks of many models under many criteria, in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ._style import axes, headline, need_columns, pyplot

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def rank_map(ranks: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Heat map of ranks with their intervals: a model a row, a criterion a column, the best rank lightest.

    Parameters
    ----------
    ranks : DataFrame
        Columns ``model``, ``criterion``, ``rank`` (1: best), ``low`` and ``high`` (the interval of the rank), and, if
        you like, ``bound`` (the rank may be worse than it looks). Models and criteria are drawn in the order in which
        they come; what is missing stays blank.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        No ranks, a column is missing, or a rank is below 1.
    """
    need_columns(ranks, ("model", "criterion", "rank", "low", "high"), "ranks")
    if (ranks["rank"] < 1).any():
        raise ValueError(f"ranks must be >= 1, got {ranks['rank'].min():g}")
    models, criteria = (list(dict.fromkeys(ranks[name])) for name in ("model", "criterion"))
    ax = axes(ax, (1.6 + 0.85 * len(criteria), 1.2 + 0.3 * len(models)))
    grid = np.full((len(models), len(criteria)), np.nan)
    for row in ranks.itertuples():
        grid[models.index(row.model), criteria.index(row.criterion)] = row.rank
    ax.imshow(grid, cmap="cividis_r", vmin=1, vmax=(worst := max(2.0, float(np.nanmax(grid)))), aspect="auto")
    colours = pyplot().get_cmap("cividis_r")
    for row in ranks.itertuples():
        place = criteria.index(row.criterion), models.index(row.model)
        interval = "" if row.low == row.high else f"\n{row.low:g}–{row.high:g}"
        light = np.dot(colours((row.rank - 1) / (worst - 1))[:3], (0.299, 0.587, 0.114))
        colour = "white" if light < 0.5 else "black"
        mark = "*" if getattr(row, "bound", False) else ""
        ax.text(*place, f"{row.rank:g}{mark}{interval}", ha="center", va="center", fontsize=6.5, color=colour)
    ax.set_xticks(range(len(criteria)), criteria, rotation=35, ha="left", fontsize=8)
    ax.xaxis.tick_top()
    bounded = "; *: at best" if "bound" in ranks and ranks["bound"].any() else ""
    headline(ax, f"Ranks (1: best; below: interval{bounded})")
    ax.set_yticks(range(len(models)), models, fontsize=8)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax
