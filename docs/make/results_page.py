"""Tables of README.md and docs/results.md, from the ledgers in docs/data: `make results-page`.

    python -m docs.make.results_page                 writes every table anew
    python -m docs.make.results_page --take FOLDER   takes the ledgers FOLDER/<data set>/ONE in before
    python -m docs.make.results_page --check         writes nothing; fails where a table is not that of the data

A table stands between ``<!-- table NAME: begin -->`` and ``<!-- table NAME: end -->``; what is between them is
written by this command only.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from bioneuro.analysis import MeanInterval, mean_interval
from bioneuro.research.claims.experiment import frame_of
from bioneuro.research.claims.one_network import NETWORK, Target, goals_of
from bioneuro.research.claims.rows import values_of
from bioneuro.research.differences import MIN_SEEDS
from bioneuro.research.records.ledger import KeptResults, kept_results
from bioneuro.research.records.text_table import markdown

ROOT = Path(__file__).parents[2]
DATA = ROOT / "docs" / "data"
PAGES = (ROOT / "README.md", ROOT / "docs" / "results.md")
#: Data sets that have a column, in their order.
COLUMNS = {"digits": "digits", "mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}
LEDGER = ("results.csv", "configuration.json")

#: Rows of the short table: name, measure, what it was taken at, factor, decimals.
HEADLINES = (
    ("clean accuracy, delta readout, %", "accuracy", None, 100, 1),
    ("clean accuracy, votes of the cells, %", "accuracy votes", None, 100, 1),
    ("the same from 10 images a class (delta), %", "accuracy, few images", 10, 100, 1),
    ("standing under attack at Linf .1, of 100 images (delta), %", "robust accuracy", 0.1, 100, 0),
    ("synapses of the association that are there, %", "density of association", None, 100, 1),
    ("lead of the lognormal over the next law, log-likelihood a weight", "log-likelihood ratio", None, 1, 3),
    ("standard deviation of log w (cortex: about .94)", "fitted sigma", None, 1, 2),
    ("skewness of log w", "skewness of log w", None, 1, 2),
    ("Kolmogorov-Smirnov distance to the lognormal", "KS distance", None, 1, 3),
    ("Dale index of the smallest cell (1: all its synapses have one sign)", "smallest Dale index", None, 1, 2),
)


def ledgers(claim: str) -> dict[str, KeptResults]:
    """What is kept of a claim, its rows tidy, by data set, of those that are there."""
    found = {}
    for name in COLUMNS:
        folder = DATA / name / claim
        if (folder / "results.csv").exists():
            kept = kept_results(folder)
            found[name] = kept._replace(frame=frame_of(kept.frame, n_seeds=1 + kept.frame["seed"].max()))
    return found


def titles(found: dict[str, KeptResults], *, images: bool = True) -> list[str]:
    """Heads of the columns: data set, training images, seeds."""
    heads = []
    for name, kept in found.items():
        n_train, n_seeds = kept.configuration["settings"]["n_train"], kept.frame["seed"].nunique()
        size = f": {n_train:,} images" if images else ""
        heads.append(f"{COLUMNS[name]}{size}, {n_seeds} seed{'s' * (n_seeds > 1)}")
    return heads


def headline_table() -> str:
    """What the default network reaches: mean and half-width of the 95 % interval."""
    found = ledgers("ONE")
    rows = []
    for title, measure, x, factor, decimals in HEADLINES:
        cells = [title]
        for kept in found.values():
            values = factor * values_of(kept.frame, NETWORK, measure, x)
            cells.append(plus_minus(values, decimals) if values.size else "")
        rows.append(cells)
    return markdown(["", *titles(found)], rows)


def plus_minus(values: np.ndarray, decimals: int) -> str:
    """Mean and half-width of the interval."""
    form = f"z.{decimals}f"
    return in_cell(values, form, lambda found: f"{found.mean:{form}} ± {found.half_width:.{decimals}f}")


def in_cell(values: np.ndarray, form: str, described: Callable[[MeanInterval], str]) -> str:
    """The interval of the values, as `described`; of fewer than three seeds, for which it says nothing, each value."""
    if np.ptp(values) == 0:
        return f"{values[0]:{form}}"
    if values.size < MIN_SEEDS:
        return ", ".join(f"{value:{form}}" for value in values)
    return described(mean_interval(values))


def goals_table() -> str:
    """One network against its goals: a row for each goal, a column for each data set."""
    found = ledgers("ONE")
    frames = {name: kept.frame for name, kept in found.items()}
    goals = {name: {(goal.claim, goal.name): goal for goal in goals_of(frame)} for name, frame in frames.items()}
    keys = dict.fromkeys(key for own in goals.values() for key in own)
    rows = []
    for key in sorted(keys, key=lambda key: (key[0] == "all", key[0])):  # stable: by claim, those of all last
        wanted = {written(own[key].wanted.removeprefix("goal ")) for own in goals.values() if key in own}
        cells = [key[0], key[1], wanted.pop() if len(wanted) == 1 else ""]
        for name, frame in frames.items():
            cells.append(verdict(frame, goals[name].get(key), shown=not cells[2]) or measured(frame, key, goals))
        rows.append(cells)
    met = ["", "**goals met**", ""]
    for name, frame in frames.items():
        reached = [goal.met_by(values_of(frame, NETWORK, goal.measure, goal.x).mean()) for goal in goals[name].values()]
        met.append(f"**{sum(reached)} of {len(reached)}**")
    return markdown(["claim", "measure", "goal", *titles(found)], [*rows, met])


def verdict(frame: pd.DataFrame, goal: Target | None, shown: bool) -> str:
    """Mean, interval and whether that is the goal, which is ``shown`` where data sets differ in it."""
    if goal is None:
        return ""
    values = values_of(frame, NETWORK, goal.measure, goal.x)
    own = f" ({written(goal.wanted)})" if shown else ""
    return f"{reached(values, frame['seed'].nunique())}{own} {'met' if goal.met_by(values.mean()) else '**MISSED**'}"


def written(goal: str) -> str:
    """A goal that no line break divides."""
    return goal.replace("<=", "≤").replace(">=", "≥").replace(" ", "\N{NO-BREAK SPACE}")


def measured(frame: pd.DataFrame, key: tuple[str, str], goals: dict) -> str:
    """The value of a measure that has a goal for other data sets only."""
    goal = next(own[key] for own in goals.values() if key in own)
    values = values_of(frame, NETWORK, goal.measure, goal.x)
    return f"{reached(values, frame['seed'].nunique())}, no goal" if values.size else "not measured"


def reached(values: np.ndarray, n_seeds: int) -> str:
    """Mean and interval. Says so where it was not measured for every seed."""
    of = "" if values.size == n_seeds else f", {values.size} of {n_seeds} seeds"
    return in_cell(values, ".3g", lambda found: f"{found.mean:.3g} [{found.low:.3g}, {found.high:.3g}]") + of


def by_setting(measures: dict[str, str], first: str) -> str:
    """Shares of images by what was varied: a row for each value of it and each of `measures`, by its title."""
    found, rows = ledgers("ONE"), []
    for title, measure in measures.items():
        frames = [kept.frame[kept.frame["measure"] == measure] for kept in found.values()]
        for x in sorted({x for frame in frames for x in frame["x"].dropna()}):
            values = [100 * values_of(frame, NETWORK, measure, x) for frame in frames]
            rows.append([title.format(x), *(plus_minus(value, 1) if value.size else "-" for value in values)])
    return markdown([first, *titles(found, images=False)], rows)


def attacks_table() -> str:
    return by_setting({"Linf {:g}": "robust accuracy", "L2 {:g}": "robust accuracy, L2"}, "budget of the attack")


def few_images_table() -> str:
    return by_setting({"{:g}": "accuracy, few images"}, "images a class")


def learning_table() -> str:
    """What learning adds to cells that keep the sample that they were recruited by."""
    found, rows = ledgers("ONE"), []
    frames = [kept.frame for kept in found.values()]
    for readout in ("delta", "votes"):
        measure, gain = f"accuracy {readout}", f"points gained by learning beyond recruitment, {readout}"
        for x in sorted({x for frame in frames for x in frame["x"][frame["measure"] == gain]}):
            cells = [readout, f"{x:,.0f}"]
            for frame in frames:
                gained = values_of(frame, NETWORK, gain, x)
                if not gained.size:
                    cells.append("-")
                    continue
                learned, stored = (100 * values_of(frame, kind, measure, x).mean() for kind in ("learned", "recruited"))
                cells.append(f"{plus_minus(gained, 1)} ({learned:.1f} against {stored:.1f})")
            rows.append(cells)
    return markdown(["readout", "cells", *titles(found, images=False)], rows)


#: Every table by the name that its marks have.
TABLES: dict[str, Callable[[], str]] = {
    "headline": headline_table,
    "one": goals_table,
    "attacks": attacks_table,
    "few": few_images_table,
    "learning": learning_table,
}


def rendered(text: str) -> str:
    """A page with its tables made anew."""
    for name in re.findall(r"<!-- table (\w+): begin -->", text):
        begin, end = (f"<!-- table {name}: {side} -->" for side in ("begin", "end"))
        before, rest = text.split(begin)
        text = f"{before}{begin}\n{TABLES[name]()}\n{end}{rest.split(end)[1]}"
    return text


def take(folder: Path) -> list[Path]:
    """Copy the ledgers of claim ONE that are in ``folder/<data set>/ONE`` into docs/data."""
    taken = []
    for name in COLUMNS:
        source, target = folder / name / "ONE", DATA / name / "ONE"
        if all((source / file).exists() for file in LEDGER):
            target.mkdir(parents=True, exist_ok=True)
            for file in LEDGER:
                shutil.copyfile(source / file, target / file)
            taken.append(target)
    return taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--take", type=Path, metavar="FOLDER", help="folder of the ledgers, FOLDER/<data set>/ONE")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a table is not up to date")
    args = parser.parse_args()
    if args.take is not None:
        taken = take(args.take)
        print(*(f"taken in: {path.relative_to(ROOT)}" for path in taken), sep="\n")
        if not taken:
            parser.error(f"no ledgers in {args.take}/<data set>/ONE, with data set one of {', '.join(COLUMNS)}")
    stale = False
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        anew = rendered(text)
        if anew != text:
            stale = True
            print(f"{page.relative_to(ROOT)}: {'not up to date' if args.check else 'written'}")
            if not args.check:
                page.write_text(anew, encoding="utf-8")
    return int(args.check and stale)


if __name__ == "__main__":
    sys.exit(main())
