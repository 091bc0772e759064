"""The page of a finished comparison: `report.html`, from nothing but what is kept in its folder."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ... import plot
from ...atomic_write import write_atomically
from ..audit_verdicts import audit_lines
from ..differences import ALPHA, MIN_SEEDS
from ..errors import UserError
from ..records import html
from ..records.ledger import KeptResults, kept_results
from ..records.pictures import blank_figure
from . import findings
from .experiment import weight_samples
from .models import in_order, sides
from .plan import ComparisonPlan
from .ranks import overall, rank_table, value_table
from .rivals_page import better_than, doubt_of, rank_figure

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["command_of", "write_report"]


def write_report(folder: Path) -> Path:
    """Write ``report.html`` into the folder of a comparison.

    Raises
    ------
    UserError
        The folder holds no comparison, or files that cannot be read.
    OSError
        The page cannot be written.
    """
    kept = kept_results(folder)
    kept = kept._replace(frame=in_order(kept.frame))
    plan = ComparisonPlan.of_record(kept.configuration)
    if plan is None:
        raise UserError(f"{folder} holds results of another command than compare")
    page = folder / "report.html"
    blocks = _grand(kept.frame, plan) if plan.grand else _usual(kept.frame, plan, folder)
    made = html.page(f"Comparison on {plan.dataset}", [*blocks, *_origin(kept, plan, folder)])
    write_atomically(page, made)
    return page


def command_of(frame: pd.DataFrame, plan: ComparisonPlan, folder: Path) -> str:
    """The command that makes these rows; settings that were tuned are not part of it."""
    words = ["python", "-m", "bioneuro", "compare", "--dataset", plan.dataset]
    words += ["--seeds", str(frame["seed"].max() + 1), "--n-train", str(plan.n_train)]
    words += ["--epsilons", *map(str, plan.epsilons)]
    if plan.quick:
        words.append("--quick")
    if plan.grand:
        words += ["--models", *dict.fromkeys(frame["model"])]
    usual = ComparisonPlan.for_dataset(
        plan.dataset,
        plan.n_train,
        n_train=plan.n_train,
        quick=plan.quick,
        epsilons=plan.epsilons,
        rivals=plan.grand,
    )
    if usual.n_attacked != plan.n_attacked:
        words += ["--n-attacked", str(plan.n_attacked)]
    return shlex.join([*words, "--out", str(folder)])


# --- what was found ---


def _usual(frame: pd.DataFrame, plan: ComparisonPlan, folder: Path) -> Iterator[str]:
    """Our models beside their references."""
    import pandas as pd

    yield from map(html.paragraph, findings.heading(frame, plan))
    rows = pd.DataFrame(findings.table_rows(frame)).T
    rows = rows.iloc[1:].set_axis(["model", *rows.iloc[0, 1:]], axis=1)
    *notes, lead = findings.notes(plan)
    audits = [line.strip() for line in audit_lines(frame)]
    ours, references = ([name for name in side if name in set(frame["model"])] for side in sides())
    sentences, differences = [], []
    for reference in references:
        found = findings.differences(frame, ours, reference)
        sentences += [findings.verdict_sentence(found, model, reference) for model in ours]
        differences += [
            {
                "model": one.model,
                "minus": reference,
                "at": one.label,
                "difference": f"{one.found.mean:+.1f}",
                "95 % from": f"{one.found.low:+.1f}",
                "to": f"{one.found.high:+.1f}",
                "p, Holm": f"{one.p_holm:.2g}",
                "seeds": str(one.found.n),
                "verdict": one.verdict,
            }
            for one in found
        ]
    verdict = html.bullets(sentences) if sentences else html.paragraph("There is no pair of models to compare yet.")
    yield html.section("Verdict", verdict)
    yield html.section("Results", html.table(rows), *map(html.paragraph, notes))
    yield html.section("Audits of the attack", html.paragraph(lead), html.bullets(audits))
    figures = [html.picture(figure, caption) for caption, figure in _figures(frame, plan, folder)]
    yield html.section("Figures", '<div class="figures">', *figures, "</div>")
    if differences:
        verdicts = f"In points. A verdict takes Holm-adjusted p <= {ALPHA}, and {MIN_SEEDS} seeds or more."
        yield html.section("Differences", html.paragraph(verdicts), html.table(pd.DataFrame(differences)))


def _figures(frame: pd.DataFrame, plan: ComparisonPlan, folder: Path) -> Iterator[tuple[str, Figure]]:
    """Captions and figures, of what there are rows for."""
    accuracy = frame[frame["metric"] == "accuracy"].rename(columns={"value": "accuracy"})
    if not accuracy.empty:
        figure = blank_figure(6.4, 4.2)
        plot.accuracy_bars(accuracy, figure.subplots())
        yield "Accuracy on the test set", figure
    drawn = {
        "Accuracy by images a class": findings.curve(
            frame, "low_data_accuracy", "n_shot", plot.low_data_curve, "accuracy"
        ),
        "Accuracy under attack": findings.curve(
            findings.attacked(frame, plan), "robust_accuracy", "epsilon", plot.robustness_curve
        ),
    }
    yield from ((caption, figure) for caption, figure in drawn.items() if figure is not None)
    excitatory = {model: weights[weights > 0] for model, weights in weight_samples(folder)}
    if excitatory:
        figure = blank_figure(6.4, 4.2)
        plot.weight_comparison(excitatory, figure.subplots())
        yield "Excitatory weights of the first seed", figure


def _grand(frame: pd.DataFrame, plan: ComparisonPlan) -> Iterator[str]:
    """All chosen models beside each other."""
    yield from map(html.paragraph, findings.heading(frame, plan))
    ranks = rank_table(frame)
    rows = value_table(frame, overall(ranks)).rename_axis("model").reset_index()
    ours = sides()[0][0]
    if ours in ranks["model"].values:
        better = html.table(better_than(frame, ours).rename(columns={"n": "how many"}), texts=True)
        yield html.section("Verdict", html.paragraph(f"Better than {ours}, {doubt_of(frame)}:"), better)
    yield html.section("Results", html.table(rows.astype(str)))
    yield html.section("Ranks", html.picture(rank_figure(ranks), "Ranks of all models under all criteria"))
    yield html.section("Audits of the attack", html.bullets(line.strip() for line in audit_lines(frame)))


# --- what it was made with ---


def _origin(kept: KeptResults, plan: ComparisonPlan, folder: Path) -> Iterator[str]:
    import pandas as pd

    lines = ["Rows that are there already are not made again."]
    if plan.grand:
        lines.append("Models that were tuned need --tuned too: the rows of train_seconds name the settings of each.")
    yield html.section(
        "How it was made", html.code(command_of(kept.frame, plan, folder)), html.paragraph(" ".join(lines))
    )
    environments = [
        html.table(pd.DataFrame(list(environment.items()), columns=["name", "value"]).astype(str), texts=True)
        for environment in kept.environments
    ]
    yield html.section("Environment", *environments)
    values = kept.frame.assign(value=kept.frame["value"].map(repr)).astype(str)
    yield html.section(
        "Details",
        html.folded("Configuration", html.code(_pretty(kept.configuration))),
        html.folded(f"All {len(values):,} rows of results.csv", html.table(values, texts=True)),
    )


def _pretty(configuration: Mapping[str, Any]) -> str:
    return json.dumps(configuration, indent=2, ensure_ascii=False)
