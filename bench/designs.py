"""Designs on small generated markets: A/A false positives, bias against full markets, how large a test has to be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import beta

from market.tables import Tables
from sim.arms import AttributeScheme, arm_scores, mark_live
from sim.behaviour import read_behaviour
from sim.bias import METRICS, design_report
from sim.columns import lift
from sim.designs import split_market
from sim.experiment import ExperimentConfig, Results, run_experiment
from sim.logs import LoggingConfig, write_logs
from sim.market import MarketConfig, day_shares
from sim.play import Audience, play_market
from sim.power import Size, campaigns_needed, standard_error, surprise
from sim.stage import Stage, build_stage
from sim.world import WorldConfig, build_world
from targeting.learned import SITE_TRAIN, LearnedConfig, fit_learned

WORLD = WorldConfig(kind="generated", persons=2_000, serve_replicas=2, metros=4, inventory=2_000)
ARMS = ("attribute", "graph")
AA_MARKETS, AA_SALTS = 20, 10  # 200 tests of an arm against itself
BIAS_MARKETS = 20
SIZES, DAYS = (200, 800), (3, 7, 14)
TARGET = 0.01


def run(data: Path | None) -> dict[str, Any]:
    world = build_world(WORLD, read_behaviour(), None, None)
    tables = Tables(write_logs(world, LoggingConfig()), world.careers.taxonomy)
    learned, _ = fit_learned(tables, LearnedConfig(train=replace(SITE_TRAIN, epochs=2)))
    stage = build_stage(world, learned, None)
    return {"a_a": same_arm_twice(stage), "bias": bias(stage), "power": power(stage)}


def same_arm_twice(stage: Stage) -> dict[str, Any]:
    """Budget-split tests of the graph arm against itself: the share whose interval leaves 0, with its own interval."""
    config = ExperimentConfig(arms=("graph",), market=MarketConfig(days=2, campaigns=100))
    share, behaviour = day_shares(stage.world), stage.world.behaviour
    rng = np.random.default_rng(71)
    left: dict[str, list[bool]] = {metric: [] for metric in METRICS}
    for seed in range(AA_MARKETS):
        market = stage.market(replace(config.market, seed=seed))
        mark_live(stage.index, stage.world, stage.learned, market, None)
        score = arm_scores("graph", stage.world, market, stage.learned, stage.index, AttributeScheme())
        eligible = Audience.of(market, score, config.phi).eligible(market, config.theta)
        results = Results(config, behaviour.sha256, AttributeScheme(), [], [market], share)
        for salt in range(AA_SALTS):
            halves = [split_market(market, part, 2, f"aa{salt}") for part in (0, 1)]
            a, b = ([play_market(behaviour, share, half, eligible, config.pacing, config.auction)] for half in halves)
            for metric, (top, bottom) in METRICS.items():
                found = lift(results, *(_named(runs, seed) for runs in (a, b)), top, bottom, rng)
                left[metric].append(found.ci is None or not found.ci[0] <= 0 <= found.ci[1])
    return {metric: share_interval(sum(found), len(found)) for metric, found in left.items()}


def bias(stage: Stage) -> dict[str, Any]:
    """Halves of one market and days by turns, against a full market per arm."""
    rng = np.random.default_rng(73)
    found = {}
    for design, hours in (("budget-split", 24), ("switch-back", 24), ("switch-back", 1)):
        config = ExperimentConfig(
            arms=ARMS, seeds=BIAS_MARKETS, design=design, block_hours=hours, market=MarketConfig(days=4, campaigns=150)
        )
        name = design if design == "budget-split" else f"{design}, {hours} h"
        found[name] = design_report(run_experiment(stage, config), ARMS[0], rng)["arms"][ARMS[1]]
    return found


def power(stage: Stage) -> list[dict[str, Any]]:
    """Standard error of the relative difference in utilisation by days and design; campaigns for +- TARGET."""
    rng = np.random.default_rng(79)
    rows = []
    for design in ("copy", "budget-split"):
        for days in DAYS:
            small, large = (_size(stage, design, days, campaigns, rng) for campaigns in SIZES)
            rows.append(
                {
                    "design": design,
                    "days": days,
                    "standard_error": {size.campaigns: size.standard_error for size in (small, large)},
                    "campaigns_needed": {size.campaigns: campaigns_needed(size, TARGET) for size in (small, large)},
                    "larger_over_predicted": surprise(small, large),
                }
            )
    return rows


def _size(stage: Stage, design: Any, days: int, campaigns: int, rng: np.random.Generator) -> Size:
    config = ExperimentConfig(
        arms=ARMS, seeds=1, design=design, thetas=(), budget_levels=(), flat_clicks=False, nulls=False,
        two_by_two=False, market=MarketConfig(days=days, campaigns=campaigns),
    )  # fmt: skip
    results = run_experiment(stage, config)
    found = lift(results, results.select(ARMS[1]), results.select(ARMS[0]), *METRICS["budget_utilization"], rng)
    assert found.ci is not None, "a market of this size has an interval"
    return Size(campaigns, days, standard_error(found.ci))


def share_interval(hits: int, n: int, level: float = 0.95) -> dict[str, Any]:
    """A share with its Clopper-Pearson interval."""
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, hits, n - hits + 1)) if hits else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, n - hits)) if hits < n else 1.0
    return {"share": hits / n, "ci95": [low, high], "hits": hits, "n": n}


def show(result: dict[str, Any]) -> list[list[str]]:
    rows = [["what", "metric", "found", "95 %", "beside"]]
    for metric, found in result["a_a"].items():
        low, high = found["ci95"]
        rows.append(["A/A leaves 0", metric, f"{found['share']:.1%} of {found['n']}", f"[{low:.1%}, {high:.1%}]", ""])
    for design, metrics in result["bias"].items():
        for metric, found in metrics.items():
            row = found["bias"]
            beside = f"estimate {found['estimate']['relative']:+.1%}, truth {found['truth']['relative']:+.1%}"
            low, high = row["ci95"]
            rows.append(
                [f"bias of {design}", metric, f"{row['difference']:+.1%}", f"[{low:+.1%}, {high:+.1%}]", beside]
            )
    for row in result["power"]:
        errors = ", ".join(f"{n}: {error:.2%}" for n, error in row["standard_error"].items())
        needed = ", ".join(f"{n:,}" for n in row["campaigns_needed"].values())
        rows.append(
            [f"campaigns for +-1 %, {row['design']}", f"{row['days']} days", needed, "", f"standard errors {errors}; "
             f"larger over predicted {row['larger_over_predicted']:.2f}"]
        )  # fmt: skip
    return rows


def _named(runs: list[Any], seed: int) -> list[Any]:
    return [replace(run, seed=seed) for run in runs]
