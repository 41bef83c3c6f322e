"""The command `simulate levels`: what the baseline spends at each budget level, before any arm is compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from hiregraph.market_commands import CACHE, DataOption, JsonOption, WorldOption
from hiregraph.numbers_option import numbers
from hiregraph.settings import load_settings
from market.errors import ConfigError


def levels(
    world: WorldOption = None,
    at: Annotated[str, typer.Option(help="Comma-separated budget levels.")] = "0.1,0.2,0.5,1,2,4",
    days: Annotated[int, typer.Option(help="Days of the market window.")] = 7,
    campaigns: Annotated[int, typer.Option(help="Campaigns of the market.")] = 1_000,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    data: DataOption = None,
    cache: Annotated[Path, typer.Option(help="Finished stages are kept here and reused.")] = CACHE,
    as_json: JsonOption = False,
) -> None:
    """How much of its budgets the attribute arm spends at several levels, on validation persons only.

    Example: hiregraph simulate levels --campaigns 1000 --at 0.2,1,4
    """
    from hiregraph.demo import DemoConfig
    from hiregraph.pipeline import StageTimes, choose_world, prepare
    from sim.experiment import ExperimentConfig
    from sim.levels import baseline_levels, validation_world
    from sim.market import MarketConfig
    from sim.world import WorldConfig, scaled

    if days < 1 or campaigns < 2:
        raise ConfigError("days must be at least 1, campaigns at least 2")
    chosen = numbers("--at", at, above=0)
    kind, folder = choose_world(world, load_settings(data=data).data)
    notes = Console(stderr=True)
    shape = validation_world(scaled(WorldConfig(kind=kind, seed=seed), campaigns, days))  # type: ignore[arg-type]
    prepared = prepare(shape, DemoConfig().learn, folder, cache, StageTimes(), lambda text: notes.print(f"  {text}"))
    config = ExperimentConfig(market=MarketConfig(days=days, campaigns=campaigns))
    found = baseline_levels(
        prepared.stage, config, chosen, lambda what, done, total: notes.print(f"  {done}/{total}: {what}")
    )
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table(title="The attribute arm on validation persons", title_justify="left")
    for name in ("budget level", "budget used", "clicks", "qualified"):
        table.add_column(name, justify="right")
    for row in found["levels"]:
        table.add_row(
            f"{row['budget_level']:g}",
            f"{row['budget_utilization']:.1%}",
            str(row["clicks"]),
            f"{row['qualified_applications']:.0f}",
        )
    Console(width=120).print(table)
    Console(width=120).print(", ".join(f"{name} {value}" for name, value in found["market"].items()), highlight=False)
