"""A torch module as a classifier that our attacks and protocols take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from ..attacks.inputs import check_images
from ..estimators import LogitClassifier
from ..image_shapes import image_shape_of, with_channels
from ..protocols import Pullback
from ..white_box import Front, Identity, WhiteBoxMixin

__all__ = ["TorchClassifier"]

#: Rows in a pass where no gradient is asked for.
BATCH = 512


class TorchClassifier(WhiteBoxMixin, LogitClassifier):
    """What :func:`bioneuro.adapters.from_torch` returns; see there for the parameters."""

    def __init__(self, module: torch.nn.Module, classes: ArrayLike, image_shape: tuple[int, ...] | None = None) -> None:
        self.module, self.classes, self.image_shape = module, classes, image_shape
        self.classes_ = np.asarray(classes)
        if self.classes_.ndim != 1 or len(np.unique(self.classes_)) != self.classes_.size or self.classes_.size < 2:
            raise ValueError(f"classes must be at least 2 different labels, one for each output, got {classes!r}")
        if not isinstance(module, torch.nn.Module):
            raise TypeError(f"module must be a torch.nn.Module, got {type(module).__name__}")
        if image_shape is not None:
            self.image_shape_ = image_shape_of(image_shape, int(np.prod(image_shape)))
            self.n_features_in_ = int(np.prod(image_shape))

    def fit(self, X: ArrayLike, y: ArrayLike) -> TorchClassifier:
        """Refused: train the module by torch, then adapt it."""
        raise TypeError("a torch module that is adapted does not learn here: train it by torch, then call from_torch")

    def _front(self) -> Front:
        return Identity()

    def _checked(self, X: ArrayLike) -> NDArray:
        rows = check_images(X)
        if rows.shape[1] != getattr(self, "n_features_in_", rows.shape[1]):
            raise ValueError(f"X must have {self.n_features_in_} features, as image_shape says, got {rows.shape[1]}")
        return rows

    def _logits(self, X: ArrayLike) -> NDArray:
        rows = self._checked(X)
        with self._in_evaluation(), torch.no_grad():
            parts = [self._outputs(self._images(rows[i : i + BATCH])) for i in range(0, len(rows), BATCH)]
        return np.concatenate([part.cpu().numpy().astype(rows.dtype) for part in parts])

    def _response_pass(self, X: NDArray) -> tuple[NDArray, Pullback]:
        images = self._images(X).requires_grad_()
        with self._in_evaluation(), torch.enable_grad():
            outputs = self._outputs(images)

        def pullback(dlogits: NDArray) -> NDArray:
            seed = torch.as_tensor(np.ascontiguousarray(dlogits), dtype=outputs.dtype, device=outputs.device)
            (gradient,) = torch.autograd.grad(outputs, images, seed, retain_graph=True)
            last = torch.movedim(gradient, 1, -1) if gradient.ndim == 4 else gradient
            return np.ascontiguousarray(last.cpu().numpy().reshape(X.shape)).astype(X.dtype, copy=False)

        return outputs.detach().cpu().numpy().astype(X.dtype), pullback

    def _images(self, X: NDArray) -> torch.Tensor:
        """Rows as the module takes them: of its dtype, where it is, channels first."""
        weight = next(self.module.parameters(), torch.zeros(0))
        tensor = torch.tensor(X, dtype=weight.dtype, device=weight.device)
        if self.image_shape is None:
            return tensor
        height, width, channels = with_channels(self.image_shape)
        return torch.movedim(tensor.reshape(len(X), height, width, channels), -1, 1).contiguous()

    def _outputs(self, images: torch.Tensor) -> torch.Tensor:
        outputs = self.module(images)
        if outputs.ndim == 2 and outputs.shape[1] == 1 and self.classes_.size == 2:
            outputs = torch.cat([torch.zeros_like(outputs), outputs], dim=1)
        if outputs.shape != (len(images), self.classes_.size):
            raise ValueError(
                f"module must give one logit for each of the {self.classes_.size} classes, got outputs of shape "
                f"{tuple(outputs.shape)} for {len(images)} rows"
            )
        return outputs

    @contextmanager
    def _in_evaluation(self) -> Iterator[None]:
        """Dropout and the like are off meanwhile; whatever was training goes on training after."""
        training = [part for part in self.module.modules() if part.training]
        self.module.eval()
        try:
            yield
        finally:
            for part in training:
                part.training = True
