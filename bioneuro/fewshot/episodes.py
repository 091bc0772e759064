"""N-way K-shot episodes drawn from arrays (Vinyals et al. 2016, arXiv:1606.04080)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import check_count, check_labels, plain_array
from ..seeds import seed_of
from .class_splits import labels_sha256


@dataclass(frozen=True, eq=False)
class Episode:
    """One few-shot task.

    Attributes
    ----------
    support_x : ndarray of shape (n_support, ...)
        Images to learn from, class by class: ``n_way * n_shot`` of them where all classes have as many.
    support_y : ndarray of shape (n_support,), int64
        Labels 0 .. n_way - 1, valid in this episode only.
    query_x, query_y
        The same for the n_way * n_query images to be classified; none of them is in the support.
    classes : ndarray of shape (n_way,)
        The original label of each episode label.
    """

    support_x: NDArray
    support_y: NDArray[np.int64]
    query_x: NDArray
    query_y: NDArray[np.int64]
    classes: NDArray


class EpisodeRows(NamedTuple):
    """Row numbers of an episode's images, class by class, its shots of each class, and the classes."""

    support: NDArray[np.intp]
    query: NDArray[np.intp]
    shots: NDArray[np.int64]
    classes: NDArray


class EpisodeSampler:
    """A fixed sequence of few-shot episodes: iterable, indexable, with a length.

    Episode i depends on ``(random_state, i)`` alone, so every model sees the same episodes in any order,
    and the first 100 of 600 are the 100 of a shorter run.

    Parameters
    ----------
    X : array-like of shape (n, ...)
    y : array-like of shape (n,)
    n_way : int >= 2
        Classes of an episode.
    n_shot : int >= 1 or sequence of n_way int >= 1
        Images of each class to learn from. A sequence gives the shots of the n_way classes of an episode: which class
        has how many is up to the episode, since its classes come in random order.
    n_query : int >= 1
        Images of each class to classify.
    n_episodes : int >= 1
    random_state : int, Generator or None
        Resolved to an integer seed once, here.
    classes : array-like, optional
        Labels to draw from, for instance held-out classes (:func:`split_classes`); default all of y.
    max_shot : int, optional
        Imbalanced supports: in every episode each class has its own number of shots, uniform over ``n_shot`` (then an
        int) to ``max_shot``.

    Attributes
    ----------
    classes_sha256 : str
        Hash of the labels that are drawn from: what a result must be recorded with.

    Raises
    ------
    ValueError
        Wrong shapes or ranges; too few classes; a class with too few images (named, with its count).
    """

    def __init__(
        self,
        X: ArrayLike,
        y: ArrayLike,
        n_way: int = 5,
        n_shot: int | Sequence[int] = 1,
        n_query: int = 15,
        n_episodes: int = 600,
        random_state: int | np.random.Generator | None = 0,
        classes: ArrayLike | None = None,
        *,
        max_shot: int | None = None,
    ) -> None:
        for name, value, minimum in (("n_way", n_way, 2), ("n_query", n_query, 1), ("n_episodes", n_episodes, 1)):
            check_count(name, value, minimum)
        check_labels(y)
        self.X, self.y = plain_array(X, "X"), plain_array(y, "y")
        if self.y.ndim != 1 or self.X.ndim < 1 or len(self.X) != len(self.y):
            raise ValueError(f"y must be one label for each row of X; got {self.X.shape} and {self.y.shape}")
        self.n_way, self.n_shot, self.n_query, self.n_episodes = n_way, n_shot, n_query, n_episodes
        self.max_shot = max_shot
        self._fixed_shots = self._checked_shots()
        self.classes = np.unique(self.y if classes is None else np.asarray(classes))
        self.classes_sha256 = labels_sha256(self.classes)
        self._members = {label: np.flatnonzero(self.y == label) for label in self.classes.tolist()}
        self._check_counts()
        self.random_state = seed_of(random_state)  # last: what is refused draws nothing

    def __repr__(self) -> str:
        shots = self.n_shot if self.max_shot is None else f"{self.n_shot} to {self.max_shot}"
        protocol = f"{self.n_way}-way {shots}-shot, {self.n_query} queries a class"
        return f"EpisodeSampler({self.n_episodes} episodes, {protocol}, of {len(self.classes)} classes)"

    def _checked_shots(self) -> NDArray[np.int64]:
        """Shots of each class of an episode, or the fewest where they vary."""
        given: Any = self.n_shot
        if np.ndim(given) == 0:
            check_count("n_shot", given, 1)
            shots = [given] * self.n_way
        else:
            shots = list(given)
            if len(shots) != self.n_way:
                raise ValueError(f"n_shot must be an integer or one for each of n_way={self.n_way}, got {shots}")
            for k, value in enumerate(shots):
                check_count(f"n_shot[{k}]", value, 1)
            if self.max_shot is not None:
                raise ValueError(f"n_shot must be one integer, the fewest shots, where max_shot is given, got {shots}")
        if self.max_shot is not None:
            check_count("max_shot", self.max_shot, shots[0])
        return np.array(shots, dtype=np.int64)

    def _check_counts(self) -> None:
        if len(self.classes) < self.n_way:
            raise ValueError(f"n_way={self.n_way} needs as many classes, got {len(self.classes)}")
        most = self.max_shot or int(self._fixed_shots.max())
        for label, members in self._members.items():
            if len(members) < most + self.n_query:
                raise ValueError(
                    f"class {label} has {len(members)} images; {'max_shot' if self.max_shot else 'n_shot'} + n_query = "
                    f"{most} + {self.n_query} needs {most + self.n_query}"
                )

    def __len__(self) -> int:
        return self.n_episodes

    def __iter__(self) -> Iterator[Episode]:
        return (self[i] for i in range(self.n_episodes))

    def __getitem__(self, i: int) -> Episode:
        """Episode i; negative numbers count from the end."""
        rows = self.rows(i)
        labels = np.arange(self.n_way, dtype=np.int64)
        return Episode(
            self.X[rows.support],
            labels.repeat(rows.shots),
            self.X[rows.query],
            labels.repeat(self.n_query),
            rows.classes,
        )

    def rows(self, i: int) -> EpisodeRows:
        """Which rows of X episode i is made of."""
        number = range(self.n_episodes)[i]  # raises IndexError beyond either end
        rng = np.random.default_rng([self.random_state, number])
        classes = rng.choice(self.classes, self.n_way, replace=False)
        shots = self._fixed_shots
        if self.max_shot is not None:
            shots = rng.integers(shots, self.max_shot, endpoint=True)
        drawn = [
            rng.choice(self._members[label], shot + self.n_query, replace=False)
            for label, shot in zip(classes.tolist(), shots.tolist(), strict=True)
        ]
        support = np.concatenate([members[:shot] for members, shot in zip(drawn, shots, strict=True)])
        query = np.concatenate([members[shot:] for members, shot in zip(drawn, shots, strict=True)])
        return EpisodeRows(support, query, shots, classes)

    def encoded(self, transform: Callable[[NDArray], ArrayLike]) -> EpisodeSampler:
        """The same episodes of the features ``transform(X)``: every image is encoded once, here, however many episodes
        show it."""
        H = np.asarray(transform(self.X))
        if len(H) != len(self.X):
            raise ValueError(f"transform must return a row for each of {len(self.X)} images, got shape {H.shape}")
        other = copy.copy(self)
        other.X = H
        return other
