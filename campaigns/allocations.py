"""Memory that runs out: every allocation of every function of the C core fails in turn.

Each function is called well (``tests/binding_calls.py``), again and again: the first time its first allocation
fails, then its second, until all of them succeed. Allocations of the core, of NumPy and of Python alike: a library
that is preloaded (``failing_malloc.c``, made with ``cc``; Linux with glibc) stands in for that of C, and
``PYTHONMALLOC=malloc`` sends those of Python there. Required is a MemoryError, or the right answer where the
function can do without; that arguments are as they were; that as many blocks are alive after as before; and the
right answer from the next call.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from .record import main

HERE = Path(__file__).parent
#: Calls with the same allocation failing, and the first of them after which no cache grows any more.
REPEATED, SETTLED = 8, 3
#: Allocations that one call makes at most (more, and it does not end), and that ctypes makes before it.
MOST, OWN = 2000, 1


def preload(folder: Path) -> Path:
    """The library that stands in for the allocations of C."""
    library = folder / "failing_malloc.so"
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", HERE / "failing_malloc.c", "-o", library], check=True)
    return library


def kept(arguments: dict[str, Any]) -> dict[str, bytes]:
    return {name: value.tobytes() for name, value in arguments.items() if isinstance(value, np.ndarray)}


def copied(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in arguments.items()}


def as_bytes(answer: Any) -> Any:
    if isinstance(answer, tuple):
        return [as_bytes(part) for part in answer]  # no tuple: of those, Python keeps some
    return answer.tobytes() if isinstance(answer, np.ndarray) else answer if isinstance(answer, int | float) else None


def disarm(library: ctypes.CDLL) -> bool:
    """Whether an allocation failed before this call; one of its own may."""
    try:
        return bool(library.failing_disarm())
    except MemoryError:
        library.failing_disarm()
        return False


def fail_each(
    call: Callable[[dict[str, Any]], Any], make: Callable[[], dict[str, Any]], library: ctypes.CDLL
) -> Iterator[tuple[str, str]]:
    """How each call ended whose n-th allocation failed, and what was wrong with it."""
    arguments = make()
    expected, after = as_bytes(call(arguments)), kept(arguments)
    for n in range(1, MOST):
        alive = array("q", [0] * REPEATED)  # numbers, not objects
        for time in range(REPEATED):
            arguments = make()
            before = kept(arguments)
            answer = error = None
            try:
                library.failing_arm(n + OWN)
                answer = call(arguments)
            except BaseException as raised:
                error = type(raised)
            failed = disarm(library)
            if error and not (failed and issubclass(error, MemoryError)):  # NumPy has one of its own
                yield "fault", f"allocation {n}: {error.__name__}{'' if failed else ' although there was memory'}"
                return
            if error and kept(arguments) != before:
                yield "fault", f"allocation {n}: arguments have changed"
            if not error and (as_bytes(answer) != expected or kept(arguments) != after):
                yield "fault", f"allocation {n}: another answer"
            del arguments, before, answer
            alive[time] = library.failing_alive()
        if failed and alive[-1] - alive[SETTLED] >= REPEATED - 1 - SETTLED:
            yield "fault", f"allocation {n}: blocks are left behind, {list(alive)}"
        if not failed:
            return
        yield "refused" if error else "done without", ""
    yield "fault", "does not end"


def work(share: float, seed: int) -> dict[str, Any]:
    """In a process with the library."""
    from .hostile_calls import _core, calls

    library = ctypes.CDLL(os.environ["LD_PRELOAD"])
    library.failing_alive.restype, library.failing_arm.argtypes = ctypes.c_long, [ctypes.c_size_t]
    library.failing_alive()
    gc.disable()  # it runs when it likes
    counts: Counter[str] = Counter()
    if own := list(fail_each(lambda arguments: None, dict, library)):
        raise AssertionError(f"the loop itself allocates: {own}")
    faults: list[str] = []
    types = [(value, index) for value in (np.float32, np.float64) for index in (np.int32, np.int64)]
    for value, index in types if share >= 1 else types[:1]:
        for name in sorted(calls(seed, value, index)):
            function = getattr(_core, name)
            make = partial(copied, calls(seed, value, index)[name])
            for ended, wrong in fail_each(lambda arguments, f=function: f(**arguments), make, library):
                counts[ended] += 1
                faults += [f"{name} ({value.__name__}, {index.__name__}), {wrong}"] if wrong else []
    return {"functions": len(calls()), "counts": counts, "faults": faults[:50]}


def campaign(share: float, seed: int, folder: Path) -> dict[str, Any]:
    """All functions, all types; a ``share`` below 1: one value and one index type."""
    environment = os.environ | {"LD_PRELOAD": str(preload(folder)), "PYTHONMALLOC": "malloc"}
    code = (
        f"import sys, json; sys.path[:0] = {sys.path!r}\n"
        f"from campaigns import allocations\nprint(json.dumps(allocations.work({share}, {seed})))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    if done.returncode:
        return {"counts": {}, "faults": [f"exit code {done.returncode}: {done.stderr[-2000:]}"]}
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main("allocations", campaign, __doc__))
