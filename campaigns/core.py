"""The C core without Python: sources of its kernels, and C code beside a core that is built already."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

CSRC = Path(__file__).parents[1] / "csrc"


def kernels() -> list[Path]:
    """What a program compiles that brings its own workers: no bindings, no templates, no pool of threads."""
    return [
        source
        for source in sorted(CSRC.glob("*.c"))
        if not source.name.startswith("py_") and not source.name.endswith(".tmpl.c") and source.name != "parallel.c"
    ]


def beside(core: Path, library: Path, *sources: Path) -> ctypes.CDLL:
    """C code as a library that calls a core that is built already, with its workers; made with ``cc``."""
    flags = ["-std=gnu11", "-O1", "-Wno-psabi", "-pthread", "-shared", "-fPIC", "-DBUILT_CORE"]
    subprocess.run(["cc", *flags, *sources, "-lm", "-o", library], check=True)
    ctypes.CDLL(str(core), mode=ctypes.RTLD_GLOBAL)
    return ctypes.CDLL(str(library))
