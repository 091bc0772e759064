"""What attacks are given is checked by name and left as it was; what they give back is inside the budget, exactly."""

import warnings

import numpy as np
import pandas as pd
import pytest
from attack_models import Contrast, D, Linear
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_array
from sklearn.linear_model import LogisticRegression

from bioneuro.attacks import (
    ATTACKS,
    CGBA,
    PGD,
    Adaptive,
    Ensemble,
    RayS,
    Square,
    Targeted,
    Transfer,
    audit,
    loss_by_step,
    loss_landscape,
    worst_case,
)
from bioneuro.attacks.norms import NORMS, distances
from bioneuro.baselines import BackpropMLP
from bioneuro.corruptions import evaluate

#: None of them is a number in float32, the last hardly more than its precision.
AWKWARD = {"linf": [0.1, 1 / 3, 0.7, 1e-7], "l2": [0.1, 1 / 3, 2.7, 1e-7], "l0": [1, 2.9, 7], "l0-rgb": [1, 2.9]}


def quick(name, norm):
    """The attack with little effort, and whether it knows the norm."""
    make = ATTACKS[name]
    kind = getattr(make, "func", make)
    few = {"n_queries": 130, "n_steps": 4, "n_draws": 2}
    fixed = {f: n for f, n in few.items() if f in kind.__dataclass_fields__ and name != "fgsm"}
    return make(norm=norm, **fixed) if norm in kind.norms else None


ALL = [(name, norm) for name in ATTACKS for norm in NORMS if quick(name, norm)]


# --- the budget


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "norm"), ALL)
def test_no_attack_leaves_the_budget_by_a_single_digit(name, norm, dtype, contrast):
    model, X, y = contrast
    X = X[:25].astype(dtype)
    result = quick(name, norm)(model, X, y[:25], AWKWARD[norm])
    assert (result.distance <= result.epsilons[:, None]).all()
    assert result.adversarial.min() >= 0 and result.adversarial.max() <= 1 and result.adversarial.dtype == dtype
    for images, distance, success in zip(result.adversarial, result.distance, result.success, strict=True):
        np.testing.assert_array_equal(NORMS[norm].distance(images.astype(np.float64) - X), distance)
        np.testing.assert_array_equal(success, model.predict(images) != y[:25])


@given(data=st.data(), dtype=st.sampled_from([np.float32, np.float64]), norm=st.sampled_from(list(NORMS)))
@settings(deadline=None, max_examples=300)
def test_projections_end_inside_whatever_is_projected(data, dtype, norm):
    width = 32 if dtype == np.float32 else 64
    unit = st.floats(0, 1, width=width, allow_subnormal=True)
    X = data.draw(hnp.arrays(dtype, (3, 6), elements=unit))
    Z = data.draw(hnp.arrays(dtype, (3, 6), elements=st.floats(-2, 3, width=width)))
    epsilon = data.draw(st.floats(0, 3))
    images = NORMS[norm].project(Z, X, epsilon)
    assert images.dtype == dtype and images.min() >= 0 and images.max() <= 1
    assert (distances(NORMS[norm], images, X) <= epsilon).all()
    Z = np.clip(Z, 0, 1)
    inside = distances(NORMS[norm], Z, X) <= epsilon
    np.testing.assert_allclose(NORMS[norm].project(Z, X, epsilon)[inside], Z[inside], atol=1e-6)


def test_the_ball_is_used_to_its_edge():
    # exact does not mean timid: the box ends at the last number inside
    X = np.array([[0.3, 0.5, 0.9]], np.float32)
    low, high = NORMS["linf"].box(X, 0.1)
    for end, outwards in ((low, -1), (high, 2)):
        beyond = np.nextafter(end, np.float32(outwards)).astype(np.float64)
        inner = (end > 0) & (end < 1)
        assert (np.abs(end.astype(np.float64) - X) <= 0.1).all() and (np.abs(beyond - X) > 0.1)[inner].all()


# --- nothing is changed


LAYOUTS = {
    "plain": lambda A: A.copy(),
    "Fortran": np.asfortranarray,
    "read-only": lambda A: np.frombuffer(A.tobytes(), A.dtype).reshape(A.shape),
    "strided": lambda A: np.repeat(A, 2, axis=-1)[..., ::2],
    "reversed": lambda A: np.ascontiguousarray(A[::-1])[::-1],
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_no_attack_changes_or_freezes_what_it_reads(layout, dtype, binary):
    model, X, y = binary
    X, y = LAYOUTS[layout](X[:6].astype(dtype)), LAYOUTS[layout](y[:6])
    epsilons = LAYOUTS[layout](np.array([0.3, 0.05]))
    given = [X, y, epsilons]
    before = [(A.copy(), A.flags.writeable, A.strides) for A in given]
    targets = LAYOUTS[layout](np.where(y == 3, 7, 3))
    for name, norm in ALL:
        result = quick(name, norm)(model, X, y, epsilons * (1 if norm.startswith("l2") else 10 if "0" in norm else 1))
        assert not np.shares_memory(result.adversarial, X)
    worst_case(model, X, y, epsilons, attacks=["fgsm"], criterion=Targeted(targets))
    audit(model, X, y, 0.1, n_steps=2, n_queries=130)
    loss_landscape(model, X, y, n_points=2)
    loss_by_step(model, X, y, n_steps=2)
    for A, (values, writeable, strides) in zip(given, before, strict=True):
        np.testing.assert_array_equal(A, values)
        assert A.flags.writeable == writeable and A.strides == strides


# --- names of arguments in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilons": np.nan}, r"epsilons must be finite and at least 0, got \[nan\]"),
        ({"y": [3.0, np.nan]}, r"y must hold labels out of model.classes_; y\[1\] is (np.float64\()?nan"),
        ({"y": ["3", "7"]}, r"y must hold labels out of model.classes_; y\[0\] is "),
        ({"X": [[0.5] * D, [0.5, 1.5] + [0.5] * (D - 2)]}, r"X must lie in \[0, 1\]; row 1, feature 1 is 1.5"),
        ({"X": [[-0.5] * D, [0.5] * D]}, r"X must lie in \[0, 1\]; row 0, feature 0 is -0.5"),
        ({"X": np.empty((0, D)), "y": []}, r"X must be \(n, features\) and not empty, got shape \(0, 36\)"),
        ({"y": None}, "y must have one label for each of the 2 rows of X"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    good = {"X": np.full((2, D), 0.5), "y": [3, 7], "epsilons": 0.1}
    model = Linear(np.random.default_rng(0).normal(size=(2, D)), classes=[3, 7])
    with pytest.raises(ValueError, match=message):
        PGD()(model, **good | arguments)
    with pytest.raises(ValueError, match=message):
        worst_case(model, **good | arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epsilons": "8/255"}, "epsilons must be an array of real numbers, got '8/255'"),
        ({"epsilons": ["8/255", "0.1"]}, "epsilons must be an array of real numbers, got dtype <U5"),
        ({"epsilons": 0.1j}, "epsilons must be an array of real numbers, got 0.1j"),
        ({"epsilons": [object()]}, "epsilons must be an array of numbers, got list"),
        ({"X": np.full((2, D), "a")}, "X must be an array of real numbers, got dtype <U1"),
        ({"X": np.full((2, D), 0.5j)}, "X must be an array of real numbers, got dtype complex128"),
        ({"X": np.full((2, D), object())}, "X must be an array of numbers, got ndarray"),
        ({"epsilons": None}, "epsilons must be an array of numbers, got None"),
        ({"X": csr_array((2, D))}, r"X must be a dense array, got a sparse csr_array: pass X.toarray\(\)"),
    ],
)
def test_what_are_no_numbers_is_named(arguments, message):
    good = {"X": np.full((2, D), 0.5), "y": [3, 7], "epsilons": 0.1}
    model = Linear(np.random.default_rng(0).normal(size=(2, D)), classes=[3, 7])
    for attack in (PGD().__call__, worst_case):
        with pytest.raises(TypeError, match=message):
            attack(model, **good | arguments)


def test_a_model_that_was_not_fitted_is_named():
    model = BackpropMLP()
    with pytest.raises(TypeError, match="needs classes_, which BackpropMLP lacks .*; fit it first"):
        PGD()(model, np.full((2, D), 0.5), [3, 7], 0.1)
    for call in (lambda X, y: worst_case(model, X, y, 0.1), lambda X, y: evaluate(model, X, y)):
        with pytest.raises(TypeError, match="model must be fitted, but BackpropMLP lacks classes_"):
            call(np.full((2, D), 0.5), [3, 7])


def test_answers_of_another_number_are_named():
    model = Linear(np.ones((2, D)), classes=[3, 7])
    model.predict = lambda X: np.array([3])
    with pytest.raises(ValueError, match=r"predict returned shape \(1,\), expected \(2,\)"):
        PGD()(model, np.full((2, D), 0.5), [3, 7], [0, 0.1])


@pytest.mark.parametrize("name", ["X", "epsilons"])
def test_masked_arrays_are_refused(name):
    arguments = {"X": np.full((2, D), 0.5), "y": [3, 7], "epsilons": [0.1, 0.2]}
    arguments[name] = np.ma.masked_greater(arguments[name], 0.15)
    with pytest.raises(ValueError, match=f"{name} must not have masked values"):
        PGD()(Linear(np.ones((2, D)), classes=[3, 7]), **arguments)


@pytest.mark.parametrize("attack", [PGD(), worst_case, audit])
def test_a_progress_that_is_no_flag_is_refused(attack):
    model = Linear(np.random.default_rng(0).normal(size=(2, D)))
    with pytest.raises(ValueError, match="progress must be True or False, got 'no'"):
        attack(model, np.full((2, D), 0.5), [0, 1], 0.1, progress="no")


# --- models that were fitted on tables


def table(n=30):
    X = np.random.default_rng(0).uniform(0.1, 0.9, (n, 4))
    return pd.DataFrame(X, columns=["a", "b", "c", "d"]), (X[:, 0] > X[:, 1]).astype(int)


def test_a_model_fitted_on_a_table_is_attacked_without_a_warning():
    X, y = table()
    mlp = BackpropMLP((4,), n_epochs=2, random_state=0).fit(X, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        PGD(n_steps=2)(mlp, X, y, 0.1)
        PGD(n_steps=2)(mlp, X.to_numpy(), y, 0.1)
        worst_case(mlp, X, y, 0.1, attacks={"fgsm": {}, "square": {"n_queries": 20}})
        audit(mlp, X, y, 0.1, n_steps=2, n_queries=130)
        loss_landscape(mlp, X, y, n_points=2)
        loss_by_step(mlp, X, y, n_steps=2)
        evaluate(mlp, X, y, corruptions=["brightness"], severities=[1], image_shape=(2, 2))
        Square(n_queries=5)(LogisticRegression().fit(X, y), X, y, 0.1)


def test_other_columns_are_refused():
    X, y = table()
    mlp = BackpropMLP((4,), n_epochs=2, random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="feature names should match"):
        PGD(n_steps=2)(mlp, X.rename(columns={"a": "z"}), y, 0.1)


# --- what the model does while it is attacked


class Fails(Contrast):
    """Fails at the n-th call of a method, in the way it is told."""

    def __init__(self, *args, method, how, at=2, **kwargs):
        super().__init__(*args, **kwargs)
        self.method, self.how, self.left = method, how, at

    def _count(self, method, values):
        self.left -= method == self.method
        if self.left or method != self.method:
            return values
        if isinstance(self.how, BaseException):
            raise self.how
        values = np.array(values, float)
        values[1] = self.how
        return values

    def decision_function(self, X):
        return self._count("decision_function", super().decision_function(X))

    def input_gradient(self, X, y, loss="ce"):
        return self._count("input_gradient", super().input_gradient(X, y, loss))

    def response_gradient(self, X, y, loss="ce"):
        return self._count("response_gradient", super().response_gradient(X, y, loss))


GRADIENT_ATTACKS = ["fgsm", "pgd-ce", "pgd-margin", "bim", "apgd-ce", "apgd-t"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", GRADIENT_ATTACKS)
def test_a_gradient_that_is_not_finite_is_named(name, value, contrast):
    model, X, y = contrast
    broken = Fails(model.W, method="response_gradient", how=value, at=1)
    with pytest.raises(ValueError, match=r"response_gradient returned NaN or infinity for sample 1 of the \d+ it"):
        quick(name, "linf")(broken, X[:10], y[:10], 0.3)
    broken = Fails(model.W, method="input_gradient", how=value, at=1)
    with pytest.raises(ValueError, match=r"input_gradient returned NaN or infinity for sample 1 of the \d+ it"):
        PGD(norm="linf", space="input")(broken, X[:10], y[:10], 0.3)


@pytest.mark.parametrize("how", [KeyboardInterrupt(), RuntimeError("out of luck")], ids=["Ctrl-C", "error"])
@pytest.mark.parametrize("name", ["pgd-margin", "apgd-ce", "square", "rays", "frank-wolfe", "salt-and-pepper"])
def test_an_interrupted_attack_leaves_everything_usable(name, how, contrast, tmp_path):
    model, X, y = contrast
    X, y, norm = X[:10], y[:10], "l2" if name == "frank-wolfe" else "linf"
    method = "decision_function" if name in ("square", "rays", "salt-and-pepper") else "response_gradient"
    if norm == "l2":
        method = "response_gradient"
    attack = quick(name, norm)
    whole = attack(model, X, y, 0.3)
    broken = Fails(model.W, method=method, how=how, at=1 if method == "response_gradient" else 3)
    kept, filters = X.copy(), list(warnings.filters)
    with pytest.raises(type(how)):
        attack(broken, X, y, 0.3)
    np.testing.assert_array_equal(X, kept)
    assert warnings.filters == filters
    np.testing.assert_array_equal(attack(broken, X, y, 0.3).adversarial, whole.adversarial)


def test_attacks_made_of_attacks_stay_inside_too(binary):
    model, X, y = binary
    X = X.astype(np.float32)
    for attack in (
        Ensemble([PGD(n_steps=2), RayS(n_queries=130)]),
        Transfer(model, PGD(n_steps=2)),
        Adaptive(PGD(n_steps=2)),
        Transfer(model, CGBA(n_queries=130)),
    ):
        model.surrogates = lambda: {"itself": Linear(model.W, model.b, model.classes_)}
        result = attack(model, X[:20], y[:20], [0.1, 1 / 3])
        assert (result.distance <= result.epsilons[:, None]).all()


def test_attacks_made_of_attacks_draw_no_random_numbers_of_their_own():
    with pytest.raises(TypeError, match="random_state"):
        Ensemble([PGD()], random_state=1)


def test_numbers_as_text_are_other_labels():
    model = Linear(np.ones((30, D)), classes=np.arange(30))
    with pytest.raises(ValueError, match=r"y must hold labels out of model.classes_; y\[0\] is .*'3'"):
        PGD()(model, np.full((2, D), 0.5), ["3", "7"], 0.1)
    with pytest.raises(ValueError, match="Targeted labels must be out of model.classes_"):
        PGD()(model, np.full((2, D), 0.5), [3, 7], 0.1, criterion=Targeted("5"))
