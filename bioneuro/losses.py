"""The two losses that attacks climb, as gradients with respect to the logits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from bioneuro.protocols import Loss

LOSSES: tuple[Loss, ...] = ("ce", "margin")


def loss_gradient(logits: NDArray, true: NDArray[np.integer], loss: Loss = "ce") -> NDArray:
    """Gradient of the sum of losses with respect to ``logits (n, n_classes)``.

    Parameters
    ----------
    logits : array (n, n_classes)
    true : int array (n,)
        Column of each sample's true class.
    loss : {"ce", "margin"}
        ``log(sum_k exp z_k) - z_t`` or ``max_{k != t} z_k - z_t``.
    """
    if loss not in LOSSES:
        raise ValueError(f"loss must be 'ce' or 'margin', got {loss!r}")
    rows = np.arange(len(logits))
    if loss == "ce":
        grad = softmax(logits, axis=1)
    else:
        others = logits.copy()
        others[rows, true] = -np.inf
        grad = np.zeros_like(logits)
        grad[rows, others.argmax(axis=1)] = 1
    grad[rows, true] -= 1
    return grad
