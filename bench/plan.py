"""`targeting.plan.solve` at three sizes: seconds and certified gap."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from targeting.plan import PlanProblem, solve

SIZES = ((100, 1_000, 3_000), (1_000, 10_000, 31_000), (10_000, 100_000, 300_000))


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


def run(data: Path | None) -> dict[str, Any]:
    rows = []
    for campaigns, segments, pairs in SIZES:
        given = problem(campaigns, segments, pairs)
        plans = [solve(given) for _ in range(3)]
        best = sorted(plans, key=lambda plan: plan.seconds)[1]
        rows.append(
            {
                "campaigns": campaigns,
                "segments": segments,
                "pairs": pairs,
                "seconds": round(best.seconds, 3),
                "gap": best.gap,
                "solver": best.solver,
            }
        )
    return {"rows": rows}


def show(result: dict[str, Any]) -> list[list[str]]:
    table = [["campaigns x segments", "pairs", "solver", "seconds (median of 3)", "certified gap"]]
    for row in result["rows"]:
        size = f"{row['campaigns']:,} x {row['segments']:,}"
        table.append([size, f"{row['pairs']:,}", row["solver"], f"{row['seconds']:.2f}", f"{row['gap']:.0e}"])
    return table
