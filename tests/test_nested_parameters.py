"""Settings among the parameters of the classifier: long names, former names, names that there are not."""

import importlib.metadata
import inspect
import pickle
import warnings
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np
import pytest
from packaging.version import Version
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import bioneuro as bn
from bioneuro import BioClassifier
from bioneuro.deprecation import FORMER_NAMES_END
from bioneuro.layers import CircuitSettings, GrowthSettings, MapSettings, SoftmaxSettings
from bioneuro.rules import LogCovariance, Turnover

SMALL = {
    "n_cells": 15,
    "mixing": 20,
    "encoder": MapSettings(n_columns=4),
    "schedule": bn.Schedule(teaching_epochs=1, readout_epochs=1),
    "random_state": 0,
    "n_threads": 1,
}
SETTINGS = (MapSettings, SoftmaxSettings, CircuitSettings, GrowthSettings, Turnover, bn.Supervision, bn.Schedule)
#: Logits of the first digit by the model of version 4, as it gave them then.
VERSION_4 = [-0.55407727, -0.2939055, 1.2983103, 0.31828976]
#: Another value for each former name.
FORMER = {
    "feature_map": "local", "n_columns": 5, "patch_size": 5, "exponent": 2.0, "semi_saturation": 0.3, "c0": 0.7,
    "g0": 0.3, "gate_exponent": 2.0, "map_beta": 20.0, "beta": 5.0, "kappa": 1.0, "teaching": 0.3, "birth": 0.01,
    "death": 0.02, "gamma": 1.0, "vigilance": 0.5, "init": "lognormal", "n_epochs": 3, "teaching_epochs": 2,
    "readout_epochs": 2, "readout_eta": 0.2,
    "eta": 0.2,
    "sigma": 0.05,
}  # fmt: skip


@pytest.fixture(scope="module")
def digits():
    data = bn.datasets.load("digits")
    return data.X_train[:60], data.y_train[:60]


def learned(model, digits):
    """All weights after one way of learning and the other, as bytes."""
    X, y = digits
    streamed = clone(model).partial_fit(X[:30], y[:30], classes=np.unique(y)).partial_fit(X[30:], y[30:])
    return [W.data.tobytes() for fitted in (model.fit(X, y), streamed) for W in fitted.weights().values()]


# --- long names ---


def test_the_constructor_has_at_most_15_parameters_and_so_has_every_function():
    longest = {}
    for path in Path(bn.__file__).parent.rglob("*.py"):
        for name, n in arguments(path):
            longest[f"{path.name}: {name}"] = n
    assert len(BioClassifier._get_param_names()) == 15
    assert {name: n for name, n in longest.items() if n > 15} == {}


def arguments(path):
    import ast

    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            a = node.args
            names = [arg.arg for arg in (*a.posonlyargs, *a.args, *a.kwonlyargs)]
            yield node.name, len(names) - (names[:1] in (["self"], ["cls"])) + bool(a.vararg) + bool(a.kwarg)
        elif isinstance(node, ast.ClassDef) and any("dataclass" in ast.dump(mark) for mark in node.decorator_list):
            own = [item for item in node.body if isinstance(item, ast.AnnAssign)]
            yield node.name, sum("ClassVar" not in ast.dump(item.annotation) for item in own)


def test_scikit_learn_reads_the_fields_of_settings():
    params = BioClassifier().get_params()
    assert params["turnover"] == "auto" and params["turnover__birth"] == Turnover().birth
    assert params["encoder"] is None and params["encoder__n_columns"] == 64
    assert params["competition"] == "softmax" and params["competition__beta"] == 3.0
    assert params["rule"] == "log-covariance" and params["rule__eta"] == LogCovariance().eta
    assert set(BioClassifier().get_params(deep=False)) == set(BioClassifier._get_param_names())
    assert "competition__inhibition" in BioClassifier(competition="circuit").get_params()
    assert "competition__inhibition" not in params


@pytest.mark.parametrize(
    ("name", "off"),
    [("turnover", {"birth": 0, "death": 0}), ("supervision", {"kappa": 0, "eta": 0})],
)
def test_none_is_none_of_it(digits, name, off):
    none, zero = BioClassifier(**SMALL, **{name: None}), BioClassifier(**SMALL)
    zero.set_params(**{f"{name}__{field}": 0.0 for field in off})
    assert none.get_params()[f"{name}__{next(iter(off))}"] == 0
    assert learned(none, digits) == learned(zero, digits)


def test_long_names_are_set_and_nothing_else_changes():
    model, other = BioClassifier(), BioClassifier()
    assert model.set_params(turnover__birth=0.01, rule__eta=0.2, encoder__beta=10.0, n_cells=7) is model
    assert model.turnover == Turnover(birth=0.01) and model.rule == LogCovariance(eta=0.2)
    assert model.encoder == MapSettings(beta=10.0) and model.n_cells == 7
    assert other.get_params() == BioClassifier().get_params()
    copied = clone(model)
    copied.set_params(turnover__death=0.5)
    assert model.turnover.death == Turnover().death and copied.turnover == Turnover(birth=0.01, death=0.5)


def test_settings_and_their_fields_in_one_call():
    model = BioClassifier().set_params(competition__beta=2.0, competition="circuit")
    assert model.competition == CircuitSettings(beta=2.0)


def test_the_constructor_takes_what_get_params_gives(digits):
    model = BioClassifier(**SMALL).set_params(competition__k=5, growth__vigilance=None)
    same = BioClassifier(**model.get_params())
    assert same.get_params() == model.get_params() and learned(same, digits) == learned(model, digits)


def test_beside_an_encoder_that_has_learned_its_settings_have_no_effect(digits):
    encoder = BioClassifier(**SMALL).fit_features(digits[0]).encoder_
    model = BioClassifier(**SMALL | {"encoder": encoder}, encoder__n_columns=9)
    assert model.encoder is encoder and "encoder__n_columns" not in model.get_params()
    assert model.set_params(encoder__beta=1.0).fit(*digits).encoder_ is encoder
    with pytest.raises(ValueError, match="did you mean 'encoder__n_columns'"):
        model.set_params(encoder__column=3)


def test_a_refused_value_changes_nothing():
    model = BioClassifier()
    before = model.get_params()
    with pytest.raises(ValueError, match=r"birth must be a number in \[0, 1000\], got -1"):
        model.set_params(n_cells=3, turnover__birth=-1)
    assert model.get_params() == before


def test_repr_tells_what_differs_from_the_defaults():
    assert repr(BioClassifier()) == "BioClassifier()"
    text = repr(BioClassifier(turnover__birth=0.01, n_cells=9))
    assert text == "BioClassifier(n_cells=9, turnover=Turnover(birth=0.01, death=0.005, gamma=1.5))"


def test_grid_search_over_long_names(digits):
    grid = {"competition__beta": [1.0, 6.0], "supervision__kappa": [0.0, 0.3]}
    search = GridSearchCV(BioClassifier(**SMALL), grid, cv=2).fit(*digits)
    assert search.best_params_.keys() == grid.keys()
    best = search.best_estimator_
    assert best.competition.beta == best.network_.association.beta == search.best_params_["competition__beta"]
    assert best.network_.association.kappa == search.best_params_["supervision__kappa"]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda settings: settings.__name__)
def test_settings_are_frozen_and_say_what_they_refuse(settings):
    default = settings()
    assert is_dataclass(default) and default == settings() and hash(default) == hash(settings())
    for field in fields(default):
        with pytest.raises(AttributeError, match=field.name):
            setattr(default, field.name, getattr(default, field.name))
        with pytest.raises((ValueError, TypeError), match=field.name if field.name != "init" else "initialiser"):
            settings(**{field.name: -7})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("turnover", 0.1, "turnover must be a Turnover or 'auto' or None, got 0.1"),
        ("supervision", "none", "supervision must be a Supervision or 'auto' or None, got 'none'"),
        ("growth", None, "growth must be a GrowthSettings or 'auto', got None"),
        ("schedule", 3, "schedule must be a Schedule or 'auto', got 3"),
        ("encoder", "local", "encoder must be a MapSettings or a Encoder or None, got 'local'"),
        ("competition", "hard", r"competition must be one of \['circuit', 'softmax'\]"),
    ],
)
def test_values_that_are_no_settings_are_refused_in_fit(digits, name, value, message):
    with pytest.raises(ValueError, match=message):
        BioClassifier(**SMALL | {name: value}).fit(*digits)


# --- names that there are not ---


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("n_cell", "n_cells"),
        ("n_column", "encoder__n_columns"),
        ("kapa", "supervision__kappa"),
        ("readout_epoch", "schedule__readout_epochs"),
        ("turnover__brith", "turnover__birth"),
        ("encoder_beta", "encoder__beta"),
        ("n_epoch", "schedule__association_epochs"),
    ],
)
def test_a_name_that_there_is_not_is_answered_by_one_that_is_near(name, meant):
    with pytest.raises(TypeError, match=rf"BioClassifier has no parameter '{name}': did you mean '{meant}'\?"):
        BioClassifier(**{name: 1})
    with pytest.raises(ValueError, match=rf"BioClassifier has no parameter '{name}': did you mean '{meant}'\?"):
        BioClassifier().set_params(**{name: 1})


def test_a_name_that_nothing_is_near_is_answered_by_all():
    with pytest.raises(TypeError, match="no parameter 'xyzzy': it has competition, dtype, encoder, growth"):
        BioClassifier(xyzzy=1)


def test_an_attribute_that_there_is_not():
    with pytest.raises(AttributeError, match="'BioClassifier' object has no attribute 'network_'"):
        _ = BioClassifier().network_


# --- former names ---


def test_every_former_name_is_tried():
    assert FORMER.keys() == BioClassifier.FORMER.keys()


@pytest.mark.parametrize("name", FORMER)
def test_a_former_name_says_the_present_one_and_does_the_same(digits, name):
    present = dict.fromkeys(BioClassifier.FORMER[name], FORMER[name])
    said = rf"BioClassifier: {name} is now {' and '.join(present)}\. Former names are gone in release"
    with pytest.warns(FutureWarning, match=said) as caught:
        former = BioClassifier(**SMALL, **{name: FORMER[name]})
    assert caught[0].filename == __file__
    with pytest.warns(FutureWarning, match=said) as caught:
        changed = BioClassifier(**SMALL).set_params(**{name: FORMER[name]})
    assert caught[0].filename == __file__
    with pytest.warns(FutureWarning, match=said):
        assert getattr(former, name) == FORMER[name]
    model = BioClassifier(**SMALL, **present)
    assert former.get_params() == changed.get_params() == model.get_params() != BioClassifier(**SMALL).get_params()
    assert learned(former, digits) == learned(model, digits)


def test_a_former_name_has_no_effect_beside_an_encoder_that_has_learned(digits):
    encoder = BioClassifier(**SMALL).fit_features(digits[0]).encoder_
    with pytest.warns(FutureWarning, match="n_columns is now encoder__n_columns"):
        model = BioClassifier(**SMALL | {"encoder": encoder}, n_columns=3)
    assert model.encoder is encoder


def test_a_former_name_and_the_present_one_are_one_too_many():
    with pytest.raises(TypeError, match="supervision__kappa must be given once, got it by its former name kappa, too"):
        BioClassifier(supervision__kappa=1.0, kappa=1.0)


@pytest.mark.parametrize("name", ["beta", "sharpening", "k"])
def test_former_names_of_an_association(name):
    value = {"beta": 5.0, "sharpening": 3.0, "k": 2}[name]
    with pytest.warns(FutureWarning, match=f"Association: {name} is now competition__{name}") as caught:
        layer = bn.layers.Association(5, 4, 2, **{name: value})
    assert caught[0].filename == __file__ and getattr(layer, name) == value
    with pytest.warns(FutureWarning, match=name):
        made = bn.layers.Association(5, 4, 2, competition=bn.layers.SoftmaxPool, **{name: value})
    assert getattr(made, name) == value


@pytest.mark.parametrize("kind", ["file", "pickle"])
def test_a_model_of_version_4_has_its_parameters_by_their_present_names(kind):
    path = Path(__file__).parent / "data" / "parameters_version_4"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if kind == "file":
            model = bn.load(path.with_suffix(".npz"))
        else:
            model = pickle.loads(path.with_suffix(".pickle").read_bytes())
    wanted = BioClassifier(
        n_cells=12,
        mixing=20,
        encoder=MapSettings(n_columns=4, init="lognormal"),
        turnover=Turnover(birth=0.01),
        supervision=bn.Supervision(kappa=0.3),
        growth=GrowthSettings(vigilance=0.8, init="lognormal"),
        schedule=bn.Schedule(teaching_epochs=1, readout_epochs=1),
        random_state=0,
    )
    assert model.get_params() == wanted.get_params() and repr(model) == repr(wanted)
    data = bn.datasets.load("digits")
    logits = model.decision_function(data.X_train[:120])
    np.testing.assert_allclose(logits[0, :4], VERSION_4, rtol=1e-5)


def test_a_state_of_version_4_that_lacks_a_parameter_is_refused():
    state = {name: value for name, value in FORMER.items() if name != "gamma"}
    with pytest.raises(ValueError, match="parameters of a BioClassifier are missing: gamma"):
        BioClassifier.upgraded(state)


def test_former_names_go_when_they_are_due():
    """The policy of CONTRIBUTING.md: a name that warns in one release is gone in the next."""
    assert Version(importlib.metadata.version("bioneuro")) < Version(FORMER_NAMES_END)


def test_the_signature_is_that_of_the_present_names():
    signature = inspect.signature(BioClassifier)
    assert list(signature.parameters)[0] == "readout" and not set(FORMER) & set(signature.parameters)
    assert signature.parameters["turnover"].default == "auto"
