"""Builders of pathways: who is connected to whom, and with what weights at the start.

A builder draws a pattern, an initialiser the size of each synapse. Initialisers are called as ``init(rng, n)`` and
give ``n`` float64 weights; a builder takes one, or its name in :data:`INITIALISERS` for the default parameters. A new
initialiser is a class (or a function) plus one line there. No builder holds a dense (n_post, n_pre) array.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy.spatial.distance import cdist

from .checks import POSITIVE_SHARE, check, check_count, check_number, plain_array
from .image_shapes import with_channels
from .seeds import random_state_from
from .synapses import Sign, Synapses

__all__ = [
    "INITIALISERS", "Constant", "HalfNormal", "Init", "LogNormal", "MixedSign", "RandomState", "Uniform", "dealt",
    "dense", "distance_dependent", "generator", "local_receptive_fields", "random",
]  # fmt: skip

Init: TypeAlias = str | Callable[[np.random.Generator, int], NDArray[np.float64]]
RandomState: TypeAlias = int | np.random.RandomState | np.random.Generator | None

#: Most pairs of cells that distance_dependent looks at together (32 MB of distances).
_PAIRS_AT_ONCE = 1 << 22


def generator(random_state: RandomState) -> np.random.Generator:
    """A Generator as it is, or a new one keyed by an integer or a RandomState (None: NumPy's global one).

    Parameters
    ----------
    random_state : int, RandomState, Generator or None

    Returns
    -------
    Generator
    """
    if isinstance(random_state, np.random.Generator):
        return random_state
    return np.random.default_rng(random_state_from(random_state).randint(2**31, size=4))


# --- initialisers ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Uniform:
    """Uniform on [low, high).

    Parameters
    ----------
    low, high : float
        low <= high.
    """

    low: float = 0.01
    high: float = 0.1

    def __post_init__(self) -> None:
        _require(self.low <= self.high, f"low must be <= high, got {self.low} and {self.high}")

    def __call__(self, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        return rng.uniform(self.low, self.high, n)


@dataclass(frozen=True)
class HalfNormal:
    """``|N(0, scale^2)|``, mean ``scale sqrt(2 / pi)``.

    Parameters
    ----------
    scale : float > 0
    """

    scale: float = 0.07

    def __post_init__(self) -> None:
        check_number("scale", self.scale, "> 0")

    def __call__(self, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        return np.abs(rng.normal(0.0, self.scale, n))


@dataclass(frozen=True)
class LogNormal:
    """``exp N(mu, sigma^2)``; the defaults are those of cortex, in mV (Song et al. 2005).

    Parameters
    ----------
    mu : float
    sigma : float >= 0
    """

    mu: float = -0.702
    sigma: float = 0.9355

    def __post_init__(self) -> None:
        check_number("sigma", self.sigma, ">= 0")

    def __call__(self, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        return rng.lognormal(self.mu, self.sigma, n)


@dataclass(frozen=True)
class Constant:
    """The same weight everywhere.

    Parameters
    ----------
    value : float
    """

    value: float = 0.1

    def __call__(self, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        return np.full(n, float(self.value))


@dataclass(frozen=True)
class MixedSign:
    """Sizes from ``base``, each synapse + or - with equal probability: a start without Dale's law.

    Parameters
    ----------
    base : str or function of (rng, n)
        Another initialiser.
    """

    base: Init = "uniform"

    def __call__(self, rng: np.random.Generator, n: int) -> NDArray[np.float64]:
        sizes = initialiser(self.base)(rng, n)
        return np.where(rng.integers(0, 2, n, dtype=np.int8), sizes, -sizes)


INITIALISERS: dict[str, Callable[[], Callable[[np.random.Generator, int], NDArray[np.float64]]]] = {
    "uniform": Uniform,
    "half_normal": HalfNormal,
    "lognormal": LogNormal,
    "constant": Constant,
    "mixed_sign": MixedSign,
}


def initialiser(init: Init) -> Callable[[np.random.Generator, int], NDArray[np.float64]]:
    if callable(init):
        return init
    if not isinstance(init, str) or init not in INITIALISERS:
        raise ValueError(f"unknown initialiser {init!r}; choose one of {', '.join(INITIALISERS)}, or pass a callable")
    return INITIALISERS[init]()


# --- builders ----------------------------------------------------------------------------------------------


def dense(
    n_post: int,
    n_pre: int,
    init: Init = "uniform",
    *,
    sign: Sign = "mixed",
    random_state: RandomState = None,
    dtype: DTypeLike = np.float32,
) -> Synapses:
    """Every pre-synaptic cell onto every post-synaptic cell.

    Parameters
    ----------
    n_post, n_pre : int >= 1
    init : str or callable
        Name in :data:`INITIALISERS`, or ``init(rng, n)`` giving n weights.
    sign : {"mixed", "E", "I"}
        Of the pathway; for "I" the initialiser gives sizes, which are negated.
    random_state : int, RandomState, Generator or None
    dtype : float32 or float64

    Returns
    -------
    Synapses

    Raises
    ------
    ValueError
        Sizes below 1, unknown initialiser, or weights that break the sign.
    TypeError
        Another dtype.
    """
    _check_sizes(n_post, n_pre)
    rows = np.full(n_post, n_pre)
    return _pathway(rows, np.tile(np.arange(n_pre), n_post), n_pre, init, sign, generator(random_state), dtype)


def random(
    n_post: int,
    n_pre: int,
    *,
    density: float | None = None,
    in_degree: int | None = None,
    init: Init = "uniform",
    sign: Sign = "mixed",
    random_state: RandomState = None,
    dtype: DTypeLike = np.float32,
) -> Synapses:
    """Random connections: each with the same probability, or the same number onto every cell.

    Parameters
    ----------
    n_post, n_pre : int >= 1
    density : float in (0, 1]
        Probability of each synapse, independently. Give this or ``in_degree``.
    in_degree : int in [1, n_pre]
        Number of synapses onto each post-synaptic cell, drawn without replacement.
    init, sign, random_state, dtype
        As in :func:`dense`.

    Returns
    -------
    Synapses

    Raises
    ------
    ValueError
        Both or neither of ``density`` and ``in_degree``, one of them out of range, or as in :func:`dense`.
    """
    _check_sizes(n_post, n_pre)
    _require((density is None) != (in_degree is None), "give density or in_degree: one of the two")
    rng = generator(random_state)
    if density is not None:
        check("density", density, POSITIVE_SHARE)
        row, columns = np.divmod(_bernoulli(n_post * n_pre, density, rng), n_pre)
        rows = np.bincount(row, minlength=n_post)
    elif in_degree is not None:
        check_count("in_degree", in_degree, 1, n_pre)
        rows = np.full(n_post, in_degree)
        drawn = [rng.choice(n_pre, in_degree, replace=False, shuffle=False) for _ in range(n_post)]
        columns = np.sort(np.stack(drawn), axis=1).ravel()
    return _pathway(rows, columns, n_pre, init, sign, rng, dtype)


def dealt(
    n_post: int,
    n_pre: int,
    init: Init = "uniform",
    *,
    sign: Sign = "mixed",
    random_state: RandomState = None,
    dtype: DTypeLike = np.float32,
) -> Synapses:
    """Every pre-synaptic cell onto one post-synaptic cell, dealt at random: no cell of either side goes without.

    Parameters
    ----------
    n_post : int in [1, n_pre]
        Each of these cells gets ``n_pre / n_post`` synapses, rounded down or up.
    n_pre : int >= 1
    init, sign, random_state, dtype
        As in :func:`dense`.

    Returns
    -------
    Synapses

    Raises
    ------
    ValueError
        More post- than pre-synaptic cells, or as in :func:`dense`.
    """
    check_count("n_pre", n_pre)
    check_count("n_post", n_post, 1, n_pre)
    rng = generator(random_state)
    post, columns = np.arange(n_pre) * n_post // n_pre, rng.permutation(n_pre)
    return _pathway(np.bincount(post), columns[np.lexsort((columns, post))], n_pre, init, sign, rng, dtype)


def local_receptive_fields(
    image_shape: tuple[int, ...],
    field: int,
    stride: int = 1,
    n_cells: int = 1,
    *,
    init: Init = "uniform",
    sign: Sign = "mixed",
    random_state: RandomState = None,
    dtype: DTypeLike = np.float32,
) -> Synapses:
    """Cells that each see one square window of an image, all channels.

    Parameters
    ----------
    image_shape : (height, width) or (height, width, channels)
        Pre-synaptic cells are the pixels in C order.
    field : int in [1, min(height, width)]
        Side of the window; windows lie wholly inside the image.
    stride : int >= 1
        Step from one window to the next; pixels beyond the last whole step are seen by no cell.
    n_cells : int >= 1
        Cells for each window. Post-synaptic cells are in (window row, window column, cell) order.
    init, sign, random_state, dtype
        As in :func:`dense`.

    Returns
    -------
    Synapses
        ``((height - field) // stride + 1) * ((width - field) // stride + 1) * n_cells`` rows of
        ``field * field * channels`` synapses.

    Raises
    ------
    ValueError
        A size out of range, or as in :func:`dense`.
    """
    _require(
        len(image_shape) in (2, 3) and min(image_shape) >= 1,
        f"image_shape must be (height, width) or (height, width, channels), all >= 1, got {image_shape}",
    )
    height, width, channels = with_channels(image_shape)
    check_count("field", field, 1, min(height, width))
    check_count("stride", stride)
    check_count("n_cells", n_cells)
    pixel = np.arange(height * width * channels).reshape(height, width, channels)
    corners = pixel[: height - field + 1 : stride, : width - field + 1 : stride, 0]
    columns = np.repeat(corners.ravel(), n_cells)[:, None] + pixel[:field, :field].ravel()
    rows = np.full(len(columns), columns.shape[1])
    return _pathway(rows, columns.ravel(), pixel.size, init, sign, generator(random_state), dtype)


def distance_dependent(
    post_positions: ArrayLike,
    pre_positions: ArrayLike,
    length_scale: float,
    max_probability: float = 1.0,
    *,
    init: Init = "uniform",
    sign: Sign = "mixed",
    random_state: RandomState = None,
    dtype: DTypeLike = np.float32,
) -> Synapses:
    """Connections that grow rare with distance: probability ``p exp(-d^2 / (2 l^2))``, independently for each pair.

    Parameters
    ----------
    post_positions : array-like of shape (n_post, n_dimensions)
    pre_positions : array-like of shape (n_pre, n_dimensions)
    length_scale : float > 0
        ``l``, in the unit of the positions.
    max_probability : float in (0, 1]
        ``p``, the probability at distance 0.
    init, sign, random_state, dtype
        As in :func:`dense`.

    Returns
    -------
    Synapses

    Raises
    ------
    ValueError
        Positions that are not finite (n, n_dimensions) arrays of one dimensionality, a parameter out of range, or as
        in :func:`dense`.
    """
    post, pre = np.asarray(post_positions, float), np.asarray(pre_positions, float)
    for positions, name in (post, "post_positions"), (pre, "pre_positions"):
        _require(
            positions.ndim == 2 and positions.size > 0 and bool(np.isfinite(positions).all()),
            f"{name} must be a finite array of shape (n, n_dimensions), got shape {positions.shape}",
        )
    _require(
        post.shape[1] == pre.shape[1],
        f"post_positions and pre_positions must share n_dimensions, got {post.shape[1]} and {pre.shape[1]}",
    )
    check_number("length_scale", length_scale, "> 0")
    check("max_probability", max_probability, POSITIVE_SHARE)
    rng = generator(random_state)
    step = max(1, _PAIRS_AT_ONCE // len(pre))
    rows, columns = [], []
    for begin in range(0, len(post), step):
        squared = cdist(post[begin : begin + step], pre, "sqeuclidean")
        connected = rng.random(squared.shape) < max_probability * np.exp(-squared / (2 * length_scale**2))
        rows.append(connected.sum(axis=1))
        columns.append(np.nonzero(connected)[1])
    return _pathway(np.concatenate(rows), np.concatenate(columns), len(pre), init, sign, rng, dtype)


def _pathway(
    row_sizes: NDArray,
    columns: NDArray,
    n_pre: int,
    init: Init,
    sign: Sign,
    rng: np.random.Generator,
    dtype: DTypeLike,
) -> Synapses:
    """A pathway with ``row_sizes[i]`` synapses onto cell i, from ``columns`` (row by row, sorted)."""
    index = np.int32 if max(len(columns), n_pre) <= np.iinfo(np.int32).max else np.int64
    indptr = np.zeros(len(row_sizes) + 1, index)
    np.cumsum(row_sizes, out=indptr[1:])
    weights = np.array(plain_array(initialiser(init)(rng, len(columns)), "what init returns", dtype))  # its own
    return Synapses.of_fresh(indptr, columns.astype(index), -weights if sign == "I" else weights, n_pre, sign)


def _bernoulli(n: int, p: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Sorted successes among n independent trials, in O(n p): the gaps between them are geometric."""
    expected = n * p
    size = int(expected + 6 * np.sqrt(expected) + 10)
    found, last = [], -1
    while last < n:
        # A gap longer than n ends the search all the same; the cut keeps the sum from overflowing.
        found.append(last + np.cumsum(np.minimum(rng.geometric(p, size), n + 1)))
        last = int(found[-1][-1])
    positions = np.concatenate(found)
    return positions[: np.searchsorted(positions, n)]


def _check_sizes(n_post: int, n_pre: int) -> None:
    check_count("n_post", n_post)
    check_count("n_pre", n_pre)


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)
