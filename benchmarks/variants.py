"""Our products by instruction set and value type, as columns of one table.

Each instruction set runs in a process of its own, since BIONEURO_SIMD is read at import.
"""

from __future__ import annotations

import json
import statistics

from benchmarks import harness, linear
from bioneuro import _core

DTYPES = ("float32", "float64")
SIZES: list[linear.Size] = [(4096, 4096, 0.1, 1), (4096, 4096, 0.1, 32), (4096, 4096, 0.1, 128)]
#: From the simplest to the best.
SETS = ("generic", "avx2", "avx512")


def sets() -> list[str]:
    """Instruction sets worth a column here: the best, and AVX2 where that is not it."""
    best = _core.config()["simd_best"]
    return [name for name in SETS[1:] if SETS.index(name) < SETS.index(best)] + [best]


def table(tiny: bool = False, *, rounds: int = 9, threads: int = 1) -> str:
    """Markdown: one row an operation and size; ms for each value type and instruction set."""
    columns: dict[str, dict[str, float]] = {}
    for name in sets():
        found = harness.apart("variants", int(tiny), rounds, threads, BIONEURO_SIMD=name)
        for dtype, cells in found.items():
            columns[f"{dtype}, {name}"] = cells
    rows = next(iter(columns.values()))
    return harness.markdown(
        ["operation, size", *columns], ([row, *(f"{cells[row]:.3g}" for cells in columns.values())] for row in rows)
    )


def main(arguments: list[str]) -> None:
    """Print medians in ms by value type and case, as JSON, for the instruction set of this process."""
    tiny, rounds, threads = map(int, arguments)
    found: dict[str, dict[str, float]] = {dtype: {} for dtype in DTYPES}
    for dtype in DTYPES:
        for size in linear.TINY if tiny else SIZES:
            for case in linear.products(size, dtype=dtype, threads=threads, names=()):
                seconds = harness.times(case.calls, rounds, hasty=bool(tiny))[harness.OURS]
                found[dtype][f"{case.operation}, {case.size}"] = 1e3 * statistics.median(seconds)
    print(json.dumps(found))
