"""validate, transpose_index, prune, candidates and grow: exactly their twins, at any shape, type and thread count."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from bioneuro import _core, kernels, reference

VALUES = [np.float32, np.float64]
INDICES = [np.int32, np.int64]
N_THREADS = (1, 2, 3, 4)


def pathway(n_rows, n_cols, density, value=np.float32, index=np.int32, seed=0):
    rng = np.random.default_rng(seed)
    W = sp.random_array((n_rows, n_cols), density=density, format="csr", rng=rng)
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


# --- refusals ----------------------------------------------------------------------------------------------

ARRAYS = (np.array([0, 2, 3], np.int32), np.array([0, 2, 1], np.int32), np.array([1, 2, 3], np.float32))
SITES = (np.array([0, 1, 2], np.int32), np.array([1, 3], np.int32))
SCORE = np.ones(2, np.float32)
PATTERN, LONG = ARRAYS[:2], tuple(a.astype(np.int64) for a in ARRAYS[:2])

REFUSED = {
    "theta negative": (lambda: kernels.prune(*ARRAYS, -0.1), ValueError, "theta must lie in [0, 1], got -0.1"),
    "theta large": (lambda: kernels.prune(*ARRAYS, 1.5), ValueError, "theta must lie in [0, 1], got 1.5"),
    "theta nan": (lambda: kernels.prune(*ARRAYS, np.nan), ValueError, "theta must lie in [0, 1], got nan"),
    "theta text": (lambda: kernels.prune(*ARRAYS, "x"), TypeError, "real number"),
    "prune without data": (lambda: kernels.prune(*PATTERN, None, 0.1), TypeError, "data must be a NumPy array"),
    "prune threads": (lambda: kernels.prune(*ARRAYS, 0.1, n_threads=0), ValueError, "n_threads must be"),
    "n_cols 0": (lambda: kernels.transpose_index(*PATTERN, 0), ValueError, "n_cols must lie in [1, "),
    "n_cols small": (lambda: kernels.transpose_index(*PATTERN, 2), ValueError, "indices[1] = 2"),
    "n_cols float": (lambda: kernels.validate(*ARRAYS, 4.0), TypeError, "n_cols must be an integer, got 4.0"),
    "n_cols bool": (lambda: kernels.validate(*ARRAYS, True), TypeError, "n_cols must be an integer, got True"),
    "n_cols huge": (lambda: kernels.candidates(*LONG, 2**32, 1), ValueError, "n_cols must lie in [1, 4294967295]"),
    "n_candidates negative": (
        lambda: kernels.candidates(*PATTERN, 4, -1),
        ValueError,
        "n_candidates must lie in [0, 4294967295], got -1",
    ),
    "n_candidates huge": (lambda: kernels.candidates(*PATTERN, 4, 2**64), ValueError, "n_candidates must lie in"),
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
        ValueError,
        "seed must be an integer in [0, 2**64), got None",
    ),
    "step bool": (
        lambda: kernels.candidates(*PATTERN, 4, 1, step=True),
        ValueError,
        "step must be an integer in [0, 2**64), got True",
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
    "n_grow negative": (lambda: kernels.grow(*ARRAYS, *SITES, SCORE, -1, 0.1), ValueError, "n_grow must lie in [0, "),
    "weight nan": (lambda: kernels.grow(*ARRAYS, *SITES, SCORE, 1, np.nan), ValueError, "weight must be finite"),
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
        lambda: kernels.grow(broken, *ARRAYS[1:], *SITES, SCORE, 1, 0.1),
    ):
        with pytest.raises(ValueError, match="indptr"):
            call()
