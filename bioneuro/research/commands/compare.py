"""train bioneuro and its rivals on the same data; accuracy, few images, attacks, weights"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError
from .failures import kept_in, load_data, need_extra
from .options import add_dataset, add_n_train, add_out, add_processes, add_seeds, fraction, whole
from .printing import say, show

if TYPE_CHECKING:
    from ...datasets import Dataset
    from ..comparison.plan import ComparisonPlan


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Finished rows are kept in results.csv whatever happens; the same command again goes on where it stopped, and "
        "more --seeds add to it. Example, a small trial: bioneuro compare --quick --seeds 1 --n-train 100"
    )
    add_dataset(parser, "digits comes with scikit-learn; the others are read from BIONEURO_DATA or downloaded")
    add_seeds(parser, None, "5, with --quick 2")
    add_n_train(parser, "training images, drawn for each seed (default: all of digits, 20000 of the others)")
    parser.add_argument("--epsilons", type=fraction, nargs="+", metavar="E", help="Linf budgets of the attacks")
    add_out(parser, "<dataset>")
    add_processes(parser, None)
    parser.add_argument(
        "--quick", action="store_true", help="fewer seeds, images and PGD steps (in results/<dataset>-quick)"
    )
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="M",
        help="the grand table (more measurements, ranks) of all, or of these models (a wrong name, such as ?, lists "
        "them); more may be added",
    )
    parser.add_argument("--tuned", type=Path, metavar="LOG", help="with --models: the settings that tune found best")
    parser.add_argument(
        "--equal",
        choices=("synapses", "accuracy"),
        help="with --models: first find the number of hidden cells with which each has the network's number of "
        "synapses, or its accuracy on training images kept apart",
    )
    parser.add_argument(
        "--details",
        action="store_true",
        help="print every difference with its interval, every audit, and what all means",
    )
    parser.add_argument("--n-attacked", type=whole, metavar="N", help="images attacked, with --models (default 200)")
    other = parser.add_mutually_exclusive_group()
    other.add_argument(
        "--page", type=Path, metavar="DIR", help="only write DIR/rivals.md from DIR/data/rivals-<dataset>.csv"
    )
    other.add_argument(
        "--originals",
        action="store_true",
        help="only check --models against their published figures on MNIST, with --n-train images (default 10000)",
    )


def run(options: argparse.Namespace) -> int:
    need_extra("pandas", "matplotlib", "tqdm", "joblib", scheduler=options.scheduler)
    if options.page:
        return _page(options)
    if options.originals:
        return _originals(options)
    if options.equal and not options.models:
        raise UserError("--equal needs --models: the models that are made equal to the network")

    from ..comparison import experiment, findings
    from ..comparison.models import in_order, sides
    from ..comparison.plan import ComparisonPlan
    from ..comparison.ranks import rank_table
    from ..comparison.rivals_page import grand_text, rank_picture
    from ..comparison.tuning import chosen_settings

    start = time.perf_counter()
    data = load_data(options.dataset)
    grand = options.models is not None
    plan = ComparisonPlan.for_dataset(
        options.dataset,
        len(data.X_train),
        n_train=options.n_train,
        quick=options.quick,
        epsilons=options.epsilons,
        rivals=grand,
        n_attacked=options.n_attacked,
    )
    settings = chosen_settings(options.tuned) if options.tuned else {}
    variant = f"-equal-{options.equal}" if options.equal else ""
    out = options.out or Path("results") / ("rivals-" * grand + options.dataset + "-quick" * options.quick + variant)
    n_seeds = options.seeds or (2 if options.quick else 5)
    with kept_in(out):
        if options.equal:
            settings = _equal_sizes(options, plan, data, out, settings)
        ledger = experiment.run(plan, data, out, n_seeds, options.n_jobs, options.models, settings, options.scheduler)
    frame = in_order(ledger.frame())
    if grand:
        ranks = rank_table(frame)
        page = grand_text(frame, ranks)
        written = [rank_picture(ranks, out / "ranks.png")]
    else:
        ours, references = sides()
        tell = findings.text if options.details else findings.page
        page = tell(frame, plan, ours=ours, references=references)
        written = findings.figures(frame, plan, out, experiment.weight_samples(out))
    seconds = round(time.perf_counter() - start)
    page += f"\n\nThis run took {seconds} s. A page to open in a browser: bioneuro report {out}"
    show(options, page, [ledger.path, ledger.configuration_path, *written], frame, seconds=seconds)
    return 0


def _equal_sizes(
    options: argparse.Namespace,
    plan: ComparisonPlan,
    data: Dataset,
    out: Path,
    settings: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """The settings with the sizes that were found, which are printed."""
    from ..comparison.equal_sizes import REFERENCE, chosen_sizes, sizes
    from ..comparison.models import MODELS, chosen_models

    models = chosen_models(MODELS, [REFERENCE, *options.models], plan, settings)
    ledger, found = sizes(options.equal, models, plan, data, out, settings)
    say(options, f"{found.to_string(index=False)}\n\nWritten: {ledger.path}\n")
    chosen = chosen_sizes(found, models)
    return {name: {**settings.get(name, {}), **chosen.get(name, {})} for name in {*settings, *chosen}}


def _page(options: argparse.Namespace) -> int:
    from ..comparison.rivals_page import write_page

    show(options, "", write_page(options.page))
    return 0


def _originals(options: argparse.Namespace) -> int:
    import pandas as pd

    from ..comparison.originals import ORIGINALS, measured
    from ..records.environment import environment
    from ..records.ledger import Ledger

    names = options.models or list(ORIGINALS)
    if unknown := [name for name in names if name not in ORIGINALS]:
        raise UserError(f"no published figure of {unknown[0]!r} is known: choose from {', '.join(ORIGINALS)}")
    data, out, n = load_data("mnist"), options.out or Path("results") / "originals", options.n_train or 10_000
    with kept_in(out):
        ledger = Ledger(out / "originals.csv", {"originals": "mnist"}, environment())
        units = [(name, n, seed) for name in names for seed in range(options.seeds or 1)]
        rows = ledger.complete(lambda name, n, seed: pd.DataFrame([measured(name, data, n, seed)]), units)
    show(options, rows.to_string(index=False), [ledger.path], rows)
    return 0
