"""C9: do frequent and difficult classes get more cells, and do rare ones stay learnable?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.spatial.distance import cdist

from ... import analysis
from ...baselines import BackpropMLP
from ...classifier import BioClassifier
from ...datasets import Dataset
from ..differences import ALPHA, in_words
from .claim import Claim, Track
from .controls import class_balanced, score
from .rows import Found, curve_of, draw_mean, legend_beside, values_of
from .settings import SMALL, Images, Settings, split_images
from .verdict import NOT_SHOWN, STRONG, Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Number of the rarest classes whose accuracy is measured.
N_RARE = 3
#: Goal: share of cells that win at least one training image.
IN_USE = 0.98
RIVALS = ("MLP", "MLP reweighted")


def long_tailed(images: Images, ratio: float, seed: int) -> tuple[Images, NDArray]:
    """A long-tailed subset of images, ``n_c = n_max ratio^(-c / (C - 1))`` (Cui et al. 2019, arXiv:1901.05555).

    Parameters
    ----------
    images : Images
    ratio : float >= 1
        The commonest class over the rarest; which is which is drawn by the seed.
    seed : int

    Returns
    -------
    Images, and the classes from the commonest to the rarest (n_classes,)
    """
    rng = np.random.default_rng(seed)
    members = {c: rng.permutation(np.flatnonzero(images.y == c)) for c in np.unique(images.y)}
    order = rng.permutation(list(members))
    largest = min(map(len, members.values()))
    sizes = np.maximum(1, np.round(largest * ratio ** -np.linspace(0, 1, len(order)))).astype(int)
    rows = np.concatenate([members[c][:n] for c, n in zip(order, sizes, strict=True)])
    rows = rng.permutation(rows)
    return Images(images.X[rows], images.y[rows]), order


def difficulty(train: Images, test: Images) -> NDArray[np.float64]:
    """Error of the nearest class mean of the pixels on each class, (n_classes,): a judge that is no network."""
    classes = np.unique(train.y)
    means = np.stack([train.X[train.y == c].mean(axis=0) for c in classes])
    wrong = classes[cdist(test.X, means).argmin(axis=1)] != test.y
    return np.array([wrong[test.y == c].mean() for c in classes])


def allocated(network: BioClassifier) -> NDArray[np.int64]:
    """Cells that vote most for each class, (n_classes,)."""
    votes = network.network_.association.votes
    return np.bincount(votes.argmax(axis=1), minlength=votes.shape[1])


def in_use(network: BioClassifier, X: ArrayLike) -> float:
    """Share of the association cells that win at least one of the images, with the homeostatic threshold applied."""
    association = network.network_.association
    drive = network.network_.on_features.drive(network.transform(np.asarray(X)))
    drive = association.sharpening * association.gain * drive - association.threshold
    return np.unique(drive.argmax(axis=1)).size / association.n_cells


@dataclass(frozen=True)
class ResourceSettings(Settings):
    """``ratios`` of the commonest to the rarest class; ``cells_per_image`` below 1, so that classes compete."""

    ratios: tuple[float, ...] = (1.0, 10.0, 100.0)
    cells_per_image: float = 0.25


class ResourceAllocation(Claim[ResourceSettings]):
    """Cells of a class against its frequency and difficulty; accuracy on rare classes beside backpropagation."""

    number = "C9"
    title = "resource allocation"
    statement = (
        "Cells go to classes that are frequent and, at equal frequency, to those that are difficult; at least 98 % of "
        "the cells are in use; on the rarest classes of an imbalanced set the network is better than backpropagation."
    )
    x_name = "commonest over rarest class"
    small = ResourceSettings(**SMALL | {"n_train": 400})
    full = ResourceSettings()

    def run(self, data: Dataset, seed: int, settings: ResourceSettings, progress: Track) -> Iterator[Found]:
        train, _, test = split_images(data, settings, seed)
        for ratio in progress(settings.ratios, "imbalance"):
            images, order = long_tailed(train, ratio, seed)
            n_cells = max(10, min(settings.n_cells, round(settings.cells_per_image * len(images.y))))
            network = BioClassifier(**settings.network(seed) | {"n_cells": n_cells}).fit(*images)
            cells = allocated(network)
            counts = np.unique(images.y, return_counts=True)[1]
            yield Found("bioneuro", "cells in use", in_use(network, images.X), ratio)
            if ratio > 1:
                slope = stats.linregress(np.log(counts), np.log(cells + 0.5)).slope
                yield Found("bioneuro", "slope of log cells on log frequency", float(slope), ratio)
            else:
                hard = difficulty(images, test)
                correlation = stats.spearmanr(hard, cells).statistic if np.ptp(hard) and np.ptp(cells) else 0.0
                yield Found("bioneuro", "rank correlation of cells with difficulty", float(correlation), ratio)
            rare = np.isin(test.y, order[-N_RARE:])
            parts = {"all": test, "rare": Images(test.X[rare], test.y[rare])}
            mlp = {
                name: BackpropMLP(random_state=seed, n_epochs=settings.mlp_epochs).fit(*shown)
                for name, shown in zip(RIVALS, (images, class_balanced(images, seed)), strict=True)
            }
            for part, shown in parts.items():
                measure = f"accuracy, {part} classes"
                for readout in ("delta", "votes"):
                    yield Found(f"bioneuro {readout}", measure, score(network, readout, shown), ratio)
                for name, rival in mlp.items():
                    yield Found(name, measure, rival.score(*shown), ratio)

    def verdict(self, frame: pd.DataFrame) -> Verdict:
        ratios = sorted(frame["x"].dropna().unique())
        uneven = [ratio for ratio in ratios if ratio > 1]
        slope = np.mean(
            [values_of(frame, "bioneuro", "slope of log cells on log frequency", ratio) for ratio in uneven], axis=0
        )
        hard = values_of(frame, "bioneuro", "rank correlation of cells with difficulty")
        used = values_of(frame, "bioneuro", "cells in use")
        frequent, difficult = analysis.mean_interval(slope), analysis.mean_interval(hard)
        comparisons = [(ratio, rival) for ratio in uneven for rival in RIVALS]
        found = [
            analysis.paired_difference(
                values_of(frame, "bioneuro delta", "accuracy, rare classes", ratio),
                values_of(frame, rival, "accuracy, rare classes", ratio),
            )
            for ratio, rival in comparisons
        ]
        p = analysis.holm([difference.p_value for difference in found])
        better = [difference.mean > 0 and level <= ALPHA for difference, level in zip(found, p, strict=True)]
        form = STRONG if frequent.low > 0 and difficult.low > 0 else NOT_SHOWN
        passed = form == STRONG and all(better) and used.min() >= IN_USE
        lines = [
            f"Rare classes at 1:{ratio:g}, ours (delta) minus {rival}: {in_words(difference, unit=' points', p=level)}"
            for (ratio, rival), difference, level in zip(comparisons, found, p, strict=True)
        ]
        note = "\n".join(
            [
                f"Rank correlation of cells with difficulty, balanced: {in_words(difficult, '+.2f', 1)}; "
                f"least share of cells in use, any seed and imbalance: {used.min():.1%} (goal "
                f"{IN_USE:.0%}).",
                *lines,
                *(self._accuracies(frame, ratio) for ratio in ratios),
            ]
        )
        return Verdict.of(slope, form, passed, "slope of log cells on log frequency (1: in proportion)", note)

    @staticmethod
    def _accuracies(frame: pd.DataFrame, ratio: float) -> str:
        names = ("bioneuro delta", "bioneuro votes", *RIVALS)

        def mean(name: str, part: str) -> float:
            return 100 * values_of(frame, name, f"accuracy, {part} classes", ratio).mean()

        each = "; ".join(f"{name} {mean(name, 'all'):.1f} / {mean(name, 'rare'):.1f}" for name in names)
        return f"Accuracy on all / on the rarest {N_RARE} classes at 1:{ratio:g}, %: {each}"

    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        for name, marker in zip(("bioneuro delta", "bioneuro votes", *RIVALS), "osD^", strict=True):
            draw_mean(ax, curve_of(frame, name, "accuracy, rare classes"), marker=marker, label=name)
        draw_mean(ax, curve_of(frame, "bioneuro", "cells in use"), color="0.5", linestyle=":", label="cells in use")
        ax.set(xscale="log", xlabel=self.x_name, ylabel=f"accuracy on the rarest {N_RARE} classes", ylim=(0, 1.02))
        legend_beside(ax)
        return ax
