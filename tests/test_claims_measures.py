"""What the claims measure, on data whose answer is known; verdicts on rows that are made up."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bioneuro import BioClassifier, analysis, datasets
from bioneuro.baselines import BackpropMLP
from bioneuro.claims import CLAIMS
from bioneuro.claims.base import NOT_SHOWN, STRONG, Images
from bioneuro.claims.lognormal import STARTS, bare_noise, describe, size_of_change
from bioneuro.claims.networks import (
    AdditiveNoiseAssociation,
    StartedMLP,
    WatchedClassifier,
    class_balanced,
    magnitude_pruned,
)
from bioneuro.claims.resources import RIVALS, allocated, in_use, long_tailed
from bioneuro.claims.sparsity import DIP, modes, plateau
from bioneuro.layers import Association

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
    for name, W in mlp.weights().items():
        kept = pruned.weights()[name]
        assert kept.nnz == round(0.2 * W.nnz)
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
            rows += [("growth", m, theta, seed, 0.98 - loss) for m in ("validation accuracy", "accuracy delta")]
            rows += [
                ("growth", "born a step and cell", theta, seed, 0.1),
                ("MLP pruned", "accuracy", theta, seed, 0.97),
            ]
            rows += [("growth", "weight at birth, of the strongest", theta, seed, 2 * theta)]
        for condition, apart in (("weights", modes_apart), ("features", features_apart)):
            for measure, value in (("dip", 0.2 if apart else 1.0), ("share", 0.5), ("centre", -5.0)):
                rows.append((condition, f"mode {measure}", np.nan, seed, value))
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


def lognormal_rows(off, on, accuracy_on=0.98):
    """Ratio, sigma, skewness and KS with the noise off and on; everything else is a lognormal without interest."""
    rows = []
    for seed in range(4):
        conditions = {f"{start}, noise {n}": which for start in STARTS for n, which in (("off", off), ("on", on))}
        conditions |= dict.fromkeys(
            ("noise off, nothing cut", "noise on, nothing cut", "additive noise", "constant input, noise on"), off
        )
        conditions |= {f"{layer}, {start}": (0.1, 1.0, 0.0, 0.01) for layer in ("map", "MLP") for start in STARTS}
        for condition, (ratio, sigma, skewness, ks) in conditions.items():
            law = "lognormal" if ratio > 0 else "gamma"
            measures = {"log-likelihood ratio": ratio + 1e-3 * seed, "fitted sigma": sigma}
            measures |= {"skewness of log w": skewness, "KS distance": ks, "AIC behind best": 0.0}
            measures["accuracy"] = accuracy_on if condition.endswith("on") else 0.98
            rows += [(condition, measure, np.nan, seed, value, law) for measure, value in measures.items()]
        rows += [("noise", m, np.nan, seed, 0.5) for m in ("share of Var(log w)", "slope of log|dw| on log w")]
    return frame_of(rows)


GOOD, GAMMA = (0.1, 0.9, 0.1, 0.02), (-0.1, 0.9, 0.1, 0.02)


@pytest.mark.parametrize(
    ("rows", "form", "passed"),
    [
        (lognormal_rows(GOOD, GOOD), STRONG, True),
        (lognormal_rows(GAMMA, GOOD), "weak: follows from noise in proportion to size", True),
        (lognormal_rows(GAMMA, GAMMA), NOT_SHOWN, False),
        (lognormal_rows(GAMMA, GOOD, accuracy_on=0.95), NOT_SHOWN, False),
        (lognormal_rows((0.1, 0.3, 0.1, 0.02), GAMMA), NOT_SHOWN, False),
        (lognormal_rows((0.1, 0.9, 0.8, 0.02), GAMMA), NOT_SHOWN, False),
        (lognormal_rows((0.1, 0.9, 0.1, 0.2), GAMMA), NOT_SHOWN, False),
    ],
    ids=["strong", "weak", "gamma", "costs accuracy", "narrow", "skewed", "poor fit"],
)
def test_lognormal_verdict(rows, form, passed):
    verdict = CLAIMS["C2"].verdict(rows)
    assert (verdict.form, verdict.passed) == (form, passed)


# --- C7 ----------------------------------------------------------------------------------------------------


def task_rows(label, stimulus):
    rows = []
    for seed in range(4):
        for kappa, i, h in zip((0.0, 0.1, 0.2, 0.4), label, stimulus, strict=True):
            measures = {"I(label; Z)": i + 0.01 * seed, "H(Z | label)": h - 0.01 * seed * kappa}
            measures |= {"correction of I(label; Z)": 0.1, "accuracy delta": 0.9, "accuracy votes": 0.9}
            rows += [("all classes", measure, kappa, seed, value) for measure, value in measures.items()]
            rows += [("new classes", "few-shot accuracy", kappa, seed, 0.8)]
            rows += [("shuffled labels", "I(label; Z)", kappa, seed, 0.01)]
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
