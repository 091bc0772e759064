"""Classification by cells that may shift: votes of elastically matched prototypes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ..checks import Number, check
from ..estimators import LogitClassifier, all_or_nothing, check_classes, validated, validated_with_labels
from ..image_shapes import image_shape_of
from ..network import slices
from .elastic_matcher import ElasticMatcher

#: Images whose points are in memory at a time.
BATCH = 200


class ElasticVotes(LogitClassifier):
    """An association whose cells may shift: a training image each, driven by the similarity of an elastic match.

    ``z_c = log sum_{i in c} exp(beta a_i)``, with ``a_i`` the similarity of :class:`ElasticMatcher`: the softmax of
    these logits is what cells with the rates ``softmax(beta a)`` vote for. The map that describes the images is learned
    from the training images by local plasticity, without labels.

    Parameters
    ----------
    matcher : ElasticMatcher or None
        A clone of it learns from the training images; None: ``ElasticMatcher(image_shape=...)`` for square images.
    beta : float > 0, default 40
        Gain of the competition.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    matcher_ : ElasticMatcher
    points_ : ndarray of shape (n, n_points, 2 + n_descriptor)
        What the cells have stored.
    """

    def __init__(self, matcher: ElasticMatcher | None = None, *, beta: float = 40.0) -> None:
        self.matcher = matcher
        self.beta = beta

    def fit(self, X: ArrayLike, y: ArrayLike) -> ElasticVotes:
        """Store images ``X (n, height * width)`` in [0, 1], ink bright, with labels ``y (n,)``."""
        with all_or_nothing(self):
            check("beta", self.beta, Number(0, 1e6, ends="(]"))
            rows, labels = validated_with_labels(self, X, y, np.float32)
            self.classes_, self._class_of_cell = np.unique(labels, return_inverse=True)
            check_classes(self.classes_)
            self.matcher_ = self._unfitted_matcher(rows.shape[1]).fit(rows)
            self.points_ = self.matcher_.transform(rows)
        return self

    def _unfitted_matcher(self, n_features: int) -> ElasticMatcher:
        if self.matcher is not None:
            return clone(self.matcher)
        shape = image_shape_of("auto", n_features)
        if shape is None:
            raise ValueError(f"matcher must be given for images that are not square, got {n_features} features")
        return ElasticMatcher(image_shape=(shape[0], shape[1]))

    def _logits(self, X: ArrayLike) -> NDArray:
        check_is_fitted(self, "points_")
        rows = validated(self, X, np.float32)
        drive = np.concatenate([self._drive(rows[batch]) for batch in slices(len(rows), BATCH)])
        members = [self._class_of_cell == c for c in range(len(self.classes_))]
        return np.stack([logsumexp(self.beta * drive[:, cells], axis=1) for cells in members], axis=1)

    def _drive(self, rows: NDArray) -> NDArray:
        return self.matcher_.similarity(self.matcher_.transform(rows), self.points_)
