"""APGD and its losses, against closed forms, finite differences and PGD."""

import numpy as np
import pytest
from attack_models import EPSILONS, D, Linear, OnePass

import bioneuro as bn
from bioneuro.attacks import APGD, PGD, Targeted
from bioneuro.attacks.apgd import FIRST_STEP, _Halving, checkpoints
from bioneuro.attacks.objectives import ASCENTS, available, slope, value
from bioneuro.baselines import BackpropMLP

# --- losses ---


@pytest.fixture
def logits():
    rng = np.random.default_rng(0)
    z, true = rng.normal(size=(200, 6)), rng.integers(0, 6, 200)
    return z, true, (true + rng.integers(1, 6, 200)) % 6


@pytest.mark.parametrize("loss", ASCENTS)
@pytest.mark.parametrize("targeted", [False, True])
def test_slopes_are_gradients_up_to_scale(logits, loss, targeted):
    z, true, other = logits
    aim, h = (other if targeted else None), 1e-6
    numeric = np.stack(
        [(value(z + h * e, true, aim, loss) - value(z - h * e, true, aim, loss)) / (2 * h) for e in np.eye(6)], axis=1
    )
    clear = np.diff(np.sort(z, axis=1), axis=1).min(axis=1) > 1e-4  # off the kinks, where the order changes
    clear &= np.abs(numeric).max(axis=1) > 1e-6  # the DLR of a sample whose true class comes third is always 1
    numeric /= np.abs(numeric).max(axis=1, keepdims=True) + 1e-300
    np.testing.assert_allclose(slope(z, true, aim, loss)[clear], numeric[clear], atol=1e-5)


def test_dlr_written_out():
    z, y, t = np.array([[5.0, 1.0, 3.0, 2.0]]), np.array([0]), np.array([2])
    assert value(z, y, None, "dlr") == pytest.approx((3 - 5) / (5 - 2))
    assert value(z, y, t, "dlr") == pytest.approx((3 - 5) / (5 - (2 + 1) / 2))
    assert value(z, np.array([1]), None, "dlr") == pytest.approx((5 - 1) / (5 - 2))


def test_dlr_does_not_see_shift_or_scale(logits):
    z, true, other = logits
    for aim in (None, other):
        np.testing.assert_allclose(value(7 * z + 3, true, aim, "dlr"), value(z, true, aim, "dlr"))
        np.testing.assert_allclose(slope(7 * z + 3, true, aim, "dlr"), slope(z, true, aim, "dlr"), atol=1e-9)


def test_slopes_survive_confidence_and_ties():
    z, y = np.array([[900.0, 0.0, -50.0, 3.0], [1.0, 1.0, 1.0, 1.0]]), np.array([0, 2])
    for loss in ASCENTS:
        for aim in (None, np.array([1, 3])):
            gradient = slope(z, y, aim, loss)
            assert np.isfinite(gradient).all() and (np.abs(gradient).max(axis=1) == 1).all()


def test_dlr_needs_classes():
    assert [available("dlr", n, False) for n in (2, 3, 4)] == ["margin", "dlr", "dlr"]
    assert [available("dlr", n, True) for n in (2, 3, 4)] == ["margin", "margin", "dlr"]
    assert available("ce", 2, True) == "ce"


# --- closed forms ---


@pytest.mark.parametrize("kind", [Linear, OnePass])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ASCENTS)
def test_apgd_reaches_the_closed_form(binary, kind, norm, loss):
    model, X, y = binary
    budgets = np.array(EPSILONS[norm])
    slack = 1e-9 if norm == "linf" else 1e-3
    fates = [[model.robust(X, y, e * (1 + s), norm) for e in budgets] for s in (-slack, slack)]
    clear = (np.array(fates[0]) == np.array(fates[1])).all(axis=0)
    assert clear.mean() > 0.97
    result = APGD(norm=norm, loss=loss, n_steps=40)(kind(model.W, model.b, model.classes_), X[clear], y[clear], budgets)
    np.testing.assert_array_equal(~result.success, np.array(fates[0])[:, clear])


def worst_of_classes(model, X, y, epsilon, norm):
    """Robust samples of a linear model of several classes, away from 0 and 1: no class can overtake."""
    z, rows = model.decision_function(X), np.arange(len(X))
    true = np.searchsorted(model.classes_, y)
    reach = np.linalg.norm(model.W - model.W[true][:, None], 1 if norm == "linf" else 2, axis=2)
    gap = z[rows, true][:, None] - z - epsilon * reach
    gap[rows, true] = np.inf
    return gap.min(axis=1)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ["margin", "dlr"])
def test_targets_find_the_class_that_a_step_reaches_first(norm, loss):
    rng = np.random.default_rng(1)
    W = rng.normal(size=(6, D)) * np.array([1, 1, 1, 1, 4, 4])[:, None]  # large weights: far in logits, near in steps
    model = OnePass(W, b=-W @ np.full(D, 0.5), classes=list("abcdef"))
    X = rng.uniform(0.25, 0.75, (150, D))
    y, epsilon = model.predict(X), EPSILONS[norm][1]
    gap = worst_of_classes(model, X, y, epsilon, norm)
    clear = np.abs(gap) > 0.02
    away, towards = (
        APGD(norm=norm, loss=loss, n_steps=30, n_target_classes=k)(model, X[clear], y[clear], epsilon) for k in (0, 5)
    )
    np.testing.assert_array_equal(~towards.success[0], gap[clear] > 0)
    assert 0.1 < towards.robust_accuracy[0] < away.robust_accuracy[0] < 0.9


@pytest.mark.parametrize("attack", [APGD(n_steps=20), APGD(n_steps=20, loss="margin"), APGD(n_steps=20, loss="dlr")])
def test_apgd_in_the_response_space_gives_the_exact_worst_case(contrast, attack):
    model, X, y = contrast
    worst = model.worst_margin(X, y, 0.08)
    clear = np.abs(worst) > 1e-6
    np.testing.assert_array_equal(attack(model, X[clear], y[clear], 0.08).success[0], worst[clear] < 0)


# --- steps ---


def test_checkpoints_of_the_paper():
    assert list(checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert list(checkpoints(100).values()) == [22, 19, 16, 13, 10, 7, 6, 6]
    assert list(checkpoints(1)) == [1] and all(period > 0 for period in checkpoints(7).values())


def test_steps_are_halved_until_the_maximum_is_found():
    """The loss has its maximum inside the ball: steps of one size jump about it for ever."""

    class Hill(Linear):
        def decision_function(self, X):
            return np.column_stack([np.zeros(len(X)), -1 - ((X - 0.47) ** 2).sum(axis=1)])

        def input_gradient(self, X, y, loss="ce"):
            return -2 * (X - 0.47)

    model, X = Hill(np.zeros((2, 3))), np.random.default_rng(0).uniform(0.4, 0.6, (20, 3))
    y = np.zeros(20, int)
    apgd, pgd = (
        np.abs(attack(model, X, y, 0.2).adversarial[0] - 0.47).max()
        for attack in (APGD(n_steps=100), PGD(n_steps=100, step_size=2.0))
    )
    assert apgd < 0.01 and pgd > 0.1


def test_steps_are_halved_where_few_rise_or_nothing_was_gained_since_the_last_check():
    """Of 10 steps: 8 rise; 7 rise; all rise, but not above the best; the same just after a halving."""
    steps = _Halving.at(np.zeros((4, 1)), "ce", {})
    steps.rises, steps.best_value = np.array([8, 7, 10, 10]), np.array([2.0, 2, 1, 1])
    steps.checked_value, steps.halved = np.ones(4), np.array([False, False, False, True])
    steps._check(10)
    np.testing.assert_array_equal(steps.size.ravel() / FIRST_STEP, [1, 0.5, 0.5, 1])


# --- on a network ---


@pytest.fixture(scope="module")
def network():
    data = bn.datasets.load("digits")
    model = BackpropMLP((64,), n_epochs=10, random_state=0, n_threads=1).fit(data.X_train[:800], data.y_train[:800])
    right = model.predict(data.X_test) == data.y_test
    return model, data.X_test[right][:100], data.y_test[right][:100]


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ASCENTS)
def test_apgd_is_no_weaker_than_pgd_with_as_many_steps(network, norm, loss):
    budgets = {"linf": [0.05, 0.1, 0.15], "l2": [0.3, 0.6, 0.9]}[norm]
    apgd, pgd = (kind(norm=norm, loss=loss, n_steps=40)(*network, budgets) for kind in (APGD, PGD))
    assert (apgd.robust_accuracy <= pgd.robust_accuracy + 0.01).all()
    assert 0.1 < apgd.robust_accuracy.max() < 1


@pytest.mark.parametrize(
    "attack",
    [APGD(n_steps=10, loss="dlr"), APGD(n_steps=8, n_target_classes=3, n_restarts=2), APGD(norm="l2", n_steps=10)],
)
def test_results_repeat_and_do_not_depend_on_batches_or_order(attack):
    rng = np.random.default_rng(3)
    model, X = OnePass(rng.normal(size=(5, D))), rng.uniform(size=(60, D))
    y, budgets = model.predict(X), EPSILONS[attack.norm][1:3]
    whole, again = (attack(model, X, y, budgets) for _ in range(2))
    parts, turned = attack(model, X, y, budgets, batch_size=7), attack(model, X[::-1], y[::-1], budgets)
    for other in (again.adversarial, parts.adversarial, turned.adversarial[:, ::-1]):
        np.testing.assert_array_equal(whole.adversarial, other)


def test_restarts_add_and_targets_add(network):
    model, X, y = network
    few = APGD(n_steps=5)(model, X, y, 0.1).success
    more = APGD(n_steps=5, n_restarts=4)(model, X, y, 0.1).success
    assert (few <= more).all()
    towards = APGD(n_steps=20, loss="dlr", n_target_classes=9)(model, X, y, 0.1)
    assert towards.success.sum() >= APGD(n_steps=20, loss="dlr")(model, X, y, 0.1).success.sum() - 1


def test_a_target_is_the_only_class_to_move_to(network):
    model, X, y = network
    target = (y + 1) % 10
    many, one = (
        APGD(n_steps=10, loss="dlr", n_target_classes=k)(model, X, y, 0.3, criterion=Targeted(target)) for k in (9, 0)
    )
    np.testing.assert_array_equal(many.adversarial, one.adversarial)
    np.testing.assert_array_equal(model.predict(one.adversarial[0]) == target, one.success[0])
    assert one.success.mean() > 0.5


# --- bad input ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: APGD(n_steps=0), "n_steps must be an integer >= 1, got 0"),
        (lambda: APGD(n_restarts=0), "n_restarts must be an integer >= 1, got 0"),
        (lambda: APGD(n_target_classes=-1), "n_target_classes must be an integer >= 0, got -1"),
        (lambda: APGD(loss="hinge"), r"loss must be one of \['ce', 'dlr', 'margin'\], got 'hinge'"),
        (lambda: APGD(norm="l2", space="response"), "no meaning for other norms"),
    ],
)
def test_bad_hyper_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_gradients_without_logits_are_refused(binary):
    class NoLogits:
        classes_, predict, input_gradient = binary[0].classes_, binary[0].predict, binary[0].input_gradient

    with pytest.raises(TypeError, match="APGD needs decision_function, which NoLogits lacks"):
        APGD()(NoLogits(), *binary[1:], 0.1)
