"""One network against all goals: what is met, what is missed, and what is only built in."""

import numpy as np
import pandas as pd
import pytest

from bioneuro.research.claims import CLAIMS
from bioneuro.research.claims.experiment import Row, frame_of
from bioneuro.research.claims.one_network import DATA, DATA_GOALS, GAINED, GOALS, NETWORK
from bioneuro.research.claims.verdict import NOT_SHOWN

ALL = (*GOALS, *DATA_GOALS["mnist"])


def inside(goal):
    low = goal.low if np.isfinite(goal.low) else goal.high - 1
    return low + min(goal.high - low, 2) / 2


def rows(missed=None, data="mnist", left_out=()):
    """Three seeds, every measure inside its goal but for the one that is missed."""
    found = [(NETWORK, "accuracy votes", "", 0.97)]
    found += [(name, f"accuracy {r}", "300.0", 0.9) for name in ("recruited", "learned") for r in ("votes", "delta")]
    for goal in ALL:
        value = inside(goal)
        if goal == missed:
            value = goal.high + 1 if np.isfinite(goal.high) else goal.low - 1
        x = "" if goal.x is None else repr(float(goal.x))
        found.append((NETWORK, goal.measure, x, value))
    ledger = [
        Row("ONE", condition, seed, measure, x, value + 1e-6 * seed * (measure.startswith(GAINED)), "")
        for seed in range(3)
        for condition, measure, x, value in found
        if not (x and float(x) in left_out)
    ]
    return frame_of(pd.DataFrame([*ledger, *(Row("ONE", NETWORK, seed, DATA, "", 0.0, data) for seed in range(3))]), 3)


def test_all_goals_met_is_no_more_than_weak_since_one_is_built_in():
    verdict = CLAIMS["ONE"].verdict(rows())
    assert verdict.passed and verdict.form.startswith("weak: follows from separate excitatory and inhibitory cells")
    assert verdict.effect == len(ALL) and "accuracy votes: 0.97 [0.97, 0.97], no goal" in verdict.note


@pytest.mark.parametrize("goal", ALL, ids=lambda goal: f"{goal.measure}, {goal.x}")
def test_each_goal_can_be_missed(goal):
    verdict = CLAIMS["ONE"].verdict(rows(goal))
    assert (verdict.passed, verdict.form, verdict.effect) == (False, NOT_SHOWN, len(ALL) - 1)
    missed = [line for line in verdict.note.split("\n") if "MISSED" in line]
    assert len(missed) == 1 and goal.measure in missed[0]


def test_goals_depend_on_the_data_and_on_what_was_measured():
    digits = CLAIMS["ONE"].verdict(rows(data="digits"))
    assert digits.effect == len(GOALS) + 1 and "accuracy, few images, at 1: " in digits.note
    fewer = CLAIMS["ONE"].verdict(rows(left_out=(50,)))
    assert fewer.effect == len(ALL) - 1 and "at 50" not in fewer.note


def test_learning_is_set_against_stored_samples():
    note = CLAIMS["ONE"].verdict(rows()).note
    assert "Stored samples -> learned, votes: 300 cells 90.0 % -> 90.0 %, +2.00 [+2.00, +2.00]" in note
