"""forward, input_grad and weight_grad against scipy, dense BLAS and torch."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import numpy as np

from benchmarks.harness import OURS, Case
from bioneuro import connectivity

#: (n_post, n_pre, density, batch)
SIZES = [
    (784, 3000, 0.1, 128),
    (4096, 4096, 0.01, 128),
    (4096, 4096, 0.1, 1),
    (4096, 4096, 0.1, 32),
    (4096, 4096, 0.1, 128),
    (4096, 4096, 0.1, 512),
    (3000, 1024, 0.5, 256),
]
TINY = [(32, 48, 0.2, 8)]


def cases(tiny: bool = False) -> Iterator[Case]:
    """Each size: three products, float32, int32."""
    for n_post, n_pre, density, batch in TINY if tiny else SIZES:
        rng = np.random.default_rng(0)
        W = connectivity.random(n_post, n_pre, density=density, init="half_normal", random_state=0)
        A = W.to_scipy()
        X = rng.standard_normal((batch, n_pre), np.float32)
        dY = rng.standard_normal((batch, n_post), np.float32)
        calls = {
            "forward": {OURS: lambda W=W, X=X: W.forward(X), "scipy": lambda A=A, X=X: A @ X.T},
            "input_grad": {OURS: lambda W=W, dY=dY: W.input_grad(dY), "scipy": lambda A=A, dY=dY: A.T @ dY.T},
            "weight_grad": {OURS: lambda W=W, X=X, dY=dY: W.weight_grad(X, dY)},
        }
        dense = A.toarray()
        calls["forward"]["dense BLAS"] = lambda D=dense, X=X: X @ D.T
        calls["input_grad"]["dense BLAS"] = lambda D=dense, dY=dY: dY @ D
        calls["weight_grad"]["dense BLAS"] = lambda X=X, dY=dY: dY.T @ X
        if importlib.util.find_spec("torch"):
            _add_torch(calls, A, X, dY)
        size = f"{n_post} x {n_pre}, {density:.0%}, batch {batch}"
        for operation, implementations in calls.items():
            yield Case(operation, size, 2.0 * W.nnz * batch, "GFLOP/s", implementations)


def _add_torch(calls, A, X, dY) -> None:
    import torch

    def csr(M):
        return torch.sparse_csr_tensor(
            *map(torch.from_numpy, (M.indptr.copy(), M.indices.copy(), M.data.copy())), M.shape
        )

    S, St = csr(A), csr(A.T.tocsr())
    Xt, dYt = torch.from_numpy(X.T.copy()), torch.from_numpy(dY.T.copy())
    calls["forward"]["torch CSR"] = lambda: S @ Xt
    calls["input_grad"]["torch CSR"] = lambda: St @ dYt
    X_, dY_ = torch.from_numpy(X), dYt.contiguous()
    calls["weight_grad"]["torch CSR"] = lambda: torch.sparse.sampled_addmm(S, dY_, X_, beta=0.0)
