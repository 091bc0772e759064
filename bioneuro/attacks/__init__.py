"""Adversarial attacks, their worst case, and the audit that says whether to believe it.

``attack = PGD(n_steps=100); result = attack(model, X, y, epsilons=[0.1, 0.2])``. What a model must offer is
in `bioneuro.protocols`. A new attack is one file with a subclass of `Attack`, and its lines in `registry`.
"""

from . import registry
from .audit import audit
from .base import Attack, AttackResult
from .goals import Goal, Targeted
from .gradient import GradientAttack
from .landscape import loss_by_step, loss_landscape
from .registry import *  # noqa: F403  its `__all__` is the one list of attacks
from .sample_random import SampleRandom
from .worst_case import WorstCase, worst_case

__all__ = [
    "Attack",
    "AttackResult",
    "Goal",
    "GradientAttack",
    "SampleRandom",
    "Targeted",
    "WorstCase",
    "audit",
    "loss_by_step",
    "loss_landscape",
    "worst_case",
]
__all__ += registry.__all__
