"""`docs/rivals.md`: what the committed rows of the grand table say, written by the command that made them."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

from ... import plot
from ...atomic_write import write_atomically
from ..audit_verdicts import audit_lines, audit_warnings, warned
from ..errors import UserError
from ..records.ledger import kept_rows
from ..records.pictures import blank_figure, save_picture
from ..records.text_table import markdown
from .equal_sizes import REFERENCE, size_lines
from .models import MODELS, in_order
from .originals import original_lines
from .ranks import CRITERIA, beyond_doubt, overall, rank_table, scores, value_table
from .tuning import tuning_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["better_than", "doubt_of", "grand_text", "rank_figure", "rank_picture", "write_page"]

INTRODUCTION = """# Rivals

Every rival of the library beside the network, on the same images, behind the same preprocessing (pixels in [0, 1],
nothing else). Settings are the defaults of each, or those that `python -m bioneuro tune` found with one budget for all,
where rows were made with `--tuned`; the notes of the rows of `train_seconds` name every one. This page is made from
`docs/data/` by

```
python -m bioneuro compare --page docs
```

and the rows there by `python -m bioneuro compare --models ... --quick --out DIR` (`DIR/results.csv`). `--quick`,
because more would take days: 50 (digits) or 100 images attacked, PGD with 5 steps, Square with 100 queries, few images
at 5 a class. Equations and sources are in `bioneuro/baselines/`.

## What the columns are

- clean: test accuracy, %. few images: the same from 5 images a class. stream: the classes
  come in five parts, one after another, each image once; mean accuracy on all of them at the end, %.
- robust Linf, L2: accuracy under the worst of PGD on cross-entropy and margin (in the space of the contrast response,
  and through the surrogates, where a model has them) and the black-box Square attack, %, mean over the budgets. "≤":
  the audit of the attack warns, or the model has no gradient and only the black-box attack was run; a better attack
  may find less.
- density: synapses that are not 0, of those that could be, onto the hidden or association cells, %; of the CNN onto
  its dense hidden layer; onto the outputs of class means, streaming LDA and least squares, which are linear; onto the
  stored samples of nearest neighbour and exemplars, each a cell whose weights are the sample (so it says how much of
  an image is not black). Dale: index of the cell of the network that keeps least to one sign (1: every cell makes
  synapses of one sign only, as stored samples do, since pixels are not negative).
- operations: multiply-adds of stored synapses for one image, thousands. bytes: of the weights, each read once for an
  image, with the index of a sparse one, thousands. The two stand for energy; they are counted, not measured, and know
  nothing of rates that are 0.
- training: wall time of `fit`, s, on a machine that did other things too. memory: the fitted model, pickled, MB.
- laws of weights: what fits the excitatory weights onto those cells best, by AIC, and how many seeds say so.
- "-": stream: the model has no `partial_fit`, which learns on; density, Dale and law: the row is older than their
  measurement of that model.

Intervals are 95 %, Student, over seeds. In the pictures models are in the order of their mean rank; a rank's
range counts the models that are better, and those that are worse, by a paired difference over seeds that excludes 0 (95
%, not corrected for the number of pairs).
"""


def grand_text(frame: pd.DataFrame, ranks: pd.DataFrame) -> str:
    """Values of all models, the best overall first; then the audit of each attack."""
    table = value_table(frame, overall(ranks))
    return f"{table.to_string()}\n\nAudits:\n" + "\n".join(audit_lines(frame))


def rank_picture(ranks: pd.DataFrame, path: Path) -> Path:
    """The heat map of a :func:`.ranks.rank_table`, as a picture."""
    return save_picture(rank_figure(ranks), path)


def rank_figure(ranks: pd.DataFrame) -> Figure:
    """The heat map of a :func:`.ranks.rank_table`, the best overall on top."""
    figure = blank_figure(1.8 + 0.75 * ranks["criterion"].nunique(), 1.2 + 0.3 * ranks["model"].nunique())
    plot.rank_map(ranks, figure.subplots())
    return figure


SUMMARY = """## How many are better than the network

Models that are better than `bioneuro` beyond doubt, of how many; sections below name them. Of the robust columns, "≤"
there marks figures that a better attack may lower.
"""
#: What is to be known of a table, by its name: why models are missing, and whose settings are others.
NOTES = {
    "digits-tuned": "Five models were run later, on another machine (AVX2 in place of AVX-512).",
    "mnist-tuned": "The CNN that is trained adversarially has its defaults, and so have exponentiated gradients: with "
    "the best settings of the search their weights grew beyond all bounds in one of the trainings of seed 0.",
    "fashion-mnist-tuned": "The CNN that is trained adversarially was not searched and has its defaults. Everything "
    "was trained beside other work: seconds of training cannot be compared here.",
}

#: What rows of ``rivals-<dataset>-<variant>.csv`` were made with, by variant.
VARIANTS = {
    "tuned": "tuned settings",
    "equal-synapses": "as many synapses as the network",
    "equal-accuracy": "each at its size nearest to the network's accuracy",
}


def write_page(folder: Path) -> list[Path]:
    """Write ``rivals.md`` and its pictures into ``folder`` from the tables in ``folder/data``.

    These are ``rivals-<dataset>[-<variant>].csv`` (:data:`VARIANTS`) and, where they are there, the sizes that variants
    were made with (``sizes-<dataset>-<variant>.csv``), logs of `tune` (``tuning-<dataset>.csv``) and ``originals.csv``.

    Raises
    ------
    UserError
        There are no rows, or files that are none of :func:`bioneuro.research.records.ledger.kept_rows`.
    """
    sources = sorted((folder / "data").glob("rivals-*.csv"), key=lambda path: path.stem)
    if not sources:
        raise UserError(f"{folder / 'data'} has no rivals-<dataset>.csv: run compare --models all first")
    sections, written, counts = [], [], {}
    for source in sources:
        frame = in_order(kept_rows(source))
        name = source.stem.removeprefix("rivals-")
        picture = folder / f"rivals_{name}.png"
        ranks, better = rank_table(frame), better_than(frame)
        written.append(rank_picture(ranks, picture))
        sections.append(_section(name, frame, ranks, better, picture.name))
        if "-equal-" not in name:
            counts[f"{_title(name)}{_seeds(frame)}"] = better.set_index("criterion")["n"]
    blocks = [INTRODUCTION, _summary(counts), *sections]
    blocks += [
        f"## Sizes: {_title(path.stem.removeprefix('sizes-'))}\n\n{size_lines(path)}"
        for path in sorted((folder / "data").glob("sizes-*.csv"))
    ]
    blocks += [tuning_lines(log) for log in sorted((folder / "data").glob("tuning-*.csv"))]
    blocks.append(original_lines(folder / "data" / "originals.csv"))
    page = folder / "rivals.md"
    write_atomically(page, "\n".join(block.strip() + "\n" for block in blocks if block))
    return [page, *written]


def _summary(counts: Mapping[str, pd.Series]) -> str:
    """How many models are better than ours, by criterion and table."""
    rows = [
        [criterion.label, *(str(found.get(criterion.label, "-")) for found in counts.values())]
        for criterion in CRITERIA
        if any(criterion.label in found for found in counts.values())
    ]
    return f"{SUMMARY}\n{markdown(['', *counts], rows)}"


def _section(name: str, frame: pd.DataFrame, ranks: pd.DataFrame, better: pd.DataFrame, picture: str) -> str:
    table = value_table(frame, overall(ranks))
    n_train = int(frame.loc[frame["metric"] == "train_seconds", "setting"].iloc[0])
    rows = [[model, *cells, _law(frame, model)] for model, *cells in table.itertuples(name=None)]
    blocks = [
        f"## {_title(name)}: {n_train:,} training images{_seeds(frame)}",
        f"![Ranks of all models under all criteria]({picture})",
        f"Budgets of attacks: Linf {_budgets(frame, 'robust_accuracy')}; L2 {_budgets(frame, 'robust_accuracy_l2')}.",
        *([] if "-equal-" in name else _remarks(name, frame)),
        f"Better than `{REFERENCE}`, {doubt_of(frame)}:",
        markdown(["criterion", "how many", "models"], better.to_numpy().tolist()),
        "All figures:",
        markdown(["", *table.columns, "law of weights"], rows),
        *_audits(frame),
    ]
    return "\n\n".join(blocks)


def _seeds(frame: pd.DataFrame) -> str:
    n = frame["seed"].nunique()
    return f", {n} seed{'s' * (n > 1)}"


def _remarks(name: str, frame: pd.DataFrame) -> Iterator[str]:
    """Models with fewer seeds than others, those that are not there at all, and what else is to be known."""
    seeds = frame.groupby("model", sort=False)["seed"].nunique()
    few = [f"{model} ({n})" for model, n in seeds.items() if n < seeds.max()]
    if few:
        yield _wrapped(f"Fewer seeds, so that little of it is beyond doubt: {'; '.join(few)}.")
    missing = [model for model in MODELS if model not in seeds]
    absent = f"Not measured here: {'; '.join(missing)}. " if missing else ""
    if note := absent + NOTES.get(name, ""):
        yield _wrapped(note.rstrip())


def _audits(frame: pd.DataFrame) -> Iterator[str]:
    """Of the first seed: those that pass in one paragraph, the warnings of the others in a table."""
    said = audit_warnings(frame)
    passing = [model for model, findings in said.items() if not findings]
    if passing:
        yield _wrapped(f"The audit of the attack (first seed) passes all its checks of: {'; '.join(passing)}.")
    if warnings := [[model, findings] for model, findings in said.items() if findings]:
        yield "It warns of:"
        yield markdown(["", "what it found"], warnings)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def _title(name: str) -> str:
    for variant, said in VARIANTS.items():
        if name.endswith(f"-{variant}"):
            return f"{name.removesuffix(f'-{variant}')}, {said}"
    return name


def _budgets(frame: pd.DataFrame, metric: str) -> str:
    settings = frame.loc[frame["metric"] == metric, "setting"].unique()
    return ", ".join(setting for setting in settings if setting != "0") or "none"


def _law(frame: pd.DataFrame, model: str) -> str:
    rows = frame[
        (frame["model"] == model) & (frame["metric"] == "aic_behind_best") & frame["setting"].str.endswith(" E")
    ]
    counts = rows["note"].value_counts()
    return ", ".join(f"{law} {n}" for law, n in counts.items()) or "-"


def better_than(frame: pd.DataFrame, ours: str = REFERENCE) -> pd.DataFrame:
    """Who is better than our network, criterion by criterion; robustness that is doubted says so.

    Better is what is beyond doubt, or with one seed what has the better figure. Where that is most of the models, those
    that are not are named instead.

    Returns
    -------
    DataFrame
        Columns criterion, n (better ones, of how many), models; no row for a criterion that our network has no value
        of.
    """
    import pandas as pd

    rows, doubted, one_seed = [], warned(frame), frame["seed"].nunique() == 1
    for criterion in CRITERIA:
        values = scores(frame, criterion) * (1 if criterion.higher else -1)
        if ours not in values:
            continue
        rivals = [model for model in values if model != ours]
        better = [
            model
            for model in rivals
            if (values[model].mean() > values[ours].mean() if one_seed else beyond_doubt(values[model], values[ours]))
        ]
        bounds = doubted if criterion.metric.startswith("robust") else set()
        named = [model + " (≤)" * (model in bounds) for model in better]
        others = [model for model in rivals if model not in better]
        if not better:
            said = "none"
        elif len(others) < len(better) and not bounds.intersection(better):
            said = f"all but {'; '.join(others)}" if others else "all"
        else:
            said = "; ".join(named)
        rows.append((criterion.label, f"{len(better)} of {len(rivals)}", said))
    return pd.DataFrame(rows, columns=["criterion", "n", "models"])


def doubt_of(frame: pd.DataFrame) -> str:
    """By what the models of :func:`better_than` are better."""
    if frame["seed"].nunique() == 1:
        return "by the figures of one seed, which leaves every one in doubt"
    return "beyond doubt (paired over seeds, 95 %)"
