"""How a row of features is an image."""

from __future__ import annotations

import math

__all__ = ["resolve_shape"]


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
