"""Decorrelation: what inputs have in common is taken from them, as lateral inhibition does."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.linalg import eigh

from bioneuro.layers.adaptation import OnOff


class Decorrelation(OnOff):
    """ON and OFF rates of decorrelated inputs: ``d = M (x - m)``, ``M = (C + ridge max(lambda) I)^(-1/2)``.

    ``m`` and ``C`` are mean and covariance of all inputs so far, ``lambda`` the eigenvalues of C; M is symmetric. It is
    the fixed point of lateral inhibition that learns by the anti-Hebbian rule (Foldiak 1990, Biol. Cybern. 64:165;
    Atick & Redlich 1993, Neural Comput. 5:45), here in closed form.

    Parameters
    ----------
    n_inputs : int
    ridge : float > 0, default 3e-3
        Noise that is not blown up, as a share of the variance in the strongest direction.
    dtype : float32 or float64
    """

    def __init__(self, n_inputs: int, ridge: float = 3e-3, dtype: DTypeLike = np.float32) -> None:
        if not 0 < ridge < np.inf:
            raise ValueError(f"ridge must be a finite number > 0, got {ridge!r}")
        self.dtype = np.dtype(dtype)
        self.ridge = float(ridge)
        self.count = 0
        self.mean = np.zeros(n_inputs)
        self._scatter = np.zeros((n_inputs, n_inputs))
        self.inhibition: NDArray[np.float64] = np.eye(n_inputs)

    def learn(self, X: ArrayLike, **_: Any) -> Decorrelation:
        """Adapt to a batch ``X (n, n_inputs)``, beside all that came before it."""
        X = np.asarray(X, float)
        n, mean = len(X), X.mean(axis=0)
        total = self.count + n
        apart = mean - self.mean
        self._scatter += (X - mean).T @ (X - mean) + np.outer(apart, apart) * (self.count * n / total)
        self.mean += apart * (n / total)
        self.count = total
        variance, directions = eigh(self._scatter / total)
        # inputs that never varied leave nothing to decorrelate, nor to divide by
        floor = max(self.ridge * variance[-1], np.finfo(float).tiny)
        self.inhibition = directions / np.sqrt(variance.clip(0) + floor) @ directions.T
        return self

    def _adapted(self, X: NDArray[np.float64]) -> NDArray[np.float64]:
        return (X - self.mean) @ self.inhibition

    def _adapted_grad(self, dd: NDArray[np.float64]) -> NDArray[np.float64]:
        return dd @ self.inhibition
