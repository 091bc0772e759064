"""Image data sets as plain arrays, checked byte for byte, with or without a network.

``load(name)`` reads ``$BIONEURO_DATA/<name>/`` when that variable (or ``data_dir``) is set, and then never
touches the network; otherwise it downloads once with pooch into the user's cache. Either way the content is
compared with a SHA-256 known in advance before any array is built, and a download that fails the check is
never left on disk.

A new data set is one entry of :data:`DATASETS`: the command line offers it from then on.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import omniglot
from ._image_files import as_unit_interval, cifar_records, idx, idx_size
from .checks import check_count, check_labels, plain_array
from .dataset_files import (
    DatasetCorruptError,
    DatasetNotFoundError,
    check_sha256,
    folder_of,
    naming_the_remedy,
    obtain,
    reading,
    unpacked,
)
from .seeds import generator_from

__all__ = [
    "DATASETS",
    "USUAL",
    "Dataset",
    "DatasetCorruptError",
    "DatasetInfo",
    "DatasetNotFoundError",
    "Usual",
    "load",
    "subset_per_class",
]

DIGITS_SPLIT_SEED = 0
"""Seed of the fixed train / test split of ``digits``: part of the data set's definition, never to change."""


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


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """All there is to know of a data set without its images: an entry of :data:`DATASETS`.

    Attributes
    ----------
    read : function of (info, name, folder)
        Gives the :class:`Dataset`; a ``folder`` of None stands for pooch's cache.
    image_shape : tuple of int
        ``(height, width)`` or ``(height, width, channels)``.
    n_classes : int
    n_train, n_test : int
        Images of each part.
    class_names : tuple of str
        Empty where only the files say them.
    url : str
        Where the files are published.
    sha256 : mapping of str to str
        By file: the hash of what it unpacks to (IDX), or of the archive.
    usual : Usual or None
        How much of it experiments use; None: they do not know it.
    """

    read: Callable[[DatasetInfo, str, Path | None], Dataset]
    image_shape: tuple[int, ...]
    n_classes: int
    n_train: int
    n_test: int
    class_names: tuple[str, ...] = ()
    url: str = ""
    sha256: Mapping[str, str] = field(default_factory=dict)
    usual: Usual | None = None


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
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}; choose one of {', '.join(DATASETS)}")
    info = DATASETS[name]
    return replace(info.read(info, name, folder_of(name, data_dir)), name=name)


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
        ``n_per_class`` is no integer >= 1, lengths differ, something is masked, a label is missing, or a class has too
        few samples (named with its count).
    """
    check_count("n_per_class", n_per_class)
    check_labels(y)
    X, y = plain_array(X, "X"), plain_array(y, "y")
    if y.ndim != 1 or len(X) != len(y):
        raise ValueError(f"y must be one label for each row of X; got shapes {X.shape} and {y.shape}")
    classes, counts = np.unique(y, return_counts=True)
    for label, count in zip(classes, counts, strict=True):
        if count < n_per_class:
            raise ValueError(f"class {label} has {count} samples, fewer than n_per_class={n_per_class}")
    rng = generator_from(random_state)
    # The whole class is permuted whatever n_per_class is: this is what makes the draws nested.
    drawn = np.stack([rng.permutation(np.flatnonzero(y == label))[:n_per_class] for label in classes])
    rows = drawn.T.ravel()
    return X[rows], y[rows]


# --- readers


def _read_digits(info: DatasetInfo, name: str, folder: Path | None) -> Dataset:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        np.float32(X / 16), np.int64(y), test_size=info.n_test, stratify=y, random_state=DIGITS_SPLIT_SEED
    )
    return Dataset(X_train, y_train, X_test, y_test, info.image_shape, info.class_names)


def _read_idx(info: DatasetInfo, name: str, folder: Path | None) -> Dataset:
    """From four files: training images and labels, test images and labels.

    Hashes are those of what the files *unpack* to: the gzip archives differ between mirrors, their content does not.
    """
    files = list(info.sha256)

    def read(path: Path, filename: str) -> NDArray[np.uint8]:
        n = info.n_train if filename in files[:2] else info.n_test
        item = info.image_shape if filename in files[::2] else ()
        content = unpacked(path, idx_size(n, *item))
        check_sha256(content, info.sha256[filename], path)
        return idx(content, path, *item)

    train_X, train_y, test_X, test_y = obtain(name, folder, files, info.url, read)
    for X, y, kind in (train_X, train_y, "training"), (test_X, test_y, "test"):
        if len(X) != len(y) or y.max(initial=0) >= info.n_classes:
            raise DatasetCorruptError(
                f"{name} is corrupt: {len(X)} {kind} images, {len(y)} labels, the largest {y.max(initial=0)}"
            )
    return Dataset(
        as_unit_interval(train_X),
        train_y.astype(np.int64),
        as_unit_interval(test_X),
        test_y.astype(np.int64),
        info.image_shape,
        info.class_names,
    )


CIFAR10_FOLDER = "cifar-10-batches-bin"
CIFAR10_BATCHES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")


def _read_cifar10(info: DatasetInfo, name: str, folder: Path | None) -> Dataset:
    """From the archive of six batches, or from these unpacked, of which no hash is published."""
    n = info.n_test
    size = n * (1 + int(np.prod(info.image_shape)))

    def read(path: Path, filename: str) -> dict[Path, bytes]:
        archived = path.read_bytes()
        check_sha256(archived, info.sha256[filename], path)
        with reading(path), tarfile.open(fileobj=io.BytesIO(archived)) as archive:  # nothing is unpacked on disk
            members = {batch: archive.extractfile(f"{CIFAR10_FOLDER}/{batch}") for batch in CIFAR10_BATCHES}
            return {path / batch: member.read(size + 1) for batch, member in members.items() if member is not None}

    batches = _unpacked_cifar10(folder, size)
    if batches is None:
        (batches,) = obtain(name, folder, list(info.sha256), info.url, read)
    with naming_the_remedy(info.url):
        parts = [cifar_records(content, path, n, info.image_shape, info.n_classes) for path, content in batches.items()]
    if len(parts) != len(CIFAR10_BATCHES):
        raise DatasetCorruptError(f"{name} is corrupt: {len(parts)} batches, expected {len(CIFAR10_BATCHES)}")
    images = [as_unit_interval(X) for X, _ in parts]
    labels = [y.astype(np.int64) for _, y in parts]
    train = np.concatenate(images[:-1]), np.concatenate(labels[:-1])
    return Dataset(*train, images[-1], labels[-1], info.image_shape, info.class_names)


def _unpacked_cifar10(folder: Path | None, size: int) -> dict[Path, bytes] | None:
    """The six batches, of ``size`` bytes each, if all lie in `folder` or in its ``cifar-10-batches-bin``."""
    for place in [] if folder is None else [folder, folder / CIFAR10_FOLDER]:
        paths = [place / batch for batch in CIFAR10_BATCHES]
        if all(path.is_file() for path in paths):
            return {path: _beginning(path, size + 1) for path in paths}
    return None


def _beginning(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


#: Drawers whose drawings of Omniglot are kept for testing.
TEST_DRAWERS = range(16, 21)


def _read_omniglot(info: DatasetInfo, name: str, folder: Path | None) -> Dataset:
    """The background set: 28 x 28, ink 1, drawers 1 to 15 train and 16 to 20 test.

    Omniglot has no published split of that kind: this one is ours, and its figures compare with nothing else.
    """
    characters = omniglot.background(None if folder is None else folder.parent)
    height, width = info.image_shape
    X, test = characters.at((height, width)), np.isin(characters.drawers, TEST_DRAWERS)
    y = characters.labels
    return Dataset(X[~test], y[~test], X[test], y[test], info.image_shape, characters.names)


# --- the table

#: Every data set by name. A new one is one entry.
DATASETS: dict[str, DatasetInfo] = {
    "digits": DatasetInfo(
        read=_read_digits,
        image_shape=(8, 8),
        n_classes=10,
        n_train=1_297,
        n_test=500,
        class_names=tuple("0123456789"),
        usual=Usual(
            n_train=None,
            n_train_quick=400,
            linf=(0.05, 0.1, 0.2),
            l2=(0.25, 0.5, 1.0),
            linf_compared=(0.05, 0.1, 0.2),
            pgd_steps=10,
            n_cells=300,
        ),
    ),
    "mnist": DatasetInfo(
        read=_read_idx,
        image_shape=(28, 28),
        n_classes=10,
        n_train=60_000,
        n_test=10_000,
        class_names=tuple("0123456789"),
        url="https://ossci-datasets.s3.amazonaws.com/mnist/",
        sha256={
            "train-images-idx3-ubyte.gz": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte.gz": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte.gz": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte.gz": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        usual=Usual(linf=(0.1, 0.2, 0.3), l2=(1.0, 1.5, 2.0), linf_compared=(0.1, 0.2, 0.3)),
    ),
    "fashion-mnist": DatasetInfo(
        read=_read_idx,
        image_shape=(28, 28),
        n_classes=10,
        n_train=60_000,
        n_test=10_000,
        class_names=(
            "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
        ),
        url="http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        sha256={
            "train-images-idx3-ubyte.gz": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels-idx1-ubyte.gz": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        usual=Usual(linf=(0.025, 0.05, 0.1), l2=(0.5, 1.0, 1.5), linf_compared=(0.05, 0.1)),
    ),
    "cifar10": DatasetInfo(
        read=_read_cifar10,
        image_shape=(32, 32, 3),
        n_classes=10,
        n_train=50_000,
        n_test=10_000,
        class_names=(
            "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
        ),
        url="https://www.cs.toronto.edu/~kriz/",
        sha256={"cifar-10-binary.tar.gz": "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"},
        usual=Usual(linf=(0.01, 0.02, 0.03), l2=(0.125, 0.25, 0.5), linf_compared=(0.01, 0.03)),
    ),
    "omniglot": DatasetInfo(
        read=_read_omniglot, image_shape=(28, 28), n_classes=136, n_train=2_040, n_test=680, url=omniglot.URL
    ),
}  # fmt: skip
#: By its former name, which programs from outside use.
_REGISTRY = DATASETS
#: Data sets that experiments know, with how much of each they use.
USUAL: dict[str, Usual] = {name: info.usual for name, info in DATASETS.items() if info.usual is not None}
