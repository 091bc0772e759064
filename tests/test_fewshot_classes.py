"""bioneuro.fewshot: unequal supports, divisions of the classes, turned images, comparisons that are paired."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from bioneuro import analysis
from bioneuro.fewshot import (
    EpisodeSampler,
    compare,
    differences,
    evaluate,
    split_classes,
    summary,
    with_rotations,
)

N_CLASSES, PER_CLASS = 8, 20


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    y = np.arange(N_CLASSES).repeat(PER_CLASS)
    return rng.normal(size=(N_CLASSES, 10))[y] + rng.normal(size=(len(y), 10)), y


# --- shots ---


@settings(max_examples=30, deadline=None)
@given(shots=st.lists(st.integers(1, 6), min_size=2, max_size=5), seed=st.integers(0, 99))
def test_unequal_shots_are_those_asked_for(shots, seed):
    y = np.arange(N_CLASSES).repeat(PER_CLASS)
    X = np.arange(len(y))
    episode = EpisodeSampler(X, y, len(shots), shots, 3, 2, seed)[1]
    assert np.bincount(episode.support_y).tolist() == shots
    assert np.bincount(episode.query_y).tolist() == [3] * len(shots)
    ids = np.concatenate([episode.support_x, episode.query_x])
    assert len(set(ids)) == len(ids)
    np.testing.assert_array_equal(y[episode.support_x], episode.classes[episode.support_y])


def test_imbalanced_supports_vary_between_their_bounds():
    y = np.arange(N_CLASSES).repeat(PER_CLASS)
    sampler = EpisodeSampler(np.arange(len(y)), y, 4, 2, 5, 200, max_shot=5)
    shots = np.array([np.bincount(episode.support_y) for episode in sampler])
    assert shots.min() == 2 and shots.max() == 5
    counts = np.bincount(shots.ravel())[2:]  # 800 draws, 200 expected of each, sd 12
    assert np.abs(counts - 200).max() < 60
    assert all(np.bincount(episode.query_y).tolist() == [5] * 4 for episode in sampler)


def test_equal_shots_draw_what_they_always_drew():
    y = np.arange(N_CLASSES).repeat(PER_CLASS)
    X = np.arange(len(y))
    one, several = EpisodeSampler(X, y, 3, 2, 4, 5), EpisodeSampler(X, y, 3, [2, 2, 2], 4, 5)
    for a, b in zip(one, several, strict=True):
        np.testing.assert_array_equal(a.support_x, b.support_x)
        np.testing.assert_array_equal(a.query_x, b.query_x)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_shot": [1, 2]}, r"n_shot must be an integer or one for each of n_way=3, got \[1, 2\]"),
        ({"n_shot": [1, 0, 2]}, r"n_shot\[1\] must be an integer >= 1, got 0"),
        ({"n_shot": 1.5}, "n_shot must be an integer >= 1, got 1.5"),
        ({"n_shot": [1, 2, 3], "max_shot": 4}, "n_shot must be one integer"),
        ({"n_shot": 3, "max_shot": 2}, "max_shot must be an integer >= 3, got 2"),
        ({"max_shot": 6}, r"class 0 has 20 images; max_shot \+ n_query = 6 \+ 15 needs 21"),
        ({"n_shot": [1, 1, 6]}, r"class 0 has 20 images; n_shot \+ n_query = 6 \+ 15 needs 21"),
    ],
)
def test_bad_shots(blobs, change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        EpisodeSampler(*blobs, **{"n_way": 3, **change})


# --- images are encoded once ---


class Counting:
    """Features that know how many images were encoded."""

    def __init__(self):
        self.n_encoded = 0

    def transform(self, X):
        self.n_encoded += len(X)
        return X[:, :3]


def test_every_image_is_encoded_once(blobs):
    X, y = blobs
    encoder, sampler = Counting(), EpisodeSampler(X, y, 3, n_episodes=10)
    models = {"1": KNeighborsClassifier(1), "3": KNeighborsClassifier(3)}
    table = compare(models, sampler, encoder=encoder)
    assert encoder.n_encoded == len(X)
    by_hand = EpisodeSampler(X[:, :3], y, 3, n_episodes=10)
    for name, model in models.items():
        expected = evaluate(model, by_hand)["accuracy"].to_numpy()
        np.testing.assert_array_equal(table.loc[table["model"] == name, "accuracy"], expected)
    assert sampler.X is not None and sampler.X.shape == X.shape  # the sampler that was passed stays as it is


def test_an_encoder_that_loses_images_is_refused(blobs):
    with pytest.raises(ValueError, match="transform must return a row for each of 160 images, got shape"):
        EpisodeSampler(*blobs).encoded(lambda X: X[1:])


def test_processes_change_nothing(blobs):
    sampler = EpisodeSampler(*blobs, n_way=3, n_episodes=60)
    pd.testing.assert_frame_equal(
        evaluate(KNeighborsClassifier(1), sampler), evaluate(KNeighborsClassifier(1), sampler, n_jobs=2)
    )


def test_what_was_drawn_from_is_recorded(blobs):
    X, y = blobs
    table = evaluate(KNeighborsClassifier(1), EpisodeSampler(X, y, 2, n_episodes=2, classes=[1, 4, 6]))
    other = evaluate(KNeighborsClassifier(1), EpisodeSampler(X, y, 2, n_episodes=2, classes=[1, 4, 5]))
    assert table.attrs["random_state"] == 0
    assert len(table.attrs["classes_sha256"]) == 64 and table.attrs["classes_sha256"] != other.attrs["classes_sha256"]


# --- divisions of the classes ---


@settings(max_examples=60, deadline=None)
@given(n=st.integers(3, 60), parts=st.lists(st.integers(1, 9), min_size=3, max_size=3), seed=st.integers(0, 9))
def test_parts_share_no_class_and_lose_none(n, parts, seed):
    shares = np.array(parts) / sum(parts)
    split = split_classes(np.arange(n).repeat(2), shares, seed)
    joined = np.concatenate(split[:3])
    assert sorted(joined.tolist()) == list(range(n))
    sizes = np.array([len(part) for part in split[:3]])
    assert (sizes >= 1).all()
    if (shares * n >= 1).all():
        assert np.abs(sizes - shares * n).max() < 1


def test_the_hash_tells_divisions_apart():
    y = np.arange(20)
    split = split_classes(y)
    assert split.sha256 == split_classes(y.repeat(3)[::-1]).sha256  # neither order nor number of images matters
    assert split.sha256 != split_classes(y, random_state=1).sha256
    assert split.sha256 != split_classes(y, (0.6, 0.4, 0)).sha256
    assert len(split_classes(y, (0.6, 0.4, 0)).test) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0, 1, 2], (0.5, 0.5)), "shares must be three numbers"),
        (([0, 1, 2], (0.5, 0.5, 0.5)), "shares must be three numbers"),
        (([0, 1, 2], (1.5, -0.5, 0)), "shares must be three numbers"),
        (([0, 1], (0.4, 0.3, 0.3)), "y must have a class for each of 3 parts, got 2"),
    ],
)
def test_bad_divisions(arguments, message):
    with pytest.raises(ValueError, match=message):
        split_classes(*arguments)


# --- turned images ---


def test_turns_are_new_classes():
    X = np.arange(2 * 9).reshape(2, 9)
    turned, labels = with_rotations(X, ["b", "a"], (3, 3), turns=(0, 1, 3))
    assert labels.tolist() == [1, 0, 3, 2, 5, 4]
    np.testing.assert_array_equal(turned[:2], X)
    np.testing.assert_array_equal(turned[2].reshape(3, 3), np.rot90(X[0].reshape(3, 3)))
    np.testing.assert_array_equal(turned[5].reshape(3, 3), np.rot90(X[1].reshape(3, 3), -1))


def test_colour_is_turned_with_its_pixel():
    X = np.random.default_rng(0).random((2, 12))
    turned, _ = with_rotations(X, [0, 1], (2, 2, 3), turns=(2,))
    np.testing.assert_array_equal(turned[0].reshape(2, 2, 3), X[0].reshape(2, 2, 3)[::-1, ::-1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((1, 9), (0, 1)), "image_shape must be that of square images"),
        (((2, 2), (0, 1)), r"image_shape must have a product of 9 features, got \(2, 2\)"),
        (((3, 3), (0, 4)), "turns must be different quarters"),
        (((3, 3), ()), "turns must be different quarters"),
        (((3, 3), (0, 0.5)), "turns must be different quarters"),
    ],
)
def test_bad_turns(arguments, message):
    with pytest.raises(ValueError, match=message):
        with_rotations(np.zeros((2, 9)), [0, 1], *arguments)


# --- tables ---


def results(**columns):
    return pd.DataFrame({"model": ["a"] * 3 + ["b"] * 3, "n_shot": 1, "episode": [0, 1, 2] * 2, **columns})


def test_difference_is_paired_by_episode_whatever_the_order():
    frame = results(accuracy=[0.5, 0.6, 0.9, 0.4, 0.6, 0.6])
    expected = analysis.paired_difference([0.5, 0.6, 0.9], [0.4, 0.6, 0.6])
    for shuffled in (frame, frame.sample(frac=1, random_state=0)):
        (row,) = differences(shuffled, "b").itertuples()
        assert (row.model, row.n_shot, row.n) == ("a", 1, 3)
        assert row.mean == pytest.approx(expected.mean) and row.low == pytest.approx(expected.low)
        assert row.p_value == pytest.approx(expected.p_value) and row.p_holm == pytest.approx(expected.p_value)


def test_p_values_are_adjusted_over_all_rows(blobs):
    models = {str(k): KNeighborsClassifier(k) for k in (1, 3, 5)}
    parts = []
    for n_shot in (2, 5):
        parts.append(compare(models, EpisodeSampler(*blobs, n_way=4, n_shot=n_shot, n_query=10, n_episodes=20)))
    found = differences(pd.concat(parts), "1")
    assert len(found) == 4 and set(found["n_shot"]) == {2, 5}
    np.testing.assert_allclose(found["p_holm"], analysis.holm(found["p_value"].to_numpy()))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (results(accuracy=0.5).iloc[:-1], "'b' lack some episodes"),
        (results(accuracy=0.5).drop(columns="episode"), "one of the columns"),
        (results(accuracy=0.5).drop(columns="model"), r"lack the columns \['model'\]"),
        (results(accuracy=0.5).replace({"model": {"b": "c"}}), "reference must be one of"),
    ],
)
def test_what_is_not_paired_is_refused(frame, message):
    with pytest.raises(ValueError, match=message):
        differences(frame, "b")


def test_summary_has_the_interval_of_each_model():
    frame = results(accuracy=[0.5, 0.6, 0.9, 0.4, 0.6, 0.6])
    found = summary(frame).set_index("model")
    expected = analysis.mean_interval([0.5, 0.6, 0.9])
    assert found.loc["a", "mean"] == pytest.approx(expected.mean) and found.loc["a", "low"] == pytest.approx(
        expected.low
    )
    assert found.loc["b", "n"] == 3


def test_summary_of_imbalanced_episodes_is_one_row(blobs):
    sampler = EpisodeSampler(*blobs, n_way=4, n_shot=1, n_query=5, n_episodes=12, max_shot=4)
    table = evaluate(KNeighborsClassifier(1), sampler)
    (row,) = summary(table).itertuples()
    assert row.n == 12 and row.mean == pytest.approx(table["accuracy"].mean())
