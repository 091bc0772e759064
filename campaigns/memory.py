"""Ten million images through a memory map: learning stays below 2 GiB of memory, and is shared with a cluster.

A process of its own makes images up, writes them into a file block by block, learns from the file, and says how much
memory it ever held (the kernel's high-water mark, pages of the file among it). Images and network are small, since it
is the number of images that counts.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import bioneuro as bn
from bioneuro import row_sources

from .record import main

#: Images of a whole campaign, their side in pixels, and their classes.
IMAGES, SIDE, CLASSES = 10_000_000, 8, 10
#: What learning may hold in all, in bytes.
MOST = 2 * 2**30
#: Images that are made up at a time.
BLOCK = 65_536
NETWORK = {
    "encoder__n_columns": 4,
    "n_cells": 32,
    "mixing": 64,
    "supervision__eta": 0,
    "schedule__association_epochs": 1,
    "schedule__readout_epochs": 1,
    "random_state": 0,
}


def peak() -> int:
    """The most memory that this process has held so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def make_up(path: Path, n: int, seed: int) -> np.ndarray:
    """Write ``n`` images, noisy patterns of each class, and give their labels."""
    rng = np.random.default_rng(seed)
    patterns = rng.random((CLASSES, SIDE * SIDE), np.float32)
    labels = rng.integers(CLASSES, size=n).astype(np.int8)
    header = np.lib.format.header_data_from_array_1_0(np.empty((0, SIDE * SIDE), np.float32))
    with open(path, "wb") as file:
        np.lib.format.write_array_header_1_0(file, {**header, "shape": (n, SIDE * SIDE)})
        for start in range(0, n, BLOCK):
            own = labels[start : start + BLOCK]
            file.write((patterns[own] / 2 + rng.random((len(own), SIDE * SIDE), np.float32) / 2).data)
    return labels


def learn(n: int, seed: int, folder: Path) -> None:
    """Make up, learn, and write down what it took."""
    path = folder / "images.npy"
    start = time.perf_counter()
    y = make_up(path, n, seed)
    X = np.load(path, mmap_mode="r")
    bn.BioClassifier(**NETWORK).fit(np.array(X[:200]), y[:200])  # what learning imports is not what it holds
    made, before = time.perf_counter(), peak()
    row_sources.IN_MEMORY = min(
        row_sources.IN_MEMORY, path.stat().st_size // 4
    )  # a small share, too, is taken for large
    stages: dict[str, float] = {}

    def passed(model: bn.BioClassifier, stage: str, done: int, of: int) -> None:
        stages[stage if done else f"until {stage}"] = round(time.perf_counter() - made, 1)

    model = bn.BioClassifier(**NETWORK).fit(X, y, on_epoch=passed)
    seconds, most = time.perf_counter() - made, peak()
    found = {
        "images": n,
        "file_mib": round(path.stat().st_size / 2**20),
        "features_mib": round(n * model.encoder_.n_features * 4 / 2**20),
        "peak_before_mib": round(before / 2**20),
        "peak_mib": round(most / 2**20),
        "seconds_to_make": round(made - start, 1),
        "seconds_to_learn": round(seconds, 1),
        "images_per_second": round(n / seconds),
        "at_seconds": stages,
        "accuracy": round(float(model.score(X[:2000], y[:2000])), 3),
    }
    (folder / "found.json").write_text(json.dumps(found))


def campaign(share: float, seed: int, folder: Path) -> dict[str, Any]:
    """Learn from as many images as ``share`` of the whole campaign has."""
    process = multiprocessing.get_context("spawn").Process(
        target=learn, args=(max(2000, round(share * IMAGES)), seed, folder)
    )
    process.start()
    process.join()
    if process.exitcode:
        return {"faults": [f"the process that learns ended with {process.exitcode}"]}
    found = json.loads((folder / "found.json").read_text())
    faults = []
    if found["peak_mib"] * 2**20 >= MOST:
        faults.append(f"it held {found['peak_mib']} MiB")
    if found["accuracy"] < 0.5:
        faults.append(f"it learned nothing: accuracy {found['accuracy']}")
    return {**found, "faults": faults}


if __name__ == "__main__":
    sys.exit(main("memory", campaign, __doc__))
