"""The commands `demo`, `simulate` and `bench`.

What they run is imported when they run: torch and numba take seconds that `--help` should not.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hiregraph.out_folder import ForceOption, refuse_to_overwrite
from hiregraph.settings import load_settings
from market.errors import ConfigError

if TYPE_CHECKING:
    from hiregraph.demo import DemoConfig

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
DataOption = Annotated[Path | None, typer.Option("--data", help="Data directory; default HIREGRAPH_DATA.")]
WorldOption = Annotated[
    str | None, typer.Option(help="careers (real lives, needs data) or generated; default: careers if data is there.")
]
CACHE = Path(".cache")
REPORT_FILES = ("report.json", "report.html")
INTERRUPTED = 130  # exit status, as of a process that SIGINT ended


def demo(
    out: Annotated[Path, typer.Option(help="Where report and artefacts go.")] = Path("out/demo"),
    world: WorldOption = None,
    data: DataOption = None,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    cache: Annotated[Path, typer.Option(help="Finished stages are kept here and reused.")] = CACHE,
    as_json: JsonOption = False,
) -> None:
    """The main job, end to end, in a few minutes: from a job site's logs to spent budgets, arm beside arm.

    Example: hiregraph demo --out out/demo
    """
    from hiregraph.demo import DemoConfig
    from hiregraph.pipeline import choose_world
    from sim.world import WorldConfig

    kind, folder = choose_world(world, load_settings(data=data).data)
    config = DemoConfig(world=WorldConfig(kind=kind, seed=seed))
    _run(config, folder, out, cache, as_json, "the same command goes on from there")
    if not as_json:
        notes = Console(stderr=True)
        notes.print(f"\nreport      {out / 'report.html'}   (numbers: {out / 'report.json'})", highlight=False)
        notes.print(
            "next        make serve                                 the API on these artefacts", highlight=False
        )
        notes.print("            hiregraph simulate --help                  other arms, days, budgets", highlight=False)
        notes.print(
            f"            hiregraph graph links --model {out / 'artefacts'}   what was learned", highlight=False
        )


def simulate(
    context: typer.Context,
    out: Annotated[
        Path | None, typer.Option(help="Where report.json and report.html go; required.", show_default=False)
    ] = None,
    world: WorldOption = None,
    arms: Annotated[
        str, typer.Option(help="Some of attribute, keyword, links, graph, graph+links, random, all, oracle.")
    ] = "attribute,links,graph,random,oracle",
    days: Annotated[int, typer.Option(help="Days of the market window.")] = 7,
    campaigns: Annotated[int, typer.Option(help="Campaigns per market.")] = 300,
    seeds: Annotated[int, typer.Option(help="Markets per arm; a headline wants 20 and 1,000 campaigns.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    pacing: Annotated[str, typer.Option(help="plan+descent, descent or greedy.")] = "plan+descent",
    design: Annotated[
        str,
        typer.Option(
            help="copy (a full market per arm), budget-split (one market, a part of people and budgets per arm) or "
            "switch-back (one market, arms take turns); the last two are checked against full markets."
        ),
    ] = "copy",
    budget_level: Annotated[float, typer.Option(help="Scales every budget.")] = 1.0,
    force: ForceOption = False,
    data: DataOption = None,
    cache: Annotated[Path, typer.Option(help="Finished stages are kept here and reused.")] = CACHE,
    as_json: JsonOption = False,
) -> None:
    """Try targeting, budgets and pacing on a simulated site that runs the production code.

    An earlier report in --out is kept unless --force is given. Stopped with Ctrl-C, the report holds the seeds that are
    finished and says that it is not complete; the same command with --force goes on from there.

    Example: hiregraph simulate --arms attribute,links,graph --days 7 --campaigns 300 --seed 1 --out out/sim
    """
    if context.invoked_subcommand is not None:
        _refuse_options_before(context)
        return
    if out is None:
        raise ConfigError("simulate needs a directory for its report; give --out, or a subcommand (--help lists them)")
    from hiregraph.demo import DemoConfig
    from hiregraph.pipeline import choose_world
    from sim.arms import check_arms
    from sim.experiment import ExperimentConfig
    from sim.market import MarketConfig
    from sim.world import WorldConfig, scaled
    from targeting.pacing.descent import ControlConfig

    if days < 1 or campaigns < 2 or seeds < 1 or not 0 < budget_level < 1e6:
        raise ConfigError("days and seeds must be at least 1, campaigns at least 2, budget-level between 0 and 1e6")
    ControlConfig(pacing)  # type: ignore[arg-type]  # refused here, before anything is built
    chosen = check_arms([arm.strip() for arm in arms.split(",")])
    refuse_to_overwrite(out, REPORT_FILES, force)
    kind, folder = choose_world(world, load_settings(data=data).data)
    base = WorldConfig(kind=kind, seed=seed)
    config = DemoConfig(
        world=scaled(base, campaigns, days),
        experiment=ExperimentConfig(
            arms=chosen,
            seeds=seeds,
            pacing=pacing,  # type: ignore[arg-type]
            design=design,  # type: ignore[arg-type]
            market=MarketConfig(days=days, campaigns=campaigns, budget_level=budget_level),
        ),
    )
    _run(config, folder, out, cache, as_json, "the same command with --force goes on from there")


def _refuse_options_before(context: typer.Context) -> None:
    """Options of `simulate` itself mean nothing to its subcommands: refused, not ignored."""
    for option in context.command.params:
        source = context.get_parameter_source(option.name or "")
        if source is not None and source.name == "COMMANDLINE":
            raise ConfigError(
                f"{option.opts[0]} stands before `{context.invoked_subcommand}`, which would not see it; "
                f"give options of `simulate {context.invoked_subcommand}` behind its name"
            )


def bench(
    tables: Annotated[list[str] | None, typer.Argument(help="Names of tables, such as graph or index; all.")] = None,
    gpu: Annotated[bool, typer.Option("--gpu", help="The CUDA part.")] = False,
) -> None:
    """Side-by-side benchmarks; writes out/bench/*.json. Without names all tables, several hours.

    Example: hiregraph bench graph index
    """
    from bench.run import run_all

    run_all(tables or (), gpu=gpu)


def _run(config: DemoConfig, data: Path | None, out: Path, cache: Path, as_json: bool, goes_on: str) -> None:
    """goes_on: how an interrupted run is taken up again."""
    from hiregraph.demo import arms_table, run_demo, times_table

    notes = Console(stderr=True)
    try:
        report, times = run_demo(config, data, out, cache, notes)
    except KeyboardInterrupt:
        said = (
            f"nothing was written to {out}; what is finished is kept in {cache}, and the same command goes on from it"
        )
        typer.echo(f"hiregraph: stopped before there was a report; {said}", err=True)
        raise typer.Exit(INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps(report, default=float))
    else:
        Console(width=180).print(arms_table(report))
        notes.print(times_table(times))
    if not report["complete"]:
        seeds = report["seeds"]
        said = f"{seeds['finished']} of {seeds['asked']} seeds are finished and in {out / 'report.html'}"
        typer.echo(f"hiregraph: stopped; {said}; {goes_on}", err=True)
        raise typer.Exit(INTERRUPTED)
