"""WHY: which principle of the network buys its robustness? Each is switched off in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ... import analysis
from ...baselines import BackpropMLP
from ...classifier import BioClassifier
from ...datasets import Dataset
from ...layers import Retina
from ..differences import ALPHA, in_words
from ..our_network import contrast_of
from .adversarial_robustness import (
    ROBUST_ACCURACY,
    SMALL_ATTACK,
    RobustnessSettings,
    besieged,
    budgets,
    middle,
    warnings,
)
from .claim import Claim, Track
from .controls import STORED
from .lesions import PixelRates, by_rank, lognormal_quantile, normal_quantile, shuffled, with_law, without_competition
from .rows import Found, legend_beside, values_of
from .settings import DENSE, Images, split_images
from .verdict import NOT_SHOWN, STRONG, Verdict, weak

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

FULL = "full network"
#: Gain of the softer competition of the association, relative to the default.
SOFTER = 0.25


class Ablation(NamedTuple):
    """A principle, and how a network is made without it.

    ``changed``: parameters of a network that then learns again, given the full one. ``made``: the network itself, of
    the full one and its training images. ``tests``: counts in the verdict; the others say more about one that does.
    """

    principle: str
    changed: Callable[[BioClassifier], dict[str, Any]] = lambda full: {}
    made: Callable[[BioClassifier, Images], BioClassifier] | None = None
    tests: bool = True


def _without_contrast(full: BioClassifier) -> dict[str, Any]:
    return {"encoder": None, "encoder__exponent": 1.0, "encoder__semi_saturation": np.inf}


def _without_map(full: BioClassifier) -> dict[str, Any]:
    retina = Retina(1, *contrast_of(full))
    return {"encoder": PixelRates(full.n_features_in_, retina, full.dtype)}


def _softened(full: BioClassifier) -> dict[str, Any]:
    return {"competition__beta": SOFTER * full.get_params()["competition__beta"]}


LAW = "the law of the weights"
ABLATIONS: dict[str, Ablation] = {
    "no contrast response": Ablation("the contrast response", _without_contrast),
    "no map": Ablation("the feature map", _without_map),
    "no mixing": Ablation("mixing", lambda full: {"mixing": 0}),
    "no competition": Ablation("competition", made=without_competition),
    "softer competition": Ablation("competition", _softened, tests=False),
    "no turnover": Ablation("sparsity and turnover", lambda full: DENSE),
    "no teaching": Ablation("teaching", lambda full: {"supervision__eta": 0.0}),
    "no top-down gain": Ablation("the top-down gain", lambda full: {"supervision__kappa": 0.0}),
    "recruitment only": Ablation("learning beyond the stored samples", lambda full: STORED),
    "weights shuffled in cells": Ablation("which synapses are strong", made=with_law(shuffled)),
    "weights made normal": Ablation(LAW, made=with_law(by_rank(normal_quantile))),
    "weights made lognormal": Ablation(LAW, made=with_law(by_rank(lognormal_quantile)), tests=False),
}


@dataclass(frozen=True)
class AblationSettings(RobustnessSettings):
    """``ablations`` that are run."""

    ablations: tuple[str, ...] = tuple(ABLATIONS)


class WhyRobust(Claim[AblationSettings]):
    """The full network beside itself with each principle switched off, all read by the delta rule."""

    number = "WHY"
    title = "why robust"
    statement = (
        "Each principle buys robustness: with it off, fewer images stand under the worst case of all attacks (Linf, "
        "the middle budget)."
    )
    x_name = "attack radius ε"
    small = AblationSettings(
        **SMALL_ATTACK, ablations=("no contrast response", "no competition", "weights made normal")
    )
    full = AblationSettings(n_attacked=100)  # a dozen networks a seed

    def run(self, data: Dataset, seed: int, settings: AblationSettings, progress: Track) -> Iterator[Found]:
        train, _, test = split_images(data, settings, seed)
        epsilons = budgets(data)
        parameters = settings.network(seed) | settings.robust
        sources = {"MLP": BackpropMLP(random_state=seed, n_epochs=settings.mlp_epochs).fit(*train)}
        full = BioClassifier(**parameters).fit(*train)
        yield from besieged(FULL, full, test, epsilons, settings, sources, seed)
        for name in progress(settings.ablations, "ablations"):
            ablation = ABLATIONS[name]
            # the encoder is kept unless the ablation changes it: one less source of randomness
            changed = parameters | {"encoder": full.encoder_} | ablation.changed(full)
            network = ablation.made(full, train) if ablation.made else BioClassifier(**changed).fit(*train)
            yield from besieged(name, network, test, epsilons, settings, sources, seed)

    def verdict(self, frame: pd.DataFrame) -> Verdict:
        at = middle(frame["x"].dropna().unique())
        run = [name for name in ABLATIONS if name in set(frame["condition"])]
        full = values_of(frame, FULL, ROBUST_ACCURACY, at)
        bought = {name: full - values_of(frame, name, ROBUST_ACCURACY, at) for name in run}
        found = {name: analysis.paired_difference(values, 0 * values) for name, values in bought.items()}
        p = dict(zip(run, analysis.holm([found[name].p_value for name in run]), strict=True))
        tested = [name for name in run if ABLATIONS[name].tests]
        shown = [name for name in tested if found[name].mean > 0 and p[name] <= ALPHA]
        doubt = warnings(frame, FULL)

        if doubt or not shown:
            form = NOT_SHOWN
        elif len(shown) == len(tested):
            form = STRONG
        else:
            form = weak(" and ".join(ABLATIONS[name].principle for name in shown))
        least = min(tested, key=lambda name: found[name].mean)
        lines = [self._line(frame, name, found[name], float(p[name])) for name in run]
        clean, robust = (
            100 * values_of(frame, FULL, m, x).mean() for m, x in (("accuracy", None), (ROBUST_ACCURACY, at))
        )
        note = "\n".join(
            [
                f"At ε = {at:g}; {FULL}: accuracy {clean:.1f} %, attacked {robust:.1f} %. Points that fall with:",
                *lines,
                f"The audit of the {FULL} WARNS, its figures are upper bounds: {doubt}"
                if doubt
                else "Its audit passes.",
            ]
        )
        unit = f"share of images that stand at ε = {at:g} by what buys least: {ABLATIONS[least].principle}"
        return Verdict.of(bought[least], form, form == STRONG, unit, note)

    @staticmethod
    def _line(frame: pd.DataFrame, name: str, found: analysis.PairedDifference, p: float) -> str:
        bound = " (audit warns: at least)" if warnings(frame, name) else ""
        clean = 100 * values_of(frame, name, "accuracy").mean()
        return f"{name}: {in_words(found, p=p)}{bound}; accuracy {clean:.1f} %"

    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        at = middle(frame["x"].dropna().unique())
        names = [FULL, *(name for name in ABLATIONS if name in set(frame["condition"]))]
        for place, name in enumerate(names):
            for measure, x, colour, shift in (
                ("accuracy", None, "#56B4E9", -0.14),
                (ROBUST_ACCURACY, at, "#D55E00", 0.14),
            ):
                interval = analysis.mean_interval(values_of(frame, name, measure, x))
                error = None if np.isnan(interval.half_width) else interval.half_width
                label = ("clean" if x is None else f"ε = {at:g}") if not place else None
                ax.errorbar(
                    interval.mean,
                    place + shift,
                    xerr=error,
                    fmt="o",
                    color=colour,
                    capsize=3,
                    markersize=5,
                    label=label,
                )
        ax.set_yticks(range(len(names)), labels=[f"≤ {n}" if warnings(frame, n) else n for n in names])
        ax.invert_yaxis()
        ax.set(xlabel="accuracy", xlim=(-0.02, 1.02))
        ax.grid(axis="x", color="0.9", linewidth=0.8)
        legend_beside(ax)
        return ax
