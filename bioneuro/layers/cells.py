"""Cells with plastic afferent synapses: what every layer that learns by competition is made of."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from .._attributes import Array, Count, Part, Pathway, ThreadCount
from ..checks import SHARE, Flag, check, check_count
from ..connectivity import Constant
from ..network_table import PrintedBySizes
from ..rules import Rule, RuleLike, Turnover, as_rule
from ..synapses import Synapses
from ..threads import Threads
from .file_upgrades import upgraded
from .interfaces import Competition, Learned
from .numeric_limits import GAIN, GAIN_OR_NONE, LEARNING_RATE, check_learned

#: Largest plasticity of a young cell, per unit of activity.
YOUNG_ETA = 3.0
#: Plasticity of a cell in the moment of its recruitment: it all but takes the sample over.
RECRUIT_ETA = 6.0
#: Share of the average rate below which a cell's threshold falls no further.
LEAST_SHARE = 0.01

#: Law of the weights from which a recruited cell starts.
ONES = Constant(1.0)


class PlasticCells(PrintedBySizes):
    """Excitatory cells with their synapses, learning rule, mean rates and ages.

    The ``competition`` makes the rates. The steps of which a layer's ``learn`` is made are :meth:`take_over`,
    :meth:`follow` and :meth:`rewire`.

    Parameters
    ----------
    synapses : Synapses
        Afferent pathway of sign ``"E"``; taken over and changed by learning.
    competition : Competition
    rule, turnover, intrinsic, init, homeostasis, rate_memory, recruitment, seed, n_threads
        As for :class:`bioneuro.layers.CompetitiveLayer`.
    """

    SAVED: ClassVar = {
        "synapses": Pathway(sign="E"),
        "competition": Part(Competition),
        "rule": Part(Rule),
        "turnover": Part(Turnover),
        "intrinsic": Flag(),
        "init": Part(Callable),  # type: ignore[arg-type]  # an abstract class, which to mypy is no type
        "homeostasis": GAIN_OR_NONE,
        "rate_memory": GAIN,
        "recruitment": SHARE,
        "seed": Count(),
        "n_threads": ThreadCount(),
        "step": Count(),
        "rate": Array("n_cells", low=0, dtype=np.dtype(float)),
        "age": Array("n_cells", low=0, dtype=np.dtype(float)),
        "unsettled": Array("n_cells", low=0, dtype=np.dtype(float)),
    }

    def check_saved(self) -> None:
        """Whether the competition is one of so many cells, and of their dtype (:mod:`bioneuro._attributes`)."""
        n, ours = getattr(self.competition, "n_cells", self.n_cells), self.synapses.dtype
        if n != self.n_cells or self.n_cells % self.n_rivals:
            raise ValueError(f"competition of {self.n_cells} cells must be of as many, got {n} in {self.n_rivals}s")
        if (dtype := getattr(self.competition, "dtype", ours)) != ours:
            raise ValueError(f"competition of cells of {ours} must be of that dtype, got {dtype}")

    def __init__(
        self,
        synapses: Synapses,
        competition: Competition,
        *,
        rule: RuleLike,
        turnover: Turnover | None = None,
        intrinsic: bool = False,
        init: Callable[[np.random.Generator, int], NDArray] = ONES,
        homeostasis: float = 1.0,
        rate_memory: float = 1.0,
        recruitment: float = 0.0,
        seed: int = 0,
        n_threads: Threads = None,
    ) -> None:
        if synapses.sign != "E":
            raise ValueError(f"synapses must have sign 'E' (a competitive layer is excitatory), got {synapses.sign!r}")
        check("rate_memory", rate_memory, GAIN)
        check("homeostasis", homeostasis, GAIN_OR_NONE)
        check("recruitment", recruitment, SHARE)
        check_count("seed", seed, 0)
        self.synapses, self.competition = synapses, competition
        self.rule = own_rule(rule, seed, n_threads)
        self.turnover, self.intrinsic, self.init = turnover or Turnover(birth=0, death=0), bool(intrinsic), init
        self.homeostasis, self.rate_memory = float(homeostasis), float(rate_memory)
        self.recruitment = float(recruitment)
        self.seed, self.n_threads = int(seed), n_threads
        self.step = 0
        # Cells that can be recruited start silent, others as if each had fired at the average rate.
        self.rate = np.full(self.n_cells, 0.0 if recruitment else 1 / self.n_rivals)
        self.age = np.zeros(self.n_cells)
        self.unsettled = np.zeros(self.n_cells)  # how far each cell has moved since its synapses last turned over

    @property
    def n_cells(self) -> int:
        """Cells of the layer."""
        return self.synapses.n_post

    @property
    def n_inputs(self) -> int:
        """Inputs of each cell, where all are connected."""
        return self.synapses.n_pre

    @property
    def n_features(self) -> int:
        """What the layer above sees: a rate for each cell."""
        return self.n_cells

    @property
    def dtype(self) -> np.dtype:
        """Of its weights, float32 or float64."""
        return self.synapses.dtype

    @property
    def n_rivals(self) -> int:
        """Cells that compete with each other."""
        return self.competition.n_rivals or self.n_cells

    @property
    def beta(self) -> float:
        """Gain of the competition in response."""
        return self.competition.beta

    @property
    def sharpening(self) -> float:
        """Gain of the competition in learning relative to that in response."""
        return self.competition.sharpening

    @property
    def k(self) -> int | None:
        """Most cells that are active at a time; None: no limit."""
        return self.competition.k

    @property
    def threshold(self) -> NDArray:
        """Homeostatic threshold of every cell, shape ``(n_cells,)``."""
        share = np.maximum(self.n_rivals * self.rate, LEAST_SHARE)
        return (self.competition.common_threshold + self.homeostasis * np.log(share)).astype(self.synapses.dtype)

    def centred(self, U: NDArray) -> NDArray:
        """Inputs ``U (batch, n_pre)``, less their mean so far where thresholds are intrinsic: what drives the cells."""
        mean = self.synapses.pre_mean if self.intrinsic else None
        return U if mean is None else U - mean

    def with_competition(self, competition: Competition) -> Self:
        """The same cells with another competition; synapses and everything else are shared, not copied."""
        changed = copy.copy(self)
        changed.competition = competition
        return changed

    # --- steps of learning ---

    def check_input(self, U: NDArray, name: str) -> None:
        """Refuse a bad input before anything has changed."""
        check_learned(
            U,
            name,
            self.synapses.dtype,
            self.synapses.n_pre,
            nonnegative=self.rule.nonnegative,
            n_threads=self.n_threads,
        )

    def speed(self, n_seen: int | NDArray) -> NDArray:
        """Weight of a batch of ``n_seen`` samples in the running mean rate of a cell."""
        return np.minimum(1.0, n_seen / (self.rate_memory * self.n_rivals))

    def take_over(self, cells: NDArray[np.intp], U: NDArray) -> Synapses:
        """Each of ``cells`` takes over one of the inputs ``U (n, n_pre)``: starting from new synapses with all inputs,
        the rule makes one large step on that sample alone, and turnover keeps some of them. Returns these, a row for
        each of the cells."""
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
        self._change(candidates, U, y, RECRUIT_ETA * c, c)
        rows = self.turnover.settle(candidates.weights.reshape(n, n_pre), rng)
        order = np.argsort(cells)  # that of the candidates
        self.synapses.replace_rows(cells[order], rows)
        return Synapses.from_scipy(rows if n == 1 else rows[np.argsort(order)], sign="E")

    def follow(self, U: NDArray, y: NDArray, n_seen: int | NDArray, recruits: NDArray[np.intp]) -> Learned:
        """Weights, ages and mean rates follow the rates ``y (batch, n_cells)`` at inputs ``U (batch, n_pre)``.

        ``n_seen`` is the number of samples that a cell could respond to; ``recruits`` are the cells that took over an
        input in this batch.
        """
        c = y.sum(axis=0, dtype=float)
        self.age += c
        eta = np.clip(1 / np.maximum(self.age, 1e-9), self.rule.eta, max(self.rule.eta, YOUNG_ETA))
        self.age[recruits], eta[recruits] = 1.0, RECRUIT_ETA
        alpha = -np.expm1(-eta * c)
        if not self.rule.recruits_only:
            self._change(self.synapses, U, y, eta, c)
        self.step += 1
        self.unsettled += alpha
        self.rate += self.speed(n_seen) * (c / np.maximum(n_seen, 1) - self.rate)
        self.rate[recruits] = 1 / self.n_rivals
        return Learned(y, alpha.astype(y.dtype))

    def _change(self, synapses: Synapses, U: NDArray, y: NDArray, eta: NDArray, c: NDArray) -> None:
        """One step of the rule, cell i at the rate ``eta_i``, then synaptic scaling.

        A rule takes means over the batch, while ``eta`` is per unit of the sums ``c``. Rules that could overshoot their
        target are slowed down to ``1 - exp(-eta_i c_i)`` of the way.
        """
        rule = self.rule
        speed = eta * len(U) / rule.eta
        if not rule.saturating:
            speed = speed * np.divide(-np.expm1(-eta * c), eta * c, out=np.ones_like(c), where=eta * c > 1e-9)
        rule.step(synapses, U, y, speed.astype(y.dtype), observe=False)
        if not getattr(rule, "normalize", False):
            synapses.normalize_rows(n_threads=self.n_threads)

    def rewire(self, scale: bool = True) -> tuple[int, int]:
        """Turnover of the synapses, as much as each cell has moved since the last call, then, with ``scale``, rows of
        unit norm. Returns (died, born)."""
        moved, self.unsettled = self.unsettled.astype(self.synapses.dtype), np.zeros(self.n_cells)
        return self.turnover.step(
            self.synapses, moved, seed=self.seed, step=self.step, n_threads=self.n_threads, scale=scale
        )

    @staticmethod
    def upgraded(state: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes as they are now, out of those in a file or a pickle, which may be of a former version."""
        return upgraded(state)

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(self.upgraded(state))


def hand_over(y: NDArray, cells: NDArray[np.intp], inputs: NDArray[np.intp]) -> None:
    """Change the rates ``y (batch, n_cells)``: each of ``inputs`` drives its own of ``cells`` and no other cell, and
    these cells respond to nothing else."""
    y[inputs] = 0
    y[:, cells] = 0
    y[inputs, cells] = 1


def excitatory_rule(rule: RuleLike, name: str = "rule") -> Rule:
    """The rule that a parameter stands for; ValueError if an excitatory layer cannot learn by it."""
    made = as_rule(rule)
    if "E" not in made.signs or made.rewarded:
        raise ValueError(f"{name} must learn on pathways of sign 'E' and without a reward, got {made!r}")
    check(f"eta of {name}", made.eta, LEARNING_RATE)
    return made


def own_rule(rule: RuleLike, seed: int, n_threads: Threads, name: str = "rule") -> Rule:
    """The rule with the threads of a layer, unless it has its own, and the layer's seed added to that of its noise."""
    made = excitatory_rule(rule, name)
    own: dict[str, Any] = {} if made.n_threads or not n_threads else {"n_threads": n_threads}
    own |= {f.name: getattr(made, f.name) + seed for f in fields(made) if f.init and f.name == "seed"}
    return replace(made, **own) if own else made
