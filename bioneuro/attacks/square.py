"""Square attack: random search that sees only the logits, so masked gradients do not stop it.

Andriushchenko, Croce, Flammarion & Hein 2020, "Square Attack: a query-efficient black-box adversarial
attack via random search", arXiv 1912.00049; algorithms 1-3 there. Two changes: a window may touch the last
row and column, and it fits images that are not square (plain vectors are images one pixel wide).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..checks import POSITIVE_SHARE, check
from ..image_shapes import resolve_shape
from ..protocols import Classifier
from .random_search import Proposals, RandomSearch
from .sample_random import SampleRandom

__all__ = ["Square"]

#: Queries, of 10,000, after which the window's area is halved once more.
HALVINGS = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)


@dataclass(kw_only=True)
class Square(RandomSearch):
    """Score-based random search over square windows.

    A proposal is kept if it raises the margin loss ``max_{k != y} z_k - z_y``, with a target t ``z_t - max_{k != t}
    z_k``; a sample stops when that is positive, that is when the largest logit is not the true class's, or the
    target's.

    Parameters
    ----------
    n_queries : int >= 1
        Evaluations of the model a sample at most, the starting one included.
    p_init : float in (0, 1]
        Share of the image that the first windows cover; it shrinks on the paper's schedule.
    image_shape : (height, width) or (height, width, channels), optional
        How a row of X is an image, in C order. None takes ``model.image_shape_`` if there is one, else a
        square grey image if the number of features is a square, else a plain vector.
    norm, random_state
        See `Attack`.
    """

    p_init: float = 0.8
    image_shape: tuple[int, ...] | None = None

    sideways: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check("p_init", self.p_init, POSITIVE_SHARE)

    def proposals(self, model: Classifier, X: NDArray, epsilon: float, random: SampleRandom) -> Proposals:
        images = X.reshape(len(X), *resolve_shape(X.shape[1], self.image_shape, model))
        start, propose, n_uniform = (_stripes, _signs, 2) if self.norm == "linf" else (_tiles, _bumps, 5)
        best = start(images, epsilon, random)
        draws = random.uniform(self.n_queries * (n_uniform + images.shape[3])).reshape(len(X), self.n_queries, -1)
        return _Windows(images, best, epsilon, self.p_init, propose, draws)


class _Windows(Proposals):
    """`draws` (n, n_queries, k) are the random numbers of each query."""

    def __init__(
        self,
        images: NDArray,
        start: NDArray,
        epsilon: float,
        p_init: float,
        change: Callable[[NDArray, NDArray, float, float, NDArray], NDArray],
        draws: NDArray,
    ) -> None:
        self.images, self.epsilon, self.p_init, self.change, self.draws = images, epsilon, p_init, change, draws
        self.best = start.reshape(len(images), -1)

    def propose(self, rows: NDArray, progress: float) -> NDArray:
        images = self.images[rows]
        best, query = self.best[rows].reshape(images.shape), round(progress * self.draws.shape[1])
        share = _share(self.p_init, progress)
        return self.change(images, best, self.epsilon, share, self.draws[rows, query - 1]).reshape(len(rows), -1)


def _share(p_init: float, progress: float) -> float:
    """Share of the image that a window covers after `progress` in [0, 1] of the queries."""
    return p_init / 2 ** sum(progress * 10_000 > halving for halving in HALVINGS)


def _window_size(share: float, height: int, width: int) -> tuple[int, int]:
    """Sides of the window of this area nearest to a square."""
    area = share * height * width
    rows = int(np.clip(round(area**0.5), 1, height))
    return rows, int(np.clip(round(area / rows), 1, width))


def _corners(uniform: NDArray, size: tuple[int, int], shape: tuple[int, ...]) -> tuple[NDArray, NDArray]:
    """Top row and left column of windows that `uniform` (n, 2) places, every place being equally likely, (n,) each."""
    places = np.array([shape[1] - size[0] + 1, shape[2] - size[1] + 1])
    top, left = (uniform * places).astype(int).T
    return top, left


def _windows(uniform: NDArray, size: tuple[int, int], shape: tuple[int, ...]) -> tuple[NDArray, NDArray]:
    """Row and column of each pixel relative to its sample's window, (n, height, 1) and (n, 1, width)."""
    height, width = shape[1:3]
    top, left = _corners(uniform, size, shape)
    return np.arange(height)[:, None] - top[:, None, None], np.arange(width) - left[:, None, None]


def _inside(windows: tuple[NDArray, NDArray], size: tuple[int, int]) -> NDArray[np.bool_]:
    """Mask of the pixels in the window, (n, height, width, 1)."""
    rows, columns = windows
    within = (rows >= 0) & (rows < size[0]) & (columns >= 0) & (columns < size[1])
    return within[..., None]


def _random_signs(uniform: NDArray) -> NDArray:
    return np.where(uniform < 0.5, -1, 1)


# --- Linf: windows of +-epsilon ---


def _stripes(X: NDArray, epsilon: float, random: SampleRandom) -> NDArray:
    """Start: vertical stripes one pixel wide, each +epsilon or -epsilon."""
    n, _, width, channels = X.shape
    signs = _random_signs(random.uniform(width * channels)).reshape(n, 1, width, channels)
    return np.clip(X + epsilon * signs, 0, 1).astype(X.dtype)


def _signs(X: NDArray, best: NDArray, epsilon: float, share: float, uniform: NDArray) -> NDArray:
    """Proposal: in a random window, each channel all at +epsilon or all at -epsilon."""
    size = _window_size(share, *X.shape[1:3])
    top, left = _corners(uniform[:, :2], size, X.shape)
    samples, rows, columns = np.ogrid[: len(X), : size[0], : size[1]]
    window = samples, top[:, None, None] + rows, left[:, None, None] + columns
    there, epsilons = X[window], (epsilon * _random_signs(uniform[:, 2:])).astype(X.dtype)[:, None, None]
    proposed = np.clip(there + epsilons, 0, 1)
    # A proposal that changes nothing would waste the query; the paper draws again, the opposite signs do as
    # well.
    unchanged = (proposed == best[window]).all(axis=(1, 2, 3), keepdims=True)
    candidates = best.copy()
    candidates[window] = np.where(unchanged, np.clip(there - epsilons, 0, 1), proposed)
    return candidates


# --- L2: the budget is moved between windows ---


def _bump(height: int, width: int) -> NDArray:
    """Positive pattern that falls off from its centre: a sum of nested rectangles."""
    pattern = np.zeros((height, width))
    middle_row, middle_column = height // 2, width // 2
    for i in range(max(middle_row, middle_column) + 1):
        top, left = max(middle_row - i, 0), max(middle_column - i, 0)
        pattern[top : middle_row + i + 1, left : middle_column + i + 1] += 1 / (i + 1) ** 2
    return pattern


def _dipole(height: int, width: int) -> NDArray:
    """A positive bump above a negative one, each half of the squared length, total length 1."""
    halves = [_bump(height // 2, width), -_bump(height - height // 2, width)]
    pattern = np.vstack([half / max(np.linalg.norm(half), 1e-12) for half in halves])
    return pattern / np.linalg.norm(pattern)


def _length(delta: NDArray, axes: tuple[int, ...]) -> NDArray:
    """L2 length over `axes`, kept as axes of size 1."""
    return np.sqrt(np.square(delta, dtype=np.float64).sum(axis=axes, keepdims=True))


def _tiles(X: NDArray, epsilon: float, random: SampleRandom) -> NDArray:
    """Start: a 5 x 5 grid of dipoles with random signs, scaled to length epsilon."""
    n, height, width, channels = X.shape
    tile_height, tile_width = max(height // 5, 1), max(width // 5, 1)
    down, across = height // tile_height, width // tile_width
    signs = _random_signs(random.uniform(down * across * channels)).reshape(n, down, across, channels)
    signs = signs.repeat(tile_height, axis=1).repeat(tile_width, axis=2)
    grid = np.tile(_dipole(tile_height, tile_width), (down, across))
    delta = np.zeros(X.shape)
    delta[:, : grid.shape[0], : grid.shape[1]] = grid[..., None] * signs
    return np.clip(X + epsilon * delta / _length(delta, (1, 2, 3)), 0, 1).astype(X.dtype)


def _bumps(X: NDArray, best: NDArray, epsilon: float, share: float, uniform: NDArray) -> NDArray:
    """Proposal (algorithm 3): empty one window, spend its and any unused budget on a dipole in another."""
    n, height, width, channels = X.shape
    size = _odd_window_size(share, height, width)
    target = _windows(uniform[:, :2], size, X.shape)
    in_target, in_source = _inside(target, size), _inside(_windows(uniform[:, 2:4], size, X.shape), size)
    signs = _random_signs(uniform[:, 5:]).reshape(n, 1, 1, channels)

    dipole = _dipole(*size)
    patterns = np.stack([dipole, dipole.T if size[0] == size[1] else dipole])
    turned = (uniform[:, 4] < 0.5).astype(int)[:, None, None]
    within_rows, within_columns = (np.clip(w, 0, s - 1) for w, s in zip(target, size, strict=True))
    pattern = patterns[turned, within_rows, within_columns][..., None]

    delta = best.astype(np.float64) - X
    available = _length(delta * (in_target | in_source), (1, 2)) ** 2
    unused = np.maximum(epsilon**2 - _length(delta, (1, 2, 3)) ** 2, 0)
    old = delta / (1e-10 + _length(delta * in_target, (1, 2)))
    new = in_target * (signs * pattern + old)
    new *= np.sqrt(unused / channels + available) / np.maximum(_length(new, (1, 2)), 1e-12)
    delta = np.where(in_target, new, np.where(in_source, 0, delta))
    delta *= epsilon / np.maximum(_length(delta, (1, 2, 3)), 1e-12)
    return np.clip(X + delta, 0, 1).astype(X.dtype)


def _odd_window_size(share: float, height: int, width: int) -> tuple[int, int]:
    """As `_window_size`, but odd, and at least 3 if that leaves room: a smaller one holds no dipole."""

    def odd(side: int, room: int) -> int:
        least = 3 if room >= 5 else 1
        return min(max(side, least) | 1, room if room % 2 else max(room - 1, 1))

    rows, columns = _window_size(share, height, width)
    return odd(rows, height), odd(columns, width)
