"""Backpropagation that tries to remember: by replay of stored samples, or by elastic weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted

from ..checks import Integer, Number
from .mlp import BackpropMLP
from .streaming import Reservoir

__all__ = ["ElasticMLP", "ReplayMLP"]


@dataclass(kw_only=True, eq=False, repr=False)
class ReplayMLP(BackpropMLP):
    """:class:`BackpropMLP` that trains on every batch of a stream together with as many stored samples.

    Experience replay from a class-balanced reservoir (Chaudhry et al. 2019, arXiv:1902.10486). Only ``partial_fit``
    replays; ``fit`` shows all samples anyway.

    Parameters
    ----------
    n_exemplars : int >= 1
        Samples kept.
    hidden and all others
        Those of :class:`BackpropMLP`.
    """

    n_exemplars: int = 1000

    constraints = {"n_exemplars": (Integer(),)}

    def _start(self, classes: NDArray) -> None:
        super()._start(classes)
        self.reservoir_ = Reservoir(self.n_exemplars, self.n_features_in_, len(classes), self._rng)

    def _show(self, X: NDArray, true: NDArray) -> None:
        """One pass over ``X`` with as many stored samples beside it; then its samples may be stored."""
        kept, shown, labels = self.reservoir_, X, true
        if kept.n:
            rows = self._rng.integers(kept.n, size=len(X))
            shown, labels = np.concatenate([X, kept.X[rows].astype(X.dtype)]), np.concatenate([true, kept.true[rows]])
        super()._show(shown, labels)
        kept.add(X, true)

    def n_stored(self) -> int:
        """Numbers kept: weights, biases, stored samples and their labels."""
        weights = sum(W.n_post * (W.n_pre + 1) for W in self.pathways_)
        return weights + self.reservoir_.n * (self.n_features_in_ + 1)


@dataclass(kw_only=True, eq=False, repr=False)
class ElasticMLP(BackpropMLP):
    """:class:`BackpropMLP` whose weights are held where earlier tasks need them (elastic weight consolidation).

    The loss gains ``strength / 2 sum F (w - w*)^2``; at the end of a task ``w*`` are its weights and the Fisher
    information ``F``, the mean squared gradient of log p(label) with labels drawn from the model's own answers, is
    added up (Kirkpatrick et al. 2017, arXiv:1612.00796; one running penalty as in Schwarz et al. 2018,
    arXiv:1805.06370). It must be told where tasks end: :meth:`end_task`.

    Parameters
    ----------
    strength : float >= 0
    n_fisher : int >= 1
        Latest samples that the information is measured on.
    hidden and all others
        Those of :class:`BackpropMLP`.
    """

    strength: float = 1000.0
    n_fisher: int = 1000

    constraints = {"strength": (Number(0),), "n_fisher": (Integer(),)}

    def _start(self, classes: NDArray) -> None:
        super()._start(classes)
        self.fisher_: list[tuple[NDArray, NDArray]] = []
        self.anchor_: list[tuple[NDArray, NDArray]] = []
        self._latest = np.zeros((0, self.n_features_in_), self.dtype)

    def _learn(self, X: NDArray, true: NDArray, n_epochs: int) -> None:
        super()._learn(X, true, n_epochs)
        self._latest = np.concatenate([self._latest, X])[-self.n_fisher :]

    def end_task(self) -> ElasticMLP:
        """A task has ended: its weights become the anchor, with the information about it.

        Nothing happens if no sample has been shown since the last one ended.
        """
        check_is_fitted(self, "pathways_")
        if not len(self._latest):
            return self
        fresh = self.information(self._front().response(self._latest))
        self.fisher_ = [
            (W + old_W, b + old_b)
            for (W, b), (old_W, old_b) in zip(
                fresh, self.fisher_ or [(np.zeros((), self.dtype),) * 2] * len(fresh), strict=True
            )
        ]
        self.anchor_ = [(W.weights.copy(), b.copy()) for W, b in zip(self.pathways_, self.biases_, strict=True)]
        self._latest = self._latest[:0]
        return self

    def information(self, R: NDArray) -> list[tuple[NDArray, NDArray]]:
        """Fisher information of every layer's weights and biases: mean of squared gradients over responses ``R``.

        A sample's gradient of a weight is the product of two rates, so squares of rates give squares of gradients.
        """
        rates = self._rates(R)
        p = softmax(rates[-1].astype(float), axis=1)
        drawn = (self._rng.random((len(R), 1)) > p.cumsum(axis=1)).sum(axis=1).clip(max=p.shape[1] - 1)
        delta = (p - np.eye(p.shape[1])[drawn]).astype(self.dtype)
        found = []
        for k in range(len(self.pathways_) - 1, -1, -1):
            W = self.pathways_[k].weight_grad(rates[k] ** 2, delta**2, n_threads=self.n_threads)
            found.append((W / len(R), (delta**2).mean(axis=0)))
            if k:
                delta = self.pathways_[k].input_grad(delta, n_threads=self.n_threads) * (rates[k] > 0)
        return found[::-1]

    def _backward(self, rates: list[NDArray], dlogits: NDArray) -> Any:
        for k, dW, db in super()._backward(rates, dlogits):
            if self.anchor_:
                (FW, Fb), (W, b) = self.fisher_[k], self.anchor_[k]
                strength = dW.dtype.type(self.strength)
                dW = dW + strength * FW * (self.pathways_[k].weights - W)
                db = db + strength * Fb * (self.biases_[k] - b)
            yield k, dW, db

    def n_stored(self) -> int:
        """Numbers kept: weights and biases, their anchor and their information."""
        return 3 * sum(W.n_post * (W.n_pre + 1) for W in self.pathways_)
