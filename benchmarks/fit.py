"""``python -m benchmarks.fit``: where the time of ``fit`` goes, and what other networks take to the same accuracy.

Fits :class:`bioneuro.BioClassifier` once, under Python's profiler, and prints the time of each stage and of the kernels
that it was spent in. Kernels run on the pool of threads, the rest on one. Then rivals learn from the same images, epoch
by epoch, until they are as good on the test images, or for ``--epochs``. With one thread times are those of the
processor, so that other work beside it hardly counts; with several they are those of the clock.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from benchmarks import harness, machine, peers
from bioneuro import BioClassifier, Schedule, datasets, show_config

#: Kernels that are products with a pathway, or copy it for them; the others count together.
PRODUCTS = ("forward", "weight_grad", "hebbian_step", "layout", "layout_refresh")
HIDDEN, BATCH = 512, 128

Predict = Callable[[NDArray], NDArray]


def clock(threads: int) -> float:
    """Seconds."""
    return time.process_time() if threads == 1 else time.perf_counter()


def stages(X: NDArray, y: NDArray, threads: int, **parameters: object) -> tuple[BioClassifier, dict[str, float]]:
    """A fitted classifier, and the seconds of each stage: what comes before its first epoch counts as "between"."""
    seconds: dict[str, float] = {"between": 0.0}
    last = clock(threads)

    def on_epoch(_: BioClassifier, stage: str, done: int, n: int) -> None:
        nonlocal last
        now = clock(threads)
        key = stage if done else "between"
        seconds[key] = seconds.get(key, 0.0) + now - last
        last = now

    model = BioClassifier(random_state=0, n_threads=threads, **parameters).fit(X, y, on_epoch=on_epoch)
    return model, seconds


def kernel_seconds(profile: cProfile.Profile) -> dict[str, float]:
    """Seconds in the products, in the other kernels, and outside the extension."""
    found = {"outside": 0.0, "other kernels": 0.0} | dict.fromkeys(PRODUCTS, 0.0)
    for (_, _, name), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        kernel = name.removeprefix("<built-in method bioneuro._core.").rstrip(">")
        found[kernel if kernel in found else "outside" if kernel == name else "other kernels"] += own
    return found


def scikit_learn(X: NDArray, y: NDArray, threads: int) -> Iterator[Predict]:
    """``MLPClassifier`` with its defaults but for the size: ``predict`` after each epoch."""
    from sklearn.neural_network import MLPClassifier

    rival = MLPClassifier((HIDDEN,), batch_size=min(BATCH, len(X)), random_state=0)
    return (rival.partial_fit(X, y, classes=np.unique(y)).predict for _ in repeat(None))  # each call is an epoch


def torch_mlp(X: NDArray, y: NDArray, threads: int) -> Iterator[Predict]:
    """The same network in torch, by Adam."""
    import torch

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(X.shape[1], HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, len(np.unique(y)))
    )
    optimiser, loss = torch.optim.Adam(net.parameters()), torch.nn.CrossEntropyLoss()
    images, labels = torch.from_numpy(X), torch.from_numpy(y.astype(np.int64))

    def predict(Z: NDArray) -> NDArray:
        with torch.no_grad():
            return net(torch.from_numpy(Z)).argmax(dim=1).numpy()

    def epoch() -> Predict:
        for rows in torch.randperm(len(X)).split(BATCH):
            optimiser.zero_grad()
            loss(net(images[rows]), labels[rows]).backward()
            optimiser.step()
        return predict

    return (epoch() for _ in repeat(None))


#: By name: what it needs to be installed, and its epochs.
RIVALS = {"scikit-learn MLPClassifier": ("sklearn", scikit_learn), "torch MLP": ("torch", torch_mlp)}


def race(epochs: Iterator[Predict], goal: float, most: int, threads: int, X: NDArray, y: NDArray) -> str:
    """A row of the table: seconds until the accuracy on ``X, y`` is ``goal``, or of ``most`` epochs; best accuracy."""
    seconds, best, n = 0.0, 0.0, 0
    while n < most and best < goal:
        start = clock(threads)
        predict = next(epochs)
        seconds += clock(threads) - start
        best, n = max(best, float((predict(X) == y).mean())), n + 1
    return f"{seconds:.1f} | {100 * best:.2f} | {n}"


def main(argv: list[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fit", description=__doc__)
    parser.add_argument("--data", default="mnist", help="data set (default: mnist)")
    parser.add_argument("--images", type=int, default=5000, metavar="N", help="training images")
    parser.add_argument("--threads", type=int, default=1, help="of the kernels")
    parser.add_argument("--epochs", type=int, default=30, help="most epochs of the rivals; 0: no rivals")
    parser.add_argument("--tiny", action="store_true", help="few cells and epochs: does it run at all")
    options = parser.parse_args(argv)
    for name in "images", "threads":
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be >= 1")
    if options.epochs < 0:
        parser.error("--epochs must be >= 0")
    data = datasets.load(options.data)
    X, y = data.X_train[: options.images].astype(np.float32), data.y_train[: options.images]
    test = data.X_test.astype(np.float32), data.y_test
    show_config()
    print(f"processor: {machine.processor()}; commit: {machine.commit()}")
    print(f"{options.data}, {len(X)} images, {options.threads} thread(s)\n")

    brief = Schedule(association_epochs=1, teaching_epochs=1, readout_epochs=1)
    tiny = {"n_cells": 20, "mixing": 50, "schedule": brief}
    profile = cProfile.Profile()
    with profile:
        model, seconds = stages(X, y, options.threads, **(tiny if options.tiny else {}))
    total, kernels = sum(seconds.values()), kernel_seconds(profile)
    rows = [[stage, f"{spent:.1f}", f"{100 * spent / total:.0f}"] for stage, spent in seconds.items()]
    print(harness.markdown(["stage of `fit`", "s", "%"], [*rows, ["all", f"{total:.1f}", "100"]]) + "\n")
    elapsed = sum(kernels.values())
    rows = [[kernel, f"{100 * spent / elapsed:.0f}"] for kernel, spent in kernels.items()]
    print(harness.markdown(["of the time, in", "%"], rows))
    goal = model.score(*test)
    print("\n| to the same accuracy | s | accuracy, % | epochs |\n|---|---|---|---|")
    print(f"| bioneuro | {total:.1f} | {100 * goal:.2f} | |")
    peers.set_threads(options.threads, [])
    for name, (package, epochs) in RIVALS.items():
        if options.epochs and find_spec(package):
            row = race(epochs(X, y, options.threads), goal, options.epochs, options.threads, *test)
            print(f"| {name} | {row} |", flush=True)


if __name__ == "__main__":
    main()
