"""What classifiers have in common: answers that follow from logits, and checks of what they are given."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from numbers import Integral
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from .checks import check_labels, on_host, unknown_labels
from .seeds import random_state_from

__all__ = [
    "LogitClassifier",
    "all_or_nothing",
    "check_classes",
    "check_unit_interval",
    "class_index",
    "known_classes",
    "learned",
    "made",
    "sum_is_finite",
    "validated",
    "validated_with_labels",
]


class LogitClassifier(ClassifierMixin, BaseEstimator):
    """A classifier whose answers follow from its logits. A subclass writes :meth:`_logits` and has ``classes_``."""

    classes_: NDArray

    @abstractmethod
    def _logits(self, X: ArrayLike) -> NDArray:
        """Logits (n, n_classes) of inputs that are not checked yet."""

    def decision_function(self, X: ArrayLike) -> NDArray:
        """Logits ``(n, n_classes)``, or their difference ``(n,)`` for two classes."""
        z = self._finite_logits(X)
        return z[:, 1] - z[:, 0] if len(self.classes_) == 2 else z

    def predict_proba(self, X: ArrayLike) -> NDArray:
        """Class probabilities ``(n, n_classes)``: softmax of the logits."""
        return softmax(self._finite_logits(X), axis=1)

    def predict(self, X: ArrayLike) -> NDArray:
        """Most probable class of each sample."""
        winner = self._finite_logits(X).argmax(axis=1)
        return self.classes_[winner]

    def _finite_logits(self, X: ArrayLike) -> NDArray:
        z = self._logits(X)
        if not sum_is_finite(z) and not (finite := np.isfinite(z).all(axis=1)).all():
            row = int(np.argmin(finite))
            raise ValueError(f"X[{row}] is too large for {type(self).__name__}: its logits overflow")
        return z


@contextmanager
def all_or_nothing(model: Any, *changed: str, shared: Iterable[Any] = ()) -> Iterator[None]:
    """What fails or is interrupted inside leaves the model, and the random state it was given, as they were.

    A model whose arrays are read-only memory maps, as those that joblib hands to its workers, learns on copies.

    Parameters
    ----------
    model : object
        Its attributes are put back; ``random_state``, if it has one, is rewound.
    *changed : str
        Attributes that are changed in place, of which a copy is kept. All others are replaced, or stay.
    shared : objects
        What is not copied with them, since nothing changes it.
    """
    before = dict(vars(model))
    source = getattr(model, "random_state", 0)
    in_place = {name: before[name] for name in changed if name in before}
    leaves = list(_leaves(in_place, {id(part) for part in shared}))
    generators = [leaf for leaf in leaves if isinstance(leaf, np.random.Generator)]
    rewinders = [_rewinder(each) for each in (source, *generators)]
    copies = copy.deepcopy(in_place, {id(part): part for part in (*shared, source, *generators)})
    if any(isinstance(leaf, np.memmap) and not leaf.flags.writeable for leaf in leaves):
        vars(model).update(copies)
        copies = in_place
    try:
        yield
    except BaseException:  # Ctrl-C, too
        for rewind in rewinders:
            rewind()
        model.__dict__ = before | copies
        raise


def made(model: Any, seed: int | None) -> Any:
    """An unfitted model out of what a table of models to compare may hold.

    Parameters
    ----------
    model : scikit-learn estimator, or function of the seed
        Of an estimator, a clone, with the seed wherever it has a ``random_state``.
    seed : int or None
        None leaves ``random_state`` as it is.

    Raises
    ------
    TypeError
        Neither; a class, which has to be called.
    """
    if isinstance(model, type):
        raise TypeError(f"models must be estimators or functions of the seed, got the class {model.__name__}: call it")
    if not hasattr(model, "fit"):
        if not callable(model):
            raise TypeError(f"models must be estimators or functions of the seed, got {model!r}")
        return model(seed)
    fresh = clone(model)
    if seed is not None and hasattr(fresh, "get_params"):
        names = [n for n in fresh.get_params() if n == "random_state" or n.endswith("__random_state")]
        fresh.set_params(**dict.fromkeys(names, seed))
    return fresh


def learned(model: BaseEstimator) -> list[str]:
    """Names of the attributes that are not parameters."""
    return sorted(set(vars(model)) - set(model.get_params(deep=False)))


def _rewinder(random_state: Any) -> Callable[[], None]:
    """Sets the generator that a ``random_state`` stands for back to where it is now."""
    if isinstance(random_state, np.random.Generator):
        return partial(setattr, random_state.bit_generator, "state", random_state.bit_generator.state)
    if isinstance(random_state, Integral):  # each call has a generator of its own
        return lambda: None
    source = random_state_from(random_state)
    return partial(source.set_state, source.get_state())


def _leaves(value: Any, seen: set[int]) -> Iterator[Any]:
    """Arrays and random generators in it, but for those in what was ``seen`` and in pathways, which copy their own."""
    if isinstance(value, np.ndarray | np.random.Generator):
        yield value
    if id(value) in seen or hasattr(type(value), "__deepcopy__"):
        return
    seen.add(id(value))
    if isinstance(value, dict):
        parts: Iterable[Any] = value.values()
    else:
        parts = value if isinstance(value, list | tuple) else getattr(value, "__dict__", {}).values()
    for part in parts:
        if not isinstance(part, int | float | str | None):
            yield from _leaves(part, seen)


def validated(model: BaseEstimator, X: ArrayLike, dtype: DTypeLike) -> NDArray:
    """Rows for a fitted model, in C order: what `validate_data` makes of them.

    An array that needs nothing done is not taken through scikit-learn, whose checks cost more than a step of an attack.
    """
    if _is_valid(X, model, dtype):
        return X
    return validate_data(model, on_host(X), reset=False, dtype=np.dtype(dtype), order="C")


def _is_valid(X: Any, model: BaseEstimator, dtype: DTypeLike | list[type]) -> TypeGuard[NDArray]:
    """Whether `validate_data` would return these very rows."""
    named = hasattr(model, "feature_names_in_")  # scikit-learn then warns
    if type(X) is not np.ndarray or named or not X.flags.c_contiguous or X.ndim != 2 or isinstance(dtype, list):
        return False
    return bool(X.size and X.dtype == dtype and X.shape[1] == model.n_features_in_ and sum_is_finite(X))


def validated_with_labels(
    model: BaseEstimator, X: ArrayLike, y: ArrayLike, dtype: DTypeLike | list[type], *, reset: bool = True
) -> tuple[NDArray, NDArray]:
    """Rows to learn from, in C order, and their labels, checked: what every ``fit`` and ``partial_fit`` begins with."""
    X, y = on_host(X), on_host(y, "y")
    if type(y) is np.ndarray and y.ndim == 1 and y.dtype.kind in "iub" and not reset:
        if _is_valid(X, model, dtype) and len(y) == len(X):
            return X, y
    check_labels(y)
    dtype = dtype if isinstance(dtype, list) else np.dtype(dtype)  # a list: the first, unless X is of one of the others
    rows, labels = validate_data(model, X, y, reset=reset, dtype=dtype, order="C")
    check_classification_targets(labels)
    return rows, labels


def sum_is_finite(X: NDArray) -> bool:
    """Quick test: where the sum is finite, all values are; where it is not, they may be, since it can overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(X.sum()))


def check_unit_interval(X: NDArray, reason: str, advice: str = "rescale it", first: int = 0) -> None:
    """Raise ValueError, which names the first value out of [0, 1]; ``first`` is the number of the first row."""
    if X.min() < 0 or X.max() > 1:
        i, j = np.argwhere((X < 0) | (X > 1))[0]
        raise ValueError(f"X must lie in [0, 1] {reason}, but X[{first + i}, {j}] = {X[i, j]}: {advice}")


def check_classes(classes: NDArray) -> None:
    """Raise ValueError if there is nothing to tell apart."""
    if len(classes) < 2:
        raise ValueError(f"y must hold at least 2 classes, got {len(classes)} class: {classes}")


def class_index(y: NDArray, classes: NDArray) -> NDArray[np.intp]:
    """Position of each label in ``classes``, the column of its logit."""
    order = np.argsort(classes)  # of other libraries' models they need not be sorted
    if y.dtype == classes.dtype and y.dtype.kind in "iu":  # at a fifth of the cost, felt where one sample is learned
        index = order[np.minimum(np.searchsorted(classes, y, sorter=order), len(order) - 1)]
        if (classes[index] == y).all():
            return index
    unseen = unknown_labels(y, classes)
    if unseen.size:
        raise ValueError(f"y must hold labels out of classes_, but y[{unseen[0]}] = {y[unseen[0]]!r}")
    return order[np.searchsorted(classes, y, sorter=order)]


def known_classes(model: LogitClassifier, classes: ArrayLike | None, first: bool) -> NDArray:
    """All classes of a stream, sorted: those passed to the first call of ``partial_fit``, unchanged ever after."""
    if first:
        if classes is None:
            raise ValueError("classes must be passed to the first call of partial_fit")
        check_labels(classes, "classes")
        if np.ndim(classes) != 1 or not np.size(classes):
            raise ValueError(f"classes must be a sequence of labels, got {classes!r}")
        return np.unique(classes)
    if classes is not None and not np.array_equal(np.unique(classes), model.classes_):
        raise ValueError(f"classes must be those of the first call, {model.classes_}, got {np.unique(classes)}")
    return model.classes_
