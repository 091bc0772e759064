"""What is measured of a model: accuracy, few images, weights, attacks. A measurement is a line of `MEASUREMENTS`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from scipy import sparse

from ... import analysis, attacks, continual
from ...protocols import WhiteBox
from ..trial import Measure, Trial, seeing
from . import costs
from .models import ComparedModel
from .plan import ComparisonPlan

__all__ = ["MEASUREMENTS", "described_cells", "made_of"]


def _accuracy(model: ComparedModel, trial: Trial[ComparisonPlan]) -> Iterator[Measure]:
    """On the whole test set."""
    network = trial.network(model)
    made = made_of(model.make(trial.seed)) if trial.plan.grand else ""
    yield Measure("train_seconds", f"{trial.plan.n_train}", trial.seconds(model), made)
    yield Measure("accuracy", "", network.score(trial.data.X_test, trial.data.y_test))


def made_of(network: Any) -> str:
    """Every parameter of a network."""
    return "; ".join(f"{name}={value!r}" for name, value in sorted(network.get_params().items()))


def _low_data(model: ComparedModel, trial: Trial[ComparisonPlan]) -> Iterator[Measure]:
    """From scratch on a few images a class, on the whole test set."""
    for n_shot in trial.plan.shots:
        network = trial.network(model, n_shot)
        yield Measure("low_data_accuracy", f"{n_shot}", network.score(trial.data.X_test, trial.data.y_test))


def _weights(model: ComparedModel, trial: Trial[ComparisonPlan]) -> Iterator[Measure]:
    """Afferent weights of the model's cells, and the signs of what they receive and make."""
    if not model.cells:
        return
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
    if model.cells in indices:
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
    surrogates that a model offers: what the audit takes for the white-box attack. With `attack_queries` of a black-box
    attack too, which is all there is against a model without a gradient."""
    budgets = {"robust_accuracy": ("linf", trial.plan.epsilons), "robust_accuracy_l2": ("l2", trial.plan.epsilons_l2)}
    network = trial.network(model)
    white_box = isinstance(network, WhiteBox)
    steps = {"n_steps": trial.plan.pgd_steps}
    chosen = {"pgd-margin": steps, "pgd-ce": steps, "adaptive:pgd-margin": steps} if white_box else {}
    if trial.plan.attack_queries:
        chosen |= {"square": {"n_queries": trial.plan.attack_queries}}
    for metric, (norm, epsilons) in budgets.items():
        if not epsilons:
            continue
        found = attacks.worst_case(
            network, *trial.attacked, (0.0, *epsilons), norm, attacks=chosen, random_state=trial.seed
        )
        for epsilon, accuracy in zip(found.epsilons, found.robust_accuracy, strict=True):
            yield Measure(metric, f"{epsilon:g}", accuracy)


def _audit(model: ComparedModel, trial: Trial[ComparisonPlan]) -> Iterator[Measure]:
    """At the largest epsilon, on the first seed only: it costs many times the attack that it checks."""
    plan = trial.plan
    if trial.seed != 0:
        return
    if not isinstance(trial.network(model), WhiteBox):
        yield Measure("audit", "no gradient: black-box attack only", np.nan, "warn")
        return
    X, y = (part[: plan.n_audited] for part in trial.attacked)
    checks = attacks.audit(
        trial.network(model), X, y, plan.audit_epsilon, n_steps=plan.pgd_steps, n_queries=plan.audit_queries
    )
    for row in checks.itertuples():
        yield Measure("audit", row.check, row.value, row.status)


def _stream(model: ComparedModel, trial: Trial[ComparisonPlan]) -> Iterator[Measure]:
    """The classes come in parts, one after another, each image once; then the mean accuracy on all parts."""
    network = seeing(model.make(trial.seed), trial.data.image_shape)
    if not trial.plan.n_stream_parts or not hasattr(network, "partial_fit"):
        return
    test = trial.data.X_test, trial.data.y_test
    classes = np.random.default_rng([trial.seed, 1]).permutation(np.unique(test[1]))
    stream = continual.split(
        *trial.train, *test, n_tasks=trial.plan.n_stream_parts, class_order=classes, random_state=trial.seed
    )
    result = continual.run(model.read(network), stream)
    yield Measure("stream_accuracy", f"{trial.plan.n_stream_parts}", float(result.accuracy[-1].mean()))


def _cost(model: ComparedModel, trial: Trial[ComparisonPlan]) -> Iterator[Measure]:
    """What answering about one image takes, and what the fitted model holds."""
    if not trial.plan.grand:
        return
    cost = costs.of(trial.network(model), trial.data.image_shape)
    yield Measure("synaptic_operations", "", cost.operations)
    yield Measure("bytes_moved", "", cost.bytes_moved)
    yield Measure("memory_bytes", "", cost.memory)


MEASUREMENTS: dict[str, Callable[[ComparedModel, Trial[ComparisonPlan]], Iterator[Measure]]] = {
    "training": _accuracy,
    "few images": _low_data,
    "weights": _weights,
    "PGD": _robustness,
    "audit": _audit,
    "stream": _stream,
    "cost": _cost,
}
