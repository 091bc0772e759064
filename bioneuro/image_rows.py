"""Rows that may be images: taken in any form, told from the rows of a table, and checked."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .checks import on_host
from .estimators import check_unit_interval
from .image_shapes import image_shape_of, with_channels

__all__ = ["Given", "check_pixels", "given_rows", "shape_of_rows"]

#: Side in pixels below which a square number of features is not taken for an image.
SMALLEST_IMAGE = 6
#: Channels that an image may have: gray, two of anything, colours, colours and opacity.
MOST_CHANNELS = 4
#: How much more alike neighbouring pixels are than distant ones, in mean correlation, if rows are images.
LEAST_LIKENESS = 0.1
#: Rows that are looked at to tell.
ENOUGH = 500


class Given(NamedTuple):
    """What a model is given: rows, in whatever type; the shape of the images they came as, if they did; and whether
    their values are bytes, 0 to 255."""

    rows: Any
    shape: tuple[int, ...] | None
    in_bytes: bool

    def check(self, X: NDArray, wanted: tuple[int, ...] | None) -> None:
        """Raise ValueError unless these, as rows ``X``, are images of the wanted shape, or plain vectors where it is
        None."""
        shape = self.shape
        if shape is not None and (wanted is None or with_channels(shape) != with_channels(wanted)):
            raise ValueError(f"X must be images of image_shape {wanted}, got images of {shape}")
        if wanted is not None:
            check_pixels(X, "pass X / 255" if self.in_bytes else "rescale it")


def given_rows(X: Any) -> Given:
    """Rows out of what may be images, (n, height, width) or (n, height, width, channels), in arrays of any library.

    Raises
    ------
    ValueError
        Images whose channels come first, or arrays of more dimensions.
    """
    X = np.asarray(X) if isinstance(X, list | tuple) and np.ndim(X[:1]) > 2 else on_host(X)
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


def shape_of_rows(image_shape: Any, given: Given, X: NDArray) -> tuple[int, ...] | None:
    """How a row of ``X``, made of what was given, is an image. Warns where the rows speak against a guess.

    Parameters
    ----------
    image_shape : "auto", None, (height, width) or (height, width, channels)
        As in :func:`bioneuro.image_shapes.image_shape_of`, except that "auto" is the shape of images given as such.
    given : Given
    X : array (n, n_features)

    Raises
    ------
    ValueError
        Not a shape, or one of another number of features.
    """
    n_features = X.shape[1]
    if not (isinstance(image_shape, str) and image_shape == "auto"):
        return image_shape_of(image_shape, n_features)
    found = image_shape_of(given.shape or "auto", n_features, smallest=SMALLEST_IMAGE)
    if found is None or given.shape is not None or not like_a_table(X, found):
        return found
    warnings.warn(
        f"X has {n_features} features, which image_shape='auto' takes for images of {found[0]} x {found[1]} "
        "pixels, but neighbouring pixels are no more alike than distant ones: pass image_shape=None for plain "
        f"feature vectors, or image_shape={found} if they are images",
        stacklevel=2,
    )
    return found


def check_pixels(X: NDArray, remedy: str = "rescale it", first: int = 0) -> None:
    """Raise ValueError unless rows of images lie in [0, 1]; ``first`` is the number of the first row."""
    advice = f"{remedy}, or pass image_shape=None for plain feature vectors"
    check_unit_interval(X, "for images", advice, first)


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
