"""Learning one task after another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from ..checks import plain_array
from ._style import axes, curves, evidence, headline, need_columns

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


def continual_curve(frame: pd.DataFrame, ax: Axes | None = None, *, level: float = 0.95) -> Axes:
    """Accuracy after each part of a stream on the tasks so far: mean and Student interval over seeds, by model.

    Parameters
    ----------
    frame : DataFrame
        Columns `model`, `seed`, `part`, `task`, `accuracy` (0 to 1): :func:`bioneuro.continual.compare`.
    ax : Axes, optional
    level : float
        Of the band; a single seed has none.

    Returns
    -------
    Axes
    """
    need_columns(frame, ("model", "seed", "part", "task", "accuracy"))
    ax = axes(ax)
    seen = frame[frame["task"] <= frame["part"]].assign(parts=lambda rows: rows["part"] + 1)
    curves(seen, "parts", "accuracy", ax, level)
    ax.set_xticks(np.unique(seen["parts"]))
    ax.set(xlabel="parts of the stream shown", ylabel="accuracy on their tasks")
    headline(ax, f"Learning one task after another\n{evidence(frame, level)}")
    return ax


def task_matrix(accuracy: ArrayLike, ax: Axes | None = None) -> Axes:
    """Accuracies after each part (rows) on each task, as a heat map with numbers.

    Parameters
    ----------
    accuracy : array_like, (n_parts, n_tasks)
        In [0, 1]: `Result.accuracy`.
    ax : Axes, optional

    Returns
    -------
    Axes
    """
    R = plain_array(accuracy, "accuracy", np.float64)
    if R.ndim != 2 or not R.size:
        raise ValueError(f"accuracy must be (n_parts, n_tasks), got shape {R.shape}")
    ax = axes(ax, (4.6, 4.0))
    ax.imshow(R, cmap="cividis", vmin=0, vmax=1)
    for (part, task), value in np.ndenumerate(R):
        ax.text(
            task, part, f"{100 * value:.0f}", ha="center", va="center", color="w" if value < 0.6 else "k", fontsize=8
        )
    ax.set_xticks(range(R.shape[1]), labels=[str(task + 1) for task in range(R.shape[1])])
    ax.set_yticks(range(R.shape[0]), labels=[str(part + 1) for part in range(R.shape[0])])
    ax.set(xlabel="tested on task", ylabel="after part")
    headline(ax, "Accuracy, %")
    return ax
