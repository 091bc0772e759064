"""Formats in which data sets of images are published: IDX and CIFAR-10's records, checked as they are read."""

from __future__ import annotations

import math
import struct

import numpy as np
from numpy.typing import NDArray

from .dataset_files import DatasetCorruptError

__all__ = ["as_unit_interval", "cifar_records", "idx", "idx_size"]

#: Type code of unsigned bytes in IDX, the only one that images and labels have.
UNSIGNED_BYTE = 8


def idx_size(*shape: int) -> int:
    """Bytes of an IDX file of unsigned bytes of a shape."""
    return 4 + 4 * len(shape) + math.prod(shape)


def idx(content: bytes, what: object, *shape: int) -> NDArray[np.uint8]:
    """An array in IDX (yann.lecun.com/exdb/mnist): zero, zero, the type, the number of dimensions, these, the values.

    Parameters
    ----------
    content : bytes
    what : object
        By whose name it is refused.
    *shape : int
        Of each item.

    Returns
    -------
    ndarray of shape (n, *shape), uint8, read-only

    Raises
    ------
    DatasetCorruptError
        Another type or shape, or more or fewer values than these make.
    """
    n_dim = 1 + len(shape)
    header = 4 + 4 * n_dim
    if len(content) < header or content[:4] != bytes([0, 0, UNSIGNED_BYTE, n_dim]):
        raise DatasetCorruptError(f"{what} is corrupt: no IDX file of unsigned bytes in {n_dim} dimensions")
    found = struct.unpack(f">{n_dim}I", content[4:header])
    if found[1:] != shape or len(content) - header != math.prod(found):
        raise DatasetCorruptError(
            f"{what} is corrupt: {len(content) - header} values for shape {found}, whose items should be {shape}"
        )
    return np.frombuffer(content, np.uint8, offset=header).reshape(found)


def cifar_records(
    content: bytes, what: object, n: int, image_shape: tuple[int, ...], n_classes: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Images ``(n, features)`` and labels of a batch of CIFAR-10, binary version: records of a label and colour planes.

    Raises
    ------
    DatasetCorruptError
        Another size than that of ``n`` records, or a label that is none of ``n_classes``.
    """
    height, width, channels = image_shape
    expected = n * (1 + height * width * channels)
    if len(content) != expected:
        raise DatasetCorruptError(f"{what} is corrupt: {len(content)} bytes, expected {expected}")
    records = np.frombuffer(content, np.uint8).reshape(n, -1)
    labels, planes = records[:, 0], records[:, 1:].reshape(n, channels, height, width)
    if labels.max() >= n_classes:
        raise DatasetCorruptError(f"{what} is corrupt: label {labels.max()} at record {labels.argmax()}")
    # The file keeps the colours apart, (channel, row, column); image_shape is (row, column, channel).
    return planes.transpose(0, 2, 3, 1).reshape(n, -1), labels


def as_unit_interval(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Intensities in [0, 1], an image a row."""
    return np.ascontiguousarray(np.divide(pixels.reshape(len(pixels), -1), 255, dtype=np.float32))
