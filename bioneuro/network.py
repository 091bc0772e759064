"""The network: layers in their order and readouts of the last, learned locally, layer after layer."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ._attributes import Each, Part
from .checks import Choice, check
from .layers.association import Association
from .layers.interfaces import (
    LEARNS_FROM,
    Encoder,
    GradientSpace,
    Layer,
    Progress,
    ReadCells,
    Readout,
    feature_dtype,
    is_like,
)
from .layers.readout import READOUTS
from .network_table import html_table, text_table
from .protocols import Pullback
from .row_sources import Rows
from .synapses import Synapses

#: Rates or drives (samples x cells) kept in memory from epoch to epoch; beyond this they are computed again in each.
CACHED = 256_000_000
#: Samples whose drive is in memory at a time in inference.
INFERENCE_BATCH = 512
#: Learning steps of a layer between two rounds of structural plasticity.
REWIRE_EVERY = 20
#: What such a round returns in which nothing died and nothing was born.
UNCHANGED = (0, 0)


class Network:
    """Layers in their order: passes what it is given from one to the next, in learning, in inference and for gradients.

    It knows neither labels nor defaults, and checks nothing: :class:`bioneuro.BioClassifier` and
    :class:`bioneuro.NetworkClassifier` do. Some of its layers in a row are a network, too.

    Parameters
    ----------
    layers : dict name -> layer
        The lowest first (:class:`bioneuro.layers.Layer`).
    readouts : dict name -> readout
        All of them read the last layer; ``logits`` asks for one by name.
    """

    SAVED: ClassVar = {"layers": Each(Part(Layer)), "readouts": Each(Part(Readout))}

    def __init__(self, layers: Mapping[str, Encoder], readouts: Mapping[str, Readout]) -> None:
        self.layers: dict[str, Any] = dict(layers)
        self.readouts = dict(readouts)

    def check_saved(self) -> None:
        """Whether layers and readouts go together (:mod:`bioneuro._attributes`)."""
        check_layers(self.layers)
        top = self.association
        for name, readout in self.readouts.items():
            cells = readout.association
            same = cells is top if is_like(top, ReadCells) else cells.n_cells == top.n_features
            if not same:
                raise ValueError(f"readout {name!r} of a Network must read its last layer, {type(top).__name__}")
            if readout.n_classes != self.n_classes:
                raise ValueError(f"readouts of a Network must be of as many classes, got {name!r} of another number")

    @staticmethod
    def upgraded(state: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes as they are now, out of those in a file or a pickle, which may be of a former version."""
        if "layers" in state:
            return dict(state)
        former = {"features": "encoder", "mixing": "mixing", "association": "association"}
        layers = {name: state[attribute] for name, attribute in former.items() if state[attribute] is not None}
        return {"layers": layers, "readouts": state["readouts"]}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(self.upgraded(state))

    def __repr__(self) -> str:
        return text_table(self)

    def _repr_html_(self) -> str:
        return html_table(self)

    @property
    def encoder(self) -> Any:
        """The first layer."""
        return next(iter(self.layers.values()))

    @property
    def association(self) -> Any:
        """The last layer, which readouts read."""
        return next(reversed(self.layers.values()))

    @property
    def on_features(self) -> Network:
        """The layers above the first, as a network that is given what the first one makes."""
        return self.part(1)

    def part(self, start: int = 0, stop: int | None = None) -> Network:
        """Some of the layers, counted as in a slice, with the readouts if the last one is among them."""
        layers = list(self.layers.items())[start:stop]
        return Network(dict(layers), self.readouts if layers and layers[-1][1] is self.association else {})

    @property
    def dtype(self) -> np.dtype:
        """Of what readouts read."""
        return feature_dtype(self.association)

    @property
    def n_classes(self) -> int:
        """Classes that the readouts tell apart."""
        return next(iter(self.readouts.values())).n_classes

    def encode(self, X: NDArray) -> NDArray:
        """What the last layer makes of ``X``, ``(n, n_features)``."""
        return _made(self.association, self.seen(X))

    def seen(self, X: NDArray) -> NDArray:
        """What the last layer sees of ``X``."""
        return self._inputs(X)[-1]

    def _inputs(self, X: NDArray) -> list[NDArray]:
        """What each layer sees of ``X``."""
        seen, layers = [X], list(self.layers.values())
        for layer, above in pairwise(layers):
            seen.append(_as_taken(above, _made(layer, seen[-1])))
        return seen

    def drive(self, X: NDArray | Rows) -> NDArray:
        """Drive of the last layer at ``X``, shape ``(n, n_cells)``; what it encodes, if it has none."""
        return self._in_batches(X, lambda batch: self._top_drive(self.seen(batch)))

    def _top_drive(self, H: NDArray) -> NDArray:
        top = self.association
        return top.drive(H) if is_like(top, ReadCells) else np.ascontiguousarray(top.encode(H), self.dtype)

    def _in_batches(self, X: NDArray | Rows, drive: Callable[[NDArray], NDArray]) -> NDArray:
        batches = slices(len(X), INFERENCE_BATCH)
        if len(batches) == 1:  # attacks come here batch by batch: no copy
            return drive(X[batches[0]])
        drives = np.empty((len(X), self.association.n_features), self.dtype)
        for s in batches:
            drives[s] = drive(X[s])
        return drives

    # --- learning: of the last layer, when those below have learned, and of readouts ---

    def learn(
        self, X: NDArray | Rows, T: NDArray | Rows, *, n_epochs: int, rng: np.random.Generator, progress: Progress
    ) -> NDArray | None:
        """The last layer, a :class:`bioneuro.layers.PlasticLayer`, learns from ``X`` and from one-hot labels ``T``, if
        it takes any; its synapses turn over as it goes. Returns the excitation of its cells by ``X`` as it is then,
        where the layer knows it (:class:`bioneuro.layers.interfaces.Learned`)."""
        name, layer = next(reversed(self.layers.items()))
        seen, labelled = self._seen(X, n_epochs), takes(layer.learn, "T")
        for rows, _ in shown(len(X), association_batch(len(X)), n_epochs, rng, progress, name):
            learned = layer.learn(seen(rows), *([T[rows]] if labelled else []))
            excitation = getattr(learned, "excitation", None)
            if layer.step % REWIRE_EVERY == 0:
                rewired = layer.rewire()
                excitation = None if excitation is None or rewired != UNCHANGED else excitation
        rewired = layer.rewire()
        return None if excitation is None or rewired != UNCHANGED or len(X) > 1 else excitation

    def learn_at_once(self, X: NDArray | Rows, T: Rows, *, rng: np.random.Generator, progress: Progress) -> None:
        """The last layer learns, if it does, from all samples in one call, or from batches, as its ``learns_from``
        says (:class:`bioneuro.layers.Layer`)."""
        learn = getattr(self.association, "learn", None)
        if learn is None:
            return
        source = getattr(self.association, "learns_from", "all")
        check("learns_from", source, Choice(LEARNS_FROM))
        offered: dict[str, Any] = {"random_state": rng, "progress": progress}
        taken, labelled = {name: value for name, value in offered.items() if takes(learn, name)}, takes(learn, "T")
        for s in slices(len(X), INFERENCE_BATCH if source == "batches" else len(X)):
            seen = X if source == "rows" and len(self.layers) == 1 else self.seen(X[s])
            learn(seen, **taken, **({"T": T[s]} if labelled else {}))

    def teach(
        self, X: NDArray | Rows, T: NDArray | Rows, *, n_epochs: int, rng: np.random.Generator, progress: Progress
    ) -> None:
        """The third factor: cells of the last layer are taught by the labels, ever more slowly."""
        seen = self._seen(X, n_epochs)
        for step, (rows, left) in enumerate(
            shown(len(X), teaching_batch(len(X)), n_epochs, rng, progress, "teaching"), start=1
        ):
            self.association.teach(seen(rows), T[rows], left)
            if step % REWIRE_EVERY == 0:
                self.association.rewire(scale=False)

    def _seen(self, X: NDArray | Rows, n_epochs: int) -> Callable[[NDArray[np.int64]], NDArray]:
        """What the last layer sees of rows of ``X``, each of which is asked for ``n_epochs`` times."""
        top, H = (self, X) if n_epochs == 1 else self.narrowed(X)
        return lambda rows: top.seen(H[rows])

    def narrowed(self, X: NDArray | Rows, share: float = 1.0) -> tuple[Network, NDArray | Rows]:
        """The last layer as a network of its own, and what it sees of ``X``; where nothing lies below, or that is more
        than a ``share`` of what may be kept, this network and ``X``."""
        below = list(self.layers.values())[:-1]
        if not below or len(X) * below[-1].n_features > share * CACHED:
            return self, X
        H = np.empty((len(X), below[-1].n_features), self.dtype)
        for s in slices(len(X), INFERENCE_BATCH):
            H[s] = self.seen(X[s])
        return self.part(-1), H

    def learn_readouts(
        self,
        X: NDArray | Rows,
        T: NDArray | Rows,
        *,
        n_epochs: int,
        eta: float,
        rng: np.random.Generator,
        progress: Progress,
        excitation: NDArray | None = None,
    ) -> None:
        """Readouts learn from the drive of the finished layers, ever more slowly: ``eta`` falls linearly to 0. Of one
        sample, for one epoch, the ``excitation`` that :meth:`learn` has returned will do."""
        learned = [readout for readout in self.readouts.values() if readout.pathways()]
        if not learned:
            return
        heard = self._heard(X, learned, n_epochs, excitation)
        rng.permutation(len(X))  # drawn and not used, so that a seed still gives the same network
        for rows, left in shown(len(X), readout_batch(len(X)), n_epochs, rng, progress, "readout"):
            for readout, rates in zip(learned, heard(rows), strict=True):
                readout.learn_from(rates, T[rows], eta * left)

    def _heard(
        self, X: NDArray | Rows, readouts: Sequence[Readout], n_epochs: int, excitation: NDArray | None
    ) -> Callable[[NDArray[np.int64]], list[tuple[NDArray, ...]]]:
        """What each of ``readouts`` learns from at rows of ``X``, made once where there is memory for it."""

        def made(rows: NDArray[np.int64] | slice) -> list[tuple[NDArray, ...]]:
            drive = self.drive(X[rows]) if excitation is None else self.association.driven(excitation)
            return [readout.heard(drive) for readout in readouts]

        if n_epochs == 1:
            return made
        parts = made(slice(1))
        if len(X) * sum(array.size for rates in parts for array in rates) > CACHED:
            return made
        kept = [tuple(np.empty((len(X), *a.shape[1:]), a.dtype) for a in rates) for rates in parts]
        for s in slices(len(X), INFERENCE_BATCH):
            for arrays, rates in zip(kept, made(s), strict=True):
                for array, part in zip(arrays, rates, strict=True):
                    array[s] = part
        return lambda rows: [tuple(array[rows] for array in arrays) for arrays in kept]

    # --- inference ---

    def logits(self, X: NDArray, readout: str) -> NDArray:
        """Logits ``(n, n_classes)`` of ``X`` by the named readout."""
        out = [self.readouts[readout].logits(self.drive(X[s])) for s in slices(len(X), INFERENCE_BATCH)]
        return np.concatenate(out)

    def vjp(self, X: NDArray, readout: str, *, space: GradientSpace = "image") -> tuple[NDArray, Pullback]:
        """Logits at ``X``, and the map from a gradient with respect to them to that with respect to ``X``; with
        ``space="response"``, where the first layer has a retina, to that with respect to its contrast response."""
        layers, inputs, output = list(self.layers.values()), self._inputs(X), self.readouts[readout]
        drive = self._in_batches(inputs[-1], self._top_drive)

        def encode_grad(k: int, dH: NDArray) -> NDArray:
            if k == 0 and space != "image":
                return layers[0].encode_grad(X, dH, space=space)
            return layers[k].encode_grad(inputs[k], _as_taken(layers[k], dH))

        def pullback(dlogits: NDArray) -> NDArray:
            da = np.ascontiguousarray(output.drive_grad(drive, dlogits), drive.dtype)
            top = len(layers) - 1
            dH = layers[top].drive_grad(drive, da) if is_like(layers[top], ReadCells) else encode_grad(top, da)
            for k in reversed(range(top)):
                dH = encode_grad(k, dH)
            return dH

        return output.logits(drive), pullback

    # --- parts ---

    def pathways(self) -> dict[str, Synapses]:
        """Every pathway by name: a dict of :class:`bioneuro.Synapses`."""
        return {name: synapses for name, _, synapses in self._pathways()}

    def synapses(self) -> list[Synapses]:
        """The same without their names."""
        parts = (*self.layers.values(), *self.readouts.values())
        return [synapses for part in parts for synapses in getattr(part, "pathways", dict)().values()]

    def outgoing(self) -> dict[str, dict[str, Synapses]]:
        """What each population of cells makes: its pathways by name, whose columns are its cells."""
        made: dict[str, dict[str, Synapses]] = {}
        for name, maker, synapses in self._pathways():
            made.setdefault(maker, {})[name] = synapses
        return made

    def _pathways(self) -> Iterator[tuple[str, str, Synapses]]:
        """Name, population that makes it, and synapses of each pathway."""
        below = "inputs"
        for name, layer in self.layers.items():
            own, makers = population(layer), getattr(layer, "presynaptic", {})
            for pathway, synapses in getattr(layer, "pathways", dict)().items():
                maker = _renamed(makers[pathway], own, name) if pathway in makers else below
                called = _renamed(pathway, own, name)
                if not _begins(called, name) and (name != own or pathway not in makers):
                    called = f"{name}_{pathway}"
                yield called, maker, synapses
            below = name
        for readout in self.readouts.values():
            makers = getattr(readout, "presynaptic", {})
            for pathway, synapses in readout.pathways().items():
                yield pathway, makers.get(pathway, below), synapses

    def cuts(self) -> dict[str, NDArray]:
        """Size below which each stored synapse would be silent, of the pathways whose small weights were cut away.

        Turnover cuts nothing: small synapses die sooner, but of every size some live.
        """
        found: dict[str, NDArray] = {}
        for readout in self.readouts.values():
            found |= getattr(readout, "cuts", dict)()
        return found


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
    encoder, mixing : trained layers
        The association sees what mixing makes of the encoder's features, or these themselves.
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
    layers = {"features": encoder} | ({} if mixing is None else {"mixing": mixing}) | {"association": cells}
    return Network(layers, {name: READOUTS[name](cells, n_classes, seed=seed) for name in names})


def check_layers(layers: Mapping[str, Any]) -> None:
    """Whether each layer takes what the one below it makes.

    Raises
    ------
    ValueError
        Names the first that does not.
    """
    for (below, maker), (name, layer) in pairwise(layers.items()):
        if layer.n_inputs != maker.n_features:
            raise ValueError(
                f"layer {name!r} takes {layer.n_inputs} inputs, but {below!r} below it makes {maker.n_features}"
            )
        made, taken = feature_dtype(maker), feature_dtype(layer)
        if made != taken:
            raise ValueError(f"layer {name!r} takes inputs of {taken}, but {below!r} below it makes {made}")


def population(layer: Any) -> str:
    """What the cells of a layer are called, unless a stack names them otherwise."""
    return str(getattr(layer, "population", _snake_case(type(layer).__name__)))


@lru_cache(maxsize=256)
def _snake_case(name: str) -> str:
    return re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def takes(function: Callable[..., Any], argument: str) -> bool:
    """Whether a function has an argument of that name."""
    return argument in _arguments(getattr(function, "__func__", function))


@lru_cache(maxsize=256)
def _arguments(function: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def _begins(name: str, cells: str) -> bool:
    return name == cells or name.startswith(f"{cells}_")


def _renamed(name: str, own: str, given: str) -> str:
    """A name that begins with that of the cells, ``own``, where these are ``given`` another one."""
    return given + name[len(own) :] if _begins(name, own) else name


def _made(layer: Any, X: NDArray) -> NDArray:
    """What a layer, which may be the user's, makes of ``X``: a row of numbers for each."""
    H = layer.encode(X)
    if not isinstance(H, np.ndarray) or H.shape != (len(X), layer.n_features) or H.dtype.kind not in "biuf":
        got = f"{H.dtype} of shape {H.shape}" if isinstance(H, np.ndarray) else type(H).__name__
        wanted = f"an array of real numbers of shape (n, {layer.n_features})"
        raise ValueError(f"{type(layer).__name__} must encode n rows to {wanted}, got {got} from {len(X)} rows")
    return H


def _as_taken(layer: Any, X: NDArray) -> NDArray:
    """``X`` in the type of a layer, without a copy where it is."""
    return np.ascontiguousarray(X, getattr(layer, "dtype", X.dtype))


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
