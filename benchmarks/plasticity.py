"""plasticity_step against the same arithmetic in NumPy and torch; hebbian_step against the step on dense activity."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.harness import OURS, Case
from bioneuro import Synapses, connectivity, kernels

ETA, SIGMA, FLOOR = 0.01, 0.3, 1e-3

#: name -> arguments of plasticity_step
FORMS = {
    "exponential": dict(form="exponential", eta=ETA, w_max=10.0, normalize=False),
    "exponential, normalised": dict(form="exponential", eta=ETA, w_max=10.0),
    "signed": dict(form="signed", eta=ETA, w_max=10.0, normalize=False),
    "log-relaxation, normalised": dict(form="log-relaxation", eta=ETA),
    "log-relaxation, noise, normalised": dict(form="log-relaxation", eta=ETA, sigma=SIGMA),
}


def cases(tiny: bool = False) -> Iterator[Case]:
    """1.68 M synapses, float32. NumPy and torch work in float32, in place where they can, and check nothing."""
    n = 64 if tiny else 4096
    for name, arguments in FORMS.items():
        sign = "mixed" if arguments["form"] == "signed" else "E"
        W = connectivity.random(n, n, density=0.1, sign=sign, random_state=0)
        rng = np.random.default_rng(0)
        G, c = rng.random(W.nnz, np.float32), rng.random(n, np.float32) + 0.1
        calls: dict[str, Callable[[], object]] = {
            OURS: lambda W=W, G=G, c=c, arguments=arguments: W.plasticity_step(G, c, **arguments),
            "NumPy": _numpy(W, G, c, arguments),
        }
        if arguments["form"] == "exponential" and importlib.util.find_spec("torch"):
            calls["torch"] = _torch(W, G, c, arguments)
        yield Case(f"plasticity: {name}", f"{W.nnz:,} synapses", W.nnz, "M synapses/s", calls)
    yield from _hebbian(n, tiny)


def _numpy(W: Synapses, G: np.ndarray, c: np.ndarray, arguments: dict) -> Callable[[], object]:
    """The step in float32 NumPy; row sums by reduceat, which needs rows that are not empty (they are not)."""
    w, sizes, starts = W.weights.copy(), np.diff(W.indptr), W.indptr[:-1]
    cells = np.repeat(c, sizes)
    rng, form = np.random.default_rng(0), arguments["form"]

    def step():
        if form == "exponential":
            np.minimum(w * np.exp(np.float32(ETA) * (G - cells * w)), np.float32(10), out=w)
        elif form == "signed":
            np.clip(w + np.float32(ETA) * np.abs(w) * (G - cells * w), -10, 10, out=w)
        else:
            alpha = np.repeat(-np.expm1(-np.float32(ETA) * c), sizes)
            x = np.log(w + np.float32(FLOOR))
            x += alpha * (np.log(G / cells + np.float32(FLOOR)) - x)
            if "sigma" in arguments:
                spread = np.float32(SIGMA) * np.sqrt(alpha * (2 - alpha))
                x += spread * rng.standard_normal(len(w), np.float32)
            np.maximum(np.exp(x) - np.float32(FLOOR), 0, out=w)
        if arguments.get("normalize", True):
            w[:] = w / np.repeat(np.sqrt(np.add.reduceat(w * w, starts)), sizes)

    return step


def _torch(W: Synapses, G: np.ndarray, c: np.ndarray, arguments: dict) -> Callable[[], object]:
    import torch

    w, g = torch.from_numpy(W.weights.copy()), torch.from_numpy(G)
    sizes = torch.from_numpy(np.diff(W.indptr).astype(np.int64))
    cells = torch.repeat_interleave(torch.from_numpy(c), sizes)
    rows = torch.repeat_interleave(torch.arange(len(sizes)), sizes)

    def step():
        w.mul_(torch.exp(ETA * (g - cells * w))).clamp_(max=10.0)
        if arguments.get("normalize", True):
            w.div_(torch.zeros(len(sizes)).index_add_(0, rows, w * w).sqrt_()[rows])

    return step


def _hebbian(n: int, tiny: bool) -> Iterator[Case]:
    """k-winner activity, one cell in a hundred: the fused step, and the three steps that know nothing of winners."""
    for batch in (4,) if tiny else (1, 32, 128):
        W = connectivity.random(n, n, density=0.1, sign="E", random_state=0)
        rng = np.random.default_rng(1)
        X = rng.random((batch, n), np.float32)
        drive, k = W.forward(X), max(1, n // 100)

        def fused(drive, W=W, X=X, k=k):
            W.hebbian_step(X, kernels.compete(drive, beta=20.0, k=k), eta=ETA)

        def dense(drive, W=W, X=X):
            Y = kernels.compete(drive, beta=20.0)
            W.plasticity_step(W.weight_grad(X, Y), Y.sum(axis=0), eta=ETA)

        size = f"{W.nnz:,} synapses, batch {batch}, 1 % win"
        yield Case(
            "hebbian_step, drive given", size, W.nnz, "M synapses/s",
            {OURS: lambda f=fused, a=drive: f(a), "dense activity": lambda f=dense, a=drive: f(a)},
        )  # fmt: skip
        yield Case(
            "hebbian_step with the drive", size, W.nnz, "M synapses/s",
            {
                OURS: lambda f=fused, W=W, X=X: f(W.forward(X)),
                "dense activity": lambda f=dense, W=W, X=X: f(W.forward(X)),
            },
        )  # fmt: skip
