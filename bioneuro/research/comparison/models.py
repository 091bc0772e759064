"""What is compared: our network by its readouts, and its rivals. A model is one line of `MODELS`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from ... import baselines
from ...baselines import BackpropMLP
from ...classifier import BioClassifier
from ..errors import UserError
from ..our_network import by_votes, contrast_of
from .plan import ComparisonPlan

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MODELS", "ComparedModel", "chosen_models", "in_order", "sides"]


@dataclass(frozen=True)
class ComparedModel:
    """A row of the comparison: a network, and what of it is measured.

    Entries with the same `make` share one trained network and differ in what reads it.

    Parameters
    ----------
    make : callable
        Unfitted network for a seed.
    readout : str
        What `predict` returns.
    cells : str
        Pathway onto the cells whose afferent weights are described; these cells have its name as a population, where
        they make synapses. "": it has none.
    read : callable
        The fitted network as this entry reads it.
    ours : bool
        Set against the other models in the table of differences.
    rival : bool
        Compared only where it is asked for.
    needs : tuple of str
        Modules without which it cannot be made.
    against_attacks : bool
        Trained against the largest Linf budget of the plan.
    """

    make: Callable[[int], Any]
    readout: str
    cells: str
    read: Callable[[Any], Any] = lambda network: network
    ours: bool = False
    rival: bool = False
    needs: tuple[str, ...] = ()
    against_attacks: bool = False


def _bioneuro(seed: int) -> BioClassifier:
    return BioClassifier(random_state=seed)


def _mlp(seed: int) -> BackpropMLP:
    return BackpropMLP(random_state=seed)


def _mlp_behind_contrast(seed: int) -> BackpropMLP:
    return BackpropMLP(contrast=contrast_of(BioClassifier()), random_state=seed)


MODELS: dict[str, ComparedModel] = {
    "bioneuro": ComparedModel(_bioneuro, "delta", "association", ours=True),
    "bioneuro votes": ComparedModel(_bioneuro, "votes", "association", read=by_votes, ours=True),
    "MLP": ComparedModel(_mlp, "softmax", "hidden_1"),
    "MLP + contrast response": ComparedModel(_mlp_behind_contrast, "softmax", "hidden_1"),
}


def _rival(name: str, seed: int) -> Any:
    model = baselines.make(name)
    return model.set_params(random_state=seed) if "random_state" in model.get_params() else model


def _added(name: str, readout: str = "softmax", cells: str = "hidden_1", **others: Any) -> ComparedModel:
    return ComparedModel(partial(_rival, name), readout, cells, rival=True, **others)


#: Baselines that are no row of their own above, by what is special about them.
_UNLIKE_A_PERCEPTRON: dict[str, dict[str, Any]] = {
    "cnn": {"needs": ("torch",)},
    "nearest-neighbour": {"readout": "distances", "cells": "samples"},
    "class-means": {"readout": "distances", "cells": "output"},
    "streaming-lda": {"readout": "linear", "cells": "output"},
    "streaming-least-squares": {"readout": "linear", "cells": "output"},
    "exemplars": {"readout": "cosines", "cells": "samples"},
}
MODELS |= {name: _added(name, **_UNLIKE_A_PERCEPTRON.get(name, {})) for name in baselines.BASELINES if name != "mlp"}
MODELS |= {
    "mlp, adversarially trained": _added("mlp", against_attacks=True),
    "cnn, adversarially trained": _added("cnn", needs=("torch",), against_attacks=True),
}

#: Steps of the attacks that networks are trained against.
TRAINED_STEPS = 7


def chosen_models(
    models: Mapping[str, ComparedModel],
    names: Sequence[str] | None,
    plan: ComparisonPlan,
    settings: Mapping[str, Mapping[str, Any]],
) -> dict[str, ComparedModel]:
    """The models of a comparison, their ``make`` bound to its plan; those that share a network still do.

    Parameters
    ----------
    models : dict of str to ComparedModel
    names : sequence of str or None
        None: those that are no rivals. ``"all"``: those whose modules are installed.
    plan : ComparisonPlan
    settings : dict of str to dict
        Parameters by model, in place of its defaults; without any of its own a model has those of the first that reads
        the same network.

    Raises
    ------
    UserError
        No model has that name, or its modules are not installed.
    """
    if names is None:
        return {name: model for name, model in models.items() if not model.rival}
    if "all" in names:
        names = [name for name, model in models.items() if not _missing(model)]
    for name in names:
        if name not in models:
            raise UserError(f"unknown model {name!r}: choose from all, {', '.join(models)}")
        if missing := _missing(models[name]):
            raise UserError(f"model {name!r} needs {', '.join(missing)}, which is not installed")
    bound: dict[Any, Any] = {}
    chosen = {}
    for name in dict.fromkeys(names):
        model = models[name]
        network = next(first for first, other in models.items() if other.make == model.make)
        changed = dict(settings.get(name, settings.get(network, {})))
        if model.against_attacks:
            changed["adversarial"] = (max(plan.epsilons), TRAINED_STEPS)
        key = model.make, repr(sorted(changed.items()))
        chosen[name] = replace(model, make=bound.setdefault(key, partial(_made, model.make, changed)))
    return chosen


def _made(make: Callable[[int], Any], changed: Mapping[str, Any], seed: int) -> Any:
    return make(seed).set_params(**changed)


def _missing(model: ComparedModel) -> list[str]:
    return [module for module in model.needs if importlib.util.find_spec(module) is None]


def sides() -> tuple[list[str], list[str]]:
    """Our models, and the references that each of them is set against."""
    ours = [name for name, model in MODELS.items() if model.ours]
    return ours, [name for name, model in MODELS.items() if not (model.ours or model.rival)]


def in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of a ledger by seed, then as `MODELS` has their models: a ledger has them as processes ended."""
    places = {name: i for i, name in enumerate(MODELS)}
    order = frame["seed"] * (len(places) + 1) + frame["model"].map(places).fillna(len(places))
    return frame.iloc[order.argsort(kind="stable")].reset_index(drop=True)
