"""What every campaign shares: its command line, and the record of what it found."""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import bioneuro
from bioneuro.research.records.environment import commit

RESULTS = Path(__file__).parent / "results"
#: Runs a share of a campaign, in a folder, from a seed; gives its figures, with "faults" among them.
Campaign = Callable[[float, int, Path], dict[str, Any]]


def main(name: str, campaign: Campaign, description: str) -> int:
    """Run a campaign from the command line; 1 if it found a fault. Its help has the first line of the description."""
    import tempfile

    parser = argparse.ArgumentParser(prog=f"python -m campaigns.{name}", description=description.partition("\n")[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the whole campaign (default 1)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS / f"{name}.json", help="where the figures are kept")
    options = parser.parse_args()
    start, made_at = time.perf_counter(), commit(Path(__file__))
    with tempfile.TemporaryDirectory() as folder:
        found = campaign(options.share, options.seed, Path(folder))
    record = {
        "campaign": name,
        "share": options.share,
        "seed": options.seed,
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.perf_counter() - start),
        "commit": made_at,
        "versions": {
            "bioneuro": bioneuro.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": f"{platform.system()} {platform.machine()}",
        },
        **found,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=2))
    return int(bool(found["faults"]))
