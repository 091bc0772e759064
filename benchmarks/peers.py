"""The peers: what else a Python user could call for the products of a sparse layer. A new one is a class and a line.

Every peer gets its best case for free: its arrays in the layout it likes, a transposed copy for ``input_grad``, room
for its results. Ours, and what is code of our own, take and give samples in rows.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

#: ``backward`` is ``input_grad`` and ``weight_grad`` of the same dY.
OPERATIONS = ("forward", "input_grad", "weight_grad", "backward")


@dataclass(frozen=True, eq=False)
class Problem:
    """Weights ``A`` (n_post, n_pre), inputs ``X`` (batch, n_pre), gradients ``dY`` (batch, n_post), in every layout."""

    A: sp.csr_array
    X: NDArray
    dY: NDArray

    @property
    def batch(self) -> int:
        return len(self.X)

    @cached_property
    def At(self) -> sp.csr_array:
        return self.A.T.tocsr()

    @cached_property
    def Xt(self) -> NDArray:
        return np.ascontiguousarray(self.X.T)

    @cached_property
    def dYt(self) -> NDArray:
        return np.ascontiguousarray(self.dY.T)

    @cached_property
    def dense(self) -> NDArray:
        return self.A.toarray()


class Peer:
    """One implementation, prepared for one problem. Subclasses write those of :data:`OPERATIONS` that they have.

    An operation takes no argument and returns what the peer makes; :meth:`ours` brings that into our layout.
    """

    name: ClassVar[str]
    #: Module to import and distribution to name the version of; "" where there is none.
    module: ClassVar[str] = ""
    #: Whether a user can install it and call it, or would have to write it.
    library: ClassVar[bool] = True
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float64")

    def __init__(self, problem: Problem) -> None:
        self.problem = problem

    @classmethod
    def missing(cls) -> str:
        """Why it cannot run here; "" if it can."""
        found = not cls.module or importlib.util.find_spec(cls.module)
        return "" if found else f"{cls.module} is not installed"

    @classmethod
    def version(cls) -> str:
        try:
            return importlib.metadata.version(cls.module)
        except importlib.metadata.PackageNotFoundError:  # built in place
            return "version unknown"

    @classmethod
    def set_threads(cls, n: int) -> None:
        """For pools that threadpoolctl does not reach."""

    def calls(self) -> dict[str, Callable[[], Any]]:
        """Its operations by name."""
        calls = {name: getattr(self, name) for name in OPERATIONS if hasattr(self, name)}
        if "input_grad" in calls and "weight_grad" in calls:
            calls.setdefault("backward", lambda: (self.input_grad(), self.weight_grad()))  # type: ignore[attr-defined]
        return calls

    def ours(self, operation: str, result: Any) -> Any:
        """A result in our layout: (batch, cells) for products, (nnz,) for ``weight_grad``."""
        if operation == "backward":
            return self.ours("input_grad", result[0]), self.ours("weight_grad", result[1])
        array = np.asarray(result)
        return array if operation == "weight_grad" else array.reshape(-1, self.problem.batch).T


class Scipy(Peer):
    """One thread, whatever is asked for; has no sampled product."""

    name, module = "scipy", "scipy"

    def forward(self) -> NDArray:
        return self.problem.A @ self.problem.Xt

    def input_grad(self) -> NDArray:
        return self.problem.At @ self.problem.dYt


class Dense(Peer):
    """BLAS on a matrix with the silent synapses stored as zeros."""

    name, module = "dense BLAS", "numpy"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self._D = problem.dense
        self._Y, self._dX, self._G = (np.empty_like(array) for array in (problem.dY, problem.X, self._D))

    def forward(self) -> NDArray:
        return np.matmul(self.problem.X, self._D.T, out=self._Y)

    def input_grad(self) -> NDArray:
        return np.matmul(self.problem.dY, self._D, out=self._dX)

    def weight_grad(self) -> NDArray:
        return np.matmul(self.problem.dY.T, self.problem.X, out=self._G)

    def ours(self, operation: str, result: Any) -> Any:
        if operation == "weight_grad":
            rows = np.repeat(np.arange(len(result)), np.diff(self.problem.A.indptr))
            return result[rows, self.problem.A.indices]
        return super().ours(operation, result if operation == "backward" else result.T)


class Torch(Peer):
    """CSR tensors; MKL inside, where torch was built with it, but without its inspector."""

    name, module = "torch CSR", "torch"

    def __init__(self, problem: Problem) -> None:
        import torch

        super().__init__(problem)
        self._torch = torch
        columns = slice(None) if problem.batch > 1 else 0  # a vector is faster than one column
        self._S, self._St = self._csr(problem.A), self._csr(problem.At)
        self._Xt, self._dYt = torch.from_numpy(problem.Xt), torch.from_numpy(problem.dYt)
        self._x, self._dy = self._Xt[:, columns], self._dYt[:, columns]

    def _csr(self, A: sp.csr_array) -> Any:
        arrays = map(self._torch.from_numpy, (A.indptr, A.indices, A.data))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=UserWarning)  # "beta state"
            return self._torch.sparse_csr_tensor(*arrays, A.shape)

    @classmethod
    def set_threads(cls, n: int) -> None:
        import torch

        torch.set_num_threads(n)

    def forward(self) -> Any:
        return self._S @ self._x

    def input_grad(self) -> Any:
        return self._St @ self._dy

    def weight_grad(self) -> Any:
        # the kernel wants samples as neighbours in both factors: Xt.T is such a factor without a copy
        return self._torch.sparse.sampled_addmm(self._S, self._dYt, self._Xt.T, beta=0.0)

    def ours(self, operation: str, result: Any) -> Any:
        return super().ours(operation, result.values() if operation == "weight_grad" else result)


class Mkl(Peer):
    """MKL's inspector-executor; has no sampled product."""

    name = "MKL"

    def __init__(self, problem: Problem) -> None:
        from benchmarks import mkl

        super().__init__(problem)
        self._A, self._At = mkl.Matrix(problem.A, problem.batch), mkl.Matrix(problem.At, problem.batch)
        self._Y, self._dX = np.empty_like(problem.dYt), np.empty_like(problem.Xt)

    @classmethod
    def missing(cls) -> str:
        from benchmarks import mkl

        try:
            mkl.library()
        except OSError as error:
            return f"{error} (pip install mkl, or name the library in MKL_RT)"
        return ""

    @classmethod
    def version(cls) -> str:
        from benchmarks import mkl

        return mkl.version()

    @classmethod
    def set_threads(cls, n: int) -> None:
        from benchmarks import mkl

        mkl.library().MKL_Set_Num_Threads(n)

    def forward(self) -> NDArray:
        return self._A.times(self.problem.Xt, self._Y)

    def input_grad(self) -> NDArray:
        return self._At.times(self.problem.dYt, self._dX)


class Numba(Peer):
    """Loops of :mod:`benchmarks.numba_kernels`. Not a library but code of our own: so it takes and gives what ours
    does, samples in rows, and brings them into tiles and back itself."""

    name, module, library = "numba", "numba", False

    def __init__(self, problem: Problem) -> None:
        from benchmarks import numba_kernels

        super().__init__(problem)
        self._kernels, self._vector = numba_kernels, problem.batch == 1
        self._A, self._At = ((A.indptr, A.indices, A.data) for A in (problem.A, problem.At))
        width = next(w for w in range(min(problem.batch, numba_kernels.WIDTH), 0, -1) if problem.batch % w == 0)
        self._X, self._dX, self._dY, self._Y = (
            np.empty((problem.batch // width, cells, width), problem.X.dtype)
            for cells in (problem.X.shape[1],) * 2 + (problem.dY.shape[1],) * 2
        )
        self._pre, self._post, self._G = np.empty_like(problem.X), np.empty_like(problem.dY), problem.A.data.copy()

    @classmethod
    def set_threads(cls, n: int) -> None:
        import numba

        numba.set_num_threads(min(n, numba.config.NUMBA_NUM_THREADS))

    def _product(self, A, X: NDArray, tiles: NDArray, sums: NDArray, out: NDArray) -> NDArray:
        if self._vector:
            self._kernels.product_vector(*A, X[0], out[0])
        else:
            self._kernels.pack(X, tiles)
            self._kernels.product(*A, tiles, sums)
            self._kernels.unpack(sums, out)
        return out

    def forward(self) -> NDArray:
        return self._product(self._A, self.problem.X, self._X, self._Y, self._post)

    def input_grad(self) -> NDArray:
        return self._product(self._At, self.problem.dY, self._dY, self._dX, self._pre)

    def weight_grad(self) -> NDArray:
        if self._vector:
            self._kernels.sampled_vector(*self._A[:2], self.problem.X[0], self.problem.dY[0], self._G)
        else:
            self._kernels.pack(self.problem.X, self._X)
            self._kernels.pack(self.problem.dY, self._dY)
            self._kernels.sampled(*self._A[:2], self._X, self._dY, self._G)
        return self._G

    def ours(self, operation: str, result: Any) -> Any:
        return result


class SparseProp(Peer):
    """The kernels of SparseProp (Nikdan et al. 2023) without its autograd and its transpositions. They add to zeros."""

    name, module, dtypes = "SparseProp", "sparseprop", ("float32",)

    def __init__(self, problem: Problem) -> None:
        from sparseprop import backend

        super().__init__(problem)
        self._backend = backend
        self._structure = problem.A.indptr, problem.A.indices, problem.A.data

    @classmethod
    def missing(cls) -> str:
        if reason := super().missing():
            return reason
        try:
            from sparseprop import backend  # noqa: F401
        except ImportError as error:
            return f"sparseprop does not import: {error}"
        return ""

    def forward(self) -> NDArray:
        Y = np.zeros_like(self.problem.dYt)
        self._backend.sparse_linear_vectorized_forward(self.problem.Xt, *self._structure, Y)
        return Y

    def backward(self) -> tuple[NDArray, NDArray]:
        dX, G = np.zeros_like(self.problem.Xt), np.zeros_like(self.problem.A.data)
        arrays = self.problem.Xt, *self._structure, self.problem.dYt, dX, G
        self._backend.sparse_linear_vectorized_backward(*arrays)
        return dX, G


#: In the order of the tables' columns.
PEERS: tuple[type[Peer], ...] = (Scipy, Dense, Torch, Mkl, Numba, SparseProp)
#: Names of those that are no library.
HAND_WRITTEN = [peer.name for peer in PEERS if not peer.library]


def available(dtype: str = "float32", names: Iterable[str] | None = None) -> list[type[Peer]]:
    """Peers that can run here with this dtype; of ``names`` only, if given."""
    wanted = [peer for peer in PEERS if names is None or peer.name in names]
    return [peer for peer in wanted if dtype in peer.dtypes and not peer.missing()]


def default_threads() -> int:
    """Number of processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(n: int, used: Iterable[type[Peer]]) -> None:
    """Number of threads of BLAS, OpenMP and the peers that are used, from now on. (Ours is told in each call.)"""
    for peer in used:
        peer.set_threads(n)
    threadpool_limits(n)  # last: it reaches only libraries that are loaded
