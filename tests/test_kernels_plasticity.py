"""plasticity_step against its NumPy twin; the vector functions and the noise that it is made of."""

import copy
import inspect
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from thread_sharing import shared

from bioneuro import _core, kernels, reference

FORMS = list(_core.FORMS)
#: Forms that relax: the others follow a drive.
RELAXING = [form for form, traits in _core.FORMS.items() if "c" in traits.nonnegative]
PARAMETERS = {name for traits in _core.FORMS.values() for name in traits.parameters}
VALUES = [np.float32, np.float64]
INDICES = [np.int32, np.int64]
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-12}


def pathway(form, value=np.float64, index=np.int32, n_rows=13, n_cols=150, density=0.6, seed=0):
    """indptr, indices, data, G, c: rows of many lengths (one empty), zeros and, where allowed, both signs."""
    rng = np.random.default_rng(seed)
    mask = rng.random((n_rows, n_cols)) < density * rng.random((n_rows, 1))
    mask[n_rows // 2] = False
    indptr = np.r_[0, np.cumsum(mask.sum(1))].astype(index)
    indices = np.nonzero(mask)[1].astype(index)
    data = np.exp(rng.normal(-2, 1, len(indices)))
    if form != "log-relaxation":
        data *= rng.choice([-1, 1], len(data))
    data[rng.random(len(data)) < 0.05] = 0
    G = rng.normal(0.3, 0.3, len(data))
    return indptr, indices, data.astype(value), G.astype(value), rng.uniform(0, 2, n_rows).astype(value)


def of(form, **rule):
    """``form`` with those of the parameters that it has; what is no parameter stays."""
    return {"form": form} | {k: v for k, v in rule.items() if k in _core.FORMS[form].parameters or k not in PARAMETERS}


def both(arrays, **rule):
    """Weights and silent count after one step: of the kernel, of the twin."""
    indptr, indices, data, G, c = arrays
    fast, slow = data.copy(), data.astype(float)
    n_fast = _core.plasticity_step(indptr, indices, fast, G, c, **rule)
    n_slow = reference.plasticity_step(indptr, indices, slow, G, c, **rule)
    return fast, slow, n_fast, n_slow


def assert_close(fast, slow, value):
    tolerance = TOLERANCE[value]
    # "w - c w w" and "exp(...) - floor" cancel: what is lost there is relative to the terms, not to the difference
    np.testing.assert_allclose(fast, slow, rtol=tolerance, atol=tolerance * max(0.1, np.abs(slow).max(initial=0)))


# --- against the twin ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("sigma", [0.0, 0.4])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("index", INDICES)
@pytest.mark.parametrize("value", VALUES)
def test_twin(value, index, form, sigma, normalize):
    arrays = pathway(form, value, index)
    arrays[4][2] = 0  # a cell that was not active
    rule = of(
        form, eta=0.7, sigma=sigma, w0=0.02, slope=0.8, decay=0.3, bound=0.2, w_max=5.0, normalize=normalize,
        seed=2**63 + 5, step=2**40 + 7,
    )  # fmt: skip
    fast, slow, _, _ = both(arrays, **rule)
    assert_close(fast, slow, value)


@settings(max_examples=60, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    value=st.sampled_from(VALUES),
    eta=st.floats(0, 3),
    floor=st.floats(1e-6, 1),
    exponent=st.floats(0.1, 5),
    slope=st.floats(0, 3),
    sigma=st.sampled_from([0.0, 0.3, 1.0]),
    w0=st.floats(0, 0.5),
    decay=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
    bound=st.sampled_from([0.1, 1.0, np.inf]),
    bounds=st.tuples(st.floats(0, 0.2), st.floats(0.2, 10)),
    normalize=st.booleans(),
    n_cols=st.integers(1, 200),
    seed=st.integers(0, 2**64 - 1),
    step=st.integers(0, 2**64 - 1),
)
def test_twin_over_the_rule(
    form, value, eta, floor, exponent, slope, sigma, w0, decay, bound, bounds, normalize, n_cols, seed, step
):
    arrays = pathway(form, value, n_rows=5, n_cols=n_cols, seed=seed % 1000)
    rule = of(
        form, eta=eta, floor=floor, exponent=exponent, slope=slope, sigma=sigma, w0=w0, decay=decay, bound=bound,
        w_min=bounds[0], w_max=bounds[1], normalize=normalize,
    )  # fmt: skip
    if form == "signed":  # a weight of about 0 has no sign of its own that rounding would leave alone
        rule["w_min"] = 0.0
    fast, slow, _, _ = both(arrays, seed=seed, step=step, **rule)
    assert_close(fast, slow, value)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 15, 16, 17, 63, 64, 65, 127, 128, 129, 1000])
@pytest.mark.parametrize("value", VALUES)
def test_every_row_length(value, n):
    rng = np.random.default_rng(n)
    arrays = (
        np.array([0, n]),
        np.arange(n),
        rng.random(n).astype(value),
        rng.random(n).astype(value),
        np.ones(1, value),
    )
    for form in FORMS:
        fast, slow, n_fast, n_slow = both(arrays, form=form, sigma=0.2, theta=0.5)
        assert_close(fast, slow, value)
        assert n_fast == n_slow


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", VALUES)
def test_bit_identical_for_any_number_of_threads(value, form):
    indptr, indices, data, G, c = pathway(form, value, n_rows=700, n_cols=900)

    def stepped(n_threads):
        w = data.copy()
        n = _core.plasticity_step(indptr, indices, w, G, c, form=form, sigma=0.3, theta=0.1, n_threads=n_threads)
        return w.tobytes(), n

    assert len(set(shared(stepped, 2, 3, 4))) == 1


def test_a_row_does_not_depend_on_its_neighbours():
    indptr, indices, data, G, c = pathway("log-relaxation", np.float32)
    whole = data.copy()
    _core.plasticity_step(indptr, indices, whole, G, c)
    for i in range(len(c)):
        s = slice(indptr[i], indptr[i + 1])
        alone = data[s].copy()
        _core.plasticity_step(
            np.array([0, len(alone)], np.int32), indices[s].copy(), alone, G[s].copy(), c[i : i + 1].copy()
        )
        np.testing.assert_array_equal(alone, whole[s])


def test_inputs_are_left_alone():
    arrays = pathway("exponential")
    copies = [a.copy() for a in arrays]
    _core.plasticity_step(*arrays, form="exponential", sigma=0.1)
    for k in (0, 1, 3, 4):
        np.testing.assert_array_equal(arrays[k], copies[k])
    assert not np.array_equal(arrays[2], copies[2])


def test_nothing_stored():
    none = np.zeros(0, np.float32)
    assert (
        _core.plasticity_step(
            np.zeros(4, np.int32), np.zeros(0, np.int32), none, none, np.ones(3, np.float32), theta=1.0
        )
        == 0
    )


# --- what the equations promise ------------------------------------------------------------------------------


def test_log_relaxation_goes_to_the_target():
    indptr, indices, data, G, c = pathway("log-relaxation")
    G, c = np.abs(G), c + 0.5
    for _ in range(60):
        _core.plasticity_step(indptr, indices, data, G, c, normalize=False)
    np.testing.assert_allclose(data, G / np.repeat(c, np.diff(indptr)), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 4.0])
def test_log_power_goes_to_a_power_of_the_target(exponent):
    indptr, indices, data, G, c = pathway("log-power")
    G, c = np.abs(G), c + 0.5
    for _ in range(120):
        _core.plasticity_step(
            indptr, indices, data, G, c, form="log-power", exponent=exponent, floor=0.03, normalize=False
        )
    np.testing.assert_allclose(data, (G / np.repeat(c, np.diff(indptr)) + 0.03) ** exponent, rtol=1e-9)


def test_log_power_moves_the_share_alpha_of_the_way_in_the_log_domain():
    w, one = np.array([0.2]), np.ones(1)
    _core.plasticity_step(
        np.array([0, 1]), np.array([0]), w, 0.5 * one, one, form="log-power", eta=np.log(2), exponent=3.0,
        floor=0.1, normalize=False,
    )  # fmt: skip
    assert w[0] == pytest.approx(np.sqrt(0.2 * 0.6**3), rel=1e-14)


@pytest.mark.parametrize("value", VALUES)
def test_log_power_saturates(value):
    w, one = np.array([1e30], value), np.ones(1, value)
    _core.plasticity_step(
        np.array([0, 1]), np.array([0]), w, value(1e30) * one, one, form="log-power", eta=5.0, exponent=1e3,
        normalize=False,
    )  # fmt: skip
    assert w[0] == np.finfo(value).max


@pytest.mark.parametrize("value", VALUES)
def test_log_covariance_goes_to_the_exponential_of_the_covariance(value):
    """Up to the scale of the row; the covariance may be negative, and is standardised by whoever makes G."""
    indptr, indices, data, G, c = pathway("log-covariance", value)
    c += value(0.5)
    for normalize in (False, True):
        w = np.abs(data)
        for _ in range(120):
            _core.plasticity_step(indptr, indices, w, G, c, form="log-covariance", slope=1.3, normalize=normalize)
        rows = np.repeat(np.arange(len(c)), np.diff(indptr))
        expected = np.exp(1.3 * G.astype(float) / c[rows])
        if normalize:
            expected /= np.sqrt(np.bincount(rows, expected**2, len(c)))[rows]
        np.testing.assert_allclose(w, expected, rtol=1e-5 if value is np.float32 else 1e-12)
        assert (G < 0).any()


def test_log_covariance_moves_the_share_alpha_of_the_way_in_the_log_domain():
    w, one = np.array([0.2, 0.0]), np.ones(1)
    _core.plasticity_step(
        np.array([0, 2]), np.arange(2), w, np.array([-0.5, 2.0]), one, form="log-covariance", eta=np.log(2), slope=3.0,
        normalize=False,
    )  # fmt: skip
    np.testing.assert_allclose(w, [np.sqrt(0.2 * np.exp(-1.5)), np.sqrt(1e-30 * np.exp(6.0))], rtol=1e-14)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("value", VALUES)
def test_log_covariance_saturates(value, normalize):
    largest = np.finfo(value).max
    w, one = np.ones(6, value), np.ones(1, value)
    G = np.array([largest, 1e4, 1e4, -1e4, -largest, 0], value)
    for eta in (5.0, 0.0, 5.0):
        _core.plasticity_step(
            np.array([0, 6]), np.arange(6), w, G, one, form="log-covariance", eta=eta, slope=1e3, normalize=normalize
        )
        top = 3**-0.5 if normalize else largest
        expected = [top, top, top, 0, 0, 0 if normalize else w[5]]
        np.testing.assert_allclose(w, expected, rtol=2e-5, atol=2e-30)
    _core.plasticity_step(
        np.array([0, 6]), np.arange(6), w, np.full(6, largest), value(1e-5) * one, form="log-covariance", slope=0.0
    )
    assert np.isfinite(w).all()


@pytest.mark.parametrize("form", ["log-relaxation", "exponential"])
def test_signs_stay(form):
    indptr, indices, data, G, c = pathway(form)
    before = np.sign(data)
    for step in range(5):
        _core.plasticity_step(
            indptr, indices, data, G, c, form=form, eta=5.0, sigma=0.5, step=step, w_min=1e-9, w_max=10.0
        )
    if form == "log-relaxation":
        assert (data[np.repeat(c, np.diff(indptr)) >= 1e-6] > 0).all()
    else:
        np.testing.assert_array_equal(np.sign(data), before)


def test_signed_form_can_flip_a_sign():
    one, w = np.ones(1), np.array([0.1])
    _core.plasticity_step(np.array([0, 1]), np.array([0]), w, -10 * one, one, form="signed", w0=0.5, normalize=False)
    assert w[0] == pytest.approx(0.1 + 0.6 * (-10 - 0.1))


@pytest.mark.parametrize("form", RELAXING)
@pytest.mark.parametrize("value", VALUES)
def test_inactive_rows_keep_their_weights(value, form):
    indptr, indices, data, G, c = pathway(form, value)
    c[:] = [0, 9e-7, np.nan, -1, *np.ones(9)]
    before = data.copy()
    _core.plasticity_step(indptr, indices, data, G, c, form, sigma=0.5)
    np.testing.assert_array_equal(data[: indptr[4]], before[: indptr[4]])
    assert not np.array_equal(data[indptr[4] :], before[indptr[4] :])


@pytest.mark.parametrize("value", VALUES)
def test_normalised_rows_have_unit_length(value):
    indptr, indices, data, G, c = pathway("log-relaxation", value)
    _core.plasticity_step(indptr, indices, data, G, c + value(0.1))
    norms = [np.linalg.norm(data[a:b].astype(float)) for a, b in zip(indptr[:-1], indptr[1:], strict=True) if b > a]
    np.testing.assert_allclose(norms, 1, rtol=3e-7 if value is np.float32 else 1e-15)


def test_normalisation_beyond_the_squares_of_float64():
    w = np.array([1e300, -1e300, 1e200, 0])
    _core.plasticity_step(np.array([0, 4]), np.arange(4), w, np.zeros(4), np.zeros(1), form="exponential")
    np.testing.assert_allclose(w, [0.5**0.5, -(0.5**0.5), 0.5**0.5 * 1e-100, 0], rtol=1e-15)


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_normalisation_beyond_the_squares_of_float32(scale):
    w = np.full(20, scale, np.float32)
    _core.plasticity_step(
        np.array([0, 20]), np.arange(20), w, np.zeros(20, np.float32), np.zeros(1, np.float32), form="exponential"
    )
    np.testing.assert_allclose(w, 20**-0.5, rtol=1e-6)


def test_row_of_zeros_stays():
    w = np.zeros(5)
    _core.plasticity_step(np.array([0, 5]), np.arange(5), w, np.ones(5), np.ones(1), form="exponential")
    assert (w == 0).all()


@pytest.mark.parametrize("theta", [0.0, 0.1, 0.7, 1.0])
@pytest.mark.parametrize("value", VALUES)
def test_silent_count(value, theta):
    indptr, indices, data, G, c = pathway("signed", value)
    n = _core.plasticity_step(indptr, indices, data, G, c, form="signed", theta=theta)
    rows = [np.abs(data[a:b]) for a, b in zip(indptr[:-1], indptr[1:], strict=True)]
    assert n == sum(int((r < value(theta) * r.max(initial=0)).sum()) for r in rows)


# --- robustness ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("form", FORMS)
def test_extremes_stay_finite(form, value):
    big = {np.float32: 1e30, np.float64: 1e200}[value]
    w, g = (a.ravel().astype(value) for a in np.meshgrid([0, 1e-30, 1, 10], [0, 1, -1, 500, -500, big, -big]))
    if form != "log-relaxation":
        w, g = np.r_[w, -w], np.r_[g, g]
    indptr = np.array([0, len(w)])
    for c in (0, 1e-3, 1, 1e6):
        for eta in (0, 1, 1e6):
            for sigma in (0, 0.5, 50):
                for normalize in (False, True):
                    data = w.copy()
                    _core.plasticity_step(indptr, np.arange(len(w)), data, g, np.array([c], value), form=form, eta=eta,
                                          sigma=sigma, w_max=10.0, normalize=normalize)  # fmt: skip
                    assert np.isfinite(data).all(), (c, eta, sigma)
                    assert np.abs(data).max() <= 10


@pytest.mark.parametrize("eta", [0.0, 1e-300, 1.0])
@pytest.mark.parametrize("extreme", ["smallest", "largest"])
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("form", FORMS)
def test_parameters_and_weights_at_their_bounds_stay_finite(form, value, extreme, eta):
    """Found by fuzzing: sums with the floor were infinite, and 0 (a step of eta 0) times an infinite logarithm NaN."""
    bounds = {"floor": (5e-324, 1e30), "exponent": (5e-324, 1e30), "slope": (0.0, 1e308), "w0": (0.0, 1e30)}
    own = {p: bounds[p][extreme == "largest"] for p in _core.FORMS[form].parameters if p in bounds}
    top, tiny = np.finfo(value).max, np.finfo(value).smallest_subnormal
    w, g = (a.ravel().astype(value) for a in np.meshgrid([0, tiny, 1e-30, 1, 1e30, top], [0, tiny, 1, top]))
    if form not in RELAXING:
        g[:] = np.minimum(g, 1)  # their drive must be finite, it says so
        w, g = np.r_[w, -w], np.r_[g, g]
    for c in (0.3, 1.0) if form in RELAXING else (0.0,):
        data = w.copy()
        arrays = np.array([0, len(w)]), np.arange(len(w)), data, g, np.array([c], value)
        _core.plasticity_step(*arrays, form=form, eta=eta, normalize=False, **own)
        assert np.isfinite(data).all()
        if eta == 0 and form == "log-relaxation" and extreme == "smallest":
            np.testing.assert_allclose(data, w, rtol=1e-5, atol=np.finfo(value).tiny)


@pytest.mark.parametrize("value", VALUES)
def test_growth_saturates_at_w_max(value):
    w, g = np.array([1e-30, 1, -1, 0], value), np.array([1e6, 1e6, -1e6, 1e6], value)
    _core.plasticity_step(
        np.array([0, 4]), np.arange(4), w, g, np.zeros(1, value), form="exponential", w_max=7.0, normalize=False
    )
    np.testing.assert_array_equal(w, [7, 7, -7, 0])


@pytest.mark.parametrize("value", VALUES)
def test_change_of_log_w_stops_at_the_bound(value):
    w, g = np.array([1, 1, -1, -1, 2, 0], value), np.array([1e30, -1e30, 1e30, -1e30, 0.25, 1e30], value)
    _core.plasticity_step(
        np.array([0, 6]), np.arange(6), w, g, np.ones(1, value), form="exponential", decay=0.0, bound=0.5, eta=1e10,
        normalize=False,
    )  # fmt: skip
    up, down = np.exp(0.5), np.exp(-0.5)
    np.testing.assert_allclose(w, [up, down, -down, -up, 2 * up, 0], rtol=1e-6)


@pytest.mark.parametrize("value", VALUES)
def test_without_decay_activity_and_size_of_the_weight_do_not_count(value):
    indptr, indices, w, G, c = pathway("exponential", value)
    expected = (w * np.exp(np.sign(w) * value(0.1) * G)).astype(value)
    _core.plasticity_step(indptr, indices, w, G, c, form="exponential", eta=0.1, decay=0.0, normalize=False)
    np.testing.assert_allclose(w, expected, rtol=3e-6 if value is np.float32 else 1e-14)


def test_negative_targets_and_weights_count_as_zero():
    w, g, one = np.array([-1.0, 0.5, 0.5]), np.array([1.0, -3.0, 0.0]), np.ones(1)
    fast, slow, _, _ = both((np.array([0, 3]), np.arange(3), w, g, one), normalize=False)
    np.testing.assert_allclose(fast, slow, rtol=1e-12)
    assert (fast >= 0).all() and fast[1] == fast[2]


def test_nan_is_not_hidden():
    for form in FORMS:
        w = np.ones(3)
        _core.plasticity_step(
            np.array([0, 3]), np.arange(3), w, np.array([1, np.nan, 1]), np.ones(1), form=form, normalize=False
        )
        np.testing.assert_array_equal(np.isnan(w), [False, True, False])


# --- noise ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [  # kat_vectors of Random123, threefry2x32 with 20 rounds
        ("00000000 00000000", "00000000 00000000", "6b200159 99ba4efe"),
        ("ffffffff ffffffff", "ffffffff ffffffff", "1cb996fc bb002be7"),
        ("243f6a88 85a308d3", "13198a2e 03707344", "c4923a9c 483df7a0"),
    ],
)
def test_threefry_known_answers(counter, key, expected):
    words, key = (np.array([int(c, 16) for c in text.split()], np.uint32) for text in (counter, key))
    assert " ".join(f"{w:08x}" for w in reference.threefry(words[None], key)[0]) == expected


def noise(columns, seed=0, step=0, row=0, value=np.float64):
    """The kernel's normal numbers: the log of a weight of 1 after a step that is nothing but noise of sd 1."""
    n = len(columns)
    indptr = np.r_[np.zeros(row, int), 0, n]
    w, c = np.ones(n, value), np.zeros(row + 1, value)
    c[-1] = 1e3  # alpha = 1
    with np.errstate(over="ignore"):
        _core.plasticity_step(
            indptr, columns, w, 1e3 * w, c, form="exponential", sigma=1.0, seed=seed, step=step, normalize=False
        )
    return np.log(w.astype(float))


@pytest.mark.parametrize("value", VALUES)
def test_noise_is_the_twins(value):
    columns = np.arange(20_000)
    expected = reference.normal(np.full(20_000, 3), columns, 77, 2**33 + 1)
    np.testing.assert_allclose(
        noise(columns, 77, 2**33 + 1, 3, value), expected, atol=3e-6 if value is np.float32 else 1e-12
    )


def test_noise_moments():
    xi = noise(np.arange(400_000), seed=1, value=np.float32)
    assert abs(xi.mean()) < 0.006 and abs(xi.std() - 1) < 0.005
    assert abs((xi**3).mean()) < 0.02 and abs((xi**4).mean() - 3) < 0.06
    assert abs(np.corrcoef(xi[1:], xi[:-1])[0, 1]) < 0.006
    assert 4 < np.abs(xi).max() < 6.7


def test_noise_has_no_memory_of_position():
    columns = np.arange(1000)
    every = noise(columns)
    # what is dropped changes nothing for the others
    np.testing.assert_array_equal(noise(columns[::3].copy()), every[::3])
    for other in (noise(columns, seed=1), noise(columns, step=1), noise(columns, step=2**32), noise(columns, row=1)):
        assert abs(np.corrcoef(every, other)[0, 1]) < 0.15


@pytest.mark.parametrize("batch", [0.05, 1.0])
def test_stationary_spread_is_sigma(batch):
    n, sigma = 20_000, 0.3
    indptr, indices = np.array([0, n]), np.arange(n)
    w, c = np.full(n, 0.5, np.float32), np.array([batch], np.float32)
    G = w * c
    for step in range(int(8 / batch)):
        _core.plasticity_step(indptr, indices, w, G, c, floor=1e-9, sigma=sigma, step=step, normalize=False)
    assert np.log(w).std() == pytest.approx(sigma, rel=0.03)
    assert np.log(w).mean() == pytest.approx(np.log(0.5), abs=0.02)


# --- vector functions ----------------------------------------------------------------------------------------


def ulps(fast, exact):
    return np.max(np.abs(fast - exact) / np.spacing(np.abs(exact.astype(fast.dtype))).astype(np.longdouble))


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="needs a wider type than float64 to compare with")
@pytest.mark.parametrize("value", VALUES)
def test_vector_functions_over_the_whole_range(value):
    rng, info = np.random.default_rng(0), np.finfo(value)
    x = rng.uniform(np.log(info.smallest_subnormal.astype(np.longdouble)), np.log(info.max), 200_001).astype(value)
    x = np.r_[x, rng.normal(size=50_000).astype(value), np.array([0, -0.0, 1e-40], value)]
    assert ulps(_core._vmath("exp", x), np.exp(x.astype(np.longdouble))) < 1.5
    bits = np.dtype(f"i{info.bits // 8}")  # every exponent, denormals too
    x = rng.integers(1, np.array(info.max).view(bits), 200_001).astype(bits).view(value)
    x = np.r_[x, rng.normal(1, 0.1, 50_000).astype(value), rng.uniform(0, info.tiny, 1000).astype(value)]
    x = x[x > 0]
    assert ulps(_core._vmath("log", x), np.log(x.astype(np.longdouble))) < 1.5
    x = x[x >= info.tiny]
    assert ulps(_core._vmath("sqrt", x), np.sqrt(x.astype(np.longdouble))) < 1.5


@pytest.mark.parametrize("value", VALUES)
def test_vector_functions_at_the_edges(value):
    info = np.finfo(value)
    x = np.array([0, -0.0, np.inf, -np.inf, np.nan, -1, 1, info.max, -info.max, info.smallest_subnormal], value)
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(_core._vmath("exp", x), np.exp(x), rtol=2 * info.eps)
        np.testing.assert_allclose(_core._vmath("log", x), np.log(x), rtol=info.eps)


# --- instruction sets ----------------------------------------------------------------------------------------

COMPARE = """
import numpy as np
from bioneuro import _core, reference
from test_kernels_plasticity import FORMS, VALUES, assert_close, both, of, pathway
for value in VALUES:
    for form in FORMS:
        fast, slow, _, _ = both(pathway(form, value), **of(form, sigma=0.3, w0=0.02, w_max=5.0))
        assert_close(fast, slow, value)
    a = np.random.default_rng(0).normal(size=(20, 77)).astype(value)
    for k in (None, 1, 9):
        y, z = _core.compete(a, beta=5.0, k=k), reference.compete(a, beta=5.0, k=k)
        np.testing.assert_allclose(y, z, rtol=1e-5)
        np.testing.assert_allclose(_core.compete_grad(y, a), reference.compete_grad(y, a), atol=1e-6)
print(_core.config()["simd"])
"""


@pytest.mark.parametrize("simd", ["generic", "avx2"])
def test_other_instruction_sets(simd):
    known = ["generic", "avx2", "avx512"]
    if known.index(simd) > known.index(_core.config()["simd_best"]):
        pytest.skip(f"this processor has no {simd}")
    path = os.pathsep.join([os.path.dirname(__file__), *filter(None, sys.path)])
    run = subprocess.run([sys.executable, "-c", COMPARE], env={**os.environ, "BIONEURO_SIMD": simd, "PYTHONPATH": path},
                         capture_output=True, text=True, timeout=120)  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == simd


# --- the forms and the type that holds one ---------------------------------------------------------------------


def test_every_form_has_a_twin_with_its_parameters():
    common = {"eta", "sigma", "w_min", "w_max", "normalize"}
    assert set(reference.RELAXING) == set(RELAXING)
    assert set(reference.DRIVEN) == set(FORMS) - set(RELAXING)
    for form, step in {**reference.RELAXING, **reference.DRIVEN}.items():
        kinds = inspect.signature(step).parameters.values()
        own = {p.name: p.default for p in kinds if p.kind is inspect.Parameter.KEYWORD_ONLY}
        assert set(_core.FORMS[form].parameters) == common | set(own)
        assert _core.Plasticity(form).parameters | own == _core.Plasticity(form).parameters


def test_every_form_and_parameter_is_documented():
    doc = inspect.getdoc(reference.plasticity_step)
    for name in (*FORMS, *PARAMETERS):
        assert f'``"{name}"``' in doc or f"``{name}``" in doc, name


def test_the_table_of_forms_cannot_be_changed():
    with pytest.raises(TypeError):
        _core.FORMS["mine"] = _core.FORMS["signed"]
    traits = _core.FORMS["log-covariance"]
    assert tuple(traits) == (traits.signs, traits.parameters, traits.nonnegative)
    assert traits.signs == ("E",) and traits.nonnegative == ("c", "Y", "gain")


@pytest.mark.parametrize("form", FORMS)
def test_a_ready_rule_is_the_form_with_its_parameters(form):
    indptr, indices, data, G, c = pathway(form)
    rule = of(form, eta=0.4, sigma=0.2, w0=0.1, slope=0.5, exponent=2, floor=0.01, w_max=3, normalize=False)
    ready = _core.Plasticity(**rule)
    apart, at_once = data.copy(), data.copy()
    counts = [
        kernels.plasticity_step(indptr, indices, apart, G, c, seed=3, step=4, theta=0.2, **rule),
        kernels.plasticity_step(indptr, indices, at_once, G, c, ready, seed=3, step=4, theta=0.2),
    ]
    np.testing.assert_array_equal(apart, at_once)
    twin = data.copy()
    counts.append(reference.plasticity_step(indptr, indices, twin, G, c, ready, seed=3, step=4, theta=0.2))
    assert_close(apart, twin, np.float64)
    assert len(set(counts)) == 1


@pytest.mark.parametrize("form", FORMS)
def test_a_rule_says_what_it_is_and_survives_copies(form):
    rule = _core.Plasticity(form, eta=1, w_max=2.5, normalize=0)
    assert rule.form == form
    assert tuple(rule.parameters) == _core.FORMS[form].parameters
    assert rule.parameters["eta"] == 1.0 and rule.parameters["normalize"] is False
    assert repr(rule).startswith(f"Plasticity({form!r}, eta=1.0, sigma=0.0, ") and "normalize=False)" in repr(rule)
    same = [pickle.loads(pickle.dumps(rule, p)) for p in range(pickle.HIGHEST_PROTOCOL + 1)]
    for other in (*same, copy.copy(rule), copy.deepcopy(rule), _core.Plasticity(rule)):
        assert other == rule and hash(other) == hash(rule) and not other != rule
    assert rule != _core.Plasticity(form, eta=1, w_max=2.5) and rule != form
    assert len({rule, *same, *map(_core.Plasticity, FORMS)}) == len(FORMS) + 1
    for change in (lambda: setattr(rule, "form", form), lambda: setattr(rule, "eta", 2)):
        with pytest.raises(AttributeError):
            change()
    rule.parameters["eta"] = 7  # a copy
    assert rule.parameters["eta"] == 1.0


def test_rules_that_are_no_rules():
    with pytest.raises(TypeError, match="keywords must be strings"):
        _core.Plasticity(**{1: 2})
    with pytest.raises(TypeError, match="keywords must be strings"):
        _core.plasticity_step(*pathway("signed"), **{1: 2})
    with pytest.raises(TypeError, match="at most 1 argument"):
        _core.Plasticity("signed", 1.0)
    with pytest.raises(TypeError, match="has its parameters already, but w0 is given too"):
        _core.Plasticity(_core.Plasticity("signed"), w0=1.0)
    with pytest.raises(TypeError, match="form must be a Plasticity or one of"):
        _core.Plasticity(None)


# --- what is refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule, error, message",
    [
        (
            dict(form="hebb"),
            ValueError,
            f"form must be one of {', '.join(map(repr, FORMS))}, got 'hebb'",
        ),
        (dict(form=1), TypeError, "form must be a Plasticity or one of 'log-relaxation', .*'signed', got int"),
        (dict(rate=1), TypeError, "form 'log-relaxation' has no parameter 'rate': it has eta, sigma, floor, w_min"),
        (dict(form="signed", floor=1), TypeError, "form 'signed' has no parameter 'floor': it has eta, sigma, w0, w_m"),
        (dict(form=_core.Plasticity(), eta=1), TypeError, "form is a Plasticity, which has its parameters.*eta is"),
        (dict(form="log-covariance", slope=-1.0), ValueError, "slope must be a finite number >= 0, got -1.0"),
        (dict(form="log-covariance", slope=np.nan), ValueError, "slope must be a finite number >= 0, got nan"),
        (dict(eta=-0.1), ValueError, "eta must be a finite number >= 0, got -0.1"),
        (dict(eta=np.nan), ValueError, "eta must be a finite number >= 0, got nan"),
        (dict(eta=np.inf), ValueError, "eta must be a finite number >= 0, got inf"),
        (dict(eta="fast"), TypeError, "eta must be a finite number >= 0, got str"),
        (dict(floor=0.0), ValueError, "floor must be a number > 0 and <= 1e30, got 0.0"),
        (dict(floor=np.nan), ValueError, "floor must be a number > 0 and <= 1e30, got nan"),
        (dict(form="log-power", exponent=0.0), ValueError, "exponent must be a number > 0 and <= 1e30, got 0.0"),
        (dict(form="log-power", exponent=np.nan), ValueError, "exponent must be a number > 0 and <= 1e30, got nan"),
        (dict(floor=2e30), ValueError, "floor must be a number > 0 and <= 1e30, got 2e"),
        (dict(form="log-power", exponent=2e30), ValueError, "exponent must be a number > 0 and <= 1e30, got 2e"),
        (dict(form="signed", w0=2e30), ValueError, "w0 must be a number >= 0 and <= 1e30, got 2e"),
        (dict(sigma=-1), ValueError, "sigma must be a finite number >= 0, got -1"),
        (dict(sigma=np.nan), ValueError, "sigma must be a finite number >= 0, got nan"),
        (dict(form="signed", w0=-1.0), ValueError, "w0 must be a number >= 0 and <= 1e30, got -1.0"),
        (dict(form="exponential", decay=-1.0), ValueError, "decay must be a number >= 0 and <= 1e30, got -1.0"),
        (dict(form="exponential", bound=0.0), ValueError, "bound must be a number > 0, got 0.0"),
        (dict(form="exponential", bound=np.nan), ValueError, "bound must be a number > 0, got nan"),
        (dict(w_min=-1.0), ValueError, "w_min must be a finite number >= 0, got -1.0"),
        (dict(w_min=2.0, w_max=1.0), ValueError, "w_max must be a number >= w_min, got 1.0"),
        (dict(w_max=np.nan), ValueError, "w_max must be a number >= w_min, got nan"),
        (dict(theta=1.5), ValueError, r"theta must be a number in \[0, 1\], got 1.5"),
        (dict(theta=np.nan), ValueError, r"theta must be a number in \[0, 1\], got nan"),
        (dict(seed=-1), ValueError, r"seed must be an integer in \[0, 2\*\*64\), got -1"),
        (dict(seed=2**64), ValueError, r"seed must be an integer in \[0, 2\*\*64\)"),
        (dict(seed=1.5), TypeError, r"seed must be an integer in \[0, 2\*\*64\), got float"),
        (dict(step=True), TypeError, r"step must be an integer in \[0, 2\*\*64\), got bool"),
        (dict(n_threads=0), ValueError, r"n_threads must be None, 'auto' or an integer in \[1, 1024\], got 0"),
    ],
)
def test_bad_rule(rule, error, message):
    arrays = pathway("exponential")
    before = arrays[2].copy()
    with pytest.raises(error, match=message):
        _core.plasticity_step(*arrays, **rule)
    np.testing.assert_array_equal(arrays[2], before)


@pytest.mark.parametrize(
    "position, change, error, message",
    [
        (0, lambda a: a.astype(np.int64), TypeError, "indices must be .*int64.* like indptr"),
        (1, lambda a: a.astype(float), TypeError, "indices must be int32 or int64"),
        (2, lambda a: a.astype(np.float16), TypeError, "data must be float32 or float64"),
        (2, lambda a: None, TypeError, "data must be a NumPy array"),
        (2, lambda a: a[:-1].copy(), ValueError, r"data.shape\[0\] must be"),
        (3, lambda a: a.astype(np.float32), TypeError, "G must be float64 like data"),
        (3, lambda a: a[:-1].copy(), ValueError, r"G.shape\[0\] must be .* one for each synapse"),
        (3, lambda a: np.repeat(a, 2)[::2], ValueError, "G must be C-contiguous"),
        (3, lambda a: a.tolist(), TypeError, "G must be a NumPy array of float64, got list"),
        (4, lambda a: a[:-1].copy(), ValueError, r"c.shape\[0\] must be 13, one for each row of W, got 12"),
        (4, lambda a: a.reshape(1, -1), ValueError, "c must have 1 dimension, got 2"),
    ],
)
def test_bad_array(position, change, error, message):
    arrays = list(pathway("exponential"))
    arrays[position] = change(arrays[position])
    with pytest.raises(error, match=message):
        _core.plasticity_step(*arrays)


def test_data_must_be_writeable_and_its_own():
    indptr, indices, data, G, c = pathway("exponential")
    with pytest.raises(ValueError, match="data must not share memory with G"):
        _core.plasticity_step(indptr, indices, data, data, c)
    data.flags.writeable = False
    with pytest.raises(ValueError, match="data must be writeable"):
        _core.plasticity_step(indptr, indices, data, G, c)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 60, reason="needs a wider type than float64 to compare with")
@pytest.mark.parametrize("value", VALUES)
def test_exp_factor_is_exp_among_normal_numbers_and_always_finite(value):
    info = np.finfo(value)
    ends = np.array([np.log(info.tiny), np.log(info.max)], value)
    x = np.random.default_rng(0).uniform(*ends.astype(np.longdouble), 200_001).astype(value)
    near = [np.nextafter(e, value(d) * np.inf) for e in ends for d in (-1, 1)]
    x = np.r_[x, ends, near].astype(value)
    with np.errstate(over="ignore"):
        exact = np.exp(x.astype(np.longdouble))
    inside = (exact >= info.tiny) & (exact < info.max)
    y = _core._vmath("exp_factor", x)
    assert ulps(y[inside], exact[inside]) < 1.5
    np.testing.assert_array_equal(y[exact > info.max], info.max)
    assert (y[exact < info.tiny] <= info.tiny).all()
    edges = _core._vmath("exp_factor", np.array([np.inf, -np.inf, 1e4, -1e4, np.nan], value))
    np.testing.assert_array_equal(edges, [info.max, 0, info.max, 0, np.nan])


def test_bad_vmath():
    with pytest.raises(ValueError, match="name must be 'exp', 'exp_factor', 'log' or 'sqrt', got 'tan'"):
        _core._vmath("tan", np.ones(1))
