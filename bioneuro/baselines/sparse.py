"""Multilayer perceptron with few synapses, trained by backpropagation: fixed mask, SET and RigL."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array

from ..analysis import site_index
from ..checks import POSITIVE_SHARE, SHARE, Choice, Integer, check
from ..connectivity import HalfNormal, MixedSign
from ..synapses import Synapses
from .mlp import BackpropMLP

__all__ = ["SparseMLP", "layer_densities"]

Allocation = Literal["erdos-renyi", "uniform"]
ALLOCATIONS = ("erdos-renyi", "uniform")

#: RigL rewires in this first part of training, most often every so many updates, and at least so many times.
RIGL_SHARE, RIGL_UPDATES, RIGL_ROUNDS = 0.75, 100, 10


def layer_densities(sizes: Sequence[int], density: float, allocation: Allocation = "erdos-renyi") -> NDArray:
    """Density of each layer of a network whose synapses are, altogether, the share ``density`` of the possible ones.

    Parameters
    ----------
    sizes : sequence of int >= 1
        Cells from the input to the output, at least two.
    density : float in (0, 1]
    allocation : {"erdos-renyi", "uniform"}
        ``"erdos-renyi"``: in proportion to ``(n_pre + n_post) / (n_pre n_post)``, so that small layers stay denser
        (Mocanu et al. 2018); a layer for which that is more than 1 is dense, and the others take the rest (Evci et al.
        2020). ``"uniform"``: the same for all.

    Returns
    -------
    ndarray of shape (len(sizes) - 1,)

    Raises
    ------
    ValueError
        ``density`` out of range, or an unknown allocation.
    """
    check("density", density, POSITIVE_SHARE)
    check("allocation", allocation, Choice(ALLOCATIONS))
    possible = np.array([n_pre * n_post for n_pre, n_post in pairwise(sizes)], float)
    if allocation == "uniform":
        return np.full(len(possible), float(density))
    cells = np.array([n_pre + n_post for n_pre, n_post in pairwise(sizes)], float)
    full = np.zeros(len(possible), bool)
    while not full.all():
        left = density * possible.sum() - possible[full].sum()
        densities = np.where(full, 1.0, left / cells[~full].sum() * cells / possible)
        if not (densities > 1).any():
            return densities
        full |= densities > 1
    return np.ones(len(possible))


@dataclass(kw_only=True, eq=False, repr=False)
class SparseMLP(BackpropMLP):
    """:class:`BackpropMLP` with a share of the synapses, always the same number, at places that are drawn or sought.

    Each layer starts with ``round(density_l n_pre n_post)`` synapses at random places. Every rewiring drops the share
    ``d`` of a layer's synapses, those of smallest ``|w|``, and grows as many at the silent places of highest score;
    the places just dropped are among them, and one that is chosen again stays as it was. New synapses start at 0, with
    empty moments of Adam; the others keep theirs (the count of steps in Adam's bias correction is the layer's).

    - ``"none"``: a fixed mask.
    - ``"set"``: ``d = drop`` after each pass but the last; random scores. (Mocanu et al. drop that share of the
      positive and of the negative weights apart and draw the new weights; this is the variant of Evci et al.)
    - ``"rigl"``: in place of the update, every ``rewire_every`` updates until 75 % of training,
      ``d = drop / 2 (1 + cos(pi t / t_end))`` at update t; the score is ``|dL/dw|`` of that batch, computed at all
      places by a dense product.

    Both depend on how long training is. ``partial_fit`` does what a ``fit`` to the data of its first call would do, one
    pass a call; beyond the passes of that ``fit`` the synapses stay where they are.

    Parameters
    ----------
    hidden, learning_rate, n_epochs, batch_size, weight_decay, contrast
        As for :class:`BackpropMLP`; weights start at N(0, 2 / expected fan-in).
    density : float in (0, 1]
        Share of all possible synapses of the network.
    allocation : {"erdos-renyi", "uniform"}
        Of the synapses to the layers, see :func:`layer_densities`.
    rewiring : {"none", "set", "rigl"}
    drop : float in [0, 1]
        Share of the synapses dropped in a rewiring: zeta of SET, alpha of RigL.
    rewire_every : "auto" or int >= 1
        Updates between two rewirings. ``"auto"``: a pass for SET; for RigL 100, fewer in training so short that this
        would make less than 10 rewirings.
    random_state : int, RandomState, Generator or None
        Of the places, the first weights, SET's growth and the order of the samples.
    dtype, n_threads, progress
        As for :class:`BackpropMLP`.

    References
    ----------
    Mocanu et al. 2018, Nat. Commun. 9:2383 (SET); Evci et al. 2020, arXiv:1911.11134 (RigL); first weights: Evci et
    al. 2022, arXiv:2010.03533.
    """

    density: float = 0.1
    allocation: Allocation = "erdos-renyi"
    rewiring: Literal["none", "set", "rigl"] = "none"
    drop: float = 0.3
    rewire_every: int | Literal["auto"] = "auto"
    adversarial: None = field(default=None, init=False)

    constraints = {
        "density": (POSITIVE_SHARE,),
        "allocation": (Choice(ALLOCATIONS),),
        "rewiring": (Choice(("none", "set", "rigl")),),
        "drop": (SHARE,),
        "rewire_every": (Integer(), "auto"),
    }

    # --- places at the start ------------------------------------------------------------------------------

    def _pathways(self, sizes: tuple[int, ...]) -> list[Synapses]:
        self._n_updates = 0
        densities = layer_densities(sizes, self.density, self.allocation)
        return [self._sparse(*layer, share) for layer, share in zip(pairwise(sizes), densities, strict=True)]

    def _sparse(self, n_pre: int, n_post: int, density: float) -> Synapses:
        n = max(1, round(density * n_pre * n_post))
        sites = np.sort(self._rng.choice(n_pre * n_post, n, replace=False, shuffle=False))
        init = MixedSign(HalfNormal(math.sqrt(2 * n_post / n)))
        return _pathway_at(sites, init(self._rng, n).astype(self.dtype), (n_post, n_pre))

    # --- when, and how much -------------------------------------------------------------------------------

    def _learn(self, X: NDArray, true: NDArray, n_epochs: int) -> None:
        if not self._n_updates:
            per_pass = max(1, -(-len(X) // self.batch_size))
            self._plan = per_pass, per_pass * self._passes(len(X))
        super()._learn(X, true, n_epochs)

    def _share(self) -> float:
        """Share of the synapses to drop at this update."""
        every, end = self._plan
        if self.rewiring == "rigl":
            end = int(RIGL_SHARE * end)
            every = max(1, min(RIGL_UPDATES, end // RIGL_ROUNDS))
        if self.rewire_every != "auto":
            every = self.rewire_every
        if self.rewiring == "none" or self._n_updates % every or self._n_updates >= end:
            return 0.0
        return self.drop if self.rewiring == "set" else self.drop / 2 * (1 + math.cos(math.pi * self._n_updates / end))

    def _step(self, rates: list[NDArray], dlogits: NDArray) -> None:
        self._n_updates += 1
        share = self._share()
        if share and self.rewiring == "rigl":
            scores = [np.abs(gradient) for gradient in self._dense_gradients(rates, dlogits)]
            self._rewire(share, scores)
            return
        super()._step(rates, dlogits)
        if share:
            self._rewire(share, (self._rng.random(W.shape) for W in self.pathways_))

    # --- rewiring -----------------------------------------------------------------------------------------

    def _dense_gradients(self, rates: list[NDArray], dlogits: NDArray) -> list[NDArray]:
        """Gradient of the loss at every place of each layer, stored or silent, (n_post, n_pre), by BLAS."""
        delta, gradients = dlogits, [dlogits.T @ rates[len(self.pathways_) - 1]]
        for k in range(len(self.pathways_) - 1, 0, -1):
            delta = self.pathways_[k].input_grad(delta, n_threads=self.n_threads) * (rates[k] > 0)
            gradients.insert(0, delta.T @ rates[k - 1])
        return gradients

    def _rewire(self, share: float, scores: Iterable[NDArray]) -> None:
        """Exchange ``share`` of each layer's synapses for the silent places of highest score (n_post, n_pre)."""
        for k, score in enumerate(scores):
            W = self.pathways_[k]
            old = site_index(W.to_scipy())
            new = exchange(old, W.weights, score.ravel(), round(share * W.nnz))
            place = np.minimum(np.searchsorted(old, new), len(old) - 1)
            stays = old[place] == new
            self.pathways_[k] = _pathway_at(new, np.where(stays, W.weights[place], W.dtype.type(0)), W.shape)
            self._adam[k][0].move(place, stays)


def exchange(sites: NDArray, weights: NDArray, score: NDArray, n: int) -> NDArray[np.intp]:
    """Places of the synapses after ``n`` were dropped and ``n`` grown, sorted.

    Parameters
    ----------
    sites : ndarray of int, shape (nnz,)
        Place of each synapse, ``row n_pre + column``, sorted.
    weights : ndarray of shape (nnz,)
        The ``n`` smallest by magnitude are dropped.
    score : ndarray of shape (n_post n_pre,)
        Of every place; used up. The ``n`` places of highest score that hold no surviving synapse grow one.
    n : int in [0, nnz]
    """
    if n == 0:
        return sites
    survivors = sites[np.argpartition(np.abs(weights), n - 1)[n:]]
    score[survivors] = -np.inf
    grown = np.argpartition(score, -n)[-n:]
    return np.sort(np.concatenate([survivors, grown]))


def _pathway_at(sites: NDArray[np.intp], weights: NDArray, shape: tuple[int, int]) -> Synapses:
    return Synapses.from_scipy(coo_array((weights, np.divmod(sites, shape[1])), shape=shape).tocsr())
