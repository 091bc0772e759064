"""bioneuro.rules: each rule does what its theory says, keeps signs, and fails without a trace."""

import copy
import dataclasses
import doctest
import pickle
import re

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.base import BaseEstimator, clone

import bioneuro as bn
from bioneuro import rules
from bioneuro.rules import (
    BCM,
    RULES,
    AdditiveRule,
    Contrastive,
    Exponential,
    FunctionRule,
    FusedRule,
    Instar,
    KrotovHopfield,
    LogCovariance,
    LogPower,
    LogRelaxation,
    Oja,
    Signed,
    TransmitterCompetition,
    Vogels,
    WeightPerturbation,
    as_rule,
)

N_POST, N_PRE, BATCH = 5, 9, 7
PAIRS = [(name, sign) for name, rule in RULES.items() for sign in rule.signs]


def pathway(sign="mixed", seed=0, dtype=np.float64, n_post=N_POST, n_pre=N_PRE, density=0.6):
    rng = np.random.default_rng(seed)
    W = rng.uniform(0.01, 0.5, (n_post, n_pre)) * (rng.random((n_post, n_pre)) < density)
    W *= {"E": 1, "I": -1, "mixed": rng.choice([-1, 1], W.shape)}[sign]
    return bn.Synapses.from_scipy(sp.csr_array(W.astype(dtype)), sign=sign)


def rates(seed=1, batch=BATCH, dtype=np.float64):
    rng = np.random.default_rng(seed)
    return rng.random((batch, N_PRE)).astype(dtype), rng.random((batch, N_POST)).astype(dtype)


def take_step(rule, synapses, X, Y, gain=None, reward=0.7):
    """One step of any rule; for a rewarded one the whole trial."""
    if rule.rewarded:
        rule.perturb(synapses)
        rule.step(synapses, X, Y, gain, reward=reward)
    else:
        rule.step(synapses, X, Y, gain)


def ready(name):
    """A rule that changes weights at its first step: weight perturbation takes differences of rewards."""
    return RULES[name](memory=None) if name == "perturbation" else RULES[name]()


def dense_rows(synapses):
    return synapses.to_scipy().toarray()


# --- Oja


def centred(n=400, n_pre=N_PRE, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, n_pre)) @ rng.normal(size=(n_pre, n_pre))
    return X - X.mean(axis=0)


def test_oja_finds_the_first_principal_component_that_its_synapses_allow():
    X, synapses = centred(), pathway(density=0.7)
    rule = Oja(eta=0.02)
    for _ in range(3000):
        rule.step(synapses, X, synapses.forward(X))
    for i in range(N_POST):
        columns, w = synapses.row(i)
        first = np.linalg.eigh(X[:, columns].T @ X[:, columns])[1][:, -1]
        assert np.linalg.norm(w) == pytest.approx(1, abs=1e-9)
        assert abs(first @ w) == pytest.approx(1, abs=1e-9)


def test_oja_learns_the_same_component_from_single_samples():
    """Stochastic: the direction to 1 % with a falling learning rate."""
    X = centred(2000)
    synapses = bn.connectivity.dense(1, N_PRE, bn.connectivity.MixedSign(), random_state=0, dtype=float)
    for t, x in enumerate(np.tile(X, (3, 1))):
        Oja(eta=0.5 / (200 + t)).step(synapses, x[None], synapses.forward(x[None]))
    first = np.linalg.svd(X, full_matrices=False)[2][0]
    assert abs(first @ synapses.weights) > 0.99 * np.linalg.norm(synapses.weights)


@pytest.mark.parametrize("sign", ["E", "I"])
def test_oja_on_rates_finds_the_component_within_the_sign(sign):
    """The first component of uncentred rates has one sign (Perron), so the bound at 0 takes nothing away."""
    X = np.random.default_rng(0).random((300, N_PRE))
    synapses = pathway(sign, density=1)
    rule = Oja(eta=0.1)
    for _ in range(500):
        rule.step(synapses, X, synapses.forward(X) * (-1 if sign == "I" else 1))
    first = np.abs(np.linalg.eigh(X.T @ X)[1][:, -1])
    np.testing.assert_allclose(np.abs(dense_rows(synapses)), np.tile(first, (N_POST, 1)), atol=1e-9)


# --- instar


@pytest.mark.parametrize("eta", [0.5, 1e3])
def test_instar_goes_to_the_mean_input_at_which_the_cell_is_active(eta):
    X, Y = rates(batch=60)
    Y *= np.random.default_rng(3).random(Y.shape) < 0.3
    Y[:, 2] = 0  # a cell that is never active
    synapses = pathway("E")
    start = dense_rows(synapses)
    rule = Instar(eta=eta)
    for _ in range(2000):
        rule.step(synapses, X, Y)
    W, active = dense_rows(synapses), np.arange(N_POST) != 2
    stored = start != 0
    expected = (Y.T @ X)[active] / Y.sum(axis=0)[active, None]
    np.testing.assert_allclose(W[active][stored[active]], expected[stored[active]], rtol=1e-9)
    np.testing.assert_array_equal(W[2], start[2])
    assert not W[~stored].any()


def test_instar_with_one_winner_finds_cluster_means():
    rng = np.random.default_rng(0)
    centres, label = rng.random((N_POST, N_PRE)), rng.integers(N_POST, size=200)
    X, Y = centres[label] + 0.05 * rng.random((200, N_PRE)), np.eye(N_POST)[label]
    synapses = pathway("E", density=1)
    rule = Instar(eta=1.0)
    for _ in range(500):
        rule.step(synapses, X, Y)
    means = np.stack([X[label == i].mean(axis=0) for i in range(N_POST)])
    np.testing.assert_allclose(dense_rows(synapses), means, rtol=1e-9)


def test_instar_is_the_textbook_step_for_a_small_eta():
    X, Y = rates(batch=1)
    synapses = pathway("mixed", density=1)
    W = dense_rows(synapses)
    Instar(eta=1e-6).step(synapses, X, Y)
    np.testing.assert_allclose((dense_rows(synapses) - W) / 1e-6, Y.T * (X - W), rtol=1e-5)


# --- BCM

PATTERNS = np.array([[1, 0.2, 0.1], [0.3, 1, 0.2], [0.1, 0.4, 1.0]])
COUNTS = np.array([5, 3, 2])


def test_bcm_becomes_selective_with_the_rate_of_theory():
    """Stable fixed points: one pattern k at rate 1 / p_k, all others 0; theta = E[y^2] = 1 / p_k."""
    X, p = np.repeat(PATTERNS, COUNTS, axis=0), COUNTS / COUNTS.sum()
    synapses = bn.connectivity.dense(8, 3, random_state=1, dtype=float)
    rule = BCM(eta=0.02, tau=20)
    for _ in range(4000):
        rule.step(synapses, X, np.maximum(synapses.forward(X), 0))
    rate = np.maximum(synapses.forward(PATTERNS), 0)
    preferred = rate.argmax(axis=0)
    np.testing.assert_allclose(rate, np.where(np.arange(3)[:, None] == preferred, 1 / p[preferred], 0), atol=1e-6)
    np.testing.assert_allclose(synapses.traces["BCM.theta"], 1 / p[preferred], rtol=1e-6)
    assert len(set(preferred)) == 3  # cells differ in what they prefer


def test_bcm_threshold_tracks_the_mean_squared_rate():
    rng, synapses = np.random.default_rng(0), pathway("E")
    rule, scale = BCM(eta=1e-12, tau=200.0), np.arange(1, N_POST + 1)
    X = rng.random((2000, 10, N_PRE))
    Y = scale * rng.random((2000, 10, N_POST))
    for x, y in zip(X, Y, strict=True):
        rule.step(synapses, x, y)
    theta = rule.recall(synapses, "theta")
    np.testing.assert_allclose(theta, scale**2 / 3, rtol=0.2)  # E[u^2] = 1/3; 400 samples' worth of memory
    expected, rho = (Y[0] ** 2).mean(axis=0), 1 - np.exp(-10 / 200)
    for y in Y[1:]:
        expected += rho * ((y**2).mean(axis=0) - expected)
    np.testing.assert_allclose(theta, expected, rtol=1e-9)


def test_bcm_step_is_pre_times_post_times_distance_from_the_moved_threshold():
    (X, Y), synapses = rates(), pathway(density=1)
    rule = BCM(eta=0.1, tau=5.0)
    rule.step(synapses, X, 2 * Y)
    W, power = dense_rows(synapses), (Y**2).mean(axis=0)
    theta = 4 * power + (1 - np.exp(-BATCH / 5)) * (power - 4 * power)
    rule.step(synapses, X, Y)
    np.testing.assert_allclose(dense_rows(synapses) - W, 0.1 * (Y * (Y - theta)).T @ X / BATCH, rtol=1e-9)


def test_bcm_threshold_goes_on_under_another_learning_rate():
    synapses = pathway()
    BCM().step(synapses, *rates())
    assert BCM(eta=0.05).recall(synapses, "theta") is synapses.traces["BCM.theta"]


# --- Vogels


def excitatory_inhibitory(target, n_steps, eta=0.1):
    """Rates of cells with fixed excitation and learned inhibition, one stimulus a row, after learning."""
    X = np.random.default_rng(0).random((8, 8)) + 2 * np.eye(8)  # independent stimuli, broad tuning
    E = bn.connectivity.dense(3, 8, bn.connectivity.Uniform(0.5, 1.0), sign="E", random_state=0, dtype=float)
    inhibition = bn.connectivity.dense(3, 8, bn.connectivity.Uniform(0, 0.1), sign="I", random_state=0, dtype=float)
    rule = Vogels(eta=eta, target=target)

    def respond():
        return np.maximum(E.forward(X) + inhibition.forward(X), 0)

    start = respond()
    for _ in range(n_steps):
        rule.step(inhibition, X, respond())
    return start, respond(), inhibition


@pytest.mark.parametrize("target", [0.1, 0.5, 2.0])
def test_vogels_reaches_its_target_rate_for_every_stimulus(target):
    start, rate, inhibition = excitatory_inhibitory(target, 3000)
    assert start.min() > 1.5 * target
    np.testing.assert_allclose(rate, target, rtol=1e-6)
    assert (inhibition.weights < 0).all()


def test_vogels_step_is_pre_times_deviation_from_the_target():
    X, Y = rates()
    synapses = pathway("I", density=1)
    W = dense_rows(synapses)
    Vogels(eta=1e-3, target=0.3).step(synapses, X, Y)
    np.testing.assert_allclose(dense_rows(synapses) - W, -1e-3 * (Y - 0.3).T @ X / BATCH, rtol=1e-9)


# --- Krotov and Hopfield


@pytest.mark.parametrize("seed", range(4))
def test_krotov_hopfield_winners_point_at_the_mean_of_what_they_win_with_unit_norm(seed):
    """Without unlearning: ``mean(x) = mean(y) w`` over the samples won. Cells may stay without any."""
    rng = np.random.default_rng(0)
    X = np.repeat(np.eye(3), 3, axis=1)[rng.integers(3, size=300)] + 0.2 * rng.random((300, N_PRE))
    synapses = pathway("mixed", seed, n_post=3, density=1)
    rule = KrotovHopfield(eta=0.1, anti=0)
    for _ in range(1000):
        rule.step(synapses, X, synapses.forward(X))
    winner = synapses.forward(X).argmax(axis=1)
    assert len(set(winner)) > 1
    for i in set(winner):
        mean = X[winner == i].mean(axis=0)
        np.testing.assert_allclose(dense_rows(synapses)[i], mean / np.linalg.norm(mean), atol=1e-9)


def test_krotov_hopfield_step():
    """By hand: two samples, three cells, the second-ranked cell unlearns."""
    X = np.array([[1.0, 2.0], [3.0, 1.0]])
    synapses = bn.Synapses.from_scipy(sp.csr_array(np.array([[1.0, 1.0], [0.5, 2.0], [2.0, 0.1]])))
    W, Y = dense_rows(synapses), synapses.forward(X)  # drives [[3, 4.5, 2.2], [4, 3.5, 6.1]]
    KrotovHopfield(eta=0.2, k=2, anti=0.4).step(synapses, X, Y)
    change = np.array(
        [
            -0.4 * (X[0] - 3.0 * W[0]) - 0.4 * (X[1] - 4.0 * W[0]),
            X[0] - 4.5 * W[1],
            X[1] - 6.1 * W[2],
        ]
    )
    np.testing.assert_allclose(dense_rows(synapses) - W, 0.2 * change / 2, rtol=1e-12)


# --- weight perturbation


class EveryPerturbation(WeightPerturbation):
    """In place of random ones: all 2^n patterns of signs, one after the other."""

    def draw(self, trial, nnz):
        return 2 * (trial >> np.arange(nnz) & 1) - 1


def mean_step(synapses, reward, noise, eta=1.0):
    """Mean step of the rule over every perturbation, from the same weights."""
    rule, steps = EveryPerturbation(eta=eta, noise=noise, memory=None), []
    for trial in range(2**synapses.nnz):
        learner = synapses.copy()
        rule.remember(learner, trials=trial)
        trial = rule.perturb(learner)
        Y = trial.forward(np.ones((1, synapses.n_pre)))
        rule.step(learner, np.ones((1, synapses.n_pre)), Y, reward=reward(trial))
        steps.append(learner.weights - synapses.weights)
    return np.mean(steps, axis=0)


def regression(sign="mixed", seed=0):
    """A pathway of about 8 synapses, the reward -|XW' - T|^2 / 2 and its gradient on the stored synapses."""
    rng = np.random.default_rng(seed)
    synapses = pathway(sign, seed, n_post=2, n_pre=6, density=0.7)
    X, T = rng.normal(size=(20, 6)), rng.normal(size=(20, 2))
    gradient = synapses.weight_grad(X, T - synapses.forward(X))
    return synapses, X, lambda s: -0.5 * float(((s.forward(X) - T) ** 2).sum()), gradient


def test_mean_perturbation_step_is_the_gradient_of_a_quadratic_reward():
    """Exactly, at any size of the perturbation, and without any baseline."""
    synapses, _, reward, gradient = regression()
    for noise in (0.01, 1.0):
        np.testing.assert_allclose(mean_step(synapses, reward, noise), gradient, rtol=1e-8)


def test_mean_perturbation_step_is_the_gradient_of_a_smooth_reward():
    """To second order in the noise, with a saturating response; the gradient by finite differences."""
    synapses, X, _, _ = regression()

    def reward(s):
        return -float((np.tanh(s.forward(X)) ** 2).sum())

    gradient = np.empty(synapses.nnz)
    for k in range(synapses.nnz):
        change = 1e-6 * (np.arange(synapses.nnz) == k)
        up, down = synapses.copy(), synapses.copy()
        up.add(change)
        down.add(-change)
        gradient[k] = (reward(up) - reward(down)) / 2e-6
    np.testing.assert_allclose(mean_step(synapses, reward, 1e-3), gradient, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("sign", ["E", "I"])
def test_mean_perturbation_step_near_zero_keeps_its_direction(sign):
    """Where trials stop at 0, synapses learn at between half and all of the speed."""
    synapses = pathway(sign, n_post=2, n_pre=5)
    gradient = np.random.default_rng(0).normal(size=synapses.nnz)
    noise = 2 * np.median(np.abs(synapses.weights))
    step = mean_step(synapses, lambda s: float(gradient @ s.weights), noise, eta=1e-6) / 1e-6
    near = np.minimum(np.abs(synapses.weights) / noise, 1)
    assert (near < 1).any() and (step / gradient >= 0.5).all()
    np.testing.assert_allclose(step, gradient * (1 + near) / 2, rtol=1e-6)


@pytest.mark.parametrize(("memory", "eta", "noise"), [(None, 0.02, 0.01), (10.0, 0.003, 0.05)])
def test_perturbation_learns_from_reward_alone(memory, eta, noise):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(50, 6))
    teacher, synapses = (pathway("mixed", seed, n_post=2, n_pre=6, density=1) for seed in (1, 2))
    T = teacher.forward(X)

    def loss(s):
        return float(((s.forward(X) - T) ** 2).mean())

    start = loss(synapses)
    rule = WeightPerturbation(eta=eta, noise=noise, memory=memory)
    for _ in range(2000):
        trial = rule.perturb(synapses)
        reward = -loss(trial) + (loss(synapses) if memory is None else 0)
        rule.step(synapses, X, trial.forward(X), reward=reward)
    assert loss(synapses) < 0.01 * start


def test_first_reward_sets_the_expectation():
    synapses, rule = pathway(), WeightPerturbation(memory=10.0)
    before = synapses.weights.copy()
    take_step(rule, synapses, *rates(), reward=3.0)
    np.testing.assert_array_equal(synapses.weights, before)
    assert rule.recall(synapses, "expected") == 3.0
    take_step(rule, synapses, *rates(), reward=4.0)
    assert rule.recall(synapses, "expected") == pytest.approx(3 + (1 - np.exp(-0.1)))
    assert (synapses.weights != before).all()


def test_trials_are_independent_and_within_the_sign():
    synapses = pathway("I")
    before = synapses.weights.copy()
    rule = WeightPerturbation(noise=10.0)
    trial = rule.perturb(synapses)
    np.testing.assert_array_equal(synapses.weights, before)
    np.testing.assert_array_equal(trial.weights, np.minimum(before + 10 * rule.recall(synapses, "xi_ij"), 0))


def test_every_step_needs_a_trial_of_its_own():
    synapses, rule = pathway(), WeightPerturbation()
    take_step(rule, synapses, *rates())
    with pytest.raises(ValueError, match=r"reward has no trial: call perturb\(synapses\)"):
        rule.step(synapses, *rates(), reward=1.0)


def test_a_trial_ends_with_the_structure():
    synapses, rule = pathway(), WeightPerturbation()
    rule.perturb(synapses)
    assert synapses.prune(0.5)
    with pytest.raises(ValueError, match="reward has no trial"):
        rule.step(synapses, *rates(), reward=1.0)


def test_every_trial_is_another():
    synapses, rule = pathway(), WeightPerturbation()
    first, second = (rule.perturb(synapses).weights for _ in range(2))
    assert (first != second).any()


# --- the project's own forms


@pytest.mark.parametrize(
    ("rule", "form", "options"),
    [
        (LogRelaxation(eta=0.4, sigma=0.2, floor=0.01, seed=5), "log-relaxation", {"sigma": 0.2, "floor": 0.01}),
        (LogPower(eta=0.4, exponent=3.0, floor=0.01, seed=5), "log-power", {"exponent": 3.0, "floor": 0.01}),
        (Exponential(eta=0.4, sigma=0.2, seed=5), "exponential", {"sigma": 0.2, "normalize": False}),
        (Signed(eta=0.4, sigma=0.2, w0=0.1, seed=5), "signed", {"sigma": 0.2, "w0": 0.1, "normalize": False}),
    ],
)
@pytest.mark.parametrize("gain", [None, np.array([1.0, 0.0, 0.3, 2.0, 5.0])])
def test_own_forms_are_the_kernel_on_batch_means(rule, form, options, gain):
    X, Y = rates()
    ours, theirs = (pathway(rule.signs[0]) for _ in range(2))
    for step in range(3):
        rule.step(ours, X, Y, gain)
        c, G = Y.mean(axis=0), theirs.weight_grad(X, Y) / BATCH
        if gain is not None:
            c, G = gain * c, rules.on_synapses(theirs, gain) * G
        theirs.plasticity_step(G, c, form=form, eta=0.4, seed=5, step=step, **options)
    np.testing.assert_allclose(ours.weights, theirs.weights, rtol=1e-9)


def standardised_covariance(synapses, X, Y):
    """z_ij of the definition, dense, from all rates at once."""
    m, s = X.mean(axis=0), X.std(axis=0)
    return (Y.T @ X / Y.sum(axis=0)[:, None] - m) / np.where(s > 1e-9, s, np.inf)


@pytest.mark.parametrize("gain", [0.5, 1.3])
def test_log_covariance_goes_to_the_exponential_of_the_standardised_covariance(gain):
    X, Y = rates(batch=60)
    X[:, 3] = 0.1  # a pre-synaptic cell that never varies
    synapses = pathway("E", density=1)
    rule = LogCovariance(eta=2.0, gain=gain)
    for _ in range(100):
        rule.step(synapses, X, Y)
    W = np.exp(gain * standardised_covariance(synapses, X, Y))
    np.testing.assert_allclose(dense_rows(synapses), W / np.linalg.norm(W, axis=1, keepdims=True), rtol=1e-9)


def test_log_covariance_step_by_hand():
    (X, Y), synapses = rates(), pathway("E", density=1)
    W, eta, gain = dense_rows(synapses), 0.7, np.linspace(0, 2, N_POST)
    LogCovariance(eta=eta, gain=1.2, normalize=False).step(synapses, X, Y, gain)
    alpha = 1 - np.exp(-eta * gain * Y.mean(axis=0))[:, None]
    expected = np.log(W) + alpha * (1.2 * standardised_covariance(synapses, X, Y) - np.log(W))
    np.testing.assert_allclose(np.log(dense_rows(synapses)), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("normalize", [True, False])
def test_log_covariance_lets_weights_follow_the_mean(normalize):
    """What was relaxed to ``gain (T - m) / s`` for one m is at it for the other, up to the scale of the row."""
    rng = np.random.default_rng(0)
    synapses = pathway("E")
    X = rng.random((8, synapses.n_pre))
    rule = LogCovariance(gain=1.3, normalize=normalize)
    synapses.observe(X)
    before, w = synapses.pre_mean, synapses.weights.copy()
    synapses.observe(X + 0.1 * rng.normal(size=synapses.n_pre))
    rule.follow_mean(synapses, before)
    shift = 1.3 * (synapses.pre_mean - before) / synapses.pre_sd
    expected = np.log(w) - shift[synapses.indices]
    if normalize:
        for row in range(synapses.n_post):
            own = slice(*synapses.indptr[row : row + 2])
            expected[own] -= np.log(np.linalg.norm(np.exp(expected[own])))
    np.testing.assert_allclose(np.log(synapses.weights), expected, rtol=1e-9, atol=1e-12)


def test_rules_that_know_no_mean_leave_weights_where_they_are():
    synapses = pathway("E")
    w = synapses.weights.copy()
    synapses.observe(np.ones((2, synapses.n_pre)))
    LogRelaxation().follow_mean(synapses, np.zeros(synapses.n_pre))
    np.testing.assert_array_equal(synapses.weights, w)


def test_log_covariance_weights_are_lognormal_where_many_features_mix():
    """Pre-synaptic cells that each sum many features, post-synaptic ones selective for a few of these."""
    rng = np.random.default_rng(0)
    features = rng.exponential(size=(2000, 40))
    X = np.maximum(features @ rng.normal(size=(40, 800)) / np.sqrt(40) + 3, 0)
    Y = np.maximum(features @ rng.exponential(size=(40, 4)) / 40 - 1, 0)
    synapses = bn.connectivity.dense(4, 800, sign="E", random_state=0, dtype=float)
    for _ in range(20):
        LogCovariance(eta=100.0).step(synapses, X, Y)
    for row in np.log(dense_rows(synapses)):
        z = (row - row.mean()) / row.std()
        assert abs((z**3).mean()) < 0.3 and abs((z**4).mean() - 3) < 0.6  # skewness and excess kurtosis of a normal law


@pytest.mark.parametrize("sign", ["E", "I", "mixed"])
@pytest.mark.parametrize("gain", [None, np.linspace(0.5, 2, N_POST)])
def test_contrastive_step_by_hand(sign, gain):
    """Differences of rates, of both signs; excitation grows where inhibition shrinks."""
    X, Y = rates()
    Y -= 0.5
    synapses = pathway(sign, density=1)
    W = dense_rows(synapses)
    Contrastive(eta=0.03).step(synapses, X, Y, gain)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    growth = 0.03 * (Y * (1 if gain is None else gain)).T @ Z
    np.testing.assert_allclose(dense_rows(synapses), W * np.exp(np.sign(W) * growth), rtol=1e-9)


def test_contrastive_growth_is_bounded_and_needs_inputs_that_vary():
    X, Y = rates()
    X[:, 0] = 3.0
    synapses = pathway("E", density=1)
    W = dense_rows(synapses)
    Contrastive(eta=1e4).step(synapses, X, Y - 0.5)
    growth = np.log(dense_rows(synapses) / W)
    np.testing.assert_array_equal(growth[:, 0], 0)
    np.testing.assert_allclose(abs(growth[:, 1:]), 1)


def test_contrastive_teaching_lets_the_clamped_activity_win():
    """Of a softmax: rates come to be those that they are told to be."""
    X, _ = rates()
    target = np.eye(N_POST)[np.arange(BATCH) % N_POST]
    synapses = pathway("E", density=1)

    def free():
        return softmax(synapses.forward(np.ascontiguousarray(X - X.mean(axis=0))), axis=1)

    before = (free() * target).sum(axis=1).mean()
    for _ in range(2000):
        Contrastive(eta=0.02).step(synapses, X, target - free(), observe=synapses.pre_mean is None)
    assert (free() * target).sum(axis=1).mean() > before + 0.3


def test_pre_synaptic_statistics_are_observed_once_a_step_and_first():
    synapses = pathway("E")
    X = np.stack([rates(seed)[0] for seed in range(3)])
    for x in X:
        LogCovariance().step(synapses, x, rates()[1])
    assert synapses.traces["pre_count"] == 3 * BATCH
    np.testing.assert_allclose(synapses.pre_mean, X.mean(axis=(0, 1)), rtol=1e-12)
    np.testing.assert_allclose(synapses.pre_sd, X.std(axis=(0, 1)), rtol=1e-12)


@pytest.mark.parametrize("name", [name for name in RULES if issubclass(RULES[name], FusedRule)])
@pytest.mark.parametrize("gain", [None, np.linspace(0.5, 2, N_POST)])
def test_fused_rules_do_not_depend_on_the_batch_size(name, gain):
    X, Y = rates()
    once, twice = (pathway(RULES[name].signs[0]) for _ in range(2))
    RULES[name]().step(once, X, Y, gain)
    RULES[name]().step(twice, np.tile(X, (2, 1)), np.tile(Y, (2, 1)), gain)
    np.testing.assert_allclose(once.weights, twice.weights, rtol=1e-9)


@pytest.mark.parametrize("name", [name for name in RULES if RULES[name].saturating])
def test_saturating_rules_stop_at_their_target_at_any_gain(name):
    X, Y = rates()
    far, farther = pathway("E"), pathway("E")
    RULES[name]().step(far, X, Y, np.full(N_POST, 1e3))
    RULES[name]().step(farther, X, Y, np.full(N_POST, 1e9))
    np.testing.assert_allclose(far.weights, farther.weights, rtol=1e-9)


def test_log_relaxation_goes_where_instar_goes_up_to_the_norm():
    X, Y = rates(batch=60)
    a, b = pathway("E"), pathway("E")
    log_relaxation, instar = LogRelaxation(eta=5.0, floor=1e-6), Instar(eta=5.0)
    for _ in range(100):
        log_relaxation.step(a, X, Y)
        instar.step(b, X, Y)
    b.normalize_rows()
    np.testing.assert_allclose(a.weights, b.weights, rtol=1e-4)


def test_signed_rule_crosses_zero_only_with_w0():
    X, Y = np.ones((1, N_PRE)), np.ones((1, N_POST))
    crossing, staying = pathway(), pathway()
    assert (crossing.weights < 0).any()
    for _ in range(500):
        Signed(w0=0.02).step(crossing, X, Y)
        Signed(w0=0.0).step(staying, X, Y)
    np.testing.assert_allclose(crossing.weights, 1, rtol=1e-6)  # E[yx] / E[y]
    np.testing.assert_array_equal(np.sign(staying.weights), np.sign(pathway().weights))


# --- competition of transmitters


def transmitters(dtype=np.float64):
    """Two pathways on the same pairs, of different sizes."""
    excitatory = pathway("E", dtype=dtype)
    sizes = np.random.default_rng(5).uniform(0.01, 0.5, excitatory.nnz).astype(dtype)
    inhibitory = sp.csr_array((-sizes, excitatory.indices.copy(), excitatory.indptr.copy()), excitatory.shape)
    return excitatory, bn.Synapses.from_scipy(inhibitory, sign="I")


@pytest.mark.parametrize("shared_by", ["axon", "dendrite", "synapse"])
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-12), (np.float32, 2e-6)])
def test_transmitters_compete_by_their_equation(shared_by, dtype, rtol):
    excitatory, inhibitory = transmitters(dtype)
    e, i = dense_rows(excitatory).astype(float), -dense_rows(inhibitory).astype(float)
    stored = e > 0
    X, Y = rates(dtype=dtype)
    Y -= dtype(0.5)  # errors have both signs
    axis = {"axon": 0, "dendrite": 1, "synapse": ()}[shared_by]
    net, total = (np.sum(part, axis=axis, keepdims=True) for part in (e - i, e + i))
    drive = Y.T.astype(float) @ X / BATCH + 0.4 * np.where(total > 0, net / np.where(total > 0, total, 1), 0)
    TransmitterCompetition(eta=0.3, chi=0.4, decay=0.2, shared_by=shared_by).step(excitatory, inhibitory, X, Y)
    for found, w, sign in (excitatory, e, 1), (inhibitory, i, -1):
        expected = sign * w * np.exp(0.3 * (sign * drive - 0.2 * w))
        np.testing.assert_allclose(dense_rows(found)[stored], expected[stored], rtol=rtol)
        assert (dense_rows(found)[~stored] == 0).all()


def test_an_axon_keeps_the_transmitter_that_it_has_more_of():
    """Nothing to learn: the winner rests at chi / decay, the loser vanishes. Equal transmitters stay equal."""
    excitatory, inhibitory = transmitters()
    rule = TransmitterCompetition(eta=0.5, chi=0.4, decay=0.2)
    first = rule.balance(excitatory, inhibitory)
    silent = np.zeros((1, N_PRE)), np.zeros((1, N_POST))
    for _ in range(600):
        rule.step(excitatory, inhibitory, *silent)
    np.testing.assert_allclose(excitatory.weights, np.where(first > 0, 2, 0), atol=1e-12)
    np.testing.assert_allclose(inhibitory.weights, np.where(first < 0, -2, 0), atol=1e-12)
    equal = bn.Synapses.from_scipy(-excitatory.to_scipy() + inhibitory.to_scipy(), sign="I")
    twin = bn.Synapses.from_scipy(-equal.to_scipy(), sign="E")
    rule.step(twin, equal, *silent)
    np.testing.assert_array_equal(twin.weights, -equal.weights)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"eta": 0.0}, "eta must be a finite number > 0"),
        ({"chi": -1.0}, "chi must be a finite number >= 0"),
        ({"decay": np.inf}, "decay must be a finite number >= 0"),
        ({"shared_by": "soma"}, r"shared_by must be one of \['axon', 'dendrite', 'synapse'\]"),
    ],
)
def test_competition_refuses_a_bad_parameter(parameters, message):
    with pytest.raises(ValueError, match=message):
        TransmitterCompetition(**parameters)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"excitatory": pathway("mixed")}, ValueError, "pathways must have signs 'E' and 'I', got 'mixed' and 'I'"),
        ({"inhibitory": pathway("I", density=0.9)}, ValueError, "must store the same pairs"),
        ({"inhibitory": transmitters(np.float32)[1]}, TypeError, "must have one dtype"),
        ({"X": np.ones((BATCH, N_PRE), np.float32)}, TypeError, "X must"),
        ({"Y": np.full((BATCH, N_POST), np.nan)}, ValueError, "Y must be finite"),
        ({"Y": np.ones((BATCH, 2))}, ValueError, "Y must have shape"),
        ({"X": np.ones((0, N_PRE)), "Y": np.ones((0, N_POST))}, ValueError, "X must not be empty"),
    ],
)
def test_competition_that_fails_changes_nothing(changed, error, message):
    excitatory, inhibitory = transmitters()
    X, Y = rates()
    given = {"excitatory": excitatory, "inhibitory": inhibitory, "X": X, "Y": Y} | changed
    before = given["excitatory"].weights.copy(), given["inhibitory"].weights.copy()
    with pytest.raises(error, match=message):
        TransmitterCompetition().step(**given)
    np.testing.assert_array_equal(given["excitatory"].weights, before[0])
    np.testing.assert_array_equal(given["inhibitory"].weights, before[1])


def test_competition_puts_excitation_back_when_inhibition_cannot_follow():
    excitatory, inhibitory = (
        bn.Synapses.from_scipy(sp.csr_array(np.array([[w]], np.float32)), sign=sign)
        for w, sign in ((1.0, "E"), (-1e38, "I"))
    )
    one = np.ones((1, 1), np.float32)
    with pytest.raises(ValueError, match="finite|too large|overflow"):
        TransmitterCompetition(eta=10.0, decay=1.0).step(excitatory, inhibitory, one, one)
    assert excitatory.weights.tolist() == [1] and inhibitory.weights.tolist() == [np.float32(-1e38)]


# --- every rule


def test_registry_holds_every_rule():
    public = {getattr(rules, name) for name in rules.__all__ if isinstance(getattr(rules, name), type)}
    others = {rules.Turnover, TransmitterCompetition}  # steps of other things than one pathway's weights
    assert set(RULES.values()) == public - {rules.Rule, AdditiveRule, FusedRule, FunctionRule} - others


@pytest.mark.parametrize("name", RULES)
def test_every_rule_states_its_equation_and_its_source(name):
    doc = RULES[name].__doc__
    assert "``" in doc and "References\n" in doc and re.search(r"\b(19|20)\d\d\b", doc)


@pytest.mark.parametrize(("name", "sign"), PAIRS)
def test_every_rule_learns_and_counts_its_steps(name, sign):
    rule, synapses = ready(name), pathway(sign)
    before, version = synapses.weights.copy(), synapses.version
    X, Y = rates()
    given_X, given_Y = X.copy(), Y.copy()
    take_step(rule, synapses, X, Y)
    assert (synapses.weights != before).any() and synapses.version > version and synapses.traces["steps"] == 1
    np.testing.assert_array_equal(X, given_X)
    np.testing.assert_array_equal(Y, given_Y)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([pair for pair in PAIRS if pair[1] != "mixed"]),
    st.integers(0, 10**6),
    st.sampled_from([np.float32, np.float64]),
    st.floats(1e-3, 1e3),
    st.floats(1e-3, 1e3),
)
def test_no_rule_changes_a_sign(pair, seed, dtype, eta, scale):
    """Random patterns, learning rates and rates far beyond what is stable; rates of both signs where allowed."""
    name, sign = pair
    rule, synapses = RULES[name](eta=eta), pathway(sign, seed, dtype)
    rng = np.random.default_rng(seed)
    low = 0 if rule.nonnegative else -scale
    for _ in range(3):
        X = rng.uniform(low, scale, (4, N_PRE)).astype(dtype)
        Y = rng.uniform(low, scale, (4, N_POST)).astype(dtype)
        before = synapses.weights.copy()
        try:
            take_step(rule, synapses, X, Y, reward=float(rng.normal(0, scale)))
        except ValueError as error:  # refused, and as it was
            assert "finite" in str(error) or "overflow" in str(error)
            np.testing.assert_array_equal(synapses.weights, before)
        assert (synapses.weights >= 0).all() if sign == "E" else (synapses.weights <= 0).all()
    assert np.isfinite(synapses.weights).all()


@pytest.mark.parametrize("sign", ["E", "I"])
def test_strengths_clipped_at_zero_rise_again(sign):
    synapses, X = pathway(sign), np.ones((1, N_PRE))
    before = synapses.nnz
    Oja(eta=1.0).step(synapses, X, np.full((1, N_POST), -1.0))
    assert not synapses.weights.any() and synapses.nnz == before
    Oja(eta=1.0).step(synapses, X, np.full((1, N_POST), 0.5))
    np.testing.assert_array_equal(np.abs(synapses.weights), 0.5)


@pytest.mark.parametrize(("name", "sign"), PAIRS)
def test_any_number_of_threads_gives_identical_weights(name, sign):
    rng = np.random.default_rng(0)
    results = []
    X, Y = rng.random((64, 300)).astype(np.float32), rng.random((64, 200)).astype(np.float32)
    for n_threads in (1, 2, 3):
        rule = RULES[name](n_threads=n_threads)
        synapses = pathway(sign, dtype=np.float32, n_post=200, n_pre=300)
        for reward in (0.1, 0.4):
            take_step(rule, synapses, X, Y, reward=reward)
        results.append(synapses.weights.copy())
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


@pytest.mark.parametrize(("name", "sign"), PAIRS)
def test_one_rule_serves_many_pathways(name, sign):
    """In turns or one after the other: what it gathers is on the pathway."""
    rule = ready(name)
    alone, first, second = (pathway(sign) for _ in range(3))
    for seed in range(3):
        take_step(rule, alone, *rates(seed))
    for seed in range(3):
        take_step(rule, first, *rates(seed))
        take_step(rule, second, *rates(seed))
    np.testing.assert_array_equal(first.weights, alone.weights)
    np.testing.assert_array_equal(second.weights, alone.weights)


@pytest.mark.parametrize(("name", "sign"), PAIRS)
def test_what_is_forgotten_has_no_effect(name, sign):
    rule, synapses = ready(name), pathway(sign)
    take_step(rule, synapses, *rates(9))
    synapses.forget()
    fresh = bn.Synapses.from_scipy(synapses.to_scipy(), sign=sign)
    for seed in range(2):
        take_step(rule, synapses, *rates(seed))
        take_step(rule, fresh, *rates(seed))
    np.testing.assert_array_equal(synapses.weights, fresh.weights)


@pytest.mark.parametrize(("name", "sign"), PAIRS)
def test_no_gain_is_a_gain_of_one(name, sign):
    without, ones = pathway(sign), pathway(sign)
    take_step(ready(name), without, *rates())
    take_step(ready(name), ones, *rates(), np.ones(N_POST))
    np.testing.assert_array_equal(without.weights, ones.weights)


@pytest.mark.parametrize(("name", "sign"), PAIRS)
def test_cells_without_gain_stay_and_the_others_do_not_notice(name, sign):
    all_cells, some = pathway(sign), pathway(sign)
    before, gain = dense_rows(some), np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    take_step(ready(name), all_cells, *rates())
    take_step(ready(name), some, *rates(), gain)
    np.testing.assert_array_equal(dense_rows(some), np.where(gain[:, None] > 0, dense_rows(all_cells), before))


@pytest.mark.parametrize("name", [name for name in RULES if issubclass(RULES[name], AdditiveRule)])
def test_gain_multiplies_a_row_of_an_additive_step(name):
    once, more = (pathway(RULES[name].signs[0]) for _ in range(2))
    before, gain = dense_rows(once), np.linspace(0.1, 2, N_POST)
    RULES[name](eta=1e-6).step(once, *rates())
    RULES[name](eta=1e-6).step(more, *rates(), gain)
    change = dense_rows(once) - before
    np.testing.assert_allclose(dense_rows(more) - before, gain[:, None] * change, rtol=1e-6, atol=1e-15)


# --- rules are values


@pytest.mark.parametrize("name", RULES)
def test_rules_are_values(name):
    rule = RULES[name](eta=0.3)
    assert rule == RULES[name](eta=0.3) != RULES[name](eta=0.2)
    assert hash(rule) == hash(RULES[name](eta=0.3))
    with pytest.raises(dataclasses.FrozenInstanceError):
        rule.eta = 1.0


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(
    "again",
    [
        copy.copy,
        copy.deepcopy,
        lambda rule: pickle.loads(pickle.dumps(rule)),
        lambda rule: clone(Estimator(rule)).rule,
    ],
)
def test_copies_of_rules_are_equal_and_learn_the_same(name, again):
    rule, sign = ready(name), RULES[name].signs[0]
    ours, theirs = pathway(sign), pathway(sign)
    take_step(rule, ours, *rates())
    assert again(rule) == rule
    take_step(again(rule), theirs, *rates())
    np.testing.assert_array_equal(ours.weights, theirs.weights)


class Estimator(BaseEstimator):
    def __init__(self, rule="log-relaxation"):
        self.rule = rule


def double(synapses, X, Y, gain):
    """Every weight grows by gain times itself."""
    return rules.on_synapses(synapses, gain) * synapses.weights


@pytest.mark.parametrize("rule", ["bcm", BCM(tau=3.0), double])
def test_as_rule_goes_with_parameters_of_estimators(rule):
    model = clone(Estimator().set_params(rule=rule))
    assert as_rule(model.get_params()["rule"]) == as_rule(rule)


def test_as_rule_takes_names_rules_and_functions():
    rule = Oja(eta=0.2)
    assert as_rule(rule) is rule
    assert all(as_rule(name) == RULES[name]() for name in RULES)
    assert as_rule(double) == FunctionRule(function=double) != FunctionRule(function=lambda synapses, X, Y, gain: 0)


@pytest.mark.parametrize(
    ("rule", "error", "match"),
    [
        ("hebb", ValueError, "rule must be one of 'oja', .*'signed', a Rule or a function of .*, got 'hebb'"),
        (3, TypeError, r"rule must be one of .*a function of \(synapses, X, Y, gain\), got 3"),
        (None, TypeError, "rule must be one of .*, got None"),
        (Oja, TypeError, r"rule must be one of .*\(a class: make a rule of it, Oja\(...\)\)"),
        (lambda x: x, TypeError, "rule must be one of .*, got <function"),
    ],
)
def test_as_rule_refuses(rule, error, match):
    with pytest.raises(error, match=match):
        as_rule(rule)


@pytest.mark.parametrize("sign", ["E", "I", "mixed"])
def test_functions_learn_within_the_sign(sign):
    synapses, gain = pathway(sign), np.array([1.0, -0.0, 2.0, 0.5, 1.0])
    W = dense_rows(synapses)
    FunctionRule(function=double, eta=0.5).step(synapses, *rates(), gain)
    np.testing.assert_allclose(dense_rows(synapses), W * (1 + 0.5 * gain[:, None]))
    as_rule(lambda synapses, X, Y, gain: -3 * synapses.weights).step(synapses, *rates())
    assert (synapses.weights == 0).all() if sign != "mixed" else (np.sign(synapses.weights) != 0).all()


def test_functions_are_given_a_gain_of_one():
    seen = []

    def watch(synapses, X, Y, gain):
        seen.append(gain)
        return np.zeros(synapses.nnz)

    as_rule(watch).step(pathway(), *rates())
    np.testing.assert_array_equal(seen[0], np.ones(N_POST), strict=True)


def test_functions_that_return_something_else():
    def scalar(synapses, X, Y, gain):
        return 1.0

    with pytest.raises(ValueError, match=r"scalar must return a change of shape \(nnz,\) = \(\d+,\), got \(\)"):
        as_rule(scalar).step(pathway(), *rates())


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (lambda n: None, TypeError, "what rule returns must be an array of numbers, got None"),
        (lambda n: np.full(n, 1j), TypeError, "what rule returns must be an array of numbers, .*complex"),
        (lambda n: np.full(n, "a"), TypeError, "what rule returns must be an array of numbers"),
        (lambda n: np.ma.masked_equal(np.zeros(n), 0), ValueError, "what rule returns must not have masked values"),
    ],
)
def test_functions_that_return_no_numbers(returned, error, message):
    def rule(synapses, X, Y, gain):
        return returned(synapses.nnz)

    with pytest.raises(error, match=message):
        as_rule(rule).step(pathway(), *rates())


@pytest.mark.parametrize("place", range(3))
def test_functions_cannot_write_to_what_they_are_given(place):
    def write(synapses, X, Y, gain):
        (X, Y, gain)[place][:] = 0

    with pytest.raises(ValueError, match="read-only"):
        as_rule(write).step(pathway(), *rates(), np.ones(N_POST))


def test_a_threshold_that_overflows_is_refused():
    synapses, (X, Y) = pathway("E"), rates()  # whose weights would all have stopped at 0
    before = synapses.weights.copy()
    with pytest.raises(ValueError, match="theta of BCM is not finite any more: the rates are too large"):
        rules.BCM().step(synapses, X, np.full_like(Y, 1e200))
    np.testing.assert_array_equal(synapses.weights, before)
    assert synapses.traces == {}


@pytest.mark.parametrize("eta", [None, "0.1", [0.1]])
def test_rates_of_learning_that_are_no_numbers(eta):
    with pytest.raises(ValueError, match="eta must be a finite number > 0, got "):
        rules.Oja(eta=eta)


def test_functions_that_take_something_else():
    with pytest.raises(TypeError, match=r"function must be a function of \(synapses, X, Y, gain\), got <built-in"):
        FunctionRule(function=len)


# --- traces


def test_rules_of_other_classes_have_traces_of_their_own():
    class Threshold(AdditiveRule):
        """Remembers by the name that BCM uses too."""

        def delta(self, synapses, w, X, Y):
            self.remember(synapses, theta=1.0)
            return np.zeros_like(w)

    synapses = pathway()
    BCM().step(synapses, *rates())
    theta = synapses.traces["BCM.theta"]
    Threshold().step(synapses, *rates())
    assert synapses.traces["BCM.theta"] is theta and Threshold().recall(synapses, "theta") == 1.0
    assert synapses.traces["steps"] == 2


def test_what_is_remembered_cannot_be_changed_in_place():
    rule, synapses, mine = BCM(), pathway(), np.ones(3)
    rule.remember(synapses, theta=mine)
    mine[:] = 2
    np.testing.assert_array_equal(rule.recall(synapses, "theta"), 1)
    with pytest.raises(ValueError, match="read-only"):
        rule.recall(synapses, "theta")[0] = 3


@pytest.mark.parametrize(("name", "sign"), PAIRS)
def test_a_copy_in_the_middle_goes_on_as_the_pathway(name, sign):
    rule, synapses = ready(name), pathway(sign)
    take_step(rule, synapses, *rates(0))
    if rule.rewarded:
        rule.perturb(synapses)
    others = synapses.copy(), copy.deepcopy(synapses), pickle.loads(pickle.dumps(synapses))
    for s in (synapses, *others):
        rule.step(s, *rates(1), reward=0.1 if rule.rewarded else None)
        take_step(rule, s, *rates(2))
    for other in others:
        np.testing.assert_array_equal(other.weights, synapses.weights)


def test_noise_differs_from_step_to_step():
    (X, Y), synapses, changes = rates(), pathway("E"), []
    for _ in range(2):
        before = np.log(synapses.weights)
        LogRelaxation(eta=1e-3, sigma=0.1, normalize=False).step(synapses, X, Y)
        changes.append(np.log(synapses.weights) - before)
    assert abs(np.corrcoef(changes)[0, 1]) < 0.5


@pytest.mark.parametrize("name", RULES)
def test_empty_pathways_and_cells_without_synapses(name):
    sign = RULES[name].signs[0]
    empty = bn.Synapses.from_scipy(sp.csr_array((N_POST, N_PRE), dtype=float), sign=sign)
    take_step(RULES[name](), empty, *rates())
    assert empty.nnz == 0


# --- what is refused


@pytest.mark.parametrize(
    ("rule", "field", "value"),
    [(RULES[name], "eta", value) for name in RULES for value in (0, -1, np.nan, np.inf)]
    + [
        (BCM, "tau", 0),
        (BCM, "tau", np.nan),
        (Vogels, "target", -0.1),
        (Vogels, "target", np.nan),
        (KrotovHopfield, "k", 1),
        (KrotovHopfield, "k", 2.5),
        (KrotovHopfield, "anti", np.nan),
        (WeightPerturbation, "noise", 0),
        (WeightPerturbation, "memory", np.nan),
        (WeightPerturbation, "seed", -1),
        (LogRelaxation, "floor", 0),
        (LogPower, "exponent", 0),
        (LogRelaxation, "sigma", np.nan),
        (LogRelaxation, "seed", 0.5),
        (Exponential, "sigma", -1),
        (Signed, "w0", np.nan),
        (LogCovariance, "gain", -1),
        (LogCovariance, "sigma", np.nan),
    ],
)
def test_bad_hyper_parameter(rule, field, value):
    with pytest.raises(ValueError, match=f"{field} must be .*, got {value}"):
        rule(**{field: value})


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda X, Y: (X[:, 1:].copy(), Y), ValueError, r"X must have shape \(batch >= 1, 9\), got \(7, 8\)"),
        (lambda X, Y: (X, Y[:, 1:].copy()), ValueError, r"Y must have shape \(batch >= 1, 5\), got \(7, 4\)"),
        (lambda X, Y: (X[:0], Y[:0]), ValueError, r"X must have shape \(batch >= 1, 9\), got \(0, 9\)"),
        (lambda X, Y: (X[1:], Y), ValueError, "X and Y must be of one batch, got 6 and 7 rows"),
        (lambda X, Y: (X[0], Y[0]), ValueError, r"X must have 2 dimensions, got shape \(9,\)"),
        (lambda X, Y: (X.astype("f4"), Y), TypeError, "X must be float64, got float32"),
        (lambda X, Y: (X.tolist(), Y), TypeError, "X must be a NumPy array"),
        (lambda X, Y: (X, np.asfortranarray(Y)), ValueError, "Y must be C-contiguous"),
        (lambda X, Y: (np.where(X == X[2, 3], np.nan, X), Y), ValueError, r"X must be finite.* X\[2, 3\] = nan"),
        (lambda X, Y: (X, np.where(Y == Y[1, 0], np.inf, Y)), ValueError, r"Y must be finite.* Y\[1, 0\] = inf"),
    ],
)
@pytest.mark.parametrize("name", RULES)
def test_bad_rates(name, change, error, match):
    rule, synapses = ready(name), pathway(RULES[name].signs[0])
    before = synapses.weights.copy()
    with pytest.raises(error, match=match):
        take_step(rule, synapses, *change(*rates()))
    np.testing.assert_array_equal(synapses.weights, before)
    assert "steps" not in synapses.traces and synapses.pre_mean is None


@pytest.mark.parametrize(
    ("gain", "error", "match"),
    [
        (np.ones(N_POST + 1), ValueError, r"gain must have shape \(5,\), got \(6,\)"),
        (np.ones((N_POST, 1)), ValueError, r"gain must have 1 dimension, got shape \(5, 1\)"),
        (np.ones(N_POST, np.float32), TypeError, "gain must be float64, got float32"),
        ([1.0] * N_POST, TypeError, "gain must be a NumPy array of float64, got list"),
        (np.array([1, 1, -1.0, 1, 1]), ValueError, r"gain must be finite and >= 0, but gain\[2\] = -1.0"),
        (np.array([1, np.nan, 1, 1, 1]), ValueError, r"gain must be finite and >= 0, but gain\[1\] = nan"),
    ],
)
@pytest.mark.parametrize("name", RULES)
def test_bad_gain(name, gain, error, match):
    synapses = pathway(RULES[name].signs[0])
    before = synapses.weights.copy()
    with pytest.raises(error, match=match):
        take_step(ready(name), synapses, *rates(), gain)
    np.testing.assert_array_equal(synapses.weights, before)
    assert "steps" not in synapses.traces


@pytest.mark.parametrize("name", ["instar", "vogels", "log-relaxation", "log-covariance"])
def test_rates_below_zero_are_refused_where_the_rule_needs_rates(name):
    X, Y = rates()
    Y[3, 1] = -0.5
    with pytest.raises(ValueError, match=r"Y must be finite and >= 0, but Y\[3, 1\] = -0.5"):
        RULES[name]().step(pathway(RULES[name].signs[0]), X, Y)


@pytest.mark.parametrize(
    ("name", "sign"), [(name, sign) for name in RULES for sign in ("mixed", "E", "I") if (name, sign) not in PAIRS]
)
def test_wrong_sign_of_pathway(name, sign):
    with pytest.raises(ValueError, match=f"{RULES[name].__name__} needs a pathway of sign .*, this one has '{sign}'"):
        RULES[name]().step(pathway(sign), *rates())


def test_not_synapses():
    with pytest.raises(TypeError, match="synapses must be a bioneuro.Synapses, got csr_array"):
        Oja().step(pathway().to_scipy(), *rates())
    with pytest.raises(TypeError, match="synapses must be a bioneuro.Synapses, got ndarray"):
        WeightPerturbation().perturb(np.eye(3))


def test_reward_goes_to_those_who_take_it():
    with pytest.raises(ValueError, match="Oja takes no reward, got 1.0"):
        Oja().step(pathway(), *rates(), reward=1.0)
    for reward in (None, np.nan):
        with pytest.raises(ValueError, match=f"WeightPerturbation needs a finite reward, got {reward}"):
            WeightPerturbation().step(pathway(), *rates(), reward=reward)


def test_more_runners_up_than_cells():
    with pytest.raises(ValueError, match="k = 6 needs as many post-synaptic cells, the pathway has 5"):
        KrotovHopfield(k=6).step(pathway(), *rates())


@pytest.mark.parametrize("observes", [False, True])
def test_a_step_that_fails_leaves_weights_and_traces_as_they_were(observes):
    class Watching(BCM):
        pass

    Watching.observes = observes
    rule, synapses = Watching(), pathway()
    X, Y = rates()
    rule.step(synapses, X, Y)
    traces, before = copy.deepcopy(synapses.traces), synapses.weights.copy()
    with pytest.raises(ValueError, match="theta of Watching is not finite any more"):
        rule.step(synapses, X, 1e200 * Y)
    assert synapses.traces.keys() == traces.keys() and ("pre_mean" in traces) == observes
    for name, trace in traces.items():
        np.testing.assert_array_equal(synapses.traces[name], trace)
    np.testing.assert_array_equal(synapses.weights, before)


# --- rules of others


def test_the_rule_in_the_documentation_works():
    """Its ten lines, and the promise that it is checked and keeps signs."""
    results = doctest.testmod(rules)
    assert results.attempted >= 8 and not results.failed


def test_a_rule_of_ones_own_is_checked_and_keeps_signs():
    class Decay(AdditiveRule):
        """Subtracts a constant."""

        def delta(self, synapses, w, X, Y):
            return np.full_like(w, -self.eta)

    for sign in ("E", "I", "mixed"):
        synapses = pathway(sign)
        before = synapses.weights.copy()
        Decay(eta=0.2).step(synapses, *rates())
        expected = before - 0.2 if sign == "mixed" else np.sign(before) * np.maximum(np.abs(before) - 0.2, 0)
        np.testing.assert_allclose(synapses.weights, expected, atol=1e-15)
    with pytest.raises(ValueError, match="X must have shape"):
        Decay().step(synapses, np.ones((2, 3)), np.ones((2, N_POST)))


# --- what a rule returns


def additive(returned):
    class Mine(rules.AdditiveRule):
        def delta(self, synapses, w, X, Y):
            return returned(synapses)

    return Mine()


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (lambda s: 1.0, ValueError, r"delta of Mine must return a change of shape \(nnz,\)"),
        (lambda s: np.ones((s.nnz, 1)), ValueError, r"delta of Mine must return a change of shape \(nnz,\)"),
        (lambda s: None, (TypeError, ValueError), "what delta of Mine returns"),
        (lambda s: "many", (TypeError, ValueError), "what delta of Mine returns"),
        (lambda s: np.ones(s.nnz, complex), (TypeError, ValueError), "what delta of Mine returns"),
        (lambda s: np.ma.masked_all(s.nnz), (TypeError, ValueError), "what delta of Mine returns"),
        (lambda s: np.full(s.nnz, -np.inf), ValueError, "changes of weights must be finite"),
        (lambda s: np.full(s.nnz, np.inf), ValueError, "changes of weights must be finite"),
    ],
)
@pytest.mark.parametrize("sign", ["E", "I", "mixed"])
def test_what_an_additive_rule_returns_is_checked(returned, error, message, sign):
    synapses = pathway(sign)
    before = synapses.weights.copy()
    with pytest.raises(error, match=message):
        additive(returned).step(synapses, *rates())
    np.testing.assert_array_equal(synapses.weights, before)


def test_whole_numbers_of_a_rule_are_numbers():
    synapses = pathway("I")
    before = synapses.weights.copy()
    additive(lambda s: np.ones(s.nnz, np.uint8)).step(synapses, *rates())
    np.testing.assert_allclose(synapses.weights, before - 1)


def test_an_interrupted_step_leaves_no_trace():
    class Mine(rules.AdditiveRule):
        observes = True

        def delta(self, synapses, w, X, Y):
            self.remember(synapses, seen=1)
            raise KeyboardInterrupt

    synapses = pathway("E")
    with pytest.raises(KeyboardInterrupt):
        Mine().step(synapses, *rates())
    assert synapses.traces == {}
