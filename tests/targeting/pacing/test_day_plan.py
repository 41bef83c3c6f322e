"""The day plan on markets of a few pairs, worked out by hand. A sure click at a ceiling of 1,000,000 costs 700,000."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from targeting.pacing.day_plan import EXPECTED_PRICE_SHARE, cold_prices, plan_budgets


def planned(pairs, budget, supply, segment, max_bid=1_000_000, eligible=None):
    """pairs: per seeker a list of (campaign, P(click), value per click)."""
    flat = [pair for row in pairs for pair in row]
    campaign, chance, value = (np.array(column) for column in zip(*flat, strict=True)) if flat else ([], [], [])
    return plan_budgets(
        np.array(segment),
        np.array(supply, float),
        np.cumsum([0, *map(len, pairs)]),
        np.array(campaign, np.int64),
        np.ones(len(flat), bool) if eligible is None else np.array(eligible),
        np.array(chance, np.float32),
        np.array(value, np.float32),
        np.full(len(budget), max_bid, np.int64),
        np.array(budget, np.int64),
    )


def test_a_budget_that_is_short_gets_a_price_and_is_spent():
    # both campaigns cost .1 * 700,000 an impression; 100 impressions; campaign 0 is worth more and can pay for 50
    found = planned([[(0, 0.1, 0.5), (1, 0.1, 0.2)]], [3_500_000, 7_000_000], [100], [0])
    assert found.plan.impressions.tolist() == pytest.approx([50, 50])
    assert found.planned_micros.tolist() == pytest.approx([3_500_000, 3_500_000])
    # a micro more of campaign 0 buys 1 / 70,000 impressions worth .05 instead of .02; campaign 1 has money left
    assert found.price.tolist() == pytest.approx([0.03 / 70_000, 0], abs=1e-12)
    assert (found.segment.tolist(), found.campaign.tolist()) == ([0, 0], [0, 1])
    assert found.plan.gap < 1e-9


def test_seekers_of_a_segment_are_pooled_to_their_mean():
    # two seekers of one segment: P(click) .1 and .3, clicks worth .5 and .1: an impression brings (.05 + .03) / 2
    found = planned([[(0, 0.1, 0.5)], [(0, 0.3, 0.1)]], [10**9], [100], [0, 0])
    assert found.plan.impressions.tolist() == pytest.approx([100])
    assert found.plan.objective == pytest.approx(100 * 0.04, rel=1e-6)
    assert found.planned_micros.tolist() == pytest.approx([100 * 0.2 * 700_000], rel=1e-6)


def test_segments_share_a_budget_and_the_better_one_is_bought_first():
    # 140,000 buys two of three impressions: the one worth .06 and one worth .02
    found = planned([[(0, 0.1, 0.6)], [(0, 0.1, 0.2)]], [140_000], [1, 2], [0, 1])
    assert found.plan.impressions.tolist() == pytest.approx([1, 1])
    assert found.price.tolist() == pytest.approx([0.02 / 70_000])


def test_pairs_that_are_not_eligible_take_no_part():
    pairs = [[(0, 0.1, 0.9), (1, 0.1, 0.2)]]
    found = planned(pairs, [10**9, 10**9], [100], [0], eligible=[False, True])
    assert found.campaign.tolist() == [1]
    assert found.planned_micros.tolist() == pytest.approx([0, 7_000_000])


def test_a_dearer_ceiling_makes_impressions_dearer():
    cheap = planned([[(0, 0.1, 0.5)]], [10**9], [100], [0], max_bid=500_000)
    dear = planned([[(0, 0.1, 0.5)]], [10**9], [100], [0], max_bid=2_000_000)
    assert dear.planned_micros[0] == pytest.approx(4 * cheap.planned_micros[0])
    assert cheap.planned_micros[0] == pytest.approx(100 * 0.1 * EXPECTED_PRICE_SHARE * 500_000)


@pytest.mark.parametrize("pairs", [[], [[], []]])
def test_a_market_without_pairs_has_an_empty_plan(pairs):
    found = planned(pairs, [1000, 1000], [5], [0] * len(pairs))
    assert found.price.tolist() == found.planned_micros.tolist() == [0, 0]
    assert len(found.plan.impressions) == 0
    assert found.plan.gap == 0


markets = st.lists(
    st.dictionaries(st.integers(0, 3), st.tuples(st.floats(0.01, 1), st.floats(0, 1)), max_size=4),
    min_size=1,
    max_size=6,
)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    markets,
    st.lists(st.integers(0, 10**8), min_size=4, max_size=4),
    st.lists(st.integers(0, 300), min_size=2, max_size=2),
)
def test_no_plan_passes_a_budget_or_a_supply(rows, budget, supply):
    pairs = [[(c, *numbers) for c, numbers in row.items()] for row in rows]
    found = planned(pairs, budget, supply, [i % 2 for i in range(len(rows))])
    assert (found.planned_micros <= np.array(budget) * (1 + 1e-9)).all()
    shown = np.bincount(found.segment, found.plan.impressions, minlength=2)
    assert (shown <= np.array(supply) * (1 + 1e-9)).all()
    assert (found.price >= 0).all()
    assert found.plan.gap <= 1e-6
    assert len(set(zip(found.segment.tolist(), found.campaign.tolist(), strict=True))) == len(found.campaign)


def test_a_descent_without_plan_begins_at_the_median_value_of_a_micro():
    campaign, value = np.array([0, 0, 1]), np.array([0.1, 0.3, 0.8])
    ceiling = np.array([1_000_000, 4_000_000])
    # .1, .3 and .2 per million
    assert cold_prices(campaign, value, ceiling) == pytest.approx(0.2e-6)
    assert cold_prices(campaign[:0], value[:0], ceiling) == 0.0


def market_without_time(seed, last_good=None):
    rng = np.random.default_rng(seed)
    campaigns, seekers, each = 30, 300, 12
    campaign = np.concatenate([rng.choice(campaigns, each, replace=False) for _ in range(seekers)])
    return plan_budgets(
        np.arange(seekers),
        rng.lognormal(3, 1, seekers),
        np.arange(0, seekers * each + 1, each),
        campaign,
        np.ones(len(campaign), bool),
        rng.uniform(0.01, 0.2, len(campaign)).astype(np.float32),
        rng.lognormal(0, 1, len(campaign)).astype(np.float32),
        np.full(campaigns, 1_000_000, np.int64),
        rng.integers(10**6, 10**8, campaigns),
        time_limit_seconds=0.0,
        last_good=last_good,
    )


def test_a_plan_with_a_gap_above_one_percent_leaves_the_last_good_prices():
    last_good, refused = np.full(30, 1e-7), 0
    for seed in range(20):
        found = market_without_time(seed, last_good)
        if found.refused is None:
            assert found.plan.gap <= 0.01
            assert found.price is found.plan.budget_price
        else:
            refused += 1
            assert "accepted" in found.refused
            assert found.price is last_good
            assert (market_without_time(seed).price > 0).all()  # nothing good yet: the median
    assert refused
