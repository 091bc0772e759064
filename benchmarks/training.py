"""A whole training step of one layer, sparse against dense BLAS: from which density on does dense win?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks import linear, peers
from benchmarks.harness import OURS, Case
from bioneuro import Synapses

DENSITIES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8)
#: So small that hundreds of steps leave the weights what they were.
ETA = 1e-9


def cases(
    tiny: bool = False, *, quick: bool = False, dtype: str = "float32", threads: int | None = None
) -> Iterator[Case]:
    """4096 x 4096, batch 128: gradient descent at every density, and a plasticity rule in its place."""
    threads = threads or peers.default_threads()
    peers.set_threads(threads, [peers.Dense])
    n, batch = (32, 8) if tiny else (4096, 128)
    for density in (0.1, 0.5) if tiny else (0.05, 0.2, 0.6) if quick else DENSITIES:
        size = n, n, density, batch
        X, dY = linear.batches(size, dtype)
        dense = linear.pathway(size, dtype).to_scipy().toarray()
        for name, ours, theirs in (
            ("training: gradient", gradient, dense_gradient),
            ("training: plasticity", plasticity, dense_plasticity),
        ):
            W = linear.pathway(size, dtype)
            facts = dict(n_post=n, n_pre=n, nnz=W.nnz, density=density, batch=batch, dtype=dtype, threads=threads)
            calls = {OURS: ours(W, X, dY, threads), "dense BLAS": theirs(dense, X, dY)}
            work = (6.0 * batch + 2) * W.nnz
            yield Case(name, f"{n} x {n}, {density:.0%}, batch {batch}", work, "GFLOP/s", calls, facts)


def _products(W: Synapses, X: np.ndarray, dY: np.ndarray, threads: int) -> np.ndarray:
    """Forward and both gradients; returns that of the weights."""
    W.forward(X, n_threads=threads)
    return W.backward(X, dY, n_threads=threads)[1]


def gradient(W: Synapses, X: np.ndarray, dY: np.ndarray, threads: int) -> Callable[[], object]:
    """Forward, both gradients, ``W -= eta G``."""

    def step() -> None:
        G = _products(W, X, dY, threads)
        G *= -ETA
        W.add(G)

    return step


def plasticity(W: Synapses, X: np.ndarray, dY: np.ndarray, threads: int) -> Callable[[], object]:
    """The same with the signed form in place of the gradient step."""
    c = dY.mean(axis=0)

    def step() -> None:
        G = _products(W, X, dY, threads)
        W.plasticity_step(G, c, form="signed", eta=ETA, w_max=10.0, normalize=False, n_threads=threads)

    return step


def dense_gradient(D: np.ndarray, X: np.ndarray, dY: np.ndarray) -> Callable[[], object]:
    """The same with every synapse: nothing is masked, which a sparse layer trained this way would need on top."""
    Y, dX, G = np.empty_like(dY), np.empty_like(X), np.empty_like(D)

    def step() -> None:
        np.matmul(X, D.T, out=Y)
        np.matmul(dY, D, out=dX)
        np.matmul(dY.T, X, out=G)
        np.multiply(G, ETA, out=G)
        np.subtract(D, G, out=D)

    return step


def dense_plasticity(D: np.ndarray, X: np.ndarray, dY: np.ndarray) -> Callable[[], object]:
    """``w += eta |w| (G - c w)``, clipped, in place."""
    Y, dX, G, change = np.empty_like(dY), np.empty_like(X), np.empty_like(D), np.empty_like(D)
    c = dY.mean(axis=0)[:, None]

    def step() -> None:
        np.matmul(X, D.T, out=Y)
        np.matmul(dY, D, out=dX)
        np.matmul(dY.T, X, out=G)
        np.multiply(D, c, out=change)
        np.subtract(G, change, out=G)
        np.multiply(G, np.abs(D, out=change), out=G)
        np.multiply(G, ETA, out=G)
        np.add(D, G, out=D)
        np.clip(D, -10, 10, out=D)

    return step
