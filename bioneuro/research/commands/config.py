"""print how this installation was built: compiler, SIMD path, threads"""

from __future__ import annotations

import argparse
import contextlib
import io
from typing import Any

from .printing import show


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Example: bioneuro config"


def run(options: argparse.Namespace) -> int:
    from ... import show_config

    told = io.StringIO()
    with contextlib.redirect_stdout(told):
        config: dict[str, Any] = show_config()
    show(options, told.getvalue().rstrip("\n"), **config)
    return 0
