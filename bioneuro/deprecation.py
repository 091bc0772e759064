"""Former names, which work for one release and warn (the policy is in CONTRIBUTING.md)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

__all__ = ["FORMER_NAMES_END", "warn_of_former"]

#: Release in which the names that now warn are gone; a test fails when it has come and they are still there.
FORMER_NAMES_END = "0.2"


def warn_of_former(owner: str, former: Mapping[str, tuple[str, ...]], stacklevel: int = 3) -> None:
    """Say by a FutureWarning what former names are now.

    Parameters
    ----------
    owner : str
        Whose names they are.
    former : dict of str to tuple of str
        From each former name that was used to the present ones.
    stacklevel : int, default 3
        As of :func:`warnings.warn`; 3 is the caller of the function that calls this.
    """
    moved = "; ".join(f"{name} is now {' and '.join(present)}" for name, present in former.items())
    warnings.warn(
        f"{owner}: {moved}. Former names are gone in release {FORMER_NAMES_END}", FutureWarning, stacklevel=stacklevel
    )
