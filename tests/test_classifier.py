"""BioClassifier: the estimator contract, gradients, images of all sizes, plain vectors, errors."""

import dataclasses
import pickle

import numpy as np
import pandas as pd
import pytest
from scipy.special import log_softmax
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

import bioneuro as bn
from bioneuro import BioClassifier
from bioneuro.layers import UnitNorm

SMALL = {
    "n_cells": 100, "encoder__n_columns": 12, "mixing": 400, "schedule__association_epochs": 2,
    "schedule__teaching_epochs": 1, "schedule__readout_epochs": 5,
    "random_state": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def small(digits):
    return BioClassifier(**SMALL).fit(digits.X_train[:400], digits.y_train[:400])


@pytest.fixture(scope="module")
def exact(digits):
    """The same in float64, for finite differences."""
    return BioClassifier(**SMALL, dtype="float64").fit(digits.X_train[:400], digits.y_train[:400])


CONTRACTED = [
    BioClassifier(readout, mixing=200, schedule__teaching_epochs=2, schedule__readout_epochs=20, random_state=0)
    for readout in ("delta", "votes")
]


@parametrize_with_checks(CONTRACTED)
def test_estimator_contract(estimator, check):
    check(estimator)


def test_learns_digits(digits):
    model = BioClassifier(
        n_cells=500, mixing=1000, schedule__teaching_epochs=3, schedule__readout_epochs=20, random_state=0
    )
    model.fit(digits.X_train, digits.y_train)
    assert model.score(digits.X_test, digits.y_test) > 0.95
    assert model.set_params(readout="votes").score(digits.X_test, digits.y_test) > 0.95


def test_a_readout_that_has_not_learned_is_refused(digits):
    model = BioClassifier(**SMALL).fit(digits.X_train[:100], digits.y_train[:100]).set_params(readout="perturbation")
    with pytest.raises(ValueError, match=r"readout must be one that has learned, \['delta', 'votes'\]"):
        model.predict(digits.X_test)


def test_images_whose_encoder_has_no_retina_have_no_contrast_response(digits):
    X, y = digits.X_train[:100], digits.y_train[:100]
    model = BioClassifier(**SMALL, encoder=UnitNorm(64)).fit(X, y)
    assert model.image_shape_ == (8, 8)
    np.testing.assert_array_equal(model.response(X), X)
    np.testing.assert_array_equal(model.response_inverse(X), X)
    np.testing.assert_array_equal(model.response_gradient(X, y), model.input_gradient(X, y))


def test_perturbation_readout_learns_from_reward_alone(digits):
    model = BioClassifier("perturbation", **{**SMALL, "schedule__readout_epochs": 30, "n_cells": 300})
    model.fit(digits.X_train, digits.y_train)
    assert model.score(digits.X_test, digits.y_test) > 0.8


def test_reproducible_and_independent_of_threads(digits):
    X, y = digits.X_train[:200], digits.y_train[:200]
    one, two, other = (
        BioClassifier(**{**SMALL, "n_threads": n, "random_state": seed}).fit(X, y).decision_function(X)
        for n, seed in ((1, 0), (2, 0), (1, 1))
    )
    np.testing.assert_array_equal(one, two)
    assert not np.array_equal(one, other)


def test_what_is_kept_from_epoch_to_epoch_changes_nothing(digits, monkeypatch):
    brief = bn.Schedule(association_epochs=2, teaching_epochs=2, readout_epochs=2)

    def fitted():
        model = BioClassifier(n_cells=40, mixing=200, schedule=brief, random_state=0)
        return model.fit(digits.X_train[:200], digits.y_train[:200])

    kept = fitted()
    monkeypatch.setattr("bioneuro.network.CACHED", 0)
    for name, weights in fitted().weights().items():
        np.testing.assert_array_equal(weights.indices, kept.weights()[name].indices)
        np.testing.assert_array_equal(weights.data, kept.weights()[name].data)


@pytest.mark.parametrize("readout", ["delta", "votes"])
@pytest.mark.parametrize("loss", ["ce", "margin"])
@pytest.mark.parametrize("space", ["image", "response"])
def test_input_gradient(exact, digits, readout, loss, space):
    model = clone(exact).set_params(readout=readout)
    model.__dict__.update({k: v for k, v in vars(exact).items() if k.endswith("_")})
    X = np.random.default_rng(1).uniform(0.2, 0.9, (5, 64))  # no two pixels alike: ON and OFF have a kink at 0
    y, rows = digits.y_test[:5], np.arange(5)

    def total(Z):
        z = model.decision_function(model.response_inverse(Z) if space == "response" else Z)
        if loss == "ce":
            return -log_softmax(z, axis=1)[rows, y].sum()
        others = z.copy()
        others[rows, y] = -np.inf
        return (others.max(axis=1) - z[rows, y]).sum()

    D = np.random.default_rng(0).normal(size=X.shape)
    Z = model.response(X) if space == "response" else X
    e = 1e-6
    expected = (total(Z + e * D) - total(Z - e * D)) / (2 * e)
    gradient = model.response_gradient if space == "response" else model.input_gradient
    assert (gradient(X, y, loss) * D).sum() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("shape", [(28, 28), (8, 8), (35, 35), (12, 20), (16, 16, 3)])
def test_images_of_any_size(shape):
    rng = np.random.default_rng(0)
    bars = [np.zeros(shape), np.zeros(shape), np.zeros(shape)]  # horizontal, vertical, blob
    bars[0][shape[0] // 2] = bars[1][:, shape[1] // 2] = 1
    bars[2][shape[0] // 4 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] = 1
    templates = np.reshape(bars, (3, -1))
    y = np.repeat([0, 1, 2], 20)
    X = np.clip(templates[y] + rng.normal(0, 0.05, (60, templates.shape[1])), 0, 1).astype(np.float32)
    model = BioClassifier(**SMALL, image_shape=shape).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) == 1.0
    assert model.transform(X).shape == (60, model.encoder_.n_features)


def test_plain_vectors():
    from sklearn.datasets import load_wine
    from sklearn.model_selection import cross_val_score

    X, y = load_wine(return_X_y=True)
    assert (
        cross_val_score(BioClassifier(mixing=300, schedule__teaching_epochs=10, random_state=0), X, y, cv=3).mean()
        > 0.93
    )


def test_partial_fit_goes_on_and_recruits_as_samples_come(digits):
    model = BioClassifier(**{**SMALL, "n_cells": 300})
    in_use, score, encoder = [], [], None
    for start in range(0, 1200, 400):
        batch = slice(start, start + 400)
        model.partial_fit(digits.X_train[batch], digits.y_train[batch], classes=np.arange(10))
        encoder = encoder or model.encoder_
        in_use.append(int((model.network_.association.age > 0.5).sum()))
        score.append(model.score(digits.X_test, digits.y_test))
    assert model.encoder_ is encoder
    assert in_use[0] < in_use[1] <= 300
    assert score[2] > max(score[0], 0.92)


def test_features_learned_without_labels_serve_another_classifier(digits):
    features = BioClassifier(**SMALL).fit_features(digits.X_train)
    weights = features.encoder_.columns.synapses.weights.copy()
    model = BioClassifier(**SMALL, encoder=features.encoder_).fit(digits.X_train[:50], digits.y_train[:50])
    np.testing.assert_array_equal(model.encoder_.columns.synapses.weights, weights)
    np.testing.assert_array_equal(model.transform(digits.X_test), features.transform(digits.X_test))


@pytest.mark.parametrize("competition", ["softmax", "circuit"])
def test_every_association_cell_is_recruited_and_wins_some_image(digits, competition):
    model = BioClassifier(**{**SMALL, "competition": competition}).fit(digits.X_train[:400], digits.y_train[:400])
    association = model.network_.association
    assert association.live.all()
    rates = association.respond(model.network_.on_features.seen(model.transform(digits.X_train[:400])))
    assert len(np.unique(rates.argmax(axis=1))) >= 90


def test_turnover_leaves_few_synapses_that_do(digits):
    X, y = digits.X_train[:400], digits.y_train[:400]
    sparse, whole = (
        BioClassifier(**SMALL, **turnover).fit(X, y) for turnover in ({}, {"turnover__birth": 0, "turnover__death": 0})
    )
    density = {name: model.weights()["association"].nnz / (100 * 400) for name, model in (("s", sparse), ("w", whole))}
    assert density["w"] == 1 and density["s"] < 0.25
    assert sparse.score(digits.X_test, digits.y_test) > 0.88  # about 30 of 400 synapses a cell


def test_without_mixing_the_association_sees_the_features(digits):
    model = BioClassifier(**{**SMALL, "mixing": 0, "rule": "log-relaxation"}).fit(
        digits.X_train[:200], digits.y_train[:200]
    )
    assert "mixing" not in model.network_.layers and model.weights()["association"].shape == (
        100,
        model.encoder_.n_features,
    )
    assert not any(name.startswith("mixing") for name in model.weights())
    assert model.score(digits.X_test, digits.y_test) > 0.8


def test_teaching_changes_cells_and_raises_the_votes_own_likelihood(digits):
    X, y = digits.X_train[:400], digits.y_train[:400]
    plain, taught = (
        BioClassifier("votes", **{**SMALL, "supervision__eta": eta, "schedule__teaching_epochs": 5}).fit(X, y)
        for eta in (0, 0.1)
    )
    likelihood = [
        log_softmax(model.decision_function(X), axis=1)[np.arange(400), y].mean() for model in (plain, taught)
    ]
    assert likelihood[1] > likelihood[0] + 0.01


def test_on_epoch_is_called_before_the_first_and_after_every_pass(digits):
    X, y = digits.X_train[:200], digits.y_train[:200]
    calls, models, learned = [], set(), []

    def on_epoch(model, stage, done, n):
        calls.append((stage, done, n))
        models.add(model)
        if stage == "association":
            learned.append(int(model.network_.association.live.sum()))

    model = BioClassifier(**{**SMALL, "schedule__teaching_epochs": 3}).fit(X, y, on_epoch=on_epoch)
    passes = {"feature map": 3, "association": 2, "teaching": 3, "readout": 5}
    assert calls == [(stage, done, n) for stage, n in passes.items() for done in range(n + 1)]
    assert models == {model} and learned[0] == 0 < learned[1] <= learned[2] == 100
    silent = BioClassifier(**{**SMALL, "schedule__teaching_epochs": 3}).fit(X, y)
    np.testing.assert_array_equal(silent.decision_function(X), model.decision_function(X))


def test_on_epoch_of_features_alone(digits):
    calls = []
    BioClassifier(**SMALL).fit_features(digits.X_train[:50], on_epoch=lambda _, *call: calls.append(call))
    assert calls == [("feature map", done, 3) for done in range(4)]


@pytest.mark.parametrize("competition", ["softmax", "circuit"])
def test_stages_that_are_off_are_not_told_of(digits, competition):
    stages = set()
    options = {"supervision__eta": 0.0} if competition == "softmax" else {"competition": "circuit"}
    BioClassifier("votes", **SMALL, **options).fit(
        digits.X_train[:100], digits.y_train[:100], on_epoch=lambda _, stage, *__: stages.add(stage)
    )
    assert stages == {"feature map", "association"}


def test_weights_are_read_only_and_obey_dale(small):
    weights = small.weights()
    readout = {"readout_excitatory", "readout_e_to_i", "readout_inhibitory"}
    mixing = {"mixing_excitatory", "mixing_e_to_i", "mixing_inhibitory"}
    assert set(weights) == {"map", "association"} | mixing | readout
    assert (weights["readout_excitatory"].data > 0).all() and (weights["readout_inhibitory"].data < 0).all()
    with pytest.raises(ValueError, match="read-only"):
        weights["association"].data[0] = 1


@pytest.mark.parametrize("options", [{}, {"readout": "perturbation"}, {"readout": "votes"}, {"competition": "circuit"}])
def test_every_cell_of_every_population_makes_synapses_of_one_sign(digits, options):
    model = BioClassifier(**{**SMALL, **options}).fit(digits.X_train[:300], digits.y_train[:300])
    outgoing, weights = model.outgoing(), model.weights()
    assert sorted(name for made in outgoing.values() for name in made) == sorted(weights)
    indices = bn.analysis.dale_indices(outgoing)
    for cells, made in outgoing.items():
        assert {W.shape[1] for W in made.values()} == {len(indices[cells])}
        assert np.nanmin(indices[cells]) == 1, cells
    if "readout_e_to_i" in weights:
        assert {"readout_excitatory", "readout_e_to_i"} <= set(outgoing["association"])
        assert set(outgoing["readout_i"]) == {"readout_inhibitory"}


def test_string_labels(digits):
    names = np.array([f"digit {k}" for k in range(10)])
    model = BioClassifier(**SMALL).fit(digits.X_train[:300], names[digits.y_train[:300]])
    assert set(model.predict(digits.X_test[:50])) <= set(names)


def test_input_is_not_mutated(digits):
    X, y = digits.X_train[:100].copy(), digits.y_train[:100].copy()
    BioClassifier(**SMALL).fit(X, y).predict(X)
    np.testing.assert_array_equal(X, digits.X_train[:100])
    np.testing.assert_array_equal(y, digits.y_train[:100])


# --- what fails leaves no trace ---


def state(model):
    """All that a model is, in bytes."""
    return pickle.dumps(vars(model))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Failing(bn.rules.LogCovariance):
    """Refuses what has a row of ones, in the third batch."""

    def change(self, synapses, X, Y, gain, reward):
        if synapses.traces.get("steps", 0) >= 2:
            raise RuntimeError("no more steps")
        super().change(synapses, X, Y, gain, reward)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Runaway(bn.rules.LogCovariance):
    """Ends beyond all numbers."""

    def change(self, synapses, X, Y, gain, reward):
        super().change(synapses, X, Y, gain, reward)
        if synapses.nnz:
            synapses._data[0] = np.inf


BAD_CALLS = [
    (lambda X, y: (X[:, 1:], y), ValueError, "63 features"),
    (lambda X, y: (X * np.nan, y), ValueError, "NaN"),
    (lambda X, y: (X + 1, y), ValueError, r"X must lie in \[0, 1\] for images"),
    (lambda X, y: (X, y + 20), ValueError, "y must hold labels out of classes_"),
    (lambda X, y: (X, y[1:]), ValueError, "inconsistent numbers of samples"),
]


@pytest.mark.parametrize(("change", "error", "message"), BAD_CALLS)
def test_a_batch_that_is_refused_leaves_no_trace(digits, change, error, message):
    X, y = digits.X_train[:100], digits.y_train[:100]
    model = BioClassifier(**{**SMALL, "random_state": np.random.RandomState(3)})
    model.partial_fit(X, y, classes=np.arange(10))
    before = state(model)
    with pytest.raises(error, match=message):
        model.partial_fit(*change(X, y))
    assert state(model) == before


@pytest.mark.parametrize(("change", "error", "message"), BAD_CALLS[1:])
def test_a_first_batch_that_is_refused_leaves_no_trace(digits, change, error, message):
    model = BioClassifier(**{**SMALL, "random_state": np.random.RandomState(3)})
    before = state(model)
    with pytest.raises(error, match=message):
        model.partial_fit(*change(digits.X_train[:100], digits.y_train[:100]), classes=np.arange(10))
    assert state(model) == before


@pytest.mark.parametrize("known", [False, True])
def test_learning_that_fails_midway_leaves_no_trace(digits, known):
    """A rule that raises, at the first call or at a later one; afterwards learning goes on as if nothing had been."""
    X, y = digits.X_train[:100], digits.y_train[:100]
    model = BioClassifier(**{**SMALL, "rule": Failing(), "random_state": np.random.RandomState(3)})
    other = BioClassifier(**{**SMALL, "random_state": np.random.RandomState(3)})
    if known:
        for one in (model, other):
            one.set_params(rule="log-covariance").partial_fit(X[:50], y[:50], classes=np.arange(10))
        model.network_.association.rule = Failing()
    before = state(model)
    with pytest.raises(RuntimeError, match="no more steps"):
        model.partial_fit(X, y, classes=np.arange(10))
    assert state(model) == before
    model.set_params(rule="log-covariance")
    if known:
        model.network_.association.rule = other.network_.association.rule
    for one in (model, other):
        one.partial_fit(X, y, classes=np.arange(10))
    np.testing.assert_array_equal(model.decision_function(X), other.decision_function(X))


def test_a_fit_that_fails_leaves_what_was_learned(digits):
    X, y = digits.X_train[:100], digits.y_train[:100]
    model = BioClassifier(**SMALL).fit(X, y)
    before = state(model)

    def stop(model, stage, done, n):
        if stage == "readout":
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        model.fit(X[::-1], y[::-1], on_epoch=stop)
    assert state(model) == before


@pytest.mark.parametrize("stage", ["feature map", "association", "teaching", "readout"])
@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, MemoryError])
def test_a_second_fit_that_is_interrupted_leaves_the_old_model(digits, stage, stop):
    X, y = digits.X_train[:100], digits.y_train[:100]
    model = BioClassifier(**{**SMALL, "random_state": np.random.RandomState(3)}).fit(X, y)
    before, answers = state(model), model.decision_function(X)

    def interrupt(model, at, done, n):
        if at == stage and done:
            raise stop

    with pytest.raises(stop):
        model.fit(X[y < 3], y[y < 3], on_epoch=interrupt)
    assert state(model) == before
    np.testing.assert_array_equal(model.decision_function(X), answers)


def test_a_first_fit_that_is_interrupted_leaves_a_model_that_is_not_fitted(digits):
    model = BioClassifier(**SMALL)

    def interrupt(model, stage, done, n):
        if stage == "readout":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(digits.X_train[:100], digits.y_train[:100], on_epoch=interrupt)
    with pytest.raises(NotFittedError):
        model.predict(digits.X_test[:2])


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize(
    ("labels", "place"),
    [
        (np.array([0.0, 1.0, np.nan, 1.0] * 5), r"y\[2\] is nan"),
        (np.array([0, 1, 0, None] * 5, object), r"y\[3\] is None"),
        (np.array(["a", np.nan, "b", "c"] * 5, object), r"y\[1\] is nan"),
        (pd.Series(["a", pd.NA, "b", "c"] * 5, dtype="string"), r"y\[1\] is <NA>"),
        (np.array(["2020-01-01", "NaT"] * 10, "datetime64[D]"), r"y\[1\] is NaT"),
    ],
)
def test_labels_that_are_missing_are_named(call, labels, place):
    model, X = BioClassifier(**SMALL), np.random.default_rng(0).uniform(size=(20, 64))
    arguments = {} if call == "fit" else {"classes": [0, 1]}
    with pytest.raises(ValueError, match=f"y must hold a label for each row, but {place}"):
        getattr(model, call)(X, labels, **arguments)


def test_classes_that_are_missing_are_named(digits):
    with pytest.raises(ValueError, match=r"classes must hold a label for each row, but classes\[1\] is nan"):
        BioClassifier(**SMALL).partial_fit(digits.X_train[:20], digits.y_train[:20], classes=[0, np.nan])


def test_weights_that_are_not_finite_are_named_with_the_stage(digits):
    model = BioClassifier(**SMALL, rule=Runaway())
    with pytest.raises(ValueError, match="weights of association are not finite after the association learned"):
        model.fit(digits.X_train[:100], digits.y_train[:100])
    assert not hasattr(model, "network_")


# --- scikit-learn's containers and names ---


def test_features_have_names_and_come_in_the_container_asked_for(digits):
    model = BioClassifier(**SMALL).set_output(transform="pandas").fit(digits.X_train[:100], digits.y_train[:100])
    out = model.transform(digits.X_test[:3])
    n = model.encoder_.n_features
    assert isinstance(out, pd.DataFrame)
    assert list(out) == list(model.get_feature_names_out()) == [f"bioclassifier{i}" for i in range(n)]
    model.set_output(transform="default")
    np.testing.assert_array_equal(model.transform(digits.X_test[:3]), out)


@pytest.mark.filterwarnings("error")
def test_a_model_fitted_on_a_frame_is_attacked_without_a_warning(digits):
    names = [f"pixel {i}" for i in range(64)]
    model = BioClassifier(**SMALL).fit(pd.DataFrame(digits.X_train[:100], columns=names), digits.y_train[:100])
    attack = bn.attacks.PGD(norm="linf", n_steps=2)
    frame = pd.DataFrame(digits.X_test[:4], columns=names)
    attack(model, frame, digits.y_test[:4], 0.1)


def test_an_encoder_that_others_use_is_not_copied(digits):
    X, y = digits.X_train[:100], digits.y_train[:100]
    encoder = BioClassifier(**SMALL).fit_features(X).encoder_
    model = BioClassifier(**SMALL, encoder=encoder).partial_fit(X, y, classes=np.arange(10))
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(X * np.nan, y)
    assert model.encoder_ is model.network_.encoder is encoder
    assert all(readout.association is model.network_.association for readout in model.network_.readouts.values())


# --- one sample and a batch ---


@pytest.mark.parametrize("readout", ["delta", "votes", "perturbation"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", [{}, {"encoder__feature_map": "local"}, {"image_shape": None}, {"mixing": 0}])
def test_a_sample_has_the_same_logits_and_gradient_alone_and_in_any_batch(digits, readout, dtype, kind):
    model = BioClassifier(**{**SMALL, **kind}, readout=readout, dtype=dtype)
    model.fit(digits.X_train[:100], digits.y_train[:100])
    X, y = digits.X_test[:37].astype(dtype), digits.y_test[:37]
    logits, gradient = model.decision_function(X), model.input_gradient(X, y)
    for size in (1, 5, 16):
        parts = [slice(start, start + size) for start in range(0, len(X), size)]
        np.testing.assert_array_equal(np.concatenate([model.decision_function(X[rows]) for rows in parts]), logits)
        np.testing.assert_array_equal(
            np.concatenate([model.input_gradient(X[rows], y[rows]) for rows in parts]), gradient
        )


def test_a_sample_of_a_circuit_has_the_same_logits_but_for_rounding(digits):
    """Its cells come to rest by solving linear systems, many samples at once, which LAPACK does in its own order."""
    model = BioClassifier(**SMALL, competition="circuit", dtype="float64")
    model.fit(digits.X_train[:100], digits.y_train[:100])
    X = digits.X_test[:37].astype(float)
    alone = np.concatenate([model.decision_function(x[None]) for x in X])
    np.testing.assert_allclose(alone, model.decision_function(X), rtol=1e-10, atol=1e-12)


# --- bad input, one by one ---


def fit_with(**parameters):
    X = np.random.default_rng(0).uniform(size=(20, 64))
    return BioClassifier(**parameters).fit(X, np.arange(20) % 2)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"readout": "linear"}, "readout must be one of"),
        ({"dtype": "int8"}, "dtype must be"),
        ({"n_cells": 0}, "n_cells must be an integer >= 1"),
        ({"encoder__n_columns": 2.5}, "n_columns must be an integer >= 1"),
        ({"rule": "hebb"}, "rule must be one of 'oja'"),
        ({"rule": "vogels"}, "rule must learn on pathways of sign 'E' and without a reward, got Vogels"),
        ({"mixing": -1}, "mixing must be an integer >= 0, got -1"),
        ({"mixing": 2.5}, "mixing must be an integer >= 0, got 2.5"),
        ({"turnover__birth": -0.1}, r"birth must be a number in \[0, 1000\], got -0.1"),
        ({"turnover__birth": 0.0}, "birth must be > 0 where synapses die"),
        ({"turnover__death": np.inf}, r"death must be a number in \[0, 1000\], got inf"),
        ({"turnover__death": "4"}, r"death must be a number in \[0, 1000\], got '4'"),
        ({"turnover__gamma": np.nan}, r"gamma must be a number in \[0, 100\], got nan"),
        ({"supervision__eta": -1.0}, r"eta must be a number in \[0, 100\], got -1.0"),
        ({"schedule__teaching_epochs": 0}, "teaching_epochs must be an integer >= 1 or 'auto', got 0"),
        ({"supervision__kappa": -1.0}, r"kappa must be a number in \[0, 1e\+06\], got -1.0"),
        ({"supervision__kappa": 1e30}, r"kappa must be a number in \[0, 1e\+06\], got 1e\+30"),
        ({"schedule__readout_eta": np.nan}, r"readout_eta must be a number in \[0, 100\], got nan"),
        ({"schedule__readout_eta": 1e30}, r"readout_eta must be a number in \[0, 100\], got 1e\+30"),
        ({"image_shape": "square"}, "image_shape must be 'auto'"),
        ({"image_shape": (8, 9)}, "product of 64 features"),
        ({"schedule__association_epochs": "all"}, "association_epochs must be an integer >= 1 or 'auto', got 'all'"),
        ({"n_cells": True}, "n_cells must be an integer >= 1, got True"),
        ({"encoder__patch_size": 0}, "patch_size must be an integer >= 1 or 'auto', got 0"),
        ({"growth__vigilance": 1.5}, r"vigilance must be a number in \(0, 1\] or None, got 1.5"),
        ({"encoder__exponent": 0.0}, "exponent must be a finite number > 0, got 0.0"),
        ({"encoder__semi_saturation": -np.inf}, "semi_saturation must be a finite number > 0 or inf, got -inf"),
        ({"n_threads": 0}, r"n_threads must be an integer in \[1, 1024\]"),
        ({"progress": "yes"}, "progress must be True or False, got 'yes'"),
        ({"competition__beta": 0.0}, r"beta must be a number in \(0, 1e\+06\], got 0.0"),
        ({"competition__beta": 1e30}, r"beta must be a number in \(0, 1e\+06\], got 1e\+30"),
    ],
)
def test_refuses_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        fit_with(**parameters)


def test_refuses_a_class_in_place_of_a_rule():
    with pytest.raises(TypeError, match=r"rule must be one of .* \(a class: make a rule of it, Oja\(...\)\)"):
        fit_with(rule=bn.rules.Oja)


def test_refuses_pixels_outside_the_unit_interval():
    X = np.full((10, 64), 0.5)
    X[3, 7] = 16
    with pytest.raises(ValueError, match=r"X must lie in \[0, 1\] for images, but X\[3, 7\] = 16"):
        BioClassifier().fit(X, np.arange(10) % 2)


def test_refuses_one_class():
    with pytest.raises(ValueError, match="at least 2 classes"):
        BioClassifier().fit(np.full((4, 64), 0.5), np.zeros(4))


def test_refuses_labels_not_seen(small, digits):
    with pytest.raises(ValueError, match=r"y must hold labels out of classes_, but y\[1\]"):
        small.input_gradient(digits.X_test[:2], np.array([0, 11]))


def test_refuses_labels_of_another_length(small, digits):
    with pytest.raises(ValueError, match=r"y must have shape \(2,\)"):
        small.input_gradient(digits.X_test[:2], np.array([0]))


def test_refuses_unknown_loss(small, digits):
    with pytest.raises(ValueError, match=r"loss must be one of \['ce', 'margin'\]"):
        small.input_gradient(digits.X_test[:2], digits.y_test[:2], loss="hinge")


def test_partial_fit_needs_classes_first(digits):
    with pytest.raises(ValueError, match="classes must be passed"):
        BioClassifier().partial_fit(digits.X_train[:10], digits.y_train[:10])


def test_partial_fit_refuses_other_classes(digits):
    model = BioClassifier(**SMALL).partial_fit(digits.X_train[:50], digits.y_train[:50], classes=np.arange(10))
    with pytest.raises(ValueError, match="classes must be those of the first call"):
        model.partial_fit(digits.X_train[:50], digits.y_train[:50], classes=np.arange(9))


def test_readouts_learn_from_one_sample_what_they_would_learn_had_the_excitation_to_be_asked_for(monkeypatch):
    data = bn.datasets.load("digits")
    states = []
    for known in (True, False):
        model = bn.BioClassifier(n_cells=60, mixing=200, random_state=0).fit(data.X_train[:150], data.y_train[:150])
        if not known:
            monkeypatch.setattr(bn.layers.Association, "_excited", lambda cells, learned, H, a: learned)
        for k in range(150, 180):
            model.partial_fit(data.X_train[k : k + 1], data.y_train[k : k + 1])
        states.append([W.data for W in model.weights().values()])
    for with_it, without in zip(*states, strict=True):
        np.testing.assert_array_equal(with_it, without)


@pytest.mark.parametrize("image_shape", [None, "auto", (4, 8)])
def test_an_encoder_that_has_learned_other_inputs_is_refused(digits, small, image_shape):
    model = BioClassifier(**SMALL | {"encoder": small.encoder_, "image_shape": image_shape})
    with pytest.raises(ValueError, match="X must have 64 features, as encoder takes, got 32"):
        model.fit(digits.X_train[:100, :32], digits.y_train[:100])
    assert not hasattr(model, "network_")


@pytest.mark.parametrize("dtype", ["int", "bool", "float64"])
def test_a_dtype_that_was_set_since_does_not_matter_to_what_was_learned(digits, small, dtype):
    X, y = digits.X_test[:50], digits.y_test[:50]
    model = pickle.loads(pickle.dumps(small)).set_params(dtype=dtype)
    np.testing.assert_array_equal(model.decision_function(X), small.decision_function(X))
    np.testing.assert_array_equal(model.transform(X), small.transform(X))
    with pytest.raises((TypeError, ValueError), match="dtype must be"):
        model.partial_fit(X, y)


@pytest.mark.parametrize(
    ("name", "value"),
    [("growth", 3), ("schedule", None), ("readout", 3), ("rule", 3), ("progress", 3), ("dtype", "int")],
)
def test_parameters_are_checked_whenever_it_learns(digits, small, name, value):
    model = pickle.loads(pickle.dumps(small))
    setattr(model, name, value)
    with pytest.raises((TypeError, ValueError), match=f"{name} must be"):
        model.partial_fit(digits.X_train[:5], digits.y_train[:5])
