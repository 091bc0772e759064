"""One seed of an experiment: its images, the same for every model, and the networks that several models share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from .. import datasets
from .errors import UserError

__all__ = ["Measure", "Trial", "seeing", "stratified", "validation_split"]


class Measure(NamedTuple):
    """One measured value of a model; see :class:`.records.ledger.Row`."""

    metric: str
    setting: str
    value: float
    note: str = ""


class Draw(Protocol):
    """What a trial needs of a plan."""

    @property
    def n_train(self) -> int: ...

    @property
    def n_attacked(self) -> int: ...


class Trainable(Protocol):
    """What a trial needs of a model: see `comparison.models.ComparedModel`."""

    @property
    def make(self) -> Callable[[int], Any]: ...

    @property
    def read(self) -> Callable[[Any], Any]: ...


P = TypeVar("P", bound=Draw)


class Trial(Generic[P]):
    """One seed: its images, the same for every model, and the networks that several models share."""

    def __init__(self, plan: P, data: datasets.Dataset, seed: int) -> None:
        self.plan, self.data, self.seed = plan, data, seed
        self._shared: dict[Any, Any] = {}
        train = stratified(data.y_train, plan.n_train, seed)
        self.train = data.X_train[train], data.y_train[train]
        attacked = np.random.default_rng(seed).permutation(len(data.y_test))[: plan.n_attacked]
        self.attacked = data.X_test[attacked], data.y_test[attacked]

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """What `compute` returns, computed at the first call with this key."""
        if key not in self._shared:
            self._shared[key] = compute()
        return self._shared[key]

    def network(self, model: Trainable, n_shot: int | None = None) -> Any:
        """The network as `model` reads it, trained on the training images or on `n_shot` images a class."""
        return model.read(self._trained(model, n_shot)[0])

    def seconds(self, model: Trainable) -> float:
        """Wall time that the training took."""
        return self._trained(model, None)[1]

    def _trained(self, model: Trainable, n_shot: int | None) -> tuple[Any, float]:
        def train() -> tuple[Any, float]:
            X, y = self.train
            if n_shot is not None:
                X, y = datasets.subset_per_class(self.data.X_train, self.data.y_train, n_shot, self.seed)
            start = time.perf_counter()
            network = seeing(model.make(self.seed), self.data.image_shape).fit(X, y)
            return network, time.perf_counter() - start

        return self.once((model.make, n_shot), train)


def seeing(network: Any, image_shape: tuple[int, ...]) -> Any:
    """The unfitted network, told the shape of the images if it has that parameter."""
    if "image_shape" in network.get_params():
        network.set_params(image_shape=image_shape)
    return network


def stratified(y: NDArray, n: int, seed: int) -> NDArray[np.intp]:
    """Rows of a random subset of `n` labels in which every class keeps its share, in random order."""
    shuffled = np.random.default_rng(seed).permutation(len(y))
    position = np.empty(len(y))
    for label in np.unique(y):
        members = shuffled[y[shuffled] == label]
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    rows = shuffled[np.argsort(position[shuffled], kind="stable")[:n]]
    if len(np.unique(y[rows])) < len(np.unique(y)):
        raise UserError(f"--n-train {n} leaves a class without an image; at least {len(np.unique(y))} are needed")
    return np.random.default_rng([seed, 1]).permutation(rows)


def validation_split(
    data: datasets.Dataset, n_train: int, n_validation: int, seed: int
) -> Iterator[tuple[NDArray, NDArray]]:
    """Images and labels to learn from, then those to choose by, all of the training set."""
    rows = stratified(data.y_train, n_train + n_validation, seed)
    for part in (rows[:n_train], rows[n_train:]):
        yield data.X_train[part], data.y_train[part]
