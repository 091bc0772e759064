"""Arrays kept beside a table of results."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...atomic_write import write_atomically
from ..errors import UserError

__all__ = ["keep_arrays", "kept_arrays"]


def keep_arrays(path: Path, **arrays: Any) -> None:
    """Arrays by name in one file, whole or not at all; its folder is made if it is not there."""
    path.parent.mkdir(exist_ok=True)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    write_atomically(path, buffer.getvalue())


def kept_arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray]:
    """What :func:`keep_arrays` kept by these names.

    Raises
    ------
    UserError
        The file is damaged, or was not written by :func:`keep_arrays`.
    """
    try:
        with np.load(path, allow_pickle=False) as kept:
            return {name: kept[name] for name in names}
    except Exception as error:  # zipfile and zlib raise errors of many kinds
        raise UserError(f"{path} is damaged ({error}): delete it, and what it holds is left out") from error
