"""Images with the statistics of natural scenes, made here: dead leaves, and Gaussian noise of the same spectrum.

Photographs are not ours to ship, and carry no labels that this library could use. Leaves that hide one another have the
two properties that matter to a map of patches: a power spectrum that falls as 1 / f^2, and edges (Ruderman 1997). The
noise has the first without the second.
"""

from __future__ import annotations

from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, stats

from ..checks import check_count
from ..seeds import generator_from

__all__ = ["dead_leaves", "gaussian_twin", "spectral_slope"]

#: Points along each side of a pixel whose mean it is: edges are smooth, as behind a lens.
SUBPIXELS = 2
#: Leaves laid at a time; what they leave open decides whether there are more.
LEAVES = 256
#: Standard deviation of the gray levels of noise: the interval [0, 1] is five of them.
NOISE_SD = 0.2
#: Points of the table from which radii are drawn.
N_RADII = 1024


def _check_shape(shape: tuple[int, int]) -> tuple[int, int]:
    if len(shape) != 2 or not all(isinstance(side, Integral) and side >= 1 for side in shape):
        raise ValueError(f"shape must be (height, width), both integers >= 1, got {shape}")
    return int(shape[0]), int(shape[1])


def _images(X: ArrayLike, shape: tuple[int, int]) -> NDArray[np.float64]:
    height, width = _check_shape(shape)
    X = np.asarray(X, np.float64)
    if X.ndim != 2 or not len(X) or X.shape[1] != height * width:
        raise ValueError(f"X must be (n, {height * width}) for {height} x {width} images, n >= 1, got {X.shape}")
    if not np.isfinite(X).all():
        raise ValueError("X must be finite")
    return X.reshape(-1, height, width)


def dead_leaves(
    n: int,
    shape: tuple[int, int] = (28, 28),
    *,
    radii: tuple[float, float] | None = None,
    random_state: int | np.random.Generator | None = None,
) -> NDArray[np.float32]:
    """Images of discs that hide one another, the dead leaves model.

    Discs of radius density ``~ r^-3`` and of gray levels uniform in [0, 1] fall everywhere in the plane, until no
    ground is seen. The exponent is the one that makes images look the same at every scale, as natural scenes do
    [1]_, [2]_.

    Parameters
    ----------
    n : int >= 1
        Images.
    shape : (height, width), default (28, 28)
        In pixels.
    radii : (smallest, largest), optional
        In pixels, ``0 < smallest < largest``; default 1 and the longer side.
    random_state : int, Generator or None

    Returns
    -------
    ndarray (n, height * width), float32
        Intensities in [0, 1], a row an image in C order. An image depends on those before it only by the generator:
        the first images of a larger ``n`` are the same.

    Raises
    ------
    ValueError
        ``n`` or ``shape`` below 1, or radii that are not ``0 < smallest < largest``.

    References
    ----------
    .. [1] D. L. Ruderman, Vision Research 37:3385 (1997).
    .. [2] A. B. Lee, D. Mumford & J. Huang, Int. J. Computer Vision 41:35 (2001).
    """
    height, width = _check_shape(shape)
    check_count("n", n)
    low, high = map(float, (1, max(2, height, width)) if radii is None else radii)
    if not 0 < low < high < np.inf:
        raise ValueError(f"radii must be (smallest, largest) with 0 < smallest < largest, got {radii}")
    rng = generator_from(random_state)
    # Of the discs of the plane those within r of the image matter; their radii are drawn as r^-3 (h + 2r)(w + 2r).
    r = np.geomspace(low, high, N_RADII)
    density = r**-3 * (height + 2 * r) * (width + 2 * r)
    share = np.concatenate([[0], np.cumsum((density[1:] + density[:-1]) / 2 * np.diff(r))])
    share /= share[-1]
    y, x = (((np.indices((height * SUBPIXELS, width * SUBPIXELS)) + 0.5) / SUBPIXELS).reshape(2, -1)).astype(np.float32)
    X = np.empty((n, height * width), np.float32)
    for image in X:
        gray = np.empty(y.size, np.float32)
        is_open = np.arange(y.size)
        while is_open.size:  # from the top leaf down: a point has the gray of the first that covers it
            radius = np.interp(rng.random(LEAVES), share, r)
            cy, cx = (rng.uniform(-radius, side + radius) for side in (height, width))
            level = rng.random(LEAVES, np.float32)
            d2 = (y[is_open] - cy[:, None].astype(np.float32)) ** 2 + (x[is_open] - cx[:, None].astype(np.float32)) ** 2
            covers = d2 < (radius[:, None] ** 2).astype(np.float32)
            covered = covers.any(axis=0)
            gray[is_open[covered]] = level[covers[:, covered].argmax(axis=0)]
            is_open = is_open[~covered]
        points = gray.reshape(height, SUBPIXELS, width, SUBPIXELS)
        image[:] = points.mean(axis=(1, 3)).ravel()
    return X


def _power(images: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean power spectrum of images around their common mean, under a Hann window (no leakage from the borders)."""
    if np.ptp(images) == 0:
        raise ValueError("X is constant: it has no spectrum")
    height, width = images.shape[1:]
    window = np.outer(np.hanning(height + 2)[1:-1], np.hanning(width + 2)[1:-1])
    spectra = fft.fft2((images - images.mean()) * window)
    return np.mean(np.abs(spectra) ** 2, axis=0)


def gaussian_twin(
    X: ArrayLike, shape: tuple[int, int], *, random_state: int | np.random.Generator | None = None
) -> NDArray[np.float32]:
    """Gaussian noise with the spectrum of images, but with random phases: it has no edges.

    Fields of the images' mean power spectrum (Hann window), scaled to mean 0.5 and standard deviation 0.2; the one
    value in eighty that is then outside [0, 1] is clipped. Gray levels are not those of the images on purpose: levels
    far from normal, put on noise by rank or by a steep contrast response, cut it into areas with edges.

    Parameters
    ----------
    X : array_like (n, height * width)
        Images, or what a retina makes of them.
    shape : (height, width)
    random_state : int, Generator or None

    Returns
    -------
    ndarray (n, height * width), float32
        In [0, 1].
    """
    images = _images(X, shape)
    rng = generator_from(random_state)
    noise = fft.ifft2(fft.fft2(rng.standard_normal(images.shape)) * np.sqrt(_power(images))).real
    noise -= noise.mean()
    noise *= NOISE_SD / noise.std()
    return np.clip(0.5 + noise, 0, 1).astype(np.float32).reshape(len(images), -1)


def spectral_slope(X: ArrayLike, shape: tuple[int, int]) -> float:
    """Exponent of the power spectrum against frequency: about -2 in natural scenes (Field 1987), 0 in white noise.

    The slope of log mean power on log frequency over all orientations, between two cycles an image (below, the window
    blurs) and half the highest frequency along the shorter side (above, pixels do).

    Parameters
    ----------
    X : array_like (n, height * width)
        Images.
    shape : (height, width)
        Both at least 16 pixels.
    """
    images = _images(X, shape)
    if min(shape) < 16:
        raise ValueError(f"shape must be at least 16 x 16 for a slope, got {shape}")
    power = _power(images)
    f = np.hypot(*np.meshgrid(*map(fft.fftfreq, shape), indexing="ij"))
    used = (f >= 2 / min(shape)) & (f <= 0.25)
    return float(stats.linregress(np.log(f[used]), np.log(power[used])).slope)
