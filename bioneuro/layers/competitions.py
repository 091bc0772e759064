"""How association cells compete, as a parameter: settings of a competition, by name or as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from numpy.typing import DTypeLike

from ..checks import POSITIVE_SHARE, PROPER_SHARE, Checked, Integer
from ..spelling import spelled
from ..threads import Threads
from .inhibition import InhibitoryCells
from .interfaces import Competition, CompetitionMaker
from .numeric_limits import GAIN, INHIBITION, SPECIFICITY
from .pools import SoftmaxPool

__all__ = ["COMPETITIONS", "CircuitSettings", "CompetitionLike", "SoftmaxSettings", "competition_maker"]

_COMMON: dict[str, tuple[Any, ...]] = {"beta": (GAIN,), "sharpening": (GAIN,)}


@spelled
@dataclass(frozen=True, kw_only=True)
class SoftmaxSettings(Checked):
    """Cells divide each other by the activity of one pool (:class:`bioneuro.layers.SoftmaxPool`).

    Parameters
    ----------
    beta : float, default 3
        Gain of the competition in units of one over the spread of the drive, in (0, 1e6].
    sharpening : float, default 2
        Gain in learning relative to ``beta``, in (0, 1e6].
    k : int >= 1 or None
        With ``k`` only the k most excited cells are active.

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    beta: float = 3.0
    sharpening: float = 2.0
    k: int | None = None

    taught: ClassVar[bool] = SoftmaxPool.taught

    _kinds = _COMMON | {"k": (Integer(), None)}

    def __call__(self, n_cells: int, *, seed: int, dtype: DTypeLike, n_threads: Threads) -> Competition:
        """The pool of ``n_cells``."""
        return SoftmaxPool(n_cells, **vars(self), seed=seed, dtype=dtype, n_threads=n_threads)


@spelled
@dataclass(frozen=True, kw_only=True)
class CircuitSettings(Checked):
    """Cells inhibit each other through learned inhibitory cells (:class:`bioneuro.layers.InhibitoryCells`).

    Parameters
    ----------
    beta, sharpening : float, default 3 and 2
        Gain of the drive, in units of one over its spread, and exponent of the rates in learning, in (0, 1e6].
    inhibitory_share : float, default 0.2
        I cells as a share of all, in (0, 1).
    inhibition : float, default 3
        Strength of I -> E at chance, in [1e-6, 1e6]: the larger, the fewer cells are active.
    inhibitory_density : float, default 0.5
        Share of the pairs of E and I cells that are connected, both ways, in (0, 1].
    specificity : float, default 0.5
        Exponent of the correlation, in [0, 2].
    activity : float, default 10
        Summed rate that homeostasis aims at, in units of ``beta`` times the drive, in (0, 1e6].

    Raises
    ------
    ValueError
        A parameter is out of its range.
    """

    beta: float = 3.0
    sharpening: float = 2.0
    inhibitory_share: float = 0.2
    inhibition: float = 3.0
    inhibitory_density: float = 0.5
    specificity: float = 0.5
    activity: float = 10.0

    taught: ClassVar[bool] = InhibitoryCells.taught

    _kinds = _COMMON | {
        "inhibitory_share": (PROPER_SHARE,),
        "inhibition": (INHIBITION,),
        "inhibitory_density": (POSITIVE_SHARE,),
        "specificity": (SPECIFICITY,),
        "activity": (GAIN,),
    }

    def __call__(self, n_cells: int, *, seed: int, dtype: DTypeLike, n_threads: Threads) -> Competition:
        """The I cells of ``n_cells`` E cells."""
        return InhibitoryCells(n_cells, **vars(self), seed=seed, dtype=dtype, n_threads=n_threads)


#: What a parameter ``competition`` may be: a name in :data:`COMPETITIONS`, settings, or a class of competitions.
CompetitionLike: TypeAlias = str | CompetitionMaker

#: How association cells compete, by the name that :class:`bioneuro.BioClassifier` knows: one line each, with the
#: settings that the name stands for, or the class of a competition that needs none.
COMPETITIONS: dict[str, CompetitionMaker] = {"softmax": SoftmaxSettings(), "circuit": CircuitSettings()}


def competition_maker(competition: CompetitionLike) -> CompetitionMaker:
    """What makes the competition that a parameter stands for.

    Raises
    ------
    ValueError
        No competition has that name.
    TypeError
        Neither a name nor a maker.
    """
    if isinstance(competition, str):
        if competition not in COMPETITIONS:
            raise ValueError(f"competition must be one of {sorted(COMPETITIONS)}, got {competition!r}")
        return COMPETITIONS[competition]
    if not callable(competition):
        raise TypeError(f"competition must be a name, settings or a class of competitions, got {competition!r}")
    return competition
