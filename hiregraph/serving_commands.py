"""The commands `serve`, `settings`, `keys create|list|revoke`, `audit verify` and `db upgrade`."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Annotated

import typer

from hiregraph.server import logs_to_stderr, open_store, run
from hiregraph.settings import load_settings, markdown, refuse_unknown_variables, service_config, table
from market.clock import SystemClock, format_rfc3339
from targeting.migrations import upgrade
from targeting.storage.audit_log import AuditLog
from targeting.storage.database import Database
from targeting.storage.keys import ROLES, ApiKey, make_key

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


def keys_list(db: DbOption = None, as_json: JsonOption = False) -> None:
    """List the API keys, revoked ones too; never the keys themselves.

    Example: hiregraph keys list
    """
    logs_to_stderr()
    store = open_store(load_settings(db=db).db)
    shown = [_shown(key) for key in store.list_keys()]
    store.close()
    if as_json:
        typer.echo(json.dumps({"keys": shown}))
        return
    for key in shown:
        state = f"revoked {key['revoked_at']}" if key["revoked_at"] else "good"
        typer.echo(f"{key['key_id']}  {key['role']:<8}  {key['account']}  created {key['created_at']}  {state}")


def keys_revoke(
    key_id: Annotated[str, typer.Argument(help="The key_id that `keys create` and `keys list` show.")],
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Revoke an API key, from the next request on. To change a key, create the new one first, then revoke the old.

    Example: hiregraph keys revoke key_0123456789abcdef
    """
    logs_to_stderr()
    store = open_store(load_settings(db=db).db)
    try:
        key = store.revoke_key(key_id, SystemClock().now())
    finally:
        store.close()
    shown = _shown(key)
    typer.echo(json.dumps(shown) if as_json else f"{key_id} of {key.account_id} is revoked since {shown['revoked_at']}")


def audit_verify(
    db: DbOption = None,
    noted: Annotated[str | None, typer.Option(help="A digest that this command printed earlier.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Walk the chain of the audit log: exit 1 and the first number that does not hold, if there is one.

    Note the digest it prints somewhere else, and give it with --noted the next time.

    Example: hiregraph audit verify --db sqlite:///out/hiregraph.sqlite
    """
    logs_to_stderr()
    store = open_store(load_settings(db=db).db)
    try:
        verdict = AuditLog(store.database).verify(noted)
    finally:
        store.close()
    if as_json:
        typer.echo(json.dumps(vars(verdict)))
    elif verdict.broken is None:
        typer.echo(f"{verdict.rows} rows hold; the last digest is {verdict.digest}")
    else:
        typer.echo(f"broken at number {verdict.broken}: {verdict.why}; {verdict.rows} rows before it hold")
    if verdict.broken is not None:
        raise typer.Exit(1)


def settings(
    as_json: JsonOption = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="docs/settings.md on stdout.")] = False,
) -> None:
    """Show every setting: variable, default, present value and meaning; secrets are masked.

    Example: hiregraph settings
    """
    refuse_unknown_variables()
    present = load_settings()
    service_config(present)  # refuses what a server would refuse
    rows = table(present)
    if as_json:
        typer.echo(json.dumps({"settings": [vars(row) for row in rows]}))
    elif as_markdown:
        typer.echo(markdown(rows), nl=False)
    else:
        for row in rows:
            changed = f" (default {row.default or 'none'})" if row.value != row.default else ""
            typer.echo(f"{row.variable}={row.value}{changed}\n    {row.meaning}")


def _shown(key: ApiKey) -> dict[str, str | None]:
    return {
        "key_id": key.key_id,
        "account": key.account_id,
        "role": key.role,
        "created_at": format_rfc3339(key.created_at),
        "revoked_at": None if key.revoked_at is None else format_rfc3339(key.revoked_at),
    }


def db_upgrade(db: DbOption = None, as_json: JsonOption = False) -> None:
    """Bring the database schema to the version of this program.

    Example: hiregraph db upgrade --db sqlite:///out/hiregraph.sqlite
    """
    database = Database(load_settings(db=db).db)
    before, now = upgrade(database)
    database.close()
    shown = {"version_before": before, "version": now}
    typer.echo(json.dumps(shown) if as_json else f"schema version {now} (was {before or 'empty'})")
