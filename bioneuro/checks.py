"""Checks of arguments: one for each kind, whose errors name the argument, what is expected and what was given.

>>> check("n_cells", 3, Integer(1))
>>> check("vigilance", None, Number(0, 1, ends="(]"), None)

A class with many parameters writes them down as a table and calls :func:`check_parameters` in ``fit``; a dataclass of
settings is :class:`Checked` as it is made.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy import sparse

__all__ = [
    "Checked",
    "Choice",
    "Integer",
    "Flag",
    "Instance",
    "Number",
    "Only",
    "check",
    "check_count",
    "check_dtype",
    "check_labels",
    "check_level",
    "check_number",
    "check_parameters",
    "check_unmasked",
    "on_host",
    "plain_array",
    "unknown_labels",
]


#: The largest integer that kernels take.
LARGEST_INTEGER = (1 << 63) - 1


class Kind(Protocol):
    """What a value may be: ``value in kind``, and ``str(kind)`` says it in words."""

    def __contains__(self, value: Any) -> bool: ...


@dataclass(frozen=True)
class Integer:
    """An integer of at least ``low`` and, where it is given, at most ``high``; never a bool."""

    low: int = 1
    high: int | None = None

    def __contains__(self, value: Any) -> bool:
        whole = isinstance(value, Integral) and not isinstance(value, bool | np.bool_)
        return whole and self.low <= int(value) and (self.high is None or int(value) <= self.high)

    def __str__(self) -> str:
        return f"an integer >= {self.low}" if self.high is None else f"an integer in [{self.low}, {self.high}]"


@dataclass(frozen=True)
class Number:
    """A number in an interval, finite unless it may be ``infinite``; ``ends`` are the brackets, as in ``(0, 1]``; never
    a bool."""

    low: float = 0.0
    high: float = np.inf
    ends: Literal["[]", "[)", "(]", "()"] = "[]"
    infinite: bool = False

    def __contains__(self, value: Any) -> bool:
        if not isinstance(value, Real) or isinstance(value, bool | np.bool_):
            return False
        if isinstance(value, Integral) and abs(int(value)) > LARGEST_INTEGER:  # NumPy does not see it as a number
            return False
        number = float(value)
        if not (np.isfinite(number) or self.infinite):
            return False
        above = number > self.low if self.ends[0] == "(" else number >= self.low
        below = number < self.high if self.ends[1] == ")" else number <= self.high
        return above and below

    def __str__(self) -> str:
        if self.high == np.inf:
            bound = "" if self.low == -np.inf else f" {'>' if self.ends[0] == '(' else '>='} {self.low:g}"
            return f"a number{bound}" if self.infinite else f"a finite number{bound}"
        return f"a number in {self.ends[0]}{self.low:g}, {self.high:g}{self.ends[1]}"


@dataclass(frozen=True)
class Choice:
    """One of a few strings."""

    names: Collection[str]

    def __contains__(self, value: Any) -> bool:
        return isinstance(value, str) and value in self.names

    def __str__(self) -> str:
        return f"one of {sorted(self.names)}"


@dataclass(frozen=True)
class Flag:
    """True or False."""

    def __contains__(self, value: Any) -> bool:
        return isinstance(value, bool | np.bool_)

    def __str__(self) -> str:
        return "True or False"


@dataclass(frozen=True)
class Instance:
    """An instance of a class, or of a protocol."""

    cls: type

    def __contains__(self, value: Any) -> bool:
        return isinstance(value, self.cls)

    def __str__(self) -> str:
        return f"a {self.cls.__name__}"


@dataclass(frozen=True)
class Only:
    """One value and no other."""

    value: str | float | None

    def __contains__(self, value: Any) -> bool:
        return value is None if self.value is None else isinstance(value, str | float) and value == self.value

    def __str__(self) -> str:
        return repr(self.value)


#: A share of a whole: any, one that is not nothing, and one that is not all either.
SHARE, POSITIVE_SHARE, PROPER_SHARE = Number(0, 1), Number(0, 1, ends="(]"), Number(0, 1, ends="()")
#: A finite number > 0.
POSITIVE = Number(0, ends="(]")


def check(name: str, value: Any, *kinds: Kind | str | float | None) -> None:
    """Raise ValueError unless ``value`` is of one of the kinds; a string, a float or None stands for itself."""
    allowed = [Only(kind) if kind is None or isinstance(kind, str | float) else kind for kind in kinds]
    if not any(value in kind for kind in allowed):
        raise ValueError(f"{name} must be {' or '.join(map(str, allowed))}, got {value!r}")


def check_parameters(obj: Any, table: Mapping[str, tuple[Any, ...]]) -> None:
    """:func:`check` of the attributes of ``obj`` that a table names, in its order."""
    for name, kinds in table.items():
        check(name, getattr(obj, name), *kinds)


class Checked:
    """Base of frozen dataclasses whose fields are checked, by the table ``_kinds``, as soon as they are made."""

    _kinds: ClassVar[Mapping[str, tuple[Any, ...]]]

    def __post_init__(self) -> None:
        check_parameters(self, self._kinds)


def check_count(name: str, value: Any, low: int = 1, high: int | None = None) -> None:
    """Raise ValueError unless ``value`` is an integer in [low, high]."""
    check(name, value, Integer(low, high))


def check_number(name: str, value: Any, low: Literal["> 0", ">= 0"]) -> None:
    """Raise ValueError unless ``value`` is a finite number > 0, or >= 0."""
    check(name, value, POSITIVE if low == "> 0" else Number(0))


def check_width(X: Any, width: int, name: str = "X") -> None:
    """Raise ValueError unless ``X`` has rows of so many numbers."""
    if np.ndim(X) != 2 or np.shape(X)[1] != width:
        raise ValueError(f"{name} must have shape (n, {width}), got {np.shape(X)}")


def check_level(level: Any) -> None:
    """Raise ValueError unless ``level`` is a level of confidence."""
    check("level", level, PROPER_SHARE)


def check_dtype(dtype: Any) -> None:
    """Raise ValueError unless ``dtype`` is that of weights."""
    try:
        good = np.dtype(dtype) in (np.float32, np.float64) and dtype is not None
    except TypeError:
        good = False
    if not good:
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")


def check_unmasked(value: Any, name: str) -> None:
    """Raise ValueError where an array has masked values, which NumPy and scikit-learn would take for values."""
    if np.ma.is_masked(value):
        raise ValueError(
            f"{name} must not have masked values: leave them out (.compressed()) or fill them (.filled(0))"
        )


def check_labels(y: Any, name: str = "y") -> None:
    """Raise ValueError, naming its position, where a label is missing: NaN, NaT, NA or None."""
    if y is None:  # scikit-learn has the message
        return
    labels = np.asarray(on_host(y, name))
    if labels.dtype.kind == "f":
        missing = np.isnan(labels)
    elif labels.dtype.kind in "mM":
        missing = np.isnat(labels)
    elif labels.dtype == object:
        missing = np.array([_is_missing(label) for label in labels.ravel()], bool)
    else:
        return
    if missing.any():
        i = int(np.argmax(missing))
        raise ValueError(f"{name} must hold a label for each row, but {name}[{i}] is {labels.ravel()[i]}")


def unknown_labels(labels: NDArray, classes: ArrayLike) -> NDArray[np.intp]:
    """Positions of labels that are not among the classes. Text is no number: of many classes ``np.isin`` says it is."""
    classes = np.asarray(classes)
    is_text = {array.dtype.kind in "US" for array in (labels, classes) if array.dtype != object}
    if len(is_text) == 2:
        return np.arange(labels.size)
    return np.flatnonzero(~np.isin(labels, classes))


def _is_missing(label: Any) -> bool:
    try:
        return label is None or bool(label != label)
    except TypeError:  # NA of pandas is neither like itself nor unlike
        return True


def on_host(value: Any, name: str = "X") -> Any:
    """Arrays of other libraries as NumPy's, without a copy where none is needed: those of torch, wherever they are and
    whether they need gradients or not, and whatever knows ``__array__`` or DLPack (JAX, CuPy, Dask). All else, tables
    of pandas among it, is returned as it is; masked values are refused."""
    check_unmasked(value, name)
    if isinstance(value, np.ndarray | np.generic) or sparse.issparse(value) or hasattr(value, "columns"):
        return value
    if hasattr(value, "detach"):  # torch: conversion would refuse what needs a gradient or lies on another device
        value = value.detach().cpu()
    if hasattr(value, "__array__"):
        return np.asarray(value)
    return np.from_dlpack(value) if hasattr(value, "__dlpack__") else value


def plain_array(value: Any, name: str, dtype: DTypeLike | None = None) -> NDArray:
    """``value`` as an array, without a copy where none is needed.

    What NumPy would take in silence and get wrong is refused by name: masks, which it drops, imaginary parts, sparse
    matrices, which it wraps, and None, of which it makes NaN.
    """
    if value is None:
        raise TypeError(f"{name} must be an array of numbers, got None")
    check_unmasked(value, name)
    if sparse.issparse(value):
        raise TypeError(f"{name} must be a dense array, got a sparse {type(value).__name__}: pass {name}.toarray()")
    if hasattr(value, "to_scipy"):
        raise TypeError(f"{name} must be a dense array, got {type(value).__name__}: pass .to_scipy().toarray()")
    try:
        array = np.asarray(on_host(value))
        if dtype is None:
            return array
        if np.iscomplexobj(array):
            raise TypeError("complex numbers")
        return np.asarray(array, dtype)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be an array of numbers, got {type(value).__name__} ({error})") from error
