"""Controls that several claims share: other plasticity rules, and pruned perceptrons."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ...baselines import BackpropMLP, layer_densities
from ...classifier import BioClassifier
from ...rules import LogCovariance, LogRelaxation, Rule, add_within_sign, on_synapses
from ...rules.log_covariance import standardised
from ...synapses import Synapses
from ..our_network import by_readout
from .settings import DENSE, Images


def score(network: BioClassifier, readout: str, images: Images) -> float:
    """Accuracy by another readout; nothing is trained again, since every fitted network holds its votes."""
    return by_readout(network, readout).score(*images)


def hidden_rates(network: BioClassifier, X: NDArray) -> NDArray:
    """Activity of the association as its readouts see it, ``(n, n_cells)``."""
    association = network.network_.association
    return association.activity(network.network_.on_features.drive(network.transform(X)))


def perceptron_rates(mlp: BackpropMLP, X: NDArray) -> NDArray:
    """Rates of the first hidden layer, ``(n, n_cells)``."""
    return np.maximum((mlp.weights()["hidden_1"] @ X.T).T + mlp.biases_[0], 0)


# --- rules -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Additive(Rule):
    """``w_ij += alpha_i [t_ij - w_ij]``, w >= 0, with ``t`` proportional to ``1 + gain z_ij``, its row of unit norm.

    What :class:`bioneuro.rules.LogCovariance` does in log w, whose target is ``exp(gain z_ij)``, here in w; to first
    order in z both go to the same weights.
    """

    gain: float = 1.0

    observes: ClassVar[bool] = True
    saturating: ClassVar[bool] = True

    def change(self, synapses: Synapses, X: NDArray, Y: NDArray, gain: NDArray | None, reward: float | None) -> None:
        active = Y if gain is None else Y * gain
        c = active.mean(axis=0, dtype=float)
        z = self.hebb(synapses, standardised(synapses, X), active) / on_synapses(synapses, np.maximum(c, 1e-9))
        target = 1 + self.gain * z
        norm = _row_norms(synapses, np.maximum(target, 0))
        alpha = on_synapses(synapses, -np.expm1(-self.eta * c))
        add_within_sign(synapses, alpha * (target / on_synapses(synapses, norm) - synapses.weights))


@dataclass(frozen=True, kw_only=True)
class RecruitOnly(LogRelaxation):
    """Cells store the sample that they take over, as it is, and learn nothing after."""

    recruits_only: ClassVar[bool] = True


#: Parameters of a network that only stores samples: all of their synapses, nothing learned by cells or taught to them.
STORED: dict[str, Any] = {"rule": RecruitOnly(), "supervision__eta": 0.0, **DENSE}


@dataclass(frozen=True, kw_only=True)
class AdditiveNoise(Rule):
    """The ``rule`` with noise that ignores the size of a synapse, of the same mean square as proportional noise.

    Where a step of the latter adds ``s_i xi`` to log w, ``s_i = sigma sqrt(alpha_i (2 - alpha_i))``, this adds ``s_i
    rms_i
    xi`` to w, ``rms_i`` over the cell's synapses. Weights are reflected at 0, since they are excitatory.
    """

    rule: Rule = LogCovariance()
    sigma: float = 0.4
    seed: int = 0

    observes: ClassVar[bool] = True
    saturating: ClassVar[bool] = True

    def change(self, synapses: Synapses, X: NDArray, Y: NDArray, gain: NDArray | None, reward: float | None) -> None:
        self.rule.change(synapses, X, Y, gain, reward)
        c = (Y if gain is None else Y * gain).mean(axis=0, dtype=float)
        w = synapses.weights.astype(float)
        rms = _row_norms(synapses, w) / np.sqrt(np.maximum(np.diff(synapses.indptr), 1))
        size = self.sigma * np.sqrt(-np.expm1(-2 * self.eta * c)) * rms  # alpha = 1 - exp(-eta c)
        xi = np.random.default_rng([self.seed, synapses.traces.get("steps", 0)]).normal(size=w.size)
        noisy = np.maximum(np.abs(w + on_synapses(synapses, size) * xi), np.finfo(synapses.dtype).tiny)
        synapses.add((noisy - w).astype(synapses.dtype))


def _row_norms(synapses: Synapses, values: NDArray) -> NDArray:
    """Norm of the ``values`` of each cell's synapses, tiny where it has none."""
    squares = np.bincount(on_synapses(synapses, np.arange(synapses.n_post)), values.astype(float) ** 2, synapses.n_post)
    return np.sqrt(np.maximum(squares, np.finfo(np.float32).tiny))


# --- multilayer perceptron ---------------------------------------------------------------------------------


def magnitude_pruned(mlp: BackpropMLP, density: float | Sequence[float], images: Images, n_epochs: int) -> BackpropMLP:
    """A copy of a trained perceptron that keeps only the largest weights of every layer, then fine-tuned.

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
            pruned.pathways_[k] = Synapses.from_scipy(W)
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
