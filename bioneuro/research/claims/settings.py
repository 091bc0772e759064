"""Settings of a claim, and the images that it runs on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...datasets import Dataset
from ..trial import stratified

#: Parameters of the same network with all the synapses it could have.
DENSE: dict[str, Any] = {"turnover__birth": 0.0, "turnover__death": 0.0}
#: The rule that the network had before, with every synapse.
FORMER: dict[str, Any] = {"rule": "log-relaxation", **DENSE}


@dataclass(frozen=True)
class Settings:
    """How much is done. Sizes are cut to what the data set has (:meth:`fitted_to`).

    Parameters
    ----------
    n_train, n_validation, n_test : int >= 1
        Images; those of validation are training images that nothing learns from.
    n_cells : int >= 1
        Association cells at most.
    changed : dict
        Other parameters of :class:`bioneuro.BioClassifier` that differ from its defaults, such as ``rule``.
    mlp_epochs : int or "auto"
        Of the multilayer perceptron beside it.
    image_shape : "auto" or tuple of int
        Of the images; that of the data set once fitted to it.
    """

    n_train: int = 20_000
    n_validation: int = 2_000
    n_test: int = 10_000
    n_cells: int = 3000
    changed: dict[str, Any] = field(default_factory=dict)
    mlp_epochs: int | Literal["auto"] = "auto"
    image_shape: tuple[int, ...] | str = "auto"

    def fitted_to(self, data: Dataset, n_train: int | None = None) -> Settings:
        """The same within the images of ``data``, and their shape; validation takes at most a fifth of them."""
        n_validation = min(self.n_validation, len(data.X_train) // 5)
        n_train = min(n_train or self.n_train, len(data.X_train) - n_validation)
        return replace(
            self,
            n_train=n_train,
            n_validation=n_validation,
            n_test=min(self.n_test, len(data.X_test)),
            image_shape=data.image_shape,
        )

    def encoder(self, seed: int, **parameters: Any) -> dict[str, Any]:
        """Parameters of a :class:`bioneuro.BioClassifier` that learns features only."""
        return {"image_shape": self.image_shape, "random_state": seed, **parameters}

    def network(self, seed: int, **parameters: Any) -> dict[str, Any]:
        """Parameters of a :class:`bioneuro.BioClassifier`: its defaults except for what is ``changed``."""
        return {**self.encoder(seed), "n_cells": self.n_cells, **self.changed, **parameters}


#: What keeps learning short.
BRIEF: dict[str, Any] = {"mixing": 400, "schedule__teaching_epochs": 3, "schedule__readout_epochs": 10}
SMALL: dict[str, Any] = {"n_train": 200, "n_validation": 100, "n_test": 200, "changed": BRIEF, "mlp_epochs": 30}


class Images(NamedTuple):
    """``X (n, n_features)`` and labels ``y (n,)``."""

    X: NDArray
    y: NDArray


class Split(NamedTuple):
    """The images of one seed; no two parts share one."""

    train: Images
    validation: Images
    test: Images


def split_images(data: Dataset, settings: Settings, seed: int) -> Split:
    """Training and validation images in which every class keeps its share, and random test images."""
    rows = stratified(data.y_train, settings.n_train + settings.n_validation, seed)
    held_out = rows[stratified(data.y_train[rows], settings.n_validation, seed)]
    train = np.setdiff1d(rows, held_out)
    test = np.random.default_rng(seed).permutation(len(data.y_test))[: settings.n_test]
    return Split(
        Images(data.X_train[train], data.y_train[train]),
        Images(data.X_train[held_out], data.y_train[held_out]),
        Images(data.X_test[test], data.y_test[test]),
    )
