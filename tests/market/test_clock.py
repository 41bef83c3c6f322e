from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.clock import (
    Clock,
    FixedClock,
    SystemClock,
    account_day,
    day_bounds,
    format_rfc3339,
    parse_rfc3339,
    utc,
)
from market.errors import ConfigError

ZONES = [
    *["UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "America/Havana", "America/St_Johns"],
    *["Asia/Beirut", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia", "Pacific/Kiritimati"],
]
HOUR = timedelta(hours=1)
instants = st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-03-01T08:00:00Z", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        ("2026-03-01t08:00:00z", datetime(2026, 3, 1, 8, tzinfo=UTC)),
        ("2026-03-01T08:00:00+01:00", datetime(2026, 3, 1, 7, tzinfo=UTC)),
        ("2026-03-01T08:00:00.25-05:30", datetime(2026, 3, 1, 13, 30, 0, 250_000, tzinfo=UTC)),
        ("2026-03-01T08:00:00.1234569Z", datetime(2026, 3, 1, 8, 0, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_rfc_3339_is_read_as_an_instant_in_utc(text: str, instant: datetime) -> None:
    assert parse_rfc3339(text) == instant
    assert parse_rfc3339(text).tzinfo is UTC


@pytest.mark.parametrize(
    "text",
    [
        *["2026-03-01T08:00:00", "2026-03-01", "20260301T080000Z", "2026-03-01T08:00Z", "2026-03-01T08:00:00+0100"],
        *["2026-02-30T08:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T08:00:60Z", "2026-03-01T08:00:00+25:00"],
        *["", "now", "2026-03-01T08:00:00Z ", "٢٠٢٦-03-01T08:00:00Z", "0001-01-01T00:00:00+01:00", 1772352000, None],
    ],
)
def test_a_time_without_offset_or_otherwise_malformed_is_refused(text: object) -> None:
    with pytest.raises(ConfigError, match="time "):
        parse_rfc3339(text)  # type: ignore[arg-type]


@settings(derandomize=True)
@given(instants)
def test_a_formatted_instant_is_read_back(instant: datetime) -> None:
    assert parse_rfc3339(format_rfc3339(instant)) == instant


def test_times_are_written_in_utc_with_a_z() -> None:
    there = datetime(2026, 3, 1, 8, tzinfo=timezone(2 * HOUR))
    assert format_rfc3339(there) == "2026-03-01T06:00:00Z"


def test_a_naive_time_is_refused_everywhere() -> None:
    naive = datetime(2026, 3, 1)
    for call in (utc, format_rfc3339, FixedClock, lambda when: account_day(when, "UTC")):
        with pytest.raises(ConfigError, match="no offset"):
            call(naive)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", date(2026, 3, 28), 24),
        ("Europe/Berlin", date(2026, 3, 29), 23),
        ("Europe/Berlin", date(2026, 10, 25), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("America/Sao_Paulo", date(2018, 11, 4), 23),  # midnight did not exist
        ("America/Havana", date(2025, 11, 2), 25),  # midnight came twice
        ("Pacific/Apia", date(2011, 12, 29), 24),
        ("Pacific/Apia", date(2011, 12, 30), 0),  # never happened
        ("Pacific/Apia", date(2011, 12, 31), 24),
        ("America/St_Johns", date(2010, 11, 6), 24),  # one minute after midnight the clock went back to 23:01
        ("America/St_Johns", date(2010, 11, 7), 25),
    ],
)
def test_a_day_lasts_as_long_as_its_zone_says(zone: str, day: date, hours: float) -> None:
    start, end = day_bounds(day, zone)
    assert end - start == hours * HOUR


def test_a_day_starts_when_the_gap_at_midnight_ends() -> None:
    start, _ = day_bounds(date(2018, 11, 4), "America/Sao_Paulo")
    assert start == datetime(2018, 11, 4, 3, tzinfo=UTC)


def test_a_skipped_day_starts_and_ends_where_the_next_one_starts() -> None:
    skipped, following = day_bounds(date(2011, 12, 30), "Pacific/Apia"), day_bounds(date(2011, 12, 31), "Pacific/Apia")
    assert skipped[0] == skipped[1] == following[0] == datetime(2011, 12, 30, 10, tzinfo=UTC)


@pytest.mark.parametrize("zone", ZONES)
def test_the_days_of_a_zone_meet_without_gap_or_overlap(zone: str) -> None:
    days = [date(2010, 1, 1) + timedelta(days=at) for at in range(3 * 365)]
    bounds = [day_bounds(day, zone) for day in days]
    assert all(earlier[1] == later[0] for earlier, later in pairwise(bounds))


@settings(derandomize=True, max_examples=300)
@given(instants, st.sampled_from(ZONES))
def test_an_instant_lies_within_its_own_day(instant: datetime, zone: str) -> None:
    start, end = day_bounds(account_day(instant, zone), zone)
    assert start <= instant < end


@pytest.mark.parametrize("minutes", [0, 1, 30, 60, 61, 120])
def test_a_clock_set_back_across_midnight_does_not_bring_yesterday_back(minutes: int) -> None:
    start, _ = day_bounds(date(2010, 11, 7), "America/St_Johns")
    assert account_day(start + timedelta(minutes=minutes), "America/St_Johns") == date(2010, 11, 7)


def test_the_day_is_the_one_of_the_zone_not_of_utc() -> None:
    instant = datetime(2026, 1, 1, 23, 30, tzinfo=UTC)
    assert account_day(instant, "Europe/Berlin") == date(2026, 1, 2)
    assert account_day(instant, "America/New_York") == date(2026, 1, 1)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "europe/berlin", "../etc/passwd", "Europe", None, 3])
def test_an_unknown_zone_is_refused_by_name(zone: object) -> None:
    with pytest.raises(ConfigError, match="IANA"):
        account_day(datetime(2026, 1, 1, tzinfo=UTC), zone)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="IANA"):
        day_bounds(date(2026, 1, 1), zone)  # type: ignore[arg-type]


def test_the_ends_of_the_calendar_are_refused_not_crashed_into() -> None:
    with pytest.raises(ConfigError, match="9999"):
        day_bounds(date.max, "Europe/Berlin")
    with pytest.raises(ConfigError, match="9999"):
        account_day(datetime.max.replace(tzinfo=UTC), "Europe/Berlin")


def test_a_fixed_clock_moves_only_when_told() -> None:
    clock = FixedClock(datetime(2026, 1, 1, 1, tzinfo=timezone(HOUR)))
    read: Clock = clock
    assert read.now() == read.now() == datetime(2026, 1, 1, tzinfo=UTC)
    clock.advance(HOUR)
    assert clock.now() == datetime(2026, 1, 1, 1, tzinfo=UTC)
    with pytest.raises(ConfigError, match="forward"):
        clock.advance(-HOUR)


def test_the_system_clock_tells_utc() -> None:
    assert SystemClock().now().tzinfo is UTC
