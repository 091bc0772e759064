"""What a model answers, brought into one shape and checked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import losses
from ..estimators import class_index, sum_is_finite
from ..protocols import Classifier, Loss
from .goals import Goal

__all__ = ["as_logits", "ascent_values", "finite", "gradient_of", "logits", "losses_of", "predict"]


def predict(model: Classifier, X: NDArray) -> NDArray:
    """Predicted labels, (n,)."""
    labels = np.asarray(model.predict(X))
    if labels.size != len(X):
        raise ValueError(f"predict returned shape {labels.shape}, expected ({len(X)},)")
    return labels.reshape(len(X))


def logits(model: Classifier, X: NDArray) -> NDArray[np.float64]:
    """``decision_function`` as (n, n_classes); the one column z of a binary model becomes [0, z]."""
    return as_logits(model.decision_function(X), len(X), len(model.classes_))


def as_logits(z: ArrayLike, n: int, n_classes: int) -> NDArray[np.float64]:
    """What a model returned as logits, checked; see `logits`."""
    z = np.asarray(z, dtype=np.float64)
    if z.ndim == 1:
        z = np.column_stack([np.zeros_like(z), z])
    return finite(z, "decision_function", (n, n_classes))


def losses_of(model: Classifier, X: NDArray, y: NDArray, loss: Loss) -> NDArray[np.float64]:
    """Loss of each sample, (n,), from ``decision_function``; see `bioneuro.protocols` for the two losses."""
    return losses.loss_values(logits(model, X), class_index(y, model.classes_), loss)


def ascent_values(model: Classifier, X: NDArray, goal: Goal, loss: Loss) -> NDArray[np.float64]:
    """What an attack on `goal` ascends, (n,): the margin is positive exactly where the goal is reached."""
    return goal.sign * losses_of(model, X, goal.labels, loss)


def gradient_of(gradient: Callable[..., NDArray], X: NDArray, y: NDArray, loss: Loss) -> NDArray:
    """The model's ``input_gradient`` or ``response_gradient``, its shape and finiteness checked."""
    return finite(np.asarray(gradient(X, y, loss=loss)), getattr(gradient, "__name__", "gradient"), X.shape)


def finite(values: NDArray, name: str, shape: tuple[int, ...]) -> NDArray:
    """The values that `name` returned, or ValueError if one of them is NaN or infinite, or their shape is wrong."""
    if values.shape != shape:
        raise ValueError(f"{name} returned shape {values.shape}, expected {shape}")
    if not sum_is_finite(values) and not np.isfinite(values).all():
        row = np.argwhere(~np.isfinite(values))[0][0]
        raise ValueError(f"{name} returned NaN or infinity for sample {row} of the {shape[0]} it was given")
    return values
