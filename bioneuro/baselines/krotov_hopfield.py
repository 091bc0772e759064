"""Krotov and Hopfield's competing hidden units, and a linear readout of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..checks import Integer, Number
from ..rules import KrotovHopfield, add_within_sign
from .unsupervised import LONG, ToInput, UnsupervisedClassifier

__all__ = ["KrotovHopfieldClassifier"]


@dataclass(kw_only=True, eq=False, repr=False)
class KrotovHopfieldClassifier(UnsupervisedClassifier):
    """Hidden cells learn by :class:`bioneuro.rules.KrotovHopfield`; their rates are ``h = ((W r)+)^power``.

    As in the authors' code each step is scaled so that the synapse that changes most changes by ``hidden_rate``, which
    falls linearly. The readout is softmax regression, where theirs is ``tanh(beta S h)`` with the error to the power
    of 6.

    Parameters
    ----------
    k : int >= 2
        Rank of the cell that unlearns; at most ``n_hidden``.
    anti : float >= 0
        How much it unlearns.
    power : float >= 1
        Of the rates.
    n_hidden and all others
        See :class:`~bioneuro.baselines.unsupervised.UnsupervisedClassifier`.

    References
    ----------
    Krotov & Hopfield 2019, Unsupervised learning by competing hidden units, PNAS 116:7723.
    """

    k: int = 2
    anti: float = 0.4
    power: float = 4.5
    hidden_rate: float = 0.2

    first_length = LONG

    constraints = {"n_hidden": (Integer(2),), "k": (Integer(2),), "anti": (Number(0),), "power": (Number(1),)}

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.k > self.n_hidden:
            raise ValueError(f"k must be at most n_hidden = {self.n_hidden}, got {self.k}")

    def _hidden_step(self, R: NDArray, rate: float) -> None:
        rule = KrotovHopfield(eta=1.0, k=self.k, anti=float(self.anti))
        change = rule.delta(self.hidden_, self.hidden_.weights, R, self._drive(R))
        add_within_sign(self.hidden_, change * (rate / max(float(np.abs(change).max()), np.finfo(change.dtype).tiny)))

    def _respond(self, R: NDArray) -> tuple[NDArray, ToInput]:
        a = np.maximum(self._drive(R), 0)
        power = float(self.power)
        return a**power, lambda dh: self._drive_back(dh * power * a ** (power - 1))
