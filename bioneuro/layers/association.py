"""Association layer: competitive cells on features, each with a vote for every class."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bioneuro import _core, connectivity
from bioneuro._attributes import Array, Maybe, Number, Part
from bioneuro.connectivity import Init
from bioneuro.layers.competitive import CompetitiveLayer, RuleLike, Step, own_rule
from bioneuro.layers.growth import cells_for, novel_inputs
from bioneuro.rules import Rule, Turnover
from bioneuro.synapses import Synapses

#: Drive of a cell that never learned, in standard deviations: its rate is 0 at any gain.
MUTE = -1e4
#: Steps over which the spread of the drive is averaged.
SPREAD_MEMORY = 20
#: What the votes must lack of certainty about a label for a sample to teach anything: on MNIST a fifth of the
#: time of teaching, at no loss seen.
LEAST_SURPRISE = 0.01
#: Where everything drives all cells alike, the gain of the competition is that of this spread.
LEAST_SPREAD = 1e-6


class Association(CompetitiveLayer):
    """Competitive layer on features ``h`` with votes ``v_i(c)`` that relax to ``E[label = c | cell i active]``.

    Cells start without synapses, mute, and are recruited. In learning the label adds a top-down drive
    ``kappa v_i(label)``: ``kappa = 0`` leaves cells feature-specific, a large one makes them task-specific. Drives
    count in units of their spread: the standard deviation over the cells, averaged over samples (divisive gain control
    by the pool).

    Who recruits depends on ``vigilance``. None: the inputs of a batch that are matched worst, and cells that have been
    silent lately, whatever they learned before: right where all data are shown again and again. A number: growth. Cells
    that never learned are mute, and an input recruits one only if it is novel, that is, if no cell of its label
    matches it, or a cell of another label matches it better; a match is a drive, relative to that of the input which
    the cell took over. Once no such cell is left, the label that owns most gives up the one it used least to a label
    that owns fewer. So what was learned stays, and the budget of ``n_cells`` is never exceeded. (Vigilance is
    that of adaptive resonance: Carpenter & Grossberg 1987, Comput. Vis. Graph. Image Process. 37:54; errors recruit as
    in Reilly, Cooper & Elbaum 1982, Biol. Cybern. 45:35.)

    Parameters
    ----------
    n_cells, n_features, n_classes : int
    rule : str, Rule or function, default "log-covariance"
        See :class:`CompetitiveLayer`.
    teacher : Rule or None
        What the synapses do in :meth:`teach` (:class:`bioneuro.rules.Contrastive`).
    beta : float, default 3
        Gain of the competition, in units of one over the spread of the drive, > 0.
    kappa : float, default 0.2
        Top-down gain, in units of the spread of the drive, >= 0.
    vigilance : float or None, default None
        Least match in (0, 1] of an input that is not novel; None: no growth.
    activity_gain : float, default 0.5
        Gain of the smooth activity that readouts see, relative to ``beta``, > 0.
    init : str or callable, default "uniform"
        Law of the weights from which a recruited cell starts (:mod:`bioneuro.connectivity`), > 0.
    dtype : float32 or float64
    **competition
        ``turnover``, ``intrinsic``, ``sharpening``, ``k``, ``homeostasis``, ``recruitment``, ``seed``, ``n_threads`` of
        :class:`CompetitiveLayer`.
    """

    SAVED: ClassVar = CompetitiveLayer.SAVED | {
        "teacher": Maybe(Part(Rule)),
        "kappa": Number(0),
        "activity_gain": Number(0, open=True),
        "vigilance": Maybe(Number(0, 1, open=True)),
        "votes": Array("n_cells", None, low=0, dtype="synapses.dtype"),
        "variance": Number(0),
        "preferred": Array("n_cells", low=0, open=True, dtype="synapses.dtype"),
    }

    def __init__(
        self,
        n_cells: int,
        n_features: int,
        n_classes: int,
        *,
        rule: RuleLike = "log-covariance",
        teacher: RuleLike | None = None,
        beta: float = 3.0,
        kappa: float = 0.2,
        vigilance: float | None = None,
        activity_gain: float = 0.5,
        init: Init = "uniform",
        dtype: DTypeLike = np.float32,
        recruitment: float = 0.25,
        turnover: Turnover | None = None,
        intrinsic: bool = True,
        seed: int = 0,
        n_threads: int | None = None,
        **competition: Any,
    ) -> None:
        if not kappa >= 0:
            raise ValueError(f"kappa must be >= 0, got {kappa}")
        if vigilance is not None and not 0 < vigilance <= 1:
            raise ValueError(f"vigilance must lie in (0, 1] or be None, got {vigilance}")
        if not activity_gain > 0:
            raise ValueError(f"activity_gain must be > 0, got {activity_gain}")
        super().__init__(
            _unconnected(n_cells, n_features, dtype), beta=beta, rule=rule, init=connectivity.initialiser(init),
            recruitment=recruitment, turnover=turnover, intrinsic=intrinsic, seed=seed, n_threads=n_threads,
            **competition,
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

    #: Whether there can be a teacher.
    taught: ClassVar[bool] = True

    @property
    def gain(self) -> float:
        """Gain of the competition in units of the drive: ``beta`` over the spread of the drive."""
        return self.beta / self.spread

    @property
    def spread(self) -> float:
        """Standard deviation of the drive over the cells that have learned, averaged over samples; 1 before."""
        return max(float(np.sqrt(self.variance)), LEAST_SPREAD) if self.variance else 1.0

    # Here learning is supervised: labels stand where the layer takes a drive, and it cannot go without them.
    def learn(self, H: NDArray, T: NDArray) -> Step:  # type: ignore[override]
        """One learning step on features ``H (batch, n_features)`` and one-hot labels ``T (batch, n_classes)``."""
        self._check_input(H, "H")
        if np.shape(T) != (len(H), self.votes.shape[1]) or not np.isfinite(T).all():
            wanted = (len(H), self.votes.shape[1])
            raise ValueError(f"T must be finite and of shape {wanted}, got shape {np.shape(T)}")
        self._observe(H)
        if self.vigilance is not None:
            self._grow(H, T)
        step = self._learn(H, partial(self._top_down, T) if self.kappa else None)
        c = step.rates.sum(axis=0)
        heard = c >= 1e-6
        target = (step.rates.T @ T)[heard] / c[heard, None]
        self.votes[heard] += step.alpha[heard, None] * (target - self.votes[heard])
        return step

    def teach(self, H: NDArray, T: NDArray, share: float = 1.0) -> None:
        """Third factor: one step of the teacher on features ``H`` and one-hot labels ``T``, at ``share`` of its eta.

        Post-synaptic is what the label adds to the rates: with it, cells respond in proportion to their vote for it.
        Samples that the votes already know teach nothing.
        """
        if self.teacher is None:
            raise ValueError("teacher must be a rule to teach by, got None")
        y = self.rates(self.drive(H))
        clamped = y * (T @ self.votes.T)
        p_label = clamped.sum(axis=1, keepdims=True)
        clamped /= np.maximum(p_label, np.finfo(y.dtype).tiny)
        clamped -= y
        surprising = p_label[:, 0] < 1 - LEAST_SURPRISE
        if surprising.any():
            difference = np.ascontiguousarray(clamped[surprising])
            gain = np.full(self.n_cells, share, y.dtype)
            self.teacher.step(self.synapses, np.ascontiguousarray(H[surprising]), difference, gain, observe=False)
            self.unsettled += share * self.teacher.eta * np.abs(difference).sum(axis=0, dtype=float)
        self.step += 1

    @property
    def live(self) -> NDArray[np.bool_]:
        """Which cells have learned, shape ``(n_cells,)``: the others are mute."""
        return self.age > 0

    @property
    def owner(self) -> NDArray[np.intp]:
        """Class that each cell votes for, -1 of a cell that never learned, shape ``(n_cells,)``."""
        return np.where(self.live, self.votes.argmax(axis=1), -1)

    def _observe(self, U: NDArray) -> None:
        if self.intrinsic or self.rule.observes or (self.teacher is not None and self.teacher.observes):
            self.synapses.observe(U)

    def _bias(self) -> NDArray:
        bias = super()._bias()
        if bias is None:
            bias = np.zeros(self.n_cells, self.synapses.dtype)
        bias[~self.live] = MUTE * self.spread
        return bias

    def _adapt(self, a: NDArray) -> None:
        live = self.live
        if live.sum() > 1:
            variance = float(a[:, live].var(axis=1).mean())
            self.variance += (variance - self.variance) / (SPREAD_MEMORY if self.variance else 1)

    def _compete(self, a: NDArray) -> NDArray:
        y = super()._compete(a)
        if not self.live.any():  # nobody is there to respond
            y[:] = 0
        return y

    def _grow(self, H: NDArray, T: NDArray) -> None:
        """Novel inputs take over cells, which then are there to compete for the batch."""
        label, owner, match = T.argmax(axis=1), self.owner, self.excite(H) / self.preferred
        own, other = (
            np.where(owner == label[:, None], match, 0).max(axis=1),
            np.where((owner != label[:, None]) & (owner >= 0), match, 0).max(axis=1),
        )
        inputs = novel_inputs(self._profile(H), label, own, other, self.vigilance)
        cells = cells_for(label[inputs], owner, self.age)
        cells, inputs = cells[cells >= 0], inputs[cells >= 0]
        if cells.size:
            self._take_over(cells, H[inputs])
            self.votes[cells] = T[inputs]
            # awake, but without a life: it begins with the batch itself
            self.age[cells], self.rate[cells] = np.finfo(float).tiny, 1 / self.n_cells

    def _profile(self, H: NDArray) -> NDArray:
        """Inputs whose inner product is about the match of one by a cell that took over the other."""
        if not self.intrinsic:
            return H
        Z = H - self.synapses.pre_mean
        return Z / np.maximum(np.linalg.norm(Z, axis=1, keepdims=True), np.finfo(Z.dtype).tiny)

    def _recruit(self, U: NDArray, match: NDArray, y: NDArray) -> NDArray[np.intp]:
        return super()._recruit(U, match, y) if self.vigilance is None else np.zeros(0, np.intp)

    def _take_over(self, cells: NDArray[np.intp], U: NDArray) -> None:
        super()._take_over(cells, U)
        taken = self.synapses.forward(U, super()._bias(), n_threads=self.n_threads)[np.arange(len(cells)), cells]
        self.preferred[cells] = np.maximum(taken, np.finfo(taken.dtype).tiny)

    def _top_down(self, T: NDArray) -> NDArray:
        return self.votes.dtype.type(self.kappa * self.spread) * (T @ self.votes.T)

    def rates(self, drive: NDArray) -> NDArray:
        """Rates ``softmax(gain a)`` that vote, from the drive ``a``."""
        return _core.compete(drive, beta=self.gain, k=self.k, n_threads=self.n_threads)

    def rates_grad(self, Y: NDArray, dY: NDArray) -> NDArray:
        """Gradient of :meth:`rates` with respect to the drive."""
        return _core.compete_grad(Y, dY, beta=self.gain, n_threads=self.n_threads)

    #: Population that makes each of the pathways.
    presynaptic: ClassVar[dict[str, str]] = {"association": "features"}

    def pathways(self) -> dict[str, Synapses]:
        """Its learned pathways by name."""
        return {"association": self.synapses}

    def activity(self, drive: NDArray) -> NDArray:
        """Smooth activity ``q = sqrt(softmax(activity_gain gain a))``, rows of unit norm, from the drive ``a``."""
        return np.sqrt(_core.compete(drive, beta=self.activity_gain * self.gain, n_threads=self.n_threads))

    def activity_grad(self, drive: NDArray, dQ: NDArray) -> NDArray:
        """Gradient of :meth:`activity` with respect to the drive."""
        Q = self.activity(drive)
        return self.activity_gain * self.gain / 2 * Q * (dQ - Q * (Q * dQ).sum(axis=1, keepdims=True))


def _unconnected(n_cells: int, n_features: int, dtype: DTypeLike) -> Synapses:
    return Synapses(np.zeros(n_cells + 1, np.int32), np.zeros(0, np.int32), np.zeros(0, dtype), n_features, sign="E")
