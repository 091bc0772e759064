"""What a command prints: its page, or with ``--json`` one object."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["add_json", "say", "show"]


def add_json(parser: argparse.ArgumentParser) -> None:
    """``--json``, which every command has."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object, with all rows and the files written, and no page"
    )


def say(options: argparse.Namespace, text: str) -> None:
    """Print what comes before the page; beside an object it goes to stderr."""
    print(text, file=sys.stderr if options.json else sys.stdout, flush=True)


def show(
    options: argparse.Namespace,
    page: str,
    written: Iterable[Path] = (),
    rows: pd.DataFrame | None = None,
    **more: Any,
) -> None:
    """Print what a command found.

    Parameters
    ----------
    options : Namespace
    page : str
        In words and tables.
    written : iterable of Path
        Files, named at its end.
    rows : DataFrame, optional
        What the page is made of.
    **more
        What else the object has: values of JSON, and tables.
    """
    files = [str(path) for path in written]
    if not options.json:
        print(page + ("\n\n" if page and files else "") + (f"Written: {', '.join(files)}" if files else ""))
        return
    found = more | ({} if rows is None else {"rows": rows}) | ({"written": files} if files else {})
    print(json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False, default=_records))


def _records(table: pd.DataFrame) -> Any:
    """An object for each row; null where there is no value."""
    return json.loads(table.to_json(orient="records", double_precision=15))
