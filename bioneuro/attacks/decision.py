"""Decision-based attacks: they see nothing but the predicted label, so no masking of gradients or scores stops them.

Each looks for the adversarial image nearest to the sample and stops as soon as one lies inside the budget: `RayS` in
Linf, `CGBA` in L2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from ..checks import check_count
from ..image_shapes import resolve_shape
from ..protocols import Classifier
from .answers import predict
from .base import Attack
from .goals import Goal
from .norms import L2
from .sample_random import SampleRandom

__all__ = ["CGBA", "RayS"]

#: Images made and given to the model at once.
CHUNK = 4096
#: Noisy images, besides the six fixed ones, that are tried as starts.
NOISY_STARTS = 10
#: Halvings of the way to each start, and of the way between two later points.
COARSE, FINE = 5, 10
#: Least number of queries: what the starts can cost.
LEAST_QUERIES = 128
#: Linf: precision of a radius, in the pixels' range [0, 1].
RESOLUTION = 1e-3
#: L2: length of a probe relative to the distance so far; probes of the first normal, of which the t-th takes sqrt(t)
#: times as many; weight of the normals before. Chosen on MNIST training images (an MLP, plain and quantised).
PROBE, FIRST_PROBES, MEMORY = 0.2, 30, 0.7
#: L2: three of four probes are smoothed by a Gaussian of this deviation, relative to the image's longer side.
SMOOTHING = 1 / 28


@dataclass(kw_only=True)
class _Decision(Attack):
    n_queries: int = 1000

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("n_queries", self.n_queries, LEAST_QUERIES)


@dataclass(kw_only=True)
class RayS(_Decision):
    """Search over the corners of the cube for the direction in which the boundary is nearest.

    Chen & Gu 2020, "RayS: a ray searching method for hard-label adversarial attack", arXiv 2006.12792. A direction
    gives each feature a sign. Blocks of neighbouring features, first all of them, then halves, quarters and so on, are
    flipped in turn; a flip is kept if the image stays adversarial a little nearer, and the nearest such image in the
    new direction is looked for. Two changes: the search begins at the best of several directions, and it moves inward
    in growing steps before it halves, since most flips gain little.

    Parameters
    ----------
    n_queries : int >= 128
        Predictions of a sample at most.
    norm : {"linf"}
    random_state
        See `Attack`.
    """

    norms: ClassVar[tuple[str, ...]] = ("linf",)

    def run(self, model: Classifier, X: NDArray, goal: Goal, epsilon: float, random: SampleRandom) -> NDArray:
        oracle, features = _Oracle(model, X, goal, self.n_queries), X.shape[1]
        signs = _directions(oracle.X, _starts(oracle.X, random))
        chosen, radius, found = _nearest(oracle, signs, np.ones(signs.shape[:2]))
        sign = signs[np.arange(len(X)), chosen]
        blocks, block = 1, 0
        while (alive := np.flatnonzero(((radius > epsilon) | ~found) & (oracle.left > 0))).size:
            first, end = features * block // blocks, features * (block + 1) // blocks
            flipped = sign[alive].copy()
            flipped[:, first:end] *= -1
            nearer = np.where(found[alive], np.maximum(radius[alive] - RESOLUTION, epsilon), radius[alive])
            better = oracle.on_ray(flipped, nearer, alive)
            rows = alive[better]
            sign[rows], found[rows] = flipped[better], True
            radius[rows] = _inward(oracle, flipped[better], nearer[better], epsilon, rows)
            block += 1
            if block == blocks:
                blocks, block = 2 * blocks if blocks < features else 1, 0
        adversarial = oracle.X + np.where(found, radius, 0)[:, None] * sign
        return np.clip(adversarial, 0, 1).astype(X.dtype)


@dataclass(kw_only=True)
class CGBA(_Decision):
    """Walk along the boundary towards the sample, on arcs in the plane of the boundary's normal.

    Reza, Rahmati, Wu & Dai 2023, "CGBA: Curvature-aware geometric black-box attack" (ICCV). With x the sample and b the
    boundary point so far, the nearest point to x of a flat boundary lies on the semicircle over the segment from x to
    b, in the plane of that segment and the normal at b (Thales); the last adversarial point of the arc is found by
    bisection. The normal is estimated as in HopSkipJump (Chen, Jordan & Wainwright 2020, arXiv 1904.02144), by the mean
    of probes around b weighted by their labels. Two changes: most probes are smooth, as the normals of models of
    images tend to be (Li et al. 2020, "QEBA", CVPR), and a normal keeps a part of those before it.

    Parameters
    ----------
    n_queries : int >= 128
        Predictions of a sample at most.
    image_shape : (height, width) or (height, width, channels), optional
        See `Square`. Plain vectors get no smooth probes.
    norm : {"l2"}
    random_state
        See `Attack`.

    Notes
    -----
    A sample for which no start meets the criterion, as may be with targets, is given back as it is.
    """

    norm: str = "l2"
    image_shape: tuple[int, ...] | None = None

    norms: ClassVar[tuple[str, ...]] = ("l2",)

    def run(self, model: Classifier, X: NDArray, goal: Goal, epsilon: float, random: SampleRandom) -> NDArray:
        shape = resolve_shape(X.shape[1], self.image_shape, model)
        oracle = _Oracle(model, X, goal, self.n_queries)
        best, alive = self._start(oracle, random)
        normal, step = np.zeros_like(best), 0
        inside = epsilon * (1 - 1e-6)  # rounding to X's dtype must not lead out again
        while True:
            step += 1
            probes = int(FIRST_PROBES * np.sqrt(step))
            alive = alive[(L2.distance(best - oracle.X)[alive] > inside) & (oracle.left[alive] >= probes + FINE)]
            if not alive.size:
                return best.astype(X.dtype)
            for rows in np.array_split(alive, -(-alive.size * probes // CHUNK)):
                normal[rows] = MEMORY * normal[rows] + _normal(oracle, best[rows], probes, shape, random, rows)
            normal[alive] = L2.steepest(normal[alive])
            best[alive] = _arc(oracle, best[alive], normal[alive], alive)

    def _start(self, oracle: _Oracle, random: SampleRandom) -> tuple[NDArray, NDArray]:
        """Boundary points (n, features), X itself where no start was found, and the rows where one was."""
        rays = _starts(oracle.X, random) - oracle.X[:, None]
        chosen, share, found = _nearest(oracle, rays, np.linalg.norm(rays, axis=2))
        rows, best = np.flatnonzero(found), oracle.X.copy()
        ray = rays[rows, chosen[rows]]
        low = np.maximum(share[rows] - 1 / 2**COARSE, 0)
        fine = _bisect(lambda t: oracle.on_ray(ray, t, rows), low, share[rows], FINE - COARSE)
        best[rows] += fine[:, None] * ray
        return np.clip(best, 0, 1), rows


class _Oracle:
    """Answers "does this image reach the goal?" for the samples of one batch, and counts what was asked."""

    def __init__(self, model: Classifier, X: NDArray, goal: Goal, n_queries: int) -> None:
        self.model, self.goal, self.dtype = model, goal, X.dtype
        self.X = X.astype(np.float64)
        self.left = np.full(len(X), n_queries)

    def reached(self, images: NDArray, rows: NDArray) -> NDArray[np.bool_]:
        """(m,) for images (m, features), clipped to [0, 1], of the samples `rows`, of which one may come often."""
        labels = [
            predict(self.model, np.clip(images[i : i + CHUNK], 0, 1).astype(self.dtype))
            for i in range(0, len(images), CHUNK)
        ]
        np.subtract.at(self.left, rows, 1)
        return self.goal[rows].is_adversarial(np.concatenate(labels)) if labels else np.zeros(0, bool)

    def on_ray(self, ray: NDArray, length: NDArray, rows: NDArray) -> NDArray[np.bool_]:
        """The same of the images ``X[rows] + length * ray``."""
        return self.reached(self.X[rows] + length[:, None] * ray, rows)


def _bisect(reached: Callable[[NDArray], NDArray], no: NDArray, yes: NDArray, halvings: int) -> NDArray:
    """The last parameters that reached, between those that do not and those that do."""
    for _ in range(halvings):
        middle = (no + yes) / 2
        answer = reached(middle)
        no, yes = np.where(answer, no, middle), np.where(answer, middle, yes)
    return yes


# --- starts ---


def _starts(X: NDArray, random: SampleRandom) -> NDArray:
    """Images of any class, (n, k, features): flat, inverted and turned ones; noise, black and white noise, bands."""
    features = X.shape[1]
    fixed = [np.zeros_like(X), np.ones_like(X), np.full_like(X, 0.5), 1 - X, X[:, ::-1], 1 - X[:, ::-1]]
    noisy = list(random.uniform(NOISY_STARTS * features).reshape(len(X), NOISY_STARTS, features).swapaxes(0, 1))
    for i in range(1, NOISY_STARTS, 3):  # of another density each
        noisy[i] = (noisy[i] < (i + 1) / (NOISY_STARTS + 2)).astype(np.float64)
    for i in range(2, NOISY_STARTS, 3):  # of a quarter, an eighth, ... of the features
        width = max(features // 2 ** (2 + i // 3), 1)
        noisy[i] = np.round(noisy[i][:, np.arange(features) // width])
    return np.stack([*fixed, *noisy], axis=1)


def _directions(X: NDArray, images: NDArray) -> NDArray:
    """Signs (n, k, features) of the ways to the images; a feature that is there already goes no further."""
    X = X[:, None]
    return np.where(images == X, np.where(X < 0.5, -1, 1), np.sign(images - X)).astype(np.int8)


def _nearest(oracle: _Oracle, rays: NDArray, lengths: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Of each sample's rays, given by their ends (n, k, features), the one that turns adversarial nearest to X.

    Returns its index, the share of it to go, and whether there is one (else 0, 1, False), each (n,). `lengths` (n, k)
    are those of the rays.
    """
    n, k, _ = rays.shape
    every = np.arange(n).repeat(k)
    reached = oracle.on_ray(rays.reshape(n * k, -1), np.ones(n * k), every).reshape(n, k)
    sample, which = np.nonzero(reached)
    found = rays[sample, which]
    ends = np.ones(len(sample))
    shares = np.ones((n, k))
    shares[sample, which] = _bisect(lambda t: oracle.on_ray(found, t, sample), 0 * ends, ends, COARSE)
    chosen = np.where(reached, shares * lengths, np.inf).argmin(axis=1)
    return chosen, shares[np.arange(n), chosen], np.asarray(reached.any(axis=1))


# --- Linf ---


def _inward(oracle: _Oracle, sign: NDArray, radius: NDArray, epsilon: float, rows: NDArray) -> NDArray:
    """Smaller radii (m,) at which the directions still reach, down to epsilon or while there are queries left."""
    no, yes, step = np.zeros_like(radius), radius.copy(), 4 * RESOLUTION

    def try_at(trial: NDArray, some: NDArray) -> NDArray:
        answer = oracle.on_ray(sign[some], trial, rows[some])
        yes[some[answer]], no[some[~answer]] = trial[answer], trial[~answer]
        return answer

    def unfinished(some: NDArray) -> NDArray:
        return some[(yes[some] > epsilon) & (yes[some] - no[some] > RESOLUTION) & (oracle.left[rows[some]] > 0)]

    growing = unfinished(np.arange(len(rows)))
    while growing.size:
        growing = unfinished(growing[try_at(np.maximum(yes[growing] - step, epsilon), growing)])
        step *= 2
    halving = unfinished(np.arange(len(rows)))
    while halving.size:
        try_at((no[halving] + yes[halving]) / 2, halving)
        halving = unfinished(halving)
    return yes


# --- L2 ---


def _normal(
    oracle: _Oracle, points: NDArray, probes: int, shape: tuple[int, int, int], random: SampleRandom, rows: NDArray
) -> NDArray:
    """Unit normals (m, features) of the boundary at points of it, towards the adversarial side."""
    m, features = points.shape
    noise = random.normal(probes * features, rows=rows).reshape(m, probes, features)
    height, width, _ = shape
    if width > 1:
        sigma = SMOOTHING * max(height, width)
        images = noise[:, probes // 4 :].reshape(-1, *shape)
        noise[:, probes // 4 :] = gaussian_filter(images, (0, sigma, sigma, 0)).reshape(m, -1, features)
    noise /= np.linalg.norm(noise, axis=2, keepdims=True)
    radius = PROBE * L2.distance(points - oracle.X[rows])[:, None, None]
    moves = np.clip(points[:, None] + radius * noise, 0, 1) - points[:, None]
    around = (points[:, None] + moves).reshape(m * probes, features)
    reached = oracle.reached(around, rows.repeat(probes)).reshape(m, probes).astype(np.float64)
    # Less the mean, the estimate varies less; where all labels agree, that would leave nothing.
    mean = reached.mean(axis=1, keepdims=True)
    weight = np.where((mean == 0) | (mean == 1), 2 * mean - 1, reached - mean)
    return L2.steepest(np.einsum("mp,mpf->mf", weight, moves))


def _arc(oracle: _Oracle, points: NDArray, normal: NDArray, rows: NDArray) -> NDArray:
    """The last adversarial points (m, features) on the way along the arc from `points` to the samples."""
    X = oracle.X[rows]
    radius = L2.distance(points - X)[:, None]
    out = (points - X) / radius
    across = L2.steepest(normal - (normal * out).sum(axis=1, keepdims=True) * out)

    def at(angle: NDArray) -> NDArray:
        cosine, sine = np.cos(angle)[:, None], np.sin(angle)[:, None]
        return np.clip(X + radius * cosine * (cosine * out + sine * across), 0, 1)

    start, end = np.zeros(len(rows)), np.full(len(rows), np.pi / 2)
    angle = _bisect(lambda angle: oracle.reached(at(angle), rows), end, start, FINE)
    return np.where(angle[:, None] > 0, at(angle), points)
