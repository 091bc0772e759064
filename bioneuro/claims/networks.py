"""Variants that the claims need: associations watched or with other noise, perceptrons pruned or started otherwise."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, cast

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ..analysis import row_index, site_index
from ..baselines import BackpropMLP, layer_densities
from ..classifier import BioClassifier
from ..connectivity import Init, MixedSign, dense
from ..layers import Association, FeatureMap
from ..layers.competitive import Step
from ..layers.readout import WIRED
from ..synapses import Synapses
from .base import Images


def score(network: BioClassifier, readout: str, images: Images) -> float:
    """Accuracy by another readout; votes are always there, so nothing is trained again."""
    return copy.copy(network).set_params(readout=readout).score(*images)


# --- association -------------------------------------------------------------------------------------------


class WatchedAssociation(Association):
    """Remembers the start and each round of structural plasticity: step, density after it, synapses pruned and born,
    and the median weight of the newborn relative to their cell's strongest (NaN where none was born)."""

    def __init__(self, *arguments: Any, **parameters: Any) -> None:
        super().__init__(*arguments, **parameters)
        self.rounds: list[tuple[int, float, int, int, float]] = [(0, self.synapses.density, 0, 0, float("nan"))]

    def rewire(self, U: NDArray | None, Y: NDArray | None, n_grow: int = 0, n_candidates: int = 0) -> tuple[int, int]:
        before = self.synapses.to_scipy()
        pruned, born = super().rewire(U, Y, n_grow, n_candidates)
        after = self.synapses.to_scipy()
        weight = float("nan")
        if born:
            fresh = ~np.isin(site_index(after), site_index(before), assume_unique=True)
            strongest = after.max(axis=1).toarray().ravel()
            weight = float(np.median((after.data / strongest[row_index(after)])[fresh])) if fresh.any() else weight
        self.rounds.append((self.step, self.synapses.density, pruned, born, weight))
        return pruned, born


class WatchedClassifier(BioClassifier):
    """Whose association is watched, and the pathways of the readouts before they learn and after each pass:
    ``passes_`` holds (share of that learning done, pathway, its density). It learns exactly as ever."""

    association_type = WatchedAssociation

    def _start(self, *arguments: Any) -> None:
        super()._start(*arguments)
        self.passes_: list[tuple[float, str, LayerDensity]] = []

    def _bar(self, iterable: Iterable[int], desc: str) -> Iterable[int]:
        passes = super()._bar(iterable, desc)
        return self._watched(passes, len(list(iterable))) if desc == "readout" else passes

    def _watched(self, passes: Iterable[int], n: int) -> Iterator[int]:
        self._note(0.0)
        for k, item in enumerate(passes, 1):
            yield item
            self._note(k / n)

    def _note(self, done: float) -> None:
        for readout in self.network_.readouts.values():
            for name, synapses in readout.pathways().items():
                if name == WIRED:
                    continue
                self.passes_.append((done, name, layer_density(synapses.to_scipy(), self.theta)))


class BriefMapClassifier(BioClassifier):
    """Whose map learns for ``map_passes`` passes at most, and no pass otherwise than ever; ``n_map_passes_`` is how
    many it would learn for (0 where there is no map)."""

    map_passes = 0
    n_map_passes_ = 0

    def _bar(self, iterable: Iterable[int], desc: str) -> Iterable[int]:
        passes = super()._bar(iterable, desc)
        if desc != "feature map":
            return passes
        self.n_map_passes_ = len(list(iterable))
        return itertools.islice(passes, self.map_passes)

    def over_map_passes(self, X: NDArray) -> Iterator[tuple[float, str, LayerDensity]]:
        """(share of its learning done, "map", its density) before the map learns from ``X`` and after each pass."""
        self.map_passes = 0
        n = self.fit_features(X).n_map_passes_
        for k in range(n + 1) if n else ():
            self.map_passes = k
            W = cast(FeatureMap, self.fit_features(X).encoder_).columns.synapses.to_scipy()
            yield k / n, "map", layer_density(W, self.theta)


class LayerDensity(NamedTuple):
    """``stored``: share of the possible synapses that are stored; ``above``: that are stored and not below a share of
    their cell's strongest, where pruning would take them."""

    stored: float
    above: float


def layer_density(W: sp.csr_array, theta: float) -> LayerDensity:
    """Of one pathway, at the threshold ``theta`` (share of each cell's strongest)."""
    sizes = np.abs(W)
    above = sizes.data >= theta * sizes.max(axis=1).toarray().ravel()[row_index(sizes)]
    n = math.prod(W.shape)
    return LayerDensity(W.nnz / n, int(above.sum()) / n)


class AdditiveNoiseAssociation(Association):
    """Noise that does not know the size of the synapse, of the same mean square as the size-proportional one.

    Where a step of spine noise adds ``s_i xi`` to log w, ``s_i = sigma sqrt(alpha_i (2 - alpha_i))``, this adds
    ``s_i rms_i xi`` to w, ``rms_i`` over the cell's synapses. Weights are reflected at 0, since they are excitatory.
    """

    def __init__(self, *arguments: Any, sigma: float = 0.0, **parameters: Any) -> None:
        super().__init__(*arguments, sigma=0.0, **parameters)
        self.additive_sigma = float(sigma)

    def learn(self, H: NDArray, T: NDArray) -> Step:  # type: ignore[override]
        step = super().learn(H, T)
        W = self.synapses.to_scipy()
        rows = row_index(W)
        rms = np.sqrt(np.bincount(rows, W.data.astype(float) ** 2, W.shape[0]) / np.maximum(np.diff(W.indptr), 1))
        size = (self.additive_sigma * np.sqrt(step.alpha * (2 - step.alpha)) * rms)[rows]
        # keyed by seed and step, as the spine noise is
        noise = np.random.default_rng([self.seed, self.step]).normal(size=W.nnz) * size
        noisy = np.maximum(np.abs(W.data + noise), np.finfo(W.dtype).tiny)
        self.synapses.add((noisy - W.data).astype(W.dtype))
        self.synapses.normalize_rows()
        return step


class AdditiveHebbAssociation(Association):
    """Relaxes towards the same target as ever, but in w where the rule does in log w.

    ``w_ij += alpha_i [(T_ij + floor)^exponent - w_ij]`` with the target brought to unit norm, as the weights are.
    """

    def _change(self, U: NDArray, y: NDArray, eta: NDArray) -> None:
        rows = row_index(self.synapses.to_scipy())
        c = y.sum(axis=0, dtype=float)
        alpha = -np.expm1(-eta * c)[rows]
        mean_input = self.synapses.weight_grad(U, y, n_threads=self.n_threads) / np.maximum(c, 1e-6)[rows]
        target = (mean_input + self.floor) ** self.exponent
        target /= np.sqrt(np.bincount(rows, target**2, self.n_cells))[rows]
        self.synapses.add((alpha * (target - self.synapses.weights)).astype(self.synapses.dtype))
        self.synapses.normalize_rows()


class AdditiveHebbClassifier(BioClassifier):
    """Learns by the additive form of the network's own rule."""

    association_type = AdditiveHebbAssociation


class AdditiveNoiseClassifier(BioClassifier):
    """``sigma`` is that of :class:`AdditiveNoiseAssociation`."""

    association_type = AdditiveNoiseAssociation


# --- multilayer perceptron ---------------------------------------------------------------------------------


class StartedMLP(BackpropMLP):
    """Weights start with sizes of the law ``init``, random signs, and He's root mean square ``sqrt(2 / fan-in)``."""

    init: Init = "half_normal"

    def _pathway(self, n_pre: int, n_post: int) -> Synapses:
        synapses = dense(n_post, n_pre, MixedSign(self.init), random_state=self._rng, dtype=self.dtype)
        scale = math.sqrt(2 / n_pre) / float(np.sqrt(np.mean(synapses.weights.astype(float) ** 2)))
        synapses.add(((scale - 1) * synapses.weights).astype(self.dtype))
        return synapses


def magnitude_pruned(mlp: BackpropMLP, density: float | Sequence[float], images: Images, n_epochs: int) -> BackpropMLP:
    """A copy of a trained perceptron that keeps the largest weights of every layer and is fine-tuned.

    Parameters
    ----------
    mlp : fitted BackpropMLP
        Stays as it is.
    density : float in (0, 1] or one a layer
        Share of the weights that stay, in each layer the largest by magnitude (Han et al. 2015, arXiv:1506.02626). One
        share for the network goes to the layers as in :func:`bioneuro.baselines.layer_densities`, where the sparse
        rivals have theirs, too.
    images : Images
        To fine-tune on.
    n_epochs : int >= 0
    """
    pruned = copy.deepcopy(mlp)
    cells = [mlp.n_features_in_, *(pathway.n_post for pathway in mlp.pathways_)]
    shares = layer_densities(cells, density) if isinstance(density, float) else density
    for k, (pathway, share) in enumerate(zip(mlp.pathways_, shares, strict=True)):
        sizes = np.abs(pathway.weights)
        n_kept = max(1, round(share * pathway.n_post * pathway.n_pre))
        if n_kept < sizes.size:
            W = pathway.to_scipy().copy()
            W.data[sizes < np.partition(sizes, -n_kept)[-n_kept]] = 0
            W.eliminate_zeros()
            pruned.pathways_[k] = Synapses.from_scipy(W, copy=True)
    pruned.reset_optimizer()
    for _ in range(n_epochs):
        pruned.partial_fit(*images)
    return pruned


def class_balanced(images: Images, seed: int) -> Images:
    """Images of each class repeated until all classes have as many as the largest: reweighting by inverse frequency."""
    rng = np.random.default_rng(seed)
    classes, counts = np.unique(images.y, return_counts=True)
    rows = np.concatenate([np.resize(rng.permutation(np.flatnonzero(images.y == c)), counts.max()) for c in classes])
    return Images(images.X[rows], images.y[rows])
