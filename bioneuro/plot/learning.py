"""How a network grows while it learns: its accuracy, its weights, its synapses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..checks import check_count
from ._style import (
    BLACK,
    COLOURS,
    GREY,
    axes,
    axes_size,
    below,
    curves,
    evidence,
    headline,
    log_axis,
    need_columns,
    tidy,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

    from ..history import History


def learning_curve(history: History | pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Accuracy of each readout after every pass of learning; a dotted line is where a stage ends.

    Parameters
    ----------
    history : History or DataFrame
        A :class:`bioneuro.History` that ``fit(on_epoch=history)`` has filled, or its ``frame()``.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    ValueError
        The history is empty, or lacks a column.
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    frame: pd.DataFrame = history.frame() if hasattr(history, "frame") else history
    need_columns(frame, ("epoch", "stage", "readout", "accuracy"))
    ax = axes(ax)
    for i, (readout, part) in enumerate(frame.groupby("readout", sort=False)):
        dash = ("-", "--", "-.", ":")[i % 4]
        ax.plot(part["epoch"], part["accuracy"], dash, color=COLOURS[i % len(COLOURS)], linewidth=1.8, label=readout)
    ends = frame.groupby("stage", sort=False)["epoch"].max()
    for end in ends.iloc[:-1]:
        ax.axvline(end, color=GREY, linestyle=":", linewidth=1)
    ax.set(xlabel="pass over the samples", ylabel="accuracy", ylim=(-0.02, 1.02))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    below(ax, title="readout")
    stages = ", ".join(f"{stage} to {end}" for stage, end in ends.items())
    headline(ax, f"Learning\n{stages}")
    tidy(ax)
    return ax


def weights_over_time(
    history: History | pd.DataFrame, ax: Axes | None = None, *, n_ridges: int = 10, bins: int = 60
) -> Axes:
    """Distributions of log weight while a network learns, one above the other (a ridge plot), the first at the top.

    Parameters
    ----------
    history : History or DataFrame
        A :class:`bioneuro.History` made with ``weights=`` that ``fit(on_epoch=history)`` has filled, or its
        ``weight_frame()``.
    ax : Axes, optional
    n_ridges : int >= 1
        At most so many passes are drawn, and no more than have room; evenly spaced among those kept, with the first and
        the last.
    bins : int >= 1
        Of the histogram of each pass, the same for all.

    Returns
    -------
    Axes
        All ridges have the same scale, so that they can be compared. On the left is the pass, and the density of the
        pathway then: the share of all pairs of cells that have a synapse. The colour is the stage.

    Raises
    ------
    ValueError
        The history kept no weights, or lacks a column; `n_ridges` or `bins` is below 1.
    """
    frame: pd.DataFrame = history.weight_frame() if hasattr(history, "weight_frame") else history
    need_columns(frame, ("epoch", "stage", "density", "weight"))
    check_count("n_ridges", n_ridges)
    check_count("bins", bins)
    ax = axes(ax, (6.4, 5.2))
    passes = frame["epoch"].unique()
    n = min(n_ridges, len(passes), max(2, int(axes_size(ax)[1] / 25)))
    shown = passes[np.unique(np.linspace(0, len(passes) - 1, n).round().astype(int))]
    log10_w = np.log10(frame["weight"].to_numpy(float))
    edges = np.histogram_bin_edges(log10_w, bins)
    parts = [frame["epoch"].to_numpy() == epoch for epoch in shown]
    heights = [np.histogram(log10_w[part], edges, density=True)[0] for part in parts]
    rise = 1.8 / max(height.max() for height in heights)  # ridges reach over the one above, not over two
    stages = list(dict.fromkeys(frame["stage"]))
    labels, named = [], set()
    for place, (epoch, part, height) in enumerate(zip(shown, parts, heights, strict=True)):
        first = frame[part].iloc[0]
        outline = np.repeat(edges, 2), place - rise * np.pad(np.repeat(height, 2), 1)
        colour = COLOURS[stages.index(first["stage"]) % len(COLOURS)]
        ax.fill_between(*outline, place, color=colour, linewidth=0, zorder=2 * place + 3,
                        label=None if first["stage"] in named else first["stage"])  # fmt: skip
        ax.plot(*outline, color=BLACK, linewidth=0.6, zorder=2 * place + 4)
        named.add(first["stage"])
        labels.append(f"{epoch}  ({first['density']:.1%})")
    ax.set_yticks(range(len(shown)), labels=labels, fontsize=8)
    ax.set(xlim=(edges[0], edges[-1]), ylim=(len(shown) - 0.8, -2))
    ax.set(xlabel="log$_{10}$ weight", ylabel="pass over the samples (density)")
    below(ax, title="stage")
    headline(ax, "Weights while the network learns")
    tidy(ax, grid="x")
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    return ax


def density_by_turnover(frame: pd.DataFrame, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
    """How dense a pathway becomes, against how fast its synapses die: mean and Student interval over seeds, by model.

    Parameters
    ----------
    frame : DataFrame
        Columns `model`, `turnover` (> 0: `death` over `birth` of :class:`bioneuro.rules.Turnover`), `density` (0 to 1:
        :func:`bioneuro.analysis.density`), `seed`.
    ax : Axes, optional
    level : float
        Of the band; a single seed has none.

    Returns
    -------
    Axes
        The horizontal axis is logarithmic, with ticks at the values tried.

    Raises
    ------
    ValueError
        A column is missing, there are no rows, or a turnover is not above 0.
    """
    need_columns(frame, ("model", "turnover", "density", "seed"))
    if not (frame["turnover"] > 0).all():
        raise ValueError(f"turnover must be > 0 for a logarithmic axis, got {frame['turnover'].min():g}")
    ax = axes(ax)
    curves(frame, "turnover", "density", ax, level)
    log_axis(ax, frame["turnover"])
    ax.set(xlabel="turnover: death / birth of synapses", ylabel="density")
    ax.set_ylim(0, min(1.02, 1.2 * frame["density"].max()))
    headline(ax, f"Synapses that remain\n{evidence(frame, level)}")
    return ax
