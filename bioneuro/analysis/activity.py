"""Measures of the activity of a population: what its cells share, and how many are active."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..checks import plain_array


class PairwiseCorrelation(NamedTuple):
    """Mean and standard deviation of the correlation over pairs of cells, mean of its size, and the cells that vary."""

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
    rates = plain_array(rates, "rates", np.float64)
    if rates.ndim != 2 or len(rates) < 2:
        raise ValueError(f"rates must have shape (n_stimuli >= 2, n_cells), got {rates.shape}")
    if not np.isfinite(rates).all():
        raise ValueError("rates must be finite")
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
    """Share of all rates (cells x stimuli) that are above 0, in [0, 1].

    Raises
    ------
    ValueError
        No rates, or rates that are negative or not finite.
    """
    rates = plain_array(rates, "rates", np.float64)
    if rates.size == 0:
        raise ValueError("rates must not be empty")
    if not (np.isfinite(rates).all() and (rates >= 0).all()):
        raise ValueError("rates must be finite and >= 0")
    return float(np.count_nonzero(rates) / rates.size)
