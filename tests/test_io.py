"""bioneuro.io: what is loaded goes on as what was saved, bit for bit; files of other kinds are refused, never run."""

import dataclasses
import json
import os
import pickle
import sys
import types
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import bioneuro as bn
from bioneuro import connectivity, io, rules
from bioneuro.layers import READOUTS, CompetitiveLayer, Mixing


@cache
def digits():
    data = bn.datasets.load("digits")
    return data.X_train[:400], data.y_train[:400], data.X_test[:100]


def small(**options):
    defaults = {"n_cells": 40, "n_columns": 16, "mixing": 200, "teaching_epochs": 1, "readout_epochs": 2}
    return bn.BioClassifier(**{**defaults, "random_state": 0, **options})


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.npz"


def through(model, path):
    bn.save(model, path)
    return bn.load(path)


def assert_same_classifier(a, b, X):
    np.testing.assert_array_equal(a.decision_function(X), b.decision_function(X))
    np.testing.assert_array_equal(a.transform(X), b.transform(X))
    assert a.weights().keys() == b.weights().keys()
    for name, A in a.weights().items():
        B = b.weights()[name]
        for part in ("indptr", "indices", "data"):
            np.testing.assert_array_equal(getattr(A, part), getattr(B, part), strict=True)


# --- there and back


@pytest.mark.parametrize("value", [np.float32, np.float64])
@pytest.mark.parametrize("index", [np.int32, np.int64])
@pytest.mark.parametrize("sign", ["mixed", "E", "I"])
def test_synapses_come_back_exactly(path, value, index, sign):
    s = connectivity.random(6, 9, density=0.5, sign=sign, random_state=0, dtype=value)
    s = bn.Synapses(s.indptr.astype(index), s.indices.astype(index), s.weights.copy(), 9, sign=sign)
    t = through(s, path)
    assert (t.sign, t.shape) == (s.sign, s.shape)
    for name in ("indptr", "indices", "weights"):
        np.testing.assert_array_equal(getattr(t, name), getattr(s, name), strict=True)
    before = s.weights.copy()
    t.normalize_rows()
    np.testing.assert_array_equal(s.weights, before)


@pytest.mark.parametrize(
    "parameters",
    [
        *({"readout": readout} for readout in READOUTS),
        {"competition": "circuit"},
        {"feature_map": "local"},
        {"mixing": 0},
        {"rule": "bcm"},
    ],
    ids=str,
)
def test_partial_fit_after_loading_is_partial_fit_without_saving(path, parameters):
    """Noise, turnover, recruitment, order of the batches and reward perturbation included."""
    X, y, X_test = digits()
    rule = rules.LogCovariance(sigma=0.3)
    model = small(**{"rule": rule, **parameters}).partial_fit(X[:200], y[:200], classes=np.arange(10))
    resumed = through(model, path)
    assert_same_classifier(model, resumed, X_test)
    for classifier in (model, resumed):
        classifier.partial_fit(X[200:], y[200:])
    assert_same_classifier(model, resumed, X_test)
    np.testing.assert_array_equal(model.network_.association.votes, resumed.network_.association.votes)


def test_fitted_classifier_of_vectors_and_names(path):
    """Adaptation for an encoder, class labels that are Python strings, names of features, float64."""
    pd = pytest.importorskip("pandas")
    X, y, _ = digits()
    frame = pd.DataFrame(X[:, :20], columns=[f"pixel {i}" for i in range(20)])
    names = np.array(["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"], object)[y]
    model = small(image_shape=None, dtype="float64", init=connectivity.LogNormal(-3, 1)).fit(frame, names)
    loaded = through(model, path)
    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))
    assert loaded.classes_.dtype == object and list(loaded.classes_) == list(model.classes_)
    assert list(loaded.feature_names_in_) == list(frame.columns)
    assert loaded.get_params() == model.get_params()
    assert_same_classifier(model, loaded, frame)


def test_mixing_goes_on_adapting(path):
    X = np.random.default_rng(0).normal(size=(20, 9))
    encoder = Mixing(9, 30).learn(X[:10])
    loaded = through(encoder, path)
    np.testing.assert_array_equal(loaded.learn(X[10:]).encode(X), encoder.learn(X[10:]).encode(X))


def test_parts_that_are_shared_stay_shared(path):
    X, y, _ = digits()
    loaded = through(small(encoder=small().fit_features(X).encoder_).fit(X, y), path)
    assert loaded.encoder is loaded.encoder_ is loaded.network_.encoder
    assert all(readout.association is loaded.network_.association for readout in loaded.network_.readouts.values())


def test_unfitted_classifier_keeps_its_parameters(path):
    model = bn.BioClassifier("votes", image_shape=(8, 8), semi_saturation=np.inf, dtype=np.float64, n_cells=np.int64(7))
    loaded = through(model, path)
    assert loaded.get_params() == model.get_params()
    assert loaded.dtype is np.float64 and type(loaded.n_cells) is np.int64 and not hasattr(loaded, "network_")


def test_layer_goes_on_learning(path):
    rng = np.random.default_rng(0)
    synapses = connectivity.dense(6, 8, sign="E", random_state=0)
    layer = CompetitiveLayer(synapses, beta=5.0, rule=rules.LogRelaxation(sigma=0.3), seed=3)
    layer.learn(rng.random((20, 8), np.float32))
    loaded, U = through(layer, path), rng.random((20, 8), np.float32)
    np.testing.assert_array_equal(loaded.learn(U).rates, layer.learn(U).rates)
    np.testing.assert_array_equal(loaded.synapses.weights, layer.synapses.weights)


@pytest.mark.parametrize("name", rules.RULES)
def test_rule_and_pathway_go_on_from_their_state(path, name):
    rule, rng = rules.RULES[name](), np.random.default_rng(0)
    synapses = connectivity.dense(4, 5, sign=rule.signs[0], random_state=0, dtype=float)
    X, Y = rng.random((3, 6, 5)), rng.random((3, 6, 4))

    def learn(rule, synapses, t):
        if rule.rewarded:
            rule.perturb(synapses)
        rule.step(synapses, X[t], Y[t], reward=float(t) if rule.rewarded else None)

    learn(rule, synapses, 0)
    loaded, other = through(rule, path), through(synapses, path)
    assert loaded == rule and other.traces.keys() == synapses.traces.keys()
    for t in (1, 2):
        learn(rule, synapses, t)
        learn(loaded, other, t)
    assert other.traces["steps"] == synapses.traces["steps"] == 3
    np.testing.assert_array_equal(other.weights, synapses.weights)


def test_a_trial_that_awaits_its_reward_goes_on(path):
    rule, synapses = rules.WeightPerturbation(memory=None), connectivity.dense(4, 5, random_state=0, dtype=float)
    synapses.prune(0.5)
    rule.perturb(synapses)
    loaded = through(synapses, path)
    for s in synapses, loaded:
        rule.step(s, np.ones((1, 5)), np.ones((1, 4)), reward=1.0)
    np.testing.assert_array_equal(loaded.weights, synapses.weights)


@pytest.mark.parametrize("source", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_random_generators_go_on(path, source):
    rng = np.random.Generator(source(5))
    rng.integers(0, 2, 3, dtype=np.int32)
    loaded = through(connectivity.Constant(rng), path).value
    np.testing.assert_array_equal(loaded.random(5), rng.random(5))
    assert loaded.integers(0, 99, dtype=np.int32) == rng.integers(0, 99, dtype=np.int32)


def test_random_state_goes_on(path):
    state = np.random.RandomState(3)
    state.normal()  # leaves a spare normal number
    loaded = through(bn.BioClassifier(random_state=state), path).random_state
    np.testing.assert_array_equal(loaded.normal(size=5), state.normal(size=5))


@settings(max_examples=50, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.lists(inner).map(tuple)
            | st.dictionaries(st.text().filter(lambda t: "\0" not in t), inner)
        ),
        max_leaves=10,
    )
)
def test_plain_values_come_back_with_their_types(tmp_path_factory, value):
    loaded = through(connectivity.Constant(value), tmp_path_factory.mktemp("io") / "c").value
    assert repr(loaded) == repr(value)


@pytest.mark.parametrize(
    ("name", "logits", "later"),
    [
        ("softmax", [0.05362463, -0.9489932, -0.09721255], [-0.07766914, -2.4530535, -0.6539879]),
        ("circuit", [0.1842798, 0.523298, 0.5708792], [0.4260301, 0.13993204, 0.28623545]),
    ],
)
@pytest.mark.parametrize("pickled", [False, True])
def test_a_file_of_version_3_goes_on_as_it_would_have_then(name, logits, later, pickled):
    """Layers held the attributes of their competition; logits are those of bioneuro as it was."""
    model = bn.load(Path(__file__).parent / "data" / f"{name}_version_3.npz")
    if pickled:
        model = pickle.loads(pickle.dumps(model))
    data = bn.datasets.load("digits")
    np.testing.assert_allclose(model.decision_function(data.X_test[:1])[0, :3], logits, rtol=1e-4)
    model.partial_fit(data.X_train[100:200], data.y_train[100:200])
    np.testing.assert_allclose(model.decision_function(data.X_test[:1])[0, :3], later, rtol=1e-4)


# --- rules of the user's own


@dataclasses.dataclass(frozen=True, kw_only=True)
class Decay(rules.AdditiveRule):
    """A rule of a user's module."""

    rates: tuple = (0.5, 0.1)

    def delta(self, synapses, w, X, Y):
        return -self.eta * self.rates[0] * w


def halve(synapses, X, Y, gain):
    """A function of a user's module."""
    return -0.5 * synapses.weights


class Room:
    """A class with a rule in it."""

    class Inner(Decay):
        """Found by its whole path."""


OWN = [Decay(eta=0.3, rates=(0.2, 4.0)), Room.Inner(eta=0.7), halve, rules.as_rule(halve)]


@pytest.mark.parametrize("rule", OWN)
def test_rules_of_the_users_own_come_back(path, rule):
    loaded = through(connectivity.Constant(rule), path).value
    assert loaded == rule and type(loaded) is type(rule)
    synapses = connectivity.dense(4, 5, random_state=0)
    before = synapses.weights.copy()
    rules.as_rule(loaded).step(synapses, np.ones((1, 5), np.float32), np.ones((1, 4), np.float32))
    assert (synapses.weights != before).all()


@pytest.fixture
def module(monkeypatch):
    """A user's module ``theirs`` with a rule and a function, where both say they are from."""
    module = types.ModuleType("theirs")
    exec(
        """
from dataclasses import dataclass
from bioneuro.rules import AdditiveRule

@dataclass(frozen=True, kw_only=True)
class Still(AdditiveRule):
    size: float = 2.0

    def delta(self, synapses, w, X, Y):
        return 0 * w

def still(synapses, X, Y, gain):
    return 0 * synapses.weights

def short(synapses):
    pass
""",
        vars(module),
    )
    monkeypatch.setitem(sys.modules, "theirs", module)
    return module


@pytest.mark.parametrize("name", ["Still", "still"])
def test_modules_that_are_not_imported_are_named_and_left_alone(path, module, monkeypatch, name):
    bn.save(as_saved(module, name), path)
    monkeypatch.delitem(sys.modules, "theirs")
    (path.parent / "theirs.py").write_text("raise SystemExit('was imported')")
    monkeypatch.syspath_prepend(path.parent)
    with pytest.raises(ValueError, match=f"it needs {name} of module 'theirs': import theirs before bioneuro.load"):
        bn.load(path)
    assert "theirs" not in sys.modules


def as_saved(module, name):
    thing = getattr(module, name)
    return thing() if isinstance(thing, type) else rules.as_rule(thing)


@pytest.mark.parametrize("name", ["Still", "still"])
def test_modules_that_lost_the_rule(path, module, name):
    bn.save(as_saved(module, name), path)
    module.__getattr__ = lambda name: pytest.fail("the module's code was run")
    delattr(module, name)
    with pytest.raises(ValueError, match=f"it needs {name} of module 'theirs', which has nothing of that name"):
        bn.load(path)


def test_rules_of_a_script_that_are_missing_elsewhere(path, monkeypatch):
    monkeypatch.setattr(halve, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "halve", halve, raising=False)
    bn.save(rules.as_rule(halve), path)
    assert bn.load(path) == rules.as_rule(halve)
    monkeypatch.delattr(sys.modules["__main__"], "halve")
    with pytest.raises(ValueError, match="needs halve, of the script or notebook that saved it: define it before"):
        bn.load(path)


def test_rules_whose_parameters_changed(path, module):
    bn.save(module.Still(), path)
    module.Still = dataclasses.make_dataclass(
        "Still", [("length", float, 1.0)], bases=(rules.AdditiveRule,), frozen=True, kw_only=True
    )
    with pytest.raises(ValueError, match="Still has other parameters now than in the file: length, size"):
        bn.load(path)


def local_rule():
    class Local(Decay):
        pass

    return Local()


def former_rule():
    former = types.FunctionType(halve.__code__, globals(), "halve")
    former.__qualname__, former.__module__ = "halve", __name__
    return former


@pytest.mark.parametrize(
    ("rule", "match"),
    [
        (lambda synapses, X, Y, gain: 0, r"model\.value cannot be saved: a lambda has no name to be found by"),
        (local_rule(), r"model\.value cannot be saved: local_rule.*Local is defined inside a function"),
        (former_rule(), r"model\.value cannot be saved: halve of module '.*test_io' is another object by now"),
    ],
)
def test_rules_that_could_not_be_found_again_are_not_saved(path, rule, match):
    with pytest.raises(TypeError, match=match):
        bn.save(connectivity.Constant(rule), path)
    assert not path.exists()


@pytest.mark.parametrize(
    ("model", "match"),
    [
        ({"kind": "rule", "module": "subprocess", "name": "Popen", "state": {}}, "Popen of .* is not a class of rules"),
        ({"kind": "rule", "module": "bioneuro", "name": "Synapses", "state": {}}, "is not a class of rules"),
        ({"kind": "rule", "module": "subprocess", "name": "", "state": {}}, "has nothing of that name"),
        ({"kind": "function", "module": "subprocess", "name": "getoutput"}, "is not a function of four arguments"),
        ({"kind": "function", "module": "subprocess", "name": "run"}, "is not a function of four arguments"),
        ({"kind": "function", "module": "os", "name": "system"}, "is not a function of four arguments"),
        ({"kind": "function", "module": "os", "name": "path.join"}, "is not a function of four arguments"),
        ({"kind": "object", "class": "Oja", "state": {"step": 1}}, "Oja has other parameters now than in the file"),
    ],
)
def test_only_rules_are_found_by_name(path, model, match):
    rewritten(path, lambda header: header.update(model=model))
    with pytest.raises(ValueError, match=match):
        bn.load(path)


# --- writing


def test_nothing_is_written_when_something_cannot_be_saved(path):
    bn.save(small(), path)
    before = path.read_bytes()
    with pytest.raises(TypeError, match=r"model\.init cannot be saved: a builtins\.function is neither plain data"):
        bn.save(bn.BioClassifier(init=lambda rng, n: np.ones(n)), path)
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


def test_a_write_that_fails_leaves_the_old_file(path, monkeypatch):
    bn.save(small(), path)
    before = path.read_bytes()

    def full(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        bn.save(small(), path)
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]


def test_subclasses_are_not_taken_for_their_parents(path):
    class Mine(bn.BioClassifier):
        pass

    with pytest.raises(TypeError, match=r"model cannot be saved: a .*Mine is neither"):
        bn.save(Mine(), path)


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (np.array([object()]), r"model\.value\[0\] cannot be saved: a builtins\.object"),
        (np.zeros(2, [("a", int)]), r"model\.value cannot be saved: an array of"),
        ({"a": {1: 2}}, r"model\.value\['a'\] cannot be saved: its key 1 is not a string"),
        ([sp.eye_array(2)], r"model\.value\[0\] cannot be saved: a scipy"),
    ],
)
def test_what_cannot_be_saved_is_named_by_its_place(path, value, match):
    with pytest.raises(TypeError, match=match):
        bn.save(connectivity.Constant(value), path)


# --- what is refused


def rewritten(path, change=lambda header: None, **arrays):
    """A saved pathway whose header or arrays were changed."""
    bn.save(connectivity.dense(3, 4, sign="E", random_state=0), path)
    with np.load(path) as archive:
        content = dict(archive)
    header = json.loads(content["header"].tobytes())
    change(header)
    content["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    with open(path, "wb") as file:
        np.savez(file, **(content | arrays))
    return path


def test_no_such_file(path):
    with pytest.raises(FileNotFoundError):
        bn.load(path)


@pytest.mark.parametrize("content", [b"", b"hello", pickle.dumps({"a": 1})])
def test_other_files(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="is not a file written by bioneuro.save, or it was cut short"):
        bn.load(path)


def test_other_archives(path):
    np.savez(path, a=np.ones(3))
    with pytest.raises(ValueError, match="was not written by bioneuro.save: it has no header"):
        bn.load(path)


def test_other_versions(path):
    rewritten(path, lambda header: header.update(version=2, bioneuro="9.1"))
    message = r"has version 2 of the format, written by bioneuro 9.1; this is .* versions 3 and 4"
    with pytest.raises(ValueError, match=message):
        bn.load(path)


def test_pickled_arrays_are_never_opened(path):
    opened = []

    class Bomb:
        def __reduce__(self):
            return opened.append, (1,)

    rewritten(path, a2=np.array([Bomb()], object))
    with pytest.raises(ValueError, match="is damaged, or holds something other than arrays of numbers"):
        bn.load(path)
    assert not opened


@pytest.mark.parametrize("name", ["Popen", "Rule", "__class__"])
def test_only_known_classes_are_made(path, name):
    rewritten(path, lambda header: header.update(model={"kind": "object", "class": name, "state": {}}))
    with pytest.raises(ValueError, match=f"cannot be loaded: class '{name}' is not in bioneuro.io.CLASSES"):
        bn.load(path)


def test_unknown_kinds(path):
    rewritten(path, lambda header: header["model"].update(kind="code"))
    with pytest.raises(ValueError, match="cannot be loaded: unknown kind of value 'code'"):
        bn.load(path)


def test_pathways_are_checked_again(path):
    """A file cannot bring in what a Synapses refuses: wrong signs, faulty structure."""
    rewritten(path, a2=-np.ones(12, np.float32))
    with pytest.raises(ValueError, match="cannot be loaded: sign 'E' needs weights >= 0"):
        bn.load(path)
    rewritten(path, a1=np.full(12, 99, np.int32))
    with pytest.raises(ValueError, match=r"cannot be loaded: indices must lie in \[0, 4\)"):
        bn.load(path)


def test_missing_arrays(path):
    rewritten(path, lambda header: header["model"].update(weights="a7"))
    with pytest.raises(ValueError, match="is damaged: its header and its arrays do not go together"):
        bn.load(path)


def test_every_truncation_is_noticed(path):
    content = rewritten(path).read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="cut short"):
            bn.load(path)


def test_no_changed_byte_changes_a_weight(path):
    """One byte at a time: the file is refused, or the byte was of no account."""
    content = rewritten(path).read_bytes()
    expected = bn.load(path)
    refused = 0
    for i in range(0, len(content), 3):
        path.write_bytes(content[:i] + bytes([content[i] ^ 0xFF]) + content[i + 1 :])
        try:
            loaded = bn.load(path)
        except ValueError:
            refused += 1
        else:
            np.testing.assert_array_equal(loaded.to_scipy().toarray(), expected.to_scipy().toarray())
    assert refused > len(content) / 6


def test_registry_knows_every_layer_and_rule():
    public = {getattr(bn.layers, name) for name in bn.layers.__all__ if isinstance(getattr(bn.layers, name), type)}
    concrete = {cls for cls in public if not getattr(cls, "_is_protocol", False) and not issubclass(cls, tuple)}
    assert concrete | set(rules.RULES.values()) <= set(io.CLASSES.values())
