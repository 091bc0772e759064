"""Mutation testing: one token of the sources is changed at random, and the tests of that file must fail.

Of the kernels (``csrc/``, compiled for the generic instruction set) and of the attacks with their audit
(``bioneuro/attacks/``). Mutants that do not compile do not count. Those that survive are listed: either a test is
missing, or the change makes no difference that matters. Of the tests by a file of Python those are run that reach the
changed line, the fastest first; all, if it is a line of the module itself.

A mutant of the kernels that survives them is tried once more under AddressSanitizer and UBSan, as ``make sanitize``
runs the same tests. Those that give the same machine code count as little as those that do not compile, and those of
which ``no_difference.toml`` says what they change instead of an answer are not tried.

Each outcome is kept at once in ``build/mutation.jsonl``, and a run that is started again goes on there: what was
noticed stays so as long as its source is the same, what survived is tried again, for there may be a test now.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import io
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import time
import tokenize
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import hypothesis
import numpy as np
import pytest

from . import core
from .record import main

ROOT = Path(__file__).parents[1]
ATTACKS = ROOT / "bioneuro" / "attacks"
OUTCOMES = ROOT / "build" / "mutation.jsonl"
#: Mutants that change no answer, by file, and what they change.
EXPLAINED = Path(__file__).with_name("no_difference.toml")
#: Mutants of each half in a whole campaign, and the share of them that the tests must notice.
MUTANTS, WANTED = 100, 0.9
NO_PROGRAM, NO_DIFFERENCE = "does not compile to another program", "makes no difference"
#: What a token becomes; numbers become another number.
CHANGED = {
    "+": "-", "-": "+", "*": "/", "/": "*", "//": "*", "%": "*", "**": "*", "+=": "-=", "-=": "+=", "*=": "/=",
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&": "|", "|": "&", "<<": ">>", ">>": "<<",
    "&&": "||", "||": "&&", "and": "or", "or": "and", "not": "", "!": "", "++": "--", "True": "False",
    "False": "True", "break": "continue", "continue": "break", "min": "max", "max": "min", "minimum": "maximum",
    "maximum": "minimum", "any": "all", "all": "any", "argmax": "argmin", "argmin": "argmax", "floor": "ceil",
}  # fmt: skip
C_TOKEN = re.compile(
    r"(?P<skipped>/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|^[ ]*\#(?:\\\n|[^\n])*)"
    r"|(?P<token>[A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.])*|<<|>>|->|\+\+|--|&&|\|\||[-+*/%<>=!&|]=|.)",
    re.DOTALL | re.MULTILINE,
)
#: Files of tests (``test_<name>.py``), by the sources that they test.
KERNEL_TESTS = {
    ("compete", "softmax"): ("kernels_compete",),
    ("layout", "products", "few", "few_width", "reduce", "shuffle", "tile"): ("kernels_linear", "layouts"),
    ("plasticity", "vmath"): ("kernels_plasticity", "kernels_hebbian"),
    ("rng",): ("kernels_plasticity", "kernels_structure"),
    ("minmax",): ("kernels_hebbian",),
    ("norm", "normalize"): ("kernels_hebbian", "synapses"),
    ("map", "patches", "retina"): ("kernels_patches",),
    ("structure",): ("kernels_structure",),
}
ATTACK_TESTS = {
    ("adaptive",): ("attacks_adaptive",),
    ("apgd", "objectives"): ("attacks_apgd",),
    ("audit", "masking_checks"): ("attacks_audit",),
    ("answers", "base", "goals", "inputs"): ("attacks_inputs", "attacks_goals"),
    ("cache", "ensemble", "registry", "survivors", "worst_case"): ("attacks_worst_case", "attacks_sparse"),
    ("decision",): ("attacks_decision",),
    ("few_pixels", "frank_wolfe"): ("attacks_few_pixels",),
    ("gradient", "norms", "spaces"): ("attacks_gradient", "attacks_sparse", "attacks_apgd", "attacks_few_pixels"),
    ("landscape",): ("attacks_landscape",),
    ("noise", "sample_random", "sparse_rs"): ("attacks_sparse", "attacks_blackbox"),
    ("probabilities", "random_search", "square", "transfer"): ("attacks_blackbox", "attacks_goals"),
}


class Mutant(NamedTuple):
    """``text[start:stop]`` of a file becomes ``new``."""

    file: Path
    start: int
    stop: int
    new: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line.partition(':')[2]}: {self.change}"

    @property
    def change(self) -> str:
        """The line with the token and what becomes of it."""
        text = self.file.read_text()
        begin = text.rfind("\n", 0, self.start) + 1
        line = text[begin : self.start] + f"[{text[self.start : self.stop]} -> {self.new}]"
        return (line + text[self.stop :].split("\n", 1)[0]).strip()

    @property
    def line(self) -> str:
        """Name of the file, and number of the line."""
        return f"{self.file.name}:{self.file.read_text().count(chr(10), 0, self.start) + 1}"

    @property
    def key(self) -> str:
        """The change and the source that it is made to."""
        return hashlib.sha256(f"{self.start}{self.new}{self.file.read_text()}".encode()).hexdigest()

    def write(self, path: Path) -> None:
        text = self.file.read_text()
        path.write_text(text[: self.start] + self.new + text[self.stop :])


def changed(token: str) -> str | None:
    """What a token becomes, None if it stays."""
    if re.fullmatch(r"\d+[uUlL]*", token):
        return str(int(token.rstrip("uUlL")) + 1)
    if re.fullmatch(r"(\d+\.\d*|\.\d+)(e[-+]?\d+)?|\d+e[-+]?\d+", token):
        return repr(2 * float(token) or 1.0)
    return CHANGED.get(token)


def of_c(file: Path) -> Iterator[Mutant]:
    """Every mutant of a file of C: of comments, texts and the preprocessor there are none."""
    for found in C_TOKEN.finditer(file.read_text()):
        if (token := found["token"]) and (new := changed(token)) is not None:
            yield Mutant(file, *found.span(), new)


def of_python(file: Path) -> Iterator[Mutant]:
    """Every mutant of a file of Python: of texts, imports and annotations there are none."""
    text = file.read_text()
    starts = np.cumsum([0, *map(len, text.splitlines(keepends=True))]).tolist()
    skipped = []
    for node in ast.walk(ast.parse(text)):
        inner = [getattr(node, name, None) for name in ("annotation", "returns")]
        inner += [node] * isinstance(node, ast.Import | ast.ImportFrom)
        skipped += [((each.lineno, each.col_offset), (each.end_lineno, each.end_col_offset)) for each in inner if each]
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if any(begin <= token.start < end for begin, end in skipped):
            continue
        if token.type in (tokenize.OP, tokenize.NAME, tokenize.NUMBER) and (new := changed(token.string)) is not None:
            start, stop = (starts[line - 1] + column for line, column in (token.start, token.end))
            yield Mutant(file, start, stop, new)


class Outcomes:
    """What became of mutants, in a file of lines that outlives the run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(exist_ok=True)
        path.touch()
        self.known = {line["key"]: line["outcome"] for line in map(json.loads, path.read_text().splitlines())}

    def of(self, mutant: Mutant) -> str | None:
        """What is known of a mutant; what survived is to be tried again."""
        outcome = self.known.get(mutant.key)
        return None if outcome == "survived" else outcome

    def keep(self, mutant: Mutant, outcome: str) -> None:
        """Write down what became of a mutant."""
        with self.path.open("a") as file:
            file.write(json.dumps({"key": mutant.key, "outcome": outcome, "mutant": str(mutant)}) + "\n")


class Core:
    """The C core in a copy of the package, compiled again where a mutant reaches."""

    def __init__(self, folder: Path, *flags: str) -> None:
        self.root, self.csrc, self.objects = folder / "kernels", folder / "kernels" / "csrc", folder / "objects"
        shutil.copytree(ROOT / "bioneuro", self.root / "bioneuro", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        shutil.copytree(core.CSRC, self.csrc)
        simd = self.csrc / "simd.h"  # a third of the instances: what is the same in all is compiled once
        simd.write_text(simd.read_text().replace("#define BIO_X86 1", "#define BIO_X86 0"))
        self.objects.mkdir()
        self.sources = [p for p in sorted(self.csrc.glob("*.c")) if not p.name.endswith(".tmpl.c")]
        python = sysconfig.get_paths()["include"]
        self.flags = ["-std=gnu11", "-O0", "-fPIC", "-pthread", "-w", f"-I{python}", f"-I{np.get_include()}"]
        self.flags += flags
        self.needs = {
            source: {Path(name).name for name in self._cc("-MM", source).stdout.split() if name != "\\"}
            for source in self.sources
        }
        assert self._make(self.sources, self.objects)

    def _cc(self, *arguments: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["cc", *self.flags, *map(str, arguments)], capture_output=True, text=True)

    def _make(self, sources: list[Path], objects: Path) -> bool:
        """Compile these and link them with the others."""
        for source in sources:
            if self._cc("-c", source, "-o", objects / f"{source.stem}.o").returncode:
                return False
        linked = [
            next(path for path in (objects / name, self.objects / name) if path.exists())
            for name in (f"{source.stem}.o" for source in self.sources)
        ]
        made = self.root / "bioneuro" / f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"
        made.unlink(missing_ok=True)
        return not self._cc("-shared", *linked, "-lm", "-o", made).returncode

    def unchanged(self) -> Path:
        """The package as it is."""
        assert self._make([], self.objects)
        return self.root

    def apply(self, mutant: Mutant) -> bool:
        """Whether the mutant compiles to another program; the package then has it."""
        path, objects = self.csrc / mutant.file.name, self.objects.with_name("mutated")
        kept = path.read_text()
        shutil.rmtree(objects, ignore_errors=True)
        objects.mkdir()
        mutant.write(path)
        try:
            made = self._make([source for source, needed in self.needs.items() if path.name in needed], objects)
        finally:
            path.write_text(kept)
        return made and any(one.read_bytes() != (self.objects / one.name).read_bytes() for one in objects.iterdir())


class SanitizedCore(Core):
    """The same under AddressSanitizer and UBSan."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "sanitized", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
        libraries = [self._cc(f"-print-file-name=lib{name}.so").stdout.strip() for name in ("asan", "ubsan")]
        self.environment = os.environ | {
            "LD_PRELOAD": " ".join(libraries),
            "ASAN_OPTIONS": "detect_leaks=0",
            "PYTHONPATH": str(self.root),
        }

    def reports(self, tests: tuple[str, ...], *options: str) -> bool:
        """Whether a sanitizer says something while these tests run, in a process that starts with it."""
        command = [sys.executable, "-m", "pytest", "-qsx", "-p", "no:cacheprovider", "--hypothesis-seed=0", *options]
        done = subprocess.run(
            [*command, *paths(tests)], cwd=self.root, env=self.environment, capture_output=True, text=True
        )
        return "AddressSanitizer" in done.stderr or "runtime error: " in done.stderr


class Attacks:
    """A copy of the package in which one file is a mutant."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "attacks"
        shutil.copytree(ROOT / "bioneuro", self.root / "bioneuro", ignore=shutil.ignore_patterns("__pycache__"))

    def unchanged(self) -> Path:
        """The package as it is."""
        for file in ATTACKS.glob("*.py"):
            shutil.copyfile(file, self.root / "bioneuro" / "attacks" / file.name)
        return self.root

    def apply(self, mutant: Mutant) -> bool:
        """Whether the mutant is a program; the package then has it."""
        path = self.unchanged() / "bioneuro" / "attacks" / mutant.file.name
        mutant.write(path)
        try:
            compile(path.read_text(), path, "exec")
        except SyntaxError:
            return False
        return True


class Reached:
    """A plugin of pytest: which tests reach which lines of the attacks. What fixtures reach, all tests of a file do."""

    def __init__(self, folder: Path, result: Path) -> None:
        self.folder, self.result = str(folder), result
        self.tests: dict[str, float] = {}
        self.lines: dict[str, list[str]] = {}
        self.here: set[str] = set()

    def _trace(self, frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        name = frame.f_code.co_filename
        if not name.startswith(self.folder):
            return None
        if event == "line":
            self.here.add(f"{os.path.basename(name)}:{frame.f_lineno}")
        return self._trace

    @contextlib.contextmanager
    def _traced(self) -> Iterator[None]:
        self.here = set()
        sys.settrace(self._trace)
        threading.settrace(self._trace)
        try:
            yield
        finally:
            sys.settrace(None)
            threading.settrace(None)  # type: ignore[arg-type]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> Iterator[None]:
        """Lines that fixtures reach, by the file."""
        with self._traced():
            yield
        self._keep(item.nodeid.partition("::")[0])

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        """Lines that the test reaches."""
        start = time.process_time()
        with self._traced():
            yield
        self.tests[item.nodeid] = time.process_time() - start
        self._keep(item.nodeid)

    def _keep(self, name: str) -> None:
        for line in self.here:
            self.lines.setdefault(line, []).append(name)

    def pytest_sessionfinish(self) -> None:
        """Hand it to the parent process."""
        self.result.write_text(json.dumps({"tests": self.tests, "lines": self.lines}))


class Chosen:
    """A plugin of pytest: only the tests that reach a line, the fastest first."""

    def __init__(self, reached: dict[str, Any], line: str) -> None:
        self.seconds, self.names = reached["tests"], set(reached["lines"].get(line, ()))

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out, and sort within the files."""
        if self.names:
            items[:] = [one for one in items if self.names & {one.nodeid, one.nodeid.partition("::")[0]}]
        items.sort(key=lambda one: (one.nodeid.partition("::")[0], self.seconds.get(one.nodeid, 0.0)))


def paths(tests: tuple[str, ...]) -> list[str]:
    """Files of tests by their names."""
    return [str(ROOT / "tests" / f"test_{name}.py") for name in tests]


def judged(root: Path, tests: tuple[str, ...], seconds: int, *plugins: object) -> tuple[str, float]:
    """Whether these tests fail with the package in ``root``, and their seconds of processor."""
    child = os.fork()
    if not child:
        try:
            os._exit(_tests_of(root, tests, seconds, plugins))
        finally:
            os._exit(70)
    _, status, usage = os.wait4(child, 0)
    taken = usage.ru_utime + usage.ru_stime
    if os.WIFSIGNALED(status):
        return ("out of time" if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGALRM) else "crashed"), taken
    return {0: "survived"}.get(os.WEXITSTATUS(status), "failed"), taken


def _tests_of(root: Path, tests: tuple[str, ...], seconds: int, plugins: Sequence[object]) -> int:
    """pytest's exit code, in a process of its own that has imported everything else already."""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))
    signal.alarm(60 * seconds)  # a call that waits for ever
    sys.dont_write_bytecode = True
    os.environ |= {"PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    os.chdir(root)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    for name in [name for name in sys.modules if name.partition(".")[0] == "bioneuro"]:
        del sys.modules[name]
    sys.path.insert(0, str(root))
    import bioneuro

    assert Path(bioneuro.__file__).is_relative_to(root)
    hypothesis.settings.register_profile("the same each time", derandomize=True, database=None)
    hypothesis.settings.load_profile("the same each time")
    return pytest.main(["-q", "-x", "-p", "no:cacheprovider", *paths(tests)], [*plugins])


class Trial:
    """Mutants tried one after another in one copy of the package."""

    def __init__(self, made: Core | Attacks, tests: dict[str, tuple[str, ...]], outcomes: Outcomes) -> None:
        self.made, self.tests, self.outcomes = made, tests, outcomes
        self.explained = tomllib.loads(EXPLAINED.read_text())
        self.usual: dict[tuple[str, ...], tuple[float, dict[str, Any]]] = {}
        self.sanitized: SanitizedCore | None = None

    def outcome(self, mutant: Mutant) -> str:
        """What becomes of a mutant, which is kept."""
        if mutant.change in self.explained.get(mutant.file.name, {}):
            return NO_DIFFERENCE
        outcome = self.outcomes.of(mutant)
        if outcome is None:
            outcome = self._tried(mutant, self.tests[mutant.file.name.partition(".")[0]])
            self.outcomes.keep(mutant, outcome)
        return outcome

    def _tried(self, mutant: Mutant, names: tuple[str, ...]) -> str:
        seconds, lines = self._unchanged(names)
        if not self.made.apply(mutant):
            return NO_PROGRAM
        outcome, _ = judged(self.made.root, names, round(4 * seconds) + 10, Chosen(lines, mutant.line))
        if outcome == "survived" and isinstance(self.made, Core):
            self.sanitized = self.sanitized or SanitizedCore(self.made.root.parent)
            if self.sanitized.apply(mutant) and self.sanitized.reports(names):
                return "failed under sanitizers"
        return outcome

    def _unchanged(self, names: tuple[str, ...]) -> tuple[float, dict[str, Any]]:
        """Seconds of these tests on the sources as they are, and what they reach."""
        if names not in self.usual:
            result = self.outcomes.path.with_name("reached.json")
            reached = Reached(self.made.root / "bioneuro" / "attacks", result)
            unchanged, seconds = judged(self.made.unchanged(), names, 600, reached)
            if unchanged != "survived":
                raise RuntimeError(f"{names} {unchanged} without any change")
            self.usual[names] = seconds, json.loads(result.read_text())
        return self.usual[names]


def tested(trial: Trial, mutants: list[Mutant], n: int, faults: list[str]) -> dict[str, Any]:
    """Try mutants until ``n`` of them have compiled; what is wrong is added to ``faults``."""
    counts, survivors, explained = Counter[str](), [], {}
    for mutant in mutants:
        if counts["mutants"] == n:
            break
        try:
            outcome = trial.outcome(mutant)
        except RuntimeError as error:
            faults.append(str(error))
            return {}
        counts[outcome] += 1
        if outcome == NO_PROGRAM:
            continue
        counts["mutants"] += 1
        if outcome == "survived":
            survivors.append(str(mutant))
        elif outcome == NO_DIFFERENCE:
            explained[str(mutant)] = trial.explained[mutant.file.name][mutant.change]
        print(f"{counts['mutants']} of {n}: {outcome}: {mutant}", file=sys.stderr, flush=True)
    noticed = 1 - counts["survived"] / max(counts["mutants"] - counts[NO_DIFFERENCE], 1)
    if noticed < WANTED:
        faults.append(f"{trial.made.root.name}: only {noticed:.0%} of the mutants that make a difference are noticed")
    return {"noticed": round(noticed, 3), "counts": dict(counts), "survivors": survivors, NO_DIFFERENCE: explained}


class Half(NamedTuple):
    """Sources, the files of tests by them, their mutants, and where a mutant is tried."""

    folder: Path
    pattern: str
    tests: dict[tuple[str, ...], tuple[str, ...]]
    mutants_of: Callable[[Path], Iterator[Mutant]]
    made: type[Core] | type[Attacks]


HALVES = {
    "kernels": Half(core.CSRC, "*.[ch]", KERNEL_TESTS, of_c, Core),
    "attacks": Half(ATTACKS, "*.py", ATTACK_TESTS, of_python, Attacks),
}


def campaign(share: float, seed: int, folder: Path, halves: tuple[str, ...] = tuple(HALVES)) -> dict[str, Any]:
    """Try ``share`` of the mutants of each half, drawn from all that there are."""
    faults, found, outcomes = list[str](), {}, Outcomes(OUTCOMES)
    for name in halves:
        half = HALVES[name]
        tests = {stem: names for stems, names in half.tests.items() for stem in stems}
        files = [file for file in sorted(half.folder.glob(half.pattern)) if file.name.partition(".")[0] in tests]
        mutants = [mutant for file in files for mutant in half.mutants_of(file)]
        drawn = [mutants[k] for k in np.random.default_rng(seed).permutation(len(mutants))]
        n = max(1, round(share * MUTANTS))
        found[name] = {"possible": len(mutants), **tested(Trial(half.made(folder), tests, outcomes), drawn, n, faults)}
    return {**found, "faults": faults}


if __name__ == "__main__":
    sys.exit(main("mutation", campaign, __doc__))
