"""How fast the default network learns and answers on this machine, and the products of its association under that."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..classifier import BioClassifier
from ..datasets import Dataset
from .records.text_table import grid
from .trial import stratified

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["measured", "text"]

#: Images whose gradient is asked for, and samples of a product: as in an attack, and in a learning step.
N_GRADIENTS, BATCH = 100, 256


class Timed(NamedTuple):
    """One thing timed: the least seconds of all tries, and how much it does in one."""

    what: str
    size: str
    seconds: float
    per_second: float
    unit: str


def measured(data: Dataset, n_train: int, n_repeats: int) -> pd.DataFrame:
    """A row for each thing: one `fit`, and the best of ``n_repeats`` calls of the others.

    Parameters
    ----------
    data : Dataset
    n_train : int
        Images that the network learns from, with every class's share.
    n_repeats : int >= 1
    """
    import pandas as pd

    return pd.DataFrame(list(_timed(data, n_train, n_repeats)), columns=Timed._fields)


def _timed(data: Dataset, n_train: int, n_repeats: int) -> Iterator[Timed]:
    rows = np.arange(len(data.y_train)) if n_train >= len(data.y_train) else stratified(data.y_train, n_train, 0)
    model = BioClassifier(random_state=0)
    seconds = _seconds(lambda: model.fit(data.X_train[rows], data.y_train[rows]), 1)
    yield Timed("fit", f"{len(rows):,} images", seconds, len(rows) / seconds, "images")
    X, y = data.X_test, data.y_test
    few = slice(N_GRADIENTS)
    calls: tuple[tuple[str, int, Callable[[], object]], ...] = (
        ("transform", len(X), lambda: model.transform(X)),
        ("predict", len(X), lambda: model.predict(X)),
        ("input_gradient", len(X[few]), lambda: model.input_gradient(X[few], y[few])),
    )
    for what, n, call in calls:
        seconds = _seconds(call, n_repeats)
        yield Timed(what, f"{n:,} images", seconds, n / seconds, "images")
    W = model.network_.association.synapses
    rng = np.random.default_rng(0)
    H, Y = (np.ascontiguousarray(rng.random((BATCH, n)), W.dtype) for n in (W.n_pre, W.n_post))
    products: tuple[tuple[str, Callable[[], object]], ...] = (
        ("forward", lambda: W.forward(H)),
        ("input_grad", lambda: W.input_grad(Y)),
        ("weight_grad", lambda: W.weight_grad(H, Y)),
    )
    for what, call in products:
        seconds = _seconds(call, n_repeats)
        size = f"{W.n_post} x {W.n_pre}, {W.nnz / (W.n_post * W.n_pre):.0%}, batch {BATCH}"
        yield Timed(what, size, seconds, 2e-9 * W.nnz * BATCH / seconds, "GFLOP")


def _seconds(call: Callable[[], object], n_repeats: int) -> float:
    """The least of all tries: other work on the machine only adds to it."""
    tries = []
    for _ in range(n_repeats):
        start = time.perf_counter()
        call()
        tries.append(time.perf_counter() - start)
    return min(tries)


def text(rows: pd.DataFrame) -> str:
    """A table of them."""
    cells = [["", "of", "ms", "rate"]]
    for row in rows.itertuples():
        rate = f"{row.per_second:,.0f}" if row.per_second >= 1000 else f"{row.per_second:.4g}"
        cells.append([row.what, row.size, f"{1000 * row.seconds:.2f}", f"{rate} {row.unit}/s"])
    return grid(cells)
