"""Hypercolumns: groups of competitive cells, each group with an inhibitory pool of its own."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from bioneuro import _core
from bioneuro._attributes import Count
from bioneuro.layers.competitive import CompetitiveLayer, Step
from bioneuro.synapses import Synapses


class Hypercolumns(CompetitiveLayer):
    """Competitive layer of ``G`` groups: cells ``g C .. (g + 1) C - 1`` compete with each other and no one else.

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

    SAVED: ClassVar = CompetitiveLayer.SAVED | {"_n_rivals": Count(1)}

    def check_saved(self) -> None:
        """Whether the groups have one size (:mod:`bioneuro._attributes`)."""
        if self.n_cells % self.n_rivals:
            raise ValueError(f"n_rivals must divide the {self.n_cells} cells, got {self.n_rivals}")

    def __init__(self, synapses: Synapses, n_rivals: int, **competition: Any) -> None:
        if n_rivals < 1 or synapses.n_post % n_rivals:
            raise ValueError(f"n_rivals must divide the {synapses.n_post} cells, got {n_rivals}")
        if competition.get("recruitment"):
            raise ValueError(f"recruitment must be 0 in hypercolumns, got {competition['recruitment']}")
        self._n_rivals = int(n_rivals)
        super().__init__(synapses, **competition)

    @property
    def n_rivals(self) -> int:
        """Cells of a group, which share an inhibitory pool."""
        return self._n_rivals

    @property
    def n_groups(self) -> int:
        """Groups G."""
        return self.n_cells // self.n_rivals

    def respond(self, U: NDArray) -> NDArray:
        """Rates ``softmax(beta W u)`` over each group, shape ``(batch, n_cells)``."""
        Y = self.drive(U)
        rivals = Y.reshape(-1, self.n_rivals)
        _core.compete(rivals, beta=self.beta, k=self.k, n_threads=self.n_threads, out=rivals)
        return Y

    def respond_grad(self, Y: NDArray, dY: NDArray) -> NDArray:
        """Gradient with respect to the input, given the rates ``Y`` of that input and ``dY``."""
        rivals, slopes = Y.reshape(-1, self.n_rivals), dY.reshape(-1, self.n_rivals)
        da = _core.compete_grad(rivals, slopes, beta=self.beta, n_threads=self.n_threads)
        return self.synapses.input_grad(da.reshape(Y.shape), n_threads=self.n_threads)

    def learn(self, U: NDArray, top_down: NDArray | None = None, seen: NDArray | None = None) -> Step:
        """One learning step on a batch ``U (batch, n_pre)``.

        ``top_down (batch, n_cells)`` adds to the drive; where ``seen (batch, G)`` is False, the group is blind.
        """
        self._check_input(U, "U", top_down)
        if seen is not None and np.shape(seen) != (len(U), self.n_groups):
            raise ValueError(f"seen must have shape {(len(U), self.n_groups)}, got {np.shape(seen)}")
        self._observe(U)
        beta = self.sharpening * self.beta
        a = self.drive(U)
        if top_down is not None:
            a += top_down
        a -= self.threshold / a.dtype.type(beta)  # the kernel's thresholds are those of the columns, not of all cells
        rivals = a.reshape(-1, self.n_rivals)
        _core.compete(rivals, beta=beta, k=self.k, n_threads=self.n_threads, out=rivals)
        if seen is None:
            return self._relax(U, a, len(U), [])
        rivals *= seen.reshape(-1, 1)
        return self._relax(U, a, np.repeat(seen.sum(axis=0), self.n_rivals), [])
