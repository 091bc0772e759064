"""What gradient attacks climb, as functions of the logits: CE, margin and DLR, each untargeted or targeted.

A targeted loss is to be ascended as well: it rises towards the label aimed at.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from ..losses import loss_values

__all__ = ["ASCENTS", "Ascent", "available", "slope", "value"]

#: "dlr": difference of logits ratio (Croce & Hein 2020, arXiv 2003.01690, equations 6 and 7).
Ascent = Literal["ce", "margin", "dlr"]
ASCENTS: tuple[Ascent, ...] = ("ce", "margin", "dlr")
#: Keeps the ratio finite where its denominator, in units of the logits, is 0.
TINY = 1e-12


def available(loss: Ascent, n_classes: int, targeted: bool) -> Ascent:
    """`loss`, or the margin where the DLR lacks the classes: it compares 3 of them, with a target 4."""
    return "margin" if loss == "dlr" and n_classes < (4 if targeted else 3) else loss


def value(z: NDArray, true: NDArray, aim: NDArray | None, loss: Ascent) -> NDArray[np.float64]:
    """What to ascend, (n,): of logits z (n, n_classes), true columns and, if targeted, the columns aimed at, (n,)."""
    if loss == "dlr":
        numerator, denominator = (np.einsum("nk,nk->n", z, part) for part in _dlr(z, true, aim))
        return numerator / (denominator + TINY)
    return loss_values(z, true, loss) if aim is None else -loss_values(z, aim, loss)


def slope(z: NDArray, true: NDArray, aim: NDArray | None, loss: Ascent) -> NDArray[np.float64]:
    """Gradient of `value` with respect to z, each row scaled to a largest entry of 1: only directions count.

    The cross-entropy's rows, ``softmax(z) - onehot(t)``, are so ``softmax(z without z_t) - onehot(t)``, which does
    not underflow however confident the model is.
    """
    rows, labels = np.arange(len(z)), true if aim is None else aim
    if loss == "dlr":
        above, below = _dlr(z, true, aim)
        numerator, denominator = (np.einsum("nk,nk->n", z, part)[:, None] for part in (above, below))
        gradient = above * (denominator + TINY) - numerator * below  # times the denominator squared, > 0
        return gradient / np.abs(gradient).max(axis=1, keepdims=True)
    others = z.copy()
    others[rows, labels] = -np.inf
    if loss == "ce":
        gradient = softmax(others, axis=1)
    else:
        gradient = np.zeros_like(z)
        gradient[rows, others.argmax(axis=1)] = 1
    gradient[rows, labels] = -1
    return gradient if aim is None else -gradient


def _dlr(z: NDArray, true: NDArray, aim: NDArray | None) -> tuple[NDArray, NDArray]:
    """Weights (n, n_classes) of the logits in the ratio's numerator and in its denominator.

    With ``z_1 >= z_2 >= ...``: ``(max_{k != y} z_k - z_y) / (z_1 - z_3)``, or with a target t
    ``(z_t - z_y) / (z_1 - (z_3 + z_4) / 2)``.
    """
    rows, order = np.arange(len(z)), np.argsort(-z, axis=1, kind="stable")
    above, below = np.zeros_like(z), np.zeros_like(z)
    best_other = np.where(order[:, 0] == true, order[:, 1], order[:, 0])
    above[rows, best_other if aim is None else aim] = 1
    above[rows, true] -= 1
    below[rows, order[:, 0]] = 1
    if aim is None:
        below[rows, order[:, 2]] = -1
    else:
        below[rows[:, None], order[:, 2:4]] = -0.5
    return above, below
