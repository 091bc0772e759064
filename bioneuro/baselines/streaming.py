"""What learns from a stream without backpropagation: class means, LDA, least squares, stored examples."""

from __future__ import annotations

from abc import abstractmethod
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array
from scipy.spatial.distance import cdist
from sklearn.utils.validation import check_is_fitted, validate_data

from ..checks import POSITIVE_SHARE, check, check_count, check_number, on_host
from ..estimators import (
    LogitClassifier,
    all_or_nothing,
    check_classes,
    class_index,
    known_classes,
    learned,
    validated_with_labels,
)
from ..layers.numeric_limits import check_magnitude
from ..seeds import generator_from
from .pathways import feed_forward, membership

__all__ = ["ExemplarNeighbours", "NearestClassMean", "StreamingLDA", "StreamingLeastSquares"]


#: Standard deviation, relative to the mean, that inputs may seem to have by rounding alone.
ROUNDING = 16 * np.finfo(float).eps


class StreamingClassifier(LogitClassifier):
    """``fit`` is ``partial_fit`` from nothing.

    A subclass writes :meth:`_start`, :meth:`_show`, :meth:`_scores` and :meth:`_pathways`.
    """

    @abstractmethod
    def _start(self, n_classes: int, n_features: int) -> None:
        """Parameters are checked, and nothing is known yet."""

    @abstractmethod
    def _show(self, X: NDArray, true: NDArray) -> None:
        """Learn from samples (n, n_features) and class numbers (n,)."""

    @abstractmethod
    def _scores(self, X: NDArray) -> NDArray:
        """Logits (n, n_classes)."""

    @abstractmethod
    def _pathways(self) -> dict[str, NDArray]:
        """Weights (n_post, n_pre) by the cells they lead to, from the inputs on."""

    def fit(self, X: ArrayLike, y: ArrayLike) -> Self:
        """Learn from ``X (n, n_features)`` and labels ``y (n,)``, from scratch."""
        with all_or_nothing(self):
            rows, labels = validated_with_labels(self, X, y, np.float64)
            check_magnitude(rows, "X")
            self._begin(np.unique(labels))
            self._show(rows, class_index(labels, self.classes_))
        return self

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None) -> Self:
        """Go on learning from one batch, shown once; ``classes`` (all of them) is needed at the first call.

        A call that fails or is interrupted leaves model and random state as they were; so does :meth:`fit`.
        """
        with all_or_nothing(self, *learned(self)):
            first = not hasattr(self, "classes_")
            rows, labels = validated_with_labels(self, X, y, np.float64, reset=first)
            check_magnitude(rows, "X")
            known = known_classes(self, classes, first)
            true = class_index(labels, known)
            if first:
                self._begin(known)
            self._show(rows, true)
        return self

    def weights(self) -> dict[str, csr_array]:
        """What the logits are computed with, as weights (rows: post-synaptic cells), by name.

        ``"output"``, (n_classes, n_features), of a linear model; of one that stores samples ``"samples"``, a cell each
        whose weights are the sample, and ``"output"``, a synapse of 1 onto its class.
        """
        check_is_fitted(self, "classes_")
        return {name: csr_array(W) for name, W in self._pathways().items()}

    def outgoing(self) -> dict[str, dict[str, csr_array]]:
        """What each population makes: ``{"inputs": {"output": W}}``, with samples as those of :meth:`weights`."""
        return feed_forward(self.weights())

    def _begin(self, classes: NDArray) -> None:
        check_classes(classes)
        self._start(len(classes), self.n_features_in_)
        self.classes_ = classes

    def _logits(self, X: ArrayLike) -> NDArray:
        check_is_fitted(self, "classes_")
        return self._scores(validate_data(self, on_host(X), reset=False, dtype=np.float64))


class NearestClassMean(StreamingClassifier):
    """The class whose mean is nearest: ``z_c = -|x - m_c|^2``; unseen classes are no answers.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
    means_ : ndarray (n_classes, n_features)
    counts_ : ndarray (n_classes,)
    """

    def _start(self, n_classes: int, n_features: int) -> None:
        self.means_, self.counts_ = np.zeros((n_classes, n_features)), np.zeros(n_classes)

    def _show(self, X: NDArray, true: NDArray) -> None:
        for c in np.unique(true):
            mine = X[true == c]
            self.counts_[c] += len(mine)
            self.means_[c] += (mine - self.means_[c]).sum(axis=0) / self.counts_[c]

    def _scores(self, X: NDArray) -> NDArray:
        return _of_seen(-cdist(X, self.means_, "sqeuclidean"), self.counts_)  # products lose digits far from 0

    def _pathways(self) -> dict[str, NDArray]:
        return {"output": 2 * self.means_}  # |x|^2 is the same for all classes

    def n_stored(self) -> int:
        """Numbers kept."""
        return self.means_.size + self.counts_.size


class StreamingLDA(NearestClassMean):
    """Linear discriminant analysis, updated sample by sample: class means and one shared covariance.

    The scatter grows by ``n / (n + 1) (x - m_y)(x - m_y)^T`` (here in whole batches: a class's about its mean, combined
    as in Chan, Golub & LeVeque 1979); ``S`` is that of N samples over N, ``L = ((1 - e) S + e tr(S) / d I)^-1`` in d
    dimensions, ``z_c = m_c^T L x - m_c^T L m_c / 2``, x and m_c less the mean of all samples. As long as nothing has
    varied, ``L = I``.

    Parameters
    ----------
    shrinkage : float in (0, 1], default 1e-2
        e, relative to the mean variance. The paper's 1e-4 is absolute, which on features of unit norm is far too much.

    References
    ----------
    Hayes & Kanan 2020, Lifelong machine learning with deep streaming linear discriminant analysis, arXiv:1909.01520.
    """

    def __init__(self, shrinkage: float = 1e-2) -> None:
        self.shrinkage = shrinkage

    def _start(self, n_classes: int, n_features: int) -> None:
        check("shrinkage", self.shrinkage, POSITIVE_SHARE)
        super()._start(n_classes, n_features)
        self.scatter_: NDArray = np.zeros((n_features, n_features))

    def _show(self, X: NDArray, true: NDArray) -> None:
        parts = []
        for c in np.unique(true):
            mine = X[true == c]
            mean, n = mine.mean(axis=0), len(mine)
            apart = np.sqrt(n * self.counts_[c] / (n + self.counts_[c])) * (mean - self.means_[c])
            parts += [mine - mean, apart[None]]
        D = np.concatenate(parts)
        self.scatter_ += D.T @ D
        super()._show(X, true)

    def _pathways(self) -> dict[str, NDArray]:
        return {"output": self._weights_of(self.means_)}

    def _weights_of(self, means: NDArray) -> NDArray:
        S = self.scatter_ / max(self.counts_.sum(), 1)
        variance = S.trace() / len(S)
        if not _varied(variance, self.means_):
            return means  # of the nearest mean: no direction is known to vary more than another
        return _solve_ridge((1 - self.shrinkage) * S, self.shrinkage * variance, means.T).T

    def _scores(self, X: NDArray) -> NDArray:
        origin = self.counts_ @ self.means_ / self.counts_.sum()  # far from 0 products lose digits
        means = self.means_ - origin
        W = self._weights_of(means)
        return _of_seen((X - origin) @ W.T - (W * means).sum(axis=1) / 2, self.counts_)

    def n_stored(self) -> int:
        """Numbers kept; the covariance is symmetric."""
        n = len(self.scatter_)
        return super().n_stored() + n * (n + 1) // 2


class StreamingLeastSquares(StreamingClassifier):
    """The linear readout with the least squared error on all samples so far, whatever their order.

    ``W = (C + e tr(C) / d I)^-1 B``, ``z = W^T (x - m) + p``, with ``m`` and ``C`` mean and covariance of the inputs in
    d dimensions, ``B`` their covariance with the one-hot labels and ``p`` the classes' shares: the fixed point of the
    delta rule (Widrow & Hoff 1960). That is the Hebbian readout, ``sum_n t_n d_n``, of decorrelated inputs ``d = (C +
    ..)^(-1/2) (x - m)``, such as anti-Hebbian lateral inhibition gives (Foldiak 1990, Biol. Cybern. 64:165).

    Parameters
    ----------
    ridge : float > 0, default 1e-3
        e, relative to the mean variance.

    Attributes
    ----------
    classes_ : ndarray (n_classes,)
    counts_ : ndarray (n_classes,)
    mean_ : ndarray (n_features,)
    """

    def __init__(self, ridge: float = 1e-3) -> None:
        self.ridge = ridge

    def _start(self, n_classes: int, n_features: int) -> None:
        check_number("ridge", self.ridge, "> 0")
        self.counts_: NDArray = np.zeros(n_classes)
        self.mean_: NDArray = np.zeros(n_features)
        self.scatter_: NDArray = np.zeros((n_features, n_features))
        self.sums_: NDArray = np.zeros((n_features, n_classes))

    def _show(self, X: NDArray, true: NDArray) -> None:
        T = np.eye(len(self.counts_))[true]
        n, before = len(X), self.counts_.sum()
        apart = X.mean(axis=0) - self.mean_
        D = np.concatenate([X - X.mean(axis=0), apart[None] * np.sqrt(n * before / (n + before))])
        self.scatter_ += D.T @ D
        self.sums_ += X.T @ T
        self.counts_ += T.sum(axis=0)
        self.mean_ += apart * n / (n + before)

    def _pathways(self) -> dict[str, NDArray]:
        n = self.counts_.sum()
        C, B = self.scatter_ / n, (self.sums_ - np.outer(self.mean_, self.counts_)) / n
        variance = C.trace() / len(C)
        W = _solve_ridge(C, self.ridge * variance, B) if _varied(variance, self.mean_) else np.zeros_like(B)
        return {"output": W.T}

    def _scores(self, X: NDArray) -> NDArray:
        W = self._pathways()["output"].T
        return _of_seen((X - self.mean_) @ W + self.counts_ / self.counts_.sum(), self.counts_)

    def n_stored(self) -> int:
        """Numbers kept; the covariance is symmetric."""
        n = len(self.scatter_)
        return self.sums_.size + self.counts_.size + self.mean_.size + n * (n + 1) // 2


def _of_seen(z: NDArray, counts: NDArray) -> NDArray:
    """Scores (n, n_classes) in which classes without a sample are the least."""
    lowest = z[:, counts > 0].min(axis=1, keepdims=True)
    return np.where(counts > 0, z, np.minimum(lowest - 1e6, np.nextafter(lowest, -np.inf)))


def _varied(variance: float, means: NDArray) -> bool:
    """Whether a mean variance of inputs is more than rounding leaves of inputs that are all the same."""
    return bool(variance > ROUNDING**2 * np.square(means).max(initial=0))


def _solve_ridge(S: NDArray, added: float, B: NDArray) -> NDArray:
    """``(S + added I)^-1 B``, for a covariance S."""
    S = S.copy()
    S[np.diag_indices_from(S)] += max(added, np.finfo(float).tiny)
    return cho_solve(cho_factor(S), B)


class Reservoir:
    """At most ``size`` samples of a stream; each class keeps a random sample of what it has shown, in equal shares.

    Full, a new sample replaces one of the class that has most; within that class each sample seen so far has the
    same chance to be kept (Vitter 1985, ACM Trans. Math. Softw. 11:37; Chrysakis & Moens 2020, ICML: class-balancing
    reservoir sampling).
    """

    def __init__(self, size: int, n_features: int, n_classes: int, rng: np.random.Generator) -> None:
        self.X, self.true = np.zeros((size, n_features)), np.full(size, -1)
        self.seen, self.n, self.rng = np.zeros(n_classes, int), 0, rng

    def add(self, X: NDArray, true: NDArray) -> None:
        """Show samples, one after another."""
        for x, c in zip(X, true, strict=True):
            self.seen[c] += 1
            place = self._place(c)
            if place is not None:
                self.X[place], self.true[place] = x, c

    def _place(self, c: int) -> int | None:
        if self.n < len(self.true):
            self.n += 1
            return self.n - 1
        held = np.bincount(self.true, minlength=len(self.seen))
        if held[c] < held.max():
            return int(self.rng.choice(np.flatnonzero(self.true == held.argmax())))
        if self.rng.random() < held[c] / self.seen[c]:
            return int(self.rng.choice(np.flatnonzero(self.true == c)))
        return None


class ExemplarNeighbours(StreamingClassifier):
    """k nearest neighbours among a fixed number of stored samples, by cosine.

    Parameters
    ----------
    n_exemplars : int >= 1, default 1000
        Samples kept, in equal shares of the classes (:class:`Reservoir`).
    n_neighbors : int >= 1, default 1
    random_state : int or None
    """

    def __init__(self, n_exemplars: int = 1000, n_neighbors: int = 1, random_state: int | None = None) -> None:
        self.n_exemplars = n_exemplars
        self.n_neighbors = n_neighbors
        self.random_state = random_state

    def _start(self, n_classes: int, n_features: int) -> None:
        check_count("n_exemplars", self.n_exemplars)
        check_count("n_neighbors", self.n_neighbors)
        self.reservoir_ = Reservoir(self.n_exemplars, n_features, n_classes, generator_from(self.random_state))

    def _show(self, X: NDArray, true: NDArray) -> None:
        self.reservoir_.add(X, true)

    def _scores(self, X: NDArray) -> NDArray:
        """Summed cosine of each class's samples among the nearest."""
        n, kept = self.reservoir_.n, self.reservoir_
        near = _unit(X) @ _unit(kept.X[:n]).T
        k = min(self.n_neighbors, n)
        nearest = np.argpartition(-near, k - 1, axis=1)[:, :k]
        votes = np.eye(len(self.classes_))[kept.true[nearest]]
        cosine = np.take_along_axis(near, nearest, axis=1) + 1  # >= 0: no vote against a class
        return (votes * cosine[:, :, None]).sum(axis=1)

    def _pathways(self) -> dict[str, NDArray]:
        kept, n = self.reservoir_, self.reservoir_.n
        return {"samples": kept.X[:n], "output": membership(kept.true[:n], len(self.classes_))}

    def n_stored(self) -> int:
        """Numbers kept."""
        return self.reservoir_.n * (self.reservoir_.X.shape[1] + 1)


def _unit(X: NDArray) -> NDArray:
    return X / np.maximum(np.linalg.norm(X, axis=1, keepdims=True), 1e-12)
