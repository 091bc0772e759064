"""Turnover of synapses: survival, what a long life leaves, and its parameters."""

import numpy as np
import pytest

from bioneuro import connectivity
from bioneuro.rules import Turnover


def test_survival_is_logistic_in_the_log_of_the_size():
    turnover = Turnover(birth=0.01, death=0.05, gamma=2.0)
    size = np.array([0.0, 0.1, 1.0, np.sqrt(5), 10.0])
    with np.errstate(divide="ignore"):
        expected = 1 / (1 + np.exp(-(np.log(0.2) + 2 * np.log(size))))
    np.testing.assert_allclose(turnover.survival(size), expected)
    assert turnover.survival(size)[3] == pytest.approx(0.5)
    np.testing.assert_array_equal(Turnover(birth=0.1, death=0).survival(size), 1)


def test_settled_cells_have_unit_norm_and_the_share_of_synapses_that_survives_at_it():
    turnover, rng = Turnover(birth=0.005, death=0.02, gamma=1.5), np.random.default_rng(0)
    W = rng.lognormal(0, 1, (50, 2000))
    rows = turnover.settle(W, rng)
    np.testing.assert_allclose((rows * rows).sum(axis=1), 1)
    alive = rows.toarray() > 0
    scale = np.sqrt((W**2 * alive).sum(axis=1, keepdims=True) / 2000)  # weights in units of w0
    expected = turnover.survival(W / scale)
    assert alive.mean() == pytest.approx(expected.mean(), rel=0.02)
    large = np.quantile(W, 0.9) < W
    assert alive[large].mean() == pytest.approx(expected[large].mean(), rel=0.02)
    kept = rows.toarray()[alive] * np.broadcast_to(scale, W.shape)[alive] * np.sqrt(2000)
    np.testing.assert_allclose(kept, W[alive])


def test_cells_settle_at_few_synapses_from_heavy_tails_and_at_more_from_light_ones():
    turnover, rng = Turnover(), np.random.default_rng(1)
    density = [turnover.settle(rng.lognormal(0, sd, (20, 1000)), rng).nnz / 20_000 for sd in (0.2, 1.0, 2.0)]
    assert density[0] > density[1] > density[2] > 0


def test_a_step_kills_the_small_and_scales_what_is_left():
    synapses = connectivity.dense(20, 300, "lognormal", sign="E", random_state=0, dtype=np.float64)
    synapses.normalize_rows()
    before = synapses.to_scipy().toarray()
    died, born = Turnover(birth=1e-9, death=0.3, gamma=2.0).step(synapses, np.ones(20), seed=0, step=0)
    after = synapses.to_scipy().toarray()
    assert died > 100 and born == 0 and died == (after == 0).sum()
    assert np.median(before[after == 0]) < 0.7 * np.median(before[after > 0])
    np.testing.assert_allclose((after**2).sum(axis=1), 1)


def test_nothing_turns_over_where_no_time_passes_or_rates_are_zero():
    synapses = connectivity.random(10, 30, density=0.5, sign="E", random_state=0)
    weights = synapses.weights.copy()
    assert Turnover(birth=1, death=1).step(synapses, np.zeros(10, np.float32), seed=0, step=0) == (0, 0)
    off = Turnover(birth=0, death=0)
    assert not off and off.step(synapses, np.ones(10, np.float32), seed=0, step=0) == (0, 0)
    np.testing.assert_array_equal(synapses.weights, weights)


@pytest.mark.parametrize("name", ["birth", "death", "gamma"])
@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_refuses(name, value):
    with pytest.raises(ValueError, match=f"{name} must be >= 0 and finite, got {value}"):
        Turnover(**{name: value})


def test_refuses_deaths_without_births():
    with pytest.raises(ValueError, match=r"birth must be > 0 where synapses die \(death = 0.02\), got 0"):
        Turnover(birth=0)
