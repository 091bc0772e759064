"""Train every model on the same data, take the same measurements of each and keep the results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray
from scipy import sparse

from ... import datasets
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
        Processes, which share the cores among them; None takes one a core, but no more than seeds. No value depends
        on it, save the seconds.
    names, settings
        See :func:`.models.chosen_models`; with names, more of them may be added later.

    Returns
    -------
    ModelLedger
        With the rows of earlier runs in the same folder.

    Raises
    ------
    UserError
        See `ModelLedger` and :func:`.models.chosen_models`; too few training images for a class; the ledger holds rows
        of a model that had other parameters.
    """
    from joblib import Parallel, cpu_count, delayed
    from tqdm.auto import tqdm

    # Fails before anything is written if there are too few images for the classes.
    stratified(data.y_train, plan.n_train, seed=0)
    models = chosen_models(MODELS, names, plan, settings)
    ledger = ModelLedger(out, asdict(plan) if plan.grand else configuration(plan), environment())
    if plan.grand:  # its configuration leaves room for more models, so rows name their parameters
        ledger.check_parameters(lambda name, seed: made_of(models[name].make(seed)), models)
    tasks = [
        (seed, missing)
        for seed in range(n_seeds)
        for group in _sharing(models)
        if (missing := {name: model for name, model in group.items() if not ledger.finished(name, seed)})
    ]
    n_jobs = min(n_jobs or cpu_count(), n_seeds)
    n_units = n_seeds * len(models)
    n_finished = n_units - sum(len(group) for _, group in tasks)
    with tqdm(total=n_units, initial=n_finished, desc=plan.dataset, unit="model", disable=None, leave=False) as bar:
        if n_jobs == 1:
            units = (unit for task in tasks for unit in _units(plan, data, out, *task, report=bar.set_description))
        else:
            results = Parallel(n_jobs, return_as="generator")(
                delayed(_all_units)(plan, data, out, *task) for task in tasks
            )
            units = (unit for result in results for unit in result)
        for unit in units:
            ledger.add_rows(unit)
            bar.update()
    return ledger


def _sharing(models: Mapping[str, ComparedModel]) -> list[dict[str, ComparedModel]]:
    """The models by name, those that share a network together."""
    groups: dict[Any, dict[str, ComparedModel]] = {}
    for name, model in models.items():
        groups.setdefault(model.make, {})[name] = model
    return list(groups.values())


def _units(
    plan: ComparisonPlan,
    data: datasets.Dataset,
    out: Path,
    seed: int,
    models: Mapping[str, ComparedModel],
    report: Callable[[str], None] = lambda stage: None,
) -> Iterator[list[Row]]:
    """The rows of one model after another, at one seed; `report` is called with what is being done."""
    trial = Trial(plan, data, seed)
    for name, model in models.items():
        unit = []
        for stage, measure in MEASUREMENTS.items():
            report(f"seed {seed}, {name}: {stage}")
            unit += [
                Row(name, model.readout, seed, found.metric, found.setting, float(found.value), found.note)
                for found in measure(model, trial)
            ]
        if seed == 0 and model.cells:
            _keep_weights(out, name, described_cells(model, trial))
        yield unit


def _all_units(*task: Any) -> list[list[Row]]:
    return list(_units(*task))


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


def _keep_weights(out: Path, name: str, W: sparse.csr_array) -> None:
    keep_arrays(_weights_path(out, name), weights=W.data)


def weight_samples(out: Path) -> Iterator[tuple[str, NDArray]]:
    """Name and weights at the first seed, once for each trained network."""
    seen = set()
    for name, model in MODELS.items():
        if model.rival or model.make in seen or not _weights_path(out, name).exists():
            continue
        seen.add(model.make)
        yield name, kept_arrays(_weights_path(out, name), ["weights"])["weights"]
