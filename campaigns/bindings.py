"""Hostile arguments for every function of the C core, in processes of their own, some thousand calls each.

A fault is a process that dies or hangs, or an exception that no function promises. ``campaigns/hostile_calls.py`` says
what a call is, and repeats one by its seed. For memory errors that do not crash, run it on the build of ``make
sanitize``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from .record import main

#: Calls of a whole campaign, and of one process.
EXECUTIONS, AT_ONCE = 40_000, 5000
#: Seconds of one process; then it hangs.
LONGEST = 1800

PROGRAM = Path(__file__).with_name("hostile_calls.py")


def campaign(share: float, seed: int, folder: Path) -> dict[str, Any]:
    """Calls of the seeds from ``seed`` on; behind one that is a fault, the next process goes on."""
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    progress, first, end = folder / "seed", seed, seed + round(share * EXECUTIONS)
    while first < end:
        last = min(first + AT_ONCE, end)
        done = _executed(first, last, progress)
        if done.returncode == 0:
            outcomes.update(json.loads(done.stdout))
            first = last
        else:
            first = int(progress.read_text())
            faults.append(f"seed {first}, exit code {done.returncode}: {done.stderr[-1500:]}")
            first += 1
    return {"executions": end - seed, "outcomes": dict(sorted(outcomes.items())), "faults": faults}


def _executed(first: int, last: int, progress: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), str(first), str(last), str(progress)]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=LONGEST)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, -1, "", f"still busy after {LONGEST} s")


if __name__ == "__main__":
    sys.exit(main("bindings", campaign, __doc__))
