"""Feature map: one competitive layer shared by all positions of the retina, pooled."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .. import _core, connectivity
from .._attributes import Array, Part
from ..checks import check_width
from ..connectivity import Init
from ..image_shapes import with_channels
from ..progress import silent
from ..row_sources import Rows
from ..rules import LogRelaxation, RuleLike
from ..seeds import generator_from
from ..threads import Threads
from .competitive import CompetitiveLayer
from .image_map import ImageMap, pooling_matrix
from .interfaces import Progress
from .retina import Retina

#: What the columns of a map learn by.
COLUMN_RULE = LogRelaxation(eta=0.05)


class FeatureMap(ImageMap):
    """Retina -> P columns at every position -> average pooling -> square root -> unit norm.

    ``y = softmax(beta W u) g`` at every pixel (``W`` tied over positions, g the retina's gate), ``s`` = its average
    over pooling windows, ``f = sqrt(s + 1e-8)``, features ``h = f / |f|``, all >= 0.

    Parameters
    ----------
    image_shape : (height, width) or (height, width, channels)
    n_columns : int, default 64
        Columns P, cells at each position.
    retina : Retina
    rule : str, Rule or function
        What the columns learn by; default: log relaxation with eta .05.
    beta, sharpening, homeostasis : float
        Of the :class:`CompetitiveLayer` of the columns.
    grid : int, default 4
        Pooling windows along each side (:func:`pooling_matrix`).
    init : str or callable, default "uniform"
        Law of the first weights (:mod:`bioneuro.connectivity`), > 0.
    random_state : Generator
    dtype : float32 or float64
    n_threads : int >= 1, "auto" or None
    """

    SAVED: ClassVar = ImageMap.SAVED | {
        "columns": Part(
            CompetitiveLayer, {"n_cells": "n_columns", "synapses.n_pre": "n_patch", "synapses.dtype": "dtype"}
        ),
        "_pool_rows": Array(None, "height", low=0, dtype="dtype"),
        "_pool_cols": Array(None, "width", low=0, dtype="dtype"),
    }

    def __init__(
        self,
        image_shape: tuple[int, ...],
        *,
        n_columns: int = 64,
        retina: Retina | None = None,
        beta: float = 40.0,
        sharpening: float = 2.0,
        rule: RuleLike = COLUMN_RULE,
        homeostasis: float = 1.0,
        grid: int = 4,
        init: Init = "uniform",
        random_state: int | np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
        n_threads: Threads = None,
    ) -> None:
        height, width, channels = with_channels(image_shape)
        retina = Retina(n_threads=n_threads) if retina is None else retina
        rng = generator_from(random_state)
        n_patch = 2 * retina.patch_size**2 * channels
        synapses = connectivity.dense(n_columns, n_patch, init, sign="E", random_state=rng, dtype=dtype)
        synapses.normalize_rows()
        columns = CompetitiveLayer(
            synapses,
            beta=beta,
            sharpening=sharpening,
            rule=rule,
            homeostasis=homeostasis,
            seed=int(rng.integers(2**31)),
            n_threads=n_threads,
        )
        super().__init__(
            image_shape,
            retina=retina,
            columns=columns,
            n_columns=n_columns,
            pool_rows=pooling_matrix(height, grid),
            pool_cols=pooling_matrix(width, grid),
            dtype=dtype,
        )

    # --- learning ---

    def learn(
        self,
        X: NDArray | Rows,
        *,
        n_images: int = 400,
        n_patches: int = 40_000,
        n_epochs: int = 3,
        batch_size: int = 500,
        min_gate: float = 0.2,
        random_state: int | np.random.Generator | None = None,
        progress: Progress = silent,
    ) -> FeatureMap:
        """Learn the columns from images ``X (n, n_pixels)`` in [0, 1], without labels.

        At most ``n_patches`` patches of contrast (gate above ``min_gate``) of at most ``n_images`` images, drawn at
        random, are shown ``n_epochs`` times in batches.
        """
        rng = generator_from(random_state)
        U = self.sample_patches(X[rng.permutation(len(X))[:n_images]], n_patches, min_gate, rng)
        for _ in progress(range(n_epochs), desc="feature map"):
            order = rng.permutation(len(U))
            for start in range(0, len(U), batch_size):
                self.columns.learn(U[order[start : start + batch_size]])
        return self

    def sample_patches(self, X: NDArray, n_patches: int, min_gate: float, rng: np.random.Generator) -> NDArray:
        """At most ``n_patches`` random patches of images ``X (n, n_pixels)``, with a gate above ``min_gate``."""
        check_width(X, self.n_inputs)
        kept = []
        for R in self._chunks(self.retina.response(X)):
            U, gate = self.retina.patches(R)
            kept.append(U[gate > min_gate])
        U = np.concatenate(kept)
        if not len(U):  # nothing has contrast: any patch will do
            U = self.retina.patches(R)[0]
        return U[rng.permutation(len(U))[:n_patches]]

    # --- encoding ---

    def _pooled(self, R: NDArray) -> NDArray:
        synapses = self.columns.synapses
        whole = synapses.nnz == synapses.n_post * synapses.n_pre  # then stored as a dense matrix is
        return _core.feature_map(
            R,
            synapses.weights.reshape(synapses.shape) if whole else synapses.to_scipy().toarray(),
            self._pool_rows,
            self._pool_cols,
            beta=self.columns.beta,
            k=self.columns.k,
            **self.retina.parameters,
        )
