"""Hypercolumns: groups of competitive cells, each group with an inhibitory pool of its own."""

from __future__ import annotations

from typing import Any

from ..synapses import Synapses
from .competitive import CompetitiveLayer


class Hypercolumns(CompetitiveLayer):
    """Competitive layer of ``G`` groups: cells ``g C`` to ``(g + 1) C - 1`` compete with each other and no one else.

    Equations as in :class:`CompetitiveLayer`, with the softmax over the ``C`` cells of a group and rates, thresholds
    and ages relative to it. A group may be blind to a sample (:meth:`learn`): its cells then stay as they are.

    Parameters
    ----------
    synapses : Synapses of shape (G C, n_pre)
        Afferent pathway of sign ``"E"``; taken over and changed by learning.
    n_rivals : int
        Cells C of a group; divides the number of cells.
    **competition
        ``beta``, ``sharpening``, ``k``, ``rule``, ``homeostasis``, ``rate_memory``, ``seed``, ``n_threads`` of
        :class:`CompetitiveLayer`. There is no recruitment.
    """

    def __init__(self, synapses: Synapses, n_rivals: int, **competition: Any) -> None:
        super().__init__(synapses, n_rivals=n_rivals, **competition)
