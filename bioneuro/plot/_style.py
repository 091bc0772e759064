"""What all figures have in common: colours, axes, bars, curves with their intervals over seeds."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from .. import analysis
from ..analysis.scaling import Floats
from ..extras import wanted

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY, YELLOW, BLACK = COLOURS = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
    "#000000",
)
MARKERS = "osD^vPX*"
GREY = "0.35"


def pyplot() -> Any:
    return wanted("matplotlib.pyplot", "figures need matplotlib", "plot")


def new_figure(size: tuple[float, float] = (6.4, 4.2)) -> Figure:
    """An empty figure of `size` inches."""
    return pyplot().figure(figsize=size, layout="constrained")


def axes(ax: Axes | None, size: tuple[float, float] = (6.4, 4.2)) -> Axes:
    plt = pyplot()
    if ax is not None and not hasattr(ax, "plot"):
        raise TypeError(f"ax must be one Axes or None, got {type(ax).__name__}")
    return plt.subplots(figsize=size, layout="constrained")[1] if ax is None else ax


def tidy(ax: Axes, *, grid: str = "y") -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(axis=grid, color="0.9", linewidth=0.8)
    ax.set_axisbelow(True)


def log_axis(ax: Axes, values: ArrayLike) -> None:
    """A horizontal axis on a log scale, with ticks at these values and nowhere between."""
    tried = np.unique(values)
    ax.set_xscale("log")
    ax.set_xticks(tried, labels=[f"{value:g}" for value in tried])
    ax.minorticks_off()


def axes_size(ax: Axes) -> tuple[float, float]:
    """Width and height of the axes in points."""
    points = ax.get_window_extent().size * 72 / ax.figure.dpi
    return float(points[0]), float(points[1])


def points_a_unit(ax: Axes, width: float, height: float) -> float:
    """Points of the axes for each unit of something so large that is shown in them, whole and undistorted."""
    across, up = axes_size(ax)
    return min(across / width, up / height)


def fitting(ax: Axes, fontsize: float) -> float:
    """That size, or a smaller one in axes narrower than three inches."""
    return min(fontsize, max(6.5, axes_size(ax)[0] / 22))


def letters(ax: Axes, fontsize: float) -> int:
    """How many letters of this size, about, have room beside each other over the axes."""
    return max(12, int(axes_size(ax)[0] / (0.58 * fontsize)))


def headline(ax: Axes, text: str, fontsize: float = 10) -> None:
    """A title on the left, no wider than the axes. A title that the axes have stays as it is, alone."""
    if ax.get_title():
        return
    fontsize = fitting(ax, fontsize)
    lines = (textwrap.fill(line, letters(ax, fontsize)) for line in text.splitlines())
    ax.set_title("\n".join(lines), loc="left", fontsize=fontsize)


def below(
    ax: Axes, title: str | None = None, *, handles: list | None = None, drop: float = 38, columns: int | None = None
) -> None:
    """A legend under the axis, `drop` points below it and no wider: an entry a line, and more columns the more of them
    there are, or as many `columns` as there is room for."""
    from matplotlib.transforms import ScaledTranslation

    handles = ax.get_legend_handles_labels()[0] if handles is None else handles
    if not handles:
        return
    n, fontsize = len(handles), fitting(ax, 8)
    frame = 6  # letters that the sample of an entry takes
    room, longest = letters(ax, fontsize), frame + max(len(handle.get_label()) for handle in handles)
    ncols = max(1, min(columns or (1 if n < 6 else 2 if n < 13 else 3), room // longest))
    shift = ScaledTranslation(0, -drop / 72, ax.figure.dpi_scale_trans)
    legend = ax.legend(
        handles=handles,
        loc="upper left",
        bbox_to_anchor=(0, 0),
        bbox_transform=ax.transAxes + shift,
        borderaxespad=0,
        ncols=ncols,
        frameon=False,
        fontsize=fontsize,
        handlelength=3.2 if n > len(COLOURS) else None,  # then some lines are dashed
        title=title,
        title_fontsize=fontsize,
        alignment="left",
    )
    for text in legend.get_texts():
        text.set_text(textwrap.fill(text.get_text(), max(8, room // ncols - frame)))


# --- Results over seeds ---


def need_columns(frame: pd.DataFrame, columns: tuple[str, ...], name: str = "frame") -> None:
    if not hasattr(frame, "columns"):
        raise TypeError(f"{name} must be a DataFrame, got {type(frame).__name__}")
    if missing := [column for column in columns if column not in frame.columns]:
        raise ValueError(f"{name} lacks the columns {missing}: it has {list(frame.columns)}")
    if frame.empty:
        raise ValueError(f"{name} must have at least one row")


def over_seeds(frame: pd.DataFrame, x: str, y: str, level: float) -> Floats:
    """Rows (x, mean, low, high) over the seeds, sorted by x; the repeats of a seed are averaged first."""
    per_seed = frame.groupby([x, "seed"])[y].mean()
    return np.array(
        [
            (position, *analysis.mean_interval(values.to_numpy(), level)[:3])
            for position, values in per_seed.groupby(level=0)
        ]
    )


def curves(frame: pd.DataFrame, x: str, y: str, ax: Axes, level: float) -> None:
    from matplotlib.ticker import PercentFormatter

    need_columns(frame, ("model", x, y, "seed"))
    for i, (model, part) in enumerate(frame.groupby("model", sort=False)):
        position, mean, low, high = over_seeds(part, x, y, level).T
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]
        dash = "-" if i < len(COLOURS) else "--"
        ax.plot(position, mean, dash, color=colour, marker=marker, markersize=5, linewidth=1.8, label=model)
        ax.fill_between(position, np.clip(low, 0, 1), np.clip(high, 0, 1), color=colour, alpha=0.18, lw=0)
    ax.set_ylim(-0.02, 1.02)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    below(ax)
    tidy(ax)


def evidence(frame: pd.DataFrame, level: float) -> str:
    """What a curve and its band are."""
    n = frame["seed"].nunique()
    return f"mean, {level:.0%} interval over {n} seeds" if n > 1 else "one seed"


def bars(frame: pd.DataFrame, value: str, ax: Axes, level: float, of: str) -> None:
    """Mean of `value` by model as a bar with its interval over the groups `of`, each group a dot."""
    from matplotlib.ticker import PercentFormatter

    need_columns(frame, ("model", value, of))
    labels = []
    for place, model in enumerate(dict.fromkeys(frame["model"])):
        values = frame[frame["model"] == model].groupby(of)[value].mean().to_numpy(float)
        interval = analysis.mean_interval(values, level)
        error = None if np.isnan(interval.half_width) else interval.half_width
        ax.barh(place, interval.mean, xerr=error, height=0.6, color=SKY, ecolor=BLACK, capsize=3)
        ax.plot(values, np.full(values.size, place + 0.18), "o", color=BLUE, markersize=3.5)  # beside the interval
        labels.append(f"{model}  {interval.mean:.1%}")
    ax.set_yticks(range(len(labels)), labels=labels)
    ax.invert_yaxis()
    ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    tidy(ax, grid="x")
