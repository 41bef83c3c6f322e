"""The command `simulate feedback`: rounds of retraining on the site's own logs, with and without exploration."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from hiregraph.market_commands import CACHE, DataOption, JsonOption, WorldOption
from hiregraph.out_folder import ForceOption, refuse_to_overwrite
from hiregraph.settings import load_settings
from market.errors import ConfigError
from market.swap import scratch_beside, swap_in
from market.whole_file import write_whole

if TYPE_CHECKING:
    from sim.feedback import FeedbackConfig, Round

# (folder of logs, what begins with how many visits, visits done) -> rounds as they finish
Loop = Callable[[Path, Callable[[str, int], None], Callable[[int], None]], Iterator["Round"]]
REPORT = "feedback.json"
SHOWN = ("campaigns_shown", "seekers_reached", "gini", "top_tenth", "slope", "ece", "qualified_per_1000")


def feedback(
    out: Annotated[Path, typer.Option(help="Directory for feedback.json and the logs of every round.")],
    rounds: Annotated[int, typer.Option(help="Rounds of serving and retraining.")] = 5,
    world: WorldOption = None,
    days: Annotated[int, typer.Option(help="Days of a round.")] = 7,
    campaigns: Annotated[int, typer.Option(help="Campaigns of a market.")] = 300,
    seeds: Annotated[int, typer.Option(help="Repetitions with other campaigns, visits and lots.")] = 3,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    memory: Annotated[int, typer.Option(help="Newest rounds of logs that a fit sees.")] = 2,
    exploration: Annotated[float | None, typer.Option(help="Chance of a slot to go by lot; default as served.")] = None,
    data: DataOption = None,
    cache: Annotated[Path, typer.Option(help="Finished stages are kept here and reused.")] = CACHE,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """What a site becomes that learns from what it has shown: coverage, concentration, calibration, applications.

    Stopped with Ctrl-C, the report holds the rounds finished so far and says that it is not complete.

    Example: hiregraph simulate feedback --rounds 5 --out out/feedback
    """
    from hiregraph.pipeline import StageTimes, choose_world, prepare
    from market.tables import read_tables
    from sim.feedback import FeedbackConfig, neutral_sessions, run_feedback
    from sim.market import MarketConfig
    from sim.world import WorldConfig
    from targeting.learned import LearnedConfig
    from targeting.serving import ServingConfig

    if days < 1 or campaigns < 2:
        raise ConfigError("days must be at least 1, campaigns at least 2")
    serving = ServingConfig() if exploration is None else ServingConfig(exploration=exploration)
    market = MarketConfig(days=days, campaigns=campaigns, seed=seed)
    config = FeedbackConfig(rounds, seeds, memory, serving=serving, market=market)
    check_out(out, force)
    kind, folder = choose_world(world, load_settings(data=data).data)
    notes, learn = Console(stderr=True), LearnedConfig(seed=seed)
    shape = WorldConfig(kind=kind, seed=seed)  # type: ignore[arg-type]
    prepared = prepare(
        shape, learn, folder, cache, StageTimes(), lambda text: notes.print(f"  {text}", highlight=False)
    )
    notes.print("  scoring the neutral logs", highlight=False)
    neutral = neutral_sessions(read_tables(prepared.logs), prepared.stage.learned, learn)
    try:
        report = play(partial(run_feedback, prepared.stage, neutral, config), config, out, notes)
    except KeyboardInterrupt:
        typer.echo(f"hiregraph: stopped; the rounds that are finished are in {out / REPORT}", err=True)
        raise
    if as_json:
        typer.echo(json.dumps(report))
    else:
        Console(width=160).print(table_of(report["table"]))


def check_out(out: Path, force: bool) -> None:
    """ConfigError where something lies in `out` that may not be replaced; with force only an earlier result may."""
    if not out.exists():
        return
    if not out.is_dir() or (any(out.iterdir()) and not (out / REPORT).is_file()):
        raise ConfigError(f"{out} exists and holds no earlier {REPORT}; choose another directory")
    refuse_to_overwrite(out, (REPORT,), force)


def play(run: Loop, config: FeedbackConfig, out: Path, notes: Console) -> dict[str, Any]:
    """Run all rounds; after each the report in `out` is whole and valid, also when the run is stopped."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with scratch_beside(out) as scratch:  # what an earlier run left goes when this one has begun, in one step
        _write(scratch, _report(config, [], complete=False))
        swap_in(scratch, out)
    done: list[Round] = []
    bar = Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=notes
    )
    with bar:
        whole = bar.add_task("rounds", total=config.rounds * config.seeds * 2)
        part = bar.add_task("visits", total=None)
        for finished in run(
            out / "logs",
            lambda what, visits: bar.reset(part, description=what, total=visits),
            lambda visits: bar.advance(part, visits),
        ):
            done.append(finished)
            _write(out, _report(config, done, complete=False))
            bar.advance(whole)
    report = _report(config, done, complete=True)
    _write(out, report)
    return report


def table_of(rows: Sequence[dict[str, Any]]) -> Table:
    table = Table(title="mean over seeds ± 95 %", title_justify="left")
    for column in ("arm", "round", *SHOWN):
        table.add_column(column, justify="left" if column == "arm" else "right")
    for row in rows:
        table.add_row(row["arm"], str(row["round"]), *(cell(row[name]) for name in SHOWN))
    return table


def cell(interval: dict[str, Any]) -> str:
    mean, ci = interval["mean"], interval["ci95"]
    return f"{mean:.3f}" if ci is None else f"{mean:.3f} ± {ci[1] - mean:.3f}"


def _report(config: FeedbackConfig, rounds: list[Round], complete: bool) -> dict[str, Any]:
    from sim.feedback import summary

    return {
        "schema": 1,
        "config": asdict(config),
        "complete": complete,
        "table": summary(rounds),
        "rounds": [asdict(each) for each in rounds],
    }


def _write(folder: Path, report: dict[str, Any]) -> None:
    write_whole(folder / REPORT, json.dumps(report, indent=1) + "\n")
