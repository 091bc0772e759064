"""BioClassifier: the estimator contract, gradients, images of all sizes, plain vectors, errors."""

import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

import bioneuro as bn
from bioneuro import BioClassifier
from bioneuro.layers import Association, UnitNorm

SMALL = {"n_cells": 100, "n_epochs": 2, "readout_epochs": 5, "n_columns": 12, "random_state": 0}


@pytest.fixture(scope="module")
def digits():
    return bn.datasets.load("digits")


@pytest.fixture(scope="module")
def small(digits):
    return BioClassifier(**SMALL).fit(digits.X_train[:400], digits.y_train[:400])


@pytest.fixture(scope="module")
def exact(digits):
    """The same in float64, for finite differences."""
    return BioClassifier(**SMALL, dtype="float64").fit(digits.X_train[:400], digits.y_train[:400])


@parametrize_with_checks([BioClassifier(random_state=0), BioClassifier("votes", random_state=0)])
def test_estimator_contract(estimator, check):
    check(estimator)


def test_learns_digits(digits):
    model = BioClassifier(random_state=0).fit(digits.X_train, digits.y_train)
    assert model.score(digits.X_test, digits.y_test) > 0.95
    assert model.set_params(readout="votes").score(digits.X_test, digits.y_test) > 0.95


def test_a_readout_that_has_not_learned_is_refused(digits):
    model = BioClassifier(**SMALL).fit(digits.X_train[:100], digits.y_train[:100]).set_params(readout="perturbation")
    with pytest.raises(ValueError, match=r"readout must be one that has learned, \['delta', 'votes'\]"):
        model.predict(digits.X_test)


def test_images_whose_encoder_has_no_retina_have_no_contrast_response(digits):
    X, y = digits.X_train[:100], digits.y_train[:100]
    model = BioClassifier(**SMALL, encoder=UnitNorm(64)).fit(X, y)
    assert model.image_shape_ == (8, 8)
    np.testing.assert_array_equal(model.response(X), X)
    np.testing.assert_array_equal(model.response_inverse(X), X)
    np.testing.assert_array_equal(model.response_gradient(X, y), model.input_gradient(X, y))


def test_perturbation_readout_learns_from_reward_alone(digits):
    model = BioClassifier("perturbation", **{**SMALL, "readout_epochs": 30, "n_cells": 300})
    model.fit(digits.X_train, digits.y_train)
    assert model.score(digits.X_test, digits.y_test) > 0.8


def test_reproducible_and_independent_of_threads(digits):
    X, y = digits.X_train[:200], digits.y_train[:200]
    one, two, other = (
        BioClassifier(**{**SMALL, "n_threads": n, "random_state": seed}).fit(X, y).decision_function(X)
        for n, seed in ((1, 0), (2, 0), (1, 1))
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("readout", ["delta", "votes"])
@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize("space", ["image", "response"])
def test_input_gradient(exact, digits, readout, loss, space):
    model = clone(exact).set_params(readout=readout)
    model.__dict__.update({k: v for k, v in vars(exact).items() if k.endswith("_")})
    X = np.random.default_rng(1).uniform(0.2, 0.9, (5, 64))  # no two pixels alike: ON and OFF have a kink at 0
    y, rows = digits.y_test[:5], np.arange(5)

    def total(Z):
        z = model.decision_function(model.response_inverse(Z) if space == "response" else Z)
        if loss == "ce":
            return -log_softmax(z, axis=1)[rows, y].sum()
        others = z.copy()
        others[rows, y] = -np.inf
        return (others.max(axis=1) - z[rows, y]).sum()

    D = np.random.default_rng(0).normal(size=X.shape)
    Z = model.response(X) if space == "response" else X
    e = 1e-6
    expected = (total(Z + e * D) - total(Z - e * D)) / (2 * e)
    gradient = model.response_gradient if space == "response" else model.input_gradient
    assert (gradient(X, y, loss) * D).sum() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (35, 35), (12, 20), (16, 16, 3)])
def test_images_of_any_size(shape):
    rng = np.random.default_rng(0)
    bars = [np.zeros(shape), np.zeros(shape), np.zeros(shape)]  # horizontal, vertical, blob
    bars[0][shape[0] // 2] = bars[1][:, shape[1] // 2] = 1
    bars[2][shape[0] // 4 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] = 1
    templates = np.reshape(bars, (3, -1))
    y = np.repeat([0, 1, 2], 20)
    X = np.clip(templates[y] + rng.normal(0, 0.05, (60, templates.shape[1])), 0, 1).astype(np.float32)
    model = BioClassifier(**SMALL, image_shape=shape).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) == 1.0
    assert model.transform(X).shape == (60, model.encoder_.n_features)


def test_plain_vectors():
    from sklearn.datasets import load_wine
    from sklearn.model_selection import cross_val_score

    X, y = load_wine(return_X_y=True)
    assert cross_val_score(BioClassifier(random_state=0), X, y, cv=3).mean() > 0.93


def test_partial_fit_goes_on_and_recruits_as_samples_come(digits):
    model = BioClassifier(**{**SMALL, "n_cells": 300})
    in_use, score, encoder = [], [], None
    for start in range(0, 1200, 400):
        batch = slice(start, start + 400)
        model.partial_fit(digits.X_train[batch], digits.y_train[batch], classes=np.arange(10))
        encoder = encoder or model.encoder_
        in_use.append(int((model.network_.association.age > 0.5).sum()))
        score.append(model.score(digits.X_test, digits.y_test))
    assert model.encoder_ is encoder
    assert in_use[0] < in_use[1] <= 300
    assert score[2] > max(score[0], 0.85)


def test_no_association_cell_is_dead_after_a_random_start(digits):
    """Every cell wins some training image; without recruitment a good part of them would not (the control)."""

    H = BioClassifier(random_state=0).fit_features(digits.X_train).transform(digits.X_train)
    T = np.eye(10, dtype=np.float32)[digits.y_train]

    def share_that_wins(recruitment):
        layer = Association(300, H.shape[1], 10, recruitment=recruitment, seed=0)
        for start in [*range(0, len(H), 100)] * 2:
            layer.learn(H[start : start + 100], T[start : start + 100])
        return len(np.unique(layer.drive(H).argmax(axis=1))) / 300

    assert share_that_wins(0.25) == 1.0
    assert share_that_wins(0.0) < 0.9


def test_features_learned_without_labels_serve_another_classifier(digits):
    features = BioClassifier(**SMALL).fit_features(digits.X_train)
    weights = features.encoder_.columns.synapses.weights.copy()
    model = BioClassifier(**SMALL, encoder=features.encoder_).fit(digits.X_train[:50], digits.y_train[:50])
    np.testing.assert_array_equal(model.encoder_.columns.synapses.weights, weights)
    np.testing.assert_array_equal(model.transform(digits.X_test), features.transform(digits.X_test))


def test_silent_synapses_leave_the_csr(digits):
    dense = BioClassifier(**{**SMALL, "theta": 0.0}).fit(digits.X_train[:400], digits.y_train[:400])
    sparse = BioClassifier(**{**SMALL, "theta": 0.2}).fit(digits.X_train[:400], digits.y_train[:400])
    assert sparse.weights()["association"].nnz < 0.7 * dense.weights()["association"].nnz


def test_weights_are_read_only_and_obey_dale(small):
    weights = small.weights()
    readout = {"readout_excitatory", "readout_e_to_i", "readout_inhibitory"}
    assert set(weights) == {"map", "association"} | readout
    assert (weights["readout_excitatory"].data > 0).all() and (weights["readout_inhibitory"].data < 0).all()
    with pytest.raises(ValueError, match="read-only"):
        weights["association"].data[0] = 1


@pytest.mark.parametrize("options", [{}, {"readout": "perturbation"}, {"readout": "votes"}, {"competition": "circuit"}])
def test_every_cell_of_every_population_makes_synapses_of_one_sign(digits, options):
    model = BioClassifier(**{**SMALL, **options}).fit(digits.X_train[:300], digits.y_train[:300])
    outgoing, weights = model.outgoing(), model.weights()
    assert sorted(name for made in outgoing.values() for name in made) == sorted(weights)
    indices = bn.analysis.dale_indices(outgoing)
    for cells, made in outgoing.items():
        assert {W.shape[1] for W in made.values()} == {len(indices[cells])}
        assert np.nanmin(indices[cells]) == 1, cells
    if "readout_e_to_i" in weights:
        assert {"readout_excitatory", "readout_e_to_i"} <= set(outgoing["association"])
        assert set(outgoing["readout_i"]) == {"readout_inhibitory"}


def test_string_labels(digits):
    names = np.array([f"digit {k}" for k in range(10)])
    model = BioClassifier(**SMALL).fit(digits.X_train[:300], names[digits.y_train[:300]])
    assert set(model.predict(digits.X_test[:50])) <= set(names)


def test_input_is_not_mutated(digits):
    X, y = digits.X_train[:100].copy(), digits.y_train[:100].copy()
    BioClassifier(**SMALL).fit(X, y).predict(X)
    np.testing.assert_array_equal(X, digits.X_train[:100])
    np.testing.assert_array_equal(y, digits.y_train[:100])


# --- bad input, one by one ---


def fit_with(**parameters):
    X = np.random.default_rng(0).uniform(size=(20, 64))
    return BioClassifier(**parameters).fit(X, np.arange(20) % 2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"readout": "linear"}, "readout must be one of"),
        ({"dtype": "int8"}, "dtype must be"),
        ({"n_cells": 0}, "n_cells must be an integer >= 1"),
        ({"n_columns": 2.5}, "n_columns must be an integer >= 1"),
        ({"theta": 1.0}, r"theta must lie in \[0, 1\)"),
        ({"hebbian_exponent": 0}, "hebbian_exponent must be a finite number > 0, got 0"),
        ({"hebbian_floor": np.nan}, "hebbian_floor must be a finite number > 0, got nan"),
        ({"eta": np.nan}, "eta must be >= 0"),
        ({"kappa": -1.0}, "kappa must be >= 0"),
        ({"image_shape": "square"}, "image_shape must be 'auto'"),
        ({"image_shape": (8, 9)}, "product of 64 features"),
        ({"n_epochs": "all"}, "n_epochs must be an integer >= 1"),
        ({"exponent": 0.0}, "exponent must be > 0"),
        ({"n_threads": 0}, "n_threads must be"),
        ({"beta": 0.0}, "beta must be > 0"),
    ],
)
def test_refuses_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        fit_with(**parameters)


def test_refuses_a_number_in_quotes():
    with pytest.raises(TypeError, match="hebbian_exponent must be a number, got '4'"):
        fit_with(hebbian_exponent="4")


def test_refuses_pixels_outside_the_unit_interval():
    X = np.full((10, 64), 0.5)
    X[3, 7] = 16
    with pytest.raises(ValueError, match=r"X must lie in \[0, 1\] for images, but X\[3, 7\] = 16"):
        BioClassifier().fit(X, np.arange(10) % 2)


def test_refuses_one_class():
    with pytest.raises(ValueError, match="at least 2 classes"):
        BioClassifier().fit(np.full((4, 64), 0.5), np.zeros(4))


def test_refuses_labels_not_seen(small, digits):
    with pytest.raises(ValueError, match=r"y must hold labels out of classes_, but y\[1\]"):
        small.input_gradient(digits.X_test[:2], np.array([0, 11]))


def test_refuses_labels_of_another_length(small, digits):
    with pytest.raises(ValueError, match=r"y must have shape \(2,\)"):
        small.input_gradient(digits.X_test[:2], np.array([0]))


def test_refuses_unknown_loss(small, digits):
    with pytest.raises(ValueError, match="loss must be 'ce' or 'margin'"):
        small.input_gradient(digits.X_test[:2], digits.y_test[:2], loss="hinge")


def test_partial_fit_needs_classes_first(digits):
    with pytest.raises(ValueError, match="classes must be passed"):
        BioClassifier().partial_fit(digits.X_train[:10], digits.y_train[:10])


def test_partial_fit_refuses_other_classes(digits):
    model = BioClassifier(**SMALL).partial_fit(digits.X_train[:50], digits.y_train[:50], classes=np.arange(10))
    with pytest.raises(ValueError, match="classes must be those of the first call"):
        model.partial_fit(digits.X_train[:50], digits.y_train[:50], classes=np.arange(9))
