"""Figures from the frames of the report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.harness import OURS
from benchmarks.machine import Roofs
from bioneuro.plot import BLUE, COLOURS, GREY, MARKERS, VERMILION

#: Largest size of a figure in the repository.
MAX_BYTES = 150_000


def save(axes: Any, path: Path) -> Path:
    """Write the figure of these axes as SVG, the same bytes for the same data, and close it."""
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    with plt.rc_context({"svg.hashsalt": path.name}):
        axes.figure.savefig(path, metadata={"Date": None})
    plt.close(axes.figure)
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, more than {MAX_BYTES}")
    return path


def _axes(title: str, x: str, y: str, x_ticks: Any = None) -> Any:
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

    ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")[1]
    ax.set(xscale="log", yscale="log", xlabel=x, ylabel=y)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    ax.set_title(title, fontsize=10, loc="left")
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(color="0.9", linewidth=0.8)
    ax.set_axisbelow(True)
    if x_ticks is not None:
        ax.set_xticks(x_ticks, [f"{tick:g}" for tick in x_ticks])
        ax.xaxis.set_minor_locator(NullLocator())
    return ax


def _setting(frame: pd.DataFrame) -> str:
    return f"{frame['dtype'].iloc[0]}, {frame['threads'].max()} threads"


def _style(k: int) -> dict[str, Any]:
    return dict(color=COLOURS[k], marker=MARKERS[k], markersize=5, linewidth=1.2)


def _operations(frame: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    return list(frame.groupby("operation", sort=False))


def roofline(frame: pd.DataFrame, roofs: Roofs) -> Any:
    """Products as points (ours filled, fastest peer hollow) under the measured roofs."""
    ax = _axes(
        f"Products under the roofs of this machine ({_setting(frame)})",
        "arithmetic intensity (flop / byte that must be moved)",
        "GFLOP/s",
    )
    points = frame.assign(intensity=frame.rate * 1e9 * frame.ms * 1e-3 / frame.bytes)
    x = np.geomspace(points.intensity.min() / 2, points.intensity.max() * 2, 200)
    for (level, rate), dash in zip(roofs.bandwidth.items(), ("-.", "--", ":"), strict=False):
        roof = np.minimum(rate * x, roofs.gflops)
        ax.plot(x, roof, color=GREY, linestyle=dash, linewidth=1, label=f"{level}, {rate:.0f} GB/s")
    ax.axhline(roofs.gflops, color=GREY, linewidth=1.2, label=f"GEMM, {roofs.gflops:.0f} GFLOP/s")
    for k, (operation, rows) in enumerate(_operations(points)):
        style = _style(k) | dict(linestyle="none")
        ours, rest = rows[rows.implementation == OURS], rows[rows.implementation != OURS]
        ax.plot(ours.intensity, ours.rate, label=operation, **style)
        if len(rest):
            best = rest.loc[rest.groupby("size").rate.idxmax()]
            ax.plot(best.intensity, best.rate, markerfacecolor="none", **style)
    ax.plot([], [], "o", color=GREY, markerfacecolor="none", markersize=5, label="fastest peer (dense: useful flops)")
    ax.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return ax


def crossover(frame: pd.DataFrame) -> Any:
    """Time of a training step against density, ours and dense, and where the lines meet."""
    rows = frame[frame.operation == "training: gradient"]
    first = rows.iloc[0]
    times = rows.pivot(index="density", columns="implementation", values="ms")
    percent = 100 * times.index.to_numpy()
    ax = _axes(
        f"Training step, {first.n_post} x {first.n_pre}, batch {first.batch} ({_setting(rows)})",
        "density (% of synapses stored)",
        "time of a step (ms)",
        percent,
    )
    for name, colour, marker in (OURS, BLUE, "o"), ("dense BLAS", VERMILION, "s"):
        ax.plot(percent, times[name], color=colour, marker=marker, markersize=5, label=name)
    meet = crossing(percent, (times[OURS] / times["dense BLAS"]).to_numpy())
    if meet is not None:
        ax.axvline(meet, color=GREY, linestyle=":", linewidth=1, label=f"equal at {meet:.0f} %")
    ax.legend(fontsize=8, frameon=False)
    return ax


def crossing(x: np.ndarray, ratio: np.ndarray) -> float | None:
    """First ``x`` at which ``ratio`` rises through 1, interpolated in logarithms; None if it does not."""
    above = np.flatnonzero((ratio[:-1] < 1) & (ratio[1:] >= 1))
    if not len(above):
        return None
    k = slice(above[0], above[0] + 2)
    return float(np.exp(np.interp(0.0, np.log(ratio[k]), np.log(x[k]))))


def cost(frame: pd.DataFrame, axis: str) -> Any:
    """Picoseconds a synapse and sample against ``axis`` (nnz, batch, density, threads): ours solid, peers dashed."""
    rows = frame[frame.axis == axis]
    labels = {"nnz": "synapses", "batch": "samples in the batch", "density": "share of synapses stored"}
    ticks = None if axis in ("nnz", "density") else sorted(rows[axis].unique())
    fixed = [
        f"{rows[name].iloc[0]:,} {unit}" for name, unit in (("nnz", "synapses"), ("batch", "samples")) if name != axis
    ]
    title = f"What a synapse costs ({_setting(rows)}, about {', '.join(fixed)})"
    ax = _axes(title, labels.get(axis, axis), "time per synapse and sample (ps)", ticks)
    for k, (operation, of_it) in enumerate(_operations(rows)):
        for name, line in of_it.groupby("implementation", sort=False):
            line = line.sort_values(axis)
            label = operation.removesuffix(f" by {axis}") + ("" if name == OURS else f", {name}")
            style = _style(k) | (dict() if name == OURS else dict(linestyle="--", markerfacecolor="none"))
            ax.plot(line[axis], line.ms * 1e9 / (line.nnz * line.batch), label=label, **style)
    ax.legend(fontsize=8, frameon=False)
    return ax


def save_all(frames: dict[str, pd.DataFrame], roofs: Roofs, folder: Path) -> list[Path]:
    """Every figure whose family was run."""
    saved = []
    if "linear" in frames:
        saved.append(save(roofline(frames["linear"], roofs), folder / "benchmark_roofline.svg"))
    if "training" in frames:
        saved.append(save(crossover(frames["training"]), folder / "benchmark_crossover.svg"))
    if "scaling" in frames:
        saved += [save(cost(frames["scaling"], axis), folder / f"benchmark_cost_{axis}.svg") for axis in
                  frames["scaling"].axis.unique()]  # fmt: skip
    return saved
