"""The command `logs export`: from the service's database to the log tables that models are fitted on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hiregraph.model_folder import JsonOption
from hiregraph.serving_commands import DbOption
from hiregraph.settings import load_settings
from targeting.storage.database import UNHURRIED_SECONDS, Database

logs_app = typer.Typer(help="Log tables of the service.", no_args_is_help=True)
ArtefactsOption = Annotated[
    Path | None, typer.Option("--artefacts", help="Artefacts of the engine; default HIREGRAPH_ARTEFACTS.")
]


@logs_app.callback()
def _logs() -> None:
    """Log tables of the service."""


@logs_app.command("export")
def export(
    out: Annotated[Path, typer.Option(help="Directory to write; one that holds an earlier export is replaced.")],
    db: DbOption = None,
    artefacts: ArtefactsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write what the service has seen as log tables for `graph fit --logs` and `organic fit --logs`.

    Titles are read as the engine reads them, with the classification of its artefacts. Every export is whole: it leaves
    out whoever was erased since the last one.

    Example: hiregraph logs export --db sqlite:///out/hiregraph.sqlite --out out/logs
    """
    from market.text import TextEncoder
    from targeting.learned import Learned
    from targeting.marketplace import ENCODER
    from targeting.profiles import ProfileReader
    from targeting.storage.export import export_logs

    settings = load_settings(db=db, artefacts=artefacts)
    taxonomy = Learned.load(settings.artefacts).taxonomy
    own = settings.artefacts / ENCODER
    encoder = TextEncoder(own if own.is_dir() else None, cache_dir=Path(".cache") / "text")
    database = Database(settings.db, UNHURRIED_SECONDS)
    found = export_logs(database, out, taxonomy, ProfileReader(taxonomy, encoder))
    database.close()
    if as_json:
        typer.echo(json.dumps({"rows": found.rows, "left_out": found.left_out, "out": str(out)}))
    else:
        for table, rows in found.rows.items():
            typer.echo(f"{table}: {rows}")
        typer.echo(f"left out, of nobody we may name: {found.left_out} events", err=True)
