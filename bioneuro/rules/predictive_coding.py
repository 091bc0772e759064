"""The rule of predictive coding: synapses learn to predict the post-synaptic activity from the pre-synaptic one."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import NDArray

from ..synapses import Synapses
from .base import AdditiveRule


@dataclass(frozen=True, kw_only=True)
class PredictiveCoding(AdditiveRule):
    """``dw_ij = eta mean_b((y_bi - p_bi) x_bj)``, ``p = W x``: post-synaptic error times pre-synaptic rate.

    ``Y`` is the activity of the cells under all of their inputs, ``p`` the prediction of this pathway alone. The step
    goes down the gradient of ``mean_b |y_b - p_b|^2 / 2``, so its fixed point is the least-squares prediction, and
    ``eta`` times the largest eigenvalue of ``mean_b x_b x_b^T`` must stay below 2. With targets for ``Y`` it is the
    delta rule. Competing cells have no such targets: their rates sum to 1, and learning towards these leaves hardly a
    synapse.

    Parameters
    ----------
    eta : float > 0, default 0.1

    References
    ----------
    Rao & Ballard 1999, Predictive coding in the visual cortex, Nat. Neurosci. 2:79; Whittington & Bogacz 2017, An
    approximation of the error backpropagation algorithm in a predictive coding network with local Hebbian synaptic
    plasticity, Neural Comput. 29:1229; Widrow & Hoff 1960 (the delta rule).
    """

    def delta(self, synapses: Synapses, w: NDArray, X: NDArray, Y: NDArray) -> NDArray:
        drive = synapses.forward(X, n_threads=self.n_threads)
        prediction = -drive if synapses.sign == "I" else drive  # of strengths, as w is
        return self.eta * self.hebb(synapses, X, Y - prediction)
