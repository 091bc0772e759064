"""Jittered copies of images: shifted, turned, scaled, sheared and elastically bent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, check_X_y

from ..checks import POSITIVE, Checked, Number, check_count, check_labels, on_host
from ..estimators import all_or_nothing
from ..image_shapes import gray_shape_of
from ..seeds import random_state_from


@dataclass(frozen=True)
class Jitter(Checked):
    """Random deformations of gray images. Augmentation builds in knowledge about images: report it as such.

    Pixel ``r`` of a copy shows what the image has at ``A (r - centre) + centre + shift + bend(r)``, interpolated
    linearly, black beyond the border.

    Parameters
    ----------
    shift : float >= 0
        Standard deviation in pixels, down and across.
    turn : float >= 0
        Standard deviation of the angle in degrees.
    scale, shear : float >= 0
        Standard deviation of the log magnification, of each axis, and of the shear.
    bend : float >= 0
        Standard deviation of the elastic field in pixels (Simard, Steinkraus & Platt 2003).
    smoothness : float > 0
        Width of the Gaussian, in pixels, over which that field is smooth.
    """

    shift: float = 1.0
    turn: float = 6.0
    scale: float = 0.08
    shear: float = 0.08
    bend: float = 0.8
    smoothness: float = 4.0

    _kinds = dict.fromkeys(("shift", "turn", "scale", "shear", "bend"), (Number(),)) | {"smoothness": (POSITIVE,)}

    def copies(self, X: NDArray, image_shape: tuple[int, ...], n_copies: int, seed: int) -> NDArray:
        """``n_copies`` of every image, ``(n_copies n, features)``: the first copy of all images, then the second ...

        Parameters
        ----------
        X : ndarray of shape (n, features)
        image_shape : (height, width)
        n_copies : int >= 0
        seed : int >= 0
            Copy k of image i depends on ``(seed, i, k)`` and the image alone.

        Returns
        -------
        ndarray of the dtype of X
        """
        check_count("n_copies", n_copies, 0)
        check_count("seed", seed, 0)
        if X.ndim != 2:
            raise ValueError(f"X must be images (n, height * width), got shape {X.shape}")
        image_shape = gray_shape_of(image_shape, X.shape[1])
        out = np.empty((n_copies, *X.shape), X.dtype)
        for i, image in enumerate(X.reshape(-1, *image_shape)):
            for k in range(n_copies):
                out[k, i] = self._deformed(image, np.random.default_rng([seed, i, k])).ravel()
        return out.reshape(-1, X.shape[1])

    def _deformed(self, image: NDArray, rng: np.random.Generator) -> NDArray:
        height, width = image.shape
        centre = np.array([height - 1, width - 1])[:, None] / 2
        angle = np.deg2rad(self.turn) * rng.normal()
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        A = turn @ np.array([[1, 0], [self.shear * rng.normal(), 1]]) @ np.diag(np.exp(self.scale * rng.normal(size=2)))
        grid = np.indices(image.shape).reshape(2, -1)
        places = A @ (grid - centre) + centre + self.shift * rng.normal(size=(2, 1))
        if self.bend:
            noise = rng.normal(size=(2, height, width))
            field = gaussian_filter(noise, (0, self.smoothness, self.smoothness), mode="constant")
            field /= max(float(field.std()), np.finfo(float).tiny)
            places = places + self.bend * field.reshape(2, -1)
        return map_coordinates(image, places, order=1, mode="constant", output=image.dtype)


def _offers(name: str) -> Any:
    """A method is there if the classifier has it."""
    return available_if(lambda self: hasattr(getattr(self, "estimator_", self.estimator), name))


class Jittered(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Any image classifier, trained on jittered copies as well as the images: the same augmentation for every model.

    Parameters
    ----------
    estimator : classifier
        A clone of it is fitted.
    image_shape : (height, width)
    jitter : Jitter or None, default None
        None: ``Jitter()``.
    n_copies : int >= 0, default 20
        Of each image.
    random_state : int, RandomState or None

    Attributes
    ----------
    estimator_ : classifier
    classes_ : ndarray of shape (n_classes,)
    """

    def __init__(
        self,
        estimator: Any,
        image_shape: tuple[int, ...],
        *,
        jitter: Jitter | None = None,
        n_copies: int = 20,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.estimator = estimator
        self.image_shape = image_shape
        self.jitter = jitter
        self.n_copies = n_copies
        self.random_state = random_state

    def fit(self, X: ArrayLike, y: ArrayLike) -> Jittered:
        """Learn from images ``X (n, height * width)`` in [0, 1], their copies, and labels ``y (n,)``."""
        check_count("n_copies", self.n_copies, 0)
        check_labels(y)
        rows, labels = check_X_y(on_host(X), y, dtype=[np.float32, np.float64])
        jitter = Jitter() if self.jitter is None else self.jitter
        with all_or_nothing(self):
            seed = int(random_state_from(self.random_state).randint(2**31))
            copies = jitter.copies(rows, self.image_shape, self.n_copies, seed)
            shown = np.concatenate([rows, copies])
            self.estimator_ = clone(self.estimator).fit(shown, np.tile(labels, self.n_copies + 1))
            self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X: ArrayLike) -> NDArray:
        """Labels ``(n,)``."""
        check_is_fitted(self)
        return self.estimator_.predict(X)

    @_offers("predict_proba")
    def predict_proba(self, X: ArrayLike) -> NDArray:
        """Class probabilities ``(n, n_classes)``."""
        check_is_fitted(self)
        return self.estimator_.predict_proba(X)

    @_offers("decision_function")
    def decision_function(self, X: ArrayLike) -> NDArray:
        """Logits ``(n, n_classes)``, or their difference ``(n,)`` for two classes."""
        check_is_fitted(self)
        return self.estimator_.decision_function(X)
