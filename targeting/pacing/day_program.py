"""The day plan as a linear program in shares of reach: every limit 1, every coefficient in (0, 1].

So 1e-4 hires can stand beside 1e5 cents.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from targeting.pacing.certificate import per_unit
from targeting.pacing.linear_program import LinearProgram
from targeting.pacing.problem import Floats, PlanProblem, Reach


@dataclass(frozen=True)
class DayProgram:
    """program: over the useful pairs, a row per campaign, then one per segment; unit: the hires its 1 stands for."""

    program: LinearProgram
    unit: float


def day_program(problem: PlanProblem, reach: Reach) -> DayProgram:
    """The program of the useful pairs, of which there has to be one."""
    useful = reach.useful
    campaign, segment, most = problem.campaign[useful], problem.segment[useful], reach.most[useful]
    budget, supply = problem.budget[campaign], problem.supply[segment]
    campaigns, count = len(problem.budget), len(useful)
    row_count = campaigns + len(problem.supply)

    # A campaign spends no more than its budget; useful pairs without budget are free, in no budget row.
    spend = np.divide(problem.cost[useful] * most, budget, out=np.zeros(count), where=budget > 0)
    # A segment shows no more impressions than it has visits.
    visits = most / supply
    # Columns in order, each with its budget row before its supply row: csc without sorting.
    rows = np.stack([campaign, campaigns + segment], axis=1)  # [n, 2]
    entries = np.stack([spend, visits], axis=1)  # [n, 2]
    kept = entries > 0
    start = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    matrix = sp.csc_matrix((entries[kept], rows[kept], start), shape=(row_count, count))

    # Expected hires, in units of the best pair's.
    unit = float(reach.gain[useful].max())
    sides = np.full(row_count, -np.inf), np.ones(row_count)
    return DayProgram(LinearProgram(reach.gain[useful] / unit, np.ones(count), matrix.tocsr(), *sides), unit)


def in_units(problem: PlanProblem, reach: Reach, day: DayProgram, x: Floats, duals: Floats) -> tuple[Floats, ...]:
    """(impressions [P], budget_price [C], supply_price [S]) of an answer to the program."""
    impressions = np.zeros(len(reach.most))
    impressions[reach.useful] = x * reach.most[reach.useful]
    campaigns = len(problem.budget)
    worth = np.maximum(duals, 0.0) * day.unit
    budget_price = per_unit(worth[:campaigns], problem.budget)
    return impressions, budget_price, per_unit(worth[campaigns:], problem.supply)
