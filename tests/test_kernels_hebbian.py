"""hebbian_step: competition, Hebbian term and plasticity of the winners, against its twin and the three steps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_kernels_plasticity import FORMS, of
from thread_sharing import shared

from bioneuro import Synapses, _core, connectivity, kernels, reference

VALUES = [np.float32, np.float64]
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}


def scene(value=np.float64, index=np.int32, n_post=60, n_pre=90, batch=8, seed=0):
    """A pathway with an empty row, its input and drive."""
    rng = np.random.default_rng(seed)
    W = connectivity.random(n_post, n_pre, density=0.3, sign="E", random_state=seed, dtype=value)
    kept = np.ones(W.nnz, bool)
    kept[W.indptr[3] : W.indptr[4]] = False
    sizes = np.diff(W.indptr)
    sizes[3] = 0
    indptr = np.r_[0, np.cumsum(sizes)].astype(index)
    arrays = indptr, W.indices[kept].astype(index), W.weights[kept].copy()
    return arrays, rng.random((batch, n_pre)).astype(value), rng.random((batch, n_post)).astype(value)


def close(actual, expected, value):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[value] * max(1, np.abs(expected).max()))


@settings(max_examples=60, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    value=st.sampled_from(VALUES),
    index=st.sampled_from([np.int32, np.int64]),
    k=st.sampled_from([None, 1, 3, 20]),
    batch=st.integers(1, 40),
    n_post=st.integers(4, 150),
    sigma=st.sampled_from([0.0, 0.3]),
    normalize=st.booleans(),
    with_gain=st.booleans(),
    seed=st.integers(0, 99),
)
def test_twin(form, value, index, k, batch, n_post, sigma, normalize, with_gain, seed):
    """Sparse and dense activity, and the border between them."""
    (indptr, indices, data), X, drive = scene(value, index, n_post, batch=batch, seed=seed)
    gain = np.random.default_rng(seed).random(n_post).astype(value) if with_gain else None
    rule = of(form, beta=5.0, k=k, gain=gain, eta=0.3, sigma=sigma, w0=0.1, normalize=normalize, seed=seed, step=4)
    if "X" not in _core.FORMS[form].nonnegative:
        X -= value(0.5)
    fast, slow = data.copy(), data.astype(float)
    Y = kernels.hebbian_step(indptr, indices, fast, X, drive, **rule)
    rule["gain"] = gain
    expected = reference.hebbian_step(indptr, indices, slow, X.astype(float), drive.astype(float), **rule)
    close(Y, expected, value)
    close(fast, slow, value)


@pytest.mark.parametrize("k", [2, None])
def test_it_is_the_three_steps(k):
    (indptr, indices, data), X, drive = scene(batch=12)
    apart = data.copy()
    Y = kernels.compete(drive, beta=4.0, k=k)
    G = kernels.weight_grad(indptr, indices, X, Y)
    kernels.plasticity_step(indptr, indices, apart, G, Y.sum(axis=0), sigma=0.2, seed=3, step=7)
    np.testing.assert_array_equal(
        kernels.hebbian_step(indptr, indices, data, X, drive, beta=4.0, k=k, sigma=0.2, seed=3, step=7), Y
    )
    close(data, apart, np.float64)


@pytest.mark.parametrize("form", FORMS)
def test_silent_cells_stay_bit_for_bit(form):
    (indptr, indices, data), X, drive = scene(batch=4)
    before = data.copy()
    Y = kernels.hebbian_step(indptr, indices, data, X, drive, k=2, form=form, sigma=0.5, w_max=0.01)
    rows = np.repeat(np.arange(60), np.diff(indptr))
    changed = np.bincount(rows, data != before, 60) > 0
    active = (Y != 0).any(axis=0)
    np.testing.assert_array_equal(changed, active & (np.diff(indptr) > 0))


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("rate", [1.0, 0.7, -0.3])
@pytest.mark.parametrize("limits", [{}, {"normalize": True}, {"w_min": 0.2, "w_max": 0.6}, {"bound": 0.05}])
def test_cells_that_respond_alike_to_one_sample_learn_what_each_would_bit_for_bit(value, index, rate, limits):
    """A table of factors in place of an exponential for each synapse; a cell that differs in its rate has none."""
    (indptr, indices, data), X, _ = scene(value, index, batch=1)
    X -= value(0.5)
    data[::3] *= -1
    data[5:8] = 0, -0.0, 1e-30
    rule = _core.Plasticity("exponential", **{"eta": 0.9, "decay": 0.0, "normalize": False, **limits})
    Y = np.full((1, 60), rate, value)
    G = _core.weight_grad(indptr, indices, X, Y)
    apart = data.copy()
    _core.plasticity_step(indptr, indices, apart, G, Y[0], rule, theta=0.0, seed=0, step=0)
    for n_threads in 1, 2:
        fast = data.copy()
        assert _core.hebbian_step(indptr, indices, fast, X, Y, rule, seed=0, step=0, n_threads=n_threads) == 60
        assert fast.tobytes() == apart.tobytes()


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("k", [1, None])
def test_threads_do_not_show(k, value):
    def stepped(n_threads):
        (indptr, indices, data), X, drive = scene(value, n_post=900, n_pre=1200, batch=60)
        kernels.hebbian_step(indptr, indices, data, X, drive, beta=3.0, k=k, sigma=0.1, n_threads=n_threads)
        return data.tobytes()

    assert len(set(shared(stepped, 2, 3))) == 1


def test_cells_that_win_late_in_a_large_batch_are_found():
    (indptr, indices, data), X, drive = scene(batch=300)
    Y = np.zeros((300, 60))
    Y[299, 59] = 1.0
    W = Synapses(indptr, indices, data, 90, sign="E")
    before = W.weights.copy()
    assert W.hebbian_step(X, Y) == 1
    assert (W.weights[: indptr[59]] == before[: indptr[59]]).all()
    assert (W.weights[indptr[59] :] != before[indptr[59] :]).all()


def pathway():
    arrays, X, drive = scene(np.float32)
    return Synapses(*arrays, 90, sign="E"), X, kernels.compete(drive, k=2)


def test_negative_rate():
    W, X, Y = pathway()
    Y[1, 2] = -1
    with pytest.raises(ValueError, match=r"Y must be finite and >= 0, but Y\[1, 2\] = -1"):
        W.hebbian_step(X, Y)


@pytest.mark.parametrize("form", FORMS)
def test_which_arrays_may_be_negative_is_read_from_the_form(form):
    traits = _core.FORMS[form]
    for name in ("X", "Y", "gain", "G", "c"):
        W, X, Y = pathway()
        W = Synapses(W.indptr, W.indices, W.weights.copy(), 90, sign=traits.signs[0])
        Y[1] = 1
        given = dict(X=X, Y=Y, gain=np.ones(60, np.float32), G=np.ones(W.nnz, np.float32), c=np.ones(60, np.float32))
        given[name].flat[0] = -1
        names = ("G", "c") if name in "Gc" else ("X", "Y", "gain")
        given = {key: given[key] for key in names}

        def step(given=given, W=W):
            (W.plasticity_step if "G" in given else W.hebbian_step)(**given, form=form, eta=0.1)

        if name in traits.nonnegative:
            with pytest.raises(ValueError, match=rf"{name} must be finite and >= 0, but {name}\[0(, 0)?\] = -1"):
                step()
        else:
            step()
            assert np.isfinite(W.weights).all()


def test_a_ready_rule_in_place_of_a_name():
    rule = _core.Plasticity("log-covariance", eta=0.2, slope=0.7, sigma=0.1)
    results = []
    for form, parameters in (rule, {}), (rule.form, rule.parameters):
        W, X, Y = pathway()
        W.hebbian_step(X - np.float32(0.5), Y, form, seed=3, step=1, **parameters)
        results.append(W.weights)
    np.testing.assert_array_equal(*results)
    with pytest.raises(TypeError, match="has its parameters already, but eta is given too"):
        W.hebbian_step(X, Y, rule, eta=0.1)
    with pytest.raises(TypeError, match="form 'log-covariance' has no parameter 'floor'"):
        W.hebbian_step(X, Y, "log-covariance", floor=0.1)


def test_standardised_rates_make_weights_exponentials_of_the_standardised_covariance():
    """The whole of the log-covariance rule: rates x, their means and spreads, and what each cell saw when active."""
    W, X, Y = pathway()
    X, Y = X.astype(float), Y.astype(float)
    W = Synapses(W.indptr, W.indices, W.weights.astype(float), 90, sign="E")
    mean, spread = X.mean(axis=0), X.std(axis=0)
    for _ in range(400):
        W.hebbian_step((X - mean) / spread, Y, form="log-covariance", slope=0.9)
    for i in np.flatnonzero(Y.any(axis=0) & (np.diff(W.indptr) > 0)):
        columns, w = W.row(i)
        z = (Y[:, i] @ X[:, columns] / Y[:, i].sum() - mean[columns]) / spread[columns]
        np.testing.assert_allclose(w, np.exp(0.9 * z) / np.linalg.norm(np.exp(0.9 * z)), rtol=1e-10)


def test_input_that_is_no_number():
    W, X, Y = pathway()
    X[3, 4] = np.nan
    with pytest.raises(ValueError, match=r"X must be finite and >= 0, but X\[3, 4\] = nan"):
        W.hebbian_step(X, Y)


def test_negative_gain():
    W, X, Y = pathway()
    with pytest.raises(ValueError, match=r"gain must be finite and >= 0, but gain\[0\] = -1"):
        W.hebbian_step(X, Y, gain=np.full(60, -1, np.float32))


def test_gain_of_the_wrong_size():
    W, X, Y = pathway()
    with pytest.raises(ValueError, match=r"gain must have shape \(60,\)"):
        W.hebbian_step(X, Y, gain=np.ones(59, np.float32))


def test_step_that_overflows():
    W, X, Y = pathway()
    with pytest.raises(ValueError, match="overflows float32: lower eta"):
        W.hebbian_step(X * np.float32(1e30), Y, form="exponential", eta=1e30)


def test_rule_that_does_not_go_with_the_sign():
    W, X, Y = pathway()
    with pytest.raises(ValueError, match="form 'signed' needs a pathway of sign 'mixed'"):
        W.hebbian_step(X, Y, form="signed")


def test_batches_that_differ():
    (indptr, indices, data), X, drive = scene()
    with pytest.raises(ValueError, match="Y.shape\\[0\\] must be 8, the batch of X, got 7"):
        kernels.hebbian_step(indptr, indices, data, X, drive[:7])


# --- minmax, which guards the steps ---------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 300),
    value=st.sampled_from(VALUES),
    special=st.sampled_from([0.0, -0.0, np.inf, -np.inf, 1e-42, np.nan]),
    seed=st.integers(0, 99),
)
def test_minmax(n, value, special, seed):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(n).astype(value)
    x[rng.integers(n)] = special
    np.testing.assert_array_equal(_core.minmax(x), (x.min(), x.max()))


@pytest.mark.parametrize("place", [0, 65_535, 65_536, 199_999])
def test_minmax_finds_a_nan_on_any_thread(place):
    x = np.zeros(200_000, np.float32)
    x[place] = np.nan
    for n_threads in (1, 2, 3):
        assert np.isnan(_core.minmax(x, n_threads=n_threads)).all()
