"""Drawings of one size: centre of mass in the middle, spread brought to a given radius."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter

#: Intensity above which a pixel is part of the drawing, relative to the largest.
INK = 0.3
#: Width of the blur before pixels are left out, in pixels of the new image, and its least in the old ones'.
BLUR, LEAST_BLUR = 0.45, 0.5


def normalised(images: NDArray, side: int, radius: float, aspect: float) -> NDArray[np.float32]:
    """Move and magnify drawings, each by its own moments, on to squares of ``side`` pixels.

    With ``s_y``, ``s_x`` the standard deviations of the inked pixels and ``s = sqrt(s_y^2 + s_x^2)``, the spread down
    is brought to ``radius side`` by ``s^(1 - aspect) (sqrt(2) s_y)^aspect``, that across alike.

    Parameters
    ----------
    images : ndarray of shape (n, height, width)
        Ink is light.
    side : int >= 1
    radius : float > 0
        Root mean square distance of the ink from its centre, as a share of ``side``.
    aspect : float in [0, 1]
        0 keeps the proportions of a drawing, 1 makes all of them as wide as high.

    Returns
    -------
    ndarray of shape (n, side * side), float32
        In [0, 1], the largest pixel of each 1.

    Raises
    ------
    ValueError
        A blank image.
    """
    out = np.empty((len(images), side, side), np.float32)
    middle = np.full(2, (side - 1) / 2)
    for number, image in enumerate(images):
        points = inked(image)
        if not len(points):
            raise ValueError(f"X must have ink in every image, but X[{number}] is blank")
        centre = points.mean(axis=0)
        variance = points.var(axis=0) + 1.0  # a dot has a size, too
        spread = np.sqrt(variance.sum()) ** (1 - aspect) * np.sqrt(2 * variance) ** (aspect)
        step = spread / (radius * side)  # old pixels in a new one
        smooth = gaussian_filter(image.astype(np.float32), np.maximum(BLUR * step, LEAST_BLUR))
        drawn = affine_transform(smooth, step, centre - step * middle, output_shape=(side, side), order=1)
        out[number] = drawn / max(float(drawn.max()), np.finfo(np.float32).tiny)
    return out.reshape(len(images), -1)


def inked(image: NDArray) -> NDArray[np.intp]:
    """Rows and columns of the pixels of the drawing, (n, 2), in raster order."""
    return np.argwhere(image > INK * image.max())
