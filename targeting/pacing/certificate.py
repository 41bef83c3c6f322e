"""What makes a plan trustworthy, whoever made it: repaired to feasibility, certified by a bound.

    bound = sum budget * budget_price + sum supply * supply_price + sum of max(0, reduced value) * reach

is above every feasible plan for any prices from 0 (Lagrange); better prices only make it tighter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from targeting.pacing.problem import LARGEST, Floats, PlanProblem, Reach


def repaired(problem: PlanProblem, impressions: Floats, reach: Reach) -> Floats:
    """The plan clipped to what each pair can get and scaled down until no row is above its limit."""
    plan = np.clip(impressions, 0.0, reach.most)
    with np.errstate(over="ignore", under="ignore"):
        spent = np.bincount(problem.campaign, problem.cost * plan, minlength=len(problem.budget))
        shown = np.bincount(problem.segment, plan, minlength=len(problem.supply))
        affordable = np.where(problem.cost > 0, fitting(spent, problem.budget)[problem.campaign], 1.0)
        return plan * np.minimum(affordable, fitting(shown, problem.supply)[problem.segment])


def fitting(used: NDArray[Any], limit: Floats) -> Floats:
    """The factor that brings what is used to the limit, a hair below it where it was above."""
    factor = np.ones(used.shape)
    np.divide(limit * (1 - 1e-13), used, out=factor, where=used > limit)
    return factor


def worst_violation(problem: PlanProblem, impressions: Floats) -> float:
    """The largest excess over a budget or a supply, relative to it; infinite where the limit is 0."""
    spent = np.bincount(problem.campaign, problem.cost * impressions, minlength=len(problem.budget))
    shown = np.bincount(problem.segment, impressions, minlength=len(problem.supply))
    return max(excess(spent, problem.budget), excess(shown, problem.supply))


def excess(used: NDArray[Any], limit: Floats) -> float:
    """The largest relative excess of what is used over its limit, 0 where all of it fits."""
    over = used > limit
    if not over.any():
        return 0.0
    with np.errstate(divide="ignore", over="ignore"):
        return float(((used[over] - limit[over]) / limit[over]).max())


def certified(
    problem: PlanProblem, budget_price: Floats, supply_price: Floats, reach: Reach
) -> tuple[Floats, Floats, float]:
    """Prices made dual feasible, and the bound they prove: (budget_price, supply_price, bound).

    A pair whose value is above what it pays is covered by the row that costs less to raise: its budget where the
    budget limits it, its segment elsewhere. Then each budget price comes down to what its pairs still need, and so
    do the supply prices. This is also what prices a budget or a supply of zero: by the best use of a first unit.
    """
    campaign, segment, value, cost = problem.campaign, problem.segment, problem.value, problem.cost
    with np.errstate(over="ignore", under="ignore"):
        # What the prices given do not cover.
        supply_limited = np.flatnonzero(problem.supply[segment] < reach.by_budget)
        excess = value - product(budget_price[campaign], cost)
        theta = supply_price.copy()
        np.maximum.at(theta, segment[supply_limited], excess[supply_limited])

        # The least budget prices beside these supply prices, then the least supply prices beside those.
        paying = np.flatnonzero(cost > 0)
        needed = np.minimum((value[paying] - theta[segment[paying]]) / cost[paying], LARGEST)
        price = np.zeros(len(budget_price))
        np.maximum.at(price, campaign[paying], needed)

        needed = value - product(price[campaign], cost)
        most = np.zeros(len(theta))
        np.maximum.at(most, segment, needed)
        theta = np.minimum(theta, most)

        reduced = np.maximum(needed - theta[segment], 0.0)
        bound = total(problem.budget, price) + total(problem.supply, theta) + total(reach.most, reduced)
    return price, theta, bound


def per_unit(worth: Floats, limit: Floats) -> Floats:
    """The price of one unit of a limit from the worth of all of it; 0 where the limit is 0."""
    with np.errstate(over="ignore", under="ignore"):
        price = np.divide(worth, limit, out=np.zeros(len(limit)), where=limit > 0)
    return np.minimum(price, LARGEST)


def product(price: Floats, cost: Floats) -> Floats:
    return np.minimum(price * cost, LARGEST)


def total(amounts: Floats, prices: Floats) -> float:
    return float((amounts * prices).sum())
