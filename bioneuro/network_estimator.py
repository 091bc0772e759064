"""What estimators of a :class:`bioneuro.network.Network` share: checks, stages of learning, answers, weights.

:class:`bioneuro.BioClassifier` builds the network by itself, :class:`bioneuro.NetworkClassifier` out of layers that it
is given.
"""

from __future__ import annotations

import copy
import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ._attributes import Count, Labels, Maybe, Missing, Part, Plain, Strings
from .blockwise_encoding import Check
from .checks import Checked, check_labels
from .estimators import (
    LogitClassifier,
    all_or_nothing,
    class_index,
    known_classes,
    validated,
    validated_with_labels,
)
from .image_rows import Given, given_rows
from .layers import Retina
from .layers.interfaces import Encoder, GradientSpace, PlasticLayer, Progress, feature_dtype, is_like
from .nested_parameters import NestedParameters
from .network import Network
from .progress import track
from .protocols import Pullback
from .row_sources import OneHot, Rows, opened
from .rules import Rule
from .seeds import drawn_generator
from .surrogates import variants
from .synapses.array_checks import largest_magnitude
from .synapses.stored import sealed_view
from .threads import one_blas_thread
from .white_box import Front, Identity, WhiteBoxMixin

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["NetworkEstimator", "OnEpoch"]

#: ``on_epoch(model, stage, done, n)``.
OnEpoch = Callable[[Any, str, int, int], Any]


class NetworkEstimator(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, WhiteBoxMixin, NestedParameters, LogitClassifier
):
    """A subclass has the parameters ``readout``, ``schedule``, ``random_state`` and ``progress`` and a ``dtype``,
    writes `_fit`, `_learn_batch`, `_check_parameters` and `_image_shape`, and learns ``encoder_`` and ``network_``."""

    encoder_: Encoder
    network_: Network
    image_shape_: tuple[int, ...] | None
    readout: str
    random_state: int | np.random.RandomState | None
    progress: bool
    dtype: DTypeLike
    _rng: np.random.Generator

    SAVED: ClassVar = {
        "n_features_in_": Missing(Count(1)),
        "classes_": Missing(Labels()),
        "encoder_": Missing(Part(Encoder, {"n_inputs": "n_features_in_"})),
        "network_": Missing(Part(Network, {"n_classes": "classes_.size", "encoder.n_inputs": "n_features_in_"})),
        "image_shape_": Missing(Maybe(Part(tuple))),
        "feature_names_in_": Missing(Strings("n_features_in_")),
        "_rng": Missing(Part(np.random.Generator)),
        ...: Plain(),  # parameters, which learning checks, and what scikit-learn keeps
    }

    def check_saved(self) -> None:
        """Whether all of the parameters are there, and what has been learned goes with them
        (:mod:`bioneuro._attributes`)."""
        name = f"a {type(self).__name__}"
        missing = set(self._get_param_names()) - vars(self).keys()
        if missing:
            raise ValueError(f"parameters of {name} are missing: {', '.join(sorted(missing))}")
        if hasattr(self, "encoder_") and not (hasattr(self, "n_features_in_") and hasattr(self, "image_shape_")):
            raise ValueError(f"{name} that has an encoder_ must have n_features_in_ and image_shape_")
        shape = getattr(self, "image_shape_", None)
        if shape is not None and (len(shape) not in (2, 3) or math.prod(shape) != self.n_features_in_):
            raise ValueError(f"image_shape_ of {name} must make {self.n_features_in_} features, got {shape}")
        if hasattr(self, "network_"):
            self._check_parameters()
            self._check_dtype()
            if not hasattr(self, "_rng") or self.network_.encoder.n_features != self.encoder_.n_features:
                raise ValueError(f"{name} that has learned must have _rng, and encoder_ be that of network_")

    def _check_dtype(self) -> None:
        learned = self.network_.dtype
        if np.dtype(self.dtype) != learned:
            raise ValueError(f"dtype must be that of what was learned, {learned}, got {self.dtype!r}: fit again")

    @abstractmethod
    def _check_parameters(self) -> None:
        """Raise an error that names a parameter which is not what it must be."""

    @abstractmethod
    def _image_shape(self, given: Given, rows: NDArray) -> tuple[int, ...] | None:
        """How the rows that are learned from are images; None if they are plain vectors."""

    @abstractmethod
    def _fit(self, rows: NDArray | Rows, y: NDArray, passes: Progress, client: Client | None) -> None:
        """Learn from scratch; parameters, rows and labels are checked."""

    @abstractmethod
    def _learn_batch(self, X: NDArray, y: NDArray, classes: NDArray | None) -> None:
        """Go on learning; ``classes`` are given the first time, when there is no network yet."""

    def _set(self, name: str) -> Any:
        """The settings that a parameter stands for, which are known to be some."""
        return self._settings(name, getattr(self, name))

    # --- learning ---

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        on_epoch: OnEpoch | None = None,
        client: Client | None = None,
        **unsupported: Any,
    ) -> Self:
        """Learn from scratch, layer by layer, and in the end the readout.

        ``X`` may be larger than memory: of a memory map above 256 MiB (``np.load(..., mmap_mode="r")``) or a Dask
        array, one block of rows is in memory at a time, and so much of its features as is needed; where these are more
        than 256 MiB, they wait in a file in the folder of temporary files. Notes of the class say which weights are the
        same to the last bit.

        A call that fails or is interrupted leaves the model and its random state as they were; the same holds for
        :meth:`partial_fit`.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, height, width) or (n, height, width, channels)
            Images in [0, 1]. Given as such, with channels last, they have the shape that ``image_shape`` or the first
            layer says; ``image_shape="auto"`` is theirs. Arrays of torch, JAX and whatever knows ``__array__`` or
            DLPack will do.
        y : array-like of shape (n,)
            Labels, at least two different ones.
        on_epoch : function of (model, stage, done, n), optional
            Called before the first and after every pass of a stage: "feature map", "association" or another layer that
            learns in passes, by its name, "teaching", "readout". It sees the model as it is at that moment, which has
            its ``network_`` once the last layer begins to learn.
        client : distributed.Client, optional
            The workers of its cluster take blocks of rows through the first layer; the others learn here.
        **unsupported
            Refused by name. There is no ``sample_weight``: a cell is recruited by a sample, never by a share of one;
            repeat rows instead.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            A parameter out of its range; X that is not finite, or images that do not lie in [0, 1] or have another
            shape; labels that are NaN or None, or all alike.
        TypeError
            An argument that is not supported.

        Warns
        -----
        UserWarning
            ``image_shape="auto"`` takes rows for images, but they look like a table.
        """
        refuse(self, unsupported)
        with self._all_or_nothing(), one_blas_thread():
            rows, y = self._opened(X, y)
            self._fit(rows, y, partial(self._passes, on_epoch), client)
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None, **unsupported: Any) -> Self:
        """Go on learning from one batch, shown once.

        Layers that learn in steps, such as an association, and the readout learn in every call; others, such as a map
        or mixing, learn at the first call and stay as they are. Association cells wait to be recruited.

        Parameters
        ----------
        X : array-like
            As for :meth:`fit`; at least one row.
        y : array-like of shape (n,)
            Labels out of ``classes``.
        classes : array-like of shape (n_classes,), optional
            All labels that will ever come; needed at the first call, and unchanged after.
        **unsupported
            As for :meth:`fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As for :meth:`fit`; also ``classes`` that are missing at the first call or others at a later one, or a label
            that is not among them.
        TypeError
            As for :meth:`fit`.
        """
        refuse(self, unsupported)
        with self._all_or_nothing("network_", "encoder_", "_rng"), one_blas_thread():
            self._check_parameters()
            first = not hasattr(self, "network_")
            if not first:
                self._check_dtype()
            X, y = self._validate_labelled(X, y, reset=not hasattr(self, "encoder_"))
            known = known_classes(self, classes, first)
            class_index(y, known)  # before anything is learned
            self._learn_batch(X, y, known if first else None)
        return self

    def _all_or_nothing(self, *changed: str) -> AbstractContextManager[None]:
        layers = self.network_.layers.values() if hasattr(self, "network_") else ()
        return all_or_nothing(self, *changed, shared=[part for layer in layers for part in _fixed(layer)])

    def _generator(self) -> np.random.Generator:
        return drawn_generator(self.random_state)

    def _passes(self, on_epoch: OnEpoch | None, iterable: Iterable[int], desc: str) -> Iterator[int]:
        """The passes of a stage, shown and told of."""
        passes = list(iterable)
        if on_epoch is not None:
            on_epoch(self, desc, 0, len(passes))
        for done, item in enumerate(track(passes, self.progress, desc), 1):
            yield item
            if on_epoch is not None:
                on_epoch(self, desc, done, len(passes))

    def _one_hot(self, y: NDArray) -> OneHot:
        return OneHot(class_index(y, self.classes_), len(self.classes_), self.dtype)

    def _learn_readouts(
        self,
        network: Network,
        H: NDArray | Rows,
        T: Rows,
        n_epochs: int,
        passes: Any,
        excitation: NDArray | None = None,
    ) -> None:
        with self._finite_after(self.network_, "the readout"):
            eta = self._set("schedule").readout_eta
            network.learn_readouts(
                H, T, n_epochs=n_epochs, eta=eta, rng=self._rng, progress=passes, excitation=excitation
            )

    @contextmanager
    def _finite_after(self, network: Network, learner: str) -> Iterator[None]:
        """Weights that have left the numbers are named, also where something else stumbles over them first."""
        failure, before = None, {id(synapses): synapses.version for synapses in network.synapses()}
        try:
            yield
        except ValueError as error:
            failure = error
        for synapses in network.synapses():
            if synapses.version == before.get(id(synapses)):
                continue
            if not np.isfinite(largest_magnitude(synapses.weights, getattr(self, "n_threads", None))):
                name = next(name for name, known in network.pathways().items() if known is synapses)
                advice = "a rate or a gain is too large"
                raise ValueError(f"weights of {name} are not finite after {learner} learned: {advice}") from failure
        if failure is not None:
            raise failure

    # --- inference ---

    def checked_rows(self, X: ArrayLike) -> NDArray:
        """Rows of ``X`` as ``network_`` takes them, ``(n, n_features_in_)`` of the parameter ``dtype``, or an error as
        of :meth:`predict`."""
        check_is_fitted(self, "encoder_")
        return self._validate(X)

    def surrogates(self) -> dict[str, Any]:
        """Variants of this network by name whose gradients mislead an attack less (:mod:`bioneuro.surrogates`).

        Classifiers of the same classes that share its weights: softer competition, nearest wrong prototypes, the other
        readout. :class:`bioneuro.attacks.Adaptive` follows their gradients and asks this network for the labels.
        """
        check_is_fitted(self, "network_")
        found = {}
        for name, (network, readout) in variants(self.network_, self.readout).items():
            found[name] = copy.copy(self)
            found[name].network_, found[name].encoder_, found[name].readout = network, network.encoder, readout
        return found

    def weights(self) -> dict[str, sp.csr_array]:
        """Every pathway by name.

        Returns
        -------
        dict of str to scipy.sparse.csr_array of shape (n_post, n_pre)
            Read-only views, of the parameter ``dtype``: >= 0 of excitatory pathways, <= 0 of inhibitory ones.
            :meth:`outgoing` says which cells make each.

        Raises
        ------
        NotFittedError
            :meth:`fit` or :meth:`partial_fit` was not called.
        """
        check_is_fitted(self, "network_")
        return {name: synapses.to_scipy() for name, synapses in self.network_.pathways().items()}

    def cuts(self) -> dict[str, NDArray]:
        """Size below which each stored synapse would be silent, (nnz,) in CSR order, of pathways that are pruned: the
        ``threshold`` of :func:`bioneuro.analysis.fit_weight_distribution`."""
        check_is_fitted(self, "network_")
        return self.network_.cuts()

    def outgoing(self) -> dict[str, dict[str, sp.csr_array]]:
        """What each population of cells makes: those of :meth:`weights` whose columns are its cells, by name."""
        check_is_fitted(self, "network_")
        return {
            cells: {name: synapses.to_scipy() for name, synapses in made.items()}
            for cells, made in self.network_.outgoing().items()
        }

    def _front(self) -> Front:
        retina: Retina | None = getattr(self.encoder_, "retina", None)  # those of plain rates have none
        return Identity() if retina is None else retina

    def _checked(self, X: ArrayLike) -> NDArray:
        check_is_fitted(self, "network_")
        learned = sorted(self.network_.readouts)
        if self.readout not in learned:
            raise ValueError(f"readout must be one that has learned, {learned}, got {self.readout!r}: fit again for it")
        return self._validate(X)

    def _logits(self, X: ArrayLike) -> NDArray:
        rows = self._checked(X)
        return self.network_.logits(rows, self.readout)

    def _response_pass(self, X: NDArray) -> tuple[NDArray, Pullback]:
        space: GradientSpace = "image" if isinstance(self._front(), Identity) else "response"
        return self.network_.vjp(X, self.readout, space=space)

    # --- checks ---

    def _validate_labelled(self, X: ArrayLike, y: ArrayLike, reset: bool) -> tuple[NDArray, NDArray]:
        given = given_rows(X)
        rows, labels = validated_with_labels(self, given.rows, y, self.dtype, reset=reset)
        return self._checked_images(given, rows, reset), labels

    def _opened(self, X: Any, y: Any) -> tuple[NDArray | Rows, NDArray]:
        """Rows to learn from, and their labels, checked; of rows that are not in memory only the first is looked at:
        the others are when they are read."""
        self._check_parameters()
        source = opened(X, self.dtype)
        if source is None:
            return self._validate_labelled(X, y, reset=True)
        if hasattr(y, "compute"):  # a Dask array
            y = y.compute()
        check_labels(y)
        y = column_or_1d(y)
        check_consistent_length(source, y)
        check_classification_targets(y)
        self._validate(source[:1], reset=True)
        return source, y

    def _check_of_blocks(self) -> Check:
        return Check(np.dtype(self.dtype), images=self.image_shape_ is not None)

    def _validate(self, X: ArrayLike, reset: bool = False) -> NDArray:
        given = given_rows(X)
        if reset:
            rows = validate_data(self, given.rows, reset=True, dtype=np.dtype(self.dtype), order="C")
        else:
            learned = self.network_ if hasattr(self, "network_") else self.encoder_
            rows = validated(self, given.rows, feature_dtype(learned))  # whatever the parameter has been set to since
        return self._checked_images(given, rows, reset)

    def _checked_images(self, given: Given, rows: NDArray, reset: bool) -> NDArray:
        """The rows as they are, if they are such images as they must be."""
        if reset:
            self.image_shape_ = self._image_shape(given, rows)
        given.check(rows, self.image_shape_)
        return sealed_view(rows)  # they may be the caller's own, and layers may be the user's

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # features are of the parameter dtype
        return tags


def _fixed(layer: Any) -> list[Any]:
    """What learning in steps never changes: a layer that learned before, or the settings of one that learns."""
    if not is_like(layer, PlasticLayer):
        return [layer]
    return [part for part in getattr(layer, "__dict__", {}).values() if isinstance(part, Rule | Checked)]


def refuse(model: NetworkEstimator, unsupported: dict[str, Any]) -> None:
    """Raise TypeError if there is an argument that learning does not know."""
    for name in unsupported:
        advice = ": a cell is recruited by a sample, never by a share of one; repeat rows instead"
        raise TypeError(f"{type(model).__name__} does not support {name}{advice if name == 'sample_weight' else ''}")
