"""How a PostgreSQL server is used: bounded in time, refused when it may forget, given up and found again."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError

from market.errors import ConfigError
from targeting.migrations import upgrade
from targeting.storage.database import CollisionError, Database, StoreUnavailableError
from targeting.storage.postgres import UnsafeServerError

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from tests.targeting.postgres_cluster import Cluster

pytestmark = pytest.mark.postgres


@pytest.fixture
def database(cluster: Cluster) -> Iterator[Database]:
    with cluster.blank() as url:
        made = Database(url)
        yield made
        made.close()


def counter(database: Database, name: str = "jobs") -> int:
    with database.reading() as session:
        return int(session.execute(text("SELECT value FROM revisions WHERE name = :name"), {"name": name}).scalar_one())


def raise_by_one(session: Session, *names: str) -> None:
    for name in names:
        session.execute(text("UPDATE revisions SET value = value + 1 WHERE name = :name"), {"name": name})


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def until(there: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@pytest.mark.parametrize("name", ["fsync", "synchronous_commit", "full_page_writes"])
def test_a_server_that_may_forget_what_it_acknowledged_is_refused(cluster: Cluster, name: str) -> None:
    cluster.change(name, "off")
    try:
        url = cluster.url("postgres")
        until(lambda: _setting(url, name) == "off")
        database = Database(url)
        with pytest.raises(UnsafeServerError, match=f"{name} = off"):
            upgrade(database)
        with pytest.raises(UnsafeServerError):
            database.ping()
        database.close()
    finally:
        cluster.change(name, "on")
        until(lambda: _setting(url, name) == "on")


def _setting(url: str, name: str) -> str:
    import psycopg

    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        row = connection.execute(f"SHOW {name}").fetchone()  # type: ignore[call-overload]
        return str(row[0])


@pytest.mark.parametrize("wrong", ["nobody_has_it?host=", "x?host=/nowhere&ignored="])
def test_a_database_that_does_not_open_is_named_in_one_line(cluster: Cluster, wrong: str) -> None:
    folder = cluster.url("x").rpartition("=")[2]
    with pytest.raises(ConfigError, match="does not open") as caught:
        upgrade(Database(f"postgresql://postgres:secret@/{wrong}{folder}"))
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_other_servers_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"postgresql\+psycopg"):
        Database("mysql://localhost/x")


def test_what_is_read_in_one_block_is_of_one_moment_and_can_not_be_written(database: Database) -> None:
    with database.reading() as session:
        before = session.execute(text("SELECT value FROM revisions WHERE name = 'jobs'")).scalar_one()
        database.write(lambda other: raise_by_one(other, "jobs"))
        assert session.execute(text("SELECT value FROM revisions WHERE name = 'jobs'")).scalar_one() == before
    with pytest.raises(StoreUnavailableError), database.reading() as session:
        raise_by_one(session, "jobs")
    assert counter(database) == 1


def test_a_writer_waits_no_longer_than_it_may(database: Database) -> None:
    with database.writing() as holder:
        raise_by_one(holder, "jobs")
        for wait, at_least, at_most in ((0.0, 0.0, 1.0), (0.25, 0.2, 1.2), (None, 1.4, 3.5)):
            start = time.monotonic()
            with pytest.raises(StoreUnavailableError), database.writing(wait) as session:
                raise_by_one(session, "jobs")
            assert at_least <= time.monotonic() - start <= at_most
    assert counter(database) == 1


def test_two_transactions_in_each_others_way_are_both_done_in_the_end(cluster: Cluster, database: Database) -> None:
    patient, meet, tries = Database(database.url, 30), threading.Barrier(2), list[str]()

    def cross(first: str, second: str) -> None:
        def work(session: Session) -> None:
            tries.append(first)
            raise_by_one(session, first)
            if len(tries) <= 2:
                meet.wait(10)
            raise_by_one(session, second)

        patient.write(work)

    threads = [in_thread(lambda: cross("jobs", "campaigns")), in_thread(lambda: cross("campaigns", "jobs"))]
    for thread in threads:
        thread.join()
    assert len(tries) == 3  # the server ended one of them
    patient.close()
    assert (counter(database, "jobs"), counter(database, "campaigns")) == (2, 2)


def test_a_row_stored_by_somebody_else_meanwhile_is_seen_by_the_next_try(database: Database) -> None:
    seen = []

    def work(session: Session) -> None:
        known = session.execute(text("SELECT count(*) FROM revisions WHERE name = 'more'")).scalar_one()
        seen.append(known)
        if len(seen) == 1:
            with database.writing() as other:
                other.execute(text("INSERT INTO revisions VALUES ('more', 1)"))
        if not known:
            session.execute(text("INSERT INTO revisions VALUES ('more', 2)"))

    database.write(work)
    assert seen == [0, 1]
    assert counter(database, "more") == 1
    with database.writing() as session:
        session.execute(text("DELETE FROM revisions WHERE name = 'more'"))


def test_a_collision_that_does_not_end_is_told_as_busy_and_a_broken_rule_is_not(database: Database) -> None:
    with pytest.raises(CollisionError):
        database.write(lambda session: session.execute(text("INSERT INTO revisions VALUES ('jobs', 1)")))
    with pytest.raises(IntegrityError):
        database.write(lambda session: session.execute(text("INSERT INTO revisions VALUES (NULL, 1)")))


def test_a_cut_connection_is_replaced_without_anybody_noticing(database: Database) -> None:
    database.ping()
    cut = text(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with database.writing() as session:
        raise_by_one(session, "jobs")
        database.ping()  # on a second connection
        assert session.execute(cut).scalar_one() >= 1
    assert counter(database) == 1


def test_a_server_that_stops_is_told_at_once_and_found_again_without_a_restart(
    cluster: Cluster, database: Database
) -> None:
    database.ping()
    cluster.stop()
    try:
        for _ in range(3):
            with pytest.raises(StoreUnavailableError):
                database.ping()
        start = time.monotonic()
        for _ in range(100):
            with pytest.raises(StoreUnavailableError):
                database.write(lambda session: raise_by_one(session, "jobs"))
        assert time.monotonic() - start < 1
    finally:
        cluster.start()
    until(lambda: _answers(database), 5)
    assert counter(database) == 0


def test_a_frozen_server_costs_one_caller_two_seconds_and_the_others_nothing(
    cluster: Cluster, database: Database
) -> None:
    database.ping()
    frozen = cluster.process_ids
    for process_id in frozen:
        os.kill(process_id, signal.SIGSTOP)
    try:
        start = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            database.ping()
        assert time.monotonic() - start < 3.5
        start = time.monotonic()
        with pytest.raises(StoreUnavailableError):
            database.ping()
        assert time.monotonic() - start < 0.2
    finally:
        for process_id in frozen:
            os.kill(process_id, signal.SIGCONT)
    until(lambda: _answers(database), 5)


def _answers(database: Database) -> bool:
    try:
        database.ping()
    except StoreUnavailableError:
        return False
    return True


def test_a_commit_whose_answer_was_lost_is_told_as_unknown_and_happened(database: Database) -> None:
    sent = []

    def drop(connection: object) -> None:
        sent.append(connection)
        raw = connection.connection.dbapi_connection  # type: ignore[attr-defined]
        raw.execute("COMMIT")  # arrives, and the network is gone before the answer
        raw.close()

    event.listen(database.engine, "commit", drop)
    with pytest.raises(StoreUnavailableError, match="same again is safe"), database.writing() as session:
        raise_by_one(session, "jobs")
    event.remove(database.engine, "commit", drop)
    until(lambda: _answers(database), 5)
    assert len(sent) == 1
    assert counter(database) == 1


def test_two_programs_that_start_at_once_upgrade_one_after_the_other(cluster: Cluster) -> None:
    url, found = cluster.empty(), []
    databases = [Database(url), Database(url)]
    for thread in [in_thread(lambda each=each: found.append(upgrade(each)[0])) for each in databases]:  # type: ignore[misc]
        thread.join()
    assert sorted(found, key=str) == sorted([None, upgrade(databases[0])[0]], key=str)
    for each in databases:
        each.close()
