"""The option for claims at full size; the order of tests; figures without a screen; data and tasks that tests share."""

import os
import sys

import numpy as np
import pytest
from attack_models import Contrast, D, Linear

os.environ.setdefault("MPLBACKEND", "Agg")


def pytest_addoption(parser):
    parser.addoption("--full-claims", action="store_true", help="claims with their full settings (on digits: minutes)")


#: Files with tests of many seconds.
LONG = {
    "test_benchmarks_run", "test_campaigns", "test_claims", "test_compare", "test_docs", "test_docs_own_rule",
    "test_notebooks", "test_omniglot", "test_packaging", "test_readme", "test_sweeps",
}  # fmt: skip


@pytest.hookimpl(trylast=True)  # of those that are left after -k and -m
def pytest_collection_modifyitems(config, items):
    """Each process begins with its share of the long tests: what it takes from the others at the end is short then."""
    n = getattr(config, "workerinput", {"workercount": 1})["workercount"]
    long, short = ([item for item in items if (item.path.stem in LONG) == wanted] for wanted in (True, False))
    shares = [some[k * len(some) // n : (k + 1) * len(some) // n] for k in range(n) for some in (long, short)]
    items[:] = [item for share in shares for item in share]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")


@pytest.fixture(scope="module")
def digits():
    from bioneuro.datasets import load

    return load("digits")


@pytest.fixture
def binary():
    """A two-class linear model and 200 samples it gets right, far from 0 and 1: eps <= 0.2 does not clip."""
    rng = np.random.default_rng(0)
    W = rng.normal(size=(2, D))
    model = Linear(W, b=-W @ np.full(D, 0.5), classes=[3, 7])
    X = rng.uniform(0.25, 0.75, (200, D))
    return model, X, model.predict(X)


@pytest.fixture
def contrast():
    """Half the pixels are black: there the response, so the gradient with respect to x, has slope zero."""
    rng = np.random.default_rng(2)
    model = Contrast(rng.normal(size=(2, D)))
    X = rng.uniform(0.2, 0.9, (100, D)) * (rng.uniform(size=(100, D)) < 0.5)
    return model, X, model.predict(X)
