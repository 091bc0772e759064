"""Association: mute cells, intrinsic thresholds, gain control, recruitment by any rule, teaching, turnover."""

import copy

import numpy as np
import pytest
from test_layers import assert_same_layer

from bioneuro.layers import Association, SoftmaxSettings
from bioneuro.layers.association import LEAST_MOVED
from bioneuro.rules import RULES, Contrastive, LogCovariance, LogRelaxation, Turnover, on_synapses

N_FEATURES = 40


@pytest.fixture(scope="module")
def samples():
    """Features of three noisy prototypes, and one-hot labels."""
    rng = np.random.default_rng(0)
    prototypes = rng.gamma(0.5, size=(3, N_FEATURES))
    y = rng.integers(0, 3, 120)
    H = prototypes[y] + 0.2 * rng.gamma(0.5, size=(120, N_FEATURES))
    return H / np.linalg.norm(H, axis=1, keepdims=True), np.eye(3)[y]


#: A competition in which many cells are active.
BROAD = SoftmaxSettings(beta=2.0)


def learned(samples, n_cells=15, n_steps=5, **options):
    H, T = samples
    cells = Association(n_cells, H.shape[1], T.shape[1], **{"dtype": np.float64, **options})
    for _ in range(n_steps):
        cells.learn(H, T)
    return cells


def norms(cells):
    W = cells.synapses.to_scipy()
    return np.sqrt((W * W).sum(axis=1))


# --- mute until recruited ---


def test_cells_have_no_synapses_and_no_rate_until_they_are_recruited(samples):
    H, T = samples
    cells = Association(50, N_FEATURES, 3, dtype=np.float64, recruitment=0.1)
    assert cells.synapses.nnz == 0 and not cells.live.any() and (cells.owner == -1).all()
    step = cells.learn(H, T)
    assert cells.live.sum() == 12  # a tenth of the batch
    assert not step.rates[:, ~cells.live].any() and step.rates.sum() == 12  # each has the input that it took over
    rates = cells.respond(H)
    assert not rates[:, ~cells.live].any()
    np.testing.assert_allclose(rates.sum(axis=1), 1)
    assert (np.diff(cells.synapses.indptr)[~cells.live] == 0).all()
    np.testing.assert_allclose(norms(cells)[cells.live], 1)


def test_where_nobody_has_learned_nobody_learns(samples):
    H, T = samples
    cells = Association(5, N_FEATURES, 3, dtype=np.float64, recruitment=0.0)
    step = cells.learn(H, T)
    assert not step.rates.any() and not cells.live.any()
    np.testing.assert_array_equal(cells.votes, 1 / 3)


def test_a_cell_prefers_the_input_it_took_over(samples):
    H, T = samples
    cells = Association(30, N_FEATURES, 3, dtype=np.float64)
    step = cells.learn(H, T)
    drive = cells.excite(H)
    own = drive[step.rates.argmax(axis=0), np.arange(30)]
    assert (drive > own).mean() < 0.02  # one half by chance


# --- thresholds and gain ---


def test_the_intrinsic_threshold_is_the_mean_drive(samples):
    H, _ = samples
    drive = learned(samples).excite(H)
    np.testing.assert_allclose(drive.mean(axis=0), 0, atol=1e-9)
    assert learned(samples, intrinsic=False).excite(H).mean() > 0.1


@pytest.mark.parametrize("scale", [1e-2, 1.0, 50.0])
def test_beta_is_the_spread_of_the_drive_times_the_gain(samples, scale):
    H, T = samples
    H = np.ascontiguousarray(scale * H)
    cells = learned((H, T), n_steps=60, competition=SoftmaxSettings(beta=7.0))
    assert (cells.gain * cells.excite(H)).std(axis=1).mean() == pytest.approx(7, rel=0.02)


def test_the_scale_of_the_features_changes_no_rate(samples):
    H, T = samples
    one, other = learned((H, T)), learned((np.ascontiguousarray(16 * H), T))
    np.testing.assert_allclose(other.respond(np.ascontiguousarray(16 * H)), one.respond(H), atol=1e-9)


def test_inputs_that_drive_all_cells_alike_leave_the_gain_finite():
    H, T = np.full((20, N_FEATURES), 0.1), np.eye(2)[np.arange(20) % 2]
    cells = learned((H, T), 6)
    assert np.isfinite(cells.gain) and np.isfinite(cells.respond(H)).all()


# --- rules ---


def hebb(synapses, X, Y, gain):
    return on_synapses(synapses, gain) * synapses.weight_grad(X, Y) / len(X)


def test_a_rule_is_a_name_or_an_object(samples):
    by_name, by_object = learned(samples, rule="log-covariance"), learned(samples, rule=LogCovariance())
    np.testing.assert_array_equal(by_name.synapses.weights, by_object.synapses.weights)
    steeper = learned(samples, rule=LogCovariance(gain=2.0))
    assert np.log(steeper.synapses.weights).std() > 1.3 * np.log(by_name.synapses.weights).std()


def test_a_rule_is_a_plain_function(samples):
    H, T = samples
    cells = learned(samples, 30, rule=hebb)
    np.testing.assert_allclose(norms(cells), 1)
    best = cells.votes[cells.excite(H).argmax(axis=1)].argmax(axis=1)
    assert (best == T.argmax(axis=1)).mean() > 0.9


#: Rules of competing cells; that of predictive coding takes their rates for targets, and nearly silences the cells.
COMPETING = [n for n, rule in RULES.items() if "E" in rule.signs and not rule.rewarded and n != "predictive-coding"]


@pytest.mark.parametrize("name", COMPETING)
def test_cells_are_recruited_by_any_rule(samples, name):
    """They prefer what they took over to most other inputs."""
    H, T = samples
    cells = learned(samples, 30, n_steps=1, rule=name)
    assert cells.live.sum() == 30
    wired = np.diff(cells.synapses.indptr) > 0
    assert wired.mean() > 0.9  # Krotov and Hopfield's rule drives a few off every input
    np.testing.assert_allclose(norms(cells)[wired & (norms(cells) > 0)], 1)
    drive = cells.excite(H)
    label = T.argmax(axis=1)
    own = np.array([drive[label == c].mean(axis=0) for c in range(3)])
    assert (own.argmax(axis=0) == cells.owner).mean() > 0.6  # a third by chance


def test_noise_is_that_of_the_seed(samples):
    one, again, other = (learned(samples, rule=LogRelaxation(sigma=0.5), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.synapses.weights, again.synapses.weights)
    assert not np.array_equal(one.synapses.weights, other.synapses.weights)


# --- labels ---


def test_votes_relax_to_the_label_distribution_of_what_a_cell_wins(samples):
    H, T = samples
    cells = learned(samples, 1, n_steps=20, rule=LogCovariance(eta=1.0))
    np.testing.assert_allclose(cells.votes[0], T.mean(axis=0), atol=1e-6)
    assert learned(samples).votes.sum(axis=1) == pytest.approx(1)


def test_kappa_ties_cells_to_labels():
    """Same features, random labels: only the top-down drive can make cells task-specific."""
    rng = np.random.default_rng(0)
    H = rng.gamma(1, size=(200, 30))
    H /= np.linalg.norm(H, axis=1, keepdims=True)
    T = np.eye(2)[rng.integers(0, 2, 200)]

    def certainty(kappa):
        return learned((H, T), 20, n_steps=10, competition=BROAD, kappa=kappa, homeostasis=0.0).votes.max(axis=1).mean()

    assert certainty(3.0) > certainty(0.0) + 0.1


def log_likelihood(cells, H, T):
    """sum log p(label) of the votes, without their floor."""
    return np.log(((cells.rates(cells.drive(H)) @ cells.votes) * T).sum(axis=1)).sum()


def test_teaching_goes_along_the_exact_gradient(samples, monkeypatch):
    """d log w_ij = eta times s_j^-1 times the slope of sum log p(label) over w_ij, in units of the gain."""
    monkeypatch.setattr("bioneuro.layers.association.LEAST_SURPRISE", 0.0)
    H, T = samples
    cells = learned(samples, 8, teacher=Contrastive(eta=1e-5), competition=BROAD)
    before, gain, e = cells.synapses.weights.copy(), cells.gain, 1e-6
    slopes = np.zeros_like(before)
    for k in range(len(before)):
        step = np.zeros_like(before)
        step[k] = e
        values = []
        for sign in (1, -1):
            moved = copy.deepcopy(cells)
            moved.synapses.add(sign * step)
            values.append(log_likelihood(moved, H, T))
        slopes[k] = (values[0] - values[1]) / (2 * e)
    cells.teach(H, T)
    growth = np.log(cells.synapses.weights / before)
    sd = cells.synapses.pre_sd[cells.synapses.indices]
    np.testing.assert_allclose(growth * sd / 1e-5, slopes / gain, rtol=1e-3, atol=1e-5)


def test_teaching_raises_the_likelihood_and_keeps_wiring_and_signs(samples):
    H, T = samples
    cells = learned(samples, 8, teacher="contrastive", competition=BROAD)
    indices, found = cells.synapses.indices.copy(), [log_likelihood(cells, H, T)]
    for step in range(10):
        cells.teach(H, T, share=0.1 * (1 - step / 10))
        found.append(log_likelihood(cells, H, T))
    assert (np.diff(found) > 0).all()
    np.testing.assert_array_equal(cells.synapses.indices, indices)
    assert (cells.synapses.weights > 0).all()


def test_a_teacher_knows_the_inputs_whatever_the_rule(samples):
    """Where neither rule nor threshold observes the rates, the teacher does."""
    cells = learned(samples, rule="log-relaxation", intrinsic=False, teacher="contrastive")
    before = cells.synapses.weights.copy()
    cells.teach(*samples)
    assert cells.synapses.traces["pre_count"] == 5 * 120 and not np.array_equal(before, cells.synapses.weights)


def test_samples_that_the_votes_know_teach_nothing(samples):
    H, T = samples
    cells = learned(samples, 8, teacher="contrastive", competition=BROAD)
    certain = (cells.rates(cells.drive(H)) @ cells.votes * T).sum(axis=1) > 0.99
    assert 0 < certain.sum() < len(H)
    other = copy.deepcopy(cells)
    cells.teach(H, T)
    other.teach(np.ascontiguousarray(H[~certain]), T[~certain])
    np.testing.assert_allclose(cells.synapses.weights, other.synapses.weights, rtol=1e-12)


def test_without_a_teacher_there_is_no_teaching(samples):
    with pytest.raises(ValueError, match="teacher must be a rule to teach by, got None"):
        learned(samples, n_steps=1).teach(*samples)


# --- turnover ---


def test_turnover_keeps_unit_norm_and_leaves_what_does_not_learn(samples):
    cells = learned(samples, 30, turnover=Turnover(birth=0.05, death=0.2))
    assert 0 < cells.synapses.density < 1
    died, born = cells.rewire()
    assert died > 0 and born > 0
    np.testing.assert_allclose(norms(cells), 1)
    assert cells.rewire() == (0, 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_excitation_after_a_step_on_one_sample_is_exact(samples, dtype):
    H, T = (array.astype(dtype) for array in samples)
    cells = learned((H, T), dtype=dtype, n_steps=20)
    assert cells.live.all() and cells.learn(H[:2], T[:2]).excitation is None
    for vigilance in (None, 0.9):
        cells.vigilance = vigilance
        for k in range(40):
            after = cells.learn(H[k : k + 1], T[k : k + 1]).excitation
            np.testing.assert_array_equal(after, cells.excite(H[k : k + 1]))


def test_the_excitation_is_not_known_where_cells_are_mute_or_others_may_have_changed(samples):
    H, T = samples
    assert learned(samples, n_cells=500).learn(H[:1], T[:1]).excitation is None
    for rule in ("oja", LogCovariance(normalize=False)):
        assert learned(samples, rule=rule, n_steps=20).learn(H[:1], T[:1]).excitation is None


def test_in_growth_synapses_turn_over_once_cells_have_moved_enough(samples):
    rates = Turnover(birth=1.0, death=1.0)
    for vigilance, moved, turns in ((0.9, 0.9, False), (0.9, 1.1, True), (None, 0.9, True)):
        cells = learned(samples, turnover=rates)
        cells.vigilance, cells.unsettled[:] = vigilance, moved * LEAST_MOVED / cells.n_cells
        due, pattern = cells.unsettled.copy(), cells.synapses.indices
        assert any(cells.rewire()) == turns
        np.testing.assert_array_equal(cells.unsettled, 0 if turns else due)
        assert np.array_equal(cells.synapses.indices, pattern) != turns


def test_learning_is_identical_for_any_thread_count(samples):
    H, T = (part.astype(np.float32) for part in samples)
    found = []
    for n_threads in (1, 2, 3):
        cells = Association(40, N_FEATURES, 3, turnover=Turnover(), teacher="contrastive", n_threads=n_threads)
        for _ in range(4):
            cells.learn(H, T)
            cells.rewire()
        cells.teach(H, T)
        found.append((cells.synapses.indices.copy(), cells.synapses.weights.copy(), cells.activity(cells.drive(H))))
    for others in found[1:]:
        for a, b in zip(found[0], others, strict=True):
            np.testing.assert_array_equal(a, b)


# --- growth: samples may come class by class ---


def test_in_growth_a_cell_learns_from_samples_of_its_own_label(samples):
    H, T = samples
    shuffled = H, np.random.default_rng(1).permutation(T)  # inputs say nothing about labels

    def purity(vigilance):
        cells = learned(shuffled, n_steps=20, vigilance=vigilance)
        return cells.votes[cells.live].max(axis=1)

    assert purity(0.9).min() > 0.99
    assert purity(None).min() < 0.9  # the control


@pytest.mark.parametrize("vigilance, n_calls", [(0.9, 2), (None, 0)])
def test_weights_follow_the_mean_input_in_growth_alone(samples, vigilance, n_calls):
    H, T = samples
    moves = []

    class Recording(LogCovariance):
        def follow_mean(self, synapses, before):
            moves.append((before, synapses.pre_mean))
            super().follow_mean(synapses, before)

    cells = Association(10, N_FEATURES, 3, dtype=np.float64, vigilance=vigilance, rule=Recording())
    for batch in np.split(np.argsort(T.argmax(axis=1), kind="stable"), 3):  # class by class
        cells.learn(H[batch], T[batch])
    assert len(moves) == n_calls  # at the first batch nothing was known that could move
    for (before, after), n in zip(moves, (40, 80), strict=False):
        order = np.argsort(T.argmax(axis=1), kind="stable")
        np.testing.assert_allclose(before, H[order[:n]].mean(axis=0))
        np.testing.assert_allclose(after, H[order[: n + 40]].mean(axis=0))
    np.testing.assert_allclose(norms(cells)[cells.live], 1)


# --- bad input ---


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda H, T: (H[:, :-1].copy(), T), r"H must have shape \(batch >= 1, 40\), got \(120, 39\)"),
        (lambda H, T: (H[:0], T[:0]), r"H must have shape \(batch >= 1, 40\), got \(0, 40\)"),
        (lambda H, T: (H / 0, T), "H must be finite"),
        (lambda H, T: (H, T[:-1]), r"T must be finite and of shape \(120, 3\), got shape \(119, 3\)"),
        (lambda H, T: (H, T[:, :2]), r"T must be finite and of shape \(120, 3\), got shape \(120, 2\)"),
        (lambda H, T: (H, T * np.nan), r"T must be finite and of shape \(120, 3\)"),
    ],
)
@pytest.mark.parametrize("vigilance", [None, 0.9])
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_what_is_refused_leaves_no_trace(samples, change, message, vigilance):
    cells = learned(samples, n_steps=2, vigilance=vigilance, turnover=Turnover())
    before = copy.deepcopy(cells)
    with pytest.raises(ValueError, match=message):
        cells.learn(*change(*samples))
    assert_same_layer(cells, before)


@pytest.mark.parametrize(
    ("argument", "value", "message"),
    [
        ("kappa", -0.1, r"kappa must be a number in \[0, 1e\+06\], got -0.1"),
        ("activity_gain", 0.0, r"activity_gain must be a number in \(0, 1e\+06\], got 0.0"),
        ("recruitment", 2.0, r"recruitment must be a number in \[0, 1\], got 2.0"),
        ("competition", "hard", "competition must be one of"),
        ("rule", "vogels", "rule must learn on pathways of sign 'E'"),
        ("teacher", "signed", "teacher must learn on pathways of sign 'E'"),
        ("teacher", "hebb", "rule must be one of 'oja'"),
    ],
)
def test_refuses(argument, value, message):
    with pytest.raises(ValueError, match=message):
        Association(5, 10, 2, **{argument: value})
