"""The controller: what becomes of a campaign's price from one minute to the next. No clock of its own, no store.

    a plan's price came in    price <- half of it and half of the plan's; the first plan's price is taken as it is
    each minute               one step of descent (`descent.next_price`) on posted plus pending expected charges,
                              against the remaining budget over the remaining share of the day
    bounds                    lowest: the least worth of a click over the ceiling, so below it nothing changes;
                              highest: the best worth over the reserve price, so above it nothing is bid at all

    slow start                a campaign without a plan or like begins half-way (geometric mean) between the bounds: who
                              it fits best sees it at once, others do not; it comes down FALLS times as fast as it
                              would while it spends nothing
    hold                      a campaign that is more than `lead` of its budget ahead of its plan bids nothing until the
                              plan has caught up: a minute is long when many come, and a plan can be wrong

and for a target cost per qualified application a second price, by the same kind of step on what posted clicks cost and
how many applications they should bring (T the target, C cost, Q expected qualified applications, B budget of the day):

    cpa <- cpa * exp(clip(eta * ((C - C') - T * (Q - Q')) / B, -1, 1)),  from 1 / (4 T) to 20 / T, first 1 / T

A campaign that was not stepped for a while (paused, the service down) keeps its price: nothing is concluded from what
was not spent then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from market.errors import ConfigError
from targeting.pacing.descent import next_price

LARGEST_STEP = 1.0
FALLS = 5.0
LEAST = 0.05  # of the seekers may be worth less than what the lowest price is reckoned with
CPA_RANGE = 0.25, 20.0  # of 1 / target


@dataclass(frozen=True)
class PacingConfig:
    """on: whether prices are moved, or all campaigns bid their ceilings. eta: step of a minute, of campaigns with a
    plan. eta_cold: the same without a plan. lead: share of a day's budget by which a campaign may be ahead of its plan
    before it stops bidding until the plan has caught up. damping: weight of a new plan's price beside the present one.
    gap_seconds: a longer time without a step does not count as underspending. look_seconds: how often a worker looks
    whether a step is due. replan_seconds: time from one plan to the next. solve_seconds: time limit of the plan's
    solver. shrinkage: pseudo requests behind the forecast of a segment when the last day's traffic corrects it.
    segments: most segments of one campaign in the plan. explained: most campaigns below target whose reasons are
    worked out with a plan. auto_cpc_micros: most an auto bid without max_cpc bids for a click, in micros of its own
    currency.
    """

    on: bool = True
    eta: float = 10.0
    eta_cold: float = 20.0
    lead: float = 0.1
    damping: float = 0.5
    gap_seconds: float = 300.0
    look_seconds: float = 5.0
    replan_seconds: float = 3_600.0
    solve_seconds: float = 30.0
    shrinkage: float = 50.0
    segments: int = 50
    explained: int = 500
    auto_cpc_micros: int = 800_000

    def __post_init__(self) -> None:
        for name in ("eta", "eta_cold", "gap_seconds", "look_seconds", "replan_seconds", "solve_seconds"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}; give a number above zero")
        for name in ("damping", "lead"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected a share from 0 to 1")
        if not self.shrinkage >= 0 or self.segments < 1 or self.explained < 0 or self.auto_cpc_micros < 1:
            raise ConfigError("shrinkage and explained are at least 0, segments and auto_cpc_micros at least 1")


@dataclass(frozen=True)
class Span:
    """Between which prices a campaign's bids change: worth per micro."""

    lowest: float
    highest: float


@dataclass(frozen=True)
class Paced:
    """A campaign's price, and what it was last reckoned from: day, budget and spent (micros) and share of the day, at.

    cpa: the second price, None without a target; cpa_cost micros and cpa_value applications of the day's posted clicks.
    """

    day: str
    price: float
    lowest: float
    highest: float
    planned: bool
    budget: float
    spent: float
    share: float
    at: datetime
    cpa: float | None = None
    cpa_cost: float = 0.0
    cpa_value: float = 0.0


@dataclass(frozen=True)
class Reading:
    """What the ledger and the calendar say of a campaign now. budget: micros meant for the day; spent: posted plus
    pending expected charges; share: of the budget planned by now; cost, value: of the day's posted clicks."""

    day: str
    budget: float
    spent: float
    share: float
    target_cpa: int | None = None
    cost: float = 0.0
    value: float = 0.0


def span_of(worth: np.ndarray, weight: np.ndarray, ceiling: int, reserve: int) -> Span:
    """worth, weight float64[n]: of a click by each kind of seeker, and how many of those come."""
    usable = np.isfinite(worth) & (worth > 0) & (weight > 0)
    if not usable.any():
        return Span(0.0, 0.0)
    values, weights = worth[usable], weight[usable]
    order = np.argsort(values)
    passed = np.cumsum(weights[order]) / weights.sum()
    low = float(values[order][min(int(np.searchsorted(passed, LEAST)), len(order) - 1)])
    least, most = low / max(ceiling, 1), 1.05 * float(values.max()) / max(min(reserve, ceiling), 1)
    return Span(least, max(most, least))


def begun(span: Span, prior: float | None, reading: Reading, now: datetime) -> Paced:
    """A campaign that had no price; prior: that of planned campaigns like it, as a share of their highest price (their
    worth differs, where between the ends they lie less); None where there are none: half-way."""
    price = (
        math.sqrt(span.lowest * span.highest)
        if prior is None
        else min(max(prior * span.highest, span.lowest), span.highest)
    )
    cpa = None if reading.target_cpa is None else 1 / reading.target_cpa
    return Paced(
        reading.day,
        price,
        span.lowest,
        span.highest,
        False,
        reading.budget,
        reading.spent,
        reading.share,
        now,
        cpa,
        reading.cost,
        reading.value,
    )


def advance(before: Paced, reading: Reading, now: datetime, config: PacingConfig, plan_price: float | None) -> Paced:
    """The next state; plan_price: of a plan made since the last step."""
    price, planned = before.price, before.planned
    if plan_price is not None:
        price = (1 - config.damping) * price + config.damping * plan_price if planned else plan_price
        planned = True
    same_day = reading.day == before.day
    spent, share = (before.spent, before.share) if same_day else (0.0, 0.0)
    steady = timedelta(0) <= now - before.at <= timedelta(seconds=config.gap_seconds)
    if steady:
        eta = config.eta if planned else config.eta_cold
        if not planned and reading.spent <= spent:
            eta *= FALLS
        floor = before.lowest
        price = float(next_price(price, reading.spent, spent, reading.budget, reading.share, share, eta, floor))
    return replace(
        before,
        day=reading.day,
        price=min(max(price, before.lowest), before.highest),
        planned=planned,
        budget=reading.budget,
        spent=reading.spent,
        share=reading.share,
        at=now,
        cpa=_next_cpa(before, reading, same_day, steady, config.eta),
        cpa_cost=reading.cost,
        cpa_value=reading.value,
    )


def shown(state: Paced, config: PacingConfig) -> float:
    """The price to bid by: that of the state, or infinite while the campaign is held."""
    return math.inf if state.spent > (state.share + config.lead) * state.budget else state.price


def _next_cpa(before: Paced, reading: Reading, same_day: bool, steady: bool, eta: float) -> float | None:
    target = reading.target_cpa
    if target is None:
        return None
    price = 1 / target if before.cpa is None else before.cpa
    if steady and reading.budget > 0 and before.cpa is not None:
        cost, value = (before.cpa_cost, before.cpa_value) if same_day else (0.0, 0.0)
        step = eta * ((reading.cost - cost) - target * (reading.value - value)) / reading.budget
        price *= math.exp(min(LARGEST_STEP, max(-LARGEST_STEP, step)))
    return min(max(price, CPA_RANGE[0] / target), CPA_RANGE[1] / target)
