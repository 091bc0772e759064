"""What a pathway passes on: the drive of its cells, and the gradients of it."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from .. import _core
from ..threads import Threads
from .array_checks import check_batch
from .stored import StoredSynapses


class Products(StoredSynapses):
    """Products of a pathway with batches of rates or gradients."""

    def forward(
        self,
        X: NDArray,
        bias: NDArray | None = None,
        n_threads: Threads = None,
        out: NDArray | None = None,
    ) -> NDArray:
        """Drive of the post-synaptic cells, ``Y = X W^T + bias``.

        Parameters
        ----------
        X : ndarray of shape (batch, n_pre), dtype of the weights, C-contiguous
        bias : ndarray of shape (n_post,), optional
        n_threads : int >= 1, "auto" or None
            Any number gives bit-identical results.
        out : ndarray of shape (batch, n_post), optional
            Where to put the result; must not share memory with ``X`` or ``bias``. So for all products.

        Returns
        -------
        ndarray of shape (batch, n_post)
        """
        check_batch(X, "X", self._n_pre, self.dtype)
        with self._reading:
            layout, narrow, order = self._beside(len(X) <= self._layouts.few[0], False, n_threads)
            return _core.forward(
                self._indptr, self._indices, self._data, X, bias, n_threads=n_threads, out=out, layout=layout,
                narrow=narrow, order=order,
            )  # fmt: skip

    def input_grad(self, dY: NDArray, n_threads: Threads = None, out: NDArray | None = None) -> NDArray:
        """Gradient with respect to the input, ``dX = dY W`` (batch, n_pre), from ``dY`` (batch, n_post)."""
        check_batch(dY, "dY", self.n_post, self.dtype)
        with self._reading:
            layout, narrow, _ = self._beside(len(dY) <= self._layouts.few[1], True, n_threads)
            return _core.input_grad(
                self._indptr, self._indices, self._data, dY, self._n_pre, n_threads=n_threads, out=out, layout=layout,
                narrow=narrow,
            )  # fmt: skip

    def weight_grad(self, X: NDArray, dY: NDArray, n_threads: Threads = None, out: NDArray | None = None) -> NDArray:
        """Sampled product ``G_ij = sum_b dY_bi X_bj`` on the stored synapses, shape (nnz,).

        With rates ``Y`` for ``dY`` it is the Hebbian term, with the gradient of a loss the gradient of the weights.
        """
        check_batch(X, "X", self._n_pre, self.dtype)
        check_batch(dY, "dY", self.n_post, self.dtype)
        with self._reading:
            layout, narrow, _ = self._beside(len(X) <= self._layouts.few[2], False, n_threads, weights=False)
            return _core.weight_grad(
                self._indptr, self._indices, X, dY, n_threads=n_threads, out=out, layout=layout, narrow=narrow
            )

    def backward(
        self,
        X: NDArray,
        dY: NDArray,
        n_threads: Threads = None,
        out: tuple[NDArray, NDArray] | None = None,
    ) -> tuple[NDArray, NDArray]:
        """``(dX, G)``: :meth:`input_grad` and :meth:`weight_grad` in one pass, faster than one after the other.

        ``dX`` is the same bit for bit; ``G`` may differ in its last digits, since its sums run in another order.
        """
        check_batch(X, "X", self._n_pre, self.dtype)
        check_batch(dY, "dY", self.n_post, self.dtype)
        dX, G = (None, None) if out is None else out
        with self._reading:
            layout, narrow, _ = self._beside(len(X) <= self._layouts.few[1], True, n_threads)
            return _core.backward(
                self._indptr, self._indices, self._data, X, dY, n_threads=n_threads, dX=dX, G=G, layout=layout,
                narrow=narrow,
            )  # fmt: skip

    def _beside(
        self, few: bool, transposed: bool, n_threads: Threads, weights: bool = True
    ) -> tuple[Any, NDArray | None, NDArray | None]:
        """What a product reads beside the arrays of the pathway: a layout, or with ``few`` samples narrow columns and
        the order of the rows."""
        if few:
            return None, *self._layouts.for_few()
        return self._layouts.layout(transposed, self._version, n_threads, weights), None, None
