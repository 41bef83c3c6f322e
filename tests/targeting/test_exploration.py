"""Slots by lot: the propensities are those of what is really drawn, and estimates from such logs find the truth."""

from __future__ import annotations

import math
from collections import Counter
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.money import Money
from targeting.campaigns import Bid, Budget, Campaign
from targeting.exploration import ExplorationBudget, Lottery

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DRAWS = 20_000


def campaign(daily: int | None = 1_000_000, total: int = 10_000_000, campaign_id: str = "cmp_1") -> Campaign:
    budget = Budget(Money(total, "EUR"), None if daily is None else Money(daily, "EUR"))
    return Campaign(
        campaign_id, "acme", "j1", "Nurses", budget, Bid("auto"), "clicks", NOW, None, "UTC", "asap", "active", 1, NOW
    )


# ---- propensities


@pytest.mark.parametrize(
    "lottery",
    [
        Lottery((7, 3, 5), (0, 1, 2, 9), explore=0.3, swap=0.4),
        Lottery((7, 3), (1,), explore=0.5, swap=0.2),  # only the first slot can be given away
        Lottery((4,), (0, 1, 2), explore=0.25, swap=1.0),
        Lottery((4, 2, 0), (), explore=0.9, swap=0.5),
    ],
)
def test_a_candidate_is_drawn_into_a_slot_as_often_as_its_propensity_says(lottery: Lottery) -> None:
    chance = np.random.default_rng(1).random
    counts: Counter[tuple[int, int]] = Counter()
    for _ in range(DRAWS):
        shown = lottery.draw(chance)
        for slot, placed in enumerate(shown):
            assert placed.propensity == lottery.propensity(slot, placed.candidate)
            counts[slot, placed.candidate] += 1
    for slot in range(len(lottery.winners)):
        for candidate in (*lottery.winners, *lottery.others):
            p = lottery.propensity(slot, candidate)
            bound = 4 * math.sqrt(p * (1 - p) / DRAWS)
            assert abs(counts[slot, candidate] / DRAWS - p) <= bound, (slot, candidate)


@given(st.integers(0, 6), st.integers(0, 6), st.floats(0, 1), st.floats(0, 1))
def test_the_propensities_of_a_slot_sum_to_one(winners: int, others: int, explore: float, swap: float) -> None:
    lottery = Lottery(range(winners), range(winners, winners + others), explore, swap)
    for slot in range(winners):
        total = sum(lottery.propensity(slot, candidate) for candidate in range(winners + others))
        assert total == pytest.approx(1)


@given(st.integers(0, 6), st.integers(0, 6), st.floats(0, 1), st.floats(0, 1), st.integers(0, 2**32))
def test_no_candidate_is_shown_twice_and_each_says_how_it_came(
    winners: int, others: int, explore: float, swap: float, seed: int
) -> None:
    lottery = Lottery(range(winners), range(winners, winners + others), explore, swap)
    shown = lottery.draw(np.random.default_rng(seed).random)
    assert len({placed.candidate for placed in shown}) == len(shown) == winners
    for slot, placed in enumerate(shown):
        assert placed.explored == (placed.candidate >= winners)
        assert placed.swapped == (placed.won != slot)
        assert abs(placed.won - slot) <= 1
        assert placed.explored or placed.won == placed.candidate
        assert 0 < placed.propensity <= 1


def test_nothing_is_left_to_chance_without_shares() -> None:
    shown = Lottery((5, 6), (1, 2), explore=0.0, swap=0.0).draw(np.random.default_rng(1).random)
    assert [(placed.candidate, placed.propensity) for placed in shown] == [(5, 1.0), (6, 1.0)]


def test_the_same_seed_draws_the_same() -> None:
    lottery = Lottery((7, 3, 5), (0, 1, 2), explore=0.5, swap=0.5)
    drawn = [[lottery.draw(rng.random) for _ in range(20)] for rng in (np.random.default_rng(3) for _ in range(2))]
    assert drawn[0] == drawn[1]
    assert drawn[0] != [lottery.draw(np.random.default_rng(4).random) for _ in range(20)]


# ---- estimates from logs

LOOKS = np.array([1.0, 0.6, 0.35])  # how often each slot is looked at
CLICKS = np.array([[0.30, 0.25, 0.20, 0.10, 0.05], [0.05, 0.40, 0.10, 0.30, 0.20]])  # P(click | seen) [kind, job]
GREEDY = np.array([[0, 1, 2], [3, 1, 0]])  # what the logging policy believes to be best, wrong for the second kind
OTHER = np.array([[1, 0, 2], [1, 3, 4]])  # its first places come by swaps only, its job 4 by lot only
SHARE = np.array([0.5, 0.5])


def value(policy: np.ndarray) -> float:
    """Clicks per slate, by enumeration."""
    return float(sum(SHARE[s] * LOOKS[slot] * CLICKS[s, policy[s, slot]] for s in (0, 1) for slot in range(3)))


def logs(explore: float, swap: float, slates: int, rng: np.random.Generator) -> np.ndarray:
    """One row a slot shown: slate, kind of seeker, slot, job, propensity, clicked."""
    rows = []
    for number in range(slates):
        kind = int(rng.random() < SHARE[1])
        others = [job for job in range(5) if job not in GREEDY[kind]]
        for slot, placed in enumerate(Lottery(GREEDY[kind].tolist(), others, explore, swap).draw(rng.random)):
            clicked = rng.random() < LOOKS[slot] * CLICKS[kind, placed.candidate]
            rows.append((number, kind, slot, placed.candidate, placed.propensity, clicked))
    return np.array(rows)


def estimates(log: np.ndarray, policy: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
    """(estimate, standard error) of IPS and SNIPS, clicks per slate of `policy`."""
    slate, kind, slot, job, propensity, clicked = log.T
    slate, kind, slot = slate.astype(int), kind.astype(int), slot.astype(int)
    weight = (policy[kind, slot] == job) / propensity
    per_slate = np.bincount(slate, weight * clicked)
    size = len(per_slate)
    ips = per_slate.mean(), per_slate.std() / math.sqrt(size)
    rate = np.array([(weight * clicked)[slot == j].sum() / weight[slot == j].sum() for j in range(3)])
    residual = np.bincount(slate, weight * (clicked - rate[slot]))
    return ips, (float(rate.sum()), residual.std() / math.sqrt(size))


@pytest.mark.parametrize("policy", [GREEDY, OTHER], ids=["its own best", "another ranking"])
def test_estimates_from_the_logs_cover_the_truth_of_another_policy(policy: np.ndarray) -> None:
    explored = logs(explore=0.2, swap=0.5, slates=DRAWS, rng=np.random.default_rng(5))
    truth = value(policy)
    for estimate, error in estimates(explored, policy):
        assert 0 < error < 0.1 * truth
        assert abs(estimate - truth) < 3 * error


def test_without_propensities_the_estimate_is_wrong() -> None:
    """The check above can fail: counting what was shown as if it were the policy's own misses the truth by far."""
    log = logs(explore=0.2, swap=0.5, slates=DRAWS, rng=np.random.default_rng(5))
    log[:, 4] = 1.0
    (estimate, error), _ = estimates(log, GREEDY)
    assert abs(estimate - value(GREEDY)) > 10 * error


# ---- what lots may cost


def test_lots_reserve_a_share_of_the_daily_budget_and_no_more() -> None:
    budget, each = ExplorationBudget(share=0.02, kappa=2.0), campaign(daily=1_000_000)  # 20,000 micros by lot
    taken = 0
    while budget.fits(each, "2026-03-01", p_click=0.02, price_micros=100_000):  # 4,000 each
        budget.take(each, "2026-03-01", 0.02, 100_000)
        taken += 1
    assert taken == 5
    assert not budget.fits(each, "2026-03-01", 0.02, 100_000)
    assert budget.fits(campaign(campaign_id="cmp_2"), "2026-03-01", 0.02, 100_000)


def test_a_new_day_has_a_new_share() -> None:
    budget, each = ExplorationBudget(share=0.02), campaign()
    budget.take(each, "2026-03-01", 0.1, 100_000)
    assert not budget.fits(each, "2026-03-01", 0.1, 100_000)
    assert budget.fits(each, "2026-03-02", 0.1, 100_000)


def test_without_a_daily_budget_the_total_counts_and_a_share_of_nothing_allows_nothing() -> None:
    assert ExplorationBudget(0.02).fits(campaign(daily=None), "2026-03-01", 1.0, 200_000)
    assert not ExplorationBudget(0.02).fits(campaign(daily=None), "2026-03-01", 1.0, 200_001)
    assert not ExplorationBudget(0.0).fits(campaign(), "2026-03-01", 1e-9, 1)
