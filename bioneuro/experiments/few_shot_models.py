"""Models of the few-image comparisons: ours, its architecture with filters of another origin, and rivals."""

from __future__ import annotations

import importlib.util
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.cluster import KMeans
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils import check_random_state

from ..baselines import BASELINES, make
from ..classifier import BioClassifier
from ..fewshot import FeatureReadout
from ..layers import FeatureMap

#: Where the columns of a :class:`FixedColumns` come from.
Origin = Literal["random", "patches", "k-means"]
ORIGINS: tuple[Origin, ...] = ("random", "patches", "k-means")
#: Patches that are drawn from, and the gate above which there is something to see in one: those of the map's learning.
N_IMAGES, N_PATCHES, MIN_GATE = 400, 40_000, 0.2


class FixedColumns(BaseEstimator):
    """The map of :class:`bioneuro.BioClassifier` with columns that plasticity did not make.

    Retina, competition and pooling are the same. Is it the learning rule or the architecture? This is the architecture.

    Parameters
    ----------
    origin : {"random", "patches", "k-means"}
        Columns are random directions (>= 0), random patches with contrast, or centres of k-means of those.
    image_shape, n_columns, patch_size, random_state
        As of :class:`bioneuro.BioClassifier`.

    Attributes
    ----------
    encoder_ : FeatureMap
    """

    def __init__(
        self,
        origin: Origin = "random",
        *,
        image_shape: tuple[int, ...] | Literal["auto"] = "auto",
        n_columns: int = 64,
        patch_size: int | Literal["auto"] = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.origin = origin
        self.image_shape = image_shape
        self.n_columns = n_columns
        self.patch_size = patch_size
        self.random_state = random_state

    def fit_features(self, X: ArrayLike, y: Any = None) -> FixedColumns:
        """Make the columns, from ``X (n, n_pixels)`` alone where they come from images."""
        if self.origin not in ORIGINS:
            raise ValueError(f"origin must be one of {ORIGINS}, got {self.origin!r}")
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        network = BioClassifier(
            image_shape=self.image_shape, n_columns=self.n_columns, patch_size=self.patch_size, random_state=0
        )
        # one image learns little, but builds the map as the classifier would
        encoder = network.fit_features(np.asarray(X)[:1]).encoder_
        if not isinstance(encoder, FeatureMap):
            raise ValueError(f"X must be images, got {np.shape(X)[1:]} features and image_shape {self.image_shape!r}")
        columns = self._columns(encoder, np.asarray(X, np.float32), rng)
        columns /= np.linalg.norm(columns, axis=1, keepdims=True) + 1e-12
        synapses = encoder.columns.synapses
        synapses.add(columns.ravel().astype(synapses.dtype) - synapses.weights)
        self.encoder_ = encoder
        return self

    def _columns(self, encoder: FeatureMap, X: NDArray, rng: np.random.Generator) -> NDArray[np.float64]:
        n = self.n_columns
        if self.origin == "random":
            return rng.random((n, encoder.n_patch))
        seen = X[rng.permutation(len(X))[:N_IMAGES]]
        U = encoder._sample_patches(seen, N_PATCHES, MIN_GATE, rng).astype(float)
        if self.origin == "k-means":
            clusters = KMeans(min(n, len(U)), n_init=1, max_iter=20, random_state=int(rng.integers(2**31))).fit(U)
            return np.resize(clusters.cluster_centers_, (n, U.shape[1]))
        return U[rng.integers(len(U), size=n)]


def few_image_models(image_shape: tuple[int, ...], *, rivals_only: bool = False) -> dict[str, Any]:
    """Every model of the comparison by name, unfitted; ConvNet is there where torch is.

    Parameters
    ----------
    image_shape : (height, width) or (height, width, channels)
    rivals_only : bool
        Without ours.
    """
    ours = {
        "map + readout": FeatureReadout(BioClassifier(image_shape=image_shape)),
        "bioneuro": BioClassifier(image_shape=image_shape),
        "bioneuro votes": BioClassifier("votes", image_shape=image_shape),
    }
    controls = {
        f"{origin} columns + readout": FeatureReadout(FixedColumns(origin, image_shape=image_shape))
        for origin in ORIGINS
    }
    rivals = {"MLP": make("mlp"), "nearest neighbour": KNeighborsClassifier(1)}
    if "cnn" in BASELINES and importlib.util.find_spec("torch") is not None:
        rivals["CNN"] = make("cnn", image_shape=image_shape)
    return {**({} if rivals_only else ours), **controls, **rivals}
