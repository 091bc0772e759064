"""Results of attacks on disk, one file for each attack and budget, so that an interrupted worst case goes on.

A file's key says what the result depends on: the samples attacked and their goals, the budget, every parameter of the
attack, and the model, known by what it answers. A result of something else is never taken for it. Nor is a file
believed: its images are measured against the budget and shown to the model once more.
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from hashlib import blake2b
from numbers import Number
from os import PathLike
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from ..atomic_write import write_atomically
from ..losses import LOSSES
from ..protocols import Classifier
from .adaptive import offered_surrogates
from .answers import logits, predict
from .base import Attack
from .goals import Goal
from .norms import NORMS, Norm, distances
from .sample_random import SampleRandom
from .spaces import attacked_gradient
from .survivors import broken_without_attack

__all__ = ["Cache"]

#: Of the files' layout and of what goes into a key; files of other versions are not read.
VERSION = 2
#: Bytes that a file may hold beyond those of its images.
MARGIN = 1 << 20
#: Samples whose gradients, and whose answers to noise of this strength, tell a model from others that agree on X.
N_PROBES, PROBE_NOISE = 16, 0.25
#: Samples given to a model at once: a constant, as rounding may depend on it.
BATCH = 256


class Cache:
    """Folder of results on one model and one set of samples.

    Parameters
    ----------
    folder : path
        Made if it is not there; other files in it are left alone.
    model : Classifier
    X : array of shape (N, features)
    y : array of shape (N,)
    batch_size : int
        Samples given to the model at once when kept images are shown to it again.

    Raises
    ------
    NotADirectoryError
        `folder` is a file.
    """

    def __init__(self, folder: str | PathLike[str], model: Classifier, X: NDArray, y: NDArray, batch_size: int) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(f"cache must be a folder, but {self.folder} is a file")
        self.folder.mkdir(parents=True, exist_ok=True)
        self._X, self._y, self._asked, self._batch_size = X, y, model, batch_size
        self._model = self._fingerprint(model)

    def key(self, attack: Attack, name: str, X: NDArray, goal: Goal, epsilon: float) -> dict[str, Any]:
        """What the result of `attack` on samples X depends on, in JSON types.

        Raises
        ------
        TypeError
            A parameter of the attack is of a kind that has no description.
        """
        target = [] if goal.target is None else [_plain(goal.target)]
        return {
            "version": VERSION,
            "attack": name,
            "parameters": self._described(attack, name),
            "epsilon": float(epsilon),
            "samples": _digest([X, _plain(goal.true), *target]),
            "model": self._model,
        }

    def result(
        self,
        name: str,
        attack: Attack,
        X: NDArray,
        goal: Goal,
        epsilon: float,
        run: Callable[[], tuple[NDArray, NDArray[np.bool_]]],
    ) -> tuple[NDArray, NDArray[np.bool_]]:
        """Images and success of an attack on samples X: from its file, or else from ``run()``, and stored."""
        key = self.key(attack, name, X, goal, epsilon)
        path = self._path(key)
        if path.exists():
            try:
                return self._checked(self._read(path, key, X), NORMS[attack.norm], X, goal, epsilon)
            except Exception as error:  # whatever is wrong with the file, the attack can be run again
                warnings.warn(
                    f"{path} is not a usable result ({type(error).__name__}: {error}); {name} at {epsilon:g} is run "
                    "again and the file replaced",
                    stacklevel=2,
                )
        images, success = run()
        self._store(path, key, images, success)
        return images, success

    def _read(self, path: Path, key: Mapping[str, Any], X: NDArray) -> tuple[NDArray, NDArray]:
        """What a file holds of the result with this key, as it is; memory stays bounded by what is expected."""
        with path.open("rb") as file:
            with ZipFile(file) as members:
                for member in members.infolist():
                    if member.file_size > X.nbytes + MARGIN:
                        raise ValueError(f"{member.filename} takes {member.file_size} bytes")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                found, images, success = (arrays[name] for name in ("key", "adversarial", "success"))
        if json.loads(bytes(found)) != dict(key):
            raise ValueError("it belongs to another model, attack or sample")
        return images, success

    def _checked(
        self, result: tuple[NDArray, NDArray], norm: Norm, X: NDArray, goal: Goal, epsilon: float
    ) -> tuple[NDArray, NDArray[np.bool_]]:
        """The result if it is one: images within the budget, and the success that the model, asked again, confirms."""
        images, success = result
        if images.shape != X.shape or images.dtype != X.dtype:
            raise ValueError(f"its images are {images.dtype} {images.shape}, not {X.dtype} {X.shape}")
        if success.shape != (len(X),) or success.dtype != bool:
            raise ValueError(f"its success is {success.dtype} {success.shape}, not bool {(len(X),)}")
        if not ((images >= 0) & (images <= 1)).all() or not (distances(norm, images, X) <= epsilon).all():
            raise ValueError(f"its images are not all in [0, 1] and within {epsilon:g} of the samples")
        confirmed = broken_without_attack(self._asked, images, goal, self._batch_size)
        wrong = np.flatnonzero(confirmed != success)
        if wrong.size:
            raise ValueError(f"what it says of {wrong.size} of {len(X)} samples, the model does not confirm")
        return images, success

    def _store(self, path: Path, key: Mapping[str, Any], images: NDArray, success: NDArray[np.bool_]) -> None:
        """Write a result in one step: it is there as a whole or not at all."""
        buffer = io.BytesIO()
        text = np.frombuffer(json.dumps(key).encode(), np.uint8)
        np.savez_compressed(buffer, key=text, adversarial=images, success=success)
        write_atomically(path, buffer.getvalue())

    def _path(self, key: Mapping[str, Any]) -> Path:
        digest = blake2b(json.dumps(key, sort_keys=True).encode(), digest_size=12).hexdigest()
        readable = "".join(letter if letter.isalnum() else "-" for letter in f"{key['attack']}-{key['epsilon']:g}")
        return self.folder / f"{readable}-{digest}.npz"

    # --- descriptions ---

    def _described(self, value: Any, where: str) -> Any:
        """A parameter in JSON types: attacks by their fields, models by their answers."""
        if value is None or isinstance(value, str | Number | np.generic):
            return repr(value.item() if isinstance(value, np.generic) else value)
        if isinstance(value, Attack):
            described = {f.name: self._described(getattr(value, f.name), f"{where}.{f.name}") for f in fields(value)}
            return {"attack": f"{type(value).__module__}.{type(value).__qualname__}", **described}
        if hasattr(value, "predict") and hasattr(value, "classes_"):
            return self._fingerprint(value)
        if isinstance(value, np.ndarray):
            return _digest([_plain(value)])
        if isinstance(value, Mapping):
            return {str(name): self._described(item, f"{where}[{name!r}]") for name, item in value.items()}
        if isinstance(value, Sequence):
            return [self._described(item, f"{where}[{i}]") for i, item in enumerate(value)]
        raise TypeError(
            f"{where} is a {type(value).__name__}, which the cache cannot describe; parameters of attacks must be "
            "numbers, strings, arrays, attacks, models or collections of these (or leave cache out)"
        )

    def _fingerprint(self, model: Classifier) -> dict[str, Any]:
        """A model by its answers: labels and logits on X, and around X those and gradients, its surrogates' too."""
        X, y = self._X[:N_PROBES], self._y[:N_PROBES]
        noise = PROBE_NOISE * (2 * SampleRandom(0, X).uniform(X.shape[1]) - 1)
        probes = np.clip(X + noise, 0, 1).astype(X.dtype)
        answers = [_plain(np.asarray(model.classes_))]
        for start in range(0, len(self._X), BATCH):
            answers += _answers(model, self._X[start : start + BATCH])
        answers += _answers(model, probes) + _gradients(model, probes, y)
        surrogates = {}
        for name, surrogate in offered_surrogates(model).items():
            surrogates[name] = _digest([*_answers(surrogate, probes), *_gradients(surrogate, probes, y)])
        return {"class": type(model).__qualname__, "answers": _digest(answers), "surrogates": surrogates}


def _answers(model: Classifier, X: NDArray) -> list[NDArray]:
    labels = [_plain(predict(model, X))]
    return [*labels, logits(model, X)] if hasattr(model, "decision_function") else labels


def _gradients(model: Any, X: NDArray, y: NDArray) -> list[NDArray]:
    """What gradient attacks follow, where the model has it."""
    if not hasattr(model, "input_gradient"):
        return []
    norms = ("linf", "l2")  # which differ behind a contrast response
    return [attacked_gradient(model, X, y, loss, norm) for norm in norms for loss in LOSSES]


def _plain(array: NDArray) -> NDArray:
    """Labels that are Python objects as text, other arrays as they are."""
    return array.astype(str) if array.dtype.hasobject else array


def _digest(arrays: list[NDArray]) -> str:
    found = blake2b(digest_size=16)
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
