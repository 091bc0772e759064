"""One network against all goals: what is met, what is missed, and what is only built in."""

import numpy as np
import pytest

from bioneuro.claims import CLAIMS
from bioneuro.claims.base import NOT_SHOWN
from bioneuro.claims.one_network import GOALS, NETWORK
from bioneuro.claims.report import Row, frame_of


def rows(**changed):
    """Three seeds, every measure inside its goal but for those that are changed."""
    values = {goal.measure: goal.low + 0.5 * min(goal.high - goal.low, 0.02) for goal in GOALS}
    values |= {"accuracy delta": 0.98, "accuracy votes": 0.97} | changed
    return frame_of(
        [Row("ONE", NETWORK, seed, name, "", value, "") for seed in range(3) for name, value in values.items()], 3
    )


def test_all_goals_met_is_no_more_than_weak_since_one_is_built_in():
    verdict = CLAIMS["ONE"].verdict(rows())
    assert verdict.passed and verdict.form.startswith("weak: follows from separate excitatory and inhibitory cells")
    assert verdict.effect == len(GOALS)


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.measure)
def test_each_goal_can_be_missed(goal):
    outside = goal.high + 1 if np.isfinite(goal.high) else goal.low - 1
    verdict = CLAIMS["ONE"].verdict(rows(**{goal.measure: outside}))
    assert (verdict.passed, verdict.form, verdict.effect) == (False, NOT_SHOWN, len(GOALS) - 1)
    missed = [line for line in verdict.note.split("\n") if "MISSED" in line]
    assert len(missed) == 1 and goal.measure in missed[0]
