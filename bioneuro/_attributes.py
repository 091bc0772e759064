"""What the attributes of an object must be, said once in its class and checked whenever it is saved or loaded.

A class lists its attributes in ``SAVED``, by name::

    SAVED = {"step": Count(), "kappa": Number(), "votes": Array("n_cells", None, low=0), "teacher": Maybe(Part(Rule))}

Kinds of arguments (:mod:`bioneuro.checks`) serve as they are; here are those of attributes alone, which may look at the
object that they belong to.

Sizes are numbers, None (any), or names of attributes of the object itself, with dots where it is one of a part
(``"association.n_cells"``). The parameters of a dataclass are its fields: they are checked by its own ``__post_init__``
and need no list. What lies between several attributes is for a method ``check_saved()``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from numbers import Integral, Real
from operator import attrgetter
from typing import Any, Protocol

import numpy as np

from .checks import LARGEST_INTEGER, Flag, Kind, Number
from .synapses import Synapses

__all__ = [
    "Array", "Count", "Each", "Floating", "Items", "Labels", "Maybe", "Missing", "Need", "Part", "Pathway", "Plain",
    "Same", "Strings", "ThreadCount", "check_attributes", "unmet",
]  # fmt: skip

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
#: A number, an attribute of the object, or any.
Length = int | str | None


class OfOwner(Protocol):
    """What a value must be that depends on the object it is an attribute of."""

    def unmet(self, value: Any, owner: Any) -> str | None:
        """What is expected in its place; None if the value, an attribute of ``owner``, is as it must be."""


#: What a value must be: a kind of argument, which knows no owner, or one that does.
Need = Kind | OfOwner


def unmet(need: Need, value: Any, owner: Any) -> str | None:
    """What is expected in place of a value, an attribute of ``owner``; None if it is as it must be."""
    if hasattr(need, "unmet"):
        return need.unmet(value, owner)
    return None if value in need else str(need)


@dataclass(frozen=True)
class Count:
    """An integer >= low that a kernel can take.

    Parameters
    ----------
    low, high : int
        The range, ends included.
    """

    low: int = 0
    high: int = LARGEST_INTEGER

    def unmet(self, value: Any, owner: Any) -> str | None:
        if isinstance(value, Integral) and not isinstance(value, bool) and self.low <= int(value) <= self.high:
            return None
        return f"an integer >= {self.low}" + (f" and <= {self.high}" if self.high < Count.high else "")


class ThreadCount:
    """What ``n_threads`` may be."""

    def unmet(self, value: Any, owner: Any) -> str | None:
        named = value is None or (isinstance(value, str) and value == "auto")
        return None if named or Count(1).unmet(value, owner) is None else "an integer >= 1, 'auto' or None"


@dataclass(frozen=True)
class Same:
    """What an attribute elsewhere in the object is."""

    path: str

    def unmet(self, value: Any, owner: Any) -> str | None:
        wanted = attrgetter(self.path)(owner)
        return None if not isinstance(value, np.ndarray) and value == wanted else f"{self.path} = {wanted}"


class Floating:
    """The dtype float32 or float64, or its name."""

    def unmet(self, value: Any, owner: Any) -> str | None:
        names = ("float32", "float64")
        name = value if isinstance(value, str) else np.dtype(value).name if isinstance(value, type | np.dtype) else ""
        return None if name in names else " or ".join(names)


class Array:
    """An array of finite numbers in [low, high], of some sizes; floats, where no other ``dtype`` is given.

    Parameters
    ----------
    *sizes : int, str or None
        One for each dimension: a number, the name of an attribute that says it, or None, for any.
    low, high : float
    open : bool
        Whether the ends of the range are outside of it.
    dtype : dtype or str, optional
    """

    def __init__(
        self, *sizes: Length, low: float = -math.inf, high: float = math.inf, open: bool = False, dtype: Any = None
    ) -> None:
        self.sizes, self.low, self.high, self.open, self.dtype = sizes, low, high, open, dtype

    def unmet(self, value: Any, owner: Any) -> str | None:
        sizes = tuple(_resolved(size, owner) for size in self.sizes)
        dtype = _resolved(self.dtype, owner)
        known = isinstance(value, np.ndarray) and value.dtype in (FLOATS if dtype is None else (dtype,))
        if known and _fits(value.shape, sizes) and self._within(value):
            return None
        shape = ", ".join("any" if size is None else str(size) for size in sizes)
        bound = f" {'>' if self.open else '>='} {self.low:g}" if self.low > -math.inf else ""
        bound += f" and <= {self.high:g}" if self.high < math.inf else ""
        return f"an array of finite numbers{bound}, shape ({shape}){'' if dtype is None else f', {np.dtype(dtype)}'}"

    def _within(self, value: np.ndarray) -> bool:
        if not value.size:
            return True
        low, high = float(value.min()), float(value.max())
        above = self.low < low if self.open else self.low <= low
        return above and high <= self.high and math.isfinite(low) and math.isfinite(high)


class Labels:
    """An array of class labels: at least one, sorted, no two alike."""

    def unmet(self, value: Any, owner: Any) -> str | None:
        sortable = isinstance(value, np.ndarray) and value.ndim == 1 and value.size and value.dtype.kind in "biufSUO"
        # NaN is not below itself; objects that cannot be compared cannot be labels either
        if sortable and all(a < b for a, b in zip(value[:-1], value[1:], strict=True)) and (value == value).all():
            return None
        return "a sorted array of different labels"


class Strings:
    """An array of names, as many as an attribute says."""

    def __init__(self, size: Length = None) -> None:
        self.size = size

    def unmet(self, value: Any, owner: Any) -> str | None:
        size = _resolved(self.size, owner)
        if isinstance(value, np.ndarray) and _fits(value.shape, (size,)) and all(isinstance(s, str) for s in value):
            return None
        return f"an array of {'' if size is None else f'{size} '}strings"


@dataclass(frozen=True)
class Pathway:
    """A :class:`bioneuro.Synapses` of some sizes, a sign and a dtype, whose weights are of ``largest`` size at most."""

    n_post: Length = None
    n_pre: Length = None
    sign: str | None = None
    dtype: Any = None
    largest: float = math.inf

    def unmet(self, value: Any, owner: Any) -> str | None:
        shape, dtype = (_resolved(self.n_post, owner), _resolved(self.n_pre, owner)), _resolved(self.dtype, owner)
        if isinstance(value, Synapses) and _fits(value.shape, shape):
            small = self.largest == math.inf or np.abs(value.weights).max(initial=0) <= self.largest
            if self.sign in (None, value.sign) and dtype in (None, value.dtype) and small:
                return None
        sign = "" if self.sign is None else f" of sign {self.sign!r}"
        kind = "" if dtype is None else f", {np.dtype(dtype)}"
        kind += f", weights of at most {self.largest:g}" if self.largest < math.inf else ""
        return f"a pathway{sign}{kind}, shape ({', '.join('any' if n is None else str(n) for n in shape)})"


@dataclass(frozen=True)
class Part:
    """An instance of a class. ``agree``: attributes of it that must be what attributes of its owner are."""

    kind: type | tuple[type, ...]
    agree: Mapping[str, Length] = field(default_factory=dict)

    def unmet(self, value: Any, owner: Any) -> str | None:
        if not isinstance(value, self.kind):
            kinds = self.kind if isinstance(self.kind, tuple) else (self.kind,)
            return " or ".join(kind.__name__ for kind in kinds)
        for path, wanted in self.agree.items():
            found, needed = attrgetter(path)(value), _resolved(wanted, owner)
            if found is not needed and found != needed:
                return f"{type(value).__name__} with {path} = {needed}, not {found}"
        return None


class Plain:
    """Anything that can be saved; who uses it checks it."""

    def unmet(self, value: Any, owner: Any) -> str | None:
        return None


@dataclass(frozen=True)
class Maybe:
    """None, or something."""

    need: Need

    def unmet(self, value: Any, owner: Any) -> str | None:
        wanted = None if value is None else unmet(self.need, value, owner)
        return None if wanted is None else f"None or {wanted}"


@dataclass(frozen=True)
class Missing(Maybe):
    """An attribute that may be absent; None does not count as absent."""

    def unmet(self, value: Any, owner: Any) -> str | None:
        return unmet(self.need, value, owner)


@dataclass(frozen=True)
class Items:
    """A tuple or dict with these items, no more and no fewer."""

    needs: tuple[Need, ...] | Mapping[str, Need]

    def unmet(self, value: Any, owner: Any) -> str | None:
        wanted = dict(self.needs) if isinstance(self.needs, Mapping) else dict(enumerate(self.needs))
        found = value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, tuple) else {}
        if isinstance(value, dict) is not isinstance(self.needs, Mapping) or wanted.keys() != found.keys():
            return f"a {'dict' if isinstance(self.needs, Mapping) else 'tuple'} of {', '.join(map(str, wanted))}"
        problems = ((key, unmet(need, found[key], owner)) for key, need in wanted.items())
        return next((f"{wanted} at {key}" for key, wanted in problems if wanted), None)


@dataclass(frozen=True)
class Each:
    """A dict of strings to values that are all of a kind; at least one."""

    need: Need

    def unmet(self, value: Any, owner: Any) -> str | None:
        if not isinstance(value, dict) or not value or not all(isinstance(key, str) for key in value):
            return "a dict with at least one name"
        problems = ((key, unmet(self.need, item, owner)) for key, item in value.items())
        return next((f"{wanted} at {key!r}" for key, wanted in problems if wanted), None)


#: Types of the fields of a dataclass that are checked by their annotation.
_ANNOTATED: dict[str, Need] = {"float": Number(-np.inf, infinite=True), "int": Count(-(1 << 63)), "bool": Flag()}
_ANNOTATED |= {f"{name} | None": Maybe(need) for name, need in _ANNOTATED.items()}
_ANNOTATED["Threads"] = ThreadCount()


def check_attributes(value: Any) -> None:
    """Whether an object is what its class says it must be.

    Raises
    ------
    ValueError
        It is not; names the attribute, what is expected and what was found.
    """
    cls = type(value)
    needs = _needs_of_fields(value) if is_dataclass(cls) else cls.SAVED
    for name, problem in _problems(vars(value), needs, value):
        raise ValueError(f"{cls.__name__}.{name} {problem}")
    if is_dataclass(cls):
        _check_parameters(value)
    if hasattr(cls, "check_saved"):
        value.check_saved()


def _problems(found: Mapping[str, Any], needs: Mapping[Any, Need], owner: Any) -> Iterator[tuple[str, str]]:
    """What is wrong, attribute by attribute. The key ``...`` stands for all that have no line of their own."""
    for name in sorted(found.keys() - needs.keys()):
        if ... not in needs or hasattr(type(owner), name):
            yield name, "is not one of its attributes"
    for name, need in needs.items():
        if name in found:
            wanted = unmet(need, found[name], owner)
            if wanted:
                yield name, f"must be {wanted}, got {_short(found[name])}"
        elif name is not ... and not isinstance(need, Missing):
            yield name, "is missing"


def _needs_of_fields(value: Any) -> dict[str, Need]:
    return {f.name: _ANNOTATED.get(str(f.type), Plain()) for f in fields(value)}


def _check_parameters(value: Any) -> None:
    """By the class's own checks, on a copy: an object that is loaded stays as it was saved."""
    check = getattr(type(value), "__post_init__", None)
    if check is None:
        return
    try:
        check(copy.copy(value))
    except (TypeError, ArithmeticError) as error:
        raise ValueError(f"{type(value).__name__}: {error}") from error


def _resolved(size: Any, owner: Any) -> Any:
    return attrgetter(size)(owner) if isinstance(size, str) else size


def _fits(shape: tuple[int, ...], sizes: tuple[Length, ...]) -> bool:
    return len(shape) == len(sizes) and all(size in (None, n) for n, size in zip(shape, sizes, strict=True))


def _short(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of {value.dtype}, shape {value.shape}"
    text = repr(value) if isinstance(value, str | Real | None) else type(value).__name__
    return text if len(text) <= 80 else f"{text[:77]}..."
