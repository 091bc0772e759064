"""Sweeps: every point once, with its own seed, kept in its own file; what fails or is damaged loses nothing else."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sweep_points
from hypothesis import given
from hypothesis import strategies as st

import bioneuro as bn
from bioneuro.research import UserError
from bioneuro.research.commands import main
from bioneuro.research.records.ledger import Ledger
from bioneuro.research.sweeps.grid import child_of, key_of, points_of
from bioneuro.research.sweeps.point_files import PointFiles, records_of

GRID = {"a": [1, 2], "b": [0.5, 1.5, 2.5]}


def swept(function, grid, out, **options):
    return bn.research.sweep(function, grid, out=out, **{"n_jobs": 1, "progress": False, **options})


def files(out):
    return sorted((out / "points").glob("*.json"))


# --- the grid ---

scalars = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5)
points = st.dictionaries(st.sampled_from("abcde"), scalars | st.lists(scalars, max_size=3), min_size=1)


@given(points)
def test_a_key_does_not_depend_on_the_order_of_names(point):
    assert key_of(point) == key_of(dict(reversed(point.items())))


@given(st.lists(points, min_size=2, max_size=6, unique_by=lambda point: json.dumps(point, sort_keys=True)))
def test_other_points_have_other_keys_and_seeds(several):
    keys = [key_of(point) for point in points_of(several)]
    assert len(set(keys)) == len(several)
    states = {tuple(child_of(3, key).generate_state(4)) for key in keys}
    assert len(states) == len(several)


def test_a_child_is_one_of_the_sequence_of_the_seed():
    child = child_of(7, key_of({"a": 1}))
    assert child.entropy == 7 and len(child.spawn_key) == 4
    assert not np.array_equal(child.generate_state(4), child_of(8, key_of({"a": 1})).generate_state(4))


def test_numbers_of_numpy_are_numbers():
    assert points_of({"n": np.arange(2), "x": [np.float64(0.5)]}) == points_of({"n": [0, 1], "x": [0.5]})


def test_the_last_parameter_is_the_fastest():
    assert [tuple(point.values()) for point in points_of({"a": [1, 2], "b": "xy".split() + ["z"]})] == [
        (1, "xy"), (1, "z"), (2, "xy"), (2, "z"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "grid, message",
    [
        ({"a": 3}, r"grid\['a'\] must be a sequence of values, got 3"),
        ({"a": "digits"}, r"write \['digits'\]"),
        ({"a": []}, "at least one point"),
        ([], "at least one point"),
        ([3], r"grid\[0\] is 3"),
        ({"a": [1, 1]}, "holds {'a': 1} twice"),
        ({"a b": [1]}, "must name parameters of a function, got 'a b'"),
        ({"a": [object()]}, r"grid\['a'\] must hold numbers, strings, None or lists of these, got object"),
        ({"seconds": [1]}, "must not have a parameter named 'seconds'"),
    ],
)
def test_a_bad_grid_is_refused(grid, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        swept(sweep_points.fails_at_two, grid, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"backend": "ray"}, r"backend must be one of \['dask', 'joblib'\], got 'ray'"),
        ({"n_jobs": 0}, "n_jobs must be an integer >= 1 or None, got 0"),
        ({"n_threads": True}, "n_threads must be an integer >= 1 or None, got True"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"scheduler": "tcp://127.0.0.1:1"}, "scheduler must be None unless backend='dask'"),
    ],
)
def test_a_bad_option_is_refused(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        swept(sweep_points.drawn, GRID, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_what_is_no_function_is_refused(tmp_path):
    with pytest.raises(ValueError, match="function must be callable, got 3"):
        swept(3, GRID, tmp_path)


# --- what a function returns ---


@pytest.mark.parametrize(
    "value, rows",
    [
        (np.float32(0.5), [{"value": 0.5}]),
        ({"a": np.int64(1), "b": "x", "c": None}, [{"a": 1, "b": "x", "c": None}]),
        ([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 2}]),
        (pd.DataFrame({"a": [1, 2]}), [{"a": 1}, {"a": 2}]),
        ({"a": np.array(2.0)}, [{"a": 2.0}]),
    ],
)
def test_what_a_function_returns_becomes_rows(value, rows):
    assert records_of(value) == rows


@pytest.mark.parametrize(
    "value, message",
    [
        ([1, 2], "must return a number, a dict, dicts or a DataFrame, got list"),
        ("text", None),
        ([], "at least one row"),
        ({"a": np.zeros(2)}, "column 'a' must hold a number, string or None, got ndarray"),
        ({"a": np.datetime64("2020-01-01")}, "column 'a' must hold a number, string or None, got date"),
        ({"x": 1}, "column named as a parameter, got 'x'"),
    ],
)
def test_what_is_no_row_is_refused(value, message):
    if message is None:
        assert records_of(value) == [{"value": "text"}]
        return
    with pytest.raises((TypeError, ValueError), match=message):
        records_of(value, ["x"])


@given(st.floats())
def test_files_keep_every_digit(tmp_path_factory, value):
    kept = PointFiles(tmp_path_factory.mktemp("points"))
    kept.keep("k", {"a": 1}, [{"value": value}], 0.1)
    (found,), seconds = kept.rows("k", {"a": 1})
    assert seconds == 0.1 and (found["value"] == value or math.isnan(value) and math.isnan(found["value"]))


# --- a sweep ---


def test_a_sweep_is_one_tidy_table(tmp_path):
    frame = swept(sweep_points.drawn, GRID, tmp_path)
    assert list(frame) == ["a", "b", "sum", "drawn", "seconds", "error"]
    assert frame["sum"].tolist() == [1.5, 2.5, 3.5, 2.5, 3.5, 4.5]
    assert frame["drawn"].nunique() == 6 and (frame["error"] == "").all()
    assert len(files(tmp_path)) == 6


def test_points_of_several_rows(tmp_path):
    frame = swept(sweep_points.rows, {"x": [1, 2]}, tmp_path)
    assert frame[["x", "measure", "value"]].values.tolist() == [[1, "a", 1], [1, "b", 2], [2, "a", 2], [2, "b", 4]]


def test_a_sweep_is_the_same_in_any_process(tmp_path):
    alone = swept(sweep_points.drawn, GRID, tmp_path / "alone")
    shared = swept(sweep_points.drawn, GRID, tmp_path / "shared", n_jobs=2)
    pd.testing.assert_frame_equal(alone.drop(columns="seconds"), shared.drop(columns="seconds"))


def test_a_function_without_a_name_runs_in_other_processes(tmp_path):
    factor = 3
    assert swept(lambda x: factor * x, {"x": [1, 2]}, tmp_path, n_jobs=2)["value"].tolist() == [3, 6]


def test_a_seed_of_the_grid_is_the_grids(tmp_path):
    frame = swept(lambda seed: seed + 1, {"seed": [4, 5]}, tmp_path)
    assert frame["value"].tolist() == [5, 6]


def test_other_seeds_give_other_children(tmp_path):
    one, two = (swept(sweep_points.drawn, GRID, tmp_path / str(seed), seed=seed)["drawn"] for seed in (0, 1))
    assert not set(one) & set(two)


def test_finished_points_are_not_run_again_and_a_grid_may_grow(tmp_path):
    log = tmp_path / "log"
    first = swept(sweep_points.logged, {"x": [1, 2], "log": [str(log)]}, tmp_path / "out")
    grown = swept(sweep_points.logged, {"x": [3, 2, 1], "log": [str(log)]}, tmp_path / "out")
    assert log.read_text().split() == ["1", "2", "3"]
    assert grown["x"].tolist() == [3, 2, 1]
    assert grown["drawn"].tolist()[:0:-1] == first["drawn"].tolist()


def test_a_point_that_fails_is_listed_and_loses_no_other(tmp_path):
    with pytest.warns(UserWarning, match=r"1 of 3 points failed, the first {'x': 2}: ArithmeticError: two is too much"):
        frame = swept(sweep_points.fails_at_two, {"x": [1, 2, 3]}, tmp_path)
    assert frame["value"].tolist()[::2] == [10, 30] and math.isnan(frame["value"][1])
    assert frame["error"].tolist() == ["", "ArithmeticError: two is too much", ""]
    (failed,) = (tmp_path / "failed").glob("*.json")
    assert "in fails_at_two" in json.loads(failed.read_text())["traceback"]


def test_a_point_that_kills_its_process_is_listed_and_loses_no_other(tmp_path):
    with pytest.warns(UserWarning, match="1 of 3 points failed"):
        frame = swept(sweep_points.dies_at_two, {"x": [1, 2, 3]}, tmp_path, n_jobs=2)
    assert frame["value"].tolist()[::2] == [10, 30]
    assert frame["error"][1].startswith("killed: ")


def test_a_point_whose_process_was_killed_is_tried_again(tmp_path):
    grid = {"x": [1, 2, 3], "flag": [str(tmp_path / "flag")]}
    assert swept(sweep_points.dies_once_at_two, grid, tmp_path / "out", n_jobs=2)["value"].tolist() == [10, 20, 30]


def test_a_point_that_failed_is_tried_again_by_the_next_call(tmp_path, monkeypatch):
    """Even where that is stopped as soon as the point is kept, no failure of it is left."""
    flag, keep = tmp_path / "flag", PointFiles.keep

    def keep_and_stop(*arguments):
        keep(*arguments)
        raise KeyboardInterrupt

    def fails_first(x):
        if not flag.exists():
            raise OSError("not yet")
        return x

    with pytest.warns(UserWarning, match="2 of 2 points failed"):
        swept(fails_first, {"x": [1, 2]}, tmp_path / "out")
    flag.touch()
    with monkeypatch.context() as stopping, pytest.raises(KeyboardInterrupt):
        stopping.setattr(PointFiles, "keep", keep_and_stop)
        swept(fails_first, {"x": [1, 2]}, tmp_path / "out")
    assert swept(fails_first, {"x": [1, 2]}, tmp_path / "out")["value"].tolist() == [1, 2]
    assert not list((tmp_path / "out" / "failed").glob("*.json"))


@pytest.mark.parametrize(
    "damage",
    [
        lambda path, other: path.write_bytes(path.read_bytes()[:-20]),
        lambda path, other: path.write_text(path.read_text().replace("drawn", "drown")),
        lambda path, other: path.write_bytes(other.read_bytes()),
        lambda path, other: path.write_bytes(b"\xff\xfe"),
        lambda path, other: path.write_text("[]"),
    ],
    ids=["cut", "changed", "of another point", "no text", "no record"],
)
def test_a_corrupt_point_is_told_and_computed_again(tmp_path, damage):
    before = swept(sweep_points.drawn, GRID, tmp_path)
    damaged, other = files(tmp_path)[:2]
    untouched = other.read_bytes(), other.stat().st_mtime_ns
    damage(damaged, other)
    with pytest.warns(UserWarning, match=f"{damaged.name} is corrupt.*the point is computed again"):
        after = swept(sweep_points.drawn, GRID, tmp_path)
    pd.testing.assert_frame_equal(before.drop(columns="seconds"), after.drop(columns="seconds"))
    assert (other.read_bytes(), other.stat().st_mtime_ns) == untouched


def test_a_folder_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "taken").touch()
    with pytest.raises(UserError, match="cannot keep results in .*taken: "):
        swept(sweep_points.drawn, GRID, tmp_path / "taken")


def test_results_of_another_function_or_seed_are_refused(tmp_path):
    swept(sweep_points.drawn, GRID, tmp_path)
    with pytest.raises(UserError, match="results of another configuration .*seed: 0 there, 1 now"):
        swept(sweep_points.drawn, GRID, tmp_path, seed=1)
    with pytest.raises(UserError, match="function: 'drawn' there, 'rows' now"):
        swept(sweep_points.rows, {"x": [1]}, tmp_path)


@pytest.mark.parametrize("backend", ["joblib", "dask"])
def test_threads_within_a_point_are_limited(tmp_path, backend):
    if backend == "dask":
        pytest.importorskip("distributed")
    frame = swept(sweep_points.threads, {"x": [1, 2]}, tmp_path, n_jobs=2, n_threads=1, backend=backend)
    assert (frame[["bioneuro", "blas"]] == 1).all(axis=None)


def test_an_interrupted_sweep_goes_on(tmp_path):
    """Kill -9 of the process that sweeps, in the middle."""
    script = tmp_path / "script.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import bioneuro as bn, sweep_points\n"
        f"bn.research.sweep(sweep_points.slow, {{'x': range(20), 'log': [{str(tmp_path / 'log')!r}]}}, "
        f"out={str(tmp_path / 'out')!r}, n_jobs=1)\n"
    )
    process = subprocess.Popen([sys.executable, script])
    while process.poll() is None and len(files(tmp_path / "out")) < 3:
        time.sleep(0.02)
    process.kill()
    process.wait()
    n_finished = len(files(tmp_path / "out"))
    assert 3 <= n_finished < 20
    grid = {"x": range(20), "log": [str(tmp_path / "log")]}
    frame = swept(sweep_points.slow, grid, tmp_path / "out", n_jobs=2)
    assert len((tmp_path / "log").read_text().split()) <= 21  # the killed point alone was begun twice
    fresh = swept(sweep_points.logged, grid, tmp_path / "fresh")
    assert frame["drawn"].tolist() == fresh["drawn"].tolist()


# --- a Dask cluster ---


@pytest.fixture(scope="module")
def cluster():
    distributed = pytest.importorskip("distributed")
    import dask

    parts = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with dask.config.set({"distributed.scheduler.allowed-failures": 1}), distributed.LocalCluster(**parts) as cluster:
        yield cluster


def test_a_worker_that_is_killed_loses_nothing(tmp_path, cluster):
    log = tmp_path / "log"
    grid = {"x": range(12), "log": [str(log)]}
    killed = []

    def kill_one():
        while not log.exists() or len(log.read_text().split()) < 4:
            time.sleep(0.02)
        killed.append(int(log.read_text().split()[-1]))
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    frame = swept(sweep_points.slow, grid, tmp_path / "out", backend="dask", scheduler=cluster.scheduler_address)
    killer.join()
    assert killed and (frame["error"] == "").all()
    alone = swept(sweep_points.logged, grid, tmp_path / "alone")
    pd.testing.assert_frame_equal(frame.drop(columns="seconds"), alone.drop(columns="seconds"))


def test_a_point_that_kills_its_workers_is_listed_and_loses_no_other(tmp_path, cluster):
    options = {"backend": "dask", "scheduler": cluster.scheduler_address}
    with pytest.warns(UserWarning, match="1 of 3 points failed"):
        frame = swept(sweep_points.dies_at_two, {"x": [1, 2, 3]}, tmp_path, **options)
    assert frame["value"].tolist()[::2] == [10, 30]
    assert frame["error"][1].startswith("killed: ")


def test_a_client_may_be_given_and_stays_open(tmp_path, cluster):
    distributed = pytest.importorskip("distributed")
    with distributed.Client(cluster, set_as_default=False) as client:
        frame = swept(sweep_points.drawn, GRID, tmp_path / "out", backend="dask", scheduler=client)
        assert client.status == "running"
        assert set(client.run(n_held).values()) == {0}  # nothing is left on the workers
    alone = swept(sweep_points.drawn, GRID, tmp_path / "alone")
    pd.testing.assert_frame_equal(frame.drop(columns="seconds"), alone.drop(columns="seconds"))


def n_held():
    from bioneuro import _dask_plugin

    return len(_dask_plugin.held)


def test_a_scheduler_that_does_not_answer_is_named(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("bioneuro.dask_workers.CONNECT_SECONDS", 0.5)
    with pytest.raises(ConnectionRefusedError, match="No Dask scheduler answers.*tcp://127.0.0.1:9"):
        swept(sweep_points.drawn, GRID, tmp_path, backend="dask", scheduler="tcp://127.0.0.1:9")


def test_a_ledger_is_the_same_on_a_cluster(tmp_path, cluster):
    """What ``fewshot`` keeps its curve in."""
    units = [(x, str(tmp_path / "log")) for x in range(3)]

    def compute(x, log):
        return pd.DataFrame([sweep_points.rows(x)[1] | {"x": x}])

    alone, shared = (Ledger(tmp_path / name / "t.csv", {}, {}) for name in ("alone", "shared"))
    found = shared.complete(compute, units, scheduler=cluster.scheduler_address, progress=False)
    pd.testing.assert_frame_equal(alone.complete(compute, units, progress=False), found, check_exact=True)


# --- the command ---


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_study.py").write_text(
        "def power(base, exponent=2):\n"
        "    if base == 'x':\n"
        "        raise TypeError('x is no number')\n"
        "    return {'power': base**exponent}\n"
    )
    yield tmp_path
    sys.modules.pop("my_study", None)


def test_the_command_writes_the_table(here, capsys):
    assert main(["sweep", "my_study:power", "base=2,0.5", "exponent=0:3", "--n-jobs", "1"]) == 0
    out = here / "results" / "my_study-power"
    table = pd.read_csv(out / "sweep.csv")
    assert table["power"].tolist() == [1, 2, 4, 1, 0.5, 0.25]
    assert "Written: results/my_study-power/sweep.csv" in capsys.readouterr().out


def test_the_command_lists_what_failed(here, capsys):
    assert main(["sweep", "my_study:power", "base=3,x", "--n-jobs", "1", "--out", "o"]) == 1
    printed = capsys.readouterr()
    assert "9.0" in printed.out and "TypeError: x is no number" in printed.out
    assert "1 of 2 points failed" in printed.err


def test_the_command_runs_on_a_cluster_that_has_no_such_module(here, cluster, capsys):
    command = ["sweep", "my_study:power", "base=2,3", "--scheduler", cluster.scheduler_address, "--out", "o"]
    assert main(command) == 0, capsys.readouterr()
    assert pd.read_csv(here / "o" / "sweep.csv")["power"].tolist() == [4, 9]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["my_study", "base=1"], "must be named MODULE:FUNCTION, got my_study"),
        (["my_study:no", "base=1"], "has no function 'no'"),
        (["no_study:power", "base=1"], "there is no module 'no_study'"),
        (["my_study:power", "base"], "must be NAME=VALUES, got base"),
        (["my_study:power", "base=1", "base=2"], "given twice"),
        (["my_study:power", "base=1,1"], "twice: to repeat points"),
    ],
)
def test_the_command_refuses(here, arguments, message, capsys):
    assert main(["sweep", *arguments, "--n-jobs", "1"]) == 2
    assert message in capsys.readouterr().err


def exits(a):
    if a:
        sys.exit(3)
    return a


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_point_that_exits_is_listed_and_loses_no_other(tmp_path, n_jobs):
    with pytest.warns(UserWarning, match="1 of 2 points failed"):
        frame = swept(exits, {"a": [1, 0]}, tmp_path, n_jobs=n_jobs)
    assert frame.set_index("a")["error"].str.contains("SystemExit: 3").to_dict() == {1: True, 0: False}
