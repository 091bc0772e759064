"""Plasticity rules: pre- and post-synaptic rates in, a change of the stored weights out. One rule a file.

A rule does not care how rates come about, and so goes with any response:

>>> import numpy as np, bioneuro as bn
>>> X = np.random.default_rng(0).normal(size=(500, 8)) * np.sqrt([4, 1, 1, 1, 1, 1, 1, 1])
>>> synapses = bn.connectivity.dense(1, 8, random_state=0, dtype=float)
>>> rule = bn.rules.Oja(eta=0.05)
>>> for _ in range(300):
...     rule.step(synapses, X, synapses.forward(X))
>>> int(abs(synapses.weights).argmax())  # the input of largest variance
0

Rules are values: frozen parameters, equal where these are. What a rule gathers, it keeps on the pathway it learns on:

>>> rule == bn.rules.Oja(eta=0.05), synapses.traces
(True, {'steps': 300})
>>> synapses.forget()  # the next step is the first again

A rule of your own is a frozen dataclass with one method, here the covariance rule (Sejnowski 1977) with running means,
those of ``Y`` remembered by itself, those of ``X`` observed by the pathway:

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True, kw_only=True)
... class Covariance(bn.rules.AdditiveRule):
...     '''``dw_ij = eta (mean_b((y_bi - <y_i>) (x_bj - <x_j>)) - decay w_ij)``.'''
...
...     decay: float = 1.0
...
...     observes = True
...
...     def delta(self, synapses, w, X, Y):
...         mean = self.recall(synapses, "mean")
...         mean = Y.mean(axis=0) if mean is None else 0.9 * mean + 0.1 * Y.mean(axis=0)
...         self.remember(synapses, mean=mean)
...         return self.eta * (self.hebb(synapses, X - synapses.pre_mean, Y - mean) - self.decay * w)
>>> excitatory = bn.connectivity.random(5, 8, in_degree=4, sign="E", random_state=0, dtype=float)
>>> Covariance(eta=0.5).step(excitatory, X, excitatory.forward(X))  # checked, sparse, and no weight below 0

``bn.rules.RULES["covariance"] = Covariance`` puts it beside the others. A rule that is no sum of strengths derives
from :class:`Rule` and writes ``change``. Where parameters and memory are not needed, a plain function will do, which
gives the change of the stored weights:

>>> def hebb(synapses, X, Y, gain):
...     return bn.rules.on_synapses(synapses, gain) * synapses.weight_grad(X, Y) / len(X)
>>> bn.rules.as_rule(hebb).step(excitatory, X, excitatory.forward(X))
"""

from __future__ import annotations

from collections.abc import Callable

from numpy.typing import NDArray

from .base import AdditiveRule, Rule, add_within_sign, batch_mean, check_rates, on_synapses
from .bcm import BCM
from .contrastive import Contrastive
from .exponential import Exponential
from .function import ARGUMENTS, FunctionRule, is_rule_function
from .fused import FusedRule
from .instar import Instar
from .krotov_hopfield import KrotovHopfield
from .log_covariance import LogCovariance
from .log_power import LogPower
from .log_relaxation import LogRelaxation
from .oja import Oja
from .perturbation import WeightPerturbation
from .predictive_coding import PredictiveCoding
from .presynaptic_competition import PresynapticCompetition
from .sanger import Sanger
from .signed import Signed
from .soft_hebb import SoftHebb
from .transmitters import TransmitterCompetition
from .turnover import Turnover
from .vogels import Vogels

__all__ = [
    "BCM",
    "RULES",
    "AdditiveRule",
    "Contrastive",
    "Exponential",
    "FunctionRule",
    "FusedRule",
    "Instar",
    "KrotovHopfield",
    "LogCovariance",
    "LogPower",
    "LogRelaxation",
    "Oja",
    "PredictiveCoding",
    "PresynapticCompetition",
    "Rule",
    "RuleLike",
    "Sanger",
    "Signed",
    "SoftHebb",
    "TransmitterCompetition",
    "Turnover",
    "Vogels",
    "WeightPerturbation",
    "add_within_sign",
    "as_rule",
    "batch_mean",
    "check_rates",
    "on_synapses",
]

#: What a parameter ``rule`` may be: a name in :data:`RULES`, a rule, or a plain function (:func:`as_rule`).
RuleLike = str | Rule | Callable[..., NDArray]

#: Every rule by name.
RULES: dict[str, type[Rule]] = {
    "oja": Oja,
    "instar": Instar,
    "bcm": BCM,
    "vogels": Vogels,
    "krotov-hopfield": KrotovHopfield,
    "soft-hebb": SoftHebb,
    "sanger": Sanger,
    "contrastive": Contrastive,
    "predictive-coding": PredictiveCoding,
    "presynaptic-competition": PresynapticCompetition,
    "perturbation": WeightPerturbation,
    "log-covariance": LogCovariance,
    "log-power": LogPower,
    "log-relaxation": LogRelaxation,
    "exponential": Exponential,
    "signed": Signed,
}


def as_rule(rule: RuleLike) -> Rule:
    """The rule that a parameter stands for.

    Parameters
    ----------
    rule : str, Rule or function
        A name in :data:`RULES`, for that rule with its defaults; a rule, which is returned; or a function of
        ``(synapses, X, Y, gain)``, for a :class:`FunctionRule`.

    Returns
    -------
    Rule

    Raises
    ------
    ValueError
        No rule has that name.
    TypeError
        None of the three.
    """
    if isinstance(rule, Rule):
        return rule
    if is_rule_function(rule):
        return FunctionRule(function=rule)
    wanted = f"rule must be one of {', '.join(map(repr, RULES))}, a Rule or a function of ({', '.join(ARGUMENTS)})"
    if not isinstance(rule, str):
        hint = f" (a class: make a rule of it, {rule.__name__}(...))" if isinstance(rule, type) else ""
        raise TypeError(f"{wanted}, got {rule!r}{hint}")
    if rule not in RULES:
        raise ValueError(f"{wanted}, got {rule!r}")
    return RULES[rule]()
