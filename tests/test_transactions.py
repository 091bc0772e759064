"""A call that is refused or interrupted leaves the estimator, and the random state it was given, as they were."""

import inspect
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import KNeighborsClassifier

import bioneuro as bn
from bioneuro import BioClassifier, fewshot
from bioneuro.baselines import BackpropMLP

PACKAGE = str(Path(bn.__file__).parent)
TINY = {
    "n_cells": 30,
    "encoder__n_columns": 6,
    "mixing": 60,
    "schedule__association_epochs": 1,
    "schedule__teaching_epochs": 1,
    "schedule__readout_epochs": 2,
}


@pytest.fixture(scope="module")
def digits():
    data = bn.datasets.load("digits")
    return data.X_train[:60].astype(np.float32), data.y_train[:60]


def seeded():
    return np.random.RandomState(5)


@pytest.fixture(scope="module")
def pretrained(digits):
    return BackpropMLP((8,), n_epochs=1, random_state=0).fit(*digits)


#: Estimators that learn from ``(X, y)``, and how each begins.
MAKE = {
    "BioClassifier": lambda _: BioClassifier(**TINY, random_state=seeded()),
    "AssociationHead": lambda _: fewshot.AssociationHead("delta", n_cells=20, random_state=seeded()),
    "FeatureReadout": lambda _: fewshot.FeatureReadout(n_updates=5, random_state=seeded()),
    "FeatureReadout that learns features": lambda _: fewshot.FeatureReadout(
        BioClassifier(**TINY), n_updates=5, random_state=seeded()
    ),
    "NearestPrototype": lambda _: fewshot.HEADS["prototype"](),
    "ElasticVotes": lambda _: fewshot.ElasticVotes(
        fewshot.ElasticMatcher(image_shape=(8, 8), side=12, n_columns=4, patch_size=3, n_points=6, n_images=20)
    ),
    "Jittered": lambda _: fewshot.Jittered(KNeighborsClassifier(1), (8, 8), n_copies=1, random_state=seeded()),
    "FineTuned": lambda pretrained: fewshot.FineTuned(pretrained, n_updates=2),
}
#: What only rows of images are given to.
MATCHER = "ElasticMatcher"


def state(model):
    """All that it is, parameters and random state with it."""
    return pickle.dumps(vars(model))


class Interrupt:
    """Ctrl-C at the k-th call of a function of the package, counted from the start of the block."""

    def __init__(self, at=None):
        self.at, self.n = at, 0

    def __enter__(self):
        sys.settrace(self._called)
        return self

    def __exit__(self, *error):
        sys.settrace(None)

    def _called(self, frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            self.n += 1
            closing = frame.f_code.co_flags & inspect.CO_GENERATOR  # where Python lets no exception out
            if self.at is not None and self.n >= self.at and not closing:
                raise KeyboardInterrupt
        return None


def moments(n, k):
    """Of a call that makes about n calls; how many is not the same each time."""
    return np.unique(np.linspace(1, 0.95 * n, k).astype(int))


def refused(X, y):
    """Calls that are refused: arguments, exception and what it says."""
    holes, labels = X.copy(), y.astype(float)
    holes[3, 5], labels[2] = np.nan, np.nan
    return {
        "rows with NaN": ((holes, y), "NaN"),
        "labels with NaN": ((X, labels), r"y\[2\] is nan"),
        "one label short": ((X, y[1:]), r"inconsistent numbers of samples|same number|y must"),
        "no rows": ((X[:0], y[:0]), r"0 sample|minimum of 1|must"),
    }


@pytest.mark.parametrize("name", MAKE)
@pytest.mark.parametrize("what", ["rows with NaN", "labels with NaN", "one label short", "no rows"])
@pytest.mark.parametrize("learned", [False, True], ids=["first fit", "second fit"])
def test_a_fit_that_is_refused_leaves_no_trace(digits, pretrained, name, what, learned):
    X, y = digits
    model = MAKE[name](pretrained)
    if learned:
        model.fit(X, y)
    before = state(model)
    arguments, message = refused(X, y)[what]
    with pytest.raises(ValueError, match=message):
        model.fit(*arguments)
    assert state(model) == before


@pytest.mark.parametrize("name", MAKE)
def test_a_second_fit_that_is_interrupted_anywhere_leaves_the_old_model(digits, pretrained, name):
    X, y = digits
    other = y < 4
    fresh = MAKE[name](pretrained)  # what making it calls is not counted
    with Interrupt() as whole:
        fresh.fit(X[other], y[other])
    model = MAKE[name](pretrained).fit(X, y)
    before, answers = state(model), model.predict(X)
    for at in moments(whole.n, 15):
        with pytest.raises(KeyboardInterrupt), Interrupt(at):
            model.fit(X[other], y[other])
        assert state(model) == before, at
    np.testing.assert_array_equal(model.predict(X), answers)
    assert model.fit(X[other], y[other]).classes_.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name", MAKE)
def test_a_first_fit_that_is_interrupted_leaves_a_model_that_is_not_fitted(digits, pretrained, name):
    X, y = digits
    with Interrupt() as whole:
        MAKE[name](pretrained).fit(X, y)
    model = MAKE[name](pretrained)
    before = state(model)
    with pytest.raises(KeyboardInterrupt), Interrupt(max(1, 3 * whole.n // 4)):
        model.fit(X, y)
    assert state(model) == before
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_a_batch_that_is_interrupted_anywhere_leaves_no_trace(digits):
    X, y = digits
    model = BioClassifier(**TINY, random_state=seeded()).partial_fit(X, y, classes=np.arange(10))
    before = state(model)
    for whole in Interrupt(), Interrupt():  # what is made at first use, once for all, does not count
        copied = pickle.loads(pickle.dumps(model))
        with whole:
            copied.partial_fit(X, y)
    for at in moments(whole.n, 15):
        with pytest.raises(KeyboardInterrupt), Interrupt(at):
            model.partial_fit(X, y)
        assert state(model) == before, at


@pytest.mark.parametrize(
    "make",
    [
        lambda: BioClassifier(**TINY, random_state=seeded()),
        lambda: fewshot.FeatureReadout(BioClassifier(**TINY), random_state=seeded()),
    ],
)
def test_features_that_are_interrupted_leave_no_trace(digits, make):
    X = digits[0]
    fresh = make()
    with Interrupt() as whole:
        fresh.fit_features(X)
    model = make().fit_features(X)
    before = state(model)
    for at in moments(whole.n, 8):
        with pytest.raises(KeyboardInterrupt), Interrupt(at):
            model.fit_features(X[::-1])
        assert state(model) == before, at


def test_a_matcher_that_is_refused_or_interrupted_leaves_no_trace(digits):
    X = digits[0]
    model = fewshot.ElasticMatcher(
        image_shape=(8, 8), side=12, n_columns=4, patch_size=3, n_points=6, n_images=20, random_state=seeded()
    ).fit(X)
    before = state(model)
    with pytest.raises(ValueError, match=r"image_shape must have a product of 63 features"):
        model.fit(X[:, 1:])
    assert state(model) == before
    for at in (5, 50, 100):
        with pytest.raises(KeyboardInterrupt), Interrupt(at):
            model.fit(X[:30])
        assert state(model) == before


def test_a_sampler_that_is_refused_draws_nothing(digits):
    X, y = digits
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    with pytest.raises(ValueError, match=r"class \d has \d+ images"):
        fewshot.EpisodeSampler(X, y, n_query=500, random_state=rng)
    with pytest.raises(ValueError, match=r"y\[1\] is nan"):
        fewshot.EpisodeSampler(X[:3], [0.0, np.nan, 1.0], random_state=rng)
    assert rng.bit_generator.state == before


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda X, y, rng: bn.continual.split(X, y, X, y, n_tasks=99, random_state=rng), "n_tasks must lie in"),
        (lambda X, y, rng: bn.continual.permuted(X, y, X, y, n_tasks=99, random_state=rng), "n_tasks must lie in"),
        (
            lambda X, y, rng: bn.continual.rotated(X, y, X, y, (8, 8), angles=[0, np.nan], random_state=rng),
            r"angles\[1\] must be a finite number, got nan",
        ),
        (
            lambda X, y, rng: bn.continual.drifting(X, y, X, y, (8, 9), random_state=rng),
            "image_shape must have a product of 64 features",
        ),
        (
            lambda X, y, rng: bn.continual.blurred(bn.continual.split(X, y, X, y), np.inf, random_state=rng),
            "width must be a finite number >= 0, got inf",
        ),
        (
            lambda X, y, rng: bn.continual.imbalanced(bn.continual.split(X, y, X, y), np.nan, random_state=rng),
            "ratio must be a finite number >= 1, got nan",
        ),
        (
            lambda X, y, rng: fewshot.low_data_curve({"k": KNeighborsClassifier(1)}, X, y, X, y, [99], 1, rng),
            "class",
        ),
        (lambda X, y, rng: fewshot.split_classes(y, (0.5, 0.5, 0.5), rng), "shares must be"),
    ],
)
def test_a_stream_or_a_protocol_that_is_refused_draws_nothing(digits, make, message):
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    with pytest.raises(ValueError, match=message):
        make(*digits, rng)
    assert rng.bit_generator.state == before
