"""What changes few pixels much in L2: Frank-Wolfe through the response, and the random search."""

import numpy as np
import pytest
from attack_models import EPSILONS, Contrast, D, Linear, OfferedThreshold, Threshold
from scipy.optimize import minimize

from bioneuro import datasets
from bioneuro.attacks import CGBA, PGD, FewPixels, FrankWolfe, Square, Targeted, audit, worst_case
from bioneuro.attacks.few_pixels import _proposal
from bioneuro.attacks.frank_wolfe import _Farthest, _Jumps
from bioneuro.attacks.norms import L2

#: Pixels of the images whose every subset is tried.
F = 16


@pytest.fixture
def threshold():
    """Black and white pixels, a few grey, of two classes."""
    rng = np.random.default_rng(5)
    W = rng.normal(size=(2, F))
    X = np.where(rng.uniform(size=(100, F)) < 0.3, rng.uniform(0.3, 0.7, (100, F)), rng.integers(0, 2, (100, F)))
    model = OfferedThreshold(W, b=-W @ np.full(F, 0.5))
    return model, X, model.predict(X)


def knapsack(model, X, y):
    """The least L2 distance of each sample at which pixels that take the margin can cross: all sets of pixels."""
    margin, gain, cost = model.changes(X, y)
    subsets = np.arange(2**F)[:, None] >> np.arange(F) & 1
    broken = subsets @ gain.T > margin
    return np.sqrt(np.where(broken, subsets @ cost.T, np.inf).min(axis=0))


# --- Frank-Wolfe ---


@pytest.mark.parametrize("attack", [FrankWolfe(), FrankWolfe(loss="margin"), FrankWolfe(n_steps=5, n_restarts=2)])
def test_without_a_response_it_reaches_the_closed_form(binary, attack):
    model, X, y = binary
    result = attack(model, X, y, EPSILONS["l2"])
    for broken, epsilon in zip(result.success, EPSILONS["l2"], strict=True):
        assert not (broken & model.robust(X, y, epsilon, "l2")).any()
        assert broken[~model.robust(X, y, 0.99 * epsilon, "l2")].all()


def test_where_all_pixels_cost_the_same_it_solves_the_knapsack():
    rng = np.random.default_rng(0)
    W = rng.normal(size=(2, D))
    model = OfferedThreshold(W, b=-W @ np.full(D, 0.5))
    X = rng.integers(0, 2, (200, D)).astype(float)
    y = model.predict(X)
    margin, gain, _ = model.changes(X, y)
    least = (np.sort(gain, axis=1)[:, ::-1].cumsum(axis=1) <= margin[:, None]).sum(axis=1) + 1
    # From 1 to just below .5 costs a hair more than .25.
    result = FrankWolfe(n_steps=5)(model, X, y, 0.501 * np.sqrt([1, 2, 3]))
    for k, broken in enumerate(result.success, 1):
        np.testing.assert_array_equal(broken, least <= k)
    assert 0 < result.robust_accuracy[-1] < result.robust_accuracy[0] < 1


def test_it_comes_near_the_knapsack_of_pixels_that_cost_different_amounts(threshold):
    model, X, y = threshold
    least = knapsack(model, X, y)
    epsilons = [0.3, 0.6, 0.9]
    result = FrankWolfe(n_steps=20)(model, X, y, epsilons)
    for broken, epsilon in zip(result.success, epsilons, strict=True):
        assert not (broken & (least > epsilon)).any()
        assert broken[least < 0.85 * epsilon].mean() > 0.95  # the last pixel that would be worth it may not fit


def test_behind_a_smooth_response_it_jumps_to_the_constrained_maximum():
    rng = np.random.default_rng(1)
    model = Contrast(rng.normal(size=(2, 9)))
    X = rng.uniform(size=(20, 9))
    direction = rng.normal(size=X.shape)
    space = FrankWolfe().make_space(model, X, 0.4)
    images = space.farthest(direction)
    assert (L2.distance(images - X) <= 0.4).all()
    assert images.min() >= 0 and images.max() <= 1
    reached, bests = (direction * (model.response(images) - model.response(X))).sum(axis=1), []
    for x, d, value in zip(X, direction, reached, strict=True):
        ball = {"type": "ineq", "fun": lambda z, x=x: 0.16 - ((z - x) ** 2).sum()}
        starts = [x, np.clip(x + 0.4 * d / np.linalg.norm(d), 0, 1)]
        best = min(
            minimize(
                lambda z, d=d: -(d * model.response(z)).sum(), z, bounds=[(0, 1)] * 9, constraints=ball, method="SLSQP"
            ).fun
            for z in starts
        )
        bests.append(-best - (d * model.response(x)).sum())
        assert value >= 0.85 * bests[-1]  # a pixel has 16 levels to go to
    assert reached.mean() > 0.95 * np.mean(bests)


def test_it_finds_what_small_steps_and_windows_do_not(threshold):
    model, X, y = threshold
    jumps = FrankWolfe()(model, X, y, 0.6).robust_accuracy[0]
    others = [attack(model, X, y, 0.6).robust_accuracy[0] for attack in (PGD(norm="l2"), Square(norm="l2"))]
    assert jumps < min(others) - 0.1
    assert worst_case(model, X, y, 0.6, "l2").robust_accuracy[0] <= jumps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_pixel_at_the_threshold_is_not_rounded_back(dtype):
    # .3 + (.5 - .3) is less than .5 in one of the two precisions, and x >= .5 what counts
    model = OfferedThreshold(np.array([[0.0, 0], [1, 1]]), b=[0.5, 0])
    X = np.array([[0.3, 0.0], [0.1, 0.0], [0.7, 0.0], [1.0, 0.0]], dtype)
    result = FrankWolfe(n_steps=2)(model, X, [0, 0, 1, 1], [0.21, 0.41, 0.51])
    assert result.adversarial.dtype == dtype
    np.testing.assert_array_equal(result.success, [[1, 0, 1, 0], [1, 1, 1, 0], [1, 1, 1, 1]])


def test_what_lies_in_the_ball_is_projected_to_itself():
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(50, D)).astype(np.float32)
    inside = np.clip(X + rng.uniform(-0.1, 0.1, X.shape), 0, 1).astype(np.float32)
    np.testing.assert_array_equal(L2.project(inside, X, 1.0), inside)
    outside = L2.project(inside, X, 0.1)
    np.testing.assert_allclose(L2.distance(outside - X), 0.1, rtol=1e-5)


def test_targets_and_runners_up():
    rng = np.random.default_rng(1)
    model = Linear(rng.normal(size=(4, D)), b=0.0, classes=list("abcd"))
    X = rng.uniform(size=(60, D))
    y = model.predict(X)
    target = model.classes_[(np.searchsorted(model.classes_, y) + 1) % 4]
    result = FrankWolfe()(model, X, y, 0.5, criterion=Targeted(target))
    np.testing.assert_array_equal(result.success[0], model.predict(result.adversarial[0]) == target)
    assert 0 < result.success.mean() < 1
    any_class = FrankWolfe(loss="margin", n_target_classes=3)(model, X, y, 0.5)
    assert (any_class.success >= result.success).all()


def test_a_constant_model_is_left_alone():
    model = OfferedThreshold(np.zeros((2, D)), b=[1.0, 0.0])
    X = np.random.default_rng(0).uniform(size=(5, D))
    for attack in (FrankWolfe(n_steps=3), FewPixels(n_queries=3)):
        assert attack(model, X, np.zeros(5, int), [0.1, 1e-30]).robust_accuracy.tolist() == [1, 1]


# --- the random search ---


def test_the_search_breaks_nothing_out_of_reach_and_most_of_what_is_in_reach(threshold):
    model, X, y = threshold
    least = knapsack(model, X, y)
    result = FewPixels(n_queries=1000)(model, X, y, [0.6, 0.9])
    for broken, epsilon in zip(result.success, result.epsilons, strict=True):
        assert not (broken & (least > epsilon)).any()
        assert broken[least < 0.7 * epsilon].mean() > 0.9


def test_the_search_sees_a_threshold_that_is_not_offered(threshold):
    offered, X, y = threshold
    model = Threshold(offered.W, offered.b)
    search = FewPixels(n_queries=500)(model, X, y, 0.9).robust_accuracy[0]
    others = [attack(model, X, y, 0.9).robust_accuracy[0] for attack in (PGD(norm="l2"), FrankWolfe())]
    assert search < min(others) - 0.1


def test_the_search_respects_its_number_of_queries_and_its_budget(binary):
    model, X, y = binary
    asked = []
    decide = model.decision_function
    model.decision_function = lambda X: asked.append(len(X)) or decide(X)
    result = FewPixels(n_queries=7)(model, X, y, 0.3)
    assert len(asked) == 7 + 2  # and one predict before and one after
    assert result.distance.max() <= 0.3 + 1e-12
    assert (result.distance[0][~result.success[0]] > 0).mean() > 0.9


def test_the_search_repeats_and_does_not_depend_on_the_batch(binary):
    model, X, y = binary
    attack = FewPixels(n_queries=20)
    whole = attack(model, X, y, 0.4)
    parts = attack(model, X[::-1], y[::-1], 0.4, batch_size=33)
    np.testing.assert_array_equal(whole.adversarial, parts.adversarial[:, ::-1])
    assert 0 < whole.success.sum() < len(X)


# --- the audit ---


def status(model, X, y, check):
    table = audit(model, X, y, 0.9, "l2", n_steps=20, n_queries=500).set_index("check")
    return table.loc[check]


def test_the_audit_sees_that_gradients_miss_a_threshold(threshold):
    offered, X, y = threshold
    hidden = Threshold(offered.W, offered.b)
    assert status(hidden, X, y, "few pixels minus white-box").status == "warn"
    assert status(offered, X, y, "few pixels minus white-box").status == "pass"
    assert status(offered, X, y, "small steps minus white-box").value > 0.2


def test_a_binarised_network_falls():
    """Schott et al. 2019 leave 3 % of MNIST's images at L2 1.5; digits are smaller, and so is the budget."""
    pytest.importorskip("torch")
    from bioneuro.baselines import make

    data = datasets.load("digits")
    model = make("cnn", binarise=0.5).set_params(random_state=0).fit(data.X_train, data.y_train)
    X, y = data.X_test[:100], data.y_test[:100]
    steps = PGD(norm="l2")(model, X, y, 1.0).robust_accuracy[0]
    jumps = FrankWolfe(n_steps=20, n_restarts=3)(model, X, y, 1.0).robust_accuracy[0]
    labels_only = CGBA(n_queries=500)(model, X, y, 1.0).robust_accuracy[0]
    assert jumps < 0.5 * min(steps, labels_only)


# --- bad input ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FrankWolfe(norm="linf"), r"norm must be one of \['l2'\], got 'linf'"),
        (lambda: FrankWolfe(n_steps=0), "n_steps must be an integer >= 1, got 0"),
        (lambda: FrankWolfe(n_restarts=0), "n_restarts must be an integer >= 1, got 0"),
        (lambda: FrankWolfe(n_target_classes=-1), "n_target_classes must be an integer >= 0, got -1"),
        (lambda: FrankWolfe(loss="hinge"), r"loss must be one of \['ce', 'dlr', 'margin'\], got 'hinge'"),
        (lambda: FewPixels(norm="linf"), r"norm must be one of \['l2'\], got 'linf'"),
        (lambda: FewPixels(n_queries=0), "n_queries must be an integer >= 1, got 0"),
        (lambda: FewPixels(exchanged=0), r"exchanged must be a number in \(0, 1\], got 0"),
    ],
)
def test_bad_hyper_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_change_that_takes_the_whole_budget_is_bought():
    X, uniform = np.zeros((1, 1)), np.full((1, 4), 0.5)
    crossed = _proposal(X, X, 1.0, 0.0, uniform)
    assert 0 < crossed[0, 0] < 1
    np.testing.assert_array_equal(_proposal(X, X, crossed[0, 0], 0.0, uniform), crossed)
    np.testing.assert_array_equal(_proposal(X, X, np.nextafter(crossed[0, 0], 0), 0.0, uniform), X)


def test_the_direction_is_a_mean_whose_newest_part_weighs_2_of_k_plus_2_at_least_a_tenth():
    class View:
        def __init__(self, gradient):
            self.gradient = lambda loss: gradient

    class Space(_Farthest):
        def __init__(self):
            pass

        def farthest(self, direction):
            return direction

    gradients = np.random.default_rng(0).choice([-1.0, 1.0], (25, 1, 3))  # of mean absolute value 1
    jumps, mean = _Jumps(np.zeros((1, 3)), np.full((1, 3), 7.0), "ce"), 0.0
    for k, gradient in enumerate(gradients):
        mean = mean + max(2 / (k + 2), 0.1) * (gradient - mean)
        jumps.step(Space(), View(gradient))
        np.testing.assert_allclose(jumps.points, mean, atol=1e-12)
    assert FrankWolfe().n_target_classes == 0  # away from the true class, as it says
    with pytest.raises(TypeError, match="positional"):
        FrankWolfe("l2")
