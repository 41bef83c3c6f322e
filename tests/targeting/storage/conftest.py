"""A store with a ledger and nothing else: campaigns, served tokens and events without engine and HTTP."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from market.clock import account_day
from market.money import Money
from market.records import Job
from targeting.campaigns import Bid, Budget, Campaign
from targeting.engine import SlateItem
from targeting.migrations import upgrade
from targeting.storage.credits import Credits
from targeting.storage.database import Database
from targeting.storage.ingestion import Event, EventType, Ingestion, Outcome
from targeting.storage.journal import BillingConfig, Journal, Served
from targeting.storage.store import Store
from targeting.tokens import Token, sign

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECRET = b"a secret of thirty-two bytes ...."


PATIENT = BillingConfig(serving_wait_seconds=30)  # a loaded machine is not what these tests are about
PATIENT_SECONDS = 30


class Till:
    """A ledger whose clock is an argument; ids are counted, so that a test can name them."""

    def __init__(self, where: Path | str, config: BillingConfig = PATIENT, first_id: int = 1) -> None:
        """where: a file for SQLite, or the URL of any database; first_id sets two tills on one database apart."""
        self.database = Database(f"sqlite:///{where}" if isinstance(where, Path) else where, PATIENT_SECONDS)
        upgrade(self.database)
        self.store = Store(self.database)
        self.store.put_jobs([Job("j1", "acme", "Nurse", "Acme", "Care", "31080")])
        self.journal = Journal(self.database, config)
        self.ingestion = Ingestion(self.database, SECRET, config)
        self.credits = Credits(self.database)
        self._count = itertools.count(first_id)

    def campaign(self, total: int = 1_000, daily: int | None = None, zone: str = "UTC") -> Campaign:
        made = Campaign(
            campaign_id=f"cmp_{next(self._count)}",
            account_id="acme",
            job_id="j1",
            name="Nurses",
            budget=Budget(Money(total, "EUR"), None if daily is None else Money(daily, "EUR")),
            bid=Bid("auto"),
            objective="clicks",
            starts_at=NOON - timedelta(days=400),
            ends_at=None,
            time_zone=zone,
            pacing="asap",
            status="active",
            version=1,
            created_at=NOON,
        )
        self.store.add_campaign(made)
        return made

    def offer(self, campaign: Campaign, price: int, now: datetime = NOON, p_click: float = 1e-9) -> Token:
        return Token(
            campaign_id=campaign.campaign_id,
            job_id="j1",
            price_micros=price,
            currency="EUR",
            position=1,
            day=account_day(now, campaign.time_zone).isoformat(),
            model="m",
            p_click=p_click,
            issued_at=int(now.timestamp()),
            expires_at=int(now.timestamp()) + 1800,
            nonce=f"n{next(self._count)}",
        )

    def serve(
        self,
        campaign: Campaign,
        price: int,
        *,
        now: datetime = NOON,
        p_click: float = 1e-9,
        seeker: str | None = None,
        journal: Journal | None = None,
    ) -> str | None:
        """The token of one promoted item; None when the ledger refused it. By default almost nothing is reserved.

        journal: another one than the till's own, as another process has.
        """
        offer = self.offer(campaign, price, now, p_click)
        signed = sign(offer, SECRET)
        given = "j1", "promoted", 1, 1.0, (), True, "Acme", signed, campaign.campaign_id, offer
        refused = (journal or self.journal).reserve(Served(f"sla_{offer.nonce}", seeker, (SlateItem(*given),)), now)
        assert refused <= {campaign.campaign_id}
        return None if refused else signed

    def event(
        self,
        token: str | None,
        *,
        type: EventType = "click",
        at: datetime = NOON,
        event_id: str | None = None,
        seeker: str | None = None,
        job: str | None = None,
    ) -> Event:
        named = event_id if event_id is not None else f"e{next(self._count)}"
        return Event(named, type, at, token, seeker_id=seeker, job_id=job)

    def take(self, *events: Event, now: datetime = NOON) -> list[Outcome]:
        return self.ingestion.take(events, now)

    def billed(self, *events: Event, now: datetime = NOON) -> list[int | None]:
        return [each.billed.amount_micros if each.billed else None for each in self.take(*events, now=now)]

    def posted(self, campaign: Campaign) -> int:
        return self.journal.totals(campaign.campaign_id).posted

    def check(self) -> None:
        """The books agree with themselves: every balance is the sum of its rows, and no cap is passed."""
        assert_books_agree(self.database)


KEPT = (
    # every balance against the rows behind it: what was billed and not given back
    "SELECT campaign_id, posted_micros FROM balances WHERE posted_micros > 0",
    "SELECT campaign_id, SUM(posted_micros) FROM day_balances WHERE posted_micros > 0 GROUP BY campaign_id",
    "SELECT p.campaign_id, SUM(p.amount_micros) - SUM(COALESCE(c.amount_micros, 0)) FROM postings p "
    "LEFT JOIN credits c ON c.event_id = p.event_id GROUP BY p.campaign_id "
    "HAVING SUM(p.amount_micros) > SUM(COALESCE(c.amount_micros, 0))",
)
BILLED = (
    "SELECT campaign_id, SUM(posted_micros) FROM reserves WHERE posted_micros > 0 GROUP BY campaign_id",
    "SELECT campaign_id, SUM(amount_micros) FROM postings GROUP BY campaign_id",
    "SELECT campaign_id, SUM(billed_micros) FROM events WHERE billed_micros > 0 GROUP BY campaign_id",
)
HELD = (
    "SELECT campaign_id, reserved_micros FROM balances WHERE reserved_micros > 0",
    "SELECT campaign_id, SUM(reserved_micros) FROM day_balances WHERE reserved_micros > 0 GROUP BY campaign_id",
    "SELECT campaign_id, SUM(held_micros) FROM reserves WHERE state = 'open' AND held_micros > 0 GROUP BY campaign_id",
)


def assert_books_agree(database: Database) -> None:
    with database.reading() as session:
        for queries in (KEPT, BILLED, HELD):
            found = [sorted(tuple(row) for row in session.execute(text(query))) for query in queries]
            assert all(each == found[0] for each in found), found
        more = "SELECT COUNT(*) FROM credits c JOIN postings p USING (event_id) WHERE c.amount_micros > p.amount_micros"
        assert session.execute(text(more)).scalar() == 0
        for table in ("balances", "day_balances"):
            over = text(f"SELECT COUNT(*) FROM {table} WHERE posted_micros > cap_micros")
            assert session.execute(over).scalar() == 0
        if database.path is not None:
            assert session.execute(text("PRAGMA integrity_check")).scalar() == "ok"
            assert session.execute(text("PRAGMA foreign_key_check")).all() == []


@pytest.fixture
def till(blank_url: str) -> Iterator[Till]:
    """A ledger of its own, once on each kind of database."""
    made = Till(blank_url)
    yield made
    made.check()
    made.database.close()


@pytest.fixture(scope="module")
def shared_till(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Till]:
    """One ledger for many examples, on SQLite; each takes campaigns of its own."""
    made = Till(tmp_path_factory.mktemp("till") / "till.sqlite")
    yield made
    made.check()
    made.database.close()
