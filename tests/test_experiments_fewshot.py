"""The few-image experiments: models and their controls, protocols apart, the command."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier

import bioneuro as bn
from bioneuro.fewshot import FeatureReadout
from bioneuro.omniglot import Characters
from bioneuro.research import UserError
from bioneuro.research.commands import main
from bioneuro.research.few_images import experiment
from bioneuro.research.few_images import models as few_shot_models
from bioneuro.research.few_images.models import ORIGINS, FixedColumns, few_image_models


@pytest.mark.parametrize("origin", ORIGINS)
def test_other_columns_have_the_same_architecture(digits, origin):
    X = digits.X_train[:30]
    ours = bn.BioClassifier(random_state=0).fit_features(X).encoder_
    other = FixedColumns(origin, random_state=0).fit_features(X).encoder_
    assert type(other) is type(ours) and other.n_features == ours.n_features
    assert other.columns.beta == ours.columns.beta and other.retina.patch_size == ours.retina.patch_size
    W = other.columns.synapses.to_scipy().toarray()
    np.testing.assert_allclose(np.linalg.norm(W, axis=1), 1, rtol=1e-4)
    assert (W >= 0).all()
    again = FixedColumns(origin, random_state=0).fit_features(X).encoder_
    np.testing.assert_array_equal(W, again.columns.synapses.to_scipy().toarray())


def test_random_columns_do_not_depend_on_the_images(digits):
    a, b = (FixedColumns("random", random_state=0).fit_features(X) for X in (digits.X_train[:20], digits.X_train[50:]))
    weights = [encoder.encoder_.columns.synapses.weights for encoder in (a, b)]
    np.testing.assert_allclose(*weights, rtol=1e-4, atol=1e-6)  # added to what was there: rounded


def test_bad_columns(digits):
    with pytest.raises(ValueError, match="origin must be one of .*k-means.*, got 'learned'"):
        FixedColumns("learned").fit_features(digits.X_train)
    with pytest.raises(ValueError, match="X must be images, got"):
        FixedColumns().fit_features(np.random.default_rng(0).random((9, 7)))


def test_the_comparison_names_ours_controls_and_rivals():
    models = few_image_models((8, 8))
    assert {"map + readout", "bioneuro", "MLP", "nearest neighbour"} <= set(models)
    assert sum("columns" in name for name in models) == len(ORIGINS)
    assert not {"map + readout", "bioneuro"} & set(few_image_models((8, 8), rivals_only=True))
    assert not any("jittered" in name or "elastic" in name for name in few_image_models((8, 8, 3)))  # for gray images


@pytest.mark.parametrize("name", few_image_models((8, 8)))
def test_every_model_learns_two_images_a_class(digits, name):
    model = few_image_models((8, 8))[name]
    known = model.get_params()
    parameters = {"n_epochs": 30, "estimator__n_epochs": 5, "n_updates": 20}
    parameters |= {key: 0 for key in known if key.endswith("random_state")}
    model.set_params(**{key: value for key, value in parameters.items() if key in known})
    rows = np.concatenate([np.flatnonzero(digits.y_train == c)[:2] for c in range(10)])
    model.fit(digits.X_train[rows], digits.y_train[rows])
    assert model.score(digits.X_train[rows], digits.y_train[rows]) > 0.15


def test_curve_has_the_unlabelled_protocol_by_name(digits, tmp_path):
    options = experiment.Options(shots=(1,), n_repeats=2, n_test=50, n_unlabelled=30, progress=False)
    models = {"map": FeatureReadout(bn.BioClassifier(), n_updates=20)}
    table = experiment.low_data(digits, "digits", options, tmp_path / "a", models)
    assert set(table["model"]) == {"map", "map + unlabelled"} and len(table) == 4
    few = experiment.Options(shots=(1,), n_repeats=1, n_test=50, progress=False, models=("nearest neighbour",))
    assert set(experiment.low_data(digits, "digits", few, tmp_path / "b")["model"]) == {"nearest neighbour"}


def test_curve_taken_in_parts_is_the_whole_curve(digits, tmp_path):
    models = {"near": KNeighborsClassifier(1), "map": FeatureReadout(bn.BioClassifier(), n_updates=20)}
    few = experiment.Options(shots=(1, 2), n_repeats=1, n_test=40, n_unlabelled=0, progress=False, models=("near",))
    experiment.low_data(digits, "digits", few, tmp_path, models)
    more = replace(few, n_repeats=2, models=None)
    table = experiment.low_data(digits, "digits", more, tmp_path, models)
    tested = np.sort(np.random.default_rng(0).permutation(len(digits.y_test))[:40])
    whole = bn.fewshot.low_data_curve(
        models, digits.X_train, digits.y_train, digits.X_test[tested], digits.y_test[tested], (1, 2), 2, progress=False
    )
    keys = ["model", "n_shot", "repeat", "accuracy"]
    by_key = [frame[keys].sort_values(keys).reset_index(drop=True) for frame in (table, whole)]
    pd.testing.assert_frame_equal(*by_key, check_exact=True)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"models": ("oracle",)}, "--models: unknown 'oracle'; choose from 'map"),
        ({"shots": (500,)}, "--shots 500 is more than the"),
    ],
)
def test_bad_options_of_the_curve(digits, tmp_path, options, match):
    with pytest.raises(UserError, match=match):
        experiment.low_data(digits, "digits", experiment.Options(**{"shots": (1,)} | options), tmp_path)
    assert not list(tmp_path.iterdir())


def drawn(n_alphabets=2, n_characters=3, n_drawers=6):
    """Characters that differ by the place of a block."""
    rng = np.random.default_rng(0)
    images, labels, alphabets = [], [], []
    for label in range(n_alphabets * n_characters):
        for _ in range(n_drawers):
            image = np.zeros((105, 105), bool)
            row, col = 10 + 12 * label + rng.integers(0, 3, 2)
            image[row : row + 20, col : col + 10] = True
            images.append(image)
            labels.append(label)
            alphabets.append(f"alphabet {label // n_characters}")
    names = tuple(map(str, range(n_alphabets * n_characters)))
    drawers = np.tile(np.arange(1, n_drawers + 1), len(names))
    return Characters(np.stack(images), np.array(labels), np.array(alphabets), drawers, names)


def test_episodes_stay_within_a_held_out_alphabet(tmp_path):
    options = experiment.Options(n_episodes=4, progress=False)
    table = experiment.alphabet_episodes(drawn(), options, tmp_path, ways=(2,), shots=(1,))
    assert set(table["alphabet"]) == {"alphabet 0", "alphabet 1"}
    assert set(table["model"]) == set(bn.fewshot.HEADS)
    per_model = table.groupby("model")["episode"]
    assert (per_model.nunique() == 4).all() and not table.duplicated(["model", "episode"]).any()


@pytest.mark.parametrize("protocol", ["curve", "episodes", "omniglot"])
def test_command_prints_and_writes(capsys, tmp_path, monkeypatch, protocol):
    """With experiments that cost nothing: what is printed, which files, which protocol."""
    rows = {
        "curve": pd.DataFrame({"model": "a", "n_shot": 1, "repeat": [0, 1], "accuracy": [0.5, 0.7]}),
        "episodes": pd.DataFrame(
            {"model": "a", "n_way": 20, "n_shot": 1, "episode": [0, 1], "accuracy": [0.5, 0.7], "alphabet": "x"}
        ),
        "omniglot": pd.DataFrame({"model": "a", "run": [1, 2], "error": [0.2, 0.3]}),
    }
    monkeypatch.setattr(experiment, "low_data", lambda *_: rows["curve"])
    monkeypatch.setattr(experiment, "alphabet_episodes", lambda *_: rows["episodes"])
    monkeypatch.setattr(experiment, "one_shot", lambda *_: rows["omniglot"])
    monkeypatch.setattr(experiment.omniglot, "background", lambda: None)
    monkeypatch.setattr(experiment.omniglot, "one_shot_runs", lambda: None)
    assert main(["fewshot", protocol, "--quick", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert {"curve": "60.0", "episodes": "do not compare", "omniglot": "25.0"}[protocol] in printed
    assert (tmp_path / f"{protocol}.png").stat().st_size > 0
    assert str(tmp_path / f"{protocol}.csv") in printed


def test_command_without_omniglot_says_how_to_get_it(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("BIONEURO_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert main(["fewshot", "omniglot"]) == 2
    assert "images_background_small1.zip not found" in capsys.readouterr().err


def test_wrong_protocol_is_one_line(capsys):
    assert main(["fewshot", "thousand-shot"]) == 2
    assert "invalid choice: 'thousand-shot'" in capsys.readouterr().err


def test_models_of_the_claim_can_be_cloned():
    from sklearn.base import clone

    for model in few_shot_models.few_image_models((8, 8)).values():
        clone(model)
