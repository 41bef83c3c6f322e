"""Every change leaves a row beside it, and a row that was touched later is found."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from market.errors import NotFoundError
from market.records import Job
from targeting.migrations import upgrade
from targeting.storage.audit_log import CONSOLE, FIRST_DIGEST, AuditCursorError, AuditLog, Change, Who, append, digest
from targeting.storage.database import Database
from targeting.storage.keys import make_key
from targeting.storage.store import Store
from tests.targeting.storage.test_store import CAMPAIGN

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WHO = Who("key_1", NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    database = Database(f"sqlite:///{tmp_path}/audited.sqlite")
    upgrade(database)
    made = Store(database)
    made.put_jobs([Job("j1", "acme", "Nurse", "Acme", "Care", "31080")])
    yield made
    made.close()


@pytest.fixture
def audit(store: Store) -> AuditLog:
    return AuditLog(store.database)


def change(number: int, account_id: str = "acme") -> Change:
    return Change(NOW, account_id, "key_1", "thing.done", f"t{number}", None, {"n": number})


def write(store: Store, *changes: Change) -> None:
    with store.database.writing() as session:
        for each in changes:
            append(session, each)


def tampered(store: Store, statement: str) -> None:
    """What somebody does who holds the file itself: the triggers are no wall against them."""
    with store.database.writing() as session:
        session.execute(text("DROP TRIGGER IF EXISTS audit_log_no_update"))
        session.execute(text("DROP TRIGGER IF EXISTS audit_log_no_delete"))
        session.execute(text(statement))


def test_the_first_digest_is_what_it_says() -> None:
    written = (
        '{"account_id":"acme","action":"thing.done","after":{"n":1},"at":"2026-03-01T12:00:00Z",'
        '"before":null,"key_id":"key_1","number":1,"object_id":"t1"}'
    )
    assert digest(FIRST_DIGEST, 1, change(1)) == hashlib.sha256(f"{'0' * 64}\n{written}".encode()).hexdigest()


def test_a_campaign_leaves_what_it_was_and_what_it_is(store: Store, audit: AuditLog) -> None:
    store.add_campaign(CAMPAIGN, change=WHO.changes("campaign.created", None, CAMPAIGN))
    renamed = replace(CAMPAIGN, name="Other", version=2)
    store.replace_campaign(renamed, change=WHO.changes("campaign.changed", CAMPAIGN, renamed))
    created, changed = (entry.change for entry in audit.page("acme", None, 10))
    assert (created.action, created.before) == ("campaign.created", None)
    assert changed.before == created.after
    assert changed.before is not None
    assert changed.after == {**changed.before, "name": "Other", "version": 2}
    assert audit.verify().broken is None


def test_a_change_that_fails_leaves_no_row(store: Store, audit: AuditLog) -> None:
    store.add_campaign(CAMPAIGN, change=WHO.changes("campaign.created", None, CAMPAIGN))
    late = replace(CAMPAIGN, name="Late", version=7)
    with pytest.raises(Exception, match="same moment"):
        store.replace_campaign(late, change=WHO.changes("campaign.changed", CAMPAIGN, late))
    with pytest.raises(Exception, match="UNIQUE"):
        store.add_campaign(CAMPAIGN, change=WHO.changes("campaign.created", None, CAMPAIGN))
    assert [entry.number for entry in audit.page(None, None, 10)] == [1]
    assert audit.verify().rows == 1


def test_keys_and_deleted_jobs_are_written_down_without_the_key(store: Store, audit: AuditLog) -> None:
    key, record = make_key("acme", "owner", NOW, bytes(32))
    store.add_key(record)
    store.revoke_key(record.key_id, NOW)
    store.delete_job("j1", WHO)
    found = [entry.change for entry in audit.page(None, None, 10)]
    assert [(each.action, each.key_id, each.object_id) for each in found] == [
        ("key.created", CONSOLE, record.key_id),
        ("key.revoked", CONSOLE, record.key_id),
        ("job.deleted", "key_1", "j1"),
    ]
    assert key not in str(found)
    assert record.digest not in str(found)


def test_a_revoked_key_is_found_no_more_and_stays_revoked(store: Store, audit: AuditLog) -> None:
    _, record = make_key("acme", "owner", NOW, bytes(32))
    store.add_key(record)
    assert store.key_by_digest(record.digest) == record
    assert store.revoke_key(record.key_id, NOW).revoked_at == NOW
    assert store.key_by_digest(record.digest) is None
    assert store.revoke_key(record.key_id, NOW + timedelta(days=1)).revoked_at == NOW
    assert [key.revoked_at for key in store.list_keys()] == [NOW]
    assert audit.verify().rows == 2
    with pytest.raises(NotFoundError, match="keys list"):
        store.revoke_key("key_9", NOW)


def test_pages_follow_each_other_and_show_one_account(store: Store, audit: AuditLog) -> None:
    write(store, *(change(number, "acme" if number % 2 else "beta") for number in range(1, 8)))
    first = audit.page("acme", None, 2)
    second = audit.page("acme", first[-1].digest, 2)
    assert [entry.number for entry in first + second] == [1, 3, 5, 7]
    assert audit.page("acme", second[-1].digest, 2) == []
    assert [entry.number for entry in audit.page(None, None, 3)] == [1, 2, 3]
    with pytest.raises(AuditCursorError):
        audit.page("beta", first[-1].digest, 2)


def test_rows_can_not_be_changed_or_deleted(store: Store) -> None:
    write(store, change(1))
    for statement in ("UPDATE audit_log SET key_id = 'x'", "DELETE FROM audit_log"):
        with pytest.raises(Exception, match="only be added to"), store.database.writing() as session:
            session.execute(text(statement))


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE audit_log SET key_id = 'key_2' WHERE number = 3", 3),
        ("UPDATE audit_log SET after = '{\"n\": 9}' WHERE number = 2", 2),
        ("UPDATE audit_log SET at = '2026-03-01 13:00:00.000000' WHERE number = 5", 5),
        ("UPDATE audit_log SET digest = 'ab' WHERE number = 4", 4),
        ("DELETE FROM audit_log WHERE number = 2", 2),
        ("DELETE FROM audit_log WHERE number = 5", 5),
        ("DELETE FROM audit_log", 1),
        ("INSERT INTO audit_log SELECT 6, at, 'x', key_id, action, object_id, before, after, 'd' FROM audit_log", 6),
    ],
)
def test_a_touched_row_is_found(store: Store, audit: AuditLog, statement: str, broken: int) -> None:
    write(store, *(change(number) for number in range(1, 6)))
    assert audit.verify().broken is None
    tampered(store, statement + (" WHERE number = 1" if statement.startswith("INSERT") else ""))
    verdict = audit.verify()
    assert verdict.broken == broken
    assert verdict.why is not None


def test_a_chain_that_was_written_anew_is_found_by_a_digest_noted_before(store: Store, audit: AuditLog) -> None:
    write(store, change(1), change(2))
    noted = audit.verify().digest
    write(store, change(3))
    assert audit.verify(noted).broken is None
    tampered(store, "DELETE FROM audit_log")
    with store.database.writing() as session:
        session.execute(text("UPDATE revisions SET value = 0 WHERE name = 'audit'"))
    write(store, change(4), change(5), change(6))
    assert audit.verify().broken is None
    assert audit.verify(noted).broken == 1


def test_an_empty_log_holds(audit: AuditLog) -> None:
    assert audit.verify() == audit.verify(None)
    assert (audit.verify().rows, audit.verify().digest) == (0, FIRST_DIGEST)


def test_writers_at_the_same_moment_make_one_chain(store: Store, audit: AuditLog) -> None:
    def writer(name: int) -> None:
        for number in range(20):
            write(store, change(100 * name + number))

    threads = [threading.Thread(target=writer, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    verdict = audit.verify()
    assert (verdict.rows, verdict.broken) == (80, None)
    assert len({entry.change.object_id for entry in audit.page(None, None, 100)}) == 80


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False)
PLAIN = st.recursive(
    SCALARS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def one_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('audit')}/shared.sqlite")
    upgrade(database)
    yield database
    database.close()


@settings(max_examples=60, deadline=None)
@given(after=st.dictionaries(WORDS, PLAIN, max_size=4))
def test_whatever_is_written_is_read_back_to_the_same_digest(one_database: Database, after: dict[str, object]) -> None:
    with one_database.writing() as session:
        append(session, replace(change(1), after=after))
    assert AuditLog(one_database).verify().broken is None
