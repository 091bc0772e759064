"""C5: is the network better than backpropagation when images are few, and is that due to its learning rule?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ... import analysis, fewshot
from ...datasets import Dataset
from ...plot import MARKERS
from ..differences import ALPHA, in_words
from ..few_images.models import ORIGINS, few_image_models
from .claim import Claim, Track
from .rows import Found, curve_of, draw_mean, legend_beside, values_of
from .settings import SMALL, Settings, split_images
from .verdict import NOT_SHOWN, STRONG, Verdict, weak

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

OURS = "map + readout"
#: The rivals that the claim names, if installed, and the same architecture with columns that plasticity did not make.
RIVALS = ("MLP", "CNN")
CONTROLS = tuple(f"{origin} columns + readout" for origin in ORIGINS)
MEASURE = "accuracy"


@dataclass(frozen=True)
class FewShotSettings(Settings):
    """``shots``: images per class; ``n_draws``: training sets for each seed, which are averaged."""

    shots: tuple[int, ...] = (1, 5, 10)
    n_draws: int = 4


class FewShotLearning(Claim[FewShotSettings]):
    """Test accuracy after k images per class and nothing else, next to backpropagation and to other filters."""

    number = "C5"
    title = "few-shot learning"
    statement = (
        "From 1, 5 and 10 images a class and nothing else the network generalises better than a perceptron and a "
        "convolutional network trained by backpropagation, and its learned columns do better than random or k-means "
        "ones behind the same retina, pooling and readout."
    )
    x_name = "training images per class"
    # with few images an epoch is few updates: those of other claims' small settings would leave every rival untrained
    small = FewShotSettings(
        **SMALL | {"n_train": 400, "n_test": 400, "changed": {}, "mlp_epochs": 300}, n_draws=1, shots=(1, 5)
    )
    full = FewShotSettings()

    def run(self, data: Dataset, seed: int, settings: FewShotSettings, progress: Track) -> Iterator[Found]:
        train, _, test = split_images(data, settings, seed)
        models = self._models(data, settings)
        for name, model in progress(models.items(), "models"):
            curve = fewshot.low_data_curve(
                {name: model},
                *train,
                *test,
                shots=settings.shots,
                n_repeats=settings.n_draws,
                random_state=seed,
                progress=False,
            )
            for n_shot, part in curve.groupby("n_shot"):
                yield Found(name, MEASURE, float(part["accuracy"].mean()), float(n_shot))

    @staticmethod
    def _models(data: Dataset, settings: FewShotSettings) -> Mapping[str, Any]:
        named = (OURS, "bioneuro", *CONTROLS, "nearest neighbour", *RIVALS)
        models = {name: model for name, model in few_image_models(data.image_shape).items() if name in named}
        for name in RIVALS:
            if name in models and settings.mlp_epochs != "auto":
                models[name].set_params(n_epochs=settings.mlp_epochs)
        models["bioneuro"].set_params(**settings.changed)
        return models

    def verdict(self, frame: pd.DataFrame) -> Verdict:
        shots = sorted(frame["x"].dropna().unique())
        present = set(frame["condition"])
        rivals = [name for name in RIVALS if name in present]
        found = {
            (name, k): analysis.paired_difference(
                values_of(frame, OURS, MEASURE, k), values_of(frame, name, MEASURE, k)
            )
            for name in (*rivals, *CONTROLS)
            for k in shots
        }
        # one family: every rival and control at every number of images
        p = dict(zip(found, analysis.holm([d.p_value for d in found.values()]), strict=True))

        def better(name: str) -> bool:
            return all(found[name, k].low > 0 and p[name, k] <= ALPHA for k in shots)

        beats_rivals = all(map(better, rivals))
        beats_controls = all(map(better, CONTROLS))
        form = NOT_SHOWN
        if beats_rivals:
            equal = [name for name in CONTROLS if not better(name)]
            form = STRONG if beats_controls else weak(f"the architecture: {', '.join(equal)} does as well")
        note = "\n".join(
            [
                *(
                    f"Ours minus {name}, points: "
                    + "; ".join(f"k = {k:g} {in_words(found[name, k], p=p[name, k])}" for k in shots)
                    for name in (*rivals, *CONTROLS)
                ),
                *_accuracies(frame, shots),
                "Rule or architecture: the learned columns are "
                + ("better than all of the others." if beats_controls else "not better than all of the others."),
            ]
        )
        effect = np.mean(
            [values_of(frame, OURS, MEASURE, k) - values_of(frame, name, MEASURE, k) for name in rivals for k in shots],
            axis=0,
        )
        # a rival that was not run counts as not beaten
        passed = form == STRONG and len(rivals) == len(RIVALS)
        return Verdict.of(100 * effect, form, passed, f"points ahead of {' and '.join(rivals)}, mean over k", note)

    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        for name, marker in zip(dict.fromkeys(frame["condition"]), MARKERS, strict=False):
            style = "-" if name in (OURS, "bioneuro") else ":" if name in CONTROLS else "--"
            draw_mean(ax, curve_of(frame, name, MEASURE), marker=marker, linestyle=style, label=name)
        shots = sorted(frame["x"].dropna().unique())
        ax.set(xscale="log", xlabel=self.x_name, ylabel="test accuracy", ylim=(0, 1.02))
        ax.set_xticks(shots, labels=[f"{k:g}" for k in shots])
        ax.minorticks_off()
        legend_beside(ax)
        return ax


def _accuracies(frame: pd.DataFrame, shots: list[float]) -> list[str]:
    """Mean accuracy of what was measured, after a line for each rival that was not."""
    measured = list(dict.fromkeys(frame["condition"]))
    missing = [name for name in RIVALS if name not in measured]
    means = "; ".join(
        f"{name} " + " / ".join(f"{100 * values_of(frame, name, MEASURE, k).mean():.1f}" for k in shots)
        for name in measured
    )
    return [
        *(f"{name} was not measured: torch or the baseline is not installed." for name in missing),
        f"Accuracy at k = {' / '.join(f'{k:g}' for k in shots)}, %: {means}",
    ]
