"""What the maps of images share: chunks, gate, pooling, square root, unit norm, and the gradient of all that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._attributes import Array, Count, Floating, Part
from ..checks import check_count, check_width
from ..image_shapes import with_channels
from ..network_table import PrintedBySizes
from ..synapses import Synapses
from .competitive import CompetitiveLayer
from .interfaces import GradientSpace
from .numeric_limits import check_magnitude
from .retina import Retina
from .unit_norm import unit_norm_grad

#: Floor under the square root of the pooled activity: keeps the slope finite where a column is silent.
POOL_FLOOR = 1e-8


def pooling_matrix(length: int, grid: int) -> NDArray[np.float64]:
    """Averages over ``grid`` windows that overlap by half, shape ``(grid, length)``.

    The stride is ``length / (grid + 1)``, rounded; a window is two strides wide; together they are centred on the
    image. What they see beyond its border is 0.
    """
    check_count("grid", grid)
    stride = max(1, round(length / (grid + 1)))
    start = np.arange(grid) * stride - ((grid + 1) * stride - length) // 2
    position = np.arange(length)
    return ((position >= start[:, None]) & (position < start[:, None] + 2 * stride)) / (2 * stride)


class ImageMap(PrintedBySizes):
    """Retina -> rates ``y`` of the columns at a grid of positions -> average pooling -> square root -> unit norm.

    With the retina's gate ``g``, ``s`` is the average of ``y g`` over pooling windows, ``f = sqrt(s + 1e-8)``, and the
    features are ``h = f / |f|``, all >= 0.

    Parameters
    ----------
    image_shape : (height, width) or (height, width, channels)
    retina : Retina
    columns : CompetitiveLayer
    n_columns : int
        Cells at each position.
    pool_rows, pool_cols : ndarray of shape (windows, positions)
        Weights of the averages down and across the grid of positions.
    dtype : float32 or float64
    """

    SAVED: ClassVar = {
        "height": Count(1),
        "width": Count(1),
        "channels": Count(1),
        "retina": Part(Retina),
        "n_columns": Count(1),
        "dtype": Floating(),
        "columns": Part(CompetitiveLayer, {"synapses.dtype": "dtype"}),
        "_pool_rows": Array(None, None, low=0, dtype="dtype"),
        "_pool_cols": Array(None, None, low=0, dtype="dtype"),
    }

    population: ClassVar[str] = "features"
    presynaptic: ClassVar[dict[str, str]] = {"map": "retina"}
    learns_from: ClassVar[str] = "rows"  # some images are enough

    #: Pixels handled at a time: patches and columns of one chunk stay near the cache.
    chunk_pixels = 16384

    def __init__(
        self,
        image_shape: tuple[int, ...],
        *,
        retina: Retina,
        columns: CompetitiveLayer,
        n_columns: int,
        pool_rows: NDArray,
        pool_cols: NDArray,
        dtype: DTypeLike,
    ) -> None:
        self.height, self.width, self.channels = with_channels(image_shape)
        self.retina, self.columns, self.n_columns = retina, columns, n_columns
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._pool_rows, self._pool_cols = pool_rows.astype(self.dtype), pool_cols.astype(self.dtype)

    @property
    def n_inputs(self) -> int:
        """Features of an image: its pixels times its channels."""
        return self.height * self.width * self.channels

    @property
    def n_patch(self) -> int:
        """Pre-synaptic cells of a column: ON and OFF of every pixel of a patch."""
        return 2 * self.retina.patch_size**2 * self.channels

    @property
    def n_features(self) -> int:
        """Length of the feature vector."""
        return len(self._pool_rows) * len(self._pool_cols) * self.n_columns

    def encode(self, X: NDArray) -> NDArray:
        """Features ``h (n, n_features)`` of images ``X (n, n_pixels)``: rates >= 0, rows of unit norm."""
        check_width(X, self.n_inputs)
        out = np.empty((len(X), self.n_features), self.dtype)
        start = 0
        for R in self._chunks(self.retina.response(X)):
            f = self._roots(self._pooled(R))
            out[start : start + len(R)] = f / np.linalg.norm(f, axis=1, keepdims=True)
            start += len(R)
        return out

    def encode_grad(self, X: NDArray, dH: NDArray, *, space: GradientSpace = "image") -> NDArray:
        """Gradient of :meth:`encode` with respect to ``X`` (``space="image"``) or to its contrast response
        (``space="response"``), given that with respect to the features."""
        check_width(X, self.n_inputs)
        response = self.retina.response(X)
        grad = np.empty_like(response)
        start = 0
        for R in self._chunks(response):
            chunk = slice(start, start + len(R))
            grad[chunk] = self._encode_chunk_grad(R, dH[chunk]).reshape(len(R), -1)
            start += len(R)
        return grad if space == "response" else grad * self.retina.response_slope(X)

    def pathways(self) -> dict[str, Synapses]:
        """The synapses of its columns."""
        return {"map": self.columns.synapses}

    def _chunks(self, response: NDArray) -> Iterator[NDArray]:
        n = max(1, self.chunk_pixels // (self.height * self.width))
        images = np.ascontiguousarray(response, self.dtype).reshape(-1, self.height, self.width, self.channels)
        check_magnitude(images, "the contrast response of X", self.columns.n_threads)
        for start in range(0, len(images), n):
            yield images[start : start + n]

    # --- positions: here every pixel is one, and all share the columns ---

    def _patches(self, R: NDArray) -> tuple[NDArray, NDArray]:
        """``U (images x positions, n_patch)`` of responses ``R`` and the gates ``(images x positions,)``."""
        return self.retina.patches(R)

    def _patches_grad(self, R: NDArray, dU: NDArray, dgate: NDArray) -> NDArray:
        """Gradient of :meth:`_patches` with respect to ``R``."""
        return self.retina.patches_grad(R, dU, dgate)

    def _respond(self, U: NDArray) -> NDArray:
        """Rates ``(images x positions, n_columns)`` of patches."""
        return self.columns.respond(U)

    def _respond_grad(self, Y: NDArray, dY: NDArray) -> NDArray:
        """Gradient of :meth:`_respond` with respect to ``U``, given the rates ``Y`` and ``dY``."""
        return self.columns.respond_grad(Y, dY)

    # --- pooling ---

    def _pooled(self, R: NDArray) -> NDArray:
        """Pooled rates of a chunk of responses."""
        U, gate = self._patches(R)
        return self._pool(self._respond(U), gate, len(R))

    def _pool(self, Y: NDArray, gate: NDArray, n: int) -> NDArray:
        """Averages of ``y g`` over the pooling windows of ``n`` images."""
        windows, (height, width) = len(self._pool_rows), (self._pool_rows.shape[1], self._pool_cols.shape[1])
        F = (Y * gate[:, None]).reshape(n, height, width * self.n_columns)
        return self._pool_cols @ (self._pool_rows @ F).reshape(n, windows, width, -1)

    def _roots(self, pooled: NDArray) -> NDArray:
        """``f = sqrt(pooled + floor)``, an image a row."""
        return np.sqrt(pooled.reshape(len(pooled), -1) + self.dtype.type(POOL_FLOOR))

    def _encode_chunk_grad(self, R: NDArray, dH: NDArray) -> NDArray:
        U, gate = self._patches(R)
        Y = self._respond(U)
        f = self._roots(self._pool(Y, gate, len(R)))
        norm = np.linalg.norm(f, axis=1, keepdims=True)
        dF = (unit_norm_grad(f, norm, dH) / (2 * f)).reshape(len(R), len(self._pool_rows), len(self._pool_cols), -1)
        dF = (self._pool_cols.T @ dF).reshape(len(R), len(self._pool_rows), -1)
        dF = (self._pool_rows.T @ dF).reshape(Y.shape)
        dgate = (dF * Y).sum(axis=1)
        return self._patches_grad(R, self._respond_grad(Y, dF * gate[:, None]), dgate)
