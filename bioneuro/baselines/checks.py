"""Checks of parameters and labels that the baselines share."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_count", "check_number", "class_index"]


def class_index(y: NDArray, classes: NDArray) -> NDArray[np.intp]:
    """Position of each label in the sorted ``classes``."""
    unseen = np.flatnonzero(~np.isin(y, classes))
    if unseen.size:
        raise ValueError(f"y must hold labels out of classes_, but y[{unseen[0]}] = {y[unseen[0]]!r}")
    return np.searchsorted(classes, y)


def check_count(name: str, value: Any, low: int = 1) -> None:
    if not isinstance(value, Integral) or value < low:
        raise ValueError(f"{name} must be an integer >= {low}, got {value!r}")


def check_number(name: str, value: Any, low: Literal["> 0", ">= 0"]) -> None:
    if not isinstance(value, Real) or not np.isfinite(value) or value < 0 or (value == 0 and low == "> 0"):
        raise ValueError(f"{name} must be a finite number {low}, got {value!r}")
