"""C4 and WHY: verdicts from rows whose truth is known, and the networks with a principle switched off."""

from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bioneuro import BioClassifier
from bioneuro.attacks import worst_case
from bioneuro.layers import Retina
from bioneuro.research.claims import lesions as ablated
from bioneuro.research.claims import why_robust as ablation
from bioneuro.research.claims.adversarial_robustness import (
    ROBUST_ACCURACY,
    WARNINGS,
    AdversarialRobustness,
    besieged,
    budgets,
)
from bioneuro.research.claims.settings import Images
from bioneuro.research.claims.verdict import NOT_SHOWN, STRONG
from bioneuro.research.claims.why_robust import ABLATIONS, FULL, WhyRobust
from bioneuro.research.robustness.contenders import CONTENDERS, CONTROL, ROBUST, Task, contenders

SEEDS = range(4)
EPSILONS = (0.05, 0.1, 0.2)
JITTER = np.array([0.0, 0.004, -0.003, 0.002])


def frame_of(claim, robust, clean=None, warned=()):
    """Rows of all seeds: robust accuracy of each condition at the middle budget, higher below and lower above it."""
    rows = []
    for i, (name, value) in enumerate(robust.items()):
        for seed in SEEDS:
            moved = value + JITTER[(seed + i) % 4] + 1e-5 * i * seed  # no two differ alike at all seeds
            rows.append((claim, name, np.nan, "accuracy", (clean or {}).get(name, 0.95), seed, ""))
            rows += [
                (claim, name, e, ROBUST_ACCURACY, moved + shift, seed, "")
                for e, shift in zip(EPSILONS, (0.04, 0, -0.04), strict=True)
            ]
            told = "black-box minus white-box = -0.2" if name in warned else ""
            rows.append((claim, name, np.nan, WARNINGS, float(name in warned), seed, told))
    return pd.DataFrame(rows, columns=["claim", "condition", "x", "measure", "value", "seed", "note"])


CONTROLS = {name: 0.5 for name, contender in CONTENDERS.items() if contender.role == CONTROL}


def c4(changed, **more):
    robust = {"bioneuro": 0.8, "bioneuro votes": 0.7, **CONTROLS, "MLP, adversarially trained": 0.9} | changed
    return AdversarialRobustness().verdict(frame_of("C4", robust, **more))


def test_c4_is_strong_where_every_control_is_beaten():
    verdict = c4({"binarised CNN": 0.6})
    assert verdict.form == STRONG and verdict.passed
    assert verdict.effect == pytest.approx(0.2, abs=0.01) and verdict.low > 0.15
    assert "best control: binarised CNN" in verdict.note and "The audit passes" in verdict.note
    assert "MLP, adversarially trained (the ceiling) 95.0 / 90.1" in verdict.note


def test_c4_is_weak_where_the_retina_explains_it():
    verdict = c4({"MLP + contrast response": 0.8})
    assert verdict.form == "weak: follows from the contrast response of the retina" and verdict.passed
    both = c4({"MLP + contrast response": 0.9, "nearest neighbour": 0.85})
    assert both.form.endswith("the contrast response of the retina and comparison with stored images")


@pytest.mark.parametrize("changed", [{"MLP": 0.8}, {"CNN": 0.9}, {"bioneuro": 0.5}])
def test_c4_is_not_shown_where_plain_backpropagation_stands_as_firmly(changed):
    verdict = c4(changed)
    assert verdict.form == NOT_SHOWN and not verdict.passed


def test_c4_is_not_shown_where_the_audit_warns():
    verdict = c4({}, warned=("bioneuro",))
    assert verdict.form == NOT_SHOWN and not verdict.passed
    assert "WARNS" in verdict.note and "bioneuro 95.0 / ≤ 80.1" in verdict.note
    assert c4({}, warned=("MLP",)).form == STRONG, "a control's upper bound counts in full"


def test_c4_misses_its_goal_at_a_lower_accuracy():
    verdict = c4({"CNN": 0.55}, clean={"CNN": 0.96})
    assert verdict.form == STRONG and not verdict.passed and "NOT MATCHED" in verdict.note


def why(falls, **more):
    robust = {FULL: 0.8} | {name: 0.8 - falls.get(name, 0.2) for name in ABLATIONS}
    return WhyRobust().verdict(frame_of("WHY", robust, **more))


def test_why_is_strong_where_every_principle_buys_robustness():
    verdict = why({"no top-down gain": 0.1, "softer competition": 0.0})
    assert verdict.form == STRONG and verdict.passed
    assert verdict.effect == pytest.approx(0.1, abs=0.01) and verdict.unit.endswith("the top-down gain")
    assert "no map: +20" in verdict.note


def test_why_names_the_principles_that_buy_it():
    verdict = why({name: 0.0 for name in ABLATIONS if name not in ("no contrast response", "no competition")})
    assert verdict.form == "weak: follows from the contrast response and competition" and not verdict.passed


def test_why_is_not_shown_where_nothing_matters_or_the_audit_warns():
    assert why(dict.fromkeys(ABLATIONS, 0.0)).form == NOT_SHOWN
    assert why({}, warned=(FULL,)).form == NOT_SHOWN
    bounded = why({}, warned=("no map",))
    assert bounded.form == STRONG and "no map: +20.0" in bounded.note and "audit warns: at least" in bounded.note


@pytest.mark.parametrize(("claim", "frame"), [
    (AdversarialRobustness(), frame_of("C4", {"bioneuro": 0.8, **CONTROLS})),
    (WhyRobust(), frame_of("WHY", {FULL: 0.8, "no map": 0.2}, warned=("no map",))),
])  # fmt: skip
def test_figures_draw_every_condition(claim, frame):
    from matplotlib.figure import Figure

    ax = claim.figure(frame, Figure().subplots())
    shown = [text.get_text() for text in [*ax.get_legend().get_texts(), *ax.get_yticklabels()]]
    assert all(any(name in text for text in shown) for name in frame["condition"].unique())


# --- networks with a principle switched off ---

CELLS = sparse.csr_array(sparse.random(30, 60, 0.5, "csr", np.float32, np.random.default_rng(0)))
CELLS.data = np.random.default_rng(1).lognormal(-3, 1, CELLS.nnz).astype(np.float32)


def rows_of(W):
    return [W.data[a:b].astype(float) for a, b in zip(W.indptr[:-1], W.indptr[1:], strict=True)]


def test_shuffling_keeps_each_cells_weights_and_synapses():
    W = ablated.relawed(CELLS, ablated.shuffled, np.random.default_rng(0))
    assert np.array_equal(W.indices, CELLS.indices)
    for before, after in zip(rows_of(CELLS), rows_of(W), strict=True):
        assert sorted(before) == pytest.approx(sorted(after))
        assert len(before) < 3 or not np.array_equal(before, after)


def test_a_lognormal_law_keeps_mean_variance_and_order():
    law = ablated.by_rank(ablated.lognormal_quantile)
    for weights in rows_of(CELLS):
        changed = law(weights, np.random.default_rng(0))
        assert changed.mean() == pytest.approx(weights.mean()) and changed.std() == pytest.approx(weights.std())
        assert np.array_equal(np.argsort(changed), np.argsort(weights))


def test_a_normal_law_is_normal_and_positive():
    weights = np.random.default_rng(0).lognormal(0, 0.3, 4000)
    changed = ablated.by_rank(ablated.normal_quantile)(weights, np.random.default_rng(0))
    assert changed.mean() == pytest.approx(weights.mean()) and changed.std() == pytest.approx(weights.std())
    standard = (changed - changed.mean()) / changed.std()
    assert abs((standard**3).mean()) < 0.01 and abs((standard**4).mean() - 3) < 0.1
    W = ablated.relawed(CELLS, ablated.by_rank(ablated.normal_quantile), np.random.default_rng(0))
    assert (W.data > 0).all(), "synapses of the association are excitatory"


def test_cells_of_one_synapse_keep_it():
    one = sparse.csr_array(np.eye(3, dtype=np.float32))
    for quantile in (ablated.normal_quantile, ablated.lognormal_quantile):
        assert ablated.relawed(one, ablated.by_rank(quantile), np.random.default_rng(0)).data == pytest.approx(1)


@pytest.fixture(scope="module")
def full(digits):
    brief = {"mixing": 300, "schedule__teaching_epochs": 1, "schedule__readout_epochs": 3}
    return BioClassifier(n_cells=40, **brief, random_state=0, n_threads=1, dtype="float64").fit(
        digits.X_train[:100], digits.y_train[:100]
    )


def off(full, digits, name):
    train, ablation = Images(digits.X_train[:100], digits.y_train[:100]), ABLATIONS[name]
    changed = full.get_params() | {"encoder": full.encoder_} | ablation.changed(full)
    return ablation.made(full, train) if ablation.made else BioClassifier(**changed).fit(*train)


@pytest.mark.parametrize("name", ["no map", "no competition", "weights made normal", "no contrast response"])
def test_each_network_learns_and_knows_its_gradient(full, digits, name):
    network = off(full, digits, name)
    assert network.score(digits.X_test, digits.y_test) > 0.5
    rng = np.random.default_rng(0)
    X, y = np.clip(digits.X_test[:5], 0.05, 0.95).astype(np.float64), digits.y_test[:5]
    X += rng.uniform(-0.02, 0.02, X.shape)
    direction, step = rng.choice([-1.0, 1.0], X.shape), 1e-5

    def loss(images):
        z = network.decision_function(images)
        return np.log(np.exp(z - z.max(1, keepdims=True)).sum(1)) + z.max(1) - z[np.arange(5), y]

    slope = (loss(X + step * direction) - loss(X - step * direction)).sum() / (2 * step)
    assert (network.input_gradient(X, y) * direction).sum() == pytest.approx(slope, rel=0.02, abs=1e-3)


def test_without_competition_the_readout_is_linear_in_the_mixed_features(full, digits):
    network = off(full, digits, "no competition")
    readout = network.network_.readouts["delta"]
    W = (readout.excitatory.to_scipy() + readout.inhibitory.to_scipy() @ readout.to_inhibitory.to_scipy()).toarray()
    x = network.network_.on_features.encode(network.transform(digits.X_test[:7]))
    assert network.decision_function(digits.X_test[:7]) == pytest.approx(x @ W.T + readout.bias, rel=1e-4)


def test_without_competition_only_the_map_can_be_softened(full, digits):
    network = off(full, digits, "no competition")
    assert list(network.surrogates()) == ["map_beta/2"]
    result = worst_case(network, digits.X_test[:5], digits.y_test[:5], 0.1, attacks=["adaptive:pgd-margin"])
    assert result.robust_accuracy.shape == (1,)


def test_pixel_rates_have_no_map(digits):
    encoder = ablated.PixelRates(64, Retina(1, 4.0, 0.5))
    H = encoder.encode(digits.X_test[:3])
    assert H.shape == (3, 64) and np.linalg.norm(H, axis=1) == pytest.approx(1, abs=1e-4)
    R = encoder.retina.response(digits.X_test[:3])
    assert H == pytest.approx(R / np.linalg.norm(R, axis=1, keepdims=True), abs=1e-5)


def test_results_depend_on_what_makes_our_network_robust(digits, monkeypatch):
    monkeypatch.setitem(ROBUST, "digits", {"encoder__exponent": 3.0, "n_cells": 7})
    settings = AdversarialRobustness.small.fitted_to(digits)
    assert settings.robust == {"encoder__exponent": 3.0, "n_cells": 7} and asdict(settings)["robust"] == settings.robust
    models = contenders(Task("digits", 0.2))
    ours = settings.sized(models["bioneuro"].make(5))
    assert (ours.n_cells, ours.encoder.exponent, ours.random_state) == (7, 3.0, 5)
    assert ours.mixing == settings.changed["mixing"] and ours.image_shape == (8, 8)
    assert settings.sized(models["MLP"].make(5)).n_epochs == settings.mlp_epochs


def test_a_siege_is_told_in_rows(full, digits):
    settings = AdversarialRobustness.small
    test = ablation.split_images(digits, settings.fitted_to(digits), 0).test
    rows = list(besieged("it", full, test, budgets(digits), settings, {}, 0))
    measures = [row.measure for row in rows]
    assert measures == ["accuracy", *[ROBUST_ACCURACY] * 3, WARNINGS]
    values = [row.value for row in rows[1:4]]
    assert values == sorted(values, reverse=True) and [row.x for row in rows[1:4]] == list(budgets(digits))
    assert bool(rows[-1].value) == bool(rows[-1].note)
