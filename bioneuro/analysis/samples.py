"""Weights and their cuts, checked and in float64: what every fit and every measure starts from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

Floats = NDArray[np.float64]


def _is_scalar(value: ArrayLike) -> bool:
    return np.ndim(value) == 0


def stored(weights: Any) -> tuple[Floats, int]:
    """Stored values as float64, and the number of synapses that could have been stored."""
    if sparse.issparse(weights):
        return np.asarray(sparse.csr_array(weights).data, dtype=np.float64), int(np.prod(weights.shape))
    values = np.asarray(weights, dtype=np.float64).ravel()
    return values, values.size


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
    """Broadcast `threshold` to one cut a weight; silent weights may lie below theirs."""
    cut = np.asarray(threshold, dtype=np.float64)
    if not (_is_scalar(cut) or cut.size == values.size):
        raise ValueError(f"threshold must be a scalar or one per weight ({values.size}), got {cut.size}")
    cut = np.broadcast_to(cut if _is_scalar(cut) else cut.ravel(), values.shape)
    if (i := _first(~(np.isfinite(cut) & (cut >= 0)))) is not None:
        raise ValueError(f"threshold must be finite and >= 0: threshold[{i}] is {cut[i]}")
    # A weight pruned in float32 may sit one float32 rounding below a cut computed in float64.
    if (i := _first((values > 0) & (cut > values * (1 + 1e-6)))) is not None:
        raise ValueError(f"threshold[{i}] = {cut[i]:g} is above weights[{i}] = {values[i]:g}")
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
    values, _ = stored(weights)
    check_weights(values)
    keep = values > 0
    return values[keep], None if threshold is None else check_cut(values, threshold)[keep]


@dataclass(frozen=True)
class Sample:
    """Positive weights and their cuts, in units of the geometric mean so that no fit depends on scale."""

    x: Floats
    unit: float
    cut: Floats | None  # distinct cuts, ascending
    which: NDArray[np.intp] | None  # the cut of each weight, as an index into `cut`
    n_silent: int

    MAX_NODES = 4096

    @cached_property
    def log_x(self) -> Floats:
        return np.log(self.x)

    @cached_property
    def share(self) -> Floats:
        """Share of the weights at each distinct cut."""
        return np.bincount(self.which) / self.x.size

    @cached_property
    def nodes(self) -> tuple[Floats, Floats]:
        """Cuts and shares for the optimisers: at most `MAX_NODES` (and 0), however many distinct cuts.

        Each cut's share is split between its two neighbours on a grid in log cut, which is linear
        interpolation of log sf (error of order 1e-7); reported likelihoods use the exact cuts.
        """
        zero = int(self.cut[0] == 0)
        cut, share = self.cut[zero:], self.share[zero:]
        if cut.size <= self.MAX_NODES:
            return self.cut, self.share
        grid = np.linspace(np.log(cut[0]), np.log(cut[-1]), self.MAX_NODES)
        place = np.interp(np.log(cut), grid, np.arange(grid.size))
        left = np.minimum(place.astype(np.intp), grid.size - 2)
        right_part = share * (place - left)
        split = np.bincount(left, share - right_part, grid.size)
        split += np.bincount(left + 1, right_part, grid.size)
        return np.append(self.cut[:zero], np.exp(grid)), np.append(self.share[:zero], split)

    @property
    def is_cut(self) -> bool:
        """Whether any weight has a positive cut (a cut at 0 changes nothing for a law on w > 0)."""
        return self.cut is not None and self.cut[-1] > 0

    def mean_cut(self, power: float = 1.0) -> float:
        return float(self.share @ self.cut**power) if self.is_cut else 0.0


def sample_of(weights: Any, threshold: ArrayLike | None) -> Sample:
    x, cut = positive_weights(weights, threshold)
    if x.min() == x.max():
        raise ValueError(f"all {x.size} weights are equal ({x[0]:g}): no distribution can be fitted")
    unit = float(np.exp(np.mean(np.log(x))))
    which = None
    if cut is not None:
        if (cut == x).all():
            raise ValueError("every weight lies at its threshold: no distribution can be fitted")
        cut, which = np.unique(cut, return_inverse=True)
        cut = cut / unit
    return Sample(x / unit, unit, cut, which, stored(weights)[1] - x.size)
