"""RayS and CGBA: labels alone must do, and come near the closed form."""

import numpy as np
import pytest
from attack_models import EPSILONS, D, Linear, Quantised

from bioneuro.attacks import CGBA, RayS, SampleRandom, Square, Targeted
from bioneuro.attacks.decision import _directions, _normal, _Oracle, _starts

ATTACKS = {"linf": RayS, "l2": CGBA}
NORMS = pytest.mark.parametrize("norm", ATTACKS)


class LabelsOnly:
    """What a decision-based attack may use of a model; counts what each image is asked for."""

    def __init__(self, model):
        self.classes_, self._model, self.asked = model.classes_, model, 0

    def predict(self, X):
        self.asked += len(X)
        return self._model.predict(X)


def distances(model, X, norm):
    """Closed form of two classes: the margin over the dual norm of the weights."""
    W, b = model.W[1] - model.W[0], np.subtract(*np.broadcast_to(model.b, 2)[::-1])
    return np.abs(X @ W + b) / np.linalg.norm(W, 1 if norm == "linf" else 2)


@NORMS
def test_they_come_within_a_few_per_cent_of_the_nearest_point_of_a_linear_boundary(binary, norm):
    model, X, y = binary
    X, y, epsilons = X[:80], y[:80], EPSILONS[norm]
    result = ATTACKS[norm](n_queries=2000)(LabelsOnly(model), X, y, epsilons)
    nearest = distances(model, X, norm)
    for k, epsilon in enumerate(epsilons):
        assert not result.success[k, nearest > epsilon * (1 + 1e-9)].any()
        assert result.success[k, nearest < epsilon / 1.1].all()
        assert (result.distance[k] <= epsilon * (1 + 1e-9)).all()
    assert result.robust_accuracy[-1] < result.robust_accuracy[0] < 1
    # fewer queries leave at least as many standing
    few = ATTACKS[norm](n_queries=150)(model, X, y, epsilons[1])
    assert few.robust_accuracy[0] >= result.robust_accuracy[1]


@pytest.mark.parametrize("shape", [(4, 9), (6, 2, 3), (36, 1)])
def test_cgba_on_images_of_any_shape(binary, shape):
    model, X, y = binary
    result = CGBA(image_shape=shape)(model, X[:30], y[:30], 0.4)
    nearest = distances(model, X[:30], "l2")
    assert result.success[0, nearest < 0.4 / 1.3].all() and not result.success[0, nearest > 0.4].any()


@NORMS
def test_masked_gradients_do_not_stop_them(binary, norm):
    plain, X, _ = binary
    masked = Quantised(plain.W, plain.b, plain.classes_)
    y = masked.predict(X)
    epsilon = {"linf": 0.1, "l2": 0.5}[norm]
    assert ATTACKS[norm]()(masked, X, y, epsilon).robust_accuracy[0] < 0.3


@NORMS
def test_no_sample_is_asked_more_than_its_queries(binary, norm):
    model, X, y = binary
    for n_queries in (128, 500):
        counted = LabelsOnly(model)
        ATTACKS[norm](n_queries=n_queries)(counted, X[:1], y[:1], 1e-9)
        assert 0.8 * n_queries <= counted.asked - 2 <= n_queries  # one predict before, one after


@NORMS
def test_a_sample_stops_inside_the_budget(binary, norm):
    model, X, y = binary
    wide, narrow = LabelsOnly(model), LabelsOnly(model)
    ATTACKS[norm]()(wide, X[:20], y[:20], 1.0)
    ATTACKS[norm]()(narrow, X[:20], y[:20], 1e-9)
    assert wide.asked < 0.3 * narrow.asked
    if norm == "linf":
        edge = LabelsOnly(model)  # the search ends on the budget's very edge
        RayS()(edge, X[:20], y[:20], 0.05)
        assert edge.asked < 0.45 * narrow.asked


@NORMS
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_results_repeat_and_do_not_depend_on_the_batch(binary, norm, dtype):
    model, X, y = binary
    X = X[:30].astype(dtype)
    y, epsilon = model.predict(X), EPSILONS[norm][2]
    attack = ATTACKS[norm](n_queries=300, random_state=4)
    whole = attack(model, X, y, epsilon)
    parts = attack(model, X[::-1], y[::-1], epsilon, batch_size=7)
    np.testing.assert_array_equal(whole.adversarial, parts.adversarial[:, ::-1])
    assert whole.adversarial.dtype == dtype and 0 < whole.success.sum() < 30
    assert (model.predict(whole.adversarial[0]) != y).tolist() == whole.success[0].tolist()
    other = ATTACKS[norm](n_queries=300, random_state=5)(model, X, y, epsilon)
    assert not np.array_equal(whole.adversarial, other.adversarial)


@NORMS
def test_targets_are_reached_or_the_sample_stands(norm):
    rng = np.random.default_rng(1)
    W = rng.normal(size=(3, D))
    model = Linear(W, b=-W @ np.full(D, 0.5), classes=["a", "b", "c"])
    X = rng.uniform(0.25, 0.75, (40, D))
    y = model.predict(X)
    target = model.classes_[(np.searchsorted(model.classes_, y) + 1) % 3]
    epsilon = {"linf": 0.15, "l2": 0.8}[norm]
    result = ATTACKS[norm]()(model, X, y, epsilon, criterion=Targeted(target))
    reached = model.predict(result.adversarial[0]) == target
    np.testing.assert_array_equal(result.success[0], reached)
    assert reached.mean() > 0.8


@NORMS
def test_a_constant_model_is_left_alone(norm):
    model = Linear(np.zeros((2, D)), b=[1.0, 0.0])
    X = np.random.default_rng(0).uniform(size=(5, D))
    result = ATTACKS[norm](n_queries=200)(model, X, np.zeros(5, int), 0.3)
    np.testing.assert_array_equal(result.adversarial[0], X)
    assert result.robust_accuracy[0] == 1


def test_starts_are_images_and_differ(binary):
    _, X, _ = binary
    images = _starts(X[:4], SampleRandom(0, X[:4]))
    assert images.shape == (4, 16, D) and images.min() >= 0 and images.max() <= 1
    assert len(np.unique(images.reshape(64, D), axis=0)) > 50


def test_the_oracle_clips_and_counts(binary):
    from bioneuro.attacks.goals import Goal

    model, X, y = binary
    asked = []

    class Seen(LabelsOnly):
        def predict(self, X):
            asked.append((X.min(), X.max()))
            return super().predict(X)

    oracle = _Oracle(Seen(model), X[:2], Goal(y[:2]), 10)
    oracle.reached(np.linspace(-3, 7, 3 * D).reshape(3, D), np.array([1, 1, 0]))
    assert asked == [(0, 1)]
    assert oracle.left.tolist() == [9, 8]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RayS(n_queries=10), "n_queries must be an integer >= 128, got 10"),
        (lambda: CGBA(n_queries=127), "n_queries must be an integer >= 128, got 127"),
        (lambda: RayS(norm="l2"), r"norm must be one of \['linf'\], got 'l2'"),
        (lambda: CGBA(norm="linf"), r"norm must be one of \['l2'\], got 'linf'"),
        (lambda: Square(norm="l0"), r"norm must be one of \['l2', 'linf'\], got 'l0'"),
    ],
)
def test_bad_hyper_parameters(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_settings_are_named():
    with pytest.raises(TypeError, match="positional"):
        CGBA(200)


def test_bad_image_shape(binary):
    model, X, y = binary
    with pytest.raises(ValueError, match=r"image_shape must have a product of 36 features, got \(5, 5\)"):
        CGBA(image_shape=(5, 5))(model, X, y, 0.1)


def test_ways_of_rays_are_signs_also_where_nothing_changes():
    X = np.array([[0.2, 0.5, 0.8]])
    ways = _directions(X, np.array([[[0.2, 0.6, 0.8], [0.1, 0.5, 1.0]]]))
    assert ways.dtype == np.int8 and ways.tolist() == [[[-1, 1, 1], [-1, 1, 1]]]


def test_the_normal_of_a_plane_is_found_by_probes_near_its_point():
    w = np.random.default_rng(0).normal(size=12)

    class Oracle:
        X = np.full((1, 12), 0.5)

        def reached(self, images, rows):
            assert np.linalg.norm(images - self.X[rows] - 0.01, axis=1).max() <= 0.05  # the point is .035 away
            return (images - self.X[rows] - 0.01) @ w > 0

    found = _normal(Oracle(), Oracle.X + 0.01, 500, (12, 1, 1), SampleRandom(0, Oracle.X), np.arange(1))
    assert found[0] @ w / np.linalg.norm(w) > 0.9


def test_where_all_probes_agree_the_normal_leads_to_or_away_from_them():
    class Oracle:
        X = np.full((2, 4), 0.5)

        def __init__(self, answer):
            self.reached = lambda images, rows: np.full(len(rows), answer)

    away, there = (
        _normal(Oracle(answer), Oracle.X + 0.1, 5, (4, 1, 1), SampleRandom(0, Oracle.X), np.arange(2))
        for answer in (False, True)
    )
    np.testing.assert_array_equal(away, -there)
    np.testing.assert_allclose(np.linalg.norm(there, axis=1), 1)
