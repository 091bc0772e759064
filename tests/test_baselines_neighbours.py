"""bioneuro.baselines.NearestNeighbour: the rule itself, and exact gradients of it."""

import numpy as np
import pytest
from rival_checks import losses, slope
from sklearn.neighbors import KernelDensity, KNeighborsClassifier
from sklearn.utils.estimator_checks import check_estimator
from test_baselines import RETINA, X3, Y3

from bioneuro.attacks import PGD
from bioneuro.baselines import NearestNeighbour, make
from bioneuro.protocols import DifferentiableFront


def small(**params):
    rng = np.random.default_rng(0)
    X, y = rng.uniform(0.05, 0.95, (40, 5)), np.arange(40) % 4
    model = NearestNeighbour(dtype="float64", random_state=0, **params).fit(X, y)
    return model, rng.uniform(0.05, 0.95, (11, 5)), np.arange(11) % 4


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("params", [{}, {"softness": 0.5}, {"n_prototypes": 3, "random_state": 0}])
def test_is_a_scikit_learn_estimator(params):
    check_estimator(NearestNeighbour(**params))


def test_is_the_nearest_neighbour_rule(digits):
    model = make("nearest-neighbour").fit(digits.X_train, digits.y_train)
    reference = KNeighborsClassifier(1).fit(digits.X_train, digits.y_train)
    np.testing.assert_array_equal(model.predict(digits.X_test), reference.predict(digits.X_test))
    distance = reference.kneighbors(digits.X_test)[0][:, 0]
    np.testing.assert_allclose(-model.decision_function(digits.X_test).max(axis=1), distance**2, rtol=1e-5)
    seen = model.decision_function(digits.X_train[:50])
    np.testing.assert_array_equal(seen[np.arange(50), digits.y_train[:50]], 0)  # no rounding of small distances


@pytest.mark.parametrize("offset", [1e4, -1e5])
def test_an_offset_does_not_change_the_neighbours(offset):
    rng = np.random.default_rng(0)
    X, X_test = (np.float32(rng.normal(offset, 1, (n, 8))) for n in (300, 200))
    model = NearestNeighbour().fit(X, np.arange(300) % 5)
    squares = np.square(X_test[:, None] - X.astype(float)).sum(axis=2)
    expected = -squares.reshape(200, 60, 5).min(axis=1)
    np.testing.assert_allclose(model.decision_function(X_test), expected, rtol=1e-5)
    np.testing.assert_array_equal(model.predict(X_test), expected.argmax(axis=1))
    soft = NearestNeighbour(softness=0.01).fit(X, np.arange(300) % 5)
    np.testing.assert_allclose(soft.decision_function(X_test), expected, atol=0.02)


def test_soft_minimum_is_the_density_of_gaussian_kernels():
    model, X, _ = small(softness=0.08)
    expected = np.stack(
        [
            KernelDensity(bandwidth=np.sqrt(0.08 / 2)).fit(rows).score_samples(X) + np.log(len(rows))
            for rows in np.split(model.prototypes_, model.ends_[:-1])
        ],
        axis=1,
    )
    difference = model.decision_function(X) / 0.08 - expected
    np.testing.assert_allclose(difference, difference[0, 0], atol=1e-9)  # the kernel's constant
    hard, sharp = small()[0], small(softness=1e-6)[0]
    np.testing.assert_allclose(sharp.decision_function(X), hard.decision_function(X), atol=1e-5)


@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize("params", [{}, {"softness": 0.1}, {"n_prototypes": 2}, {"contrast": RETINA}])
def test_gradient_of_the_input(loss, params):
    model, X, y = small(**params)
    assert isinstance(model, DifferentiableFront)
    gradient = model.input_gradient(X, y, loss)
    np.testing.assert_allclose(gradient, slope(lambda: losses(model, X, y, loss).sum(), X), atol=1e-6)
    D = np.random.default_rng(1).normal(size=(len(X), 4))
    logits, pull = model.input_vjp(X)
    np.testing.assert_allclose(logits, model.decision_function(X))
    np.testing.assert_allclose(pull(D), slope(lambda: (D * model.decision_function(X)).sum(), X), atol=1e-6)


def test_chunks_do_not_change_answers(monkeypatch):
    model, X, y = small()
    whole = model.decision_function(X), model.input_gradient(X, y)
    monkeypatch.setattr("bioneuro.baselines.neighbours.CHUNK", 80)
    np.testing.assert_allclose(model.decision_function(X), whole[0], rtol=1e-12)
    np.testing.assert_allclose(model.input_gradient(X, y), whole[1], rtol=1e-12)


def test_prototypes_are_few_and_reproducible(digits):
    model, twin = (NearestNeighbour(n_prototypes=5, random_state=0).fit(digits.X_train, digits.y_train) for _ in "ab")
    assert model.prototypes_.shape == (50, 64)
    np.testing.assert_array_equal(model.prototypes_, twin.prototypes_)
    assert model.score(digits.X_test, digits.y_test) > 0.93
    few = NearestNeighbour(n_prototypes=3).fit(np.eye(4), [0, 0, 0, 1])  # no more samples than centres: they stay
    np.testing.assert_array_equal(few.prototypes_, np.eye(4))


def test_one_prototype_is_the_class_mean():
    model, X, _ = small(n_prototypes=1)
    samples = small()[0]
    means = [rows.mean(axis=0) for rows in np.split(samples.prototypes_, samples.ends_[:-1])]
    np.testing.assert_allclose(model.prototypes_, means)


def test_gradient_finds_the_nearest_other_class(digits):
    model = NearestNeighbour().fit(digits.X_train, digits.y_train)
    X, y = digits.X_test[:60], digits.y_test[:60]
    result = PGD(norm="l2", n_steps=30, loss="margin")(model, X, y, [0.1, 3.0])
    assert result.robust_accuracy[0] > 0.8 and result.robust_accuracy[1] == 0


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"softness": -1}, "softness must be a finite number >= 0, got -1"),
        ({"n_prototypes": 0}, "n_prototypes must be an integer >= 1 or None, got 0"),
        ({"contrast": (4,)}, "contrast must be None or"),
        ({"dtype": "float16"}, "dtype must be 'float32' or 'float64', got 'float16'"),
    ],
)
def test_refuses_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        NearestNeighbour(**params).fit(X3, Y3)


def test_refuses_data():
    with pytest.raises(ValueError, match=r"X must lie in \[0, 1\] with contrast, but X\[0, 0\] = 1.5"):
        NearestNeighbour(contrast=RETINA).fit(X3 + 1, Y3)
    with pytest.raises(ValueError, match="at least 2 classes, got 1 class"):
        NearestNeighbour().fit(X3, [1, 1, 1])
