"""Continual learning side by side: our network, its rivals on the same features, and backpropagation on pixels.

A model is one line of `LEARNERS`; a stream is one line of `STREAMS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import analysis, continual
from ..baselines import (
    BackpropMLP,
    ElasticMLP,
    ExemplarNeighbours,
    NearestClassMean,
    ReplayMLP,
    StreamingLDA,
    StreamingLeastSquares,
)
from ..classifier import BioClassifier
from ..continual import Stream
from ..datasets import Dataset
from ..layers import Mixing, UnitNorm
from .differences import in_words
from .records.configuration import network_defaults
from .records.environment import environment
from .records.ledger import Ledger
from .records.text_table import left_aligned
from .trial import stratified

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CEILINGS", "LEARNERS", "STREAMS", "Learner", "StreamPlan", "measure", "run", "streams", "text"]

OURS, OURS_EXPANDED = "bioneuro", "bioneuro, expanded"
#: The network trained on everything at once, by readout: what a stream costs is measured against these.
CEILINGS = {"votes": "all at once, votes", "delta": "all at once, delta"}
ALL_AT_ONCE = "all at once"
#: Samples in an update of backpropagation: a stream is shown only once, so updates should be many.
UPDATE = 16
#: What a model sees of a stream: pixels, features of the map, or rates of as many cells as there is a budget for, which
#: combine a few of those at random.
INPUT, MAP, EXPANDED = "input", "map", "expanded"


class Learner(NamedTuple):
    """A row of the table: ``make(n_cells, n_features, seed)``; ``sees``, a key of what :func:`streams` returns;
    ``rival``: it neither stores samples nor is told where tasks end, so ours is compared with it."""

    make: Callable[[int, int, int], Any]
    sees: str = MAP
    rival: bool = False


def _ours(n_cells: int, n_features: int, seed: int) -> BioClassifier:
    return BioClassifier("votes", image_shape=None, encoder=UnitNorm(n_features), n_cells=n_cells, random_state=seed)


LEARNERS: dict[str, Learner] = {
    OURS: Learner(_ours),
    OURS_EXPANDED: Learner(lambda n_cells, n_features, seed: StreamingLeastSquares(), EXPANDED),
    "least squares": Learner(lambda n_cells, n_features, seed: StreamingLeastSquares(), rival=True),
    "streaming LDA": Learner(lambda n_cells, n_features, seed: StreamingLDA(), rival=True),
    "nearest class mean": Learner(lambda n_cells, n_features, seed: NearestClassMean(), rival=True),
    "streaming LDA, expanded": Learner(lambda n_cells, n_features, seed: StreamingLDA(), EXPANDED, rival=True),
    "1-NN, as many samples": Learner(lambda n_cells, n_features, seed: ExemplarNeighbours(n_cells, random_state=seed)),
    "linear backprop": Learner(
        lambda n_cells, n_features, seed: BackpropMLP((), batch_size=UPDATE, random_state=seed), rival=True
    ),
    "MLP": Learner(
        lambda n_cells, n_features, seed: BackpropMLP(batch_size=UPDATE, random_state=seed), INPUT, rival=True
    ),
    "MLP, elastic": Learner(lambda n_cells, n_features, seed: ElasticMLP(batch_size=UPDATE, random_state=seed), INPUT),
    "MLP, replay": Learner(
        lambda n_cells, n_features, seed: ReplayMLP(n_exemplars=n_cells, batch_size=UPDATE, random_state=seed),
        INPUT,
    ),
}


def _class_split(data: Dataset, rows: Any, seed: int) -> Stream:
    order = np.random.default_rng([seed, 1]).permutation(np.unique(data.y_train))
    return continual.split(*_arrays(data, rows), class_order=order, random_state=seed)


def _arrays(data: Dataset, rows: Any) -> tuple[Any, Any, Any, Any]:
    return data.X_train[rows], data.y_train[rows], data.X_test, data.y_test


STREAMS: dict[str, Callable[[Dataset, Any, int], Stream]] = {
    "class": _class_split,
    "task": lambda data, rows, seed: continual.split(*_arrays(data, rows), scenario="task", random_state=seed),
    "permuted": lambda data, rows, seed: continual.permuted(*_arrays(data, rows), random_state=seed),
    "rotated": lambda data, rows, seed: continual.rotated(*_arrays(data, rows), data.image_shape, random_state=seed),
    "drifting": lambda data, rows, seed: continual.drifting(*_arrays(data, rows), data.image_shape, random_state=seed),
    "blurred": lambda data, rows, seed: continual.blurred(_class_split(data, rows, seed), random_state=seed),
    "imbalanced": lambda data, rows, seed: continual.imbalanced(_class_split(data, rows, seed), random_state=seed),
}


@dataclass(frozen=True)
class StreamPlan:
    """What is run.

    Parameters
    ----------
    stream : str
        A key of `STREAMS`.
    n_train : int or None
        Training images, drawn for each seed with every class's share; None: all.
    n_cells : int
        Budget of association cells, of cells of an expansion, and of samples that rivals may store.
    map_from : {"first", "all"}
        Images that retina and map learn from, without labels: those of the first part, or (no honest stream) all.
    """

    stream: str = "class"
    n_train: int | None = None
    n_cells: int = 2000
    map_from: str = "first"


def streams(plan: StreamPlan, data: Dataset, seed: int) -> dict[str, Stream]:
    """The stream of a seed as it is, as the map's features, and as these expanded."""
    n = len(data.y_train)
    rows = np.arange(n) if plan.n_train is None or plan.n_train >= n else stratified(data.y_train, plan.n_train, seed)
    stream = STREAMS[plan.stream](data, rows, seed)
    seen = stream.X if plan.map_from == "all" else stream.X[stream.part == 0]
    encoder = BioClassifier(image_shape=data.image_shape, random_state=seed).fit_features(seen)
    features = stream.mapped(encoder.transform)
    known = features.X if plan.map_from == "all" else features.X[features.part == 0]
    expansion = Mixing(features.X.shape[1], plan.n_cells, random_state=seed).learn(known)
    return {INPUT: stream, MAP: features, EXPANDED: features.mapped(expansion.encode)}


def measure(plan: StreamPlan, data: Dataset, seed: int) -> pd.DataFrame:
    """Rows of :func:`bioneuro.continual.compare` for one seed, and those of training ours on everything at once."""
    import pandas as pd

    shown = streams(plan, data, seed)
    return pd.concat([_measured(plan, shown, name, seed) for name in (*LEARNERS, ALL_AT_ONCE)], ignore_index=True)


def _measured(plan: StreamPlan, shown: Mapping[str, Stream], name: str, seed: int) -> pd.DataFrame:
    """The rows of one model."""
    if name == ALL_AT_ONCE:
        return _all_at_once(plan, shown[LEARNERS[OURS].sees], seed)
    model = LEARNERS[name]
    stream = shown[model.sees]
    make = {name: lambda seed: model.make(plan.n_cells, stream.X.shape[1], seed)}
    return continual.compare(make, lambda _: stream, [seed])


def _all_at_once(plan: StreamPlan, stream: Stream, seed: int) -> pd.DataFrame:
    """Ours, by each readout, trained on the whole stream as one set: one part, tested on every task."""
    joint = _ours(plan.n_cells, stream.X.shape[1], seed).set_params(readout="delta").fit(stream.X, stream.y)
    # its votes are learned whatever its readout
    return continual.table(
        (name, seed, continual.tested(joint.set_params(readout=readout), stream)) for readout, name in CEILINGS.items()
    )


class _Learning:
    """The rows of one model at one seed; what models of a seed are shown is made once in each process."""

    def __init__(self, plan: StreamPlan, data: Dataset) -> None:
        self.plan, self.data = plan, data
        self.shown: tuple[int, dict[str, Stream]] | None = None

    def __call__(self, seed: int, name: str) -> pd.DataFrame:
        if self.shown is None or self.shown[0] != seed:
            self.shown = seed, streams(self.plan, self.data, seed)
        return _measured(self.plan, self.shown[1], name, seed)


def run(
    plan: StreamPlan,
    dataset: str,
    data: Dataset,
    n_seeds: int,
    out: Path,
    *,
    n_jobs: int | None = 1,
    scheduler: str | None = None,
) -> pd.DataFrame:
    """:func:`measure` at seeds 0 to ``n_seeds - 1``, on processes or a cluster
    (:mod:`bioneuro.research.execution`).

    ``out`` is the folder of ``<stream>.csv``, which grows by one model at a time: what is there is not run again.
    """
    configuration = {"dataset": dataset, "plan": asdict(plan), "network": network_defaults()}
    table = Ledger(out / f"{plan.stream}.csv", configuration, environment())
    units = [(seed, name) for seed in range(n_seeds) for name in (*LEARNERS, ALL_AT_ONCE)]
    return table.complete(
        _Learning(plan, data), units, n_jobs=n_jobs, scheduler=scheduler, description=f"{dataset}, {plan.stream}"
    )


def _lines(summary: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    yield "model", "average accuracy", "forgetting", "numbers kept", "cells"
    for name, rows in summary.groupby("model", sort=False):
        accuracy, lost = (analysis.mean_interval(rows[c].to_numpy()) for c in ("average_accuracy", "forgetting"))
        width = f" +- {100 * accuracy.half_width:.1f}" if accuracy.n > 1 else ""
        cells = rows["cells"].dropna()
        yield (
            str(name),
            f"{100 * accuracy.mean:.1f}{width} %",
            "-" if name in CEILINGS.values() else f"{100 * lost.mean:.1f}",
            f"{rows['memory'].mean():,.0f}",
            f"{cells.mean():.0f}" if len(cells) else "-",
        )


def text(frame: pd.DataFrame, plan: StreamPlan, dataset: str) -> str:
    """One table of all models, and how ours differs from each rival, paired by seed."""
    summary = continual.summary(frame)
    n_seeds = frame["seed"].nunique()
    seen = "the first part" if plan.map_from == "first" else "all parts"
    head = (
        f"{dataset}, stream {plan.stream!r}, {n_seeds} seed{'s' * (n_seeds > 1)}, one pass,\n"
        f"at most {plan.n_cells} cells or stored samples; map learned from the images of {seen}"
    )
    values = summary.pivot(index="seed", columns="model", values="average_accuracy")
    lines = [line for name in (OURS, OURS_EXPANDED) for line in _differences(values, name)] if n_seeds > 1 else []
    return "\n".join([head, "", left_aligned(list(_lines(summary))), "", *lines])


def _differences(values: pd.DataFrame, ours: str) -> Iterator[str]:
    for name, model in LEARNERS.items():
        if name in (OURS, OURS_EXPANDED) or name not in values or ours not in values:
            continue
        difference = analysis.paired_difference(values[ours].to_numpy(), values[name].to_numpy())
        note = "" if model.rival else "  (stores samples or is told where tasks end)"
        yield f"{ours} minus {name}: {in_words(difference, unit=' points')}{note}"
