"""Runs the tables of docs/benchmarks.md: prints each, writes out/bench/NAME.json."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from hiregraph.settings import load_settings
from market.errors import ConfigError

OUT = Path("out/bench")
# Modules bench.NAME with run(data) and show(result), imported when they run; several hours in all.
TABLES = (
    "graph",
    "ablation",
    "calibration",
    "cold_start",
    "selection",
    "link_curve",
    "link_mining",
    "graph_and_links",
    "plan",
    "index",
    "index_single",
    "index_clauses",
    "index_live",
    "index_tighter",
    "index_memory",
    "index_boosts",
    "index_growth",
    "organic_text",
    "organic_curriculum",
    "organic_activity",
    "organic_activity_mechanics",
    "organic_engagement",
    "organic_rules",
    "organic_requests",
    "service_load",
    "pacing",
    "replay",
    "off_policy",
    "feedback",
    "control",
    "auctions",
    "audit_path",
    "headline",
    "placebo",
    "designs",
    "week",
)


def run_all(names: Sequence[str] = (), *, gpu: bool = False) -> None:
    """The named CPU tables, or all of them; or the CUDA part."""
    console = Console(width=140)
    unknown = next((name for name in names if name not in TABLES), None)
    if unknown is not None:
        raise ConfigError(f"no benchmark is called {unknown!r}; choose from {', '.join(TABLES)}")
    folder = load_settings().data
    data = folder if folder is not None and (folder / "nlsy79_careers").is_dir() else None
    OUT.mkdir(parents=True, exist_ok=True)
    for name in ("gpu",) if gpu else names or TABLES:
        module = importlib.import_module(f"bench.{name}")
        began = time.perf_counter()
        result = module.run(data)
        (OUT / f"{name}.json").write_text(json.dumps(result, indent=1, default=float) + "\n")
        head, *rows = module.show(result)
        title = f"{name}: {(module.__doc__ or '').splitlines()[0]} ({time.perf_counter() - began:.0f} s)"
        table = Table(title=title, title_justify="left")
        for column in head:
            table.add_column(column, justify="left" if column == head[0] else "right")
        for row in rows:
            table.add_row(*row)
        console.print(table)
