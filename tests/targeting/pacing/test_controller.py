"""The controller by itself: minutes are arguments, and what comes of a price can be checked by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.errors import ConfigError
from market.money import Money
from targeting.campaigns import Bid, Budget, Campaign
from targeting.pacing.controller import Paced, PacingConfig, Reading, Span, advance, begun, shown, span_of
from targeting.pacing.prices import Price, PriceBoard, bid

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
CONFIG = PacingConfig()
DAY = "2026-03-02"
AT_NOON = Paced(DAY, 1e-6, 1e-8, 1e-4, True, 1_000_000.0, 500_000.0, 0.5, NOW)


def campaign(max_cpc: int | None = None, target: int | None = None, **changes: object) -> Campaign:
    euros = [None if micros is None else Money(micros, "EUR") for micros in (max_cpc, target)]
    made = Campaign(
        "cmp_1", "acme", "j1", "n", Budget(Money(10**9, "EUR")), Bid("auto", *euros),
        "qualified_applications", NOW, None, "UTC", "even", "active", 1, NOW,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


def reading(spent: float, share: float = 0.501, **changes: object) -> Reading:
    return replace(Reading(DAY, 1_000_000.0, spent, share), **changes)  # type: ignore[arg-type]


def test_spending_as_planned_leaves_the_price_alone_faster_raises_it_slower_lowers_it() -> None:
    as_planned = 500_000 + 0.5 * 1_000_000 * (0.001 / 0.5)
    prices = [
        advance(AT_NOON, reading(spent), NOW + MINUTE, CONFIG, None).price for spent in (as_planned, 510_000, 500_000)
    ]
    assert prices[0] == pytest.approx(1e-6)
    assert prices[1] == pytest.approx(1e-6 * math.exp(10 * (0.01 - 0.001)))
    assert prices[2] == pytest.approx(1e-6 * math.exp(-10 * 0.001))


def test_a_first_plan_is_taken_as_it_is_and_a_later_one_by_half() -> None:
    unplanned = replace(AT_NOON, planned=False, at=NOW - timedelta(days=1))
    assert advance(unplanned, reading(0), NOW, CONFIG, 5e-6).price == 5e-6
    late = replace(AT_NOON, at=NOW - timedelta(days=1))
    assert advance(late, reading(0), NOW, CONFIG, 5e-6).price == pytest.approx(3e-6)


def test_after_a_pause_nothing_is_concluded_from_what_was_not_spent() -> None:
    later = NOW + timedelta(hours=3)
    resumed = advance(AT_NOON, reading(500_000, 0.8), later, CONFIG, None)
    assert (resumed.price, resumed.share) == (1e-6, 0.8)
    after = advance(resumed, reading(500_000, 0.801), later + MINUTE, CONFIG, None)
    assert after.price == pytest.approx(1e-6 * math.exp(-10 * 0.5 * 0.001 / 0.2))


def test_a_new_day_begins_with_nothing_spent() -> None:
    evening = replace(AT_NOON, spent=1_000_000.0, share=0.9999)
    morning = reading(0.0, 0.001, day="2026-03-03")
    assert advance(evening, morning, NOW + MINUTE, CONFIG, None).price == pytest.approx(1e-6 * math.exp(-10 * 0.001))


def test_a_day_of_flat_traffic_is_spent_evenly_from_a_price_three_times_too_high_or_too_low() -> None:
    for first in (3e-6, 3e-7):
        state = begun(Span(1e-9, 1e-3), first / 1e-3, reading(0.0, 0.0), NOW)
        spent, at_quarters = 0.0, []
        for minute in range(1, 1441):
            spent = min(1_000_000.0, spent + 1_500 * min(2.0, 1e-6 / state.price))  # dearer money buys less
            state = advance(state, reading(spent, minute / 1440), NOW + minute * MINUTE, CONFIG, None)
            if minute % 360 == 0:
                at_quarters.append(spent / 1_000_000)
        assert at_quarters == pytest.approx([0.25, 0.5, 0.75, 1.0], abs=0.1)


def test_a_campaign_that_nobody_knows_starts_half_way_and_comes_down_until_it_spends() -> None:
    state = begun(Span(1e-6, 1e-2), None, reading(0.0, 0.0), NOW)
    assert state.price == pytest.approx(1e-4)
    idle = advance(state, reading(0.0, 0.001), NOW + MINUTE, CONFIG, None)
    assert idle.price == pytest.approx(1e-4 * math.exp(-5 * 20 * 0.001))
    spends = advance(state, reading(500.0, 0.001), NOW + MINUTE, CONFIG, None)
    assert spends.price == pytest.approx(1e-4 * math.exp(-20 * 0.0005))


def test_a_campaign_that_nobody_knows_is_shown_at_once_to_whom_it_fits_best_and_to_nobody_else() -> None:
    span = span_of(np.array([0.01, 0.02, 0.4]), np.ones(3), ceiling=800_000, reserve=100_000)
    price = Price(begun(span, None, reading(0.0, 0.0), NOW).price)
    bids = [bid(campaign(), worth, price, 800_000) for worth in (0.01, 0.02, 0.4)]
    assert bids[0] < bids[1] < 100_000 < bids[2]


def test_a_campaign_far_ahead_of_its_plan_bids_nothing_until_the_plan_has_caught_up() -> None:
    ahead = replace(AT_NOON, spent=610_000.0)
    assert shown(ahead, CONFIG) == math.inf
    assert bid(campaign(), 1.0, Price(math.inf), 800_000) == 0
    assert shown(replace(ahead, share=0.52), CONFIG) == ahead.price


def test_cost_above_the_target_lowers_bids_by_it_and_cost_below_raises_them() -> None:
    before = replace(AT_NOON, cpa=1 / 2_000_000, cpa_cost=0.0, cpa_value=0.0)
    dear = advance(before, reading(5e5, target_cpa=2_000_000, cost=100_000, value=0.01), NOW + MINUTE, CONFIG, None)
    cheap = advance(before, reading(5e5, target_cpa=2_000_000, cost=10_000, value=0.05), NOW + MINUTE, CONFIG, None)
    assert dear.cpa == pytest.approx(1 / 2_000_000 * math.exp(10 * 0.08))
    assert cheap.cpa is not None
    assert cheap.cpa < 1 / 2_000_000
    assert advance(dear, reading(5e5), NOW + MINUTE, CONFIG, None).cpa is None


def test_prices_stay_where_they_have_an_effect() -> None:
    span = span_of(np.array([0.01, 0.02, 0.4]), np.ones(3), ceiling=800_000, reserve=100_000)
    assert span.lowest == pytest.approx(0.01 / 800_000)
    assert span.highest == pytest.approx(1.05 * 0.4 / 100_000)
    assert span_of(np.zeros(2), np.ones(2), 800_000, 100_000) == Span(0.0, 0.0)


@settings(deadline=None)  # the first call compiles
@given(
    price=st.floats(0, 1e3),
    spent=st.floats(0, 2e6),
    share=st.floats(0, 1),
    plan=st.none() | st.floats(0, 1e3),
    gap=st.integers(0, 4000),
)
def test_whatever_comes_in_the_price_is_within_its_bounds(
    price: float, spent: float, share: float, plan: float | None, gap: int
) -> None:
    before = replace(AT_NOON, price=price)
    after = advance(before, reading(spent, share), NOW + timedelta(seconds=gap), CONFIG, plan)
    assert before.lowest <= after.price <= before.highest


@settings(deadline=None)  # the first call compiles
@given(
    qualified=st.floats(0, 1),
    money=st.floats(0, 1e6),
    cpa=st.none() | st.floats(1e-15, 1e6),
    ceiling=st.integers(1, 10**9),
    target=st.none() | st.integers(1, 10**9),
    pacing=st.sampled_from(["even", "traffic", "asap"]),
    objective=st.sampled_from(["qualified_applications", "hires", "clicks"]),
)
def test_no_bid_is_above_max_cpc(
    qualified: float, money: float, cpa: float | None, ceiling: int, target: int | None, pacing: str, objective: str
) -> None:
    one = campaign(ceiling, target, pacing=pacing, objective=objective)
    found = bid(one, qualified, Price(money, cpa), ceiling)
    assert 0 <= found <= ceiling
    board = PriceBoard()
    board.put({"cmp_1": Price(money, cpa)}, {})
    assert board.bid(one, qualified) == found


def test_bids_follow_worth_and_price() -> None:
    price = Price(1e-7)
    assert bid(campaign(), 0.05, price, 800_000) == 500_000
    assert bid(campaign(), 0.2, price, 800_000) == 800_000
    assert bid(campaign(pacing="asap"), 0.05, price, 800_000) == 800_000
    assert bid(campaign(objective="clicks"), 0.05, Price(2e-6), 800_000) == 500_000
    assert bid(campaign(target=5_000_000), 0.05, price, 800_000) == 250_000
    assert bid(campaign(target=5_000_000), 0.05, Price(1e-7, 4e-7), 800_000) == 125_000
    manual = replace(campaign(400_000), bid=Bid("manual", Money(400_000, "EUR")))
    assert bid(manual, 0.02, price, 400_000) == 200_000


def test_a_campaign_without_a_price_begins_with_that_of_its_like() -> None:
    board = PriceBoard()
    assert board.bid(campaign(), 0.05) == board.auto_micros
    board.put({}, {("qualified applications", "EUR"): 1e-6, ("clicks", "EUR"): 1e-3})
    assert board.bid(campaign(), 0.05) == 50_000


@pytest.mark.parametrize("wrong", [{"eta": 0.0}, {"damping": 1.5}, {"replan_seconds": -1.0}, {"segments": 0}])
def test_settings_that_can_not_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        PacingConfig(**wrong)  # type: ignore[arg-type]
