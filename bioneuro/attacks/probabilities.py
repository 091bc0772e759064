"""Logits for models that have none but give probabilities, as scikit-learn's trees and neighbours do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LogProbabilities", "with_logits"]

#: Least probability: shares of a few votes are often 0, whose logarithm is no number.
LEAST = 1e-12


class LogProbabilities:
    """A fitted classifier whose logits are the logarithms of its probabilities.

    Parameters
    ----------
    model : classifier with ``predict``, ``predict_proba`` and ``classes_``
        Everything but ``decision_function`` is its own.
    """

    def __init__(self, model: Any) -> None:
        self.model = model

    def decision_function(self, X: NDArray) -> NDArray[np.float64]:
        """``log p``, (n, n_classes), at least ``log 1e-12``."""
        return np.log(np.maximum(np.asarray(self.model.predict_proba(X), float), LEAST))

    def __getattr__(self, name: str) -> Any:
        if name == "model":  # as a copy or a pickle of it is made
            raise AttributeError(name)
        return getattr(self.model, name)


def with_logits(model: Any) -> Any:
    """The model itself if it has ``decision_function``, or neither that nor ``predict_proba``."""
    known = hasattr(model, "decision_function") or not hasattr(model, "predict_proba")
    return model if known else LogProbabilities(model)
