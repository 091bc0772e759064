"""Noise, Square and Transfer: attacks that need no gradient of the model they attack."""

import numpy as np
import pytest
from attack_models import EPSILONS, D, Linear, Quantised

from bioneuro.attacks import (
    PGD,
    Ensemble,
    GaussianNoise,
    SampleRandom,
    SparseRS,
    Square,
    Transfer,
    UniformNoise,
    worst_case,
)
from bioneuro.attacks.random_search import Proposals, RandomSearch
from bioneuro.attacks.square import _bump, _bumps, _dipole, _odd_window_size, _share, _signs, _tiles, _window_size
from bioneuro.protocols import Classifier, WhiteBox

# --- noise ---


def test_noise_fills_its_ball(binary):
    _, X, _ = binary
    model = Linear(np.zeros((2, D)), b=[1.0, 0.0])  # always class 0, so every draw is kept and none succeeds
    y = np.zeros(len(X), int)
    uniform = UniformNoise(n_draws=1)(model, X, y, 0.2)
    delta = uniform.adversarial[0] - X
    np.testing.assert_allclose(delta.std(), 0.2 / np.sqrt(3), rtol=0.05)
    ball = UniformNoise(norm="l2", n_draws=1)(model, X, y, 0.2)
    np.testing.assert_allclose(ball.distance.mean(), 0.2 * D / (D + 1), rtol=0.01)  # E[u^(1/d)] = d / (d + 1)
    gaussian = GaussianNoise(norm="l2", n_draws=1)(model, X, y, 0.2)
    assert 0.9 * 0.2 < gaussian.distance.mean() < 0.98 * 0.2 and gaussian.distance.max() <= 0.2  # half are cut
    cut = GaussianNoise(n_draws=1)(model, X, y, 0.2).adversarial[0] - X
    np.testing.assert_allclose((np.abs(np.abs(cut) - 0.2) < 1e-9).mean(), 0.0455, atol=0.01)  # beyond 2 sd


def test_a_broken_sample_keeps_its_image_at_larger_budgets(binary):
    model, X, y = binary
    result = UniformNoise()(model, X, y, [0.3, 0.1])
    broken = result.success[1]
    assert 0 < broken.sum() < len(X)
    np.testing.assert_array_equal(result.adversarial[0][broken], result.adversarial[1][broken])


def test_generators_are_resolved_once():
    attack = UniformNoise(random_state=np.random.default_rng(5))
    assert attack.random_state == UniformNoise(random_state=np.random.default_rng(5)).random_state
    assert attack.random_state != UniformNoise(random_state=np.random.default_rng(6)).random_state


def test_random_streams_depend_on_content_and_seed():
    X = np.random.default_rng(0).uniform(size=(4, 3))
    streams, permuted = SampleRandom(1, X), SampleRandom(1, X[::-1])
    first = streams.uniform(5)
    np.testing.assert_array_equal(permuted.uniform(5)[::-1], first)
    assert not np.array_equal(SampleRandom(2, X).uniform(5), first)
    # A subset's draw moves only the streams of the subset.
    second = streams.normal(2, rows=np.array([2]))
    np.testing.assert_array_equal(permuted.normal(2, rows=np.array([1])), second)
    np.testing.assert_array_equal(streams.uniform(1)[[0, 1, 3]], permuted.uniform(1)[[3, 2, 0]])


# --- square ---


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("shape", [None, (4, 9), (9, 4, 1), (6, 2, 3), (36, 1)])
def test_square_beats_noise_with_as_many_queries(binary, norm, shape):
    model, X, y = binary
    epsilon = EPSILONS[norm][2]
    square = Square(norm=norm, n_queries=200, image_shape=shape)(model, X, y, epsilon)
    noise = UniformNoise(norm=norm, n_draws=200)(model, X, y, epsilon)
    assert square.robust_accuracy[0] < noise.robust_accuracy[0]
    # and comes near the optimum of this model, by logits alone
    assert square.robust_accuracy[0] < model.robust(X, y, 0.6 * epsilon, norm).mean()


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_square_respects_its_number_of_queries_and_improves(binary, norm):
    model, X, y = binary
    asked = []
    decide = model.decision_function
    model.decision_function = lambda X: asked.append(len(X)) or decide(X)
    few = Square(norm=norm, n_queries=5)(model, X, y, 0.03)
    assert len(asked) == 5 + 2  # and one predict before and one after
    more = Square(norm=norm, n_queries=100)(model, X, y, 0.03)
    assert more.success.mean() > few.success.mean()


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 1])
def test_windows_of_square_have_a_middle_and_fit(share):
    for height in range(1, 12):
        for width in range(1, 12):
            for side, room in zip(_odd_window_size(share, height, width), (height, width), strict=True):
                assert side % 2 and side <= room and (side >= 3 or room < 5)


def test_windows_of_square_shrink_on_the_papers_schedule():
    for halved, query in enumerate((10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)):
        assert _share(0.8, query / 10_000) == 0.8 / 2**halved
        assert _share(0.8, (query + 1) / 10_000) == 0.4 / 2**halved
    assert _window_size(0.25, 8, 8) == (4, 4) and _window_size(0.5, 4, 10) == (4, 5) and _window_size(1, 2, 9) == (2, 9)
    assert _odd_window_size(0.01, 4, 5) == (1, 3) and _odd_window_size(0.5, 9, 9) == (7, 7)


def test_a_window_of_square_gets_the_opposite_signs_where_it_would_not_change():
    X, epsilon = np.full((1, 1, 2, 1), 0.5), 0.25
    up = np.array([[0, 0, 0.9]])
    for best, proposed in (((0.75, 0.75), (0.25, 0.25)), ((0.75, 0.25), (0.75, 0.75))):
        found = _signs(X, np.reshape(best, X.shape), epsilon, 1, up)
        np.testing.assert_array_equal(found, np.reshape(proposed, X.shape))


def test_bumps_of_square_are_nested_rectangles():
    np.testing.assert_array_equal(_bump(3, 3), [[0.25] * 3, [0.25, 1.25, 0.25], [0.25] * 3])
    np.testing.assert_array_equal(_bump(2, 3), [[0.25] * 3, [0.25, 1.25, 0.25]])
    np.testing.assert_array_equal(_bump(5, 1).ravel(), np.array([1, 1 + 9 / 4, 1 + 9 / 4 + 9, 1 + 9 / 4, 1]) / 9)
    dipole = _dipole(5, 3)
    np.testing.assert_allclose(dipole[:2], np.sqrt(0.5) * _bump(2, 3) / np.linalg.norm(_bump(2, 3)))
    np.testing.assert_allclose(dipole[2:], -np.sqrt(0.5) * _bump(3, 3) / np.linalg.norm(_bump(3, 3)))


def test_square_starts_from_tiles_and_moves_its_budget_into_a_window():
    X, epsilon = np.full((1, 15, 10, 1), 0.5), 0.1
    delta = (_tiles(X, epsilon, SampleRandom(0, X.reshape(1, -1))) - X)[0, ..., 0]
    np.testing.assert_allclose(np.abs(delta), epsilon / 5 * np.abs(np.tile(_dipole(3, 2), (5, 5))))
    X = np.full((1, 9, 9, 3), 0.5)
    best = X.copy()
    best[0, 8, 8, 1] += epsilon / 2  # three quarters of the squared budget are left, a quarter for each channel
    for turned, pattern in ((0.9, _dipole(3, 3)), (0.1, _dipole(3, 3).T)):
        delta = (_bumps(X, best, epsilon, 1 / 9, np.array([[0, 0, 0, 0, turned, 0.1, 0.9, 0.9]])) - X)[0]
        np.testing.assert_allclose(delta[:3, :3], epsilon / 2 * pattern[..., None] * [-1, 1, 1], atol=1e-12)
        delta[:3, :3] = 0
        np.testing.assert_allclose(delta, (best - X)[0], atol=1e-12)


def test_a_search_moves_along_a_plateau_unless_it_asks_for_a_rise():
    X, kept = np.full((2, D), 0.5), []

    class Still(Proposals):
        best = X

        def propose(self, rows, progress):
            return X[rows]

        def keep(self, rows, candidates, better):
            kept.append(better.tolist())

    class Walk(RandomSearch):
        def proposals(self, *_):
            return Still()

    for Walk.sideways in (True, False):
        Walk(n_queries=2)(Linear(np.zeros((2, D)), b=[1.0, 0.0]), X, [0, 0], 0.1)
    assert kept == [[True, True], [False, False]]
    assert SparseRS(exchanged=1).exchanged == Square(p_init=1).p_init == 1  # the ends of what is allowed


def test_square_reads_the_shape_of_the_model(binary):
    model, X, y = binary
    model.image_shape_ = (4, 9)
    of_model = Square(n_queries=20)(model, X, y, 0.02).adversarial
    del model.image_shape_
    np.testing.assert_array_equal(of_model, Square(n_queries=20, image_shape=(4, 9))(model, X, y, 0.02).adversarial)
    with pytest.raises(ValueError, match=r"image_shape must have a product of 36 features, got \(5, 5\)"):
        Square(image_shape=(5, 5))(model, X, y, 0.02)


def test_square_on_tiny_vectors():
    for features in (1, 2, 3, 5):
        model = Linear(np.vstack([np.zeros(features), np.ones(features)]), b=[0, -0.4 * features])
        X = np.full((3, features), 0.5)
        for norm in ("linf", "l2"):
            assert Square(norm=norm, n_queries=200)(model, X, [1, 1, 1], 0.5).success.all()


def test_binary_models_may_return_one_column(binary):
    model, X, y = binary

    class OneColumn(Linear):
        def decision_function(self, X):
            z = super().decision_function(X)
            return z[:, 1] - z[:, 0]

        def predict(self, X):
            return self.classes_[(self.decision_function(X) > 0).astype(int)]

    one = OneColumn(model.W, model.b, model.classes_)
    attack = Square(n_queries=50)
    np.testing.assert_array_equal(attack(one, X, y, 0.02).success, attack(model, X, y, 0.02).success)


# --- transfer, and models without gradients ---


def test_transfer_crafts_on_the_source_and_judges_on_the_target(binary):
    model, X, y = binary
    twin, masked = Linear(model.W, model.b, model.classes_), Quantised(model.W, model.b, model.classes_)
    y = masked.predict(X)
    assert PGD()(masked, X, y, 0.05).robust_accuracy[0] > 0.8
    assert Transfer(twin)(masked, X, y, 0.05).robust_accuracy[0] < 0.5
    opposite = Linear(-model.W, -model.b, model.classes_)
    assert Transfer(opposite)(model, X, model.predict(X), 0.05).robust_accuracy[0] == 1
    with pytest.raises(ValueError, match="source_model has classes"):
        Transfer(Linear(model.W))(model, X, y, 0.05)


def test_black_box_attacks_do_without_gradients(binary):
    from sklearn.linear_model import LogisticRegression

    _, X, y = binary
    model = LogisticRegression().fit(X, y)
    assert isinstance(model, Classifier) and not isinstance(model, WhiteBox)
    assert worst_case(model, X, y, 0.1, attacks=["square", "gaussian-noise"]).robust_accuracy[0] < 0.9
    with pytest.raises(TypeError, match="FGSM needs input_gradient, which LogisticRegression lacks"):
        worst_case(model, X, y, 0.1, attacks=["fgsm"])


# --- bad input ---


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Square(n_queries=0), "n_queries must be an integer >= 1, got 0"),
        (lambda: Square(p_init=1.5), r"p_init must be a number in \(0, 1\], got 1.5"),
        (lambda: UniformNoise(n_draws=0), "n_draws must be an integer >= 1, got 0"),
        (lambda: Ensemble([]), "attacks must be at least one"),
        (lambda: Ensemble([PGD(), PGD(norm="l2")]), r"all of one norm; got norms \['l2', 'linf'\]"),
    ],
)
def test_bad_hyper_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()
