"""Competitive Hebbian layer: excitatory cells that share one inhibitory pool."""

from __future__ import annotations

import numpy as np

from bioneuro import _core

#: Time constant of a cell's rate estimate, in units of its own expected wins.
RATE_MEMORY = 5.0


class CompetitiveLayer:
    """Excitatory cells with divisive inhibition, local multiplicative plasticity and homeostasis.

    Drive ``a = W u`` (``w >= 0``, rows of unit norm); response ``y = softmax(beta a)``. In learning the competition is
    sharper, ``softmax(sharpening beta a - th)``, and the weights relax in the log domain towards the mean input of
    the moments at which their cell was active (:func:`bioneuro.kernels.plasticity_step`, ``"log-relaxation"``).

    Homeostasis: every cell keeps a slow estimate ``r_i`` of its own rate and raises its threshold with the log of it,
    ``th_i = homeostasis log(N r_i)``: a cell that wins too often gets harder to excite, one that never wins ever
    easier, without bound, so none stays silent.

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
    eta : float, default 0.1
        Learning rate per unit of summed activity, >= 0.
    sigma : float, default 0
        Stationary standard deviation of log w that size-proportional spine noise alone would give.
    homeostasis : float, default 10
        Strength of the homeostatic threshold; 0 switches it off.
    seed : int
        Key of the noise and of the sites of new synapses.
    n_threads : int or None
        Threads of the kernels.
    """

    def __init__(self, synapses, *, beta, sharpening=2.0, k=None, eta=0.1, sigma=0.0, homeostasis=10.0, seed=0,
                 n_threads=None):
        if synapses.sign != "E":
            raise ValueError(f"synapses must have sign 'E' (a competitive layer is excitatory), got {synapses.sign!r}")
        for name, value in (("beta", beta), ("sharpening", sharpening)):
            if not value > 0:
                raise ValueError(f"{name} must be > 0, got {value}")
        self.synapses = synapses
        self.beta, self.sharpening, self.k = float(beta), float(sharpening), k
        self.eta, self.sigma, self.homeostasis = float(eta), float(sigma), float(homeostasis)
        self.seed, self.n_threads = int(seed), n_threads
        self.step = 0
        self.rate = np.full(self.n_cells, 1 / self.n_cells)

    @property
    def n_cells(self) -> int:
        return self.synapses.n_post

    @property
    def threshold(self):
        """Homeostatic threshold of every cell in learning, shape ``(n_cells,)``."""
        return (self.homeostasis * np.log(self.n_cells * self.rate + 1e-6)).astype(self.synapses.dtype)

    def drive(self, U):
        """``a = W u``, shape ``(batch, n_cells)``."""
        return self.synapses.forward(U, n_threads=self.n_threads)

    def respond(self, U):
        """Rates ``softmax(beta W u)``, shape ``(batch, n_cells)``."""
        a = self.drive(U)
        return _core.compete(a, beta=self.beta, k=self.k, n_threads=self.n_threads, out=a)

    def respond_grad(self, Y, dY):
        """Gradient with respect to the input, given the rates ``Y`` of that input and ``dY``."""
        da = _core.compete_grad(Y, dY, beta=self.beta, n_threads=self.n_threads)
        return self.synapses.input_grad(da, n_threads=self.n_threads)

    def learn(self, U, top_down=None):
        """One learning step on a batch ``U (batch, n_pre)``; returns the rates ``(batch, n_cells)`` that learned.

        ``top_down (batch, n_cells)`` is added to the drive (in learning only).
        """
        a = self.drive(U)
        if top_down is not None:
            a += top_down
        y = _core.compete(a, beta=self.sharpening * self.beta, threshold=self.threshold, k=self.k,
                          n_threads=self.n_threads, out=a)
        self.synapses.plasticity_step(
            self.synapses.weight_grad(U, y, n_threads=self.n_threads), y.sum(axis=0), form="log-relaxation",
            eta=self.eta, sigma=self.sigma, normalize=True, seed=self.seed, step=self.step, n_threads=self.n_threads,
        )
        self.step += 1
        speed = min(1.0, len(U) / (RATE_MEMORY * self.n_cells))
        self.rate += speed * (y.mean(axis=0, dtype=float) - self.rate)
        return y

    def rewire(self, U, Y, theta, n_grow=0, n_candidates=0):
        """Structural plasticity: synapses below ``theta`` times their cell's strongest turn silent and leave; then up
        to ``n_grow`` of ``n_candidates`` random silent sites per cell, those of the largest Hebbian term
        ``sum_b y u``, grow at twice that threshold. Returns (pruned, born)."""
        pruned = self.synapses.prune(theta)
        born = 0
        if n_grow:
            born = self.synapses.grow(U, Y, n_grow=n_grow, n_candidates=n_candidates, weight=min(1.0, 2 * theta),
                                      seed=self.seed, step=self.step)
        if pruned or born:
            self.synapses.normalize_rows()
        return pruned, born
