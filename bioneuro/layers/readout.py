"""Readouts: from the association's drive to the logits of the classes. One class each, and one registry line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from bioneuro import connectivity
from bioneuro.layers.association import Association
from bioneuro.layers.protocols import Readout
from bioneuro.synapses import Sign, Synapses

#: Added to votes before the logarithm: the confidence that no cell speaks against is bounded.
VOTE_FLOOR = 1e-6
#: Largest change of log |w| in one step of the delta rule.
LARGEST_GROWTH = 1.0
#: Largest |w| of the delta rule, far above what it comes to where it settles: few cells that cannot tell the classes
#: apart would have it grow without end.
LARGEST_WEIGHT = 1e3


class VotesReadout:
    """Logits ``log(sum_i y_i v_i(c))`` with ``y`` the rates: the association's own votes, nothing to learn."""

    def __init__(self, association: Association, n_classes: int, **_: Any) -> None:
        self.association = association

    def logits(self, drive: NDArray) -> NDArray:
        """Logits ``(batch, n_classes)`` from the drive ``(batch, n_cells)``."""
        return np.log(self.association.rates(drive) @ self.association.votes + VOTE_FLOOR)

    def drive_grad(self, drive: NDArray, dlogits: NDArray) -> NDArray:
        """Gradient with respect to the drive, given that with respect to the logits."""
        y, votes = self.association.rates(drive), self.association.votes
        dy = (dlogits / (y @ votes + VOTE_FLOOR)) @ votes.T
        return self.association.rates_grad(y, np.ascontiguousarray(dy, y.dtype))

    def learn(self, drive: NDArray, T: NDArray, eta: float) -> None:
        """Votes learn with the association."""

    def pathways(self) -> dict[str, Synapses]:
        return {}


class DeltaReadout:
    """Multiplicative delta rule on separate excitatory and inhibitory cells.

    ``out = (W_E + W_I) q + b`` with ``W_E >= 0``, ``W_I <= 0`` and ``q`` the association's activity;
    ``p = softmax(out)``; ``log |W_E,I| += +-eta q (t - p)``: the exponential form of
    :func:`bioneuro.kernels.plasticity_step`, which can change no sign (the EG+- algorithm of Kivinen & Warmuth 1997 on
    cells that obey Dale's law). The bias is homeostatic: each output comes to fire as often as it is taught to.

    Parameters
    ----------
    association : Association
    n_classes : int
    w_start : float, default 1
        Weight of every synapse at the start: the E and I pathways cancel.
    """

    def __init__(self, association: Association, n_classes: int, *, w_start: float = 1.0, seed: int = 0) -> None:
        self.association = association
        self.rng = np.random.default_rng(seed)
        dtype = association.synapses.dtype
        self.bias = np.zeros(n_classes, dtype)
        signs: tuple[Sign, Sign] = ("E", "I")
        self.excitatory, self.inhibitory = (
            connectivity.dense(n_classes, association.n_cells, connectivity.Constant(w_start), sign=sign, dtype=dtype)
            for sign in signs
        )

    def _outputs(self, Q: NDArray) -> NDArray:
        n = self.association.n_threads
        return self.excitatory.forward(Q, self.bias, n_threads=n) + self.inhibitory.forward(Q, n_threads=n)

    def logits(self, drive: NDArray) -> NDArray:
        """Logits ``(batch, n_classes)`` from the drive ``(batch, n_cells)``."""
        return self._outputs(self.association.activity(drive))

    def drive_grad(self, drive: NDArray, dlogits: NDArray) -> NDArray:
        """Gradient with respect to the drive, given that with respect to the logits."""
        dlogits = np.ascontiguousarray(dlogits, drive.dtype)
        n = self.association.n_threads
        dq = self.excitatory.input_grad(dlogits, n_threads=n) + self.inhibitory.input_grad(dlogits, n_threads=n)
        return self.association.activity_grad(drive, dq)

    def learn(self, drive: NDArray, T: NDArray, eta: float) -> None:
        """One step on a batch of drives and one-hot labels ``T (batch, n_classes)`` with learning rate ``eta``."""
        Q = self.association.activity(drive)
        error = np.ascontiguousarray(self._error(self._outputs(Q), T), Q.dtype)
        still = np.zeros(T.shape[1], Q.dtype)
        # both pathways reach from every cell to every output, so they share the Hebbian term
        G = self.excitatory.weight_grad(Q, error, n_threads=self.association.n_threads)
        growth = np.clip(eta * G, -LARGEST_GROWTH, LARGEST_GROWTH)
        for pathway in (self.excitatory, self.inhibitory):
            pathway.plasticity_step(growth, still, form="exponential", normalize=False, w_max=LARGEST_WEIGHT)
        self.bias += eta / len(T) * error.sum(axis=0)

    def _error(self, outputs: NDArray, T: NDArray) -> NDArray:
        return T - softmax(outputs, axis=1)

    def pathways(self) -> dict[str, Synapses]:
        """Named pathways, for the weight reports."""
        return {"readout_excitatory": self.excitatory, "readout_inhibitory": self.inhibitory}


class PerturbationReadout(DeltaReadout):
    """The same cells taught by a scalar reward only (weight perturbation; Mazzoni, Andersen & Jordan 1991).

    Synaptic noise of standard deviation ``s`` reaches each output as ``xi ~ N(0, s^2)`` (``q`` has unit norm); the
    reward ``R = log p(label)`` with and without it gives the error ``(R(xi) - R(0)) xi / s^2``, whose mean is ``t - p``
    as ``s -> 0``: no output is told its own error.
    """

    noise = 0.3

    def _error(self, outputs: NDArray, T: NDArray) -> NDArray:
        xi = self.rng.normal(0, self.noise, outputs.shape)
        reward = (log_softmax(outputs + xi, axis=1) - log_softmax(outputs, axis=1))[T > 0]
        return reward[:, None] * xi / self.noise**2


READOUTS: dict[str, Callable[..., Readout]] = {
    "votes": VotesReadout,
    "delta": DeltaReadout,
    "perturbation": PerturbationReadout,
}
