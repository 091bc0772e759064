"""train bioneuro and its rivals on the same data; accuracy, few images, attacks, weights"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from .options import add_dataset, add_n_train, add_out, add_seeds, fraction, whole
from .user_errors import kept_in, load_data, need_extra


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Finished rows are kept in results.csv whatever happens; the same command again goes on where it stopped, and "
        "more --seeds add to it. A small trial: --quick --seeds 1 --n-train 100."
    )
    add_dataset(parser, "digits comes with scikit-learn; the others are read from BIONEURO_DATA or downloaded")
    add_seeds(parser, None, "5, with --quick 2")
    add_n_train(parser, "training images, drawn for each seed (default: all of digits, 20000 of the others)")
    parser.add_argument("--epsilons", type=fraction, nargs="+", metavar="E", help="Linf budgets of the attacks")
    add_out(parser, "<dataset>")
    parser.add_argument("--jobs", type=whole, metavar="N", help="processes that share the seeds (default: one a core)")
    parser.add_argument(
        "--quick", action="store_true", help="fewer seeds, images and PGD steps (in results/<dataset>-quick)"
    )


def run(options: argparse.Namespace) -> int:
    need_extra("pandas", "matplotlib", "tqdm", "joblib")

    from ..comparison import experiment, findings
    from ..comparison.models import MODELS
    from ..comparison.plan import ComparisonPlan

    start = time.perf_counter()
    data = load_data(options.dataset)
    plan = ComparisonPlan.for_dataset(
        options.dataset, len(data.X_train), n_train=options.n_train, quick=options.quick, epsilons=options.epsilons
    )
    out = options.out or Path("results") / (options.dataset + "-quick" * options.quick)
    with kept_in(out):
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
