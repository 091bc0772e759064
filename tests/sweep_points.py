"""Functions that the tests of sweeps call at points: a module, so that every process finds them."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import threadpoolctl


def drawn(a, b, seed):
    return {"sum": a + b, "drawn": float(np.random.default_rng(seed).normal())}


def logged(x, log, seed):
    """A line of the log for each call, so that a test knows which were made."""
    with open(log, "a") as file:
        file.write(f"{x}\n")
    return {"drawn": float(np.random.default_rng(seed).normal())}


def fails_at_two(x):
    if x == 2:
        raise ArithmeticError("two is\ntoo much")
    return x * 10


def dies_at_two(x):
    if x == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return x * 10


def dies_once_at_two(x, flag):
    if x == 2 and not Path(flag).exists():
        Path(flag).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return x * 10


def threads(x):
    return {pool["user_api"]: pool["num_threads"] for pool in threadpoolctl.threadpool_info()}


def slow(x, log, seed):
    """Draws what ``logged`` draws."""
    with open(log, "a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(0.2)
    return {"drawn": float(np.random.default_rng(seed).normal())}


def rows(x):
    return [{"measure": name, "value": x * k} for k, name in enumerate(("a", "b"), 1)]
