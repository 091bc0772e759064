"""The network: encoder -> mixing -> association -> readout, learned locally, layer after layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ._attributes import Each, Maybe, Part
from .layers.association import Association
from .layers.interfaces import Encoder, Progress, Readout, Space
from .layers.mixing import Mixing
from .layers.readout import READOUTS
from .network_table import html_table, text_table
from .protocols import Pullback
from .row_sources import Rows
from .synapses import Synapses

#: Rates or drives (samples x cells) kept in memory from epoch to epoch; beyond this they are computed again in each.
CACHED = 256_000_000
#: Samples whose drive is in memory at a time in inference.
INFERENCE_BATCH = 512
#: Learning steps of the association between two rounds of structural plasticity.
REWIRE_EVERY = 20


class Network:
    """Layers in their order: passes features on from one to the next, in learning, in inference and for gradients.

    It knows neither labels nor defaults, and checks nothing: :class:`bioneuro.BioClassifier` does.

    Parameters
    ----------
    encoder : object with ``encode(X)`` and ``encode_grad(X, dH, space)``
    association : Association
    readouts : dict name -> readout
        All of them learn from the same activity; ``logits`` asks for one by name.
    mixing : object with ``encode(H)`` and ``encode_grad(H, dX)``, or None
        Between encoder and association; None: the association sees the features themselves.
    """

    SAVED: ClassVar = {
        "encoder": Part(Encoder),
        "mixing": Maybe(Part(Mixing, {"n_inputs": "encoder.n_features"})),
        "association": Part(Association, {"synapses.n_pre": "n_mixed", "synapses.dtype": "dtype_mixed"}),
        "readouts": Each(Part(Readout, {"association": "association"})),
    }

    def __init__(
        self,
        encoder: Encoder,
        association: Association,
        readouts: dict[str, Readout],
        mixing: Encoder | None = None,
    ) -> None:
        self.encoder, self.association, self.readouts, self.mixing = encoder, association, readouts, mixing

    def __repr__(self) -> str:
        return text_table(self)

    def _repr_html_(self) -> str:
        return html_table(self)

    @property
    def n_mixed(self) -> int:
        """Rates that the association sees."""
        return (self.encoder if self.mixing is None else self.mixing).n_features

    @property
    def dtype_mixed(self) -> np.dtype:
        """Of the rates that the association sees, where their maker says so."""
        maker = self.encoder if self.mixing is None else self.mixing
        return np.dtype(getattr(maker, "dtype", self.association.dtype))

    def mixed(self, H: NDArray) -> NDArray:
        """What the association sees of features ``H``."""
        return H if self.mixing is None else self.mixing.encode(H)

    def drive(self, H: NDArray | Rows) -> NDArray:
        """Drive of the association at features ``H``, shape ``(n, n_cells)``."""
        batches = slices(len(H), INFERENCE_BATCH)
        if len(batches) == 1:  # attacks come here batch by batch: no copy
            return self.association.drive(self.mixed(H[batches[0]]))
        drives = np.empty((len(H), self.association.n_cells), self.association.dtype)
        for s in batches:
            drives[s] = self.association.drive(self.mixed(H[s]))
        return drives

    # --- learning (on features: the encoder has learned before) ---

    def learn_association(
        self, H: NDArray | Rows, T: NDArray | Rows, *, n_epochs: int, rng: np.random.Generator, progress: Progress
    ) -> None:
        """Competitive learning on features ``H`` with one-hot labels ``T``, and turnover of synapses as it goes."""
        layer, seen = self.association, self._seen(H, n_epochs)
        for rows, _ in shown(len(H), association_batch(len(H)), n_epochs, rng, progress, "association"):
            layer.learn(seen(rows), T[rows])
            if layer.step % REWIRE_EVERY == 0:
                layer.rewire()
        layer.rewire()

    def teach_association(
        self, H: NDArray | Rows, T: NDArray | Rows, *, n_epochs: int, rng: np.random.Generator, progress: Progress
    ) -> None:
        """The third factor: cells are taught by the labels, ever more slowly."""
        seen = self._seen(H, n_epochs)
        for step, (rows, left) in enumerate(
            shown(len(H), teaching_batch(len(H)), n_epochs, rng, progress, "teaching"), start=1
        ):
            self.association.teach(seen(rows), T[rows], left)
            if step % REWIRE_EVERY == 0:
                self.association.rewire(scale=False)

    def _seen(self, H: NDArray | Rows, n_epochs: int) -> Callable[[NDArray[np.int64]], NDArray]:
        """What the association sees of rows of ``H``, each of which is asked for ``n_epochs`` times."""
        if self.mixing is None or n_epochs == 1 or len(H) * self.n_mixed > CACHED:
            return lambda rows: self.mixed(H[rows])
        X = np.empty((len(H), self.n_mixed), self.dtype_mixed)
        for s in slices(len(H), INFERENCE_BATCH):
            X[s] = self.mixed(H[s])
        return X.__getitem__

    def learn_readouts(
        self,
        H: NDArray | Rows,
        T: NDArray | Rows,
        *,
        n_epochs: int,
        eta: float,
        rng: np.random.Generator,
        progress: Progress,
    ) -> None:
        """Readouts learn from the drive of the finished association, ever more slowly: ``eta`` falls linearly to 0."""
        learned = [readout for readout in self.readouts.values() if readout.pathways()]
        if not learned:
            return
        heard = self._heard(H, learned, n_epochs)
        rng.permutation(len(H))  # drawn and not used, so that a seed still gives the same network
        for rows, left in shown(len(H), readout_batch(len(H)), n_epochs, rng, progress, "readout"):
            for readout, rates in zip(learned, heard(rows), strict=True):
                readout.learn_from(rates, T[rows], eta * left)

    def _heard(
        self, H: NDArray | Rows, readouts: Sequence[Readout], n_epochs: int
    ) -> Callable[[NDArray[np.int64]], list[tuple[NDArray, ...]]]:
        """What each of ``readouts`` learns from at rows of ``H``, made once where there is memory for it."""

        def made(rows: NDArray[np.int64] | slice) -> list[tuple[NDArray, ...]]:
            drive = self.drive(H[rows])
            return [readout.heard(drive) for readout in readouts]

        if n_epochs == 1:
            return made
        parts = made(slice(1))
        if len(H) * sum(array.size for rates in parts for array in rates) > CACHED:
            return made
        kept = [tuple(np.empty((len(H), *a.shape[1:]), a.dtype) for a in rates) for rates in parts]
        for s in slices(len(H), INFERENCE_BATCH):
            for arrays, rates in zip(kept, made(s), strict=True):
                for array, part in zip(arrays, rates, strict=True):
                    array[s] = part
        return lambda rows: [tuple(array[rows] for array in arrays) for arrays in kept]

    # --- inference ---

    def logits(self, H: NDArray, readout: str) -> NDArray:
        """Logits ``(n, n_classes)`` of features ``H`` by the named readout."""
        out = [self.readouts[readout].logits(self.drive(H[s])) for s in slices(len(H), INFERENCE_BATCH)]
        return np.concatenate(out)

    def vjp(self, X: NDArray, readout: str, *, space: Space = "image") -> tuple[NDArray, Pullback]:
        """Logits at ``X``, and the map from a gradient with respect to them to that with respect to ``X``."""
        H = self.encoder.encode(X)
        drive = self.drive(H)
        output = self.readouts[readout]

        def pullback(dlogits: NDArray) -> NDArray:
            da = np.ascontiguousarray(output.drive_grad(drive, dlogits), drive.dtype)
            dH = self.association.drive_grad(drive, da)
            if self.mixing is not None:
                dH = self.mixing.encode_grad(H, dH)
            return self.encoder.encode_grad(X, dH, space=space)

        return output.logits(drive), pullback

    def pathways(self) -> dict[str, Synapses]:
        """Every pathway by name: a dict of :class:`bioneuro.Synapses`."""
        named = self.association.pathways()
        if isinstance(self.mixing, Mixing):
            named = {**self.mixing.pathways(), **named}
        if hasattr(self.encoder, "columns"):
            named = {"map": self.encoder.columns.synapses, **named}
        for readout in self.readouts.values():
            named |= readout.pathways()
        return named

    def cuts(self) -> dict[str, NDArray]:
        """Size below which each stored synapse would be silent, of the pathways whose small weights were cut away.

        Turnover cuts nothing: small synapses die sooner, but of every size some live.
        """
        found: dict[str, NDArray] = {}
        for readout in self.readouts.values():
            found |= getattr(readout, "cuts", dict)()
        return found

    def outgoing(self) -> dict[str, dict[str, Synapses]]:
        """What each population of cells makes: its pathways by name, whose columns are its cells."""
        maker = {"map": "retina"}
        for part in (self.association, self.mixing, *self.readouts.values()):
            maker |= getattr(part, "presynaptic", {})
        made: dict[str, dict[str, Synapses]] = {}
        for name, synapses in self.pathways().items():
            made.setdefault(maker.get(name, "association"), {})[name] = synapses
        return made


def untaught(
    encoder: Encoder,
    n_cells: int,
    n_classes: int,
    readouts: Iterable[str],
    *,
    rng: np.random.Generator,
    mixing: Encoder | None = None,
    **association: Any,
) -> Network:
    """A network with an untrained association and readouts behind a trained encoder and mixing layer.

    Parameters
    ----------
    encoder, mixing
        As of :class:`Network`.
    n_cells, n_classes : int
    readouts : names in :data:`bioneuro.layers.READOUTS`
        Votes cost nothing: they are always there.
    rng : Generator
        Of the seeds of both.
    **association
        Parameters of :class:`bioneuro.layers.Association`.
    """
    n_features = (encoder if mixing is None else mixing).n_features
    cells = Association(n_cells, n_features, n_classes, seed=int(rng.integers(2**31)), **association)
    names, seed = dict.fromkeys(["votes", *readouts]), int(rng.integers(2**31))
    return Network(encoder, cells, {name: READOUTS[name](cells, n_classes, seed=seed) for name in names}, mixing)


def epochs_of(n_updates: int, batch_size: int, n: int) -> int:
    """Passes over n samples in which there are at least so many updates."""
    return math.ceil(n_updates * batch_size / n)


def association_batch(n: int) -> int:
    """Samples of a learning step of the association, of n in all."""
    return min(256, max(10, n // 8))


def teaching_batch(n: int) -> int:
    """Samples of a step of teaching, of n in all: two tiles of the products."""
    return min(128, max(10, n // 10))


def readout_batch(n: int) -> int:
    """Samples of a learning step of the readouts, of n in all."""
    return min(100, max(10, n // 10))


def shown(
    n: int, size: int, n_epochs: int, rng: np.random.Generator, progress: Progress, stage: str
) -> Iterator[tuple[NDArray[np.int64], float]]:
    """Random minibatches that show ``n`` samples ``n_epochs`` times, each with the share of the steps that is left,
    from 1 down."""
    n_steps, step = n_epochs * n_batches(n, size), 0
    for _ in progress(range(n_epochs), desc=stage):
        for rows in batches(n, size, rng):
            yield rows, 1 - step / n_steps
            step += 1


def n_batches(n: int, size: int) -> int:
    """Minibatches of at most ``size`` that cover ``n`` samples."""
    return max(1, -(-n // size))


def slices(n: int, size: int) -> list[slice]:
    """Consecutive slices of at most ``size`` that cover ``range(n)``."""
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def batches(n: int, size: int, rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Random minibatches of row numbers that cover ``range(n)`` once, of at most ``size`` rows and nearly equal."""
    order = rng.permutation(n)
    return np.array_split(order, n_batches(n, size))
