"""Time: UTC inside, RFC 3339 with offset at the edge, and the calendar days of an account's IANA zone.

A day begins when the wall clock of the zone first shows its date and ends when the next begins. Days last 23, 24 or
25 hours; days that a zone jumped over (2011-12-30 in Pacific/Apia) last 0. Bounds come from the zone database, never
from adding 24 hours.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo, available_timezones

from market.errors import ConfigError

_RFC3339 = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt ]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


class Clock(Protocol):
    """Where `now` comes from: an argument of everything that needs it."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


@dataclass
class FixedClock:
    """A clock that stands still until it is told to move; for tests and simulations."""

    instant: datetime

    def __post_init__(self) -> None:
        self.instant = utc(self.instant)

    def now(self) -> datetime:
        return self.instant

    def advance(self, step: timedelta) -> None:
        """Move the clock on; time never runs back."""
        if step < timedelta(0):
            raise ConfigError(f"step {step}; a clock only moves forward")
        self.instant += step


def utc(instant: datetime) -> datetime:
    """The same instant in UTC; a naive time is refused."""
    if instant.tzinfo is None or instant.utcoffset() is None:
        raise ConfigError(f"time {instant.isoformat()} has no offset; give an aware datetime")
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ConfigError(f"time {instant.isoformat()} is outside the years 1 to 9999 in UTC") from None


def parse_rfc3339(text: str) -> datetime:
    """RFC 3339 text with an offset (Z or +hh:mm), as an instant in UTC.

    Digits beyond the microsecond are cut off, and a leap second (:60) is refused, since datetime has neither. Raises
    ConfigError for anything else that is not RFC 3339, times without offset among them.
    """
    match = _RFC3339.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ConfigError(f"time {text!r}; expected RFC 3339 with offset, such as 2026-03-01T08:00:00Z")
    *fields, fraction, offset = match.groups()
    micros = int((fraction or "")[:6].ljust(6, "0"))
    zone = "+00:00" if offset in "Zz" else offset
    year, month, day, hour, minute, second = fields
    try:
        local = datetime.fromisoformat(f"{year}-{month}-{day}T{hour}:{minute}:{second}.{micros:06d}{zone}")
    except ValueError as error:
        raise ConfigError(f"time {text!r} does not exist: {error}") from None
    return utc(local)


def format_rfc3339(instant: datetime) -> str:
    """RFC 3339 in UTC with a Z, microseconds only where there are some; `parse_rfc3339` reads back the same instant."""
    return utc(instant).isoformat().replace("+00:00", "Z")


def account_day(instant: datetime, zone: str) -> date:
    """The day of the zone that the instant belongs to: what the wall clock shows, within `day_bounds`."""
    where, moment = _zone(zone), utc(instant)
    try:
        shown = moment.astimezone(where).date()
        following = shown + timedelta(days=1)
        # The clock shows an old date again where it was set back across midnight; the new day has begun all the same.
        return following if moment >= _first_instant(following, where) else shown
    except OverflowError:
        raise ConfigError(f"time {moment.isoformat()} in {zone} is too near the years 1 or 9999") from None


def day_bounds(day: date, zone: str) -> tuple[datetime, datetime]:
    """The first instant of the day in the zone and the first instant after it, both UTC.

    A campaign's day is start <= instant < end: 23 or 25 hours when the clocks change, and start == end for a day that
    the zone jumped over. Where midnight itself does not exist the day starts when the gap ends; where the clock shows
    it twice, at the first. Consecutive days meet: the end of one is the start of the next.

    Where the clock was set back across midnight (America/St_Johns on 2010-11-07, from 00:01 to 23:01) the time that
    shows the old date again belongs to the new day, here and in `account_day`: days are intervals.
    """
    where = _zone(zone)
    try:
        return _first_instant(day, where), _first_instant(day + timedelta(days=1), where)
    except OverflowError:
        raise ConfigError(f"day {day} in {zone} reaches outside the years 1 to 9999") from None


@lru_cache(maxsize=4096)
def _first_instant(day: date, zone: ZoneInfo) -> datetime:
    """The first instant whose local date is `day` or later, in UTC."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    first = midnight.astimezone(UTC)  # fold 0: the first of two midnights
    if first.astimezone(zone).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return first
    # Midnight falls into a gap. Offsets just before and after bracket it; halve the bracket down to the second.
    before, after = int((first - timedelta(days=2)).timestamp()), int((first + timedelta(days=2)).timestamp())
    while after - before > 1:
        middle = (before + after) // 2
        if datetime.fromtimestamp(middle, zone).date() >= day:
            after = middle
        else:
            before = middle
    return datetime.fromtimestamp(after, UTC)


def _zone(name: str) -> ZoneInfo:
    if not isinstance(name, str) or name not in _names():
        raise ConfigError(f"unknown time zone {name!r}; give an IANA name such as Europe/Berlin")
    return ZoneInfo(name)


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones())
