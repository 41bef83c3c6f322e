"""The descent on a market that is flat, where the right price is known."""

import math

import pytest

from market.errors import ConfigError
from targeting.pacing.descent import MAX_BID_MICROS, POLICIES, ControlConfig, next_price, paced_bid

MINUTES = 1440
FLOOR = 1e-9


def flat_day(price, budget=100.0, eta=10.0, supply=500.0):
    """Spend by minute. Every minute offers the same impressions; demand falls with the price: supply / (1 + price).

    With these defaults the day costs 500 / (1 + price), so the price that spends 100 evenly is 4.
    """
    spent, before, by_minute, prices = 0.0, 0.0, [], []
    for minute in range(MINUTES):
        price = next_price(price, spent, before, budget, minute / MINUTES, max(0, minute - 1) / MINUTES, eta, FLOOR)
        before = spent
        spent += min(budget - spent, supply / (1 + price) / MINUTES)
        by_minute.append(spent - before)
        prices.append(price)
    return by_minute, prices


def quarters(by_minute):
    return [sum(by_minute[i : i + MINUTES // 4]) for i in range(0, MINUTES, MINUTES // 4)]


def test_a_flat_market_at_the_right_price_spends_a_quarter_of_the_budget_in_a_quarter_of_the_day():
    by_minute, prices = flat_day(4.0)
    assert quarters(by_minute) == pytest.approx([25] * 4, rel=0.01)
    assert prices[-1] == pytest.approx(4, rel=0.01)


@pytest.mark.parametrize("start", [2.0, 8.0])
def test_a_flat_market_is_spent_evenly_after_a_first_quarter_when_the_price_began_twice_off(start):
    by_minute, prices = flat_day(start)
    assert sum(by_minute) == pytest.approx(100, rel=0.005)
    assert quarters(by_minute)[1:] == pytest.approx([25] * 3, rel=0.12)
    assert abs(math.log(prices[-1] / 4)) < abs(math.log(start / 4)) / 4


@pytest.mark.parametrize("start", [0.4, 40.0])
def test_the_budget_is_spent_and_lasts_the_day_though_the_price_began_ten_times_off(start):
    by_minute, _ = flat_day(start)
    assert sum(by_minute) == pytest.approx(100, rel=0.005)
    assert min(quarters(by_minute)[1:]) > 15
    assert by_minute[-60] > 0.8 * by_minute[MINUTES // 2]


def test_a_market_too_small_for_the_budget_lowers_the_price_until_the_end():
    by_minute, prices = flat_day(4.0, supply=50.0)
    assert prices == sorted(prices, reverse=True)
    assert sum(by_minute) < 50


def test_spending_what_was_planned_leaves_the_price():
    # half the budget and half the day are left: the next tenth of the day may cost a tenth of the budget
    assert next_price(2.0, 60.0, 50.0, 100.0, 0.6, 0.5, 10.0, FLOOR) == pytest.approx(2.0)


def test_the_target_is_the_remaining_budget_over_the_remaining_share():
    # 80 of 100 are left at noon: this tenth may cost 16; spending 10 lowers the price by exp(10 * (.1 - .16))
    assert next_price(2.0, 30.0, 20.0, 100.0, 0.6, 0.5, 10.0, FLOOR) == pytest.approx(2.0 * math.exp(-0.6))


@pytest.mark.parametrize(("spent", "factor"), [(100.0, math.e), (0.0, 1 / math.e)])
def test_one_step_moves_the_price_by_no_more_than_e(spent, factor):
    assert next_price(2.0, spent, 0.0, 100.0, 0.5, 0.0, 50.0, FLOOR) == pytest.approx(2.0 * factor)


def test_the_price_does_not_fall_below_its_floor():
    assert next_price(2.0, 0.0, 0.0, 100.0, 0.5, 0.0, 50.0, 1.5) == 1.5


@pytest.mark.parametrize("share", [0.5, 0.4])
def test_the_price_stands_while_the_planned_share_stands(share):
    assert next_price(2.0, 70.0, 10.0, 100.0, share, 0.5, 10.0, FLOOR) == 2.0


def test_without_a_budget_the_price_stands():
    assert next_price(2.0, 10.0, 0.0, 0.0, 0.5, 0.1, 10.0, FLOOR) == 2.0


def test_a_budget_overspent_before_raises_the_price_and_the_end_of_the_day_is_no_division_by_zero():
    assert next_price(2.0, 130.0, 120.0, 100.0, 0.6, 0.5, 10.0, FLOOR) == pytest.approx(2.0 * math.e)
    assert math.isfinite(next_price(2.0, 90.0, 80.0, 100.0, 1.1, 1.0, 10.0, FLOOR))


def test_a_bid_is_the_value_of_a_click_over_the_price_of_money_below_the_ceiling():
    assert paced_bid(0.3, 1e-6, 1_000_000) == 300_000
    assert paced_bid(3.0, 1e-6, 1_000_000) == 1_000_000
    assert paced_bid(0.0, 1e-6, 1_000_000) == 0


@pytest.mark.parametrize("price", [0.0, -1.0, 1e-300])
def test_free_money_bids_the_ceiling(price):
    assert paced_bid(0.3, price, MAX_BID_MICROS) == MAX_BID_MICROS


def test_a_dearer_price_never_raises_a_bid():
    bids = [paced_bid(0.3, 1e-8 * 1.5**step, 1_000_000) for step in range(60)]
    assert bids == sorted(bids, reverse=True)
    assert bids[0] == 1_000_000
    assert bids[-1] < 100


def test_an_unknown_policy_is_refused():
    for policy in POLICIES:
        assert ControlConfig(policy).policy == policy
    with pytest.raises(ConfigError, match="pacing 'hope' is unknown; use one of plan\\+descent, descent, greedy"):
        ControlConfig("hope")
