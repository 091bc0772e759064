"""search the settings of rivals, all with the same budget, on validation images"""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import UserError
from .failures import kept_in, load_data, need_extra
from .options import add_dataset, add_n_train, add_out, positive, whole
from .printing import say, show


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Every model has the same number of trials and the same seconds; nothing sees a test image. The log of a model "
        "is kept when its search ends, and a model that has one is not searched again. bioneuro compare --models ... "
        "--tuned LOG takes the best settings of each. Example: bioneuro tune MLP --trials 4 --n-train 200"
    )
    parser.add_argument("models", nargs="+", metavar="MODEL", help="all, or names (a wrong one, such as ?, lists them)")
    add_dataset(parser)
    add_n_train(parser, "training images of each trial (default 600)")
    parser.add_argument(
        "--n-validation", type=whole, metavar="N", default=300, help="images to choose by (default 300)"
    )
    parser.add_argument("--trials", type=whole, metavar="N", default=12, help="settings tried (default 12)")
    parser.add_argument(
        "--seconds",
        type=positive,
        metavar="S",
        default=120.0,
        help="of processor time; no trial of a model begins later (default 120)",
    )
    add_out(parser, "tuning")


def run(options: argparse.Namespace) -> int:
    need_extra("pandas", "tqdm", "joblib", "optuna")

    from ..comparison import tuning
    from ..comparison.models import MODELS, chosen_models
    from ..comparison.plan import ComparisonPlan
    from ..records.environment import environment
    from ..records.ledger import Ledger

    plan = tuning.TuningPlan(
        options.dataset, options.n_train or 600, options.n_validation, options.trials, options.seconds
    )
    data = load_data(options.dataset)
    compared = ComparisonPlan.for_dataset(
        options.dataset, len(data.X_train), n_train=plan.n_train, quick=False, epsilons=None, rivals=True
    )
    models = chosen_models(MODELS, options.models, compared, {})
    network = {model.make: name for name, model in reversed(models.items())}
    tuned = {}
    for name, model in models.items():
        if network[model.make] != name:
            say(options, f"{name}: the network of {network[model.make]}, whose settings it takes")
        elif tuning.space_of(model.make(plan.seed)):
            tuned[name] = model
        else:
            say(options, f"{name}: nothing to tune")
    if not tuned:
        raise UserError("none of these models has anything to tune")
    out = options.out or Path("results") / "tuning"
    with kept_in(out):
        ledger = Ledger(out / f"tuning-{options.dataset}.csv", tuning.configuration(plan), environment())
        for name, model in tuned.items():
            rows = ledger.complete(
                lambda name, make=model.make: tuning.search(name, make, plan, data), [(name,)], description=name
            )
            best = tuning.best_trial(rows)
            if best is None:
                say(options, f"{name}: every trial failed ({len(rows)} trials)")
                continue
            say(
                options,
                f"{name}: {100 * rows['accuracy'].iloc[0]:.1f} % by default, {100 * best['accuracy']:.1f} % with "
                f"{best['parameters']} ({len(rows)} trials, {rows['seconds'].sum():.0f} s)",
            )
    show(options, "", [ledger.path], ledger.frame())
    return 0
