"""Stacks of layers by hand, as a user puts them together."""

import copy

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

import bioneuro as bn
from bioneuro.io import Array, Count
from bioneuro.layers import (
    Adaptation,
    Association,
    CompetitiveLayer,
    FeatureMap,
    Layer,
    LocalMap,
    Mixing,
    PlasticLayer,
    UnitNorm,
)
from bioneuro.network import Network
from bioneuro.protocols import DifferentiableFront


@pytest.fixture(scope="module")
def digits():
    data = bn.datasets.load("digits")
    return data.X_train[:200], data.y_train[:200], data.X_test[:100], data.y_test[:100]


SHORT = bn.Schedule(association_epochs=2, teaching_epochs=1, readout_epochs=5)


def deep(dtype="float32", **top):
    features = FeatureMap((8, 8), n_columns=6, random_state=0, dtype=dtype)
    return [
        features,
        Mixing(features.n_features, 60, dtype=dtype, random_state=0),
        Association(50, 60, 10, teacher="contrastive", dtype=dtype),
        Association(40, 50, 10, dtype=dtype, **top),
    ]


def stack(layers=None, **parameters):
    return bn.NetworkClassifier(deep() if layers is None else layers, schedule=SHORT, random_state=0, **parameters)


@pytest.fixture(scope="module")
def fitted(digits):
    return stack().fit(*digits[:2])


class Whitening:
    """A layer of one's own, from outside of the package: inputs without their mean, of one variance."""

    SAVED = {"n_inputs": Count(1), "mean": Array("n_inputs"), "sd": Array("n_inputs", low=0)}

    def __init__(self, n_inputs):
        self.n_inputs, self.mean, self.sd = n_inputs, np.zeros(n_inputs), np.ones(n_inputs)

    @property
    def n_features(self):
        return self.n_inputs

    def learn(self, X):
        self.mean, self.sd = X.mean(axis=0, dtype=float), X.std(axis=0, dtype=float) + 0.1

    def encode(self, X):
        return (X - self.mean) / self.sd

    def encode_grad(self, X, dH):
        return dH / self.sd


class Prototypes(Whitening):
    """One that takes labels, has a name for its cells and shows synapses: distance to the mean of each class."""

    population = "prototypes"

    def __init__(self, n_inputs, n_classes):
        super().__init__(n_inputs)
        self.n_classes = n_classes

    @property
    def n_features(self):
        return self.n_classes

    def learn(self, X, T):
        self.synapses = bn.Synapses.from_scipy(csr_array(T.T @ X / T.sum(axis=0)[:, None]))

    def encode(self, X):
        return self.synapses.forward(X)

    def encode_grad(self, X, dH):
        return self.synapses.input_grad(dH)

    def pathways(self):
        return {"weights": self.synapses}


# --- learning


def test_each_layer_learns_from_those_below_and_the_stack_tells_digits_apart(digits, fitted):
    X, y, X_test, y_test = digits
    learned = fitted.network_.layers
    assert list(learned) == ["features", "mixing", "association_1", "association_2"]
    assert fitted.encoder_ is learned["features"] and fitted.image_shape_ == (8, 8)
    H = X
    for name, layer in learned.items():
        np.testing.assert_array_equal(fitted.transform(X, up_to=name), H := layer.encode(H))
    np.testing.assert_array_equal(fitted.transform(X), H)
    assert (np.abs(learned["mixing"].moments.mean) > 0).any() and learned["association_1"].live.all()
    np.testing.assert_allclose(
        learned["association_2"].synapses.pre_mean, learned["association_1"].encode(learned["mixing"].encode(
            learned["features"].encode(X))).mean(axis=0), rtol=1e-4
    )  # fmt: skip
    assert fitted.score(X_test, y_test) > 0.6
    np.testing.assert_allclose(fitted.predict_proba(X_test).sum(axis=1), 1, rtol=1e-5)
    assert list(fitted.get_feature_names_out())[:1] == ["networkclassifier0"]


def test_layers_given_stay_as_they_are_and_fit_begins_anew(digits, fitted):
    layers = deep()
    model = stack(layers)
    first = model.fit(*digits[:2]).decision_function(digits[2])
    assert not layers[2].live.any() and layers[1].moments.count == 0
    np.testing.assert_array_equal(model.fit(*digits[:2]).decision_function(digits[2]), first)
    np.testing.assert_array_equal(clone(model).fit(*digits[:2]).decision_function(digits[2]), first)
    np.testing.assert_array_equal(fitted.decision_function(digits[2]), first)


def test_what_is_too_large_to_keep_is_computed_again_to_the_same(digits, fitted, monkeypatch):
    monkeypatch.setattr("bioneuro.network_classifier.CACHED", 0)
    model = stack().fit(*digits[:2])
    np.testing.assert_array_equal(model.decision_function(digits[2]), fitted.decision_function(digits[2]))


@pytest.mark.parametrize(
    "make",
    [
        lambda: [Association(40, 64, 10)],
        lambda: [("pixels", UnitNorm(64)), ("cells", Association(40, 64, 10, competition="circuit"))],
        lambda: [Adaptation(64)],
        lambda: [Adaptation(64), Mixing(128, 60, random_state=0)],
        lambda: [FeatureMap((8, 8), n_columns=6, random_state=0)],
        lambda: [LocalMap((8, 8), n_columns=4, stride=2, random_state=0), Association(30, 64, 10)],
        lambda: [UnitNorm(64), competitive(64), Association(30, 20, 10)],
    ],
    ids=["association alone", "circuit", "adaptation", "mixing", "map", "local map", "competitive"],
)
def test_stacks_of_other_shapes(digits, make):
    X, y, X_test, y_test = digits
    model = stack(make()).fit(X, y)
    assert model.score(X_test, y_test) > 0.4
    assert model.input_gradient(X_test[:3], y_test[:3]).shape == (3, 64)


def competitive(n_inputs):
    synapses = bn.connectivity.dense(20, n_inputs, sign="E", random_state=0)
    return CompetitiveLayer(synapses, beta=20.0, recruitment=0.2)


def test_the_classifier_is_one_such_stack(digits):
    X, y, X_test, _ = digits
    model = bn.BioClassifier(n_cells=40, mixing=60, schedule=SHORT, random_state=0).fit(X, y)
    network = model.network_
    assert list(network.layers) == ["features", "mixing", "association"]
    H = X_test
    for layer in list(network.layers.values())[:-1]:
        H = layer.encode(H)
    logits = network.readouts["delta"].logits(network.association.drive(H))
    np.testing.assert_array_equal(model.decision_function(X_test), logits)


def test_stages_are_told_of_and_the_history_follows_the_last_layer(digits):
    stages = []
    history = bn.History(digits[2], digits[3])

    def on_epoch(model, stage, done, n):
        stages.append(stage)
        history(model, stage, done, n)

    model = stack().fit(*digits[:2], on_epoch=on_epoch)
    told = ["feature map", "association_1", "teaching", "association_2", "readout"]
    assert list(dict.fromkeys(stages)) == told
    frame = history.frame()
    assert list(dict.fromkeys(frame["stage"])) == told[3:]
    assert set(frame["readout"]) == {"votes", "delta"}
    last = frame[frame["readout"] == "delta"]["accuracy"].iloc[-1]
    assert last == model.score(*digits[2:])


# --- going on, files


def test_partial_fit_goes_on_in_steps_and_a_file_resumes_bit_for_bit(digits, tmp_path):
    X, y, X_test, _ = digits
    model = stack(deep(competition="circuit"), readout="perturbation")
    model.partial_fit(X[:100], y[:100], classes=np.arange(10))
    kept = [copy.deepcopy(model.network_.layers[name]) for name in ("features", "mixing")]
    bn.save(model, tmp_path / "stack.npz")
    resumed = bn.load(tmp_path / "stack.npz")
    steps = model.network_.association.step
    for each in model, resumed:
        each.partial_fit(X[100:], y[100:])
    assert model.network_.association.step > steps
    for before, name in zip(kept, ("features", "mixing"), strict=True):
        np.testing.assert_array_equal(before.encode(X if name == "features" else kept[0].encode(X)),
                                      model.transform(X, up_to=name))  # fmt: skip
    np.testing.assert_array_equal(resumed.decision_function(X_test), model.decision_function(X_test))
    assert resumed.encoder_ is resumed.network_.encoder
    refitted = resumed.fit(X, y).decision_function(X_test)
    np.testing.assert_array_equal(refitted, model.fit(X, y).decision_function(X_test))


def test_a_readout_on_features_resumes_too(digits, tmp_path):
    X, y, X_test, _ = digits
    model = stack([Adaptation(64), Mixing(128, 60, random_state=0)]).partial_fit(
        X[:100], y[:100], classes=np.arange(10)
    )
    bn.save(model, tmp_path / "stack.npz")
    resumed = bn.load(tmp_path / "stack.npz")
    logits = [each.partial_fit(X[100:], y[100:]).decision_function(X_test) for each in (model, resumed)]
    np.testing.assert_array_equal(*logits)


def test_files_whose_layers_do_not_go_together_are_refused(fitted, tmp_path):
    model = copy.deepcopy(fitted)
    del model.network_.layers["mixing"]
    with pytest.raises(ValueError, match="layer 'association_1' takes 60 inputs, but 'features' below it makes 96"):
        bn.save(model, tmp_path / "stack.npz")
    model = copy.deepcopy(fitted)
    model.network_.readouts["delta"].association = copy.deepcopy(model.network_.association)
    with pytest.raises(ValueError, match="readout 'delta' of a Network must read its last layer, Association"):
        bn.save(model, tmp_path / "stack.npz")


# --- gradients, attacks


@pytest.mark.parametrize("top", [{}, {"competition": "circuit"}], ids=["softmax", "circuit"])
def test_the_gradient_goes_through_the_whole_stack(digits, top):
    X, y, X_test, y_test = digits
    model = stack(deep("float64", **top)).fit(X, y)
    rng = np.random.default_rng(0)
    x, label = rng.uniform(0.1, 0.9, (4, 64)), y_test[:4]  # no patch is flat: there the retina has a kink
    gradient = model.input_gradient(x, label)
    direction = rng.normal(size=x.shape)

    def loss(z):
        p = model.predict_proba(z)
        return -np.log(p[np.arange(len(z)), label])

    e = 1e-6
    numeric = (loss(x + e * direction) - loss(x - e * direction)) / (2 * e)
    np.testing.assert_allclose((gradient * direction).sum(axis=1), numeric, rtol=2e-4, atol=1e-7)
    assert np.abs(gradient).max() > 1e-6


def test_attacks_and_the_audit_take_it(digits, fitted):
    X, y = digits[2][:20], digits[3][:20]
    assert isinstance(fitted, DifferentiableFront)
    result = bn.attacks.PGD(n_steps=3)(fitted, X, y, [0.0, 0.3])
    assert result.robust_accuracy[0] > result.robust_accuracy[1]
    surrogates = fitted.surrogates()
    assert {"nearest cells", "beta/2", "map_beta/2", "votes"} <= set(surrogates)
    for surrogate in surrogates.values():
        assert np.isfinite(surrogate.input_gradient(X[:2], y[:2])).all()
    checks = bn.attacks.audit(fitted, X, y, n_steps=2, n_queries=5)
    assert (checks["check"] == "clean accuracy").sum() == 1 and not checks["value"].isna().all()


# --- what is shown


def test_every_pathway_has_a_name_and_a_maker(fitted):
    weights, outgoing = fitted.weights(), fitted.outgoing()
    assert list(weights) == [
        "map", "mixing_excitatory", "mixing_e_to_i", "mixing_inhibitory", "association_1", "association_2",
        "readout_excitatory", "readout_e_to_i", "readout_inhibitory",
    ]  # fmt: skip
    assert {name: maker for maker, made in outgoing.items() for name in made} == dict(
        zip(
            weights,
            ["retina", "features", "features", "mixing_i", "mixing", "association_1", "association_2", "association_2",
             "readout_i"],
            strict=True,
        )
    )  # fmt: skip
    assert set(fitted.cuts()) <= set(weights)


def test_names_of_ones_own_name_the_pathways(digits):
    names = ["v1", "granule", "deep", "top"]
    model = stack(list(zip(names, deep(competition="circuit"), strict=True))).fit(*digits[:2])
    assert list(model.outgoing()) == [
        "retina", "v1", "granule_i", "granule", "deep", "top", "top_i", "readout_i"
    ]  # fmt: skip
    assert set(model.outgoing()["top"]) == {"top_e_to_i", "readout_excitatory", "readout_e_to_i"}
    assert {"v1_map", "granule_excitatory", "deep", "top", "top_i_to_e"} <= set(model.weights())


def test_it_prints_as_a_table_before_and_after_it_has_learned(fitted):
    assert repr(stack()).startswith("NetworkClassifier(FeatureMap 96 -> Mixing 60 -> Association 50 (0 recruited) -> ")
    assert repr(fitted).startswith("NetworkClassifier(FeatureMap 96 -> Mixing 60 -> Association 50 -> ")
    assert repr(fitted).splitlines()[0].endswith("-> votes, delta 10)")
    assert "<td>association_2</td>" in fitted._repr_html_()
    assert "layers=3" in repr(bn.NetworkClassifier(3))


def test_its_diagram_has_a_box_for_each_population(digits):
    pytest.importorskip("matplotlib")
    model = stack([UnitNorm(64), Prototypes(64, 10)]).fit(*digits[:2])
    ax = bn.plot.network_diagram(model)
    boxes = {text.get_text().split("\n")[0] for text in ax.texts if "\n" in text.get_text()}
    assert boxes == {"unit norm", "prototypes", "classes", "readout I"}


# --- a layer of one's own


def test_a_layer_of_ones_own_takes_part_in_everything(digits, tmp_path, monkeypatch):
    X, y, X_test, y_test = digits
    assert isinstance(Whitening(64), Layer) and not isinstance(Whitening(64), PlasticLayer)
    monkeypatch.setitem(bn.io.CLASSES, "Whitening", Whitening)
    model = stack([UnitNorm(64), Whitening(64), Mixing(64, 60, random_state=0), Association(40, 60, 10)]).fit(X, y)
    assert list(model.network_.layers) == ["unit_norm", "whitening", "mixing", "association"]
    assert model.score(X_test, y_test) > 0.5
    assert (model.transform(X_test, up_to="whitening") < 0).any()
    e, x = 1e-3, 0.1 + 0.8 * X_test[:4]
    direction = np.random.default_rng(0).normal(size=x.shape).astype(np.float32)
    z, pull = model.input_vjp(x)
    up, down = (model.input_vjp(x + step * direction)[0] for step in (e, -e))
    numeric = (up - down).sum(axis=1) / (2 * e)
    np.testing.assert_allclose((pull(np.ones_like(z)) * direction).sum(axis=1), numeric, rtol=0.05, atol=0.05)
    bn.save(model, tmp_path / "own.npz")
    np.testing.assert_array_equal(bn.load(tmp_path / "own.npz").predict_proba(X_test), model.predict_proba(X_test))


def test_a_layer_of_ones_own_is_given_labels_if_it_takes_them(digits):
    X, y, *_ = digits
    model = stack([UnitNorm(64), Prototypes(64, 10)]).fit(X, y)
    H = UnitNorm(64).encode(X)
    means = np.stack([H[y == label].mean(axis=0) for label in range(10)])
    np.testing.assert_allclose(model.weights()["prototypes_weights"].toarray(), means, rtol=1e-5)
    assert model.outgoing()["unit_norm"].keys() == {"prototypes_weights"}
    np.testing.assert_allclose(model.transform(X), H @ means.T, rtol=1e-5)


# --- errors


@pytest.mark.parametrize(
    ("layers", "error", "match"),
    [
        ([], ValueError, r"layers must be a list with at least one layer, got \[\]"),
        (Adaptation(64), ValueError, "layers must be a list with at least one layer, got Adaptation"),
        ([UnitNorm(64), Association(9, 60, 10)], ValueError, "'association' takes 60 inputs, but 'unit_norm' below it"),
        ([UnitNorm(64), Association(9, 64, 10, dtype=float)], ValueError, "takes inputs of float64, but 'unit_norm'"),
        ([("a", UnitNorm(64)), ("a", Association(9, 64, 10))], ValueError, "different names, got 'a' twice"),
        ([("readout", UnitNorm(64))], ValueError, "names of layers must not be empty or one of classes, inputs"),
        ([UnitNorm(64), "mixing"], TypeError, r"layers\[1\] must have n_inputs, n_features, encode and .*, got str"),
        ([Mixing], TypeError, r"layers\[0\] must have .*, got the class Mixing: call it"),
        ([UnitNorm(64), Association(9, 64, 3)], ValueError, "layer 'association' tells 3 classes apart, but there are"),
        ([Whitening(64), Association(9, 64, 10)], ValueError, "layer 'association': H must be finite and >= 0, but H"),
        ([UnitNorm(60)], ValueError, "X must have 60 features, as layer 'unit_norm' takes, got 64"),
    ],
)
def test_layers_that_make_no_stack_are_refused(digits, layers, error, match):
    model = stack(layers)
    with pytest.raises(error, match=match):
        model.fit(*digits[:2])
    assert not [name for name in vars(model) if name.endswith("_") or name.startswith("_")]


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"readout": "delt"}, ValueError, "readout must be one of .*'delta', .*, got 'delt'"),
        ({"readout": "votes", "layers": [UnitNorm(64)]}, TypeError, "must be a layer with votes.*, got UnitNorm"),
        ({"schedule": 3}, ValueError, "schedule must be .*, got 3"),
    ],
)
def test_bad_parameters_are_refused_by_name(digits, parameters, error, match):
    model = stack().set_params(**parameters)
    with pytest.raises(error, match=match):
        model.fit(*digits[:2])


def test_what_learning_and_answering_do_not_take_is_refused(digits, fitted):
    X, y, *_ = digits
    with pytest.raises(TypeError, match="NetworkClassifier does not support sample_weight: a cell is"):
        stack().fit(X, y, sample_weight=y)
    with pytest.raises(ValueError, match="classes must be passed to the first call of partial_fit"):
        stack().partial_fit(X, y)
    with pytest.raises(ValueError, match="up_to must be .*'mixing'.*, got 'nowhere'"):
        fitted.transform(X, up_to="nowhere")
    with pytest.raises(ValueError, match=r"X must lie in \[0, 1\] for images"):
        fitted.predict(X + 9)
    with pytest.raises(NotFittedError):
        stack().predict(X)
    with pytest.raises(TypeError, match="NetworkClassifier has no parameter 'shedule'|unexpected keyword"):
        bn.NetworkClassifier([UnitNorm(64)], shedule=3)


def test_a_layer_that_fails_leaves_everything_as_it_was(digits):
    X, y, X_test, _ = digits

    class Failing(Whitening):
        def encode(self, X):
            if getattr(self, "fails", False):
                raise RuntimeError("no more")
            return np.abs(super().encode(X))

    model = stack([UnitNorm(64), ("own", Failing(64)), Association(30, 64, 10)])
    model.partial_fit(X[:100], y[:100], classes=np.arange(10))
    before, step = model.decision_function(X_test), model.network_.association.step
    seen, association = [], model.network_.association
    learn = association.learn

    def learn_and_fail(H, T):
        seen.append(learn(H, T))
        if len(seen) == 3:
            raise RuntimeError("no more")

    association.learn = learn_and_fail
    with pytest.raises(RuntimeError, match="no more"):
        model.partial_fit(X, y)
    model.network_.association.__dict__.pop("learn", None)
    assert seen and model.network_.association.step == step
    np.testing.assert_array_equal(model.decision_function(X_test), before)
    unfitted = stack([UnitNorm(64), ("own", Failing(64)), Association(30, 64, 10)])
    unfitted.layers[1][1].fails = True
    with pytest.raises(RuntimeError, match="no more"):
        unfitted.fit(X, y)
    assert "network_" not in vars(unfitted) and "n_features_in_" not in vars(unfitted)


def test_a_layer_whose_features_are_not_as_many_as_it_says_or_not_finite_is_named(digits):
    class Short(Whitening):
        def encode(self, X):
            return super().encode(X)[:, 1:]

    class Endless(Whitening):
        def encode(self, X):
            return super().encode(X) * np.inf

    with pytest.raises(ValueError, match=r"'short': Short must encode n rows .* \(n, 64\), got .* \(1, 63\) from 1"):
        stack([UnitNorm(64), Short(64), Mixing(64, 30, random_state=0)]).fit(*digits[:2])
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="layer 'endless': must encode .* to finite"):
        stack([UnitNorm(64), Endless(64), Mixing(64, 30, random_state=0)]).fit(*digits[:2])


def test_some_of_the_layers_are_a_network(digits, fitted):
    X = digits[2]
    network = fitted.network_
    part = network.part(0, 2)
    assert isinstance(part, Network) and list(part.layers) == ["features", "mixing"] and not part.readouts
    np.testing.assert_array_equal(network.part(2).logits(part.encode(X), "delta"), network.logits(X, "delta"))
    np.testing.assert_array_equal(network.seen(X), network.part(0, 3).encode(X))


@pytest.mark.parametrize(
    ("made", "got"),
    [
        (lambda X: X.tolist(), "list"),
        (lambda X: None, "NoneType"),
        (lambda X: X.astype(complex), "complex128"),
        (lambda X: X[:-1] if len(X) > 1 else X, "float32 of shape .* from"),
    ],
)
def test_what_a_layer_of_ones_own_makes_is_checked_at_every_row(digits, made, got):
    class Own(UnitNorm):
        def encode(self, X):
            return made(super().encode(X))

    with pytest.raises(ValueError, match=rf"Own must encode n rows to an array of real numbers .* got {got}"):
        stack([Own(64), Mixing(64, 60, random_state=0), Association(30, 60, 10)]).fit(*digits[:2])


def test_a_layer_of_ones_own_cannot_change_the_arrays_of_the_caller(digits):
    class Greedy(UnitNorm):
        def encode(self, X):
            X *= 0.5
            return super().encode(X)

    X, y = digits[0].copy(), digits[1]
    with pytest.raises(ValueError, match="layer 'greedy': .*read-only"):
        stack([Greedy(64), Mixing(64, 60, random_state=0)]).fit(X, y)
    np.testing.assert_array_equal(X, digits[0])


def test_a_step_that_fails_puts_the_first_layer_back_too(digits):
    X, y = digits[:2]
    calls = {"left": 10**9}

    def late(synapses, X, Y, gain):
        calls["left"] -= 1
        if calls["left"] < 0:
            raise RuntimeError("no more")
        return 0.01 * synapses.weight_grad(X, Y)

    model = stack([Association(30, 64, 10, rule=late)]).partial_fit(X[:100], y[:100], classes=np.arange(10))
    before = model.encoder_.synapses.weights.copy()
    calls["left"] = 1
    with pytest.raises(RuntimeError, match="no more"):
        model.partial_fit(X[100:], y[100:])
    assert model.encoder_ is model.network_.encoder
    np.testing.assert_array_equal(model.encoder_.synapses.weights, before)


def test_layers_that_were_set_since_do_not_matter_to_what_was_learned(digits):
    model = stack([UnitNorm(64), Mixing(64, 60, random_state=0)]).fit(*digits[:2])
    before = model.predict(digits[2])
    model.layers = []
    np.testing.assert_array_equal(model.predict(digits[2]), before)
    with pytest.raises(ValueError, match="layers must be a list with at least one layer"):
        model.partial_fit(*digits[:2])
