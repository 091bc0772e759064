"""validate, transpose_index, prune, candidates, grow, turnover: exactly their twins, at any shape, type and threads."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from bioneuro import Synapses, _core, kernels, reference

VALUES = [np.float32, np.float64]
INDICES = [np.int32, np.int64]
N_THREADS = (1, 2, 3, 4)


def pathway(n_rows, n_cols, density, value=np.float32, index=np.int32, seed=0):
    rng = np.random.default_rng(seed)
    W = sp.csr_array(sp.random(n_rows, n_cols, density, "csr", random_state=rng))
    W.sort_indices()
    return W.indptr.astype(index), W.indices.astype(index), rng.standard_normal(W.nnz).astype(value)


def same(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, b, strict=True)


shapes = dict(
    n_rows=st.integers(1, 80),
    n_cols=st.integers(1, 300),
    density=st.floats(0, 1),
    value=st.sampled_from(VALUES),
    index=st.sampled_from(INDICES),
    seed=st.integers(0, 2**16),
)


# --- validate ----------------------------------------------------------------------------------------------


@settings(max_examples=400, deadline=None)
@given(
    indptr=st.lists(st.integers(-1, 7), min_size=2, max_size=6),
    indices=st.lists(st.integers(-1, 5), max_size=7),
    bad=st.sampled_from([None, 0.0, np.nan, np.inf]),
    where=st.integers(0, 6),
    index=st.sampled_from(INDICES),
    value=st.sampled_from(VALUES),
    repair=st.integers(0, 3),
)
def test_validate_says_what_its_twin_says(indptr, indices, bad, where, index, value, repair):
    """Arbitrary small structures, some repaired so far that the later checks are reached."""
    indptr, indices = np.array(indptr, index), np.array(indices, index)
    if repair:
        indptr = np.clip(np.sort(indptr), 0, len(indices))
        indptr[0], indptr[-1] = 0, len(indices)
    if repair > 1:
        indices = np.abs(indices)
    if repair > 2:
        indices = np.concatenate([np.sort(indices[a:b]) for a, b in zip(indptr[:-1], indptr[1:], strict=True)])
    data = None
    if bad is not None:
        data = np.arange(len(indices)).astype(value)
        data[where : where + 1] = bad
    try:
        reference.validate(indptr, indices, data, 5)
        message = None
    except ValueError as error:
        message = str(error)
    if message is None:
        assert kernels.validate(indptr, indices, data, 5) is None
    else:
        with pytest.raises(ValueError) as caught:
            kernels.validate(indptr, indices, data, 5)
        assert str(caught.value) == message


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("index", INDICES)
def test_validate_finds_one_fault_anywhere_in_a_large_structure(index, value):
    n_cols = 1000
    indptr, indices, data = pathway(100, n_cols, 0.1, value, index)
    kernels.validate(indptr, indices, data, n_cols)
    rng = np.random.default_rng(0)
    for k in [0, len(data) - 1, *rng.integers(0, len(data), 30)]:
        for bad in (np.nan, np.inf, -np.inf):
            broken = data.copy()
            broken[k] = bad
            with pytest.raises(ValueError, match=re.escape(f"data must be finite, but data[{k}] = {bad}")):
                kernels.validate(indptr, indices, broken, n_cols)
        for bad in (-1, n_cols):
            broken = indices.copy()
            broken[k] = bad
            with pytest.raises(ValueError, match=re.escape(f"but indices[{k}] = {bad}")):
                kernels.validate(indptr, broken, data, n_cols)
    extreme = np.array([np.finfo(value).max, -np.finfo(value).tiny, np.finfo(value).smallest_subnormal, -0.0], value)
    kernels.validate(np.array([0, 4], index), np.arange(4, dtype=index), extreme, 4)


# --- results -----------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(**shapes)
def test_transpose_index(n_rows, n_cols, density, value, index, seed):
    indptr, indices, data = pathway(n_rows, n_cols, density, value, index, seed)
    t_indptr, t_indices, permutation = transposed = kernels.transpose_index(indptr, indices, n_cols)
    same(transposed, reference.transpose_index(indptr, indices, n_cols))
    kernels.validate(t_indptr, t_indices, data[permutation], n_rows)
    W = sp.csr_array((data, indices, indptr), shape=(n_rows, n_cols))
    WT = sp.csr_array((data[permutation], t_indices, t_indptr), shape=(n_cols, n_rows))
    np.testing.assert_array_equal(WT.toarray(), W.toarray().T)
    back = kernels.transpose_index(t_indptr, t_indices, n_rows)
    same(back[:2], (indptr, indices))
    np.testing.assert_array_equal(permutation[back[2]], np.arange(len(data)))


@settings(max_examples=60, deadline=None)
@given(theta=st.sampled_from([0.0, -0.0, 0.05, 0.5, 1.0]), **shapes)
def test_prune(n_rows, n_cols, density, value, index, seed, theta):
    arrays = pathway(n_rows, n_cols, density, value, index, seed)
    expected = reference.prune(*arrays, theta)
    for n in N_THREADS:
        same(kernels.prune(*arrays, theta, n_threads=n), expected)
    if theta == 0:
        same(expected, arrays)


def test_prune_keeps_rows_of_zeros_and_the_threshold_itself():
    indptr, indices = np.array([0, 2, 5], np.int32), np.array([0, 3, 0, 1, 2], np.int32)
    data = np.array([0, -0.0, -1, 0.5, 0.25], np.float32)
    pruned = kernels.prune(indptr, indices, data, 0.5)
    for array, expected in zip(pruned, ([0, 2, 4], [0, 3, 0, 1], [0, 0, -1, 0.5]), strict=True):
        np.testing.assert_array_equal(array, expected)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(0, 60), key=st.integers(0, 2**64 - 1), step=st.integers(0, 2**64 - 1), **shapes)
def test_candidates(n_rows, n_cols, density, value, index, seed, n, key, step):
    indptr, indices, _ = pathway(n_rows, n_cols, density, value, index, seed)
    expected = reference.candidates(indptr, indices, n_cols, n, seed=key, step=step)
    for n_threads in N_THREADS:
        same(kernels.candidates(indptr, indices, n_cols, n, seed=key, step=step, n_threads=n_threads), expected)
    kernels.validate(*expected, None, n_cols)


def test_candidates_are_silent_uniform_and_keyed():
    n_rows, n_cols = 400, 50
    indptr, indices, _ = pathway(n_rows, n_cols, 0.2)
    sites = kernels.candidates(indptr, indices, n_cols, 10, seed=1)
    stored = sp.csr_array((np.ones(len(indices)), indices, indptr), shape=(n_rows, n_cols))
    drawn = sp.csr_array((np.ones(len(sites[1])), sites[1], sites[0]), shape=(n_rows, n_cols))
    assert (stored * drawn).nnz == 0
    share = np.bincount(sites[1], minlength=n_cols) / (n_rows - np.bincount(indices, minlength=n_cols))
    expected = 1 - (1 - 1 / n_cols) ** 10
    assert np.abs(share - expected).max() < 5 * np.sqrt(expected / n_rows)
    assert not np.array_equal(sites[1], kernels.candidates(indptr, indices, n_cols, 10, seed=2)[1])
    assert not np.array_equal(sites[1], kernels.candidates(indptr, indices, n_cols, 10, seed=1, step=1)[1])
    full = np.arange(0, 101, 50, dtype=np.int32), np.tile(np.arange(50, dtype=np.int32), 2)
    assert len(kernels.candidates(*full, 50, 1000)[1]) == 0


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(0, 40),
    n_grow=st.integers(0, 12),
    ties=st.booleans(),
    weight=st.sampled_from([0.05, 1.0, 0.0, -0.5]),
    **shapes,
)
def test_grow(n_rows, n_cols, density, value, index, seed, n, n_grow, ties, weight):
    arrays = pathway(n_rows, n_cols, density, value, index, seed)
    sites = reference.candidates(*arrays[:2], n_cols, n, seed=seed)
    rng = np.random.default_rng(seed)
    score = rng.standard_normal(len(sites[1])) * 10.0 ** rng.integers(-30, 30)
    score = np.round(rng.standard_normal(len(score))) if ties else score
    score[rng.random(len(score)) < 0.1] = rng.choice([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0])
    score = score.astype(value)
    expected = reference.grow(*arrays, *sites, score, n_grow, weight)
    for n_threads in N_THREADS:
        same(kernels.grow(*arrays, *sites, score, n_grow, weight, n_threads=n_threads), expected)
    kernels.validate(*expected, n_cols)


@pytest.mark.parametrize("value", [np.float32, np.float64])
@pytest.mark.parametrize("weight", [3.0, -3.0, 1e300])
def test_newborn_synapses_saturate(value, weight):
    """Three times the largest number there is, or a weight beyond the type, is the largest number: never infinite."""
    largest = np.finfo(value).max
    structure = np.array([0, 1, 1], np.int32), np.array([0], np.int32)
    sites = np.array([0, 1, 2], np.int32), np.array([1, 2], np.int32)
    arrays = (*structure, np.array([largest], value), *sites, np.ones(2, value), 1, weight)
    grown = kernels.grow(*arrays)
    same(grown, reference.grow(*arrays))
    assert grown[2][1] == np.sign(weight) * largest
    assert np.isfinite(grown[2]).all()


def test_structure_functions_are_threaded_alike_on_a_large_pathway():
    n_cols = 2000
    arrays = pathway(500, n_cols, 0.1)
    results = []
    for n in N_THREADS:
        sites = kernels.candidates(*arrays[:2], n_cols, 100, n_threads=n)
        score = np.sin(np.arange(len(sites[1]))).astype(np.float32)
        results.append(
            [
                *kernels.prune(*arrays, 0.3, n_threads=n),
                *sites,
                *kernels.grow(*arrays, *sites, score, 20, 0.1, n_threads=n),
            ]
        )
    for other in results[1:]:
        same(other, results[0])


def test_inputs_are_left_as_they_were():
    arrays = pathway(30, 40, 0.3)
    sites = kernels.candidates(*arrays[:2], 40, 5)
    score = np.ones(len(sites[1]), np.float32)
    inputs = (*arrays, *sites, score)
    copies = [a.copy() for a in inputs]
    for a in inputs:
        a.flags.writeable = False
    kernels.transpose_index(*arrays[:2], 40)
    results = [*kernels.prune(*arrays, 0.0), *kernels.grow(*inputs, 3, 0.1)]
    same(inputs, copies)
    assert not any(np.shares_memory(a, b) for a in results for b in inputs)


# --- turnover ----------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    birth=st.sampled_from([0.0, 1e-12, 0.01, 0.3, 5.0, 1e300]),
    death=st.sampled_from([0.0, 1e-12, 0.01, 0.3, 5.0, 1e300]),
    gamma=st.sampled_from([0.0, 1e-4, 0.01, 0.5, 1.0, 2.0, 3.3, 40.0]),
    size=st.sampled_from([1e-30, 0.05, 1.0, 2.5, 1e30]),
    pace=st.sampled_from([None, 0.0, 1.0, 20.0]),
    zeros=st.booleans(),
    sign=st.sampled_from("EI"),
    normalize=st.booleans(),
    key=st.integers(0, 2**64 - 1),
    step=st.integers(0, 2**64 - 1),
    **shapes,
)
def test_turnover(
    n_rows, n_cols, density, value, index, seed, birth, death, gamma, size, pace, zeros, sign, normalize, key, step
):  # fmt: skip
    indptr, indices, data = pathway(n_rows, n_cols, density, value, index, seed)
    rng = np.random.default_rng(seed)
    data = np.exp(data) * value(-1 if sign == "I" else 1)
    if zeros:
        data[rng.random(len(data)) < 0.2] = 0
        data[indptr[0] : indptr[1]] = 0
    time = None if pace is None else (pace * rng.random(n_rows) * (rng.random(n_rows) < 0.7)).astype(value)
    rule = dict(birth=birth, death=death, gamma=gamma, size=size, time=time, sign=sign, seed=key, step=step)
    *expected, n_died = reference.turnover(indptr, indices, data, n_cols, **rule)
    if normalize:
        kernels.normalize_rows(*expected)  # to the last bit, which the twin of that kernel does not give
    for n in N_THREADS:
        *actual, died = kernels.turnover(indptr, indices, data, n_cols, **rule, normalize=normalize, n_threads=n)
        same(actual, expected)
        assert died == n_died
    if normalize:
        twin = reference.turnover(indptr, indices, data, n_cols, **rule, normalize=True)
        np.testing.assert_allclose(twin[2], expected[2], rtol=1e-5)
    kernels.validate(*expected, n_cols)
    assert (expected[2] * (-1 if sign == "I" else 1) >= 0).all()


@pytest.mark.parametrize("normalize", [False, True])
def test_turnover_gives_arrays_of_its_own_where_nothing_happens(normalize):
    arrays = pathway(9, 12, 0.5, np.float32, np.int32, 0)
    rule = dict(birth=1.0, death=1.0, gamma=1.0, size=0.3, time=np.zeros(9, np.float32), seed=0, step=0)
    *made, died = kernels.turnover(*arrays, 12, **rule, normalize=normalize)
    expected = [array.copy() for array in arrays]
    if normalize:
        kernels.normalize_rows(*expected)
    same(made, expected)
    assert died == 0 and not any(np.shares_memory(a, b) for a in made for b in arrays)


def test_synapses_of_weight_0_die_however_small_the_rate():
    """Their hazard is infinite; bounds that spare the others a logarithm underflow to 0 at some rates."""
    n = 4000
    arrays = np.arange(n + 1, dtype=np.int32), np.zeros(n, np.int32), np.zeros(n)
    time = np.geomspace(1e-3, 1, n)
    for gamma in (0.005, 0.01, 0.05, 1.0):
        rule = dict(birth=0.0, death=1.0, gamma=gamma, size=0.05, time=time, sign="E", seed=0, step=0)
        assert kernels.turnover(*arrays, 1, **rule)[3] == reference.turnover(*arrays, 1, **rule)[3] == n


def test_deaths_anywhere_in_a_long_row_of_which_most_draws_spare_all():
    """Draws come in blocks, most of which kill nobody."""
    n = 5000
    indptr, indices = np.array([0, n]), np.arange(n)
    data = np.exp(np.random.default_rng(0).standard_normal(n))
    rule = dict(birth=0.0, death=1e-3, gamma=1.0, size=1.0, seed=3, step=0)
    *expected, n_died = reference.turnover(indptr, indices, data, n, **rule)
    *actual, died = kernels.turnover(indptr, indices, data, n, **rule)
    same(actual, expected)
    dead = np.setdiff1d(indices, actual[1])
    assert died == n_died == len(dead) > 3 and len(set(dead // 64)) < n // 64 // 2 and max(dead) > n // 2


def cells(n, columns, weights, n_cols, value=np.float64):
    """``n`` cells with the same synapses."""
    indptr = np.arange(n + 1) * len(columns)
    return indptr, np.tile(columns, n), np.tile(np.array(weights, value), n), n_cols


def likely(count, n, p):
    """Within 4.5 standard deviations of what is expected of ``n`` draws: a fixed seed, so once and for all."""
    return abs(count - n * p) <= 4.5 * np.sqrt(n * p * (1 - p)) + 1e-9


@pytest.mark.parametrize("gamma", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("size", [1.0, 0.3])
def test_deaths_are_as_likely_as_said_whatever_the_weight(gamma, size):
    n, weights, pace = 20_000, np.array([0.1, 0.5, 1.0, 2.4]), 0.5
    arrays = cells(n, np.arange(4), weights, 4)
    rule = dict(birth=0, death=0.3, gamma=gamma, size=size)
    _, indices, _, died = kernels.turnover(*arrays, **rule, time=np.full(n, pace), seed=5)
    left = np.bincount(indices, minlength=4)
    assert died == 4 * n - left.sum()
    for alive, w in zip(left, weights, strict=True):
        assert likely(alive, n, np.exp(-0.3 * pace * (w / size) ** -gamma)), (w, alive / n)


def test_births_are_as_likely_as_said_at_every_silent_pair_alike():
    n, n_cols, stored = 3000, 40, np.array([0, 7, 8, 39])
    arrays = cells(n, stored, [1.0, 2.0, 3.0, 6.0], n_cols)
    indptr, indices, data, died = kernels.turnover(*arrays, birth=0.2, death=0, gamma=2, size=2.5, seed=9)
    p = -np.expm1(-0.2)
    count = np.bincount(indices, minlength=n_cols)
    assert died == 0 and (count[stored] == n).all()
    silent = np.setdiff1d(np.arange(n_cols), stored)
    assert all(likely(c, n, p) for c in count[silent])
    assert likely(count[silent].sum(), n * len(silent), p)
    alive = sp.csr_array((data, indices, indptr), shape=(n, n_cols))
    assert (alive[:, silent].data == 2.5).all()
    # neighbours, and cells, do not know of each other
    born = alive[:, silent].toarray() > 0
    assert np.abs(np.corrcoef(born.T) - np.eye(len(silent))).max() < 0.09
    assert likely(np.count_nonzero(born[1:] & born[:-1]), born[1:].size, p * p)


def test_draws_are_keyed_and_apart_from_noise_and_candidates():
    arrays = cells(50, np.arange(0, 400, 2), np.ones(200), 400)
    rule = dict(birth=0.3, death=0.3, gamma=1, size=1)
    first = kernels.turnover(*arrays, **rule, seed=1, step=2)
    same(first[:3], kernels.turnover(*arrays, **rule, seed=1, step=2)[:3])
    for other in (dict(seed=2, step=2), dict(seed=1, step=3), dict(seed=1, step=2 + 2**32)):
        assert not np.array_equal(first[1], kernels.turnover(*arrays, **rule, **other)[1])
    keys = [reference.step_key(1, 2), *(reference.stream_key(1, 2, stream) for stream in range(2))]
    assert len({key.tobytes() for key in keys}) == 3
    deaths, births = (reference.lifetime(np.arange(20_000), 0, key) for key in keys[1:])
    assert abs(np.corrcoef(deaths, births)[0, 1]) < 0.03
    assert abs(deaths.mean() - 1) < 0.03 and deaths.min() > 0


def test_a_row_does_not_depend_on_its_neighbours():
    """What is dropped from other rows, or above, changes nothing; deaths do not even depend on the rest of the row."""
    arrays = cells(30, np.arange(0, 60, 3), np.linspace(0.1, 2, 20), 60)
    rule = dict(birth=0.1, death=0.2, gamma=2, size=1, seed=4)
    indptr, indices, data, _ = kernels.turnover(*arrays, **rule)
    short = arrays[0].copy()
    short[1:] -= 20  # the first row is empty now
    moved = kernels.turnover(short, arrays[1][20:], arrays[2][20:], 60, **rule)
    same(moved[1:3], (moved[1], moved[2]))
    np.testing.assert_array_equal(np.diff(moved[0])[1:], np.diff(indptr)[1:])
    np.testing.assert_array_equal(moved[1][moved[0][1] :], indices[indptr[1] :])
    np.testing.assert_array_equal(moved[2][moved[0][1] :], data[indptr[1] :])


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("index", INDICES)
def test_rates_beyond_all_bounds(value, index):
    n_cols = 70
    indptr, indices, data = pathway(20, n_cols, 0.3, value, index)
    data = np.abs(data)
    still = kernels.turnover(indptr, indices, data, n_cols, birth=0, death=0, gamma=2, size=1)
    same(still[:3], (indptr, indices, data))
    none = kernels.turnover(indptr, indices, data, n_cols, birth=0, death=1e308, gamma=0, size=1)
    assert none[3] == len(data) and len(none[1]) == 0 and none[1].dtype == index and none[2].dtype == value
    rule = dict(birth=1e308, death=0, gamma=2, size=1)
    full = kernels.turnover(indptr, indices, data, n_cols, **rule, time=np.full(20, 2, value))
    np.testing.assert_array_equal(full[1], np.tile(np.arange(n_cols), 20))
    swapped = kernels.turnover(indptr, indices, data, n_cols, birth=1e308, death=1e308, gamma=0, size=1)
    assert len(swapped[1]) == 20 * n_cols - len(data)  # who dies is not born again at once
    again = kernels.turnover(*full[:3], n_cols, birth=1, death=0, gamma=2, size=1)
    same(again[:3], full[:3])
    empty = np.zeros(4, index), np.zeros(0, index), np.zeros(0, value)
    born = kernels.turnover(*empty, n_cols, birth=0.5, death=1, gamma=2, size=0.25, sign="I")
    assert len(born[1]) > 0 and (born[2] == -0.25).all()


@pytest.mark.parametrize("value", VALUES)
def test_size_may_be_any_that_a_weight_can_be(value):
    """Newborns are neither 0 nor infinite, and who is far from them in size dies at once or never."""
    limits = np.finfo(value)
    smallest, largest = float(limits.smallest_subnormal), float(limits.max)
    arrays = cells(3, np.arange(4), [smallest, smallest, largest, largest], 9, value)
    for size, left in (smallest, 12), (1.0, 6), (largest, 6):
        indptr, indices, data, died = kernels.turnover(*arrays, birth=0, death=1e-3, gamma=2, size=size)
        assert len(data) == left == 12 - died
        _, _, data, _ = kernels.turnover(*arrays, birth=1e9, death=0, gamma=2, size=size)
        assert (data.reshape(3, 9)[:, 4:] == value(size)).all() and value(size) > 0 and np.isfinite(value(size))


def test_float32_lives_and_dies_as_float64():
    indptr, indices, data = pathway(200, 300, 0.3)
    data = np.exp(data)
    rule = dict(birth=0.05, death=0.1, gamma=2, size=0.7, seed=3)
    single = kernels.turnover(indptr, indices, data, 300, **rule)
    double = kernels.turnover(indptr, indices, data.astype(float), 300, **rule)
    same(single[:2], double[:2])
    np.testing.assert_allclose(single[2], double[2], rtol=1e-7)


@pytest.mark.parametrize("gamma", [1.0, 2.5])
def test_at_equilibrium_survival_is_logistic_in_log_w(gamma):
    """Pairs with a would-be weight each, which a newborn takes on at once."""
    n, n_cols, birth, death, size = 200, 300, 0.02, 0.03, 1.4
    would_be = np.exp(np.random.default_rng(0).normal(0, 0.6, n_cols))
    W = Synapses(*cells(n, np.arange(n_cols), would_be, n_cols)[:3], n_cols, sign="E")
    alive = []
    for step in range(600):
        W.turnover(birth=birth, death=death, gamma=gamma, size=size, seed=1, step=step)
        W = Synapses(W.indptr, W.indices, would_be[W.indices], n_cols, sign="E")
        if step >= 250:
            alive.append(np.bincount(W.indices, minlength=n_cols) / n)
    survival, log_ratio = np.mean(alive, axis=0), np.log(would_be / size)
    exponent = death * np.exp(-gamma * log_ratio)
    # in steps of births and deaths these balance, and the newborn cannot die at once
    exact = np.expm1(-birth) / (np.expm1(-birth) + np.expm1(-exponent))
    np.testing.assert_allclose(survival, exact, atol=0.05)
    rare = exponent < 0.1
    slope, height = np.polyfit(log_ratio[rare], np.log(survival / (1 - survival))[rare], 1)
    assert slope == pytest.approx(gamma, rel=0.06)
    assert height == pytest.approx(np.log(birth / death), abs=0.06)
    assert survival.min() < 0.3 and survival.max() > 0.7


def test_synapses_after_turnover():
    W = Synapses(*cells(40, np.arange(0, 90, 3), -np.linspace(0.1, 2, 30), 90)[:3], 90, sign="I")
    X = np.ones((4, 90))
    W.forward(X)
    before, weights = W.nnz, W.weights.copy()
    assert W.turnover(birth=0, death=0, gamma=2, size=1, seed=0, step=0) == (0, 0)
    assert (W.version, W.structure_version) == (0, 0)
    died, born = W.turnover(birth=0.1, death=0.2, gamma=2, size=1, time=np.linspace(0, 2, 40), seed=0, step=1)
    assert died > 0 and born > 0 and W.nnz == before - died + born
    assert (W.version, W.structure_version) == (1, 1)
    assert (W.weights < 0).all()
    np.testing.assert_array_equal(W.row(0)[1], weights[:30])  # no time passed for it
    np.testing.assert_allclose(W.forward(X)[0], W.to_scipy() @ X[0])
    # as many births as deaths are a change too
    one = Synapses(*cells(1, np.array([0]), [1.0], 2)[:3], 2, sign="E")
    assert one.turnover(birth=1e9, death=1e9, gamma=0, size=1, seed=0, step=0) == (1, 1)
    assert one.structure_version == 1 and one.indices.tolist() == [1]


# --- refusals ----------------------------------------------------------------------------------------------

ARRAYS = (np.array([0, 2, 3], np.int32), np.array([0, 2, 1], np.int32), np.array([1, 2, 3], np.float32))
SITES = (np.array([0, 1, 2], np.int32), np.array([1, 3], np.int32))
SCORE = np.ones(2, np.float32)
PATTERN, LONG = ARRAYS[:2], tuple(a.astype(np.int64) for a in ARRAYS[:2])


def turn(**wrong):
    return kernels.turnover(*ARRAYS, 4, **{**dict(birth=0.1, death=0.1, gamma=2, size=1), **wrong})


REFUSED = {
    "theta negative": (lambda: kernels.prune(*ARRAYS, -0.1), ValueError, "theta must be a number in [0, 1], got -0.1"),
    "theta large": (lambda: kernels.prune(*ARRAYS, 1.5), ValueError, "theta must be a number in [0, 1], got 1.5"),
    "theta nan": (lambda: kernels.prune(*ARRAYS, np.nan), ValueError, "theta must be a number in [0, 1], got nan"),
    "theta text": (lambda: kernels.prune(*ARRAYS, "x"), TypeError, "theta must be a number in [0, 1], got str"),
    "prune without data": (lambda: kernels.prune(*PATTERN, None, 0.1), TypeError, "data must be a NumPy array"),
    "prune threads": (lambda: kernels.prune(*ARRAYS, 0.1, n_threads=0), ValueError, "n_threads must be"),
    "n_cols 0": (lambda: kernels.transpose_index(*PATTERN, 0), ValueError, "n_cols must be an integer in [1, "),
    "n_cols small": (lambda: kernels.transpose_index(*PATTERN, 2), ValueError, "indices[1] = 2"),
    "n_cols float": (lambda: kernels.validate(*ARRAYS, 4.0), TypeError, "n_cols must be an integer >= 1, got float"),
    "n_cols bool": (lambda: kernels.validate(*ARRAYS, True), TypeError, "n_cols must be an integer >= 1, got bool"),
    "n_cols huge": (
        lambda: kernels.candidates(*LONG, 2**32, 1),
        ValueError,
        "n_cols must be an integer in [1, 4294967295]",
    ),
    "n_candidates negative": (
        lambda: kernels.candidates(*PATTERN, 4, -1),
        ValueError,
        "n_candidates must be an integer in [0, 4294967295], got -1",
    ),
    "n_candidates huge": (
        lambda: kernels.candidates(*PATTERN, 4, 2**64),
        ValueError,
        "n_candidates must be an integer in",
    ),
    "n_candidates float": (lambda: kernels.candidates(*PATTERN, 4, 1.0), TypeError, "n_candidates must be an integer"),
    "seed negative": (
        lambda: kernels.candidates(*PATTERN, 4, 1, seed=-1),
        ValueError,
        "seed must be an integer in [0, 2**64), got -1",
    ),
    "seed huge": (
        lambda: kernels.candidates(*PATTERN, 4, 1, seed=2**64),
        ValueError,
        "seed must be an integer in [0, 2**64)",
    ),
    "seed None": (
        lambda: kernels.candidates(*PATTERN, 4, 1, seed=None),
        TypeError,
        "candidates(): seed must be an integer in [0, 2**64), got NoneType",
    ),
    "step bool": (
        lambda: kernels.candidates(*PATTERN, 4, 1, step=True),
        TypeError,
        "candidates(): step must be an integer in [0, 2**64), got bool",
    ),
    "core without seed": (
        lambda: _core.candidates(*PATTERN, 4, 1, step=0),
        TypeError,
        "missing required keyword-only argument: 'seed'",
    ),
    "int32 overflow": (
        lambda: kernels.candidates(*PATTERN, 2**31 - 1, 2**31 - 1),
        ValueError,
        "the number of candidates may reach 4294967294, more than int32 indices can count",
    ),
    "n_grow negative": (
        lambda: kernels.grow(*ARRAYS, *SITES, SCORE, -1, 0.1),
        ValueError,
        "n_grow must be an integer >= 0, got -1",
    ),
    "weight nan": (
        lambda: kernels.grow(*ARRAYS, *SITES, SCORE, 1, np.nan),
        ValueError,
        "weight must be a finite number, got nan",
    ),
    "score dtype": (
        lambda: kernels.grow(*ARRAYS, *SITES, SCORE.astype(float), 1, 0.1),
        TypeError,
        "score must be float32 like data",
    ),
    "score length": (lambda: kernels.grow(*ARRAYS, *SITES, SCORE[:1], 1, 0.1), ValueError, "score.shape[0] must be 2"),
    "candidate rows": (
        lambda: kernels.grow(*ARRAYS, np.array([0, 2], np.int32), SITES[1], SCORE, 1, 0.1),
        ValueError,
        "cand_indptr.shape[0] must be 3, the length of indptr, got 2",
    ),
    "candidate type": (
        lambda: kernels.grow(*ARRAYS, *(a.astype(np.int64) for a in SITES), SCORE, 1, 0.1),
        TypeError,
        "cand_indptr and cand_indices must be int32 like indptr",
    ),
    "candidate structure": (
        lambda: kernels.grow(*ARRAYS, np.array([0, 3, 2], np.int32), SITES[1], SCORE, 1, 0.1),
        ValueError,
        "candidates: indptr must not decrease",
    ),
    "candidate range": (
        lambda: kernels.grow(*ARRAYS, SITES[0], -SITES[1], SCORE, 1, 0.1),
        ValueError,
        "candidates: indices must lie",
    ),
    "birth negative": (lambda: turn(birth=-0.1), ValueError, "birth must be a finite number >= 0, got -0.1"),
    "death nan": (lambda: turn(death=np.nan), ValueError, "death must be a finite number >= 0, got nan"),
    "gamma infinite": (lambda: turn(gamma=np.inf), ValueError, "gamma must be a finite number >= 0, got inf"),
    "gamma text": (lambda: turn(gamma="2"), TypeError, "gamma must be a finite number >= 0, got str"),
    "size 0": (lambda: turn(size=0), ValueError, "size must be a finite number > 0, got 0"),
    "size negative": (lambda: turn(size=-1.0), ValueError, "size must be a finite number > 0, got -1.0"),
    "size nan": (lambda: turn(size=np.nan), ValueError, "size must be a finite number > 0, got nan"),
    "size 0 in float32": (lambda: turn(size=1e-46), ValueError, "size must be a finite number > 0 in float32"),
    "size infinite in float32": (lambda: turn(size=1e39), ValueError, "size must be a finite number > 0 in float32"),
    "size text": (lambda: turn(size="1"), TypeError, "size must be a finite number > 0, got str"),
    "size of float64": (
        lambda: kernels.turnover(*PATTERN, np.ones(3), 4, birth=0, death=0, gamma=0, size=np.inf),
        ValueError,
        "size must be a finite number > 0, got inf",
    ),
    "time length": (lambda: turn(time=SCORE[:1]), ValueError, "time.shape[0] must be 2, one for each row of W, got 1"),
    "time dtype": (lambda: turn(time=np.ones(2)), TypeError, "time must be float32 like data"),
    "time negative": (lambda: turn(time=-SCORE), ValueError, "time must be finite and >= 0"),
    "time nan": (lambda: turn(time=SCORE * np.float32(np.nan)), ValueError, "time must be finite and >= 0"),
    "time infinite": (lambda: turn(time=SCORE * np.float32(np.inf)), ValueError, "time must be finite and >= 0"),
    "sign mixed": (lambda: turn(sign="mixed"), ValueError, "sign must be 'E' or 'I', got 'mixed'"),
    "sign number": (lambda: turn(sign=1), TypeError, "sign must be 'E' or 'I', got int"),
    "turnover seed": (lambda: turn(seed=-1), ValueError, "seed must be an integer in [0, 2**64), got -1"),
    "turnover without data": (
        lambda: kernels.turnover(*PATTERN, None, 4, birth=0, death=0, gamma=0, size=1),
        TypeError,
        "data must be a NumPy array",
    ),
    "turnover n_cols": (
        lambda: kernels.turnover(*LONG, ARRAYS[2], 2**32, birth=0, death=0, gamma=0, size=1),
        ValueError,
        "n_cols must be an integer in [1, 4294967295]",
    ),
    "core without birth": (
        lambda: _core.turnover(*ARRAYS, 4, death=0, gamma=0, size=1, seed=0, step=0),
        TypeError,
        "turnover() missing required keyword-only argument: 'birth'",
    ),
    "core without size": (
        lambda: _core.turnover(*ARRAYS, 4, birth=0, death=0, gamma=0, seed=0, step=0),
        TypeError,
        "turnover() missing required keyword-only argument: 'size'",
    ),
    "mixed pathway": (
        lambda: Synapses(*(a.copy() for a in ARRAYS), 4).turnover(birth=0, death=0, gamma=0, size=1, seed=0, step=0),
        ValueError,
        "turnover needs a pathway of sign 'E' or 'I', this one has 'mixed'",
    ),
    "time of a cell": (
        lambda: Synapses(*(a.copy() for a in ARRAYS), 4, sign="E").turnover(
            birth=0, death=0, gamma=0, size=1, time=np.array([1, -1], np.float32), seed=0, step=0
        ),
        ValueError,
        "time must be finite and >= 0, but time[1] = -1",
    ),
    "candidate stored": (
        lambda: kernels.grow(*ARRAYS, SITES[0], np.array([2, 3], np.int32), SCORE, 1, 0.1),
        ValueError,
        "cand_indices must name silent synapses",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    call, error, message = REFUSED[case]
    with pytest.raises(error, match=re.escape(message)):
        call()


@pytest.mark.parametrize(
    "broken", [np.array([1, 2, 3], np.int32), np.array([0, 4, 3], np.int32), np.array([0, 2, 2], np.int32)]
)
def test_a_broken_structure_reaches_no_kernel(broken):
    for call in (
        lambda: kernels.transpose_index(broken, ARRAYS[1], 4),
        lambda: kernels.prune(broken, *ARRAYS[1:], 0.1),
        lambda: kernels.candidates(broken, ARRAYS[1], 4, 2),
        lambda: kernels.turnover(broken, *ARRAYS[1:], 4, birth=0, death=0, gamma=0, size=1),
        lambda: kernels.grow(broken, *ARRAYS[1:], *SITES, SCORE, 1, 0.1),
    ):
        with pytest.raises(ValueError, match="indptr"):
            call()
