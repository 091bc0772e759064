"""Cells that are not there: what readouts learn from is the input itself."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .._attributes import Count, Floating, ThreadCount
from ..synapses import Synapses
from ..threads import Threads


class PassedOn:
    """Stands where a readout expects cells, and passes its input on as it is.

    It learns nothing and has no synapses: a readout behind it learns straight on the features. Readouts make one by
    themselves for a layer that has no drive.

    Parameters
    ----------
    n_cells : int
        Inputs, each of which counts as a cell.
    dtype : float32 or float64
        Of the readout's weights.
    n_threads : int >= 1, "auto" or None
        Of the readout's products.
    """

    SAVED: ClassVar = {"n_cells": Count(1), "dtype": Floating(), "n_threads": ThreadCount()}

    def __init__(self, n_cells: int, *, dtype: DTypeLike = np.float32, n_threads: Threads = None) -> None:
        self.n_cells, self.dtype, self.n_threads = int(n_cells), np.dtype(dtype), n_threads

    def drive(self, H: NDArray) -> NDArray:
        """``H (batch, n_cells)`` itself; so for the others."""
        return H

    def drive_grad(self, drive: NDArray, da: NDArray) -> NDArray:
        return da

    def activity(self, drive: NDArray) -> NDArray:
        return drive

    def activity_grad(self, drive: NDArray, dQ: NDArray) -> NDArray:
        return dQ

    def pathways(self) -> dict[str, Synapses]:
        """None."""
        return {}
