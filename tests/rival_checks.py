"""What the tests of several rivals ask of them."""

import numpy as np
import pytest
from scipy.special import log_softmax

from bioneuro.baselines import make


def small_rival(name, **params):
    """The rival of that name, with those of the parameters that it has; the CNN is a small one."""
    if name == "cnn":
        pytest.importorskip("torch")
        params |= {"channels": (2, 3), "hidden": 5}
    model = make(name)
    return model.set_params(**{key: value for key, value in params.items() if key in model.get_params()})


def begun(X, model):
    """A model with the weights that it draws for rows like ``X`` of three classes, nothing learned yet."""
    model._check_parameters()
    model.n_features_in_ = X.shape[1]
    model._start(np.arange(3))
    model._n_planned = model._n_done = 0
    return model


def losses(model, X, y, loss):
    """Loss of each sample, from the definition and ``decision_function`` alone."""
    z = model.decision_function(X)
    z = np.stack([0 * z, z], axis=1) if z.ndim == 1 else z
    true = np.searchsorted(model.classes_, y)
    rows = np.arange(len(z))
    if loss == "ce":
        return -log_softmax(z, axis=1)[rows, true]
    others = z.copy()
    others[rows, true] = -np.inf
    return others.max(axis=1) - z[rows, true]


def slope(f, x, h=1e-6):
    """Central difference of ``f()`` for each entry of ``x``, which is changed and put back."""
    out = np.empty(x.shape)
    for k in np.ndindex(x.shape):
        kept = x[k]
        x[k] = kept + h
        up = f()
        x[k] = kept - h
        out[k] = (up - f()) / (2 * h)
        x[k] = kept
    return out


def assert_gradient_of_the_input(model, X, y, loss, least):
    """``input_gradient`` at ``X`` is that of finite differences; some entry of it is more than ``least``."""
    Z = X.copy()
    gradient = model.input_gradient(Z, y, loss)
    differences = slope(lambda: losses(model, Z, y, loss).sum(), Z)
    np.testing.assert_allclose(gradient, differences, atol=1e-5, rtol=1e-4)
    assert np.abs(gradient).max() > least


def accuracy_after_a_stream(model, digits):
    """Of images that it has not seen, once it was shown 900 others six times, 50 at a time."""
    for _ in range(6):
        for start in range(0, 900, 50):
            rows = slice(start, start + 50)
            model.partial_fit(digits.X_train[rows], digits.y_train[rows], classes=np.arange(10))
    return model.score(digits.X_train[900:], digits.y_train[900:])
