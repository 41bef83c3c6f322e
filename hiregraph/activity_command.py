"""The commands `organic activity fit` and `organic activity show`."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from hiregraph.model_folder import JsonOption
from market.errors import ConfigError, DataError
from market.records import Activity, SeekerProfile

activity_app = typer.Typer(
    help="What a seeker wants now: one vector of the latest applications, saves and dismissals.", no_args_is_help=True
)


@activity_app.command("fit")
def fit(
    logs: Annotated[Path, typer.Option(help="Directory of platform log tables.")],
    out: Annotated[Path, typer.Option(help="Directory to write: the aggregator, job vectors, every seeker's vector.")],
    aggregator: Annotated[str, typer.Option(help="mean, decay, cnn, lstm or transformer.")] = "decay",
    rate: Annotated[float, typer.Option(help="Of decay: what an action counts beside the next newer one.")] = 0.8,
    window_days: Annotated[float, typer.Option(help="Older actions are forgotten.")] = 28.0,
    epochs: Annotated[int, typer.Option(help="Passes over the rows, of a learned aggregator.")] = 12,
    seed: Annotated[int, typer.Option(help="Seed of everything random.")] = 0,
    cache: Annotated[Path, typer.Option(help="Folder that remembers text vectors.")] = Path(".cache"),
    as_json: JsonOption = False,
) -> None:
    """Fit an aggregator to the logs and compute the vector of every seeker as of the newest action in them.

    Example: hiregraph organic activity fit --logs data/logs --out out/activity --aggregator cnn
    """
    from market.tables import read_tables
    from market.text import TextEncoder
    from organic.activity.aggregators import AGGREGATORS, FitConfig, fit_aggregator
    from organic.activity.job_space import fit_job_space
    from organic.activity.proxy import ProxyConfig
    from organic.activity.sequences import WindowConfig, log_of_tables, windows
    from organic.activity.store import ActivityStore

    if aggregator not in AGGREGATORS:
        raise ConfigError(f"--aggregator is {aggregator!r}, expected one of {', '.join(AGGREGATORS)}")
    began = time.perf_counter()
    notes = Console(stderr=True)
    window = WindowConfig(window_days=window_days)
    config = FitConfig(rate=rate, proxy=ProxyConfig(seed=seed, epochs=epochs))
    notes.print("  reading logs", highlight=False)
    tables = read_tables(logs, required=("jobs", "applications"))
    log = log_of_tables(tables)
    notes.print("  encoding the titles of the jobs", highlight=False)
    vectors = TextEncoder(cache_dir=cache / "text").encode(tables["jobs"]["title"].to_pylist())
    jobs = fit_job_space(vectors).project(vectors)
    rows = windows(log, jobs, window)
    notes.print(f"  fitting {aggregator} on {len(rows)} rows", highlight=False)
    store = ActivityStore(fit_aggregator(aggregator, rows, log, config), log.job_ids, jobs, window)
    store.build(log, int(log.at.max()))
    store.save(out)
    found = store.storage()
    summary = {
        "seconds": round(time.perf_counter() - began, 2),
        "aggregator": aggregator,
        "actions": len(log),
        "training_rows": len(rows),
        "width": store.width,
        **found,
    }
    _answer(
        summary,
        f"{found['seekers']} seekers, {found['vector_bytes']:.0f} bytes of vector and {found['event_bytes']:.0f} of "
        f"actions each; {found['fallback_share']:.1%} have too few actions and fall back to the profile",
        as_json,
    )


@activity_app.command("show")
def show(
    model: Annotated[Path, typer.Option(help="What `organic activity fit` wrote.")],
    seeker: Annotated[Path, typer.Option(help='JSON: {"activity": [{"job_id", "action", "at"}]}.')],
    as_json: JsonOption = False,
) -> None:
    """The vector of one seeker's activity as of the newest action, and how much stands behind it.

    Example: hiregraph organic activity show --model out/activity --seeker seeker.json --json
    """
    from organic.activity.sequences import latest, log_of_profile
    from organic.activity.store import ActivityStore

    profile = read_activity(seeker)
    store = ActivityStore.load(model)
    log, unknown = log_of_profile(profile, {job_id: row for row, job_id in enumerate(store.job_ids)})
    row = latest(log, store.jobs, int(log.at.max(initial=0)), store.config)
    vector = store.aggregator.vectors(row)[0].tolist() if len(row) else [0.0] * store.width
    used = int(row.count[0]) if len(row) else 0
    summary = {
        "seeker_id": profile.seeker_id,
        "aggregator": store.aggregator.name,
        "actions": used,
        "unknown_jobs": unknown,
        "fallback": used < store.config.minimum,
        "width": store.width,
        "vector": vector,
    }
    fallback = f"; fewer than {store.config.minimum}: fall back to the profile" if summary["fallback"] else ""
    _answer(summary, f"{store.aggregator.name}, {store.width} numbers of {used} actions{fallback}", as_json)


def read_activity(path: Path) -> SeekerProfile:
    """The activity in a seeker file, as requests write it; DataError says what is wrong with it."""
    try:
        document: Any = json.loads(path.read_text())
    except OSError as problem:
        raise DataError(str(path), f"can not be read ({problem.strerror})", "name a JSON file") from None
    except ValueError:
        raise DataError(str(path), "is not JSON in UTF-8", 'write {"activity": [...]}') from None
    found = document.get("activity", []) if isinstance(document, dict) else None
    if not isinstance(found, list):
        raise DataError(str(path), "holds no seeker", 'write {"activity": [{"job_id", "action", "at"}]}')
    name = document.get("seeker_id")
    entries = tuple(_entry(str(path), number, entry) for number, entry in enumerate(found))
    return SeekerProfile(None if name is None else str(name), activity=entries)


def _entry(path: str, row: int, entry: Any) -> Activity:
    remedy = 'write {"job_id": "j1", "action": "apply|save|dismiss", "at": "2026-03-01T12:00:00Z"}'
    try:
        job_id, action, at = (entry[name] for name in ("job_id", "action", "at"))
        moment = datetime.fromisoformat(at)
    except (KeyError, TypeError, ValueError):
        raise DataError(path, f"activity {row} is not an action", remedy, row) from None
    if not isinstance(job_id, str) or action not in ("apply", "save", "dismiss") or moment.tzinfo is None:
        raise DataError(path, f"activity {row} has no job, a wrong action or no time zone", remedy, row)
    return Activity(job_id, action, moment)


def _answer(summary: dict[str, Any], sentence: str, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary))
    else:
        Console().print(sentence, highlight=False)
