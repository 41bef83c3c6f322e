"""Forecasts in worlds small enough for a closed form, and what holds whatever the world is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from market.errors import ConfigError
from targeting.forecast import (
    FACTORS,
    Chances,
    ForecastConfig,
    Scenario,
    Terms,
    TrackRecord,
    bar_shares,
    chances,
    forecast,
    horizon_end,
    win_chances,
)
from targeting.prospects import Prospects
from targeting.supply import WEEK, Supply
from targeting.traffic import EMPTY, bar_of, level_of

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
# A world without doubt: the rate was counted for ages, and so were the clicks.
SURE = TrackRecord(10**9, 1e9)
CERTAIN = ForecastConfig(draws=4_000, trust=1e9)
RATE, P_CLICK, P_APPLY, PRICE = 50.0, 0.1, 0.3, 200_000


def supply(rate: float = RATE, noise: float = 0.0) -> Supply:
    hours = 1e7
    seen = np.array([round(rate * hours)])
    return Supply(("nurse",), seen, seen.astype(float), seen + 50.0, hours, np.ones(WEEK), noise, 1e6, "UTC")


def alone(p_click: float = P_CLICK, p_apply: float = P_APPLY, price: float = PRICE) -> Chances:
    """One occupation, every slot won at one price."""
    one = np.ones(1)
    return Chances(one, p_click * one, p_apply * one, price * one, price**2 * one)


def terms(total: int, daily: int | None = None, days: float = 2) -> Terms:
    return Terms(total, daily, START, START + days * DAY, "UTC")


def at_full(found: tuple[Scenario, ...]) -> Scenario:
    return found[FACTORS.index(1.0)]


def test_without_competition_and_with_money_enough_the_forecast_is_the_closed_form() -> None:
    found = at_full(forecast(supply(), alone(), SURE, terms(10**12), 7, CERTAIN))
    shown = RATE * 48
    for estimate, mean in (
        (found.impressions, shown),
        (found.clicks, shown * P_CLICK),
        (found.applications, shown * P_CLICK * P_APPLY),
    ):
        exact = stats.poisson(mean)
        assert estimate.mean == pytest.approx(mean, abs=4 * np.sqrt(mean / CERTAIN.draws))
        for ends, inside in ((estimate.ci80, 0.8), (estimate.ci95, 0.95)):
            assert ends == pytest.approx(exact.interval(inside), abs=0.15 * exact.std() + 1)
    assert found.spend.mean == pytest.approx(found.clicks.mean * PRICE)


def test_a_budget_that_binds_is_spent_and_buys_what_clicks_cost() -> None:
    total = 40 * PRICE  # 240 clicks would come
    found = at_full(forecast(supply(), alone(), SURE, terms(total), 7, CERTAIN))
    assert found.spend.mean == total
    assert found.clicks.mean == pytest.approx(40)
    # Waiting for the 40th click: a negative binomial number of impressions, seen at the steps of the forecast.
    waits = stats.nbinom(40, P_CLICK)
    assert found.impressions.mean == pytest.approx(40 / P_CLICK, rel=0.05)
    spread = found.impressions.ci80[1] - found.impressions.ci80[0]
    low, high = waits.interval(0.8)
    assert spread == pytest.approx(high - low, rel=0.35)


def test_a_daily_budget_stops_every_day() -> None:
    found = at_full(forecast(supply(), alone(), SURE, terms(10**12, daily=10 * PRICE, days=3), 7, CERTAIN))
    assert found.spend.mean == 30 * PRICE
    both = at_full(forecast(supply(), alone(), SURE, terms(25 * PRICE, daily=10 * PRICE, days=3), 7, CERTAIN))
    assert both.spend.mean == 25 * PRICE


def test_a_budget_that_is_spent_leaves_nothing_for_looks_that_cost_nothing() -> None:
    # Two micros are gone with the first click; impressions without click on the second day are not shown any more.
    few = ForecastConfig(draws=50, steps=30)
    found = forecast(supply(rate=1.0), alone(1.0, 0.0, 12_929), TrackRecord(30, 25.0), terms(2), 0, few)
    means = [each.impressions.mean for each in found]
    assert means == sorted(means)


def test_days_are_those_of_the_zone() -> None:
    # 22 hours that lie in two days of Auckland and in one of UTC: two daily budgets, or one.
    span = Terms(10**12, 10 * PRICE, START, START + timedelta(hours=22), "Pacific/Auckland")
    assert at_full(forecast(supply(), alone(), SURE, span, 7, CERTAIN)).spend.mean == 20 * PRICE
    span = replace(span, zone="UTC")
    assert at_full(forecast(supply(), alone(), SURE, span, 7, CERTAIN)).spend.mean == 10 * PRICE


def test_no_traffic_and_no_time_bring_nothing() -> None:
    nothing = Supply((), np.zeros(0, int), np.zeros(0), np.zeros(0), 0.0, np.ones(WEEK), 0.01, 1.0, "UTC")
    none = Chances(*(np.zeros(0) for _ in range(5)))
    for found in (
        *forecast(nothing, none, TrackRecord(), terms(10**9), 7),
        *forecast(supply(), alone(), SURE, terms(10**9, days=0), 7),
    ):
        for estimate in (found.spend, found.impressions, found.clicks, found.applications):
            assert (estimate.mean, estimate.ci80, estimate.ci95) == (0, (0, 0), (0, 0))


@settings(max_examples=60, deadline=None)
@given(
    rate=st.floats(0, 200),
    noise=st.floats(0, 0.5),
    p_click=st.floats(0, 1),
    p_apply=st.floats(0, 1),
    price=st.floats(1, 1e7),
    spread=st.floats(1, 3),
    total=st.integers(1, 10**9),
    share=st.none() | st.floats(0.01, 1),
    days=st.floats(0, 9),
    seed=st.integers(0, 2**64 - 1),
)
def test_more_budget_never_brings_less_and_nothing_passes_what_bounds_it(
    rate: float,
    noise: float,
    p_click: float,
    p_apply: float,
    price: float,
    spread: float,
    total: int,
    share: float | None,
    days: float,
    seed: int,
) -> None:
    chances_ = replace(alone(p_click, p_apply, price), square=np.array([spread * price**2]))
    asked = terms(total, None if share is None else max(1, int(share * total)), days)
    few = ForecastConfig(draws=50, steps=30)
    found = forecast(supply(rate, noise), chances_, TrackRecord(30, 25.0), asked, seed, few)
    assert found == forecast(supply(rate, noise), chances_, TrackRecord(30, 25.0), asked, seed, few)
    for each in found:
        numbers = each.spend, each.impressions, each.clicks, each.applications
        flat = [(n.mean, *n.ci80, *n.ci95) for n in numbers]
        assert all(0 <= value <= each.total * (1 + 1e-12) for value in flat[0])
        for more, fewer in ((1, 2), (2, 3)):
            assert all(a >= b - 1e-9 for a, b in zip(flat[more], flat[fewer], strict=True))
        for n in numbers:
            assert n.ci95[0] <= n.ci80[0] <= n.ci80[1] <= n.ci95[1]
    for less, more_money in pairwise(found):
        for name in ("spend", "impressions", "clicks", "applications"):
            a, b = getattr(less, name), getattr(more_money, name)
            assert a.mean <= b.mean + 1e-6 * (1 + b.mean)
            for low, high in zip((*a.ci80, *a.ci95), (*b.ci80, *b.ci95), strict=True):
                assert low <= high + 1e-6 * (1 + high)


def test_a_bid_wins_the_slates_whose_bar_it_passes_and_pays_the_bar() -> None:
    prices = {"nurse": {EMPTY: 10_000, level_of(20_000): 10_000, level_of(90_000): 10_000}}
    p = np.array([0.1])
    wins = win_chances(("nurse",), p, 500_000, 100_000, prices)  # a score of 50,000
    assert wins.won[0] == pytest.approx(2 / 3)
    bar = bar_of(level_of(20_000) + 0.5)
    assert wins.price[0] == pytest.approx((100_000 + bar / 0.1) / 2)
    assert win_chances(("nurse",), p, 2_000_000, 100_000, prices).won[0] == pytest.approx(1)
    assert win_chances(("nurse",), p, 99_999, 100_000, prices).won[0] == 0
    assert win_chances(("nurse",), np.zeros(1), 500_000, 100_000, prices).won[0] == 0


def test_within_a_level_a_higher_bid_wins_more() -> None:
    prices = {"nurse": {40: 1_000}}
    shares = [
        win_chances(("nurse",), np.ones(1), round(bar_of(40 + step)), 1, prices).won[0] for step in (0, 0.25, 0.5, 1)
    ]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0, abs=0.02)
    assert shares[-1] == pytest.approx(1, abs=0.02)


def test_an_occupation_without_prices_of_its_own_has_those_of_all() -> None:
    shares = bar_shares(("cook", "nurse"), {"nurse": {EMPTY: 300, 40: 100}})
    assert shares[0, 0] == pytest.approx(0.75)
    assert shares.sum(1) == pytest.approx([1, 1])
    assert bar_shares(("cook",), {})[0, 0] == 1


def test_unknown_occupations_count_as_untold_and_the_frequency_cap_takes_its_share() -> None:
    prospects = Prospects(
        ("nurse", ""),
        np.array([1.0, 0.5]),
        np.array([0.1, 0.2]),
        np.array([0.3, 0.4]),
        200_000,
        100_000,
        {},
        np.ones(2),
    )
    two = replace(supply(), occupations=("new code", "nurse"), seen=np.ones(2), mean=np.ones(2), strength=np.ones(2))
    found = chances(two, prospects, {}, open_share=0.8)
    assert found.shown == pytest.approx([0.4, 0.8])
    assert found.p_click == pytest.approx([0.2, 0.1])
    assert found.price == pytest.approx([100_000, 100_000])


def test_the_forecast_ends_with_the_campaign_or_the_job_or_after_the_most_days() -> None:
    assert horizon_end(START, (None, None), 30) == (START + 30 * DAY, True)
    assert horizon_end(START, (START + DAY, None), 30) == (START + DAY, False)
    assert horizon_end(START, (START + 9 * DAY, START + 3 * DAY), 30) == (START + 3 * DAY, False)
    assert horizon_end(START, (START + 99 * DAY, None), 30) == (START + 30 * DAY, True)


@pytest.mark.parametrize("wrong", [{"draws": 0}, {"most_days": 0}, {"steps": 0}, {"trust": 0.0}])
def test_settings_that_can_not_be_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        ForecastConfig(**wrong)  # type: ignore[arg-type]
