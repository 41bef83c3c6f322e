"""A plan for when there is no time: rough prices, and impressions handed out in two greedy orders.

It needs no solver and no scaling, whatever the sizes of the numbers, and a fraction of a second.
"""

from __future__ import annotations

import math
import time

import numpy as np

from market.compiled import njit
from targeting.pacing.certificate import product, total
from targeting.pacing.problem import LARGEST, Floats, PlanProblem, Reach

STEPS = 100
LEAST_STEPS = 50  # taken even past the deadline: with fewer the bound is not worth having


def hasty_prices(problem: PlanProblem, reach: Reach, deadline: float) -> tuple[Floats, Floats]:
    """Prices by multiplicative dual ascent, for when the simplex has none: any step's are valid, the best is kept.

    Given budget prices a segment is worth its best reduced value; a campaign that would win more than it can pay
    for becomes dearer, one that wins less cheaper (step 0.6 / sqrt(k + 1), as in the hindsight bound of pacing).
    """
    useful = reach.useful
    campaign, segment = problem.campaign[useful], problem.segment[useful]
    value, cost = problem.value[useful], problem.cost[useful]
    wanted = reach.most[useful]
    best = (np.zeros(len(problem.budget)), np.zeros(len(problem.supply)))
    lowest = np.inf
    with np.errstate(over="ignore", under="ignore"):
        density = np.minimum(np.divide(value, cost, out=np.zeros(len(value)), where=cost > 0), LARGEST)
        price = np.zeros(len(problem.budget))
        np.maximum.at(price, campaign, density / 2)
        for step in range(STEPS):
            reduced = value - product(price[campaign], cost)
            theta = np.zeros(len(problem.supply))
            np.maximum.at(theta, segment, reduced)
            bound = total(problem.budget, price) + total(problem.supply, theta)
            if bound < lowest:
                best, lowest = (price, theta), bound
            if step + 1 >= LEAST_STEPS and time.monotonic() > deadline:
                break
            wins = (reduced > 0) & (reduced >= theta[segment])
            spend = np.bincount(campaign[wins], cost[wins] * wanted[wins], minlength=len(price))
            ratio = np.ones(len(price))
            np.divide(spend, problem.budget, out=ratio, where=problem.budget > 0)
            price = np.minimum(price * np.exp(np.clip(0.6 / math.sqrt(step + 1) * (ratio - 1), -1, 1)), LARGEST)
    return best


def hasty_plans(problem: PlanProblem, reach: Reach, budget_price: Floats) -> list[Floats]:
    """Impressions handed out in two orders: by reduced value, and by hires per unit of money."""
    useful = reach.useful
    value, cost = problem.value[useful], problem.cost[useful]
    with np.errstate(over="ignore", under="ignore"):
        reduced = value - product(budget_price[problem.campaign[useful]], cost)
        density = np.divide(value, cost, out=np.full(len(value), np.inf), where=cost > 0)
    orders = (useful[np.argsort(-merit, kind="stable")] for merit in (reduced, density))
    plans = []
    for order in orders:
        plan = np.zeros(len(reach.most))
        _fill(
            order, problem.campaign, problem.segment, problem.cost, problem.budget.copy(), problem.supply.copy(), plan
        )
        plans.append(plan)
    return plans


@njit()
def _fill(
    order: np.ndarray,
    campaign: np.ndarray,
    segment: np.ndarray,
    cost: np.ndarray,
    money: np.ndarray,
    visits: np.ndarray,
    impressions: np.ndarray,
) -> None:
    """Impressions handed out pair by pair, each as many as its budget and its segment still have."""
    for pair in order:
        c, s, price = campaign[pair], segment[pair], cost[pair]
        given = min(visits[s], money[c] / price) if price > 0 else visits[s]
        impressions[pair] = given
        visits[s] -= given
        money[c] = max(0.0, money[c] - given * price)
