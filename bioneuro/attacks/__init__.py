"""Adversarial attacks, their worst case, and the audit that says whether to believe it.

``attack = PGD(n_steps=100); result = attack(model, X, y, epsilons=[0.1, 0.2])``. What a model must offer is
in `bioneuro.protocols`. A new attack is one subclass of `Attack` that writes ``run``, and one line in
`ATTACKS`.
"""

from .audit import audit
from .base import Attack, AttackResult, SampleRandom
from .combine import Ensemble, Transfer
from .decision import CGBA, RayS
from .goals import Goal, Targeted
from .gradient import FGSM, PGD
from .noise import GaussianNoise, SaltAndPepper, UniformNoise
from .sparse import SparseRS
from .square import Square
from .registry import ATTACKS, TIERS
from .surrogate import Adaptive, SurrogateView
from .worst_case import WorstCase, worst_case

__all__ = [
    "ATTACKS",
    "CGBA",
    "FGSM",
    "PGD",
    "RayS",
    "Attack",
    "AttackResult",
    "Ensemble",
    "GaussianNoise",
    "Goal",
    "SaltAndPepper",
    "SampleRandom",
    "SparseRS",
    "Square",
    "Targeted",
    "Transfer",
    "UniformNoise",
    "audit",
    "worst_case",
]
