"""How a row of features is an image."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["image_shape_of", "resolve_shape"]


def resolve_shape(
    features: int, shape: tuple[int, ...] | None = None, model: object | None = None
) -> tuple[int, int, int]:
    """Height, width and channels of the images that rows of so many features are, in C order.

    Parameters
    ----------
    features : int
    shape : (height, width) or (height, width, channels), optional
        None takes ``model.image_shape_`` if there is one, else a square grey image if the number of features is a
        square, else a plain vector: an image one feature wide.
    model : object, optional

    Raises
    ------
    ValueError
        The shape does not fit.
    """
    shape = shape or getattr(model, "image_shape_", None)
    if shape is None:
        side = math.isqrt(features)
        shape = (side, side) if side**2 == features else (features, 1)
    if len(shape) not in (2, 3) or math.prod(shape) != features:
        raise ValueError(f"image_shape {tuple(shape)} does not fit {features} features")
    height, width, channels = (*shape, 1)[:3]
    return height, width, channels


def image_shape_of(image_shape: Any, n_features: int) -> tuple[int, int, int]:
    """A parameter ``image_shape`` as (height, width, channels) that make ``n_features``.

    "auto" is a square if that fits, else an image of one row.
    """
    if isinstance(image_shape, str) and image_shape == "auto":
        side = math.isqrt(n_features)
        return (side, side, 1) if side * side == n_features else (1, n_features, 1)
    if not isinstance(image_shape, tuple | list) or len(image_shape) not in (2, 3):
        raise ValueError(f"image_shape must be 'auto' or (height, width[, channels]), got {image_shape!r}")
    if math.prod(image_shape) != n_features or min(image_shape) < 1:
        raise ValueError(f"image_shape must have a product of {n_features} features, got {tuple(image_shape)}")
    height, width, channels = (*image_shape, 1)[:3]
    return height, width, channels
