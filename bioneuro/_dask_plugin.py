"""The worker's side of :mod:`bioneuro.dask_workers`; imported where ``distributed`` is installed."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from distributed import Worker
from distributed.diagnostics.plugin import WorkerPlugin
from threadpoolctl import threadpool_limits

__all__ = ["Held", "call"]

#: Functions that this worker holds, by name, and the threads that a call of each may use.
held: dict[str, tuple[Callable[..., Any], int | None]] = {}


class Held(WorkerPlugin):
    """A worker holds a function as long as it has this plugin; then its threads are what they were before.

    The scheduler gives it to workers that join later, too.
    """

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self.content = name, content

    def setup(self, worker: Worker) -> None:
        """Take the function up."""
        self.limits = threadpool_limits()
        held[self.name] = pickle.loads(self.content)

    def teardown(self, worker: Worker) -> None:
        """Forget it."""
        held.pop(self.name, None)
        self.limits.restore_original_limits()


def call(name: str, *arguments: Any) -> Any:
    """What the function of that name returns."""
    function, n_threads = held[name]
    if n_threads is not None:  # here, not once for all: libraries may have been loaded since the last call
        threadpool_limits(n_threads)
    return function(*arguments)
