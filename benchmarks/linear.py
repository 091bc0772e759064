"""The products of a sparse layer against every peer: forward, input_grad, weight_grad and both gradients at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from benchmarks import peers
from benchmarks.harness import OURS, Case
from bioneuro import Synapses, connectivity

#: (n_post, n_pre, density, batch)
Size = tuple[int, int, float, int]
SIZES: list[Size] = [
    *((4096, 4096, density, batch) for density in (0.01, 0.05, 0.1, 0.2) for batch in (1, 32, 128, 512)),
    (784, 3000, 0.1, 128),
    (3000, 1024, 0.5, 256),
]
QUICK: list[Size] = [(4096, 4096, 0.1, 1), (4096, 4096, 0.1, 128), (784, 3000, 0.1, 128)]
TINY: list[Size] = [(32, 48, 0.2, 8), (32, 48, 0.2, 1)]


def cases(
    tiny: bool = False, *, quick: bool = False, dtype: str = "float32", threads: int | None = None
) -> Iterator[Case]:
    """Every size: all operations, int32 structure."""
    for size in TINY if tiny else QUICK if quick else SIZES:
        yield from products(size, dtype=dtype, threads=threads)


def pathway(size: Size, dtype: str) -> Synapses:
    """The weights of a size."""
    n_post, n_pre, density, _ = size
    return connectivity.random(n_post, n_pre, density=density, init="half_normal", random_state=0, dtype=dtype)


def batches(size: Size, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and gradients of a size."""
    n_post, n_pre, _, batch = size
    rng = np.random.default_rng(0)
    return rng.standard_normal((batch, n_pre), np.dtype(dtype)), rng.standard_normal((batch, n_post), np.dtype(dtype))


def ours(W: Synapses, X: np.ndarray, dY: np.ndarray, threads: int) -> dict[str, Callable[[], object]]:
    """Our operations by name, with room for the results as the peers have it."""
    Y, dX, G = np.empty_like(dY), np.empty_like(X), np.empty(W.nnz, W.dtype)
    return {
        "forward": lambda: W.forward(X, n_threads=threads, out=Y),
        "input_grad": lambda: W.input_grad(dY, n_threads=threads, out=dX),
        "weight_grad": lambda: W.weight_grad(X, dY, n_threads=threads, out=G),
        "backward": lambda: W.backward(X, dY, n_threads=threads, out=(dX, G)),
    }


def products(
    size: Size, *, dtype: str = "float32", threads: int | None = None, names: Iterable[str] | None = None
) -> Iterator[Case]:
    """One case an operation, against the peers of these names (default: all that can run here)."""
    threads, used = threads or peers.default_threads(), peers.available(dtype, names)
    peers.set_threads(threads, used)
    n_post, n_pre, density, batch = size
    W, (X, dY) = pathway(size, dtype), batches(size, dtype)
    rivals = {}
    if used:  # else no copy, which is large where there are 100 million synapses
        problem = peers.Problem(W.to_scipy().copy(), X, dY)
        rivals = {peer.name: peer(problem).calls() for peer in used}
    facts = dict(n_post=n_post, n_pre=n_pre, nnz=W.nnz, density=density, batch=batch, dtype=dtype, threads=threads)
    for operation, call in ours(W, X, dY, threads).items():
        calls = {OURS: call} | {name: its[operation] for name, its in rivals.items() if operation in its}
        work = (4.0 if operation == "backward" else 2.0) * W.nnz * batch
        label = f"{n_post} x {n_pre}, {density:.0%}, batch {batch}"
        yield Case(operation, label, work, "GFLOP/s", calls, facts | dict(bytes=traffic(operation, W, batch)))


def traffic(operation: str, W: Synapses, batch: int) -> int:
    """Bytes that any implementation must move once: structure, weights or their gradient, and the batches."""
    arrays = 2 if operation == "backward" else 1  # weights read, gradient written
    rows = W.n_pre + W.n_post + (W.n_pre if operation == "backward" else 0)
    values = arrays * W.nnz + batch * rows
    return values * W.dtype.itemsize + (W.nnz + W.n_post + 1) * W.indices.itemsize
