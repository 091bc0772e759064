"""What experiments leave behind: a folder, tables in it, and figures."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...files import write_atomically
from .. import UserError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_into", "folder_for_results", "new_figure", "save", "write_frame"]


@contextmanager
def folder_for_results(out: Path) -> Iterator[None]:
    """Make the folder, before any work is done for it; what fails there and in the block is said of the folder."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise UserError(f"cannot keep results in {out}: {error.strerror or error}") from error


def write_frame(frame: pd.DataFrame, path: Path) -> Path:
    """A table as CSV, whole or not at all."""
    buffer = io.StringIO()
    frame.to_csv(buffer, index=False)
    write_atomically(path, buffer.getvalue())
    return path


def draw_into(path: Path, draw: Callable[[Axes], Any]) -> Path:
    """What ``draw(ax)`` draws, as a picture."""
    figure = new_figure(7.2, 4.6)
    draw(figure.subplots())
    return save(figure, path)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches."""
    from matplotlib.figure import Figure  # not pyplot: no window, no state

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path) -> Path:
    """The figure as a picture."""
    figure.savefig(path, dpi=150)
    return path
