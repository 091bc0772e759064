"""How large rates and parameters may be: beyond that, a product or a sum of squares could overflow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..checks import Number
from ..rules import check_rates
from ..threads import Threads

#: Largest rate in each precision: a sum of a hundred million of its squares does not overflow.
LARGEST_RATE: dict[np.dtype, float] = {np.dtype(np.float32): 1e15, np.dtype(np.float64): 1e150}

#: Gains and time constants: the product of three, of one over the least spread, and of the largest rate is finite.
GAIN, GAIN_OR_NONE = Number(0, 1e6, ends="(]"), Number(0, 1e6)
#: Exponent of the gate: a higher power of a small contrast vanishes.
GATE_EXPONENT = Number(0, 8, ends="(]")
#: Strength and specificity of a circuit: a correlation of rare events to a higher power would overflow.
INHIBITION, SPECIFICITY = Number(1e-6, 1e6), Number(0, 2)
#: Learning rates: the ratio of two fits into single precision.
LEARNING_RATE = Number(1e-12, 1e12)


def check_learned(
    rates: NDArray, name: str, dtype: np.dtype, width: int, *, nonnegative: bool, n_threads: Threads = None
) -> None:
    """Refuse rates that a rule does not take, or that are too large to calculate with, in one pass over them.

    Raises
    ------
    TypeError, ValueError
        As :func:`bioneuro.rules.check_rates` and :func:`check_magnitude`.
    """
    largest = check_rates(rates, name, dtype, width, nonnegative=nonnegative, n_threads=n_threads)
    if largest > LARGEST_RATE[rates.dtype]:
        check_magnitude(rates, name, n_threads)


def check_magnitude(rates: NDArray, name: str, n_threads: Threads = None) -> None:
    """Refuse rates that are not finite, or too large to calculate with.

    Raises
    ------
    ValueError
        Names the first that is not.
    """
    if rates.dtype not in LARGEST_RATE:
        raise TypeError(f"{name} must be float32 or float64, got {rates.dtype}")
    if not rates.size:
        return
    largest = LARGEST_RATE[rates.dtype]
    low, high = _core.minmax(np.ascontiguousarray(rates), n_threads=n_threads)
    if -largest <= low and high <= largest:  # neither holds of NaN
        return
    k = tuple(int(i) for i in np.argwhere(~(np.abs(rates) <= largest))[0])
    wanted = f"at most {largest:g} in size" if np.isfinite(rates[k]) else "finite"
    raise ValueError(f"{name} must be {wanted}, but {name}[{', '.join(map(str, k))}] = {rates[k]}")


def check_norm(norm: NDArray, name: str) -> None:
    """Refuse an input if the norms ``(n, 1)`` of the vectors that a layer made of its rows overflowed.

    Raises
    ------
    ValueError
        Names the first row.
    """
    if not np.isfinite(norm).all():
        i = int(np.argmin(np.isfinite(norm[:, 0])))
        raise ValueError(f"{name} must be finite and not too far from what was learned, but row {i} is")
