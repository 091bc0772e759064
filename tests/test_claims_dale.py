"""C3: what its measures, its learning signs and its verdict do where the answer is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from bioneuro import analysis
from bioneuro.claims import CLAIMS, dale
from bioneuro.claims.base import NOT_SHOWN, STRONG
from bioneuro.claims.mixed_circuit import RULES, W0, MixedCircuit, bistable_step
from bioneuro.synapses import Synapses


@pytest.fixture
def patches():
    U = np.random.default_rng(0).random((40, 12)).astype(np.float32)
    return U / np.linalg.norm(U, axis=1, keepdims=True)


# --- measures ----------------------------------------------------------------------------------------------


def test_chance_index_of_equal_weights_is_that_of_a_random_walk():
    k = 100
    found = dale.chance_index(sparse.csr_array(np.ones((k, 400))), seed=0)
    assert found == pytest.approx(np.sqrt(2 / (np.pi * k)), abs=0.01)


def test_sign_index_of_pure_and_balanced_pathways():
    for W, expected in (([[1, 2]], 1), ([[-1, -2]], -1), ([[1, -3], [2, 0]], 0)):
        assert dale.sign_index(sparse.csr_array(np.array(W, float))) == expected


def test_patches_have_unit_norm_and_shuffling_keeps_their_values():
    X = np.random.default_rng(0).random((20, 64))
    U = dale.patches(X, (8, 8), 30, seed=0)
    assert U.shape == (30, 2 * dale.PATCH**2)
    np.testing.assert_allclose(np.linalg.norm(U, axis=1), 1, rtol=1e-5)
    mixed = dale.shuffled_pixels(U, seed=0)
    np.testing.assert_array_equal(np.sort(mixed, axis=1), np.sort(U, axis=1))
    assert not np.array_equal(mixed, U)


def test_patches_refuse_blank_images():
    with pytest.raises(ValueError, match="X has no patch of contrast"):
        dale.patches(np.zeros((20, 64)), (8, 8), 30, seed=0)


def test_rates_that_hold_the_patch_explain_it(patches):
    assert dale.explained(patches, patches, patches, patches) > 0.98
    assert dale.explained(np.zeros((40, 1)), patches, np.zeros((40, 1)), patches) == pytest.approx(0, abs=1e-6)


# --- learning signs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("start", "rest"), [(0.01, 1), (-0.01, -1), (3.0, 1), (-3.0, -1), (0.0, 0)])
def test_a_learning_sign_is_bistable(start, rest):
    sign = np.full(4, start)
    for _ in range(1000):
        sign = bistable_step(sign, np.ones(4))
    np.testing.assert_allclose(sign, rest, atol=1e-6)


def test_busy_cells_are_pulled_to_the_negative_sign():
    sign = np.zeros(2)
    for _ in range(1000):
        sign = bistable_step(sign, np.array([1.0, 2.0]))
    assert sign[0] > 1 and sign[1] < -1


@pytest.mark.parametrize("target", [-0.7, 0.4])
def test_the_signed_rule_rests_at_g_over_c_from_either_sign(target):
    W = Synapses.from_scipy(sparse.csr_array(np.array([[-0.5, 0.5]])))
    for _ in range(3000):
        W.plasticity_step(np.full(2, 2 * target), np.array([2.0]), form="signed", eta=0.1, w0=W0, normalize=False)
    np.testing.assert_allclose(W.weights, target, rtol=1e-6)


# --- circuit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_starts_at_chance_and_stays_finite(rule, patches):
    circuit = MixedCircuit(12, rule, n_cells=20, seed=0)
    R = circuit.recurrent.to_scipy()
    assert np.mean(analysis.dale_index(R)) < 0.6 and (R.diagonal() == 0).all()
    circuit.prepare(patches, 3, batch=8)
    before = circuit.recurrent.weights.copy()
    np.testing.assert_array_equal(before, R.data)
    for _ in range(3):
        settled = circuit.learn(patches[:8])
    assert np.isfinite(circuit.recurrent.weights).all() and not np.array_equal(circuit.recurrent.weights, before)
    assert (settled.rates >= 0).all()


def test_typed_pathways_join_e_with_i_only():
    R = MixedCircuit(12, "pathway", n_cells=20, seed=0).recurrent.to_scipy().toarray() != 0
    assert not R[:16, :16].any() and not R[16:, 16:].any() and R[:16, 16:].all() and R[16:, :16].all()


def test_settled_rates_are_a_fixed_point(patches):
    circuit = MixedCircuit(12, "cell", n_cells=20, seed=0)
    circuit.strength *= 0.2
    settled = circuit.settle(patches)
    K = circuit.gain * circuit.strength * circuit.recurrent.to_scipy().toarray()
    F = np.clip(circuit.drive(patches) + settled.rates @ K.T, 0, 5)
    assert settled.residual.max() < 3e-3
    assert np.abs(F - settled.rates).max() < 3e-3


def test_indirect_effect_is_the_path_over_two_synapses():
    """All cells well above threshold, so the circuit is linear: d2 = (gain g)^2 R R xi."""
    circuit = MixedCircuit(4, "indirect", n_cells=6, seed=1)
    circuit.threshold[:] = -1.2
    U = np.full((6000, 4), 1e-3, np.float32)
    K = circuit.gain * circuit.strength * circuit.recurrent.to_scipy().toarray()
    y = np.full((6000, 6), 0.1, np.float32)
    K *= 0.02
    circuit.strength *= 0.02  # weak, so that no rate saturates
    found = circuit.indirect_effect(U, y)
    expected = (K @ K)[circuit.recurrent.to_scipy().nonzero()]
    spread = np.abs(K @ K).max()
    assert np.abs(found - expected).max() < 0.1 * spread + 5 * spread / np.sqrt(len(y))


def test_indirect_rule_keeps_norms_of_rows(patches):
    circuit = MixedCircuit(12, "indirect", n_cells=20, seed=0)
    circuit.prepare(patches, 2, batch=8)
    circuit.learn(patches)
    np.testing.assert_allclose(np.sqrt((circuit.recurrent.to_scipy() ** 2).sum(axis=1)), 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"rule": "none"}, "rule must be one of 'pathway'"),
        ({"n_cells": 4}, "n_cells >= 5"),
        ({"n_inputs": 0}, "n_inputs must be >= 1"),
        ({"target": 1.0}, "target must lie in"),
        ({"eta": 0.0}, "eta must be > 0"),
        ({"gain_indirect": -1.0}, "gain_indirect >= 0"),
    ],
)
def test_circuit_refuses_a_bad_argument(parameters, message):
    with pytest.raises(ValueError, match=message):
        MixedCircuit(**{"n_inputs": 12, **parameters})


# --- verdict -----------------------------------------------------------------------------------------------

CHANCE = {"Dale index": 0.1, "chance index": 0.1, "share of active cells": 0.05, "share of E cells": 0.5}
PURE = CHANCE | {"Dale index": 0.99}


def rows(segregated, **changed):
    """Made-up rows at three seeds: the conditions named segregate; ``changed`` measures hold for all of those."""
    names = {"sign index, feed-forward": 1.0, "sign index, recurrent": -0.5, "share of cells at 0.95": 0.0}
    names |= dict.fromkeys(
        ("share active without inhibition", "mean |correlation|", "accuracy", "share of patches at rest"), 0.5
    )
    names |= {"variance of the patch explained": 0.5}
    return pd.DataFrame(
        {"claim": "C3", "condition": condition, "x": when, "measure": measure, "value": value, "seed": seed, "note": ""}
        for condition in (*dale.CONDITIONS, dale.BACKPROP)
        for when in (dale.BEFORE, dale.AFTER)
        for seed in range(3)
        for measure, value in (
            names | (PURE | changed if when == dale.AFTER and condition in segregated else CHANCE)
        ).items()
    )


@pytest.mark.parametrize(
    ("segregated", "form"),
    [
        ({dale.INDIRECT, dale.CELL, dale.PATHWAY}, STRONG),
        ({dale.INDIRECT, dale.NO_INDIRECT}, NOT_SHOWN),
        ({dale.CELL, dale.PATHWAY}, "weak: follows from a learning sign that a cell's synapses share"),
        ({dale.PATHWAY}, "weak: follows from non-negative rates and the pathway's learning sign"),
        ({"synapse-wise sign", "all Hebbian"}, NOT_SHOWN),
        (set(), NOT_SHOWN),
    ],
)
def test_verdict_names_the_premise(segregated, form):
    verdict = CLAIMS["C3"].verdict(rows(segregated))
    assert verdict.form == form and verdict.passed == (form != NOT_SHOWN)


@pytest.mark.parametrize(
    "changed",
    [{"share of active cells": 0.11}, {"share of E cells": 0.0}, {"share of E cells": 1.0}, {"Dale index": 0.94}],
)
def test_too_active_or_of_one_type_or_impure_is_not_segregated(changed):
    assert CLAIMS["C3"].verdict(rows({dale.INDIRECT}, **changed)).form == NOT_SHOWN


def test_pathways_of_the_wrong_sign_do_not_pass():
    verdict = CLAIMS["C3"].verdict(rows({dale.INDIRECT}, **{"sign index, feed-forward": 0.5}))
    assert verdict.form == STRONG and not verdict.passed
