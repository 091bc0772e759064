"""Association layer: competitive cells on features, each with a vote for every class."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bioneuro import _core, connectivity
from bioneuro.connectivity import Init
from bioneuro.layers.competitive import CompetitiveLayer, Step
from bioneuro.layers.growth import cells_for, novel_inputs
from bioneuro.synapses import Synapses


class Association(CompetitiveLayer):
    """Competitive layer on features ``h`` with votes ``v_i(c)`` that relax to ``E[label = c | cell i active]``.

    Cells start with random synapses, silent, and are recruited. In learning the label adds a top-down drive
    ``kappa v_i(label)``: ``kappa = 0`` leaves cells feature-specific, a large one makes them task-specific.

    Who recruits depends on ``vigilance``. None: the inputs of a batch that are matched worst, and cells that have been
    silent lately, whatever they learned before: right where all data are shown again and again. A number: growth. Cells
    that never learned are mute, and an input recruits one only if it is novel, that is, if no cell of its label
    matches it (drive ``a >= vigilance``), or a cell of another label matches it better. Once no such cell is left, the
    label that owns most gives up the one it used least to a label that owns fewer. So what was learned stays, and the
    budget of ``n_cells`` is never exceeded. (Vigilance is that of adaptive resonance: Carpenter & Grossberg 1987,
    Comput. Vis. Graph. Image Process. 37:54; errors recruit as in Reilly, Cooper & Elbaum 1982, Biol. Cybern. 45:35.)

    Parameters
    ----------
    n_cells, n_features, n_classes : int
    kappa : float, default 0.2
        Top-down gain, >= 0.
    vigilance : float or None, default None
        Least match in (0, 1] of an input that is not novel; None: no growth.
    activity_gain : float, default 0.5
        Gain of the smooth activity that readouts see, relative to ``beta``, > 0.
    density : float, default 1
        Share of synapses present at the start, in (0, 1]; what remains is up to structural plasticity.
    init : str or callable, default "uniform"
        Law of the first weights (:mod:`bioneuro.connectivity`), > 0. A recruited cell forgets them.
    dtype : float32 or float64
    **competition
        ``beta``, ``sharpening``, ``k``, ``exponent``, ``floor``, ``eta``, ``sigma``, ``homeostasis``,
        ``recruitment``, ``theta``, ``seed``, ``n_threads`` of :class:`CompetitiveLayer`.
    """

    def __init__(
        self,
        n_cells: int,
        n_features: int,
        n_classes: int,
        *,
        kappa: float = 0.2,
        vigilance: float | None = None,
        activity_gain: float = 0.5,
        density: float = 1.0,
        init: Init = "uniform",
        dtype: DTypeLike = np.float32,
        beta: float = 120.0,
        recruitment: float = 0.25,
        theta: float = 0.05,
        seed: int = 0,
        **competition: Any,
    ) -> None:
        if not kappa >= 0:
            raise ValueError(f"kappa must be >= 0, got {kappa}")
        if vigilance is not None and not 0 < vigilance <= 1:
            raise ValueError(f"vigilance must lie in (0, 1] or be None, got {vigilance}")
        if not activity_gain > 0:
            raise ValueError(f"activity_gain must be > 0, got {activity_gain}")
        rng = np.random.default_rng(seed)
        synapses = connectivity.random(
            n_cells, n_features, density=density, init=init, sign="E", random_state=rng, dtype=dtype
        )
        synapses.normalize_rows()
        super().__init__(synapses, beta=beta, recruitment=recruitment, theta=theta, seed=seed, **competition)
        self.kappa, self.activity_gain = float(kappa), float(activity_gain)
        self.vigilance = vigilance
        self.votes = np.full((n_cells, n_classes), 1 / n_classes, dtype)

    # Here learning is supervised: labels stand where the layer takes a drive, and it cannot go without them.
    def learn(self, H: NDArray, T: NDArray) -> Step:  # type: ignore[override]
        """One learning step on features ``H (batch, n_features)`` and one-hot labels ``T (batch, n_classes)``."""
        if self.vigilance is not None:
            self._grow(H, T)
        step = super().learn(H, self._top_down(T) if self.kappa else None)
        c = step.rates.sum(axis=0)
        heard = c >= 1e-6
        target = (step.rates.T @ T)[heard] / c[heard, None]
        self.votes[heard] += step.alpha[heard, None] * (target - self.votes[heard])
        return step

    @property
    def owner(self) -> NDArray[np.intp]:
        """Class that each cell votes for, -1 of a cell that never learned, shape ``(n_cells,)``."""
        return np.where(self.age > 0, self.votes.argmax(axis=1), -1)

    def _grow(self, H: NDArray, T: NDArray) -> None:
        """Novel inputs take over cells, which then are there to compete for the batch."""
        label, owner, a = T.argmax(axis=1), self.owner, self.excite(H)
        own, other = (
            np.where(owner == label[:, None], a, 0).max(axis=1),
            np.where(owner != label[:, None], a, 0).max(axis=1),
        )
        inputs = novel_inputs(H, label, own, other, self.vigilance)
        cells = cells_for(label[inputs], owner, self.age)
        cells, inputs = cells[cells >= 0], inputs[cells >= 0]
        if cells.size:
            self._take_over(cells, H[inputs])
            self.votes[cells] = T[inputs]
            # awake, but without a life: it begins with the batch itself
            self.age[cells], self.rate[cells] = np.finfo(float).tiny, 1 / self.n_cells

    def _recruit(self, U: NDArray, match: NDArray, y: NDArray) -> NDArray[np.intp]:
        return super()._recruit(U, match, y) if self.vigilance is None else np.zeros(0, np.intp)

    def excite(self, U: NDArray) -> NDArray:
        """Afferent drive ``a = W u``, shape ``(batch, n_cells)``; 0 of cells that wait for growth."""
        a = super().excite(U)
        if self.vigilance is not None:
            a[:, self.age == 0] = 0
        return a

    def _top_down(self, T: NDArray) -> NDArray:
        return self.kappa * (T @ self.votes.T)

    def rates(self, drive: NDArray) -> NDArray:
        """Rates ``softmax(beta a)`` that vote, from the drive ``a``."""
        return _core.compete(drive, beta=self.beta, k=self.k, n_threads=self.n_threads)

    def rates_grad(self, Y: NDArray, dY: NDArray) -> NDArray:
        """Gradient of :meth:`rates` with respect to the drive."""
        return _core.compete_grad(Y, dY, beta=self.beta, n_threads=self.n_threads)

    #: Population that makes each of the pathways.
    presynaptic: ClassVar[dict[str, str]] = {"association": "features"}

    def pathways(self) -> dict[str, Synapses]:
        """Its learned pathways by name."""
        return {"association": self.synapses}

    def activity(self, drive: NDArray) -> NDArray:
        """Smooth activity ``q = sqrt(softmax(gain beta a))``, rows of unit norm, from the drive ``a``."""
        return np.sqrt(_core.compete(drive, beta=self.activity_gain * self.beta, n_threads=self.n_threads))

    def activity_grad(self, drive: NDArray, dQ: NDArray) -> NDArray:
        """Gradient of :meth:`activity` with respect to the drive."""
        Q = self.activity(drive)
        return self.activity_gain * self.beta / 2 * Q * (dQ - Q * (Q * dQ).sum(axis=1, keepdims=True))
