"""train bioneuro and its controls, attack them with everything, audit the attack; robust accuracy with intervals"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import UserError
from .failures import kept_in, load_data, need_extra
from .options import add_dataset, add_n_train, add_out, add_processes, add_seeds, positive, whole
from .printing import say, show


def add_options(parser: argparse.ArgumentParser) -> None:
    from ..robustness import contenders

    parser.epilog = (
        "Finished models are kept in results.csv whatever happens; the same command again goes on where it stopped, "
        "and more --models or --seeds add to it. Models: "
        + ", ".join(f'"{name}"' for name in contenders.CONTENDERS)
        + ". Example: bioneuro attack --models bioneuro MLP --n-train 200 --n-attacked 20"
    )
    add_dataset(parser)
    parser.add_argument("--norm", choices=("linf", "l2"), default="linf")
    parser.add_argument(
        "--epsilons", type=positive, nargs="+", metavar="E", help="budgets in units of the range [0, 1]"
    )
    parser.add_argument("--tier", choices=("quick", "full"), default="quick", help="how hard it is tried")
    add_seeds(parser, 1, "1")
    parser.add_argument("--models", nargs="+", metavar="M", help="names of models (default: all)")
    add_n_train(parser, "training images, drawn for each seed (default: those of compare, with --tier full all)")
    parser.add_argument("--n-attacked", type=whole, metavar="N", help="images attacked (default 200, full 1000)")
    parser.add_argument(
        "--validation",
        type=whole,
        metavar="N",
        default=0,
        help="to choose settings: test on the last N training images, which nothing then learns from",
    )
    add_processes(parser, 1)
    add_out(parser, "attack-<dataset>-<norm>-<tier>")


def run(options: argparse.Namespace) -> int:
    need_extra("pandas", "matplotlib", "tqdm", "joblib", scheduler=options.scheduler)

    from ..robustness import experiment, findings

    names, left_out = _chosen(options.models)
    data = load_data(options.dataset)
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
        say(options, line)
    with kept_in(out):
        ledger = experiment.run(
            plan,
            data,
            out,
            options.seeds,
            names,
            n_jobs=options.n_jobs,
            scheduler=options.scheduler,
            progress=sys.stderr.isatty(),
        )
    frame = ledger.frame()
    frame = frame[frame["model"].isin(names) & (frame["seed"] < options.seeds)]
    images = experiment.kept(out, names, range(options.seeds))
    written = findings.figures(frame, images, plan, data.image_shape, out)
    show(options, findings.text(frame, images, plan), [ledger.path, ledger.configuration_path, *written], frame)
    return 0


def _chosen(wanted: Sequence[str] | None) -> tuple[list[str], list[str]]:
    """Names of the contenders whose modules are installed, in order, and a line for each of the others."""
    from ..robustness.contenders import CONTENDERS, missing_modules

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
