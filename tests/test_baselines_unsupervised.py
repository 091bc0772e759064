"""Rivals whose hidden cells learn without labels: rules against their equations, classifiers on digits."""

import numpy as np
import pytest
from rival_checks import accuracy_after_a_stream, assert_gradient_of_the_input, begun
from scipy.sparse import csr_array
from sklearn.utils.estimator_checks import check_estimator

from bioneuro import Synapses
from bioneuro.baselines import HPCAClassifier, KrotovHopfieldClassifier, SoftHebbClassifier, make
from bioneuro.protocols import DifferentiableFront
from bioneuro.rules import KrotovHopfield, Sanger, SoftHebb

KINDS = [KrotovHopfieldClassifier, SoftHebbClassifier, HPCAClassifier]
RNG = np.random.default_rng(0)
X, Y = RNG.uniform(0.1, 0.9, (40, 7)), np.arange(40) % 3


def pathway(n_post, n_pre, seed=0, density=1.0):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(n_post, n_pre)) * (rng.random((n_post, n_pre)) < density)
    return Synapses.from_scipy(csr_array(A)), A


# --- the rules


@pytest.mark.parametrize("density", [1.0, 0.6])
def test_soft_hebb_step_by_hand(density):
    synapses, W = pathway(5, 7, density=density)
    U = X @ W.T
    y = np.exp(3 * (U - U.max(axis=1, keepdims=True)))
    y /= y.sum(axis=1, keepdims=True)
    expected = W.copy()
    for b in range(len(X)):
        for i in range(5):
            for j in range(7):
                expected[i, j] += 0.2 / len(X) * y[b, i] * (X[b, j] - U[b, i] * W[i, j]) * (W[i, j] != 0)
    SoftHebb(eta=0.2, beta=3.0).step(synapses, X, U)
    np.testing.assert_allclose(synapses.to_scipy().toarray(), expected, atol=1e-12)


def test_soft_hebb_cells_become_the_prototypes_of_clusters_at_unit_norm():
    rng = np.random.default_rng(1)
    centres = np.linalg.qr(rng.normal(size=(10, 3)))[0].T
    Z = centres[np.arange(300) % 3] + 0.05 * rng.normal(size=(300, 10))
    Z /= np.linalg.norm(Z, axis=1, keepdims=True)
    synapses = Synapses.from_scipy(csr_array(centres + 0.2 * rng.normal(size=(3, 10))))
    for _ in range(400):
        SoftHebb(eta=0.5, beta=20.0).step(synapses, Z, synapses.forward(Z))
    W = synapses.to_scipy().toarray()
    means = np.stack([Z[np.arange(300) % 3 == c].mean(axis=0) for c in range(3)])
    np.testing.assert_allclose(W, means / np.linalg.norm(means, axis=1, keepdims=True), atol=1e-3)


@pytest.mark.parametrize("density", [1.0, 0.6])
def test_sanger_step_by_hand(density):
    synapses, W = pathway(5, 7, density=density)
    H = np.maximum(X @ W.T, 0)
    expected = W.copy()
    for b in range(len(X)):
        for i in range(5):
            left = X[b] - sum(H[b, k] * W[k] for k in range(i + 1))
            expected[i] += 0.1 / len(X) * H[b, i] * left * (W[i] != 0)
    Sanger(eta=0.1).step(synapses, X, H)
    np.testing.assert_allclose(synapses.to_scipy().toarray(), expected, atol=1e-12)


def test_sanger_finds_the_principal_components_in_their_order():
    rng = np.random.default_rng(2)
    Z = rng.normal(size=(500, 6)) * [3, 2, 1.2, 0.6, 0.3, 0.1] @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    Z -= Z.mean(axis=0)
    components = np.linalg.svd(Z, full_matrices=False)[2]
    synapses, _ = pathway(3, 6, seed=3)
    for _ in range(3000):
        Sanger(eta=0.02).step(synapses, Z, synapses.forward(Z))
    cosines = np.abs((synapses.to_scipy().toarray() * components[:3]).sum(axis=1))
    np.testing.assert_allclose(cosines, 1, atol=1e-3)


# --- the classifiers


def fitted(kind, **params):
    return kind(6, n_epochs=3, random_state=0, dtype="float64", **params).fit(X, Y)


@pytest.mark.parametrize("contrast", [None, (4.0, 0.5)])
@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_of_the_input(kind, loss, contrast):
    model = fitted(
        kind, contrast=contrast, **({"beta": 20.0, "readout_beta": 5.0} if kind is SoftHebbClassifier else {})
    )
    assert isinstance(model, DifferentiableFront)
    assert_gradient_of_the_input(model, X[:8], Y[:8], loss, 1e-4)


def test_krotov_hopfield_moves_the_synapse_that_changes_most_by_the_rate():
    model = begun(X, KrotovHopfieldClassifier(6, random_state=0, dtype="float64", anti=0.3, k=3))
    before = model.hidden_.weights.copy()
    rule = KrotovHopfield(eta=1.0, k=3, anti=0.3)
    change = rule.delta(model.hidden_, before, X, model.hidden_.forward(X))
    model._hidden_step(X, 0.05)
    np.testing.assert_allclose(model.hidden_.weights - before, 0.05 * change / np.abs(change).max(), atol=1e-12)


def test_krotov_hopfield_rates_are_powers_of_the_drive():
    model = fitted(KrotovHopfieldClassifier, power=3.0)
    W, V = (W.toarray() for W in model.weights().values())
    h = np.maximum(X @ W.T, 0) ** 3
    z = h * np.sqrt(6) / np.linalg.norm(h, axis=1, keepdims=True) @ V.T + model.bias_
    np.testing.assert_allclose(model.decision_function(X), z, rtol=1e-9, atol=1e-9)


def test_soft_hebb_reads_out_at_a_gain_of_its_own():
    model, same, usual = (fitted(SoftHebbClassifier, beta=20.0, readout_beta=gain) for gain in (5.0, 20.0, None))
    W, V = (W.toarray() for W in model.weights().values())
    np.testing.assert_array_equal(W, usual.weights()["hidden_1"].toarray())
    e = np.exp(5 * (X / np.linalg.norm(X, axis=1, keepdims=True)) @ W.T)
    z = e * np.sqrt(6) / np.linalg.norm(e, axis=1, keepdims=True) @ V.T + model.bias_
    np.testing.assert_allclose(model.decision_function(X), z, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(same.decision_function(X), usual.decision_function(X))


def test_hpca_sees_centred_inputs():
    model = begun(X, HPCAClassifier(4, random_state=0, dtype="float64"))
    model._n_planned = 0
    for rows in (slice(0, 13), slice(13, 40)):
        model._learn(X[rows], Y[rows], 1)
    np.testing.assert_allclose(model.mean_, X.mean(axis=0))


@pytest.mark.parametrize("kind", KINDS)
def test_hidden_cells_learn_without_labels(kind):
    one, other = fitted(kind), kind(6, n_epochs=3, random_state=0, dtype="float64").fit(X, np.roll(Y, 1))
    np.testing.assert_array_equal(one.hidden_.weights, other.hidden_.weights)
    assert np.abs(one.output_.weights - other.output_.weights).max() > 0


@pytest.mark.parametrize(("name", "least"), [("krotov-hopfield", 0.93), ("soft-hebb", 0.94), ("hpca", 0.93)])
def test_they_learn_digits(name, least, digits):
    n_hidden = 64 if name == "hpca" else 200
    model = make(name, n_hidden=n_hidden, n_epochs=60, random_state=0).fit(digits.X_train[:1000], digits.y_train[:1000])
    assert model.score(digits.X_train[1000:], digits.y_train[1000:]) > least


@pytest.mark.parametrize("kind", KINDS)
def test_a_stream_goes_on_learning(kind, digits):
    model = kind(60, random_state=0)
    assert accuracy_after_a_stream(model, digits) > 0.5


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_they_are_scikit_learn_estimators(kind):
    check_estimator(kind(30, n_epochs=60, learning_rate=0.02))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (KrotovHopfieldClassifier(4, k=5), "k must be at most n_hidden = 4, got 5"),
        (KrotovHopfieldClassifier(4, anti=-1), "anti must be a finite number >= 0, got -1"),
        (KrotovHopfieldClassifier(4, power=0.5), "power must be a finite number >= 1, got 0.5"),
        (SoftHebbClassifier(4, beta=0), "beta must be a finite number > 0, got 0"),
        (SoftHebbClassifier(4, readout_beta=0), "readout_beta must be .*> 0.*got 0"),
        (HPCAClassifier(0), "n_hidden must be an integer >= 1, got 0"),
        (HPCAClassifier(hidden_rate=0), "hidden_rate must be a finite number > 0, got 0"),
        (HPCAClassifier(hidden_epochs=0), "hidden_epochs must be an integer >= 1 or 'auto', got 0"),
    ],
)
def test_refuses_parameters(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y)
