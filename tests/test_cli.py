"""The command line: exit codes, and one line for every mistake."""

import errno
import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import bioneuro
from bioneuro.research import speed
from bioneuro.research.commands import COMMANDS, main
from bioneuro.research.commands.options import Parser


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


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_that_is_understood(capsys, name):
    assert main([name, "--help"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    example = re.search(rf"Example[^:]*: bioneuro {name}((?: [^()]+)?)", printed)
    assert example and "--json" in printed
    parser = Parser()
    COMMANDS[name].add_options(parser)
    parser.parse_args(example[1].split())


def test_pages_of_the_docs_name_commands_and_options_that_there_are():
    """Where a command is written out, with what it needs."""
    root = Path(__file__).parent.parent
    if not (root / "docs").is_dir():
        pytest.skip("no docs here: this is not a source checkout")
    pages, n = [root / "README.md", *(root / "docs").rglob("*.md"), *(root / "notebooks").glob("*.ipynb")], 0
    for page in pages:
        for written in re.finditer(
            r"python -m bioneuro ([a-z]+)((?: [^`\n|;#&\\]*)?)", page.read_text(encoding="utf-8")
        ):
            assert written[1] in COMMANDS, f"{page.name}: {written[0]}"
            parser = Parser()
            COMMANDS[written[1]].add_options(parser)
            known, options = (
                {o for a in parser._actions for o in a.option_strings},
                re.findall(r"--[a-z-]+", written[2]),
            )
            assert set(options) <= known, f"{page.name}: {written[0]}"
            n += 1
    assert n > 20


def test_json_is_one_object_with_rows_and_files(capsys, tmp_path):
    pytest.importorskip("joblib")
    (tmp_path / "halves.py").write_text(
        "def half(x):\n    if x == 3:\n        raise ValueError('odd')\n    return x / 2\n"
    )
    assert main(["sweep", "halves:half", "x=1,2,3", "--n-jobs", "1", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [row["value"] for row in found["rows"]] == [0.5, 1.0, None] and "odd" in found["rows"][2]["error"]
    assert [Path(path).name for path in found["written"]] == ["sweep.csv"] and Path(found["written"][0]).exists()


def test_json_of_the_build(capsys):
    assert main(["config", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bioneuro"] == bioneuro.__version__


def test_bench_times_learning_answers_and_products(capsys):
    assert main(["bench", "--n-train", "30", "--repeats", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    names = ["fit", "transform", "predict", "input_gradient", "forward", "input_grad", "weight_grad"]
    assert [row["what"] for row in rows] == names and all(row["seconds"] > 0 for row in rows)
    assert rows[0]["per_second"] == pytest.approx(30 / rows[0]["seconds"])
    words = speed.text(pd.DataFrame(rows)).splitlines()
    assert words[2].split()[0] == "fit" and words[2].endswith("images/s") and words[-1].endswith("GFLOP/s")
    many = pd.DataFrame(
        [{"what": "transform", "size": "500 images", "seconds": 0.03, "per_second": 14340.2, "unit": "images"}]
    )
    assert speed.text(many).splitlines()[2].endswith("14,340 images/s")


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
