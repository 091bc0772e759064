"""The loss around samples, and along an attack's steps: what masked gradients look like.

Where the gradient says something, the loss rises along it faster than along a random direction, and smoothly; an
attack's loss rises with its steps and levels off. `bioneuro.plot.loss_landscape` and `bioneuro.plot.loss_by_step` draw
the frames.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import check_count, check_number
from ..extras import pandas
from ..protocols import Classifier, Loss, WhiteBox
from .answers import losses_of
from .goals import Goal
from .gradient import FGSM, PGD
from .inputs import check_budget, check_input, checked_names
from .norms import NORMS
from .sample_random import SampleRandom
from .spaces import offers_response

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["loss_by_step", "loss_landscape"]

#: The gradient's name and the other direction's, in the column ``direction``.
DIRECTIONS = ("gradient", "random")


def loss_landscape(
    model: WhiteBox,
    X: ArrayLike,
    y: ArrayLike,
    epsilon: float = 0.1,
    norm: str = "linf",
    *,
    loss: Loss = "margin",
    n_points: int = 21,
    reach: float = 2.0,
    random_state: int = 0,
) -> pd.DataFrame:
    """Loss on the way from each sample to where one gradient step leads, and to a random point of the same budget.

    Parameters
    ----------
    model : WhiteBox
        The gradient is what attacks follow: in the contrast response's space if the norm is Linf and the model offers
        it.
    X : array of shape (N, features), in [0, 1]
        Every sample is a line in a figure: a dozen do.
    y : array of shape (N,)
        True labels.
    epsilon : float > 0
        Budget of the two end points, at distance 1.
    norm : {"linf", "l2"}
    loss : {"ce", "margin"}
        Of both, the margin says more: it is positive where the sample is broken.
    n_points : int >= 2
        Points on a line, from 0 to `reach`.
    reach : float > 0
        How far to go, relative to the end points; pixels stop at 0 and at 1.
    random_state : int >= 0

    Returns
    -------
    DataFrame with columns sample, direction, distance, loss
        ``sample`` is the row of X, ``direction`` "gradient" or "random", ``distance`` in units of `norm` before pixels
        stop.

    Raises
    ------
    TypeError, ValueError
        As `Attack.__call__`; also n_points or reach out of range.
    ImportError
        pandas is not installed.
    """
    pd = pandas()
    check_count("n_points", n_points, 2)
    check_number("reach", reach, "> 0")
    images, labels, epsilon = _checked(model, X, y, epsilon, norm, random_state)
    frames = []
    with checked_names(model, X):
        ends = end_points(model, images, labels, epsilon, norm, loss, random_state)
        for direction, end in zip(DIRECTIONS, ends, strict=True):
            for share in np.linspace(0, reach, n_points):
                moved = np.clip(images + share * (end - images), 0, 1).astype(images.dtype)
                columns = {
                    "sample": np.arange(len(images)),
                    "direction": direction,
                    "distance": share * epsilon,
                    "loss": losses_of(model, moved, labels, loss),
                }
                frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True).sort_values(["sample", "direction", "distance"], ignore_index=True)


def end_points(
    model: WhiteBox, X: NDArray, y: NDArray, epsilon: float, norm: str, loss: Loss, random_state: int
) -> tuple[NDArray, NDArray]:
    """Where a step of full length along the gradient ends, and one along a random direction; both in the budget."""
    step = FGSM(norm=norm, loss=loss, random_state=random_state)
    gradient = step.attempt(model, X, Goal(y), epsilon)
    noise = NORMS[norm].steepest(SampleRandom(random_state, X).normal(X.shape[1]))
    return gradient, NORMS[norm].project(X + epsilon * noise, X, epsilon)


def loss_by_step(
    model: WhiteBox,
    X: ArrayLike,
    y: ArrayLike,
    epsilon: float = 0.1,
    norm: str = "linf",
    *,
    loss: Loss = "margin",
    n_steps: int = 100,
    random_state: int = 0,
) -> pd.DataFrame:
    """Loss of each sample at every step of PGD, which does not stop at the first success here.

    Parameters
    ----------
    model, X, y, epsilon, norm, loss, random_state
        See `loss_landscape`.
    n_steps : int >= 1

    Returns
    -------
    DataFrame with columns sample, step, loss
        Step 0 is the random start.

    Raises
    ------
    TypeError, ValueError
        As `Attack.__call__`.
    ImportError
        pandas is not installed.
    """
    pd = pandas()
    images, labels, epsilon = _checked(model, X, y, epsilon, norm, random_state)
    seen = _Recorder(model)
    attack = PGD(norm=norm, loss=loss, n_steps=n_steps, early_stop=False, random_state=random_state)
    with checked_names(model, X):
        last = attack.attempt(seen, images, Goal(labels), epsilon)
        losses = np.stack([losses_of(model, points, labels, loss) for points in [*seen.images, last]])
    step, sample = np.indices(losses.shape)
    columns = {"sample": sample.ravel(), "step": step.ravel(), "loss": losses.ravel()}
    return pd.DataFrame(columns).sort_values(["sample", "step"], ignore_index=True)


class _Recorder:
    """A model that keeps the images at which its gradient is asked for."""

    def __init__(self, model: WhiteBox) -> None:
        self.model = model
        self.images: list[NDArray] = []
        self.classes_, self.predict = model.classes_, model.predict
        self.decision_function = model.decision_function
        if offers_response(model):
            front: Any = model
            self.response, self.response_inverse = front.response, front.response_inverse
            self.response_gradient = self._recorded("response_gradient")
            if hasattr(model, "response_slope"):
                self.response_slope = front.response_slope

    def _recorded(self, name: str) -> Any:
        gradient = getattr(self.model, name)

        def recorded(X: NDArray, y: NDArray, loss: Loss = "ce") -> NDArray:
            self.images.append(np.array(X))
            return gradient(X, y, loss=loss)

        return recorded

    @property
    def input_gradient(self) -> Any:
        return self._recorded("input_gradient")


def _checked(
    model: Classifier, X: Any, y: Any, epsilon: float, norm: str, random_state: int
) -> tuple[NDArray, NDArray, float]:
    FGSM(norm=norm).check_model(model)
    check_count("random_state", random_state, 0)
    X, y, budgets = check_input(model, X, y, epsilon)
    return X, y, check_budget(budgets)
