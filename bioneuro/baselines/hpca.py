"""Hebbian principal components, and a linear readout of them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..rules import Sanger
from .unsupervised import ToInput, UnsupervisedClassifier

__all__ = ["HPCAClassifier"]


@dataclass(kw_only=True, eq=False, repr=False)
class HPCAClassifier(UnsupervisedClassifier):
    """Hidden cells learn by nonlinear Hebbian PCA, :class:`bioneuro.rules.Sanger` on rates ``h = (W (r - m))+``.

    m is the mean of the responses seen so far. The step is ``hidden_rate`` over the mean squared length of ``r - m``,
    which bounds the largest eigenvalue.

    Parameters
    ----------
    n_hidden and all others
        See :class:`~bioneuro.baselines.unsupervised.UnsupervisedClassifier`.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        m.

    References
    ----------
    Lagani, Falchi, Gennaro & Amato 2021, Hebbian semi-supervised learning in a sample efficiency setting, Neural Netw.
    143:719; Sanger 1989, Neural Netw. 2:459.
    """

    n_hidden: int = field(default=100, kw_only=False)
    hidden_rate: float = 0.1

    def _start(self, classes: NDArray) -> None:
        super()._start(classes)
        self.mean_, self._n_seen = np.zeros(self.n_features_in_, self.dtype), 0

    def _learn(self, X: NDArray, true: NDArray, n_epochs: int) -> None:
        R = self._front().response(X)
        self._n_seen += len(R)
        self.mean_ = (self.mean_ + (R.mean(axis=0, dtype=float) - self.mean_) * len(R) / self._n_seen).astype(R.dtype)
        super()._learn(X, true, n_epochs)

    def _hidden_step(self, R: NDArray, rate: float) -> None:
        U = R - self.mean_
        variance = float(np.square(U, dtype=float).sum(axis=1).mean())
        if variance:
            Sanger(eta=rate / variance).step(self.hidden_, U, np.maximum(self._drive(U), 0))

    def _respond(self, R: NDArray) -> tuple[NDArray, ToInput]:
        h = np.maximum(self._drive(R - self.mean_), 0)
        return h, lambda dh: self._drive_back(dh * (h > 0))
