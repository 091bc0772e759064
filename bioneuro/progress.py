"""The progress bar of long work."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

__all__ = ["silent", "track"]

T = TypeVar("T")


def silent(items: Iterable[T], **_: Any) -> Iterable[T]:
    """The items, and no bar."""
    return items


def track(items: Iterable[T], progress: bool, description: str, total: int | None = None) -> Iterable[T]:
    """The items, with a bar where it is asked for; ``total`` where they have no length."""
    if not progress:
        return items
    from tqdm.auto import tqdm  # an optional extra: only those who want bars need it

    return tqdm(items, desc=description, total=total, leave=False)
