"""Measures of the activity of a population: what its cells share, how many are active, how sparse their rates are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import plain_array
from .scaling import Floats, scaled


def finite_rates(rates: ArrayLike, name: str = "rates", *, nonnegative: bool = False) -> Floats:
    """Rates as float64; ValueError unless they are finite and, where they must be, >= 0."""
    values = plain_array(rates, name, np.float64)
    if not np.isfinite(values).all() or (nonnegative and (values < 0).any()):
        raise ValueError(f"{name} must be finite{' and >= 0' * nonnegative}")
    return values


def stimulus_rates(rates: ArrayLike) -> Floats:
    """:func:`finite_rates` of cells at two stimuli or more, (n_stimuli, n_cells)."""
    values = plain_array(rates, "rates", np.float64)
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(f"rates must have shape (n_stimuli >= 2, n_cells), got {values.shape}")
    return finite_rates(values)


class PairwiseCorrelation(NamedTuple):
    """Result of :func:`pairwise_correlation`.

    Attributes
    ----------
    mean, sd : float
        Of the correlation, over pairs of cells.
    mean_size : float
        Mean of its absolute value.
    n_cells : int
        Cells that vary.
    """

    mean: float
    sd: float
    mean_size: float
    n_cells: int


def pairwise_correlation(rates: ArrayLike) -> PairwiseCorrelation:
    """Pearson correlation of the rates of every pair of cells over the stimuli.

    Parameters
    ----------
    rates : array_like of shape (n_stimuli, n_cells)
        Finite; two stimuli or more. Cells whose rate never changes have no correlation and are left out.

    Returns
    -------
    PairwiseCorrelation
        NaN for fewer than two cells that vary.

    Raises
    ------
    ValueError
        Wrong shape, or rates that are not finite.
    """
    rates = scaled(stimulus_rates(rates), axis=0)
    centred = rates - rates.mean(axis=0)
    norm = np.linalg.norm(centred, axis=0)
    varies = norm > 1e-12 * np.linalg.norm(rates, axis=0)
    n = int(varies.sum())
    if n < 2:
        return PairwiseCorrelation(float("nan"), float("nan"), float("nan"), n)
    z = centred[:, varies] / norm[varies]
    pairs = (z.T @ z)[np.triu_indices(n, 1)]
    return PairwiseCorrelation(float(pairs.mean()), float(pairs.std()), float(np.abs(pairs).mean()), n)


def fraction_active(rates: ArrayLike) -> float:
    """Share of all rates (cells x stimuli) that are above 0.

    Parameters
    ----------
    rates : array_like of shape (n_stimuli, n_cells)
        Finite and >= 0.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        No rates, or rates that are negative or not finite.
    """
    rates = finite_rates(rates, nonnegative=True)
    if rates.size == 0:
        raise ValueError("rates must not be empty")
    return float(np.count_nonzero(rates) / rates.size)


def treves_rolls(rates: ArrayLike, axis: int = -1, *, rescale: bool = True) -> NDArray[np.float64]:
    """Sparseness of firing rates along `axis` (cells: population; stimuli: lifetime).

    a = mean(r)^2 / mean(r^2) [1]_; rescaled to S = (1 - a) / (1 - 1 / n) [2]_, 0 if all rates are equal and
    1 if only one is not 0.

    Parameters
    ----------
    rates : array_like
        Rates >= 0.
    axis : int
    rescale : bool
        False returns the activity ratio a itself, in (0, 1], small when sparse.

    Returns
    -------
    ndarray, `rates` without `axis`
        NaN where all rates are 0 or, rescaled, where n = 1.

    References
    ----------
    .. [1] A. Treves & E. T. Rolls, Network 2:371 (1991).
    .. [2] W. E. Vinje & J. L. Gallant, Science 287:1273 (2000).
    """
    rates = scaled(finite_rates(rates, nonnegative=True), axis)
    mean, square = np.mean(rates, axis=axis), np.asarray(np.mean(rates**2, axis=axis))
    ratio = np.divide(mean**2, square, out=np.full(square.shape, np.nan), where=square > 0)
    n = rates.shape[axis]
    if not rescale:
        return ratio
    return (1 - ratio) / (1 - 1 / n) if n > 1 else np.full_like(ratio, np.nan)
