"""Old name of :mod:`bioneuro.research.natural_images`, gone with the next release."""

from __future__ import annotations

import warnings
from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    from .research import natural_images

    warnings.warn(
        f"bioneuro.natural.{name} is now bioneuro.research.natural_images.{name}", FutureWarning, stacklevel=2
    )
    return getattr(natural_images, name)
