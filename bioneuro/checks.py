"""Checks of parameters: errors that name the parameter, what is expected and what was given."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, Literal

import numpy as np

__all__ = ["check_count", "check_dtype", "check_number"]


def check_count(name: str, value: Any, low: int = 1) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < low:
        raise ValueError(f"{name} must be an integer >= {low}, got {value!r}")


def check_number(name: str, value: Any, low: Literal["> 0", ">= 0"]) -> None:
    if not isinstance(value, Real) or not np.isfinite(float(value)) or value < 0 or (value == 0 and low == "> 0"):
        raise ValueError(f"{name} must be a finite number {low}, got {value!r}")


def check_dtype(dtype: Any) -> None:
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
