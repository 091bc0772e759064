"""Points of a sweep: what each is called with, the key of its content, and its own child of the seed sequence."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

__all__ = ["Grid", "Point", "child_of", "key_of", "points_of"]

#: Parameters of one call, by name.
Point: TypeAlias = dict[str, Any]
#: Values of each parameter, all of whose combinations are points; or the points themselves.
Grid: TypeAlias = Mapping[str, Iterable[Any]] | Iterable[Mapping[str, Any]]


def points_of(grid: Grid) -> list[Point]:
    """The points of a grid in its order, the last parameter fastest.

    Raises
    ------
    ValueError
        There is no point, one is there twice, or a value is none that a key could be made of.
    """
    if isinstance(grid, Mapping):
        for name, values in grid.items():
            if isinstance(values, str) or not isinstance(values, Iterable):
                raise ValueError(f"grid[{name!r}] must be a sequence of values, got {values!r}: write [{values!r}]")
        axes = [[(name, value) for value in values] for name, values in grid.items()]
        points = [dict(point) for point in itertools.product(*axes)]
    else:
        points = []
        for i, point in enumerate(grid):
            if not isinstance(point, Mapping):
                raise ValueError(f"grid must be a dict of sequences or a sequence of dicts, but grid[{i}] is {point!r}")
            points.append(dict(point))
    points = [{_name(name): _plain(value, name) for name, value in point.items()} for point in points]
    if not points:
        raise ValueError("grid must hold at least one point")
    seen: set[str] = set()
    for point in points:
        if (text := _text(point)) in seen:
            raise ValueError(f"grid holds {point} twice: to repeat points, add a parameter such as repeat=range(5)")
        seen.add(text)
    return points


def key_of(point: Point) -> str:
    """32 hexadecimal digits that depend on names and values alone, not on their order or on other points."""
    return hashlib.sha256(_text(point).encode()).hexdigest()[:32]


def child_of(seed: int, key: str) -> np.random.SeedSequence:
    """Child of ``SeedSequence(seed)`` of a key: the same whatever else is in the grid, and in any order."""
    return np.random.SeedSequence(seed, spawn_key=tuple(int(key[i : i + 8], 16) for i in range(0, len(key), 8)))


def _text(point: Point) -> str:
    return json.dumps(point, sort_keys=True)


def _name(name: Any) -> str:
    if not isinstance(name, str) or not name.isidentifier():
        raise ValueError(f"grid must name parameters of a function, got {name!r}")
    return name


def _plain(value: Any, name: str) -> Any:
    """In types that JSON has: an equal point has an equal key in every process and version."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple | list):
        return [_plain(part, name) for part in value]
    raise ValueError(
        f"grid[{name!r}] must hold numbers, strings, None or lists of these, got {type(value).__name__}: pass a name "
        "and look the object up in the function"
    )
