"""The models under attack: our network, its controls, and adversarial training as the ceiling.

A contender is one line of `CONTENDERS`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

from ... import baselines
from ...classifier import BioClassifier
from ..comparison.models import TRAINED_STEPS
from ..our_network import by_votes, contrast_of

__all__ = ["CEILING", "CONTENDERS", "CONTROL", "OURS", "ROBUST", "Contender", "Task", "contenders", "missing_modules"]

#: Parameters of `BioClassifier` that make it robust, by data set, chosen on validation images; the rest are defaults.
ROBUST: dict[str, dict[str, Any]] = {
    "mnist": {"encoder__exponent": 16.0, "encoder__n_columns": 128, "competition__beta": 6.0, "n_cells": 4000},
    "fashion-mnist": {
        "encoder__exponent": 8.0,
        "encoder__semi_saturation": 0.15,
        "encoder__c0": 2.0,
        "encoder__g0": 2.0,
        "encoder__gate_exponent": 2.0,
        "encoder__n_columns": 128,
        "competition__beta": 6.0,
        "n_cells": 4000,
    },
}

OURS, CONTROL, CEILING = "ours", "control", "adversarial training"
#: Weight decay of the perceptron "MLP, weight decay": of 0, .01, .3, 1, 2 and 4 the value with which most validation
#: images of digits withstand attack, at no loss of accuracy.
STRONG_DECAY = 1.0


class Task(NamedTuple):
    """The data set, and the Linf budget ``epsilon`` of adversarial training."""

    dataset: str
    epsilon: float


@dataclass(frozen=True)
class Contender:
    """A row of the table of robustness.

    Parameters
    ----------
    make : callable
        Unfitted network for a task and a seed, or, once bound to a task (:func:`contenders`), for a seed. Entries of
        the same ``make`` share one trained network and differ in what reads it.
    readout : str
        What `predict` returns.
    role : {"ours", "control", "adversarial training"}
    premise : str
        What a control has in common with our network that may alone explain its robustness.
    read : callable
        The fitted network as this entry reads it.
    needs : tuple of str
        Modules without which it cannot be made.
    """

    make: Callable[..., Any]
    readout: str = "softmax"
    role: str = CONTROL
    premise: str = ""
    read: Callable[[Any], Any] = lambda network: network
    needs: tuple[str, ...] = ()


def ours(task: Task, seed: int, **changed: Any) -> BioClassifier:
    """Our network for this data set."""
    return BioClassifier(**ROBUST.get(task.dataset, {}) | changed, random_state=seed)


def our_contrast(task: Task) -> tuple[float, float]:
    """Exponent and semi-saturation of our retina for this data set."""
    return contrast_of(ours(task, 0))


def _baseline(name: str, **parameters: Any) -> Callable[[Task, int], Any]:
    """Maker of a baseline whose parameters, where callable, depend on the task."""

    def make(task: Task, seed: int) -> Any:
        resolved = {key: value(task) if callable(value) else value for key, value in parameters.items()}
        network = baselines.make(name, **resolved)
        return network.set_params(random_state=seed) if "random_state" in network.get_params() else network

    return make


def _trained_against(task: Task) -> tuple[float, int]:
    return task.epsilon, TRAINED_STEPS


TORCH = ("torch",)
CONTRAST = "the contrast response of the retina"
CONTENDERS: dict[str, Contender] = {
    "bioneuro": Contender(ours, "delta", OURS),
    "bioneuro votes": Contender(ours, "votes", OURS, read=by_votes),
    "MLP": Contender(_baseline("mlp")),
    "MLP, weight decay": Contender(_baseline("mlp", weight_decay=STRONG_DECAY)),
    "MLP + contrast response": Contender(_baseline("mlp", contrast=our_contrast), premise=CONTRAST),
    "CNN": Contender(_baseline("cnn"), needs=TORCH),
    "CNN + contrast response": Contender(_baseline("cnn", contrast=our_contrast), premise=CONTRAST, needs=TORCH),
    "binarised CNN": Contender(_baseline("cnn", binarise=0.5), premise="a threshold on each pixel", needs=TORCH),
    "nearest neighbour": Contender(
        _baseline("nearest-neighbour"), "distances", premise="comparison with stored images"
    ),
    "MLP, adversarially trained": Contender(_baseline("mlp", adversarial=_trained_against), role=CEILING),
    "CNN, adversarially trained": Contender(_baseline("cnn", adversarial=_trained_against), role=CEILING, needs=TORCH),
}
#: Models whose adversarial images are tried on all others.
SOURCES = ("MLP", "CNN")


def missing_modules(contender: Contender) -> list[str]:
    """Those of `needs` that are not installed."""
    return [module for module in contender.needs if importlib.util.find_spec(module) is None]


def contenders(task: Task) -> dict[str, Contender]:
    """All contenders whose modules are installed, bound to a task: their ``make`` takes a seed."""
    bound = {contender.make: partial(contender.make, task) for contender in CONTENDERS.values()}
    return {
        name: replace(contender, make=bound[contender.make])
        for name, contender in CONTENDERS.items()
        if not missing_modules(contender)
    }
