"""Fair delivery: each audited group gets its share of a campaign's impressions, within a tolerance; and what it costs.

    | sum_s share[s, g] x_s / sum_s x_s  -  eligible[g] |  <=  tolerance       for every campaign and audited group g
    eligible[g] = sum over the campaign's segments of supply * share[s, g] / sum of their supply

These are linear rows beside those of the day plan. All that is read of people is a table of group shares per segment,
aggregated and suppressed by the audit of `graph.fairness`; segments it does not tell of count for neither side.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from market.errors import DataError, PlanError
from targeting.pacing.certificate import fitting, worst_violation
from targeting.pacing.day_program import DayProgram, day_program, in_units
from targeting.pacing.linear_program import ask
from targeting.pacing.problem import Floats, PlanProblem, Reach, reach_of
from targeting.plan import solve

TABLE = "segments.parquet"
THE_REST = "the rest"
ROUNDING = 1e-6  # of a share: how exactly a solver keeps a row
SAME = 1e-12  # of a share: a rounding error, not a difference
SOLVER_SHARE = 0.5  # of the time limit, for each of the two plans


@dataclass(frozen=True)
class GroupShares:
    """groups: names of the G groups; share float64[S, G], each row summing to 1, NaN where nothing is known."""

    groups: tuple[str, ...]
    share: Floats

    def __post_init__(self) -> None:
        known = self.share[np.isfinite(self.share).all(axis=1)]
        if self.share.ndim != 2 or self.share.shape[1] != len(self.groups):
            raise PlanError(
                f"share has shape {self.share.shape}; expected one column for each of {len(self.groups)} groups"
            )
        if (known < 0).any() or not np.allclose(known.sum(axis=1), 1.0, rtol=0, atol=1e-6):
            raise PlanError("the group shares of a segment must be from 0 and sum to 1")


@dataclass(frozen=True)
class FairPlan:
    """A feasible plan that keeps every audited share within the tolerance, and what that costs.

    impressions float64[P]; budget_price float64[C]; objective, bound, gap, violation as of a day plan; unconstrained:
    expected hires of the plan without the rule; off: the largest distance of a delivered share from the eligible one.
    """

    impressions: Floats
    budget_price: Floats
    objective: float
    bound: float
    gap: float
    violation: float
    solver: str
    unconstrained: float
    off: float
    tolerance: float
    seconds: float

    @property
    def price(self) -> float:
        """The share of the expected hires that the rule costs."""
        return max(0.0, 1 - self.objective / self.unconstrained) if self.unconstrained > 0 else 0.0

    def in_words(self) -> str:
        return f"within {self.tolerance * 100:g} points costs {self.price:.1%} of the expected hires"


def read_group_shares(
    table: pa.Table, attribute: str, segments: Sequence[str], measure: str = "reached"
) -> GroupShares:
    """The group shares of these segments, in their order, from the audit's table of segments.

    A segment that has no row of its own has the shares of "the rest", and NaN where that row is missing too.
    """
    missing = [name for name in ("attribute", "measure", "segment", "group", "share") if name not in table.column_names]
    if missing:
        raise DataError(
            TABLE, f"column {missing[0]!r} is missing (found {table.column_names})", "write it by the audit"
        )
    rows = [row for row in table.to_pylist() if row["attribute"] == attribute and row["measure"] == measure]
    if not rows:
        raise DataError(TABLE, f"no row of attribute {attribute!r} and measure {measure!r}", "use what the audit wrote")
    groups = tuple(dict.fromkeys(row["group"] for row in rows))
    of_name: dict[str, Floats] = {}
    for row in rows:
        shares = of_name.setdefault(row["segment"], np.full(len(groups), np.nan))
        shares[groups.index(row["group"])] = math.nan if row["share"] is None else row["share"]
    rest = of_name.get(THE_REST, np.full(len(groups), np.nan))
    return GroupShares(groups, np.stack([of_name.get(name, rest) for name in segments]) if segments else rest[:0, None])


def eligible_shares(problem: PlanProblem, shares: GroupShares) -> Floats:
    """float64[C, G]: the groups' shares of all visits a campaign could be shown in; NaN where none are known."""
    known = _known(problem, shares)
    pairs = np.unique(np.stack([problem.campaign[known], problem.segment[known]], axis=1), axis=0)
    return _mixed(pairs[:, 0], problem.supply[pairs[:, 1]], shares.share[pairs[:, 1]], len(problem.budget))


def delivered_shares(problem: PlanProblem, shares: GroupShares, impressions: Floats) -> Floats:
    """float64[C, G]: the groups' shares of a campaign's impressions; NaN where it has none in a known segment."""
    known = _known(problem, shares)
    return _mixed(
        problem.campaign[known], impressions[known], shares.share[problem.segment[known]], len(problem.budget)
    )


def solve_fair(
    problem: PlanProblem, shares: GroupShares, tolerance: float, time_limit_seconds: float = 60.0
) -> FairPlan:
    """The plan with the most expected hires among those that are fair; at the time limit a fair one with its true gap.

    tolerance: in shares, 0.05 is five points. A pair without value may be shown where that balances the groups.
    """
    if not 0 <= tolerance <= 1:
        raise PlanError(f"tolerance is {tolerance}; expected a share from 0 to 1")
    if len(shares.share) != len(problem.supply):
        raise PlanError(f"share has {len(shares.share)} segments, supply has {len(problem.supply)}; give one row each")
    started = time.monotonic()
    plain = solve(problem, time_limit_seconds * SOLVER_SHARE)
    reach = reach_of(problem)
    reach = replace(reach, useful=np.flatnonzero(reach.most > 0))
    eligible = eligible_shares(problem, shares)

    # Showing everybody alike is fair, whatever else: the plan to beat, and the one to fall back to.
    candidates = [(_alike(problem, reach), "alike")]
    bound, budget_price = plain.bound, plain.budget_price
    if plain.objective > 0:
        day = _with_fair_rows(day_program(problem, reach), problem, reach, shares, eligible, tolerance)
        answer = ask(day.program, "glop", time_limit_seconds * SOLVER_SHARE)
        if answer is not None:
            impressions, prices, _ = in_units(problem, reach, day, answer.x, answer.duals[: _day_rows(problem)])
            candidates.insert(0, (impressions, "glop"))
            proved = day.program.bound(answer.duals) * day.unit
            if proved < bound:
                bound, budget_price = proved, prices
    fair = [(_kept_fair(problem, reach, shares, eligible, tolerance, found), name) for found, name in candidates]
    impressions, solver = max(fair, key=lambda pair: float(problem.value @ pair[0]))
    objective = float(problem.value @ impressions)
    bound = max(bound, objective)
    return FairPlan(
        impressions=impressions,
        budget_price=budget_price,
        objective=objective,
        bound=bound,
        gap=(bound - objective) / bound if bound > 0 else 0.0,
        violation=worst_violation(problem, impressions),
        solver=solver,
        unconstrained=plain.objective,
        off=float(np.nan_to_num(_off(problem, shares, eligible, impressions)).max(initial=0.0)),
        tolerance=tolerance,
        seconds=time.monotonic() - started,
    )


def _with_fair_rows(
    day: DayProgram, problem: PlanProblem, reach: Reach, shares: GroupShares, eligible: Floats, tolerance: float
) -> DayProgram:
    """Two rows for each campaign and group: its share is neither too high nor too low."""
    useful, campaigns, groups = reach.useful, len(problem.budget), len(shares.groups)
    told = np.flatnonzero(_known(problem, shares)[useful])  # columns
    campaign, segment = problem.campaign[useful[told]], problem.segment[useful[told]]
    apart = shares.share[segment] - eligible[campaign]  # [n, G]
    apart[np.abs(apart) < SAME] = 0.0  # of a campaign with a single segment, which no row may forbid
    most = np.zeros(campaigns)
    np.maximum.at(most, campaign, reach.most[useful[told]])
    weight = (reach.most[useful[told]] / most[campaign])[:, None]  # rows are scaled to coefficients up to 1
    sides, lower = [1.0, -1.0], -np.inf
    if tolerance == 0:  # both sides are one equation, and the last group follows from the others
        sides, lower, groups = [1.0], 0.0, groups - 1
    row = campaign[:, None] * groups + np.arange(groups)  # [n, G]
    columns = np.broadcast_to(told[:, None], row.shape)
    parts = [((side * apart[:, :groups] - tolerance) * weight).ravel() for side in sides]
    rows = np.concatenate([row.ravel() + campaigns * groups * k for k in range(len(sides))])
    count = campaigns * groups * len(sides)
    places = rows, np.tile(columns.ravel(), len(sides))
    fair = sp.csr_matrix((np.concatenate(parts), places), shape=(count, len(useful)))
    program = replace(
        day.program,
        matrix=sp.vstack([day.program.matrix, fair], format="csr"),
        lower=np.concatenate([day.program.lower, np.full(count, lower)]),
        upper=np.concatenate([day.program.upper, np.zeros(count)]),
    )
    return DayProgram(program, day.unit)


def _kept_fair(
    problem: PlanProblem, reach: Reach, shares: GroupShares, eligible: Floats, tolerance: float, impressions: Floats
) -> Floats:
    """The plan with each campaign scaled as a whole until every row fits, so that its shares stay what they are.

    A campaign that is off all the same, by more than a solver's rounding, is not shown.
    """
    plan = np.clip(impressions, 0.0, reach.most)
    spent = np.bincount(problem.campaign, problem.cost * plan, minlength=len(problem.budget))
    shown = np.bincount(problem.segment, plan, minlength=len(problem.supply))
    factor = fitting(spent, problem.budget)
    shows = plan > 0
    np.minimum.at(factor, problem.campaign[shows], fitting(shown, problem.supply)[problem.segment[shows]])
    plan = plan * factor[problem.campaign]
    off = _off(problem, shares, eligible, plan)
    return np.where((np.nan_to_num(off) > tolerance + ROUNDING)[problem.campaign], 0.0, plan)


def _alike(problem: PlanProblem, reach: Reach) -> Floats:
    """Every campaign shown in the same part of the visits of all its segments, as its rivals and its budget allow."""
    pairs = np.stack([problem.campaign, problem.segment])
    first = np.zeros(len(problem.cost), bool)  # of a pair that is given twice, the first
    first[np.unique(pairs, axis=1, return_index=True)[1]] = True
    rivals = np.bincount(problem.segment[first], minlength=len(problem.supply))
    part = np.ones(len(problem.budget))
    np.minimum.at(part, problem.campaign, 1.0 / rivals[problem.segment])
    plan = np.where(first, problem.supply[problem.segment] * part[problem.campaign], 0.0)
    spent = np.bincount(problem.campaign, problem.cost * plan, minlength=len(problem.budget))
    return np.minimum(plan * fitting(spent, problem.budget)[problem.campaign], reach.most)


def _off(problem: PlanProblem, shares: GroupShares, eligible: Floats, impressions: Floats) -> Floats:
    """float64[C]: the largest distance of a delivered share from the eligible one; NaN where nothing is delivered."""
    apart = np.abs(delivered_shares(problem, shares, impressions) - eligible)
    return np.asarray(apart.max(axis=1, initial=0.0))


def _known(problem: PlanProblem, shares: GroupShares) -> np.ndarray:
    """bool[P]: pairs in segments whose groups are known."""
    return np.asarray(np.isfinite(shares.share).all(axis=1))[problem.segment]


def _mixed(campaign: np.ndarray, weight: Floats, share: Floats, campaigns: int) -> Floats:
    total = np.bincount(campaign, weight, minlength=campaigns)
    mixed = np.stack([np.bincount(campaign, weight * column, minlength=campaigns) for column in share.T], axis=1)
    return np.asarray(np.divide(mixed, total[:, None], out=np.full(mixed.shape, np.nan), where=total[:, None] > 0))


def _day_rows(problem: PlanProblem) -> int:
    return len(problem.budget) + len(problem.supply)
