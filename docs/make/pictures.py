"""Where the pictures of the documentation go, how they are saved, and the data and network that they show."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

import bioneuro as bn
from bioneuro.datasets import Dataset

IMAGES = Path(__file__).parents[1] / "images"

mpl.use("Agg")
# the same picture is the same file: no random ids, no date
mpl.rcParams |= {"svg.hashsalt": "bioneuro", "font.size": 9, "axes.titlesize": 10, "figure.dpi": 100}


def save(figure: Figure, name: str) -> Path:
    """Write docs/images/NAME (.svg or .png) and say so."""
    IMAGES.mkdir(exist_ok=True)
    path = IMAGES / name
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=130)
    print(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    return path


@cache
def digits() -> Dataset:
    return bn.datasets.load("digits")


@cache
def network() -> bn.BioClassifier:
    """The default network on digits, seed 0."""
    return bn.BioClassifier(random_state=0).fit(digits().X_train, digits().y_train)


@cache
def perceptron() -> bn.baselines.BackpropMLP:
    """A perceptron trained by backpropagation beside it."""
    return bn.baselines.BackpropMLP(random_state=0).fit(digits().X_train, digits().y_train)
