"""One search of settings for every model: the same number of trials, the same seconds, validation images only."""

from __future__ import annotations

import json
import textwrap
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ... import datasets
from ..errors import UserError
from ..records.configuration import read_configuration
from ..records.text_table import markdown
from ..trial import seeing, validation_split

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Range", "TuningPlan", "best_trial", "chosen_settings", "search", "space_of", "tuning_lines"]

#: Parameters that are searched from a fifth of a model's default to five times that.
SCALES = (
    "learning_rate", "hidden_rate", "weight_decay", "beta", "sparsity", "perturbation", "competition__beta",
    "supervision__eta", "schedule__readout_eta",
)  # fmt: skip
SPREAD = 5.0


class Range(NamedTuple):
    """Where a parameter is searched, ends included; ``log``: evenly in its logarithm."""

    low: float
    high: float
    log: bool = False


#: Those whose range is the same whatever the default.
RANGES: dict[str, Range] = {
    "inhibitory": Range(0.05, 0.9),
    "momentum": Range(0.5, 0.98),
    "anti": Range(0.0, 0.8),
    "power": Range(1.0, 8.0),
    "step": Range(0.02, 0.5, True),
    "target": Range(0.03, 0.3, True),
    "hebb_rate": Range(0.01, 0.5, True),
    "dropout": Range(0.0, 0.7),
    "density": Range(0.05, 0.5, True),
}


@dataclass(frozen=True)
class TuningPlan:
    """What the log of a search depends on, besides the model.

    Parameters
    ----------
    dataset : str
    n_train, n_validation : int
        Images to learn from and to choose by, both of the training set.
    n_trials : int
        Settings tried; the first are the defaults.
    seconds : float
        Of processor time; no trial begins later than this. A clock on the wall would favour who ran while nobody else
        did.
    seed : int
        Of the images, of the search and of every model.
    """

    dataset: str
    n_train: int
    n_validation: int
    n_trials: int
    seconds: float
    seed: int = 0

    def __post_init__(self) -> None:
        available = datasets.DATASETS[self.dataset].n_train
        if self.n_train + self.n_validation > available:
            raise UserError(
                f"{self.n_train} images to learn from and {self.n_validation} to choose by are more than the "
                f"{available} training images of {self.dataset}"
            )


def space_of(model: Any) -> dict[str, Range]:
    """What is searched of a model: those of its parameters that are in :data:`SCALES` or :data:`RANGES`."""
    space = {}
    for name, default in model.get_params().items():
        if isinstance(default, bool) or not isinstance(default, int | float) or not default > 0:
            continue
        if name in SCALES:
            space[name] = Range(default / SPREAD, default * SPREAD, True)
        elif name in RANGES:
            space[name] = RANGES[name]
    return space


def search(name: str, make: Callable[[int], Any], plan: TuningPlan, data: datasets.Dataset) -> pd.DataFrame:
    """The log of a search: a row a trial, in order.

    Tree-structured Parzen estimators (optuna's default) propose settings by what was found so far. A trial that fails,
    by weights that grow beyond all bounds say, has no accuracy.

    Returns
    -------
    DataFrame
        Columns model, trial, accuracy (on the validation images), seconds (of processor time, of the trial),
        parameters (JSON).

    Raises
    ------
    UserError
        Nothing of the model can be searched.
    """
    import optuna
    import pandas as pd

    space = space_of(make(plan.seed))
    if not space:
        raise UserError(f"model {name!r} has nothing to tune")
    train, validation = validation_split(data, plan.n_train, plan.n_validation, plan.seed)
    rows: list[tuple[str, int, float, float, str]] = []

    def tried(trial: optuna.Trial) -> float:
        settings = {key: trial.suggest_float(key, *bounds[:2], log=bounds.log) for key, bounds in space.items()}
        start, accuracy = time.process_time(), float("nan")
        try:
            with np.errstate(all="ignore"):
                model = seeing(make(plan.seed).set_params(**settings), data.image_shape).fit(*train)
                accuracy = float(model.score(*validation))
        except (ValueError, FloatingPointError):
            raise optuna.TrialPruned from None
        finally:
            seconds = round(time.process_time() - start, 2)
            rows.append((name, trial.number, accuracy, seconds, json.dumps(settings, sort_keys=True)))
        return accuracy

    begin = time.process_time()

    def ended(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
        if time.process_time() - begin >= plan.seconds:
            study.stop()

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=plan.seed))
    defaults = make(plan.seed).get_params()
    study.enqueue_trial({key: min(max(float(defaults[key]), low), high) for key, (low, high, _) in space.items()})
    study.optimize(tried, n_trials=plan.n_trials, callbacks=[ended])
    return pd.DataFrame(rows, columns=["model", "trial", "accuracy", "seconds", "parameters"])


def best_trial(trials: pd.DataFrame) -> pd.Series | None:
    """The most accurate trial of a model, of equal ones the first; None where all failed."""
    found = trials["accuracy"]
    return None if found.isna().all() else trials.loc[found.idxmax()]


def chosen_settings(log: Path) -> dict[str, dict[str, float]]:
    """By model, the settings of the most accurate trial of its log; of equal ones the first.

    Raises
    ------
    UserError
        There is no such file, or it is no log.
    """
    import pandas as pd

    try:
        best = {name: best_trial(trials) for name, trials in pd.read_csv(log).groupby("model", sort=False)}
        return {name: json.loads(trial["parameters"]) for name, trial in best.items() if trial is not None}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(f"{log} is not the log of a search ({error}): see bioneuro tune --help") from error


def configuration(plan: TuningPlan) -> Mapping[str, Any]:
    """What the rows of a log share."""
    return asdict(plan) | {"scales": list(SCALES), "ranges": {name: list(bounds) for name, bounds in RANGES.items()}}


def tuning_lines(log: Path) -> str:
    """A section of the page, from a log and its configuration."""
    import pandas as pd

    frame, plan = pd.read_csv(log), read_configuration(log.with_suffix(".json"))[0]
    said = (
        f"`python -m bioneuro tune all --dataset {plan['dataset']} --n-train {plan['n_train']} --n-validation "
        f"{plan['n_validation']} --trials {plan['n_trials']} --seconds {plan['seconds']:g}`: the first trial of every "
        "model is its defaults; seconds are of processor time, and no trial begins later; all images, those to learn "
        "from and those to choose by, are of the training set. The best of several trials is flattered on so few "
        "images; what it is worth only test images say. Models without a line have nothing to tune or were not "
        "searched."
    )
    counts = frame.groupby("model", sort=False).size()
    short = [f"{name} ({n})" for name, n in counts.items() if n < plan["n_trials"]]
    if short:
        said += f" The seconds ended before the last trial of: {'; '.join(short)}."
    lines = [
        f"## Tuning on {plan['dataset']}",
        "",
        textwrap.fill(said, 120, break_on_hyphens=False),
        "",
    ]
    rows = []
    for name, trials in frame.groupby("model", sort=False):
        best = best_trial(trials)
        if best is None:
            rows.append([name, f"{len(trials)}", "-", "-", "every trial failed"])
            continue
        default = trials.loc[trials["trial"] == 0, "accuracy"].iloc[0]
        settings = ", ".join(f"{key} {value:.3g}" for key, value in json.loads(best["parameters"]).items())
        found = settings if best["trial"] else "its defaults"
        rows.append([name, f"{len(trials)}", f"{100 * default:.1f}", f"{100 * best['accuracy']:.1f}", found])
    return "\n".join([*lines, markdown(["", "trials", "default, %", "best, %", "settings of the best"], rows)])
