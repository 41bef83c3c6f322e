"""The passes of dual ascent against their slow twins, and what holds for any shares and any prices."""

import time

import numpy as np
import pytest

from targeting.pacing.ascent import Market, Prices, ascend, dual_bound, feasible_plan, objective_of
from targeting.pacing.ascent_steps import CLOSED, best_mixes, respond
from targeting.pacing.problem import Floats

CAMPAIGNS, SEGMENTS, PAIRS, BUCKETS = 5, 4, 14, 3


def market(seed: int, cap: float = 0.6) -> Market:
    rng = np.random.default_rng(seed)
    segment = np.sort(rng.integers(0, SEGMENTS, PAIRS))
    value = rng.random((PAIRS, BUCKETS))
    value[rng.random((PAIRS, BUCKETS)) < 0.1] = CLOSED
    return Market(
        start=np.searchsorted(segment, np.arange(SEGMENTS + 1)),
        campaign=rng.integers(0, CAMPAIGNS, PAIRS),
        value=value,
        cost=rng.lognormal(-3, 1, PAIRS) * (rng.random(PAIRS) > 0.1),
        supply=rng.lognormal(2, 1, (SEGMENTS, BUCKETS)) * (rng.random((SEGMENTS, BUCKETS)) > 0.1),
        budget=np.ones(CAMPAIGNS),
        bucket_limit=1.25 * rng.dirichlet(np.ones(BUCKETS), CAMPAIGNS),
        cap=cap,
        guarantee=rng.lognormal(1, 1, CAMPAIGNS) * (rng.random(CAMPAIGNS) > 0.5),
        penalty=0.5,
    )


def some_prices(seed: int) -> Prices:
    rng = np.random.default_rng(seed)
    return Prices(
        rng.exponential(3.0, CAMPAIGNS), rng.exponential(3.0, (CAMPAIGNS, BUCKETS)), rng.uniform(0, 0.5, CAMPAIGNS)
    )


def projected(wish: Floats, cap: float) -> Floats:
    """clip(wish - theta, 0, cap) with the smallest theta >= 0 for which the sum is at most 1, by bisection."""
    low, high = 0.0, max(0.0, float(wish.max(initial=0.0)))
    if np.clip(wish, 0, cap).sum() <= 1:
        return np.asarray(np.clip(wish, 0, cap))
    for _ in range(200):
        theta = (low + high) / 2
        low, high = (theta, high) if np.clip(wish - theta, 0, cap).sum() > 1 else (low, theta)
    return np.asarray(np.clip(wish - high, 0, cap))


@pytest.mark.parametrize("cap", [0.3, 0.5, 1.0])
@pytest.mark.parametrize("gamma", [1.0, 0.1, 0.01])
@pytest.mark.parametrize("seed", range(5))
def test_every_segment_shows_what_the_projection_says(seed: int, gamma: float, cap: float) -> None:
    given, prices = market(seed, cap), some_prices(seed)
    price = (prices.budget[:, None] + prices.bucket).astype(np.float32)
    share, mean = np.zeros((PAIRS, BUCKETS), np.float32), np.zeros((PAIRS, BUCKETS), np.float32)
    theta = np.zeros((SEGMENTS, BUCKETS), np.float32)
    spend, shown = np.zeros((CAMPAIGNS, BUCKETS)), np.zeros(CAMPAIGNS)
    passed = given.start, given.campaign, given.value.astype(np.float32), given.cost, given.supply, price
    respond(*passed, prices.guarantee, gamma, cap, share, theta, mean, 0.5, spend, shown)
    wish = (
        given.value
        - (prices.budget[:, None] + prices.bucket)[given.campaign] * given.cost[:, None]
        + prices.guarantee[given.campaign][:, None]
    ) / gamma
    segment = np.repeat(np.arange(SEGMENTS), np.diff(given.start))
    for s in range(SEGMENTS):
        own = segment == s
        for t in range(BUCKETS):
            assert share[own, t] == pytest.approx(projected(wish[own, t], cap), abs=2e-4)
    impressions = share * given.supply[segment]
    expected = np.zeros((CAMPAIGNS, BUCKETS))
    np.add.at(expected, given.campaign, impressions * given.cost[:, None])
    assert spend == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert shown == pytest.approx(np.bincount(given.campaign, impressions.sum(axis=1), CAMPAIGNS), rel=1e-5, abs=1e-6)
    assert mean == pytest.approx(share / 2)


@pytest.mark.parametrize("cap", [0.2, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_best_mix_fills_a_supply_from_the_best_pair_down(seed: int, cap: float) -> None:
    given, prices = market(seed, cap), some_prices(seed)
    price = prices.budget[:, None] + prices.bucket
    segment = np.repeat(np.arange(SEGMENTS), np.diff(given.start))
    expected = 0.0
    for s in range(SEGMENTS):
        for t in range(BUCKETS):
            own = segment == s
            worth = given.value[own, t] - price[given.campaign[own], t] * given.cost[own]
            left = 1.0
            for one in sorted(worth + prices.guarantee[given.campaign[own]], reverse=True):
                part = min(cap, left) if one > 0 else 0.0
                expected += given.supply[s, t] * part * one
                left -= part
    passed = given.start, given.campaign, given.value, given.cost, given.supply, price, prices.guarantee
    assert best_mixes(*passed, cap) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("seed", range(30))
def test_any_shares_become_a_feasible_plan_below_the_bound_of_any_prices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    given, prices = market(seed), some_prices(seed)
    plan, objective = feasible_plan(given, rng.uniform(-0.5, 2.0, (PAIRS, BUCKETS)), prices)
    segment = np.repeat(np.arange(SEGMENTS), np.diff(given.start))
    spent, shown = np.zeros((CAMPAIGNS, BUCKETS)), np.zeros((SEGMENTS, BUCKETS))
    np.add.at(spent, given.campaign, plan * given.cost[:, None])
    np.add.at(shown, segment, plan)
    assert (plan >= 0).all()
    assert (plan <= given.cap * given.supply[segment] * (1 + 1e-12)).all()
    assert (plan[given.value < 0] == 0).all()
    assert (spent.sum(axis=1) <= given.budget * (1 + 1e-12)).all()
    assert (spent <= given.bucket_limit * (1 + 1e-12)).all()
    assert (shown <= given.supply * (1 + 1e-12)).all()
    assert objective == objective_of(given, plan)
    assert objective <= dual_bound(given, prices) + 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_more_passes_never_make_the_plan_or_the_bound_worse(seed: int) -> None:
    given = market(seed)
    far = time.monotonic() + 60
    few, many = ascend(given, 0.0, far, passes=12), ascend(given, 0.0, far, passes=360)
    assert few.objective <= few.bound
    assert many.objective <= many.bound
    assert many.bound - many.objective <= few.bound - few.objective + 1e-9


def test_a_deadline_that_has_passed_leaves_one_pass_and_a_feasible_plan() -> None:
    found = ascend(market(0), 0.0, time.monotonic() - 1)
    assert found.passes == 1
    assert -np.inf < found.objective <= found.bound
