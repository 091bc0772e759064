"""What the baselines share: checks of data, answers, and the gradients that attacks ask for."""

from __future__ import annotations

from abc import abstractmethod
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ..checks import check_dtype
from ..estimators import LogitClassifier, check_classes, check_unit_interval, class_index, validated
from ..losses import loss_gradient
from ..network import INFERENCE_BATCH, slices
from ..protocols import Loss, Pullback
from .front import Front, make_front

__all__ = ["GradientClassifier"]


class GradientClassifier(LogitClassifier):
    """A classifier that sees its input through ``r(X)`` and knows the gradient of its logits.

    It is a :class:`bioneuro.protocols.DifferentiableFront`. A subclass has the parameters ``contrast`` and ``dtype``,
    and writes :meth:`_start`, :meth:`_network` and :meth:`_vjp`.
    """

    contrast: tuple[float, float] | None
    dtype: Literal["float32", "float64"]

    # --- what a subclass writes ---------------------------------------------------------------------------

    @abstractmethod
    def _network(self, R: NDArray) -> NDArray:
        """Logits (n, n_classes) of responses R (n, n_features)."""

    @abstractmethod
    def _vjp(self, R: NDArray) -> tuple[NDArray, Pullback]:
        """Logits of R, and the map from a gradient with respect to them to that with respect to R."""

    def _start(self, classes: NDArray) -> None:
        """A fresh network for these classes; the parameters and ``n_features_in_`` are already checked."""
        check_classes(classes)
        self.classes_ = classes

    def _front(self) -> Front:
        return make_front(self.contrast)

    def _check_parameters(self) -> None:
        check_dtype(self.dtype)
        self._front()

    # --- answers ------------------------------------------------------------------------------------------

    def _logits(self, X: ArrayLike) -> NDArray:
        check_is_fitted(self, "classes_")
        R = self._front().response(self._validate(X))
        return np.concatenate([self._network(R[rows]) for rows in slices(len(R), INFERENCE_BATCH)])

    # --- for attacks --------------------------------------------------------------------------------------

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
        return gradient * self._front().slope(X)

    def input_vjp(self, X: ArrayLike) -> tuple[NDArray, Pullback]:
        """Logits (n, n_classes), and the map from any gradient with respect to them to that with respect to ``X``.

        ``z, pull = model.input_vjp(X)``; ``pull(D)`` is the gradient of ``sum(D * z)``. Rates of all of ``X`` stay in
        memory as long as ``pull`` does: for batches.
        """
        X, logits, pullback = self._response_vjp(X)
        slope = self._front().slope(X)
        return logits, lambda dlogits: pullback(dlogits) * slope

    def response(self, X: ArrayLike) -> NDArray:
        """What stands in front, increasing in each feature (the identity without ``contrast``)."""
        return self._front().response(np.asarray(X))

    def response_inverse(self, R: ArrayLike) -> NDArray:
        """The ``X`` in [0, 1] whose :meth:`response` is ``R``."""
        return self._front().inverse(np.asarray(R))

    def response_slope(self, X: ArrayLike) -> NDArray:
        """Derivative of :meth:`response`, (n, n_features)."""
        return self._front().slope(np.asarray(X))

    def response_gradient(self, X: ArrayLike, y: ArrayLike, loss: Loss = "ce") -> NDArray:
        """As :meth:`input_gradient`, with respect to ``response(X)``: not masked where the response is flat."""
        return self._response_gradient(X, y, loss)[1]

    def response_vjp(self, X: ArrayLike) -> tuple[NDArray, Pullback]:
        """As :meth:`input_vjp`, with respect to ``response(X)``."""
        return self._response_vjp(X)[1:]

    def _response_gradient(self, X: ArrayLike, y: ArrayLike, loss: Loss) -> tuple[NDArray, NDArray]:
        """Validated ``X``, and the gradient with respect to its response."""
        check_is_fitted(self, "classes_")
        X, y = self._validate(X), np.asarray(y)
        if y.shape != (len(X),):
            raise ValueError(f"y must have shape ({len(X)},), one label for each row of X, got {y.shape}")
        true, gradient = class_index(y, self.classes_), np.empty_like(X)
        R = self._front().response(X)
        for rows in slices(len(X), INFERENCE_BATCH):
            logits, pullback = self._vjp(R[rows])
            gradient[rows] = pullback(loss_gradient(logits, true[rows], loss))
        return X, gradient

    def _response_vjp(self, X: ArrayLike) -> tuple[NDArray, NDArray, Pullback]:
        """Validated ``X``, and logits and pullback at its response."""
        check_is_fitted(self, "classes_")
        X = self._validate(X)
        return X, *self._vjp(self._front().response(X))

    # --- checks of data -----------------------------------------------------------------------------------

    def _validate(self, X: ArrayLike) -> NDArray:
        return self._check_intensities(validated(self, X, self.dtype))

    def _validate_labelled(self, X: ArrayLike, y: ArrayLike, reset: bool) -> tuple[NDArray, NDArray]:
        self._check_parameters()
        checked, labels = validate_data(self, X, y, reset=reset, dtype=np.dtype(self.dtype), order="C")
        check_classification_targets(labels)
        return self._check_intensities(checked), labels

    def _check_intensities(self, X: NDArray) -> NDArray:
        if self._bounded_by():
            check_unit_interval(X, f"with {self._bounded_by()}")
        return X

    def _bounded_by(self) -> str:
        """The parameter that needs X in [0, 1]; "" if none does."""
        return self._front().parameter
