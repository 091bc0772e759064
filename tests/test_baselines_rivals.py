"""Rivals against their published equations: exponentiated gradient, feedback alignment."""

import numpy as np
import pytest
from rival_checks import begun
from sklearn.utils.estimator_checks import check_estimator

from bioneuro.baselines import BackpropMLP, ExponentiatedMLP, FeedbackAlignmentMLP, make

RNG = np.random.default_rng(0)
X, Y = RNG.uniform(0.1, 0.9, (40, 7)), np.arange(40) % 3
ONE_STEP = {"hidden": (6, 5), "n_epochs": 1, "batch_size": 40, "random_state": 0, "dtype": "float64"}


def backprop(weights, biases, feedback=None, direct=False):
    """Gradients of the mean cross-entropy by the textbook, dense; errors come back through `feedback` if given."""
    h = [X]
    for W, b in zip(weights, biases, strict=True):
        h.append(h[-1] @ W.T + b)
        if len(h) <= len(weights):
            h[-1] = np.maximum(h[-1], 0)
    p = np.exp(h[-1] - h[-1].max(axis=1, keepdims=True))
    error = delta = (p / p.sum(axis=1, keepdims=True) - np.eye(3)[Y]) / len(X)
    gradients = []
    for k in range(len(weights) - 1, -1, -1):
        gradients.insert(0, (delta.T @ h[k], delta.sum(axis=0)))
        if k:
            B = weights[k] if feedback is None else feedback[k - 1]
            delta = ((error if direct else delta) @ B) * (h[k] > 0)
    return gradients


def dense(model):
    return [W.to_scipy().toarray() for W in model.pathways_], [b.copy() for b in model.biases_]


# --- exponentiated gradient


@pytest.mark.parametrize("dale", [True, False])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_the_steps_are_those_of_the_authors(dale, decay):
    params = {"learning_rate": 0.2, "momentum": 0.9, "weight_decay": decay, "dale": dale}
    model = ExponentiatedMLP(**{**ONE_STEP, "n_epochs": 3}, **params)
    start = begun(X, ExponentiatedMLP(**ONE_STEP, **params))
    weights, parts = dense(start)[0], [part.copy() for part in start._parts]
    buffers = [None] * len(weights)
    for _ in range(3):  # optim_eg.sgd_eg: the buffer starts as the gradient
        gradients = backprop(weights, [part.sum(axis=0) for part in parts])
        for k, (dW, db) in enumerate(gradients):
            values = [weights[k], parts[k][0], parts[k][1]]
            steps = [g + decay * np.sign(v) for g, v in zip((dW, db, db), values, strict=True)]
            old = buffers[k]
            buffers[k] = steps if old is None else [0.9 * o + s for o, s in zip(old, steps, strict=True)]
            moved = [v * np.exp(np.sign(v) * b * -0.2) for v, b in zip(values, buffers[k], strict=True)]
            weights[k], parts[k] = moved[0], np.stack(moved[1:])
    model.fit(X, Y)
    for learned, W, b, part in zip(dense(model)[0], weights, model.biases_, parts, strict=True):
        np.testing.assert_allclose(learned, W, rtol=1e-9)
        np.testing.assert_allclose(b, part.sum(axis=0), rtol=1e-9, atol=1e-12)


def test_every_cell_keeps_to_dales_law(digits):
    model = ExponentiatedMLP((40,), inhibitory=0.25, n_epochs=20, learning_rate=0.3, random_state=0)
    model.fit(digits.X_train[:300], digits.y_train[:300])
    for W, signs in zip(model.weights().values(), model.signs_, strict=True):
        A = W.toarray()
        assert (np.sign(A) * signs >= 0).all()  # a weight may underflow to 0, never cross it
        assert (signs < 0).sum() == round(0.25 * A.shape[1])


def test_without_dale_signs_are_of_synapses_and_stay():
    params = {"dale": False, "inhibitory": 0.5, "learning_rate": 0.3}
    start = begun(X, ExponentiatedMLP(**ONE_STEP, **params))
    model = ExponentiatedMLP(**ONE_STEP | {"n_epochs": 50}, **params).fit(X, Y)
    for before, after in zip(dense(start)[0], dense(model)[0], strict=True):
        np.testing.assert_array_equal(np.sign(before), np.sign(after))
        assert (np.sign(before) < 0).sum() == round(0.5 * before.size) and np.abs(before - after).max() > 1e-3


def test_first_weights_are_lognormal_with_the_moments_of_the_authors():
    model = ExponentiatedMLP((400,), random_state=0, dtype="float64")
    model._check_parameters()
    model.n_features_in_ = 300
    model._start(np.arange(3))
    sizes = np.abs(model.pathways_[0].weights)
    np.testing.assert_allclose(np.square(sizes).mean(), 2 / 400, rtol=0.02)
    np.testing.assert_allclose(sizes.mean() / sizes.std(), 1.5, rtol=0.02)
    logs = np.log(sizes)
    z = (logs - logs.mean()) / logs.std()
    assert abs((z**3).mean()) < 0.03 and abs((z**4).mean() - 3) < 0.06


# --- feedback alignment


@pytest.mark.parametrize("direct", [False, True])
def test_errors_come_back_through_the_random_synapses(direct):
    model = begun(X, FeedbackAlignmentMLP(**ONE_STEP, direct=direct))
    weights, biases = dense(model)
    assert [B.shape for B in model.feedback_] == ([(3, 6), (3, 5)] if direct else [(5, 6), (3, 5)])
    rates = model._rates(X)
    p = np.exp(rates[-1] - rates[-1].max(axis=1, keepdims=True))
    dlogits = (p / p.sum(axis=1, keepdims=True) - np.eye(3)[Y]) / len(X)
    expected = backprop(weights, biases, model.feedback_, direct)
    exact = backprop(weights, biases)
    for k, dW, db in model._backward(rates, dlogits):
        np.testing.assert_allclose(dW.reshape(weights[k].shape), expected[k][0], atol=1e-12)
        np.testing.assert_allclose(db, expected[k][1], atol=1e-12)
        assert np.allclose(dW.reshape(weights[k].shape), exact[k][0]) == (k == 2)  # the readout's own gradient is exact


def test_with_the_weights_for_feedback_it_is_backpropagation():
    params = {**ONE_STEP, "n_epochs": 1}
    aligned = begun(X, FeedbackAlignmentMLP(**params))
    plain = begun(X, BackpropMLP(**params))
    aligned.feedback_ = [W.to_scipy().toarray() for W in aligned.pathways_[1:]]
    rates = plain._rates(X)
    dlogits = RNG.normal(size=(40, 3))
    pairs = zip(aligned._backward(rates, dlogits), plain._backward(rates, dlogits), strict=True)
    for (k, dW, db), (j, exact_dW, exact_db) in pairs:
        assert k == j
        np.testing.assert_allclose(dW, exact_dW, atol=1e-12)
        np.testing.assert_allclose(db, exact_db, atol=1e-12)


@pytest.mark.parametrize("direct", [False, True])
def test_feedback_never_learns_and_the_forward_weights_come_to_align(direct, digits):
    model = FeedbackAlignmentMLP((64,), direct=direct, random_state=0, n_epochs=30)
    model.fit(digits.X_train[:800], digits.y_train[:800])
    again = FeedbackAlignmentMLP((64,), direct=direct, random_state=0, n_epochs=1)
    again.fit(digits.X_train[:800], digits.y_train[:800])
    np.testing.assert_array_equal(model.feedback_[0], again.feedback_[0])
    W, B = model.pathways_[1].to_scipy().toarray().ravel(), model.feedback_[0].ravel()
    W0 = again.pathways_[1].to_scipy().toarray().ravel()
    cosine, before = (v @ B / np.linalg.norm(v) / np.linalg.norm(B) for v in (W, W0))
    assert cosine > 0.2 and cosine > before + 0.1


# --- all of them


@pytest.mark.parametrize(
    ("name", "least"), [("exponentiated", 0.93), ("feedback-alignment", 0.93), ("direct-feedback-alignment", 0.93)]
)
def test_they_learn_digits(name, least, digits):
    model = make(name, hidden=(64,), random_state=0).fit(digits.X_train[:1000], digits.y_train[:1000])
    assert model.score(digits.X_train[1000:], digits.y_train[1000:]) > least


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(
    "model", [FeedbackAlignmentMLP((16,), learning_rate=1e-2, n_epochs=40), ExponentiatedMLP((16,), n_epochs=40)]
)
def test_they_are_scikit_learn_estimators(model):
    check_estimator(model)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (ExponentiatedMLP(inhibitory=1.5), r"inhibitory must be a number in \[0, 1\], got 1.5"),
        (ExponentiatedMLP(momentum=1), r"momentum must be a number in \[0, 1\), got 1"),
        (ExponentiatedMLP(dale="yes"), "dale must be True or False, got 'yes'"),
        (FeedbackAlignmentMLP(direct=2), "direct must be True or False, got 2"),
    ],
)
def test_refuses_parameters(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y)
