"""Placebos over seeds: shuffled hires and flat clicks must show nothing; the real graph beside them.

Every seed is a market of its own with networks of its own shuffles, so that seeds are independent but for the people.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from market.tables import Tables
from market.text import TextEncoder
from sim.behaviour import read_behaviour
from sim.experiment import ExperimentConfig, Results, run_experiment
from sim.logs import LoggingConfig, write_logs
from sim.market import MarketConfig
from sim.placebos import flat_clicks, match_information, mean_interval, permuted_hires
from sim.stage import build_stage
from sim.world import World, WorldConfig, build_world
from targeting.learned import SITE_TRAIN, LearnedConfig, fit_learned
from targeting.placebo import fit_placebo

SHUFFLES = 4
WORLDS = {  # name: (world, seeds, campaigns)
    "generated": (WorldConfig(kind="generated", persons=2_000, serve_replicas=4), 10, 300),
    "careers": (WorldConfig(kind="careers"), 5, 300),
}


def run(data: Path | None) -> dict[str, Any]:
    found = {}
    for name, (config, seeds, campaigns) in WORLDS.items():
        if name == "careers" and data is None:
            continue
        encoder = TextEncoder(cache_dir=Path(".cache") / "text") if name == "careers" else None
        found[name] = table(build_world(config, read_behaviour(), data, encoder), seeds, campaigns)
    return found


def table(world: World, seeds: int, campaigns: int) -> dict[str, Any]:
    """{"permuted_hires", "flat_clicks", "graph"}: per seed relative and interval, the share of intervals with 0."""
    tables = Tables(write_logs(world, LoggingConfig()), world.careers.taxonomy)
    learn = LearnedConfig(train=replace(SITE_TRAIN, epochs=4))
    learned, _ = fit_learned(tables, learn)
    stage = build_stage(world, learned, None)
    rng = np.random.default_rng(59)
    rows: dict[str, list[dict[str, Any]]] = {"permuted_hires": [], "flat_clicks": [], "graph": []}
    for seed in range(seeds):
        permuted = tuple(fit_placebo(tables, learned, learn, draw=SHUFFLES * seed + draw) for draw in range(SHUFFLES))
        results = play(replace(stage, permuted=permuted), seed, campaigns)
        rows["permuted_hires"].append(permuted_hires(results, rng))
        rows["flat_clicks"].append(flat_clicks(results, rng))
        rows["graph"].append(match_information(results, rng)["graph"]["qualified_per_look"])
    return {name: summary(found) | {"seeds": found} for name, found in rows.items()}


def play(stage: Any, seed: int, campaigns: int) -> Results:
    config = ExperimentConfig(
        arms=("graph", "random"),
        seeds=1,
        thetas=(),
        budget_levels=(),
        two_by_two=False,
        market=MarketConfig(campaigns=campaigns, seed=seed),
    )
    return run_experiment(stage, config)


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    over = mean_interval([row["relative"] for row in rows])
    holds = [row["ci95"][0] <= 0 <= row["ci95"][1] for row in rows if row["ci95"]]
    draws = [value for row in rows for value in row.get("draws", [])]
    return {
        "mean": over.value,
        "ci95": over.ci,
        "contain_0": float(np.mean(holds)) if holds else None,
        "n": len(rows),
        "between_shuffles_sd": float(np.std(draws, ddof=1)) if len(draws) > 1 else None,
        "mean_vs_random": _mean([row["vs_random"]["relative"] for row in rows if row.get("vs_random")]),
    }


def show(result: dict[str, Any]) -> list[list[str]]:
    rows = [["world", "placebo", "mean over seeds", "95 %", "intervals with 0", "sd of shuffles", "vs random"]]
    for world, found in result.items():
        for name, row in found.items():
            low, high = row["ci95"] or (float("nan"), float("nan"))
            rows.append(
                [
                    world,
                    name,
                    f"{row['mean']:+.1%}",
                    f"[{low:+.1%}, {high:+.1%}]",
                    f"{row['contain_0']:.0%} of {row['n']}",
                    "" if row["between_shuffles_sd"] is None else f"{row['between_shuffles_sd']:.1%}",
                    "" if row["mean_vs_random"] is None else f"{row['mean_vs_random']:+.1%}",
                ]
            )
    return rows


def _mean(values: list[float]) -> float | None:
    return float(np.mean(values)) if values else None
