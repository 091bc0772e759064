"""Multilayer perceptron trained by backpropagation: the dense baseline, on the kernels of the sparse network."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.utils.validation import check_is_fitted

from ..checks import check_count
from ..connectivity import HalfNormal, MixedSign, dense
from ..losses import loss_gradient
from ..protocols import Pullback
from ..synapses import Synapses
from .adam import Adam
from .backprop import BackpropClassifier, mean_cross_entropy

__all__ = ["BackpropMLP", "layer_names"]


@dataclass(kw_only=True, eq=False, repr=False)
class BackpropMLP(BackpropClassifier):
    """ReLU hidden layers, softmax cross-entropy, Adam with decoupled weight decay.

    ``h_l = (W_l h_{l-1} + b_l)+``, ``z = W_L h_{L-1} + b_L``, ``loss = mean_b [log sum_k exp z_bk - z_bt]``. Every
    ``W`` is a :class:`bioneuro.Synapses` of density 1, so time and rounding are those of the sparse kernels; a dense
    BLAS would be faster at this density.

    Parameters
    ----------
    hidden : sequence of int >= 1
        Cells of each hidden layer; empty for a linear classifier.
    learning_rate : float > 0
        Of Adam (beta 0.9 and 0.999, epsilon 1e-8).
    n_epochs, batch_size, weight_decay, contrast, adversarial, random_state, dtype, n_threads, progress
        See :class:`~bioneuro.baselines.backprop.BackpropClassifier`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    pathways_ : list of Synapses
        Weights, from the input to the logits.
    biases_ : list of ndarray
    loss_curve_ : list of float
        Mean loss of each pass so far.

    References
    ----------
    Kingma & Ba 2015, Adam, arXiv:1412.6980; Loshchilov & Hutter 2019, decoupled weight decay, arXiv:1711.05101; first
    weights N(0, 2 / fan-in): He et al. 2015, arXiv:1502.01852.
    """

    hidden: Iterable[int] = field(default=(512,), kw_only=False)

    # --- learning -----------------------------------------------------------------------------------------

    def _start(self, classes: NDArray) -> None:
        super()._start(classes)
        sizes = (self.n_features_in_, *self.hidden, len(classes))
        self.pathways_ = self._pathways(sizes)
        self.biases_ = [np.zeros(size, self.dtype) for size in sizes[1:]]
        self.reset_optimizer()

    def reset_optimizer(self) -> None:
        """Forget Adam's running moments: needed after the pattern of a pathway has changed."""
        self._adam = [(Adam(), Adam()) for _ in self.biases_]

    def _pathways(self, sizes: tuple[int, ...]) -> list[Synapses]:
        """First weights between layers of ``sizes`` cells, from the input to the logits."""
        return [self._pathway(n_pre, n_post) for n_pre, n_post in pairwise(sizes)]

    def _pathway(self, n_pre: int, n_post: int) -> Synapses:
        normal = MixedSign(HalfNormal(math.sqrt(2 / n_pre)))
        return dense(n_post, n_pre, normal, random_state=self._rng, dtype=self.dtype)

    def _update(self, R: NDArray, true: NDArray) -> float:
        """One step on a batch; its mean loss before the step."""
        rates = self._rates(R)
        dlogits = loss_gradient(rates[-1], true, "ce")
        dlogits /= len(R)
        self._step(rates, dlogits)
        return mean_cross_entropy(rates[-1], true)

    def _step(self, rates: list[NDArray], dlogits: NDArray) -> None:
        """One step of Adam from the rates of a batch and the gradient of its loss with respect to the logits."""
        # All gradients first: backpropagation runs through the weights of before the step.
        for k, dW, db in list(self._backward(rates, dlogits)):
            self._move(k, dW, db)

    def _move(self, k: int, dW: NDArray, db: NDArray) -> None:
        """One step of Adam of layer k's weights and bias along these gradients, which are used up as scratch."""
        W, b = self.pathways_[k], self.biases_[k]
        of_weights, of_bias = self._adam[k]
        delta = of_weights.step(dW, self.learning_rate)
        if self.weight_decay:
            delta -= W.weights * W.dtype.type(self.learning_rate * self.weight_decay)
        W.add(delta)
        b += of_bias.step(db, self.learning_rate)

    # --- the network --------------------------------------------------------------------------------------

    def _rates(self, R: NDArray) -> list[NDArray]:
        """Input, rates of every hidden layer, logits."""
        rates = [R]
        for W, b in zip(self.pathways_, self.biases_, strict=True):
            if len(rates) > 1:
                np.maximum(rates[-1], 0, out=rates[-1])
            rates.append(W.forward(rates[-1], b, n_threads=self.n_threads))
        return rates

    def _backward(self, rates: list[NDArray], dlogits: NDArray) -> Iterable[tuple[int, NDArray, NDArray]]:
        """Layer, gradient of its weights and of its bias, from the logits to the input."""
        delta = dlogits
        for k in range(len(self.pathways_) - 1, 0, -1):
            dX, G = self.pathways_[k].backward(rates[k], delta, n_threads=self.n_threads)
            yield k, G, delta.sum(axis=0)
            delta = dX * (rates[k] > 0)
        yield 0, self.pathways_[0].weight_grad(rates[0], delta, n_threads=self.n_threads), delta.sum(axis=0)

    def _network(self, R: NDArray) -> NDArray:
        return self._rates(R)[-1]

    def _vjp(self, R: NDArray) -> tuple[NDArray, Pullback]:
        rates = self._rates(R)

        def pullback(dlogits: NDArray) -> NDArray:
            delta = np.ascontiguousarray(dlogits, R.dtype)
            for k in range(len(self.pathways_) - 1, 0, -1):
                delta = self.pathways_[k].input_grad(delta, n_threads=self.n_threads) * (rates[k] > 0)
            return self.pathways_[0].input_grad(delta, n_threads=self.n_threads)

        return rates[-1], pullback

    # --- for reports --------------------------------------------------------------------------------------

    def weights(self) -> dict[str, csr_array]:
        """Every layer's weights as a read-only csr_array (rows: post-synaptic cells), by name."""
        check_is_fitted(self, "pathways_")
        names = layer_names(len(self.pathways_))
        return {name: W.to_scipy() for name, W in zip(names, self.pathways_, strict=True)}

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if not isinstance(self.hidden, Iterable):
            raise TypeError(f"hidden must be a sequence of integers, got {self.hidden!r}")
        for size in self.hidden:
            check_count("hidden", size)


def layer_names(n_layers: int) -> list[str]:
    """Names of a perceptron's layers, from the first hidden one to the output."""
    return [*(f"hidden_{k}" for k in range(1, n_layers)), "output"]
