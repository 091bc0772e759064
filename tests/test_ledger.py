"""Tables that grow by whole units: what is finished is kept, and never mixed with anything else."""

import json
import math
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest

from bioneuro.research import UnitsFailedError, UserError
from bioneuro.research.records.arrays import keep_arrays, kept_arrays
from bioneuro.research.records.environment import commit
from bioneuro.research.records.ledger import Ledger, ModelLedger, Row, kept_results, kept_rows

UNITS = [("a", 0), ("b", 0), ("a", 1)]
calls = []


def compute(name, seed):
    calls.append((name, seed))
    return pd.DataFrame({"model": name, "seed": seed, "x": np.random.default_rng(seed).random(3) / 3})


@pytest.fixture(autouse=True)
def no_calls():
    calls.clear()


def table(path, configuration=None):
    return Ledger(path / "t.csv", configuration or {"n": 1}, {"python": "3"})


def test_only_what_is_missing_is_computed(tmp_path):
    first = table(tmp_path).complete(compute, UNITS[:1])
    assert calls == UNITS[:1] and len(first) == 3
    whole = table(tmp_path).complete(compute, UNITS)
    assert calls == UNITS and len(whole) == 9
    pd.testing.assert_frame_equal(table(tmp_path).complete(compute, UNITS), whole, check_exact=True)
    assert calls == UNITS
    pd.testing.assert_frame_equal(table(tmp_path).complete(compute, UNITS[:1]), first, check_exact=True)


def test_rows_come_in_the_order_of_the_units(tmp_path):
    table(tmp_path).complete(compute, UNITS[::-1])
    found = table(tmp_path).complete(compute, UNITS)
    assert list(dict.fromkeys(zip(found["model"], found["seed"], strict=True))) == UNITS


def test_processes_change_nothing(tmp_path):
    alone, shared = (table(tmp_path / f"{n}").complete(compute, UNITS, n_jobs=n) for n in (1, 2))
    pd.testing.assert_frame_equal(alone, shared, check_exact=True)


def test_interrupted_work_keeps_whole_units(tmp_path):
    def stops(name, seed):
        if name == "b":
            raise KeyboardInterrupt
        return compute(name, seed)

    with pytest.raises(KeyboardInterrupt):
        table(tmp_path).complete(stops, UNITS)
    assert len(pd.read_csv(tmp_path / "t.csv")) == 3
    table(tmp_path).complete(compute, UNITS)
    assert calls == UNITS


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_unit_that_fails_loses_no_other_and_is_named(tmp_path, n_jobs):
    def fails(name, seed):
        if name == "b":
            raise ArithmeticError("no b")
        return pd.DataFrame({"model": name, "seed": seed, "x": [0.5]})

    with pytest.raises(UnitsFailedError, match=r"1 of 3 failed \(b 0: ArithmeticError: no b\)"):
        table(tmp_path).complete(fails, UNITS, n_jobs=n_jobs)
    assert sorted(pd.read_csv(tmp_path / "t.csv")["unit"]) == ["a 0", "a 1"]
    assert len(table(tmp_path).complete(compute, UNITS)) == 5
    assert calls == [("b", 0)]


def test_another_configuration_is_refused(tmp_path):
    table(tmp_path).complete(compute, UNITS[:1])
    before = (tmp_path / "t.csv").read_bytes(), (tmp_path / "t.json").read_bytes()
    with pytest.raises(UserError, match="another configuration .n: 1 there, 2 now.: choose another --out"):
        table(tmp_path, {"n": 2})
    assert before == ((tmp_path / "t.csv").read_bytes(), (tmp_path / "t.json").read_bytes())


def test_configuration_without_results_does_not_bind(tmp_path):
    table(tmp_path)
    table(tmp_path, {"n": 2})
    assert json.loads((tmp_path / "t.json").read_text())["configuration"] == {"n": 2}


def test_file_without_units_is_not_taken_for_a_table(tmp_path):
    (tmp_path / "t.csv").write_text("model,x\na,1\n")
    with pytest.raises(UserError, match="not a table of results .no column 'unit'."):
        table(tmp_path)


def test_broken_file_is_not_taken_for_a_table(tmp_path):
    (tmp_path / "t.csv").write_text('unit,x\n"a,1\n')
    with pytest.raises(UserError, match="not a table of results"):
        table(tmp_path)


def test_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="cannot keep results in .*taken"):
        table(tmp_path / "taken")


def test_configuration_that_cannot_be_read_is_not_overwritten(tmp_path):
    (tmp_path / "t.json").write_text("{nonsense")
    with pytest.raises(UserError, match="t.json is not a configuration; choose another --out"):
        table(tmp_path)
    assert (tmp_path / "t.json").read_text() == "{nonsense"


def counted(name, seed):
    """Cells are counted in some models only: a column of whole numbers and of nothing."""
    return pd.DataFrame({"model": [name], "cells": [50 if name == "a" else None]})


def test_resuming_changes_no_digit(tmp_path):
    whole = table(tmp_path / "whole").complete(counted, UNITS)
    for n in range(1, 4):
        resumed = table(tmp_path / "resumed").complete(counted, UNITS[:n])
    assert (tmp_path / "whole" / "t.csv").read_bytes() == (tmp_path / "resumed" / "t.csv").read_bytes()
    pd.testing.assert_frame_equal(whole, resumed, check_exact=True)
    assert "\na,50,a 0\nb,nan,b 0\n" in (tmp_path / "whole" / "t.csv").read_text()


def test_columns_in_another_order_find_their_place(tmp_path):
    found = table(tmp_path)
    found.add(pd.DataFrame({"x": [1], "unit": ["a"]}))
    found.add(pd.DataFrame({"unit": ["b"], "x": [2]}))
    assert (tmp_path / "t.csv").read_text() == "x,unit\n1,a\n2,b\n"


@pytest.mark.parametrize("content", ["[" * 100_000, "", "[]"])
def test_hostile_configurations_are_refused(tmp_path, content):
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(UserError, match="t.json is not a configuration"):
        table(tmp_path)


# --- arrays beside a table ---


def test_arrays_come_back(tmp_path):
    keep_arrays(tmp_path / "new" / "a.npz", x=np.arange(3), y=np.eye(2))
    found = kept_arrays(tmp_path / "new" / "a.npz", ["y"])
    np.testing.assert_array_equal(found["y"], np.eye(2))


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("the file ran code",)


def pickled(path):
    np.savez(path, x=np.array([Bomb()], object))


def cut_short(path):
    keep_arrays(path, x=np.arange(300))
    path.write_bytes(path.read_bytes()[:-40])


def changed(path):
    keep_arrays(path, x=np.arange(300))
    content = bytearray(path.read_bytes())
    content[60] ^= 0xFF
    path.write_bytes(content)


@pytest.mark.parametrize(
    "make", [pickled, cut_short, changed, lambda path: np.savez(path, z=1), lambda p: p.write_text("")]
)
def test_damaged_arrays_are_named(tmp_path, make):
    make(tmp_path / "a.npz")
    with pytest.raises(UserError, match="a.npz is damaged .*: delete it, and what it holds is left out"):
        kept_arrays(tmp_path / "a.npz", ["x"])


# --- rows of models ---


def _unit(model="m", seed=0, value=0.5):
    return [
        Row(model, "r", seed, "accuracy", "", value, ""),
        Row(model, "r", seed, "density", "a, b", 1 / 3, 'say "x"'),
    ]


def test_ledger_returns_what_was_added(tmp_path):
    ledger = ModelLedger(tmp_path / "new" / "folder", {"a": (1, 2)}, {})
    assert not ledger.finished("m", 0)
    ledger.add_rows(_unit())
    again = ModelLedger(tmp_path / "new" / "folder", {"a": (1, 2)}, {})
    assert again.rows == _unit()
    assert again.finished("m", 0) and not again.finished("m", 1) and not again.finished("n", 0)


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    ledger = ModelLedger(tmp_path, {}, {})
    ledger.add_rows(_unit())
    before = ledger.path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        ledger.add_rows(_unit(seed=1))
    assert ledger.path.read_bytes() == before
    assert not ledger.finished("m", 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["configuration.json", "results.csv"]


def test_environments_are_kept_apart_and_once(tmp_path):
    for environment in ({"commit": "a"}, {"commit": "b"}, {"commit": "a"}):
        ModelLedger(tmp_path, {}, environment).add_rows(_unit())
    kept = json.loads((tmp_path / "configuration.json").read_text())
    assert kept["environments"] == [{"commit": "a"}, {"commit": "b"}]


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_commit_is_that_of_the_clone_and_says_whether_files_were_changed(tmp_path):
    def git(*arguments):
        command = ["git", "-C", tmp_path, "-c", "user.name=x", "-c", "user.email=x", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    file = tmp_path / "file"
    file.write_text("a")
    assert commit(file) is None
    git("init")
    assert commit(file) is None
    git("add", "file")
    git("commit", "-m", "first")
    git("tag", "v1")
    assert commit(file) == git("rev-parse", "HEAD")
    file.write_text("b")
    assert commit(file) == git("rev-parse", "HEAD") + "-dirty"


@pytest.mark.parametrize("content", ["", "x,y\n1,2\n", "model,readout,seed,metric,setting,value,note\na,b,c\n"])
def test_foreign_file_is_not_overwritten(tmp_path, content):
    (tmp_path / "results.csv").write_text(content)
    with pytest.raises(UserError, match="not a table of results"):
        ModelLedger(tmp_path, {}, {})
    assert (tmp_path / "results.csv").read_text() == content


def test_folder_that_is_a_file_is_a_clear_error(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(UserError, match="cannot keep results"):
        ModelLedger(tmp_path / "taken", {}, {})


# --- what is kept, read without changing it


def test_a_table_without_rows_has_nothing_finished(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text(",".join(ModelLedger.columns) + "\n")
    with pytest.raises(UserError, match=r"results\.csv has no rows: nothing is finished yet"):
        kept_rows(path)


def test_a_folder_of_rows_needs_its_configuration(tmp_path):
    (tmp_path / "results.csv").write_text(",".join(ModelLedger.columns) + "\n")
    with pytest.raises(UserError, match=r"holds no results: there is no configuration\.json"):
        kept_results(tmp_path)


def test_what_is_kept_is_what_was_added(tmp_path):
    ledger = ModelLedger(tmp_path, {"n": 1}, {"python": "3"})
    written = [
        Row("a", "votes", 0, "accuracy", "07", 0.1 + 0.2, "NaN"),
        Row("a", "votes", 0, "gini", "nan", math.nan, ""),
        Row("a", "votes", 0, "skew", "", -math.inf, "nan"),
    ]
    ledger.add_rows(written)
    kept = kept_results(tmp_path)
    np.testing.assert_equal(kept.frame.to_numpy().tolist(), [list(row) for row in written])
    assert kept.configuration == {"n": 1} and kept.environments == [{"python": "3"}]
