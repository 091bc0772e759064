"""The command `attack`: who is trained, what is kept, what is printed; verdicts from rows whose truth is known."""

import contextlib
import io
import json

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("pandas")
pytest.importorskip("matplotlib")

from bioneuro import BioClassifier, attacks, datasets
from bioneuro.attacks import registry
from bioneuro.baselines import BackpropMLP
from bioneuro.research import UserError
from bioneuro.research.commands import main
from bioneuro.research.records.ledger import Row
from bioneuro.research.robustness import contenders
from bioneuro.research.robustness import experiment as robustness
from bioneuro.research.robustness import findings as robustness_report
from bioneuro.research.robustness.contenders import CEILING, CONTENDERS, OURS, Contender, Task
from bioneuro.research.robustness.experiment import AttackPlan, Kept

TINY = ["attack", "--n-train", "100", "--epsilons", "0.05", "0.1", "--n-attacked", "12"]


QUICK = registry.TIERS["quick"]


@pytest.fixture
def fits(monkeypatch):
    """Three small contenders, and one that cannot be made here; the list grows by a name with every training."""
    made = []

    class Spy(BackpropMLP):
        def fit(self, X, y):
            made.append((self.hidden, len(X)))
            return super().fit(X, y)

    def bioneuro(task, seed):
        return BioClassifier(n_cells=40, schedule__readout_epochs=2, random_state=seed, n_threads=1)

    def mlp(hidden):
        return lambda task, seed: Spy((hidden,), n_epochs=2, random_state=seed, n_threads=1)

    small = {
        "bioneuro": Contender(bioneuro, "delta", OURS),
        "bioneuro votes": Contender(bioneuro, "votes", OURS, read=contenders.by_votes),
        "MLP": Contender(mlp(8)),
        "other": Contender(mlp(9), role=CEILING),
        "absent": Contender(mlp(10), needs=("no_such_module",)),
    }
    saved = dict(CONTENDERS)
    CONTENDERS.clear()
    CONTENDERS.update(small)
    monkeypatch.setitem(robustness.TIER_SIZES, "quick", robustness.Tier(12, 4, 2, 4))
    few = {"pgd-margin": {"n_steps": 2}, "transfer:pgd-ce": {"n_steps": 2, "early_stop": False}}
    monkeypatch.setitem(registry.TIERS, "quick", few)
    yield made
    CONTENDERS.clear()
    CONTENDERS.update(saved)


def run(*arguments):
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        code = main(arguments)
    return code, printed.getvalue()


def rows(out):
    return pd.read_csv(out / "results.csv", dtype={"setting": str}, keep_default_na=False)


# --- a real run ---


def test_a_run_keeps_rows_images_and_pictures(fits, tmp_path):
    code, printed = run(*TINY, "--out", str(tmp_path))
    assert code == 0
    frame = rows(tmp_path)
    assert tuple(frame.columns) == Row._fields and np.isfinite(frame["value"]).all()
    assert list(frame["model"].unique()) == ["bioneuro", "bioneuro votes", "MLP", "other"]
    assert not frame.duplicated(["model", "seed", "metric", "setting"]).any()
    values = frame.set_index(["model", "metric", "setting"])["value"]
    kept = robustness.kept(tmp_path, list(frame["model"].unique()), [0])
    assert len(kept) == 4
    for (model, _), images in kept.items():
        assert values[model, "accuracy", "500"] == images.correct.mean() and len(images.correct) == 500
        for k, epsilon in enumerate(("0.05", "0.1")):
            standing = images.standing[k].mean()
            assert values[model, "robust_accuracy", epsilon] == pytest.approx(standing)
            of_model = frame[(frame["model"] == model) & (frame["metric"] == "broken_by")]
            broken = of_model.loc[of_model["setting"].str.startswith(f"{epsilon} "), "value"].sum()
            assert broken <= 1 - standing + 1e-9, "what was wrong without attack is no attack's work"
        assert np.abs(images.adversarial - images.clean).max() <= 0.1 + 1e-6
        budgets = [values[model, "robust_accuracy", epsilon] for epsilon in ("0", "0.05", "0.1")]
        assert budgets == sorted(budgets, reverse=True)  # of the same images: no curve rises
        assert {"audit", "audit_epsilon"} <= set(frame.loc[frame["model"] == model, "metric"])
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())
    for name in ("robustness.png", "examples.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    for words in ("absent: left out, no_such_module not installed", "clean, %", "ε = 0.1, %", "most broken by",
                  "QUICK TIER", "bioneuro minus the others", "bioneuro votes minus the others", "Audit"):  # fmt: skip
        assert words in printed
    assert json.loads((tmp_path / "configuration.json").read_text())["configuration"]["n_train"] == 100


def test_the_same_again_trains_nothing_and_more_models_are_added(fits, tmp_path):
    assert run(*TINY, "--models", "MLP", "--out", str(tmp_path))[0] == 0
    assert fits == [((8,), 100)]
    before = (tmp_path / "results.csv").read_text()
    left = tmp_path / "cache" / "MLP_0" / "PGD.npz"  # by a process that was killed once the model was finished
    left.parent.mkdir(parents=True)
    left.touch()
    assert run(*TINY, "--models", "MLP", "--out", str(tmp_path))[0] == 0
    assert fits == [((8,), 100)] and not left.exists()
    code, printed = run(*TINY, "--models", "MLP", "other", "--out", str(tmp_path))
    assert code == 0 and "other" in printed
    assert fits[1:] == [((9,), 100), ((8,), 100)], "images are transferred from the MLP, which is trained again"
    assert (tmp_path / "results.csv").read_text().startswith(before)


def test_an_interrupted_run_keeps_finished_models(fits, tmp_path, monkeypatch, capsys):
    measured = robustness.measured

    def interrupted(name, *arguments):
        if name == "other":
            raise KeyboardInterrupt
        return measured(name, *arguments)

    monkeypatch.setattr(robustness, "measured", interrupted)
    arguments = [*TINY, "--models", "MLP", "other", "--out", str(tmp_path)]
    assert main(arguments) == 130
    assert "resumes" in capsys.readouterr().err
    assert set(rows(tmp_path)["model"]) == {"MLP"}
    monkeypatch.setattr(robustness, "measured", measured)
    assert run(*arguments)[0] == 0
    assert set(rows(tmp_path)["model"]) == {"MLP", "other"}


def test_a_model_that_fails_loses_no_other(fits, tmp_path, monkeypatch, capsys):
    measured = robustness.measured

    def fails(name, *arguments):
        if name == "MLP":
            raise ArithmeticError("no MLP")
        return measured(name, *arguments)

    monkeypatch.setattr(robustness, "measured", fails)
    assert main([*TINY, "--models", "MLP", "other", "--out", str(tmp_path)]) == 1
    assert "1 of 2 failed (MLP, seed 0: ArithmeticError: no MLP); what is finished is kept" in capsys.readouterr().err
    assert set(rows(tmp_path)["model"]) == {"other"}


def test_processes_change_nothing(fits, tmp_path, monkeypatch):
    monkeypatch.setitem(registry.TIERS, "quick", QUICK)  # other processes know no other
    found = []
    for n_jobs in ("1", "2"):
        assert run(*TINY, "--models", "MLP", "other", "--n-jobs", n_jobs, "--out", str(tmp_path / n_jobs))[0] == 0
        of_jobs = rows(tmp_path / n_jobs)
        of_jobs.loc[of_jobs["metric"] == "train_seconds", "value"] = 0
        found.append(of_jobs.sort_values(["model", "metric", "setting"], ignore_index=True))
    pd.testing.assert_frame_equal(*found)


def test_a_model_with_other_parameters_is_refused(fits, tmp_path, capsys):
    assert run(*TINY, "--models", "MLP", "--out", str(tmp_path))[0] == 0
    CONTENDERS["MLP"] = Contender(lambda task, seed: BackpropMLP((8,), n_epochs=3, random_state=seed, n_threads=1))
    assert main([*TINY, "--models", "MLP", "--out", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "MLP with other parameters (n_epochs=2 there, n_epochs=3 now)" in error and error.count("\n") == 1


def test_validation_touches_no_test_image(fits, tmp_path, digits):
    plan = AttackPlan.for_dataset("digits", digits, n_train=100, n_validation=50)
    seen = robustness.tested_on(plan, digits)
    assert np.array_equal(seen.X_test, digits.X_train[-50:]) and len(seen.X_train) == len(digits.X_train) - 50
    code, printed = run(*TINY, "--models", "MLP", "--validation", "50", "--out", str(tmp_path))
    assert code == 0 and "VALIDATION" in printed
    assert "50" in set(rows(tmp_path).loc[lambda f: f["metric"] == "accuracy", "setting"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "nobody"], "--models: unknown 'nobody'; choose from 'bioneuro'"),
        (["--models", "absent"], "absent: left out, no_such_module not installed"),
        (["--epsilons", "0"], "--epsilons: must be a number above 0, got 0"),
        (["--epsilons", "1.5"], "--epsilons 1.5 is more than 1, the range of the pixels, for the norm linf"),
        (["--norm", "l7"], "invalid choice: 'l7'"),
        (["--n-train", "2000"], "--n-train 2000 is more than the 1297 training images of digits"),
        (["--n-attacked", "501"], "--n-attacked 501 is more than the 500 images that are tested on"),
        (["--validation", "1297"], "--validation 1297 leaves none of the 1297 training images"),
    ],
)
def test_wrong_arguments_are_one_line(fits, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["attack", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir()) and not fits


def test_plans_have_budgets_of_their_norm(digits):
    plan = AttackPlan.for_dataset("digits", digits, norm="l2", tier="full")
    assert plan.epsilons == datasets.USUAL["digits"].l2 and plan.middle == 0.5
    assert (plan.n_train, plan.n_attacked, plan.n_audited) == (1297, 500, 50)
    assert plan.task == Task("digits", 0.2), "adversarial training is Linf whatever is attacked"
    assert AttackPlan.for_dataset("digits", digits, epsilons=[0.2, 0.1, 0.2]).epsilons == (0.1, 0.2)


# --- who ---


def test_contenders_share_our_retina_and_our_robust_parameters(monkeypatch):
    monkeypatch.setitem(contenders.ROBUST, "digits", {"encoder__exponent": 3.0, "n_cells": 7})
    made = {name: c.make(1) for name, c in contenders.contenders(Task("digits", 0.2)).items()}
    assert made["bioneuro"].n_cells == 7 and made["bioneuro"].random_state == 1
    assert made["MLP + contrast response"].contrast == (3.0, 0.5)
    assert made["MLP, adversarially trained"].adversarial[0] == 0.2
    assert made["MLP"].contrast is None and made["MLP, weight decay"].weight_decay > made["MLP"].weight_decay
    other = contenders.contenders(Task("cifar10", 0.03))["bioneuro"].make(0)
    assert other.n_cells == BioClassifier().n_cells


def test_both_of_our_readouts_are_one_network():
    bound = contenders.contenders(Task("digits", 0.2))
    assert bound["bioneuro"].make is bound["bioneuro votes"].make


def test_every_baseline_is_known():
    for name, contender in CONTENDERS.items():
        if not contenders.missing_modules(contender):
            assert hasattr(contender.make(Task("digits", 0.2), 0), "fit"), name


# --- what is printed ---

PLAN = AttackPlan("digits", 100, "linf", (0.1, 0.2), "full", 100, 10, 5, 5)


def a_row(model, seed, metric, setting, value, note=""):
    return Row(model, "r", seed, metric, setting, value, note)


def results(model, robust, clean=0.9, seeds=(0,), status="pass"):
    """Rows of one model: the same accuracy at both budgets, one value a seed."""
    robust = np.broadcast_to(robust, len(seeds))
    found = [a_row(model, 0, "audit", "a check", 0, status)] if status else []
    for seed, value in zip(seeds, robust, strict=True):
        found.append(a_row(model, seed, "accuracy", "100", clean))
        found += [a_row(model, seed, "robust_accuracy", f"{e:g}", value) for e in PLAN.epsilons]
        found += [a_row(model, seed, "broken_by", "0.2 pgd", 0.1), a_row(model, seed, "broken_by", "0.2 square", 0.3)]
    return found


def frame_of(*parts):
    return pd.DataFrame([row for part in parts for row in part], columns=Row._fields)


def kept_of(standing, correct=0.9):
    """The first images stand; so of two models one stands wherever the other does."""
    hits = np.arange(100) < round(100 * standing)
    right = np.arange(100) < round(100 * correct)
    return Kept(right, np.stack([hits, hits]), *np.zeros((4, 1, 1)))


def line_of(text, name):
    return next(line for line in text.splitlines() if line.startswith(name))


def test_one_seed_has_wilsons_interval_over_images():
    printed = robustness_report.table(frame_of(results("MLP", 0.6)), PLAN)
    assert "60.0 [50.2, 69.1]" in line_of(printed, "MLP") and "90.0 [82.6, 94.5]" in line_of(printed, "MLP")
    assert "square 75%" in line_of(printed, "MLP") and "all 1 pass" in line_of(printed, "MLP")


def test_seeds_have_students_interval():
    printed = robustness_report.table(frame_of(results("MLP", [0.5, 0.6, 0.7], seeds=(0, 1, 2))), PLAN)
    assert "60.0 ± 24.8" in line_of(printed, "MLP")


def test_without_an_audit_there_is_no_figure():
    printed = robustness_report.table(frame_of(results("MLP", 0.61, status=None)), PLAN)
    assert "61.0" not in printed and "none" in line_of(printed, "MLP") and "90.0" in printed


def test_where_the_audit_warns_figures_are_upper_bounds():
    printed = robustness_report.table(frame_of(results("MLP", 0.61, status="warn")), PLAN)
    assert line_of(printed, "MLP").count("≤ 61.0") == 2 and "≤ 90" not in printed and "WARNS: 1 of 1" in printed


@pytest.mark.parametrize(
    ("ours", "status", "verdict"),
    [(0.8, "pass", "better"), (0.4, "pass", "WORSE"), (0.62, "pass", "unclear"), (0.8, "warn", "suspect")],
)
def test_one_seed_is_compared_image_by_image(ours, status, verdict):
    frame = frame_of(results("bioneuro", ours, status=status), results("MLP", 0.6))
    images = {("bioneuro", 0): kept_of(ours), ("MLP", 0): kept_of(0.6)}
    clean, *attacked = robustness_report.differences(frame, images, PLAN, "bioneuro")
    assert clean.verdict == "unclear" and clean.found.mean == 0
    assert [d.verdict for d in attacked] == [verdict] * 2
    assert attacked[0].found.mean == pytest.approx(100 * (ours - 0.6)) and attacked[0].found.n == 100


def test_three_seeds_are_compared_over_seeds():
    seeds = (0, 1, 2)
    frame = frame_of(
        results("bioneuro", [0.80, 0.81, 0.805], seeds=seeds), results("MLP", [0.6, 0.61, 0.61], seeds=seeds)
    )
    attacked = robustness_report.differences(frame, {}, PLAN, "bioneuro")[1:]
    assert [(d.found.n, d.verdict) for d in attacked] == [(3, "better")] * 2
    two = frame[frame["seed"] < 2]
    assert robustness_report.differences(two, {}, PLAN, "bioneuro") == [], "two seeds need the images"


def test_holm_is_over_the_whole_table():
    frame = frame_of(results("bioneuro", 0.68), results("MLP", 0.6))
    images = {("bioneuro", 0): kept_of(0.68), ("MLP", 0): kept_of(0.6)}
    alone = robustness_report.differences(frame, images, PLAN, "bioneuro")
    assert [d.verdict for d in alone[1:]] == ["better"] * 2  # 8 images to 0: p = .0078
    rivals = [f"rival {i}" for i in range(5)]
    frame = frame_of(results("bioneuro", 0.68), *(results(name, 0.6) for name in ["MLP", *rivals]))
    images |= {(name, 0): kept_of(0.6) for name in rivals}
    assert {d.verdict for d in robustness_report.differences(frame, images, PLAN, "bioneuro")} == {"unclear"}


def test_the_report_says_in_words_what_is_not_beaten():
    frame = frame_of(
        results("bioneuro", 0.8), results("MLP", 0.6), results("CNN", 0.9), results("CNN, adversarially trained", 1.0)
    )
    robust = {"bioneuro": 0.8, "MLP": 0.6, "CNN": 0.9, "CNN, adversarially trained": 1.0}
    images = {(name, 0): kept_of(value) for name, value in robust.items()}
    printed = robustness_report.text(frame, images, PLAN)
    assert "bioneuro at ε = 0.1: WORSE against CNN." in printed, "the ceiling is no control"
    assert "bioneuro without attack: unclear against MLP, CNN." in printed
    assert "seed 0 only" in printed and "QUICK" not in printed
    alone = robustness_report.text(frame[frame["model"].isin(["bioneuro", "MLP"])], images, PLAN)
    assert "bioneuro at ε = 0.2: better than each of the 1 controls." in alone


def test_attacks_of_the_plan_are_those_of_the_tier(fits, digits):
    plan = AttackPlan.for_dataset("digits", digits, n_train=100)
    X, y = digits.X_test[:4], digits.y_test[:4]
    model = BackpropMLP((4,), n_epochs=1, n_threads=1).fit(digits.X_train[:100], digits.y_train[:100])
    found = attacks.worst_case(model, X, y, plan.epsilons, tier=plan.tier, sources={"MLP": model})
    assert found.attacks == ("pgd-margin", "pgd-ce from MLP")
    with pytest.raises(UserError, match="leaves none"):
        AttackPlan.for_dataset("digits", digits, n_validation=1297)
