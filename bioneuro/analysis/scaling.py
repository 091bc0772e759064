"""A scale that keeps sums and squares inside float64, for measures that do not depend on it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def exponents(largest: Floats) -> NDArray[np.intc]:
    """Powers of two by which to divide what has these largest sizes: it is then below 1, without rounding."""
    return np.frexp(largest)[1]


def scaled(values: Floats, axis: int | None = None) -> Floats:
    """`values` over a power of two, so that the largest size along `axis` (None: of all) is in [0.5, 1), or 0."""
    return np.ldexp(values, -exponents(np.abs(values).max(axis=axis, keepdims=True, initial=0)))
