"""The commands `seekers erase` and `seekers find`: forget a person, and look for what is left of one."""

from __future__ import annotations

import json
import secrets
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from hiregraph.log_commands import ArtefactsOption
from hiregraph.model_folder import JsonOption
from hiregraph.server import logs_to_stderr, open_store
from hiregraph.serving_commands import DbOption
from hiregraph.settings import load_settings, token_secret
from market.clock import SystemClock
from market.errors import ConfigError, ConflictError
from targeting.artefact_erasure import remove_person
from targeting.canary import SHORT, files_below, search_file
from targeting.storage.database import sqlite_path
from targeting.storage.erasure import Erasure
from targeting.storage.keys import ACCOUNT_ID as SEEKER_ID
from targeting.storage.residue import named_in, unkeyed_digests
from targeting.storage.tombstones import Tombstones

seekers_app = typer.Typer(help="Erase a person, and look for what is left of one.", no_args_is_help=True)
Seeker = Annotated[str, typer.Argument(help="Seeker id.", metavar="ID")]
PathOption = Annotated[list[Path] | None, typer.Option("--path", help="More files or directories; may be repeated.")]
TRIES, PAUSE_SECONDS = 10, 1.0


@seekers_app.command("erase")
def erase(
    seeker_id: Seeker,
    db: DbOption = None,
    artefacts: ArtefactsOption = None,
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Erase a person from the database and from tables beside the artefacts, and print the receipt.

    The same as POST /v1/seekers/{id}/erase, for the operator; safe beside a running service. --path: directories of log
    tables (Parquet) that lose the person's rows, too.

    Example: hiregraph seekers erase s123 --db sqlite:///out/hiregraph.sqlite --path out/logs
    """
    logs_to_stderr()
    _check(seeker_id)
    settings = load_settings(db=db, artefacts=artefacts)
    store = open_store(settings.db)
    tombstones = Tombstones(token_secret(settings))
    erasure = Erasure(store.database, tombstones, secrets.token_bytes, artefacts=settings.artefacts)
    operation = erasure.begin(seeker_id, SystemClock().now())
    for _ in range(TRIES):
        operation = erasure.run(operation.operation_id, SystemClock().now())
        if operation.state != "running":
            break
        time.sleep(PAUSE_SECONDS)
    else:
        raise ConflictError("the database is read without a pause; its log keeps deleted bytes, so repeat this later")
    store.close()
    removed = {str(folder): remove_person(folder, seeker_id) for folder in path or ()}
    receipt = {"operation_id": operation.operation_id, "status": operation.state, **operation.result, "files": removed}
    if as_json:
        typer.echo(json.dumps(receipt))
        return
    for name, count in [*operation.result["stores"].items(), *removed.items()]:
        typer.echo(f"{name}: {count}")
    typer.echo(operation.result["bytes"]["note"], err=True)
    if operation.result["retrain_advised"]:
        typer.echo("models may have learned from this person: export the logs again and fit", err=True)


@seekers_app.command("find")
def find(
    seeker_id: Seeker,
    db: DbOption = None,
    artefacts: ArtefactsOption = None,
    path: PathOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search every byte of the database, the artefacts and the given paths for a person; exit 1 where one is found.

    Looks for the id in many spellings (UTF-8/16/32, hex, Base64, digests), inside gzip, zstd, Zip and Parquet too, and
    tries whether a digest of the database confirms the id. The keyed tombstone of an erased person is no hit.

    Example: hiregraph seekers find s123 --db sqlite:///out/hiregraph.sqlite --artefacts out/artefacts --path out/logs
    """
    logs_to_stderr()
    _check(seeker_id)
    settings = load_settings(db=db, artefacts=artefacts)
    missing = [each for each in path or () if not each.exists()]
    if missing:
        raise ConfigError(f"{missing[0]} does not exist; name files or directories to search")
    store = open_store(settings.db)
    database = store.database
    rows = {**named_in(database, seeker_id), **unkeyed_digests(database, seeker_id)}
    own = sqlite_path(settings.db)
    beside = [] if own is None else [each for each in own.parent.glob(f"{own.name}*") if each.is_file()]
    files = files_below([*beside, settings.artefacts, *(path or ())])
    hits = [hit for file in files for hit in search_file(file, seeker_id)]
    store.close()
    count: Counter[str] = Counter()
    for hit in hits:
        count[str(hit.path)] += hit.count
    if as_json:
        shown = [{"path": str(h.path), "inside": h.inside, "spelling": h.spelling, "count": h.count} for h in hits]
        typer.echo(json.dumps({"seeker_id": seeker_id, "searched": len(files), "hits": shown, "rows": rows}))
    else:
        for hit in hits:
            typer.echo(f"{hit.path}{' ' + hit.inside if hit.inside else ''}: {hit.count} times as {hit.spelling}")
        for name, found in rows.items():
            typer.echo(f"{name}: {found} rows")
        typer.echo(f"{len(files)} files searched, {len(count)} with hits", err=True)
        if len(seeker_id) < SHORT:
            typer.echo(f"ids shorter than {SHORT} characters also turn up by chance", err=True)
    if hits or rows:
        raise typer.Exit(1)


def _check(seeker_id: str) -> None:
    if not SEEKER_ID.fullmatch(seeker_id):
        raise ConfigError(f"seeker id {seeker_id!r}: expected 1 to 128 letters, digits, '.', '_' or '-'")
