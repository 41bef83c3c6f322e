from dataclasses import dataclass

import numpy as np
import pytest

from targeting.pacing.acceptance import acceptable, refusal
from targeting.plan import PlanProblem, solve


@dataclass(frozen=True)
class Shown:
    gap: float
    violation: float


@pytest.mark.parametrize(("gap", "violation"), [(0.0, 0.0), (0.01, 1e-9), (0.0099, 1e-12)])
def test_a_plan_within_one_per_cent_that_breaks_no_row_is_taken(gap: float, violation: float) -> None:
    assert acceptable(Shown(gap, violation))
    assert refusal(Shown(gap, violation)) is None


@pytest.mark.parametrize("gap", [0.0101, 1.0, float("inf"), float("nan")])
def test_a_gap_above_one_per_cent_is_refused_in_words(gap: float) -> None:
    assert not acceptable(Shown(gap, 0.0))
    assert "below the best one" in str(refusal(Shown(gap, 0.0)))


@pytest.mark.parametrize("violation", [2e-9, float("inf"), float("nan")])
def test_a_broken_row_is_refused_in_words(violation: float) -> None:
    assert not acceptable(Shown(0.0, violation))
    assert "broken" in str(refusal(Shown(0.0, violation)))


def test_what_the_planner_finds_in_time_is_taken() -> None:
    given = PlanProblem(*map(np.array, ([10.0], [4.0, 9.0], [0, 0], [0, 1], [0.2, 0.3], [1.0, 3.0])))
    assert acceptable(solve(given))
