"""Adaptive attacks: the gradient of a variant of the model that misleads less, the labels of the model itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..protocols import Classifier, WhiteBox
from .answers import predict
from .base import Attack, Composite
from .goals import Goal
from .sample_random import SampleRandom
from .survivors import attack_survivors

__all__ = ["Adaptive", "SurrogateView", "offered_surrogates"]

#: What a view does not pass on: logits and gradient in one call, of which an attack may take the labels too.
HIDDEN = ("input_vjp", "response_vjp", "surrogates")


class SurrogateView:
    """Labels are those of one model, logits and gradients those of another.

    A gradient attack on it climbs the surrogate's loss and stops a sample as soon as the true model is wrong: it need
    not know that there are two.

    Parameters
    ----------
    model : Classifier
        Whose ``predict`` and ``classes_`` count.
    surrogate : WhiteBox
        Of the same classes; everything else is its own (``response`` methods too, if it has them).
    """

    def __init__(self, model: Classifier, surrogate: WhiteBox) -> None:
        self._model, self._surrogate = model, surrogate
        self.classes_ = model.classes_

    def predict(self, X: NDArray) -> NDArray:
        return predict(self._model, X)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name in HIDDEN:  # private ones too: a view being copied has no surrogate yet
            raise AttributeError(f"{type(self).__name__} has no {name!r}")
        return getattr(self._surrogate, name)


def offered_surrogates(model: Classifier) -> Mapping[str, WhiteBox]:
    """``model.surrogates()``, checked; empty if the model offers none (`bioneuro.protocols.Surrogates`).

    Raises
    ------
    ValueError
        A surrogate has other classes than the model.
    """
    if not hasattr(model, "surrogates"):
        return {}
    offered: Mapping[str, WhiteBox] = model.surrogates()
    for name, surrogate in offered.items():
        if not np.array_equal(surrogate.classes_, model.classes_):
            raise ValueError(
                f"surrogate {name!r} of {type(model).__name__} has classes {surrogate.classes_}, "
                f"the model {model.classes_}"
            )
    return offered


@dataclass
class Adaptive(Composite):
    """A gradient attack through a surrogate that the model offers (Tramer et al. 2020, arXiv 2002.08347).

    The gradient is that of the surrogate, for example of softer competition; whether a sample is broken is asked of
    the model itself, after every step.

    Parameters
    ----------
    attack : Attack
        Such as `PGD` or `APGD`; should stop early, as it does by default.
    surrogate : str or None
        Name out of ``model.surrogates()``; None tries all in turn, each on what still stands.
    """

    attack: Attack
    surrogate: str | None = None

    @property
    def parts(self) -> Sequence[Attack]:
        return [self.attack]

    def run(self, model: Classifier, X: NDArray, goal: Goal, epsilon: float, random: SampleRandom) -> NDArray:
        attempts = [
            lambda rows, view=view: self.attack.attempt(view, X[rows], goal[rows], epsilon)
            for view in self._views(model)
        ]
        return attack_survivors(model, X, goal, attempts)

    def _views(self, model: Classifier) -> list[SurrogateView]:
        offered = offered_surrogates(model)
        names = list(offered) if self.surrogate is None else [self.surrogate]
        return [SurrogateView(model, offered[name]) for name in names]

    def check_model(self, model: Classifier) -> None:
        super().check_model(model)
        offered = offered_surrogates(model)
        if not offered:
            raise TypeError(f"Adaptive needs surrogates, which {type(model).__name__} does not offer")
        if self.surrogate is not None and self.surrogate not in offered:
            raise ValueError(
                f"surrogate must be one that {type(model).__name__} offers, {', '.join(offered)}; "
                f"got {self.surrogate!r}"
            )
        for view in self._views(model):
            self.attack.check_model(view)
