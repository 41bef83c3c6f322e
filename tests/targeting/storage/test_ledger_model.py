"""The ledger against a model of it in plain Python: whatever is done in whatever order, both know the same."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from market.errors import ConflictError, NotFoundError
from market.money import Money
from targeting.campaigns import Budget, Campaign
from targeting.storage.books import audit
from targeting.storage.ingestion import Event
from tests.targeting.storage.conftest import Till

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LIFE, GRACE = 30 * MINUTE, 10 * MINUTE


@dataclass
class Shown:
    """What was served: to whom, for how much, and what is held for it until when (None: nothing any more)."""

    campaign: str
    price: int
    seeker: str | None
    at: datetime
    held: int | None
    clicked: bool = False

    @property
    def lane(self) -> tuple[object, ...]:
        half_hour = int(self.at.timestamp()) // 1800
        return (id(self),) if self.seeker is None else (self.campaign, self.seeker, self.at.date(), half_hour)


@dataclass
class Book:
    """The model. Amounts are never kept as running totals: every sum is added up again."""

    budgets: dict[str, tuple[int, int]] = field(default_factory=dict)  # total, daily
    shown: dict[str, Shown] = field(default_factory=dict)  # by token
    said: dict[str, tuple[Event, str, int | None]] = field(default_factory=dict)  # event, status, billed
    billed: dict[str, tuple[Shown, int]] = field(default_factory=dict)  # by event id
    credited: dict[str, int] = field(default_factory=dict)  # by event id

    def posted(self, campaign: str, day: object = None) -> int:
        return sum(
            amount - self.credited.get(event_id, 0)
            for event_id, (shown, amount) in self.billed.items()
            if shown.campaign == campaign and day in (None, shown.at.date())
        )

    def reserved(self, campaign: str, day: object = None) -> int:
        of_it = [each for each in self.shown.values() if each.campaign == campaign and day in (None, each.at.date())]
        return sum(each.held for each in of_it if each.held is not None)

    def room(self, campaign: str, day: object, reserved: bool = False) -> int:
        total, daily = self.budgets[campaign]
        left = total - self.posted(campaign), daily - self.posted(campaign, day)
        if reserved:
            left = left[0] - self.reserved(campaign), left[1] - self.reserved(campaign, day)
        return min(left)

    def release(self, now: datetime) -> None:
        for each in self.shown.values():
            if each.held is not None and now >= each.at + LIFE + GRACE:
                each.held = None

    def judge(self, event: Event, now: datetime) -> tuple[str, int | None]:
        """(status, billed)."""
        if event.event_id in self.said:
            before, status, billed = self.said[event.event_id]
            if before != event:
                return "conflict", None
            if status == "accepted":
                return "duplicate", billed
        assert event.tracking_token is not None
        shown = self.shown[event.tracking_token]
        if event.type == "click" and (event.occurred_at >= shown.at + LIFE or now >= shown.at + LIFE + GRACE):
            return "quarantined", None
        return "accepted", self._bill(event, shown) if event.type == "click" else None

    def _bill(self, event: Event, shown: Shown) -> int:
        if shown.clicked:
            return 0
        shown.clicked, shown.held = True, None
        before = sum(amount for other, amount in self.billed.values() if other.lane == shown.lane)
        amount = max(0, min(shown.price - before, self.room(shown.campaign, shown.at.date())))
        if amount:
            self.billed[event.event_id] = shown, amount
        return amount


class Ledger(RuleBasedStateMachine):
    """Every rule does one thing to both; after each of them both are asked what they know."""

    tokens, events = Bundle("tokens"), Bundle("events")

    @initialize()
    def open(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="hiregraph-ledger-"))
        self.till, self.book, self.now = Till(_copy_of_empty(self.folder)), Book(), NOON
        self.campaigns: list[Campaign] = []
        self.create(300, 200)

    def teardown(self) -> None:
        assert audit(self.till.database).faults == ()
        self.till.database.close()
        shutil.rmtree(self.folder)

    @precondition(lambda self: len(self.campaigns) < 3)
    @rule(total=st.integers(1, 400), daily=st.one_of(st.none(), st.integers(1, 300)))
    def create(self, total: int, daily: int | None) -> None:
        made = self.till.campaign(total, None if daily is None else min(daily, total))
        self.campaigns.append(made)
        self.book.budgets[made.campaign_id] = total, total if daily is None else min(daily, total)

    @rule(
        target=tokens,
        which=st.integers(0, 2),
        prices=st.lists(st.integers(0, 150), min_size=1, max_size=4),
        p_click=st.sampled_from([1e-9, 0.2, 1.0]),
        seeker=st.sampled_from([None, "s1", "s1", "s2"]),
    )
    def serve(self, which: int, prices: list[int], p_click: float, seeker: str | None) -> Any:
        served = [self.serve_one(which, price, p_click, seeker) for price in prices]
        return multiple(*(token for token in served if token is not None))

    def serve_one(self, which: int, price: int, p_click: float, seeker: str | None) -> str | None:
        campaign = self.campaigns[which % len(self.campaigns)]
        self.book.release(self.now)
        held = min(price, -(-int(price * 2 * p_click * 10**9) // 10**9))
        fits = self.book.room(campaign.campaign_id, self.now.date(), reserved=True) >= max(1, held)
        token = self.till.serve(campaign, price, now=self.now, p_click=p_click, seeker=seeker)
        assert (token is not None) == (fits and campaign.status == "active")
        if token is not None:
            self.book.shown[token] = Shown(campaign.campaign_id, price, seeker, self.now, held)
        return token

    @rule(
        target=events,
        some=st.lists(tokens, min_size=1, max_size=5),
        kind=st.sampled_from(["click", "click", "click", "impression", "apply_complete"]),
        ago=st.integers(0, 40),
    )
    def send(self, some: list[str], kind: Any, ago: int) -> Any:
        sent = []
        for token in some:
            at = max(self.book.shown[token].at, self.now - ago * MINUTE)
            sent.append(self.till.event(token, type=kind, at=at))
        self.take(*sent)
        return multiple(*sent)

    @rule(event=events)
    def send_again(self, event: Event) -> None:
        self.take(event)

    @rule(event=events, token=tokens, position=st.integers(1, 3))
    def send_another_with_its_id(self, event: Event, token: str, position: int) -> None:
        self.take(replace(event, tracking_token=token, position=position))

    @rule(which=st.integers(0, 2), total=st.integers(1, 400), daily=st.integers(1, 400))
    def change_budget(self, which: int, total: int, daily: int) -> None:
        daily = min(daily, total)
        self.replace(which, budget=Budget(Money(total, "EUR"), Money(daily, "EUR")))
        self.book.budgets[self.campaigns[which % len(self.campaigns)].campaign_id] = total, daily

    @rule(which=st.integers(0, 2))
    def pause_or_resume(self, which: int) -> None:
        before = self.campaigns[which % len(self.campaigns)].status
        self.replace(which, status="paused" if before == "active" else "active")

    @rule()
    def let_go_of_what_is_due(self) -> None:
        self.till.journal.release(self.now)
        self.book.release(self.now)

    @rule(event=events, part=st.sampled_from([1, 2]))
    def give_back(self, event: Event, part: int) -> None:
        posted = self.book.billed.get(event.event_id)
        amount = None if posted is None else max(1, posted[1] // part)
        before = self.book.credited.get(event.event_id)
        if amount is None:
            with pytest.raises(NotFoundError):
                self.till.credits.give_back(event.event_id, "by_hand", self.now)
        elif before not in (None, amount):
            with pytest.raises(ConflictError):
                self.till.credits.give_back(event.event_id, "by_hand", self.now, amount)
        else:
            self.till.credits.give_back(event.event_id, "by_hand", self.now, amount)
            self.book.credited[event.event_id] = amount

    @rule(minutes=st.sampled_from([1, 2, 5, 29, 31, 40]))
    def wait(self, minutes: int) -> None:
        self.now += minutes * MINUTE

    @rule(minutes=st.integers(-3, 3))
    def wait_until_about_midnight(self, minutes: int) -> None:
        midnight = (self.now + timedelta(days=1)).replace(hour=0, minute=0)
        self.now = max(self.now, midnight + minutes * MINUTE)

    @rule()
    def restart(self) -> None:
        count = self.till._count
        self.till.database.close()
        self.till = Till(self.folder / "till.sqlite")
        self.till._count = count

    @invariant()
    def both_know_the_same(self) -> None:
        for campaign in getattr(self, "campaigns", []):
            name = campaign.campaign_id
            totals = self.till.journal.totals(name)
            assert totals.posted == self.book.posted(name) <= totals.cap
            assert totals.reserved == self.book.reserved(name)
            assert totals.cap == max(self.book.budgets[name][0], totals.posted)
            given = [self.book.credited.get(each, 0) for each, (s, _) in self.book.billed.items() if s.campaign == name]
            assert totals.credited == sum(given)
            for day, posted in totals.posted_by_day.items():
                assert posted == self.book.posted(name, datetime.fromisoformat(day).date())

    def take(self, *events: Event) -> None:
        outcomes = self.till.take(*events, now=self.now)
        for event, outcome in zip(events, outcomes, strict=True):
            status, billed = self.book.judge(event, self.now)
            assert (outcome.status, outcome.billed and outcome.billed.amount_micros) == (status, billed)
            if status in ("accepted", "quarantined"):
                self.book.said[event.event_id] = event, status, billed

    def replace(self, which: int, **changes: Any) -> None:
        at = which % len(self.campaigns)
        before = self.campaigns[at]
        self.campaigns[at] = replace(before, version=before.version + 1, **changes)
        self.till.store.replace_campaign(self.campaigns[at])


_EMPTY: list[bytes] = []


def _copy_of_empty(folder: Path) -> Path:
    """A database that is up to date already: the migrations run once."""
    path = folder / "till.sqlite"
    if not _EMPTY:
        Till(path).database.close()
        _EMPTY.append(path.read_bytes())
    path.write_bytes(_EMPTY[0])
    return path


RELAXED = settings(deadline=None, suppress_health_check=list(HealthCheck))


def test_the_ledger_does_what_a_page_of_plain_python_does() -> None:
    run_state_machine_as_test(
        Ledger, settings=settings(RELAXED, max_examples=40, stateful_step_count=30, derandomize=True)
    )


@pytest.mark.slow
@pytest.mark.timeout(7_200)
def test_the_ledger_does_what_a_page_of_plain_python_does_for_longer() -> None:
    run_state_machine_as_test(Ledger, settings=settings(RELAXED, max_examples=300, stateful_step_count=50))
