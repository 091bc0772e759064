"""The criterion: every attack untargeted or towards labels of the attacker's choice."""

import numpy as np
import pytest
from attack_models import EPSILONS, D, Linear, OnePass

import bioneuro as bn
from bioneuro.attacks import (
    APGD,
    BIM,
    FGSM,
    PGD,
    Ensemble,
    GaussianNoise,
    Goal,
    Square,
    Targeted,
    Transfer,
    UniformNoise,
)
from bioneuro.attacks.answers import ascent_values
from bioneuro.attacks.probabilities import with_logits
from bioneuro.baselines import BackpropMLP
from bioneuro.protocols import Differentiable, DifferentiableFront, ResponseFront


@pytest.fixture
def task():
    """Five classes, and for each sample a wrong one to reach."""
    rng = np.random.default_rng(0)
    model = Linear(rng.normal(size=(5, D)), classes=list("abcde"))
    X = rng.uniform(size=(80, D))
    y = model.predict(X)
    return model, X, y, np.array([chr(97 + (ord(label) - 96) % 5) for label in y])


ATTACKS = {
    "fgsm": FGSM(),
    "bim": BIM(n_steps=10),
    "pgd": PGD(n_steps=10, loss="margin", n_restarts=2),
    "pgd-l2": PGD(norm="l2", n_steps=10, momentum=0.5),
    "apgd": APGD(n_steps=10),
    "apgd-t": APGD(n_steps=10, loss="dlr", n_target_classes=4),
    "square": Square(n_queries=100),
    "uniform": UniformNoise(),
    "gaussian": GaussianNoise(norm="l2"),
    "ensemble": Ensemble([FGSM(), Square(n_queries=50), APGD(n_steps=5)]),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
@pytest.mark.parametrize("kind", [Linear, OnePass])
def test_targeted_success_is_the_target(task, attack, kind):
    model, X, y, target = task
    model = kind(model.W, model.b, model.classes_)
    budgets = np.array([0, 0.5, 1]) * (0.4 if attack.norm == "linf" else 2)
    result = attack(model, X, y, budgets, criterion=Targeted(target))
    for images, success in zip(result.adversarial, result.success, strict=True):
        np.testing.assert_array_equal(model.predict(images) == target, success)
    assert not result.success[0].any() and (np.diff(result.robust_accuracy) <= 0).all()
    assert (result.distance <= budgets[:, None] + 1e-9).all()


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_targets_are_reached_where_the_closed_form_says(binary, norm, loss):
    """With two classes, the other one is the only target: the criterion makes no difference."""
    model, X, y = binary
    other = np.where(y == 3, 7, 3)
    targeted = FGSM(norm=norm, loss=loss)(model, X, y, EPSILONS[norm], criterion=Targeted(other))
    np.testing.assert_array_equal(~targeted.success, [model.robust(X, y, e, norm) for e in EPSILONS[norm]])


def test_white_box_attacks_reach_targets_that_noise_does_not(task):
    model, X, y, target = task
    reached = {
        name: ATTACKS[name](model, X, y, 0.2, criterion=Targeted(target)).success.mean()
        for name in ("pgd", "apgd", "square", "uniform")
    }
    assert min(reached["pgd"], reached["apgd"]) >= reached["square"] > reached["uniform"] and reached["pgd"] > 0.9


def test_transfer_carries_targets(task):
    model, X, y, target = task
    twin = Linear(model.W, model.b, model.classes_)
    direct, carried = (
        attack(model, X, y, 0.2, criterion=Targeted(target))
        for attack in (PGD(early_stop=False), Transfer(twin, PGD(early_stop=False)))
    )
    np.testing.assert_array_equal(direct.adversarial, carried.adversarial)


def test_samples_at_their_target_count_at_distance_0(task):
    model, X, y, target = task
    wrong = np.where(np.arange(len(y)) < 10, "e", y)
    wrong[:10][y[:10] == "e"] = "a"
    result = FGSM()(model, X[:10], wrong[:10], 0.0, criterion=Targeted(y[:10]))
    assert result.success.all() and not result.distance.any()


def test_one_label_is_for_all(task):
    model, X, y, _ = task
    rows = y != "c"
    one, many = (
        PGD(n_steps=5)(model, X[rows], y[rows], 0.2, criterion=Targeted(labels)).adversarial
        for labels in ("c", np.full(rows.sum(), "c"))
    )
    np.testing.assert_array_equal(one, many)


def test_goals(task):
    model, X, y, target = task
    away, to = Goal(y), Goal(y, target)
    np.testing.assert_array_equal(away.is_adversarial(target), np.ones(80, bool))
    np.testing.assert_array_equal(to.is_adversarial(y), np.zeros(80, bool))
    by_way = away.towards(target)
    np.testing.assert_array_equal(by_way.labels, target)
    assert by_way.sign == -1 and by_way.target is None and by_way.is_adversarial(target).all()
    part = to[np.array([3, 1])]
    assert len(part) == 2 and part.target[0] == target[3] and part.true[1] == y[1]
    margins = ascent_values(model, X, Goal(y, np.roll(y, 1)), "margin")
    np.testing.assert_array_equal(margins > 0, y == np.roll(y, 1))


@pytest.mark.parametrize(
    ("criterion", "message"),
    [
        ("targeted", 'criterion must be "untargeted" or Targeted'),
        (lambda y: 3, 'criterion must be "untargeted" or Targeted'),
        (lambda y: Targeted(y[:5]), r"one for each of 80 rows, got shape \(5,\)"),
        (Targeted("z"), r"must be out of model.classes_; that of row 0 is .*'z'"),
        (lambda y: Targeted(y), "must differ from the true ones; that of row 0"),
    ],
)
def test_bad_criteria(task, criterion, message):
    model, X, y, _ = task
    with pytest.raises(ValueError, match=message):
        PGD()(model, X, y, 0.1, criterion=criterion(y) if callable(criterion) else criterion)


# --- models in one pass ---


@pytest.fixture(scope="module", params=["mlp", "contrast", "bio"])
def network(request):
    data = bn.datasets.load("digits")
    X, y = data.X_train[:300], data.y_train[:300]
    if request.param == "bio":
        small = {
            "n_cells": 60,
            "schedule__association_epochs": 1,
            "schedule__readout_epochs": 5,
            "encoder__n_columns": 10,
        }
        return bn.BioClassifier(**small, random_state=0, n_threads=1).fit(X, y), data.X_test[:20], data.y_test[:20]
    contrast = (4.0, 0.5) if request.param == "contrast" else None
    model = BackpropMLP((20,), n_epochs=3, contrast=contrast, random_state=0, n_threads=1)
    return model.fit(X, y), data.X_test[:20], data.y_test[:20]


@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_pullbacks_give_the_gradients_of_the_losses(network, loss):
    model, X, y = network
    assert isinstance(model, Differentiable) and isinstance(model, DifferentiableFront)
    for vjp, gradient in (
        (model.input_vjp, model.input_gradient),
        (model.response_vjp, model.response_gradient),
    ):
        z, pullback = vjp(X)
        np.testing.assert_array_equal(z, model.decision_function(X))
        slopes = bn.losses.loss_gradient(z, np.searchsorted(model.classes_, y), loss)
        np.testing.assert_array_equal(pullback(slopes), gradient(X, y, loss))
        np.testing.assert_array_equal(pullback(slopes), gradient(X, y, loss))  # it may be called again
        assert pullback(slopes.astype(float)).dtype == model.dtype


def test_response_slopes(network):
    model, X, y = network
    assert isinstance(model, ResponseFront)
    X, h = (0.1 + 0.8 * X).astype(float), 1e-6
    numeric = (model.response(X + h) - model.response(X - h)) / (2 * h)
    np.testing.assert_allclose(model.response_slope(X), numeric, rtol=1e-5)


def test_networks_are_attacked_the_same_with_and_without_one_pass(network):
    model, X, y = network

    class Plain:
        def __getattr__(self, name):
            if name in ("input_vjp", "response_vjp"):
                raise AttributeError(name)
            return getattr(model, name)

    for norm, epsilon in (("linf", 0.1), ("l2", 0.5)):
        attack = PGD(norm=norm, n_steps=5, loss="margin")
        one, many = (attack(m, X, y, epsilon) for m in (model, Plain()))
        assert (one.success != many.success).mean() <= 0.05  # rounding only
        assert np.median(np.abs(one.adversarial - many.adversarial)) < 1e-6


def test_an_attack_that_is_given_no_seed_repeats_itself():
    assert {attack.random_state for attack in ATTACKS.values()} == {0}


def test_probabilities_stand_in_for_logits_only_where_there_are_none():
    class Both(Linear):
        def predict_proba(self, X):
            return np.tile([0.25, 0.75], (len(X), 1))

    class Probabilities:
        predict_proba, classes_ = Both.predict_proba, np.arange(2)

    for model in (Both(np.eye(2)), Linear(np.eye(2))):
        assert with_logits(model) is model
    np.testing.assert_allclose(with_logits(Probabilities()).decision_function(np.zeros((1, 2))), np.log([[0.25, 0.75]]))
