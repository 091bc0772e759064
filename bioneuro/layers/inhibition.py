"""Competition through inhibitory cells: E -> I and I -> E synapses, both learned."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from .. import connectivity
from .._attributes import Array, Pathway, ThreadCount
from ..analysis import row_index
from ..checks import POSITIVE_SHARE, PROPER_SHARE, Number, Only, check, check_count
from ..synapses import Synapses
from ..threads import Threads
from .interfaces import Learned
from .numeric_limits import GAIN, INHIBITION, SPECIFICITY
from .settling import settle, settle_grad

#: Floor of the log relaxation of E -> I and I -> E weights, whose size is 1 at chance.
FLOOR = 1e-2
#: Change of the common threshold by one time constant of an e-fold error of the activity, relative to ``beta``.
COMMON_GAIN = 0.2
#: Largest residual at rest; samples that settle at a time.
TOLERANCE, CHUNK = 1e-4, 2048
#: Most steps of :func:`bioneuro.layers.settling.settle` after pivoting.
MAX_ITER = 200


class InhibitoryCells:
    """Competition of excitatory (E) cells through inhibitory (I) ones, which they drive: 80 to 20 by default.

    Rates are the fixed point of ``y = (gain a + V q - th)+``, ``q = U y``, with ``U >= 0`` and ``V <= 0``
    (:func:`bioneuro.layers.settle`): there is no softmax. In learning, synapses see each cell's share of a sample's
    activity, ``y_i^s / sum_j y_j^s`` with s the sharpening: a division by all cells, which no synapse of the circuit
    computes.

    Synapses between E cell i and I cell k relax in the log domain, as fast as the afferent ones of cell i, to how much
    more than chance the two are active together: ``R = (E[y_i q_k] / (E[y_i] E[q_k]))^specificity``, ``U_ki -> R`` and
    ``V_ik -> -R``. Then they are scaled: the weights onto an I cell sum to ``n_cells``, those onto an E cell to
    ``-inhibition``. (A multiplicative form of the correlation-measuring rule of King, Zylberberg & DeWeese 2013,
    J. Neurosci. 33:5475.) Both directions of a pair see the same correlation, so ``-V U`` tends to a matrix similar to
    a positive semidefinite one, for which the fixed point is unique. In learning the label's top-down drive is
    ``kappa (v_i(label) - 1)``: excitation that inhibition balances. There is no third factor: the gradient of what
    settles is not that of a softmax.

    The homeostatic thresholds of the cells have a common part, which integrates ``log(total activity / activity)``:
    every cell is drawn to the rate ``activity / N``.

    Parameters
    ----------
    n_cells : int
        E cells.
    beta, sharpening : float, default 3 and 2
        Gain of the drive, in units of one over its spread, > 0; the exponent s, > 0.
    k : None
        Inhibition decides who is active.
    inhibitory_share : float, default 0.2
        I cells as a share of all, in (0, 1).
    inhibition : float, default 3
        Strength of I -> E at chance, > 0: the larger, the fewer cells are active.
    inhibitory_density : float, default 0.5
        Share of the pairs of E and I cells that are connected, both ways, in (0, 1]; drawn once, at random.
    specificity : float, default 0.5
        Exponent of the correlation, >= 0: at 0 inhibition is as unspecific as the connections, near 1 each cell mainly
        inhibits itself.
    activity : float, default 10
        Summed rate that homeostasis aims at, in units of ``beta`` times the drive, > 0.
    seed : int
        Of the connections.
    dtype : float32 or float64
    n_threads : int >= 1, "auto" or None

    Attributes
    ----------
    to_inhibitory, from_inhibitory : Synapses
        E -> I ``(n_inhibitory, n_cells)`` and I -> E ``(n_cells, n_inhibitory)``.
    residual : ndarray
        Of each sample of the last batch that settled (:class:`bioneuro.layers.Settled`).
    """

    SAVED: ClassVar = {
        "beta": GAIN,
        "sharpening": GAIN,
        "k": Only(None),
        "n_threads": ThreadCount(),
        "specificity": SPECIFICITY,
        "inhibition": INHIBITION,
        "target": GAIN,
        "to_inhibitory": Pathway(sign="E"),
        "from_inhibitory": Pathway("n_cells", "n_inhibitory", "I", dtype="to_inhibitory.dtype"),
        "inhibitory_rate": Array("n_inhibitory", low=0),
        "common_threshold": Number(-np.inf),
        "residual": Array(None, low=0),
    }

    taught: ClassVar[bool] = False
    presynaptic: ClassVar[dict[str, str]] = {
        "association_e_to_i": "association",
        "association_i_to_e": "association_i",
    }
    n_rivals: int | None = None
    k: int | None

    def __init__(
        self,
        n_cells: int,
        *,
        beta: float = 3.0,
        sharpening: float = 2.0,
        k: int | None = None,
        inhibitory_share: float = 0.2,
        inhibition: float = 3.0,
        inhibitory_density: float = 0.5,
        specificity: float = 0.5,
        activity: float = 10.0,
        seed: int = 0,
        dtype: DTypeLike = np.float32,
        n_threads: Threads = None,
    ) -> None:
        check("inhibitory_share", inhibitory_share, PROPER_SHARE)
        check("inhibitory_density", inhibitory_density, POSITIVE_SHARE)
        check("inhibition", inhibition, INHIBITION)
        check("specificity", specificity, SPECIFICITY)
        check_count("seed", seed, 0)
        gains = {"beta": beta, "sharpening": sharpening, "activity": activity}
        for name, value in gains.items():
            check(name, value, GAIN)
        if k is not None:
            raise ValueError(f"k must be None in a circuit (inhibition decides who is active), got {k}")
        self.beta, self.sharpening, self.k, self.n_threads = float(beta), float(sharpening), k, n_threads
        self.specificity = float(specificity)
        self.inhibition, self.target = float(inhibition), float(activity)
        n = max(1, round(n_cells * inhibitory_share / (1 - inhibitory_share)))
        rng = np.random.default_rng([seed, 1])
        start = connectivity.Uniform(0.5, 1.5)
        self.to_inhibitory = connectivity.random(
            n, n_cells, density=inhibitory_density, init=start, sign="E", random_state=rng, dtype=dtype
        )
        back = self.to_inhibitory.to_scipy().T.tocsr()
        back.data = -start(rng, back.nnz).astype(dtype) * back.dtype.type(inhibition / n)
        self.from_inhibitory = Synapses.from_scipy(back, sign="I")
        self.inhibitory_rate = np.ones(n)
        self.common_threshold = 0.0  # the drive is centred: cells start to fire at its mean
        self.residual = np.zeros(0)

    @classmethod
    def restored(cls, **attributes: Any) -> Self:
        """Cells with these attributes, all that :attr:`SAVED` names: what the constructor would draw is among them."""
        if differing := attributes.keys() ^ cls.SAVED.keys():
            raise TypeError(f"attributes must be those of SAVED, differing in {', '.join(sorted(differing))}")
        cells = cls.__new__(cls)
        vars(cells).update(attributes)
        return cells

    @property
    def n_cells(self) -> int:
        """E cells."""
        return self.to_inhibitory.n_pre

    @property
    def dtype(self) -> np.dtype:
        """Of its weights."""
        return self.to_inhibitory.dtype

    @property
    def n_inhibitory(self) -> int:
        """I cells."""
        return self.to_inhibitory.n_post

    # --- response ---

    def drive(self, a: NDArray, gain: float, threshold: NDArray) -> NDArray:
        """Net drive of the E cells at rest, where it is positive: their rates ``y``, shape ``(batch, n_cells)``."""
        rests, residuals = [], []
        for start in range(0, max(len(a), 1), CHUNK):
            rests.append(self._settled(a[start : start + CHUNK], gain, threshold))
            residuals.append(self.residual)
        self.residual = np.concatenate(residuals)
        return np.concatenate(rests)

    def _settled(self, a: NDArray, gain: float, threshold: NDArray) -> NDArray:
        """Rates at rest ``(batch, n_cells)`` from the afferent drive ``a``."""
        settled = settle(
            a.dtype.type(gain) * a,
            self.to_inhibitory,
            self.from_inhibitory,
            threshold,
            tol=TOLERANCE,
            max_iter=MAX_ITER,
        )
        self.residual = settled.residual
        worst = settled.residual.max(initial=0)
        if not worst <= TOLERANCE:
            n = np.count_nonzero(~(settled.residual <= TOLERANCE))
            warnings.warn(
                f"{n} of {len(a)} samples found no rest: residual {worst:.2g}", ConvergenceWarning, stacklevel=3
            )
        return settled.y

    def drive_grad(self, drive: NDArray, da: NDArray, gain: float) -> NDArray:
        """Gradient with respect to the afferent drive, implicit at the fixed point."""
        dy = settle_grad(drive, da, self.to_inhibitory, self.from_inhibitory)
        return dy.dtype.type(gain) * dy

    def inhibitory_rates(self, Y: NDArray) -> NDArray:
        """Rates ``q = U y (batch, n_inhibitory)`` of the I cells at rates ``Y`` of the E cells."""
        return self.to_inhibitory.forward(Y, n_threads=self.n_threads)

    def rates(self, drive: NDArray, gain: float, out: NDArray | None = None) -> NDArray:
        """Those at rest."""
        if out is None:
            return drive
        out[...] = drive
        return out

    def rates_grad(self, Y: NDArray, dY: NDArray, gain: float) -> NDArray:
        return dY

    def activity(self, drive: NDArray, gain: float) -> NDArray:
        """``q = s / |s|``, ``s = sqrt(y + 1) - 1``: a square root of finite slope."""
        s = np.sqrt(drive + 1) - 1
        norm = np.linalg.norm(s, axis=1, keepdims=True)
        return np.divide(s, norm, out=np.zeros_like(s), where=norm > 0)

    def activity_grad(self, drive: NDArray, dQ: NDArray, gain: float) -> NDArray:
        root = np.sqrt(drive + 1)
        norm = np.linalg.norm(root - 1, axis=1, keepdims=True)
        Q = self.activity(drive, gain)
        ds = dQ - Q * (Q * dQ).sum(axis=1, keepdims=True)
        return np.divide(ds, 2 * root * norm, out=np.zeros_like(ds), where=norm > 0)

    def pathways(self) -> dict[str, Synapses]:
        """Its learned pathways by name."""
        return {"association_e_to_i": self.to_inhibitory, "association_i_to_e": self.from_inhibitory}

    # --- learning ---

    def top_down(self, support: NDArray) -> NDArray:
        """Excitation less inhibition by a label: 0 at most, so that thresholds are the same without a label."""
        support -= 1
        return support

    def compete(self, a: NDArray, gain: float, threshold: NDArray, speed: float) -> tuple[NDArray, NDArray]:
        """Each cell's share of a sample's activity, and the rates of the I cells at that activity."""
        y = self._settled(a, gain, threshold)
        excess = np.log(max(float(y.sum(axis=1).mean()), 1e-9) / self.target)
        self.common_threshold += COMMON_GAIN * self.beta * speed * float(np.clip(excess, -1, 1))
        y = (y / np.maximum(y.max(axis=1, keepdims=True), 1e-9)) ** self.sharpening
        total = y.sum(axis=1, keepdims=True)
        share = np.divide(y, total, out=np.zeros_like(y), where=total > 0)
        # before recruits take over their inputs: they connect to the I cells that are active in that moment
        inhibitory = self.inhibitory_rates(share)
        self.inhibitory_rate += speed * (inhibitory.mean(axis=0) - self.inhibitory_rate)
        return share, inhibitory

    def learn(self, learned: Learned, inhibitory: NDArray | None) -> None:
        """E -> I and I -> E synapses of the cells that were active relax towards their correlation, and are scaled."""
        assert inhibitory is not None  # compete has given it
        q, c = inhibitory, learned.rates.sum(axis=0)
        gain = 1 / np.maximum(c, 1e-6)
        mean = np.maximum(self.inhibitory_rate, 1e-9).astype(c.dtype)
        for pathway, X, Y, onto_inhibitory in (
            (self.to_inhibitory, learned.rates, q, True),
            (self.from_inhibitory, q, learned.rates, False),
        ):
            post, pre = row_index(pathway.to_scipy()), pathway.indices
            i, k = (pre, post) if onto_inhibitory else (post, pre)
            target = pathway.weight_grad(X, Y, n_threads=self.n_threads) * gain[i] / mean[k]
            target **= self.specificity
            size = np.abs(pathway.weights)
            if not onto_inhibitory:
                size *= self.n_inhibitory / self.inhibition
            size *= ((target + FLOOR) / (size + FLOOR)) ** np.where(c > 1e-6, learned.alpha, 0)[i]
            least = max(float(np.finfo(size.dtype).tiny), 1e-300)  # of cells without synapses, too
            total = np.maximum(np.bincount(post, size, pathway.n_post), least)
            scaled = size * ((self.n_cells if onto_inhibitory else -self.inhibition) / total)[post]
            pathway.add(scaled.astype(pathway.dtype) - pathway.weights)
