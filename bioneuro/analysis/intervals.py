"""How sure we can be over seeds: intervals, paired tests, and p-values of a family of tests."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from ..checks import check_level, plain_array
from .scaling import Floats


class MeanInterval(NamedTuple):
    """A mean with its Student t interval.

    Attributes
    ----------
    mean, low, high : float
        The mean and the ends of its interval.
    half_width : float
        Of the interval.
    n : int
        Values.
    """

    mean: float
    low: float
    high: float
    half_width: float
    n: int


class PairedDifference(NamedTuple):
    """The mean of a - b with its Student t interval and two-sided p-value.

    Attributes
    ----------
    mean, low, high : float
        The mean and the ends of its interval.
    half_width : float
        Of the interval.
    n : int
        Pairs.
    p_value : float
    """

    mean: float
    low: float
    high: float
    half_width: float
    n: int
    p_value: float


def _check_each(good: NDArray[np.bool_], values: Floats, name: str, rule: str) -> None:
    if not good.all():
        i = int(np.argmin(good))
        raise ValueError(f"{name} must be {rule}: {name}[{i}] is {values[i]}")


def _finite_1d(values: ArrayLike, name: str) -> Floats:
    values = plain_array(values, name, np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{name} must be 1-d with at least one value, got shape {values.shape}")
    _check_each(np.isfinite(values), values, name, "finite")
    return values


def _standard_error(values: Floats) -> float:
    return float(values.std(ddof=1) / np.sqrt(values.size))


def mean_interval(values: ArrayLike, level: float = 0.95) -> MeanInterval:
    """Mean over seeds with its Student t interval, mean +- t_{n-1} sd / sqrt(n).

    Parameters
    ----------
    values : array_like, (n,)
        One value per independent run.
    level : float in (0, 1)

    Returns
    -------
    MeanInterval
        `mean`, `low`, `high`, `half_width`, `n`; one value has a mean and NaN for the rest.
    """
    check_level(level)
    values = _finite_1d(values, "values")
    mean, n = float(values.mean()), values.size
    half = float(stdtrit(n - 1, (1 + level) / 2) * _standard_error(values)) if n > 1 else np.nan
    return MeanInterval(mean, mean - half, mean + half, half, n)


def paired_difference(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> PairedDifference:
    """Mean of a - b over paired runs, with Student's interval and the paired t-test's two-sided p-value.

    Parameters
    ----------
    a, b : array_like, (n,)
        Results of two models in the same runs (seed, episode), in the same order.
    level : float in (0, 1)

    Returns
    -------
    PairedDifference
        One pair has a mean and NaN for the rest. Where all pairs differ by the same amount, as shares of few items do
        by chance, their spread is unknown: the interval has no ends and p is 1. So is p where no pair differs at all.
    """
    a, b = _finite_1d(a, "a"), _finite_1d(b, "b")
    if a.size != b.size:
        raise ValueError(f"a and b must be paired: they have {a.size} and {b.size} values")
    interval = mean_interval(a - b, level)
    if interval.n == 1:
        return PairedDifference(*interval, np.nan)
    error, rounding = _standard_error(a - b), np.finfo(float).eps * float(np.abs(a).max() + np.abs(b).max())
    if error <= rounding:
        if np.abs(a - b).max() > rounding:
            return PairedDifference(interval.mean, -np.inf, np.inf, np.inf, interval.n, 1.0)
        return PairedDifference(*interval, 1.0)
    return PairedDifference(*interval, float(2 * stdtr(interval.n - 1, -abs(interval.mean) / error)))


def holm(p_values: ArrayLike) -> Floats:
    """Holm's step-down adjusted p-values, which keep the family-wise error rate.

    With p_(1) <= ... <= p_(m): p'_(k) = max_{j <= k} min(1, (m - j + 1) p_(j)) [1]_.

    Parameters
    ----------
    p_values : array_like, (m,)
        In [0, 1]; NaN, where nothing is known, counts as 1.

    Returns
    -------
    ndarray, (m,)
        In the order given; reject where <= alpha.

    References
    ----------
    .. [1] S. Holm, Scandinavian Journal of Statistics 6:65 (1979).
    """
    p = _finite_1d(np.nan_to_num(plain_array(p_values, "p_values", np.float64), nan=1.0), "p_values")
    _check_each((p >= 0) & (p <= 1), p, "p_values", "in [0, 1]")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, np.arange(p.size, 0, -1) * p[order]))
    return adjusted
