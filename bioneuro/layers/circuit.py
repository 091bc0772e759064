"""Excitatory cells that compete through inhibitory cells: afferent, E -> I and I -> E synapses, all learned."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, ClassVar

from numpy.typing import NDArray

from .._attributes import Part
from ..synapses import Synapses
from .association import Association
from .competitions import CircuitSettings
from .inhibition import InhibitoryCells


class Circuit(Association):
    """Association whose cells compete through :class:`InhibitoryCells`: a constructor, and read-only views of these.

    Rates are the fixed point of ``y = (beta W h + V q - th)+``, ``q = U y``, with ``W, U >= 0`` and ``V <= 0``; ``W``
    learns as in :class:`Association`.

    Parameters
    ----------
    n_cells, n_features, n_classes : int
        ``n_cells`` are the E cells.
    **parameters
        Those of :class:`CircuitSettings`, all others of :class:`Association`. There is no ``k`` and no ``teacher``.
    """

    SAVED: ClassVar = Association.SAVED | {"competition": Part(InhibitoryCells)}

    def __init__(self, n_cells: int, n_features: int, n_classes: int, **parameters: Any) -> None:
        if parameters.pop("k", None) is not None:
            raise ValueError("k must be None in a circuit: inhibition decides who is active")
        names = [field.name for field in fields(CircuitSettings)]
        circuit = CircuitSettings(**{name: parameters.pop(name) for name in names if name in parameters})
        super().__init__(n_cells, n_features, n_classes, competition=circuit, **parameters)

    competition: InhibitoryCells

    @property
    def n_inhibitory(self) -> int:
        """I cells."""
        return self.competition.n_inhibitory

    @property
    def inhibition(self) -> float:
        """Strength of I -> E at chance."""
        return self.competition.inhibition

    @property
    def to_inhibitory(self) -> Synapses:
        """E -> I, ``(n_inhibitory, n_cells)``."""
        return self.competition.to_inhibitory

    @property
    def from_inhibitory(self) -> Synapses:
        """I -> E, ``(n_cells, n_inhibitory)``."""
        return self.competition.from_inhibitory

    @property
    def residual(self) -> NDArray:
        """Residual of each sample of the last batch that settled."""
        return self.competition.residual

    def inhibitory_rates(self, Y: NDArray) -> NDArray:
        """Rates ``q = U y (batch, n_inhibitory)`` of the I cells at rates ``Y`` of the E cells."""
        return self.competition.inhibitory_rates(Y)
