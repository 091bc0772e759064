"""Adversarial attacks, their worst case, and the audit that says whether to believe it.

``attack = PGD(n_steps=100); result = attack(model, X, y, epsilons=[0.1, 0.2])``. What a model must offer is
in `bioneuro.protocols`. A new attack is one subclass of `Attack` that writes ``run``, and one line in
`ATTACKS`.
"""

from .audit import audit
from .base import Attack, AttackResult, SampleRandom
from .combine import Ensemble, Transfer
from .goals import Goal, Targeted
from .gradient import FGSM, PGD
from .noise import GaussianNoise, UniformNoise
from .square import Square
from .worst_case import ATTACKS, worst_case

__all__ = [
    "ATTACKS",
    "FGSM",
    "PGD",
    "Attack",
    "AttackResult",
    "Ensemble",
    "GaussianNoise",
    "Goal",
    "SampleRandom",
    "Square",
    "Targeted",
    "Transfer",
    "UniformNoise",
    "audit",
    "worst_case",
]
