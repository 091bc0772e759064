"""A function at every point of a grid, in as many processes as there are, kept point by point."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...atomic_write import write_atomically
from ...checks import Choice, Integer, check, check_count
from ..execution import BACKENDS, Backend, completed, with_progress
from ..records.configuration import keep_configuration
from ..records.environment import environment
from ..records.ledger import folder_for_results
from .grid import Grid, Point, child_of, key_of, points_of
from .point_files import CorruptPointError, PointFiles, Records, records_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sweep"]

#: The parameter by which a function is given its child of the seed sequence.
SEED = "seed"
#: Columns beside those of the points and of what the function returns.
SECONDS, ERROR = "seconds", "error"


def sweep(
    function: Callable[..., Any],
    grid: Grid,
    *,
    out: str | os.PathLike[str],
    backend: Backend = "joblib",
    n_jobs: int | None = None,
    scheduler: Any = None,
    seed: int = 0,
    n_threads: int | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Call a function at every point of a grid, each once, and keep what it found in one file a point.

    A sweep that was interrupted, or killed, goes on where it stopped when it is called again, and a grid may grow. A
    point that fails loses no other: it is listed with its error, and tried again by the next call. So is one that
    kills its process, and one whose file has been damaged is computed again.

    Parameters
    ----------
    function : callable
        Called with the parameters of the point by name, and, if it has a parameter ``seed`` that the grid does not,
        with the point's own child of ``SeedSequence(seed)``. That child depends on the content of the point alone.
        Returns a number, a dict of columns, several such dicts, or a DataFrame; its cells are numbers, strings or None.
    grid : dict of sequences, or sequence of dicts
        Values of each parameter, all of whose combinations are points, or the points themselves. Values are numbers,
        strings, None or lists of these.
    out : path
        Folder: ``points/<key>.json`` of each finished point, ``failed/<key>.json`` with the traceback of each that
        failed, ``sweep.json`` with the function, the seed and the environments.
    backend : {"joblib", "dask"}
        Processes of this machine, or a Dask cluster.
    n_jobs : int >= 1 or None
        Processes; None: one for each processor. With joblib, 1 is this process. Of a cluster that ``scheduler`` names,
        it says nothing.
    scheduler : str, distributed.Client or None
        Address of the cluster's scheduler; None: a cluster on this machine. For ``backend="dask"``.
    seed : int >= 0
    n_threads : int >= 1 or None
        Threads within a point, of the kernels, BLAS and OpenMP. None: the processors shared out among the processes,
        with Dask 1.
    progress : bool
        A bar over the points, on a terminal.

    Returns
    -------
    DataFrame
        In the order of the grid, a row for each that the function returned: the parameters, its columns, ``seconds``
        and ``error``, which is ``""`` but for points that failed.

    Warns
    -----
    UserWarning
        Points failed, or files were corrupt and these points computed again.

    Raises
    ------
    ValueError
        What is wrong with a parameter.
    UserError
        ``out`` cannot be used, or holds results of another function or seed.

    Examples
    --------
    >>> import bioneuro as bn
    >>> def accuracy(n_cells, seed):
    ...     data = bn.datasets.load("digits")
    ...     model = bn.BioClassifier(n_cells=n_cells, random_state=int(seed.generate_state(1)[0]))
    ...     return {"accuracy": model.fit(data.X_train, data.y_train).score(data.X_test, data.y_test)}
    >>> bn.research.sweep(accuracy, {"n_cells": [100, 300], "repeat": range(3)}, out="cells")  # doctest: +SKIP
    """
    _check(function, backend, n_jobs, scheduler, seed, n_threads)
    points = _points(grid)
    keys = [key_of(point) for point in points]
    configuration, folder = {"seed": seed, **_identity(function)}, Path(out)
    with folder_for_results(folder):
        files, failures = PointFiles(folder / "points"), PointFiles(folder / "failed")
        kept = files.folder if any(files.folder.glob("*.json")) else None
        keep_configuration(folder / "sweep.json", configuration, environment(), kept)
    found, missing = _finished(files, points, keys)
    task = functools.partial(_rows_at, function, seed)
    errors: dict[int, str] = {}
    outcomes = completed(
        task,
        [(points[i], keys[i]) for i in missing],
        backend=backend,
        n_jobs=n_jobs,
        scheduler=scheduler,
        n_threads=n_threads,
    )
    for outcome in with_progress(outcomes, "sweep", "point", len(points), len(found)) if progress else outcomes:
        i = missing[outcome.number]
        if outcome.error:
            errors[i] = outcome.error
            record = {"point": points[i], "error": outcome.error, "traceback": outcome.trace}
            write_atomically(failures.path(keys[i]), json.dumps(record, indent=2) + "\n")
        else:
            failures.path(keys[i]).unlink(missing_ok=True)  # first: a point that is kept is not looked at again
            files.keep(keys[i], points[i], outcome.value, outcome.seconds)
            found[i] = outcome.value, outcome.seconds
    if errors:
        first = min(errors)
        failed = f"{len(errors)} of {len(points)} points failed, the first {points[first]}: {errors[first]}"
        warnings.warn(f"{failed} (see column 'error', and {failures.folder})", stacklevel=2)
    return _frame(points, found, errors)


def _check(function: Any, backend: str, n_jobs: int | None, scheduler: Any, seed: Any, n_threads: int | None) -> None:
    if not callable(function):
        raise ValueError(f"function must be callable, got {function!r}")
    check("backend", backend, Choice(BACKENDS))
    if scheduler is not None and backend != "dask":
        raise ValueError("scheduler must be None unless backend='dask'")
    check_count("seed", seed, 0)
    check("n_jobs", n_jobs, Integer(), None)
    check("n_threads", n_threads, Integer(), None)


def _points(grid: Grid) -> list[Point]:
    """The points of a grid, none of whose parameters has the name of a column of the result."""
    points = points_of(grid)
    taken = [name for name in (SECONDS, ERROR) if any(name in point for point in points)]
    if taken:
        raise ValueError(f"grid must not have a parameter named {taken[0]!r}: it is a column of the result")
    return points


def _finished(
    files: PointFiles, points: list[Point], keys: list[str]
) -> tuple[dict[int, tuple[Records, float]], list[int]]:
    """What is finished already, by number of the point, and the numbers of the others."""
    found, missing = {}, []
    for i, (point, key) in enumerate(zip(points, keys, strict=True)):
        try:
            rows = files.rows(key, point)
        except CorruptPointError as error:
            warnings.warn(f"{error}; the point is computed again", stacklevel=3)
            rows = None
        if rows is None:
            missing.append(i)
        else:
            found[i] = rows
    return found, missing


def _identity(function: Any) -> dict[str, str]:
    """What results depend on: the function's name, its source where there is one, and arguments bound to it."""
    identity = {}
    if isinstance(function, functools.partial):
        from joblib import hash as content_hash

        identity["bound"] = content_hash((function.args, sorted(function.keywords.items())))
        function = function.func
    function = inspect.unwrap(function)
    identity["function"] = getattr(function, "__qualname__", type(function).__qualname__)
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        source = ""
    identity["source"] = hashlib.sha256(source.encode()).hexdigest()[:16] if source else ""
    return identity


def _rows_at(function: Callable[..., Any], seed: int, point: Point, key: str) -> Records:
    """What a worker does: the call, and its answer as rows that can be kept."""
    given: dict[str, Any] = dict(point)
    bound = getattr(function, "keywords", {})  # of a partial
    if SEED not in point and SEED not in bound and SEED in inspect.signature(function).parameters:
        given[SEED] = child_of(seed, key)
    return records_of(function(**given), [*point, SECONDS, ERROR])


def _frame(points: list[Point], found: dict[int, tuple[Records, float]], errors: dict[int, str]) -> pd.DataFrame:
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for i, point in enumerate(points):
        results, seconds = found.get(i, ([{}], float("nan")))
        rows += [{**point, **row, SECONDS: seconds, ERROR: errors.get(i, "")} for row in results]
    frame = pd.DataFrame(rows)
    return frame[[name for name in frame if name not in (SECONDS, ERROR)] + [SECONDS, ERROR]]
