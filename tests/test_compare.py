"""The comparison: what is measured, what is kept, what is printed."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

from bioneuro import BioClassifier, datasets
from bioneuro.baselines import BackpropMLP
from bioneuro.research import UserError
from bioneuro.research.commands import main
from bioneuro.research.comparison import experiment as compare
from bioneuro.research.comparison import findings as report
from bioneuro.research.comparison.models import ComparedModel, in_order
from bioneuro.research.comparison.plan import ComparisonPlan
from bioneuro.research.records.ledger import Row
from bioneuro.research.trial import Trial, stratified

USUAL = [name for name, model in compare.MODELS.items() if not model.rival]
TINY = ["compare", "--quick", "--n-train", "100", "--epsilons", "0.1", "--jobs", "1"]


@pytest.fixture
def fits(monkeypatch):
    """Three small models, two of which share a network; the list grows by a name with every training."""
    made = []

    def maker(name):
        def make(seed):
            made.append(name)
            return BackpropMLP((8,), n_epochs=2, random_state=seed, n_threads=1)

        return make

    shared, other = maker("shared"), maker("other")
    models = {
        "one": ComparedModel(shared, "softmax", "hidden_1", ours=True),
        "one again": ComparedModel(shared, "softmax", "hidden_1", ours=True),
        "other": ComparedModel(other, "softmax", "hidden_1"),
    }
    monkeypatch.setattr(compare, "MODELS", models)
    monkeypatch.setattr(compare, "configuration", lambda plan: {"n_train": plan.n_train})
    cheap = {stage: compare.MEASUREMENTS[stage] for stage in ("training", "weights", "PGD")}
    monkeypatch.setattr(compare, "MEASUREMENTS", cheap)
    return made


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """One real run of the usual models: folder, what was printed, and what is with --details."""
    out = tmp_path_factory.mktemp("compare")
    with pytest.MonkeyPatch.context() as patch:
        _small(patch, USUAL)
        code, page = _run([*TINY, "--seeds", "1", "--out", str(out)])
        assert code == 0
        _, details = _run([*TINY, "--seeds", "1", "--out", str(out), "--details"])
    return out, page, details


def _small(patch, names):
    """Leave these models only, small ones on one thread each: results do not depend on it, but threads that wait for
    each other on a busy machine take many times as long."""
    models = {name: compare.MODELS[name] for name in names}

    def made(make, seed):
        model = make(seed).set_params(n_threads=1)
        if isinstance(model, BioClassifier):
            return model.set_params(mixing=500, schedule__teaching_epochs=3)
        return model.set_params(n_epochs=200)

    single = {m.make: partial(made, m.make) for m in models.values()}
    patch.setattr(compare, "MODELS", {name: replace(m, make=single[m.make]) for name, m in models.items()})


def _run(arguments):
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = main(arguments)
    return code, printed.getvalue()


def _frame(out):
    return pd.read_csv(out / "results.csv", dtype={"setting": str}, keep_default_na=False)


# --- a real run ---


def test_ledger_is_tidy_and_complete(real):
    frame = _frame(real[0])
    assert tuple(frame.columns) == Row._fields
    assert not frame.duplicated(["model", "seed", "metric", "setting"]).any()
    assert np.isfinite(frame["value"]).all()
    everywhere = {"accuracy", "train_seconds", "low_data_accuracy", "robust_accuracy", "density", "lognormal_sigma",
                  "aic_behind_best", "dale_index", "audit"}  # fmt: skip
    for model, part in frame.groupby("model"):
        assert everywhere <= set(part["metric"]), model
    assert set(frame["model"]) == set(USUAL)
    assert (frame["readout"] == frame["model"].map({n: m.readout for n, m in compare.MODELS.items()})).all()
    assert set(frame.loc[frame["metric"] == "low_data_accuracy", "setting"]) == {"1", "5", "10"}
    shares = frame[frame["metric"].str.contains("accuracy") | frame["metric"].isin(["density", "dale_index"])]
    assert shares["value"].between(0, 1).all()


def test_values_have_the_sense_they_claim(real):
    frame = _frame(real[0]).set_index(["model", "metric", "setting"])["value"]
    for model in USUAL:
        assert frame[model, "accuracy", ""] > 0.7
        assert frame[model, "robust_accuracy", "0"] >= frame[model, "robust_accuracy", "0.1"]
        assert frame[model, "low_data_accuracy", "10"] > frame[model, "low_data_accuracy", "1"]
    assert frame["MLP", "density", "hidden_1"] == 1 > frame["bioneuro", "density", "association"]
    assert frame["bioneuro", "dale_index", "afferent"] == pytest.approx(1)
    assert frame["MLP", "dale_index", "afferent"] < 0.5
    for setting in ("outgoing", "smallest"):
        assert frame["bioneuro", "dale_index", setting] == frame["bioneuro votes", "dale_index", setting] == 1
        assert frame["MLP", "dale_index", setting] < 0.5
    assert frame["bioneuro", "train_seconds", "100"] == frame["bioneuro votes", "train_seconds", "100"]


def test_table_names_every_model_metric_and_readout(real):
    _, page, details = real
    for printed in (page, details):
        for words in (*USUAL, "delta", "votes", "softmax", "clean accuracy", "k = 1 images", "k = 5 images",
                      "k = 10 images", "PGD ε = 0.1", "density", "lognormal σ", "best law", "Dale index", "training, s",
                      "QUICK RUN", "This run took"):  # fmt: skip
            assert words in printed
        assert "PGD ε = 0," not in printed
    assert "Ours minus MLP" in details and "Audit" in details
    for model in USUAL:  # each has its line of the audit
        assert f"\n  {model}: " in details


def test_what_is_printed_is_a_page(real):
    _, page, details = real
    assert page.count("\n") < 40 < details.count("\n") and "Ours minus" not in page
    assert "bioneuro against MLP: open, a verdict needs 3 seeds." in page.splitlines()


def test_configuration_and_figures_are_written(real):
    out, *_ = real
    kept = json.loads((out / "configuration.json").read_text())
    assert kept["configuration"]["dataset"] == "digits"
    assert kept["configuration"]["n_train"] == 100
    assert kept["configuration"]["models"]["bioneuro"]["random_state"] == "0"
    assert {"bioneuro", "numpy", "commit"} <= set(kept["environments"][0])
    for name in ("weight_distribution.png", "robustness.png", "low_data.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


# --- resuming ---


def test_resume_trains_nothing_and_more_seeds_only_the_new_ones(fits, tmp_path):
    arguments = [*TINY, "--out", str(tmp_path)]
    assert _run([*arguments, "--seeds", "1"])[0] == 0
    assert fits == ["shared", "other"]
    before = (tmp_path / "results.csv").read_text()
    assert _run([*arguments, "--seeds", "1"])[0] == 0
    assert fits == ["shared", "other"]
    assert _run([*arguments, "--seeds", "2"])[0] == 0
    assert fits == ["shared", "other"] * 2
    assert (tmp_path / "results.csv").read_text().startswith(before)
    assert sorted(_frame(tmp_path)["seed"].unique()) == [0, 1]


def _stopping(monkeypatch, error):
    """PGD of "other" raises this; what undoes it."""
    measure = compare.MEASUREMENTS["PGD"]

    def stopped(model, trial):
        if model.make is compare.MODELS["other"].make:
            raise error
        yield from measure(model, trial)

    monkeypatch.setitem(compare.MEASUREMENTS, "PGD", stopped)
    return lambda: monkeypatch.setitem(compare.MEASUREMENTS, "PGD", measure)


def test_interrupted_run_keeps_finished_networks(fits, tmp_path, monkeypatch, capsys):
    arguments = [*TINY, "--seeds", "1", "--out", str(tmp_path)]
    whole = tmp_path / "whole"
    assert main([*TINY, "--seeds", "1", "--out", str(whole)]) == 0
    straight = capsys.readouterr().out
    fits.clear()
    undo = _stopping(monkeypatch, KeyboardInterrupt())
    assert main(arguments) == 130
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert str(tmp_path) in error and "resumes" in error
    assert set(_frame(tmp_path)["model"]) == {"one", "one again"}

    undo()
    assert main(arguments) == 0
    assert fits == ["shared", "other", "other"]
    assert _without_times(capsys.readouterr().out) == _without_times(straight)


def test_a_network_that_fails_is_named_and_loses_no_other(fits, tmp_path, monkeypatch, capsys):
    arguments = [*TINY, "--seeds", "2", "--out", str(tmp_path)]
    undo = _stopping(monkeypatch, ValueError("of no use"))
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert "2 of 4 failed (other, seed 0: ValueError: of no use; other, seed 1: ValueError: of no use)" in error
    assert {(row.model, row.seed) for row in _frame(tmp_path).itertuples()} == {
        (model, seed) for model in ("one", "one again") for seed in (0, 1)
    }
    undo()
    fits.clear()
    assert main(arguments) == 0
    assert fits == ["other", "other"]


def _without_times(printed):
    """What a run prints, but for the lines that time and folder change."""
    return [line for line in printed.splitlines() if not line.startswith(("training, s", "Written", "This run took"))]


def test_what_is_printed_does_not_depend_on_who_was_first():
    names = ["bioneuro", "bioneuro votes", "MLP"]
    frame = _as_frame(*(_rows(name, [0.5, 0.6]) for name in names))
    for seed in range(3):
        shuffled = in_order(frame.sample(frac=1, random_state=seed))
        assert shuffled["model"].to_list() == names * 2 and shuffled["seed"].to_list() == [0] * 3 + [1] * 3


def test_other_configuration_in_the_same_folder_is_refused(fits, tmp_path, capsys):
    assert _run([*TINY, "--seeds", "1", "--out", str(tmp_path)])[0] == 0
    before = (tmp_path / "results.csv").read_text()
    capsys.readouterr()
    assert main(["compare", "--quick", "--n-train", "120", "--seeds", "1", "--jobs", "1", "--out", str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert "another configuration" in captured.err and "n_train: 100 there, 120 now" in captured.err
    assert fits == ["shared", "other"]
    assert (tmp_path / "results.csv").read_text() == before


def test_configuration_follows_plan_and_parameters(monkeypatch):
    plan = ComparisonPlan.for_dataset("digits", 1297, n_train=None, quick=False, epsilons=None)
    assert plan.n_train == 1297
    before = compare.configuration(plan)
    changed = ComparedModel(lambda seed: BackpropMLP((9,)), "softmax", "hidden_1")
    monkeypatch.setitem(compare.MODELS, "MLP", changed)
    assert compare.configuration(plan) != before


def test_killed_process_is_one_line(monkeypatch, tmp_path, capsys):
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    def killed(*_):
        raise TerminatedWorkerError("of a signal")

    monkeypatch.setattr(compare, "run", killed)
    assert main([*TINY, "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "resumes" in error


def test_processes_change_no_value(monkeypatch, tmp_path):
    _small(monkeypatch, ["MLP"])  # of this process only
    sizes = {"pgd_steps": 2, "n_attacked": 10, "n_audited": 5, "audit_queries": 5, "shots": (1,)}
    plan = ComparisonPlan("digits", 50, True, (0.1,), **sizes)
    data = datasets.load("digits")
    serial, parallel = (compare.run(plan, data, tmp_path / f"{n}", 2, n_jobs=n).rows for n in (1, 2))
    assert len(serial) > 30
    assert [r for r in serial if r.metric != "train_seconds"] == [r for r in parallel if r.metric != "train_seconds"]


# --- data of a trial ---


def test_stratified_keeps_shares_and_depends_on_the_seed():
    y = np.repeat([0, 1, 2], [600, 300, 100])
    rows = stratified(y, 100, 0)
    assert len(set(rows)) == 100
    assert np.bincount(y[rows]).tolist() == [60, 30, 10]
    assert np.array_equal(rows, stratified(y, 100, 0))
    assert set(rows) != set(stratified(y, 100, 1))
    assert sorted(stratified(y, 1000, 0)) == list(range(1000))
    with pytest.raises(UserError, match="class without an image"):
        stratified(y, 2, 0)


def test_models_of_a_seed_see_the_same_images(monkeypatch):
    seen = []

    class Spy(BackpropMLP):
        def fit(self, X, y):
            seen.append(X)
            return self

    a, b = (ComparedModel(make, "", "") for make in (lambda seed: Spy(), lambda seed: Spy()))
    plan = ComparisonPlan.for_dataset("digits", 1297, n_train=100, quick=True, epsilons=None)
    trial = Trial(plan, datasets.load("digits"), 3)
    for n_shot in (None, 5):
        for model in (a, b, a):
            trial.network(model, n_shot)
    assert [len(X) for X in seen] == [100, 100, 50, 50]
    assert np.array_equal(seen[0], seen[1]) and np.array_equal(seen[2], seen[3])


# --- the report ---


def _rows(model, values, metric="accuracy", setting="", note=""):
    return [Row(model, "r", seed, metric, setting, value, note) for seed, value in enumerate(values)]


def _as_frame(*parts):
    return pd.DataFrame([row for part in parts for row in part], columns=Row._fields)


@pytest.mark.parametrize(("shift", "verdict"), [(0.1, "better"), (-0.1, "WORSE"), (0.001, "unclear")])
def test_differences_are_paired_and_say_where_ours_is_worse(shift, verdict):
    reference = np.array([0.5, 0.6, 0.7, 0.8])
    ours = reference + shift + np.array([0.004, -0.004, 0.003, -0.002])
    (found,) = report.differences(_as_frame(_rows("a", ours), _rows("b", reference)), ["a"], "b")
    assert found.found.mean == pytest.approx(100 * (ours - reference).mean())
    assert found.verdict == verdict


def test_the_page_has_a_sentence_for_each_of_ours():
    shift = np.array([0.004, -0.004, 0.003, -0.002])
    clean = _rows("a", 0.7 + shift), _rows("b", [0.6] * 4)
    few = _rows("a", 0.3 + shift, "low_data_accuracy", "1"), _rows("b", [0.4] * 4, "low_data_accuracy", "1")
    even = _rows("a", 0.5 + shift, "low_data_accuracy", "5"), _rows("b", [0.5] * 4, "low_data_accuracy", "5")
    plan = ComparisonPlan.for_dataset("digits", 1297, n_train=100, quick=False, epsilons=None)
    (line,) = [
        line
        for line in report.page(_as_frame(*clean, *few, *even), plan, ours=["a"], references=["b"]).splitlines()
        if line.startswith("a against")
    ]
    assert line == (
        "a against b: WORSE at k = 1 images a class; better at clean accuracy; unclear at k = 5 images a class."
    )


def test_two_seeds_that_agree_by_chance_decide_nothing():
    (found,) = report.differences(_as_frame(_rows("a", [0.6, 0.7]), _rows("b", [0.5, 0.6])), ["a"], "b")
    assert found.verdict == "unclear"


def test_robustness_without_an_audit_is_not_printed():
    frame = _as_frame(
        *(_rows(m, [0.321], "robust_accuracy", "0.1") for m in "ab"), _rows("a", [0], "audit", "c", "warn")
    )
    printed = report.table(frame)
    assert printed.count("32.1") == 1
    assert report.differences(frame, ["a"], "b") == []


def test_audit_that_warns_makes_robustness_an_upper_bound():
    def found(status):
        frame = _as_frame(
            _rows("a", [0.61, 0.62, 0.63, 0.60], "robust_accuracy", "0.1"),
            _rows("b", [0.10, 0.12, 0.11, 0.13], "robust_accuracy", "0.1"),
            _rows("a", [0], "audit", "black-box minus white-box", status),
            _rows("b", [0], "audit", "black-box minus white-box", "pass"),
        )
        (difference,) = report.differences(frame, ["a"], "b")
        return difference.verdict, report.table(frame).count("≤")

    assert found("pass") == ("better", 0)
    assert found("warn") == ("suspect", 1)


def test_a_curve_whose_audit_warns_says_so_in_the_picture():
    columns = ["model", "metric", "note"]
    rows = [("A", "audit", "warn"), ("A", "robust_accuracy", ""), ("B", "audit", "pass"), ("B", "robust_accuracy", "")]
    drawn = set(report.bounded(pd.DataFrame(rows, columns=columns))["model"])
    assert drawn == {"≤ A (audit warns: upper bound)", "B"}


def test_winning_laws_are_counted_over_seeds():
    frame = _as_frame(
        [
            Row("m", "r", s, "aic_behind_best", "association E", 1.0, law)
            for s, law in enumerate(["gamma", "normal", "gamma"])
        ]
    )
    assert "gamma 2, normal 1" in report.table(frame)
