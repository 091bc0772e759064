"""Rows of an array that is not in memory: read a block at a time, or those whose numbers are asked for.

Learning takes rows in minibatches, by number. So nothing else need know whether they are in memory, in a file, or in
the chunks of a Dask array.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["DaskRows", "MappedRows", "OneHot", "Rows", "StoredRows", "opened"]

#: Memory maps up to this size are read at once, and features up to it are kept in memory, in bytes.
IN_MEMORY = 256 * 2**20

#: Rows by their numbers, or a range of them.
Numbers: TypeAlias = slice | NDArray[np.integer]


class Rows(Protocol):
    """Rows of a matrix; what is asked for is a copy in memory."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Numbers, /) -> NDArray: ...


def opened(X: Any, dtype: DTypeLike) -> Rows | None:
    """The rows, as ``dtype``, of a large memory map or a Dask array; None of anything else."""
    if isinstance(X, np.memmap) and X.ndim == 2 and X.nbytes > IN_MEMORY:
        return MappedRows(X, dtype)
    if type(X).__module__.startswith("dask.array") and X.ndim == 2:
        return DaskRows(X, dtype)
    return None


class MappedRows:
    """Of a memory map, whose pages leave the process once they have been read: it holds one block at most."""

    def __init__(self, X: np.memmap, dtype: DTypeLike) -> None:
        self._map, self.dtype = X, np.dtype(dtype)
        self.shape = X.shape

    def __len__(self) -> int:
        return len(self._map)

    def __getitem__(self, rows: Numbers) -> NDArray:
        found = np.array(self._map[rows], self.dtype, order="C", subok=False)
        source: Any = self._map
        mapped = getattr(source, "_mmap", None)
        if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapped.madvise(mmap.MADV_DONTNEED)
        return found


class DaskRows:
    """Of a Dask array, computed by its client, or on this machine where it has none."""

    def __init__(self, X: Any, dtype: DTypeLike) -> None:
        if not all(np.isfinite(length) for length in X.shape):
            raise ValueError(f"X must be of known shape, got {X.shape}: call X.compute_chunk_sizes() first")
        self.array = X.astype(dtype)
        self.shape: tuple[int, ...] = X.shape

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Numbers) -> NDArray:
        if isinstance(rows, slice):
            return np.asarray(self.array[rows].compute())
        order, back = np.unique(rows, return_inverse=True)  # a chunk is then computed once
        return np.asarray(self.array[order].compute())[back]


class StoredRows:
    """Rows that are written one block after another into a nameless file in the folder of temporary files.

    They are read without a memory map, so that what is read stays out of this process; a row costs one call of the
    system.
    """

    def __init__(self, n_columns: int, dtype: DTypeLike) -> None:
        self.dtype = np.dtype(dtype)
        self._file = tempfile.TemporaryFile()
        weakref.finalize(self, self._file.close)
        self._n_rows, self._n_columns = 0, n_columns

    @property
    def shape(self) -> tuple[int, int]:
        """Rows so far, and columns."""
        return self._n_rows, self._n_columns

    def __len__(self) -> int:
        return self._n_rows

    def append(self, block: NDArray) -> None:
        """Write more rows."""
        self._file.write(np.ascontiguousarray(block, self.dtype).data)
        self._n_rows += len(block)

    def __getitem__(self, rows: Numbers) -> NDArray:
        self._file.flush()
        size, number = self._n_columns * self.dtype.itemsize, self._file.fileno()
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            found = np.empty((max(0, stop - start), self._n_columns), self.dtype)
            _read(number, found, start * size)
            return found[::step]
        found = np.empty((len(rows), self._n_columns), self.dtype)
        for row, place in zip(found, rows, strict=True):
            _read(number, row, int(place) * size)
        return found


class OneHot:
    """One-hot labels, made when they are asked for."""

    def __init__(self, codes: NDArray[np.integer], n_classes: int, dtype: DTypeLike) -> None:
        self._codes, self._rows = codes, np.eye(n_classes, dtype=dtype)
        self.shape = len(codes), n_classes

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, rows: Numbers) -> NDArray:
        return self._rows[self._codes[rows]]


def _read(number: int, into: NDArray, offset: int) -> None:
    """Fill an array from a file; a call of the system may give less than it was asked for."""
    left = into.data.cast("B") if into.size else memoryview(b"")
    while left:
        n = os.preadv(number, [left], offset)
        if not n:
            raise OSError("the file of features has been cut short")
        left, offset = left[n:], offset + n
