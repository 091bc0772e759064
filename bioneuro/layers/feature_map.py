"""Feature map: one competitive layer shared by all positions of the retina, pooled."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from bioneuro import _core, connectivity
from bioneuro.connectivity import Init
from bioneuro.layers.competitive import CompetitiveLayer
from bioneuro.layers.protocols import Progress, Space
from bioneuro.layers.retina import Retina

#: Floor under the square root of the pooled activity: keeps the slope finite where a column is silent.
POOL_FLOOR = 1e-8
#: Positions handled at a time: patches and columns of one chunk stay near the cache.
CHUNK_POSITIONS = 16384


def pooling_matrix(length: int, grid: int) -> NDArray[np.float64]:
    """Averages over ``grid`` windows that overlap by half, shape ``(grid, length)``.

    The stride is ``length / (grid + 1)``, rounded; a window is two strides wide; together they are centred on the
    image. What they see beyond its border is 0.
    """
    stride = max(1, round(length / (grid + 1)))
    start = np.arange(grid) * stride - ((grid + 1) * stride - length) // 2
    position = np.arange(length)
    return ((position >= start[:, None]) & (position < start[:, None] + 2 * stride)) / (2 * stride)


class FeatureMap:
    """Retina -> P columns at every position -> average pooling -> square root -> unit norm.

    ``y = softmax(beta W u) g`` at every pixel (``W`` tied over positions, g the retina's gate), ``s`` = its average
    over pooling windows, ``f = sqrt(s + 1e-8)``, features ``h = f / |f|``, all >= 0.

    Parameters
    ----------
    image_shape : (height, width) or (height, width, channels)
    n_columns : int, default 64
        Columns P, cells at each position.
    retina : Retina
    beta, sharpening, eta, homeostasis : float
        Of the :class:`CompetitiveLayer` of the columns.
    grid : int, default 4
        Pooling windows along each side (:func:`pooling_matrix`).
    init : str or callable, default "uniform"
        Law of the first weights (:mod:`bioneuro.connectivity`), > 0.
    random_state : Generator
    dtype : float32 or float64
    n_threads : int or None
    """

    def __init__(
        self,
        image_shape: tuple[int, ...],
        *,
        n_columns: int = 64,
        retina: Retina | None = None,
        beta: float = 40.0,
        sharpening: float = 2.0,
        eta: float = 0.05,
        homeostasis: float = 1.0,
        grid: int = 4,
        init: Init = "uniform",
        random_state: int | np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
        n_threads: int | None = None,
    ) -> None:
        self.height, self.width, self.channels = (*image_shape, 1)[:3]
        self.retina = Retina(n_threads=n_threads) if retina is None else retina
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        rng = np.random.default_rng(random_state)
        synapses = connectivity.dense(n_columns, self.n_patch, init, sign="E", random_state=rng, dtype=self.dtype)
        synapses.normalize_rows()
        self.columns = CompetitiveLayer(
            synapses,
            beta=beta,
            sharpening=sharpening,
            eta=eta,
            homeostasis=homeostasis,
            seed=int(rng.integers(2**31)),
            n_threads=n_threads,
        )
        self._pool_rows = pooling_matrix(self.height, grid).astype(self.dtype)
        self._pool_cols = pooling_matrix(self.width, grid).astype(self.dtype)

    @property
    def n_patch(self) -> int:
        """Pre-synaptic cells of a column: ON and OFF of every pixel of a patch."""
        return 2 * self.retina.patch_size**2 * self.channels

    @property
    def n_features(self) -> int:
        """Length of the feature vector."""
        return len(self._pool_rows) * len(self._pool_cols) * self.columns.n_cells

    # --- learning ---

    def learn(
        self,
        X: NDArray,
        *,
        n_images: int = 400,
        n_patches: int = 40_000,
        n_epochs: int = 3,
        batch_size: int = 500,
        min_gate: float = 0.2,
        random_state: int | np.random.Generator | None = None,
        progress: Progress = lambda iterable, **_: iterable,
    ) -> FeatureMap:
        """Learn the columns from images ``X (n, n_pixels)`` in [0, 1], without labels.

        At most ``n_patches`` patches of contrast (gate above ``min_gate``) of at most ``n_images`` images, drawn at
        random, are shown ``n_epochs`` times in batches.
        """
        rng = np.random.default_rng(random_state)
        U = self._sample_patches(X[rng.permutation(len(X))[:n_images]], n_patches, min_gate, rng)
        for _ in progress(range(n_epochs), desc="feature map"):
            order = rng.permutation(len(U))
            for start in range(0, len(U), batch_size):
                self.columns.learn(U[order[start : start + batch_size]])
        return self

    def _sample_patches(self, X: NDArray, n_patches: int, min_gate: float, rng: np.random.Generator) -> NDArray:
        """Random patches with contrast."""
        kept = []
        for R in self._chunks(self.retina.response(X)):
            U, gate = self.retina.patches(R)
            kept.append(U[gate > min_gate])
        U = np.concatenate(kept)
        if not len(U):  # nothing has contrast: any patch will do
            U = self.retina.patches(R)[0]
        return U[rng.permutation(len(U))[:n_patches]]

    # --- encoding ---

    def encode(self, X: NDArray) -> NDArray:
        """Features ``h (n, n_features)`` of images ``X (n, n_pixels)``: rates >= 0, rows of unit norm."""
        out = np.empty((len(X), self.n_features), self.dtype)
        start = 0
        W = self.columns.synapses.to_scipy().toarray()
        for R in self._chunks(self.retina.response(X)):
            pooled = _core.feature_map(
                R,
                W,
                self._pool_rows,
                self._pool_cols,
                beta=self.columns.beta,
                k=self.columns.k,
                patch_size=self.retina.patch_size,
                c0=self.retina.c0,
                n_threads=self.retina.n_threads,
            )
            pooled = np.sqrt(pooled.reshape(len(R), -1) + self.dtype.type(POOL_FLOOR))
            out[start : start + len(R)] = pooled / np.linalg.norm(pooled, axis=1, keepdims=True)
            start += len(R)
        return out

    def encode_grad(self, X: NDArray, dH: NDArray, *, space: Space = "image") -> NDArray:
        """Gradient of :meth:`encode` with respect to ``X`` (``space="image"``) or to its contrast response
        (``space="response"``), given that with respect to the features."""
        response = self.retina.response(X)
        grad = np.empty_like(response)
        start = 0
        for R in self._chunks(response):
            chunk = slice(start, start + len(R))
            grad[chunk] = self._encode_chunk_grad(R, dH[chunk]).reshape(len(R), -1)
            start += len(R)
        return grad if space == "response" else grad * self.retina.response_slope(X)

    def _chunks(self, response: NDArray) -> Iterator[NDArray]:
        n = max(1, CHUNK_POSITIONS // (self.height * self.width))
        images = np.ascontiguousarray(response, self.dtype).reshape(-1, self.height, self.width, self.channels)
        for start in range(0, len(images), n):
            yield images[start : start + n]

    def _pooled(self, R: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Rates ``Y``, gate and ``f = sqrt(pooled + floor)`` of a chunk of responses."""
        U, gate = self.retina.patches(R)
        Y = self.columns.respond(U)
        F = (Y * gate[:, None]).reshape(len(R), self.height, self.width * self.columns.n_cells)
        F = (self._pool_rows @ F).reshape(len(R), len(self._pool_rows), self.width, -1)
        return Y, gate, np.sqrt((self._pool_cols @ F).reshape(len(R), -1) + self.dtype.type(POOL_FLOOR))

    def _encode_chunk_grad(self, R: NDArray, dH: NDArray) -> NDArray:
        Y, gate, f = self._pooled(R)
        norm = np.linalg.norm(f, axis=1, keepdims=True)
        df = (dH - f * (dH * f).sum(axis=1, keepdims=True) / norm**2) / norm
        dF = (df / (2 * f)).reshape(len(R), len(self._pool_rows), len(self._pool_cols), -1)
        dF = (self._pool_cols.T @ dF).reshape(len(R), len(self._pool_rows), -1)
        dF = (self._pool_rows.T @ dF).reshape(Y.shape)
        dgate = (dF * Y).sum(axis=1)
        dU = self.columns.respond_grad(Y, dF * gate[:, None])
        return self.retina.patches_grad(R, dU, dgate)
