"""bioneuro.baselines: estimators like any other, with exact gradients, that learn what they should."""

import numpy as np
import pytest
from rival_checks import losses, slope
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator

from bioneuro import baselines
from bioneuro.baselines import BackpropMLP, NonNegativeMLP
from bioneuro.datasets import subset_per_class
from bioneuro.estimators import LogitClassifier
from bioneuro.protocols import ResponseFront
from bioneuro.reference import contrast_response

RETINA = (4.0, 0.5)


def small(hidden=(7, 6), dtype="float64", contrast=None, n_classes=4, n_epochs=3):
    """A fitted little network, and data for it in (0, 1)."""
    rng = np.random.default_rng(0)
    X, y = rng.uniform(0.05, 0.95, (15, 5)).astype(dtype), np.arange(15) % n_classes
    model = BackpropMLP(hidden, n_epochs=n_epochs, dtype=dtype, contrast=contrast, random_state=0, n_threads=1)
    return model.fit(X, y), X, y


# --- registry


def test_registry():
    for name in baselines.BASELINES:
        assert isinstance(baselines.make(name), LogitClassifier)
    assert baselines.make("rigl", density=0.2).get_params()["rewiring"] == "rigl"
    assert baselines.make("mlp", hidden=(3,)).hidden == (3,)
    with pytest.raises(ValueError, match="unknown baseline 'svm'; choose one of mlp"):
        baselines.make("svm")


# --- the estimator


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_is_a_scikit_learn_estimator():
    check_estimator(BackpropMLP((16,), learning_rate=1e-2, n_epochs=40, n_threads=1))


@pytest.mark.parametrize("hidden", [(), (7,), (7, 6)])
def test_gradient_of_every_parameter(hidden):
    model, X, y = small(hidden)
    for b in model.biases_:  # a silent cell's bias stays 0, which is the kink of its rate
        b += np.random.default_rng(1).uniform(0.1, 0.3, b.shape)
    rates = model._rates(X)
    dlogits = np.exp(log_softmax(rates[-1], axis=1)) - np.eye(4)[y]
    gradients = list(model._backward(rates, dlogits))
    assert [k for k, _, _ in gradients] == list(range(len(hidden), -1, -1))
    for k, dW, db in gradients:
        W = model.pathways_[k]

        def loss(W=W):
            W._version += 1  # white box: only learning may write to the weights, and it says so
            return losses(model, X, y, "ce").sum()

        np.testing.assert_allclose(dW, slope(loss, W._data), atol=1e-6)
        np.testing.assert_allclose(db, slope(loss, model.biases_[k]), atol=1e-6)


@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize("contrast", [None, RETINA, (2.0, np.inf)])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_gradient_of_the_input(loss, contrast, n_classes):
    model, X, y = small(contrast=contrast, n_classes=n_classes)
    gradient = model.input_gradient(X, y, loss)
    np.testing.assert_allclose(gradient, slope(lambda: losses(model, X, y, loss).sum(), X), atol=1e-6)
    assert np.abs(gradient).max() > 1e-3


@pytest.mark.parametrize("contrast", [None, RETINA])
def test_response_front(contrast):
    model, X, y = small(contrast=contrast)
    assert isinstance(model, ResponseFront)
    R = model.response(X)
    np.testing.assert_allclose(R, X if contrast is None else contrast_response(X, *contrast))
    np.testing.assert_allclose(model.response_inverse(R), X, atol=1e-12)

    def total():
        return losses(model, model.response_inverse(R), y, "ce").sum()

    np.testing.assert_allclose(model.response_gradient(X, y), slope(total, R), atol=1e-6)


def test_response_gradient_is_not_masked_on_black():
    model, X, y = small(contrast=RETINA)
    X[:] = 0
    assert not model.input_gradient(X, y).any() and model.response_gradient(X, y).any()


def test_inference_does_not_depend_on_its_chunks(monkeypatch):
    model, X, y = small()
    whole = model.decision_function(X), model.input_gradient(X, y)
    monkeypatch.setattr("bioneuro.white_box.INFERENCE_BATCH", 4)
    np.testing.assert_array_equal(model.decision_function(X), whole[0])
    np.testing.assert_array_equal(model.input_gradient(X, y), whole[1])


def test_weights():
    model, _, _ = small()
    weights = model.weights()
    assert {name: A.shape for name, A in weights.items()} == {"hidden_1": (7, 5), "hidden_2": (6, 7), "output": (4, 6)}
    with pytest.raises(ValueError, match="read-only"):
        weights["output"].data[0] = 1


def test_each_population_makes_the_weights_onto_the_next():
    model = BackpropMLP((7, 5), n_epochs=1).fit(np.random.default_rng(0).random((20, 4)), np.arange(20) % 3)
    outgoing, weights = model.outgoing(), model.weights()
    assert {cells: [*made] for cells, made in outgoing.items()} == {
        "inputs": ["hidden_1"], "hidden_1": ["hidden_2"], "hidden_2": ["output"],
    }  # fmt: skip
    assert all((made[name] != weights[name]).nnz == 0 for made in outgoing.values() for name in made)


# --- learning


@pytest.mark.parametrize("contrast", [None, RETINA])
def test_learns_digits(digits, contrast):
    model = BackpropMLP((64,), learning_rate=3e-3, n_epochs=60, contrast=contrast, random_state=0, n_threads=1)
    model.fit(digits.X_train, digits.y_train)
    assert model.score(digits.X_test, digits.y_test) > 0.95
    assert model.loss_curve_[-1] < 0.2 * model.loss_curve_[0]
    proba = model.predict_proba(digits.X_test[:50])
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(proba.argmax(axis=1), model.predict(digits.X_test[:50]))


def test_auto_epochs_give_small_data_enough_updates(digits):
    X, y = subset_per_class(digits.X_train, digits.y_train, 10)
    model = BackpropMLP((32,), random_state=0, n_threads=1).fit(X, y)
    assert len(model.loss_curve_) == 1500
    assert model.score(digits.X_test, digits.y_test) > 0.8
    assert len(model.fit(np.tile(X, (200, 1)), np.tile(y, 200)).loss_curve_) == 15


def trained(digits, **params):
    params = {"random_state": 0, "n_threads": 1, **params}
    model = BackpropMLP((64,), n_epochs=2, **params).fit(digits.X_train, digits.y_train)
    return [W.weights for W in model.pathways_] + model.biases_


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_reproducible_by_random_state(digits):
    assert same(trained(digits), trained(digits))
    assert not same(trained(digits), trained(digits, random_state=1))


def test_threads_do_not_change_a_bit(digits):
    assert same(trained(digits, n_threads=1), trained(digits, n_threads=2))


def test_partial_fit_continues(digits):
    X, y = digits.X_train, digits.y_train
    steps = BackpropMLP((64,), random_state=0, n_threads=1)
    steps.partial_fit(X, y, classes=np.arange(10)).partial_fit(X, y)
    assert same([W.weights for W in steps.pathways_] + steps.biases_, trained(digits))
    early = steps.score(digits.X_test, digits.y_test)
    for _ in range(10):
        steps.partial_fit(X, y)
    assert len(steps.loss_curve_) == 12 and steps.score(digits.X_test, digits.y_test) > max(0.85, early)
    assert not hasattr(clone(steps), "pathways_")


def test_partial_fit_knows_classes_that_come_later():
    model, X = BackpropMLP((4,)), np.eye(3, dtype=np.float32)
    model.partial_fit(X, ["a", "a", "b"], classes=["c", "a", "b"]).partial_fit(X, ["c", "c", "c"])
    assert model.decision_function(X).shape == (3, 3) and set(model.predict(X)) <= set("abc")


# --- what is refused

X3 = np.full((3, 2), 0.5)
Y3 = np.array([0, 1, 1])


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"hidden": (0,)}, "hidden must be an integer >= 1, got 0"),
        ({"hidden": (2.5,)}, "hidden must be an integer >= 1, got 2.5"),
        ({"n_epochs": 0}, "n_epochs must be an integer >= 1 or 'auto', got 0"),
        ({"n_epochs": "many"}, "n_epochs must be an integer >= 1 or 'auto', got 'many'"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1, got 0"),
        ({"learning_rate": 0}, "learning_rate must be a finite number > 0, got 0"),
        ({"learning_rate": np.nan}, "learning_rate must be a finite number > 0, got nan"),
        ({"weight_decay": -1}, "weight_decay must be a finite number >= 0, got -1"),
        ({"contrast": (4,)}, r"contrast must be None or \(exponent, semi_saturation\), both > 0, got \(4,\)"),
        ({"contrast": (4, 0)}, "contrast must be None or"),
        ({"dtype": "float16"}, "dtype must be 'float32' or 'float64', got 'float16'"),
    ],
)
def test_refuses_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        BackpropMLP(**params).fit(X3, Y3)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda m: m.fit(X3, [1, 1, 1]), "at least 2 classes, got 1 class"),
        (lambda m: m.fit(X3 + 1, Y3), r"X must lie in \[0, 1\] with contrast, but X\[0, 0\] = 1.5"),
        (lambda m: m.partial_fit(X3, Y3), "classes must be passed to the first call"),
        (lambda m: m.partial_fit(X3, Y3, classes=[0, 2]), r"labels out of classes_, but y\[1\] = .*1"),
        (lambda m: m.fit(X3, Y3).partial_fit(X3, Y3, classes=[0, 2]), "classes must be those of the first call"),
        (lambda m: m.fit(X3, Y3).partial_fit(X3, Y3 + 1), r"labels out of classes_, but y\[1\] = .*2"),
        (lambda m: m.fit(X3, Y3).predict(X3 - 1), r"X must lie in \[0, 1\]"),
        (lambda m: m.fit(X3, Y3).input_gradient(X3, Y3[:2]), r"y must have shape \(3,\)"),
        (lambda m: m.fit(X3, Y3).input_gradient(X3, Y3 + 5), r"labels out of classes_, but y\[0\]"),
        (
            lambda m: m.fit(X3, Y3).input_gradient(X3, Y3, "hinge"),
            r"loss must be one of \['ce', 'margin'\], got 'hinge'",
        ),
    ],
)
def test_refuses_data(call, match):
    with pytest.raises(ValueError, match=match):
        call(BackpropMLP((4,), n_epochs=1, contrast=RETINA))


# --- non-negative weights


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_nonnegative_is_a_scikit_learn_estimator():
    check_estimator(NonNegativeMLP((16,), learning_rate=1e-2, n_epochs=40, sparsity=0.01, n_threads=1))


def test_nonnegative_learns_with_few_excitatory_synapses(digits):
    X, y = digits.X_train, digits.y_train
    sparse, dense = (
        NonNegativeMLP((32,), sparsity=s, learning_rate=3e-3, n_epochs=60, random_state=0, n_threads=1).fit(X, y)
        for s in (0.3, 0.0)
    )
    for model in (sparse, dense):
        assert all(A.data.min() >= 0 for A in model.weights().values())
    left = [np.count_nonzero(model.weights()["hidden_1"].data) for model in (sparse, dense)]
    assert left[0] < 0.5 * left[1]
    assert sparse.score(digits.X_test, digits.y_test) > 0.85


def test_nonnegative_gradient_of_the_input():
    rng = np.random.default_rng(0)
    X, y = rng.uniform(0.05, 0.95, (15, 5)), np.arange(15) % 3
    model = NonNegativeMLP((7,), n_epochs=3, dtype="float64", random_state=0, n_threads=1).fit(X, y)
    gradient = model.input_gradient(X, y)
    np.testing.assert_allclose(gradient, slope(lambda: losses(model, X, y, "ce").sum(), X), atol=1e-6)
    assert gradient.any()


def test_nonnegative_refuses_a_bad_sparsity():
    with pytest.raises(ValueError, match="sparsity must be a finite number >= 0, got -1"):
        NonNegativeMLP((4,), sparsity=-1).fit(X3, Y3)


@pytest.mark.parametrize("name", sorted(set(baselines.BASELINES) - {"cnn"}))
def test_numpy_scalars_are_numbers(name):
    """A search over np.logspace hands them over."""
    rng = np.random.default_rng(0)
    X, y = rng.random((40, 16)).astype(np.float32), np.arange(40) % 2
    model = baselines.make(name)
    known = model.get_params()
    few = {"n_epochs": 1, "hidden_epochs": 1, "random_state": 0, "n_hidden": 8, "hidden": (8,), "first_length": 1}
    model.set_params(**{key: value for key, value in few.items() if key in known})
    scalar = {
        key: (np.float64 if isinstance(value, float) else np.int64)(value)
        for key, value in model.get_params().items()
        if type(value) in (float, int)
    }
    numbers = clone(model).fit(X, y).decision_function(X)
    scalars = clone(model).set_params(**scalar).fit(X, y).decision_function(X)
    np.testing.assert_array_equal(numbers, scalars)
