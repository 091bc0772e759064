"""compete and compete_grad against their NumPy twins."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bioneuro import _core, reference

VALUES = [np.float32, np.float64]
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}
SIZES = [1, 2, 3, 7, 8, 15, 16, 17, 33, 64, 100, 4096, 6001]


def drive(value, batch=9, n_cells=50, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, n_cells)).astype(value)


def exact(a, beta=1.0, threshold=None, k=None):
    """The twin in float64, on the drive that the kernel sees: rounded to its type."""
    z = (a.dtype.type(beta) * a - (0 if threshold is None else threshold)).astype(float)
    return reference.compete(z, k=k)


# --- softmax -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_cells", SIZES)
@pytest.mark.parametrize("value", VALUES)
def test_softmax_is_the_twins(value, n_cells):
    a = drive(value, n_cells=n_cells)
    threshold = drive(value, 1, n_cells, seed=1)[0]
    for th in (None, threshold):
        Y = _core.compete(a, beta=3.0, threshold=th)
        np.testing.assert_allclose(Y, reference.compete(a.astype(float), beta=3.0, threshold=th), rtol=TOLERANCE[value])
        np.testing.assert_allclose(Y.sum(axis=1, dtype=float), 1, rtol=TOLERANCE[value])


@settings(max_examples=80, deadline=None)
@given(data=st.data(), value=st.sampled_from(VALUES), beta=st.floats(-100, 100, width=32))
def test_softmax_over_drives(data, value, beta):
    width = 8 * np.dtype(value).itemsize
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=40))
    a = data.draw(hnp.arrays(value, shape, elements=st.floats(-1e3, 1e3, width=width, allow_subnormal=False)))
    k = data.draw(st.none() | st.integers(1, shape[1] + 1))
    Y, Z = _core.compete(a, beta=beta, k=k), exact(a, beta, k=k)
    np.testing.assert_allclose(Y, Z, rtol=TOLERANCE[value], atol=np.finfo(value).tiny)


@pytest.mark.parametrize("value", VALUES)
def test_shift_invariance(value):
    a = np.round(drive(value) * 64) / 64  # so that the shift is exact
    np.testing.assert_array_equal(_core.compete(a, beta=4.0), _core.compete(a + value(512), beta=4.0))


@pytest.mark.parametrize("k", [None, 1, 2])
@pytest.mark.parametrize("beta", [1.0, 1e5, -1e5, 1e300])
@pytest.mark.parametrize("value", VALUES)
def test_extreme_drives_are_finite(value, beta, k):
    top = np.finfo(value).max
    a = np.array([[1e30, -1e30, 0], [-1e30, -1e30, -1e30], [top, -top, top], [top, top, top], [0, 0, -0.0]], value)
    Y = _core.compete(a, beta=beta, k=k, threshold=np.array([1e30, 0, -1e30], value))
    assert np.isfinite(Y).all()
    np.testing.assert_allclose(Y.sum(axis=1), 1, rtol=1e-6)


def test_nan_is_not_hidden():
    a = drive(np.float32, batch=2)
    a[0, 20] = np.nan
    Y = _core.compete(a)
    assert np.isnan(Y[0]).all() and np.isfinite(Y[1]).all()


def test_wide_sums_stay_accurate():
    a = np.zeros((1, 3_000_001), np.float32)
    assert _core.compete(a)[0, 0] == pytest.approx(1 / a.size, rel=1e-6)


# --- k winners -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_cells", SIZES)
@pytest.mark.parametrize("value", VALUES)
def test_winners_are_the_twins(value, n_cells):
    a = drive(value, n_cells=n_cells)
    few_levels = np.round(a)  # many ties
    huge_range = np.sign(a) * np.exp(value(15) * np.abs(a))
    for k in sorted({1, 2, n_cells // 2, n_cells - 1, n_cells, n_cells + 1} - {0}):
        for z in (a, few_levels, huge_range):
            Y, Z = _core.compete(z, k=k), exact(z, k=k)
            np.testing.assert_array_equal(Y > 0, Z.astype(value) > 0)
            np.testing.assert_allclose(Y, Z, rtol=TOLERANCE[value], atol=np.finfo(value).tiny)


@pytest.mark.parametrize("value", VALUES)
def test_ties_go_to_the_lower_index(value):
    a = np.array([[1, 2, 2, 2, 0], [0, 0, 0, 0, 0], [0.0, -0.0, 0.0, -0.0, -1]], value)
    np.testing.assert_array_equal(_core.compete(a, k=2) > 0, [[0, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 1, 0, 0, 0]])


@pytest.mark.parametrize("k", [1, 5, 49])
def test_exactly_k_win(k):
    a = np.random.default_rng(0).integers(0, 4, (200, 50)).astype(np.float32)
    assert (np.count_nonzero(_core.compete(a, k=k), axis=1) == k).all()


def test_k_of_any_integer_type():
    a = drive(np.float32)
    np.testing.assert_array_equal(_core.compete(a, k=np.int64(3)), _core.compete(a, k=3))
    np.testing.assert_array_equal(_core.compete(a, k=10**30), _core.compete(a))


# --- gradient ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_cells", SIZES)
@pytest.mark.parametrize("value", VALUES)
def test_gradient_is_the_twins(value, n_cells):
    a, dY = drive(value, n_cells=n_cells), drive(value, n_cells=n_cells, seed=1)
    Y = _core.compete(a, beta=3.0)
    expected = reference.compete_grad(Y.astype(float), dY.astype(float), beta=3.0)
    np.testing.assert_allclose(
        _core.compete_grad(Y, dY, beta=3.0), expected, rtol=TOLERANCE[value], atol=TOLERANCE[value] / 10
    )


@pytest.mark.parametrize("k", [None, 4])
def test_gradient_by_finite_differences(k):
    a, dY = drive(np.float64, 2, 12), drive(np.float64, 2, 12, seed=1)
    da = _core.compete_grad(_core.compete(a, beta=2.0, k=k), dY, beta=2.0)
    for b, i in np.ndindex(a.shape):
        up, down = a.copy(), a.copy()
        up[b, i] += 1e-6
        down[b, i] -= 1e-6
        slope = ((_core.compete(up, beta=2.0, k=k) - _core.compete(down, beta=2.0, k=k)) * dY).sum() / 2e-6
        assert da[b, i] == pytest.approx(slope, abs=1e-8)


# --- threads, memory -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3000, 64), (40, 6000)])
@pytest.mark.parametrize("value", VALUES)
def test_bit_identical_for_any_number_of_threads(value, shape):
    a = drive(value, *shape)
    for run in (lambda n: _core.compete(a, beta=9.0, n_threads=n), lambda n: _core.compete(a, k=7, n_threads=n),
                lambda n: _core.compete_grad(a, a, n_threads=n)):  # fmt: skip
        assert len({run(n).tobytes() for n in (1, 2, 3, 4)}) == 1


def test_a_sample_does_not_depend_on_its_batch():
    a = drive(np.float32)
    np.testing.assert_array_equal(_core.compete(a)[4:5], _core.compete(a[4:5].copy()))


@pytest.mark.parametrize("k", [None, 3])
def test_in_place(k):
    a = drive(np.float32)
    kept = a.copy()
    Y = _core.compete(a, beta=2.0, k=k)
    np.testing.assert_array_equal(a, kept)
    assert _core.compete(a, beta=2.0, k=k, out=a) is a
    np.testing.assert_array_equal(a, Y)


def test_gradient_in_place():
    Y, dY = _core.compete(drive(np.float32)), drive(np.float32, seed=1)
    kept = Y.copy(), dY.copy()
    da = _core.compete_grad(Y, dY)
    np.testing.assert_array_equal((Y, dY), kept)
    assert _core.compete_grad(Y, dY, out=dY) is dY
    np.testing.assert_array_equal(dY, da)


# --- what is refused -----------------------------------------------------------------------------------------

A = drive(np.float32, 4, 6)


@pytest.mark.parametrize(
    "a, options, error, message",
    [
        (A.tolist(), {}, TypeError, "drive must be a NumPy array of float32 or float64, got list"),
        (A[0], {}, ValueError, "drive must have 2 dimensions, got 1"),
        (A.astype(np.float16), {}, TypeError, "drive must be float32 or float64"),
        (A.T, {}, ValueError, "drive must be C-contiguous"),
        (A[:0], {}, ValueError, "drive must not be empty"),
        (A, dict(beta=np.nan), ValueError, "beta must be a finite number, got nan"),
        (A, dict(beta=np.inf), ValueError, "beta must be a finite number, got inf"),
        (A, dict(k=0), ValueError, "k must be None or an integer >= 1, got 0"),
        (A, dict(k=-3), ValueError, "k must be None or an integer >= 1, got -3"),
        (A, dict(k=2.0), TypeError, "k must be None or an integer >= 1, got float"),
        (A, dict(k=True), TypeError, "k must be None or an integer >= 1, got bool"),
        (A, dict(threshold=np.zeros(6)), TypeError, "threshold must be float32 like drive"),
        (A, dict(threshold=A[0, :5]), ValueError, r"threshold.shape\[0\] must be 6, one for each cell of drive, got 5"),
        (A, dict(out=np.zeros((4, 6))), TypeError, "out must be float32 like the result"),
        (A, dict(out=np.zeros((4, 5), np.float32)), ValueError, r"out.shape\[1\] must be 6"),
        (A, dict(n_threads=0), ValueError, "n_threads must be None, 'auto' or an integer in"),
    ],
)  # fmt: skip
def test_bad_input(a, options, error, message):
    with pytest.raises(error, match=message):
        _core.compete(a, **options)


@pytest.mark.parametrize(
    "Y, dY, options, error, message",
    [
        (A[0], A, {}, ValueError, "Y must have 2 dimensions, got 1"),
        (A, A.astype(float), {}, TypeError, "dY must be float32 like Y"),
        (A, A[:3], {}, ValueError, r"dY.shape\[0\] must be 4, the batch of Y, got 3"),
        (A, A[:, :5].copy(), {}, ValueError, r"dY.shape\[1\] must be 6, the cells of Y, got 5"),
        (A, A, dict(beta=np.nan), ValueError, "beta must be a finite number, got nan"),
        (A, A.copy(), dict(out=A), ValueError, "out must not share memory with Y"),
    ],
)
def test_bad_input_of_the_gradient(Y, dY, options, error, message):
    with pytest.raises(error, match=message):
        _core.compete_grad(Y, dY, **options)


def test_out_must_not_overlap_in_part():
    memory = np.zeros(30, np.float32)
    with pytest.raises(ValueError, match="out must be drive itself or share no memory with it"):
        _core.compete(memory[:24].reshape(4, 6), out=memory[6:].reshape(4, 6))
