"""docs/: the site builds without a warning, its code runs, its tables are of the data, its pictures can be drawn."""

import importlib
import inspect
import os
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from code_of_pages import code_of, output_of

import bioneuro as bn

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
if not (DOCS / "conf.py").exists():
    pytest.skip("the docs are not beside the tests", allow_module_level=True)
sys.path.append(str(ROOT))

MODULES = re.findall(r"^   (bioneuro[.\w]*)$", (DOCS / "api" / "index.md").read_text(encoding="utf-8"), re.MULTILINE)
#: Public modules that have no page: old names, and those whose names are all on the page of the package.
NO_PAGE = {"bioneuro.natural"}


#: Pages with code; that of own_rule.md is in several files (test_docs_own_rule.py).
PAGES = sorted(
    page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md") if page.name != "own_rule.md" and code_of(page)
)


@pytest.mark.parametrize("page", PAGES)
def test_code_runs(page, tmp_path):
    """From top to bottom."""
    output_of(code_of(DOCS / page), tmp_path)


def test_tutorial_and_recipes_have_code():
    assert {"tutorial.md", "coming_from.md", "kernels.md", "howto/own_data.md", "howto/sweep.md"} <= set(PAGES)


@pytest.mark.parametrize("page", [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("*.md"))], ids=lambda page: page.name)
def test_no_conflict_is_left(page):
    assert not re.search(r"^(<<<<<<<|=======|>>>>>>>)( |$)", page.read_text(encoding="utf-8"), re.MULTILINE)


#: Estimators whose methods stand in classes that have no page.
MODELS = ("BioClassifier", "NetworkClassifier")


# --- the site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """What Sphinx prints, and the folder of the pages. Built from a copy: it writes into its source."""
    for module in ("sphinx", "furo", "myst_parser", "numpydoc"):
        pytest.importorskip(module)
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(DOCS, folder / "docs", ignore=shutil.ignore_patterns("generated", "__pycache__"))
    env = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "BIONEURO_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", "html"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600)
    return done, folder / "html"


def test_site_builds_without_a_warning(site):
    done, _ = site
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def documented(inventory):
    """Python names in an objects.inv: four lines of header, then zlib."""
    header, _, body = inventory.read_bytes().partition(b"zlib.\n")
    assert header.startswith(b"# Sphinx inventory version 2")
    lines = zlib.decompress(body).decode().splitlines()
    return {name for name, role, *_ in (line.split() for line in lines) if role.startswith("py:")}


def test_every_public_name_is_in_the_reference(site):
    known = documented(site[1] / "objects.inv")
    for module in MODULES:
        package = importlib.import_module(module)
        names = [name for name in package.__all__ if not inspect.ismodule(getattr(package, name))]
        assert not [name for name in names if f"{module}.{name}" not in known], module


def test_methods_that_a_class_has_from_another_of_the_package_are_in_the_reference(site):
    known = documented(site[1] / "objects.inv")
    inherited = {"partial_fit", "predict", "weights", "outgoing", "input_gradient", "surrogates"}
    assert {f"bioneuro.{name}.{method}" for name in MODELS for method in inherited} <= known
    assert not [name for name in known if name.endswith((".set_output", ".__sklearn_tags__"))]  # scikit-learn's


def sections_missing(item):
    """Sections that the docstring of a function or a class ought to have and has not."""
    doc, signature = inspect.getdoc(item) or "", inspect.signature(item)
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    taken = "Parameters|Attributes" if inspect.isclass(item) else "Parameters"
    expected = [taken] if any(p.kind not in variable for p in signature.parameters.values()) else []
    if not inspect.isclass(item) and signature.return_annotation not in ("None", inspect.Signature.empty):
        expected.append("Returns|Yields")
    return [titles for titles in expected if not re.search(rf"^({titles})\n---", doc, re.MULTILINE)]


@pytest.mark.parametrize("module", [*MODULES, "bioneuro.research"])
def test_public_docstrings_say_what_is_taken_and_given(module):
    package = importlib.import_module(module)
    items = {name: getattr(package, name) for name in package.__all__}
    classes = {k: v for k, v in items.items() if inspect.isclass(v) and not issubclass(v, Exception)}
    functions = {k: v for k, v in items.items() if inspect.isroutine(v)}
    assert not {name: missing for name, item in (classes | functions).items() if (missing := sections_missing(item))}


def test_every_public_module_has_a_page():
    modules = {f"bioneuro.{name}" for name in bn.__all__ if inspect.ismodule(getattr(bn, name))}
    assert modules - NO_PAGE == set(MODULES) - {"bioneuro"}


# --- tables and pictures


def test_tables_are_those_of_the_data():
    pytest.importorskip("pandas")
    from docs.make import results_page

    for page in results_page.PAGES:
        text = page.read_text(encoding="utf-8")
        assert results_page.rendered(text) == text, f"{page.name} is not up to date: make results-page"


def test_no_page_has_a_table_that_nothing_makes():
    from docs.make import results_page

    marks = {name for page in DOCS.rglob("*.md") for name in re.findall(r"<!-- table (\w+): ", page.read_text("utf-8"))}
    assert marks <= set(results_page.TABLES)


@pytest.mark.parametrize(
    ("values", "n_seeds", "short", "cell"),
    [
        ([0.5], 1, "0.5", "0.5"),
        ([0.25, 0.75], 2, "0.2, 0.8", "0.25, 0.75"),  # of two seeds both: an interval would say nothing
        ([0.25, 0.75], 3, "0.2, 0.8", "0.25, 0.75, 2 of 3 seeds"),
        ([1.0, 2.0, 3.0], 3, "2.0 ± 2.5", "2 [-0.484, 4.48]"),
        ([1.0, 1.0, 1.0], 3, "1.0", "1"),
        ([-0.01], 1, "0.0", "-0.01"),
    ],
)
def test_cells_of_the_tables(values, n_seeds, short, cell):
    from docs.make import results_page

    assert results_page.plus_minus(np.array(values), 1) == short
    assert results_page.reached(np.array(values), n_seeds) == cell


def test_take_copies_whole_ledgers_only(tmp_path, monkeypatch):
    from docs.make import results_page

    data, source = tmp_path / "data", results_page.DATA / "digits" / "ONE"
    monkeypatch.setattr(results_page, "DATA", data)
    (tmp_path / "new" / "mnist" / "ONE").mkdir(parents=True)  # a run that has not finished a seed
    shutil.copytree(source, tmp_path / "new" / "digits" / "ONE")
    assert results_page.take(tmp_path / "new") == [data / "digits" / "ONE"]
    assert (data / "digits" / "ONE" / "results.csv").read_bytes() == (source / "results.csv").read_bytes()
    assert list(results_page.ledgers("ONE")) == ["digits"]


@pytest.fixture(scope="module")
def small_models():
    """In place of the default network and of a perceptron trained to the end."""
    pytest.importorskip("matplotlib")
    from docs.make import bell, concepts, gallery, pictures

    data = pictures.digits()
    X, y = data.X_train[:300], data.y_train[:300]
    network = bn.BioClassifier(n_cells=150, mixing=400, random_state=0).fit(X, y)
    perceptron = bn.baselines.BackpropMLP((40,), n_epochs=5, random_state=0).fit(X, y)
    with pytest.MonkeyPatch.context() as patch:
        for module in (bell, concepts, gallery):
            patch.setattr(module, "network", lambda: network)
            if hasattr(module, "perceptron"):
                patch.setattr(module, "perceptron", lambda: perceptron)
        yield


@pytest.mark.parametrize("name", ["pathway", "synapse", "cells"])
def test_concept_can_be_drawn_and_is_shown(name, small_models):
    from docs.make.concepts import PICTURES

    assert PICTURES[name]().axes
    assert f"images/{name}.svg" in (DOCS / "concepts.md").read_text(encoding="utf-8")


def test_picture_of_the_readme_can_be_drawn(small_models, tmp_path, monkeypatch):
    from docs.make import bell, pictures

    monkeypatch.setattr(pictures, "IMAGES", tmp_path)
    bell.main()
    assert (tmp_path / "bell.svg").stat().st_size
    assert "docs/images/bell.svg" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_gallery_shows_every_figure():
    pytest.importorskip("matplotlib")
    from docs.make.gallery import AS_PNG, GALLERY

    assert set(GALLERY) == set(bn.plot.__all__)
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    for name in GALLERY:
        assert f"images/gallery/{name}.{'png' if name in AS_PNG else 'svg'}" in page, name


@pytest.mark.parametrize("name", bn.plot.__all__)
def test_figure_of_the_gallery_can_be_drawn(name, small_models):
    from docs.make.gallery import GALLERY

    assert GALLERY[name]().figure.axes
