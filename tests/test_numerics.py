"""Extreme numbers in every layer: what comes out is finite, or the input is refused by name and leaves no trace."""

import copy
import re
import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

import bioneuro as bn
from bioneuro import connectivity
from bioneuro.layers import (
    READOUTS,
    Adaptation,
    Association,
    Circuit,
    CompetitiveLayer,
    FeatureMap,
    Hypercolumns,
    LocalMap,
    Mixing,
    Retina,
    SoftmaxSettings,
    UnitNorm,
)
from bioneuro.layers.numeric_limits import LARGEST_RATE
from bioneuro.moments import Moments
from bioneuro.rules import RULES, LogCovariance, LogRelaxation, Turnover

DTYPES = [np.float32, np.float64]
#: Samples and inputs.
SHAPES = [(6, 5), (1, 5), (6, 1), (1, 1)]
#: Errors that say where: an argument, what was wrong with it.
SAYS_WHERE = re.compile(r"\b(X|H|U|Y|T|drive|weights \+ delta|eta = .*|k = 2)\b.*(must|overflows|needs)", re.DOTALL)
EXCITATORY = [name for name, rule in RULES.items() if "E" in rule.signs and not rule.rewarded]

# OpenBLAS may set flags for lanes that it discards (numpy/numpy#24067): what comes out is looked at anyway
pytestmark = pytest.mark.filterwarnings("error:.*encountered in (?!matmul):RuntimeWarning")


def extremes(dtype, shape):
    """Inputs >= 0 by name."""
    f, u = np.finfo(dtype), np.random.default_rng(0).random(shape)
    large = LARGEST_RATE[np.dtype(dtype)]
    return {
        "zeros": np.zeros(shape, dtype),
        "smallest": np.full(shape, f.smallest_subnormal),
        "denormals": (u * f.tiny).astype(dtype),
        "tiny": (u * 1e4 * float(f.tiny)).astype(dtype),
        "constant": np.full(shape, 0.3, dtype),
        "equal rows": np.tile(u[:1], (shape[0], 1)).astype(dtype),
        "from tiny to one": np.where(u < 0.5, f.smallest_subnormal, u).astype(dtype),
        "largest": np.full(shape, large, dtype),
        "up to largest": (u * large).astype(dtype),
        "from tiny to largest": np.where(u < 0.5, f.smallest_subnormal, u * large).astype(dtype),
        "one large": np.where(np.arange(u.size).reshape(shape) == 0, large, u).astype(dtype),
    }


NAMES = list(extremes(np.float32, (2, 2)))


def refused(dtype, shape):
    """Inputs that no layer takes, by name."""
    u = np.random.default_rng(0).random(shape).astype(dtype)
    for name, value in (("nan", np.nan), ("inf", np.inf), ("1e38 or more", np.finfo(dtype).max / 3)):
        X = u.copy()
        X[-1, -1] = value
        yield name, X


def finite(*arrays):
    for k, array in enumerate(arrays):
        array = np.asarray(array)
        assert np.isfinite(array).all(), f"array {k}: {np.count_nonzero(~np.isfinite(array))} of {array.size}"


def finite_step(learned):
    """But for what a step has not worked out."""
    finite(*(part for part in learned if part is not None))


def state(layer):
    finite(layer.synapses.weights, layer.rate, layer.age, layer.unsettled, layer.threshold)
    finite(*(trace for trace in layer.synapses.traces.values()))


def dense(n_cells, n_pre, dtype):
    synapses = connectivity.dense(n_cells, n_pre, sign="E", random_state=0, dtype=dtype)
    synapses.normalize_rows()
    return synapses


# --- encoders ---

ENCODERS = {
    "adaptation": lambda m, dtype: Adaptation(m, dtype),
    "unit norm": lambda m, dtype: UnitNorm(m, dtype),
    "mixing": lambda m, dtype: Mixing(m, 7, dtype=dtype, random_state=0),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ENCODERS)
def test_features_and_their_gradients_are_finite(kind, name, shape, dtype):
    X = extremes(dtype, shape)[name]
    encoder = ENCODERS[kind](shape[1], dtype)
    H = encoder.learn(X).encode(X)
    finite(H, encoder.encode_grad(X, np.ones_like(H)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ENCODERS)
def test_an_encoder_refuses_by_name_and_learns_nothing_of_it(kind, dtype):
    encoder = ENCODERS[kind](5, dtype).learn(np.random.default_rng(1).random((9, 5)).astype(dtype))
    before = copy.deepcopy(vars(encoder))
    for name, X in refused(np.float64 if kind != "mixing" else dtype, (6, 5)):
        wanted = "finite" if name in ("nan", "inf") else "at most 1e"
        for method in ("learn", "encode"):
            if kind == "unit norm" and method == "learn":
                continue
            with pytest.raises(ValueError, match=rf"[XH] must be {wanted}.*\[5, 4\] = "):
                getattr(encoder, method)(X)
    for key in before:
        if not isinstance(before[key], bn.Synapses):
            np.testing.assert_equal(vars(encoder)[key], before[key])


def test_what_lies_too_far_from_what_was_learned_is_refused():
    narrow = 1 + 1e-10 * np.random.default_rng(0).random((9, 5))
    for encoder, far in (Adaptation(5, np.float64), 1e150), (Mixing(5, 7, dtype=np.float64, random_state=0), 1e150):
        encoder.learn(narrow)
        with pytest.raises(ValueError, match="must be finite and not too far from what was learned, but row 1 is"):
            encoder.encode(np.array([[1.0] * 5, [far, 0, far / 2, 1, 1]]))


def test_moments_refuse_squares_that_overflow_and_stay_as_they_are():
    with pytest.raises(ValueError, match="its squares, but those of column 1 are not"):
        Moments.none(2).add(np.array([[1.0, 1e200], [1.0, -1e200]]))
    synapses = dense(3, 2, np.float64)
    synapses.observe(np.ones((4, 2)))
    before = dict(synapses.traces)
    with pytest.raises(ValueError, match="its squares"):
        synapses.observe(np.array([[1.0, 1e200]]))
    np.testing.assert_equal(synapses.traces, before)


# --- maps of images ---


def images(shape):
    u = np.random.default_rng(0).random((4, *shape)).astype(np.float32)
    tiny = np.finfo(np.float32)
    found = {
        "empty": np.zeros_like(u),
        "white": np.ones_like(u),
        "grey": np.full_like(u, 0.5),
        "denormal": np.full_like(u, tiny.smallest_subnormal),
        "one pixel": np.zeros_like(u),
        "noise": u,
        "nearly flat": 0.5 + np.float32(1e-7) * u,
        "from empty to white": np.round(u),
    }
    found["one pixel"][:, 0, 0] = 1
    return {name: X.reshape(4, -1) for name, X in found.items()}


@pytest.mark.parametrize("shape", [(6, 5), (1, 1), (1, 7)], ids=str)
@pytest.mark.parametrize("retina", [(1.0, np.inf), (4.0, 0.5), (0.5, np.inf)], ids=str)
@pytest.mark.parametrize("kind", [FeatureMap, LocalMap])
@pytest.mark.parametrize("n_columns", [1, 4])
def test_maps_of_extreme_images_are_finite(kind, retina, shape, n_columns):
    for X in images(shape).values():
        encoder = kind(shape, n_columns=n_columns, retina=Retina(3, *retina), random_state=0)
        H = encoder.learn(X, random_state=0).encode(X)
        dX = encoder.encode_grad(X, np.ones_like(H))
        finite(H, dX, encoder.encode_grad(X, np.ones_like(H), space="response"), encoder.columns.synapses.weights)
        np.testing.assert_allclose(np.linalg.norm(H, axis=1), 1, rtol=1e-5)
        state(encoder.columns)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("method", ["encode", "learn"])
def test_maps_refuse_what_has_no_contrast_response(value, method):
    encoder = FeatureMap((6, 6), n_columns=4, retina=Retina(3, 4.0, 0.5), random_state=0)
    X = np.full((3, 36), 0.5, np.float32)
    X[1, 7] = value
    message = r"the contrast response of X must be finite, but .*\[\d, 1, 1, 0\] = nan"  # learning permutes images
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match=message):
        getattr(encoder, method)(X)


# --- cells that compete ---


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("n_cells", [4, 1])
@pytest.mark.parametrize("rule", EXCITATORY)
def test_competitive_layer_is_finite_or_says_where(rule, n_cells, shape, dtype):
    for U in extremes(dtype, shape).values():
        for options in ({}, {"intrinsic": True, "recruitment": 0.5, "turnover": Turnover()}):
            cells = CompetitiveLayer(dense(n_cells, shape[1], dtype), beta=20.0, rule=rule, **options)
            try:
                for _ in range(3):
                    finite_step(cells.learn(U))
                    cells.rewire()
            except ValueError as error:
                assert SAYS_WHERE.search(str(error)), error
            state(cells)
            Y = cells.respond(U)
            finite(Y, cells.respond_grad(Y, np.ones_like(Y)))
            np.testing.assert_allclose(Y.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_hypercolumns_are_finite(name, dtype):
    U = extremes(dtype, (6, 5))[name]
    cells = Hypercolumns(dense(6, 5, dtype), 2, beta=20.0)
    for seen in (None, np.zeros((6, 3), bool), np.eye(6, 3, dtype=bool)):
        finite_step(cells.learn(U, seen=seen))
    state(cells)
    Y = cells.respond(U)
    finite(Y, cells.respond_grad(Y, np.ones_like(Y)))


ASSOCIATIONS = {
    "usual": (Association, {}),
    "vigilant": (Association, {"vigilance": 0.9}),
    "taught": (Association, {"teacher": "contrastive"}),
    "relaxing": (Association, {"rule": "log-relaxation", "intrinsic": False}),
    "few winners": (Association, {"competition": SoftmaxSettings(k=1)}),
    "circuit": (Circuit, {}),
    "vigilant circuit": (Circuit, {"vigilance": 0.9}),
    "relaxing circuit": (Circuit, {"rule": "log-relaxation", "intrinsic": False}),
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ASSOCIATIONS)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_associations_and_their_readouts_are_finite(kind, name, dtype, shape=(6, 5)):
    H = extremes(dtype, shape)[name]
    make, options = ASSOCIATIONS[kind]
    for n_cells, n_classes in ((4, 3), (4, 1), (1, 1)):
        T = np.eye(n_classes, dtype=dtype)[np.arange(len(H)) % n_classes]
        cells = make(n_cells, shape[1], n_classes, dtype=dtype, turnover=Turnover(), **options)
        for _ in range(2):
            finite_step(cells.learn(H, T))
            if cells.teacher is not None:
                cells.teach(H, T)
            cells.rewire()
        state(cells)
        finite(cells.votes, cells.preferred, cells.gain, *(W.weights for W in cells.pathways().values()))
        drive = cells.drive(H)
        ones = np.ones_like(drive)
        finite(drive, cells.rates(drive), cells.drive_grad(drive, ones), cells.activity_grad(drive, ones))
        for readout in (make_readout(cells, n_classes, seed=0) for make_readout in READOUTS.values()):
            readout.learn(drive, T, 0.5)
            logits = readout.logits(drive)
            finite(logits, readout.drive_grad(drive, np.ones_like(logits)))
            finite(*(W.weights for W in readout.pathways().values()))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ASSOCIATIONS)
@pytest.mark.parametrize("shape", SHAPES[1:], ids=str)
def test_one_sample_and_one_feature_are_enough(kind, shape):
    for dtype in DTYPES:
        for name in ("zeros", "denormals", "largest", "one large"):
            test_associations_and_their_readouts_are_finite(kind, name, dtype, shape)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["usual", "vigilant", "circuit"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_an_association_refuses_by_name_what_is_no_rate_in_learning_and_in_response(kind, dtype):
    make, options = ASSOCIATIONS[kind]
    cells = make(4, 5, 3, dtype=dtype, **options)
    T = np.eye(3, dtype=dtype)[[0, 1, 2, 0, 1, 2]]
    cells.learn(np.random.default_rng(1).random((6, 5)).astype(dtype), T)
    before = cells.synapses.copy()
    for name, H in refused(dtype, (6, 5)):
        wanted = "finite" if name in ("nan", "inf") else "at most 1e"
        for call in (lambda: cells.learn(H, T), lambda: cells.drive(H), lambda: cells.respond(H)):  # noqa: B023
            with pytest.raises(ValueError, match=rf"H must be {wanted}.*H\[5, 4\] = "):
                call()
    np.testing.assert_array_equal(cells.synapses.weights, before.weights)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", ["usual", "taught", "circuit"])
def test_a_change_of_scale_between_batches_leaves_no_nan(kind):
    """From denormal rates to the largest, and back."""
    make, options = ASSOCIATIONS[kind]
    for dtype in DTYPES:
        batches, T = extremes(dtype, (6, 5)), np.eye(3, dtype=dtype)[[0, 1, 2, 0, 1, 2]]
        for order in (NAMES, NAMES[::-1]):
            cells = make(8, 5, 3, dtype=dtype, turnover=Turnover(), **options)
            for name in order:
                finite_step(cells.learn(batches[name], T))
                if cells.teacher is not None:
                    cells.teach(batches[name], T)
                cells.rewire()
                state(cells)
                drive = cells.drive(batches[name])
                finite(drive, cells.rates(drive), cells.activity(drive), cells.votes)


@settings(max_examples=60, deadline=None)
@example(240, np.float64, "circuit")  # a cell without inhibitory synapses
@given(st.integers(0, 2**32 - 1), st.sampled_from(DTYPES), st.sampled_from(sorted(ASSOCIATIONS)))
def test_any_mixture_of_magnitudes_is_finite(seed, dtype, kind):
    """Exponents drawn over all that there are, sample by sample, cell by cell, or both."""
    rng, f = np.random.default_rng(seed), np.finfo(dtype)
    n, m, n_cells, n_classes = (int(rng.integers(1, 9)) for _ in range(4))
    low, high = np.log10(float(f.tiny)) - 5, np.log10(LARGEST_RATE[np.dtype(dtype)])
    exponents = rng.uniform(low, high, (1, 1)) + np.zeros((n, m))
    if rng.random() < 0.7:
        exponents = rng.uniform(low, high, [(n, 1), (1, m), (n, m)][rng.integers(3)]) + np.zeros((n, m))
    H = (10**exponents).astype(dtype)
    H[rng.random((n, m)) < rng.choice([0, 0.3])] = 0
    make, options = ASSOCIATIONS[kind]
    cells = make(n_cells, m, n_classes, dtype=dtype, turnover=Turnover(), seed=int(rng.integers(100)), **options)
    T = np.eye(n_classes, dtype=dtype)[rng.integers(0, n_classes, n)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(3):
            rows = rng.permutation(n)[: rng.integers(1, n + 1)]
            batch, labels = np.ascontiguousarray(H[rows]), T[rows]
            finite_step(cells.learn(batch, labels))
            if cells.teacher is not None:
                cells.teach(batch, labels)
            cells.rewire()
            state(cells)
        drive = cells.drive(H)
    finite(drive, cells.rates(drive), cells.activity(drive), cells.votes)


# --- many updates with noise ---


@pytest.mark.parametrize("rule", [LogRelaxation(sigma=2.0, eta=0.5), LogCovariance(sigma=2.0, eta=0.5)], ids=str)
def test_many_updates_with_strong_noise_stay_finite(rule):
    """A short form of a million, which stay finite, too."""
    rng = np.random.default_rng(0)
    synapses = dense(4, 6, np.float32)
    X, Y = rng.random((8, 6)).astype(np.float32), rng.random((8, 4)).astype(np.float32)
    for _ in range(5000):
        rule.step(synapses, X, Y)
    finite(synapses.weights, *synapses.traces.values())
    np.testing.assert_allclose((synapses.to_scipy() ** 2).sum(axis=1), 1, rtol=1e-4)


# --- parameters ---


@pytest.mark.parametrize("name", ["beta", "sharpening", "kappa", "homeostasis", "rate_memory", "activity_gain"])
@pytest.mark.parametrize("kind", ["usual", "circuit"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_parameters_are_refused_by_name_or_give_finite_numbers(kind, name):
    make, options = ASSOCIATIONS[kind]
    of_competition = kind == "usual" and name in ("beta", "sharpening")

    def given(value):
        return {"competition": SoftmaxSettings(**{name: value})} if of_competition else {name: value}

    H = np.random.default_rng(0).random((12, 6)).astype(np.float32)
    T = np.eye(3, dtype=np.float32)[np.arange(12) % 3]
    for value in (1e-300, 1e-6, 1e6):
        cells = make(8, 6, 3, turnover=Turnover(), **options, **given(value))
        for _ in range(3):
            finite_step(cells.learn(H, T))
            cells.rewire()
        state(cells)
        drive = cells.drive(H)
        finite(drive, cells.rates(drive), cells.activity(drive), cells.votes)
    for value in (-1.0, 1e7, np.inf, np.nan):
        with pytest.raises(ValueError, match=rf"{name} must be a number in .*, got {value}"):
            make(8, 6, 3, **options, **given(value))


@pytest.mark.parametrize("rule", [LogRelaxation, LogCovariance])
def test_noise_and_learning_rates_that_leave_nothing_to_learn_are_refused(rule):
    with pytest.raises(ValueError, match=r"sigma must be a number in \[0, 10\], got 1e\+30"):
        rule(sigma=1e30)
    for eta in (1e-300, 1e30):
        with pytest.raises(ValueError, match=f"eta of rule must be a number in .*, got {re.escape(str(eta))}"):
            Association(4, 5, 3, rule=rule(eta=eta))


@pytest.mark.parametrize("eta", [-1.0, 1e30, np.nan])
def test_a_readout_refuses_a_learning_rate_and_stays_as_it_is(eta):
    readout = READOUTS["delta"](Association(4, 5, 3), 3, seed=0)
    before = readout.excitatory.weights.copy()
    with pytest.raises(ValueError, match=r"eta must be a number in \[0, 1e\+06\], got "):
        readout.learn(np.zeros((2, 4), np.float32), np.eye(3, dtype=np.float32)[:2], eta)
    np.testing.assert_array_equal(readout.excitatory.weights, before)
    assert readout.step == 0
