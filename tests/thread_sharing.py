"""Calls that are shared between threads, or a test of them shows nothing."""

import time

from bioneuro import _core

#: ns, as in csrc/parallel.c
LONGEST_PAUSE = 320_000_000


def rested():
    """Waits until no call is on one thread any more because of what an earlier one has met."""
    time.sleep(LONGEST_PAUSE / 1e9)


def shared(run, *numbers):
    """What ``run(n_threads)`` gives for each of the numbers of threads; those above 1 are shared with helpers."""
    results = [run(1)]
    for n in numbers:
        before = _core.thread_counts()[0]
        results.append(run(n))
        if _core.thread_counts()[0] == before:
            rested()
            results[-1] = run(n)
        assert _core.thread_counts()[0] > before, "too little work for two"
    return results
