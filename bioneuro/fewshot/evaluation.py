"""Accuracy of models in episodes, one row each, and differences between models on the same episodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from ..analysis.intervals import holm, mean_interval, paired_difference
from ..checks import Choice, check, check_count
from ..estimators import made
from ..extras import pandas
from ..progress import track
from .episodes import EpisodeSampler

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["episode", "n_way", "n_shot", "n_query", "accuracy"]
#: Columns that say what a row was measured on: rows of two models that agree in all of these are a pair.
UNITS = ("episode", "repeat", "run")
#: Episodes that a worker gets at a time.
CHUNK = 25


def evaluate(
    model: Any, sampler: EpisodeSampler, *, encoder: Any = None, n_jobs: int | None = 1, progress: bool = False
) -> pd.DataFrame:
    """Accuracy of a model in each episode: a fresh clone is fitted on the support and scored on the query.

    Parameters
    ----------
    model : scikit-learn estimator with ``fit`` and ``predict``
        Never fitted itself. `sklearn.base.clone` forgets what was learned, so wrap a pre-trained stage to
        keep it: ``make_pipeline(FrozenEstimator(features), classifier)`` (`sklearn.frozen`), or pass it as ``encoder``.
    sampler : EpisodeSampler
    encoder : object with ``transform(X)``, optional
        Learned before; the model then sees its features. Every image is encoded once, not once an episode.
    n_jobs : int or None
        Processes that share the episodes (joblib); no value depends on it.
    progress : bool
        Show a tqdm bar.

    Returns
    -------
    DataFrame with columns episode, n_way, n_shot, n_query, accuracy
        One row an episode, accuracy in [0, 1]; n_shot is the mean of the classes where they differ. Two models on one
        sampler are paired by `episode`. ``attrs`` hold ``random_state`` and ``classes_sha256`` of the sampler.
    """
    if encoder is not None:
        sampler = sampler.encoded(encoder.transform)
    numbers = range(len(sampler))
    chunks = [numbers[start : start + CHUNK] for start in range(0, len(numbers), CHUNK)]
    if n_jobs == 1:
        rows = [_row(model, sampler, number) for number in track(numbers, progress, "episodes")]
    else:
        from joblib import Parallel, delayed  # an optional dependency, needed only here

        parts = Parallel(n_jobs, return_as="generator")(delayed(_rows)(model, sampler, chunk) for chunk in chunks)
        rows = [row for part in track(parts, progress, "episodes", len(chunks)) for row in part]
    found = frame(rows, COLUMNS)
    found.attrs = {"random_state": sampler.random_state, "classes_sha256": sampler.classes_sha256}
    return found


def _rows(model: Any, sampler: EpisodeSampler, numbers: Iterable[int]) -> list[tuple[Any, ...]]:
    return [_row(model, sampler, number) for number in numbers]


def _row(model: Any, sampler: EpisodeSampler, number: int) -> tuple[Any, ...]:
    episode = sampler[number]
    fitted = clone(model).fit(episode.support_x, episode.support_y)
    shots = len(episode.support_y) / sampler.n_way
    n_shot = int(shots) if shots == int(shots) else shots
    return number, sampler.n_way, n_shot, sampler.n_query, accuracy(fitted, episode.query_x, episode.query_y)


def compare(
    models: Mapping[str, Any],
    sampler: EpisodeSampler,
    *,
    encoder: Any = None,
    n_jobs: int | None = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """:func:`evaluate` for several models on the same episodes, with a column ``model`` in front.

    Parameters
    ----------
    models : dict of name to scikit-learn estimator, or function of the seed that makes one
        The seed is the sampler's ``random_state``; an estimator keeps its own.
    sampler, encoder, n_jobs, progress
        As of :func:`evaluate`; the images are encoded once for all models.

    Returns
    -------
    DataFrame
    """
    pd = pandas()
    if not models:
        raise ValueError("models must not be empty")
    if encoder is not None:
        sampler = sampler.encoded(encoder.transform)
    fresh = {
        name: made(model, None if hasattr(model, "fit") else sampler.random_state) for name, model in models.items()
    }
    parts = {name: evaluate(model, sampler, n_jobs=n_jobs, progress=progress) for name, model in fresh.items()}
    found = pd.concat(parts, names=["model"]).reset_index("model").reset_index(drop=True)
    found.attrs = next(iter(parts.values())).attrs
    return found


def summary(results: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Mean accuracy with its Student interval over episodes or repeats.

    Parameters
    ----------
    results : DataFrame
        Of :func:`evaluate`, :func:`compare` or :func:`low_data_curve`.
    level : float in (0, 1)

    Returns
    -------
    DataFrame with columns (model,) n_shot, mean, low, high, n
        ``n`` episodes or repeats; one has a mean and NaN for the interval.
    """
    _need(results, ("accuracy",))
    keys = [key for key in ("model", "n_way", "n_shot") if key in results.columns]
    if _varies(results):
        keys.remove("n_shot")
    groups = results.groupby(keys, sort=False)["accuracy"] if keys else [((), results["accuracy"])]
    rows = []
    for key, values in groups:
        interval = mean_interval(values.to_numpy(), level)
        rows.append((*np.atleast_1d(np.array(key, dtype=object)), *interval[:3], interval.n))
    return frame(rows, [*keys, "mean", "low", "high", "n"]).infer_objects()


def _varies(results: pd.DataFrame) -> bool:
    """Whether the number of shots varies between episodes, as with imbalanced supports."""
    if "episode" not in results or "n_shot" not in results:
        return False
    return bool((results["n_shot"] % 1 != 0).any())


def differences(results: pd.DataFrame, reference: str, level: float = 0.95) -> pd.DataFrame:
    """Paired differences of every model to one of them, on the same episodes or repeats.

    Parameters
    ----------
    results : DataFrame
        Columns model, accuracy, one of episode, repeat and run, and n_shot where there are several.
    reference : str
        The model that is subtracted.
    level : float in (0, 1)

    Returns
    -------
    DataFrame with columns model, n_shot, mean, low, high, n, p_value, p_holm
        ``p_holm``: adjusted over all rows (Holm). A difference is one where the interval excludes 0 and ``p_holm``
        is small.

    Raises
    ------
    ValueError
        Unknown reference, a model that lacks some of its episodes, or one with several rows for an episode.
    """
    _need(results, ("model", "accuracy"))
    unit = next((name for name in UNITS if name in results.columns), None)
    if unit is None:
        raise ValueError(f"results must have one of the columns {UNITS}, got {list(results.columns)}")
    models = list(dict.fromkeys(results["model"]))
    check("reference", reference, Choice(models))
    by_shot = "n_shot" in results.columns and not _varies(results)
    groups = results.groupby("n_shot") if by_shot else [(np.nan, results)]
    rows = []
    for n_shot, part in groups:
        if part.duplicated([unit, "model"]).any():
            raise ValueError(
                f"results must have one row for a model and {unit}: compare runs of one protocol at a time"
            )
        table = part.pivot(index=unit, columns="model", values="accuracy")
        for model in models:
            if model == reference:
                continue
            pair = table[[model, reference]]
            if pair.isna().any(axis=None):
                lacking = pair.columns[pair.isna().any()][0]
                raise ValueError(f"results of {lacking!r} lack some {unit}s that the other model has: not paired")
            found = paired_difference(pair[model], pair[reference], level)
            rows.append((model, n_shot, found.mean, found.low, found.high, found.n, found.p_value))
    table = frame(rows, ["model", "n_shot", "mean", "low", "high", "n", "p_value"])
    known = table["p_value"].notna()
    table["p_holm"] = np.nan
    if known.any():
        table.loc[known, "p_holm"] = holm(table.loc[known, "p_value"].to_numpy())
    return table


def accuracy(model: Any, X: NDArray, y: NDArray) -> float:
    """Share of right answers."""
    return float(np.mean(model.predict(X) == y))


def frame(rows: Sequence[tuple[Any, ...]], columns: list[str]) -> pd.DataFrame:
    """A table of results."""
    return pandas().DataFrame(rows, columns=columns)


def _need(results: pd.DataFrame, columns: tuple[str, ...]) -> None:
    if missing := [column for column in columns if column not in results.columns]:
        raise ValueError(f"results lack the columns {missing}: they have {list(results.columns)}")
    check_count("number of rows of results", len(results), 1)
