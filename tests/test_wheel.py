"""What an installed wheel must do; cibuildwheel runs this on each that it makes. Nothing but the library is needed."""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest

import bioneuro as bn


def test_the_extension_is_of_this_version():
    assert bn.__version__ == version("bioneuro")


def test_it_takes_less_than_5_mb():
    """But for a build with BIONEURO_DEBUG, whose extension alone takes more."""
    files = [path for path in Path(bn.__file__).parent.rglob("*") if path.suffix in (".py", ".pyi", ".so")]
    assert sum(path.stat().st_size for path in files) < 5e6


@pytest.mark.parametrize("n_threads", [1, 3])
def test_it_learns_and_a_file_gives_the_same_model(tmp_path, n_threads):
    data = bn.datasets.load("digits")
    X, y = data.X_train[:400], data.y_train[:400]
    model = bn.BioClassifier(n_cells=60, mixing=100, encoder__n_columns=8, random_state=0, n_threads=n_threads).fit(
        X, y
    )
    assert model.score(data.X_test[:200], data.y_test[:200]) > 0.6
    bn.save(model, tmp_path / "model.npz")
    again = bn.load(tmp_path / "model.npz")
    np.testing.assert_array_equal(again.decision_function(data.X_test[:50]), model.decision_function(data.X_test[:50]))
