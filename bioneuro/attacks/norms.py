"""The geometry of each norm: one class and one line in `NORMS`.

All batches are (n, features); epsilon is the radius of the ball, in units of the pixels' range [0, 1] (in L0, a
number of features or pixels).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .sample_random import SampleRandom

__all__ = ["NORMS", "Norm", "distances"]


class Norm(Protocol):
    def distance(self, delta: NDArray) -> NDArray:
        """Length of each row, (n,), in float64."""
        ...

    def project(self, Z: NDArray, X: NDArray, epsilon: float) -> NDArray:
        """A point of both the ball around X and [0, 1] close to Z, in X's dtype: `distance` says <= epsilon."""
        ...

    def steepest(self, gradient: NDArray) -> NDArray:
        """The vector of length 1 with the largest inner product with each row; 0 where the row is 0."""
        ...

    def uniform(self, random: SampleRandom, features: int, rows: NDArray | None = None) -> NDArray:
        """A draw from the uniform distribution in the ball of radius 1 for each sample."""
        ...

    def diameter(self, features: int) -> float:
        """The radius of a ball that holds all of [0, 1]^features, whichever image it is around."""
        ...


def distances(norm: Norm, images: NDArray, X: NDArray) -> NDArray[np.float64]:
    """How far images are from X, (n,), computed in float64 whatever their dtype: what a budget is compared with."""
    return norm.distance(images.astype(np.float64) - X)


class _Linf:
    def distance(self, delta: NDArray) -> NDArray:
        return np.abs(delta, dtype=np.float64).max(axis=1)

    def project(self, Z: NDArray, X: NDArray, epsilon: float) -> NDArray:
        return np.clip(Z, *self.box(X, epsilon)).astype(X.dtype, copy=False)

    def box(self, X: NDArray, epsilon: float) -> tuple[NDArray, NDArray]:
        """Lowest and highest image of the ball, both in [0, 1]."""
        exact = X.astype(np.float64, copy=False)
        low, high = np.maximum(exact - epsilon, 0).astype(X.dtype), np.minimum(exact + epsilon, 1).astype(X.dtype)
        # Rounding may lead out of the ball, by less than one number.
        low = np.where(exact - low > epsilon, np.nextafter(low, X), low)
        return low, np.where(high - exact > epsilon, np.nextafter(high, X), high)

    def steepest(self, gradient: NDArray) -> NDArray:
        # The sign, four times as fast as np.sign. What is below the least normal number, a power of 2, counts less.
        tiny = np.finfo(gradient.dtype).tiny
        direction = np.clip(gradient, -tiny, tiny)
        direction /= tiny
        return direction

    def uniform(self, random: SampleRandom, features: int, rows: NDArray | None = None) -> NDArray:
        return 2 * random.uniform(features, rows=rows) - 1

    def diameter(self, features: int) -> float:
        return 1.0


class _L2:
    def distance(self, delta: NDArray) -> NDArray:
        return np.sqrt(np.square(delta).sum(axis=1, dtype=np.float64))

    def project(self, Z: NDArray, X: NDArray, epsilon: float) -> NDArray:
        # Shrinking into the ball and then clipping stays in the ball: X is in [0, 1], so clipping goes towards it. What
        # lies in the ball is left as it is: rounding might take back that a pixel crosses a threshold.
        delta = np.subtract(Z, X, dtype=X.dtype)
        length = self.distance(delta)[:, None]
        delta *= (epsilon / np.maximum(length, max(epsilon, np.finfo(float).tiny))).astype(X.dtype)
        delta += X
        np.copyto(delta, Z, where=length <= epsilon, casting="same_kind")
        return self._inside(np.clip(delta, 0, 1, out=delta), X, epsilon)

    def _inside(self, images: NDArray, X: NDArray, epsilon: float) -> NDArray:
        """The images; of those that rounding has left outside the ball, what a little less of their change makes."""
        less = np.finfo(float).eps
        while (out := np.flatnonzero(distances(self, images, X) > epsilon)).size:
            change = images[out].astype(np.float64) - X[out]
            images[out] = X[out] + max(1 - less, 0.0) * change
            less *= 2
        return images

    def steepest(self, gradient: NDArray) -> NDArray:
        # Scaled by the largest entry first: the squares of a tiny gradient would underflow to a length of 0.
        largest = np.abs(gradient).max(axis=1, keepdims=True)
        scaled = gradient / np.where(largest > 0, largest, 1)
        length = self.distance(scaled)[:, None]
        scaled /= np.where(length > 0, length, 1).astype(scaled.dtype)
        return scaled

    def uniform(self, random: SampleRandom, features: int, rows: NDArray | None = None) -> NDArray:
        direction = self.steepest(random.normal(features, rows=rows))
        return direction * random.uniform(1, rows=rows) ** (1 / features)

    def diameter(self, features: int) -> float:
        return float(np.sqrt(features))


class L0:
    """How many pixels change. A budget that is not whole allows as many as fit in it."""

    def __init__(self, channels: int) -> None:
        self.channels = channels

    def changed(self, delta: NDArray) -> NDArray:
        """Largest change of any channel of each pixel, (n, pixels)."""
        if delta.shape[1] % self.channels:
            raise ValueError(f"features must be pixels of {self.channels} channels, got {delta.shape[1]} features")
        return np.abs(delta).reshape(len(delta), -1, self.channels).max(axis=2)

    def distance(self, delta: NDArray) -> NDArray:
        return (self.changed(delta) > 0).sum(axis=1).astype(np.float64)

    def project(self, Z: NDArray, X: NDArray, epsilon: float) -> NDArray:
        # The largest changes stay; of equal ones, the first.
        Z = np.clip(Z, 0, 1).astype(X.dtype, copy=False)
        order = np.argsort(-self.changed(Z.astype(np.float64) - X), axis=1, kind="stable")
        kept = np.zeros(order.shape, bool)
        np.put_along_axis(kept, order[:, : int(epsilon)], True, axis=1)
        return np.where(kept.repeat(self.channels, axis=1), Z, X)

    def steepest(self, gradient: NDArray) -> NDArray:
        pixels = np.abs(gradient).reshape(len(gradient), -1, self.channels).sum(axis=2)
        best = np.arange(pixels.shape[1]) == pixels.argmax(axis=1)[:, None]
        return np.sign(gradient) * best.repeat(self.channels, axis=1)

    def uniform(self, random: SampleRandom, features: int, rows: NDArray | None = None) -> NDArray:
        uniform = random.uniform(features + 1, rows=rows)
        pixels = features // self.channels
        chosen = np.arange(pixels) == (uniform[:, :1] * pixels).astype(int)
        return (2 * uniform[:, 1:] - 1) * chosen.repeat(self.channels, axis=1)

    def diameter(self, features: int) -> float:
        return float(features // self.channels)


LINF, L2 = _Linf(), _L2()
#: "l0" counts features, "l0-rgb" pixels of three channels that lie side by side, as `bioneuro.datasets` has them.
NORMS: dict[str, Norm] = {"linf": LINF, "l2": L2, "l0": L0(1), "l0-rgb": L0(3)}
#: Those that count.
COUNTING = tuple(name for name, norm in NORMS.items() if isinstance(norm, L0))
