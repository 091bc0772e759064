"""When a further worker pays: what a block of images costs to encode and to move, what follows, and what is measured.

Four figures are measured in one process and with one worker: seconds to encode an image, seconds to move it and its
features, seconds of a learning step of the association, and the rate at which bytes move. From them follow the
images a second with any number of workers, and whether a step could be shared out; some of these are then measured.
``docs/scale.md`` explains the model.
"""

from __future__ import annotations

import os
import sys
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from distributed import Client, LocalCluster

import bioneuro as bn
from bioneuro import blockwise_encoding
from bioneuro.dask_workers import held_by_workers

from .record import main

#: Images of a whole campaign, and of the batch of a learning step.
IMAGES, BATCH = 32_768, 256
#: Images that are moved at a time, and that the network of the learning step has learned from.
BLOCK, LEARNED = 1024, 4096
SIDE = 28
#: Workers that throughput is predicted for; measured for as many as are here.
WORKERS = (1, 2, 4, 8, 16)
MEASURED = (1, 2)
#: Gigabit and ten-gigabit Ethernet, and what is within a machine room, in bytes a second.
NETWORKS = {"1 Gbit/s": 1.25e8, "10 Gbit/s": 1.25e9, "100 Gbit/s": 1.25e10}


def seconds(work: Callable[[], Any], repeats: int = 3) -> float:
    """The shortest of a few times: what else runs only adds."""
    return min(timeit.repeat(work, number=1, repeat=repeats))


def images_per_second(encode: float, move: float, n_workers: int) -> float:
    """The model: each worker has a core of its own, and so has the one process that moves all images.

    ``encode`` and ``move`` are seconds an image.
    """
    return 1 / max(encode / n_workers, move)


def images_per_second_here(encode: float, move: float, n_workers: int, n_cores: int) -> float:
    """The same where all of it has to share the cores of one machine."""
    return min(n_workers, n_cores) / (encode + move)


def step_on_workers(step: float, shared: float, n_bytes: float, rate: float, n_workers: int) -> float:
    """Seconds of a learning step whose sums over samples are shared out: each worker sends its sums, and is sent the
    weights, through the one door of the process that learns. ``rate`` in bytes a second."""
    return step - shared + shared / n_workers + 2 * n_bytes * (n_workers - 1) / rate


class Moved:
    """A worker's answer without the work: as many bytes as features have."""

    def __init__(self, n_features: int) -> None:
        self.n_features = n_features

    def __call__(self, start: int, block: np.ndarray) -> np.ndarray:
        return np.zeros((len(block), self.n_features), np.float32)


def step_of_learning(model: bn.BioClassifier, X: np.ndarray, y: np.ndarray) -> tuple[float, float, int]:
    """Seconds of a learning step of the association, of that those of its sums over samples, and the bytes of its
    weights."""
    association = model.network_.association
    H = model.network_.on_features.seen(model.transform(X[:BATCH]))
    T = np.eye(len(model.classes_), dtype=H.dtype)[np.searchsorted(model.classes_, y[:BATCH])]
    Y = association.respond(H)

    def sums() -> None:
        association.respond(H)
        association.synapses.weight_grad(H, Y, n_threads=1)

    shared = seconds(sums, 5)
    return seconds(lambda: association.learn(H, T), 5), shared, association.synapses.weights.nbytes


def campaign(share: float, seed: int, folder: Path) -> dict[str, Any]:
    """Measure with as many images as ``share`` of the whole campaign has."""
    n = max(LEARNED, round(share * IMAGES / BLOCK) * BLOCK)
    rng = np.random.default_rng(seed)
    X, y = rng.random((n, SIDE * SIDE), np.float32), rng.integers(10, size=n)
    short = {"schedule__teaching_epochs": 1, "schedule__readout_epochs": 1, "n_threads": 1, "random_state": seed}
    model = bn.BioClassifier(**short).fit(X[:LEARNED], y[:LEARNED])
    encoder, n_features = model.encoder_, model.encoder_.n_features
    check = blockwise_encoding.Check(np.dtype(np.float32), images=True)
    block = X[:BLOCK]
    encode = seconds(lambda: encoder.encode(block)) / len(block)
    measured, faults = {}, []
    alone = encoder.encode(block)
    move = np.inf
    for n_workers in MEASURED:
        parts = {"n_workers": n_workers, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
        with LocalCluster(**parts) as cluster, Client(cluster, set_as_default=False) as client:
            if n_workers == 1:
                with held_by_workers(client, Moved(n_features)) as submit:
                    move = seconds(lambda submit=submit: submit(0, block).result(), 5) / len(block)
            blockwise_encoding.features(encoder.encode, None, block, check, client)  # what is made at first use
            start = time.perf_counter()
            H = blockwise_encoding.features(encoder.encode, None, X, check, client)
            measured[n_workers] = n / (time.perf_counter() - start)
            if not np.array_equal(H[: len(block)], alone):
                faults.append(f"{n_workers} workers gave other features")
    step, shared, weights = step_of_learning(model, X, y)
    n_cores = len(os.sched_getaffinity(0))
    return {
        "images": n,
        "cores": n_cores,
        "encode_us": round(1e6 * encode, 1),
        "move_us": round(1e6 * move, 1),
        "bytes_an_image": X[0].nbytes + 4 * n_features,
        "moved_bytes_a_second": round((X[0].nbytes + 4 * n_features) / move),
        "images_per_second": {
            f"{n_workers}": {
                "predicted": round(images_per_second(encode, move, n_workers)),
                "predicted_here": round(images_per_second_here(encode, move, n_workers, n_cores)),
                **({"measured": round(measured[n_workers])} if n_workers in measured else {}),
            }
            for n_workers in WORKERS
        },
        "workers_that_pay": int(np.ceil(encode / move)),
        "step_ms": round(1e3 * step, 2),
        "step_shared_ms": round(1e3 * shared, 2),
        "step_weight_bytes": weights,
        "step_on_workers_ms": {
            name: {f"{w}": round(1e3 * step_on_workers(step, shared, weights, rate, w), 2) for w in WORKERS}
            for name, rate in NETWORKS.items()
        },
        "faults": faults,
    }


if __name__ == "__main__":
    sys.exit(main("cluster", campaign, __doc__))
