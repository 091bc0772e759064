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

A rule of your own is a dataclass with one method, here the covariance rule (Sejnowski 1977):

>>> from dataclasses import dataclass
>>> @dataclass(kw_only=True)
... class Covariance(bn.rules.AdditiveRule):
...     '''``dw_ij = eta (mean_b((y_bi - <y_i>) (x_bj - <x_j>)) - decay w_ij)``.'''
...
...     decay: float = 1.0
...
...     def delta(self, synapses, w, X, Y):
...         covariance = self.hebb(synapses, X - X.mean(axis=0), Y - Y.mean(axis=0))
...         return self.eta * (covariance - self.decay * w)
>>> excitatory = bn.connectivity.random(5, 8, in_degree=4, sign="E", random_state=0, dtype=float)
>>> Covariance(eta=0.5).step(excitatory, X, excitatory.forward(X))  # checked, sparse, and no weight below 0

``bn.rules.RULES["covariance"] = Covariance`` puts it beside the others. A rule that is no sum of strengths derives
from :class:`Rule` and writes ``change``.
"""

from __future__ import annotations

from bioneuro.rules.base import AdditiveRule, Rule, add_within_sign, batch_mean, on_synapses
from bioneuro.rules.bcm import BCM
from bioneuro.rules.exponential import Exponential
from bioneuro.rules.instar import Instar
from bioneuro.rules.krotov_hopfield import KrotovHopfield
from bioneuro.rules.log_power import LogPower
from bioneuro.rules.log_relaxation import LogRelaxation
from bioneuro.rules.oja import Oja
from bioneuro.rules.perturbation import WeightPerturbation
from bioneuro.rules.signed import Signed
from bioneuro.rules.vogels import Vogels

__all__ = [
    "BCM",
    "RULES",
    "AdditiveRule",
    "Exponential",
    "Instar",
    "KrotovHopfield",
    "LogPower",
    "LogRelaxation",
    "Oja",
    "Rule",
    "Signed",
    "Vogels",
    "WeightPerturbation",
    "add_within_sign",
    "batch_mean",
    "on_synapses",
]

#: Every rule by name.
RULES: dict[str, type[Rule]] = {
    "oja": Oja,
    "instar": Instar,
    "bcm": BCM,
    "vogels": Vogels,
    "krotov-hopfield": KrotovHopfield,
    "perturbation": WeightPerturbation,
    "log-power": LogPower,
    "log-relaxation": LogRelaxation,
    "exponential": Exponential,
    "signed": Signed,
}
