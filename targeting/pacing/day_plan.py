"""From eligible pairs to the day plan: campaign x seeker segment, solved by OR-Tools, read as starting prices.

    maximise expected qualified applications   subject to   budgets, supply of impressions per segment

The plan is on pooled segments (metro and section of the present occupation): thin cells borrow from their pool. What
serving needs of it is the price of each budget, in expected qualified applications per micro.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from targeting.pacing.acceptance import refusal
from targeting.plan import Plan, PlanProblem, solve

EXPECTED_PRICE_SHARE = 0.7  # expected price of a click as a share of the ceiling; the auction decides the real one


@dataclass(frozen=True)
class PacingPlan:
    """price float64[C] per micro, planned_micros float64[C]; the certified plan, segment and campaign of its pairs.

    refused: why the plan's prices were not taken (None: they were); price is then the last good one.
    """

    price: np.ndarray
    planned_micros: np.ndarray
    plan: Plan
    segment: np.ndarray
    campaign: np.ndarray
    refused: str | None = None


def plan_budgets(
    seeker_segment: np.ndarray,
    supply: np.ndarray,
    start: np.ndarray,
    campaign: np.ndarray,
    eligible: np.ndarray,
    p_click: np.ndarray,
    value_per_click: np.ndarray,
    max_bid_micros: np.ndarray,
    budget_micros: np.ndarray,
    time_limit_seconds: float = 60.0,
    last_good: np.ndarray | None = None,
) -> PacingPlan:
    """Plan budgets over the eligible pairs (CSR by seeker). A plan that is not `acceptable` leaves the prices last_good
    float64[C], or the median of value per micro where there are none yet.

    seeker_segment int[S]; supply float64[segments] promoted impressions, counted as seen; budgets of the same period.
    A segment offers a campaign all of its impressions, even where only some of its seekers may be reached: prices of
    very narrow audiences come out low, and the descent corrects them while the day runs.
    """
    campaigns = len(budget_micros)
    problem = plan_problem(
        seeker_segment, supply, start, campaign, eligible, p_click, value_per_click, max_bid_micros, budget_micros
    )
    plan = solve(problem, time_limit_seconds)
    planned = np.bincount(problem.campaign, plan.impressions * problem.cost, minlength=campaigns)
    refused = refusal(plan)
    price = plan.budget_price
    if refused is not None:
        cold = cold_prices(campaign[eligible], value_per_click[eligible], max_bid_micros)
        price = np.full(campaigns, cold) if last_good is None else last_good
    return PacingPlan(price, planned, plan, problem.segment, problem.campaign, refused)


def plan_problem(
    seeker_segment: np.ndarray,
    supply: np.ndarray,
    start: np.ndarray,
    campaign: np.ndarray,
    eligible: np.ndarray,
    p_click: np.ndarray,
    value_per_click: np.ndarray,
    max_bid_micros: np.ndarray,
    budget_micros: np.ndarray,
) -> PlanProblem:
    """What `plan_budgets` solves: a pair of the plan is a segment and a campaign that some of its seekers may be
    shown, with the mean chance and value of these."""
    campaigns = len(budget_micros)
    seeker = np.repeat(np.arange(len(start) - 1), np.diff(start))[eligible]
    key = seeker_segment[seeker].astype(np.int64) * campaigns + campaign[eligible]
    unique, place = np.unique(key, return_inverse=True)
    count = np.bincount(place)
    chance = np.bincount(place, p_click[eligible]) / count
    value = np.bincount(place, (p_click * value_per_click)[eligible]) / count
    segment, of_campaign = unique // campaigns, unique % campaigns
    cost = chance * EXPECTED_PRICE_SHARE * max_bid_micros[of_campaign]
    return PlanProblem(budget_micros.astype(np.float64), supply.astype(np.float64), of_campaign, segment, value, cost)


def cold_prices(campaign: np.ndarray, value_per_click: np.ndarray, max_bid_micros: np.ndarray) -> float:
    """The median of value per micro over pairs: where a descent without plan begins, and the yardstick of its floor."""
    if not len(campaign):
        return 0.0
    return float(np.median(value_per_click / max_bid_micros[campaign]))
