"""Weights as reports read them: of each pathway, and by the cells that make it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

__all__ = ["feed_forward", "membership"]


def feed_forward(weights: Mapping[str, csr_array]) -> dict[str, dict[str, csr_array]]:
    """What each population makes where every pathway starts at the cells onto which the one before leads.

    ``{"inputs": {"hidden_1": W}, "hidden_1": {"output": W}}``, for pathways onto hidden_1 and output.
    """
    return {cells: {name: weights[name]} for cells, name in zip(["inputs", *weights], weights, strict=False)}


def membership(classes: ArrayLike, n_classes: int) -> NDArray:
    """Pathway (n_classes, n) from stored samples to the classes they vote for, all of whose weights are 1."""
    return np.eye(n_classes)[np.asarray(classes, int)].T
