"""Kill -9 in the middle of ``save``: whenever it comes, the old model is there, or the new one, whole.

A child saves one of two models over and over; it is killed after a random time, and what is there is loaded and
compared. Every so often another process saves into the same file at the same time. What killed processes leave behind
must be gone after the next save.
"""

from __future__ import annotations

import multiprocessing
import sys
import time
from collections import Counter
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import numpy as np

import bioneuro as bn

from .record import main

#: Kills of a whole campaign.
KILLS = 1_000
#: Longest time that a child is let live after its first save, in seconds: some saves.
LONGEST = 0.05


def saver(path: Path, sources: list[Path], ready: Connection) -> None:
    """Save one model after another, once told to, without end."""
    models = [bn.load(source) for source in sources]
    for model in models:  # what is made at the first save is made by now
        bn.save(model, sources[0].with_name(f"{ready.fileno()}.npz"))
    ready.send(True)
    ready.recv()
    while True:
        for model in models:
            bn.save(model, path)


def child(context: ForkServerContext, path: Path, sources: list[Path]) -> tuple[ForkServerProcess, Connection]:
    """A process that is ready to save."""
    here, there = context.Pipe()
    process = context.Process(target=saver, args=(path, sources, there), daemon=True)
    process.start()
    here.recv()
    return process, here


def campaign(share: float, seed: int, folder: Path) -> dict[str, Any]:
    """Kill as often as ``share`` of the whole campaign has it."""
    rng, counts, faults = np.random.default_rng(seed), Counter[str](), []
    data = bn.datasets.load("digits")
    X, y = data.X_train[:200], data.y_train[:200]
    sources, contents = [], []
    for k, n_cells in enumerate((20, 60)):
        source = folder / f"model_{k}.npz"
        bn.save(bn.BioClassifier(n_cells=n_cells, encoder__n_columns=8, mixing=100, random_state=0).fit(X, y), source)
        sources.append(source)
        contents.append(source.read_bytes())
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bioneuro.classifier", "bioneuro.io"])  # else each child would import them
    inner = folder / "inner"
    inner.mkdir()
    path = inner / "model.npz"
    path.write_bytes(contents[0])
    n_left = largest_left = 0
    for k in range(max(1, round(share * KILLS))):
        children = [child(context, path, sources) for _ in range(1 + (k % 10 == 9))]
        for _, told in children:
            told.send(True)
        time.sleep(rng.uniform(0, LONGEST))
        for process, told in children:
            if not process.is_alive():
                faults.append(f"kill {k}: the child ended by itself")
            process.kill()
            process.join()
            told.close()
        counts["kills"] += len(children)
        found = path.read_bytes()
        if found not in contents:
            faults.append(f"kill {k}: {len(found)} bytes that are neither model")
        bn.load(path)
        counts["first model" if found == contents[0] else "second model"] += 1
        left = [p for p in inner.iterdir() if p != path]
        n_left += len(left)
        counts["in the middle of a save"] += bool(left)
        largest_left = max(largest_left, len(left))
        if k % 50 == 49 or share < 1:
            bn.save(bn.load(sources[0]), path)
            faults += [f"kill {k}: {p.name} is left after the next save" for p in inner.iterdir() if p != path]
    return {"counts": dict(counts), "parts_left_at_most": largest_left, "parts_left_in_all": n_left, "faults": faults}


if __name__ == "__main__":
    sys.exit(main("kill", campaign, __doc__))
