"""C1: does structural plasticity find a sparse network by itself, or does its threshold set the density? And how
accurate are others with as few synapses?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from .. import analysis
from ..baselines import BackpropMLP, make
from ..classifier import BioClassifier
from ..datasets import Dataset
from ..layers.protocols import Encoder
from ..layers.readout import WIRED
from .base import (
    NOT_SHOWN,
    SMALL,
    STRONG,
    TOLERATED_LOSS,
    Claim,
    Found,
    Images,
    Progress,
    Settings,
    Verdict,
    curve_of,
    draw_curve,
    split,
    values_of,
    weak,
)
from .networks import BriefMapClassifier, WatchedClassifier, magnitude_pruned, score

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Share of possible synapses that cortex realises, about.
CORTEX_DENSITY = 0.116
#: Goal: share of synapses left.
LARGEST_DENSITY = 0.12
#: A plateau is |d log density / d log theta| up to this, below a density of FULL, over this many decades of theta.
FLAT, FULL, PLATEAU_DECADES = 0.1, 0.9, 0.5
#: A silent mode is apart when the density of log w falls between the modes to this share of the lower one, and each
#: mode holds at least this share of the synapses.
DIP, SMALLEST_MODE = 0.8, 0.05
#: Log weights that the modes are looked for in.
N_MODES = 20_000
#: Perceptrons trained with few synapses, and their names in bioneuro.baselines; the pruned one is trained dense.
SPARSE_RIVALS = {"MLP fixed mask": "fixed-mask", "MLP SET": "set", "MLP RigL": "rigl"}
RIVALS = ("MLP pruned", *SPARSE_RIVALS)


class Modes(NamedTuple):
    """Two components of log w: ``dip``, least density between them over the lower peak (1: one mode only); ``share`` of
    the lower component; its ``centre``; BIC of one component minus that of two (positive: two describe it better)."""

    dip: float
    share: float
    centre: float
    bic_gain: float


def modes(log_values: ArrayLike, seed: int = 0) -> Modes:
    """Fit one and two normal components (a skewed law prefers two without having two modes, hence the dip)."""
    from sklearn.mixture import GaussianMixture

    values = np.asarray(log_values, float).ravel()
    values = np.random.default_rng(seed).permutation(values)[:N_MODES, None]
    one, two = (GaussianMixture(n, random_state=seed, n_init=2).fit(values) for n in (1, 2))
    low, high = np.argsort(two.means_.ravel())
    sd = np.sqrt(two.covariances_.ravel())
    near = [mean + s * np.linspace(-4, 4, 201) for mean, s in zip(two.means_.ravel(), sd, strict=True)]  # narrow ones
    grid = np.unique(np.concatenate([np.linspace(values.min(), values.max(), 1000), *near]))
    density = np.exp(two.score_samples(grid[:, None]))
    peaks = [i for i in range(1, len(grid) - 1) if density[i] >= density[i - 1] and density[i] > density[i + 1]]
    dip = 1.0
    if len(peaks) > 1:
        first, last = peaks[0], peaks[-1]
        dip = float(density[first:last].min() / min(density[first], density[last]))
    return Modes(dip, float(two.weights_[low]), float(two.means_[low, 0]), float(one.bic(values) - two.bic(values)))


def plateau(theta: ArrayLike, density: ArrayLike) -> float:
    """Decades of ``theta`` over which the density hardly changes, at most; 0 where it always does."""
    theta, density = np.log10(np.asarray(theta, float)), np.asarray(density, float)
    flat = np.abs(np.diff(np.log10(density)) / np.diff(theta)) <= FLAT
    flat &= density[:-1] < FULL
    widest = width = 0.0
    for is_flat, step in zip(flat, np.diff(theta), strict=True):
        width = width + step if is_flat else 0.0
        widest = max(widest, width)
    return widest


@dataclass(frozen=True)
class SparsitySettings(Settings):
    """``n_thetas`` silencing thresholds from 0.0055 to 0.55; ``densities`` of the rivals; ``tuning_epochs`` after
    pruning the perceptron."""

    n_thetas: int = 9
    tuning_epochs: int = 5
    densities: tuple[float, ...] = (0.03, 0.06, 0.12, 0.25, 0.5)

    @property
    def thetas(self) -> NDArray[np.float64]:
        return np.geomspace(0.0055, 0.55, self.n_thetas)


class EmergentSparsity(Claim[SparsitySettings]):
    """Density against the silencing threshold from a dense start, with and without growth, and what it costs."""

    number = "C1"
    title = "emergent sparsity"
    statement = (
        "From a dense start structural plasticity leaves at most 12 % of the synapses (cortex about 11.6 %) at no more "
        "than 0.5 points lost, and the density does not merely follow from the silencing threshold."
    )
    x_name = "silencing threshold θ"
    small = SparsitySettings(**SMALL, n_thetas=5, tuning_epochs=2, densities=(0.06, 0.25))
    full = SparsitySettings()

    def run(self, data: Dataset, seed: int, settings: SparsitySettings, progress: Progress) -> Iterator[Found]:
        train, validation, test = split(data, settings, seed)
        encoder = BioClassifier(**settings.encoder(seed)).fit_features(train.X).encoder_
        yield from self._rivals(train, test, seed, settings, progress)
        runs = [("dense", 0.0, 0)]
        n_grow = BioClassifier().n_grow
        runs += [(name, theta, n) for theta in settings.thetas for name, n in (("growth", n_grow), ("no growth", 0))]
        for condition, theta, grow in progress(runs, "thresholds"):
            network = WatchedClassifier(**settings.network(seed, theta=theta, n_grow=grow, encoder=encoder))
            network.fit(*train)
            yield Found(condition, "density", network.network_.association.synapses.density, theta)
            pathways = [W for name, W in network.network_.pathways().items() if name != WIRED]
            synapses, possible = sum(W.nnz for W in pathways), sum(W.n_post * W.n_pre for W in pathways)
            yield Found(condition, "density of all layers", synapses / possible, theta)
            yield Found(condition, "synapses", synapses, theta)
            for readout in ("delta", "votes"):
                yield Found(condition, f"accuracy {readout}", score(network, readout, test), theta)
            yield Found(condition, "validation accuracy", score(network, "delta", validation), theta)
            if condition == "dense":
                yield from self._modes(network, train.X, seed)
            if condition == "growth":
                yield from self._growth(network, theta)
        yield from self._over_training(train, settings, seed, encoder)

    def _rivals(
        self, train: Images, test: Images, seed: int, settings: SparsitySettings, progress: Progress
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

    def _modes(self, network: BioClassifier, X: NDArray, seed: int) -> Iterator[Found]:
        """Of log w where nothing was cut, relative to each cell's strongest; and of the features learned from."""
        W = network.weights()["association"]
        relative = W.data / W.max(axis=1).toarray().ravel()[analysis.row_index(W)]
        H = network.transform(X)
        features = (H / H.max(axis=1, keepdims=True)).ravel()
        for condition, values in (("weights", relative), ("features", features)):
            found = modes(np.log(values[values > 0]), seed)
            for name in Modes._fields:
                yield Found(condition, f"mode {name}", getattr(found, name))
        yield Found("weights", "sd of log w", float(np.std(np.log(relative[relative > 0]))))

    def _growth(self, network: BioClassifier, theta: float) -> Iterator[Found]:
        association = network.network_.association
        born = sum(n for *_, n, _ in association.rounds)
        weight = [w for *_, w in association.rounds if np.isfinite(w)]
        yield Found("growth", "born a step and cell", born / association.step / association.n_cells, theta)
        if weight:
            yield Found("growth", "weight at birth, of the strongest", float(np.median(weight)), theta)

    def _over_training(self, train: Images, settings: Settings, seed: int, encoder: Encoder) -> Iterator[Found]:
        """Density of each layer at the default threshold; x is the share of the layer's own training that is done.

        Map: after each pass. Association: after each round of structural plasticity. Readout: after each pass.
        """
        network = WatchedClassifier(**settings.network(seed, encoder=encoder)).fit(*train)
        association = network.network_.association
        rounds = {step: density for step, density, *_ in association.rounds}  # learning ends with another round
        for step, density in rounds.items():
            yield Found("training, association", "density", density, step / association.step)
        brief = BriefMapClassifier(**settings.encoder(seed))
        for done, name, found in (*brief.over_map_passes(train.X), *network.passes_):
            yield Found(f"training, {name}", "density", found.stored, done)
            yield Found(f"training, {name}", "density above threshold", found.above, done)

    def verdict(self, frame: pd.DataFrame) -> Verdict:
        dense_validation = values_of(frame, "dense", "validation accuracy")
        validation = curve_of(frame, "growth", "validation accuracy").mean(axis=1)
        densities = curve_of(frame, "growth", "density")
        # theta is chosen on validation images, one for all seeds: the sparsest network that costs little there
        affordable = validation.index[dense_validation.mean() - validation.to_numpy() <= TOLERATED_LOSS]
        theta = densities.loc[affordable].mean(axis=1).idxmin() if len(affordable) else validation.idxmax()
        left = values_of(frame, "growth", "density", theta)
        lost = analysis.paired_difference(
            values_of(frame, "dense", "accuracy delta"), values_of(frame, "growth", "accuracy delta", theta)
        )
        widths = {name: plateau(*_mean_curve(frame, name)) for name in ("growth", "no growth")}
        silent, features = self._has_modes(frame, "weights"), self._has_modes(frame, "features")
        if max(widths.values()) < PLATEAU_DECADES and not silent:
            form = NOT_SHOWN
        elif features:
            form = weak("inputs that are themselves silent or not (the features have two modes, too)")
        else:
            form = STRONG
        passed = form != NOT_SHOWN and np.mean(left) <= LARGEST_DENSITY and lost.high <= TOLERATED_LOSS
        theta_slope = _slope(*_mean_curve(frame, "growth"))
        note = (
            f"At theta {theta:.3g} (chosen on validation): {100 * lost.mean:.2f} points lost "
            f"[{100 * lost.low:.2f}, {100 * lost.high:.2f}] against the dense network; goal 12 % at 0.5 points.\n"
            f"Plateau of the density: {widths['growth']:.2f} decades of theta with growth, {widths['no growth']:.2f} "
            f"without ({PLATEAU_DECADES} needed); slope of log density on log theta {theta_slope:.2f}.\n"
            f"Modes of log w where nothing was cut: dip {_mean(frame, 'weights', 'mode dip'):.2f}, lower mode "
            f"{_mean(frame, 'weights', 'mode share'):.0%} at {np.exp(_mean(frame, 'weights', 'mode centre')):.2g} of "
            f"the strongest; of the features: dip {_mean(frame, 'features', 'mode dip'):.2f} (apart below {DIP}).\n"
            f"Growth at that theta: {np.mean(values_of(frame, 'growth', 'born a step and cell', theta)):.3g} synapses "
            "a step and cell, born at "
            f"{_mean_or_nan(values_of(frame, 'growth', 'weight at birth, of the strongest', theta)):.2g} of the "
            "strongest (the multiplicative rule cannot leave 0, so that weight is set, not learned).\n"
            f"{self._by_layer(frame)}\n{self._against_rivals(frame, theta)}"
        )
        return Verdict.of(left, form, passed, "of the synapses left", note)

    @staticmethod
    def _by_layer(frame: pd.DataFrame) -> str:
        """Density of each layer when its training ends, at the default threshold."""
        conditions = [name for name in frame["condition"].unique() if name.startswith("training, ")]
        layers = []
        for condition in conditions:
            stored, above = (
                curve_of(frame, condition, measure).mean(axis=1) for measure in ("density", "density above threshold")
            )
            pruning_would = f" ({above.iloc[-1]:.3f} not below the threshold)" if len(above) else ""
            layers.append(f"{condition.removeprefix('training, ')} {stored.iloc[-1]:.3f}{pruning_would}")
        return f"Density by layer after training at the default theta: {', '.join(layers)}."

    @staticmethod
    def _against_rivals(frame: pd.DataFrame, theta: float) -> str:
        """Accuracy at the same share of all possible synapses, between the rivals' densities along its logarithm."""
        ours = values_of(frame, "growth", "accuracy delta", theta)
        density = values_of(frame, "growth", "density of all layers", theta)
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
                f"ours {100 * against.mean:+.1f} points [{100 * against.low:+.1f}, {100 * against.high:+.1f}]"
            )
        low, high = curve.index.min(), curve.index.max()
        beyond = "" if low <= density.min() and density.max() <= high else f" (theirs end at {low:g} and {high:g})"
        n_ours, n_theirs = (
            values_of(frame, *name).mean() for name in (("growth", "synapses", theta), ("MLP", "synapses"))
        )
        return (
            f"Rivals of the same density of all layers together, {density.mean():.3f}{beyond} (not of the same number "
            f"of synapses: ours {n_ours:,.0f}, theirs {density.mean() * n_theirs:,.0f}): {'; '.join(compared)}."
        )

    @staticmethod
    def _has_modes(frame: pd.DataFrame, condition: str) -> bool:
        share = _mean(frame, condition, "mode share")
        return _mean(frame, condition, "mode dip") < DIP and SMALLEST_MODE <= share <= 1 - SMALLEST_MODE

    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        """Accuracy against the density of the whole network; beside it that of the association against theta."""
        lines = (
            ("growth", "accuracy delta", "ours, delta readout", "#D55E00", "o"),
            ("growth", "accuracy votes", "ours, votes", "#E69F00", "o"),
            ("MLP pruned", "accuracy", "MLP pruned and fine-tuned", "0.35", "s"),
            ("MLP RigL", "accuracy", "MLP, RigL", "#0072B2", "^"),
            ("MLP SET", "accuracy", "MLP, SET", "#56B4E9", "v"),
            ("MLP fixed mask", "accuracy", "MLP, fixed mask", "#009E73", "x"),
        )
        for condition, measure, label, colour, marker in lines:
            curve = curve_of(frame, condition, measure)
            if condition == "growth":
                curve.index = curve_of(frame, condition, "density of all layers").mean(axis=1).to_numpy()
            draw_curve(ax, curve, color=colour, marker=marker, markersize=4, label=label)
        for condition, measure, label, style in (
            ("dense", "accuracy delta", "ours, nothing pruned", "--"),
            ("MLP", "accuracy", "MLP, dense", ":"),
        ):
            ax.axhline(_mean(frame, condition, measure), color="0.3", linewidth=1, linestyle=style, label=label)
        ax.set(xscale="log", xlabel="density of all layers together", ylabel="accuracy")
        ax.legend(frameon=False, fontsize=7, loc="lower left", bbox_to_anchor=(1.0, 0.0))
        beside = ax.inset_axes((1.12, 0.62, 0.26, 0.38))  # as wide as the legend under it, which makes the room
        for condition, style in (("growth", "-"), ("no growth", ":")):
            theta, density = _mean_curve(frame, condition)
            beside.plot(theta, density, color="0.2", linestyle=style, label=condition)
        beside.axhline(CORTEX_DENSITY, color="0.7", linewidth=1, label="cortex, about 11.6 %")
        beside.set(xscale="log", ylim=(0, 1.02))
        beside.set_xlabel(self.x_name, fontsize=7)
        beside.set_ylabel("density, association", fontsize=7)
        beside.tick_params(labelsize=6)
        beside.legend(frameon=False, fontsize=6)
        return ax


def _mean(frame: pd.DataFrame, condition: str, measure: str) -> float:
    return float(values_of(frame, condition, measure).mean())


def _mean_or_nan(values: NDArray) -> float:
    return float(values.mean()) if values.size else float("nan")


def _mean_curve(frame: pd.DataFrame, condition: str) -> tuple[NDArray, NDArray]:
    curve = curve_of(frame, condition, "density").mean(axis=1)
    return curve.index.to_numpy(), curve.to_numpy()


def _slope(theta: NDArray, density: NDArray) -> float:
    return float(stats.linregress(np.log(theta), np.log(density)).slope)
