"""The headline at full size: 20 markets of 1,000 campaigns and a week, arms at equal cost and equal ad load.

Finished markets are kept in `.cache/markets`; run again after an interruption and it goes on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hiregraph.pipeline import StageTimes, peak_mib, prepare
from sim.experiment import BASELINE, ExperimentConfig, run_experiment
from sim.headline import headline, share_of_oracle
from sim.market import MarketConfig
from sim.report import arm_summary, frontier, supply_groups
from sim.world import WorldConfig, scaled
from targeting.learned import LearnedConfig

CACHE = Path(".cache")
ARMS = (BASELINE, "links", "graph", "graph+links", "oracle")
SEEDS, CAMPAIGNS, DAYS = 20, 1_000, 7
# Frontiers alone: placebos and designs have tables of their own.
EXPERIMENT = ExperimentConfig(
    arms=ARMS,
    seeds=SEEDS,
    budget_levels=(),
    flat_clicks=False,
    nulls=False,
    two_by_two=False,
    organic_arms=False,
    market=MarketConfig(days=DAYS, campaigns=CAMPAIGNS),
)
LEARN = replace(LearnedConfig(), shuffles=0)


def run(data: Path | None, experiment: ExperimentConfig = EXPERIMENT) -> dict[str, Any]:
    """{"world", "arms", "headline", "frontier", "supply_groups", "finished", "digest", "peak_mib"}."""
    kind: Any = "careers" if data is not None else "generated"
    world = scaled(WorldConfig(kind=kind), experiment.market.campaigns, experiment.market.days)
    prepared = prepare(world, LEARN, data, CACHE, StageTimes())
    cells = CACHE / "markets" / prepared.learned.parent.name
    results = run_experiment(prepared.stage, experiment, cells=cells)
    rng = np.random.default_rng(59)
    found = {arm: headline(results, arm, rng) for arm in experiment.arms if arm != BASELINE}
    share_of_oracle(found)
    return {
        "world": kind,
        "finished": results.finished,
        "visits": int(np.mean([len(market.traffic.seeker) for market in results.markets])),
        "digest": results.config_sha256,
        "arms": {arm: arm_summary(results, results.select(arm), rng) for arm in experiment.arms},
        "headline": found,
        "frontier": {arm: frontier(results, arm) for arm in experiment.arms},
        "supply_groups": {arm: supply_groups(results, arm) for arm in experiment.arms},
        "peak_mib": peak_mib(),
    }


def show(result: dict[str, Any]) -> list[list[str]]:
    """An arm a row; then utilisation by supply decile, thinnest first."""
    head = f"{result['world']}, {result['finished']} markets, {result['visits']:,} visits each"
    rows = [[head, "budget used", "qualified", "cost", "ad load", "at equal cost", "and ad load", "of the oracle's"]]
    for arm, row in result["arms"].items():
        found = result["headline"].get(arm, {})
        share = found.get("share_of_oracle_headroom")
        rows.append(
            [
                arm,
                f"{row['budget_utilization']['mean']:.1%}",
                f"{row['qualified_applications']:,.0f}",
                f"{row['cost_per_qualified_application_micros']['mean'] / 1e6:.2f}",
                f"{row['ad_load']:.1%}",
                _points(found.get("utilization_at_equal_cost")),
                _points(found.get("utilization_at_equal_cost_and_ad_load")),
                "" if share is None else f"{share:.0%}",
            ]
        )
    for arm, groups in result["supply_groups"].items():
        rows.append([f"used by supply decile: {arm}", " ".join(f"{used:.2f}" for used in groups), *[""] * 6])
    return rows


def _points(found: dict[str, Any] | None) -> str:
    """Points of utilisation with their interval, and the relative difference."""
    if found is None or found["difference"] is None:
        return "" if found is None else "never that cheap"
    low, high = found["difference_ci95"] or (float("nan"), float("nan"))
    return f"{100 * found['difference']:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}], {found['relative']:+.1%}"
