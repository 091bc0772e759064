"""Local maps: structure, locality, equality with what is tied or apart, gradients, learning, errors."""

import numpy as np
import pytest
from scipy.special import log_softmax

import bioneuro as bn
from bioneuro import BioClassifier, connectivity
from bioneuro.layers import CompetitiveLayer, FeatureMap, Hypercolumns, LocalMap, Retina
from bioneuro.rules import LogRelaxation

SMALL = {
    "n_cells": 100,
    "mixing": 400,
    "schedule__association_epochs": 2,
    "schedule__readout_epochs": 5,
    "encoder__n_columns": 12,
    "random_state": 0,
}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def local_map(shape=(8, 8), **options):
    defaults = {"n_columns": 5, "retina": Retina(3, 2.0, 0.5), "random_state": 0, "dtype": np.float64}
    return LocalMap(shape, **{**defaults, **options})


def hypercolumns(n_groups=3, n_rivals=4, n_pre=6, seed=0, **options):
    """Each group on ``n_pre`` inputs of its own."""
    synapses = connectivity.local_receptive_fields(
        (n_groups, 1, n_pre), 1, 1, n_rivals, sign="E", random_state=seed, dtype=np.float64
    )
    synapses.normalize_rows()
    return Hypercolumns(synapses, n_rivals, **{"beta": 20.0, **options})


# --- the pathway ---


@pytest.mark.parametrize(("shape", "stride", "n_positions"), [((8, 8), 1, 64), ((9, 6), 2, 15), ((7, 7, 3), 3, 9)])
def test_the_pathway_is_a_block_for_each_position(shape, stride, n_positions):
    encoder = local_map(shape, stride=stride)
    assert encoder.n_positions == n_positions
    W = encoder.columns.synapses.to_scipy()
    assert W.shape == (n_positions * 5, n_positions * encoder.n_patch)
    blocks = np.kron(np.eye(n_positions), np.ones((5, encoder.n_patch)))
    np.testing.assert_array_equal(W.toarray() > 0, blocks > 0)


def test_a_cell_sees_its_patch_only(rng):
    """What changes elsewhere changes its features by the common norm alone."""
    encoder = local_map((9, 9), stride=3, grid=None)  # 3 x 3 positions whose patches of 3 x 3 do not overlap
    X = rng.uniform(0.1, 0.9, (1, 81))
    other = X.copy().reshape(9, 9)
    other[:3, :3] = rng.uniform(0.1, 0.9, (3, 3))
    ratio = (encoder.encode(other.reshape(1, -1)) / encoder.encode(X)).reshape(9, 5)
    np.testing.assert_allclose(ratio[1:], ratio[1, 0], rtol=1e-10)
    assert np.ptp(ratio[0]) > 1e-3


def test_receptive_fields_are_the_rows_in_the_coordinates_of_the_patch(digits):
    encoder = local_map(stride=2).learn(digits.X_train[:200], random_state=0)
    fields = encoder.receptive_fields()
    assert fields.shape == (16 * 5, 18)
    np.testing.assert_array_equal(encoder.receptive_fields(7), fields[35:40])
    np.testing.assert_array_equal(fields.ravel(), encoder.columns.synapses.weights)
    axes = bn.plot.receptive_fields(encoder.receptive_fields(7), (3, 3))
    assert "5 cells" in axes.get_title(loc="left")


# --- what it equals ---


def test_copies_of_tied_columns_are_the_feature_map(digits):
    """Started from tied columns and shown nothing more, it encodes as the map that it copied."""
    X = digits.X_train[:300].astype(np.float64)
    local = local_map().learn(X, n_epochs=0, random_state=1)
    fields = local.receptive_fields().reshape(64, 5, 18)
    np.testing.assert_allclose(fields, np.broadcast_to(fields[0], fields.shape), rtol=1e-10)
    tied = FeatureMap((8, 8), n_columns=5, retina=Retina(3, 2.0, 0.5), random_state=0, dtype=np.float64)
    tied.columns.synapses.add(fields[0].ravel() - tied.columns.synapses.weights)
    np.testing.assert_allclose(local.encode(X), tied.encode(X), rtol=1e-10)


def test_groups_learn_as_layers_apart(rng):
    groups = hypercolumns(homeostasis=0.7, rule=LogRelaxation(eta=0.02))
    W = groups.synapses.to_scipy().toarray()
    layers = []
    for g in range(3):
        synapses = connectivity.dense(4, 6, sign="E", dtype=np.float64)
        synapses.add(W[4 * g : 4 * g + 4, 6 * g : 6 * g + 6].ravel() - synapses.weights)
        layers.append(CompetitiveLayer(synapses, beta=20.0, homeostasis=0.7, rule=LogRelaxation(eta=0.02)))
    for _ in range(10):
        U = rng.gamma(0.5, size=(30, 18))
        groups.learn(U)
        for g, layer in enumerate(layers):
            layer.learn(np.ascontiguousarray(U[:, 6 * g : 6 * g + 6]))
    np.testing.assert_allclose(groups.synapses.weights, np.concatenate([x.synapses.weights for x in layers]), rtol=1e-9)
    np.testing.assert_allclose(groups.rate, np.concatenate([layer.rate for layer in layers]), rtol=1e-9)
    np.testing.assert_allclose(groups.respond(U).reshape(30, 3, 4).sum(axis=2), 1)


def test_a_blind_group_stays_as_it_is(rng):
    """As if the samples that it does not see were not there; for the others nothing changes."""
    U = rng.gamma(0.5, size=(40, 18))
    seen = np.ones((40, 3), bool)
    seen[:, 1] = False
    seen[10:, 2] = False
    blind, whole, part = hypercolumns(), hypercolumns(), hypercolumns()
    before = blind.synapses.to_scipy().toarray()
    blind.learn(U, seen=seen)
    whole.learn(U)
    part.learn(U[:10])
    after = blind.synapses.to_scipy().toarray()
    np.testing.assert_array_equal(after[4:8], before[4:8])
    np.testing.assert_array_equal(blind.rate[4:8], 1 / 4)
    np.testing.assert_array_equal(blind.age[4:8], 0)
    np.testing.assert_allclose(after[:4], whole.synapses.to_scipy().toarray()[:4], rtol=1e-12)
    np.testing.assert_allclose(after[8:], part.synapses.to_scipy().toarray()[8:], rtol=1e-12)
    np.testing.assert_allclose(blind.rate[8:], part.rate[8:], rtol=1e-12)


def test_top_down_drive_decides_between_equals(rng):
    groups = hypercolumns()
    favoured = np.zeros((20, 12))
    favoured[:, [0, 5, 10]] = 2.0
    rates = groups.learn(rng.gamma(0.5, size=(20, 18)), top_down=favoured).rates
    assert (rates[:, [0, 5, 10]] > 0.9).all()


# --- gradients ---


@pytest.mark.parametrize(
    ("shape", "stride", "grid"), [((8, 8), 1, 4), ((9, 6), 2, 2), ((7, 7, 3), 3, None), ((10, 7), 4, 1)]
)
@pytest.mark.parametrize("space", ["image", "response"])
def test_gradient(rng, shape, stride, grid, space):
    encoder = local_map(shape, stride=stride, grid=grid)
    X = rng.uniform(0.1, 0.9, (4, np.prod(shape)))
    dH, D = rng.normal(size=(4, encoder.n_features)), rng.normal(size=X.shape)
    to_image = encoder.retina.response_inverse if space == "response" else lambda Z: Z
    Z, e = encoder.retina.response(X) if space == "response" else X, 1e-6
    up, down = ((encoder.encode(to_image(Z + s * e * D)) * dH).sum() for s in (1, -1))
    assert (encoder.encode_grad(X, dH, space=space) * D).sum() == pytest.approx((up - down) / (2 * e), rel=1e-5)


def test_input_gradient_of_the_classifier(digits):
    model = BioClassifier(**SMALL, encoder__feature_map="local", dtype="float64").fit(
        digits.X_train[:300], digits.y_train[:300]
    )
    rng = np.random.default_rng(1)
    X, y, e = rng.uniform(0.2, 0.9, (5, 64)), digits.y_test[:5], 1e-6
    D = rng.normal(size=X.shape)
    up, down = (-log_softmax(model.decision_function(X + s * e * D), axis=1)[range(5), y].sum() for s in (1, -1))
    assert (model.input_gradient(X, y) * D).sum() == pytest.approx((up - down) / (2 * e), rel=1e-4)


# --- learning ---


def test_features_are_rates_of_unit_norm_and_do_not_depend_on_the_batch(rng):
    encoder = LocalMap((28, 28), n_columns=4, stride=3, random_state=0)
    X = rng.uniform(size=(130, 784)).astype(np.float32)
    H = encoder.encode(X)
    assert H.shape == (130, encoder.n_features) and H.min() >= 0
    np.testing.assert_allclose(np.linalg.norm(H, axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(H[31:32], encoder.encode(X[31:32]))


@pytest.mark.parametrize("start", ["tied", "random"])
def test_positions_diverge_and_what_is_learned_stays_excitatory_and_scaled(digits, start):
    encoder = local_map(stride=2, start=start).learn(digits.X_train[:300], random_state=0)
    W = encoder.columns.synapses.to_scipy()
    assert (W.data > 0).all()
    np.testing.assert_allclose((W * W).sum(axis=1), 1)
    fields = encoder.receptive_fields().reshape(16, 5, 18)
    assert np.linalg.norm(fields[5] - fields[6], axis=1).min() > 1e-3


def test_nearly_every_cell_wins_where_there_is_contrast(rng):
    encoder = local_map(n_columns=12, stride=2, start="random", dtype=np.float32)
    X = rng.uniform(size=(600, 64)).astype(np.float32)
    encoder.learn(X, n_epochs=3, random_state=0)
    U = encoder.retina.patches(encoder.retina.response(X).reshape(-1, 8, 8, 1))[0]
    U = U.reshape(600, 8, 8, 18)[:, ::2, ::2].reshape(600, -1)
    winners = encoder.columns.respond(np.ascontiguousarray(U)).reshape(600, 16, 12).argmax(axis=2)
    assert np.mean([len(np.unique(winners[:, g])) / 12 for g in range(16)]) >= 0.98


def test_cells_that_never_see_contrast_stay_as_they_started(rng):
    encoder = local_map((12, 12), start="random")
    before = encoder.receptive_fields(0).copy()
    X = np.zeros((50, 12, 12))
    X[:, 6:, 6:] = rng.uniform(size=(50, 6, 6))
    encoder.learn(X.reshape(50, -1), random_state=0)
    np.testing.assert_array_equal(encoder.receptive_fields(0), before)


def test_learning_is_identical_for_any_thread_count(digits):
    one, two, three = (
        local_map(n_threads=n, dtype=np.float32).learn(digits.X_train[:200], random_state=0) for n in (1, 2, 3)
    )
    for other in (two, three):
        np.testing.assert_array_equal(one.columns.synapses.weights, other.columns.synapses.weights)
        np.testing.assert_array_equal(one.encode(digits.X_test[:20]), other.encode(digits.X_test[:20]))


def test_learns_digits(digits):
    model = BioClassifier(**{**SMALL, "n_cells": 500, "schedule__association_epochs": 5}, encoder__feature_map="local")
    model.fit(digits.X_train, digits.y_train)
    assert model.score(digits.X_test, digits.y_test) > 0.95
    W = model.weights()["map"]
    assert W.shape == (64 * 12, 64 * 18) and W.nnz == 64 * 12 * 18
    assert model.transform(digits.X_test).shape == (500, 16 * 12)


# --- bad input, one by one ---


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "stride must be an integer >= 1, got 0"),
        ({"grid": 0}, "grid must be an integer >= 1 or None, got 0"),
        ({"start": "shared"}, r"start must be one of \['random', 'tied'\], got 'shared'"),
        ({"beta": -1.0}, r"beta must be a number in \(0, 1e\+06\], got -1.0"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        local_map(**options)


@pytest.mark.parametrize("position", [-1, 64])
def test_refuses_a_position_off_the_grid(position):
    with pytest.raises(ValueError, match=rf"position must be an integer in \[0, 63\], got {position}"):
        local_map().receptive_fields(position)


@pytest.mark.parametrize("n_rivals", [0, 5])
def test_hypercolumns_refuse_groups_that_do_not_divide_the_cells(n_rivals):
    synapses = connectivity.dense(12, 3, sign="E", dtype=np.float64)
    with pytest.raises(ValueError, match=f"n_rivals must divide the 12 cells, got {n_rivals}"):
        Hypercolumns(synapses, n_rivals, beta=1.0)


def test_hypercolumns_refuse_recruitment():
    with pytest.raises(ValueError, match=r"recruitment must be 0 in hypercolumns, got 0\.1"):
        hypercolumns(recruitment=0.1)


def test_the_classifier_refuses_an_unknown_map(digits):
    with pytest.raises(ValueError, match=r"feature_map must be one of \['local', 'tied'\], got 'shared'"):
        BioClassifier(encoder__feature_map="shared").fit(digits.X_train[:20], digits.y_train[:20])
