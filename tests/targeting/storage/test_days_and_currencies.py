"""Days and amounts at their edges: one budget a local day in every zone of the world, and money without rounding."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, available_timezones

import pytest
from sqlalchemy import text

from market.clock import account_day, day_bounds
from market.money import Money
from targeting.campaigns import Budget
from targeting.engine import SlateItem
from targeting.storage.journal import Served
from targeting.tokens import sign

if TYPE_CHECKING:
    from tests.targeting.storage.conftest import Till

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = b"a secret of thirty-two bytes ...."
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOTABLE = [("Australia/Lord_Howe", 2026), ("Pacific/Apia", 2011), ("America/Havana", 2026), ("Europe/Dublin", 2026)]


def switches(zone: str, year: int) -> list[datetime]:
    """Moments of the year, to the hour, at which the zone's offset changes."""
    where = ZoneInfo(zone)
    hours = [datetime(year, 1, 1, tzinfo=UTC) + at * HOUR for at in range(366 * 24)]
    offsets = [hour.astimezone(where).utcoffset() for hour in hours]
    return [hours[at + 1] for at, (before, after) in enumerate(pairwise(offsets)) if before != after]


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_around_every_switch_of_every_zone_each_quarter_of_an_hour_lies_in_exactly_one_day() -> None:
    looked_at = sum(days_meet_around(zone, 2026) for zone in sorted(available_timezones()))
    print(f"{len(available_timezones())} zones, {looked_at} switches in 2026")
    assert looked_at > 200


@pytest.mark.parametrize(("zone", "year"), NOTABLE)
def test_around_a_switch_each_quarter_of_an_hour_lies_in_exactly_one_day(zone: str, year: int) -> None:
    assert days_meet_around(zone, year) in (2, 3)


def days_meet_around(zone: str, year: int) -> int:
    """Checks two days on each side of the zone's switches; returns how many there are."""
    found = switches(zone, year)
    for switch in found:
        moments = [switch + quarter * 15 * MINUTE for quarter in range(-192, 193)]
        days = [account_day(moment, zone) for moment in moments]
        assert days == sorted(days), zone  # no day comes back
        for moment, day in zip(moments, days, strict=True):
            start, end = day_bounds(day, zone)
            assert start <= moment < end, (zone, moment)
        for earlier, later in pairwise(sorted(set(days))):
            assert day_bounds(earlier, zone)[1] == day_bounds(later, zone)[0], (zone, earlier)
    return len(found)


def switch_days() -> list[tuple[str, date]]:
    """One zone for each kind of switch in 2026: its offset before, its offset after and the local hour."""
    kinds: dict[tuple[object, ...], tuple[str, date]] = {}
    for zone in sorted(available_timezones()):
        for switch in switches(zone, 2026):
            where = ZoneInfo(zone)
            before, after = (moment.astimezone(where) for moment in (switch - HOUR, switch))
            kinds.setdefault((before.utcoffset(), after.utcoffset(), after.hour), (zone, account_day(switch, zone)))
    return sorted(kinds.values())


def spend_around(till: Till, zone: str, day: date, step: timedelta) -> None:
    """Serve and click all the time from the day before to the day after; each day ends on its whole budget."""
    campaign = till.campaign(total=10_000, daily=100, zone=zone)
    start, end = day_bounds(day - DAY, zone)[0], day_bounds(day + DAY, zone)[1]
    clicked, now = 0, start
    while now < end:
        token = till.serve(campaign, 60, now=now)
        if token is not None:
            till.take(till.event(token, at=now), now=now)
            clicked += 1
        now += step
    totals = till.journal.totals(campaign.campaign_id)
    lived = [each for each in (day - DAY, day, day + DAY) if day_bounds(each, zone)[0] < day_bounds(each, zone)[1]]
    assert totals.posted_by_day == {each.isoformat(): 100 for each in lived}, zone
    assert totals.posted == 100 * len(lived)
    assert clicked == 2 * len(lived)


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Australia/Lord_Howe", date(2026, 4, 5)),
        ("Pacific/Apia", date(2011, 12, 30)),
        ("America/Havana", date(2026, 11, 1)),
        ("America/St_Johns", date(2010, 11, 7)),
    ],
)
def test_every_day_that_happens_has_one_budget_and_spends_all_of_it(till: Till, zone: str, day: date) -> None:
    spend_around(till, zone, day, 3 * HOUR)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_every_kind_of_switch_in_the_world_leaves_one_budget_a_day(shared_till: Till) -> None:
    days = switch_days()
    for zone, day in days:
        spend_around(shared_till, zone, day, HOUR)
    print(f"{len(days)} kinds of switches")


def test_a_clock_that_goes_back_over_midnight_does_not_open_a_day_twice(till: Till) -> None:
    campaign = till.campaign(total=1_000, daily=100)
    midnight = NOON.replace(hour=0) + DAY
    moments = [midnight + at * MINUTE for at in (-2, -1, 1, 2, -3, -2, -1, 1, 3)]  # five minutes back in the middle
    for now in moments:
        for _ in range(2):
            token = till.serve(campaign, 60, now=now)
            if token is not None:
                till.take(till.event(token, at=now), now=now)
    assert till.journal.totals(campaign.campaign_id).posted_by_day == {"2026-03-01": 100, "2026-03-02": 100}


def test_holds_that_were_let_go_stay_so_when_the_clock_goes_back(till: Till) -> None:
    campaign = till.campaign(total=100)
    token = till.serve(campaign, 100, p_click=1.0)
    till.journal.release(NOON + 40 * MINUTE)
    till.journal.release(NOON + 35 * MINUTE)
    assert till.serve(campaign, 100, now=NOON + 36 * MINUTE, p_click=1.0) is not None
    assert till.billed(till.event(token, at=NOON + 29 * MINUTE), now=NOON + 36 * MINUTE) == [100]
    assert till.posted(campaign) == 100  # and never more than the cap, whichever of the two is clicked


@pytest.mark.parametrize(("currency", "smallest"), [("JPY", "1"), ("EUR", "0.01"), ("KWD", "0.001")])
def test_currencies_of_no_two_and_three_decimals_are_billed_without_rounding(
    till: Till, currency: str, smallest: str
) -> None:
    unit = Money.parse(smallest, currency).amount_micros
    made = till.campaign(total=7 * unit)
    campaign = replace(made, budget=Budget(Money(7 * unit, currency), Money(5 * unit, currency)), version=2)
    with till.database.writing() as session:
        session.execute(
            text("UPDATE campaigns SET currency = :c WHERE campaign_id = :i"), {"c": currency, "i": made.campaign_id}
        )
    till.store.replace_campaign(campaign)
    billed = []
    for number in range(6):
        now = NOON + number // 3 * DAY
        offer = replace(till.offer(campaign, 3 * unit - number, now), currency=currency)
        token = sign(offer, SECRET)
        item = SlateItem("j1", "promoted", 1, 1.0, (), True, "Acme", token, campaign.campaign_id, offer)
        if not till.journal.reserve(Served(f"sla_{number}", None, (item,)), now):
            [outcome] = till.take(till.event(token, at=now), now=now)
            assert outcome.billed is not None
            billed.append(outcome.billed)
    assert {each.currency for each in billed} == {currency}
    assert [each.amount_micros for each in billed] == [3 * unit, 2 * unit, 2 * unit]
    assert till.posted(campaign) == 7 * unit
    for each in billed:
        assert Money.parse(each.format(), currency) == each
