"""Mixing layer: wiring, signs, running moments, gradient, threads, refusals."""

import numpy as np
import pytest

from bioneuro.layers import Mixing


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def slope(f, X, D, e=1e-6):
    """Directional derivative of f at X along D, by central differences."""
    return (f(X + e * D) - f(X - e * D)) / (2 * e)


def summed_input(mixing, H):
    E, U, I_ = (s.to_scipy().toarray() for s in (mixing.excitatory, mixing.to_inhibitory, mixing.inhibitory))
    return H @ (E + I_ @ U).T


def test_rates_are_the_rectified_standardised_input_of_unit_norm(rng):
    H = rng.gamma(1, size=(400, 24))
    mixing = Mixing(24, 60, 3, baseline=0.5, dtype=np.float64, random_state=0).learn(H)
    P = summed_input(mixing, H)
    x = np.maximum((P - P.mean(axis=0)) / P.std(axis=0) + 0.5, 0)
    expected = x / np.linalg.norm(x, axis=1, keepdims=True)
    np.testing.assert_allclose(mixing.encode(H), expected, atol=1e-8)
    active = (mixing.encode(H) > 0).mean(axis=0)
    assert 0.55 < active.min() and active.max() < 0.85  # Phi(.5) = .69 of a normal input


def test_every_cell_makes_synapses_of_one_sign_and_hears_as_many_of_each():
    mixing = Mixing(30, 50, 4, random_state=0)
    pathways = mixing.pathways()
    signs = {name: np.unique(np.sign(s.weights)).tolist() for name, s in pathways.items()}
    assert signs == {"mixing_excitatory": [1], "mixing_e_to_i": [1], "mixing_inhibitory": [-1]}
    assert set(np.diff(mixing.excitatory.indptr)) == set(np.diff(mixing.inhibitory.indptr)) == {4}
    assert mixing.presynaptic == {"mixing_inhibitory": "mixing_i"}


@pytest.mark.parametrize("n_inputs", [1, 2, 5, 40, 41])
def test_every_input_reaches_an_inhibitory_cell(n_inputs):
    """Four inputs, or as many as there are, drive each; what excites and what inhibits then weighs the same."""
    U = Mixing(n_inputs, 7, 4, dtype=np.float64, random_state=0).to_inhibitory.to_scipy().toarray()
    assert U.shape == (-(-n_inputs // 4), n_inputs)
    np.testing.assert_array_equal(U.sum(axis=0), 0.25)


@pytest.mark.parametrize(("n_inputs", "of_each"), [(1, (1, 1)), (4, (2, 1)), (12, (6, 1)), (64, (8, 8))])
def test_no_cell_hears_more_than_half_of_the_inputs(n_inputs, of_each):
    """If all heard all, they would be alike."""
    mixing = Mixing(n_inputs, 10, 8, random_state=0)
    assert (mixing.excitatory.nnz / 10, mixing.inhibitory.nnz / 10) == of_each


def test_few_inputs_are_told_apart(rng):
    X = Mixing(4, 100, dtype=np.float64, random_state=0).learn(rng.gamma(1, size=(200, 4))).encode(np.eye(4) + 0.5)
    assert (X @ X.T - np.eye(4)).max() < 0.9


def test_gradient(rng):
    H = rng.gamma(1, size=(50, 16))
    mixing = Mixing(16, 40, dtype=np.float64, random_state=0).learn(H)
    dX, D = rng.normal(size=(50, 40)), rng.normal(size=H.shape)
    expected = slope(lambda Z: (mixing.encode(Z) * dX).sum(), H, D)
    assert (mixing.encode_grad(H, dX) * D).sum() == pytest.approx(expected, rel=1e-6)


def test_moments_do_not_depend_on_how_the_data_are_cut(rng):
    H = rng.gamma(1, size=(300, 12))
    whole = Mixing(12, 30, dtype=np.float64, random_state=0).learn(H)
    for cuts in ([1, 2], [150], range(10, 300, 10)):
        parts = Mixing(12, 30, dtype=np.float64, random_state=0)
        for batch in np.split(H, cuts):
            parts.learn(batch)
        np.testing.assert_allclose(parts.encode(H), whole.encode(H), atol=1e-12)
        assert parts.moments.count == 300


def test_a_cell_whose_input_never_varies_fires_at_its_baseline():
    H = np.tile(np.linspace(0, 1, 8), (20, 1))
    mixing = Mixing(8, 25, dtype=np.float64, random_state=0).learn(H)
    X = mixing.encode(H + 1.0)
    np.testing.assert_allclose(X, 0.2, atol=1e-6)  # 25 equal rates of norm 1
    assert not mixing.encode_grad(H, np.ones((20, 25))).any()


def test_a_silent_layer_is_silent_and_has_a_finite_gradient(rng):
    H = rng.gamma(1, size=(50, 8))
    mixing = Mixing(8, 6, baseline=-50.0, random_state=0).learn(H)
    assert not mixing.encode(H).any() and not mixing.encode_grad(H, np.ones((50, 6), np.float32)).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_number_of_threads_changes_no_bit(rng, dtype):
    H, found = rng.gamma(1, size=(300, 64)).astype(dtype), []
    for n_threads in (1, 2, 3):
        mixing = Mixing(64, 500, dtype=dtype, n_threads=n_threads, random_state=0).learn(H)
        X = mixing.encode(H)
        found.append((X, mixing.encode_grad(H, X)))
        assert X.dtype == dtype
    for X, gradient in found[1:]:
        np.testing.assert_array_equal(X, found[0][0])
        np.testing.assert_array_equal(gradient, found[0][1])


def test_a_seed_gives_the_same_wiring_again_and_another_another():
    first, again, other = (Mixing(20, 30, random_state=seed) for seed in (3, 3, 4))
    for name in first.pathways():
        np.testing.assert_array_equal(first.pathways()[name].indices, again.pathways()[name].indices)
        assert not np.array_equal(first.pathways()[name].indices, other.pathways()[name].indices)


@pytest.mark.parametrize("name", ["n_inputs", "n_cells", "n_synapses"])
@pytest.mark.parametrize("value", [0, 2.5])
def test_refuses_a_number_of_parts(name, value):
    with pytest.raises(ValueError, match=f"{name} must be an integer >= 1, got {value}"):
        Mixing(**{"n_inputs": 8, name: value}, random_state=0)


@pytest.mark.parametrize("baseline", [np.nan, np.inf])
def test_refuses_a_baseline(baseline):
    with pytest.raises(ValueError, match=f"baseline must be a finite number, got {baseline}"):
        Mixing(8, baseline=baseline, random_state=0)


@pytest.mark.parametrize(
    ("H", "message"),
    [
        (np.ones((3, 7)), r"H must have shape \(batch >= 1, 8\), got \(3, 7\)"),
        (np.ones((0, 8)), r"H must have shape \(batch >= 1, 8\), got \(0, 8\)"),
        (np.full((3, 8), np.nan), "H must be finite"),
    ],
)
def test_what_it_refuses_to_learn_leaves_no_trace(rng, H, message):
    good = rng.gamma(1, size=(5, 8)).astype(np.float32)
    mixing = Mixing(8, 10, random_state=0).learn(good)
    before = mixing.encode(good)
    with pytest.raises(ValueError, match=message):
        mixing.learn(H)
    np.testing.assert_array_equal(mixing.encode(good), before)
