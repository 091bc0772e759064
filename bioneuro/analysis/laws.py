"""Laws that weights may follow, and how each is fitted to a sample that may be cut from below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats

from .scaling import Floats
from .weight_samples import Sample

Params = dict[str, float]


# scipy's own laws; where a far tail would underflow to log 0, the log is written out.


class _Gamma(type(stats.gamma)):  # type: ignore[misc]  # scipy makes only the instance public
    def _logsf(self, x: ArrayLike, a: ArrayLike) -> Floats:
        x, a = np.broadcast_arrays(np.asarray(x, dtype=np.float64), a)
        sf = special.gammaincc(a, x)
        far = (sf < 1e-300) & np.isfinite(x)
        log_sf = np.log(sf, out=np.full(sf.shape, -np.inf), where=sf > 0)
        if far.any():
            log_sf[far] = self._log_tail(x[far], a[far])
        return log_sf

    @staticmethod
    def _log_tail(x: Floats, a: Floats, n_terms: int = 100) -> Floats:
        """Legendre's fraction, Gamma(a, x) = e^-x x^a / (x + 1 - a - 1 (1 - a) / (x + 3 - a - ...))."""
        fraction = x + 2 * n_terms + 1 - a
        for k in range(n_terms, 0, -1):
            fraction = x + 2 * k - 1 - a - k * (k - a) / fraction
        return a * np.log(x) - x - special.gammaln(a) - np.log(fraction)


class _HalfNormal(type(stats.halfnorm)):  # type: ignore[misc]
    def _logsf(self, x: Floats) -> Floats:
        return np.log(2.0) + special.log_ndtr(-x)


class _Pareto(type(stats.pareto)):  # type: ignore[misc]
    def _logpdf(self, x: Floats, b: Floats) -> Floats:
        return np.log(b) - (b + 1) * np.log(x)

    def _logsf(self, x: Floats, b: Floats) -> Floats:
        return -b * np.log(x)


def _minimise(objective: Callable[[Floats], float], start: ArrayLike, bounds: list) -> Floats:
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


def _normal_mle(x: Floats, nodes: tuple[Floats, Floats] | None, floor: float = -np.inf) -> tuple[float, float]:
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


def _fit_normal(sample: Sample) -> Params:
    loc, scale = _normal_mle(sample.x, None if sample.cuts is None else sample.cuts.nodes)
    return {"loc": loc, "scale": scale}


def _fit_lognormal(sample: Sample) -> Params:
    nodes = None
    if cuts := sample.positive_cuts:
        cut, share = cuts.nodes
        with np.errstate(divide="ignore"):
            nodes = np.log(cut), share
    mu, sigma = _normal_mle(sample.log_x, nodes, floor=-300.0)  # exp(mu) stays in the range of doubles
    return {"s": sigma, "scale": float(np.exp(mu))}


def _fit_half_normal(sample: Sample) -> Params:
    square = float(np.mean(sample.x**2))
    rms = np.sqrt(square)
    cuts = sample.positive_cuts
    if cuts is None:
        return {"scale": float(rms)}
    cut, share = cuts.nodes

    def objective(log_scale: float) -> float:
        scale = np.exp(log_scale)
        return log_scale + square / (2 * scale**2) + share @ special.log_ndtr(-cut / scale)

    return {"scale": float(np.exp(_minimise_1d(objective, np.log(rms) - 14, np.log(rms))))}


def _fit_exponential(sample: Sample) -> Params:
    # No memory: w - t is exponential again.
    return {"scale": float(sample.x.mean()) - sample.mean_cut()}


def _fit_gamma(sample: Sample) -> Params:
    mean = float(sample.x.mean())
    # log k - digamma(k) = log mean(x) - mean(log x), and 1 / 2k < log k - digamma(k) < 1 / k.
    gap = max(np.log(mean) - float(sample.log_x.mean()), 1e-13)
    shape = optimize.brentq(
        lambda k: np.log(k) - special.digamma(k) - gap, 0.4 / gap, 1.1 / gap, xtol=1e-300, rtol=1e-14
    )
    cuts = sample.positive_cuts
    if cuts is None:
        return {"a": float(shape), "scale": mean / shape}
    cut, share = cuts.nodes
    mean_log = float(sample.log_x.mean())

    def objective(theta: Floats) -> float:
        k = np.exp(theta[0])
        scale = np.exp(theta[1]) / k
        log_f = (k - 1) * mean_log - mean / scale - k * np.log(scale) - special.gammaln(k)
        return share @ _GAMMA._logsf(cut / scale, k) - log_f

    log_k, log_mean = _minimise(objective, [np.log(shape), np.log(mean)], [(-9.0, 30.0), (-60.0, 30.0)])
    return {"a": float(np.exp(log_k)), "scale": float(np.exp(log_mean - log_k))}


def _fit_weibull(sample: Sample) -> Params:
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


def _fit_pareto(sample: Sample) -> Params:
    cuts = sample.positive_cuts
    x_min = float(sample.x.min()) if cuts is None or cuts.values[0] == 0 else float(cuts.values[0])
    log_start = np.log(x_min)
    if cuts:
        log_start = float(cuts.share @ np.log(np.maximum(cuts.values, x_min)))
    return {"b": 1 / (float(sample.log_x.mean()) - log_start), "scale": x_min}


def _fit_numerically(law: stats.rv_continuous, sample: Sample) -> Params:
    """MLE of any scipy law on w > 0 with positive shape parameters, loc = 0."""
    names = [*(law.shapes.replace(" ", "").split(",") if law.shapes else []), "scale"]

    def objective(theta: Floats) -> float:
        params = dict(zip(names, np.exp(theta), strict=True))
        value = -np.mean(law.logpdf(sample.x, **params))
        if cuts := sample.positive_cuts:
            cut, share = cuts.nodes
            value += share @ law.logsf(cut, **params)
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
    fit: Callable[[Sample], Params] | None = None

    def fitted(self, sample: Sample) -> Params:
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
