"""Competitive Hebbian layer: excitatory cells that share one inhibitory pool."""

from __future__ import annotations

from typing import NamedTuple, cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from bioneuro import _core
from bioneuro.synapses import Synapses

#: Drives computed at a time where rates are wanted: 1 MB of float32, which stays in a cache.
TILE = 1 << 18
#: A cell whose rate is below this share of the average is silent: it can be recruited.
SILENT = 0.1
#: Largest plasticity of a young cell, per unit of activity.
YOUNG_ETA = 3.0
#: Plasticity of a cell in the moment of its recruitment: it all but takes the sample over.
RECRUIT_ETA = 6.0


class Step(NamedTuple):
    """What a learning step did: the ``rates (batch, n_cells)`` that learned, how far each cell moved ``(n_cells,)``."""

    rates: NDArray
    alpha: NDArray


class CompetitiveLayer:
    """Excitatory cells with divisive inhibition, local multiplicative plasticity and homeostasis.

    Drive ``a = W u`` (``w >= 0``, rows of unit norm); response ``y = softmax(beta a)``. In learning the competition is
    sharper, ``softmax(sharpening beta a - th)``, and the weights relax in the log domain towards the mean input of
    the moments at which their cell was active, or a power of it (:func:`bioneuro.kernels.plasticity_step`,
    ``"log-relaxation"`` and ``"log-power"``), the faster the less the cell has been active in its life:
    ``eta_i = clip(1 / activity so far, eta, 3)``.

    Two homeostatic mechanisms keep every cell in use. Threshold: each cell follows its own rate ``r_i`` and raises
    ``th_i = homeostasis log(N r_i)``. Recruitment: a silent cell (``r_i < 0.1 / N``) becomes so excitable that the
    input of the batch which the others match worst drives it alone, and it takes that input over.

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
    exponent, floor : float, default 1 and 1e-3
        The weights go to that mean input T, and with another exponent than 1 to ``(T + floor)^exponent``; both > 0.
        Above 1 potentiation is superlinear.
    eta : float, default 0.1
        Learning rate of a grown-up cell, per unit of summed activity, >= 0.
    sigma : float, default 0
        Stationary standard deviation of log w that size-proportional spine noise alone would give.
    homeostasis : float, default 1
        Gain of the homeostatic threshold; 0 switches it off.
    rate_memory : float, default 1
        Time constant of the rate estimate, in units of ``n_cells`` samples, > 0.
    recruitment : float, default 0
        Largest share of a batch that recruits silent cells, in [0, 1].
    theta : float, default 0
        Weights below ``theta`` times their cell's strongest turn silent in :meth:`rewire` and in recruitment.
    seed : int
        Key of the noise and of the sites of new synapses.
    n_threads : int or None
        Threads of the kernels.
    """

    def __init__(
        self,
        synapses: Synapses,
        *,
        beta: float,
        sharpening: float = 2.0,
        k: int | None = None,
        exponent: float = 1.0,
        floor: float = 1e-3,
        eta: float = 0.1,
        sigma: float = 0.0,
        homeostasis: float = 1.0,
        rate_memory: float = 1.0,
        recruitment: float = 0.0,
        theta: float = 0.0,
        seed: int = 0,
        n_threads: int | None = None,
    ) -> None:
        if synapses.sign != "E":
            raise ValueError(f"synapses must have sign 'E' (a competitive layer is excitatory), got {synapses.sign!r}")
        for name, value in (
            ("beta", beta),
            ("sharpening", sharpening),
            ("exponent", exponent),
            ("floor", floor),
            ("rate_memory", rate_memory),
        ):
            if not value > 0:
                raise ValueError(f"{name} must be > 0, got {value}")
        if not 0 <= recruitment <= 1:
            raise ValueError(f"recruitment must lie in [0, 1], got {recruitment}")
        self.synapses = synapses
        self.beta, self.sharpening, self.k = float(beta), float(sharpening), k
        self.exponent, self.floor = float(exponent), float(floor)
        self.eta, self.sigma, self.theta = float(eta), float(sigma), float(theta)
        self.homeostasis, self.rate_memory = float(homeostasis), float(rate_memory)
        self.recruitment = float(recruitment)
        self.seed, self.n_threads = int(seed), n_threads
        self.step = 0
        # Where cells can be recruited they start silent; elsewhere as if each had had its share.
        self.rate = np.full(self.n_cells, 0.0 if recruitment else 1 / self.n_rivals)
        self.age = np.zeros(self.n_cells)

    @property
    def n_cells(self) -> int:
        """Cells of the layer."""
        return self.synapses.n_post

    @property
    def n_rivals(self) -> int:
        """Cells that share an inhibitory pool: here all."""
        return self.n_cells

    @property
    def threshold(self) -> NDArray:
        """Homeostatic threshold of every cell in learning, shape ``(n_cells,)``."""
        return (self.homeostasis * np.log(np.maximum(self.n_rivals * self.rate, 0.01))).astype(self.synapses.dtype)

    def excite(self, U: NDArray) -> NDArray:
        """Afferent drive ``a = W u``, shape ``(batch, n_cells)``."""
        return self.synapses.forward(U, n_threads=self.n_threads)

    def drive(self, U: NDArray) -> NDArray:
        """What the rates follow from, shape ``(batch, n_cells)``: here the afferent drive."""
        return self.excite(U)

    def drive_grad(self, drive: NDArray, da: NDArray) -> NDArray:
        """Gradient of :meth:`drive` with respect to the input, given that with respect to the ``drive``."""
        return self.synapses.input_grad(da, n_threads=self.n_threads)

    def respond(self, U: NDArray) -> NDArray:
        """Rates ``softmax(beta W u)``, shape ``(batch, n_cells)``."""
        Y = np.empty((len(U), self.n_cells), self.synapses.dtype)
        n = max(64, TILE // self.n_cells)
        for start in range(0, len(U), n):  # competition finds the drive in the cache, and takes its place
            y = self.synapses.forward(U[start : start + n], n_threads=self.n_threads, out=Y[start : start + n])
            _core.compete(y, beta=self.beta, k=self.k, n_threads=self.n_threads, out=y)
        return Y

    def respond_grad(self, Y: NDArray, dY: NDArray) -> NDArray:
        """Gradient with respect to the input, given the rates ``Y`` of that input and ``dY``."""
        da = _core.compete_grad(Y, dY, beta=self.beta, n_threads=self.n_threads)
        return self.synapses.input_grad(da, n_threads=self.n_threads)

    def learn(self, U: NDArray, top_down: NDArray | None = None) -> Step:
        """One learning step on a batch ``U (batch, n_pre)``; ``top_down (batch, n_cells)`` adds to the drive."""
        a = self.excite(U)
        match = a.max(axis=1) if self.recruitment else None
        if top_down is not None:
            a += top_down
        y = self._compete(a)
        recruits: NDArray | list[int] = [] if match is None else self._recruit(U, match, y)
        return self._relax(U, y, len(U), recruits)

    def _relax(self, U: NDArray, y: NDArray, n_seen: int | NDArray, recruits: NDArray | list[int]) -> Step:
        """Weights, ages and rates follow the rates ``y``; ``n_seen`` samples were there for a cell to respond to."""
        c = y.sum(axis=0, dtype=float)
        self.age += c
        eta = np.clip(1 / np.maximum(self.age, 1e-9), self.eta, max(self.eta, YOUNG_ETA))
        self.age[recruits], eta[recruits] = 1.0, RECRUIT_ETA

        eta = eta.astype(y.dtype)
        self._change(U, y, eta)
        self.step += 1
        speed = np.minimum(1.0, n_seen / (self.rate_memory * self.n_rivals))
        self.rate += speed * (c / np.maximum(n_seen, 1) - self.rate)
        self.rate[recruits] = 1 / self.n_rivals
        return Step(y, -np.expm1(-eta * c).astype(y.dtype))

    def _change(self, U: NDArray, y: NDArray, eta: NDArray) -> None:
        """The synapses of the active cells, from the rates before and behind them."""
        power = {} if self.exponent == 1 else {"exponent": self.exponent}
        self.synapses.hebbian_step(
            U,
            y,
            "log-power" if power else "log-relaxation",
            gain=eta,  # alpha_i = 1 - exp(-eta_i c_i): a cell's learning rate enters as more or less of its activity
            floor=self.floor,
            sigma=self.sigma,
            **power,
            seed=self.seed,
            step=self.step,
            n_threads=self.n_threads,
        )

    def _compete(self, a: NDArray) -> NDArray:
        """Rates that learn from the drive ``a``, which they may replace; they sum to 1 over the cells."""
        return _core.compete(
            a, beta=self.sharpening * self.beta, threshold=self.threshold, k=self.k, n_threads=self.n_threads, out=a
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
        """The synapses of ``cells`` become what an input each, ``U (n, n_pre)``, would make of them alone."""
        H = U if self.exponent == 1 else (U + self.floor) ** self.exponent
        rows = sp.csr_array(np.where(H >= self.theta * H.max(axis=1, keepdims=True), H, 0))
        self.synapses.replace_rows(cells, rows)

    def rewire(self, U: NDArray | None, Y: NDArray | None, n_grow: int = 0, n_candidates: int = 0) -> tuple[int, int]:
        """Structural plasticity: synapses below ``theta`` times their cell's strongest turn silent and leave; then up
        to ``n_grow`` of ``n_candidates`` random silent sites per cell, those of the largest Hebbian term
        ``sum_b y u``, grow at twice that threshold; none where it is 0. Returns (pruned, born)."""
        pruned = self.synapses.prune(self.theta)
        born = 0
        if n_grow and self.theta:
            born = self.synapses.grow(
                cast(NDArray, U),  # None, without which nothing grows, is refused there by name
                cast(NDArray, Y),
                n_grow=n_grow,
                n_candidates=n_candidates,
                weight=min(1.0, 2 * self.theta),
                seed=self.seed,
                step=self.step,
            )
        if pruned or born:
            self.synapses.normalize_rows()
        return pruned, born
