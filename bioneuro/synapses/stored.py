"""A pathway as it is stored: arrays of its own behind a lock, checked once, seen from outside by read-only views."""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from numbers import Integral
from typing import Any, Literal, Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .. import _core
from ..checks import check_count
from .array_checks import check_array
from .layouts import Layouts

Sign = Literal["mixed", "E", "I"]

_SIGNS = ("mixed", "E", "I")
_VALUES = (np.dtype(np.float32), np.dtype(np.float64))
_INDICES = (np.dtype(np.int32), np.dtype(np.int64))


class StoredSynapses:
    """Construction, locks, views and versions of a pathway, and the only two ways to change it: :meth:`_take` gives it
    other arrays, :meth:`_learn` changes its weights in place."""

    def __init__(self, indptr: NDArray, indices: NDArray, data: NDArray, n_pre: int, *, sign: Sign = "mixed") -> None:
        self._own(indptr, indices, data, n_pre, sign, copy=True)

    @classmethod
    def of_fresh(cls, indptr: NDArray, indices: NDArray, data: NDArray, n_pre: int, sign: Sign) -> Self:
        """The constructor without the copy, for arrays just made, which nobody else holds."""
        synapses = cls.__new__(cls)
        synapses._own(indptr, indices, data, n_pre, sign, copy=False)
        return synapses

    def _own(self, indptr: NDArray, indices: NDArray, data: NDArray, n_pre: int, sign: Sign, *, copy: bool) -> None:
        if sign not in _SIGNS:
            raise ValueError(f"sign must be 'mixed', 'E' or 'I', got {sign!r}")
        if not isinstance(n_pre, Integral) or isinstance(n_pre, bool):
            raise TypeError(f"n_pre must be an integer >= 1, got {type(n_pre).__name__}")
        n_pre = int(n_pre)  # once: asked again, it might be another
        check_count("n_pre", n_pre)
        check_array(indptr, "indptr", _INDICES)
        check_array(indices, "indices", (indptr.dtype,))
        check_array(data, "data", _VALUES)
        if copy:  # before the check: who else holds these arrays may write to them at any time
            indptr, indices, data = np.array(indptr), np.array(indices), np.array(data)
        try:
            _core.validate(indptr, indices, data, n_pre)
        except ValueError as error:
            hint = "A.sum_duplicates() sorts the columns of a csr_array and merges repeated ones"
            raise ValueError(f"{error} ({hint})") from error
        self._hold(indptr, indices, data, n_pre, sign)
        self._check_sign(data)

    def _hold(self, indptr: NDArray, indices: NDArray, data: NDArray, n_pre: int, sign: Sign) -> None:
        """Begin with these arrays, which are those of a pathway."""
        self._n_pre, self._sign = n_pre, sign
        self.traces: dict[str, Any] = {}
        self._version = self._structure_version = -1
        self._reading, self._changing = _core.lock()
        self._take(indptr, indices, data)

    def exclusive(self) -> AbstractContextManager[None]:
        """Keep other threads out while a ``with`` block reads and changes the pathway in several calls.

        >>> with synapses.exclusive():
        ...     synapses.add(-0.1 * synapses.weights)

        Raises
        ------
        RuntimeError
            On entry, by a thread that is just reading the pathway (in a signal handler, say).
        """
        return self._changing

    # --- in and out -----------------------------------------------------------------------------------------

    @classmethod
    def from_scipy(cls, A: sp.csr_array | sp.csr_matrix, *, sign: Sign = "mixed", copy: bool | None = None) -> Self:
        """A pathway with the entries of a scipy CSR matrix, which are copied.

        Parameters
        ----------
        A : csr_array or csr_matrix of shape (n_post, n_pre)
            float32 or float64 weights, int32 or int64 structure, C-contiguous, columns sorted and unique.
        sign : {"mixed", "E", "I"}
        copy : bool
            Deprecated, and gone with the next release: it has no effect, ``A`` stays independent in either case.

        Raises
        ------
        TypeError
            Not CSR, or a dtype that would have to be cast.
        ValueError
            Anything else that :class:`Synapses` refuses.
        """
        if copy is not None:
            warnings.warn(
                "copy of Synapses.from_scipy has no effect (the entries are always copied) and goes with the next "
                "release: leave it out",
                FutureWarning,
                stacklevel=2,
            )
        if not sp.issparse(A) or A.format != "csr":
            kind = type(A).__name__
            raise TypeError(f"A must be a scipy csr_array or csr_matrix, got {kind}: use scipy.sparse.csr_array(A)")
        if A.ndim != 2:
            raise ValueError(f"A must have 2 dimensions (n_post, n_pre), got {A.ndim}")
        return cls(A.indptr, A.indices, A.data, A.shape[1], sign=sign)

    def to_scipy(self) -> sp.csr_array:
        """The pathway as a csr_array of read-only views: no copy, and later learning shows in its weights.

        The structure is that of this moment: pruning and growing give the pathway new arrays.
        """
        A = sp.csr_array(self.shape, dtype=self.dtype)
        # Set directly: the constructor would copy int64 indices down to int32.
        with self._reading:
            A.data, A.indices, A.indptr = self.weights, self.indices, self.indptr
        A.has_canonical_format = True
        return A

    def copy(self) -> Self:
        """An independent pathway. (The structure, which is never changed in place, is shared.)"""
        other = type(self).__new__(type(self))
        with self._reading:
            other._hold(self._indptr, self._indices, self._data.copy(), self._n_pre, self._sign)
            other.traces.update(own_traces(self.traces))
        return other

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    def __repr__(self) -> str:
        return (
            f"Synapses({self.n_post} x {self.n_pre}, nnz={self.nnz}, density={self.density:.3g}, "
            f"sign={self.sign!r}, dtype={self.dtype})"
        )

    # --- what it is -----------------------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_post, n_pre)``."""
        return self.n_post, self._n_pre

    @property
    def n_post(self) -> int:
        """Number of post-synaptic cells (rows)."""
        return len(self._indptr) - 1

    @property
    def n_pre(self) -> int:
        """Number of pre-synaptic cells (columns)."""
        return self._n_pre

    @property
    def nnz(self) -> int:
        """Number of stored synapses."""
        return len(self._indices)

    @property
    def density(self) -> float:
        """Stored share of the possible synapses, in [0, 1]."""
        return self.nnz / (self.n_post * self.n_pre)

    @property
    def dtype(self) -> np.dtype:
        """float32 or float64."""
        return self._data.dtype

    @property
    def sign(self) -> Sign:
        """``"mixed"``, ``"E"`` (weights >= 0) or ``"I"`` (weights <= 0)."""
        return self._sign

    @property
    def weights(self) -> NDArray:
        """Stored weights row by row, shape (nnz,): a read-only view."""
        return self._weights.view()

    @property
    def indptr(self) -> NDArray:
        """Start of each row in ``indices`` and ``weights``, shape (n_post + 1,): a read-only view."""
        return self._indptr.view()

    @property
    def indices(self) -> NDArray:
        """Pre-synaptic cell of each stored synapse, shape (nnz,): a read-only view."""
        return self._indices.view()

    @property
    def version(self) -> int:
        """Number of changes of the weights so far."""
        return self._version

    @property
    def structure_version(self) -> int:
        """Number of changes of the stored pattern so far."""
        return self._structure_version

    def row(self, i: int) -> tuple[NDArray, NDArray]:
        """Synapses onto cell ``i`` (-n_post <= i < n_post): its pre-synaptic cells and weights, read-only views."""
        i = operator.index(i)
        if not -self.n_post <= i < self.n_post:
            raise IndexError(f"row {i} is outside a pathway of {self.n_post} post-synaptic cells")
        i %= self.n_post
        with self._reading:
            stored = slice(self._indptr[i], self._indptr[i + 1])
            return self._indices[stored], self._weights[stored]

    # --- how it changes -------------------------------------------------------------------------------------

    def _learn(self, kernel: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """A kernel that changes the weights in place, or refuses."""
        self._version += 1  # beforehand: a Ctrl-C during the kernel is raised when it has changed them
        try:
            return kernel(self._indptr, self._indices, self._data, *arguments, **keywords)
        except (TypeError, ValueError, MemoryError):
            self._version -= 1
            raise

    def _replace(self, indptr: NDArray, indices: NDArray, data: NDArray) -> None:
        """Take a new structure of the same shape, unless nothing was removed or born."""
        if len(indices) != self.nnz:
            self._take(indptr, indices, data)

    def _take(self, indptr: NDArray, indices: NDArray, data: NDArray) -> None:
        """Hold these arrays, which nobody else has. Only the weights stay writeable, and only here."""
        traces = {name: trace for name, trace in dict(self.traces).items() if not name.endswith("_ij")}
        layouts = Layouts(indptr, indices, data, self._n_pre)
        sealed = sealed_view(indptr), sealed_view(indices), sealed_view(data)
        # All or nothing: no calls from here on, after which Ctrl-C might come.
        self._indptr, self._indices, self._weights = sealed
        self._data = data
        self._layouts = layouts
        self.traces = traces
        self._version += 1
        self._structure_version += 1

    # --- checks ---------------------------------------------------------------------------------------------

    def _check_sign(self, data: NDArray) -> None:
        if self._sign == "mixed" or not data.size:
            return
        excitatory = self._sign == "E"
        k = int(data.argmin() if excitatory else data.argmax())
        if data[k] < 0 if excitatory else data[k] > 0:
            i, j = np.searchsorted(self._indptr, k, side="right") - 1, self._indices[k]
            bound = ">= 0" if excitatory else "<= 0"
            raise ValueError(
                f"sign {self._sign!r} needs weights {bound}, but data[{k}] = {data[k]} (row {i}, column {j})"
            )


def own_traces(traces: dict[str, Any]) -> dict[str, Any]:
    """The same traces, in arrays of their own."""
    return {name: np.array(trace) if isinstance(trace, np.ndarray) else trace for name, trace in traces.items()}


def sealed_view(array: NDArray) -> NDArray:
    """A view that nobody can make writeable: it knows its memory as a read-only buffer, not as an array."""
    if not array.flags.writeable:
        return array
    return np.asarray(array.data.toreadonly())
