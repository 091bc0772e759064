"""Kill -9 of the commands that resume: whenever it comes, the same command again ends with the same files.

Each command runs undisturbed once. Then it is started in a new folder, killed after a random time, started again, and
so on; when it is let finish, every file of the folder and what was printed must be those of the undisturbed run, byte
for byte. The clocks of the commands stand still, so that the seconds that they write down are the same, too.
"""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import count
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import numpy as np

from .record import main

#: Kills of each command in a whole campaign.
KILLS = 15
#: Kills of one run, which is then let finish.
KILLS_OF_A_RUN = 5
SMALL = ["--n-train", "60", "--out", "out"]
COMMANDS = {
    "compare": ["--quick", "--models", "class-means", "streaming-lda", "--n-attacked", "2",
                "--epsilons", "0.1", "--seeds", "2", "--jobs", "1", *SMALL],
    "claims": ["C2", "--seeds", "2", *SMALL],
    "attack": ["--models", "nearest neighbour", "--epsilons", "0.1", "--n-attacked", "2", "--seeds", "3", *SMALL],
    "fewshot": ["--models", "nearest neighbour", "--shots", "1", "2", "--repeats", "3", "--n-test", "50",
                "--unlabelled", "60", "--out", "out"],
    "continual": ["--seeds", "2", "--cells", "20", *SMALL],
    "sweep": [f"{__name__}:accuracy", "n_cells=10,20", "repeat=0:4", "--n-jobs", "1", "--out", "out"],
    "tune": ["class-means", "hpca", "streaming-lda", "--trials", "3", "--n-validation", "50", *SMALL],
}  # fmt: skip


def accuracy(n_cells: int, repeat: int, seed: np.random.SeedSequence) -> float:
    """What ``sweep`` calls."""
    import bioneuro as bn

    data = bn.datasets.load("digits")
    rows = np.random.default_rng(seed).choice(len(data.X_train), 60, replace=False)
    model = bn.BioClassifier(n_cells=n_cells, encoder__n_columns=8, mixing=50, random_state=repeat)
    return model.fit(data.X_train[rows], data.y_train[rows]).score(data.X_test[:100], data.y_test[:100])


def command(name: str, folder: Path) -> None:
    """Run one command in ``folder``; in a session of its own, so that its processes are killed with it."""
    os.setsid()
    os.chdir(folder)
    time.perf_counter = time.process_time = lambda: 0.0
    found = importlib.util.find_spec  # as without torch: ``attack`` would train a CNN most of the time
    importlib.util.find_spec = lambda name, package=None: None if name == "torch" else found(name, package)
    from bioneuro.research.commands import main as run

    with open("printed.txt", "w") as file:
        os.dup2(file.fileno(), sys.stdout.fileno())
        sys.stdout = file
        code = run([name, *COMMANDS[name]])
        file.flush()
        os._exit(code)


def ended(context: ForkServerContext, name: str, folder: Path, seconds: float | None = None) -> int | None:
    """The exit code of a command, or None if it was killed after ``seconds``."""
    process = context.Process(target=command, args=(name, folder))
    process.start()
    process.join(seconds)
    if process.exitcode is not None:
        return process.exitcode
    assert process.pid is not None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it has no session yet
        process.kill()
    process.join()
    return None


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def differences(expected: dict[str, bytes], found: dict[str, bytes]) -> Iterator[str]:
    """What is wrong with the files that were found."""
    for file in sorted(expected.keys() | found.keys()):
        if file not in found:
            yield f"{file} is not there"
        elif file not in expected:
            yield f"{file} is left"
        elif found[file] != expected[file]:
            yield f"{file} is another"


def campaign(share: float, seed: int, folder: Path, names: Sequence[str] = tuple(COMMANDS)) -> dict[str, Any]:
    """Kill each command as often as ``share`` of the whole campaign has it; Ctrl-C ends it early."""
    rng, faults = np.random.default_rng(seed), list[str]()
    counts = {name: Counter[str]() for name in names}
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["bioneuro.research.commands", "pandas", "matplotlib.figure", "optuna"])
    first = context.Process(target=int)  # starts the server of the others, which takes long
    first.start()
    first.join()
    undisturbed: dict[str, tuple[dict[str, bytes], float]] = {}
    wanted = max(1, round(share * KILLS))
    try:
        for name in names:
            inner = folder / f"{name}-0"
            inner.mkdir()
            start = time.perf_counter()
            if code := ended(context, name, inner):
                faults.append(f"{name}: exit code {code}")
            else:
                undisturbed[name] = contents(inner), time.perf_counter() - start
        for run in count(1):
            left = [name for name in undisturbed if counts[name]["kills"] < wanted]
            if not left:
                break
            for name in left:
                inner = folder / f"{name}-{run}"
                inner.mkdir()
                expected, seconds = undisturbed[name]
                for _ in range(min(KILLS_OF_A_RUN, wanted - counts[name]["kills"])):
                    if ended(context, name, inner, rng.uniform(0, seconds / 2)) is not None:
                        break
                    counts[name]["kills"] += 1
                    counts[name]["kills that left results"] += any((inner / "out").rglob("*"))
                code = ended(context, name, inner)
                counts[name]["runs that went on"] += 1
                wrong = [f"exit code {code}"] * bool(code) + list(differences(expected, contents(inner)))
                faults += [f"{name}, run {run}: {what}" for what in wrong]
                print(f"{name}: {dict(counts[name])}, {wrong}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("ended early", file=sys.stderr)
    return {
        "kills": sum(each["kills"] for each in counts.values()),
        "counts": {name: dict(each) for name, each in counts.items()},
        "faults": faults,
    }


if __name__ == "__main__":
    sys.exit(main("kill_commands", campaign, __doc__))
