"""bioneuro.baselines.ConvNet: an estimator like any other, with exact gradients; adversarial training."""

import copy
import sys

import numpy as np
import pytest
from rival_checks import losses, slope
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_estimator
from test_baselines import RETINA, X3, Y3

from bioneuro.attacks import PGD, Square
from bioneuro.baselines import BackpropMLP, ConvNet
from bioneuro.baselines.input_responses import Threshold
from bioneuro.protocols import DifferentiableFront

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def learned(digits):
    """A network that knows the digits, fitted once."""
    return ConvNet(image_shape=(8, 8), n_epochs=8, **SMALL).fit(digits.X_train, digits.y_train)


SMALL = {
    "channels": (8, 16),
    "kernel_size": 3,
    "hidden": 32,
    "dropout": 0.1,
    "learning_rate": 5e-3,
    "batch_size": 64,
    "random_state": 0,
    "n_threads": 1,
}


def small(contrast=None, n_classes=4, shape=(3, 5), **params):
    """A fitted little network in double precision, and data for it in (0, 1)."""
    rng = np.random.default_rng(0)
    X, y = rng.uniform(0.05, 0.95, (9, int(np.prod(shape)))), np.arange(9) % n_classes
    params = {"n_epochs": 3, "channels": (3, 4), "kernel_size": 3, "hidden": 6, **params}
    model = ConvNet(image_shape=shape, contrast=contrast, dtype="float64", random_state=0, n_threads=1, **params)
    return model.fit(X, y), X, y


# --- the estimator


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_is_a_scikit_learn_estimator():
    check_estimator(ConvNet((4, 8), kernel_size=3, hidden=16, learning_rate=1e-2, n_epochs=12, n_threads=1))


def test_gradient_of_every_parameter():
    model, X, y = small(dropout=0.0)
    model._optimizer.zero_grad()
    logits = model._layers(torch.from_numpy(X))
    torch.nn.functional.cross_entropy(logits, torch.from_numpy(y), reduction="sum").backward()
    for parameter in (model.parameters_[0], model.parameters_[5], model.parameters_[7]):
        values = parameter.detach().numpy()  # shares memory
        numeric = slope(lambda: losses(model, X, y, "ce").sum(), values)
        np.testing.assert_allclose(parameter.grad.numpy(), numeric, atol=1e-6)


@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize(("contrast", "n_classes", "shape"), [(None, 4, (3, 5)), (RETINA, 2, (3, 3, 2))])
def test_gradient_of_the_input(loss, contrast, n_classes, shape):
    model, X, y = small(contrast, n_classes, shape)
    gradient = model.input_gradient(X, y, loss)
    np.testing.assert_allclose(gradient, slope(lambda: losses(model, X, y, loss).sum(), X), atol=1e-6)
    assert np.abs(gradient).max() > 1e-3


@pytest.mark.parametrize("contrast", [None, RETINA])
def test_response_front(contrast):
    model, X, y = small(contrast)
    assert isinstance(model, DifferentiableFront)
    R = model.response(X)
    np.testing.assert_allclose(model.response_inverse(R), X, atol=1e-12)
    np.testing.assert_allclose(model.response_slope(X), slope(lambda: model.response(X).sum(), X), atol=1e-6)

    def total():
        return losses(model, model.response_inverse(R), y, "ce").sum()

    np.testing.assert_allclose(model.response_gradient(X, y), slope(total, R), atol=1e-6)


def test_pullback_may_be_called_again_and_is_linear():
    model, X, _ = small(RETINA)
    logits, pull = model.input_vjp(X)
    np.testing.assert_allclose(logits, model.decision_function(X))
    A, B = np.random.default_rng(1).normal(size=(2, *logits.shape))
    np.testing.assert_allclose(pull(A) + 2 * pull(B), pull(A + 2 * B), atol=1e-12)
    np.testing.assert_allclose(model.response_vjp(X)[1](A) * model.response_slope(X), pull(A))


def test_channels_are_the_last_axis_of_an_image():
    model, X, _ = small(shape=(2, 3, 2))
    images = torch.from_numpy(X.reshape(-1, 2, 3, 2).transpose(0, 3, 1, 2).copy())
    first = torch.nn.functional.conv2d(images, model.parameters_[0], padding="same")
    R = torch.from_numpy(X).reshape(-1, *model.image_shape_).permute(0, 3, 1, 2)
    torch.testing.assert_close(torch.nn.functional.conv2d(R, model.parameters_[0], padding="same"), first)


@pytest.mark.parametrize(
    ("image_shape", "n", "found"),
    [("auto", 64, (8, 8, 1)), ("auto", 7, (1, 7, 1)), ((2, 4), 8, (2, 4, 1)), ((2, 2, 3), 12, (2, 2, 3))],
)
def test_image_shapes(image_shape, n, found):
    X = np.random.default_rng(0).random((6, n))
    model = ConvNet((2, 2), hidden=4, image_shape=image_shape, n_epochs=1, n_threads=1).fit(X, np.arange(6) % 3)
    assert model.image_shape_ == found
    assert model.predict_proba(X).shape == (6, 3)


def test_copies_predict_the_same_and_learn_on_their_own(digits, learned):
    X, y = digits.X_train[:100], digits.y_train[:100]
    before = learned.decision_function(X)
    twin = copy.deepcopy(learned)
    np.testing.assert_array_equal(twin.decision_function(X), before)
    twin.partial_fit(X, y)
    assert not np.array_equal(twin.decision_function(X), before)
    np.testing.assert_array_equal(learned.decision_function(X), before)
    assert not hasattr(clone(learned), "parameters_")


# --- learning


def test_learns_digits(digits, learned):
    assert learned.score(digits.X_test, digits.y_test) > 0.95
    assert learned.loss_curve_[-1] < 0.2 * learned.loss_curve_[0]
    proba = learned.predict_proba(digits.X_test[:50])
    np.testing.assert_allclose(proba.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(proba.argmax(axis=1), learned.predict(digits.X_test[:50]))


def trained(digits, **params):
    model = ConvNet(n_epochs=2, **{**SMALL, **params}).fit(digits.X_train[:300], digits.y_train[:300])
    return model.decision_function(digits.X_test[:50])


@pytest.mark.parametrize("params", [{}, {"shift": 1}, {"adversarial": (0.1, 1)}])
def test_reproducible_by_random_state_alone(digits, params):
    torch.manual_seed(1)
    first, state = trained(digits, **params), torch.random.get_rng_state()
    torch.manual_seed(2)
    np.testing.assert_array_equal(trained(digits, **params), first)
    assert not np.array_equal(trained(digits, random_state=1, **params), first)
    torch.manual_seed(1)
    assert torch.equal(torch.random.get_rng_state(), state)  # nothing was drawn from the global generator


def test_torchs_number_of_threads_is_put_back(digits):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        trained(digits, n_threads=1)
        with pytest.raises(ValueError, match="labels out of classes_"):
            ConvNet(n_epochs=1, n_threads=1, **{k: SMALL[k] for k in ("channels", "hidden")}).fit(
                digits.X_train[:50], digits.y_train[:50]
            ).input_gradient(digits.X_train[:2], [99, 99])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_partial_fit_continues(digits):
    X, y = digits.X_train[:600], digits.y_train[:600]
    model = ConvNet(**SMALL).partial_fit(X, y, classes=np.arange(10))
    early = model.score(digits.X_test, digits.y_test)
    for _ in range(7):
        model.partial_fit(X, y)
    assert len(model.loss_curve_) == 8 and model.score(digits.X_test, digits.y_test) > max(0.85, early)


def test_shifts_keep_the_image_and_fill_with_zero():
    model, X, _ = small(shift=2, shape=(3, 5))
    batch = np.tile(np.arange(1.0, 16), (400, 1))
    seen = {tuple(row) for row in model._augment(batch)}
    image = np.pad(np.arange(1.0, 16).reshape(3, 5), 2)
    expected = {tuple(image[i : i + 3, j : j + 5].ravel()) for i in range(5) for j in range(5)}
    assert seen == expected


def test_dropout_acts_in_learning_only():
    model, X, y = small(dropout=0.9)
    R = torch.from_numpy(X)
    noisy = [model._layers(R, torch.Generator().manual_seed(k)).detach().numpy() for k in range(2)]
    assert not np.allclose(*noisy)
    np.testing.assert_array_equal(model.decision_function(X), model.decision_function(X))
    mean = np.mean([model._layers(R, torch.Generator().manual_seed(k)).detach().numpy() for k in range(1000)], axis=0)
    np.testing.assert_allclose(mean, model.decision_function(X), atol=0.2 * np.abs(mean).max())


def test_without_torch_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r'ConvNet needs torch: pip install "bioneuro\[torch\]"'):
        ConvNet().fit(X3, Y3)


@pytest.mark.parametrize(
    ("params", "match"),
    [
        ({"channels": (3,)}, r"channels must be two integers >= 1, got \(3,\)"),
        ({"channels": (3, 0)}, "channels must be an integer >= 1, got 0"),
        ({"kernel_size": 4}, "kernel_size must be odd, got 4"),
        ({"hidden": 0}, "hidden must be an integer >= 1, got 0"),
        ({"shift": -1}, "shift must be an integer >= 0, got -1"),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\), got 1.0"),
        ({"n_threads": 0}, r"n_threads must be an integer in \[1, 1024\] or 'auto' or None, got 0"),
        ({"image_shape": (2, 2)}, r"image_shape must have a product of 2 features, got \(2, 2\)"),
        (
            {"image_shape": "square"},
            r"image_shape must be 'auto', None or \(height, width\[, channels\]\), got",
        ),
        ({"contrast": (4,)}, r"contrast must be None or \(exponent, semi_saturation\), both > 0, got \(4,\)"),
        ({"binarise": 0}, r"binarise must be a number in \(0, 1\] or None, got 0"),
        ({"binarise": 0.5, "contrast": RETINA}, "contrast and binarise exclude each other"),
        ({"adversarial": 0.3}, r"adversarial must be None or \(epsilon, n_steps\), got 0.3"),
        ({"adversarial": (0, 1)}, "epsilon of adversarial must be a finite number > 0, got 0"),
        ({"adversarial": (0.3, 0)}, "n_steps of adversarial must be an integer >= 1, got 0"),
    ],
)
def test_refuses_parameters(params, match):
    with pytest.raises(ValueError, match=match):
        ConvNet(**params).fit(X3, Y3)


@pytest.mark.parametrize(
    ("params", "name"), [({"binarise": 0.5}, "binarise"), ({"adversarial": (0.1, 1)}, "adversarial")]
)
def test_refuses_intensities(params, name):
    with pytest.raises(ValueError, match=rf"X must lie in \[0, 1\] with {name}, but X\[0, 0\] = 1.5"):
        ConvNet(**params).fit(X3 + 1, Y3)


# --- binarised input


def test_step_front_maps_the_ball_to_corners_and_back():
    front, rng = Threshold(0.5), np.random.default_rng(0)
    X, R = rng.random((20, 30)), rng.random((20, 30))
    low, high = np.maximum(X - 0.2, 0), np.minimum(X + 0.2, 1)
    box = front.response(low), front.response(high)
    assert set(np.unique(front.response(X))) == {0, 1}
    point = np.clip(R, *box)
    image = np.clip(front.response_inverse(point), low, high)
    np.testing.assert_array_equal(front.response(image), np.round(point))
    np.testing.assert_array_equal(front.response_slope(X), 1)


def test_binarised_network_ignores_what_does_not_cross_the_threshold(digits):
    model = ConvNet(binarise=0.5, n_epochs=6, **SMALL).fit(digits.X_train, digits.y_train)
    X, y = digits.X_test[:100], digits.y_test[:100]
    assert model.score(X, y) > 0.8
    np.testing.assert_array_equal(model.decision_function(X), model.decision_function((X >= 0.5).astype(np.float32)))
    # few pixels can cross, so the search is nearly one of combinations: momentum and restarts help
    white = PGD(n_steps=20, loss="margin", momentum=1.0, n_restarts=3)(model, X, y, 0.2).robust_accuracy[0]
    black = Square(n_queries=200)(model, X, y, 0.2).robust_accuracy[0]
    assert white <= black + 0.05
    assert white < 0.5 * model.score(X, y)


# --- adversarial training


@pytest.mark.parametrize(
    "make",
    [
        lambda **params: ConvNet(n_epochs=10, **SMALL, **params),
        lambda **params: BackpropMLP((64,), learning_rate=3e-3, n_epochs=20, random_state=0, n_threads=1, **params),
    ],
    ids=["cnn", "mlp"],
)
def test_adversarial_training_raises_robust_accuracy(digits, make):
    X, y = digits.X_test[:150], digits.y_test[:150]
    plain, robust = (
        make(adversarial=adversarial).fit(digits.X_train, digits.y_train) for adversarial in (None, (0.2, 1))
    )
    attack = PGD(n_steps=20, loss="margin")
    before, after = (attack(model, X, y, [0.15]).robust_accuracy[0] for model in (plain, robust))
    assert after > before + 0.1
    assert robust.score(X, y) > 0.85


def test_adversarial_images_of_training_stay_in_the_budget_that_grows():
    model, X, y = small(RETINA, adversarial=(0.2, 3))
    true = np.searchsorted(model.classes_, y)
    model._n_planned, model._n_done = 100, 20  # half of the warm-up
    assert 0.05 < np.abs(model._attacked(X, true) - X).max() <= 0.1 + 1e-12
    model._n_done = 0
    np.testing.assert_array_equal(model._attacked(X, true), X)
    model._n_planned = 0  # partial_fit
    adversarial = model._attacked(X, true)
    assert 0.1 < np.abs(adversarial - X).max() <= 0.2 + 1e-12
    assert losses(model, adversarial, y, "ce").sum() > losses(model, X, y, "ce").sum()
