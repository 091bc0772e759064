"""Shares of images: intervals and paired differences against closed forms, scipy's, and their coverage."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bioneuro import analysis


def pairs(both, only_a, only_b, neither):
    a = [True] * (both + only_a) + [False] * (only_b + neither)
    b = [True] * both + [False] * only_a + [True] * only_b + [False] * neither
    return a, b


def test_share_interval_is_wilsons():
    k, n, z = 7, 40, stats.norm.ppf(0.975)
    interval = analysis.share_interval(np.arange(n) < k)
    centre, half = (k + z**2 / 2) / (n + z**2), z / (n + z**2) * np.sqrt(k * (n - k) / n + z**2 / 4)
    assert interval[:3] == pytest.approx((k / n, centre - half, centre + half))
    assert interval.half_width == pytest.approx(half) and interval.n == n


def test_share_of_nothing_broken_still_has_an_interval():
    interval = analysis.share_interval(np.ones(100, bool))
    assert interval.mean == interval.high == 1 and interval.low == pytest.approx(0.963, abs=1e-3)


def test_paired_shares_by_hand():
    found = analysis.paired_shares(*pairs(20, 9, 2, 9))
    p10, p01, z = 10 / 42, 3 / 42, stats.norm.ppf(0.975)
    half = z * np.sqrt((p10 + p01 - (p10 - p01) ** 2) / 42)
    assert found[:4] == pytest.approx((7 / 40, p10 - p01 - half, p10 - p01 + half, half))
    assert found.p_value == pytest.approx(stats.binomtest(2, 11).pvalue) and found.n == 40


def test_images_on_which_models_agree_decide_nothing():
    found = analysis.paired_shares(*pairs(50, 0, 0, 50))
    assert (found.mean, found.p_value) == (0, 1) and found.low < 0 < found.high


@given(st.tuples(*[st.integers(0, 30)] * 4).filter(lambda counts: sum(counts) > 0))
def test_paired_shares_turn_sign_with_their_order(counts):
    a, b = pairs(*counts)
    there, back = analysis.paired_shares(a, b), analysis.paired_shares(b, a)
    assert (there.mean, there.low, there.high) == pytest.approx((-back.mean, -back.high, -back.low))
    assert there.p_value == pytest.approx(back.p_value)
    assert -1 <= there.low <= there.mean <= there.high <= 1


def test_interval_of_paired_shares_covers_the_truth():
    rng, truth, covered = np.random.default_rng(0), 0.1, 0
    for _ in range(400):
        kind = rng.choice(4, 200, p=[0.6, 0.15, 0.05, 0.2])
        found = analysis.paired_shares((kind == 0) | (kind == 1), (kind == 0) | (kind == 2))
        covered += found.low <= truth <= found.high
    assert 0.92 <= covered / 400 <= 0.98


@pytest.mark.parametrize("wrong", [[], [[True]], [0.5, 1], [2]])
def test_values_must_be_true_or_false(wrong):
    with pytest.raises(ValueError, match="hits must be 1-d"):
        analysis.share_interval(wrong)
    with pytest.raises(ValueError, match="a must be 1-d"):
        analysis.paired_shares(wrong, wrong)


def test_shares_must_be_paired():
    with pytest.raises(ValueError, match="a and b must be paired: they have 1 and 2 values"):
        analysis.paired_shares([True], [True, False])


@pytest.mark.parametrize("level", [0, 1, 1.5])
def test_level_is_checked(level):
    with pytest.raises(ValueError, match="level must be a number in"):
        analysis.share_interval([True], level)
    with pytest.raises(ValueError, match="level must be a number in"):
        analysis.paired_shares([True], [True], level)
