"""Functions that every worker of a Dask cluster holds, those that join later too.

A function is sent to each worker once, by value where it is of no module; from then on a task carries its arguments
alone. ``distributed`` is an extra.
"""

from __future__ import annotations

import errno
import itertools
import uuid
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .extras import wanted

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["connected", "held_by_workers"]

#: How long a scheduler may take to answer.
CONNECT_SECONDS = 10


@contextmanager
def connected(scheduler: str | Client | None, n_workers: int) -> Iterator[Client]:
    """A client of a cluster.

    Parameters
    ----------
    scheduler : str, Client or None
        Address such as ``"tcp://10.0.0.1:8786"``; a client, which stays open; None: a cluster of processes on this
        machine, which ends with the block.
    n_workers : int >= 1
        Processes of that last one, with one thread each.

    Raises
    ------
    ImportError
        ``distributed`` is not installed.
    ConnectionRefusedError
        No scheduler answers at the address.
    """
    distributed = wanted("distributed", "distributed is not installed", "distributed")
    if isinstance(scheduler, distributed.Client):
        yield scheduler
    elif scheduler is not None:
        try:
            client = distributed.Client(scheduler, set_as_default=False, timeout=CONNECT_SECONDS)
        except (OSError, ValueError) as error:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "No Dask scheduler answers", scheduler) from error
        with client:
            yield client
    else:
        parts = {"n_workers": n_workers, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
        with distributed.LocalCluster(**parts) as cluster, distributed.Client(cluster, set_as_default=False) as client:
            yield client


@contextmanager
def held_by_workers(
    client: Client, function: Callable[..., Any], n_threads: int | None = None
) -> Iterator[Callable[..., Future]]:
    """While it lasts, every worker holds ``function``; gives ``submit(*arguments)``, the future of a call there.

    Futures that are not done at the end are cancelled.

    Parameters
    ----------
    client : distributed.Client
    function : callable
        Its results depend on the arguments alone, since a call may be made again: a worker may be lost.
    n_threads : int or None
        Threads that a call may use: of the kernels, BLAS and OpenMP. None: no limit.
    """
    from cloudpickle import dumps

    from ._dask_plugin import Held, call

    name = f"bioneuro-{uuid.uuid4().hex}"
    client.register_plugin(Held(name, dumps((function, n_threads))), name=name)
    numbers, sent = itertools.count(), weakref.WeakSet[Any]()

    def submit(*arguments: Any) -> Future:
        future = client.submit(call, name, *arguments, key=f"{name}-{next(numbers)}", pure=False)
        sent.add(future)
        return future

    try:
        yield submit
    finally:
        if client.status == "running":
            client.cancel([future for future in sent if not future.done()])
            client.unregister_worker_plugin(name)
