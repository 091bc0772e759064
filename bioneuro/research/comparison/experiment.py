"""Train every model on the same data and measure them alike: accuracy, few images, attacks, weights, time.

A model is one line of `MODELS`, a measurement is one function and one line of `MEASUREMENTS`.
"""

from __future__ import annotations

import copy
import io
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from ... import analysis, attacks, datasets, show_config
from ...baselines import BackpropMLP
from ...classifier import BioClassifier
from ...files import write_atomically
from .. import UserError
from ..records.ledger import Ledger, Row

__all__ = ["DATASETS", "MODELS", "Plan", "run", "weight_samples"]


# --- what is compared ---


@dataclass(frozen=True)
class Model:
    """A row of the comparison: a network, and what of it is measured.

    Entries with the same `make` share one trained network and differ in what reads it.

    Parameters
    ----------
    make : callable
        Unfitted network for a seed.
    readout : str
        What `predict` returns.
    cells : str
        Pathway onto the cells whose afferent weights are described; these cells have its name as a population.
    read : callable
        The fitted network as this entry reads it.
    ours : bool
        Set against the other models in the table of differences.
    """

    make: Callable[[int], Any]
    readout: str
    cells: str
    read: Callable[[Any], Any] = lambda network: network
    ours: bool = False


def _bioneuro(seed: int) -> BioClassifier:
    return BioClassifier(random_state=seed)


def _by_votes(network: BioClassifier) -> BioClassifier:
    """A fitted network holds its votes whatever it reads, so it is not trained again."""
    return copy.copy(network).set_params(readout="votes")


def _mlp(seed: int) -> BackpropMLP:
    return BackpropMLP(random_state=seed)


def _mlp_behind_contrast(seed: int) -> BackpropMLP:
    retina = BioClassifier()
    return BackpropMLP(contrast=(retina.exponent, retina.semi_saturation), random_state=seed)


MODELS: dict[str, Model] = {
    "bioneuro": Model(_bioneuro, "delta", "association", ours=True),
    "bioneuro votes": Model(_bioneuro, "votes", "association", read=_by_votes, ours=True),
    "MLP": Model(_mlp, "softmax", "hidden_1"),
    "MLP + contrast response": Model(_mlp_behind_contrast, "softmax", "hidden_1"),
}


# --- how ---


class Defaults(NamedTuple):
    """Of one data set; ``n_train`` None takes all training images.

    On digits 40 steps of PGD leave at most two points less than 10, and the audit compares with four times as many
    anyway.
    """

    n_train: int | None
    n_train_quick: int
    epsilons: tuple[float, ...]
    pgd_steps: int


DATASETS = {
    "digits": Defaults(None, 400, (0.05, 0.1, 0.2), 10),
    "mnist": Defaults(20_000, 2_000, (0.1, 0.2, 0.3), 20),
    "fashion-mnist": Defaults(20_000, 2_000, (0.05, 0.1), 20),
    "cifar10": Defaults(20_000, 2_000, (0.01, 0.03), 20),
}


@dataclass(frozen=True)
class Plan:
    """Everything that the results depend on, besides the models and the number of seeds."""

    dataset: str
    n_train: int
    quick: bool
    epsilons: tuple[float, ...]
    pgd_steps: int
    n_attacked: int = 200
    shots: tuple[int, ...] = (1, 5, 10)
    n_audited: int = 50
    audit_queries: int = 500
    n_described: int = 100

    @property
    def audit_epsilon(self) -> float:
        """The largest, where attacks that follow a masked gradient fall furthest behind those that do not."""
        return max(self.epsilons)

    @classmethod
    def for_dataset(
        cls, name: str, n_available: int, *, n_train: int | None, quick: bool, epsilons: tuple[float, ...] | None
    ) -> Plan:
        """The plan of a data set with `n_available` training images; None takes its defaults."""
        defaults = DATASETS[name]
        if n_train is None:
            n_train = min(defaults.n_train_quick if quick else defaults.n_train or n_available, n_available)
        if n_train > n_available:
            raise UserError(f"--n-train {n_train} is more than the {n_available} training images of {name}")
        epsilons = tuple(sorted(set(epsilons or defaults.epsilons)))
        if quick:
            return cls(name, n_train, quick, epsilons, 5, n_attacked=100, n_audited=25, audit_queries=100)
        return cls(name, n_train, quick, epsilons, defaults.pgd_steps)


class Draw(Protocol):
    """What a trial asks of a plan."""

    @property
    def n_train(self) -> int: ...

    @property
    def n_attacked(self) -> int: ...


class Trainable(Protocol):
    """What a trial asks of a model: see `Model`."""

    @property
    def make(self) -> Callable[[int], Any]: ...

    @property
    def read(self) -> Callable[[Any], Any]: ...


P = TypeVar("P", bound=Draw)


class Trial(Generic[P]):
    """One seed: the images drawn for it, the same for every model, and what several models share."""

    def __init__(self, plan: P, data: datasets.Dataset, seed: int) -> None:
        self.plan, self.data, self.seed = plan, data, seed
        self._shared: dict[Any, Any] = {}
        train = stratified(data.y_train, plan.n_train, seed)
        self.train = data.X_train[train], data.y_train[train]
        attacked = np.random.default_rng(seed).permutation(len(data.y_test))[: plan.n_attacked]
        self.attacked = data.X_test[attacked], data.y_test[attacked]

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """What `compute` returns, computed at the first call with this key."""
        if key not in self._shared:
            self._shared[key] = compute()
        return self._shared[key]

    def network(self, model: Trainable, n_shot: int | None = None) -> Any:
        """The network as `model` reads it, trained on the training images or on `n_shot` images a class."""
        return model.read(self._trained(model, n_shot)[0])

    def seconds(self, model: Trainable) -> float:
        """Wall time that the training took."""
        return self._trained(model, None)[1]

    def _trained(self, model: Trainable, n_shot: int | None) -> tuple[Any, float]:
        def train() -> tuple[Any, float]:
            X, y = self.train
            if n_shot is not None:
                X, y = datasets.subset_per_class(self.data.X_train, self.data.y_train, n_shot, self.seed)
            start = time.perf_counter()
            network = seeing(model.make(self.seed), self.data.image_shape).fit(X, y)
            return network, time.perf_counter() - start

        return self.once((model.make, n_shot), train)


def seeing(network: Any, image_shape: tuple[int, ...]) -> Any:
    """The unfitted network told the shape of the images, if it asks: colour does not show in a number of features."""
    if "image_shape" in network.get_params():
        network.set_params(image_shape=image_shape)
    return network


def stratified(y: NDArray, n: int, seed: int) -> NDArray[np.intp]:
    """Rows of a random subset of `n` labels in which every class keeps its share, in random order."""
    shuffled = np.random.default_rng(seed).permutation(len(y))
    position = np.empty(len(y))
    for label in np.unique(y):
        members = shuffled[y[shuffled] == label]
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    rows = shuffled[np.argsort(position[shuffled], kind="stable")[:n]]
    if len(np.unique(y[rows])) < len(np.unique(y)):
        raise UserError(f"--n-train {n} leaves a class without an image; at least {len(np.unique(y))} are needed")
    return np.random.default_rng([seed, 1]).permutation(rows)


# --- what is measured ---


class Measure(NamedTuple):
    """See `ledger.Row`."""

    metric: str
    setting: str
    value: float
    note: str = ""


def _accuracy(model: Model, trial: Trial[Plan]) -> Iterator[Measure]:
    """On the whole test set."""
    network = trial.network(model)
    yield Measure("train_seconds", f"{trial.plan.n_train}", trial.seconds(model))
    yield Measure("accuracy", "", network.score(trial.data.X_test, trial.data.y_test))


def _low_data(model: Model, trial: Trial[Plan]) -> Iterator[Measure]:
    """From scratch on a few images a class, on the whole test set."""
    for n_shot in trial.plan.shots:
        network = trial.network(model, n_shot)
        yield Measure("low_data_accuracy", f"{n_shot}", network.score(trial.data.X_test, trial.data.y_test))


def _weights(model: Model, trial: Trial[Plan]) -> Iterator[Measure]:
    """Afferent weights of the model's cells, and the signs of what they receive and make."""
    pathways = trial.network(model).weights()
    yield Measure("density", model.cells, analysis.density(pathways[model.cells]))
    report = trial.once((model.make, model.cells), lambda: analysis.weight_report(described_cells(model, trial)))
    for row in report.itertuples():
        setting = f"{model.cells} {row.pathway}"
        yield Measure("lognormal_sigma", setting, row.fitted_sigma)
        yield Measure("log_weight_sd", setting, row.sigma)
        yield Measure("aic_behind_best", setting, row.aic_to_lognormal, row.best)
    outgoing = trial.network(model).outgoing()
    indices = analysis.dale_indices(outgoing)
    afferent = next(cells for cells, made in outgoing.items() if model.cells in made)
    yield Measure("dale_index", "afferent", np.nanmean(indices[afferent]))
    yield Measure("dale_index", "outgoing", np.nanmean(indices[model.cells]))
    yield Measure("dale_index", "smallest", np.nanmin(np.concatenate([*indices.values()])))


def described_cells(model: Model, trial: Trial[Plan]) -> sparse.csr_array:
    """Afferent weights of random cells.

    The fits see `n_described` cells, since cells and seeds, not single weights, are the independent witnesses.
    """
    W = trial.network(model).weights()[model.cells]
    cells = np.random.default_rng(trial.seed).permutation(W.shape[0])[: trial.plan.n_described]
    return sparse.csr_array(W[np.sort(cells)])


def _robustness(model: Model, trial: Trial[Plan]) -> Iterator[Measure]:
    """Worst case of PGD on cross-entropy and margin, in the response's space where there is one, and through the
    surrogates that a model offers: what the audit takes for the white-box attack."""
    steps = {"n_steps": trial.plan.pgd_steps}
    result = attacks.worst_case(
        trial.network(model),
        *trial.attacked,
        (0.0, *trial.plan.epsilons),
        attacks={"pgd-margin": steps, "pgd-ce": steps, "adaptive:pgd-margin": steps},
        random_state=trial.seed,
    )
    for epsilon, accuracy in zip(result.epsilons, result.robust_accuracy, strict=True):
        yield Measure("robust_accuracy", f"{epsilon:g}", accuracy)


def _audit(model: Model, trial: Trial[Plan]) -> Iterator[Measure]:
    """At the largest epsilon, on the first seed only: it costs many times the attack that it checks."""
    plan = trial.plan
    if trial.seed != 0:
        return
    X, y = (part[: plan.n_audited] for part in trial.attacked)
    checks = attacks.audit(
        trial.network(model), X, y, plan.audit_epsilon, n_steps=plan.pgd_steps, n_queries=plan.audit_queries
    )
    for row in checks.itertuples():
        yield Measure("audit", row.check, row.value, row.status)


MEASUREMENTS: dict[str, Callable[[Model, Trial[Plan]], Iterator[Measure]]] = {
    "training": _accuracy,
    "few images": _low_data,
    "weights": _weights,
    "PGD": _robustness,
    "audit": _audit,
}


# --- the experiment ---


def run(plan: Plan, data: datasets.Dataset, out: Path, n_seeds: int, n_jobs: int | None = None) -> Ledger:
    """Measure every model at seeds 0 to ``n_seeds - 1``; units that are in ``out`` already are not run again.

    Parameters
    ----------
    plan : Plan
    data : Dataset
    out : Path
        Folder of the ledger, and of the weights of the first seed for the figures.
    n_seeds : int >= 1
    n_jobs : int >= 1 or None
        Processes, which share the cores among them; None takes one a core, but no more than seeds. No value depends
        on it, save the seconds.

    Returns
    -------
    Ledger
        With the rows of earlier runs in the same folder.

    Raises
    ------
    UserError
        See `Ledger`; too few training images for a class.
    """
    from joblib import Parallel, cpu_count, delayed
    from tqdm.auto import tqdm

    stratified(data.y_train, plan.n_train, seed=0)  # too few images for the classes: said before anything is written
    ledger = Ledger(out, configuration(plan), environment())
    tasks = [
        (seed, missing)
        for seed in range(n_seeds)
        for names in _sharing()
        if (missing := [name for name in names if not ledger.finished(name, seed)])
    ]
    n_jobs = min(n_jobs or cpu_count(), n_seeds)
    n_units = n_seeds * len(MODELS)
    n_finished = n_units - sum(len(names) for _, names in tasks)
    with tqdm(total=n_units, initial=n_finished, desc=plan.dataset, unit="model", disable=None, leave=False) as bar:
        if n_jobs == 1:
            units = (unit for task in tasks for unit in _units(plan, data, out, *task, report=bar.set_description))
        else:
            results = Parallel(n_jobs, return_as="generator")(
                delayed(_all_units)(plan, data, out, *task) for task in tasks
            )
            units = (unit for result in results for unit in result)
        for unit in units:
            ledger.add(unit)
            bar.update()
    return ledger


def _sharing() -> list[list[str]]:
    """Names of the models, those that share a network together."""
    groups: dict[Any, list[str]] = {}
    for name, model in MODELS.items():
        groups.setdefault(model.make, []).append(name)
    return list(groups.values())


def _units(
    plan: Plan,
    data: datasets.Dataset,
    out: Path,
    seed: int,
    names: Sequence[str],
    report: Callable[[str], None] = lambda stage: None,
) -> Iterator[list[Row]]:
    """The rows of one model after another, at one seed; `report` is told what is being done."""
    trial = Trial(plan, data, seed)
    for name in names:
        model, unit = MODELS[name], []
        for stage, measure in MEASUREMENTS.items():
            report(f"seed {seed}, {name}: {stage}")
            unit += [
                Row(name, model.readout, seed, found.metric, found.setting, float(found.value), found.note)
                for found in measure(model, trial)
            ]
        if seed == 0:
            _keep_weights(out, name, described_cells(model, trial))
        yield unit


def _all_units(*task: Any) -> list[list[Row]]:
    return list(_units(*task))


def configuration(plan: Plan) -> dict[str, Any]:
    """The plan and every parameter of every model: what rows must share to be compared."""
    models = {
        name: {key: repr(value) for key, value in model.make(0).get_params().items()} for name, model in MODELS.items()
    }
    return {**asdict(plan), "models": models}


def environment() -> dict[str, Any]:
    """Versions, build and machine; the commit if this is a clone."""
    import pandas
    import scipy
    import sklearn

    with redirect_stdout(io.StringIO()):
        build = show_config()
    versions = {module.__name__: module.__version__ for module in (scipy, sklearn, pandas)}
    found = {**build, **versions, "platform": sys.platform, "commit": _commit()}
    return {key: str(value) for key, value in found.items()}


def _commit() -> str | None:
    """Commit of the sources, if git knows this file; "-dirty" with changes."""
    here = Path(__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None


# --- weights for the figures ---


def _weights_path(out: Path, name: str) -> Path:
    return out / "weights" / f"{name.replace(' ', '_')}.npz"


def _keep_weights(out: Path, name: str, W: sparse.csr_array) -> None:
    path, buffer = _weights_path(out, name), io.BytesIO()
    path.parent.mkdir(exist_ok=True)
    np.savez_compressed(buffer, weights=W.data)
    write_atomically(path, buffer.getvalue())


def weight_samples(out: Path) -> Iterator[tuple[str, NDArray]]:
    """Model and weights of the first seed, once for each trained network."""
    seen = set()
    for name, model in MODELS.items():
        if model.make in seen or not _weights_path(out, name).exists():
            continue
        seen.add(model.make)
        with np.load(_weights_path(out, name)) as kept:
            yield name, kept["weights"]
