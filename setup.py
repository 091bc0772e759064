"""Declares the C extension; everything else is in pyproject.toml.

Switches, read from the environment: BIONEURO_NATIVE (this machine's own instruction set), BIONEURO_SANITIZE (e.g.
``address,undefined`` or ``thread``), BIONEURO_DEBUG (-O0 -g), BIONEURO_WERROR.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from glob import glob

import numpy
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


def switch(name: str) -> str:
    value = os.environ.get(f"BIONEURO_{name}", "")
    return "" if value == "0" else value


class BuildExt(build_ext):
    """Leaves a copy of the extension beside the Python sources: else ``python -m bioneuro`` in a clone would find the
    sources, without it, before the installed package."""

    def run(self):
        super().run()
        if not self.inplace and not switch(
            "SANITIZE"
        ):  # inplace does so itself; a sanitized build is for its tests only
            self.copy_extensions_to_source()

    def build_extension(self, ext):
        """Its sources side by side: setuptools compiles one after another."""
        compile_one = self.compiler.compile

        def compile_all(sources, **options):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                made = pool.map(lambda source: compile_one([source], **options), sources)
                return [name for names in made for name in names]

        self.compiler.compile = compile_all
        super().build_extension(ext)


compile_args = ["-std=gnu11", "-pthread", "-Wall", "-Wextra", "-Wno-psabi"]
link_args = ["-pthread"]
compile_args += ["-O0", "-g"] if switch("DEBUG") else ["-O3", "-g0"]  # what Python was built with may say -g
if switch("NATIVE"):
    compile_args += ["-march=native"]
if switch("WERROR"):
    compile_args += ["-Werror"]
if switch("SANITIZE"):
    compile_args += [f"-fsanitize={switch('SANITIZE')}", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer", "-g"]
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
