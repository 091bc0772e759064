"""Heads that learn an episode from features, to compare on one encoder, and fine-tuning of a whole network."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.utils.validation import check_is_fitted, validate_data

from ..checks import Choice, Integer, Number, check_count, check_labels, check_parameters, on_host, plain_array
from ..connectivity import HalfNormal, MixedSign, dense
from ..estimators import LogitClassifier, all_or_nothing, check_classes, validated, validated_with_labels
from ..layers import READOUTS, SoftmaxSettings, UnitNorm
from ..network import epochs_of, readout_batch, untaught
from ..progress import silent
from ..seeds import drawn_generator
from .feature_readout import FeatureReadout

#: Passes over the support by the association, and updates of its readout at least.
ASSOCIATION_EPOCHS, READOUT_UPDATES, READOUT_ETA = 7, 500, 0.5


class AssociationHead(LogitClassifier):
    """Association cells straight on given features, recruited by the samples.

    Means and covariances cannot be estimated from a few samples, so there is neither mixing nor an intrinsic threshold:
    the log of the weights relaxes to that of the features themselves (:class:`bioneuro.rules.LogRelaxation`), and no
    synapse is removed.

    Parameters
    ----------
    readout : {"votes", "delta", "perturbation"}, default "votes"
    n_cells : int, default 3000
        At most; never more than samples.
    beta, kappa : float, default 5 and 0.2
        Of the :class:`bioneuro.layers.Association`, in units of the spread of the drive.
    random_state : int, RandomState or None

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    network_ : Network
    support_ : ndarray of shape (n, n_features)
        The features it learned from, scaled to unit norm: :meth:`winners` says which of them decide.
    """

    def __init__(
        self,
        readout: str = "votes",
        *,
        n_cells: int = 3000,
        beta: float = 5.0,
        kappa: float = 0.2,
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.readout = readout
        self.n_cells = n_cells
        self.beta = beta
        self.kappa = kappa
        self.random_state = random_state

    _parameters = {
        "readout": (Choice(READOUTS),),
        "n_cells": (Integer(),),
        "beta": (Number(0, 1e6, ends="(]"),),
        "kappa": (Number(0, 1e6),),
    }

    def fit(self, H: ArrayLike, y: ArrayLike) -> AssociationHead:
        """Learn from features ``H (n, n_features)``, rates >= 0, and labels ``y (n,)``."""
        with all_or_nothing(self):
            check_parameters(self, self._parameters)
            rows, labels = validated_with_labels(self, H, y, np.float32)
            self.classes_, index = np.unique(labels, return_inverse=True)
            check_classes(self.classes_)
            encoder = UnitNorm(rows.shape[1])
            self.support_ = encoder.encode(rows)
            self._learn(encoder, np.eye(len(self.classes_), dtype=np.float32)[index])
        return self

    def _learn(self, encoder: UnitNorm, T: NDArray) -> None:
        H = self.support_
        rng = drawn_generator(self.random_state)
        self.network_ = untaught(
            encoder,
            min(self.n_cells, len(H)),
            T.shape[1],
            [self.readout],
            rng=rng,
            competition=SoftmaxSettings(beta=self.beta),
            kappa=self.kappa,
            rule="log-relaxation",
            intrinsic=False,
        )
        self.network_.on_features.learn(H, T, n_epochs=ASSOCIATION_EPOCHS, rng=rng, progress=silent)
        n_epochs = epochs_of(READOUT_UPDATES, readout_batch(len(H)), len(H))
        self.network_.on_features.learn_readouts(H, T, n_epochs=n_epochs, eta=READOUT_ETA, rng=rng, progress=silent)

    def _logits(self, X: ArrayLike) -> NDArray:
        H = self._encoded(X)
        return self.network_.on_features.logits(H, self.readout)

    def _encoded(self, H: ArrayLike) -> NDArray:
        check_is_fitted(self, "network_")
        return self.network_.encoder.encode(validated(self, H, np.float32))

    def winners(self, H: ArrayLike, n: int = 3) -> tuple[NDArray[np.intp], NDArray]:
        """The support samples behind a decision.

        Parameters
        ----------
        H : array-like of shape (m, n_features)
        n : int >= 1
            At most; never more than support samples.

        Returns
        -------
        rows, shares : ndarrays of shape (m, n)
            Rows of the support, the most influential first, and their share of the vote: the rates of the association
            cells, each handed to the support samples as it responds to them, ``sum_i y_i(h) y_i(s) / sum_s' y_i(s')``.
        """
        check_count("n", n, 1)
        H = self._encoded(H)
        association = self.network_.association
        rates = association.rates(association.drive(H))
        owners = association.rates(association.drive(self.support_))
        total = owners.sum(axis=0)
        shares = rates @ np.divide(owners, total, out=np.zeros_like(owners), where=total > 0).T
        order = np.argsort(-shares, axis=1, kind="stable")[:, :n]
        return order, np.take_along_axis(shares, order, axis=1)


class NearestPrototype(ClassifierMixin, BaseEstimator):
    """The class whose mean feature vector is nearest (Euclidean): the head of prototypical networks (Snell et al. 2017,
    arXiv:1703.05175), on features that were not trained for it.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    prototypes_ : ndarray of shape (n_classes, n_features)
    """

    def fit(self, H: ArrayLike, y: ArrayLike) -> NearestPrototype:
        """Average ``H (n, n_features)`` over the samples of each label of ``y (n,)``."""
        with all_or_nothing(self):
            rows, labels = validated_with_labels(self, H, y, [np.float64, np.float32])
            self.classes_ = np.unique(labels)
            self.prototypes_ = np.stack([rows[labels == label].mean(axis=0) for label in self.classes_])
        return self

    def predict(self, H: ArrayLike) -> NDArray:
        """Class of the nearest prototype of each row."""
        check_is_fitted(self, "prototypes_")
        H = validate_data(self, on_host(H), reset=False, dtype=[np.float64, np.float32])
        return self.classes_[cdist(H, self.prototypes_).argmin(axis=1)]


class FineTuned(ClassifierMixin, BaseEstimator):
    """A network trained by backpropagation on other classes, with new outputs, trained on as a whole.

    Parameters
    ----------
    pretrained : fitted BackpropMLP
        Stays as it is, in clones too.
    n_updates : int, default 100
        Updates on the new samples, all of them in each (Adam, from rest).

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    network_ : the tuned copy
    """

    def __init__(self, pretrained: Any, n_updates: int = 100) -> None:
        self.pretrained = pretrained
        self.n_updates = n_updates

    def __sklearn_clone__(self) -> FineTuned:
        return FineTuned(self.pretrained, self.n_updates)  # scikit-learn's clone would forget what was learned

    def fit(self, X: ArrayLike, y: ArrayLike) -> FineTuned:
        """Replace the outputs and train all layers on ``X (n, n_features)`` and labels ``y (n,)``."""
        check_is_fitted(self.pretrained, "pathways_")
        check_count("n_updates", self.n_updates)
        check_labels(y)
        y = plain_array(y, "y")
        classes = np.unique(y)
        check_classes(classes)
        network = copy.deepcopy(self.pretrained)
        last, n_classes = network.pathways_[-1], len(classes)
        normal = MixedSign(HalfNormal(math.sqrt(2 / last.n_pre)))  # as the baseline's own outputs start
        network.pathways_[-1] = dense(
            n_classes, last.n_pre, normal, random_state=network.random_state, dtype=last.dtype
        )
        network.biases_[-1] = np.zeros(n_classes, last.dtype)
        network.classes_ = classes
        network.reset_optimizer()
        for _ in range(self.n_updates):
            network.partial_fit(X, y)
        self.classes_, self.network_ = classes, network
        return self

    def decision_function(self, X: ArrayLike) -> NDArray:
        """Logits (n, n_classes), or their difference (n,) for two classes."""
        check_is_fitted(self, "network_")
        return self.network_.decision_function(X)

    def predict(self, X: ArrayLike) -> NDArray:
        """Most probable class of each sample."""
        check_is_fitted(self, "network_")
        return self.network_.predict(X)


#: Heads on the features of an encoder, by name: ``evaluate(HEADS["1-nn"](), sampler, encoder=encoder)``.
HEADS: dict[str, Callable[[], ClassifierMixin]] = {
    "association": AssociationHead,
    "delta": FeatureReadout,
    "prototype": NearestPrototype,
    "1-nn": lambda: KNeighborsClassifier(1),
    "logistic": lambda: LogisticRegression(C=10.0, max_iter=300),
}
