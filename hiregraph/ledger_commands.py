"""The commands `ledger show`, `credit`, `review`, `verify` and `replay-quarantine`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from hiregraph.server import logs_to_stderr
from hiregraph.serving_commands import DbOption, JsonOption
from hiregraph.settings import load_settings, token_secret
from market.clock import SystemClock
from market.errors import ConfigError
from market.money import Money
from targeting.migrations import upgrade
from targeting.storage.books import audit
from targeting.storage.credits import Credits
from targeting.storage.database import UNHURRIED_SECONDS, Database, sqlite_path
from targeting.storage.ingestion import Ingestion
from targeting.storage.invalid_clicks import InvalidClicks
from targeting.storage.journal import Journal
from targeting.storage.store import Store

ledger_app = typer.Typer(help="What campaigns were billed, and what was given back.", no_args_is_help=True)


@ledger_app.command("show")
def show(
    campaign: Annotated[str, typer.Argument(help="Id of a campaign.", metavar="CAMPAIGN")],
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where the money of a campaign is.

    Example: hiregraph ledger show cmp_0a1b2c --db sqlite:///out/hiregraph.sqlite
    """
    with _opened(db) as database:
        totals = Journal(database).totals(campaign)
        currency = Store(database).campaign(campaign, None).budget.total.currency
    amounts = {name: getattr(totals, name) for name in ("cap", "posted", "reserved", "credited", "unbilled")}
    shown = {"campaign_id": campaign, "currency": currency}
    shown |= {f"{name}_micros": micros for name, micros in amounts.items()}
    days = dict(totals.posted_by_day)
    lines = [f"{name:10}{Money(micros, currency)}" for name, micros in amounts.items()]
    lines += [f"{day}{Money(micros, currency)!s:>24}" for day, micros in days.items()]
    _say({**shown, "posted_micros_by_day": days}, "\n".join(lines), as_json)


@ledger_app.command("credit")
def credit(
    event_id: Annotated[str, typer.Argument(help="Id of a click that was billed.", metavar="EVENT_ID")],
    reason: Annotated[str, typer.Option(help="A word of a-z, 0-9 and _, such as invalid_click.")],
    amount_micros: Annotated[int | None, typer.Option(help="Part of what was billed; default: all of it.")] = None,
    db: DbOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give back what a click was billed; the same again is the same credit, another one is refused.

    Example: hiregraph ledger credit evt_42 --reason goodwill
    """
    with _opened(db) as database:
        given = Credits(database).give_back(event_id, reason, SystemClock().now(), amount_micros)
    line = f"{given.amount_micros} micros given back to {given.campaign_id} for {given.day}: {given.reason}"
    _say(vars(given), line, as_json)


@ledger_app.command("review")
def review(db: DbOption = None, as_json: JsonOption = False) -> None:
    """Look for invalid clicks in what is closed, and give back what they were billed. Safe to repeat.

    Example: hiregraph ledger review --json
    """
    with _opened(db) as database:
        given = InvalidClicks(database).review(SystemClock().now())
    by_rule = dict(sorted(Counter(each.reason for each in given).items()))
    micros = sum(each.amount_micros for each in given)
    rules = ", ".join(f"{count} {rule}" for rule, count in by_rule.items())
    line = f"{len(given)} credits" + (f" ({rules})" if rules else "")
    _say({"credits": len(given), "amount_micros": micros, "by_reason": by_rule}, line, as_json)


@ledger_app.command("verify")
def verify(db: DbOption = None, as_json: JsonOption = False) -> None:
    """Compare every balance with the rows it is the sum of; exit 1 when something does not agree.

    Example: hiregraph ledger verify --db sqlite:///out/hiregraph.sqlite
    """
    with _opened(db) as database:
        found = audit(database)
    looked_at = f"{found.campaigns} campaigns, {found.postings} postings"
    more = f" (and {len(found.faults) - 1} more)" if len(found.faults) > 1 else ""
    line = f"the books agree: {looked_at}" if not found.faults else f"the books do not agree: {found.faults[0]}{more}"
    shown = {"agree": not found.faults, "campaigns": found.campaigns, "postings": found.postings}
    _say({**shown, "faults": list(found.faults)}, line, as_json)
    if found.faults:
        raise typer.Exit(1)


@ledger_app.command("replay-quarantine")
def replay_quarantine(db: DbOption = None, as_json: JsonOption = False) -> None:
    """Judge events again that came before their job or token was known. Safe to repeat.

    Example: hiregraph ledger replay-quarantine --json
    """
    settings = load_settings(db=db)
    with _opened(db) as database:
        outcomes = Ingestion(database, token_secret(settings)).replay(SystemClock().now())
    counts = dict(sorted(Counter(each.status for each in outcomes).items()))
    line = ", ".join(f"{count} {status}" for status, count in counts.items()) or "nothing to settle"
    _say({"settled": len(outcomes), "by_status": counts}, line, as_json)


@contextmanager
def _opened(db: str | None) -> Iterator[Database]:
    logs_to_stderr()
    url = load_settings(db=db).db
    path = sqlite_path(url)
    if path is not None and not path.is_file():
        raise ConfigError(f"{path} does not exist; give the database of the service with --db")
    database = Database(url, UNHURRIED_SECONDS)
    try:
        upgrade(database)
        yield database
    finally:
        database.close()


def _say(document: dict[str, Any], line: str, as_json: bool) -> None:
    typer.echo(json.dumps(document) if as_json else line)
