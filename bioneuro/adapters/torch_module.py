"""A model as a torch module."""

from __future__ import annotations

from typing import Any, NoReturn

import torch

from ..protocols import Classifier, Pullback
from .image_model import ImageModel

__all__ = ["TorchModule"]


class TorchModule(torch.nn.Module):
    """What `bioneuro.adapters.to_torch` returns, in evaluation mode."""

    def __init__(self, model: Classifier, image_shape: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.images = ImageModel(model, image_shape)
        self.eval()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (n, n_classes)."""
        if images.requires_grad and torch.is_grad_enabled():
            return _Logits.apply(images, self.images)
        return _like(self.images.logits(_array(images)), images)


class _Logits(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, model: ImageModel) -> torch.Tensor:
        logits, ctx.pullback = model.vjp(_array(images))
        ctx.save_for_backward(images)
        return _like(logits, images)

    @staticmethod
    def backward(ctx: Any, dlogits: torch.Tensor) -> tuple[torch.Tensor, None]:
        return _Gradient.apply(*ctx.saved_tensors, dlogits, ctx.pullback), None


class _Gradient(torch.autograd.Function):
    """The backward pass as a function of its own, so that a second derivative is refused and not silently 0."""

    @staticmethod
    def forward(ctx: Any, images: torch.Tensor, dlogits: torch.Tensor, pullback: Pullback) -> torch.Tensor:
        return _like(pullback(_array(dlogits)), images)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> NoReturn:
        raise RuntimeError(
            "an adapted model has first derivatives only: nothing that differentiates its gradient can run"
        )


def _array(tensor: torch.Tensor) -> Any:
    return tensor.detach().cpu().numpy()


def _like(array: Any, tensor: torch.Tensor) -> torch.Tensor:
    return torch.from_numpy(array).to(tensor.device)
