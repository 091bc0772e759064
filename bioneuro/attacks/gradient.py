"""White-box attacks that follow the gradient of the loss: PGD, and FGSM as its one-step case.

For the Linf norm and a model with a contrast response in front (`bioneuro.protocols.ResponseFront`), the
search runs in the response's space, where the gradient is not masked by the response's zero slope.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, cast

import numpy as np
from numpy.typing import NDArray

from ..protocols import Loss, ResponseFront, WhiteBox
from .base import Attack, SampleRandom, at_least, attack_survivors, loss_gradient, predict
from .goals import Goal
from .norms import LINF, Norm

__all__ = ["FGSM", "PGD", "attacked_gradient"]

LOSSES = ("ce", "margin")
SPACES = ("auto", "input", "response")


@dataclass(kw_only=True)
class PGD(Attack):
    """Projected gradient ascent on the loss (Madry et al. 2018, arXiv 1706.06083).

    ``x <- project(x + step_size * epsilon * steepest(grad))``, where steepest is the sign of the gradient
    (Linf) or the gradient scaled to length 1 (L2). A sample stops as soon as it is misclassified.

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
    loss : {"ce", "margin"}
        What to ascend. The cross-entropy's gradient underflows on confident models, the margin's does not.
    momentum : float >= 0
        Weight of the previous direction; 0 is plain PGD. Gradients are scaled to mean absolute value 1
        before they are summed (MI-FGSM, Dong et al. 2018, arXiv 1710.06081).
    early_stop : bool
        False goes on to the last step, which makes images that transfer better to other models.
    space : {"auto", "input", "response"}
        Where to search: "auto" takes the response space if the norm is Linf and the model offers it.
    norm, random_state
        See `Attack`.
    """

    n_steps: int = 40
    step_size: float | None = None
    n_restarts: int = 1
    random_start: bool = True
    loss: Loss = "ce"
    momentum: float = 0.0
    early_stop: bool = True
    space: str = "auto"

    requires = ("predict", "classes_", "input_gradient")

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least("n_steps", self.n_steps, 1)
        at_least("n_restarts", self.n_restarts, 1)
        at_least("momentum", self.momentum, 0)
        if self.step_size is not None and not self.step_size > 0:
            raise ValueError(f"step_size must be positive, got {self.step_size}")
        if self.loss not in LOSSES:
            raise ValueError(f"loss must be one of {', '.join(LOSSES)}; got {self.loss!r}")
        if self.space not in SPACES:
            raise ValueError(f"space must be one of {', '.join(SPACES)}; got {self.space!r}")
        if self.space == "response" and self.norm != "linf":
            raise ValueError('space="response" maps the Linf ball to a box; it has no meaning for other norms')
        if self.n_restarts > 1 and not (self.random_start and self.early_stop):
            raise ValueError("n_restarts > 1 needs random_start and early_stop, else every try is the same")

    def run(self, model: WhiteBox, X: NDArray, goal: Goal, epsilon: float, random: SampleRandom) -> NDArray:
        def ascend(rows: NDArray) -> NDArray:
            return self._ascend(model, X[rows], goal[rows], epsilon, self._start(X, epsilon, random, rows))

        return attack_survivors(model, X, goal, [ascend] * self.n_restarts)

    def _start(self, X: NDArray, epsilon: float, random: SampleRandom, rows: NDArray) -> NDArray:
        if not self.random_start:
            return X[rows]
        noise = epsilon * self.geometry.uniform(random, X.shape[1], rows)
        return self.geometry.project(X[rows] + noise, X[rows], epsilon)

    def _ascend(self, model: WhiteBox, X: NDArray, goal: Goal, epsilon: float, start: NDArray) -> NDArray:
        """One run from `start`; returns each sample's first misclassified image, else its last."""
        space: _Space = (
            _ResponseSpace(cast(ResponseFront, model), X, epsilon)
            if self._in_response_space(model)
            else _InputSpace(model, self.geometry, X, epsilon)
        )
        size = 2.5 / self.n_steps if self.step_size is None else self.step_size
        images, points = start.copy(), space.enter(start)
        velocity, alive = np.zeros_like(points), np.arange(len(X))
        for _ in range(self.n_steps):
            gradient = space.gradient(images[alive], goal[alive], self.loss)
            velocity[alive] = self.momentum * velocity[alive] + _unit_mean(gradient)
            points[alive], images[alive] = space.move(points[alive], velocity[alive], size, alive)
            if self.early_stop:
                alive = alive[~goal[alive].is_adversarial(predict(model, images[alive]))]
                if not alive.size:
                    break
        return images

    def _in_response_space(self, model: WhiteBox) -> bool:
        offered = offers_response(model)
        if self.space == "response" and not offered:
            raise TypeError(f'space="response" needs response methods, which {type(model).__name__} lacks')
        return offered and self.space != "input" and self.norm == "linf"


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


def offers_response(model: object) -> bool:
    """The model is a `ResponseFront`."""
    return all(hasattr(model, name) for name in ("response", "response_inverse", "response_gradient"))


def attacked_gradient(model: WhiteBox, X: NDArray, y: NDArray, loss: Loss, norm: str) -> NDArray:
    """The gradient that PGD with ``space="auto"`` follows at X, (n, features)."""
    in_response = norm == "linf" and offers_response(model)
    method = cast(ResponseFront, model).response_gradient if in_response else model.input_gradient
    return loss_gradient(method, X, y, loss)


def _unit_mean(gradient: NDArray) -> NDArray:
    """Each row scaled to mean absolute value 1; zero rows stay zero."""
    scale = np.abs(gradient, dtype=np.float64).mean(axis=1, keepdims=True)
    return gradient / np.where(scale > 0, scale, 1)


class _Space(Protocol):
    """Where the ascent moves, for one batch. `rows` are the rows of this batch that a call is about."""

    def enter(self, images: NDArray) -> NDArray: ...

    def gradient(self, images: NDArray, goal: Goal, loss: Loss) -> NDArray: ...

    def move(self, points: NDArray, direction: NDArray, size: float, rows: NDArray) -> tuple[NDArray, NDArray]:
        """New points and the images they stand for, both within the budget."""
        ...


class _InputSpace:
    """The images themselves, in the ball of the norm."""

    def __init__(self, model: WhiteBox, norm: Norm, X: NDArray, epsilon: float) -> None:
        self.model, self.norm, self.X, self.epsilon = model, norm, X, epsilon

    def enter(self, images: NDArray) -> NDArray:
        return images.copy()

    def gradient(self, images: NDArray, goal: Goal, loss: Loss) -> NDArray:
        return goal.sign * loss_gradient(self.model.input_gradient, images, goal.labels, loss)

    def move(self, points: NDArray, direction: NDArray, size: float, rows: NDArray) -> tuple[NDArray, NDArray]:
        further = points + size * self.epsilon * self.norm.steepest(direction)
        points = self.norm.project(further, self.X[rows], self.epsilon)
        return points, points


class _ResponseSpace:
    """Responses r(x), in the box [r(x - eps), r(x + eps)] that the Linf ball becomes.

    The box is not a cube: a step is relative to how far each feature can go from its start, so that one
    step of relative size 1 reaches a corner, as FGSM does in the images' space.
    """

    def __init__(self, model: ResponseFront, X: NDArray, epsilon: float) -> None:
        self.model, self.X, self.epsilon = model, X, epsilon
        self.low, self.high = (np.asarray(model.response(end)) for end in LINF.box(X, epsilon))
        centre = np.asarray(model.response(X))
        self.reach = np.maximum(self.high - centre, centre - self.low)

    def enter(self, images: NDArray) -> NDArray:
        return np.array(self.model.response(images))

    def gradient(self, images: NDArray, goal: Goal, loss: Loss) -> NDArray:
        return goal.sign * loss_gradient(self.model.response_gradient, images, goal.labels, loss)

    def move(self, points: NDArray, direction: NDArray, size: float, rows: NDArray) -> tuple[NDArray, NDArray]:
        further = points + size * self.reach[rows] * np.sign(direction)
        points = np.clip(further, self.low[rows], self.high[rows]).astype(self.low.dtype)
        images = np.asarray(self.model.response_inverse(points))
        return points, LINF.project(images, self.X[rows], self.epsilon)
