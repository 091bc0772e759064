"""What classifiers share: rows that need no work skip scikit-learn's checks, and no other rows do."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from bioneuro.attacks.norms import LINF
from bioneuro.baselines import BackpropMLP
from bioneuro.estimators import check_unit_interval, class_index, validated

X = np.random.default_rng(0).random((12, 5), dtype=np.float32)
Y = np.arange(12) % 2


@pytest.fixture(scope="module")
def model():
    return BackpropMLP((3,), n_epochs=1, random_state=0).fit(X, Y)


def test_rows_as_the_model_wants_them_are_passed_on_as_they_are(model):
    assert validated(model, X, np.float32) is X


@pytest.mark.parametrize(
    "rows", [X.astype(np.float64), X[:, ::-1], np.asfortranarray(X), X.tolist(), pd.DataFrame(X)], ids=lambda x: type(x)
)
def test_other_rows_are_made_so(model, rows):
    found = validated(model, rows, np.float32)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    np.testing.assert_array_equal(found, np.asarray(rows, np.float32))


def test_finite_rows_whose_sum_is_not_are_passed_on(model):
    huge = np.full((4, 5), np.finfo(np.float32).max, np.float32)
    np.testing.assert_array_equal(validated(model, huge, np.float32), huge)


@pytest.mark.parametrize(
    ("value", "match"), [(np.nan, "NaN"), (np.inf, "infinity"), (-np.inf, "infinity")], ids=["nan", "inf", "-inf"]
)
def test_rows_that_are_not_finite_are_refused(model, value, match):
    wrong = X.copy()
    wrong[3, 2] = value
    with pytest.raises(ValueError, match=match):
        validated(model, wrong, np.float32)


def test_opposite_infinities_are_refused(model):
    wrong = X.copy()
    wrong[0, :2] = np.inf, -np.inf
    with pytest.raises(ValueError, match="infinity"):
        validated(model, wrong, np.float32)


@pytest.mark.parametrize(("rows", "match"), [(X[:, :4], "4 features"), (X[0], "1D array"), (X[:0], "0 sample")])
def test_rows_of_another_shape_are_refused(model, rows, match):
    with pytest.raises(ValueError, match=match):
        validated(model, np.ascontiguousarray(rows), np.float32)


def test_names_that_are_missing_are_warned_of():
    named = BackpropMLP((3,), n_epochs=1, random_state=0).fit(pd.DataFrame(X, columns=list("abcde")), Y)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        validated(named, X, np.float32)
    assert any("feature names" in str(warning.message) for warning in caught)


@pytest.mark.parametrize("value", [-0.5, 1.5])
def test_the_first_value_out_of_the_unit_interval_is_named(value):
    wrong = X.copy()
    wrong[1, 3] = value
    with pytest.raises(ValueError, match=rf"X must lie in \[0, 1\] for images, but X\[1, 3\] = {value}: rescale"):
        check_unit_interval(wrong, "for images")


@given(arrays(np.float32, (3, 4), elements=st.floats(-(2.0**100), 2.0**100, width=32, allow_subnormal=False)))
def test_the_steepest_direction_in_linf_is_the_sign(gradient):
    np.testing.assert_array_equal(LINF.steepest(gradient), np.sign(gradient))


def test_masked_rows_are_refused(model):
    masked = np.ma.masked_greater(X, 0.9)
    with pytest.raises(ValueError, match="X must not have masked values"):
        model.predict(masked)
    with pytest.raises(ValueError, match="X must not have masked values"):
        model.fit(masked, Y)


@pytest.mark.parametrize("n_classes", [3, 30])
@pytest.mark.parametrize("text", ["labels", "classes"])
def test_numbers_as_text_are_other_labels(n_classes, text):
    labels, classes = np.array([1, 2]), np.arange(n_classes)
    labels, classes = (labels.astype(str), classes) if text == "labels" else (labels, classes.astype(str))
    with pytest.raises(ValueError, match=r"y must hold labels out of classes_, but y\[0\] = "):
        class_index(labels, classes)
