"""What stands between an image and a rival: nothing, the retina's contrast response, or a threshold."""

from __future__ import annotations

from collections.abc import Sized

import numpy as np
from numpy.typing import NDArray

from ..checks import POSITIVE_SHARE, check
from ..layers import Retina
from ..white_box import Front, Identity

__all__ = ["Threshold", "input_response"]


class Threshold:
    """``r(x) = 1`` where ``x >= threshold``, else 0: the binarised input of Schott et al. 2019 (arXiv 1805.09190).

    Its slope is 0 wherever it exists, which would stop every attack by gradients. So the slope here is 1 everywhere,
    straight-through (BPDA: Athalye, Carlini & Wagner 2018, arXiv 1802.00420), and the inverse of any R in [0, 1] is
    the nearer of the images 0 and 1: ``r(inverse(R)) = round(R)``. The Linf ball around x becomes the corners of the
    box ``[r(x - eps), r(x + eps)]``. An ascent may walk through the box: each of its points stands for a corner, which
    an image of the ball has: the inverse clipped to the ball.

    Parameters
    ----------
    threshold : float in (0, 1]
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = float(threshold)

    def response(self, X: NDArray) -> NDArray:
        return (X >= self.threshold).astype(X.dtype)

    def response_inverse(self, R: NDArray) -> NDArray:
        return (R >= 0.5).astype(R.dtype)

    def response_slope(self, X: NDArray) -> NDArray:
        return np.ones_like(X)


def input_response(contrast: tuple[float, float] | None = None, binarise: float | None = None) -> Front:
    """The response that an estimator's parameters ask for.

    Raises
    ------
    ValueError
        ``contrast`` is not two numbers > 0, ``binarise`` does not lie in (0, 1], or both are given.
    """
    two = isinstance(contrast, Sized) and len(contrast) == 2
    if contrast is not None and not (two and all(value > 0 for value in contrast)):
        raise ValueError(f"contrast must be None or (exponent, semi_saturation), both > 0, got {contrast!r}")
    check("binarise", binarise, POSITIVE_SHARE, None)
    if contrast is not None and binarise is not None:
        raise ValueError("contrast and binarise exclude each other: a binarised image has no contrast left to change")
    if binarise is not None:
        return Threshold(binarise)
    return Identity() if contrast is None else Retina(1, *contrast)
