"""Which synapses a pathway has: pruning, growth, turnover and new rows."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from .. import _core
from ..checks import SHARE, check, check_count, check_number
from ..threads import Threads
from .array_checks import check_batch, check_range, check_vector
from .stored import StoredSynapses


class Structure(StoredSynapses):
    """Changes of the stored pattern."""

    def prune(self, theta: float, n_threads: Threads = None) -> int:
        """Remove the synapses of ``|w| < theta max_j |w_ij|``: they turn silent. ``0 <= theta <= 1``.

        Returns
        -------
        int
            Number of synapses removed.
        """
        check("theta", theta, SHARE)
        with self._changing:
            before = self.nnz
            self._replace(*_core.prune(self._indptr, self._indices, self._data, theta, n_threads=n_threads))
            return before - self.nnz

    def grow(
        self,
        X: NDArray,
        Y: NDArray,
        *,
        n_grow: int,
        n_candidates: int,
        weight: float,
        seed: int,
        step: int,
        n_threads: Threads = None,
    ) -> int:
        """Let each cell grow synapses where its Hebbian term ``sum_b Y_bi X_bj`` is largest, on a random candidate set.

        Parameters
        ----------
        X : ndarray of shape (batch, n_pre), dtype of the weights
            Pre-synaptic rates.
        Y : ndarray of shape (batch, n_post), dtype of the weights
            Post-synaptic rates.
        n_grow : int >= 0
            Most synapses born to a cell; candidates whose Hebbian term is not positive are never born.
        n_candidates : int >= 0
            Silent sites drawn for each cell.
        weight : float > 0
            Size of a newborn synapse relative to its cell's largest one (absolute for a cell without synapses);
            newborns of an "I" pathway are negative.
        seed, step : int >= 0
            Key of the draw of candidates.
        n_threads : int >= 1, "auto" or None

        Returns
        -------
        int
            Number of synapses born.
        """
        check_count("n_grow", n_grow, 0)
        check_count("n_candidates", n_candidates, 0)
        check_number("weight", weight, "> 0")
        check_batch(X, "X", self._n_pre, self.dtype)
        check_batch(Y, "Y", self.n_post, self.dtype)
        if n_grow == 0 or n_candidates == 0:
            return 0
        with self._changing:
            sites = _core.candidates(
                self._indptr, self._indices, self._n_pre, n_candidates, seed=seed, step=step, n_threads=n_threads
            )
            score = _core.weight_grad(*sites, X, Y, n_threads=n_threads)
            inhibitory = self._sign == "I"
            before = self.nnz
            # Newborns are positive: an inhibitory pathway grows in its mirror image.
            data = -self._data if inhibitory else self._data
            indptr, indices, data = _core.grow(
                self._indptr, self._indices, data, *sites, score, n_grow, weight, n_threads=n_threads
            )
            self._replace(indptr, indices, np.negative(data, out=data) if inhibitory else data)
            return self.nnz - before

    def turnover(
        self,
        *,
        birth: float,
        death: float,
        gamma: float,
        size: float,
        time: NDArray | None = None,
        seed: int,
        step: int,
        normalize: bool = False,
        n_threads: Threads = None,
    ) -> tuple[int, int]:
        """Random births and deaths: weak synapses are short-lived, silent pairs may wake.

        A stored synapse dies with probability ``1 - exp(-death time_i (|w_ij| / size)^-gamma)``, a silent pair is born
        at strength ``size`` with probability ``1 - exp(-birth time_i)``. Density is what remains:
        :func:`bioneuro.kernels.turnover`.

        Parameters
        ----------
        birth, death : float >= 0
            Rates; of deaths: at strength ``size``.
        gamma : float >= 0
            How much longer strong synapses live.
        size : float > 0
            Strength of newborns and the unit of all others, such as ``1 / sqrt(n_pre)`` for rows of unit norm.
        time : ndarray of shape (n_post,), dtype of the weights, optional
            How much time passes for each cell, >= 0, such as its amount of change; 1 for all where none is given.
        seed, step : int >= 0
            Key of the draws: count the steps, or every call draws the same.
        normalize : bool
            Whether all rows are then scaled to unit norm, if any synapse died or was born.
        n_threads : int >= 1, "auto" or None

        Returns
        -------
        (int, int)
            Numbers of synapses that died and that were born; none does both in one call.

        Raises
        ------
        ValueError
            A "mixed" pathway, whose newborns would have no sign; a rate or a time that is negative or not finite, a
            size that is not positive and finite.
        """
        if self._sign == "mixed":
            raise ValueError("turnover needs a pathway of sign 'E' or 'I', this one has 'mixed'")
        if time is not None:
            check_vector(time, "time", self.n_post, self.dtype)
            check_range(time, "time", 0.0, n_threads)
        with self._changing:
            before = self.nnz
            *arrays, died = _core.turnover(
                self._indptr, self._indices, self._data, self._n_pre, birth=birth, death=death, gamma=gamma, size=size,
                time=time, sign=self._sign, normalize=normalize, seed=seed, step=step, n_threads=n_threads,
            )  # fmt: skip
            born = len(arrays[1]) - (before - died)
            if died or born:
                self._take(*arrays)
        return died, born

    def replace_rows(self, rows: NDArray, A: sp.csr_array) -> None:
        """Give the cells ``rows`` new synapses: row k of ``A`` becomes row ``rows[k]``.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
            Post-synaptic cells, each once.
        A : csr_array of shape (n, n_pre)
            As for :meth:`from_scipy`, with the dtype of the weights.

        Raises
        ------
        ValueError
            Shapes do not fit, a row out of range or named twice, or what :meth:`from_scipy` refuses.
        """
        new = StoredSynapses.from_scipy(A, sign=self._sign)
        rows = np.asarray(rows)
        if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise ValueError(f"rows must be integers of shape (n,), got {rows.dtype} of shape {rows.shape}")
        rows = rows.astype(np.intp)
        if new.shape != (len(rows), self.n_pre) or new.dtype != self.dtype:
            wanted = f"shape {(len(rows), self.n_pre)} and dtype {self.dtype}"
            raise ValueError(f"A must have {wanted}, got {A.shape} and {A.dtype}")
        if len(rows) and not (0 <= rows.min() and rows.max() < self.n_post and len(np.unique(rows)) == len(rows)):
            raise ValueError(f"rows must be different integers in [0, {self.n_post})")
        with self._changing:
            self._take(*self._with_rows(rows, new))

    def _with_rows(self, rows: NDArray, new: StoredSynapses) -> tuple[NDArray, NDArray, NDArray]:
        """The arrays of this pathway with ``rows`` replaced by those of ``new``."""
        sizes = np.diff(self._indptr)
        sizes[rows] = np.diff(new._indptr)
        indptr = np.zeros_like(self._indptr)
        np.cumsum(sizes, out=indptr[1:])
        indices, data = np.empty(indptr[-1], self._indices.dtype), np.empty(indptr[-1], self.dtype)
        next_row = 0
        for k in [*np.argsort(rows), None]:  # what lies between two of the rows stays together
            row = self.n_post if k is None else rows[k]
            to, stays = slice(indptr[next_row], indptr[row]), slice(self._indptr[next_row], self._indptr[row])
            indices[to], data[to] = self._indices[stays], self._data[stays]
            if k is not None:
                to, comes = slice(indptr[row], indptr[row + 1]), slice(new._indptr[k], new._indptr[k + 1])
                indices[to], data[to] = new._indices[comes], new._data[comes]
            next_row = row + 1
        return indptr, indices, data
