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

from .record import main

HERE = Path(__file__).parent
#: Rounds of each caller in a whole campaign; a round calls every kernel that is shared out.
ROUNDS = 20


def build(folder: Path, *options: str, compiler: str = "clang") -> Path:
    """The program, in ``folder``."""
    core = [
        source
        for source in sorted((HERE.parent / "csrc").glob("*.c"))
        if not source.name.startswith("py_") and not source.name.endswith(".tmpl.c") and source.name != "parallel.c"
    ]
    made = folder / "races"
    flags = ["-std=gnu11", "-g", "-O1", "-Wno-psabi", "-pthread", *options]
    subprocess.run([compiler, *flags, HERE / "races.c", *core, "-lm", "-o", made], check=True)
    return made


def replay(core: Path, folder: Path, rounds: int, compiler: str = "cc") -> int:
    """The same on a core that is built already, without the sanitizer; 0 where every answer was that of one thread."""
    library = folder / "races.so"
    flags = ["-std=gnu11", "-O1", "-pthread", "-shared", "-fPIC", "-DBUILT_CORE"]
    subprocess.run([compiler, *flags, HERE / "races.c", "-lm", "-o", library], check=True)
    ctypes.CDLL(str(core), mode=ctypes.RTLD_GLOBAL)
    run = ctypes.CDLL(str(library)).races
    run.argtypes = [ctypes.c_size_t]
    return run(rounds)


def campaign(share: float, seed: int, folder: Path) -> dict[str, Any]:
    """Build it and run it for ``share`` of the rounds; there is nothing random in it."""
    program = build(folder, "-fsanitize=thread")
    done = subprocess.run([program, str(max(1, round(share * ROUNDS)))], capture_output=True, text=True)
    faults = [line for line in done.stderr.splitlines() if line.startswith("SUMMARY")]
    said = done.stdout.split()
    if done.returncode and not faults:
        faults = [f"exit code {done.returncode}: {done.stdout} {done.stderr[-500:]}"]
    names = ("rounds", "calls shared with helpers", "other answers")
    return {"counts": dict(zip(names, map(int, said), strict=False)), "faults": faults}


if __name__ == "__main__":
    sys.exit(main("races", campaign, __doc__.splitlines()[0]))
