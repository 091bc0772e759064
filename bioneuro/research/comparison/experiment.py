"""Train every model on the same data, take the same measurements of each and keep the results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from ... import datasets
from ..execution import succeeded
from ..records.arrays import keep_arrays, kept_arrays
from ..records.environment import environment
from ..records.ledger import ModelLedger, Row
from ..trial import Trial, stratified
from .measurements import MEASUREMENTS, described_cells, made_of
from .models import MODELS, ComparedModel, chosen_models
from .plan import ComparisonPlan

__all__ = ["run", "weight_samples"]


def run(
    plan: ComparisonPlan,
    data: datasets.Dataset,
    out: Path,
    n_seeds: int,
    n_jobs: int | None = None,
    names: Sequence[str] | None = None,
    settings: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    scheduler: str | None = None,
) -> ModelLedger:
    """Measure models at seeds 0 to ``n_seeds - 1``; units that are in ``out`` already are not run again.

    Parameters
    ----------
    plan : ComparisonPlan
    data : Dataset
    out : Path
        Folder of the ledger, and of the weights of the first seed for the figures.
    n_seeds : int >= 1
    n_jobs : int >= 1 or None
        Processes that share the networks and seeds; None: one for each processor. No value depends on it, save the
        seconds.
    names, settings
        See :func:`.models.chosen_models`; with names, more of them may be added later.
    scheduler : str or None
        Address of a Dask cluster that measures them instead.

    Returns
    -------
    ModelLedger
        With the rows of earlier runs in the same folder.

    Raises
    ------
    UserError
        See `ModelLedger` and :func:`.models.chosen_models`; too few training images for a class; the ledger holds rows
        of a model that had other parameters.
    UnitsFailedError
        Networks failed; what was found of all others is kept.
    """
    # Fails before anything is written if there are too few images for the classes.
    stratified(data.y_train, plan.n_train, seed=0)
    models = chosen_models(MODELS, names, plan, settings)
    ledger = ModelLedger(out, asdict(plan) if plan.grand else configuration(plan), environment())
    if plan.grand:  # its configuration leaves room for more models, so rows name their parameters
        ledger.check_parameters(lambda name, seed: made_of(models[name].make(seed)), models)
    networks = [(seed, group) for seed in range(n_seeds) for group in _sharing(models)]
    units = [
        (seed, missing)
        for seed, group in networks
        if (missing := {name: model for name, model in group.items() if not ledger.finished(name, seed)})
    ]
    for _, found in succeeded(
        partial(_measured, plan, data),
        units,
        [f"{' and '.join(group)}, seed {seed}" for seed, group in units],
        n_jobs=n_jobs,
        scheduler=scheduler,
        description=plan.dataset,
        unit="network",
        n_finished=len(networks) - len(units),
    ):
        for name, (rows, weights) in found.items():
            if weights is not None:
                keep_arrays(_weights_path(out, name), weights=weights)
            ledger.add_rows(rows)
    return ledger


def _sharing(models: Mapping[str, ComparedModel]) -> list[dict[str, ComparedModel]]:
    """The models by name, those that share a network together."""
    groups: dict[Any, dict[str, ComparedModel]] = {}
    for name, model in models.items():
        groups.setdefault(model.make, {})[name] = model
    return list(groups.values())


def _measured(
    plan: ComparisonPlan, data: datasets.Dataset, seed: int, models: Mapping[str, ComparedModel]
) -> dict[str, tuple[list[Row], NDArray | None]]:
    """Of models that share a network, at one seed: rows, and of the first seed the weights that are described."""
    trial, found = Trial(plan, data, seed), {}
    for name, model in models.items():
        rows = [
            Row(name, model.readout, seed, measured.metric, measured.setting, float(measured.value), measured.note)
            for measure in MEASUREMENTS.values()
            for measured in measure(model, trial)
        ]
        described = seed == 0 and model.cells
        found[name] = rows, described_cells(model, trial).data if described else None
    return found


def configuration(plan: ComparisonPlan) -> dict[str, Any]:
    """The plan and every parameter of every model, which all rows of a ledger share."""
    models = {
        name: {key: repr(value) for key, value in model.make(0).get_params().items()}
        for name, model in MODELS.items()
        if not model.rival
    }
    return {**asdict(plan), "models": models}


# --- weights for the figures ---


def _weights_path(out: Path, name: str) -> Path:
    return out / "weights" / f"{name.replace(' ', '_')}.npz"


def weight_samples(out: Path) -> Iterator[tuple[str, NDArray]]:
    """Name and weights at the first seed, once for each trained network."""
    seen = set()
    for name, model in MODELS.items():
        if model.rival or model.make in seen or not _weights_path(out, name).exists():
            continue
        seen.add(model.make)
        yield name, kept_arrays(_weights_path(out, name), ["weights"])["weights"]
