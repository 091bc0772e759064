"""compete against NumPy and SciPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import softmax

from benchmarks.harness import OURS, Case
from bioneuro import kernels, reference


def cases(tiny: bool = False) -> Iterator[Case]:
    """Wide rows (an association layer) and narrow ones (a feature map)."""
    for batch, n_cells in ((4, 32),) if tiny else ((256, 6000), (100_000, 64)):
        drive = np.random.default_rng(0).random((batch, n_cells), np.float32)
        size = f"{batch} x {n_cells}"
        yield Case(
            "compete: softmax", size, drive.size, "M values/s",
            {OURS: lambda d=drive: kernels.compete(d, beta=20.0), "scipy": lambda d=drive: softmax(20 * d, axis=1)},
        )  # fmt: skip
        yield Case(
            "compete: 8 winners", size, drive.size, "M values/s",
            {
                OURS: lambda d=drive: kernels.compete(d, beta=20.0, k=8),
                "NumPy twin": lambda d=drive: reference.compete(d, beta=20.0, k=8),
            },
        )  # fmt: skip
