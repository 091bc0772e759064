"""What a benchmark case is, and how it is timed."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

OURS, CONTROL = "bioneuro", "control"

#: :func:`unrest` of the control above which the machine was not quiet: it had other work, or its host had.
RESTLESS = 0.15

#: Pause before each measurement: the thread pools of BLAS and OpenMP spin after their last job, on the cores that the
#: next implementation needs. OpenBLAS does so for up to 0.08 s: after a pause of 0.05 s ours took four times as long.
PAUSE = 0.12

#: Then each implementation runs for this long before its one measured call: a thread pool that was asleep wakes up on
#: one core, and is spread over the cores only at the scheduler's next tick, some milliseconds later.
WARM = 0.02


@dataclass(frozen=True)
class Case:
    """One operation at one size: ``calls`` maps an implementation to a call without arguments; ours is ``"bioneuro"``.

    ``work`` is in floating-point operations for products (reported as GFLOP/s), in items for the rest (as M/s).
    ``facts`` (nnz, batch, dtype, ...) become columns of the frame, for the figures.
    """

    operation: str
    size: str
    work: float
    unit: str
    calls: dict[str, Callable[[], object]] = field(repr=False)
    facts: dict[str, object] = field(default_factory=dict)


def control() -> float:
    """Seconds of a fixed piece of arithmetic in the L1 cache (about 1 ms), which nothing but the machine can change."""
    x = np.ones(2048, np.float32)
    start = time.perf_counter()
    for _ in range(2000):
        np.multiply(x, np.float32(1), out=x)
    return time.perf_counter() - start


def markdown(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table."""
    heads = list(heads)
    lines = [f"| {' | '.join(cells)} |" for cells in (heads, *rows)]
    return "\n".join([lines[0], "|---" * len(heads) + "|", *lines[1:]])


def apart(module: str, *arguments: object, **environment: str) -> Any:
    """What ``main`` of a module of benchmarks prints as JSON, given the arguments, in a process of its own."""
    root = str(Path(__file__).parents[1])
    # at the end, so that an installed library is not hidden behind uncompiled sources
    code = f"import sys; sys.path.append({root!r}); from benchmarks.{module} import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | environment)
    return json.loads(done.stdout)


def unrest(seconds: list[float]) -> float:
    """How far times of one and the same thing lie apart: their 90th percentile over their median, less 1."""
    return float(np.quantile(seconds, 0.9) / np.median(seconds)) - 1


def times(calls: dict[str, Callable[[], object]], rounds: int, *, hasty: bool = False) -> dict[str, list[float]]:
    """Seconds of each call in each of the rounds, in which every implementation runs once, after a warm-up; under
    :data:`CONTROL` those of :func:`control`, once before each call. ``hasty``: no pauses, for times not to be kept."""
    for call in calls.values():
        call()
    found: dict[str, list[float]] = {name: [] for name in (*calls, CONTROL)}
    for _ in range(rounds):
        for name, call in calls.items():
            if not hasty:
                time.sleep(PAUSE)
            found[CONTROL].append(control())
            awake = time.perf_counter() + (0 if hasty else WARM)
            while time.perf_counter() < awake:
                call()
            start = time.perf_counter()
            call()
            found[name].append(time.perf_counter() - start)
    return found


def run(cases: Iterable[Case], rounds: int, *, hasty: bool = False) -> pd.DataFrame:
    """Time each case (:func:`times`) before the next is made, so that only one is in memory.

    Returns
    -------
    DataFrame
        One row a case and implementation: operation, size, implementation, ms (median), spread (:func:`unrest` of its
        times), control (that of the control meanwhile), rate, unit, ratio (to our time), facts.
    """
    rows = []
    for case in cases:
        found = times(case.calls, rounds, hasty=hasty)
        noise = unrest(found.pop(CONTROL))
        seconds = {name: statistics.median(its) for name, its in found.items()}
        scale = 1e9 if case.unit == "GFLOP/s" else 1e6
        for name, s in seconds.items():
            row = dict(operation=case.operation, size=case.size, implementation=name, ms=s * 1e3)
            row |= dict(spread=unrest(found[name]), control=noise)
            row |= dict(rate=case.work / s / scale, unit=case.unit, ratio=s / seconds[OURS])
            rows.append(row | case.facts)
    return pd.DataFrame(rows)
