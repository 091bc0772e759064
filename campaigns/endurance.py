"""An hour of ``partial_fit``: memory and throughput stay as they are.

A network with its usual settings, turnover and recruitment of cells among them, learns from small batches of digits
without end. Every so often its memory is noted, and its steps a second of processor time, which other work on the
machine changes little.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import bioneuro as bn

from .record import main

#: Seconds of a whole campaign, and how often figures are noted.
SECONDS, NOTES = 3600, 60
#: Share of the notes before memory and throughput are what they will be.
WARM_UP = 0.25
#: What may grow meanwhile, in MiB, and what must be left of the throughput.
GROWTH, KEPT = 4, 0.8
BATCH = 20


def held() -> float:
    """Memory that this process holds now, in MiB (Linux)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def campaign(share: float, seed: int, folder: Path) -> dict[str, Any]:
    """Learn for ``share`` of the hour."""
    data, rng = bn.datasets.load("digits"), np.random.default_rng(seed)
    model = bn.BioClassifier(n_cells=60, encoder__n_columns=16, mixing=200, random_state=seed)
    classes, faults = np.unique(data.y_train), []
    memory, throughput, steps = [], [], 0
    start = time.perf_counter()
    for note in range(1, NOTES + 1):
        until, before = start + share * SECONDS * note / NOTES, time.process_time()
        done = 0
        while not done or time.perf_counter() < until:
            rows = rng.integers(len(data.X_train), size=BATCH)
            model.partial_fit(data.X_train[rows], data.y_train[rows], classes)
            done += 1
        steps += done
        memory.append(held())
        throughput.append(done / (time.process_time() - before))
    settled = round(WARM_UP * NOTES)
    half = (NOTES + settled) // 2
    grown = max(memory[half:]) - max(memory[settled:half])
    first, last = (float(np.median(throughput[part])) for part in (slice(settled, half), slice(half, None)))
    score = float(model.score(data.X_test, data.y_test))
    if grown > GROWTH:
        faults.append(f"memory grows by {grown:.1f} MiB in the second half")
    if last < KEPT * first:
        faults.append(f"{first:.0f} steps a second become {last:.0f}")
    if score < 0.8:
        faults.append(f"accuracy {score:.2f} at the end")
    return {
        "seconds_of_learning": round(share * SECONDS),
        "calls": steps,
        "mib": {"settled": round(memory[settled], 1), "most": round(max(memory), 1), "end": round(memory[-1], 1)},
        "calls_a_processor_second": {"first half": round(first), "second half": round(last)},
        "accuracy": round(score, 3),
        "faults": faults,
    }


if __name__ == "__main__":
    sys.exit(main("endurance", campaign, __doc__))
