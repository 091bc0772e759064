"""Figures that experiments write, as pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_into", "blank_figure", "save_picture"]


def draw_into(path: Path, draw: Callable[[Axes], Any]) -> Path:
    """What ``draw(ax)`` draws, as a picture."""
    figure = blank_figure(7.2, 4.6)
    draw(figure.subplots())
    return save_picture(figure, path)


def blank_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    from matplotlib.figure import Figure  # not pyplot: no window, no state

    return Figure(figsize=(width, height), layout="constrained")


def save_picture(figure: Figure, path: Path) -> Path:
    """The figure as a picture."""
    figure.savefig(path, dpi=150)
    return path
