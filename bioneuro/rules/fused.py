"""Rules that are forms of one fused kernel: what the network itself runs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import _core
from ..checks import Number, check
from ..synapses import Form, Synapses
from .base import Rule

#: Largest noise: a standard deviation of log w beyond it leaves one synapse of a cell and no other.
LARGEST_SIGMA = 10.0


@dataclass(frozen=True, kw_only=True)
class FusedRule(Rule):
    """A form of :meth:`bioneuro.Synapses.hebbian_step`, with means over the batch in place of its sums.

    A subclass names its ``form``, from which signs and demands on rates follow, and has fields by the names of the
    form's parameters. ``gain`` multiplies the Hebbian term and the activity of a cell. Only cells that are active in
    the batch change, and cost anything.

    Parameters
    ----------
    eta : float > 0, default 0.1
    sigma : float in [0, 10], default 0
        Size-proportional noise: the stationary standard deviation of log w that it alone gives.
    normalize : bool, default True
        Synaptic scaling of the rows that changed to unit norm.
    seed : int >= 0, default 0
        Key of the noise.
    """

    sigma: float = 0.0
    normalize: bool = True
    seed: int = 0

    form: ClassVar[Form]
    #: Whether a step goes a share of the way to a target, and leaves cells alone that are all but silent.
    relaxes: ClassVar[bool]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        traits = _core.FORMS[cls.form]
        cls.signs, cls.nonnegative = traits.signs, bool(traits.nonnegative)
        cls.relaxes = "c" in traits.nonnegative

    def __post_init__(self) -> None:
        super().__post_init__()
        check("sigma", self.sigma, Number(0, LARGEST_SIGMA))
        self.require_integer("seed", 0)

    def change(self, synapses: Synapses, X: NDArray, Y: NDArray, gain: NDArray | None, reward: float | None) -> None:
        share = np.full(synapses.n_post, 1 / len(X), synapses.dtype)  # the kernel sums over the batch
        synapses.hebbian_step(
            X,
            Y,
            plasticity(self),
            gain=share if gain is None else share * gain,
            seed=self.seed,
            step=synapses.traces.get("steps", 0),
            n_threads=self.n_threads,
        )


@lru_cache(maxsize=256)
def plasticity(rule: FusedRule) -> _core.Plasticity:
    """A rule as the kernel takes it: its form, and those of its fields that the form has. Equal rules share one."""
    known = (name for name in _core.FORMS[rule.form].parameters if hasattr(rule, name))
    return _core.Plasticity(rule.form, **{name: getattr(rule, name) for name in known})
