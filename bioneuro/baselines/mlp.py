"""Multilayer perceptron trained by backpropagation: the dense baseline, on the kernels of the sparse network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import pairwise
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.special import log_softmax, softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ..connectivity import HalfNormal, MixedSign, RandomState, dense, generator
from ..losses import loss_gradient
from ..network import batches, slices
from ..protocols import Loss, Pullback
from ..reference import contrast_response, contrast_response_inverse, contrast_response_slope
from ..synapses import Synapses

__all__ = ["BackpropMLP"]

#: "auto" training: passes over large data, and updates that small data get however few samples they have.
MIN_EPOCHS, MIN_UPDATES = 15, 1500
#: Samples whose hidden rates are in memory at a time in inference.
INFERENCE_BATCH = 512


class BackpropMLP(ClassifierMixin, BaseEstimator):
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
    n_epochs : "auto" or int >= 1
        Passes over the data in ``fit``; ``"auto"``: at least 15 passes and at least 1,500 updates.
    batch_size : int >= 1
        Most samples in an update.
    weight_decay : float >= 0
        Share of ``learning_rate`` by which weights (not biases) shrink in an update.
    contrast : None or (exponent, semi_saturation)
        With it the retina's contrast response stands in front: ``x^n (1 + s^n) / (x^n + s^n)`` (Naka-Rushton), both
        > 0; X must then lie in [0, 1].
    random_state : int, RandomState, Generator or None
        Of the first weights and the order of the samples.
    dtype : {"float32", "float64"}
    n_threads : int >= 1 or None
        Threads of the kernels; results do not depend on it.
    progress : bool
        Show a progress bar (tqdm).

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

    def __init__(
        self,
        hidden: Iterable[int] = (512,),
        *,
        learning_rate: float = 1e-3,
        n_epochs: int | Literal["auto"] = "auto",
        batch_size: int = 128,
        weight_decay: float = 1e-2,
        contrast: tuple[float, float] | None = None,
        random_state: RandomState = None,
        dtype: Literal["float32", "float64"] = "float32",
        n_threads: int | None = None,
        progress: bool = False,
    ) -> None:
        self.hidden = hidden
        self.learning_rate = learning_rate
        self.n_epochs = n_epochs
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.contrast = contrast
        self.random_state = random_state
        self.dtype = dtype
        self.n_threads = n_threads
        self.progress = progress

    # --- learning -----------------------------------------------------------------------------------------

    def fit(self, X: ArrayLike, y: ArrayLike) -> BackpropMLP:
        """Learn from ``X`` (n, n_features) and labels ``y`` (n,), from scratch."""
        X, y = self._validate_labelled(X, y, reset=True)
        self._start(np.unique(y))
        self._learn(X, np.searchsorted(self.classes_, y), self._passes(len(X)))
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> BackpropMLP:
        """Go on learning with one pass over ``X``; ``classes`` (all of them) is needed at the first call."""
        first = not hasattr(self, "pathways_")
        X, y = self._validate_labelled(X, y, reset=first)
        if first:
            if classes is None:
                raise ValueError("classes must be passed to the first call of partial_fit")
            known = np.unique(classes)
        else:
            known = self.classes_
            if classes is not None and not np.array_equal(np.unique(classes), known):
                raise ValueError(f"classes must be those of the first call, {known}, got {np.unique(classes)}")
        true = _class_index(y, known)
        if first:
            self._start(known)
        self._learn(X, true, 1)
        return self

    def _start(self, classes: NDArray) -> None:
        if len(classes) < 2:
            raise ValueError(f"y must hold at least 2 classes, got {len(classes)} class: {classes}")
        self.classes_ = classes
        self._rng = generator(self.random_state)
        sizes = (self.n_features_in_, *self.hidden, len(classes))
        self.pathways_ = self._pathways(sizes)
        self.biases_ = [np.zeros(size, self.dtype) for size in sizes[1:]]
        self.reset_optimizer()
        self.loss_curve_ = []

    def reset_optimizer(self) -> None:
        """Forget Adam's running moments: needed after the pattern of a pathway has changed."""
        self._adam = [(_Adam(), _Adam()) for _ in self.biases_]

    def _pathways(self, sizes: tuple[int, ...]) -> list[Synapses]:
        """First weights between layers of ``sizes`` cells, from the input to the logits."""
        return [self._pathway(n_pre, n_post) for n_pre, n_post in pairwise(sizes)]

    def _pathway(self, n_pre: int, n_post: int) -> Synapses:
        normal = MixedSign(HalfNormal(math.sqrt(2 / n_pre)))
        return dense(n_post, n_pre, normal, random_state=self._rng, dtype=self.dtype)

    def _learn(self, X: NDArray, true: NDArray, n_epochs: int) -> None:
        R = self._contrast(contrast_response, X)
        for _ in self._bar(range(n_epochs)):
            losses = [self._update(R[rows], true[rows]) for rows in batches(len(R), self.batch_size, self._rng)]
            self.loss_curve_.append(float(np.mean(losses)))

    def _passes(self, n_samples: int) -> int:
        """Passes of a ``fit`` to so many samples."""
        if self.n_epochs != "auto":
            return self.n_epochs
        return max(MIN_EPOCHS, math.ceil(MIN_UPDATES / math.ceil(n_samples / self.batch_size)))

    def _update(self, R: NDArray, true: NDArray) -> float:
        """One step on a batch; its mean loss before the step."""
        rates = self._rates(R)
        dlogits = loss_gradient(rates[-1], true, "ce")
        dlogits /= len(R)
        self._step(rates, dlogits)
        return float(-log_softmax(rates[-1], axis=1)[np.arange(len(true)), true].mean())

    def _step(self, rates: list[NDArray], dlogits: NDArray) -> None:
        """One step of Adam from the rates of a batch and the gradient of its loss with respect to the logits."""
        # All gradients first: backpropagation runs through the weights of before the step.
        for k, dW, db in list(self._backward(rates, dlogits)):
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

    # --- inference ----------------------------------------------------------------------------------------

    def decision_function(self, X: ArrayLike) -> NDArray:
        """Logits (n, n_classes), or their difference (n,) for two classes."""
        z = self._logits(X)
        return z[:, 1] - z[:, 0] if len(self.classes_) == 2 else z

    def predict_proba(self, X: ArrayLike) -> NDArray:
        """Class probabilities (n, n_classes): softmax of the logits."""
        return softmax(self._logits(X), axis=1)

    def predict(self, X: ArrayLike) -> NDArray:
        """Most probable class of each sample."""
        winner = self._logits(X).argmax(axis=1)
        return self.classes_[winner]

    def _logits(self, X: ArrayLike) -> NDArray:
        check_is_fitted(self, "pathways_")
        R = self._contrast(contrast_response, self._validate(X))
        return np.concatenate([self._rates(R[rows])[-1] for rows in slices(len(R), INFERENCE_BATCH)])

    # --- for attacks and reports --------------------------------------------------------------------------

    def input_gradient(self, X: ArrayLike, y: ArrayLike, loss: Loss = "ce") -> NDArray:
        """Gradient of the SUM of the losses with respect to ``X``, (n, n_features).

        Parameters
        ----------
        X : array-like of shape (n, n_features)
        y : array-like of shape (n,)
            Labels out of ``classes_``.
        loss : {"ce", "margin"}
            ``log(sum_k exp z_k) - z_t`` or ``max_{k != t} z_k - z_t``.
        """
        X, gradient = self._response_gradient(X, y, loss)
        return gradient if self.contrast is None else gradient * self.response_slope(X)

    def input_vjp(self, X: ArrayLike) -> tuple[NDArray, Pullback]:
        """Logits (n, n_classes), and the map from any gradient with respect to them to that with respect to ``X``.

        ``z, pull = model.input_vjp(X)``; ``pull(D)`` is the gradient of ``sum(D * z)``. Rates of all of ``X`` stay in
        memory as long as ``pull`` does: for batches.
        """
        X, logits, pullback = self._response_vjp(X)
        if self.contrast is None:
            return logits, pullback
        return logits, lambda dlogits: pullback(dlogits) * self.response_slope(X)

    def response(self, X: ArrayLike) -> NDArray:
        """The contrast response in front, strictly increasing in each feature (the identity without ``contrast``)."""
        return self._contrast(contrast_response, np.asarray(X))

    def response_inverse(self, R: ArrayLike) -> NDArray:
        """The ``X`` in [0, 1] whose :meth:`response` is ``R``."""
        return self._contrast(contrast_response_inverse, np.asarray(R))

    def response_slope(self, X: ArrayLike) -> NDArray:
        """Derivative of :meth:`response`."""
        X = np.asarray(X)
        return np.ones_like(X) if self.contrast is None else self._contrast(contrast_response_slope, X)

    def response_gradient(self, X: ArrayLike, y: ArrayLike, loss: Loss = "ce") -> NDArray:
        """As :meth:`input_gradient`, with respect to ``response(X)``: not masked where the response is flat."""
        return self._response_gradient(X, y, loss)[1]

    def response_vjp(self, X: ArrayLike) -> tuple[NDArray, Pullback]:
        """As :meth:`input_vjp`, with respect to ``response(X)``."""
        return self._response_vjp(X)[1:]

    def weights(self) -> dict[str, csr_array]:
        """Every layer's weights as a read-only csr_array (rows: post-synaptic cells), by name."""
        check_is_fitted(self, "pathways_")
        names = [f"hidden_{k}" for k in range(1, len(self.pathways_))] + ["output"]
        return {name: W.to_scipy() for name, W in zip(names, self.pathways_, strict=True)}

    def _response_gradient(self, X: ArrayLike, y: ArrayLike, loss: Loss) -> tuple[NDArray, NDArray]:
        """Validated ``X``, and the gradient with respect to its response."""
        check_is_fitted(self, "pathways_")
        X, y = self._validate(X), np.asarray(y)
        if y.shape != (len(X),):
            raise ValueError(f"y must have shape ({len(X)},), one label for each row of X, got {y.shape}")
        true, gradient = _class_index(y, self.classes_), np.empty_like(X)
        R = self._contrast(contrast_response, X)
        for rows in slices(len(X), INFERENCE_BATCH):
            logits, pullback = self._vjp(R[rows])
            gradient[rows] = pullback(loss_gradient(logits, true[rows], loss))
        return X, gradient

    def _response_vjp(self, X: ArrayLike) -> tuple[NDArray, NDArray, Pullback]:
        """Validated ``X``, and logits and pullback at its response."""
        check_is_fitted(self, "pathways_")
        X = self._validate(X)
        return X, *self._vjp(self._contrast(contrast_response, X))

    def _vjp(self, R: NDArray) -> tuple[NDArray, Pullback]:
        rates = self._rates(R)

        def pullback(dlogits: NDArray) -> NDArray:
            delta = np.ascontiguousarray(dlogits, R.dtype)
            for k in range(len(self.pathways_) - 1, 0, -1):
                delta = self.pathways_[k].input_grad(delta, n_threads=self.n_threads) * (rates[k] > 0)
            return self.pathways_[0].input_grad(delta, n_threads=self.n_threads)

        return rates[-1], pullback

    # --- helpers ------------------------------------------------------------------------------------------

    def _contrast(self, function: Callable[..., NDArray], values: NDArray) -> NDArray:
        """``function`` with the parameters of the contrast response; without one, values pass as they are."""
        return values if self.contrast is None else function(values, *map(float, self.contrast))

    def _bar(self, epochs: range) -> Iterable[int]:
        if not self.progress:
            return epochs
        from tqdm.auto import tqdm  # an optional extra: only those who want bars need it

        return tqdm(epochs, desc="backprop", leave=False)

    def _validate(self, X: ArrayLike) -> NDArray:
        return self._check_intensities(validate_data(self, X, reset=False, dtype=np.dtype(self.dtype), order="C"))

    def _validate_labelled(self, X: ArrayLike, y: ArrayLike, reset: bool) -> tuple[NDArray, NDArray]:
        self._check_parameters()
        X, y = validate_data(self, X, y, reset=reset, dtype=np.dtype(self.dtype), order="C")
        check_classification_targets(y)
        return self._check_intensities(X), y

    def _check_intensities(self, X: NDArray) -> NDArray:
        if self.contrast is not None and (X.min() < 0 or X.max() > 1):
            i, j = np.argwhere((X < 0) | (X > 1))[0]
            raise ValueError(f"X must lie in [0, 1] with contrast, but X[{i}, {j}] = {X[i, j]}: rescale it")
        return X

    def _check_parameters(self) -> None:
        if np.dtype(self.dtype) not in (np.float32, np.float64):
            raise ValueError(f"dtype must be 'float32' or 'float64', got {self.dtype!r}")
        for size in self.hidden:
            _check_count("hidden", size)
        _check_count("batch_size", self.batch_size)
        if self.n_epochs != "auto":
            _check_count("n_epochs", self.n_epochs)
        _check_number("learning_rate", self.learning_rate, "> 0")
        _check_number("weight_decay", self.weight_decay, ">= 0")
        if self.contrast is not None and (len(self.contrast) != 2 or not all(value > 0 for value in self.contrast)):
            raise ValueError(f"contrast must be None or (exponent, semi_saturation), both > 0, got {self.contrast!r}")


class _Adam:
    """Running moments of one parameter array; :meth:`step` gives the change to add to it."""

    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def __init__(self) -> None:
        self.n_steps = 0

    def step(self, gradient: NDArray, learning_rate: float) -> NDArray:
        """``-lr m_hat / (sqrt(v_hat) + epsilon)``; ``gradient`` is used up as scratch."""
        if self.n_steps == 0:
            self.m, self.v = np.zeros_like(gradient), np.zeros_like(gradient)
        self.n_steps += 1
        self.m += (1 - self.beta1) * (gradient - self.m)
        np.multiply(gradient, gradient, out=gradient)
        self.v += (1 - self.beta2) * (gradient - self.v)
        scale = np.sqrt(self.v, out=gradient)
        scale /= math.sqrt(1 - self.beta2**self.n_steps)
        scale += self.epsilon
        return self.m * (-learning_rate / (1 - self.beta1**self.n_steps)) / scale

    def move(self, place: NDArray[np.intp], stays: NDArray[np.bool_]) -> None:
        """The parameters were rearranged: entry i now is what entry ``place[i]`` was if it ``stays``, else new."""
        if self.n_steps:
            self.m, self.v = (np.where(stays, moment[place], moment.dtype.type(0)) for moment in (self.m, self.v))


def _class_index(y: NDArray, classes: NDArray) -> NDArray[np.intp]:
    """Position of each label in the sorted ``classes``."""
    unseen = np.flatnonzero(~np.isin(y, classes))
    if unseen.size:
        raise ValueError(f"y must hold labels out of classes_, but y[{unseen[0]}] = {y[unseen[0]]!r}")
    return np.searchsorted(classes, y)


def _check_count(name: str, value: Any) -> None:
    if not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be an integer >= 1, got {value!r}")


def _check_number(name: str, value: Any, low: Literal["> 0", ">= 0"]) -> None:
    if not isinstance(value, Real) or not np.isfinite(value) or value < 0 or (value == 0 and low == "> 0"):
        raise ValueError(f"{name} must be a finite number {low}, got {value!r}")
