"""The bindings under valgrind: reads of memory that nothing was written to, and of memory that is not theirs.

Each function of the C core is called well (``tests/binding_calls.py``), then with one argument after the other of the
wrong type, for both types of values and of indices; then come calls with hostile arguments (``hostile_calls.py``). The
core is the one that is built. A fault is what valgrind reports of a call that has the core on its stack. Valgrind knows
no AVX-512: the kernels run as for AVX2.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

HERE = Path(__file__).parent
#: Hostile calls of a whole campaign.
HOSTILE = 1000
VALGRIND = ("valgrind", "--quiet", "--error-limit=no", "--leak-check=no", "--num-callers=40", "--xml=yes")


def read(*answers: Any) -> None:
    """Use every byte of what was answered, so that valgrind sees whether all of them were written to."""
    for answer in answers:
        if isinstance(answer, tuple):
            read(*answer)
        elif isinstance(answer, np.ndarray):
            hash(answer.tobytes())


def work(seed: int, hostile: int) -> Counter[str]:
    """In the process under valgrind, which imports as little as it can."""
    from .hostile_calls import _core, calls, execute

    counts: Counter[str] = Counter()
    for value in (np.float32, np.float64):
        for index in (np.int32, np.int64):
            for name, arguments in calls(seed, value, index).items():
                function = getattr(_core, name)
                read(function(**arguments), *arguments.values())
                counts["good"] += 1
                for argument in arguments:
                    try:
                        function(**arguments | {argument: object()})
                    except TypeError:
                        counts["of the wrong type"] += 1
    for one in range(seed, seed + hostile):
        execute(one)
        counts["hostile"] += 1
    return counts


def faults_of(report: Path) -> list[str]:
    """What valgrind says of the core, and of reading what it answered; Python and NumPy have errors of their own."""
    faults = []
    for error in ElementTree.parse(report).iter("error"):
        frames = [(frame.findtext("fn", "?"), Path(frame.findtext("obj", "")).name) for frame in error.iter("frame")]
        if any(name == "bytes_hash" or library.startswith("_core.") for name, library in frames):
            faults.append(" < ".join([error.findtext("kind", "?"), *(name for name, _ in frames[:12])]))
    return faults


def campaign(share: float, seed: int, folder: Path) -> dict[str, Any]:
    """Every good call, and those with one argument of the wrong type; ``share`` of the hostile ones."""
    report = folder / "report.xml"
    code = (
        f"import sys, json; sys.path[:0] = {sys.path!r}\n"
        f"from campaigns import valgrind\nprint(json.dumps(valgrind.work({seed}, {round(share * HOSTILE)})))"
    )
    command = [*VALGRIND, f"--xml-file={report}", sys.executable, "-c", code]
    done = subprocess.run(command, env=os.environ | {"PYTHONMALLOC": "malloc"}, capture_output=True, text=True)
    if done.returncode:
        return {"counts": {}, "faults": [f"exit code {done.returncode}: {done.stderr[-2000:]}"]}
    return {"counts": json.loads(done.stdout.splitlines()[-1]), "faults": faults_of(report)}


if __name__ == "__main__":
    from .record import main

    sys.exit(main("valgrind", campaign, __doc__ or ""))
