"""The short table of docs/results.md, made by ``report.py --update docs/results.md``."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks import harness, peers

#: (operation, size) of the rows, in their order; those that were not run are left out.
SHOWN = [
    *(
        (operation, f"4096 x 4096, 10%, batch {batch}")
        for batch in (1, 32, 128, 512)
        for operation in ("forward", "input_grad", "weight_grad", "backward")
    ),
    ("forward", "4096 x 4096, 1%, batch 128"),
    ("backward", "4096 x 4096, 1%, batch 128"),
    ("forward", "3000 x 1024, 50%, batch 256"),
    ("backward", "3000 x 1024, 50%, batch 256"),
    *((f"training: {rule}", f"4096 x 4096, {share}, batch 128") for share in ("10%", "40%", "60%")
      for rule in ("gradient", "plasticity")),
    *((f"plasticity: {form}", "1,678,046 synapses") for form in
      ("exponential", "log-relaxation, normalised", "log-relaxation, noise, normalised")),
    ("hebbian_step, drive given", "1,678,046 synapses, batch 1, 1 % win"),
    ("map, whole", "256 images"),
]  # fmt: skip
BEGIN, END = "<!-- speed: begin -->", "<!-- speed: end -->"


def table(frame: pd.DataFrame, peak: float) -> str:
    """Markdown: ms, share of the peak (GFLOP/s) and the time of the fastest library over ours."""
    rows = []
    cases = dict(list(frame.groupby(["operation", "size"])))
    for key in SHOWN:
        if key not in cases:
            continue
        by = cases[key].set_index("implementation")
        ours, others = by.loc[harness.OURS], by.ratio.drop([harness.OURS, *peers.HAND_WRITTEN], errors="ignore")
        of_peak = f"{ours.rate / peak:.0%}" if ours.unit == "GFLOP/s" and "batch 1" not in key[1].split(", ") else ""
        best = f"{others.min():.1f} x ({others.idxmin()})" if len(others) else ""
        numba = f"{by.ratio[peers.Numba.name]:.1f} x" if peers.Numba.name in by.index else ""
        rows.append([*key, f"{ours.ms:.2f}", of_peak, best, numba])
    return harness.markdown(["operation", "size", "ms", "of peak", "fastest other", "hand-written numba"], rows)


def update(path: Path, text: str) -> None:
    """Put ``text`` between the two marks of the file."""
    before, rest = path.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    path.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")
