"""Every benchmark runs once, tiny: its calls still fit the library. No time is asserted."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bioneuro  # noqa: F401  before the path below: the installed library, not the sources beside the benchmarks

ROOT = Path(__file__).parents[1]
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks are not beside the tests", allow_module_level=True)
sys.path.append(str(ROOT))

from benchmarks import (  # noqa: E402
    asv_suite,
    counts,
    harness,
    linear,
    machine,
    memory,
    peers,
    plots,
    report,
    variants,
)


def run(*arguments, cwd, module="report"):
    # not from the source folder, which would hide the installed library behind the uncompiled sources
    code = f"import sys; sys.path.append({str(ROOT)!r}); from benchmarks.{module} import main; main(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300
    )


def test_report_times_every_family_and_draws_its_figures(tmp_path):
    figures = tmp_path / "figures"
    options = "--tiny", "--rounds", "1", "--threads", "1", "--noisy"
    done = run(*options, "--csv", str(tmp_path / "times.csv"), "--plots", str(figures), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    times = pd.read_csv(tmp_path / "times.csv")
    ours = set(times.operation[times.implementation == "bioneuro"])
    assert {*peers.OPERATIONS, "compete: softmax", "patches", "map, whole"} <= ours
    assert {"training: gradient", "training: plasticity", "forward by nnz", "input_grad by threads"} <= ours
    assert (times.ms > 0).all()
    assert "| forward | 32 x 48, 20%, batch 8 |" in done.stdout
    if memory.supported():
        assert "peak after plasticity_step" in done.stdout
    assert all(f"{dtype}, {name} |" in done.stdout for dtype in variants.DTYPES for name in variants.sets())
    names = {path.name for path in figures.iterdir()}
    costs = {f"benchmark_cost_{axis}.svg" for axis in ("nnz", "batch", "density", "threads")}
    assert names == {"benchmark_roofline.svg", "benchmark_crossover.svg"} | costs


def test_times_of_the_control_tell_whether_the_machine_was_quiet():
    assert harness.unrest([2.0] * 10) == 0
    assert harness.unrest([2.0] * 8 + [5.0] * 2) == pytest.approx(1.5)
    steady = pd.DataFrame({"control": [0.01, harness.RESTLESS]})
    assert report.quiet({"linear": steady}) == report.quiet({}) == ""
    assert "not quiet: one time in ten of the control was 90%" in report.quiet(
        {"linear": steady, "compete": pd.DataFrame({"control": [0.9]})}
    )


def test_report_of_a_restless_machine_fails_and_leaves_the_table_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "RESTLESS", -1.0)
    monkeypatch.setattr(machine, "roofs", lambda *arguments: machine.Roofs(1.0, {}))
    path = tmp_path / "table.md"
    path.write_text("as it was")
    with pytest.raises(SystemExit, match="the machine was not quiet"):
        report.main(["compete", "--tiny", "--rounds", "1", "--threads", "1", "--update", str(path)])
    assert path.read_text() == "as it was"


def test_counts_are_read_with_the_zeros_that_callgrind_leaves_out():
    text = "version: 1\nevents: Ir D1mr D1mw\ndesc: Trigger: --dump-after=bio_forward\ntotals: 12 3\n"
    assert counts.totals(text) == {"Ir": 12, "D1mr": 3, "D1mw": 0}


def test_counts_without_valgrind_say_so(monkeypatch):
    monkeypatch.setattr(counts.shutil, "which", lambda name: None)
    with pytest.raises(SystemExit, match="no counts: valgrind is not installed"):
        counts.main(["--tiny"])


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_counts_of_every_kernel():
    frame = counts.counted(counts.TINY)
    assert list(frame.index) == list(counts.KERNELS)
    assert (frame.instructions > 0.1).all() and (frame >= 0).all(axis=None)
    assert frame.instructions["forward"] < frame.instructions["backward"]


def test_fit_says_where_its_time_goes_and_what_rivals_take(tmp_path):
    done = run("--tiny", "--data", "digits", "--images", "300", "--epochs", "1", cwd=tmp_path, module="fit")
    assert done.returncode == 0, done.stderr
    seconds = dict(line.split(" | ")[:2] for line in done.stdout.split("of `fit`")[1].splitlines() if " | " in line)
    stages = ["| feature map", "| association", "| teaching", "| readout", "| between"]
    total = float(seconds["| all"])
    assert total > 0 and abs(sum(float(seconds[stage]) for stage in stages) - total) < 0.3
    assert "| scikit-learn MLPClassifier | " in done.stdout


def test_other_options_reach_the_cases(tmp_path):
    options = "--tiny", "--rounds", "1", "--threads", "1", "--noisy", "--dtype", "float64"
    options += "--csv", str(tmp_path / "times.csv")
    done = run("linear", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert set(pd.read_csv(tmp_path / "times.csv").dtype) == {"float64"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(["quantum"], "unknown family 'quantum'"), (["--threads", "0"], "--threads must be >= 1")],
)
def test_nonsense_is_one_clear_line(capsys, arguments, message):
    with pytest.raises(SystemExit) as refused:
        report.main(arguments)
    assert refused.value.code == 2
    assert message in capsys.readouterr().err


def test_busy_times_one_thread_and_several_beside_a_load(tmp_path):
    done = run("--tiny", "--rounds", "2", "--threads", "2", "--load", "0", "1", cwd=tmp_path, module="busy")
    assert done.returncode == 0, done.stderr
    idle, loaded = done.stdout.split("busy processes beside it: ")[1:]
    assert idle.startswith("0") and loaded.startswith("1")
    for section in idle, loaded:
        assert all(f"| {name}" in section for name in ("forward", "weight_grad", "hebbian step", "fit, digits"))


def test_load_ends_with_its_block():
    from benchmarks import busy

    with busy.busy(2) as running:
        assert all(process.poll() is None for process in running)
    assert all(process.poll() is not None for process in running)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("batch", [1, 8, 300])
@pytest.mark.parametrize("peer", peers.PEERS, ids=lambda peer: peer.name)
def test_peer_computes_what_we_compute(peer, batch, dtype):
    if reason := peer.missing():
        pytest.skip(reason)
    if dtype not in peer.dtypes:
        pytest.skip(f"{peer.name} has no {dtype}")
    size = 40, 56, 0.3, batch
    W, (X, dY) = linear.pathway(size, dtype), linear.batches(size, dtype)
    theirs = peer(peers.Problem(W.to_scipy().copy(), X, dY))
    wanted = {"forward": W.forward(X), "input_grad": W.input_grad(dY), "weight_grad": W.weight_grad(X, dY)}
    wanted["backward"] = wanted["input_grad"], wanted["weight_grad"]
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    for _ in range(2):  # results that add up would show
        for operation, call in theirs.calls().items():
            found, expected = theirs.ours(operation, call()), wanted[operation]
            if operation != "backward":
                found, expected = [found], [expected]
            for one, other in zip(found, expected, strict=True):
                np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


def test_missing_peer_is_left_out_and_named(monkeypatch):
    monkeypatch.setattr(peers.Numba, "module", "no_such_module")
    monkeypatch.setattr(peers.SparseProp, "module", "no_such_module")
    assert "numba: left out, no_such_module is not installed" in machine.describe()
    assert not {peers.Numba, peers.SparseProp} & set(peers.available())


def test_mkl_that_is_not_found_says_so(monkeypatch):
    from benchmarks import mkl

    monkeypatch.setattr(mkl, "path", lambda: "")
    mkl.library.cache_clear()
    assert "libmkl_rt is not found" in peers.Mkl.missing()
    mkl.library.cache_clear()


def test_crossing_is_where_the_ratio_rises_through_one():
    x = np.array([1.0, 10.0, 100.0])
    assert plots.crossing(x, np.array([0.1, 0.5, 2.0])) == pytest.approx(10**1.5)
    assert plots.crossing(x, np.array([0.1, 0.2, 0.3])) is None
    assert plots.crossing(x, np.array([2.0, 3.0, 4.0])) is None


def test_history_suite_times_what_exists_and_leaves_out_the_rest(monkeypatch):
    monkeypatch.setitem(asv_suite.SIZES, "tiny", linear.TINY[0])
    monkeypatch.setattr(peers, "set_threads", lambda n, used: None)  # it would outlive the test
    suite = asv_suite.Products()
    for operation in suite.params[1]:
        suite.setup("tiny", operation)
        suite.time_product("tiny", operation)
    with pytest.raises(NotImplementedError):
        suite.setup("tiny", "no such operation")
