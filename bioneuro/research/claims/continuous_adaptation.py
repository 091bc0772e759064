"""C8: does the network go on learning without forgetting, and is it the learning or the features?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ... import analysis, continual
from ...datasets import Dataset
from ...plot import COLOURS, MARKERS
from ..differences import in_words
from ..task_streams import CEILINGS, INPUT, LEARNERS, OURS, OURS_EXPANDED, StreamPlan, measure
from .claim import Claim, Track
from .rows import Found, curve_of, draw_mean, legend_beside, values_of
from .settings import SMALL, Settings
from .verdict import NOT_SHOWN, STRONG, Verdict, weak

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Goals: largest loss (as a share) from the best accuracy on a task, and against training on everything at once.
FORGETTING, BELOW_CEILING = 0.02, 0.015
#: Rivals that keep no sample and are not told where tasks end: all of them, and those on the same features.
RIVALS = [name for name, model in LEARNERS.items() if model.rival]
ON_FEATURES = [name for name in RIVALS if LEARNERS[name].sees != INPUT]


@dataclass(frozen=True)
class ContinualSettings(Settings):
    """``n_cells``: the budget of cells, and of samples for the control that stores samples."""

    n_cells: int = 2000


class ContinuousAdaptation(Claim[ContinualSettings]):
    """Classes two by two, one pass, no replay, no task label; rivals on the same features at the same memory."""

    number = "C8"
    title = "continuous adaptation"
    statement = (
        "Shown classes two by two, once, without replay or task labels, the network is better than backpropagation and "
        "than class means, streaming LDA and a linear readout of the same features; it forgets less than 2 points and "
        "ends within 1.5 points of the same network trained on everything at once."
    )
    x_name = "parts shown"
    small = ContinualSettings(**SMALL | {"n_train": 1000, "n_cells": 200})
    full = ContinualSettings(n_train=50_000)

    def run(self, data: Dataset, seed: int, settings: ContinualSettings, progress: Track) -> Iterator[Found]:
        plan = StreamPlan("class", settings.n_train, settings.n_cells)
        frame = measure(plan, data, seed)
        seen = frame[frame["task"] <= frame["part"]]
        for (name, part), accuracy in seen.groupby(["model", "part"], sort=False)["accuracy"].mean().items():
            if name in LEARNERS:
                yield Found(name, "accuracy so far", accuracy, part + 1)
        for row in continual.summary(frame).itertuples():
            yield Found(row.model, "average accuracy", row.average_accuracy)
            yield Found(row.model, "numbers kept", row.memory)
            if row.model in LEARNERS:
                yield Found(row.model, "forgetting", row.forgetting)

    def verdict(self, frame: pd.DataFrame) -> Verdict:
        values = {name: values_of(frame, name, "average accuracy") for name in frame["condition"].unique()}
        best = max(RIVALS, key=lambda name: values[name].mean())
        effect = values[OURS] - values[best]
        against = {name: analysis.paired_difference(values[OURS], values[name]) for name in RIVALS}
        lost = values_of(frame, OURS, "forgetting")
        ceiling = np.max([values[name] for name in CEILINGS.values()], axis=0)
        below = ceiling - values[OURS]
        ahead = {name: difference.low > 0 for name, difference in against.items()}
        form = NOT_SHOWN
        if ahead["MLP"]:  # backpropagation as it is usually done forgets
            form = STRONG if all(ahead[name] for name in ON_FEATURES) else weak("the features of the map")
        passed = form == STRONG and lost.mean() < FORGETTING and below.mean() < BELOW_CEILING
        lines = [f"Ours minus {name}: {in_words(difference, unit=' points')}" for name, difference in against.items()]
        helped = [name for name in LEARNERS if name not in (*RIVALS, OURS, OURS_EXPANDED)]
        lines += [
            f"Accuracy {100 * values[OURS].mean():.1f} %, forgetting {100 * lost.mean():.1f} points (goal below "
            f"{100 * FORGETTING:g}), {100 * below.mean():+.1f} points below everything at once (goal below "
            f"{100 * BELOW_CEILING:g})",
            "With help that ours does not get: "
            + "; ".join(f"{name} {100 * values[name].mean():.1f} %" for name in helped),
            f"Numbers kept: ours {values_of(frame, OURS, 'numbers kept').mean():,.0f}, streaming LDA "
            f"{values_of(frame, 'streaming LDA', 'numbers kept').mean():,.0f}",
        ]
        unit = (
            f"average accuracy over the tasks at the end (as a share), ours minus the best rival without replay, {best}"
        )
        return Verdict.of(effect, form, passed, unit, "\n".join(lines))

    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        for i, name in enumerate(LEARNERS):
            style = {"lw": 2.5 if name == OURS else 1.2, "linestyle": "-" if i < len(COLOURS) else "--"}
            marker = MARKERS[(i + i // len(COLOURS)) % len(MARKERS)]
            draw_mean(ax, curve_of(frame, name, "accuracy so far"), label=name, marker=marker, markersize=4, **style)
        ax.set(xlabel=self.x_name, ylabel="accuracy on the tasks so far", ylim=(0, 1.02))
        ax.xaxis.get_major_locator().set_params(integer=True)
        legend_beside(ax)
        return ax
