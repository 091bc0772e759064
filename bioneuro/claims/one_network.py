"""All claims at once: one network with its defaults, unchanged, measured against the goal of each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .. import analysis
from ..classifier import BioClassifier
from ..datasets import Dataset
from .base import (
    NOT_SHOWN,
    SMALL,
    TOLERATED_LOSS,
    Claim,
    Found,
    Progress,
    Settings,
    Verdict,
    split,
    values_of,
    weak,
)
from .lognormal import LARGEST_KS, LARGEST_SKEWNESS, SIGMAS, describe
from .networks import score
from .resources import IN_USE, in_use
from .sparsity import LARGEST_DENSITY

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NETWORK = "default"
#: Cells whose weights are fitted.
N_DESCRIBED = 100
#: Goal of C3: Dale index of a cell over all of its outgoing synapses.
DALE = 0.95


class Goal(NamedTuple):
    """What a claim asks of a ``measure``: its mean over the seeds in [low, high]."""

    claim: str
    measure: str
    low: float
    high: float
    premise: str = ""


GOALS = (
    Goal("C1", "density", 0, LARGEST_DENSITY),
    Goal("C1", "points lost to sparsity", -100, 100 * TOLERATED_LOSS),
    Goal("C2", "log-likelihood ratio", 0, np.inf, "noise off"),
    Goal("C2", "fitted sigma", *SIGMAS),
    Goal("C2", "skewness of log w", -LARGEST_SKEWNESS, LARGEST_SKEWNESS),
    Goal("C2", "KS distance", 0, LARGEST_KS),
    Goal("C3", "smallest Dale index", DALE, 1, "by construction: it starts with separate E and I cells"),
    Goal("C9", "cells in use", IN_USE, 1),
)


def smallest_dale_index(network: BioClassifier) -> float:
    """Of all cells of all populations, each over all of the synapses that it makes."""
    return float(np.nanmin(np.concatenate([*analysis.dale_indices(network.outgoing()).values()])))


class OneNetwork(Claim[Settings]):
    """A table of the claims' measures for ``BioClassifier()``; the claims themselves add their controls."""

    number = "ONE"
    title = "all at once"
    statement = (
        "One network with the default parameters has all of the properties together (robustness, few-shot and "
        "continual learning are not among them yet). The claims' own experiments say in which form."
    )
    small = Settings(**SMALL)
    full = Settings()

    def run(self, data: Dataset, seed: int, settings: Settings, progress: Progress) -> Iterator[Found]:
        train, _, test = split(data, settings, seed)
        network = BioClassifier(**settings.network(seed)).fit(*train)
        yield Found(NETWORK, "accuracy delta", network.score(*test))
        yield Found(NETWORK, "accuracy votes", score(network, "votes", test))
        uncut = BioClassifier(**settings.network(seed, encoder=network.encoder_, birth=0.0, death=0.0)).fit(*train)
        lost = uncut.score(*test) - network.score(*test)
        yield Found(NETWORK, "points lost to sparsity", 100 * lost)
        association = network.network_.association
        yield Found(NETWORK, "density", association.synapses.density)
        yield from describe(NETWORK, association.synapses.to_scipy(), seed, N_DESCRIBED)
        yield Found(NETWORK, "smallest Dale index", smallest_dale_index(network))
        yield Found(NETWORK, "cells in use", in_use(network, train.X))

    def verdict(self, frame: pd.DataFrame) -> Verdict:
        low, high = (np.array([getattr(goal, end) for goal in GOALS])[:, None] for end in ("low", "high"))
        found = np.array([values_of(frame, NETWORK, goal.measure) for goal in GOALS])  # (goals, seeds)
        per_seed = ((low <= found) & (found <= high)).sum(axis=0)
        intervals = [analysis.mean_interval(values) for values in found]
        met = [goal.low <= interval.mean <= goal.high for goal, interval in zip(GOALS, intervals, strict=True)]
        accuracy = ", ".join(
            f"{readout} {100 * values_of(frame, NETWORK, f'accuracy {readout}').mean():.1f} %"
            for readout in ("delta", "votes")
        )
        lines = [f"Accuracy: {accuracy}."]
        for goal, interval, reached in zip(GOALS, intervals, met, strict=True):
            premise = f" ({goal.premise})" if goal.premise else ""
            lines.append(
                f"{goal.claim} {goal.measure}: {interval.mean:.3g} [{interval.low:.3g}, {interval.high:.3g}], "
                f"{_wanted(goal)}: {'met' if reached else 'MISSED'}{premise}"
            )
        # Dale's law is among the goals, and is built in
        form = weak("separate excitatory and inhibitory cells, among others") if all(met) else NOT_SHOWN
        unit = f"of {len(GOALS)} goals met, a seed"
        return Verdict.of(per_seed.astype(float), form, all(met), unit, "\n".join(lines))

    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        """Each measure from the nearer end of its goal (0) in widths of its goal; within the band it is met."""
        labels = []
        for place, goal in enumerate(GOALS):
            values = values_of(frame, NETWORK, goal.measure)
            width = goal.high - goal.low if np.isfinite(goal.high) else 1.0
            ax.plot((values - goal.low) / width, np.full(len(values), place), "o", color="#0072B2", alpha=0.6)
            labels.append(f"{goal.claim} {goal.measure}\n{_wanted(goal)}")
        ax.axvspan(0, 1, color="#009E73", alpha=0.12, lw=0)
        ax.set_xscale("symlog", linthresh=2)
        ax.set_yticks(range(len(labels)), labels=labels, fontsize=7)
        ax.invert_yaxis()
        ax.set_xlabel("place of the measure in the range of its goal (0 to 1: met)")
        return ax


def _wanted(goal: Goal) -> str:
    if not np.isfinite(goal.high):
        return f"goal > {goal.low:g}"
    if goal.low <= 0 and goal.low != -goal.high:
        return f"goal <= {goal.high:g}"
    return f"goal >= {goal.low:g}" if goal.high == 1 else f"goal {goal.low:g} to {goal.high:g}"
