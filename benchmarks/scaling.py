"""How time grows with synapses, batch, density and threads: cost per synapse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks import linear, peers
from benchmarks.harness import Case

#: Dense matrices of these sizes do not fit, and loops that numba compiles add nothing to the picture.
PEERS = ("MKL",)
DENSITY, NNZ, BATCH = 0.1, 1_000_000, 128
SYNAPSES = (10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
DENSITIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


def cases(
    tiny: bool = False,
    *,
    quick: bool = False,
    dtype: str = "float32",
    threads: int | None = None,
    large: bool = False,
) -> Iterator[Case]:
    """One axis at a time, the others at their defaults: square layers, density 10 %, 1 M synapses, batch 128."""
    threads = threads or peers.default_threads()
    few = slice(None, None, 3 if quick else 1)
    if tiny:
        axes: dict[str, tuple] = {"nnz": (100, 400), "batch": (1, 8), "density": (0.1, 0.5), "threads": (1,)}
    else:
        axes = {"nnz": SYNAPSES[few], "batch": BATCHES[few], "density": DENSITIES[few]}
        axes["nnz"] += (100_000_000,) if large else ()
        axes["threads"] = tuple(range(1, threads + 1))
    default: dict = dict(nnz=200 if tiny else NNZ, batch=4 if tiny else BATCH, density=DENSITY, threads=threads)
    for axis, values in axes.items():
        for value in values:
            point = default | {axis: value}
            n = max(1, round((point["nnz"] / point["density"]) ** 0.5))
            size = n, n, point["density"], point["batch"]
            names = PEERS if point["nnz"] <= SYNAPSES[-1] else ()  # their copies would not fit
            for case in linear.products(size, dtype=dtype, threads=point["threads"], names=names):
                label = f"{case.facts['nnz']:,} synapses, {size[2]:.1%}, batch {size[3]}, threads {point['threads']}"
                facts = case.facts | dict(axis=axis)
                yield replace(case, operation=f"{case.operation} by {axis}", size=label, facts=facts)
