"""Excitatory cells that compete through inhibitory cells: afferent, E -> I and I -> E synapses, all learned."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bioneuro import connectivity
from bioneuro.layers.association import Association
from bioneuro.layers.competitive import Step
from bioneuro.layers.settling import matrix, settle, settle_grad
from bioneuro.synapses import Synapses

#: Floor of the log relaxation of E -> I and I -> E weights, whose size is 1 at chance.
FLOOR = 1e-2
#: Change of the common threshold by one time constant of an e-fold error of the activity, relative to ``beta``.
COMMON_GAIN = 0.05
#: Most steps of :func:`bioneuro.layers.settling.settle` after pivoting.
MAX_ITER = 200


class Circuit(Association):
    """Association whose competition is a circuit of excitatory (E) and inhibitory (I) cells, 80 to 20 by default.

    Rates are the rest of ``y = (beta W h + V q - th)+``, ``q = U y``, with ``W, U >= 0`` and ``V <= 0``
    (:func:`bioneuro.layers.settle`): there is no softmax, in learning or elsewhere. Cells start with random synapses.

    ``W`` learns as in :class:`CompetitiveLayer`. A synapse between E cell i and I cell k relaxes in the log domain, as
    fast as the afferent ones of cell i, to how much more than chance the two are active together:
    ``R = E[y_i q_k] / (E[y_i] E[q_k])``, ``U_ki -> (R - chance)+``, ``V_ik -> -inhibition / n_I (R - chance)+`` (a
    multiplicative form of the correlation-measuring rule of King, Zylberberg & DeWeese 2013, J. Neurosci. 33:5475).

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
    chance : float, default 0.5
        What is taken off ``R``, in [0, 1): 0 leaves inhibition global, towards 1 it becomes specific.
    activity : float, default 10
        Summed rate to which homeostasis draws, in units of ``beta`` times the drive, > 0.
    **association
        Parameters of :class:`Association`; ``sharpening`` and ``k`` have no part here.
    """

    def __init__(
        self,
        n_cells: int,
        n_features: int,
        n_classes: int,
        *,
        inhibitory_share: float = 0.2,
        inhibition: float = 3.0,
        chance: float = 0.5,
        activity: float = 10.0,
        **association: Any,
    ) -> None:
        if not 0 < inhibitory_share < 1:
            raise ValueError(f"inhibitory_share must lie in (0, 1), got {inhibitory_share}")
        for name, value in (("inhibition", inhibition), ("activity", activity)):
            if not value > 0:
                raise ValueError(f"{name} must be > 0, got {value}")
        if not 0 <= chance < 1:
            raise ValueError(f"chance must lie in [0, 1), got {chance}")
        super().__init__(n_cells, n_features, n_classes, **association)
        self.inhibition, self.chance, self.target = float(inhibition), float(chance), float(activity)
        n = max(1, round(n_cells * inhibitory_share / (1 - inhibitory_share)))
        rng, dtype = np.random.default_rng([self.seed, 1]), self.synapses.dtype
        self.to_inhibitory = connectivity.dense(
            n, n_cells, connectivity.Uniform(0.5, 1.5), sign="E", random_state=rng, dtype=dtype
        )
        self.from_inhibitory = connectivity.dense(
            n_cells,
            n,
            connectivity.Uniform(0.5 * inhibition / n, 1.5 * inhibition / n),
            sign="I",
            random_state=rng,
            dtype=dtype,
        )
        self.inhibitory_rate = np.ones(n)
        self.common_threshold = 0.6 * self.beta
        #: Largest residual of the last batch: above 1e-4 some sample found no rest.
        self.residual = 0.0

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
        settled = settle(self.beta * a, self.to_inhibitory, self.from_inhibitory, self.threshold, max_iter=MAX_ITER)
        self.residual = float(settled.residual.max(initial=0))
        return settled.y

    def drive(self, U: NDArray) -> NDArray:
        """Net drive of the E cells at rest, where it is positive: their rates ``y``, shape ``(batch, n_cells)``."""
        return self._settled(self.excite(U))

    def drive_grad(self, drive: NDArray, da: NDArray) -> NDArray:
        """Gradient of :meth:`drive` with respect to the input: implicit, at the rest."""
        dy = settle_grad(drive, da, self.to_inhibitory, self.from_inhibitory)
        return self.synapses.input_grad(self.beta * dy, n_threads=self.n_threads)

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

    def _compete(self, a: NDArray) -> NDArray:
        y = self._settled(a)
        total = y.sum(axis=1, keepdims=True)
        excess = np.log(max(float(total.mean()), 1e-9) / self.target)
        speed = min(1.0, len(a) / (self.rate_memory * self.n_cells))
        self.common_threshold += COMMON_GAIN * self.beta * speed * float(np.clip(excess, -1, 1))
        share = np.divide(y, total, out=np.zeros_like(y), where=total > 0)
        # before recruits take over their inputs: they connect to the I cells that are active in that moment
        self._inhibitory = self.inhibitory_rates(share)
        self.inhibitory_rate += speed * (self._inhibitory.mean(axis=0) - self.inhibitory_rate)
        return share

    def _learn_inhibition(self, step: Step) -> None:
        """E -> I and I -> E synapses of the cells that were active relax towards their correlation beyond chance."""
        c = step.rates.sum(axis=0)
        active = c > 1e-6
        y = np.ascontiguousarray(step.rates[:, active])
        together = (y.T @ self._inhibitory) / c[active, None] / np.maximum(self.inhibitory_rate, 1e-9)
        target = np.maximum(together - self.chance, 0) / (1 - self.chance)
        alpha = step.alpha[active, None]
        size = self.inhibition / self.n_inhibitory
        for pathway, unit, rows in ((self.to_inhibitory, 1.0, False), (self.from_inhibitory, -size, True)):
            W = matrix(pathway) / unit
            part = W[active] if rows else W[:, active].T
            relaxed = part * ((target + FLOOR) / (part + FLOOR)) ** alpha
            delta = np.zeros_like(W)
            if rows:
                delta[active] = relaxed - part
            else:
                delta[:, active] = (relaxed - part).T
            pathway.add((unit * delta).astype(pathway.dtype).ravel())
