"""Image data sets as plain arrays, checked byte for byte, with or without a network.

``load(name)`` reads ``$BIONEURO_DATA/<name>/`` when that variable (or ``data_dir``) is set, and then never
touches the network; otherwise it downloads once with pooch into the user's cache. Either way the content is
compared with a SHA-256 known in advance before any array is built, and a download that fails the check is
never left on disk.

A new data set is one entry of `_REGISTRY`: its loader, and how much of it experiments use.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import omniglot
from .dataset_files import DatasetCorruptError, DatasetNotFoundError, check_sha256, folder_of, obtain, unpacked

__all__ = ["USUAL", "Dataset", "DatasetCorruptError", "DatasetNotFoundError", "Usual", "load", "subset_per_class"]

DIGITS_SPLIT_SEED = 0
"""Seed of the fixed train / test split of ``digits``: part of the data set's definition, never to change."""
OMNIGLOT_TEST_DRAWERS = range(16, 21)
"""Drawers of ``omniglot`` whose drawings are tested on: part of the data set's definition, never to change."""


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


@dataclass(frozen=True, kw_only=True)
class Usual:
    """How much of a data set experiments use unless they are told otherwise, so that their tables agree.

    Attributes
    ----------
    n_train : int or None
        Training images; None: all.
    n_train_quick : int
        The same for a quick look.
    linf, l2 : tuple of float
        Budgets of attacks, increasing, in units of the range [0, 1].
    linf_compared : tuple of float
        Those of ``python -m bioneuro compare``.
    pgd_steps : int
        Of its attack: on digits 40 steps leave at most two points less than 10.
    n_cells : int
        Budget of cells, and of stored samples, in streams of tasks.
    """

    n_train: int | None = 20_000
    n_train_quick: int = 2_000
    linf: tuple[float, ...]
    l2: tuple[float, ...]
    linf_compared: tuple[float, ...]
    pgd_steps: int = 20
    n_cells: int = 2000

    def budgets(self, norm: str) -> tuple[float, ...]:
        """Budgets of attacks in this norm, "linf" or "l2"."""
        return {"linf": self.linf, "l2": self.l2}[norm]


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
        ``omniglot`` needs ``images_background_small1.zip``, and its split is ours: drawers 1 to 15 train, 16
        to 20 test.

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
    return replace(_REGISTRY[name].load(name, folder_of(name, data_dir)), name=name)


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


def _as_unit_interval(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.ascontiguousarray(np.divide(pixels, 255, dtype=np.float32))


# --- loaders


class _Loader(Protocol):
    def __call__(self, name: str, folder: Path | None) -> Dataset: ...


def _load_omniglot(name: str, folder: Path | None) -> Dataset:
    """The background set, 28 x 28, ink 1, drawers 1 to 15 train and 16 to 20 test.

    Omniglot has no published split of that kind: this one is ours, and its figures compare with nothing else.
    """
    characters = omniglot.background(None if folder is None else folder.parent)
    shape = (28, 28)
    X, test = characters.at(shape), np.isin(characters.drawers, OMNIGLOT_TEST_DRAWERS)
    y = characters.labels
    return Dataset(X[~test], y[~test], X[test], y[test], shape, characters.names)


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
        train_x, train_y, test_x, test_y = obtain(name, folder, list(self.sha256), self.url, self._read)
        return Dataset(
            self._images(train_x),
            self._labels(train_y),
            self._images(test_x),
            self._labels(test_y),
            self.image_shape,
            self.class_names,
        )

    def _read(self, path: Path, filename: str) -> bytes:
        content = unpacked(path)
        check_sha256(content, self.sha256[filename], path)
        return content

    def _images(self, content: bytes) -> NDArray[np.float32]:
        pixels = np.frombuffer(content, np.uint8, offset=self.IMAGE_HEADER)
        return _as_unit_interval(pixels.reshape(-1, self.image_shape[0] * self.image_shape[1]))

    def _labels(self, content: bytes) -> NDArray[np.int64]:
        return np.frombuffer(content, np.uint8, offset=self.LABEL_HEADER).astype(np.int64)


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
            (batches,) = obtain(name, folder, [self.ARCHIVE], self.url, self._read_archive)
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
        check_sha256(archived, self.sha256, path)
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


class _Entry(NamedTuple):
    """A data set: its loader and, where experiments use it, how much of it."""

    load: _Loader
    usual: Usual | None = None


_REGISTRY: dict[str, _Entry] = {
    "digits": _Entry(
        _load_digits,
        Usual(
            n_train=None,
            n_train_quick=400,
            linf=(0.05, 0.1, 0.2),
            l2=(0.25, 0.5, 1.0),
            linf_compared=(0.05, 0.1, 0.2),
            pgd_steps=10,
            n_cells=300,
        ),
    ),
    "mnist": _Entry(
        _Idx(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            tuple("0123456789"),
            {
                "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            },
        ),
        Usual(linf=(0.1, 0.2, 0.3), l2=(1.0, 1.5, 2.0), linf_compared=(0.1, 0.2, 0.3)),
    ),
    "fashion-mnist": _Entry(
        _Idx(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            _FASHION_CLASSES,
            {
                "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
                "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
                "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
                "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
            },
        ),
        Usual(linf=(0.025, 0.05, 0.1), l2=(0.5, 1.0, 1.5), linf_compared=(0.05, 0.1)),
    ),
    "cifar10": _Entry(
        _Cifar10(
            "https://www.cs.toronto.edu/~kriz/",
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        ),
        Usual(linf=(0.01, 0.02, 0.03), l2=(0.125, 0.25, 0.5), linf_compared=(0.01, 0.03)),
    ),
    "omniglot": _Entry(_load_omniglot),
}

#: Data sets that experiments know, with how much of each they use.
USUAL: dict[str, Usual] = {name: entry.usual for name, entry in _REGISTRY.items() if entry.usual is not None}
