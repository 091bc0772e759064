"""Figures look as they did when somebody looked at them: compared with the pictures in tests/data/figures.

Text is left out, so fonts do not matter. After a change that is meant, `python tests/test_plot_images.py` draws them
anew; look at each before it is committed.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bioneuro import plot

mpl = pytest.importorskip("matplotlib")
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.testing.compare import compare_images  # noqa: E402
from matplotlib.text import Text  # noqa: E402

FOLDER = Path(__file__).parent / "data" / "figures"
#: Root of the mean square difference of pixels, of 255: an edge drawn otherwise is about 1, another line 5 and more.
TOLERANCE = 2.5

QUANTILES = (np.arange(400) + 0.5) / 400  # no random numbers: the same for every NumPy
SIZES = stats.lognorm(1, scale=0.1).ppf(QUANTILES)
STAGES = {1: "association", 3: "association", 6: "teaching", 9: "readout"}


class Made:
    """A model with E and I cells."""

    def outgoing(self):
        return {
            "inputs": {"hidden": np.eye(4), "hidden_e_to_i": np.ones((2, 4))},
            "hidden": {"output": np.ones((3, 4))},
            "hidden_i": {"hidden_inhibitory": -np.ones((4, 2))},
        }


def network_diagram(ax):
    plot.network_diagram(Made(), ax)


def weight_comparison(ax):
    plot.weight_comparison({"lognormal": SIZES, "exponential": stats.expon.ppf(QUANTILES)}, ax, bins=20)


def weights_over_time(ax):
    parts = [
        pd.DataFrame({"epoch": epoch, "stage": stage, "density": 0.1 * epoch, "weight": SIZES ** (1 - 0.05 * epoch)})
        for epoch, stage in STAGES.items()
    ]
    plot.weights_over_time(pd.concat(parts), ax, bins=30)


def robustness_curve(ax):
    rows = [
        (model, epsilon, 0.9 - slope * epsilon + 0.05 * seed, seed)
        for model, slope in (("A", 2), ("B", 4)) for epsilon in (0, 0.1, 0.2) for seed in range(3)
    ]  # fmt: skip
    plot.robustness_curve(pd.DataFrame(rows, columns=["model", "epsilon", "robust_accuracy", "seed"]), ax)


def adversarial_examples(ax):
    clean = np.linspace(0, 1, 48).reshape(3, 16)
    attacked = {"A": np.clip(clean + 0.2, 0, 1), "B": clean - 0.1 * (clean > 0.5)}
    plot.adversarial_examples(clean, attacked, (4, 4), ax, labels=[0, 1, 2])


FIGURES = {
    draw.__name__: draw
    for draw in (network_diagram, weight_comparison, weights_over_time, robustness_curve, adversarial_examples)
}


def picture(name: str, path: Path) -> None:
    """Draw it without text, in matplotlib's own style."""
    with mpl.style.context("default"):
        figure, ax = plt.subplots(figsize=(4.2, 3.2))
        FIGURES[name](ax)
        for text in figure.findobj(Text):
            text.set_visible(False)
        if ax.get_legend() is not None:
            ax.get_legend().remove()
        figure.savefig(path, dpi=60, metadata={"Software": None})
        plt.close(figure)


@pytest.mark.parametrize("name", FIGURES)
def test_figure_looks_as_it_did(name, tmp_path):
    picture(name, tmp_path / "now.png")
    assert compare_images(str(FOLDER / f"{name}.png"), str(tmp_path / "now.png"), TOLERANCE) is None


def test_another_colour_of_one_line_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr("bioneuro.plot._style.COLOURS", ("#000000", *plot.COLOURS[1:]))
    picture("robustness_curve", tmp_path / "now.png")
    assert compare_images(str(FOLDER / "robustness_curve.png"), str(tmp_path / "now.png"), TOLERANCE)


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in FIGURES:
        picture(name, FOLDER / f"{name}.png")
