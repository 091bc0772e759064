"""bioneuro.baselines: encoders that no neural rule has learned."""

import numpy as np
import pytest
from rival_checks import slope
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import check_estimator

from bioneuro import BioClassifier
from bioneuro.baselines import FilterBank, OrientationHistogram
from bioneuro.layers import Retina

BANKS = [
    FilterBank(16, filters="random", retina=Retina(5, n_threads=1), random_state=0, n_threads=1),
    FilterBank(16, retina=Retina(5, n_threads=1), n_images=50, n_patches=1000, random_state=0, n_threads=1),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("encoder", [*BANKS, OrientationHistogram()], ids=["random", "kmeans", "orientation"])
def test_is_a_scikit_learn_transformer(encoder):
    check_estimator(encoder)


@pytest.mark.parametrize("encoder", [*BANKS, OrientationHistogram(grid=4)], ids=["random", "kmeans", "orientation"])
def test_features_are_rates_of_unit_norm_that_a_linear_readout_reads(digits, encoder):
    H = encoder.fit_transform(digits.X_train)
    assert H.min() >= 0 and H.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(H, axis=1), 1, rtol=1e-5)
    model = make_pipeline(encoder, LogisticRegression(C=10, max_iter=300)).fit(digits.X_train, digits.y_train)
    assert model.score(digits.X_test, digits.y_test) > 0.88


@pytest.mark.parametrize("filters", ["random", "kmeans"])
def test_gradient_of_a_bank(filters):
    X = np.random.default_rng(0).uniform(0.1, 0.9, (3, 30))
    bank = FilterBank(6, filters=filters, image_shape=(5, 6), grid=2, retina=Retina(3, 2.0, 0.5), dtype="float64")
    encoder = bank.set_params(random_state=0).fit(X).encoder_
    D = np.random.default_rng(1).normal(size=(3, encoder.n_features))
    numeric = slope(lambda: (D * encoder.encode(X)).sum(), X)
    np.testing.assert_allclose(encoder.encode_grad(X, D), numeric, atol=1e-6)


def test_filters_are_of_unit_norm_and_reproducible(digits):
    for bank in BANKS:
        W, again = (bank.fit(digits.X_train).encoder_.columns.synapses.to_scipy().toarray() for _ in "ab")
        np.testing.assert_allclose(np.linalg.norm(W, axis=1), 1, rtol=1e-5)
        np.testing.assert_array_equal(W, again)


def test_a_bank_serves_the_network_as_encoder(digits):
    X, y = digits.X_train[:300], digits.y_train[:300]
    encoder = BANKS[1].fit(X).encoder_
    model = BioClassifier(encoder=encoder, n_cells=100, random_state=0, n_threads=1).fit(X, y)
    assert model.score(digits.X_test, digits.y_test) > 0.7
    assert model.input_gradient(X[:5], y[:5]).any()


@pytest.mark.parametrize(("angle", "bin"), [(0, 0), (45, 2), (90, 4), (135, 6), (180, 0)])
def test_a_ramp_has_one_orientation(angle, bin):
    down, across = np.mgrid[:9, :9] / 30
    ramp = np.cos(np.radians(angle)) * across + np.sin(np.radians(angle)) * down
    H = OrientationHistogram(8, grid=1, dtype="float64").fit_transform(ramp.reshape(1, -1) - ramp.min())
    inner = OrientationHistogram(8, grid=1, dtype="float64").fit(ramp.reshape(1, -1))
    assert H[0].argmax() == bin
    assert inner.transform(np.zeros((1, 81)))[0].max() == 0  # no edge, no feature


def test_orientation_is_shared_between_the_two_nearest_bins():
    down, across = np.mgrid[:9, :9] / 30
    angle = np.pi * 2.25 / 8  # a quarter of the way from bin 2 to bin 3
    ramp = np.cos(angle) * across + np.sin(angle) * down
    encoder = OrientationHistogram(8, grid=1, dtype="float64").fit(np.zeros((1, 81)))
    inside = encoder._histograms(ramp.reshape(1, -1), *[np.eye(9)[4:5]] * 2)[0]
    np.testing.assert_allclose(inside[2] / (inside[2] + inside[3]), 0.75)
    np.testing.assert_allclose(np.delete(inside, [2, 3]), 0, atol=1e-12)


@pytest.mark.parametrize(
    ("encoder", "match"),
    [
        (FilterBank(1), "n_filters must be an integer >= 2, got 1"),
        (FilterBank(grid=0), "grid must be an integer >= 1, got 0"),
        (FilterBank(n_images=0), "n_images must be an integer >= 1, got 0"),
        (FilterBank(filters="gabor"), r"filters must be one of \['kmeans', 'random'\], got 'gabor'"),
        (FilterBank(image_shape=(3, 4)), "image_shape must have a product of 16 features"),
        (FilterBank(retina=Retina(3, 4.0, 0.5)), r"X must lie in \[0, 1\] with a contrast response, but X\[0, 0\] = 2"),
        (FilterBank(dtype="float16"), "dtype must be"),
        (OrientationHistogram(1), "n_bins must be an integer >= 2, got 1"),
        (OrientationHistogram(grid=0), "grid must be an integer >= 1, got 0"),
    ],
)
def test_refuses(encoder, match):
    with pytest.raises(ValueError, match=match):
        encoder.fit(np.full((3, 16), 2.0))
