"""Attacks made of attacks: crafted on another model (`Transfer`), or several in turn (`Ensemble`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..protocols import Classifier, WhiteBox
from .base import Attack, SampleRandom, attack_survivors
from .goals import Goal
from .gradient import PGD
from .norms import NORMS

__all__ = ["Ensemble", "Transfer"]


@dataclass
class Transfer(Attack):
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
    norm: str = field(init=False, kw_only=True)
    random_state: int | np.random.Generator | None = field(default=0, init=False, kw_only=True)

    norms: ClassVar[tuple[str, ...]] = tuple(NORMS)

    def __post_init__(self) -> None:
        self.norm = self.attack.norm
        super().__post_init__()

    def run(self, model: Classifier, X: NDArray, goal: Goal, epsilon: float, random: SampleRandom) -> NDArray:
        return self.attack.attempt(self.source_model, X, goal, epsilon)

    def check_model(self, model: Classifier) -> None:
        super().check_model(model)
        self.attack.check_model(self.source_model)
        if not np.array_equal(model.classes_, self.source_model.classes_):
            raise ValueError(
                f"source_model has classes {self.source_model.classes_}, the attacked model {model.classes_}"
            )


@dataclass
class Ensemble(Attack):
    """Attacks in turn, each on what the earlier ones left standing: each sample's worst case of them all.

    Parameters
    ----------
    attacks : sequence of Attack
        Of one norm; put cheap and strong ones first.
    """

    attacks: Sequence[Attack]
    norm: str = field(init=False, kw_only=True)
    random_state: int | np.random.Generator | None = field(default=0, init=False, kw_only=True)

    norms: ClassVar[tuple[str, ...]] = tuple(NORMS)

    def __post_init__(self) -> None:
        norms = {attack.norm for attack in self.attacks}
        if len(norms) != 1:
            raise ValueError(f"attacks must be at least one, all of one norm; got norms {sorted(norms)}")
        (self.norm,) = norms
        super().__post_init__()

    def run(self, model: WhiteBox, X: NDArray, goal: Goal, epsilon: float, random: SampleRandom) -> NDArray:
        attempts = [
            lambda rows, attack=attack: attack.attempt(model, X[rows], goal[rows], epsilon) for attack in self.attacks
        ]
        return attack_survivors(model, X, goal, attempts)

    def check_model(self, model: Classifier) -> None:
        for attack in self.attacks:
            attack.check_model(model)
