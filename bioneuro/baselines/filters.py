"""Fixed encoders of images: a bank of filters that nothing but chance or k-means chose, and histograms of edges.

Transformers of scikit-learn, for any readout: ``make_pipeline(FilterBank(), LogisticRegression())``. Is it the
learning rule or the architecture? They have the architecture.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.cluster import KMeans
from sklearn.utils.validation import check_is_fitted, validate_data

from ..checks import Choice, check, check_count, check_dtype, on_host
from ..connectivity import RandomState, generator
from ..estimators import check_unit_interval
from ..image_shapes import row_or_image
from ..layers.feature_map import FeatureMap
from ..layers.image_map import ImageMap, pooling_matrix
from ..layers.retina import Retina
from ..network import INFERENCE_BATCH, slices
from ..seeds import generator_from
from ..synapses import Synapses
from ..threads import Threads

__all__ = ["FilterBank", "FilterMap", "OrientationHistogram"]

#: Patches that k-means learns from have at least this gate: there is something to see in them.
MIN_GATE = 0.2


class FilterMap(FeatureMap):
    """A :class:`FeatureMap` whose columns are filters: ``y = (a - mean_k a)+``, ``a = W u``, rows of W of unit norm.

    For centres of k-means that is their "triangle" code but for inner products in place of distances (Coates, Ng & Lee
    2011, AISTATS 15:215). An encoder of :class:`bioneuro.BioClassifier`.

    Parameters
    ----------
    image_shape, n_columns, retina, grid, dtype, n_threads
        As for :class:`FeatureMap`.
    random_state : Generator
        Of the first filters, directions drawn uniformly.
    """

    def __init__(self, image_shape: tuple[int, ...], *, random_state: np.random.Generator, **params: Any) -> None:
        super().__init__(image_shape, random_state=random_state, **params)
        self._set(random_state.normal(size=(self.n_columns, self.n_patch)))

    def learn(  # type: ignore[override]  # k-means has other settings than the plasticity of a map
        self,
        X: NDArray,
        *,
        n_images: int = 400,
        n_patches: int = 40_000,
        random_state: int | np.random.Generator | None = None,
    ) -> FilterMap:
        """The filters become the centres of k-means of patches with contrast of images ``X (n, n_pixels)``."""
        rng = generator_from(random_state)
        U = self.sample_patches(X[rng.permutation(len(X))[:n_images]], n_patches, MIN_GATE, rng)
        n = min(self.n_columns, len(U))
        centres = KMeans(n, n_init=1, random_state=int(rng.integers(2**31))).fit(U).cluster_centers_
        self._set(np.resize(centres, (self.n_columns, self.n_patch)))  # fewer patches than filters: some twice
        return self

    def _set(self, W: NDArray) -> None:
        W = W / np.maximum(np.linalg.norm(W, axis=1, keepdims=True), np.finfo(float).tiny)
        self.columns.synapses = Synapses.from_scipy(csr_array(W.astype(self.dtype)))

    _pooled = ImageMap._pooled

    def _respond(self, U: NDArray) -> NDArray:
        a = self.columns.synapses.forward(U, n_threads=self.retina.n_threads)
        return np.maximum(a - a.mean(axis=1, keepdims=True), 0)

    def _respond_grad(self, Y: NDArray, dY: NDArray) -> NDArray:
        da = dY * (Y > 0)
        return self.columns.synapses.input_grad(da - da.mean(axis=1, keepdims=True), n_threads=self.retina.n_threads)


class _ImageEncoder(TransformerMixin, BaseEstimator):
    """A transformer whose features have the dtype of its parameter, whatever that of its input."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []
        return tags


class FilterBank(_ImageEncoder):
    """The architecture of :class:`bioneuro.layers.FeatureMap` with filters that no neural rule has learned.

    Retina (ON and OFF patches, divisive normalisation) -> filters at every pixel, ``y = (a - mean_k a)+``, ``a = W u``
    -> average over ``grid`` x ``grid`` windows -> square root -> unit norm. ``encoder_`` can also be given to
    :class:`bioneuro.BioClassifier` as ``encoder=``, to compare behind the same association and readout.

    Parameters
    ----------
    n_filters : int >= 2
    filters : {"random", "kmeans"}
        Rows of W, of unit norm: directions drawn at random, or centres of k-means of patches with contrast.
    image_shape : "auto", (height, width) or (height, width, channels)
        ``"auto"``: a square image of one channel if the number of features is a square, else an image of one row.
    retina : None or Retina
        None: one with its defaults.
    grid : int >= 1
        Pooling windows along each side.
    n_images, n_patches : int >= 1
        At most so many images and patches, drawn at random, are shown to k-means.
    random_state : int, RandomState, Generator or None
    dtype : {"float32", "float64"}
    n_threads : int >= 1, "auto" or None
        Threads of the kernels; results do not depend on it.

    Attributes
    ----------
    encoder_ : FilterMap
    image_shape_ : (height, width, channels)
    n_features_in_ : int
    """

    def __init__(
        self,
        n_filters: int = 64,
        *,
        filters: Literal["random", "kmeans"] = "kmeans",
        image_shape: tuple[int, ...] | Literal["auto"] = "auto",
        retina: Retina | None = None,
        grid: int = 4,
        n_images: int = 400,
        n_patches: int = 40_000,
        random_state: RandomState = None,
        dtype: Literal["float32", "float64"] = "float32",
        n_threads: Threads = None,
    ) -> None:
        self.n_filters = n_filters
        self.filters = filters
        self.image_shape = image_shape
        self.retina = retina
        self.grid = grid
        self.n_images = n_images
        self.n_patches = n_patches
        self.random_state = random_state
        self.dtype = dtype
        self.n_threads = n_threads

    def fit(self, X: ArrayLike, y: Any = None) -> FilterBank:
        """Choose the filters; k-means learns them from ``X`` (n, n_features), labels are not used."""
        self._check_parameters()
        X = self._validate(X, reset=True)
        self.image_shape_ = row_or_image(self.image_shape, X.shape[1])
        rng = generator(self.random_state)
        self.encoder_ = FilterMap(
            self.image_shape_,
            n_columns=self.n_filters,
            retina=self.retina,
            grid=self.grid,
            random_state=rng,
            dtype=self.dtype,
            n_threads=self.n_threads,
        )
        if self.filters == "kmeans":
            self.encoder_.learn(X, n_images=self.n_images, n_patches=self.n_patches, random_state=rng)
        return self

    def transform(self, X: ArrayLike) -> NDArray:
        """Features (n, grid * grid * n_filters) of images: >= 0, rows of unit norm."""
        check_is_fitted(self, "encoder_")
        return self.encoder_.encode(self._validate(X, reset=False))

    def _validate(self, X: ArrayLike, reset: bool) -> NDArray:
        images: NDArray = validate_data(self, on_host(X), reset=reset, dtype=np.dtype(self.dtype), order="C")
        retina = self.retina
        if retina is not None and (retina.exponent, retina.semi_saturation) != (1, np.inf):
            check_unit_interval(images, "with a contrast response")
        return images

    def _check_parameters(self) -> None:
        check_count("n_filters", self.n_filters, 2)
        for name in ("grid", "n_images", "n_patches"):
            check_count(name, getattr(self, name))
        check("filters", self.filters, Choice(("random", "kmeans")))
        check_dtype(self.dtype)


class OrientationHistogram(_ImageEncoder):
    """Histograms of the orientation of edges, with windows of :class:`FilterBank`: a reference that learns nothing.

    After Dalal & Triggs 2005 (CVPR 1:886). Gradient ``(gx, gy)`` of every pixel by central differences, of the channel
    in which it is steepest; its magnitude goes to the two bins of ``[0, pi)`` nearest to its orientation, in proportion
    to nearness; average over ``grid`` x ``grid`` windows that overlap by half; each window's histogram v becomes
    ``v / sqrt(|v|^2 + 1e-4)``, the whole has norm 1. Dalal & Triggs' blocks of several cells are left out.

    Parameters
    ----------
    n_bins : int >= 2
    grid : int >= 1
        Pooling windows along each side.
    image_shape : "auto", (height, width) or (height, width, channels)
        As for :class:`FilterBank`.
    dtype : {"float32", "float64"}

    Attributes
    ----------
    image_shape_ : (height, width, channels)
    n_features_in_ : int
    """

    def __init__(
        self,
        n_bins: int = 9,
        *,
        grid: int = 6,
        image_shape: tuple[int, ...] | Literal["auto"] = "auto",
        dtype: Literal["float32", "float64"] = "float32",
    ) -> None:
        self.n_bins = n_bins
        self.grid = grid
        self.image_shape = image_shape
        self.dtype = dtype

    def fit(self, X: ArrayLike, y: Any = None) -> OrientationHistogram:
        """Take the shape of the images ``X`` (n, n_features)."""
        check_count("n_bins", self.n_bins, 2)
        check_count("grid", self.grid)
        check_dtype(self.dtype)
        images: NDArray = validate_data(self, on_host(X), dtype=np.dtype(self.dtype))
        self.image_shape_ = row_or_image(self.image_shape, images.shape[1])
        return self

    def transform(self, X: ArrayLike) -> NDArray:
        """Features (n, grid * grid * n_bins) of images: >= 0, rows of norm 1 (0 for an image without an edge)."""
        check_is_fitted(self, "image_shape_")
        images: NDArray = validate_data(self, on_host(X), reset=False, dtype=np.dtype(self.dtype))
        pools = [pooling_matrix(length, self.grid).astype(images.dtype) for length in self.image_shape_[:2]]
        out = np.concatenate([self._histograms(images[rows], *pools) for rows in slices(len(images), INFERENCE_BATCH)])
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), np.finfo(images.dtype).tiny)

    def _histograms(self, X: NDArray, pool_rows: NDArray, pool_cols: NDArray) -> NDArray:
        height, width, channels = self.image_shape_
        padded = np.pad(X.reshape(-1, height, width, channels), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        gy = padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]
        gx = padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]
        steepest = np.hypot(gx, gy).argmax(axis=3)[..., None]
        gx, gy = (np.take_along_axis(g, steepest, axis=3)[..., 0] for g in (gx, gy))
        position = np.arctan2(gy, gx) / np.pi * self.n_bins  # in bins, modulo their number
        half = self.n_bins / 2
        distance = np.abs((position[..., None] - np.arange(self.n_bins) + half) % self.n_bins - half)
        share = np.maximum(1 - distance, 0).astype(X.dtype) * np.hypot(gx, gy)[..., None]
        pooled = np.einsum("gh,nhwk,vw->ngvk", pool_rows, share, pool_cols, optimize=True)
        pooled /= np.sqrt(np.square(pooled).sum(axis=3, keepdims=True) + X.dtype.type(1e-4))
        return pooled.reshape(len(X), -1)
