"""The search of settings: one budget for all, validation images only, a log that the comparison reads."""

import json
from dataclasses import asdict
from functools import partial

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("optuna")

from bioneuro.baselines import BackpropMLP, HebbPerturbationClassifier, make
from bioneuro.research import UserError
from bioneuro.research.commands import main
from bioneuro.research.comparison import tuning
from bioneuro.research.comparison.models import MODELS
from bioneuro.research.comparison.tuning import Range, TuningPlan, chosen_settings, search, space_of, tuning_lines
from bioneuro.research.trial import validation_split

PLAN = TuningPlan("digits", n_train=80, n_validation=60, n_trials=4, seconds=60)


def mlp(seed, **params):
    return BackpropMLP((8,), n_epochs=2, random_state=seed, **params)


def test_scales_are_searched_around_the_default_and_the_others_in_ranges_of_their_own():
    space = space_of(HebbPerturbationClassifier(learning_rate=0.01))
    assert space["learning_rate"] == Range(0.002, 0.05, True)
    assert space["target"] == tuning.RANGES["target"]
    assert "n_hidden" not in space and "weight_decay" not in space  # the latter is 0 there


def test_every_model_of_the_grand_table_is_searched_but_those_without_a_number_to_choose():
    untuned = {name for name, model in MODELS.items() if not model.needs and not space_of(model.make(0))}
    assert untuned == {"nearest-neighbour", "class-means", "streaming-lda", "streaming-least-squares", "exemplars"}
    assert len(space_of(MODELS["bioneuro"].make(0))) >= 3


def test_the_first_trial_has_the_defaults_and_all_have_the_same_images(digits):
    shown = []

    class Spy(BackpropMLP):
        def fit(self, X, y):
            shown.append((X, y))
            return super().fit(X, y)

    log = search("spy", lambda seed: Spy((8,), n_epochs=1, random_state=seed), PLAN, digits)
    assert log["trial"].to_list() == [0, 1, 2, 3] and (log["model"] == "spy").all()
    assert json.loads(log["parameters"][0]) == pytest.approx({"learning_rate": 1e-3, "weight_decay": 1e-2})
    assert log["parameters"].nunique() == 4 and log["accuracy"].between(0, 1).all()
    for X, y in shown[1:]:
        np.testing.assert_array_equal(X, shown[0][0])
        np.testing.assert_array_equal(y, shown[0][1])
    assert len(shown[0][0]) == 80


def test_no_test_image_and_no_training_image_is_chosen_by(digits):
    (X, _), (V, _) = validation_split(digits, PLAN.n_train, PLAN.n_validation, PLAN.seed)
    train, validation, test = ({row.tobytes() for row in A} for A in (X, V, digits.X_test))
    everything = {row.tobytes() for row in digits.X_train}
    assert len(V) == 60 and not train & validation
    assert train <= everything and validation <= everything and not (train | validation) & (test - everything)


def test_a_search_is_repeatable(digits):
    one, other = (search("mlp", mlp, PLAN, digits).drop(columns="seconds") for _ in range(2))
    pd.testing.assert_frame_equal(one, other)


def test_a_search_ends_with_its_seconds(digits):
    plan = TuningPlan("digits", 80, 60, n_trials=50, seconds=1e-6)
    assert len(search("mlp", mlp, plan, digits)) < 50


def test_a_trial_that_fails_has_no_accuracy(digits):
    class Fails(BackpropMLP):
        def fit(self, X, y):
            if self.learning_rate != 1e-3:
                raise ValueError("diverged")
            return super().fit(X, y)

    log = search("fails", lambda seed: Fails((8,), n_epochs=1, random_state=seed), PLAN, digits)
    assert log["accuracy"].notna().to_list() == [True, False, False, False]


def test_what_has_no_parameter_to_search_is_refused(digits):
    with pytest.raises(UserError, match="model 'class-means' has nothing to tune"):
        search("class-means", lambda seed: make("class-means"), PLAN, digits)


def test_more_images_than_there_are_is_refused():
    with pytest.raises(UserError, match="1000 images to learn from and 400 to choose by are more than the 1297"):
        TuningPlan("digits", 1000, 400, 1, 1)


def test_the_most_accurate_trial_is_chosen_the_first_of_equal_ones(tmp_path):
    rows = [("a", 0, 0.5, 1, '{"x": 1.0}'), ("a", 1, 0.7, 1, '{"x": 2.0}'), ("a", 2, 0.7, 1, '{"x": 3.0}'),
            ("b", 0, np.nan, 1, '{"x": 4.0}'), ("b", 1, 0.1, 1, '{"x": 5.0}')]  # fmt: skip
    log = tmp_path / "log.csv"
    pd.DataFrame(rows, columns=["model", "trial", "accuracy", "seconds", "parameters"]).to_csv(log, index=False)
    assert chosen_settings(log) == {"a": {"x": 2.0}, "b": {"x": 5.0}}


@pytest.mark.parametrize("text", [None, "model,trial\n1,2\n"])
def test_what_is_no_log_is_refused(text, tmp_path):
    if text is not None:
        (tmp_path / "log.csv").write_text(text)
    with pytest.raises(UserError, match=r"log.csv is not the log of a search"):
        chosen_settings(tmp_path / "log.csv")


def test_the_command_keeps_logs_goes_on_and_compare_reads_them(tmp_path, monkeypatch, capsys):
    from bioneuro.research.comparison import experiment, models
    from bioneuro.research.comparison.models import ComparedModel

    small = {
        "one": ComparedModel(partial(mlp, weight_decay=0.02), "softmax", "hidden_1", rival=True),
        "two": ComparedModel(mlp, "softmax", "hidden_1", rival=True),
        "means": ComparedModel(lambda seed: make("class-means"), "distances", "", rival=True),
    }
    monkeypatch.setattr(models, "MODELS", small)
    monkeypatch.setattr(experiment, "MODELS", small)
    arguments = ["--n-train", "80", "--n-validation", "60", "--trials", "2", "--out", str(tmp_path)]
    assert main(["tune", "one", "means", *arguments]) == 0
    log = tmp_path / "tuning-digits.csv"
    first = log.read_text()
    assert "means: nothing to tune" in capsys.readouterr().out
    assert main(["tune", "one", "two", *arguments]) == 0
    assert log.read_text().startswith(first) and set(pd.read_csv(log)["model"]) == {"one", "two"}
    out = tmp_path / "compared"
    quick = ["--quick", "--n-train", "100", "--epsilons", "0.1", "--n-attacked", "5", "--jobs", "1", "--seeds", "1"]
    assert main(["compare", *quick, "--models", "one", "--tuned", str(log), "--out", str(out)]) == 0
    made = pd.read_csv(out / "results.csv").set_index("metric").loc["train_seconds", "note"]
    assert f"learning_rate={chosen_settings(log)['one']['learning_rate']!r}" in made


def test_a_model_whose_every_trial_fails_stops_no_other(tmp_path, monkeypatch, capsys):
    from bioneuro.research.comparison import models
    from bioneuro.research.comparison.models import ComparedModel

    class Fails(BackpropMLP):
        def fit(self, X, y):
            raise ValueError("diverged")

    monkeypatch.setattr(models, "MODELS", {
        "fails": ComparedModel(lambda seed: Fails((8,), random_state=seed), "softmax", "hidden_1", rival=True),
        "works": ComparedModel(mlp, "softmax", "hidden_1", rival=True),
    })  # fmt: skip
    arguments = ["--n-train", "80", "--n-validation", "60", "--trials", "2", "--out", str(tmp_path)]
    assert main(["tune", "fails", "works", *arguments]) == 0
    printed = capsys.readouterr().out
    assert "fails: every trial failed (2 trials)" in printed and "works: " in printed and "% by default" in printed


def test_the_page_says_whose_seconds_ended_before_the_last_trial(tmp_path):
    log = tmp_path / "tuning-digits.csv"
    rows = [(name, trial, 0.5, 1.0, '{"learning_rate": 0.1}') for name, n in (("a", 2), ("b", 1)) for trial in range(n)]
    pd.DataFrame(rows, columns=["model", "trial", "accuracy", "seconds", "parameters"]).to_csv(log, index=False)
    plan = TuningPlan("digits", 80, 60, 2, 1.0)
    log.with_suffix(".json").write_text(json.dumps({"configuration": asdict(plan), "environments": []}))
    assert "before the last trial of: b (1)." in " ".join(tuning_lines(log).split())


def test_the_command_refuses_models_without_anything_to_tune(capsys):
    assert main(["tune", "class-means", "--trials", "1"]) == 2
    assert "none of these models has anything to tune" in capsys.readouterr().err
