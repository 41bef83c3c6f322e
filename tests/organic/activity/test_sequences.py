"""Which actions make a row: the newest 32 of 28 days, oldest first, training rows cut by a sliding window."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import ConfigError, DataError
from market.records import Activity, SeekerProfile
from market.tables import Tables, check_table
from market.taxonomy import build_taxonomy
from organic.activity.sequences import (
    APPLY,
    DAY_US,
    DISMISS,
    PAD,
    SAVE,
    WindowConfig,
    latest,
    log_of_profile,
    log_of_tables,
    microseconds,
    windows,
)
from tests.organic.activity.small_activity import JOB_IDS, JOBS, log_of, random_log, unit_jobs

FOUR = WindowConfig(length=4, window_days=28, minimum=2, stride=2)


def rows_of(sequences):
    """{owner: [(job, action, day), ...]} of what is not padded."""
    found = {}
    for row in range(len(sequences)):
        held = slice(0, int(sequences.count[row]))
        parts = (sequences.job[row, held], sequences.action[row, held], sequences.at[row, held] / DAY_US)
        found.setdefault(int(sequences.owner[row]), []).append(list(zip(*(p.tolist() for p in parts), strict=True)))
    return found


def test_the_newest_actions_stand_in_ascending_time_and_the_rest_is_pad():
    log = log_of(("a", 2, APPLY, 9), ("a", 0, DISMISS, 3), ("b", 1, SAVE, 5))
    found = latest(log, JOBS, 10 * DAY_US, FOUR)
    assert rows_of(found) == {0: [[(0, DISMISS, 3), (2, APPLY, 9)]], 1: [[(1, SAVE, 5)]]}
    assert found.action.tolist() == [[DISMISS, APPLY, PAD, PAD], [SAVE, PAD, PAD, PAD]]
    assert not found.job[found.action == PAD].any()


def test_only_the_newest_of_a_long_history_are_kept():
    log = log_of(*(("a", day % 4, APPLY, day) for day in range(7)))
    assert rows_of(latest(log, JOBS, 6 * DAY_US, FOUR)) == {0: [[(day % 4, APPLY, day) for day in (3, 4, 5, 6)]]}


def test_an_action_leaves_exactly_when_the_window_has_passed():
    log = log_of(("a", 1, APPLY, 0), ("a", 2, APPLY, 20))
    assert rows_of(latest(log, JOBS, 28 * DAY_US - 1, FOUR))[0][0][0] == (1, APPLY, 0)
    assert rows_of(latest(log, JOBS, 28 * DAY_US, FOUR)) == {0: [[(2, APPLY, 20)]]}
    assert rows_of(latest(log, JOBS, 90 * DAY_US, FOUR)) == {0: [[]]}


def test_what_has_not_happened_yet_is_not_in_a_row():
    log = log_of(("a", 1, APPLY, 1), ("a", 2, APPLY, 2), ("b", 3, APPLY, 3))
    assert rows_of(latest(log, JOBS, 1 * DAY_US, FOUR)) == {0: [[(1, APPLY, 1)]]}


def test_a_repeated_action_counts_once():
    log = log_of(("a", 1, APPLY, 1), ("a", 1, APPLY, 1), ("a", 1, SAVE, 1))
    assert len(log) == 2


def test_windows_slide_back_from_the_newest_action_and_drop_what_is_too_short():
    log = log_of(*(("a", 0, APPLY, day) for day in range(7)), ("b", 1, APPLY, 0))
    ends = [[entry[2] for entry in row] for row in rows_of(windows(log, JOBS, FOUR))[0]]
    assert sorted(ends) == [[0, 1, 2], [1, 2, 3, 4], [3, 4, 5, 6]]
    assert 1 not in rows_of(windows(log, JOBS, FOUR)), "one action is no training row"


def test_a_training_row_reaches_back_from_its_own_end():
    log = log_of(("a", 0, APPLY, 0), ("a", 1, APPLY, 1), ("a", 2, APPLY, 60), ("a", 3, APPLY, 61))
    assert rows_of(windows(log, JOBS, FOUR))[0] == [[(0, APPLY, 0), (1, APPLY, 1)], [(2, APPLY, 60), (3, APPLY, 61)]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 60), st.sampled_from([3.0, 28.0, None]), st.integers(2, 8))
def test_rows_are_those_of_a_plain_loop(seed, events, window_days, length):
    config = WindowConfig(length=length, window_days=window_days, minimum=2, stride=3)
    log, jobs = random_log(5, events, 6, 40, seed), unit_jobs(6, 3, 0)
    as_of = 35 * DAY_US
    expected = {}
    for seeker in range(len(log.seeker_ids)):
        mine = [
            (int(log.job[i]), int(log.action[i]), log.at[i] / DAY_US, int(log.at[i]))
            for i in range(len(log))
            if log.seeker[i] == seeker and log.at[i] <= as_of
        ]
        if mine:
            recent = [entry for entry in mine if window_days is None or entry[3] > as_of - window_days * DAY_US]
            expected[seeker] = [[entry[:3] for entry in recent[-length:]]]
    assert rows_of(latest(log, jobs, as_of, config)) == expected


def test_log_tables_become_one_log_of_three_actions():
    def table(name, *rows):
        names = ("event_id", "seeker_id", "job_id", "occurred_at")
        columns = {key: [row[place] for row in rows] for place, key in enumerate(names)}
        return check_table(name, pa.table(columns))

    jobs = pa.table(
        {name: ["nurse", "cook"] for name in ("job_id", "account_id", "employer_id", "occupation", "title", "geo")}
        | {"posted_at": ["2026-01-01", "2026-01-01"]}
    )
    tables = {
        "jobs": check_table("jobs", jobs),
        "applications": table("applications", ("1", "a", "cook", "2026-01-02"), ("1", "a", "cook", "2026-01-02")),
        "dismissals": table("dismissals", ("2", "a", "nurse", "2026-01-01T12:00:00Z")),
    }
    taxonomy = build_taxonomy("two", [("nurse", "Nurse", "s", "m"), ("cook", "Cook", "s", "m")])
    log = log_of_tables(Tables(tables, taxonomy))
    assert list(zip(log.job.tolist(), log.action.tolist(), strict=True)) == [(0, DISMISS), (1, APPLY)]
    assert log.at.tolist() == [
        microseconds(datetime(2026, 1, 1, 12, tzinfo=UTC)),
        microseconds(datetime(2026, 1, 2, tzinfo=UTC)),
    ]
    tables["saves"] = table("saves", ("3", "a", "astronaut", "2026-01-03"))
    with pytest.raises(DataError, match=r"saves, row 0: job 'astronaut' is not in jobs"):
        log_of_tables(Tables(tables, taxonomy))


def test_a_profile_names_its_actions_and_unknown_jobs_are_counted():
    at = datetime(2026, 3, 1, tzinfo=UTC)
    seeker = SeekerProfile("a", activity=(Activity("cook", "save", at), Activity("gone", "apply", at)))
    log, unknown = log_of_profile(seeker, {name: row for row, name in enumerate(JOB_IDS)})
    assert (log.job.tolist(), log.action.tolist(), unknown) == ([1], [SAVE], 1)
    assert len(log_of_profile(SeekerProfile("b"), {})[0]) == 0


def test_one_moment_is_one_number_whatever_the_zone():
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    assert microseconds(noon.astimezone(ZoneInfo("Europe/Berlin"))) == microseconds(noon)
    assert microseconds(noon.astimezone(timezone(timedelta(hours=-5)))) == microseconds(noon)
    with pytest.raises(DataError, match="no time zone"):
        microseconds(datetime(2026, 7, 1))


@pytest.mark.parametrize("wrong", [{"minimum": 1}, {"minimum": 40}, {"stride": 0}, {"window_days": 0.0}])
def test_an_impossible_window_is_refused(wrong):
    with pytest.raises(ConfigError):
        WindowConfig(**wrong)
