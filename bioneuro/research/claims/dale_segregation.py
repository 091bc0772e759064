"""C3: do cells become excitatory or inhibitory by themselves?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from ... import analysis, connectivity
from ...classifier import BioClassifier
from ...datasets import Dataset
from ...rules import TransmitterCompetition
from ...synapses import Synapses
from ..differences import in_words
from .claim import Claim, Track
from .rows import Found, curve_of, draw_mean, legend_beside, values_of
from .settings import SMALL, Images, Settings, split_images
from .verdict import NOT_SHOWN, STRONG, TOLERATED_LOSS, Verdict, weak

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Goals: mean Dale index, share of cells that reach it, and least share of cells of either type.
INDEX, SHARE, LEAST_TYPE = 0.95, 0.90, 0.05
#: The rule on features of unit norm, with errors of probabilities; chi is varied by these factors.
RULE = TransmitterCompetition(eta=5.0, chi=5e-4, decay=3e-5)
FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
#: First weights: lognormal around 1, drawn for both transmitters alike.
START = connectivity.LogNormal(mu=0.0, sigma=0.3)
BIAS_ETA = 0.1

AXON, SYNAPSE, DENDRITE, NONE = "per axon", "per synapse", "per dendrite", "no feedback"
EQUAL, GIVEN = "per axon, equal starts", "no feedback, a sign given to each cell"
#: Condition: (what shares the balance, strength of the feedback).
FEEDBACK = {AXON: ("axon", 1.0), SYNAPSE: ("synapse", 1.0), DENDRITE: ("dendrite", 1.0), NONE: ("axon", 0.0)}
#: Regression on normal inputs, of fewer samples than inputs or more: N_INPUTS to N_OUTPUTS, a random teacher.
TOY = TransmitterCompetition(eta=0.02, chi=0.05, decay=0.02)
TOY_START = connectivity.Constant(0.1)
N_INPUTS, N_OUTPUTS, FEW, MANY = 200, 20, 100, 400


class Pair(NamedTuple):
    """Excitatory and inhibitory synapses between the same cells, and the bias of the outputs."""

    excitatory: Synapses
    inhibitory: Synapses
    bias: NDArray

    @classmethod
    def of(cls, n_post: int, n_pre: int, start: connectivity.Init, seed: int) -> Pair:
        """Synapses between all pairs of cells, both transmitters drawn from one law."""
        rng = np.random.default_rng(seed)
        excitatory = connectivity.dense(n_post, n_pre, start, sign="E", random_state=rng)
        inhibitory = connectivity.dense(n_post, n_pre, start, sign="I", random_state=rng)
        return cls(excitatory, inhibitory, np.zeros(n_post, np.float32))

    def outputs(self, X: NDArray) -> NDArray:
        return self.excitatory.forward(X, self.bias) + self.inhibitory.forward(X)

    def balance(self) -> NDArray[np.float64]:
        """Of each pre-synaptic cell, ``sum w / sum |w|`` over all synapses that it makes."""
        up, down = (part.to_scipy().sum(axis=0, dtype=float) for part in (self.excitatory, self.inhibitory))
        return np.divide(up + down, up - down, out=np.zeros_like(up), where=up > down)


def learn(
    pair: Pair,
    rule: TransmitterCompetition,
    X: NDArray,
    T: NDArray,
    batches: Iterable[NDArray | slice],
    *,
    probabilities: bool,
) -> None:
    """The delta rule on ``batches`` of inputs and targets; outputs are ``probabilities`` or linear."""
    for batch in batches:
        outputs = pair.outputs(X[batch])
        error = T[batch] - (softmax(outputs, axis=1) if probabilities else outputs)
        rule.step(pair.excitatory, pair.inhibitory, X[batch], error)
        if probabilities:
            pair.bias[:] += BIAS_ETA * error.mean(axis=0)


def described(pair: Pair, started: NDArray) -> Iterator[tuple[str, float]]:
    """Measures of the signs; ``started`` is the balance of the first weights, which has a sign unless it is 0."""
    balance = pair.balance()
    yield "Dale index", float(np.abs(balance).mean())
    yield "share of cells at 0.95", float(np.mean(np.abs(balance) >= INDEX))
    yield "smallest Dale index", float(np.abs(balance).min())
    yield "share of E cells", float(np.mean(balance > 0))
    if started.any():
        yield "share with the sign of the start", float(np.mean(balance * started > 0))


@dataclass(frozen=True)
class DaleSettings(Settings):
    """``n_steps`` of ``batch`` images on digits, ``n_regression`` steps on all samples in the regression."""

    n_steps: int = 6000
    batch: int = 128
    n_regression: int = 15_000


def on_features(
    condition: str, rule: TransmitterCompetition, seen: Images, unseen: Images, settings: DaleSettings, seed: int
) -> Iterator[tuple[str, float]]:
    """Signs that synapses of features onto classes take, from the start that the ``condition`` names, and accuracy."""
    X, classes = seen.X, np.unique(seen.y)
    T = (seen.y[:, None] == classes).astype(np.float32)
    pair = Pair.of(T.shape[1], X.shape[1], connectivity.Constant(1.0) if condition == EQUAL else START, seed)
    rng = np.random.default_rng(seed)
    if condition == GIVEN:
        excitatory = rng.permutation(X.shape[1]) < X.shape[1] // 2
        for pathway, cells in (pair.excitatory, ~excitatory), (pair.inhibitory, excitatory):
            pathway.add(-pathway.weights * cells[pathway.indices])
    started = pair.balance()
    batches = (rng.integers(0, len(X), settings.batch) for _ in range(settings.n_steps))
    learn(pair, rule, X, T, batches, probabilities=True)
    yield from described(pair, started)
    yield "accuracy", float(np.mean(classes[pair.outputs(unseen.X).argmax(axis=1)] == unseen.y))


class DaleSegregation(Claim[DaleSettings]):
    """Dale index of cells that begin with both transmitters everywhere, by what shares one resource."""

    number = "C3"
    title = "Dale's law"
    statement = (
        "Where every pair of cells begins with an excitatory and an inhibitory synapse, cells become excitatory or "
        "inhibitory over all synapses that they make (Dale index >= 0.95 on average and for 90 % of the cells, both "
        "types), and the task is learned as well as without."
    )
    x_name = "strength of the feedback, chi"
    small = DaleSettings(**SMALL, n_steps=60, n_regression=60)
    full = DaleSettings()

    def run(self, data: Dataset, seed: int, settings: DaleSettings, progress: Track) -> Iterator[Found]:
        train, _, test = split_images(data, settings, seed)
        encoder = BioClassifier(**settings.encoder(seed)).fit_features(train.X)
        seen, unseen = (Images(encoder.transform(images.X), images.y) for images in (train, test))
        runs = [(condition, shared, factor) for condition, (shared, factor) in FEEDBACK.items()]
        runs += [(AXON, "axon", factor) for factor in FACTORS if factor != 1]
        runs += [(EQUAL, "axon", 1.0), (GIVEN, "axon", 0.0)]
        for condition, shared, factor in progress(runs, "learning signs"):
            rule = replace(RULE, chi=RULE.chi * factor, shared_by=shared)
            for measure, value in on_features(condition, rule, seen, unseen, settings, seed):
                yield Found(condition, measure, value, rule.chi)
        for n_samples in FEW, MANY:
            rng = np.random.default_rng(seed)
            X = rng.normal(size=(n_samples, N_INPUTS)).astype(np.float32)
            T = X @ rng.normal(size=(N_INPUTS, N_OUTPUTS)).astype(np.float32)
            for condition, (shared, factor) in progress(FEEDBACK.items(), f"regression, {n_samples} samples"):
                pair = Pair.of(N_OUTPUTS, N_INPUTS, TOY_START, seed)
                rule = replace(TOY, chi=TOY.chi * factor, shared_by=shared)
                started = pair.balance()
                learn(pair, rule, X, T, [slice(None)] * settings.n_regression, probabilities=False)
                name = _regression(condition, n_samples)
                yield from (Found(name, measure, value, rule.chi) for measure, value in described(pair, started))
                yield Found(name, "unexplained variance", np.mean((T - pair.outputs(X)) ** 2) / T.var(), rule.chi)

    def verdict(self, frame: pd.DataFrame) -> Verdict:
        reached = {condition: _reached(frame, condition) for condition in FEEDBACK}
        held = {condition: bool(seeds.all()) for condition, seeds in reached.items()}
        # the same feedback within a dendrite or a synapse must not do it: else sharing the axon is not what does
        if held[NONE]:
            form, decides = STRONG, NONE
        elif held[AXON] and not (held[SYNAPSE] or held[DENDRITE]):
            form, decides = weak("one resource that the two transmitters of an axon share"), AXON
        else:
            form, decides = NOT_SHOWN, AXON
        lost = analysis.mean_interval(_of(frame, NONE, "accuracy") - _of(frame, decides, "accuracy"))
        passed = form != NOT_SHOWN and lost.high <= TOLERATED_LOSS
        varied = [curve_of(frame, AXON, measure).mean(axis=1) for measure in ("Dale index", "accuracy")]
        note = "\n".join(
            [
                *(_line(frame, condition, "accuracy") for condition in (*FEEDBACK, EQUAL, GIVEN)),
                "Chi varied: " + "; ".join(
                    f"{chi:g}: index {index:.2f}, accuracy {accuracy:.1%}"
                    for (chi, index), accuracy in zip(varied[0].items(), varied[1], strict=True)
                ),
                *(
                    _line(frame, _regression(condition, n_samples), "unexplained variance")
                    for n_samples in (FEW, MANY)
                    for condition in FEEDBACK
                ),
                f"'{decides}' loses {in_words(lost, '.2f', unit=' points')} of "
                f"accuracy to '{NONE}' (goal: at most {100 * TOLERATED_LOSS:g}); it has pure cells of both types at "
                f"{reached[decides].sum()} of {reached[decides].size} seeds (all are needed).",
                "No cell is given a sign; that all synapses of a cell come to share one follows from the resource that "
                "its axon shares, a term that acts on nothing else. Which sign is mostly that of the first weights "
                f"({_of(frame, AXON, 'share with the sign of the start').mean():.0%} of the cells, by '{NONE}' "
                f"{_of(frame, NONE, 'share with the sign of the start').mean():.0%}). "
                "The law costs little where the task leaves open what a cell's synapses add up to: probabilities do "
                f"not change when all of them change alike, and a regression on {FEW} samples of {N_INPUTS} inputs has "
                f"many solutions. {MANY} samples have one, and there the law does not hold.",
            ]
        )  # fmt: skip
        gain = _of(frame, decides, "Dale index") - _of(frame, NONE, "Dale index")
        return Verdict.of(gain, form, passed, f"Dale index above that of '{NONE}', {decides}", note)

    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        for measure, color in ("Dale index", "#0072B2"), ("share of cells at 0.95", "#009E73"), ("accuracy", "0.4"):
            draw_mean(ax, curve_of(frame, AXON, measure), color=color, marker="o", label=f"{measure}, {AXON}")
        for condition, marker in (SYNAPSE, "s"), (DENDRITE, "^"):
            index = analysis.mean_interval(_of(frame, condition, "Dale index"))
            types = _of(frame, condition, "share of E cells").mean()
            ax.plot(RULE.chi, index.mean, marker, color="#D55E00", label=f"Dale index, {condition} ({types:.0%} E)")
        ax.axhline(_of(frame, NONE, "Dale index").mean(), color="#0072B2", linestyle=":", label=f"Dale index, {NONE}")
        ax.set(xscale="log", xlabel=self.x_name, ylim=(0, 1.05))
        ax.set_xticks([RULE.chi * factor for factor in FACTORS], [f"{RULE.chi * factor:g}" for factor in FACTORS])
        ax.minorticks_off()
        legend_beside(ax)
        return ax


def _regression(condition: str, n_samples: int) -> str:
    return f"regression on {n_samples} samples, {condition}"


def _of(frame: pd.DataFrame, condition: str, measure: str) -> NDArray[np.float64]:
    """Values at the rule's own chi, one for each seed."""
    return values_of(frame, condition, measure, RULE.chi if condition == AXON else None)


def _reached(frame: pd.DataFrame, condition: str) -> NDArray[np.bool_]:
    """At which seeds the cells are pure and both types are there."""
    index, share, excitatory = (
        _of(frame, condition, measure) for measure in ("Dale index", "share of cells at 0.95", "share of E cells")
    )
    return (index >= INDEX) & (share >= SHARE) & (np.minimum(excitatory, 1 - excitatory) >= LEAST_TYPE)


def _line(frame: pd.DataFrame, condition: str, task: str) -> str:
    index = analysis.mean_interval(_of(frame, condition, "Dale index"))

    def mean(measure: str) -> float:
        return float(_of(frame, condition, measure).mean())

    return (
        f"{condition}: Dale index {in_words(index, '.2f', 1)}, "
        f"{mean('share of cells at 0.95'):.0%} of cells >= {INDEX:g}, smallest {mean('smallest Dale index'):.2f}, "
        f"{mean('share of E cells'):.0%} E; {task} {mean(task):.4f}"
    )
