"""One simulated week of 1,000 campaigns and a million visits, two arms, scoring included: seconds and memory."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from hiregraph.pipeline import peak_mib
from market.tables import Tables
from sim.arms import AttributeScheme, arm_scores, mark_live
from sim.behaviour import read_behaviour
from sim.logs import LoggingConfig, write_logs
from sim.market import MarketConfig, day_shares
from sim.play import Audience, play_market
from sim.stage import build_stage
from sim.world import WorldConfig, build_world
from targeting.learned import SITE_TRAIN, LearnedConfig, fit_learned

WORLD = WorldConfig(kind="generated", persons=4_000, serve_replicas=48, inventory=4_000)
MARKET = MarketConfig(days=7, campaigns=1_000)
ARMS = ("attribute", "graph")
THETA, PHI = 0.2, 20


def run(data: Path | None) -> dict[str, Any]:
    """{"visits", "pairs", "seconds": {step: s}, "total_seconds", "peak_mib"}; world and learning are not counted.

    The loop is compiled before, on a market of a few campaigns.
    """
    world = build_world(WORLD, read_behaviour(), None, None)
    tables = Tables(write_logs(world, LoggingConfig()), world.careers.taxonomy)
    learned, _ = fit_learned(tables, LearnedConfig(train=replace(SITE_TRAIN, epochs=1)))
    stage = build_stage(world, learned, None)
    _week(stage, replace(MARKET, days=1, campaigns=10))
    return _week(stage, MARKET) | {"peak_mib": peak_mib()}


def _week(stage: Any, config: MarketConfig) -> dict[str, Any]:
    seconds: dict[str, float] = {}
    began = last = time.perf_counter()

    def took(step: str) -> None:
        nonlocal last
        now = time.perf_counter()
        seconds[step] = seconds.get(step, 0.0) + now - last
        last = now

    market = stage.market(config)
    mark_live(stage.index, stage.world, stage.learned, market, None)
    took("market and its pairs")
    for arm in ARMS:
        score = arm_scores(arm, stage.world, market, stage.learned, stage.index, AttributeScheme())
        took("arm scores")
        eligible = Audience.of(market, score, PHI).eligible(market, THETA)
        took("audience")
        play_market(
            stage.world.behaviour, day_shares(stage.world), market, eligible, "plan+descent", "second", arm, THETA
        )
        took("plan and loop")
    return {
        "visits": len(market.traffic.seeker),
        "pairs": len(market.pairs.campaign),
        "seconds": seconds,
        "total_seconds": time.perf_counter() - began,
    }


def show(result: dict[str, Any]) -> list[list[str]]:
    rows = [["step", "seconds"], *([step, f"{taken:.1f}"] for step, taken in result["seconds"].items())]
    rows.append([f"all, {result['visits']:,} visits, {result['pairs']:,} pairs", f"{result['total_seconds']:.1f}"])
    rows.append(["peak memory of the process, with its world and learning", f"{result['peak_mib']:,.0f} MiB"])
    return rows
