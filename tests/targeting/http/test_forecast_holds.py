"""A forecast beside what the service then delivers: slates by a Poisson process, reserves, clicks by lot, billing."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from market.clock import FixedClock
from market.money import Money
from market.records import Filters, SeekerProfile
from targeting.campaigns import Bid, Budget, Campaign
from targeting.engine import SlateRequest
from targeting.http.api import create_app
from targeting.http.schemas import JobIn
from targeting.http.services import Services
from targeting.migrations import upgrade
from targeting.storage.database import Database
from targeting.storage.ingestion import Event
from targeting.storage.store import Store
from targeting.traffic import Counts
from tests.targeting.http.small_service import JOBS, SECRET, SmallEngine

START = datetime(2026, 3, 2, tzinfo=UTC)
DAY = timedelta(days=1)
RATE, SEEN_DAYS, DAYS = 2.0, 14, 2  # requests an hour; days counted before, days delivered


class Site:
    """One area and one promoted slot a page, which the campaign has for itself; one in ten clicks at 1 EUR."""

    def __init__(self, path: Path, seed: int) -> None:
        self.rng, self._numbers = np.random.default_rng([seed, 11]), itertools.count()
        self.clock, engine = FixedClock(START), SmallEngine()
        engine.now, engine.p_click = self.clock.now, 0.1
        self.store = Store(Database(f"sqlite:///{path}"))
        upgrade(self.store.database)
        self.services: Services = create_app(self.store, engine, self.clock, secret=SECRET).state.services
        self.services.mirror.put_jobs([JobIn(**JOBS[0]).job()])
        last = int(START.timestamp()) // 3600
        seen = self.rng.poisson(RATE, 24 * SEEN_DAYS).tolist()
        self.services.insight.traffic.add(
            Counts({(last - 1 - back, "", "31080"): [count, count, 0] for back, count in enumerate(seen) if count})
        )

    def campaign(self, total: int, daily: int | None) -> Campaign:
        budget = Budget(Money(total, "EUR"), None if daily is None else Money(daily, "EUR"))
        return Campaign(
            "cmp_1", "acme", "j1", "n", budget, Bid("auto"), "clicks", START, START + DAYS * DAY, "UTC", "asap",
            "active", 1, START,
        )  # fmt: skip

    def run(self, until: datetime) -> None:
        """Requests by a Poisson process, clicks as likely as the tokens say, each seeker once."""
        here = self.services
        while (at := self.clock.now() + timedelta(hours=float(self.rng.exponential(1 / RATE)))) < until:
            self.clock.advance(at - self.clock.now())
            here.refresh()
            number = next(self._numbers)
            asked = SlateRequest(SeekerProfile(f"s{number}", geo="31080"), None, Filters(), 0, 1)
            for item in here.slate(asked):
                if item.offer is not None and self.rng.random() < item.offer.p_click:
                    event = Event(f"e{number}", "click", self.clock.now(), item.tracking_token)
                    [outcome] = here.ingestion.take([event], self.clock.now())
                    assert outcome.status == "accepted"

    def delivered(self) -> dict[str, int]:
        query = "SELECT COUNT(*), SUM(state = 'clicked'), SUM(posted_micros) FROM reserves"
        with self.store.database.reading() as session:
            shown, clicks, spend = session.connection().exec_driver_sql(query).one()
        return {"impressions": shown, "clicks": clicks or 0, "spend": spend or 0}


def hits(path: Path, seed: int, total: int, daily: int | None) -> dict[str, tuple[bool, bool]]:
    """Per quantity: did what was delivered lie within the 80 % and the 95 % interval?"""
    site = Site(path, seed)
    draft, job = site.campaign(total, daily), site.services.store.job("j1", None)
    prospects = site.services.engine.prospects(draft, job)
    full = site.services.insight.outlook(draft, job, prospects, START, seed).scenarios[2]
    site.store.add_campaign(draft)
    site.run(START + DAYS * DAY)
    delivered = site.delivered()
    site.store.close()
    assert delivered["spend"] <= total
    found = {}
    for name, real in delivered.items():
        estimate = getattr(full, name)
        low80, low95 = (ends[0] <= real <= ends[1] for ends in (estimate.ci80, estimate.ci95))
        found[name] = low80, low95
    return found


CASES = ((10**10, None), (10**10, 3_000_000))  # nothing binds; the day does


def coverage(folder: Path, seeds: int) -> dict[str, list[float]]:
    """Share of 2 x seeds campaigns inside the 80 % and the 95 % intervals, by quantity."""
    rows: dict[str, list[tuple[bool, bool]]] = {"impressions": [], "clicks": [], "spend": []}
    for seed, (case, budgets) in itertools.product(range(seeds), enumerate(CASES)):
        for name, inside in hits(folder / f"{seed}-{case}.sqlite", seed, *budgets).items():
            rows[name].append(inside)
    return {name: np.mean(inside, 0).tolist() for name, inside in rows.items()}


@pytest.mark.slow
def test_what_is_delivered_lies_in_the_intervals_of_the_forecast(tmp_path: Path) -> None:
    for name, (at80, at95) in coverage(tmp_path, seeds=8).items():  # n = 16 campaigns
        assert at80 >= 0.6, (name, at80)
        assert at95 >= 0.8, (name, at95)
