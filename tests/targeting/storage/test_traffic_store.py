"""Traffic on disk: counts add up whoever writes them, and come back as the history of whole hours."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from market.records import Filters, SeekerProfile
from targeting.engine import Slate, SlateRequest
from targeting.housekeeping import Housekeeping, Task
from targeting.migrations import upgrade
from targeting.storage.database import Database, StoreUnavailableError
from targeting.storage.traffic_store import TrafficStore
from targeting.traffic import Counts, TrafficBuffer, TrafficConfig

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AT = int(NOON.timestamp()) // 3600
HOUR = timedelta(hours=1)


@pytest.fixture
def database(blank_url: str) -> Iterator[Database]:
    made = Database(blank_url)
    upgrade(made)
    yield made
    made.close()


@pytest.fixture
def store(database: Database) -> TrafficStore:
    return TrafficStore(database)


def note(buffer: TrafficBuffer, at: datetime = NOON, occupation: str = "nurse", geo: str = "a") -> None:
    asked = SlateRequest(SeekerProfile(geo=geo), None, Filters(), 0, 2)
    buffer.note(asked, Slate((), occupation, 0.0), at)


def test_counts_come_back_as_whole_hours(store: TrafficStore) -> None:
    buffer = TrafficBuffer()
    for at, times in ((NOON - 3 * HOUR, 2), (NOON - HOUR, 5), (NOON, 9)):
        for _ in range(times):
            note(buffer, at)
    assert store.flush(buffer) == 16
    found = store.read(NOON + timedelta(minutes=59), days=28)
    assert found.since == NOON - 3 * HOUR
    assert found.until == NOON  # the hour that is not over does not count
    assert found.requests.tolist() == [2, 0, 5]
    assert found.cells == {("nurse", "a"): 7}
    assert (found.slots, found.sold) == (14, 0)
    assert found.prices == {"nurse": {-1: 16}}


def test_a_second_flush_adds_to_the_first(store: TrafficStore) -> None:
    buffer = TrafficBuffer()
    for _ in range(3):
        note(buffer)
        assert store.flush(buffer) == 1
    assert store.flush(buffer) == 0
    assert store.read(NOON + HOUR, 1).total == 3


def test_no_traffic_is_an_empty_history(store: TrafficStore) -> None:
    found = store.read(NOON, 28)
    assert (found.total, len(found.requests), dict(found.cells)) == (0, 0, {})
    assert store.first_hour() is None


def test_a_database_that_does_not_answer_loses_no_count(store: TrafficStore, database: Database) -> None:
    if database.path is None:
        pytest.skip("the lock that writers wait for here is that of SQLite")
    buffer = TrafficBuffer()
    note(buffer)
    own = Database(database.url, lock_timeout_seconds=0.05)
    impatient = TrafficStore(own)
    with database.write_lock(), pytest.raises(StoreUnavailableError):
        impatient.flush(buffer)
    note(buffer)
    assert impatient.flush(buffer) == 2
    own.close()
    assert store.read(NOON + HOUR, 1).total == 2


def test_stopping_writes_down_what_is_left(store: TrafficStore) -> None:
    buffer = TrafficBuffer()
    tasks = Housekeeping((Task("traffic", 3600.0, lambda: store.flush(buffer)),))
    tasks.start()
    note(buffer)
    tasks.stop()
    assert store.read(NOON + HOUR, 1).total == 1


def test_writers_side_by_side_add_up(database: Database) -> None:
    def write() -> None:
        own = Database(database.url, lock_timeout_seconds=60)
        other, buffer = TrafficStore(own), TrafficBuffer()
        for _ in range(10):
            note(buffer)
            other.flush(buffer)
        own.close()

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert TrafficStore(database).read(NOON + HOUR, 1).total == 30


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.integers(-40, 10), st.sampled_from(["nurse", "cook", ""]), st.sampled_from(["a", "b", ""])),
        max_size=40,
    ),
    st.integers(1, 5),
)
def test_any_split_into_flushes_gives_the_same_history(
    database: Database, noted: list[tuple[int, str, str]], parts: int
) -> None:
    with database.writing() as session:
        session.execute(text("DELETE FROM traffic"))
        session.execute(text("DELETE FROM price_levels"))
    store = TrafficStore(database)
    for part in range(parts):
        buffer = TrafficBuffer()
        for hours, occupation, geo in noted[part::parts]:
            note(buffer, NOON + hours * HOUR, occupation, geo)
        store.flush(buffer)
    found = store.read(NOON, 1)
    wanted: dict[tuple[str, str], int] = {}
    for hours, occupation, geo in noted:
        if -24 <= hours < 0:
            wanted[occupation, geo] = wanted.get((occupation, geo), 0) + 1
    assert found.cells == wanted
    assert found.total == sum(wanted.values())


def test_a_history_is_remembered_for_a_minute(store: TrafficStore) -> None:
    assert store.history(NOON).total == 0
    store.add(Counts({(AT - 1, "nurse", "a"): [4, 4, 0]}))
    assert store.history(NOON + timedelta(seconds=59)).total == 0
    assert store.history(NOON + timedelta(seconds=61)).total == 4
    assert store.history(NOON + timedelta(seconds=61), 7).total == 4


def test_old_counts_are_forgotten(database: Database) -> None:
    store = TrafficStore(database, TrafficConfig(history_days=1, kept_days=2))
    store.add(Counts({(AT - 24 * 3, "nurse", "a"): [1, 1, 0], (AT - 1, "nurse", "a"): [1, 1, 0]}, {(0, "nurse", 3): 5}))
    assert store.forget(NOON) == 1
    assert store.first_hour() == NOON - HOUR
    assert store.read(NOON, 30).prices == {}


def test_a_history_is_read_by_the_hour_not_by_a_scan(database: Database) -> None:
    if database.path is None:
        pytest.skip("PostgreSQL reads tables this small from end to end")
    query = "SELECT hour, SUM(requests) FROM traffic WHERE hour >= :a AND hour < :b GROUP BY hour"
    with database.reading() as session:
        plan = " ".join(str(row) for row in session.execute(text("EXPLAIN QUERY PLAN " + query), {"a": "1", "b": "2"}))
    assert "SEARCH" in plan
    assert "SCAN" not in plan


def test_a_large_flush_is_one_transaction(store: TrafficStore) -> None:
    cells = {(AT - 1, f"o{number}", "a"): [1, 1, 0] for number in range(2_500)}
    assert store.add(Counts(cells)) == 2_500
    assert np.sum(store.read(NOON, 1).requests) == 2_500
