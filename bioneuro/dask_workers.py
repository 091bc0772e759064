"""Functions that every worker of a Dask cluster holds, those that join later too.

A function is sent to a worker once, by value where the worker may not be able to import it, and called by name from
then on: a task carries its arguments alone. ``distributed`` is an extra.
"""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import threadpoolctl

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["call", "connected", "held_by_workers"]

#: Functions that this process holds as a worker, by name, and the threads that a call of each may use.
_held: dict[str, tuple[Callable[..., Any], int | None]] = {}


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
    OSError
        No scheduler answers at the address.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError('distributed is not installed: pip install "bioneuro[distributed]"') from error
    if isinstance(scheduler, Client):
        yield scheduler
    elif scheduler is not None:
        with Client(scheduler, set_as_default=False) as client:
            yield client
    else:
        parts = {"n_workers": n_workers, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
        with LocalCluster(**parts) as cluster, Client(cluster, set_as_default=False) as client:
            yield client


@contextmanager
def held_by_workers(client: Client, function: Callable[..., Any], n_threads: int | None = None) -> Iterator[str]:
    """While it lasts, every worker holds ``function``; the name by which :func:`call` finds it there.

    Parameters
    ----------
    client : distributed.Client
    function : callable
    n_threads : int or None
        Threads that a call may use: of the kernels, BLAS and OpenMP. None: no limit.
    """
    from distributed.protocol.pickle import dumps

    from ._dask_plugin import Held

    name = f"bioneuro-{uuid.uuid4().hex}"
    client.register_plugin(Held(name, dumps((function, n_threads))), name=name)
    try:
        yield name
    finally:
        if client.status == "running":
            client.unregister_worker_plugin(name)


def call(name: str, *arguments: Any) -> Any:
    """On a worker: what the function it holds by that name returns."""
    function, n_threads = _held[name]
    if n_threads is not None:  # here, not once for all: libraries may have been loaded since the last call
        threadpoolctl.threadpool_limits(n_threads)
    return function(*arguments)


def hold(name: str, content: bytes) -> None:
    """On a worker: take a function up."""
    _held[name] = pickle.loads(content)


def drop(name: str) -> None:
    """On a worker: forget it."""
    _held.pop(name, None)
