import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

import targeting.storage.database
from market.errors import ConfigError, ConflictError, NotFoundError
from market.money import MAX_MICROS, Money
from market.records import Job
from targeting.campaigns import Bid, Budget, Campaign
from targeting.migrations import upgrade
from targeting.storage.database import Database, StoreUnavailableError
from targeting.storage.keys import make_key
from targeting.storage.store import ANSWERS_KEPT, Answer, Revision, Store
from targeting.storage.tables import CampaignRow

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
NURSE = Job(
    "j1", "acme", "Nurse", "Acme", "Care", "31080", "29-1141", ("care", "éà🩺"), "senior", True, 52_000.5, NOW + HOUR
)
COOK = Job("j2", "beta", "Cook", "Beta", "Food", "31080")
CAMPAIGN = Campaign(
    campaign_id="cmp_1",
    account_id="acme",
    job_id="j1",
    name="Nurses",
    budget=Budget(Money(MAX_MICROS, "EUR"), Money(1, "EUR")),
    bid=Bid("manual", Money(7, "EUR")),
    objective="hires",
    starts_at=NOW,
    ends_at=None,
    time_zone="Europe/Berlin",
    pacing="even",
    status="active",
    version=1,
    created_at=NOW,
)
ANSWER = Answer("key_1", "again", "0" * 64, 201, "{}", '"1"', NOW)


@pytest.fixture
def database(blank_url: str) -> Iterator[Database]:
    made = Database(blank_url, lock_timeout_seconds=1)
    upgrade(made)
    yield made
    made.engine.dispose()


@pytest.fixture
def store(database: Database) -> Store:
    return with_jobs(database)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Database]:
    """A database of SQLite, for what only a file has."""
    made = Database(f"sqlite:///{tmp_path}/hiregraph.sqlite", lock_timeout_seconds=0.1)
    upgrade(made)
    with_jobs(made)
    yield made
    made.engine.dispose()


def with_jobs(database: Database) -> Store:
    made = Store(database)
    made.put_jobs([NURSE, COOK])
    return made


def test_what_is_stored_comes_back_equal(store: Store) -> None:
    assert store.job("j1", None) == NURSE
    assert store.job("j2", "beta") == COOK
    store.add_campaign(CAMPAIGN)
    assert store.campaign("cmp_1", "acme") == CAMPAIGN
    _, key = make_key("acme", "owner", NOW, bytes(32))
    store.add_key(key)
    assert store.key_by_digest(key.digest) == key
    assert store.key_by_digest("0" * 64) is None


def test_times_keep_their_moment_whatever_their_offset(store: Store) -> None:
    offset = datetime.fromisoformat("2026-03-01T13:00:00.5+05:30")
    store.put_jobs([replace(COOK, expires_at=offset)])
    assert store.job("j2", None).expires_at == offset


def test_another_accounts_object_is_told_like_a_missing_one(store: Store) -> None:
    store.add_campaign(CAMPAIGN)
    told = []
    for campaign_id, scope in (("cmp_1", "beta"), ("cmp_2", "acme"), ("cmp_2", None)):
        with pytest.raises(NotFoundError) as caught:
            store.campaign(campaign_id, scope)
        told.append(str(caught.value).replace(campaign_id, "ID"))
    assert len(set(told)) == 1
    with pytest.raises(NotFoundError):
        store.job("j1", "beta")


def test_a_job_never_changes_its_account(store: Store) -> None:
    store.put_jobs([replace(NURSE, account_id="beta", title="Stolen")])
    assert store.job("j1", None) == NURSE


def test_every_write_raises_its_revision(store: Store) -> None:
    assert store.revision() == Revision(jobs=1, campaigns=0)
    assert store.put_jobs([]) == 1
    assert store.delete_job("j2") == 2
    store.add_campaign(CAMPAIGN)
    store.replace_campaign(replace(CAMPAIGN, version=2))
    assert store.revision() == Revision(jobs=2, campaigns=2)


def test_changes_since_a_revision_come_in_portions(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("targeting.storage.store._CHUNK", 2)
    store.put_jobs([replace(COOK, job_id=f"z{n}") for n in range(3)])
    store.delete_job("j2")
    portions = list(store.job_changes(0, 3))
    assert [[job.job_id for job in jobs] for jobs, _ in portions] == [["j1", "z0"], ["z1", "z2"], []]
    assert [gone for _, gone in portions] == [[], [], ["j2"]]
    assert list(store.job_changes(3, 3)) == []
    assert [job.job_id for jobs, _ in store.job_changes(1, 2) for job in jobs] == ["z0", "z1", "z2"]


def test_a_deleted_job_is_gone_until_it_is_uploaded_again(store: Store) -> None:
    store.delete_job("j1")
    with pytest.raises(NotFoundError):
        store.job("j1", None)
    assert store.jobs_by_id(["j1", "j9"]) == {"j1": (NURSE, True)}
    store.put_jobs([NURSE])
    assert store.job("j1", None) == NURSE


def test_expiry_is_found_by_time(store: Store) -> None:
    assert store.next_job_expiry(NOW) == NOW + HOUR
    assert store.next_job_expiry(NOW + HOUR) is None
    assert store.jobs_expired(NOW, NOW + HOUR) == ["j1"]
    assert store.jobs_expired(NOW + HOUR, NOW + 2 * HOUR) == []


def test_the_second_of_two_changes_to_one_version_is_refused(store: Store) -> None:
    store.add_campaign(CAMPAIGN)
    store.replace_campaign(replace(CAMPAIGN, name="First", version=2))
    with pytest.raises(ConflictError):
        store.replace_campaign(replace(CAMPAIGN, name="Second", version=2))
    assert store.campaign("cmp_1", None).name == "First"


def test_pages_are_by_account_and_id(store: Store) -> None:
    for number in range(3):
        store.add_campaign(replace(CAMPAIGN, campaign_id=f"cmp_{number}"))
    store.add_campaign(replace(CAMPAIGN, campaign_id="cmp_1b", account_id="beta"))
    assert [each.campaign_id for each in store.campaigns("acme", "", 2)] == ["cmp_0", "cmp_1"]
    assert [each.campaign_id for each in store.campaigns("acme", "cmp_1", 2)] == ["cmp_2"]
    assert len(store.campaigns(None, "", 10)) == 4


def test_running_campaigns_are_those_the_clock_may_show(store: Store) -> None:
    for status in ("draft", "scheduled", "active", "paused", "completed", "cancelled"):
        store.add_campaign(replace(CAMPAIGN, campaign_id=status, status=status))  # type: ignore[arg-type]
    store.add_campaign(replace(CAMPAIGN, campaign_id="over", starts_at=NOW - HOUR, ends_at=NOW))
    assert [each.campaign_id for each in store.running_campaigns(NOW)] == ["active", "scheduled"]


def test_an_answer_is_stored_with_its_campaign_or_not_at_all(store: Store) -> None:
    store.add_campaign(CAMPAIGN, ANSWER)
    assert store.answer("key_1", "again", NOW) == ANSWER
    assert store.answer("key_2", "again", NOW) is None
    with pytest.raises(ConflictError):
        store.add_campaign(replace(CAMPAIGN, campaign_id="cmp_2"), ANSWER)
    with pytest.raises(NotFoundError):
        store.campaign("cmp_2", None)


def test_an_answer_is_forgotten_after_a_day(store: Store) -> None:
    store.add_campaign(CAMPAIGN, ANSWER)
    tomorrow = NOW + ANSWERS_KEPT
    assert store.answer("key_1", "again", tomorrow) is None
    fresh = replace(ANSWER, created_at=tomorrow)
    store.add_campaign(replace(CAMPAIGN, campaign_id="cmp_2"), fresh)
    assert store.answer("key_1", "again", tomorrow) == fresh


@pytest.mark.parametrize(
    "broken",
    [
        {"total_micros": 0},
        {"total_micros": MAX_MICROS + 1},
        {"daily_micros": -1},
        {"max_cpc_micros": MAX_MICROS + 1},
        {"ends_at": NOW},
        {"job_id": "j9"},
    ],
)
def test_the_database_itself_refuses_impossible_campaigns(
    store: Store, database: Database, broken: dict[str, object]
) -> None:
    store.add_campaign(CAMPAIGN)
    with pytest.raises(IntegrityError), database.writing() as session:
        session.execute(update(CampaignRow).values(**broken))


def test_connections_are_durable_and_never_checkpoint_by_themselves(file: Database) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "wal_autocheckpoint": 0, "busy_timeout": 5000}
    with file.reading() as session:
        found = {name: session.execute(text(f"PRAGMA {name}")).scalar() for name in wanted}
    assert found == wanted


def test_a_checkpoint_empties_the_log(file: Database) -> None:
    assert file.path is not None
    store, log = Store(file), file.path.with_name(file.path.name + "-wal")
    assert log.stat().st_size > 0
    store.checkpoint()
    assert log.stat().st_size == 0
    assert store.job("j1", None) == NURSE


def test_a_long_log_is_checkpointed_by_the_next_writer(file: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert file.path is not None
    monkeypatch.setattr(targeting.storage.database, "WAL_LIMIT_BYTES", 0)
    Store(file).put_jobs([COOK])
    assert file.path.with_name(file.path.name + "-wal").stat().st_size == 0


def test_a_writer_that_waits_too_long_is_told_to_retry_and_readers_go_on(file: Database) -> None:
    assert file.path is not None
    store = Store(file)
    other_process = os.open(file.path.with_name(file.path.name + ".lock"), os.O_RDWR)
    fcntl.flock(other_process, fcntl.LOCK_EX)
    with pytest.raises(StoreUnavailableError):
        store.put_jobs([COOK])
    assert store.job("j1", None) == NURSE
    os.close(other_process)
    store.put_jobs([COOK])


def test_threads_write_one_after_the_other(blank_url: str) -> None:
    database = Database(blank_url, lock_timeout_seconds=30)
    upgrade(database)
    store = Store(database)
    threads = [threading.Thread(target=lambda: [store.put_jobs([COOK]) for _ in range(10)] and None) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.revision().jobs == 80
    store.close()


WRITER = """
import sys
import targeting.storage.database
from market.records import Job
from targeting.storage.database import Database
from targeting.storage.store import Store
targeting.storage.database.WAL_LIMIT_BYTES = 100_000
store = Store(Database(sys.argv[1]))
for n in range(150):
    store.put_jobs([Job(sys.argv[2] + str(n), "acme", "Nurse", "Acme", "x" * 1000, "31080")])
store.close()
"""


def test_processes_write_and_checkpoint_without_losing_anything(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/processes.sqlite"
    database = Database(url)
    upgrade(database)
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, url, name]) for name in "ab"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert Store(database).revision().jobs == 300
    with database.reading() as session:
        assert session.execute(text("PRAGMA integrity_check")).scalar() == "ok"
        assert session.execute(text("SELECT count(*) FROM jobs")).scalar() == 300
    database.close()


@pytest.mark.parametrize(
    "url", ["hiregraph.sqlite", "sqlite://", "sqlite:///:memory:", "oracle+nothing://x", "sqlite:////proc/no/x"]
)
def test_a_url_that_can_not_be_used_is_a_user_error(url: str) -> None:
    with pytest.raises(ConfigError):
        Database(url)


def test_a_file_that_is_no_database_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, " * 1000)
    with pytest.raises(ConfigError, match="not a SQLite database"):
        upgrade(Database(f"sqlite:///{tmp_path}/notes.txt"))
