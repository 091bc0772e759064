"""Image data sets as plain arrays, checked byte for byte, with or without a network.

``load(name)`` reads ``$BIONEURO_DATA/<name>/`` when that variable (or ``data_dir``) is set, and then never
touches the network; otherwise it downloads once with pooch into the user's cache. Either way the content is
compared with a SHA-256 known in advance before any array is built, and a download that fails the check is
never left on disk.

A new data set is one loader class plus one line in ``_REGISTRY``.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Dataset", "DatasetCorruptError", "DatasetNotFoundError", "load", "subset_per_class"]

DIGITS_SPLIT_SEED = 0
"""Seed of the fixed train / test split of ``digits``: part of the data set's definition, never to change."""


class DatasetNotFoundError(FileNotFoundError):
    """The files of a data set are neither on disk nor to be had over the network."""


class DatasetCorruptError(ValueError):
    """A file was found, but its content is not the published one."""


@dataclass(frozen=True, eq=False, repr=False)
class Dataset:
    """A classification data set of images, already split.

    Attributes
    ----------
    X_train, X_test : ndarray of shape (n, features), float32, C-contiguous
        Intensities in [0, 1]; a row is an image in C order, ``row.reshape(image_shape)``.
    y_train, y_test : ndarray of shape (n,), int64
        Class indices, ``0 .. len(class_names) - 1``.
    image_shape : tuple of int
        ``(height, width)`` or ``(height, width, channels)``.
    class_names : tuple of str
        Name of each class index.
    name : str
        By which `load` knows it; "" if it does not.
    """

    X_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    X_test: NDArray[np.float32]
    y_test: NDArray[np.int64]
    image_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    name: str = ""

    def __repr__(self) -> str:
        return (
            f"Dataset(n_train={len(self.X_train)}, n_test={len(self.X_test)}, "
            f"image_shape={self.image_shape}, class_names={self.class_names})"
        )


def load(name: str, *, data_dir: str | os.PathLike[str] | None = None) -> Dataset:
    """Load a data set by name.

    Parameters
    ----------
    name : {"digits", "mnist", "fashion-mnist", "cifar10", "omniglot"}
        ``digits`` comes with scikit-learn (8 x 8; 1,297 training and 500 test images, a stratified split
        fixed by ``DIGITS_SPLIT_SEED``). The others keep their published split.
    data_dir : path-like, optional
        Folder that holds ``<name>/`` with the original files; default ``$BIONEURO_DATA``. When either is
        given, only that folder is read. When neither is, the files are downloaded once into pooch's cache.
        ``mnist`` and ``fashion-mnist`` need the four IDX files, gzipped or not; ``cifar10`` needs
        ``cifar-10-binary.tar.gz`` or its unpacked ``.bin`` batches (the binary version needs no pickle);
        ``omniglot`` needs ``images_background_small1.zip``, and its split is ours (`bioneuro.omniglot`).

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        Unknown name.
    DatasetNotFoundError
        Files missing; the message says which, where they were looked for, and how to get them.
    DatasetCorruptError
        A file does not hold the published content; the message names the file. For unpacked CIFAR-10 batches,
        of which no hash is published, size and label range are checked instead.
    """
    if name not in _REGISTRY:
        raise ValueError(f"unknown data set {name!r}; choose one of {', '.join(_REGISTRY)}")
    return replace(_REGISTRY[name](name, _folder(name, data_dir)), name=name)


def _folder(name: str, data_dir: str | os.PathLike[str] | None) -> Path | None:
    """Where the files of a data set must lie; None where they may be downloaded."""
    root = data_dir if data_dir is not None else os.environ.get("BIONEURO_DATA") or None
    return None if root is None else Path(root).expanduser() / name


def subset_per_class(
    X: ArrayLike, y: ArrayLike, n_per_class: int, random_state: int | np.random.Generator | None = 0
) -> tuple[NDArray, NDArray]:
    """Draw a balanced subset: ``n_per_class`` samples of each class, without replacement.

    Parameters
    ----------
    X : array-like of shape (n, ...)
    y : array-like of shape (n,)
        Labels of any sortable type.
    n_per_class : int >= 1
    random_state : int, Generator or None

    Returns
    -------
    X_subset, y_subset : ndarrays with ``n_per_class * n_classes`` rows
        Copies. The classes alternate, so for one integer seed the draw for k samples a class is the start of
        the draw for any larger number: low-data curves are nested.

    Raises
    ------
    ValueError
        ``n_per_class < 1``, lengths differ, or a class has too few samples (named with its count).
    """
    X, y = np.asarray(X), np.asarray(y)
    if n_per_class < 1:
        raise ValueError(f"n_per_class must be at least 1, got {n_per_class}")
    if y.ndim != 1 or len(X) != len(y):
        raise ValueError(f"y must be one label for each row of X; got shapes {X.shape} and {y.shape}")
    classes, counts = np.unique(y, return_counts=True)
    for label, count in zip(classes, counts, strict=True):
        if count < n_per_class:
            raise ValueError(f"class {label} has {count} samples, fewer than n_per_class={n_per_class}")
    rng = np.random.default_rng(random_state)
    # The whole class is permuted whatever n_per_class is: this is what makes the draws nested.
    drawn = np.stack([rng.permutation(np.flatnonzero(y == label))[:n_per_class] for label in classes])
    rows = drawn.T.ravel()
    return X[rows], y[rows]


# --- finding and checking


def _obtain(
    name: str,
    folder: Path | None,
    filenames: Sequence[str],
    url: str,
    read: Callable[[Path, str], Any],
) -> list[Any]:
    """The content of each file, from `folder` if given, else from pooch's cache, downloaded if need be.

    ``read(path, filename)`` verifies and returns the content; `path` may be a temporary or an unpacked file,
    `filename` is always the published name.
    """
    if folder is None:
        paths = [_download(name, filename, url, read) for filename in filenames]
    else:
        paths = _find(name, folder, filenames, url)
    return [read(path, filename) for path, filename in zip(paths, filenames, strict=True)]


def _find(name: str, folder: Path, filenames: Sequence[str], url: str) -> list[Path]:
    """Each file, or what it unpacks to (the name without .gz), in `folder`."""
    candidates = [(folder / filename, folder / filename.removesuffix(".gz")) for filename in filenames]
    paths = [next((path for path in pair if path.is_file()), None) for pair in candidates]
    missing = [filename for filename, path in zip(filenames, paths, strict=True) if path is None]
    if missing:
        raise DatasetNotFoundError(_how_to_get(name, missing, f"Looked in {folder}.", url))
    return [path for path in paths if path is not None]


def _download(name: str, filename: str, url: str, read: Callable[[Path, str], Any]) -> Path:
    """Path of the file in pooch's cache; downloaded and verified first if it is not there."""
    try:
        import pooch
    except ImportError as error:
        problem = "BIONEURO_DATA is not set and pooch is not installed."
        raise DatasetNotFoundError(_how_to_get(name, [filename], problem, url)) from error

    def download_and_verify(source: str, output: str, manager: Any) -> None:
        # pooch calls this on a temporary file, which reaches the cache only if nothing is raised here.
        pooch.HTTPDownloader()(source, output, manager)
        read(Path(output), filename)

    cache = pooch.create(path=pooch.os_cache("bioneuro") / name, base_url=url, registry={filename: None})
    try:
        return Path(cache.fetch(filename, downloader=download_and_verify))
    except OSError as error:
        problem = f"Looked in {cache.path}; the download from {url}{filename} failed ({error})."
        raise DatasetNotFoundError(_how_to_get(name, [filename], problem, url)) from error
    except DatasetCorruptError as error:
        raise DatasetCorruptError(f"download of {url}{filename} discarded: {error}") from error


def _how_to_get(name: str, missing: Sequence[str], problem: str, url: str) -> str:
    return (
        f"{name}: {', '.join(missing)} not found. {problem} Two ways to get it: (1) put the original files "
        f"from {url} into a folder {name}/ and set BIONEURO_DATA (or data_dir=) to its parent; "
        f'(2) unset BIONEURO_DATA, pip install "bioneuro[data]" (pooch) and let load({name!r}) download it.'
    )


def _check_sha256(content: bytes, expected: str, path: Path) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise DatasetCorruptError(
            f"{path} is corrupt or not the published file: content has SHA-256 {found}, expected {expected}"
        )


def _as_unit_interval(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.divide(pixels, 255, dtype=np.float32))


# --- loaders


class _Loader(Protocol):
    def __call__(self, name: str, folder: Path | None) -> Dataset: ...


def _load_omniglot(name: str, folder: Path | None) -> Dataset:
    from . import omniglot  # it reads by what is above

    return omniglot.load_split(name, folder)


def _load_digits(name: str, folder: Path | None) -> Dataset:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        np.float32(X / 16), np.int64(y), test_size=500, stratify=y, random_state=DIGITS_SPLIT_SEED
    )
    return Dataset(X_train, y_train, X_test, y_test, (8, 8), tuple("0123456789"))


@dataclass(frozen=True)
class _Idx:
    """Data sets in MNIST's IDX format (yann.lecun.com/exdb/mnist): a header, then one uint8 a value.

    `sha256` maps each of the four published files to the hash of what it *unpacks* to: the gzip archives
    differ between mirrors, their content does not. Order: training images and labels, test images and labels.
    """

    url: str
    class_names: tuple[str, ...]
    sha256: Mapping[str, str]
    image_shape: tuple[int, int] = (28, 28)

    IMAGE_HEADER = 16  # bytes: magic number, count, height, width
    LABEL_HEADER = 8  # bytes: magic number, count

    def __call__(self, name: str, folder: Path | None) -> Dataset:
        train_x, train_y, test_x, test_y = _obtain(name, folder, list(self.sha256), self.url, self._read)
        return Dataset(
            self._images(train_x),
            self._labels(train_y),
            self._images(test_x),
            self._labels(test_y),
            self.image_shape,
            self.class_names,
        )

    def _read(self, path: Path, filename: str) -> bytes:
        content = _unpack(path)
        _check_sha256(content, self.sha256[filename], path)
        return content

    def _images(self, content: bytes) -> NDArray[np.float32]:
        pixels = np.frombuffer(content, np.uint8, offset=self.IMAGE_HEADER)
        return _as_unit_interval(pixels.reshape(-1, self.image_shape[0] * self.image_shape[1]))

    def _labels(self, content: bytes) -> NDArray[np.int64]:
        return np.frombuffer(content, np.uint8, offset=self.LABEL_HEADER).astype(np.int64)


def _unpack(path: Path) -> bytes:
    """Content of a file, unpacked if gzipped (told by its magic number: a download has a temporary name)."""
    content = path.read_bytes()
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DatasetCorruptError(f"{path} is corrupt: {error}") from error


@dataclass(frozen=True)
class _Cifar10:
    """CIFAR-10, binary version (cs.toronto.edu/~kriz/cifar.html): records of a label, 3 colour planes."""

    url: str
    sha256: str
    """Of the archive as published."""
    images_per_batch: int = 10_000

    ARCHIVE = "cifar-10-binary.tar.gz"
    INNER_FOLDER = "cifar-10-batches-bin"
    BATCHES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
    IMAGE_SHAPE = (32, 32, 3)
    CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

    def __call__(self, name: str, folder: Path | None) -> Dataset:
        batches = self._read_unpacked(folder)
        if batches is None:
            (batches,) = _obtain(name, folder, [self.ARCHIVE], self.url, self._read_archive)
        *train, (X_test, y_test) = [self._decode(content, path) for path, content in batches.items()]
        X_train, y_train = (np.concatenate(parts) for parts in zip(*train, strict=True))
        return Dataset(X_train, y_train, X_test, y_test, self.IMAGE_SHAPE, self.CLASS_NAMES)

    def _read_unpacked(self, folder: Path | None) -> dict[Path, bytes] | None:
        """The six batches, if all lie in `folder` or in its ``cifar-10-batches-bin``."""
        for place in [] if folder is None else [folder, folder / self.INNER_FOLDER]:
            paths = [place / batch for batch in self.BATCHES]
            if all(path.is_file() for path in paths):
                return {path: path.read_bytes() for path in paths}
        return None

    def _read_archive(self, path: Path, filename: str) -> dict[Path, bytes]:
        """The six batches in the archive, read into memory: nothing is unpacked on disk."""
        archived = path.read_bytes()
        _check_sha256(archived, self.sha256, path)
        with tarfile.open(fileobj=io.BytesIO(archived)) as archive:
            contents = {b: archive.extractfile(f"{self.INNER_FOLDER}/{b}") for b in self.BATCHES}
            return {path / b: content.read() for b, content in contents.items() if content is not None}

    def _decode(self, content: bytes, path: Path) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        height, width, channels = self.IMAGE_SHAPE
        record = 1 + height * width * channels
        expected = self.images_per_batch * record
        if len(content) != expected:
            raise DatasetCorruptError(f"{path} is corrupt: {len(content)} bytes, expected {expected}")
        records = np.frombuffer(content, np.uint8).reshape(-1, record)
        labels, planes = records[:, 0], records[:, 1:].reshape(-1, channels, height, width)
        if labels.max() >= len(self.CLASS_NAMES):
            raise DatasetCorruptError(f"{path} is corrupt: label {labels.max()} at record {labels.argmax()}")
        # The file keeps the colours apart, (channel, row, column); image_shape is (row, column, channel).
        images = planes.transpose(0, 2, 3, 1).reshape(len(records), -1)
        return _as_unit_interval(images), labels.astype(np.int64)


_FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

_REGISTRY: dict[str, _Loader] = {
    "digits": _load_digits,
    "mnist": _Idx(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        tuple("0123456789"),
        {
            "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    "fashion-mnist": _Idx(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        _FASHION_CLASSES,
        {
            "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
    ),
    "cifar10": _Cifar10(
        "https://www.cs.toronto.edu/~kriz/",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    ),
    "omniglot": _load_omniglot,
}
