"""Images crafted on another model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..protocols import Classifier, WhiteBox
from .base import Attack, Composite
from .goals import Goal
from .gradient import PGD
from .sample_random import SampleRandom

__all__ = ["Transfer"]


@dataclass
class Transfer(Composite):
    """Adversarial images crafted on another model, tried on this one: sees through masked gradients.

    Parameters
    ----------
    source_model : WhiteBox (or what `attack` needs)
        Its ``classes_`` must be those of the attacked model.
    attack : Attack
        Run against `source_model`. The default, PGD with momentum 1 that does not stop at the first
        success, makes images that transfer well; an attack that stops early barely crosses the source's own
        boundary.
    """

    source_model: WhiteBox
    attack: Attack = field(default_factory=lambda: PGD(momentum=1.0, early_stop=False))

    @property
    def parts(self) -> Sequence[Attack]:
        return [self.attack]

    def run(self, model: Classifier, X: NDArray, goal: Goal, epsilon: float, random: SampleRandom) -> NDArray:
        return self.attack.attempt(self.source_model, X, goal, epsilon)

    def check_model(self, model: Classifier) -> None:
        super().check_model(model)
        self.attack.check_model(self.source_model)
        if not np.array_equal(model.classes_, self.source_model.classes_):
            raise ValueError(
                f"source_model has classes {self.source_model.classes_}, the attacked model {model.classes_}"
            )
