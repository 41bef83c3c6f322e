"""The commands `data check` and `data fetch`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

app = typer.Typer(help="Log tables and public data.", no_args_is_help=True)
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command("check")
def check(
    folder: Annotated[Path, typer.Argument(help="Directory of log tables with its dataset.json.")],
    as_json: JsonOption = False,
) -> None:
    """Check every known table of a log directory: rows, columns, first problem found.

    Example: hiregraph data check out/demo/logs
    """
    from market.tables import check_folder  # brings the table engine, which takes a second to load

    report = check_folder(folder)
    if as_json:
        typer.echo(json.dumps(report))
    else:
        table = Table()
        for name in ("table", "rows", "columns", "problem"):
            table.add_column(name, justify="right" if name in ("rows", "columns") else "left")
        for name, found in report.items():
            problems = found["problems"]
            columns = found["columns"]
            table.add_row(name, str(found["rows"]), str(len(columns)), problems[0] if problems else "-")  # type: ignore
        Console().print(table)
    if any(found["problems"] for found in report.values()):
        raise typer.Exit(2)
