"""SoftHebb: soft winner-take-all cells, and a linear readout of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from ..checks import Number
from ..rules import SoftHebb
from .unsupervised import ToInput, UnsupervisedClassifier

__all__ = ["SoftHebbClassifier"]

#: Longer than what is learned, so that all cells come to win, as in Journe et al. 2023 (arXiv:2209.11883).
FIRST_LENGTH = 8.0
#: Most that a step may change a weight vector, relative to its length.
LARGEST_STEP = 0.5


@dataclass(kw_only=True, eq=False, repr=False)
class SoftHebbClassifier(UnsupervisedClassifier):
    """Hidden cells learn by :class:`bioneuro.rules.SoftHebb`; their rates are ``y = softmax(beta W r / |r|)``.

    The rule's learning rate is ``hidden_rate n_hidden``, since a cell has a share of 1 / n_hidden of the activity, or
    less where one cell has so much that its weights would change by more than half.

    Parameters
    ----------
    beta : float > 0
        Gain of the competition.
    n_hidden and all others
        See :class:`~bioneuro.baselines.unsupervised.UnsupervisedClassifier`.

    References
    ----------
    Moraitis, Toichkin, Journe, Chua & Guo 2022, SoftHebb: Bayesian inference in unsupervised Hebbian soft
    winner-take-all networks, Neuromorph. Comput. Eng. 2:044017.
    """

    beta: float = 100.0
    hidden_rate: float = 0.1

    first_length = FIRST_LENGTH

    constraints = {"beta": (Number(0, ends="(]"),)}

    def _hidden_step(self, R: NDArray, rate: float) -> None:
        U, _ = _unit(R)
        a = self._drive(U)
        y = softmax(self.beta * a.astype(float), axis=1)
        largest = max(y.mean(axis=0).max(), np.abs(y * a).mean(axis=0).max())  # towards inputs, and of the decay
        eta = min(rate * self.n_hidden, LARGEST_STEP / largest)
        SoftHebb(eta=eta, beta=self.beta).step(self.hidden_, np.ascontiguousarray(U), a)

    def _respond(self, R: NDArray) -> tuple[NDArray, ToInput]:
        U, norm = _unit(R)
        y = softmax(self._drive(U) * U.dtype.type(self.beta), axis=1)

        def to_input(dy: NDArray) -> NDArray:
            da = U.dtype.type(self.beta) * y * (dy - (dy * y).sum(axis=1, keepdims=True))
            dU = self._drive_back(da)
            return (dU - U * (dU * U).sum(axis=1, keepdims=True)) / norm

        return y, to_input


def _unit(R: NDArray) -> tuple[NDArray, NDArray]:
    """Rows at unit norm, and the norms they had; those of 0 stay 0."""
    norm = np.linalg.norm(R, axis=1, keepdims=True)
    norm = np.where(norm > 0, norm, R.dtype.type(1))
    return R / norm, norm
