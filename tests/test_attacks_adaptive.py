"""Adaptive attacks: surrogates that a model offers, and what breaks through them alone."""

import numpy as np
import pytest
from attack_models import Contrast, D, Linear, Quantised, Saturated

from bioneuro import BioClassifier, datasets
from bioneuro.attacks import PGD, Adaptive, Targeted, worst_case
from bioneuro.attacks.adaptive import SurrogateView
from bioneuro.layers import COMPETITIONS, SoftmaxPool
from bioneuro.protocols import Surrogates
from bioneuro.surrogates import NearestCells, StraightThrough

# --- through a mask ---


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("masked_type", [Quantised, Saturated])
def test_surrogate_breaks_what_masked_gradients_hide(binary, masked_type, norm):
    honest, X, _ = binary
    model = masked_type(honest.W, honest.b, honest.classes_)
    y, epsilon = model.predict(X), {"linf": 0.06, "l2": 0.3}[norm]
    plain = worst_case(model, X, y, epsilon, norm, attacks=["pgd-ce", "pgd-margin"])
    adaptive = Adaptive(PGD(norm=norm, loss="margin", n_steps=20))(model, X, y, epsilon)
    assert plain.robust_accuracy[0] > 0.7 > 0.5 > adaptive.robust_accuracy[0]
    # success is the masked model's own
    np.testing.assert_array_equal(adaptive.success[0], model.predict(adaptive.adversarial[0]) != y)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_through_saturated_competition_adaptive_is_the_closed_form(binary, norm):
    honest, X, y = binary
    model = Saturated(honest.W, honest.b, honest.classes_)
    np.testing.assert_array_equal(model.predict(X), y)
    for epsilon in {"linf": [0.02, 0.06], "l2": [0.1, 0.3]}[norm]:
        broken = Adaptive(PGD(norm=norm, n_steps=100), "softer")(model, X, y, epsilon).success[0]
        assert not (broken & model.robust(X, y, epsilon * 1.0001, norm)).any()
        assert broken[~model.robust(X, y, epsilon * 0.97, norm)].all()


def test_each_sample_stops_where_the_model_is_wrong_whatever_the_surrogate_says(binary):
    """A surrogate that is wrong from the start still has its gradient followed until the model is wrong."""
    honest, X, y = binary

    class Shifted(Linear):
        def surrogates(self):
            return {"always wrong": Linear(self.W, self.b + 1e3 * np.array([1, -1]), self.classes_)}

    model = Shifted(honest.W, honest.b, honest.classes_)
    y, X = y[y == 7], X[y == 7]  # to the surrogate all are class 3
    result = Adaptive(PGD(loss="margin"))(model, X, y, 0.05)
    np.testing.assert_array_equal(~result.success[0], model.robust(X, y, 0.05, "linf"))


def test_targeted_through_a_surrogate():
    rng = np.random.default_rng(5)
    model = Saturated(rng.normal(size=(3, D)))
    X = rng.uniform(0.3, 0.7, (40, D))
    y = model.predict(X)
    target = (y + 1) % 3
    result = Adaptive(PGD(loss="margin"))(model, X, y, 0.3, criterion=Targeted(target))
    assert result.success.all() and (model.predict(result.adversarial[0]) == target).all()


def test_surrogates_are_tried_in_turn_each_on_what_stands(binary):
    honest, X, y = binary
    asked = []

    class Telling(Linear):
        def __init__(self, name, W, b, classes):
            super().__init__(W, b, classes)
            self.name = name

        def input_gradient(self, X, y, loss="ce"):
            asked.append((self.name, len(X)))
            return super().input_gradient(X, y, loss)

    class Two(Quantised):
        def surrogates(self):
            return {name: Telling(name, self.W, self.b, self.classes_) for name in ("first", "second")}

    model = Two(honest.W, honest.b, honest.classes_)
    y = model.predict(X)
    result = Adaptive(PGD(n_steps=10))(model, X, y, 0.05)
    first = Adaptive(PGD(n_steps=10), "first")(model, X, y, 0.05)
    assert not (first.success & ~result.success).any()
    rows = [n for name, n in asked[: len(asked) // 2 + 1] if name == "second"]
    assert rows and rows[0] == (~first.success).sum()


def test_view_has_the_models_labels_and_the_surrogates_gradients(binary):
    honest, X, y = binary
    model, surrogate = Linear(-honest.W, -honest.b, honest.classes_), Contrast(honest.W, classes=honest.classes_)
    view = SurrogateView(model, surrogate)
    np.testing.assert_array_equal(view.predict(X), model.predict(X))
    np.testing.assert_array_equal(view.input_gradient(X, y), surrogate.input_gradient(X, y))
    np.testing.assert_array_equal(view.response(X), surrogate.response(X))
    for hidden in ("input_vjp", "response_vjp", "surrogates", "_anything"):
        assert not hasattr(view, hidden)


def test_bad_surrogates(binary):
    honest, X, y = binary
    with pytest.raises(TypeError, match="Adaptive needs surrogates, which Linear does not offer"):
        Adaptive(PGD())(honest, X, y, 0.1)
    masked = Quantised(honest.W, honest.b, honest.classes_)
    with pytest.raises(ValueError, match="surrogate must be one that Quantised offers, not quantised; got 'beta/4'"):
        Adaptive(PGD(), "beta/4")(masked, X, y, 0.1)
    masked.surrogates = lambda: {"other": Linear(honest.W)}
    with pytest.raises(ValueError, match=r"surrogate 'other' of Quantised has classes \[0 1\], the model \[3 7\]"):
        Adaptive(PGD())(masked, X, y, 0.1)


# --- the network's own ---


@pytest.fixture(scope="module")
def digits():
    data = datasets.load("digits")
    return data.X_train[:300], data.y_train[:300], data.X_test[:40], data.y_test[:40]


def network(digits, **params):
    small = {
        "n_cells": 100,
        "encoder__n_columns": 16,
        "mixing": 500,
        "schedule__teaching_epochs": 5,
        "schedule__readout_epochs": 10,
    }
    return BioClassifier(**small | {"random_state": 0, "dtype": "float64", **params}).fit(*digits[:2])


@pytest.fixture(scope="module")
def softmax_network(digits):
    return network(digits)


def gradient_error(model, X, y, loss):
    """Relative error of directional derivatives, away from the kinks of flat patches."""
    rng = np.random.default_rng(0)
    X = np.clip(0.05 + 0.9 * X + rng.uniform(0, 0.02, X.shape), 0, 1)
    direction = rng.choice([-1.0, 1.0], X.shape)

    def losses(images):
        z = model.decision_function(images)
        true = np.searchsorted(model.classes_, y)
        z_true = z[np.arange(len(y)), true]
        if loss == "ce":
            return np.log(np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1)) + z.max(axis=1) - z_true
        z[np.arange(len(y)), true] = -np.inf
        return z.max(axis=1) - z_true

    difference = (losses(X + 1e-5 * direction) - losses(X - 1e-5 * direction)) / 2e-5
    derivative = (model.input_gradient(X, y, loss=loss) * direction).sum(axis=1)
    return np.linalg.norm(difference - derivative) / np.linalg.norm(difference)


@pytest.mark.parametrize("loss", ["ce", "margin"])
def test_gradients_of_the_surrogates_are_right(softmax_network, digits, loss):
    X, y = (part[:20] for part in digits[2:])
    for name, surrogate in softmax_network.surrogates().items():
        if isinstance(surrogate.network_, StraightThrough):
            continue  # not those of its logits: that is what it is for
        assert gradient_error(surrogate, X, y, loss) < 1e-3, name


def test_surrogates_share_the_weights_and_leave_the_network_as_it_was(softmax_network, digits):
    X = digits[2]
    before = softmax_network.decision_function(X)
    offered = softmax_network.surrogates()
    assert isinstance(softmax_network, Surrogates)
    assert {"nearest cells", "beta/2", "map_beta/2", "votes"} <= set(offered)
    for surrogate in offered.values():
        np.testing.assert_array_equal(surrogate.classes_, softmax_network.classes_)
        assert surrogate.network_.association.synapses is softmax_network.network_.association.synapses
        np.testing.assert_array_equal(surrogate.response(X), softmax_network.response(X))
    assert offered["beta/2"].network_.association.beta == 3 / 2
    assert offered["map_beta/2"].encoder_.columns.beta == 40 / 2
    assert offered["votes"].readout == "votes"
    np.testing.assert_array_equal(softmax_network.decision_function(X), before)
    assert softmax_network.network_.association.beta == 3
    assert softmax_network.encoder_.columns.beta == 40


def test_nearest_cells_are_the_votes_without_their_floor(softmax_network):
    association = softmax_network.network_.association
    rng = np.random.default_rng(1)
    drive = rng.uniform(0.9, 0.95, (5, association.n_cells))
    z = NearestCells(association).logits(drive)
    votes = np.log(association.rates(drive) @ association.votes)
    np.testing.assert_allclose(z - z[:, :1], votes - votes[:, :1], atol=1e-8)
    # a class counts as much as its best cell when competition is sharp
    sharp = NearestCells(association, 1e4)
    cell = association.votes.argmax(axis=1)
    best = np.stack([drive[:, cell == c].max(axis=1) for c in range(10)], axis=1)
    assert (sharp.logits(drive).argmax(axis=1) == best.argmax(axis=1)).all()


def test_surrogates_break_what_the_networks_own_gradient_does_not(digits):
    """Where competition is sharp."""
    X, y = digits[2:]
    sharp = network(digits, competition__beta=12.0)
    own = worst_case(sharp, X, y, 0.2, attacks=["pgd-margin", "pgd-ce"])
    adaptive = worst_case(sharp, X, y, 0.2, attacks=["pgd-margin", "pgd-ce", "adaptive:pgd-margin"])
    assert (adaptive.success & ~own.success).sum() >= 5


class Winners(SoftmaxPool):
    """Only 3 cells are active."""

    def __init__(self, n_cells, **options):
        super().__init__(n_cells, **{**options, "k": 3})


def test_backward_pass_sees_the_cells_that_k_winners_hide(digits, monkeypatch):
    monkeypatch.setitem(COMPETITIONS, "winners", Winners)
    model = BioClassifier(
        "votes", competition="winners", n_cells=100, encoder__n_columns=16, mixing=500, random_state=0, dtype="float64"
    ).fit(*digits[:2])
    votes = model.network_.association.votes
    votes[:] = np.eye(10)[votes.argmax(axis=1)]  # where all winners vote alike, nothing they do changes the votes
    surrogate = model.surrogates()["all winners"]
    X, y = digits[2:]
    np.testing.assert_array_equal(surrogate.decision_function(X), model.decision_function(X))  # forward is its own
    assert isinstance(surrogate.network_, StraightThrough)
    flat = np.abs(model.input_gradient(X, y, loss="margin")).max(axis=1) < 1e-8
    seen = np.abs(surrogate.input_gradient(X, y, loss="margin")).max(axis=1) > 1e-8
    assert flat.any() and seen[flat].all()


def test_circuit_offers_a_softmax_in_its_place(digits):
    model = network(digits, competition="circuit", n_cells=60)
    offered = model.surrogates()
    soft = offered["beta/2"]
    assert type(soft.network_.association.competition) is SoftmaxPool
    assert soft.network_.association.beta == model.network_.association.beta / 2
    X, y = (part[:10] for part in digits[2:])
    assert gradient_error(soft, X, y, "ce") < 1e-3
    assert (soft.predict(digits[2]) == model.predict(digits[2])).mean() > 0.5


def test_plain_vectors_have_no_map_to_soften():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(60, 5))
    y = (X[:, 0] > 0.5).astype(int)
    model = BioClassifier("votes", image_shape=None, n_cells=20, random_state=0).fit(X, y)
    offered = model.surrogates()
    assert not any("map" in name for name in offered) and "votes" not in offered
    result = Adaptive(PGD(n_steps=5))(model, X, y, 0.2)
    assert result.success.sum() >= (model.predict(X) != y).sum()
