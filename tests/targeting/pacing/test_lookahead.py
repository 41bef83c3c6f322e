"""Prices that look ahead: sums over sampled visits, the shrunk supply ratio, one step of a price."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import ConfigError
from targeting.pacing.lookahead import LEAST_DUE, LookaheadConfig, due_until, look, steered, supply_ratio

# One segment with two campaigns: values 4 and 3, costs 2 and 1.
PAIRS = (np.array([0, 2]), np.array([0, 1], np.int32), np.array([[4.0], [3.0]]), np.array([2.0, 1.0]))
NO_NOISE = np.zeros(0)


def looked(price: list[float], weight: float = 10.0) -> tuple[float, list[float]]:
    spend = np.zeros((2, 1))
    visits = np.zeros(3, np.int32), np.zeros(3, np.int32), np.arange(3)
    total = look(*PAIRS, *visits, NO_NOISE, np.full(3, weight), np.array(price)[:, None], spend)
    return total, spend[:, 0].tolist()


def test_each_visit_goes_to_the_pair_that_is_worth_most_after_its_price() -> None:
    assert looked([0.0, 0.0]) == (3 * 10 * 4.0, [60.0, 0.0])
    assert looked([1.0, 0.5]) == (3 * 10 * 2.5, [0.0, 30.0])


def test_a_visit_that_is_worth_nothing_to_anybody_stays_empty() -> None:
    assert looked([3.0, 4.0]) == (0.0, [0.0, 0.0])


@given(st.lists(st.floats(0, 5), min_size=2, max_size=2), st.floats(1, 40))
def test_the_dual_value_at_any_prices_bounds_what_a_budget_can_buy(price: list[float], budget: float) -> None:
    total, _ = looked(price, weight=1.0)
    # The best use of three visits by one of the campaigns, each with `budget`: at most three of them in all.
    best = max(min(3.0, budget / 2.0) * 4.0, min(3.0, budget / 1.0) * 3.0)
    assert total + budget * sum(price) >= best - 1e-9


def test_noise_belongs_to_a_visit_and_a_pair() -> None:
    noise = np.where(np.arange(8) == (1 * 31 + 1 * 7919) & 7, 9.0, 1.0)
    spend = np.zeros((2, 1))
    visits = np.zeros(1, np.int32), np.zeros(1, np.int32), np.array([1])
    assert look(*PAIRS, *visits, noise, np.ones(1), np.zeros((2, 1)), spend) == 27.0
    assert spend[:, 0].tolist() == [0.0, 1.0]


def test_spend_and_prices_are_by_the_hour() -> None:
    pairs = PAIRS[0], PAIRS[1], np.array([[4.0, 4.0], [3.0, 3.0]]), PAIRS[3]
    spend = np.zeros((2, 2))
    dear_at_noon = np.array([[0.0, 1.0], [0.0, 0.5]])
    look(
        *pairs,
        np.zeros(2, np.int32),
        np.array([0, 1], np.int32),
        np.arange(2),
        NO_NOISE,
        np.ones(2),
        dear_at_noon,
        spend,
    )
    assert spend.tolist() == [[2.0, 0.0], [0.0, 1.0]]


def test_a_step_moves_a_price_in_logarithms() -> None:
    assert steered(np.array([1.0, 1.0, 1.0]), np.array([0.1, -0.05, 0.0]), 0.0) == pytest.approx(
        [math.exp(0.1), math.exp(-0.05), 1.0]
    )


@given(st.floats(1e-6, 1e6), st.floats(-1e18, 1e18), st.floats(1e-9, 1))
def test_no_step_is_larger_than_half_in_logarithms_nor_leads_below_the_floor(
    price: float, move: float, floor: float
) -> None:
    after = float(steered(np.array([price]), np.array([move]), floor)[0])
    assert math.isfinite(after)
    assert floor <= after <= max(floor, price * math.exp(0.5) * (1 + 1e-12))


def test_what_is_due_brings_spend_back_to_its_share_of_the_day() -> None:
    budget, half = np.full(3, 100.0), np.full(3, 0.5)
    # 70, 50 and 20 are left and half of the day's share is due by then: behind, less behind, and far ahead
    assert due_until(np.array([70.0, 50.0, 20.0]), budget, half) == pytest.approx(
        [20.0, LEAST_DUE * 50, LEAST_DUE * 20]
    )
    assert due_until(np.array([70.0]), np.array([100.0]), np.array([1.0])) == pytest.approx([70.0])


def test_the_supply_ratio_is_that_of_everybody_where_little_was_seen_and_its_own_where_much() -> None:
    seen, expected = np.array([0.0, 50_000.0, 40_000.0]), np.array([1.0, 100_000.0, 20_000.0])
    ratio = supply_ratio(seen, expected, 50.0)
    overall = (90_000 + 1_000) / (120_001 + 1_000)
    assert ratio[0] == pytest.approx(overall * 50 / 51)
    assert ratio[1] == pytest.approx(0.5, abs=1e-3)
    assert ratio[2] == pytest.approx(2.0, abs=5e-3)


@pytest.mark.parametrize(
    "wrong",
    [{"minutes": 0}, {"visits": 0}, {"step": 0.0}, {"shrinkage": -1.0}, {"near_minutes": 0}, {"near_step": -0.1}],
)
def test_a_configuration_out_of_bounds_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        LookaheadConfig(**wrong)  # type: ignore[arg-type]
