"""Coverage-guided fuzzing of the C core, without Python (what Python reads is the subject of ``campaigns.files``).

``make fuzz`` or ``python -m campaigns.fuzz`` runs all of it, or ``--share`` of it; Ctrl-C ends it early and keeps its
figures. clang with libFuzzer is needed (Debian: ``clang libclang-rt-14-dev``).

A harness is a C file here: ``products.c``, ``learning.c``, ``structure.c``, ``rates.c``, ``images.c``. It makes
pathways, batches and parameters from the bytes of libFuzzer (``source.h``: valid structures of any density, sizes
at the borders of vectors, tiles and blocks, values from ordinary to denormal, largest, infinite and NaN; both value
types, both index types, every instruction set of the machine) and calls kernels compiled with AddressSanitizer and
UBSan. Every array is exactly as large as it must be. What is required of each kernel is in the harness: sums as
those made one by one, valid structures, bounds and signs kept, finite results of finite input, and the same bits
for any number of workers. Two things stand in for others, so that an execution is a function of its bytes: workers,
whose chunks are done by one thread in an order that the fuzzer chooses, and memory, of which any allocation may
fail: then the kernel must say so, leave its input as it was and leak nothing.

``corpus/<harness>.hex`` has one input a line: the fewest that reach every line that was ever reached. Tests replay
them on the core as it is built (``replay``). A fault is an input that ends a harness: it is kept as such a line.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import core

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
#: Executions of each harness in a whole campaign.
EXECUTIONS = {
    "products": 1_500_000,
    "learning": 2_500_000,
    "structure": 2_500_000,
    "rates": 2_000_000,
    "images": 1_500_000,
}
LONGEST = 48  # bytes of an input
AT_ONCE = 250_000  # executions of one process
FAULTS = 5  # of a harness, then it is left alone
KERNELS = "-std=gnu11 -g -O1 -fno-omit-frame-pointer -pthread -Wno-psabi -fsanitize=address,undefined".split()
SANITIZERS = {"ASAN_OPTIONS": "malloc_context_size=1:quarantine_size_mb=4", "UBSAN_OPTIONS": "print_stacktrace=1"}


def build(folder: Path) -> None:
    """Every harness, in ``folder``."""
    if not shutil.which("clang"):
        raise SystemExit("fuzzing needs clang with libFuzzer; Debian: apt install clang libclang-rt-14-dev")
    objects = []
    for source in core.kernels():
        objects.append(str(folder / f"{source.stem}.o"))
        guided = ["-fno-sanitize-recover=undefined", "-fsanitize-coverage=inline-8bit-counters,pc-table"]
        subprocess.run(["clang", *KERNELS, *guided, "-c", source, "-o", objects[-1]], check=True)
    wrapped = "-Wl,--wrap=malloc,--wrap=calloc,--wrap=aligned_alloc"
    plain = ["clang", "-std=gnu11", "-g", "-O2", "-Wno-psabi", "-c"]
    subprocess.run([*plain, HERE / "source.c", "-o", folder / "source.oo"], check=True)
    for name in EXECUTIONS:
        subprocess.run([*plain, HERE / f"{name}.c", "-o", folder / f"{name}.oo"], check=True)
        parts = [folder / f"{name}.oo", folder / "source.oo", *objects, wrapped, "-pthread", "-lm", "-o", folder / name]
        subprocess.run(["clang", "-fsanitize=fuzzer,address,undefined", *parts], check=True)


def inputs(name: str) -> list[bytes]:
    """The corpus of a harness."""
    lines = (CORPUS / f"{name}.hex").read_text().split()
    return [bytes.fromhex(line) for line in lines]


def keep(name: str, corpus: Path) -> None:
    """Write the inputs of a folder as the corpus, without those that reach nothing new."""
    lines = sorted({path.read_bytes().hex() for path in corpus.iterdir() if path.stat().st_size <= LONGEST})
    (CORPUS / f"{name}.hex").write_text("\n".join(lines) + "\n")


def fuzz(name: str, folder: Path, executions: int, seed: int) -> Iterator[tuple[int, int, str]]:
    """Executions done, edges reached and the fault (if any) of one process after another."""
    corpus = folder / f"{name}.corpus"
    corpus.mkdir(exist_ok=True)
    for number, content in enumerate(inputs(name)):
        (corpus / f"seed{number}").write_bytes(content)
    done = faults = 0
    while done < executions and faults < FAULTS:
        command = [
            folder / name, corpus, f"-runs={min(AT_ONCE, executions - done)}", f"-seed={seed + done + 1}",
            f"-max_len={LONGEST}", "-len_control=0", "-entropic=0", "-timeout=120", "-print_final_stats=1",
            f"-artifact_prefix={folder}/{name}-",
        ]  # fmt: skip
        run = subprocess.run(command, capture_output=True, text=True, errors="replace", env=os.environ | SANITIZERS)
        said = run.stderr
        here = int(re.findall(r"number_of_executed_units: (\d+)", said)[-1])
        done += here
        fault = ""
        if run.returncode:
            faults += 1
            wrong = re.search(r".*(does not hold|ERROR: |runtime error).*", said)
            written = re.search(r"Test unit written to (\S+)", said)
            content = Path(written[1]).read_bytes().hex() if written else "unknown input"
            fault = f"{name}: {wrong[0] if wrong else said[-300:]}: {content}"
        yield here, int(re.findall(r"cov: (\d+)", said)[-1]), fault


def campaign(share: float, seed: int, folder: Path) -> dict[str, Any]:
    """Fuzz every harness; ``share`` of the whole."""
    build(folder)
    counts = {name: {"executions": 0, "edges": 0} for name in EXECUTIONS}
    faults: list[str] = []
    try:
        for name, whole in EXECUTIONS.items():
            for done, edges, fault in fuzz(name, folder, round(share * whole), seed):
                counts[name]["executions"] += done
                counts[name]["edges"] = max(edges, counts[name]["edges"])
                faults += [fault] if fault else []
                print(f"{name}: {counts[name]}, {len(faults)} faults", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("ended early", file=sys.stderr)
    return {"counts": counts, "executions": sum(count["executions"] for count in counts.values()), "faults": faults}


def replay(name: str, built: Path, folder: Path) -> int:
    """Run the corpus of a harness on a core that is built already; how many inputs. A fault ends the process."""
    library = core.beside(built, folder / f"{name}.so", HERE / f"{name}.c", HERE / "source.c")
    run = library.LLVMFuzzerTestOneInput
    run.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
    corpus = inputs(name)
    for content in corpus:
        run(content, len(content))
    return len(corpus)
