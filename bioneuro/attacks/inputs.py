"""What attacks are given, checked once, before anything is asked of the model."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import validate_data

from ..checks import on_host, plain_array, unknown_labels
from ..protocols import Classifier

__all__ = ["check_budget", "check_images", "check_input", "checked_names"]


def check_input(model: Classifier, X: Any, y: Any, epsilons: Any) -> tuple[NDArray, NDArray, NDArray[np.float64]]:
    """Images (n, features), labels (n,) and budgets (K,): arrays that are safe to read, never to be written to."""
    if not hasattr(model, "classes_"):
        raise TypeError(f"model must be fitted, but {type(model).__name__} lacks classes_")
    X, y = check_images(X), np.asarray(on_host(y, "y"))
    if y.shape != (len(X),):
        raise ValueError(f"y must have one label for each of the {len(X)} rows of X, got shape {y.shape}")
    unknown = unknown_labels(y, model.classes_)
    if unknown.size:
        raise ValueError(f"y must hold labels out of model.classes_; y[{unknown[0]}] is {y[unknown[0]]!r}")
    budgets = np.atleast_1d(_real(epsilons, "epsilons"))
    if budgets.ndim != 1 or budgets.size == 0:
        raise ValueError(f"epsilons must be a number or a flat sequence, got shape {budgets.shape}")
    if not (np.isfinite(budgets) & (budgets >= 0)).all():
        raise ValueError(f"epsilons must be finite and at least 0, got {budgets.tolist()}")
    return X, y, budgets.astype(np.float64)


def check_images(X: Any) -> NDArray:
    """Images (n, features) in [0, 1], C-contiguous: float32 and float64 as they are, other numbers as float64."""
    X = _real(X, "X")
    if X.ndim != 2 or X.size == 0:
        hint = ": pass X.reshape(len(X), -1), channels last" if X.ndim in (3, 4) else ""
        raise ValueError(f"X must be (n, features) and not empty, got shape {X.shape}{hint}")
    X = np.ascontiguousarray(X, dtype=X.dtype if X.dtype in (np.float32, np.float64) else np.float64)
    for wrong, problem in (
        (~np.isfinite(X), "X must be finite"),
        ((X < 0) | (X > 1), "X must lie in [0, 1]"),
    ):
        if wrong.any():
            row, feature = np.argwhere(wrong)[0]
            raise ValueError(f"{problem}; row {row}, feature {feature} is {X[row, feature]}")
    return X


def check_budget(epsilons: NDArray[np.float64]) -> float:
    """The one budget that an analysis at one budget needs."""
    if epsilons.size != 1 or epsilons[0] == 0:
        raise ValueError(f"epsilon must be one positive number, got {epsilons.squeeze().tolist()}")
    return float(epsilons[0])


def _real(values: Any, name: str) -> NDArray:
    """An array of real numbers, or TypeError that names what it is instead."""
    array = plain_array(values, name)
    if array.dtype == object:
        return plain_array(values, name, np.float64)
    if array.dtype.kind not in "biuf":
        what = repr(values) if isinstance(values, str | complex) else f"dtype {array.dtype}"
        raise TypeError(f"{name} must be an array of real numbers, got {what}")
    return array


@contextmanager
def checked_names(model: Classifier, X: Any) -> Iterator[None]:
    """The columns of X are those that the model was fitted on, by name where both have names.

    A model that was fitted on a table warns at every array it is given; attacks give it nothing else.
    """
    if not (isinstance(model, BaseEstimator) and hasattr(model, "feature_names_in_")):
        yield
        return
    if hasattr(X, "columns"):
        validate_data(model, X, reset=False, skip_check_array=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names", UserWarning)
        yield
