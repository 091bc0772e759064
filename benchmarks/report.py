"""``python -m benchmarks.report [FAMILY ...]``: prints the tables, with the machine they are from."""

from __future__ import annotations

import argparse
import importlib.util
import platform
from pathlib import Path

import pandas as pd

from benchmarks import compete, harness, linear, plasticity, retina
from bioneuro import show_config

FAMILIES = {"linear": linear, "plasticity": plasticity, "compete": compete, "retina": retina}


def processor() -> str:
    """Name of the CPU, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        if names:
            return f"{names[0]} x {len(names)}"
    return platform.processor() or platform.machine()


def table(frame: pd.DataFrame) -> str:
    """Markdown: one row a case; ms and rate of ours, then each peer's time as a multiple of ours."""
    peers = [name for name in frame.implementation.unique() if name != harness.OURS]
    lines = [f"| operation | size | ms | rate | {' | '.join(peers)} |", "|---" * (4 + len(peers)) + "|"]
    for (operation, size), case in frame.groupby(["operation", "size"], sort=False):
        by = case.set_index("implementation")
        ours = by.loc[harness.OURS]
        ratios = [f"{by.ratio[peer]:.1f} x" if peer in by.index else "" for peer in peers]
        lines.append(f"| {operation} | {size} | {ours.ms:.2f} | {ours.rate:.3g} {ours.unit} | {' | '.join(ratios)} |")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"of {', '.join(FAMILIES)}; default: all")
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds whose median is taken")
    parser.add_argument("--csv", type=Path, help="also write every time to this file")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: does it run at all")
    options = parser.parse_args(argv)
    unknown = set(options.families) - set(FAMILIES)
    if unknown or options.rounds < 1:
        parser.error(f"unknown family {unknown.pop()!r}" if unknown else "--rounds must be >= 1")
    print(f"{processor()}, {platform.system()}")
    show_config()
    if not importlib.util.find_spec("torch"):
        print("torch is not installed: its columns are left out")
    frames = []
    for name in options.families or FAMILIES:
        frames.append(harness.run(FAMILIES[name].cases(options.tiny), options.rounds))
        print(f"\n{table(frames[-1])}", flush=True)
    if options.csv:
        pd.concat(frames).to_csv(options.csv, index=False)


if __name__ == "__main__":
    main()
