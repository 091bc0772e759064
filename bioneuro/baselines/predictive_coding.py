"""Predictive coding: activities settle until they explain image and label, then each synapse learns from its error."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from ..checks import POSITIVE_SHARE, Integer
from ..rules import PredictiveCoding
from .backprop import mean_cross_entropy
from .mlp import BackpropMLP

__all__ = ["PredictiveCodingMLP"]


@dataclass(kw_only=True, eq=False, repr=False)
class PredictiveCodingMLP(BackpropMLP):
    """:class:`BackpropMLP` that learns by predictive coding: errors are the activity of cells, nothing goes backwards.

    Layer l holds values ``x_l``, predicted as ``p_l = W_l f(x_{l-1}) + b_l``, ``f = (.)+`` but for the input; errors
    are ``e_l = x_l - p_l``, at the output ``e_L = t - softmax(p_L)`` with the label t. Values start at their
    predictions and descend the energy ``sum_l |e_l|^2 / 2`` and the cross-entropy of the label, ``n_steps`` times
    ``x_l += step (f'(x_l) (e_{l+1} W_{l+1}) - e_l)``; then each pathway learns by
    :class:`bioneuro.rules.PredictiveCoding`, error times rate, in steps of Adam. With one small step the change is that
    of backpropagation. Answers are given as there, in one pass.

    Parameters
    ----------
    n_steps : int >= 1
        Steps of the values for each batch.
    step : float in (0, 1]
        Their size.
    hidden and all others
        Those of :class:`BackpropMLP`.

    References
    ----------
    Whittington & Bogacz 2017, An approximation of the error backpropagation algorithm in a predictive coding network
    with local Hebbian synaptic plasticity, Neural Comput. 29:1229; Rao & Ballard 1999, Nat. Neurosci. 2:79.
    """

    n_steps: int = 20
    step: float = 0.1
    adversarial: None = field(default=None, init=False)

    constraints = {"n_steps": (Integer(),), "step": (POSITIVE_SHARE,)}

    def _update(self, R: NDArray, true: NDArray) -> float:
        labels = np.eye(len(self.classes_), dtype=R.dtype)[true]
        fixed = self.pathways_[0].forward(R, self.biases_[0], n_threads=self.n_threads)
        values, predicted = [], fixed
        for k in range(1, len(self.pathways_)):
            values.append(predicted)
            predicted = self._predict_layer(k, predicted)
        loss = mean_cross_entropy(predicted, true)
        errors = self._errors(values, fixed, labels)
        for _ in range(self.n_steps if values else 0):
            values = [x + R.dtype.type(self.step) * self._force(k, x, errors) for k, x in enumerate(values)]
            errors = self._errors(values, fixed, labels)
        rule = PredictiveCoding(eta=1.0, n_threads=self.n_threads)
        rates = [R, *(np.maximum(x, 0) for x in values)]
        for k, (W, r, e) in enumerate(zip(self.pathways_, rates, errors, strict=True)):
            target = W.forward(r, n_threads=self.n_threads) + e
            self._move(k, -rule.delta(W, W.weights, r, target), -e.mean(axis=0))
        return loss

    def _errors(self, values: list[NDArray], fixed: NDArray, labels: NDArray) -> list[NDArray]:
        """Of every layer, from the values of the hidden ones; ``fixed`` is what the input predicts of the first."""
        predictions = [fixed, *(self._predict_layer(k, x) for k, x in enumerate(values, start=1))]
        hidden = [x - p for x, p in zip(values, predictions, strict=False)]
        return [*hidden, labels - softmax(predictions[-1], axis=1)]

    def _predict_layer(self, k: int, values: NDArray) -> NDArray:
        """What layer k's cells are predicted to do, from the values of the layer below."""
        rates = np.maximum(values, 0)
        return self.pathways_[k].forward(rates, self.biases_[k], n_threads=self.n_threads)

    def _force(self, k: int, values: NDArray, errors: list[NDArray]) -> NDArray:
        """What drives the values of a hidden layer: the errors it causes above, less its own."""
        caused = self.pathways_[k + 1].input_grad(np.ascontiguousarray(errors[k + 1]), n_threads=self.n_threads)
        return caused * (values > 0) - errors[k]
