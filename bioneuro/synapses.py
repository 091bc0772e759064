"""A pathway of synapses: a validated CSR matrix with a sign, and what can be done to it.

Rows are post-synaptic cells, columns are pre-synaptic cells; a synapse that is not stored is silent. Structure is
checked once, when a :class:`Synapses` is built; the kernels then trust it, so its arrays are its own, in memory that
nobody else has, and go out as read-only views only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from . import _core
from .moments import Moments
from .threads import Threads

__all__ = ["Sign", "Synapses"]

Sign = Literal["mixed", "E", "I"]
#: Name of a form of learning: a key of ``_core.FORMS``.
Form = str

_SIGNS = ("mixed", "E", "I")
#: Traces that hold the moments of the pre-synaptic rates.
_MOMENTS = tuple(f"pre_{name}" for name in Moments._fields)
_VALUES = (np.dtype(np.float32), np.dtype(np.float64))
_INDICES = (np.dtype(np.int32), np.dtype(np.int64))


class Synapses:
    """Weights ``W`` (n_post, n_pre) of one pathway, stored as CSR.

    Parameters
    ----------
    indptr, indices : ndarray of int32 or int64, both the same
        CSR structure; the columns of a row rise strictly. Copied.
    data : ndarray of float32 or float64, shape (nnz,)
        Weights, finite. Copied.
    n_pre : int >= 1
        Number of pre-synaptic cells.
    sign : {"mixed", "E", "I"}
        Excitatory pathways hold weights >= 0, inhibitory ones <= 0; no operation here changes that (Dale's law for a
        pathway). ``"mixed"`` allows any sign.

    Raises
    ------
    TypeError
        Wrong dtype, byte order or kind of object: nothing is cast in silence.
    ValueError
        Wrong layout or shape, faulty structure, non-finite weight or weight of the wrong sign; names the position.

    Attributes
    ----------
    traces : dict of str to number or ndarray
        What learning has gathered on the pathway beside its weights: ``"steps"``, the steps of rules; ``"pre_count"``,
        ``"pre_mean"`` and ``"pre_squares"``, the moments of :meth:`observe`; what a rule remembers, as ``"BCM.theta"``.
        Copies, pickles and files take them along. Arrays in it are replaced, never changed in place. A name that ends
        in ``_ij`` is of an array with a value for each stored synapse, which is dropped when the stored pattern
        changes; all others stay.

    Notes
    -----
    An operation that fails leaves the pathway as it was. ``version`` counts changes of the weights,
    ``structure_version`` those of the stored pattern (each of which is also a change of the weights).

    *Memory.* A pathway owns what it trusts. Every way to make one copies: the constructor, :meth:`from_scipy`,
    :meth:`copy`, ``copy.copy``, ``copy.deepcopy`` and unpickling; the initialisers and builders of
    :mod:`bioneuro.connectivity` likewise. What goes out are views that cannot be made writeable.

    *Threads.* Any number of threads may use one pathway. Each method sees and leaves one whole state: those that change
    the pathway wait for those that read it, and the other way round. Several methods in a row are no unit, unless they
    run inside ``with synapses.exclusive():``. The views :attr:`weights` and :meth:`to_scipy` show weights as they
    change. Arguments are the caller's: no other thread may write to them during the call. After a fork, parent and
    child each have a whole pathway of their own, whatever other threads of the parent were doing.
    """

    def __init__(self, indptr: NDArray, indices: NDArray, data: NDArray, n_pre: int, *, sign: Sign = "mixed") -> None:
        self._own(indptr, indices, data, n_pre, sign, copy=True)

    @classmethod
    def _of_fresh(cls, indptr: NDArray, indices: NDArray, data: NDArray, n_pre: int, sign: Sign) -> Synapses:
        """The constructor without the copy, for arrays just made, which nobody else holds."""
        synapses = cls.__new__(cls)
        synapses._own(indptr, indices, data, n_pre, sign, copy=False)
        return synapses

    def _own(self, indptr: NDArray, indices: NDArray, data: NDArray, n_pre: int, sign: Sign, *, copy: bool) -> None:
        if sign not in _SIGNS:
            raise ValueError(f"sign must be 'mixed', 'E' or 'I', got {sign!r}")
        _check_array(indptr, "indptr", _INDICES)
        _check_array(indices, "indices", (indptr.dtype,))
        _check_array(data, "data", _VALUES)
        if copy:  # before the check: who else holds these arrays may write to them at any time
            indptr, indices, data = np.array(indptr), np.array(indices), np.array(data)
        try:
            _core.validate(indptr, indices, data, n_pre)
        except ValueError as error:
            hint = "A.sum_duplicates() sorts the columns of a csr_array and merges repeated ones"
            raise ValueError(f"{error} ({hint})") from error
        self._n_pre, self._sign = int(n_pre), sign
        self.traces: dict[str, Any] = {}
        self._version = self._structure_version = -1
        self._take(indptr, indices, data)
        self._check_sign(data)
        self._reading, self._changing = _core.lock()
        _, self._laying_out = _core.lock()

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

    def _layout(self, batch: int, transposed: bool, n_threads: Threads, weights: bool = True) -> Any:
        """Block-major copy of the weights (of their transpose) for the products with a batch; None for a batch of one.

        Made at first use, dropped when the structure changes, refreshed when the ``weights`` matter and have changed.
        Whoever calls holds the pathway, so that no version passes meanwhile; whoever uses a layout's weights has had it
        at this version, so that a refresh finds nobody in it.
        """
        if batch == 1:
            return None
        layout, version = self._layouts.get(transposed, (None, -1))
        if version == self._version or (layout is not None and not weights):
            return layout
        with self._laying_out:
            layout, version = self._layouts.get(transposed, (None, -1))
            if version == self._version:
                return layout
            pathway = self._indptr, self._indices, self._data, self._n_pre
            if layout is None:
                layout = _core.layout(*pathway, transposed, n_threads=n_threads)
            else:
                _core.layout_refresh(layout, *pathway, n_threads=n_threads)
            self._layouts[transposed] = layout, self._version
        return layout

    # --- in and out ---------------------------------------------------------------------------------------

    @classmethod
    def from_scipy(cls, A: sp.csr_array | sp.csr_matrix, *, sign: Sign = "mixed", copy: bool | None = None) -> Synapses:
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

    def copy(self) -> Synapses:
        """An independent pathway. (The structure, which is never changed in place, is shared.)"""
        with self._reading:
            other = self._of_fresh(self._indptr, self._indices, self._data.copy(), self._n_pre, self._sign)
            other.traces.update(self.traces)
        return other

    __copy__ = copy

    def __deepcopy__(self, memo: dict[int, Any]) -> Synapses:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        with self._reading:  # the weights are written out later, when others may learn again
            arrays = self._indptr, self._indices, self._data.copy()
            return _restore, (*arrays, self._n_pre, self._sign, dict(self.traces))

    def __repr__(self) -> str:
        return (
            f"Synapses({self.n_post} x {self.n_pre}, nnz={self.nnz}, density={self.density:.3g}, "
            f"sign={self.sign!r}, dtype={self.dtype})"
        )

    # --- what it is ---------------------------------------------------------------------------------------

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
        if not -self.n_post <= i < self.n_post:
            raise IndexError(f"row {i} is outside a pathway of {self.n_post} post-synaptic cells")
        i %= self.n_post
        with self._reading:
            stored = slice(self._indptr[i], self._indptr[i + 1])
            return self._indices[stored], self._weights[stored]

    # --- products -----------------------------------------------------------------------------------------

    def forward(
        self,
        X: NDArray,
        bias: NDArray | None = None,
        n_threads: Threads = None,
        out: NDArray | None = None,
    ) -> NDArray:
        """Drive of the post-synaptic cells, ``Y = X W^T + bias``.

        Parameters
        ----------
        X : ndarray of shape (batch, n_pre), dtype of the weights, C-contiguous
        bias : ndarray of shape (n_post,), optional
        n_threads : int >= 1, "auto" or None
            Any number gives bit-identical results.
        out : ndarray of shape (batch, n_post), optional
            Where to put the result; must not share memory with ``X`` or ``bias``. So for all products.

        Returns
        -------
        ndarray of shape (batch, n_post)
        """
        self._check_batch(X, "X", self._n_pre)
        with self._reading:
            layout = self._layout(len(X), False, n_threads)
            return _core.forward(
                self._indptr, self._indices, self._data, X, bias, n_threads=n_threads, out=out, layout=layout
            )

    def input_grad(self, dY: NDArray, n_threads: Threads = None, out: NDArray | None = None) -> NDArray:
        """Gradient with respect to the input, ``dX = dY W`` (batch, n_pre), from ``dY`` (batch, n_post)."""
        self._check_batch(dY, "dY", self.n_post)
        with self._reading:
            layout = self._layout(len(dY), True, n_threads)
            return _core.input_grad(
                self._indptr, self._indices, self._data, dY, self._n_pre, n_threads=n_threads, out=out, layout=layout
            )

    def weight_grad(self, X: NDArray, dY: NDArray, n_threads: Threads = None, out: NDArray | None = None) -> NDArray:
        """Sampled product ``G_ij = sum_b dY_bi X_bj`` on the stored synapses, shape (nnz,).

        With rates ``Y`` for ``dY`` it is the Hebbian term, with the gradient of a loss the gradient of the weights.
        """
        self._check_batch(X, "X", self._n_pre)
        self._check_batch(dY, "dY", self.n_post)
        with self._reading:
            layout = self._layout(len(X), False, n_threads, weights=False)
            return _core.weight_grad(self._indptr, self._indices, X, dY, n_threads=n_threads, out=out, layout=layout)

    def backward(
        self,
        X: NDArray,
        dY: NDArray,
        n_threads: Threads = None,
        out: tuple[NDArray, NDArray] | None = None,
    ) -> tuple[NDArray, NDArray]:
        """``(dX, G)``: :meth:`input_grad` and :meth:`weight_grad` in one pass, faster than one after the other.

        ``dX`` is the same bit for bit; ``G`` may differ in its last digits, since its sums run in another order.
        """
        self._check_batch(X, "X", self._n_pre)
        self._check_batch(dY, "dY", self.n_post)
        dX, G = (None, None) if out is None else out
        with self._reading:
            layout = self._layout(len(X), True, n_threads)
            return _core.backward(
                self._indptr, self._indices, self._data, X, dY, n_threads=n_threads, dX=dX, G=G, layout=layout
            )

    # --- changes of the weights ---------------------------------------------------------------------------

    def plasticity_step(
        self,
        G: NDArray,
        c: NDArray,
        form: Form | _core.Plasticity = "log-relaxation",
        *,
        theta: float = 0.0,
        seed: int = 0,
        step: int = 0,
        n_threads: Threads = None,
        **parameters: float,
    ) -> int:
        """One local learning step on the stored synapses, in place; signs of "E" and "I" pathways never change.

        Parameters
        ----------
        G : ndarray of shape (nnz,), dtype of the weights
            Hebbian term, ``weight_grad(X, Y)``.
        c : ndarray of shape (n_post,), dtype of the weights
            Post-synaptic activity, ``Y.sum(axis=0)`` (a batch mean for the signed form).
        form : str or _core.Plasticity
            The rule; equations in :func:`bioneuro.reference.plasticity_step`. ``_core.FORMS`` says which signs of
            pathway a form is defined on, and which of ``G``, ``c``, ``X``, ``Y`` and ``gain`` must be >= 0 for it.
        theta : float in [0, 1]
            Share of its row's maximum below which a synapse counts as silent.
        seed, step : int >= 0
            Key of the noise: count the steps, or every step draws the same.
        n_threads : int >= 1, "auto" or None
        **parameters : float
            Of the form where it is given by name: ``eta``, ``sigma``, ``w_min``, ``w_max``, ``normalize`` and its own.

        Returns
        -------
        int
            Number of synapses with ``|w| < theta max_j |w_ij|``, which :meth:`prune` would remove.

        Raises
        ------
        TypeError
            Also for a parameter that the form does not have.
        ValueError
            Rule and sign do not go together, or ``G`` or ``c`` is non-finite, negative or of the wrong shape, or
            ``eta`` times them overflows. (Weights do not: they saturate.)
        """
        rule, nonnegative = self._rule(form, parameters)
        with self._changing:
            largest = {}
            for array, name, size in (G, "G", self.nnz), (c, "c", self.n_post):
                self._check_vector(array, name, size)
                largest[name] = _check_range(array, name, _lowest(name, nonnegative), n_threads)
            if not _relaxes(nonnegative):
                self._check_drive(largest["G"], largest["c"], rule.parameters, n_threads)
            key = {"seed": seed, "step": step, "n_threads": n_threads}
            return self._learn(_core.plasticity_step, G, c, rule, theta=theta, **key)

    def hebbian_step(
        self,
        X: NDArray,
        Y: NDArray,
        form: Form | _core.Plasticity = "log-relaxation",
        *,
        gain: NDArray | None = None,
        seed: int = 0,
        step: int = 0,
        n_threads: Threads = None,
        **parameters: float,
    ) -> int:
        """:meth:`plasticity_step` of the active cells, straight from the rates: costs only the cells that are active.

        ``G_ij = gain_i sum_b Y_bi X_bj`` and ``c_i = gain_i sum_b Y_bi``; cells that are silent in the whole batch stay
        as they are.

        Parameters
        ----------
        X : ndarray of shape (batch, n_pre), dtype of the weights, C-contiguous
            Pre-synaptic rates; standardised ones, ``(x_j - m_j) / s_j``, for ``"log-covariance"``.
        Y : ndarray of shape (batch, n_post), dtype of the weights, C-contiguous
            Post-synaptic rates.
        gain : ndarray of shape (n_post,), dtype of the weights, optional
            Learning rate of each cell relative to the others; 1 where none is given.
        form, seed, step, n_threads, **parameters
            As for :meth:`plasticity_step`.

        Returns
        -------
        int
            Number of active cells.

        Raises
        ------
        TypeError
            Also for a parameter that the form does not have.
        ValueError
            Rule and sign do not go together, rates are not finite (or one of ``X``, ``Y`` and ``gain`` that the form
            needs to be >= 0 is negative), or ``eta`` times their products overflows.
        """
        rule, nonnegative = self._rule(form, parameters)
        self._check_batch(X, "X", self._n_pre)
        self._check_batch(Y, "Y", self.n_post)
        largest_X = _check_range(X, "X", _lowest("X", nonnegative), n_threads)
        largest_c = len(Y) * _check_range(Y, "Y", _lowest("Y", nonnegative), n_threads)
        if gain is not None:
            self._check_vector(gain, "gain", self.n_post)
            largest_c *= _check_range(gain, "gain", _lowest("gain", nonnegative), n_threads)
        with self._changing:
            parameters = rule.parameters
            if not _relaxes(nonnegative) and not self._bounded(largest_c * largest_X, largest_c, parameters, n_threads):
                largest_c = float((np.abs(Y).sum(axis=0, dtype=float) * (1 if gain is None else np.abs(gain))).max())
                self._check_drive(largest_c * largest_X, largest_c, parameters, n_threads)
            layout = self._layout(len(X), False, n_threads, weights=False)
            key = {"seed": seed, "step": step, "n_threads": n_threads}
            return self._learn(_core.hebbian_step, X, Y, rule, gain=gain, layout=layout, **key)

    def add(self, delta: NDArray, n_threads: Threads = None) -> None:
        """``W += delta`` on the stored synapses, for rules that compute their own step (gradient descent, ...).

        Parameters
        ----------
        delta : ndarray of shape (nnz,), dtype of the weights
        n_threads : int >= 1, "auto" or None
            Of the checks.

        Raises
        ------
        ValueError
            The sum is not finite, or breaks the sign of the pathway.
        """
        with self._changing:
            self._check_vector(delta, "delta", self.nnz)
            with np.errstate(over="ignore"):  # refused by name in the next line
                changed = self._data + delta
            _check_range(changed, "weights + delta", -np.inf, n_threads)
            self._check_sign(changed)
            self._version += 1
            self._data[:] = changed

    def normalize_rows(self, n_threads: Threads = None) -> None:
        """Synaptic scaling: divide each row by its Euclidean norm; rows of zeros stay."""
        with self._changing:
            self._learn(_core.normalize_rows, n_threads=n_threads)

    def _learn(self, kernel: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        """A kernel that changes the weights in place, or refuses."""
        self._version += 1  # beforehand: a Ctrl-C during the kernel is raised when it has changed them
        try:
            return kernel(self._indptr, self._indices, self._data, *arguments, **keywords)
        except (TypeError, ValueError, MemoryError):
            self._version -= 1
            raise

    # --- traces -------------------------------------------------------------------------------------------

    def observe(self, X: NDArray, n_threads: Threads = None) -> None:
        """Let the pre-synaptic rates ``X (batch, n_pre)`` count in :attr:`pre_mean` and :attr:`pre_sd`.

        A rule that ``observes`` does so in every step, and whoever learns by one leaves it to the rule.
        """
        self._check_batch(X, "X", self._n_pre)
        _check_range(X, "X", -np.inf, n_threads)
        if not len(X):
            return
        with self._changing:
            seen = (self._moments() or Moments.none(self._n_pre)).add(X)
            self.traces.update({name: getattr(seen, name.removeprefix("pre_")) for name in _MOMENTS})

    @property
    def pre_mean(self) -> NDArray | None:
        """Mean rate of each pre-synaptic cell over all that was observed, shape (n_pre,); None before."""
        with self._reading:
            moments = self._moments()
        return None if moments is None else moments.mean.astype(self.dtype)

    @property
    def pre_sd(self) -> NDArray | None:
        """Standard deviation of each pre-synaptic rate, exactly 0 where it never varied; None before."""
        with self._reading:
            moments = self._moments()
        return None if moments is None else moments.sd.astype(self.dtype)

    def forget(self) -> None:
        """Forget all :attr:`traces`: the next step of any rule is its first here. The weights stay."""
        with self._changing:
            self.traces = {}

    def _moments(self) -> Moments | None:
        return Moments(*(self.traces[name] for name in _MOMENTS)) if _MOMENTS[0] in self.traces else None

    # --- changes of the structure -------------------------------------------------------------------------

    def prune(self, theta: float, n_threads: Threads = None) -> int:
        """Remove the synapses of ``|w| < theta max_j |w_ij|``: they turn silent. ``0 <= theta <= 1``.

        Returns
        -------
        int
            Number of synapses removed.
        """
        if not 0 <= theta <= 1:
            raise ValueError(f"theta must lie in [0, 1], got {theta}")
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
        for name, value in ("n_grow", n_grow), ("n_candidates", n_candidates):
            if value < 0:
                raise ValueError(f"{name} must be >= 0, got {value}")
        if not 0 < weight < np.inf:
            raise ValueError(f"weight must be positive and finite, got {weight}")
        self._check_batch(X, "X", self._n_pre)
        self._check_batch(Y, "Y", self.n_post)
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
        n_threads: Threads = None,
    ) -> tuple[int, int]:
        """Random births and deaths: weak synapses are short-lived, silent pairs may wake. Rows are not scaled.

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
            self._check_vector(time, "time", self.n_post)
            _check_range(time, "time", 0.0, n_threads)
        with self._changing:
            before = self.nnz
            *arrays, died = _core.turnover(
                self._indptr, self._indices, self._data, self._n_pre, birth=birth, death=death, gamma=gamma, size=size,
                time=time, sign=self._sign, seed=seed, step=step, n_threads=n_threads,
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
        new = Synapses.from_scipy(A, sign=self._sign)
        rows = np.asarray(rows)
        if new.shape != (len(rows), self.n_pre) or new.dtype != self.dtype:
            wanted = f"shape {(len(rows), self.n_pre)} and dtype {self.dtype}"
            raise ValueError(f"A must have {wanted}, got {A.shape} and {A.dtype}")
        if len(rows) and not (0 <= rows.min() and rows.max() < self.n_post and len(np.unique(rows)) == len(rows)):
            raise ValueError(f"rows must be different integers in [0, {self.n_post})")
        with self._changing:
            self._take(*self._with_rows(rows, new))

    def _with_rows(self, rows: NDArray, new: Synapses) -> tuple[NDArray, NDArray, NDArray]:
        """The arrays of this pathway with ``rows`` replaced by those of ``new``."""
        order = np.argsort(rows)
        kept = np.ones(self.n_post, bool)
        kept[rows] = False
        old_sizes = np.diff(self._indptr)
        sizes = old_sizes.copy()
        sizes[rows[order]] = np.diff(new._indptr)[order]
        indptr = np.zeros_like(self._indptr)
        np.cumsum(sizes, out=indptr[1:])
        stays, comes_from = np.repeat(kept, old_sizes), np.repeat(kept, sizes)
        sorted_new = new.to_scipy()[order]
        indices, data = np.empty(indptr[-1], self._indices.dtype), np.empty(indptr[-1], self.dtype)
        indices[comes_from], data[comes_from] = self._indices[stays], self._data[stays]
        indices[~comes_from], data[~comes_from] = sorted_new.indices, sorted_new.data
        return indptr, indices, data

    def _replace(self, indptr: NDArray, indices: NDArray, data: NDArray) -> None:
        """Take a new structure of the same shape, unless nothing was removed or born."""
        if len(indices) != self.nnz:
            self._take(indptr, indices, data)

    def _take(self, indptr: NDArray, indices: NDArray, data: NDArray) -> None:
        """Hold these arrays, which nobody else has. Only the weights stay writeable, and only here."""
        traces = {name: trace for name, trace in dict(self.traces).items() if not name.endswith("_ij")}
        sealed = _sealed(indptr), _sealed(indices), _sealed(data)
        # All or nothing: no calls from here on, after which Ctrl-C might come.
        self._indptr, self._indices, self._weights = sealed
        self._data = data
        self._layouts: dict[bool, tuple[Any, int]] = {}
        self.traces = traces
        self._version += 1
        self._structure_version += 1

    # --- checks -------------------------------------------------------------------------------------------

    def _check_vector(self, array: NDArray, name: str, size: int) -> None:
        _check_array(array, name, (self.dtype,))
        if len(array) != size:
            raise ValueError(f"{name} must have shape ({size},), got {array.shape}")

    def _check_batch(self, array: NDArray, name: str, width: int) -> None:
        _check_array(array, name, (self.dtype,), ndim=2)
        if array.shape[1] != width:
            raise ValueError(f"{name} must have shape (batch, {width}), got {array.shape}")

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

    def _rule(
        self, form: Form | _core.Plasticity, parameters: dict[str, float]
    ) -> tuple[_core.Plasticity, tuple[str, ...]]:
        """The rule, checked to go with the sign of this pathway, and the names of the arrays it needs to be >= 0."""
        rule = _core.Plasticity(form, **parameters)
        traits = _core.FORMS[rule.form]
        if self._sign not in traits.signs:
            needed = " or ".join(map(repr, traits.signs))
            raise ValueError(f"form {rule.form!r} needs a pathway of sign {needed}, this one has {self._sign!r}")
        return rule, traits.nonnegative

    def _check_drive(
        self, largest_G: float, largest_c: float, parameters: dict[str, float], n_threads: Threads
    ) -> None:
        """Both products in ``eta G - eta decay c w`` must be finite, or their difference is not a number."""
        if not self._bounded(largest_G, largest_c, parameters, n_threads):
            raise ValueError(f"eta = {parameters['eta']:g} times G or c w overflows {self.dtype}: lower eta")

    def _bounded(self, largest_G: float, largest_c: float, parameters: dict[str, float], n_threads: Threads) -> bool:
        loss = largest_c * parameters.get("decay", 1.0)
        largest = max(largest_G, loss and loss * _largest(self._data, n_threads))
        return not parameters["eta"] * largest > float(np.finfo(self.dtype).max)  # 0 times infinity is nothing, too


def _restore(
    indptr: NDArray, indices: NDArray, data: NDArray, n_pre: int, sign: Sign, traces: dict[str, Any]
) -> Synapses:
    """Unpickle. The arrays may lie in memory that others write to, so the traces are copied like the rest."""
    synapses = Synapses(indptr, indices, data, n_pre, sign=sign)
    copies = {name: np.array(trace) if isinstance(trace, np.ndarray) else trace for name, trace in traces.items()}
    synapses.traces.update(copies)
    return synapses


def _lowest(name: str, nonnegative: tuple[str, ...]) -> float:
    return 0.0 if name in nonnegative else -np.inf


def _relaxes(nonnegative: tuple[str, ...]) -> bool:
    """Whether a form goes a share of the way to a target, and so cannot overflow; the others follow a drive."""
    return "c" in nonnegative


def _sealed(array: NDArray) -> NDArray:
    """A view that nobody can make writeable: it knows its memory as a read-only buffer, not as an array."""
    if not array.flags.writeable:
        return array
    return np.asarray(array.data.toreadonly())


def _either(dtypes: tuple[np.dtype, ...]) -> str:
    return " or ".join(map(str, dtypes))


def _check_array(array: Any, name: str, dtypes: tuple[np.dtype, ...], ndim: int = 1) -> None:
    """A C-contiguous ndarray of one of ``dtypes`` (native byte order) and ``ndim`` dimensions."""
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray):
        raise TypeError(f"{name} must be a NumPy array of {_either(dtypes)}, got {type(array).__name__}")
    if array.dtype not in dtypes:
        raise TypeError(f"{name} must be {_either(dtypes)}, got {array.dtype}: cast it with astype({str(dtypes[0])!r})")
    if array.ndim != ndim:
        raise ValueError(f"{name} must have {ndim} dimension{'s' * (ndim > 1)}, got shape {array.shape}")
    if not array.flags.c_contiguous:
        raise ValueError(f"{name} must be C-contiguous: use np.ascontiguousarray({name})")


def _largest(array: NDArray, n_threads: Threads) -> float:
    """Largest magnitude; NaN if there is one."""
    return max(map(abs, _core.minmax(array, n_threads=n_threads))) if array.size else 0.0


def _check_range(array: NDArray, name: str, low: float, n_threads: Threads) -> float:
    """Finite and >= ``low``; returns the largest magnitude."""
    if not array.size:
        return 0.0
    smallest, largest = _core.minmax(array, n_threads=n_threads)
    if np.isfinite((smallest, largest)).all() and smallest >= low:
        return max(-smallest, largest)
    k = tuple(int(i) for i in np.argwhere(~(np.isfinite(array) & (array >= low)))[0])
    bound = "finite" if low == -np.inf else f"finite and >= {low:g}"
    raise ValueError(f"{name} must be {bound}, but {name}[{', '.join(map(str, k))}] = {array[k]}")
