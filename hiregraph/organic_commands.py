"""The commands `organic fit` and `organic evaluate`: towers from platform logs, and how much they retrieve."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress

from market.artefacts import digest_of_tree
from market.errors import ConfigError, DataError, UserError

organic_app = typer.Typer(help="Organic retrieval: towers, activity, rules, recommendations.", no_args_is_help=True)

JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
LogsOption = Annotated[Path, typer.Option(help="Directory of platform log tables.")]
CacheOption = Annotated[Path | None, typer.Option(help="Folder that remembers text vectors between runs.")]


@organic_app.command("fit")
def fit(
    logs: LogsOption,
    out: Annotated[Path, typer.Option(help="Directory to write.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    steps: Annotated[int | None, typer.Option(min=2, help="Batches in all; half of them on hard negatives.")] = None,
    held_out_days: Annotated[int, typer.Option(min=0, help="Last days of the logs, measured and not learned.")] = 14,
    student: Annotated[bool, typer.Option(help="Read requests by a fast student of the text encoder.")] = True,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train towers on clicks, applications and saves; the last days are held out and measured.

    Example: hiregraph organic fit --logs logs --out out/towers
    """
    from dataclasses import asdict, replace

    from market.tables import read_tables
    from market.text import TextEncoder
    from organic.evaluate import evaluate_towers
    from organic.language.student import fit_student
    from organic.learning.engagement import DAY_US, EngagementConfig, read_engagement
    from organic.learning.fit import BUDGET, FitConfig, fit_towers, texts_of
    from organic.learning.schedule import with_hardest

    began, notes = time.perf_counter(), Console(stderr=True)
    notes.print("  reading logs", highlight=False)
    tables = read_tables(logs, required=("positions", "jobs"))
    last = max(_last(tables, name) for name in ("clicks", "applications", "saves"))
    until = (last // DAY_US + 1 - held_out_days) * DAY_US
    engagement = read_engagement(tables, EngagementConfig(), bias_until=until)
    train, judged = engagement.within(0, until), engagement.within(until)
    if not len(train):
        raise DataError(
            "clicks, applications, saves",
            f"all {len(engagement)} requests are of the last {held_out_days} days, which are held out",
            "Give more days of logs, or fewer --held-out-days",
        )
    encoder = TextEncoder(cache_dir=cache)
    reader = None
    if student:
        notes.print("  fitting a student of the text encoder", highlight=False)
        reader = fit_student(texts_of(train), encoder)[0]
    budget = BUDGET if steps is None else replace(BUDGET, steps=steps)
    config = FitConfig(schedule=with_hardest(budget, budget.items // 2))
    with Progress(console=notes) as bar:
        task = bar.add_task("training")
        towers, log = fit_towers(
            train, encoder, config, seed, reader, lambda done, total, _: bar.update(task, completed=done, total=total)
        )
    cold = _new(judged.seekers, train.seekers)
    measured = evaluate_towers(towers, judged, cold, seed=seed).numbers if len(judged) else None
    towers.save(
        out,
        config={**asdict(config), "engagement": asdict(EngagementConfig()), "trained_until": until},
        seed=seed,
        inputs={"logs": digest_of_tree(logs)},
        metrics={"loss": log.loss, "held_out": measured},
    )
    summary = {
        "seconds": round(time.perf_counter() - began, 2),
        "requests": len(train),
        "pairs": len(train.request),
        "jobs": len(train.inventory),
        "trained_until": datetime.fromtimestamp(until // 1_000_000, UTC).isoformat(),
        "loss": log.loss,
        "held_out": measured,
    }
    _answer(summary, as_json)


@organic_app.command("evaluate")
def evaluate(
    model: Annotated[Path, typer.Option(help="What `organic fit` wrote.")],
    logs: LogsOption,
    run: Annotated[Path | None, typer.Option(help="TREC run to write; gzip when it ends in .gz.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of batches and intervals.")] = 0,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure towers on the requests of the logs that came after their training: held-out days, or newer logs.

    Example: hiregraph organic evaluate --model out/towers --logs logs --run out/run.trec
    """
    from market.ranking import write_run
    from market.tables import read_tables
    from market.text import TextEncoder
    from organic.evaluate import evaluate_towers
    from organic.learning.engagement import read_engagement
    from organic.learning.model import LearnedTowers

    if run is not None and run.is_dir():
        raise UserError(f"--run {run} is a directory; name a file")
    towers, manifest = LearnedTowers.load(model, TextEncoder(cache_dir=cache))
    until = int(manifest.config["trained_until"])
    engagement = read_engagement(read_tables(logs, required=("positions", "jobs")), bias_until=until)
    judged, before = engagement.within(until), engagement.within(0, until)
    if not len(judged):
        when = datetime.fromtimestamp(until // 1_000_000, UTC).date()
        raise ConfigError(f"{model} was trained until {when}, and {logs} has no request after it; give newer logs")
    report = evaluate_towers(towers, judged, _new(judged.seekers, before.seekers), seed=seed)
    if run is not None:
        try:
            run.parent.mkdir(parents=True, exist_ok=True)
            write_run(run, report.run)
        except OSError as error:
            raise UserError(f"--run {run}: {error.strerror}; choose a place that can be written") from None
    _answer(report.numbers, as_json)


def _new(seekers: list[str], known: list[str]) -> np.ndarray:
    return ~np.isin(np.array(seekers, object).astype(str), np.array(known, object).astype(str))


def _last(tables: Any, name: str) -> int:
    """Microseconds of the newest event, -1 where there is none."""
    if name not in tables or not tables[name].num_rows:
        return -1
    return int(np.asarray(tables[name]["occurred_at"].cast("int64")).max())


def _answer(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary))
        return
    for name, value in summary.items():
        if isinstance(value, dict):
            typer.echo(name)
            for part, number in value.items():
                typer.echo(f"  {part:<28} {_shown(number)}")
        else:
            typer.echo(f"{name:<14} {value}")


def _shown(value: Any) -> str:
    """Means with their interval, nested parts side by side."""
    if isinstance(value, dict) and "mean" in value:
        if value["mean"] is None:
            return "-"
        interval = "" if value["ci95"] is None else " [{:.4f}, {:.4f}]".format(*value["ci95"])
        return f"{value['mean']:.4f}{interval}" + (f" n {value['n']}" if "n" in value else "")
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(part)}" for name, part in value.items())
    return str(value)
