"""time the default network and its kernels on this machine"""

from __future__ import annotations

import argparse

from .failures import load_data, need_extra
from .options import add_dataset, add_n_train, whole
from .printing import show


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Other work on the machine makes times longer. Benchmarks of the kernels against other libraries come with the "
        "sources: make bench. Example: bioneuro bench --n-train 200"
    )
    add_dataset(parser)
    add_n_train(parser, "images that the network learns from (default 500)")
    parser.add_argument(
        "--repeats", type=whole, metavar="N", default=5, help="calls, of which the best counts (default 5)"
    )


def run(options: argparse.Namespace) -> int:
    need_extra("pandas")

    from .. import speed
    from ..records.environment import environment

    rows = speed.measured(load_data(options.dataset), options.n_train or 500, options.repeats)
    built = environment()
    n_threads = int(built["n_threads"])
    head = f"{options.dataset}, at most {n_threads} thread{'s' * (n_threads > 1)}, {built['simd']}"
    show(
        options,
        f"{head}; best of {options.repeats} calls, of fit the only one\n\n{speed.text(rows)}",
        rows=rows,
        **built,
    )
    return 0
