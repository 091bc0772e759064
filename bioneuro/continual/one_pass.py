"""One pass of a model through a stream, tested after each part on every task, and what the accuracies say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from ..estimators import made
from ..extras import pandas
from ..progress import track
from .streams import Stream

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, repr=False)
class Result:
    """Accuracies ``R (n_parts, n_tasks)``: ``R[i, j]`` on the test set of task j after part i.

    Parameters
    ----------
    accuracy : ndarray (n_parts, n_tasks)
    chance : ndarray (n_tasks,)
        Accuracy of guessing, on each task.
    memory : int or None
        Numbers that the model keeps at the end (:func:`memory`); None where it does not say.
    cells : int or None
        Association cells in use, where there are any.
    """

    accuracy: NDArray[np.float64]
    chance: NDArray[np.float64]
    memory: int | None
    cells: int | None

    def __repr__(self) -> str:
        n_parts, n_tasks = self.accuracy.shape
        return (
            f"Result({n_tasks} tasks, tested after {n_parts} parts: average accuracy {self.average_accuracy:.3f}, "
            f"forgetting {self.forgetting:.3f})"
        )

    @property
    def average_accuracy(self) -> float:
        """``mean_j R[-1, j]``: at the end, over the tasks (Lopez-Paz & Ranzato 2017, arXiv:1706.08840)."""
        return float(self.accuracy[-1].mean())

    @property
    def forgetting(self) -> float:
        """``mean_{j < T - 1} max_{i < T - 1} R[i, j] - R[-1, j]`` (Chaudhry et al. 2018, arXiv:1801.10112).

        0 with one part. In a class-incremental stream part of it is owed to the answers that have been added since.
        """
        R = self.accuracy
        return float((R[:-1].max(axis=0) - R[-1])[:-1].mean()) if min(R.shape) > 1 else 0.0

    @property
    def backward_transfer(self) -> float:
        """``mean_{j < T - 1} R[-1, j] - R[j, j]`` (Lopez-Paz & Ranzato 2017); 0 with one part."""
        n = min(self.accuracy.shape)
        return float((self.accuracy[-1, :n] - np.diag(self.accuracy))[: n - 1].mean()) if n > 1 else 0.0

    @property
    def forward_transfer(self) -> float:
        """``mean_{j > 0} R[j - 1, j] - chance_j`` (Lopez-Paz & Ranzato 2017); 0 with one part.

        Their accuracy at random initialisation is what it is on average, chance. In a class-incremental stream it
        cannot be above 0.
        """
        n = min(self.accuracy.shape)
        before = np.diag(self.accuracy, 1)[: n - 1]
        return float((before - self.chance[1:n]).mean()) if n > 1 else 0.0


def run(model: Any, stream: Stream, *, progress: bool = False) -> Result:
    """Show a fresh clone of the model the stream once; the model itself stays as it is.

    Parameters
    ----------
    model : scikit-learn classifier with ``partial_fit(X, y, classes=...)`` and ``predict``
        It sees labels, never task numbers. If it has a method ``end_task()``, that is called after each part: help that
        other models do not get. A task-incremental stream needs ``decision_function``.
    stream : Stream
    progress : bool
        Show a tqdm bar.

    Returns
    -------
    Result

    Raises
    ------
    TypeError
        A model without `partial_fit`, or, for a task-incremental stream, without `decision_function`.
    """
    model = clone(model)
    if not hasattr(model, "partial_fit"):
        raise TypeError(f"model must have partial_fit to learn from a stream, {type(model).__name__} has not")
    _check_answers(model, stream)
    rows, part = [], 0
    for batch in track(stream, progress, stream.name):
        if batch.part != part:
            rows.append(_end_of_part(model, stream))
            part = batch.part
        model.partial_fit(batch.X, batch.y, classes=stream.classes)
    rows.append(_end_of_part(model, stream))
    return _result(rows, model, stream)


def tested(model: Any, stream: Stream) -> Result:
    """A fitted model on every task: a result of one part, as if it had learned everything at once.

    Parameters
    ----------
    model : fitted classifier with `predict`
        For a task-incremental stream also with `decision_function`.
    stream : Stream

    Returns
    -------
    Result
    """
    _check_answers(model, stream)
    return _result([_accuracies(model, stream)], model, stream)


def _result(accuracies: list[list[float]], model: Any, stream: Stream) -> Result:
    answers = [len(c) if stream.task_known else len(stream.classes) for c in stream.task_classes]
    return Result(np.array(accuracies), 1 / np.array(answers, float), memory(model), cells_in_use(model))


def _end_of_part(model: Any, stream: Stream) -> list[float]:
    if hasattr(model, "end_task"):
        model.end_task()
    return _accuracies(model, stream)


def _accuracies(model: Any, stream: Stream) -> list[float]:
    return [
        float(np.mean(_answers(model, X, stream, j) == y)) if len(y) else float("nan")
        for j, (X, y) in enumerate(stream.tests)
    ]


def _check_answers(model: Any, stream: Stream) -> None:
    if stream.task_known and not hasattr(model, "decision_function"):
        name = type(model).__name__
        raise TypeError(f"model must have decision_function for a task-incremental stream, {name} has not")


def _answers(model: Any, X: NDArray, stream: Stream, task: int) -> NDArray:
    if not stream.task_known:
        return model.predict(X)
    z = model.decision_function(X)
    z = np.stack([-z, z], axis=1) if z.ndim == 1 else z
    allowed = np.isin(model.classes_, stream.task_classes[task])
    return model.classes_[np.where(allowed, z, -np.inf).argmax(axis=1)]


def cells_in_use(model: Any) -> int | None:
    """Association cells that have learned; None where there is no association."""
    network = getattr(model, "network_", None)
    return None if network is None else int(np.count_nonzero(network.association.age))


def memory(model: Any) -> int | None:
    """Numbers that a model keeps: synapses that are not silent, votes, means, covariances, stored samples.

    Cells that wait to be recruited, and the moments of an optimiser, are not counted; nor is the encoder, which rivals
    on the same features share. Where a model has a method ``n_stored()``, that is the answer; None where it has neither
    that nor ``weights()``, as those of scikit-learn.

    Parameters
    ----------
    model : fitted classifier

    Returns
    -------
    int or None
    """
    if hasattr(model, "n_stored"):
        return int(model.n_stored())
    network = getattr(model, "network_", None)
    if network is None:
        return int(sum(W.nnz for W in model.weights().values())) if hasattr(model, "weights") else None
    association = network.association
    used = association.age > 0
    synapses = np.diff(association.synapses.to_scipy().indptr)[used].sum() + used.sum() * association.votes.shape[1]
    others = [W.nnz for name, W in network.pathways().items() if name not in ("association", "map")]
    return int(synapses + sum(others))


def compare(
    models: Mapping[str, Any],
    stream: Callable[[int], Stream],
    seeds: Sequence[int] = (0, 1, 2),
    *,
    progress: bool = False,
) -> pd.DataFrame:
    """Every model on the same streams.

    Parameters
    ----------
    models : dict of name to scikit-learn classifier, or function of the seed that makes one
        Of a classifier a clone learns each stream, with the seed as its ``random_state`` if it has one.
    stream : function of the seed
    seeds : sequence of int
    progress : bool

    Returns
    -------
    DataFrame with columns model, seed, part, task, accuracy, chance, memory, cells
        Tidy: one row a model, seed, part and task. Models are paired by seed.
    """
    streams = ((seed, stream(seed)) for seed in seeds)
    return table(
        (name, seed, run(made(model, seed), shown, progress=progress))
        for seed, shown in streams
        for name, model in models.items()
    )


def table(results: Iterable[tuple[str, int, Result]]) -> pd.DataFrame:
    """Results of models by name and seed, as the rows of :func:`compare`.

    Parameters
    ----------
    results : iterable of (name, seed, Result)

    Returns
    -------
    DataFrame
    """
    pd = pandas()

    columns = ["model", "seed", "part", "task", "accuracy", "chance", "memory", "cells"]
    rows = [
        (name, seed, part, task, accuracy, result.chance[task], result.memory, result.cells)
        for name, seed, result in results
        for (part, task), accuracy in np.ndenumerate(result.accuracy)
    ]
    return pd.DataFrame(rows, columns=columns)


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """One row a model and seed: average accuracy, forgetting, transfers, memory and cells.

    Parameters
    ----------
    frame : DataFrame
        From :func:`compare`.

    Returns
    -------
    DataFrame
    """
    pd = pandas()

    rows = []
    for (model, seed), part in frame.groupby(["model", "seed"], sort=False):
        R = part.pivot(index="part", columns="task", values="accuracy").to_numpy()
        chance = part[part["part"] == 0].sort_values("task")["chance"].to_numpy()
        cells = part["cells"].iloc[0]
        kept = part["memory"].iloc[0]
        result = Result(R, chance, *(None if pd.isna(n) else int(n) for n in (kept, cells)))
        rows.append(
            {
                "model": model,
                "seed": seed,
                "average_accuracy": result.average_accuracy,
                "forgetting": result.forgetting,
                "backward_transfer": result.backward_transfer,
                "forward_transfer": result.forward_transfer,
                "memory": result.memory,
                "cells": result.cells,
            }
        )
    return pd.DataFrame(rows)
