"""Train every contender on the same images, attack it with all attacks, audit the attack, and keep the results.

Rows go to a ledger. Beside it is kept which images each model gets right, clean and under attack, since differences
between models are paired image by image, and a few adversarial images.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ... import attacks, datasets
from ...attacks.answers import predict
from ..errors import UserError
from ..execution import succeeded
from ..records.arrays import keep_arrays, kept_arrays
from ..records.environment import environment
from ..records.ledger import ModelLedger, Row
from ..trial import Measure, Trial, stratified
from .contenders import SOURCES, Contender, Task, contenders

__all__ = ["TIER_SIZES", "Kept", "AttackPlan", "kept", "run"]

#: The audit uses the largest budget that leaves at least this share unbroken: where all images are broken, no gradient
#: is masked.
DOUBTED = 0.05


class Tier(NamedTuple):
    """Effort: images attacked and audited, PGD steps and black-box queries of the audit."""

    n_attacked: int
    n_audited: int
    audit_steps: int
    audit_queries: int


TIER_SIZES = {"quick": Tier(200, 30, 20, 200), "full": Tier(1000, 50, 50, 1000)}


@dataclass(frozen=True)
class AttackPlan:
    """Everything that the results depend on, besides the models and the number of seeds.

    Parameters
    ----------
    dataset : str
    n_train : int
    norm : {"linf", "l2"}
    epsilons : tuple of float
        Increasing.
    tier : {"quick", "full"}
        Which attacks, see :func:`bioneuro.attacks.worst_case`.
    n_attacked, n_audited, audit_steps, audit_queries : int
    n_validation : int
        With it nothing touches the test set: so many images at the end of the training set stand in its place.
    n_pictured : int
        Images whose adversarial version at the middle budget is kept.
    """

    dataset: str
    n_train: int
    norm: str
    epsilons: tuple[float, ...]
    tier: Literal["quick", "full"]
    n_attacked: int
    n_audited: int
    audit_steps: int
    audit_queries: int
    n_validation: int = 0
    n_pictured: int = 6

    @property
    def middle(self) -> float:
        """The middle budget; of an even number, the upper of the two."""
        return self.epsilons[len(self.epsilons) // 2]

    @property
    def task(self) -> Task:
        """What networks are made for; adversarial training trains against the largest Linf budget of the table, or
        against the usual one where another norm is attacked."""
        linf = self.epsilons if self.norm == "linf" else datasets.USUAL[self.dataset].linf
        return Task(self.dataset, max(linf))

    @classmethod
    def for_dataset(
        cls,
        name: str,
        data: datasets.Dataset,
        *,
        norm: str = "linf",
        epsilons: Sequence[float] | None = None,
        tier: Literal["quick", "full"] = "quick",
        n_train: int | None = None,
        n_attacked: int | None = None,
        n_validation: int = 0,
    ) -> AttackPlan:
        """The plan of a data set; None takes its defaults."""
        n_available = len(data.X_train) - n_validation
        if n_available < 1:
            raise UserError(f"--validation {n_validation} leaves none of the {len(data.X_train)} training images")
        if n_train is None:
            n_train = min(n_available, n_available if tier == "full" else datasets.USUAL[name].n_train or n_available)
        if n_train > n_available:
            raise UserError(f"--n-train {n_train} is more than the {n_available} training images of {name}")
        chosen = tuple(sorted(set(epsilons or datasets.USUAL[name].budgets(norm))))
        if norm == "linf" and chosen[-1] > 1:
            raise UserError(f"--epsilons {chosen[-1]:g} is more than 1, the range of the pixels, for the norm linf")
        n_shown = n_validation or len(data.X_test)
        if n_attacked is not None and n_attacked > n_shown:
            raise UserError(f"--n-attacked {n_attacked} is more than the {n_shown} images that are tested on")
        sizes = TIER_SIZES[tier]._replace(n_attacked=min(n_attacked or TIER_SIZES[tier].n_attacked, n_shown))
        sizes = sizes._replace(n_audited=min(sizes.n_audited, sizes.n_attacked))
        return cls(name, n_train, norm, chosen, tier, **sizes._asdict(), n_validation=n_validation)


def tested_on(plan: AttackPlan, data: datasets.Dataset) -> datasets.Dataset:
    """The data set; when settings are chosen, the end of the training set replaces the test set."""
    if not plan.n_validation:
        return data
    n = plan.n_validation
    return replace(
        data,
        X_train=data.X_train[:-n],
        y_train=data.y_train[:-n],
        X_test=data.X_train[-n:],
        y_test=data.y_train[-n:],
    )


# --- one model ---


class Kept(NamedTuple):
    """What one model did at one seed, image by image.

    ``correct (n_test,)`` without attack; ``standing (n_epsilons, n_attacked)`` under the worst of them;
    ``clean (n_pictured, features)`` images, their ``labels``, and at the middle budget their ``adversarial`` versions
    and what the model takes them for (``predicted``).
    """

    correct: NDArray[np.bool_]
    standing: NDArray[np.bool_]
    clean: NDArray
    labels: NDArray
    adversarial: NDArray
    predicted: NDArray


def measured(
    name: str, models: dict[str, Contender], trial: Trial[AttackPlan], cache: Path | None, progress: bool = False
) -> tuple[list[Measure], Kept]:
    """Rows and images of one contender at one seed; after an interruption, finished attacks are read from ``cache``."""
    plan, network = trial.plan, trial.network(models[name])
    sources = {source: trial.network(models[source]) for source in SOURCES if source in models and source != name}
    correct = np.asarray(network.predict(trial.data.X_test)) == trial.data.y_test
    result = attacks.worst_case(
        network,
        *trial.attacked,
        plan.epsilons,
        norm=plan.norm,
        tier=plan.tier,
        sources=sources,
        cache=cache,
        random_state=trial.seed,
        progress=progress,
    )
    rows = [
        Measure(
            "train_seconds", f"{plan.n_train}", trial.seconds(models[name]), parameters_of(name, models, trial.seed)
        ),
        Measure("accuracy", f"{len(correct)}", float(correct.mean())),
    ]
    X, y = trial.attacked
    unharmed = float(np.mean(np.asarray(network.predict(X)) == y))  # of the same images, for the curve
    for epsilon, accuracy in zip((0, *result.epsilons), (unharmed, *result.robust_accuracy), strict=True):
        rows.append(Measure("robust_accuracy", f"{epsilon:g}", float(accuracy)))
    rows += broken_by(result)
    if trial.seed == 0:
        rows += audit_of(network, sources, trial, result)
    shown = slice(plan.n_pictured)
    adversarial = result.adversarial[list(plan.epsilons).index(plan.middle), shown]
    return rows, Kept(correct, ~result.success, X[shown], y[shown], adversarial, predict(network, adversarial))


def broken_by(result: attacks.WorstCase) -> Iterator[Measure]:
    """Share of the images that each attack was the first to break."""
    for epsilon, broken in zip(result.epsilons, result.broken_by, strict=True):
        for attack in sorted(set(broken) - {"", "clean"}):
            yield Measure("broken_by", f"{epsilon:g} {attack}", float((broken == attack).mean()))


def audit_of(
    network: Any, sources: Mapping[str, Any], trial: Trial[AttackPlan], result: attacks.WorstCase
) -> Iterator[Measure]:
    """The audit of the attack, at a budget that some images withstood."""
    plan = trial.plan
    standing = [e for e, share in zip(result.epsilons, result.robust_accuracy, strict=True) if share >= DOUBTED]
    epsilon = float(max(standing, default=min(plan.epsilons)))
    X, y = (part[: plan.n_audited] for part in trial.attacked)
    checks = attacks.audit(
        network,
        X,
        y,
        epsilon,
        plan.norm,
        n_steps=plan.audit_steps,
        n_queries=plan.audit_queries,
        sources=sources,
    )
    yield Measure("audit_epsilon", "", epsilon)
    for row in checks.itertuples():
        yield Measure("audit", row.check, row.value, row.status)


def parameters_of(name: str, models: dict[str, Contender], seed: int) -> str:
    """Every parameter of a contender, and the models whose adversarial images are tried on it."""
    parameters = ", ".join(f"{key}={value!r}" for key, value in sorted(models[name].make(seed).get_params().items()))
    return f"{parameters}; transfer from {', '.join(s for s in SOURCES if s in models and s != name) or 'none'}"


# --- the experiment ---


def run(
    plan: AttackPlan,
    data: datasets.Dataset,
    out: Path,
    n_seeds: int,
    names: Sequence[str],
    *,
    n_jobs: int | None = 1,
    scheduler: str | None = None,
    progress: bool = False,
) -> ModelLedger:
    """Attack each named contender at seeds 0 to ``n_seeds - 1``; units that are in ``out`` already are not run again.

    Parameters
    ----------
    plan : AttackPlan
    data : Dataset
    out : Path
        Folder of the ledger and, in ``images/``, of what each model did image by image; an interrupted model goes on
        from ``cache/``.
    n_seeds : int >= 1
    names : sequence of str
        Of contenders that can be made here; more of them may be added later.
    n_jobs : int >= 1 or None
        Processes that share the models and seeds, each of which trains what its models share; None: one for each
        processor.
    scheduler : str or None
        Address of a Dask cluster that attacks them instead; there an interrupted model starts anew.
    progress : bool
        A bar for each budget of an attack, below the one over the models, where one process attacks.

    Returns
    -------
    ModelLedger
        With the rows of earlier runs in the same folder.

    Raises
    ------
    UserError
        See `ModelLedger`; rows of a model that had other parameters; too few training images for a class.
    UnitsFailedError
        Models failed; what was found of all others is kept.
    """
    data, models = tested_on(plan, data), contenders(plan.task)
    # Fails before anything is written if there are too few images for the classes.
    stratified(data.y_train, plan.n_train, seed=0)
    ledger = ModelLedger(out, asdict(plan), environment())
    ledger.check_parameters(lambda name, seed: parameters_of(name, models, seed), names)
    units = []
    for seed, name in product(range(n_seeds), names):
        if ledger.finished(name, seed):
            _forget(out, name, seed)  # a process that was killed may have had no time to
        else:
            units.append((seed, name))
    here = n_jobs == 1 and scheduler is None
    for i, (rows, images) in succeeded(
        _Attacked(plan, data, models, out.resolve() if scheduler is None else None, progress and here),
        units,
        [f"{name}, seed {seed}" for seed, name in units],
        n_jobs=n_jobs,
        scheduler=scheduler,
        description=plan.dataset,
        unit="model",
    ):
        seed, name = units[i]
        _keep(out, name, seed, images)
        ledger.add_rows(Row(name, models[name].readout, seed, *row) for row in rows)
        _forget(out, name, seed)
    return ledger


class _Attacked:
    """One model at one seed, attacked. What models of a seed share is made once in each process."""

    def __init__(
        self, plan: AttackPlan, data: datasets.Dataset, models: dict[str, Contender], out: Path | None, progress: bool
    ) -> None:
        self.plan, self.data, self.models, self.out, self.progress = plan, data, models, out, progress
        self.trial: Trial[AttackPlan] | None = None

    def __call__(self, seed: int, name: str) -> tuple[list[Measure], Kept]:
        if self.trial is None or self.trial.seed != seed:
            self.trial = Trial(self.plan, self.data, seed)
        cache = None if self.out is None else _cache(self.out, name, seed)
        return measured(name, self.models, self.trial, cache, self.progress)


def _cache(out: Path, name: str, seed: int) -> Path:
    return out / "cache" / _path(out, name, seed).stem


def _forget(out: Path, name: str, seed: int) -> None:
    """Remove the cache of a finished model: it is many times larger than all results."""
    shutil.rmtree(_cache(out, name, seed), ignore_errors=True)


def _path(out: Path, name: str, seed: int) -> Path:
    return out / "images" / f"{name.replace(' ', '_').replace(',', '')}_{seed}.npz"


def _keep(out: Path, name: str, seed: int, images: Kept) -> None:
    keep_arrays(_path(out, name, seed), **images._asdict())


def kept(out: Path, names: Sequence[str], seeds: Sequence[int]) -> dict[tuple[str, int], Kept]:
    """What each of these models did at each of these seeds, where it is there."""
    found = {}
    for name in names:
        for seed in seeds:
            if (path := _path(out, name, seed)).exists():
                found[name, seed] = Kept(**kept_arrays(path, Kept._fields))
    return found
