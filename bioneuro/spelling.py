"""Names of parameters that are nearly right: errors say what was meant, as Python does by itself from 3.13 on."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Iterable
from typing import Any, TypeVar

__all__ = ["meant", "spelled"]

T = TypeVar("T")


def meant(name: str, known: Iterable[str]) -> str | None:
    """The known name that is nearest; None if none is near."""
    return next(iter(difflib.get_close_matches(name, known, 1)), None)


def spelled(cls: type[T]) -> type[T]:
    """A class whose constructor says which parameter an unknown one may have meant, unless it takes any."""
    init = cls.__init__
    taken = list(inspect.signature(init).parameters.values())[1:]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken):
        return cls
    known = [parameter.name for parameter in taken]

    @functools.wraps(init)
    def constructor(self: T, /, *args: Any, **parameters: Any) -> None:
        for name in parameters:
            if name not in known:
                near = meant(name, known)
                hint = f"it has {', '.join(known)}" if near is None else f"did you mean {near!r}?"
                raise TypeError(f"{type(self).__name__} has no parameter {name!r}: {hint}")
        init(self, *args, **parameters)

    cls.__init__ = constructor  # type: ignore[assignment]
    return cls
