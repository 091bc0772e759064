"""write one HTML page of a comparison: tables, figures, verdicts, and what it was made with"""

from __future__ import annotations

import argparse
from pathlib import Path

from .failures import need_extra
from .printing import show


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "The page is FOLDER/report.html. It holds all that it shows, its figures too, and reaches for no network, so "
        "that it can be sent as it is. Example: bioneuro report results/digits-quick (after bioneuro compare --quick)"
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where compare has kept its results")


def run(options: argparse.Namespace) -> int:
    need_extra("pandas", "matplotlib")

    from ..comparison.html_report import write_report

    show(options, "", [write_report(options.folder)])
    return 0
