"""`hiregraph ledger`: what was billed is shown, given back and checked from the command line."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from hiregraph.ledger_commands import ledger_app
from market.errors import ConfigError, ConflictError, NotFoundError
from market.records import Job
from tests.targeting.storage.conftest import SECRET, Till


@pytest.fixture
def ledger(tmp_path: Path) -> tuple[Till, str]:
    path = tmp_path / "till.sqlite"
    path.with_name("till.sqlite.token-secret").write_text(SECRET.hex())
    return Till(path), f"sqlite:///{path}"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(ledger_app, arguments)


def test_show_tells_where_the_money_is(ledger: tuple[Till, str]) -> None:
    till, url = ledger
    campaign = till.campaign(total=5_000_000)
    till.take(till.event(till.serve(campaign, 1_250_000)))
    shown = json.loads(run("show", campaign.campaign_id, "--db", url, "--json").stdout)
    assert (shown["posted_micros"], shown["cap_micros"], shown["currency"]) == (1_250_000, 5_000_000, "EUR")
    assert shown["posted_micros_by_day"] == {"2026-03-01": 1_250_000}
    assert "1.25 EUR" in run("show", campaign.campaign_id, "--db", url).stdout
    assert isinstance(run("show", "cmp_none", "--db", url).exception, NotFoundError)


def test_credit_gives_back_once(ledger: tuple[Till, str]) -> None:
    till, url = ledger
    campaign = till.campaign()
    click = till.event(till.serve(campaign, 100))
    till.take(click)
    for _ in range(2):
        given = json.loads(run("credit", click.event_id, "--reason", "goodwill", "--db", url, "--json").stdout)
        assert (given["amount_micros"], given["reason"]) == (100, "goodwill")
    assert isinstance(run("credit", click.event_id, "--reason", "other", "--db", url).exception, ConflictError)
    assert till.posted(campaign) == 0


def test_review_gives_back_what_nobody_should_pay_for(ledger: tuple[Till, str]) -> None:
    till, url = ledger
    campaign = till.campaign()
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=2)
    for number in range(7):
        at = noon + number * timedelta(minutes=31)
        till.take(till.event(till.serve(campaign, 100, now=at, seeker="s1"), at=at), now=at)
    first = json.loads(run("review", "--db", url, "--json").stdout)
    assert first == {"credits": 2, "amount_micros": 200, "by_reason": {"many_in_a_day": 2}}
    assert run("review", "--db", url).stdout == "0 credits\n"


def test_verify_finds_a_balance_that_is_not_the_sum_of_its_rows(ledger: tuple[Till, str], tmp_path: Path) -> None:
    till, url = ledger
    campaign = till.campaign()
    till.take(till.event(till.serve(campaign, 100)))
    good = run("verify", "--db", url)
    assert (good.exit_code, good.stdout) == (0, "the books agree: 1 campaigns, 1 postings\n")
    with sqlite3.connect(tmp_path / "till.sqlite") as raw:
        raw.execute("UPDATE balances SET posted_micros = 99")
    raw.close()
    bad = run("verify", "--db", url)
    assert (bad.exit_code, bad.stdout.count("\n")) == (1, 1)
    assert f"{campaign.campaign_id}: posted 99 micros, but postings minus credits 100 (and 1 more)" in bad.stdout
    assert json.loads(run("verify", "--db", url, "--json").stdout)["agree"] is False


def test_replay_takes_what_came_before_its_job(ledger: tuple[Till, str]) -> None:
    till, url = ledger
    now = datetime.now(UTC)
    till.take(till.event(None, seeker="s1", job="j2", at=now, type="save"), now=now)
    assert run("replay-quarantine", "--db", url).stdout == "nothing to settle\n"
    till.store.put_jobs([Job("j2", "acme", "Cook", "Acme", "Food", "31080")])
    assert json.loads(run("replay-quarantine", "--db", url, "--json").stdout)["by_status"] == {"accepted": 1}
    assert run("replay-quarantine", "--db", url).stdout == "nothing to settle\n"


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "none.sqlite"
    assert isinstance(run("verify", "--db", f"sqlite:///{missing}").exception, ConfigError)
    assert not missing.exists()
