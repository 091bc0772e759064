"""Fitted models, and models that offer little, for the tests of the adapters."""

from functools import cache

import numpy as np
from attack_models import Linear
from scipy.stats import binomtest

from bioneuro import BioClassifier
from bioneuro.baselines import BackpropMLP
from bioneuro.datasets import load

#: Budgets (Linf) at which about half of the samples stand.
EPSILON = {"bio": 0.1, "mlp": 0.08}


@cache
def digits():
    """300 images to learn from, 150 to attack; labels that are not their own columns."""
    data = load("digits")
    y_train, y_test = 2 * data.y_train + 1, 2 * data.y_test + 1
    return data.X_train[:300], y_train[:300], data.X_test[:150], y_test[:150]


@cache
def fitted(name, dtype="float32"):
    X, y, *_ = digits()
    if name == "mlp":
        return BackpropMLP((32,), n_epochs=30, random_state=0, dtype=dtype).fit(X, y)
    return BioClassifier(
        n_cells=80,
        encoder__n_columns=16,
        schedule__association_epochs=5,
        schedule__readout_epochs=20,
        random_state=0,
        dtype=dtype,
    ).fit(X, y)


def victims(name, n=150):
    """A model and test images that it gets right: X, y, images (n, 1, 8, 8), columns of the true classes."""
    model = fitted(name)
    _, _, X, y = digits()
    X, y = X[:n], y[:n]
    right = model.predict(X) == y
    X, y = X[right], y[right]
    return model, X, y, X.reshape(-1, 1, 8, 8), np.searchsorted(model.classes_, y)


def assert_agree(ours, theirs):
    """Two attacks on the same samples break as many: exact test of the pairs on which they differ, at 1e-3.

    And they break some and not all, so that they could differ.
    """
    ours, theirs = np.asarray(ours, bool), np.asarray(theirs, bool)
    assert 0.1 < ours.mean() < 0.9
    differ = int((ours != theirs).sum())
    if differ:
        assert binomtest(int((ours & ~theirs).sum()), differ).pvalue > 1e-3, (ours.mean(), theirs.mean())


class WithVjp(Linear):
    """Logits with a common part, which only `input_vjp` knows; shows how often it ran."""

    calls = 0

    def input_vjp(self, X):
        self.calls += 1
        return self.decision_function(X) + X.sum(axis=1, keepdims=True), lambda d: d @ (self.W + 1)


class BlackBox:
    """Logits and no gradient."""

    def __init__(self, model):
        self._model, self.classes_ = model, model.classes_

    def predict(self, X):
        return self._model.predict(X)

    def decision_function(self, X):
        return self._model.decision_function(X)


class Bordered(BlackBox):
    """A model of 8 x 8 images that is given 9 x 9: the last row and column, which others' Square never touches (its
    random integers leave out the upper end), are not looked at."""

    image_shape_ = (9, 9)

    @staticmethod
    def border(images):
        return np.pad(images, ((0, 0), (0, 0), (0, 1), (0, 1)))

    def predict(self, X):
        return super().predict(X.reshape(-1, 9, 9)[:, :8, :8].reshape(len(X), 64))

    def decision_function(self, X):
        return super().decision_function(X.reshape(-1, 9, 9)[:, :8, :8].reshape(len(X), 64))


class WithoutVjp(BlackBox):
    """Logits and the gradients of the two losses."""

    def input_gradient(self, X, y, loss="ce"):
        return self._model.input_gradient(X, y, loss)
