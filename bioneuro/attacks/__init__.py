"""Adversarial attacks, their worst case, and the audit that says whether to believe it.

``attack = PGD(n_steps=100); result = attack(model, X, y, epsilons=[0.1, 0.2])``. What a model must offer is
in `bioneuro.protocols`. A new attack is one subclass of `Attack` that writes ``run``, and one line in
`ATTACKS`.
"""

from .apgd import APGD
from .audit import audit
from .base import Attack, AttackResult, SampleRandom
from .combine import Ensemble, Transfer
from .decision import CGBA, RayS
from .few_pixels import FewPixels
from .frank_wolfe import FrankWolfe
from .goals import Goal, Targeted
from .gradient import BIM, FGSM, PGD, GradientAttack
from .landscape import loss_by_step, loss_landscape
from .noise import GaussianNoise, SaltAndPepper, UniformNoise
from .registry import ATTACKS, TIERS
from .sparse import SparseRS
from .square import Square
from .surrogate import Adaptive
from .worst_case import WorstCase, worst_case

__all__ = [
    "APGD",
    "ATTACKS",
    "BIM",
    "CGBA",
    "FGSM",
    "PGD",
    "TIERS",
    "Adaptive",
    "Attack",
    "AttackResult",
    "Ensemble",
    "FewPixels",
    "FrankWolfe",
    "GaussianNoise",
    "Goal",
    "GradientAttack",
    "RayS",
    "SaltAndPepper",
    "SampleRandom",
    "SparseRS",
    "Square",
    "Targeted",
    "Transfer",
    "UniformNoise",
    "WorstCase",
    "audit",
    "loss_by_step",
    "loss_landscape",
    "worst_case",
]
