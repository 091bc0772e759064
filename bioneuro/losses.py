"""The two losses of the protocol, and their gradients with respect to the logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp, softmax

from .checks import Choice, check
from .protocols import Loss

LOSSES: tuple[Loss, ...] = ("ce", "margin")


def loss_values(logits: NDArray, true: NDArray[np.integer], loss: Loss = "ce") -> NDArray:
    """Loss of each sample, (n,): ``log(sum_k exp z_k) - z_t`` ("ce") or ``max_{k != t} z_k - z_t`` ("margin").

    Parameters
    ----------
    logits : array (n, n_classes)
    true : int array (n,)
        Column of each sample's true class.
    loss : {"ce", "margin"}
    """
    _check(loss)
    rows = np.arange(len(logits))
    others = logsumexp(logits, axis=1) if loss == "ce" else _without(logits, true).max(axis=1)
    return others - logits[rows, true]


def loss_gradient(logits: NDArray, true: NDArray[np.integer], loss: Loss = "ce") -> NDArray:
    """Gradient of the sum of :func:`loss_values` with respect to ``logits (n, n_classes)``; arguments as there."""
    _check(loss)
    rows = np.arange(len(logits))
    if loss == "ce":
        grad = softmax(logits, axis=1)
    else:
        grad = np.zeros_like(logits)
        grad[rows, _without(logits, true).argmax(axis=1)] = 1
    grad[rows, true] -= 1
    return grad


def _without(logits: NDArray, true: NDArray[np.integer]) -> NDArray:
    """The logits, the true class's at minus infinity."""
    others = logits.copy()
    others[np.arange(len(logits)), true] = -np.inf
    return others


def _check(loss: str) -> None:
    check("loss", loss, Choice(LOSSES))
