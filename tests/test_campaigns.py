"""The campaigns in short: each runs a small share of itself, and finds nothing."""

import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import bioneuro  # noqa: F401  before the path below: the installed library, not the sources beside the campaigns
from bioneuro.research.records.environment import commit

ROOT = Path(__file__).parents[1]
if not (ROOT / "campaigns").is_dir():
    pytest.skip("the campaigns are not beside the tests", allow_module_level=True)


def run(name, share, out):
    code = (
        f"import sys; sys.path.append({str(ROOT)!r}); from campaigns import {name}, record\n"
        f"if __name__ == '__main__': sys.exit(record.main({name!r}, {name}.campaign, 'short'))"
    )
    script = out.with_suffix(".py")
    script.write_text(code)
    command = [sys.executable, script, "--share", str(share), "--out", out]
    done = subprocess.run(command, cwd=out.parent, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(out.read_text())


def test_hostile_arguments_end_in_what_is_promised(tmp_path):
    found = run("bindings", 0.075, tmp_path / "bindings.json")
    assert found["faults"] == [] and found["executions"] == 3000 == sum(found["outcomes"].values())
    assert found["outcomes"]["answered"] > 100 and found["outcomes"]["ValueError"] > 100
    assert found["commit"] == commit(ROOT / "campaigns" / "record.py")


def test_hostile_files_are_refused_by_one_error_and_run_nothing(tmp_path):
    pytest.importorskip("PIL.Image")
    found = run("files", 0.002, tmp_path / "files.json")
    assert found["faults"] == [] and found["files"] > 1000
    assert {"truncated", "bits flipped", "headers", "arrays", "archives", "IDX"} <= found["counts"].keys()
    assert found["counts"]["truncated"] == {"tried": found["counts"]["truncated"]["tried"]} | {
        "refused": found["counts"]["truncated"]["tried"]
    }


def test_saves_that_are_killed_leave_whole_models(tmp_path):
    found = run("kill", 0.01, tmp_path / "kill.json")
    assert found["faults"] == [] and found["counts"]["kills"] >= 10


def test_learning_from_a_file_holds_a_part_of_it(tmp_path):
    found = run("memory", 0.02, tmp_path / "memory.json")
    assert found["faults"] == [] and found["images"] == 200_000
    assert found["file_mib"] + found["features_mib"] > 90
    assert found["peak_mib"] - found["peak_before_mib"] < 70  # of which 25 are the drives that the readout learns from


def test_the_model_of_a_cluster():
    pytest.importorskip("distributed")
    code = f"""
import sys; sys.path.append({str(ROOT)!r})
from campaigns.cluster import images_per_second, images_per_second_here, step_on_workers
assert images_per_second(1e-4, 1e-5, 1) == 1e4 and abs(images_per_second(1e-4, 1e-5, 5) - 5e4) < 1e-6
assert images_per_second(1e-4, 1e-5, 10) == images_per_second(1e-4, 1e-5, 99)  # the one who moves is busy
assert abs(images_per_second_here(9e-5, 1e-5, 2, 1) - 1e4) < 1e-6
assert step_on_workers(3, 2, 100, 1e9, 1) == 3
assert step_on_workers(3, 2, 100, 200, 2) == 3  # what is saved is what moving takes
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("cc") is None, reason="the harnesses need a C compiler")
@pytest.mark.parametrize("harness", ["products", "learning", "structure", "rates", "images"])
def test_what_fuzzing_reached_holds_on_this_core(harness, tmp_path):
    """What each harness requires of the kernels, of the fewest inputs that reach all that was ever reached."""
    code = f"""
import sys; sys.path.append({str(ROOT)!r})
from pathlib import Path
from bioneuro import _core
from campaigns import fuzz
assert set(fuzz.EXECUTIONS) == {{"products", "learning", "structure", "rates", "images"}}
print(fuzz.replay({harness!r}, Path(_core.__file__), Path({str(tmp_path)!r})))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) > 50


@pytest.mark.skipif(shutil.which("cc") is None, reason="the callers need a C compiler")
def test_kernels_called_by_several_threads_answer_as_for_one(tmp_path):
    code = f"""
import sys; sys.path.append({str(ROOT)!r})
from pathlib import Path
from bioneuro import _core
from campaigns import races
sys.exit(races.replay(Path(_core.__file__), Path({str(tmp_path)!r}), 5))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.split()[0] == "15"


@pytest.mark.skipif(
    shutil.which("cc") is None or platform.libc_ver()[0] != "glibc", reason="the library that is preloaded is for glibc"
)
def test_memory_that_runs_out_is_said_and_leaves_nothing(tmp_path):
    found = run("allocations", 0.25, tmp_path / "allocations.json")
    assert found["faults"] == [] and found["counts"]["refused"] > 150


def test_what_valgrind_says_of_the_core_is_a_fault(tmp_path):
    """The calls without valgrind, which takes minutes; then reports: of the core, of an answer, of Python alone."""
    frames = {"a": ("bio_forward", "_core.so"), "b": ("bytes_hash", "libpython.so"), "c": ("r_object", "libpython.so")}
    errors = "".join(
        f"<error><kind>{kind}</kind><stack><frame><fn>memcpy</fn></frame>"
        f"<frame><obj>/lib/{library}</obj><fn>{name}</fn></frame></stack></error>"
        for kind, (name, library) in frames.items()
    )
    report = tmp_path / "report.xml"
    report.write_text(f"<valgrindoutput>{errors}</valgrindoutput>")
    code = f"""
import sys; sys.path.append({str(ROOT)!r})
from pathlib import Path
from campaigns import valgrind
found = valgrind.faults_of(Path({str(report)!r}))
assert found == ["a < memcpy < bio_forward", "b < memcpy < bytes_hash"], found
counts = valgrind.work(0, 5)
assert counts["hostile"] == 5 and counts["good"] % 4 == 0 and counts["of the wrong type"] > 8 * counts["good"], counts
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_mutant_differs_in_one_token_of_the_program(tmp_path):
    code = f"""
import sys; sys.path.append({str(ROOT)!r})
from pathlib import Path
from campaigns import mutation
def texts(name, text, mutants_of):
    file = Path({str(tmp_path)!r}) / name
    file.write_text(text)
    for mutant in mutants_of(file):
        mutant.write(made := file.with_stem("made"))
        yield made.read_text()
c = list(texts("a.c", '#define N 1 + 1\\nx = a < 2; /* 1 + 1 */ y = "1 + 1"; // 1\\np->q += .5f;', mutation.of_c))
assert [new.split("\\n", 1)[1] for new in c] == [
    'x = a <= 2; /* 1 + 1 */ y = "1 + 1"; // 1\\np->q += .5f;',
    'x = a < 3; /* 1 + 1 */ y = "1 + 1"; // 1\\np->q += .5f;',
    'x = a < 2; /* 1 + 1 */ y = "1 + 1"; // 1\\np->q -= .5f;',
], c
python = list(texts("a.py", "def f(x: int | None = 1) -> int | str:\\n    return not 'a + b'", mutation.of_python))
assert python == [
    "def f(x: int | None = 2) -> int | str:\\n    return not 'a + b'",
    "def f(x: int | None = 1) -> int | str:\\n    return  'a + b'",
], python
root = Path({str(ROOT)!r})
for table, sources in ((mutation.KERNEL_TESTS, root / "csrc"), (mutation.ATTACK_TESTS, root / "bioneuro" / "attacks")):
    there = {{path.name.partition(".")[0] for path in sources.iterdir()}}
    for stems, tests in table.items():
        assert there.issuperset(stems), stems
        assert all((root / "tests" / f"test_{{name}}.py").is_file() for name in tests), tests
class Made:
    root = root
    def unchanged(self): return root
mutation.judged = lambda *_: ("failed", 1.0)
mutants, faults = [mutation.Mutant(root / "csrc" / "map.c", 0, 1, "")], []
class Item:
    def __init__(self, nodeid): self.nodeid = nodeid
items = [Item(f"a.py::{{name}}") for name in "xyz"]
reached = {{"tests": {{"a.py::x": 2.0, "a.py::y": 1.0, "a.py::z": 0.0}}, "lines": {{"m.py:3": ["a.py::x", "a.py::y"]}}}}
mutation.Chosen(reached, "m.py:4").pytest_collection_modifyitems(items)
assert [item.nodeid for item in items] == ["a.py::z", "a.py::y", "a.py::x"]
mutation.Chosen(reached, "m.py:3").pytest_collection_modifyitems(items)
assert [item.nodeid for item in items] == ["a.py::y", "a.py::x"]
outcomes = mutation.Outcomes(Path({str(tmp_path)!r}) / "build" / "outcomes.jsonl")
trial = mutation.Trial(Made(), {{"map": ("kernels_patches",)}}, outcomes)
assert mutation.tested(trial, mutants, 1, faults) == {{}}
assert faults == ["('kernels_patches',) failed without any change"], faults
outcomes.keep(mutants[0], "crashed")
assert mutation.Outcomes(outcomes.path).of(mutants[0]) == "crashed"  # a run that goes on
trial = mutation.Trial(Made(), {{}}, mutation.Outcomes(outcomes.path))
assert mutation.tested(trial, mutants, 1, faults)["counts"]["crashed"] == 1
trial.explained = {{"map.c": {{mutants[0].change: "a reason"}}}}
assert mutation.tested(trial, mutants, 1, faults)["counts"] == {{"makes no difference": 1, "mutants": 1}}
for name, explained in mutation.tomllib.loads(mutation.EXPLAINED.read_text()).items():
    source = next(path for half in mutation.HALVES.values() for path in half.folder.glob(name)).read_text()
    for change in explained:
        assert mutation.re.sub(r"\\[(\\S+) -> [^]]*\\]", r"\\1", change) in source, change
outcomes.keep(mutants[0], "survived")
assert mutation.Outcomes(outcomes.path).of(mutants[0]) is None
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_fault_is_found():
    """The hunt itself: another error, an import, memory beyond all measure and a pickle are noticed."""
    code = f"""
import sys; sys.path.append({str(ROOT)!r})
from campaigns.files import Tally
tally = Tally()
def key(): raise KeyError("x")
def refused(): raise ValueError("no")
def silent(): raise ValueError
def imports(): import this
def large(): return bytes(1 << 26)
for n, read in enumerate((key, refused, silent, imports)):
    tally.read(f"kind {{n}}", "file", read, ValueError, 1)
tally.read("kind 9", "file", large, ValueError, 1000)
print(len(tally.faults), [f.split(",")[0] for f in tally.faults if "import" in f][:1], file=sys.stderr)
for kind in ("kind 0", "kind 2", "kind 3", "kind 9"): assert any(f.startswith(kind) for f in tally.faults), kind
assert not any(f.startswith("kind 1") for f in tally.faults)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
