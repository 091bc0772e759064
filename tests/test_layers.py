"""Layers: gradients by finite differences, invariants of learning, homeostasis, structure."""

import copy

import numpy as np
import pytest
from scipy.special import softmax

import bioneuro as bn
from bioneuro import connectivity
from bioneuro.layers import (
    READOUTS,
    Adaptation,
    Association,
    CompetitiveLayer,
    DeltaReadout,
    FeatureMap,
    Hypercolumns,
    LocalMap,
    Mixing,
    PerturbationReadout,
    Retina,
    SoftmaxSettings,
    UnitNorm,
    VotesReadout,
    interfaces,
)
from bioneuro.layers.readout import WEAKEST
from bioneuro.network import INFERENCE_BATCH, Network
from bioneuro.rules import LogPower, LogRelaxation, Turnover


def slope(f, X, D, e=1e-6):
    """Directional derivative of f at X along D, by central differences."""
    return (f(X + e * D) - f(X - e * D)) / (2 * e)


def unit(X):
    return X / np.linalg.norm(X, axis=1, keepdims=True)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def samples(rng):
    """Features of three noisy prototypes, and one-hot labels."""
    prototypes = rng.gamma(0.5, size=(3, 40))
    y = rng.integers(0, 3, 120)
    H = unit(prototypes[y] + 0.2 * rng.gamma(0.5, size=(120, 40)))
    return np.ascontiguousarray(H), np.eye(3)[y]


def layer(n_cells=12, n_pre=20, seed=0, **options):
    synapses = connectivity.dense(n_cells, n_pre, sign="E", random_state=seed, dtype=np.float64)
    synapses.normalize_rows()
    return CompetitiveLayer(synapses, **{"beta": 20.0, **options})


# --- retina and encoders ---


@pytest.mark.parametrize(("exponent", "semi_saturation"), [(1.0, np.inf), (4.0, 0.5), (2.0, np.inf)])
def test_response_maps_unit_interval_onto_itself_and_back(exponent, semi_saturation):
    retina = Retina(exponent=exponent, semi_saturation=semi_saturation)
    x = np.linspace(0, 1, 101)
    r = retina.response(x)
    assert r[0] == 0 and r[-1] == pytest.approx(1)
    assert (np.diff(r) > 0).all()
    np.testing.assert_allclose(retina.response_inverse(r), x, atol=1e-12)
    inside = x[1:-1]
    np.testing.assert_allclose(slope(retina.response, inside, 1.0), retina.response_slope(inside), rtol=1e-5)


@pytest.mark.parametrize("shape", [(8, 8), (9, 6), (7, 7, 3)])
@pytest.mark.parametrize("space", ["image", "response"])
def test_feature_map_gradient(rng, shape, space):
    encoder = FeatureMap(shape, n_columns=5, retina=Retina(3, 2.0, 0.5), random_state=0, dtype=np.float64)
    X = rng.uniform(0.1, 0.9, (4, np.prod(shape)))
    dH, D = rng.normal(size=(4, encoder.n_features)), rng.normal(size=X.shape)
    to_image = encoder.retina.response_inverse if space == "response" else lambda Z: Z
    Z = encoder.retina.response(X) if space == "response" else X
    expected = slope(lambda Z: (encoder.encode(to_image(Z)) * dH).sum(), Z, D)
    assert (encoder.encode_grad(X, dH, space=space) * D).sum() == pytest.approx(expected, rel=1e-5)


def test_features_are_rates_of_unit_norm_and_do_not_depend_on_the_batch(rng):
    encoder = FeatureMap((28, 28), n_columns=6, random_state=0)
    X = rng.uniform(size=(50, 784)).astype(np.float32)
    H = encoder.encode(X)
    assert H.shape == (50, encoder.n_features) and H.min() >= 0
    np.testing.assert_allclose(np.linalg.norm(H, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(H[31:32], encoder.encode(X[31:32]))


def test_a_blank_image_has_finite_features_and_gradient():
    encoder = FeatureMap((8, 8), n_columns=4, random_state=0)
    X = np.zeros((1, 64), np.float32)
    H = encoder.encode(X)
    assert np.isfinite(H).all()
    assert np.isfinite(encoder.encode_grad(X, np.ones_like(H))).all()


def test_map_learning_leaves_no_dead_column_and_unit_rows(rng):
    encoder = FeatureMap((12, 12), n_columns=24, retina=Retina(5), random_state=1)
    X = rng.uniform(size=(60, 144)).astype(np.float32)
    before = encoder.columns.synapses.weights.copy()
    encoder.learn(X, n_patches=4000, random_state=2)
    assert not np.array_equal(before, encoder.columns.synapses.weights)
    W = encoder.columns.synapses.to_scipy()
    np.testing.assert_allclose((W * W).sum(axis=1), 1, rtol=1e-5)
    U, gate = encoder.retina.patches(encoder.retina.response(X).reshape(-1, 12, 12, 1))
    winners = np.unique(encoder.columns.respond(U[gate > 0.2]).argmax(axis=1))
    assert len(winners) == 24


def test_adaptation_is_standardisation_split_in_two_and_the_same_in_batches(rng):
    X = rng.normal(3, 2, (50, 6))
    X[:, 2] = 7.0  # never varies
    whole = Adaptation(6, np.float64).learn(X)
    parts = Adaptation(6, np.float64).learn(X[:13]).learn(X[13:])
    np.testing.assert_allclose(whole.mean, X.mean(axis=0))
    np.testing.assert_allclose(np.delete(whole.sd, 2), np.delete(X.std(axis=0), 2))
    np.testing.assert_allclose(whole.encode(X), parts.encode(X), atol=1e-12)
    assert whole.encode(X).min() >= 0
    dH, D = rng.normal(size=(50, 12)), rng.normal(size=X.shape)
    D[:, 2] = 0  # the mean itself is a kink
    expected = slope(lambda Z: (whole.encode(Z) * dH).sum(), X, D)
    assert (whole.encode_grad(X, dH) * D).sum() == pytest.approx(expected, rel=1e-5)


def test_unit_norm_has_one_feature_an_input_and_its_gradient(rng):
    X = rng.uniform(0.1, 1, (5, 6))
    encoder = UnitNorm(6, np.float64).learn(X)
    np.testing.assert_allclose(encoder.encode(X), unit(X), rtol=1e-6)
    assert encoder.n_features == 6 and not encoder.encode(np.zeros((1, 6))).any()
    dH, D = rng.normal(size=X.shape), rng.normal(size=X.shape)
    expected = slope(lambda Z: (encoder.encode(Z) * dH).sum(), X, D)
    assert (encoder.encode_grad(X, dH) * D).sum() == pytest.approx(expected, rel=1e-5)


def test_unit_norm_refuses_what_is_no_rate():
    with pytest.raises(ValueError, match=r"X must be >= 0 \(rates\), but X\[1, 0\] = -1"):
        UnitNorm(2).encode([[0, 1], [-1, 0]])


# --- competition ---


def test_competitive_layer_gradient(rng):
    cells = layer()
    U, dY, D = unit(rng.gamma(1, size=(5, 20))), rng.normal(size=(5, 12)), rng.normal(size=(5, 20))
    expected = slope(lambda Z: (cells.respond(Z) * dY).sum(), U, D)
    assert (cells.respond_grad(cells.respond(U), dY) * D).sum() == pytest.approx(expected, rel=1e-5)


def test_homeostasis_keeps_every_cell_in_use_from_a_random_start(rng):
    """60 cells start nearly alike on clustered input: without homeostasis a few win nearly everything."""
    prototypes = rng.gamma(0.3, size=(8, 20))
    U = unit(prototypes[rng.integers(0, 8, 2000)] + 0.05 * rng.gamma(1, size=(2000, 20)))

    def share_in_use(**homeostasis):
        cells = layer(60, beta=100.0, **homeostasis)
        for _ in range(5):
            rate = np.mean([cells.learn(batch).rates.mean(axis=0) for batch in np.split(U, 20)], axis=0)
        return (rate > 0.1 / 60).mean()

    assert share_in_use(homeostasis=0.0) < 0.5
    assert share_in_use(homeostasis=0.0, recruitment=0.25) == 1.0
    assert share_in_use(homeostasis=1.0, recruitment=0.25) == 1.0


def test_a_silent_cell_takes_over_the_worst_matched_input(rng):
    U = unit(rng.gamma(0.5, size=(8, 20)))
    cells = layer(5, recruitment=0.25, beta=100.0)
    worst = cells.drive(U).max(axis=1).argsort()[:2]
    step = cells.learn(U)
    assert (cells.rate[:2] == 1 / 5).all()
    np.testing.assert_array_equal(step.rates[worst, :2], np.eye(2))
    np.testing.assert_allclose(cells.synapses.to_scipy().toarray()[:2], U[worst], rtol=2e-3)


def test_superlinear_cells_take_over_and_go_to_a_power_of_their_input(rng):
    U = unit(rng.gamma(0.5, size=(8, 20)))
    cells = layer(5, recruitment=0.25, beta=100.0, rule=LogPower(exponent=4.0, floor=0.03))
    worst = cells.drive(U).max(axis=1).argsort()[:2]
    cells.learn(U)
    np.testing.assert_allclose(cells.synapses.to_scipy().toarray()[:2], unit((U[worst] + 0.03) ** 4), rtol=2e-3)
    alone = layer(1, rule=LogPower(exponent=4.0, floor=0.03))
    for _ in range(50):
        alone.learn(U)
    learned = alone.synapses.to_scipy().toarray()
    np.testing.assert_allclose(learned, unit((U.mean(axis=0, keepdims=True) + 0.03) ** 4), rtol=1e-4)


def test_a_cell_that_alone_is_active_relaxes_to_the_mean_input(rng):
    cells = layer(1)
    U = unit(rng.gamma(1, size=(200, 20)))
    for _ in range(50):
        cells.learn(U)
    W = cells.synapses.to_scipy().toarray()[0]
    np.testing.assert_allclose(W, U.mean(axis=0) / np.linalg.norm(U.mean(axis=0)), rtol=2e-2)


def test_turnover_removes_and_bears_synapses_of_cells_that_learn_and_keeps_unit_norm(rng):
    cells = layer(10, 50, turnover=Turnover(birth=0.1, death=0.3))
    cells.synapses.prune(0.3)
    U = unit(rng.gamma(0.2, size=(300, 50)))
    cells.learn(U)
    nnz = cells.synapses.nnz
    died, born = cells.rewire()
    assert died > 0 and born > 0 and cells.synapses.nnz == nnz - died + born
    W = cells.synapses.to_scipy()
    np.testing.assert_allclose((W * W).sum(axis=1), 1)
    assert cells.rewire() == (0, 0)  # nobody has moved since


def test_without_turnover_the_wiring_stays(rng):
    cells = CompetitiveLayer(connectivity.random(10, 50, density=0.5, sign="E", random_state=0), beta=5.0)
    cells.learn(unit(rng.gamma(0.2, size=(30, 50))).astype(np.float32))
    assert cells.rewire() == (0, 0)


def test_learning_is_identical_for_any_thread_count(rng):
    U = unit(rng.gamma(1, size=(256, 100)))
    weights = []
    for n_threads in (1, 2, 3):
        cells = layer(
            333, 100, rule=LogRelaxation(sigma=0.3), turnover=Turnover(), intrinsic=True, recruitment=0.2,
            n_threads=n_threads,
        )  # fmt: skip
        for _ in range(3):
            cells.learn(U)
            cells.rewire()
        weights.append(cells.synapses.weights.copy())
    np.testing.assert_array_equal(weights[0], weights[1])
    np.testing.assert_array_equal(weights[0], weights[2])


@pytest.mark.parametrize(
    ("argument", "value"), [("beta", 0.0), ("beta", np.nan), ("beta", 1e7), ("sharpening", -1.0), ("rate_memory", 0.0)]
)
def test_competitive_layer_refuses(argument, value):
    with pytest.raises(ValueError, match=rf"{argument} must be a number in \(0, 1e\+06\], got {value}"):
        layer(**{argument: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "hebb"}, "rule must be one of 'oja'"),
        ({"rule": "vogels"}, "rule must learn on pathways of sign 'E' and without a reward, got Vogels"),
        ({"rule": "perturbation"}, "rule must learn on pathways of sign 'E' and without a reward, got WeightPert"),
    ],
)
def test_competitive_layer_refuses_a_rule(options, message):
    with pytest.raises(ValueError, match=message):
        layer(**options)


BAD_INPUT = [
    (np.ones((3, 19)), r"U must have shape \(batch >= 1, 20\), got \(3, 19\)"),
    (np.ones((0, 20)), r"U must have shape \(batch >= 1, 20\), got \(0, 20\)"),
    (np.full((3, 20), np.inf), "U must be finite"),
    (np.full((3, 20), -1.0), "U must be finite and >= 0"),
]


@pytest.mark.parametrize(("U", "message"), BAD_INPUT)
@pytest.mark.parametrize("kind", [CompetitiveLayer, Hypercolumns])
def test_an_input_that_is_refused_leaves_no_trace(rng, kind, U, message):
    synapses = connectivity.dense(12, 20, sign="E", random_state=0, dtype=np.float64)
    options = {"beta": 20.0, "intrinsic": True} | ({"n_rivals": 4} if kind is Hypercolumns else {})
    cells = kind(synapses, **options)
    cells.learn(unit(rng.gamma(1, size=(5, 20))))
    before = copy.deepcopy(cells)
    with pytest.raises(ValueError, match=message):
        cells.learn(U)
    assert_same_layer(cells, before)


@pytest.mark.parametrize(("argument", "width"), [("top_down", 12), ("seen", 3)])
def test_a_top_down_drive_or_a_gate_of_another_shape_leaves_no_trace(rng, argument, width):
    cells = Hypercolumns(connectivity.dense(12, 20, sign="E", random_state=0, dtype=np.float64), 4, beta=20.0)
    before = copy.deepcopy(cells)
    with pytest.raises(ValueError, match=rf"{argument} must have shape \(5, {width}\), got \(4, {width}\)"):
        cells.learn(unit(rng.gamma(1, size=(5, 20))), **{argument: np.ones((4, width))})
    assert_same_layer(cells, before)


def assert_same_layer(a, b):
    np.testing.assert_equal(a.synapses.traces, b.synapses.traces)
    np.testing.assert_array_equal(a.synapses.weights, b.synapses.weights)
    one, other = ({**vars(cells), "synapses": None, "competition": vars(cells.competition)} for cells in (a, b))
    np.testing.assert_equal(one, other)


def test_competitive_layer_refuses_inhibitory_synapses():
    with pytest.raises(ValueError, match="sign must be 'E'|must have sign 'E'"):
        CompetitiveLayer(connectivity.dense(3, 4, sign="I"), beta=1.0)


@pytest.mark.parametrize(("argument", "value"), [("exponent", 0), ("semi_saturation", np.nan), ("c0", -1), ("g0", 0)])
def test_retina_refuses(argument, value):
    with pytest.raises(ValueError, match=f"{argument} must be a finite number > 0"):
        Retina(**{argument: value})


@pytest.mark.parametrize("gate_exponent", [0, 9, np.nan])
def test_retina_refuses_gate_exponent(gate_exponent):
    with pytest.raises(ValueError, match=r"gate_exponent must be a number in \(0, 8\]"):
        Retina(gate_exponent=gate_exponent)


def test_retina_refuses_patch_size():
    with pytest.raises(ValueError, match="patch_size must be an integer >= 1"):
        Retina(patch_size=0)


# --- readouts ---


def learned_association(H, T, n_cells=15, **options):
    association = Association(n_cells, H.shape[1], T.shape[1], **{"dtype": np.float64, **options})
    for _ in range(5):
        association.learn(H, T)
    return association


@pytest.mark.parametrize("name", sorted(READOUTS))
def test_readout_gradient(samples, rng, name):
    H, T = samples
    association = learned_association(H, T)
    readout = READOUTS[name](association, 3, seed=0)
    for _ in range(3):
        readout.learn(association.drive(H), T, 0.1)
    a = association.drive(H[:6])
    dz, D = rng.normal(size=(6, 3)), rng.normal(size=a.shape)
    expected = slope(lambda Z: (readout.logits(Z) * dz).sum(), a, D)
    assert (readout.drive_grad(a, dz) * D).sum() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", ["delta", "perturbation"])
def test_readout_learns_and_keeps_every_sign(samples, name):
    H, T = samples
    association = learned_association(H, T, 30)
    readout = READOUTS[name](association, 3, seed=0)
    drive = association.drive(H)

    def cross_entropy():
        return -np.log(softmax(readout.logits(drive), axis=1)[T > 0]).mean()

    before = cross_entropy()
    for _ in range(100):
        readout.learn(drive, T, 0.05)
    assert cross_entropy() < 0.6 * before
    assert (readout.excitatory.weights > 0).all()
    assert (readout.inhibitory.weights < 0).all()


def test_delta_readout_of_too_few_cells_stays_finite():
    """Ten cells cannot tell ten classes apart, so that the rule asks for ever larger weights."""
    data = bn.datasets.load("digits")
    model = bn.BioClassifier(
        n_cells=10,
        mixing=300,
        supervision__eta=0,
        schedule__readout_epochs=100,
        schedule__readout_eta=2.0,
        random_state=0,
    )
    model.fit(data.X_train, data.y_train)
    sizes = np.abs(model.weights()["readout_excitatory"].data)
    assert np.isfinite(sizes).all() and sizes.max() <= 1e3
    assert model.score(data.X_test, data.y_test) > 0.5


def test_delta_step_is_the_exponentiated_gradient(samples):
    """log |W| moves by exactly +-eta (t - p) times the pathway's own pre-synaptic rates."""
    H, T = samples
    association = learned_association(H, T, 8)
    readout = DeltaReadout(association, 3, w_start=2.0)
    drive = association.drive(H[:5])
    Q = association.activity(drive)
    R = Q @ readout.to_inhibitory.to_scipy().toarray().T
    np.testing.assert_allclose(readout.inhibitory_rates(Q), R, rtol=1e-10)
    error = T[:5] - softmax(readout.logits(drive), axis=1)
    readout.learn(drive, T[:5], 0.3)
    W_E, W_I = (W.to_scipy().toarray() for W in (readout.excitatory, readout.inhibitory))
    np.testing.assert_allclose(W_E, 2 * np.exp(0.3 * error.T @ Q), rtol=1e-10)
    np.testing.assert_allclose(W_I, -2 * np.exp(-0.3 * error.T @ R), rtol=1e-10)


@pytest.mark.parametrize(("n_cells", "n_inhibitory"), [(1, 1), (3, 1), (30, 7), (40, 10)])
def test_four_excitatory_cells_drive_an_inhibitory_one(samples, n_cells, n_inhibitory):
    """Every cell is wired, and at the start excitation and inhibition cancel."""
    H = samples[0]
    association = Association(n_cells, H.shape[1], 3, dtype=np.float64)
    readout = DeltaReadout(association, 3, seed=1)
    U = readout.to_inhibitory.to_scipy().toarray()
    assert U.shape == (n_inhibitory, n_cells) and readout.inhibitory.shape == (3, n_inhibitory)
    assert (U.sum(axis=0) == 1).all() and (U.sum(axis=1) >= min(4, n_cells)).all()
    np.testing.assert_allclose(readout.logits(association.drive(H)), 0, atol=1e-12)
    again, other = (DeltaReadout(association, 3, seed=seed).to_inhibitory.indices for seed in (1, 2))
    np.testing.assert_array_equal(again, readout.to_inhibitory.indices)
    assert n_inhibitory == 1 or not np.array_equal(other, again)


@pytest.mark.parametrize("kind", [DeltaReadout, PerturbationReadout])
def test_weak_synapses_of_a_readout_turn_silent_and_unheard_ones_stay(samples, rng, kind):
    association = Association(40, 4, 3, competition=SoftmaxSettings(beta=120.0), dtype=np.float64)
    readout = kind(association, 3, w_start=0.05, prune_every=20)
    unheard = np.flatnonzero(readout.to_inhibitory.to_scipy().toarray()[0])
    T = np.eye(3)[rng.integers(3, size=50)]
    drive = rng.normal(size=(50, 40)) * 0.02 + 0.05 * (T @ rng.random((3, 40)))
    drive[:, unheard] = -100.0
    wired = readout.to_inhibitory.weights.copy()
    for _ in range(19):
        readout.learn(drive, T, 3.0)
    assert readout.excitatory.density == readout.inhibitory.density == 1
    readout.learn(drive, T, 3.0)
    for pathway in (readout.excitatory, readout.inhibitory):
        assert 0 < pathway.density < 1
        size = abs(pathway.to_scipy().toarray())
        cut = WEAKEST[pathway.sign] * size.max(axis=1, keepdims=True)
        assert ((size == 0) | (size >= cut) | (size == 0.05)).all()
    assert (readout.excitatory.to_scipy().toarray()[:, unheard] == 0.05).all()
    assert (readout.inhibitory.to_scipy().toarray()[:, 0] == -0.05).all()
    np.testing.assert_array_equal(readout.to_inhibitory.weights, wired)
    readout.learn(drive, T, 3.0)
    a, dz, D = drive[:6, :] + 0.0, rng.normal(size=(6, 3)), rng.normal(size=(6, 40))
    expected = slope(lambda Z: (readout.logits(Z) * dz).sum(), a, D)
    assert (readout.drive_grad(a, dz) * D).sum() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("w_start", [0.0, -1.0, np.nan, np.inf])
def test_readout_refuses_a_start_without_excitation(w_start):
    with pytest.raises(ValueError, match=r"w_start must be a number in \(0, 1000\], got"):
        DeltaReadout(Association(5, 10, 2), 2, w_start=w_start)


def test_readout_refuses_to_prune_at_no_step():
    with pytest.raises(ValueError, match="prune_every must be"):
        DeltaReadout(Association(5, 10, 2), 2, prune_every=0)


def test_readout_that_is_not_pruned_keeps_every_synapse(samples):
    H, T = samples
    association = learned_association(H, T, 30)
    readout = DeltaReadout(association, 3, w_start=0.01, prune_every=None)
    for _ in range(100):
        readout.learn(association.drive(H), T, 1.0)
    assert readout.excitatory.density == readout.inhibitory.density == 1


@pytest.mark.parametrize("kind", [DeltaReadout, PerturbationReadout])
def test_readouts_do_not_depend_on_the_number_of_threads(samples, kind):
    H, T = (part.astype(np.float32) for part in samples)
    found = []
    for n_threads in (1, 2, 3):
        readout = kind(Association(60, H.shape[1], 3, n_threads=n_threads), 3, prune_every=20)
        drive = readout.association.drive(H)
        for _ in range(45):
            readout.learn(drive, T, 3.0)
        found.append((readout.logits(drive), readout.drive_grad(drive, T)))
    for logits, gradient in found[1:]:
        np.testing.assert_array_equal(logits, found[0][0])
        np.testing.assert_array_equal(gradient, found[0][1])


@pytest.mark.parametrize("exponent", [4.0, 16.0, 32.0])
def test_the_response_is_inverted_at_its_ends_in_single_precision(exponent):
    retina = Retina(3, exponent, 0.5)
    r = retina.response(np.array([0.0, 0.25, 0.5, 0.75, 1.0], np.float32))
    x = retina.response_inverse(r)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x[[0, 2, 4]], [0, 0.5, 1], atol=1e-6)
    assert np.isfinite(x).all()


def test_a_network_without_association_answers_any_number_of_rows_prints_and_can_be_saved(rng, tmp_path):
    encoder = UnitNorm(10)
    network = Network({"rates": encoder}, {"delta": DeltaReadout(encoder, 3)})
    X = rng.random((INFERENCE_BATCH + 5, 10), np.float32)
    logits, _ = network.vjp(X, "delta")
    np.testing.assert_array_equal(logits[-5:], network.vjp(X[-5:], "delta")[0])
    assert repr(network).startswith("Network(UnitNorm 10 -> delta 3)")
    assert "<td>readout_excitatory</td>" in network._repr_html_()
    bn.save(network, tmp_path / "network.npz")
    np.testing.assert_array_equal(bn.load(tmp_path / "network.npz").logits(X, "delta"), logits)


def test_votes_need_a_layer_that_votes():
    with pytest.raises(TypeError, match="association must be a layer with votes, as Association is, got UnitNorm"):
        VotesReadout(UnitNorm(4), 3)


def test_what_is_like_a_protocol_is_an_instance_of_it():
    layers = [Association(3, 4, 2), Mixing(8, 4, random_state=0), Adaptation(4), object(), None]
    for protocol in (interfaces.Encoder, interfaces.Layer, interfaces.PlasticLayer, interfaces.ReadCells):
        assert [interfaces.is_like(x, protocol) for x in layers] == [isinstance(x, protocol) for x in layers]
    assert interfaces.is_like(layers[0], interfaces.PlasticLayer)
    assert not interfaces.is_like(layers[1], interfaces.PlasticLayer)


@pytest.mark.parametrize(
    "layer",
    [
        FeatureMap((8, 8), n_columns=4, random_state=0),
        LocalMap((8, 8), n_columns=2, random_state=0),
        UnitNorm(64),
        Adaptation(64),
    ],
    ids=lambda layer: type(layer).__name__,
)
@pytest.mark.parametrize("shape", [(64,), (8, 32), (2, 8, 8)])
def test_rows_of_another_width_are_refused(layer, shape):
    with pytest.raises(ValueError, match=r"X must have shape \(n, 64\), got \(" + str(shape[0])):
        layer.encode(np.zeros(shape, np.float32))
    if not isinstance(layer, UnitNorm):  # which learns nothing
        with pytest.raises(ValueError, match=r"X must have shape \(n, 64\)"):
            layer.learn(np.zeros(shape, np.float32))


@pytest.mark.parametrize(("made", "name"), [(UnitNorm, "n_inputs"), (Adaptation, "n_inputs")])
@pytest.mark.parametrize("n", [-1, 0, 1.5])
def test_a_number_of_inputs_is_a_count(made, name, n):
    with pytest.raises((TypeError, ValueError), match=f"{name} must be an integer >= 1"):
        made(n)


def test_an_association_needs_classes():
    with pytest.raises(ValueError, match="n_classes must be an integer >= 1, got 0"):
        Association(4, 64, 0)
