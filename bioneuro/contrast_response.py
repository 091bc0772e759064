"""Contrast response of a retina: from the intensity of a pixel to a rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .checks import POSITIVE, check

__all__ = ["NakaRushton"]

#: Bounds of s^n: its square, in single precision, neither vanishes nor overflows.
SMALLEST_POWER, LARGEST_POWER = 1e-18, 1e18


@dataclass(frozen=True)
class NakaRushton:
    """``r(x) = x^n (1 + s^n) / (x^n + s^n)`` for ``0 <= x <= 1``: strictly increasing, from 0 to 1.

    Naka and Rushton's ``R = R_max c^n / (c^n + c_50^n)`` with ``c_50 = s``, scaled so that full contrast has the rate
    1. ``s = inf`` gives ``x^n``, so that ``n = 1, s = inf`` is the identity.

    Parameters
    ----------
    exponent : float
        n, > 0 and finite.
    semi_saturation : float
        s, > 0. ``s^n`` must lie in [1e-18, 1e18] where s is finite.

    References
    ----------
    Naka & Rushton 1966, S-potentials from luminosity units in the retina of fish (Cyprinidae), J. Physiol. 185,
    587-599.
    """

    exponent: float = 1.0
    semi_saturation: float = np.inf

    def __post_init__(self) -> None:
        check("exponent", self.exponent, POSITIVE)
        check("semi_saturation", self.semi_saturation, POSITIVE, np.inf)
        if not np.isinf(self.semi_saturation) and not (
            np.log(SMALLEST_POWER) <= self.exponent * np.log(self.semi_saturation) <= np.log(LARGEST_POWER)
        ):
            raise ValueError(
                f"semi_saturation ** exponent must lie in [{SMALLEST_POWER:g}, {LARGEST_POWER:g}], got "
                f"{self.semi_saturation} ** {self.exponent}"
            )

    def response(self, x: NDArray) -> NDArray:
        """Rates of intensities ``x`` >= 0, of any shape."""
        xn = x**self.exponent
        if np.isinf(self.semi_saturation):
            return xn
        sn = self.semi_saturation**self.exponent
        return xn * (1 + sn) / (xn + sn)

    def inverse(self, r: NDArray) -> NDArray:
        """The intensities whose :meth:`response` is ``r``, in [0, 1]."""
        if np.isinf(self.semi_saturation):
            return r ** (1 / self.exponent)
        # In double precision: in single, 1 - r + s^n is 0 at r = 1 from n = 24 on. But for rounding it is >= s^n. So
        # ordered, 1 - r is exact; 1 + s^n would round away most of a small s^n.
        wide, sn = np.asarray(r, np.float64), self.semi_saturation**self.exponent
        x = self.semi_saturation * (wide / np.maximum(1 - wide + sn, sn)) ** (1 / self.exponent)
        return x.astype(np.result_type(r, np.float32), copy=False)

    def slope(self, x: NDArray) -> NDArray:
        """Derivative of :meth:`response`; below exponent 1, where it is infinite at 0, that at the smallest number."""
        n = self.exponent
        if n < 1:
            x = np.maximum(x, np.finfo(x.dtype).tiny)
        if np.isinf(self.semi_saturation):
            return n * x ** (n - 1)
        sn = self.semi_saturation**n
        return n * x ** (n - 1) * sn * (1 + sn) / (x**n + sn) ** 2
