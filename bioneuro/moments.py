"""Running mean and variance of data that come in batches of any size."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Moments"]


class Moments(NamedTuple):
    """Number, mean and sum of squared deviations of the rows seen so far; never changed, only replaced.

    The parallel update of Chan, Golub & LeVeque 1979: however the rows are cut into batches, the result is the same up
    to rounding.
    """

    count: int  # type: ignore[assignment]  # as in every NamedTuple with a field of that name
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]

    @classmethod
    def none(cls, n: int) -> Moments:
        """Of ``n`` columns, before the first row."""
        return cls(0, np.zeros(n), np.zeros(n))

    def add(self, X: ArrayLike) -> Moments:
        """With the rows of ``X (n_rows >= 1, n)`` beside those seen before.

        Raises
        ------
        ValueError
            A sum of squares is no number.
        """
        X = np.asarray(X)
        with np.errstate(over="ignore", invalid="ignore"):
            mean = X.mean(axis=0, dtype=float)
            away = X - mean
            squares = np.einsum("bj,bj->j", away, away)
        return self.merge(Moments(len(X), mean, squares))

    def merge(self, other: Moments) -> Moments:
        """With the rows of another beside its own; the same, bit for bit, as if these had been added here.

        Raises
        ------
        ValueError
            A sum of squares is no number.
        """
        n = other.count
        total = self.count + n
        with np.errstate(over="ignore", invalid="ignore"):
            shift = other.mean - self.mean
            squares = self.squares + other.squares + shift**2 * (self.count * n / total)
        if not np.isfinite(squares).all():
            j = int(np.argmin(np.isfinite(squares)))
            raise ValueError(f"X must be finite, and so must its squares, but those of column {j} are not")
        return Moments(total, self.mean + shift * (n / total), squares)

    @property
    def sd(self) -> NDArray[np.float64]:
        """Standard deviation of each column; exactly 0 where it never varied beyond rounding."""
        sd = np.sqrt(self.squares / max(self.count, 1))
        return np.where(sd > 1e-12 * (1 + np.abs(self.mean)), sd, 0.0)
