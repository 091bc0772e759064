"""Learning of all rivals: a refused or interrupted call leaves no trace, memory maps are learned from as copies."""

import copy
import inspect
import pickle
import re
from dataclasses import fields, is_dataclass

import joblib
import numpy as np
import pytest
from rival_checks import small_rival
from sklearn.base import clone

import bioneuro as bn
from bioneuro.baselines import BASELINES, ElasticMLP, ReplayMLP, StreamingLDA, StreamingLeastSquares

#: What keeps learning short, for whoever has the parameter.
SMALL = {"hidden": (6,), "n_hidden": 6, "n_epochs": 2, "density": 0.5, "n_exemplars": 7, "n_prototypes": 2}
STREAMING = [name for name, kind in BASELINES.items() if hasattr(getattr(kind, "func", kind), "partial_fit")]
RNG = np.random.default_rng(0)
X, Y = RNG.uniform(0.1, 0.9, (30, 9)).astype(np.float32), np.arange(30) % 3


def model(name, random_state=0):
    if name == "bio":
        return bn.BioClassifier(n_cells=12, mixing=20, image_shape=None, random_state=random_state)
    return small_rival(name, **SMALL, random_state=random_state)


def state(fitted):
    """All there is to a model, comparable."""
    attributes = dict(vars(fitted))
    if "_optimizer" in attributes:  # of torch, whose pickles differ where nothing else does
        moments = attributes.pop("_optimizer").state_dict()["state"].values()
        attributes["moments"] = [value.tolist() for moment in moments for value in moment.values()]
        attributes["parameters_"] = [parameter.tolist() for parameter in attributes["parameters_"]]
    return pickle.dumps(attributes)


# --- refused calls


def calls():
    nan = X.copy()
    nan[3, 4] = np.nan
    return {
        "a NaN": (nan, Y, "NaN"),
        "another width": (X[:, :8], Y, "8 features"),
        "an unknown label": (X, np.where(Y == 0, 9, Y), "labels out of classes_"),
        "fewer labels": (X, Y[:5], "inconsistent numbers of samples"),
        "a label that is none": (X, np.where(Y == 0, np.nan, Y), r"NaN|y\[0\] is nan"),
        "no sample": (X[:0], Y[:0], "0 sample"),
        "text": (np.full(X.shape, "a"), Y, "convert string to float|could not convert"),
        "other classes": (X, Y, "classes must be those of the first call"),
    }


@pytest.mark.parametrize("problem", calls())
@pytest.mark.parametrize("name", STREAMING)
def test_a_refused_partial_fit_leaves_no_trace(name, problem):
    seen, labels, message = calls()[problem]
    fitted = model(name)
    for rows in (slice(0, 10), slice(10, 30)):
        fitted.partial_fit(X[rows], Y[rows], classes=[0, 1, 2])
    other = copy.deepcopy(fitted)
    before = state(fitted)
    classes = [0, 1] if problem == "other classes" else None
    with pytest.raises(ValueError, match=message):
        fitted.partial_fit(seen, labels, classes=classes)
    assert state(fitted) == before
    np.testing.assert_array_equal(
        fitted.partial_fit(X, Y).decision_function(X), other.partial_fit(X, Y).decision_function(X)
    )


@pytest.mark.parametrize("name", STREAMING)
def test_a_refused_first_call_leaves_nothing_learned(name):
    fresh = model(name)
    before = state(fresh)
    for classes, message in (
        (None, "classes must be passed"),
        ([0, 1], "labels out of classes_"),
        ([0], "labels out of classes_|at least 2 classes"),
    ):
        with pytest.raises(ValueError, match=message):
            fresh.partial_fit(X, Y, classes=classes)
        assert state(fresh) == before


@pytest.mark.parametrize("name", BASELINES)
def test_a_refused_fit_leaves_the_model_of_before(name):
    fitted = model(name).fit(X, Y)
    before = state(fitted)
    for seen, labels, message in ((X * np.nan, Y, "NaN"), (X, Y[:5], "inconsistent"), (X, Y * 0, "at least 2|1 class")):
        with pytest.raises(ValueError, match=message):
            fitted.fit(seen, labels)
        assert state(fitted) == before
    assert np.isfinite(fitted.decision_function(X)).all()


@pytest.mark.parametrize("source", [lambda: np.random.default_rng(5), lambda: np.random.RandomState(5)])
@pytest.mark.parametrize("name", ["mlp", "replay", "set", "elastic", "nearest-neighbour"])
def test_a_generator_of_the_caller_is_rewound(name, source, monkeypatch):
    mine, untouched = source(), source()
    fitted = model(name, mine)
    monkeypatch.setattr(type(fitted), "_start", lambda self, classes: self.random_state.standard_normal(3) / 0 + [1, 2])
    with pytest.raises(ValueError, match="broadcast"), np.errstate(all="ignore"):
        fitted.fit(X, Y)
    assert mine.standard_normal() == untouched.standard_normal()


@pytest.mark.parametrize("name", ["mlp", "replay", "set", "nonnegative"])
def test_a_stream_draws_from_the_generator_of_the_caller(name):
    mine = np.random.default_rng(5)
    fitted = model(name, mine).partial_fit(X, Y, classes=[0, 1, 2])
    before = mine.bit_generator.state
    fitted.partial_fit(X, Y)
    assert fitted.random_state is mine and mine.bit_generator.state != before
    seeded = model(name, np.random.default_rng(5)).partial_fit(X, Y, classes=[0, 1, 2]).partial_fit(X, Y)
    np.testing.assert_array_equal(fitted.decision_function(X), seeded.decision_function(X))


@pytest.mark.parametrize("how", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("name", STREAMING)
def test_an_interrupted_call_leaves_no_trace(name, how, monkeypatch):
    fitted = model(name).partial_fit(X, Y, classes=[0, 1, 2])
    before, kind = state(fitted), type(fitted)
    step = "_update" if hasattr(kind, "_update") else "_show"
    learn = getattr(kind, step)

    def interrupted(self, rows, true):
        learn(self, rows, true)  # what it changed has to be put back
        raise how

    monkeypatch.setattr(kind, step, interrupted)
    for call in (fitted.partial_fit, fitted.fit):
        with pytest.raises(how):
            call(X, Y)
        assert state(fitted) == before
    monkeypatch.undo()
    assert np.isfinite(fitted.partial_fit(X, Y).decision_function(X)).all()


# --- memory maps


@pytest.mark.parametrize("name", [*STREAMING, "bio"])
def test_a_memory_mapped_model_learns_on_copies(name, tmp_path):
    whole = model(name).partial_fit(X, Y, classes=[0, 1, 2])
    joblib.dump(whole, tmp_path / "model")
    stored = (tmp_path / "model").read_bytes()
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    for _ in range(2):  # the second time there is nothing left to copy
        mapped.partial_fit(X[:10], Y[:10])
        whole.partial_fit(X[:10], Y[:10])
        np.testing.assert_array_equal(mapped.decision_function(X), whole.decision_function(X))
    assert (tmp_path / "model").read_bytes() == stored


def test_a_refused_call_leaves_a_memory_mapped_model_mapped(tmp_path):
    joblib.dump(StreamingLDA().partial_fit(X, Y, classes=[0, 1, 2]), tmp_path / "model")
    mapped = joblib.load(tmp_path / "model", mmap_mode="r")
    scatter = mapped.scatter_
    assert isinstance(scatter, np.memmap)
    with pytest.raises(ValueError, match="labels out of classes_"):
        mapped.partial_fit(X, Y + 5)
    assert mapped.scatter_ is scatter


# --- few samples, and inputs that never vary


@pytest.mark.parametrize("name", STREAMING)
@pytest.mark.parametrize(
    ("seen", "labels"),
    [
        (X[:1], [2]),
        (np.repeat(X[:1], 5, axis=0), [2] * 5),
        (np.full((4, 9), 0.1), [2] * 4),
        (np.zeros((3, 9)), [2] * 3),
    ],
    ids=["one sample", "equal samples", "constant features", "black images"],
)
def test_after_one_class_it_is_the_answer(name, seen, labels):
    fitted = model(name).partial_fit(seen, labels, classes=range(4))
    for Z in (X, seen, 1e6 * X if name in ("streaming-lda", "streaming-least-squares", "class-means") else X):
        assert np.isfinite(fitted.decision_function(Z)).all() and np.isfinite(fitted.predict_proba(Z)).all()
    if not hasattr(fitted, "_update"):  # those of backpropagation have made a step only
        assert (fitted.predict(seen) == 2).all()


@pytest.mark.parametrize("name", STREAMING)
@pytest.mark.parametrize("size", [1e30, 1e149, 1e300])
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_inputs_too_large_to_calculate_with_are_refused_and_leave_no_trace(name, size):
    fitted = model(name).partial_fit(X, Y, classes=range(4))
    before = fitted.decision_function(X)
    for use in (fitted.predict, lambda Z: fitted.partial_fit(Z, Y)):
        try:
            use(size * X.astype(float))
        except ValueError as error:
            assert re.search("too large|at most|finite", str(error))
            np.testing.assert_array_equal(fitted.decision_function(X), before)
    assert np.isfinite(fitted.decision_function(X)).all()


@pytest.mark.parametrize("name", ["class-means", "streaming-lda", "streaming-least-squares"])
def test_inputs_whose_squares_overflow_are_refused_by_name(name):
    with pytest.raises(ValueError, match=r"^X must be at most 1e\+150 in size, but X\[0, 0\] = 1e\+300$"):
        model(name).fit(np.where(X == X[0, 0], 1e300, X.astype(float)), Y)


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_logits_that_overflow_are_no_answers():
    fitted = model("class-means").fit(X, Y)
    for answers in (fitted.predict, fitted.predict_proba, fitted.decision_function):
        with pytest.raises(ValueError, match=r"^X\[1\] is too large for NearestClassMean: its logits overflow$"):
            answers(np.array([X[0], np.full(X.shape[1], 1e300)]))


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_lda_before_anything_varied_takes_the_nearest_mean(scale):
    centres = scale * np.array([[0.0, 1.0], [3.0, 1.0], [0.0, 7.0]])
    fitted = StreamingLDA().partial_fit(np.repeat(centres, 7, axis=0), np.repeat([0, 1, 2], 7), classes=range(4))
    Z = scale * np.random.default_rng(0).uniform(-2, 9, (200, 2))
    nearest = np.square(Z[:, None] - centres).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(fitted.predict(Z), nearest)
    assert np.isfinite(fitted.decision_function(Z)).all()


def test_lda_and_least_squares_on_small_variance_are_those_of_the_scaled_problem():
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(60, 4)) + np.arange(60)[:, None] % 3
    for kind in (StreamingLDA, StreamingLeastSquares):
        large, small = kind().fit(Z, np.arange(60) % 3), kind().fit(1e-100 * Z, np.arange(60) % 3)
        np.testing.assert_allclose(small.decision_function(1e-100 * Z), large.decision_function(Z), rtol=1e-6)


def test_least_squares_on_constant_features_answers_the_shares():
    Z, labels = np.full((10, 5), 0.1), np.array([0] * 7 + [1] * 3)
    fitted = StreamingLeastSquares().fit(Z, labels)
    z = fitted._scores(np.random.default_rng(0).uniform(size=(6, 5)))
    np.testing.assert_allclose(z, np.tile([0.7, 0.3], (6, 1)))


# --- what was learned from before


def test_a_new_fit_forgets_the_stored_samples():
    fitted = ReplayMLP((4,), n_epochs=1, n_exemplars=5, random_state=0).partial_fit(X, Y, classes=[0, 1, 2])
    fitted.fit(X[:, :5], Y + 10)  # another width, other classes
    assert fitted.reservoir_.n == 0
    fresh = ReplayMLP((4,), n_epochs=1, n_exemplars=5, random_state=0).fit(X[:, :5], Y + 10)
    for stream in (fitted, fresh):
        stream.partial_fit(X[:, :5], Y + 10).partial_fit(X[:, :5], Y + 10)
    np.testing.assert_array_equal(fitted.decision_function(X[:, :5]), fresh.decision_function(X[:, :5]))


def test_a_task_without_a_sample_ends_without_a_trace():
    fitted = ElasticMLP((4,), n_epochs=1, random_state=0).partial_fit(X, Y, classes=[0, 1, 2]).end_task()
    before = state(fitted)
    assert state(fitted.end_task()) == before
    assert np.isfinite(fitted.partial_fit(X, Y).decision_function(X)).all()


def test_elastic_weights_learn_on_in_their_own_precision_after_a_task():
    fitted = ElasticMLP((4,), n_epochs=1, random_state=0).partial_fit(X, Y, classes=[0, 1, 2]).end_task()
    assert {part.dtype for layer in fitted.fisher_ for part in layer} == {np.dtype("float32")}
    fitted.partial_fit(X, Y)


# --- parameters


@pytest.mark.parametrize("name", BASELINES)
def test_parameters_are_what_scikit_learn_reads(name):
    made = model(name)
    params = made.get_params()
    assert clone(made).get_params() == params and not set(params) - set(vars(made))
    if is_dataclass(made):
        assert set(params) == {field.name for field in fields(made) if field.init}
        for kind in type(made).__mro__:  # written once: no class has a constructor of its own, or a field again
            own = set(vars(kind).get("__annotations__", {})) & set(params)
            again = {n for n in own for base in kind.__mro__[1:] if n in vars(base).get("__annotations__", {})}
            assert again <= {"weight_decay", "learning_rate", "hidden_rate", "n_hidden"}  # with other defaults there
    with pytest.raises(TypeError, match="has no parameter 'no_such_parameter'|takes no arguments"):
        type(made)(no_such_parameter=1)
    assert len(inspect.signature(type(made).__init__).parameters) <= 18
