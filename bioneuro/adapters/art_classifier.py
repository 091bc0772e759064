"""A model as an estimator of ART."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np
from art.estimators import BaseEstimator, LossGradientsMixin, NeuralNetworkMixin
from art.estimators.classification.classifier import ClassGradientsMixin, ClassifierMixin
from art.utils import check_and_transform_label_format
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax, softmax

from ..checks import Choice, check
from ..protocols import Classifier
from .image_model import ImageModel

__all__ = ["ArtClassifier"]

_REDUCTIONS: dict[str, Callable[[NDArray], Any]] = {"none": np.asarray, "mean": np.mean, "sum": np.sum}


class ArtClassifier(ClassGradientsMixin, ClassifierMixin, LossGradientsMixin, NeuralNetworkMixin, BaseEstimator):
    """What `bioneuro.adapters.to_art` returns. Its loss is the cross-entropy of the logits."""

    estimator_params = (
        BaseEstimator.estimator_params + NeuralNetworkMixin.estimator_params + ClassifierMixin.estimator_params
    )

    def __init__(self, model: Classifier, image_shape: tuple[int, ...] | None = None) -> None:
        super().__init__(model=model, clip_values=(0.0, 1.0), preprocessing=None, channels_first=True)
        self.images = ImageModel(model, image_shape)
        if self.images.shape is None:
            raise ValueError(
                f"image_shape is needed: {type(model).__name__} has neither image_shape_ nor n_features_in_"
            )
        self.nb_classes = self.images.n_classes

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(channels, height, width), or (features,)."""
        assert self.images.shape is not None
        return self.images.shape

    def predict(self, x: NDArray, batch_size: int = 128, **kwargs: Any) -> NDArray[np.float32]:
        """Logits (n, nb_classes)."""
        return self.images.logits(_float32(x))

    def loss_gradient(self, x: NDArray, y: ArrayLike, **kwargs: Any) -> NDArray[np.float32]:
        """Gradient of each sample's own loss, of the shape of x; y one-hot or columns of the logits."""
        logits, pullback = self.images.vjp(_float32(x))
        return pullback(softmax(logits, axis=1) - self._one_hot(y))

    def class_gradient(self, x: NDArray, label: int | ArrayLike | None = None, **kwargs: Any) -> NDArray[np.float32]:
        """Gradient of logits: (n, nb_classes, ...), or (n, 1, ...) of the one `label`, or of each sample's own."""
        logits, pullback = self.images.vjp(_float32(x))
        if label is None:
            every = np.eye(self.nb_classes, dtype=logits.dtype)
            return np.stack([pullback(np.broadcast_to(one, logits.shape)) for one in every], axis=1)
        columns = np.broadcast_to(np.asarray(label), len(logits))
        return pullback(np.eye(self.nb_classes, dtype=logits.dtype)[columns])[:, None]

    def compute_loss(
        self, x: NDArray, y: ArrayLike, reduction: str = "none", **kwargs: Any
    ) -> NDArray[np.float32] | np.floating:
        """Loss of each sample (n,), or with `reduction` "mean" or "sum" one number."""
        check("reduction", reduction, Choice(_REDUCTIONS))
        losses = -(log_softmax(self.predict(x), axis=1) * self._one_hot(y)).sum(axis=1)
        return _REDUCTIONS[reduction](losses)

    def fit(self, x: NDArray, y: ArrayLike, **kwargs: Any) -> NoReturn:
        """Refused: the model learns by its own rules."""
        raise NotImplementedError("an adapted model does not learn here: fit it before to_art(model)")

    def get_activations(self, x: NDArray, layer: int | str, batch_size: int = 128, framework: bool = False) -> NoReturn:
        """Refused: only the logits are adapted."""
        raise NotImplementedError("only the logits are adapted: attacks on inner layers cannot run")

    def _one_hot(self, y: ArrayLike) -> NDArray[np.float32]:
        return check_and_transform_label_format(np.asarray(y), nb_classes=self.nb_classes).astype(np.float32)


def _float32(x: ArrayLike) -> NDArray[np.float32]:
    return np.asarray(x, np.float32)
