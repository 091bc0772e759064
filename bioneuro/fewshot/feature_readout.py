"""The delta readout straight on the features: what to learn few images with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from ..checks import Integer, Number, check_parameters, on_host
from ..estimators import LogitClassifier, all_or_nothing, check_classes, validated, validated_with_labels
from ..layers import DeltaReadout, PassedOn, UnitNorm
from ..layers.interfaces import Encoder
from ..network import batches
from ..seeds import drawn_generator


class FeatureReadout(ClassNamePrefixFeaturesOutMixin, TransformerMixin, LogitClassifier):
    """E/I delta readout on the pooled features, without an association between.

    ``out = W_E h + W_I U h + b``, taught by the multiplicative delta rule of :class:`bioneuro.layers.DeltaReadout` with
    the features in place of association cells; no error is propagated backwards. With few images per class it does
    better than association cells, each of which would then stand for a single image.

    Parameters
    ----------
    features : estimator with ``fit_features(X)``, ``encoder_`` and ``image_shape_``, or None
        Such as an unfitted :class:`bioneuro.BioClassifier`: a clone of it learns the features of the training images,
        without their labels. None: ``X`` already holds rates >= 0, which are scaled to unit norm.
    encoder : None or a learned encoder
        Used as it is instead of learning one.
    eta : float, default 0.3
        Learning rate, > 0; it falls linearly to 0.
    n_updates : int, default 400
        Updates of the readout; whole passes over the images, so it may be a few more.
    batch_size : int, default 100
    random_state : int, RandomState or None

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    encoder_ : encoder
    readout_ : DeltaReadout
    """

    def __init__(
        self,
        features: Any = None,
        *,
        encoder: Encoder | None = None,
        eta: float = 0.3,
        n_updates: int = 400,
        batch_size: int = 100,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.features = features
        self.encoder = encoder
        self.eta = eta
        self.n_updates = n_updates
        self.batch_size = batch_size
        self.random_state = random_state

    _parameters = {"eta": (Number(0, 100, ends="(]"),), "n_updates": (Integer(),), "batch_size": (Integer(),)}

    def fit(self, X: ArrayLike, y: ArrayLike) -> FeatureReadout:
        """Learn features (where none are given) and readout from ``X (n, n_inputs)`` and labels ``y (n,)``."""
        with all_or_nothing(self):
            check_parameters(self, self._parameters)
            rows, labels = validated_with_labels(self, X, y, np.float32)
            self.classes_, index = np.unique(labels, return_inverse=True)
            check_classes(self.classes_)
            rng = drawn_generator(self.random_state)
            self.encoder_ = self._learned_encoder(rows) if self.encoder is None else self.encoder
            self._learn(self.encoder_.encode(rows), np.eye(len(self.classes_), dtype=np.float32)[index], rng)
        return self

    def fit_features(self, X: ArrayLike, y: Any = None) -> FeatureReadout:
        """Learn features from ``X`` alone; another one then takes them as ``encoder=self.encoder_``."""
        with all_or_nothing(self):
            self.encoder_ = self._learned_encoder(validate_data(self, on_host(X), dtype=np.float32, order="C"))
        return self

    def _learned_encoder(self, X: NDArray) -> Encoder:
        if self.features is None:
            return UnitNorm(X.shape[1])
        if not hasattr(self.features, "fit_features"):
            raise TypeError(
                "features must be an estimator with fit_features, such as BioClassifier, or None, "
                f"got {type(self.features).__name__}"
            )
        learner = clone(self.features)
        if "random_state" in learner.get_params() and learner.random_state is None:
            learner.set_params(random_state=self.random_state)
        return learner.fit_features(X).encoder_

    def _learn(self, H: NDArray, T: NDArray, rng: np.random.Generator) -> None:
        seed = int(rng.integers(2**31))
        # of few images, no synapse is one too many
        self.readout_ = DeltaReadout(PassedOn(H.shape[1]), T.shape[1], prune_every=None, seed=seed)
        step = 0
        while step < self.n_updates:
            for rows in batches(len(H), self.batch_size, rng):
                self.readout_.learn(H[rows], T[rows], self.eta * max(0.0, 1 - step / self.n_updates))
                step += 1

    # --- inference ---

    @property
    def _n_features_out(self) -> int:
        return self.encoder_.n_features

    def transform(self, X: ArrayLike) -> NDArray:
        """Features ``h (n, n_features)``."""
        check_is_fitted(self, "encoder_")
        return self.encoder_.encode(validated(self, X, np.float32))

    def _logits(self, X: ArrayLike) -> NDArray:
        check_is_fitted(self, "readout_")
        return self.readout_.logits(self.transform(X))
