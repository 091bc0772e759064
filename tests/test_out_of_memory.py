"""Learning from arrays that are not in memory, alone and on a cluster: the same weights, bit for bit."""

import copy
import os
import signal
import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bioneuro as bn
from bioneuro import blockwise_encoding, network_classifier, row_sources
from bioneuro.moments import Moments

SMALL = {
    "n_cells": 40,
    "encoder__n_columns": 8,
    "mixing": 100,
    "schedule__association_epochs": 1,
    "schedule__teaching_epochs": 1,
    "schedule__readout_epochs": 1,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def data():
    return bn.datasets.load("digits")


@pytest.fixture
def in_blocks(monkeypatch):
    """Everything is large here, and three blocks long."""
    monkeypatch.setattr(row_sources, "IN_MEMORY", 0)
    monkeypatch.setattr(blockwise_encoding, "BLOCK", 512)


@pytest.fixture
def mapped(tmp_path, data):
    return write(tmp_path / "X.npy", data.X_train)


def write(path, X):
    np.save(path, X)
    return np.load(path, mmap_mode="r")


def state(model):
    parts = {name: W.toarray() for name, W in model.weights().items()}
    parts["votes"] = model.network_.association.votes
    parts["next"] = copy.deepcopy(model._rng).integers(2**31)
    return parts


def assert_same(model, other):
    ours, theirs = state(model), state(other)
    assert ours.keys() == theirs.keys()
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name], err_msg=name)


# --- rows ---

arrays = st.integers(1, 40).flatmap(
    lambda n: st.tuples(st.just(n), st.integers(1, 5), st.lists(st.integers(0, n - 1), max_size=9), st.integers(1, n))
)


@given(arrays)
def test_stored_rows_are_those_that_were_written(drawn):
    n, n_columns, numbers, size = drawn
    X = np.arange(n * n_columns, dtype=np.float32).reshape(n, n_columns)
    kept = row_sources.StoredRows(n_columns, np.float32)
    for start in range(0, n, size):
        kept.append(X[start : start + size])
    assert len(kept) == n and kept.shape == X.shape
    np.testing.assert_array_equal(kept[np.array(numbers, int)], X[numbers].reshape(-1, n_columns))
    for part in (slice(size), slice(size, None), slice(0, n, 2), slice(n, None)):
        np.testing.assert_array_equal(kept[part], X[part])


def test_stored_rows_that_were_cut_short_are_no_rows():
    kept = row_sources.StoredRows(2, np.float64)
    kept.append(np.ones((3, 2)))
    kept[:1]
    os.truncate(kept._file.fileno(), 20)
    with pytest.raises(OSError, match="cut short"):
        kept[np.array([2])]


def test_mapped_rows_are_copies(tmp_path):
    X = np.arange(12.0).reshape(4, 3)
    kept = row_sources.MappedRows(write(tmp_path / "X.npy", X), np.float32)
    for part in (slice(1, 3), np.array([3, 0, 0])):
        found = kept[part]
        assert type(found) is np.ndarray and found.flags.writeable and found.dtype == np.float32
        np.testing.assert_array_equal(found, X[part])


def test_dask_rows(data):
    da = pytest.importorskip("dask.array")
    X = data.X_train[:100]
    kept = row_sources.DaskRows(da.from_array(X, chunks=(7, 20)), np.float32)
    for part in (slice(5, 30), np.array([99, 3, 3, 50])):
        np.testing.assert_array_equal(kept[part], X[part])
    with pytest.raises(ValueError, match="X must be of known shape"):
        row_sources.DaskRows(kept.array[kept.array[:, 0] >= 0], np.float32)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=9))
def test_one_hot_rows(codes):
    codes = np.array(codes)
    np.testing.assert_array_equal(row_sources.OneHot(codes, 4, np.float32)[np.arange(len(codes))], np.eye(4)[codes])


def test_only_what_is_large_is_taken_in_blocks(tmp_path, data, mapped):
    assert row_sources.opened(data.X_train, float) is None and row_sources.opened(mapped, float) is None
    assert row_sources.opened([[0.0]], float) is None


@given(st.integers(0, 2**32), st.lists(st.integers(1, 6), min_size=1, max_size=5), st.floats(-3, 3))
def test_moments_of_batches_add_up_bit_for_bit(seed, sizes, shift):
    rng = np.random.default_rng(seed)
    batches = [(rng.normal(shift, 1, (n, 3)) * 10.0 ** rng.integers(-3, 4)).astype(np.float32) for n in sizes]
    added = merged = Moments.none(3)
    for batch in batches:
        added, merged = added.add(batch), merged.merge(Moments.none(3).add(batch))
    for one, other in zip(added, merged, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_allclose(merged.mean, np.concatenate(batches).mean(axis=0, dtype=float), rtol=1e-6, atol=1e-6)


# --- learning ---


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"encoder__feature_map": "local"},
        {"mixing": 0},
        {"dtype": "float64"},
        {"competition": "circuit", "n_cells": 20},
    ],
    ids=["tied", "local", "no mixing", "double", "circuit"],
)
def test_a_file_gives_the_same_weights(data, mapped, in_blocks, changed):
    model = bn.BioClassifier(**SMALL | changed).fit(data.X_train, data.y_train)
    streamed = bn.BioClassifier(**SMALL | changed).fit(mapped, data.y_train)
    assert_same(model, streamed)
    np.testing.assert_array_equal(model.predict(data.X_test), streamed.predict(data.X_test))


def test_features_of_a_file_are_in_a_file(data, mapped, in_blocks):
    model = bn.BioClassifier(**SMALL).fit(mapped, data.y_train)
    check = blockwise_encoding.Check(np.dtype(np.float32), images=True)
    H = blockwise_encoding.features(model.encoder_.encode, None, row_sources.opened(mapped, np.float32), check)
    assert isinstance(H, row_sources.StoredRows)
    np.testing.assert_array_equal(H[:], model.transform(data.X_train))


def test_other_dtypes_of_a_file_are_read_as_in_memory(tmp_path, data, in_blocks):
    images = (data.X_train * 16).astype(np.uint8)[:600] > 8
    assert_same(
        bn.BioClassifier(**SMALL).fit(images, data.y_train[:600]),
        bn.BioClassifier(**SMALL).fit(write(tmp_path / "bits.npy", images), data.y_train[:600]),
    )


@pytest.mark.parametrize("chunks", [(100, 64), (700, 30)])
def test_a_dask_array_gives_the_same_weights(data, in_blocks, chunks):
    da = pytest.importorskip("dask.array")
    X, y = da.from_array(data.X_train, chunks=chunks), da.from_array(data.y_train, chunks=200)
    assert_same(bn.BioClassifier(**SMALL).fit(data.X_train, data.y_train), bn.BioClassifier(**SMALL).fit(X, y))


def test_plain_vectors_of_a_file_differ_by_rounding(data, mapped, in_blocks):
    fitted = [bn.BioClassifier(**SMALL, image_shape=None).fit(X, data.y_train).encoder_ for X in (data.X_train, mapped)]
    np.testing.assert_allclose(fitted[0].mean, fitted[1].mean, rtol=1e-12)
    np.testing.assert_allclose(fitted[0].sd, fitted[1].sd, rtol=1e-12)


class Centred:
    """A layer of one's own, whose features are in double precision and which learns from all samples at once."""

    def __init__(self, n_inputs):
        self.n_inputs = self.n_features = n_inputs

    def learn(self, X):
        assert type(X) is np.ndarray
        self.mean = X.mean(axis=0, dtype=float)

    def encode(self, X):
        return X - self.mean

    def encode_grad(self, X, dH):
        return dH


def image_stack():
    map_ = bn.layers.FeatureMap((8, 8), n_columns=8, random_state=0)
    mixing = bn.layers.Mixing(map_.n_features, 80, random_state=0)
    return [map_, mixing, bn.layers.Association(40, 80, 10, teacher="contrastive"), bn.layers.Association(30, 40, 10)]


STACKS = {
    "images": image_stack,
    "plain": lambda: [
        bn.layers.Adaptation(64),
        bn.layers.Mixing(128, 60, random_state=0),
        bn.layers.Association(30, 60, 10),
    ],
    "own": lambda: [Centred(64), bn.layers.Mixing(64, 60, random_state=0), bn.layers.Association(30, 60, 10)],
    "one": lambda: [bn.layers.Association(30, 64, 10)],
}


def stacked(layers, X, y, **options):
    schedule = bn.Schedule(association_epochs=1, teaching_epochs=1, readout_epochs=1)
    return bn.NetworkClassifier(layers, schedule=schedule, random_state=0).fit(X, y, **options)


@pytest.fixture(params=STACKS)
def layers(request):
    return STACKS[request.param]()


def test_a_stack_learns_the_same_from_a_file(data, mapped, in_blocks, layers):
    assert_same(stacked(layers, data.X_train, data.y_train), stacked(layers, mapped, data.y_train))


def test_a_stack_learns_the_same_from_a_file_whatever_is_kept(data, mapped, in_blocks, monkeypatch):
    whole = stacked(image_stack(), data.X_train, data.y_train)
    monkeypatch.setattr(network_classifier, "CACHED", 0)
    assert_same(whole, stacked(image_stack(), mapped, data.y_train))
    assert_same(whole, stacked(image_stack(), data.X_train, data.y_train))


def test_a_stack_learns_the_same_from_a_dask_array(data, in_blocks):
    da = pytest.importorskip("dask.array")
    X, y = da.from_array(data.X_train, chunks=(700, 64)), da.from_array(data.y_train, chunks=200)
    assert_same(stacked(image_stack(), data.X_train, data.y_train), stacked(image_stack(), X, y))


def test_a_stack_names_a_bad_value_far_into_a_file_before_it_learns(tmp_path, data, in_blocks):
    X = data.X_train.copy()
    X[1000, 3] = -1
    model, stages = bn.NetworkClassifier(image_stack(), random_state=0), []
    before = dict(vars(model))
    with pytest.raises(ValueError, match=r"^X must lie in \[0, 1\] for images, but X\[1000, 3\] = -1.0"):
        model.fit(write(tmp_path / "X.npy", X), data.y_train, on_epoch=lambda *at: stages.append(at))
    assert vars(model) == before and not stages


def test_a_layer_that_learns_from_something_else_is_refused(data):
    layer = Centred(64)
    layer.learns_from = "batch"
    with pytest.raises(ValueError, match="layer 'centred': learns_from must be .*, got 'batch'"):
        stacked([layer, bn.layers.Association(30, 64, 10)], data.X_train, data.y_train)


@pytest.mark.parametrize(
    "value, message",
    [
        (np.nan, r"X must be finite, but X\[1000, 3\] is nan"),
        (2.0, r"X must lie in \[0, 1\] for images, but X\[1000, 3\] = 2.0"),
    ],
)
def test_a_bad_value_far_into_a_file_is_named_and_leaves_no_trace(tmp_path, data, in_blocks, value, message):
    X = data.X_train.copy()
    X[1000, 3] = value
    model = bn.BioClassifier(**SMALL)
    before = dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.fit(write(tmp_path / "X.npy", X), data.y_train)
    assert vars(model) == before


def test_labels_must_be_as_many_as_rows(data, mapped, in_blocks):
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        bn.BioClassifier(**SMALL).fit(mapped, data.y_train[:-1])


# --- on a cluster ---


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    parts = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with distributed.LocalCluster(**parts) as cluster, distributed.Client(cluster, set_as_default=False) as client:
        yield client


@pytest.mark.parametrize(
    "changed", [{}, {"encoder__feature_map": "local"}, {"image_shape": None}], ids=["tied", "local", "plain"]
)
def test_workers_give_the_same_weights(data, mapped, in_blocks, cluster, changed):
    alone = bn.BioClassifier(**SMALL | changed).fit(mapped, data.y_train)
    shared = bn.BioClassifier(**SMALL | changed).fit(mapped, data.y_train, client=cluster)
    assert_same(alone, shared)


def test_workers_give_the_same_weights_from_memory_and_from_dask(data, in_blocks, cluster):
    da = pytest.importorskip("dask.array")
    alone = bn.BioClassifier(**SMALL).fit(data.X_train, data.y_train)
    for X in (data.X_train, da.from_array(data.X_train, chunks=(300, 64))):
        assert_same(alone, bn.BioClassifier(**SMALL).fit(X, data.y_train, client=cluster))


def test_workers_take_rows_through_the_first_layer_of_a_stack(data, mapped, in_blocks, cluster, layers):
    alone = stacked(layers, data.X_train, data.y_train)
    for X in (data.X_train, mapped):
        assert_same(alone, stacked(layers, X, data.y_train, client=cluster))


def test_a_bad_value_that_a_worker_finds_is_named(tmp_path, data, in_blocks, cluster):
    X = data.X_train.copy()
    X[1000, 3] = -1
    with pytest.raises(ValueError, match=r"X\[1000, 3\] = -1.0"):
        bn.BioClassifier(**SMALL).fit(write(tmp_path / "X.npy", X), data.y_train, client=cluster)


def test_a_worker_that_is_killed_changes_no_weight(data, mapped, monkeypatch, in_blocks, cluster):
    monkeypatch.setattr(blockwise_encoding, "BLOCK", 64)
    alone = bn.BioClassifier(**SMALL).fit(mapped, data.y_train)
    add, seen, killed = bn.layers.Mixing.add, [], threading.Event()

    def kill_at_the_third(self, moments):
        seen.append(moments)
        if len(seen) == 3:
            os.kill(next(iter(cluster.run(os.getpid).values())), signal.SIGKILL)
            killed.set()
            time.sleep(0.1)
        return add(self, moments)

    monkeypatch.setattr(bn.layers.Mixing, "add", kill_at_the_third)
    shared = bn.BioClassifier(**SMALL).fit(mapped, data.y_train, client=cluster)
    assert killed.is_set() and len(seen) == -(-len(data.X_train) // 64)
    assert_same(alone, shared)
