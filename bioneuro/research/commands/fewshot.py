"""learn from few images: accuracy against images a class, episodes, Omniglot's one-shot task"""

from __future__ import annotations

import argparse
from pathlib import Path

from .failures import data_errors, kept_in, load_data, need_extra
from .options import add_dataset, add_out, add_processes, whole, whole_or_zero
from .printing import show


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Finished models and repeats are kept: the same command again goes on where it stopped. "
        "Example: bioneuro fewshot --quick --shots 1 5"
    )
    parser.add_argument(
        "protocol",
        nargs="?",
        choices=("curve", "episodes", "omniglot"),
        default="curve",
        help="curve (default): k images a class, whole test set; episodes: 5- and 20-way within held-out alphabets of "
        "Omniglot; omniglot: its official one-shot task",
    )
    add_dataset(parser, "of the curve")
    parser.add_argument("--shots", type=whole, nargs="+", metavar="K", help="images a class of the curve")
    parser.add_argument("--models", nargs="+", metavar="M", help="names of models of the curve (default: all)")
    parser.add_argument(
        "--unlabelled",
        type=whole_or_zero,
        metavar="N",
        default=2000,
        help="images without labels for features, of the curve (default 2000)",
    )
    parser.add_argument("--repeats", type=whole, metavar="N", help="of the curve (default 20, with --quick 3)")
    parser.add_argument(
        "--n-test", type=whole, metavar="N", help="test images of the curve (default all, with --quick 500)"
    )
    parser.add_argument("--episodes", type=whole, metavar="N", help="in all (default 1000, with --quick 50)")
    add_processes(parser, 1)
    add_out(parser, "fewshot-<dataset>")
    parser.add_argument("--quick", action="store_true", help="few shots, repeats, episodes and test images")


def run(options: argparse.Namespace) -> int:
    need_extra("pandas", "matplotlib", "tqdm", "joblib", scheduler=options.scheduler)

    from ..few_images import experiment

    chosen = experiment.Options(
        shots=tuple(options.shots or ((1, 5) if options.quick else experiment.Options.shots)),
        n_repeats=options.repeats or (3 if options.quick else experiment.Options.n_repeats),
        n_episodes=options.episodes or (50 if options.quick else experiment.Options.n_episodes),
        n_test=options.n_test or (500 if options.quick else None),
        n_jobs=options.n_jobs,
        scheduler=options.scheduler,
        models=None if options.models is None else tuple(options.models),
        n_unlabelled=options.unlabelled,
    )
    curve = options.protocol == "curve"
    data = load_data(options.dataset) if curve else None
    out = (
        options.out or Path("results") / f"fewshot-{options.dataset if curve else 'omniglot'}{'-quick' * options.quick}"
    )
    with data_errors(), kept_in(out):
        page, written, rows = experiment.run(options.protocol, data, options.dataset, chosen, out)
    show(options, page, written, rows)
    return 0
