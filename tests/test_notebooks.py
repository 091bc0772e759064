"""Every notebook runs from top to bottom, without an error, in a folder of its own."""

from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LARGEST = 400_000

#: What is counted less often here than in what is stored, so that all of them together take a minute.
SMALLER = {
    "01_quickstart": {"n_repeats=4": "n_repeats=1", "n_epochs=300": "n_epochs=50", "n_queries=200": "n_queries=50"},
    "02_weights_and_dale": {"range(3000)": "range(300)"},
    "03_representations": {"fit_gabors(F)": "fit_gabors(F[:2])"},
    "05_few_shot": {"n_repeats=4": "n_repeats=1", "n_epochs=300": "n_epochs=50", "n_episodes=100": "n_episodes=20"},
    "06_continual": {"for seed in range(3)": "for seed in range(1)"},
    "07_rivals": {"n_seeds=3": "n_seeds=2", '"n_epochs": 60': '"n_epochs": 10', "n_train=200": "n_train=100"},
    "08_sweeps": {
        "range(3)": "range(2)",
        "range(4)": "range(3)",
        "[0.002, 0.02, 0.2]": "[0.002, 0.2]",
        "[40, 80, 160, 320]": "[40, 80]",
    },
}

pytestmark = pytest.mark.skipif(not NOTEBOOKS, reason="no notebooks here: this is not a source checkout")


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def path(request):
    return request.param


def read(path):
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def test_runs(path, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("BIONEURO_NUM_THREADS", "1")  # a busy machine stalls threads that wait for one another
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = read(path)
    for long, short in SMALLER.get(path.stem, {}).items():
        cells = [cell for cell in notebook.cells if cell.cell_type == "code" and long in cell.source]
        assert cells, f"no cell has {long}"
        for cell in cells:
            cell.source = cell.source.replace(long, short)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources=where
    ).execute()  # raises on an error


def test_is_stored_with_its_output(path):
    notebook = read(path)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1)), "run it from top to bottom"
    outputs = [output for cell in cells for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"]


def test_is_small(path):
    assert path.stat().st_size < LARGEST
