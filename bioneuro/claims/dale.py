"""C3: do cells become excitatory or inhibitory by themselves?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from .. import analysis
from ..baselines import BackpropMLP
from ..datasets import Dataset
from ..layers import Retina
from .base import NOT_SHOWN, SMALL, STRONG, Claim, Found, Progress, Settings, Verdict, split, values_of, weak
from .mixed_circuit import ACTIVE, MixedCircuit

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Goals: Dale index of the cells on average, share of active cells, least share of cells of either type.
INDEX, MOST_ACTIVE, LEAST_TYPE = 0.95, 0.10, 0.05
#: Residual of a patch at rest, relative to its largest rate.
AT_REST = 0.02
PATCH = 5
#: Patches of less contrast than this gate are left out: there is nothing to see.
LEAST_GATE = 0.5
#: Iterations towards rest where rates are measured.
MEASURED_ITER = 400
BEFORE, AFTER = 0.0, 1.0

PATHWAY, CELL, INDIRECT = "pathway signs", "cell-wide sign", "indirect effect"
NO_INDIRECT = "indirect term off"
_HEBBIAN = {"eta": 0.2}
_INDIRECT = {"rule": "indirect", "eta": 0.1, "target": 0.03, "gain_indirect": 0.15}
#: Condition: parameters of the circuit (chosen on training patches of digits), and whether pixels are shuffled.
CONDITIONS: dict[str, tuple[dict[str, Any], bool]] = {
    PATHWAY: ({"rule": "pathway", **_HEBBIAN}, False),
    "all Hebbian": ({"rule": "hebbian", **_HEBBIAN}, False),
    "synapse-wise sign": ({"rule": "synapse", **_HEBBIAN}, False),
    CELL: ({"rule": "cell", **_HEBBIAN}, False),
    INDIRECT: (_INDIRECT, False),
    NO_INDIRECT: ({**_INDIRECT, "gain_indirect": 0.0}, False),
    f"{PATHWAY}, zero-mean": ({"rule": "pathway", "centred": True, **_HEBBIAN}, False),
    f"{CELL}, zero-mean": ({"rule": "cell", "centred": True, **_HEBBIAN}, False),
    f"{INDIRECT}, zero-mean": ({**_INDIRECT, "centred": True}, False),
    f"{PATHWAY}, shuffled pixels": ({"rule": "pathway", **_HEBBIAN}, True),
    f"{INDIRECT}, shuffled pixels": (_INDIRECT, True),
}
BACKPROP = "backprop"


def patches(X: NDArray, image_shape: tuple[int, ...], n: int, seed: int) -> NDArray[np.float32]:
    """ON/OFF patches of unit norm from random places of random images, those of little contrast left out.

    Parameters
    ----------
    X : ndarray, (n_images, n_features)
    image_shape : tuple of int
        Height, width and perhaps channels.
    n : int >= 1
        Patches; places repeat where there are fewer.
    seed : int

    Returns
    -------
    ndarray, (n, 2 p p channels)
    """
    rng = np.random.default_rng(seed)
    images = X[rng.permutation(len(X))[: max(200, n // 20)]]
    shape = image_shape if len(image_shape) == 3 else (*image_shape, 1)
    U, gate = Retina(PATCH).patches(np.ascontiguousarray(images.reshape(-1, *shape), np.float32))
    seen = np.flatnonzero(gate.ravel() > LEAST_GATE)
    if not seen.size:
        raise ValueError(f"X has no patch of contrast: every gate is below {LEAST_GATE}")
    U = U[rng.choice(seen, n, replace=seen.size < n)]
    return U / np.linalg.norm(U, axis=1, keepdims=True)


def shuffled_pixels(U: NDArray, seed: int) -> NDArray:
    """Each patch with its values in another order: what is left is their law, no structure."""
    return np.random.default_rng(seed).permuted(U, axis=1)


def chance_index(W: sparse.csr_array, seed: int) -> float:
    """Mean Dale index of the same sizes with random signs."""
    signs = np.random.default_rng(seed).choice([-1, 1], W.nnz)
    return float(
        np.nanmean(analysis.dale_index(sparse.csr_array((np.abs(W.data) * signs, W.indices, W.indptr), W.shape)))
    )


def sign_index(W: sparse.csr_array) -> float:
    """Sign of a pathway, ``sum w / sum |w|``: 1 all excitatory, -1 all inhibitory, 0 balanced."""
    return float(W.data.sum(dtype=float) / np.abs(W.data).sum(dtype=float))


def described(circuit: MixedCircuit, train: NDArray, test: NDArray, seed: int) -> dict[str, float]:
    """Every measure of a circuit as it is now; rates and correlations on ``test`` patches."""
    R, W = circuit.recurrent.to_scipy(), circuit.afferents.to_scipy()
    index, net = analysis.dale_index(R), R.sum(axis=0)
    settled = circuit.settle(test, max_iter=MEASURED_ITER)
    y = settled.rates
    alone = circuit.settle(test, inhibition=False, max_iter=MEASURED_ITER).rates
    varied = y[:, y.std(axis=0) > ACTIVE / 100].astype(float)
    correlation = np.corrcoef(varied.T) if varied.shape[1] > 1 else np.zeros((2, 2))
    found = {
        "Dale index": float(np.nanmean(index)),
        "share of cells at 0.95": float(np.mean(index >= INDEX)),
        "chance index": chance_index(R, seed),
        "share of E cells": float(np.mean(net > 0)),
        "Dale index, inputs": float(np.nanmean(analysis.dale_index(W))),
        "sign index, feed-forward": sign_index(W),
        "sign index, recurrent": sign_index(R),
        "share of active cells": float(np.mean(y > ACTIVE)),
        "share active without inhibition": float(np.mean(alone > ACTIVE)),
        "mean |correlation|": float(np.abs(correlation[np.triu_indices(len(correlation), 1)]).mean()),
        "variance of the patch explained": explained(
            circuit.settle(train, max_iter=MEASURED_ITER).rates, train, y, test
        ),
        "share of patches at rest": float(np.mean(settled.residual < AT_REST * settled.rates.max(axis=1).clip(ACTIVE))),
    }
    if circuit.rule == "pathway":
        block = R.toarray()
        e = circuit.excitatory
        found["sign index, I to E"] = sign_index(sparse.csr_array(block[np.ix_(e, ~e)]))
        found["sign index, E to I"] = sign_index(sparse.csr_array(block[np.ix_(~e, e)]))
    return found


def explained(train_rates: NDArray, train: NDArray, test_rates: NDArray, test: NDArray) -> float:
    """Share of the variance of test patches that a ridge regression on the rates explains."""
    from sklearn.linear_model import Ridge

    fitted = Ridge(alpha=1e-2).fit(train_rates.astype(float), train.astype(float))
    return float(fitted.score(test_rates.astype(float), test.astype(float)))


@dataclass(frozen=True)
class DaleSettings(Settings):
    """``n_patches`` to learn from and ``n_measured`` for measures, ``n_prepare`` steps of the afferents and then
    ``n_steps`` of all."""

    n_patches: int = 4000
    n_measured: int = 500
    n_prepare: int = 100
    n_steps: int = 800
    batch: int = 64


class DaleSegregation(Claim[DaleSettings]):
    """Dale index of all cells from mixed-sign starts, under rules that give, share or do not give a learning sign."""

    number = "C3"
    title = "Dale's law"
    statement = (
        "From random signs, under a rule that looks at no other synapse's sign, cells become excitatory or inhibitory "
        "(Dale index >= 0.95 on average over the cells, both types), with at most 10 % of the cells active; "
        "feed-forward synapses become excitatory, recurrent ones mostly inhibitory."
    )
    x_name = "Dale index of recurrent cells (open: before learning)"
    small = DaleSettings(**SMALL, n_patches=300, n_measured=60, n_prepare=10, n_steps=6, batch=16)
    full = DaleSettings()

    def run(self, data: Dataset, seed: int, settings: DaleSettings, progress: Progress) -> Iterator[Found]:
        train, _, test = split(data, settings, seed)
        U = patches(train.X, data.image_shape, settings.n_patches, seed)
        V = patches(test.X, data.image_shape, settings.n_measured, seed)
        for condition, (parameters, shuffled) in progress(CONDITIONS.items(), "learning signs"):
            shown, measured = (shuffled_pixels(part, seed) for part in (U, V)) if shuffled else (U, V)
            circuit = MixedCircuit(U.shape[1], seed=seed, **parameters)
            for when in (BEFORE, AFTER):
                if when == AFTER:
                    circuit.prepare(shown, settings.n_prepare, settings.batch)
                    for _ in range(settings.n_steps):
                        circuit.learn(shown[circuit.rng.integers(0, len(shown), settings.batch)])
                for measure, value in described(circuit, shown[: settings.n_measured], measured, seed).items():
                    yield Found(condition, measure, value, when)
        start = {"learning_rate": 1e-12, "n_epochs": 1}  # the first weights, for all that float32 can tell
        for when, parameters in ((BEFORE, start), (AFTER, {"n_epochs": settings.mlp_epochs})):
            mlp = BackpropMLP((80,), random_state=seed, **parameters).fit(*train)
            W = mlp.weights()["output"]
            index = analysis.dale_index(W)
            yield Found(BACKPROP, "Dale index", float(index.mean()), when)
            yield Found(BACKPROP, "share of cells at 0.95", float(np.mean(index >= INDEX)), when)
            yield Found(BACKPROP, "chance index", chance_index(W, seed), when)
            yield Found(BACKPROP, "share of E cells", float(np.mean(W.sum(axis=0) > 0)), when)
            yield Found(BACKPROP, "accuracy", mlp.score(*test), when)

    def verdict(self, frame: pd.DataFrame) -> Verdict:
        reached = {condition: _reached(frame, condition) for condition in CONDITIONS}
        held = {condition: bool(seeds.all()) for condition, seeds in reached.items()}
        # without its term the same circuit must not give both types: else something else did
        if held[INDIRECT] and not held[NO_INDIRECT]:
            form, decides = STRONG, INDIRECT
        elif held[CELL]:
            form, decides = weak("a learning sign that a cell's synapses share"), CELL
        elif held[PATHWAY]:
            form, decides = weak("non-negative rates and the pathway's learning sign"), PATHWAY
        else:
            form, decides = NOT_SHOWN, INDIRECT
        forward, recurrent = (
            analysis.mean_interval(values_of(frame, decides, f"sign index, {name}", AFTER))
            for name in ("feed-forward", "recurrent")
        )
        segregated = forward.mean >= INDEX and recurrent.high < 0
        gain = values_of(frame, decides, "Dale index", AFTER) - values_of(frame, decides, "chance index", AFTER)
        note = "\n".join(
            [
                *(_line(frame, condition) for condition in (*CONDITIONS, BACKPROP)),
                f"'{INDIRECT}' has pure cells of both types and strong competition at {reached[INDIRECT].sum()} of "
                f"{reached[INDIRECT].size} seeds, '{CELL}' at {reached[CELL].sum()}; all are needed.",
                f"Decided by '{decides}': feed-forward sign index {forward.mean:+.2f}, recurrent {recurrent.mean:+.2f} "
                f"[{recurrent.low:+.2f}, {recurrent.high:+.2f}] (goals >= {INDEX:g}, and an interval below 0).",
                "Afferents are excitatory because rates are not negative and the rule is Hebbian: that follows, it "
                "does not emerge. 'Indirect effect' is given: anti-Hebbian learning at the delay of two synapses, a "
                "target rate, fixed thresholds, and norms of what a cell receives and makes. No sign is given or "
                "shared.",
            ]
        )
        return Verdict.of(gain, form, form != NOT_SHOWN and segregated, f"Dale index above chance, {decides}", note)

    def figure(self, frame: pd.DataFrame, ax: Axes) -> Axes:
        conditions = [*CONDITIONS, BACKPROP]
        for place, condition in enumerate(conditions):
            for when, face in ((BEFORE, "white"), (AFTER, "#0072B2")):
                interval = analysis.mean_interval(values_of(frame, condition, "Dale index", when))
                error = None if np.isnan(interval.half_width) else interval.half_width
                ax.errorbar(interval.mean, place, xerr=error, fmt="o", color="#0072B2", markerfacecolor=face, capsize=3)
            types = values_of(frame, condition, "share of E cells", AFTER).mean()
            ax.text(1.12, place, f"{types:.0%} E", va="center", fontsize=7)
        ax.axvline(INDEX, color="0.4", linestyle=":", linewidth=1)
        ax.set_yticks(range(len(conditions)), labels=conditions, fontsize=8)
        ax.invert_yaxis()
        ax.set(xlabel=self.x_name, xlim=(0, 1.25))
        return ax


def _reached(frame: pd.DataFrame, condition: str) -> NDArray[np.bool_]:
    """At which seeds cells of both types are pure at strong competition."""
    index, active, excitatory = (
        values_of(frame, condition, measure, AFTER)
        for measure in ("Dale index", "share of active cells", "share of E cells")
    )
    both = np.minimum(excitatory, 1 - excitatory) >= LEAST_TYPE
    return (index >= INDEX) & (active <= MOST_ACTIVE) & both


def _line(frame: pd.DataFrame, condition: str) -> str:
    def mean(measure: str, when: float = AFTER) -> float:
        return float(values_of(frame, condition, measure, when).mean())

    least = values_of(frame, condition, "Dale index", AFTER).min()
    line = (
        f"{condition}: Dale index {mean('Dale index', BEFORE):.2f} to {mean('Dale index'):.2f} (least {least:.2f}, "
        f"chance {mean('chance index'):.2f}), {mean('share of cells at 0.95'):.0%} of cells >= {INDEX:g}, "
        f"{mean('share of E cells'):.0%} E"
    )
    if condition == BACKPROP:
        return f"{line}, accuracy {mean('accuracy'):.1%}"
    return (
        f"{line}; {mean('share of active cells'):.1%} active ({mean('share active without inhibition'):.0%} without "
        f"inhibition), |correlation| {mean('mean |correlation|'):.2f}, explains "
        f"{mean('variance of the patch explained', BEFORE):.2f} to {mean('variance of the patch explained'):.2f} of "
        f"the patch, feed-forward {mean('sign index, feed-forward'):+.2f}, "
        f"recurrent {mean('sign index, recurrent'):+.2f}; {mean('share of patches at rest'):.0%} of patches at rest"
    )
