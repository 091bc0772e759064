"""Checks of parameters that the baselines share."""

from __future__ import annotations

import math
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np

__all__ = ["check_count", "check_dtype", "check_number", "image_shape_of"]


def check_count(name: str, value: Any, low: int = 1) -> None:
    if not isinstance(value, Integral) or value < low:
        raise ValueError(f"{name} must be an integer >= {low}, got {value!r}")


def check_number(name: str, value: Any, low: Literal["> 0", ">= 0"]) -> None:
    if not isinstance(value, Real) or not np.isfinite(float(value)) or value < 0 or (value == 0 and low == "> 0"):
        raise ValueError(f"{name} must be a finite number {low}, got {value!r}")


def check_dtype(dtype: Any) -> None:
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")


def image_shape_of(image_shape: Any, n_features: int) -> tuple[int, int, int]:
    """(height, width, channels) that make ``n_features``; "auto": a square if that fits, else an image of one row."""
    if isinstance(image_shape, str) and image_shape == "auto":
        side = math.isqrt(n_features)
        return (side, side, 1) if side * side == n_features else (1, n_features, 1)
    if not isinstance(image_shape, tuple | list) or len(image_shape) not in (2, 3):
        raise ValueError(f"image_shape must be 'auto' or (height, width[, channels]), got {image_shape!r}")
    if math.prod(image_shape) != n_features or min(image_shape) < 1:
        raise ValueError(f"image_shape must have a product of {n_features} features, got {tuple(image_shape)}")
    height, width, channels = (*image_shape, 1)[:3]
    return height, width, channels
