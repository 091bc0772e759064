"""README.md: what it prints is what runs."""

import re
from pathlib import Path

import pytest
from code_of_pages import code_of, output_of

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CI = ROOT / ".ci" / "run"

pytestmark = pytest.mark.skipif(not (ROOT / "setup.py").exists(), reason="README.md is in the sources only")

INSTALL_AND_COMPARE = 'pip install ".[experiments]" && python -m bioneuro compare'
INSTALL_AND_TEST = 'pip install ".[test]" && pytest -n auto --dist worksteal'


def indented():
    return [line.strip() for line in README.read_text(encoding="utf-8").splitlines() if line.startswith("    ")]


def test_the_two_commands_are_there_once():
    for command in (INSTALL_AND_COMPARE, INSTALL_AND_TEST):
        assert indented().count(command) == 1, command


def test_ci_runs_the_test_command():
    if not CI.exists():  # the source distribution leaves it out
        pytest.skip("no .ci/run here")
    assert INSTALL_AND_TEST in CI.read_text().splitlines()


def test_the_command_of_the_comparison_exists():
    from bioneuro.research.commands import COMMANDS

    assert "compare" in COMMANDS and "config" in COMMANDS


def test_python_blocks_run_in_one_namespace(tmp_path):
    blocks = code_of(README)
    assert blocks
    accuracy = float(re.search(r"test accuracy ([\d.]+)", output_of(blocks, tmp_path))[1])
    assert accuracy > 0.95


def test_environment_switches_are_those_of_the_code():
    named = set(re.findall(r"^\| `(BIONEURO_\w+)`", README.read_text(encoding="utf-8"), re.MULTILINE))
    setup = (ROOT / "setup.py").read_text()
    built = {f"BIONEURO_{name}" for name in re.findall(r"switch\(.([A-Z_]+).\)", setup)}
    code = (path.read_text() for pattern in ("csrc/*.c", "bioneuro/**/*.py") for path in ROOT.glob(pattern))
    read = {name for text in code for name in re.findall(r'(?:getenv\(|environ\.get\()"(BIONEURO_\w+)"', text)}
    assert named == built | read


def test_local_links_lead_somewhere():
    text = README.read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    assert linked
    for path in linked + re.findall(r"`((?:notebooks|docs|csrc|bioneuro|tests)/[\w./]+)`", text):
        assert (ROOT / path).exists(), path


def test_is_short():
    """What a visitor reads; everything else is in docs."""
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150
