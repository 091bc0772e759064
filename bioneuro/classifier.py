"""The whole network as a scikit-learn estimator."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal, cast

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from sklearn.utils.validation import check_is_fitted

from .blockwise_encoding import adapted, features
from .checks import Choice, Flag, Instance, Integer, check_dtype, check_parameters
from .estimators import check_classes
from .image_rows import Given, shape_of_rows
from .layers import COMPETITIONS, READOUTS, Adaptation, GrowthSettings, MapSettings, Mixing
from .layers.cells import excitatory_rule
from .layers.competitions import CompetitionLike, competition_maker
from .layers.interfaces import CompetitionMaker, Encoder, Progress
from .nested_parameters import NestedParameters, takes_long_names
from .network import untaught
from .network_estimator import NetworkEstimator, OnEpoch
from .row_sources import Rows
from .rules import RuleLike, Turnover, as_rule
from .schedule import Schedule
from .supervision import Supervision
from .threads import MOST, Threads, one_blas_thread

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
    "n_threads": (Integer(1, MOST), "auto", None),
    "progress": (Flag(),),
}

#: What "auto" stands for, and None where it is a value of its own.
AUTO = {"turnover": Turnover(), "supervision": Supervision(), "growth": GrowthSettings(), "schedule": Schedule()}
NONE = {"encoder": MapSettings(), "turnover": Turnover(birth=0, death=0), "supervision": Supervision(kappa=0, eta=0)}


class BioClassifier(NetworkEstimator):
    """Sparse network of excitatory and inhibitory cells that learns by local multiplicative plasticity.

    Retina -> feature map -> pooling -> mixing -> association -> readout. The map learns without labels. Association
    cells are recruited by samples; the log of their weights relaxes to the standardised covariance of pre- and
    post-synaptic rates; weak synapses die, others are born; labels teach the cells contrastively. The readout learns by
    a multiplicative delta rule. All of it is local and no error is propagated backwards; weights end up sparse and
    lognormal, and every cell is excitatory or inhibitory (Dale's law).

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
        through learned inhibitory cells (``"circuit"``, :class:`bioneuro.layers.CircuitSettings`). With a pool logits
        do not depend on the batch; with a circuit they do in their last digits. A class is made with its defaults.
    n_cells : int, default 3000
        Association cells; ``fit`` takes at most one for each sample, ``partial_fit`` all of them.
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
    random_state : int, RandomState or None, default None
        Of everything that is drawn: wiring, first weights, order of the samples. An integer makes ``fit`` repeatable,
        bit for bit.
    dtype : {"float32", "float64"}, default "float32"
        Of rates and weights.
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
    n_features_in_ : int

    Notes
    -----
    Each field of a rule and of settings is also a parameter by its long name, such as ``turnover__birth`` or
    ``encoder__n_columns``: in :meth:`get_params` and :meth:`set_params`, in grids of a search, and in the constructor.
    ``encoder__*`` have no effect where ``encoder`` has learned already.

    Weights learned from images are the same, bit for bit, whether ``X`` is in memory, memory-mapped or on the workers
    of a Dask cluster, even if some of these die; plain vectors in memory differ by rounding from those in blocks.

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
        "eta": ("rule__eta",),
        "sigma": ("rule__sigma",),
        "kappa": ("supervision__kappa",),
        "teaching": ("supervision__eta",),
        **{name: (f"turnover__{name}",) for name in ("birth", "death", "gamma")},
        "vigilance": ("growth__vigilance",),
        "init": ("encoder__init", "growth__init"),
        "n_epochs": ("schedule__association_epochs",),
        **{name: (f"schedule__{name}",) for name in ("teaching_epochs", "readout_epochs", "readout_eta")},
    }  # fmt: skip
    FORMER_BEFORE_FILES: ClassVar = frozenset({"eta", "sigma"})
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

    # --- learning ---

    def _fit(self, rows: NDArray | Rows, y: NDArray, passes: Progress, client: Client | None) -> None:
        rng = self._generator()
        self._learn_encoder(rows, rng, passes, client)
        n_cells = min(self.n_cells, len(rows))
        H = self._start(rows, np.unique(y), n_cells, rng, client)
        T = self._one_hot(y)
        schedule: Schedule = self._set("schedule")
        network, H = self.network_.on_features.narrowed(H, share=0.5)  # the readout keeps as much again
        with self._finite_after(self.network_, "the association"):
            n_epochs = schedule.of_association(len(H), n_cells)
            network.learn(H, T, n_epochs=n_epochs, rng=rng, progress=passes)
        if network.association.teacher is not None:
            with self._finite_after(self.network_, "the teacher"):
                n_epochs = schedule.of_teaching(len(H))
                network.teach(H, T, n_epochs=n_epochs, rng=rng, progress=passes)
        self._learn_readouts(network, H, T, schedule.of_readout(len(H)), passes)

    def _learn_batch(self, X: NDArray, y: NDArray, classes: NDArray | None) -> None:
        passes = partial(self._passes, None)
        H: NDArray | Rows
        if classes is None:
            H = self.encoder_.encode(X)
        else:
            rng = self._generator()
            if not hasattr(self, "encoder_"):
                self._learn_encoder(X, rng, passes)
            H = self._start(X, classes, self.n_cells, rng)
        network, H = self.network_.on_features.narrowed(H)
        network.association.vigilance = self._set("growth").vigilance
        T = self._one_hot(y)
        with self._finite_after(self.network_, "the association"):
            excitation = network.learn(H, T, n_epochs=1, rng=self._rng, progress=passes)
        self._learn_readouts(network, H, T, 1, passes, excitation)

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
            self._check_parameters()
            X = self._validate(X, reset=True)
            if hasattr(self, "network_"):
                del self.network_  # it was learned on other features
            self._learn_encoder(X, self._generator(), partial(self._passes, on_epoch))
        return self

    def _learn_encoder(
        self, X: NDArray | Rows, rng: np.random.Generator, passes: Progress, client: Client | None = None
    ) -> None:
        settings: MapSettings | None = self._set("encoder")
        if settings is None:
            self.encoder_ = cast(Encoder, self.encoder)  # a finished one, or there would be settings
            wanted, got = getattr(self.encoder_, "n_inputs", self.n_features_in_), self.n_features_in_
            if wanted != got:
                raise ValueError(f"X must have {wanted} features, as encoder takes, got {got}")
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
        H = features(self.encoder_.encode, mixing, X, self._check_of_blocks(), client)
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

    # --- checks ---

    def _image_shape(self, given: Given, rows: NDArray) -> tuple[int, ...] | None:
        return shape_of_rows(self.image_shape, given, rows)

    def _check_parameters(self) -> None:
        check_parameters(self, PARAMETERS)
        check_dtype(self.dtype)
        excitatory_rule(self.rule)
        turnover: Turnover = self._set("turnover")
        if turnover.death and not turnover.birth:
            raise ValueError(f"birth must be > 0 where synapses die (death = {turnover.death}), got {turnover.birth}")
