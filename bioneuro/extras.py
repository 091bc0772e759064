"""Libraries that only some uses need: imported where they are wanted, or an error that says how to install them."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__all__ = ["pandas", "wanted"]


def wanted(module: str, need: str, extra: str) -> Any:
    """The module; an ImportError that begins with ``need`` and names the extra that brings it, if it is not there."""
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f'{need}: pip install "bioneuro[{extra}]"') from error


def pandas() -> Any:
    """pandas, for tables of results."""
    return wanted("pandas", "tables of results need pandas", "experiments")
