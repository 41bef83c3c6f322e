"""The commands `serve`, `keys create` and `db upgrade`."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Annotated

import typer

from hiregraph.server import logs_to_stderr, open_store, run
from hiregraph.settings import load_settings
from market.clock import SystemClock
from targeting.migrations import upgrade
from targeting.storage.database import Database
from targeting.storage.keys import ROLES, make_key

DbOption = Annotated[str | None, typer.Option("--db", help="Database URL; default HIREGRAPH_DB.", metavar="URL")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; default 127.0.0.1.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; default 8080.")] = None,
    db: DbOption = None,
    artefacts: Annotated[Path | None, typer.Option(help="Artefacts of the engine; default out/demo/artefacts.")] = None,
    workers: Annotated[int, typer.Option(help="Processes on the same database.")] = 1,
) -> None:
    """Serve the API, upgrading the database schema first.

    Example: hiregraph serve --port 8080 --db sqlite:///out/hiregraph.sqlite --artefacts out/demo/artefacts
    """
    run(load_settings(host=host, port=port, db=db, artefacts=artefacts), workers)


def keys_create(
    account: Annotated[str, typer.Option(help="The account the key belongs to.")],
    role: Annotated[str, typer.Option(help=f"One of {', '.join(ROLES)}.")],
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Create an API key; it is shown this once and stored as a hash.

    Example: hiregraph keys create --account acme --role owner
    """
    logs_to_stderr()
    key, record = make_key(account, role, SystemClock().now(), secrets.token_bytes(32))
    store = open_store(load_settings(db=db).db)
    store.add_key(record)
    store.close()
    if as_json:
        shown = {"key": key, "key_id": record.key_id, "account": record.account_id, "role": record.role}
        typer.echo(json.dumps(shown))
    else:
        typer.echo(key)
        typer.echo(
            f"{record.key_id}, {record.role} of {record.account_id}; keep the key, it is not shown again", err=True
        )


def db_upgrade(db: DbOption = None, as_json: JsonOption = False) -> None:
    """Bring the database schema to the version of this program.

    Example: hiregraph db upgrade --db sqlite:///out/hiregraph.sqlite
    """
    database = Database(load_settings(db=db).db)
    before, now = upgrade(database)
    database.close()
    shown = {"version_before": before, "version": now}
    typer.echo(json.dumps(shown) if as_json else f"schema version {now} (was {before or 'empty'})")
