"""Adaptation: the encoder of plain feature vectors, which have no retina."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from .._attributes import Array, Count, Floating
from ..checks import check_count, check_width
from ..moments import Moments
from ..network_table import PrintedBySizes
from .numeric_limits import check_magnitude, check_norm
from .unit_norm import unit_norm_grad


class Adaptation(PrintedBySizes):
    """ON and OFF rates of adapted inputs: ``z = [(x - m)+ / s, (m - x)+ / s]``, ``h = z / |z|``.

    ``m`` and ``s`` are the running mean and standard deviation of each input (computed by the parallel update of
    Chan, Golub & LeVeque 1979, so that batches of any size give the same result up to rounding).

    Parameters
    ----------
    n_inputs : int
    dtype : dtype
    """

    SAVED: ClassVar = {
        "dtype": Floating(),
        "count": Count(),
        "mean": Array(None),
        "_squares": Array("mean.size", low=0),
    }

    learns_from: ClassVar[str] = "batches"

    def __init__(self, n_inputs: int, dtype: DTypeLike = np.float32) -> None:
        check_count("n_inputs", n_inputs)
        self.dtype = np.dtype(dtype)
        self.count = 0
        self.mean = np.zeros(n_inputs)
        self._squares = np.zeros(n_inputs)

    @property
    def n_inputs(self) -> int:
        """Inputs that it adapts to."""
        return len(self.mean)

    @property
    def n_features(self) -> int:
        return 2 * len(self.mean)

    @property
    def sd(self) -> NDArray[np.float64]:
        """Standard deviation of each input; 1 where it never varied."""
        sd = Moments(self.count, self.mean, self._squares).sd
        return np.where(sd > 0, sd, 1.0)

    def learn(self, X: ArrayLike, **_: Any) -> Adaptation:
        """Adapt to a batch ``X (n, n_inputs)``."""
        X = self._checked(X)
        return self.add(Moments.none(self.n_inputs).add(X))

    def add(self, moments: Moments) -> Adaptation:
        """Adapt to a batch of which these are the moments."""
        self.count, self.mean, self._squares = Moments(self.count, self.mean, self._squares).merge(moments)
        return self

    def _checked(self, X: ArrayLike) -> NDArray[np.float64]:
        X = np.asarray(X, float)
        check_width(X, self.n_inputs)
        check_magnitude(X, "X")
        return X

    def _rates(self, X: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Adapted inputs, their ON and OFF rates, and the norm of these."""
        X = self._checked(X)
        d = (X - self.mean) / self.sd
        z = np.concatenate([np.maximum(d, 0), np.maximum(-d, 0)], axis=1)
        with np.errstate(over="ignore"):
            norm = np.sqrt((z * z).sum(axis=1, keepdims=True) + 1e-8)
        check_norm(norm, "X")
        return d, z, norm

    def encode(self, X: ArrayLike) -> NDArray:
        """Features ``h (n, 2 n_inputs)`` of ``X (n, n_inputs)``."""
        _, z, norm = self._rates(X)
        return (z / norm).astype(self.dtype)

    def encode_grad(self, X: ArrayLike, dH: NDArray) -> NDArray:
        """Gradient of :meth:`encode` with respect to ``X``."""
        d, z, norm = self._rates(X)
        dz = unit_norm_grad(z, norm, dH)
        half = d.shape[1]
        return ((dz[:, :half] * (d > 0) - dz[:, half:] * (d < 0)) / self.sd).astype(self.dtype)
