"""What can go wrong in a command, as one line for the user and an exit code."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ... import datasets
from ..errors import UnitsFailedError, UserError

__all__ = [
    "FAILED",
    "INTERRUPTED",
    "USER_ERROR",
    "Stopped",
    "data_errors",
    "kept_in",
    "load_data",
    "need_extra",
    "system_error",
]

FAILED, USER_ERROR, INTERRUPTED = 1, 2, 130


class Stopped(Exception):
    """Work that was stopped, with the message for the user and the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def system_error(error: OSError) -> str:
    """What the system says of a file: a full disk, a folder that may not be written."""
    return str(error.strerror) + ("" if error.filename is None else f": {error.filename}")


def need_extra(*modules: str, scheduler: str | None = None) -> None:
    """Refuse to start without these modules, and, on the cluster of a scheduler, without what talks to it."""
    for extra, needed in (("experiments", modules), ("distributed", ["distributed"] if scheduler else [])):
        missing = [module for module in needed if importlib.util.find_spec(module) is None]
        if missing:
            raise UserError(f'{", ".join(missing)} not installed: pip install "bioneuro[{extra}]"')


def load_data(name: str) -> datasets.Dataset:
    """The data set, or an error that says how to get it."""
    with data_errors():
        return datasets.load(name)


@contextmanager
def data_errors() -> Iterator[None]:
    """Turn errors of missing or corrupt data into errors for the user."""
    try:
        yield
    except (datasets.DatasetNotFoundError, datasets.DatasetCorruptError) as error:
        raise UserError(str(error)) from error


@contextmanager
def kept_in(out: Path) -> Iterator[None]:
    """Tell the user, whatever stops this work, that what is finished is kept."""
    from concurrent.futures.process import BrokenProcessPool

    kept = f"what is finished is kept in {out}, the same command again resumes"
    try:
        yield
    except KeyboardInterrupt as stop:
        raise Stopped(f"interrupted; {kept}", INTERRUPTED) from stop
    except UnitsFailedError as error:
        raise Stopped(f"{error}; {kept}", FAILED) from error
    except BrokenProcessPool as error:
        raise Stopped(f"a process was killed; {kept}", FAILED) from error
    except OSError as error:
        if error.errno is None:
            raise
        raise Stopped(f"{system_error(error)}; {kept}", FAILED) from error
