"""Nearest neighbour, with the gradients that attacks ask for."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array
from scipy.special import logsumexp, softmax
from sklearn.cluster import KMeans
from sklearn.utils.validation import check_is_fitted

from ..checks import Integer, Number
from ..connectivity import generator
from ..estimators import all_or_nothing
from ..network import slices
from ..protocols import Pullback
from .base import GradientClassifier
from .pathways import membership

__all__ = ["NearestNeighbour"]

#: Distances in memory at a time.
CHUNK = 1 << 23


@dataclass(kw_only=True, eq=False, repr=False)
class NearestNeighbour(GradientClassifier):
    """Squared distance to the nearest sample of each class: ``z_c = -min_{j in c} |r(x) - r(x_j)|^2``.

    The class of the nearest sample has the largest logit, so ``predict`` is the 1-nearest-neighbour rule. Between two
    changes of the nearest sample the logits are quadratic in ``r(x)``: their gradient is ``-2 (r(x) - r(x_j))``.

    Parameters
    ----------
    softness : float >= 0
        Above 0 the minimum is a soft one, ``z_c = T log sum_{j in c} exp(-|r(x) - r(x_j)|^2 / T)`` with T this value
        (in units of squared distance): up to a scale the log of a density with Gaussian kernels of variance T / 2. All
        samples near by count, and gradients change smoothly.
    n_prototypes : None or int >= 1
        With it the samples of each class are replaced by at most so many centres of k-means.
    random_state : int, RandomState, Generator or None
        Of the first centres of k-means.
    contrast, dtype
        See :class:`~bioneuro.baselines.base.GradientClassifier`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    n_features_in_ : int
    prototypes_ : ndarray of shape (n_kept, n_features)
        Responses to the samples, or centres of them, class by class.
    ends_ : ndarray of int, shape (n_classes,)
        Class c has the rows of ``prototypes_`` before ``ends_[c]``, from ``ends_[c - 1]`` (or 0) on.
    """

    softness: float = 0.0
    n_prototypes: int | None = None

    constraints = {"softness": (Number(0),), "n_prototypes": (Integer(), None)}

    def fit(self, X: ArrayLike, y: ArrayLike) -> NearestNeighbour:
        """Store ``X`` (n, n_features) with labels ``y`` (n,), or cluster centres of it."""
        with all_or_nothing(self):
            X, y = self._validate_labelled(X, y, reset=True)
            self._start(np.unique(y))
            R, rng = self._front().response(X), generator(self.random_state)
            kept = [self._centres(R[y == c], rng) for c in self.classes_]
            self.prototypes_ = np.concatenate(kept)
            self.ends_ = np.cumsum([len(rows) for rows in kept])
            # products lose the digits of a distance far from 0: they are of what is centred
            self._centre = self.prototypes_.mean(axis=0, dtype=np.float64).astype(self.dtype)
            self._centred = self.prototypes_ - self._centre
            self._squares = np.einsum("ij,ij->i", self._centred, self._centred)
        return self

    def _centres(self, R: NDArray, rng: np.random.Generator) -> NDArray:
        if self.n_prototypes is None or len(R) <= self.n_prototypes:
            return R
        means = KMeans(self.n_prototypes, n_init=1, random_state=int(rng.integers(2**31)))
        return means.fit(R).cluster_centers_.astype(self.dtype)

    # --- distances ----------------------------------------------------------------------------------------

    def _network(self, R: NDArray) -> NDArray:
        return self._vjp(R)[0]

    def _vjp(self, R: NDArray) -> tuple[NDArray, Pullback]:
        chunks = slices(len(R), max(1, CHUNK // len(self.prototypes_)))
        logits, steps = zip(*(self._nearest(R[rows]) for rows in chunks), strict=True)
        steps = np.concatenate(steps)

        def pullback(dlogits: NDArray) -> NDArray:
            # sum_c D_c dz_c / dR, where dz_c / dR = 2 (mean_c - R)
            return 2 * np.einsum("nc,ncf->nf", np.asarray(dlogits, R.dtype), steps)

        return np.concatenate(logits), pullback

    def _nearest(self, R: NDArray) -> tuple[NDArray, NDArray]:
        """Logits (n, n_classes), and (n, n_classes, n_features) nearest prototypes or, if soft, mean ones, minus R."""
        centred = R - self._centre
        squares = self._squares - 2 * centred @ self._centred.T  # of the distances, up to |centred|^2
        steps = np.empty((len(R), len(self.classes_), R.shape[1]), R.dtype)
        soft = np.empty(steps.shape[:2], R.dtype)
        for c, (start, end) in enumerate(pairwise([0, *self.ends_])):
            of_class = squares[:, start:end]
            if self.softness:
                nearness = -of_class / self.softness
                steps[:, c] = softmax(nearness, axis=1) @ self._centred[start:end] - centred
                soft[:, c] = self.softness * logsumexp(nearness, axis=1)
            else:
                steps[:, c] = self.prototypes_[start + of_class.argmin(axis=1)] - R
        if self.softness:
            return soft - np.einsum("nf,nf->n", centred, centred)[:, None], steps
        # from the differences: the product above has lost the digits of a small distance
        return -np.square(steps).sum(axis=2), steps

    # --- for reports --------------------------------------------------------------------------------------

    def weights(self) -> dict[str, csr_array]:
        """What is stored, as weights (rows: post-synaptic cells): ``"samples"`` and ``"output"``.

        A stored sample is a cell whose weights are the response to it (or a centre of several); it makes a synapse of 1
        onto its class.
        """
        check_is_fitted(self, "prototypes_")
        classes = np.searchsorted(self.ends_, np.arange(len(self.prototypes_)), side="right")
        return {
            "samples": csr_array(self.prototypes_),
            "output": csr_array(membership(classes, len(self.classes_))),
        }
