"""E-I circuit: do learned inhibitory cells compete as well as a softmax, and stay stable?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ... import analysis
from ...classifier import BioClassifier
from ...datasets import Dataset
from ...layers import InhibitoryCells
from ...schedule import Schedule
from ..differences import in_words
from .claim import Claim, Track
from .controls import score
from .rows import Found, curve_of, draw_mean, legend_beside, values_of
from .settings import SMALL, Settings, split_images
from .verdict import NOT_SHOWN, Verdict, weak

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Goals: accuracy lost to the softmax, largest share of active cells, and largest residual.
LARGEST_LOSS, MOST_ACTIVE, RESIDUAL = 0.01, 0.1, 1e-4
#: Largest drift over the longer training: of accuracy, and of the log of the mean rate and of root mean square weights
#: (sums are scaled, so these tell whether weights gather on few synapses).
DRIFT = {
    "accuracy delta": 0.01,
    "accuracy votes": 0.01,
    "log mean rate": 0.25,
    **{f"log rms weight, {name}": 0.25 for name in ("association", "association_e_to_i", "association_i_to_e")},
}
COMPARED_READOUTS = ("delta", "votes")
CELLS = "cells"


def inhibitory_cells(network: BioClassifier) -> InhibitoryCells:
    """The competition of a network whose cells compete by a circuit."""
    competition = network.network_.association.competition
    assert isinstance(competition, InhibitoryCells)
    return competition


@dataclass(frozen=True)
class CompetitionSettings(Settings):
    """``longer``: times the training length of the stability run."""

    n_cells: int = 1000
    longer: int = 10


class CircuitCompetition(Claim[CompetitionSettings]):
    """Circuit and softmax on the same images and map; correlation, rates and stability of the circuit."""

    number = "EI"
    title = "E-I circuit"
    statement = (
        "Excitatory cells that compete through learned inhibitory cells classify within 1 point of a softmax, obey "
        "Dale's law and fire sparsely; over 10 times the training their accuracy, rates and weights stay. "
        "(Correlations are reported, there is no goal for them.)"
    )
    x_name = "training, times the usual length"
    small = CompetitionSettings(**SMALL, n_cells=60, longer=3)
    full = CompetitionSettings()

    def run(self, data: Dataset, seed: int, settings: CompetitionSettings, progress: Track) -> Iterator[Found]:
        train, _, test = split_images(data, settings, seed)
        encoder = BioClassifier(**settings.encoder(seed)).fit_features(train.X).encoder_
        parameters = settings.network(seed, encoder=encoder)
        usual = Schedule().of_association(len(train.y), settings.n_cells)
        for competition in ("softmax", "circuit"):
            parameters |= {"competition": competition, "schedule__association_epochs": usual}
            network = BioClassifier(**parameters).fit(*train)
            for readout in COMPARED_READOUTS:
                yield Found(competition, f"accuracy {readout}", score(network, readout, test), 1)
        yield from self._cells(network, test.X)
        for longer in progress((1, settings.longer), "length"):
            if longer > 1:
                parameters["schedule__association_epochs"] = usual * longer
                network = BioClassifier(**parameters).fit(*train)
            circuit = inhibitory_cells(network)
            for readout in COMPARED_READOUTS:
                yield Found("stability", f"accuracy {readout}", score(network, readout, test), longer)
            rates = network.network_.on_features.drive(network.transform(test.X))
            yield Found("stability", "log mean rate", float(np.log(rates.mean())), longer)
            for name, synapses in network.network_.association.pathways().items():
                rms = np.sqrt(np.mean(synapses.weights.astype(float) ** 2))
                yield Found("stability", f"log rms weight, {name}", float(np.log(rms)), longer)
            yield Found("stability", "residual", float(circuit.residual.max()), longer)

    @staticmethod
    def _cells(network: BioClassifier, X: np.ndarray) -> Iterator[Found]:
        circuit = inhibitory_cells(network)
        Y = network.network_.on_features.drive(network.transform(X))
        yield Found(CELLS, "share of rates active", analysis.fraction_active(Y))
        yield Found(CELLS, "E cells in use", float((Y.max(axis=0) > 0).mean()))
        yield Found(CELLS, "images without activity", float((Y.max(axis=1) == 0).mean()))
        for name, rates in (("E", Y), ("I", circuit.inhibitory_rates(Y))):
            correlation = analysis.pairwise_correlation(rates)
            yield Found(CELLS, f"correlation of {name} cells", correlation.mean)
            yield Found(CELLS, f"sd of correlation of {name} cells", correlation.sd)
            mean = rates.mean(axis=0, dtype=float)
            mean = mean[mean > 0]
            fits = analysis.fit_weight_distribution(mean)
            lognormal = fits[fits.distribution == "lognormal"].iloc[0]
            yield Found(CELLS, f"sd of log rate, {name} cells", float(np.log(mean).std()))
            yield Found(CELLS, f"skewness of log rate, {name} cells", analysis.log_moments(mean).skewness)
            yield Found(CELLS, f"KS of the lognormal, {name} cells", float(lognormal.ks), note=fits.distribution[0])
        indices = analysis.dale_indices(network.outgoing())
        for name, cells in (("E", "association"), ("I", "association_i")):
            yield Found(CELLS, f"Dale index, {name} cells", float(np.nanmin(indices[cells])))

    def verdict(self, frame: pd.DataFrame) -> Verdict:
        found = {
            readout: analysis.paired_difference(
                values_of(frame, "circuit", f"accuracy {readout}"), values_of(frame, "softmax", f"accuracy {readout}")
            )
            for readout in COMPARED_READOUTS
        }
        # not more than 1 point behind: the whole interval must lie above -1
        close = all(difference.low > -LARGEST_LOSS for difference in found.values())
        longest = frame.loc[frame["condition"] == "stability", "x"].max()
        drift = {
            measure: np.abs(
                values_of(frame, "stability", measure, longest) - values_of(frame, "stability", measure, 1)
            ).max()
            for measure in DRIFT
        }
        stable = all(drift[measure] <= limit for measure, limit in DRIFT.items())
        residual = frame.loc[frame["measure"] == "residual", "value"].max()

        def mean(measure: str) -> float:
            return float(values_of(frame, CELLS, measure).mean())

        dale = min(values_of(frame, CELLS, f"Dale index, {name} cells").min() for name in "EI")
        active = values_of(frame, CELLS, "share of rates active").max()
        passed = close and stable and active <= MOST_ACTIVE and residual <= RESIDUAL and dale == 1
        best = frame.loc[frame["measure"] == "KS of the lognormal, E cells", "note"]
        note = "\n".join(
            [
                *(
                    f"Circuit minus softmax, {readout}: {in_words(difference, '+.2f', unit=' points')}"
                    for readout, difference in found.items()
                ),
                f"Dale index {dale:.2f} (by construction); active at a time: {active:.1%} at most (goal "
                f"{MOST_ACTIVE:.0%}); largest residual {residual:.1g} (goal {RESIDUAL:g}).",
                f"Correlation of pairs: E {mean('correlation of E cells'):+.3f} ± "
                f"{mean('sd of correlation of E cells'):.3f}, I {mean('correlation of I cells'):+.3f} ± "
                f"{mean('sd of correlation of I cells'):.3f} (sd over pairs).",
                f"Rates of E cells: sd of log {mean('sd of log rate, E cells'):.2f}, skewness of log "
                f"{mean('skewness of log rate, E cells'):+.2f}, KS of the lognormal "
                f"{mean('KS of the lognormal, E cells'):.3f}, best law {', '.join(best)}; in use "
                f"{mean('E cells in use'):.1%}.",
                f"Largest drift to {longest:g} x the training: "
                + ", ".join(f"{measure} {value:.3f}" for measure, value in drift.items())
                + f" ({'' if stable else 'NOT '}stable).",
            ]
        )
        form = weak("pathways of fixed sign") if passed else NOT_SHOWN
        values = 100 * (values_of(frame, "circuit", "accuracy delta") - values_of(frame, "softmax", "accuracy delta"))
        return Verdict.of(values, form, passed, "points, circuit minus softmax, delta", note)

    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        for readout, colour in zip(COMPARED_READOUTS, ("#0072B2", "#D55E00"), strict=True):
            measure = f"accuracy {readout}"
            draw_mean(ax, curve_of(frame, "stability", measure), color=colour, marker="o", label=f"circuit, {readout}")
            softmax = values_of(frame, "softmax", measure).mean()
            ax.axhline(softmax, color=colour, linestyle="--", label=f"softmax, {readout}")
        ax.set(xlabel=self.x_name, ylabel="accuracy")
        lengths = sorted(frame["x"].dropna().unique())
        ax.set_xticks(lengths, labels=[f"{length:g}" for length in lengths])
        legend_beside(ax)
        return ax
