"""Measures of one weight matrix: by hand on small ones, on surrogates with known laws elsewhere."""

import numpy as np
import pytest
from scipy import sparse
from weight_surrogates import surrogate

from bioneuro import analysis


def test_row_thresholds_by_hand():
    W = sparse.csr_array([[0, 2.0, -4.0], [0, 0, 0], [1.0, 0, 0.5]])
    assert analysis.row_index(W).tolist() == [0, 0, 2, 2]
    assert analysis.site_index(W).tolist() == [1, 2, 6, 8]
    assert analysis.row_thresholds(W, 0.25).tolist() == [1.0, 1.0, 0.25, 0.25]
    with pytest.raises(ValueError, match=r"theta must be a number in \[0, 1\], got 2"):
        analysis.row_thresholds(W, 2)


def test_weight_report_keeps_pathways_apart():
    exc, inh = surrogate("lognormal"), surrogate("exponential", seed=1)
    W = sparse.hstack([exc, -inh], format="csr")
    cut = np.empty(W.nnz)
    cut[W.data > 0], cut[W.data < 0] = analysis.row_thresholds(exc, 0.05), analysis.row_thresholds(inh, 0.05)
    report = analysis.weight_report(W, threshold=cut).set_index("pathway")
    assert list(report.index) == ["E", "I"]
    for pathway, part in (("E", exc), ("I", inh)):
        row = report.loc[pathway]
        fit = analysis.fit_weight_distribution(part, threshold=analysis.row_thresholds(part, 0.05))
        by_law = fit.set_index("distribution")
        assert row.n == part.nnz
        assert row.density == pytest.approx(part.nnz / np.prod(W.shape))
        assert row.silent_share == pytest.approx(1 - W.nnz / np.prod(W.shape))
        assert row[["mu", "sigma", "skewness", "kurtosis"]].tolist() == list(analysis.log_moments(part))
        assert row.best == fit.distribution[0]
        assert row.aic_to_second == pytest.approx(fit.aic[1] - fit.aic[0])
        assert row.aic_to_lognormal == pytest.approx(by_law.aic["lognormal"] - fit.aic[0])
        assert row.ks_lognormal == by_law.ks["lognormal"]
        assert (row.cortex_mu, row.cortex_sigma) == (-0.702, 0.9355)
    assert report.best["E"] == "lognormal" and report.aic_to_lognormal["E"] == 0
    assert report.fitted_sigma["E"] == pytest.approx(0.8, rel=0.05)
    assert report.aic_to_lognormal["I"] > 200


@pytest.mark.parametrize(("sign", "pathway"), [("E", "E"), (1, "E"), ("I", "I"), (-1, "I")])
def test_weight_report_of_magnitudes(sign, pathway):
    W = surrogate("gamma", shape=(10, 50))
    report = analysis.weight_report(W, sign=sign)
    assert report.pathway.tolist() == [pathway]
    assert report.drop(columns="pathway").equals(analysis.weight_report(W).drop(columns="pathway"))


def test_weight_report_of_an_inhibitory_pathway_stored_below_zero():
    W = surrogate("gamma", shape=(10, 50))
    assert analysis.weight_report(-W, sign="I").equals(analysis.weight_report(W, sign="I"))
    assert analysis.weight_report(-W, sign="mixed").equals(analysis.weight_report(W, sign="I"))


def test_weight_report_of_equal_weights_has_no_best_law():
    row = analysis.weight_report(sparse.csr_array(np.eye(3))).iloc[0]
    assert (row.n, row.sigma, row.best) == (3, 0.0, None)
    assert np.isnan(row.aic_to_second)


def test_weight_report_of_a_pathway_of_equal_weights_beside_another():
    W = np.array([[0.5, -0.25, 1.5], [2.0, -0.25, 0.0]])
    report = analysis.weight_report(W).set_index("pathway")
    assert (report.n["I"], report.sigma["I"], report.best["I"], report.law["I"]) == (2, 0.0, None, None)
    alone = analysis.weight_report(np.maximum(W, 0), sign="E").set_index("pathway")
    assert report.drop(columns="silent_share").loc[["E"]].equals(alone.drop(columns="silent_share"))


@pytest.mark.parametrize(
    ("W", "kwargs", "message"),
    [
        (np.eye(2), {"sign": "both"}, "sign must be None, 'mixed', 'E', 'I', 1 or -1, got 'both'"),
        (-np.eye(2), {"sign": "E"}, r"weights\[0\] = -1 is negative"),
        (np.diag([1, -1]), {"sign": "I"}, r"weights\[1\] = -1 is negative"),
        (np.zeros((2, 2)), {}, "weights is empty"),
        (np.full((1, 2), np.nan), {}, "must be finite"),
        (np.eye(2), {"threshold": 3.0}, r"threshold 3 is above weights\[0\] = 1"),
    ],
)
def test_weight_report_errors(W, kwargs, message):
    with pytest.raises(ValueError, match=message):
        analysis.weight_report(sparse.csr_array(W), **kwargs)


def test_row_thresholds_of_an_array_with_zeros_are_those_of_its_matrix():
    W = np.random.default_rng(0).lognormal(size=(30, 40))
    W[W < 0.1 * W.max(axis=1, keepdims=True)] = 0
    dense, matrix = (
        analysis.fit_weight_distribution(A, threshold=analysis.row_thresholds(A, 0.1)) for A in (W, sparse.csr_array(W))
    )
    assert dense.equals(matrix) and dense.attrs == matrix.attrs


@pytest.mark.parametrize("power", [-1000, 1000])
def test_measures_do_not_depend_on_scale(power):
    """To the last bit, though squares and sums are beyond float64."""
    W = np.random.default_rng(0).lognormal(size=(40, 30))
    signed = W * np.random.default_rng(1).choice([-1, 1], W.shape)
    for measure, values in (
        (analysis.gini, W),
        (analysis.dale_index, signed),
        (lambda V: analysis.dale_index(V, V[:5], np.zeros((0, 30))), signed),
        (analysis.treves_rolls, W),
        (lambda R: analysis.treves_rolls(R, axis=0), W),
        (analysis.participation_ratio, W),
        (analysis.pairwise_correlation, W),
        (lambda R: analysis.class_selectivity(R, np.arange(40) % 3), W),
    ):
        expected = measure(values)
        assert np.isfinite(expected).all()
        np.testing.assert_array_equal(measure(np.ldexp(values, power)), expected)


def test_cells_of_very_different_scales_each_have_a_dale_index():
    assert analysis.dale_index([[3e307, 3e-320], [3e307, 3e-320]]).tolist() == [1, 1]


def test_dale_index_by_hand():
    W = np.array([[1.0, 2.0, 0.0, 0.5], [3.0, -2.0, 0.0, -1.5]])
    assert analysis.dale_index(sparse.csr_array(W)) == pytest.approx([1.0, 0.0, np.nan, 0.5], nan_ok=True)
    V = sparse.csr_array([[-4.0, 4.0, -1.0, 0.0]])
    assert analysis.dale_index(W, V) == pytest.approx([0.0, 0.5, 1.0, 0.5])


def test_dale_indices_take_all_that_a_cell_makes():
    """Each pathway has one sign; the first population's cells make both."""
    excitatory, inhibitory = np.array([[1.0, 2.0, 0.0]]), np.array([[-1.0, 0.0, -4.0]])
    found = analysis.dale_indices({"mixed": {"a": excitatory, "b": inhibitory}, "pure": {"c": inhibitory}})
    assert list(found) == ["mixed", "pure"]
    assert found["mixed"] == pytest.approx([0, 1, 1])
    assert found["pure"] == pytest.approx([1, np.nan, 1], nan_ok=True)


def test_dale_index_needs_the_same_cells():
    with pytest.raises(ValueError, match=r"same pre-synaptic cells \(columns\), got \[2, 3\]"):
        analysis.dale_index(np.ones((2, 2)), np.ones((2, 3)))


def test_density():
    W = sparse.csr_array(([1.0, 0.0, -2.0], ([0, 0, 1], [0, 1, 3])), shape=(2, 4))
    assert analysis.density(W) == 2 / 8  # a stored zero is silent
    assert analysis.density(W.toarray()) == 2 / 8
    with pytest.raises(ValueError, match="W is empty"):
        analysis.density(np.empty((0, 3)))


def test_gini_is_the_mean_absolute_difference():
    w = np.random.default_rng(1).lognormal(-0.7, 0.9, 100)
    expected = np.abs(w[:, None] - w).mean() / (2 * w.mean())
    assert analysis.gini(w) == pytest.approx(expected)
    assert analysis.gini(np.append(w, np.zeros(60))) == pytest.approx(expected)
    padded = np.append(w, np.zeros(60))
    expected = np.abs(padded[:, None] - padded).mean() / (2 * padded.mean())
    assert analysis.gini(padded, silent=True) == pytest.approx(expected)
    assert analysis.gini(sparse.csr_array(padded.reshape(16, 10)), silent=True) == pytest.approx(expected)
    assert analysis.gini([3.0, 3.0, 3.0]) == pytest.approx(0.0)
    with pytest.raises(ValueError, match="is negative"):
        analysis.gini([1.0, -1.0])


def test_treves_rolls_by_hand():
    rates = np.array([[1.0, 1, 1, 1], [4, 0, 0, 0], [0, 0, 0, 0], [1, 3, 0, 0]])
    expected = [0.0, 1.0, np.nan, (1 - 1 / 2.5) / 0.75]
    assert analysis.treves_rolls(rates) == pytest.approx(expected, nan_ok=True)
    assert analysis.treves_rolls(rates.T, axis=0) == pytest.approx(expected, nan_ok=True)
    assert analysis.treves_rolls(rates, rescale=False) == pytest.approx([1, 0.25, np.nan, 0.4], nan_ok=True)
    assert analysis.treves_rolls(rates[3]) == pytest.approx(0.8)
    assert np.isnan(analysis.treves_rolls([[2.0]])).all()


@pytest.mark.parametrize("rates", [[1.0, -1.0], [1.0, np.nan]])
def test_treves_rolls_errors(rates):
    with pytest.raises(ValueError, match="rates must be finite and >= 0"):
        analysis.treves_rolls(rates)
