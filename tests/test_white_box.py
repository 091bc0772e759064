"""The white-box contract is written once: network and rivals have it from the same place."""

import numpy as np
import pytest

import bioneuro as bn
from bioneuro.baselines import BASELINES
from bioneuro.baselines.base import GradientClassifier
from bioneuro.protocols import DifferentiableFront
from bioneuro.white_box import WhiteBoxMixin

PROMISED = [
    "input_gradient",
    "input_vjp",
    "response",
    "response_inverse",
    "response_slope",
    "response_gradient",
    "response_vjp",
]


def kinds():
    made = {getattr(make, "func", make) for make in BASELINES.values()}
    return sorted({bn.BioClassifier, *made}, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.__name__)
def test_nobody_writes_the_contract_a_second_time(kind):
    if not issubclass(kind, WhiteBoxMixin):
        assert not any(hasattr(kind, name) for name in PROMISED)
        return
    for base in kind.__mro__:
        if base is not WhiteBoxMixin:
            assert not set(PROMISED) & set(vars(base)), base


@pytest.mark.parametrize("contrast", [None, (4.0, 0.5)])
def test_pullbacks_of_unit_vectors_are_the_jacobian(contrast):
    rng = np.random.default_rng(0)
    X, y = rng.uniform(0.1, 0.9, (20, 36)), np.arange(20) % 3
    exponent, semi = contrast or (1.0, np.inf)
    mlp = bn.baselines.BackpropMLP((8,), n_epochs=2, contrast=contrast, random_state=0, dtype="float64").fit(X, y)
    bio = bn.BioClassifier(
        n_cells=15, encoder__exponent=exponent, encoder__semi_saturation=semi, random_state=0, dtype="float64"
    )
    for model in (mlp, bio.fit(X, y)):
        assert isinstance(model, DifferentiableFront)
        Z = X[:3]
        z, pull = model.input_vjp(Z)
        _, response_pull = model.response_vjp(Z)
        for k in range(3):
            unit = np.zeros_like(z)
            unit[:, k] = 1
            jacobian = pull(unit)
            np.testing.assert_array_equal(jacobian, response_pull(unit) * model.response_slope(Z))
            for feature in (0, 17, 35):
                up, down = Z.copy(), Z.copy()
                up[:, feature] += 1e-6
                down[:, feature] -= 1e-6
                slope = (model.input_vjp(up)[0] - model.input_vjp(down)[0])[:, k] / 2e-6
                np.testing.assert_allclose(jacobian[:, feature], slope, rtol=1e-4, atol=1e-6)
        # the gradient of a loss is a pullback of its slope
        true = np.eye(3)[y[:3]]
        p = np.exp(z - z.max(axis=1, keepdims=True))
        np.testing.assert_allclose(
            model.input_gradient(Z, y[:3]), pull(p / p.sum(axis=1, keepdims=True) - true), atol=1e-9
        )


def test_the_gradient_does_not_depend_on_batches(monkeypatch):
    rng = np.random.default_rng(0)
    X, y = rng.uniform(0.1, 0.9, (30, 36)), np.arange(30) % 3
    for model in (
        bn.baselines.BackpropMLP((8,), n_epochs=2, random_state=0, dtype="float64"),
        bn.BioClassifier(n_cells=15, random_state=0, dtype="float64"),
    ):
        whole = model.fit(X, y).input_gradient(X, y, "margin")
        with monkeypatch.context() as patch:
            patch.setattr("bioneuro.white_box.INFERENCE_BATCH", 4)
            np.testing.assert_allclose(model.input_gradient(X, y, "margin"), whole, rtol=1e-9, atol=1e-12)


def test_bad_labels_are_named():
    X, y = np.random.default_rng(0).uniform(size=(12, 4)), np.arange(12) % 3
    model = bn.baselines.BackpropMLP((), n_epochs=1).fit(X, y)
    assert isinstance(model, GradientClassifier)
    with pytest.raises(ValueError, match=r"y must have shape \(12,\), one label for each row of X, got \(3,\)"):
        model.input_gradient(X, y[:3])
    with pytest.raises(ValueError, match=r"y must hold labels out of classes_, but y\[0\] = .*7"):
        model.response_gradient(X[:1], [7])
    with pytest.raises(ValueError, match=r"loss must be one of \['ce', 'margin'\], got 'dlr'"):
        model.input_gradient(X, y, "dlr")
