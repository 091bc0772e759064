"""call a function of your own at every point of a grid, on all processors or a Dask cluster; one table"""

from __future__ import annotations

import argparse
import ast
import importlib
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..errors import UserError
from .failures import FAILED, kept_in, need_extra
from .options import add_processes, whole, whole_or_zero
from .printing import show

#: Values of one parameter at most, so that a slip of the pen does not fill the memory.
MOST_POINTS = 1_000_000


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Finished points are kept one by one: the same command again goes on where it stopped, and a larger grid adds "
        "to it. Exit code 1 if a point failed. Example: bioneuro sweep my_study:accuracy n_cells=100,300 repeat=0:5"
    )
    parser.add_argument("function", metavar="MODULE:FUNCTION", help="it returns a number, a dict, dicts or a DataFrame")
    parser.add_argument(
        "grid", nargs="+", metavar="NAME=VALUES", help="values of a parameter: a list such as 1,2,5, or a range 0:5"
    )
    parser.add_argument("--seed", type=whole_or_zero, metavar="N", default=0, help="root of the seed sequence (0)")
    parser.add_argument("--n-threads", type=whole, metavar="N", help="threads within a point")
    add_processes(parser, None)
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the results (default results/<module>-<function>)"
    )


def run(options: argparse.Namespace) -> int:
    need_extra("pandas", "tqdm", "joblib", "cloudpickle", scheduler=options.scheduler)
    from ..records.ledger import write_table
    from ..sweeps import sweep

    module, function = _function(options.function, by_value=bool(options.scheduler))
    grid = dict(map(_axis, options.grid))
    if len(grid) < len(options.grid):
        raise UserError("a parameter of the grid is given twice")
    out = options.out or Path("results") / f"{module}-{function.__name__}"
    with kept_in(out), warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        try:
            frame = sweep(
                function,
                grid,
                out=out,
                backend="dask" if options.scheduler else "joblib",
                n_jobs=options.n_jobs,
                scheduler=options.scheduler,
                seed=options.seed,
                n_threads=options.n_threads,
                progress=True,
            )
        except ValueError as error:
            raise UserError(str(error)) from error
    for warning in told:
        print(f"bioneuro: {warning.message}", file=sys.stderr)
    show(options, frame.to_string(index=False), [write_table(frame, out / "sweep.csv")], frame)
    return FAILED if frame["error"].any() else 0


def _function(name: str, by_value: bool) -> tuple[str, Callable[..., Any]]:
    """The module's name and the function; ``by_value``: so that workers which have no such module can call it."""
    module_name, _, function_name = name.partition(":")
    if not function_name:
        raise UserError(f"the function must be named MODULE:FUNCTION, got {name}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise  # of something that the module itself imports
        raise UserError(f"there is no module {module_name!r} here or installed") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise UserError(f"module {module_name!r} has no function {function_name!r}")
    if by_value and str(getattr(module, "__file__", "")).startswith(os.getcwd()):
        import cloudpickle

        cloudpickle.register_pickle_by_value(module)
    return module_name, function


def _axis(text: str) -> tuple[str, list[Any]]:
    name, equals, values = text.partition("=")
    if not equals or not values:
        raise UserError(f"a parameter of the grid must be NAME=VALUES, got {text}")
    start, colon, stop = values.partition(":")
    if colon and start.isdigit() and stop.isdigit():
        if int(stop) - int(start) > MOST_POINTS:
            raise UserError(f"{name}={values} has more than {MOST_POINTS:,} values")
        return name, list(range(int(start), int(stop)))
    return name, [_value(part) for part in values.split(",")]


def _value(text: str) -> Any:
    """A literal of Python, or else a string."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, int | float | str | None) else text
