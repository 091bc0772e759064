"""bioneuro.synapses: memory of its own, nothing is cast, no sign changes, and no failure leaves a trace."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from bioneuro import connectivity, kernels, reference
from bioneuro.synapses import Synapses

BATCH, N_POST, N_PRE = 6, 9, 13
KINDS = [(value, index) for value in (np.float32, np.float64) for index in (np.int32, np.int64)]
FORMS = {"mixed": "signed", "E": "log-relaxation", "I": "exponential"}


def csr(value=np.float32, index=np.int32, sign="mixed", seed=0, density=0.4):
    """A random canonical csr_array, with an empty row and weights of the sign's range."""
    rng = np.random.default_rng(seed)
    W = rng.uniform(0.1, 1, (N_POST, N_PRE)) * (rng.random((N_POST, N_PRE)) < density)
    W[4] = 0
    W *= {"E": 1, "I": -1, "mixed": rng.choice([-1, 1], W.shape)}[sign]
    A = sp.csr_array(W.astype(value))
    A.indptr, A.indices = A.indptr.astype(index), A.indices.astype(index)
    return A


def rates(n, value=np.float32, seed=1):
    return np.random.default_rng(seed).random((BATCH, n)).astype(value)


def batch_terms(synapses, seed=1):
    """Hebbian term and activity of a random batch."""
    X, Y = rates(N_PRE, synapses.dtype, seed), rates(N_POST, synapses.dtype, seed + 1)
    return synapses.weight_grad(X, Y), Y.sum(axis=0)


def snapshot(s):
    return s.indptr.copy(), s.indices.copy(), s.weights.copy(), s.version, s.structure_version


def assert_unchanged(s, before):
    for now, then in zip(snapshot(s), before, strict=True):
        np.testing.assert_array_equal(now, then)


# --- in and out


ARRAYS = ("data", "indices", "indptr")


@pytest.mark.parametrize(("value", "index"), KINDS)
@pytest.mark.parametrize("kind", [sp.csr_array, sp.csr_matrix])
def test_types_stay_in_and_out_and_memory_is_its_own(value, index, kind):
    A = kind(csr(value, index))
    A.indptr, A.indices = A.indptr.astype(index), A.indices.astype(index)
    out = Synapses.from_scipy(A).to_scipy()
    assert type(out) is sp.csr_array and out.shape == A.shape and out.dtype == value
    for name in ARRAYS:
        ours, theirs = getattr(out, name), getattr(A, name)
        assert not np.shares_memory(ours, theirs) and ours.dtype == theirs.dtype and theirs.flags.writeable
    np.testing.assert_array_equal(out.toarray(), A.toarray())


@pytest.mark.parametrize("copy", [False, True])
def test_copy_of_from_scipy_warns_and_goes_with_the_next_release(copy):
    A = csr(np.float32, np.int32)
    with pytest.warns(FutureWarning, match="copy of Synapses.from_scipy has no effect"):
        s = Synapses.from_scipy(A, copy=copy)
    assert not np.shares_memory(s.weights, A.data)


def out_of_band(s):
    """Unpickled as joblib, dask or multiprocessing do it: from buffers that others can write to."""
    buffers = []
    blob = pickle.dumps(s, protocol=5, buffer_callback=buffers.append)
    memory = [bytearray(b.raw()) for b in buffers]
    return pickle.loads(blob, buffers=memory), memory


def from_views(memory):
    """From parts of buffers of bytes."""
    A = csr(sign="E")
    arrays = {}
    for name in ARRAYS:
        given = getattr(A, name)
        memory.append(bytearray(b"\0" * 8 + given.tobytes() + b"\0" * 8))
        arrays[name] = np.frombuffer(memory[-1], given.dtype)[8 // given.itemsize : -8 // given.itemsize]
    return Synapses(arrays["indptr"], arrays["indices"], arrays["data"], N_PRE, sign="E")


def from_scipy(memory, share=lambda A: A):
    A = csr(sign="E")
    memory += [getattr(share(A), name) for name in ARRAYS]
    return Synapses.from_scipy(A, sign="E")


def from_a_pickle(memory):
    s, buffers = out_of_band(Synapses.from_scipy(csr(sign="E"), sign="E"))
    memory += buffers
    return s


def from_an_initialiser(memory):
    memory.append(np.ones(200, np.float32))
    return connectivity.random(
        N_POST, N_PRE, density=0.4, init=lambda rng, n: memory[0][:n], sign="E", random_state=0, dtype=np.float32
    )


def from_torch(memory):
    torch = pytest.importorskip("torch")
    A = csr(sign="E")
    memory += [torch.from_numpy(getattr(A, name)) for name in ARRAYS]
    indptr, indices, data = (t.numpy() for t in reversed(memory))
    return Synapses(indptr, indices, data, N_PRE, sign="E")


def from_a_clone(memory):
    s = from_scipy(memory)
    return copy.copy(s)


def by_replaced_rows(memory):
    s, A = Synapses.from_scipy(csr(sign="E"), sign="E"), csr(sign="E", seed=3)[:2].tocsr()
    s.replace_rows(np.array([0, 1]), A)
    memory += [getattr(A, name) for name in ARRAYS]
    return s


MADE = {
    "views of buffers": from_views,
    "csr": from_scipy,
    "csr and its transpose": lambda m: from_scipy(m, lambda A: A.T),
    "csr and csr_matrix of it": lambda m: from_scipy(m, sp.csr_matrix),
    "pickle": from_a_pickle,
    "initialiser": from_an_initialiser,
    "torch": from_torch,
    "clone": from_a_clone,
    "replaced rows": by_replaced_rows,
}


def raw(shared):
    """The bytes of an array, tensor or buffer."""
    return (np.frombuffer(shared, np.uint8) if isinstance(shared, bytearray) else np.asarray(shared)).view(np.uint8)


@pytest.mark.parametrize("made", MADE)
def test_no_memory_is_shared_with_anybody(made):
    memory = []
    s = MADE[made](memory)
    before, X = snapshot(s), rates(N_PRE)
    many = s.forward(X)
    for shared in memory:  # overwritten with what would crash a kernel that trusted it
        raw(shared)[:] = 0x7F
    assert_unchanged(s, before)
    np.testing.assert_array_equal(s.forward(X), many)
    np.testing.assert_array_equal(np.vstack([s.forward(X[k : k + 1]) for k in range(BATCH)]), many)
    s.normalize_rows()
    assert all((raw(shared) == 0x7F).all() for shared in memory)  # nor does learning write to it


def test_read_only_arrays_are_as_good_as_others():
    s = Synapses.from_scipy(csr())
    t = Synapses(s.indptr, s.indices, s.weights, N_PRE)
    t.normalize_rows()
    np.testing.assert_array_equal(s.weights, csr().data)


def test_masked_arrays_are_refused():
    A = csr()
    with pytest.raises(TypeError, match="data must be a NumPy array of float32 or float64, got MaskedArray"):
        Synapses(A.indptr, A.indices, np.ma.masked_array(A.data, A.data > 0.5), N_PRE)


def test_what_goes_out_is_read_only_and_stays_so():
    s = Synapses.from_scipy(csr())
    for theta in (0.5, 0.9):  # as made, and after a change of the structure
        A, (columns, weights) = s.to_scipy(), s.row(0)
        for view in (A.data, A.indices, A.indptr, columns, weights, s.weights, s.indices, s.indptr, s.weights[2:].T):
            with pytest.raises(ValueError, match="read-only"):
                view[0] = 0
            with pytest.raises(ValueError, match="WRITEABLE"):
                view.flags.writeable = True
            assert not isinstance(view.base, np.ndarray) or not view.base.flags.writeable
        assert s.prune(theta)


def test_methods_neither_change_nor_freeze_what_they_read():
    s = Synapses.from_scipy(csr(sign="E"), sign="E")
    A = csr(sign="E", seed=5)[:1].tocsr()
    X, Y = rates(N_PRE), rates(N_POST)
    bias, rows, time = Y[0].copy(), np.array([3]), Y[1].copy()
    G, c = s.weight_grad(X, Y), Y.sum(axis=0)
    given = [X, Y, bias, rows, time, G, c, A.data, A.indices, A.indptr]
    before = [a.copy() for a in given]
    s.forward(X, bias), s.input_grad(Y), s.backward(X, Y), s.plasticity_step(G, c), s.add(G)
    s.hebbian_step(X, Y, gain=time), s.observe(X), s.replace_rows(rows, A)
    s.turnover(birth=0.1, death=0.1, gamma=1, size=1, time=time, seed=0, step=0), grow(s, X=X, Y=Y)
    for array, then in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, then)
        assert array.flags.writeable


def test_views_show_later_learning():
    s = Synapses.from_scipy(csr(sign="E"), sign="E")
    A, before = s.to_scipy(), s.to_scipy().toarray()
    s.plasticity_step(*batch_terms(s))
    assert not np.array_equal(A.toarray(), before)


CLONES = [Synapses.copy, copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s)), lambda s: out_of_band(s)[0]]


@pytest.mark.parametrize("clone", CLONES)
def test_clones_are_equal_and_independent(clone):
    s = Synapses.from_scipy(csr(sign="I"), sign="I")
    t = clone(s)
    assert (t.sign, t.shape, t.dtype) == (s.sign, s.shape, s.dtype)
    before = s.weights.copy()
    np.testing.assert_array_equal(t.weights, before)
    t.normalize_rows()
    t.prune(0.9)
    np.testing.assert_array_equal(s.weights, before)
    s.normalize_rows()  # the original goes on learning
    s.add(np.zeros(s.nnz, s.dtype))
    np.testing.assert_array_equal(s.forward(rates(N_PRE))[:1], s.forward(rates(N_PRE)[:1]))


@pytest.mark.parametrize("clone", CLONES)
def test_clones_take_the_traces_along_and_have_their_own(clone):
    s = Synapses.from_scipy(csr(sign="E"), sign="E")
    s.observe(rates(N_PRE))
    s.traces |= {"steps": 3, "own": np.full(2, 3.0)}
    t = clone(s)
    assert t.traces.keys() == s.traces.keys() and t.traces["steps"] == 3
    np.testing.assert_array_equal(t.pre_sd, s.pre_sd)
    before = s.pre_mean
    t.observe(2 * rates(N_PRE))
    t.traces["steps"] = 4
    t.traces["own"][0] = 4
    np.testing.assert_array_equal(s.pre_mean, before)
    assert (t.pre_mean != before).any() and s.traces["steps"] == 3 and (s.traces["own"] == 3).all()


def test_unpickles_from_read_only_memory():
    """As joblib does with large arrays: what was given as a read-only map must still learn."""
    rebuild, (indptr, indices, data, *rest) = Synapses.from_scipy(csr()).__reduce__()
    data.flags.writeable = False
    rebuild(indptr, indices, data, *rest).normalize_rows()


def test_properties_and_repr():
    A = csr(np.float64, np.int64, "E")
    s = Synapses.from_scipy(A, sign="E")
    assert (s.shape, s.n_post, s.n_pre, s.nnz) == (A.shape, N_POST, N_PRE, A.nnz)
    assert s.density == A.nnz / (N_POST * N_PRE) and s.dtype == np.float64 and s.sign == "E"
    assert (s.version, s.structure_version) == (0, 0)
    assert repr(s) == f"Synapses(9 x 13, nnz={A.nnz}, density={s.density:.3g}, sign='E', dtype=float64)"


def test_row():
    A = csr()
    s = Synapses.from_scipy(A)
    for i in (0, 4, N_POST - 1, -1):
        columns, weights = s.row(i)
        np.testing.assert_array_equal(columns, np.flatnonzero(A.toarray()[i]))
        np.testing.assert_array_equal(weights, A.toarray()[i, columns])
    for i in (N_POST, -N_POST - 1):
        with pytest.raises(IndexError, match=f"row {i} is outside a pathway of 9"):
            s.row(i)


# --- what is refused


def replaced(**arrays):
    """A valid matrix in which some arrays were replaced behind scipy's back."""
    A = csr()
    for name, array in arrays.items():
        setattr(A, name, array)
    return A


def swapped(A):
    A.indices[[0, 1]] = A.indices[[1, 0]]
    return A


def repeated(A):
    A.indices[1] = A.indices[0]
    return A


def edited(name, position, value):
    A = csr()
    getattr(A, name)[position] = value
    return A


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: csr().toarray(), TypeError, r"csr_array or csr_matrix, got ndarray: use scipy.sparse.csr_array\(A\)"),
        (lambda: csr().tocsc(), TypeError, "got csc_array"),
        (lambda: replaced(data=csr().data.astype(np.float16)), TypeError, "got float16"),
        (lambda: csr().astype(int), TypeError, r"data must be float32 or float64, got int64: cast it with astype"),
        (lambda: replaced(data=csr().data.astype(">f4")), TypeError, "data must be float32 or float64, got >f4"),
        (lambda: replaced(indices=csr().indices.astype(np.int16)), TypeError, "indices must be int32, got int16"),
        (lambda: replaced(indptr=csr().indptr.astype(np.int64)), TypeError, "indices must be int64, got int32"),
        (lambda: replaced(indptr=csr().indptr.astype(np.uint32)), TypeError, "indptr must be int32 or int64"),
        (lambda: replaced(data=np.repeat(csr().data, 2)[::2]), ValueError, r"np.ascontiguousarray\(data\)"),
        (lambda: replaced(data=csr().data[:, None]), ValueError, "data must have 1 dimension, got shape"),
        (lambda: replaced(data=csr().data[:-1]), ValueError, "data"),
        (lambda: swapped(csr()), ValueError, r"indices.*indices\[1\].*A.sum_duplicates\(\)"),
        (lambda: repeated(csr()), ValueError, r"indices.*indices\[1\].*A.sum_duplicates\(\)"),
        (lambda: edited("indices", 3, N_PRE), ValueError, r"indices must lie in \[0, 13\), but indices\[3\] = 13"),
        (lambda: edited("indices", 0, -1), ValueError, r"indices\[0\] = -1"),
        (lambda: edited("indptr", 0, 1), ValueError, r"indptr\[0\] must be 0, got 1"),
        (lambda: edited("indptr", 3, 0), ValueError, r"indptr must not decrease, but indptr\[3\] = 0"),
        (lambda: edited("indptr", -1, 99), ValueError, r"indptr\[-1\]"),
        (lambda: edited("data", 5, np.nan), ValueError, r"data must be finite, but data\[5\]"),
        (lambda: edited("data", 5, -np.inf), ValueError, r"data\[5\]"),
    ],
)
def test_refuses(make, error, match):
    with pytest.raises(error, match=match):
        Synapses.from_scipy(make())


@pytest.mark.parametrize(("n_pre", "error"), [("x", TypeError), (2.0, TypeError), (True, TypeError), (0, ValueError)])
def test_refuses_numbers_of_cells_by_name(n_pre, error):
    with pytest.raises(error, match="^n_pre must be an integer >= 1, got [^(]*$"):
        Synapses(*(getattr(csr(), name) for name in ("indptr", "indices", "data")), n_pre)


def test_a_number_of_cells_that_changes_as_it_is_read_is_read_once():
    class Falling(int):
        asked = 0

        def __index__(self):
            type(self).asked += 1
            return int.__index__(self) if self.asked == 1 else 1

        __int__ = __index__

    s = Synapses(*(getattr(csr(), name) for name in ("indptr", "indices", "data")), Falling(N_PRE))
    assert type(s.n_pre) is int and s.indices.max() < s.n_pre


@pytest.mark.parametrize(("sign", "wrong"), [("E", -0.5), ("I", 0.5)])
def test_refuses_weights_of_the_wrong_sign(sign, wrong):
    A = csr(sign=sign)
    k = A.indptr[5] + 1  # the second synapse of row 5: the empty row 4 must not confuse the message
    A.data[k] = wrong
    with pytest.raises(ValueError, match=rf"data\[{k}\] = {wrong} \(row 5, column {A.indices[k]}\)"):
        Synapses.from_scipy(A, sign=sign)
    assert A.indices.flags.writeable  # refused: not taken over


def test_refuses_unknown_sign():
    with pytest.raises(ValueError, match="sign must be 'mixed', 'E' or 'I', got 'both'"):
        Synapses.from_scipy(csr(), sign="both")


# --- products


@pytest.mark.parametrize(("value", "index"), KINDS)
def test_products_are_those_of_the_dense_matrix(value, index):
    A = csr(value, index)
    s, W = Synapses.from_scipy(A), A.toarray().astype(np.float64)
    X, dY, bias = rates(N_PRE, value), rates(N_POST, value), rates(N_POST, value)[0].copy()
    tolerance = {"rtol": 1e-5, "atol": 1e-6}
    np.testing.assert_allclose(s.forward(X), X @ W.T, **tolerance)
    np.testing.assert_allclose(s.forward(X, bias), X @ W.T + bias, **tolerance)
    np.testing.assert_allclose(s.input_grad(dY), dY @ W, **tolerance)
    np.testing.assert_allclose(s.weight_grad(X, dY), (dY.T @ X)[W != 0], **tolerance)


@pytest.mark.parametrize("n_threads", [2, 3])
def test_products_do_not_depend_on_threads(n_threads):
    rng = np.random.default_rng(0)
    s = Synapses.from_scipy(sp.random(300, 400, 0.3, "csr", np.float32, random_state=0))
    X, dY = rng.random((200, 400), np.float32), rng.random((200, 300), np.float32)
    for product in (lambda n: s.forward(X, None, n), lambda n: s.input_grad(dY, n), lambda n: s.weight_grad(X, dY, n)):
        np.testing.assert_array_equal(product(1), product(n_threads))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda s: s.forward(rates(N_PRE - 1)), ValueError, r"X must have shape \(batch, 13\), got \(6, 12\)"),
        (lambda s: s.forward(rates(N_PRE, np.float64)), TypeError, "X must be float32, got float64"),
        (lambda s: s.forward(rates(N_PRE).tolist()), TypeError, "X must be a NumPy array of float32, got list"),
        (lambda s: s.forward(rates(N_PRE)[0]), ValueError, "X must have 2 dimensions"),
        (lambda s: s.forward(np.asfortranarray(rates(N_PRE))), ValueError, r"np.ascontiguousarray\(X\)"),
        (lambda s: s.forward(rates(N_PRE), np.zeros(3, np.float32)), ValueError, "bias"),
        (lambda s: s.forward(rates(N_PRE), n_threads=0), ValueError, "n_threads"),
        (lambda s: s.input_grad(rates(N_PRE)), ValueError, r"dY must have shape \(batch, 9\), got \(6, 13\)"),
        (lambda s: s.weight_grad(rates(N_POST), rates(N_POST)), ValueError, r"X must have shape \(batch, 13\)"),
        (lambda s: s.weight_grad(rates(N_PRE), rates(N_PRE)), ValueError, r"dY must have shape \(batch, 9\)"),
        (lambda s: s.weight_grad(rates(N_PRE), rates(N_POST)[:2]), ValueError, r"dY.shape\[0\]"),
    ],
)
def test_products_refuse(call, error, match):
    with pytest.raises(error, match=match):
        call(Synapses.from_scipy(csr()))


# --- weights


@pytest.mark.parametrize("sign", FORMS)
@pytest.mark.parametrize("value", [np.float32, np.float64])
def test_plasticity_step_is_that_of_the_specification(sign, value):
    A = csr(value, sign=sign)
    s = Synapses.from_scipy(A, sign=sign)
    G, c = batch_terms(s)
    rule = {"form": FORMS[sign], "eta": 0.05, "sigma": 0.1, "theta": 0.3, "w_max": 5.0, "seed": 7, "step": 3}
    silent = s.plasticity_step(G, c, **rule)
    expected = A.data.copy()
    assert silent == reference.plasticity_step(A.indptr, A.indices, expected, G, c, **rule)
    np.testing.assert_allclose(s.weights, expected, rtol=1e-4 if value == np.float32 else 1e-9)
    assert (s.version, s.structure_version) == (1, 0)
    assert silent == s.prune(0.3)


@settings(max_examples=60, deadline=None)
@given(
    sign=st.sampled_from("EI"),
    value=st.sampled_from([np.float32, np.float64]),
    form=st.sampled_from(["log-relaxation", "exponential"]),
    eta=st.floats(0, 3) | st.just(1e6),
    sigma=st.floats(0, 2),
    theta=st.floats(0, 1),
    normalize=st.booleans(),
    seed=st.integers(0, 2**63),
)
def test_no_operation_changes_a_sign(sign, value, form, eta, sigma, theta, normalize, seed):
    if sign == "I":
        form = "exponential"
    s = Synapses.from_scipy(csr(value, sign=sign, seed=seed % 97), sign=sign)
    X, Y = rates(N_PRE, value, seed), rates(N_POST, value, seed + 1)
    for step in range(3):
        rule = {"form": form, "eta": eta, "sigma": sigma, "normalize": normalize}
        s.plasticity_step(s.weight_grad(X, Y), Y.sum(axis=0), seed=seed, step=step, **rule)
        s.prune(theta)
        s.grow(X, Y, n_grow=2, n_candidates=5, weight=0.5, seed=seed, step=step)
        s.normalize_rows()
        assert np.isfinite(s.weights).all()
        assert (s.weights >= 0).all() if sign == "E" else (s.weights <= 0).all()
    Synapses.from_scipy(s.to_scipy(), sign=sign)  # still a valid pathway


def poisoned(array, value):
    array = array.copy()
    array[2] = value
    return array


@pytest.mark.parametrize(
    ("sign", "change", "error", "match"),
    [
        ("E", lambda s, G, c: s.plasticity_step(poisoned(G, np.nan), c), ValueError, r"G must be finite.*G\[2\] = nan"),
        ("E", lambda s, G, c: s.plasticity_step(G, poisoned(c, np.inf)), ValueError, r"c must be finite.*c\[2\] = inf"),
        ("E", lambda s, G, c: s.plasticity_step(poisoned(G, -1), c), ValueError, r">= 0, but G\[2\] = -1"),
        ("E", lambda s, G, c: s.plasticity_step(G[:-1], c), ValueError, r"G must have shape \("),
        ("E", lambda s, G, c: s.plasticity_step(G, c[:-1]), ValueError, r"c must have shape \(9,\), got \(8,\)"),
        ("E", lambda s, G, c: s.plasticity_step(G.astype(float), c), TypeError, "G must be float32"),
        ("E", lambda s, G, c: s.plasticity_step(G.tolist(), c), TypeError, "G must be a NumPy array"),
        ("E", lambda s, G, c: s.plasticity_step(G, c, eta=-1.0), ValueError, "eta"),
        ("E", lambda s, G, c: s.plasticity_step(G, c, form="oja"), ValueError, "form must be one of.*got 'oja'"),
        ("E", lambda s, G, c: s.plasticity_step(G, c, form="signed"), ValueError, "'signed' needs.*'mixed'.*has 'E'"),
        ("I", lambda s, G, c: s.plasticity_step(G, c, form="signed"), ValueError, "'signed' needs.*'mixed'.*has 'I'"),
        ("I", lambda s, G, c: s.plasticity_step(G, c), ValueError, "'log-relaxation' needs.*'E'.*has 'I'"),
        ("mixed", lambda s, G, c: s.plasticity_step(G, c), ValueError, "'log-relaxation' needs.*'E'.*has 'mixed'"),
        ("E", lambda s, G, c: s.plasticity_step(G, c, form="exponential", eta=1e39), ValueError, "G or c w overflows"),
        ("E", lambda s, G, c: s.add(-np.ones_like(G)), ValueError, "'E' needs weights >= 0"),
        ("mixed", lambda s, G, c: s.add(poisoned(G, np.inf)), ValueError, r"finite.*\[2\] = inf"),
        ("mixed", lambda s, G, c: s.add(G[:3]), ValueError, r"delta must have shape \("),
        ("mixed", lambda s, G, c: s.add(1.0), TypeError, "delta must be a NumPy array"),
        ("E", lambda s, G, c: s.prune(1.5), ValueError, r"theta must be a number in \[0, 1\], got 1.5"),
        ("E", lambda s, G, c: s.prune(np.nan), ValueError, r"theta must be a number in \[0, 1\], got nan"),
        ("E", lambda s, G, c: grow(s, X=rates(3)), ValueError, r"X must have shape \(batch, 13\)"),
        ("E", lambda s, G, c: grow(s, Y=rates(3)), ValueError, r"Y must have shape \(batch, 9\)"),
        ("E", lambda s, G, c: grow(s, Y=rates(N_POST)[:2].copy()), ValueError, r"shape\[0\]"),
        ("E", lambda s, G, c: grow(s, weight=0.0), ValueError, "weight must be a finite number > 0, got 0.0"),
        ("E", lambda s, G, c: grow(s, weight=np.inf), ValueError, "weight must be a finite number > 0, got inf"),
        ("E", lambda s, G, c: grow(s, n_grow=-1), ValueError, "n_grow must be an integer >= 0, got -1"),
        ("E", lambda s, G, c: grow(s, n_candidates=-1), ValueError, "n_candidates must be an integer >= 0, got -1"),
    ],
)
def test_a_failure_changes_nothing(sign, change, error, match):
    s = Synapses.from_scipy(csr(sign=sign), sign=sign)
    terms, before = batch_terms(s), snapshot(s)
    with pytest.raises(error, match=match):
        change(s, *terms)
    assert_unchanged(s, before)


def test_add():
    s = Synapses.from_scipy(csr(sign="E"), sign="E")
    before = s.weights.copy()
    s.add(np.full(s.nnz, 0.5, np.float32))
    np.testing.assert_array_equal(s.weights, before + np.float32(0.5))
    assert (s.version, s.structure_version) == (1, 0)


@pytest.mark.parametrize("size", [1.0, 1e-30, 1e30])
def test_normalize_rows(size):
    A = csr()
    A.data *= np.float32(size)
    A.data[A.indptr[2] : A.indptr[3]] = 0
    s = Synapses.from_scipy(A)
    s.normalize_rows()
    norms = np.sqrt((s.to_scipy().toarray().astype(np.float64) ** 2).sum(axis=1))
    silent = np.isin(np.arange(N_POST), [2, 4])  # row 2 stores zeros, row 4 nothing
    np.testing.assert_allclose(norms, ~silent, atol=1e-6)


@pytest.mark.parametrize(("value", "index"), KINDS)
@pytest.mark.parametrize("size", [1.0, 1e-30, 1e30])
def test_normalize_rows_is_the_scaling_of_a_step_that_learns_nothing(value, index, size):
    """Bit for bit, and near its twin."""
    A = csr(value, index)
    A.data *= value(size)
    A.data[:3] = 0, -0.0, np.finfo(value).smallest_subnormal
    step, ours, twin = A.data.copy(), A.data.copy(), A.data.copy()
    zeros = np.zeros(A.nnz, value), np.zeros(N_POST, value)
    kernels.plasticity_step(A.indptr, A.indices, step, *zeros, "exponential", eta=0.0, normalize=True)
    for n_threads in (1, 2, 3):
        data = A.data.copy()
        assert kernels.normalize_rows(A.indptr, A.indices, data, n_threads=n_threads) is None
        assert data.tobytes() == step.tobytes()
    reference.normalize_rows(A.indptr, A.indices, twin)
    np.testing.assert_allclose(step, twin, rtol=1e-6 if value == np.float32 else 1e-14, atol=0)
    s = Synapses(A.indptr, A.indices, ours, N_PRE)
    s.normalize_rows()
    assert s.weights.tobytes() == step.tobytes() and (s.version, s.structure_version) == (1, 0)


def test_normalize_rows_refuses_what_it_cannot_write():
    A = csr()
    A.data.flags.writeable = False
    with pytest.raises(ValueError, match=r"normalize_rows\(\): data must be writeable"):
        kernels.normalize_rows(A.indptr, A.indices, A.data)


# --- structure


def grow(s, **change):
    arguments = {"n_grow": 2, "n_candidates": 6, "weight": 0.5, "seed": 5, "step": 2}
    X, Y = rates(N_PRE, s.dtype), rates(N_POST, s.dtype)
    return s.grow(change.pop("X", X), change.pop("Y", Y), **{**arguments, **change})


@pytest.mark.parametrize(("value", "index"), KINDS)
def test_prune(value, index):
    A = csr(value, index)
    s = Synapses.from_scipy(A)
    W = A.toarray()
    kept = np.where(np.abs(W) >= 0.6 * np.abs(W).max(axis=1, keepdims=True), W, 0)
    assert s.prune(0.6) == np.count_nonzero(W) - np.count_nonzero(kept) > 0
    np.testing.assert_array_equal(s.to_scipy().toarray(), kept)
    assert s.indices.dtype == index and (s.version, s.structure_version) == (1, 1)
    assert s.prune(0.6) == 0 and (s.version, s.structure_version) == (1, 1)  # nothing left to do: no new version


@pytest.mark.parametrize("sign", FORMS)
@pytest.mark.parametrize(("value", "index"), KINDS)
def test_grow(sign, value, index):
    s = Synapses.from_scipy(csr(value, index, sign), sign=sign)
    old, before = s.to_scipy().toarray(), s.nnz
    n_born = grow(s)
    new = s.to_scipy().toarray()
    born = (new != 0) & (old == 0)
    assert n_born == s.nnz - before == born.sum() > 0
    assert born.sum(axis=1).max() <= 2 and (s.version, s.structure_version) == (1, 1)
    np.testing.assert_array_equal(new[~born], old[~born])
    top = np.abs(old).max(axis=1, keepdims=True)
    expected = (-1 if sign == "I" else 1) * 0.5 * np.where(top > 0, top, 1)
    np.testing.assert_allclose(new[born], np.broadcast_to(expected, new.shape)[born], rtol=1e-6)


def test_grow_takes_the_most_hebbian_sites():
    s = Synapses.from_scipy(csr(sign="E", density=0.2), sign="E")
    old = s.to_scipy().toarray()
    X, Y = rates(N_PRE), rates(N_POST)
    grow(s, X=X, Y=Y, n_grow=1, n_candidates=500)  # 500 draws: every silent site is a candidate
    hebbian = np.where(old == 0, Y.T @ X, 0)
    born = (s.to_scipy().toarray() != 0) & (old == 0)
    np.testing.assert_array_equal(born.argmax(axis=1), hebbian.argmax(axis=1))


def test_grow_is_keyed_by_seed_and_step():
    def pattern(**key):
        s = Synapses.from_scipy(csr(sign="E"), sign="E")
        grow(s, n_candidates=2, **key)
        return s.indices.tolist()

    assert pattern() == pattern()
    assert pattern() != pattern(seed=6) and pattern() != pattern(step=3)


@pytest.mark.parametrize("nothing", [{"n_grow": 0}, {"n_candidates": 0}, {"Y": np.zeros((BATCH, N_POST), np.float32)}])
def test_grow_of_nothing_changes_nothing(nothing):
    s = Synapses.from_scipy(csr())
    before = snapshot(s)
    assert grow(s, **nothing) == 0
    assert_unchanged(s, before)


# --- replace_rows ---


@given(st.integers(0, 2**32 - 1))
def test_replace_rows_changes_those_rows_only(seed):
    rng = np.random.default_rng(seed)
    old = sp.csr_array(sp.random(7, 9, 0.4, "csr", random_state=rng))
    new = sp.csr_array(sp.random(3, 9, 0.5, "csr", random_state=rng))
    for A in (old, new):
        A.sort_indices()
    rows = rng.permutation(7)[:3]
    expected = old.toarray()
    expected[rows] = new.toarray()
    W = Synapses.from_scipy(old, sign="E")
    W.replace_rows(rows, new)
    np.testing.assert_array_equal(W.to_scipy().toarray(), expected)
    assert W.structure_version == 1


@pytest.mark.parametrize(
    ("rows", "shape", "message"),
    [
        ([0, 0], (2, 5), "rows must be different integers"),
        ([0, 4], (2, 5), r"rows must be different integers in \[0, 4\)"),
        ([0], (2, 5), r"A must have shape \(1, 5\)"),
        ([True], (1, 5), r"rows must be integers of shape \(n,\), got bool"),
        ([0.0], (1, 5), r"rows must be integers of shape \(n,\), got float64"),
        ([[0]], (1, 5), r"rows must be integers of shape \(n,\), got int64 of shape \(1, 1\)"),
        ([0], (1, 6), r"A must have shape \(1, 5\)"),
    ],
)
def test_replace_rows_refuses(rows, shape, message):
    W = Synapses.from_scipy(sp.csr_array(np.ones((4, 5))))
    with pytest.raises(ValueError, match=message):
        W.replace_rows(np.array(rows), sp.csr_array(np.ones(shape)))
    np.testing.assert_array_equal(W.to_scipy().toarray(), np.ones((4, 5)))


# --- traces


@pytest.mark.parametrize("sizes", [[1] * 12, [12], [5, 0, 7]])
@pytest.mark.parametrize("value", [np.float32, np.float64])
def test_observed_moments_do_not_depend_on_the_batches(sizes, value):
    s = Synapses.from_scipy(csr(value))
    X = (1000 + np.random.default_rng(0).random((12, N_PRE))).astype(value)
    X[:, 2] = 0.1
    for part in np.split(X, np.cumsum(sizes)[:-1]):
        s.observe(part)
    tolerance = 1e-6 if value is np.float32 else 1e-9
    np.testing.assert_allclose(s.pre_mean, X.mean(axis=0, dtype=float), rtol=tolerance)
    varies = np.arange(N_PRE) != 2
    np.testing.assert_allclose(s.pre_sd[varies], X.std(axis=0, dtype=float)[varies], rtol=tolerance)
    assert s.pre_sd[2] == 0 and s.pre_mean.dtype == s.pre_sd.dtype == value


def test_nothing_was_observed_at_first_and_after_forgetting():
    s = Synapses.from_scipy(csr())
    s.observe(rates(N_PRE)[:0])
    assert s.pre_mean is None and s.pre_sd is None and s.traces == {}
    s.observe(rates(N_PRE))
    s.forget()
    assert s.pre_mean is None and s.traces == {}


@pytest.mark.parametrize(
    ("X", "error", "match"),
    [
        (rates(N_PRE + 1), ValueError, r"X must have shape \(batch, 13\), got"),
        (rates(N_PRE, np.float64), TypeError, "X must be float32, got float64"),
        (np.full((2, N_PRE), np.nan, np.float32), ValueError, r"X must be finite, but X\[0, 0\] = nan"),
    ],
)
def test_observe_refuses(X, error, match):
    s = Synapses.from_scipy(csr())
    with pytest.raises(error, match=match):
        s.observe(X)
    assert s.traces == {}


@pytest.mark.parametrize(
    ("change", "kept"),
    [
        (lambda s: s.prune(0.9), False),
        (grow, False),
        (lambda s: s.replace_rows(np.array([0]), csr(sign="E")[:1]), False),
        (lambda s: s.prune(0.0), True),
        (lambda s: s.normalize_rows(), True),
    ],
)
def test_traces_of_synapses_are_dropped_with_the_pattern_and_others_stay(change, kept):
    s = Synapses.from_scipy(csr(sign="E"), sign="E")
    s.observe(rates(N_PRE))
    s.traces |= {"Mine.eligibility_ij": np.zeros(s.nnz), "Mine.rate_i": np.zeros(N_POST), "steps": 2}
    names = set(s.traces)
    change(s)
    assert set(s.traces) == names - (set() if kept else {"Mine.eligibility_ij"})


def test_rows_of_a_pathway_may_be_counted_in_any_integer():
    W = connectivity.random(300, 4, density=0.5, random_state=0)
    for i in (np.uint8(200), np.int64(200)):
        np.testing.assert_array_equal(W.row(i)[1], W.row(200)[1])
    with pytest.raises(TypeError, match="integer"):
        W.row(1.5)
    W.replace_rows(np.array([255], np.uint8), W.to_scipy()[[0]])
    np.testing.assert_array_equal(W.row(255)[1], W.row(0)[1])
