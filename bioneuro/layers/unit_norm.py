"""Unit norm: the encoder of rates that need neither retina nor adaptation."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._attributes import Count, Floating
from ..checks import check_count, check_width
from ..network_table import PrintedBySizes
from .numeric_limits import check_magnitude


class UnitNorm(PrintedBySizes):
    """Divisive normalisation alone: ``h = x / |x|``, ``|x|^2 = sum x^2 + 1e-8``, for inputs that are rates (>= 0).

    One feature an input, so a synapse of the next layer belongs to one input, such as a pixel.

    Parameters
    ----------
    n_inputs : int
    dtype : dtype
    """

    SAVED: ClassVar = {"n_features": Count(1), "dtype": Floating()}
    learns_from: ClassVar[str] = "batches"

    def __init__(self, n_inputs: int, dtype: DTypeLike = np.float32) -> None:
        check_count("n_inputs", n_inputs)
        self.n_features = int(n_inputs)
        self.dtype = np.dtype(dtype)

    @property
    def n_inputs(self) -> int:
        """Inputs that it scales."""
        return self.n_features

    def learn(self, X: ArrayLike, **_: Any) -> UnitNorm:
        """There is nothing to learn."""
        return self

    def _norm(self, X: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        X = np.asarray(X, float)
        check_width(X, self.n_inputs)
        if X.size and X.min() < 0:
            i, j = np.argwhere(X < 0)[0]
            raise ValueError(f"X must be >= 0 (rates), but X[{i}, {j}] = {X[i, j]}")
        check_magnitude(X, "X")
        return X, np.sqrt((X * X).sum(axis=1, keepdims=True) + 1e-8)

    def encode(self, X: ArrayLike) -> NDArray:
        """Features ``h (n, n_inputs)`` of ``X (n, n_inputs)``."""
        X, norm = self._norm(X)
        return (X / norm).astype(self.dtype)

    def encode_grad(self, X: ArrayLike, dH: NDArray) -> NDArray:
        """Gradient of :meth:`encode` with respect to ``X``."""
        X, norm = self._norm(X)
        return unit_norm_grad(X, norm, dH).astype(self.dtype)


def unit_norm_grad(z: NDArray, norm: NDArray, dH: NDArray) -> NDArray:
    """Gradient of ``h = z / |z|`` with respect to the rows ``z``, given their norms ``(n, 1)`` and that by ``h``."""
    return (dH - z * (dH * z).sum(axis=1, keepdims=True) / norm**2) / norm
