"""How accuracy grows while a network learns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._style import COLOURS, GREY, axes, below, need_columns, tidy

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
    ax.set_title(f"Learning\n{stages}", loc="left", fontsize=10)
    tidy(ax)
    return ax
