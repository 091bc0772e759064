"""Which classes are for what: disjoint splits with a hash to record, and turned images as new classes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import check_labels, plain_array
from ..image_shapes import image_shape_of
from ..seeds import generator_from

#: What the turns of :func:`with_rotations` are, in quarters.
QUARTER_TURNS = (0, 1, 2, 3)


class ClassSplit(NamedTuple):
    """Result of :func:`split_classes`.

    Attributes
    ----------
    train, validation, test : ndarray
        Labels, none of them in two of the three.
    sha256 : str
        Hash of that division.
    """

    train: NDArray
    validation: NDArray
    test: NDArray
    sha256: str


def split_classes(
    y: ArrayLike, shares: Sequence[float] = (0.6, 0.2, 0.2), random_state: int | np.random.Generator | None = 0
) -> ClassSplit:
    """Divide the classes, not the images, at random into those for training, validation and test.

    Parameters
    ----------
    y : array-like of shape (n,)
        Labels; their number of images does not matter.
    shares : three floats >= 0 of sum 1
        Of the classes; a part whose share is above 0 has at least one class.
    random_state : int, Generator or None

    Returns
    -------
    ClassSplit
        Sorted labels; ``sha256`` is the same exactly where all three parts are.

    Raises
    ------
    ValueError
        Shares that are not three numbers >= 0 of sum 1, or fewer classes than parts.
    """
    check_labels(y)
    classes = np.unique(plain_array(y, "y"))
    parts = np.asarray(shares, float)
    if parts.shape != (3,) or not (parts >= 0).all() or not np.isclose(parts.sum(), 1):
        raise ValueError(f"shares must be three numbers >= 0 of sum 1, got {tuple(np.ravel(parts).tolist())}")
    if len(classes) < np.count_nonzero(parts):
        raise ValueError(f"y must have a class for each of {np.count_nonzero(parts)} parts, got {len(classes)}")
    counts = np.floor(parts * len(classes)).astype(int)
    counts = np.maximum(counts, parts > 0)
    while (rest := len(classes) - counts.sum()) != 0:  # to, or from, the part that is furthest from its share
        lack = np.where(parts > 0, parts * len(classes) - counts, -np.inf if rest > 0 else np.inf)
        if rest < 0:
            lack[counts == 1] = np.inf
        counts[lack.argmax() if rest > 0 else lack.argmin()] += np.sign(rest)
    drawn = generator_from(random_state).permutation(classes)
    train, validation, test = (np.sort(part) for part in np.split(drawn, np.cumsum(counts)[:-1]))
    return ClassSplit(train, validation, test, labels_sha256(train, validation, test))


def labels_sha256(*parts: NDArray) -> str:
    """SHA-256 of sets of labels; it depends on what they print as, not on their type or order."""
    text = "\n\n".join("\n".join(sorted(map(str, np.unique(part).tolist()))) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()


def with_rotations(
    X: ArrayLike, y: ArrayLike, image_shape: tuple[int, ...], turns: Sequence[int] = QUARTER_TURNS
) -> tuple[NDArray, NDArray[np.int64]]:
    """Every image turned by quarters, each turn of a class a class of its own: Omniglot's customary augmentation.

    Divide the classes first (:func:`split_classes`) and turn the parts: a turned character is no new one.

    Parameters
    ----------
    X : array-like of shape (n, features)
    y : array-like of shape (n,)
    image_shape : (side, side) or (side, side, channels)
        With a product of ``features``.
    turns : sequence of int
        Quarter turns counterclockwise, each once; 0 keeps the images as they are.

    Returns
    -------
    X, y : ndarrays of shape (n len(turns), features) and (n len(turns),)
        Turn after turn. Class k of the sorted labels, turned by the i-th of ``turns``, has the label
        ``i n_classes + k``.

    Raises
    ------
    ValueError
        Images that are not square or do not fit ``image_shape``; turns that are not different mod 4.
    """
    X, y = plain_array(X, "X"), plain_array(y, "y")
    if X.ndim != 2 or y.shape != (len(X),):
        raise ValueError(f"X must be (n, features) and y (n,), got {X.shape} and {y.shape}")
    shape = image_shape_of(image_shape, X.shape[1])
    if shape is None or shape[0] != shape[1]:
        raise ValueError(f"image_shape must be that of square images, got {shape}")
    check_labels(y)
    whole = all(isinstance(turn, Integral) for turn in turns)
    if not len(turns) or not whole or len({turn % 4 for turn in turns}) < len(turns):
        raise ValueError(f"turns must be different quarters, got {tuple(turns)}")
    classes, index = np.unique(y, return_inverse=True)
    images = X.reshape(len(X), *shape)
    turned = [np.rot90(images, turn, axes=(1, 2)).reshape(X.shape) for turn in turns]
    labels = [index.astype(np.int64) + i * len(classes) for i in range(len(turns))]
    return np.concatenate(turned), np.concatenate(labels)
