"""SparseMLP: as many synapses as asked for, at all times; SET and RigL exchange exactly those that they should."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from scipy.special import log_softmax
from sklearn.utils.estimator_checks import check_estimator

from bioneuro import Synapses
from bioneuro.baselines import BackpropMLP, SparseMLP, layer_densities, make
from bioneuro.baselines.sparse import exchange

REWIRINGS = ("none", "set", "rigl")
each_rewiring = pytest.mark.parametrize("rewiring", REWIRINGS)


def small(rewiring="none", n_epochs=3, **params):
    """A fitted little network, and data for it in (0, 1)."""
    rng = np.random.default_rng(0)
    X, y = rng.uniform(0.05, 0.95, (15, 5)), np.arange(15) % 4
    params = {"density": 0.5, "batch_size": 4, "dtype": "float64", "random_state": 0, "n_threads": 1, **params}
    return SparseMLP((7, 6), rewiring=rewiring, n_epochs=n_epochs, **params).fit(X, y), X, y


def dense_twin(model):
    """The same network with every synapse stored, silent ones as zeros."""
    twin = BackpropMLP(model.hidden, dtype=model.dtype, n_threads=1)
    twin.classes_, twin.n_features_in_, twin.biases_ = model.classes_, model.n_features_in_, model.biases_
    twin.pathways_ = []
    for W in model.pathways_:
        indptr = np.arange(W.n_post + 1, dtype=np.int32) * W.n_pre
        indices = np.tile(np.arange(W.n_pre, dtype=np.int32), W.n_post)
        twin.pathways_.append(Synapses(indptr, indices, W.to_scipy().toarray().ravel(), W.n_pre))
    return twin


def gradient_at(model, X, y):
    """Rates and slope of the mean loss with respect to the logits."""
    rates = model._rates(X)
    return rates, (np.exp(log_softmax(rates[-1], axis=1)) - np.eye(len(model.classes_))[y]) / len(X)


# --- how many, and where -----------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 300), min_size=2, max_size=5), st.floats(1e-3, 1))
def test_erdos_renyi_keeps_the_total_and_favours_small_layers(sizes, density):
    densities = layer_densities(sizes, density)
    possible = np.multiply(sizes[:-1], sizes[1:])
    assert densities @ possible == pytest.approx(density * possible.sum())
    assert (densities > 0).all() and (densities <= 1).all()
    law = np.add(sizes[:-1], sizes[1:]) / possible
    scale = (densities / law)[densities < 1 - 1e-9]
    assert scale == pytest.approx(np.full(len(scale), scale.mean() if scale.size else 0))
    assert densities == pytest.approx(np.minimum(1, law * scale.mean()) if scale.size else np.ones(len(law)))


def test_layer_densities_of_a_known_network():
    assert layer_densities((784, 512, 10), 0.1, "uniform") == pytest.approx([0.1, 0.1])
    assert layer_densities((784, 512, 10), 0.1) == pytest.approx([(40652.8 - 5120) / 401408, 1])
    hidden, output = layer_densities((784, 512, 10), 0.01)
    assert output / hidden == pytest.approx((522 / 5120) / (1296 / 401408)) and output < 1


@each_rewiring
@pytest.mark.parametrize("allocation", ["erdos-renyi", "uniform"])
def test_number_of_synapses_is_as_asked_for_at_every_update(rewiring, allocation, monkeypatch):
    wanted = [round(d * n) for d, n in zip(layer_densities((5, 7, 6, 4), 0.5, allocation), (35, 42, 24), strict=True)]
    seen, step = [], SparseMLP._step

    def counted(self, rates, dlogits):
        step(self, rates, dlogits)
        seen.append([W.nnz for W in self.pathways_])

    monkeypatch.setattr(SparseMLP, "_step", counted)
    small(rewiring, allocation=allocation, rewire_every=1, n_epochs=5)
    assert len(seen) == 5 * 4 and all(counts == wanted for counts in seen)


def test_first_weights_have_the_scale_of_he_for_the_expected_fan_in(digits):
    model = SparseMLP((400,), density=0.2, n_epochs=1, learning_rate=1e-12, weight_decay=0, random_state=0)
    for W in model.fit(digits.X_train[:50], digits.y_train[:50]).pathways_:
        assert np.mean(W.weights**2) == pytest.approx(2 * W.n_post / W.nnz, rel=0.1)


# --- what is exchanged -------------------------------------------------------------------------------------


@given(
    arrays(bool, 30), arrays(float, 30, elements=st.floats(-5, 5)), arrays(float, 30, elements=st.floats(0, 5)),
    st.floats(0, 1),
)  # fmt: skip
def test_exchange_drops_the_smallest_and_grows_the_highest(stored, weight, score, share):
    sites = np.flatnonzero(stored)
    n = round(share * len(sites))
    new = exchange(sites, weight[sites], score.copy(), n)
    assert len(new) == len(sites) and (np.diff(new) > 0).all()
    left, born = np.setdiff1d(sites, new), np.setdiff1d(new, sites)
    assert len(left) <= n
    if left.size and new.size:
        survivors = np.sort(np.abs(weight[sites]))[n:]
        assert np.abs(weight[left]).max() <= (survivors.min() if survivors.size else np.inf)
    silent = np.setdiff1d(np.arange(30), new)
    if born.size and silent.size:
        assert score[born].min() >= score[silent].max()


def test_rigl_replaces_the_smallest_by_the_largest_dense_gradients():
    model, X, y = small(drop=0.8, allocation="uniform")  # so far no synapse is born at 0
    model.rewiring = "rigl"
    for b in model.biases_:
        b += 0.5  # no silent cells, whose gradients are all 0: the largest must be without doubt
    before = [W.to_scipy().toarray() for W in model.pathways_]
    rates, dlogits = gradient_at(model, X, y)
    slopes = [G for _, G, _ in dense_twin(model)._backward(rates, dlogits)][::-1]
    slopes = [G.reshape(W.shape) for G, W in zip(slopes, before, strict=True)]
    dense = model._dense_gradients(rates, dlogits)
    for found, wanted in zip(dense, slopes, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-12)
    biases = [b.copy() for b in model.biases_]
    model._n_updates, model._plan, model.rewire_every = 4, (5, 100), 5
    model._step(rates, dlogits)
    share = 0.4 * (1 + math.cos(math.pi * 5 / 75))
    for old, W, slope in zip(before, model.pathways_, slopes, strict=True):
        new = W.to_scipy().toarray()
        sizes = np.sort(np.abs(old[old != 0]))
        n = round(share * len(sizes))
        survives = (old != 0) & (np.abs(old) >= sizes[n])
        np.testing.assert_array_equal(new[survives], old[survives])
        score = np.where(survives, -np.inf, np.abs(slope))
        grown = score >= np.sort(score.ravel())[-n]
        stored = np.zeros(W.shape, bool)
        stored[np.repeat(np.arange(W.n_post), np.diff(W.indptr)), W.indices] = True
        np.testing.assert_array_equal(stored, survives | grown)
        np.testing.assert_array_equal(new[grown], np.where(stored, old, 0)[grown])  # chosen again: as it was; else 0
        assert not new[grown & (old == 0)].any()
    for b, kept in zip(model.biases_, biases, strict=True):
        np.testing.assert_array_equal(b, kept)  # the exchange takes the place of the update


def test_set_replaces_the_smallest_at_random():
    model, *_ = small(density=0.3)  # so far no synapse is born at 0
    before = [W.to_scipy().toarray() for W in model.pathways_]
    found = []
    for seed in range(2):
        model._rng = np.random.default_rng(seed)
        model._rewire(0.3, (model._rng.random(W.shape) for W in model.pathways_))
        after = [W.to_scipy().toarray() for W in model.pathways_]
        for old, new in zip(before, after, strict=True):
            sizes = np.sort(np.abs(old[old != 0]))
            n = round(0.3 * len(sizes))
            large = np.abs(old) >= sizes[n]
            np.testing.assert_array_equal(new[large], old[large])
            assert set(np.unique(new[~large])) <= {0.0, *old[~large]}
        found.append([W.indices.copy() for W in model.pathways_])
        model, *_ = small(density=0.3)
    assert any(not np.array_equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("rewiring", ["set", "rigl"])
def test_survivors_keep_their_moments_and_newborns_have_none(rewiring):
    model, X, y = small(rewiring, density=0.3)
    before = []
    for W, (adam, _) in zip(model.pathways_, model._adam, strict=True):
        assert adam.m.any() and adam.v.any()
        A = W.to_scipy()
        tables = [sparse.csr_array((x, A.indices, A.indptr), A.shape) for x in (W.weights, adam.m, adam.v)]
        before.append([table.toarray() for table in tables])  # 0 where there is no synapse
    model._rewire(0.5, [np.random.default_rng(0).random(W.shape) for W in model.pathways_])
    n_born = 0
    for tables, W, (adam, _) in zip(before, model.pathways_, model._adam, strict=True):
        rows = np.repeat(np.arange(W.n_post), np.diff(W.indptr))
        for values, table in zip((W.weights, adam.m, adam.v), tables, strict=True):
            np.testing.assert_array_equal(values, table[rows, W.indices])
        n_born += np.sum(adam.v == 0)
    assert n_born > 5


@pytest.mark.parametrize(
    ("rewiring", "every", "wanted"),
    [
        ("none", "auto", []),
        ("set", "auto", [4, 8, 12, 16]),
        ("set", 7, [7, 14]),
        ("rigl", 5, [5, 10]),
        ("rigl", "auto", list(range(1, 15))),
    ],
)
def test_rewires_when_it_should(rewiring, every, wanted, monkeypatch):
    seen = []

    def noted(self, share, scores):
        seen.append((self._n_updates, share))

    monkeypatch.setattr(SparseMLP, "_rewire", noted)
    small(rewiring, n_epochs=5, rewire_every=every, drop=0.4)  # 4 updates a pass
    assert [t for t, _ in seen] == wanted
    for t, share in seen:
        assert share == pytest.approx(0.4 if rewiring == "set" else 0.2 * (1 + math.cos(math.pi * t / 15)))


def test_rigl_rewires_every_hundred_updates_of_long_training(monkeypatch):
    seen = []
    monkeypatch.setattr(SparseMLP, "_rewire", lambda self, share, scores: seen.append(self._n_updates))
    small("rigl", n_epochs=500)
    assert seen == list(range(100, 1500, 100))


# --- gradients and learning --------------------------------------------------------------------------------


def numeric_gradient(model, W, X, y):
    """Of the mean cross-entropy, by finite differences of every stored weight of one pathway."""
    numeric = np.empty(W.nnz)
    for i in range(W.nnz):
        sides = []
        for h in (1e-6, -1e-6):
            delta = np.zeros(W.nnz)
            delta[i] = h
            W.add(delta)
            sides.append(-log_softmax(model._rates(X)[-1], axis=1)[np.arange(len(y)), y].mean())
            W.add(-delta)
        numeric[i] = (sides[0] - sides[1]) / 2e-6
    return numeric


def test_gradient_of_every_stored_weight():
    model, X, y = small()
    rates, dlogits = gradient_at(model, X, y)
    for k, G, _ in list(model._backward(rates, dlogits)):
        np.testing.assert_allclose(G, numeric_gradient(model, model.pathways_[k], X, y), atol=1e-7)


def test_dense_gradient_by_finite_differences():
    model, X, y = small()
    twin = dense_twin(model)
    gradients = model._dense_gradients(*gradient_at(model, X, y))
    for W, G in zip(twin.pathways_, gradients, strict=True):
        np.testing.assert_allclose(G.ravel(), numeric_gradient(twin, W, X, y), atol=1e-7)


@each_rewiring
def test_a_fifth_of_the_synapses_learns_digits_almost_as_well(digits, rewiring):
    parameters = dict(learning_rate=3e-3, n_epochs=60, random_state=0, n_threads=1)
    dense = BackpropMLP((64,), **parameters).fit(digits.X_train, digits.y_train)
    sparse = SparseMLP((64,), density=0.2, rewiring=rewiring, **parameters).fit(digits.X_train, digits.y_train)
    assert sparse.score(digits.X_test, digits.y_test) > dense.score(digits.X_test, digits.y_test) - 0.03
    assert sum(W.nnz for W in sparse.pathways_) == pytest.approx(0.2 * (64 * 64 + 640), abs=1)


def state(model):
    return [a for W in model.pathways_ for a in (W.indices, W.weights)] + model.biases_


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@each_rewiring
def test_reproducible_by_random_state_whatever_the_threads(digits, rewiring):
    def trained(seed, n_threads=1):
        model = SparseMLP((64,), rewiring=rewiring, n_epochs=3, random_state=seed, n_threads=n_threads)
        return state(model.fit(digits.X_train, digits.y_train))

    assert same(trained(0), trained(0, n_threads=2))
    assert not same(trained(0), trained(1))


@each_rewiring
def test_partial_fit_follows_the_plan_of_fit_and_then_rewires_no_more(digits, rewiring):
    X, y = digits.X_train, digits.y_train
    parameters = dict(rewiring=rewiring, n_epochs=4, random_state=0, n_threads=1, rewire_every=5)
    whole = SparseMLP((32,), **parameters).fit(X, y)
    steps = SparseMLP((32,), **parameters).partial_fit(X, y, classes=np.arange(10))
    first = [W.indices.copy() for W in steps.pathways_]
    for _ in range(3):
        steps.partial_fit(X, y)
    assert same(state(whole), state(steps))
    assert same(first[:1], [steps.pathways_[0].indices]) == (rewiring == "none")
    places, weights = [W.indices.copy() for W in steps.pathways_], steps.pathways_[0].weights.copy()
    steps.partial_fit(X, y)
    assert same(places, [W.indices for W in steps.pathways_]) and not np.array_equal(
        weights, steps.pathways_[0].weights
    )


def test_another_fit_starts_from_scratch(digits):
    X, y = digits.X_train[:300], digits.y_train[:300]
    model = SparseMLP((20,), rewiring="rigl", n_epochs=3, random_state=0)
    first = [a.copy() for a in state(model.fit(X, y))]
    assert same(first, state(model.fit(X, y)))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@each_rewiring
def test_is_a_scikit_learn_estimator(rewiring):
    check_estimator(SparseMLP((16,), density=0.7, rewiring=rewiring, learning_rate=1e-2, n_epochs=40, n_threads=1))


def test_names_of_the_registry():
    assert [make(name).rewiring for name in ("fixed-mask", "set", "rigl")] == list(REWIRINGS)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"density": 0}, r"density must be a number in \(0, 1\], got 0"),
        ({"density": 1.5}, r"density must be a number in \(0, 1\], got 1.5"),
        ({"density": "a tenth"}, r"density must be a number in \(0, 1\], got 'a tenth'"),
        ({"allocation": "kernel"}, r"allocation must be one of \['erdos-renyi', 'uniform'\], got 'kernel'"),
        ({"rewiring": "deep-r"}, r"rewiring must be one of \['none', 'rigl', 'set'\], got 'deep-r'"),
        ({"drop": -0.1}, r"drop must be a number in \[0, 1\], got -0.1"),
        ({"drop": np.nan}, r"drop must be a number in \[0, 1\], got nan"),
        ({"rewire_every": 0}, "rewire_every must be an integer >= 1 or 'auto', got 0"),
        ({"rewire_every": "often"}, "rewire_every must be an integer >= 1 or 'auto', got 'often'"),
        ({"hidden": (0,)}, "hidden must be an integer >= 1, got 0"),
    ],
)
def test_refuses_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        SparseMLP(**params).fit(np.full((3, 2), 0.5), [0, 1, 1])
