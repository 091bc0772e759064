"""The functions behind `bioneuro.corruptions`, on batches of images (n, height, width, channels) in [0, 1].

Strengths that are lengths are shares of the longer side. Results may leave [0, 1]: who calls clips.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .attacks import SampleRandom

__all__ = [
    "Distortion",
    "Draws",
    "brightness",
    "contrast",
    "dotted_line",
    "fog",
    "gaussian_blur",
    "gaussian_noise",
    "glass_blur",
    "impulse_noise",
    "motion_blur",
    "occlusion",
    "rotate",
    "scale",
    "shear",
    "shot_noise",
    "stripe",
    "translate",
    "zigzag",
]


class Draws:
    """Random numbers for a batch of images, from a stream for each, shaped to act on (n, height, width, channels)."""

    def __init__(self, random: SampleRandom, shape: tuple[int, ...]) -> None:
        self._random, self._shape = random, shape

    def each(self, k: int) -> tuple[NDArray, ...]:
        """k numbers for each image, uniform in [0, 1), as k arrays (n, 1, 1, 1)."""
        return tuple(self._random.uniform(k).T[:, :, None, None, None])

    def signs(self, k: int) -> tuple[NDArray, ...]:
        """The same, of -1 and +1."""
        return tuple(np.where(uniform < 0.5, -1.0, 1.0) for uniform in self.each(k))

    def uniform(self) -> NDArray:
        """Uniform in [0, 1), (n, height, width, channels)."""
        return self._random.uniform(int(np.prod(self._shape[1:]))).reshape(self._shape)

    def normal(self) -> NDArray:
        return self._random.normal(int(np.prod(self._shape[1:]))).reshape(self._shape)


#: (images (n, height, width, channels) in [0, 1], strength, draws) -> images; what leaves [0, 1] is clipped later.
Distortion = Callable[[NDArray, float, Draws], NDArray]


# --- noise ---


def gaussian_noise(images: NDArray, deviation: float, draws: Draws) -> NDArray:
    """Added to each value."""
    return images + deviation * draws.normal()


def shot_noise(images: NDArray, deviation: float, draws: Draws) -> NDArray:
    """Photons counted: variance proportional to the value, here of a full one; the Poisson law's normal limit."""
    return images + deviation * np.sqrt(images) * draws.normal()


def impulse_noise(images: NDArray, share: float, draws: Draws) -> NDArray:
    """Salt and pepper: this share of the pixels, in all channels."""
    uniform = draws.uniform()[..., :1]
    return np.where(uniform < share / 2, 0, np.where(uniform < share, 1, images))


# --- blur ---


def gaussian_blur(images: NDArray, deviation: float, draws: Draws) -> NDArray:
    sigma = deviation * _side(images)
    return ndimage.gaussian_filter(images, (0, sigma, sigma, 0), mode="nearest")


def motion_blur(images: NDArray, length: float, draws: Draws) -> NDArray:
    """The mean of the image along a straight path of this length, in a random direction."""
    (turn,) = draws.each(1)
    angle, steps = np.pi * turn, np.linspace(-0.5, 0.5, 9)
    path = length * _side(images) * steps
    moved = [_moved(images, step * np.sin(angle), step * np.cos(angle)) for step in path]
    return np.mean(moved, axis=0)


def glass_blur(images: NDArray, reach: float, draws: Draws) -> NDArray:
    """Each pixel shows what lies up to `reach` from it."""
    pixels = reach * _side(images)
    down, across = (pixels * (2 * draws.uniform()[..., :1] - 1) for _ in range(2))
    return _moved(images, down, across)


# --- geometry ---


def translate(images: NDArray, shift: float, draws: Draws) -> NDArray:
    """In a random direction."""
    (turn,) = draws.each(1)
    pixels = shift * _side(images)
    return _moved(images, pixels * np.sin(2 * np.pi * turn), pixels * np.cos(2 * np.pi * turn))


def rotate(images: NDArray, degrees: float, draws: Draws) -> NDArray:
    """About the centre, one way or the other."""
    angle = np.deg2rad(degrees) * draws.signs(1)[0]
    cosine, sine = np.cos(angle), np.sin(angle)
    return _affine(images, cosine, -sine, sine, cosine)


def scale(images: NDArray, factor: float, draws: Draws) -> NDArray:
    """Shrunk or grown by the factor; a coin decides."""
    zoom = factor ** draws.signs(1)[0]
    zero = np.zeros_like(zoom)
    return _affine(images, zoom, zero, zero, zoom)


def shear(images: NDArray, slope: float, draws: Draws) -> NDArray:
    """Rows slide along each other, to one side or the other."""
    (sign,) = draws.signs(1)
    one, zero = np.ones_like(sign), np.zeros_like(sign)
    return _affine(images, one, slope * sign, zero, one)


# --- light ---


def brightness(images: NDArray, added: float, draws: Draws) -> NDArray:
    return images + added


def contrast(images: NDArray, share: float, draws: Draws) -> NDArray:
    """This share of each difference from the image's mean is left."""
    mean = images.mean(axis=(1, 2, 3), keepdims=True)
    return mean + share * (images - mean)


def fog(images: NDArray, density: float, draws: Draws) -> NDArray:
    """Smooth clouds, of three sizes, over the image; the image's contrast sinks as much."""
    clouds = np.zeros((*images.shape[:3], 1))
    for size in (0.25, 0.1, 0.04):
        sigma = size * _side(images)
        layer = ndimage.gaussian_filter(draws.normal()[..., :1], (0, sigma, sigma, 0), mode="wrap")
        clouds += size * layer / np.maximum(layer.std(axis=(1, 2), keepdims=True), 1e-12)
    low, high = clouds.min(axis=(1, 2), keepdims=True), clouds.max(axis=(1, 2), keepdims=True)
    clouds = (clouds - low) / np.maximum(high - low, 1e-12)
    return images * (1 - density / 2) + density * clouds


# --- things in front ---


def occlusion(images: NDArray, side: float, draws: Draws) -> NDArray:
    """A grey square at a random place inside."""
    down, across = draws.each(2)
    rows, columns = _grid(images)
    height, width = images.shape[1:3]
    size = max(round(side * _side(images)), 1)
    top, left = np.floor(down * max(height - size + 1, 1)), np.floor(across * max(width - size + 1, 1))
    inside = (rows >= top) & (rows < top + size) & (columns >= left) & (columns < left + size)
    return np.where(inside, 0.5, images)


def stripe(images: NDArray, width: float, draws: Draws) -> NDArray:
    """A band across the middle third, at a random slope, in which the image is inverted."""
    turn, place = draws.each(2)
    rows, columns = _grid(images)
    angle = np.pi * turn
    across = (columns - _middle(columns)) * np.cos(angle) + (rows - _middle(rows)) * np.sin(angle)
    inside = np.abs(across - (place - 0.5) * _side(images) / 3) < max(width * _side(images) / 2, 0.5)
    return np.where(inside, 1 - images, images)


def dotted_line(images: NDArray, thickness: float, draws: Draws) -> NDArray:
    """A white dotted line between two random points of opposite edges."""
    return _line(images, thickness, draws, swing=0.0, dots=6)


def zigzag(images: NDArray, thickness: float, draws: Draws) -> NDArray:
    """A white zigzag from one edge to the opposite one."""
    return _line(images, thickness, draws, swing=0.12, dots=0)


def _line(images: NDArray, thickness: float, draws: Draws, *, swing: float, dots: int) -> NDArray:
    """A curve from left to right, or from top to bottom, a coin decides; soft edges of one pixel."""
    start, end, coin = draws.each(3)
    rows, columns = (axis / max(axis.max(), 1) for axis in _grid(images))
    along, across = np.where(coin < 0.5, columns, rows), np.where(coin < 0.5, rows, columns)
    triangle = 4 * np.abs((3 * along) % 1 - 0.5) - 1
    distance = np.abs(across - (start + (end - start) * along + swing * triangle)) * _side(images)
    ink = np.clip(thickness * _side(images) / 2 + 0.5 - distance, 0, 1)
    if dots:
        ink = ink * ((dots * along) % 1 < 0.5)
    return np.maximum(images, ink)


# --- helpers ---


def _side(images: NDArray) -> int:
    return max(images.shape[1:3])


def _grid(images: NDArray) -> tuple[NDArray, NDArray]:
    """Row and column of each pixel, (1, height, 1, 1) and (1, 1, width, 1)."""
    height, width = images.shape[1:3]
    return np.arange(height, dtype=np.float64)[None, :, None, None], np.arange(width, dtype=np.float64)[
        None, None, :, None
    ]


def _middle(axis: NDArray) -> float:
    return float(axis.max()) / 2


def _affine(images: NDArray, a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> NDArray:
    """Images whose pixel at (x, y) from the centre shows what was at (a x + b y, c x + d y); entries (n, 1, 1, 1)."""
    rows, columns = _grid(images)
    down, across = rows - _middle(rows), columns - _middle(columns)
    source_across, source_down = a * across + b * down, c * across + d * down
    return _moved(images, source_down - down, source_across - across)


def _moved(images: NDArray, down: NDArray, across: NDArray) -> NDArray:
    """Each pixel shows what lies (down, across) pixels from it, linearly interpolated; beyond the edge, the edge."""
    rows, columns = _grid(images)
    shape = (*images.shape[:3], 1)
    row, column = np.broadcast_to(rows + down, shape)[..., 0], np.broadcast_to(columns + across, shape)[..., 0]
    moved = np.empty_like(images)
    for image, source, r, c in zip(moved, images, row, column, strict=True):
        for channel in range(images.shape[3]):
            ndimage.map_coordinates(source[..., channel], [r, c], output=image[..., channel], order=1, mode="nearest")
    return moved
