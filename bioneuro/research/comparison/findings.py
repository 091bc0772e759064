"""Report on a ledger of `compare`: one table, what is better and what is worse, and the figures.

Everything here is computed from the rows of the ledger (and, for one figure, the weights kept beside it).
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ... import analysis, plot
from ..audit_verdicts import audit_lines, audited, bounded, warned
from ..differences import ALPHA, MIN_SEEDS, Difference
from ..records.pictures import blank_figure, save_picture
from ..records.text_table import grid

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from .plan import ComparisonPlan

__all__ = [
    "attacked",
    "curve",
    "differences",
    "draw_curve",
    "figures",
    "heading",
    "notes",
    "page",
    "table",
    "table_rows",
    "text",
    "verdict_sentence",
]

WIDTH = 110


# --- cells ---


def _mean(values: NDArray, scale: float, digits: int) -> str:
    """Mean and half-width of its interval; the mean alone for one seed."""
    values = values[np.isfinite(values)]
    if not values.size:
        return "-"
    interval = analysis.mean_interval(scale * values)
    half = f" ± {interval.half_width:.{digits}f}" if interval.n > 1 else ""
    return f"{interval.mean:.{digits}f}{half}"


def _numbers(scale: float = 1, digits: int = 2) -> Callable[[pd.DataFrame], str]:
    return lambda rows: _mean(rows["value"].to_numpy(), scale, digits)


def _votes(rows: pd.DataFrame) -> str:
    """The notes, the commonest first; counted unless all seeds agree."""
    counts = Counter(rows["note"]).most_common()
    return counts[0][0] if len(counts) == 1 else ", ".join(f"{note} {count}" for note, count in counts)


def _same(setting: str) -> str:
    return ""


def _sign(setting: str) -> str:
    return setting.split()[-1]


@dataclass(frozen=True)
class Line:
    """Lines of the table for one metric: one for each `key` of its settings, with that put into `label`."""

    metric: str
    label: str
    cell: Callable[[pd.DataFrame], str]
    key: Callable[[str], str] = str
    skip: tuple[str, ...] = ()
    compared: bool = False

    def parts(self, frame: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
        """Label and rows of each line."""
        rows = frame[(frame["metric"] == self.metric) & ~frame["setting"].isin(self.skip)]
        for key, part in rows.groupby(rows["setting"].map(self.key), sort=False):
            yield self.label.format(key), part


PERCENT = _numbers(100, 1)
LINES = (
    Line("accuracy", "clean accuracy, %", PERCENT, compared=True),
    Line("low_data_accuracy", "k = {} images a class, %", PERCENT, compared=True),
    Line("robust_accuracy", "PGD ε = {}, %", PERCENT, skip=("0",), compared=True),
    Line("density", "density, %", PERCENT, key=_same),
    Line("lognormal_sigma", "lognormal σ, {} weights", _numbers(), key=_sign),
    Line("aic_behind_best", "best law, {} weights", _votes, key=_sign),
    Line("dale_index", "Dale index, {}", _numbers()),
    Line("train_seconds", "training, s", _numbers(digits=1), key=_same),
)


# --- tables ---


def table(frame: pd.DataFrame) -> str:
    """Every metric of every model: mean and 95 % interval over seeds."""
    return grid(table_rows(frame), n_head=2)


def table_rows(frame: pd.DataFrame) -> list[list[str]]:
    """Rows of the table, each a label and a cell for every model; the first two name models and readouts."""
    frame = audited(frame)
    models = list(frame["model"].unique())
    readouts = [frame.loc[frame["model"] == model, "readout"].iloc[0] for model in models]
    rows = [["", *models], ["readout", *readouts]]
    for line in LINES:
        for label, part in line.parts(frame):
            cells = {model: line.cell(rows_of_model) for model, rows_of_model in part.groupby("model")}
            if line.metric == "robust_accuracy":
                cells |= {model: f"≤ {cells[model]}" for model in cells.keys() & warned(frame)}
            rows.append([label, *(cells.get(model, "-") for model in models)])
    return rows


def differences(frame: pd.DataFrame, ours: Sequence[str], reference: str) -> list[Difference]:
    """Paired differences to the reference over the seeds that both have, Holm-adjusted over all of them."""
    found, suspect = [], []
    for line in LINES:
        if not line.compared:
            continue
        for label, part in line.parts(audited(frame)):
            values = part.pivot(index="seed", columns="model", values="value")
            for model in ours:
                if {model, reference} <= set(values.columns):
                    a, b = 100 * values[[model, reference]].dropna().to_numpy().T
                    if a.size:
                        found.append((model, label.removesuffix(", %"), analysis.paired_difference(a, b)))
                        suspect.append(line.metric == "robust_accuracy" and model in warned(frame))
    p_values = np.array([difference.p_value for *_, difference in found])
    one_seed = np.isnan(p_values).all()  # no p-values to adjust
    adjusted = np.full(len(found), np.nan) if one_seed else analysis.holm(p_values)
    return [Difference(*parts, p, doubt) for parts, p, doubt in zip(found, adjusted, suspect, strict=True)]


def _difference_table(found: Sequence[Difference], ours: Sequence[str]) -> str:
    labels = list(dict.fromkeys(difference.label for difference in found))
    cells = {(difference.label, difference.model): str(difference) for difference in found}
    return grid([["", *ours], *([label, *(cells.get((label, model), "-") for model in ours)] for label in labels)])


def verdict_sentence(found: Sequence[Difference], model: str, reference: str) -> str:
    """A sentence on where a model is worse than the reference, even if nowhere."""

    def where(verdict: str) -> str:
        return ", ".join(d.label for d in found if (d.model, d.verdict) == (model, verdict)) or "nothing"

    return (
        f"{model} is WORSE than {reference} at: {where('WORSE')}. Better at: {where('better')}. "
        f"Unclear: {where('unclear')}. Larger, but the audit of the attack warns: {where('suspect')}."
    )


def page(frame: pd.DataFrame, plan: ComparisonPlan, *, ours: Sequence[str], references: Sequence[str]) -> str:
    """The report on one page: the table, and a sentence for each of ours against each reference."""
    lines = [
        _short_verdict(differences(frame, ours, reference), model, reference)
        for reference in references
        for model in ours
    ]
    if doubted := [model for model in dict.fromkeys(frame["model"]) if model in warned(frame)]:
        lines.append(f"≤: an upper bound, since the audit of the attack warns ({', '.join(doubted)}).")
    lines.append(
        "What the lines mean, every difference with its interval and every audit: the same again with --details."
    )
    filled = [textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in lines]
    return "\n".join([*heading(frame, plan), "", table(frame), "", *filled])


def _short_verdict(found: Sequence[Difference], model: str, reference: str) -> str:
    own = [d for d in found if d.model == model]
    if not own or max(d.found.n for d in own) < MIN_SEEDS:
        return f"{model} against {reference}: open, a verdict needs {MIN_SEEDS} seeds."
    verdicts = {
        "WORSE": "WORSE at",
        "better": "better at",
        "suspect": "larger, but not to be believed, at",
        "unclear": "unclear at",
    }
    parts = {verdict: ", ".join(d.label for d in own if d.verdict == verdict) for verdict in verdicts}
    parts["WORSE"] = parts["WORSE"] or "nothing"
    told = "; ".join(f"{verdicts[verdict]} {labels}" for verdict, labels in parts.items() if labels)
    return f"{model} against {reference}: {told}."


def text(frame: pd.DataFrame, plan: ComparisonPlan, *, ours: Sequence[str], references: Sequence[str]) -> str:
    """The whole report.

    Parameters
    ----------
    frame : DataFrame
        Rows of the ledger.
    plan : ComparisonPlan
    ours, references : sequence of str
        Every model of the first is set against each of the second.
    """
    blocks = [
        *heading(frame, plan),
        "",
        table(frame),
        "",
        *(textwrap.fill(note, WIDTH) for note in notes(plan)),
        *audit_lines(frame),
    ]
    for reference in references:
        found = differences(frame, ours, reference)
        verdict = f"[95 % interval], verdict: Holm-adjusted p <= {ALPHA} over this table, {MIN_SEEDS} seeds or more"
        blocks += ["", f"Ours minus {reference}, in points {verdict}", _difference_table(found, ours)]
        blocks += [textwrap.fill(verdict_sentence(found, model, reference), WIDTH) for model in ours]
    return "\n".join(blocks)


def heading(frame: pd.DataFrame, plan: ComparisonPlan) -> list[str]:
    """What was compared on what; a warning if it was a quick run."""
    seeds = sorted(frame["seed"].unique())
    if len(seeds) == 1:
        spread = f"seed {seeds[0]} only, so no interval"
    else:
        spread = f"seeds {seeds[0]} to {seeds[-1]}: mean ± half-width of the 95 % Student interval"
    return [
        f"{plan.dataset}: {plan.n_train:,} training images, whole test set; {spread}",
        *(["QUICK RUN: few seeds, small samples, few PGD steps: a look, not a result"] if plan.quick else []),
    ]


def notes(plan: ComparisonPlan) -> list[str]:
    """Notes needed to read the table; the last one leads to the lines of the audits."""
    attack = (
        f"PGD: Linf, the worst of cross-entropy, margin, and margin through surrogates of the network (softer "
        f"competition, nearest prototypes); {plan.pgd_steps} steps, {plan.n_attacked} test images; in the space of the "
        "contrast response where a model has one."
    )
    weights = (
        "Weights: of the synapses onto association or hidden cells, excitatory (E) and inhibitory (I) apart; laws "
        f"compared by AIC on {plan.n_described} random cells."
    )
    dale = (
        "Dale index: of a cell over all of the synapses it makes, 1 if they have one sign; afferent: mean of the cells "
        "that project onto these cells, outgoing: mean of these cells, smallest: of all cells of the network. bioneuro "
        "has separate excitatory and inhibitory cells, so its indices are 1 by construction."
    )
    audit = (
        f"Audit of the PGD figures (seed 0, ε = {plan.audit_epsilon:g}, {plan.n_audited} images); where it warns they "
        "are upper bounds:"
    )
    return [weights, dale, attack, audit]


# --- figures ---


def attacked(frame: pd.DataFrame, plan: ComparisonPlan) -> pd.DataFrame:
    """The rows whose robustness may be drawn, with what the attack was."""
    about = {"attack": f"worst of PGD, {plan.pgd_steps} steps", "norm": "Linf", "n": plan.n_attacked}
    return bounded(audited(frame)).assign(**about)


def figures(frame: pd.DataFrame, plan: ComparisonPlan, out: Path, weights: Iterable[tuple[str, NDArray]]) -> list[Path]:
    """Write ``robustness.png``, ``low_data.png`` and ``weight_distribution.png``.

    Parameters
    ----------
    frame : DataFrame
        Rows of the ledger.
    plan : ComparisonPlan
    out : Path
    weights : iterable of (model, weights)
        Signed weights; the excitatory ones are drawn, a panel each.

    Returns
    -------
    list of Path
        The files written.
    """
    written = [
        draw_curve(attacked(frame, plan), "robust_accuracy", "epsilon", plot.robustness_curve, out / "robustness.png"),
        draw_curve(frame, "low_data_accuracy", "n_shot", plot.low_data_curve, out / "low_data.png", value="accuracy"),
        _weight_figure(list(weights), out / "weight_distribution.png"),
    ]
    return [path for path in written if path is not None]


def draw_curve(
    frame: pd.DataFrame, metric: str, setting: str, draw: Callable, path: Path, value: str = ""
) -> Path | None:
    figure = curve(frame, metric, setting, draw, value)
    return None if figure is None else save_picture(figure, path)


def curve(frame: pd.DataFrame, metric: str, setting: str, draw: Callable, value: str = "") -> Figure | None:
    """What ``draw`` makes of the rows of a metric, its settings as a column of numbers; None if there are no rows."""
    rows = frame[frame["metric"] == metric].rename(columns={"setting": setting, "value": value or metric})
    if rows.empty:
        return None
    figure = blank_figure(6.4, 4.2)
    draw(rows.astype({setting: float}), ax=figure.subplots())
    return figure


def _weight_figure(samples: Sequence[tuple[str, NDArray]], path: Path) -> Path | None:
    if not samples:
        return None
    figure = blank_figure(7.2 * len(samples), 4.8)
    for ax, (model, weights) in zip(figure.subplots(1, len(samples), squeeze=False)[0], samples, strict=True):
        excitatory = weights > 0
        plot.weight_distribution(weights[excitatory], ax)
        moments = ax.get_title(loc="left").splitlines()[-1]  # the lines above it count all synapses
        ax.set_title(f"{model}: {excitatory.sum():,} excitatory weights\n{moments}", loc="left", fontsize=10)
    return save_picture(figure, path)
