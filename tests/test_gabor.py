"""Gabor fits recover what was drawn and do not find it in noise; the orientation index of known fields."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioneuro.analysis import GaborFit, fit_gabor, fit_gabors, orientation_index

SIDE = 13


def gabors():
    """Fields with half a cycle or more under the envelope: below, different parameters draw the same field."""
    centre, width = st.floats(0.35 * SIDE, 0.6 * SIDE), st.floats(0.12 * SIDE, 0.22 * SIDE)
    angle = st.floats(0, np.pi, exclude_max=True)
    return st.builds(
        GaborFit, centre, centre, angle, width, width, st.floats(0.12, 0.35), st.floats(-3.1, 3.1), st.floats(0.1, 10),
        st.just(1.0),
    )  # fmt: skip


def turned(a, b, period):
    return abs((a - b + period / 2) % period - period / 2)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(gabors())
def test_known_gabors_are_recovered(true):
    fit = fit_gabor(true.image((SIDE, SIDE)))
    assert fit.r2 > 1 - 1e-5
    assert np.allclose(fit.image((SIDE, SIDE)), true.image((SIDE, SIDE)), atol=0.02 * true.amplitude)
    assert turned(fit.theta, true.theta, np.pi) < 0.01 and 0 <= fit.theta < np.pi
    assert fit.frequency == pytest.approx(true.frequency, abs=0.003)
    assert (fit.x0, fit.y0) == pytest.approx((true.x0, true.y0), abs=0.1)
    assert (fit.sigma_x, fit.sigma_y) == pytest.approx((true.sigma_x, true.sigma_y), rel=0.03)
    assert fit.amplitude == pytest.approx(true.amplitude, rel=0.05) and abs(fit.phase) <= np.pi


def test_phase_is_recovered_whatever_the_angle():
    for theta in (0.1, 1.5, 3.1):
        for phase in (-2.0, 0.0, 1.5):
            true = GaborFit(6, 6, theta, 2, 2.5, 0.2, phase, 1, 1)
            assert turned(fit_gabor(true.image((SIDE, SIDE))).phase, phase, 2 * np.pi) < 0.02


def test_what_follows_from_a_fit():
    fit = GaborFit(6, 6, 2.0, 2.0, 3.0, 0.2, 0, 1, 1)
    assert (fit.aspect, fit.nx, fit.ny) == pytest.approx((1.5, 0.4, 0.6))
    assert fit.orientation == pytest.approx(2.0 - np.pi / 2)
    vertical = GaborFit(6, 6, 0.0, 2.0, 3.0, 0.2, 0, 1, 1).image((SIDE, SIDE))
    assert np.ptp(vertical, axis=1).min() > 0.1 and vertical[6].argmax() == 6, "theta 0 is modulated along the columns"


def test_angle_just_below_zero_is_zero_and_not_half_a_turn():
    fit = fit_gabor(GaborFit(4.75, 4.75, 0.0, 2.0, 2.0, 0.125, 0.0, 1.0, 1.0).image((SIDE, SIDE)))
    assert 0 <= fit.theta < np.pi and turned(fit.phase, 0, 2 * np.pi) < 1e-3


def test_fields_of_other_shapes():
    true = GaborFit(9, 4, 0.7, 2.0, 1.5, 0.25, 1.0, 3, 1)
    assert fit_gabor(true.image((9, 18))).r2 > 1 - 1e-5


def test_scale_of_the_field_is_only_in_the_amplitude():
    field = GaborFit(6, 6, 0.7, 2.0, 1.5, 0.25, 1.0, 3, 1).image((SIDE, SIDE))
    a, b = fit_gabor(field), fit_gabor(1e-6 * field)
    assert b.amplitude == pytest.approx(1e-6 * a.amplitude, rel=1e-3) and b.frequency == pytest.approx(a.frequency)


def test_noise_is_not_fitted_and_noisy_gabors_are():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((12, 11, 11))
    assert fit_gabors(noise)["r2"].max() < 0.4
    true = GaborFit(5, 5, 1.0, 2, 2, 0.2, 0.5, 3, 1).image((11, 11))
    found = fit_gabors(true + 0.3 * noise)
    signal = true.var() / (true.var() + 0.09)
    assert found["r2"].mean() == pytest.approx(signal, abs=0.05)
    assert turned(found["theta"], 1.0, np.pi).max() < 0.1


def test_frame_has_a_row_a_field():
    fields = np.stack([GaborFit(4, 4, theta, 2, 2, 0.2, 0, 1, 1).image((9, 9)) for theta in (0.3, 1.3)])
    frame = fit_gabors(np.concatenate([fields, np.ones((1, 9, 9))]))
    assert len(frame) == 3 and frame.loc[:1, "theta"].to_list() == pytest.approx([0.3, 1.3], abs=1e-3)
    assert {"orientation", "aspect", "nx", "ny", "orientation_index"} < set(frame.columns)
    assert frame.loc[2].isna().all(), "there is nothing to fit to a constant field"


def test_orientation_index_of_known_fields():
    y, x = np.indices((15, 15)) - 7.0
    blob, grating = np.exp(-(x**2 + y**2) / 8), np.cos(2 * np.pi * 0.2 * (x + y) / np.sqrt(2))
    bar, quarter = np.exp(-(x**2) / 4), np.rot90(np.exp(-(x**2) / 4))
    index = orientation_index([blob, grating, bar, quarter, blob + 5, np.ones((15, 15))])
    assert index[0] < 0.05 and index[4] == pytest.approx(index[0], abs=1e-9), "a constant is no orientation"
    assert min(index[1], index[2]) > 0.65
    assert index[3] == pytest.approx(index[2])
    assert np.isnan(index[5])


@pytest.mark.parametrize("field", [np.ones(9), np.ones((3, 9)), np.ones((2, 9, 9))])
def test_field_must_be_an_image_large_enough(field):
    with pytest.raises(ValueError, match="field must be 2-d, at least 4 x 4"):
        fit_gabor(field)


def test_field_must_be_finite():
    with pytest.raises(ValueError, match="field must be finite"):
        fit_gabor(np.full((9, 9), np.inf))


def test_bad_field_among_many_is_named():
    fields = np.random.default_rng(0).random((2, 5, 5))
    fields[1, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"fields\[1\] must be finite"):
        fit_gabors(fields)


def test_fields_must_be_images():
    with pytest.raises(ValueError, match=r"fields must be \(n, height, width\)"):
        fit_gabors(np.ones((5, 25)))
