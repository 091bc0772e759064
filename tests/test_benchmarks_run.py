"""Every benchmark runs once, tiny: its calls still fit the library. No time is asserted."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(not (ROOT / "benchmarks").is_dir(), reason="the benchmarks are not beside the tests")


def run(*arguments, cwd):
    # not from the source folder, which would hide the installed library behind the uncompiled sources
    code = f"import sys; sys.path.append({str(ROOT)!r}); from benchmarks.report import main; main(sys.argv[1:])"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, timeout=300
    )


def test_report_times_every_family(tmp_path):
    done = run("--tiny", "--rounds", "1", "--csv", str(tmp_path / "times.csv"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    times = pd.read_csv(tmp_path / "times.csv")
    ours = set(times.operation[times.implementation == "bioneuro"])
    assert {"forward", "input_grad", "weight_grad", "compete: softmax", "patches", "map, whole"} <= ours
    assert (times.ms > 0).all()
    assert "| forward | 32 x 48, 20%, batch 8 |" in done.stdout


def test_unknown_family_is_one_clear_line(tmp_path):
    done = run("quantum", cwd=tmp_path)
    assert done.returncode == 2
    assert "unknown family 'quantum'" in done.stderr
