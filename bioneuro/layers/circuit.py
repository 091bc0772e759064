"""Excitatory cells that compete through inhibitory cells: afferent, E -> I and I -> E synapses, all learned."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from bioneuro import connectivity
from bioneuro._attributes import Array, Missing, Number, Pathway
from bioneuro.analysis import row_index
from bioneuro.layers.association import Association
from bioneuro.layers.competitive import Step
from bioneuro.layers.settling import settle, settle_grad
from bioneuro.synapses import Synapses

#: Floor of the log relaxation of E -> I and I -> E weights, whose size is 1 at chance.
FLOOR = 1e-2
#: Change of the common threshold by one time constant of an e-fold error of the activity, relative to ``beta``.
COMMON_GAIN = 0.2
#: Largest residual at rest; samples that settle at a time.
TOLERANCE, CHUNK = 1e-4, 2048
#: Most steps of :func:`bioneuro.layers.settling.settle` after pivoting.
MAX_ITER = 200


class Circuit(Association):
    """Association whose competition is a circuit of excitatory (E) and inhibitory (I) cells, 80 to 20 by default.

    Rates are the rest of ``y = (beta W h + V q - th)+``, ``q = U y``, with ``W, U >= 0`` and ``V <= 0``
    (:func:`bioneuro.layers.settle`): there is no softmax. In learning, synapses see
    what each cell has of a sample's activity, ``y_i^s / sum_j y_j^s`` with s the sharpening: a division by all cells,
    which no synapse of the circuit computes.

    ``W`` learns as in :class:`CompetitiveLayer`. Synapses between E cell i and I cell k relax in the log domain, as
    fast as the afferent ones of cell i, to how much more than chance the two are active together:
    ``R = (E[y_i q_k] / (E[y_i] E[q_k]))^specificity``, ``U_ki -> R`` and ``V_ik -> -R``. Then they are scaled: the
    weights onto an I cell sum to ``n_cells``, those onto an E cell to ``-inhibition``. (A multiplicative form of the
    correlation-measuring rule of King, Zylberberg & DeWeese 2013, J. Neurosci. 33:5475.) Both directions of a pair see
    the same correlation, so ``-V U`` tends to a matrix similar to a positive semidefinite one, which has one rest.
    In learning the label's top-down drive is ``kappa (v_i(label) - 1)``: excitation that inhibition balances. There is
    no third factor: the gradient of what settles is not that of a softmax.

    Thresholds are homeostatic: ``th_i = th + homeostasis log(N r_i)``, with ``r_i`` the share of cell i in all activity
    and ``th`` integrating ``log(total activity / activity)``: every cell is drawn to the rate ``activity / N``.

    Parameters
    ----------
    n_cells, n_features, n_classes : int
        ``n_cells`` are the E cells.
    inhibitory_share : float, default 0.2
        I cells as a share of all, in (0, 1).
    inhibition : float, default 3
        Strength of I -> E at chance, > 0: the larger, the fewer cells are active.
    inhibitory_density : float, default 0.5
        Share of the pairs of E and I cells that are connected, both ways, in (0, 1]; drawn once, at random.
    specificity : float, default 0.5
        Exponent of the correlation, >= 0: 0 leaves inhibition as unspecific as the connections, near 1 it becomes that
        of a cell by itself.
    activity : float, default 10
        Summed rate to which homeostasis draws, in units of ``beta`` times the drive, > 0.
    **association
        Parameters of :class:`Association`; ``sharpening`` is the exponent s. There is no ``k`` and no ``teacher``.
    """

    SAVED: ClassVar = Association.SAVED | {
        "specificity": Number(0),
        "inhibition": Number(0, open=True),
        "target": Number(0, open=True),
        "to_inhibitory": Pathway(None, "n_cells", "E"),
        "from_inhibitory": Pathway("n_cells", "n_inhibitory", "I"),
        "inhibitory_rate": Array("n_inhibitory", low=0),
        "common_threshold": Number(),
        "residual": Array(None, low=0),
        "_inhibitory": Missing(Array(None, "n_inhibitory", low=0)),
    }

    def __init__(
        self,
        n_cells: int,
        n_features: int,
        n_classes: int,
        *,
        inhibitory_share: float = 0.2,
        inhibition: float = 3.0,
        inhibitory_density: float = 0.5,
        specificity: float = 0.5,
        activity: float = 10.0,
        **association: Any,
    ) -> None:
        if not 0 < inhibitory_share < 1:
            raise ValueError(f"inhibitory_share must lie in (0, 1), got {inhibitory_share}")
        for name, value in (("inhibition", inhibition), ("activity", activity)):
            if not value > 0:
                raise ValueError(f"{name} must be > 0, got {value}")
        if not specificity >= 0:
            raise ValueError(f"specificity must be >= 0, got {specificity}")
        if not 0 < inhibitory_density <= 1:
            raise ValueError(f"inhibitory_density must lie in (0, 1], got {inhibitory_density}")
        if association.get("k") is not None:
            raise ValueError(f"k must be None in a circuit (inhibition decides who is active), got {association['k']}")
        if association.get("teacher") is not None:
            raise ValueError(
                "teacher must be None in a circuit: its rates are no softmax, whose gradient a teacher follows"
            )
        super().__init__(n_cells, n_features, n_classes, **association)
        self.specificity = float(specificity)
        self.inhibition, self.target = float(inhibition), float(activity)
        n = max(1, round(n_cells * inhibitory_share / (1 - inhibitory_share)))
        rng, dtype = np.random.default_rng([self.seed, 1]), self.synapses.dtype
        start = connectivity.Uniform(0.5, 1.5)
        self.to_inhibitory = connectivity.random(
            n, n_cells, density=inhibitory_density, init=start, sign="E", random_state=rng, dtype=dtype
        )
        back = self.to_inhibitory.to_scipy().T.tocsr()
        back.data = -start(rng, back.nnz).astype(dtype) * dtype.type(inhibition / n)
        self.from_inhibitory = Synapses.from_scipy(back, sign="I")
        self.inhibitory_rate = np.ones(n)
        self.common_threshold = 0.0  # the drive is centred: cells start to fire at its mean
        #: Residual of each sample of the last batch that settled.
        self.residual = np.zeros(0)

    taught: ClassVar[bool] = False

    @property
    def n_inhibitory(self) -> int:
        """I cells."""
        return self.to_inhibitory.n_post

    @property
    def threshold(self) -> NDArray:
        """Threshold of every E cell, in learning and response, shape ``(n_cells,)``."""
        share = np.maximum(self.n_cells * self.rate, 0.01)
        return (self.common_threshold + self.homeostasis * np.log(share)).astype(self.synapses.dtype)

    # --- response ---

    def _settled(self, a: NDArray) -> NDArray:
        """Rates at rest ``(batch, n_cells)`` from the afferent drive ``a``."""
        settled = settle(
            a.dtype.type(self.gain) * a,
            self.to_inhibitory,
            self.from_inhibitory,
            self.threshold,
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

    def drive(self, U: NDArray) -> NDArray:
        """Net drive of the E cells at rest, where it is positive: their rates ``y``, shape ``(batch, n_cells)``."""
        parts, residuals = [], []
        for start in range(0, max(len(U), 1), CHUNK):
            parts.append(self._settled(self.excite(U[start : start + CHUNK])))
            residuals.append(self.residual)
        self.residual = np.concatenate(residuals)
        return np.concatenate(parts)

    def drive_grad(self, drive: NDArray, da: NDArray) -> NDArray:
        """Gradient of :meth:`drive` with respect to the input: implicit, at the rest."""
        dy = settle_grad(drive, da, self.to_inhibitory, self.from_inhibitory)
        return self.synapses.input_grad(dy.dtype.type(self.gain) * dy, n_threads=self.n_threads)

    def respond(self, U: NDArray) -> NDArray:
        """Rates at rest, shape ``(batch, n_cells)``."""
        return self.drive(U)

    def respond_grad(self, Y: NDArray, dY: NDArray) -> NDArray:
        """Gradient with respect to the input, given the rates ``Y`` of that input and ``dY``."""
        return self.drive_grad(Y, dY)

    def inhibitory_rates(self, Y: NDArray) -> NDArray:
        """Rates ``q = U y (batch, n_inhibitory)`` of the I cells at rates ``Y`` of the E cells."""
        return self.to_inhibitory.forward(Y, n_threads=self.n_threads)

    def rates(self, drive: NDArray) -> NDArray:
        """Rates that vote: those at rest."""
        return drive

    def rates_grad(self, Y: NDArray, dY: NDArray) -> NDArray:
        """Gradient of :meth:`rates` with respect to the rest."""
        return dY

    def activity(self, drive: NDArray) -> NDArray:
        """Activity ``q = s / |s|`` that readouts see, ``s = sqrt(y + 1) - 1``: a square root of finite slope."""
        s = np.sqrt(drive + 1) - 1
        norm = np.linalg.norm(s, axis=1, keepdims=True)
        return np.divide(s, norm, out=np.zeros_like(s), where=norm > 0)

    def activity_grad(self, drive: NDArray, dQ: NDArray) -> NDArray:
        """Gradient of :meth:`activity` with respect to the rest."""
        root = np.sqrt(drive + 1)
        norm = np.linalg.norm(root - 1, axis=1, keepdims=True)
        Q = self.activity(drive)
        ds = dQ - Q * (Q * dQ).sum(axis=1, keepdims=True)
        return np.divide(ds, 2 * root * norm, out=np.zeros_like(ds), where=norm > 0)

    presynaptic: ClassVar[dict[str, str]] = {
        **Association.presynaptic,
        "association_e_to_i": "association",
        "association_i_to_e": "association_i",
    }

    def pathways(self) -> dict[str, Synapses]:
        """Its learned pathways by name."""
        return {
            **super().pathways(),
            "association_e_to_i": self.to_inhibitory,
            "association_i_to_e": self.from_inhibitory,
        }

    # --- learning ---

    def learn(self, H: NDArray, T: NDArray) -> Step:  # type: ignore[override]
        """One learning step on features ``H (batch, n_features)`` and one-hot labels ``T (batch, n_classes)``."""
        step = super().learn(H, T)
        self._learn_inhibition(step)
        return step

    def _top_down(self, T: NDArray) -> NDArray:
        return self.votes.dtype.type(self.kappa * self.spread) * (T @ self.votes.T - 1)

    def _compete(self, a: NDArray) -> NDArray:
        y = self._settled(a)
        excess = np.log(max(float(y.sum(axis=1).mean()), 1e-9) / self.target)
        speed = min(1.0, len(a) / (self.rate_memory * self.n_cells))
        self.common_threshold += COMMON_GAIN * self.beta * speed * float(np.clip(excess, -1, 1))
        y = (y / np.maximum(y.max(axis=1, keepdims=True), 1e-9)) ** self.sharpening
        total = y.sum(axis=1, keepdims=True)
        share = np.divide(y, total, out=np.zeros_like(y), where=total > 0)
        # before recruits take over their inputs: they connect to the I cells that are active in that moment
        self._inhibitory = self.inhibitory_rates(share)
        self.inhibitory_rate += speed * (self._inhibitory.mean(axis=0) - self.inhibitory_rate)
        return share

    def _learn_inhibition(self, step: Step) -> None:
        """E -> I and I -> E synapses of the cells that were active relax towards their correlation, and are scaled."""
        q, c = self._inhibitory, step.rates.sum(axis=0)
        gain = 1 / np.maximum(c, 1e-6)
        mean = np.maximum(self.inhibitory_rate, 1e-9).astype(c.dtype)
        for pathway, X, Y, onto_inhibitory in (
            (self.to_inhibitory, step.rates, q, True),
            (self.from_inhibitory, q, step.rates, False),
        ):
            post, pre = row_index(pathway.to_scipy()), pathway.indices
            i, k = (pre, post) if onto_inhibitory else (post, pre)
            target = pathway.weight_grad(X, Y, n_threads=self.n_threads) * gain[i] / mean[k]
            target **= self.specificity
            size = np.abs(pathway.weights)
            if not onto_inhibitory:
                size *= self.n_inhibitory / self.inhibition
            size *= ((target + FLOOR) / (size + FLOOR)) ** np.where(c > 1e-6, step.alpha, 0)[i]
            total = np.maximum(np.bincount(post, size, pathway.n_post), np.finfo(size.dtype).tiny)
            scaled = size * ((self.n_cells if onto_inhibitory else -self.inhibition) / total)[post]
            pathway.add(scaled.astype(pathway.dtype) - pathway.weights)
