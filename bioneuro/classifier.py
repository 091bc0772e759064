"""The whole network as a scikit-learn estimator."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags, check_consistent_length, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ._attributes import Count, Labels, Maybe, Missing, Part, Plain, Strings
from .blockwise_encoding import Check, adapted, features
from .checks import Choice, Flag, Instance, Integer, check_dtype, check_labels, check_parameters
from .estimators import (
    LogitClassifier,
    all_or_nothing,
    check_classes,
    class_index,
    known_classes,
    validated,
    validated_with_labels,
)
from .image_rows import Given, given_rows, shape_of_rows
from .layers import COMPETITIONS, READOUTS, Adaptation, GrowthSettings, MapSettings, Mixing, Retina
from .layers.cells import excitatory_rule
from .layers.competitions import CompetitionLike, competition_maker
from .layers.interfaces import CompetitionMaker, Encoder, Progress, Space
from .nested_parameters import NestedParameters, takes_long_names
from .network import Network, untaught
from .progress import track
from .protocols import Pullback
from .row_sources import OneHot, Rows, opened
from .rules import RuleLike, Turnover, as_rule
from .schedule import Schedule
from .supervision import Supervision
from .surrogates import variants
from .synapses.array_checks import largest_magnitude
from .threads import Threads, one_blas_thread
from .white_box import Front, Identity, WhiteBoxMixin

if TYPE_CHECKING:
    from distributed import Client

#: What the parameters may be. Upper ends are far above what is of use: beyond them learning ends in garbage.
PARAMETERS = {
    "readout": (Choice(READOUTS),),
    "encoder": (Instance(MapSettings), Instance(Encoder), None),
    "competition": (Choice(COMPETITIONS), Instance(CompetitionMaker)),
    "n_cells": (Integer(),),
    "mixing": (Integer(0),),
    "turnover": (Instance(Turnover), "auto", None),
    "supervision": (Instance(Supervision), "auto", None),
    "growth": (Instance(GrowthSettings), "auto"),
    "schedule": (Instance(Schedule), "auto"),
    "n_threads": (Integer(), "auto", None),
    "progress": (Flag(),),
}

#: What "auto" stands for, and None where it is a value of its own.
AUTO = {"turnover": Turnover(), "supervision": Supervision(), "growth": GrowthSettings(), "schedule": Schedule()}
NONE = {"encoder": MapSettings(), "turnover": Turnover(birth=0, death=0), "supervision": Supervision(kappa=0, eta=0)}

#: ``on_epoch(model, stage, done, n)``.
OnEpoch = Callable[["BioClassifier", str, int, int], Any]


class BioClassifier(
    ClassNamePrefixFeaturesOutMixin, TransformerMixin, WhiteBoxMixin, NestedParameters, LogitClassifier
):
    """Sparse network of excitatory and inhibitory cells that learns by local multiplicative plasticity.

    Retina -> feature map -> pooling -> mixing -> association -> readout. The map learns without labels. Association
    cells are recruited by samples; the log of their weights relaxes to the standardised covariance of the two cells;
    weak synapses die, others are born; labels teach the cells contrastively. The readout learns by a multiplicative
    delta rule. All of it is local and no error is propagated backwards; weights end up sparse and lognormal, and every
    cell is excitatory or inhibitory (Dale's law).

    The estimator owns labels, parameters, defaults and checks; the layers, and what passes between them, belong to its
    ``network_``.

    Parameters
    ----------
    readout : {"delta", "votes", "perturbation"}, default "delta"
        What ``predict`` returns: the E/I delta readout, the association's votes, or the E/I readout taught by reward
        only.
    image_shape : "auto", None, (height, width) or (height, width, channels)
        ``"auto"``: a square gray image when the number of features is the square of 6 or more, else plain vectors.
        None: plain vectors (adapted ON/OFF rates in place of retina and map). Images must lie in [0, 1].
    encoder : None, MapSettings or a learned encoder
        Retina and feature map of images that are learned from X (:class:`bioneuro.layers.MapSettings`; None: with its
        defaults), or an encoder that has already learned (e.g. ``other.encoder_``) and is used as it is.
    competition : str, settings or class of competitions, default "softmax"
        How association cells compete: divided by one pool (``"softmax"``, :class:`bioneuro.layers.SoftmaxSettings`), or
        through learned inhibitory cells (``"circuit"``, :class:`bioneuro.layers.CircuitSettings`). With a pool a sample
        has the same logits alone and in any batch, with a circuit but for rounding.
    n_cells : int, default 3000
        Association cells; ``fit`` takes at most one for each sample.
    mixing : int, default 4000
        Cells of the mixing layer between features and association (:class:`bioneuro.layers.Mixing`); 0: none.
    rule : str, Rule or function, default "log-covariance"
        What the synapses of the association learn by: a name in :data:`bioneuro.rules.RULES`, a
        :class:`bioneuro.rules.Rule`, or a plain function of ``(synapses, X, Y, gain)``.
    turnover : Turnover, "auto" or None
        Deaths and births of the association's synapses (:class:`bioneuro.rules.Turnover`; ``"auto"``: with its
        defaults). None: every synapse stays.
    supervision : Supervision, "auto" or None
        What labels do to association cells (:class:`bioneuro.Supervision`; ``"auto"``: with its defaults). None:
        nothing, they only vote.
    growth : GrowthSettings or "auto"
        How association cells are recruited (:class:`bioneuro.layers.GrowthSettings`).
    schedule : Schedule or "auto"
        Passes over the samples, stage by stage, and the learning rate of the readout (:class:`bioneuro.Schedule`).
    random_state : int, RandomState or None
    dtype : {"float32", "float64"}, default "float32"
    n_threads : int >= 1, "auto" or None
        Threads of the kernels; results do not depend on it.
    progress : bool, default False
        Show progress bars (tqdm).

    Attributes
    ----------
    classes_ : array (n_classes,)
    encoder_ : FeatureMap, LocalMap or Adaptation
    network_ : Network
    image_shape_ : tuple or None

    Notes
    -----
    Each field of a rule and of settings is also a parameter by its long name, such as ``turnover__birth`` or
    ``encoder__n_columns``: in :meth:`get_params` and :meth:`set_params`, in grids of a search, and in the constructor.
    Beside an encoder that has learned, those of ``encoder`` have no effect.

    Examples
    --------
    >>> import bioneuro as bn
    >>> model = bn.BioClassifier(n_cells=200, encoder=bn.layers.MapSettings(n_columns=16), random_state=0)
    >>> model.set_params(turnover__birth=0.01, schedule__readout_epochs=20).turnover
    Turnover(birth=0.01, death=0.005, gamma=1.5)

    References
    ----------
    Inoue, Roehrbein & Knoblauch 2026, arXiv:2603.03234 (the principles; the equations are this project's
    reconstruction).
    """

    SAVED: ClassVar = {
        "n_features_in_": Missing(Count(1)),
        "classes_": Missing(Labels()),
        "encoder_": Missing(Part(Encoder, {"n_inputs": "n_features_in_"})),
        "network_": Missing(
            Part(Network, {"association.n_classes": "classes_.size", "encoder.n_inputs": "n_features_in_"})
        ),
        "image_shape_": Missing(Maybe(Part(tuple))),
        "feature_names_in_": Missing(Strings("n_features_in_")),
        "_rng": Missing(Part(np.random.Generator)),
        ...: Plain(),  # parameters, which learning checks, and what scikit-learn keeps
    }

    def check_saved(self) -> None:
        """Whether all of the parameters are there, and what has been learned goes with them
        (:mod:`bioneuro._attributes`)."""
        missing = set(self._get_param_names()) - vars(self).keys()
        if missing:
            raise ValueError(f"parameters of a BioClassifier are missing: {', '.join(sorted(missing))}")
        if hasattr(self, "encoder_") and not (hasattr(self, "n_features_in_") and hasattr(self, "image_shape_")):
            raise ValueError("a BioClassifier that has an encoder_ must have n_features_in_ and image_shape_")
        shape = getattr(self, "image_shape_", None)
        if shape is not None and (len(shape) not in (2, 3) or math.prod(shape) != self.n_features_in_):
            raise ValueError(f"image_shape_ of a BioClassifier must make {self.n_features_in_} features, got {shape}")
        if hasattr(self, "network_"):
            self._check_parameters()
            dtype = self.network_.association.synapses.dtype
            if np.dtype(self.dtype) != dtype:
                raise ValueError(f"dtype must be that of what was learned, {dtype}, got {self.dtype!r}: fit again")
            if not hasattr(self, "_rng") or self.network_.encoder.n_features != self.encoder_.n_features:
                raise ValueError("a BioClassifier that has learned must have _rng, and encoder_ be that of network_")

    #: Former names of parameters, which go with the next release.
    FORMER: ClassVar = {
        **{
            name: (f"encoder__{name}",)
            for name in (
                "feature_map", "n_columns", "patch_size", "exponent", "semi_saturation", "c0", "g0", "gate_exponent",
            )
        },
        "map_beta": ("encoder__beta",),
        "beta": ("competition__beta",),
        "kappa": ("supervision__kappa",),
        "teaching": ("supervision__eta",),
        **{name: (f"turnover__{name}",) for name in ("birth", "death", "gamma")},
        "vigilance": ("growth__vigilance",),
        "init": ("encoder__init", "growth__init"),
        "n_epochs": ("schedule__association_epochs",),
        **{name: (f"schedule__{name}",) for name in ("teaching_epochs", "readout_epochs", "readout_eta")},
    }  # fmt: skip
    FINISHED: ClassVar = {"encoder": MapSettings}

    @takes_long_names
    def __init__(
        self,
        readout: str = "delta",
        *,
        image_shape: tuple[int, ...] | Literal["auto"] | None = "auto",
        encoder: MapSettings | Encoder | None = None,
        competition: CompetitionLike = "softmax",
        n_cells: int = 3000,
        mixing: int = 4000,
        rule: RuleLike = "log-covariance",
        turnover: Turnover | Literal["auto"] | None = "auto",
        supervision: Supervision | Literal["auto"] | None = "auto",
        growth: GrowthSettings | Literal["auto"] = "auto",
        schedule: Schedule | Literal["auto"] = "auto",
        random_state: int | np.random.RandomState | None = None,
        dtype: DTypeLike = "float32",
        n_threads: Threads = None,
        progress: bool = False,
    ) -> None:
        self.readout = readout
        self.image_shape = image_shape
        self.encoder = encoder
        self.competition = competition
        self.n_cells = n_cells
        self.mixing = mixing
        self.rule = rule
        self.turnover = turnover
        self.supervision = supervision
        self.growth = growth
        self.schedule = schedule
        self.random_state = random_state
        self.dtype = dtype
        self.n_threads = n_threads
        self.progress = progress

    @staticmethod
    def _settings(name: str, value: Any) -> Any:
        if name == "encoder":
            value = NONE[name] if value is None else value if isinstance(value, MapSettings) else None
        elif name in ("competition", "rule"):
            with suppress(TypeError, ValueError):  # which learning refuses by name
                value = competition_maker(value) if name == "competition" else as_rule(value)
        elif value is None or (isinstance(value, str) and value == "auto"):
            value = (NONE if value is None else AUTO).get(name)
        return NestedParameters._settings(name, value)

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
    ) -> BioClassifier:
        """Learn from scratch.

        ``X`` may be larger than memory: of a memory map above 256 MiB (``np.load(..., mmap_mode="r")``) or a Dask
        array, one block of rows is in memory at a time, and so much of its features as is needed; where these are more
        than 256 MiB, they wait in a file in the folder of temporary files. Images give the same weights, bit for bit,
        in memory, from a file and with any number of workers, of which some may be lost; plain vectors in memory differ
        by rounding from those in blocks.

        A call that fails or is interrupted leaves the model and its random state as they were; the same holds for
        :meth:`partial_fit` and :meth:`fit_features`.

        Parameters
        ----------
        X : array-like of shape (n, n_features), (n, height, width) or (n, height, width, channels)
            Images in [0, 1]. Given as such, with channels last, they have the shape that ``image_shape`` says, and
            ``"auto"`` is theirs. Arrays of torch, JAX and whatever knows ``__array__`` or DLPack will do.
        y : array-like of shape (n,)
            Labels, at least two different ones.
        on_epoch : function of (model, stage, done, n), optional
            Called before the first and after every pass of a stage: "feature map", "association", "teaching",
            "readout". It sees the model as it is at that moment.
        client : distributed.Client, optional
            The workers of its cluster encode blocks of rows; the cells learn here.
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
        _refuse(unsupported)
        with self._all_or_nothing(), one_blas_thread():
            self._fit(X, y, partial(self._passes, on_epoch), client)
        return self

    def _fit(self, X: Any, y: ArrayLike, passes: Progress, client: Client | None) -> None:
        self._check_parameters()
        source = opened(X, self.dtype)
        if source is None:
            source, y = self._validate_labelled(X, y, reset=True)
        else:
            y = self._validate_source(source, y)
        rng = self._generator()
        self._learn_encoder(source, rng, passes, client)
        n_cells = min(self.n_cells, len(source))
        H = self._start(source, np.unique(y), n_cells, rng, client)
        T = self._one_hot(y)
        schedule: Schedule = self._set("schedule")
        network = self.network_
        with self._finite_after("the association"):
            n_epochs = schedule.of_association(len(H), n_cells)
            network.learn_association(H, T, n_epochs=n_epochs, rng=rng, progress=passes)
        if network.association.teacher is not None:
            with self._finite_after("the teacher"):
                n_epochs = schedule.of_teaching(len(H))
                network.teach_association(H, T, n_epochs=n_epochs, rng=rng, progress=passes)
        self._learn_readouts(H, T, schedule.of_readout(len(H)), passes)

    def partial_fit(
        self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None, **unsupported: Any
    ) -> BioClassifier:
        """Go on learning from one batch, shown once.

        Retina, map and mixing learn at the first call and stay as they are; ``n_cells`` association cells wait to be
        recruited.

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
            An argument that is not supported.
        """
        _refuse(unsupported)
        with self._all_or_nothing("network_", "_rng"), one_blas_thread():
            self._partial_fit(X, y, classes)
        return self

    def _partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None) -> None:
        first = not hasattr(self, "network_")
        X, y = self._validate_labelled(X, y, reset=not hasattr(self, "encoder_"))
        known = known_classes(self, classes, first)
        class_index(y, known)  # before anything is learned
        passes = partial(self._passes, None)
        if first:
            rng = self._generator()
            if not hasattr(self, "encoder_"):
                self._learn_encoder(X, rng, passes)
            H = self._start(X, known, self.n_cells, rng)
        else:
            H = self.encoder_.encode(X)
        self.network_.association.vigilance = self._set("growth").vigilance
        T = self._one_hot(y)
        with self._finite_after("the association"):
            self.network_.learn_association(H, T, n_epochs=1, rng=self._rng, progress=passes)
        self._learn_readouts(H, T, 1, passes)

    def fit_features(self, X: ArrayLike, y: Any = None, *, on_epoch: OnEpoch | None = None) -> BioClassifier:
        """Learn retina and map without labels.

        :meth:`partial_fit` then keeps them, and so does another classifier that is given ``encoder=self.encoder_``.

        Parameters
        ----------
        X : array-like
            As for :meth:`fit`.
        y : ignored
        on_epoch : function of (model, stage, done, n), optional
            As for :meth:`fit`; the stage is "feature map".

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As for :meth:`fit`.
        """
        with self._all_or_nothing(), one_blas_thread():
            X = self._validate(X, reset=True)
            if hasattr(self, "network_"):
                del self.network_  # it was learned on other features
            self._learn_encoder(X, self._generator(), partial(self._passes, on_epoch))
        return self

    def _all_or_nothing(self, *changed: str) -> AbstractContextManager[None]:
        network = getattr(self, "network_", None)
        return all_or_nothing(self, *changed, shared=(network and network.encoder, network and network.mixing))

    def _passes(self, on_epoch: OnEpoch | None, iterable: Iterable[int], desc: str) -> Iterator[int]:
        """The passes of a stage, shown and told of."""
        passes = list(iterable)
        if on_epoch is not None:
            on_epoch(self, desc, 0, len(passes))
        for done, item in enumerate(track(passes, self.progress, desc), 1):
            yield item
            if on_epoch is not None:
                on_epoch(self, desc, done, len(passes))

    def _learn_encoder(
        self, X: NDArray | Rows, rng: np.random.Generator, passes: Progress, client: Client | None = None
    ) -> None:
        settings: MapSettings | None = self._set("encoder")
        if settings is None:
            self.encoder_ = cast(Encoder, self.encoder)  # a finished one, or there would be settings
        elif self.image_shape_ is not None:
            made = settings.make(self.image_shape_, random_state=rng, dtype=self.dtype, n_threads=self.n_threads)
            self.encoder_ = made.learn(X, random_state=rng, progress=passes)
        elif isinstance(X, np.ndarray):
            self.encoder_ = Adaptation(X.shape[1], dtype=self.dtype).learn(X)
        else:
            self.encoder_ = adapted(X, self._check_of_blocks(), self.dtype, client)

    def _start(
        self,
        X: NDArray | Rows,
        classes: NDArray,
        n_cells: int,
        rng: np.random.Generator,
        client: Client | None = None,
    ) -> NDArray | Rows:
        """A mixing layer that knows the features of ``X``, which are returned, association and readouts that know
        nothing yet."""
        check_classes(classes)
        mixing = None
        if self.mixing:
            n_features = self.encoder_.n_features
            mixing = Mixing(n_features, self.mixing, random_state=rng, dtype=self.dtype, n_threads=self.n_threads)
        H = features(self.encoder_, mixing, X, self._check_of_blocks(), client)
        competition = competition_maker(self.competition)
        supervision: Supervision = self._set("supervision")
        self.network_ = untaught(
            self.encoder_,
            n_cells,
            len(classes),
            [self.readout],
            rng=rng,
            mixing=mixing,
            competition=competition,
            kappa=supervision.kappa,
            rule=self.rule,
            turnover=self._set("turnover"),
            teacher=supervision.teacher if competition.taught else None,
            init=self._set("growth").init,
            dtype=self.dtype,
            n_threads=self.n_threads,
        )
        self.classes_, self._rng = classes, rng
        return H

    def _one_hot(self, y: NDArray) -> OneHot:
        return OneHot(np.searchsorted(self.classes_, y), len(self.classes_), self.dtype)

    def _learn_readouts(self, H: NDArray | Rows, T: Rows, n_epochs: int, passes: Progress) -> None:
        with self._finite_after("the readout"):
            eta = self._set("schedule").readout_eta
            self.network_.learn_readouts(H, T, n_epochs=n_epochs, eta=eta, rng=self._rng, progress=passes)

    @contextmanager
    def _finite_after(self, learner: str) -> Iterator[None]:
        """Weights that have left the numbers are named, also where something else stumbles over them first."""
        failure, before = None, {id(synapses): synapses.version for synapses in self.network_.pathways().values()}
        try:
            yield
        except ValueError as error:
            failure = error
        for name, synapses in self.network_.pathways().items():
            if synapses.version == before.get(id(synapses)):
                continue
            if not np.isfinite(largest_magnitude(synapses.weights, self.n_threads)):
                advice = "a rate or a gain is too large"
                raise ValueError(f"weights of {name} are not finite after {learner} learned: {advice}") from failure
        if failure is not None:
            raise failure

    # --- inference ---

    @property
    def _n_features_out(self) -> int:
        """Of :meth:`transform`; scikit-learn names them by it."""
        return self.encoder_.n_features

    def transform(self, X: ArrayLike) -> NDArray:
        """Features of the encoder.

        Parameters
        ----------
        X : array-like
            As for :meth:`fit`, of as many features as it learned from.

        Returns
        -------
        ndarray of shape (n, n_features_out), of the parameter ``dtype``
            Rates >= 0, rows of unit norm: of images pooled ones, ``windows x windows x n_columns`` of them, of plain
            vectors an ON and an OFF rate for each feature.

        Raises
        ------
        NotFittedError
            Neither :meth:`fit` nor :meth:`fit_features` was called.
        ValueError
            X is not finite, of another number of features or another shape, or not in [0, 1] where it is images.
        """
        check_is_fitted(self, "encoder_")
        return self.encoder_.encode(self._validate(X))

    def surrogates(self) -> dict[str, BioClassifier]:
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
        X = self._checked(X)
        return self.network_.logits(self.encoder_.encode(X), self.readout)

    def _response_pass(self, X: NDArray) -> tuple[NDArray, Pullback]:
        space: Space = "image" if isinstance(self._front(), Identity) else "response"
        return self.network_.vjp(X, self.readout, space=space)

    # --- checks ---

    def _generator(self) -> np.random.Generator:
        return np.random.default_rng(check_random_state(self.random_state).randint(2**31))

    def _validate_labelled(self, X: ArrayLike, y: ArrayLike, reset: bool) -> tuple[NDArray, NDArray]:
        if reset:
            self._check_parameters()
        given = given_rows(X)
        rows, labels = validated_with_labels(self, given.rows, y, self.dtype, reset=reset)
        return self._checked_images(given, rows, reset), labels

    def _validate_source(self, X: Rows, y: Any) -> NDArray:
        """Labels, checked, of rows that are not in memory, of which the first alone are looked at; the others are when
        they are read."""
        if hasattr(y, "compute"):  # a Dask array
            y = y.compute()
        check_labels(y)
        y = column_or_1d(y)
        check_consistent_length(X, y)
        check_classification_targets(y)
        self._validate(X[:1], reset=True)
        return y

    def _check_of_blocks(self) -> Check:
        return Check(np.dtype(self.dtype), images=self.image_shape_ is not None)

    def _validate(self, X: ArrayLike, reset: bool = False) -> NDArray:
        given = given_rows(X)
        if reset:
            self._check_parameters()
            rows = validate_data(self, given.rows, reset=True, dtype=np.dtype(self.dtype), order="C")
        else:
            rows = validated(self, given.rows, self.dtype)
        return self._checked_images(given, rows, reset)

    def _checked_images(self, given: Given, rows: NDArray, reset: bool) -> NDArray:
        """The rows as they are, if they are such images as they must be."""
        if reset:
            self.image_shape_ = shape_of_rows(self.image_shape, given, rows)
        given.check(rows, self.image_shape_)
        return rows

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # features are of the parameter dtype
        return tags

    def _check_parameters(self) -> None:
        check_parameters(self, PARAMETERS)
        check_dtype(self.dtype)
        excitatory_rule(self.rule)
        turnover: Turnover = self._set("turnover")
        if turnover.death and not turnover.birth:
            raise ValueError(f"birth must be > 0 where synapses die (death = {turnover.death}), got {turnover.birth}")


def _refuse(unsupported: dict[str, Any]) -> None:
    """Raise TypeError if there is an argument that learning does not know."""
    for name in unsupported:
        advice = ": a cell is recruited by a sample, never by a share of one; repeat rows instead"
        raise TypeError(f"BioClassifier does not support {name}{advice if name == 'sample_weight' else ''}")
