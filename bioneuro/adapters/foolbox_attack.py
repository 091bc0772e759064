"""An attack of Foolbox as one of ours: for `worst_case`, `Ensemble` and tables beside our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..attacks.base import Attack
from ..attacks.goals import Goal
from ..attacks.sample_random import SampleRandom
from ..estimators import class_index
from ..protocols import WhiteBox
from .image_model import ImageModel
from .wrap import require, to_foolbox

__all__ = ["FoolboxAttack"]


@dataclass
class FoolboxAttack(Attack):
    """An attack out of ``foolbox.attacks``, run on `to_foolbox` of the model, checked and counted as ours are.

    ``FoolboxAttack("L2CarliniWagnerAttack", {"steps": 100}, norm="l2")(model, X, y, epsilons=[0.5, 1.0])``. Unlike
    our own, Foolbox draws random numbers for a whole batch: results repeat with the same data and batch size only.

    Parameters
    ----------
    name : str
        Of a class in ``foolbox.attacks``.
    parameters : mapping of str to value
        Its arguments. ``distance``, of those attacks that work in any, is set to the norm.
    image_shape
        As in `to_foolbox`.
    norm : {"linf", "l2"}
        An attack that is told the budget must work in this norm; one that seeks the smallest perturbation in another
        (EAD in L1) counts where what it finds is inside the ball.
    random_state
        See `Attack`; the seed of torch during the attack.

    Raises
    ------
    ImportError
        foolbox or torch is not installed.
    ValueError
        There is no such attack, or it cannot work in this norm.
    """

    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    image_shape: tuple[int, ...] | None = None

    requires = ("predict", "classes_", "decision_function")

    def __post_init__(self) -> None:
        super().__post_init__()
        attack, seeks_smallest = self._made()
        if not seeks_smallest and attack.distance != self._distance():
            raise ValueError(f"{self.name} works in {attack.distance}, not in norm {self.norm!r}")

    def run(self, model: WhiteBox, X: NDArray, goal: Goal, epsilon: float, random: SampleRandom) -> NDArray:
        import torch
        from foolbox import criteria

        labels = torch.from_numpy(class_index(goal.true if goal.target is None else goal.target, model.classes_))
        criterion = criteria.Misclassification if goal.target is None else criteria.TargetedMisclassification
        view, (attack, seeks_smallest) = ImageModel(model, self.image_shape), self._made()
        images = view.unpacked(X)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(self.random_state))  # type: ignore[arg-type]  # a seed, once an Attack is made
            found, _, _ = attack(
                to_foolbox(model, image_shape=self.image_shape),
                torch.from_numpy(images.copy()),
                criterion(labels),
                epsilons=None if seeks_smallest else epsilon,
            )
        return view.rows(np.where(np.isfinite(found.numpy()), found.numpy(), images))

    def _distance(self) -> Any:
        import foolbox

        return getattr(foolbox.distances, self.norm)

    def _made(self) -> tuple[Any, bool]:
        """The attack, and whether it seeks the smallest perturbation."""
        require("torch", "attacks")
        require("foolbox", "attacks")
        from foolbox import attacks
        from foolbox.attacks.base import FlexibleDistanceMinimizationAttack, MinimizationAttack

        kind = getattr(attacks, self.name, None)
        if not isinstance(kind, type):
            raise ValueError(f"name must be that of a class in foolbox.attacks, got {self.name!r}")
        fixed = {"distance": self._distance()} if issubclass(kind, FlexibleDistanceMinimizationAttack) else {}
        return kind(**fixed | dict(self.parameters)), issubclass(kind, MinimizationAttack)
