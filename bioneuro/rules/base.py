"""What every plasticity rule shares: checks, signs, memory, clean failure. A new rule writes one method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from .._attributes import Need
from ..checks import check_count, check_number, plain_array
from ..synapses import Sign, Synapses
from ..synapses.array_checks import check_array, check_range, check_vector
from ..threads import Threads

__all__ = ["AdditiveRule", "Rule", "add_within_sign", "batch_mean", "check_rates", "on_synapses"]


@dataclass(frozen=True, kw_only=True)
class Rule(ABC):
    """A plasticity rule: from pre- and post-synaptic rates to a change of the stored weights.

    A rule is its parameters, the fields of a frozen dataclass, checked when it is made; two rules of the same class and
    parameters are equal. What it gathers while it learns it keeps on the pathway (:meth:`remember`), so that one rule
    serves any number of pathways and :meth:`bioneuro.Synapses.forget` starts over. A subclass writes :meth:`change`, or
    :class:`AdditiveRule`'s ``delta`` where the rule is a sum. Where an equation has a mean over the batch, ``eta`` does
    not depend on the batch size.

    Parameters
    ----------
    eta : float > 0
        Learning rate.
    n_threads : int >= 1, "auto" or None
        Threads of the kernels; any number gives identical results.
    """

    eta: float = 0.1
    n_threads: Threads = None

    #: Pathways the rule is defined on.
    signs: ClassVar[tuple[Sign, ...]] = ("mixed", "E", "I")
    #: Whether rates must be >= 0; where not, inputs may be centred and cells linear.
    nonnegative: ClassVar[bool] = False
    #: Whether a step takes a reward.
    rewarded: ClassVar[bool] = False
    #: Whether the rule needs the mean and spread of the pre-synaptic rates (:meth:`bioneuro.Synapses.observe`).
    observes: ClassVar[bool] = False
    #: What it remembers on a pathway (:meth:`remember`): what a saved one must have.
    remembers: ClassVar[Mapping[str, Need]] = {}
    #: Whether a step stops at its target however large ``gain`` is; where not, too large a gain overshoots.
    saturating: ClassVar[bool] = False
    #: Whether cells of a layer store the input that they take over and learn nothing afterwards.
    recruits_only: ClassVar[bool] = False

    def __post_init__(self) -> None:
        self.require_positive("eta")

    @final
    def step(
        self,
        synapses: Synapses,
        X: NDArray,
        Y: NDArray,
        gain: NDArray | None = None,
        *,
        reward: float | None = None,
        observe: bool = True,
    ) -> None:
        """Change the stored weights in place; what is silent stays silent. A step that fails changes nothing.

        Parameters
        ----------
        synapses : Synapses
            "E" pathways stay >= 0 and "I" pathways <= 0. Its ``traces["steps"]`` counts the steps of all rules.
        X : ndarray of shape (batch, n_pre), dtype of the weights, C-contiguous
            Pre-synaptic rates; not changed. ``batch >= 1``.
        Y : ndarray of shape (batch, n_post), dtype of the weights, C-contiguous
            Post-synaptic rates, whatever response model they come from; not changed.
        gain : ndarray of shape (n_post,), dtype of the weights, >= 0, optional
            Plasticity of each post-synaptic cell relative to the others; 1 where none is given.
        reward : float, optional
            Given to the rules that are ``rewarded``, and to no other.
        observe : bool, default True
            Whether a rule that ``observes`` counts ``X`` into ``pre_mean`` and ``pre_sd`` of the pathway before it
            learns. False where the caller has done so (:meth:`bioneuro.Synapses.observe`), or ``X`` was seen before.

        Raises
        ------
        TypeError
            Not a :class:`bioneuro.Synapses`, or rates of another dtype.
        ValueError
            A sign the rule is not defined on; rates of the wrong shape or layout, not finite, or below 0 where the rule
            needs rates >= 0; a gain of the wrong shape or below 0; a reward that is missing, superfluous or not finite;
            weights that would overflow.
        """
        self._check_pathway(synapses)
        for rates, name, width in (X, "X", synapses.n_pre), (Y, "Y", synapses.n_post):
            check_rates(rates, name, synapses.dtype, width, nonnegative=self.nonnegative, n_threads=self.n_threads)
        if len(X) != len(Y):
            raise ValueError(f"X and Y must be of one batch, got {len(X)} and {len(Y)} rows")
        if gain is not None:
            check_vector(gain, "gain", synapses.n_post, synapses.dtype)
            check_range(gain, "gain", 0.0, self.n_threads)
        self._check_reward(reward)
        with synapses.exclusive():
            before = dict(synapses.traces)
            try:
                with np.errstate(over="ignore", invalid="ignore"):  # weights that overflow are refused by name
                    if self.observes and observe:
                        synapses.observe(X, self.n_threads)
                    self.change(synapses, X, Y, gain, reward)
            except BaseException:  # Ctrl-C, too
                synapses.traces = before
                raise
            synapses.traces["steps"] = before.get("steps", 0) + 1

    @abstractmethod
    def change(self, synapses: Synapses, X: NDArray, Y: NDArray, gain: NDArray | None, reward: float | None) -> None:
        """The rule itself, on checked arguments. Whatever can fail comes before the weights change."""

    def follow_mean(self, synapses: Synapses, before: NDArray) -> None:  # noqa: B027 (most rules have nothing to do)
        """Let the weights follow the mean pre-synaptic rates, which moved from ``before (n_pre,)`` to ``pre_mean``.

        For rules whose fixed point depends on these: each cell's weights are then what they would be had its samples
        been compared with the mean as it is now. Here nothing changes.
        """

    def hebb(self, synapses: Synapses, X: NDArray, Y: NDArray) -> NDArray:
        """Hebbian term ``mean_b Y_bi X_bj`` on the stored synapses, shape ``(nnz,)``."""
        return synapses.weight_grad(X, Y, n_threads=self.n_threads) / len(X)

    # --- memory -------------------------------------------------------------------------------------------

    def recall(self, synapses: Synapses, name: str) -> Any:
        """What rules of this class last remembered on the pathway by that name; None before."""
        return synapses.traces.get(self._trace(name))

    def remember(self, synapses: Synapses, **values: Any) -> None:
        """Keep numbers or arrays on the pathway, in ``synapses.traces``: of an array, a copy that is read-only.

        Rules of one class share what they remember, whatever their parameters, so that a learning rate may fall from
        step to step; rules of other classes have names of their own. A name that ends in ``_ij`` is of a value for each
        synapse, which is forgotten when the stored pattern changes. None forgets.

        Raises
        ------
        ValueError
            A number or an array that is not finite, with which the next step would start.
        """
        for name, value in values.items():
            if value is None:
                synapses.traces.pop(self._trace(name), None)
            elif isinstance(value, float | np.ndarray) and not np.isfinite(value).all():
                raise ValueError(f"{name} of {type(self).__name__} is not finite any more: the rates are too large")
            else:
                if isinstance(value, np.ndarray):
                    value = np.array(value)
                    value.flags.writeable = False
                synapses.traces[self._trace(name)] = value

    def _trace(self, name: str) -> str:
        cls = type(self)
        own = cls.__module__.startswith("bioneuro.")
        return f"{cls.__qualname__}.{name}" if own else f"{cls.__module__}.{cls.__qualname__}.{name}"

    # --- checks -------------------------------------------------------------------------------------------

    def require_positive(self, *names: str) -> None:
        """Hyper-parameters that must be > 0 and finite."""
        for name in names:
            check_number(name, getattr(self, name), "> 0")

    def require_nonnegative(self, *names: str) -> None:
        """Hyper-parameters that must be >= 0 and finite."""
        for name in names:
            check_number(name, getattr(self, name), ">= 0")

    def require_integer(self, name: str, low: int) -> None:
        """A hyper-parameter that must be an integer >= ``low``."""
        check_count(name, getattr(self, name), low)

    def _check_pathway(self, synapses: Synapses) -> None:
        if not isinstance(synapses, Synapses):
            raise TypeError(f"synapses must be a bioneuro.Synapses, got {type(synapses).__name__}")
        if synapses.sign not in self.signs:
            wanted = " or ".join(map(repr, self.signs))
            raise ValueError(f"{type(self).__name__} needs a pathway of sign {wanted}, this one has {synapses.sign!r}")

    def _check_reward(self, reward: float | None) -> None:
        if not self.rewarded:
            if reward is not None:
                raise ValueError(f"{type(self).__name__} takes no reward, got {reward}")
        elif reward is None or not np.isfinite(reward):
            raise ValueError(f"{type(self).__name__} needs a finite reward, got {reward}")


@dataclass(frozen=True, kw_only=True)
class AdditiveRule(Rule):
    """A rule of the form ``w += delta``. A subclass writes :meth:`delta`; ``gain`` multiplies a cell's row of it.

    Signs: the equation is one of strengths. In "E" and "mixed" pathways the strength is the weight; in an "I" pathway
    it is ``-w``, so what makes an excitatory synapse stronger makes an inhibitory one stronger too. In "E" and "I"
    pathways strengths are clipped at 0, from where they may rise again; in "mixed" ones they cross it.

    Parameters
    ----------
    eta, n_threads
        See :class:`Rule`.
    """

    @abstractmethod
    def delta(self, synapses: Synapses, w: NDArray, X: NDArray, Y: NDArray) -> NDArray:
        """Change of the strengths ``w (nnz,)``, given their pathway (structure, kernels) and the rates."""

    @final
    def change(self, synapses: Synapses, X: NDArray, Y: NDArray, gain: NDArray | None, reward: float | None) -> None:
        inhibitory = synapses.sign == "I"
        delta = self.delta(synapses, -synapses.weights if inhibitory else synapses.weights, X, Y)
        delta = as_change(delta, synapses, f"delta of {type(self).__name__}")
        add_within_sign(synapses, -delta if inhibitory else delta, gain, self.n_threads)


def as_change(delta: Any, synapses: Synapses, who: str) -> NDArray:
    """What a rule returned, as floating-point numbers of shape ``(nnz,)``, or an error that names the rule."""
    change = plain_array(delta, f"what {who} returns")
    if change.dtype.kind != "f":
        change = plain_array(delta, f"what {who} returns", synapses.dtype)
    if change.shape != (synapses.nnz,):
        raise ValueError(f"{who} must return a change of shape (nnz,) = ({synapses.nnz},), got {change.shape}")
    return change


def add_within_sign(synapses: Synapses, delta: NDArray, gain: NDArray | None = None, n_threads: Threads = None) -> None:
    """``W += gain delta`` on the stored synapses; weights of "E" and "I" pathways stop at 0.

    Parameters
    ----------
    synapses : Synapses
    delta : ndarray of shape (nnz,)
    gain : ndarray of shape (n_post,), optional
        Of each post-synaptic cell.
    n_threads : int >= 1, "auto" or None
        Of the checks.

    Raises
    ------
    ValueError
        The change or the sum is not finite.
    """
    if gain is not None:
        delta = on_synapses(synapses, gain) * delta
    w = synapses.weights
    if not np.isfinite(delta).all():  # before it is cut off at 0
        raise ValueError("changes of weights must be finite: the rates are too large, or the rule is wrong")
    # w + (-w) is exactly 0 and rounding is monotonic: nothing added so carries a weight past 0
    if synapses.sign == "E":
        delta = np.maximum(delta, -w)
    elif synapses.sign == "I":
        delta = np.minimum(delta, -w)
    synapses.add(np.ascontiguousarray(delta, dtype=synapses.dtype), n_threads)


def check_rates(
    rates: NDArray, name: str, dtype: np.dtype, width: int, *, nonnegative: bool, n_threads: Threads = None
) -> float:
    """A batch of at least one row, C-contiguous, finite, and >= 0 where it must be.

    Parameters
    ----------
    rates : ndarray, shape (batch, width)
    name : str
        What messages call it.
    dtype : dtype
    width : int
        Number of cells.
    nonnegative : bool
        Whether rates below 0 are refused.
    n_threads : int >= 1, "auto" or None

    Returns
    -------
    largest : float
        The largest magnitude.

    Raises
    ------
    TypeError
        No array, or one of another dtype.
    ValueError
        Another shape, an empty batch, or rates that are not finite or below 0 where they must not be.
    """
    check_array(rates, name, (dtype,), ndim=2)
    if rates.shape[1] != width or not len(rates):
        raise ValueError(f"{name} must have shape (batch >= 1, {width}), got {rates.shape}")
    return check_range(rates, name, 0.0 if nonnegative else -np.inf, n_threads)


def on_synapses(synapses: Synapses, cells: NDArray) -> NDArray:
    """A value of each post-synaptic cell at each of its stored synapses.

    Parameters
    ----------
    synapses : Synapses
    cells : ndarray, shape (n_post,)

    Returns
    -------
    ndarray, shape (nnz,)
        In CSR order.
    """
    return np.repeat(cells, np.diff(synapses.indptr))


def batch_mean(A: NDArray) -> NDArray:
    """Mean over the batch, summed in double precision, in the dtype of ``A``.

    Parameters
    ----------
    A : ndarray, shape (batch, ...)

    Returns
    -------
    ndarray, shape (...)
    """
    return A.mean(axis=0, dtype=float).astype(A.dtype)
