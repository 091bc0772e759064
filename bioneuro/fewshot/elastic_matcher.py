"""Drawings compared by elastic matching of what a learned map sees around their ink."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from ..checks import POSITIVE, SHARE, Integer, Kind, Number, check, check_parameters, on_host
from ..estimators import all_or_nothing, validated
from ..image_shapes import gray_shape_of
from ..layers import FeatureMap, Retina
from ..seeds import drawn_generator
from ..threads import MOST, Threads
from .alignment import PointSets, similarity_of
from .normalisation import inked, normalised

#: What radius, n_angles, blur and weight of a ring may be.
RING: tuple[Kind, ...] = Number(0), Integer(), Number(0), Number(0)

#: Images whose fields are in memory at a time.
CHUNK = 16
#: Added before the square root: what a column that is silent has.
FLOOR = 1e-12


class ElasticMatcher(TransformerMixin, BaseEstimator):
    """Encoder of drawings for one-shot classification, learned without labels.

    A drawing is brought to one size, and the columns of a :class:`bioneuro.layers.FeatureMap`, learned by local
    plasticity from unlabelled drawings, respond at each of its pixels. Around points of the ink their rates are read
    at the centre and on rings, the blurrier the further out, as receptive fields grow with eccentricity (geometric
    blur, Berg & Malik 2001); the square roots, of unit norm, are the point's descriptor. Two drawings are as similar as
    their points fit after an affine alignment (:func:`bioneuro.fewshot.alignment.similarity_of`): cells that may shift,
    the idea of dynamic links (Lades et al. 1993, IEEE Trans. Computers 42:300). Nothing is learned from labels or from
    other images of the task.

    Parameters
    ----------
    image_shape : (height, width), default (105, 105)
        Of the images, ink 1.
    side, radius, aspect : int, float, float
        Size of the normalised drawings in pixels, spread of their ink as a share of it, and how far proportions are
        evened out (:func:`bioneuro.fewshot.normalisation.normalised`).
    n_columns, patch_size : int
        Of the map.
    n_points : int
        Points of a drawing, evenly spaced in the raster order of its ink.
    rings : sequence of (radius, n_angles, blur, weight)
        In pixels of the normalised drawing; weights are those of the norm.
    penalty, n_alignments, stiffness : float, int, float
        Of the matching.
    n_images : int
        Drawings that the map learns from, at most.
    random_state : int, RandomState or None
    n_threads : int >= 1, "auto" or None

    Attributes
    ----------
    map_ : FeatureMap
    image_shape_ : (height, width)
    """

    def __init__(
        self,
        *,
        image_shape: tuple[int, int] = (105, 105),
        side: int = 40,
        radius: float = 0.24,
        aspect: float = 0.5,
        n_columns: int = 16,
        patch_size: int = 5,
        n_points: int = 64,
        rings: Sequence[tuple[float, int, float, float]] = (
            (0.0, 1, 1.5, 1.0),
            (4.5, 6, 2.25, 1.0),
            (9.0, 8, 3.75, 1.5),
            (15.0, 10, 6.0, 2.0),
        ),
        penalty: float = 15.0,
        n_alignments: int = 2,
        stiffness: float = 0.1,
        n_images: int = 500,
        random_state: int | np.random.RandomState | None = 0,
        n_threads: Threads = None,
    ) -> None:
        self.image_shape = image_shape
        self.side = side
        self.radius = radius
        self.aspect = aspect
        self.n_columns = n_columns
        self.patch_size = patch_size
        self.n_points = n_points
        self.rings = rings
        self.penalty = penalty
        self.n_alignments = n_alignments
        self.stiffness = stiffness
        self.n_images = n_images
        self.random_state = random_state
        self.n_threads = n_threads

    _parameters = {
        **dict.fromkeys(("side", "n_columns", "patch_size", "n_points", "n_images"), (Integer(),)),
        "n_alignments": (Integer(0),),
        "aspect": (SHARE,),
        "radius": (POSITIVE,),
        "stiffness": (POSITIVE,),
        "penalty": (Number(),),
        "n_threads": (Integer(1, MOST), "auto", None),
    }

    def fit(self, X: ArrayLike, y: Any = None) -> ElasticMatcher:
        """Learn the map from drawings ``X (n, height * width)``; labels are ignored."""
        with all_or_nothing(self):
            self._learn(X)
        return self

    def _learn(self, X: ArrayLike) -> None:
        check_parameters(self, self._parameters)
        if not len(self.rings) or any(len(ring) != 4 for ring in self.rings):
            raise ValueError(f"rings must be (radius, n_angles, blur, weight) each, got {self.rings}")
        for i, ring in enumerate(self.rings):
            for part, value, kind in zip(("radius", "n_angles", "blur", "weight"), ring, RING, strict=True):
                check(f"{part} of rings[{i}]", value, kind)
        rows = validate_data(self, on_host(X), dtype=np.float32, order="C")
        self.image_shape_ = gray_shape_of(self.image_shape, rows.shape[1])
        rng = drawn_generator(self.random_state)
        rows = rows[rng.permutation(len(rows))[: self.n_images]]
        self.map_ = FeatureMap(
            (self.side, self.side),
            n_columns=self.n_columns,
            retina=Retina(self.patch_size, n_threads=self.n_threads),
            random_state=rng,
            n_threads=self.n_threads,
        )
        self.map_.learn(self._normalised(rows), n_images=len(rows), random_state=rng)

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Points of the drawings ``X (n, height * width)``: ``(n, n_points, 2 + n_descriptor)``, the place first."""
        check_is_fitted(self, "map_")
        images = self._normalised(validated(self, X, np.float32))
        n_descriptor = sum(n_angles for _, n_angles, _, _ in self.rings) * self.n_columns
        out = np.empty((len(images), self.n_points, 2 + n_descriptor), np.float32)
        squares = images.reshape(-1, self.side, self.side)
        number = 0
        for fields in self._blurred(images):
            for fields_of_one in zip(*fields, strict=True):
                out[number] = self._points(squares[number], fields_of_one)
                number += 1
        return out

    def similarity(self, A: NDArray, B: NDArray) -> NDArray[np.float32]:
        """How well two sets of transformed drawings fit, ``(len(A), len(B))``; at most 1, which equal ones have."""
        sets = (PointSets(Z[..., :2], np.ascontiguousarray(Z[..., 2:])) for Z in (A, B))
        return similarity_of(*sets, penalty=self.penalty, n_alignments=self.n_alignments, stiffness=self.stiffness)

    def _normalised(self, rows: NDArray) -> NDArray[np.float32]:
        return normalised(rows.reshape(-1, *self.image_shape_), self.side, self.radius, self.aspect)

    def _blurred(self, images: NDArray) -> Iterator[list[NDArray]]:
        """Square roots of the columns' rates of a few images, blurred as each ring asks: (images, side, side, P)."""
        for start in range(0, len(images), CHUNK):
            rates = self._rates(images[start : start + CHUNK])
            blurred = [gaussian_filter(rates, (0, blur, blur, 0), truncate=3) for _, _, blur, _ in self.rings]
            yield [np.sqrt(field + FLOOR) for field in blurred]

    def _rates(self, images: NDArray) -> NDArray:
        """Rates of the columns times the retina's gate, at every pixel: (images, side, side, P)."""
        U, gate = self.map_.retina.patches(images.reshape(-1, self.side, self.side, 1))
        return (self.map_.columns.respond(U) * gate[:, None]).reshape(len(images), self.side, self.side, -1)

    def _points(self, image: NDArray, fields: Sequence[NDArray]) -> NDArray:
        """Places about their mean, as a share of the side, and descriptors of the points of one drawing."""
        ink = inked(image)
        points = ink[np.linspace(0, len(ink) - 1, self.n_points).round().astype(int)]
        parts = []
        for (radius, n_angles, _, weight), field in zip(self.rings, fields, strict=True):
            angle = 2 * np.pi * np.arange(n_angles) / n_angles
            around = np.rint(points[:, None] + radius * np.stack([np.sin(angle), np.cos(angle)], axis=1)).astype(int)
            inside = ((around >= 0) & (around < self.side)).all(axis=2)
            rows, cols = np.moveaxis(around.clip(0, self.side - 1), 2, 0)
            seen = field[rows, cols] * inside[..., None]
            parts.append(weight / np.sqrt(n_angles) * seen.reshape(len(points), -1))
        descriptors = np.concatenate(parts, axis=1)
        descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True) + FLOOR
        return np.concatenate([(points - points.mean(axis=0)) / self.side, descriptors], axis=1)
