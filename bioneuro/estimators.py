"""What classifiers have in common: answers that follow from logits, and checks of what they are given."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import validate_data

__all__ = [
    "LogitClassifier",
    "check_classes",
    "check_unit_interval",
    "class_index",
    "known_classes",
    "sum_is_finite",
    "validated",
]


class LogitClassifier(ClassifierMixin, BaseEstimator):
    """A classifier whose answers follow from its logits. A subclass writes :meth:`_logits` and has ``classes_``."""

    classes_: NDArray

    @abstractmethod
    def _logits(self, X: ArrayLike) -> NDArray:
        """Logits (n, n_classes) of inputs that are not checked yet."""

    def decision_function(self, X: ArrayLike) -> NDArray:
        """Logits ``(n, n_classes)``, or their difference ``(n,)`` for two classes."""
        z = self._logits(X)
        return z[:, 1] - z[:, 0] if len(self.classes_) == 2 else z

    def predict_proba(self, X: ArrayLike) -> NDArray:
        """Class probabilities ``(n, n_classes)``: softmax of the logits."""
        return softmax(self._logits(X), axis=1)

    def predict(self, X: ArrayLike) -> NDArray:
        """Most probable class of each sample."""
        winner = self._logits(X).argmax(axis=1)
        return self.classes_[winner]


def validated(model: BaseEstimator, X: ArrayLike, dtype: DTypeLike) -> NDArray:
    """Rows for a fitted model, in C order: what `validate_data` makes of them.

    An array that needs nothing done is not taken through scikit-learn, whose checks cost more than a step of an attack.
    """
    plain = type(X) is np.ndarray and X.dtype == dtype and X.flags.c_contiguous and X.ndim == 2
    named = hasattr(model, "feature_names_in_")  # which scikit-learn warns about
    if plain and not named and X.size and X.shape[1] == model.n_features_in_ and sum_is_finite(X):
        return X
    return validate_data(model, X, reset=False, dtype=np.dtype(dtype), order="C")


def sum_is_finite(X: NDArray) -> bool:
    """Quick: if it is, so are all values; a sum may overflow or cancel where they are finite, or are not."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(X.sum()))


def check_unit_interval(X: NDArray, reason: str, advice: str = "rescale it") -> None:
    """Raise ValueError, which names the first value out of [0, 1]."""
    if X.min() < 0 or X.max() > 1:
        i, j = np.argwhere((X < 0) | (X > 1))[0]
        raise ValueError(f"X must lie in [0, 1] {reason}, but X[{i}, {j}] = {X[i, j]}: {advice}")


def check_classes(classes: NDArray) -> None:
    """Raise ValueError if there is nothing to tell apart."""
    if len(classes) < 2:
        raise ValueError(f"y must hold at least 2 classes, got {len(classes)} class: {classes}")


def class_index(y: NDArray, classes: NDArray) -> NDArray[np.intp]:
    """Position of each label in ``classes``, the column of its logit."""
    unseen = np.flatnonzero(~np.isin(y, classes))
    if unseen.size:
        raise ValueError(f"y must hold labels out of classes_, but y[{unseen[0]}] = {y[unseen[0]]!r}")
    order = np.argsort(classes)  # of other libraries' models they need not be sorted
    return order[np.searchsorted(classes, y, sorter=order)]


def known_classes(model: LogitClassifier, classes: ArrayLike | None, first: bool) -> NDArray:
    """All classes of a stream, sorted: those passed to the first call of ``partial_fit``, unchanged ever after."""
    if first:
        if classes is None:
            raise ValueError("classes must be passed to the first call of partial_fit")
        return np.unique(classes)
    if classes is not None and not np.array_equal(np.unique(classes), model.classes_):
        raise ValueError(f"classes must be those of the first call, {model.classes_}, got {np.unique(classes)}")
    return model.classes_
