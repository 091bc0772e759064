"""Hebbian principal components of patches: at each place of the image cells of its own, and a linear readout."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from ..checks import Integer
from ..image_shapes import row_or_image
from ..rules import Sanger
from ..synapses import Synapses
from .hpca import HPCAClassifier

__all__ = ["LocalHPCAClassifier"]

#: Side of a patch by default, in pixels, where the image is small.
SMALLEST_PATCH = 5


@dataclass(kw_only=True, eq=False, repr=False)
class LocalHPCAClassifier(HPCAClassifier):
    """:class:`HPCAClassifier` with local receptive fields: each cell sees one patch, and competes with those there.

    At every place of a grid `n_hidden` cells, with weights of their own, learn the principal components of the patch
    at that place by :class:`bioneuro.rules.Sanger` in groups. The readout sees all of them.

    Parameters
    ----------
    n_hidden : int >= 1
        Cells at each place.
    patch_size : "auto" or int >= 1
        Side of a patch in pixels; the image's own where that is smaller. ``"auto"``: a third of the image's shorter
        side, but at least 5.
    stride : "auto" or int >= 1
        Pixels from one place to the next; the grid is centred and lies within the image. ``"auto"``: a third of a
        patch.
    image_shape : "auto", (height, width) or (height, width, channels)
        ``"auto"``: a square image of one channel if the number of features is a square, else an image of one row.
    contrast and all others
        See :class:`~bioneuro.baselines.unsupervised.UnsupervisedClassifier`.

    Attributes
    ----------
    image_shape_ : (height, width, channels)

    References
    ----------
    As :class:`HPCAClassifier`.
    """

    n_hidden: int = field(default=24, kw_only=False)
    patch_size: int | Literal["auto"] = "auto"
    stride: int | Literal["auto"] = "auto"
    image_shape: tuple[int, ...] | Literal["auto"] = "auto"

    constraints = {"patch_size": (Integer(), "auto"), "stride": (Integer(), "auto")}

    def _start(self, classes: NDArray) -> None:
        self.image_shape_ = row_or_image(self.image_shape, self.n_features_in_)
        super()._start(classes)

    def _first_hidden(self) -> Synapses:
        height, width, channels = self.image_shape_
        pixels = np.arange(height * width * channels).reshape(self.image_shape_)
        size = max(SMALLEST_PATCH, min(height, width) // 3) if self.patch_size == "auto" else self.patch_size
        stride = max(1, size // 3) if self.stride == "auto" else self.stride
        rows, columns = (_windows(length, size, stride) for length in (height, width))
        fields = np.stack([pixels[r, c].ravel() for r in rows for c in columns])  # (places, pixels of a patch)
        indices = np.repeat(fields, self.n_hidden, axis=0)
        n_cells, in_degree = indices.shape
        W = self._rng.normal(0, self.first_length / math.sqrt(in_degree), indices.shape).astype(self.dtype)
        indptr = np.arange(n_cells + 1) * in_degree
        return Synapses.from_scipy(csr_array((W.ravel(), indices.ravel(), indptr), (n_cells, pixels.size)))

    def _hidden_step(self, R: NDArray, rate: float) -> None:
        U = R - self.mean_
        spread = np.square(U, dtype=float).mean(axis=0)
        variance = np.add.reduceat(spread[self.hidden_.indices], self.hidden_.indptr[:-1])  # of each cell's patch
        pace = np.divide(1, variance, out=np.zeros_like(variance), where=variance > 0).astype(R.dtype)
        Sanger(eta=rate, group=self.n_hidden).step(self.hidden_, U, np.maximum(self._drive(U), 0), pace)


def _windows(length: int, size: int, stride: int) -> list[slice]:
    """Windows of a side of an image, centred and within it."""
    size = min(size, length)
    spare = (length - size) % stride // 2
    return [slice(start, start + size) for start in range(spare, length - size + 1, stride)]
