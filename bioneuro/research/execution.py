"""Calls of one function on processes or on a Dask cluster, where a call that fails takes no other with it.

What a call returned comes as soon as it has ended. The process that asks is the only one that keeps results, so workers
need no disk in common.
"""

from __future__ import annotations

import pickle
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Future, wait
from contextlib import ExitStack
from functools import partial
from typing import Any, Literal, NamedTuple, TypeAlias

import threadpoolctl

from .. import dask_workers
from ..threads import available_cpus
from .errors import UnitsFailedError

__all__ = ["BACKENDS", "Backend", "Outcome", "completed", "with_progress", "succeeded"]

Backend: TypeAlias = Literal["joblib", "dask"]
BACKENDS = ("joblib", "dask")

#: How often a call whose process was killed is tried before it is listed as failed: something else may have killed it.
TRIES = 2
#: Variables that limit threads of libraries which are loaded after the limit was set.
THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BIONEURO_NUM_THREADS")
KILLED = "killed: its process was killed, or ended by itself, each time"


class Outcome(NamedTuple):
    """How one call ended: what it returned, or why it failed in one line (``""``: it did not) and in full."""

    number: int
    value: Any
    seconds: float
    error: str = ""
    trace: str = ""


def completed(
    function: Callable[..., Any],
    calls: Sequence[tuple[Any, ...]],
    *,
    backend: Backend = "joblib",
    n_jobs: int | None = None,
    scheduler: Any = None,
    n_threads: int | None = None,
) -> Iterator[Outcome]:
    """The outcome of ``function(*call)`` for each call, in the order in which they end.

    Parameters
    ----------
    function : callable
    calls : sequence of tuple
        Arguments.
    backend : {"joblib", "dask"}
        Processes of joblib's loky on this machine, or a Dask cluster.
    n_jobs : int >= 1 or None
        Processes; None: one for each processor, no more than calls. With joblib, 1 is this process. Of a cluster that
        ``scheduler`` names, it says nothing.
    scheduler : str, distributed.Client or None
        Of the cluster; None: one on this machine.
    n_threads : int >= 1 or None
        Threads within a call. None: with joblib the processors shared out among the processes, with Dask 1.
    """
    if not calls:
        return
    n_jobs = n_jobs or min(available_cpus(), len(calls))
    if backend == "dask":
        yield from _on_cluster(function, calls, n_jobs, scheduler, n_threads or 1)
    elif n_jobs == 1:
        for number, call in enumerate(calls):
            with threadpoolctl.threadpool_limits(n_threads):
                outcome = _attempt(function, number, call)
            yield outcome
    else:
        yield from _in_processes(function, calls, n_jobs, n_threads or max(1, available_cpus() // n_jobs))


def succeeded(
    function: Callable[..., Any],
    calls: Sequence[tuple[Any, ...]],
    names: Sequence[str],
    *,
    n_jobs: int | None = None,
    scheduler: str | None = None,
    description: str = "",
    unit: str = "unit",
    n_finished: int = 0,
    progress: bool = True,
) -> Iterator[tuple[int, Any]]:
    """Number and value of each call that did not fail, in the order in which they end, with a bar over all of them.

    Parameters
    ----------
    function, calls, n_jobs
        See :func:`completed`.
    names : sequence of str
        Of the calls, for the error.
    scheduler : str or None
        Address of a Dask cluster instead of processes of this machine.
    description, unit : str
        Of the bar.
    n_finished : int >= 0
        What was finished before and is not among the calls, for the bar and the error.
    progress : bool
        Whether there is a bar, on a terminal.

    Raises
    ------
    UnitsFailedError
        Calls failed; raised after the last, so that what the others found can be kept first.
    """
    outcomes = completed(
        function, calls, backend="joblib" if scheduler is None else "dask", n_jobs=n_jobs, scheduler=scheduler
    )
    total, failed = n_finished + len(calls), []
    for outcome in with_progress(outcomes, description, unit, total, n_finished) if progress else outcomes:
        if outcome.error:
            failed.append(f"{names[outcome.number]}: {outcome.error}")
        else:
            yield outcome.number, outcome.value
    if failed:
        raise UnitsFailedError(f"{len(failed)} of {total} failed ({'; '.join(failed[:3])})")


def with_progress(
    outcomes: Iterator[Outcome], description: str, unit: str, total: int, n_finished: int
) -> Iterable[Outcome]:
    """The outcomes, with a bar over what is finished and them, on a terminal."""
    from tqdm.auto import tqdm

    return tqdm(outcomes, desc=description, unit=unit, total=total, initial=n_finished, leave=False, disable=None)


def _attempt(function: Callable[..., Any], number: int, call: tuple[Any, ...]) -> Outcome:
    start = time.perf_counter()
    try:
        value = function(*call)
    except (Exception, SystemExit) as error:  # an interruption goes through
        return Outcome(number, None, time.perf_counter() - start, _line(error), traceback.format_exc())
    return Outcome(number, value, time.perf_counter() - start)


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


# --- processes of this machine ---

#: In a process that works: what it calls, and with how many threads.
_work: dict[str, Any] = {}


def _begin(content: bytes) -> None:
    _work["function"], _work["n_threads"] = pickle.loads(content)


def _do(number: int, call: tuple[Any, ...]) -> Outcome:
    threadpoolctl.threadpool_limits(_work["n_threads"])
    return _attempt(_work["function"], number, call)


def _in_processes(
    function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], n_jobs: int, n_threads: int
) -> Iterator[Outcome]:
    """Each process is an executor of its own: if it is killed, one knows by which call."""
    from cloudpickle import dumps
    from joblib.externals.loky import ProcessPoolExecutor

    content = dumps((function, n_threads))
    environment = {name: str(n_threads) for name in THREAD_VARIABLES}
    waiting = deque((number, 1) for number in range(len(calls)))
    running: dict[Future[Outcome], tuple[Any, int, int]] = {}

    def process() -> Any:
        return ProcessPoolExecutor(1, initializer=_begin, initargs=(content,), env=environment)

    def start(executor: Any) -> None:
        number, tries = waiting.popleft()
        running[executor.submit(_do, number, calls[number])] = executor, number, tries

    try:
        for _ in range(min(n_jobs, len(calls))):
            start(process())
        while running:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                executor, number, tries = running.pop(future)
                outcome: Outcome | None = _ended(future, number)
                if isinstance(future.exception(), BrokenExecutor):
                    executor.shutdown(kill_workers=True)
                    executor = process()
                    if tries < TRIES:
                        waiting.append((number, tries + 1))
                        outcome = None
                if waiting:
                    start(executor)
                else:
                    executor.shutdown(wait=False)
                if outcome is not None:
                    yield outcome
    finally:
        for executor, *_ in running.values():
            executor.shutdown(kill_workers=True)


def _ended(future: Any, number: int) -> Outcome:
    """Of a future, once it has ended; also where the call never came to be or its answer was lost."""
    error = future.exception()
    if error is None:
        outcome: Outcome = future.result()
        return outcome._replace(number=number)
    if isinstance(error, BrokenExecutor) or type(error).__name__ == "KilledWorker":
        return Outcome(number, None, 0.0, KILLED, str(error))
    return Outcome(number, None, 0.0, _line(error), repr(error))


# --- a cluster ---


def _on_cluster(
    function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], n_jobs: int, scheduler: Any, n_threads: int
) -> Iterator[Outcome]:
    """A worker that is lost takes nothing with it: the scheduler gives its calls to others."""
    with ExitStack() as stack:
        client = stack.enter_context(dask_workers.connected(scheduler, n_jobs))
        from distributed import as_completed

        submit = stack.enter_context(dask_workers.held_by_workers(client, partial(_attempt, function), n_threads))
        futures = {submit(number, call): number for number, call in enumerate(calls)}
        suspects = []
        for future in as_completed(list(futures), loop=client.loop):
            outcome = _ended(future, futures.pop(future))
            future.release()
            if outcome.error == KILLED:  # or one that waited on the same worker was what killed it
                suspects.append(outcome.number)
            else:
                yield outcome
        for number in suspects:
            yield _ended(submit(number, calls[number]), number)  # alone
