"""Declares the C extension; everything else is in pyproject.toml.

Switches, read from the environment: BIONEURO_NATIVE (this machine's own instruction set), BIONEURO_SANITIZE (e.g.
``address,undefined`` or ``thread``), BIONEURO_DEBUG (-O0 -g), BIONEURO_WERROR, BIONEURO_NO_OPENMP.
"""

import os
import sys
import tempfile
from glob import glob
from pathlib import Path

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


def switch(name: str) -> str:
    value = os.environ.get(f"BIONEURO_{name}", "")
    return "" if value == "0" else value


class BuildExt(build_ext):
    """Adds OpenMP where the compiler has it, and leaves a copy of the extension beside the Python sources: else
    ``python -m bioneuro`` in a clone would find the sources, without it, before the installed package."""

    def run(self):
        super().run()
        if not self.inplace and not switch(
            "SANITIZE"
        ):  # inplace does so itself; a sanitized build is for its tests only
            self.copy_extensions_to_source()

    def build_extensions(self):
        flags = [] if switch("NO_OPENMP") else self._openmp_flags()
        if not flags:
            print("bioneuro: building without OpenMP; kernels will run on one thread", file=sys.stderr)
        for extension in self.extensions:
            extension.extra_compile_args += flags
            extension.extra_link_args += flags
        super().build_extensions()

    def _openmp_flags(self):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "probe.c"
            source.write_text("#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n")
            try:
                objects = self.compiler.compile([str(source)], output_dir=folder, extra_postargs=["-fopenmp"])
                self.compiler.link_executable(objects, str(Path(folder) / "probe"), extra_postargs=["-fopenmp"])
            except Exception:  # distutils raises its own family here; any failure means: no OpenMP
                return []
        return ["-fopenmp"]


compile_args = ["-std=gnu11", "-Wall", "-Wextra", "-Wno-psabi"]
link_args = []
compile_args += ["-O0", "-g"] if switch("DEBUG") else ["-O3"]
if switch("NATIVE"):
    compile_args += ["-march=native"]
if switch("WERROR"):
    compile_args += ["-Werror"]
if switch("SANITIZE"):
    compile_args += [f"-fsanitize={switch('SANITIZE')}", "-fno-omit-frame-pointer", "-g"]
    link_args += [f"-fsanitize={switch('SANITIZE')}"]

setup(
    ext_modules=[
        Extension(
            "bioneuro._core",
            sources=sorted(path for path in glob("csrc/*.c") if not path.endswith(".tmpl.c")),
            depends=glob("csrc/*"),
            include_dirs=["csrc", numpy.get_include()],
            extra_compile_args=compile_args,
            extra_link_args=link_args,
        )
    ],
    cmdclass={"build_ext": BuildExt},
)
