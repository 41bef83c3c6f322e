"""Clicks that nobody should pay for: told by the token when they come in, or by a review of what a seeker did.

By the token alone, at ingestion: a click that occurred before its item was served is taken, billed 0 and its code is
`invalid_click`. A token says the second in which it was served and many senders report whole seconds, so half a second
of reaction can not be told from none. Who has a finer clock on both sides sets `reaction`.

The review looks at charges: of one seeker, campaign, local day and window at most the dearest click is billed (a lane),
and its first click is when the charge happened. A charge is given back, all of it, when

    burst             the seeker made burst_charges others within the ten minutes before it
    many_in_a_day     the seeker made daily_charges others on the same campaign and local day before it
    never_seen        the seeker made unseen_charges or more that UTC day, and not one impression of theirs came in
                      (a day without a promoted impression of anybody says nothing, and is passed over)

Only moments that are closed are judged: no click of then can come in any more. So which charges are invalid depends
on the events alone, whenever the review runs, however often, and in how many processes. How much is given back is what
they were billed: where a cap had been reached, that depends on which click came first.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from market.clock import utc
from market.errors import ConfigError
from targeting.storage.credits import Credit, credit
from targeting.storage.database import Database
from targeting.storage.journal import BillingConfig
from targeting.storage.ledger_tables import CreditRow, EventRow, PostingRow, ReserveRow
from targeting.tokens import LIFE

INVALID = "invalid_click"
BURST, MANY_IN_A_DAY, NEVER_SEEN = "burst", "many_in_a_day", "never_seen"
_DAY = timedelta(days=1)
_CREDITED = 500  # postings given back in one transaction


@dataclass(frozen=True)
class InvalidClickConfig:
    """reaction: a click sooner after the second of serving is invalid; look_back: how far a review goes back.

    burst_charges: so many other charges of a seeker just before make one invalid; burst_window: what just before means;
    daily_charges: so many on the same campaign and local day before make one invalid; unseen_charges: so many a day
    without one impression make all of them invalid.
    """

    reaction: timedelta = timedelta(0)
    burst_charges: int = 10
    burst_window: timedelta = timedelta(minutes=10)
    daily_charges: int = 5
    unseen_charges: int = 10
    look_back: timedelta = timedelta(days=7)

    def __post_init__(self) -> None:
        for name in ("burst_charges", "daily_charges", "unseen_charges"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name)}; expected at least 1")
        if not timedelta(0) <= self.reaction < timedelta(minutes=1):
            raise ConfigError(f"reaction {self.reaction}; expected less than a minute, not negative")
        if not timedelta(0) < self.burst_window <= _DAY:
            raise ConfigError(f"burst_window {self.burst_window}; expected more than nothing, at most a day")
        if self.look_back < _DAY:
            raise ConfigError(f"look_back {self.look_back}; expected a day or more")

    def too_soon(self, occurred_at: datetime, issued_at: int) -> bool:
        """Did the click occur before somebody could have seen what the token was issued for?"""
        return occurred_at < datetime.fromtimestamp(issued_at, UTC) + self.reaction


@dataclass(frozen=True)
class Charge:
    """What a seeker was billed for together, at its first click."""

    seeker_id: str
    at: datetime
    lane: str
    campaign_id: str
    day: str


class InvalidClicks:
    """Gives back what the rules say nobody should pay for."""

    def __init__(
        self,
        database: Database,
        billing: BillingConfig = BillingConfig(),
        config: InvalidClickConfig = InvalidClickConfig(),
    ) -> None:
        self._database, self._config = database, config
        self._closing = LIFE + billing.grace + billing.ahead  # from a click to the last one that could come before it

    def review(self, now: datetime) -> list[Credit]:
        """Judge what is closed at `now` and give back what is invalid; returns what is new. Safe to repeat."""
        closed = utc(now) - self._closing
        since = closed - self._config.look_back
        with self._database.reading() as session:
            # The rules look at what came before a charge: a burst window, or a local day, which has up to 25 hours.
            charges = _charges(session, since - 2 * _DAY, closed)
            invalid = dict(burst_or_many(charges, self._config))
            for lane in self._never_seen(session, charges, closed):
                invalid.setdefault(lane, NEVER_SEEN)
            judged = {each.lane: each.at >= since for each in charges}
            lanes = {lane: rule for lane, rule in invalid.items() if judged[lane]}
            reasons = list(_not_credited(session, lanes))
        given: list[Credit] = []
        for start in range(0, len(reasons), _CREDITED):
            with self._database.writing() as session:
                given += credit(session, dict(reasons[start : start + _CREDITED]), now)
        return given

    def _never_seen(self, session: Session, charges: Sequence[Charge], closed: datetime) -> Iterator[str]:
        by_day: dict[tuple[date, str], list[str]] = defaultdict(list)
        for each in charges:
            by_day[each.at.date(), each.seeker_id].append(each.lane)
        many = {place: lanes for place, lanes in by_day.items() if len(lanes) >= self._config.unseen_charges}
        for day in sorted({day for day, _ in many}):
            start = datetime.combine(day, time(), UTC)
            if start + _DAY > closed:
                continue
            shown = (
                select(EventRow.seeker_id)
                .distinct()
                .where(
                    EventRow.type == "impression",
                    EventRow.token_id.is_not(None),
                    EventRow.occurred_at >= start,
                    EventRow.occurred_at < start + _DAY,
                    EventRow.received_at < start + _DAY + self._closing,  # later ones would change a judgement
                )
            )
            seen = set(session.scalars(shown))
            for (on, seeker_id), lanes in many.items():
                if on == day and seen and seeker_id not in seen:
                    yield from lanes


def burst_or_many(charges: Sequence[Charge], config: InvalidClickConfig) -> Iterator[tuple[str, str]]:
    """(lane, rule) of the charges that come too thick; charges in order of seeker, moment and lane."""
    for _, of_seeker in groupby(charges, lambda each: each.seeker_id):
        ordered = list(of_seeker)
        moments = [each.at for each in ordered]
        on_day: dict[tuple[str, str], int] = defaultdict(int)
        for at, each in enumerate(ordered):
            place = each.campaign_id, each.day
            if at - bisect_left(moments, each.at - config.burst_window) >= config.burst_charges:
                yield each.lane, BURST
            elif on_day[place] >= config.daily_charges:
                yield each.lane, MANY_IN_A_DAY
            on_day[place] += 1


def _charges(session: Session, since: datetime, until: datetime) -> list[Charge]:
    """Lanes with a valid click between the two moments, in order of seeker, first click and lane."""
    first = func.min(EventRow.occurred_at)
    query = (
        select(ReserveRow.seeker_id, first, ReserveRow.lane, ReserveRow.campaign_id, ReserveRow.day)
        .join(EventRow, EventRow.token_id == ReserveRow.token_id)
        .where(
            EventRow.type == "click",
            EventRow.occurred_at >= since,
            EventRow.occurred_at <= until,
            func.coalesce(EventRow.code, "") != INVALID,
            ReserveRow.lane.is_not(None),
            ReserveRow.seeker_id.is_not(None),
        )
        .group_by(ReserveRow.lane, ReserveRow.seeker_id, ReserveRow.campaign_id, ReserveRow.day)
        .order_by(ReserveRow.seeker_id, first, ReserveRow.lane)
    )
    return [
        Charge(seeker_id, at, lane, campaign_id, day)
        for seeker_id, at, lane, campaign_id, day in session.execute(query)
        if seeker_id is not None and lane is not None
    ]


def _not_credited(session: Session, lanes: dict[str, str]) -> Iterator[tuple[str, str]]:
    """(event id, rule) of the postings of the lanes that were not given back yet."""
    names = sorted(lanes)
    for start in range(0, len(names), _CREDITED):
        query = (
            select(PostingRow.event_id, ReserveRow.lane)
            .join(ReserveRow, ReserveRow.token_id == PostingRow.token_id)
            .outerjoin(CreditRow, CreditRow.event_id == PostingRow.event_id)
            .where(ReserveRow.lane.in_(names[start : start + _CREDITED]), CreditRow.event_id.is_(None))
            .order_by(PostingRow.event_id)
        )
        for event_id, lane in session.execute(query):
            if lane is not None:
                yield event_id, lanes[lane]
