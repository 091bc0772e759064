"""Learning from few images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from .. import analysis
from ..checks import plain_array
from ._style import (
    COLOURS,
    GREEN,
    GREY,
    VERMILION,
    axes,
    bars,
    below,
    curves,
    evidence,
    headline,
    log_axis,
    need_columns,
    points_a_unit,
    tidy,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def low_data_curve(frame: pd.DataFrame, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
    """Accuracy against the number of training images a class, on a log axis, by model.

    Parameters
    ----------
    frame : DataFrame
        Columns `model`, `n_shot`, `accuracy` (0 to 1), `seed`.
    ax : Axes, optional
    level : float
        Of the band; a single seed has none.

    Returns
    -------
    Axes
    """
    ax = axes(ax)
    curves(frame, "n_shot", "accuracy", ax, level)
    log_axis(ax, frame["n_shot"])
    ax.set(xlabel="training images per class", ylabel="test accuracy")
    headline(ax, f"Learning from few images\n{evidence(frame, level)}")
    return ax


def episodes(results: pd.DataFrame, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
    """Mean accuracy of each model over few-shot episodes with its interval, one group of bars a number of shots.

    Parameters
    ----------
    results : DataFrame
        Of :func:`bioneuro.fewshot.compare`: columns `model`, `n_shot`, `accuracy`.
    ax : Axes, optional
    level : float
        Of the interval, over episodes.

    Returns
    -------
    Axes
    """
    from matplotlib.ticker import PercentFormatter

    need_columns(results, ("model", "n_shot", "accuracy"))
    ax = axes(ax)
    models, shots = list(dict.fromkeys(results["model"])), sorted(results["n_shot"].unique())
    width = 0.8 / len(models)
    for i, model in enumerate(models):
        for place, shot in enumerate(shots):
            part = results[(results["model"] == model) & (results["n_shot"] == shot)]
            if part.empty:
                continue
            interval = analysis.mean_interval(part["accuracy"].to_numpy(float), level)
            error = None if np.isnan(interval.half_width) else interval.half_width
            left = place + (i - (len(models) - 1) / 2) * width
            label = model if place == 0 else None
            ax.bar(left, interval.mean, width, yerr=error, color=COLOURS[i % len(COLOURS)], capsize=2, label=label)
    ax.set_xticks(range(len(shots)), labels=[f"{shot:g}" for shot in shots])
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    ax.set(xlabel="images of each class to learn from", ylabel="accuracy", ylim=(0, 1.02))
    headline(ax, f"Few-shot episodes\nmean, {level:.0%} interval over episodes")
    below(ax)
    tidy(ax)
    return ax


def winning_prototypes(
    queries: ArrayLike,
    supports: ArrayLike,
    rows: ArrayLike,
    shares: ArrayLike,
    image_shape: tuple[int, ...],
    ax: Axes | None = None,
    *,
    right: ArrayLike | None = None,
) -> Axes:
    """Which images to learn from drove each decision: a query a row, beside it its winners with their shares.

    Parameters
    ----------
    queries : array_like (m, features)
        Images that were classified.
    supports : array_like (n, features)
        Images that were learned from.
    rows, shares : array_like (m, k)
        Of :meth:`bioneuro.fewshot.AssociationHead.winners`: rows of `supports`, the most influential first, and the
        share of the vote of each.
    image_shape : (height, width) or (height, width, channels)
    ax : Axes, optional
    right : array_like (m,) of bool, optional
        Whether each query was classified rightly: a green line beside it, or a dotted vermilion one.

    Returns
    -------
    Axes
    """
    queries, supports = plain_array(queries, "queries"), plain_array(supports, "supports")
    rows, shares = plain_array(rows, "rows"), plain_array(shares, "shares")
    if rows.ndim != 2 or rows.shape != shares.shape or len(rows) != len(queries):
        raise ValueError(f"rows and shares must be {len(queries)} x k, got {rows.shape} and {shares.shape}")
    if rows.size and not 0 <= rows.min() <= rows.max() < len(supports):
        raise ValueError(f"rows must lie in [0, {len(supports)}), got {rows.min()} to {rows.max()}")
    height, width = image_shape[:2]
    ax = axes(ax, (1.0 * (rows.shape[1] + 1) + 0.6, 1.0 * len(rows) + 0.5))
    gap = 0.15 * width
    sheet = (rows.shape[1] + 1) * (width + gap) + 3 * gap, len(rows) * (height + 3 * gap) + gap
    fontsize = min(8.0, 2.2 * gap * points_a_unit(ax, *sheet))
    for i, query in enumerate(queries):
        for k, image in enumerate([query, *supports[rows[i]]]):
            left = k * (width + gap) + gap * (k > 0)
            top = i * (height + 3 * gap)
            ax.imshow(
                image.reshape(image_shape),
                cmap="gray_r",
                vmin=0,
                vmax=1,
                extent=(left, left + width, top + height, top),
            )
            if k:
                place = left + width / 2, top + height + 0.4 * gap
                ax.text(*place, f"{shares[i, k - 1]:.0%}", ha="center", va="top", fontsize=fontsize, color=GREY)
            elif right is not None:
                colour, dash = (GREEN, "-") if plain_array(right, "right")[i] else (VERMILION, ":")
                ax.plot([left - gap] * 2, [top, top + height], dash, color=colour, linewidth=3)
    ax.set(xlim=(-2 * gap, sheet[0] - 2 * gap), ylim=(sheet[1] - gap, -gap))
    ax.set_aspect("equal")
    ax.axis("off")
    headline(ax, "Query, and the images that decided (share of the vote)", fontsize=9)
    return ax


def one_shot_errors(results: pd.DataFrame, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
    """Error of each model in a one-shot task: a bar with its interval over runs, each run a dot.

    Parameters
    ----------
    results : DataFrame
        Columns `model`, `run`, `error` (0 to 1): of :func:`bioneuro.fewshot.omniglot_one_shot`, with a column more.
    ax : Axes, optional
    level : float

    Returns
    -------
    Axes
    """
    ax = axes(ax)
    bars(results, "error", ax, level, "run")
    ax.set(xlabel="one-shot error", xlim=(0, None))
    headline(ax, f"One-shot classification\nmean, {level:.0%} interval; dots are runs")
    return ax
