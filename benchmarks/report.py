"""``python -m benchmarks.report [FAMILY ...]``: prints the tables, with the machine they are from.

A piece of arithmetic that is always the same is timed before each call. Where its times lie too far apart the machine
was not quiet, and the report ends in an error, without figures or an updated table.
"""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from benchmarks import (
    attacks,
    compete,
    harness,
    linear,
    machine,
    memory,
    peers,
    plasticity,
    plots,
    retina,
    scaling,
    summary,
    training,
    variants,
)
from bioneuro import show_config

FAMILIES: dict[str, ModuleType] = {
    "linear": linear,
    "training": training,
    "scaling": scaling,
    "plasticity": plasticity,
    "compete": compete,
    "retina": retina,
    "attacks": attacks,
    "memory": memory,
    "variants": variants,
}


def table(frame: pd.DataFrame, peak: float) -> str:
    """Markdown: one row a case; ms, spread and rate of ours, % of ``peak`` (GFLOP/s), each peer's time over ours."""
    rivals = [name for name in frame.implementation.unique() if name != harness.OURS]
    heads = ["operation", "size", "ms", "spread", "rate", "% of peak", *rivals, "fastest library"]
    rows = []
    for (operation, size), case in frame.groupby(["operation", "size"], sort=False):
        by = case.set_index("implementation")
        ours, others = by.loc[harness.OURS], by.ratio.drop(harness.OURS)
        of_peak = f"{100 * ours.rate / peak:.1f}" if ours.unit == "GFLOP/s" else ""
        ratios = [f"{others[name]:.2f} x" if name in others.index else "" for name in rivals]
        libraries = others.drop(peers.HAND_WRITTEN, errors="ignore")
        best = f"{libraries.min():.2f} x ({libraries.idxmin()})" if len(libraries) else ""
        figures = [f"{ours.ms:.3g}", f"{ours.spread:.0%}", f"{ours.rate:.3g} {ours.unit}"]
        rows.append([operation, size, *figures, of_peak, *ratios, best])
    return harness.markdown(heads, rows)


def memory_table(frame: pd.DataFrame) -> str:
    """Markdown of :func:`benchmarks.memory.table`."""
    operations = list(frame.columns[3:])
    heads = ["synapses", "arrays, MB", "dense, bytes a synapse", *(f"peak after {name}" for name in operations)]
    rows = (
        [f"{row['synapses']:,.0f}", *(f"{row[name]:.1f}" for name in ("arrays", "dense", *operations))]
        for row in frame.to_dict("records")
    )
    return harness.markdown(heads, rows)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=f"of {', '.join(FAMILIES)}; default: all")
    parser.add_argument("--rounds", type=int, default=9, help="interleaved rounds whose median is taken")
    parser.add_argument("--csv", type=Path, help="also write every time to this file")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="also save the figures of the families into DIR")
    parser.add_argument("--update", type=Path, metavar="FILE", help="also put the short table into this file")
    parser.add_argument("--tiny", action="store_true", help="smallest sizes: does it run at all")
    parser.add_argument("--quick", action="store_true", help="a few sizes")
    parser.add_argument("--large", action="store_true", help="also 100 million synapses (scaling, memory)")
    parser.add_argument("--noisy", action="store_true", help="go on where the machine is not quiet")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--threads", type=int, default=peers.default_threads(), help="default: all processors")
    options = parser.parse_args(argv)
    if unknown := set(options.families) - set(FAMILIES):
        parser.error(f"unknown family {unknown.pop()!r}")
    for name in "rounds", "threads":
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be >= 1")
    return options


def taken(function: Callable[..., Any], options: argparse.Namespace) -> dict[str, Any]:
    """Those of the options that a family knows."""
    return {name: value for name, value in vars(options).items() if name in inspect.signature(function).parameters}


def quiet(frames: dict[str, pd.DataFrame]) -> str:
    """Why the times are not to be kept; "" where the machine was quiet."""
    worst = max((frame.control.max() for frame in frames.values()), default=0.0)
    if worst <= harness.RESTLESS:
        return ""
    return (
        f"the machine was not quiet: one time in ten of the control was {worst:.0%} above its median or more "
        f"(at most {harness.RESTLESS:.0%}). Stop other work and repeat, or say --noisy"
    )


def main(argv: list[str] | None = None) -> None:
    """Run and print."""
    options = parse(argv)
    show_config()
    print(machine.describe())
    roofs = machine.roofs(options.dtype, options.threads, options.tiny)
    levels = ", ".join(f"{level} {rate:.0f} GB/s" for level, rate in roofs.bandwidth.items())
    print(f"peak: {roofs.gflops:.0f} GFLOP/s, the largest {options.dtype} GEMM rate with {options.threads} threads")
    print(f"streaming: {levels or 'not measured'}")
    print(f"medians of {options.rounds} interleaved rounds; under a peer: its time as a multiple of ours")
    frames = {}
    for name in options.families or FAMILIES:
        family = FAMILIES[name]
        if family is memory:
            if memory.supported():
                made = memory.table(**taken(memory.table, options))
                print(f"\npeaks in bytes a synapse, above the batches\n\n{memory_table(made)}", flush=True)
            continue
        if family is variants:
            made = variants.table(**taken(variants.table, options))
            print(f"\nours in ms, by value type and instruction set\n\n{made}", flush=True)
            continue
        given = taken(family.cases, options)
        scope = ", ".join(f"{option} {given[option]}" if option in given else f"its own {option}" for option in
                          ("dtype", "threads"))  # fmt: skip
        frames[name] = harness.run(family.cases(**given), options.rounds, hasty=options.tiny)
        print(f"\n{name} ({scope})\n\n{table(frames[name], roofs.gflops)}", flush=True)
        print(f"\ncontrol: nine times in ten within {frames[name].control.max():.0%} of its median", flush=True)
    if options.csv and frames:
        pd.concat(frames, names=["family"]).reset_index("family").to_csv(options.csv, index=False)
    if (reason := quiet(frames)) and not options.noisy:
        raise SystemExit(reason)
    if options.update and frames:
        summary.update(options.update, summary.table(pd.concat(frames), roofs.gflops))
    if options.plots:
        for path in plots.save_all(frames, roofs, options.plots):
            print(f"saved {path}")


if __name__ == "__main__":
    main()
