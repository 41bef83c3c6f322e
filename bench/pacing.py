"""Policies that spend budgets over a day, beside the hindsight bound: five scenarios, a tight and a moderate market.

Seeds from 100 on; nothing was tuned on them. Every run is a market of its own (300 campaigns, 300 segments, a million
visits). Synthetic: figures compare policies in one and the same market, they say nothing about a real site.
"""

from __future__ import annotations

import math
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from market.bootstrap import cluster_bootstrap
from sim.pacing_bound import Bound, banded_bound, hindsight, plan_prices
from sim.pacing_day import Day, Forecast, run_day
from sim.pacing_market import MINUTES, SCENARIOS, PacingMarket, Scenario, draw_market, draw_visits
from targeting.pacing.lookahead import LookaheadConfig
from targeting.pacing.policies import PacingPolicy

SEEDS = tuple(range(100, 120))
CLOSELY = 2  # on so many of the seeds also what evenness costs
SLACKS = {"tight": 1.0, "moderate": 2.0}
# Gains chosen by billed value on a grid, seeds 1 and 2.
POLICIES = (
    PacingPolicy("greedy-ecpm", kappa=0, deviations=0, least_click=0),
    PacingPolicy("greedy-value", kappa=0, deviations=0, least_click=0),
    PacingPolicy("throttle", 0.05, kappa=0, deviations=0, least_click=0),
    PacingPolicy("pid", 0.3, kappa=0, deviations=0, least_click=0),
    PacingPolicy("adaptive", 100_000.0, kappa=0, deviations=0, least_click=0),
    PacingPolicy("descent", 20.0, kappa=0, deviations=0, least_click=0),
    PacingPolicy("plan+descent", 5.0),
    PacingPolicy("lookahead", 2.0, least_click=0.75),
)
EVEN = "lookahead, kept near its share"  # the same with a pull towards the planned share of the day
NEAR = LookaheadConfig(near_step=0.05)
MEASURES = ("value", "utilization", "spent_95", "deviation", "reported", "unbilled")
BANDS = (0.1, 0.05, 0.03)  # how near to its share of the day a budget must stay, for the price of evenness


def judged(market: PacingMarket, bound: Bound, day: Day) -> dict[str, float]:
    """value: billed, over the bound. utilization, spent_95 (share of campaigns with 95 % spent), deviation (weighted
    mean of the largest distance from the planned share of the day, by the minute of the impression; reported: by the
    minute the click was reported): of campaigns whose budget binds. unbilled: over all budgets."""
    posted, binding = day.posted.sum(1), bound.binding
    budget = market.budget[binding]

    def deviation(money: np.ndarray) -> float:
        spent = np.cumsum(money[binding, :MINUTES], 1) / budget[:, None]
        apart = np.abs(spent - market.share[binding, 1:]).max(1)
        return float((apart * budget).sum() / budget.sum())

    return {
        "value": day.billed_value / bound.value,
        "utilization": float(posted[binding].sum() / budget.sum()),
        "spent_95": float((posted[binding] >= 0.95 * budget).mean()),
        "deviation": deviation(day.served),
        "reported": deviation(day.posted),
        "unbilled": float(day.unbilled.sum() / market.budget.sum()),
        "overspent": float(np.maximum(0, posted - market.budget).sum()),
    }


def clicks_alone(market: PacingMarket, bound: Bound) -> float:
    """The deviation that chance alone makes of a plan followed to the letter: the mean largest distance of n clicks
    from their distribution is sqrt(pi / 2) ln 2 / sqrt(n) (Kolmogorov), weighed by budget."""
    budget = market.budget[bound.binding].astype(np.float64)
    clicks = budget / market.price[bound.binding]
    return float((math.sqrt(math.pi / 2) * math.log(2) / np.sqrt(clicks) * budget).sum() / budget.sum())


def one(task: tuple[int, str, Scenario]) -> dict[str, Any]:
    """All policies on one market and one day."""
    seed, tightness, scenario = task
    market = draw_market(seed, SLACKS[tightness])
    visits = draw_visits(market, 7 * seed + 1, scenario)
    logged = draw_visits(market, 7 * seed + 2, replace(SCENARIOS[0], value_sigma=scenario.value_sigma))
    forecast, bound = Forecast(plan_prices(market, logged.noise), logged), hindsight(market, visits)
    rows = {}
    closely = seed in SEEDS[:CLOSELY]
    plays = [(policy.name, policy, LookaheadConfig()) for policy in POLICIES]
    plays += [(EVEN, POLICIES[-1], NEAR)] if closely else []
    for name, policy, ahead in plays:
        began = time.process_time()
        day = run_day(market, visits, forecast, policy, scenario.delay_minutes, ahead)
        rows[name] = judged(market, bound, day) | {"seconds": time.process_time() - began}
    return {
        "seed": seed,
        "market": tightness,
        "scenario": scenario.name,
        "binding": float(bound.binding.mean()),
        "clicks_alone": clicks_alone(market, bound),
        "banded": {
            str(tolerance): banded_bound(market, visits, bound, tolerance) / bound.value
            for tolerance in (BANDS if not scenario.value_sigma and closely else ())
        },
        "policies": rows,
    }


def run(data: Path | None, seeds: tuple[int, ...] = SEEDS) -> dict[str, Any]:
    tasks = [(seed, tightness, scenario) for seed in seeds for tightness in SLACKS for scenario in SCENARIOS]
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1), mp_context=get_context("spawn")) as pool:
        return {"seeds": list(seeds), "runs": list(pool.map(one, tasks))}


def show(result: dict[str, Any]) -> list[list[str]]:
    """Policies; then what chance alone does to evenness, and the certified price of staying even."""
    runs = result["runs"]
    head = "policy", "value / bound", "worst scenario", "utilization", "95 % spent", "deviation", "by report"
    table = [[*head, "unbilled, 10 min", "60 min", "overspent micros"]]
    for policy in runs[0]["policies"]:
        played = [(run, run["policies"][policy]) for run in runs if policy in run["policies"]]
        table.append(_row(policy if len(played) == len(runs) else f"{policy} ({len(played)} runs)", played))
    alone = float(np.mean([run["clicks_alone"] for run in runs]))
    table.append(["clicks by chance, plan followed exactly", "", "", "", "", f"{alone:.3f}", "", "", "", ""])
    for tolerance in map(str, BANDS):
        kept = {
            tight: [run["banded"][tolerance] for run in runs if run["banded"] and run["market"] == tight]
            for tight in SLACKS
        }
        most = ", ".join(f"{np.mean(found):.4f} {tight}" for tight, found in kept.items() if found)
        table.append([f"no policy within {tolerance} of its share", f"<= {most}", *[""] * 8])
    return table


def _row(policy: str, rows: list[tuple[dict[str, Any], dict[str, float]]]) -> list[str]:
    value = np.array([row["value"] for _, row in rows])
    estimate = cluster_bootstrap(np.array([run["seed"] for run, _ in rows]), value, rng=np.random.default_rng(0))
    low, high = estimate.ci or (float("nan"), float("nan"))
    by_scenario: dict[tuple[str, str], list[float]] = {}
    for run, row in rows:
        by_scenario.setdefault((run["market"], run["scenario"]), []).append(row["value"])
    late = [row["unbilled"] for run, row in rows if run["scenario"] == SCENARIOS[3].name]
    soon = [row["unbilled"] for run, row in rows if run["scenario"] != SCENARIOS[3].name]
    mean = {name: float(np.mean([row[name] for _, row in rows])) for name in MEASURES}
    return [
        policy,
        f"{value.mean():.4f} [{low:.4f}, {high:.4f}]",
        f"{min(float(np.mean(each)) for each in by_scenario.values()):.4f}",
        f"{mean['utilization']:.4f}",
        f"{mean['spent_95']:.3f}",
        f"{mean['deviation']:.3f}",
        f"{mean['reported']:.3f}",
        f"{100 * float(np.mean(soon)):.3f} %",
        f"{100 * float(np.mean(late)):.3f} %",
        f"{sum(row['overspent'] for _, row in rows):.0f}",
    ]
