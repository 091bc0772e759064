"""Accuracy of models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._style import axes, bars, headline

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def accuracy_bars(frame: pd.DataFrame, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
    """Accuracy of each model as a bar with its Student interval; each seed is a dot.

    Parameters
    ----------
    frame : DataFrame
        Columns `model`, `accuracy` (0 to 1), `seed`.
    ax : Axes, optional
    level : float

    Returns
    -------
    Axes
    """
    ax = axes(ax)
    bars(frame, "accuracy", ax, level, "seed")
    ax.set(xlabel="test accuracy", xlim=(0, 1.02))
    several = frame["seed"].nunique() > 1
    headline(ax, f"Accuracy\n{f'mean, {level:.0%} interval; dots are seeds' if several else 'one seed'}")
    return ax
