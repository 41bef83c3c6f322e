"""Why a campaign brings fewer hires than it should, read from the plan, and what would change it.

    budget        its money is spent, or would be before it got there
    competition   with all the visits of its segments it would get there; others bring more with them
    frequency     so it would, without the cap on how much of a segment one campaign may take
    bid           so it would in segments that need a higher bid than its own
    supply        not even with all of that: too few people look for such a job

The plan's prices say what a change is worth to the market, in expected hires: at most the price times the change, for
the objective is concave in budgets, and new pairs can not bring more than their reduced value on every impression.
`by_solving` says it exactly, for the market and for the campaign alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from market.errors import PlanError
from targeting.pacing.problem import Floats, Ints, PlanProblem, amounts, indices
from targeting.plan import solve

Code = Literal["budget", "competition", "frequency", "bid", "supply"]
MORE = 0.1  # the change of budget or bid that is valued
SPENT = 1 - 1e-3  # of a budget: as good as all of it
THERE = 1 - 1e-6  # of the hires wanted: as good as reached


class PricedPlan(Protocol):
    """impressions float64[P]; budget_price float64[C], supply_price float64[S]."""

    @property
    def impressions(self) -> Floats: ...

    @property
    def budget_price(self) -> Floats: ...

    @property
    def supply_price(self) -> Floats: ...


@dataclass(frozen=True)
class Openings:
    """Pairs the plan does not have and could: N of them.

    campaign, segment int64[N]; value, cost float64[N] as of pairs; bid float64[N]: the bid a campaign needs to be shown
    there, in the unit of the bids.
    """

    campaign: Ints
    segment: Ints
    value: Floats
    cost: Floats
    bid: Floats


@dataclass(frozen=True)
class Worth:
    """What a change would bring, in expected hires: at most, by the prices; or exactly, by solving the plan again."""

    budget: float
    bid: float
    segment: float


@dataclass(frozen=True)
class Reason:
    """One campaign below its target. segment: the best one to add, None where none would bring a hire."""

    campaign: int
    code: Code
    hires: float
    wanted: float
    worth: Worth
    segment: int | None
    detail: str


def no_openings() -> Openings:
    return Openings(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros(0), np.zeros(0))


def what_budgets_bring(problem: PlanProblem, impressions: Floats, openings: Openings) -> Floats:
    """float64[C]: what the whole budget would bring as well spent as the plan spends; a campaign that the plan leaves
    out, as well spent as in its best segment."""
    campaigns = len(problem.budget)
    hires = np.bincount(problem.campaign, problem.value * impressions, minlength=campaigns)
    spent = np.bincount(problem.campaign, problem.cost * impressions, minlength=campaigns)
    best = np.zeros(campaigns)
    for found in (problem, openings):
        ratio = np.divide(found.value, found.cost, out=np.zeros(len(found.cost)), where=found.cost > 0)
        np.maximum.at(best, found.campaign, ratio)
    planned = np.divide(hires, spent, out=best.copy(), where=spent > 0)
    return np.asarray(problem.budget * np.where(planned > 0, planned, 1.0))


def delivery_reasons(
    problem: PlanProblem,
    plan: PricedPlan,
    wanted: Floats,
    bid: Floats | None = None,
    openings: Openings | None = None,
    frequency_cap: float = 1.0,
) -> list[Reason]:
    """A reason for every campaign whose planned hires are below those wanted, in the order of the campaigns.

    wanted float64[C] expected hires; bid float64[C] the highest bid of each campaign, infinite where it has none;
    frequency_cap: the largest share of a segment that a pair could get in the plan.
    """
    campaigns = len(problem.budget)
    wanted = amounts("wanted", wanted)
    highest = np.full(campaigns, np.inf) if bid is None else np.asarray(bid, np.float64)
    if len(wanted) != campaigns or len(highest) != campaigns:
        raise PlanError(
            f"wanted has {len(wanted)} and bid {len(highest)} entries; expected one per budget, {campaigns}"
        )
    if np.isnan(highest).any() or (highest < 0).any():
        raise PlanError("a bid is negative or not a number; expected numbers from 0, inf for no ceiling")
    offers = no_openings() if openings is None else openings
    indices("openings.campaign", offers.campaign, campaigns, "budget")
    indices("openings.segment", offers.segment, len(problem.supply), "supply")
    hires = np.bincount(problem.campaign, problem.value * plan.impressions, minlength=campaigns)
    below = np.flatnonzero(hires < wanted * THERE)
    return [_reason(problem, plan, int(c), hires[c], wanted[c], highest[c], offers, frequency_cap) for c in below]


def by_solving(problem: PlanProblem, reason: Reason, bid: Floats | None, openings: Openings) -> tuple[Worth, Worth]:
    """What the changes of a reason bring exactly: (to the market, to the campaign), each by solving a plan again."""
    c = reason.campaign
    highest = np.inf if bid is None else float(bid[c])
    before = _outcome(problem, c)
    budget = problem.budget.copy()
    budget[c] *= 1 + MORE
    changes = [
        replace(problem, budget=budget),
        with_openings(problem, openings, _dearer(openings, c, highest)),
        with_openings(problem, openings, (openings.campaign == c) & (openings.segment == reason.segment)),
    ]
    after = [_outcome(change, c) for change in changes]
    market, own = ([found[side] - before[side] for found in after] for side in (0, 1))
    return Worth(*market), Worth(*own)


def with_openings(problem: PlanProblem, openings: Openings, chosen: np.ndarray) -> PlanProblem:
    """The problem with the chosen openings (bool[N]) as further pairs."""
    names = ("campaign", "segment", "value", "cost")
    return replace(
        problem,
        **{name: np.concatenate([getattr(problem, name), getattr(openings, name)[chosen]]) for name in names},
    )


def _outcome(problem: PlanProblem, campaign: int) -> tuple[float, float]:
    """Expected hires of the market and of the campaign."""
    plan = solve(problem)
    own = problem.campaign == campaign
    return plan.objective, float(problem.value[own] @ plan.impressions[own])


def _reason(
    problem: PlanProblem,
    plan: PricedPlan,
    campaign: int,
    hires: float,
    wanted: float,
    bid: float,
    openings: Openings,
    cap: float,
) -> Reason:
    budget, price = float(problem.budget[campaign]), float(plan.budget_price[campaign])
    gains = _gains(problem, plan, openings, cap)
    affordable = (openings.campaign == campaign) & (openings.bid <= bid)
    worth = Worth(
        budget=price * MORE * budget,
        bid=float(gains[_dearer(openings, campaign, bid)].sum()),
        segment=float(gains[affordable].max(initial=0.0)),
    )
    best = int(openings.segment[affordable][np.argmax(gains[affordable])]) if worth.segment > 0 else None
    code = _code(problem, plan, campaign, wanted, openings, cap)
    own = problem.campaign == campaign
    spent = float(problem.cost[own] @ plan.impressions[own])
    shown = np.bincount(problem.segment, plan.impressions, minlength=len(problem.supply))
    segments = np.unique(problem.segment[own])
    taken = float(shown[segments].sum() - plan.impressions[own].sum())
    visits = float(problem.supply[segments].sum())
    out_of_reach = int(((openings.campaign == campaign) & ~affordable).sum())
    why = {
        "budget": f"its budget is {_share(spent, budget)} spent",
        "competition": f"other campaigns take {_share(taken, visits)} of the visits of its segments",
        "frequency": f"it may have no more than {cap:.0%} of the visits of a segment",
        "bid": f"its bid of {bid:g} is too low for {out_of_reach} of the segments that would do",
        "supply": f"its segments have {visits:,.0f} visits in all",
    }[code]
    offers = [f"10 % more budget would bring up to {worth.budget:.3g} more hires"]
    offers.append(f"a 10 % higher bid up to {worth.bid:.3g}")
    offers.append("no further segment would help" if best is None else f"segment {best} up to {worth.segment:.3g}")
    detail = f"{hires:.3g} of {wanted:.3g} hires: {why}; {', '.join(offers)}"
    return Reason(campaign, code, float(hires), float(wanted), worth, best, detail)


def _code(problem: PlanProblem, plan: PricedPlan, campaign: int, wanted: float, openings: Openings, cap: float) -> Code:
    """The first limit that, taken away after those before it, lets the campaign get there."""
    own = problem.campaign == campaign
    spent = float(problem.cost[own] @ plan.impressions[own])
    if spent >= SPENT * problem.budget[campaign] and plan.budget_price[campaign] > 0:
        return "budget"
    enough = wanted * THERE
    if _alone(problem, campaign, cap) >= enough:
        return "competition"
    if cap < 1 and _alone(problem, campaign, 1.0) >= enough:
        return "frequency"
    if (openings.campaign == campaign).any() and _alone(problem, campaign, 1.0, openings) >= enough:
        return "bid"
    all_of_it = float((problem.cost[own] * problem.supply[problem.segment[own]]).sum())
    return "budget" if _alone(problem, campaign, 1.0, budget=all_of_it) >= enough else "supply"


def _alone(
    problem: PlanProblem, campaign: int, cap: float, openings: Openings | None = None, budget: float | None = None
) -> float:
    """What a campaign would bring with its segments and nobody else in them."""
    own = problem.campaign == campaign
    value, cost, segment = problem.value[own], problem.cost[own], problem.segment[own]
    if openings is not None:
        more = openings.campaign == campaign
        value, cost = np.append(value, openings.value[more]), np.append(cost, openings.cost[more])
        segment = np.append(segment, openings.segment[more])
    segments, place = np.unique(segment, return_inverse=True)
    money = float(problem.budget[campaign]) if budget is None else budget
    nobody = np.zeros(len(segment), np.int64)
    return solve(PlanProblem(np.array([money]), cap * problem.supply[segments], nobody, place, value, cost)).objective


def _gains(problem: PlanProblem, plan: PricedPlan, openings: Openings, cap: float) -> Floats:
    """float64[N]: the most an opening could add: its reduced value on all impressions it could get."""
    price, theta = plan.budget_price[openings.campaign], plan.supply_price[openings.segment]
    reduced = np.maximum(openings.value - price * openings.cost - theta, 0.0)
    by_budget = np.full(len(reduced), np.inf)
    np.divide(problem.budget[openings.campaign], openings.cost, out=by_budget, where=openings.cost > 0)
    return np.asarray(reduced * np.minimum(cap * problem.supply[openings.segment], by_budget))


def _dearer(openings: Openings, campaign: int, bid: float) -> np.ndarray:
    """bool[N]: openings of the campaign that its bid does not reach, and a bid higher by MORE does."""
    return np.asarray((openings.campaign == campaign) & (openings.bid > bid) & (openings.bid <= bid * (1 + MORE)))


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole > 0 else "100%"
