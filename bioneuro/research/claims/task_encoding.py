"""C7: does one top-down gain move the cells from encoding the stimulus to encoding the task?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from ... import analysis, fewshot
from ...classifier import BioClassifier
from ...datasets import Dataset
from ...supervision import Supervision
from .claim import Claim, Track
from .controls import hidden_rates, score
from .rows import Found, curve_of, draw_mean, legend_beside, values_of
from .settings import SMALL, Images, Settings, split_images
from .verdict import NOT_SHOWN, STRONG, Verdict

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Passes over the training images after which the code is measured.
PASSES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
#: Shuffles of the labels: the information that the estimator finds where there is none.
N_SHUFFLES = 20


@dataclass(frozen=True)
class TaskSettings(Settings):
    """``kappas`` to try, from 0 (no feedback) to about the spread of the drive: beyond it the label decides alone, and
    nothing changes any more. Few cells: where classes have cells to spare the label has nothing to decide (with 200
    cells and gains to 1.6 nothing moved). ``n_episodes`` of few-shot transfer."""

    n_cells: int = 30
    kappas: tuple[float, ...] = (0.0, 0.15, 0.3, 0.6, 1.2)
    n_episodes: int = 300
    n_shot: int = 5
    n_query: int = 10


class TaskEncoding(Claim[TaskSettings]):
    """Information in the winner's identity, accuracy and transfer to new classes against the gain of the labels."""

    number = "C7"
    title = "feature to task"
    statement = (
        "Where cells are few, one top-down gain kappa moves them from feature- to task-specific: what the winner says "
        "about the label rises with kappa and what it says about the stimulus beyond the label falls, both "
        "monotonically."
    )
    x_name = "top-down gain κ"
    small = TaskSettings(**SMALL | {"n_test": 400}, n_cells=30, kappas=(0.0, 0.3, 1.2), n_episodes=20)
    full = TaskSettings()

    def run(self, data: Dataset, seed: int, settings: TaskSettings, progress: Track) -> Iterator[Found]:
        train, _, test = split_images(data, settings, seed)
        encoder = BioClassifier(**settings.encoder(seed)).fit_features(train.X).encoder_
        votes = {"encoder": encoder, "readout": "votes"}
        classes = np.random.default_rng(seed).permutation(np.unique(data.y_train))
        known, new = classes[: classes.size // 2], classes[classes.size // 2 :]
        rng = np.random.default_rng([seed, 1])
        for kappa in progress(settings.kappas, "kappa"):
            network = BioClassifier(**settings.network(seed, supervision__kappa=kappa, encoder=encoder)).fit(*train)
            H = network.transform(test.X)
            winner = network.network_.on_features.drive(H).argmax(axis=1)
            found = analysis.discrete_information(winner, test.y)
            yield from self._encoding("all classes", found, kappa)
            yield Found("all classes", "correction of I(label; Z)", found.correction, kappa)
            shuffled = analysis.shuffled_information(winner, test.y, rng, N_SHUFFLES)
            yield Found("shuffled labels", "I(label; Z)", float(shuffled.mean()), kappa)
            for readout in ("delta", "votes"):
                yield Found("all classes", f"accuracy {readout}", score(network, readout, test), kappa)
            seen = np.isin(train.y, known)
            network = BioClassifier(**settings.network(seed, **votes, supervision__kappa=kappa))
            network.fit(train.X[seen], train.y[seen])
            yield Found("new classes", "few-shot accuracy", self._transfer(network, test, new, seed, settings), kappa)
        for condition, kappa in (("training", Supervision().kappa), ("training, no feedback", 0.0)):
            network = BioClassifier(**settings.network(seed, **votes, supervision__kappa=kappa))
            network.set_params(growth__vigilance=None)  # as fit learns
            yield from self._over_training(condition, network, train, test, seed)

    @staticmethod
    def _encoding(condition: str, found: analysis.DiscreteInformation, x: float) -> Iterator[Found]:
        """The winner is a function of the stimulus, so I(stimulus; Z | label) = H(Z | label)."""
        yield Found(condition, "I(label; Z)", found.information, x)
        yield Found(condition, "H(Z | label)", found.conditional, x)

    def _over_training(
        self, condition: str, network: BioClassifier, train: Images, test: Images, seed: int
    ) -> Iterator[Found]:
        """The same code as the network learns, image after image."""
        order = np.random.default_rng(seed).permutation(len(train.y))
        shown = 0
        for passes in PASSES:
            rows = order[np.arange(shown, round(passes * len(order))) % len(order)]
            network.partial_fit(train.X[rows], train.y[rows], classes=np.unique(train.y) if not shown else None)
            shown += len(rows)
            winner = network.network_.on_features.drive(network.transform(test.X)).argmax(axis=1)
            yield from self._encoding(condition, analysis.discrete_information(winner, test.y), passes)

    def _transfer(self, network: BioClassifier, test: Images, new: NDArray, seed: int, settings: TaskSettings) -> float:
        """Accuracy on episodes of classes that the association never saw: nearest mean of its activity."""
        from sklearn.neighbors import NearestCentroid

        unseen = np.isin(test.y, new)
        activity = hidden_rates(network, test.X[unseen])
        fewest = np.unique(test.y[unseen], return_counts=True)[1].min()
        episodes = fewshot.EpisodeSampler(
            activity,
            test.y[unseen],
            n_way=len(new),
            n_shot=settings.n_shot,
            n_query=min(settings.n_query, fewest - settings.n_shot),
            n_episodes=settings.n_episodes,
            random_state=seed,
        )
        return float(fewshot.evaluate(NearestCentroid(), episodes)["accuracy"].mean())

    def verdict(self, frame: pd.DataFrame) -> Verdict:
        label, stimulus = (curve_of(frame, "all classes", measure) for measure in ("I(label; Z)", "H(Z | label)"))
        trends = {name: _trend(curve) for name, curve in (("label", label), ("stimulus", stimulus))}
        rises, falls = (analysis.mean_interval(trend) for trend in trends.values())
        gain, loss = label.iloc[-1] - label.iloc[0], stimulus.iloc[-1] - stimulus.iloc[0]
        back = {
            "label": float((-np.diff(label.mean(axis=1))).clip(0).max()),
            "stimulus": float(np.diff(stimulus.mean(axis=1)).clip(0).max()),
        }
        # one family of two tests: a trend over the seeds in each of the two directions
        p = analysis.holm([_p_value(gain), _p_value(-loss)])
        moves = (p <= 0.05).all() and rises.low > 0 and falls.high < 0
        monotonic = max(back.values()) == 0
        form = STRONG if moves else NOT_SHOWN
        lost = {
            measure: curve_of(frame, condition, measure)
            for condition, measure in (
                ("all classes", "accuracy delta"),
                ("all classes", "accuracy votes"),
                ("new classes", "few-shot accuracy"),
            )
        }
        kappas = label.index
        changes = "; ".join(
            f"{measure} {100 * curve.iloc[0].mean():.1f} % to {100 * curve.iloc[-1].mean():.1f} %"
            for measure, curve in lost.items()
        )
        note = (
            f"I(label; Z) {label.iloc[0].mean():.2f} to {label.iloc[-1].mean():.2f} bits, H(Z | label) "
            f"{stimulus.iloc[0].mean():.2f} to {stimulus.iloc[-1].mean():.2f} bits from kappa {kappas[0]:g} to "
            f"{kappas[-1]:g}; Holm-adjusted p {p[0]:.2g} and {p[1]:.2g}.\n"
            f"Rank correlation with kappa: {rises.mean:+.2f} and {falls.mean:+.2f}; largest step back of the means "
            f"{back['label']:.3f} and {back['stimulus']:.3f} bits ({'' if monotonic else 'NOT '}monotonic).\n"
            "Bias: the Miller-Madow term took "
            f"{values_of(frame, 'all classes', 'correction of I(label; Z)').mean():.2f} bits from I(label; Z); with "
            "shuffled labels it still finds "
            f"{values_of(frame, 'shuffled labels', 'I(label; Z)').mean():.2f} bits.\n"
            f"Trade-off over the same range: {changes}.\n"
            f"Over training, {PASSES[0]:g} to {PASSES[-1]:g} passes: {self._course(frame, 'training')} at kappa "
            f"{Supervision().kappa:g}; {self._course(frame, 'training, no feedback')} at kappa 0."
        )
        return Verdict.of(gain.to_numpy(), form, bool(moves and monotonic), "bits more about the label", note)

    @staticmethod
    def _course(frame: pd.DataFrame, condition: str) -> str:
        measures = ("I(label; Z)", "H(Z | label)")
        curves = {measure: curve_of(frame, condition, measure).mean(axis=1) for measure in measures}
        return ", ".join(f"{measure} {curve.iloc[0]:.2f} to {curve.iloc[-1]:.2f}" for measure, curve in curves.items())

    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        lines = (("all classes", "I(label; Z)", "#0072B2", "-"), ("all classes", "H(Z | label)", "#D55E00", "-"))
        for condition, measure, colour, dash in lines:
            draw_mean(ax, curve_of(frame, condition, measure), color=colour, linestyle=dash, marker="o", label=measure)
        shuffled = curve_of(frame, "shuffled labels", "I(label; Z)")
        draw_mean(ax, shuffled, color="0.6", linestyle=":", label="I(label; Z), shuffled labels")
        right = ax.twinx()
        for condition, measure, colour in (
            ("all classes", "accuracy delta", "#009E73"),
            ("new classes", "few-shot accuracy", "#CC79A7"),
        ):
            curve = curve_of(frame, condition, measure)
            draw_mean(right, curve, color=colour, linestyle="--", marker="s", label=measure)
        ax.set(xlabel=self.x_name, ylabel="bits")
        ax.set_xscale("symlog", linthresh=0.3)
        right.set(ylabel="accuracy", ylim=(0, 1.02))
        handles = [handle for axes in (ax, right) for handle in axes.get_legend_handles_labels()[0]]
        legend_beside(ax, handles, left=1.14)
        return ax


def _trend(curve: pd.DataFrame) -> NDArray[np.float64]:
    """Rank correlation (Spearman) with x, one for each seed; 0 where nothing changes."""
    found = [stats.spearmanr(curve.index, values).statistic if np.ptp(values) else 0.0 for _, values in curve.items()]
    return np.array(found)


def _p_value(change: pd.Series) -> float:
    """One-sided: is the change over the seeds above 0."""
    test = analysis.paired_difference(change.to_numpy(), np.zeros(len(change)))
    if np.isnan(test.p_value):
        return 1.0
    return test.p_value / 2 if test.mean > 0 else 1 - test.p_value / 2
