"""Omniglot (Lake, Salakhutdinov & Tenenbaum 2015): handwritten characters, 20 drawers of each.

Two things are read, straight from the published archives: the background set of five alphabets (the "minimal" split,
``images_background_small1.zip``) and the official one-shot task (``all_runs.zip``): 20 runs of 20 characters of one
alphabet, one image of each by one drawer to learn from and one by another to classify.

They are looked for in ``$BIONEURO_DATA/omniglot/`` (or ``data_dir``), or downloaded once with pooch.
"""

from __future__ import annotations

import io
import os
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .dataset_files import DatasetCorruptError, check_sha256, folder_of, obtain, reading
from .extras import wanted

__all__ = ["Characters", "OneShotRun", "background", "one_shot_runs", "resize"]

URL = "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/"
#: Path below `URL` and SHA-256 of each archive.
ARCHIVES = {
    "images_background_small1.zip": (
        "images_background_small1.zip",
        "f38eb80f801274ac2b4dff5b24289016bfaba4a7d5bb50deebf27104ad6cb8a4",
    ),
    "all_runs.zip": (
        "one-shot-classification/all_runs.zip",
        "437c1eeab0af8484112e1b4cc0f3d541ec727f7c47b9b202da738af9dfd6c325",
    ),
}
#: Side of the drawings in pixels.
SIDE = 105
#: What a file of the archives may unpack to, and how many times the size of the archive all of them together: drawings
#: are a few hundred bytes, compressed before they were archived.
LARGEST_FILE, LARGEST_EXPANSION = 1 << 16, 10


@dataclass(frozen=True, eq=False, repr=False)
class Characters:
    """Drawings of characters.

    Attributes
    ----------
    images : ndarray of shape (n, 105, 105), bool
        Ink is True.
    labels : ndarray of shape (n,), int64
        Character, an index of ``names``.
    alphabets : ndarray of shape (n,), str
    drawers : ndarray of shape (n,), int64
        1 to 20; within an alphabet a number is one person.
    names : tuple of str
        ``"Alphabet/characterNN"`` of each label.
    """

    images: NDArray[np.bool_]
    labels: NDArray[np.int64]
    alphabets: NDArray[np.str_]
    drawers: NDArray[np.int64]
    names: tuple[str, ...]

    def __repr__(self) -> str:
        alphabets = ", ".join(np.unique(self.alphabets))
        return f"Characters({len(self.images)} drawings of {len(self.names)} characters: {alphabets})"

    def at(self, image_shape: tuple[int, int]) -> NDArray[np.float32]:
        """The drawings at another size: `resize`."""
        return resize(self.images, image_shape)


@dataclass(frozen=True, eq=False, repr=False)
class OneShotRun:
    """One run of a one-shot task: to each test image belongs exactly one of the training images.

    Attributes
    ----------
    number : int
    train, test : ndarray of shape (n, height, width), bool
        Ink is True; one training image a class.
    answers : ndarray of shape (n_test,), int64
        Number of the training image of the class of each test image.
    """

    number: int
    train: NDArray[np.bool_]
    test: NDArray[np.bool_]
    answers: NDArray[np.int64]

    def __repr__(self) -> str:
        return f"OneShotRun(number={self.number}, {len(self.train)} classes, {len(self.test)} test images)"


def background(data_dir: str | os.PathLike[str] | None = None) -> Characters:
    """The five background alphabets of the minimal split: 136 characters, 20 drawings of each.

    Parameters
    ----------
    data_dir : path-like, optional
        Folder that holds ``omniglot/``; default ``$BIONEURO_DATA``, and a download where neither is given.

    Returns
    -------
    Characters

    Raises
    ------
    DatasetNotFoundError, DatasetCorruptError
        As for :func:`bioneuro.datasets.load`.
    ImportError
        Without Pillow, which decodes the images.
    """
    content = _archive("images_background_small1.zip", data_dir)
    with reading("images_background_small1.zip"):
        paths = sorted(path for path in content if path.endswith(".png"))
        parts = [path.split("/") for path in paths]  # images_background_small1/Greek/character01/0394_01.png
        names, labels = np.unique([f"{part[1]}/{part[2]}" for part in parts], return_inverse=True)
        return Characters(
            np.stack([_ink(content, path) for path in paths]),
            labels.astype(np.int64),
            np.array([part[1] for part in parts]),
            np.array([int(part[3][-6:-4]) for part in parts]),
            tuple(names.tolist()),
        )


def one_shot_runs(data_dir: str | os.PathLike[str] | None = None) -> list[OneShotRun]:
    """The official one-shot task: 20 runs, 20-way, within an alphabet, one drawer learned and another one classified.

    Parameters
    ----------
    data_dir : path, optional
        As of :func:`background`, and so are the errors.

    Returns
    -------
    list of OneShotRun
    """
    content = _archive("all_runs.zip", data_dir)
    with reading("all_runs.zip"):
        return [_run(content, folder) for folder in sorted({path.split("/")[0] for path in content})]


def _run(content: dict[str, bytes], folder: str) -> OneShotRun:
    pairs = [line.split() for line in content[f"{folder}/class_labels.txt"].decode().splitlines() if line.strip()]
    train = sorted(path for path in content if path.startswith(f"{folder}/training/") and path.endswith(".png"))
    return OneShotRun(
        int(folder.removeprefix("run")),
        np.stack([_ink(content, path) for path in train]),
        np.stack([_ink(content, test) for test, _ in pairs]),
        np.array([train.index(answer) for _, answer in pairs], dtype=np.int64),
    )


def resize(images: NDArray, image_shape: tuple[int, int]) -> NDArray[np.float32]:
    """Averages over the areas of the new pixels, exactly, whatever the two sizes.

    Parameters
    ----------
    images : ndarray of shape (n, height, width)
    image_shape : (height, width)
        The new one, each >= 1.

    Returns
    -------
    ndarray of shape (n, features), float32
        An image a row, in C order; values in [0, 1] where those of ``images`` are.
    """
    if len(image_shape) != 2 or min(image_shape) < 1:
        raise ValueError(f"image_shape must be (height, width), each at least 1, got {image_shape}")
    if np.ma.is_masked(images):
        raise ValueError("images must not be masked")
    images = np.asarray(images)
    if images.ndim != 3:
        raise ValueError(f"images must have shape (n, height, width), got {images.shape}")
    if images.shape[1:] == tuple(image_shape):
        return images.reshape(len(images), -1).astype(np.float32)
    rows, cols = (_areas(old, new) for old, new in zip(images.shape[1:], image_shape, strict=True))
    resized = np.clip(rows @ images.astype(np.float32) @ cols.T, images.min(initial=0), images.max(initial=1))
    return np.ascontiguousarray(resized.reshape(len(images), -1))


def _areas(old: int, new: int) -> NDArray[np.float32]:
    """Share of each of the ``old`` pixels of a line in each of the ``new`` ones, rows of sum 1."""
    edges = np.arange(new + 1) * old / new
    pixel = np.arange(old)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return (overlap.clip(0) * new / old).astype(np.float32)


def _archive(filename: str, data_dir: str | os.PathLike[str] | None) -> dict[str, bytes]:
    """Content of every file of a published archive, by path; nothing is unpacked on disk."""
    remote, sha256 = ARCHIVES[filename]

    def read(path: Path, _: str) -> dict[str, bytes]:
        archived = path.read_bytes()
        check_sha256(archived, sha256, path)
        with reading(path), zipfile.ZipFile(io.BytesIO(archived)) as archive:
            files = [info for info in archive.infolist() if not info.is_dir()]
            sizes = [info.file_size for info in files]
            if max(sizes, default=0) > LARGEST_FILE or sum(sizes) > LARGEST_EXPANSION * len(archived):
                raise DatasetCorruptError(f"{path} is corrupt: it unpacks to {sum(sizes)} bytes")
            return {info.filename: archive.read(info) for info in files}

    url = URL + remote.removesuffix(filename)
    (content,) = obtain("omniglot", folder_of("omniglot", data_dir), [filename], url, read)
    return content


def _ink(content: dict[str, bytes], path: str) -> NDArray[np.bool_]:
    """The drawing in a PNG file: True where it is black."""
    Image = wanted("PIL.Image", "the images of Omniglot need Pillow", "data")
    # Without a format, Pillow would try every one it knows, and PostScript is run as a program.
    with reading(path), Image.open(io.BytesIO(content[path]), formats=["PNG"]) as image:
        if image.size != (SIDE, SIDE):  # before anything of that size is made
            raise DatasetCorruptError(f"{path} of Omniglot has shape {image.size[::-1]}, expected {(SIDE, SIDE)}")
        return ~np.asarray(image.convert("1"))
