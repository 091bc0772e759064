"""Models of the few-image comparisons: ours, its architecture with filters of another origin, and rivals."""

from __future__ import annotations

import importlib.util
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import KMeans
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

from ...baselines import FilterBank, OrientationHistogram, make
from ...checks import Choice, check
from ...classifier import BioClassifier
from ...fewshot import ElasticMatcher, ElasticVotes, FeatureReadout, Jittered
from ...layers import FeatureMap, MapSettings
from ...seeds import drawn_generator

#: Where the columns of a :class:`FixedColumns` come from.
Origin = Literal["random", "patches", "k-means"]
ORIGINS: tuple[Origin, ...] = ("random", "patches", "k-means")
#: Parameters of the map in the models named "map" and "columns": one choice for all data sets, made on validation
#: images of two. The default retina's steep contrast response, which buys robustness, costs accuracy from few images.
FEW_IMAGES: dict[str, Any] = {"exponent": 0.7, "n_columns": 256}
#: Inverse strength of the penalty on the weights of the logistic regression.
LOGISTIC_C = 100.0
#: Images and patches drawn, and the least gate of a patch with contrast: as in the map's own learning.
N_IMAGES, N_PATCHES, MIN_GATE = 400, 40_000, 0.2


class FixedColumns(BaseEstimator):
    """The map of :class:`bioneuro.BioClassifier` with columns that plasticity did not make.

    Retina, competition and pooling are the same. Is it the learning rule or the architecture? This is the architecture.

    Parameters
    ----------
    origin : {"random", "patches", "k-means"}
        Columns are random directions (>= 0), random patches with contrast, or centres of k-means of those.
    image_shape, random_state
        As of :class:`bioneuro.BioClassifier`.
    n_columns, patch_size, exponent
        As of :class:`bioneuro.layers.MapSettings`.

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
        exponent: float = 4.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.origin = origin
        self.image_shape = image_shape
        self.n_columns = n_columns
        self.patch_size = patch_size
        self.exponent = exponent
        self.random_state = random_state

    def fit_features(self, X: ArrayLike, y: Any = None) -> FixedColumns:
        """Make the columns, from ``X (n, n_pixels)`` alone where they come from images."""
        check("origin", self.origin, Choice(ORIGINS))
        rng = drawn_generator(self.random_state)
        network = BioClassifier(
            image_shape=self.image_shape,
            encoder=MapSettings(n_columns=self.n_columns, patch_size=self.patch_size, exponent=self.exponent),
            random_state=0,
        )
        # builds the map as the classifier does; one image changes it little
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
        U = encoder.sample_patches(seen, N_PATCHES, MIN_GATE, rng).astype(float)
        if self.origin == "k-means":
            clusters = KMeans(min(n, len(U)), n_init=1, max_iter=20, random_state=int(rng.integers(2**31))).fit(U)
            return np.resize(clusters.cluster_centers_, (n, U.shape[1]))
        return U[rng.integers(len(U), size=n)]


def few_image_models(image_shape: tuple[int, ...], *, rivals_only: bool = False) -> dict[str, Any]:
    """Every model of the comparison by name, unfitted; convolutional networks are there where torch is.

    "jittered" models also learn from deformed copies of the images: knowledge about images, stated apart.

    Parameters
    ----------
    image_shape : (height, width) or (height, width, channels)
    rivals_only : bool
        Without ours.
    """
    gray = len(image_shape) == 2
    models: dict[str, Any] = {} if rivals_only else _ours(image_shape, gray)
    models |= {
        f"{origin} columns + readout": FeatureReadout(FixedColumns(origin, image_shape=image_shape, **FEW_IMAGES))
        for origin in ORIGINS
    }
    for filters in ("random", "kmeans"):
        bank = FilterBank(filters=filters, image_shape=image_shape)
        models[f"{filters} filters + readout"] = make_pipeline(bank, FeatureReadout())
    edges = OrientationHistogram(image_shape=image_shape)
    models["edge histograms + logistic"] = make_pipeline(edges, LogisticRegression(C=LOGISTIC_C, max_iter=1000))
    models |= {"MLP": make("mlp"), "nearest neighbour": KNeighborsClassifier(1)}
    jittered = ["MLP"]
    if importlib.util.find_spec("torch") is not None:
        models["CNN"] = make("cnn", image_shape=image_shape)
        jittered.append("CNN")
    if gray:
        models |= {f"{name}, jittered": Jittered(clone(models[name]), image_shape) for name in jittered}
    return models


def _ours(image_shape: tuple[int, ...], gray: bool) -> dict[str, Any]:
    readout = FeatureReadout(BioClassifier(image_shape=image_shape, encoder=MapSettings(**FEW_IMAGES)))
    models: dict[str, Any] = {
        "map + readout": readout,
        "bioneuro": BioClassifier(image_shape=image_shape),
        "bioneuro votes": BioClassifier("votes", image_shape=image_shape),
    }
    if gray:
        elastic = ElasticVotes(ElasticMatcher(image_shape=(image_shape[0], image_shape[1])))
        models["map + readout, elastic votes"] = VotingClassifier(
            [("readout", readout), ("elastic", elastic)], voting="soft"
        )
        models["map + readout, jittered"] = Jittered(readout, image_shape)
    return models
