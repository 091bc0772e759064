"""bioneuro.connectivity: the statistics that each builder and initialiser promises."""

import pickle

import numpy as np
import pytest
from scipy import stats

from bioneuro import connectivity as con
from bioneuro.synapses import Synapses

SEED = 3
GRID = np.stack(np.meshgrid(np.arange(24.0), np.arange(24.0)), axis=-1).reshape(-1, 2)

BUILDERS = {
    "dense": lambda **options: con.dense(20, 30, **options),
    "density": lambda **options: con.random(20, 30, density=0.3, **options),
    "in_degree": lambda **options: con.random(20, 30, in_degree=7, **options),
    "dealt": lambda **options: con.dealt(20, 30, **options),
    "local": lambda **options: con.local_receptive_fields((9, 8, 2), 3, 2, 4, **options),
    "distance": lambda **options: con.distance_dependent(GRID, GRID[:50], 3.0, 0.5, **options),
}


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("sign", ["mixed", "E", "I"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_builder_gives_a_pathway_of_sign_and_dtype(name, sign, dtype):
    s = BUILDERS[name](sign=sign, dtype=dtype, random_state=SEED)
    assert isinstance(s, Synapses) and s.sign == sign and s.dtype == dtype and s.indices.dtype == np.int32
    sizes = np.abs(s.weights)
    assert s.nnz and sizes.min() >= np.float32(0.01) and sizes.max() <= np.float32(0.1)
    assert (s.weights < 0).all() if sign == "I" else (s.weights > 0).all()


@pytest.mark.parametrize("name", BUILDERS)
def test_every_builder_is_reproducible(name):
    def built(random_state):
        s = BUILDERS[name](random_state=random_state)
        return s.indptr.tolist(), s.indices.tolist(), s.weights.tolist()

    assert built(SEED) == built(SEED) != built(SEED + 1)
    assert built(np.random.default_rng(SEED)) == built(np.random.default_rng(SEED))
    assert built(np.random.RandomState(SEED)) == built(np.random.RandomState(SEED))
    rng = np.random.default_rng(SEED)
    assert built(rng) != built(rng)  # a Generator goes on


def test_dense():
    s = con.dense(20, 30)
    assert s.shape == (20, 30) and s.density == 1
    np.testing.assert_array_equal(s.row(7)[0], np.arange(30))


@pytest.mark.parametrize(
    ("shape", "density"), [((400, 500), 0.1), ((1000, 70), 0.9), ((3000, 4000), 1e-4), ((9, 7), 1)]
)
def test_random_density_is_binomial(shape, density):
    s = con.random(*shape, density=density, random_state=SEED)
    low, high = stats.binom.interval(1 - 1e-6, shape[0] * shape[1], density)
    assert low <= s.nnz <= high
    # Neither rows nor columns are favoured.
    for axis in (0, 1):
        counts = np.asarray((s.to_scipy() != 0).sum(axis=axis))
        expected = density * shape[axis]
        assert counts.var() <= 1.5 * expected * (1 - density) + 1e-12


def test_random_of_vanishing_density_is_empty():
    assert con.random(3, 5, density=1e-300, random_state=SEED).nnz == 0


def test_random_in_degree_is_exact_and_uniform():
    s = con.random(2000, 50, in_degree=5, random_state=SEED)
    np.testing.assert_array_equal(np.diff(s.indptr), 5)
    out_degree = np.bincount(s.indices, minlength=50)
    assert stats.chisquare(out_degree).pvalue > 1e-4
    assert con.random(4, 6, in_degree=6).density == 1


@pytest.mark.parametrize(("n_post", "n_pre"), [(1, 1), (1, 5), (5, 5), (7, 30), (400, 2000)])
def test_dealt_wires_every_cell_once(n_post, n_pre):
    s = con.dealt(n_post, n_pre, random_state=SEED)
    assert s.shape == (n_post, n_pre)
    np.testing.assert_array_equal(np.sort(s.indices), np.arange(n_pre))
    assert {n_pre // n_post, -(-n_pre // n_post)} == set(np.diff(s.indptr).tolist())


def test_dealt_is_random():
    """Which cells meet does not depend on their numbers."""
    post = con.dealt(400, 2000, random_state=SEED).to_scipy().tocsc().indices
    assert abs(stats.spearmanr(post, np.arange(2000)).statistic) < 0.1


def test_local_receptive_fields():
    s = con.local_receptive_fields((9, 8, 2), 3, 2, n_cells=4, random_state=SEED)
    assert s.shape == (4 * 3 * 4, 9 * 8 * 2)  # 4 x 3 windows of 4 cells
    for cell, (top, left) in {0: (0, 0), 3: (0, 0), 4: (0, 2), 12: (2, 0), 47: (6, 4)}.items():
        window = np.zeros((9, 8, 2), bool)
        window[top : top + 3, left : left + 3] = True
        np.testing.assert_array_equal(s.row(cell)[0], np.flatnonzero(window))
    assert con.local_receptive_fields((5, 6), 5).shape == (2, 30)


def test_distance_law():
    probability, length = 0.6, 4.0
    s = con.distance_dependent(GRID, GRID, length, probability, random_state=SEED)
    post = np.repeat(np.arange(len(GRID)), np.diff(s.indptr))
    squared = ((GRID[:, None] - GRID) ** 2).sum(axis=-1).astype(int)
    pairs = np.bincount(squared.ravel())
    connected = np.bincount(squared[post, s.indices], minlength=len(pairs))
    d2 = np.flatnonzero(pairs > 1500)
    law = probability * np.exp(-d2 / (2 * length**2))
    sd = np.sqrt(law * (1 - law) / pairs[d2])
    assert (np.abs(connected[d2] / pairs[d2] - law) < 5 * sd + 1e-9).all()
    rings = [np.sum(connected[a:b]) / np.sum(pairs[a:b]) for a, b in ((0, 9), (9, 25), (25, 64), (64, 400))]
    assert rings == sorted(rings, reverse=True)


def test_distance_dependent_does_not_depend_on_its_blocks(monkeypatch):
    whole = con.distance_dependent(GRID, GRID, 2.0, random_state=SEED)
    monkeypatch.setattr(con, "_PAIRS_AT_ONCE", 10 * len(GRID) + 1)
    blocks = con.distance_dependent(GRID, GRID, 2.0, random_state=SEED)
    np.testing.assert_array_equal(whole.indices, blocks.indices)
    np.testing.assert_array_equal(whole.indptr, blocks.indptr)


# --- initialisers

N = 200_000
MOMENTS = {  # mean, standard deviation
    con.Uniform(): (0.055, 0.09 / np.sqrt(12)),
    con.Uniform(-1, 3): (1, 4 / np.sqrt(12)),
    con.HalfNormal(2.0): (2 * np.sqrt(2 / np.pi), 2 * np.sqrt(1 - 2 / np.pi)),
    con.LogNormal(): (np.exp(-0.702 + 0.9355**2 / 2), np.exp(-0.702 + 0.9355**2 / 2) * np.sqrt(np.expm1(0.9355**2))),
    con.LogNormal(1.0, 0.0): (np.e, 0),
    con.Constant(0.3): (0.3, 0),
    con.MixedSign(con.Constant(0.3)): (0, 0.3),
    con.MixedSign(con.HalfNormal(2.0)): (0, 2),
    con.MixedSign(): (0, np.sqrt(0.055**2 + 0.09**2 / 12)),
}


@pytest.mark.parametrize("init", MOMENTS, ids=repr)
def test_moments(init):
    mean, sd = MOMENTS[init]
    w = init(np.random.default_rng(SEED), N)
    assert w.shape == (N,) and w.dtype == np.float64
    assert abs(w.mean() - mean) < 5 * sd / np.sqrt(N) + 1e-12
    assert abs(w.std() - sd) < 0.05 * sd + 1e-12
    assert pickle.loads(pickle.dumps(init)) == init


def test_lognormal_is_lognormal():
    w = con.LogNormal(0.5, 0.8)(np.random.default_rng(SEED), 5000)
    assert stats.kstest(np.log(w), "norm", (0.5, 0.8)).pvalue > 1e-3


@pytest.mark.parametrize("name", con.INITIALISERS)
def test_names_stand_for_the_defaults(name):
    by_name = con.dense(4, 5, name, random_state=SEED).weights
    np.testing.assert_array_equal(by_name, con.dense(4, 5, con.INITIALISERS[name](), random_state=SEED).weights)


def test_any_function_is_an_initialiser():
    s = con.dense(2, 3, lambda rng, n: np.arange(n) + 1.0, sign="I")
    np.testing.assert_array_equal(s.weights, -np.arange(1.0, 7))


# --- what is refused


@pytest.mark.parametrize(
    ("make", "error", "match"),
    [
        (lambda: con.dense(0, 3), ValueError, "n_post must be an integer >= 1, got 0"),
        (lambda: con.random(3, 0, density=0.5), ValueError, "n_pre must be an integer >= 1, got 0"),
        (lambda: con.dense(2, 3, ["uniform"]), ValueError, r"unknown initialiser \['uniform'\]; choose one of"),
        (lambda: con.dense(2, 3, "cauchy"), ValueError, "unknown initialiser 'cauchy'; choose one of uniform, half"),
        (lambda: con.dense(2, 3, dtype=np.float16), TypeError, "data must be float32 or float64, got float16"),
        (lambda: con.dense(2, 3, "mixed_sign", sign="E", random_state=0), ValueError, "'E' needs weights >= 0"),
        (lambda: con.dense(2, 3, sign="e"), ValueError, "sign must be"),
        (lambda: con.random(2, 3), ValueError, "density or in_degree"),
        (lambda: con.random(2, 3, density=0.5, in_degree=1), ValueError, "density or in_degree"),
        (lambda: con.random(2, 3, density=0), ValueError, r"density must be a number in \(0, 1\], got 0"),
        (lambda: con.random(2, 3, density=np.nan), ValueError, r"density must be a number in \(0, 1\], got nan"),
        (lambda: con.random(2, 3, in_degree=4), ValueError, r"in_degree must be an integer in \[1, 3\], got 4"),
        (lambda: con.dealt(4, 3), ValueError, r"n_post must be an integer in \[1, 3\], got 4"),
        (lambda: con.local_receptive_fields((5,), 3), ValueError, "image_shape must be"),
        (lambda: con.local_receptive_fields((5, 4), 5), ValueError, r"field must be an integer in \[1, 4\], got 5"),
        (lambda: con.local_receptive_fields((5, 5), 3, 0), ValueError, "stride must be an integer >= 1, got 0"),
        (lambda: con.local_receptive_fields((5, 5), 3, 1, 0), ValueError, "n_cells must be an integer >= 1, got 0"),
        (lambda: con.distance_dependent([1, 2], GRID, 1), ValueError, "post_positions must be a finite array"),
        (lambda: con.distance_dependent(GRID, GRID * np.nan, 1), ValueError, "pre_positions must be a finite"),
        (lambda: con.distance_dependent(GRID[:, :1], GRID, 1), ValueError, "share n_dimensions, got 1 and 2"),
        (lambda: con.distance_dependent(GRID, GRID, 0), ValueError, "length_scale must be a finite number > 0, got 0"),
        (
            lambda: con.distance_dependent(GRID, GRID, 1, 1.1),
            ValueError,
            r"max_probability must be a number in \(0, 1\]",
        ),
        (lambda: con.Uniform(2, 1), ValueError, "low must be <= high, got 2 and 1"),
        (lambda: con.HalfNormal(0), ValueError, "scale must be a finite number > 0, got 0"),
        (lambda: con.LogNormal(0, -1), ValueError, "sigma must be a finite number >= 0, got -1"),
    ],
)
def test_refuses(make, error, match):
    with pytest.raises(error, match=match):
        make()


@pytest.mark.parametrize("made", [lambda n: np.ones(n, complex), lambda n: ["a"] * n, lambda n: None])
def test_what_an_initialiser_of_ones_own_returns_is_checked(made):
    with pytest.raises(TypeError, match="what init returns must be an array of numbers"):
        con.random(4, 5, density=0.5, init=lambda rng, n: made(n), random_state=0)
