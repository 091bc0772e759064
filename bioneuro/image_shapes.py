"""How a row of features is an image."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

__all__ = ["gray_shape_of", "image_shape_of", "resolve_shape", "row_or_image", "with_channels"]


def image_shape_of(image_shape: Any, n_features: int, *, smallest: int = 1) -> tuple[int, ...] | None:
    """The image shape that a parameter ``image_shape`` means for rows of so many features: resolved here only.

    Parameters
    ----------
    image_shape : "auto", None, (height, width) or (height, width, channels)
        ``"auto"``: a square gray image if the number of features is a square, else a plain vector.
    n_features : int
    smallest : int
        Side below which a square is not taken for an image.

    Returns
    -------
    tuple of int, or None for a plain vector

    Raises
    ------
    ValueError
        Not a shape, or one of another number of features.
    """
    if image_shape is None:
        return None
    if isinstance(image_shape, str) and image_shape == "auto":
        side = math.isqrt(n_features)
        return (side, side) if side * side == n_features and side >= smallest else None
    try:
        shape = None if isinstance(image_shape, str) else tuple(image_shape)
    except TypeError:
        shape = None
    if shape is None or len(shape) not in (2, 3) or not all(isinstance(n, Integral) and int(n) >= 1 for n in shape):
        raise ValueError(f"image_shape must be 'auto', None or (height, width[, channels]), got {image_shape!r}")
    shape = tuple(int(n) for n in shape)
    if math.prod(shape) != n_features:
        raise ValueError(f"image_shape must have a product of {n_features} features, got {shape}")
    return shape


def gray_shape_of(image_shape: Any, n_features: int) -> tuple[int, int]:
    """:func:`image_shape_of` where only (height, width) will do."""
    shape = image_shape_of(image_shape, n_features)
    if shape is None or len(shape) != 2:
        raise ValueError(f"image_shape must be (height, width), got {image_shape!r}")
    return shape


def with_channels(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Height, width and channels, 1 where none are named."""
    height, width, channels = (*shape, 1)[:3]
    return height, width, channels


def row_or_image(image_shape: Any, n_features: int) -> tuple[int, int, int]:
    """:func:`image_shape_of` with channels; a plain vector is an image of one row."""
    return with_channels(image_shape_of(image_shape, n_features) or (1, n_features))


def resolve_shape(
    features: int, shape: tuple[int, ...] | None = None, model: object | None = None
) -> tuple[int, int, int]:
    """Height, width and channels of rows that a model is given: ``shape``, else ``model.image_shape_`` if there is one,
    else what "auto" is in :func:`image_shape_of`; a plain vector is an image one feature wide.

    Raises
    ------
    ValueError
        The shape does not fit.
    """
    named = shape or getattr(model, "image_shape_", None) or "auto"
    return with_channels(image_shape_of(named, features) or (features, 1))
