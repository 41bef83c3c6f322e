"""The day plan: how many impressions each campaign should get in each segment, and what budget and supply are worth.

    maximise    sum of value * impressions                              expected hires
    budget      sum over a campaign's pairs of cost * impressions  <= budget[c]     price: hires per currency unit
    supply      sum over a segment's pairs of impressions          <= supply[s]     price: hires per impression

GLOP's dual simplex solves it. Whatever a solver answers, the plan is repaired to feasibility and certified by the
Lagrangian bound of the clipped prices, so `gap` is the truth even when the clock ran out:

    bound = sum budget * budget_price + sum supply * supply_price + sum of max(0, reduced value) * reach
    reach = min(supply of the segment, budget / cost)       the most impressions that a pair could get

The LP is posed in shares of reach, with every limit 1 and every coefficient in (0, 1]: 1e-4 hires can stand beside
1e5 cents. Everything handed out is in the caller's units.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray
from ortools.linear_solver.python.model_builder_helper import ModelBuilderHelper, ModelSolverHelper, SolveStatus

from market.errors import PlanError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SIMPLEX_SHARE = 0.8  # of the time limit; the rest is kept for the fallback
ASCENT_STEPS = 100
LEAST_ASCENT_STEPS = 50  # taken even past the deadline: with fewer the bound is not worth having
_LARGEST = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class PlanProblem:
    """Campaigns, segments and the pairs of them that may meet; C, S and P of each.

    budget float64[C] and cost float64[P] are in one currency unit, supply float64[S] in impressions, value float64[P]
    in expected hires per impression; campaign, segment int64[P] say which budget and which supply a pair draws on.
    Zero is legal everywhere; a pair that is given twice is two variables. Raises PlanError naming array and index.
    """

    budget: Floats
    supply: Floats
    campaign: Ints
    segment: Ints
    value: Floats
    cost: Floats

    def __post_init__(self) -> None:
        for name in ("budget", "supply", "value", "cost"):
            object.__setattr__(self, name, _amounts(name, getattr(self, name)))
        object.__setattr__(self, "campaign", _indices("campaign", self.campaign, len(self.budget), "budget"))
        object.__setattr__(self, "segment", _indices("segment", self.segment, len(self.supply), "supply"))
        for name in ("segment", "value", "cost"):
            if len(getattr(self, name)) != len(self.campaign):
                raise PlanError(
                    f"{name} has {len(getattr(self, name))} entries, campaign has {len(self.campaign)}; "
                    "campaign, segment, value and cost need one entry per pair"
                )


@dataclass(frozen=True)
class Plan:
    """A feasible plan (rows hold to 1e-9 relative) and its certificate; the order of all arrays is the problem's.

    impressions float64[P]; budget_price float64[C] in hires per currency unit; supply_price float64[S] in hires per
    impression; no feasible plan has more than `bound` hires; gap = (bound - objective) / bound, 0 when bound is 0.
    solver is "glop", "dual-ascent" when the simplex did not finish in time, "none" when no pair can bring a hire.
    """

    impressions: Floats
    budget_price: Floats
    supply_price: Floats
    objective: float
    bound: float
    gap: float
    solver: str
    seconds: float


def solve(problem: PlanProblem, time_limit_seconds: float = 60.0) -> Plan:
    """The plan with the most expected hires, or at the time limit the best one known, with its true gap."""
    if not time_limit_seconds >= 0:
        raise PlanError(f"time_limit_seconds is {time_limit_seconds}; expected a number of seconds from 0")
    started = time.monotonic()
    deadline = started + time_limit_seconds

    # Data: the pairs that can bring a hire at all, what each could get at most, and what that would bring.
    with np.errstate(over="ignore", under="ignore"):
        budget_reach = np.full(len(problem.cost), np.inf)  # a free pair is limited by supply alone
        np.divide(problem.budget[problem.campaign], problem.cost, out=budget_reach, where=problem.cost > 0)
        reach = np.minimum(problem.supply[problem.segment], budget_reach)
        gain = problem.value * reach
        if not math.isfinite(float(gain.sum())):
            worst = int(np.argmax(gain))
            raise PlanError(f"value[{worst}] is {problem.value[worst]}; times {reach[worst]} impressions it overflows")
    useful = np.flatnonzero(gain > 0)

    plans: list[Floats] = [np.zeros(len(gain))]
    prices = [(np.zeros(len(problem.budget)), np.zeros(len(problem.supply)))]
    solver = "none"
    if len(useful):
        answer = _simplex(problem, useful, reach, gain, (deadline - time.monotonic()) * SIMPLEX_SHARE)
        solver = "glop" if answer is not None and answer.optimal else "dual-ascent"
        if answer is not None:
            plans.append(answer.impressions)
            prices.append((answer.budget_price, answer.supply_price))
        if solver == "dual-ascent":
            ascent = _ascent_prices(problem, useful, reach, deadline)
            prices.append(ascent)
            plans.extend(_fill(problem, order) for order in _fill_orders(problem, useful, ascent[0]))

    # Read-out: the best feasible plan beside the lowest valid bound; they need not come from the same solver.
    repaired = [_repaired(problem, plan, reach) for plan in plans]
    totals = [float(problem.value @ plan) for plan in repaired]
    best = int(np.argmax(totals))
    objective = totals[best]
    certified = [_certified(problem, *pair, reach, budget_reach) for pair in prices]
    budget_price, supply_price, bound = min(certified, key=lambda certificate: certificate[2])
    bound = max(bound, objective)  # they can cross by a rounding error, no more
    gap = (bound - objective) / bound if bound > 0 else 0.0
    seconds = time.monotonic() - started
    return Plan(repaired[best], budget_price, supply_price, objective, bound, gap, solver, seconds)


@dataclass(frozen=True)
class _Answer:
    impressions: Floats
    budget_price: Floats
    supply_price: Floats
    optimal: bool


def _simplex(problem: PlanProblem, useful: Ints, reach: Floats, gain: Floats, seconds: float) -> _Answer | None:
    """What GLOP makes of the useful pairs; None when it has no solution to show within the seconds."""
    if seconds <= 0:
        return None
    campaign, segment = problem.campaign[useful], problem.segment[useful]
    budget, supply = problem.budget[campaign], problem.supply[segment]
    campaigns, count = len(problem.budget), len(useful)

    # Variables: the share of its reach that a pair gets.
    lower, upper = np.zeros(count), np.ones(count)

    # Constraints. A campaign spends no more than its budget; useful pairs without budget are free, in no budget row.
    spend = np.divide(problem.cost[useful] * reach[useful], budget, out=np.zeros(count), where=budget > 0)
    paying = np.flatnonzero(spend > 0)
    # A segment shows no more impressions than it has visits.
    visits = reach[useful] / supply
    rows = np.concatenate([campaign[paying], campaigns + segment])
    columns = np.concatenate([paying, np.arange(count)])
    matrix = sp.csr_matrix(
        (np.concatenate([spend[paying], visits]), (rows, columns)), shape=(campaigns + len(problem.supply), count)
    )
    limits = np.ones(matrix.shape[0])

    # Objective: expected hires, in units of the best pair's.
    unit = float(gain[useful].max())
    worth, unbounded = gain[useful] / unit, np.full(len(limits), -np.inf)
    model = ModelBuilderHelper()
    model.fill_model_from_sparse_data(lower, upper, worth, unbounded, limits, matrix)  # type: ignore[arg-type]
    model.set_maximize(True)

    # Solve. The model is scaled already; GLOP's own scaling on top made some wide-ranging problems ABNORMAL.
    solver = ModelSolverHelper("glop")
    solver.set_solver_specific_parameters("use_dual_simplex:true use_scaling:false")
    solver.set_time_limit_in_seconds(seconds)
    solver.solve(model)
    if not solver.has_solution():
        return None

    # Read-out
    impressions = np.zeros(len(reach))
    impressions[useful] = np.asarray(solver.variable_values()) * reach[useful]
    duals = np.maximum(np.asarray(solver.dual_values()), 0.0) * unit
    return _Answer(
        impressions,
        _per_unit(duals[:campaigns], problem.budget),
        _per_unit(duals[campaigns:], problem.supply),
        solver.status() == SolveStatus.OPTIMAL,
    )


def _repaired(problem: PlanProblem, impressions: Floats, reach: Floats) -> Floats:
    """The plan clipped to what each pair can get and scaled down until no row is above its limit."""
    plan = np.clip(impressions, 0.0, reach)
    with np.errstate(over="ignore", under="ignore"):
        spent = np.bincount(problem.campaign, problem.cost * plan, minlength=len(problem.budget))
        shown = np.bincount(problem.segment, plan, minlength=len(problem.supply))
        affordable = np.where(problem.cost > 0, _fitting(spent, problem.budget)[problem.campaign], 1.0)
        return plan * np.minimum(affordable, _fitting(shown, problem.supply)[problem.segment])


def _fitting(used: NDArray[Any], limit: Floats) -> Floats:
    """The factor that brings what is used to the limit, a hair below it where it was above."""
    factor = np.ones(len(used))
    np.divide(limit * (1 - 1e-13), used, out=factor, where=used > limit)
    return factor


def _certified(
    problem: PlanProblem, budget_price: Floats, supply_price: Floats, reach: Floats, budget_reach: Floats
) -> tuple[Floats, Floats, float]:
    """Prices made dual feasible, and the bound they prove: (budget_price, supply_price, bound).

    A pair whose value is above what it pays is covered by the row that costs less to raise: its budget where the
    budget limits it, its segment elsewhere. Then each budget price comes down to what its pairs still need, and so
    do the supply prices. This is also what prices a budget or a supply of zero: by the best use of a first unit.
    """
    campaign, segment, value, cost = problem.campaign, problem.segment, problem.value, problem.cost
    with np.errstate(over="ignore", under="ignore"):
        # What the prices given do not cover.
        supply_limited = np.flatnonzero(problem.supply[segment] < budget_reach)
        excess = value - _product(budget_price[campaign], cost)
        theta = supply_price.copy()
        np.maximum.at(theta, segment[supply_limited], excess[supply_limited])

        # The least budget prices beside these supply prices, then the least supply prices beside those.
        paying = np.flatnonzero(cost > 0)
        needed = np.minimum((value[paying] - theta[segment[paying]]) / cost[paying], _LARGEST)
        price = np.zeros(len(budget_price))
        np.maximum.at(price, campaign[paying], needed)

        needed = value - _product(price[campaign], cost)
        most = np.zeros(len(theta))
        np.maximum.at(most, segment, needed)
        theta = np.minimum(theta, most)

        reduced = np.maximum(needed - theta[segment], 0.0)
        bound = _total(problem.budget, price) + _total(problem.supply, theta) + _total(reach, reduced)
    return price, theta, bound


def _ascent_prices(problem: PlanProblem, useful: Ints, reach: Floats, deadline: float) -> tuple[Floats, Floats]:
    """Prices by multiplicative dual ascent, for when the simplex has none: any step's are valid, the best is kept.

    Given budget prices a segment is worth its best reduced value; a campaign that would win more than it can pay
    for becomes dearer, one that wins less cheaper (step 0.6 / sqrt(k + 1), as in the hindsight bound of pacing).
    """
    campaign, segment = problem.campaign[useful], problem.segment[useful]
    value, cost = problem.value[useful], problem.cost[useful]
    wanted = reach[useful]
    best = (np.zeros(len(problem.budget)), np.zeros(len(problem.supply)))
    lowest = np.inf
    with np.errstate(over="ignore", under="ignore"):
        density = np.minimum(np.divide(value, cost, out=np.zeros(len(value)), where=cost > 0), _LARGEST)
        price = np.zeros(len(problem.budget))
        np.maximum.at(price, campaign, density / 2)
        for step in range(ASCENT_STEPS):
            reduced = value - _product(price[campaign], cost)
            theta = np.zeros(len(problem.supply))
            np.maximum.at(theta, segment, reduced)
            bound = _total(problem.budget, price) + _total(problem.supply, theta)
            if bound < lowest:
                best, lowest = (price, theta), bound
            if step + 1 >= LEAST_ASCENT_STEPS and time.monotonic() > deadline:
                break
            wins = (reduced > 0) & (reduced >= theta[segment])
            spend = np.bincount(campaign[wins], cost[wins] * wanted[wins], minlength=len(price))
            ratio = np.ones(len(price))
            np.divide(spend, problem.budget, out=ratio, where=problem.budget > 0)
            price = np.minimum(price * np.exp(np.clip(0.6 / math.sqrt(step + 1) * (ratio - 1), -1, 1)), _LARGEST)
    return best


def _fill_orders(problem: PlanProblem, useful: Ints, budget_price: Floats) -> list[Ints]:
    """Two orders in which to hand out impressions: by reduced value, and by hires per unit of money."""
    value, cost = problem.value[useful], problem.cost[useful]
    with np.errstate(over="ignore", under="ignore"):
        reduced = value - _product(budget_price[problem.campaign[useful]], cost)
        density = np.divide(value, cost, out=np.full(len(value), np.inf), where=cost > 0)
    return [useful[np.argsort(-reduced, kind="stable")], useful[np.argsort(-density, kind="stable")]]


def _fill(problem: PlanProblem, order: Ints) -> Floats:
    """Impressions handed out pair by pair, each as many as its budget and its segment still have."""
    money, visits = problem.budget.tolist(), problem.supply.tolist()
    campaign, segment, cost = problem.campaign.tolist(), problem.segment.tolist(), problem.cost.tolist()
    impressions = np.zeros(len(cost))
    for pair in order.tolist():
        c, s, price = campaign[pair], segment[pair], cost[pair]
        given = min(visits[s], money[c] / price) if price > 0 else visits[s]
        impressions[pair] = given
        visits[s] -= given
        money[c] = max(0.0, money[c] - given * price)
    return impressions


def _per_unit(worth: Floats, limit: Floats) -> Floats:
    """The price of one unit of a limit from the worth of all of it; 0 where the limit is 0."""
    with np.errstate(over="ignore", under="ignore"):
        price = np.divide(worth, limit, out=np.zeros(len(limit)), where=limit > 0)
    return np.minimum(price, _LARGEST)


def _product(price: Floats, cost: Floats) -> Floats:
    return np.minimum(price * cost, _LARGEST)


def _total(amounts: Floats, prices: Floats) -> float:
    return float((amounts * prices).sum())


def _amounts(name: str, given: ArrayLike) -> Floats:
    try:
        array = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise PlanError(f"{name} is not an array of numbers ({error}); give float64") from None
    if array.ndim != 1:
        raise PlanError(f"{name} has {array.ndim} dimensions; expected one")
    bad = np.flatnonzero(~(np.isfinite(array) & (array >= 0)))
    if len(bad):
        raise PlanError(f"{name}[{bad[0]}] is {array[bad[0]]}; expected a finite number from 0")
    return array


def _indices(name: str, given: ArrayLike, size: int, target: str) -> Ints:
    array = np.asarray(given)
    if array.ndim != 1:
        raise PlanError(f"{name} has {array.ndim} dimensions; expected one")
    if array.size and array.dtype.kind not in "iu":
        raise PlanError(f"{name}[0] is {array[0]!r} in an array of {array.dtype}; expected int64 indices of {target}")
    bad = np.flatnonzero((array < 0) | (array >= size))
    if len(bad):
        raise PlanError(f"{name}[{bad[0]}] is {array[bad[0]]}; expected an index of {target}, 0 to {size - 1}")
    return array.astype(np.int64)
