"""CS: how much information does a synapse that is not silent hold, compared with backpropagation?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from ... import analysis
from ...baselines import BackpropMLP, NonNegativeMLP
from ...classifier import BioClassifier
from ...datasets import Dataset
from ...layers import UnitNorm
from ...network_estimator import OnEpoch
from ...rules import Turnover
from ..differences import in_words
from .claim import Claim, Track
from .controls import hidden_rates, magnitude_pruned, perceptron_rates, score
from .rows import Found, curve_of, draw_mean, legend_beside, values_of
from .settings import DENSE, SMALL, Images, Settings, split_images
from .verdict import NOT_SHOWN, STRONG, TOLERATED_LOSS, Verdict, weak

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Classes of the published setting.
CLASSES = (1, 2, 6)


class Published(NamedTuple):
    """A row of the table of Stricker, Roehrbein & Knoblauch 2026: test accuracy, I(X; Z) in bits, bits per synapse."""

    accuracy: float
    information: float
    capacity: float


#: By hidden cells, as public summaries quote the table of arXiv:2603.00588; the paper itself was not at hand. I / C_S
#: gives the synapses that were counted: 784 a hidden cell for backpropagation, so the hidden layer only and no bias;
#: 784 in all, one a pixel, for their rule at every size.
PUBLISHED: dict[int, dict[str, Published]] = {
    10: {
        "backpropagation": Published(0.9901, 22.50, 0.00287),
        "Chorowski": Published(0.9834, 16.10, 0.0108),
        "their rule": Published(0.6429, 12.80, 0.0163),
    },
    30: {
        "backpropagation": Published(0.9917, 127.62, 0.00543),
        "Chorowski": Published(0.9901, 72.99, 0.0222),
        "their rule": Published(0.8621, 52.18, 0.0666),
    },
    200: {
        "backpropagation": Published(0.9917, 518.79, 0.00331),
        "Chorowski": Published(0.9910, 402.91, 0.131),
        "their rule": Published(0.9555, 372.66, 0.475),
    },
}
#: Goal: their rule's accuracy at 200 hidden cells.
TARGET = PUBLISHED[200]["their rule"].accuracy
#: Noise of a rate, as a share of the cells' root mean square standard deviation, and others to see what it does.
NOISE, OTHER_NOISES = 0.1, (0.03, 0.3)
#: Of the network on raw pixels, for every size; chosen on validation images of MNIST. With more than this
#: ``readout_eta`` the readouts diverge at few cells of few synapses.
RULE: dict[str, Any] = {
    "image_shape": None, "mixing": 0, "supervision__eta": 0.0, "schedule__association_epochs": 4,
    "schedule__readout_epochs": 30, "schedule__readout_eta": 0.03,
}  # fmt: skip

# --- networks ----------------------------------------------------------------------------------------------


#: Our two forms of sparsity, by the synapses that compete: those onto a cell, by turnover, or those of an input.
OURS = ("by cell", "by input")
SHUFFLED, PRUNED = "by input, shuffled", "backpropagation, pruned"
BACKPROPAGATION, CHOROWSKI = "backpropagation", "Chorowski"


def inputs_compete(theta: float, *, shuffle: bool = False) -> OnEpoch:
    """For :meth:`BioClassifier.fit` without turnover: inputs compete for cells.

    After each pass a synapse of the association stays only if it has at least ``theta`` times the weight of the
    strongest one that its input makes (near 1: one synapse an input, but for ties). ``shuffle``: when learning ends,
    who meets whom is lost. Cells keep their weights, inputs their number of synapses (but for the few pairs that meet
    twice, which become one).
    """

    def on_epoch(model: BioClassifier, stage: str, done: int, n: int) -> None:
        if stage != "association" or not done:
            return
        layer = model.network_.association
        W = layer.synapses.to_scipy().copy()
        W.data[W.data < theta * W.max(axis=0).toarray().ravel()[W.indices]] = 0
        W.eliminate_zeros()
        if shuffle and done == n:
            inputs = np.random.default_rng([layer.seed, layer.step]).permutation(W.indices)
            W = sp.csr_array(sp.coo_array((W.data, (analysis.row_index(W), inputs)), W.shape))
        layer.synapses.replace_rows(np.arange(layer.n_cells), W)
        layer.synapses.normalize_rows()

    return on_epoch


def of_classes(data: Dataset) -> Dataset:
    """Only the images of :data:`CLASSES`."""
    train, test = np.isin(data.y_train, CLASSES), np.isin(data.y_test, CLASSES)
    return replace(
        data,
        X_train=data.X_train[train],
        y_train=data.y_train[train],
        X_test=data.X_test[test],
        y_test=data.y_test[test],
    )


# --- claim -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CapacitySettings(Settings):
    """Numbers of ``hidden`` cells; our two forms' rates of birth over death and thresholds of an input's synapses;
    ``sparsities`` of the constrained perceptron; ``tuning_epochs`` after pruning the plain one."""

    hidden: tuple[int, ...] = (10, 30, 200)
    births: tuple[float, ...] = (0.02, 0.25, 2.5)
    input_thetas: tuple[float, ...] = (0.8, 0.9, 0.999)
    sparsities: tuple[float, ...] = (0.3, 0.6, 1.0)
    tuning_epochs: int = 5


class SynapticCapacity(Claim[CapacitySettings]):
    """Information of the hidden layer over its synapses, against accuracy, for our rule and for backpropagation."""

    number = "CS"
    title = "synaptic capacity"
    statement = (
        "On classes 1, 2 and 6, raw pixels and one hidden layer, the rule reaches 95.55 % (their rule's accuracy at "
        "200 hidden cells) and holds more bits in a synapse that is not silent than backpropagation does, plain or "
        "constrained to few non-negative weights."
    )
    x_name = "births over deaths, or silencing threshold θ of an input"
    small = CapacitySettings(
        **SMALL, hidden=(5, 20), births=(0.02, 0.25), input_thetas=(0.8, 0.999), sparsities=(0.3,), tuning_epochs=2
    )
    full = CapacitySettings()

    def run(self, data: Dataset, seed: int, settings: CapacitySettings, progress: Track) -> Iterator[Found]:
        data = of_classes(data)
        parts = split_images(data, settings.fitted_to(data), seed)
        train, validation, test = parts
        encoder = UnitNorm(data.X_train.shape[1])
        xs = {"by cell": settings.births, "by input": settings.input_thetas}
        for n in progress(settings.hidden, "hidden cells"):
            largest = n == max(settings.hidden)

            def network(name: str, x: float, readout: str = "delta", n: int = n) -> BioClassifier:
                fresh = BioClassifier(**settings.network(seed, **RULE, n_cells=n, encoder=encoder, readout=readout))
                if name == "by cell":
                    return fresh.set_params(turnover__birth=x * Turnover().death).fit(*train)
                return fresh.set_params(**DENSE).fit(*train, on_epoch=inputs_compete(x, shuffle=name == SHUFFLED))

            left = {}
            for name in OURS:
                condition = f"{name}, {n}"
                for theta in progress(xs[name], name):
                    ours = network(name, theta)
                    left[name, theta] = ours.network_.association.synapses.nnz
                    yield from self._described(condition, ours.weights(), hidden_rates(ours, test.X), test, theta, seed)
                    yield Found(condition, "accuracy", ours.score(*test), theta)
                    yield Found(condition, "accuracy votes", score(ours, "votes", test), theta)
                    yield Found(condition, "validation accuracy", ours.score(*validation), theta)
                    rewarded = network(name, theta, "perturbation")
                    yield Found(condition, "accuracy perturbation", rewarded.score(*test), theta)
            if largest:
                yield from self._bias(f"by input, {n}", hidden_rates(ours, test.X), seed)
                for theta in progress(settings.input_thetas, "shuffled"):
                    control, condition = network(SHUFFLED, theta), f"{SHUFFLED}, {n}"
                    rates = hidden_rates(control, test.X)
                    yield from self._described(condition, control.weights(), rates, test, theta, seed)
                    yield Found(condition, "accuracy", control.score(*test), theta)

            mlp = BackpropMLP((n,), n_epochs=settings.mlp_epochs, random_state=seed).fit(*train)
            yield from self._perceptron(f"{BACKPROPAGATION}, {n}", mlp, 0.0, parts, seed)
            for sparsity in progress(settings.sparsities, CHOROWSKI):
                constrained = NonNegativeMLP(
                    (n,), sparsity=sparsity, learning_rate=3e-3, n_epochs=settings.mlp_epochs, random_state=seed
                ).fit(*train)
                yield from self._perceptron(f"{CHOROWSKI}, {n}", constrained, sparsity, parts, seed)
            if largest:
                yield from self._bias(f"{BACKPROPAGATION}, {n}", perceptron_rates(mlp, test.X), seed)
                possible = n * data.X_train.shape[1]
                for theta in progress(settings.input_thetas, "pruned"):
                    density = left["by input", theta] / possible
                    pruned = magnitude_pruned(mlp, (density, 1.0), train, settings.tuning_epochs)
                    yield from self._perceptron(f"{PRUNED}, {n}", pruned, theta, parts, seed)

    def _perceptron(self, condition: str, mlp: BackpropMLP, x: float, parts: Any, seed: int) -> Iterator[Found]:
        yield from self._described(condition, mlp.weights(), perceptron_rates(mlp, parts.test.X), parts.test, x, seed)
        yield Found(condition, "accuracy", mlp.score(*parts.test), x)
        yield Found(condition, "validation accuracy", mlp.score(*parts.validation), x)

    def _described(
        self, condition: str, weights: Mapping[str, sp.csr_array], rates: NDArray, images: Images, x: float, seed: int
    ) -> Iterator[Found]:
        """Information of the test images in ``rates``; the first of ``weights`` leads to them."""
        counts = [int(np.count_nonzero(W.data)) for W in weights.values()]
        silent = counts[0] == 0 or not np.ptp(rates, axis=0).any()  # a dead layer carries no information
        bounds = analysis.InformationBounds(0.0, 0.0, 0.0, float(np.log2(len(rates))))
        if not silent:
            bounds = analysis.information_bounds(rates, analysis.relative_noise(rates, NOISE))
        for name in bounds._fields:
            yield Found(condition, f"I {name}", getattr(bounds, name), x)
        for share in OTHER_NOISES:
            other = 0.0
            if not silent:
                other = analysis.gaussian_information(rates, analysis.relative_noise(rates, share))
            yield Found(condition, f"I gaussian, noise {share:g}", other, x)
        yield Found(condition, "synapses", counts[0], x, "of the hidden layer")
        yield Found(condition, "synapses of all layers", sum(counts), x)
        for name, information, count in (
            ("C_S", bounds.gaussian, counts[0]),
            ("C_S of all layers", bounds.gaussian, sum(counts)),
            ("C_S lower", bounds.lower, counts[0]),
        ):
            yield Found(condition, name, analysis.synaptic_capacity(information, max(count, 1)), x, "bits a synapse")
        winner = rates.argmax(axis=1)
        yield Found(condition, "I(label; winner)", analysis.discrete_information(winner, images.y).information, x)
        chance = analysis.shuffled_information(winner, images.y, np.random.default_rng(seed))
        yield Found(condition, "I(label; winner), shuffled labels", float(chance.mean()), x)

    def _bias(self, condition: str, rates: NDArray, seed: int) -> Iterator[Found]:
        """The same from fewer images (x: how many)."""
        sizes = sorted({max(2, len(rates) // share) for share in (8, 4, 2, 1)})
        noise = analysis.relative_noise(rates, NOISE)
        found = analysis.information_by_samples(rates, noise, sizes, np.random.default_rng(seed))
        for size, bounds in zip(sizes, found, strict=True):
            for name in bounds._fields:
                yield Found(f"{condition}, by images", f"I {name}", getattr(bounds, name), size)

    # --- what the rows say ---

    def verdict(self, frame: pd.DataFrame) -> Verdict:
        largest = _sizes(frame)[-1]
        condition, theta = _best(frame, largest)
        ours = {m: values_of(frame, condition, m, theta) for m in ("accuracy", "C_S")}
        rivals = {name: _chosen(frame, f"{name}, {largest}") for name in (BACKPROPAGATION, CHOROWSKI)}
        ahead = {
            name: analysis.paired_difference(ours["C_S"], values_of(frame, f"{name}, {largest}", "C_S", x))
            for name, x in rivals.items()
        }
        by_input = _chosen(frame, f"by input, {largest}")
        # as many synapses, wired at random or by backpropagation: how much the number alone explains
        controls = {
            (name, measure): analysis.paired_difference(
                values_of(frame, f"by input, {largest}", measure, by_input),
                values_of(frame, f"{name}, {largest}", measure, by_input),
            )
            for name in (SHUFFLED, PRUNED)
            for measure in ("C_S", "accuracy")
        }
        accuracy = analysis.mean_interval(ours["accuracy"])
        reached = accuracy.low >= TARGET and all(difference.low > 0 for difference in ahead.values())
        form = NOT_SHOWN
        if reached:
            beyond = all(controls[name, "C_S"].low > 0 for name in (SHUFFLED, PRUNED))
            form = STRONG if beyond else weak("how few synapses are left, whoever they join")
        lines = _lines(frame, condition, theta, rivals, ahead, by_input, controls)
        return Verdict.of(
            ours["C_S"], form, reached, f"bits per synapse ({condition} hidden, {NOISE:g} noise)", "\n".join(lines)
        )

    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        largest = _sizes(frame)[-1]
        styles = {"by cell": "#56B4E9", "by input": "#0072B2", SHUFFLED: "0.6", PRUNED: "#E69F00", CHOROWSKI: "#009E73"}
        for name, colour in styles.items():
            capacity, accuracy = (curve_of(frame, f"{name}, {largest}", m) for m in ("C_S", "accuracy"))
            accuracy.index = capacity.mean(axis=1).to_numpy()
            label = f"ours, {name}" if name in (*OURS, SHUFFLED) else name
            draw_mean(ax, accuracy.sort_index(), color=colour, marker="o", markersize=4, label=label)
        plain = f"{BACKPROPAGATION}, {largest}"
        ax.plot(
            _mean(frame, plain, "C_S"), _mean(frame, plain, "accuracy"), "s", color="#D55E00", label=BACKPROPAGATION
        )
        for marker, (name, row) in zip("sD*", PUBLISHED[200].items(), strict=True):
            ax.plot(row.capacity, row.accuracy, marker, color="k", mfc="none", label=f"published, {name} (200 cells)")
        ax.axhline(TARGET, color="0.8", linewidth=1, zorder=0)
        ax.set(xscale="log", xlabel=f"$C_S$, bits per hidden synapse ({largest} cells)", ylabel="accuracy")
        legend_beside(ax)
        return ax


def _lines(
    frame: pd.DataFrame,
    condition: str,
    theta: float,
    rivals: dict[str, float],
    ahead: dict[str, analysis.PairedDifference],
    by_input: float,
    controls: dict[tuple[str, str], analysis.PairedDifference],
) -> list[str]:
    """The note of the verdict: every network by size, then the figures that decided."""
    sizes = _sizes(frame)
    largest = sizes[-1]
    lines = [
        f"{NOISE:g} of the cells' rms sd is the noise of a rate. I: bracket for X uniform over the test images (at "
        f"most log2 n = {_mean(frame, condition, 'I cap', theta):.1f} bits), then the Gaussian upper bound, which "
        "has no such cap; C_S = that bound over the synapses of the hidden layer that are not silent (in brackets: "
        "of all layers), bits per synapse. Rates, thresholds and sparsities: fewest synapses at "
        f"{100 * (TARGET + TOLERATED_LOSS):.2f} % of the validation images or, where none reach it, the best."
    ]
    for n in sizes:
        for name in (*OURS, CHOROWSKI, BACKPROPAGATION):
            lines.append(_line(frame, f"{name}, {n}", _chosen(frame, f"{name}, {n}")))
        if n in PUBLISHED:
            lines.append(f"{n} published, I and C_S by a variational encoder: {_published(n)}.")
    lines += [
        _line(frame, f"{SHUFFLED}, {largest}", by_input),
        _line(frame, f"{PRUNED}, {largest}", by_input),
        "C_S ahead " + "; ".join(f"of {name} {in_words(d, '+.3f', 1)}" for name, d in ahead.items()) + ".",
        f"By input {by_input:g} ahead of controls with as many synapses: "
        + "; ".join(
            f"{name}, C_S {in_words(controls[name, 'C_S'], '+.3f', 1)}, "
            f"accuracy {in_words(controls[name, 'accuracy'], '+.3f', unit=' points')}"
            for name in (SHUFFLED, PRUNED)
        )
        + ".",
        *(_trade_off(frame, f"{name}, {largest}") for name in (*OURS, CHOROWSKI)),
        *(_bias_line(frame, f"{name}, {largest}, by images") for name in ("by input", BACKPROPAGATION)),
        _noise_line(frame, {condition: theta, **{f"{name}, {largest}": x for name, x in rivals.items()}}),
        "Published bits are not ours: their encoder and its noise are not known to us, and hundreds of bits are an "
        "upper bound as our Gaussian one is (no sample of n images can show more than log2 n). Their I / C_S gives "
        "784 synapses at every size, one a pixel.",
    ]
    return lines


def _sizes(frame: pd.DataFrame) -> list[int]:
    """Numbers of hidden cells, ascending."""
    names = frame.loc[frame["condition"].str.startswith("by cell, "), "condition"].unique()
    return sorted(int(name.split(", ")[1]) for name in names)


def _mean(frame: pd.DataFrame, condition: str, measure: str, x: float | None = None) -> float:
    return float(values_of(frame, condition, measure, x).mean())


def _chosen(frame: pd.DataFrame, condition: str) -> float:
    """x of the fewest synapses that reach the goal on validation images; of the best there if none does."""
    validation = curve_of(frame, condition, "validation accuracy").mean(axis=1)
    xs, synapses = validation.index.to_numpy(float), curve_of(frame, condition, "synapses").mean(axis=1).to_numpy()
    reach = validation.to_numpy() >= TARGET + TOLERATED_LOSS
    if not reach.any():
        return float(xs[validation.to_numpy().argmax()])
    return float(xs[reach][synapses[reach].argmin()])


def _best(frame: pd.DataFrame, n: int) -> tuple[str, float]:
    """Our form and threshold with the fewest synapses among those that reach the goal on validation images."""
    found = [(f"{name}, {n}", _chosen(frame, f"{name}, {n}")) for name in OURS]
    validation = [_mean(frame, condition, "validation accuracy", x) for condition, x in found]
    if max(validation) < TARGET + TOLERATED_LOSS:
        return found[int(np.argmax(validation))]
    good = [pair for pair, value in zip(found, validation, strict=True) if value >= TARGET + TOLERATED_LOSS]
    return min(good, key=lambda pair: _mean(frame, pair[0], "synapses", pair[1]))


def _line(frame: pd.DataFrame, condition: str, x: float) -> str:
    """Everything about one network."""
    accuracy = analysis.mean_interval(100 * values_of(frame, condition, "accuracy", x))
    capacity = analysis.mean_interval(values_of(frame, condition, "C_S", x))
    other = [
        f"{readout} {100 * _mean(frame, condition, f'accuracy {readout}', x):.1f}"
        for readout in ("votes", "perturbation")
        if values_of(frame, condition, f"accuracy {readout}", x).size
    ]
    others = f" ({', '.join(other)})" if other else ""
    return (
        f"{condition.rpartition(', ')[2]} {condition.rpartition(', ')[0]} {x:g}: "
        f"{in_words(accuracy, '.2f', 1, ' %')}{others}; "
        f"I {_mean(frame, condition, 'I lower', x):.2f} to {_mean(frame, condition, 'I upper', x):.2f}, Gaussian "
        f"{_mean(frame, condition, 'I gaussian', x):.1f} bits; {_mean(frame, condition, 'synapses', x):.0f} "
        f"({_mean(frame, condition, 'synapses of all layers', x):.0f}) synapses; "
        f"C_S {in_words(capacity, '.3g', 1)} ({_mean(frame, condition, 'C_S of all layers', x):.3g}); "
        f"I(label; winner) {_mean(frame, condition, 'I(label; winner)', x):.2f} bits, shuffled "
        f"{_mean(frame, condition, 'I(label; winner), shuffled labels', x):.2f}."
    )


def _published(n: int) -> str:
    return "; ".join(
        f"{name} {100 * row.accuracy:.2f} %, {row.information:g} bits, C_S {row.capacity:g}"
        for name, row in PUBLISHED[n].items()
    )


def _trade_off(frame: pd.DataFrame, condition: str) -> str:
    rows = [
        f"{x:g}: {100 * _mean(frame, condition, 'accuracy', x):.1f} %, {_mean(frame, condition, 'synapses', x):.0f}, "
        f"{_mean(frame, condition, 'C_S', x):.3g}"
        for x in curve_of(frame, condition, "accuracy").index
    ]
    return f"Accuracy, synapses and C_S of {condition}, by rate, threshold or sparsity: {'; '.join(rows)}."


def _bias_line(frame: pd.DataFrame, condition: str) -> str:
    curves = {m: curve_of(frame, condition, f"I {m}").mean(axis=1) for m in ("lower", "upper", "gaussian", "cap")}
    rows = [
        f"{n:.0f}: {curves['lower'][n]:.1f} to {curves['upper'][n]:.1f} (cap {curves['cap'][n]:.1f}), Gaussian "
        f"{curves['gaussian'][n]:.0f}"
        for n in curves["cap"].index
    ]
    return f"Bias, {condition}: {'; '.join(rows)} bits."


def _noise_line(frame: pd.DataFrame, chosen: Mapping[str, float]) -> str:
    rows = []
    for condition, x in chosen.items():
        synapses = _mean(frame, condition, "synapses", x)
        other = [
            _mean(frame, condition, f"I gaussian, noise {share:g}", x) / max(synapses, 1) for share in OTHER_NOISES
        ]
        rows.append(f"{condition}: {', '.join(f'{value:.3g}' for value in other)}")
    return f"C_S at noise {' and '.join(f'{share:g}' for share in OTHER_NOISES)}: {'; '.join(rows)}."
