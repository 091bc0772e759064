"""Retina: contrast response, ON and OFF patches, divisive normalisation."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._attributes import Count, ThreadCount
from ..checks import POSITIVE, Number, check, check_count, check_number
from ..contrast_response import NakaRushton
from ..threads import Threads
from .numeric_limits import GATE_EXPONENT


class Retina:
    """Images to ON/OFF patches, one for every pixel; nothing here is learned.

    ``r = x^n (1 + s^n) / (x^n + s^n)`` (Naka-Rushton), then for each zero-padded p x p patch of mean ``m``
    ``z = [(r - m)+, (m - r)+]``, ``U = z / (|z| + c0)`` and the gate ``g = |z|^m / (|z|^m + g0^m)``.

    Parameters
    ----------
    patch_size : int, default 7
        Side p of a patch in pixels, >= 1.
    exponent, semi_saturation : float, default 1 and inf
        n and s of the contrast response, > 0; the defaults are the identity.
    c0 : float, default 0.5
        Semi-saturation of the divisive normalisation, > 0.
    g0, gate_exponent : float, default 0.5 and 1
        Semi-saturation of the gate, > 0, and its steepness m, in (0, 8]. Patches whose contrast ``|z|`` is far below
        ``g0`` hardly pass, and less the steeper the gate.
    n_threads : int >= 1, "auto" or None
        Threads of the kernels; None takes the default of the machine.
    """

    SAVED: ClassVar = {
        "patch_size": Count(1),
        "exponent": POSITIVE,
        "semi_saturation": Number(0, ends="(]", infinite=True),
        "c0": POSITIVE,
        "g0": POSITIVE,
        "gate_exponent": GATE_EXPONENT,
        "n_threads": ThreadCount(),
    }

    def __init__(
        self,
        patch_size: int = 7,
        exponent: float = 1.0,
        semi_saturation: float = np.inf,
        c0: float = 0.5,
        g0: float = 0.5,
        gate_exponent: float = 1.0,
        n_threads: Threads = None,
    ) -> None:
        check_count("patch_size", patch_size)
        check_number("c0", c0, "> 0")
        check_number("g0", g0, "> 0")
        check("gate_exponent", gate_exponent, GATE_EXPONENT)
        self.patch_size = int(patch_size)
        self.exponent = float(exponent)
        self.semi_saturation = float(semi_saturation)
        self.c0, self.g0, self.gate_exponent = float(c0), float(g0), float(gate_exponent)
        self.n_threads = n_threads
        _ = self.contrast  # which checks exponent and semi_saturation

    @property
    def contrast(self) -> NakaRushton:
        """Contrast response of a pixel."""
        return NakaRushton(self.exponent, self.semi_saturation)

    def response(self, X: NDArray) -> NDArray:
        """Contrast response of intensities in [0, 1], any shape; strictly increasing, 0 -> 0 and 1 -> 1."""
        return self.contrast.response(X)

    def response_inverse(self, R: NDArray) -> NDArray:
        """The intensities whose :meth:`response` is ``R``."""
        return self.contrast.inverse(R)

    def response_slope(self, X: NDArray) -> NDArray:
        """Derivative of :meth:`response`."""
        return self.contrast.slope(X)

    @property
    def parameters(self) -> dict[str, Any]:
        """What the kernels ask of a retina."""
        return {
            "patch_size": self.patch_size,
            "c0": self.c0,
            "g0": self.g0,
            "gate_exponent": self.gate_exponent,
            "n_threads": self.n_threads,
        }

    def patches(self, R: NDArray) -> tuple[NDArray, NDArray]:
        """``(batch, height, width, channels)`` responses to ``U (positions, 2 p p channels)`` and ``g``."""
        return _core.patches(R, **self.parameters)

    def patches_grad(self, R: NDArray, dU: NDArray, dgate: NDArray) -> NDArray:
        """Gradient of :meth:`patches` with respect to ``R``."""
        return _core.patches_grad(R, dU, dgate, **self.parameters)
