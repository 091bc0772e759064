"""Measures of one weight matrix: its pathways, Dale's law, density and inequality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ..checks import SHARE, check
from ..extras import pandas
from .fits import fit_weight_distribution, log_moments
from .scaling import Floats, exponents, scaled
from .weight_samples import as_matrix, check_cut, check_weights, positive_part, row_index, stored

if TYPE_CHECKING:
    import pandas as pd


class LogNormalReference(NamedTuple):
    """Mean and standard deviation of log w."""

    mu: float
    sigma: float


SONG_2005 = LogNormalReference(mu=-0.702, sigma=0.9355)
"""Excitatory cortical synapses, ln(EPSP in mV): Song et al. 2005, PLoS Biology 3:e68."""


def site_index(W: Any) -> NDArray[np.intp]:
    """Place of each stored weight of `W` in CSR order, ``row n_pre + column``: sorted where the columns are.

    Parameters
    ----------
    W : Synapses, scipy.sparse or array_like, (n_post, n_pre)

    Returns
    -------
    ndarray of int, (nnz,)
    """
    W = as_matrix(W)
    return row_index(W) * W.shape[1] + W.indices


def row_thresholds(W: Any, theta: float) -> Floats:
    """Cut of each stored weight where those below ``theta * max_j |w_ij|`` of their row were silenced.

    Parameters
    ----------
    W : Synapses, scipy.sparse or array_like, (n_post, n_pre)
    theta : float in [0, 1]

    Returns
    -------
    ndarray, (nnz,)
        In CSR order: of the weights of an array that are not 0.
    """
    check("theta", theta, SHARE)
    W = as_matrix(W)
    row_max = np.zeros(W.shape[0])
    rows = row_index(W)
    np.maximum.at(row_max, rows, np.abs(W.data))
    return theta * row_max[rows]


def _describe_fit(magnitudes: sparse.csr_array, threshold: Floats | None) -> dict[str, Any]:
    """Columns of `weight_report` that need a fit; NaN where there is nothing to tell apart."""
    if np.ptp(magnitudes.data[magnitudes.data > 0]) == 0:
        columns = ("ks_best", "aic_to_second", "aic_to_lognormal", "ks_lognormal", "fitted_mu", "fitted_sigma")
        return {"best": None, "law": None, **dict.fromkeys(columns, np.nan)}
    fit = fit_weight_distribution(magnitudes, threshold=threshold)
    lognormal = fit[fit.distribution == "lognormal"].iloc[0]
    return {
        "best": fit.distribution[0],
        "ks_best": fit.ks[0],
        "law": fit.attrs["best"],
        "aic_to_second": fit.aic[1] - fit.aic[0],
        "aic_to_lognormal": lognormal.aic - fit.aic[0],
        "ks_lognormal": lognormal.ks,
        "fitted_mu": float(np.log(lognormal.params["scale"])),
        "fitted_sigma": lognormal.params["s"],
    }


def weight_report(W: Any, *, sign: str | int | None = None, threshold: ArrayLike | None = None) -> pd.DataFrame:
    """Describe the weights of one matrix, excitatory and inhibitory apart.

    Parameters
    ----------
    W : Synapses, scipy.sparse or array_like, (n_post, n_pre)
    sign : {None, "mixed", "E", "I", 1, -1}
        None or "mixed": E are the weights > 0, I the magnitudes of those < 0. "E" or 1: one excitatory
        pathway, all weights >= 0. "I" or -1: one inhibitory pathway, all <= 0 or as magnitudes, all >= 0.
    threshold : float or array_like, optional
        Cut of the magnitudes, one or one per stored weight (see `row_thresholds`).

    Returns
    -------
    DataFrame
        One row per pathway that has weights:

        - `pathway` E or I; `n` weights; `density` = n / (n_post n_pre); `silent_share` of all pairs, the
          same for E and I of one matrix
        - `mu`, `sigma`, `skewness`, `kurtosis` (excess) of log w
        - `best` law by AIC and its KS distance `ks_best`; `law`, the same if it describes the weights, None where no
          law does (see `fit_weight_distribution`); `aic_to_second`, its lead; `aic_to_lognormal`, its lead over the
          lognormal (0 if that is the best); `ks_lognormal`; `fitted_mu`, `fitted_sigma` of the (truncated) lognormal
        - `cortex_mu`, `cortex_sigma`: Song et al. 2005, ln mV

    Raises
    ------
    ValueError
        Weights that are not finite or not of the sign named; no weight at all; a bad threshold.
    """
    if sign not in (None, "mixed", "E", "I", 1, -1):
        raise ValueError(f"sign must be None, 'mixed', 'E', 'I', 1 or -1, got {sign!r}")
    W = as_matrix(W)
    values, size, _ = stored(W)
    mixed = sign in (None, "mixed")
    if sign in ("I", -1) and (values <= 0).all():
        values = -values
    check_weights(np.abs(values) if mixed else values)
    cut = None if threshold is None else check_cut(np.abs(values), threshold)
    name = "E" if sign in ("E", 1) else "I"
    parts = {"E": values > 0, "I": values < 0} if mixed else {name: values > 0}
    rows = []
    for pathway, mask in parts.items():
        if not mask.any():
            continue
        part = sparse.csr_array((np.where(mask, np.abs(values), 0), W.indices, W.indptr), W.shape)
        magnitudes = part.data[mask]
        mu, sigma, skewness, kurtosis = log_moments(magnitudes)
        rows.append(
            {
                "pathway": pathway,
                "n": magnitudes.size,
                "density": magnitudes.size / size,
                "silent_share": 1 - np.count_nonzero(values) / size,
                "mu": mu,
                "sigma": sigma,
                "skewness": skewness,
                "kurtosis": kurtosis,
                **_describe_fit(part, None if cut is None else np.where(mask, cut, 0)),
                "cortex_mu": SONG_2005.mu,
                "cortex_sigma": SONG_2005.sigma,
            }
        )
    report = pandas().DataFrame(rows)
    for column in ("best", "law"):  # a column of strings would have NaN for None
        report[column] = pandas().Series([row[column] for row in rows], dtype=object)
    return report


def dale_index(W: Any, *others: Any) -> Floats:
    """Dale index of each pre-synaptic cell, ``|sum_i w_ij| / sum_i |w_ij|`` over its outgoing synapses.

    1: all of a cell's synapses have one sign (Dale's law); 0: its excitation and inhibition cancel.
    Random signs of k equal weights give about sqrt(2 / (pi k)).

    Parameters
    ----------
    W, *others : Synapses, scipy.sparse or 2-d array_like, (n_post, n_pre)
        Signed pathways whose columns are the same cells; their rows may differ in number.

    Returns
    -------
    ndarray, (n_pre,)
        In [0, 1]; NaN for a cell without synapses.
    """
    pathways = []
    for i, V in enumerate((W, *others)):
        name = f"others[{i - 1}]" if i else "W"
        pathways.append(as_matrix(V, name))
        if not np.isfinite(pathways[-1].data).all():
            raise ValueError(f"{name} must hold finite weights")
    n_pre = {V.shape[1] for V in pathways}
    if len(n_pre) > 1:
        raise ValueError(f"pathways must have the same pre-synaptic cells (columns), got {sorted(n_pre)}")
    largest = np.zeros(*n_pre)
    for V in pathways:
        np.maximum.at(largest, V.indices, np.abs(V.data))
    down = exponents(largest)
    parts = [sparse.csr_array((np.ldexp(V.data, -down[V.indices]), V.indices, V.indptr), V.shape) for V in pathways]
    net = np.sum([V.sum(axis=0) for V in parts], axis=0)
    total = np.sum([abs(V).sum(axis=0) for V in parts], axis=0)
    return np.divide(np.abs(net), total, out=np.full(total.shape, np.nan), where=total > 0)


def dale_indices(outgoing: Mapping[str, Mapping[str, Any]]) -> dict[str, Floats]:
    """Dale index of every cell of a network over all of the synapses it makes, by population.

    Parameters
    ----------
    outgoing : mapping of mappings
        The pathways that each population makes, by name, as a network's `outgoing()` gives them.

    Returns
    -------
    dict of ndarray
        `dale_index` of the cells of each population.
    """
    return {cells: dale_index(*made.values()) for cells, made in outgoing.items()}


def density(W: Any) -> float:
    """Share of the possible synapses of a pathway that are not silent.

    Parameters
    ----------
    W : Synapses, scipy.sparse or array_like, (n_post, n_pre)

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        A pathway of no possible synapse.
    """
    values, size, _ = stored(W, "W")
    if size == 0:
        raise ValueError("W is empty: it has no possible synapse")
    if not np.isfinite(values).all():
        raise ValueError("W must be finite")
    return np.count_nonzero(values) / size


def gini(weights: Any, *, silent: bool = False) -> float:
    """Gini index of the weights: 0 = all equal, towards 1 = one holds everything.

    G = 2 sum_i i w_(i) / (n sum w) - (n + 1) / n over the ascending weights [1]_.

    Parameters
    ----------
    weights : Synapses, scipy.sparse or array_like
        Weights >= 0, of one sign.
    silent : bool
        Whether silent synapses count as weights of 0; by default they are left apart.

    Returns
    -------
    float

    References
    ----------
    .. [1] N. Hurley & S. Rickard, IEEE Trans. Information Theory 55:4723 (2009).
    """
    values, size, _ = stored(weights)
    w = np.sort(scaled(positive_part(values, None)[0]))
    n = size if silent else w.size
    rank = np.arange(n - w.size + 1, n + 1)
    return float(2 * (rank @ w) / (n * w.sum()) - (n + 1) / n)
