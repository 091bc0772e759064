"""How the weights of a pathway change, and what learning remembers of its pre-synaptic rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..moments import Moments
from ..threads import Threads
from .array_checks import check_batch, check_range, check_vector, largest_magnitude
from .stored import StoredSynapses

#: Name of a form of learning: a key of ``_core.FORMS``.
Form = str

#: Traces that hold the moments of the pre-synaptic rates.
_MOMENTS = tuple(f"pre_{name}" for name in Moments._fields)
#: Where at most 1 in so many rates are not 0, the kernel of a Hebbian step follows them one by one and reads no layout.
SPARSE = 16


class Learning(StoredSynapses):
    """Steps of learning on the stored synapses, and :attr:`traces` of the rates that they saw."""

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
                check_vector(array, name, size, self.dtype)
                largest[name] = check_range(array, name, _lowest(name, nonnegative), n_threads)
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
        check_batch(X, "X", self._n_pre, self.dtype)
        check_batch(Y, "Y", self.n_post, self.dtype)
        largest_X = check_range(X, "X", _lowest("X", nonnegative), n_threads)
        largest_c = len(Y) * check_range(Y, "Y", _lowest("Y", nonnegative), n_threads)
        if gain is not None:
            check_vector(gain, "gain", self.n_post, self.dtype)
            largest_c *= check_range(gain, "gain", _lowest("gain", nonnegative), n_threads)
        with self._changing:
            parameters = rule.parameters
            if not _relaxes(nonnegative) and not self._bounded(largest_c * largest_X, largest_c, parameters, n_threads):
                largest_c = float((np.abs(Y).sum(axis=0, dtype=float) * (1 if gain is None else np.abs(gain))).max())
                self._check_drive(largest_c * largest_X, largest_c, parameters, n_threads)
            layout = None
            if len(X) > 1 and (self._layouts.made(False) or np.count_nonzero(Y) * SPARSE > Y.size):
                layout = self._layouts.layout(False, self._version, n_threads, weights=False)
            key = {"seed": seed, "step": step, "n_threads": n_threads}
            n_changed = self._learn(_core.hebbian_step, X, Y, rule, gain=gain, layout=layout, **key)
            if layout is not None:
                self._layouts.renewed(layout, self._version)
            return n_changed

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
            check_vector(delta, "delta", self.nnz, self.dtype)
            with np.errstate(over="ignore"):  # refused by name in the next line
                changed = self._data + delta
            check_range(changed, "weights + delta", -np.inf, n_threads)
            self._check_sign(changed)
            self._version += 1
            self._data[:] = changed

    def normalize_rows(self, n_threads: Threads = None) -> None:
        """Synaptic scaling: divide each row by its Euclidean norm; rows of zeros stay."""
        with self._changing:
            self._learn(_core.normalize_rows, n_threads=n_threads)

    # --- traces ---------------------------------------------------------------------------------------------

    def observe(self, X: NDArray, n_threads: Threads = None) -> None:
        """Let the pre-synaptic rates ``X (batch, n_pre)`` count in :attr:`pre_mean` and :attr:`pre_sd`.

        A rule that ``observes`` does so in every step, and whoever learns by one leaves it to the rule.
        """
        check_batch(X, "X", self._n_pre, self.dtype)
        check_range(X, "X", -np.inf, n_threads)
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

    # --- checks ---------------------------------------------------------------------------------------------

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
        largest = max(largest_G, loss and loss * largest_magnitude(self._data, n_threads))
        return not parameters["eta"] * largest > float(np.finfo(self.dtype).max)  # 0 times infinity is nothing, too


def _lowest(name: str, nonnegative: tuple[str, ...]) -> float:
    return 0.0 if name in nonnegative else -np.inf


def _relaxes(nonnegative: tuple[str, ...]) -> bool:
    """Whether a form goes a share of the way to a target, and so cannot overflow; the others follow a drive."""
    return "c" in nonnegative
