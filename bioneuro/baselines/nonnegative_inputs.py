"""Rivals whose inputs are rates, and cannot be negative."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .base import GradientClassifier

__all__ = ["NonNegativeInputs"]


class NonNegativeInputs(GradientClassifier):
    """A :class:`GradientClassifier` that refuses negative inputs, and says so to scikit-learn."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags

    def _check_intensities(self, X: NDArray) -> NDArray:
        if X.size and X.min() < 0:
            raise ValueError(f"Negative values in data passed to {type(self).__name__}: X must be rates >= 0")
        return super()._check_intensities(X)
