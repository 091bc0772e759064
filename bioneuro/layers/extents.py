"""How large rates and parameters may be: beyond that, a product or a square of them would be no number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bioneuro import _core
from bioneuro.checks import Number

#: Largest rate of each precision: its square times a hundred million still is a number.
LARGEST_RATE: dict[np.dtype, float] = {np.dtype(np.float32): 1e15, np.dtype(np.float64): 1e150}

#: Gains and time constants: three of them, one over the least spread and the largest rate, multiplied, are a number.
GAIN, GAIN_OR_NONE = Number(0, 1e6, ends="(]"), Number(0, 1e6)
#: Shares of a whole that are not 0, and that are neither 0 nor 1.
SOME, PART = Number(0, 1, ends="(]"), Number(0, 1, ends="()")
#: Of a circuit: chance to a higher power overflows.
INHIBITION, SPECIFICITY = Number(1e-6, 1e6), Number(0, 2)
#: Learning rates: the ratio of two is one for single precision.
LEARNING_RATE = Number(1e-12, 1e12)


def check_extent(rates: NDArray, name: str) -> None:
    """Finite, and of a size that a layer can calculate with.

    Raises
    ------
    ValueError
        Names the first that is not.
    """
    if not rates.size:
        return
    largest = LARGEST_RATE[rates.dtype]
    low, high = _core.minmax(np.ascontiguousarray(rates))
    if -largest <= low and high <= largest:  # neither holds of NaN
        return
    k = tuple(int(i) for i in np.argwhere(~(np.abs(rates) <= largest))[0])
    wanted = f"at most {largest:g} in size" if np.isfinite(rates[k]) else "finite"
    raise ValueError(f"{name} must be {wanted}, but {name}[{', '.join(map(str, k))}] = {rates[k]}")


def check_norm(norm: NDArray, name: str) -> None:
    """Norms ``(n, 1)`` of what a layer made of the rows of an input, before it divides by them.

    Raises
    ------
    ValueError
        One is no number.
    """
    if not np.isfinite(norm).all():
        i = int(np.argmin(np.isfinite(norm[:, 0])))
        raise ValueError(f"{name} must be finite and not too far from what was learned, but row {i} is")
