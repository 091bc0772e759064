"""What the products of a pathway run on beside its CSR arrays: block-major copies of the weights, or for few samples
the columns in 16 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..threads import Threads

#: Most cells that 16 bits tell apart.
NARROW = 2**16

#: Synapses of a row below which it matters in which order rows are taken: where one ends later than the one before, a
#: processor loses the time of about 25 synapses.
SHORT = 128

#: Rows that are sorted by length among themselves: what is farther apart is not in the cache together.
TOGETHER = 256


class Layouts:
    """Copies for one stored pattern: of the weights, and of their transpose; columns in 16 bits. A new pattern has new
    ones.

    Parameters
    ----------
    indptr, indices, data : ndarray
        The pathway as CSR; ``data`` may change in place.
    n_pre : int
    """

    def __init__(self, indptr: NDArray, indices: NDArray, data: NDArray, n_pre: int) -> None:
        self._pathway = indptr, indices, data, n_pre
        self._made: dict[bool, tuple[Any, int]] = {}
        #: Most samples of forward, of input_grad and backward, and of weight_grad that need no copy.
        self.few: tuple[int, int, int] = _core.few(n_pre, data.itemsize)
        self._for_few: tuple[NDArray | None, NDArray | None] | None = None
        self._called_with_few = False
        _, self._laying_out = _core.lock()

    def made(self, transposed: bool) -> bool:
        """Whether there is a copy (of the transpose) yet."""
        return transposed in self._made

    def for_few(self) -> tuple[NDArray | None, NDArray | None]:
        """What products with few samples read beside the CSR arrays: the columns in 16 bits (None where there are too
        many) and the order of the rows by length (None where rows are long).

        Made at the second call, since it takes about as long as a product.
        """
        if self._for_few is None:
            if not self._called_with_few:
                self._called_with_few = True
                return None, None
            indptr, indices, _, n_pre = self._pathway
            narrow = indices.astype(np.uint16) if n_pre <= NARROW else None
            lengths = np.diff(indptr)
            short = len(indices) < SHORT * len(lengths)
            order = np.lexsort((lengths, np.arange(len(lengths)) // TOGETHER)).astype(np.uint32) if short else None
            self._for_few = narrow, order
        return self._for_few

    def layout(self, transposed: bool, version: int, n_threads: Threads, weights: bool = True) -> Any:
        """The copy (of the transpose) for products with a batch, with the weights of ``version``.

        Made at first use, refreshed when the ``weights`` matter and have changed. Whoever calls holds the pathway, so
        that no version passes meanwhile; whoever uses a layout's weights has had it at this version, so that a refresh
        finds nobody in it.
        """
        layout, made_at = self._made.get(transposed, (None, -1))
        if made_at == version or (layout is not None and not weights):
            return layout
        with self._laying_out:
            layout, made_at = self._made.get(transposed, (None, -1))
            if made_at == version:
                return layout
            if layout is None:
                layout = _core.layout(*self._pathway, transposed, n_threads=n_threads)
            else:
                _core.layout_refresh(layout, *self._pathway, n_threads=n_threads)
            self._made[transposed] = layout, version
        return layout

    def renewed(self, layout: Any, version: int) -> None:
        """A kernel gave this copy of the weights those of ``version``."""
        self._made[False] = layout, version
