"""A recurrent circuit of cells that begin with synapses of both signs, and the learning signs it may have."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..analysis import row_index
from ..synapses import Synapses

Rule = Literal["pathway", "hebbian", "synapse", "cell", "indirect"]
RULES: tuple[str, ...] = get_args(Rule)

#: Additive part of the signed rule: what lets a weight pass through 0.
W0 = 0.02
#: Threshold of the indirect rule, whose cells have no homeostatic one: inhibition must hold them down.
FIXED_THRESHOLD = 0.3
#: Rate of the bistable learning sign, and its pull by the cell's activity.
SIGN_RATE, SIGN_PULL = 0.02, 0.2
#: Largest growth per unit of size and learning rate in a step.
LARGEST_TERM = 5.0
#: Standard deviation of the private noise of the indirect rule, and draws of it for each patch.
NOISE, N_DRAWS = 0.005, 16
#: A cell is active above this rate.
ACTIVE = 1e-3
#: Highest rate; only circuits that excite themselves without bound reach it.
SATURATION = 5.0
#: Largest recurrent weight of the rules without a norm: E cells that excite each other grow without bound.
LARGEST_WEIGHT = 0.3


class Settled(NamedTuple):
    """``rates (batch, n_cells)`` and ``residual (batch,)``, ``max_i |F(y)_i - y_i|`` of each patch."""

    rates: NDArray
    residual: NDArray


def bistable_step(sign: NDArray, trace: NDArray) -> NDArray:
    """One step of cell-wide learning signs, ``s += 0.02 [s - s^3 + 0.2 (mean(tr) - tr) / sd(tr)]``.

    Rests at +-1 where all traces are equal; busy cells are pulled down, quiet ones up.

    Parameters
    ----------
    sign, trace : ndarray, (n_cells,)
        Learning signs, and running mean rates of the cells.
    """
    sd = trace.std()
    pull = (trace.mean() - trace) / sd if sd > 0 else np.zeros_like(trace)
    return sign + SIGN_RATE * (sign - sign**3 + SIGN_PULL * pull)


class MixedCircuit:
    """Cells ``y = (gain (W u + g R y - th))+`` whose afferents W and recurrent synapses R start with random signs.

    All synapses learn by the signed rule ``w_ij += eta (|w_ij| + w0) (G_ij - c_i w_ij)``, both G and c per unit of the
    post-synaptic cell's activity. Afferents are Hebbian, ``G = mean(y_i u_j)``, rows of unit norm. ``rule`` says what
    recurrent synapses do:

    - ``"pathway"``: a sign of learning for each pathway. Four fifths of the cells are E (they alone have afferents),
      the rest I; E -> I is Hebbian, I -> E anti-Hebbian, ``G = -mean(y_i x_j)``; no other recurrent synapses.
    - ``"hebbian"``: ``G = mean(y_i x_j)``, cells have no type.
    - ``"synapse"``: each synapse, afferents too, draws its own sign of learning.
    - ``"cell"``: all synapses that a cell makes share its bistable sign of learning (:func:`bistable_step`).
    - ``"indirect"``: no sign of learning is given or shared. Each synapse is anti-Hebbian to what follows a
      private fluctuation ``xi_j`` of its pre-synaptic cell at the delay of two synapses, and keeps its post-synaptic
      cell at its target (Vogels et al. 2011, Science 334:1569)::

          G_ij = -gain_indirect cov(d2_i, xi_j) / (var(xi) p_i) + mean((p* - a_i) x_j) / r_i,      c_i = 0
          d1 = F(y + xi) - F(y),    d2 = F(y + d1) - F(y)

      with a_i whether cell i is active, p_i how often, p* the target, r_i its mean rate. Rows and columns of R keep
      their norms (synaptic scaling; a cell's resource for what it makes): sizes, not signs. The threshold is fixed,
      so that learned inhibition alone makes activity sparse. Why types should arise: d2 holds
      ``sum_k R_ik R_kj``; where every cell receives net inhibition, that is the sign of -(net effect of j), the same
      for all synapses of j.

    Other rules have homeostatic thresholds, ``th_i += 0.02 (active share - target)``.

    Parameters
    ----------
    n_inputs : int >= 1
    rule : {"pathway", "hebbian", "synapse", "cell", "indirect"}
    n_cells : int >= 5
    target : float in (0, 1)
        Share of the patches at which a cell is to be active (I cells of "pathway": four times that).
    eta : float > 0
        Learning rate.
    gain_indirect : float >= 0
        Weight of the indirect term; 0 leaves the homeostatic one. Where it outweighs that one (0.2), net inhibition is
        lost and so are the types.
    centred : bool
        Whether rates (inputs, too) enter the rule with their mean subtracted.
    seed : int

    Raises
    ------
    ValueError
        Unknown rule, or a number out of range.
    """

    def __init__(
        self,
        n_inputs: int,
        rule: Rule = "indirect",
        *,
        n_cells: int = 80,
        target: float = 0.05,
        eta: float = 0.1,
        gain_indirect: float = 0.15,
        centred: bool = False,
        seed: int = 0,
    ) -> None:
        if rule not in RULES:
            raise ValueError(f"rule must be one of {', '.join(map(repr, RULES))}, got {rule!r}")
        if n_inputs < 1 or n_cells < 5:
            raise ValueError(f"n_inputs must be >= 1 and n_cells >= 5, got {n_inputs} and {n_cells}")
        if not 0 < target < 1:
            raise ValueError(f"target must lie in (0, 1), got {target}")
        if not eta > 0 or not gain_indirect >= 0:
            raise ValueError(f"eta must be > 0 and gain_indirect >= 0, got {eta} and {gain_indirect}")
        self.rule, self.n_cells, self.eta = rule, n_cells, float(eta)
        self.gain_indirect, self.centred = float(gain_indirect), centred
        self.rng = np.random.default_rng(seed)
        typed, indirect = rule == "pathway", rule == "indirect"
        # loop gain and its damping: strong where inhibition is to hold cells down, weak where cells may excite all
        self.gain, self.strength = (3.0, 3.0) if indirect else (10.0, 0.3) if typed else (10.0, 0.1)
        self.damping, self.max_iter = (0.05, 100) if indirect else (0.1, 100)
        self.excitatory = np.arange(n_cells) < (4 * n_cells) // 5 if typed else np.ones(n_cells, bool)
        self.target = np.where(self.excitatory, target, min(4 * target, 0.5)).astype(np.float32)
        afferent = np.repeat(self.excitatory[:, None], n_inputs, axis=1)
        recurrent = self.excitatory[:, None] != self.excitatory if typed else ~np.eye(n_cells, dtype=bool)
        self.afferents, self.recurrent = self._pathway(afferent), self._pathway(recurrent)
        self.threshold = np.zeros(n_cells, np.float32)
        self.sign = self.rng.normal(0, 0.1, n_cells)  # of the rule "cell"
        self._own = [np.where(self.rng.random(W.nnz) < 0.5, -1, 1) for W in (self.afferents, self.recurrent)]
        self.trace = np.full(n_cells, 0.2)
        self.active_share = np.full(n_cells, target)
        self._input_mean = np.zeros(n_inputs, np.float32)
        self._rate_mean = np.zeros(n_cells, np.float32)

    def _pathway(self, stored: NDArray[np.bool_]) -> Synapses:
        """Half-normal sizes, random signs, rows of unit norm, on the stored places."""
        sizes = np.abs(self.rng.normal(size=stored.shape)) * self.rng.choice([-1, 1], stored.shape)
        synapses = Synapses.from_scipy(sp.csr_array(np.where(stored, sizes, 0).astype(np.float32)))
        synapses.normalize_rows()
        return synapses

    def drive(self, U: NDArray) -> NDArray:
        """``gain (W u - th)`` of patches ``U (batch, n_inputs)``."""
        return np.float32(self.gain) * (self.afferents.forward(U) - self.threshold)

    def settle(self, U: NDArray, *, inhibition: bool = True, max_iter: int | None = None) -> Settled:
        """Rates at rest by damped iteration, ``y += d (F(y) - y)`` until ``|F(y) - y| < 0.003``.

        Parameters
        ----------
        U : ndarray of float32, (batch, n_inputs)
        inhibition : bool
            False: without the negative recurrent synapses.
        max_iter : int >= 1, optional
            Most iterations; 100 as in learning if not given.
        """
        b, K = self.drive(U), self._matrix()
        if not inhibition:
            K = np.maximum(K, 0)
        y = np.zeros_like(b)
        for step in range(max_iter or self.max_iter):
            change = self._rates(b + y @ K) - y
            y += np.float32(self.damping) * change
            if step % 10 == 9 and np.abs(change).max() < 3e-3:
                break
        return Settled(y, np.abs(change).max(axis=1))

    def _matrix(self) -> NDArray:
        """``gain g R^T``, (n_cells, n_cells)."""
        R = self.recurrent.to_scipy().toarray()
        return np.ascontiguousarray(R.T) * np.float32(self.gain * self.strength)

    @staticmethod
    def _rates(drive: NDArray) -> NDArray:
        return np.clip(drive, 0, SATURATION)

    # --- learning -----------------------------------------------------------------------------------------

    def prepare(self, patches: NDArray, n_steps: int, batch: int = 64) -> None:
        """Let afferents learn before recurrent synapses do. A blanket inhibition, which is gone afterwards, leaves the
        cells of largest drive active, twice the target share, so that cells come to differ; thresholds are homeostatic.

        Parameters
        ----------
        patches : ndarray of float32, (n, n_inputs)
        n_steps : int >= 0
        batch : int >= 1
        """
        driven = np.flatnonzero(self.excitatory)
        n_active = max(1, round(2 * float(self.target.min()) * driven.size))
        for _ in range(n_steps):
            U = patches[self.rng.integers(0, len(patches), batch)]
            b = self.drive(U)
            blanket = np.partition(b[:, driven], -n_active - 1, axis=1)[:, -n_active - 1, None]
            y = self._rates(b - np.maximum(blanket, 0)) * self.excitatory.astype(np.float32)
            self._account(U, y)
            self._adapt(y, driven)
            self._learn_afferents(U, y)
        if self.rule == "indirect":
            self.threshold[:] = FIXED_THRESHOLD

    def learn(self, U: NDArray) -> Settled:
        """One step on a batch ``U (batch, n_inputs)`` for all synapses."""
        settled = self.settle(U)
        y = settled.rates
        self._account(U, y)
        if self.rule == "indirect":
            self._learn_indirect(U, y)
        else:
            self._adapt(y)
            self._learn_recurrent(y)
        self._learn_afferents(U, y)
        return settled

    def _account(self, U: NDArray, y: NDArray) -> None:
        """Running means, over 20 batches."""
        self.trace += 0.05 * (y.mean(axis=0) - self.trace)
        self.active_share += 0.05 * ((y > ACTIVE).mean(axis=0) - self.active_share)
        if self.centred:
            self._input_mean += np.float32(0.05) * (U.mean(axis=0) - self._input_mean)
            self._rate_mean[:] = self.trace

    def _adapt(self, y: NDArray, cells: NDArray | slice = slice(None)) -> None:
        excess = (y > ACTIVE).mean(axis=0) - self.target
        self.threshold[cells] += np.float32(0.02) * excess[cells].astype(np.float32)

    def _per_activity(self, y: NDArray) -> tuple[NDArray, NDArray]:
        """Mean rate c of the batch, and what one unit of activity counts for each cell: at most a step of 2 in all."""
        c = y.mean(axis=0)
        active = y[y > ACTIVE]
        floor = 0.3 * self.target * (active.mean() if active.size else 1.0)
        return c, np.minimum(1 / np.maximum(self.trace, floor), 2 / np.maximum(c, 1e-6)).astype(np.float32)

    def _learn_afferents(self, U: NDArray, y: NDArray) -> None:
        c, k = self._per_activity(y)
        G = self.afferents.weight_grad(U - self._input_mean, y * k) / len(U)
        if self.rule == "synapse":
            G *= self._own[0]
        self._step(self.afferents, G, c * k, normalize=True)

    def _learn_recurrent(self, y: NDArray) -> None:
        c, k = self._per_activity(y)
        G = self.recurrent.weight_grad(y - self._rate_mean, y * k) / len(y)
        if self.rule == "cell":
            self.sign = bistable_step(self.sign, self.trace)
        pre = self.recurrent.indices
        signs = {
            "pathway": np.where(self.excitatory, 1, -1)[pre],
            "hebbian": 1,
            "synapse": self._own[1],
            "cell": self.sign[pre],
        }
        self._step(self.recurrent, G * signs[self.rule], c * k, normalize=False)

    def _learn_indirect(self, U: NDArray, y: NDArray) -> None:
        active = (y > ACTIVE).astype(np.float32)
        homeostatic = (self.target - active) / np.maximum(self.trace, 0.01).astype(np.float32)
        G = self.recurrent.weight_grad(y - self._rate_mean, homeostatic) / len(y)
        if self.gain_indirect:
            scale = self.gain_indirect / np.maximum(self.active_share, 0.02).astype(np.float32)
            G -= scale[row_index(self.recurrent.to_scipy())] * self.indirect_effect(U, y)
        self._step(self.recurrent, np.clip(G, -LARGEST_TERM, LARGEST_TERM), np.zeros_like(y[0]), normalize=False)
        # each cell has a fixed resource for the synapses that it makes, then for those that it receives: sizes only
        R = self.recurrent.to_scipy()
        norm = np.sqrt(np.bincount(R.indices, R.data.astype(float) ** 2, self.n_cells))
        self.recurrent.add((R.data * (1 / np.maximum(norm, 1e-9) - 1)[R.indices]).astype(np.float32))
        self.recurrent.normalize_rows()

    def indirect_effect(self, U: NDArray, y: NDArray) -> NDArray:
        """``cov(d2_i, xi_j) / var(xi)`` of each recurrent synapse, (nnz,): from rates and noise alone.

        Parameters
        ----------
        U : ndarray, (batch, n_inputs)
        y : ndarray, (batch, n_cells)
            Rates that :meth:`settle` gave for them.
        """
        K, y = self._matrix(), np.repeat(y, N_DRAWS, axis=0)
        b = np.repeat(self.drive(U), N_DRAWS, axis=0)
        xi = self.rng.normal(0, NOISE, y.shape).astype(np.float32)
        rest = self._rates(b + y @ K)
        first = self._rates(b + (y + xi) @ K) - rest
        second = self._rates(b + (y + first) @ K) - rest
        return self.recurrent.weight_grad(xi, second) / np.float32(len(y) * NOISE**2)

    def _step(self, W: Synapses, G: NDArray, c: NDArray, normalize: bool) -> None:
        G, c = np.ascontiguousarray(G, np.float32), np.ascontiguousarray(c, np.float32)
        w_max = np.inf if normalize or self.rule == "indirect" else LARGEST_WEIGHT
        W.plasticity_step(G, c, form="signed", eta=self.eta, w0=W0, w_max=w_max, normalize=normalize)
