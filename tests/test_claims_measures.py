"""What the claims measure, on data whose answer is known; verdicts on rows that are made up."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bioneuro import BioClassifier, analysis, datasets
from bioneuro.baselines import BackpropMLP, layer_densities
from bioneuro.connectivity import Constant, dense
from bioneuro.layers import Association, Retina
from bioneuro.research import natural_images
from bioneuro.research.claims import CLAIMS
from bioneuro.research.claims import emergent_sparsity as sparsity
from bioneuro.research.claims.controls import STORED, Additive, AdditiveNoise, class_balanced, magnitude_pruned
from bioneuro.research.claims.emergent_lognormality import (
    ADDITIVE,
    FORMER_RULE,
    NO_MIXING,
    SAME_SURVIVORS,
    STARTS,
    bare_noise,
    describe,
    on_survivors_of,
    size_of_change,
)
from bioneuro.research.claims.emergent_lognormality import MLP as PERCEPTRON
from bioneuro.research.claims.emergent_sparsity import BLIND, DEFAULT, TURNOVER, UNPRUNED, plateau
from bioneuro.research.claims.plausible_representations import (
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
from bioneuro.research.claims.resource_allocation import RIVALS, allocated, in_use, long_tailed
from bioneuro.research.claims.settings import Images
from bioneuro.research.claims.verdict import NOT_SHOWN, STRONG
from bioneuro.rules import LogCovariance
from bioneuro.rules.log_covariance import standardised

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
    return BioClassifier(n_cells=60, mixing=300, readout="votes", schedule__teaching_epochs=1, random_state=0).fit(
        *images
    )


# --- C1 ----------------------------------------------------------------------------------------------------


def test_plateau_is_found_where_density_stays():
    theta = np.geomspace(0.002, 0.2, 9)
    assert plateau(theta, theta**-0.5 * 0.04) == 0
    assert plateau(theta, np.full(9, 0.3)) == pytest.approx(2)
    assert plateau(theta, np.r_[0.6, 0.4, 0.2, 0.2, 0.2, 0.1, 0.05, 0.02, 0.01]) == pytest.approx(0.5)
    assert plateau(theta, np.full(9, 0.99)) == 0, "where nothing is pruned yet a flat density says nothing"


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


RATES = np.geomspace(0.02, 2, 9)


def sparsity_rows(density, left=0.1, loss=0.0, blind=0.95, readout=0.3):
    """``density`` of the association at each rate; the default network leaves ``left`` and loses ``loss``."""
    rows = []
    for seed in range(3):
        jitter = 1e-4 * seed

        def network(condition, association, accuracy, x=np.nan, rows=rows, seed=seed, jitter=jitter):
            densities = {"map": 1.0, "association": association + jitter, "readout_excitatory": readout}
            rows.extend((condition, f"density of {name}", x, seed, value) for name, value in densities.items())
            rows.append((condition, "density of all layers", x, seed, association + jitter))
            rows.append((condition, "synapses", x, seed, 1000 * association))
            rows.extend((condition, f"accuracy {r}", x, seed, accuracy + jitter**2) for r in ("delta", "votes"))

        network(DEFAULT, left, 0.98 - loss)
        network(BLIND, left, blind + jitter)
        for condition in UNPRUNED:
            network(condition, 1.0, 0.98 + jitter)
        for rate, d in zip(RATES, density, strict=True):
            network(TURNOVER, d, 0.98, rate)
        for stage, part in (("association", "association"), ("readout", "readout_excitatory")):
            rows += [(f"{stage}, {part}", "density", x, seed, 1 - 0.8 * x) for x in (0.0, 0.5, 1.0)]
        rows += [("association", "accuracy votes", x, seed, 0.5 + 0.4 * x) for x in (0.0, 0.5, 1.0)]
        rows += [("MLP", "synapses", np.nan, seed, 500), ("MLP", "accuracy", np.nan, seed, 0.98)]
        for place, rival in enumerate(sparsity.RIVALS):
            rows += [(rival, "accuracy", d, seed, 0.97 + np.log10(d) / 100 - place / 100) for d in (0.01, 0.1, 1)]
    return frame_of(rows)


SLIDING = np.geomspace(0.02, 0.5, 9)
RESTING = np.r_[0.02, 0.05, 0.1, 0.1, 0.1, 0.1, 0.11, 0.3, 0.5]


@pytest.mark.parametrize(
    ("rows", "form", "passed"),
    [
        (sparsity_rows(RESTING), STRONG, True),
        (sparsity_rows(SLIDING), "weak: follows from the rates of births and deaths", True),
        (sparsity_rows(RESTING, blind=0.98), "weak: follows from any deaths", True),
        (sparsity_rows(RESTING, left=0.95), NOT_SHOWN, False),
        (sparsity_rows(RESTING, left=0.3), STRONG, False),
        (sparsity_rows(RESTING, loss=0.01), STRONG, False),
        (sparsity_rows(RESTING, readout=0.8), STRONG, False),
    ],
    ids=["all hold", "rates decide", "blind deaths do", "dense", "not sparse enough", "costly", "readout dense"],
)
def test_sparsity_verdict(rows, form, passed):
    verdict = CLAIMS["C1"].verdict(rows)
    assert verdict.form.startswith(form) and verdict.passed == passed and "nan" not in verdict.note


def test_sparsity_compares_with_rivals_at_its_own_density():
    note = CLAIMS["C1"].verdict(sparsity_rows(RESTING, left=10**-0.5)).note
    assert "all layers that learn, 0.316 (not of the same number of synapses: ours 316, theirs 158)" in note
    assert "MLP pruned 96.5 % (-1.5 against the dense one), ours +1.5 points" in note, (
        "half-way between 0.1 and 1 on the logarithmic axis"
    )
    assert "MLP RigL 93.5 % (-4.5 against the dense one), ours +4.5 points" in note
    assert "theirs end at 0.01 and 1" in CLAIMS["C1"].verdict(sparsity_rows(RESTING, left=1e-3)).note


def test_sparsity_tells_of_each_layer_and_of_training():
    note = CLAIMS["C1"].verdict(sparsity_rows(RESTING)).note
    assert "map 1.000, association 0.100, readout_excitatory 0.300 (goals" in note
    assert "association, association 1.000 - 0.600 - 0.200" in note and "votes 0.500 - 0.700 - 0.900" in note


# --- C2 ----------------------------------------------------------------------------------------------------


def described(W):
    return {found.measure: found for found in describe("it", sparse.csr_array(W), 0, n_cells=50)}


def test_describe_names_the_law_that_the_weights_were_drawn_from():
    lognormal = described(rng(0).lognormal(0, 0.9, (50, 200)))
    assert lognormal["AIC behind best"].note == "lognormal" and lognormal["Vuong statistic"].value > 2
    assert lognormal["fitted sigma"].value == pytest.approx(0.9, abs=0.05)
    gamma = described(rng(0).gamma(0.7, size=(50, 200)))
    assert gamma["AIC behind best"].note == "gamma" and gamma["log-likelihood ratio"].value < 0


def test_noise_on_constant_input_is_lognormal_and_nothing_without_noise():
    off, on = (described(bare_noise(sigma, seed=0)) for sigma in (0.0, 0.4))
    assert set(off) == {"sd of log w"} and off["sd of log w"].value < 1e-6
    assert on["AIC behind best"].value < 10 and on["fitted sigma"].value == pytest.approx(0.4, rel=0.1)


def one_step(rule, X, Y, synapses=None, **options):
    """Weights of a pathway of a few excitatory cells after steps of a rule on the same batch, rows of unit norm."""
    synapses = synapses or dense(Y.shape[1], X.shape[1], Constant(1.0), sign="E", dtype=float)
    synapses.normalize_rows()
    for _ in range(options.get("n", 1)):
        rule.step(synapses, X, Y)
        synapses.normalize_rows()
    return synapses


@pytest.fixture(scope="module")
def rates():
    return rng(0).gamma(2.0, size=(60, 400)), rng(1).random((60, 5))


def test_additive_noise_has_the_mean_square_of_the_proportional_one(rates):
    found = [
        np.mean((one_step(loud, *rates).weights - one_step(LogCovariance(), *rates).weights) ** 2)
        for loud in (LogCovariance(sigma=0.05), AdditiveNoise(sigma=0.05))
    ]
    assert found[1] == pytest.approx(found[0], rel=0.15)
    assert (one_step(AdditiveNoise(sigma=3.0), *rates).weights >= 0).all()


def test_additive_rule_goes_to_one_plus_the_standardised_covariance(rates):
    X, Y = rates
    synapses = one_step(Additive(eta=1.0, gain=0.5), X, Y, n=200)
    z = Y.T @ standardised(synapses, X) / Y.sum(axis=0)[:, None]
    target = np.maximum(1 + 0.5 * z, 0)
    target /= np.linalg.norm(target, axis=1, keepdims=True)
    np.testing.assert_allclose(synapses.to_scipy().toarray(), target, rtol=1e-6)


def test_cells_that_only_store_hold_samples_and_learn_nothing(images, network):
    parameters = dict(n_cells=30, mixing=200, readout="votes", random_state=0, encoder=network.encoder_)
    stored, learned = (BioClassifier(**parameters | changed).fit(*images) for changed in (STORED, {}))
    for model, held in ((stored, True), (learned, False)):
        X = model.network_.on_features.seen(model.transform(images.X))
        W = model.weights()["association"].toarray()
        match = (W / np.linalg.norm(W, axis=1, keepdims=True) @ X.T).max(axis=1)
        assert (match > 0.999).all() if held else (match < 0.99).all()


def test_the_same_survivors_are_kept(images, network):
    parameters = dict(
        n_cells=60, mixing=300, readout="votes", random_state=0, encoder=network.encoder_, supervision__eta=0.0
    )
    again = BioClassifier(**parameters, rule=Additive(), turnover__birth=0.0, turnover__death=0.0)
    again.fit(*images, on_epoch=on_survivors_of(network))
    ours, theirs = (model.weights()["association"] for model in (network, again))
    assert np.array_equal(ours.indices, theirs.indices) and not np.allclose(ours.data, theirs.data, atol=0.01)


def test_change_in_proportion_to_size_has_slope_one(network, images, monkeypatch):
    def scaled(self, H, T):
        self.synapses.add((0.01 * self.synapses.weights).astype(self.synapses.dtype))
        return type("Step", (), {"alpha": np.ones(self.n_cells)})

    monkeypatch.setattr(Association, "learn", scaled)
    assert size_of_change(network, images) == pytest.approx(1, abs=0.02)


def lognormal_rows(ours, additive=(-0.1, 0.9, 0.1, 0.02), mlp=(-0.1, 0.9, 0.1, 0.02), noise=None, lost=0.0):
    """Ratio, sigma, skewness and KS of the starts and of the controls; ``lost``: to the former rule."""
    rows = []
    for seed in range(4):
        conditions = dict.fromkeys(STARTS, ours) | {ADDITIVE: additive, SAME_SURVIVORS: additive, PERCEPTRON: mlp}
        conditions |= {"noise": noise or ours} | dict.fromkeys((FORMER_RULE, NO_MIXING, "dense"), GAMMA)
        for condition, (ratio, sigma, skewness, ks) in conditions.items():
            law = "lognormal" if ratio > 0 else "gamma"
            measures = {"log-likelihood ratio": ratio + 1e-3 * seed, "Vuong statistic": 50 * ratio}
            measures |= {"fitted sigma": sigma, "skewness of log w": skewness, "KS distance": ks}
            measures |= {"AIC behind best": 0.0}
            measures["accuracy"] = {FORMER_RULE: 0.98 + lost, NO_MIXING: 0.9}.get(condition, 0.98) + 1e-4 * seed
            rows += [(condition, measure, np.nan, seed, value, law) for measure, value in measures.items()]
        rows += [("noise share", "share of Var(log w)", np.nan, seed, 0.5)]
        rows += [("change", "slope of log|dw| on log w", np.nan, seed, 1.0)]
    return frame_of(rows)


GOOD, GAMMA = (0.1, 0.9, 0.1, 0.02), (-0.1, 0.9, 0.1, 0.02)


@pytest.mark.parametrize(
    ("rows", "form", "passed"),
    [
        (lognormal_rows(GOOD), STRONG, True),
        (lognormal_rows(GOOD, additive=GOOD), "weak: follows from the inputs", True),
        (lognormal_rows(GOOD, mlp=GOOD), "weak: follows from nothing of its own", True),
        (lognormal_rows(GAMMA, noise=GOOD), "weak: follows from noise in proportion to size", True),
        (lognormal_rows(GAMMA), NOT_SHOWN, False),
        (lognormal_rows(GOOD, lost=0.01), STRONG, False),
        (lognormal_rows((0.1, 0.3, 0.1, 0.02)), NOT_SHOWN, False),
        (lognormal_rows((0.1, 0.9, 0.8, 0.02)), NOT_SHOWN, False),
        (lognormal_rows((0.1, 0.9, 0.1, 0.2)), NOT_SHOWN, False),
        (lognormal_rows((0.01, 0.9, 0.1, 0.02)), NOT_SHOWN, False),
    ],
    ids=[
        "strong",
        "additive as well",
        "backpropagation as well",
        "only with noise",
        "gamma",
        "costs accuracy",
        "narrow",
        "skewed",
        "poor fit",
        "cells disagree",
    ],
)
def test_lognormal_verdict(rows, form, passed):
    verdict = CLAIMS["C2"].verdict(rows)
    assert verdict.form.startswith(form) and verdict.passed == passed
    assert "without mixing +8.00" in verdict.note


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
    scenes = natural_images.dead_leaves(60, random_state=0)
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
