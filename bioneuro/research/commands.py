"""Command line: ``python -m bioneuro <command>``.

A command is one function that parses its own arguments and returns an exit code, and one line of `COMMANDS`. What is
imported only inside a command costs ``--help`` nothing.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from ..datasets import USUAL
from . import UserError

FAILED, USER_ERROR, INTERRUPTED = 1, 2, 130


class _Stopped(Exception):
    """Work that was stopped, with the message for the user and the exit code."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


class _Parser(argparse.ArgumentParser):
    """Reports a wrong argument in one line; argparse would print its usage too."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{message} (see {self.prog} --help)")


def compare(arguments: Sequence[str]) -> int:
    """train bioneuro and its rivals on the same data; accuracy, few images, attacks, weights"""
    parser = _Parser(prog="bioneuro compare", description=compare.__doc__, epilog=(
        "Finished rows are kept in results.csv whatever happens; the same command again goes on where it stopped, and "
        "more --seeds add to it. A small trial: --quick --seeds 1 --n-train 100."))  # fmt: skip
    parser.add_argument(
        "--dataset",
        choices=USUAL,
        default="digits",
        help="digits comes with scikit-learn; the others are read from BIONEURO_DATA or downloaded",
    )
    parser.add_argument("--seeds", type=_whole, metavar="N", help="number of seeds (default 5, with --quick 2)")
    parser.add_argument(
        "--n-train",
        type=_whole,
        metavar="N",
        help="training images, drawn for each seed (default: all of digits, 20000 of the others)",
    )
    parser.add_argument("--epsilons", type=_budget, nargs="+", metavar="E", help="Linf budgets of the attacks")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder of the results (default results/<dataset>)")
    parser.add_argument("--jobs", type=_whole, metavar="N", help="processes that share the seeds (default: one a core)")
    parser.add_argument(
        "--quick", action="store_true", help="fewer seeds, images and PGD steps (in results/<dataset>-quick)"
    )
    options = parser.parse_args(arguments)
    _need_extra("pandas", "matplotlib", "tqdm", "joblib")

    from .comparison import experiment, findings
    from .comparison.models import MODELS
    from .comparison.plan import ComparisonPlan

    start = time.perf_counter()
    data = _load(options.dataset)
    plan = ComparisonPlan.for_dataset(
        options.dataset, len(data.X_train), n_train=options.n_train, quick=options.quick, epsilons=options.epsilons
    )
    out = options.out or Path("results") / (options.dataset + "-quick" * options.quick)
    with _kept_in(out):
        ledger = experiment.run(plan, data, out, options.seeds or (2 if options.quick else 5), options.jobs)
    frame = ledger.frame()
    print(
        findings.text(
            frame,
            plan,
            ours=[name for name, model in MODELS.items() if model.ours],
            references=[name for name, model in MODELS.items() if not model.ours],
        )
    )
    written = findings.figures(frame, out, experiment.weight_samples(out))
    print(f"\nWritten: {', '.join(map(str, [ledger.path, ledger.configuration_path, *written]))}")
    print(f"Total time of this run: {time.perf_counter() - start:.0f} s")
    return 0


def attack(arguments: Sequence[str]) -> int:
    """train bioneuro and its controls, attack them with everything, audit the attack; robust accuracy with intervals"""
    from .robustness import contenders

    parser = _Parser(prog="bioneuro attack", description=attack.__doc__, epilog=(
        "Finished models are kept in results.csv whatever happens; the same command again goes on where it stopped, "
        "and more --models or --seeds add to it. Models: "
        + ", ".join(f'"{name}"' for name in contenders.CONTENDERS)))  # fmt: skip
    parser.add_argument("--dataset", choices=USUAL, default="digits")
    parser.add_argument("--norm", choices=("linf", "l2"), default="linf")
    parser.add_argument(
        "--epsilons", type=_positive, nargs="+", metavar="E", help="budgets in units of the range [0, 1]"
    )
    parser.add_argument("--tier", choices=("quick", "full"), default="quick", help="how hard it is tried")
    parser.add_argument("--seeds", type=_whole, metavar="N", default=1, help="number of seeds (default 1)")
    parser.add_argument("--models", nargs="+", metavar="M", help="names of models (default: all)")
    parser.add_argument(
        "--n-train",
        type=_whole,
        metavar="N",
        help="training images, drawn for each seed (default: those of compare, with --tier full all)",
    )
    parser.add_argument("--n-attacked", type=_whole, metavar="N", help="images attacked (default 200, full 1000)")
    parser.add_argument(
        "--validation",
        type=_whole,
        metavar="N",
        default=0,
        help="to choose settings: test on the last N training images, which nothing then learns from",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the results (default results/attack-<dataset>-<norm>-<tier>)"
    )
    options = parser.parse_args(arguments)
    _need_extra("pandas", "matplotlib", "tqdm")

    from .robustness import experiment, findings

    names, left_out = _chosen_contenders(options.models)
    data = _load(options.dataset)
    plan = experiment.AttackPlan.for_dataset(
        options.dataset,
        data,
        norm=options.norm,
        epsilons=options.epsilons,
        tier=options.tier,
        n_train=options.n_train,
        n_attacked=options.n_attacked,
        n_validation=options.validation,
    )
    out = options.out or Path("results") / (
        f"attack-{options.dataset}-{options.norm}-{options.tier}" + "-validation" * bool(options.validation)
    )
    for line in left_out:
        print(line)
    with _kept_in(out):
        ledger = experiment.run(plan, data, out, options.seeds, names, progress=sys.stderr.isatty())
    frame = ledger.frame()
    frame = frame[frame["model"].isin(names) & (frame["seed"] < options.seeds)]
    images = experiment.kept(out, names, range(options.seeds))
    print(findings.text(frame, images, plan))
    written = findings.figures(frame, images, plan, data.image_shape, out)
    print(f"\nWritten: {', '.join(map(str, [ledger.path, ledger.configuration_path, *written]))}")
    return 0


def claims(arguments: Sequence[str]) -> int:
    """test the claims about the network: effect, interval over seeds and verdict of each, with its controls"""
    parser = _Parser(prog="bioneuro claims", description=claims.__doc__, epilog=(
        "A claim that fails is printed as failed; the exit code says only whether all of them ran. Finished seeds are "
        "kept: the same command again goes on where it stopped."))  # fmt: skip
    parser.add_argument("claims", nargs="*", metavar="C", help="numbers of claims, such as C1 C2 (default: all)")
    parser.add_argument("--dataset", choices=USUAL, default="digits")
    parser.add_argument("--seeds", type=_whole, metavar="N", help="number of seeds (default 3, with --full 5)")
    parser.add_argument("--n-train", type=_whole, metavar="N", help="training images instead of those of the settings")
    parser.add_argument("--full", action="store_true", help="full settings (minutes to hours) instead of small ones")
    rules = ("log-covariance", "log-relaxation")
    parser.add_argument("--rule", choices=rules, help="rule of the association (not in C3 and C8; default the first)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the results (default results/claims-<dataset>)"
    )
    options = parser.parse_args(arguments)
    _need_extra("pandas", "matplotlib", "tqdm")

    from .claims import CLAIMS, experiment, findings

    if unknown := [number for number in options.claims if number not in CLAIMS]:
        raise UserError(f"unknown claim {unknown[0]!r}: choose from {', '.join(CLAIMS)}")
    chosen = [CLAIMS[number] for number in dict.fromkeys(options.claims or CLAIMS)]
    data = _load(options.dataset)
    out = options.out or Path("results") / f"claims-{options.dataset}{'-full' * options.full}"
    if options.rule and not options.out:
        out = out.with_name(f"{out.name}-{options.rule}")
    n_seeds = options.seeds or (5 if options.full else 3)
    with _kept_in(out):
        frames = experiment.run(
            chosen, options.dataset, data, out, n_seeds, full=options.full, n_train=options.n_train, rule=options.rule
        )
    verdicts = {claim.number: claim.verdict(frames[claim.number]) for claim in chosen}
    print(findings.text(chosen, verdicts, options.dataset, n_seeds, options.full))
    written = [findings.write_csv(frames, out / "claims.csv"), *findings.figures(chosen, frames, out)]
    print(f"\nWritten: {', '.join(map(str, written))}")
    return 0


def fewshot(arguments: Sequence[str]) -> int:
    """learn from few images: accuracy against images a class, episodes, Omniglot's one-shot task"""
    parser = _Parser(prog="bioneuro fewshot", description=fewshot.__doc__)
    parser.add_argument(
        "protocol",
        nargs="?",
        choices=("curve", "episodes", "omniglot"),
        default="curve",
        help="curve (default): k images a class, whole test set; episodes: 5- and 20-way within held-out alphabets of "
        "Omniglot; omniglot: its official one-shot task",
    )
    parser.add_argument("--dataset", choices=USUAL, default="digits", help="of the curve")
    parser.add_argument("--shots", type=_whole, nargs="+", metavar="K", help="images a class of the curve")
    parser.add_argument("--models", nargs="+", metavar="M", help="names of models of the curve (default: all)")
    parser.add_argument(
        "--unlabelled",
        type=_whole_or_none,
        metavar="N",
        default=2000,
        help="images without labels for features, of the curve (default 2000)",
    )
    parser.add_argument("--repeats", type=_whole, metavar="N", help="of the curve (default 20, with --quick 3)")
    parser.add_argument(
        "--n-test", type=_whole, metavar="N", help="test images of the curve (default all, with --quick 500)"
    )
    parser.add_argument("--episodes", type=_whole, metavar="N", help="in all (default 1000, with --quick 50)")
    parser.add_argument("--jobs", type=_whole, default=1, metavar="N", help="processes (default 1)")
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the results (default results/fewshot-<dataset>)"
    )
    parser.add_argument("--quick", action="store_true", help="few shots, repeats, episodes and test images")
    options = parser.parse_args(arguments)
    _need_extra("pandas", "matplotlib", "tqdm", "joblib")

    from .few_images import experiment

    chosen = experiment.Options(
        shots=tuple(options.shots or ((1, 5) if options.quick else experiment.Options.shots)),
        n_repeats=options.repeats or (3 if options.quick else experiment.Options.n_repeats),
        n_episodes=options.episodes or (50 if options.quick else experiment.Options.n_episodes),
        n_test=options.n_test or (500 if options.quick else None),
        n_jobs=options.jobs,
        models=None if options.models is None else tuple(options.models),
        n_unlabelled=options.unlabelled,
    )
    curve = options.protocol == "curve"
    data = _load(options.dataset) if curve else None
    out = (
        options.out or Path("results") / f"fewshot-{options.dataset if curve else 'omniglot'}{'-quick' * options.quick}"
    )
    with _data_errors(), _kept_in(out):
        text, written = experiment.run(options.protocol, data, options.dataset, chosen, out)
    print(text)
    print(f"\nWritten: {', '.join(map(str, written))}")
    return 0


def continual(arguments: Sequence[str]) -> int:
    """learn one task after another, one pass: accuracy and forgetting beside rivals on the same features"""
    parser = _Parser(prog="bioneuro continual", description=continual.__doc__)
    parser.add_argument("--dataset", choices=USUAL, default="digits")
    parser.add_argument(
        "--stream",
        default="class",
        metavar="S",
        help="class (default), task, permuted, rotated, drifting, blurred or imbalanced",
    )
    parser.add_argument("--seeds", type=_whole, metavar="N", default=3, help="number of seeds (default 3)")
    parser.add_argument(
        "--n-train", type=_whole, metavar="N", help="training images, drawn for each seed (default all)"
    )
    parser.add_argument(
        "--cells", type=_whole, metavar="N", help="budget of cells (default 300 on digits, 2000 on the others)"
    )
    parser.add_argument(
        "--map-from", choices=("first", "all"), default="first", help="images the map learns from, without labels"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="folder of the results (default results/continual-<dataset>)"
    )
    options = parser.parse_args(arguments)
    _need_extra("pandas", "matplotlib", "tqdm", "joblib")

    from .. import plot
    from . import task_streams
    from .records.pictures import draw_into

    if options.stream not in task_streams.STREAMS:
        raise UserError(f"unknown stream {options.stream!r}: choose from {', '.join(task_streams.STREAMS)}")
    data = _load(options.dataset)
    cells = options.cells or USUAL[options.dataset].n_cells
    plan = task_streams.StreamPlan(options.stream, options.n_train, cells, options.map_from)
    out = options.out or Path("results") / f"continual-{options.dataset}"
    with _kept_in(out):
        frame = task_streams.run(plan, options.dataset, data, options.seeds, out)
    print(task_streams.text(frame, plan, options.dataset))
    streamed = frame[frame["model"].isin(task_streams.MODELS)]
    stem = out / options.stream
    picture = draw_into(stem.with_suffix(".png"), lambda ax: plot.continual_curve(streamed, ax))
    print(f"\nWritten: {stem.with_suffix('.csv')}, {picture}")
    return 0


def config(arguments: Sequence[str]) -> int:
    """print how this installation was built: compiler, SIMD path, threads"""
    _Parser(prog="bioneuro config", description=config.__doc__).parse_args(arguments)
    from .. import show_config

    show_config()
    return 0


COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "compare": compare,
    "attack": attack,
    "claims": claims,
    "fewshot": fewshot,
    "continual": continual,
    "config": config,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 if it failed, 2 for a mistake of the user, 130 if interrupted."""
    width = max(map(len, COMMANDS))
    parser = _Parser(
        prog="bioneuro",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n" + "\n".join(f"  {name:{width}}  {run.__doc__}" for name, run in COMMANDS.items()),
    )
    parser.add_argument("command", choices=COMMANDS, metavar="command")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="see bioneuro <command> --help")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a console without Greek letters must not make it fail
    try:
        options = parser.parse_args(argv)
        return COMMANDS[options.command](options.arguments)
    except UserError as error:
        _say(str(error))
        return USER_ERROR
    except _Stopped as stopped:
        _say(str(stopped))
        return stopped.code
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except OSError as error:  # a full disk, a folder that may not be written
        if error.errno is None:
            raise
        _say(_of_the_system(error))
        return FAILED
    except SystemExit as stop:  # argparse's way to end --help
        return int(stop.code or 0)


def _of_the_system(error: OSError) -> str:
    return str(error.strerror) + ("" if error.filename is None else f": {error.filename}")


def _say(message: str) -> None:
    """One line on stderr."""
    print("bioneuro: " + " ".join(message.split()), file=sys.stderr)


def _whole(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, got {text}")
    return value


def _whole_or_none(text: str) -> int:
    return 0 if text == "0" else _whole(text)


def _budget(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must be above 0 and at most 1, got {text}")
    return value


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text}")
    return value


def _chosen_contenders(wanted: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Names of the contenders whose modules are installed, in order, and a line for each of the others."""
    from .robustness.contenders import CONTENDERS, missing_modules

    if unknown := [name for name in wanted or () if name not in CONTENDERS]:
        raise UserError(f"--models: unknown {unknown[0]!r}; choose from {', '.join(map(repr, CONTENDERS))}")
    names, left_out = [], []
    for name, contender in CONTENDERS.items():
        if wanted and name not in wanted:
            continue
        if missing := missing_modules(contender):
            left_out.append(f'{name}: left out, {", ".join(missing)} not installed (pip install "bioneuro[torch]")')
        else:
            names.append(name)
    if not names:
        raise UserError("; ".join(left_out))
    return names, left_out


def _load(name: str) -> Any:
    """The data set."""
    from .. import datasets

    with _data_errors():
        return datasets.load(name)


@contextmanager
def _kept_in(out: Path) -> Iterator[None]:
    """Tell the user, whatever stops this work, that what is finished is kept."""
    from concurrent.futures.process import BrokenProcessPool

    kept = f"what is finished is kept in {out}, the same command again resumes"
    try:
        yield
    except KeyboardInterrupt as stop:
        raise _Stopped(f"interrupted; {kept}", INTERRUPTED) from stop
    except BrokenProcessPool as error:
        raise _Stopped(f"a process was killed; {kept}", FAILED) from error
    except OSError as error:
        if error.errno is None:
            raise
        raise _Stopped(f"{_of_the_system(error)}; {kept}", FAILED) from error


@contextmanager
def _data_errors() -> Iterator[None]:
    """Turn errors of missing or corrupt data into errors for the user."""
    from .. import datasets

    try:
        yield
    except (datasets.DatasetNotFoundError, datasets.DatasetCorruptError) as error:
        raise UserError(str(error)) from error


def _need_extra(*modules: str) -> None:
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise UserError(f'{", ".join(missing)} not installed: pip install "bioneuro[experiments]"')
