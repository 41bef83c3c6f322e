"""The command `jobs import`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from hiregraph.server import logs_to_stderr, open_store
from hiregraph.settings import load_settings
from market.clock import SystemClock
from market.errors import ConfigError
from targeting.feeds.importing import FORMATS, format_of, import_feed

jobs_app = typer.Typer(help="The inventory of jobs.", no_args_is_help=True)


@jobs_app.callback()
def _group() -> None:
    """Keeps `import` a command of a group, though it is the only one."""


@jobs_app.command("import")
def import_jobs(
    feed: Annotated[Path, typer.Argument(help="The feed, a file; gzip is recognised.")],
    account: Annotated[str, typer.Option(help="The account whose jobs these are.")],
    db: Annotated[str | None, typer.Option("--db", help="Database URL; default HIREGRAPH_DB.", metavar="URL")] = None,
    kind: Annotated[
        str | None, typer.Option("--format", help=f"One of {', '.join(FORMATS)}; default by the file's name.")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Delete the account's jobs that the feed does not hold.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and report, write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Import a feed of jobs; what can not be read is refused job by job, with its line.

    Example: hiregraph jobs import feed.xml.gz --account acme --dry-run
    """
    logs_to_stderr()
    if kind is not None and kind not in FORMATS:
        raise ConfigError(f"--format {kind!r} is unknown; choose one of {', '.join(FORMATS)}")
    chosen = format_of(feed) if kind is None else next(each for each in FORMATS if each == kind)
    store = open_store(load_settings(db=db).db)
    try:
        report = import_feed(
            store,
            feed,
            account,
            chosen,
            SystemClock().now(),
            replace=replace,
            dry_run=dry_run,
            progress=lambda done: typer.echo(f"  {done} jobs written", err=True),
        )
    finally:
        store.close()
    if as_json:
        shown = {**asdict(report), "refusals": [{"place": place, "why": why} for place, why in report.refusals]}
        typer.echo(json.dumps({**shown, "format": chosen, "dry_run": dry_run}))
        return
    typer.echo(f"{report.accepted} jobs {'readable' if dry_run else 'imported'}, {report.refused} refused")
    if replace:
        typer.echo(
            f"{report.deleted} of {report.before} jobs {'would be' if dry_run else ''} deleted".replace("  ", " ")
        )
    for code, many in report.findings.items():
        typer.echo(f"  {code.replace('_', ' ')}: {many}")
    for place, why in report.refusals:
        typer.echo(f"  {'line' if chosen != 'json-ld' else 'item'} {place}: {why}")
