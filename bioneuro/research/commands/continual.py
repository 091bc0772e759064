"""learn one task after another, one pass: accuracy and forgetting beside rivals on the same features"""

from __future__ import annotations

import argparse
from pathlib import Path

from ...datasets import USUAL
from ..errors import UserError
from .failures import kept_in, load_data, need_extra
from .options import add_dataset, add_n_train, add_out, add_processes, add_seeds, whole
from .printing import show


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Finished models are kept: the same command again goes on where it stopped, and more --seeds add to it. "
        "Example: bioneuro continual --seeds 1 --n-train 200 --cells 50"
    )
    add_dataset(parser)
    parser.add_argument(
        "--stream",
        default="class",
        metavar="S",
        help="class (default), task, permuted, rotated, drifting, blurred or imbalanced",
    )
    add_seeds(parser, 3, "3")
    add_n_train(parser, "training images, drawn for each seed (default all)")
    parser.add_argument(
        "--cells", type=whole, metavar="N", help="budget of cells (default 300 on digits, 2000 on the others)"
    )
    parser.add_argument(
        "--map-from", choices=("first", "all"), default="first", help="images the map learns from, without labels"
    )
    add_processes(parser, 1)
    add_out(parser, "continual-<dataset>")


def run(options: argparse.Namespace) -> int:
    need_extra("pandas", "matplotlib", "tqdm", "joblib", scheduler=options.scheduler)

    from ... import plot
    from .. import task_streams
    from ..records.pictures import draw_into

    if options.stream not in task_streams.STREAMS:
        raise UserError(f"unknown stream {options.stream!r}: choose from {', '.join(task_streams.STREAMS)}")
    data = load_data(options.dataset)
    cells = options.cells or USUAL[options.dataset].n_cells
    plan = task_streams.StreamPlan(options.stream, options.n_train, cells, options.map_from)
    out = options.out or Path("results") / f"continual-{options.dataset}"
    with kept_in(out):
        frame = task_streams.run(
            plan, options.dataset, data, options.seeds, out, n_jobs=options.n_jobs, scheduler=options.scheduler
        )
    streamed = frame[frame["model"].isin(task_streams.LEARNERS)]
    stem = out / options.stream
    picture = draw_into(stem.with_suffix(".png"), lambda ax: plot.continual_curve(streamed, ax))
    show(options, task_streams.text(frame, plan, options.dataset), [stem.with_suffix(".csv"), picture], frame)
    return 0
