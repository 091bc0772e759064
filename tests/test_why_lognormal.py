"""docs/why_lognormal.md: each of its statements holds on random data."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit

from bioneuro.analysis import fit_weight_distribution
from bioneuro.layers import Mixing
from bioneuro.rules import Turnover

U = np.linspace(-12, 12, 40_001)
DENSITY = stats.norm.pdf(U) * (U[1] - U[0])
N_FEATURES, N_CAUSES = 800, 40


def mean(values):
    """Over a standard normal argument."""
    return float((values * DENSITY).sum())


# --- 1. mixing makes z normal, the exponential makes w lognormal


def standardised(X, cause):
    """``z (cause, cell)`` of cells that are each active at one cause."""
    X = X.astype(float)
    means = np.stack([X[cause == i].mean(axis=0) for i in range(N_CAUSES)])
    return (means - X.mean(axis=0)) / X.std(axis=0)


@pytest.fixture(scope="module")
def features():
    """Features of strongly skewed law, and the cause of each sample."""
    rng = np.random.default_rng(0)
    cause = np.arange(4000) % N_CAUSES
    H = rng.gamma(0.5, 1, (N_CAUSES, N_FEATURES))[cause] + rng.gamma(0.5, 1.5, (4000, N_FEATURES))
    return (H / np.linalg.norm(H, axis=1, keepdims=True)).astype(np.float32), cause


def mixed(features, k, baseline):
    H, cause = features
    layer = Mixing(N_FEATURES, 2000, k, baseline=baseline, random_state=1, n_threads=1).learn(H)
    return standardised(layer._input(H), cause), standardised(layer.encode(H), cause)


def skewness(z):
    return stats.skew(z, axis=1).mean()


def kurtosis(z):
    return stats.kurtosis(z, axis=1).mean()


def best_law(w):
    return fit_weight_distribution(w / np.linalg.norm(w, axis=1, keepdims=True)).iloc[0]


@pytest.mark.parametrize("k", [4, 16])
def test_mixing_takes_skewness_and_kurtosis_away_as_cumulants_say(features, k):
    before, (inputs, rates) = standardised(*features), mixed(features, k, 2.0)
    assert skewness(before) > 2 and kurtosis(before) > 5
    assert skewness(inputs) == pytest.approx(0.671 / np.sqrt(k) * skewness(before), rel=0.15)
    assert kurtosis(inputs) == pytest.approx(0.65 / k * kurtosis(before), rel=0.25)
    assert skewness(rates) == pytest.approx(skewness(inputs), abs=0.1)  # nearly linear ones add none


def test_rates_that_are_silent_half_of_the_time_bend_it(features):
    inputs, rates = mixed(features, 16, 0.25)
    a = stats.norm.pdf(0.25) / (2 * stats.norm.cdf(0.25))
    assert skewness(rates) - skewness(inputs) == pytest.approx(6 * a * inputs.std(axis=1).mean(), rel=0.2)


def test_the_exponential_of_mixed_covariance_is_lognormal_and_a_sum_is_not(features):
    _, z = mixed(features, 16, 2.0)
    z = z[:, ::4]
    multiplicative, additive = best_law(np.exp(z)), best_law(np.maximum(1 + z, 0))
    assert multiplicative.distribution == "lognormal" and multiplicative.ks < 0.04
    assert additive.distribution != "lognormal"
    assert multiplicative.params["s"] == pytest.approx(z.std(), rel=0.1)


def test_without_mixing_the_fit_is_worse(features):
    unmixed, (_, z) = standardised(*features), mixed(features, 16, 2.0)
    assert best_law(np.exp(unmixed[:, ::2])).ks > 2 * best_law(np.exp(z[:, ::4])).ks


# --- 2. any increasing function gives the same linear match

#: Functions of u, and the share of the time that such a synapse is there.
FUNCTIONS = {
    "linear": (lambda u: u, None),
    "additive": (lambda u: np.maximum(1 + u, 0), None),
    "exp .5": (lambda u: np.exp(0.5 * u), None),
    "exp .9": (lambda u: np.exp(0.9 * u), None),
    "exp 1.3": (lambda u: np.exp(1.3 * u), None),
    "threshold": (lambda u: (u > stats.norm.isf(0.12)).astype(float), None),
    "turnover .3": (np.exp, lambda u: expit((u - 1.33) / 0.3)),
    "turnover .4": (np.exp, lambda u: expit((u - 1.44) / 0.4)),
    "turnover 1.5": (lambda u: np.exp(1.5 * u), lambda u: expit((u - 1.33) / 0.3)),
}
#: Of each: efficiency of its own drive, and in competition.
EFFICIENCY = {
    "linear": (1, 1),
    "additive": (0.37, 0.94),
    "exp .5": (0.19, 0.88),
    "exp .9": (0.36, 0.65),
    "exp 1.3": (0.31, 0.38),
    "threshold": (0.33, 0.38),
    "turnover .3": (0.27, 0.29),
    "turnover .4": (0.24, 0.26),
    "turnover 1.5": (0.16, 0.17),
}


def efficiencies(name):
    """(own drive, in competition), by quadrature; ``E[g'] = E[g u]``."""
    g, survival = FUNCTIONS[name]
    alive = 1.0 if survival is None else survival(U)
    first, slope, second = mean(alive * g(U)), mean(alive * g(U) * U), mean(alive * g(U) ** 2)
    return slope**2 / second, slope**2 / (second - first**2)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_efficiencies_are_those_of_the_table(name):
    assert efficiencies(name) == pytest.approx(EFFICIENCY[name], abs=0.0051)


@pytest.mark.parametrize("s", [0.3, 0.9, 1.3])
def test_efficiency_of_the_exponential_in_closed_form(s):
    w = np.exp(s * U)
    slope = mean(w * U)
    assert slope == pytest.approx(s * np.exp(s**2 / 2))
    assert slope**2 / mean(w**2) == pytest.approx(s**2 * np.exp(-(s**2)))
    assert slope**2 / (mean(w**2) - mean(w) ** 2) == pytest.approx(s**2 / np.expm1(s**2))
    assert mean(w) ** 2 / mean(w**2) == pytest.approx(np.exp(-(s**2)))  # participation, which is no efficiency


@pytest.mark.parametrize("width", [500, 2000, 6000])
def test_drive_follows_the_linear_kernel_at_the_predicted_signal_to_noise(width):
    rng = np.random.default_rng(0)
    D, n_cells = 400, 60
    mu = rng.normal(size=(n_cells, D))
    mu /= np.linalg.norm(mu, axis=1, keepdims=True)
    R, X = rng.normal(size=(width, D)), rng.normal(size=(1200, D))
    P, linear = X @ R.T, X @ mu.T

    def match(drive, kernel):
        drive, kernel = drive - drive.mean(axis=0), kernel - kernel.mean(axis=0)
        norms = np.linalg.norm(drive, axis=0) * np.linalg.norm(kernel, axis=0)
        return (np.einsum("bi,bi->i", drive, kernel) / norms).mean()

    def predicted(efficiency):
        return 1 / np.sqrt(1 + (D - 1) / (width * efficiency))

    for name, (g, survival) in FUNCTIONS.items():
        u = mu @ R.T
        W = g(u) if survival is None else g(u) * (rng.random(u.shape) < survival(u))
        a = P @ (W / np.linalg.norm(W, axis=1, keepdims=True)).T
        found = match(a, linear), match(*(A - A.mean(axis=1, keepdims=True) for A in (a, linear)))
        assert found == pytest.approx([predicted(e) for e in efficiencies(name)], abs=0.06), name
        slope = np.square((W * u).mean(axis=1))  # of these very weights, whose tails have an end
        own, rivals = slope / np.square(W).mean(axis=1), slope / W.var(axis=1)
        assert found == pytest.approx([predicted(own).mean(), predicted(rivals).mean()], abs=0.02), name


def test_a_wider_layer_pays_sparseness_back():
    """At an equal number of stored synapses every synapse that turnover leaves does more than a linear one."""
    for name in "turnover .3", "turnover .4", "turnover 1.5":
        density = mean(FUNCTIONS[name][1](U))
        assert density == pytest.approx(0.12, abs=0.003)
        assert efficiencies(name)[1] / density > 1.3, name


# --- 3. without intrinsic thresholds the exponential makes hubs


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_without_thresholds_some_cells_answer_to_everything(seed):
    rng = np.random.default_rng(seed)
    n_cells, n = 40, 3000
    H = rng.gamma(0.5, 1, (n, 60))
    H = (H / np.linalg.norm(H, axis=1, keepdims=True)).astype(np.float32)
    X = Mixing(60, 800, 4, random_state=seed, n_threads=1).learn(H).encode(H).astype(float)
    m, s = X.mean(axis=0), X.std(axis=0)
    start = (X[rng.permutation(n)[:n_cells]] - m) / s
    largest = {}
    for intrinsic in False, True:
        z = start.copy()
        for _ in range(12):
            W = np.exp(z)
            W /= np.linalg.norm(W, axis=1, keepdims=True)
            a = (X - m if intrinsic else X) @ W.T
            a *= 11.6 / a.std(axis=1).mean()
            y = np.exp(a - a.max(axis=1, keepdims=True))
            y /= y.sum(axis=1, keepdims=True)
            c = y.sum(axis=0)
            heard = c > 0.1 * n / n_cells
            z[heard] = ((y.T[heard] @ X) / c[heard, None] - m) / s
        largest[intrinsic] = c.max() / n * n_cells
        if not intrinsic:  # and it is the unselective cells, as the sum of their weights says
            assert np.corrcoef(W @ m, np.exp(-z.var(axis=1) / 2))[0, 1] > 0.9
            assert np.corrcoef(W @ m, c)[0, 1] > 0.5
    assert largest[True] < 1.6 and largest[False] > 3


# --- 4. turnover compares weights with a fixed size


def hazard(t):
    return stats.norm.pdf(t) / stats.norm.sf(t)


def stored_share(C, gamma, relative, n=30_000):
    """Density of ``exp(u)`` that survives where half-survival is at ``C`` above the log of w0."""
    w = np.exp(np.random.default_rng(0).normal(size=n))
    alive = np.ones(n)
    for _ in range(200):
        w0 = (alive * w).sum() / alive.sum() if relative == "mean" else np.sqrt((alive * w**2).sum() / n)
        alive = expit(gamma * (np.log(w / w0) - C))
    return alive.mean()


def log_size(t, g, relative):
    """Log of w0 after a sharp cut at u > t of ``log w = g u``."""
    if relative == "mean":
        return g**2 / 2 + stats.norm.logsf(t - g) - stats.norm.logsf(t)
    return g**2 + stats.norm.logsf(t - 2 * g) / 2


@pytest.mark.parametrize("g", [0.8, 1.0, 1.3])
def test_feedback_is_positive_relative_to_the_mean_and_negative_relative_to_a_fixed_size(g):
    for t in -1.0, 0.0, 1.175, 2.0, 4.0:
        slope = {}
        for relative in "mean", "fixed":
            slope[relative] = (log_size(t + 1e-4, g, relative) - log_size(t - 1e-4, g, relative)) / 2e-4 / g
        assert slope["mean"] == pytest.approx((hazard(t) - hazard(t - g)) / g, abs=1e-5)
        assert slope["fixed"] == pytest.approx(-hazard(t - 2 * g) / (2 * g), abs=1e-5)
        assert 0 < slope["mean"] < 1 and slope["fixed"] < 0
        assert g * t - log_size(t, g, "mean") < 0  # so nothing solves g t = log w0 + C from C = 0 on


@pytest.mark.parametrize(("C", "mean_share", "fixed_share"), [(-1.02, 0.50, 0.51), (-0.6, 0.12, 0.35)])
def test_densities_of_a_sharp_cut_are_those_of_the_text(C, mean_share, fixed_share):
    assert stored_share(C, 40, "mean") == pytest.approx(mean_share, abs=0.02)
    assert stored_share(C, 40, "fixed") == pytest.approx(fixed_share, abs=0.02)


def test_relative_to_the_mean_density_collapses():
    assert stored_share(0.0, 40, "mean") < 1e-4 < 0.16 < stored_share(0.0, 40, "fixed") < 0.2
    for relative, low, high in ("mean", 10, np.inf), ("fixed", 1, 2.5):  # a wide survival, C from 0 to .6
        assert low < stored_share(0.0, 3, relative) / stored_share(0.6, 3, relative) < high


@pytest.mark.parametrize("gamma", [1.5, 2.0, 2.5, 3.0])
@pytest.mark.parametrize("death", [0.01, 0.02, 0.05])
def test_what_turnover_leaves_of_a_bell_is_a_bell(gamma, death):
    rng = np.random.default_rng(0)
    W = np.exp(rng.normal(size=(60, 2000)))
    left = Turnover(birth=0.005, death=death, gamma=gamma).settle(W, rng)
    log_w = np.log(left.data)
    assert 0.05 < left.nnz / W.size < 0.25
    assert abs(stats.skew(log_w)) < 0.2 and 0.6 < log_w.std() < 0.95
    cut = np.log(W[W > np.quantile(W, 1 - left.nnz / W.size)])
    assert stats.skew(cut) > 1  # where a sharp cut leaves a tail
