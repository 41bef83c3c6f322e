"""The plan over buckets of time: for campaigns that run in parts of the day, or that were promised a delivery.

    maximise   sum of value * impressions - penalty * sum of shortfalls
    budget     sum over segments and buckets of cost * impressions <= budget[c]
    supply     sum over campaigns of impressions                   <= supply[s, t]
    smooth     sum over segments of cost * impressions             <= (1 + slack) * share[c, t] * budget[c]
    guarantee  sum over segments and buckets of impressions + shortfall >= guarantee[c]       soft, shortfall >= 0
    frequency  impressions of a pair                               <= frequency_cap * supply[s, t]

A campaign is not shown at all in a bucket in which its share is 0. One bucket makes it a day plan with guarantees and a
frequency cap. A simplex solves what is small; the rest is dual ascent. Both are repaired and certified alike.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from market.errors import PlanError
from targeting.pacing.ascent import Market, Prices, ascend, dual_bound, feasible_plan
from targeting.pacing.ascent_steps import CLOSED
from targeting.pacing.certificate import excess
from targeting.pacing.linear_program import Answer, LinearProgram, ask
from targeting.pacing.problem import Floats, Ints, amounts, indices

EXACT_VARIABLES = 300_000  # pairs times buckets up to which the simplex is asked first
SIMPLEX_SHARE = 0.6  # of the time limit
GOOD_GAP = 5e-3
PASSES = 360


@dataclass(frozen=True)
class BucketProblem:
    """C campaigns, S segments, P pairs, T buckets. Raises PlanError naming array and index.

    budget float64[C], cost float64[P] in one currency unit; supply float64[S, T]; campaign, segment int64[P]; value
    float64[P, T] expected hires per impression; share float64[C, T] the planned share of each bucket, summing to 1 per
    campaign, or None for no smoothness rows; guarantee float64[C] impressions promised, or None; penalty: hires that an
    impression below the guarantee costs; frequency_cap: the largest share of a supply that one pair may take, in (0, 1].
    """

    budget: Floats
    supply: Floats
    campaign: Ints
    segment: Ints
    value: Floats
    cost: Floats
    share: Floats | None = None
    guarantee: Floats | None = None
    slack: float = 0.25
    penalty: float = 0.0
    frequency_cap: float = 1.0

    def __post_init__(self) -> None:
        budget, cost = amounts("budget", self.budget), amounts("cost", self.cost)
        supply, value = _table("supply", self.supply), _table("value", self.value)
        campaign = indices("campaign", self.campaign, len(budget), "budget")
        segment = indices("segment", self.segment, len(supply), "supply")
        for name, found in (("segment", segment), ("value", value), ("cost", cost)):
            if len(found) != len(campaign):
                raise PlanError(f"{name} has {len(found)} entries, campaign has {len(campaign)}; give one per pair")
        if value.shape[1] != supply.shape[1]:
            raise PlanError(f"value has {value.shape[1]} buckets, supply has {supply.shape[1]}; expected the same")
        for name, found in (("budget", budget), ("supply", supply), ("value", value), ("cost", cost)):
            object.__setattr__(self, name, found)
        object.__setattr__(self, "campaign", campaign)
        object.__setattr__(self, "segment", segment)
        if self.share is not None:
            share = _table("share", self.share)
            if share.shape != (len(budget), supply.shape[1]):
                raise PlanError(f"share has shape {share.shape}; expected ({len(budget)}, {supply.shape[1]})")
            off = np.flatnonzero(~np.isclose(share.sum(axis=1), 1.0, rtol=0, atol=1e-6))
            if len(off):
                raise PlanError(f"share[{off[0]}] sums to {share[off[0]].sum()}; the shares of a campaign sum to 1")
            object.__setattr__(self, "share", share)
        if self.guarantee is not None:
            guarantee = amounts("guarantee", self.guarantee)
            if len(guarantee) != len(budget):
                raise PlanError(f"guarantee has {len(guarantee)} entries, budget has {len(budget)}; give one each")
            object.__setattr__(self, "guarantee", guarantee)
        for name, least in (("slack", 0.0), ("penalty", 0.0)):
            if not least <= getattr(self, name) < math.inf:
                raise PlanError(f"{name} is {getattr(self, name)}; expected a finite number from {least:g}")
        if not 0 < self.frequency_cap <= 1:
            raise PlanError(f"frequency_cap is {self.frequency_cap}; expected a share above 0, up to 1")


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
        program = _program(market)
        answer = ask(program, "glop", time_limit_seconds * SIMPLEX_SHARE)
    if answer is not None and answer.finished:
        solver, (impressions, objective, prices) = "glop", _read(market, answer)
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


def _program(market: Market) -> LinearProgram:
    """Variables: the share of its supply that a pair gets in a bucket, then the share of each guarantee that is missed."""
    pairs, buckets = market.value.shape
    segments, campaigns = market.supply.shape[0], len(market.budget)
    segment = np.repeat(np.arange(segments), np.diff(market.start))
    supply = market.supply[segment]  # [P, T]
    bucket = np.broadcast_to(np.arange(buckets), (pairs, buckets))
    column = np.arange(pairs * buckets).reshape(pairs, buckets)
    promised = np.flatnonzero(market.guarantee > 0)
    place = np.full(campaigns, -1)
    place[promised] = np.arange(len(promised))
    spend = market.cost[:, None] * supply
    owner = np.broadcast_to(market.campaign[:, None], (pairs, buckets))

    # Rows: budgets, smoothness, supplies, guarantees.
    smooth, visits = campaigns, campaigns + campaigns * buckets
    promise = visits + segments * buckets
    limited = np.isfinite(market.bucket_limit)[owner, bucket]
    bound = place[owner] >= 0
    promises = market.guarantee[owner[bound]]
    parts = [
        (spend, owner, column),
        (spend[limited], (smooth + owner * buckets + bucket)[limited], column[limited]),
        (np.ones((pairs, buckets)), visits + segment[:, None] * buckets + bucket, column),
        (supply[bound] / promises, promise + place[owner[bound]], column[bound]),
        (np.ones(len(promised)), promise + np.arange(len(promised)), pairs * buckets + np.arange(len(promised))),
    ]
    entries, rows, columns = (np.concatenate([np.ravel(part[k]) for part in parts]) for k in range(3))
    shape = (promise + len(promised), pairs * buckets + len(promised))
    lower = np.full(shape[0], -np.inf)
    lower[promise:] = 1.0
    upper = np.concatenate([market.budget, market.bucket_limit.ravel(), np.ones(segments * buckets)])
    most = np.where(market.value > 0, market.cap, 0.0)
    worth = np.where(market.value > 0, market.value * supply, 0.0)
    # The penalty is the worth lost by missing the guarantee; GLOP sees worths near 1.
    lost = -market.penalty * market.guarantee[promised]
    scale = max(float(worth.max(initial=0.0)), 1e-300)
    return LinearProgram(
        np.concatenate([worth.ravel(), lost]) / scale,
        np.concatenate([most.ravel(), np.ones(len(promised))]),
        sp.csr_matrix((entries, (rows, columns)), shape=shape),
        lower,
        np.concatenate([upper, np.full(len(promised), np.inf)]),
    )


def _read(market: Market, answer: Answer) -> tuple[Floats, float, Prices]:
    """(impressions, objective, prices) of what the simplex found."""
    pairs, buckets = market.value.shape
    segments, campaigns = market.supply.shape[0], len(market.budget)
    segment = np.repeat(np.arange(segments), np.diff(market.start))
    share = answer.x[: pairs * buckets].reshape(pairs, buckets)
    worth = np.where(market.value > 0, market.value * market.supply[segment], 0.0)
    duals = answer.duals * max(float(worth.max(initial=0.0)), 1e-300)
    smooth, visits = campaigns, campaigns + campaigns * buckets
    bonus = np.zeros(campaigns)
    promised = np.flatnonzero(market.guarantee > 0)
    bonus[promised] = -duals[visits + segments * buckets :] / market.guarantee[promised]
    prices = Prices(
        np.maximum(duals[:campaigns], 0.0),
        np.maximum(duals[smooth:visits].reshape(campaigns, buckets), 0.0),
        np.clip(bonus, 0.0, market.penalty),
    )
    impressions, objective = feasible_plan(market, share, prices)
    return impressions, objective, prices


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


def _table(name: str, given: ArrayLike) -> Floats:
    try:
        array = np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PlanError(f"{name} is not an array of numbers ({error}); give float64") from None
    if array.ndim != 2:
        raise PlanError(f"{name} has {array.ndim} dimensions; expected two, the second of buckets")
    amounts(name, array.ravel())
    return array
