"""L0: the geometry, Sparse-RS against the exact number of pixels, salt and pepper."""

import numpy as np
import pytest
from attack_models import D, Linear, Quantised
from hypothesis import given, settings
from hypothesis import strategies as st

from bioneuro.attacks import FGSM, PGD, Ensemble, SaltAndPepper, SampleRandom, SparseRS, Targeted, worst_case
from bioneuro.attacks.norms import NORMS
from bioneuro.attacks.sparse_rs import _count, _exchange, _painted

# --- the geometry ---


def test_distances_count_what_changed():
    delta = np.array([[0, 0.5, -1e-30, 0, 0, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, -1]])
    assert NORMS["l0"].distance(delta).tolist() == [2, 0, 4]
    assert NORMS["l0-rgb"].distance(delta).tolist() == [1, 0, 2]
    assert NORMS["l0"].diameter(6) == 6 and NORMS["l0-rgb"].diameter(6) == 2
    with pytest.raises(ValueError, match="pixels of 3 channels, got 4 features"):
        NORMS["l0-rgb"].distance(np.zeros((1, 4)))


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), epsilon=st.floats(0, 13), norm=st.sampled_from(["l0", "l0-rgb"]))
def test_projection_keeps_the_largest_changes(seed, epsilon, norm):
    rng = np.random.default_rng(seed)
    X = rng.uniform(size=(4, 12)).astype(np.float32)
    Z = np.where(rng.uniform(size=X.shape) < 0.5, X, rng.normal(size=X.shape))
    geometry = NORMS[norm]
    projected = geometry.project(Z, X, epsilon)
    assert projected.dtype == X.dtype and projected.min() >= 0 and projected.max() <= 1
    assert (geometry.distance(projected.astype(float) - X) <= epsilon).all()
    full = np.clip(Z, 0, 1).astype(X.dtype)
    width = 3 if norm == "l0-rgb" else 1
    sizes = np.abs(full.astype(float) - X).reshape(4, -1, width).max(axis=2)
    kept = (projected != X).reshape(4, -1, width).any(axis=2)
    np.testing.assert_array_equal(projected.reshape(4, -1, width)[kept], full.reshape(4, -1, width)[kept])
    for size, keep in zip(sizes, kept, strict=True):
        assert keep.sum() == min(int(epsilon), (size > 0).sum())
        assert keep.all() or not keep.any() or size[keep].min() >= size[~keep].max()
    np.testing.assert_array_equal(geometry.project(projected, X, epsilon), projected)


def test_steepest_and_uniform_change_one_pixel():
    gradient = np.array([[0.1, -3.0, 0.2, 1, 1, 1.5], [0, 0, 0, 0, 0, 0]])
    np.testing.assert_array_equal(NORMS["l0"].steepest(gradient)[0], [0, -1, 0, 0, 0, 0])
    np.testing.assert_array_equal(NORMS["l0-rgb"].steepest(gradient)[0], [0, 0, 0, 1, 1, 1])  # 3.5 against 3.3
    assert not NORMS["l0"].steepest(gradient)[1].any()
    X = np.random.default_rng(0).uniform(size=(500, 6))
    for norm in ("l0", "l0-rgb"):
        drawn = NORMS[norm].uniform(SampleRandom(0, X), 6)
        assert (NORMS[norm].distance(drawn) == 1).all() and np.abs(drawn).max() <= 1
        assert len(np.unique(drawn.astype(bool), axis=0)) == 6 / NORMS[norm].channels


# --- sparse-rs ---


def fewest(model, X, y, channels=1):
    """Closed form of two classes: pixels sorted by what each can take from the margin at most."""
    w = np.where(y == model.classes_[1], 1, -1)[:, None] * (model.W[1] - model.W[0])
    bias = np.where(y == model.classes_[1], 1, -1) * np.subtract(*np.broadcast_to(model.b, 2)[::-1])
    margin = (w * X).sum(axis=1) + bias
    gain = np.where(w > 0, w * X, -w * (1 - X)).reshape(len(X), -1, channels).sum(axis=2)
    taken = np.sort(gain, axis=1)[:, ::-1].cumsum(axis=1)
    return (taken < margin[:, None]).sum(axis=1) + 1


@pytest.mark.parametrize("channels", [1, 3])
def test_sparse_rs_finds_almost_the_fewest_pixels_of_a_linear_model(channels):
    rng = np.random.default_rng(0)
    W = rng.normal(size=(2, D))
    model = Linear(W, b=-W @ np.full(D, 0.5), classes=[3, 7])
    # from the boundary to well inside a class
    towards = rng.choice([-0.25, 0.25], (60, 1)) * rng.uniform(size=(60, 1)) * np.sign(W[1] - W[0])
    X = 0.5 + towards + rng.uniform(-0.25, 0.25, (60, D))
    y = model.predict(X)
    least = fewest(model, X, y, channels)
    assert least.min() == 1 and least.max() >= 3
    norm = "l0" if channels == 1 else "l0-rgb"
    epsilons = [1, 2, 3, 4]
    result = SparseRS(norm=norm, n_queries=1000)(model, X, y, epsilons)
    for k, epsilon in enumerate(epsilons):
        assert not result.success[k, least > epsilon].any()
        assert result.success[k, least <= epsilon].mean() > 0.97
        assert result.success[k, least < epsilon].all()
        assert (result.distance[k] <= epsilon).all()


def test_sparse_rs_sees_logits_where_gradients_are_masked():
    rng = np.random.default_rng(3)
    W = rng.normal(size=(2, D))
    model = Quantised(W, b=-W @ np.full(D, 0.5))
    X = rng.uniform(size=(50, D))
    assert SparseRS(n_queries=300)(model, X, model.predict(X), 6).robust_accuracy[0] < 0.1


def test_sparse_rs_wastes_no_pixel_of_a_black_image():
    model = Linear(np.vstack([np.zeros(D), np.ones(D)]), b=[0, -4.5])
    X = np.zeros((3, D))
    assert SparseRS(n_queries=1)(model, X, [0, 0, 0], [4, 5]).success.tolist() == [[False] * 3, [True] * 3]


@pytest.mark.parametrize("epsilon", [0.5, 1, D - 1, D, 3 * D])
def test_sparse_rs_with_budgets_at_the_ends(binary, epsilon):
    model, X, y = binary
    result = SparseRS(n_queries=60)(model, X[:20], y[:20], epsilon)
    assert result.distance.max() <= epsilon
    assert (result.success.any()) == (epsilon >= 1)
    if epsilon >= D - 1:
        assert result.success.mean() > 0.9


def test_sparse_rs_respects_its_number_of_queries(binary):
    model, X, y = binary
    asked = []
    decide = model.decision_function
    model.decision_function = lambda X: asked.append(len(X)) or decide(X)
    SparseRS(n_queries=7)(model, X, y, 1)
    assert len(asked) == 7 + 2  # and one predict before and one after


@pytest.mark.parametrize("attack", [SparseRS(n_queries=5), SaltAndPepper(norm="l0"), SaltAndPepper(norm="l0-rgb")])
def test_l0_attacks_repeat_and_do_not_depend_on_the_batch(binary, attack):
    model, X, y = binary
    whole = attack(model, X, y, 2)
    parts = attack(model, X[::-1], y[::-1], 2, batch_size=33)
    np.testing.assert_array_equal(whole.adversarial, parts.adversarial[:, ::-1])
    assert 0 < whole.success.sum() < len(X)


def test_sparse_rs_with_targets():
    rng = np.random.default_rng(1)
    model = Linear(rng.normal(size=(3, D)), classes=["a", "b", "c"])
    X = rng.uniform(size=(40, D))
    y = model.predict(X)
    target = model.classes_[(np.searchsorted(model.classes_, y) + 1) % 3]
    result = SparseRS(n_queries=300)(model, X, y, 12, criterion=Targeted(target))
    np.testing.assert_array_equal(result.success[0], model.predict(result.adversarial[0]) == target)
    assert result.success.mean() > 0.8


# --- salt and pepper ---


def test_salt_and_pepper_turns_as_many_as_the_budget_holds():
    model = Linear(np.zeros((2, D)), b=[1.0, 0.0])  # always class 0, so every draw is kept
    X = np.random.default_rng(0).uniform(0.1, 0.9, (100, D))
    y = np.zeros(100, int)
    sparse = SaltAndPepper(norm="l0", n_draws=1)(model, X, y, 5.9)
    assert (sparse.distance == 5).all()
    changed = sparse.adversarial[0] != X
    assert set(np.unique(sparse.adversarial[0][changed])) == {0, 1}
    np.testing.assert_allclose(changed.mean(axis=0), 5 / D, atol=0.15)  # anywhere
    pixels = SaltAndPepper(norm="l0-rgb", n_draws=1)(model, X, y, 4)
    assert (pixels.distance == 4).all()
    turned = pixels.adversarial[0].reshape(100, -1, 3)
    black_or_white = (turned == turned[..., :1]).all(axis=2)
    assert (black_or_white.sum(axis=1) == 4).all()
    dense = SaltAndPepper(norm="linf", n_draws=1)(model, X, y, 0.05)
    np.testing.assert_allclose(np.abs(dense.adversarial[0] - X), 0.05)
    ball = SaltAndPepper(norm="l2", n_draws=1)(model, X, y, 1.5)
    assert ball.distance.max() <= 1.5 and ball.distance.mean() > 1.2
    assert set(np.unique(ball.adversarial[0][ball.adversarial[0] != X])) == {0, 1}


def test_pixels_that_have_the_value_already_cost_nothing():
    model = Linear(np.zeros((2, D)), b=[1.0, 0.0])
    X = np.zeros((20, D))
    result = SaltAndPepper(norm="l0", n_draws=1)(model, X, np.zeros(20, int), 4)
    assert (result.adversarial[0].sum(axis=1) == 4).all()


# --- all together ---


def test_worst_case_in_l0_takes_the_attacks_that_know_it(binary):
    model, X, y = binary
    result = worst_case(model, X[:30], y[:30], [1, 6], norm="l0")
    assert result.norm == "l0" and result.distance[1].max() <= 6
    assert 0 < result.robust_accuracy[1] < result.robust_accuracy[0] or result.robust_accuracy[1] == 0
    both = Ensemble([SaltAndPepper(norm="l0"), SparseRS(n_queries=50)])(model, X[:30], y[:30], 6)
    assert both.robust_accuracy[0] <= SaltAndPepper(norm="l0")(model, X[:30], y[:30], 6).robust_accuracy[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PGD(norm="l0"), r"norm must be one of \['l2', 'linf'\], got 'l0'"),
        (lambda: FGSM(norm="l0-rgb"), r"norm must be one of \['l2', 'linf'\], got 'l0-rgb'"),
        (lambda: SparseRS(norm="linf"), r"norm must be one of \['l0', 'l0-rgb'\], got 'linf'"),
        (lambda: SparseRS(n_queries=0), "n_queries must be an integer >= 1, got 0"),
        (lambda: SparseRS(exchanged=0), r"exchanged must be a number in \(0, 1\], got 0"),
    ],
)
def test_bad_hyper_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_colour_needs_three_channels(binary):
    model, X, y = binary
    with pytest.raises(ValueError, match="pixels of 3 channels, got 35 features"):
        NORMS["l0-rgb"].project(X[:, :35], X[:, :35], 3)


def test_exchanged_pixels_are_those_next_in_line_and_painted_pixels_change():
    rng = np.random.default_rng(0)
    chosen = rng.random((3, 2000)).argsort(axis=1)[:, :700]  # short rows are sorted whole by NumPy's partition
    for count in (1, 300, 700):
        uniform = rng.random((3, 700 + 2000))
        proposed = _exchange(chosen, count, uniform)
        for before, after, line in zip(chosen, proposed, uniform[:, 700:], strict=True):
            kept = set(after[count:])
            assert kept <= set(before) and len(set(after)) == 700
            assert set(after[:count]) == set([pixel for pixel in line.argsort() if pixel not in kept][:count])
    clean = np.array([[[0.0], [1.0], [0.3]]])
    every = np.array([[0, 1, 2]])
    assert _painted(clean, clean, every, np.array([[0.9, 0.1, 0.9]])).tolist() == [[[1], [0], [0]]]
    assert _painted(clean, clean, every, np.array([[0.1, 0.9, 0.1]])).tolist() == [[[1], [0], [1]]]
    colour, pixel = np.array([[[0.0, 0.0, 1.0]]]), np.array([[0]])  # one channel that changes is enough
    assert _painted(colour, colour, pixel, np.array([[0.9, 0.1, 0.9]])).tolist() == [[[0, 1, 0]]]
    assert _painted(colour, colour, pixel, np.array([[0.9, 0.9, 0.1]])).tolist() == [[[1, 1, 0]]]


def test_sparse_rs_exchanges_fewer_pixels_on_the_papers_schedule():
    starts, divisors = (0, 50, 200, 500, 1000, 2000, 4000, 6000, 8000), (2, 4, 5, 6, 8, 10, 12, 15, 20)
    for start, divisor in zip(starts, divisors, strict=True):
        assert _count(120, (start + 1) / 10_000) == 120 / divisor
    assert _count(1, 1.0) == 1
