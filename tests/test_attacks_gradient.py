"""FGSM and PGD, against models whose worst case is known in closed form."""

import numpy as np
import pytest
from attack_models import EPSILONS, Contrast, D, Linear, OnePass

from bioneuro.attacks import BIM, FGSM, PGD
from bioneuro.attacks.goals import Goal
from bioneuro.attacks.gradient import towards_runners_up
from bioneuro.attacks.norms import L2, LINF
from bioneuro.attacks.spaces import _Plain, _ResponseBox, attacked_gradient, eyes_in_input


def unambiguous(model, X, y, norm, slack=0.03):
    """Samples whose fate does not change when each budget is a little smaller or larger.

    From a random start, L2 steps of 2.5 / n_steps turn towards the gradient as tan(angle / 2) ~ exp(-2.5):
    they end within 2 % of the optimum.
    """
    budgets = np.array(EPSILONS[norm])
    fates = [[model.robust(X, y, e * (1 + s), norm) for e in budgets] for s in (-slack, slack)]
    return (np.array(fates[0]) == np.array(fates[1])).all(axis=0)


# --- exact on a linear model ---


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_fgsm_is_optimal_on_a_linear_model(binary, norm, loss):
    model, X, y = binary
    result = FGSM(norm=norm, loss=loss)(model, X, y, EPSILONS[norm])
    expected = [model.robust(X, y, e, norm) for e in EPSILONS[norm]]
    np.testing.assert_array_equal(~result.success, expected)
    np.testing.assert_allclose(result.robust_accuracy, np.mean(expected, axis=1))
    assert 0 < result.robust_accuracy[-1] < result.robust_accuracy[0] < 1  # the budgets do discriminate


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("attack", [PGD(), PGD(loss="margin", momentum=0.5), PGD(n_steps=10, n_restarts=2)])
def test_pgd_reaches_the_closed_form(binary, norm, attack):
    model, X, y = binary
    clear = unambiguous(model, X, y, norm)
    assert clear.mean() > 0.8
    attack = PGD(**{**vars(attack), "norm": norm})
    result = attack(model, X[clear], y[clear], EPSILONS[norm])
    expected = [model.robust(X[clear], y[clear], e, norm) for e in EPSILONS[norm]]
    np.testing.assert_array_equal(~result.success, expected)


def test_zero_budget_is_clean_accuracy(binary):
    model, X, y = binary
    wrong = y.copy()
    wrong[:50] = np.where(y[:50] == 3, 7, 3)
    result = PGD()(model, X, wrong, [0.02, 0.0])
    assert result.robust_accuracy[1] == 0.75
    np.testing.assert_array_equal(result.adversarial[1], X)
    assert result.success[:, :50].all() and (result.distance[:, :50] == 0).all()


def test_margin_is_positive_exactly_when_misclassified():
    from bioneuro.attacks.answers import losses_of

    rng = np.random.default_rng(0)
    model = Linear(rng.normal(size=(4, D)), classes=list("abcd"))
    X = rng.uniform(size=(100, D))
    y = rng.choice(model.classes_, 100)
    np.testing.assert_array_equal(losses_of(model, X, y, "margin") > 0, model.predict(X) != y)
    z = model.decision_function(X)
    true = np.searchsorted(model.classes_, y)
    softmax = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(losses_of(model, X, y, "ce"), -np.log(softmax[np.arange(100), true]))


def test_integer_images_are_attacked_as_floats():
    rng = np.random.default_rng(0)
    model = Linear(rng.normal(size=(2, D)))
    X = rng.integers(0, 2, (5, D))
    result = FGSM()(model, X, model.predict(X), 0.25)
    assert result.adversarial.dtype == np.float64
    assert set(np.unique(result.adversarial)) == {0, 0.25, 0.75, 1}


# --- the response space ---


@pytest.mark.parametrize("attack", [FGSM(), PGD(), PGD(loss="margin"), PGD(n_steps=7, momentum=0.5)])
def test_the_response_space_gives_the_exact_worst_case(contrast, attack):
    model, X, y = contrast
    for epsilon in (0.03, 0.08):
        worst = model.worst_margin(X, y, epsilon)
        clear = np.abs(worst) > 0.02
        result = attack(model, X[clear], y[clear], epsilon)
        np.testing.assert_array_equal(result.success[0], worst[clear] < 0)
        assert 0.05 < result.success.mean() < 0.95


def test_the_input_space_is_frozen_where_the_slope_is_zero(contrast):
    model, X, y = contrast
    frozen = PGD(space="input", random_start=False)(model, X, y, 0.1)
    assert (frozen.adversarial[0][X == 0] == 0).all()
    assert frozen.robust_accuracy[0] > PGD()(model, X, y, 0.1).robust_accuracy[0]


def test_l2_follows_the_response_with_its_slope_floored(contrast):
    model, X, y = contrast
    floored = model.response_gradient(X, y, "ce") * np.maximum(model.response_slope(X), 1e-2)
    np.testing.assert_allclose(attacked_gradient(model, X, y, "ce", "l2"), floored)
    np.testing.assert_array_equal(attacked_gradient(model, X, y, "ce", "linf"), model.response_gradient(X, y))
    step = FGSM(norm="l2")(model, X, y, 0.01).adversarial[0] - X
    inside = ((X + 2 * floored > 0) | (X > 0.01)).all(axis=1) & (model.predict(X + step) == y)
    np.testing.assert_allclose(step[inside], 0.01 * (floored / np.linalg.norm(floored, axis=1)[:, None])[inside])
    frozen, moving = (PGD(norm="l2", space=space)(model, X, y, 0.5).robust_accuracy[0] for space in ("input", "auto"))
    assert moving <= frozen


def test_l2_leaves_black():
    model = Contrast(np.vstack([np.zeros(D), np.ones(D)]), b=[0.1, 0.0])
    X, y = np.zeros((3, D)), np.zeros(3, int)
    kept, broken = (BIM(norm="l2", space=space)(model, X, y, 3.0) for space in ("input", "auto"))
    assert not kept.success.any() and not kept.distance.any() and broken.success.all()


def test_the_response_space_is_for_linf_and_for_models_that_offer_it(binary, contrast):
    model, X, y = contrast
    with pytest.raises(ValueError, match="no meaning for other norms"):
        PGD(norm="l2", space="response")
    with pytest.raises(TypeError, match="Linear lacks"):
        PGD(space="response")(*binary, 0.1)


# --- starts and steps ---


def test_restarts_break_what_one_start_does_not():
    """A one-pixel model with two basins: the loss has a false maximum at one end of the ball."""

    class TwoBasins:
        classes_ = np.array([0, 1])

        def decision_function(self, X):
            t = X[:, 0]
            return np.column_stack([np.zeros(len(X)), np.where(t < 0.5, -0.5 - (t - 0.5), 10 * (t - 0.5) - 1)])

        def predict(self, X):
            return self.decision_function(X).argmax(axis=1)

        def input_gradient(self, X, y, loss="ce"):
            return np.where(X < 0.5, -1.0, 10.0)

    model, y = TwoBasins(), np.zeros(200, int)
    X = np.linspace(0.49, 0.51, 200)[:, None]
    one, many = (PGD(n_restarts=n, n_steps=5)(model, X, y, 0.2).robust_accuracy[0] for n in (1, 10))
    assert 0.3 < one < 0.7 and many < 0.05


def test_early_stop_spends_gradients_on_survivors_only(binary):
    model, X, y = binary
    asked = []
    gradient = model.input_gradient
    model.input_gradient = lambda X, y, loss: asked.append(len(X)) or gradient(X, y, loss)
    PGD(n_steps=10, random_start=False)(model, X, y, 0.03)
    assert len(asked) <= 10 and asked[0] == len(X) and asked[-1] < len(X) and (np.diff(asked) <= 0).all()
    asked.clear()
    PGD(n_steps=10, early_stop=False)(model, X, y, 0.03)
    assert asked == [len(X)] * 10


def test_bim_starts_at_the_images(binary):
    model, X, y = binary
    bim, pgd = (attack(model, X, y, 0.02).adversarial for attack in (BIM(), PGD(random_start=False)))
    np.testing.assert_array_equal(bim, pgd)


# --- one pass or many ---


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_models_that_answer_in_one_pass_are_attacked_the_same(norm, loss):
    rng = np.random.default_rng(0)
    W, X = rng.normal(size=(5, D)), rng.uniform(size=(50, D))
    many, one = Linear(W), OnePass(W)
    y = many.predict(X)
    for attack in (PGD(norm=norm, loss=loss, n_steps=10), FGSM(norm=norm, loss=loss)):
        a, b = (attack(model, X, y, EPSILONS[norm]) for model in (many, one))
        np.testing.assert_allclose(a.adversarial, b.adversarial, atol=1e-12)
        np.testing.assert_array_equal(a.success, b.success)


def test_one_pass_a_step(binary):
    model, X, y = binary
    model = OnePass(model.W, model.b, model.classes_)
    asked = []
    for name in ("predict", "input_vjp", "input_gradient", "decision_function"):
        method = getattr(model, name)
        setattr(model, name, lambda *args, name=name, method=method: asked.append(name) or method(*args))
    PGD(n_steps=10, early_stop=False)(model, X, y, 0.02)
    assert asked.count("input_vjp") == 10 and asked.count("predict") == 2 and "input_gradient" not in asked
    asked.clear()
    FGSM()(model, X, y, 0.02)
    assert asked.count("input_vjp") == asked.count("predict") == 1  # the first says what is so at X, too


@pytest.mark.parametrize("attack", [FGSM(), BIM(n_steps=3), PGD(n_steps=3)])
@pytest.mark.parametrize("epsilons", [[0.01], [0.0, 0.01]])
def test_what_is_wrong_from_the_start_stays_where_it_is(contrast, attack, epsilons):
    model, X, y = contrast
    wrong = np.arange(len(X)) % 3 == 0
    result = attack(model, X, np.where(wrong, 1 - y, y), epsilons)
    assert result.success[:, wrong].all() and (result.distance[:, wrong] == 0).all()
    np.testing.assert_array_equal(result.success[:, ~wrong], attack(model, X[~wrong], y[~wrong], epsilons).success)


def test_the_cross_entropy_of_a_confident_model_is_not_masked_in_one_pass(binary):
    model, X, y = binary
    sure = [kind(1e4 * model.W, 1e4 * np.asarray(model.b), model.classes_) for kind in (Linear, OnePass)]
    masked, seen = (np.abs(attacked_gradient(m, X, y, "ce", "linf")).max(axis=1) for m in sure)
    assert (masked == 0).mean() > 0.9 and (seen > 0).all()
    expected = [model.robust(X, y, e, "linf") for e in EPSILONS["linf"]]
    np.testing.assert_array_equal(~FGSM()(sure[1], X, y, EPSILONS["linf"]).success, expected)


# --- bad input ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PGD(norm="l1"), r"norm must be one of \['l2', 'linf'\], got 'l1'"),
        (lambda: PGD(n_steps=0), "n_steps must be an integer >= 1, got 0"),
        (lambda: PGD(n_restarts=0), "n_restarts must be an integer >= 1, got 0"),
        (lambda: PGD(n_steps=1.5), "n_steps must be an integer >= 1, got 1.5"),
        (lambda: PGD(n_steps="3"), "n_steps must be an integer >= 1, got '3'"),
        (lambda: PGD(step_size=0.0), "step_size must be a finite number > 0 or None, got 0.0"),
        (lambda: PGD(momentum=-0.1), "momentum must be a finite number >= 0, got -0.1"),
        (lambda: PGD(loss="hinge"), r"loss must be one of \['ce', 'dlr', 'margin'\], got 'hinge'"),
        (lambda: PGD(space="fourier"), r"space must be one of \['auto', 'input', 'response'\]"),
        (lambda: PGD(random_start="no"), "random_start must be True or False, got 'no'"),
        (lambda: BIM(early_stop=0), "early_stop must be True or False, got 0"),
        (lambda: PGD(n_restarts=2, random_start=False), "n_restarts > 1 needs random_start"),
    ],
)
def test_bad_hyper_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_bim_starts_at_the_image():
    with pytest.raises(TypeError, match="random_start"):
        BIM(random_start=True)


# --- against an independent implementation ---


def test_pgd_agrees_with_torch():
    torch = pytest.importorskip("torch", reason="the second implementation of PGD is written in torch")
    rng = np.random.default_rng(0)
    W, V = rng.normal(size=(20, D)) / 3, rng.normal(size=(4, 20))
    net = torch.nn.Sequential(torch.nn.Linear(D, 20), torch.nn.Tanh(), torch.nn.Linear(20, 4)).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor(W))
        net[2].weight.copy_(torch.tensor(V))
        biases = [net[0].bias.numpy().copy(), net[2].bias.numpy().copy()]

    class Tanh(Linear):
        def hidden(self, X):
            return np.tanh(X @ W.T + biases[0])

        def input_gradient(self, X, y, loss="ce"):
            return (self.hidden_gradient(X, y, loss) * (1 - self.hidden(X) ** 2)) @ W

    model = Tanh(V, biases[1])
    X = rng.uniform(size=(50, D))
    y = model.predict(X)
    n_steps, epsilon = 15, 0.05
    for norm in ("linf", "l2"):
        x0, target = torch.tensor(X), torch.tensor(y)
        x = x0.clone()
        for _ in range(n_steps):
            x.requires_grad_(True)
            (g,) = torch.autograd.grad(torch.nn.functional.cross_entropy(net(x), target, reduction="sum"), x)
            with torch.no_grad():
                if norm == "linf":
                    x = (x + 2.5 / n_steps * epsilon * g.sign()).clamp(x0 - epsilon, x0 + epsilon).clamp(0, 1)
                else:
                    delta = x + 2.5 / n_steps * epsilon * g / g.norm(dim=1, keepdim=True) - x0
                    x = (x0 + delta * (epsilon / delta.norm(dim=1, keepdim=True)).clamp(max=1)).clamp(0, 1)
        attack = PGD(norm=norm, n_steps=n_steps, random_start=False, early_stop=False)
        ours = attack(model, X, y, epsilon)
        np.testing.assert_allclose(ours.adversarial[0], x.numpy(), atol=1e-9)
        np.testing.assert_array_equal(ours.success[0], (net(x).argmax(dim=1) != target).numpy())


def test_what_is_wrong_already_is_broken_at_a_budget_of_zero_beside_others(binary):
    model, X, y = binary
    assert FGSM()(model, X, np.where(y == 3, 7, 3), [0, 0.02]).success.all()


# --- parts ---


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_what_lies_just_in_the_ball_stays_as_it_is(dtype):
    X = np.full((2, 1), 0.5, dtype)
    np.testing.assert_array_equal(LINF.project(np.array([[0], [1]], dtype), X, 0.25), [[0.25], [0.75]])
    X, Z = np.array([[0.5]]), np.array([[0.1]])
    assert X + (Z - X) != Z  # rounding: taken apart and put together it would be another
    np.testing.assert_array_equal(L2.project(Z, X, L2.distance(Z - X)[0]), Z)
    np.testing.assert_array_equal(L2.steepest(np.zeros((1, 3), dtype)), np.zeros((1, 3)))


def test_there_are_as_many_runners_up_as_wrong_classes():
    model, X = Linear(np.array([[0, 0.0], [1, 0], [2, 0]])), np.array([[0.5, 0.5]])
    targets = [int(goal.aim[0]) for goal in towards_runners_up(model, X, Goal(np.array([2])), 9)]
    assert targets == [1, 0]
    assert len(towards_runners_up(model, X, Goal(np.array([2])), 1)) == 1


def test_the_reach_of_a_response_is_the_longer_side_of_its_box():
    model, X = Contrast(np.eye(2)), np.array([[0.2, 0.5], [0.7, 0.9]])
    centre, low, high = (model.response(np.clip(X + step, 0, 1)) for step in (0, -0.1, 0.3))
    box = _ResponseBox.around(model, None, centre, np.clip(X - 0.1, 0, 1), np.clip(X + 0.3, 0, 1))
    np.testing.assert_array_equal(box.reach, np.maximum(high - centre, centre - low))


@pytest.mark.parametrize(("loss", "asked"), [("ce", "ce"), ("margin", "margin"), ("dlr", "margin")])
def test_a_model_is_asked_for_the_gradients_that_it_knows(loss, asked):
    rng = np.random.default_rng(0)
    model, X, y = Linear(rng.normal(size=(3, 4))), rng.uniform(size=(5, 4)), np.arange(5) % 3
    view = _Plain(eyes_in_input(model), X, Goal(y))
    np.testing.assert_array_equal(view.gradient(loss), model.input_gradient(X, y, asked))
