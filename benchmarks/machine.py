"""What the machine is and what it can do: description for the report, roofs for the figures."""

from __future__ import annotations

import platform
import subprocess
import sysconfig
import time
import timeit
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier

import numpy as np

from benchmarks import peers

#: Seconds that one measurement should take at least, and how often it is repeated; the best counts.
SECONDS, REPEATS = 0.05, 5
#: GEMM shapes (rows, columns, inner).
SHAPES = [(1024, 1024, 1024), (2048, 2048, 2048), (4096, 4096, 512)]


@dataclass(frozen=True)
class Roofs:
    """Measured limits: GFLOP/s of the largest GEMM rate, and GB/s of streaming by level of memory ("L2", ...)."""

    gflops: float
    bandwidth: dict[str, float]


def roofs(dtype: str, threads: int, tiny: bool = False) -> Roofs:
    """Measure both (some seconds); tiny: no bandwidth, and a rate that says nothing."""
    peers.set_threads(threads, [peer for peer in (peers.Dense, peers.Torch) if not peer.missing()])
    return Roofs(gemm_peak(dtype, tiny), {} if tiny else bandwidths(threads))


def gemm_peak(dtype: str, tiny: bool = False) -> float:
    """Largest GEMM rate over shapes and BLAS libraries, GFLOP/s: a proxy for the peak of the FMA units."""
    rates = []
    for rows, columns, inner in [(32, 32, 32)] if tiny else SHAPES:
        rng = np.random.default_rng(0)
        A, B = rng.random((rows, inner), np.dtype(dtype)), rng.random((inner, columns), np.dtype(dtype))
        C = np.empty((rows, columns), dtype)
        calls = [lambda A=A, B=B, C=C: np.matmul(A, B, out=C)]
        if not peers.Torch.missing():
            import torch

            a, b, c = map(torch.from_numpy, (A, B, C))
            calls.append(lambda a=a, b=b, c=c: torch.mm(a, b, out=c))
        rates += [2e-9 * rows * columns * inner / _best(call) for call in calls]
    return max(rates)


def bandwidths(threads: int) -> dict[str, float]:
    """Copy and add of NumPy on arrays that fit into each level, GB/s read plus written; the faster of the two.

    L2 is each core's own, so one thread's rate counts once a thread; the rest is measured with all at work. A line
    that is only written counts once, though the memory may read it first.
    """
    sizes = cache_sizes()
    rates = {"L2": threads * _stream(sizes["L2"] // 6, 1)} if "L2" in sizes else {}
    if "L3" in sizes:
        rates["L3"] = _stream(sizes["L3"] // (6 * threads), threads)
    rates["DRAM"] = _stream(max(4 * sizes.get("L3", 0), 2**28) // threads, threads)
    return rates


def cache_sizes() -> dict[str, int]:
    """Bytes of the first core's caches, as far as the system tells."""
    sizes = {}
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        read = {name: (index / name).read_text().strip() for name in ("level", "type", "size")}
        if read["type"] != "Instruction":
            scale = {"K": 2**10, "M": 2**20}.get(read["size"][-1], 1)
            sizes[f"L{read['level']}"] = int(read["size"].rstrip("KM")) * scale
    return sizes


def _best(call: Callable[[], object]) -> float:
    """Least seconds of a call."""
    call()
    return min(timeit.repeat(call, number=1, repeat=REPEATS))


def _stream(n_bytes: int, threads: int) -> float:
    """GB/s with three arrays of ``n_bytes`` a thread."""
    n = max(1, n_bytes // 4)
    arrays = [[np.ones(n, np.float32) for _ in range(3)] for _ in range(threads)]
    rates = []
    with ThreadPoolExecutor(threads) as pool:
        for moved, operation in (2, lambda a, b, c: np.copyto(c, a)), (3, lambda a, b, c: np.add(a, b, out=c)):
            repeats = max(1, int(SECONDS * 1e10 / (moved * n * 4)))
            barrier = Barrier(threads)

            def work(own, operation=operation, repeats=repeats, barrier=barrier):
                operation(*own)
                barrier.wait()
                start = time.perf_counter()
                for _ in range(repeats):
                    operation(*own)
                return start, time.perf_counter()

            for _ in range(REPEATS):
                starts, ends = zip(*pool.map(work, arrays), strict=True)
                rates.append(moved * n * 4 * repeats * threads / (max(ends) - min(starts)) / 1e9)
    return max(rates)


def processor() -> str:
    """Name of the CPU, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = info.read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        if names:
            return f"{names[0]} x {len(names)}"
    return platform.processor() or platform.machine()


def commit() -> str:
    """Commit of the sources beside the benchmarks; "unknown" outside a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def describe() -> str:
    """Lines for the head of a report: machine, build, commit, peers and why some are missing."""
    caches = ", ".join(f"{level} {size // 1024} KiB" for level, size in sorted(cache_sizes().items()))
    lines = [
        f"processor: {processor()}; {caches or 'caches unknown'}; {platform.system()} {platform.release()}",
        f"C flags: {sysconfig.get_config_var('CFLAGS') or ''} and those of setup.py",
        f"commit: {commit()}",
    ]
    for peer in peers.PEERS:
        reason = peer.missing()
        lines.append(f"{peer.name}: left out, {reason}" if reason else f"{peer.name}: {peer.version()}")
    return "\n".join(lines)
