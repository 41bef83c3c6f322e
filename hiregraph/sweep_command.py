"""The command `simulate sweep`: the targeting experiment over its assumptions, resumable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from hiregraph.market_commands import CACHE, DataOption, JsonOption, WorldOption
from hiregraph.settings import load_settings
from market.errors import ConfigError

if TYPE_CHECKING:
    from sim.behaviour import Behaviour
    from sim.stage import Stage
    from sim.world import WorldConfig


def sweep(
    out: Annotated[Path, typer.Option(help="Where sweep.json, sweep.html and the finished cells go.")],
    over: Annotated[
        str, typer.Option(help="Assumptions to vary: same-occupation-share, click-match, competition, budget-level.")
    ] = "same-occupation-share,click-match,competition,budget-level",
    config: Annotated[
        Path | None, typer.Option(help="TOML file with the values of assumptions, instead of --over.")
    ] = None,
    grid: Annotated[bool, typer.Option("--grid", help="Every combination, not one at a time.")] = False,
    world: WorldOption = None,
    arms: Annotated[str, typer.Option(help="Comma-separated arms; attribute is the reference.")] = (
        "attribute,links,graph"
    ),
    days: Annotated[int, typer.Option(help="Days of the market window.")] = 7,
    campaigns: Annotated[int, typer.Option(help="Campaigns per market at competition 1.")] = 300,
    seeds: Annotated[int, typer.Option(help="Markets per arm and cell.")] = 2,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace the results of another configuration.")] = False,
    data: DataOption = None,
    cache: Annotated[Path, typer.Option(help="Finished stages are kept here and reused.")] = CACHE,
    as_json: JsonOption = False,
) -> None:
    """How the arms' headline moves with the assumptions of the simulated site.

    Finished cells are kept and reused; Ctrl-C leaves a valid sweep.json and page of those that are finished.

    Example: hiregraph simulate sweep --over click-match,budget-level --campaigns 300 --out out/sweep
    """
    from hiregraph.demo import DemoConfig
    from hiregraph.pipeline import StageTimes, choose_world, input_digests, prepare, source_digest
    from market.artefacts import digest_of
    from sim.arms import check_arms
    from sim.behaviour import read_behaviour
    from sim.experiment import ExperimentConfig
    from sim.market import MarketConfig
    from sim.sweep import AXES, SweepConfig, read_axes, run_sweep
    from sim.sweep_page import write_sweep_page
    from sim.world import WorldConfig, scaled

    if days < 1 or campaigns < 4 or seeds < 1:
        raise ConfigError("days and seeds must be at least 1, campaigns at least 4")
    if config is not None:
        values, combined = read_axes(config)
    else:
        names = [name.strip() for name in over.split(",")]
        unknown = [name for name in names if name not in AXES]
        if unknown:
            raise ConfigError(f"--over: {unknown[0]!r} can not be swept; use some of {', '.join(AXES)}")
        values, combined = {name: AXES[name] for name in names}, False
    kind, folder = choose_world(world, load_settings(data=data).data)
    chosen = SweepConfig(
        scaled(WorldConfig(kind=kind, seed=seed), campaigns, days),  # type: ignore[arg-type]
        ExperimentConfig(
            arms=check_arms([arm.strip() for arm in arms.split(",")]),
            seeds=seeds,
            budget_levels=(),
            flat_clicks=False,
            market=MarketConfig(days=days, campaigns=campaigns),
        ),
        values,
        grid or combined,
    )
    learn = DemoConfig().learn
    identity = {"learn": digest_of(learn), "inputs": digest_of(input_digests(folder)), "program": source_digest()}
    notes = Console(stderr=True)
    columns = (TextColumn("{task.description:<60}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=notes, disable=not notes.is_terminal) as bar:
        task = bar.add_task("starting", total=None)
        done = 0

        def stage_of(shape: WorldConfig, behaviour: Behaviour) -> Stage:
            return prepare(shape, learn, folder, cache, StageTimes(), behaviour=behaviour).stage

        def played(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)
            if not notes.is_terminal:
                notes.print(f"  cell {done}/{total}: {what}", highlight=False)

        def finished(document: dict[str, Any]) -> None:
            nonlocal done
            done = len(document["cells"])
            write_sweep_page(out / "sweep.html", document)

        try:
            document = run_sweep(
                chosen, read_behaviour(), stage_of, out, identity, force=force, progress=played, finished=finished
            )
        except KeyboardInterrupt:
            cells = f"{done} of {len(chosen.cells())} cells are finished and in {out}"
            typer.echo(f"hiregraph: stopped; {cells}; the same command goes on from there", err=True)
            raise
    if as_json:
        typer.echo(json.dumps(document))
    else:
        Console(width=140).print(cells_table(document))
        notes.print(f"page {out / 'sweep.html'}, numbers {out / 'sweep.json'}", highlight=False)


def cells_table(document: dict[str, Any]) -> Table:
    """One row per cell: what was changed, the baseline's utilization, every arm's difference at equal cost."""
    from sim.sweep_page import sweep_rows

    heads, rows = sweep_rows(document)
    table = Table(title="Utilization at equal cost against attribute, points", title_justify="left")
    for number, name in enumerate(heads):
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        table.add_row(*(cell.replace("<small>", " [").replace("</small>", "]") for cell in row))
    return table
