"""What a network could do, and what its weights were, after every pass of its learning."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .analysis.weight_samples import stored
from .checks import check_count
from .extras import pandas
from .spelling import spelled

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["History"]

#: Weights that are kept of a pathway at a time: enough for a distribution, little beside the network.
N_WEIGHTS = 5000


@spelled
class History:
    """Accuracy of every readout, and weights, after every pass of learning, for ``fit(on_epoch=)`` of a network.

    It changes nothing of what is learned, but takes its time: a few hundred samples are enough for a curve.

    Parameters
    ----------
    X : array-like of shape (n, ...)
        Samples that ``score`` of the model takes, such as a validation set.
    y : array-like of shape (n,)
        Their labels.
    every : int >= 1
        Measure after one pass in so many, and after the last of a stage.
    weights : str, optional
        A pathway, by its name in ``model.weights()``, whose density and weights are kept as well: all of them, or 5,000
        drawn at random where there are more.

    Raises
    ------
    ValueError
        No samples, another number of labels, or ``every`` out of its range; in ``fit``, ``weights`` is no pathway of
        the network.

    Examples
    --------
    >>> import bioneuro as bn
    >>> data = bn.datasets.load("digits")
    >>> history = bn.History(data.X_test[:200], data.y_test[:200])
    >>> model = bn.BioClassifier(n_cells=50, mixing=200, random_state=0)
    >>> model = model.fit(data.X_train[:100], data.y_train[:100], on_epoch=history)
    >>> list(history.frame().columns)
    ['epoch', 'stage', 'readout', 'accuracy']
    """

    def __init__(self, X: ArrayLike, y: ArrayLike, *, every: int = 1, weights: str | None = None) -> None:
        n, n_labels = (len(given) for given in (X, y))  # type: ignore[arg-type]  # scalars have no length, and say so
        if n == 0:
            raise ValueError("X must have at least one sample")
        if n != n_labels:
            raise ValueError(f"y must hold one label for each of the {n} samples, got {n_labels}")
        check_count("every", every)
        self.X, self.y, self.every, self.weights = X, y, every, weights
        self._begin()

    def __repr__(self) -> str:
        n_passes = len({epoch for epoch, *_ in self._rows})
        return f"History({len(self.X)} samples, {n_passes} passes measured)"  # type: ignore[arg-type]

    def _begin(self) -> None:
        self._rows: list[tuple[int, str, str, float]] = []
        self._weights: list[tuple[int, str, float, NDArray]] = []
        self._before: dict[str, int] = {}  # passes of all stages before, for each stage
        self._passes = 0

    def __call__(self, model: Any, stage: str, done: int, n: int) -> None:
        """Measure ``model`` after ``done`` of the ``n`` passes of a stage; one that comes again begins anew."""
        if not hasattr(model, "network_"):  # the feature map learns before there are cells
            return
        if done == 0 and stage in self._before:
            self._begin()
        epoch = self._before.setdefault(stage, self._passes) + done
        self._passes = epoch
        if (done == 0 and self._rows) or (done % self.every and done != n):
            return
        for readout in model.network_.readouts:
            accuracy = copy.copy(model).set_params(readout=readout).score(self.X, self.y)
            self._rows.append((epoch, stage, readout, float(accuracy)))
        if self.weights is not None:
            self._weights.append((epoch, stage, *self._sample(model.weights())))

    def _sample(self, pathways: dict[str, Any]) -> tuple[float, NDArray]:
        """Density of the pathway, and sizes of some of its synapses."""
        if self.weights not in pathways:
            raise ValueError(f"weights must be one of {', '.join(map(repr, pathways))}, got {self.weights!r}")
        values, n_pairs, _ = stored(pathways[self.weights])
        sizes = np.abs(values[values != 0])
        density = sizes.size / max(n_pairs, 1)
        if sizes.size > N_WEIGHTS:
            sizes = np.random.default_rng(0).choice(sizes, N_WEIGHTS, replace=False)
        return density, sizes

    def frame(self) -> pd.DataFrame:
        """A row for each measurement: ``epoch`` (passes since the cells began to learn), ``stage``, ``readout``,
        ``accuracy``."""
        pd = pandas()

        return pd.DataFrame(self._rows, columns=["epoch", "stage", "readout", "accuracy"])

    def weight_frame(self) -> pd.DataFrame:
        """A row for each weight that was kept, inhibitory ones as magnitudes: ``epoch``, ``stage``, ``density`` (share
        of the pathway's pairs of cells that had a synapse then), ``weight``. Empty without ``weights=``."""
        pd = pandas()

        columns = ["epoch", "stage", "density", "weight"]
        parts = [
            pd.DataFrame({"epoch": epoch, "stage": stage, "density": density, "weight": sizes})
            for epoch, stage, density, sizes in self._weights
        ]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=columns)
