"""Delivery parity on people that can be counted by hand, and nothing of a group that is too small."""

from __future__ import annotations

import json

import numpy as np
import pytest

from graph.fairness.impact import THE_REST, Partition
from graph.fairness.parity import delivery_parity
from graph.fairness.privacy import PrivacyFloor

FLOOR = PrivacyFloor(3)
GROUP = np.array([0] * 10 + [1] * 10)


def parity(shown: np.ndarray, group: np.ndarray = GROUP, reach: np.ndarray | None = None, names=("care", "trade")):
    partition = Partition("sex", ("Male", "Female"), group)
    reach = np.full(shown.shape, 4) if reach is None else reach
    return delivery_parity(partition, names, reach, shown, FLOOR, np.random.default_rng(0))


def steered() -> np.ndarray:
    """Care is shown to women three times as often, trade to men; half of each group see nothing of the section."""
    shown = np.zeros((2, 20), int)
    shown[0, [0, 1, 2, 3, 4]], shown[0, [10, 11, 12, 13, 14]] = 1, 3
    shown[1, [0, 1, 2, 3, 4]], shown[1, [10, 11, 12, 13, 14]] = 3, 1
    return shown


def test_people_who_are_steered_apart_have_parity_overall_and_none_section_by_section() -> None:
    found = parity(steered())
    assert [row["ratio"] for row in found["groups"]] == pytest.approx([1, 1])
    assert [row["people"] for row in found["groups"]] == [10, 10]
    ratios = {(row["section"], row["group"]): row["ratio"] for row in found["sections"]}
    assert ratios == pytest.approx(
        {("care", "Male"): 0.5, ("care", "Female"): 1.5, ("trade", "Male"): 1.5, ("trade", "Female"): 0.5}
    )
    assert found["below_four_fifths"] == {"Male": 1, "Female": 1}
    assert found["withheld_sections"] == 0


def test_a_share_is_judged_by_who_could_have_been_shown() -> None:
    """Men have three times as many campaigns in reach and three times the impressions: parity."""
    factor = np.where(GROUP == 0, 3, 1)
    shown = np.zeros((2, 20), int)
    shown[:, [0, 1, 2, 3, 4, 10, 11, 12, 13, 14]] = 1
    found = parity(shown * factor, reach=np.full((2, 20), 2) * factor)
    assert [row["eligible_share"] for row in found["groups"]] == pytest.approx([0.75, 0.25])
    assert [row["ratio"] for row in found["groups"]] == pytest.approx([1, 1])
    for row in found["groups"]:
        assert row["ci95"][0] <= 1 <= row["ci95"][1]


def test_a_group_of_too_few_people_is_withheld_with_the_one_it_could_be_told_from() -> None:
    found = parity(steered()[:, :12], GROUP[:12])
    assert found["groups"] == [{"category": "Male", "withheld": True}, {"category": "Female", "withheld": True}]
    assert found["sections"] == []
    assert found["withheld_sections"] == 2


def test_a_section_few_people_were_shown_is_pooled_with_others() -> None:
    shown = np.concatenate([steered(), np.zeros((1, 20), int)])
    shown[2, [0, 10]] = 1
    found = parity(shown, names=("care", "trade", "art"))
    assert {row["section"] for row in found["sections"]} <= {"care", "trade", THE_REST}
    assert found["withheld_sections"] >= 2
    assert "art" not in json.dumps(found)


def test_people_of_unknown_group_count_for_nothing() -> None:
    more = np.concatenate([steered(), np.full((2, 5), 9)], axis=1)
    assert parity(more, np.concatenate([GROUP, np.full(5, -1)])) == parity(steered())


def test_nothing_shown_gives_shares_of_nothing() -> None:
    found = parity(np.zeros((2, 20), int))
    assert all(row.get("withheld") for row in found["groups"])
