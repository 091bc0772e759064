"""How sure we can be of shares of images: the interval of one share, and two models on the same images."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ..checks import check_level, plain_array
from .intervals import MeanInterval, PairedDifference


def _yes_or_no(values: ArrayLike, name: str) -> NDArray[np.bool_]:
    values = plain_array(values, name)
    if values.ndim != 1 or values.size == 0 or not np.isin(values, (0, 1)).all():
        raise ValueError(f"{name} must be 1-d with at least one value, each True or False, got shape {values.shape}")
    return values.astype(bool)


def share_interval(hits: ArrayLike, level: float = 0.95) -> MeanInterval:
    """Share of images for which something holds, with Wilson's score interval [1]_.

    Parameters
    ----------
    hits : array_like of bool, (n,)
        One value an image.
    level : float in (0, 1)

    Returns
    -------
    MeanInterval
        `half_width` is half the interval's width; the share need not be in its middle.

    References
    ----------
    .. [1] E. B. Wilson, Journal of the American Statistical Association 22:209 (1927).
    """
    hits = _yes_or_no(hits, "hits")
    check_level(level)
    low, high = stats.binomtest(int(hits.sum()), hits.size).proportion_ci(level, method="wilson")
    return MeanInterval(float(hits.mean()), float(low), float(high), float(high - low) / 2, hits.size)


def paired_shares(a: ArrayLike, b: ArrayLike, level: float = 0.95) -> PairedDifference:
    """Share of a minus share of b on the same images, with McNemar's exact p-value.

    The interval is that of Bonett & Price [1]_: with n10 images that only a has, n01 that only b has,
    ``p10 = (n10 + 1) / (n + 2)``, ``p01`` alike, it is ``p10 - p01 -+ z sqrt((p10 + p01 - (p10 - p01)^2) / (n + 2))``.

    Parameters
    ----------
    a, b : array_like of bool, (n,)
        One value an image, in the same order.
    level : float in (0, 1)

    Returns
    -------
    PairedDifference
        `mean` is the difference itself, which need not be in the middle of the interval; `p_value` is two-sided.

    References
    ----------
    .. [1] D. G. Bonett & R. M. Price, Journal of Educational and Behavioral Statistics 37:479 (2012).
    """
    a, b = _yes_or_no(a, "a"), _yes_or_no(b, "b")
    if a.size != b.size:
        raise ValueError(f"a and b must be paired: they have {a.size} and {b.size} values")
    check_level(level)
    n, only_a, only_b = a.size, int((a & ~b).sum()), int((b & ~a).sum())
    p_a, p_b = (only_a + 1) / (n + 2), (only_b + 1) / (n + 2)
    half = float(stats.norm.ppf((1 + level) / 2) * np.sqrt((p_a + p_b - (p_a - p_b) ** 2) / (n + 2)))
    low, high = max(p_a - p_b - half, -1.0), min(p_a - p_b + half, 1.0)
    unlike = only_a + only_b
    p_value = float(stats.binomtest(only_a, unlike).pvalue) if unlike else 1.0
    return PairedDifference((only_a - only_b) / n, low, high, (high - low) / 2, n, p_value)
