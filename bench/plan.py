"""The planners: `targeting.plan.solve` beside GLOP alone, the rungs of its ladder, and the plan over 24 hours.

Seconds are of the CPU (one thread), so that a busy machine does not blur them. "GLOP alone" is the building and solving
of the same scaled program, without preparation, repair and certificate; both alternate, medians of five.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from targeting.pacing.ascent import ascend_day
from targeting.pacing.bucket_plan import solve_buckets
from targeting.pacing.bucket_problem import BucketProblem
from targeting.pacing.certificate import certified, repaired
from targeting.pacing.day_program import day_program, in_units
from targeting.pacing.linear_program import ask
from targeting.pacing.problem import PlanProblem, reach_of
from targeting.plan import solve

SIZES = ((100, 1_000, 3_000), (1_000, 10_000, 31_000), (10_000, 100_000, 300_000))
LADDER = ((10_000, 100_000, 300_000), (5_000, 20_000, 600_000), (300, 2_000, 500_000))
HOURS = ((100, 1_000), (1_000, 10_000), (10_000, 100_000))
ROUNDS = 5
SECONDS = 300.0
GOOD_HOUR_GAP = 4.5e-3


def problem(campaigns: int, segments: int, pairs: int, seed: int = 0) -> PlanProblem:
    """Random sparse day plan: lognormal budgets, values and supplies; about half of the budgets bind."""
    rng = np.random.default_rng(seed)
    campaign, segment = rng.integers(0, campaigns, pairs), rng.integers(0, segments, pairs)
    chance = rng.lognormal(-3.5, 0.5, pairs)
    return PlanProblem(
        budget=rng.lognormal(4.0, 1.0, campaigns),
        supply=rng.lognormal(4.5, 1.0, segments),
        campaign=campaign,
        segment=segment,
        value=chance * rng.lognormal(-2.5, 0.7, pairs),
        cost=chance * rng.lognormal(-0.2, 0.4, campaigns)[campaign],
    )


def hours_problem(campaigns: int, segments: int, seed: int = 0) -> BucketProblem:
    """A day of 24 hours: 10 to 50 segments per campaign, popular segments more often; a tenth of the campaigns were
    promised impressions, no campaign gets more than half of a segment's visits, spend follows the visits within 25 %.
    """
    rng = np.random.default_rng(seed)
    popularity = np.arange(1, segments + 1) ** -0.6
    popularity /= popularity.sum()
    campaign = np.repeat(np.arange(campaigns), rng.integers(10, 51, campaigns))
    segment = np.minimum(np.searchsorted(np.cumsum(popularity), rng.random(len(campaign))), segments - 1)
    key = np.unique(campaign * segments + segment)
    campaign, segment = key // segments, key % segments
    pairs = len(key)
    visits = campaigns * 20_000 * popularity * rng.lognormal(0, 0.4, segments)
    hour, zone = np.arange(24), rng.integers(0, 8, segments)
    shape = 0.3 + np.exp(-(((hour - 12 - np.arange(8)[:, None]) % 24 - 8) ** 2) / 20.0)
    supply = visits[:, None] * (shape / shape.sum(axis=1, keepdims=True))[zone]
    chance = rng.lognormal(-3.5, 0.5, pairs)
    cost = chance * rng.lognormal(-0.2, 0.5, campaigns)[campaign]
    value = chance * rng.lognormal(-5.0, 1.0, pairs)
    fair = visits[segment] / np.bincount(segment, minlength=segments)[segment]
    budget = np.bincount(campaign, cost * fair, campaigns) * rng.uniform(0.1, 1.2, campaigns)
    share = np.zeros((campaigns, 24))
    np.add.at(share, campaign, supply[segment])
    promised = np.where(rng.random(campaigns) < 0.1, 0.1 * np.bincount(campaign, fair, campaigns), 0.0)
    return BucketProblem(
        budget=budget,
        supply=supply,
        campaign=campaign,
        segment=segment,
        value=value[:, None] * (0.85 + 0.3 * rng.random((8, 24)))[zone[segment]],
        cost=cost,
        share=share / share.sum(axis=1, keepdims=True),
        guarantee=promised,
        penalty=2 * float(np.median(value)),
        frequency_cap=0.5,
    )


def run(data: Path | None) -> dict[str, Any]:
    warm = problem(10, 10, 30)
    ascend_day(warm, reach_of(warm), 0.0, time.monotonic() + 1)
    solve_buckets(hours_problem(5, 20), 0.0)
    day = [beside_glop(*size) for size in SIZES]
    ladder = [row for size in LADDER for row in rungs(*size)]
    return {"rows": day, "ladder": ladder, "hours": [over_hours(*size) for size in HOURS]}


def beside_glop(campaigns: int, segments: int, pairs: int) -> dict[str, Any]:
    given = problem(campaigns, segments, pairs)
    program = day_program(given, reach_of(given)).program
    ours, alone = [], []
    for _ in range(ROUNDS):
        alone.append(cpu_seconds(lambda: ask(program, "glop", SECONDS))[1])
        plan, seconds = cpu_seconds(lambda: solve(given, SECONDS))
        ours.append(seconds)
    return {
        "campaigns": campaigns,
        "segments": segments,
        "pairs": pairs,
        "solver": plan.solver,
        "cpu_seconds": statistics.median(ours),
        "glop_alone": statistics.median(alone),
        "ratio": statistics.median(one / other for one, other in zip(ours, alone, strict=True)),
        "gap": plan.gap,
    }


def rungs(campaigns: int, segments: int, pairs: int) -> list[dict[str, Any]]:
    given = problem(campaigns, segments, pairs)
    reach = reach_of(given)
    rows = []
    for rung in ("glop", "dual-ascent", "pdlp"):
        if rung == "dual-ascent":
            found, seconds = cpu_seconds(lambda: ascend_day(given, reach, 5e-4, time.monotonic() + SECONDS))
            impressions, prices = found.impressions, (found.budget_price, found.supply_price)
        else:
            day = day_program(given, reach)
            answer, seconds = cpu_seconds(lambda day=day, rung=rung: ask(day.program, rung, SECONDS))
            if answer is None:
                continue
            impressions, *prices = in_units(given, reach, day, answer.x, answer.duals)
        bound = certified(given, *prices, reach)[2]
        value = float(given.value @ repaired(given, impressions, reach))
        row = {"campaigns": campaigns, "segments": segments, "pairs": pairs, "solver": rung}
        rows.append(row | {"cpu_seconds": seconds, "gap": max(0.0, 1 - value / bound)})
    return rows


def over_hours(campaigns: int, segments: int) -> dict[str, Any]:
    given = hours_problem(campaigns, segments)
    plan, seconds = cpu_seconds(lambda: solve_buckets(given, SECONDS, GOOD_HOUR_GAP))
    row = {"campaigns": campaigns, "segments": segments, "pairs": given.value.size, "solver": plan.solver}
    return row | {"cpu_seconds": seconds, "gap": plan.gap, "violation": plan.violation}


def cpu_seconds(call: Callable[[], Any]) -> tuple[Any, float]:
    started = time.process_time()
    answer = call()
    return answer, time.process_time() - started


def show(result: dict[str, Any]) -> list[list[str]]:
    table = [["campaigns x segments", "variables", "solver", "CPU seconds", "times GLOP alone", "certified gap"]]
    for part in ("rows", "ladder", "hours"):
        for row in result[part]:
            size = f"{row['campaigns']:,} x {row['segments']:,}" + (" x 24" if part == "hours" else "")
            ratio = f"{row['ratio']:.2f}" if "ratio" in row else "-"
            seconds, gap = f"{row['cpu_seconds']:.2f}", f"{row['gap']:.0e}"
            table.append([size, f"{row['pairs']:,}", row["solver"], seconds, ratio, gap])
    return table
