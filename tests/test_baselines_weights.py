"""Weights of rivals as reports read them: what is stored, and by whom it is made."""

import numpy as np
import pytest
from rival_checks import small_rival
from sklearn.exceptions import NotFittedError

from bioneuro.analysis import dale_indices
from bioneuro.baselines import BASELINES, make

N, SIDE, N_CLASSES = 30, 4, 3
RNG = np.random.default_rng(0)
X = RNG.uniform(0.05, 1, (N, SIDE * SIDE))
Y = np.arange(N) % N_CLASSES
SHORT = {"n_epochs": 1, "hidden_epochs": 1, "n_hidden": 5, "hidden": (5,)}
LINEAR = ("class-means", "streaming-lda", "streaming-least-squares")


def fitted(name, **params):
    if name == "hpca-local":
        params = {"n_hidden": 2, "patch_size": 2, "stride": 2, **params}
    return small_rival(name, **{**SHORT, **params}).fit(X, Y)


@pytest.mark.parametrize("name", BASELINES)
def test_every_rival_names_its_weights_and_who_makes_them(name):
    model = fitted(name)
    weights, outgoing = model.weights(), model.outgoing()
    assert {made for pathways in outgoing.values() for made in pathways} <= set(weights)
    assert {"inputs"} < set(outgoing) | {"output"} <= {"inputs", *weights}
    assert weights["output"].shape[0] == N_CLASSES
    for indices in dale_indices(outgoing).values():
        assert ((indices >= 0) & (indices <= 1) | np.isnan(indices)).all()
    with pytest.raises(NotFittedError):
        make(name).weights()


@pytest.mark.parametrize("name", LINEAR)
def test_weights_of_a_linear_model_are_the_slopes_of_its_logits(name):
    model = fitted(name)
    W = model.weights()["output"].toarray()
    ahead = W - W[:1]  # what all classes share decides nothing
    z, moved = (model.decision_function(A) for A in (X, X + 0.1 * RNG.normal(size=X.shape)))
    with_step = X + np.eye(SIDE * SIDE)[3] * 0.2
    gained = model.decision_function(with_step) - z
    np.testing.assert_allclose(gained - gained[:, :1], np.tile(0.2 * ahead[:, 3], (N, 1)), atol=1e-9)
    assert not np.allclose(z, moved)


@pytest.mark.parametrize("name", ["nearest-neighbour", "exemplars"])
def test_stored_samples_are_cells_that_vote_for_their_class(name):
    weights = fitted(name).weights()
    samples, votes = weights["samples"].toarray(), weights["output"].toarray()
    assert samples.shape == X.shape and (votes.sum(axis=0) == 1).all()
    order = np.array([np.abs(X - sample).sum(axis=1).argmin() for sample in samples])
    assert sorted(order) == list(range(N))
    np.testing.assert_allclose(samples, X[order], rtol=1e-6)
    np.testing.assert_array_equal(votes.argmax(axis=0), Y[order])


def test_centres_vote_for_the_class_they_are_of():
    weights = fitted("nearest-neighbour", n_prototypes=2).weights()
    assert weights["samples"].shape == (2 * N_CLASSES, SIDE * SIDE)
    assert weights["output"].toarray().sum(axis=1).tolist() == [2] * N_CLASSES


def test_filters_are_rows_and_channels_make_all_that_is_read_of_them():
    model = fitted("cnn", kernel_size=3)
    weights, outgoing = model.weights(), model.outgoing()
    assert {name: W.shape for name, W in weights.items()} == {
        "conv_1": (2, 9), "conv_2": (3, 18), "hidden_1": (5, 3), "output": (3, 5)
    }  # fmt: skip
    filters = model.parameters_[2].detach().numpy()
    np.testing.assert_array_equal(weights["conv_2"].toarray(), filters.reshape(3, 18))
    made = outgoing["conv_1"]["conv_2"].toarray()
    assert made.shape == (27, 2)
    np.testing.assert_array_equal(np.sort(made[:, 1]), np.sort(filters[:, 1].ravel()))
    weights["output"].data[:] = 0  # a copy
    assert model.weights()["output"].nnz
