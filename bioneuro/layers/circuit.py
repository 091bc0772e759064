"""Excitatory cells that compete through inhibitory cells: afferent, E -> I and I -> E synapses, all learned."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar

from numpy.typing import NDArray

from bioneuro._attributes import Part
from bioneuro.layers.association import Association
from bioneuro.layers.inhibition import InhibitoryCells
from bioneuro.synapses import Synapses


class Circuit(Association):
    """Association whose cells compete through :class:`InhibitoryCells`: this is their constructor and their attributes.

    Rates are the rest of ``y = (beta W h + V q - th)+``, ``q = U y``, with ``W, U >= 0`` and ``V <= 0``; ``W`` learns
    as in :class:`Association`.

    Parameters
    ----------
    n_cells, n_features, n_classes : int
        ``n_cells`` are the E cells.
    inhibitory_share : float, default 0.2
        I cells as a share of all, in (0, 1).
    inhibition : float, default 3
        Strength of I -> E at chance, > 0: the larger, the fewer cells are active.
    inhibitory_density : float, default 0.5
        Share of the pairs of E and I cells that are connected, both ways, in (0, 1]; drawn once, at random.
    specificity : float, default 0.5
        Exponent of the correlation, >= 0: 0 leaves inhibition as unspecific as the connections, near 1 it becomes that
        of a cell by itself.
    activity : float, default 10
        Summed rate to which homeostasis draws, in units of ``beta`` times the drive, > 0.
    **association
        Parameters of :class:`Association`; ``sharpening`` is the exponent s. There is no ``k`` and no ``teacher``.
    """

    SAVED: ClassVar = Association.SAVED | {"competition": Part(InhibitoryCells)}

    def __init__(
        self,
        n_cells: int,
        n_features: int,
        n_classes: int,
        *,
        inhibitory_share: float = 0.2,
        inhibition: float = 3.0,
        inhibitory_density: float = 0.5,
        specificity: float = 0.5,
        activity: float = 10.0,
        **association: Any,
    ) -> None:
        inhibitory = partial(
            InhibitoryCells,
            inhibitory_share=inhibitory_share,
            inhibition=inhibition,
            inhibitory_density=inhibitory_density,
            specificity=specificity,
            activity=activity,
        )
        super().__init__(n_cells, n_features, n_classes, competition=inhibitory, **association)

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
