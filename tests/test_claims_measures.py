"""What the claims measure, on data whose answer is known; verdicts on rows that are made up."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bioneuro import BioClassifier, analysis, datasets, natural
from bioneuro.baselines import BackpropMLP, layer_densities
from bioneuro.claims import CLAIMS, sparsity
from bioneuro.claims.base import NOT_SHOWN, STRONG, Images
from bioneuro.claims.lognormal import STARTS, bare_noise, describe, size_of_change
from bioneuro.claims.networks import (
    AdditiveHebbAssociation,
    AdditiveNoiseAssociation,
    BriefMapClassifier,
    StartedMLP,
    WatchedClassifier,
    class_balanced,
    layer_density,
    magnitude_pruned,
)
from bioneuro.claims.representations import (
    CODING,
    ICA_LEAVES,
    LEAVES,
    MLP,
    NOISE,
    OURS,
    SAMPLES,
    UNLEARNED,
    InnerMap,
    describe_fields,
    independent_components,
    on_minus_off,
    scene_map,
    scene_noise,
    spread,
)
from bioneuro.claims.resources import RIVALS, allocated, in_use, long_tailed
from bioneuro.claims.sparsity import DIP, modes, plateau
from bioneuro.layers import Association, Retina

rng = np.random.default_rng


def frame_of(rows):
    columns = ["condition", "measure", "x", "seed", "value", "note"]
    return pd.DataFrame([row if len(row) == 6 else (*row, "") for row in rows], columns=columns)


@pytest.fixture(scope="module")
def images():
    data = datasets.load("digits")
    return Images(data.X_train[:200], data.y_train[:200])


@pytest.fixture(scope="module")
def network(images):
    return BioClassifier(n_cells=60, readout="votes", random_state=0).fit(*images)


# --- C1 ----------------------------------------------------------------------------------------------------


def test_plateau_is_found_where_density_stays():
    theta = np.geomspace(0.002, 0.2, 9)
    assert plateau(theta, theta**-0.5 * 0.04) == 0
    assert plateau(theta, np.full(9, 0.3)) == pytest.approx(2)
    assert plateau(theta, np.r_[0.6, 0.4, 0.2, 0.2, 0.2, 0.1, 0.05, 0.02, 0.01]) == pytest.approx(0.5)
    assert plateau(theta, np.full(9, 0.99)) == 0, "where nothing is pruned yet a flat density says nothing"


def test_modes_tell_two_from_a_skewed_one():
    apart = modes(np.r_[rng(0).normal(-6, 0.5, 3000), rng(1).normal(0, 0.5, 7000)])
    assert apart.dip < 0.1 and apart.share == pytest.approx(0.3, abs=0.02)
    assert apart.centre == pytest.approx(-6, abs=0.1)
    skewed = modes(np.log(rng(0).exponential(size=10_000)))
    assert skewed.bic_gain > 0, "two components describe it better"
    assert skewed.dip > DIP, "but it has one mode"


def test_pruned_perceptron_keeps_its_largest_weights(images):
    mlp = BackpropMLP((30,), n_epochs=5, random_state=0).fit(*images)
    pruned = magnitude_pruned(mlp, 0.2, images, n_epochs=0)
    shares = layer_densities((64, 30, 10), 0.2)
    for (name, W), share in zip(mlp.weights().items(), shares, strict=True):
        kept = pruned.weights()[name]
        assert kept.nnz == round(share * W.nnz)
        assert np.array_equal(np.sort(np.abs(kept.data)), np.sort(np.abs(W.data))[-kept.nnz :])
    tuned = magnitude_pruned(mlp, 0.2, images, n_epochs=5)
    assert tuned.pathways_[0].nnz == pruned.pathways_[0].nnz
    assert tuned.score(*images) > pruned.score(*images)
    assert mlp.pathways_[0].density == 1


def test_watched_classifier_learns_as_ever_and_counts(images, network):
    parameters = dict(n_cells=60, n_epochs=10, readout="votes", random_state=0, encoder=network.encoder_)
    watched = WatchedClassifier(**parameters).fit(*images)
    plain = BioClassifier(**parameters).fit(*images)
    assert np.array_equal(watched.weights()["association"].data, plain.weights()["association"].data)
    step, density, *_ = watched.network_.association.rounds[-1]
    assert step == watched.network_.association.step
    assert density == watched.network_.association.synapses.density
    weights = [weight for *_, weight in watched.network_.association.rounds if np.isfinite(weight)]
    assert weights and np.allclose(weights, 2 * watched.theta, rtol=1e-3), "newborns start at twice the threshold"


def sparsity_rows(density, modes_apart, features_apart, loss=0.0):
    rows = []
    for seed in range(3):
        jitter = 1e-4 * seed
        rows += [("dense", m, 0.0, seed, 0.98 + jitter) for m in ("validation accuracy", "accuracy delta")]
        for theta, d in zip(np.geomspace(0.002, 0.2, 9), density, strict=True):
            for condition in ("growth", "no growth"):
                rows += [(condition, "density", theta, seed, d + jitter)]
                rows += [(condition, "density of all layers", theta, seed, d + jitter)]
                rows += [(condition, "synapses", theta, seed, 1000 * d)]
            rows += [("growth", m, theta, seed, 0.98 - loss) for m in ("validation accuracy", "accuracy delta")]
            rows += [("growth", "born a step and cell", theta, seed, 0.1)]
            rows += [("growth", "weight at birth, of the strongest", theta, seed, 2 * theta)]
        for condition, apart in (("weights", modes_apart), ("features", features_apart)):
            for measure, value in (("dip", 0.2 if apart else 1.0), ("share", 0.5), ("centre", -5.0)):
                rows.append((condition, f"mode {measure}", np.nan, seed, value))
        rows += [("MLP", "synapses", np.nan, seed, 500), ("MLP", "accuracy", np.nan, seed, 0.98)]
        for place, rival in enumerate(sparsity.RIVALS):
            rows += [(rival, "accuracy", d, seed, 0.97 + np.log10(d) / 100 - place / 100) for d in (0.01, 0.1, 1)]
        rows += [
            ("training, map", "density", 1.0, seed, 1.0),
            ("training, map", "density above threshold", 1.0, seed, 0.4),
        ]
        rows += [("training, association", "density", x, seed, 1 - 0.8 * x) for x in (0.5, 1.0)]
    return frame_of(rows)


SLIDING = np.geomspace(0.8, 0.08, 9)
RESTING = np.r_[0.5, 0.3, 0.1, 0.1, 0.1, 0.1, 0.09, 0.08, 0.07]


@pytest.mark.parametrize(
    ("rows", "form", "passed"),
    [
        (sparsity_rows(SLIDING, False, False), NOT_SHOWN, False),
        (sparsity_rows(RESTING, False, False), STRONG, True),
        (sparsity_rows(SLIDING, True, False), STRONG, True),
        (sparsity_rows(SLIDING, True, True), "weak", True),
        (sparsity_rows(RESTING, False, False, loss=0.02), STRONG, False),
        (sparsity_rows(3 * RESTING[3:4].repeat(9), False, False), STRONG, False),
    ],
    ids=["threshold decides", "plateau", "silent mode", "silent inputs", "costs accuracy", "not sparse enough"],
)
def test_sparsity_verdict(rows, form, passed):
    verdict = CLAIMS["C1"].verdict(rows)
    assert verdict.form.startswith(form) and verdict.passed == passed


def test_sparsity_compares_with_rivals_at_its_own_density():
    note = CLAIMS["C1"].verdict(sparsity_rows(np.full(9, 10**-0.5), False, False)).note
    assert "all layers together, 0.316 (not of the same number of synapses: ours 316, theirs 158)" in note
    assert "MLP pruned 96.5 % (-1.5 against the dense one), ours +1.5 points" in note, (
        "half-way between 0.1 and 1 on the logarithmic axis"
    )
    assert "MLP RigL 93.5 % (-4.5 against the dense one), ours +4.5 points" in note
    assert "theirs end at 0.01 and 1" in CLAIMS["C1"].verdict(sparsity_rows(np.full(9, 1e-3), False, False)).note


def test_sparsity_names_the_density_of_each_layer():
    note = CLAIMS["C1"].verdict(sparsity_rows(RESTING, False, False)).note
    assert "map 1.000 (0.400 not below the threshold), association 0.200." in note


def test_density_of_a_layer():
    W = sparse.csr_array(np.array([[1.0, 0.05, -0.2, 0], [0, -10, 0.9, 1.0]]))
    assert layer_density(W, 0.1) == (6 / 8, 4 / 8)
    assert layer_density(W, 0.0) == (6 / 8, 6 / 8)


def test_brief_map_learns_as_the_whole_one_does(images):
    whole = BioClassifier(random_state=0).fit_features(images.X).encoder_.columns
    brief = BriefMapClassifier(random_state=0)
    seen = []
    for done, name, density in brief.over_map_passes(images.X):
        columns = brief.encoder_.columns
        seen.append((done, columns.step))
        assert name == "map" and density == layer_density(columns.synapses.to_scipy(), brief.theta)
    assert seen == [(k / 3, pytest.approx(k * whole.step / 3)) for k in range(4)]
    assert np.array_equal(columns.synapses.weights, whole.synapses.weights)
    assert not list(BriefMapClassifier(image_shape=None).over_map_passes(images.X)), "plain vectors have no map"


def test_watched_classifier_notes_each_pass_of_the_readout(images, network):
    parameters = dict(n_cells=30, n_epochs=1, readout_epochs=2, random_state=0, encoder=network.encoder_)
    watched = WatchedClassifier(**parameters).fit(*images)
    names = ["readout_excitatory", "readout_inhibitory"]
    assert [(done, name) for done, name, _ in watched.passes_] == [(x, name) for x in (0, 0.5, 1) for name in names]
    last = {name: density for done, name, density in watched.passes_ if done == 1}
    assert last == {name: layer_density(watched.weights()[name], watched.theta) for name in names}


# --- C2 ----------------------------------------------------------------------------------------------------


def described(W, theta=0.0):
    return {found.measure: found for found in describe("it", sparse.csr_array(W), theta, 0, n_cells=50)}


def test_describe_names_the_law_that_the_weights_were_drawn_from():
    lognormal = described(rng(0).lognormal(0, 0.9, (50, 200)))
    assert lognormal["AIC behind best"].note == "lognormal" and lognormal["Vuong statistic"].value > 2
    assert lognormal["fitted sigma"].value == pytest.approx(0.9, abs=0.05)
    gamma = described(rng(0).gamma(0.7, size=(50, 200)))
    assert gamma["AIC behind best"].note == "gamma" and gamma["log-likelihood ratio"].value < 0


def test_describe_knows_the_cut():
    W = rng(0).exponential(size=(50, 400))
    W[W < 0.05 * W.max(axis=1, keepdims=True)] = 0
    assert described(W, theta=0.05)["log-likelihood ratio"].value < 0, "a cut exponential is no lognormal"


def test_noise_on_constant_input_is_lognormal_and_nothing_without_noise():
    off, on = (described(bare_noise(sigma, seed=0)) for sigma in (0.0, 0.4))
    assert set(off) == {"sd of log w"} and off["sd of log w"].value < 1e-6
    assert on["AIC behind best"].value < 10 and on["fitted sigma"].value == pytest.approx(0.4, rel=0.1)


def test_additive_noise_has_the_mean_square_of_the_proportional_one(images, network):
    H = network.transform(images.X)
    T = np.eye(10, dtype=np.float32)[images.y]
    found = {}
    for kind in (Association, AdditiveNoiseAssociation):
        quiet, loud = (kind(5, H.shape[1], 10, theta=0, sigma=sigma, seed=0) for sigma in (0.0, 0.05))
        for layer in (quiet, loud):
            layer.recruitment = 0.0
            layer.rate[:] = 1 / 5
            layer.learn(H, T)
        a, b = (layer.synapses.weights.astype(float) for layer in (quiet, loud))
        found[kind] = np.mean((a - b) ** 2)
    assert found[AdditiveNoiseAssociation] == pytest.approx(found[Association], rel=0.15)
    assert (b >= 0).all()


def test_change_in_proportion_to_size_has_slope_one(network, images, monkeypatch):
    def scaled(self, H, T):
        self.synapses.add((0.01 * self.synapses.weights).astype(self.synapses.dtype))
        return type("Step", (), {"alpha": np.ones(self.n_cells)})

    monkeypatch.setattr(Association, "learn", scaled)
    assert size_of_change(network, images) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("start", STARTS)
def test_perceptron_starts_from_the_law_with_the_scale_of_he(start):
    mlp = StartedMLP((100,), n_epochs=1, learning_rate=1e-12, weight_decay=0, random_state=0)
    mlp.init = start
    W = mlp.fit(rng(0).random((20, 300)), np.arange(20) % 2).weights()["hidden_1"].data
    assert np.mean(W**2) == pytest.approx(2 / 300, rel=0.01)
    assert abs(np.mean(W > 0) - 0.5) < 0.02
    if start == "constant":
        assert np.ptp(np.abs(W)) < 1e-6
    else:
        best = analysis.fit_weight_distribution(np.abs(W))["distribution"][0]
        assert best == {"half_normal": "half-normal", "lognormal": "lognormal"}.get(start, best)


def test_classifier_starts_from_the_law_that_it_is_given(images):
    constant, spread = (
        Association(4, 50, 3, init=init, theta=0, seed=0).synapses.weights for init in ("constant", "lognormal")
    )
    assert np.ptp(constant) < 1e-6 and analysis.log_moments(spread).sd == pytest.approx(0.9355, rel=0.2)
    learned = [BioClassifier(init=init, random_state=0).fit_features(images.X) for init in ("constant", "lognormal")]
    maps = [model.encoder_.columns.synapses.to_scipy().toarray() for model in learned]
    assert np.allclose(maps[0], maps[0][0], atol=1e-5), "equal columns have nothing that sets them apart"
    assert np.ptp(maps[1], axis=0).max() > 0.1


def test_additive_hebb_goes_to_the_target_of_the_log_domain():
    """One cell for all samples, so its mean input stays: both rules must end at the same power of it."""
    U = rng(0).gamma(0.5, size=(40, 12))
    U /= np.linalg.norm(U, axis=1, keepdims=True)
    T = np.tile([1.0, 0.0], (40, 1))
    ends = []
    for kind in (AdditiveHebbAssociation, Association):
        layer = kind(1, 12, 2, exponent=3.0, floor=0.05, recruitment=0, kappa=0, dtype=float)
        for _ in range(30):
            layer.learn(U, T)
        ends.append(layer.synapses.weights)
    target = (U.mean(axis=0) + 0.05) ** 3
    np.testing.assert_allclose(ends, [target / np.linalg.norm(target)] * 2, rtol=1e-9)


def lognormal_rows(
    off,
    on,
    accuracy_on=0.98,
    maps="lognormal",
    superlinear=(-0.1, 0.9, 0.1, 0.02),
    accuracy_superlinear=0.98,
    additive=(-0.1, 0.9, 0.1, 0.02),
):
    """Ratio, sigma, skewness and KS by each rule; everything else is a lognormal without interest."""
    rows = []
    for seed in range(4):
        rules = {"noise off": off, "noise on": on, "superlinear": superlinear}
        conditions = {f"{start}, {rule}": which for start in STARTS for rule, which in rules.items()}
        conditions |= dict.fromkeys(
            (
                "noise off, nothing cut",
                "noise on, nothing cut",
                "additive noise",
                "constant input, noise on",
            ),
            off,
        )
        conditions["additive Hebb, superlinear"] = additive
        conditions |= {f"{layer}, {start}": (0.1, 1.0, 0.0, 0.01) for layer in ("map", "MLP") for start in STARTS}
        for condition, (ratio, sigma, skewness, ks) in conditions.items():
            law = "lognormal" if ratio > 0 else "gamma"
            law = maps if condition.startswith("map") else law
            measures = {"log-likelihood ratio": ratio + 1e-3 * seed, "fitted sigma": sigma}
            measures |= {"skewness of log w": skewness, "KS distance": ks, "AIC behind best": 0.0}
            accuracies = {"noise on": accuracy_on, "superlinear": accuracy_superlinear}
            measures["accuracy"] = accuracies.get(condition.split(", ")[-1], 0.98)
            rows += [(condition, measure, np.nan, seed, value, law) for measure, value in measures.items()]
        rows += [("noise", "share of Var(log w)", np.nan, seed, 0.5)]
        rows += [(f"change, {rule}", "slope of log|dw| on log w", np.nan, seed, 1.0) for rule in CHANGES]
    return frame_of(rows)


CHANGES = ("default", "superlinear")
GOOD, GAMMA = (0.1, 0.9, 0.1, 0.02), (-0.1, 0.9, 0.1, 0.02)


@pytest.mark.parametrize(
    ("rows", "form", "passed"),
    [
        (lognormal_rows(GOOD, GOOD), STRONG, True),
        (lognormal_rows(GAMMA, GOOD), "weak: follows from noise in proportion to size", True),
        (lognormal_rows(GAMMA, GAMMA), NOT_SHOWN, False),
        (lognormal_rows(GAMMA, GAMMA, superlinear=GOOD), STRONG, True),
        (
            lognormal_rows(GAMMA, GAMMA, superlinear=GOOD, additive=GOOD),
            "weak: follows from a power of the mean input, whether it is learned in w or in log w",
            True,
        ),
        (lognormal_rows(GOOD, GOOD, maps="gamma"), "strong, but not in the map", False),
        (lognormal_rows(GAMMA, GAMMA, superlinear=GOOD, accuracy_superlinear=0.97), NOT_SHOWN, False),
        (lognormal_rows(GAMMA, GOOD, accuracy_on=0.95), NOT_SHOWN, False),
        (lognormal_rows((0.1, 0.3, 0.1, 0.02), GAMMA), NOT_SHOWN, False),
        (lognormal_rows((0.1, 0.9, 0.8, 0.02), GAMMA), NOT_SHOWN, False),
        (lognormal_rows((0.1, 0.9, 0.1, 0.2), GAMMA), NOT_SHOWN, False),
    ],
    ids=[
        "strong",
        "weak",
        "gamma",
        "strong, superlinear",
        "superlinear, but additive as well",
        "not the map",
        "superlinear at a price",
        "costs accuracy",
        "narrow",
        "skewed",
        "poor fit",
    ],
)
def test_lognormal_verdict(rows, form, passed):
    verdict = CLAIMS["C2"].verdict(rows)
    assert (verdict.form, verdict.passed) == (form, passed)


# --- C6 ----------------------------------------------------------------------------------------------------


def test_fields_are_on_minus_off_and_rows_keep_their_order():
    W = sparse.csr_array(np.arange(16.0).reshape(2, 8))
    assert np.array_equal(on_minus_off(W, (2, 2)), np.full((2, 2, 2), -4.0))


def test_spread_of_known_fields():
    point = np.zeros((1, 10, 10))
    point[0, 3, 4] = 2
    assert spread(point) == pytest.approx([0.01])
    assert spread(-np.ones((1, 10, 10))) == pytest.approx([1])
    assert spread(rng(0).standard_normal((50, 30, 30))).mean() == pytest.approx(1 / 3, rel=0.05)


def test_oriented_fields_are_told_from_blobs_and_noise():
    y, x = np.indices((9, 9)) - 4.0
    envelope = np.exp(-(x**2 + y**2) / 8)
    fields = np.stack([envelope * np.cos(1.3 * (x * np.cos(a) + y * np.sin(a))) for a in (0.0, 0.5, 1.0)])
    conditions = {"gabors": fields, "blobs": np.stack([envelope] * 3), "noise": rng(0).standard_normal((3, 9, 9))}
    found = {
        condition: {row.measure: row.value for row in describe_fields(condition, kind, 3, seed=0)}
        for condition, kind in conditions.items()
    }
    assert found["gabors"]["share oriented"] == 1 and found["gabors"]["Gabor R2"] > 0.999
    assert found["gabors"]["share oriented, pixels shuffled"] == 0
    assert found["blobs"]["share oriented"] == 0 and found["blobs"]["Gabor R2"] > 0.999
    assert found["noise"]["share oriented"] == 0 and found["noise"]["Gabor R2"] < 0.6


def test_inner_map_never_sees_the_padding():
    images = np.ones((3, 100), np.float32)  # contrast only where the padding begins
    images[0, 44:46] = 0
    inner = InnerMap((10, 10), n_columns=3, retina=Retina(3), random_state=0)
    U = inner.sample_patches(images, 10_000, 0.2, rng(0))
    assert len(U) == 12, "two dark pixels lie in twelve patches of 3 x 3, all inside"


def test_noise_is_normal_behind_the_retina_and_independent_components_tell_it_from_scenes():
    scenes = natural.dead_leaves(60, random_state=0)
    noise = scene_noise(scenes, seed=0)
    behind = scene_map(0).retina.response(noise)
    assert behind.mean() == pytest.approx(0.5, abs=0.01) and behind.std() == pytest.approx(0.2, abs=0.01)
    index = {
        name: np.median(analysis.orientation_index(independent_components(X, 24, seed=0)))
        for name, X in (("scenes", scenes), ("noise", noise))
    }
    assert index["scenes"] > index["noise"] + 0.1


def representation_rows(natural, noise, sparseness=0.9, correlation=0.05, samples=0.5):
    rows = []
    for seed in range(4):
        jitter = 1e-3 * seed
        base = {"n cells": 10, "active share": 0.1, "selectivity": 0.9, "selectivity shuffled": 0.5}
        base |= {"correlation shuffled": 0.02, "dimensionality": 9.0}
        for condition in ("inputs", MLP, SAMPLES, OURS):
            ours = condition == OURS
            values = base | dict.fromkeys(CODING, 0.5 + jitter**2)
            if condition == SAMPLES:
                values["lifetime sparseness"] = samples
            if ours:
                values |= {"population sparseness": sparseness + jitter, "lifetime sparseness": 0.9 + jitter}
                values |= {"selectivity above chance": 0.8 + jitter, "correlation": correlation + jitter}
            rows += [(condition, measure, np.nan, seed, value) for measure, value in values.items()]
        rows += [(condition, "accuracy", np.nan, seed, 0.9) for condition in (OURS, MLP)]
        for condition, share in ((LEAVES, natural), (NOISE, noise), (UNLEARNED, 0.0), (ICA_LEAVES, 0.6)):
            values = dict.fromkeys(("Gabor R2", "orientation index", "share oriented"), share * (1 + jitter))
            values |= {f"{measure}, pixels shuffled": 0.1 for measure in list(values)}
            values |= dict.fromkeys(("nx", "ny", "aspect", "frequency", "spread"), 0.4)
            rows += [(condition, measure, np.nan, seed, value) for measure, value in values.items()]
    return frame_of(rows)


@pytest.mark.parametrize(
    ("rows", "form"),
    [
        (representation_rows(0.8, 0.1), STRONG),
        (representation_rows(0.8, 0.8), "weak: follows from the spectrum of the scenes"),
        (representation_rows(0.8, 0.1, samples=0.9), "weak: follows from competition between stored images"),
        (representation_rows(0.2, 0.1), NOT_SHOWN),
        (representation_rows(0.0, 0.0), NOT_SHOWN),
        (representation_rows(0.8, 0.1, sparseness=0.4), NOT_SHOWN),
        (representation_rows(0.8, 0.1, correlation=0.6), NOT_SHOWN),
    ],
    ids=["all hold", "as on noise", "as samples", "few oriented", "none oriented", "dense", "correlated"],
)
def test_representation_verdict(rows, form):
    verdict = CLAIMS["C6"].verdict(rows)
    assert verdict.form.startswith(form) and verdict.passed == (form != NOT_SHOWN)


# --- C7 ----------------------------------------------------------------------------------------------------


def task_rows(label, stimulus):
    rows = []
    for seed in range(4):
        for kappa, i, h in zip((0.0, 0.1, 0.2, 0.4), label, stimulus, strict=True):
            measures = {"I(label; Z)": i * (1 + 0.01 * seed), "H(Z | label)": h - 0.01 * seed * kappa}
            measures |= {"correction of I(label; Z)": 0.1, "accuracy delta": 0.9, "accuracy votes": 0.9}
            rows += [("all classes", measure, kappa, seed, value) for measure, value in measures.items()]
            rows += [("new classes", "few-shot accuracy", kappa, seed, 0.8)]
            rows += [("shuffled labels", "I(label; Z)", kappa, seed, 0.01)]
        for condition in ("training", "training, no feedback"):
            rows += [(condition, measure, 1.0, seed, 2.0) for measure in ("I(label; Z)", "H(Z | label)")]
    return frame_of(rows)


@pytest.mark.parametrize(
    ("rows", "form", "passed"),
    [
        (task_rows((1, 1.5, 2, 3), (4, 3, 2, 1)), STRONG, True),
        (task_rows((1, 2, 1.5, 3), (4, 3, 2, 1)), STRONG, False),
        (task_rows((1, 1.5, 2, 3), (1, 2, 3, 4)), NOT_SHOWN, False),
        (task_rows((1, 1, 1, 1), (4, 3, 2, 1)), NOT_SHOWN, False),
    ],
    ids=["both move", "a step back", "wrong way", "label does not move"],
)
def test_task_verdict(rows, form, passed):
    verdict = CLAIMS["C7"].verdict(rows)
    assert (verdict.form, verdict.passed) == (form, passed)


# --- C9 ----------------------------------------------------------------------------------------------------


def test_long_tail_has_the_ratio_that_was_asked_for():
    images = Images(rng(0).random((5000, 3)), np.arange(5000) % 10)
    tail, order = long_tailed(images, 100, seed=0)
    counts = np.bincount(tail.y)[order]
    assert counts[0] == 500 and counts[-1] == 5 and (np.diff(counts) < 0).all()
    even, _ = long_tailed(images, 1, seed=0)
    assert (np.bincount(even.y) == 500).all()


def test_class_balanced_repeats_the_rare():
    images = Images(np.arange(12.0)[:, None], np.repeat([0, 1], [10, 2]))
    balanced = class_balanced(images, seed=0)
    assert (np.bincount(balanced.y) == 10).all()
    assert set(balanced.X.ravel()) == set(images.X.ravel())


def test_cells_are_counted(network, images):
    assert allocated(network).sum() == 60
    assert 0.5 < in_use(network, images.X) <= 1
    assert in_use(network, images.X[:6]) <= 6 / 60


def resource_rows(slope, hard, ours, used):
    rows = []
    for seed in range(4):
        jitter = 0.01 * seed
        rows.append(("bioneuro", "rank correlation of cells with difficulty", 1.0, seed, hard + jitter))
        for ratio in (1.0, 10.0, 100.0):
            rows.append(("bioneuro", "cells in use", ratio, seed, used))
            if ratio > 1:
                rows.append(("bioneuro", "slope of log cells on log frequency", ratio, seed, slope + jitter))
            for part in ("all", "rare"):
                measure = f"accuracy, {part} classes"
                rows += [(f"bioneuro {readout}", measure, ratio, seed, ours + jitter) for readout in ("delta", "votes")]
                rows += [(rival, measure, ratio, seed, 0.5) for rival in RIVALS]
    return frame_of(rows)


@pytest.mark.parametrize(
    ("rows", "form", "passed"),
    [
        (resource_rows(1.0, 0.5, 0.7, 1.0), STRONG, True),
        (resource_rows(0.0, 0.5, 0.7, 1.0), NOT_SHOWN, False),
        (resource_rows(1.0, -0.5, 0.7, 1.0), NOT_SHOWN, False),
        (resource_rows(1.0, 0.5, 0.4, 1.0), STRONG, False),
        (resource_rows(1.0, 0.5, 0.7, 0.9), STRONG, False),
    ],
    ids=["all hold", "not frequent", "not difficult", "rivals better", "silent cells"],
)
def test_resource_verdict(rows, form, passed):
    verdict = CLAIMS["C9"].verdict(rows)
    assert (verdict.form, verdict.passed) == (form, passed)
