"""A network of layers that one puts together oneself, as a scikit-learn estimator."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from .blockwise_encoding import Check, check_rows, features
from .checks import Choice, Flag, Instance, check, check_parameters
from .estimators import check_classes
from .image_rows import Given
from .layers import READOUTS
from .layers.interfaces import Layer, PlasticLayer, Progress, feature_dtype
from .nested_parameters import NestedParameters, takes_long_names
from .network import CACHED, Network, check_layers, population
from .network_estimator import NetworkEstimator
from .network_table import text_table
from .row_sources import Rows
from .schedule import Schedule

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["NetworkClassifier"]

PARAMETERS = {
    "readout": (Choice(READOUTS),),
    "schedule": (Instance(Schedule), "auto"),
    "progress": (Flag(),),
}
#: Populations that every network has, beside those of its layers.
TAKEN = {"classes", "inputs", "readout", "retina"}


class NetworkClassifier(NetworkEstimator):
    """A stack of layers, of any depth, and a readout of the last one.

    ``fit`` goes from the lowest layer to the last: each learns from what those below it, which have learned, make of
    the samples; labels are given to those that take them. The readout learns in the end.
    :class:`bioneuro.BioClassifier` is such a stack, with a contrast response, turnover and vigilance, which bare layers
    do not have.

    Parameters
    ----------
    layers : list of layers, or of (name, layer)
        The lowest first. Each takes as many inputs as the one below it has features (:class:`bioneuro.layers.Layer`,
        which also says what a layer of your own needs). They are templates, as the steps of a grid search are: ``fit``
        learns on copies. Layers without a name are called by their kind (``features``, ``mixing``, ``association``),
        and numbered where there are several of it (``association_1``).
    readout : {"delta", "votes", "perturbation"}, default "delta"
        What ``predict`` returns; a name in :data:`bioneuro.layers.READOUTS`. ``"votes"`` are those of an association,
        which must be the last layer.
    schedule : Schedule or "auto"
        Passes over the samples of each layer that learns in steps (``association_epochs``, ``teaching_epochs``), and of
        the readout (:class:`bioneuro.Schedule`).
    random_state : int, RandomState or None
        Of the order of samples and of the readout; layers were given seeds of their own.
    progress : bool, default False
        Show progress bars (tqdm).

    Attributes
    ----------
    classes_ : array (n_classes,)
    network_ : Network
        The layers that have learned, ``network_.layers``, by name.
    encoder_ : layer
        The first of them.
    image_shape_ : tuple or None
        Of the images that the first layer takes.

    Raises
    ------
    ValueError
        In learning: no layers, one that does not fit the one below it, a name given twice, or a layer of another number
        of classes than ``y`` has.
    TypeError
        In learning: something that is no layer, or a readout of votes on a layer that has none.

    Notes
    -----
    Rows that are not in memory are read once to be checked, before anything is learned. Weights are the same, bit for
    bit, as from an array in memory, and with any number of workers, where what each layer makes of a row does not
    depend on the rows beside it; those of the package, except an association with a circuit, are like that. A layer of
    your own that learns from all samples at once has them in memory all the same, unless its ``learns_from`` says that
    it need not (:class:`bioneuro.layers.Layer`).

    See Also
    --------
    bioneuro.BioClassifier : the network whose layers, sizes and rules are chosen for you.

    Examples
    --------
    >>> import bioneuro as bn
    >>> from bioneuro.layers import Association, FeatureMap, Mixing
    >>> data = bn.datasets.load("digits")
    >>> features = FeatureMap((8, 8), n_columns=16, random_state=0)
    >>> mixing = Mixing(features.n_features, 100, random_state=0)
    >>> stack = [features, mixing, Association(50, 100, 10), Association(40, 50, 10)]
    >>> model = bn.NetworkClassifier(stack, random_state=0).fit(data.X_train[:200], data.y_train[:200])
    >>> list(model.network_.layers)
    ['features', 'mixing', 'association_1', 'association_2']
    >>> model.transform(data.X_test[:3], up_to="association_1").shape
    (3, 50)
    """

    @takes_long_names
    def __init__(
        self,
        layers: Sequence[Layer | tuple[str, Layer]],
        readout: str = "delta",
        *,
        schedule: Schedule | Literal["auto"] = "auto",
        random_state: int | np.random.RandomState | None = None,
        progress: bool = False,
    ) -> None:
        self.layers = layers
        self.readout = readout
        self.schedule = schedule
        self.random_state = random_state
        self.progress = progress

    @staticmethod
    def _settings(name: str, value: Any) -> Any:
        return Schedule() if isinstance(value, str) and value == "auto" else NestedParameters._settings(name, value)

    @property
    def dtype(self) -> np.dtype:  # type: ignore[override]
        """float32 or float64, that of the layers."""
        first: Any = self.layers[0]
        return feature_dtype(first[1] if _is_pair(first) else first)

    def __repr__(self) -> str:
        network = self._shown()
        return super().__repr__() if network is None else text_table(network, type(self).__name__)

    def _repr_html_(self) -> str:
        network = self._shown()
        return super()._repr_html_() if network is None else network._repr_html_()

    def _shown(self) -> Network | None:
        """What a table can show: the network that was learned, or the layers as given; None if they are no layers."""
        try:
            return self.network_ if hasattr(self, "network_") else Network(named_layers(self.layers), {})
        except (TypeError, ValueError, AttributeError):
            return None

    # --- learning ---

    def _fit(self, rows: NDArray | Rows, y: NDArray, passes: Progress, client: Client | None) -> None:
        if not isinstance(rows, np.ndarray):
            check_rows(rows, self._check_of_blocks())
        network = self._untaught(np.unique(y))
        self._learn(network, rows, self._one_hot(y), self._set("schedule"), passes, client=client)

    def _learn_batch(self, X: NDArray, y: NDArray, classes: NDArray | None) -> None:
        network = self.network_ if classes is None else self._untaught(classes)
        self._learn(network, X, self._one_hot(y), None, partial(self._passes, None), first=classes is not None)

    def _untaught(self, classes: NDArray) -> Network:
        """Copies of the layers, and readouts of the last, that know nothing yet."""
        check_classes(classes)
        layers = {name: copy.deepcopy(layer) for name, layer in named_layers(self.layers).items()}
        for name, layer in layers.items():
            if (n := getattr(layer, "n_classes", len(classes))) != len(classes):
                raise ValueError(f"layer {name!r} tells {n} classes apart, but there are {len(classes)}: {classes}")
        self.classes_, self._rng, self.encoder_ = classes, self._generator(), next(iter(layers.values()))
        top, seed = next(reversed(layers.values())), int(self._rng.integers(2**31))
        names = dict.fromkeys(["votes"] * hasattr(top, "votes") + [self.readout])  # votes cost nothing
        return Network(layers, {name: READOUTS[name](top, len(classes), seed=seed) for name in names})

    def _learn(
        self,
        network: Network,
        X: NDArray | Rows,
        T: Rows,
        schedule: Schedule | None,
        passes: Progress,
        *,
        first: bool = True,
        client: Client | None = None,
    ) -> None:
        """Layer by layer, then the readouts; by a schedule, or with each sample shown once."""
        start, H = 0, X  # what the layers up to `start` make of X is kept
        elsewhere = client is not None or not isinstance(X, np.ndarray)
        checked = Check(np.dtype(self.dtype), images=False)
        for k, (name, layer) in enumerate(network.layers.items(), 1):
            part = network.part(start, k)
            if k == len(network.layers):
                self.network_ = network
            with _named(name):
                if isinstance(layer, PlasticLayer):
                    self._learn_in_steps(part, H, T, schedule, passes)
                elif first:
                    part.learn_at_once(H, T, rng=self._rng, progress=passes)
                if not np.isfinite(part.encode(H[:1])).all():
                    raise ValueError("must encode rows to finite numbers")
            if k < len(network.layers) and ((k == 1 and elsewhere) or len(X) * layer.n_features <= CACHED):
                with _named(name):
                    H = features(network.part(start, k + 1).seen, None, H, checked, client if k == 1 else None)
                start = k
        n_epochs = 1 if schedule is None else schedule.of_readout(len(X))
        self._learn_readouts(network.part(start), H, T, n_epochs, passes)

    def _learn_in_steps(
        self, part: Network, H: NDArray | Rows, T: Rows, schedule: Schedule | None, passes: Progress
    ) -> None:
        """The last layer of a part of the network."""
        layer, n_epochs = part.association, 1
        if schedule is not None:
            n_epochs = schedule.of_association(len(H), layer.n_features)
        with self._finite_after(part, "it"):
            part.learn(H, T, n_epochs=n_epochs, rng=self._rng, progress=passes)
            if schedule is not None and getattr(layer, "teacher", None) is not None:
                part.teach(H, T, n_epochs=schedule.of_teaching(len(H)), rng=self._rng, progress=passes)

    # --- inference ---

    @property
    def _n_features_out(self) -> int:
        """Of :meth:`transform`; scikit-learn names them by it."""
        return int(self.network_.association.n_features)

    def transform(self, X: ArrayLike, up_to: str | None = None) -> NDArray:
        """What a layer makes of ``X``.

        Parameters
        ----------
        X : array-like
            As for :meth:`fit`, of as many features as it learned from.
        up_to : str, optional
            Name of the layer; default: the last one.

        Returns
        -------
        ndarray of shape (n, n_features of that layer)

        Raises
        ------
        NotFittedError
            Neither :meth:`fit` nor :meth:`partial_fit` was called.
        ValueError
            No layer has that name, or X is not as it must be.
        """
        check_is_fitted(self, "network_")
        names = list(self.network_.layers)
        if up_to is not None:
            check("up_to", up_to, Choice(names))
        return self.network_.part(0, names.index(up_to or names[-1]) + 1).encode(self._validate(X))

    # --- checks ---

    def _image_shape(self, given: Given, rows: NDArray) -> tuple[int, ...] | None:
        name, first = next(iter(named_layers(self.layers).items()))
        if rows.shape[1] != first.n_inputs:
            raise ValueError(f"X must have {first.n_inputs} features, as layer {name!r} takes, got {rows.shape[1]}")
        if not hasattr(first, "retina"):
            return None
        channels = first.channels
        return (first.height, first.width) if channels == 1 else (first.height, first.width, channels)

    def _check_parameters(self) -> None:
        check_parameters(self, PARAMETERS)
        check_layers(named_layers(self.layers))


def named_layers(layers: Any) -> dict[str, Any]:
    """Layers by name, out of a list of them or of (name, layer).

    Raises
    ------
    ValueError
        No layers, or a name that is given twice, or that something else in a network has.
    TypeError
        Something that is no layer.
    """
    if not isinstance(layers, list | tuple) or not layers:
        raise ValueError(f"layers must be a list with at least one layer, got {layers!r}")
    pairs = [entry if _is_pair(entry) else (None, entry) for entry in layers]
    for k, (_, layer) in enumerate(pairs):
        if isinstance(layer, type) or not isinstance(layer, Layer):
            got = f"the class {layer.__name__}: call it" if isinstance(layer, type) else type(layer).__name__
            raise TypeError(f"layers[{k}] must have n_inputs, n_features, encode and encode_grad, got {got}")
    kinds = Counter(population(layer) for name, layer in pairs if name is None)
    found: dict[str, Any] = {}
    count: Counter[str] = Counter()
    for name, layer in pairs:
        if name is None:
            kind = population(layer)
            count[kind] += 1
            name = kind if kinds[kind] == 1 else f"{kind}_{count[kind]}"
        if name in found:
            raise ValueError(f"layers must have different names, got {name!r} twice")
        if name in TAKEN or name.endswith("_i") or not name:
            taken = ", ".join(sorted(TAKEN))
            raise ValueError(f"names of layers must not be empty or one of {taken}, nor end in _i, got {name!r}")
        found[name] = layer
    return found


@contextmanager
def _named(layer: str) -> Iterator[None]:
    """What a layer refuses says which layer it is."""
    try:
        yield
    except (TypeError, ValueError) as error:
        if type(error) not in (TypeError, ValueError):
            raise
        raise type(error)(f"layer {layer!r}: {error}") from error


def _is_pair(entry: Any) -> bool:
    return isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str)
