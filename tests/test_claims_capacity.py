"""The parts of claim CS on data whose answer is known; its verdict on rows that are made up."""

import numpy as np
import pandas as pd
import pytest

from bioneuro import BioClassifier, datasets
from bioneuro.baselines import BackpropMLP, NonNegativeMLP
from bioneuro.layers import UnitNorm
from bioneuro.research.claims import CLAIMS
from bioneuro.research.claims.controls import hidden_rates, magnitude_pruned, perceptron_rates
from bioneuro.research.claims.settings import DENSE, Images
from bioneuro.research.claims.synaptic_capacity import (
    BACKPROPAGATION,
    CHOROWSKI,
    CLASSES,
    PRUNED,
    PUBLISHED,
    RULE,
    SHUFFLED,
    TARGET,
    inputs_compete,
    of_classes,
)
from bioneuro.research.claims.verdict import NOT_SHOWN, STRONG


@pytest.fixture(scope="module")
def images():
    data = of_classes(datasets.load("digits"))
    return Images(data.X_train[:200], data.y_train[:200])


def learned(images, theta, **options):
    """By input, at a threshold; None: without any."""
    parameters = RULE | DENSE | {"n_cells": 15, "readout": "votes", "encoder": UnitNorm(64), "random_state": 0}
    on_epoch = None if theta is None else inputs_compete(theta, **options)
    return BioClassifier(**parameters).fit(*images, on_epoch=on_epoch)


def test_only_the_published_classes_are_left():
    whole = datasets.load("digits")
    data = of_classes(whole)
    assert set(data.y_train) == set(data.y_test) == set(CLASSES)
    assert len(data.X_train) == len(data.y_train) == np.isin(whole.y_train, CLASSES).sum()


@pytest.mark.parametrize("n", list(PUBLISHED))
def test_published_counts_are_what_the_comment_says(n):
    counts = {name: row.information / row.capacity for name, row in PUBLISHED[n].items()}
    assert counts["backpropagation"] == pytest.approx(784 * n, rel=2e-3)
    assert counts["their rule"] == pytest.approx(784, rel=2e-3)


def test_one_synapse_an_input_at_the_highest_threshold(images):
    W = learned(images, 0.999).weights()["association"]
    per_input = np.bincount(W.indices, minlength=64)
    assert (per_input == 1).sum() > 30 and (per_input > 1).sum() <= 3, "but for ties"
    norms = np.sqrt(W.multiply(W).sum(axis=1))
    np.testing.assert_allclose(norms[np.diff(W.indptr) > 0], 1, rtol=1e-5)


def test_without_an_input_threshold_it_learns_as_ever(images):
    free, plain = (learned(images, theta).weights()["association"] for theta in (0.0, None))
    np.testing.assert_allclose(free.data, plain.data, rtol=1e-5)


def test_shuffling_keeps_the_numbers_of_synapses_but_not_who_meets_whom(images):
    learned_W, shuffled = (
        learned(images, 0.999, shuffle=shuffle).weights()["association"] for shuffle in (False, True)
    )
    assert np.array_equal(np.diff(learned_W.indptr), np.diff(shuffled.indptr))
    assert np.array_equal(np.sort(learned_W.indices), np.sort(shuffled.indices))
    assert (learned_W != shuffled).nnz > learned_W.nnz / 2


def test_rates_are_those_of_the_hidden_layer(images):
    ours = learned(images, None)
    np.testing.assert_allclose(np.linalg.norm(hidden_rates(ours, images.X), axis=1), 1, rtol=1e-5)
    mlp = BackpropMLP((6,), n_epochs=2, random_state=0).fit(*images)
    rates = perceptron_rates(mlp, images.X)
    logits = (mlp.weights()["output"] @ rates.T).T + mlp.biases_[1]
    np.testing.assert_allclose(logits, mlp.decision_function(images.X), rtol=1e-4, atol=1e-5)


def test_a_layer_may_be_pruned_alone(images):
    mlp = BackpropMLP((6,), n_epochs=1, random_state=0).fit(*images)
    pruned = magnitude_pruned(mlp, (0.1, 1.0), images, n_epochs=0).weights()
    assert pruned["hidden_1"].nnz == round(0.1 * 6 * 64) and pruned["output"].nnz == 18


def test_a_layer_that_died_holds_nothing(images):
    dead = NonNegativeMLP((4,), sparsity=100.0, n_epochs=1, random_state=0).fit(*images)
    rates = perceptron_rates(dead, images.X)
    rows = list(CLAIMS["CS"]._described("dead", dead.weights(), rates, images, 0.0, 0))
    found = {row.measure: row.value for row in rows}
    assert found["synapses"] == 0 and found["C_S"] == 0 and found["I upper"] == 0
    assert np.isfinite([row.value for row in rows]).all()


# --- verdict


def rows_of(ours, shuffled, rival, accuracy, pruned=0.2):
    """Three seeds of one size; C_S of our two thresholds at the input, of the shuffled wiring and of the rivals."""
    rows = []

    def network(condition, x, synapses, capacity, accuracy, seed):
        values = {f"I {name}": 5.0 for name in ("lower", "upper", "gaussian", "cap")}
        values |= {"I gaussian, noise 0.03": 9.0, "I gaussian, noise 0.3": 2.0, "C_S of all layers": capacity / 2}
        values |= {"I(label; winner)": 1.0, "I(label; winner), shuffled labels": 0.0}
        values["C_S"] = capacity * (1 + 1e-4 * seed)
        values |= {"synapses": synapses, "synapses of all layers": 2 * synapses, "accuracy": accuracy + 1e-4 * seed}
        values |= {"validation accuracy": accuracy, "accuracy votes": 0.5, "accuracy perturbation": 0.6}
        rows.extend((condition, measure, x, seed, value) for measure, value in values.items())

    for seed in range(3):
        network("by cell, 200", 0.05, 9000, ours / 9, 0.99, seed)
        for x, share in ((0.5, 0.5), (0.9, 1.0), (0.999, 1.5)):
            reached = accuracy if x < 0.95 else 0.9
            network("by input, 200", x, 1000 / share, ours * share, reached, seed)
            network(f"{SHUFFLED}, 200", x, 1000 / share, shuffled * share, 0.8, seed)
            network(f"{PRUNED}, 200", x, 1000 / share, pruned * share, 0.97, seed)
        network(f"{BACKPROPAGATION}, 200", 0.0, 156_800, rival / 10, 0.99, seed)
        network(f"{CHOROWSKI}, 200", 0.1, 3000, rival, 0.98, seed)
        for name in ("by input", BACKPROPAGATION):
            values = (("lower", 4.0), ("upper", 5.0), ("gaussian", 9.0), ("cap", 6.0))
            rows.extend((f"{name}, 200, by images", f"I {m}", 64.0, seed, value) for m, value in values)
    return pd.DataFrame(rows, columns=["condition", "measure", "x", "seed", "value"])


@pytest.mark.parametrize(
    ("rows", "form", "passed"),
    [
        (rows_of(ours=0.5, shuffled=0.3, rival=0.1, accuracy=0.97), STRONG, True),
        (rows_of(ours=0.5, shuffled=0.6, rival=0.1, accuracy=0.97), "weak", True),
        (rows_of(ours=0.5, shuffled=0.3, rival=0.1, accuracy=0.97, pruned=0.6), "weak", True),
        (rows_of(ours=0.5, shuffled=0.3, rival=0.7, accuracy=0.97), NOT_SHOWN, False),
        (rows_of(ours=0.5, shuffled=0.3, rival=0.1, accuracy=0.94), NOT_SHOWN, False),
    ],
    ids=["all hold", "shuffled holds as much", "pruned holds as much", "rival holds more", "by cell must serve"],
)
def test_verdict(rows, form, passed):
    verdict = CLAIMS["CS"].verdict(rows)
    assert verdict.form.startswith(form) and verdict.passed == passed
    assert "95.55 %, 372.66 bits, C_S 0.475" in verdict.note and "nan" not in verdict.note


def test_the_sparsest_network_that_reaches_the_goal_is_reported():
    verdict = CLAIMS["CS"].verdict(rows_of(ours=0.5, shuffled=0.3, rival=0.1, accuracy=TARGET + 0.01))
    assert verdict.effect == pytest.approx(0.5, abs=1e-3), "0.999 holds more, but falls short of the accuracy"
    assert "200 by input 0.9:" in verdict.note
