"""The classifier with a learning rule of the user's own: class or function, from outside the package."""

import importlib
import sys

import numpy as np
import own_rules
import pytest
from sklearn.utils import estimator_checks

import bioneuro as bn
from bioneuro import BioClassifier

RULES = {"class": own_rules.Covariance(eta=0.05), "function": own_rules.hebb}


def network(kind, **options):
    small = {
        "n_cells": 100,
        "encoder__n_columns": 16,
        "mixing": 400,
        "schedule__teaching_epochs": 1,
        "schedule__readout_epochs": 10,
    }
    return BioClassifier(rule=RULES[kind], random_state=0, **small | options)


@pytest.mark.parametrize("kind", RULES)
def test_learns_digits(digits, kind):
    """By the votes too, which see nothing but what the rule made of the cells."""
    model = network(kind, n_cells=300).fit(digits.X_train, digits.y_train)
    assert model.score(digits.X_test, digits.y_test) > 0.9
    assert model.set_params(readout="votes").score(digits.X_test, digits.y_test) > 0.85


@pytest.mark.parametrize("kind", RULES)
def test_the_rule_is_what_the_cells_learn_by(digits, kind):
    X, y = digits.X_train[:200], digits.y_train[:200]
    own, ours = network(kind).fit(X, y), network(kind).set_params(rule="log-covariance").fit(X, y)
    for name, W in own.weights().items():
        if name.startswith(("map", "mixing")):
            np.testing.assert_array_equal(W.toarray(), ours.weights()[name].toarray())
    assert abs(own.weights()["association"] - ours.weights()["association"]).max() > 0.01


CHECKS = [
    "check_classifiers_train", "check_dict_unchanged", "check_estimators_pickle",
    "check_estimators_nan_inf", "check_estimators_partial_fit_n_features", "check_fit_idempotent",
    "check_fit_check_is_fitted", "check_parameters_default_constructible", "check_get_params_invariance",
]  # fmt: skip


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("kind", RULES)
def test_estimator_contract(kind, check):
    getattr(estimator_checks, check)("BioClassifier", network(kind, n_cells=50, mixing=100))


@pytest.mark.parametrize("kind", RULES)
def test_saves_and_resumes_bit_for_bit(digits, kind, tmp_path):
    X, y = digits.X_train, digits.y_train
    model = network(kind).partial_fit(X[:100], y[:100], classes=np.arange(10))
    bn.save(model, tmp_path / "model.npz")
    resumed = bn.load(tmp_path / "model.npz")
    assert resumed.rule == model.rule and type(resumed.rule) is type(RULES[kind])
    for one in (model, resumed):
        one.partial_fit(X[100:200], y[100:200])
    np.testing.assert_array_equal(resumed.decision_function(digits.X_test), model.decision_function(digits.X_test))
    np.testing.assert_equal(resumed.network_.association.synapses.traces, model.network_.association.synapses.traces)


@pytest.mark.parametrize(("kind", "name"), [("class", "Covariance"), ("function", "hebb")])
def test_a_file_asks_for_the_module_of_its_rule(digits, kind, name, tmp_path, monkeypatch):
    bn.save(network(kind).fit(digits.X_train[:60], digits.y_train[:60]), tmp_path / "model.npz")
    monkeypatch.delitem(sys.modules, "own_rules")
    with pytest.raises(
        ValueError, match=f"it needs {name} of module 'own_rules': import own_rules before bioneuro.load"
    ):
        bn.load(tmp_path / "model.npz")
    again = importlib.import_module("own_rules")
    loaded = bn.load(tmp_path / "model.npz").rule
    assert (loaded if kind == "function" else type(loaded)) is getattr(again, name)


@pytest.mark.parametrize("kind", RULES)
def test_the_number_of_threads_changes_no_bit(digits, kind):
    X, y = digits.X_train[:150], digits.y_train[:150]
    one, two = (network(kind, n_threads=n).fit(X, y).decision_function(X) for n in (1, 2))
    np.testing.assert_array_equal(one, two)
