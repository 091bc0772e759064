"""Rivals of Dale's law and of local rules: Dale's ANN, predictive coding, Hebb with perturbation, local HPCA."""

import numpy as np
import pytest
from rival_checks import accuracy_after_a_stream, assert_gradient_of_the_input, begun
from scipy.sparse import csr_array
from scipy.special import log_softmax
from sklearn.utils.estimator_checks import check_estimator

from bioneuro import Synapses
from bioneuro.analysis import dale_indices
from bioneuro.baselines import (
    BackpropMLP,
    DaleMLP,
    HebbPerturbationClassifier,
    HPCAClassifier,
    LocalHPCAClassifier,
    PredictiveCodingMLP,
    make,
)
from bioneuro.baselines.nonnegative_inputs import NonNegativeInputs
from bioneuro.rules import PredictiveCoding, PresynapticCompetition, Sanger

RNG = np.random.default_rng(0)
X, Y = RNG.uniform(0.1, 0.9, (40, 9)), np.arange(40) % 3
SMALL = {"n_epochs": 3, "random_state": 0, "dtype": "float64"}
MODELS = [
    DaleMLP((6, 5), **SMALL),
    DaleMLP((), **SMALL),
    PredictiveCodingMLP((6, 5), **SMALL),
    HebbPerturbationClassifier(6, **SMALL, theta=0.0),
    LocalHPCAClassifier(2, **SMALL, patch_size=2, stride=1),
]


def excitatory(seed=0, n_post=5, n_pre=7, density=1.0):
    rng = np.random.default_rng(seed)
    W = rng.uniform(0.1, 1, (n_post, n_pre)) * (rng.random((n_post, n_pre)) < density)
    return Synapses.from_scipy(csr_array(W), sign="E"), W


# --- the rules


def test_predictive_coding_goes_to_the_least_squares_prediction():
    rng = np.random.default_rng(1)
    Z = rng.normal(size=(200, 4))
    T = Z @ rng.normal(size=(4, 3)) + 0.1 * rng.normal(size=(200, 3))
    synapses = Synapses.from_scipy(csr_array(rng.normal(size=(3, 4))))
    for _ in range(400):
        PredictiveCoding(eta=0.3).step(synapses, Z, T)
    np.testing.assert_allclose(synapses.to_scipy().toarray(), np.linalg.lstsq(Z, T, rcond=None)[0].T, atol=1e-9)


@pytest.mark.parametrize("density", [1.0, 0.6])
def test_presynaptic_competition_step_by_hand(density):
    synapses, W = excitatory(density=density)
    rng = np.random.default_rng(2)
    Z, R, gain = rng.random((30, 7)), rng.random((30, 5)), np.linspace(0, 1, 5)
    PresynapticCompetition(eta=3.0).step(synapses, Z, R, gain)
    grown = W * np.exp(3.0 * (R.T @ Z / 30))
    expected = grown * W.sum(axis=0) / np.where(grown.sum(axis=0) > 0, grown.sum(axis=0), 1)
    expected = W + gain[:, None] * (expected - W)
    np.testing.assert_allclose(synapses.to_scipy().toarray(), expected, rtol=1e-12)


@pytest.mark.parametrize("eta", [10.0, 1e4])
def test_presynaptic_competition_leaves_the_synapse_onto_the_cell_that_is_active_together_with_the_axon(eta):
    synapses, W = excitatory()
    rng = np.random.default_rng(3)
    Z, R = rng.random((30, 7)), rng.random((30, 5))
    for _ in range(3000):
        PresynapticCompetition(eta=eta).step(synapses, Z, R)
    learned, best = synapses.to_scipy().toarray(), (R.T @ Z).argmax(axis=0)
    np.testing.assert_allclose(learned.sum(axis=0), W.sum(axis=0), rtol=1e-9)
    np.testing.assert_allclose(learned[best, np.arange(7)], W.sum(axis=0), rtol=1e-6)


def test_sanger_in_groups_is_sanger_of_each_group():
    rng = np.random.default_rng(4)
    Z, W = rng.normal(size=(50, 7)), rng.normal(size=(6, 7))
    together = Synapses.from_scipy(csr_array(W))
    Sanger(eta=0.1, group=3).step(together, Z, Z @ W.T)
    for rows in (slice(0, 3), slice(3, 6)):
        alone = Synapses.from_scipy(csr_array(W[rows]))
        Sanger(eta=0.1).step(alone, Z, Z @ W[rows].T)
        np.testing.assert_allclose(together.to_scipy().toarray()[rows], alone.to_scipy().toarray(), atol=1e-12)


def test_sanger_refuses_groups_that_do_not_divide_the_cells():
    synapses, W = excitatory()
    with pytest.raises(ValueError, match="group = 2 must divide the post-synaptic cells, the pathway has 5"):
        Sanger(group=2).step(synapses, np.ones((1, 7)), np.ones((1, 5)))
    np.testing.assert_array_equal(synapses.to_scipy().toarray(), W)


# --- gradients


@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: f"{type(model).__name__}-{getattr(model, 'hidden', '')}")
def test_gradient_of_the_input(model, loss):
    model.fit(X, Y)
    assert_gradient_of_the_input(model, X[:8], Y[:8], loss, 1e-5)


# --- Dale's ANN


def test_dale_layer_is_excitation_less_inhibition_over_shunting():
    model = begun(X, DaleMLP((6,), random_state=0, dtype="float64", inhibitory=0.5))
    layer = model.layers_[0]
    layer.alpha[:], layer.gain[:], layer.bias[:] = RNG.normal(size=3), RNG.random(6), RNG.normal(size=6)
    E, IX, EI = (W.to_scipy().toarray() for W in (layer.excitation, layer.recruitment, layer.inhibition))
    assert E.min() >= 0 and IX.min() >= 0 and EI.max() <= 0
    q = X @ IX.T
    z = layer.gain * (X @ E.T + q @ EI.T) / -((np.exp(layer.alpha) * q) @ EI.T) + layer.bias
    np.testing.assert_allclose(layer.forward(X, None).drive, z, rtol=1e-4)


@pytest.mark.parametrize("corrected", [True, False])
def test_dale_steps_go_down_the_gradient_corrected_by_the_sizes_of_the_layer(corrected):
    """Each part's step is -rate / correction times the derivative of the mean loss, by differences."""
    rate = 1e-7  # nothing reaches 0
    model = begun(X, DaleMLP((6,), random_state=1, dtype="float64", learning_rate=rate, corrected=corrected))

    def loss():
        return -log_softmax(model._network(X), axis=1)[np.arange(40), Y].mean()

    layer, h = model.layers_[0], 1e-6
    parts = {"alpha": layer.alpha, "gain": layer.gain, "bias": layer.bias}
    slopes = {}
    for name, values in parts.items():
        up, down = (_shifted(values, d, loss) for d in (h, -h))
        slopes[name] = (up - down) / (2 * h)
    for name in ("excitation", "recruitment", "inhibition"):
        pathway = getattr(layer, name)
        bump = np.zeros(pathway.nnz)
        bump[1] = h
        pathway.add(bump)
        up = loss()
        pathway.add(-2 * bump)
        slopes[name] = (up - loss()) / (2 * h)
        pathway.add(bump)
    before = {name: getattr(layer, name).weights.copy() for name in ("excitation", "recruitment", "inhibition")}
    before |= {name: values.copy() for name, values in parts.items()}
    model._update(X, Y)
    after = {name: getattr(getattr(layer, name), "weights", getattr(layer, name)) for name in slopes}
    root = np.sqrt(6)
    correction = {"recruitment": root, "inhibition": 9, "alpha": root * 9} if corrected else {}
    for name, slope in slopes.items():
        place = 1 if name in ("excitation", "recruitment", "inhibition") else 0
        step = after[name][place] - before[name][place]
        assert step == pytest.approx(-rate * slope / correction.get(name, 1), rel=1e-3, abs=1e-15), name


def _shifted(values, d, loss):
    values[0] += d
    found = loss()
    values[0] -= d
    return found


def test_dale_cells_have_one_sign_and_stay_within_their_layer(digits):
    model = DaleMLP((40,), n_epochs=10, random_state=0).fit(digits.X_train[:300], digits.y_train[:300])
    outgoing = model.outgoing()
    for cells, indices in dale_indices(outgoing).items():
        assert np.nanmin(indices) == 1, cells
    assert outgoing["hidden_1_i"].keys() == {"hidden_1"} and (outgoing["hidden_1_i"]["hidden_1"].data <= 0).all()
    assert model.weights()["hidden_1_i"].shape == (4, 64)
    assert all(layer.gain.min() >= 0 for layer in model.layers_)


def test_dale_needs_its_corrections(digits):
    """As published: uncorrected, the same learning rate is too large for the inhibitory cells."""
    data = digits.X_train[:600], digits.y_train[:600]
    corrected, not_so = (
        DaleMLP((256,), n_epochs=10, random_state=0, corrected=choice).fit(*data) for choice in (True, False)
    )
    assert corrected.loss_curve_[-1] < 0.3 and not_so.loss_curve_[-1] > 1


@pytest.mark.parametrize("model", [DaleMLP((4,)), HebbPerturbationClassifier(4)])
def test_negative_inputs_are_refused(model):
    with pytest.raises(ValueError, match=f"Negative values in data passed to {type(model).__name__}"):
        model.fit(X - 0.5, Y)


# --- predictive coding


def test_one_small_step_of_the_values_gives_the_change_of_backpropagation():
    """Errors of the hidden layer after one step are ``step`` times what backpropagation brings there."""
    coding = begun(X, PredictiveCodingMLP((6,), random_state=0, dtype="float64", n_steps=1, step=1e-6))
    plain = begun(X, BackpropMLP((6,), random_state=0, dtype="float64"))
    rates = plain._rates(X)
    p = np.exp(log_softmax(rates[-1], axis=1))
    exact = {k: (dW, db) for k, dW, db in plain._backward(rates, (p - np.eye(3)[Y]) / len(X))}
    moved = {}
    coding._move = lambda k, dW, db: moved.update({k: (dW, db)})
    coding._update(X, Y)
    for k, scale in ((0, 1e-6), (1, 1)):
        for found, wanted in zip(moved[k], exact[k], strict=True):
            np.testing.assert_allclose(found, scale * wanted, rtol=1e-4, atol=1e-4 * scale * np.abs(wanted).max())


def test_values_descend_the_energy():
    model = begun(X, PredictiveCodingMLP((6, 5), random_state=0, dtype="float64"))
    labels = np.eye(3)[Y]
    fixed = model.pathways_[0].forward(X, model.biases_[0])
    values = [fixed, model._predict_layer(1, fixed)]

    def energy(values):
        hidden = model._errors(values, fixed, labels)[:-1]
        z = model._predict_layer(2, values[-1])
        return sum(np.square(e).sum() / 2 for e in hidden) - (labels * log_softmax(z, axis=1)).sum()

    energies = [energy(values)]
    for _ in range(20):
        errors = model._errors(values, fixed, labels)
        values = [x + 0.01 * model._force(k, x, errors) for k, x in enumerate(values)]
        energies.append(energy(values))
    assert (np.diff(energies) < 0).all()


# --- Hebb and perturbation


def test_at_theta_1_every_input_keeps_one_synapse(digits):
    model = HebbPerturbationClassifier(50, n_epochs=5, random_state=0).fit(digits.X_train[:300], digits.y_train[:300])
    W = model.weights()["hidden_1"]
    assert W.nnz == 64 and (W.data > 0).all()
    np.testing.assert_array_equal(np.bincount(W.indices, minlength=64), 1)


def test_homeostasis_keeps_the_mean_rates_at_their_target(digits):
    model = HebbPerturbationClassifier(30, target=0.2, theta=0.0, n_epochs=40, random_state=0)
    model.fit(digits.X_train[:500], digits.y_train[:500])
    rates, _ = model._respond(digits.X_train[:500])
    np.testing.assert_allclose(rates.mean(axis=0), 0.2, atol=0.03)


def test_perturbation_improves_on_hebb_alone(digits):
    data = digits.X_train[:800], digits.y_train[:800]
    losses = [
        HebbPerturbationClassifier(50, n_epochs=60, learning_rate=rate, random_state=0).fit(*data).loss_curve_[-1]
        for rate in (1e-9, 3e-2)
    ]
    assert losses[1] < 0.9 * losses[0]


# --- local HPCA


def test_cells_see_one_patch_each():
    model = begun(X, LocalHPCAClassifier(2, random_state=0, patch_size=2, stride=1))
    fields = [set(row) for row in model.hidden_.indices.reshape(-1, 4)]
    assert fields[::2] == fields[1::2] == [{0, 1, 3, 4}, {1, 2, 4, 5}, {3, 4, 6, 7}, {4, 5, 7, 8}]
    colour = begun(X, LocalHPCAClassifier(1, random_state=0, patch_size=1, stride=2, image_shape=(1, 3, 3)))
    assert [set(row) for row in colour.hidden_.indices.reshape(-1, 3)] == [{0, 1, 2}, {6, 7, 8}]


def test_one_patch_as_large_as_the_image_is_hpca():
    local = begun(X, LocalHPCAClassifier(4, random_state=0, dtype="float64", patch_size=9))
    full = begun(X, HPCAClassifier(4, random_state=0, dtype="float64"))
    W = RNG.normal(size=(4, 9)) / 3
    local.hidden_, full.hidden_ = (Synapses.from_scipy(csr_array(W)) for _ in range(2))
    for model in (local, full):
        model.mean_ = X.mean(axis=0)
        model._hidden_step(X, 0.1)
    np.testing.assert_allclose(local.hidden_.weights, full.hidden_.weights, rtol=1e-9)


def test_a_place_where_nothing_varies_learns_nothing(digits):
    flat = digits.X_train[:100].copy().reshape(-1, 8, 8)
    flat[:, :4] = 0
    model = LocalHPCAClassifier(2, patch_size=4, stride=4, n_epochs=2, random_state=0)
    model.fit(flat.reshape(100, -1), digits.y_train[:100])
    again = LocalHPCAClassifier(2, patch_size=4, stride=4, n_epochs=1, hidden_epochs=1, random_state=0)
    again.fit(flat.reshape(100, -1), digits.y_train[:100])
    same = (model.hidden_.weights == again.hidden_.weights).reshape(8, -1).all(axis=1)
    np.testing.assert_array_equal(same, [True] * 4 + [False] * 4)


# --- all of them


@pytest.mark.parametrize(
    ("name", "params", "least"),
    [
        ("dale", {"hidden": (64,)}, 0.92),
        ("predictive-coding", {"hidden": (64,), "n_steps": 5}, 0.93),
        ("hpca-local", {"n_hidden": 16}, 0.94),
        ("hebb-perturbation", {"n_hidden": 100}, 0.65),
    ],
)
def test_they_learn_digits(name, params, least, digits):
    model = make(name, **params, n_epochs=60, random_state=0).fit(digits.X_train[:1000], digits.y_train[:1000])
    assert model.score(digits.X_train[1000:], digits.y_train[1000:]) > least


@pytest.mark.parametrize(
    "model", [DaleMLP((30,)), PredictiveCodingMLP((30,)), LocalHPCAClassifier(8), HebbPerturbationClassifier(50)]
)
def test_a_stream_goes_on_learning(model, digits):
    model.set_params(random_state=0)
    assert accuracy_after_a_stream(model, digits) > 0.4


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@pytest.mark.parametrize(
    "model",
    [
        DaleMLP((16,), n_epochs=40),
        PredictiveCodingMLP((16,), learning_rate=1e-2, n_epochs=40, n_steps=3),
        LocalHPCAClassifier(16, n_epochs=60, learning_rate=0.02),
        HebbPerturbationClassifier(30, n_epochs=60),
    ],
    ids=lambda model: type(model).__name__,
)
def test_they_are_scikit_learn_estimators(model):
    # it draws inputs that are negative whatever the tags of the estimator say
    expected = {"check_decision_proba_consistency": "refuses negative inputs"}
    check_estimator(model, expected_failed_checks=expected if isinstance(model, NonNegativeInputs) else None)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (DaleMLP(inhibitory=1.5), r"inhibitory must be a number in \[0, 1\], got 1.5"),
        (DaleMLP(corrected="no"), "corrected must be True or False, got 'no'"),
        (DaleMLP((0,)), "hidden must be an integer >= 1, got 0"),
        (PredictiveCodingMLP(n_steps=0), "n_steps must be an integer >= 1, got 0"),
        (PredictiveCodingMLP(step=2), r"step must be a number in \(0, 1\], got 2"),
        (HebbPerturbationClassifier(target=1), r"target must be a number in \(0, 1\), got 1"),
        (HebbPerturbationClassifier(theta=2), r"theta must be a number in \[0, 1\], got 2"),
        (HebbPerturbationClassifier(perturbation=0), "perturbation must be a finite number > 0, got 0"),
        (LocalHPCAClassifier(patch_size=0), "patch_size must be an integer >= 1 or 'auto', got 0"),
        (LocalHPCAClassifier(stride="all"), "stride must be an integer >= 1 or 'auto', got 'all'"),
    ],
)
def test_refuses_parameters(model, message):
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y)
