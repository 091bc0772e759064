"""Features of all training samples, and what the mixing layer learns of them: here, block by block, or on a cluster.

A block's features depend on its rows alone, and its statistics are added in the order of the blocks. So a network comes
out the same, bit for bit, for any number of workers, whichever of them is lost, and as in one process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray

from . import row_sources
from .dask_workers import held_by_workers
from .estimators import sum_is_finite
from .image_rows import check_pixels
from .layers import Adaptation, Mixing
from .moments import Moments
from .network import INFERENCE_BATCH, slices

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Check", "adapted", "check_rows", "features"]

#: Most rows of a block, and about how many bytes one is. It is of whole batches of inference, so that statistics are of
#: the same samples however rows are read.
BLOCK, BLOCK_BYTES = 8 * INFERENCE_BATCH, 4 * 2**20


class Check(NamedTuple):
    """What a block of rows must be: finite, of ``dtype`` from here on, and where they are images within [0, 1]."""

    dtype: np.dtype
    images: bool

    def __call__(self, start: int, block: NDArray) -> NDArray:
        """The rows from number ``start`` on, in C order; ValueError names the first value that is wrong."""
        block = np.ascontiguousarray(block, self.dtype)
        if not sum_is_finite(block) and not np.isfinite(block).all():
            i, j = np.argwhere(~np.isfinite(block))[0]
            raise ValueError(f"X must be finite, but X[{start + i}, {j}] is {block[i, j]}")
        if self.images:
            check_pixels(block, first=start)
        return block


#: Features ``(n, n_features)`` of rows; what a row becomes must depend on that row alone.
Encode: TypeAlias = Callable[[NDArray], NDArray]


def features(
    encode: Encode, mixing: Mixing | None, X: NDArray | row_sources.Rows, check: Check, client: Client | None = None
) -> NDArray | row_sources.StoredRows:
    """Features ``(n, n_features)`` of rows ``X``; ``mixing`` learns from them.

    Parameters
    ----------
    encode : function of rows
    mixing : Mixing or None
    X : array (n, n_inputs) that has been checked, or Rows, which are checked as they are read
    check : Check
    client : distributed.Client or None
        Of the cluster that encodes; None: this process.

    Returns
    -------
    array, or rows in a temporary file where ``X`` is no array and they are more than
    :data:`bioneuro.row_sources.IN_MEMORY`.
    """
    if isinstance(X, np.ndarray) and client is None:
        H = encode(X)
        if mixing is not None:
            for batch in slices(len(H), INFERENCE_BATCH):
                mixing.learn(H[batch])
        return H
    kept: _InMemory | row_sources.StoredRows | None = None
    for block, moments in _done(_Encoding(encode, mixing, check), X, client):
        if kept is None:
            n_bytes = len(X) * block[:1].nbytes
            small = isinstance(X, np.ndarray) or n_bytes <= row_sources.IN_MEMORY
            kept = _InMemory(len(X), block) if small else row_sources.StoredRows(block.shape[1], block.dtype)
        kept.append(block)
        for each in moments:
            mixing.add(each)  # type: ignore[union-attr]  # without mixing there are none
    assert kept is not None  # there is at least one row
    return kept.array if isinstance(kept, _InMemory) else kept


def adapted(X: row_sources.Rows, check: Check, dtype: DTypeLike, client: Client | None) -> Adaptation:
    """The encoder of plain vectors, whose mean and spread are added up block by block."""
    encoder = Adaptation(X.shape[1], dtype=dtype)
    for moments in _done(_Measuring(check), X, client):
        encoder.add(moments)
    return encoder


def check_rows(X: row_sources.Rows, check: Check) -> None:
    """Read all of the rows once, and raise ValueError if one is not as it must be."""
    for _ in _done(check, X, None):
        pass


class _Encoding(NamedTuple):
    """What is made of a block, here or by a worker: its features, and their statistics as mixing wants them."""

    encode: Encode
    mixing: Mixing | None
    check: Check

    def __call__(self, start: int, block: NDArray) -> tuple[NDArray, list[Moments]]:
        H = self.encode(self.check(start, block))
        if self.mixing is None:
            return H, []
        return H, [self.mixing.measure(H[batch]) for batch in slices(len(H), INFERENCE_BATCH)]


class _Measuring(NamedTuple):
    """Mean and spread of a block of plain vectors."""

    check: Check

    def __call__(self, start: int, block: NDArray) -> Moments:
        return Moments.none(block.shape[1]).add(self.check(start, block).astype(float))


class _InMemory:
    """Like :class:`row_sources.StoredRows`."""

    def __init__(self, n: int, first: NDArray) -> None:
        self.array, self._n = np.empty((n, first.shape[1]), first.dtype), 0

    def append(self, block: NDArray) -> None:
        self.array[self._n : self._n + len(block)] = block
        self._n += len(block)


def _done(function: Any, X: NDArray | row_sources.Rows, client: Client | None) -> Iterator[Any]:
    """``function(start, block)`` of every block, in their order."""
    batch_bytes = INFERENCE_BATCH * X.shape[1] * 4
    blocks = slices(len(X), min(BLOCK, INFERENCE_BATCH * max(1, BLOCK_BYTES // batch_bytes)))
    if client is None:
        for block in blocks:
            yield function(block.start, X[block])
        return
    with held_by_workers(client, function) as submit:

        def sent(block: slice) -> Any:
            if isinstance(X, row_sources.DaskRows):  # its chunks stay on the workers
                return submit(block.start, client.compute(X.array[block]))
            return submit(block.start, X[block])

        ahead = iter(blocks)
        n_ahead = 2 * max(1, sum(client.nthreads().values()))  # no more are in memory, here or there
        futures = deque(map(sent, islice(ahead, n_ahead)))
        while futures:
            future = futures.popleft()
            done = future.result()
            future.release()
            futures.extend(map(sent, islice(ahead, 1)))
            yield done
