"""What functions of weights and rates are given: every form of the same weights, and what must be refused by name."""

import copy
import itertools
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import bioneuro as bn
from bioneuro import analysis, plot
from bioneuro.analysis.weight_samples import looks_cut, stored

plt = pytest.importorskip("matplotlib.pyplot")

N_POST, N_PRE = 12, 20


def heights(ax):
    return [bar.get_height() for bar in ax.patches]


#: Every function of weights, as one that gives numbers.
OF_WEIGHTS = {
    "density": analysis.density,
    "gini": analysis.gini,
    "gini silent": lambda W: analysis.gini(W, silent=True),
    "log_moments": analysis.log_moments,
    "positive_weights": lambda W: analysis.positive_weights(W)[0],
    "fit": lambda W: analysis.fit_weight_distribution(W)[["loglik", "aic", "bic", "ks"]].to_numpy(),
    "fit silent": lambda W: analysis.fit_weight_distribution(W, distributions=["gamma"]).attrs["n_silent"],
    "vuong": lambda W: analysis.vuong(W, "lognormal", "gamma"),
    "pit": lambda W: analysis.pit(W, "gamma", {"a": 2.0, "scale": 1.0}),
    "ks_bootstrap": lambda W: analysis.ks_bootstrap(W, "lognormal", n_boot=3, random_state=0),
    "weight_report": lambda W: analysis.weight_report(W).select_dtypes(float).to_numpy(),
    "dale_index": analysis.dale_index,
    "dale_indices": lambda W: analysis.dale_indices({"cells": {"a": W}})["cells"],
    "row_index": analysis.row_index,
    "row_thresholds": lambda W: analysis.row_thresholds(W, 0.5),
    "site_index": analysis.site_index,
    "plot.weight_distribution": lambda W: heights(plot.weight_distribution(W)),
    "plot.receptive_fields": lambda W: np.ma.filled(
        plot.receptive_fields(W, (4, 5)).get_images()[0].get_array(), np.nan
    ),
}
#: Those that need to know the rows.
OF_MATRICES = {"weight_report", "dale_index", "dale_indices", "row_index", "row_thresholds", "site_index"} | {
    "plot.receptive_fields"
}
OF_RATES = {
    "treves_rolls": analysis.treves_rolls,
    "fraction_active": analysis.fraction_active,
    "pairwise_correlation": analysis.pairwise_correlation,
    "class_selectivity": lambda R: analysis.class_selectivity(R, np.arange(len(R)) % 2),
    "labels of class_selectivity": lambda R: analysis.class_selectivity(np.ones((len(R), 2)), R[:, 0] > 1),
    "participation_ratio": analysis.participation_ratio,
    "representation_report": analysis.representation_report,
    "inputs of representation_report": lambda R: analysis.representation_report(np.ones((len(R), 2)), inputs=R),
    "relative_noise": lambda R: analysis.relative_noise(R, 0.1),
    "information_bounds": lambda R: analysis.information_bounds(R, 1.0),
    "gaussian_information": lambda R: analysis.gaussian_information(R, 1.0),
    "discrete_entropy": lambda R: analysis.discrete_entropy(R[:, 0]),
    "discrete_information": lambda R: analysis.discrete_information(R[:, 0], R[:, 1]),
    "mean_interval": lambda R: analysis.mean_interval(R[:, 0]),
    "paired_difference": lambda R: analysis.paired_difference(R[:, 0], R[:, 1]),
    "holm": lambda R: analysis.holm(R[:, 0] / 100),
    "share_interval": lambda R: analysis.share_interval(R[:, 0] > 1),
    "paired_shares": lambda R: analysis.paired_shares(R[:, 0] > 1, R[:, 1] > 1),
    "fit_gabor": lambda R: analysis.fit_gabor(R[:6, :6]),
    "fit_gabors": lambda R: analysis.fit_gabors(R[None, :6, :6]),
    "orientation_index": lambda R: analysis.orientation_index(R[None, :6, :6]),
    "plot.rate_distribution": lambda R: plot.rate_distribution(R[:, 0]),
    "plot.task_matrix": lambda R: plot.task_matrix(R / 100),
    "plot.adversarial_examples": lambda R: plot.adversarial_examples(R[:, :16] / 99, {"m": R[:, :16] / 99}, (4, 4)),
    "plot.winning_prototypes": lambda R: plot.winning_prototypes(
        R[:2, :16] / 99, R[:, :16] / 99, np.zeros((2, 1), int), np.ones((2, 1)), (4, 4)
    ),
}


def weights(seed=0):
    rng = np.random.default_rng(seed)
    W = rng.lognormal(size=(N_POST, N_PRE))
    return sparse.csr_array(np.where(rng.random(W.shape) < 0.6, W, 0))


def repeated(W, seed=0):
    """The same weights, each in one to three entries, in any order."""
    rng = np.random.default_rng(seed)
    times = rng.integers(1, 4, W.nnz)
    rows, cols = np.repeat(analysis.row_index(W), times), np.repeat(W.indices, times)
    order = np.lexsort((rng.random(rows.size), rows))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=N_POST))])
    return sparse.csr_array((np.repeat(W.data / times, times)[order], cols[order], indptr), W.shape)


def wide(W):
    A = W.copy()
    A.indices, A.indptr = A.indices.astype(np.int64), A.indptr.astype(np.int64)
    return A


def frozen(W):
    A = W.copy()
    for array in A.data, A.indices, A.indptr:
        array.flags.writeable = False
    return A


FORMS = {
    "csr_matrix": sparse.csr_matrix,
    "csc_array": sparse.csc_array,
    "coo_array": sparse.coo_array,
    "dense": lambda W: W.toarray(),
    "dense in Fortran order": lambda W: np.asfortranarray(W.toarray()),
    "list": lambda W: W.toarray().tolist(),
    "read-only": frozen,
    "int64 indices": wide,
    "repeated entries": repeated,
    "repeated coo": lambda W: repeated(W).tocoo(),
    "Synapses": lambda W: bn.Synapses.from_scipy(W, sign="E"),
    "no masked value": lambda W: np.ma.masked_less(W.toarray(), -1),
}


def same(found, expected):
    np.testing.assert_allclose(
        np.asarray(found, float), np.asarray(expected, float), rtol=1e-6, atol=1e-8, equal_nan=True
    )


@pytest.mark.parametrize("name", OF_WEIGHTS)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_weights_gives_the_same_numbers(name, form):
    W = weights()
    given, f = FORMS[form](W), OF_WEIGHTS[name]
    if name not in OF_MATRICES and form.startswith("dense in"):
        given = given.T.T  # order of memory, not of weights
    if form in ("dense", "dense in Fortran order", "list", "no masked value") and name == "pit":
        given = sparse.csr_array(np.asarray(given))
    same(f(given), f(W))


@given(seed=st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_repeated_entries_are_one_weight(seed):
    W = weights(seed)
    for name in ("density", "gini", "log_moments", "dale_index", "row_thresholds", "site_index"):
        same(OF_WEIGHTS[name](repeated(W, seed)), OF_WEIGHTS[name](W))


def test_entries_that_cancel_are_a_silent_synapse():
    W = sparse.csr_array(([2.0, -2.0, 3.0, 4.0], [0, 0, 1, 1], [0, 2, 4]), (2, 2))
    assert analysis.density(W) == 0.25
    assert analysis.dale_index(W).tolist() == pytest.approx([np.nan, 1.0], nan_ok=True)


def test_unsorted_columns_keep_their_order():
    """One threshold a stored weight then belongs to the weight it was made for."""
    data = np.arange(1.0, 61.0)
    W = sparse.csr_array((data, np.arange(60)[::-1], [0, 60]), (1, 60))
    assert analysis.positive_weights(W, data)[1].tolist() == data.tolist()


def snapshot(value):
    arrays = [value.data, value.indices, value.indptr] if sparse.issparse(value) else [value]
    return [(array, array.copy(), copy.copy(array.flags.writeable)) for array in arrays]


def unchanged(before):
    return all(np.array_equal(array, was) and array.flags.writeable == w for array, was, w in before)


@pytest.mark.parametrize("name", OF_WEIGHTS)
@pytest.mark.parametrize("form", ["csr_array", "repeated entries", "dense", "dense in Fortran order"])
def test_weights_stay_as_they_are_and_writeable(name, form):
    given = weights() if form == "csr_array" else FORMS[form](weights())
    before = snapshot(given)
    OF_WEIGHTS[name](given)
    assert unchanged(before)


@pytest.mark.parametrize("name", OF_RATES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_rates_stay_as_they_are_and_writeable(name, order):
    R = np.asarray(np.random.default_rng(1).integers(0, 99, (30, 20)), float, order=order)
    before = snapshot(R)
    OF_RATES[name](R)
    assert unchanged(before)


@pytest.mark.parametrize("name", OF_RATES)
def test_masked_rates_are_refused_by_name(name):
    R = np.ma.masked_less(np.random.default_rng(1).integers(0, 99, (30, 20)).astype(float), 5)
    R[0, 0] = R[1, 1] = np.ma.masked
    with pytest.raises(ValueError, match=r"\w+ must not have masked values: leave them out"):
        OF_RATES[name](R)


@pytest.mark.parametrize("name", sorted(OF_MATRICES))
def test_masked_matrices_are_refused_by_name(name):
    with pytest.raises(ValueError, match=r"W must not have masked values"):
        OF_WEIGHTS[name](np.ma.masked_less(weights().toarray(), 0.5))


@pytest.mark.parametrize("name", sorted(OF_WEIGHTS.keys() - OF_MATRICES))
def test_masked_weights_are_left_out(name):
    masked = np.ma.masked_inside(weights().toarray().ravel(), 0.5, 0.9)
    assert 0 < masked.mask.sum()
    same(OF_WEIGHTS[name](masked), OF_WEIGHTS[name](masked.compressed()))


@pytest.mark.parametrize("name", OF_WEIGHTS)
def test_complex_weights_are_refused_by_name(name):
    with pytest.raises(TypeError, match=r"(W|weights)\b.*complex"):
        OF_WEIGHTS[name](sparse.csr_array(weights().toarray() * (1 + 1j)))


@pytest.mark.parametrize("name", sorted(OF_MATRICES))
def test_vectors_are_refused_where_rows_are_needed(name):
    with pytest.raises(ValueError, match=r"W must be 2-d \(n_post, n_pre\), got shape \(3,\)"):
        OF_WEIGHTS[name](np.ones(3))


def test_sparse_rates_are_refused_by_name():
    with pytest.raises(TypeError, match=r"rates must be a dense array, got a sparse csr_array: pass rates.toarray\(\)"):
        analysis.treves_rolls(sparse.csr_array(np.eye(3)))


def test_refused_calls_leave_the_generator_as_it_was():
    rng = np.random.default_rng(0)
    state = copy.deepcopy(rng.bit_generator.state)
    with pytest.raises(ValueError, match=r"sizes\[1\] must be an integer in \[2, 4\], got 9"):
        analysis.information_by_samples(np.eye(4), 1.0, [2, 9], rng)
    with pytest.raises(ValueError, match="a and b must be paired"):
        analysis.shuffled_information([0, 1], [0, 1, 1], rng)
    assert rng.bit_generator.state == state


# --- Cuts that nobody named ---------------------------------------------------------------------------


@pytest.mark.parametrize("n", [120, 900, 19_980])
@pytest.mark.parametrize(
    "law",
    {
        "lognormal": lambda rng, n: rng.lognormal(size=n),
        "gamma": lambda rng, n: rng.gamma(2.0, size=n),
        "exponential": lambda rng, n: rng.exponential(size=n),
        "weibull": lambda rng, n: rng.weibull(5.0, n),
        "normal": lambda rng, n: rng.normal(10, 1, n),
        "inverse gamma": lambda rng, n: 1 / rng.gamma(3.0, size=n),
        "uniform from 0": lambda rng, n: rng.random(n),
        "two humps": lambda rng, n: rng.lognormal(np.repeat([-2, 2], n // 2), 0.3),
    }.items(),
    ids=lambda item: item[0],
)
def test_whole_laws_do_not_look_cut(law, n):
    rows = (n // 30, 30)
    found = [looks_cut(stored(law[1](np.random.default_rng(seed), n).reshape(rows))) for seed in range(20)]
    assert sum(found) <= 1


@pytest.mark.parametrize("share", [0.05, 0.3, 0.8])
def test_weights_above_one_value_look_cut(share):
    w = np.random.default_rng(0).lognormal(size=5000)
    assert looks_cut(stored(w[w > np.quantile(w, share)]))


@pytest.mark.parametrize("theta", [0.05, 0.2])
def test_weights_above_a_share_of_their_rows_largest_look_cut(theta):
    w = np.random.default_rng(0).lognormal(np.linspace(-3, 3, 50)[:, None], 1.0, (50, 200))
    W = sparse.csr_array(np.where(w >= theta * w.max(axis=1, keepdims=True), w, 0))
    assert looks_cut(stored(W))
    assert not looks_cut(stored(w))


@pytest.mark.parametrize(
    "fit",
    [analysis.fit_weight_distribution, analysis.weight_report, plot.weight_distribution],
    ids=lambda f: f.__name__,
)
def test_a_fit_that_ignores_a_cut_warns_and_one_that_knows_it_does_not(fit):
    w = np.random.default_rng(0).gamma(0.6, size=(30, 300))
    W = sparse.csr_array(np.where(w >= 0.05 * w.max(axis=1, keepdims=True), w, 0))
    with pytest.warns(UserWarning, match=r"weights look cut.*threshold=\.\.\., see row_thresholds"):
        fit(W)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(W, threshold=analysis.row_thresholds(W, 0.05))


class Pruned:
    """A model that knows where it cut."""

    def __init__(self, W, theta):
        self.W, self.theta = W, theta

    def weights(self):
        return {"association": self.W}

    def cuts(self):
        return {"association": analysis.row_thresholds(self.W, self.theta)}


def test_the_figure_of_a_model_uses_its_own_cut_and_does_not_reverse_the_finding():
    w = np.random.default_rng(0).gamma(0.6, size=(30, 300))
    W = sparse.csr_array(np.where(w >= 0.05 * w.max(axis=1, keepdims=True), w, 0))
    model = Pruned(W, 0.05)
    with pytest.warns(UserWarning, match="weights look cut"):
        naive = analysis.fit_weight_distribution(W)
    assert naive.distribution[0] != "gamma"
    ax = plot.weight_distribution(model)
    assert ax.get_legend().get_texts()[0].get_text().startswith("gamma:")
    assert ax.get_title(loc="left").splitlines()[0].endswith("silent: gamma")


def test_a_law_that_is_only_the_least_bad_is_no_law():
    w = np.random.default_rng(0).lognormal(np.repeat([-2.0, 2.0], 2000), 0.3)
    fit = analysis.fit_weight_distribution(w)
    assert fit.ks[0] > 0.1 and fit.attrs["best"] is None
    row = analysis.weight_report(w[None]).iloc[0]
    assert row.law is None and row.best == fit.distribution[0] and row.ks_best == fit.ks[0]
    assert "silent: no law fits" in plot.weight_distribution(w).get_title(loc="left")


def test_few_weights_are_not_held_to_more_than_sampling_allows():
    assert analysis.fit_weight_distribution(np.random.default_rng(0).lognormal(size=60)).attrs["best"] == "lognormal"


def test_sigma_of_the_title_is_that_of_the_table():
    w = np.random.default_rng(0).lognormal(size=(20, 400))
    W = sparse.csr_array(np.where(w >= 0.1 * w.max(axis=1, keepdims=True), w, 0))
    cut = analysis.row_thresholds(W, 0.1)
    sigma = analysis.weight_report(W, threshold=cut).fitted_sigma[0]
    assert sigma == pytest.approx(1, abs=0.1) and np.log(W.data).std() < 0.7
    assert f"σ {sigma:.2f}" in plot.weight_distribution(W, threshold=cut).get_title(loc="left")


def test_pathways_of_a_network_are_reported_under_its_own_cuts():
    data = bn.datasets.load("digits")
    model = bn.BioClassifier(n_cells=60, encoder__n_columns=8, mixing=200, schedule__readout_epochs=20, random_state=0)
    model.fit(data.X_train[:300], data.y_train[:300])
    cuts, W = model.cuts(), model.weights()
    assert set(cuts) == {"readout_excitatory", "readout_inhibitory"}
    for name, cut in cuts.items():
        assert cut.shape == W[name].data.shape and (cut <= np.abs(W[name].data)).all() and cut.max() > 0
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        report = bn.pathway_report(model).set_index("layer")
    row = analysis.weight_report(W["readout_excitatory"], sign="E", threshold=cuts["readout_excitatory"]).iloc[0]
    assert report.loc["readout_excitatory", "fitted_sigma"] == row.fitted_sigma


# --- Vuong's test where there is nothing to tell ------------------------------------------------------


@pytest.mark.parametrize(("a", "b"), list(itertools.combinations(analysis.DISTRIBUTIONS, 2)))
@pytest.mark.parametrize("second", [1.0001, 2.0, 100.0])
def test_vuong_of_two_weights_knows_nothing(a, b, second):
    result = analysis.vuong([1.0, second], a, b)
    assert np.isnan(result.statistic)
    assert (result.p_value, result.low, result.high, result.n) == (1.0, -np.inf, np.inf, 2)


@pytest.mark.parametrize("level", [0, 1, 95, np.nan, "0.9", True])
def test_vuong_refuses_what_is_no_level(level):
    with pytest.raises(ValueError, match=r"level must be a number in \(0, 1\), got "):
        analysis.vuong([1.0, 2.0, 3.0], "lognormal", "gamma", level=level)
