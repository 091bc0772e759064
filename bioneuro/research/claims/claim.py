"""What a claim is, and what several claims share: settings, images, verdicts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ... import analysis
from ...datasets import Dataset
from ..differences import MIN_SEEDS
from ..trial import stratified

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: ``progress(items, desc)`` iterates over the items and may show how far it is.
Progress = Callable[[Iterable[Any], str], Iterable[Any]]

STRONG, NOT_SHOWN = "strong", "not shown"
#: Largest loss of accuracy, as a share, that a property may cost.
TOLERATED_LOSS = 0.005
#: Parameters of the same network with all the synapses it could have.
DENSE: dict[str, Any] = {"turnover__birth": 0.0, "turnover__death": 0.0}
#: The rule that the network had before, with every synapse.
FORMER: dict[str, Any] = {"rule": "log-relaxation", **DENSE}


def weak(premise: str) -> str:
    """The form of a property that holds, but only because of the premise named."""
    return f"weak: follows from {premise}"


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


class Found(NamedTuple):
    """One measured value: ``condition`` names the network, ``x`` the value of what was varied (None: nothing)."""

    condition: str
    measure: str
    value: float
    x: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Verdict:
    """What the rows of a claim say.

    Parameters
    ----------
    form : str
        ``"strong"``, ``"weak: follows from ..."`` or ``"not shown"``.
    effect, low, high : float
        Mean effect over the seeds and its 95 % Student interval.
    passed : bool
        Whether every goal of the claim is reached, in whatever form.
    unit : str
        What the effect is.
    note : str
        The figures that decided.
    """

    form: str
    effect: float
    low: float
    high: float
    passed: bool
    unit: str
    note: str

    @classmethod
    def of(cls, values: NDArray, form: str, passed: bool, unit: str, note: str) -> Verdict:
        """With the interval of ``values``, one for each seed. Too few seeds show nothing, whatever they are."""
        interval = analysis.mean_interval(values)
        if interval.n < MIN_SEEDS:
            note = f"{interval.n} of the {MIN_SEEDS} seeds that a verdict needs; {note}"
            form, passed = NOT_SHOWN, False
        return cls(form, interval.mean, interval.low, interval.high, bool(passed), unit, note)


#: Settings of a claim.
S = TypeVar("S", bound=Settings)


class Claim(ABC, Generic[S]):
    """One claim about the network: what to run, and when the rows bear it out.

    Class attributes: ``number`` ("C1"), ``title`` (three words at most), ``statement`` (one sentence), ``x_name``
    (what ``x`` of the rows is), ``small`` and ``full`` (:class:`Settings`).
    """

    number: str
    title: str
    statement: str
    x_name: str = ""
    small: S
    full: S

    @abstractmethod
    def run(self, data: Dataset, seed: int, settings: S, progress: Progress) -> Iterator[Found]:
        """Everything measured at one seed."""

    @abstractmethod
    def verdict(self, frame: pd.DataFrame) -> Verdict:
        """What the rows of all seeds say (columns claim, condition, x, measure, value, seed, note)."""

    @abstractmethod
    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        """Draw the rows."""


def values_of(frame: pd.DataFrame, condition: str, measure: str, x: float | None = None) -> NDArray[np.float64]:
    """Values of one measure, one for each seed, in the order of the seeds."""
    rows = frame[(frame["condition"] == condition) & (frame["measure"] == measure)]
    if x is not None:
        rows = rows[np.isclose(rows["x"], x)]
    return rows.sort_values("seed")["value"].to_numpy(float)


def curve_of(frame: pd.DataFrame, condition: str, measure: str) -> pd.DataFrame:
    """One row for each value of x, one column for each seed."""
    rows = frame[(frame["condition"] == condition) & (frame["measure"] == measure)]
    return rows.pivot(index="x", columns="seed", values="value").sort_index()


def draw_mean(ax: Axes, curve: pd.DataFrame, **style: Any) -> None:
    """Mean over the seeds, with the band of the 95 % interval where there are two or more."""
    intervals = [analysis.mean_interval(row[np.isfinite(row)]) for row in curve.to_numpy()]
    (line,) = ax.plot(curve.index, [interval.mean for interval in intervals], **style)
    low, high = ([getattr(interval, side) for interval in intervals] for side in ("low", "high"))
    ax.fill_between(curve.index, low, high, color=line.get_color(), alpha=0.18, lw=0)
