"""Auto-PGD: gradient ascent that finds its step sizes itself.

Croce & Hein 2020, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free
attacks", arXiv 2003.01690; algorithm 1 there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..checks import check_count
from ..protocols import WhiteBox
from .goals import Goal
from .gradient import GradientAttack, Search, towards_runners_up
from .objectives import Ascent
from .spaces import Space, View

__all__ = ["APGD"]

#: First step, relative to epsilon; weight of the new step against the last one's direction.
FIRST_STEP, MOMENTUM = 2.0, 0.75
#: Share of steps between two checkpoints that must have raised the loss, else the step size is halved.
RISING_SHARE = 0.75
#: Checkpoints: the first, how much shorter each period gets, and the shortest, as shares of the steps.
FIRST_PERIOD, SHORTER, SHORTEST = 0.22, 0.03, 0.06


@dataclass(kw_only=True)
class APGD(GradientAttack):
    """Auto-PGD: momentum, steps halved where progress stalls, restarts from the best point (arXiv 2003.01690).

    With P the projection, ``z = P(x_k + eta steepest(grad))`` and ``x_{k+1} = P(x_k + 0.75 (z - x_k) + 0.25 (x_k -
    x_{k-1}))``. eta starts at 2 epsilon. At each checkpoint it is halved, and the search goes on from its best point,
    for the samples whose loss rose in less than 75 % of the steps since the last one, or whose best loss and eta have
    not changed since. A sample stops as soon as it meets the criterion.

    A contrast response that the model offers is treated as in `PGD`.

    Parameters
    ----------
    n_steps : int >= 1
    n_restarts : int >= 1
        Random starts (with ``n_target_classes``: for each class), for the samples that still stand.
    loss : {"ce", "margin", "dlr"}
        What to ascend: cross-entropy, margin, or the difference of logits ratio, which neither a shift nor a scale of
        the logits changes. With ``z_1 >= z_2 >= ...`` and true class y that is ``(max_{k != y} z_k - z_y) / (z_1 -
        z_3)``, towards a class t ``(z_t - z_y) / (z_1 - (z_3 + z_4) / 2)``. It needs a model of at least 3 classes,
        with t 4, that is `bioneuro.protocols.Differentiable`; for others the margin is taken.
    n_target_classes : int >= 0
        0 moves away from the true class. k > 0 (APGD-T; 9 in the paper) moves in turn towards each of the k wrong
        classes that have the largest logits at X (all, if there are fewer); any wrong class is success. With
        ``criterion=Targeted(labels)`` the target is the only class to move to, whatever k.
    space
        See `PGD`.
    norm, random_state
        See `Attack`.
    """

    n_steps: int = 100
    early_stop: bool = field(default=True, init=False)
    n_target_classes: int = 0

    requires: ClassVar[tuple[str, ...]] = ("predict", "classes_", "decision_function", "input_gradient")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("n_target_classes", self.n_target_classes, 0)

    def goals(self, model: WhiteBox, X: NDArray, goal: Goal) -> list[Goal]:
        return towards_runners_up(model, X, goal, self.n_target_classes)

    def search(self, points: NDArray) -> Search:
        return _Halving.at(points, self.loss, checkpoints(self.n_steps))


def checkpoints(n_steps: int) -> dict[int, int]:
    """The steps after which step sizes are checked, each with its distance from the one before."""
    ends, period = [0.0, FIRST_PERIOD], FIRST_PERIOD
    while ends[-1] < 1:
        period = max(period - SHORTER, SHORTEST)
        ends.append(ends[-1] + period)
    steps = [math.ceil(round(end * n_steps, 9)) for end in ends[:-1]]
    return {step: step - before for before, step in pairwise(steps) if step > before}


@dataclass
class _Halving:
    """Where each of n samples is, was one step ago, and was best, with loss and gradient."""

    loss: Ascent
    periods: dict[int, int]
    points: NDArray
    previous: NDArray
    value: NDArray
    gradient: NDArray
    best: NDArray
    best_value: NDArray
    best_gradient: NDArray
    size: NDArray
    rises: NDArray
    checked_value: NDArray
    halved: NDArray
    n_seen: int = 0

    @classmethod
    def at(cls, points: NDArray, loss: Ascent, periods: dict[int, int]) -> _Halving:
        """Nothing seen yet. The start will count as a rise, which is taken off in advance."""
        n = len(points)
        worst, none = np.full(n, -np.inf), np.zeros_like(points)
        size, rises, halved = np.full((n, 1), FIRST_STEP), np.full(n, -1), np.zeros(n, bool)
        best = points.copy(), worst.copy(), none.copy()
        return cls(loss, periods, points, points, worst, none, *best, size, rises, worst, halved)

    def __getitem__(self, rows: NDArray) -> _Halving:
        arrays = {name: value[rows] for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        return replace(self, **arrays)

    def step(self, space: Space, view: View) -> None:
        value = view.value(self.loss)
        self.rises += value > self.value
        self.value, self.gradient = value, view.gradient(self.loss)
        better = value > self.best_value
        self.best[better], self.best_value[better] = self.points[better], value[better]
        self.best_gradient[better] = self.gradient[better]
        if self.n_seen in self.periods:
            self._check(self.periods[self.n_seen])
        self._move(space, MOMENTUM if self.n_seen else 1.0)
        self.n_seen += 1

    def _check(self, period: int) -> None:
        """Halve the steps of samples that made no progress in the last `period` steps; they go on from their best."""
        stalled = ~self.halved & (self.best_value <= self.checked_value)
        self.halved = stalled | (self.rises < RISING_SHARE * period)
        self.checked_value, self.rises = self.best_value.copy(), np.zeros_like(self.rises)
        self.size[self.halved] /= 2
        back = self.halved[:, None]
        self.points, self.gradient = (
            np.where(back, best, now) for best, now in ((self.best, self.points), (self.best_gradient, self.gradient))
        )
        self.value = np.where(self.halved, self.best_value, self.value)

    def _move(self, space: Space, share: float) -> None:
        """`share` of the way to where the gradient leads, the rest of it along the last step."""
        x = self.points
        ahead = space.advance(x, self.gradient, self.size)
        self.points = space.project(x + share * (ahead - x) + (1 - share) * (x - self.previous))
        self.previous = x

    def result(self, space: Space, goal: Goal) -> NDArray:
        """The last images where they reach the goal or have the highest loss, else the best before them."""
        images = space.images(self.points)
        view = space.view(images, goal)
        last = view.adversarial | (view.value(self.loss) > self.best_value)
        return np.where(last[:, None], images, space.images(self.best))
