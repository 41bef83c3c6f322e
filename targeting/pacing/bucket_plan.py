"""The plan over buckets of time: for campaigns that run in parts of the day, or that were promised a delivery.

A simplex solves what is small; the rest is dual ascent. Both are repaired, topped up and certified alike.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np

from market.errors import PlanError
from targeting.pacing.ascent import Market, ascend, dual_bound
from targeting.pacing.ascent_steps import CLOSED
from targeting.pacing.bucket_problem import BucketProblem
from targeting.pacing.bucket_program import bucket_program, read_answer
from targeting.pacing.certificate import excess
from targeting.pacing.linear_program import ask
from targeting.pacing.problem import Floats, Ints

EXACT_VARIABLES = 300_000  # pairs times buckets up to which the simplex is asked first
SIMPLEX_SHARE = 0.6  # of the time limit
GOOD_GAP = 5e-3
PASSES = 360


@dataclass(frozen=True)
class BucketPlan:
    """A feasible plan and its certificate; the order of all arrays is the problem's.

    impressions float64[P, T]; budget_price float64[C], bucket_price float64[C, T] in hires per currency unit;
    guarantee_price float64[C] in hires per impression promised, at most the penalty; shortfall float64[C] impressions.
    objective is net of penalties; gap = (bound - objective) / |bound|; violation: the largest relative excess of a row.
    """

    impressions: Floats
    budget_price: Floats
    bucket_price: Floats
    guarantee_price: Floats
    shortfall: Floats
    objective: float
    bound: float
    gap: float
    solver: str
    seconds: float
    violation: float


def solve_buckets(
    problem: BucketProblem, time_limit_seconds: float = 60.0, good_gap: float = GOOD_GAP, passes: int = PASSES
) -> BucketPlan:
    """The best plan known when the gap is good enough, the passes are done or the time is over; exact if small."""
    if not time_limit_seconds >= 0:
        raise PlanError(f"time_limit_seconds is {time_limit_seconds}; expected a number of seconds from 0")
    started = time.monotonic()
    order = np.argsort(problem.segment, kind="stable")
    unit = float(problem.value.max(initial=0.0)) or 1.0
    market = _market(problem, order, unit)
    answer = None
    if problem.value.size <= EXACT_VARIABLES and problem.value.size and time_limit_seconds > 0:
        program = bucket_program(market)
        answer = ask(program, "glop", time_limit_seconds * SIMPLEX_SHARE)
    if answer is not None and answer.finished:
        solver, (impressions, objective, prices) = "glop", read_answer(market, answer)
        bound = max(dual_bound(market, prices), objective)
    else:
        found = ascend(market, good_gap, started + time_limit_seconds, passes)
        solver, impressions, objective, prices = "dual-ascent", found.impressions, found.objective, found.prices
        bound = found.bound
    money = np.where(problem.budget > 0, problem.budget, 1.0)
    placed = np.empty_like(impressions)
    placed[order] = impressions
    shown = np.bincount(problem.campaign, placed.sum(axis=1), minlength=len(money))
    gap = (bound - objective) / abs(bound) if bound != 0 else (0.0 if objective == 0 else math.inf)
    return BucketPlan(
        impressions=placed,
        budget_price=prices.budget * unit / money,
        bucket_price=prices.bucket * unit / money[:, None],
        guarantee_price=prices.guarantee * unit,
        shortfall=np.maximum(market.guarantee - shown, 0.0),
        objective=objective * unit,
        bound=bound * unit,
        gap=gap,
        solver=solver,
        seconds=time.monotonic() - started,
        violation=_violation(problem, placed),
    )


def _market(problem: BucketProblem, order: Ints, unit: float) -> Market:
    """Money in budgets (1 = all of it), hires in those of the best pair; pairs segment by segment."""
    campaign, segment = problem.campaign[order], problem.segment[order]
    campaigns, buckets = len(problem.budget), problem.supply.shape[1]
    has_budget = problem.budget > 0
    money = np.where(has_budget, problem.budget, 1.0)
    value = problem.value[order] / unit
    limit = np.full((campaigns, buckets), np.inf)
    if problem.share is not None:
        limit = (1 + problem.slack) * problem.share * has_budget[:, None]
        value[problem.share[campaign] == 0] = CLOSED
    value[(problem.cost[order] > 0) & ~has_budget[campaign]] = CLOSED
    return Market(
        start=np.searchsorted(segment, np.arange(len(problem.supply) + 1)),
        campaign=campaign,
        value=value,
        cost=problem.cost[order] / money[campaign],
        supply=problem.supply,
        budget=has_budget.astype(np.float64),
        bucket_limit=limit,
        cap=problem.frequency_cap,
        guarantee=np.zeros(campaigns) if problem.guarantee is None else problem.guarantee,
        penalty=problem.penalty / unit,
    )


def _violation(problem: BucketProblem, impressions: Floats) -> float:
    """The largest relative excess over a budget, supply, smoothness limit or frequency cap."""
    campaigns, buckets = len(problem.budget), problem.supply.shape[1]
    spent = np.empty((campaigns, buckets))
    shown = np.empty(problem.supply.shape)
    for t in range(buckets):
        spent[:, t] = np.bincount(problem.campaign, problem.cost * impressions[:, t], minlength=campaigns)
        shown[:, t] = np.bincount(problem.segment, impressions[:, t], minlength=len(shown))
    worst = max(
        excess(spent.sum(axis=1), problem.budget),
        excess(shown, problem.supply),
        excess(impressions, problem.frequency_cap * problem.supply[problem.segment]),
    )
    if problem.share is not None:
        worst = max(worst, excess(spent, (1 + problem.slack) * problem.share * problem.budget[:, None]))
    return worst
