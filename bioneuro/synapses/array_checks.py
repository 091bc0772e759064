"""What arrays of weights and rates must be: kind, dtype, layout, range. Nothing is cast in silence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..threads import Threads

__all__ = ["check_array", "check_batch", "check_range", "check_vector", "largest_magnitude"]


def check_array(array: Any, name: str, dtypes: tuple[np.dtype, ...], ndim: int = 1) -> None:
    """A C-contiguous ndarray of one of ``dtypes`` (native byte order) and ``ndim`` dimensions."""
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a NumPy array of {_either(dtypes)}, got {type(array).__name__}")
    if array.dtype not in dtypes:
        raise TypeError(f"{name} must be {_either(dtypes)}, got {array.dtype}: cast it with astype({str(dtypes[0])!r})")
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension{'s' * (ndim > 1)}, got shape {array.shape}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous: use np.ascontiguousarray({name})")


def check_vector(array: Any, name: str, size: int, dtype: np.dtype) -> None:
    """A vector of ``size`` entries."""
    check_array(array, name, (dtype,))
    if len(array) != size:
        raise ValueError(f"{name} must have shape ({size},), got {array.shape}")


def check_batch(array: Any, name: str, width: int, dtype: np.dtype) -> None:
    """A matrix of ``width`` columns and any number of rows."""
    check_array(array, name, (dtype,), ndim=2)
    if array.shape[1] != width:
        raise ValueError(f"{name} must have shape (batch, {width}), got {array.shape}")


def _either(dtypes: tuple[np.dtype, ...]) -> str:
    return " or ".join(map(str, dtypes))


def largest_magnitude(array: NDArray, n_threads: Threads) -> float:
    """Largest magnitude; NaN if there is one."""
    return max(map(abs, _core.minmax(array, n_threads=n_threads))) if array.size else 0.0


def check_range(array: NDArray, name: str, low: float, n_threads: Threads) -> float:
    """Finite and >= ``low``; returns the largest magnitude."""
    if not array.size:
        return 0.0
    smallest, largest = _core.minmax(array, n_threads=n_threads)
    if np.isfinite((smallest, largest)).all() and smallest >= low:
        return max(-smallest, largest)
    k = tuple(int(i) for i in np.argwhere(~(np.isfinite(array) & (array >= low)))[0])
    bound = "finite" if low == -np.inf else f"finite and >= {low:g}"
    raise ValueError(f"{name} must be {bound}, but {name}[{', '.join(map(str, k))}] = {array[k]}")
