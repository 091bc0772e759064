"""Dale's law where signs are fixed: no path through the library changes the sign of a synapse (claim C3's property).

Three kinds of pathways hold a pattern of signs: "E" and "I" ones, whatever is done to them, and "mixed" ones under the
exponential form, synapse by synapse. Patterns, rates, hyper-parameters and the order of operations are random, and the
values go far beyond what is sensible: what cannot be computed must be refused and leave no trace.
"""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import bioneuro as bn
from bioneuro import _core, connectivity
from bioneuro.layers import (
    READOUTS,
    Association,
    CompetitiveLayer,
    DeltaReadout,
    FeatureMap,
    PerturbationReadout,
    SoftmaxSettings,
)
from bioneuro.rules import RULES, LogCovariance, LogRelaxation, Turnover

N_POST, N_PRE = 6, 11


def pattern(kind, rng):
    """A random pathway: empty rows, stored zeros, sizes over six decades."""
    stored = rng.random((N_POST, N_PRE)) < rng.choice([0.2, 0.6, 1.0])
    size = 10 ** rng.uniform(-5, 1, stored.shape) * (rng.random(stored.shape) < 0.9)
    W = size * {"E": 1, "I": -1, "mixed": rng.choice([-1, 1], stored.shape)}[kind]
    value, index = rng.choice([np.float32, np.float64]), rng.choice([np.int32, np.int64])
    indptr = np.concatenate([[0], np.cumsum(stored.sum(axis=1))]).astype(index)
    return bn.Synapses(indptr, np.nonzero(stored)[1].astype(index), W[stored].astype(value), N_PRE, sign=kind)


def rates(s, rng, low=0.0):
    """Rates from 1e-3 to 1e3, some silent; from ``low = -1`` on of both signs."""
    scale = 10 ** rng.uniform(-3, 3)
    X = rng.uniform(low, 1, (rng.integers(1, 6), s.n_pre)) * scale
    Y = rng.uniform(low, 1, (len(X), s.n_post)) * (rng.random(s.n_post) < 0.7)
    return X.astype(s.dtype), Y.astype(s.dtype)


#: Forms that only excitatory pathways learn by.
LOG_FORMS = [form for form, traits in _core.FORMS.items() if traits.signs == ("E",)]


def rates_for(form, s, rng):
    """Rates of both signs where the form allows them."""
    nonnegative = _core.FORMS[form].nonnegative
    X, Y = rates(s, rng, -1)
    return np.abs(X) if "X" in nonnegative else X, np.abs(Y) if "Y" in nonnegative else Y


def learning(rng):
    """Hyper-parameters of a step of the kernels, with noise half of the time."""
    return {
        "eta": 10 ** rng.uniform(-3, 3),
        "sigma": rng.choice([0.0, 3.0]),
        "w_min": rng.choice([0.0, 1e-3]),
        "w_max": rng.choice([np.inf, 2.0]),
        "normalize": bool(rng.integers(2)),
        "seed": int(rng.integers(100)),
        "step": int(rng.integers(100)),
    }


# --- operations on one pathway: each takes it with a generator, and returns it or its successor


def plasticity_step(form):
    def operation(s, rng):
        X, Y = rates_for(form, s, rng)
        s.plasticity_step(s.weight_grad(X, Y), Y.sum(axis=0), form=form, **learning(rng))
        return s

    return operation


def hebbian_step(form):
    def operation(s, rng):
        X, Y = rates_for(form, s, rng)
        gain = rng.random(s.n_post).astype(s.dtype) if rng.integers(2) else None
        s.hebbian_step(X, Y, gain=gain, form=form, **learning(rng))
        return s

    return operation


def rule_step(name):
    def operation(s, rng):
        rule = RULES[name](eta=10 ** rng.uniform(-3, 3))
        for _ in range(2):
            X, Y = rates(s, rng, 0 if rule.nonnegative else -1)
            if rule.rewarded:
                check_signs(s.sign, rule.perturb(s))
            rule.step(s, X, Y, reward=rng.normal() if rule.rewarded else None)
        return s

    return operation


def add(s, rng):
    relative = rng.uniform(-1, 1, s.nnz).astype(s.dtype) * s.weights
    s.add(relative if rng.integers(2) else rng.normal(0, 0.01, s.nnz).astype(s.dtype))
    return s


def normalize_rows(s, rng):
    s.normalize_rows()
    return s


def prune(s, rng):
    s.prune(rng.choice([0.0, 0.05, 0.5, 1.0]))
    return s


def grow(s, rng):
    X, Y = rates(s, rng, -1)
    s.grow(X, Y, n_grow=2, n_candidates=8, weight=10 ** rng.uniform(-3, 1), seed=0, step=int(rng.integers(100)))
    return s


def turnover(s, rng):
    s.turnover(
        birth=10 ** rng.uniform(-3, 2), death=10 ** rng.uniform(-3, 2), gamma=rng.uniform(0, 4),
        size=10 ** rng.uniform(-3, 1), seed=0, step=int(rng.integers(100)),
    )  # fmt: skip
    return s


def replace_rows(s, rng):
    other = pattern(s.sign, rng).to_scipy()[:1].astype(s.dtype)
    other.indices, other.indptr = other.indices.astype(s.indices.dtype), other.indptr.astype(s.indptr.dtype)
    s.replace_rows(rng.choice(s.n_post, 1), sp.csr_array(other, copy=True))
    return s


def through_scipy(s, rng):
    return bn.Synapses.from_scipy(s.to_scipy(), sign=s.sign)


def through_pickle(s, rng):
    return pickle.loads(pickle.dumps(s))


def copied(s, rng):
    return rng.choice([bn.Synapses.copy, copy.deepcopy])(s)


#: Of pathways of any kind: they leave each synapse its sign, or silence it.
KEEPING = {
    "plasticity_step exponential": plasticity_step("exponential"),
    "hebbian_step exponential": hebbian_step("exponential"),
    "rule exponential": rule_step("exponential"),
    "normalize_rows": normalize_rows,
    "prune": prune,
    "through_scipy": through_scipy,
    "through_pickle": through_pickle,
    "copied": copied,
}
#: Of "E" and "I" pathways: they may also wake synapses, on the side that is theirs.
WAKING = {
    **{f"plasticity_step {form}": plasticity_step(form) for form in _core.FORMS if form != "exponential"},
    **{f"hebbian_step {form}": hebbian_step(form) for form in _core.FORMS if form != "exponential"},
    "add": add,
    "grow": grow,
    "turnover": turnover,
    "replace_rows": replace_rows,
} | {f"rule {name}": rule_step(name) for name in RULES if name != "exponential"}
#: What a pathway refuses and why; nothing else may fail.
REFUSALS = ("needs a pathway of sign", "finite", "overflow", "needs weights", "w_min")


def attempt(operation, s, rng):
    """The pathway after an operation; where it is refused, as it was."""
    before = s.to_scipy().copy(), s.version
    try:
        return operation(s, rng)
    except ValueError as error:
        assert any(reason in str(error) for reason in REFUSALS), error
        if s.version == before[1]:
            np.testing.assert_array_equal(s.to_scipy().toarray(), before[0].toarray())
        return s


def check_signs(kind, s):
    assert s.sign == kind
    assert np.isfinite(s.weights).all()
    assert (s.weights >= 0).all() if kind == "E" else (s.weights <= 0).all() if kind == "I" else True


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["E", "I"]),
    st.integers(0, 2**32),
    st.lists(st.sampled_from([*KEEPING, *WAKING]), min_size=1, max_size=12),
)
def test_excitatory_and_inhibitory_pathways_keep_their_sign(kind, seed, operations):
    rng = np.random.default_rng(seed)
    s = pattern(kind, rng)
    for name in operations:
        s = attempt((KEEPING | WAKING)[name], s, rng)
        check_signs(kind, s)


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(["mixed", "E", "I"]),
    st.integers(0, 2**32),
    st.lists(st.sampled_from([*KEEPING]), min_size=1, max_size=12),
)
def test_each_synapse_keeps_its_sign_under_the_exponential_form(kind, seed, operations):
    """In a pathway of any pattern of signs; a synapse that is 0 or silent stays so."""
    rng = np.random.default_rng(seed)
    s = pattern(kind, rng)
    before = np.sign(s.to_scipy().toarray())
    for name in operations:
        s = attempt(KEEPING[name], s, rng)
        after = np.sign(s.to_scipy().toarray())
        assert ((after == before) | (after == 0)).all()
        before = after


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_growth_leaves_the_synapses_there_are(seed):
    """A mixed pathway grows positive synapses; the others keep weight and sign."""
    rng = np.random.default_rng(seed)
    s = pattern("mixed", rng)
    before, stored = s.to_scipy().toarray(), abs(s.to_scipy()).astype(bool).toarray()
    s = grow(s, rng)
    after = s.to_scipy().toarray()
    np.testing.assert_array_equal(after[stored], before[stored])
    assert (after[~stored] >= 0).all()


@pytest.mark.parametrize("kind", ["E", "I"])
@pytest.mark.parametrize("name", [*KEEPING, *WAKING])
def test_every_operation_does_something_where_its_sign_allows(name, kind):
    """So that the properties above are not about operations that are always refused."""
    refused = {"plasticity_step signed", "hebbian_step signed", "rule signed"}
    if kind == "I":
        refused |= {f"{path} {form}" for path in ("plasticity_step", "hebbian_step", "rule") for form in LOG_FORMS}
        refused |= {"rule log-covariance"}
    else:
        refused |= {"rule vogels"}
    done = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        try:
            (KEEPING | WAKING)[name](pattern(kind, rng), rng)
        except ValueError as error:
            assert any(reason in str(error) for reason in REFUSALS), error
        else:
            done += 1
    assert done == 0 if name in refused else done > 0


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["E", "I", "mixed"]), st.integers(0, 2**32))
def test_files_keep_every_weight_and_its_sign(tmp_path_factory, kind, seed):
    s, path = pattern(kind, np.random.default_rng(seed)), tmp_path_factory.mktemp("signs") / "s.npz"
    bn.save(s, path)
    t = bn.load(path)
    check_signs(kind, t)
    np.testing.assert_array_equal(t.weights, s.weights, strict=True)


# --- layers, readouts, the classifier


def check_network(pathways):
    for name, s in pathways.items():
        assert s.sign == ("I" if "inhibitory" in name else "E")
        check_signs(s.sign, s)


#: Rules that an excitatory layer can learn by.
LAYER_RULES = [name for name, rule in RULES.items() if "E" in rule.signs and not rule.rewarded]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([CompetitiveLayer, Association]), st.sampled_from(LAYER_RULES))
def test_layers_keep_signs(seed, kind, name):
    rng = np.random.default_rng(seed)
    birth = rng.choice([0.0, 0.1])
    beta = 10 ** rng.uniform(-1, 3)
    options = {
        "rule": RULES[name](eta=10 ** rng.uniform(-3, 2)),
        "turnover": Turnover(birth=birth, death=birth * rng.choice([0.1, 10]), gamma=rng.uniform(0, 3)),
        "intrinsic": bool(rng.integers(2)),
        "recruitment": rng.choice([0.0, 0.5]),
        "seed": int(rng.integers(100)),
    }
    if kind is Association:
        options |= {"competition": SoftmaxSettings(beta=beta), "kappa": rng.choice([0.0, 5.0])}
        layer = Association(8, N_PRE, 3, teacher="contrastive", **options)
    else:
        layer = CompetitiveLayer(
            connectivity.random(8, N_PRE, density=0.5, sign="E", random_state=rng), beta=beta, **options
        )
    scale = 10 ** rng.uniform(-3, 3)
    for _ in range(5):
        U = (rng.random((6, N_PRE)) * scale).astype(np.float32)
        labels = np.eye(3, dtype=np.float32)[rng.integers(3, size=6)]
        try:
            layer.learn(U, labels) if kind is Association else layer.learn(U)
        except ValueError as error:
            assert "finite" in str(error) or "overflow" in str(error)  # what cannot be computed is refused
        check_signs("E", layer.synapses)
        layer.rewire()
        check_signs("E", layer.synapses)
        if kind is Association:
            layer.teach(U, labels)
            check_signs("E", layer.synapses)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_feature_map_keeps_signs(seed):
    rng = np.random.default_rng(seed)
    encoder = FeatureMap(
        (6, 6),
        n_columns=5,
        beta=10 ** rng.uniform(0, 3),
        rule=LogRelaxation(eta=10 ** rng.uniform(-2, 2)),
        random_state=0,
    )
    encoder.learn(rng.random((4, 36)).astype(np.float32), batch_size=20, random_state=0)
    check_signs("E", encoder.columns.synapses)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([DeltaReadout, PerturbationReadout]))
def test_readouts_keep_signs(seed, kind):
    rng = np.random.default_rng(seed)
    association = Association(8, N_PRE, 3, competition=SoftmaxSettings(beta=10 ** rng.uniform(-1, 2)))
    readout = kind(association, 3, seed=int(rng.integers(100)))
    for _ in range(10):
        drive = (rng.normal(size=(6, 8)) * 10 ** rng.uniform(-2, 2)).astype(np.float32)
        T = np.eye(3, dtype=np.float32)[rng.integers(3, size=6)]
        readout.learn(drive, T, eta=10 ** rng.uniform(-3, 3))
        check_network(readout.pathways())


@settings(max_examples=8, deadline=None)
@given(
    st.sampled_from([*READOUTS]),
    st.sampled_from([None, "auto"]),
    st.floats(0, 2),
    st.lists(st.sampled_from(["fit", "partial_fit", "save and load", "pickle"]), min_size=1, max_size=5),
    st.integers(0, 1000),
)
def test_classifier_keeps_signs(tmp_path_factory, readout, image_shape, sigma, operations, seed):
    rng = np.random.default_rng(seed)
    model = bn.BioClassifier(
        readout,
        image_shape=image_shape,
        encoder=bn.layers.MapSettings(n_columns=6),
        n_cells=12,
        mixing=30,
        rule=LogCovariance(sigma=sigma, gain=2),
        turnover=Turnover(birth=0.1, death=0.2),
        supervision=bn.Supervision(eta=2.0),
        schedule=bn.Schedule(association_epochs=1, teaching_epochs=2, readout_epochs=2, readout_eta=5.0),
        random_state=seed,
    )
    path = tmp_path_factory.mktemp("signs") / "model.npz"
    for operation in operations:
        X, y = rng.random((30, 36)), rng.permutation(np.arange(30) % 3)
        if operation == "fit":
            model.fit(X, y)
        elif operation == "partial_fit":
            model.partial_fit(X, y, classes=[0, 1, 2])
        elif operation == "pickle":
            model = pickle.loads(pickle.dumps(model))
        else:
            bn.save(model, path)
            model = bn.load(path)
        if hasattr(model, "network_"):
            check_network(model.network_.pathways())
