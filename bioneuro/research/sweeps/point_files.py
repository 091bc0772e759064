"""One file a finished point, whole or not there, that knows when it has been damaged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...atomic_write import write_atomically
from .grid import Point

__all__ = ["CorruptPointError", "PointFiles", "Records", "records_of"]

#: What a point found: one or more rows of numbers, strings and None by column.
Records = list[dict[str, Any]]


class CorruptPointError(ValueError):
    """A file of a point that is not what was written."""


class PointFiles:
    """Files ``<key>.json`` of one folder.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """Of a point."""
        return self.folder / f"{key}.json"

    def keep(self, key: str, point: Point, rows: Records, seconds: float) -> None:
        """Write a finished point in one step."""
        content = json.dumps({"point": point, "rows": rows, "seconds": seconds}, sort_keys=True)
        write_atomically(self.path(key), json.dumps({"sha256": _digest(content), "content": content}) + "\n")

    def rows(self, key: str, point: Point) -> tuple[Records, float] | None:
        """Rows and seconds of a finished point; None if it is not there.

        Raises
        ------
        CorruptPointError
        """
        try:
            text = self.path(key).read_bytes()
        except FileNotFoundError:
            return None
        try:
            kept = json.loads(text)
            content = kept["content"]
            if _digest(content) != kept["sha256"]:
                raise ValueError("its checksum is another")
            found = json.loads(content)
            if json.dumps(found["point"], sort_keys=True) != json.dumps(point, sort_keys=True):
                raise ValueError(f"it is of the point {found['point']}")
            return found["rows"], found["seconds"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise CorruptPointError(f"{self.path(key)} is corrupt: {error}") from error


def records_of(value: Any, taken: Sequence[str] = ()) -> Records:
    """What a function returned as rows: a number, a dict of columns, a sequence of dicts or a DataFrame.

    Raises
    ------
    TypeError
        It is nothing of that kind, or holds a value that is no number, string or None.
    ValueError
        There is no row, or a column has the name of a parameter.
    """
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        value = value.to_dict("records")
    if _is_scalar(value):
        value = {"value": value}
    rows = [value] if isinstance(value, Mapping) else value
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not all(isinstance(row, Mapping) for row in rows):
        raise TypeError(f"the function must return a number, a dict, dicts or a DataFrame, got {type(value).__name__}")
    if not rows:
        raise ValueError("the function must return at least one row, got none")
    plain = [{str(name): _plain(cell, name) for name, cell in row.items()} for row in rows]
    if clash := sorted({name for row in plain for name in row} & {*taken}):
        raise ValueError(f"the function must not return a column named as a parameter, got {clash[0]!r}")
    return plain


def _is_scalar(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str | np.generic)


def _plain(cell: Any, name: Any) -> Any:
    if isinstance(cell, np.ndarray) and cell.ndim == 0:
        cell = cell[()]
    if not _is_scalar(cell):
        raise TypeError(f"column {name!r} must hold a number, string or None, got {type(cell).__name__}")
    cell = cell.item() if isinstance(cell, np.generic) else cell
    if not _is_scalar(cell) or isinstance(cell, np.generic):  # long double, dates
        raise TypeError(f"column {name!r} must hold a number, string or None, got {type(cell).__name__}")
    return cell


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()
