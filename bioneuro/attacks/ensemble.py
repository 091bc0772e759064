"""Several attacks in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from numpy.typing import NDArray

from ..protocols import Classifier, WhiteBox
from .base import Attack, Composite
from .goals import Goal
from .sample_random import SampleRandom
from .survivors import attack_survivors

__all__ = ["Ensemble"]


@dataclass
class Ensemble(Composite):
    """Attacks in turn, each on what the earlier ones left standing: each sample's worst case of them all.

    Parameters
    ----------
    attacks : sequence of Attack
        Of one norm; put cheap and strong ones first.
    """

    attacks: Sequence[Attack]

    @property
    def parts(self) -> Sequence[Attack]:
        return self.attacks

    def run(self, model: WhiteBox, X: NDArray, goal: Goal, epsilon: float, random: SampleRandom) -> NDArray:
        attempts = [
            lambda rows, attack=attack: attack.attempt(model, X[rows], goal[rows], epsilon) for attack in self.attacks
        ]
        return attack_survivors(model, X, goal, attempts)

    def check_model(self, model: Classifier) -> None:
        for attack in self.attacks:
            attack.check_model(model)
