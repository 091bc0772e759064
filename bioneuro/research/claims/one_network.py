"""ONE: all goals at once. One network with unchanged defaults, measured with the quick settings of each claim."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ... import analysis, attacks, continual, fewshot
from ...baselines import BackpropMLP
from ...classifier import BioClassifier
from ...datasets import Dataset
from ...network_classifier import NetworkClassifier
from ..differences import in_words
from ..task_streams import LEARNERS, MAP, OURS, StreamPlan, streams
from .adversarial_robustness import ROBUST_ACCURACY, SMALL_ATTACK, WARNINGS, RobustnessSettings, besieged, budgets
from .claim import Claim, Track
from .controls import STORED, Additive, score
from .dale_segregation import AXON, INDEX, RULE, SHARE, DaleSettings, on_features
from .emergent_lognormality import LARGEST_KS, LARGEST_LOSS, LARGEST_SKEWNESS, SIGMAS, STARTS, VUONG, describe
from .emergent_sparsity import LARGEST_DENSITY, LARGEST_READOUT, learned_pathways
from .resource_allocation import IN_USE, in_use
from .rows import Found, values_of
from .settings import DENSE, FORMER, Images, Split, split_images
from .verdict import NOT_SHOWN, Verdict, weak

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

NETWORK, DATA = "default", "data set"
#: What is measured at several x: images a class, budgets of an attack, cells.
FEW, GAINED = "accuracy, few images", "points gained by learning beyond recruitment"
L2_ACCURACY, SECONDS = f"{ROBUST_ACCURACY}, L2", "seconds of fit"
#: What is read of cells that begin with both transmitters, by its name in C3.
SIGNS = {
    "Dale index": "Dale index, from mixed signs",
    "share of cells at 0.95": "share of cells pure, from mixed signs",
}
#: Which of the four starts is worst, by measure of the law.
WORST: dict[str, Callable[[list[float]], float]] = {
    "log-likelihood ratio": min,
    "Vuong statistic": min,
    "fitted sigma": lambda sigmas: max(sigmas, key=lambda sigma: abs(sigma - np.mean(SIGMAS))),
    "skewness of log w": lambda skewness: max(skewness, key=abs),
    "KS distance": max,
}


class Target(NamedTuple):
    """The interval [low, high] in which a claim wants the mean over the seeds of a ``measure``, at ``x``."""

    claim: str
    measure: str
    low: float
    high: float
    x: float | None = None
    premise: str = ""

    @property
    def name(self) -> str:
        """The measure, and what it was taken at."""
        return self.measure if self.x is None else f"{self.measure}, at {self.x:g}"

    @property
    def wanted(self) -> str:
        """The interval in words."""
        if self.low == self.high:
            return f"goal {self.low:g}"
        if self.low in (0, -100, -np.inf) and np.isfinite(self.high):
            return f"goal <= {self.high:g}"
        return f"goal >= {self.low:g}" if self.high in (1, np.inf) else f"goal {self.low:g} to {self.high:g}"

    def met_by(self, value: float) -> bool:
        return self.low <= value <= self.high


LOST = tuple(f"points lost to {rival}" for rival in ("the dense network", "the former rule, dense"))
GOALS = (
    Target("C1", "density of association", 0, LARGEST_DENSITY),
    Target("C1", "largest density of a readout pathway", 0, LARGEST_READOUT),
    *(Target("C1", measure, -100, 100 * LARGEST_LOSS) for measure in LOST),
    Target("C2", "log-likelihood ratio", 0, np.inf),
    Target("C2", "Vuong statistic", VUONG, np.inf),
    Target("C2", "fitted sigma", *SIGMAS),
    Target("C2", "skewness of log w", -LARGEST_SKEWNESS, LARGEST_SKEWNESS),
    Target("C2", "KS distance", 0, LARGEST_KS),
    Target("C2", "log-likelihood ratio, additive rule", -np.inf, 0),
    Target("C2", "log-likelihood ratio, backpropagation", -np.inf, 0),
    Target("C2", "points lost without mixing", 100 * LARGEST_LOSS, np.inf),
    Target("C3", "smallest Dale index", 1, 1, premise="by construction: it starts with separate E and I cells"),
    *(
        Target("C3", measure, goal, 1, premise="follows from the resource that an axon's transmitters share")
        for measure, goal in zip(SIGNS.values(), (INDEX, SHARE), strict=True)
    ),
    Target("C4", WARNINGS, 0, 0),
    Target("C9", "cells in use", IN_USE, 1),
    Target("all", "points of delta ahead of votes", -100, 1),
    Target("all", f"{GAINED}, votes", 1, np.inf, 300),
    Target("all", f"{GAINED}, delta", 0.5, np.inf, 300),
)


def _of_data(
    accuracy: float,
    few: tuple[float, ...] = (),
    stream: tuple[float, ...] = (),
    linf: dict[float, float] | None = None,
    l2: dict[float, float] | None = None,
    seconds: float | None = None,
) -> tuple[Target, ...]:
    """Goals of one data set: accuracy; from 1, 5, 10 and 50 images a class; of a stream, and what it may forget; under
    attack, by norm and budget; of the time that ``fit`` takes."""
    return (
        Target("all", "accuracy", accuracy, 1),
        *(Target("C4", ROBUST_ACCURACY, goal, 1, epsilon) for epsilon, goal in (linf or {}).items()),
        *(Target("C4", L2_ACCURACY, goal, 1, epsilon) for epsilon, goal in (l2 or {}).items()),
        *(
            []
            if seconds is None
            else [Target("all", SECONDS, 0, seconds, premise="on two cores with nothing else to do")]
        ),
        *(Target("C5", FEW, goal, 1, k) for k, goal in zip((1, 5, 10, 50), few, strict=False)),
        *(
            Target("C8", measure, *ends)
            for measure, ends in zip(
                ("accuracy, stream", "points forgotten, stream"),
                [(stream[0], 1), (-100, stream[1])] if stream else [],
                strict=False,
            )
        ),
    )


#: Goals that depend on the data.
DATA_GOALS: dict[str, tuple[Target, ...]] = {
    "digits": _of_data(0.985),
    "mnist": _of_data(
        0.989, (0.65, 0.91, 0.945, 0.975), (0.985, 2), linf={0.1: 0.96, 0.2: 0.84}, l2={1.5: 0.78}, seconds=14
    ),
    "fashion-mnist": _of_data(0.895, (0.60, 0.74, 0.78, 0.85), (0.87, 6)),
}


def smallest_dale_index(network: BioClassifier) -> float:
    """Of all cells of all populations, each over all of the synapses that it makes."""
    return float(np.nanmin(np.concatenate([*analysis.dale_indices(network.outgoing()).values()])))


@dataclass(frozen=True)
class OneSettings(RobustnessSettings):
    """``n_described`` cells are fitted; ``shots`` images a class, ``n_draws`` training sets a seed; ``cells`` at which
    learning must earn its place; ``dale``: how long signs are learned. Sizes that the images do not allow are left
    out."""

    n_described: int = 100
    dale: DaleSettings = field(default_factory=DaleSettings)
    shots: tuple[int, ...] = (1, 5, 10, 50)
    n_draws: int = 4
    cells: tuple[int, ...] = (100, 300, 1000, 3000)

    def fitted_to(self, data: Dataset, n_train: int | None = None) -> OneSettings:
        return replace(super().fitted_to(data, n_train), robust={})  # type: ignore[return-value]  # its defaults


class OneNetwork(Claim[OneSettings]):
    """A table of the claims' measures for ``BioClassifier()``; the claims themselves add their controls."""

    number = "ONE"
    title = "all at once"
    statement = (
        "One network with the default parameters has all of the properties together: sparse, lognormal and true to "
        "Dale's law, accurate, robust, quick to learn from few images and from a stream; and its learning is worth "
        "more than the samples that its cells store. The claims' own experiments say in which form."
    )
    x_name = "images a class, attack radius, or cells"
    small = OneSettings(
        **SMALL_ATTACK, n_described=20, shots=(1, 10), n_draws=1, cells=(30, 100), dale=DaleSettings(n_steps=60)
    )
    full = OneSettings(n_attacked=100)

    def run(self, data: Dataset, seed: int, settings: OneSettings, progress: Track) -> Iterator[Found]:
        parts = split_images(data, settings, seed)
        yield Found(NETWORK, DATA, 0, note=data.name or "")
        started = time.perf_counter()
        network = BioClassifier(**settings.network(seed)).fit(*parts.train)
        yield Found(NETWORK, SECONDS, time.perf_counter() - started)
        mlp = BackpropMLP(random_state=seed, n_epochs=settings.mlp_epochs).fit(*parts.train)
        sections = (
            self._itself(network, parts, data, mlp, settings, seed),
            self._signs(network, parts, settings, seed),
            self._cost(network, parts, settings, seed),
            self._law(network, parts, mlp, settings, seed),
            self._few(parts, settings, seed),
            self._stream(data, settings, seed),
            self._worth(network, parts, settings, seed),
        )
        for section in progress(sections, "rows"):
            yield from section

    @staticmethod
    def _itself(
        network: BioClassifier, parts: Split, data: Dataset, mlp: BackpropMLP, settings: OneSettings, seed: int
    ) -> Iterator[Found]:
        """Density, Dale's law, accuracy and the worst case of C4 (delta readout) with its audit (Linf)."""
        densities = {name: W.density for name, W in learned_pathways(network).items()}
        yield Found(NETWORK, "density of association", densities["association"])
        of_readout = [density for name, density in densities.items() if name.startswith("readout")]
        yield Found(NETWORK, "largest density of a readout pathway", max(of_readout))
        yield Found(NETWORK, "smallest Dale index", smallest_dale_index(network))
        yield Found(NETWORK, "cells in use", in_use(network, parts.train.X))
        yield from besieged(NETWORK, network, parts.test, budgets(data), settings, {"MLP": mlp}, seed)
        X, y = (part[: settings.n_attacked] for part in parts.test)
        l2 = attacks.worst_case(
            network, X, y, budgets(data, "l2"), "l2", sources={"MLP": mlp}, random_state=seed, **settings.effort
        )
        for epsilon, accuracy in zip(l2.epsilons, l2.robust_accuracy, strict=True):
            yield Found(NETWORK, L2_ACCURACY, float(accuracy), float(epsilon))
        votes = score(network, "votes", parts.test)
        yield Found(NETWORK, "accuracy votes", votes)
        yield Found(NETWORK, "points of delta ahead of votes", 100 * (network.score(*parts.test) - votes))

    @staticmethod
    def _signs(network: BioClassifier, parts: Split, settings: OneSettings, seed: int) -> Iterator[Found]:
        """Dale index of cells that begin with both transmitters, on the network's features, by the rule of C3."""
        seen, unseen = (Images(network.transform(images.X), images.y) for images in (parts.train, parts.test))
        for measure, value in on_features(AXON, RULE, seen, unseen, settings.dale, seed):
            if measure in SIGNS:
                yield Found(NETWORK, SIGNS[measure], value)

    @staticmethod
    def _cost(network: BioClassifier, parts: Split, settings: OneSettings, seed: int) -> Iterator[Found]:
        """Points of delta lost to networks with all synapses, without mixing, and without an association."""
        ours = network.score(*parts.test)
        for measure, changed in zip(LOST, (DENSE, FORMER), strict=True):
            rival = _like(network, settings, seed, **changed).fit(*parts.train)
            yield Found(NETWORK, measure, 100 * (rival.score(*parts.test) - ours))
        plain = _like(network, settings, seed, mixing=0).fit(*parts.train)
        yield Found(NETWORK, "points lost without mixing", 100 * (ours - plain.score(*parts.test)))
        below = list(network.network_.layers.items())[:-1]
        alone = NetworkClassifier(below, random_state=seed).fit(*parts.train)
        yield Found(NETWORK, "points lost without association", 100 * (ours - alone.score(*parts.test)))

    @staticmethod
    def _law(
        network: BioClassifier, parts: Split, mlp: BackpropMLP, settings: OneSettings, seed: int
    ) -> Iterator[Found]:
        """Of the association's weights at the worst of the four starts, and of two controls."""

        def described(W: Any) -> dict[str, float]:
            return {found.measure: found.value for found in describe("", W, seed, settings.n_described)}

        laws = []
        for start in STARTS:
            started = network
            if start != network.get_params()["growth__init"]:
                started = _like(network, settings, seed, growth__init=start).fit(*parts.train)
            laws.append(described(started.weights()["association"]))
        for measure, worst in WORST.items():
            yield Found(NETWORK, measure, worst([law[measure] for law in laws]), note="worst of the starts")
        additive = _like(network, settings, seed, rule=Additive(), supervision__eta=0.0).fit(*parts.train)
        for name, W in (
            ("additive rule", additive.weights()["association"]),
            ("backpropagation", mlp.weights()["hidden_1"]),
        ):
            yield Found(NETWORK, f"log-likelihood ratio, {name}", described(W)["log-likelihood ratio"])

    @staticmethod
    def _few(parts: Split, settings: OneSettings, seed: int) -> Iterator[Found]:
        """Accuracy from few images and nothing else, as in C5."""
        fewest = np.unique(parts.train.y, return_counts=True)[1].min()
        shots = [k for k in settings.shots if k <= fewest]
        curve = fewshot.low_data_curve(
            {NETWORK: BioClassifier(**settings.network(seed))}, *parts.train, *parts.test, shots=shots,
            n_repeats=settings.n_draws, random_state=seed, progress=False,
        )  # fmt: skip
        for k, accuracy in curve.groupby("n_shot")["accuracy"].mean().items():
            yield Found(NETWORK, FEW, float(accuracy), float(k))

    @staticmethod
    def _stream(data: Dataset, settings: OneSettings, seed: int) -> Iterator[Found]:
        """Classes two by two, once, by ``partial_fit`` on the map's features, as in C8."""
        stream = streams(StreamPlan("class", settings.n_train, settings.n_cells), data, seed)[MAP]
        fresh = LEARNERS[OURS].make(settings.n_cells, stream.X.shape[1], seed).set_params(**settings.changed)
        result = continual.run(fresh, stream)
        yield Found(NETWORK, "accuracy, stream", result.average_accuracy)
        yield Found(NETWORK, "points forgotten, stream", 100 * result.forgetting)

    @staticmethod
    def _worth(network: BioClassifier, parts: Split, settings: OneSettings, seed: int) -> Iterator[Found]:
        """The network against one whose cells store samples and learn nothing, at several numbers of cells."""
        for n in settings.cells:
            if n > len(parts.train.y):
                continue
            whole, stored = (
                _like(network, settings, seed, **changed, n_cells=n).fit(*parts.train) for changed in ({}, STORED)
            )
            for readout in ("votes", "delta"):
                accuracies = [score(model, readout, parts.test) for model in (whole, stored)]
                for name, accuracy in zip(("learned", "recruited"), accuracies, strict=True):
                    yield Found(name, f"accuracy {readout}", accuracy, n)
                yield Found(NETWORK, f"{GAINED}, {readout}", 100 * (accuracies[0] - accuracies[1]), n)

    # --- what the rows say ---

    def verdict(self, frame: pd.DataFrame) -> Verdict:
        goals = goals_of(frame)
        found = [values_of(frame, NETWORK, goal.measure, goal.x) for goal in goals]
        per_seed = np.sum([(goal.low <= v) & (v <= goal.high) for goal, v in zip(goals, found, strict=True)], axis=0)
        intervals = [analysis.mean_interval(values) for values in found]
        met = [goal.met_by(interval.mean) for goal, interval in zip(goals, intervals, strict=True)]
        lines = [
            f"{goal.claim} {goal.name}: {_interval(interval)}, {goal.wanted}: {'met' if reached else 'MISSED'}"
            + (f" ({goal.premise})" if goal.premise else "")
            for goal, interval, reached in zip(goals, intervals, met, strict=True)
        ]
        # Dale's law is among the goals, and is built in
        form = weak("separate excitatory and inhibitory cells, among others") if all(met) else NOT_SHOWN
        unit = f"of {len(goals)} goals met, a seed"
        note = "\n".join([*lines, *self._without_goal(frame, goals), *self._worth_by_cells(frame)])
        return Verdict.of(per_seed.astype(float), form, all(met), unit, note)

    @staticmethod
    def _without_goal(frame: pd.DataFrame, goals: list[Target]) -> Iterator[str]:
        """Measures of the network that have no goal."""
        rows = frame[(frame["condition"] == NETWORK) & (frame["measure"] != DATA)]
        asked = {(goal.measure, goal.x) for goal in goals}
        for measure, x in rows[["measure", "x"]].drop_duplicates().itertuples(index=False):
            at = None if np.isnan(x) else float(x)
            if (measure, at) not in asked and not measure.startswith(GAINED):
                interval = analysis.mean_interval(values_of(frame, NETWORK, measure, at))
                yield f"{Target('', measure, 0, 0, at).name}: {_interval(interval)}, no goal"

    @staticmethod
    def _worth_by_cells(frame: pd.DataFrame) -> Iterator[str]:
        """Learning against recruitment only, a line for each readout; the p-values are one family."""
        gains = {
            (readout, n): values_of(frame, NETWORK, f"{GAINED}, {readout}", n)
            for readout in ("votes", "delta")
            for n in sorted(frame.loc[frame["measure"] == f"{GAINED}, {readout}", "x"].unique())
        }
        tests = {key: analysis.paired_difference(values, 0 * values) for key, values in gains.items()}
        p = dict(zip(tests, analysis.holm([test.p_value for test in tests.values()]), strict=True))
        for readout in ("votes", "delta"):
            by_cells = [
                f"{n:g} cells {100 * values_of(frame, 'recruited', f'accuracy {readout}', n).mean():.1f} % -> "
                f"{100 * values_of(frame, 'learned', f'accuracy {readout}', n).mean():.1f} %, "
                f"{in_words(test, '+.2f', 1, p=p[readout, n])}"
                for (name, n), test in tests.items()
                if name == readout
            ]
            yield f"Stored samples -> learned, {readout}: {'; '.join(by_cells)}"

    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        """Each measure from the nearer end of its goal (0) in widths of its goal; within the band it is met."""
        goals = goals_of(frame)
        for place, goal in enumerate(goals):
            values = values_of(frame, NETWORK, goal.measure, goal.x)
            width = goal.high - goal.low
            finite = np.isfinite(width) and width > 0
            start = goal.low if np.isfinite(goal.low) else goal.high - 1
            placed = (values - start) / (width if finite else 1.0)
            ax.plot(placed, np.full(len(values), place), "o", color="#0072B2", alpha=0.6)
        ax.axvspan(0, 1, color="#009E73", alpha=0.12, lw=0)
        ax.set_xscale("symlog", linthresh=2)
        ax.set_yticks(range(len(goals)), labels=[f"{g.claim} {g.name}, {g.wanted}" for g in goals], fontsize=6)
        ax.invert_yaxis()
        ax.set_xlabel("place of the measure in the range of its goal (0 to 1: met)")
        return ax


def _like(network: BioClassifier, settings: OneSettings, seed: int, **changed: Any) -> BioClassifier:
    """An unfitted network with the same encoder and the parameters ``changed``."""
    return BioClassifier(**settings.network(seed, encoder=network.encoder_) | changed)


def goals_of(frame: pd.DataFrame) -> list[Target]:
    """Those of the data that were measured: few images or cells may be more than there are."""
    name = frame.loc[frame["measure"] == DATA, "note"].iloc[0]
    return [
        goal
        for goal in (*GOALS, *DATA_GOALS.get(name, ()))
        if goal.x is None or values_of(frame, NETWORK, goal.measure, goal.x).size
    ]


def _interval(interval: analysis.MeanInterval) -> str:
    return in_words(interval, ".3g", 1)
