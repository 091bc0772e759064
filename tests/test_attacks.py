"""bioneuro.attacks against models whose worst case is known in closed form."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioneuro.attacks import (
    ATTACKS,
    FGSM,
    PGD,
    Attack,
    Ensemble,
    GaussianNoise,
    SampleRandom,
    Square,
    Transfer,
    UniformNoise,
    audit,
    worst_case,
)
from bioneuro.protocols import Classifier, ResponseFront, WhiteBox

# --- models written out, so that the right answer is known ---


class Linear:
    """Logits W x + b. Sums row by row, so the rounding of a sample does not depend on its batch."""

    def __init__(self, W, b=0.0, classes=None):
        self.W, self.b = np.asarray(W, float), b
        self.classes_ = np.arange(len(self.W)) if classes is None else np.asarray(classes)

    def hidden(self, X):
        return X

    def decision_function(self, X):
        return (self.hidden(X)[:, None, :] * self.W).sum(axis=2) + self.b

    def predict(self, X):
        return self.classes_[self.decision_function(X).argmax(axis=1)]

    def hidden_gradient(self, X, y, loss):
        z = self.decision_function(X)
        rows, true = np.arange(len(X)), np.searchsorted(self.classes_, y)
        if loss == "ce":
            dz = np.exp(z - z.max(axis=1, keepdims=True))
            dz /= dz.sum(axis=1, keepdims=True)
        else:
            z[rows, true] = -np.inf
            dz = np.zeros_like(z)
            dz[rows, z.argmax(axis=1)] = 1
        dz[rows, true] -= 1
        return dz @ self.W

    def input_gradient(self, X, y, loss="ce"):
        return self.hidden_gradient(X, y, loss)

    def robust(self, X, y, epsilon, norm):
        """Closed form for two classes and no clipping: the margin exceeds epsilon times the dual norm."""
        W, b = self.W[1] - self.W[0], np.subtract(*np.broadcast_to(self.b, 2)[::-1])
        margin = np.where(y == self.classes_[1], 1, -1) * (X @ W + b)
        return margin > epsilon * np.linalg.norm(W, 1 if norm == "linf" else 2)


class Contrast(Linear):
    """A linear model behind the contrast response r(x) = x^n (1 + s^n) / (x^n + s^n), n = 4, s = 1/2."""

    n, s = 4, 0.5

    def response(self, X):
        return X**self.n * (1 + self.s**self.n) / (X**self.n + self.s**self.n)

    def response_inverse(self, R):
        return (R * self.s**self.n / (1 + self.s**self.n - R)) ** (1 / self.n)

    def response_gradient(self, X, y, loss="ce"):
        return self.hidden_gradient(X, y, loss)

    hidden = response

    def input_gradient(self, X, y, loss="ce"):
        power = X**self.n + self.s**self.n
        slope = self.n * X ** (self.n - 1) * self.s**self.n * (1 + self.s**self.n) / power**2
        return slope * self.hidden_gradient(X, y, loss)

    def worst_margin(self, X, y, epsilon):
        """Of two classes: each response sits at the end of its box that hurts the most."""
        w = np.where(y == self.classes_[1], 1, -1)[:, None] * (self.W[1] - self.W[0])
        low, high = (self.response(np.clip(X + e, 0, 1)) for e in (-epsilon, epsilon))
        return np.minimum(w * low, w * high).sum(axis=1)


class Quantised(Linear):
    """Masked on purpose: pixels are rounded to a few levels, whose gradient is zero almost everywhere."""

    def hidden(self, X):
        return np.round(X * 8) / 8

    def input_gradient(self, X, y, loss="ce"):
        return np.zeros_like(X)


D = 36


@pytest.fixture
def binary():
    """A two-class linear model and 200 samples it gets right, far from 0 and 1: eps <= 0.2 does not clip."""
    rng = np.random.default_rng(0)
    W = rng.normal(size=(2, D))
    model = Linear(W, b=-W @ np.full(D, 0.5), classes=[3, 7])
    X = rng.uniform(0.25, 0.75, (200, D))
    return model, X, model.predict(X)


EPSILONS = {"linf": [0.01, 0.02, 0.04, 0.08], "l2": [0.05, 0.1, 0.2, 0.4]}


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


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_breaks_what_is_provably_robust(binary, norm, name):
    model, X, y = binary
    params = {"n_queries": 100} if name == "square" else {}
    result = ATTACKS[name](norm=norm, random_state=1, **params)(model, X, y, EPSILONS[norm])
    for broken, epsilon in zip(result.success, EPSILONS[norm], strict=True):
        assert not (broken & model.robust(X, y, epsilon * 1.0001, norm)).any()
    assert result.success[-1].any()


def test_binary_models_may_return_one_column(binary):
    model, X, y = binary

    class OneColumn(Linear):
        def decision_function(self, X):
            z = super().decision_function(X)
            return z[:, 1] - z[:, 0]

        def predict(self, X):
            return self.classes_[(self.decision_function(X) > 0).astype(int)]

    one = OneColumn(model.W, model.b, model.classes_)
    attack = Square(n_queries=50)
    np.testing.assert_array_equal(attack(one, X, y, 0.02).success, attack(model, X, y, 0.02).success)


def test_margin_is_positive_exactly_when_misclassified():
    from bioneuro.attacks.base import loss_values

    rng = np.random.default_rng(0)
    model = Linear(rng.normal(size=(4, D)), classes=list("abcd"))
    X = rng.uniform(size=(100, D))
    y = rng.choice(model.classes_, 100)
    np.testing.assert_array_equal(loss_values(model, X, y, "margin") > 0, model.predict(X) != y)
    z = model.decision_function(X)
    true = np.searchsorted(model.classes_, y)
    softmax = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(loss_values(model, X, y, "ce"), -np.log(softmax[np.arange(100), true]))


# --- the response space ---


@pytest.fixture
def contrast():
    """Half the pixels are black: there the response, so the gradient with respect to x, has slope zero."""
    rng = np.random.default_rng(2)
    model = Contrast(rng.normal(size=(2, D)))
    X = rng.uniform(0.2, 0.9, (100, D)) * (rng.uniform(size=(100, D)) < 0.5)
    return model, X, model.predict(X)


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


def test_the_response_space_is_for_linf_and_for_models_that_offer_it(binary, contrast):
    model, X, y = contrast
    l2 = PGD(norm="l2")(model, X, y, 0.5)
    np.testing.assert_array_equal(l2.adversarial, PGD(norm="l2", space="input")(model, X, y, 0.5).adversarial)
    with pytest.raises(ValueError, match="no meaning for other norms"):
        PGD(norm="l2", space="response")
    with pytest.raises(TypeError, match="Linear lacks"):
        PGD(space="response")(*binary, 0.1)


# --- what holds for every attack ---


def every_attack(norm, seed=0):
    rng = np.random.default_rng(9)
    source = Linear(rng.normal(size=(3, D)))
    for name, make in ATTACKS.items():
        params = {"n_queries": 30} if name == "square" else {}
        yield make(norm=norm, random_state=seed, **params)
    yield Transfer(source, PGD(norm=norm, n_steps=5, early_stop=False, random_state=seed))
    yield Ensemble([FGSM(norm=norm), GaussianNoise(norm=norm, random_state=seed)])


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    dtype=st.sampled_from([np.float32, np.float64]),
    norm=st.sampled_from(["linf", "l2"]),
    epsilons=st.lists(st.floats(0, 2), min_size=1, max_size=3),
)
def test_budget_order_and_input_hold_for_every_attack(seed, dtype, norm, epsilons):
    rng = np.random.default_rng(seed)
    model = Linear(rng.normal(size=(3, D)))
    X = np.round(rng.uniform(-0.2, 1.2, (6, D)).clip(0, 1), 2).astype(dtype)  # many pixels at 0 and at 1
    y = rng.integers(0, 3, 6)
    original = X.copy()
    for attack in every_attack(norm, seed % 1000):
        result = attack(model, X, y, epsilons)
        np.testing.assert_array_equal(X, original)
        assert result.adversarial.dtype == dtype and result.adversarial.shape == (len(epsilons), 6, D)
        assert result.adversarial.min() >= 0 and result.adversarial.max() <= 1
        delta = result.adversarial.astype(float) - X
        distance = np.abs(delta).max(axis=2) if norm == "linf" else np.sqrt((delta**2).sum(axis=2))
        assert (distance <= np.array(epsilons)[:, None] + 1e-6).all()
        np.testing.assert_allclose(result.distance, distance, atol=1e-12)
        flat = result.adversarial.reshape(-1, D)
        np.testing.assert_array_equal(
            result.success.ravel(), model.predict(flat) != np.tile(y, len(epsilons))
        )
        order = np.argsort(epsilons, kind="stable")
        assert (np.diff(result.success[order].astype(int), axis=0) >= 0).all()
        np.testing.assert_allclose(result.robust_accuracy, 1 - result.success.mean(axis=1))


def test_zero_budget_is_clean_accuracy(binary):
    model, X, y = binary
    wrong = y.copy()
    wrong[:50] = np.where(y[:50] == 3, 7, 3)
    result = PGD()(model, X, wrong, [0.02, 0.0])
    assert result.robust_accuracy[1] == 0.75
    np.testing.assert_array_equal(result.adversarial[1], X)
    assert result.success[:, :50].all() and (result.distance[:, :50] == 0).all()


def test_a_broken_sample_keeps_its_image_at_larger_budgets(binary):
    model, X, y = binary
    result = UniformNoise()(model, X, y, [0.3, 0.1])
    broken = result.success[1]
    assert 0 < broken.sum() < len(X)
    np.testing.assert_array_equal(result.adversarial[0][broken], result.adversarial[1][broken])


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_reproducible_and_independent_of_batch_and_neighbours(norm):
    rng = np.random.default_rng(4)
    model = Linear(rng.normal(size=(3, D)))
    X = rng.uniform(size=(30, D))
    y = model.predict(X)
    for attack, same, other in zip(
        every_attack(norm), every_attack(norm), every_attack(norm, 1), strict=True
    ):
        whole = attack(model, X, y, 0.03)
        np.testing.assert_array_equal(same(model, X, y, 0.03).adversarial, whole.adversarial)
        np.testing.assert_array_equal(attack(model, X, y, 0.03, batch_size=7).adversarial, whole.adversarial)
        part = attack(model, X[11:17][::-1], y[11:17][::-1], 0.03)
        np.testing.assert_array_equal(part.adversarial[:, ::-1], whole.adversarial[:, 11:17])
        if getattr(attack, "random_start", True) and not isinstance(attack, Transfer):
            assert not np.array_equal(other(model, X, y, 0.03).adversarial, whole.adversarial)


def test_generators_are_resolved_once():
    attack = UniformNoise(random_state=np.random.default_rng(5))
    assert attack.random_state == UniformNoise(random_state=np.random.default_rng(5)).random_state
    assert attack.random_state != UniformNoise(random_state=np.random.default_rng(6)).random_state


def test_integer_images_are_attacked_as_floats():
    rng = np.random.default_rng(0)
    model = Linear(rng.normal(size=(2, D)))
    X = rng.integers(0, 2, (5, D))
    result = FGSM()(model, X, model.predict(X), 0.25)
    assert result.adversarial.dtype == np.float64
    assert set(np.unique(result.adversarial)) == {0, 0.25, 0.75, 1}


# --- each attack ---


def test_noise_fills_its_ball(binary):
    _, X, _ = binary
    model = Linear(np.zeros((2, D)), b=[1.0, 0.0])  # always class 0, so every draw is kept and none succeeds
    y = np.zeros(len(X), int)
    uniform = UniformNoise(n_draws=1)(model, X, y, 0.2)
    delta = uniform.adversarial[0] - X
    np.testing.assert_allclose(delta.std(), 0.2 / np.sqrt(3), rtol=0.05)
    ball = UniformNoise(norm="l2", n_draws=1)(model, X, y, 0.2)
    np.testing.assert_allclose(ball.distance.mean(), 0.2 * D / (D + 1), rtol=0.01)  # E[u^(1/d)] = d / (d + 1)
    gaussian = GaussianNoise(norm="l2", n_draws=1)(model, X, y, 0.2)
    assert 0.9 * 0.2 < gaussian.distance.mean() <= 0.2
    cut = GaussianNoise(n_draws=1)(model, X, y, 0.2).adversarial[0] - X
    np.testing.assert_allclose((np.abs(np.abs(cut) - 0.2) < 1e-9).mean(), 0.0455, atol=0.01)  # beyond 2 sd


def test_restarts_break_what_one_start_does_not():
    """A one-pixel model with two basins: the loss has a false maximum at one end of the ball."""

    class TwoBasins:
        classes_ = np.array([0, 1])

        def decision_function(self, X):
            t = X[:, 0]
            return np.column_stack(
                [np.zeros(len(X)), np.where(t < 0.5, -0.5 - (t - 0.5), 10 * (t - 0.5) - 1)]
            )

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
    PGD(n_steps=10)(model, X, y, 0.03)
    assert len(asked) <= 10 and asked[0] == len(X) and asked[-1] < len(X) and (np.diff(asked) <= 0).all()
    asked.clear()
    PGD(n_steps=10, early_stop=False)(model, X, y, 0.03)
    assert asked == [len(X)] * 10


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("shape", [None, (4, 9), (9, 4, 1), (6, 2, 3), (36, 1)])
def test_square_beats_noise_with_as_many_queries(binary, norm, shape):
    model, X, y = binary
    epsilon = EPSILONS[norm][2]
    square = Square(norm=norm, n_queries=200, image_shape=shape)(model, X, y, epsilon)
    noise = UniformNoise(norm=norm, n_draws=200)(model, X, y, epsilon)
    assert square.robust_accuracy[0] < noise.robust_accuracy[0]
    # and comes near the optimum of this model, by logits alone
    assert square.robust_accuracy[0] < model.robust(X, y, 0.6 * epsilon, norm).mean()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_square_respects_its_number_of_queries_and_improves(binary, norm):
    model, X, y = binary
    asked = []
    decide = model.decision_function
    model.decision_function = lambda X: asked.append(len(X)) or decide(X)
    few = Square(norm=norm, n_queries=5)(model, X, y, 0.03)
    assert len(asked) == 5 + 2  # and one predict before and one after
    more = Square(norm=norm, n_queries=100)(model, X, y, 0.03)
    assert more.success.mean() > few.success.mean()


def test_square_reads_the_shape_of_the_model(binary):
    model, X, y = binary
    model.image_shape_ = (4, 9)
    of_model = Square(n_queries=20)(model, X, y, 0.02).adversarial
    del model.image_shape_
    np.testing.assert_array_equal(
        of_model, Square(n_queries=20, image_shape=(4, 9))(model, X, y, 0.02).adversarial
    )
    with pytest.raises(ValueError, match=r"image_shape \(5, 5\) does not fit 36 features"):
        Square(image_shape=(5, 5))(model, X, y, 0.02)


def test_square_on_tiny_vectors():
    for features in (1, 2, 3, 5):
        model = Linear(np.vstack([np.zeros(features), np.ones(features)]), b=[0, -0.4 * features])
        X = np.full((3, features), 0.5)
        for norm in ("linf", "l2"):
            assert Square(norm=norm, n_queries=200)(model, X, [1, 1, 1], 0.5).success.all()


def test_transfer_crafts_on_the_source_and_judges_on_the_target(binary):
    model, X, y = binary
    twin, masked = Linear(model.W, model.b, model.classes_), Quantised(model.W, model.b, model.classes_)
    y = masked.predict(X)
    assert PGD()(masked, X, y, 0.05).robust_accuracy[0] > 0.8
    assert Transfer(twin)(masked, X, y, 0.05).robust_accuracy[0] < 0.5
    opposite = Linear(-model.W, -model.b, model.classes_)
    assert Transfer(opposite)(model, X, model.predict(X), 0.05).robust_accuracy[0] == 1
    with pytest.raises(ValueError, match="source_model has classes"):
        Transfer(Linear(model.W))(model, X, y, 0.05)


# --- the worst case ---


def test_worst_case_is_the_least_over_its_attacks(binary):
    model, X, y = binary
    members = [UniformNoise(random_state=1), Square(n_queries=40, random_state=2)]
    results = [attack(model, X, y, EPSILONS["linf"]) for attack in members]
    together = worst_case(model, X, y, EPSILONS["linf"], attacks=members)
    np.testing.assert_array_equal(together.success, results[0].success | results[1].success)
    assert (results[0].success != results[1].success).any()  # the two do differ


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_worst_case_by_default_is_the_closed_form(binary, norm):
    model, X, y = (binary[0], binary[1][:40], binary[2][:40])
    result = worst_case(model, X, y, EPSILONS[norm], norm, progress=True)
    expected = [model.robust(X, y, e, norm) for e in EPSILONS[norm]]
    np.testing.assert_array_equal(~result.success, expected)
    assert "robust accuracy {" in repr(result) and norm in repr(result)


def test_worst_case_sees_through_a_mask_by_black_box_and_by_transfer(binary):
    model, X, y = binary
    masked = Quantised(model.W, model.b, model.classes_)
    y = masked.predict(X)
    white = worst_case(masked, X, y, 0.05, attacks=["pgd-ce", "pgd-margin"]).robust_accuracy[0]
    black = worst_case(masked, X, y, 0.05, attacks=["square"]).robust_accuracy[0]
    transfer = worst_case(masked, X, y, 0.05, attacks=["pgd-ce"], sources=[model]).robust_accuracy[0]
    assert white > 0.8 and black < 0.5 and transfer < 0.5


def test_black_box_attacks_do_without_gradients(binary):
    from sklearn.linear_model import LogisticRegression

    _, X, y = binary
    model = LogisticRegression().fit(X, y)
    assert isinstance(model, Classifier) and not isinstance(model, WhiteBox)
    assert worst_case(model, X, y, 0.1, attacks=["square", "gaussian-noise"]).robust_accuracy[0] < 0.9
    with pytest.raises(TypeError, match="FGSM needs input_gradient, which LogisticRegression lacks"):
        worst_case(model, X, y, 0.1)


def test_protocols_tell_models_apart():
    W = np.zeros((2, D))
    assert isinstance(Linear(W), WhiteBox) and not isinstance(Linear(W), ResponseFront)
    assert isinstance(Contrast(W), ResponseFront)


# --- a new attack is `run` and nothing else ---


@dataclass(kw_only=True)
class Shout(Attack):
    """Leaves the budget by far, to be brought back."""

    volume: float = 5.0

    def run(self, model, X, y, epsilon, random):
        return X + self.volume * np.sign(random.normal(X.shape[1]))


def test_a_new_attack_needs_only_run(binary):
    model, X, y = binary
    result = Shout(norm="l2", random_state=3)(model, X, y, [0.1])
    assert (result.distance <= 0.1 + 1e-9).all() and result.distance.max() > 0.09
    alone = Shout(random_state=3)
    np.testing.assert_array_equal(
        worst_case(model, X, y, 0.1, attacks=[alone]).success, alone(model, X, y, 0.1).success
    )


def test_random_streams_depend_on_content_and_seed():
    X = np.random.default_rng(0).uniform(size=(4, 3))
    streams, permuted = SampleRandom(1, X), SampleRandom(1, X[::-1])
    first = streams.uniform(5)
    np.testing.assert_array_equal(permuted.uniform(5)[::-1], first)
    assert not np.array_equal(SampleRandom(2, X).uniform(5), first)
    # A subset's draw moves only the streams of the subset.
    second = streams.normal(2, rows=np.array([2]))
    np.testing.assert_array_equal(permuted.normal(2, rows=np.array([1])), second)
    np.testing.assert_array_equal(streams.uniform(1)[[0, 1, 3]], permuted.uniform(1)[[3, 2, 0]])


# --- audit ---


def statuses(table):
    assert list(table.columns) == ["check", "value", "status"] and table["check"].is_unique
    assert set(table["status"]) <= {"pass", "warn"} and np.isfinite(table["value"]).all()
    return dict(zip(table["check"], table["status"], strict=True))


@pytest.fixture
def moderate():
    """A three-class linear model of moderate confidence: at the budgets, neither all nor none is robust."""
    rng = np.random.default_rng(3)
    W = rng.normal(size=(3, D))
    model = Linear(W, b=-W @ np.full(D, 0.5))
    X = rng.uniform(0.2, 0.8, (60, D))
    return model, X, model.predict(X)


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.03), ("l2", 0.2)])
def test_audit_passes_an_honest_model(moderate, norm, epsilon):
    table = audit(*moderate, epsilon, norm, n_queries=100, n_steps=20, sources=[moderate[0]], progress=True)
    assert set(statuses(table).values()) == {"pass"}, table
    values = dict(zip(table["check"], table["value"], strict=True))
    assert values["clean accuracy"] == 1 and values["gradient error (ce, x)"] < 1e-6
    assert values["transfer 0 minus white-box"] >= 0 and len(table) == 16


def test_audit_passes_a_contrast_response_attacked_in_its_own_space(contrast):
    found = statuses(audit(*contrast, 0.2, n_queries=100, n_steps=20))
    assert set(found.values()) == {"pass"}, found
    assert {"gradient error (ce, response)", "response inverse", "response increasing"} <= set(found)


def test_audit_in_single_precision(moderate):
    model, X, y = moderate
    found = statuses(audit(model, X.astype(np.float32), y, 0.03, n_queries=50, n_steps=10))
    assert set(found.values()) == {"pass"}, found


def test_audit_warns_of_quantised_inputs(moderate):
    model, X, _ = moderate
    masked = Quantised(model.W, model.b)
    found = statuses(audit(masked, X, masked.predict(X), 0.03, n_queries=100, n_steps=10, sources=[model]))
    for check in (
        "vanished gradients (ce)",
        "zero gradient entries (margin)",
        "black-box minus white-box",
        "transfer 0 minus white-box",
        "robust accuracy, unbounded",
    ):
        assert found[check] == "warn", check


def with_method(model, name, function):
    """A copy of a model with one method replaced."""
    broken = type(model)(model.W, model.b, model.classes_)
    setattr(broken, name, function)
    return broken


def audit_of(model, X, y):
    return statuses(audit(model, X, y, 0.03, n_queries=30, n_steps=10))


def test_audit_warns_of_a_wrong_gradient(moderate):
    model, X, y = moderate
    doubled = with_method(model, "input_gradient", lambda X, y, loss: 2 * model.input_gradient(X, y, loss))
    found = audit_of(doubled, X, y)
    assert found["gradient error (ce, x)"] == found["gradient error (margin, x)"] == "warn"
    backwards = with_method(model, "input_gradient", lambda X, y, loss: -model.input_gradient(X, y, loss))
    assert audit_of(backwards, X, y)["black-box minus white-box"] == "warn"


def test_audit_warns_of_saturation(moderate):
    """Logits so large that the cross-entropy's gradient underflows; the margin's does not."""
    model, X, y = moderate
    found = audit_of(Linear(1e6 * model.W, 1e6 * model.b), X, y)
    assert found["vanished gradients (ce)"] == "warn" and found["vanished gradients (margin)"] == "pass"


def test_audit_warns_of_a_response_whose_slope_is_zero_but_not_offered(contrast):
    model, X, y = contrast

    class Hidden(Linear):
        """The same model without the response methods: only the masked gradient is left."""

        hidden = staticmethod(model.response)
        input_gradient = staticmethod(model.input_gradient)

    X = X * (np.arange(D) % 4 < 2)  # three quarters of the pixels black
    found = statuses(audit(Hidden(model.W), X, model.predict(X), 0.2, n_queries=30, n_steps=10))
    assert found["zero gradient entries (ce)"] == "warn"


def test_audit_warns_of_a_random_model(moderate):
    model, X, y = moderate
    rng = np.random.default_rng(0)
    noisy = with_method(
        model,
        "decision_function",
        lambda X: Linear.decision_function(model, X) + rng.normal(size=(len(X), 3)),
    )
    assert audit_of(noisy, X, y)["determinism"] == "warn"


def test_audit_warns_when_predict_is_not_the_largest_logit(moderate):
    model, X, y = moderate
    other = with_method(model, "predict", lambda X: (model.predict(X) + 1) % 3)
    found = audit_of(other, X, y)
    assert found["predict against decision_function"] == "warn" and found["clean accuracy"] == "warn"


def test_audit_warns_of_a_response_that_decreases(contrast):
    model, X, y = contrast

    class Falling(Contrast):
        def response(self, X):
            return 1 - super().response(X)

        def response_inverse(self, R):
            return super().response_inverse(R)

    found = audit_of(Falling(model.W), X, y)
    assert found["response inverse"] == found["response increasing"] == "warn"


def test_audit_needs_a_positive_budget(moderate):
    with pytest.raises(ValueError, match="epsilon must be one positive number"):
        audit(*moderate, 0.0)


# --- bad input ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PGD(norm="l1"), "norm must be one of linf, l2; got 'l1'"),
        (lambda: PGD(random_state=-1), "random_state must be at least 0"),
        (lambda: PGD(n_steps=0), "n_steps must be at least 1, got 0"),
        (lambda: PGD(n_restarts=0), "n_restarts must be at least 1, got 0"),
        (lambda: PGD(step_size=0.0), "step_size must be positive, got 0.0"),
        (lambda: PGD(momentum=-0.1), "momentum must be at least 0, got -0.1"),
        (lambda: PGD(loss="hinge"), "loss must be one of ce, margin; got 'hinge'"),
        (lambda: PGD(space="fourier"), "space must be one of auto, input, response"),
        (lambda: PGD(n_restarts=2, random_start=False), "n_restarts > 1 needs random_start"),
        (lambda: Square(n_queries=0), "n_queries must be at least 1, got 0"),
        (lambda: Square(p_init=1.5), r"p_init must be in \(0, 1\], got 1.5"),
        (lambda: UniformNoise(n_draws=0), "n_draws must be at least 1, got 0"),
        (lambda: Ensemble([]), "attacks must be at least one"),
        (lambda: Ensemble([PGD(), PGD(norm="l2")]), r"all of one norm; got norms \['l2', 'linf'\]"),
    ],
)
def test_bad_hyper_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epsilons": -0.1}, r"epsilons must be finite and at least 0, got \[-0.1\]"),
        ({"epsilons": [0.1, np.nan]}, "epsilons must be finite"),
        ({"epsilons": []}, "epsilons must be a number or a flat sequence"),
        ({"epsilons": [[0.1]]}, "epsilons must be a number or a flat sequence"),
        ({"X": [[0.5, np.nan], [0.5, 0.5]]}, "X must be finite; row 0, feature 1 is nan"),
        ({"X": [[0.5, 0.5], [-0.25, 0.5]]}, r"X must lie in \[0, 1\]; row 1, feature 0 is -0.25"),
        ({"X": [[0.5, 1.5], [0.5, 0.5]]}, r"X must lie in \[0, 1\]; row 0, feature 1 is 1.5"),
        ({"X": [0.5, 0.5]}, r"X must be \(n, features\) and not empty, got shape \(2,\)"),
        ({"X": np.empty((0, 2))}, r"X must be \(n, features\) and not empty, got shape \(0, 2\)"),
        ({"y": [0, 1, 1]}, "y must have one label for each of the 2 rows"),
        ({"y": [0, 2]}, r"y\[1\] is .*2"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
    ],
)
def test_bad_arguments(change, message):
    arguments = {"X": [[0.2, 0.8], [0.7, 0.1]], "y": [1, 0], "epsilons": 0.1, **change}
    with pytest.raises(ValueError, match=message):
        FGSM()(Linear(np.eye(2)), **arguments)
    with pytest.raises(ValueError, match=message):
        worst_case(Linear(np.eye(2)), **arguments)


def test_bad_ensembles(binary):
    with pytest.raises(ValueError, match="unknown attack 'deepfool'; choose from fgsm, pgd-margin"):
        worst_case(*binary, 0.1, attacks=["deepfool"])
    with pytest.raises(ValueError, match="PGD is for norm 'linf', worst_case was asked for 'l2'"):
        worst_case(*binary, 0.1, "l2", attacks=[PGD()])
    with pytest.raises(ValueError, match="norm must be one of linf, l2; got 'l1'"):
        worst_case(*binary, 0.1, "l1")
    with pytest.raises(TypeError, match="random_state must be an integer"):
        worst_case(*binary, 0.1, random_state=None)


@pytest.mark.parametrize(
    ("name", "function", "message"),
    [
        (
            "input_gradient",
            lambda X, y, loss: np.full(X.shape, np.nan),
            "returned NaN or infinity for sample 0",
        ),
        ("input_gradient", lambda X, y, loss: X[:, 1:], r"returned shape \(60, 35\), expected \(60, 36\)"),
        ("decision_function", lambda X: np.zeros((len(X), 2)), r"shape \(60, 2\), expected \(60, 3\)"),
    ],
)
def test_bad_models(moderate, name, function, message):
    model, X, y = moderate
    broken = with_method(model, name, function)
    broken.predict = lambda X: np.tile(y, len(X) // len(y))
    attack = PGD() if name == "input_gradient" else Square()
    with pytest.raises(ValueError, match=message):
        attack(broken, X, y, 0.1)


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
