"""Structural turnover: the smaller a synapse, the sooner it dies; new ones are born anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..checks import Checked, Number
from ..spelling import spelled
from ..synapses import Synapses
from ..threads import Threads

#: Iterations after which norm and survival agree: to 1e-6 at gamma 1.5, to 2e-3 at gamma 5.
N_SETTLE = 12
#: Cells whose equilibrium is computed together: what is gone through so often should stay in the cache.
CACHED_ROWS = 8
#: Rates of births and deaths; at higher ones nothing would be left of what was learned.
RATE = Number(0, 1000)


@spelled
@dataclass(frozen=True, kw_only=True)
class Turnover(Checked):
    """Hazard of death ``death (|w| / w0)^-gamma``, births at rate ``birth`` among the silent pairs, at weight w0.

    ``w0 = 1 / sqrt(n_pre)``: the weight that each of ``n_pre`` equal synapses has under synaptic scaling to unit norm.
    A synapse of weight w is then alive for a share ``birth / (birth + death (w / w0)^-gamma)`` of the time: logistic in
    log w, of slope ``gamma``, one half where ``log(w / w0) = log(death / birth) / gamma``. No density is given
    anywhere. It follows from how the weights are spread, and scaling holds it: where many die, the rest grow.

    Rates are per unit of a cell's own change of synapses, so cells that learn nothing keep their wiring. (Spines that
    are small are lost sooner: Holtmaat et al. 2005, Neuron 45:279; Yasumatsu et al. 2008, J. Neurosci. 28:13592.)

    Parameters
    ----------
    birth : float, default 0.00125
    death : float, default 0.005
        Rates in [0, 1000].
        Both 0: nothing ever dies, nothing is born, and cells keep all the synapses they begin with.
    gamma : float, default 1.5
        How much longer large synapses live, in [0, 100].
    """

    birth: float = 0.00125
    death: float = 0.005
    gamma: float = 1.5

    _kinds = {"birth": (RATE,), "death": (RATE,), "gamma": (Number(0, 100),)}

    def __bool__(self) -> bool:
        return bool(self.birth > 0 or self.death > 0)

    def survival(self, size: NDArray) -> NDArray:
        """Share of the time that a synapse of ``size = |w| / w0`` is alive, in [0, 1]."""
        if not self.death:
            return np.ones_like(size)
        if not self.birth:
            return np.zeros_like(size)
        with np.errstate(divide="ignore", over="ignore"):
            return self.birth / (self.birth + self.death * size**-self.gamma)

    def step(
        self,
        synapses: Synapses,
        time: NDArray,
        *,
        seed: int,
        step: int,
        n_threads: Threads = None,
        scale: bool = True,
    ) -> tuple[int, int]:
        """Deaths and births of ``time (n_post,)``, then, with ``scale``, rows of unit norm. Returns (died, born)."""
        if not self:
            return 0, 0
        size = 1 / np.sqrt(synapses.n_pre)
        return synapses.turnover(
            birth=self.birth, death=self.death, gamma=self.gamma, size=size, time=time, seed=seed, step=step,
            normalize=scale, n_threads=n_threads,
        )  # fmt: skip

    def settle(self, W: NDArray, rng: np.random.Generator) -> sp.csr_array:
        """What is left after long turnover of cells whose synapses have the weights ``W (n, n_pre)`` > 0 while all are
        alive.

        Each synapse is there with the probability of its equilibrium, at which norm and survival agree; rows have unit
        norm. A cell none of whose synapses is left has an empty row.
        """
        draws, survival = rng.random(W.shape, dtype=np.float32), np.empty(W.shape)
        for first in range(0, len(W), CACHED_ROWS):
            cells = slice(first, first + CACHED_ROWS)
            survival[cells] = self._equilibrium(W[cells])
        alive = (draws < survival) & (W != 0)
        indptr = np.concatenate([[0], np.cumsum(np.count_nonzero(alive, axis=1))])
        rows = sp.csr_array((W[alive], np.nonzero(alive)[1].copy(), indptr), W.shape)
        norm = np.sqrt(np.add.reduceat(np.append(rows.data.astype(float) ** 2, 0), rows.indptr[:-1]))
        rows.data /= np.repeat(np.maximum(norm, np.finfo(W.dtype).tiny), np.diff(rows.indptr)).astype(W.dtype)
        return rows

    def _equilibrium(self, W: NDArray) -> NDArray:
        """Survival of each synapse, consistent with the norm of those that survive."""
        if not (self.birth and self.death):
            return self.survival(W)
        # What survives of a norm r has a norm ~ r^-a with a < gamma / 2: a step made for gamma / 2 never overshoots.
        pace = 1 / (1 + self.gamma / 2)
        least = float(np.finfo(W.dtype).tiny)  # a cell may have none but silent synapses
        norm = np.maximum(np.sqrt(np.einsum("ij,ij->i", W, W, dtype=float)), least)[:, None]
        size, left = W * (np.sqrt(W.shape[1]) / norm), np.ones_like(norm)  # and the share of the norm that is left
        with np.errstate(divide="ignore", over="ignore"):
            dead = np.minimum(self.death / self.birth * size.astype(float) ** -self.gamma, np.finfo(float).max)
        mass, odds = (size * size) / W.shape[1], np.empty_like(dead)
        for _ in range(N_SETTLE):  # a share 1 / (1 + odds of being dead) is alive; the odds follow the norm
            np.multiply(dead, left**self.gamma, out=odds)
            odds += 1
            alive = np.sqrt(np.divide(mass, odds, out=odds).sum(axis=1, keepdims=True))
            left = np.maximum(left ** (1 - pace) * alive**pace, least)
        return np.where(W > 0, 1 / (1 + dead * left**self.gamma), 0)
