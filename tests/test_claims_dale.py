"""C3: what its measures, its learning and its verdict do where the answer is known."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from bioneuro import connectivity
from bioneuro.research.claims import CLAIMS
from bioneuro.research.claims import dale_segregation as dale
from bioneuro.research.claims.verdict import NOT_SHOWN, STRONG, TOLERATED_LOSS


def test_first_weights_have_both_transmitters_of_one_law_and_balance_near_0():
    pair = dale.Pair.of(200, 30, dale.START, seed=0)
    assert pair.excitatory.nnz == pair.inhibitory.nnz == 6000
    sizes = pair.excitatory.weights, -pair.inhibitory.weights
    assert all((size > 0).all() for size in sizes) and not np.array_equal(*sizes)
    assert np.mean(np.log(sizes), axis=1) == pytest.approx([0, 0], abs=0.02)
    assert np.abs(pair.balance()).max() < 0.08
    assert (dale.Pair.of(5, 4, connectivity.Constant(1.0), seed=0).balance() == 0).all()


def test_measures_of_known_pathways():
    pair = dale.Pair.of(2, 4, connectivity.Constant(1.0), seed=0)
    pair.excitatory.add(np.array([-1, 2, 0, -0.5] * 2, np.float32))
    pair.inhibitory.add(np.array([0, 1, 0, 0.8] * 2, np.float32))
    np.testing.assert_allclose(pair.balance(), [-1, 1, 0, 3 / 7], atol=1e-6)
    found = dict(dale.described(pair, np.array([1, 1, 1, 1])))
    assert found["Dale index"] == pytest.approx(17 / 28) and found["share of cells at 0.95"] == 0.5
    assert found["smallest Dale index"] == 0 and found["share of E cells"] == 0.5
    assert found["share with the sign of the start"] == 0.5
    np.testing.assert_allclose(pair.outputs(np.eye(4, dtype=np.float32))[:, 0], [-1, 3, 0, 0.3], atol=1e-6)


@pytest.mark.parametrize(
    ("condition", "low", "high"),
    [(dale.AXON, 0.9, 1), (dale.SYNAPSE, 0, 0.45), (dale.DENDRITE, 0, 0.45), (dale.NONE, 0, 0.45)],
)
def test_only_what_an_axon_shares_segregates_a_regression_which_is_learned(condition, low, high):
    """Fewer samples than inputs: the same rule, sped up, on a smaller problem."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(15, 30)).astype(np.float32)
    T = X @ rng.normal(size=(30, 8)).astype(np.float32)
    pair = dale.Pair.of(8, 30, dale.TOY_START, seed=0)
    shared, factor = dale.FEEDBACK[condition]
    rule = dataclasses.replace(dale.TOY, eta=0.04, chi=dale.TOY.chi * factor, shared_by=shared)
    dale.learn(pair, rule, X, T, [slice(None)] * 8000, probabilities=False)
    assert low <= np.abs(pair.balance()).mean() <= high
    assert np.mean((T - pair.outputs(X)) ** 2) < 0.01 * T.var()


def test_probabilities_learn_their_bias():
    X, T = np.zeros((50, 3), np.float32), np.tile(np.float32([0.8, 0.2]), (50, 1))
    pair = dale.Pair.of(2, 3, dale.START, seed=0)
    dale.learn(pair, dale.RULE, X, T, [slice(None)] * 500, probabilities=True)
    assert np.diff(pair.bias) == pytest.approx(np.log(0.2 / 0.8), abs=1e-2)


# --- verdict -----------------------------------------------------------------------------------------------

MIXED = {"Dale index": 0.1, "share of cells at 0.95": 0.0, "share of E cells": 0.5, "accuracy": 0.98}
PURE = MIXED | {"Dale index": 0.99, "share of cells at 0.95": 0.95}
OTHERS = ("smallest Dale index", "share with the sign of the start", "unexplained variance")


def rows(segregated, **changed):
    """Made-up rows at three seeds: the conditions named segregate; ``changed`` measures hold for all of those."""
    names = [dale._regression(condition, n) for condition in dale.FEEDBACK for n in (dale.FEW, dale.MANY)]
    return pd.DataFrame(
        {"claim": "C3", "condition": condition, "x": dale.RULE.chi, "measure": measure, "value": value, "seed": seed}
        for condition in (*dale.FEEDBACK, dale.EQUAL, dale.GIVEN, *names)
        for seed in range(3)
        for measure, value in (
            dict.fromkeys(OTHERS, 0.1) | (PURE | changed if condition in segregated else MIXED)
        ).items()
    )


WEAK = "weak: follows from one resource that the two transmitters of an axon share"


@pytest.mark.parametrize(
    ("segregated", "form"),
    [
        ({dale.AXON, dale.NONE}, STRONG),
        ({dale.AXON}, WEAK),
        ({dale.AXON, dale.SYNAPSE}, NOT_SHOWN),
        ({dale.AXON, dale.DENDRITE}, NOT_SHOWN),
        ({dale.EQUAL, dale.GIVEN}, NOT_SHOWN),
        (set(), NOT_SHOWN),
    ],
)
def test_verdict_names_the_premise(segregated, form):
    verdict = CLAIMS["C3"].verdict(rows(segregated))
    assert verdict.form == form and verdict.passed == (form != NOT_SHOWN)


@pytest.mark.parametrize(
    "changed",
    [{"share of E cells": 0.0}, {"share of E cells": 1.0}, {"Dale index": 0.94}, {"share of cells at 0.95": 0.89}],
)
def test_one_type_or_impure_is_not_segregated(changed):
    assert CLAIMS["C3"].verdict(rows({dale.AXON}, **changed)).form == NOT_SHOWN


def test_a_law_that_costs_accuracy_does_not_pass():
    verdict = CLAIMS["C3"].verdict(rows({dale.AXON}, accuracy=MIXED["accuracy"] - 2 * TOLERATED_LOSS))
    assert verdict.form == WEAK and not verdict.passed
