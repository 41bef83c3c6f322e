"""The campaigns that leave most of their money, and why: the plan's reasons, as the service tells them, or else where
the day fell short of the plan."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.campaigns import DAY_SECONDS, MICROS
from sim.second_look import SecondLook
from sim.stage import Stage
from targeting.pacing.day_plan import EXPECTED_PRICE_SHARE, plan_problem
from targeting.pacing.problem import PlanProblem
from targeting.pacing.reasons import Code, Reason, delivery_reasons, no_openings, what_budgets_bring
from targeting.pacing.said import WHY
from targeting.plan import Plan, solve

CAMPAIGNS = 10
SPENT = 0.95  # of what could be spent: delivered
SMALLEST_GROUP = 30  # people; a smaller audience is not counted out
CAUSES: dict[Code, str] = {
    "supply": "thin supply",
    "competition": "outbid",
    "frequency": "frequency cap",
    "bid": "low bid",
    "budget": "small budget",
}


def worst_delivering(stage: Stage, look: SecondLook) -> list[dict[str, Any]]:
    """The CAMPAIGNS campaigns with most money that could be spent and was not, most first; those as good as spent are
    left out. One row each:

    {"title", "place", "budget_micros", "could_spend_micros", "spent_micros", "utilization", "reach": people, None where
    fewer than SMALLEST_GROUP, "impressions", "clicks", "cause": two words, "why": sentences}
    """
    market, run = look.market, look.run
    pairs, terms, posted = market.pairs, market.terms, run.outcome.posted
    missing = np.where(posted < SPENT * run.allowed, run.allowed - posted, 0.0)
    worst = np.argsort(-missing, kind="stable")[:CAMPAIGNS]
    worst = worst[missing[worst] > 0]
    if not len(worst):
        return []
    problem = plan_problem(
        market.segment, market.supply, pairs.start, pairs.campaign, look.eligible,
        pairs.p_click, pairs.value_per_click, terms.max_bid, terms.budget,
    )  # fmt: skip
    plan = solve(problem)
    wanted = np.zeros(len(terms.job))
    wanted[worst] = what_budgets_bring(problem, plan.impressions, no_openings())[worst]
    reasons = {reason.campaign: reason for reason in delivery_reasons(problem, plan, wanted)}
    seeker = np.repeat(np.arange(len(market.seeker)), np.diff(pairs.start))
    rows = []
    for c in worst.tolist():
        people = len(np.unique(market.person[seeker[look.eligible & (pairs.campaign == c)]]))
        cause, why = _why(look, problem, plan, c, reasons.get(c))
        job = int(terms.job[c])
        place = stage.world.metros.names[stage.world.inventory.metro[job]]
        rows.append(
            {
                "title": stage.world.title(stage.world.inventory, job),
                "place": place + (" or remote" if stage.world.inventory.remote[job] else ""),
                "budget_micros": int(terms.budget[c]),
                "could_spend_micros": int(run.allowed[c]),
                "spent_micros": int(posted[c]),
                "utilization": float(posted[c] / run.allowed[c]),
                "reach": people if people >= SMALLEST_GROUP else None,
                "impressions": int(run.outcome.impressions[c]),
                "clicks": int(run.outcome.clicks[c]),
                "cause": cause,
                "why": why,
            }
        )
    return rows


def _why(look: SecondLook, problem: PlanProblem, plan: Plan, c: int, reason: Reason | None) -> tuple[str, str]:
    """(cause, sentences) of campaign c: the plan's reason where the plan itself leaves the money, else the day's."""
    terms = look.market.terms
    opens = int(terms.opens[c] // DAY_SECONDS)
    late = f" Open from day {opens + 1} of {look.market.config.days}." if opens else ""
    own = problem.campaign == c
    if not own.any():
        return "no audience", f"Nobody in its reach may be shown it.{late}"
    spent = float(problem.cost[own] @ plan.impressions[own])
    code = None if reason is None else reason.code
    if code == "budget":
        # The visits would do for its money. Where the plan does not spend it, they go to others.
        code = "competition" if spent < SPENT * terms.budget[c] else None
    if reason is None or code is None:
        cause, said = _short_of_the_plan(look, problem, plan, c)
        return "late open" if cause == "shown too little" and opens else cause, said + late
    worth = f"the budget could pay for {reason.wanted:.2g} qualified applications: {WHY[code]}."
    seen, planned = float(look.run.outcome.looks[c]), float(plan.impressions[own].sum())
    said = f"The plan expects {reason.hires:.2g}, and {worth}" if planned >= 1 else f"Not in the plan, though {worth}"
    every_visit = float(problem.cost[own] @ problem.supply[problem.segment[own]]) / float(terms.budget[c])
    if code == "supply" and every_visit < 1:
        said += f" Every visit of its segments would use {every_visit:.0%} of the budget."
    return CAUSES[code], f"{said} Seen {seen:,.0f} times, {planned:,.0f} planned.{late}"


def _short_of_the_plan(look: SecondLook, problem: PlanProblem, plan: Plan, c: int) -> tuple[str, str]:
    """Spend is times seen x clicks a look x price a click: the factor that is furthest below the plan's."""
    outcome, own = look.run.outcome, problem.campaign == c
    price = EXPECTED_PRICE_SHARE * float(look.market.terms.max_bid[c])
    looks = float(plan.impressions[own].sum())
    planned = (looks, float(problem.cost[own] @ plan.impressions[own]) / price / max(looks, 1e-9), price)
    seen, clicks = float(outcome.looks[c]), int(outcome.clicks[c])
    real = (seen, clicks / max(seen, 1e-9), float(outcome.posted[c]) / max(clicks, 1))
    short = int(np.argmin([r / max(p, 1e-12) for r, p in zip(real, planned, strict=True)]))
    if seen > 0 and clicks == 0:  # without a click there is no price either
        short = 1
    said = f"The plan would spend the budget. Seen {seen:,.0f} times, {looks:,.0f} planned; "
    said += f"clicked {real[1]:.1%} of them, {planned[1]:.1%} planned"
    if clicks:
        said += f"; {real[2] / MICROS:.2f} a click, {planned[2] / MICROS:.2f} planned"
    return ("shown too little", "click rate", "cheap clicks")[short], f"{said}."
