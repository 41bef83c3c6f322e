"""Where the money is, by day and hour: sums agree to the micro, and every query goes through an index."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from market.clock import account_day, day_bounds
from market.errors import NotFoundError
from targeting.campaigns import Campaign
from targeting.delivery import Figures, all_hours
from targeting.storage.delivery_store import DeliveryStore
from tests.targeting.storage.conftest import NOON, Till

HOUR = timedelta(hours=1)


def figures(till: Till, campaign: Campaign, now: datetime = NOON) -> Figures:
    since = now - 47 * HOUR
    day = account_day(since - HOUR, campaign.time_zone).isoformat()
    return DeliveryStore(till.database).figures(campaign.campaign_id, since, day)


def test_a_campaign_that_nobody_clicked_has_spent_nothing(till: Till) -> None:
    campaign = till.campaign()
    till.serve(campaign, 100, p_click=0.5)
    found = figures(till, campaign)
    assert (found.cap, found.posted, found.reserved, found.unbilled) == (1_000, 0, 100, 0)
    [day] = found.days
    assert (day.day, day.posted, day.reserved, day.clicks) == ("2026-03-01", 0, 100, 0)
    assert found.hours == ()
    assert found.last_posted_at is None


def test_clicks_are_found_in_their_hour_and_their_day(till: Till) -> None:
    campaign = till.campaign(total=1_000)
    for at, price in ((NOON - 26 * HOUR, 10), (NOON - 2 * HOUR, 20), (NOON - 2 * HOUR + timedelta(minutes=5), 30)):
        till.take(till.event(till.serve(campaign, price, now=at), at=at), now=at)
    found = figures(till, campaign)
    assert [(each.hour, each.posted, each.clicks) for each in found.hours] == [
        (NOON - 26 * HOUR, 10, 1),
        (NOON - 2 * HOUR, 50, 2),
    ]
    assert [(day.day, day.posted, day.clicks) for day in found.days] == [("2026-02-28", 10, 1), ("2026-03-01", 50, 2)]
    hours = all_hours(found, NOON)
    assert len(hours) == 48
    assert hours[-1].hour == NOON
    assert sum(each.posted for each in hours) == 60


def test_what_was_not_billed_is_told(till: Till) -> None:
    campaign = till.campaign(total=100)
    first, second = till.serve(campaign, 80), till.serve(campaign, 80)
    till.take(till.event(first), till.event(second))
    found = figures(till, campaign)
    assert (found.posted, found.unbilled) == (100, 60)
    assert found.unbilled == till.journal.totals(campaign.campaign_id).unbilled


def test_a_campaign_that_is_not_there_is_said_so(till: Till) -> None:
    with pytest.raises(NotFoundError):
        DeliveryStore(till.database).figures("cmp_9", NOON, "2026-03-01")


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]
# Hours around both changes of the clocks in Berlin, New York and Lord Howe, and prices.
SERVED = st.lists(
    st.tuples(st.sampled_from([0, 28 * 24, 5 * 7 * 24, 217 * 24]), st.integers(0, 60), st.integers(1, 300)), max_size=12
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(served=SERVED, zone=st.sampled_from(ZONES), total=st.integers(1, 1_500), daily=st.none() | st.integers(1, 400))
def test_the_days_add_up_to_the_total_exactly_in_every_zone(
    shared_till: Till, served: list[tuple[int, int, int]], zone: str, total: int, daily: int | None
) -> None:
    campaign = shared_till.campaign(total, None if daily is None else min(daily, total), zone)
    latest = NOON
    for start, hours, price in sorted(served):
        at = NOON + (start + hours) * HOUR
        token = shared_till.serve(campaign, price, now=at)
        if token is not None:
            shared_till.take(shared_till.event(token, at=at), now=at)
            latest = max(latest, at)
    found = figures(shared_till, campaign, latest)
    totals = shared_till.journal.totals(campaign.campaign_id)
    assert sum(day.posted for day in found.days) == found.posted == totals.posted
    assert sum(day.reserved for day in found.days) == found.reserved == totals.reserved
    assert found.unbilled == totals.unbilled
    first = latest.replace(minute=0) - 47 * HOUR
    for day in found.days:
        start, end = day_bounds(datetime.fromisoformat(day.day).date(), zone)
        if start >= first and end <= latest:
            assert sum(each.posted for each in found.hours if start <= each.hour < end) == day.posted


def test_every_query_of_a_report_goes_through_an_index(till: Till) -> None:
    if till.database.path is None:
        pytest.skip("PostgreSQL reads tables this small from end to end")
    campaign = till.campaign()
    asked: list[tuple[str, object]] = []

    def listen(_connection: object, _cursor: object, statement: str, given: object, *_: object) -> None:
        asked.append((statement, given))

    event.listen(till.database.engine, "before_cursor_execute", listen)
    figures(till, campaign)
    event.remove(till.database.engine, "before_cursor_execute", listen)
    queries = [each for each in asked if each[0].lstrip().upper().startswith("SELECT")]
    assert len(queries) >= 6
    raw = till.database.engine.raw_connection()
    try:
        for statement, given in queries:
            plan = raw.cursor().execute("EXPLAIN QUERY PLAN " + statement, given).fetchall()  # type: ignore[arg-type]
            assert not [row for row in plan if "SCAN" in str(row[-1])], (statement, plan)
    finally:
        raw.close()
