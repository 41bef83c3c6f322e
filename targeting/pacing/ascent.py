"""Dual ascent with primal averaging: prices and a plan for markets that are too dense or too large for a simplex.

With a small quadratic term gamma every segment and bucket is a problem of its own, and the dual is smooth:

    gradients   spend - budget,  bucket spend - its limit,  guarantee - impressions
    steps       price <- max(0, price + STEP * gradient / curvature)
    curvature   ACTIVE * sum of cost^2 * supply / gamma, over the pairs whose share is neither 0 nor at its cap

Nesterov's momentum, restarted where it points downhill; gamma falls in geometric stages. Prices converge long before
the plan does, so the shares of the last stage are averaged, repaired, and what the repair frees is handed out again.
The bound is that of the problem without gamma. (Recipe of DuaLip: Basu et al., ICML 2020; arXiv 2603.04621.)
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from targeting.pacing.ascent_steps import amounts_of, best_mixes, curvature, respond, spend_of, top_up
from targeting.pacing.certificate import fitting
from targeting.pacing.problem import Floats, Ints, PlanProblem, Reach

FIRST_GAMMA, LAST_GAMMA, STAGES = 1.0, 0.02, 6  # in means of the value
STEP, ACTIVE = 0.5, 0.5
LEAST_ACTIVE, CALM = 0.6, 0.02  # least active share of the pairs: of one pair per segment, and of all pairs
BEND_EVERY = 10
LOOK_EVERY = 20
LOSSES = (0.02, 0.2, math.inf)  # how far below its price a pair may be that takes what a repair freed, pass by pass


@dataclass(frozen=True)
class Market:
    """C campaigns, S segments, T buckets, P pairs that lie segment by segment.

    start int64[S + 1], campaign int64[P], value float64[P, T] (CLOSED: not to be shown), cost float64[P], supply
    float64[S, T], budget float64[C], bucket_limit float64[C, T] (inf: none), cap: largest share of a supply for one
    pair, guarantee float64[C] impressions (0: none), penalty: hires lost per impression below the guarantee.
    """

    start: Ints
    campaign: Ints
    value: Floats
    cost: Floats
    supply: Floats
    budget: Floats
    bucket_limit: Floats
    cap: float
    guarantee: Floats
    penalty: float


@dataclass(frozen=True)
class Prices:
    """budget float64[C], bucket float64[C, T] in hires per unit of money; guarantee float64[C] in hires/impression."""

    budget: Floats
    bucket: Floats
    guarantee: Floats


@dataclass(frozen=True)
class Ascent:
    """Feasible impressions float64[P, T], their objective; the prices of the lowest bound; passes over the market."""

    impressions: Floats
    objective: float
    prices: Prices
    bound: float
    passes: int


def dual_bound(market: Market, prices: Prices) -> float:
    """No plan of this market brings more than this, whatever the prices (from 0) are."""
    limit = np.where(prices.bucket > 0, market.bucket_limit, 0.0)
    price, bonus = prices.budget[:, None] + prices.bucket, prices.guarantee
    mixes = best_mixes(
        market.start, market.campaign, market.value, market.cost, market.supply, price, bonus, market.cap
    )
    rows = prices.budget @ market.budget + (prices.bucket * limit).sum() - prices.guarantee @ market.guarantee
    return float(mixes + rows)


def feasible_plan(market: Market, share: NDArray[Any], prices: Prices) -> tuple[Floats, float]:
    """(impressions [P, T], objective) of shares [P, T] of the supplies: scaled to fit, then topped up."""
    rows = market.start, market.campaign, market.value, market.cost, market.supply
    spend = np.empty(market.bucket_limit.shape)
    spend_of(*rows, share, market.cap, spend)
    factor = fitting(spend, market.bucket_limit)  # [C, T]
    factor = factor * fitting((spend * factor).sum(axis=1), market.budget)[:, None]
    impressions, left = np.empty(market.value.shape), np.empty(market.supply.shape)
    money, bucket_money = market.budget.copy(), market.bucket_limit.copy()
    amounts_of(*rows, share, factor, market.cap, money, bucket_money, impressions, left)
    price, bonus = prices.budget[:, None] + prices.bucket, prices.guarantee
    for loss in LOSSES:
        top_up(*rows, price, bonus, market.cap, loss, money, bucket_money, impressions, left)
    return impressions, objective_of(market, impressions)


def objective_of(market: Market, impressions: Floats) -> float:
    """Expected hires less the penalty of every impression below a guarantee."""
    shown = np.bincount(market.campaign, impressions.sum(axis=1), minlength=len(market.budget))
    hires = float(np.einsum("pt,pt->", np.maximum(market.value, 0.0), impressions))
    return hires - market.penalty * float(np.maximum(market.guarantee - shown, 0.0).sum())


def ascend(market: Market, good_gap: float, deadline: float, passes: int = 360) -> Ascent:
    """The best plan and prices of up to `passes` passes; sooner when the gap is good enough or the deadline passes."""
    return _Climb(market).run(good_gap, deadline, passes)


class _Climb:
    def __init__(self, market: Market) -> None:
        self.market = market
        pairs, buckets = market.value.shape
        campaigns = len(market.budget)
        self.value = market.value.astype(np.float32)
        self.share, self.mean = np.zeros((pairs, buckets), np.float32), np.zeros((pairs, buckets), np.float32)
        self.theta = np.zeros(market.supply.shape, np.float32)
        self.spend, self.shown = np.zeros((campaigns, buckets)), np.zeros(campaigns)
        self.limited = np.isfinite(market.bucket_limit) & (market.bucket_limit > 0)
        self.promised = market.guarantee > 0
        # Curvature of the smoothed dual in each price, per 1 / gamma.
        segment = np.repeat(np.arange(len(market.supply)), np.diff(market.start))
        self.bent_bucket, self.bent_promise = np.zeros((campaigns, buckets)), np.zeros(campaigns)
        for t in range(buckets):
            supply = market.supply[segment, t]
            self.bent_bucket[:, t] = np.bincount(market.campaign, market.cost**2 * supply, minlength=campaigns)
            self.bent_promise += np.bincount(market.campaign, supply, minlength=campaigns)
        crowd = max(1.0, pairs / max(1, int((np.diff(market.start) > 0).sum())))
        self.least_active = min(1.0, max(CALM, LEAST_ACTIVE / crowd))
        self.bent, self.bent_shown = np.zeros((campaigns, buckets)), np.zeros(campaigns)
        positive = market.value > 0
        self.scale = float(market.value[positive].mean()) if positive.any() else 1.0
        self.prices = Prices(np.zeros(campaigns), np.zeros((campaigns, buckets)), np.zeros(campaigns))
        self.best_prices, self.bound = self.prices, dual_bound(market, self.prices)
        self.impressions, self.objective = np.zeros((pairs, buckets)), -np.inf
        self.passes = 0

    def run(self, good_gap: float, deadline: float, passes: int) -> Ascent:
        gammas = np.geomspace(FIRST_GAMMA, LAST_GAMMA, STAGES) * self.scale
        for stage, gamma in enumerate(gammas):
            last = stage == STAGES - 1
            steps = passes - passes // STAGES * (STAGES - 1) if last else passes // STAGES
            if self._stage(float(gamma), steps, last, good_gap, deadline):
                break
        if self.objective == -np.inf:
            self._look(averaged=False)
        found = self.impressions, self.objective, self.best_prices, max(self.bound, self.objective), self.passes
        return Ascent(*found)

    def _stage(self, gamma: float, steps: int, last: bool, good_gap: float, deadline: float) -> bool:
        """Whether to stop: the plan is good enough, or the time is over."""
        ahead, momentum = self.prices, 1.0
        for step in range(1, steps + 1):
            weight = 2.0 / (step + 1.0) if last else 0.0
            self._respond(ahead, gamma, weight)
            if step == 1 or step % BEND_EVERY == 0:
                curve_budget, curve_bucket, curve_promise = self._curvature(gamma)
            over_budget = self.spend.sum(axis=1) - self.market.budget
            over_bucket = np.where(self.limited, self.spend - self.market.bucket_limit, 0.0)
            short = np.where(self.promised, self.market.guarantee - self.shown, 0.0)
            new = Prices(
                np.maximum(0.0, ahead.budget + STEP * over_budget / curve_budget),
                np.maximum(0.0, ahead.bucket + STEP * over_bucket / curve_bucket),
                np.clip(ahead.guarantee + STEP * short / curve_promise, 0.0, self.market.penalty) * self.promised,
            )
            old, self.prices = self.prices, new
            uphill = (
                ((new.budget - old.budget) * over_budget).sum()
                + ((new.bucket - old.bucket) * over_bucket).sum()
                + ((new.guarantee - old.guarantee) * short).sum()
            )
            if uphill < 0:
                momentum = 1.0
            following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
            push, momentum = (momentum - 1) / following, following
            ahead = Prices(
                np.maximum(0.0, new.budget + push * (new.budget - old.budget)),
                np.maximum(0.0, new.bucket + push * (new.bucket - old.bucket)),
                np.clip(new.guarantee + push * (new.guarantee - old.guarantee), 0.0, self.market.penalty),
            )
            self.passes += 1
            late = time.monotonic() > deadline
            if late or step == steps or (last and step % LOOK_EVERY == 0):
                self._look(averaged=last)
                if late or self.bound - self.objective <= good_gap * self.bound:
                    return True
        return False

    def _curvature(self, gamma: float) -> tuple[Floats, Floats, Floats]:
        """How fast spend and impressions answer to the prices: of budgets, buckets and guarantees."""
        market = self.market
        curvature(
            market.start,
            market.campaign,
            market.cost,
            market.supply,
            self.share,
            market.cap,
            self.bent,
            self.bent_shown,
        )
        bucket = np.maximum(self.bent, self.least_active * self.bent_bucket)
        shown = np.maximum(self.bent_shown, self.least_active * self.bent_promise)
        return tuple((ACTIVE / gamma) * bent + 1e-300 for bent in (bucket.sum(axis=1), bucket, shown))

    def _respond(self, prices: Prices, gamma: float, weight: float) -> None:
        market = self.market
        price = (prices.budget[:, None] + prices.bucket).astype(np.float32)
        given = market.start, market.campaign, self.value, market.cost, market.supply, price, prices.guarantee
        respond(*given, gamma, market.cap, self.share, self.theta, self.mean, weight, self.spend, self.shown)

    def _look(self, averaged: bool) -> None:
        """Certify the present prices and, in the end, the plans; keep the best of each."""
        bound = dual_bound(self.market, self.prices)
        if bound < self.bound:
            self.bound, self.best_prices = bound, self.prices
        for share in (self.share, self.mean) if averaged else (self.share,):
            impressions, objective = feasible_plan(self.market, share, self.prices)
            if objective > self.objective:
                self.impressions, self.objective = impressions, objective


@dataclass(frozen=True)
class DayAscent:
    """impressions float64[P], budget_price float64[C], supply_price float64[S]: still to be repaired and certified."""

    impressions: Floats
    budget_price: Floats
    supply_price: Floats


def ascend_day(problem: PlanProblem, reach: Reach, good_gap: float, deadline: float) -> DayAscent:
    """Dual ascent on a day's problem: one bucket, no cap, no guarantees; over the useful pairs.

    Money is counted in budgets (1 = all of it) and hires in those of the best pair, whatever units came in.
    """
    useful = reach.useful[np.argsort(problem.segment[reach.useful], kind="stable")]
    campaign, segment = problem.campaign[useful], problem.segment[useful]
    campaigns, segments = len(problem.budget), len(problem.supply)
    unit = float(problem.value[useful].max())
    has_budget = problem.budget > 0
    money = np.where(has_budget, problem.budget, 1.0)
    with np.errstate(over="ignore", under="ignore"):
        market = Market(
            np.searchsorted(segment, np.arange(segments + 1)),
            campaign,
            (problem.value[useful] / unit)[:, None],
            problem.cost[useful] / money[campaign],
            problem.supply[:, None],
            np.where(has_budget, 1.0, 0.0),
            np.full((campaigns, 1), np.inf),
            1.0,
            np.zeros(campaigns),
            0.0,
        )
        found = ascend(market, good_gap, deadline)
        impressions = np.zeros(len(reach.most))
        impressions[useful] = found.impressions[:, 0]
        budget_price = np.where(has_budget, found.prices.budget * unit / money, 0.0)
        reduced = problem.value[useful] - budget_price[campaign] * problem.cost[useful]
        supply_price = np.zeros(segments)
        np.maximum.at(supply_price, segment, reduced)
    return DayAscent(impressions, budget_price, supply_price)
