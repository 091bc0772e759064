"""E-I circuit: rest, gradients, Dale's law, homeostasis, and the classifier that uses it."""

import copy

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from bioneuro import BioClassifier, analysis
from bioneuro.layers import READOUTS, Circuit


def unit(X):
    return X / np.linalg.norm(X, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def samples():
    """Features of five noisy prototypes, and one-hot labels."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 5, 400)
    H = unit(rng.gamma(0.5, size=(5, 40))[y] + 0.3 * rng.gamma(0.5, size=(400, 40)))
    return np.ascontiguousarray(H), np.eye(5)[y]


def learned(samples, n_cells=60, n_epochs=5, **options):
    H, T = samples
    circuit = Circuit(n_cells, 40, 5, **{"dtype": np.float64, **options})
    for _ in range(n_epochs):
        for start in range(0, len(H), 50):
            circuit.learn(H[start : start + 50], T[start : start + 50])
    return circuit


@pytest.fixture(scope="module")
def circuit(samples):
    return learned(samples)


def test_rates_are_the_rest(circuit, samples):
    H, _ = samples
    y = circuit.drive(H)
    U, V = (W.to_scipy().toarray() for W in (circuit.to_inhibitory, circuit.from_inhibitory))
    expected = np.maximum(circuit.gain * circuit.excite(H) + (y @ U.T) @ V.T - circuit.threshold, 0)
    np.testing.assert_allclose(y, expected, atol=2e-4 * y.max())
    np.testing.assert_allclose(circuit.inhibitory_rates(y), y @ U.T)
    assert (circuit.residual <= 1e-4).all() and len(circuit.residual) == len(H)
    assert 0 < analysis.fraction_active(y) < 0.5


def test_residuals_of_all_samples_are_kept(circuit, samples, monkeypatch):
    H = samples[0][:25]
    circuit.drive(H)
    whole = circuit.residual
    monkeypatch.setattr("bioneuro.layers.inhibition.CHUNK", 10)
    circuit.drive(H)
    assert circuit.residual.shape == whole.shape == (25,)


def test_rates_do_not_depend_on_the_batch(circuit, samples):
    H = samples[0][:20]
    parts = np.concatenate([circuit.drive(H[[i]]) for i in range(20)])
    whole = circuit.drive(H)
    np.testing.assert_allclose(whole, parts, atol=2e-4 * whole.max())


@pytest.mark.parametrize("name", ["votes", "delta"])
def test_gradient_through_the_rest(circuit, samples, name):
    """By finite differences of the logits, where no cell crosses its threshold in between."""
    H, T = samples
    rng = np.random.default_rng(1)
    readout = READOUTS[name](circuit, 5, seed=0)
    if readout.pathways():
        readout.learn(circuit.drive(H), T, 0.1)
    H, e = H[:40], 1e-7
    dz, D = rng.normal(size=(40, 5)), rng.normal(size=H.shape)
    up, down = (circuit.drive(H + step * D) for step in (e, -e))
    same = ((up > 0) == (down > 0)).all(axis=1)
    assert same.sum() > 30
    expected = ((readout.logits(up) - readout.logits(down)) * dz).sum(axis=1) / (2 * e)
    y = circuit.drive(H)
    found = (circuit.drive_grad(y, readout.drive_grad(y, dz)) * D).sum(axis=1)
    np.testing.assert_allclose(found[same], expected[same], rtol=1e-4, atol=1e-4)


def test_no_sign_and_no_connection_changes(samples, circuit):
    fresh = learned(samples, n_epochs=0)
    for name in ("to_inhibitory", "from_inhibitory"):
        before, after = getattr(fresh, name), getattr(circuit, name)
        np.testing.assert_array_equal(before.indices, after.indices)
        assert not np.allclose(before.weights, after.weights)
        sign = 1 if name == "to_inhibitory" else -1
        assert (sign * after.weights > 0).all()
        index = analysis.dale_index(after.to_scipy())
        assert index[np.isfinite(index)] == pytest.approx(1)  # a cell without such synapses has none
    assert (circuit.synapses.weights >= 0).all()


def test_weights_onto_every_cell_are_scaled(circuit):
    np.testing.assert_allclose(circuit.to_inhibitory.to_scipy().sum(axis=1), circuit.n_cells)
    np.testing.assert_allclose(circuit.from_inhibitory.to_scipy().sum(axis=1), -circuit.inhibition)


def test_a_fifth_of_the_cells_are_inhibitory(circuit):
    assert circuit.n_inhibitory == 15 and circuit.n_cells == 60


def test_activity_comes_to_its_target_and_every_cell_is_used(samples):
    circuit = learned(samples, 30, n_epochs=15, activity=20.0, kappa=0.0)
    y = circuit.drive(samples[0])
    assert y.sum(axis=1).mean() == pytest.approx(20, rel=0.3)
    assert (y.max(axis=0) > 0).all()


def test_stronger_inhibition_leaves_fewer_cells_active_and_lower_rates(circuit, samples):
    stronger = copy.deepcopy(circuit)
    stronger.from_inhibitory.add(9 * stronger.from_inhibitory.weights)
    low, high = (cells.drive(samples[0]) for cells in (stronger, circuit))
    assert analysis.fraction_active(low) < analysis.fraction_active(high)
    assert low.sum() < 0.3 * high.sum()


def test_a_circuit_without_rest_warns(samples, monkeypatch):
    monkeypatch.setattr("bioneuro.layers.inhibition.TOLERANCE", 1e-30)
    monkeypatch.setattr("bioneuro.layers.inhibition.MAX_ITER", 2)
    with pytest.warns(ConvergenceWarning, match="samples found no rest"):
        learned(samples, n_epochs=1)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("inhibitory_share", 1.0),
        ("inhibition", 0.0),
        ("inhibitory_density", 0.0),
        ("activity", -1.0),
        ("k", 3),
        ("teacher", "contrastive"),
    ],
)
def test_refuses(argument, value):
    with pytest.raises(ValueError, match=argument):
        Circuit(10, 5, 2, **{argument: value})


# --- classifier ---


@pytest.fixture(scope="module")
def model(digits):
    return BioClassifier(
        competition="circuit", n_cells=150, mixing=500, schedule__readout_epochs=10, random_state=0
    ).fit(digits.X_train[:400], digits.y_train[:400])


def test_classifier_learns_and_shows_its_pathways(model, digits):
    assert model.score(digits.X_test, digits.y_test) > 0.85
    W = model.weights()
    assert W["association_e_to_i"].shape == (38, 150) and W["association_i_to_e"].shape == (150, 38)
    assert W["association_e_to_i"].data.min() >= 0 >= W["association_i_to_e"].data.max()


def test_classifier_is_reproducible_and_goes_on_learning(model, digits):
    X, y = digits.X_train[:400], digits.y_train[:400]
    again = BioClassifier(**model.get_params()).fit(X, y)
    np.testing.assert_array_equal(again.decision_function(X), model.decision_function(X))
    before = again.weights()["association_i_to_e"].copy()
    again.partial_fit(digits.X_train[400:500], digits.y_train[400:500])
    assert not np.array_equal(before.data, again.weights()["association_i_to_e"].data)


def test_cells_of_a_circuit_are_not_taught(model):
    assert model.get_params()["supervision__eta"] > 0 and model.network_.association.teacher is None


def test_cells_that_wait_are_silent(samples):
    circuit = learned(samples, 100, n_epochs=0)
    assert not circuit.drive(samples[0]).any()
    circuit.learn(*(part[:50] for part in samples))
    assert 0 < circuit.live.sum() < 100
    y = circuit.drive(samples[0])
    assert not y[:, ~circuit.live].any() and y.sum(axis=1).min() > 0 and circuit.residual.max() <= 1e-4


def test_the_scale_of_the_features_changes_no_rate(samples):
    H, T = samples
    larger = np.ascontiguousarray(16 * H)
    np.testing.assert_allclose(learned((larger, T)).drive(larger), learned(samples).drive(H), atol=1e-6)


def test_classifier_refuses_another_competition(digits):
    with pytest.raises(ValueError, match=r"competition must be one of \['circuit', 'softmax'\]"):
        BioClassifier(competition="hard").fit(digits.X_train[:50], digits.y_train[:50])


# --- measures of activity ---


def test_pairwise_correlation_is_that_of_the_pairs():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(5000, 1))
    rates = np.hstack([common + rng.normal(size=(5000, 6)), np.zeros((5000, 1))])
    mean, sd, mean_size, n = analysis.pairwise_correlation(rates)
    assert mean == pytest.approx(0.5, abs=0.03) and sd < 0.03 and n == 6
    assert mean_size == pytest.approx(mean)  # they are all positive
    assert np.isnan(analysis.pairwise_correlation(np.zeros((3, 4))).mean)


def test_pairwise_correlation_refuses_one_stimulus():
    with pytest.raises(ValueError, match="rates must have shape"):
        analysis.pairwise_correlation(np.ones((1, 4)))


def test_fraction_active():
    assert analysis.fraction_active([[0, 1, 2, 0]]) == 0.5


def test_fraction_active_refuses_negative_rates():
    with pytest.raises(ValueError, match="rates must be finite and >= 0"):
        analysis.fraction_active([-1.0])
