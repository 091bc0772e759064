"""print how this installation was built: compiler, SIMD path, threads"""

from __future__ import annotations

import argparse


def add_options(parser: argparse.ArgumentParser) -> None:
    """None."""


def run(options: argparse.Namespace) -> int:
    from ... import show_config

    show_config()
    return 0
