"""Competitive Hebbian layer: excitatory cells that share one inhibitory pool."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..rules import RuleLike
from ..synapses import Synapses
from ..threads import Threads
from .cells import PlasticCells, hand_over
from .growth import NOBODY, Recruitment
from .interfaces import Learned
from .numeric_limits import check_magnitude
from .pools import SoftmaxPool

#: Drives computed at a time where rates are wanted: 1 MB of float32, which stays in a cache.
TILE = 1 << 18


class CompetitiveLayer(PlasticCells):
    """Excitatory cells with divisive inhibition, local plasticity and homeostasis.

    Drive ``a = W (u - m)`` (``w >= 0``, rows of unit norm), with the mean input so far for m where thresholds are
    intrinsic, else 0; response ``y = softmax(beta a)``. In learning the competition is sharper,
    ``softmax(sharpening beta a - th)``, and the weights follow the ``rule``, then are scaled to unit norm. A cell
    learns the faster the less it has been active in its life: ``eta_i = clip(1 / activity so far, eta, 3)``.

    Homeostasis keeps every cell in use. Intrinsic threshold: a cell fires to what differs from its mean drive.
    Rate threshold: each cell follows its own rate ``r_i`` and raises ``th_i = homeostasis log(N r_i)``. Recruitment: a
    silent cell (``r_i < 0.1 / N``) becomes so excitable that the input of the batch which the others match worst drives
    it alone, and it takes that input over: the rule makes one large step on all synapses the cell could have, and
    turnover decides which of them stay.

    Parameters
    ----------
    synapses : Synapses
        Afferent pathway of sign ``"E"``; taken over and changed by learning.
    beta : float
        Gain of the competition in the response, > 0.
    sharpening : float, default 2
        Gain in learning relative to ``beta``, > 0.
    k : int or None
        With ``k`` only the k most excited cells are active.
    n_rivals : int or None
        Cells that share a pool, as in :class:`Hypercolumns`; None: all.
    rule : str, Rule or function, default "log-relaxation"
        How synapses change with pre- and post-synaptic rates: a name in :data:`bioneuro.rules.RULES`, a
        :class:`bioneuro.rules.Rule`, or a plain function (:func:`bioneuro.rules.as_rule`). Its ``eta`` is the learning
        rate of a grown-up cell, per unit of summed activity.
    n_threads : int >= 1, "auto" or None
        Threads of the kernels.
    turnover : Turnover or None, default None
        Deaths and births of synapses in :meth:`rewire`, and what is left of the synapses of a recruited cell; None:
        synapses stay as they are.
    intrinsic : bool, default False
        Whether a cell's threshold follows its mean drive.
    init : function of (rng, n), default all 1
        Weights from which a recruited cell's step starts, > 0.
    homeostasis : float, default 1
        Gain of the homeostatic threshold; 0 switches it off.
    rate_memory : float, default 1
        Time constant of the rate estimate, in units of ``n_cells`` samples, > 0.
    recruitment : float, default 0
        Largest share of a batch that recruits silent cells, in [0, 1].
    seed : int, default 0
        Key of the noise and of turnover.
    """

    def __init__(
        self,
        synapses: Synapses,
        *,
        beta: float,
        sharpening: float = 2.0,
        k: int | None = None,
        n_rivals: int | None = None,
        rule: RuleLike = "log-relaxation",
        n_threads: Threads = None,
        **cells: Any,
    ) -> None:
        if n_rivals is not None and cells.get("recruitment"):
            raise ValueError(f"recruitment must be 0 in hypercolumns, got {cells['recruitment']}")
        pool = SoftmaxPool(
            synapses.n_post, beta=beta, sharpening=sharpening, k=k, n_rivals=n_rivals, n_threads=n_threads
        )
        super().__init__(synapses, pool, rule=rule, n_threads=n_threads, **cells)

    @property
    def n_groups(self) -> int:
        """Pools."""
        return self.n_cells // self.n_rivals

    # --- response ---

    def excite(self, U: NDArray) -> NDArray:
        """Afferent drive ``a = W (u - m)``, shape ``(batch, n_cells)``."""
        return self.synapses.forward(self.centred(U), n_threads=self.n_threads)

    def drive(self, U: NDArray) -> NDArray:
        """What the rates are computed from, shape ``(batch, n_cells)``: here the afferent drive."""
        check_magnitude(U, "U", self.n_threads)
        return self.excite(U)

    def drive_grad(self, drive: NDArray, da: NDArray) -> NDArray:
        """Gradient of :meth:`drive` with respect to the input, given that with respect to the ``drive``."""
        return self.synapses.input_grad(da, n_threads=self.n_threads)

    def respond(self, U: NDArray) -> NDArray:
        """Rates ``softmax(beta a)``, shape ``(batch, n_cells)``."""
        check_magnitude(U, "U", self.n_threads)
        Y = np.empty((len(U), self.n_cells), self.synapses.dtype)
        n, U = max(64, TILE // self.n_rivals), self.centred(U)
        for start in range(0, len(U), n):  # rates replace the drive while it is in the cache
            y = self.synapses.forward(U[start : start + n], n_threads=self.n_threads, out=Y[start : start + n])
            self.competition.rates(y, self.beta, out=y)
        return Y

    def respond_grad(self, Y: NDArray, dY: NDArray) -> NDArray:
        """Gradient with respect to the input, given the rates ``Y`` of that input and ``dY``."""
        return self.synapses.input_grad(self.competition.rates_grad(Y, dY, self.beta), n_threads=self.n_threads)

    def encode(self, U: NDArray) -> NDArray:
        """What the layer above sees: :meth:`respond`."""
        return self.respond(U)

    def encode_grad(self, U: NDArray, dY: NDArray) -> NDArray:
        """Gradient of :meth:`encode` with respect to the input."""
        return self.respond_grad(self.respond(U), dY)

    # --- learning ---

    def learn(self, U: NDArray, top_down: NDArray | None = None, seen: NDArray | None = None) -> Learned:
        """One learning step on a batch ``U (batch, n_pre)``.

        ``top_down (batch, n_cells)`` adds to the drive; where ``seen (batch, n_groups)`` is False, the cells of a group
        are blind to the sample, and stay as they are.
        """
        self._check(U, top_down, seen)
        if self.intrinsic or self.rule.observes:  # before anything is compared with mean and spread
            self.synapses.observe(U, self.n_threads)
        a = self.excite(U)
        match = a.max(axis=1) if self.recruitment else None
        if top_down is not None:
            a += top_down
        y, _ = self.competition.compete(a, self.beta, self.threshold, float(self.speed(len(U))))
        n_seen: int | NDArray = len(U)
        if seen is not None:
            y.reshape(-1, self.n_rivals)[:] *= seen.reshape(-1, 1)
            n_seen = np.repeat(seen.sum(axis=0), self.n_rivals)
        cells, inputs = NOBODY if match is None else Recruitment(self.recruitment).worst_matched(self.rate, match)
        if cells.size:
            hand_over(y, cells, inputs)
            self.take_over(cells, U[inputs])
        return self.follow(U, y, n_seen, cells)

    def _check(self, U: NDArray, top_down: NDArray | None, seen: NDArray | None) -> None:
        self.check_input(U, "U")
        for array, name, width in (top_down, "top_down", self.n_cells), (seen, "seen", self.n_groups):
            if array is not None and np.shape(array) != (len(U), width):
                raise ValueError(f"{name} must have shape {(len(U), width)}, got {np.shape(array)}")
