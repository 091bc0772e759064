"""Every claim runs with small settings; its rows are tidy, its verdict follows from them, and it can fail."""

import math

import numpy as np
import pandas as pd
import pytest

from bioneuro import analysis
from bioneuro.research import UnitsFailedError, UserError
from bioneuro.research.claims import CLAIMS, experiment, findings
from bioneuro.research.claims.settings import Settings, split_images
from bioneuro.research.claims.verdict import MIN_SEEDS, NOT_SHOWN, STRONG, Verdict
from bioneuro.research.commands import main
from bioneuro.research.differences import in_words
from bioneuro.research.records.pictures import blank_figure

COLUMNS = ["claim", "condition", "x", "measure", "value", "seed", "note"]
N_SEEDS = 2
SIZE = (7.2, 4.6)  # of a picture, in inches


@pytest.fixture(scope="module")
def runs(digits, tmp_path_factory, request):
    """Frame of a claim, run once for all tests: with small settings unless asked otherwise."""
    out, kept = tmp_path_factory.mktemp("claims"), {}
    full = request.config.getoption("--full-claims")

    def frame(number):
        if number not in kept:
            kept.update(experiment.run([CLAIMS[number]], "digits", digits, out, N_SEEDS, full=full))
        return kept[number]

    return frame


# of the module, so that the tests of a claim come one after another: in one process, which runs it once
each_claim = pytest.mark.parametrize("number", list(CLAIMS), scope="module")


@pytest.mark.claims
@each_claim
def test_rows_are_tidy(runs, number):
    frame = runs(number)
    assert list(frame.columns) == COLUMNS
    assert set(frame["claim"]) == {number} and set(frame["seed"]) == set(range(N_SEEDS))
    assert np.isfinite(frame["value"]).all()
    assert not frame.duplicated(["condition", "x", "measure", "seed"]).any()
    shares = frame.loc[frame["measure"].str.contains("accuracy|density|in use"), "value"]
    assert shares.size and shares.between(0, 1).all()


@pytest.mark.claims
@each_claim
def test_verdict_and_figure_come_from_the_rows(runs, number):
    frame = runs(number)
    verdict = CLAIMS[number].verdict(frame)
    assert isinstance(verdict, Verdict)
    assert verdict.form == NOT_SHOWN and not verdict.passed  # two seeds are too few, whatever they say
    assert verdict.low <= verdict.effect <= verdict.high
    assert "nan" not in verdict.note
    figure = blank_figure(*SIZE)
    ax = CLAIMS[number].figure(frame, figure.subplots())
    assert ax.get_xlabel() and ax.has_data()
    figure.draw_without_rendering()
    left, bottom, right, top = figure.get_tightbbox().extents
    assert min(left, bottom) >= 0 and right <= SIZE[0] and top <= SIZE[1]  # nothing is cut off


@pytest.mark.claims
def test_a_seed_gives_the_same_rows_again(digits, runs, tmp_path, request):
    full = request.config.getoption("--full-claims")
    again = experiment.run([CLAIMS["C9"]], "digits", digits, tmp_path, 1, full=full)["C9"]
    first = runs("C9")
    pd.testing.assert_frame_equal(again, first[first["seed"] == 0].reset_index(drop=True))


# --- framework ---------------------------------------------------------------------------------------------


class Constant:
    """A claim that costs nothing: its value is the seed."""

    number, title, statement, x_name = "C0", "a constant", "It is the seed.", ""
    small = full = Settings(n_train=50)

    def __init__(self):
        self.seeds = []

    def run(self, data, seed, settings, progress):
        from bioneuro.research.claims import Found

        self.seeds.append(seed)
        yield Found("only", "value", seed, note="told, with a comma")
        yield Found("only", "varied", 2.0 * seed, 0.5)

    def verdict(self, frame):
        values = frame.loc[frame["measure"] == "value", "value"].to_numpy()
        return Verdict.of(values, STRONG, values.mean() > 10, "units", "one line\nanother")

    def figure(self, frame, ax):
        ax.plot(frame["seed"], frame["value"])
        return ax


def test_a_run_goes_on_where_it_stopped(digits, tmp_path):
    claim = Constant()
    experiment.run([claim], "digits", digits, tmp_path, 2)
    frame = experiment.run([claim], "digits", digits, tmp_path, 3)["C0"]
    assert claim.seeds == [0, 1, 2]
    assert frame.loc[frame["measure"] == "varied", "x"].eq(0.5).all()
    assert frame.loc[frame["measure"] == "value", "x"].isna().all()
    fewer = experiment.run([claim], "digits", digits, tmp_path, 1)["C0"]
    assert set(fewer["seed"]) == {0}, "the rows must be those of the seeds that were asked for"


def test_processes_change_nothing(digits, tmp_path):
    alone, shared = (experiment.run([Constant()], "digits", digits, tmp_path / f"{n}", 3, n_jobs=n) for n in (1, 2))
    order = ["seed", "measure"]
    pd.testing.assert_frame_equal(*(found["C0"].sort_values(order, ignore_index=True) for found in (alone, shared)))


def test_a_seed_that_fails_loses_no_other(digits, tmp_path):
    class Fails(Constant):
        def run(self, data, seed, settings, progress):
            if seed == 1:
                raise ArithmeticError("not 1")
            return super().run(data, seed, settings, progress)

    with pytest.raises(UnitsFailedError, match=r"1 of 3 failed \(C0, seed 1: ArithmeticError: not 1\)"):
        experiment.run([Fails()], "digits", digits, tmp_path, 3)
    claim = Constant()
    assert set(experiment.run([claim], "digits", digits, tmp_path, 3)["C0"]["seed"]) == {0, 1, 2}
    assert claim.seeds == [1]


def test_other_settings_are_kept_apart(digits, tmp_path):
    experiment.run([Constant()], "digits", digits, tmp_path, 1)
    with pytest.raises(UserError, match="another configuration"):
        experiment.run([Constant()], "digits", digits, tmp_path, 1, n_train=60)


def test_a_failed_claim_is_printed_as_failed(digits, tmp_path):
    claim = Constant()
    frames = experiment.run([claim], "digits", digits, tmp_path, 3)
    printed = findings.text([claim], {"C0": claim.verdict(frames["C0"])}, "digits", 3, full=False)
    assert "FAILED; strong" in printed and "1 [-1.48, 3.48]" in printed and "SMALL SETTINGS" in printed
    (path,) = findings.figures([claim], frames, tmp_path)
    assert path.stat().st_size > 0
    read = pd.read_csv(findings.write_csv(frames, tmp_path / "claims.csv"))
    pd.testing.assert_frame_equal(read.fillna({"note": ""}), frames["C0"])


def test_one_seed_has_neither_verdict_nor_interval(digits, tmp_path):
    claim = Constant()
    frames = experiment.run([claim], "digits", digits, tmp_path, 1)
    printed = findings.text([claim], {"C0": claim.verdict(frames["C0"])}, "digits", 1, full=True)
    assert f"open; 1 of the {MIN_SEEDS} seeds" in printed and "FAILED" not in printed and "nan" not in printed


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([0.01], "+1.0 points"),
        ([0.01, 0.03, 0.05], "+3.0 points [-2.0, +8.0], Holm-adjusted p 0.02"),
    ],
)
def test_a_difference_in_words(values, words):
    assert in_words(analysis.mean_interval(values), unit=" points", p=0.02) == words


def test_few_seeds_show_nothing():
    few = Verdict.of(np.ones(MIN_SEEDS - 1), STRONG, True, "", "")
    enough = Verdict.of(np.ones(MIN_SEEDS), STRONG, True, "", "")
    assert (few.form, few.passed) == (NOT_SHOWN, False)
    assert (enough.form, enough.passed) == (STRONG, True)
    assert math.isnan(Verdict.of(np.ones(1), STRONG, True, "", "").low)


def test_parts_of_a_split_share_no_image(digits):
    settings = Settings(n_train=10**6, n_validation=100, n_test=10**6).fitted_to(digits)
    train, validation, test = split_images(digits, settings, seed=0)
    assert len(train.y) + len(validation.y) == len(digits.y_train) and len(test.y) == len(digits.y_test)
    assert np.unique(np.concatenate([train.X, validation.X]), axis=0).shape == np.unique(digits.X_train, axis=0).shape
    assert set(validation.y) == set(train.y)


def test_command_names_an_unknown_claim(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["claims", "C99"]) == 2
    assert "unknown claim 'C99': choose from C1" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_command_prints_a_table(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(CLAIMS, "C0", Constant())
    assert main(["claims", "c0", "--seeds", "3", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "a constant" in printed and "FAILED" in printed
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"C0", "claims.csv", "C0.png"}
