"""bioneuro.io: what is loaded goes on as what was saved, bit for bit; files of other kinds are refused, never run."""

import copy
import dataclasses
import json
import os
import pickle
import subprocess
import sys
import tracemalloc
import types
import warnings
import zipfile
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import GridSearchCV

import bioneuro as bn
from bioneuro import connectivity, io, layers, rules
from bioneuro._attributes import Missing, check_attributes, unmet
from bioneuro.layers import READOUTS, CompetitiveLayer, Mixing


@cache
def digits():
    data = bn.datasets.load("digits")
    return data.X_train[:400], data.y_train[:400], data.X_test[:100]


def small(**options):
    defaults = {
        "n_cells": 40,
        "encoder__n_columns": 16,
        "mixing": 200,
        "schedule__teaching_epochs": 1,
        "schedule__readout_epochs": 2,
    }
    return bn.BioClassifier(**{**defaults, "random_state": 0, **options})


def holding(value):
    """An unfitted model with any value for a parameter: it is checked by ``fit``."""
    return bn.BioClassifier(encoder=value)


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
        {"encoder__feature_map": "local"},
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
    model = small(image_shape=None, dtype="float64", growth__init=connectivity.LogNormal(-3, 1)).fit(frame, names)
    loaded = through(model, path)
    np.testing.assert_array_equal(loaded.predict(frame), model.predict(frame))
    assert loaded.classes_.dtype == object and list(loaded.classes_) == list(model.classes_)
    assert list(loaded.feature_names_in_) == list(frame.columns)
    assert loaded.get_params() == model.get_params()
    assert_same_classifier(model, loaded, frame)


def test_mixing_goes_on_adapting(path):
    X = np.random.default_rng(0).normal(size=(20, 9))
    encoder = Mixing(9, 30, random_state=0).learn(X[:10])
    loaded = through(encoder, path)
    np.testing.assert_array_equal(loaded.learn(X[10:]).encode(X), encoder.learn(X[10:]).encode(X))


def test_parts_that_are_shared_stay_shared(path):
    X, y, _ = digits()
    loaded = through(small(encoder=small().fit_features(X).encoder_).fit(X, y), path)
    assert loaded.encoder is loaded.encoder_ is loaded.network_.encoder
    assert all(readout.association is loaded.network_.association for readout in loaded.network_.readouts.values())


def test_unfitted_classifier_keeps_its_parameters(path):
    model = bn.BioClassifier(
        "votes", image_shape=(8, 8), encoder__semi_saturation=np.inf, dtype=np.float64, n_cells=np.int64(7)
    )
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
    loaded = through(holding(rng), path).encoder
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
    loaded = through(holding(value), tmp_path_factory.mktemp("io") / "c").encoder
    assert repr(loaded) == repr(value)


@pytest.mark.parametrize(
    ("name", "logits", "later"),
    [
        ("softmax", [0.05362463, -0.9489932, -0.09721255], [-1.0669106, 1.0065095, -0.6915761]),
        ("circuit", [0.1842798, 0.523298, 0.5708792], [0.4286784, 0.24619412, -0.06998777]),
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
    model.set_params(growth__vigilance=None)  # growth was another then
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
    loaded = through(holding(rule), path).encoder
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
        (lambda synapses, X, Y, gain: 0, r"model\.encoder cannot be saved: a lambda has no name to be found by"),
        (local_rule(), r"model\.encoder cannot be saved: local_rule.*Local is defined inside a function"),
        (former_rule(), r"model\.encoder cannot be saved: halve of module '.*test_io' is another object by now"),
    ],
)
def test_rules_that_could_not_be_found_again_are_not_saved(path, rule, match):
    with pytest.raises(TypeError, match=match):
        bn.save(holding(rule), path)
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
    with pytest.raises(
        TypeError, match=r"model\.growth\.init cannot be saved: a builtins\.function is neither plain data"
    ):
        bn.save(bn.BioClassifier(growth=bn.layers.GrowthSettings(init=lambda rng, n: np.ones(n))), path)
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
        (np.array([object()]), r"model\.encoder\[0\] cannot be saved: a builtins\.object"),
        (np.zeros(2, [("a", int)]), r"model\.encoder cannot be saved: an array of"),
        ({"a": {1: 2}}, r"model\.encoder\['a'\] cannot be saved: its key 1 is not a string"),
        ([sp.csr_array(np.eye(2))], r"model\.encoder\[0\] cannot be saved: a scipy"),
    ],
)
def test_what_cannot_be_saved_is_named_by_its_place(path, value, match):
    with pytest.raises(TypeError, match=match):
        bn.save(holding(value), path)


# --- what is refused


def rewritten(path, change=lambda header: None, **arrays):
    """A saved pathway whose header or arrays were changed."""
    bn.save(connectivity.dense(3, 4, sign="E", random_state=0), path)
    return edited(path, change, **arrays)


def edited(path, change, **arrays):
    """A file whose header or arrays were changed, all else as it was."""
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
    message = r"has version 2 of the format, written by bioneuro 9.1; this is .* versions 3 to 6"
    with pytest.raises(ValueError, match=message):
        bn.load(path)


def test_pickled_arrays_are_never_opened(path):
    opened = []

    class Bomb:
        def __reduce__(self):
            return opened.append, (1,)

    rewritten(path, a2=np.array([Bomb()], object))
    with pytest.raises(ValueError, match="array 'a2' is damaged: it has no header of an array of numbers or strings"):
        bn.load(path)
    assert not opened


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        *(
            ({"kind": "object", "class": name, "state": {}}, f"class '{name}' is not in bioneuro.io.CLASSES")
            for name in ("Popen", "Rule", "__class__")
        ),
        ({"kind": "code"}, "unknown kind of value 'code'"),
        ({"weights": "a7"}, "it has no array 'a7', or names it twice"),
    ],
)
def test_only_what_is_known_and_there_is_made(path, change, problem):
    rewritten(path, lambda header: header["model"].update(change))
    with pytest.raises(ValueError, match=f"cannot be loaded: {problem}"):
        bn.load(path)


def test_pathways_are_checked_again(path):
    """A file cannot bring in what a Synapses refuses: wrong signs, faulty structure."""
    rewritten(path, a2=-np.ones(12, np.float32))
    with pytest.raises(ValueError, match="cannot be loaded: sign 'E' needs weights >= 0"):
        bn.load(path)
    rewritten(path, a1=np.full(12, 99, np.int32))
    with pytest.raises(ValueError, match=r"cannot be loaded: indices must lie in \[0, 4\)"):
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


# --- parameters out of a grid search


def test_winner_of_a_grid_search_is_saved(path):
    """Its parameters are NumPy scalars, and a name among them becomes the key of a dict."""
    X, y, X_test = digits()
    grid = {
        "readout": np.array(["delta"]),
        "competition__beta": np.array([2, 3], np.float32),
        "n_cells": np.array([20, 30]),
    }
    best = GridSearchCV(small(mixing=50), grid, cv=2).fit(X, y).best_estimator_
    assert type(best.readout) is np.str_
    loaded = through(best, path)
    assert_same_classifier(best, loaded, X_test)
    assert loaded.get_params() == best.get_params()


@pytest.mark.parametrize(
    "value",
    [
        np.str_("a"),
        np.str_(""),
        np.float16(0.1),
        np.bool_(True),
        np.int8(-3),
        np.datetime64("2026-01-01"),
        np.bytes_(b"a"),
    ],
)
def test_numpy_scalars_come_back_with_their_types(path, value):
    loaded = through(holding([value]), path).encoder[0]
    assert type(loaded) is type(value) and loaded == value


def test_arrays_of_empty_strings_come_back(path):
    value = np.array(["", ""])
    np.testing.assert_array_equal(through(holding(value), path).encoder, value, strict=True)


def test_memory_mapped_weights_are_saved_and_what_is_loaded_can_learn(path, tmp_path):
    """As joblib hands large models to its workers."""
    joblib = pytest.importorskip("joblib")
    X, y, X_test = digits()
    model = small(mixing=0).fit(X, y)
    joblib.dump(model, tmp_path / "dump")
    mapped = joblib.load(tmp_path / "dump", mmap_mode="r")
    loaded = through(mapped, path)
    assert_same_classifier(loaded, model, X_test)
    loaded.partial_fit(X[:20], y[:20])


# --- one file for one model


def test_file_depends_on_the_model_alone(path, tmp_path):
    X, y, _ = digits()
    model = small(competition="circuit").fit(X, y)
    bn.save(model, path)
    bn.save(bn.load(path), tmp_path / "again.npz")
    bn.save(small(competition="circuit", n_threads=None).fit(X, y), tmp_path / "other.npz")
    assert path.read_bytes() == (tmp_path / "again.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()


STREAM = """
import sys
import numpy as np
import bioneuro as bn
data = bn.datasets.load("digits")
folder, name, *competitions = sys.argv[1:]
for competition in competitions:
    path = f"{folder}/{competition}-{name}.npz"
    model = bn.BioClassifier(n_cells=30, encoder__n_columns=8, mixing=100, competition=competition, random_state=0)
    for start in range(0, 150, 30):
        rows = slice(start, start + 30)
        model.partial_fit(data.X_train[rows], data.y_train[rows], classes=np.arange(10))
        if name == "resumed":
            bn.save(model, path)
            model = bn.load(path)
    bn.save(model, path)
"""


def test_file_depends_neither_on_threads_nor_on_where_it_was_saved_on_the_way(tmp_path):
    """Byte by byte, in three processes: one thread, three threads, saved and loaded after every step."""
    competitions = "softmax", "circuit"
    for name, threads in {"plain": "1", "threads": "3", "resumed": "1"}.items():
        environment = os.environ | {"BIONEURO_NUM_THREADS": threads}
        command = [sys.executable, "-c", STREAM, tmp_path, name, *competitions]
        subprocess.run(command, env=environment, check=True, timeout=300)
    for competition in competitions:
        files = list(tmp_path.glob(f"{competition}-*.npz"))
        assert len(files) == 3 and len({path.read_bytes() for path in files}) == 1, competition


def test_values_that_hold_themselves_are_not_saved(path):
    value = []
    value.append(value)
    with pytest.raises(ValueError, match="model cannot be saved: values lie in each other more than 64 deep"):
        bn.save(holding(value), path)
    assert not path.exists()


def test_header_too_large_to_load_is_not_saved(path, monkeypatch):
    monkeypatch.setattr(io, "LARGEST_HEADER", 100)
    with pytest.raises(TypeError, match="model cannot be saved: its values that are no arrays take .* more than 100"):
        bn.save(small(), path)


# --- what a model must be


def every_saved_class():
    """An instance of each class that says what its attributes must be."""
    rng = np.random.default_rng(0)
    E = connectivity.dense(8, 6, sign="E", random_state=0)
    association = layers.Association(8, 6, 3, teacher="contrastive", turnover=rules.Turnover())
    circuit = layers.Circuit(8, 6, 3)
    for layer in association, circuit:
        layer.learn(rng.random((12, 6), np.float32), np.eye(3, dtype=np.float32)[np.arange(12) % 3])
    retina = layers.Retina(3)
    made = [
        association,
        association.competition,
        circuit,
        circuit.competition,
        layers.Adaptation(5).learn(rng.random((4, 5))),
        layers.PassedOn(3),
        layers.CompetitiveLayer(E, beta=2.0),
        layers.Hypercolumns(connectivity.dense(8, 6, sign="E", random_state=0), 4, beta=2.0),
        layers.FeatureMap((6, 7), n_columns=4, retina=retina, random_state=0),
        layers.LocalMap((6, 7), n_columns=4, retina=retina, stride=2, random_state=0),
        layers.Mixing(6, 10, random_state=0).learn(rng.random((5, 6))),
        retina,
        layers.UnitNorm(4),
        *(READOUTS[name](association, 3) for name in READOUTS),
        bn.NetworkClassifier([layers.UnitNorm(64)]).fit(*digits()[:2]),
        small().fit(*digits()[:2]),
    ]
    return {type(one).__name__: one for one in [*made, made[-1].network_]}


def test_every_class_says_what_its_attributes_must_be():
    plain = {name for name, cls in io.CLASSES.items() if not dataclasses.is_dataclass(cls)}
    made = every_saved_class()
    assert made.keys() == plain
    for one in made.values():
        check_attributes(one)


@pytest.mark.parametrize("name", sorted(name for name, cls in io.CLASSES.items() if not dataclasses.is_dataclass(cls)))
def test_missing_and_strange_attributes_are_refused(name):
    """Each in turn is left out, made NaN and made text."""
    one = every_saved_class()[name]
    for attribute, need in type(one).SAVED.items():
        if attribute is ...:
            continue
        for wrong in (None, np.nan, "text", np.full(3, np.nan), [1]):
            other = copy.copy(one)
            vars(other)[attribute] = wrong
            if wrong is None and unmet(need, None, one) is None:
                continue
            with pytest.raises(ValueError, match=rf"^{name}.{attribute} must be"):
                check_attributes(other)
        if not isinstance(need, Missing):
            other = copy.copy(one)
            del vars(other)[attribute]
            with pytest.raises(ValueError, match=f"{name}.{attribute} is missing"):
                check_attributes(other)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda m: m.network_.association.competition.__setattr__("beta", np.inf), "SoftmaxPool.beta must"),
        (lambda m: m.network_.association.votes.__setitem__(0, np.nan), "Association.votes must be an array"),
        (lambda m: m.__setattr__("classes_", m.classes_[:5]), "Network with n_classes = 5, not 10"),
        (lambda m: m.__setattr__("classes_", m.classes_[::-1].copy()), "BioClassifier.classes_ must be a sorted array"),
        (lambda m: m.encoder_._pool_rows.__setitem__(0, np.inf), "FeatureMap._pool_rows must be an array"),
        (lambda m: m.__setattr__("n_features_in_", 63), "BioClassifier.encoder_ must be .*n_inputs = 63"),
        (lambda m: m.__setattr__("image_shape_", (8, 9)), r"must make 64 features, got \(8, 9\)"),
        (lambda m: damage(m.set_params(growth__vigilance=0.5).growth, "vigilance"), "vigilance must be None or a num"),
        (lambda m: m.__delattr__("growth"), "parameters of a BioClassifier are missing: growth"),
        (lambda m: m.__delattr__("_rng"), "must have _rng"),
        (lambda m: m.__delattr__("image_shape_"), "must have n_features_in_ and image_shape_"),
        (lambda m: m.__setattr__("dtype", "float64"), "dtype must be that of what was learned, float32, got 'float64'"),
        (lambda m: m.encoder_.retina.__setattr__("c0", 10**30), "Retina.c0 must be a finite number > 0, got 1000"),
        (lambda m: enlarge(m.network_.readouts["delta"].excitatory), "weights of at most 1000, shape .10, 40., got"),
        (lambda m: m.encoder_.__setattr__("dtype", np.dtype(float)), "with synapses.dtype = float64, not float32"),
        (lambda m: m.network_.association.__setattr__("age", np.ones(40, int)), "Association.age must be"),
        (lambda m: m.__setattr__("predict", 1), "BioClassifier.predict is not one of its attributes"),
        (lambda m: m.network_.readouts.clear(), "Network.readouts must be a dict with at least one name"),
        (lambda m: traces(m).update(pre_mean=np.ones(3)), r"traces\['pre_mean'\] of a pathway must be an array"),
        (lambda m: traces(m).update(x_ij=np.ones(3)), r"traces\['x_ij'\] of a pathway must be an array"),
        (lambda m: traces(m).update({"BCM.theta": 3}), r"traces\['BCM.theta'\] of a pathway must be an array"),
    ],
)  # fmt: skip
def test_broken_models_are_not_saved(path, change, match):
    """And so are not loaded: both ask :func:`check_attributes`."""
    model = small(mixing=0).fit(*digits()[:2])
    change(model)
    with pytest.raises(ValueError, match=match):
        bn.save(model, path)
    assert not path.exists()


def damage(settings, name):
    vars(settings)[name] = np.nan


def enlarge(synapses):
    synapses.add(np.full(synapses.nnz, 1e30, synapses.dtype))


def traces(model):
    return model.network_.association.synapses.traces


@pytest.mark.parametrize(
    ("part", "change", "match"),
    [
        ("competition", {"beta": {"kind": "float", "value": "nan"}}, "SoftmaxPool.beta must be .*, got nan"),
        ("competition", {"beta": 1e30}, r"SoftmaxPool.beta must be a number in \(0, 1e\+06\], got 1e\+30"),
        ("association", {"n_threads": 0}, "Association.n_threads must be an integer >= 1"),
        ("association", {"learn": 3}, "Association.learn is not one of its attributes"),
        ("association", {"rule": {"kind": "dict", "items": {}}}, "Association.rule must be Rule, got dict"),
        ("association", {"seed": 1 << 70}, "Association.seed must be an integer"),
        ("encoder_", {"height": 10**9}, "FeatureMap._pool_rows must be an array .*1000000000"),
        ("encoder_", {"chunk_pixels": 1}, "FeatureMap.chunk_pixels is not one of its attributes"),
    ],
)  # fmt: skip
def test_broken_models_are_not_loaded(path, part, change, match):
    bn.save(small(mixing=0).fit(*digits()[:2]), path)

    def broken(header):
        found = [value for value in objects_of(header["model"]) if isinstance(value.get(part), dict)]
        found[0][part]["state"].update(change)

    with pytest.raises(ValueError, match=f"cannot be loaded: {match}"):
        bn.load(edited(path, broken))


def objects_of(value):
    """The state of every object, and the items of every dict, in a header."""
    if isinstance(value, dict):
        if value.get("kind") in ("object", "dict"):
            yield value.get("state", value.get("items"))
        for inner in value.values():
            yield from objects_of(inner)


@pytest.mark.parametrize(
    ("rule", "parameter", "value", "match"),
    [
        (rules.Oja(), "eta", -1, "eta must be a finite number > 0, got -1"),
        (rules.Oja(), "eta", "fast", "Oja.eta must be a number, got 'fast'"),
        (rules.Oja(), "n_threads", 1.5, "Oja.n_threads must be "),
        (
            rules.Turnover(),
            "gamma",
            {"kind": "float", "value": "inf"},
            r"gamma must be a number in \[0, 100\], got inf",
        ),
        (connectivity.LogNormal(), "sigma", -1, "sigma must be a finite number >= 0, got -1"),
        (connectivity.Constant(), "value", {"kind": "list", "items": []}, "Constant.value must be a number"),
    ],
)
def test_parameters_are_checked_by_their_class(path, rule, parameter, value, match):
    bn.save(rule, path)
    with pytest.raises(ValueError, match=match):
        bn.load(edited(path, lambda header: header["model"]["state"].update({parameter: value})))


@pytest.mark.parametrize("name", ["Association", "Circuit"])
def test_parts_of_another_dtype_are_refused(name):
    layer = every_saved_class()[name]
    changed = connectivity.random(8, 6, density=0.5, sign="E", random_state=0, dtype=float)
    layer.synapses, layer.votes, layer.preferred = changed, layer.votes.astype(float), layer.preferred.astype(float)
    if name == "Circuit":
        with pytest.raises(ValueError, match="competition of cells of float64 must be of that dtype, got float32"):
            check_attributes(layer)
    else:  # a pool has no weights
        check_attributes(layer)
        parts = {"features": layers.UnitNorm(6), "association": layer}
        with pytest.raises(ValueError, match="'association' takes inputs of float64, but 'features' below it makes fl"):
            check_attributes(bn.network.Network(parts, {"votes": READOUTS["votes"](layer, 3)}))


# --- random generators


@pytest.mark.parametrize(
    ("source", "places", "value"),
    [
        (np.random.MT19937, ("state", "pos"), 625),
        (np.random.MT19937, ("state", "pos"), -1),
        (np.random.MT19937, ("state", "pos"), 10**7),
        (np.random.MT19937, ("state", "pos"), 0.5),
        (np.random.Philox, ("buffer_pos",), -1),
        (np.random.Philox, ("buffer_pos",), 5),
        (np.random.PCG64, ("state", "state"), 1 << 128),
        (np.random.PCG64, ("state", "inc"), -1),
        (np.random.PCG64DXSM, ("has_uint32",), 2),
        (np.random.SFC64, ("uinteger",), 1 << 32),
        (np.random.SFC64, ("state", "state"), {"kind": "list", "items": [1, 2, 3, 4]}),
        (np.random.PCG64, ("more",), 1),
    ],
)
def test_impossible_states_of_generators_are_refused(path, source, places, value):
    """MT19937 and Philox would read out of their buffers."""
    bn.save(holding(np.random.Generator(source(5))), path)

    def change(header):
        items = header["model"]["state"]["encoder"]["state"]["items"]
        for place in places[:-1]:
            items = items[place]["items"]
        items[places[-1]] = value

    with pytest.raises(ValueError, match=f"the state of the random generator {source.__name__} must be"):
        bn.load(edited(path, change))


@pytest.mark.parametrize("value", [2, -1])
def test_impossible_states_of_random_states_are_refused(path, value):
    bn.save(holding(np.random.RandomState(5)), path)
    change = {"has_gauss": value}
    with pytest.raises(ValueError, match="MT19937 must be an integer >= 0 and <= 1 at has_gauss"):
        bn.load(edited(path, lambda h: h["model"]["state"]["encoder"]["state"]["items"].update(change)))


@pytest.mark.parametrize("position", [0, 1, 623, 624])
def test_all_positions_of_a_generator_can_be_saved(path, position):
    source = np.random.MT19937(5)
    state = source.state
    state["state"]["pos"] = position
    source.state = state
    loaded = through(holding(np.random.Generator(source)), path).encoder
    np.testing.assert_array_equal(loaded.random(2000), np.random.Generator(source).random(2000))


def test_unknown_generators_are_refused(path):
    bn.save(holding(np.random.default_rng(5)), path)
    change = {"bit_generator": "Mine"}
    with pytest.raises(ValueError, match="a random generator must be one of MT19937, .*, got 'Mine'"):
        bn.load(edited(path, lambda h: h["model"]["state"]["encoder"]["state"]["items"].update(change)))


# --- hostile files


def member(array=None, header=None, data=b""):
    """The bytes of a member: an array, or a header and data that need not go together."""
    buffer = BytesIO()
    if header is None:
        np.save(buffer, array)
        return buffer.getvalue()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + data


def hostile(path, model, members=(), *, text=None, compression=zipfile.ZIP_STORED):
    """An archive with a header for ``model`` and any members besides, as (name, content)."""
    header = {"format": "bioneuro", "version": io.VERSION, "bioneuro": "0.1.0", "model": model}
    text = json.dumps(header) if text is None else text
    with zipfile.ZipFile(path, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of names that are there twice
        archive.writestr("header.npy", member(np.frombuffer(text.encode(), np.uint8)))
        for name, content in members:
            archive.writestr(name, content)
    return path


A0 = {"kind": "array", "name": "a0"}


def objects(shape, kind):
    return {"kind": "objects", "shape": shape, "items": {"kind": kind, "items": [1]}}


def array_of(header, data=b""):
    return A0, [("a0.npy", member(header=header, data=data))]


FOUR_BYTES = "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }\n"


@pytest.mark.parametrize(
    ("model", "members", "match"),
    [
        (objects([10**9], "list"), [], "another number of items"),
        (objects([-1, -1], "list"), [], "another number of items"),
        (objects([1], "tuple"), [], "another number of items"),
        (1, [("unreferenced.bin", bytes(100))], "its header names none of unreferenced.bin"),
        (1, [("a0.npy", member(np.ones(2)))], "its header names none of a0"),
        (A0, [("a0.npy", member(np.ones(2)))] * 2, "two of its members have one name"),
        ({"kind": "array", "name": "header"}, [], "it has no array 'header', or names it twice"),
        ({"kind": "list", "items": [A0] * 2}, [("a0.npy", member(np.ones(2)))], "names it twice"),
        (*array_of(FOUR_BYTES % ("<f4", "1000000000000,"), bytes(4)), r"do not go with shape \(1000000000000,\)"),
        (*array_of(FOUR_BYTES % ("<f4", "0, 99"), bytes(4)), "do not go with shape"),
        (*array_of(FOUR_BYTES % ("<f4", ""), bytes(5)), "do not go with shape"),
        (*array_of(FOUR_BYTES % ("<U0", "1000000000000000,")), "do not go with shape"),
        (*array_of(FOUR_BYTES % ("<U1", "1,"), b"\xff\xff\xff\xff"), "characters that do not exist"),
        (*array_of(FOUR_BYTES % ("|O", "1,"), pickle.dumps(1)), "it has no header of an array of numbers or strings"),
        (*array_of(FOUR_BYTES % ("<f4", "2**2,"), bytes(16)), "it has no header of an array"),
        (*array_of("{'descr': __import__('os').system('false'), }\n", bytes(4)), "it has no header of an array"),
        (*array_of("[" * 9000), "it has no header of an array"),
        (*array_of("(" * 9000 + "\n\\"), "it has no header of an array"),
        (*array_of("-" * 9000), "it has no header of an array"),
        (*array_of(FOUR_BYTES % ("<f4", "1" * 3000)), "it has no header of an array"),
        (*array_of(FOUR_BYTES % ("(100000,)<f4", "1,"), bytes(4)), "it has no header of an array"),
        ({"kind": "same", "as": 0}, [], "refers to an object 0 that is not there before it"),
        ({"kind": "same", "as": -1}, [], "refers to an object -1"),
        ({"kind": "same", "as": "x"}, [], "refers to an object 'x'"),
        ({"kind": "object", "class": "Constant", "state": {"value": {"kind": "same", "as": 0}}}, [], "is not there"),
        ([1, 2], [], "a list stands where a value must"),
        ({"kind": "list", "items": 3}, [], "header and its arrays do not go together"),
        ({"kind": "object", "class": ["Oja"], "state": {}}, [], "header and its arrays do not go together"),
        ({"kind": "object", "class": "Oja", "state": []}, [], "Oja has other parameters now than in the file"),
        ({"kind": "rule", "module": ["os"], "name": "Oja", "state": {}}, [], "do not go together|must be text"),
        ({"kind": "dtype", "name": "O"}, [], "'O' is no dtype of plain values"),
        ({"kind": "dtype", "name": "<f4,<f4"}, [], "is no dtype of plain values"),
        ({"kind": "type", "name": "<i4"}, [], "'<i4' is no dtype of plain values"),
        ({}, [], "header and its arrays do not go together"),
    ],
)  # fmt: skip
def test_hostile_files_are_refused_with_the_reason(path, model, members, match):
    hostile(path, model, members)
    with pytest.raises(ValueError, match=match):
        bn.load(path)


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, "{", "NaN", '{"format": NaN}', "1" * 5000, '{"format": "other"}', "null", "[]", "\udcff", ""],
    ids=lambda text: repr(text[:9]),
)
def test_hostile_headers_are_refused_with_the_reason(path, text):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.npy", member(np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)))
    with pytest.raises(ValueError, match="was not written by bioneuro.save: it"):
        bn.load(path)


def test_headers_are_bounded(path, monkeypatch):
    monkeypatch.setattr(io, "LARGEST_HEADER", 1000)
    hostile(path, "x" * 1000)
    with pytest.raises(ValueError, match="no header of that format .*bytes are more than 1000"):
        bn.load(path)


def test_compressed_members_are_refused(path):
    """1 GiB of zeros in 1 MiB."""
    hostile(path, {"kind": "array", "name": "a0"}, compression=zipfile.ZIP_STORED)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a0.npy", member(np.zeros(1 << 20)))
    with pytest.raises(ValueError, match="cannot be loaded: member 'a0.npy' is compressed"):
        bn.load(path)


def test_members_that_overlap_are_refused(path):
    """Each is no larger than the file, and all of them are the same bytes."""
    array = {"kind": "array", "name": "a0"}
    hostile(path, {"kind": "list", "items": [array, {**array, "name": "a1"}]}, [("a0.npy", member(np.zeros(10_000)))])
    content = path.read_bytes()
    start, end = content.index(b"PK\1\2", content.index(b"a0.npy")), content.index(b"PK\5\6")
    entries = content[start:end]
    again = entries[entries.index(b"PK\1\2", 4) :].replace(b"a0.npy", b"a1.npy")
    tail = bytearray(content[end:])
    tail[8:12] = (3).to_bytes(2, "little") * 2
    tail[12:16] = len(entries + again).to_bytes(4, "little")
    path.write_bytes(content[:start] + entries + again + tail)
    with pytest.raises(ValueError, match="its members are larger than the file"):
        bn.load(path)


def test_memory_is_bounded_by_the_file(path):
    """A header of empty lists is the worst there is."""
    hostile(path, {"kind": "list", "items": [{"kind": "list", "items": []}] * 20_000})
    tracemalloc.start()
    try:
        bn.load(path)  # plain values are a model, if a small one
        assert tracemalloc.get_traced_memory()[1] < 40 * path.stat().st_size
    finally:
        tracemalloc.stop()


def test_files_that_are_no_plain_files_are_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ValueError, match="is not a file written by bioneuro.save: it is no plain file"):
        bn.load(tmp_path / "fifo")
    with pytest.raises(OSError, match="Is a folder, not a file"):
        bn.load(tmp_path)


def test_truncated_at_every_byte(path):
    """`python -m campaigns.files` does so to larger models."""
    content = rewritten(path).read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(ValueError, match="cut short"):
            bn.load(path)
