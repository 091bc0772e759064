"""A plain function as a rule."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
from numpy.typing import NDArray

from ..synapses import Synapses
from ..synapses.stored import sealed_view
from .base import Rule, add_within_sign, as_change

#: What a function that is a rule takes.
ARGUMENTS = ("synapses", "X", "Y", "gain")


@dataclass(frozen=True, kw_only=True)
class FunctionRule(Rule):
    """``W += eta function(synapses, X, Y, gain)``, within the sign of the pathway.

    Parameters
    ----------
    function : function of (synapses, X, Y, gain)
        Gives the change of the stored weights, shape ``(nnz,)``; what it is given can be read only. Here ``gain`` is
        always an array of shape ``(n_post,)``, of ones where the step was given none, and the function must apply it
        itself. Rules of equal functions are equal.
    eta : float > 0, default 1
    """

    function: Callable[[Synapses, NDArray, NDArray, NDArray], NDArray]
    eta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not is_rule_function(self.function):
            raise TypeError(f"function must be a function of ({', '.join(ARGUMENTS)}), got {self.function!r}")

    def change(self, synapses: Synapses, X: NDArray, Y: NDArray, gain: NDArray | None, reward: float | None) -> None:
        given = np.ones(synapses.n_post, synapses.dtype) if gain is None else gain
        name = self.function.__name__
        delta = as_change(self.function(synapses, *map(sealed_view, (X, Y, given))), synapses, name)
        add_within_sign(synapses, self.eta * delta)


def is_rule_function(value: object) -> TypeGuard[Callable[..., NDArray]]:
    """Whether it is a plain function that can be called with four positional arguments."""
    if not inspect.isfunction(value):
        return False
    parameters = inspect.signature(value).parameters.values()
    return len(parameters) == len(ARGUMENTS) and all(
        p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters
    )
