"""Weights and their cuts, checked and in float64: what every fit and every measure starts from."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from ..checks import plain_array
from .scaling import Floats

#: Least weights that show whether small ones were cut away.
LEAST_WEIGHTS = 100
#: How close together the smallest hundredth of the weights may lie in log w, relative to the way from there to the
#: smallest tenth, before they look cut: about 0.9 of a lognormal, 0.6 of the laws that end most steeply, less than 0.2
#: where a twentieth of a lognormal was cut away.
SHARPEST_EDGE = 0.2


class Stored(NamedTuple):
    """Weights that are stored, in CSR order, with the row of each where they have rows, and how many there could be."""

    values: Floats
    size: int
    rows: NDArray[np.intp] | None


def _is_scalar(value: ArrayLike) -> bool:
    return np.ndim(value) == 0


def as_matrix(W: Any, name: str = "W") -> sparse.csr_array:
    """A weight matrix as a csr_array of float64: repeated entries are one weight, their sum; W stays as it is.

    Parameters
    ----------
    W : Synapses, scipy.sparse or array_like, (n_post, n_pre)
    """
    if hasattr(W, "to_scipy"):  # the library's own pathway
        W = W.to_scipy()
    if not sparse.issparse(W):
        W = plain_array(W, name, np.float64)
    if W.ndim != 2:
        raise ValueError(f"{name} must be 2-d (n_post, n_pre), got shape {W.shape}")
    A = sparse.csr_array(W)
    if np.iscomplexobj(A.data):
        raise TypeError(f"{name} must hold real numbers, got {A.dtype}")
    # a matrix of our own on the same arrays: flags that scipy sets on it do not touch the caller's
    A = sparse.csr_array((A.data.astype(np.float64, copy=False), A.indices, A.indptr), A.shape, copy=False)
    if A.has_canonical_format:
        return A
    summed = A.copy()
    summed.sum_duplicates()
    return A if summed.nnz == A.nnz else summed  # in the order given, if the matrix is otherwise canonical


def row_index(W: Any) -> NDArray[np.intp]:
    """Post-synaptic cell of each stored weight of `W` in CSR order: the `groups` of `vuong`.

    Parameters
    ----------
    W : Synapses, scipy.sparse or array_like, (n_post, n_pre)

    Returns
    -------
    ndarray of int, (nnz,)
    """
    W = as_matrix(W)
    return np.repeat(np.arange(W.shape[0]), np.diff(W.indptr))


def stored(weights: Any, name: str = "weights") -> Stored:
    """Stored values as float64, and the number of synapses that could have been stored. Masked ones are left out."""
    if hasattr(weights, "to_scipy") or (sparse.issparse(weights) and weights.ndim == 2):
        A = as_matrix(weights, name)
        return Stored(A.data, A.shape[0] * A.shape[1], row_index(A))
    if sparse.issparse(weights):
        return stored(sparse.coo_array(weights).reshape(1, -1), name)
    keep = ~np.ma.getmaskarray(weights).ravel() if np.ma.is_masked(weights) else slice(None)
    array = plain_array(np.ma.getdata(weights) if isinstance(weights, np.ma.MaskedArray) else weights, name, np.float64)
    values = array.ravel()[keep]
    rows = np.repeat(np.arange(len(array)), array.shape[1])[keep] if array.ndim == 2 else None
    return Stored(values, values.size, rows)


def looks_cut(weights: Stored) -> bool:
    """Whether small weights seem to have been cut away, at one value or at a share of each row's largest.

    Then the smallest of those left lie much closer together than those of any law that is whole.
    """
    positive = weights.values > 0
    log_w = np.log(weights.values[positive])
    if log_w.size < LEAST_WEIGHTS:
        return False
    if _sharp_edge(log_w):
        return True
    if weights.rows is None:
        return False
    rows = weights.rows[positive]
    largest = np.full(rows.max() + 1, -np.inf)
    np.maximum.at(largest, rows, log_w)
    below = log_w < largest[rows]  # a row's largest says nothing of its cut
    return bool(below.sum() >= LEAST_WEIGHTS and _sharp_edge((log_w - largest[rows])[below]))


def _sharp_edge(log_w: Floats) -> bool:
    hundredth = max(10, log_w.size // 100)
    places = [0, hundredth, min(10 * hundredth, log_w.size // 3)]
    least, low, high = np.partition(log_w, places)[places]
    return bool(0 < low - least < SHARPEST_EDGE * (high - low))


def warn_if_cut(weights: Stored, threshold: ArrayLike | None, stacklevel: int = 3) -> None:
    """Warn of a fit that ignores a cut."""
    if threshold is None and looks_cut(weights):
        warnings.warn(
            "weights look cut: there are none below a sharp lower end, as after pruning. What is left of one law then "
            "passes for another: say where they were cut (threshold=..., see row_thresholds)",
            UserWarning,
            stacklevel=stacklevel + 1,
        )


def _first(bad: NDArray[np.bool_]) -> int | None:
    return int(np.argmax(bad)) if bad.any() else None


def check_weights(values: Floats) -> None:
    if (i := _first(~np.isfinite(values))) is not None:
        raise ValueError(f"weights must be finite: weights[{i}] is {values[i]}")
    if (i := _first(values < 0)) is not None:
        raise ValueError(
            f"weights[{i}] = {values[i]:g} is negative: pass excitatory and inhibitory weights apart, "
            "each as magnitudes (w[w > 0], then -w[w < 0])"
        )
    if not (values > 0).any():
        raise ValueError("weights is empty: there is no weight above 0 to describe")


def check_cut(values: Floats, threshold: ArrayLike) -> Floats:
    """Broadcast `threshold` to one cut a weight; silent weights may lie below theirs, or have none."""
    cut = plain_array(threshold, "threshold", np.float64)
    if not _is_scalar(cut) and cut.size != values.size:  # of an array without its zeros
        live = values != 0
        if cut.size != np.count_nonzero(live):
            raise ValueError(f"threshold must be a scalar or one per weight ({values.size}), got {cut.size}")
        of_live, cut = cut.ravel(), np.zeros(values.shape)
        cut[live] = of_live
    cut = np.broadcast_to(cut if _is_scalar(cut) else cut.ravel(), values.shape)
    if (i := _first(~(np.isfinite(cut) & (cut >= 0)))) is not None:
        raise ValueError(f"threshold must be finite and >= 0: that of weights[{i}] is {cut[i]}")
    # A weight pruned in float32 may sit one float32 rounding below a cut computed in float64.
    if (i := _first((values > 0) & (cut > values * (1 + 1e-6)))) is not None:
        raise ValueError(f"threshold {cut[i]:g} is above weights[{i}] = {values[i]:g}")
    return np.minimum(cut, values)


def positive_weights(weights: Any, threshold: ArrayLike | None = None) -> tuple[Floats, Floats | None]:
    """The weights that are not silent, and the cut of each, checked and in float64.

    Parameters
    ----------
    weights, threshold : as in `fit_weight_distribution`.

    Returns
    -------
    weights : ndarray, (n,)
    cuts : ndarray, (n,), or None without `threshold`
    """
    return positive_part(stored(weights).values, threshold)


def positive_part(values: Floats, threshold: ArrayLike | None) -> tuple[Floats, Floats | None]:
    """:func:`positive_weights` of weights as they are stored."""
    check_weights(values)
    keep = values > 0
    return values[keep], None if threshold is None else check_cut(values, threshold)[keep]


@dataclass(frozen=True)
class Cuts:
    """Where each weight of a sample was cut from below: the distinct cuts and which of them is whose."""

    values: Floats  # ascending
    which: NDArray[np.intp]  # the cut of each weight, as an index into `values`

    MAX_NODES = 4096

    @property
    def of_each(self) -> Floats:
        """The cut of each weight."""
        return self.values[self.which]

    @cached_property
    def share(self) -> Floats:
        """Share of the weights at each distinct cut."""
        return np.bincount(self.which) / self.which.size

    @cached_property
    def nodes(self) -> tuple[Floats, Floats]:
        """Cuts and shares for the optimisers: at most `MAX_NODES` (and 0), however many distinct cuts.

        Each cut's share is split between its two neighbours on a grid in log cut, which is linear
        interpolation of log sf (error of order 1e-7); reported likelihoods use the exact cuts.
        """
        zero = int(self.values[0] == 0)
        cut, share = self.values[zero:], self.share[zero:]
        if cut.size <= self.MAX_NODES:
            return self.values, self.share
        grid = np.linspace(np.log(cut[0]), np.log(cut[-1]), self.MAX_NODES)
        place = np.interp(np.log(cut), grid, np.arange(grid.size))
        left = np.minimum(place.astype(np.intp), grid.size - 2)
        right_part = share * (place - left)
        split = np.bincount(left, share - right_part, grid.size)
        split += np.bincount(left + 1, right_part, grid.size)
        return np.append(self.values[:zero], np.exp(grid)), np.append(self.share[:zero], split)


@dataclass(frozen=True)
class Sample:
    """Positive weights and their cuts, in units of the geometric mean so that no fit depends on scale."""

    x: Floats
    unit: float
    cuts: Cuts | None
    n_silent: int

    @cached_property
    def log_x(self) -> Floats:
        return np.log(self.x)

    @property
    def positive_cuts(self) -> Cuts | None:
        """The cuts, if any of them is positive: a cut at 0 changes nothing for a law on w > 0."""
        return self.cuts if self.cuts is not None and self.cuts.values[-1] > 0 else None

    def mean_cut(self, power: float = 1.0) -> float:
        cuts = self.positive_cuts
        return 0.0 if cuts is None else float(cuts.share @ cuts.values**power)


def sample_of(weights: Any, threshold: ArrayLike | None) -> Sample:
    values, size, _ = weights if isinstance(weights, Stored) else stored(weights)
    x, cut = positive_part(values, threshold)
    if x.min() == x.max():
        raise ValueError(f"all {x.size} weights are equal ({x[0]:g}): no distribution can be fitted")
    unit = float(np.exp(np.mean(np.log(x))))
    cuts = None
    if cut is not None:
        if (cut == x).all():
            raise ValueError("every weight lies at its threshold: no distribution can be fitted")
        distinct, which = np.unique(cut, return_inverse=True)
        cuts = Cuts(distinct / unit, which)
    return Sample(x / unit, unit, cuts, size - x.size)
