"""How options are read: the parser, the types of their values, and the options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from ...datasets import USUAL
from ..errors import UserError

__all__ = [
    "Parser",
    "add_dataset",
    "add_n_train",
    "add_out",
    "add_processes",
    "add_seeds",
    "fraction",
    "positive",
    "whole",
    "whole_or_zero",
]


class Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one line; argparse would print its usage too."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see {self.prog} --help)")


def whole(text: str) -> int:
    """A whole number of at least 1."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text}")
    return value


def whole_or_zero(text: str) -> int:
    """A whole number of at least 0."""
    return 0 if text == "0" else whole(text)


def fraction(text: str) -> float:
    """A number above 0 and at most 1."""
    value = _number(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, got {text}")
    return value


def positive(text: str) -> float:
    """A finite number above 0."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text}")
    return value


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0  # in neither range


def add_dataset(parser: argparse.ArgumentParser, help: str | None = None) -> None:
    """``--dataset``, one of those that experiments use."""
    parser.add_argument("--dataset", choices=USUAL, default="digits", help=help)


def add_seeds(parser: argparse.ArgumentParser, default: int | None, described: str) -> None:
    """``--seeds``, a count."""
    parser.add_argument(
        "--seeds", type=whole, metavar="N", default=default, help=f"number of seeds (default {described})"
    )


def add_n_train(parser: argparse.ArgumentParser, help: str) -> None:
    """``--n-train``, a count of images."""
    parser.add_argument("--n-train", type=whole, metavar="N", help=help)


def add_out(parser: argparse.ArgumentParser, default: str) -> None:
    """``--out``, the folder of the results."""
    parser.add_argument("--out", type=Path, metavar="DIR", help=f"folder of the results (default results/{default})")


def add_processes(parser: argparse.ArgumentParser, default: int | None) -> None:
    """``--n-jobs`` and ``--scheduler``: where the points of an experiment run; ``default`` None: on all processors."""
    described = "one for each processor" if default is None else f"{default}"
    parser.add_argument(
        "--n-jobs", "--jobs", type=whole, metavar="N", default=default, help=f"processes (default {described})"
    )
    parser.add_argument(
        "--scheduler", metavar="ADDRESS", help="run on the Dask cluster of this scheduler, such as tcp://10.0.0.1:8786"
    )
