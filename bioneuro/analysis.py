"""Which law do synaptic weights follow, how sparse are they, and how sure can we be.

Silent synapses (zero or not stored) are always left apart, and excitatory and inhibitory weights are
described apart. Where small weights were pruned, every candidate is fitted by its *left-truncated*
likelihood: what is left of an exponential after its small values are cut away looks lognormal to a fit
that ignores the cut.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, sparse, special, stats

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "DISTRIBUTIONS",
    "SONG_2005",
    "Candidate",
    "KSBootstrap",
    "LogMoments",
    "MeanInterval",
    "PairedDifference",
    "Vuong",
    "dale_index",
    "density",
    "fit_weight_distribution",
    "gini",
    "holm",
    "ks_bootstrap",
    "log_moments",
    "mean_interval",
    "paired_difference",
    "pit",
    "positive_weights",
    "row_index",
    "row_thresholds",
    "treves_rolls",
    "truncated_density",
    "vuong",
    "weight_report",
]

Floats = NDArray[np.float64]
Params = dict[str, float]


class LogNormalReference(NamedTuple):
    """Mean and standard deviation of log w."""

    mu: float
    sigma: float


SONG_2005 = LogNormalReference(mu=-0.702, sigma=0.9355)
"""Excitatory cortical synapses, ln(EPSP in mV): Song et al. 2005, PLoS Biology 3:e68."""


# --- Results ------------------------------------------------------------------------------------------


class Vuong(NamedTuple):
    """Result of `vuong`; positive values favour the first distribution."""

    statistic: float
    p_value: float
    mean_log_ratio: float
    low: float
    high: float
    n: int
    n_groups: int


class KSBootstrap(NamedTuple):
    """Result of `ks_bootstrap`."""

    statistic: float
    p_value: float
    n_boot: int


class LogMoments(NamedTuple):
    """Moments of log w; `kurtosis` is the excess over the normal's."""

    mean: float
    sd: float
    skewness: float
    kurtosis: float


class MeanInterval(NamedTuple):
    """A mean with its Student t interval."""

    mean: float
    low: float
    high: float
    half_width: float
    n: int


class PairedDifference(NamedTuple):
    """The mean of a - b with its Student t interval and two-sided p-value."""

    mean: float
    low: float
    high: float
    half_width: float
    n: int
    p_value: float


# --- Weights and cuts ---------------------------------------------------------------------------------


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ImportError('tables of results need pandas: pip install "bioneuro[experiments]"') from error
    return pandas


def _is_scalar(value: ArrayLike) -> bool:
    return np.ndim(value) == 0


def _stored(weights: Any) -> tuple[Floats, int]:
    """Stored values as float64, and the number of synapses that could have been stored."""
    if sparse.issparse(weights):
        return np.asarray(sparse.csr_array(weights).data, dtype=np.float64), int(np.prod(weights.shape))
    values = np.asarray(weights, dtype=np.float64).ravel()
    return values, values.size


def _first(bad: NDArray[np.bool_]) -> int | None:
    return int(np.argmax(bad)) if bad.any() else None


def _check_weights(values: Floats) -> None:
    if (i := _first(~np.isfinite(values))) is not None:
        raise ValueError(f"weights must be finite: weights[{i}] is {values[i]}")
    if (i := _first(values < 0)) is not None:
        raise ValueError(
            f"weights[{i}] = {values[i]:g} is negative: pass excitatory and inhibitory weights apart, "
            "each as magnitudes (w[w > 0], then -w[w < 0])"
        )
    if not (values > 0).any():
        raise ValueError("weights is empty: there is no weight above 0 to describe")


def _check_cut(values: Floats, threshold: ArrayLike) -> Floats:
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
    values, _ = _stored(weights)
    _check_weights(values)
    keep = values > 0
    return values[keep], None if threshold is None else _check_cut(values, threshold)[keep]


@dataclass(frozen=True)
class _Sample:
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


def _sample(weights: Any, threshold: ArrayLike | None) -> _Sample:
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
    return _Sample(x / unit, unit, cut, which, _stored(weights)[1] - x.size)


# --- Candidate laws -----------------------------------------------------------------------------------
# scipy's own laws; where a far tail would underflow to log 0, the log is written out.


class _Gamma(type(stats.gamma)):
    def _logsf(self, x, a):
        x, a = np.broadcast_arrays(np.asarray(x, dtype=np.float64), a)
        sf = special.gammaincc(a, x)
        far = (sf < 1e-300) & np.isfinite(x)
        log_sf = np.log(sf, out=np.full(sf.shape, -np.inf), where=sf > 0)
        if far.any():
            log_sf[far] = self._log_tail(x[far], a[far])
        return log_sf

    @staticmethod
    def _log_tail(x, a, n_terms=100):
        """Legendre's fraction, Gamma(a, x) = e^-x x^a / (x + 1 - a - 1 (1 - a) / (x + 3 - a - ...))."""
        fraction = x + 2 * n_terms + 1 - a
        for k in range(n_terms, 0, -1):
            fraction = x + 2 * k - 1 - a - k * (k - a) / fraction
        return a * np.log(x) - x - special.gammaln(a) - np.log(fraction)


class _HalfNormal(type(stats.halfnorm)):
    def _logsf(self, x):
        return np.log(2.0) + special.log_ndtr(-x)


class _Pareto(type(stats.pareto)):
    def _logpdf(self, x, b):
        return np.log(b) - (b + 1) * np.log(x)

    def _logsf(self, x, b):
        return -b * np.log(x)


def _minimise(objective: Callable[[Floats], float], start: Sequence[float], bounds: list) -> Floats:
    """Nelder-Mead, started again where it stops: the objectives are smooth, the second run is the polish."""
    low, high = np.transpose(bounds)
    best = np.clip(np.asarray(start, dtype=np.float64), low, high)
    for step in (0.5, 0.05):
        corner = best + step * np.where(best + step > high, -1.0, 1.0) * np.eye(best.size)
        best = optimize.minimize(
            objective,
            best,
            method="Nelder-Mead",
            bounds=bounds,
            options={
                "initial_simplex": np.clip(np.vstack([best, corner]), low, high),
                "xatol": 1e-8,
                "fatol": 1e-11,
                "maxiter": 500,
            },
        ).x
    return best


def _minimise_1d(objective: Callable[[float], float], low: float, high: float) -> float:
    options = {"xatol": 1e-10}
    return float(optimize.minimize_scalar(objective, bounds=(low, high), method="bounded", options=options).x)


def _normal_mle(
    x: Floats, nodes: tuple[Floats, Floats] | None, floor: float = -np.inf
) -> tuple[float, float]:
    """Mean (>= floor) and sd of a normal that is seen only above its cuts (nodes = cuts, shares)."""
    centre, spread = float(x.mean()), float(x.std())
    if nodes is None:
        return centre, spread
    cut, share = (nodes[0] - centre) / spread, nodes[1]

    # f ~ exp(a z - b z^2 / 2) is concave in (a, b) and reaches its limit, the exponential, at b = 0.
    def objective(theta: Floats) -> float:
        a, b = theta[0], np.exp(theta[1])
        loc, scale = a / b, b**-0.5
        if centre + spread * loc < floor:
            return np.inf
        log_sf = special.log_ndtr((loc - cut) / scale)
        return np.log(scale) + (1 + loc * loc) / (2 * scale * scale) + 0.9189385332046727 + share @ log_sf

    a, log_b = _minimise(objective, [0.0, 0.0], [(-1e4, 1e4), (np.log(1e-5), 30.0)])
    return float(centre + spread * a * np.exp(-log_b)), float(spread * np.exp(-log_b / 2))


def _fit_normal(sample: _Sample) -> Params:
    loc, scale = _normal_mle(sample.x, None if sample.cut is None else sample.nodes)
    return {"loc": loc, "scale": scale}


def _fit_lognormal(sample: _Sample) -> Params:
    nodes = None
    if sample.is_cut:
        with np.errstate(divide="ignore"):
            nodes = np.log(sample.nodes[0]), sample.nodes[1]
    mu, sigma = _normal_mle(sample.log_x, nodes, floor=-300.0)  # exp(mu) stays in the range of doubles
    return {"s": sigma, "scale": float(np.exp(mu))}


def _fit_half_normal(sample: _Sample) -> Params:
    square = float(np.mean(sample.x**2))
    rms = np.sqrt(square)
    if not sample.is_cut:
        return {"scale": float(rms)}
    cut, share = sample.nodes

    def objective(log_scale: float) -> float:
        scale = np.exp(log_scale)
        return log_scale + square / (2 * scale**2) + share @ special.log_ndtr(-cut / scale)

    return {"scale": float(np.exp(_minimise_1d(objective, np.log(rms) - 14, np.log(rms))))}


def _fit_exponential(sample: _Sample) -> Params:
    # No memory: w - t is exponential again.
    return {"scale": float(sample.x.mean()) - sample.mean_cut()}


def _fit_gamma(sample: _Sample) -> Params:
    mean = float(sample.x.mean())
    # log k - digamma(k) = log mean(x) - mean(log x), and 1 / 2k < log k - digamma(k) < 1 / k.
    gap = max(np.log(mean) - float(sample.log_x.mean()), 1e-13)
    shape = optimize.brentq(
        lambda k: np.log(k) - special.digamma(k) - gap, 0.4 / gap, 1.1 / gap, xtol=1e-300, rtol=1e-14
    )
    if not sample.is_cut:
        return {"a": float(shape), "scale": mean / shape}
    cut, share = sample.nodes
    mean_log = float(sample.log_x.mean())

    def objective(theta: Floats) -> float:
        k = np.exp(theta[0])
        scale = np.exp(theta[1]) / k
        log_f = (k - 1) * mean_log - mean / scale - k * np.log(scale) - special.gammaln(k)
        return share @ _GAMMA._logsf(cut / scale, k) - log_f

    log_k, log_mean = _minimise(objective, [np.log(shape), np.log(mean)], [(-9.0, 30.0), (-60.0, 30.0)])
    return {"a": float(np.exp(log_k)), "scale": float(np.exp(log_mean - log_k))}


def _fit_weibull(sample: _Sample) -> Params:
    mean_log = float(sample.log_x.mean())

    # Given c, the best scale is closed: scale^c = mean(x^c - t^c). What is left is one-dimensional.
    def scale_to_c(c: float) -> float:
        return float(np.mean(np.exp(c * sample.log_x))) - sample.mean_cut(c)

    def objective(log_c: float) -> float:
        c = np.exp(log_c)
        return np.log(scale_to_c(c)) - log_c - (c - 1) * mean_log

    # c -> 0 is the power law, where the scale leaves the range of doubles; large c overflows x^c.
    c = np.exp(_minimise_1d(objective, np.log(0.02), np.log(500 / np.abs(sample.log_x).max())))
    return {"c": float(c), "scale": float(scale_to_c(c) ** (1 / c))}


def _fit_pareto(sample: _Sample) -> Params:
    x_min = float(sample.cut[0]) if sample.cut is not None and sample.cut[0] > 0 else float(sample.x.min())
    log_start = np.log(x_min)
    if sample.is_cut:
        log_start = float(sample.share @ np.log(np.maximum(sample.cut, x_min)))
    return {"b": 1 / (float(sample.log_x.mean()) - log_start), "scale": x_min}


def _fit_numerically(law: stats.rv_continuous, sample: _Sample) -> Params:
    """MLE of any scipy law on w > 0 with positive shape parameters, loc = 0."""
    names = [*(law.shapes.replace(" ", "").split(",") if law.shapes else []), "scale"]

    def objective(theta: Floats) -> float:
        params = dict(zip(names, np.exp(theta), strict=True))
        value = -np.mean(law.logpdf(sample.x, **params))
        if sample.is_cut:
            value += sample.nodes[1] @ law.logsf(sample.nodes[0], **params)
        return value if np.isfinite(value) else np.inf

    theta = _minimise(objective, np.zeros(len(names)), [(-15.0, 15.0)] * len(names))
    return dict(zip(names, np.exp(theta).tolist(), strict=True))


@dataclass(frozen=True)
class Candidate:
    """A law that weights may follow.

    Parameters
    ----------
    law : scipy.stats distribution on w >= 0 (or the whole line), with `loc` and `scale`.
    n_params : int
        Number of fitted parameters, for AIC and BIC.
    fit : callable, optional
        From a sample in units of its geometric mean to scipy's parameters. By default the (truncated)
        likelihood is maximised numerically over `law`'s shapes and scale with loc = 0.
    """

    law: stats.rv_continuous
    n_params: int
    fit: Callable[[_Sample], Params] | None = None

    def fitted(self, sample: _Sample) -> Params:
        return self.fit(sample) if self.fit else _fit_numerically(self.law, sample)


_GAMMA = _Gamma(a=0.0, name="gamma")

# To add a law, add a line; `Candidate(stats.invgauss, 2)` is enough.
# The power law's xmin is chosen, not fitted (Clauset, Shalizi & Newman 2009): one parameter.
DISTRIBUTIONS: dict[str, Candidate] = {
    "lognormal": Candidate(stats.lognorm, 2, _fit_lognormal),
    "normal": Candidate(stats.norm, 2, _fit_normal),
    "half-normal": Candidate(_HalfNormal(a=0.0, name="halfnorm"), 1, _fit_half_normal),
    "exponential": Candidate(stats.expon, 1, _fit_exponential),
    "gamma": Candidate(_GAMMA, 2, _fit_gamma),
    "weibull": Candidate(stats.weibull_min, 2, _fit_weibull),
    "power law": Candidate(_Pareto(a=1.0, name="pareto"), 1, _fit_pareto),
}


def _candidate(name: str) -> Candidate:
    if name not in DISTRIBUTIONS:
        raise ValueError(f"unknown distribution {name!r}: choose from {', '.join(map(repr, DISTRIBUTIONS))}")
    return DISTRIBUTIONS[name]


def _rescaled(params: Params, factor: float) -> Params:
    return {key: value * factor if key in ("loc", "scale") else value for key, value in params.items()}


def _log_likelihood(law: stats.rv_continuous, params: Params, sample: _Sample) -> Floats:
    """log f(w) - log sf(t) of each weight, in the sample's units."""
    log_f = law.logpdf(sample.x, **params)
    return log_f if sample.cut is None else log_f - law.logsf(sample.cut, **params)[sample.which]


def _uniforms(law: stats.rv_continuous, params: Params, sample: _Sample) -> Floats:
    """u = (F(w) - F(t)) / (1 - F(t)), from log sf so that neither tail loses its digits."""
    log_sf = law.logsf(sample.x, **params)
    if sample.cut is not None:
        log_sf = log_sf - law.logsf(sample.cut, **params)[sample.which]
    return np.clip(-np.expm1(log_sf), 0.0, 1.0)


def _ks(uniforms: Floats) -> float:
    return float(stats.ks_1samp(uniforms, stats.uniform.cdf, method="asymp").statistic)


# --- Which law ----------------------------------------------------------------------------------------


def fit_weight_distribution(
    weights: Any, *, threshold: ArrayLike | None = None, distributions: Sequence[str] | None = None
) -> pd.DataFrame:
    """Fit candidate laws to positive weights by maximum likelihood, with loc = 0.

    Without `threshold` the whole distribution is fitted. With it, each candidate's left-truncated
    likelihood is maximised [1]_::

        sum_i log f(w_i) - log sf(t_i)

    Parameters
    ----------
    weights : array_like or scipy.sparse, any shape
        Weights >= 0, of one sign. Zeros and synapses that are not stored are silent: counted, not fitted.
    threshold : float or array_like, optional
        Where weights were cut: one value, or one per weight in the order of `weights` (of the stored
        values in CSR order if sparse; see `row_thresholds`). 0 <= threshold <= weight.
    distributions : sequence of str, optional
        Keys of `DISTRIBUTIONS`; all by default.

    Returns
    -------
    DataFrame
        One row per candidate, least AIC first: `distribution`, `params` (keywords of the scipy.stats law),
        `loglik`, `aic`, `bic`, and `ks`, the Kolmogorov-Smirnov distance between the uniform law and
        u = (F(w) - F(t)) / (1 - F(t)). `attrs` holds `n` and `n_silent`.

    Raises
    ------
    ValueError
        Weights that are empty, all equal, negative or not finite; a threshold above its weight.

    Notes
    -----
    Weights of one cell are dependent, so likelihood differences overstate the evidence: see `vuong`.
    A cut taken from the row's own maximum is treated as given, so rows should hold tens of weights.
    Under a cut some laws have others as their limit (normal: the exponential; lognormal and Weibull: the
    power law); the parameters of such a fit are then near that limit and mean little.
    The time is a few seconds for 1e6 weights; all weights are used.

    References
    ----------
    .. [1] A. Clauset, C. R. Shalizi & M. E. J. Newman, SIAM Review 51:661 (2009).

    Examples
    --------
    >>> import numpy as np
    >>> w = np.random.default_rng(0).lognormal(-0.7, 0.9, 5000)
    >>> fit_weight_distribution(w).distribution[0]
    'lognormal'
    """
    names = list(DISTRIBUTIONS if distributions is None else distributions)
    if not names:
        raise ValueError("distributions is empty: name at least one")
    sample = _sample(weights, threshold)
    n = sample.x.size
    rows = []
    for name in names:
        candidate = _candidate(name)
        params = candidate.fitted(sample)
        loglik = float(_log_likelihood(candidate.law, params, sample).sum() - n * np.log(sample.unit))
        rows.append(
            {
                "distribution": name,
                "params": _rescaled(params, sample.unit),
                "loglik": loglik,
                "aic": 2 * candidate.n_params - 2 * loglik,
                "bic": np.log(n) * candidate.n_params - 2 * loglik,
                "ks": _ks(_uniforms(candidate.law, params, sample)),
            }
        )
    frame = _pandas().DataFrame(rows).sort_values("aic", kind="stable", ignore_index=True)
    frame.attrs.update(n=n, n_silent=sample.n_silent)
    return frame


def pit(weights: Any, distribution: str, params: Params, *, threshold: ArrayLike | None = None) -> Floats:
    """Probability integral transform u = (F(w) - F(t)) / (1 - F(t)) of the positive weights.

    Parameters
    ----------
    weights, threshold : as in `fit_weight_distribution`.
    distribution : str
        Key of `DISTRIBUTIONS`.
    params : dict
        As in the `params` column of `fit_weight_distribution`.

    Returns
    -------
    ndarray, (n,)
        In [0, 1], in the order of the positive weights; uniform if the weights follow the law.
    """
    sample = _sample(weights, threshold)
    return _uniforms(_candidate(distribution).law, _rescaled(params, 1 / sample.unit), sample)


def truncated_density(
    x: ArrayLike, distribution: str, params: Params, *, threshold: ArrayLike | None = None
) -> Floats:
    """Density at `x` that a law predicts for weights cut at their thresholds.

    It is the mean over the weights' cuts of f(x) / sf(t) where x >= t, and 0 where x < t; f without cuts.

    Parameters
    ----------
    x : array_like
    distribution, params : as in `pit`.
    threshold : float or array_like, optional
        The cuts, one or one per weight (their order does not matter).

    Returns
    -------
    ndarray, shape of x
    """
    law = _candidate(distribution).law
    x = np.asarray(x, dtype=np.float64)
    log_f = law.logpdf(x, **params)
    if threshold is None:
        return np.exp(log_f)
    cut, count = np.unique(np.asarray(threshold, dtype=np.float64), return_counts=True)
    log_mass = np.logaddexp.accumulate(np.log(count / count.sum()) - law.logsf(cut, **params))
    n_below = np.searchsorted(cut, x, side="right")
    return np.exp(log_f + np.append(-np.inf, log_mass)[n_below])


def _cluster(values: Floats, groups: ArrayLike | None, keep: NDArray[np.bool_]) -> Floats:
    """Sums of `values` by group; each value is its own group without `groups`."""
    if groups is None:
        return values
    groups = np.asarray(groups).ravel()
    if groups.size != keep.size:
        raise ValueError(f"groups must hold one index per weight ({keep.size}), got {groups.size}")
    sums = np.bincount(np.unique(groups[keep], return_inverse=True)[1], values)
    if sums.size < 2:
        raise ValueError("groups must name at least 2 cells: one cell gives no interval")
    return sums


def vuong(
    weights: Any,
    a: str,
    b: str,
    *,
    threshold: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    level: float = 0.95,
) -> Vuong:
    """Vuong's test between two fitted, non-nested laws, with cells as the unit of evidence.

    With m_i = log f_a(w_i) - log f_b(w_i) (truncated laws under a cut), the statistic is
    sum(m) / sqrt(V). Without groups V = n var(m) [1]_. With groups the sums R_g of m_i - mean(m) over each
    of G cells give V = G / (G - 1) sum(R_g^2), and Student's t with G - 1 degrees of freedom the p-value
    and interval: weights of one cell share its input and its norm, so they are not n independent witnesses.

    Parameters
    ----------
    weights, threshold : as in `fit_weight_distribution`.
    a, b : str
        Keys of `DISTRIBUTIONS`. For nested pairs (exponential within gamma or Weibull; half-normal within a
        normal cut at 0) the statistic is not normal: compare AIC instead.
    groups : array_like, optional
        Cell of each weight, in the order of `weights`; see `row_index`.
    level : float
        Of the interval of the mean log-likelihood ratio.

    Returns
    -------
    Vuong
        `statistic`, two-sided `p_value`, `mean_log_ratio` per weight with `low` and `high`, `n`,
        `n_groups`. Positive favours `a`.

    References
    ----------
    .. [1] Q. H. Vuong, Econometrica 57:307 (1989).
    """
    if a == b:
        raise ValueError(f"a and b are both {a!r}: compare two different distributions")
    sample = _sample(weights, threshold)

    def log_likelihood(name: str) -> Floats:
        candidate = _candidate(name)
        return _log_likelihood(candidate.law, candidate.fitted(sample), sample)

    ratio = log_likelihood(a) - log_likelihood(b)
    n, mean = ratio.size, float(ratio.mean())
    sums = _cluster(ratio - mean, groups, _stored(weights)[0] > 0)
    error = float(np.sqrt(sums.size / (sums.size - 1) * np.sum(sums**2))) / n
    reference = stats.norm if groups is None else stats.t(sums.size - 1)
    statistic = mean / error if error > 0 else np.nan
    half = float(reference.ppf((1 + level) / 2)) * error
    p_value = float(2 * reference.sf(abs(statistic)))
    return Vuong(statistic, p_value, mean, mean - half, mean + half, n, sums.size)


def ks_bootstrap(
    weights: Any,
    distribution: str,
    *,
    threshold: ArrayLike | None = None,
    n_boot: int = 200,
    random_state: int | np.random.Generator | None = None,
) -> KSBootstrap:
    """Goodness of fit by a parametric bootstrap that refits each surrogate.

    Surrogates of the same size are drawn from the fitted (truncated) law at the same cuts and fitted anew;
    p = (1 + #{KS* >= KS}) / (n_boot + 1) [1]_. Without the refit p would be too large.

    Parameters
    ----------
    weights, threshold : as in `fit_weight_distribution`.
    distribution : str
        Key of `DISTRIBUTIONS`.
    n_boot : int
        Number of surrogates, >= 1; each costs one fit.
    random_state : int, Generator or None

    Returns
    -------
    KSBootstrap
        `statistic` (the KS distance), `p_value`, `n_boot`. Small p: the law does not fit.

    Notes
    -----
    The surrogates are independent draws. Real weights of one cell are not, and with 1e5 of them any simple
    law is rejected: read the distance itself beside p.

    References
    ----------
    .. [1] A. Clauset, C. R. Shalizi & M. E. J. Newman, SIAM Review 51:661 (2009), section 4.
    """
    if n_boot < 1:
        raise ValueError(f"n_boot must be >= 1, got {n_boot}")
    candidate, sample = _candidate(distribution), _sample(weights, threshold)
    rng = np.random.default_rng(random_state)
    params = candidate.fitted(sample)
    cut = None if sample.cut is None else sample.cut[sample.which]
    survival = 1.0 if cut is None else candidate.law.sf(cut, **params)

    def surrogate_ks() -> float:
        x = candidate.law.isf(survival * (1 - rng.random(sample.x.size)), **params)
        # A normal without a cut may draw x <= 0, which stays: it is what that law predicts.
        draw = _Sample(x if cut is None else np.maximum(x, cut), 1.0, sample.cut, sample.which, 0)
        return _ks(_uniforms(candidate.law, candidate.fitted(draw), draw))

    statistic = _ks(_uniforms(candidate.law, params, sample))
    n_worse = sum(surrogate_ks() >= statistic for _ in range(n_boot))
    return KSBootstrap(statistic, (1 + n_worse) / (n_boot + 1), n_boot)


def log_moments(weights: Any) -> LogMoments:
    """Mean, sd, skewness and excess kurtosis of log w over the weights that are not silent.

    All four are population moments (divided by n): a lognormal has skewness and kurtosis 0, and mean and sd
    are its maximum-likelihood mu and sigma. Skewness and kurtosis are NaN if all weights are equal.

    Parameters
    ----------
    weights : array_like or scipy.sparse
        Weights >= 0, of one sign.
    """
    log_w = np.log(positive_weights(weights)[0])
    if np.ptp(log_w) == 0:
        return LogMoments(float(log_w[0]), 0.0, np.nan, np.nan)
    return LogMoments(*map(float, (log_w.mean(), log_w.std(), stats.skew(log_w), stats.kurtosis(log_w))))


# --- A weight matrix ----------------------------------------------------------------------------------


def row_index(W: Any) -> NDArray[np.intp]:
    """Post-synaptic cell of each stored weight of `W` in CSR order, (nnz,): the `groups` of `vuong`."""
    W = sparse.csr_array(W)
    return np.repeat(np.arange(W.shape[0]), np.diff(W.indptr))


def row_thresholds(W: Any, theta: float) -> Floats:
    """Cut of each stored weight where those below theta * max_j |w_ij| of their row were silenced.

    Parameters
    ----------
    W : scipy.sparse, (n_post, n_pre)
    theta : float in [0, 1]

    Returns
    -------
    ndarray, (nnz,)
        In CSR order.
    """
    if not 0 <= theta <= 1:
        raise ValueError(f"theta must be in [0, 1], got {theta}")
    W = sparse.csr_array(W)
    row_max = np.zeros(W.shape[0])
    rows = row_index(W)
    np.maximum.at(row_max, rows, np.abs(W.data))
    return theta * row_max[rows]


def _describe_fit(magnitudes: Floats, threshold: ArrayLike | None) -> dict[str, Any]:
    """Columns of `weight_report` that need a fit; NaN where there is nothing to tell apart."""
    if magnitudes.size == 0 or np.ptp(magnitudes) == 0:
        columns = ("aic_to_second", "aic_to_lognormal", "ks_lognormal", "fitted_mu", "fitted_sigma")
        return {"best": None, **dict.fromkeys(columns, np.nan)}
    fit = fit_weight_distribution(magnitudes, threshold=threshold)
    lognormal = fit[fit.distribution == "lognormal"].iloc[0]
    return {
        "best": fit.distribution[0],
        "aic_to_second": fit.aic[1] - fit.aic[0],
        "aic_to_lognormal": lognormal.aic - fit.aic[0],
        "ks_lognormal": lognormal.ks,
        "fitted_mu": float(np.log(lognormal.params["scale"])),
        "fitted_sigma": lognormal.params["s"],
    }


def weight_report(
    W: Any, *, sign: str | int | None = None, threshold: ArrayLike | None = None
) -> pd.DataFrame:
    """Describe the weights of one matrix, excitatory and inhibitory apart.

    Parameters
    ----------
    W : scipy.sparse, (n_post, n_pre)
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
        - `best` law by AIC; `aic_to_second`, its lead; `aic_to_lognormal`, its lead over the lognormal (0
          if that is the best); `ks_lognormal`; `fitted_mu`, `fitted_sigma` of the (truncated) lognormal
        - `cortex_mu`, `cortex_sigma`: Song et al. 2005, ln mV

    Raises
    ------
    ValueError
        Weights that are not finite or not of the sign named; no weight at all; a bad threshold.
    """
    if sign not in (None, "mixed", "E", "I", 1, -1):
        raise ValueError(f"sign must be None, 'mixed', 'E', 'I', 1 or -1, got {sign!r}")
    W = sparse.csr_array(W)
    values, size = _stored(W)
    mixed = sign in (None, "mixed")
    if sign in ("I", -1) and (values <= 0).all():
        values = -values
    _check_weights(np.abs(values) if mixed else values)
    cut = None if threshold is None else _check_cut(np.abs(values), threshold)
    name = "E" if sign in ("E", 1) else "I"
    parts = {"E": values > 0, "I": values < 0} if mixed else {name: values > 0}
    rows = []
    for pathway, mask in parts.items():
        if not mask.any():
            continue
        magnitudes = np.abs(values[mask])
        mu, sigma, skewness, kurtosis = log_moments(magnitudes)
        rows.append(
            {
                "pathway": pathway,
                "n": magnitudes.size,
                "density": magnitudes.size / size,
                "silent_share": 1 - density(W),
                "mu": mu,
                "sigma": sigma,
                "skewness": skewness,
                "kurtosis": kurtosis,
                **_describe_fit(magnitudes, None if cut is None else cut[mask]),
                "cortex_mu": SONG_2005.mu,
                "cortex_sigma": SONG_2005.sigma,
            }
        )
    return _pandas().DataFrame(rows)


def dale_index(W: Any, *others: Any) -> Floats:
    """Dale index of each pre-synaptic cell: |sum_i w_ij| / sum_i |w_ij| over its outgoing synapses.

    1: all of a cell's synapses have one sign (Dale's law); 0: its excitation and inhibition cancel.
    Random signs of k equal weights give about sqrt(2 / (pi k)).

    Parameters
    ----------
    W, *others : scipy.sparse or 2-d array_like, (n_post, n_pre)
        Signed pathways whose columns are the same cells; their rows may differ in number.

    Returns
    -------
    ndarray, (n_pre,)
        In [0, 1]; NaN for a cell without synapses.
    """
    pathways = [sparse.csr_array(V, dtype=np.float64) for V in (W, *others)]
    n_pre = {V.shape[1] for V in pathways}
    if len(n_pre) > 1:
        raise ValueError(f"pathways must have the same pre-synaptic cells (columns), got {sorted(n_pre)}")
    net = np.sum([V.sum(axis=0) for V in pathways], axis=0)
    total = np.sum([abs(V).sum(axis=0) for V in pathways], axis=0)
    return np.divide(np.abs(net), total, out=np.full(total.shape, np.nan), where=total > 0)


def density(W: Any) -> float:
    """Share of the possible synapses of `W` (scipy.sparse or array) that are not silent, in [0, 1]."""
    values, size = _stored(W)
    if size == 0:
        raise ValueError("W is empty: it has no possible synapse")
    return np.count_nonzero(values) / size


def gini(weights: Any, *, silent: bool = False) -> float:
    """Gini index of the weights: 0 = all equal, towards 1 = one holds everything.

    G = 2 sum_i i w_(i) / (n sum w) - (n + 1) / n over the ascending weights [1]_.

    Parameters
    ----------
    weights : array_like or scipy.sparse
        Weights >= 0, of one sign.
    silent : bool
        Whether silent synapses count as weights of 0; by default they are left apart.

    References
    ----------
    .. [1] N. Hurley & S. Rickard, IEEE Trans. Information Theory 55:4723 (2009).
    """
    w = np.sort(positive_weights(weights)[0])
    n = _stored(weights)[1] if silent else w.size
    rank = np.arange(n - w.size + 1, n + 1)
    return float(2 * (rank @ w) / (n * w.sum()) - (n + 1) / n)


def treves_rolls(rates: ArrayLike, axis: int = -1, *, rescale: bool = True) -> Floats:
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
    rates = np.asarray(rates, dtype=np.float64)
    if not np.isfinite(rates).all() or (rates < 0).any():
        raise ValueError("rates must be finite and >= 0")
    mean, square = np.mean(rates, axis=axis), np.asarray(np.mean(rates**2, axis=axis))
    ratio = np.divide(mean**2, square, out=np.full(square.shape, np.nan), where=square > 0)
    n = rates.shape[axis]
    if not rescale:
        return ratio
    return (1 - ratio) / (1 - 1 / n) if n > 1 else np.full_like(ratio, np.nan)


# --- Intervals over seeds -----------------------------------------------------------------------------


def _finite_1d(values: ArrayLike, name: str) -> Floats:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{name} must be 1-d with at least one value, got shape {values.shape}")
    if (i := _first(~np.isfinite(values))) is not None:
        raise ValueError(f"{name} must be finite: {name}[{i}] is {values[i]}")
    return values


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
    if not 0 < level < 1:
        raise ValueError(f"level must be in (0, 1), got {level}")
    values = _finite_1d(values, "values")
    mean, n = float(values.mean()), values.size
    half = float(stats.t.ppf((1 + level) / 2, n - 1) * stats.sem(values)) if n > 1 else np.nan
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
        One pair has a mean and NaN for the rest. If all differences are the same, p is 0, or 1 if they are 0.
    """
    a, b = _finite_1d(a, "a"), _finite_1d(b, "b")
    if a.size != b.size:
        raise ValueError(f"a and b must be paired: they have {a.size} and {b.size} values")
    interval = mean_interval(a - b, level)
    if interval.n == 1:
        return PairedDifference(*interval, np.nan)
    error = float(stats.sem(a - b))
    if error == 0:
        return PairedDifference(*interval, float(interval.mean == 0))
    return PairedDifference(*interval, float(2 * stats.t.sf(abs(interval.mean) / error, interval.n - 1)))


def holm(p_values: ArrayLike) -> Floats:
    """Holm's step-down adjusted p-values, which keep the family-wise error rate.

    With p_(1) <= ... <= p_(m): p'_(k) = max_{j <= k} min(1, (m - j + 1) p_(j)) [1]_.

    Parameters
    ----------
    p_values : array_like, (m,)
        In [0, 1].

    Returns
    -------
    ndarray, (m,)
        In the order given; reject where <= alpha.

    References
    ----------
    .. [1] S. Holm, Scandinavian Journal of Statistics 6:65 (1979).
    """
    p = _finite_1d(p_values, "p_values")
    if (i := _first((p < 0) | (p > 1))) is not None:
        raise ValueError(f"p_values must be in [0, 1]: p_values[{i}] is {p[i]}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(np.minimum(1.0, np.arange(p.size, 0, -1) * p[order]))
    return adjusted
