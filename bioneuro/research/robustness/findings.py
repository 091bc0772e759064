"""Report on a ledger of `attack`: how robust each model is, whether its audit agrees, and who is better than whom.

Computed from the rows of the ledger and, with fewer than three seeds, from what is kept image by image.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ... import analysis, plot
from ..audit_verdicts import audit_lines, audited, bounded, warned
from ..comparison.findings import WIDTH, draw_curve
from ..differences import ALPHA, MIN_SEEDS, Difference
from ..records.pictures import blank_figure, save_picture
from ..records.text_table import grid
from .contenders import CEILING, CONTENDERS, OURS, SOURCES
from .experiment import AttackPlan, Kept

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["differences", "figures", "table", "text"]

KeptImages = Mapping[tuple[str, int], Kept]
CLEAN = "clean"
NORM_NAMES = {"linf": "Linf", "l2": "L2"}


def _columns(plan: AttackPlan) -> list[str]:
    return [CLEAN, *(f"{epsilon:g}" for epsilon in plan.epsilons)]


def _rows_of(frame: pd.DataFrame, model: str, column: str) -> pd.DataFrame:
    """Rows of one cell of the table, in the order of the seeds."""
    rows = frame[frame["model"] == model]
    if column == CLEAN:
        rows = rows[rows["metric"] == "accuracy"]
    else:
        rows = rows[(rows["metric"] == "robust_accuracy") & (rows["setting"] == column)]
    return rows.sort_values("seed")


def _hits(images: Kept, column: str, plan: AttackPlan) -> np.ndarray:
    """Which images are classified correctly, clean or at a budget."""
    return images.correct if column == CLEAN else images.standing[_columns(plan).index(column) - 1]


# --- the table ---


def _cell(rows: pd.DataFrame, column: str, plan: AttackPlan) -> str:
    """Percent, with the interval over the seeds, or over the images if there is one seed."""
    values = rows["value"].to_numpy(float)
    if not values.size:
        return "-"
    if values.size > 1:
        interval = analysis.mean_interval(100 * values)
        return f"{interval.mean:.1f} ± {interval.half_width:.1f}"
    n = int(rows["setting"].iloc[0]) if column == CLEAN else plan.n_attacked
    share = analysis.share_interval(np.arange(n) < round(values[0] * n))
    return f"{100 * values[0]:.1f} [{100 * share.low:.1f}, {100 * share.high:.1f}]"


def _strongest(frame: pd.DataFrame, model: str, plan: AttackPlan) -> str:
    """The attack that broke most images at the middle budget, and its share of all that were broken there."""
    rows = frame[(frame["model"] == model) & (frame["metric"] == "broken_by")]
    budget, attack = rows["setting"].str.split(" ", n=1).str[0], rows["setting"].str.split(" ", n=1).str[1]
    shares = rows["value"].groupby(attack[budget == f"{plan.middle:g}"]).sum()
    return f"{shares.idxmax()} {shares.max() / shares.sum():.0%}" if len(shares) else "-"


def _verdict_of_audit(frame: pd.DataFrame, model: str) -> str:
    checks = frame[(frame["model"] == model) & (frame["metric"] == "audit")]
    passed, n_warned = (int((checks["note"] == status).sum()) for status in ("pass", "warn"))
    return "none" if checks.empty else f"WARNS: {n_warned} of {passed + n_warned}" if n_warned else f"all {passed} pass"


def table(frame: pd.DataFrame, plan: AttackPlan) -> str:
    """Every contender: accuracy clean and at each budget, the strongest attack, the audit."""
    seen, upper, columns = audited(frame), warned(frame), _columns(plan)
    head = ["", "role", "readout", "clean, %", *(f"ε = {e}, %" for e in columns[1:])]
    rows = [[*head, f"most broken by (ε = {plan.middle:g})", "audit"]]
    for model in frame["model"].unique():
        cells = [_cell(_rows_of(seen, model, column), column, plan) for column in columns]
        if model in upper:
            cells[1:] = [f"≤ {cell}" for cell in cells[1:]]
        readout = frame.loc[frame["model"] == model, "readout"].iloc[0]
        rows.append(
            [
                model,
                _role(model),
                readout,
                *cells,
                _strongest(seen, model, plan),
                _verdict_of_audit(frame, model),
            ]
        )
    return grid(rows)


def _role(model: str) -> str:
    return CONTENDERS[model].role if model in CONTENDERS else "-"


# --- differences ---


def differences(frame: pd.DataFrame, images: KeptImages, plan: AttackPlan, ours: str) -> list[Difference]:
    """Differences of one of our networks from each other contender, in points, Holm-adjusted over all of them.

    Over the seeds that both have if these are three or more (Student); else image by image at their first seed
    (McNemar's exact test).
    """
    seen, found = audited(frame), []
    for reference in frame["model"].unique():
        if _role(reference) == OURS:
            continue
        for column in _columns(plan):
            a, b = (_rows_of(seen, model, column).set_index("seed")["value"] for model in (ours, reference))
            seeds = sorted(set(a.index) & set(b.index))
            if not seeds:
                continue
            difference = _over_seeds(a, b, seeds) if len(seeds) >= MIN_SEEDS else None
            if difference is None and {(ours, seeds[0]), (reference, seeds[0])} <= images.keys():
                a, b = (_hits(images[model, seeds[0]], column, plan) for model in (ours, reference))
                difference = _in_points(analysis.paired_shares(a, b))
            if difference is not None:
                found.append((reference, column, difference))
    if not found:
        return []
    adjusted = analysis.holm(np.array([difference.p_value for *_, difference in found]))
    suspect = ours in warned(frame)
    return [
        Difference(ours, column, difference, p, suspect and column != CLEAN, reference)
        for (reference, column, difference), p in zip(found, adjusted, strict=True)
    ]


def _over_seeds(ours: pd.Series, reference: pd.Series, seeds: Sequence[int]) -> analysis.PairedDifference:
    return _in_points(analysis.paired_difference(ours[seeds].to_numpy(float), reference[seeds].to_numpy(float)))


def _in_points(found: analysis.PairedDifference) -> analysis.PairedDifference:
    mean, low, high, half_width = (100 * value for value in (found.mean, found.low, found.high, found.half_width))
    return analysis.PairedDifference(mean, low, high, half_width, found.n, found.p_value)


def _difference_table(found: Sequence[Difference], plan: AttackPlan) -> str:
    columns = _columns(plan)
    rows = [["", *columns]]
    for reference in dict.fromkeys(difference.reference for difference in found):
        cells = {d.label: str(d) for d in found if d.reference == reference}
        rows.append([reference, *(cells.get(column, "-") for column in columns)])
    return grid(rows)


def _in_words(found: Sequence[Difference], ours: str, plan: AttackPlan) -> list[str]:
    """At which budgets our network beats every control, and which controls it does not beat; the ceiling apart."""
    lines = []
    for column in _columns(plan):
        controls = [d for d in found if d.label == column and _role(d.reference) != CEILING]
        if not controls:
            continue
        where = "without attack" if column == CLEAN else f"at ε = {column}"
        others = {
            verdict: ", ".join(d.reference for d in controls if d.verdict == verdict)
            for verdict in ("WORSE", "unclear", "suspect")
        }
        said = "; ".join(f"{verdict} against {names}" for verdict, names in others.items() if names)
        lines.append(f"{ours} {where}: " + (said or f"better than each of the {len(controls)} controls") + ".")
    return lines


# --- the report ---


def text(frame: pd.DataFrame, images: KeptImages, plan: AttackPlan) -> str:
    """The whole report.

    Parameters
    ----------
    frame : DataFrame
        Rows of the ledger.
    images : dict of (model, seed) to Kept
    plan : AttackPlan
    """
    seeds = sorted(frame["seed"].unique())
    if len(seeds) == 1:
        spread = f"seed {seeds[0]} only: [95 % Wilson interval over images]"
    else:
        spread = f"seeds {', '.join(map(str, seeds))}: mean ± half-width of the 95 % Student interval"
    tested = f"the last {plan.n_validation:,} training images (VALIDATION)" if plan.n_validation else "the test set"
    blocks = [
        f"{plan.dataset}, {NORM_NAMES[plan.norm]}, {plan.n_train:,} training images; clean accuracy on the whole of "
        f"{tested}, attacks on {plan.n_attacked:,} of it; {spread}",
        *([_size_of_it(plan)] if plan.tier == "quick" else []),
        "",
        table(frame, plan),
        "",
        *(textwrap.fill(note, WIDTH) for note in _notes(plan)),
        "Audit (seed 0, at the largest ε that leaves something standing); where it warns figures are upper bounds:",
        *audit_lines(frame),
    ]
    for ours in frame["model"].unique():
        if _role(ours) == OURS and (found := differences(frame, images, plan, ours)):
            over = "seeds" if found[0].found.n == len(seeds) and len(seeds) >= MIN_SEEDS else "images of one seed"
            blocks += [
                "",
                f"{ours} minus the others, in points [95 % interval over {over}], verdict: Holm-adjusted p <= {ALPHA} "
                "over this table",
                _difference_table(found, plan),
                *(textwrap.fill(line, WIDTH, subsequent_indent="  ") for line in _in_words(found, ours, plan)),
            ]
    return "\n".join(blocks)


def _size_of_it(plan: AttackPlan) -> str:
    return f"QUICK TIER: {plan.n_attacked} images, fewer steps and queries (--tier full)"


def _notes(plan: AttackPlan) -> list[str]:
    """Notes needed to read the table."""
    sources = ", ".join(SOURCES)
    return [
        f"An image stands if no attack breaks it; attacks come one after another, each on what the earlier ones left, "
        f"and adversarial images of {sources} are tried too where these can be trained. Adversarial training: by PGD, "
        f"Linf {plan.task.epsilon:g}; no other model has seen an adversarial image."
    ]


# --- figures ---


def figures(
    frame: pd.DataFrame, images: KeptImages, plan: AttackPlan, image_shape: tuple[int, ...], out: Path
) -> list[Path]:
    """Write ``robustness.png`` and ``examples.png``.

    Parameters
    ----------
    frame : DataFrame
        Rows of the ledger.
    images : dict of (model, seed) to Kept
    plan : AttackPlan
    image_shape : tuple of int
    out : Path

    Returns
    -------
    list of Path
        The files written.
    """
    about = {"attack": f"worst of the {plan.tier} tier", "norm": NORM_NAMES[plan.norm], "n": plan.n_attacked}
    curve = bounded(audited(frame)).assign(**about)
    written = [
        draw_curve(curve, "robust_accuracy", "epsilon", plot.robustness_curve, out / "robustness.png"),
        _examples(images, plan, image_shape, out / "examples.png"),
    ]
    return [path for path in written if path is not None]


def _examples(images: KeptImages, plan: AttackPlan, image_shape: tuple[int, ...], path: Path) -> Path | None:
    seed = min((seed for _, seed in images), default=None)
    shown = {model: found for (model, of), found in images.items() if of == seed}
    if not shown:
        return None
    first = next(iter(shown.values()))
    figure = blank_figure(2.4 + 0.8 * len(first.clean), 0.8 + 0.8 * (1 + 2 * len(shown)))
    ax = plot.adversarial_examples(
        first.clean,
        {model: found.adversarial for model, found in shown.items()},
        image_shape,
        figure.subplots(),
        labels=first.labels,
        predictions={model: found.predicted for model, found in shown.items()},
    )
    ax.set_title(f"{NORM_NAMES[plan.norm]}, ε = {plan.middle:g}\n{ax.get_title(loc='left')}", loc="left", fontsize=10)
    return save_picture(figure, path)
