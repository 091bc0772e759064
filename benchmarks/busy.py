"""``python -m benchmarks.busy``: what threads bring, and what they cost while other work keeps a core busy.

Makes the load itself: processes that compute without end. Times one thread and several in turn, in rounds, in one
process; prints the time of several as a multiple of that of one (below 1: a gain), median and quartiles over the
rounds. A short call is repeated, since a thread that has lost its core costs one call in many much, and all of them
count.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pandas as pd

from benchmarks import harness, linear, machine, peers
from bioneuro import BioClassifier, Schedule, connectivity, datasets, kernels, show_config

#: Seconds that the calls of one measurement take together.
SECONDS = 0.15
#: (post, pre, density, batch)
BATCH = (4096, 4096, 0.1, 128)
ONE = (4096, 4096, 0.1, 1)
TINY = (32, 48, 0.2, 8)

#: Takes ``n_threads``.
Call = Callable[..., object]


@contextmanager
def busy(processes: int) -> Iterator[list[subprocess.Popen]]:
    """So many processes that compute without end."""
    running = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()


def cases(tiny: bool = False) -> dict[str, Call]:
    """What is timed, by name."""
    calls: dict[str, Call] = {}
    for size in (TINY,) if tiny else (ONE, BATCH):
        W, (X, dY) = linear.pathway(size, "float32"), linear.batches(size, "float32")
        Y, dX, G = np.empty_like(dY), np.empty_like(X), np.empty(W.nnz, W.dtype)
        calls |= {
            f"forward, batch {size[3]}": partial(W.forward, X, out=Y),
            f"input_grad, batch {size[3]}": partial(W.input_grad, dY, out=dX),
            f"weight_grad, batch {size[3]}": partial(W.weight_grad, X, dY, out=G),
        }
    n = 64 if tiny else 4096
    layer = connectivity.random(n, n, density=0.1, sign="E", random_state=0)
    rates = np.random.default_rng(0).random((32, n)).astype(np.float32)

    def hebbian(n_threads: int) -> None:
        drive = layer.forward(rates, n_threads=n_threads)
        winners = kernels.compete(drive, k=n // 100 or 1, n_threads=n_threads)
        layer.hebbian_step(rates, winners, eta=1e-9, n_threads=n_threads)

    calls["hebbian step with its drive, batch 32"] = hebbian
    digits = datasets.load("digits")
    X, y = (digits.X_train[:60], digits.y_train[:60]) if tiny else (digits.X_train, digits.y_train)
    small = dict(n_cells=40, schedule=Schedule(readout_epochs=1, teaching_epochs=1)) if tiny else {}
    calls["fit, digits"] = lambda n_threads: BioClassifier(random_state=0, n_threads=n_threads, **small).fit(X, y)
    return calls


def mean_seconds(call: Call, threads: int, seconds: float) -> float:
    """Of a call, over as many as take ``seconds``."""
    start = time.perf_counter()
    n = 0
    while (passed := time.perf_counter() - start) < seconds or not n:
        call(n_threads=threads)
        n += 1
    return passed / n


def compare(calls: dict[str, Call], threads: int, rounds: int, seconds: float = SECONDS) -> pd.DataFrame:
    """One row a call: ms with one thread and with ``threads``, their ratio: median, quartiles and largest."""
    rows = []
    for name, call in calls.items():
        call(n_threads=1), call(n_threads=threads)
        ones, many = [], []
        for _ in range(rounds):
            ones.append(mean_seconds(call, 1, seconds))
            many.append(mean_seconds(call, threads, seconds))
        ratios = np.divide(many, ones)
        low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
        row = dict(operation=name, one=1e3 * statistics.median(ones), many=1e3 * statistics.median(many))
        rows.append(row | dict(ratio=middle, low=low, high=high, largest=ratios.max()))
    return pd.DataFrame(rows)


def table(frame: pd.DataFrame, threads: int) -> str:
    """Markdown."""
    heads = ["operation", "one thread, ms", f"{threads} threads, ms", "ratio", "quartiles", "largest"]
    rows = []
    for row in frame.itertuples():
        spread = f"{row.low:.2f} to {row.high:.2f}"
        ms = [f"{row.one:.3g}", f"{row.many:.3g}"]
        rows.append([row.operation, *ms, f"{row.ratio:.2f}", spread, f"{row.largest:.2f}"])
    return harness.markdown(heads, rows)


def main(argv: list[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.busy", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9, help="rounds of one thread and several in turn")
    parser.add_argument("--threads", type=int, default=peers.default_threads(), help="default: all processors")
    parser.add_argument("--load", type=int, nargs="+", default=[0, 1], metavar="N", help="numbers of busy processes")
    parser.add_argument("--only", default="", metavar="TEXT", help="operations whose names contain this")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: does it run at all")
    options = parser.parse_args(argv)
    for name in "rounds", "threads":
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be >= 1")
    if min(options.load) < 0:
        parser.error("--load must be >= 0")
    show_config()
    print(f"processor: {machine.processor()}; commit: {machine.commit()}")
    calls = {name: call for name, call in cases(options.tiny).items() if options.only in name}
    for load in options.load:
        with busy(load):
            frame = compare(calls, options.threads, options.rounds, 0 if options.tiny else SECONDS)
        print(f"\nbusy processes beside it: {load}\n\n{table(frame, options.threads)}", flush=True)


if __name__ == "__main__":
    main()
