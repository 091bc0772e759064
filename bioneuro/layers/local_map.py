"""Local map: at every position of a grid its own cells, which see the patch there and no other."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import DTypeLike, NDArray

from .. import connectivity
from .._attributes import Count, Floating, Items, Part, Plain, Same, ThreadCount
from ..checks import Choice, Integer, check, check_count, check_width
from ..connectivity import Init
from ..image_shapes import with_channels
from ..progress import silent
from ..row_sources import Rows
from ..rules import RuleLike
from ..seeds import generator_from
from ..threads import Threads
from .feature_map import COLUMN_RULE, FeatureMap
from .hypercolumns import Hypercolumns
from .image_map import ImageMap, pooling_matrix
from .interfaces import Progress
from .numeric_limits import GAIN, GAIN_OR_NONE
from .retina import Retina

STARTS = ("tied", "random")


def every(stride: int, length: int) -> slice:
    """Each ``stride``-th of ``length`` positions, centred."""
    return slice((length - 1) % stride // 2, length, stride)


class LocalMap(ImageMap):
    """Untied local receptive fields: retina -> a hypercolumn at each position -> pooling -> square root -> unit norm.

    As :class:`FeatureMap`, but position g has P cells with weights of their own, ``y_g = softmax(beta W_g u_g)``. All
    ``W_g`` together are one CSR pathway, ``columns.synapses`` (positions P, positions 2 p p channels), with blocks on
    its diagonal: row ``g P + k`` holds the synapses onto cell k at position g, columns ``g 2 p p channels ...`` the
    retina's outputs there. Weights and homeostatic thresholds are local to the position.

    Parameters
    ----------
    image_shape : (height, width) or (height, width, channels)
    n_columns : int, default 64
        Cells P at each position.
    retina : Retina
    rule : str, Rule or function
        What the columns learn by; default: log relaxation with eta .05.
    beta, sharpening, homeostasis : float
        Of the :class:`Hypercolumns`.
    stride : int, default 1
        Pixels from one position to the next; the grid is centred on the image.
    grid : int or None, default 4
        Pooling windows along each side (:func:`pooling_matrix`); None keeps every position apart.
    start : {"tied", "random"}, default "tied"
        ``"tied"``: learning starts at every position from the same columns, those that a :class:`FeatureMap` learns
        from the same images, and lets them diverge; cell k then means about the same in all of a pooling window.
        ``"random"``: from ``init``.
    init : str or callable, default "uniform"
        Law of the first weights (:mod:`bioneuro.connectivity`), > 0.
    random_state : Generator
    dtype : float32 or float64
    n_threads : int >= 1, "auto" or None

    Raises
    ------
    ValueError
        ``stride`` or ``grid`` below 1, an unknown ``start``, or what the parts refuse.
    """

    columns: Hypercolumns
    # the products take samples in tiles of 64, so a chunk of MNIST's images is one tile
    chunk_pixels = 64 * 28 * 28

    SAVED: ClassVar = ImageMap.SAVED | {
        "columns": Part(Hypercolumns, {"n_rivals": "n_columns", "synapses.dtype": "dtype"}),
        "start": Choice(STARTS),
        "stride": Count(1),
        "_tied_parameters": Items(
            {
                **{name: GAIN for name in ("beta", "sharpening")},
                "rule": Plain(),
                "homeostasis": GAIN_OR_NONE,
                "n_threads": ThreadCount(),
                "n_columns": Same("n_columns"),
                "init": Plain(),
                "dtype": Floating(),
            }
        ),
    }

    def check_saved(self) -> None:
        """Whether there are as many positions as pixels make room for (:mod:`bioneuro._attributes`)."""
        sites = tuple(len(range(length)[every(self.stride, length)]) for length in (self.height, self.width))
        pooled = self._pool_rows.shape[1], self._pool_cols.shape[1]
        if pooled != sites or self.n_positions != math.prod(sites):
            raise ValueError(f"a LocalMap must pool {sites} positions, got {pooled} and {self.n_positions} in all")
        if self.columns.synapses.n_pre != self.n_positions * self.n_patch:
            raise ValueError(f"columns of a LocalMap must see {self.n_patch} inputs each, got {self.columns.synapses}")

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
        stride: int = 1,
        grid: int | None = 4,
        start: Literal["tied", "random"] = "tied",
        init: Init = "uniform",
        random_state: int | np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
        n_threads: Threads = None,
    ) -> None:
        check_count("stride", stride)
        check("grid", grid, Integer(), None)
        check("start", start, Choice(STARTS))
        height, width, channels = with_channels(image_shape)
        retina = Retina(n_threads=n_threads) if retina is None else retina
        self.start = start
        self.stride = int(stride)
        rows, cols = (len(range(length)[every(stride, length)]) for length in (height, width))
        # the retina's outputs are an image of rows x cols positions with n_patch channels
        n_patch = 2 * retina.patch_size**2 * channels
        rng = generator_from(random_state)
        synapses = connectivity.local_receptive_fields(
            (rows, cols, n_patch), 1, 1, n_columns, init=init, sign="E", random_state=rng, dtype=dtype
        )
        synapses.normalize_rows()
        competition: dict[str, Any] = {
            "beta": beta,
            "sharpening": sharpening,
            "rule": rule,
            "homeostasis": homeostasis,
            "n_threads": n_threads,
        }
        columns = Hypercolumns(synapses, n_columns, seed=int(rng.integers(2**31)), **competition)
        super().__init__(
            image_shape,
            retina=retina,
            columns=columns,
            n_columns=n_columns,
            pool_rows=np.eye(rows) if grid is None else pooling_matrix(rows, grid),
            pool_cols=np.eye(cols) if grid is None else pooling_matrix(cols, grid),
            dtype=dtype,
        )
        self._tied_parameters = {**competition, "n_columns": n_columns, "init": init, "dtype": dtype}

    @property
    def n_positions(self) -> int:
        """Positions of the grid."""
        return self.columns.n_groups

    @property
    def centre(self) -> int:
        """Number of the position in the middle of the grid (counted row by row)."""
        rows, cols = self._pool_rows.shape[1], self._pool_cols.shape[1]
        return rows // 2 * cols + cols // 2

    # --- learning ---

    def learn(
        self,
        X: NDArray | Rows,
        *,
        n_images: int = 3000,
        n_epochs: int = 1,
        batch_size: int = 100,
        min_gate: float = 0.2,
        random_state: int | np.random.Generator | None = None,
        progress: Progress = silent,
    ) -> LocalMap:
        """Learn all columns from images ``X (n, n_pixels)`` in [0, 1], without labels.

        At most ``n_images`` images, drawn at random, are shown ``n_epochs`` times in batches; a position learns from
        those that have contrast there (gate above ``min_gate``). Cells at positions that never have contrast stay as
        they started.
        """
        rng = generator_from(random_state)
        check_width(X[:1], self.n_inputs)
        if self.start == "tied":
            self._copy_tied(X, min_gate, rng, progress)
        drawn = X[rng.permutation(len(X))[:n_images]]
        for _ in progress(range(n_epochs), desc="local map"):
            order = rng.permutation(len(drawn))
            for start in range(0, len(drawn), batch_size):
                for R in self._chunks(self.retina.response(drawn[order[start : start + batch_size]])):
                    U, gate = self._patches(R)
                    self.columns.learn(U.reshape(len(R), -1), seen=gate.reshape(len(R), -1) > min_gate)
        return self

    def _copy_tied(self, X: NDArray | Rows, min_gate: float, rng: np.random.Generator, progress: Progress) -> None:
        """Give every position the columns that a map of tied ones learns, as mature cells."""
        shape = self.height, self.width, self.channels
        tied = FeatureMap(shape, retina=self.retina, random_state=rng, **self._tied_parameters)
        tied.learn(X, min_gate=min_gate, random_state=rng, progress=progress)
        synapses = self.columns.synapses
        synapses.add(np.tile(tied.columns.synapses.weights, self.n_positions) - synapses.weights)
        self.columns.age[:] = np.tile(tied.columns.age, self.n_positions)

    # --- what the cells see ---

    def receptive_fields(self, position: int | None = None) -> NDArray:
        """Weights of each cell in the coordinates of its patch, shape ``(cells, 2 p p channels)``.

        Of all cells, position after position, or of those at one ``position`` (counted row by row).
        :func:`bioneuro.plot.receptive_fields` draws them.
        """
        W = self.columns.synapses.to_scipy()
        if position is not None:
            check_count("position", position, 0, self.n_positions - 1)
            W = W[position * self.n_columns : (position + 1) * self.n_columns]
        return sp.csr_array((W.data, W.indices % self.n_patch, W.indptr), (W.shape[0], self.n_patch)).toarray()

    # --- positions ---

    def _patches(self, R: NDArray) -> tuple[NDArray, NDArray]:
        U, gate = (self._at_sites(A, len(R)) for A in self.retina.patches(R))
        return U.reshape(-1, self.n_patch), gate.ravel()

    def _at_sites(self, A: NDArray, n: int) -> NDArray:
        """The positions of the grid out of an array with a row for each pixel of ``n`` images: a view."""
        return A.reshape(n, self.height, self.width, -1)[
            :, every(self.stride, self.height), every(self.stride, self.width)
        ]

    def _patches_grad(self, R: NDArray, dU: NDArray, dgate: NDArray) -> NDArray:
        n_pixels = len(R) * self.height * self.width
        whole_dU, whole_dgate = np.zeros((n_pixels, self.n_patch), dU.dtype), np.zeros(n_pixels, dgate.dtype)
        for whole, slope in (whole_dU, dU), (whole_dgate, dgate):
            sites = self._at_sites(whole, len(R))
            sites[...] = slope.reshape(sites.shape)
        return self.retina.patches_grad(R, whole_dU, whole_dgate)

    def _respond(self, U: NDArray) -> NDArray:
        return self.columns.respond(U.reshape(-1, self.columns.synapses.n_pre)).reshape(-1, self.n_columns)

    def _respond_grad(self, Y: NDArray, dY: NDArray) -> NDArray:
        n_cells = self.columns.n_cells
        return self.columns.respond_grad(Y.reshape(-1, n_cells), dY.reshape(-1, n_cells)).reshape(-1, self.n_patch)
