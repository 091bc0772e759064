"""Random numbers of a sample's own."""

from __future__ import annotations

from functools import cached_property
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

__all__ = ["SampleRandom"]


class SampleRandom:
    """A stream of random numbers for each sample of a batch, a function of (seed, the sample's content).

    So an attack gives a sample the same noise whichever samples surround it.

    Parameters
    ----------
    seed : int
    X : ndarray, shape (n, n_features)
        The batch.
    """

    def __init__(self, seed: int, X: NDArray) -> None:
        self._seed, self._X = seed, X

    @cached_property
    def _generators(self) -> list[np.random.Generator]:
        digests = (blake2b(np.ascontiguousarray(row).tobytes(), digest_size=8).digest() for row in self._X)
        return [np.random.default_rng([self._seed, int.from_bytes(digest, "little")]) for digest in digests]

    def _chosen(self, rows: NDArray | None) -> list[np.random.Generator]:
        return self._generators if rows is None else [self._generators[row] for row in rows]

    def uniform(self, size: int, *, rows: NDArray | None = None) -> NDArray[np.float64]:
        """Uniform in [0, 1), (n, size), for all samples or for `rows` only."""
        return np.stack([generator.random(size) for generator in self._chosen(rows)])

    def normal(self, size: int, *, rows: NDArray | None = None) -> NDArray[np.float64]:
        """Standard normal, (n, size)."""
        return np.stack([generator.standard_normal(size) for generator in self._chosen(rows)])
