"""What the files around the code promise."""

import re
import tomllib
from pathlib import Path

import pytest
from conftest import LONG

import bioneuro

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(not (ROOT / "Makefile").exists(), reason="these files are in the sources only")


def read(name):
    return (ROOT / name).read_text(encoding="utf-8")


def test_the_version_is_stated_once():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert bioneuro.__version__ == version
    assert re.search(r"^## \[(.*?)\]", read("CHANGELOG.md"), re.MULTILINE)[1] == version
    for name in ("setup.py", "CITATION.cff", "bioneuro/__init__.py"):
        assert version not in read(name)


def test_a_release_says_first_which_results_may_change():
    releases = re.split(r"^## \[", read("CHANGELOG.md"), flags=re.MULTILINE)[1:]
    assert releases
    for release in releases:
        assert re.search(r"^### (.*)", release, re.MULTILINE)[1] == "Results may change"


def test_long_tests_are_in_files_that_are_there():
    assert {name for name in LONG if not (ROOT / "tests" / f"{name}.py").exists()} == set()


def test_help_lists_every_target():
    makefile = read("Makefile")
    targets = re.search(r"^\.PHONY: (.*)", makefile, re.MULTILINE)[1].split()
    assert targets == re.findall(r"^([a-z-]+):.*## \w", makefile, re.MULTILINE)


def test_every_target_is_in_contributing():
    told = set(re.findall(r"`make ([a-z-]+)`", read("CONTRIBUTING.md")))
    assert set(re.findall(r"^([a-z-]+):.*## ", read("Makefile"), re.MULTILINE)) == told
