"""Requests know what was on record before their moment, and nothing later."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import ConfigError, DataError
from organic.learning.engagement import DAY_US, EngagementConfig, read_engagement
from tests.organic.learning.small_logs import EVENTS, JOBS, POSITIONS, START, at, job, logs

ZERO = round(START.timestamp() * 1_000_000)


def pairs(engagement):
    """(seeker, day, job, applied) of every positive pair."""
    return [
        (
            engagement.requests[row].seeker.seeker_id,
            (int(engagement.moment[row]) - ZERO) // DAY_US,
            engagement.inventory.jobs[item].job_id,
            bool(applied),
        )
        for row, item, applied in zip(engagement.request, engagement.item, engagement.applied, strict=True)
    ]


def test_a_request_is_a_seeker_and_a_day_and_a_click_followed_by_an_application_is_one_pair():
    assert pairs(read_engagement(logs())) == [
        ("ann", 1, "n1", True),
        ("ben", 2, "w1", False),
        ("dan", 3, "w2", True),
        ("cat", 4, "w1", False),
        ("ben", 9, "w1", True),
        ("ann", 20, "n2", False),
    ]


def test_the_activity_before_the_moment_is_known_and_what_led_to_it_is_not():
    first, *_, last = read_engagement(logs()).requests
    assert (first.liked, first.dismissed) == ((), ())
    assert [job.job_id for job in last.liked] == ["n1"]
    assert [job.job_id for job in last.dismissed] == ["c1"]
    assert [(action.job_id, action.action) for action in last.seeker.activity] == [("c1", "dismiss"), ("n1", "apply")]


def test_a_position_that_is_recorded_later_is_not_known_yet():
    dan = read_engagement(logs()).requests[2].seeker
    assert (dan.seeker_id, dan.titles, dan.geo) == ("dan", (), None)


def test_titles_come_newest_first_and_the_newest_place_counts():
    moved = [*POSITIONS, ("ann", "2", "Cooks", "hamburg", -50, -40)]
    ann = read_engagement(logs(positions=moved)).requests[0].seeker
    assert (ann.titles, ann.geo) == (("Cooks", "Nurses"), "hamburg")


def test_schooling_and_place_of_the_seekers_table_count_from_their_update_on():
    early, late = ("dan", "bonn", 1, 12.0), ("dan", "rome", 5, 16.0)
    dan = read_engagement(logs(seekers=[late, early])).requests[2].seeker
    assert (dan.geo, dan.education_years) == ("bonn", 12.0)
    assert read_engagement(logs(seekers=[late])).requests[2].seeker.geo is None


def test_the_last_action_on_a_job_counts_and_old_actions_are_forgotten():
    events = {
        "applications": [("a1", "ann", "n1", 1, None), ("a2", "ann", "n2", 40, None)],
        "saves": [("s1", "ann", "c1", 20, None)],
        "dismissals": [("d1", "ann", "c1", 30, None)],
    }
    last = read_engagement(logs(events=events)).requests[-1]
    assert [job.job_id for job in last.dismissed] == ["c1"]
    assert last.liked == ()


@settings(max_examples=12, deadline=None)
@given(order=st.permutations(range(3)), twice=st.sets(st.integers(0, 2)))
def test_rows_may_come_twice_and_in_any_order(order, twice):
    shuffled = {name: [rows[i] for i in order if i < len(rows)] for name, rows in EVENTS.items()}
    shuffled = {name: [*rows, *(row for i, row in enumerate(rows) if i in twice)] for name, rows in shuffled.items()}
    plain, again = read_engagement(logs()), read_engagement(logs(events=shuffled))
    assert again.requests == plain.requests
    for name in ("moment", "request", "item", "applied", "weight"):
        assert np.array_equal(getattr(again, name), getattr(plain, name))


@settings(max_examples=12, deadline=None)
@given(
    day=st.floats(4.01, 60),
    kind=st.sampled_from(sorted(EVENTS)),
    who=st.sampled_from(["ann", "ben", "cat", "dan"]),
    what=st.sampled_from(["n1", "c1", "w1"]),
)
def test_nothing_that_happens_later_changes_a_request(day, kind, who, what):
    cut = round(at(4.005).timestamp() * 1_000_000)
    events = {**EVENTS, kind: [*EVENTS[kind], ("new", who, what, day, None)]}
    positions = [*POSITIONS, (who, "3", "Waiters", "rome", -1, day)]
    before, after = read_engagement(logs()), read_engagement(logs(events=events, positions=positions))
    assert after.within(0, cut).requests == before.within(0, cut).requests


def test_the_split_by_time_takes_every_request_once():
    engagement = read_engagement(logs())
    cut = ZERO + 4 * DAY_US
    assert pairs(engagement.within(0, cut)) + pairs(engagement.within(cut)) == pairs(engagement)


def test_a_pair_counts_as_its_heaviest_label():
    config = EngagementConfig(click_weight=0.2, application_weight=3, save_weight=1)
    assert read_engagement(logs(), config).weight.tolist() == pytest.approx([3, 0.2, 3, 1, 3, 0.2])
    without_clicks = read_engagement(logs(), dataclasses.replace(config, click_weight=0))
    assert len(without_clicks) == 4


def test_the_inventory_of_a_day_is_what_was_open_then():
    inventory = read_engagement(logs(jobs=[*JOBS, job("ever", "Cook", "2", expires=None)])).inventory
    there = [inventory.jobs[row].job_id for row in inventory.open_between(ZERO, ZERO + DAY_US)]
    assert there == ["c1", "ever", "n1", "n2", "w1", "w2", "w3"]
    assert [inventory.jobs[row].job_id for row in inventory.open_between(ZERO + 200 * DAY_US, ZERO + 201 * DAY_US)] == [
        "ever"
    ]


def test_an_event_of_an_unknown_job_is_named():
    with pytest.raises(DataError, match=r"clicks, row 1: job 'gone' is not in the table jobs"):
        read_engagement(logs(events={"clicks": [("k", "ann", "n1", 1, 1), ("l", "ann", "gone", 1, 1)]}))


def test_logs_without_a_positive_are_refused():
    with pytest.raises(DataError, match="nobody engaged"):
        read_engagement(logs(events={"dismissals": EVENTS["dismissals"]}))


def test_impossible_settings_are_refused():
    with pytest.raises(ConfigError, match="label weights"):
        EngagementConfig(0, 0, 0)
    with pytest.raises(ConfigError, match="history_days"):
        EngagementConfig(history_days=0)
