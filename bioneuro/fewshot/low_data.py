"""Accuracy against the number of training images a class, on a whole test set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import check_count, check_labels, plain_array, unknown_labels
from ..datasets import subset_per_class
from ..estimators import made
from ..progress import track
from ..seeds import seed_of
from .evaluation import accuracy, frame

if TYPE_CHECKING:
    import pandas as pd

#: Appended to the name of a model whose features were learned from unlabelled images.
UNLABELLED = " + unlabelled"


def low_data_curve(
    models: Mapping[str, Any],
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    y_test: ArrayLike,
    shots: Iterable[int] = (1, 2, 5, 10, 20, 50, 100),
    n_repeats: int = 20,
    random_state: int | np.random.Generator | None = 0,
    progress: bool = False,
    *,
    unlabelled: ArrayLike | None = None,
    n_jobs: int | None = 1,
    first_repeat: int = 0,
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
    unlabelled : array-like of shape (m, ...), optional
        With it every model that has ``fit_features`` and a parameter ``encoder`` is also run with retina and map
        learned from these images, once a repeat, as ``"<name> + unlabelled"``: this is a protocol of its own, since
        more than the k images is used.
    n_jobs : int or None
        Processes that share the repeats (joblib); no value depends on it.
    first_repeat : int >= 0
        Number of the first repeat: a curve can be added to, or taken in parts, and is the same.

    Returns
    -------
    DataFrame with columns model, n_shot, repeat, accuracy
        Tidy: one row a fit, accuracy in [0, 1]. Pair models by (n_shot, repeat).

    Raises
    ------
    ValueError
        No model or shot, ``n_repeats < 1``, a class with too few images (named, with its count), test labels that are
        not one a row or that ``y`` has not, or unlabelled images that no model can use.
    """
    check_labels(y)
    check_labels(y_test, "y_test")
    X, y, X_test, y_test = (
        plain_array(a, name) for name, a in (("X", X), ("y", y), ("X_test", X_test), ("y_test", y_test))
    )
    if y_test.shape != (len(X_test),):
        raise ValueError(f"y_test must be one label for each of {len(X_test)} rows of X_test, got shape {y_test.shape}")
    if (unseen := unknown_labels(y_test, y)).size:
        raise ValueError(f"y_test must hold labels out of y, but y_test[{unseen[0]}] = {y_test[unseen[0]]!r}")
    shots = list(shots)
    if not models or not shots:
        raise ValueError(f"models and shots must not be empty; got {len(models)} and {len(shots)}")
    check_count("n_repeats", n_repeats)
    check_count("first_repeat", first_repeat, 0)
    for i, n_shot in enumerate(shots):
        check_count(f"shots[{i}]", n_shot)
    for n_shot in (min(shots), max(shots)):
        subset_per_class(X, y, n_shot)  # fail now, not after an hour of fitting
    if unlabelled is not None:
        unlabelled = plain_array(unlabelled, "unlabelled")
        if not any(map(_learns_features, models.values())):
            raise ValueError(f"unlabelled needs a model with fit_features and encoder, got {', '.join(models)}")
    plan = _Plan(models, X, y, X_test, y_test, shots, seed_of(random_state), unlabelled)
    repeats = range(first_repeat, first_repeat + n_repeats)
    n_rows = n_repeats * len(shots) * plan.n_models
    if n_jobs == 1:
        rows = (row for repeat in repeats for row in _repeat(plan, repeat))
        found = list(track(rows, progress, "low-data curve", n_rows))
    else:
        from joblib import Parallel, delayed  # an optional dependency, needed only here

        tasks = (delayed(_whole_repeat)(plan, repeat) for repeat in repeats)
        parts = Parallel(n_jobs, return_as="generator")(tasks)
        found = [row for part in track(parts, progress, "low-data curve", n_repeats) for row in part]
    return frame(found, ["model", "n_shot", "repeat", "accuracy"])


class _Plan(NamedTuple):
    """What the repeats share."""

    models: Mapping[str, Any]
    X: NDArray
    y: NDArray
    X_test: NDArray
    y_test: NDArray
    shots: list[int]
    seed: int
    unlabelled: NDArray | None

    @property
    def n_models(self) -> int:
        extra = 0 if self.unlabelled is None else sum(map(_learns_features, self.models.values()))
        return len(self.models) + extra


def _whole_repeat(plan: _Plan, repeat: int) -> list[tuple[Any, ...]]:
    return list(_repeat(plan, repeat))


def _repeat(plan: _Plan, repeat: int) -> Iterator[tuple[Any, ...]]:
    """The rows of one repeat."""
    encoders: dict[str, Any] = {}
    for n_shot in plan.shots:
        X_few, y_few = subset_per_class(plan.X, plan.y, n_shot, np.random.default_rng([plan.seed, repeat]))
        for name, model in plan.models.items():
            fitted = _seeded(model, plan.seed, repeat).fit(X_few, y_few)
            yield name, n_shot, repeat, accuracy(fitted, plan.X_test, plan.y_test)
            if plan.unlabelled is None or not _learns_features(model):
                continue
            if name not in encoders:
                encoders[name] = _seeded(model, plan.seed, repeat).fit_features(plan.unlabelled).encoder_
            fitted = _seeded(model, plan.seed, repeat).set_params(encoder=encoders[name]).fit(X_few, y_few)
            yield name + UNLABELLED, n_shot, repeat, accuracy(fitted, plan.X_test, plan.y_test)


def _learns_features(model: Any) -> bool:
    return hasattr(model, "fit_features") and "encoder" in model.get_params(deep=False)


def _seeded(model: Any, seed: int, repeat: int) -> Any:
    """A clone with the repeat's seed in every ``random_state`` that it has."""
    value = np.random.SeedSequence([seed, repeat]).generate_state(1)[0] >> 1  # below 2^31: C libraries
    return made(model, int(value))
