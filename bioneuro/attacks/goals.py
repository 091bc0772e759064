"""What an attack wants of each sample: any wrong label, or one label of the attacker's choice."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..checks import unknown_labels

__all__ = ["Criterion", "Goal", "Targeted", "as_goal"]


@dataclass(frozen=True, eq=False)
class Targeted:
    """Criterion of success: the sample is given this label.

    Parameters
    ----------
    labels : label or array of shape (N,)
        Out of ``model.classes_``, none of them the sample's true one; a single label is for all samples.
    """

    labels: ArrayLike


Criterion = Literal["untargeted"] | Targeted


@dataclass(frozen=True, eq=False)
class Goal:
    """The criterion for the samples of one batch; ``goal[rows]`` is that of some of them.

    Attributes
    ----------
    true : ndarray of shape (n,)
        True labels.
    target : ndarray of shape (n,) or None
        Labels to reach; None is any wrong one.
    aim : ndarray of shape (n,) or None
        Labels that the losses move towards, `target` if there is one; None moves away from the true labels.
    """

    true: NDArray
    target: NDArray | None = None
    aim: NDArray | None = None

    def __post_init__(self) -> None:
        if self.aim is None:
            object.__setattr__(self, "aim", self.target)

    def __len__(self) -> int:
        return len(self.true)

    def __getitem__(self, rows: NDArray | slice) -> Goal:
        target, aim = (None if labels is None else labels[rows] for labels in (self.target, self.aim))
        return Goal(self.true[rows], target, aim)

    def towards(self, labels: NDArray) -> Goal:
        """The same criterion, sought by way of these labels (n,)."""
        return replace(self, aim=labels)

    def is_adversarial(self, predicted: NDArray) -> NDArray[np.bool_]:
        """Which of the predicted labels (n,) are what the attack wants, (n,)."""
        return predicted != self.true if self.target is None else predicted == self.target

    @property
    def labels(self) -> NDArray:
        """The labels that the losses are about: those to leave, or those to reach."""
        return self.true if self.aim is None else self.aim

    @property
    def sign(self) -> int:
        """``sign * loss(labels)`` is what to ascend: away from the true label, or towards another."""
        return 1 if self.aim is None else -1


def as_goal(criterion: Criterion, y: NDArray, classes: NDArray) -> Goal:
    """The goal for samples with true labels y, or an exception that names what is wrong with the criterion."""
    if isinstance(criterion, str) and criterion == "untargeted":
        return Goal(y)
    if not isinstance(criterion, Targeted):
        raise ValueError(f'criterion must be "untargeted" or Targeted(labels), got {criterion!r}')
    target = np.asarray(criterion.labels)
    if target.shape not in ((), y.shape):
        raise ValueError(
            f"Targeted labels must be one label or one for each of {len(y)} rows, got shape {target.shape}"
        )
    target = np.broadcast_to(target, y.shape)
    for wrong, problem in (
        (unknown_labels(target, classes), "must be out of model.classes_"),
        (np.flatnonzero(target == y), "must differ from the true ones"),
    ):
        if wrong.size:
            row = wrong[0]
            raise ValueError(f"Targeted labels {problem}; that of row {row} is {target[row]!r}")
    return Goal(y, target)
