"""Contrast response: the published formula, its independent twin, inverse, slope, and what is refused."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bioneuro import reference
from bioneuro.contrast_response import NakaRushton
from bioneuro.layers import Retina

CURVES = st.builds(
    NakaRushton, st.floats(0.25, 8.0), st.one_of(st.just(np.inf), st.floats(0.05, 4.0))
)  # what networks are likely to have
CONTRASTS = np.concatenate([[0.0, 1e-30, 1e-3], np.linspace(0.01, 1, 50)])


def test_the_formula_of_naka_and_rushton():
    """``R = R_max c^n / (c^n + c_50^n)``: half of R_max at c_50, and the values of c_50 = .5, n = 2 by hand."""
    c, c50, n = np.array([0.0, 0.25, 0.5, 1.0]), 0.5, 2.0
    published = c**n / (c**n + c50**n)
    np.testing.assert_allclose(published, [0, 0.2, 0.5, 0.8])
    found = NakaRushton(n, c50).response(c)
    np.testing.assert_allclose(found, published / published[-1], rtol=1e-15)
    np.testing.assert_allclose(found, [0, 0.25, 0.625, 1])
    np.testing.assert_allclose(reference.contrast_response(c, n, c50), found, rtol=1e-14)


@example(NakaRushton(6.3125, 0.05078125), np.float32)  # s^n is small: 1 + s^n - r would lose it by rounding
@example(NakaRushton(8.0, 0.05), np.float64)
@given(CURVES, st.sampled_from([np.float32, np.float64]))
def test_response_inverse_and_slope_are_those_of_the_twin(curve, dtype):
    x = CONTRASTS.astype(dtype)
    tolerance = 100 * np.finfo(dtype).eps
    r = curve.response(x)
    assert r.dtype == dtype
    parameters = curve.exponent, curve.semi_saturation
    twin = reference.contrast_response(x, *parameters)
    tiny = np.finfo(np.float32).tiny
    np.testing.assert_allclose(r, twin, rtol=tolerance, atol=tiny)
    np.testing.assert_allclose(
        curve.slope(x[2:]), reference.contrast_response_slope(x[2:], *parameters), rtol=tolerance, atol=tiny
    )
    inside = x[3:-1]
    back = curve.inverse(curve.response(inside))
    steepness = inside / np.maximum(curve.slope(inside), tiny)
    np.testing.assert_allclose(back, inside, rtol=1e-5 + 10 * float(np.finfo(dtype).eps * steepness.max()))
    np.testing.assert_allclose(
        curve.inverse(twin[3:-1]), reference.contrast_response_inverse(twin[3:-1], *parameters), rtol=1e-9
    )


@given(CURVES)
def test_response_rises_from_0_to_1(curve):
    r = curve.response(np.linspace(0, 1, 200))
    assert r[0] == 0 and r[-1] == pytest.approx(1) and (np.diff(r) >= 0).all()


@pytest.mark.parametrize("exponent", [0.25, 1.0, 4.0, 59.0])
@pytest.mark.parametrize("semi_saturation", [0.5, 1.5, np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_everything_is_finite_at_every_contrast(exponent, semi_saturation, dtype):
    x = np.array([0, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny, 1e-20, 0.5, 1], dtype)
    curve = NakaRushton(exponent, semi_saturation)
    for values in (curve.response(x), curve.slope(x), curve.inverse(curve.response(x))):
        assert values.dtype == dtype and np.isfinite(values).all() and (values >= 0).all()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ((0.0, 1.0), "exponent must be a finite number > 0, got 0.0"),
        ((np.nan, 1.0), "exponent must be a finite number > 0, got nan"),
        ((np.inf, 0.5), "exponent must be a finite number > 0, got inf"),
        ((1.0, -1.0), "semi_saturation must be a finite number > 0 or inf, got -1.0"),
        ((61.0, 0.5), r"semi_saturation \*\* exponent must lie in \[1e-18, 1e\+18\], got 0.5 \*\* 61.0"),
        ((400.0, 2.0), r"semi_saturation \*\* exponent must lie in \[1e-18, 1e\+18\], got 2.0 \*\* 400.0"),
    ],
)
@pytest.mark.parametrize("kind", [NakaRushton, lambda *parameters: Retina(7, *parameters)])
def test_refuses(kind, parameters, message):
    with pytest.raises(ValueError, match=message):
        kind(*parameters)
