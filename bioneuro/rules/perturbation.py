"""Weight perturbation: try other weights, keep what was rewarded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from .._attributes import Array, Count
from ..checks import Number
from ..synapses import Synapses
from .base import Rule, add_within_sign


@dataclass(frozen=True, kw_only=True)
class WeightPerturbation(Rule):
    """``dw_ij = eta (R - R0) xi_ij / s``, ``R`` the reward of a trial with weights ``w + s xi``, ``xi_ij = +-1``.

    :meth:`perturb` gives the pathway of a trial, the step its reward::

        trial = rule.perturb(synapses)
        Y = trial.forward(X)
        rule.step(synapses, X, Y, reward=-loss(Y))

    The mean step is ``eta`` times the gradient of the reward, exactly where the reward is quadratic in the weights,
    otherwise up to O(s^2): nothing but one number comes back. ``R0`` is the expected reward. With ``memory`` it is the
    mean of the rewards of past trials, and the first trial only sets it; without, the caller's reward is already a
    difference, for instance to that of the unperturbed pathway, which is less noisy and costs a second trial. Rates
    play no part: a step only checks them.

    Signs: trials and steps in "E" and "I" pathways stop at 0. A weight closer to 0 than ``s`` then learns at between
    half and all of ``eta``, in the same direction.

    :class:`bioneuro.layers.PerturbationReadout` perturbs outputs, not weights, and multiplies instead of adding.

    Parameters
    ----------
    eta : float > 0, default 0.1
    noise : float > 0, default 0.01
        Size ``s`` of the perturbation, in units of the weights.
    memory : None or float > 0, default 20
        Time constant of the expected reward, in trials; None: rewards are differences.
    seed : int >= 0, default 0
        Key of the perturbations.

    Notes
    -----
    Remembers ``trials``, the number of perturbations so far; ``xi_ij (nnz,)``, the perturbation whose reward is
    awaited; and, with ``memory``, ``expected``, the expected reward.

    References
    ----------
    Cauwenberghs 1993, A fast stochastic error-descent algorithm for supervised learning and optimization, NIPS 5
    (perturbation of all weights in parallel).
    Mazzoni, Andersen & Jordan 1991, A more biologically plausible learning rule for neural networks, PNAS 88,
    4433-4437 (learning from reward only).
    Williams 1992, Simple statistical gradient-following algorithms for connectionist reinforcement learning, Machine
    Learning 8, 229-256 (the expected reward as baseline).
    """

    noise: float = 0.01
    memory: float | None = 20.0
    seed: int = 0

    rewarded: ClassVar[bool] = True
    remembers: ClassVar = {"trials": Count(), "xi_ij": Array("nnz"), "expected": Number(-np.inf)}

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_positive("noise", *(() if self.memory is None else ("memory",)))
        self.require_integer("seed", 0)

    def perturb(self, synapses: Synapses) -> Synapses:
        """The pathway of one trial: an independent copy with weights ``w + s xi``, within the sign.

        Raises
        ------
        TypeError
            Not a :class:`bioneuro.Synapses`.
        """
        self._check_pathway(synapses)
        n = self.recall(synapses, "trials") or 0
        xi = self.draw(n, synapses.nnz).astype(synapses.dtype)
        trial = synapses.copy()
        add_within_sign(trial, self.noise * xi)
        self.remember(synapses, trials=n + 1, xi_ij=xi)
        return trial

    def draw(self, trial: int, nnz: int) -> NDArray:
        """Signs of the perturbation in a trial, of each synapse one."""
        return 2 * np.random.default_rng((self.seed, trial)).integers(0, 2, nnz) - 1

    def change(self, synapses: Synapses, X: NDArray, Y: NDArray, gain: NDArray | None, reward: float | None) -> None:
        xi = self.recall(synapses, "xi_ij")
        if xi is None:
            raise ValueError("reward has no trial: call perturb(synapses) on this pathway, as it is, before each step")
        assert reward is not None  # checked by step
        expected = 0.0
        if self.memory is not None:
            before = self.recall(synapses, "expected")
            expected = reward if before is None else before
            self.remember(synapses, expected=expected - math.expm1(-1 / self.memory) * (reward - expected))
        self.remember(synapses, xi_ij=None)
        add_within_sign(synapses, self.eta * (reward - expected) / self.noise * xi, gain)
