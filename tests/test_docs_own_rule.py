"""docs/own_rule.md: its code runs, is what the benchmark times, and does what the fused form does."""

import re
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from code_of_pages import code_of, output_of

import bioneuro as bn
from bioneuro.rules import LogCovariance

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "own_rule.md"
if not (PAGE.exists() and (ROOT / "benchmarks").is_dir()):
    pytest.skip("the docs and benchmarks are not beside the tests", allow_module_level=True)
sys.path.append(str(ROOT))

from benchmarks import own_rule  # noqa: E402

MODULE, *SCRIPT = code_of(PAGE)


def test_the_page_shows_the_rule_that_is_timed():
    shown = MODULE[MODULE.index("@dataclass") :]
    assert shown in Path(own_rule.__file__).read_text(encoding="utf-8")


def test_the_page_runs_from_outside_the_package(tmp_path):
    (tmp_path / "my_rules.py").write_text(MODULE, encoding="utf-8")
    printed = output_of(SCRIPT, tmp_path)
    accuracies = re.findall(r"own \w+: ([\d.]+)", printed)
    assert len(accuracies) == 2 and all(float(a) > 0.93 for a in accuracies), printed


@pytest.mark.parametrize("with_gain", [False, True])
def test_numpy_and_fused_rule_go_the_same_way(with_gain):
    rng = np.random.default_rng(0)
    own = bn.connectivity.random(20, 50, in_degree=20, sign="E", random_state=0, dtype=float)
    own.normalize_rows()
    fused = own.copy()
    gain = rng.gamma(1, 2, 20) if with_gain else None
    for _ in range(5):
        X, Y = rng.random((30, 50)), rng.random((30, 20)) * (rng.random(20) < 0.6)
        own_rule.OwnLogCovariance(slope=1.3).step(own, X, Y, gain)
        own.normalize_rows()
        LogCovariance(gain=1.3).step(fused, X, Y, gain)
    np.testing.assert_allclose(own.weights, fused.weights, rtol=1e-9)


def test_benchmark_runs(monkeypatch, capsys):
    small = partial(
        bn.BioClassifier, encoder__n_columns=8, mixing=100, schedule__teaching_epochs=1, schedule__readout_epochs=1
    )
    digits = bn.datasets.load("digits")
    monkeypatch.setattr(own_rule, "load", lambda n: ("digits", digits.X_train[:n], digits.y_train[:n]))
    monkeypatch.setattr(bn, "BioClassifier", small)
    ratio = own_rule.main(["--images", "100", "--cells", "20", "--rounds", "1", "--threads", "1"])
    assert ratio > 0 and "association" in capsys.readouterr().out
