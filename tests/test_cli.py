"""The command line: exit codes, and one line for every mistake."""

import errno
import socket
import subprocess
import sys

import pytest

import bioneuro
from bioneuro.research.commands import COMMANDS, main


@pytest.fixture(autouse=True)
def _no_network(monkeypatch, tmp_path):
    def refused(*_):
        raise AssertionError("a test of the command line reached for the network")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.chdir(tmp_path)


def fails(capsys, *arguments):
    """The one line on stderr of a call that must fail with exit code 2 and print nothing else."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("\n") and captured.err.count("\n") == 1
    return captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["unknown"], "invalid choice: 'unknown'"),
        (["compare", "--dataset", "imagenet"], "invalid choice: 'imagenet'"),
        (["compare", "--seeds", "-3"], "--seeds: must be a whole number of at least 1, got -3"),
        (["compare", "--seeds", "0"], "--seeds: must be a whole number of at least 1, got 0"),
        (["compare", "--seeds", "two"], "--seeds: must be a whole number of at least 1, got two"),
        (["compare", "--n-train", "0"], "--n-train: must be a whole number of at least 1, got 0"),
        (["compare", "--n-train", "1298"], "--n-train 1298 is more than the 1297 training images of digits"),
        (["compare", "--n-train", "5"], "--n-train 5 leaves a class without an image; at least 10 are needed"),
        (["compare", "--epsilons", "0.1", "nan"], "--epsilons: must be above 0 and at most 1, got nan"),
        (["compare", "--epsilons", "2"], "--epsilons: must be above 0 and at most 1, got 2"),
        (["compare", "--nonsense"], "unrecognized arguments: --nonsense"),
        (["config", "extra"], "unrecognized arguments: extra"),
    ],
)
def test_wrong_arguments(capsys, tmp_path, arguments, message):
    assert message in fails(capsys, *arguments)
    assert not list(tmp_path.rglob("*.csv"))


def test_no_command_prints_the_help(capsys):
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage:") and all(name in printed for name in COMMANDS)


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"bioneuro {bioneuro.__version__}\n"


def test_missing_data(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("BIONEURO_DATA", str(tmp_path))
    message = fails(capsys, "compare", "--dataset", "mnist")
    assert "train-images-idx3-ubyte.gz" in message and "BIONEURO_DATA" in message


def test_corrupt_data(capsys, monkeypatch, tmp_path):
    (tmp_path / "mnist").mkdir()
    for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (tmp_path / "mnist" / f"{part}-ubyte").write_bytes(b"nonsense")
    monkeypatch.setenv("BIONEURO_DATA", str(tmp_path))
    assert "corrupt" in fails(capsys, "compare", "--dataset", "mnist")


def test_unusable_folder(capsys, tmp_path):
    (tmp_path / "taken").write_text("a file")
    assert "cannot keep results in" in fails(capsys, "compare", "--out", str(tmp_path / "taken"))


def test_missing_extra_is_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = fails(capsys, "compare")
    assert 'matplotlib not installed: pip install "bioneuro[experiments]"' in message


def test_interrupt_anywhere_has_no_traceback(capsys, monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(COMMANDS["config"], "run", interrupted)
    assert main(["config"]) == 130
    assert capsys.readouterr().err == "bioneuro: interrupted\n"


def test_full_disk_has_no_traceback(capsys, monkeypatch, tmp_path):
    def full(options):
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "results.csv"))

    monkeypatch.setattr(COMMANDS["config"], "run", full)
    assert main(["config"]) == 1
    assert capsys.readouterr().err == f"bioneuro: No space left on device: {tmp_path / 'results.csv'}\n"


def test_full_disk_says_what_is_kept(capsys, monkeypatch, tmp_path):
    pd = pytest.importorskip("pandas")

    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr("bioneuro.research.records.ledger.write_atomically", full)
    monkeypatch.setattr("bioneuro.research.task_streams._measured", lambda *_: pd.DataFrame({"x": [1]}))
    assert main(["continual", "--out", str(tmp_path), "--seeds", "1", "--n-train", "100"]) == 1
    message = capsys.readouterr().err
    assert f"No space left on device: {tmp_path / 'class.csv'}; what is finished is kept in {tmp_path}" in message


def test_help_names_every_command_and_option(capsys):
    assert main(["--help"]) == 0
    printed = capsys.readouterr().out
    for name, command in COMMANDS.items():
        assert f"{name}" in printed and command.__doc__ in printed
    assert main(["compare", "--help"]) == 0
    printed = capsys.readouterr().out
    for option in ("--dataset", "--seeds", "--n-train", "--epsilons", "--out", "--quick"):
        assert option in printed


def test_config_prints_the_build(capsys):
    assert main(["config"]) == 0
    assert bioneuro.__version__ in capsys.readouterr().out


def test_module_runs_as_a_program():
    done = subprocess.run([sys.executable, "-m", "bioneuro", "compare", "--seeds", "0"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == "" and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
