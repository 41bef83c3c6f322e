"""Remembered readings of the hire model are those it would give again, and not too many are kept."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest

from graph.affinity import Affinity
from graph.bipartite import Examples
from graph.history import examples_of_profiles
from targeting.outlooks import Outlooks


class Counting:
    """Answers with a number per call."""

    def __init__(self) -> None:
        self.calls = 0

    def outlook(self, examples: Examples) -> tuple[np.ndarray, np.ndarray]:
        self.calls += 1
        return np.full((1, 3), self.calls, np.float32), np.full((1, 3), -self.calls, np.float32)


def seeker(history: list[int], year: float = 2026.5, schooling: float = np.nan) -> Examples:
    years = [2026.0 - 2 * at for at in range(len(history), 0, -1)]
    return examples_of_profiles([history], [years], np.array([schooling]), year)


@pytest.fixture
def model() -> Counting:
    return Counting()


def outlooks(model: Counting, most: int = 10) -> Outlooks:
    return Outlooks(cast(Affinity, model), most)


def test_the_same_career_is_read_once(model: Counting) -> None:
    known = outlooks(model)
    first, again = known.of(seeker([1, 2])), known.of(seeker([1, 2]))
    assert first is again
    assert model.calls == 1
    assert (first.probability[0], first.lift[0]) == (1, -1)


@pytest.mark.parametrize(
    "other",
    [seeker([2, 1]), seeker([1]), seeker([]), seeker([1, 2], year=2026.6), seeker([1, 2], schooling=12.0)],
    ids=["order", "length", "nothing", "date", "schooling"],
)
def test_another_career_schooling_or_day_is_read_anew(model: Counting, other: Examples) -> None:
    known = outlooks(model)
    known.of(seeker([1, 2]))
    assert known.of(other).probability[0] == 2


def test_the_least_recently_asked_for_is_forgotten(model: Counting) -> None:
    known = outlooks(model, most=2)
    for history in ([1], [2], [1], [3], [1]):  # 2 makes room for 3
        known.of(seeker(history))
    assert model.calls == 3
    known.of(seeker([2]))
    assert model.calls == 4


def test_what_is_remembered_can_not_be_written_to(model: Counting) -> None:
    with pytest.raises(ValueError, match="read-only"):
        outlooks(model).of(seeker([1])).probability[0] = 0
