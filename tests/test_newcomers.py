"""What stopped people who had just found the package: inputs as they have them, models of their own, things printed."""

import inspect
import re
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

import bioneuro as bn
from bioneuro import BioClassifier
from bioneuro.attacks import worst_case

SMALL = {
    "n_cells": 20, "mixing": 30, "encoder__n_columns": 4, "schedule__teaching_epochs": 1, "schedule__readout_epochs": 1,
    "random_state": 0, "n_threads": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def digits():
    data = bn.datasets.load("digits")
    return data.X_train[:80], data.y_train[:80]


@pytest.fixture(scope="module")
def fitted(digits):
    return BioClassifier(**SMALL).fit(*digits)


# --- arrays ---


def test_images_are_taken_as_such(digits, fitted):
    X, y = digits
    images = X.reshape(-1, 8, 8)
    model = BioClassifier(**SMALL).fit(images, y)
    assert model.image_shape_ == (8, 8)
    np.testing.assert_array_equal(model.decision_function(images[..., None]), fitted.decision_function(X))
    np.testing.assert_array_equal(model.transform(images), fitted.transform(X))
    np.testing.assert_array_equal(model.input_gradient(images, y), fitted.input_gradient(X, y))


def test_colour_images_have_their_shape():
    images = np.random.default_rng(0).random((12, 6, 5, 3))
    model = BioClassifier(**SMALL).fit(images, np.arange(12) % 2)
    assert model.image_shape_ == (6, 5, 3) and model.n_features_in_ == 90


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((5, 3, 8, 8), r"channels seem to come first in \(3, 8, 8\): pass np.moveaxis\(X, 1, -1\)"),
        ((5, 4, 16), r"X must be images of image_shape \(8, 8\), got images of \(4, 16\)"),
        ((5, 2, 2, 4, 4), "say by image_shape how a row is an image"),
    ],
)
def test_other_images_are_refused_by_shape(fitted, shape, message):
    with pytest.raises(ValueError, match=message):
        fitted.predict(np.zeros(shape))


def test_bytes_are_told_their_scale(digits):
    with pytest.raises(ValueError, match="pass X / 255"):
        BioClassifier(**SMALL).fit((255 * digits[0]).astype(np.uint8), digits[1])


@pytest.mark.parametrize("kind", ["torch", "__array__", "DLPack"])
def test_arrays_of_other_libraries(digits, fitted, kind):
    X, y = digits
    model = BioClassifier(**SMALL)
    if kind == "torch":
        torch = pytest.importorskip("torch")
        given, labels = torch.tensor(X, requires_grad=True), torch.tensor(y)
    else:
        given, labels = (Array if kind == "__array__" else Exchanged)(X), y
    model.fit(given, labels)
    np.testing.assert_array_equal(model.decision_function(given), fitted.decision_function(X))


class Array:
    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self.values, dtype)


class Exchanged:
    def __init__(self, values):
        self.values = values

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


# --- tables ---


def test_a_table_that_looks_like_images_by_its_size_alone_warns():
    rng = np.random.default_rng(0)
    X, y = rng.beta(0.5, 2, size=(200, 64)), rng.integers(0, 3, 200)
    with pytest.warns(UserWarning, match=r"64 features, .* 8 x 8 pixels, but neighbouring .*: pass image_shape=None"):
        BioClassifier(**SMALL).fit(X, y)
    for shape in (None, (8, 8)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            BioClassifier(**SMALL, image_shape=shape).fit(X, y)


@pytest.mark.parametrize("as_given", [np.asarray, pd.DataFrame], ids=["array", "frame"])
def test_images_do_not_warn(digits, as_given):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        BioClassifier(**SMALL).fit(as_given(digits[0]), digits[1])


def test_sample_weight_is_refused_by_name(digits):
    X, y = digits
    with pytest.raises(TypeError, match="does not support sample_weight: .* repeat rows instead"):
        BioClassifier(**SMALL).fit(X, y, sample_weight=np.ones(len(y)))
    with pytest.raises(TypeError, match="does not support sample_weight"):
        BioClassifier(**SMALL).partial_fit(X, y, np.unique(y), sample_weight=np.ones(len(y)))
    with pytest.raises(ValueError, match="sample_weight"):
        AdaBoostClassifier(BioClassifier(**SMALL)).fit(X, y)


# --- models of one's own under attack ---


@pytest.mark.parametrize(
    "model", [RandomForestClassifier(10, random_state=0), KNeighborsClassifier(3)], ids=["forest", "k-nn"]
)
def test_a_model_without_gradients_is_attacked_by_what_needs_none(digits, model):
    X, y = digits
    found = worst_case(model.fit(X, y), X[:4], y[:4], 0.3)
    assert {"square", "rays"} <= set(found.attacks) and not {"fgsm", "apgd-ce"} & set(found.attacks)
    assert found.success.any() and found.n_tried[0, found.attacks.index("square")] >= 0
    with pytest.raises(TypeError, match="without gradients, choose black-box attacks"):
        worst_case(model, X[:4], y[:4], 0.3, attacks=["fgsm"])


def test_from_sklearn(digits):
    X, y = digits
    forest = RandomForestClassifier(10, random_state=0).fit(X, y)
    model = bn.adapters.from_sklearn(forest)
    np.testing.assert_allclose(np.exp(model.decision_function(X)), forest.predict_proba(X), atol=1e-11)
    np.testing.assert_array_equal(model.predict(X), forest.predict(X))
    linear = SGDClassifier(random_state=0).fit(X, y)
    assert bn.adapters.from_sklearn(linear) is linear
    with pytest.raises(TypeError, match="must be a fitted classifier, but GaussianNB lacks classes_"):
        bn.adapters.from_sklearn(GaussianNB())


def test_from_torch(digits):
    torch = pytest.importorskip("torch")
    X, _ = digits
    torch.manual_seed(0)
    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Dropout(0.5), torch.nn.Linear(108, 10)
    ).double()
    labels = np.arange(10) + 5
    model = bn.adapters.from_torch(module, labels, image_shape=(8, 8))
    module.eval()
    wanted = module(torch.tensor(X.astype(float).reshape(-1, 1, 8, 8))).detach().numpy()
    module.train()
    np.testing.assert_allclose(model.decision_function(X.astype(float)), wanted, atol=1e-12)
    assert all(part.training for part in module.modules())
    y = model.predict(X)
    np.testing.assert_array_equal(y, labels[wanted.argmax(axis=1)])
    x, step = X[:1].astype(float) * 0.9 + 0.05, np.zeros((1, 64))
    step[0, 27] = 1e-6
    rise = [loss_at(model, x + s * step, y[:1]) for s in (1, -1)]
    assert model.input_gradient(x, y[:1])[0, 27] == pytest.approx((rise[0] - rise[1]) / 2e-6, rel=1e-5)
    assert worst_case(model, X[:5], y[:5], 0.3, attacks=["pgd-ce"]).success.any()
    with pytest.raises(ValueError, match=r"one logit for each of the 3 classes, got outputs of shape \(2, 10\)"):
        bn.adapters.from_torch(module, [0, 1, 2], (8, 8)).predict(X[:2])
    with pytest.raises(TypeError, match="does not learn here"):
        model.fit(X, y)


def loss_at(model, X, y):
    return -np.log(model.predict_proba(X)[0, np.searchsorted(model.classes_, y)[0]])


# --- tables of models ---


def test_comparisons_take_estimators_and_functions_of_the_seed(digits):
    X, y = digits
    models = {
        "bayes": GaussianNB(var_smoothing=1e-2),
        "sgd": SGDClassifier(),
        "made": lambda seed: SGDClassifier(random_state=seed),
    }
    stream = bn.continual.split(X, y, X, y)
    found = bn.continual.compare(models, lambda seed: stream, [3])
    one, other = (found.loc[found["model"] == name, "accuracy"].tolist() for name in ("sgd", "made"))
    assert one == other and set(found["model"]) == set(models)
    episodes = bn.fewshot.EpisodeSampler(X, y, n_episodes=2, n_query=1, random_state=0)
    table = bn.fewshot.compare({"bayes": models["bayes"], "made": lambda seed: KNeighborsClassifier(1)}, episodes)
    assert len(table) == 4
    for compare, arguments in ((bn.continual.compare, (lambda seed: stream, [0])), (bn.fewshot.compare, (episodes,))):
        with pytest.raises(TypeError, match="got the class GaussianNB: call it"):
            compare({"class": GaussianNB}, *arguments)
        with pytest.raises(TypeError, match="estimators or functions of the seed, got 3"):
            compare({"three": 3}, *arguments)


# --- what is printed ---


def test_a_stream_is_a_line(digits):
    stream = bn.continual.split(*digits, *digits)
    assert repr(stream).count("\n") == 0 and "80 samples of 64 features, 5 tasks, 10 classes" in repr(stream)


def test_results_of_streams_and_episodes_are_a_line(digits):
    result = bn.continual.run(bn.baselines.NearestClassMean(), bn.continual.split(*digits, *digits))
    assert repr(result).startswith("Result(5 tasks, tested after 5 parts: average accuracy ")
    sampler = bn.fewshot.EpisodeSampler(*digits, n_way=5, n_shot=1, n_query=2, n_episodes=3)
    assert repr(sampler) == "EpisodeSampler(3 episodes, 5-way 1-shot, 2 queries a class, of 10 classes)"


class OnlyDLPack:
    """An array of a library that NumPy does not know."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_labels_may_come_by_dlpack_as_images_may(fitted, digits):
    X, y = digits[0][:5], digits[1][:5]
    there = OnlyDLPack(X.copy()), OnlyDLPack(y.copy())
    np.testing.assert_array_equal(fitted.input_gradient(*there), fitted.input_gradient(X, y))
    attack = bn.attacks.FGSM()
    np.testing.assert_array_equal(attack(fitted, *there, [0.1]).adversarial, attack(fitted, X, y, [0.1]).adversarial)


def test_a_fitted_network_tells_its_layers_sizes_densities_and_signs(fitted):
    text, page = repr(fitted.network_), fitted.network_._repr_html_()
    assert text.startswith("Network(FeatureMap 64 -> Mixing 30 -> Association 20 -> votes, delta 10)")
    for name, W in fitted.weights().items():
        row = next(line.split() for line in text.splitlines() if line.split()[0] == name)
        assert str(W.nnz) in row and ("I" if W.nnz and W.data.max() <= 0 else "E") in row
        assert f"<td>{name}</td>" in page
    assert "<caption>FeatureMap 64 -&gt; Mixing 30" in page


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: bn.Schedule(redout_epochs=1),
            "Schedule has no parameter 'redout_epochs': did you mean 'readout_epochs'?",
        ),
        (lambda: bn.Supervision(kapa=1), "Supervision has no parameter 'kapa': did you mean 'kappa'?"),
        (lambda: bn.rules.Turnover(xyz=1), "Turnover has no parameter 'xyz': it has birth, death, gamma"),
        (lambda: bn.History([[0]], [0], evry=1), "History has no parameter 'evry': did you mean 'every'?"),
        (lambda: bn.Synapses([0], [0], [0], 1, sgn="E"), "Synapses has no parameter 'sgn': did you mean 'sign'?"),
        (
            lambda: bn.layers.MapSettings(n_column=1),
            "MapSettings has no parameter 'n_column': did you mean 'n_columns'?",
        ),
        (lambda: bn.layers.Mixing(4, n_cell=1), "Mixing has no parameter 'n_cell': did you mean 'n_cells'?"),
        (lambda: bn.attacks.PGD(n_step=1), "PGD has no parameter 'n_step': did you mean 'n_steps'?"),
        (lambda: bn.attacks.Transfer(None, atack="pgd"), "Transfer has no parameter 'atack': did you mean 'attack'?"),
        (
            lambda: bn.baselines.SparseMLP(densty=0.1),
            "SparseMLP has no parameter 'densty': did you mean 'density'?",
        ),
    ],
)
def test_a_name_that_is_nearly_right_is_told(make, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        make()


def test_what_is_told_of_names_leaves_the_signature_as_it_is():
    assert list(inspect.signature(bn.rules.Turnover).parameters) == ["birth", "death", "gamma"]
    assert list(inspect.signature(bn.Synapses).parameters) == ["indptr", "indices", "data", "n_pre", "sign"]
    assert bn.baselines.NearestNeighbour(softness=0.2).get_params()["softness"] == 0.2


def test_layers_and_callbacks_print_what_they_are(fitted):
    printed = [repr(layer) for layer in fitted.network_.layers.values()]
    assert printed == ["FeatureMap(64 -> 64)", "Mixing(64 -> 30)", "Association(30 -> 20)"]
    assert repr(bn.layers.UnitNorm(3)) == "UnitNorm(3 -> 3)" and repr(bn.layers.Adaptation(3)) == "Adaptation(3 -> 6)"
    assert repr(bn.History([[0], [1]], [0, 1])) == "History(2 samples, 0 passes measured)"


def test_importing_the_package_imports_neither_scikit_learn_nor_scipy():
    code = "import bioneuro, sys; print([m for m in ('sklearn', 'scipy', 'pandas') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_public_names_are_there_when_asked_for():
    assert set(bn.__all__) <= set(dir(bn)) and all(getattr(bn, name) is not None for name in bn.__all__)
    with pytest.raises(AttributeError, match="module 'bioneuro' has no attribute 'classifer'"):
        _ = bn.classifer


@pytest.mark.parametrize("name", ["fit", "partial_fit", "fit_features", "transform", "weights"])
def test_docstrings_are_whole(name):
    text = getattr(BioClassifier, name).__doc__
    assert "Returns\n        -------" in text and "Raises\n        ------" in text


# --- a slip of the pen is named


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, X, y: bn.attacks.worst_case(m, X, y, [0.1], attacks=[3]), "attacks must be names or Attack objects"),
        (
            lambda m, X, y: bn.attacks.worst_case(m, X, y, [0.1], attacks=[bn.attacks.PGD]),
            "attacks must be names or Attack objects",
        ),
        (
            lambda m, X, y: clone(m).partial_fit(X, y, classes={0, 1, 2}),
            "classes must be a sequence of labels, got {0, 1, 2}",
        ),
        (lambda m, X, y: clone(m).partial_fit(X, y, classes=[]), r"classes must be a sequence of labels, got \[\]"),
        (lambda m, X, y: clone(m).set_params(rule=3, rule__eta=0.2), "has no parameter 'rule__eta': (?!.*'rule__eta')"),
        (lambda m, X, y: clone(m).set_params(n_threads=2000).fit(X, y), r"n_threads must be an integer in \[1, 1024\]"),
        (lambda m, X, y: bn.analysis.density(np.array([[np.nan, 0.0]])), "W must be finite"),
        (lambda m, X, y: bn.baselines.make("mlp", hidden=3).fit(X, y), "hidden must be a sequence of integers, got 3"),
        (lambda m, X, y: bn.baselines.make("mlp", contrast=1.5).fit(X, y), "contrast must be None or .* got 1.5"),
        (lambda m, X, y: bn.plot.weight_distribution(m, ax=3), "ax must be one Axes or None, got int"),
        (lambda m, X, y: bn.plot.rank_map([1]), "ranks must be a DataFrame, got list"),
        (
            lambda m, X, y: bn.plot.receptive_fields(np.zeros((0, 64)), (8, 8)),
            "W must be finite and have at least one row",
        ),
        (
            lambda m, X, y: bn.plot.receptive_fields(np.full((1, 64), np.nan), (8, 8)),
            "W must be finite and have at least one row",
        ),
        (
            lambda m, X, y: bn.fewshot.ElasticMatcher(image_shape=(8, 8), rings=[(0, 1, np.nan, 1)]).fit(X),
            r"blur of rings\[0\] must be a finite number >= 0, got nan",
        ),
        (
            lambda m, X, y: bn.fewshot.ElasticMatcher(image_shape=(8, 8), rings=[(1, 0, 1, 1)]).fit(X),
            r"n_angles of rings\[0\] must be an integer >= 1, got 0",
        ),
    ],
)
def test_a_wrong_argument_is_named(few, call, message):
    model, X, y = few
    with pytest.raises((TypeError, ValueError), match=message):
        call(model, X, y)


@pytest.fixture(scope="module")
def few():
    data = bn.datasets.load("digits")
    X, y = data.X_train[:60], data.y_train[:60] % 3
    return bn.BioClassifier(n_cells=20, mixing=50, random_state=0).fit(X, y), X, y
