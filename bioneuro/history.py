"""What a network could do after every pass of its learning."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from .checks import check_count

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["History"]


class History:
    """Accuracy of every readout after every pass of learning, for ``BioClassifier.fit(on_epoch=)``.

    It changes nothing of what is learned, but takes its time: a few hundred samples are enough for a curve.

    Parameters
    ----------
    X : array-like of shape (n, ...)
        Samples that ``score`` of the model takes, such as a validation set.
    y : array-like of shape (n,)
        Their labels.
    every : int >= 1
        Measure after one pass in so many, and after the last of a stage.

    Raises
    ------
    ValueError
        No samples, another number of labels, or ``every`` out of its range.

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

    def __init__(self, X: ArrayLike, y: ArrayLike, *, every: int = 1) -> None:
        n, n_labels = (len(given) for given in (X, y))  # type: ignore[arg-type]  # scalars have no length, and say so
        if n == 0:
            raise ValueError("X must have at least one sample")
        if n != n_labels:
            raise ValueError(f"y must hold one label for each of the {n} samples, got {n_labels}")
        check_count("every", every)
        self.X, self.y, self.every = X, y, every
        self._begin()

    def _begin(self) -> None:
        self._rows: list[tuple[int, str, str, float]] = []
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

    def frame(self) -> pd.DataFrame:
        """A row for each measurement: ``epoch`` (passes since the cells began to learn), ``stage``, ``readout``,
        ``accuracy``."""
        import pandas as pd

        return pd.DataFrame(self._rows, columns=["epoch", "stage", "readout", "accuracy"])
