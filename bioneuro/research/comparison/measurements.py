"""What is measured of a model: accuracy, few images, weights, attacks. A measurement is a line of `MEASUREMENTS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse

from ... import analysis, attacks
from ..trial import Measure, Trial
from .models import ComparedModel
from .plan import ComparisonPlan

__all__ = ["MEASUREMENTS", "described_cells"]


def _accuracy(model: ComparedModel, trial: Trial[ComparisonPlan]) -> Iterator[Measure]:
    """On the whole test set."""
    network = trial.network(model)
    yield Measure("train_seconds", f"{trial.plan.n_train}", trial.seconds(model))
    yield Measure("accuracy", "", network.score(trial.data.X_test, trial.data.y_test))


def _low_data(model: ComparedModel, trial: Trial[ComparisonPlan]) -> Iterator[Measure]:
    """From scratch on a few images a class, on the whole test set."""
    for n_shot in trial.plan.shots:
        network = trial.network(model, n_shot)
        yield Measure("low_data_accuracy", f"{n_shot}", network.score(trial.data.X_test, trial.data.y_test))


def _weights(model: ComparedModel, trial: Trial[ComparisonPlan]) -> Iterator[Measure]:
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
    yield Measure("dale_index", "afferent", float(np.nanmean(indices[afferent])))
    yield Measure("dale_index", "outgoing", float(np.nanmean(indices[model.cells])))
    yield Measure("dale_index", "smallest", float(np.nanmin(np.concatenate([*indices.values()]))))


def described_cells(model: ComparedModel, trial: Trial[ComparisonPlan]) -> sparse.csr_array:
    """Afferent weights of random cells.

    The fits see `n_described` cells, since cells and seeds, not single weights, are the independent witnesses.
    """
    W = trial.network(model).weights()[model.cells]
    cells = np.random.default_rng(trial.seed).permutation(W.shape[0])[: trial.plan.n_described]
    return sparse.csr_array(W[np.sort(cells)])


def _robustness(model: ComparedModel, trial: Trial[ComparisonPlan]) -> Iterator[Measure]:
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


def _audit(model: ComparedModel, trial: Trial[ComparisonPlan]) -> Iterator[Measure]:
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


MEASUREMENTS: dict[str, Callable[[ComparedModel, Trial[ComparisonPlan]], Iterator[Measure]]] = {
    "training": _accuracy,
    "few images": _low_data,
    "weights": _weights,
    "PGD": _robustness,
    "audit": _audit,
}
