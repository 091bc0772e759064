"""Which law the weights follow: fits, tests between laws and of one law, moments of log w."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from ..checks import check_count, check_level, plain_array
from ..extras import pandas
from ..seeds import generator_from
from .laws import DISTRIBUTIONS, Candidate, Params
from .scaling import Floats
from .weight_samples import Sample, positive_weights, sample_of, stored, warn_if_cut

if TYPE_CHECKING:
    import pandas as pd


#: Kolmogorov-Smirnov distance beyond which a fitted law does not describe the weights, however far it is ahead of the
#: others: 0.05, and in small samples what sampling alone comes to (1 / sqrt(n) is the 95 % point to within a tenth for
#: two fitted parameters; Lilliefors 1967).
LARGEST_KS = 0.05


#: Standard error of the mean log-likelihood ratio, relative to the ratios, below which their spread is rounding.
LEAST_SPREAD = 1e-9


class Vuong(NamedTuple):
    """Result of `vuong`; positive values favour the first distribution.

    Attributes
    ----------
    statistic : float
        Of the test: normal where both distributions fit alike.
    p_value : float
        Two-sided.
    mean_log_ratio : float
        Log-likelihood ratio for a weight.
    low, high : float
        Its interval.
    n : int
        Weights.
    n_groups : int
        Independent groups of them, such as the rows of a matrix.
    """

    statistic: float
    p_value: float
    mean_log_ratio: float
    low: float
    high: float
    n: int
    n_groups: int


class KSBootstrap(NamedTuple):
    """Result of `ks_bootstrap`.

    Attributes
    ----------
    statistic : float
        Kolmogorov-Smirnov distance of the sample from its fit.
    p_value : float
    n_boot : int
        Samples that were drawn from the fit.
    """

    statistic: float
    p_value: float
    n_boot: int


class LogMoments(NamedTuple):
    """Moments of log w.

    Attributes
    ----------
    mean, sd, skewness, kurtosis : float
        The kurtosis is the excess over the normal's.
    """

    mean: float
    sd: float
    skewness: float
    kurtosis: float


def _candidate(name: str) -> Candidate:
    if name not in DISTRIBUTIONS:
        raise ValueError(f"unknown distribution {name!r}: choose from {', '.join(map(repr, DISTRIBUTIONS))}")
    return DISTRIBUTIONS[name]


def _rescaled(params: Params, factor: float) -> Params:
    return {key: value * factor if key in ("loc", "scale") else value for key, value in params.items()}


def _log_likelihood(law: stats.rv_continuous, params: Params, sample: Sample) -> Floats:
    """log f(w) - log sf(t) of each weight, in the sample's units."""
    log_f = law.logpdf(sample.x, **params)
    cuts = sample.cuts
    return log_f if cuts is None else log_f - law.logsf(cuts.values, **params)[cuts.which]


def _uniforms(law: stats.rv_continuous, params: Params, sample: Sample) -> Floats:
    """u = (F(w) - F(t)) / (1 - F(t)), from log sf so that neither tail loses its digits."""
    log_sf = law.logsf(sample.x, **params)
    if cuts := sample.cuts:
        log_sf = log_sf - law.logsf(cuts.values, **params)[cuts.which]
    return np.clip(-np.expm1(log_sf), 0.0, 1.0)


def describes(ks: float, n: int) -> bool:
    """Whether a law at this Kolmogorov-Smirnov distance from `n` weights describes them (`LARGEST_KS`)."""
    return ks <= max(LARGEST_KS, 1 / np.sqrt(n))


def _ks(uniforms: Floats) -> float:
    return float(stats.ks_1samp(uniforms, stats.uniform.cdf, method="asymp").statistic)


def fit_weight_distribution(
    weights: Any, *, threshold: ArrayLike | None = None, distributions: Sequence[str] | None = None
) -> pd.DataFrame:
    """Fit candidate laws to positive weights by maximum likelihood, with loc = 0.

    Without `threshold` the whole distribution is fitted. With it, each candidate's left-truncated
    likelihood is maximised [1]_::

        sum_i log f(w_i) - log sf(t_i)

    Parameters
    ----------
    weights : Synapses, scipy.sparse or array_like, any shape
        Weights >= 0, of one sign. Zeros and synapses that are not stored are silent: counted, not fitted. Repeated
        entries of a sparse matrix are one weight, their sum; masked values are left out.
    threshold : float or array_like, optional
        Where weights were cut: one value, or one per weight in the order of `weights` (of the stored
        values in CSR order if sparse, see `row_thresholds`; the zeros of an array may be left out).
        0 <= threshold <= weight.
    distributions : sequence of str, optional
        Keys of `DISTRIBUTIONS`; all by default.

    Returns
    -------
    DataFrame
        One row per candidate, least AIC first: `distribution`, `params` (keywords of the scipy.stats law),
        `loglik`, `aic`, `bic`, and `ks`, the Kolmogorov-Smirnov distance between the uniform law and
        u = (F(w) - F(t)) / (1 - F(t)). `attrs` holds `n`, `n_silent`, and `best`: the first law if it describes the
        weights (KS up to 0.05, in small samples up to 1 / sqrt(n)), None where none does, since the least bad of some
        laws is not thereby a law of the weights.

    Raises
    ------
    ValueError
        Weights that are empty, all equal, negative or not finite; a threshold above its weight.

    Warns
    -----
    UserWarning
        No threshold, and weights that end sharply at the lower end, as after pruning: a cut turns one law into another.

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
    weights = stored(weights)
    warn_if_cut(weights, threshold)
    sample = sample_of(weights, threshold)
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
    frame = pandas().DataFrame(rows).sort_values("aic", kind="stable", ignore_index=True)
    best = frame["distribution"][0] if describes(frame["ks"][0], n) else None
    frame.attrs.update(n=n, n_silent=sample.n_silent, best=best)
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
    sample = sample_of(weights, threshold)
    return _uniforms(_candidate(distribution).law, _rescaled(params, 1 / sample.unit), sample)


def truncated_density(x: ArrayLike, distribution: str, params: Params, *, threshold: ArrayLike | None = None) -> Floats:
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
    x = plain_array(x, "x", np.float64)
    log_f = law.logpdf(x, **params)
    if threshold is None:
        return np.exp(log_f)
    cut, count = np.unique(plain_array(threshold, "threshold", np.float64), return_counts=True)
    log_mass = np.logaddexp.accumulate(np.log(count / count.sum()) - law.logsf(cut, **params))
    n_below = np.searchsorted(cut, x, side="right")
    return np.exp(log_f + np.append(-np.inf, log_mass)[n_below])


def _cluster(values: Floats, groups: ArrayLike | None, keep: NDArray[np.bool_]) -> Floats:
    """Sums of `values` by group; each value is its own group without `groups`."""
    if groups is None:
        return values
    groups = plain_array(groups, "groups").ravel()
    if groups.size != keep.size:
        raise ValueError(f"groups must hold one index per weight ({keep.size}), got {groups.size}")
    sums = np.bincount(np.unique(groups[keep], return_inverse=True)[1], values).astype(float, copy=False)
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
    of G cells give V = G / (G - 1) sum(R_g^2): weights of one cell share its input and its norm, so they are not n
    independent witnesses. The p-value and the interval are Student's, with G - 1 (or n - 1) degrees of freedom.

    Parameters
    ----------
    weights, threshold : as in `fit_weight_distribution`.
    a, b : str
        Keys of `DISTRIBUTIONS`. For nested pairs (exponential within gamma or Weibull; half-normal within a
        normal cut at 0) the statistic is not normal: compare AIC instead.
    groups : array_like, optional
        Cell of each weight, in the order of `weights`; see `row_index`.
    level : float in (0, 1)
        Of the interval of the mean log-likelihood ratio.

    Returns
    -------
    Vuong
        `statistic`, two-sided `p_value`, `mean_log_ratio` per weight with `low` and `high`, `n`,
        `n_groups`. Positive favours `a`. Of no more weights than the two laws have parameters, or where the ratio is
        the same for all, the spread is unknown: the statistic is NaN, the interval has no ends and p is 1.

    Raises
    ------
    ValueError
        `a` and `b` alike or unknown; fewer than two groups; what `fit_weight_distribution` refuses.

    References
    ----------
    .. [1] Q. H. Vuong, Econometrica 57:307 (1989).
    """
    if a == b:
        raise ValueError(f"a and b are both {a!r}: compare two different distributions")
    check_level(level)
    weights = stored(weights)
    sample = sample_of(weights, threshold)

    def log_likelihood(name: str) -> Floats:
        candidate = _candidate(name)
        return _log_likelihood(candidate.law, candidate.fitted(sample), sample)

    ratio = log_likelihood(a) - log_likelihood(b)
    n, mean = ratio.size, float(ratio.mean())
    sums = _cluster(ratio - mean, groups, weights.values > 0)
    error = float(np.sqrt(sums.size / (sums.size - 1) * np.sum(sums**2))) / n
    n_params = _candidate(a).n_params + _candidate(b).n_params
    if n <= n_params or error <= LEAST_SPREAD * float(np.abs(ratio).max()):
        return Vuong(np.nan, 1.0, mean, -np.inf, np.inf, n, sums.size)
    reference = stats.t(sums.size - 1)
    statistic = mean / error
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
    check_count("n_boot", n_boot)
    candidate, sample = _candidate(distribution), sample_of(weights, threshold)
    rng = generator_from(random_state)
    params = candidate.fitted(sample)
    cut = None if sample.cuts is None else sample.cuts.of_each
    survival = 1.0 if cut is None else candidate.law.sf(cut, **params)

    def surrogate_ks() -> float:
        x = candidate.law.isf(survival * (1 - rng.random(sample.x.size)), **params)
        # A normal without a cut may draw x <= 0, which stays: it is what that law predicts.
        draw = Sample(x if cut is None else np.maximum(x, cut), 1.0, sample.cuts, 0)
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
    weights : Synapses, scipy.sparse or array_like
        Weights >= 0, of one sign.

    Returns
    -------
    LogMoments
    """
    log_w = np.log(positive_weights(weights)[0])
    if np.ptp(log_w) == 0:
        return LogMoments(float(log_w[0]), 0.0, np.nan, np.nan)
    return LogMoments(*map(float, (log_w.mean(), log_w.std(), stats.skew(log_w), stats.kurtosis(log_w))))
