"""bioneuro.rules.Turnover: survival is logistic, scaling holds the density, and what settles is what steps lead to."""

import dataclasses
import pickle
import re

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import skew

from bioneuro import Synapses, reference
from bioneuro.rules import Turnover

VALUES = [np.float32, np.float64]
SETTINGS = [
    Turnover(),
    Turnover(birth=0.25, death=0.25),
    Turnover(birth=0.0005, death=0.02),
    Turnover(birth=0.01, death=0.02, gamma=0),
    Turnover(birth=0.005, death=0.02, gamma=4),
    Turnover(birth=0.0002, death=0.02, gamma=3),
]


def lognormal(n, n_pre, sd=0.9, value=np.float64, seed=0):
    """Rows of ``exp(sd z)``, z standard normal."""
    return np.exp(sd * np.random.default_rng(seed).standard_normal((n, n_pre))).astype(value)


def equilibrium(rule, W):
    """Survival at which it and the norm of what survives agree, by bisection: the one grows with the norm's inverse."""
    log_low, log_high = np.full((len(W), 1), -30.0), np.full((len(W), 1), 30.0)
    for _ in range(60):
        log_norm = (log_low + log_high) / 2
        alive = rule.survival(W * np.sqrt(W.shape[1]) * np.exp(-log_norm))
        small = (alive * W**2).sum(axis=1, keepdims=True) > np.exp(2 * log_norm)
        log_low, log_high = np.where(small, log_norm, log_low), np.where(small, log_high, log_norm)
    return alive


def scaled(W, sign="E"):
    """The pathway of dense weights, at unit norm; their signs are those of ``sign``."""
    S = Synapses.from_scipy(sp.csr_array(W * W.dtype.type(-1 if sign == "I" else 1)), sign=sign)
    S.normalize_rows()
    return S


def norms(data, indptr):
    return np.sqrt(np.add.reduceat(data.astype(float) ** 2, indptr[:-1]))


# --- survival ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", [0.5, 1.5, 4.0])
def test_survival_is_logistic_in_log_size(gamma):
    rule, log_size = Turnover(birth=0.03, death=0.2, gamma=gamma), np.linspace(-3, 3, 50)
    survival = rule.survival(np.exp(log_size))
    np.testing.assert_allclose(np.log(survival / (1 - survival)), gamma * log_size + np.log(0.03 / 0.2), atol=1e-11)
    np.testing.assert_allclose(rule.survival(np.array([(0.2 / 0.03) ** (1 / gamma)])), 0.5)


@pytest.mark.parametrize("value", VALUES)
def test_survival_has_limits(value):
    sizes = np.array([0, np.finfo(value).tiny, 1, np.finfo(value).max, np.inf], value)
    alive = Turnover(birth=0.1, death=0.1, gamma=2).survival(sizes)
    assert alive.dtype == value
    np.testing.assert_array_equal(alive, [0, 0, 0.5, 1, 1])
    np.testing.assert_array_equal(Turnover(birth=0.1, death=0).survival(sizes), np.ones(5))
    np.testing.assert_array_equal(Turnover(birth=0, death=0).survival(sizes), np.ones(5))
    np.testing.assert_array_equal(Turnover(birth=0, death=0.1).survival(sizes), np.zeros(5))
    np.testing.assert_allclose(Turnover(birth=0.1, death=0.3, gamma=0).survival(sizes), np.full(5, 0.25))


# --- settle ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", SETTINGS, ids=repr)
@pytest.mark.parametrize("sd", [0.01, 0.9])
def test_settled_synapses_are_alive_as_likely_as_survival_says(rule, sd):
    """All together, and among those of like probability: within 4.5 standard deviations, at a fixed seed."""
    W = lognormal(200, 500, sd)
    rows = rule.settle(W, np.random.default_rng(1))
    p, alive = equilibrium(rule, W), rows.toarray() > 0
    order = np.argsort(p, axis=None, kind="stable")
    for group in [order, *np.array_split(order, 8)]:
        expected, variance = p.flat[group].sum(), (p * (1 - p)).flat[group].sum()
        assert abs(alive.flat[group].sum() - expected) <= 4.5 * np.sqrt(variance)


@pytest.mark.parametrize("value", VALUES)
def test_settled_rows_have_unit_norm_and_the_weights_given(value):
    W = lognormal(50, 300, value=value)
    rows = Turnover().settle(W, np.random.default_rng(0))
    assert rows.shape == W.shape and rows.dtype == value and rows.has_canonical_format
    np.testing.assert_allclose(norms(rows.data, rows.indptr), 1, rtol=10 * np.finfo(value).eps)
    of = np.repeat(np.arange(50), np.diff(rows.indptr))
    ratio = rows.data / W[of, rows.indices]
    np.testing.assert_allclose(ratio, ratio[rows.indptr[of]], rtol=10 * np.finfo(value).eps)
    again = Turnover().settle(W, np.random.default_rng(0))
    np.testing.assert_array_equal(again.toarray(), rows.toarray())


def test_nothing_collapses_and_what_is_left_is_lognormal_like():
    """At the default birth / death of .25 and gamma of 1.5."""
    rows = Turnover().settle(lognormal(300, 500), np.random.default_rng(0))
    assert 0.05 < rows.nnz / np.prod(rows.shape) < 0.2
    assert np.diff(rows.indptr).min() > 0.05 * 500
    assert abs(skew(np.log(rows.data))) < 0.5


def test_scale_does_not_matter():
    W = lognormal(20, 100)
    rows = [Turnover().settle(W * scale, np.random.default_rng(0)).toarray() for scale in (1, 2.0**-60, 2.0**60)]
    np.testing.assert_allclose(rows[1], rows[0], rtol=1e-12)
    np.testing.assert_allclose(rows[2], rows[0], rtol=1e-12)


@pytest.mark.parametrize("birth", [0, 0.1])
def test_all_live_where_nothing_dies(birth):
    W = lognormal(5, 40)
    rows = Turnover(birth=birth, death=0).settle(W, np.random.default_rng(0))
    np.testing.assert_allclose(rows.toarray(), W / np.linalg.norm(W, axis=1, keepdims=True), rtol=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", VALUES)
def test_none_live_where_nothing_is_born(value):
    rows = Turnover(birth=0, death=0.1).settle(lognormal(5, 40, value=value), np.random.default_rng(0))
    assert rows.nnz == 0 and rows.shape == (5, 40) and rows.dtype == value


# --- step --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("sign", ["E", "I"])
def test_a_step_is_deaths_and_births_at_the_weight_of_equal_synapses_then_scaling(value, sign):
    rule, n_pre = Turnover(birth=0.1, death=0.2), 120
    S = scaled(lognormal(30, n_pre, value=value) * (np.random.default_rng(1).random((30, n_pre)) < 0.5), sign)
    time = np.linspace(0, 2, 30).astype(value)
    indptr, indices, data, n_died = reference.turnover(
        S.indptr, S.indices, S.weights, n_pre, birth=0.1, death=0.2, gamma=1.5, size=n_pre**-0.5, time=time, sign=sign,
        seed=3, step=4,
    )  # fmt: skip
    first, before = S.row(0), S.nnz
    died, born = rule.step(S, time, seed=3, step=4)
    assert died == n_died > 0 and born == len(indices) - before + died > 0
    np.testing.assert_array_equal(S.indptr, indptr)
    np.testing.assert_array_equal(S.indices, indices)
    unit = data / np.repeat(norms(data, indptr), np.diff(indptr))
    np.testing.assert_allclose(S.weights, unit, rtol=1e-5 if value == np.float32 else 1e-12)
    np.testing.assert_allclose(norms(S.weights, S.indptr), 1, rtol=1e-6)
    assert (S.weights * (-1 if sign == "I" else 1) > 0).all()
    np.testing.assert_array_equal(S.row(0)[0], first[0])  # for which no time has passed


def test_nothing_happens_without_rates_or_without_time():
    S = scaled(lognormal(10, 40))
    weights, versions = S.weights.copy(), (S.version, S.structure_version)
    still = Turnover(birth=0, death=0)
    assert not still and Turnover() and Turnover(birth=0) and Turnover(death=0)
    assert still.step(S, np.ones(10), seed=0, step=0) == (0, 0)
    assert Turnover().step(S, np.zeros(10), seed=0, step=0) == (0, 0)
    assert (S.version, S.structure_version) == versions
    np.testing.assert_array_equal(S.weights, weights)


@pytest.mark.parametrize("start", ["all", "few"])
def test_steps_lead_to_where_settle_is_at_once(start):
    """Learning, which gives each synapse its would-be weight, against turnover: whether all or few are there at first,
    the density becomes that of the equilibrium, and does not collapse."""
    n, n_pre = 60, 300
    would_be, rule = lognormal(n, n_pre), Turnover(birth=0.02, death=0.08)
    alive = would_be if start == "all" else would_be * (np.random.default_rng(1).random((n, n_pre)) < 0.01)
    S = scaled(alive)
    counts = []
    for step in range(400):
        rule.step(S, np.ones(n), seed=2, step=step)
        of = np.repeat(np.arange(n), np.diff(S.indptr))
        learned = sp.csr_array((would_be[of, S.indices], S.indices, S.indptr), shape=(n, n_pre))
        S = Synapses.from_scipy(learned, sign="E")
        S.normalize_rows()
        if step >= 200:
            counts.append(S.nnz)
    assert np.mean(counts) == pytest.approx(equilibrium(rule, would_be).sum(), rel=0.05)
    assert np.std(counts) < 0.1 * np.mean(counts)


# --- as a value --------------------------------------------------------------------------------------------


def test_equal_objects_are_equal():
    one, same, other = Turnover(gamma=2), Turnover(gamma=2.0), Turnover(gamma=3)
    assert one == same and hash(one) == hash(same) and one != other and len({one, same, other}) == 2
    assert pickle.loads(pickle.dumps(one)) == one
    assert dataclasses.replace(other, gamma=2) == one
    with pytest.raises(dataclasses.FrozenInstanceError, match="gamma"):
        one.gamma = 3


@pytest.mark.parametrize("name", ["birth", "death", "gamma"])
@pytest.mark.parametrize("bad", [-0.1, np.nan, np.inf])
def test_refused(name, bad):
    with pytest.raises(ValueError, match=rf"{name} must be a number in \[0, 1000?\], got {bad}"):
        Turnover(**{name: bad})


def test_parameters_are_named():
    with pytest.raises(TypeError, match="positional"):
        Turnover(0.1)


def test_a_step_that_is_refused_changes_nothing():
    W = lognormal(4, 30)
    S, mixed = scaled(W), Synapses.from_scipy(sp.csr_array(W), sign="mixed")
    weights = S.weights.copy()
    for synapses, time, message in (
        (S, np.ones(3), "time must have shape (4,), got (3,)"),
        (S, np.array([1.0, 1, -1, 1]), "time must be finite and >= 0, but time[2] = -1"),
        (S, np.full(4, np.nan), "time must be finite and >= 0"),
        (mixed, np.ones(4), "turnover needs a pathway of sign 'E' or 'I', this one has 'mixed'"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            Turnover(birth=1, death=1).step(synapses, time, seed=0, step=0)
    with pytest.raises(ValueError, match="seed must be an integer"):
        Turnover().step(S, np.ones(4), seed=-1, step=0)
    np.testing.assert_array_equal(S.weights, weights)
    assert S.structure_version == 0
