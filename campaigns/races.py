"""Data races: every kernel from three threads at once, each call shared with helpers, under ThreadSanitizer.

The C core is compiled with ``races.c`` by clang. Callers share the arrays that they read and the layouts of one
pathway; each answer must be that of one thread, bit for bit. A report of the sanitizer is a fault, as is another
answer.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from typing import Any

from . import core
from .record import main

SOURCE = Path(__file__).with_suffix(".c")
#: Rounds of each caller in a whole campaign; a round calls every kernel that is shared out.
ROUNDS = 20


def build(folder: Path) -> Path:
    """The program, in ``folder``."""
    made = folder / "races"
    flags = ["-std=gnu11", "-g", "-O1", "-Wno-psabi", "-pthread", "-fsanitize=thread"]
    subprocess.run(["clang", *flags, SOURCE, *core.kernels(), "-lm", "-o", made], check=True)
    return made


def replay(built: Path, folder: Path, rounds: int) -> int:
    """The same on a core that is built already, without the sanitizer; 0 where every answer was that of one thread."""
    run = core.beside(built, folder / "races.so", SOURCE).races
    run.argtypes = [ctypes.c_size_t]
    return run(rounds)


def campaign(share: float, seed: int, folder: Path) -> dict[str, Any]:
    """Build it and run it for ``share`` of the rounds; there is nothing random in it."""
    program = build(folder)
    done = subprocess.run([program, str(max(1, round(share * ROUNDS)))], capture_output=True, text=True)
    faults = [line for line in done.stderr.splitlines() if line.startswith("SUMMARY")]
    said = done.stdout.split()
    if done.returncode and not faults:
        faults = [f"exit code {done.returncode}: {done.stdout} {done.stderr[-500:]}"]
    names = ("rounds", "calls shared with helpers", "other answers")
    return {"counts": dict(zip(names, map(int, said), strict=False)), "faults": faults}


if __name__ == "__main__":
    sys.exit(main("races", campaign, __doc__))
