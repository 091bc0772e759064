"""bioneuro.datasets: small generated archives stand in for the published ones; the real ones when on disk."""

import gzip
import hashlib
import io
import os
import shutil
import struct
import sys
import tarfile
import threading
import tracemalloc
from dataclasses import FrozenInstanceError, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from bioneuro import datasets
from bioneuro.datasets import DATASETS, USUAL, DatasetCorruptError, DatasetNotFoundError, load, subset_per_class

DATA = os.environ.get("BIONEURO_DATA", "")


CIFAR10 = "cifar-10-binary.tar.gz"


def needs_files(name):
    return pytest.mark.skipif(not (Path(DATA) / name).is_dir(), reason=f"$BIONEURO_DATA/{name}/ is not there")


@pytest.fixture(autouse=True)
def no_ambient_data(monkeypatch):
    monkeypatch.delenv("BIONEURO_DATA", raising=False)


# --- generated archives


def idx_bytes(values):
    """IDX: two zero bytes, type code 8 (uint8), number of dimensions, the dimensions as big-endian int32."""
    return struct.pack(f">BBBB{values.ndim}i", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


@pytest.fixture
def tiny_mnist(tmp_path, monkeypatch):
    """A 5 + 3 image "mnist" in tmp_path/mnist, registered under its own hashes; returns its raw arrays."""
    rng = np.random.default_rng(0)
    raw = [
        rng.integers(0, 256, (5, 28, 28), dtype=np.uint8),
        np.array([3, 1, 4, 1, 5], np.uint8),
        rng.integers(0, 256, (3, 28, 28), dtype=np.uint8),
        np.array([9, 2, 6], np.uint8),
    ]
    published = DATASETS["mnist"]
    folder = tmp_path / "mnist"
    folder.mkdir()
    sha256 = {}
    for filename, values in zip(published.sha256, raw, strict=True):
        content = idx_bytes(values)
        (folder / filename).write_bytes(gzip.compress(content))
        sha256[filename] = hashlib.sha256(content).hexdigest()
    monkeypatch.setitem(DATASETS, "mnist", replace(published, sha256=sha256))
    return raw


@pytest.fixture
def tiny_cifar10(tmp_path, monkeypatch):
    """6 batches of 2 images in tmp_path/cifar10; returns labels (6, 2) and planes (6, 2, 3, 32, 32)."""
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 10, (6, 2), dtype=np.uint8)
    planes = rng.integers(0, 256, (6, 2, 3, 32, 32), dtype=np.uint8)
    published = DATASETS["cifar10"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for i, batch in enumerate(datasets.CIFAR10_BATCHES):
            content = np.hstack([labels[i, :, None], planes[i].reshape(2, -1)]).tobytes()
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{batch}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    (tmp_path / "cifar10").mkdir()
    (tmp_path / "cifar10" / CIFAR10).write_bytes(buffer.getvalue())
    sha256 = hashlib.sha256(buffer.getvalue()).hexdigest()
    monkeypatch.setitem(DATASETS, "cifar10", replace(published, sha256={CIFAR10: sha256}, n_test=2))
    return labels, planes


def assert_contract(data):
    features = int(np.prod(data.image_shape))
    for X, y in [(data.X_train, data.y_train), (data.X_test, data.y_test)]:
        assert X.dtype == np.float32 and X.flags.c_contiguous and X.shape == (len(y), features)
        assert X.min() >= 0 and X.max() <= 1
        assert y.dtype == np.int64 and y.min() >= 0 and y.max() < len(data.class_names)


# --- what is read


def test_digits_is_scikit_learns_split_once_and_for_all():
    data, again = load("digits"), load("digits")
    assert_contract(data)
    assert len(data.X_train) == 1297 and len(data.X_test) == 500 and data.image_shape == (8, 8)
    np.testing.assert_array_equal(data.X_train, again.X_train)
    np.testing.assert_array_equal(data.y_test, again.y_test)
    # Nothing lost or doubled: together the two parts are the source, as a multiset of labelled rows.
    X, y = load_digits(return_X_y=True)
    ours = np.vstack([np.c_[data.X_train, data.y_train], np.c_[data.X_test, data.y_test]])
    source = np.c_[np.float32(X / 16), y]
    np.testing.assert_array_equal(ours[np.lexsort(ours.T)], source[np.lexsort(source.T)])
    # Stratified: each class's share of the test set is within one image of its share of the whole.
    expected = np.bincount(y) * 500 / len(y)
    assert np.abs(np.bincount(data.y_test) - expected).max() <= 1


def test_idx_files_are_read_in_order(tmp_path, tiny_mnist):
    data = load("mnist", data_dir=tmp_path)
    assert_contract(data)
    X_train, y_train, X_test, y_test = tiny_mnist
    np.testing.assert_array_equal(data.X_train, np.float32(X_train.reshape(5, 784)) / np.float32(255))
    np.testing.assert_array_equal(data.X_test, np.float32(X_test.reshape(3, 784)) / np.float32(255))
    np.testing.assert_array_equal(data.y_train, y_train)
    np.testing.assert_array_equal(data.y_test, y_test)


def test_environment_variable_and_unpacked_files(tmp_path, tiny_mnist, monkeypatch):
    packed = load("mnist", data_dir=tmp_path)
    for archive in (tmp_path / "mnist").glob("*.gz"):
        archive.with_suffix("").write_bytes(gzip.decompress(archive.read_bytes()))
        archive.unlink()
    monkeypatch.setenv("BIONEURO_DATA", str(tmp_path))
    np.testing.assert_array_equal(load("mnist").X_train, packed.X_train)


def test_cifar10_archive_and_folder_agree(tmp_path, tiny_cifar10):
    labels, planes = tiny_cifar10
    from_archive = load("cifar10", data_dir=tmp_path)
    assert_contract(from_archive)
    assert from_archive.image_shape == (32, 32, 3)
    np.testing.assert_array_equal(from_archive.y_train, labels[:5].ravel())
    image = from_archive.X_test[1].reshape(32, 32, 3)
    for channel in range(3):
        np.testing.assert_array_equal(image[..., channel], np.float32(planes[5, 1, channel]) / np.float32(255))

    archive = tmp_path / "cifar10" / "cifar-10-binary.tar.gz"
    shutil.unpack_archive(archive, tmp_path / "cifar10")
    archive.unlink()
    from_folder = load("cifar10", data_dir=tmp_path)
    np.testing.assert_array_equal(from_folder.X_train, from_archive.X_train)
    np.testing.assert_array_equal(from_folder.y_test, from_archive.y_test)


@needs_files("mnist")
def test_real_mnist():
    data = load("mnist", data_dir=DATA)
    assert_contract(data)
    assert data.X_train.shape == (60000, 784) and data.X_test.shape == (10000, 784)
    # The first training image is the well-known 5; the counts are those published with the data.
    assert data.y_train[:5].tolist() == [5, 0, 4, 1, 9]
    assert np.bincount(data.y_test).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@needs_files("fashion-mnist")
def test_real_fashion_mnist():
    data = load("fashion-mnist", data_dir=DATA)
    assert_contract(data)
    assert (np.bincount(data.y_train) == 6000).all() and (np.bincount(data.y_test) == 1000).all()
    assert data.class_names[data.y_train[0]] == "Ankle boot"


# --- downloading


@pytest.fixture
def server(tmp_path):
    """Serves tmp_path over HTTP on this machine and makes pooch's cache a folder of the test's own."""
    handler = partial(SimpleHTTPRequestHandler, directory=tmp_path)
    handler.log_message = lambda *args: None
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    pooch = pytest.importorskip("pooch")
    monkeypatch.setattr(pooch, "os_cache", lambda project: tmp_path / "cache" / project)
    return tmp_path / "cache" / "bioneuro"


def from_server(monkeypatch, name, server):
    monkeypatch.setitem(DATASETS, name, replace(DATASETS[name], url=f"{server}{name}/"))


def files_below(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_download_then_cache(tmp_path, tiny_mnist, server, cache, monkeypatch):
    from_server(monkeypatch, "mnist", server)
    downloaded = load("mnist")
    np.testing.assert_array_equal(downloaded.y_train, tiny_mnist[1])
    for archive in (tmp_path / "mnist").iterdir():
        archive.unlink()  # the second load can only come from the cache
    np.testing.assert_array_equal(load("mnist").X_train, downloaded.X_train)


def test_download_of_cifar10(tiny_cifar10, server, cache, monkeypatch):
    from_server(monkeypatch, "cifar10", server)
    np.testing.assert_array_equal(load("cifar10").y_train, tiny_cifar10[0][:5].ravel())


def test_corrupt_download_leaves_nothing_behind(tmp_path, tiny_mnist, server, cache, monkeypatch):
    from_server(monkeypatch, "mnist", server)
    damaged = tmp_path / "mnist" / "train-labels-idx1-ubyte.gz"
    damaged.write_bytes(gzip.compress(b"something else"))
    with pytest.raises(DatasetCorruptError, match="mnist/train-labels-idx1-ubyte.gz discarded"):
        load("mnist")
    assert files_below(cache) == ["train-images-idx3-ubyte.gz"]


def test_failed_download_says_where_it_looked(tmp_path, tiny_mnist, server, cache, monkeypatch):
    from_server(monkeypatch, "mnist", server)
    (tmp_path / "mnist" / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(DatasetNotFoundError, match=r"from http.*train-images.*failed \(404.*BIONEURO_DATA"):
        load("mnist")
    assert files_below(cache) == []


def test_without_pooch(monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)  # makes `import pooch` raise ImportError
    with pytest.raises(DatasetNotFoundError, match=r"pooch is not installed.*bioneuro\[data\]"):
        load("mnist")


# --- failures


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown.*imagenet.*digits, mnist, fashion-mnist, cifar10"):
        load("imagenet")


def test_every_missing_file_is_named_with_the_folder(tmp_path, tiny_mnist):
    for filename in ("train-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        (tmp_path / "mnist" / filename).unlink()
    with pytest.raises(DatasetNotFoundError) as failure:
        load("mnist", data_dir=tmp_path)
    message = str(failure.value)
    assert "train-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz not found" in message
    assert str(tmp_path / "mnist") in message and "BIONEURO_DATA" in message and "bioneuro[data]" in message
    assert isinstance(failure.value, FileNotFoundError)


@pytest.mark.parametrize(
    "damage",
    [
        lambda b: b[: len(b) // 2],
        lambda b: b[:-9] + b"\0" * 9,
        lambda b: gzip.compress(b"x" * 100),
        lambda b: b"",
    ],
    ids=["truncated", "bad checksum", "other content", "empty"],
)
def test_corrupt_idx_file_is_named(tmp_path, tiny_mnist, damage):
    path = tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DatasetCorruptError, match="t10k-images-idx3-ubyte.gz is corrupt"):
        load("mnist", data_dir=tmp_path)


def test_corrupt_cifar10_archive_is_named(tmp_path, tiny_cifar10):
    path = tmp_path / "cifar10" / "cifar-10-binary.tar.gz"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DatasetCorruptError, match="cifar-10-binary.tar.gz is corrupt"):
        load("cifar10", data_dir=tmp_path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [(lambda b: b[:-1], "test_batch.bin is corrupt: 6145 bytes, expected 6146"),
     (lambda b: bytes([10]) + b[1:], "test_batch.bin is corrupt: label 10 at record 0")],
)  # fmt: skip
def test_corrupt_cifar10_batch_is_named(tmp_path, tiny_cifar10, damage, message):
    folder = tmp_path / "cifar10"
    shutil.unpack_archive(folder / "cifar-10-binary.tar.gz", folder)
    path = folder / "cifar-10-batches-bin" / "test_batch.bin"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DatasetCorruptError, match=message):
        load("cifar10", data_dir=tmp_path)


def test_dataset_is_frozen_and_prints_short():
    data = load("digits")
    with pytest.raises(FrozenInstanceError):
        data.X_train = None
    assert repr(data).startswith("Dataset(n_train=1297, n_test=500, image_shape=(8, 8)")


# --- corrupt copies in the cache


def test_corrupt_copy_in_the_cache_is_downloaded_again(tmp_path, tiny_mnist, server, cache, monkeypatch):
    """The disk was full, the machine went down: no later load may fail for it."""
    from_server(monkeypatch, "mnist", server)
    load("mnist")
    (copy,) = cache.rglob("t10k-labels*")
    whole = copy.read_bytes()
    copy.write_bytes(whole[:20])
    with pytest.warns(UserWarning, match="t10k-labels.* is corrupt.*: it is deleted and downloaded again"):
        np.testing.assert_array_equal(load("mnist").y_test, tiny_mnist[3])
    assert copy.read_bytes() == whole


@pytest.mark.filterwarnings("ignore:.*is deleted and downloaded again")
def test_corrupt_copy_without_a_network_says_what_to_do(tmp_path, tiny_mnist, server, cache, monkeypatch):
    from_server(monkeypatch, "mnist", server)
    load("mnist")
    (copy,) = cache.rglob("t10k-labels*")
    copy.write_bytes(b"")
    (tmp_path / "mnist" / copy.name).unlink()
    with pytest.raises(DatasetNotFoundError, match="t10k-labels.* not found.*Two ways to get it"):
        load("mnist")


def test_corrupt_file_in_a_folder_names_the_remedy(tmp_path, tiny_mnist):
    (tmp_path / "mnist" / "t10k-images-idx3-ubyte.gz").write_bytes(b"")
    with pytest.raises(DatasetCorruptError, match="t10k-images.*Delete it and put the published file, from https:"):
        load("mnist", data_dir=tmp_path)


def test_a_good_download_is_read_once(tmp_path, tiny_mnist, server, cache, monkeypatch):
    from_server(monkeypatch, "mnist", server)
    read, unpacked = [], datasets.unpacked
    monkeypatch.setattr(datasets, "unpacked", lambda path, limit: read.append(path) or unpacked(path, limit))
    load("mnist")
    assert len(read) == 4


# --- hostile files


def published_as(monkeypatch, tmp_path, filename, content):
    """A file with another content, and its hash in the table."""
    info = DATASETS["mnist"]
    (tmp_path / "mnist" / filename).write_bytes(gzip.compress(content))
    sha256 = {**info.sha256, filename: hashlib.sha256(content).hexdigest()}
    monkeypatch.setitem(DATASETS, "mnist", replace(info, sha256=sha256))


def header(*shape, kind=8):
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape), *shape)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        header(3, 28)[:-1],
        header(3, 28, 28),
        header(2**32 - 1, 28, 28) + bytes(2352),
        header(0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF) + bytes(2352),
        header(3, 56, 14) + bytes(2352),
        header(3, 784) + bytes(2352),
        header(3, 28, 28, kind=13) + bytes(4 * 2352),
        header(3, 28, 28) + bytes(2353),
        header(2, 28, 28) + bytes(1568),
    ],
)
def test_hostile_idx_files_are_refused(tmp_path, tiny_mnist, monkeypatch, content):
    """Behind a hash that is right: what the format declares is compared with what there is."""
    published_as(monkeypatch, tmp_path, "t10k-images-idx3-ubyte.gz", content)
    with pytest.raises(DatasetCorruptError, match="(t10k-images-idx3-ubyte.gz|mnist) is corrupt"):
        load("mnist", data_dir=tmp_path)


def test_labels_of_no_class_are_refused(tmp_path, tiny_mnist, monkeypatch):
    published_as(monkeypatch, tmp_path, "t10k-labels-idx1-ubyte.gz", header(3) + bytes([1, 2, 10]))
    with pytest.raises(DatasetCorruptError, match="mnist is corrupt: 3 test images, 3 labels, the largest 10"):
        load("mnist", data_dir=tmp_path)


def test_gzip_bombs_are_not_unpacked(tmp_path, tiny_mnist):
    """1 GiB in 1 MiB: no more is unpacked than is published."""
    path = tmp_path / "mnist" / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(bytes(1 << 24), 9) * 64)
    tracemalloc.start()
    try:
        with pytest.raises(DatasetCorruptError, match="it has more than the 10008 bytes that are published"):
            load("mnist", data_dir=tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_unpacked_batches_are_read_no_further_than_they_should_reach(tmp_path, tiny_cifar10):
    for batch in datasets.CIFAR10_BATCHES:
        (tmp_path / "cifar10" / batch).touch()
    os.truncate(tmp_path / "cifar10" / "data_batch_1.bin", 1 << 32)  # a hole: it takes no room on disk
    with pytest.raises(DatasetCorruptError, match="data_batch_1.bin is corrupt: 6147 bytes, expected 6146.*Delete it"):
        load("cifar10", data_dir=tmp_path)


def test_archive_without_a_batch_is_refused(tmp_path, tiny_cifar10, monkeypatch):
    buffer = io.BytesIO()
    tarfile.open(fileobj=buffer, mode="w:gz").close()
    (tmp_path / "cifar10" / CIFAR10).write_bytes(buffer.getvalue())
    sha256 = {CIFAR10: hashlib.sha256(buffer.getvalue()).hexdigest()}
    monkeypatch.setitem(DATASETS, "cifar10", replace(DATASETS["cifar10"], sha256=sha256))
    with pytest.raises(DatasetCorruptError, match="cifar-10-binary.tar.gz is corrupt: .*data_batch_1.bin"):
        load("cifar10", data_dir=tmp_path)


# --- the table


@pytest.mark.parametrize("name", DATASETS)
def test_table_says_what_the_files_hold(name):
    info = DATASETS[name]
    if info.url and not (Path(DATA) / name).is_dir():
        pytest.skip(f"$BIONEURO_DATA/{name}/ is not there")
    data = load(name, data_dir=DATA or None)
    assert (data.image_shape, len(data.class_names)) == (info.image_shape, info.n_classes)
    assert (len(data.X_train), len(data.X_test)) == (info.n_train, info.n_test)
    assert set(np.unique(data.y_train)) == set(range(info.n_classes))


@pytest.mark.parametrize("name", USUAL)
def test_usual_sizes_and_budgets_fit_the_data(name):
    info, usual = DATASETS[name], USUAL[name]
    assert info.usual is usual
    for budgets in (usual.budgets("linf"), usual.budgets("l2"), usual.linf_compared):
        assert all(0 < a < b for a, b in zip(budgets, budgets[1:], strict=False))
    assert max(usual.linf) <= 1
    assert usual.n_train_quick <= (usual.n_train or info.n_train) <= info.n_train


# --- balanced subsets


def test_subset_is_balanced_paired_and_without_repeats():
    y = np.repeat(["a", "b", "c"], [10, 20, 30])
    X = np.arange(60)
    X_subset, y_subset = subset_per_class(X, y, 4, random_state=7)
    assert {label: int((y_subset == label).sum()) for label in "abc"} == {"a": 4, "b": 4, "c": 4}
    assert len(set(X_subset)) == 12
    np.testing.assert_array_equal(y[X_subset], y_subset)


def test_subset_is_nested_and_seeded():
    y = np.repeat([0, 1], 50)
    X = np.arange(100)
    large, small = (subset_per_class(X, y, k, random_state=3)[0] for k in (20, 5))
    np.testing.assert_array_equal(large[:10], small)
    assert not np.array_equal(large, subset_per_class(X, y, 20, random_state=4)[0])


def test_subset_errors():
    y = np.array([0, 0, 0, 1])
    with pytest.raises(ValueError, match="class 1 has 1 samples, fewer than n_per_class=2"):
        subset_per_class(np.zeros((4, 2)), y, 2)
    with pytest.raises(ValueError, match="n_per_class must be an integer >= 1, got 0"):
        subset_per_class(np.zeros((4, 2)), y, 0)
    with pytest.raises(ValueError, match="y must not have masked values"):
        subset_per_class(np.zeros((4, 2)), np.ma.masked_equal(y, 1), 1)
    with pytest.raises(ValueError, match=r"but y\[1\] is nan"):
        subset_per_class(np.zeros((4, 2)), [0, np.nan, 0, 0], 1)
    with pytest.raises(ValueError, match=r"shapes \(3, 2\) and \(4,\)"):
        subset_per_class(np.zeros((3, 2)), y, 1)
