"""A certified hindsight bound: more expected qualified applications than any policy could have had billed.

For any prices lambda >= 0, with the visits of the day known and the world's own click and application chances,

    D(lambda) = sum over visits of (best slots of z - lambda_c * cost, weighed by how well each is seen, never below 0)
                + sum over campaigns of lambda_c * budget_c          >= the hindsight optimum        (weak duality)

z = P(click) P(application | click) grade and cost = P(click) * reserve price, of a first exposure seen at the top.
It is a bound because prices are never below the reserve, repeats only lower the chance of a click and frequency caps
only take away. It is loose where competition drives prices far above the reserve. lambda is improved by multiplicative
steps towards spent budgets; the smallest D of all passes counts.
"""

from __future__ import annotations

import numpy as np

from market.compiled import njit
from sim.market import Market

PASSES = 40


def hindsight_bound(market: Market, exponent: float) -> float:
    """Expected qualified applications of `market` at its budgets; P(seen at rank r) = r^-exponent."""
    pairs, terms = market.pairs, market.terms
    chance = 1 / (1 + np.exp(-pairs.click_logit.astype(np.float64)))
    value = chance * pairs.p_apply * pairs.grade
    cost = chance * terms.reserve[pairs.campaign]
    visits = np.bincount(market.traffic.seeker, minlength=len(pairs.start) - 1)
    seen = (np.array(market.config.promoted_positions) + 1.0) ** -exponent
    budget = terms.budget.astype(np.float64)
    price = np.full(len(budget), float(np.median(value / np.maximum(cost, 1e-12))) if len(value) else 0.0)
    best = np.inf
    for step in range(PASSES):
        spend = np.zeros(len(budget))
        bound = _pass(pairs.start, pairs.campaign, value, cost, visits, seen, price, spend) + float(price @ budget)
        best = min(best, bound)
        price = np.maximum(price, 1e-15) * np.exp(np.clip(0.6 / np.sqrt(step + 1) * (spend / budget - 1), -1, 1))
    return float(best)


@njit()
def _pass(
    start: np.ndarray,
    campaign: np.ndarray,
    value: np.ndarray,
    cost: np.ndarray,
    visits: np.ndarray,
    seen: np.ndarray,
    price: np.ndarray,
    spend: np.ndarray,
) -> float:
    """Sum over visits of the best slots at these prices; adds what they cost to `spend` float64[C]."""
    slots = len(seen)
    gain, entry = np.empty(slots), np.empty(slots, np.int64)
    total = 0.0
    for s in range(len(visits)):
        if visits[s] == 0:
            continue
        held = 0
        for e in range(start[s], start[s + 1]):
            left = value[e] - price[campaign[e]] * cost[e]
            if left <= 0.0 or (held == slots and left <= gain[slots - 1]):
                continue
            place = min(held, slots - 1)
            while place > 0 and gain[place - 1] < left:
                gain[place], entry[place] = gain[place - 1], entry[place - 1]
                place -= 1
            gain[place], entry[place] = left, e
            held = min(held + 1, slots)
        for slot in range(held):
            total += visits[s] * seen[slot] * gain[slot]
            spend[campaign[entry[slot]]] += visits[s] * seen[slot] * cost[entry[slot]]
    return total
