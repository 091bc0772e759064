"""Random search by logits alone: propose a change, ask the model, keep what does not make it worse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..checks import POSITIVE_SHARE, check, check_count
from ..protocols import Classifier
from .answers import ascent_values
from .base import Attack
from .goals import Goal
from .sample_random import SampleRandom

__all__ = ["PixelSearch", "Proposals", "RandomSearch"]


class Proposals(ABC):
    """Where the search of a batch is, and what it tries next.

    Attributes
    ----------
    best : ndarray of shape (n, features)
        The images so far; at first those to start from.
    """

    best: NDArray

    @abstractmethod
    def propose(self, rows: NDArray, progress: float) -> NDArray:
        """Candidates (m, features) for the samples `rows` (m,) after `progress` in (0, 1) of the queries."""

    def keep(self, rows: NDArray, candidates: NDArray, better: NDArray[np.bool_]) -> None:
        """Take over those of the last candidates that are `better` (m,)."""
        self.best[rows[better]] = candidates[better]


@dataclass(kw_only=True)
class RandomSearch(Attack):
    """Ascent of the margin by proposals; a sample stops as soon as it is positive. A subclass writes `proposals`.

    The margin is ``max_{k != y} z_k - z_y``, with a target t ``z_t - max_{k != t} z_k``.
    """

    n_queries: int = 1000

    requires: ClassVar[tuple[str, ...]] = ("predict", "classes_", "decision_function")
    #: Whether a candidate as good as the image so far takes its place.
    sideways: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("n_queries", self.n_queries)

    @abstractmethod
    def proposals(self, model: Classifier, X: NDArray, epsilon: float, random: SampleRandom) -> Proposals:
        """The search of one batch, at its start."""

    def run(self, model: Classifier, X: NDArray, goal: Goal, epsilon: float, random: SampleRandom) -> NDArray:
        search = self.proposals(model, X, epsilon, random)
        loss = ascent_values(model, search.best, goal, "margin")
        for query in range(1, self.n_queries):
            alive = np.flatnonzero(loss <= 0)
            if not alive.size:
                break
            candidates = search.propose(alive, query / self.n_queries)
            reached = ascent_values(model, candidates, goal[alive], "margin")
            better = reached >= loss[alive] if self.sideways else reached > loss[alive]
            search.keep(alive, candidates, better)
            loss[alive[better]] = reached[better]
        return search.best


@dataclass(kw_only=True)
class PixelSearch(RandomSearch):
    """What searches over sets of pixels share: their parameters, see `SparseRS`."""

    exchanged: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        check("exchanged", self.exchanged, POSITIVE_SHARE)
