"""Frank-Wolfe: every step jumps to the image of the L2 ball that is best for the gradient so far.

Behind a steep contrast response or a threshold that image changes few pixels, each by as much as it takes to cross:
what small steps, which spread the budget over all pixels, do not find.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..checks import check_count
from ..protocols import WhiteBox
from .goals import Goal
from .gradient import GradientAttack, Search, towards_runners_up, unit_mean
from .norms import L2, distances
from .objectives import Ascent
from .sample_random import SampleRandom
from .spaces import Ball, Eyes, Space, View, eyes_in_input, eyes_in_response, offers_response

__all__ = ["FrankWolfe"]

#: Least weight of a step's gradient in the mean direction. Chosen, like the number of levels, on images that are
#: in no table.
LEAST_WEIGHT = 0.1
#: Levels of the response, besides the two ends, that a pixel may be moved to.
N_LEVELS = 16
#: The multiplier is sought between its upper bound and this share of it, by so many halvings of their ratio.
SMALLEST, HALVINGS = 1e-6, 12
#: Largest multiplier, and the inverse of the smallest: single precision holds both, directions are of the order of 1.
LARGEST = 1e12


@dataclass(kw_only=True)
class FrankWolfe(GradientAttack):
    """Conditional gradient ascent with momentum, exact for a contrast response: the attack for few, large changes.

    With r the response (of a model without one, ``r(x) = x``), g the gradient of the loss with respect to r(x) and
    ``d <- (1 - w) d + w g / mean |g|``, where ``w = max(2 / (k + 2), 0.1)`` at step k,
    ``x <- argmax <d, r(x)>`` over all images of the L2 ball in [0, 1]. This maximum is separable: with a Lagrange
    multiplier m, each pixel alone maximises ``d r(x) - m (x - x_0)^2`` over 16 levels of the response, crossed as
    cheaply as can be; bisection finds the least m whose image is in the ball. Where the response is flat, nothing is
    spent; where it is a threshold, this is the knapsack of the pixels to cross it. Each attempt starts at the maximum
    for a direction drawn from a normal distribution.

    Chen, Zhou, Yi & Gu 2020, "A Frank-Wolfe framework for efficient and effective adversarial attacks", arXiv
    1811.10828, with two changes: the maximum is over what the model sees of the ball, which is not convex, so that a
    step goes all the way (their step size 1); and what is averaged is the direction, with weights that fall.

    Parameters
    ----------
    n_steps, n_restarts : int >= 1
    loss : {"ce", "margin", "dlr"}
    n_target_classes : int >= 0
        0 moves away from the true class, k > 0 in turn towards each of k wrong ones; see `APGD`.
    norm : {"l2"}
    random_state
        See `Attack`.
    """

    norm: str = "l2"
    n_steps: int = 40
    early_stop: bool = field(default=True, init=False)
    space: str = field(default="auto", init=False)
    n_target_classes: int = 0

    requires: ClassVar[tuple[str, ...]] = ("predict", "classes_", "decision_function", "input_gradient")
    norms: ClassVar[tuple[str, ...]] = ("l2",)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("n_target_classes", self.n_target_classes, 0)

    def goals(self, model: WhiteBox, X: NDArray, goal: Goal) -> list[Goal]:
        return towards_runners_up(model, X, goal, self.n_target_classes)

    def make_space(self, model: WhiteBox, X: NDArray, epsilon: float) -> Space:
        if not offers_response(model) or model.response(X) is X:
            return _Farthest(eyes_in_input(model), X, epsilon)
        levels = _levels(model.response, X.shape[1], X.dtype)
        return _FarthestResponse(eyes_in_response(model), X, epsilon, model.response(X), levels, model.response(levels))

    def start(self, space: Space, X: NDArray, epsilon: float, random: SampleRandom, rows: NDArray) -> NDArray:
        assert isinstance(space, _Farthest)
        return space.farthest(random.normal(X.shape[1], rows=rows))

    def search(self, points: NDArray) -> Search:
        return _Jumps(points, np.zeros_like(points), self.loss)


@dataclass
class _Jumps:
    """Where each sample is, and the mean direction that led there."""

    points: NDArray
    direction: NDArray
    loss: Ascent
    n_seen: int = 0

    def __getitem__(self, rows: NDArray) -> _Jumps:
        return replace(self, points=self.points[rows], direction=self.direction[rows])

    def step(self, space: Space, view: View) -> None:
        weight = max(2 / (self.n_seen + 2), LEAST_WEIGHT)
        self.direction = (1 - weight) * self.direction + weight * unit_mean(view.gradient(self.loss))
        assert isinstance(space, _Farthest)
        self.points = space.farthest(self.direction)
        self.n_seen += 1

    def result(self, space: Space, goal: Goal) -> NDArray:
        return self.points


# --- the farthest image of the ball ---


class _Farthest(Ball):
    """The L2 ball of a model without a response."""

    def __init__(self, eyes: Eyes, X: NDArray, epsilon: float) -> None:
        super().__init__(eyes, L2, X, epsilon)

    def __getitem__(self, rows: NDArray) -> _Farthest:
        return _Farthest(self.eyes, self.X[rows], self.epsilon)

    def farthest(self, direction: NDArray) -> NDArray:
        """The images of the ball in [0, 1] with the largest product with each row."""
        direction = direction.astype(self.X.dtype, copy=False)
        # The multiplier of the ball alone; that pixels end at 0 and 1 makes the way shorter.
        inside = L2.distance(direction)[:, None] / max(2 * self.epsilon, 1 / LARGEST)
        return self._within(lambda m: np.clip(self.X + direction / (2 * m), 0, 1), inside)

    def _within(self, image: Callable[[NDArray], NDArray], inside: NDArray) -> NDArray:
        """``image(m)`` at the least multipliers m (n, 1) that keep it in the ball, as those of `inside` do."""
        inside = np.clip(inside, 1 / LARGEST, LARGEST).astype(self.X.dtype)
        outside, found = SMALLEST * inside, image(inside)
        for _ in range(HALVINGS):
            middle = np.sqrt(inside * outside)
            images = image(middle)
            fits = distances(L2, images, self.X)[:, None] <= self.epsilon
            found = np.where(fits, images, found)
            inside, outside = np.where(fits, middle, inside), np.where(fits, outside, middle)
        return found


class _FarthestResponse(_Farthest):
    """The L2 ball of a model behind a response r: R = r(X), responses = r(levels), (k, features)."""

    def __init__(self, eyes: Eyes, X: NDArray, epsilon: float, R: NDArray, levels: NDArray, responses: NDArray) -> None:
        super().__init__(eyes, X, epsilon)
        self.R, self.levels, self.responses = R, levels, responses

    def __getitem__(self, rows: NDArray) -> _FarthestResponse:
        return _FarthestResponse(self.eyes, self.X[rows], self.epsilon, self.R[rows], self.levels, self.responses)

    def farthest(self, direction: NDArray) -> NDArray:
        """The images of the ball whose response has the largest product with each row."""
        direction = direction.astype(self.X.dtype, copy=False)
        gains = [direction * (response - self.R) for response in self.responses]
        costs = [np.square(level - self.X) for level in self.levels]

        def image(m: NDArray) -> NDArray:
            best, images = np.zeros_like(self.X), self.X
            for level, gain, cost in zip(self.levels, gains, costs, strict=True):
                worth = gain - m * cost
                images = np.where(worth > best, level, images)
                best = np.maximum(worth, best)
            return images

        # Pixels whose change costs less than their share of the budget may all change; with the bound no others do.
        share = max(self.epsilon**2 / self.X.shape[1], 1 / LARGEST)
        ratios = (gain / np.maximum(cost, share) for gain, cost in zip(gains, costs, strict=True))
        bound = np.max([ratio.max(axis=1) for ratio in ratios], axis=0)
        return self._within(image, bound[:, None])


def _levels(response: Callable[[NDArray], NDArray], features: int, dtype: np.dtype) -> NDArray:
    """Pixels (N_LEVELS + 2, features) at which the response crosses levels that divide its range evenly.

    Between two neighbouring numbers, of which the upper one is taken for every other level, so that both sides of a
    jump are there.
    """
    black, white = np.zeros((1, features), dtype), np.ones((1, features), dtype)
    shares = (np.arange(N_LEVELS)[:, None] + 0.5) / N_LEVELS
    wanted = (1 - shares) * response(black) + shares * response(white)
    below, above = black.repeat(N_LEVELS, axis=0), white.repeat(N_LEVELS, axis=0)
    for _ in range(np.finfo(dtype).nmant + 2):
        middle = (below + above) / 2
        crossed = response(middle) >= wanted
        below, above = np.where(crossed, below, middle), np.where(crossed, middle, above)
    crossings = np.where(np.arange(N_LEVELS)[:, None] % 2 == 0, above, below)
    return np.concatenate([black, crossings, white])
