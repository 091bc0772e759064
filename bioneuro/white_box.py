"""The gradients that attacks ask for, from two things a model knows: what stands in front, and one pass behind it.

One contract for the network and for the rivals: `bioneuro.protocols.DifferentiableFront`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import on_host
from .estimators import class_index
from .losses import loss_gradient
from .network import INFERENCE_BATCH, slices
from .protocols import Loss, Pullback

__all__ = ["Front", "Identity", "WhiteBoxMixin"]


class Front(Protocol):
    """``r(X)``, never decreasing in any feature, as :class:`bioneuro.protocols.ResponseFront` needs it."""

    def response(self, X: NDArray) -> NDArray: ...

    def response_inverse(self, R: NDArray) -> NDArray: ...

    def response_slope(self, X: NDArray) -> NDArray: ...


class Identity:
    """Nothing stands in front."""

    def response(self, X: NDArray) -> NDArray:
        return X

    def response_inverse(self, R: NDArray) -> NDArray:
        return R

    def response_slope(self, X: NDArray) -> NDArray:
        return np.ones_like(X)


class WhiteBoxMixin(ABC):
    """A classifier that sees its input through ``r(X)`` and knows the gradient of its logits.

    A subclass has ``classes_`` and writes `_front`, `_checked` and `_response_pass`.
    """

    classes_: NDArray

    @abstractmethod
    def _front(self) -> Front:
        """What stands in front of the fitted model."""

    @abstractmethod
    def _checked(self, X: ArrayLike) -> NDArray:
        """Rows for the fitted model, in its dtype; an error if it is not fitted, or these are no such rows."""

    @abstractmethod
    def _response_pass(self, X: NDArray) -> tuple[NDArray, Pullback]:
        """Logits at checked rows, and the map from a gradient with respect to them to that with respect to ``r(X)``."""

    def input_gradient(self, X: ArrayLike, y: ArrayLike, loss: Loss = "ce") -> NDArray:
        """Gradient of the SUM of the losses with respect to ``X``, ``(n, n_features)``.

        Parameters
        ----------
        X : array-like of shape (n, n_features)
        y : array-like of shape (n,)
            Labels out of ``classes_``.
        loss : {"ce", "margin"}, default "ce"
            ``log(sum_k exp z_k) - z_t`` or ``max_{k != t} z_k - z_t``.

        Returns
        -------
        ndarray of shape (n, n_features)
            Of each row its own gradient, since no logit depends on another row.

        Raises
        ------
        ValueError
            X or y of the wrong shape, a label that is unknown, or a loss that is none.
        """
        X = self._checked(X)
        return self._times_slope(X, self._gradient(X, y, loss))

    def input_vjp(self, X: ArrayLike) -> tuple[NDArray, Pullback]:
        """Logits ``(n, n_classes)``, and the map from any gradient with respect to them to that with respect to ``X``.

        ``z, pull = model.input_vjp(X)``; ``pull(D)`` is the gradient of ``sum(D * z)``. Activities of all of ``X`` stay
        in memory as long as ``pull`` does: for batches.
        """
        X = self._checked(X)
        logits, pullback = self._response_pass(X)
        return logits, lambda dlogits: self._times_slope(X, pullback(dlogits))

    def response(self, X: ArrayLike) -> NDArray:
        """What the model sees of ``X``, increasing in each feature: the contrast response, or ``X`` as it is."""
        return self._front().response(np.asarray(X))

    def response_inverse(self, R: ArrayLike) -> NDArray:
        """The ``X`` in [0, 1] whose :meth:`response` is ``R``."""
        return self._front().response_inverse(np.asarray(R))

    def response_slope(self, X: ArrayLike) -> NDArray:
        """Derivative of :meth:`response`, ``(n, n_features)``."""
        return self._front().response_slope(np.asarray(X))

    def response_gradient(self, X: ArrayLike, y: ArrayLike, loss: Loss = "ce") -> NDArray:
        """As :meth:`input_gradient`, with respect to ``response(X)``: not masked where the response is flat."""
        return self._gradient(self._checked(X), y, loss)

    def response_vjp(self, X: ArrayLike) -> tuple[NDArray, Pullback]:
        """As :meth:`input_vjp`, with respect to ``response(X)``."""
        return self._response_pass(self._checked(X))

    def _gradient(self, X: NDArray, y: ArrayLike, loss: Loss) -> NDArray:
        """Gradient with respect to the response to checked rows, batch by batch."""
        labels = np.asarray(on_host(y, "y"))
        if labels.shape != (len(X),):
            raise ValueError(f"y must have shape ({len(X)},), one label for each row of X, got {labels.shape}")
        true, gradient = class_index(labels, self.classes_), []
        for rows in slices(len(X), INFERENCE_BATCH):
            logits, pullback = self._response_pass(X[rows])
            gradient.append(pullback(loss_gradient(logits, true[rows], loss)))
        return np.concatenate(gradient)

    def _times_slope(self, X: NDArray, gradient: NDArray) -> NDArray:
        front = self._front()
        return gradient if isinstance(front, Identity) else gradient * front.response_slope(X)
