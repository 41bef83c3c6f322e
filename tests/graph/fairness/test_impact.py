"""Impact ratios by hand, in the layout of the rule, and the rows of segments."""

import numpy as np
import pytest

from graph.fairness.impact import THE_REST, Partition, above_median, audience, impact_table, segment_rows, steering
from graph.fairness.privacy import PrivacyFloor

NOBODY_WITHHELD = np.zeros(2, bool)


def people(*sizes):
    """A partition of as many people as given, group by group."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    return Partition("letter", tuple("ABCDEF"[: len(sizes)]), group)


def first_of_each(partition, numbers):
    """bool[1, p]: so many of each group."""
    chosen = np.zeros((1, len(partition.group)), bool)
    for g, n in enumerate(numbers):
        chosen[0, np.flatnonzero(partition.group == g)[:n]] = True
    return chosen


def test_the_impact_ratio_is_the_rate_over_the_highest_rate():
    groups = people(40, 60)
    chosen = first_of_each(groups, [20, 15])
    a, b = impact_table(groups, chosen, chosen, NOBODY_WITHHELD, 0.02)
    assert (a["people"], a["assessed"], a["selected"], a["selection_rate"], a["impact_ratio"]) == (40, 40, 20, 0.5, 1)
    assert (b["selection_rate"], b["impact_ratio"]) == (0.25, 0.5)
    assert b["scoring_impact_ratio"] == 0.5


def test_every_seeker_is_assessed_for_every_segment():
    groups = people(40, 60)
    chosen = np.concatenate([first_of_each(groups, [20, 0]), first_of_each(groups, [0, 30])])
    a, b = impact_table(groups, chosen, chosen, NOBODY_WITHHELD, 0.02)
    assert (a["assessed"], a["selection_rate"]) == (80, 0.25)
    assert (b["assessed"], b["impact_ratio"]) == (120, 1.0)


def test_a_category_below_two_in_a_hundred_has_a_rate_but_no_ratio_and_is_never_the_highest():
    groups = people(1, 40, 60)
    chosen = first_of_each(groups, [1, 20, 15])
    rare, a, b = impact_table(groups, chosen, chosen, np.zeros(3, bool), 0.02)
    assert rare["excluded"]
    assert (rare["people"], rare["selection_rate"], rare["impact_ratio"]) == (1, 1.0, None)
    assert (a["impact_ratio"], b["impact_ratio"]) == (1.0, 0.5)


def test_of_a_withheld_category_nothing_but_the_name_is_shown():
    groups = people(40, 60)
    chosen = first_of_each(groups, [20, 15])
    row, _ = impact_table(groups, chosen, chosen, np.array([True, False]), 0.02)
    assert {name: value for name, value in row.items() if value not in (None, False)} == {
        "category": "A",
        "withheld": True,
    }


def test_an_audience_is_the_best_share_with_ties_to_the_first():
    scores = np.array([[0.1, 0.5], [0.9, 0.5], [0.3, 0.5], [0.3, 0.7]])
    assert audience(scores, 0.5).tolist() == [[False, True, True, False], [True, False, False, True]]
    assert audience(scores, 0.01).sum(axis=1).tolist() == [1, 1], "at least one"


def test_half_of_the_people_score_above_the_median():
    scores = np.array([[1.0], [2.0], [3.0], [4.0]])
    assert above_median(scores).tolist() == [[False, False, True, True]]


def test_rows_of_segments_add_up_and_pool_what_is_small():
    groups = people(100, 100)
    member = np.concatenate([first_of_each(groups, n) for n in ([30, 60], [25, 5], [40, 15])])
    count = 2 * np.array([[30, 60], [25, 5], [40, 15]])
    rows = segment_rows(groups, "hired", member, count, ("x", "y", "z"), PrivacyFloor(10))
    assert [(row["segment"], row["segments"], row["group"], row["count"]) for row in rows] == [
        ("x", 1, "A", 60),
        ("x", 1, "B", 120),
        (THE_REST, 2, "A", 130),
        (THE_REST, 2, "B", 40),
    ]
    assert [row["share"] for row in rows[:2]] == pytest.approx([1 / 3, 2 / 3])
    assert [row["impact_ratio"] for row in rows[:2]] == pytest.approx([0.5, 1])
    assert rows[2]["rate"] == pytest.approx(130 / 200)


def test_people_of_unknown_group_are_in_no_row():
    groups = Partition("letter", ("A", "B"), np.repeat([0, 1, -1], 50))
    member = np.tile(np.arange(150) % 2 == 0, (2, 1))
    count = np.stack([groups.count(np.flatnonzero(row)) for row in member])
    rows = segment_rows(groups, "reached", member, count, ("x", "y"), PrivacyFloor(10))
    assert [row["count"] for row in rows] == [25, 25, 25, 25]


def test_steering_counts_the_segments_where_a_group_is_below_four_fifths():
    rows = [
        {"segment": segment, "group": group, "impact_ratio": ratio}
        for segment, ratios in (("x", (1.0, 0.79)), ("y", (0.5, 1.0)), ("z", (0.8, 1.0)), (THE_REST, (0.1, 1.0)))
        for group, ratio in zip("AB", ratios, strict=True)
    ]
    found = steering(rows)
    assert found["A"] == {"segments": 3, "below_four_fifths": 1, "median_impact_ratio": 0.8}
    assert found["B"]["below_four_fifths"] == 1
