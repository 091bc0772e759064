"""Where gradient attacks search, and what they see of the model there.

Linf: the box [x - eps, x + eps], or, for a model with a contrast response r in front
(`bioneuro.protocols.ResponseFront`), the box [r(x - eps), r(x + eps)] that it becomes, in which the gradient
is not masked by the response's zero slope. L2: the ball; behind a response, its slope is floored there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from ..estimators import class_index
from ..protocols import Loss, Pullback, ResponseFront, WhiteBox
from .answers import as_logits, ascent_values, finite, gradient_of, predict
from .goals import Goal
from .norms import LINF, NORMS, Norm
from .objectives import Ascent, available, slope, value

__all__ = [
    "SPACES",
    "Ball",
    "Eyes",
    "Space",
    "View",
    "attacked_gradient",
    "eyes_in_input",
    "eyes_in_response",
    "offers_response",
    "space_for",
]

SPACES = ("auto", "input", "response")
#: Least slope of the response that L2 attacks follow.
SLOPE_FLOOR = 1e-2
#: Samples whose activities `attacked_gradient` keeps at a time.
BATCH = 256

RowNumbers = NDArray


def offers_response(model: object) -> TypeGuard[ResponseFront]:
    """The model is a `ResponseFront` as far as the search in the response's space needs it."""
    return all(hasattr(model, name) for name in ("response", "response_inverse", "response_gradient"))


def space_for(model: WhiteBox, norm: Norm, X: NDArray, epsilon: float, choice: str = "auto") -> Space:
    """The space of an attack on a batch; `choice` is one of `SPACES`."""
    front = model if choice != "input" and offers_response(model) else None
    if choice == "response" and front is None:
        raise TypeError(f'space="response" needs response methods, which {type(model).__name__} lacks')
    if norm is not LINF:
        floored = front if hasattr(front, "response_slope") else None
        return Ball(eyes_in_input(model) if floored is None else _floored(floored), norm, X, epsilon)
    low, high = LINF.box(X, epsilon)
    if front is None:
        return _Box(eyes_in_input(model), low, high, epsilon)
    eyes, centre = eyes_in_response(front), front.response(X)
    if centre is X:  # nothing stands in front, so there is no slope to multiply by, nothing to invert
        return _Box(eyes, low, high, epsilon)
    return _ResponseBox.around(front, eyes, np.asarray(centre), low, high)


def attacked_gradient(model: WhiteBox, X: NDArray, y: NDArray, loss: Loss, norm: str) -> NDArray:
    """The gradient that attacks with ``space="auto"`` follow at X, (n, features).

    Of a `Differentiable` model its rows are scaled, as the attacks need its direction only (`objectives.slope`).
    """
    batches = [slice(start, start + BATCH) for start in range(0, len(X), BATCH)]
    spaces = [space_for(model, NORMS[norm], X[rows], 0.0) for rows in batches]
    goals = [Goal(y[rows]) for rows in batches]
    return np.concatenate(
        [s.view(X[rows], g).gradient(loss) for s, g, rows in zip(spaces, goals, batches, strict=True)]
    )


# --- the model at some images ---


class View(Protocol):
    """The model at the images of one batch; ``view[rows]`` is that of some of them. Asks no more than it is asked."""

    def __getitem__(self, rows: RowNumbers) -> View: ...

    @property
    def adversarial(self) -> NDArray[np.bool_]:
        """Which images reach the goal, (n,)."""
        ...

    def value(self, loss: Ascent) -> NDArray[np.float64]:
        """What to ascend, (n,)."""
        ...

    def gradient(self, loss: Ascent) -> NDArray:
        """Its gradient in the space of the search, (n, features), up to a positive factor a sample."""
        ...


class Eyes:
    """How a model is looked at: by one pass (`vjp`) if it offers that, else by method after method."""

    def __init__(
        self,
        model: WhiteBox,
        gradient: Callable[..., NDArray],
        vjp: Callable[[NDArray], tuple[NDArray, Pullback]] | None,
    ) -> None:
        self.model, self.gradient, self.vjp = model, gradient, vjp

    def view(self, images: NDArray, goal: Goal) -> View:
        if self.vjp is None:
            return _Plain(self, images, goal)
        z, pullback = self.vjp(images)
        return _OnePass(self.model, z, pullback, images, goal)


def eyes_in_input(model: WhiteBox) -> Eyes:
    return Eyes(model, model.input_gradient, getattr(model, "input_vjp", None))


def eyes_in_response(model: ResponseFront) -> Eyes:
    return Eyes(model, model.response_gradient, getattr(model, "response_vjp", None))


def _floored(model: ResponseFront) -> Eyes:
    """With respect to x, but the response is nowhere flat: ``dloss / dr * max(r'(x), SLOPE_FLOOR)``."""
    eyes = eyes_in_response(model)
    of_response, response_vjp = eyes.gradient, eyes.vjp

    def slopes(images: NDArray) -> NDArray:
        return np.maximum(model.response_slope(images), SLOPE_FLOOR)

    def gradient(images: NDArray, y: NDArray, loss: Loss) -> NDArray:
        return of_response(images, y, loss=loss) * slopes(images)

    def vjp(images: NDArray) -> tuple[NDArray, Pullback]:
        assert response_vjp is not None
        z, pullback = response_vjp(images)
        return z, lambda dz: pullback(dz) * slopes(images)

    return Eyes(model, gradient, None if response_vjp is None else vjp)


class _Plain:
    """A model that offers no more than gradients of the two losses: the margin stands in for the DLR."""

    def __init__(self, eyes: Eyes, images: NDArray, goal: Goal) -> None:
        self.eyes, self.images, self.goal = eyes, images, goal

    def __getitem__(self, rows: RowNumbers) -> View:
        return _Plain(self.eyes, self.images[rows], self.goal[rows])

    @property
    def adversarial(self) -> NDArray[np.bool_]:
        return self.goal.is_adversarial(predict(self.eyes.model, self.images))

    def value(self, loss: Ascent) -> NDArray[np.float64]:
        return ascent_values(self.eyes.model, self.images, self.goal, "margin" if loss == "dlr" else loss)

    def gradient(self, loss: Ascent) -> NDArray:
        of = "margin" if loss == "dlr" else loss
        return self.goal.sign * gradient_of(self.eyes.gradient, self.images, self.goal.labels, of)


class _OnePass:
    """A model that gave logits and pullback: whatever else is asked follows without asking it again."""

    def __init__(
        self,
        model: WhiteBox,
        z: NDArray,
        pullback: Pullback,
        images: NDArray,
        goal: Goal,
        rows: RowNumbers | None = None,
    ) -> None:
        self.model, self.pullback, self.images, self.goal = model, pullback, images, goal
        self.z = as_logits(z, len(images), len(model.classes_)) if rows is None else z
        self.rows = slice(None) if rows is None else rows  # whose view this is; the pullback takes all images

    def __getitem__(self, rows: RowNumbers) -> View:
        rows = np.arange(len(self.images))[self.rows][rows]
        return _OnePass(self.model, self.z, self.pullback, self.images, self.goal, rows)

    @property
    def adversarial(self) -> NDArray[np.bool_]:
        predicted = np.asarray(self.model.classes_)[self.z[self.rows].argmax(axis=1)]
        return self.goal[self.rows].is_adversarial(predicted)

    @cached_property
    def columns(self) -> tuple[NDArray, NDArray | None]:
        goal, classes = self.goal[self.rows], self.model.classes_
        return class_index(goal.true, classes), None if goal.aim is None else class_index(goal.aim, classes)

    def value(self, loss: Ascent) -> NDArray[np.float64]:
        true, aim = self.columns
        return value(self.z[self.rows], true, aim, self._available(loss))

    def gradient(self, loss: Ascent) -> NDArray:
        true, aim = self.columns
        dz = np.zeros_like(self.z)
        dz[self.rows] = slope(self.z[self.rows], true, aim, self._available(loss))
        return finite(np.asarray(self.pullback(dz)), "pullback", self.images.shape)[self.rows]

    def _available(self, loss: Ascent) -> Ascent:
        return available(loss, self.z.shape[1], self.goal.aim is not None)


# --- where to move ---


class Space(Protocol):
    """Where the ascent of one batch moves; ``space[rows]`` is that of some of its samples."""

    def __getitem__(self, rows: RowNumbers) -> Space: ...

    def enter(self, images: NDArray) -> NDArray:
        """The points that stand for these images."""
        ...

    def images(self, points: NDArray) -> NDArray:
        """The images that points of the budget stand for."""
        ...

    def view(self, images: NDArray, goal: Goal) -> View:
        """The model at these images, its gradient with respect to the points."""
        ...

    def advance(self, points: NDArray, direction: NDArray, size: float | NDArray) -> NDArray:
        """Steps of `size` (a number or (n, 1), relative to the budget) up `direction`, back into the budget."""
        ...

    def project(self, points: NDArray) -> NDArray:
        """Back into the budget."""
        ...


class _AmongImages:
    """A space whose points are the images themselves."""

    eyes: Eyes

    def enter(self, images: NDArray) -> NDArray:
        return images

    def images(self, points: NDArray) -> NDArray:
        return points

    def view(self, images: NDArray, goal: Goal) -> View:
        return self.eyes.view(images, goal)


class _Box(_AmongImages):
    """Images in the box that the Linf ball is.

    Steps are relative to `reach`, how far each feature can go from its start: a step of size 1 reaches a corner.
    """

    def __init__(self, eyes: Eyes, low: NDArray, high: NDArray, reach: float | NDArray) -> None:
        self.eyes, self.low, self.high, self.reach = eyes, low, high, reach

    def __getitem__(self, rows: RowNumbers) -> _Box:
        return _Box(self.eyes, self.low[rows], self.high[rows], self.reach)

    def advance(self, points: NDArray, direction: NDArray, size: float | NDArray) -> NDArray:
        step = LINF.steepest(direction).astype(points.dtype, copy=False)
        step *= np.asarray(size * self.reach, points.dtype)
        step += points
        np.maximum(step, self.low, out=step)  # twice as fast as np.clip
        return np.minimum(step, self.high, out=step)

    def project(self, points: NDArray) -> NDArray:
        return np.clip(points, self.low, self.high).astype(self.low.dtype, copy=False)


class _ResponseBox(_Box):
    """Responses in the box [r(x - eps), r(x + eps)]; it is not a cube, so `reach` (n, features) is a feature's own."""

    def __init__(
        self,
        model: ResponseFront,
        eyes: Eyes,
        box: tuple[NDArray, NDArray],
        ends: tuple[NDArray, NDArray],
        reach: NDArray,
    ) -> None:
        super().__init__(eyes, *box, reach)
        self.model, self.ends = model, ends

    @classmethod
    def around(
        cls, model: ResponseFront, eyes: Eyes, centre: NDArray, lowest: NDArray, highest: NDArray
    ) -> _ResponseBox:
        low, high = (np.asarray(model.response(images)) for images in (lowest, highest))
        reach = np.maximum(high - centre, centre - low)
        return cls(model, eyes, (low, high), (lowest, highest), reach)

    def __getitem__(self, rows: RowNumbers) -> _ResponseBox:
        box, ends = ((low[rows], high[rows]) for low, high in ((self.low, self.high), self.ends))
        return _ResponseBox(self.model, self.eyes, box, ends, np.asarray(self.reach)[rows])

    def enter(self, images: NDArray) -> NDArray:
        return np.asarray(self.model.response(images))

    def images(self, points: NDArray) -> NDArray:
        images = np.asarray(self.model.response_inverse(points))
        return np.clip(images, *self.ends).astype(self.ends[0].dtype, copy=False)


class Ball(_AmongImages):
    """Images in the ball of a norm."""

    def __init__(self, eyes: Eyes, norm: Norm, X: NDArray, epsilon: float) -> None:
        self.eyes, self.norm, self.X, self.epsilon = eyes, norm, X, epsilon

    def __getitem__(self, rows: RowNumbers) -> Ball:
        return Ball(self.eyes, self.norm, self.X[rows], self.epsilon)

    def advance(self, points: NDArray, direction: NDArray, size: float | NDArray) -> NDArray:
        return self.project(points + size * self.epsilon * self.norm.steepest(direction))

    def project(self, points: NDArray) -> NDArray:
        return self.norm.project(points, self.X, self.epsilon)
