"""Block-major layouts and narrow columns: made, refreshed and dropped behind Synapses, and never to be seen in a
result."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioneuro import Synapses, _core, connectivity, kernels


def pathway(n_post=70, n_pre=300, density=0.2, dtype=np.float32, index=np.int32, seed=0):
    W = connectivity.random(n_post, n_pre, density=density, init="half_normal", random_state=seed, dtype=dtype)
    return Synapses(W.indptr.astype(index), W.indices.astype(index), W.weights.copy(), n_pre)


def activity(batch, n, dtype=np.float32, seed=1):
    return np.random.default_rng(seed).standard_normal((batch, n)).astype(dtype)


def assert_products_match(W):
    """Synapses, which keep layouts and narrow columns, against kernels on plain arrays, which do not."""
    for batch in 40, 3, 3:
        assert_batch_matches(W, batch)


def assert_batch_matches(W, batch):
    X, dY = activity(batch, W.n_pre, W.dtype), activity(batch, W.n_post, W.dtype, 2)
    arrays = W.indptr, W.indices, W.weights
    np.testing.assert_array_equal(W.forward(X), kernels.forward(*arrays, X))
    np.testing.assert_array_equal(W.input_grad(dY), kernels.input_grad(*arrays, dY, W.n_pre))
    np.testing.assert_array_equal(W.weight_grad(X, dY), kernels.weight_grad(*arrays[:2], X, dY))
    for actual, expected in zip(W.backward(X, dY), kernels.backward(*arrays, X, dY), strict=True):
        np.testing.assert_array_equal(actual, expected)


CHANGES = {
    "add": lambda W: W.add(np.ones(W.nnz, W.dtype)),
    "plasticity": lambda W: W.plasticity_step(np.ones(W.nnz, W.dtype), np.ones(W.n_post, W.dtype), form="exponential"),
    "hebbian": lambda W: W.hebbian_step(activity(9, W.n_pre, W.dtype), activity(9, W.n_post, W.dtype), form="signed"),
    "hebbian of few": lambda W: W.hebbian_step(
        activity(9, W.n_pre, W.dtype), np.eye(9, W.n_post, 4, W.dtype) * (np.arange(9)[:, None] < 2), form="signed"
    ),
    "normalize": lambda W: W.normalize_rows(),
    "prune": lambda W: W.prune(0.3),
    "grow": lambda W: W.grow(
        abs(activity(9, W.n_pre, W.dtype)),
        abs(activity(9, W.n_post, W.dtype)),
        n_grow=3,
        n_candidates=9,
        weight=0.5,
        seed=0,
        step=0,
    ),
    "replace": lambda W: W.replace_rows(np.array([2, 0]), W.to_scipy()[[5, 7]]),
}


@settings(max_examples=30, deadline=None)
@given(
    changes=st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, max_size=5),
    dtype=st.sampled_from([np.float32, np.float64]),
    index=st.sampled_from([np.int32, np.int64]),
)
def test_no_change_is_missed(changes, dtype, index):
    W = pathway(dtype=dtype, index=index)
    assert_products_match(W)
    for name in changes:
        CHANGES[name](W)
        assert_products_match(W)


@pytest.mark.parametrize("change", ["hebbian", "hebbian of few"])
def test_a_step_from_activity_gives_the_copy_its_weights(change, monkeypatch):
    W, X = pathway(), activity(20, 300)
    W.forward(X)
    W.add(np.ones(W.nnz, W.dtype))  # which leaves the copy behind
    CHANGES[change](W)
    expected = kernels.forward(W.indptr, W.indices, W.weights, X)
    monkeypatch.setattr(_core, "layout_refresh", None)  # nobody else does
    np.testing.assert_array_equal(W.forward(X), expected)


def test_columns_are_narrowed_at_the_second_call_for_one_pattern():
    W, X = pathway(), activity(2, 300)
    made = []
    for _ in range(3):
        W.forward(X)
        made.append(W._layouts._for_few)
    assert made[0] is None and made[1] is made[2]
    narrow, order = made[2]
    assert narrow.dtype == np.uint16 and (narrow == W.indices).all()
    assert (np.diff(np.diff(W.indptr)[order]) >= 0).all() and (np.sort(order) == np.arange(W.n_post)).all()
    W.prune(0.3)
    W.forward(X)
    assert W._layouts._for_few is None


def test_columns_that_16_bits_cannot_tell_apart():
    W = connectivity.random(3, 2**16 + 1, density=0.01, init="half_normal", random_state=0, dtype=np.float32)
    X = activity(2, W.n_pre)
    expected = W.forward(X)
    np.testing.assert_array_equal(W.forward(X), expected)
    assert W._layouts.for_few() == (None, None)  # and its rows are long


def test_narrow_columns_of_another_pathway():
    W = pathway()
    arrays, X = (W.indptr, W.indices, W.weights), activity(2, W.n_pre)
    with pytest.raises(ValueError, match=r"narrow.shape\[0\] must be .*, that of the pathway"):
        _core.forward(*arrays, X, narrow=np.zeros(3, np.uint16))
    with pytest.raises(ValueError, match=r"order.shape\[0\] must be 70, that of the pathway"):
        _core.forward(*arrays, X, order=np.zeros(3, np.uint32))
    with pytest.raises(ValueError, match="narrow cannot tell 70000 columns apart"):
        _core.forward(*arrays, activity(2, 70_000), narrow=W.indices.astype(np.uint16))


def test_results_go_where_they_are_wanted():
    W = pathway()
    X, dY = activity(20, W.n_pre), activity(20, W.n_post, seed=2)
    Y, dX, G = np.full_like(dY, np.nan), np.full_like(X, np.nan), np.full(W.nnz, np.nan, np.float32)
    assert W.forward(X, out=Y) is Y
    np.testing.assert_array_equal(Y, W.forward(X))
    both = W.backward(X, dY, out=(dX, G))
    assert both[0] is dX and both[1] is G
    for actual, expected in zip(both, W.backward(X, dY), strict=True):
        np.testing.assert_array_equal(actual, expected)
    assert W.input_grad(dY, out=dX) is dX and W.weight_grad(X, dY, out=G) is G
    np.testing.assert_array_equal(G, W.weight_grad(X, dY))


@pytest.mark.parametrize("product", ["forward", "input_grad", "weight_grad", "backward"])
def test_result_on_top_of_an_input(product):
    W = pathway(60, 60)
    X, dY = activity(30, 60), activity(30, 60, seed=2)
    G = X.reshape(-1)[: W.nnz] if W.nnz <= X.size else pytest.fail("the pathway must be smaller than its input")
    calls = {
        "forward": lambda: W.forward(X, out=X),
        "input_grad": lambda: W.input_grad(dY, out=dY),
        "weight_grad": lambda: W.weight_grad(X, dY, out=G),
        "backward": lambda: W.backward(X, dY, out=(dY, G)),
    }
    with pytest.raises(ValueError, match="must not share memory with"):
        calls[product]()


def test_copies_do_not_share_their_layouts():
    W = pathway()
    assert_products_match(W)
    V = W.copy()
    V.add(np.ones(V.nnz, V.dtype))
    assert_products_match(V)
    assert_products_match(W)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("density", [0.02, 0.1, 0.5])
def test_memory_stays_within_one_and_a_half_times_the_csr(density, index, transposed):
    W = pathway(1500, 1200, density, index=index)
    layout = _core.layout(W.indptr, W.indices, W.weights, W.n_pre, transposed)
    csr = W.indptr.nbytes + W.indices.nbytes + W.weights.nbytes
    copied = W.nnz * (2 + W.weights.itemsize) + transposed * W.nnz * index(0).itemsize
    assert copied < _core.layout_bytes(layout) < 1.5 * csr


def test_threads_may_share_a_layout():
    """Each call has scratch of its own, though the layout keeps one piece for the next."""
    from concurrent.futures import ThreadPoolExecutor

    W = pathway(400, 500)
    X, dY = activity(100, 500), activity(100, 400, seed=2)
    expected = W.forward(X), *W.backward(X, dY)
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(lambda: (W.forward(X), *W.backward(X, dY))) for _ in range(40)]
        for job in jobs:
            for actual, wanted in zip(job.result(), expected, strict=True):
                np.testing.assert_array_equal(actual, wanted)


def test_layout_of_another_pathway():
    W, V = pathway(), pathway(density=0.3)
    layout = _core.layout(V.indptr, V.indices, V.weights, V.n_pre, False)
    with pytest.raises(ValueError, match="layout was made for another pathway"):
        _core.forward(W.indptr, W.indices, W.weights, activity(5, W.n_pre), layout=layout)


def test_layout_the_wrong_way_round():
    W = pathway(60, 60)
    layout = _core.layout(W.indptr, W.indices, W.weights, W.n_pre, False)
    with pytest.raises(ValueError, match="or for the plain where this needs the transposed one"):
        _core.input_grad(W.indptr, W.indices, W.weights, activity(5, 60), 60, layout=layout)


def test_layout_of_another_type():
    W = pathway()
    layout = _core.layout(W.indptr, W.indices, W.weights, W.n_pre, False)
    with pytest.raises(ValueError, match="layout was made for another pathway"):
        _core.layout_refresh(layout, W.indptr, W.indices, W.weights.astype(float), W.n_pre)


def test_layout_that_is_none():
    W = pathway()
    with pytest.raises(TypeError, match="layout must come from bioneuro._core.layout, got 3"):
        _core.forward(W.indptr, W.indices, W.weights, activity(5, W.n_pre), layout=3)
