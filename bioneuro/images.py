"""How a row of features is an image."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .checks import on_host

__all__ = [
    "Given",
    "given_rows",
    "gray_shape_of",
    "image_shape_of",
    "like_a_table",
    "resolve_shape",
    "row_or_image",
    "with_channels",
]

#: Channels that an image may have: gray, two of anything, colours, colours and opacity.
MOST_CHANNELS = 4
#: How much more alike neighbouring pixels are than distant ones, in mean correlation, if rows are images.
LEAST_LIKENESS = 0.1
#: Rows that are looked at to tell.
ENOUGH = 500


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


class Given(NamedTuple):
    """What a model is given: rows, in whatever type; the shape of the images they came as, if they did; and whether
    their values are bytes, 0 to 255."""

    rows: Any
    shape: tuple[int, ...] | None
    in_bytes: bool


def given_rows(X: Any) -> Given:
    """Rows out of what may be images, (n, height, width) or (n, height, width, channels), in arrays of any library.

    Raises
    ------
    ValueError
        Images whose channels come first, or arrays of more dimensions.
    """
    X = on_host(X)
    shape, in_bytes = np.shape(X) if isinstance(X, np.ndarray) else (), getattr(X, "dtype", None) == np.uint8
    if len(shape) < 3:
        return Given(X, None, in_bytes)
    if len(shape) == 3 or (len(shape) == 4 and shape[-1] <= MOST_CHANNELS):
        return Given(X.reshape(len(X), -1), shape[1:], in_bytes)
    hint = "pass rows, X.reshape(len(X), -1), and say by image_shape how a row is an image"
    if len(shape) == 4 and shape[1] <= MOST_CHANNELS:
        hint = f"channels seem to come first in {shape[1:]}: pass np.moveaxis(X, 1, -1)"
    forms = "(n, features), (n, height, width) or (n, height, width, channels)"
    raise ValueError(f"X must be {forms}, got shape {shape}: {hint}")


def like_a_table(X: NDArray, shape: tuple[int, ...]) -> bool:
    """Whether neighbouring pixels of rows ``X (n, height x width)`` are no more alike than any two columns are."""
    Z = np.asarray(X[:ENOUGH], float)
    Z = Z - Z.mean(axis=0)
    sd = Z.std(axis=0)
    Z /= np.where(sd > 0, sd, np.inf)
    images = Z.reshape(len(Z), *shape)
    seen = (sd > 0).reshape(shape)
    alike = [
        (images[:, 1:] * images[:, :-1]).mean(axis=0)[seen[1:] & seen[:-1]],
        (images[:, :, 1:] * images[:, :, :-1]).mean(axis=0)[seen[:, 1:] & seen[:, :-1]],
    ]
    neighbours = np.concatenate(alike)
    live = np.flatnonzero(sd > 0)
    others = np.random.default_rng(0).permutation(live)
    distant = (Z[:, live] * Z[:, others]).mean(axis=0)[live != others]
    if not (neighbours.size and distant.size):
        return False
    return bool(neighbours.mean() < distant.mean() + LEAST_LIKENESS)


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
