"""What a plan says of one campaign, as it is stored and told: its price, what it should bring, what binds and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from market.clock import format_rfc3339
from targeting.pacing.market_plan import UNIT, Entry, MarketPlan
from targeting.pacing.prices import Unit, unit_of
from targeting.pacing.problem import PlanProblem
from targeting.pacing.reasons import MORE, THERE, Openings, Reason, delivery_reasons, what_budgets_bring
from targeting.plan import Plan

WHY = {
    "budget": "its budget is too small for that",
    "competition": "other campaigns bring more with the visits of its segments",
    "frequency": "one campaign may not have all visits of a segment",
    "bid": "its bid is too low for the segments that would do",
    "supply": "too few people look for such a job",
}


@dataclass(frozen=True)
class SubPlan:
    """The part of a plan that concerns one campaign, its segments and its rivals in them."""

    impressions: np.ndarray
    budget_price: np.ndarray
    supply_price: np.ndarray


def said(
    entries: Sequence[Entry], market: MarketPlan, plan: Plan, now: datetime, explained: int
) -> tuple[dict[str, float], dict[str, dict[str, Any]]]:
    """({campaign id: price in its own unit per micro}, {campaign id: what is told of it as plain JSON}).

    Reasons are worked out for the `explained` campaigns that miss most money.
    """
    problem = market.problem
    campaigns = len(problem.budget)
    hires = np.bincount(problem.campaign, problem.value * plan.impressions, minlength=campaigns)
    spent = np.bincount(problem.campaign, problem.cost * plan.impressions, minlength=campaigns)
    wanted = what_budgets_bring(problem, plan.impressions, market.openings)
    hours = np.array([max(entry.hours, 0.25) for entry in entries])
    missing = np.where(hires < wanted * THERE, problem.budget - spent, 0.0) * hours
    worst = np.argsort(-missing, kind="stable")[:explained]
    reasons = dict(_reasons(market, plan, wanted, worst[missing[worst] > 0]))
    prices, told = {}, {}
    for c, entry in enumerate(entries):
        unit = unit_of(entry.campaign)
        scale = hours[c] / (market.exchange if unit == "clicks" else 1.0)
        name = entry.campaign.campaign_id
        prices[name] = float(plan.budget_price[c]) / UNIT / (market.exchange if unit == "clicks" else 1.0)
        told[name] = {
            "at": format_rfc3339(now),
            "price": prices[name],
            "expected": float(hires[c] * scale),
            "wanted": float(wanted[c] * scale),
            "spend_micros": int(spent[c] * hours[c] * UNIT),
            "budget_micros": int(entry.budget),
            "more_budget": float(plan.budget_price[c] * MORE * problem.budget[c] * scale),
            "unit": unit,
        }
        if c in reasons:
            told[name] |= _reason(reasons[c], market, scale, unit)
    return prices, told


def _reasons(market: MarketPlan, plan: Plan, wanted: np.ndarray, of: np.ndarray) -> Iterator[tuple[int, Reason]]:
    """(campaign, reason) of each campaign in `of`, from the part of the plan around it."""
    problem, openings = market.problem, market.openings
    by_segment = np.argsort(problem.segment, kind="stable")
    starts = np.searchsorted(problem.segment[by_segment], np.arange(len(problem.supply) + 1))
    own_start = np.searchsorted(problem.campaign, np.arange(len(problem.budget) + 1))  # pairs come by campaign
    open_start = np.searchsorted(openings.campaign, np.arange(len(problem.budget) + 1))
    for c in of.tolist():
        own, more = slice(own_start[c], own_start[c + 1]), slice(open_start[c], open_start[c + 1])
        segments = np.unique(np.concatenate([problem.segment[own], openings.segment[more]]))
        rows = np.concatenate([by_segment[starts[s] : starts[s + 1]] for s in segments] or [np.zeros(0, np.int64)])
        around, rival = np.unique(np.append(problem.campaign[rows], c), return_inverse=True)
        here, nobody = int(np.searchsorted(around, c)), np.zeros(len(around))
        nobody[here] = wanted[c]
        part = PlanProblem(
            problem.budget[around],
            problem.supply[segments],
            rival[:-1],
            np.searchsorted(segments, problem.segment[rows]),
            problem.value[rows],
            problem.cost[rows],
        )
        offers = Openings(
            np.full(more.stop - more.start, here),
            np.searchsorted(segments, openings.segment[more]),
            openings.value[more],
            openings.cost[more],
            openings.bid[more],
        )
        prices = SubPlan(plan.impressions[rows], plan.budget_price[around], plan.supply_price[segments])
        for reason in delivery_reasons(part, prices, nobody, market.bid[around], offers):
            best = None if reason.segment is None else int(segments[reason.segment])
            yield c, Reason(c, reason.code, reason.hires, reason.wanted, reason.worth, best, reason.detail)


def _reason(reason: Reason, market: MarketPlan, scale: float, unit: Unit) -> dict[str, Any]:
    worths = {name: float(getattr(reason.worth, name) * scale) for name in ("budget", "bid", "segment")}
    place = None if reason.segment is None else list(market.segments[reason.segment])
    offers = [
        f"10 % more budget up to {worths['budget']:.3g} more",
        f"a 10 % higher bid up to {worths['bid']:.3g}",
        "no further segment would help"
        if place is None
        else f"one more segment, people of occupation {place[0] or 'untold'} in area {place[1] or 'untold'}, up to "
        f"{worths['segment']:.3g}",
    ]
    detail = (
        f"For the rest of the day the plan expects {reason.hires * scale:.3g} {unit}, and the budget could pay for "
        f"{reason.wanted * scale:.3g}: {WHY[reason.code]}. What would bring more: {'; '.join(offers)}."
    )
    return {"code": reason.code, "worth": worths, "segment": place, "detail": detail}
