"""Learning from few images: N-way K-shot episodes, and accuracy against training images a class.

The two are different protocols and belong in different tables. `evaluate` draws a few classes and scores
within them, episode by episode (Vinyals et al. 2016, arXiv 1606.04080); `low_data_curve` keeps all classes,
trains on k images of each and scores on a whole test set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from .datasets import subset_per_class

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Episode", "EpisodeSampler", "evaluate", "low_data_curve"]


@dataclass(frozen=True, eq=False)
class Episode:
    """One few-shot task.

    Attributes
    ----------
    support_x : ndarray of shape (n_way * n_shot, ...)
        Images to learn from, class by class.
    support_y : ndarray of shape (n_way * n_shot,), int64
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
    n_shot : int >= 1
        Images of each class to learn from.
    n_query : int >= 1
        Images of each class to classify.
    n_episodes : int >= 1
    random_state : int, Generator or None
        Resolved to an integer seed once, here.
    classes : array-like, optional
        Labels to draw from, for instance held-out classes; default all of y.

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
        n_shot: int = 1,
        n_query: int = 15,
        n_episodes: int = 600,
        random_state: int | np.random.Generator | None = 0,
        classes: ArrayLike | None = None,
    ) -> None:
        for name, value, minimum in [
            ("n_way", n_way, 2), ("n_shot", n_shot, 1), ("n_query", n_query, 1), ("n_episodes", n_episodes,
            1),
        ]:  # fmt: skip
            if value < minimum:
                raise ValueError(f"{name} must be at least {minimum}, got {value}")
        self.X, self.y = np.asarray(X), np.asarray(y)
        if self.y.ndim != 1 or len(self.X) != len(self.y):
            raise ValueError(f"y must be one label for each row of X; got {self.X.shape} and {self.y.shape}")
        self.n_way, self.n_shot, self.n_query, self.n_episodes = n_way, n_shot, n_query, n_episodes
        self.random_state = _seed(random_state)
        self.classes = np.unique(self.y if classes is None else np.asarray(classes))
        self._members = {label: np.flatnonzero(self.y == label) for label in self.classes.tolist()}
        self._check_counts()

    def _check_counts(self) -> None:
        if len(self.classes) < self.n_way:
            raise ValueError(f"n_way={self.n_way} needs as many classes, got {len(self.classes)}")
        needed = self.n_shot + self.n_query
        for label, members in self._members.items():
            if len(members) < needed:
                raise ValueError(
                    f"class {label} has {len(members)} images; "
                    f"n_shot + n_query = {self.n_shot} + {self.n_query} needs {needed}"
                )

    def __len__(self) -> int:
        return self.n_episodes

    def __iter__(self) -> Iterator[Episode]:
        return (self[i] for i in range(self.n_episodes))

    def __getitem__(self, i: int) -> Episode:
        """Episode i; negative numbers count from the end."""
        number = range(self.n_episodes)[i]  # raises IndexError beyond either end
        rng = np.random.default_rng([self.random_state, number])
        classes = rng.choice(self.classes, self.n_way, replace=False)
        needed = self.n_shot + self.n_query
        drawn = np.stack([rng.choice(self._members[label], needed, replace=False) for label in classes.tolist()])
        support, query = drawn[:, : self.n_shot].ravel(), drawn[:, self.n_shot :].ravel()
        labels = np.arange(self.n_way, dtype=np.int64)
        return Episode(
            self.X[support],
            labels.repeat(self.n_shot),
            self.X[query],
            labels.repeat(self.n_query),
            classes,
        )


def evaluate(model: Any, sampler: EpisodeSampler, *, progress: bool = False) -> pd.DataFrame:
    """Accuracy of a model in each episode: a fresh clone is fitted on the support and scored on the query.

    Parameters
    ----------
    model : scikit-learn estimator with ``fit`` and ``predict``
        Never fitted itself. `sklearn.base.clone` forgets what was learned, so wrap a pre-trained stage to
        keep it: ``make_pipeline(FrozenEstimator(features), classifier)`` (`sklearn.frozen`).
    sampler : EpisodeSampler
    progress : bool
        Show a tqdm bar.

    Returns
    -------
    DataFrame with columns episode, n_way, n_shot, n_query, accuracy
        One row an episode, accuracy in [0, 1]. Two models on one sampler are paired by `episode`.
    """
    rows = []
    for number, episode in enumerate(_track(sampler, progress, len(sampler), "episodes")):
        fitted = clone(model).fit(episode.support_x, episode.support_y)
        accuracy = _accuracy(fitted, episode.query_x, episode.query_y)
        rows.append((number, sampler.n_way, sampler.n_shot, sampler.n_query, accuracy))
    return _frame(rows, ["episode", "n_way", "n_shot", "n_query", "accuracy"])


def low_data_curve(
    models: Mapping[str, Any],
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    shots: Iterable[int] = (1, 5, 10),
    n_repeats: int = 5,
    random_state: int | np.random.Generator | None = 0,
    progress: bool = True,
) -> pd.DataFrame:
    """Test accuracy after training on k images of each class, for each model and k, paired between models.

    In one repeat all models learn from the same images, and those for a smaller k are among those for a
    larger one; each repeat also gives the models a seed of its own.

    Parameters
    ----------
    models : dict of name to scikit-learn estimator
        Cloned before each fit; every parameter called ``random_state``, nested ones too, is set to the
        repeat's seed.
    X, y : array-likes of shape (n, ...) and (n,)
        Images to draw the training sets from.
    X_test, y_test : array-likes
        The whole test set.
    shots : iterable of int >= 1
        Training images a class.
    n_repeats : int >= 1
    random_state : int, Generator or None
    progress : bool
        Show a tqdm bar.

    Returns
    -------
    DataFrame with columns model, n_shot, repeat, accuracy
        Tidy: one row a fit, accuracy in [0, 1]. Pair models by (n_shot, repeat).

    Raises
    ------
    ValueError
        No model or shot, ``n_repeats < 1``, or a class with too few images (named, with its count).
    """
    X, y, X_test, y_test = (np.asarray(a) for a in (X, y, X_test, y_test))
    shots = list(shots)
    if not models or not shots:
        raise ValueError(f"models and shots must not be empty; got {len(models)} and {len(shots)}")
    if n_repeats < 1:
        raise ValueError(f"n_repeats must be at least 1, got {n_repeats}")
    for n_shot in (min(shots), max(shots)):
        subset_per_class(X, y, n_shot)  # fails now, not after an hour of fitting
    seed = _seed(random_state)
    cases = [(repeat, n_shot, name) for repeat in range(n_repeats) for n_shot in shots for name in models]
    rows = []
    for repeat, n_shot, name in _track(cases, progress, len(cases), "low-data curve"):
        X_few, y_few = subset_per_class(X, y, n_shot, np.random.default_rng([seed, repeat]))
        fitted = _seeded(models[name], seed, repeat).fit(X_few, y_few)
        rows.append((name, n_shot, repeat, _accuracy(fitted, X_test, y_test)))
    return _frame(rows, ["model", "n_shot", "repeat", "accuracy"])


def _seeded(model: Any, seed: int, repeat: int) -> Any:
    """A clone with the repeat's seed in every ``random_state`` that it has."""
    fresh = clone(model)
    value = int(np.random.SeedSequence([seed, repeat]).generate_state(1)[0] >> 1)  # below 2^31: C libraries
    names = [n for n in fresh.get_params() if n == "random_state" or n.endswith("__random_state")]
    return fresh.set_params(**dict.fromkeys(names, value)) if names else fresh


def _seed(random_state: int | np.random.Generator | None) -> int:
    if isinstance(random_state, int | np.integer):
        if random_state < 0:
            raise ValueError(f"random_state must be at least 0, got {random_state}")
        return int(random_state)
    return int(np.random.default_rng(random_state).integers(2**32))


def _accuracy(model: Any, X: NDArray, y: NDArray) -> float:
    return float(np.mean(model.predict(X) == y))


def _track(items: Iterable[Any], progress: bool, total: int, description: str) -> Iterable[Any]:
    if not progress:
        return items
    from tqdm.auto import tqdm  # an optional dependency, needed only here

    return tqdm(items, total=total, desc=description, leave=False)


def _frame(rows: list[tuple[Any, ...]], columns: list[str]) -> pd.DataFrame:
    try:
        import pandas as pd
    except ImportError as error:
        raise ImportError("tables of results need pandas: pip install pandas") from error
    return pd.DataFrame(rows, columns=columns)
