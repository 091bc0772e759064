"""forward, input_grad and weight_grad: against their twins, SciPy and dense NumPy, and against bad arguments."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from thread_sharing import shared

from bioneuro import _core, kernels, reference

VALUES = [np.float32, np.float64]
INDICES = [np.int32, np.int64]
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-13}


def pathway(n_rows, n_cols, density, value=np.float32, index=np.int32, seed=0):
    """A random signed pathway; sparse enough, it has empty rows."""
    rng = np.random.default_rng(seed)
    W = sp.csr_array(sp.random(n_rows, n_cols, density, "csr", random_state=rng))
    W.sort_indices()
    return W.indptr.astype(index), W.indices.astype(index), rng.standard_normal(W.nnz).astype(value)


def dense(indptr, indices, data, n_cols):
    return sp.csr_array((data, indices, indptr), shape=(len(indptr) - 1, n_cols)).toarray()


def activity(batch, n, value=np.float32, seed=1):
    return np.random.default_rng(seed).standard_normal((batch, n)).astype(value)


def close(actual, expected, value):
    assert actual.dtype == value and actual.shape == expected.shape and actual.flags.c_contiguous
    scale = max(1.0, np.abs(expected).max(initial=0.0))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[value] * scale)


# --- results -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("batch", [2, 40, 150])
def test_rows_of_very_different_lengths(batch, index):
    """Runs are sorted by length up to 255: here some are far longer, some empty, and neighbours differ."""
    rng = np.random.default_rng(4)
    mask = rng.random((70, 3000)) < np.array([0.002, 0.0, 0.01, 0.9, 0.03])[np.arange(70) % 5, None]
    W = sp.csr_array(np.where(mask, rng.standard_normal(mask.shape), 0.0))
    indptr, indices, data = W.indptr.astype(index), W.indices.astype(index), W.data
    X, dY = activity(batch, 3000, np.float64), activity(batch, 70, np.float64, 2)
    close(kernels.forward(indptr, indices, data, X), X @ W.toarray().T, np.float64)
    G = kernels.weight_grad(indptr, indices, X, dY)
    close(G, (dY.T @ X)[W.nonzero()], np.float64)
    dX, other = kernels.backward(indptr, indices, data, X, dY)
    close(dX, dY @ W.toarray(), np.float64)
    close(other, G, np.float64)
    for n_threads in 2, 3:
        np.testing.assert_array_equal(kernels.weight_grad(indptr, indices, X, dY, n_threads=n_threads), G)
        np.testing.assert_array_equal(kernels.backward(indptr, indices, data, X, dY, n_threads=n_threads)[1], other)


@settings(max_examples=60, deadline=None)
@given(
    n_rows=st.integers(1, 40),
    n_cols=st.integers(1, 300),
    density=st.floats(0, 1),
    batch=st.integers(1, 33),
    value=st.sampled_from(VALUES),
    index=st.sampled_from(INDICES),
    seed=st.integers(0, 99),
    n_threads=st.integers(1, 3),
)
def test_narrow_columns_and_the_order_of_rows_do_not_show(
    n_rows, n_cols, density, batch, value, index, seed, n_threads
):
    indptr, indices, data = W = pathway(n_rows, n_cols, density, value, index, seed)
    X, dY = activity(batch, n_cols, value, seed), activity(batch, n_rows, value, seed + 1)
    bias = activity(1, n_rows, value)[0]
    few = {"narrow": indices.astype(np.uint16), "n_threads": n_threads}
    order = np.random.default_rng(seed).permutation(n_rows).astype(np.uint32)  # any will do
    np.testing.assert_array_equal(
        _core.forward(*W, X, bias, order=order, **few), kernels.forward(*W, X, bias, n_threads=1)
    )
    np.testing.assert_array_equal(_core.input_grad(*W, dY, n_cols, **few), kernels.input_grad(*W, dY, n_cols))
    np.testing.assert_array_equal(_core.weight_grad(indptr, indices, X, dY, **few), kernels.weight_grad(*W[:2], X, dY))
    for actual, expected in zip(_core.backward(*W, X, dY, **few), kernels.backward(*W, X, dY), strict=True):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("product", range(3))
def test_few_samples_and_many_agree_bit_for_bit(product, value):
    """Products of few run on the CSR arrays, those of more on layouts."""
    n_rows, n_cols = 130, 700
    W = pathway(n_rows, n_cols, 0.15, value)
    batch = _core.few(n_cols, np.dtype(value).itemsize)[product]
    X, dY = activity(batch + 1, n_cols, value), activity(batch + 1, n_rows, value, 2)
    few, many = kernels.forward(*W, X[:batch]), kernels.forward(*W, X)[:batch]
    np.testing.assert_array_equal(few, many)
    few, many = kernels.input_grad(*W, dY[:batch], n_cols), kernels.input_grad(*W, dY, n_cols)[:batch]
    np.testing.assert_array_equal(few, many)
    X[batch], dY[batch] = 0, 0
    np.testing.assert_array_equal(
        kernels.weight_grad(*W[:2], X[:batch], dY[:batch]), kernels.weight_grad(*W[:2], X, dY)
    )


@pytest.mark.parametrize("value", VALUES)
def test_input_grad_of_one_sample_leaves_out_silent_cells(value):
    indptr, indices, data = pathway(90, 400, 0.2, value)
    dY = activity(3, 90, value)
    dY[:, 1::3] = 0
    dY[0] = 0
    together = kernels.input_grad(indptr, indices, data, dY, 400)
    for b in range(3):
        np.testing.assert_array_equal(
            kernels.input_grad(indptr, indices, data, dY[b : b + 1], 400), together[b : b + 1]
        )


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("batch", [1, 2, 3, 7, 8, 9, 16, 17, 31, 32, 33, 64, 65, 128, 200])
def test_products_match_twins_scipy_and_numpy(batch, index, value):
    n_rows, n_cols = 53, 301
    indptr, indices, data = pathway(n_rows, n_cols, 0.1, value, index)
    X, dY = activity(batch, n_cols, value), activity(batch, n_rows, value, 2)
    bias = activity(1, n_rows, value, 3)[0]
    W = dense(indptr, indices, data.astype(float), n_cols)
    rows = np.repeat(np.arange(n_rows), np.diff(indptr))

    Y = kernels.forward(indptr, indices, data, X, bias)
    close(Y, reference.forward(indptr, indices, data, X, bias), value)
    close(Y, X.astype(float) @ W.T + bias, value)
    close(kernels.forward(indptr, indices, data, X), (sp.csr_array(W) @ X.T.astype(float)).T, value)

    dX = kernels.input_grad(indptr, indices, data, dY, n_cols)
    close(dX, reference.input_grad(indptr, indices, data, dY, n_cols), value)
    close(dX, dY.astype(float) @ W, value)

    G = kernels.weight_grad(indptr, indices, X, dY)
    close(G, reference.weight_grad(indptr, indices, X, dY), value)
    close(G, (dY.T.astype(float) @ X)[rows, indices], value)

    both = kernels.backward(indptr, indices, data, X, dY)
    np.testing.assert_array_equal(both[0], dX, strict=True)
    close(both[1], G.astype(float), value)
    for actual, expected in zip(both, reference.backward(indptr, indices, data, X, dY), strict=True):
        close(actual, expected, value)


@settings(max_examples=80, deadline=None)
@given(
    n_rows=st.integers(1, 90),
    n_cols=st.integers(1, 400),
    density=st.floats(0, 1),
    batch=st.integers(1, 200),
    value=st.sampled_from(VALUES),
    index=st.sampled_from(INDICES),
    seed=st.integers(0, 2**16),
    bias=st.booleans(),
)
def test_products_at_any_shape(n_rows, n_cols, density, batch, value, index, seed, bias):
    indptr, indices, data = pathway(n_rows, n_cols, density, value, index, seed)
    X, dY = activity(batch, n_cols, value, seed), activity(batch, n_rows, value, seed + 1)
    b = activity(1, n_rows, value, seed + 2)[0] if bias else None
    W = dense(indptr, indices, data.astype(float), n_cols)
    Y, dX = kernels.forward(indptr, indices, data, X, b), kernels.input_grad(indptr, indices, data, dY, n_cols)
    G = kernels.weight_grad(indptr, indices, X, dY)
    close(Y, X.astype(float) @ W.T + (0 if b is None else b), value)
    close(dX, dY.astype(float) @ W, value)
    close(G, reference.weight_grad(indptr, indices, X.astype(float), dY.astype(float)), value)
    both = kernels.backward(indptr, indices, data, X, dY)
    np.testing.assert_array_equal(both[0], dX)
    close(both[1], G.astype(float), value)
    # adjoint: <dY, W X> = <dY W, X> = <G, w>
    if b is None:
        forward, backward, weights = (
            np.vdot(dY.astype(float), Y),
            np.vdot(dX.astype(float), X),
            np.vdot(G.astype(float), data),
        )
        size = np.abs(dY).sum() * max(1.0, np.abs(Y).max(initial=0)) + 1
        assert abs(forward - backward) < TOLERANCE[value] * size and abs(forward - weights) < TOLERANCE[value] * size


def test_gradients_match_finite_differences():
    n_rows, n_cols, h = 7, 11, 1e-6
    indptr, indices, data = pathway(n_rows, n_cols, 0.4, np.float64)
    X, dY = activity(5, n_cols, np.float64), activity(5, n_rows, np.float64, 2)

    def loss(data, X):
        return np.vdot(np.sin(kernels.forward(indptr, indices, data, X)), dY)

    dZ = dY * np.cos(kernels.forward(indptr, indices, data, X))
    dX, G = kernels.input_grad(indptr, indices, data, dZ, n_cols), kernels.weight_grad(indptr, indices, X, dZ)
    for place in np.ndindex(X.shape):
        e = np.zeros_like(X)
        e[place] = h
        assert dX[place] == pytest.approx((loss(data, X + e) - loss(data, X - e)) / (2 * h), abs=1e-7)
    for k in range(len(data)):
        e = np.zeros_like(data)
        e[k] = h
        assert G[k] == pytest.approx((loss(data + e, X) - loss(data - e, X)) / (2 * h), abs=1e-7)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("batch", [1, 8, 20, 100])
def test_threads_do_not_show(batch, value):
    n_rows, n_cols = 120, 8000  # rows long enough for workers with a range of columns each
    indptr, indices, data = pathway(n_rows, n_cols, 0.3, value)
    X, dY = activity(batch, n_cols, value), activity(batch, n_rows, value, 2)
    products = {
        "forward": lambda n: kernels.forward(indptr, indices, data, X, n_threads=n),
        "input_grad": lambda n: kernels.input_grad(indptr, indices, data, dY, n_cols, n_threads=n),
        "weight_grad": lambda n: kernels.weight_grad(indptr, indices, X, dY, n_threads=n),
        "backward": lambda n: np.concatenate(
            [part.ravel() for part in kernels.backward(indptr, indices, data, X, dY, n_threads=n)]
        ),
    }
    for product in products.values():
        results = shared(product, 2, 3, 4)
        for other in results[1:]:
            np.testing.assert_array_equal(results[0], other, strict=True)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("density", [0.02, 0.5])
def test_a_sample_does_not_depend_on_its_batch(value, density):
    n_rows, n_cols, batch = 70, 900, 75
    indptr, indices, data = pathway(n_rows, n_cols, density, value)
    X, dY = activity(batch, n_cols, value), activity(batch, n_rows, value, 2)
    bias = activity(1, n_rows, value, 3)[0]
    Y, dX = kernels.forward(indptr, indices, data, X, bias), kernels.input_grad(indptr, indices, data, dY, n_cols)
    for b in range(batch):
        np.testing.assert_array_equal(kernels.forward(indptr, indices, data, X[b : b + 1], bias)[0], Y[b])
        np.testing.assert_array_equal(kernels.input_grad(indptr, indices, data, dY[b : b + 1], n_cols)[0], dX[b])


def test_float32_sums_over_a_large_batch_stay_accurate():
    batch, n_rows, n_cols = 20_000, 20, 60
    indptr, indices, _ = pathway(n_rows, n_cols, 0.3)
    rng = np.random.default_rng(0)
    X, dY = rng.random((batch, n_cols), np.float32), rng.random((batch, n_rows), np.float32)  # rates: sums only grow
    exact = kernels.weight_grad(indptr, indices, X.astype(float), dY.astype(float))
    data = np.ones(len(indices), np.float32)
    for G in (kernels.weight_grad(indptr, indices, X, dY), kernels.backward(indptr, indices, data, X, dY)[1]):
        np.testing.assert_allclose(G, exact, rtol=2e-6)


@pytest.mark.parametrize("batch", [1, 64])
def test_float32_chains_stay_within_the_bound_of_their_length(batch):
    """A chain of n multiply-adds is off by n u / (1 - n u) of its magnitudes at most (Higham 2002, chapter 3)."""
    n_rows, n_cols, u = 30, 5000, 2.0**-24
    indptr, indices, data = pathway(n_rows, n_cols, 0.5)
    X, dY = activity(batch, n_cols), activity(batch, n_rows, seed=2)
    for actual, product, n in (
        (kernels.forward(indptr, indices, data, X), reference.forward, n_cols),
        (kernels.input_grad(indptr, indices, data, dY, n_cols), lambda *a: reference.input_grad(*a, n_cols), n_rows),
    ):
        wide = (indptr, indices, data.astype(float), (X if n == n_cols else dY).astype(float))
        bound = n * u / (1 - n * u) * product(*wide[:2], *map(np.abs, wide[2:]))
        assert (np.abs(actual - product(*wide)) <= bound).all()


def test_inputs_are_left_as_they_were():
    indptr, indices, data = arrays = pathway(20, 30, 0.3)
    X, dY, bias = activity(9, 30), activity(9, 20), activity(1, 20)[0]
    copies = [a.copy() for a in (*arrays, X, dY, bias)]
    for a in (*arrays, X, dY, bias):
        a.flags.writeable = False
    kernels.forward(indptr, indices, data, X, bias)
    kernels.input_grad(indptr, indices, data, dY, 30)
    kernels.weight_grad(indptr, indices, X, dY)
    kernels.backward(indptr, indices, data, X, dY)
    for a, copy in zip((*arrays, X, dY, bias), copies, strict=True):
        np.testing.assert_array_equal(a, copy)


def test_out_is_overwritten_and_returned():
    indptr, indices, data = pathway(20, 30, 0.3)
    X, dY = activity(9, 30), activity(9, 20)
    for call, shape in (
        (lambda out=None: kernels.forward(indptr, indices, data, X, out=out), (9, 20)),
        (lambda out=None: kernels.input_grad(indptr, indices, data, dY, 30, out=out), (9, 30)),
        (lambda out=None: kernels.weight_grad(indptr, indices, X, dY, out=out), (len(data),)),
    ):
        out = np.full(shape, np.nan, np.float32)
        assert call(out) is out
        np.testing.assert_array_equal(out, call())


def test_no_synapses_at_all():
    indptr, indices, data = np.zeros(4, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32)
    X, dY = activity(5, 6), activity(5, 3)
    assert not kernels.forward(indptr, indices, data, X).any()
    assert not kernels.input_grad(indptr, indices, data, dY, 6).any()
    assert kernels.weight_grad(indptr, indices, X, dY).shape == (0,)


def test_nan_activity_spreads_only_along_its_synapses():
    indptr, indices, data = np.array([0, 1, 2], np.int32), np.array([0, 1], np.int32), np.ones(2, np.float32)
    Y = kernels.forward(indptr, indices, data, np.array([[np.nan, 1.0], [1.0, 1.0]], np.float32))
    np.testing.assert_array_equal(Y, [[np.nan, 1], [1, 1]])


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_padding_hands_on_nothing(value, bad):
    """Runs are padded to whole groups with their last column: what is not finite there must stay there."""
    n_rows, n_cols, batch = 40, 600, 40
    indptr, indices, data = pathway(n_rows, n_cols, 0.05, value)
    W = dense(indptr, indices, data, n_cols)
    X, dY = activity(batch, n_cols, value), activity(batch, n_rows, value, 2)
    wrong = np.arange(n_cols) % 64 == 0
    wrong[indices[indptr[1:][np.diff(indptr) > 0] - 1]] = True  # the last of each row, and so of a run
    X[:, wrong], dY[:, 0] = bad, bad
    Y = kernels.forward(indptr, indices, data, X)
    np.testing.assert_array_equal(np.isfinite(Y).all(axis=0), ~(W[:, wrong] != 0).any(axis=1))
    dX, G = kernels.backward(indptr, indices, data, X, dY)
    np.testing.assert_array_equal(np.isfinite(dX).all(axis=0), W[0] == 0)
    clean = (np.repeat(np.arange(n_rows), np.diff(indptr)) != 0) & ~wrong[indices]
    np.testing.assert_array_equal(np.isfinite(G), clean)
    np.testing.assert_array_equal(np.isfinite(kernels.weight_grad(indptr, indices, X, dY)), clean)


@pytest.mark.parametrize("index", INDICES)
def test_more_places_than_int32_can_count(index):
    """70,000 x 70,000 cells: the product of the two is beyond 2^31, though neither is."""
    n, batch, rng = 70_000, 2, np.random.default_rng(0)
    rows, columns = np.unique(rng.integers(0, n, (5000, 2)), axis=0).T
    W = sp.csr_array((rng.standard_normal(len(rows)), (rows, columns)), shape=(n, n))
    W.sort_indices()
    arrays = W.indptr.astype(index), W.indices.astype(index), W.data
    X, dY = activity(batch, n, np.float64), activity(batch, n, np.float64, 2)
    close(kernels.forward(*arrays, X), (W @ X.T).T, np.float64)
    dX, G = kernels.backward(*arrays, X, dY)
    close(dX, (W.T @ dY.T).T, np.float64)
    close(G, (dY[:, rows] * X[:, columns]).sum(axis=0), np.float64)


# --- refusals: one bad argument at a time ------------------------------------------------------------------

N_ROWS, N_COLS, BATCH = 4, 6, 3


def good():
    return dict(
        indptr=np.array([0, 2, 2, 5, 6], np.int32),
        indices=np.array([1, 4, 0, 2, 5, 3], np.int32),
        data=np.arange(1, 7, dtype=np.float32),
        X=np.ones((BATCH, N_COLS), np.float32),
        dY=np.ones((BATCH, N_ROWS), np.float32),
        n_cols=N_COLS,
    )


TAKES = {
    "forward": ("indptr", "indices", "data", "X"),
    "input_grad": ("indptr", "indices", "data", "dY", "n_cols"),
    "weight_grad": ("indptr", "indices", "X", "dY"),
    "backward": ("indptr", "indices", "data", "X", "dY"),
}
OUT = {"forward": (BATCH, N_ROWS), "input_grad": (BATCH, N_COLS), "weight_grad": (6,)}


def with_entry(name, k, value):
    def change(arguments):
        arguments[name] = arguments[name].copy()
        arguments[name][k] = value

    return change


def with_array(name, make):
    def change(arguments):
        arguments[name] = make(arguments[name])

    return change


def strided(a):
    return np.repeat(a, 2, axis=-1)[..., ::2]


def misaligned(a):
    return np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape)


BAD = [
    ("indptr", with_array("indptr", list), TypeError, "indptr must be a NumPy array of int32 or int64, got list"),
    (
        "indptr",
        with_array("indptr", lambda a: a.astype(np.int64)),
        TypeError,
        "indices must be dtype('int64') like indptr",
    ),
    (
        "indptr",
        with_array("indptr", lambda a: a.astype(np.float32)),
        TypeError,
        "indptr must be int32 or int64, got dtype('float32')",
    ),
    ("indptr", with_array("indptr", lambda a: a.astype(">i4")), TypeError, "indptr must be in native byte order"),
    ("indptr", with_array("indptr", strided), ValueError, "indptr must be C-contiguous and aligned"),
    ("indptr", with_array("indptr", misaligned), ValueError, "indptr must be C-contiguous and aligned"),
    ("indptr", with_array("indptr", lambda a: a[None]), ValueError, "indptr must have 1 dimension, got 2"),
    ("indptr", with_array("indptr", lambda a: a[:1]), ValueError, "indptr must have n_rows + 1 >= 2 entries, got 1"),
    ("indptr", with_array("indptr", lambda a: a[:0]), ValueError, "indptr must have n_rows + 1 >= 2 entries, got 0"),
    ("indptr", with_entry("indptr", 0, 1), ValueError, "indptr[0] must be 0, got 1"),
    ("indptr", with_entry("indptr", 0, -1), ValueError, "indptr[0] must be 0, got -1"),
    ("indptr", with_entry("indptr", 3, 1), ValueError, "indptr must not decrease, but indptr[3] = 1 < indptr[2] = 2"),
    (
        "indptr",
        with_entry("indptr", 3, 1000),
        ValueError,
        "indptr must not decrease, but indptr[4] = 6 < indptr[3] = 1000",
    ),
    ("indptr", with_entry("indptr", 4, 7), ValueError, "indptr[-1] must be len(indices) = 6, got 7"),
    ("indptr", with_entry("indptr", 4, 5), ValueError, "indptr[-1] must be len(indices) = 6, got 5"),
    ("indices", with_array("indices", lambda a: a.astype(np.uint32)), TypeError, "indices must be int32 or int64"),
    ("indices", with_array("indices", strided), ValueError, "indices must be C-contiguous"),
    ("indices", with_array("indices", lambda a: a[:5]), ValueError, None),
    ("indices", with_entry("indices", 4, 6), ValueError, "indices must lie in [0, 6), but indices[4] = 6"),
    ("indices", with_entry("indices", 2, -1), ValueError, "indices must lie in [0, 6), but indices[2] = -1"),
    (
        "indices",
        with_entry("indices", 1, 2**31 - 1),
        ValueError,
        "indices must lie in [0, 6), but indices[1] = 2147483647",
    ),
    (
        "indices",
        with_entry("indices", 3, 0),
        ValueError,
        "indices must rise strictly within a row, but indices[3] = 0 follows 0",
    ),
    (
        "indices",
        with_entry("indices", 0, 5),
        ValueError,
        "indices must rise strictly within a row, but indices[1] = 4 follows 5",
    ),
    (
        "data",
        with_array("data", lambda a: None),
        TypeError,
        "data must be a NumPy array of float32 or float64, got NoneType",
    ),
    (
        "data",
        with_array("data", lambda a: a.astype(np.float16)),
        TypeError,
        "data must be float32 or float64, got dtype('float16')",
    ),
    (
        "data",
        with_array("data", lambda a: a.astype(np.int32)),
        TypeError,
        "data must be float32 or float64, got dtype('int32')",
    ),
    ("data", with_array("data", lambda a: a.astype(">f4")), TypeError, "data must be in native byte order"),
    ("data", with_array("data", strided), ValueError, "data must be C-contiguous"),
    ("data", with_array("data", lambda a: a[:5]), ValueError, "data.shape[0] must be 6, the length of indices, got 5"),
    ("data", with_entry("data", 4, np.nan), ValueError, "data must be finite, but data[4] = nan"),
    ("data", with_entry("data", 0, -np.inf), ValueError, "data must be finite, but data[0] = -inf"),
    (
        "data",
        with_array("data", lambda a: a.astype(float)),
        TypeError,
        "must be float64 like data, got dtype('float32')",
    ),
    ("n_cols", with_array("n_cols", lambda n: 0), ValueError, "n_cols must be an integer >= 1, got "),
    ("n_cols", with_array("n_cols", lambda n: -6), ValueError, "n_cols must be an integer >= 1, got "),
    ("n_cols", with_array("n_cols", lambda n: 5), ValueError, "indices must lie in [0, 5), but indices[4] = 5"),
    ("n_cols", with_array("n_cols", lambda n: 6.0), TypeError, "n_cols must be an integer >= 1, got float"),
    ("n_cols", with_array("n_cols", lambda n: 2**70), ValueError, "n_cols must be an integer >= 1, got "),
    (
        "",
        with_array("n_threads", lambda _: 0),
        ValueError,
        "n_threads must be None, 'auto' or an integer in [1, 1024], got 0",
    ),
    (
        "",
        with_array("n_threads", lambda _: -1),
        ValueError,
        "n_threads must be None, 'auto' or an integer in [1, 1024], got -1",
    ),
    (
        "",
        with_array("n_threads", lambda _: 10**30),
        ValueError,
        "n_threads must be None, 'auto' or an integer in [1, 1024], got 1000",
    ),
    (
        "",
        with_array("n_threads", lambda _: True),
        TypeError,
        "n_threads must be None, 'auto' or an integer in [1, 1024], got bool",
    ),
    (
        "",
        with_array("n_threads", lambda _: 2.0),
        TypeError,
        "n_threads must be None, 'auto' or an integer in [1, 1024], got float",
    ),
    (
        "",
        with_array("n_threads", lambda _: "2"),
        TypeError,
        "n_threads must be None, 'auto' or an integer in [1, 1024], got str",
    ),
    (
        "",
        with_array("n_threads", lambda _: "AUTO"),
        TypeError,
        "n_threads must be None, 'auto' or an integer in [1, 1024], got str",
    ),
]
for rates in ("X", "dY"):
    BAD += [
        (rates, with_array(rates, np.ndarray.tolist), TypeError, f"{rates} must be a NumPy array of float32"),
        (rates, with_array(rates, lambda a: a.astype(np.int64)), TypeError, f"{rates} must be float32"),
        (rates, with_array(rates, lambda a: a.astype(float)), TypeError, "nothing is cast in silence"),
        (rates, with_array(rates, lambda a: a.astype(">f4")), TypeError, f"{rates} must be in native byte order"),
        (rates, with_array(rates, np.asfortranarray), ValueError, f"{rates} must be C-contiguous"),
        (rates, with_array(rates, strided), ValueError, f"{rates} must be C-contiguous"),
        (rates, with_array(rates, misaligned), ValueError, f"{rates} must be C-contiguous and aligned"),
        (rates, with_array(rates, lambda a: a[0]), ValueError, f"{rates} must have 2 dimensions, got 1"),
        (rates, with_array(rates, lambda a: a[:0]), ValueError, None),
        (rates, with_array(rates, lambda a: np.ascontiguousarray(a[:, :0])), ValueError, None),
        (rates, with_array(rates, lambda a: np.ascontiguousarray(a[:, :-1])), ValueError, None),
    ]


CASES = [
    pytest.param(function, change, error, message, id=f"{function}-{name or 'n_threads'}-{i}")
    for i, (name, change, error, message) in enumerate(BAD)
    for function in TAKES
    if not name or name in TAKES[function]
]


@pytest.mark.parametrize(("function", "change", "error", "message"), CASES)
def test_a_bad_argument_is_refused_by_name(function, change, error, message):
    arguments = good() | {"n_threads": None}
    change(arguments)
    with pytest.raises(error, match=re.escape(message) if message else rf"\b({'|'.join(TAKES[function])})\b"):
        getattr(kernels, function)(*(arguments[a] for a in TAKES[function]), n_threads=arguments["n_threads"])


def call(function, **extra):
    arguments = good()
    return getattr(kernels, function)(*(arguments[a] for a in TAKES[function]), **extra)


@pytest.mark.parametrize("function", OUT)
def test_a_bad_out_is_refused(function):
    shape = OUT[function]
    out = np.empty(shape, np.float32)
    frozen = out.copy()
    frozen.flags.writeable = False
    for bad, error, message in (
        (out.tolist(), TypeError, "out must be a NumPy array of float32, got list"),
        (out.astype(float), TypeError, "out must be float32 like the result"),
        (out.astype(">f4"), TypeError, "out must be in native byte order"),
        (
            np.empty((*shape[:-1], shape[-1] + 1), np.float32),
            ValueError,
            f"out.shape[{len(shape) - 1}] must be {shape[-1]}",
        ),
        (out[None], ValueError, "out must have"),
        (strided(out), ValueError, "out must be C-contiguous"),
        (frozen, ValueError, "out must be writeable"),
    ):
        with pytest.raises(error, match=re.escape(message)):
            call(function, out=bad)


@pytest.mark.parametrize("function", OUT)
def test_out_must_not_alias_an_input(function):
    shape = OUT[function]
    for name in [a for a in TAKES[function] if a != "n_cols"]:
        arguments = good()
        memory = np.zeros(4096, np.uint8)
        source = arguments[name]
        arguments[name] = memory[: source.nbytes].view(source.dtype).reshape(source.shape)
        arguments[name][...] = source
        out = (
            memory[source.nbytes - 4 :][: 4 * int(np.prod(shape))].view(np.float32).reshape(shape)
        )  # one word in common
        with pytest.raises(ValueError, match=f"out must not share memory with {name}"):
            getattr(kernels, function)(*(arguments[a] for a in TAKES[function]), out=out)
        np.testing.assert_array_equal(arguments[name], source)


def test_bias_is_checked():
    for bias, error, message in (
        (np.ones(N_ROWS + 1, np.float32), ValueError, "bias.shape[0] must be 4, one for each row of W, got 5"),
        (np.ones(N_ROWS), TypeError, "bias must be float32 like data"),
        (np.ones((1, N_ROWS), np.float32), ValueError, "bias must have 1 dimension"),
        (1.0, TypeError, "bias must be a NumPy array of float32, got float"),
    ):
        with pytest.raises(error, match=re.escape(message)):
            call("forward", bias=bias)


@pytest.mark.parametrize("spread", ["evenly", "low", "high", "in one row"])
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_input_grad_of_one_sample_does_not_depend_on_threads(spread, index):
    """Rows so long that threads take ranges of columns, wherever in them the synapses are."""
    rng = np.random.default_rng(0)
    n_rows, n_cols = 60, 9000
    mask = rng.random((n_rows, n_cols)) < {"evenly": 0.5, "low": 0.9, "high": 0.9, "in one row": 0.6}[spread]
    mask[:, {"evenly": slice(0, 0), "low": slice(5000, None), "high": slice(0, 4000)}.get(spread, slice(0, 0))] = False
    mask[[3, 7]] = False
    if spread == "in one row":
        mask[20:] = False
    W = sp.csr_array(np.where(mask, rng.standard_normal(mask.shape), 0).astype(np.float32))
    w = W.indptr.astype(index), W.indices.astype(index), W.data
    dY = rng.standard_normal((1, n_rows)).astype(np.float32)
    one, *more = (kernels.input_grad(*w, dY, n_cols, n_threads=n) for n in (1, 2, 3, 4))
    np.testing.assert_allclose(one, dY @ W.toarray(), rtol=1e-4, atol=1e-4)
    for dX in more:
        np.testing.assert_array_equal(dX, one)


def test_n_threads_may_be_auto():
    np.testing.assert_array_equal(call("forward", n_threads="auto"), call("forward"))


def test_n_threads_may_be_a_numpy_integer():
    np.testing.assert_array_equal(call("forward", n_threads=np.int64(2)), call("forward"))
