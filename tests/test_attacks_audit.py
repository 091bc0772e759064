"""What holds for every attack, their worst case, and the audit that says whether to believe it."""

from dataclasses import dataclass

import numpy as np
import pytest
from attack_models import EPSILONS, Contrast, D, Linear, Quantised, Saturated
from hypothesis import given, settings
from hypothesis import strategies as st

from bioneuro.attacks import (
    ATTACKS,
    FGSM,
    PGD,
    Attack,
    Ensemble,
    FrankWolfe,
    GaussianNoise,
    Square,
    Transfer,
    UniformNoise,
    audit,
    worst_case,
)
from bioneuro.attacks.masking_checks import Case, _gradient_errors, _response
from bioneuro.protocols import ResponseFront, WhiteBox

# --- what holds for every attack ---


#: Fewer queries than is sensible, and some attacks' least.
QUICK = {
    "square": {"n_queries": 30},
    "rays": {"n_queries": 128},
    "cgba": {"n_queries": 128},
    "few-pixels": {"n_queries": 30},
}
NORMS_OF = {name: getattr(make, "func", make).norms for name, make in ATTACKS.items()}


def in_norm(norm):
    return [name for name, norms in NORMS_OF.items() if norm in norms]


def every_attack(norm, seed=0):
    rng = np.random.default_rng(9)
    source = Linear(rng.normal(size=(3, D)))
    for name in in_norm(norm):
        yield ATTACKS[name](norm=norm, random_state=seed, **QUICK.get(name, {}))
    yield Transfer(source, PGD(norm=norm, n_steps=5, early_stop=False, random_state=seed))
    yield Ensemble([FGSM(norm=norm), GaussianNoise(norm=norm, random_state=seed)])


@pytest.mark.parametrize(("norm", "name"), [(norm, name) for norm in ("linf", "l2") for name in in_norm(norm)])
def test_no_attack_breaks_what_is_provably_robust(binary, norm, name):
    model, X, y = binary
    params = {"n_queries": 150} if name in QUICK else {}
    result = ATTACKS[name](norm=norm, random_state=1, **params)(model, X, y, EPSILONS[norm])
    for broken, epsilon in zip(result.success, EPSILONS[norm], strict=True):
        assert not (broken & model.robust(X, y, epsilon * 1.0001, norm)).any()
    assert result.success[-1].any()


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
        np.testing.assert_array_equal(result.success.ravel(), model.predict(flat) != np.tile(y, len(epsilons)))
        order = np.argsort(epsilons, kind="stable")
        assert (np.diff(result.success[order].astype(int), axis=0) >= 0).all()
        np.testing.assert_allclose(result.robust_accuracy, 1 - result.success.mean(axis=1))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_reproducible_and_independent_of_batch_and_neighbours(norm):
    rng = np.random.default_rng(4)
    model = Linear(rng.normal(size=(3, D)))
    X = rng.uniform(size=(30, D))
    y = model.predict(X)
    for attack, same, other in zip(every_attack(norm), every_attack(norm), every_attack(norm, 1), strict=True):
        whole = attack(model, X, y, 0.03)
        np.testing.assert_array_equal(same(model, X, y, 0.03).adversarial, whole.adversarial)
        np.testing.assert_array_equal(attack(model, X, y, 0.03, batch_size=7).adversarial, whole.adversarial)
        part = attack(model, X[11:17][::-1], y[11:17][::-1], 0.03)
        np.testing.assert_array_equal(part.adversarial[:, ::-1], whole.adversarial[:, 11:17])
        # Jumps forget where they started: on a linear model all lead to the same image.
        if getattr(attack, "random_start", True) and not isinstance(attack, Transfer | FrankWolfe):
            assert not np.array_equal(other(model, X, y, 0.03).adversarial, whole.adversarial)


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


def test_protocols_tell_models_apart():
    W = np.zeros((2, D))
    assert isinstance(Linear(W), WhiteBox) and not isinstance(Linear(W), ResponseFront)
    assert isinstance(Contrast(W), ResponseFront)


# --- audit ---


def statuses(table):
    assert list(table.columns) == ["check", "value", "status"] and table["check"].is_unique
    assert set(table["status"]) <= {"pass", "warn", "value"} and np.isfinite(table["value"]).all()
    return dict(zip(table["check"], table["status"], strict=True))


def passes(found):
    return "warn" not in found.values() and "pass" in found.values()


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
    assert passes(statuses(table)), table
    values = dict(zip(table["check"], table["value"], strict=True))
    assert values["clean accuracy"] == 1 and values["gradient error (ce, x)"] < 1e-6
    assert values["transfer 0 minus white-box"] >= 0 and len(table) == {"linf": 22, "l2": 24}[norm]
    assert values["white-box images on 0"] == 0  # the source is the model itself
    assert values["gradient against random direction"] == 1


def test_audit_passes_a_contrast_response_attacked_in_its_own_space(contrast):
    found = statuses(audit(*contrast, 0.2, n_queries=100, n_steps=20))
    assert passes(found), found
    assert {"gradient error (ce, response)", "response inverse", "response increasing"} <= set(found)


def test_audit_in_single_precision(moderate):
    model, X, y = moderate
    found = statuses(audit(model, X.astype(np.float32), y, 0.03, n_queries=50, n_steps=10))
    assert passes(found), found


def test_audit_warns_of_quantised_inputs(moderate):
    model, X, _ = moderate
    masked = Quantised(model.W, model.b)
    masked.surrogates = dict  # it does not say how to see through it
    found = statuses(audit(masked, X, masked.predict(X), 0.03, n_queries=100, n_steps=10, sources=[model]))
    for check in (
        "vanished gradients (ce)",
        "zero gradient entries (margin)",
        "black-box minus white-box",
        "decision-based minus white-box",
        "transfer 0 minus white-box",
        "robust accuracy, unbounded",
    ):
        assert found[check] == "warn", check


@pytest.mark.parametrize(("norm", "epsilon"), [("linf", 0.03), ("l2", 0.2)])
def test_audit_attacks_through_the_surrogates_that_a_masked_model_offers(moderate, norm, epsilon):
    model, X, y = moderate
    table = audit(Saturated(model.W, model.b), X, y, epsilon, norm, n_queries=100, n_steps=20)
    values = dict(zip(table["check"], table["value"], strict=True))
    found = statuses(table)
    assert values["plain minus adaptive"] > 0.2 and found["plain minus adaptive"] == "value"
    assert found["vanished gradients (ce)"] == found["vanished gradients (margin)"] == "warn"
    for check in ("black-box minus white-box", "decision-based minus white-box", "robust accuracy, unbounded"):
        assert found[check] == "pass", check


class Rugged(Linear):
    """A linear model under ripples whose slope hides its own, and whose gradient is right."""

    rate, height = 400.0, 0.02

    def hidden(self, X):
        return X + self.height * np.sin(self.rate * X)

    def input_gradient(self, X, y, loss="ce"):
        return (1 + self.height * self.rate * np.cos(self.rate * X)) * self.hidden_gradient(X, y, loss)


def test_audit_warns_of_attacks_that_do_not_converge(moderate):
    model, X, _ = moderate
    rugged = Rugged(model.W, model.b)
    y = rugged.predict(X)
    table = audit(rugged, X, y, 0.03, n_queries=30, n_steps=5)
    found = statuses(table)
    assert found["n steps minus 4 n steps"] == "warn" and found["1 start minus 4 starts"] == "warn", table


def test_audit_warns_of_a_gradient_no_better_than_chance(moderate):
    model, X, y = moderate
    backwards = Linear(model.W, model.b)
    backwards.input_gradient = lambda X, y, loss: -model.input_gradient(X, y, loss)
    assert audit_of(backwards, X, y)["gradient against random direction"] == "warn"


def test_audit_names_its_sources_and_transfers_both_ways(moderate):
    model, X, y = moderate
    rng = np.random.default_rng(8)
    other = Linear(rng.normal(size=model.W.shape), 0.0)
    table = audit(model, X, y, 0.03, n_queries=30, n_steps=10, sources={"twin": model, "stranger": other})
    values = dict(zip(table["check"], table["value"], strict=True))
    assert values["white-box images on twin"] == 0 < values["white-box images on stranger"]
    assert values["transfer twin minus white-box"] < values["transfer stranger minus white-box"]


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


def test_audit_warns_of_a_response_that_decreases_in_one_pixel(contrast):
    model, X, y = contrast

    class Dented(Contrast):
        def response(self, X):
            R = super().response(X)
            R[:, 0] = 1 - R[:, 0]
            return R

    assert audit_of(Dented(model.W), X, y)["response increasing"] == "warn"


def test_audit_says_how_far_a_pixel_is_from_what_its_response_gives_back():
    class Shifted(Contrast):
        def response_inverse(self, R):
            X = super().response_inverse(R)
            X[:, 1] += 0.25
            return X

    X = np.array([[0.5, 0.5, 0.5]])
    case = Case(Shifted(np.eye(2, 3)), X, np.array([0]), 0.1, "linf", 1, 1, {}, 0, 2)
    errors = {finding.check: finding.value for finding in _response(case)}
    assert errors["pixel error of the response inverse"] == pytest.approx(0.25)


def test_a_weaker_attack_is_reported_by_how_much():
    case = Case(None, np.zeros((100, 1)), None, 0.1, "linf", 1, 1, {}, 0, 1)
    assert case.not_weaker("steps", 0.5, 0.2) == ("steps", pytest.approx(0.3), "pass")
    assert case.not_weaker("steps", 0.2, 0.5) == ("steps", pytest.approx(-0.3), "warn")


def test_audit_needs_a_positive_budget(moderate):
    with pytest.raises(ValueError, match="epsilon must be one positive number"):
        audit(*moderate, 0.0)


# --- bad input ---


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
        ({"batch_size": 0}, "batch_size must be an integer >= 1, got 0"),
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
    with pytest.raises(ValueError, match=r"norm must be one of \['l0', 'l0-rgb', 'l2', 'linf'\], got 'l1'"):
        worst_case(*binary, 0.1, "l1")


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


@pytest.mark.parametrize(("n", "tolerance"), [(20, 0.05), (1000, 0.01)])
def test_differences_pass_up_to_one_sample_or_a_hundredth(n, tolerance):
    assert Case(None, np.zeros((n, 1)), None, 0.1, "linf", 1, 1, {}, 0, 1).tolerance == pytest.approx(tolerance)


def test_checks_stay_among_images_and_take_black_and_white_pixels():
    class Strict(Contrast):
        def response(self, X):
            assert X.min() >= 0 and X.max() <= 1
            return super().response(X)

        def response_inverse(self, R):
            assert R.min() >= 0 and R.max() <= 1 + 1e-12
            return super().response_inverse(R)

    X = np.array([[0, 1.0, 0.5], [1, 1, 0]])
    case = Case(Strict(np.eye(2, 3)), X, np.array([0, 1]), 0.1, "linf", 1, 1, {}, 0, 2)
    assert {finding.status for finding in _response(case)} <= {"pass", "value"}
    assert len(list(_gradient_errors(case))) == 4
