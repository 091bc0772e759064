"""Generated images have the statistics of natural scenes that they are made for, and the noise lacks the edges."""

import numpy as np
import pytest
from scipy import ndimage, stats

from bioneuro.research.natural_images import dead_leaves, gaussian_twin, spectral_slope

SHAPE = (32, 32)


@pytest.fixture(scope="module")
def leaves():
    return dead_leaves(100, SHAPE, random_state=0)


@pytest.fixture(scope="module")
def twin(leaves):
    return gaussian_twin(leaves, SHAPE, random_state=1)


def band_passed(X):
    images = np.asarray(X, float).reshape(-1, *SHAPE)
    return ndimage.gaussian_filter(images, (0, 0.6, 0.6)) - ndimage.gaussian_filter(images, (0, 1.2, 1.2))


def test_leaves_are_images_in_the_unit_interval(leaves):
    assert leaves.shape == (100, 1024) and leaves.dtype == np.float32
    assert leaves.min() >= 0 and leaves.max() <= 1
    assert leaves.mean() == pytest.approx(0.5, abs=0.05), "gray levels are uniform"


def test_power_of_leaves_falls_with_the_square_of_the_frequency(leaves, twin):
    assert spectral_slope(leaves, SHAPE) == pytest.approx(-2, abs=0.3)
    assert spectral_slope(twin, SHAPE) == pytest.approx(spectral_slope(leaves, SHAPE), abs=0.15)


def test_slope_of_known_spectra():
    rng = np.random.default_rng(0)
    white = rng.standard_normal((200, 64, 64))
    f = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64)))
    f[0, 0] = np.inf
    for exponent in (0, -1, -3):
        images = np.fft.ifft2(np.fft.fft2(white) * f ** (exponent / 2)).real
        assert spectral_slope(images.reshape(200, -1), (64, 64)) == pytest.approx(exponent, abs=0.15)


def test_leaves_have_edges_and_their_twin_has_none(leaves, twin):
    assert stats.kurtosis(band_passed(leaves), axis=None) > 1, "much of a scene is flat, little of it an edge"
    assert abs(stats.kurtosis(band_passed(twin), axis=None)) < 0.5


def test_twin_is_normal_and_all_but_unclipped(twin):
    assert twin.dtype == np.float32 and twin.min() == 0 and twin.max() == 1
    assert twin.mean() == pytest.approx(0.5, abs=0.01) and twin.std() == pytest.approx(0.2, abs=0.01)
    assert np.mean((twin == 0) | (twin == 1)) < 0.02
    assert abs(stats.kurtosis(twin, axis=None)) < 0.4


def test_largest_leaves_give_larger_areas():
    small, large = (dead_leaves(20, SHAPE, radii=radii, random_state=0) for radii in ((1, 3), (8, 30)))
    changes = [np.abs(np.diff(X.reshape(-1, *SHAPE), axis=2)).mean() for X in (small, large)]
    assert changes[0] > 3 * changes[1]


def test_seed_decides_and_more_images_begin_with_fewer():
    few, many, other = (dead_leaves(n, (9, 12), random_state=seed) for n, seed in ((2, 0), (5, 0), (2, 1)))
    assert few.shape == (2, 108)
    assert np.array_equal(few, many[:2]) and not np.array_equal(few, other)
    twins = [gaussian_twin(many, (9, 12), random_state=seed) for seed in (0, 0, 1)]
    assert np.array_equal(twins[0], twins[1]) and not np.array_equal(twins[0], twins[2])


@pytest.mark.parametrize("n", [0, -1, 2.5])
def test_leaves_refuse_a_number_that_is_none(n):
    with pytest.raises(ValueError, match="n must be an integer >= 1"):
        dead_leaves(n)


@pytest.mark.parametrize("shape", [(28,), (0, 28), (28, 28, 3), (7.5, 7)])
def test_leaves_refuse_a_bad_shape(shape):
    with pytest.raises(ValueError, match="shape must be"):
        dead_leaves(1, shape)


@pytest.mark.parametrize("radii", [(0, 5), (5, 2), (1, np.inf), (1, np.nan)])
def test_leaves_refuse_bad_radii(radii):
    with pytest.raises(ValueError, match="radii must be"):
        dead_leaves(1, (8, 8), radii=radii)


@pytest.mark.parametrize("function", [gaussian_twin, spectral_slope])
def test_images_must_have_the_shape_named(function):
    with pytest.raises(ValueError, match=r"X must be \(n, 1024\)"):
        function(np.zeros((3, 1000)), SHAPE)


def test_images_must_be_finite():
    with pytest.raises(ValueError, match="X must be finite"):
        gaussian_twin(np.full((3, 1024), np.nan), SHAPE)


def test_slope_needs_pixels():
    with pytest.raises(ValueError, match="at least 16 x 16"):
        spectral_slope(np.zeros((3, 64)), (8, 8))


@pytest.mark.parametrize("function", [gaussian_twin, spectral_slope])
def test_constant_images_have_no_spectrum(function):
    with pytest.raises(ValueError, match="X is constant"):
        function(np.full((3, 1024), 0.3), SHAPE)
