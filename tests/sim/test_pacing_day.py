"""A day of pacing: money that is conserved, plan shares that sum to one, every policy in a flat market, a bound."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from market.errors import ConfigError
from sim.pacing_bound import banded_bound, hindsight, plan_prices
from sim.pacing_day import Forecast, run_day
from sim.pacing_market import MINUTES, SCENARIOS, PacingMarket, Visits, draw_market, draw_visits
from targeting.pacing.lookahead import LookaheadConfig
from targeting.pacing.policies import NAMES, PacingPolicy

GAINS = {"throttle": 0.1, "pid": 1.0, "adaptive": 1_000.0, "descent": 20.0, "plan+descent": 10.0, "lookahead": 5.0}
AHEAD = LookaheadConfig(minutes=10, visits=5_000)


def policy(name: str) -> PacingPolicy:
    return PacingPolicy(name, GAINS.get(name, 0.0))  # type: ignore[arg-type]


def flat_market(budget_clicks: int = 500) -> tuple[PacingMarket, Visits]:
    """One campaign and a visit a minute three times over, a click in two, always the same value: 2,160 clicks a day."""
    price, visits = 1_000_000, 3 * MINUTES
    minute = np.repeat(np.arange(MINUTES), 3).astype(np.int32)
    market = PacingMarket(
        start=np.array([0, 1]),
        campaign=np.zeros(1, np.int32),
        p_click=np.array([0.5]),
        value=np.full((1, 24), 1.0),
        cost=np.array([0.5 * price]),
        price=np.array([price]),
        budget=np.array([budget_clicks * price]),
        rate=np.full((1, MINUTES), 3.0),
        share=np.linspace(0, 1, MINUTES + 1)[None, :],
    )
    clicked = np.arange(visits) % 2 * 0.9
    return market, Visits(np.zeros(visits, np.int32), minute, clicked, np.zeros(0))


@pytest.fixture(scope="module")
def drawn() -> tuple[PacingMarket, Visits, Forecast]:
    market = draw_market(7, 1.0, campaigns=60, segments=40, visits=60_000)
    logged = draw_visits(market, 8)
    return market, draw_visits(market, 9, SCENARIOS[1]), Forecast(plan_prices(market, logged.noise), logged)


def test_the_plan_shares_of_every_campaign_go_from_zero_to_one(drawn: tuple[PacingMarket, Visits, Forecast]) -> None:
    share = drawn[0].share
    assert (share[:, 0] == 0).all()
    assert (share[:, -1] == 1).all()
    assert (np.diff(share, axis=1) >= -1e-12).all()


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_overspent_and_every_click_is_billed_or_counted_as_unbilled(
    name: str, drawn: tuple[PacingMarket, Visits, Forecast]
) -> None:
    market, visits, forecast = drawn
    for delay in (0, 10, 60):
        day = run_day(market, visits, forecast, policy(name), delay, AHEAD)
        posted = day.posted.sum(1)
        assert (posted <= market.budget).all()
        assert (day.posted >= 0).all()
        assert (day.served.sum(1) == posted).all()
        clicks = (posted + day.unbilled) / market.price
        assert clicks == pytest.approx(np.round(clicks), abs=1e-9)  # whole clicks, whatever was billed of them


@pytest.mark.parametrize("name", NAMES)
def test_the_same_day_gives_the_same_bits(name: str, drawn: tuple[PacingMarket, Visits, Forecast]) -> None:
    market, visits, forecast = drawn
    one, two = (run_day(market, visits, forecast, policy(name), 10, AHEAD) for _ in range(2))
    assert one.billed_value == two.billed_value
    assert (one.posted == two.posted).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_policy_spends_the_budget_of_a_flat_market(name: str) -> None:
    market, visits = flat_market()
    forecast = Forecast(plan_prices(market, visits.noise), visits)
    day = run_day(market, visits, forecast, policy(name), 0, AHEAD)
    assert day.posted.sum() >= 0.9 * market.budget[0]


# A PID on the multiplier only changes ranks: where nobody competes, nothing holds it back.
@pytest.mark.parametrize("name", ["throttle", "descent", "plan+descent"])
def test_what_follows_a_plan_spends_a_flat_market_evenly(name: str) -> None:
    market, visits = flat_market()
    forecast = Forecast(plan_prices(market, visits.noise), visits)
    spent = np.cumsum(run_day(market, visits, forecast, policy(name), 0, AHEAD).posted[0, :MINUTES]) / market.budget[0]
    assert np.abs(spent - market.share[0, 1:]).max() < 0.1


@pytest.mark.parametrize("name", NAMES)
def test_no_policy_bills_more_value_than_the_bound(name: str, drawn: tuple[PacingMarket, Visits, Forecast]) -> None:
    market, visits, forecast = drawn
    bound = hindsight(market, visits)
    # The bound is on expected charges; with a few thousand clicks the lucky ones weigh a few percent.
    assert run_day(market, visits, forecast, policy(name), 10, AHEAD).billed_value <= 1.03 * bound.value


def test_the_bound_of_a_flat_market_is_its_budget_in_value() -> None:
    market, visits = flat_market()
    # 500 clicks at two impressions a click, each worth one.
    assert hindsight(market, visits).value == pytest.approx(1_000, rel=0.01)


def test_a_narrower_band_around_the_planned_share_allows_no_more_value(
    drawn: tuple[PacingMarket, Visits, Forecast],
) -> None:
    market, visits, _ = drawn
    bound = hindsight(market, visits)
    wide, narrow = (banded_bound(market, visits, bound, tolerance, 300) for tolerance in (0.2, 0.02))
    assert narrow < wide <= bound.value


def test_a_budget_that_must_follow_visits_nobody_wants_at_night_is_worth_less_by_hand() -> None:
    # One campaign, 24 visits an hour, worth 2 at night (hours 0 to 11) and 1 by day; money for half of them. Free, it
    # buys the nights, 288 * 2; held to the hour, half of each, 144 * 2 + 144 * 1.
    market, _ = flat_market()
    hours = np.repeat(np.arange(24), 24)
    visits = Visits(np.zeros(576, np.int32), (hours * 60).astype(np.int32), np.zeros(576), np.zeros(0))
    value = np.where(np.arange(24) < 12, 2.0, 1.0)[None, :]
    market = replace(market, value=value, budget=(288 * market.cost).astype(np.int64))
    bound = hindsight(market, visits)
    assert bound.value == pytest.approx(576, rel=0.01)
    assert banded_bound(market, visits, bound, 1e-6) == pytest.approx(432, rel=0.02)


def test_a_budget_that_the_best_use_of_the_day_spends_is_binding_with_noisy_values_too() -> None:
    market = draw_market(7, 0.2, campaigns=60, segments=40, visits=60_000)
    noisy = replace(SCENARIOS[0], value_sigma=0.5)
    assert hindsight(market, draw_visits(market, 9)).binding.mean() > 0.9
    assert hindsight(market, draw_visits(market, 9, noisy)).binding.mean() > 0.9


def test_looking_ahead_beats_the_descent_it_is_built_on(drawn: tuple[PacingMarket, Visits, Forecast]) -> None:
    market, visits, forecast = drawn
    value = {name: run_day(market, visits, forecast, policy(name), 10, AHEAD).billed_value for name in GAINS}
    assert value["lookahead"] > value["plan+descent"] > value["throttle"]


def test_with_everything_held_back_nothing_is_shown(drawn: tuple[PacingMarket, Visits, Forecast]) -> None:
    market, visits, forecast = drawn
    poor = replace(market, budget=np.zeros_like(market.budget))
    assert run_day(poor, visits, forecast, policy("greedy-value"), 10, AHEAD).impressions == 0


@pytest.mark.parametrize(
    "wrong", [{"name": "hope"}, {"gain": -1.0}, {"kappa": float("nan")}, {"least_click": 2.0}, {"deviations": -1.0}]
)
def test_a_policy_out_of_bounds_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        PacingPolicy(**({"name": "descent"} | wrong))  # type: ignore[arg-type]


def test_a_market_too_small_to_draw_is_refused() -> None:
    with pytest.raises(ConfigError):
        draw_market(1, 1.0, campaigns=10)
