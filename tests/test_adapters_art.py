"""ART on our models: what its attacks ask an estimator for, its attacks run, and agree with ours."""

import pickle

import numpy as np
import pytest
from adapter_models import EPSILON, Bordered, WithoutVjp, assert_agree, victims
from attack_models import Linear
from scipy.special import log_softmax

from bioneuro.adapters import to_art, to_torch
from bioneuro.attacks import PGD, Square

pytest.importorskip("art")
from art import estimators  # noqa: E402
from art.attacks import evasion  # noqa: E402
from art.estimators.classification import classifier  # noqa: E402


@pytest.fixture(autouse=True)
def seeded():
    """ART draws from NumPy's global generator."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    yield
    np.random.set_state(state)  # noqa: NPY002


# --- the estimator


def test_it_has_the_bases_that_attacks_ask_for():
    model, _, _, images, _ = victims("bio", 10)
    adapted = to_art(model)
    for base in (estimators.BaseEstimator, estimators.LossGradientsMixin, estimators.NeuralNetworkMixin,
                 classifier.ClassifierMixin, classifier.ClassGradientsMixin):  # fmt: skip
        assert isinstance(adapted, base)
    assert adapted.input_shape == (1, 8, 8) and adapted.nb_classes == 10 and adapted.channels_first
    assert tuple(adapted.clip_values) == (0, 1) and adapted.model is model
    assert adapted.predict(images).shape == (len(images), 10)
    assert adapted.get_params()["nb_classes"] == 10


@pytest.mark.parametrize("name", ["bio", "mlp"])
@pytest.mark.parametrize("labels", ["columns", "one-hot"])
def test_loss_and_its_gradient(name, labels):
    model, X, y, images, true = victims(name, 30)
    adapted = to_art(model)
    z = model.decision_function(X)
    given = true if labels == "columns" else np.eye(10)[true]
    losses = -log_softmax(z, axis=1)[np.arange(len(X)), true]
    np.testing.assert_allclose(adapted.compute_loss(images, given), losses, atol=1e-4)
    np.testing.assert_allclose(adapted.compute_loss(images, given, reduction="mean"), losses.mean(), rtol=1e-4)
    gradient, expected = adapted.loss_gradient(images, given), model.input_gradient(X, y)
    assert gradient.shape == images.shape and gradient.dtype == np.float32
    np.testing.assert_allclose(gradient.reshape(X.shape), expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("seen_as", [lambda model: model, WithoutVjp])
@pytest.mark.parametrize("name", ["bio", "mlp"])
def test_class_gradients_are_those_of_the_logits(name, seen_as):
    model, X, y, images, true = victims(name, 10)
    adapted = to_art(seen_as(model), image_shape=(8, 8))
    every = adapted.class_gradient(images)
    assert every.shape == (len(X), 10, 1, 8, 8)
    for columns in (3, true):
        one = adapted.class_gradient(images, label=columns)
        np.testing.assert_allclose(one[:, 0], every[np.arange(len(X)), columns], atol=1e-6)
    # margin: the runner-up minus the true class
    runner_up = np.argsort(model.decision_function(X), axis=1)[:, -2]
    margin = every[np.arange(len(X)), runner_up] - every[np.arange(len(X)), true]
    expected = model.input_gradient(X, y, "margin")
    np.testing.assert_allclose(margin.reshape(X.shape), expected, atol=2e-5 * np.abs(expected).max())


def test_what_it_refuses():
    adapted = to_art(victims("mlp", 1)[0])
    with pytest.raises(NotImplementedError, match="fit it before to_art"):
        adapted.fit(np.zeros((1, 1, 8, 8)), np.zeros(1))
    with pytest.raises(NotImplementedError, match="only the logits"):
        adapted.get_activations(np.zeros((1, 1, 8, 8)), 0)
    with pytest.raises(ValueError, match=r"reduction must be one of \['mean', 'none', 'sum'\], got 'max'"):
        adapted.compute_loss(np.zeros((1, 1, 8, 8)), [0], reduction="max")
    with pytest.raises(ValueError, match="image_shape is needed: Linear has neither"):
        to_art(Linear(np.eye(3)))


# --- its attacks


def test_pgd_breaks_as_many():
    epsilon = EPSILON["bio"]
    model, X, y, images, true = victims("bio")
    attack = evasion.ProjectedGradientDescent(
        to_art(model), eps=epsilon, eps_step=epsilon / 8, max_iter=20, num_random_init=1, batch_size=256, verbose=False
    )
    found = attack.generate(images, true)
    assert found.shape == images.shape and np.abs(found - images).max() <= epsilon + 1e-6
    ours = PGD(n_steps=20, space="input")(model, X, y, epsilon)
    assert_agree(ours.success[0], model.predict(found.reshape(X.shape)) != y)


def test_square_breaks_as_many():
    epsilon = EPSILON["mlp"]
    model, X, y, images, true = victims("mlp")
    bordered = Bordered(model)
    attack = evasion.SquareAttack(
        to_art(bordered), eps=epsilon, max_iter=400, nb_restarts=1, batch_size=256, verbose=False
    )
    found = attack.generate(bordered.border(images), true)
    ours = Square(n_queries=400)(model, X, y, epsilon)
    assert_agree(ours.success[0], bordered.predict(found.reshape(len(X), -1)) != y)


SMALL = dict(batch_size=16, verbose=False)
SEARCH = SMALL | dict(max_iter=20, binary_search_steps=3, initial_const=1.0, learning_rate=0.1)
SHORT = SMALL | dict(eps=0.3, eps_step=0.1, max_iter=10, nb_random_init=1)


@pytest.mark.parametrize(
    ("attack", "parameters"),
    [
        (evasion.CarliniL2Method, SEARCH),
        (evasion.ElasticNet, SEARCH),
        (evasion.DeepFool, SMALL | dict(max_iter=20)),
        (evasion.NewtonFool, SMALL | dict(max_iter=20)),
        (evasion.AutoConjugateGradient, SHORT),
        (evasion.AutoProjectedGradientDescent, SHORT),
        (evasion.HopSkipJump, SMALL | dict(max_iter=1, max_eval=50, init_eval=10)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_attacks_run(attack, parameters):
    model, X, y, images, true = victims("bio", 12)
    before = pickle.dumps(model)
    found = attack(to_art(model), **parameters).generate(images, np.eye(10)[true])
    assert found.shape == images.shape and found.min() >= 0 and found.max() <= 1
    assert (model.predict(found.reshape(X.shape)) != y).mean() > 0.2
    assert pickle.dumps(model) == before


def test_its_autoattack_runs_on_the_torch_module():
    torch = pytest.importorskip("torch")
    pytest.importorskip("multiprocess")
    from art.estimators.classification import PyTorchClassifier

    model, X, y, images, true = victims("mlp", 8)
    adapted = PyTorchClassifier(to_torch(model), torch.nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0, 1))
    short = dict(eps=0.3, eps_step=0.1, max_iter=5, nb_random_init=1, verbose=False)
    attacks = [
        evasion.AutoProjectedGradientDescent(adapted, loss_type="cross_entropy", **short),
        evasion.AutoProjectedGradientDescent(adapted, loss_type="difference_logits_ratio", **short),
        evasion.DeepFool(adapted, max_iter=5, verbose=False),
        evasion.SquareAttack(adapted, eps=0.3, max_iter=20, verbose=False),
    ]
    found = evasion.AutoAttack(adapted, eps=0.3, attacks=attacks).generate(images, true)
    assert found.shape == images.shape and found.min() >= 0 and found.max() <= 1
    assert (model.predict(found.reshape(X.shape)) != y).all()
