"""The hindsight bound against the linear programme it relaxes, solved by HiGHS, on markets small enough for it."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.optimize import linprog

from sim.bound import hindsight_bound


def small_market(rng: np.random.Generator, seekers: int, campaigns: int, slots: int) -> SimpleNamespace:
    """Every seeker reaches every campaign."""
    n = seekers * campaigns
    pairs = SimpleNamespace(
        start=np.arange(seekers + 1) * campaigns,
        campaign=np.tile(np.arange(campaigns), seekers).astype(np.int32),
        click_logit=rng.normal(-2, 1, n).astype(np.float32),
        p_apply=rng.uniform(0.1, 0.6, n).astype(np.float32),
        grade=rng.choice([0, 0.1, 0.35, 1], n).astype(np.float32),
    )
    terms = SimpleNamespace(
        reserve=rng.integers(100, 300, campaigns), budget=rng.integers(50, 800, campaigns).astype(np.int64)
    )
    traffic = SimpleNamespace(seeker=rng.integers(0, seekers, 3 * seekers).astype(np.int32))
    config = SimpleNamespace(promoted_positions=tuple(range(slots)))
    return SimpleNamespace(pairs=pairs, terms=terms, traffic=traffic, config=config)


def best_possible(market: SimpleNamespace, exponent: float) -> float:
    """max value of showing, per visit and slot, at most one campaign, a campaign once a visit, within the budgets."""
    pairs, slots = market.pairs, len(market.config.promoted_positions)
    campaigns, visits = len(market.terms.budget), len(market.traffic.seeker)
    chance = 1 / (1 + np.exp(-pairs.click_logit.astype(float)))
    seen = (np.array(market.config.promoted_positions) + 1.0) ** -exponent
    columns = [(v, c, slot) for v in range(visits) for c in range(campaigns) for slot in range(slots)]
    entry = np.array([pairs.start[market.traffic.seeker[v]] + c for v, c, _ in columns])
    weight = np.array([seen[slot] for *_, slot in columns])
    value = weight * chance[entry] * pairs.p_apply[entry] * pairs.grade[entry]
    cost = weight * chance[entry] * market.terms.reserve[pairs.campaign[entry]]
    rows = np.zeros((visits * slots + visits * campaigns + campaigns, len(columns)))
    for j, (v, c, slot) in enumerate(columns):
        rows[v * slots + slot, j] = 1
        rows[visits * slots + v * campaigns + c, j] = 1
        rows[visits * (slots + campaigns) + c, j] = cost[j]
    limits = np.concatenate([np.ones(visits * (slots + campaigns)), market.terms.budget])
    return -linprog(-value, A_ub=rows, b_ub=limits, method="highs").fun


@pytest.mark.parametrize("seed", range(6))
def test_no_policy_can_beat_the_bound_and_it_is_not_far_off(seed: int) -> None:
    market = small_market(np.random.default_rng(seed), seekers=5, campaigns=4, slots=2)
    optimum, bound = best_possible(market, 0.65), hindsight_bound(market, 0.65)
    assert optimum <= bound * (1 + 1e-9)
    assert bound <= optimum * 1.15


def test_without_visits_nothing_can_be_had() -> None:
    market = small_market(np.random.default_rng(0), 3, 2, 1)
    market.traffic.seeker = np.empty(0, np.int32)
    assert hindsight_bound(market, 0.65) < 0.05
