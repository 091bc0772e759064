"""The source distribution and the wheel hold what they should, and what is installed from them works anywhere."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import textwrap
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
#: Folders and files that belong into the source distribution as they are in the repository.
ROOMS = ("csrc", "bioneuro", "tests", "notebooks", "docs", "benchmarks", "campaigns")
FILES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff", "CODE_OF_CONDUCT.md", "LICENSE", "Makefile",
         "MANIFEST.in", "noxfile.py", "setup.py", "pyproject.toml", ".clang-format")  # fmt: skip


def compiler():
    name = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    return shutil.which(name) or shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


def missing_tools():
    """Why nothing can be built here; "" if it can."""
    if not (ROOT / "setup.py").exists():
        return "the sources of bioneuro are not here"
    if not compiler():
        return "no C compiler"
    return ""


pytestmark = pytest.mark.skipif(bool(missing_tools()), reason=missing_tools() or "-")


def run(command, cwd, **environment):
    """stdout and stderr of a command that must succeed; nothing but `environment` is set for bioneuro."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("BIONEURO_") and k != "PYTHONPATH"} | environment
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=env, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def tracked():
    """Files of the repository that matter; what lies in the rooms, where this is no clone (or git is not here)."""
    try:
        command = ["git", "-C", str(ROOT), "ls-files", "-z"]
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = []
    if "setup.py" not in listed:
        rooms = (path for room in ROOMS for path in (ROOT / room).rglob("*") if path.is_file())
        listed = [path.relative_to(ROOT).as_posix() for path in rooms]
        listed = [name for name in listed if "__pycache__" not in name and not name.endswith((".so", ".pyc"))]
    return {name for name in listed if (ROOT / name).exists() and name.split("/")[0] in ROOMS} | set(FILES)


def copied(folder):
    """A copy of the sources, so that nothing is built or left beside the originals."""
    for name in tracked():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """Without isolation: no network; setuptools, NumPy and build come with the test extra."""
    out, source = tmp_path_factory.mktemp("sdist"), copied(tmp_path_factory.mktemp("sources"))
    run([sys.executable, "-m", "build", "--no-isolation", "--sdist", "--outdir", out, source], out)
    (made,) = out.glob("*.tar.gz")
    return made


@pytest.fixture(scope="module")
def unpacked(sdist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    shutil.unpack_archive(sdist, folder)
    (only,) = folder.iterdir()
    return only


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """What ``pip install`` makes of the source distribution where there is no network."""
    out = tmp_path_factory.mktemp("wheel")
    offline = ["--no-index", "--no-deps", "--no-build-isolation"]
    run([sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", out, sdist], out, BIONEURO_DEBUG="1")
    (made,) = out.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    target = tmp_path_factory.mktemp("site")
    run([sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", target, wheel], target)
    return target


def in_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


# --- source distribution -----------------------------------------------------------------------------------


def test_sdist_holds_every_source(unpacked):
    assert not [name for name in sorted(tracked()) if not (unpacked / name).is_file()]


def test_sdist_holds_nothing_built(sdist):
    with tarfile.open(sdist) as archive:
        names = archive.getnames()
    assert not [name for name in names if name.endswith((".so", ".pyc", ".o", ".pyd")) or "__pycache__" in name]


# --- wheel -------------------------------------------------------------------------------------------------


def test_wheel_holds_every_module(wheel):
    modules = {name for name in tracked() if name.startswith("bioneuro/")}
    assert {"bioneuro/py.typed", "bioneuro/_core.pyi", "bioneuro/layers/__init__.py"} <= modules
    assert modules <= in_wheel(wheel)


def test_wheel_holds_the_extension(wheel):
    assert "bioneuro/_core" + sysconfig.get_config_var("EXT_SUFFIX") in in_wheel(wheel)


def test_wheel_holds_nothing_else(wheel):
    assert {name.split("/")[0].split("-")[0] for name in in_wheel(wheel)} == {"bioneuro"}
    assert not [name for name in in_wheel(wheel) if name.endswith((".c", ".h", ".pyc"))]


# --- installed ---------------------------------------------------------------------------------------------


def test_installed_package_runs_elsewhere(installed, tmp_path):
    code = """
        import contextlib, io
        from pathlib import Path
        import numpy as np
        import bioneuro as bn

        assert Path(bn.__file__).is_relative_to({target!r}), bn.__file__
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            config = bn.show_config()
        assert config["n_threads"] >= 1, config
        assert f"n_threads: {{config['n_threads']}}" in printed.getvalue() and bn.__version__ in printed.getvalue()
        W = bn.connectivity.random(5, 7, density=0.5, random_state=0)
        X = np.ones((2, 7), np.float32)
        assert np.allclose(W.forward(X, n_threads=4), X @ W.to_scipy().toarray().T)
        print("works")
    """
    code = textwrap.dedent(code).format(target=str(installed))
    assert "works" in run([sys.executable, "-c", code], tmp_path, PYTHONPATH=str(installed))


def test_installed_command_line_runs_elsewhere(installed, tmp_path):
    printed = run([sys.executable, "-m", "bioneuro", "config"], tmp_path, PYTHONPATH=str(installed))
    assert "n_threads: " in printed
