"""Fits of weight laws and tests between them: exact where exactness exists, surrogates with known laws elsewhere."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, sparse, special, stats
from weight_surrogates import CUT_LAWS, surrogate

from bioneuro import analysis
from bioneuro.analysis.weight_samples import sample_of

LAWS = list(analysis.DISTRIBUTIONS)


@pytest.fixture(scope="module")
def weights():
    return np.random.default_rng(1).lognormal(-0.7, 0.9, 800)


def fitted(weights, law, **kwargs):
    return analysis.fit_weight_distribution(weights, distributions=[law], **kwargs).iloc[0]


# --- Fits without a cut -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("law", "scipy_law"),
    [
        ("lognormal", stats.lognorm),
        ("half-normal", stats.halfnorm),
        ("exponential", stats.expon),
        ("gamma", stats.gamma),
        ("weibull", stats.weibull_min),
        ("power law", stats.pareto),
    ],
)
def test_uncut_fit_is_scipys_mle(weights, law, scipy_law):
    *shapes, loc, scale = scipy_law.fit(weights, floc=0)
    row = fitted(weights, law)
    assert loc == 0
    # scipy finds Weibull's maximum by a coarse search, the others in closed form or by a root
    assert list(row.params.values()) == pytest.approx([*shapes, scale], rel=1e-3 if law == "weibull" else 1e-9)
    assert row.loglik >= scipy_law.logpdf(weights, *shapes, 0, scale).sum() - 1e-8


def test_uncut_normal_is_mean_and_sd(weights):
    row = fitted(weights, "normal")
    assert row.params == pytest.approx({"loc": weights.mean(), "scale": weights.std()}, rel=1e-12)
    assert row.loglik == pytest.approx(stats.norm.logpdf(weights, weights.mean(), weights.std()).sum())


@pytest.mark.parametrize("law", LAWS)
def test_information_criteria_and_ks_follow_from_the_fit(weights, law):
    row, candidate = fitted(weights, law), analysis.DISTRIBUTIONS[law]
    frozen = candidate.law(**row.params)
    assert row.loglik == pytest.approx(frozen.logpdf(weights).sum(), rel=1e-10)
    assert row.aic == pytest.approx(2 * candidate.n_params - 2 * row.loglik)
    assert row.bic == pytest.approx(candidate.n_params * np.log(weights.size) - 2 * row.loglik)
    assert row.ks == pytest.approx(stats.kstest(weights, frozen.cdf).statistic, abs=1e-12)


def test_all_candidates_best_first(weights):
    frame = analysis.fit_weight_distribution(weights)
    assert list(frame.columns) == ["distribution", "params", "loglik", "aic", "bic", "ks"]
    assert set(frame.distribution) == set(LAWS)
    assert frame.aic.is_monotonic_increasing
    assert frame.distribution[0] == "lognormal"


def test_silent_weights_are_counted_and_left_apart(weights):
    padded = np.concatenate([np.zeros(50), weights, np.zeros(150)])
    frame, plain = analysis.fit_weight_distribution(padded), analysis.fit_weight_distribution(weights)
    assert frame.attrs == {"n": weights.size, "n_silent": 200, "best": "lognormal"}
    assert frame.equals(plain)


def test_sparse_weights_are_their_stored_values(weights):
    W = sparse.csr_array(np.concatenate([weights, np.zeros(200)]).reshape(20, 50))
    frame = analysis.fit_weight_distribution(W)
    assert frame.attrs == {"n": weights.size, "n_silent": 200, "best": "lognormal"}
    assert frame.equals(analysis.fit_weight_distribution(weights))


def test_float32_is_fitted_in_float64(weights):
    single = weights.astype(np.float32)
    assert analysis.fit_weight_distribution(single).equals(analysis.fit_weight_distribution(single.astype(np.float64)))


def test_without_pandas_the_error_says_how_to_get_it(weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r'pip install "bioneuro\[experiments\]"'):
        analysis.fit_weight_distribution(weights)


# --- Fits under a cut ---------------------------------------------------------------------------------


@pytest.mark.parametrize("law", CUT_LAWS)
def test_truncated_fit_recovers_the_law_cut_at_its_rows_maxima(law):
    W = surrogate(law)
    frame = analysis.fit_weight_distribution(W, threshold=analysis.row_thresholds(W, 0.05))
    assert frame.sort_values("bic").distribution.iloc[0] == law
    truth = frame.set_index("distribution").loc[law]
    # a law with one parameter more that contains the true one may lead by noise, no more
    assert truth.aic - frame.aic[0] < 4
    assert truth.params == pytest.approx(CUT_LAWS[law], rel=0.05)
    assert truth.ks < 0.01


def test_cut_exponential_fools_the_untruncated_fit_only():
    W = surrogate("exponential")
    with pytest.warns(UserWarning, match="weights look cut"):
        naive = analysis.fit_weight_distribution(W).set_index("distribution")
    honest = analysis.fit_weight_distribution(W, threshold=analysis.row_thresholds(W, 0.05))
    assert naive.index[0] == "lognormal"
    assert naive.aic["exponential"] - naive.aic["lognormal"] > 1000
    assert honest.sort_values("bic").distribution.iloc[0] == "exponential"
    honest = honest.set_index("distribution")
    assert honest.aic["lognormal"] - honest.aic["exponential"] > 200


@pytest.mark.parametrize("law", CUT_LAWS)
def test_truncated_fit_is_the_maximum_that_a_plain_search_finds(law):
    W = surrogate(law, shape=(10, 100))
    cut = analysis.row_thresholds(W, 0.05)
    plain = analysis.Candidate(analysis.DISTRIBUTIONS[law].law, 2)
    row = fitted(W, law, threshold=cut)
    searched = plain.fitted(sample_of(W.data, cut))
    unit = np.exp(np.log(W.data).mean())
    assert row.params == pytest.approx(searched | {"scale": searched["scale"] * unit}, rel=1e-4)


@pytest.mark.parametrize("law", LAWS)
def test_truncated_likelihood_and_ks_from_scipy(law):
    W = surrogate("lognormal", shape=(10, 100))
    cut = analysis.row_thresholds(W, 0.05)
    row = fitted(W, law, threshold=cut)
    frozen = analysis.DISTRIBUTIONS[law].law(**row.params)
    assert row.loglik == pytest.approx((frozen.logpdf(W.data) - frozen.logsf(cut)).sum(), rel=1e-7)
    u = analysis.pit(W, law, row.params, threshold=cut)
    assert row.ks == pytest.approx(stats.kstest(u, "uniform").statistic, abs=1e-9)


def test_cut_normal_is_recovered():
    draw = np.random.default_rng(2).normal(0.5, 0.4, 40_000)
    row = fitted(draw[draw > 0.4], "normal", threshold=0.4)
    assert row.params == pytest.approx({"loc": 0.5, "scale": 0.4}, rel=0.05)


def test_cut_normal_tends_to_the_exponential_it_contains():
    w = 1 + np.random.default_rng(3).pareto(5.0, 3000)  # heavier than exponential
    normal, exponential = (fitted(w, law, threshold=1.0) for law in ("normal", "exponential"))
    assert normal.loglik == pytest.approx(exponential.loglik, abs=0.2)


@pytest.mark.filterwarnings("error")
def test_cut_lognormal_tends_to_the_power_law_it_contains():
    w = np.exp(5 * np.random.default_rng(3).pareto(5.0, 300))  # log w is heavier than exponential
    lognormal, power = (fitted(w, law, threshold=1.0) for law in ("lognormal", "power law"))
    assert lognormal.params["scale"] > 0
    assert lognormal.loglik == pytest.approx(power.loglik, abs=1.0)


def test_power_law_under_a_cut_in_closed_form():
    w = 0.2 * (1 + np.random.default_rng(3).pareto(1.7, 500))
    cut = np.minimum(w, np.random.default_rng(4).uniform(0.1, 0.3, 500))
    row = fitted(w, "power law", threshold=cut)
    assert row.params == pytest.approx({"b": 1 / np.mean(np.log(w / cut)), "scale": cut.min()})


def test_cut_at_zero_changes_nothing_but_the_normal(weights):
    plain = analysis.fit_weight_distribution(weights).set_index("distribution")
    at_zero = analysis.fit_weight_distribution(weights, threshold=0.0).set_index("distribution")
    for law in LAWS:
        if law == "normal":
            assert at_zero.loglik[law] > plain.loglik[law] + 10
        else:
            assert at_zero.params[law] == plain.params[law]
            assert at_zero.loglik[law] == pytest.approx(plain.loglik[law], abs=1e-9)


def test_thresholds_follow_their_weights_past_the_silent_ones():
    W = surrogate("gamma", shape=(10, 50))
    cut = analysis.row_thresholds(W, 0.05)
    order = np.random.default_rng(0).permutation(W.nnz + 30)
    padded, padded_cut = np.zeros(W.nnz + 30), np.full(W.nnz + 30, 9.0)
    padded[order[: W.nnz]], padded_cut[order[: W.nnz]] = W.data, cut
    assert fitted(padded, "gamma", threshold=padded_cut).loglik == pytest.approx(
        fitted(W, "gamma", threshold=cut).loglik, abs=1e-8
    )


def test_many_distinct_cuts_are_interpolated_without_loss():
    rng = np.random.default_rng(5)
    w = rng.lognormal(-2, 0.8, 30_000)
    cut = np.append(0.0, w[1:] * rng.uniform(0.05, 0.9, w.size - 1))
    cuts = sample_of(w, cut).cuts
    nodes, share = cuts.nodes
    assert nodes.size == cuts.MAX_NODES + 1 < cuts.values.size
    assert share.sum() == pytest.approx(1.0)
    assert share @ special.log_ndtr(-nodes) == pytest.approx(cuts.share @ special.log_ndtr(-cuts.values), rel=1e-6)


@settings(max_examples=10, deadline=None)
@given(exponent=st.floats(-30, 30), mantissa=st.floats(1, 10), cut=st.booleans())
def test_scaled_weights_give_scaled_parameters(exponent, mantissa, cut):
    w = np.random.default_rng(6).gamma(2.0, size=200)
    threshold = np.quantile(w, 0.1) if cut else None
    w = w[w > threshold] if cut else w
    factor = mantissa * 10**exponent
    base = analysis.fit_weight_distribution(w, threshold=threshold).set_index("distribution")
    scaled = analysis.fit_weight_distribution(w * factor, threshold=threshold and threshold * factor)
    for row in scaled.itertuples():
        expected = base.loc[row.distribution]
        for name, value in row.params.items():
            unit = factor if name in ("loc", "scale") else 1.0
            assert value == pytest.approx(unit * expected.params[name], rel=1e-5)
        assert row.ks == pytest.approx(expected.ks, abs=1e-6)
        assert row.loglik == pytest.approx(expected.loglik - w.size * np.log(factor), rel=1e-7, abs=1e-5)


@pytest.mark.parametrize("law", CUT_LAWS)
def test_pit_is_uniform_under_the_true_law_only(law):
    W = surrogate(law, shape=(20, 200))
    cut = analysis.row_thresholds(W, 0.05)
    u = analysis.pit(W, law, CUT_LAWS[law], threshold=cut)
    assert stats.kstest(u, "uniform").pvalue > 0.01
    assert stats.kstest(analysis.pit(W, law, CUT_LAWS[law]), "uniform").pvalue < 1e-3


@pytest.mark.parametrize("threshold", [None, 0.1, [0.1, 0.1, 0.4, 0.2]])
def test_truncated_density_integrates_to_one(threshold):
    x = np.linspace(1e-6, 15, 300_001)
    density = analysis.truncated_density(x, "gamma", {"a": 2.0, "scale": 0.5}, threshold=threshold)
    assert integrate.trapezoid(density, x) == pytest.approx(1.0, abs=1e-4)
    if threshold is not None:
        assert (density[x < 0.1] == 0).all()


def test_truncated_density_is_the_mean_over_cuts():
    law, x = stats.expon(scale=0.5), np.array([0.05, 0.15, 0.7])
    by_hand = np.mean([law.pdf(x) / law.sf(t) * (x >= t) for t in (0.1, 0.1, 0.4)], axis=0)
    density = analysis.truncated_density(x, "exponential", {"scale": 0.5}, threshold=[0.1, 0.4, 0.1])
    assert density == pytest.approx(by_hand)


def test_far_tails_keep_their_logs():
    gamma, half_normal, pareto = (analysis.DISTRIBUTIONS[law].law for law in ("gamma", "half-normal", "power law"))
    x = np.array([0.5, 600.0, 690.0, 705.0, 2000.0])
    assert gamma.logsf(x, 1.0) == pytest.approx(-x, rel=1e-14)
    assert gamma.logsf(x, 3.0) == pytest.approx(np.log1p(x + x**2 / 2) - x, rel=1e-13)
    assert half_normal.logsf(50.0) == pytest.approx(np.log(2) + stats.norm.logsf(50.0))
    assert pareto.logpdf(2.0, 2000.0) == pytest.approx(np.log(2000) - 2001 * np.log(2))
    assert pareto.logsf(2.0, 2000.0) == pytest.approx(-2000 * np.log(2))


def test_weights_just_above_their_cut_are_fitted():
    w = 1 + 1e-3 * np.random.default_rng(7).exponential(size=2000)  # cut 1000 scales into the tail
    gamma, exponential = (fitted(w, law, threshold=1.0) for law in ("gamma", "exponential"))
    assert exponential.params["scale"] == pytest.approx(1e-3, rel=0.1)
    assert 0 <= gamma.loglik - exponential.loglik < 10


@pytest.mark.filterwarnings("error")
def test_odd_samples_give_finite_fits_without_warnings():
    rng = np.random.default_rng(8)
    for spread in (1e-6, 1e-2, 1.0, 10.0):
        w = np.exp(rng.normal(0, spread, rng.integers(2, 20))) * 10.0 ** rng.uniform(-20, 20)
        for threshold in (None, w.min(), w * rng.uniform(0, 1, w.size)):
            frame = analysis.fit_weight_distribution(w, threshold=threshold)
            assert np.isfinite(frame[["loglik", "aic", "bic", "ks"]].to_numpy(float)).all()


def test_a_new_law_is_one_line(monkeypatch):
    monkeypatch.setitem(analysis.DISTRIBUTIONS, "fisk", analysis.Candidate(stats.fisk, 2))
    w = stats.fisk.rvs(3.0, scale=0.2, size=4000, random_state=0)
    frame = analysis.fit_weight_distribution(w[w > 0.1], threshold=0.1)
    assert frame.distribution[0] == "fisk"
    assert frame.params[0] == pytest.approx({"c": 3.0, "scale": 0.2}, rel=0.1)


# --- Errors of the fits -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "kwargs", "message"),
    [
        ([1.0, np.nan], {}, r"must be finite: weights\[1\] is nan"),
        ([np.inf, 1.0], {}, r"must be finite: weights\[0\] is inf"),
        ([1.0, 2.0, -0.5], {}, r"weights\[2\] = -0.5 is negative: pass excitatory and inhibitory"),
        ([], {}, "weights is empty"),
        ([0.0, 0.0], {}, "weights is empty"),
        (sparse.csr_array((3, 3)), {}, "weights is empty"),
        ([0.0, 2.0, 2.0], {}, r"all 2 weights are equal \(2\)"),
        ([1.0, 2.0], {"threshold": 1.5}, r"threshold 1.5 is above weights\[0\] = 1"),
        ([1.0, 2.0], {"threshold": [0.5, 2.1]}, r"threshold 2.1 is above weights\[1\] = 2"),
        ([1.0, 2.0], {"threshold": [0.5] * 3}, r"one per weight \(2\), got 3"),
        ([1.0, 2.0], {"threshold": -1.0}, r"finite and >= 0: that of weights\[0\] is -1"),
        ([1.0, 2.0], {"threshold": np.nan}, r"finite and >= 0: that of weights\[0\] is nan"),
        ([1.0, 2.0], {"threshold": [1.0, 2.0]}, "every weight lies at its threshold"),
        ([1.0, 2.0], {"distributions": ["cauchy"]}, "unknown distribution 'cauchy': choose from 'lognormal'"),
        ([1.0, 2.0], {"distributions": []}, "distributions is empty"),
    ],
)
def test_fit_errors(weights, kwargs, message):
    with pytest.raises(ValueError, match=message):
        analysis.fit_weight_distribution(weights, **kwargs)


def test_threshold_one_float32_rounding_above_its_weight_is_let_pass():
    w = np.float32([0.1, 0.5, 1.0, 2.0])
    above = float(np.nextafter(np.float32(0.1), np.float32(1)))
    exact, rounded = (fitted(w, "exponential", threshold=t) for t in (float(w[0]), above))
    assert rounded.loglik == pytest.approx(exact.loglik, abs=1e-6)


# --- Tests between laws -------------------------------------------------------------------------------


def test_vuong_by_hand(weights):
    result = analysis.vuong(weights, "lognormal", "gamma")
    a, b = (analysis.DISTRIBUTIONS[law].law(**fitted(weights, law).params) for law in ("lognormal", "gamma"))
    m = a.logpdf(weights) - b.logpdf(weights)
    assert result.statistic == pytest.approx(stats.ttest_1samp(m, 0).statistic)
    assert result.p_value == pytest.approx(stats.ttest_1samp(m, 0).pvalue)
    half = stats.t.ppf(0.975, m.size - 1) * stats.sem(m)
    assert (result.mean_log_ratio, result.low, result.high) == pytest.approx(
        (m.mean(), m.mean() - half, m.mean() + half)
    )
    assert (result.n, result.n_groups) == (weights.size, weights.size)


def test_vuong_is_antisymmetric_under_a_cut():
    W = surrogate("gamma", shape=(20, 100))
    cut = analysis.row_thresholds(W, 0.05)
    forth = analysis.vuong(W, "gamma", "lognormal", threshold=cut)
    back = analysis.vuong(W, "lognormal", "gamma", threshold=cut)
    assert forth.statistic > 2
    assert back.statistic == pytest.approx(-forth.statistic)
    assert back.p_value == pytest.approx(forth.p_value)


def test_vuong_takes_cells_not_copies_as_evidence(weights):
    copies = np.repeat(weights, 20)
    groups = np.repeat(np.arange(weights.size), 20)
    once = analysis.vuong(weights, "lognormal", "gamma")
    naive = analysis.vuong(copies, "lognormal", "gamma")
    by_cell = analysis.vuong(copies, "lognormal", "gamma", groups=groups)
    assert naive.statistic == pytest.approx(once.statistic * np.sqrt(20), rel=1e-2)
    assert by_cell.statistic == pytest.approx(once.statistic, rel=1e-6)
    assert by_cell.n_groups == weights.size
    assert by_cell.p_value == pytest.approx(2 * stats.t.sf(by_cell.statistic, weights.size - 1))
    half = stats.t.ppf(0.975, weights.size - 1) * by_cell.mean_log_ratio / by_cell.statistic
    assert by_cell.high - by_cell.low == pytest.approx(2 * half)


def test_vuong_groups_skip_silent_weights(weights):
    groups = np.arange(weights.size) % 10
    padded = analysis.vuong(np.append(weights, 0.0), "lognormal", "gamma", groups=np.append(groups, 99))
    assert padded == analysis.vuong(weights, "lognormal", "gamma", groups=groups)
    assert padded.n_groups == 10


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"b": "lognormal"}, "a and b are both 'lognormal'"),
        ({"b": "cauchy"}, "unknown distribution 'cauchy'"),
        ({"b": "gamma", "groups": [1, 2]}, r"one index per weight \(800\), got 2"),
        ({"b": "gamma", "groups": np.zeros(800)}, "at least 2 cells"),
    ],
)
def test_vuong_errors(weights, kwargs, message):
    with pytest.raises(ValueError, match=message):
        analysis.vuong(weights, "lognormal", **kwargs)


@pytest.mark.parametrize("threshold", [None, 0.3])
def test_ks_bootstrap_keeps_the_true_law_and_rejects_another(weights, threshold):
    w = weights if threshold is None else weights[weights > threshold]
    true = analysis.ks_bootstrap(w, "lognormal", threshold=threshold, n_boot=40, random_state=0)
    false = analysis.ks_bootstrap(w, "half-normal", threshold=threshold, n_boot=40, random_state=0)
    assert true.statistic == fitted(w, "lognormal", threshold=threshold).ks
    assert true.p_value > 0.05
    assert false.p_value == 1 / 41
    assert true == analysis.ks_bootstrap(w, "lognormal", threshold=threshold, n_boot=40, random_state=0)


def test_ks_bootstrap_refits():
    # Fitted parameters bring the law nearer to its data: the tables' p-value is far too large.
    ratio = []
    for seed in range(5):
        w = np.random.default_rng(seed).exponential(size=60)
        result = analysis.ks_bootstrap(w, "exponential", n_boot=99, random_state=seed)
        ratio.append(result.p_value / stats.kstest(w, "expon", (0, w.mean())).pvalue)
    assert np.mean(ratio) < 0.9


def test_ks_bootstrap_needs_a_surrogate(weights):
    with pytest.raises(ValueError, match="n_boot must be an integer >= 1, got 0"):
        analysis.ks_bootstrap(weights, "gamma", n_boot=0)


def test_log_moments(weights):
    log_w = np.log(weights)
    moments = analysis.log_moments(np.append(weights, 0.0))
    assert moments == pytest.approx((log_w.mean(), log_w.std(), stats.skew(log_w), stats.kurtosis(log_w)))
    assert moments.sd == pytest.approx(fitted(weights, "lognormal").params["s"])


def test_log_moments_of_equal_weights():
    moments = analysis.log_moments([2.0, 2.0])
    assert moments[:2] == (np.log(2.0), 0.0)
    assert np.isnan(moments.skewness) and np.isnan(moments.kurtosis)
