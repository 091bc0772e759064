"""bioneuro.fewshot: what an episode is made of, and that comparisons are paired."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import SGDClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from bioneuro.fewshot import EpisodeSampler, evaluate, low_data_curve

N_CLASSES, PER_CLASS = 8, 20


@pytest.fixture
def identified():
    """Rows that tell which sample they are: column 0 is its number, column 1 its class."""
    y = np.arange(N_CLASSES).repeat(PER_CLASS)
    return np.column_stack([np.arange(len(y)), y]).astype(float), y


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(N_CLASSES, 10))
    y = np.arange(N_CLASSES).repeat(PER_CLASS)
    return centres[y] + rng.normal(size=(len(y), 10)), y


class Recorder(ClassifierMixin, BaseEstimator):
    """Keeps, in a list shared by its clones, what it was trained on and with which seed."""

    log = []

    def __init__(self, random_state=None, name=""):
        self.random_state, self.name = random_state, name

    def fit(self, X, y):
        digest = hashlib.sha256(np.ascontiguousarray(X).tobytes()).hexdigest()
        self.log.append((self.name, len(y), self.random_state, digest, set(X[:, 0])))
        self.first_ = y[0]
        return self

    def predict(self, X):
        return np.full(len(X), self.first_)


@pytest.fixture
def log():
    Recorder.log.clear()
    return Recorder.log


# --- episodes ---


@settings(max_examples=50, deadline=None)
@given(
    n_way=st.integers(2, N_CLASSES),
    n_shot=st.integers(1, 5),
    n_query=st.integers(1, 15),
    seed=st.integers(0, 2**32),
)
def test_an_episode_is_what_it_says(n_way, n_shot, n_query, seed):
    y = np.arange(N_CLASSES).repeat(PER_CLASS)
    X = np.column_stack([np.arange(len(y)), y]).astype(float)
    episode = EpisodeSampler(X, y, n_way, n_shot, n_query, 3, seed)[1]
    assert len(set(episode.classes)) == n_way
    for part, labels, each in [
        (episode.support_x, episode.support_y, n_shot),
        (episode.query_x, episode.query_y, n_query),
    ]:
        assert np.bincount(labels).tolist() == [each] * n_way and labels.dtype == np.int64
        np.testing.assert_array_equal(episode.classes[labels], part[:, 1])  # relabelling keeps the pairing
    ids = np.concatenate([episode.support_x[:, 0], episode.query_x[:, 0]])
    assert len(set(ids)) == n_way * (n_shot + n_query)  # no image twice, none both to learn and to classify


def same(a, b):
    return all(np.array_equal(getattr(a, f), getattr(b, f)) for f in ("support_x", "query_x", "classes"))


def test_an_episode_depends_on_seed_and_number_alone(identified):
    long = EpisodeSampler(*identified, n_episodes=50, random_state=4)
    short = EpisodeSampler(*identified, n_episodes=10, random_state=4)
    assert len(long) == 50 and len(list(long)) == 50
    assert all(same(a, b) for a, b in zip(short, long, strict=False))
    assert same(long[7], short[7]) and same(long[-1], long[49])
    assert not same(long[7], long[8])
    assert not same(long[7], EpisodeSampler(*identified, random_state=5)[7])
    for number in (50, -51):
        with pytest.raises(IndexError):
            long[number]


def test_every_class_and_image_is_drawn_equally_often(identified):
    sampler = EpisodeSampler(*identified, n_way=2, n_shot=1, n_query=1, n_episodes=4000)
    classes, images = np.zeros(N_CLASSES), np.zeros(N_CLASSES * PER_CLASS)
    for episode in sampler:
        classes[episode.classes] += 1
        images[episode.support_x[:, 0].astype(int)] += 1
    # Binomial counts: expected 1000 (sd 27) and 50 (sd 7); 5 sd and more would be a fault.
    assert np.abs(classes - 1000).max() < 140
    assert np.abs(images - 50).max() < 36


def test_generators_are_resolved_once(identified):
    sampler = EpisodeSampler(*identified, random_state=np.random.default_rng(3))
    assert same(sampler[5], sampler[5])
    assert same(sampler[5], EpisodeSampler(*identified, random_state=sampler.random_state)[5])


def test_labels_of_any_type_and_chosen_classes(identified):
    X, y = identified
    names = np.array(list("abcdefgh"))[y]
    sampler = EpisodeSampler(X, names, n_way=3, classes=["h", "b", "e"], n_episodes=20)
    assert {label for episode in sampler for label in episode.classes} == {"b", "e", "h"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_way": 1}, "n_way must be an integer >= 2, got 1"),
        ({"n_shot": 0}, "n_shot must be an integer >= 1, got 0"),
        ({"n_query": 0}, "n_query must be an integer >= 1, got 0"),
        ({"n_episodes": 0}, "n_episodes must be an integer >= 1, got 0"),
        ({"n_way": 9}, "n_way=9 needs as many classes, got 8"),
        ({"n_shot": 6}, r"class 0 has 20 images; n_shot \+ n_query = 6 \+ 15 needs 21"),
        ({"classes": [0, 1, 2, 3, 99]}, "class 99 has 0 images"),
        ({"random_state": -1}, "random_state must be an integer >= 0"),
        ({"y": np.zeros(3)}, r"got \(160, 2\) and \(3,\)"),
    ],
)
def test_bad_samplers(identified, change, message):
    X, y = identified
    with pytest.raises(ValueError, match=message):
        EpisodeSampler(**{"X": X, "y": y, **change})


# --- evaluate ---


def test_evaluate_against_nearest_neighbour_by_hand(blobs):
    sampler = EpisodeSampler(*blobs, n_way=4, n_shot=1, n_query=10, n_episodes=20)
    table = evaluate(KNeighborsClassifier(1), sampler, progress=True)
    expected = []
    for episode in sampler:
        distance = np.linalg.norm(episode.query_x[:, None] - episode.support_x, axis=2)
        expected.append((distance.argmin(axis=1) == episode.query_y).mean())
    np.testing.assert_allclose(table["accuracy"], expected)
    assert table["episode"].tolist() == list(range(20))
    assert (table[["n_way", "n_shot", "n_query"]] == [4, 1, 10]).all(axis=None)
    assert 0.3 < table["accuracy"].mean() < 0.999


def test_labels_without_information_give_chance(blobs):
    X, y = blobs
    sampler = EpisodeSampler(X, np.random.default_rng(1).permutation(y), n_way=4, n_episodes=200)
    accuracy = evaluate(KNeighborsClassifier(1), sampler)["accuracy"]
    assert abs(accuracy.mean() - 0.25) < 0.03


def test_more_shots_help(blobs):
    few, many = (
        evaluate(KNeighborsClassifier(1), EpisodeSampler(*blobs, n_shot=k, n_query=10, n_episodes=50)) for k in (1, 8)
    )
    assert many["accuracy"].mean() > few["accuracy"].mean() + 0.02


def test_the_model_is_cloned_but_a_frozen_stage_is_kept(blobs):
    X, y = blobs
    features = PCA(3).fit(X)
    model = make_pipeline(FrozenEstimator(features), KNeighborsClassifier(1))
    sampler = EpisodeSampler(X, y, n_way=3, n_episodes=10)
    kept = evaluate(model, sampler)["accuracy"]
    by_hand = EpisodeSampler(features.transform(X), y, n_way=3, n_episodes=10)
    np.testing.assert_allclose(kept, evaluate(KNeighborsClassifier(1), by_hand)["accuracy"])
    assert not hasattr(model[-1], "classes_")  # the model that was passed stays unfitted


# --- low-data curve ---


def test_low_data_curve_is_paired_nested_and_seeded(identified, log):
    X, y = identified
    models = {"a": Recorder(name="a"), "b": Recorder(name="b")}
    table = low_data_curve(models, X, y, X, y, shots=(1, 4), n_repeats=3, progress=False)
    assert list(table.columns) == ["model", "n_shot", "repeat", "accuracy"] and len(table) == 2 * 2 * 3
    assert not table.duplicated(["model", "n_shot", "repeat"]).any()
    np.testing.assert_allclose(table["accuracy"], 1 / N_CLASSES)  # a constant answer, on the whole test set

    seen = {}
    for (name, size, seed, digest, ids), repeat in zip(log, np.arange(3).repeat(4), strict=True):
        seen[name, size // N_CLASSES, int(repeat)] = (seed, digest, ids)
    for repeat in range(3):
        for k in (1, 4):
            assert seen["a", k, repeat] == seen["b", k, repeat]  # same images, same order, same seed
        assert seen["a", 1, repeat][2] < seen["a", 4, repeat][2]  # the one is among the four
    assert len({seen["a", 4, repeat][1] for repeat in range(3)}) == 3
    assert len({seen["a", 4, repeat][0] for repeat in range(3)}) == 3


def test_low_data_curve_on_real_learners(blobs):
    X, y = blobs
    train = np.arange(len(y)) % 2 == 0
    models = {"1-nn": KNeighborsClassifier(1), "linear": make_pipeline(PCA(5), SGDClassifier())}
    arguments = (models, X[train], y[train], X[~train], y[~train])
    table = low_data_curve(*arguments, shots=(1, 5, 10), n_repeats=4, random_state=1)
    mean = table.groupby(["model", "n_shot"])["accuracy"].mean()
    assert mean["1-nn", 10] > mean["1-nn", 1] + 0.05 and mean["linear", 10] > 0.5
    # SGDClassifier and PCA are seeded by the repeat, so a second run gives the same numbers.
    again = low_data_curve(*arguments, shots=(1, 5, 10), n_repeats=4, random_state=1, progress=False)
    assert table.equals(again)
    other = low_data_curve(*arguments, shots=(1, 5, 10), n_repeats=4, random_state=2, progress=False)
    assert not table.equals(other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shots": (1, 21)}, "class 0 has 20 samples, fewer than n_per_class=21"),
        ({"shots": (0, 2)}, "shots\\[0\\] must be an integer >= 1, got 0"),
        ({"shots": ()}, "models and shots must not be empty"),
        ({"models": {}}, "models and shots must not be empty"),
        ({"n_repeats": 0}, "n_repeats must be an integer >= 1, got 0"),
        (
            {"y_test": np.zeros((160, 1))},
            r"y_test must be one label for each of 160 rows of X_test, got shape \(160, 1\)",
        ),
        ({"y_test": np.full(160, "0")}, r"y_test must hold labels out of y, but y_test\[0\] = "),
        ({"y_test": np.full(160, np.nan)}, r"y_test\[0\] is nan"),
        ({"X_test": np.ma.masked_equal(np.zeros((160, 2)), 0)}, "X_test must not have masked values"),
    ],
)
def test_bad_curves_fail_before_any_fit(identified, log, change, message):
    X, y = identified
    arguments = {"models": {"a": Recorder()}, "X": X, "y": y, "X_test": X, "y_test": y, **change}
    with pytest.raises(ValueError, match=message):
        low_data_curve(**arguments)
    assert log == []
