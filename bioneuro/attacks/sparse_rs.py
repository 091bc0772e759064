"""Sparse-RS: random search for the few pixels whose change breaks a sample, by logits alone.

Croce, Andriushchenko, Singh, Flammarion & Hein 2022, "Sparse-RS: a versatile framework for query-efficient sparse
black-box adversarial attacks", arXiv 2006.12834. Two changes: a pixel that would be given the value it has already is
given the opposite one, so that grey images waste no part of the budget; and a dropped pixel may be drawn again, in
another colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..protocols import Classifier
from .goals import Goal
from .norms import COUNTING, L0
from .random_search import PixelSearch, Proposals
from .sample_random import SampleRandom

__all__ = ["SparseRS"]

#: Queries, of 10,000, from which on the share of pixels that is exchanged is divided by more: `DIVISORS`.
STAGES = (0, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
DIVISORS = (2, 4, 5, 6, 8, 10, 12, 15, 20)


@dataclass(kw_only=True)
class SparseRS(PixelSearch):
    """Score-based random search over sets of pixels, each black or white in every channel.

    A proposal exchanges some of the epsilon changed pixels for others; it is kept if it does not lower the margin
    loss ``max_{k != y} z_k - z_y`` (with a target t, ``z_t - max_{k != t} z_k``). A sample stops when that is positive.

    Parameters
    ----------
    n_queries : int >= 1
        Evaluations of the model a sample at most, the starting one included.
    exchanged : float in (0, 1]
        Share of the changed pixels that a proposal exchanges at first; it shrinks on the paper's schedule.
    norm : {"l0", "l0-rgb"}
        What epsilon counts: features, or pixels of three channels.
    random_state
        See `Attack`.
    """

    norm: str = "l0"
    norms: ClassVar[tuple[str, ...]] = COUNTING

    def run(self, model: Classifier, X: NDArray, goal: Goal, epsilon: float, random: SampleRandom) -> NDArray:
        return super().run(model, X, goal, epsilon, random) if epsilon >= 1 else X.copy()

    def proposals(self, model: Classifier, X: NDArray, epsilon: float, random: SampleRandom) -> Proposals:
        assert isinstance(self.geometry, L0)  # `norms` has no other
        return _PixelSets(X, self.geometry.channels, epsilon, random, self.exchanged)


class _PixelSets(Proposals):
    """`chosen` (n, size) are the pixels changed so far."""

    def __init__(self, X: NDArray, channels: int, epsilon: float, random: SampleRandom, exchanged: float) -> None:
        self.images = X.reshape(len(X), -1, channels)
        pixels = self.images.shape[1]
        size = min(int(epsilon), pixels)
        self.random, self.exchanged = random, exchanged * size
        uniform = random.uniform(pixels + size * channels)
        self.chosen = self.proposed = uniform[:, :pixels].argsort(axis=1)[:, :size]
        self.best = _painted(self.images, self.images, self.chosen, uniform[:, pixels:]).reshape(X.shape)

    def propose(self, rows: NDArray, progress: float) -> NDArray:
        clean = self.images[rows]
        (pixels, channels), size = clean.shape[1:], self.chosen.shape[1]
        count = min(_count(self.exchanged, progress), size)
        uniform = self.random.uniform(size + pixels + count * channels, rows=rows)
        self.proposed = _exchange(self.chosen[rows], count, uniform[:, : size + pixels])
        fresh, kept = self.proposed[:, :count], self.proposed[:, count:]
        images = clean.copy()
        _put(images, kept, np.take_along_axis(self.best[rows].reshape(clean.shape), kept[:, :, None], axis=1))
        return _painted(images, clean, fresh, uniform[:, size + pixels :]).reshape(len(rows), -1)

    def keep(self, rows: NDArray, candidates: NDArray, better: NDArray[np.bool_]) -> None:
        super().keep(rows, candidates, better)
        self.chosen[rows[better]] = self.proposed[better]


def _count(first: float, progress: float) -> int:
    """Pixels that a proposal exchanges after `progress` in (0, 1] of the queries, of `first` before the schedule."""
    stage = sum(progress * 10_000 > start for start in STAGES)
    return max(int(first / DIVISORS[max(stage - 1, 0)]), 1)


def _exchange(chosen: NDArray, count: int, uniform: NDArray) -> NDArray:
    """The sets of pixels (n, size) with `count` of them replaced; the new ones, none of which was kept, come first."""
    size = chosen.shape[1]
    kept = np.take_along_axis(chosen, uniform[:, :size].argsort(axis=1)[:, count:], axis=1)
    priority = uniform[:, size:].copy()
    np.put_along_axis(priority, kept, 2.0, axis=1)  # sorted behind all others
    drawn = priority.argpartition(count - 1, axis=1)[:, :count]
    return np.hstack([drawn, kept])


def _put(images: NDArray, chosen: NDArray, values: NDArray) -> None:
    """Write values (n, k, channels) to the chosen pixels (n, k), in place."""
    images[np.arange(len(images))[:, None], chosen] = values


def _painted(images: NDArray, clean: NDArray, chosen: NDArray, uniform: NDArray) -> NDArray:
    """A copy of images (n, pixels, channels) with each channel of the chosen pixels at 0 or 1."""
    n, size = chosen.shape
    values = (uniform.reshape(n, size, -1) < 0.5).astype(images.dtype)
    same = (values == np.take_along_axis(clean, chosen[:, :, None], axis=1)).all(axis=2, keepdims=True)
    images = images.copy()
    _put(images, chosen, np.where(same, 1 - values, values))
    return images
