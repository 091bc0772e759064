"""test the claims about the network: effect, interval over seeds and verdict of each, with its controls"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import UserError
from .failures import kept_in, load_data, need_extra
from .options import add_dataset, add_n_train, add_out, add_processes, add_seeds
from .printing import show


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "A claim that fails is printed as failed; the exit code says only whether all of them ran. Finished seeds are "
        "kept: the same command again goes on where it stopped. Example: bioneuro claims C1 C2 --dataset digits"
    )
    parser.add_argument("claims", nargs="*", metavar="C", help="numbers of claims, such as C1 C2 (default: all)")
    add_dataset(parser)
    add_seeds(parser, None, "3, with --full 5")
    add_n_train(parser, "training images instead of those of the settings")
    parser.add_argument("--full", action="store_true", help="full settings (minutes to hours) instead of small ones")
    rules = ("log-covariance", "log-relaxation")
    parser.add_argument("--rule", choices=rules, help="rule of the association (not in C3 and C8; default the first)")
    add_processes(parser, 1)
    add_out(parser, "claims-<dataset>")


def run(options: argparse.Namespace) -> int:
    need_extra("pandas", "matplotlib", "tqdm", "joblib", scheduler=options.scheduler)

    from ..claims import CLAIMS, experiment, findings

    numbers = dict.fromkeys(number.upper() for number in options.claims) or CLAIMS
    if unknown := [number for number in numbers if number not in CLAIMS]:
        raise UserError(f"unknown claim {unknown[0]!r}: choose from {', '.join(CLAIMS)}")
    chosen = [CLAIMS[number] for number in numbers]
    data = load_data(options.dataset)
    out = options.out or Path("results") / f"claims-{options.dataset}{'-full' * options.full}"
    if options.rule and not options.out:
        out = out.with_name(f"{out.name}-{options.rule}")
    n_seeds = options.seeds or (5 if options.full else 3)
    with kept_in(out):
        frames = experiment.run(
            chosen,
            options.dataset,
            data,
            out,
            n_seeds,
            full=options.full,
            n_train=options.n_train,
            rule=options.rule,
            n_jobs=options.n_jobs,
            scheduler=options.scheduler,
        )
    verdicts = {claim.number: claim.verdict(frames[claim.number]) for claim in chosen}
    page = findings.text(chosen, verdicts, options.dataset, n_seeds, options.full)
    written = [findings.write_csv(frames, out / "claims.csv"), *findings.figures(chosen, frames, out)]
    show(options, page, written, findings.all_rows(frames), verdicts=findings.verdict_rows(verdicts))
    return 0
