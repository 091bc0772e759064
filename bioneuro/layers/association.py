"""Association layer: competitive cells on features, each with a vote for every class."""

from __future__ import annotations

from dataclasses import is_dataclass, replace
from functools import partial
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import connectivity
from .._attributes import Array, Maybe, Part
from ..checks import POSITIVE_SHARE, Number, check, check_count
from ..connectivity import Init
from ..deprecation import warn_of_former
from ..rules import FusedRule, Rule, RuleLike
from ..synapses import Synapses
from ..threads import Threads
from .cells import PlasticCells, hand_over, own_rule
from .competitions import CompetitionLike, competition_maker
from .growth import Recruitment, Vigilance
from .interfaces import CompetitionMaker, Growth, Learned
from .numeric_limits import GAIN, GAIN_OR_NONE, check_magnitude

#: Least top-down gain in growth. From there on a cell learns from samples of its own label alone; with less, classes
#: that come later draw cells of the earlier ones away.
GROWTH_KAPPA = 5.0
#: Drive of a cell that never learned, in standard deviations: its rate is 0 at any gain.
MUTE = -1e4
#: Steps over which the spread of the drive is averaged.
SPREAD_MEMORY = 20
#: How far the votes must be from certain of a label for a sample to teach anything: on MNIST it saves a fifth of the
#: time of teaching, with no loss seen.
LEAST_SURPRISE = 0.01
#: How far the cells must have moved together, in growth, before synapses turn over: a cell that takes an input over
#: moves by 1. One sample kills and bears a handful of synapses, for which all of them are gone through.
LEAST_MOVED = 10.0
#: The kernel leaves cells alone whose activity times learning rate, relative to that of the rule, is below 1e-6. They
#: move by about that product times the rule's rate: by less than half of it, none has changed.
LEAST_ALPHA = 5e-7
#: Where every input drives all cells alike, the gain of the competition is taken at this spread.
LEAST_SPREAD = 1e-6
#: Former names of parameters that are fields of the settings of the competition now.
OF_COMPETITION = ("beta", "sharpening", "k")


class Association(PlasticCells):
    """Competitive layer on features ``h`` with votes ``v_i(c)`` that relax to ``E[label = c | cell i active]``.

    Cells start silent, without synapses, and are recruited. In learning the label adds a top-down drive
    ``kappa v_i(label)``: ``kappa = 0`` leaves cells feature-specific, a large one makes them task-specific. Drives are
    measured in units of their spread: the standard deviation over the cells, averaged over samples (divisive gain
    control by the pool).

    Which inputs recruit depends on ``vigilance``. None: those of a batch that are matched worst take over cells that
    have been silent lately (:class:`bioneuro.layers.Recruitment`). A number: those that are novel take over cells that
    never learned (:class:`bioneuro.layers.Vigilance`), and since samples may come class by class, cells learn from
    samples of their own label (``kappa`` is then at least 5) and their weights follow the mean input as it moves
    (:meth:`bioneuro.rules.Rule.follow_mean`).

    Parameters
    ----------
    n_cells, n_inputs, n_classes : int
    rule : str, Rule or function, default "log-covariance"
        See :class:`CompetitiveLayer`.
    teacher : Rule or None
        What the synapses do in :meth:`teach` (:class:`bioneuro.rules.Contrastive`).
    competition : str, settings or class, default "softmax"
        How cells compete: a name in :data:`bioneuro.layers.COMPETITIONS`, :class:`bioneuro.layers.SoftmaxSettings` or
        :class:`bioneuro.layers.CircuitSettings`, or anything else that makes a :class:`bioneuro.layers.Competition`.
        Its ``beta`` is in units of one over the spread of the drive.
    kappa : float, default 0.2
        Top-down gain, in units of the spread of the drive, >= 0; in growth at least 5.
    vigilance : float or None, default None
        Least match in (0, 1] of an input that is not novel; None: no growth.
    activity_gain : float, default 0.5
        Gain of the smooth activity that readouts see, relative to that of the competition, > 0.
    init : str or callable, default "uniform"
        Law of the weights from which a recruited cell starts (:mod:`bioneuro.connectivity`), > 0.
    dtype : float32 or float64
    **cells
        ``turnover``, ``homeostasis``, ``rate_memory`` of :class:`CompetitiveLayer`; ``recruitment``, default 0.25, and
        ``intrinsic``, default True, too.
    """

    SAVED: ClassVar = PlasticCells.SAVED | {
        "teacher": Maybe(Part(Rule)),
        "kappa": GAIN_OR_NONE,
        "activity_gain": GAIN,
        "vigilance": Maybe(POSITIVE_SHARE),
        "votes": Array("n_cells", None, low=0, dtype="synapses.dtype"),
        "variance": Number(0),
        "preferred": Array("n_cells", low=0, open=True, dtype="synapses.dtype"),
    }

    def __init__(
        self,
        n_cells: int,
        n_inputs: int,
        n_classes: int,
        *,
        competition: CompetitionLike = "softmax",
        rule: RuleLike = "log-covariance",
        teacher: RuleLike | None = None,
        kappa: float = 0.2,
        vigilance: float | None = None,
        activity_gain: float = 0.5,
        init: Init = "uniform",
        dtype: DTypeLike = np.float32,
        seed: int = 0,
        n_threads: Threads = None,
        **cells: Any,
    ) -> None:
        check_count("n_classes", n_classes)
        check("kappa", kappa, GAIN_OR_NONE)
        check("vigilance", vigilance, POSITIVE_SHARE, None)
        check("activity_gain", activity_gain, GAIN)
        maker = _with_former(competition_maker(competition), cells)
        rivalry = maker(n_cells, seed=seed, dtype=dtype, n_threads=n_threads)
        if teacher is not None and not rivalry.taught:
            raise ValueError(
                f"teacher must be None where {type(rivalry).__name__} compete: their rates are no softmax, whose "
                "gradient a teacher follows"
            )
        super().__init__(
            _unconnected(n_cells, n_inputs, dtype), rivalry, rule=rule, init=connectivity.initialiser(init),
            seed=seed, n_threads=n_threads, **{"recruitment": 0.25, "intrinsic": True, **cells},
        )  # fmt: skip
        self.teacher = None if teacher is None else own_rule(teacher, seed, n_threads, "teacher")
        self.kappa, self.activity_gain = float(kappa), float(activity_gain)
        self.vigilance = vigilance
        self.votes = np.full((n_cells, n_classes), 1 / n_classes, dtype)
        self.variance = 0.0  # of the drive over the cells that have learned; 0 before
        self.preferred = np.ones(n_cells, dtype)  # drive of the input that a cell took over

    @property
    def n_classes(self) -> int:
        """Classes that a cell can vote for."""
        return self.votes.shape[1]

    @property
    def growth(self) -> Growth:
        """Which cells take over which inputs."""
        return Recruitment(self.recruitment) if self.vigilance is None else Vigilance(self.vigilance)

    @property
    def gain(self) -> float:
        """Gain of the competition in units of the drive: ``beta`` over the spread of the drive."""
        return self.beta / self.spread

    @property
    def spread(self) -> float:
        """Standard deviation of the drive over the cells that have learned, averaged over samples; 1 before."""
        return max(float(np.sqrt(self.variance)), LEAST_SPREAD) if self.variance else 1.0

    @property
    def top_down_gain(self) -> float:
        """``kappa``, in growth at least :data:`GROWTH_KAPPA`."""
        return self.kappa if self.vigilance is None else max(self.kappa, GROWTH_KAPPA)

    @property
    def live(self) -> NDArray[np.bool_]:
        """Which cells have learned, shape ``(n_cells,)``: the others are mute."""
        return self.age > 0

    @property
    def owner(self) -> NDArray[np.intp]:
        """Class that each cell votes for, -1 of a cell that never learned, shape ``(n_cells,)``."""
        return np.where(self.live, self.votes.argmax(axis=1), -1)

    # --- learning ---

    def learn(self, H: NDArray, T: NDArray) -> Learned:
        """One learning step on features ``H (batch, n_inputs)`` and one-hot labels ``T (batch, n_classes)``."""
        self._check(H, T)
        if self.intrinsic or any(rule.observes for rule in (self.rule, self.teacher) if rule is not None):
            self._observe(H)  # before anything is compared with mean and spread
        a = self.excite(H)
        self._admit(H, a, T)
        excitation = a.copy() if len(H) == 1 else None
        self._measure_spread(a)
        match = a.max(axis=1)
        if self.top_down_gain:
            a += self._top_down(T)
        y, inhibitory = self.competition.compete(a, self.gain, self.threshold, float(self.speed(len(H))))
        if not self.live.any():  # no cell can respond yet
            y[:] = 0
        recruits, inputs = self.growth.worst_matched(self.rate, match)
        hand_over(y, recruits, inputs)
        if recruits.size:
            self._enlist(recruits, H[inputs])
        learned = self.follow(H, y, len(H), recruits)
        self._vote(learned, T)
        self.competition.learn(learned, inhibitory)
        return learned if excitation is None else self._excited(learned, H, excitation)

    def _excited(self, learned: Learned, H: NDArray, a: NDArray) -> Learned:
        """With the excitation after the step, given that before it, ``a (1, n_cells)``: of the cells that took part it
        is computed anew. Not where the rule may have changed others, too."""
        rule = self.rule
        if not (isinstance(rule, FusedRule) and rule.normalize and rule.relaxes and self.live.all()):
            return learned
        moved = np.flatnonzero(learned.alpha >= LEAST_ALPHA * rule.eta)
        if moved.size:
            own = Synapses.from_scipy(self.synapses.to_scipy()[moved], sign="E")
            a[:, moved] = own.forward(self.centred(H), n_threads=self.n_threads)
        return learned._replace(excitation=a)

    def _check(self, H: NDArray, T: NDArray) -> None:
        self.check_input(H, "H")
        if np.shape(T) != (len(H), self.votes.shape[1]) or not np.isfinite(T).all():
            wanted = (len(H), self.votes.shape[1])
            raise ValueError(f"T must be finite and of shape {wanted}, got shape {np.shape(T)}")

    def _observe(self, H: NDArray) -> None:
        """Update the mean and spread of the input. In a stream these drift, and the weights learned relative to them
        follow."""
        before = self.synapses.pre_mean
        self.synapses.observe(H, self.n_threads)
        if self.vigilance is not None and before is not None:
            self.rule.follow_mean(self.synapses, before)

    def _admit(self, H: NDArray, a: NDArray, T: NDArray) -> None:
        """Cells take over novel inputs and then compete for the batch: their drive changes in ``a``."""
        cells, inputs = self.growth.novel(self, H, a, T)
        if not cells.size:
            return
        a[:, cells] = self._enlist(cells, H[inputs]).forward(self.centred(H), n_threads=self.n_threads)
        self.votes[cells] = T[inputs]
        # ready to respond, but of age 0: its life begins with this batch
        self.age[cells], self.rate[cells] = np.finfo(float).tiny, 1 / self.n_cells

    def _measure_spread(self, a: NDArray) -> None:
        live = self.live
        if live.sum() > 1:
            variance = float(a[:, live].var(axis=1).mean())
            self.variance += (variance - self.variance) / (SPREAD_MEMORY if self.variance else 1)

    def _top_down(self, T: NDArray) -> NDArray:
        """What the labels add to the drive of every cell."""
        support = self.competition.top_down(T @ self.votes.T)
        return self.votes.dtype.type(self.top_down_gain * self.spread) * support

    def _enlist(self, cells: NDArray[np.intp], H: NDArray) -> Synapses:
        """Cells take over an input each, and remember how strongly it drives them. Returns their synapses."""
        own = self.take_over(cells, H)
        taken = np.diagonal(own.forward(self.centred(H), n_threads=self.n_threads))
        self.preferred[cells] = np.maximum(taken, np.finfo(taken.dtype).tiny)
        return own

    def _vote(self, learned: Learned, T: NDArray) -> None:
        """Votes relax to the labels at which a cell was active."""
        c = learned.rates.sum(axis=0)
        heard = c >= 1e-6
        target = (learned.rates.T @ T)[heard] / c[heard, None]
        self.votes[heard] += learned.alpha[heard, None] * (target - self.votes[heard])

    def teach(self, H: NDArray, T: NDArray, share: float = 1.0) -> None:
        """Third factor: one step of the teacher on features ``H`` and one-hot labels ``T``, at ``share`` of its eta.

        The post-synaptic term is what the label adds to the rates: with the label known, cells respond in proportion to
        their votes for it.
        Samples that the votes already know teach nothing.
        """
        if self.teacher is None:
            raise ValueError("teacher must be a rule to teach by, got None")
        check("share", share, GAIN_OR_NONE)
        y = self.rates(self.drive(H))
        clamped = T @ self.votes.T
        clamped *= y
        p_label = clamped.sum(axis=1)
        surprising = np.flatnonzero(p_label < 1 - LEAST_SURPRISE)
        if surprising.size:
            difference = clamped[surprising]
            difference /= np.maximum(p_label[surprising, None], np.finfo(y.dtype).tiny)
            difference -= y[surprising]
            gain = np.full(self.n_cells, share, y.dtype)
            self.teacher.step(self.synapses, H[surprising], difference, gain, observe=False)
            self.unsettled += share * self.teacher.eta * np.abs(difference).sum(axis=0, dtype=float)
        self.step += 1

    def rewire(self, scale: bool = True) -> tuple[int, int]:
        """As for all plastic cells; in growth only once they have moved by :data:`LEAST_MOVED`. What has not turned
        over yet is :attr:`unsettled`, and stays due."""
        if self.vigilance is not None and self.unsettled.sum() < LEAST_MOVED:
            return 0, 0
        return super().rewire(scale)

    # --- what growth asks ---

    def match(self, a: NDArray) -> NDArray:
        """Drive ``a`` of every cell relative to that of the input which it took over, both ``(batch, n_cells)``."""
        with np.errstate(over="ignore"):  # any drive is a match for a cell that its own input did not drive
            return a / self.preferred

    def profile(self, H: NDArray) -> NDArray:
        """Inputs whose inner product is about the match of one by a cell that took over the other."""
        if not self.intrinsic:
            return H
        Z = H - self.synapses.pre_mean
        return Z / np.maximum(np.linalg.norm(Z, axis=1, keepdims=True), np.finfo(Z.dtype).tiny)

    # --- response ---

    def excite(self, H: NDArray) -> NDArray:
        """Afferent drive ``a = W (h - m)``, shape ``(batch, n_cells)``: far below 0 of cells that never learned."""
        live = self.live
        bias = None if live.all() else np.where(live, 0, MUTE * self.spread).astype(self.synapses.dtype)
        return self.synapses.forward(self.centred(H), bias, n_threads=self.n_threads)

    def drive(self, H: NDArray) -> NDArray:
        """What rates and activity are computed from, shape ``(batch, n_cells)``: see
        :class:`bioneuro.layers.Competition`."""
        check_magnitude(H, "H", self.n_threads)
        return self.driven(self.excite(H))

    def driven(self, a: NDArray) -> NDArray:
        """The :meth:`drive`, from the excitation ``a (batch, n_cells)``."""
        return self.competition.drive(a, self.gain, self.threshold)

    def drive_grad(self, drive: NDArray, da: NDArray) -> NDArray:
        """Gradient of :meth:`drive` with respect to the input, given that with respect to the ``drive``."""
        return self.synapses.input_grad(self.competition.drive_grad(drive, da, self.gain), n_threads=self.n_threads)

    def rates(self, drive: NDArray) -> NDArray:
        """Rates that vote, from the drive."""
        return self.competition.rates(drive, self.gain)

    def rates_grad(self, Y: NDArray, dY: NDArray) -> NDArray:
        """Gradient of :meth:`rates` with respect to the drive."""
        return self.competition.rates_grad(Y, dY, self.gain)

    def activity(self, drive: NDArray) -> NDArray:
        """Smooth activity that readouts see, from the drive: rows of unit norm."""
        return self.competition.activity(drive, self.activity_gain * self.gain)

    def activity_grad(self, drive: NDArray, dQ: NDArray) -> NDArray:
        """Gradient of :meth:`activity` with respect to the drive."""
        return self.competition.activity_grad(drive, dQ, self.activity_gain * self.gain)

    def respond(self, H: NDArray) -> NDArray:
        """Rates, shape ``(batch, n_cells)``."""
        return self.rates(self.drive(H))

    def encode(self, H: NDArray) -> NDArray:
        """What the layer above sees: the activity, shape ``(batch, n_cells)``."""
        return self.activity(self.drive(H))

    def encode_grad(self, H: NDArray, dQ: NDArray) -> NDArray:
        """Gradient of :meth:`encode` with respect to the input."""
        drive = self.drive(H)
        return self.drive_grad(drive, self.activity_grad(drive, dQ))

    # --- parts ---

    population: ClassVar[str] = "association"

    def pathways(self) -> dict[str, Synapses]:
        """Its learned pathways by name."""
        return {"association": self.synapses, **self.competition.pathways()}

    @property
    def presynaptic(self) -> dict[str, str]:
        """Population that makes what the layer below does not make."""
        return dict(self.competition.presynaptic)


def _with_former(competition: CompetitionMaker, cells: dict[str, Any]) -> CompetitionMaker:
    """The competition with those parameters that were given by their former names, which are removed from ``cells``."""
    former = {name: cells.pop(name) for name in OF_COMPETITION if name in cells}
    if not former:
        return competition
    warn_of_former("Association", {name: (f"competition__{name}",) for name in former}, stacklevel=4)
    if not is_dataclass(competition) or isinstance(competition, type):
        return cast(CompetitionMaker, partial(competition, **former))  # mypy takes no partial for a protocol
    return replace(competition, **former)


def _unconnected(n_cells: int, n_inputs: int, dtype: DTypeLike) -> Synapses:
    return Synapses(np.zeros(n_cells + 1, np.int32), np.zeros(0, np.int32), np.zeros(0, dtype), n_inputs, sign="E")
