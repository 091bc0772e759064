"""Retina and feature map, against torch's convolution with the same filters where torch is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import numpy as np

from benchmarks.harness import OURS, Case
from bioneuro import kernels
from bioneuro.layers import FeatureMap


def cases(tiny: bool = False) -> Iterator[Case]:
    """28 x 28 images, patches of 7, 64 columns."""
    n = 2 if tiny else 256
    X = np.random.default_rng(0).random((n, 784), np.float32)
    R = X.reshape(n, 28, 28, 1)
    yield Case("patches", f"{n} images", n, "M images/s", {OURS: lambda: kernels.patches(R)})
    encoder = FeatureMap((28, 28), random_state=0)
    calls = {OURS: lambda: encoder.encode(X)}
    if importlib.util.find_spec("torch"):
        import torch

        # The same multiply-adds (ON and OFF of 49 pixels, 64 columns), and nothing but them: no patches, normalisation,
        # competition, gate or pooling.
        images, filters = torch.rand(n, 2, 28, 28), torch.rand(64, 2, 7, 7)

        def convolution():
            with torch.no_grad():
                torch.nn.functional.conv2d(images, filters, padding=3)

        calls["torch conv2d alone"] = convolution
    yield Case("map, whole", f"{n} images", n, "M images/s", calls)
