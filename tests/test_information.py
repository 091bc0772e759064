"""Information: exact where it is known, bracketed elsewhere, with its cap and its bias shown."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from bioneuro.analysis import (
    discrete_entropy,
    discrete_information,
    gaussian_information,
    information_bounds,
    information_by_samples,
    relative_noise,
    shuffled_information,
    synaptic_capacity,
)

rng = np.random.default_rng

# --- discrete


def test_entropy_of_known_values():
    plug_in, correction = discrete_entropy([0, 0, 1, 1, 2, 2, 3, 3])
    assert plug_in == pytest.approx(2) and correction == pytest.approx(3 / 16 / np.log(2))
    assert discrete_entropy(["a", "a"]) == (0, 0)


def test_information_of_known_codes():
    b = np.arange(40_000) % 8
    noise = rng(0).integers(4, size=b.size)
    same, other, both = (discrete_information(a, b) for a in (b, noise, 4 * b + noise))
    assert same.information == pytest.approx(3, abs=0.01) and same.conditional == pytest.approx(0, abs=0.01)
    assert other.information == pytest.approx(0, abs=0.01) and other.conditional == pytest.approx(2, abs=0.01)
    assert both.information == pytest.approx(3, abs=0.01) and both.conditional == pytest.approx(2, abs=0.01)


def test_correction_takes_most_of_the_bias():
    draws = [
        discrete_information(rng(s).integers(40, size=3000), rng([s, 1]).integers(10, size=3000)) for s in range(10)
    ]
    corrected = np.mean([draw.information for draw in draws])
    plug_in = np.mean([draw.information + draw.correction for draw in draws])
    assert abs(corrected) < 0.2 * plug_in


def test_names_do_not_matter():
    a, b = rng(0).integers(5, size=300), rng(1).integers(3, size=300)
    assert discrete_information(a, b) == discrete_information(7 - 3 * a, np.array(["x", "y", "z"])[b])


def test_shuffling_finds_what_is_left_of_the_bias():
    a, b = rng(0).integers(200, size=400), np.arange(400) % 10
    found = shuffled_information(a, b, rng(1), n_shuffles=5)
    assert found.shape == (5,)
    assert found.mean() == pytest.approx(discrete_information(a, b).information, abs=0.1)
    assert found.mean() > 0.5, "cells outnumber samples of a class: the estimate is too high, and this shows it"
    assert np.array_equal(found, shuffled_information(a, b, rng(1), n_shuffles=5))


# --- continuous


@pytest.mark.parametrize("s", [0.3, 1.0, 3.0])
def test_gaussian_channel(s):
    """Large-sample limits: pairwise distances of a normal variable are known in closed form."""
    bounds = information_bounds(rng(0).normal(size=(3000, 1)), s)
    true = np.log2(1 + 1 / s**2) / 2
    excess = 1 / (2 * np.log(2))
    assert bounds.upper == pytest.approx(true + excess / (1 + s**2), abs=0.05)
    assert bounds.lower == pytest.approx(np.log2(1 + 1 / (4 * s**2)) / 2 + excess / (1 + 4 * s**2), abs=0.05)
    assert bounds.gaussian == pytest.approx(true, abs=0.05)
    assert bounds.gaussian == gaussian_information(rng(0).normal(size=(3000, 1)), s)
    assert bounds.lower < true < bounds.upper < bounds.cap == np.log2(3000)


def test_independent_cells_add_up():
    Z = rng(0).normal(size=(4000, 3)) * [1, 2, 3]
    assert gaussian_information(Z, 0.5) == pytest.approx(
        sum(np.log2(1 + (k / 0.5) ** 2) / 2 for k in (1, 2, 3)), abs=0.1
    )


@pytest.mark.parametrize("k", [2, 8])
def test_clusters_far_apart(k):
    bounds = information_bounds(1e3 * np.eye(k)[np.arange(64) % k], 1.0)
    assert bounds.lower == pytest.approx(np.log2(k)) and bounds.upper == pytest.approx(np.log2(k))


def test_a_cell_that_never_varies_says_nothing():
    bounds = information_bounds(np.ones((20, 3)), 0.1)
    assert bounds[:3] == pytest.approx((0, 0, 0))


def test_the_gaussian_bound_is_tighter_than_the_pairs_where_the_code_is_gaussian():
    """In closed form ``upper`` of many samples of variance v is ``1/2 log(1 + v) + v / 2 (1 + v)``."""
    bounds = information_bounds(rng(1).normal(size=(3000, 1)), 1.0)
    assert bounds.lower < 0.5 < bounds.upper
    assert bounds.gaussian == pytest.approx(0.5, abs=0.03)
    assert bounds.upper == pytest.approx(0.5 + 0.25 / np.log(2), abs=0.03)


def test_few_samples_cap_the_bracket_but_not_the_gaussian_bound():
    bounds = information_bounds(rng(0).normal(size=(50, 40)), 0.01)
    assert bounds.lower == pytest.approx(np.log2(50)) and bounds.upper == pytest.approx(np.log2(50))
    assert bounds.gaussian > 10 * bounds.cap


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=6), st.floats(0.2, 3))
def test_brackets_the_integral(points, s):
    points = np.array(points)

    def entropy_density(z):
        p = stats.norm.pdf(z, points, s).mean()
        return -p * np.log2(p) if p > 0 else 0.0

    grid = sorted({-5 - 9 * s, *points, 5 + 9 * s})
    entropy = sum(integrate.quad(entropy_density, a, b)[0] for a, b in zip(grid, grid[1:], strict=False))
    exact = entropy - np.log2(2 * np.pi * np.e * s**2) / 2
    bounds = information_bounds(points[:, None], s)
    assert bounds.lower - 1e-6 <= exact <= min(bounds.upper, bounds.gaussian) + 1e-6
    assert bounds.upper <= bounds.cap + 1e-9


def test_rows_in_chunks(monkeypatch):
    Z = rng(0).normal(size=(30, 4))
    whole = information_bounds(Z, 0.5)
    monkeypatch.setattr("bioneuro.analysis.information.ROWS", 7)
    assert information_bounds(Z, 0.5) == pytest.approx(whole)


def test_relative_noise_knows_no_unit():
    Z = rng(0).random((100, 5))
    assert relative_noise(Z, 0.1) == pytest.approx(0.1 * np.sqrt(Z.var(axis=0).mean()))
    scaled = [information_bounds(unit * Z, relative_noise(unit * Z, 0.2)) for unit in (1, 50)]
    assert scaled[0] == pytest.approx(scaled[1])


def test_bias_falls_with_samples():
    Z = rng(0).normal(size=(800, 30))
    found = information_by_samples(Z, 0.5, (50, 200, 800), rng(0))
    assert [bounds.cap for bounds in found] == pytest.approx(np.log2([50, 200, 800]))
    assert found[0].lower < found[1].lower < found[2].lower
    true = 15 * np.log2(5)
    errors = [abs(bounds.gaussian - true) for bounds in found]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 0.03 * true
    assert found[2] == pytest.approx(information_bounds(Z, 0.5))


def test_synaptic_capacity():
    assert synaptic_capacity(372.66, 784) == pytest.approx(0.475, abs=5e-4)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: discrete_entropy([]), r"values must be 1-d with at least one value, got shape \(0,\)"),
        (lambda: discrete_information([0, 1], [0]), r"a and b must be paired: they have shapes \(2,\) and \(1,\)"),
        (lambda: information_bounds(np.ones(3), 1), r"rates must have shape \(n_stimuli >= 2, n_cells\), got \(3,\)"),
        (
            lambda: information_bounds(np.ones((1, 3)), 1),
            r"rates must have shape \(n_stimuli >= 2, n_cells\), got \(1, 3\)",
        ),
        (lambda: information_bounds([[0.0], [np.nan]], 1), "rates must be finite"),
        (lambda: information_bounds(np.eye(3), 0), "noise_sd must be a finite number > 0, got 0"),
        (lambda: information_bounds(np.eye(3), np.inf), "noise_sd must be a finite number > 0, got inf"),
        (lambda: gaussian_information(np.eye(3), -2), "noise_sd must be a finite number > 0, got -2"),
        (lambda: relative_noise(np.eye(3), -1), "share must be a finite number > 0, got -1"),
        (lambda: relative_noise(np.ones((3, 2)), 0.1), "rates must vary"),
        (
            lambda: information_by_samples(np.eye(3), 1, [4], rng(0)),
            r"sizes\[0\] must be an integer in \[2, 3\], got",
        ),
        (lambda: synaptic_capacity(-1.0, 3), "information must be a finite number >= 0, got -1"),
        (lambda: synaptic_capacity(1.0, 0), "n_non_silent must be an integer >= 1, got 0"),
    ],
)
def test_refuses(call, match):
    with pytest.raises(ValueError, match=match):
        call()
