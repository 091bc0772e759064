"""Classes and functions by module and name: how a file refers to them, and how they are found without running code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

__all__ = ["find", "name_of"]


def name_of(value: type | Callable[..., Any], where: str) -> dict[str, str]:
    """Module and name under which :func:`find` gives ``value`` again.

    Raises
    ------
    TypeError
        It has no such name; says why, and ``where`` it was met.
    """
    module, name = value.__module__, value.__qualname__
    if "<lambda>" in name:
        why = "a lambda has no name to be found by: define it with def"
    elif "<locals>" in name:
        why = f"{name} is defined inside a function: define it at the top of a module"
    elif _look_up(module, name) is not value:
        why = f"{name} of module {module!r} is another object by now"
    else:
        return {"module": module, "name": name}
    raise TypeError(f"{where} cannot be saved: {why}")


def find(module: str, name: str) -> Any:
    """What an imported module has by that name. Nothing is imported and nothing is called, whatever a file names.

    Raises
    ------
    ValueError
        The module is not imported, or has no such name.
    """
    if module not in sys.modules:
        raise ValueError(f"it needs {name} of module {module!r}: import {module} before bioneuro.load")
    found = _look_up(module, name)
    if found is None and module == "__main__":
        raise ValueError(f"it needs {name}, of the script or notebook that saved it: define it before bioneuro.load")
    if found is None:
        raise ValueError(f"it needs {name} of module {module!r}, which has nothing of that name")
    return found


def _look_up(module: str, name: str) -> Any:
    """None where there is none. Namespaces only: ``getattr`` might run code of the module."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        namespace = getattr(found, "__dict__", {})
        found = namespace.get(part)
    return found
