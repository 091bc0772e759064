"""Vogels' inhibitory rule: inhibition grows until the post-synaptic cell fires at its target rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import NDArray

from ..synapses import Sign, Synapses
from .base import AdditiveRule


@dataclass(frozen=True, kw_only=True)
class Vogels(AdditiveRule):
    """``d|w_ij| = eta mean_b(x_bj (y_bi - target))`` on an inhibitory pathway.

    The rate form of the spike-timing rule, in which near-coincident spikes strengthen a synapse and each pre-synaptic
    spike weakens it by ``alpha = 2 target tau``. Fixed point: the post-synaptic rate, seen by any of its inhibitory
    inputs (``E[x_j y_i] / E[x_j]``), is the target: inhibition balances excitation, input by input.

    Parameters
    ----------
    eta : float > 0, default 0.1
    target : float >= 0, default 0.1
        Target rate of the post-synaptic cells, in the unit of ``Y``.

    References
    ----------
    Vogels, Sprekeler, Zenke, Clopath & Gerstner 2011, Inhibitory plasticity balances excitation and inhibition in
    sensory pathways and memory networks, Science 334, 1569-1573.
    """

    target: float = 0.1

    signs: ClassVar[tuple[Sign, ...]] = ("I",)
    nonnegative: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_nonnegative("target")

    def delta(self, synapses: Synapses, w: NDArray, X: NDArray, Y: NDArray) -> NDArray:
        return self.eta * self.hebb(synapses, X, Y - Y.dtype.type(self.target))
