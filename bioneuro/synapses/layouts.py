"""Block-major copies of the weights of a pathway, on which its products run."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .. import _core
from ..threads import Threads


class Layouts:
    """Copies for one stored pattern: of the weights, and of their transpose. A new pattern has new ones.

    Parameters
    ----------
    indptr, indices, data : ndarray
        The pathway as CSR; ``data`` may change in place.
    n_pre : int
    """

    def __init__(self, indptr: NDArray, indices: NDArray, data: NDArray, n_pre: int) -> None:
        self._pathway = indptr, indices, data, n_pre
        self._made: dict[bool, tuple[Any, int]] = {}
        _, self._laying_out = _core.lock()

    def made(self, transposed: bool) -> bool:
        """Whether there is a copy (of the transpose) yet."""
        return transposed in self._made

    def layout(self, batch: int, transposed: bool, version: int, n_threads: Threads, weights: bool = True) -> Any:
        """The copy (of the transpose) for products with a batch, with the weights of ``version``; None for a batch of
        one, whose products read the CSR arrays.

        Made at first use, refreshed when the ``weights`` matter and have changed. Whoever calls holds the pathway, so
        that no version passes meanwhile; whoever uses a layout's weights has had it at this version, so that a refresh
        finds nobody in it.
        """
        if batch == 1:
            return None
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
