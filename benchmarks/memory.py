"""Peak memory of one layer, in a process of its own: ``python -m benchmarks.memory NNZ BATCH DTYPE``.

The peak is the system's high-water mark of resident memory, so Linux only.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import harness, linear

DENSITY = 0.1
SYNAPSES = (100_000, 1_000_000, 10_000_000)


def supported() -> bool:
    """Whether the system tells."""
    return Path("/proc/self/status").exists()


def table(tiny: bool = False, *, quick: bool = False, dtype: str = "float32", large: bool = False) -> pd.DataFrame:
    """One row a size: MB of the arrays of the layer, then the peak in bytes a synapse after each operation."""
    sizes = (1000,) if tiny else SYNAPSES[:2] if quick else SYNAPSES + (100_000_000,) * large
    return pd.DataFrame([harness.apart("memory", nnz, 2 if tiny else 32, dtype) for nnz in sizes])


def peak() -> int:
    """High-water mark of this process, in bytes."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def layer(nnz: int, batch: int, dtype: str) -> dict[str, float]:
    """Make a layer, work with it, and note the mark: bytes a synapse above what the process had before."""
    n = max(1, round((nnz / DENSITY) ** 0.5))
    size = n, n, DENSITY, batch
    X, dY = linear.batches(size, dtype)
    with contextlib.suppress(OSError):  # forget the peak of the imports, where the system lets us
        Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    # built from arrays: random connectivity has temporaries of its own, which would hide those of the products
    per_row = max(1, nnz // n)
    indices = np.empty((n, per_row), np.int32)
    indices[:] = np.linspace(0, n - 1, per_row, dtype=np.int32)
    indptr = np.arange(n + 1, dtype=np.int32) * np.int32(per_row)
    W = linear.Synapses(indptr, indices.reshape(-1), np.ones(indices.size, dtype), n)
    found = {"synapses": W.nnz, "arrays": (W.nnz * (W.dtype.itemsize + 4) + indptr.nbytes) / 1e6}
    found["dense"] = n * n * W.dtype.itemsize / W.nnz

    def gradient() -> np.ndarray:
        return np.full(W.nnz, 0, dtype)  # np.zeros would not be resident

    def plasticity() -> None:
        W.plasticity_step(gradient(), np.zeros(n, dtype), form="signed", eta=0.0, normalize=False)

    steps: dict[str, Callable[[], object]] = {"built": lambda: None, "forward": lambda: W.forward(X)}
    steps["both gradients"] = lambda: W.backward(X, dY)
    steps["add"] = lambda: W.add(gradient())
    steps["plasticity_step"] = plasticity
    for name, step in steps.items():
        step()
        found[name] = (peak() - before) / W.nnz
    return found


def main(arguments: list[str]) -> None:
    """Print the figures of one layer as JSON."""
    nnz, batch, dtype = arguments
    print(json.dumps(layer(int(nnz), int(batch), dtype)))


if __name__ == "__main__":
    main(sys.argv[1:])
