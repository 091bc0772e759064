"""Networks with one principle switched off: what the ablation of robustness needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy import sparse, stats

from ..classifier import BioClassifier
from ..layers import Association, Retina, UnitNorm
from ..layers.competitive import Step
from ..layers.protocols import Space
from ..synapses import Synapses

__all__ = ["LognormalWeights", "NormalWeights", "PixelRates", "ShuffledWithinCells", "WithoutCompetition", "relawed"]


class PixelRates:
    """The encoder without a map: contrast response of each pixel, divided by their norm."""

    def __init__(self, n_inputs: int, retina: Retina, dtype: DTypeLike = np.float32) -> None:
        self.retina, self._unit = retina, UnitNorm(n_inputs, dtype)

    @property
    def n_features(self) -> int:
        return self._unit.n_features

    def encode(self, X: NDArray) -> NDArray:
        """Features ``h (n, n_inputs)`` of images ``X (n, n_inputs)``."""
        return self._unit.encode(self.retina.response(X))

    def encode_grad(self, X: NDArray, dH: NDArray, *, space: Space = "image") -> NDArray:
        """Gradient of :meth:`encode` with respect to ``X`` or to its contrast response."""
        gradient = self._unit.encode_grad(self.retina.response(X), dH)
        return gradient if space == "response" else gradient * self.retina.response_slope(X)


# --- no competition ----------------------------------------------------------------------------------------


class NoAssociation(Association):
    """Stands in the place of the association and passes the features on as they are; it learns nothing."""

    def __init__(self, n_cells: int, n_features: int, n_classes: int, **parameters: Any) -> None:
        super().__init__(n_features, n_features, n_classes, density=1 / n_features, **parameters)

    def learn(self, H: NDArray, T: NDArray) -> Step:  # type: ignore[override]
        self.step += 1
        return Step(np.zeros((len(H), 0), H.dtype), np.zeros(0, H.dtype))

    def rewire(self, U: NDArray | None, Y: NDArray | None, n_grow: int = 0, n_candidates: int = 0) -> tuple[int, int]:
        return 0, 0

    def drive(self, U: NDArray) -> NDArray:
        return U

    def drive_grad(self, drive: NDArray, da: NDArray) -> NDArray:
        return da

    def activity(self, drive: NDArray) -> NDArray:
        return drive

    def activity_grad(self, drive: NDArray, dQ: NDArray) -> NDArray:
        return dQ


class WithoutCompetition(BioClassifier):
    """The delta readout learns on the features of the map; its votes say nothing."""

    association_type = NoAssociation

    def surrogates(self) -> dict[str, BioClassifier]:
        """None: they would soften the competition that is not there."""
        return {}


# --- other laws of the weights -----------------------------------------------------------------------------

#: ``law(weights, rng)``: the weights of one cell, in the order of its synapses, replaced.
Law = Callable[[NDArray, np.random.Generator], NDArray]


def shuffled(weights: NDArray, rng: np.random.Generator) -> NDArray:
    """Which synapse has which weight is lost; their law stays."""
    return rng.permutation(weights)


def by_rank(quantile: Callable[[NDArray, float, float], NDArray]) -> Law:
    """Weights of another law with the same mean and variance; a strong synapse stays a strong one."""

    def law(weights: NDArray, rng: np.random.Generator) -> NDArray:
        n = len(weights)
        if not weights.std():
            return weights
        share = (np.argsort(np.argsort(weights, kind="stable"), kind="stable") + 0.5) / n
        replaced = quantile(share, float(weights.mean()), float(weights.std()))
        # few synapses sample the tails of a law only in part: what they have is brought to mean and variance
        return weights.mean() + (replaced - replaced.mean()) * (weights.std() / replaced.std())

    return law


def normal_quantile(share: NDArray, mean: float, sd: float) -> NDArray:
    return stats.norm.ppf(share, mean, sd)


def lognormal_quantile(share: NDArray, mean: float, sd: float) -> NDArray:
    variance = np.log1p((sd / mean) ** 2)
    return stats.lognorm.ppf(share, np.sqrt(variance), scale=mean / np.exp(variance / 2))


#: Smallest weight that a law may give, relative to the cell's mean: synapses of the association are excitatory.
SMALLEST = 1e-3


def relawed(W: ArrayLike, law: Law, rng: np.random.Generator) -> sparse.csr_array:
    """The weights of each cell replaced by those of a law, on the same synapses."""
    W = sparse.csr_array(W, copy=True)
    for start, end in zip(W.indptr[:-1], W.indptr[1:], strict=True):
        if end > start:
            weights = W.data[start:end].astype(float)
            W.data[start:end] = np.maximum(law(weights, rng), SMALLEST * weights.mean())
    return W


class RelawedAssociation(Association):
    """When learning ends each cell's weights get another :attr:`law`; the readouts learn on what is left."""

    law: Law

    def rewire(self, U: NDArray | None, Y: NDArray | None, n_grow: int = 0, n_candidates: int = 0) -> tuple[int, int]:
        changed = super().rewire(U, Y, n_grow, n_candidates)
        if U is None:
            rng = np.random.default_rng([self.seed, self.step])
            W = relawed(self.synapses.to_scipy(), type(self).law, rng)
            self.synapses = Synapses.from_scipy(W, sign="E", copy=True)
            self.synapses.normalize_rows()
        return changed


class ShuffledAssociation(RelawedAssociation):
    law = staticmethod(shuffled)


class NormalAssociation(RelawedAssociation):
    law = staticmethod(by_rank(normal_quantile))


class LognormalAssociation(RelawedAssociation):
    law = staticmethod(by_rank(lognormal_quantile))


class ShuffledWithinCells(BioClassifier):
    """Weights are shuffled within each association cell."""

    association_type = ShuffledAssociation


class NormalWeights(BioClassifier):
    """Weights of each association cell follow a normal law of their mean and variance, in their order of size."""

    association_type = NormalAssociation


class LognormalWeights(BioClassifier):
    """As :class:`NormalWeights`, with a lognormal law."""

    association_type = LognormalAssociation
