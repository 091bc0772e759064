"""What parts ask of each other: structural types, nothing to inherit from.

A network is made of :class:`Layer`\\ s and :class:`Readout`\\ s of the last one; the cells of a layer of a
:class:`Competition`, a rule (:class:`bioneuro.rules.Rule`) and a :class:`Growth`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import DTypeLike, NDArray

from ..synapses import Synapses
from ..threads import Threads

__all__ = [
    "Competition", "CompetitionMaker", "Encoder", "GrowingCells", "Growth", "Layer", "Learned", "PlasticLayer",
    "Progress", "ReadCells", "Readout", "GradientSpace", "TakeOver", "is_like",
]  # fmt: skip

#: What a gradient is taken with respect to: the input itself, or the retina's response to it.
GradientSpace = Literal["image", "response"]

#: What a layer that does not learn in steps may learn from.
LEARNS_FROM = ("all", "batches", "rows")

#: Numbers of the cells that take over inputs, and of the rows of the batch that they take over, one for each.
TakeOver = tuple[NDArray[np.intp], NDArray[np.intp]]


class Learned(NamedTuple):
    """What a learning step did.

    Attributes
    ----------
    rates : ndarray, shape (batch, n_cells)
        That learned.
    alpha : ndarray, shape (n_cells,)
        How far each cell moved towards its target, from 0 to 1.
    excitation : ndarray, shape (batch, n_cells), or None
        Afferent drive of the cells by the batch after the step, where that is known without another product.
    """

    rates: NDArray
    alpha: NDArray
    excitation: NDArray | None = None


@runtime_checkable
class Encoder(Protocol):
    """Inputs to features. A network uses it as it is: how it learned does not matter.

    One for images also has a ``retina``, and is then asked for gradients with respect to the contrast response, by
    ``space="response"``.
    """

    @property
    def n_features(self) -> int:
        """Length of the feature vector."""
        ...

    def encode(self, X: NDArray) -> NDArray:
        """Features ``(n, n_features)`` of ``X (n, n_inputs)``."""
        ...

    def encode_grad(self, X: NDArray, dH: NDArray) -> NDArray:
        """Gradient of :meth:`encode`, ``(n, n_inputs)``, given that with respect to the features."""
        ...


@runtime_checkable
class Layer(Encoder, Protocol):
    """What a stack is made of (:class:`bioneuro.NetworkClassifier`): an encoder that says how many inputs it takes.

    It may also have:

    ``learn(X)`` or ``learn(X, T)``
        Learns from all that the layers below make of the samples, and from one-hot labels ``T (n, n_classes)`` if it
        takes them; also ``random_state`` (a Generator) and ``progress`` (wraps an iterable as ``tqdm`` does, with
        ``desc``), by these names. It is called once. A :class:`PlasticLayer` learns in steps instead.
    ``learns_from``
        ``"all"`` (if it does not say): ``learn`` is called once, with an array of all samples. ``"batches"``: it is
        called again and again, with 512 samples each time, so that no more need be in memory. ``"rows"``: it is called
        once, with rows that may be in a file: they have a length and a shape, and are read by a slice or by an array of
        their numbers.
    ``dtype``
        Of its features, which are float32 where it does not say.
    ``pathways()``
        Its :class:`bioneuro.Synapses` by name. ``presynaptic``, a dict of some of these names to populations, says who
        makes those that the layer below does not make.
    ``population``
        What its cells are called, where a stack does not give them a name of its own: its class in lower case
        otherwise. Names of its pathways begin with it; it is put before those that do not.
    ``n_classes``
        Labels that it can tell apart.
    :class:`ReadCells`
        If readouts shall see something else than :meth:`encode` gives.
    """

    @property
    def n_inputs(self) -> int:
        """Length of the vectors that it takes."""
        ...


def feature_dtype(layer: Any) -> np.dtype:
    """The ``dtype`` of a layer's features."""
    return np.dtype(getattr(layer, "dtype", np.float32))


@runtime_checkable
class PlasticLayer(Layer, Protocol):
    """A layer that learns in steps, each on a minibatch, and may go on learning for ever."""

    #: Steps so far.
    step: int

    def learn(self, X: NDArray) -> Any:
        """One step on a minibatch; ``learn(X, T)`` is given the labels, too."""
        ...

    def rewire(self) -> Any:
        """Structural plasticity, after every so many steps."""
        ...


@runtime_checkable
class Competition(Protocol):
    """Turns the excitation of cells into their rates. All arrays are ``(batch, n_cells)``.

    Made by a :class:`CompetitionMaker`. The layer gives the ``gain`` in units of the drive (``beta`` over its spread)
    and the homeostatic ``threshold (n_cells,)``. What the layer calls its drive is what :meth:`drive` makes of the
    afferent drive ``a``: either ``a`` itself, from which :meth:`rates` follow, or the drive that is left once cells
    have competed.
    """

    beta: float
    sharpening: float
    k: int | None
    #: Cells that compete with each other; None: all.
    n_rivals: int | None
    #: Added to the threshold of every cell.
    common_threshold: float
    #: Whether the rates are a softmax, so that a teacher can follow the gradient of the votes.
    taught: ClassVar[bool]
    #: Population that makes each of the pathways.
    presynaptic: ClassVar[dict[str, str]]

    def drive(self, a: NDArray, gain: float, threshold: NDArray) -> NDArray:
        """What rates and activity are computed from."""
        ...

    def drive_grad(self, drive: NDArray, da: NDArray, gain: float) -> NDArray:
        """Gradient with respect to the afferent drive, given that with respect to the drive."""
        ...

    def rates(self, drive: NDArray, gain: float, out: NDArray | None = None) -> NDArray:
        """Rates that vote; ``out`` may be the drive."""
        ...

    def rates_grad(self, Y: NDArray, dY: NDArray, gain: float) -> NDArray:
        """Gradient with respect to the drive, given the rates and that with respect to them."""
        ...

    def activity(self, drive: NDArray, gain: float) -> NDArray:
        """Smooth activity that readouts see, rows of unit norm or silent."""
        ...

    def activity_grad(self, drive: NDArray, dQ: NDArray, gain: float) -> NDArray:
        """Gradient of :meth:`activity` with respect to the drive."""
        ...

    def top_down(self, support: NDArray) -> NDArray:
        """Drive by the label, before its gain, of cells whose votes for it are ``support``; may replace these."""
        ...

    def compete(self, a: NDArray, gain: float, threshold: NDArray, speed: float) -> tuple[NDArray, NDArray | None]:
        """Rates that learn, whose sum over rivals is 1 (or 0), and the rates of inhibitory cells, if there are any.

        Both may take the place of ``a``. ``speed`` is the share of a running mean that this batch makes.
        """
        ...

    def learn(self, learned: Learned, inhibitory: NDArray | None) -> None:
        """Its own synapses follow what was learned, and the rates of inhibitory cells that :meth:`compete` gave."""
        ...

    def pathways(self) -> dict[str, Synapses]:
        """Its learned pathways by name."""
        ...


@runtime_checkable
class CompetitionMaker(Protocol):
    """Makes a :class:`Competition` of so many cells: its settings, or its class."""

    #: As of the competition that it makes.
    taught: ClassVar[bool]

    def __call__(self, n_cells: int, *, seed: int, dtype: DTypeLike, n_threads: Threads) -> Competition: ...


class GrowingCells(Protocol):
    """What growth may ask of the cells."""

    age: NDArray

    @property
    def owner(self) -> NDArray[np.intp]:
        """Label of each cell, -1 of a cell that never learned."""
        ...

    def match(self, a: NDArray) -> NDArray:
        """How well each cell matches each input, by its drive ``a``, both ``(batch, n_cells)``: 1 for the input that it
        took over."""
        ...

    def profile(self, H: NDArray) -> NDArray:
        """Inputs whose inner product is about the match of one by a cell that took over the other."""
        ...


class Growth(Protocol):
    """Which cells take over which inputs: before cells compete, and after."""

    def novel(self, cells: GrowingCells, H: NDArray, a: NDArray, T: NDArray) -> TakeOver:
        """Before: these cells will compete for the batch. ``H (batch, n_pre)``, which drives the cells by ``a (batch,
        n_cells)``, one-hot labels ``T``."""
        ...

    def worst_matched(self, rate: NDArray, match: NDArray) -> TakeOver:
        """After: these cells alone have these inputs. Mean rates ``rate (n_cells,)``, best matches ``(batch,)``."""
        ...


@runtime_checkable
class ReadCells(Protocol):
    """Cells that a readout can read. Of a layer without these methods, readouts see what it encodes
    (:class:`bioneuro.layers.PassedOn`)."""

    n_threads: Threads

    @property
    def n_cells(self) -> int:
        """Cells of the layer."""
        ...

    @property
    def dtype(self) -> np.dtype:
        """Of their rates."""
        ...

    def drive(self, H: NDArray) -> NDArray:
        """What everything else follows from, ``(batch, n_cells)``, of inputs ``H (batch, n_inputs)``."""
        ...

    def drive_grad(self, drive: NDArray, da: NDArray) -> NDArray:
        """Gradient of :meth:`drive` with respect to the input, given that with respect to the ``drive``."""
        ...

    def activity(self, drive: NDArray) -> NDArray:
        """Smooth activity from the drive, both ``(batch, n_cells)``."""
        ...

    def activity_grad(self, drive: NDArray, dQ: NDArray) -> NDArray:
        """Gradient of :meth:`activity` with respect to the drive."""
        ...


@runtime_checkable
class Readout(Protocol):
    """The drive of the last layer ``(batch, n_cells)`` to the logits of the classes ``(batch, n_classes)``."""

    #: The cells whose drive it reads (:class:`ReadCells`); may be replaced by others of the same number.
    association: Any

    @property
    def n_classes(self) -> int:
        """Logits that it makes of each sample."""
        ...

    def logits(self, drive: NDArray) -> NDArray:
        """Logits from the drive."""
        ...

    def drive_grad(self, drive: NDArray, dlogits: NDArray) -> NDArray:
        """Gradient with respect to the drive, given that with respect to the logits."""
        ...

    def heard(self, drive: NDArray) -> tuple[NDArray, ...]:
        """What it learns from at a drive: arrays of ``batch`` rows, which stay the same while it learns."""
        ...

    def learn_from(self, heard: tuple[NDArray, ...], T: NDArray, eta: float) -> None:
        """One step on rows of what was :meth:`heard` and one-hot labels ``T (batch, n_classes)`` with learning rate
        ``eta``."""
        ...

    def learn(self, drive: NDArray, T: NDArray, eta: float) -> None:
        """The same on a batch of drives."""
        ...

    def pathways(self) -> dict[str, Synapses]:
        """Its pathways by name; a readout without any is never asked to learn.

        ``presynaptic``, a dict of some of their names to populations, says who makes those that the cells it reads do
        not make.
        """
        ...


class Progress(Protocol):
    """Shows how far a loop over epochs has come, as ``tqdm`` does."""

    def __call__(self, iterable: Iterable[int], /, *, desc: str) -> Iterable[int]: ...


def is_like(value: object, protocol: type) -> bool:
    """``isinstance``, at a tenth of its cost: Python looks through the protocol anew each time, which is felt where one
    sample is learned."""
    return all(hasattr(value, name) for name in _members(protocol))


@lru_cache(maxsize=32)
def _members(protocol: type) -> tuple[str, ...]:
    bases = [base for base in protocol.__mro__ if getattr(base, "_is_protocol", False) and base is not Protocol]
    names = {name for base in bases for name in (*vars(base), *vars(base).get("__annotations__", {}))}
    return tuple(sorted(name for name in names if not name.startswith("_")))
