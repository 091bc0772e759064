"""``python -m benchmarks.counts``: instructions and cache misses of each kernel, by valgrind's callgrind.

Counts do not depend on who else uses the machine: a slow minute changes times, a slow kernel changes these. callgrind
knows no AVX-512, so they are those of AVX2, with one thread; its caches are models of this machine's first and last.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import harness, linear
from bioneuro import _core

SIZE: linear.Size = (1024, 1024, 0.1, 64)
TINY: linear.Size = (32, 48, 0.2, 8)
#: Column -> the events of callgrind that it sums.
EVENTS = {"instructions": ("Ir",), "L1 misses": ("D1mr", "D1mw"), "last-level misses": ("DLmr", "DLmw")}
#: Kernel -> its C function, its call, as :data:`CHILD` sees it, and what its counts are divided by.
KERNELS = {
    "forward": ("bio_forward", "core.forward(*W, X, layout=plain)", "synapse and sample"),
    "input_grad": ("bio_input_grad", "core.input_grad(*W, dY, n_cols, layout=transposed)", "synapse and sample"),
    "weight_grad": ("bio_weight_grad", "core.weight_grad(*W[:2], X, dY, layout=plain)", "synapse and sample"),
    "backward": ("bio_backward", "core.backward(*W, X, dY, layout=transposed)", "synapse and sample"),
    "forward, batch 1": ("bio_forward", "core.forward(*W, X[:1])", "synapse"),
    "input_grad, batch 1": ("bio_input_grad", "core.input_grad(*W, dY[:1], n_cols)", "synapse"),
    "weight_grad, batch 1": ("bio_weight_grad", "core.weight_grad(*W[:2], X[:1], dY[:1])", "synapse"),
    "normalize_rows": ("bio_normalize_rows", "core.normalize_rows(*W)", "synapse"),
    "compete": ("bio_compete", "core.compete(dY, beta=5.0)", "cell and sample"),
    **{
        f"plasticity, {form}": ("bio_plasticity_step", f"core.plasticity_step(*W, G, c, {form!r})", "synapse")
        for form in ("exponential", "log-relaxation", "log-covariance")
    },
}
#: What runs inside valgrind, where imports take long: the extension alone, without its package. Each call twice, since
#: the first touches memory for the first time.
CHILD = """
import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_file_location
import numpy as np
loader = ExtensionFileLoader("bioneuro._core", sys.argv[1])
core = module_from_spec(spec_from_file_location("bioneuro._core", loader=loader))
loader.exec_module(core)
arrays = np.load(sys.argv[2])
X, dY, G, c = (arrays[name] for name in ("X", "dY", "G", "c"))
W, n_cols = tuple(arrays[name] for name in ("indptr", "indices", "data")), X.shape[1]
plain, transposed = core.layout(*W, n_cols, False), core.layout(*W, n_cols, True)
"""


def counted(size: linear.Size) -> pd.DataFrame:
    """One row a kernel; a column for each of :data:`EVENTS`, of one call, by the unit of :data:`KERNELS`. OSError where
    valgrind is missing or fails.

    callgrind writes a file, and starts from 0, after each call of a kernel, so that the interpreter between two of them
    counts as well: about ten thousand instructions. (Of several functions, it starts anew before the first named only.)
    """
    if not shutil.which("valgrind"):
        raise OSError("valgrind is not installed")
    W, (X, dY) = linear.pathway(size, "float32"), linear.batches(size, "float32")
    G, c = np.abs(W.weight_grad(X, dY, 1)), np.ones(W.n_post, np.float32)
    calls = [call for _, call, _ in KERNELS.values()] * 2
    with tempfile.TemporaryDirectory() as folder:
        arrays = {"indptr": W.indptr, "indices": W.indices, "data": np.abs(W.weights), "X": X, "dY": dY, "G": G, "c": c}
        np.savez(f"{folder}/arrays.npz", **arrays)
        Path(f"{folder}/child.py").write_text(CHILD + "\n".join(calls))
        options = ["--quiet", "--cache-sim=yes", f"--callgrind-out-file={folder}/out"]
        functions = {function for function, _, _ in KERNELS.values()}
        options += [f"--dump-after={function}" for function in functions]
        command = ["valgrind", "--tool=callgrind", *options, sys.executable, f"{folder}/child.py", _core.__file__]
        done = subprocess.run([*command, f"{folder}/arrays.npz"], capture_output=True, text=True)
        files = sorted(Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))
        texts = [text for text in map(Path.read_text, files) if "--dump-after=" in text]
        if done.returncode or len(texts) != len(calls):
            raise OSError(f"valgrind failed, with {len(texts)} calls counted: {done.stderr.strip()[-500:]}")
    rows = [totals(text) for text in texts[len(KERNELS) :]]
    sizes = {"synapse and sample": W.nnz * len(X), "synapse": W.nnz, "cell and sample": W.n_post * len(X)}
    by = [sizes[unit] for _, _, unit in KERNELS.values()]
    columns = {
        column: [sum(row[event] for event in events) / n for row, n in zip(rows, by, strict=True)]
        for column, events in EVENTS.items()
    }
    return pd.DataFrame(columns, index=list(KERNELS))


def totals(text: str) -> dict[str, int]:
    """Events of a file of callgrind, by name."""
    lines = dict(line.split(":", 1) for line in text.splitlines() if line.startswith(("events:", "totals:")))
    found = lines["totals"].split()  # zeros at the end are left out
    names = lines["events"].split()
    return dict(zip(names, map(int, found + ["0"] * (len(names) - len(found))), strict=True))


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.counts", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="smallest size: does it run at all")
    size = TINY if parser.parse_args(argv).tiny else SIZE
    try:
        frame = counted(size)
    except OSError as error:
        raise SystemExit(f"no counts: {error}") from error
    print(f"{size[0]} x {size[1]}, {size[2]:.0%}, batch {size[3]}, float32, AVX2\n")
    rows = ([name, KERNELS[name][2], *(f"{value:.3g}" for value in row)] for name, row in frame.iterrows())
    print(harness.markdown(["kernel", "of each", *frame.columns], rows))


if __name__ == "__main__":
    main()
