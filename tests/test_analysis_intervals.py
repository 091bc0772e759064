"""Intervals and p-values over seeds: against scipy's, and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bioneuro import analysis


def test_mean_interval_is_scipys():
    values = np.random.default_rng(9).normal(size=7)
    interval = analysis.mean_interval(values, 0.9)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert interval[:3] == pytest.approx((values.mean(), expected.low, expected.high))
    assert interval.half_width == pytest.approx((expected.high - expected.low) / 2)
    assert interval.n == 7


def test_one_value_has_no_interval():
    interval = analysis.mean_interval([0.5])
    assert (interval.mean, interval.n) == (0.5, 1)
    assert np.isnan([interval.low, interval.high, interval.half_width]).all()


def test_paired_difference_is_scipys():
    a, b = np.random.default_rng(10).normal(size=(2, 9))
    difference, test = analysis.paired_difference(a, b), stats.ttest_rel(a, b)
    expected = test.confidence_interval(0.95)
    assert difference[:3] == pytest.approx(((a - b).mean(), expected.low, expected.high))
    assert difference.p_value == pytest.approx(test.pvalue)


def test_pairs_that_do_not_differ_are_no_difference():
    b = np.array([0.1, 0.2, 0.4])
    assert analysis.paired_difference(b, b) == (0.0, 0.0, 0.0, 0.0, 3, 1.0)


def test_pairs_that_differ_by_rounding_are_no_difference():
    found = analysis.paired_difference([0.1 + 0.2, 0.7], [0.3, 0.7])
    assert found.p_value == 1 and found.half_width < 1e-15


def test_pairs_that_all_differ_alike_say_nothing_about_their_spread():
    b = np.array([0.87, 0.89, 0.9])
    found = analysis.paired_difference(b + 0.03, b)  # equal but for rounding
    assert found.mean == pytest.approx(0.03) and found.n == 3
    assert (found.low, found.high, found.half_width, found.p_value) == (-np.inf, np.inf, np.inf, 1.0)


def test_one_pair_has_no_p_value():
    assert np.isnan(analysis.paired_difference([1.0], [0.5]).p_value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: analysis.mean_interval([]), "values must be 1-d with at least one value"),
        (lambda: analysis.mean_interval([[1.0, 2.0]]), r"got shape \(1, 2\)"),
        (lambda: analysis.mean_interval([1.0, np.nan]), r"values\[1\] is nan"),
        (lambda: analysis.mean_interval([1.0, 2.0], level=95), r"level must be a number in \(0, 1\), got 95"),
        (lambda: analysis.paired_difference([1.0], [1.0, 2.0]), "paired: they have 1 and 2 values"),
        (lambda: analysis.paired_difference([1.0], [np.inf]), r"b\[0\] is inf"),
        (lambda: analysis.holm([0.1, 1.2]), r"p_values\[1\] is 1.2"),
    ],
)
def test_interval_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_holm_by_hand():
    assert analysis.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert analysis.holm([0.6, 0.7]) == pytest.approx([1.0, 1.0])
    assert analysis.holm([0.01, np.nan, 0.01]) == pytest.approx([0.03, 1.0, 0.03])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_raw_p_and_bonferroni(p):
    adjusted = analysis.holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, len(p) * np.array(p))).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()
    rejected = np.arange(len(p), 0, -1) * np.sort(p) <= 0.05  # the step-down procedure itself
    first_kept = len(p) if rejected.all() else int(np.argmin(rejected))
    assert (adjusted <= 0.05).sum() == first_kept
