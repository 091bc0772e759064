"""What the audit of an attack says of each model in a table of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["audit_lines", "audit_warnings", "audited", "bounded", "warned"]


def audited(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows less the robustness figures of models without an audit, which are never printed."""
    seen = frame.loc[frame["metric"] == "audit", "model"].unique()
    return frame[(frame["metric"] != "robust_accuracy") | frame["model"].isin(seen)]


def warned(frame: pd.DataFrame) -> set[str]:
    """Models whose audit warns: their robustness is an upper bound, which a better attack may well lower."""
    return set(frame.loc[(frame["metric"] == "audit") & (frame["note"] == "warn"), "model"])


def bounded(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows in which models whose audit warns are named so, since a picture may be shown without its table."""
    return frame.replace({"model": {model: f"≤ {model} (audit warns: upper bound)" for model in warned(frame)}})


def audit_warnings(frame: pd.DataFrame) -> dict[str, str]:
    """What the audit of each model warns of; empty where all its checks pass."""
    checks = frame[frame["metric"] == "audit"]
    return {
        model: "; ".join(
            row.setting + (f" = {row.value:.3g}" if row.value == row.value else "")  # NaN: there is no value
            for row in part[part["note"] == "warn"].itertuples()
        )
        for model, part in checks.groupby("model", sort=False)
    }


def audit_lines(frame: pd.DataFrame) -> list[str]:
    """A line for each model: its warnings, or that all checks pass."""
    passed = frame.loc[(frame["metric"] == "audit") & (frame["note"] == "pass"), "model"].value_counts()
    return [
        f"  {model}: " + (f"WARNS: {findings}" if findings else f"all {passed.get(model, 0)} checks pass")
        for model, findings in audit_warnings(frame).items()
    ]
