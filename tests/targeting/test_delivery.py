"""What a delivery report says: days, targets and reasons, on campaigns small enough to reckon by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.money import Money
from market.records import Job
from targeting.campaigns import Bid, Budget, Campaign, delivery
from targeting.delivery import (
    Cause,
    DayFigures,
    Figures,
    Market,
    bid_for_half,
    causes,
    pacing_share,
    today_of,
    utilization,
)
from targeting.supply import WEEK

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
JOB = Job("j1", "acme", "Nurse", "Acme", "Care", "31080")
FLAT = np.ones(WEEK)
GOOD = Market(requests=1_000, found=900, won=0.9, half_bid=100_000, a_day=1e9, open_share=1.0, full=0.5, filled=0.5)


def campaign(total: int = 1_000, daily: int | None = 100, zone: str = "UTC", **changes: object) -> Campaign:
    made = Campaign(
        "cmp_1", "acme", "j1", "Nurses", Budget(Money(total, "EUR"), None if daily is None else Money(daily, "EUR")),
        Bid("auto"), "clicks", NOON - 2 * DAY, None, zone, "even", "active", 1, NOON - 3 * DAY,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def figures(*posted: tuple[str, int], cap: int = 1_000, reserved: int = 0) -> Figures:
    days = tuple(DayFigures(day, 100, micros, 0, 0, 1) for day, micros in posted)
    return Figures(cap, sum(micros for _, micros in posted), reserved, 0, days, (), NOON - HOUR if posted else None)


def reasons(
    given: Campaign, job: Job | None = JOB, found: Figures = figures(), market: Market | None = GOOD, **changes: object
) -> tuple[Cause, ...]:
    stands = delivery(given, job, NOON, **changes)  # type: ignore[arg-type]
    return causes(given, job, stands, found, today_of(given, found, NOON), market)


def test_a_day_may_spend_its_cap_or_what_remained_when_it_began() -> None:
    found = figures(("2026-02-28", 70), ("2026-03-01", 20))
    today = today_of(campaign(), found, NOON)
    assert (today.day, today.budget, today.posted, today.remaining) == ("2026-03-01", 100, 20, 80)
    assert today_of(campaign(total=120, daily=100), found, NOON).budget == 50
    assert today_of(campaign(daily=None), found, NOON).budget == 930


def test_utilization_is_over_every_day_the_campaign_was_live() -> None:
    found = figures(("2026-02-28", 70), ("2026-03-01", 20))  # live since 27 February
    assert utilization(campaign(), found, NOON) == pytest.approx(90 / 300)
    assert utilization(campaign(total=150), found, NOON) == pytest.approx(90 / (100 + 100 + 80))
    assert utilization(campaign(daily=None), found, NOON) == pytest.approx(90 / (1_000 + 1_000 + 930))
    assert utilization(campaign(status="draft"), found, NOON) is None
    assert utilization(campaign(starts_at=NOON + HOUR, status="scheduled"), figures(), NOON) is None


def test_utilization_ends_with_the_campaign() -> None:
    over = campaign(ends_at=datetime(2026, 3, 1, tzinfo=UTC))
    assert utilization(over, figures(("2026-02-28", 50)), NOON + 9 * DAY) == pytest.approx(50 / 200)


def test_the_even_target_is_the_share_of_the_day_that_has_passed() -> None:
    today = today_of(campaign(), figures(), NOON)
    assert pacing_share(campaign(), today, NOON, FLAT) == pytest.approx(0.5)
    late = campaign(starts_at=NOON - 3 * HOUR)
    assert pacing_share(late, today, NOON, FLAT) == pytest.approx(3 / 15)
    ending = campaign(ends_at=NOON + 4 * HOUR)
    assert pacing_share(ending, today, NOON, FLAT) == pytest.approx(12 / 16)
    assert pacing_share(campaign(pacing="asap"), today, NOON, FLAT) == 1
    assert pacing_share(campaign(starts_at=NOON + HOUR), today, NOON, FLAT) == 0


def test_the_traffic_target_follows_the_requests_of_the_day() -> None:
    evenings = np.tile(np.repeat([0.0, 2.0], 12), 7)
    given_ = campaign(pacing="traffic")
    today = today_of(given_, figures(), NOON)
    assert pacing_share(given_, today, NOON, evenings) == 0
    assert pacing_share(given_, today, NOON + 6 * HOUR, evenings) == pytest.approx(0.5)
    assert pacing_share(given_, today, NOON, FLAT) == pytest.approx(0.5)


@pytest.mark.parametrize(("day", "hours"), [(29, 23), (25, 25)])
def test_the_target_reaches_all_by_local_midnight_on_days_of_23_and_25_hours(day: int, hours: int) -> None:
    month = 3 if hours == 23 else 10
    noon = datetime(2026, month, day, 12, tzinfo=UTC)
    for pacing in ("even", "traffic"):
        berlin = campaign(zone="Europe/Berlin", pacing=pacing)
        today = today_of(berlin, figures(), noon)
        assert (today.end - today.start) / HOUR == hours
        assert pacing_share(berlin, today, today.end - timedelta(seconds=1), FLAT) == pytest.approx(1, abs=1e-3)
        shares = [pacing_share(berlin, today, today.start + HOUR * at, FLAT) for at in range(hours)]
        assert shares == pytest.approx(np.arange(hours) / hours)


@given(
    minutes=st.integers(0, 24 * 60 - 1),
    pacing=st.sampled_from(["even", "traffic", "asap"]),
    shape=st.lists(st.floats(0, 5), min_size=WEEK, max_size=WEEK),
)
@settings(max_examples=60, deadline=None)
def test_a_target_is_a_share_and_never_falls_during_the_day(minutes: int, pacing: str, shape: list[float]) -> None:
    made = campaign(pacing=pacing)
    start = datetime(2026, 3, 1, tzinfo=UTC)
    today = today_of(made, figures(), start)
    now = start + timedelta(minutes=minutes)
    share = pacing_share(made, today, now, np.array(shape))
    assert 0 <= share <= 1
    assert share <= pacing_share(made, today, now + timedelta(minutes=7), np.array(shape)) + 1e-9


def only(found: tuple[Cause, ...]) -> Cause:
    [cause] = found
    return cause


def test_what_people_and_the_clock_decided_comes_first() -> None:
    assert only(reasons(campaign(status="draft"))).code == "draft"
    paused = only(reasons(campaign(status="paused")))
    assert (paused.code, paused.binding_constraint) == ("paused", "status")
    later = only(reasons(campaign(status="scheduled", starts_at=NOON + HOUR)))
    assert (later.code, later.binding_constraint) == ("starts_later", "schedule")
    ended = only(reasons(campaign(ends_at=NOON - HOUR)))
    assert (ended.code, ended.since) == ("completed", NOON - HOUR)


def test_a_job_that_is_over_or_gone_is_named_with_its_time() -> None:
    expired = only(reasons(campaign(), replace(JOB, expires_at=NOON - HOUR)))
    assert (expired.code, expired.since, expired.binding_constraint) == ("job_expired", NOON - HOUR, "job")
    assert only(reasons(campaign(), None)).code == "job_deleted"


def test_an_engine_without_artefacts_is_not_the_advertisers_fault() -> None:
    cause = only(reasons(campaign(), engine_missing="no artefacts"))
    assert (cause.code, cause.binding_constraint) == ("engine_not_ready", "engine")


def test_a_used_up_budget_says_which_one() -> None:
    spent_today = figures(("2026-03-01", 100))
    daily = only(reasons(campaign(), found=spent_today, out_of_money=True))
    assert (daily.code, daily.binding_constraint, daily.since) == ("budget_used_up", "budget_daily", NOON - HOUR)
    assert "2026-03-02T00:00:00Z" in daily.suggested_fix
    spent = figures(("2026-02-28", 950), ("2026-03-01", 50))
    total = only(reasons(campaign(), found=spent, out_of_money=True))
    assert total.binding_constraint == "budget_total"
    assert "reserved" not in total.detail
    waiting = only(reasons(campaign(), found=figures(("2026-02-28", 900), reserved=100), out_of_money=True))
    assert "reserved" in waiting.detail


def test_a_campaign_that_fares_well_has_no_reason() -> None:
    assert reasons(campaign()) == ()
    assert reasons(campaign(), market=None) == ()


@pytest.mark.parametrize(
    ("market", "codes"),
    [
        (replace(GOOD, requests=0, found=0), ["no_traffic"]),
        (replace(GOOD, found=0.1), ["audience_too_small"]),
        (replace(GOOD, won=0.2), ["bid_low"]),
        (replace(GOOD, won=0.2, full=0.9, filled=0.5), ["bid_low", "ad_load"]),
        (replace(GOOD, open_share=0.5), ["frequency_cap"]),
        (replace(GOOD, a_day=50), ["audience_too_small"]),
    ],
)
def test_what_keeps_a_shown_campaign_from_spending_is_told(market: Market, codes: list[str]) -> None:
    found = reasons(campaign(), market=market)
    assert [cause.code for cause in found] == codes
    assert all(cause.detail and cause.suggested_fix for cause in found)


def test_a_low_bid_is_told_with_the_bid_that_would_win_half() -> None:
    cause = reasons(campaign(), market=replace(GOOD, won=0.2, half_bid=1_234_560))[0]
    assert "20%" in cause.detail
    assert "1.23456 EUR" in cause.suggested_fix
    assert cause.binding_constraint == "bid"


def test_the_bid_for_half_is_the_least_one() -> None:
    found = bid_for_half(lambda bid: bid / 1_000_000, 100_000, 10_000_000)
    assert found is not None
    assert 500_000 <= found <= 506_000
    assert bid_for_half(lambda _: 0.4, 100_000, 10_000_000) is None
    assert bid_for_half(lambda _: 1.0, 100_000, 10_000_000) == pytest.approx(100_000, rel=0.02)
