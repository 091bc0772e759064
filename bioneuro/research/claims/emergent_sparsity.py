"""C1: does turnover find a sparse network by itself, what does it cost, and what do its rates decide? And how accurate
are others with as few synapses?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ... import analysis
from ...baselines import BackpropMLP, make
from ...classifier import BioClassifier
from ...datasets import Dataset
from ...layers.readout import WIRED
from ..differences import in_words
from .claim import Claim, Track
from .controls import magnitude_pruned, score
from .emergent_lognormality import LARGEST_LOSS
from .rows import Found, curve_of, draw_mean, values_of
from .settings import DENSE, FORMER, SMALL, Images, Settings, split_images
from .verdict import NOT_SHOWN, STRONG, Verdict, weak

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Share of possible synapses that cortex realises, about.
CORTEX_DENSITY = 0.116
#: Goals: share of synapses left in the association, and in the pathways of the readout.
LARGEST_DENSITY, LARGEST_READOUT = 0.12, 0.5
#: A plateau is |d log density / d log rate| up to this, below a density of FULL, over this many decades of the rate.
FLAT, FULL, PLATEAU_DECADES = 0.1, 0.9, 0.5
#: Perceptrons trained with few synapses, and their names in bioneuro.baselines; the pruned one is trained dense.
SPARSE_RIVALS = {"MLP fixed mask": "fixed-mask", "MLP SET": "set", "MLP RigL": "rigl"}
RIVALS = ("MLP pruned", *SPARSE_RIVALS)
#: The default network; its turnover at other rates; deaths that do not know the size of the synapse, at its density.
DEFAULT, TURNOVER, BLIND = "default", "turnover", "blind deaths"
#: What accuracy is compared with: the same network with all synapses, and with the former rule besides.
UNPRUNED = {"dense": DENSE, "log-relaxation, dense": FORMER}


def plateau(rate: ArrayLike, density: ArrayLike) -> float:
    """Longest range of ``rate``, in decades, over which density hardly changes; 0 if there is none."""
    rate, density = np.log10(np.asarray(rate, float)), np.asarray(density, float)
    flat = np.abs(np.diff(np.log10(density)) / np.diff(rate)) <= FLAT
    flat &= density[:-1] < FULL
    widest = width = 0.0
    for is_flat, step in zip(flat, np.diff(rate), strict=True):
        width = width + step if is_flat else 0.0
        widest = max(widest, width)
    return widest


def learned_pathways(network: BioClassifier) -> dict[str, Any]:
    """The pathways of a network that learn, by name."""
    named = network.network_.pathways()
    return {name: W for name, W in named.items() if name != WIRED and not name.startswith("mixing")}


@dataclass(frozen=True)
class SparsitySettings(Settings):
    """``ratios`` by which births are multiplied; ``densities`` of the rivals; ``tuning_epochs`` after pruning the
    perceptron."""

    ratios: tuple[float, ...] = (0.1, 0.3, 1.0, 3.0, 10.0)
    tuning_epochs: int = 5
    densities: tuple[float, ...] = (0.03, 0.06, 0.12, 0.25, 0.5)


class EmergentSparsity(Claim[SparsitySettings]):
    """Density and accuracy against the rates of turnover and over training, beside dense networks and sparse rivals."""

    number = "C1"
    title = "emergent sparsity"
    statement = (
        "Births, and deaths that come the sooner the smaller a synapse is, leave at most 12 % of the association's "
        "synapses (cortex about 11.6 %) and 50 % of the readout's, though no density is given, at no more than 0.3 "
        "points lost to the same network with all synapses and to the former rule. Strong: the density does not merely "
        "follow from the rates, and deaths that do not know the size cost accuracy."
    )
    x_name = "births over deaths"
    small = SparsitySettings(**SMALL, ratios=(0.1, 1.0, 10.0), tuning_epochs=2, densities=(0.06, 0.25))
    full = SparsitySettings()

    def run(self, data: Dataset, seed: int, settings: SparsitySettings, progress: Track) -> Iterator[Found]:
        train, _, test = split_images(data, settings, seed)
        yield from self._rivals(train, test, seed, settings, progress)
        course: list[Found] = []

        def watch(model: BioClassifier, stage: str, done: int, n: int) -> None:
            """Density of the pathways that learn in a stage, before it and after each pass; x is the share done."""
            if not hasattr(model, "network_"):  # the map, which keeps its synapses
                return
            part = {"association": "association", "teaching": "association", "readout": "readout"}[stage]
            for name, W in learned_pathways(model).items():
                if name.startswith(part):
                    course.append(Found(f"{stage}, {name}", "density", W.density, done / n))
            if stage == "association":
                course.append(Found("association", "accuracy votes", score(model, "votes", test), done / n))

        network = BioClassifier(**settings.network(seed)).fit(*train, on_epoch=watch)
        yield from self._described(DEFAULT, network, test)
        yield from course
        encoder, density = network.encoder_, network.network_.association.synapses.density
        turnover = {name: network.get_params()[f"turnover__{name}"] for name in ("birth", "death")}
        blind = {"turnover__gamma": 0.0, "turnover__birth": turnover["death"] * density / (1 - density)}
        runs: list[tuple[str, dict[str, Any], float | None]]
        runs = [(condition, changed, None) for condition, changed in (*UNPRUNED.items(), (BLIND, blind))]
        births = [ratio * turnover["birth"] for ratio in settings.ratios]
        runs += [(TURNOVER, {"turnover__birth": birth}, birth / turnover["death"]) for birth in births]
        for condition, changed, x in progress(runs, "rates of turnover"):
            if changed != {"turnover__birth": turnover["birth"]}:  # the default network
                fitted = BioClassifier(**settings.network(seed, encoder=encoder) | changed).fit(*train)
            else:
                fitted = network
            yield from self._described(condition, fitted, test, x)

    @staticmethod
    def _described(condition: str, network: BioClassifier, test: Images, x: float | None = None) -> Iterator[Found]:
        """Densities and accuracies of a fitted network."""
        pathways = learned_pathways(network)
        for name, W in pathways.items():
            yield Found(condition, f"density of {name}", W.density, x)
        synapses, possible = (sum(of(W) for W in pathways.values()) for of in (lambda W: W.nnz, _possible))
        yield Found(condition, "density of all layers", synapses / possible, x)
        yield Found(condition, "synapses", synapses, x)
        for readout in ("delta", "votes"):
            yield Found(condition, f"accuracy {readout}", score(network, readout, test), x)

    def _rivals(
        self, train: Images, test: Images, seed: int, settings: SparsitySettings, progress: Track
    ) -> Iterator[Found]:
        """Perceptrons of one architecture, dense and with few synapses; x is the density of the whole network."""
        training: dict[str, Any] = {"random_state": seed, "n_epochs": settings.mlp_epochs}
        mlp = BackpropMLP(**training).fit(*train)
        yield Found("MLP", "accuracy", mlp.score(*test))
        yield Found("MLP", "synapses", sum(W.nnz for W in mlp.pathways_))
        for density in progress(settings.densities, "rivals"):
            pruned = magnitude_pruned(mlp, density, train, settings.tuning_epochs)
            yield Found("MLP pruned", "accuracy", pruned.score(*test), density)
            for condition, name in SPARSE_RIVALS.items():
                rival = make(name, density=density, **training).fit(*train)
                yield Found(condition, "accuracy", rival.score(*test), density)

    def verdict(self, frame: pd.DataFrame) -> Verdict:
        left = {name: values_of(frame, DEFAULT, f"density of {name}") for name in _parts(frame)}
        ours = values_of(frame, DEFAULT, "accuracy delta")
        lost = {name: analysis.paired_difference(values_of(frame, name, "accuracy delta"), ours) for name in UNPRUNED}
        blind = analysis.paired_difference(ours, values_of(frame, BLIND, "accuracy delta"))
        density = curve_of(frame, TURNOVER, "density of association").mean(axis=1)
        rates, densities = density.index.to_numpy(), density.to_numpy()
        width = plateau(rates, densities)
        slope = float(stats.linregress(np.log(rates), np.log(densities)).slope)
        premises = []
        if width < PLATEAU_DECADES:
            premises.append("the rates of births and deaths")
        if not blind.low > 0:
            premises.append("any deaths (those that do not know the size cost no more)")
        sparse = left["association"].mean() < FULL
        form = NOT_SHOWN if not sparse else weak(" and ".join(premises)) if premises else STRONG
        small = left["association"].mean() <= LARGEST_DENSITY
        small &= max(values.mean() for name, values in left.items() if name.startswith("readout")) <= LARGEST_READOUT
        cheap = all(difference.mean <= LARGEST_LOSS for difference in lost.values())
        votes = curve_of(frame, TURNOVER, "accuracy delta").mean(axis=1)
        note = "\n".join(
            [
                "Density by layer: "
                + ", ".join(f"{name} {values.mean():.3f}" for name, values in left.items())
                + f" (goals: association {LARGEST_DENSITY:g}, readout {LARGEST_READOUT:g}; mixing is wired, not "
                "learned).",
                "Points of delta lost to "
                + "; ".join(f"{name} {in_words(difference, '+.2f')}" for name, difference in lost.items())
                + f" (goal {100 * LARGEST_LOSS:g}); "
                f"ahead of blind deaths at the same density {in_words(blind, '+.2f')}.",
                "Births over deaths: density of the association, accuracy: "
                + "; ".join(f"{x:.3g}: {d:.3f}, {100 * votes[x]:.1f} %" for x, d in density.items())
                + f". Plateau {width:.2f} decades ({PLATEAU_DECADES} needed), slope of log density on log rate "
                f"{slope:.2f}.",
                self._over_training(frame),
                self._against_rivals(frame),
            ]
        )
        passed = form != NOT_SHOWN and small and cheap
        return Verdict.of(left["association"], form, passed, "of the association's synapses left", note)

    @staticmethod
    def _over_training(frame: pd.DataFrame) -> str:
        """Density at the beginning, in the middle and at the end of each stage, and accuracy of the votes."""
        courses = [c for c in dict.fromkeys(frame["condition"]) if len(values_of(frame, c, "density"))]
        told = []
        for condition, measure in (*((c, "density") for c in courses), ("association", "accuracy votes")):
            curve = curve_of(frame, condition, measure).mean(axis=1)
            steps = curve.iloc[[0, len(curve) // 2, -1]]
            label = condition if measure == "density" else "accuracy of the votes"
            told.append(f"{label} " + " - ".join(f"{value:.3f}" for value in steps))
        return f"Over training, beginning - middle - end of each stage: {'; '.join(told)}."

    @staticmethod
    def _against_rivals(frame: pd.DataFrame) -> str:
        """Accuracy at the same share of all possible synapses, between the rivals' densities along its logarithm."""
        ours = values_of(frame, DEFAULT, "accuracy delta")
        density = values_of(frame, DEFAULT, "density of all layers")
        dense, compared = _mean(frame, "MLP", "accuracy"), []
        for condition in RIVALS:
            curve = curve_of(frame, condition, "accuracy")
            log_density = np.log(curve.index.to_numpy())
            rival = np.array(
                [np.interp(np.log(d), log_density, curve[seed]) for d, seed in zip(density, curve, strict=True)]
            )
            against = analysis.paired_difference(ours, rival)
            compared.append(
                f"{condition} {100 * rival.mean():.1f} % ({100 * (rival.mean() - dense):+.1f} against the dense one), "
                f"ours {in_words(against, unit=' points')}"
            )
        low, high = curve.index.min(), curve.index.max()
        beyond = "" if low <= density.min() and density.max() <= high else f" (theirs end at {low:g} and {high:g})"
        n_ours, n_theirs = (_mean(frame, name, "synapses") for name in (DEFAULT, "MLP"))
        return (
            f"Rivals of the same density of all layers that learn, {density.mean():.3f}{beyond} (not of the same "
            f"number of synapses: ours {n_ours:,.0f}, theirs {density.mean() * n_theirs:,.0f}): {'; '.join(compared)}."
        )

    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        """Accuracy against the density of all layers that learn; beside it that of the association over training."""
        from matplotlib.ticker import LogLocator

        lines = (
            (TURNOVER, "accuracy delta", "ours, delta readout", "#D55E00", "o"),
            (TURNOVER, "accuracy votes", "ours, votes", "#E69F00", "o"),
            ("MLP pruned", "accuracy", "MLP pruned and fine-tuned", "0.35", "s"),
            ("MLP RigL", "accuracy", "MLP, RigL", "#0072B2", "^"),
            ("MLP SET", "accuracy", "MLP, SET", "#56B4E9", "v"),
            ("MLP fixed mask", "accuracy", "MLP, fixed mask", "#009E73", "x"),
        )
        for condition, measure, label, colour, marker in lines:
            curve = curve_of(frame, condition, measure)
            if condition == TURNOVER:
                curve.index = curve_of(frame, condition, "density of all layers").mean(axis=1).to_numpy()
            draw_mean(ax, curve, color=colour, marker=marker, markersize=4, label=label)
        for condition, measure, label, style in (
            ("dense", "accuracy delta", "ours, nothing dies", "--"),
            ("MLP", "accuracy", "MLP, dense", ":"),
        ):
            ax.axhline(_mean(frame, condition, measure), color="0.3", linewidth=1, linestyle=style, label=label)
        ax.set(xscale="log", xlabel="density of all layers that learn", ylabel="accuracy")
        ax.xaxis.set(major_locator=LogLocator(subs=(1, 2, 5)), major_formatter="{x:g}")
        ax.minorticks_off()
        grid = ax.get_subplotspec().subgridspec(3, 2, width_ratios=(3, 1))
        ax.set_subplotspec(grid[:, 0])
        rates = curve_of(frame, TURNOVER, "density of association")
        course = curve_of(frame, "association, association", "density")
        for row, (curve, scale, label) in enumerate(((rates, "log", self.x_name), (course, "linear", "training"))):
            beside = ax.figure.add_subplot(grid[row, 1])
            draw_mean(beside, curve, color="0.2", label="ours, association")
            beside.axhline(CORTEX_DENSITY, color="0.7", linewidth=1, label="cortex, about")
            beside.set(xscale=scale, ylim=(0, max(0.3, 1.1 * curve.to_numpy().max())))
            beside.set_xlabel(label, fontsize=7)
            beside.set_ylabel("density, association", fontsize=7)
            beside.tick_params(labelsize=7)
        names = ax.figure.add_subplot(grid[2, 1])
        names.set_axis_off()
        handles = [handle for of in (ax, beside) for handle in of.get_legend_handles_labels()[0]]
        names.legend(handles=handles, frameon=False, fontsize=7, loc="upper left", borderaxespad=0)
        return ax


def _possible(W: Any) -> int:
    return W.n_post * W.n_pre


def _parts(frame: pd.DataFrame) -> list[str]:
    """Pathways that learn, in the order of the network."""
    measures = dict.fromkeys(frame.loc[frame["condition"] == DEFAULT, "measure"])
    return [m.removeprefix("density of ") for m in measures if m.startswith("density of ") and "all" not in m]


def _mean(frame: pd.DataFrame, condition: str, measure: str) -> float:
    return float(values_of(frame, condition, measure).mean())
