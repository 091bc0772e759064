"""Networks with one principle switched off, for the ablation of robustness."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from scipy import sparse, stats

from ...classifier import BioClassifier
from ...layers import DeltaReadout, Retina, UnitNorm
from ...layers.interfaces import GradientSpace
from ...network import Network
from ...progress import silent
from ...schedule import Schedule
from .settings import Images


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

    def encode_grad(self, X: NDArray, dH: NDArray, *, space: GradientSpace = "image") -> NDArray:
        """Gradient of :meth:`encode` with respect to ``X`` or to its contrast response."""
        gradient = self._unit.encode_grad(self.retina.response(X), dH)
        return gradient if space == "response" else gradient * self.retina.response_slope(X)


# --- readouts that learn anew ------------------------------------------------------------------------------


def read_anew(network: BioClassifier, layers: Mapping[str, Any], train: Images, seed: int) -> BioClassifier:
    """A copy of a fitted network with other layers behind the features, from the last of which the delta readout
    learns ``train`` as in ``fit``."""
    changed = copy.copy(network)
    schedule = Schedule() if isinstance(network.schedule, str) else network.schedule
    T = (train.y[:, None] == network.classes_).astype(network.dtype)
    delta = DeltaReadout(list(layers.values())[-1], T.shape[1], seed=seed)
    changed.network_, changed.readout = Network(layers, {"delta": delta}), "delta"
    features = network.encoder_.encode(np.asarray(train.X, network.dtype))
    changed.network_.on_features.learn_readouts(
        features, T, n_epochs=schedule.of_readout(len(train.y)), eta=schedule.readout_eta,
        rng=np.random.default_rng(seed), progress=silent,
    )  # fmt: skip
    return changed


def without_competition(network: BioClassifier, train: Images) -> BioClassifier:
    """The readout learns on the rates that the association sees."""
    *below, (_, association) = network.network_.layers.items()
    return read_anew(network, dict(below), train, association.seed)


# --- other laws of the weights -----------------------------------------------------------------------------

#: ``law(weights, rng)``: the weights of one cell, in the order of its synapses, replaced.
Law = Callable[[NDArray, np.random.Generator], NDArray]


def shuffled(weights: NDArray, rng: np.random.Generator) -> NDArray:
    """The weights permuted among the synapses; their law stays."""
    return rng.permutation(weights)


def by_rank(quantile: Callable[[NDArray, float, float], NDArray]) -> Law:
    """Weights of another law with the same mean and variance; a strong synapse stays a strong one."""

    def law(weights: NDArray, rng: np.random.Generator) -> NDArray:
        n = len(weights)
        if not weights.std():
            return weights
        share = (np.argsort(np.argsort(weights, kind="stable"), kind="stable") + 0.5) / n
        replaced = quantile(share, float(weights.mean()), float(weights.std()))
        # few synapses sample the tails of a law only in part, so mean and variance are corrected
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
    replaced = sparse.csr_array(W, copy=True)
    for start, end in zip(replaced.indptr[:-1], replaced.indptr[1:], strict=True):
        if end > start:
            weights = replaced.data[start:end].astype(float)
            replaced.data[start:end] = np.maximum(law(weights, rng), SMALLEST * weights.mean())
    return replaced


def with_law(law: Law) -> Callable[[BioClassifier, Images], BioClassifier]:
    """A network whose learned weights are replaced by those of a law, with readouts that learn anew."""

    def changed(network: BioClassifier, train: Images) -> BioClassifier:
        name = list(network.network_.layers)[-1]
        layer = copy.deepcopy(network.network_.association)
        W = relawed(layer.synapses.to_scipy(), law, np.random.default_rng(layer.seed))
        layer.synapses.replace_rows(np.arange(layer.n_cells), W)
        layer.synapses.normalize_rows()
        return read_anew(network, network.network_.layers | {name: layer}, train, layer.seed)

    return changed
