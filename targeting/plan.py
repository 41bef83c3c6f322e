"""The day plan: how many impressions each campaign should get in each segment, and what budget and supply are worth.

    maximise    sum of value * impressions                              expected hires
    budget      sum over a campaign's pairs of cost * impressions  <= budget[c]     price: hires per currency unit
    supply      sum over a segment's pairs of impressions          <= supply[s]     price: hires per impression

A ladder of solvers; a rung that has proved its plan good enough ends the climb:

    GLOP's dual simplex, exact, where it should take less than half of the time limit (`simplex_seconds`)
    dual ascent with primal averaging (`targeting.pacing.ascent`), faster beyond that
    PDLP, with what is left of the time, while the gap is not good enough

Whatever a solver answers, the plan is repaired to feasibility and certified by the Lagrangian bound of its prices
(`targeting.pacing.certificate`), so `gap` is the truth even when the clock ran out. Units are the caller's throughout.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from market.errors import PlanError
from targeting.pacing.ascent import ascend_day
from targeting.pacing.certificate import certified, repaired, worst_violation
from targeting.pacing.day_program import day_program, in_units
from targeting.pacing.hasty import hasty_plans, hasty_prices
from targeting.pacing.linear_program import Solver, ask
from targeting.pacing.problem import Floats, PlanProblem, Reach, reach_of

__all__ = ["Plan", "PlanProblem", "solve"]

# Measured on one core of an AMD EPYC (Zen 5): 31 thousand to 900 thousand pairs, 4 to 250 campaigns per segment.
SECONDS_PER_PAIR, SECONDS_PER_PAIR_AND_ROW = 4e-6, 1.1e-10
SIMPLEX_HOPE = 0.5  # of the time limit: a simplex that should need more is not begun
SIMPLEX_SHARE = 0.8  # of the time limit that a simplex gets; the rest is kept for the other rungs
GOOD_GAP = 1e-3  # an approximate rung that proves this gap ends the climb


@dataclass(frozen=True)
class Plan:
    """A feasible plan (rows hold to 1e-9 relative) and its certificate; the order of all arrays is the problem's.

    impressions float64[P]; budget_price float64[C] in hires per currency unit; supply_price float64[S] in hires per
    impression; no feasible plan has more than `bound` hires; gap = (bound - objective) / bound, 0 when bound is 0.
    solver is the rung the impressions come from: "glop" (exact), "pdlp", "dual-ascent"; "none" when no pair can bring
    a hire. violation: the largest relative excess over a row, 0 or a rounding error.
    """

    impressions: Floats
    budget_price: Floats
    supply_price: Floats
    objective: float
    bound: float
    gap: float
    solver: str
    seconds: float
    violation: float = 0.0


def solve(problem: PlanProblem, time_limit_seconds: float = 60.0) -> Plan:
    """The plan with the most expected hires, or at the time limit the best one known, with its true gap."""
    if not time_limit_seconds >= 0:
        raise PlanError(f"time_limit_seconds is {time_limit_seconds}; expected a number of seconds from 0")
    started = time.monotonic()
    deadline = started + time_limit_seconds
    reach = reach_of(problem)
    best = _Best(problem, reach)
    if len(reach.useful):
        _climb(problem, reach, best, deadline)
    return best.plan(time.monotonic() - started)


def simplex_seconds(problem: PlanProblem, reach: Reach) -> float:
    """How long the simplex should take. Pairs times rows is what hurts it, not the rivals in a segment."""
    useful = reach.useful
    rows = sum(np.count_nonzero(np.bincount(row)) for row in (problem.campaign[useful], problem.segment[useful]))
    return len(useful) * (SECONDS_PER_PAIR + SECONDS_PER_PAIR_AND_ROW * rows)


class _Best:
    """The best feasible plan so far beside the lowest valid bound; they need not come from the same solver."""

    def __init__(self, problem: PlanProblem, reach: Reach) -> None:
        self.problem, self.reach = problem, reach
        self.impressions, self.objective, self.solver = np.zeros(len(reach.most)), 0.0, "none"
        self.budget_price, self.supply_price = np.zeros(len(problem.budget)), np.zeros(len(problem.supply))
        self.bound = np.inf

    def offer_plan(self, impressions: Floats, solver: str) -> None:
        plan = repaired(self.problem, impressions, self.reach)
        objective = float(self.problem.value @ plan)
        if objective > self.objective or self.solver == "none":
            self.impressions, self.objective, self.solver = plan, objective, solver

    def offer_prices(self, budget_price: Floats, supply_price: Floats) -> None:
        price, theta, bound = certified(self.problem, budget_price, supply_price, self.reach)
        if bound < self.bound:
            self.budget_price, self.supply_price, self.bound = price, theta, bound

    @property
    def gap(self) -> float:
        bound = max(self.bound, self.objective)  # they can cross by a rounding error, no more
        return (bound - self.objective) / bound if bound > 0 else 0.0

    def plan(self, seconds: float) -> Plan:
        if not np.isfinite(self.bound):
            self.offer_prices(self.budget_price, self.supply_price)
        return Plan(
            impressions=self.impressions,
            budget_price=self.budget_price,
            supply_price=self.supply_price,
            objective=self.objective,
            bound=max(self.bound, self.objective),
            gap=self.gap,
            solver=self.solver,
            seconds=seconds,
            violation=worst_violation(self.problem, self.impressions),
        )


def _climb(problem: PlanProblem, reach: Reach, best: _Best, deadline: float) -> None:
    limit = deadline - time.monotonic()
    hopeful = simplex_seconds(problem, reach) <= SIMPLEX_HOPE * limit
    if hopeful and _ask(problem, reach, best, "glop", SIMPLEX_SHARE * limit):
        return
    # The floor under everything: it takes a fraction of a second and holds for numbers of any size.
    prices = hasty_prices(problem, reach, deadline)
    best.offer_prices(*prices)
    for impressions in hasty_plans(problem, reach, prices[0]):
        best.offer_plan(impressions, "dual-ascent")
    if time.monotonic() < deadline and best.gap > GOOD_GAP:
        ascent = ascend_day(problem, reach, GOOD_GAP / 2, deadline)
        best.offer_prices(ascent.budget_price, ascent.supply_price)
        best.offer_plan(ascent.impressions, "dual-ascent")
    if best.gap > GOOD_GAP:
        _ask(problem, reach, best, "pdlp", deadline - time.monotonic())


def _ask(problem: PlanProblem, reach: Reach, best: _Best, solver: Solver, seconds: float) -> bool:
    """Whether the solver finished; what it has to show is offered either way."""
    if seconds <= 0:
        return False
    day = day_program(problem, reach)
    answer = ask(day.program, solver, seconds)
    if answer is None:
        return False
    impressions, budget_price, supply_price = in_units(problem, reach, day, answer.x, answer.duals)
    best.offer_plan(impressions, solver)
    best.offer_prices(budget_price, supply_price)
    return answer.finished
