"""How a population of cells represents stimuli: sparseness, selectivity, correlation, dimensionality."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import check_labels, plain_array
from ..extras import pandas
from ..seeds import generator_from
from .activity import finite_rates, pairwise_correlation, treves_rolls
from .scaling import Floats, scaled

if TYPE_CHECKING:
    import pandas as pd


#: A cell is active where its rate is at least this share of the largest rate of that stimulus.
ACTIVE = 0.1


def _rates(rates: ArrayLike, name: str = "rates") -> Floats:
    rates = plain_array(rates, name, np.float64)
    if rates.ndim != 2 or len(rates) < 2 or not rates.shape[1]:
        raise ValueError(f"{name} must be (n_stimuli, n_cells) with at least 2 stimuli and 1 cell, got {rates.shape}")
    return finite_rates(rates, name, nonnegative=True)


def _labels(labels: ArrayLike, n: int) -> NDArray[np.intp]:
    """Each stimulus's class as a number from 0."""
    check_labels(labels, "labels")
    labels = plain_array(labels, "labels")
    if labels.shape != (n,):
        raise ValueError(f"labels must be one for each stimulus, shape ({n},), got {labels.shape}")
    classes, index = np.unique(labels, return_inverse=True)
    if classes.size < 2:
        raise ValueError("labels must hold at least 2 classes")
    return index


def class_selectivity(rates: ArrayLike, labels: ArrayLike) -> Floats:
    """Class selectivity index of each cell, ``(mu_max - mu_other) / (mu_max + mu_other)`` [1]_.

    ``mu_max`` is the mean rate for the class that drives the cell most, ``mu_other`` the mean over the other classes'
    means. 0: all classes alike; 1: one class only. A cell that fires rarely is selective in any finite sample: compare
    with shuffled labels.

    Parameters
    ----------
    rates : array_like (n_stimuli, n_cells)
        >= 0.
    labels : array_like (n_stimuli,)
        At least two classes.

    Returns
    -------
    ndarray (n_cells,)
        In [0, 1]; NaN for a cell that never fires.

    References
    ----------
    .. [1] A. S. Morcos et al., ICLR 2018, arXiv:1803.06959.
    """
    rates = scaled(_rates(rates), axis=0)
    index = _labels(labels, len(rates))
    member = np.eye(index.max() + 1)[index]
    means = (member.T @ rates) / member.sum(axis=0)[:, None]
    best = means.max(axis=0)
    other = (means.sum(axis=0) - best) / (len(means) - 1)
    return np.divide(best - other, best + other, out=np.full(best.shape, np.nan), where=best > 0)


def participation_ratio(rates: ArrayLike) -> float:
    """Effective dimensionality ``(sum_k l_k)^2 / sum_k l_k^2`` of the covariance of cells, ``l`` its eigenvalues.

    1: all cells share one signal; the number of cells where they are independent and vary alike (Gao et al. 2017,
    bioRxiv 214262). At most the number of stimuli less one. NaN where nothing changes.

    Parameters
    ----------
    rates : array_like (n_stimuli, n_cells)

    Returns
    -------
    float
    """
    rates = scaled(_rates(rates))
    centred = rates - rates.mean(axis=0)
    # trace and square norm of the covariance, from the smaller of the two products that have its eigenvalues
    product = centred.T @ centred if rates.shape[1] < len(rates) else centred @ centred.T
    trace = np.trace(product)
    if trace <= 1e-24 * (rates**2).sum():
        return float("nan")
    return float(trace**2 / (product**2).sum())


def _mean(values: Floats) -> float:
    """Over the cells or stimuli for which there is a value."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _describe(rates: Floats, labels: NDArray | None, rng: np.random.Generator) -> dict[str, Any]:
    row = {
        "n_cells": rates.shape[1],
        "silent_share": float(np.mean(~(rates > 0).any(axis=0))),
        "active_share": float(np.mean((rates > 0) & (rates >= ACTIVE * rates.max(axis=1, keepdims=True)))),
        "population_sparseness": _mean(treves_rolls(rates, axis=1)),
        "lifetime_sparseness": _mean(treves_rolls(rates, axis=0)),
        "correlation": pairwise_correlation(rates).mean_size,
        "correlation_shuffled": pairwise_correlation(rng.permuted(rates, axis=0)).mean_size,
        "dimensionality": participation_ratio(rates),
    }
    if labels is not None:
        row["selectivity"] = _mean(class_selectivity(rates, labels))
        row["selectivity_shuffled"] = _mean(class_selectivity(rates, rng.permutation(labels)))
    return row


def representation_report(
    rates: ArrayLike,
    labels: ArrayLike | None = None,
    inputs: ArrayLike | None = None,
    *,
    random_state: int | np.random.Generator | None = 0,
) -> pd.DataFrame:
    """Describe the rates of a population, beside those of its inputs.

    Parameters
    ----------
    rates : array_like (n_stimuli, n_cells)
        >= 0.
    labels : array_like (n_stimuli,), optional
        Classes, for the selectivity.
    inputs : array_like (n_stimuli, n_inputs), optional
        >= 0, such as the intensities of the images.
    random_state : int, Generator or None
        Of the shuffles.

    Returns
    -------
    DataFrame
        A row `cells` and, with `inputs`, a row `inputs`:

        - `n_cells`; `silent_share` of the cells that never fire; `active_share`, the mean share of cells whose rate is
          at least a tenth of the largest of that stimulus
        - `population_sparseness` over cells, mean of the stimuli, and `lifetime_sparseness` over stimuli, mean of the
          cells (:func:`treves_rolls`)
        - `correlation`, mean size of :func:`pairwise_correlation`; `correlation_shuffled`, the same where each cell's
          stimuli are shuffled: what independent cells of these rates show in so few stimuli
        - `dimensionality`, :func:`participation_ratio`
        - with `labels`: `selectivity`, mean of :func:`class_selectivity`, and `selectivity_shuffled`, with the labels
          shuffled

    Raises
    ------
    ValueError
        Rates or inputs that are negative, not finite or not 2-d; labels or inputs of another length.
    """
    rates = _rates(rates)
    if labels is not None:
        labels = _labels(labels, len(rates))
    populations = {"cells": rates}
    if inputs is not None:
        populations["inputs"] = _rates(inputs, "inputs")
        if len(populations["inputs"]) != len(rates):
            raise ValueError(
                f"inputs must have one row for each stimulus ({len(rates)}), got {len(populations['inputs'])}"
            )
    rng = generator_from(random_state)
    rows = [_describe(population, labels, rng) for population in populations.values()]
    return pandas().DataFrame(rows, index=list(populations))
