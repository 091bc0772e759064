"""Streams show every sample once, metrics are those of matrices made by hand, and growth remembers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.naive_bayes import GaussianNB

from bioneuro import BioClassifier, continual, datasets, plot
from bioneuro.baselines import (
    ElasticMLP,
    ExemplarNeighbours,
    NearestClassMean,
    ReplayMLP,
    StreamingLDA,
    StreamingLeastSquares,
)
from bioneuro.baselines.streaming import Reservoir
from bioneuro.continual.one_pass import Result
from bioneuro.layers import Association, UnitNorm
from bioneuro.layers.growth import cells_for, novel_inputs
from bioneuro.research import task_streams as experiment
from bioneuro.research.commands import main

rng = np.random.default_rng(0)
N = 200
X = np.abs(rng.normal(size=(N, 16))).astype(np.float32)  # distinct rows: a row says which sample it is
Y = np.arange(N) % 10
X_TEST, Y_TEST = np.abs(rng.normal(size=(50, 16))).astype(np.float32), np.arange(50) % 10
DATA = (X, Y, X_TEST, Y_TEST)


def rows_of(stream):
    return np.array([np.flatnonzero((x == X).all(axis=1))[0] for x in stream.X])


# --- streams -----------------------------------------------------------------------------------------------


@given(st.integers(1, 10), st.integers(1, 70), st.integers(0, 5))
@settings(max_examples=20, deadline=None)
def test_split_shows_every_sample_once_class_group_after_class_group(n_tasks, batch_size, seed):
    stream = continual.split(*DATA, n_tasks=n_tasks, batch_size=batch_size, random_state=seed)
    batches = list(stream)
    assert len(batches) == len(stream)
    np.testing.assert_array_equal(np.sort(rows_of(stream)), np.arange(N))
    np.testing.assert_array_equal(np.concatenate([batch.X for batch in batches]), stream.X)
    for batch in batches:
        assert 1 <= len(batch.y) <= batch_size
        assert np.isin(batch.y, stream.task_classes[batch.part]).all()
    for (_, labels), group in zip(stream.tests, stream.task_classes, strict=True):
        np.testing.assert_array_equal(np.unique(labels), group)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"y": np.zeros((6, 1))}, r"X must be \(n, n_features\) and y one label a row, got \(6, 2\) and \(6, 1\)"),
        ({"X": np.zeros(6)}, r"X must be \(n, n_features\)"),
        (
            {"tests": ((np.eye(2), np.zeros((2, 1))),)},
            r"tests\[0\]\[0\] must be .* tests\[0\]\[1\] one label a row",
        ),
        ({"part": np.zeros(5, int)}, "part must hold an integer for each row of X, 0 and on in steps of 1"),
        ({"part": np.array([0, 1, 0, 1, 1, 1])}, "part must hold an integer for each row of X, 0 and on in steps of 1"),
        ({"part": np.array([1, 1, 1, 2, 2, 2])}, "part must hold an integer for each row of X, 0 and on in steps of 1"),
        ({"part": np.array([0, 0, 0, 2, 2, 2])}, "part must hold an integer for each row of X, 0 and on in steps of 1"),
        ({"task_classes": ()}, "task_classes must be one for each of the 1 tests, got 0"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1, got 0"),
    ],
)
def test_a_stream_made_by_hand_is_checked(wrong, message):
    good = {
        "name": "mine",
        "X": np.zeros((6, 2)),
        "y": np.arange(6) % 2,
        "part": np.zeros(6, int),
        "tests": ((np.eye(2), np.arange(2)),),
        "classes": np.arange(2),
        "task_classes": (np.arange(2),),
    }
    assert len(continual.Stream(**good)) == 1
    with pytest.raises(ValueError, match=message):
        continual.Stream(**{**good, **wrong})


def test_a_seed_gives_the_same_stream_again_and_another_another():
    first, again, other = (continual.split(*DATA, random_state=seed).X for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_permuted_tasks_hold_the_same_values_in_other_places():
    stream = continual.permuted(*DATA, n_tasks=3)
    np.testing.assert_array_equal(stream.tests[0][0], X_TEST)
    for images, labels in stream.tests[1:]:
        assert not np.array_equal(images, X_TEST)
        np.testing.assert_array_equal(np.sort(images, axis=1), np.sort(X_TEST, axis=1))
        np.testing.assert_array_equal(labels, Y_TEST)
    np.testing.assert_array_equal(np.sort(stream.X.ravel()), np.sort(X.ravel()))


def test_a_quarter_turn_is_exact():
    stream = continual.rotated(*DATA, (4, 4), angles=(0, 90))
    turned = np.rot90(X_TEST.reshape(-1, 4, 4), axes=(1, 2)).reshape(-1, 16)
    np.testing.assert_allclose(stream.tests[0][0], X_TEST, atol=1e-6)
    np.testing.assert_allclose(stream.tests[1][0], turned, atol=1e-5)


def test_a_drift_starts_upright_and_ends_turned():
    stream = continual.drifting(*DATA, (4, 4), angle=90, n_tasks=2)
    assert rows_of(continual.drifting(*DATA, (4, 4), angle=0)).size == N
    assert (stream.X[0] == X).all(axis=1).any() and not (stream.X[-1] == X).all(axis=1).any()
    np.testing.assert_array_equal(np.unique(stream.part, return_counts=True)[1], [N // 2, N // 2])


def test_a_drift_has_every_part_however_short():
    n = 100  # 29 / 100 * 100 is less than 29
    stream = continual.drifting(np.zeros((n, 16)), np.arange(n) % 2, X_TEST[:2], [0, 1], (4, 4), n_tasks=n)
    np.testing.assert_array_equal(stream.part, np.arange(n))


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.float16])
def test_turned_images_have_values_between_those_given(dtype):
    X = np.random.default_rng(0).integers(0, 2, (20, 16))
    made, exact = (
        continual.rotated(A, Y[:20] * 0, A, Y[:20] * 0, (4, 4), angles=(30,)).X for A in (X.astype(dtype), X * 1.0)
    )
    np.testing.assert_array_equal(made, exact)


def test_blurring_mixes_neighbours_and_loses_nothing():
    stream = continual.split(*DATA)
    same, mixed = continual.blurred(stream, 0.0), continual.blurred(stream, 0.3)
    np.testing.assert_array_equal(same.X, stream.X)
    np.testing.assert_array_equal(np.sort(rows_of(mixed)), np.arange(N))
    strange = [np.mean(~np.isin(mixed.y[mixed.part == k], stream.task_classes[k])) for k in range(5)]
    assert 0 < max(strange) < 0.5


def test_imbalance_has_the_ratio_that_was_asked_for():
    stream = continual.imbalanced(continual.split(*DATA), 10)
    counts = np.bincount(stream.y)
    assert counts.max() == 20 and counts.min() == 2
    assert np.all(np.diff(stream.part) >= 0) and stream.n_tasks == 5


def test_mapped_transforms_stream_and_tests():
    stream = continual.split(*DATA).mapped(lambda A: 2 * A)
    np.testing.assert_array_equal(np.sort(stream.X.ravel()), np.sort(2 * X.ravel()))
    assert max(A.max() for A, _ in stream.tests) == 2 * X_TEST.max()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: continual.split(X, Y[:-1], X_TEST, Y_TEST), "y one label a row"),
        (lambda: continual.split(X, Y, X_TEST[:, :3], Y_TEST), "X_test must have the 16 features"),
        (lambda: continual.split(X, Y, X_TEST, Y_TEST % 9), r"in one only: \[9\]"),
        (lambda: continual.split(*DATA, n_tasks=11), r"n_tasks must lie in \[1, 10\]"),
        (
            lambda: continual.split(*DATA, scenario="domain"),
            r"scenario must be one of \['class', 'task'\], got",
        ),
        (lambda: continual.split(*DATA, class_order=[0, 1]), "class_order must hold each of the labels"),
        (lambda: continual.split(*DATA, batch_size=0), "batch_size must be an integer >= 1, got 0"),
        (lambda: continual.rotated(*DATA, (4, 4), angles=()), "the number of angles must be an integer >= 1, got 0"),
        (lambda: continual.drifting(*DATA, (4, 4), n_tasks=0), "n_tasks must be an integer >= 1"),
        (lambda: continual.blurred(continual.split(*DATA), -1), "width must be a finite number >= 0, got -1"),
        (lambda: continual.imbalanced(continual.split(*DATA), 0.5), "ratio must be a finite number >= 1, got 0.5"),
        (lambda: continual.run(UnitNorm, continual.split(*DATA)), "."),
        (
            lambda: continual.run(GaussianNB(), continual.split(*DATA, scenario="task")),
            "model must have decision_function for a task-incremental stream, GaussianNB has not",
        ),
        (lambda: continual.split(X, Y.astype(str), X_TEST, Y_TEST), "y and y_test must hold the same labels"),
    ],
)
def test_refusals(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


# --- metrics -----------------------------------------------------------------------------------------------


def test_metrics_of_a_matrix_by_hand():
    R = np.array([[0.9, 0.3, 0.2], [0.8, 0.7, 0.4], [0.6, 0.5, 1.0]])
    result = Result(R, np.full(3, 0.1), 0, None)
    assert result.average_accuracy == pytest.approx(0.7)
    assert result.forgetting == pytest.approx(((0.9 - 0.6) + (0.7 - 0.5)) / 2)
    assert result.backward_transfer == pytest.approx(((0.6 - 0.9) + (0.5 - 0.7)) / 2)
    assert result.forward_transfer == pytest.approx(((0.3 - 0.1) + (0.4 - 0.1)) / 2)


def test_one_part_has_no_forgetting():
    result = Result(np.array([[0.5]]), np.array([0.5]), 0, None)
    assert result.forgetting == result.backward_transfer == result.forward_transfer == 0


def test_in_a_task_incremental_stream_answers_come_from_the_task():
    easy = X.copy()
    stream = continual.split(easy, Y, easy, Y, scenario="task")
    result = continual.run(NearestClassMean(), stream)
    free = continual.run(NearestClassMean(), continual.split(easy, Y, easy, Y))
    assert result.average_accuracy > free.average_accuracy
    np.testing.assert_allclose(result.chance, 0.5)


def test_compare_is_tidy_and_summary_follows_from_it():
    models = {"mean": lambda seed: NearestClassMean(), "1-NN": lambda seed: ExemplarNeighbours(20, random_state=seed)}
    frame = continual.compare(models, lambda seed: continual.split(*DATA, random_state=seed), seeds=(0, 1))
    assert len(frame) == 2 * 2 * 5 * 5 and frame["accuracy"].between(0, 1).all()
    table = continual.summary(frame)
    alone = continual.run(NearestClassMean(), continual.split(*DATA, random_state=1))
    row = table[(table["model"] == "mean") & (table["seed"] == 1)].iloc[0]
    assert row["average_accuracy"] == pytest.approx(alone.average_accuracy)
    assert row["forgetting"] == pytest.approx(alone.forgetting)
    assert table[table["model"] == "1-NN"]["memory"].eq(20 * 17).all()
    assert plot.continual_curve(frame).has_data()
    assert plot.task_matrix(alone.accuracy).has_data()


# --- rivals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [NearestClassMean, StreamingLDA, StreamingLeastSquares])
def test_statistics_do_not_depend_on_the_order_of_the_stream(model):
    whole, streamed = model().fit(X, Y), model()
    for batch in continual.split(*DATA, batch_size=7):
        streamed.partial_fit(batch.X, batch.y, classes=np.arange(10))
    np.testing.assert_allclose(
        whole.decision_function(X_TEST), streamed.decision_function(X_TEST), rtol=1e-6, atol=1e-6
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("model", [NearestClassMean, StreamingLDA, StreamingLeastSquares])
def test_statistics_far_from_zero_are_those_of_the_moved_data(model, dtype):
    """Sixteenths beside 10^6 are exact in both types."""
    near, there = (np.round(16 * rows) / 16 for rows in (X, X_TEST))
    z = model().fit((near + 1e6).astype(dtype), Y).decision_function((there + 1e6).astype(dtype))
    np.testing.assert_allclose(z, model().fit(near, Y).decision_function(there), rtol=1e-5, atol=1e-5)


def test_streaming_lda_is_scikit_learns_with_equal_priors():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    even = np.full(10, 0.1)
    reference = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.2, priors=even).fit(X.astype(float), Y)
    z, expected = StreamingLDA(0.2).fit(X, Y).decision_function(X_TEST), reference.decision_function(X_TEST)
    np.testing.assert_allclose(z - z[:, :1], expected - expected[:, :1], rtol=1e-4, atol=1e-4)


def test_streaming_least_squares_is_scikit_learns_ridge():
    from sklearn.linear_model import Ridge

    some = (Y < 7) | (np.arange(N) % 3 == 0)  # classes of unequal size
    A, T = X[some].astype(float), np.eye(10)[Y[some]]
    spread = np.trace(np.cov(A.T, bias=True)) / A.shape[1]
    reference = Ridge(alpha=0.3 * spread * len(A)).fit(A, T)
    z = StreamingLeastSquares(0.3).fit(A, Y[some]).decision_function(X_TEST)
    np.testing.assert_allclose(z, reference.predict(X_TEST), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("model", [NearestClassMean(), StreamingLDA(), StreamingLeastSquares()])
def test_a_class_not_seen_yet_is_no_answer(model):
    model.partial_fit(X[Y < 3], Y[Y < 3], classes=np.arange(10))
    assert set(model.predict(X_TEST)) <= {0, 1, 2}


@pytest.mark.parametrize(("model", "name"), [(StreamingLDA(0), "shrinkage"), (StreamingLeastSquares(0), "ridge")])
def test_what_is_added_to_the_covariance_must_be_positive(model, name):
    with pytest.raises(ValueError, match=f"{name} must .* got 0"):
        model.fit(X, Y)


def test_one_neighbour_of_all_samples_knows_them_all():
    model = ExemplarNeighbours(N).fit(X, Y)
    np.testing.assert_array_equal(model.predict(X), Y)


def test_the_reservoir_keeps_classes_level_and_its_size():
    kept = Reservoir(30, 16, 10, np.random.default_rng(0))
    order = np.argsort(Y, kind="stable")
    kept.add(X[order], Y[order])
    counts = np.bincount(kept.true, minlength=10)
    assert counts.sum() == 30 and np.ptp(counts) <= 1


def test_fisher_information_is_that_of_single_gradients():
    model = ElasticMLP((5,), random_state=0, dtype="float64").partial_fit(X, Y, classes=np.arange(10))
    state = model._rng.bit_generator.state
    found = model.information(X[:6].astype(float))
    model._rng.bit_generator.state = state
    p = model.predict_proba(X[:6])
    drawn = (model._rng.random((6, 1)) > p.cumsum(axis=1)).sum(axis=1)
    squares = [np.zeros(W.nnz) for W in model.pathways_]
    for x, c in zip(X[:6].astype(float), drawn, strict=True):
        rates = model._rates(x[None])
        dlogits = model.predict_proba(x[None]) - np.eye(10)[[c]]
        for k, dW, _ in super(ElasticMLP, model)._backward(rates, dlogits):
            squares[k] += dW**2 / 6
    for (W, _), expected in zip(found, squares, strict=True):
        np.testing.assert_allclose(W, expected, rtol=1e-9, atol=1e-15)


def test_elastic_weights_stay_where_they_were_the_stiffer_the_more():
    moved = []
    for strength in (0.0, 1e5):
        model = ElasticMLP((20,), strength=strength, weight_decay=0, learning_rate=1e-4, random_state=0)
        model.partial_fit(X[Y < 5], Y[Y < 5], classes=np.arange(10)).end_task()
        W, F = model.anchor_[1][0], model.fisher_[1][0]
        for _ in range(20):
            model.partial_fit(X[Y >= 5], Y[Y >= 5])
        moved.append(float((F * (model.pathways_[1].weights - W) ** 2).sum()))
    assert moved[1] < 0.5 * moved[0]


def test_replay_remembers_what_backpropagation_forgets(digits):
    stream = continual.split(digits.X_train, digits.y_train, digits.X_test, digits.y_test, batch_size=20)
    forgets, remembers = (
        continual.run(model, stream).average_accuracy
        for model in (
            ReplayMLP(n_exemplars=1, batch_size=10, learning_rate=3e-3, random_state=0),
            ReplayMLP(n_exemplars=300, batch_size=10, learning_rate=3e-3, random_state=0),
        )
    )
    assert remembers > forgets + 0.2


# --- growth ------------------------------------------------------------------------------------------------


def test_novelty_is_decided_one_input_after_another():
    H = np.eye(3)[[0, 0, 1, 2]]
    label = np.array([0, 0, 0, 1])
    chosen = novel_inputs(H, label, np.zeros(4), np.zeros(4), 0.9)
    assert len(chosen) == 3 and len({0, 1} & set(chosen.tolist())) == 1  # the twin is matched by then
    assert novel_inputs(H, label, np.full(4, 0.95), np.zeros(4), 0.9).size == 0
    np.testing.assert_array_equal(novel_inputs(H, label, np.full(4, 0.95), np.array([0, 0, 0, 0.99]), 0.9), [3])


def test_at_a_full_budget_the_label_with_most_cells_gives_up_the_one_it_used_least():
    owner, use = np.array([0, 0, 0, 0, 1, -1]), np.array([5.0, 1, 9, 2, 7, 0])
    np.testing.assert_array_equal(cells_for(np.array([2, 2, 2, 2]), owner, use), [5, 1, -1, -1])


def test_the_budget_is_kept_and_no_label_starves(digits):
    model = BioClassifier("votes", n_cells=50, encoder__n_columns=16, mixing=500, random_state=0).fit_features(
        digits.X_train[:200]
    )
    for batch in continual.split(digits.X_train, digits.y_train, digits.X_test, digits.y_test):
        model.partial_fit(batch.X, batch.y, classes=np.arange(10))
    owner = model.network_.association.owner
    assert len(owner) == 50 and np.bincount(owner[owner >= 0], minlength=10).min() >= 2


def test_partial_fit_remembers_what_it_forgot_without_growth(digits):
    """The control: recruiting whatever cell was silent lately loses the first classes."""
    stream = continual.split(digits.X_train, digits.y_train, digits.X_test, digits.y_test)
    encoder = BioClassifier(random_state=0).fit_features(stream.X[stream.part == 0])
    features = stream.mapped(encoder.transform)
    n = features.X.shape[1]

    def shown(vigilance):
        model = BioClassifier(
            "votes",
            image_shape=None,
            encoder=UnitNorm(n),
            n_cells=100,
            mixing=2000,
            growth__vigilance=vigilance,
            random_state=0,
        )
        return continual.run(model, features)

    grown, recycled = shown(0.9), shown(None)
    assert grown.average_accuracy > 0.9 and grown.forgetting < 0.03
    assert recycled.average_accuracy < 0.6
    assert grown.cells <= 100 and grown.memory < 100 * (n + 10)


def test_cells_that_wait_are_mute():
    layer = Association(10, 16, 2, vigilance=0.9)
    H = X[:4] / np.linalg.norm(X[:4], axis=1, keepdims=True)
    assert not layer.live.any()
    layer.learn(H, np.eye(2, dtype=np.float32)[[0, 1, 0, 1]])
    used = layer.owner >= 0
    assert 0 < used.sum() <= 4 and not layer.respond(H)[:, ~used].any()


@pytest.mark.parametrize("vigilance", [0, 1.5, -1])
def test_vigilance_out_of_range(vigilance):
    with pytest.raises(ValueError, match=r"vigilance must"):
        Association(10, 16, 2, vigilance=vigilance)
    with pytest.raises(ValueError, match=r"vigilance must"):
        BioClassifier(growth__vigilance=vigilance).fit(X, Y)


# --- command -----------------------------------------------------------------------------------------------


def test_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["continual", "--seeds", "1", "--n-train", "100", "--cells", "40", "--stream", "blurred"]) == 0
    printed = capsys.readouterr().out
    assert "bioneuro" in printed and "streaming LDA" in printed
    assert (tmp_path / "results/continual-digits/blurred.csv").exists()
    monkeypatch.setattr(experiment, "_measured", None)  # all of it is there: nothing is run again
    assert main(["continual", "--seeds", "1", "--n-train", "100", "--cells", "40", "--stream", "blurred"]) == 0
    assert capsys.readouterr().out == printed
    assert main(["continual", "--seeds", "1", "--n-train", "90", "--cells", "40", "--stream", "blurred"]) == 2
    assert "plan.n_train: 100 there, 90 now" in capsys.readouterr().err
    assert main(["continual", "--stream", "nonsense"]) == 2
    assert "unknown stream 'nonsense'" in capsys.readouterr().err


def test_what_processes_are_given_gives_the_same_rows():
    cloudpickle = pytest.importorskip("cloudpickle")
    plan = experiment.StreamPlan(n_train=100, n_cells=10)
    data = datasets.load("digits")
    there = cloudpickle.loads(cloudpickle.dumps(experiment._Learning(plan, data)))
    rows = there(1, "nearest class mean")
    expected = experiment._measured(plan, experiment.streams(plan, data, 1), "nearest class mean", 1)
    pd.testing.assert_frame_equal(rows, expected)


def test_ours_is_set_against_each_rival_over_seeds():
    plan = experiment.StreamPlan()
    accuracy = {"bioneuro": (0.9, 0.8), "MLP": (0.5, 0.6), "MLP, replay": (0.7, 0.7)}
    columns = ["model", "seed", "part", "task", "accuracy", "chance", "memory", "cells"]
    rows = [(name, k, 0, 0, value, 0.1, 10, None) for name, both in accuracy.items() for k, value in enumerate(both)]
    printed = experiment.text(pd.DataFrame(rows, columns=columns), plan, "digits").splitlines()
    assert "digits, stream 'class', 2 seeds, one pass," in printed
    (line,) = [line for line in printed if line.startswith("bioneuro minus MLP:")]
    assert line.startswith("bioneuro minus MLP: +30.0 points [") and line.endswith("]")
    (line,) = [line for line in printed if line.startswith("bioneuro minus MLP, replay:")]
    assert "+15.0 points" in line and line.endswith("(stores samples or is told where tasks end)")


def test_a_model_of_scikit_learn_runs_through_a_stream_and_its_memory_is_not_known():
    stream = continual.split(*DATA, n_tasks=2)
    result = continual.run(GaussianNB(), stream)
    assert result.memory is None and result.cells is None and result.accuracy.shape == (2, 2)
    table = continual.compare({"bayes": lambda seed: GaussianNB()}, lambda seed: stream, seeds=(0,))
    assert table["memory"].isna().all()
    assert continual.summary(table)["memory"].isna().all()


@pytest.mark.parametrize("n_tasks", [1, 2, 60])
def test_every_figure_of_a_stream_of_any_number_of_tasks_is_a_number(n_tasks):
    stream = continual.permuted(*DATA, n_tasks=n_tasks)
    result = continual.run(GaussianNB(), stream)
    for figure in ("average_accuracy", "forgetting", "backward_transfer", "forward_transfer"):
        assert np.isfinite(getattr(result, figure))


def test_figures_of_fewer_parts_than_tasks_compare_those_there_are():
    R = np.array([[0.9, 0.1, 0.2], [0.6, 0.8, 0.3]])
    result = continual.Result(R, np.full(3, 0.1), 0, None)
    assert result.backward_transfer == pytest.approx(0.6 - 0.9)
    assert result.forward_transfer == pytest.approx(0.1 - 0.1)
    assert result.forgetting == pytest.approx(np.mean([0.9 - 0.6, 0.1 - 0.8]))


@pytest.mark.parametrize("make", [continual.permuted, continual.drifting])
def test_more_tasks_than_samples_are_refused(make):
    X, y = np.random.default_rng(0).random((8, 16)), np.arange(8) % 2
    arguments = ((4, 4),) if make is continual.drifting else ()
    with pytest.raises(ValueError, match=r"n_tasks must lie in \[1, 8\], the number of samples, got 12"):
        make(X, y, X, y, *arguments, n_tasks=12)


@pytest.mark.parametrize("name", ["y", "y_test"])
def test_labels_that_are_missing_are_named(name):
    data = dict(zip(("X", "y", "X_test", "y_test"), DATA, strict=True))
    data[name] = data[name].astype(float)
    data[name][3] = np.nan
    with pytest.raises(ValueError, match=rf"{name} must hold a label for each row, but {name}\[3\] is nan"):
        continual.split(**data)
