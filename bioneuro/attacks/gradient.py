"""White-box attacks that follow the gradient of the loss: PGD, and its special cases BIM and FGSM."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from ..checks import POSITIVE, Choice, Flag, check, check_count, check_number
from ..estimators import class_index
from ..protocols import WhiteBox
from .answers import logits
from .base import Attack
from .goals import Goal
from .objectives import ASCENTS, Ascent
from .sample_random import SampleRandom
from .spaces import SPACES, Space, View, space_for
from .survivors import attack_survivors

__all__ = ["BIM", "FGSM", "PGD", "GradientAttack"]


@dataclass(kw_only=True)
class GradientAttack(Attack):
    """What PGD and APGD share: starts, restarts, the loop over steps, and the space of the search.

    A subclass writes `search`: how points move, given what is seen of the model there.

    Parameters
    ----------
    n_steps, n_restarts : int >= 1
    loss : {"ce", "margin", "dlr"}
    early_stop : bool
        A sample stops as soon as it meets the criterion.
    space : {"auto", "input", "response"}
    norm, random_state
        See `Attack`.
    """

    n_steps: int
    n_restarts: int = 1
    loss: Ascent = "ce"
    early_stop: bool = True
    space: str = "auto"

    requires: ClassVar[tuple[str, ...]] = ("predict", "classes_", "input_gradient")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("n_steps", self.n_steps)
        check_count("n_restarts", self.n_restarts)
        check("early_stop", self.early_stop, Flag())
        check("loss", self.loss, Choice(ASCENTS))
        check("space", self.space, Choice(SPACES))
        if self.space == "response" and self.norm != "linf":
            raise ValueError('space="response" maps the Linf ball to a box; it has no meaning for other norms')

    def run(self, model: WhiteBox, X: NDArray, goal: Goal, epsilon: float, random: SampleRandom) -> NDArray:
        def attempt(goal: Goal) -> Callable[[NDArray], NDArray]:
            def ascend(rows: NDArray) -> NDArray:
                space = self.make_space(model, X[rows], epsilon)
                return self._ascend(space, goal[rows], self.start(space, X[rows], epsilon, random, rows))

            return ascend

        return attack_survivors(model, X, goal, map(attempt, self.goals(model, X, goal) * self.n_restarts))

    def make_space(self, model: WhiteBox, X: NDArray, epsilon: float) -> Space:
        """Where to search around the samples of one attempt."""
        return space_for(model, self.geometry, X, epsilon, self.space)

    def goals(self, model: WhiteBox, X: NDArray, goal: Goal) -> list[Goal]:
        """The goals to try in turn, each with a start of its own."""
        return [goal]

    def start(self, space: Space, X: NDArray, epsilon: float, random: SampleRandom, rows: NDArray) -> NDArray:
        """Images drawn uniformly from the ball around X, which are the samples `rows` of the batch."""
        noise = epsilon * self.geometry.uniform(random, X.shape[1], rows)
        return self.geometry.project(X + noise, X, epsilon)

    @abstractmethod
    def search(self, points: NDArray) -> Search:
        """A search that starts at these points of the space, one for each sample."""

    def _ascend(self, space: Space, goal: Goal, start: NDArray) -> NDArray:
        """One run from `start`: each sample's first image that reaches the goal, else the search's result."""
        found, rows, search = start.copy(), np.arange(len(start)), self.search(space.enter(start))
        for step in range(self.n_steps):
            images = space.images(search.points) if step else start
            view = space.view(images, goal)
            done = view.adversarial if self.early_stop else np.zeros(len(rows), bool)
            if done.any():
                found[rows[done]] = images[done]
                parts: tuple[Any, ...] = rows, goal, space, search, view
                rows, goal, space, search, view = (part[~done] for part in parts)
            if not rows.size:
                return found
            search.step(space, view)
        found[rows] = search.result(space, goal)
        return found


class Search(Protocol):
    """Where the search of each of n samples is and what it remembers; ``search[rows]`` is that of some."""

    points: NDArray

    def __getitem__(self, rows: NDArray) -> Search: ...

    def step(self, space: Space, view: View) -> None:
        """Move `points` on; `view` is the model there."""
        ...

    def result(self, space: Space, goal: Goal) -> NDArray:
        """The images to give back after the last step."""
        ...


@dataclass(kw_only=True)
class PGD(GradientAttack):
    """Projected gradient ascent on the loss (Madry et al. 2018, arXiv 1706.06083).

    ``x <- project(x + step_size * epsilon * steepest(grad))``, where steepest is the sign of the gradient
    (Linf) or the gradient scaled to length 1 (L2). A sample stops as soon as it meets the criterion.

    Behind a contrast response that the model offers (`bioneuro.protocols.ResponseFront`), Linf steps are made in
    the response's space, L2 steps follow the gradient with the response's slope raised to at least 0.01.

    Parameters
    ----------
    n_steps : int >= 1
    step_size : float > 0 or None
        Relative to epsilon; None is 2.5 / n_steps, with which every point of the ball can be reached.
    n_restarts : int >= 1
        Further tries from new random starts, for the samples that still stand. More than one needs
        ``random_start`` and ``early_stop``.
    random_start : bool
        Start uniformly in the ball, else at X.
    loss : {"ce", "margin", "dlr"}
        What to ascend; with targets, what rises towards them. The cross-entropy's gradient underflows on
        confident models that are not `bioneuro.protocols.Differentiable`, the margin's does not. The difference
        of logits ratio (see `APGD`) needs a `Differentiable` model of 3 classes, with targets 4; for others the
        margin is taken.
    momentum : float >= 0
        Weight of the previous direction; 0 is plain PGD. Gradients are scaled to mean absolute value 1
        before they are summed (MI-FGSM, Dong et al. 2018, arXiv 1710.06081).
    early_stop : bool
        False goes on to the last step, which makes images that transfer better to other models.
    space : {"auto", "input", "response"}
        Where to search: "auto" takes what a contrast response offers, "input" nothing of it.
    norm, random_state
        See `Attack`.
    """

    n_steps: int = 40
    step_size: float | None = None
    random_start: bool = True
    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("momentum", self.momentum, ">= 0")
        check("random_start", self.random_start, Flag())
        check("step_size", self.step_size, POSITIVE, None)
        if self.n_restarts > 1 and not (self.random_start and self.early_stop):
            raise ValueError("n_restarts > 1 needs random_start and early_stop, else every try is the same")

    @property
    def begins_at_X(self) -> bool:
        return self.early_stop and not self.random_start

    def start(self, space: Space, X: NDArray, epsilon: float, random: SampleRandom, rows: NDArray) -> NDArray:
        return super().start(space, X, epsilon, random, rows) if self.random_start else X

    def search(self, points: NDArray) -> Search:
        size = 2.5 / self.n_steps if self.step_size is None else self.step_size
        return _Steps(points, np.zeros((len(points), 1)), self.loss, size, self.momentum)


@dataclass
class _Steps:
    """Steps of one size along the gradient, or along the sum of those so far."""

    points: NDArray
    velocity: NDArray
    loss: Ascent
    size: float
    momentum: float

    def __getitem__(self, rows: NDArray) -> _Steps:
        return replace(self, points=self.points[rows], velocity=self.velocity[rows])

    def step(self, space: Space, view: View) -> None:
        direction = view.gradient(self.loss)
        if self.momentum:
            direction = self.velocity = self.momentum * self.velocity + unit_mean(direction)
        self.points = space.advance(self.points, direction, self.size)

    def result(self, space: Space, goal: Goal) -> NDArray:
        return space.images(self.points)


@dataclass(kw_only=True)
class BIM(PGD):
    """Basic iterative method (Kurakin et al. 2017, arXiv 1607.02533): PGD that starts at X.

    Parameters
    ----------
    n_steps, step_size, loss, momentum, early_stop, space, norm, random_state
        See `PGD`.
    """

    n_restarts: int = field(default=1, init=False)
    random_start: bool = field(default=False, init=False)


@dataclass(kw_only=True)
class FGSM(PGD):
    """Fast gradient sign method (Goodfellow et al. 2015, arXiv 1412.6572): PGD with one full step from X.

    With ``norm="l2"``, the fast gradient method: one step of length epsilon along the gradient.

    Parameters
    ----------
    loss, space, norm, random_state
        See `PGD`.
    """

    n_steps: int = field(default=1, init=False)
    step_size: float | None = field(default=1.0, init=False)
    n_restarts: int = field(default=1, init=False)
    random_start: bool = field(default=False, init=False)
    momentum: float = field(default=0.0, init=False)
    early_stop: bool = field(default=True, init=False)


def towards_runners_up(model: WhiteBox, X: NDArray, goal: Goal, n_classes: int) -> list[Goal]:
    """The goal by way of each of the wrong classes with the largest logits at X; as it is for 0, or with a target."""
    if goal.target is not None or not n_classes:
        return [goal]
    z = logits(model, X)
    z[np.arange(len(X)), class_index(goal.true, model.classes_)] = -np.inf
    wrong = np.argsort(-z, axis=1, kind="stable")[:, : min(n_classes, z.shape[1] - 1)]
    return [goal.towards(np.asarray(model.classes_)[column]) for column in wrong.T]


def unit_mean(gradient: NDArray) -> NDArray:
    """Each row scaled to mean absolute value 1; zero rows stay zero."""
    scale = np.abs(gradient, dtype=np.float64).mean(axis=1, keepdims=True)
    return gradient / np.where(scale > 0, scale, 1)
