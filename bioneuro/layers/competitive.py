"""Competitive Hebbian layer: excitatory cells that share one inhibitory pool."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import ClassVar, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bioneuro import _core
from bioneuro._attributes import Array, Count, Flag, Maybe, Number, Part, Pathway
from bioneuro.connectivity import Constant
from bioneuro.rules import Rule, Turnover, as_rule, check_rates
from bioneuro.synapses import Synapses

#: Drives computed at a time where rates are wanted: 1 MB of float32, which stays in a cache.
TILE = 1 << 18
#: A cell whose rate is below this share of the average is silent: it can be recruited.
SILENT = 0.1
#: Largest plasticity of a young cell, per unit of activity.
YOUNG_ETA = 3.0
#: Plasticity of a cell in the moment of its recruitment: it all but takes the sample over.
RECRUIT_ETA = 6.0

#: Law of the weights from which a recruited cell starts.
ONES = Constant(1.0)

#: What a parameter ``rule`` may be: a name in :data:`bioneuro.rules.RULES`, a rule, or a plain function.
RuleLike = str | Rule | Callable[..., NDArray]


class Step(NamedTuple):
    """What a learning step did: the ``rates (batch, n_cells)`` that learned, how far each cell moved ``(n_cells,)``."""

    rates: NDArray
    alpha: NDArray


class CompetitiveLayer:
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
    rule : str, Rule or function, default "log-relaxation"
        What the synapses do with the rates before and behind them: a name in :data:`bioneuro.rules.RULES`, a
        :class:`bioneuro.rules.Rule`, or a plain function (:func:`bioneuro.rules.as_rule`). Its ``eta`` is the learning
        rate of a grown-up cell, per unit of summed activity.
    turnover : Turnover or None
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
    seed : int
        Key of the noise and of turnover.
    n_threads : int or None
        Threads of the kernels.
    """

    SAVED: ClassVar = {
        "synapses": Pathway(sign="E"),
        "beta": Number(0, open=True),
        "sharpening": Number(0, open=True),
        "k": Maybe(Count(1)),
        "rule": Part(Rule),
        "turnover": Part(Turnover),
        "intrinsic": Flag(),
        "init": Part(Callable),
        "homeostasis": Number(),
        "rate_memory": Number(0, open=True),
        "recruitment": Number(0, 1),
        "seed": Count(),
        "n_threads": Maybe(Count(1)),
        "step": Count(),
        "rate": Array("n_cells", low=0),
        "age": Array("n_cells", low=0),
        "unsettled": Array("n_cells", low=0),
    }

    def __init__(
        self,
        synapses: Synapses,
        *,
        beta: float,
        sharpening: float = 2.0,
        k: int | None = None,
        rule: RuleLike = "log-relaxation",
        turnover: Turnover | None = None,
        intrinsic: bool = False,
        init: Callable[[np.random.Generator, int], NDArray] = ONES,
        homeostasis: float = 1.0,
        rate_memory: float = 1.0,
        recruitment: float = 0.0,
        seed: int = 0,
        n_threads: int | None = None,
    ) -> None:
        if synapses.sign != "E":
            raise ValueError(f"synapses must have sign 'E' (a competitive layer is excitatory), got {synapses.sign!r}")
        for name, value in (("beta", beta), ("sharpening", sharpening), ("rate_memory", rate_memory)):
            if not value > 0:
                raise ValueError(f"{name} must be > 0, got {value}")
        if not 0 <= recruitment <= 1:
            raise ValueError(f"recruitment must lie in [0, 1], got {recruitment}")
        self.synapses = synapses
        self.beta, self.sharpening, self.k = float(beta), float(sharpening), k
        self.rule = own_rule(rule, seed, n_threads)
        self.turnover, self.intrinsic, self.init = turnover or Turnover(birth=0, death=0), bool(intrinsic), init
        self.homeostasis, self.rate_memory = float(homeostasis), float(rate_memory)
        self.recruitment = float(recruitment)
        self.seed, self.n_threads = int(seed), n_threads
        self.step = 0
        # Where cells can be recruited they start silent; elsewhere as if each had had its share.
        self.rate = np.full(self.n_cells, 0.0 if recruitment else 1 / self.n_rivals)
        self.age = np.zeros(self.n_cells)
        self.unsettled = np.zeros(self.n_cells)  # how far each cell has moved since its synapses last turned over

    @property
    def n_cells(self) -> int:
        """Cells of the layer."""
        return self.synapses.n_post

    @property
    def n_rivals(self) -> int:
        """Cells that share an inhibitory pool: here all."""
        return self.n_cells

    @property
    def gain(self) -> float:
        """Gain of the competition in units of the drive: here ``beta``."""
        return self.beta

    @property
    def threshold(self) -> NDArray:
        """Homeostatic threshold of every cell in learning, shape ``(n_cells,)``."""
        return (self.homeostasis * np.log(np.maximum(self.n_rivals * self.rate, 0.01))).astype(self.synapses.dtype)

    def excite(self, U: NDArray) -> NDArray:
        """Afferent drive ``a = W (u - m)``, shape ``(batch, n_cells)``."""
        return self.synapses.forward(U, self._bias(), n_threads=self.n_threads)

    def _bias(self) -> NDArray | None:
        """Minus the intrinsic thresholds, shape ``(n_cells,)``: the mean drive of every cell."""
        mean = self.synapses.pre_mean if self.intrinsic else None
        return None if mean is None else -self.synapses.forward(mean[None], n_threads=self.n_threads)[0]

    def drive(self, U: NDArray) -> NDArray:
        """What the rates follow from, shape ``(batch, n_cells)``: here the afferent drive."""
        return self.excite(U)

    def drive_grad(self, drive: NDArray, da: NDArray) -> NDArray:
        """Gradient of :meth:`drive` with respect to the input, given that with respect to the ``drive``."""
        return self.synapses.input_grad(da, n_threads=self.n_threads)

    def respond(self, U: NDArray) -> NDArray:
        """Rates ``softmax(beta a)``, shape ``(batch, n_cells)``."""
        Y = np.empty((len(U), self.n_cells), self.synapses.dtype)
        n, bias = max(64, TILE // self.n_cells), self._bias()
        for start in range(0, len(U), n):  # competition finds the drive in the cache, and takes its place
            y = self.synapses.forward(U[start : start + n], bias, self.n_threads, out=Y[start : start + n])
            _core.compete(y, beta=self.gain, k=self.k, n_threads=self.n_threads, out=y)
        return Y

    def respond_grad(self, Y: NDArray, dY: NDArray) -> NDArray:
        """Gradient with respect to the input, given the rates ``Y`` of that input and ``dY``."""
        da = _core.compete_grad(Y, dY, beta=self.gain, n_threads=self.n_threads)
        return self.synapses.input_grad(da, n_threads=self.n_threads)

    def learn(self, U: NDArray, top_down: NDArray | None = None) -> Step:
        """One learning step on a batch ``U (batch, n_pre)``; ``top_down (batch, n_cells)`` adds to the drive."""
        self._check_input(U, "U", top_down)
        self._observe(U)
        return self._learn(U, None if top_down is None else lambda: top_down)

    def _check_input(self, U: NDArray, name: str, top_down: NDArray | None = None) -> None:
        """What is refused is refused before anything has changed."""
        check_rates(U, name, self.synapses.dtype, self.synapses.n_pre, nonnegative=self.rule.nonnegative)
        if top_down is not None and np.shape(top_down) != (len(U), self.n_cells):
            raise ValueError(f"top_down must have shape {(len(U), self.n_cells)}, got {np.shape(top_down)}")

    def _learn(self, U: NDArray, top_down: Callable[[], NDArray] | None) -> Step:
        """:meth:`learn` on a batch that has been observed; ``top_down`` is asked once the gain has adapted."""
        a = self.excite(U)
        self._adapt(a)
        match = a.max(axis=1) if self.recruitment else None
        if top_down is not None:
            a += top_down()
        y = self._compete(a)
        recruits: NDArray | list[int] = [] if match is None else self._recruit(U, match, y)
        return self._relax(U, y, len(U), recruits)

    def _observe(self, U: NDArray) -> None:
        """Mean and spread of the input, before anything is compared with them."""
        if self.intrinsic or self.rule.observes:
            self.synapses.observe(U)

    def _adapt(self, a: NDArray) -> None:
        """The gain of the competition follows the drive: here it stays."""

    def _relax(self, U: NDArray, y: NDArray, n_seen: int | NDArray, recruits: NDArray | list[int]) -> Step:
        """Weights, ages and rates follow the rates ``y``; ``n_seen`` samples were there for a cell to respond to."""
        c = y.sum(axis=0, dtype=float)
        self.age += c
        eta = np.clip(1 / np.maximum(self.age, 1e-9), self.rule.eta, max(self.rule.eta, YOUNG_ETA))
        self.age[recruits], eta[recruits] = 1.0, RECRUIT_ETA
        alpha = -np.expm1(-eta * c)
        self._change(self.synapses, U, y, eta, c)
        self.step += 1
        self.unsettled += alpha
        speed = np.minimum(1.0, n_seen / (self.rate_memory * self.n_rivals))
        self.rate += speed * (c / np.maximum(n_seen, 1) - self.rate)
        self.rate[recruits] = 1 / self.n_rivals
        return Step(y, alpha.astype(y.dtype))

    def _change(self, synapses: Synapses, U: NDArray, y: NDArray, eta: NDArray, c: NDArray) -> None:
        """Synapses follow the rates before and behind them, cell i as fast as ``eta_i``, and are scaled.

        A rule's step is in means over the batch, the layer's rates ``eta`` are for sums ``c``; rules that do not stop
        at their target are told to go no further than ``1 - exp(-eta_i c_i)`` of the way.
        """
        rule = self.rule
        speed = eta * len(U) / rule.eta
        if not rule.saturating:
            speed = speed * np.divide(-np.expm1(-eta * c), eta * c, out=np.ones_like(c), where=eta * c > 1e-9)
        rule.step(synapses, U, y, speed.astype(y.dtype), observe=False)
        if not getattr(rule, "normalize", False):
            synapses.normalize_rows(n_threads=self.n_threads)

    def _compete(self, a: NDArray) -> NDArray:
        """Rates that learn from the drive ``a``, which they may replace; they sum to 1 over the cells."""
        return _core.compete(
            a, beta=self.sharpening * self.gain, threshold=self.threshold, k=self.k, n_threads=self.n_threads, out=a
        )

    def _recruit(self, U: NDArray, match: NDArray, y: NDArray) -> NDArray[np.intp]:
        """Pair the most silent cells with the worst matched inputs; changes ``y`` and those cells' synapses."""
        silent = np.flatnonzero(self.rate < SILENT / self.n_cells)
        n = min(int(np.ceil(self.recruitment * len(U))), len(silent))
        cells = silent[np.argsort(self.rate[silent], kind="stable")[:n]]
        inputs = np.argsort(match, kind="stable")[:n]
        y[inputs] = 0
        y[:, cells] = 0
        y[inputs, cells] = 1
        if n:
            self._take_over(cells, U[inputs])
        return cells

    def _take_over(self, cells: NDArray[np.intp], U: NDArray) -> None:
        """The synapses of ``cells`` become what an input each, ``U (n, n_pre)``, makes of them alone, all possible ones
        at first; turnover leaves some."""
        n, n_pre = U.shape
        rng = np.random.default_rng([self.seed, self.step, 1])
        y = np.zeros((n, self.n_cells), U.dtype)
        y[np.arange(n), cells] = 1
        c = y.sum(axis=0)
        index = self.synapses.indices.dtype
        candidates = Synapses(  # of all cells, so that the rule finds what it remembers of each in its place
            np.concatenate([[0], np.cumsum(c * n_pre, dtype=index)]).astype(index),
            np.tile(np.arange(n_pre, dtype=index), n),
            np.asarray(self.init(rng, n * n_pre), self.synapses.dtype),
            n_pre,
            sign="E",
        )
        candidates.normalize_rows(n_threads=self.n_threads)
        memory = {name: trace for name, trace in self.synapses.traces.items() if not name.endswith("_ij")}
        candidates.traces.update(memory)
        self._change(candidates, np.ascontiguousarray(U), y, RECRUIT_ETA * c, c)
        rows = self.turnover.settle(candidates.weights.reshape(n, n_pre), rng)
        self.synapses.replace_rows(np.sort(cells), sp.csr_array(rows))

    def rewire(self, scale: bool = True) -> tuple[int, int]:
        """Turnover of the synapses, as much as each cell has moved since the last call, then, with ``scale``, rows of
        unit norm. Returns (died, born)."""
        moved, self.unsettled = self.unsettled.astype(self.synapses.dtype), np.zeros(self.n_cells)
        return self.turnover.step(
            self.synapses, moved, seed=self.seed, step=self.step, n_threads=self.n_threads, scale=scale
        )


def excitatory_rule(rule: RuleLike, name: str = "rule") -> Rule:
    """The rule that a parameter stands for; ValueError where an excitatory layer cannot learn by it."""
    made = as_rule(rule)
    if "E" not in made.signs or made.rewarded:
        raise ValueError(f"{name} must learn on pathways of sign 'E' and without a reward, got {made!r}")
    return made


def own_rule(rule: RuleLike, seed: int, n_threads: int | None, name: str = "rule") -> Rule:
    """The rule with the threads and, for its noise, the key of a layer, beside its own."""
    made = excitatory_rule(rule, name)
    own = {} if made.n_threads or not n_threads else {"n_threads": n_threads}
    if "seed" in {field.name for field in fields(made) if field.init}:
        own["seed"] = made.seed + seed
    return replace(made, **own) if own else made
