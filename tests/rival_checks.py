"""What the tests of several rivals ask of them."""

import numpy as np
from scipy.special import log_softmax


def begun(X, model):
    """A model with the weights that it draws for rows like ``X`` of three classes, nothing learned yet."""
    model._check_parameters()
    model.n_features_in_ = X.shape[1]
    model._start(np.arange(3))
    model._n_planned = model._n_done = 0
    return model


def assert_gradient_of_the_input(model, X, y, loss, least):
    """``input_gradient`` at ``X`` is that of finite differences; some entry of it is more than ``least``."""
    Z, rows = X.copy(), np.arange(len(X))

    def total():
        z = model.decision_function(Z)
        if loss == "ce":
            return -log_softmax(z, axis=1)[rows, y].sum()
        true = z[rows, y]
        z[rows, y] = -np.inf
        return (z.max(axis=1) - true).sum()

    gradient, differences = model.input_gradient(Z, y, loss), np.empty(Z.shape)
    for place in np.ndindex(Z.shape):
        kept = Z[place]
        Z[place] = kept + 1e-6
        up = total()
        Z[place] = kept - 1e-6
        differences[place] = (up - total()) / 2e-6
        Z[place] = kept
    np.testing.assert_allclose(gradient, differences, atol=1e-5, rtol=1e-4)
    assert np.abs(gradient).max() > least
