"""A model as a function of images with channels first: what each adapter wraps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..attacks.answers import logits
from ..image_shapes import image_shape_of, with_channels
from ..network import INFERENCE_BATCH, slices
from ..protocols import Classifier, Pullback

__all__ = ["ImageModel"]


class ImageModel:
    """Logits of a model and their gradient; see `bioneuro.adapters.to_torch` for the parameters.

    Attributes
    ----------
    shape : tuple or None
        Of one image: (channels, height, width), or (features,) for plain vectors; None if the model does not tell.
    n_classes : int
    """

    def __init__(self, model: Classifier, image_shape: tuple[int, ...] | None = None) -> None:
        missing = [name for name in ("predict", "decision_function", "classes_") if not hasattr(model, name)]
        if missing:
            raise TypeError(
                f"model must be a fitted classifier with logits, but {type(model).__name__} lacks "
                f"{', '.join(missing)} (see bioneuro.protocols)"
            )
        self.model: Any = model
        self.n_classes = len(model.classes_)
        self.shape = _channels_first(image_shape, model)

    def logits(self, images: NDArray) -> NDArray:
        """(n, n_classes), in the dtype of the images (n, channels, height, width) or rows (n, features).

        NaN for an image with a NaN in it, as of a network in torch: one that an attack has lost does not stop the rest.
        """
        X, lost = self._seen(images)
        return _marked(self._logits(X).astype(images.dtype, copy=False), lost)

    def _logits(self, X: NDArray) -> NDArray:
        if hasattr(self.model, "input_vjp"):  # not decision_function: they may differ by a constant a sample
            return np.concatenate([self.model.input_vjp(X[rows])[0] for rows in slices(len(X), INFERENCE_BATCH)])
        z = logits(self.model, X)
        return z - z.mean(axis=1, keepdims=True)

    def vjp(self, images: NDArray) -> tuple[NDArray, Pullback]:
        """Logits as in :meth:`logits`, and how to pull a gradient with respect to them back to the images."""
        X, lost = self._seen(images)
        if hasattr(self.model, "input_vjp"):
            outputs, to_rows = self.model.input_vjp(X)
        else:
            outputs, to_rows = self._logits(X), self._losses_pullback(X)

        def pullback(dlogits: NDArray) -> NDArray:
            unknown = lost | np.isnan(dlogits).any(axis=1)
            gradient = np.asarray(to_rows(np.where(unknown[:, None], 0, dlogits)), images.dtype)
            return self._images(_marked(gradient, unknown), images.shape)

        return _marked(np.asarray(outputs, images.dtype), lost), pullback

    def _seen(self, images: NDArray) -> tuple[NDArray, NDArray[np.bool_]]:
        """Rows that the model can look at, and which of them stand for images with a NaN in them."""
        X = self.rows(images)
        lost = np.isnan(X).any(axis=1)
        return np.where(lost[:, None], X.dtype.type(0), X) if lost.any() else X, lost

    def _losses_pullback(self, X: NDArray) -> Pullback:
        """From gradients of the cross-entropy alone.

        That of class k is ``L_k = sum_j p_j dz_j - dz_k``: if the dlogits sum to 0, as those of centred logits do, the
        first term cancels in ``- sum_k dlogits_k L_k = sum_k dlogits_k dz_k``.
        """

        def pullback(dlogits: NDArray) -> NDArray:
            if not hasattr(self.model, "input_gradient"):
                raise TypeError(
                    f"{type(self.model).__name__} has neither input_vjp nor input_gradient (see bioneuro.protocols): "
                    "choose attacks that need no gradients"
                )
            centred = dlogits - dlogits.mean(axis=1, keepdims=True)
            total = np.zeros_like(X)
            for label, share in zip(self.model.classes_, centred.T, strict=True):
                total -= share[:, None] * self.model.input_gradient(X, np.full(len(X), label), loss="ce")
            return total

        return pullback

    def rows(self, images: NDArray) -> NDArray:
        """Images as the model takes them: (n, features), channels last, inside [0, 1]."""
        if images.dtype not in (np.float32, np.float64):
            raise TypeError(f"images must be float32 or float64, got {images.dtype}")
        if images.ndim not in (2, 4):
            raise ValueError(f"images must be (n, channels, height, width) or (n, features), got {images.shape}")
        if self.shape is not None and images.shape[1:] not in (self.shape, (math.prod(self.shape),)):
            raise ValueError(f"images must have shape (n, {', '.join(map(str, self.shape))}), got {images.shape}")
        last = images if images.ndim == 2 else np.moveaxis(images, 1, -1)
        # Rounding takes attacks out of [0, 1], which models of images refuse.
        return np.clip(np.ascontiguousarray(last).reshape(len(images), -1), 0, 1)

    def unpacked(self, X: NDArray) -> NDArray:
        """Rows (n, features) as images (n, channels, height, width); as they are if the model has plain vectors."""
        return X if self.shape is None else self._images(X, (len(X), *self.shape))

    @staticmethod
    def _images(rows: NDArray, shape: tuple[int, ...]) -> NDArray:
        if len(shape) == 2:
            return rows
        n, channels, height, width = shape
        return np.ascontiguousarray(np.moveaxis(rows.reshape(n, height, width, channels), -1, 1))


def _marked(values: NDArray, lost: NDArray[np.bool_]) -> NDArray:
    """The rows (n, k), NaN where they are `lost` (n,)."""
    return np.where(lost[:, None], values.dtype.type(np.nan), values) if lost.any() else values


def _channels_first(image_shape: tuple[int, ...] | None, model: Classifier) -> tuple[int, ...] | None:
    named = image_shape or getattr(model, "image_shape_", None)
    features = getattr(model, "n_features_in_", None) or (named and math.prod(named))
    if not features:
        return None
    shape = image_shape_of(named or "auto", features)
    if shape is None:
        return (features,)
    height, width, channels = with_channels(shape)
    return channels, height, width
