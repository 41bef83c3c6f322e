"""Five rounds of retraining on the site's own logs, with and without exploration, on a generated world.

Mechanics: clicks are those of `sim/behaviour.toml`. Means over 5 seeds (other campaigns, visits and lots), Student's
t intervals; the last rows are differences within a seed and round, with minus without. slope, ece: of P(click) on
promoted impressions that won their auction.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from hiregraph.feedback_command import SHOWN, cell
from market.tables import Tables
from sim.behaviour import read_behaviour
from sim.feedback import WITH, FeedbackConfig, neutral_sessions, run_feedback, summary
from sim.logs import LoggingConfig, write_logs
from sim.market import MarketConfig
from sim.stage import build_stage
from sim.world import WorldConfig, build_world
from targeting.learned import LearnedConfig, fit_learned

HEADS = ("campaigns", "seekers", "gini", "top 10 %", "slope", "ece", "qualified/1000")
WORLD = WorldConfig(kind="generated", persons=1_500, serve_replicas=4, inventory=1_000, metros=4)
CONFIG = FeedbackConfig(rounds=5, seeds=5, market=MarketConfig(days=7, campaigns=300))


def run(data: Path | None) -> dict[str, Any]:
    world = build_world(WORLD, read_behaviour(), None, None)
    tables = Tables(write_logs(world, LoggingConfig()), world.careers.taxonomy)
    learn = LearnedConfig()
    learned, _ = fit_learned(tables, learn)
    neutral = neutral_sessions(tables, learned, learn)
    rounds = list(run_feedback(build_stage(world, learned, None), neutral, CONFIG))
    return {"world": asdict(WORLD), "config": asdict(CONFIG), "table": summary(rounds)}


def show(result: dict[str, Any]) -> list[list[str]]:
    rows = [[row["arm"].split()[0], str(row["round"]), *(cell(row[name]) for name in SHOWN)] for row in result["table"]]
    apart = [
        ["difference", str(row["round"]), *(cell(row[f"{name}_difference"]) for name in SHOWN)]
        for row in result["table"]
        if row["arm"] == WITH
    ]
    return [["exploration", "round", *HEADS], *rows, *apart]
