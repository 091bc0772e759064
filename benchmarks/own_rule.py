"""``python -m benchmarks.own_rule``: what a rule written in NumPy costs, over the fused one, in a whole ``fit``."""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import dataclass

import numpy as np

import bioneuro as bn
from bioneuro.rules import LogCovariance, Rule

#: Most that the NumPy rule may cost.
GOAL = 3.0


@dataclass(frozen=True, kw_only=True)
class OwnLogCovariance(Rule):
    """``log w_ij += alpha_i [slope z_ij - log w_ij]``, ``z_ij = (E[x_j | i active] - m_j) / s_j``."""

    slope: float = 1.0

    signs = ("E",)  # pathways it is defined on
    observes = True  # it needs mean and spread of the pre-synaptic rates
    saturating = True  # a step never goes beyond its target

    def change(self, synapses, X, Y, gain, reward):
        c = Y.mean(axis=0) if gain is None else gain * Y.mean(axis=0)
        active = c >= 1e-6  # the others have nothing to learn from
        sd = synapses.pre_sd
        Z = (X - synapses.pre_mean) * np.divide(1, sd, out=np.zeros_like(sd), where=sd > 0)
        G = synapses.weight_grad(Z, Y, n_threads=self.n_threads)  # sum_b y_bi z_bj on the stored synapses

        sizes = np.diff(synapses.indptr)
        here = np.repeat(active, sizes)  # the synapses of the active cells, a bool each

        def each(cells):  # a value of each active cell, at each of its synapses
            return np.repeat(cells[active], sizes[active])

        w, step = synapses.weights[here], G[here]
        step *= each(self.slope / np.maximum(Y.sum(axis=0), 1e-30))
        step -= np.log(w)
        step *= each(-np.expm1(-self.eta * c))
        np.exp(step, out=step)
        step -= 1
        step *= w
        G[:] = 0
        G[here] = step
        synapses.add(G)


def load(n: int) -> tuple[str, np.ndarray, np.ndarray]:
    """``n`` images of MNIST where they are to be had, of digits elsewhere."""
    try:
        name, data = "mnist", bn.datasets.load("mnist")
    except Exception as error:
        print(f"digits instead of MNIST: {error}")
        name, data = "digits", bn.datasets.load("digits")
    return name, data.X_train[:n], data.y_train[:n]


def seconds(rule: Rule, X: np.ndarray, y: np.ndarray, cells: int, threads: int | None) -> tuple[float, float]:
    """Of a whole fit, and of its association alone."""
    association: list[float] = []

    def mark(model: bn.BioClassifier, stage: str, done: int, n: int) -> None:
        if stage == "association":
            association.append(time.perf_counter())

    model = bn.BioClassifier(rule=rule, n_cells=cells, random_state=0, n_threads=threads)
    start = time.perf_counter()
    model.fit(X, y, on_epoch=mark)
    whole = time.perf_counter() - start
    return whole, association[-1] - association[0]


def main(argv: list[str] | None = None) -> float:
    """Run, print, and return the ratio of the whole fits."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.own_rule", description=__doc__)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--cells", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds whose median is taken")
    parser.add_argument("--threads", type=int, help="default: all processors")
    options = parser.parse_args(argv)
    name, X, y = load(options.images)
    rules = {"fused": LogCovariance(), "NumPy": OwnLogCovariance()}
    times: dict[str, list[tuple[float, float]]] = {which: [] for which in rules}
    for _ in range(options.rounds):
        for which, rule in rules.items():
            times[which].append(seconds(rule, X, y, options.cells, options.threads))
    median = {which: [statistics.median(part) for part in zip(*found, strict=True)] for which, found in times.items()}
    print(f"{name}, {len(X):,} images, {options.cells:,} cells; medians of {options.rounds} interleaved rounds")
    for k, part in enumerate(("fit", "association")):
        fused, own = median["fused"][k], median["NumPy"][k]
        print(f"{part:12s} fused {fused:6.2f} s   NumPy {own:6.2f} s   ratio {own / fused:.2f}")
    ratio = median["NumPy"][0] / median["fused"][0]
    print(f"goal: fit at most {GOAL:g} x: {'met' if ratio <= GOAL else 'MISSED'}")
    return ratio


if __name__ == "__main__":
    main()
