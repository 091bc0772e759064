"""C2: do the weights become lognormal by learning, or only because the noise is proportional to size?"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse, stats

from .. import analysis
from ..classifier import BioClassifier
from ..connectivity import Constant, dense
from ..datasets import Dataset
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
    split,
    values_of,
    weak,
)
from .networks import AdditiveHebbClassifier, AdditiveNoiseClassifier, StartedMLP

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

STARTS = ("uniform", "half_normal", "lognormal", "constant")
#: Goals: sigma of log w (cortex 0.9355), |skewness| of log w below, KS distance up to.
SIGMAS, LARGEST_SKEWNESS, LARGEST_KS = (0.7, 1.3), 0.5, 0.05
#: Exponent of superlinear potentiation. It and the floor were found by the law of the weights on MNIST, seeds 0 to 2
#: (floor 0.03 left log w too skewed, 0.05 not clearly lognormal): other seeds and data sets are their test.
SUPERLINEAR = 4
#: Control of it: the same target, to which w relaxes where the rule relaxes log w.
ADDITIVE = "additive Hebb, superlinear"
#: Level of the tests, after Holm's correction over the starts.
ALPHA = 0.05
#: Steps of the bare noise on constant input: many times its time constant.
BARE_STEPS = 60
#: Images of the step whose changes are looked at, and the smallest plasticity of a cell that is.
CHANGE_BATCH, SMALLEST_ALPHA = 256, 0.01


def superlinear(exponent: float) -> dict[str, float]:
    """Parameters of a network whose weights go to a power of their input.

    Sharper cells spread their drive more: the gain of the competition falls with the exponent, and the top-down drive
    keeps its share.
    """
    return {
        "hebbian_exponent": exponent,
        "hebbian_floor": 0.04,
        "beta": 240 / exponent,
        "kappa": 0.1 * exponent,
    }


def describe(condition: str, W: Any, theta: float, seed: int, n_cells: int) -> Iterator[Found]:
    """Laws fitted to the excitatory weights of ``n_cells`` random cells.

    Parameters
    ----------
    condition : str
    W : sparse array (n_post, n_pre)
        Negative weights are left out.
    theta : float in [0, 1)
        Weights below ``theta`` times their row's largest were silenced: every law is left-truncated there.
    seed : int
        Of the draw of the cells.
    n_cells : int
        Cells, not single weights, are the independent witnesses.
    """
    W = sparse.csr_array(W, dtype=float)
    cells = np.random.default_rng(seed).permutation(W.shape[0])[:n_cells]
    W = sparse.csr_array(W[np.sort(cells)])
    cut = analysis.row_thresholds(W, theta) if theta else np.zeros(W.nnz)
    kept = W.data > 0
    weights, groups = W.data[kept], analysis.row_index(W)[kept]
    threshold = cut[kept] if theta else None
    moments = analysis.log_moments(weights)
    yield Found(condition, "sd of log w", moments.sd)
    if moments.sd < 1e-6:  # equal up to rounding: there is no law to speak of
        return
    fit = analysis.fit_weight_distribution(weights, threshold=threshold)
    lognormal = fit[fit["distribution"] == "lognormal"].iloc[0]
    rival = next(name for name in fit["distribution"] if name != "lognormal")
    test = analysis.vuong(weights, "lognormal", rival, threshold=threshold, groups=groups)
    yield Found(condition, "AIC behind best", lognormal.aic - fit["aic"].min(), note=fit["distribution"][0])
    yield Found(condition, "log-likelihood ratio", test.mean_log_ratio, note=rival)
    if np.isfinite(test.statistic):  # equal cells are one witness
        yield Found(condition, "Vuong statistic", test.statistic, note=rival)
    yield Found(condition, "fitted sigma", lognormal.params["s"])
    yield Found(condition, "skewness of log w", moments.skewness)
    yield Found(condition, "KS distance", lognormal.ks)


def size_of_change(network: BioClassifier, images: Images) -> float:
    """Slope of log|dw| on log w within cells, over one learning step without noise (cortex: 1, Loewenstein 2011)."""
    images = Images(*(part[:CHANGE_BATCH] for part in images))
    layer = copy.deepcopy(network.network_.association)
    layer.sigma = layer.recruitment = 0.0  # a recruited cell is made anew, that is no change of its synapses
    T = np.eye(len(network.classes_), dtype=layer.synapses.dtype)[np.searchsorted(network.classes_, images.y)]
    before = layer.synapses.weights.astype(float)
    alpha = layer.learn(network.transform(images.X), T).alpha
    rows = analysis.row_index(layer.synapses.to_scipy())
    change = np.abs(layer.synapses.weights - before)
    moved = (alpha[rows] > SMALLEST_ALPHA) & (change > 0)
    x, y = np.log(before[moved]), np.log(change[moved])
    cell = np.unique(rows[moved], return_inverse=True)[1]
    n = np.bincount(cell)
    x, y = (v - (np.bincount(cell, v) / n)[cell] for v in (x, y))  # cells differ in how fast they learn
    return float(stats.linregress(x, y).slope)


def bare_noise(sigma: float, seed: int, n_cells: int = 60, n_inputs: int = 200) -> sparse.csr_array:
    """Weights under the plasticity rule on constant input: what the noise alone makes, with nothing to learn."""
    synapses = dense(n_cells, n_inputs, Constant(1 / np.sqrt(n_inputs)), sign="E", dtype=np.float64)
    c = np.ones(n_cells)
    G = np.full(synapses.nnz, 1 / np.sqrt(n_inputs))
    for step in range(BARE_STEPS):
        synapses.plasticity_step(G, c, eta=0.3, sigma=sigma, seed=seed, step=step)
    return synapses.to_scipy()


@dataclass(frozen=True)
class LognormalSettings(Settings):
    """``sigma`` of the noise where it is on; ``n_described`` cells are fitted; ``exponents`` between those of the
    default network and of the superlinear one."""

    sigma: float = 0.4
    n_described: int = 100
    exponents: tuple[float, ...] = (2.0, 3.0)


class LognormalWeights(Claim[LognormalSettings]):
    """Laws of the weights from four starts, noise off and on, beside everything that could fake a lognormal."""

    number = "C2"
    title = "lognormal weights"
    statement = (
        "From every start the weights that are not silent are best described by a lognormal (sigma 0.7 to 1.3, "
        "|skewness| of log w < 0.5, KS <= 0.05) at no more than 0.5 points of accuracy: with the noise off, by the "
        "default rule or by superlinear potentiation, or only with noise."
    )
    small = LognormalSettings(**SMALL, n_described=20)
    full = LognormalSettings()

    def run(self, data: Dataset, seed: int, settings: LognormalSettings, progress: Progress) -> Iterator[Found]:
        train, _, test = split(data, settings, seed)
        maps = {start: BioClassifier(**settings.encoder(seed, init=start)).fit_features(train.X) for start in STARTS}
        encoder = maps["uniform"].encoder_  # the same for all: what differs then is the association's own doing
        for start, found in maps.items():
            W = found.encoder_.columns.synapses.to_scipy()
            yield from describe(f"map, {start}", W, 0, seed, settings.n_described)

        networks: dict[str, BioClassifier] = {}
        uncut = {"theta": 0.0, "n_grow": 0}
        runs: list[tuple[str, type[BioClassifier], dict[str, Any]]]
        runs = [(f"{start}, noise off", BioClassifier, {"init": start}) for start in STARTS]
        runs += [(f"{start}, noise on", BioClassifier, {"init": start, "sigma": settings.sigma}) for start in STARTS]
        runs += [
            (f"{start}, superlinear", BioClassifier, {"init": start, **superlinear(SUPERLINEAR)}) for start in STARTS
        ]
        runs += [(f"exponent {p:g}", BioClassifier, superlinear(p)) for p in settings.exponents]
        runs += [
            (ADDITIVE, AdditiveHebbClassifier, superlinear(SUPERLINEAR)),
            ("noise off, nothing cut", BioClassifier, uncut),
            ("noise on, nothing cut", BioClassifier, {"sigma": settings.sigma, **uncut}),
            ("additive noise", AdditiveNoiseClassifier, {"sigma": settings.sigma}),
        ]
        for condition, kind, parameters in progress(runs, "starts and noise"):
            network = kind(**settings.network(seed, encoder=encoder, **parameters)).fit(*train)
            networks[condition] = network
            W = network.weights()["association"]
            yield from describe(condition, W, network.theta, seed, settings.n_described)
            yield Found(condition, "accuracy", network.score(*test))

        # where nothing is cut: a cut bounds the variance whatever the noise
        clean, noisy = (
            analysis.log_moments(networks[f"noise {n}, nothing cut"].weights()["association"]).sd for n in ("off", "on")
        )
        yield Found("noise", "share of Var(log w)", 1 - (clean / noisy) ** 2)
        for rule, name in (("noise off", "default"), ("superlinear", "superlinear")):
            slope = size_of_change(networks[f"uniform, {rule}"], train)
            yield Found(f"change, {name}", "slope of log|dw| on log w", slope)
        for name, sigma in (("off", 0.0), ("on", settings.sigma)):
            yield from describe(f"constant input, noise {name}", bare_noise(sigma, seed), 0, seed, settings.n_described)

        for start in progress(STARTS, "perceptrons"):
            mlp = StartedMLP(random_state=seed, n_epochs=settings.mlp_epochs)
            mlp.init = start
            mlp.fit(*train)
            yield from describe(f"MLP, {start}", mlp.weights()["hidden_1"], 0, seed, settings.n_described)
            yield Found(f"MLP, {start}", "accuracy", mlp.score(*test))

    def verdict(self, frame: pd.DataFrame) -> Verdict:
        if self._holds(frame, "noise off"):
            form, decided = STRONG, "by the default rule"
        elif self._holds(frame, "superlinear"):
            form, decided = STRONG, f"by superlinear potentiation (exponent {SUPERLINEAR}); not by the default rule"
            # the same target learned additively: where that is lognormal, too, the law is the target's
            if values_of(frame, ADDITIVE, "log-likelihood ratio").mean() > 0:
                form = weak("a power of the mean input, whether it is learned in w or in log w")
        elif self._holds(frame, "noise on"):
            form, decided = weak("noise in proportion to size"), "only with noise"
        else:
            form, decided = NOT_SHOWN, "in no form"
        maps = all(_laws(frame, f"map, {start}").keys() == {"lognormal"} for start in STARTS)
        ratios = np.mean(
            [values_of(frame, f"{start}, superlinear", "log-likelihood ratio") for start in STARTS], axis=0
        )
        slopes = [
            f"{name} {values_of(frame, f'change, {name}', 'slope of log|dw| on log w').mean():.2f}"
            for name in ("default", "superlinear")
        ]
        note = "\n".join(
            [
                f"Association lognormal from every start, of cortical shape, at no loss of accuracy: {decided}.",
                "The exponent and the floor were found on MNIST, seeds 0 to 2: other seeds and data are their test.",
                *(
                    self._line(frame, f"{start}, {rule}")
                    for rule in ("superlinear", "noise off", "noise on")
                    for start in STARTS
                ),
                *(self._line(frame, c) for c in dict.fromkeys(frame["condition"]) if c.startswith("exponent")),
                self._line(frame, ADDITIVE),
                *(self._line(frame, f"noise {noise}, nothing cut") for noise in ("off", "on")),
                self._line(frame, "additive noise"),
                self._line(frame, "constant input, noise on"),
                "Share of Var(log w) that the noise adds, nothing cut: "
                f"{values_of(frame, 'noise', 'share of Var(log w)').mean():.2f}; slope of log|dw| on log w, noise off: "
                f"{', '.join(slopes)} (cortex 1).",
                *(self._line(frame, f"{layer}, {start}") for layer in ("map", "MLP") for start in STARTS),
                "An association cell that is recruited takes an input over and forgets its start. The map has no noise "
                "and no recruitment.",
            ]
        )
        unit = f"log-likelihood per weight, lognormal minus best other law, noise off, exponent {SUPERLINEAR}"
        passed = form != NOT_SHOWN and maps
        return Verdict.of(
            ratios, form if passed or form == NOT_SHOWN else f"{form}, but not in the map", passed, unit, note
        )

    @staticmethod
    def _holds(frame: pd.DataFrame, rule: str) -> bool:
        """Whether the lognormal wins from every start, has cortical shape and costs no accuracy."""
        p_values, shape = [], True
        for start in STARTS:
            condition = f"{start}, {rule}"
            ratio = values_of(frame, condition, "log-likelihood ratio")
            against_none = analysis.paired_difference(ratio, np.zeros_like(ratio))
            p_values.append(against_none.p_value if against_none.mean > 0 else 1.0)
            sigma, skewness, ks = (
                values_of(frame, condition, measure).mean()
                for measure in ("fitted sigma", "skewness of log w", "KS distance")
            )
            lost = values_of(frame, f"{start}, noise off", "accuracy") - values_of(frame, condition, "accuracy")
            shape &= SIGMAS[0] <= sigma <= SIGMAS[1] and abs(skewness) < LARGEST_SKEWNESS and ks <= LARGEST_KS
            shape &= lost.mean() <= TOLERATED_LOSS
        return bool(shape and (analysis.holm(p_values) <= ALPHA).all())

    @staticmethod
    def _line(frame: pd.DataFrame, condition: str) -> str:
        laws = ", ".join(f"{law} {n}" for law, n in _laws(frame, condition).most_common()) or "all equal"

        def mean(measure: str) -> float:
            values = values_of(frame, condition, measure)
            return float(values.mean()) if values.size else float("nan")

        accuracy = values_of(frame, condition, "accuracy")
        scored = f", accuracy {100 * accuracy.mean():.1f} %" if accuracy.size else ""
        return (
            f"{condition}: best law {laws}; lognormal sigma {mean('fitted sigma'):.2f}, skewness of log w "
            f"{mean('skewness of log w'):+.2f}, KS {mean('KS distance'):.3f}{scored}"
        )

    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        conditions = [c for c in dict.fromkeys(frame["condition"]) if values_of(frame, c, "log-likelihood ratio").size]
        for place, condition in enumerate(conditions):
            interval = analysis.mean_interval(values_of(frame, condition, "log-likelihood ratio"))
            error = None if np.isnan(interval.half_width) else interval.half_width
            ax.errorbar(interval.mean, place, xerr=error, fmt="o", color="#0072B2", capsize=3, markersize=4)
        ax.axvline(0, color="0.4", linewidth=1)
        ax.set_yticks(range(len(conditions)), labels=conditions, fontsize=7)
        ax.invert_yaxis()
        ax.set_xscale("symlog", linthresh=0.01)
        ax.set_xlabel("log-likelihood per weight, lognormal minus best other law")
        return ax


def _laws(frame: pd.DataFrame, condition: str) -> Counter[str]:
    """How many seeds each law is the best of."""
    rows = frame[(frame["condition"] == condition) & (frame["measure"] == "AIC behind best")]
    return Counter(rows["note"])
