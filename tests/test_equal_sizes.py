"""Rivals at the network's number of synapses or at its accuracy."""

from argparse import Namespace
from functools import partial

import numpy as np
import pandas as pd
import pytest

from bioneuro.baselines import BackpropMLP, HPCAClassifier, SparseMLP, make
from bioneuro.research.commands import compare, main
from bioneuro.research.comparison import equal_sizes, models
from bioneuro.research.comparison.equal_sizes import REFERENCE, WIDTHS, Size, n_synapses, size_of, sized
from bioneuro.research.comparison.models import ComparedModel
from bioneuro.research.comparison.plan import ComparisonPlan

PLAN = ComparisonPlan.for_dataset("digits", 1297, n_train=100, quick=True, epsilons=(0.1,), rivals=True)
TARGET = Size(REFERENCE, 0, 5000, 0.9, True)


def of(made, **params):
    return ComparedModel(lambda seed: made(random_state=seed, **params), "softmax", "hidden_1")


def test_cells_are_set_by_the_parameter_that_counts_them():
    assert sized(BackpropMLP(), 7) == {"hidden": (7,)}
    assert sized(HPCAClassifier(), 7) == {"n_hidden": 7}
    assert sized(make("class-means"), 7) == {}


@pytest.mark.parametrize("made", [BackpropMLP, SparseMLP, partial(make, "dale"), HPCAClassifier])
def test_synapses_are_equal_within_a_hundredth(made, digits):
    found = size_of("rival", of(made), "synapses", TARGET, PLAN, digits)
    assert found.equal and abs(found.synapses / 5000 - 1) <= 0.01 and np.isnan(found.accuracy)
    network = made().set_params(**sized(made(), found.cells)).set_params(n_epochs=1)
    assert n_synapses(network.fit(digits.X_train[:100], digits.y_train[:100])) == found.synapses


def test_too_few_synapses_for_any_are_said_to_be_unequal(digits):
    found = size_of("rival", of(BackpropMLP), "synapses", TARGET._replace(synapses=30), PLAN, digits)
    assert found == Size("rival", 1, 74, pytest.approx(np.nan, nan_ok=True), False)


def test_the_fewest_cells_that_are_as_accurate_are_taken():
    def tried(least):
        return lambda n: Size("a", n, 10 * n, min(n, 64) / 100, n >= least)

    assert equal_sizes._as_accurate(tried(32)).cells == 32
    never = equal_sizes._as_accurate(tried(10**6))
    assert never.cells == 64 and not never.equal  # the first of the most accurate


def test_accuracy_is_that_of_images_nothing_learns_from(digits):
    reference = size_of(REFERENCE, of(BackpropMLP, hidden=(4,), n_epochs=1), "accuracy", None, PLAN, digits)
    assert 0 < reference.accuracy < 1 and reference.synapses == 4 * 74 and reference.cells == 0
    better = size_of("rival", of(BackpropMLP, n_epochs=20), "accuracy", reference, PLAN, digits)
    assert better.equal and better.cells in WIDTHS and better.accuracy >= reference.accuracy


def test_the_command_keeps_sizes_and_hands_them_on(tmp_path, monkeypatch, digits):
    few = {"n_epochs": 1, "n_threads": 1}
    small = {
        REFERENCE: of(BackpropMLP, hidden=(16,), **few),
        "one": of(BackpropMLP, **few),
        "means": ComparedModel(lambda seed: make("class-means"), "distances", "output"),
    }
    monkeypatch.setattr(models, "MODELS", small)
    settings = {"one": {"learning_rate": 0.01}, "other": {"x": 1}}
    options = Namespace(equal="synapses", models=["one", "means"], json=False)
    arguments = options, PLAN, digits, tmp_path, settings
    expected = {"one": {"learning_rate": 0.01, "hidden": (16,)}, "other": {"x": 1}}
    assert compare._equal_sizes(*arguments) == expected
    table = pd.read_csv(tmp_path / "sizes.csv")
    assert table[["model", "cells", "equal"]].to_numpy().tolist() == [
        [REFERENCE, 0, True], ["one", 16, True], ["means", 0, False]
    ]  # fmt: skip
    assert table["synapses"].to_list()[:2] == [1184, 1184]
    assert table["accuracy"].notna().to_list() == [True, False, True]
    monkeypatch.setattr(equal_sizes, "size_of", None)  # all is kept: nothing is sought again
    assert compare._equal_sizes(*arguments) == expected


def test_equal_to_what_is_asked_of_named_models_only(capsys):
    assert main(["compare", "--equal", "synapses"]) == 2
    assert "--equal needs --models" in capsys.readouterr().err
