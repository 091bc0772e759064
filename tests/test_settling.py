"""The rest of a circuit: it is one, whatever the signs; its gradient; what is refused."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from bioneuro import Synapses
from bioneuro.layers.settling import LARGEST_SUPPORT, settle, settle_grad, spectral_radius


def circuit(kind, seed=0, n=40, n_inhibitory=10):
    """U, V and drives of 30 samples."""
    rng = np.random.default_rng(seed)
    U = rng.gamma(0.5, size=(n_inhibitory, n))
    V = -U.T * rng.uniform(0.9, 1.1, size=U.T.shape)
    if kind == "signed":
        U, V = 0.1 * rng.normal(size=U.shape), 0.1 * rng.normal(size=V.shape)
    return U, V, rng.normal(1, 1, size=(30, n))


kinds = pytest.mark.parametrize("kind", ["inhibitory", "signed"])


@kinds
def test_the_rest_is_one(kind):
    U, V, a = circuit(kind)
    threshold = np.random.default_rng(1).uniform(0, 0.5, 40)
    y, q, residual, n_iter = settle(a, U, V, threshold, tol=1e-9)
    np.testing.assert_allclose(y, np.maximum(a + q @ V.T - threshold, 0), atol=1e-7)
    np.testing.assert_allclose(q, np.maximum(y @ U.T, 0))
    assert (residual <= 1e-9).all() and (n_iter < 1000).all() and 0 < (y > 0).mean() < 0.8


@kinds
def test_damped_steps_alone_reach_the_same_rest(kind):
    U, V, a = circuit(kind)
    y = np.zeros_like(a)
    d = 1 / (1 + spectral_radius(U, V))
    for _ in range(20_000):
        y += d * (np.maximum(a + np.maximum(y @ U.T, 0) @ V.T, 0) - y)
    np.testing.assert_allclose(settle(a, U, V, tol=1e-9).y, y, atol=1e-4)


@kinds
def test_rates_do_not_depend_on_the_batch(kind):
    U, V, a = circuit(kind)
    whole = settle(a, U, V).y
    parts = np.concatenate([settle(a[[i]], U, V).y for i in range(len(a))])
    np.testing.assert_allclose(whole, parts, atol=2e-4 * whole.max())


@kinds
def test_gradient(kind):
    U, V, a = circuit(kind)
    rng = np.random.default_rng(2)
    dy, D = rng.normal(size=a.shape), rng.normal(size=a.shape)
    y, e = settle(a, U, V, tol=1e-12).y, 1e-7
    up, down = (settle(a + step * D, U, V, tol=1e-12).y for step in (e, -e))
    same = ((up > 0) == (down > 0)).all(axis=1)  # no kink between
    assert same.sum() > 20
    expected = ((up - down) / (2 * e) * dy).sum(axis=1)
    found = (settle_grad(y, dy, U, V) * D).sum(axis=1)
    np.testing.assert_allclose(found[same], expected[same], rtol=1e-4, atol=1e-5)


def test_gradient_with_more_active_cells_than_settling_solves_at_once():
    rng = np.random.default_rng(0)
    n = LARGEST_SUPPORT + 20
    U = rng.gamma(0.5, size=(5, n)) / n
    dy = rng.normal(size=(1, n))
    expected = np.linalg.solve(np.eye(n) + (U.T @ U).T, dy[0])
    np.testing.assert_allclose(settle_grad(np.ones((1, n)), dy, U, -U.T)[0], expected)


def test_a_singular_sample_leaves_the_gradients_of_others_alone():
    """The first cell excites itself with gain 1, the second inhibits itself."""
    found = settle_grad(np.eye(2), np.ones((2, 2)), np.eye(2), np.diag([1.0, -1.0]))
    np.testing.assert_array_equal(found, [[np.nan, 0], [0, 0.5]])


def test_pathways_and_arrays_give_the_same():
    U, V, a = circuit("inhibitory")
    synapses = [Synapses.from_scipy(csr_array(W), sign=sign) for W, sign in ((U, "E"), (V, "I"))]
    np.testing.assert_array_equal(settle(a, *synapses).y, settle(a, U, V).y)


def test_the_residual_is_that_of_the_rates_returned():
    """Strong inhibition: one more evaluation of F would lead away from the rest."""
    U, V, a = circuit("inhibitory")
    y, q, residual, _ = settle(a, U, 30 * V, tol=1e-3)
    distance = np.abs(np.maximum(a + q @ (30 * V).T, 0) - y).max(axis=1)
    assert (distance <= 1e-3 * np.maximum(y, np.maximum(a + q @ (30 * V).T, 0)).max(axis=1) + 1e-12).all()
    assert (residual <= 1e-3).all()


def test_a_silent_sample_rests_at_once():
    U, V, a = circuit("inhibitory")
    y, q, residual, _ = settle(-np.abs(a), U, V)
    assert not y.any() and not q.any() and not residual.any()


def test_a_circuit_without_rest_is_flagged():
    """Two cells that excite each other without bound."""
    settled = settle(np.ones((1, 2)), np.eye(2), 2 * np.eye(2)[::-1], max_iter=50)
    assert settled.residual[0] > 1e-4 and settled.n_iter[0] == 50


def test_spectral_radius_is_the_largest_eigenvalue():
    U, V, _ = circuit("inhibitory")
    assert spectral_radius(U, V) == pytest.approx(np.abs(np.linalg.eigvals(V @ U)).max(), rel=1e-2)
    assert spectral_radius(0 * U, V) == 0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"drive": np.full((2, 40), np.nan)}, "drive must be a finite array"),
        ({"U": np.ones((10, 39))}, r"U must have shape \(n_I, 40\)"),
        ({"V": np.ones((40, 9))}, r"V must have shape \(40, 10\)"),
        ({"tol": 0.0}, "tol must be a finite number > 0, got 0.0"),
        ({"max_iter": 0}, "max_iter must be an integer >= 1, got 0"),
        ({"U": np.full((10, 40), np.nan)}, "U must hold finite weights"),
        ({"V": np.full((40, 10), -np.inf)}, "V must hold finite weights"),
        ({"start": np.ones((2, 2))}, "start must have the shape of drive"),
    ],
)
def test_refuses(change, match):
    U, V, a = circuit("inhibitory")
    with pytest.raises(ValueError, match=match):
        settle(**{"drive": a, "U": U, "V": V} | change)


def test_gradient_refuses_another_shape():
    U, V, a = circuit("inhibitory")
    with pytest.raises(ValueError, match="dy must have the shape of y"):
        settle_grad(a, a[:2], U, V)
