"""The ledger when many write at once on PostgreSQL: each race is held open until the other side has come in."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from market.errors import ConflictError
from market.money import Money
from market.records import Job
from targeting.campaigns import Budget
from targeting.storage.balances import Balances
from targeting.storage.ingestion import Event, Outcome
from targeting.storage.journal import Journal
from targeting.storage.store import Answer
from tests.targeting.storage.conftest import Till
from tests.targeting.storage.test_ingestion import histories_agree

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tests.targeting.postgres_cluster import Cluster

pytestmark = pytest.mark.postgres

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=2)


@pytest.fixture
def books(cluster: Cluster) -> Iterator[Till]:
    with cluster.blank() as url:
        made = Till(url)
        yield made
        made.check()
        made.database.close()


@pytest.fixture(scope="module")
def shared_books(cluster: Cluster) -> Iterator[Till]:
    with cluster.blank() as url:
        made = Till(url)
        yield made
        made.check()
        made.database.close()


class Crowd:
    """Work in threads; what one of them raises is raised by `join`."""

    def __init__(self, till: Till) -> None:
        self._till, self._threads, self._failures = till, list[threading.Thread](), list[BaseException]()

    def start(self, *work: Callable[[], object]) -> None:
        for task in work:
            thread = threading.Thread(target=self._run, args=(task,))
            self._threads.append(thread)
            thread.start()

    def waiting(self, many: int) -> None:
        """Until as many transactions wait for a lock."""
        query = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        for _ in range(2_000):
            with self._till.database.reading() as session:
                if session.execute(query).scalar_one() >= many:
                    return
            threading.Event().wait(0.01)
        raise AssertionError("nobody waits")

    def join(self) -> None:
        for thread in self._threads:
            thread.join()
        for failure in self._failures:
            raise failure

    def _run(self, task: Callable[[], object]) -> None:
        try:
            task()
        except BaseException as failure:
            self._failures.append(failure)


def hold(session: Session, campaign_id: str) -> None:
    """Keep everybody else from the money of the campaign until the session is over."""
    Balances(session, {(campaign_id, "2026-03-01")})


def send(till: Till, outcomes: list[Outcome], *events: Event) -> None:
    outcomes.extend(till.take(*events))


def test_of_two_senders_of_one_event_one_is_told_it_is_a_duplicate(books: Till) -> None:
    campaign = books.campaign()
    click = books.event(books.serve(campaign, 100))
    outcomes: list[Outcome] = []
    crowd = Crowd(books)
    with books.database.writing() as session:
        hold(session, campaign.campaign_id)
        crowd.start(*[partial(send, books, outcomes, click)] * 4)
        crowd.waiting(4)
    crowd.join()
    assert sorted(each.status for each in outcomes) == ["accepted"] + ["duplicate"] * 3
    assert {each.billed for each in outcomes} == {Money(100, "EUR")}
    assert books.posted(campaign) == 100


def test_an_event_that_came_twice_at_once_with_different_contents_is_a_conflict(books: Till) -> None:
    campaign = books.campaign()
    click = books.event(books.serve(campaign, 100))
    outcomes: list[Outcome] = []
    crowd = Crowd(books)
    with books.database.writing() as session:
        hold(session, campaign.campaign_id)
        both = [replace(click, position=place) for place in (1, 2)]
        crowd.start(*[partial(send, books, outcomes, each) for each in both])
        crowd.waiting(2)
    crowd.join()
    assert sorted(each.status for each in outcomes) == ["accepted", "conflict"]


def test_batches_with_events_in_common_never_wait_in_a_circle(books: Till) -> None:
    events = [books.event(None, seeker="s1", job="j1") for _ in range(200)]
    strangers = [books.event(None, seeker="s1", job="j9") for _ in range(50)]
    outcomes: list[Outcome] = []
    crowd = Crowd(books)

    for number in range(8):
        batch = events[25 * number :] + events[: 25 * number] + strangers
        crowd.start(partial(send, books, outcomes, *batch[:: -1 if number % 2 else 1]))
    crowd.join()
    assert sum(each.status == "accepted" for each in outcomes) == 200
    assert sum(each.status == "duplicate" for each in outcomes) == 7 * 200
    assert sum(each.status == "quarantined" for each in outcomes) == 8 * 50


def test_two_clicks_of_one_lane_at_once_are_billed_as_the_dearest(books: Till) -> None:
    campaign = books.campaign()
    tokens = [books.serve(campaign, price, seeker="s1") for price in (70, 100, 100, 30)]
    crowd = Crowd(books)
    with books.database.writing() as session:
        hold(session, campaign.campaign_id)
        crowd.start(*[partial(books.take, books.event(token)) for token in tokens])
        crowd.waiting(4)
    crowd.join()
    assert books.posted(campaign) == 100


def test_a_day_that_two_slates_open_at_once_is_opened_once(books: Till) -> None:
    campaign = books.campaign(total=1_000, daily=200)
    served: list[str | None] = []
    crowd = Crowd(books)
    with books.database.writing() as session:
        hold(session, campaign.campaign_id)
        for _ in range(4):  # as from four processes: within one, slates that wait share a transaction
            journal = Journal(books.database, books.journal.config)
            crowd.start(lambda own=journal: served.append(books.serve(campaign, 100, p_click=1.0, journal=own)))
        crowd.waiting(4)
    crowd.join()
    assert sum(each is not None for each in served) == 2
    assert books.journal.totals(campaign.campaign_id).reserved == 200


def test_a_day_opened_while_the_budget_is_cut_gets_the_new_cap(books: Till) -> None:
    campaign = books.campaign(total=1_000, daily=500)
    cut = replace(campaign, version=2, budget=Budget(Money(1_000, "EUR"), Money(100, "EUR")))
    crowd = Crowd(books)
    with books.database.writing() as session:
        hold(session, campaign.campaign_id)
        crowd.start(lambda: books.store.replace_campaign(cut))
        crowd.waiting(1)
        crowd.start(lambda: books.serve(campaign, 90))
        crowd.waiting(2)
    crowd.join()
    with books.database.reading() as session:
        assert session.execute(text("SELECT cap_micros FROM day_balances")).scalars().all() == [100]


def test_a_click_settled_while_reserves_are_released_is_billed_once_and_lets_go_once(books: Till) -> None:
    campaign = books.campaign()
    token = books.serve(campaign, 100, p_click=1.0)
    other = books.serve(campaign, 100, p_click=1.0)
    crowd = Crowd(books)
    with books.database.writing() as session:
        hold(session, campaign.campaign_id)
        crowd.start(lambda: books.take(books.event(token)))  # a server whose clock is behind
        crowd.waiting(1)
        crowd.start(lambda: books.serve(campaign, 300, now=LATER))
        crowd.waiting(2)
        assert books.journal.release(LATER) == 0  # somebody is at work there: next time
    crowd.join()
    assert books.billed(books.event(token)) == [0]
    assert books.billed(books.event(other)) == [100]
    totals = books.journal.totals(campaign.campaign_id)
    assert (totals.posted, totals.reserved) == (200, 1)


def test_releases_and_slates_of_many_campaigns_never_wait_in_a_circle(books: Till) -> None:
    campaigns = [books.campaign(total=100_000) for _ in range(6)]
    for campaign in campaigns:
        for _ in range(5):
            books.serve(campaign, 100, p_click=1.0)
    crowd = Crowd(books)

    def work(order: list[int]) -> None:
        for at in order:
            assert books.serve(campaigns[at], 100, now=LATER) is not None
            books.journal.release(LATER)

    crowd.start(*[partial(work, [(at * (1 + shift % 2 * 4) + shift) % 6 for at in range(6)]) for shift in range(8)])
    crowd.join()
    assert sum(books.journal.totals(each.campaign_id).reserved for each in campaigns) == 48


def test_writers_of_jobs_get_revisions_of_their_own_and_readers_see_no_gap(books: Till) -> None:
    before, revisions = books.store.revision().jobs, list[int]()
    crowd = Crowd(books)

    def put(writer: int) -> None:
        for number in range(10):
            both = [Job(f"shared{number}", "acme", "Nurse", "Acme", "Care", "31080") for number in (writer % 2, 2)]
            own = Job(f"w{writer}-{number}", "acme", "Nurse", "Acme", "Care", "31080")
            revision = books.store.put_jobs([*both, own])
            revisions.append(revision)
            seen = {job.job_id for jobs, _ in books.store.job_changes(0, revision) for job in jobs}
            assert own.job_id in seen

    crowd.start(*[partial(put, writer) for writer in range(6)])
    crowd.join()
    assert sorted(revisions) == list(range(before + 1, before + 61))


def test_of_two_requests_with_one_idempotency_key_one_is_told_to_repeat(books: Till) -> None:
    made = [replace(books.campaign(), campaign_id=f"cmp_once{number}") for number in range(4)]
    done, told = list[str](), list[str]()
    crowd = Crowd(books)

    def add(number: int) -> None:
        answer = Answer("key_1", "again", "0" * 64, 201, "{}", None, NOON)
        try:
            books.store.add_campaign(made[number], answer)
            done.append(made[number].campaign_id)
        except ConflictError as error:
            told.append(str(error))

    with books.database.writing() as session:
        session.execute(text("UPDATE revisions SET value = value WHERE name = 'campaigns'"))
        crowd.start(*[partial(add, number) for number in range(4)])
        crowd.waiting(4)
    crowd.join()
    assert (len(done), len(told)) == (1, 3)
    assert {each.campaign_id for each in books.store.campaigns(None, "cmp_o", 10)} == set(done)


def test_of_two_changes_to_one_version_one_is_refused(books: Till) -> None:
    campaign = books.campaign()
    refused = []
    crowd = Crowd(books)

    def rename(name: str) -> None:
        try:
            books.store.replace_campaign(replace(campaign, name=name, version=2))
        except ConflictError:
            refused.append(name)

    with books.database.writing() as session:
        hold(session, campaign.campaign_id)
        crowd.start(*[partial(rename, name) for name in "ab"])
        crowd.waiting(2)
    crowd.join()
    assert len(refused) == 1
    assert books.store.campaign(campaign.campaign_id, None).name != refused[0]


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_order_and_any_number_of_copies_post_the_same_total(shared_books: Till, data: st.DataObject) -> None:
    histories_agree(shared_books, data)
