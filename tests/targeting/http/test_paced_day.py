"""A day of traffic on a real engine and the real store, by a clock that is an argument."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from market.clock import FixedClock
from market.money import Money
from market.records import Filters, Job, SeekerProfile
from sim.generated import generated_taxonomy
from targeting.audience import Liquidity
from targeting.campaigns import Bid, Budget, Campaign
from targeting.engine import SlateRequest
from targeting.http.api import create_app
from targeting.http.config import ServiceConfig
from targeting.http.services import Services
from targeting.marketplace import Marketplace
from targeting.migrations import upgrade
from targeting.pacing.prices import PriceBoard
from targeting.serving import ServingConfig
from targeting.storage.database import Database
from targeting.storage.ingestion import Event
from targeting.storage.store import Store
from tests.organic.small_market import WordEncoder
from tests.sim.small_world import small_learned

START = datetime(2026, 3, 2, tzinfo=UTC)
SECRET = b"a secret of thirty-two bytes ...."
TAXONOMY = generated_taxonomy()
STEP = timedelta(minutes=5)
CAMPAIGNS = 2
VISITS_A_STEP = 4
BUDGET = 8_000_000


def job(number: int) -> Job:
    of = 10 + number % 3
    return Job(f"j{number}", "acme", TAXONOMY.titles[of], "Acme", "", "m00", occupation=TAXONOMY.codes[of])


def campaign(number: int, pacing: str = "even") -> Campaign:
    daily = Money(BUDGET, "EUR")
    return Campaign(
        f"cmp_{number}", "acme", f"j{number}", "tight", Budget(Money(10 * BUDGET, "EUR"), daily), Bid("auto"),
        "qualified_applications", START, None, "UTC", pacing, "active", 1, START,  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """The parts of an app on a real engine; its clock stands until a test moves it."""
    clock, database = FixedClock(START), Database(f"sqlite:///{tmp_path}/paced.sqlite")
    upgrade(database)
    prices, numbers = PriceBoard(), iter(range(1_000_000))
    engine = Marketplace(
        small_learned(),
        WordEncoder(),
        secret=SECRET,
        now=clock.now,
        nonce=lambda: f"n{next(numbers)}",
        liquidity=Liquidity(theta=1.0),
        serving=ServingConfig(max_ad_load=1.0),
        prices=prices,
    )
    app = create_app(Store(database), engine, clock, ServiceConfig(), secret=SECRET, prices=prices)
    with TestClient(app):
        yield app.state.services


class Day:
    """Seekers of many occupations come at the same rate all day; who clicks does so within eight minutes."""

    def __init__(self, services: Services, seed: int = 1) -> None:
        self.services, self.rng, self.number = services, np.random.default_rng(seed), 0
        self.clicks: list[tuple[datetime, str]] = []

    def step(self, visits: int = VISITS_A_STEP, step: timedelta = STEP) -> None:
        here, clock = self.services, self.services.clock
        assert isinstance(clock, FixedClock)
        for _ in range(visits):
            self.number += 1
            title = TAXONOMY.titles[int(self.rng.integers(5, 20))]
            seeker = SeekerProfile(f"s{self.number}", (title,), geo="m00")
            for item in here.slate(SlateRequest(seeker, None, Filters(), 0, 2)):
                if item.offer is not None and self.rng.random() < item.offer.p_click:
                    later = timedelta(minutes=float(self.rng.uniform(0, 8)))
                    self.clicks.append((clock.now() + later, str(item.tracking_token)))
        clock.advance(step)
        due = [(at, token) for at, token in self.clicks if at <= clock.now()]
        self.clicks = [(at, token) for at, token in self.clicks if at > clock.now()]
        events = [Event(f"e{token[-24:]}", "click", at, tracking_token=token) for at, token in due]
        here.ingestion.take(events, clock.now())
        here.insight.traffic.flush(here.traffic)
        here.journal.release(clock.now())
        here.refresh()

    def posted(self) -> np.ndarray:
        found = [self.services.journal.totals(f"cmp_{number}").posted for number in range(CAMPAIGNS)]
        return np.array(found)


def played(services: Services, pacing: str) -> np.ndarray:
    """float64[4, C]: share of each budget that is posted after each quarter of the day."""
    services.store.put_jobs([job(number) for number in range(CAMPAIGNS)])
    for number in range(CAMPAIGNS):
        services.store.add_campaign(campaign(number, pacing))
    day, quarters = Day(services), []
    steps = int(timedelta(days=1) / STEP)
    for step in range(1, steps + 1):
        services.pacer.tick()
        services.pacer.wait()
        day.step()
        if step % (steps // 4) == 0:
            quarters.append(day.posted() / BUDGET)
    return np.array(quarters)


def test_a_tight_budget_is_spread_over_the_day_and_never_exceeded(services: Services) -> None:
    quarters = played(services, "even")
    assert quarters == pytest.approx(np.array([[0.25], [0.5], [0.75], [1.0]]).repeat(CAMPAIGNS, 1), abs=0.15)
    assert (quarters <= 1).all()
    prices = {services.pacer.board.price(campaign(number)).money for number in range(CAMPAIGNS)}
    assert len(prices) == CAMPAIGNS
    assert min(prices) > 0


@pytest.mark.slow
def test_without_pacing_the_same_budget_is_mostly_gone_by_noon(services: Services) -> None:
    quarters = played(services, "asap")
    assert (quarters[1] > 0.7).all()
    assert (quarters <= 1).all()


@pytest.mark.slow
def test_a_flood_of_visits_in_the_first_minutes_does_not_take_the_budget(services: Services) -> None:
    services.store.put_jobs([job(number) for number in range(CAMPAIGNS)])
    for number in range(CAMPAIGNS):
        services.store.add_campaign(campaign(number))
    day = Day(services)
    for _ in range(20):
        services.pacer.tick()
        day.step(40, timedelta(minutes=1))
    assert (day.posted() / BUDGET < 0.25).all()
