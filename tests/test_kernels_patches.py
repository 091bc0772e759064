"""patches and patches_grad: the retina, against its twin and finite differences."""

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from thread_sharing import shared

from bioneuro import kernels, reference

VALUES = [np.float32, np.float64]
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-13}


def responses(*shape, value=np.float64, seed=0):
    return np.random.default_rng(seed).random(shape).astype(value)


def upstream(U, gate, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(U.shape).astype(U.dtype), rng.standard_normal(gate.shape).astype(gate.dtype)


@settings(max_examples=80, deadline=None)
@given(
    batch=st.integers(1, 4),
    height=st.integers(1, 12),
    width=st.integers(1, 20),
    channels=st.integers(1, 4),
    patch_size=st.integers(1, 9),
    c0=st.sampled_from([0.01, 0.5, 3.0]),
    gate=st.sampled_from([(0.5, 1.0), (2.0, 2.0), (0.3, 0.7), (1.0, 8.0)]),
    value=st.sampled_from(VALUES),
    seed=st.integers(0, 99),
)
@example(batch=2, height=5, width=8, channels=4, patch_size=3, c0=0.01, gate=(0.5, 1.0), value=np.float32, seed=99)
def test_matches_the_twin(batch, height, width, channels, patch_size, c0, gate, value, seed):
    """Even patches, patches larger than the image, colour."""
    R = responses(batch, height, width, channels, value=value, seed=seed)
    keywords = dict(patch_size=patch_size, c0=c0, g0=gate[0], gate_exponent=gate[1])
    U, gate = kernels.patches(R, **keywords)
    for actual, expected in zip((U, gate), reference.patches(R, **keywords), strict=True):
        assert actual.shape == expected.shape and actual.dtype == expected.dtype
        np.testing.assert_allclose(actual, expected, rtol=0, atol=TOLERANCE[value])
    if patch_size == 1:
        return  # every patch is flat: nothing but the kink
    dU, dgate = upstream(U, gate)
    at_the_mean = np.maximum(*np.split(U, 2, axis=1)) < 10 * TOLERANCE[value]
    dU[np.tile(at_the_mean, 2)] = 0  # a pixel is ON to the one, OFF to the other: either slope is right
    expected = reference.patches_grad(R, dU, dgate, **keywords)
    actual = kernels.patches_grad(R, dU, dgate, **keywords)
    assert actual.shape == expected.shape and actual.dtype == expected.dtype
    np.testing.assert_allclose(actual, expected, rtol=0, atol=10 * TOLERANCE[value] * np.abs(expected).max())


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("g0", [1e-3, 0.5, 3e4, 1e37])
@pytest.mark.parametrize("largest", [3e-4, 1.0, 3e5])
def test_the_gate_is_right_where_its_powers_leave_the_range(largest, g0, value):
    R = responses(2, 8, 8, 1, value=value) * value(largest)
    _, gate = kernels.patches(R, patch_size=3, g0=g0, gate_exponent=8.0)
    _, expected = reference.patches(R, patch_size=3, g0=g0, gate_exponent=8.0)
    assert np.isfinite(gate).all()
    np.testing.assert_allclose(gate, expected, rtol=1e-5, atol=1e-30)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    ("shape", "patch_size"), [((3, 28, 28, 1), 7), ((2, 32, 32, 3), 7), ((1, 16, 40, 2), 11), ((2, 24, 24, 1), 32)]
)
def test_threads_do_not_show(shape, patch_size, value):
    R = responses(*shape, value=value)
    runs = shared(lambda n: kernels.patches(R, patch_size=patch_size, n_threads=n), 2, 3, 4)
    dU, dgate = upstream(*runs[0])

    def gradient(n):
        return [kernels.patches_grad(R, dU, dgate, patch_size=patch_size, n_threads=n)]

    gradients = shared(gradient, 2, 3, 4) if len(R) > 1 else [gradient(n) for n in (1, 2, 3, 4)]  # one task an image
    for results in runs, gradients:
        for result in results[1:]:
            for a, b in zip(result, results[0], strict=True):
                np.testing.assert_array_equal(a, b)


def test_an_image_does_not_depend_on_its_batch():
    R = responses(40, 14, 14, 1, value=np.float32)
    U, gate = kernels.patches(R)
    dU, dgate = upstream(U, gate)
    dR = kernels.patches_grad(R, dU, dgate)
    one = slice(3 * 196, 4 * 196)
    np.testing.assert_array_equal(kernels.patches(R[3:4])[0], U[one])
    np.testing.assert_array_equal(kernels.patches_grad(R[3:4], dU[one], dgate[one])[0], dR[3])


@pytest.mark.parametrize("gate_exponent", [1.0, 3.0])
@pytest.mark.parametrize(("channels", "patch_size"), [(1, 3), (1, 4), (3, 3), (2, 6)])
def test_gradient_matches_finite_differences(channels, patch_size, gate_exponent):
    R, h = responses(1, 5, 4, channels), 1e-6
    retina = dict(patch_size=patch_size, g0=1.5, gate_exponent=gate_exponent)
    dU, dgate = upstream(*kernels.patches(R, **retina))

    def loss(R):
        U, gate = kernels.patches(R, **retina)
        return np.vdot(U, dU) + np.vdot(gate, dgate)

    dR = kernels.patches_grad(R, dU, dgate, **retina)
    for place in np.ndindex(R.shape):
        e = np.zeros_like(R)
        e[place] = h
        assert dR[place] == pytest.approx((loss(R + e) - loss(R - e)) / (2 * h), abs=1e-6)


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("level", [0.0, 0.7, 1.0])
def test_flat_patches_are_silent_and_their_gradient_finite(level, value):
    R = np.full((2, 15, 15, 1), level, value)
    U, gate = kernels.patches(R)
    inside = np.zeros((2, 15, 15), bool)
    inside[:, 3:-3, 3:-3] = True
    flat = np.ones_like(inside) if level == 0 else inside
    np.testing.assert_allclose(U[flat.ravel()], 0, atol=1e-15)
    np.testing.assert_allclose(gate[flat.ravel()], 1e-4 / 0.5001, rtol=1e-3)
    dU, dgate = upstream(U, gate)
    assert np.isfinite(kernels.patches_grad(R, dU, dgate)).all()
    if level == 0:
        assert not kernels.patches_grad(R, dU, dgate).any()


def test_means_do_not_drift_on_bright_images():
    """A small contrast on a large mean, in float32: the means are summed in double."""
    contrast = responses(2, 28, 28, 1) * 1e-2
    bright = (contrast + 100).astype(np.float32)
    U, _ = kernels.patches(bright)
    inside = np.zeros((2, 28, 28), bool)
    inside[:, 3:-3, 3:-3] = True
    exact, _ = reference.patches(bright.astype(float))
    np.testing.assert_allclose(U[inside.ravel()], exact[inside.ravel()], atol=2e-5)


def test_on_and_off_are_the_halves_of_contrast():
    R = responses(1, 9, 9, 2)
    U, _ = kernels.patches(R, patch_size=5)
    V, _ = kernels.patches(np.pad(1 - R[:, 2:-2, 2:-2], ((0, 0), (2, 2), (2, 2), (0, 0))), patch_size=5)
    centre = (4 * 9) + 4
    on, off = np.split(U[centre], 2)
    assert (U >= 0).all() and not (on * off).any()
    np.testing.assert_allclose(np.split(V[centre], 2), [off, on], atol=1e-15)  # an inverted image swaps ON and OFF


def test_inputs_are_left_as_they_were():
    R = responses(2, 6, 6, 1, value=np.float32)
    copy = R.copy()
    R.flags.writeable = False
    U, gate = kernels.patches(R)
    dU, dgate = upstream(U, gate)
    copies = dU.copy(), dgate.copy()
    kernels.patches_grad(R, dU, dgate)
    for a, b in zip((R, dU, dgate), (copy, *copies), strict=True):
        np.testing.assert_array_equal(a, b)


def test_nan_reaches_only_the_patches_that_see_it():
    R = responses(2, 12, 12, 1)
    R[0, 2, 3, 0] = np.nan
    U, gate = kernels.patches(R, patch_size=3)
    touched = np.isnan(gate).reshape(2, 12, 12)
    expected = np.zeros_like(touched)
    expected[0, 1:4, 2:5] = True
    np.testing.assert_array_equal(touched, expected)


R = responses(2, 4, 5, 3, value=np.float32)
U, GATE = kernels.patches(R, patch_size=3)

REFUSED = {
    "list": (lambda: kernels.patches(R.tolist()), TypeError, "R must be a NumPy array of float32 or float64, got list"),
    "uint8": (
        lambda: kernels.patches((255 * R).astype(np.uint8)),
        TypeError,
        "R must be float32 or float64, got dtype('uint8')",
    ),
    "3 dimensions": (lambda: kernels.patches(R[0]), ValueError, "R must have 4 dimensions, got 3"),
    "empty": (lambda: kernels.patches(R[:0]), ValueError, "R must not be empty, got shape (0, 4, 5, 3)"),
    "strided": (lambda: kernels.patches(R[:, ::2]), ValueError, "R must be C-contiguous"),
    "byte order": (lambda: kernels.patches(R.astype(">f4")), TypeError, "R must be in native byte order"),
    "patch_size 0": (
        lambda: kernels.patches(R, patch_size=0),
        ValueError,
        "patch_size must be an integer in [1, 4096], got 0",
    ),
    "patch_size large": (
        lambda: kernels.patches(R, patch_size=5000),
        ValueError,
        "patch_size must be an integer in [1, 4096], got 5000",
    ),
    "patch_size float": (
        lambda: kernels.patches(R, patch_size=3.0),
        TypeError,
        "patch_size must be an integer in [1, 4096], got float",
    ),
    "c0 0": (lambda: kernels.patches(R, c0=0), ValueError, "c0 must be a finite number > 0, got 0"),
    "c0 nan": (lambda: kernels.patches(R, c0=np.nan), ValueError, "c0 must be a finite number > 0, got nan"),
    "g0 0": (lambda: kernels.patches(R, g0=0), ValueError, "g0 must be a finite number > 0, got 0"),
    "gate 9": (
        lambda: kernels.patches(R, gate_exponent=9),
        ValueError,
        "gate_exponent must be a number in (0, 8], got 9",
    ),
    "gate nan": (
        lambda: kernels.patches(R, gate_exponent=np.nan),
        ValueError,
        "gate_exponent must be a number in (0, 8], got nan",
    ),
    "n_threads": (lambda: kernels.patches(R, n_threads=0), ValueError, "n_threads must be"),
    "dU dtype": (
        lambda: kernels.patches_grad(R, U.astype(float), GATE, patch_size=3),
        TypeError,
        "dU must be float32 like R",
    ),
    "dU columns": (
        lambda: kernels.patches_grad(R, U, GATE),
        ValueError,
        "dU.shape[1] must be 294, 2 x patch_size^2 x channels, got 54",
    ),
    "dU rows": (lambda: kernels.patches_grad(R, U[:-1], GATE, patch_size=3), ValueError, "dU.shape[0] must be 40"),
    "dgate": (lambda: kernels.patches_grad(R, U, GATE[1:], patch_size=3), ValueError, "dgate.shape[0] must be 40"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    call, error, message = REFUSED[case]
    with pytest.raises(error, match=re.escape(message)):
        call()


# --- the map in one pass ------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    batch=st.integers(1, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 15),
    channels=st.integers(1, 3),
    patch_size=st.integers(1, 6),
    n_columns=st.integers(1, 90),
    grid=st.tuples(st.integers(1, 4), st.integers(1, 3)),
    beta=st.sampled_from([0.5, 20.0]),
    k=st.sampled_from([None, 1, 5]),
    value=st.sampled_from(VALUES),
    seed=st.integers(0, 99),
)
def test_feature_map_matches_the_twin(
    batch, height, width, channels, patch_size, n_columns, grid, beta, k, value, seed
):
    rng = np.random.default_rng(seed)
    R = responses(batch, height, width, channels, value=value, seed=seed)
    W = rng.random((n_columns, 2 * patch_size**2 * channels)).astype(value)
    pools = rng.random((grid[0], height)).astype(value), (rng.random((grid[1], width)) < 0.5).astype(value)
    keywords = dict(beta=beta, k=k, patch_size=patch_size, c0=0.8, g0=1.5, gate_exponent=2.0)
    actual = kernels.feature_map(R, W, *pools, **keywords)
    wide = kernels.feature_map(*(a.astype(float) for a in (R, W, *pools)), **keywords)
    expected = reference.feature_map(*(a.astype(float) for a in (R, W, *pools)), **keywords)
    assert actual.dtype == value and actual.shape == (batch, *grid, n_columns)
    np.testing.assert_allclose(wide, expected, rtol=0, atol=1e-11 * height * width)
    if k is None:  # where two cells are nearly equal, rounding decides which of them wins
        np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5 * height * width)


@pytest.mark.parametrize("value", VALUES)
def test_feature_map_threads_do_not_show(value):
    R = responses(7, 12, 13, 1, value=value)
    W, pool = responses(20, 18, value=value), responses(3, 12, value=value)
    results = [
        kernels.feature_map(R, W, pool, responses(2, 13, value=value), beta=9.0, patch_size=3, n_threads=n)
        for n in (1, 2, 5)
    ]
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def map_arguments():
    return dict(R=responses(2, 6, 5, 1), W=responses(4, 18), pool_rows=responses(2, 6), pool_cols=responses(3, 5))


@pytest.mark.parametrize(
    ("name", "shape", "message"),
    [
        ("W", (4, 17), "W.shape[1] must be 18, 2 x patch_size^2 x channels, got 17"),
        ("pool_rows", (2, 5), "pool_rows.shape[1] must be 6, the height of R, got 5"),
        ("pool_cols", (3, 6), "pool_cols.shape[1] must be 5, the width of R, got 6"),
        ("W", (18,), "W must have 2 dimensions"),
    ],
)
def test_feature_map_of_the_wrong_shape(name, shape, message):
    arguments = {**map_arguments(), name: responses(*shape)}
    with pytest.raises(ValueError, match=re.escape(message)):
        kernels.feature_map(**arguments, patch_size=3)


def test_feature_map_of_another_type():
    arguments = {**map_arguments(), "W": responses(4, 18, value=np.float32)}
    with pytest.raises(TypeError, match="W must be float64 like R"):
        kernels.feature_map(**arguments, patch_size=3)


def test_feature_map_sharpness_must_be_finite():
    with pytest.raises(ValueError, match="beta must be a finite number, got nan"):
        kernels.feature_map(**map_arguments(), patch_size=3, beta=np.nan)
