"""What a Dask scheduler gives to each of its workers, now and when they join. Imported where ``distributed`` is."""

from __future__ import annotations

from distributed import Worker
from distributed.diagnostics.plugin import WorkerPlugin
from threadpoolctl import threadpool_limits

from . import dask_workers

__all__ = ["Held"]


class Held(WorkerPlugin):
    """A worker holds a function as long as it has this plugin; then its threads are what they were before."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self.content = name, content

    def setup(self, worker: Worker) -> None:
        self.limits = threadpool_limits()
        dask_workers.hold(self.name, self.content)

    def teardown(self, worker: Worker) -> None:
        dask_workers.drop(self.name)
        self.limits.restore_original_limits()
