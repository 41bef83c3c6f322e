"""Erases a person from the store, as an operation that survives a kill and ends with a receipt.

    begin    tombstone and operation in one transaction: from here on nothing new is written under the id
    sweep    store by store, each step a transaction that also counts what it did; done again it finds nothing
    purge    the id leaves the operation, deleted bytes leave the database file and its log; receipt

Money keeps its rows and sums. What a reserve, a slate or an event of the person holds instead of the id is one random
pseudonym, of a form no seeker id can have. Lanes get new random names, one for one, so that clicks still to come are
billed as before; digests of events become keyed ones, so that duplicates are still told. None of them can be computed
from a guessed id: what linked them is deleted with the operation's notes.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import structlog
from sqlalchemy import Table, bindparam, delete, func, select, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from targeting.artefact_erasure import flag, remove_person
from targeting.storage.balances import Balances
from targeting.storage.database import Database
from targeting.storage.ledger_tables import EventRow, PostingRow, QuarantineRow, ReserveRow, SlateRow
from targeting.storage.operations import Operation, Operations, add, change, notes_of, running
from targeting.storage.physical_erasure import purge
from targeting.storage.seeker_tables import SeekerRow, SeekerTitleRow
from targeting.storage.tombstones import Tombstones

KIND = "erase_seeker"
PSEUDONYM = "~"  # begins every pseudonym; seeker ids can not hold it
TAKEN_UP_AFTER = timedelta(seconds=30)  # an operation this old has lost the process that began it
STORES = ("seekers", "seeker_titles", "events", "reserves", "slates", "postings", "quarantine")
ELSEWHERE = ("answers", "caches", "index", "artefacts")
_OWN_WORDS = ("seeker_id", "request_id", "reason")  # what a site sent along may name the person, too
_CHUNK = 500

_EVENTS = cast(Table, EventRow.__table__)

log = structlog.get_logger()


class Erasure:
    """One instance per process; several may work on the same operation, the counts stay true."""

    def __init__(
        self,
        database: Database,
        tombstones: Tombstones,
        entropy: Callable[[int], bytes],
        forget: Callable[[str], int] = lambda _: 0,
        artefacts: Path | None = None,
    ) -> None:
        """forget: drops a seeker from this process's memory; artefacts: folder whose tables lose the person's rows."""
        self._database, self._tombstones = database, tombstones
        self._forget, self._artefacts, self._entropy = forget, artefacts, entropy
        self.operations = Operations(database)
        self._waiting: deque[str] = deque()
        self._at_work = threading.Lock()

    def begin(self, seeker_id: str, now: datetime) -> Operation:
        """The operation that erases this person: one that still runs, or a new one. Durable when this returns."""
        subject = self._tombstones.digest(seeker_id)
        with self._database.writing() as session:
            self._tombstones.put(session, seeker_id, now)
            if (still := running(session, KIND, subject)) and "seeker_id" in still[0].result:
                return still[0]
            notes = {
                "seeker_id": seeker_id,
                "pseudonym": PSEUDONYM + self._entropy(16).hex(),
                "salt": self._entropy(16).hex(),
                "stores": dict.fromkeys((*STORES, *ELSEWHERE), 0),
            }
            operation_id = f"op_{self._entropy(12).hex()}"
            operation = Operation(operation_id, KIND, subject, "running", now, None, notes)
            add(session, operation)
        return operation

    def run(self, operation_id: str, now: datetime) -> Operation:
        """Do what is left of an operation; returns it as it is then. Its purge may have to wait for long readers."""
        operation = self.operations.get(operation_id)
        if operation.kind != KIND or operation.state != "running":
            return operation
        seeker_id = operation.result.get("seeker_id")
        if seeker_id is not None:
            self._sweep(operation, now)
        traces = purge(self._database, seeker_id)
        if traces.log_emptied:
            with self._database.writing() as session:
                notes = dict(notes_of(session, operation_id))
                change(session, operation_id, notes | {"bytes": traces.told()}, "done", now)
        return self.operations.get(operation_id)

    def work_on(self, operation_id: str, now: datetime) -> None:
        """Run the operation, or leave it to the thread of this process that is at it; failures are taken up later."""
        self._waiting.append(operation_id)
        if not self._at_work.acquire(blocking=False):
            return
        try:
            while self._waiting:
                self.run(self._waiting.popleft(), now)
        except Exception as error:
            log.warning("an erasure was interrupted; it is taken up again", error=type(error).__name__)
        finally:
            self._at_work.release()

    def resume(self, now: datetime) -> int:
        """Take up what was left running, by a killed process for example; returns how many. For housekeeping."""
        with self._database.reading() as session:
            left = [each for each in running(session, KIND) if each.created_at <= now - TAKEN_UP_AFTER]
        for each in left:
            self.work_on(each.operation_id, now)
        return len(left)

    def _sweep(self, operation: Operation, now: datetime) -> None:
        notes = operation.result
        seeker_id, pseudonym, salt = (str(notes[name]) for name in ("seeker_id", "pseudonym", "salt"))
        step = _Steps(self._database, operation.operation_id)
        step.do("seeker_titles", _deleted, SeekerTitleRow, seeker_id)
        step.do("seekers", _deleted, SeekerRow, seeker_id)
        for ids in self._found(EventRow.event_id, EventRow.seeker_id == seeker_id):
            step.do("events", self._events, ids, seeker_id, pseudonym)
        step.do("reserves", _reserves, seeker_id, pseudonym, salt)
        for ids in self._found(SlateRow.slate_id, SlateRow.seeker_id == seeker_id):
            step.do("slates", _slates, ids, seeker_id, pseudonym)
        named = QuarantineRow.payload["seeker_id"].as_string() == seeker_id
        for ids in self._found(QuarantineRow.event_id, named):
            step.do("quarantine", self._quarantine, ids)
        step.do("caches", lambda _: self._forget(seeker_id))
        if self._artefacts is not None and self._artefacts.is_dir():
            removed = remove_person(self._artefacts, seeker_id)
            step.do("artefacts", lambda _: removed)
        self._conclude(operation.operation_id, pseudonym, now)

    def _conclude(self, operation_id: str, pseudonym: str, now: datetime) -> None:
        """Count what only the ledger links to the person, and take the person out of the operation's notes."""
        with self._database.writing() as session:
            notes = dict(notes_of(session, operation_id))
            if "seeker_id" not in notes:
                return
            theirs = select(ReserveRow.token_id).where(ReserveRow.seeker_id == pseudonym)
            billed = select(func.count()).select_from(PostingRow).where(PostingRow.token_id.in_(theirs))
            stores = {**notes["stores"], "postings": session.scalar(billed) or 0}
            learned_from = any(stores[name] for name in ("seeker_titles", "events", "artefacts"))
            if learned_from and self._artefacts is not None and self._artefacts.is_dir():
                flag(self._artefacts, now)
            change(session, operation_id, {"stores": stores, "retrain_advised": learned_from})

    def _events(self, session: Session, ids: Sequence[str], seeker_id: str, pseudonym: str) -> int:
        theirs = EventRow.event_id.in_(ids), EventRow.seeker_id == seeker_id
        rows = [
            {"at_event": event_id, "rekeyed": self._tombstones.rekeyed(digest)}
            for event_id, digest in session.execute(select(EventRow.event_id, EventRow.digest).where(*theirs))
        ]
        changed = update(_EVENTS).where(_EVENTS.c.event_id == bindparam("at_event"))
        changed = changed.values(seeker_id=pseudonym, digest=bindparam("rekeyed"), request_id=None, reason=None)
        if rows:
            session.connection().execute(changed, rows)
        return len(rows)

    def _quarantine(self, session: Session, ids: Sequence[str]) -> int:
        """Late clicks stay without the name, they count as unbilled delivery; the rest is deleted."""
        rows = session.scalars(select(QuarantineRow).where(QuarantineRow.event_id.in_(ids))).all()
        for row in rows:
            if row.campaign_id is None:
                session.delete(row)
            else:
                kept = {name: value for name, value in row.payload.items() if name not in _OWN_WORDS}
                row.payload, row.digest = kept, self._tombstones.rekeyed(row.digest)
        session.flush()
        return len(rows)

    def _found(self, key: Any, condition: Any) -> list[list[str]]:
        """Ids of the rows that meet the condition, in portions. Read beside writers: nothing is added to them."""
        with self._database.reading() as session:
            ids = sorted(session.scalars(select(key).where(condition)))
        return [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]


class _Steps:
    """Runs steps of an operation, each with its count in the operation's notes, in one transaction."""

    def __init__(self, database: Database, operation_id: str) -> None:
        self._database, self._operation_id = database, operation_id

    def do(self, store: str, work: Callable[..., int], *given: object) -> None:
        with self._database.writing() as session:
            notes = dict(notes_of(session, self._operation_id))
            count = work(session, *given)
            if count and "stores" in notes:
                stores = notes["stores"]
                notes["stores"] = {**stores, store: stores[store] + count}
                change(session, self._operation_id, notes)


def _deleted(session: Session, table: type[SeekerRow] | type[SeekerTitleRow], seeker_id: str) -> int:
    return _count(session, delete(table).where(table.seeker_id == seeker_id))


def _slates(session: Session, ids: Sequence[str], seeker_id: str, pseudonym: str) -> int:
    mine = update(SlateRow).where(SlateRow.slate_id.in_(ids), SlateRow.seeker_id == seeker_id)
    return _count(session, mine.values(seeker_id=pseudonym))


def _count(session: Session, statement: Any) -> int:
    return cast(CursorResult[Any], session.execute(statement)).rowcount


def _reserves(session: Session, seeker_id: str, pseudonym: str, salt: str) -> int:
    """All at once: the tokens of one lane are billed together, and must not be looked at half renamed."""
    theirs = select(ReserveRow).where(ReserveRow.seeker_id == seeker_id)
    Balances(session, {(row.campaign_id, row.day) for row in session.scalars(theirs)})  # waits for clicks at work
    rows = session.scalars(theirs.execution_options(populate_existing=True)).all()
    for row in rows:
        row.seeker_id = pseudonym
        if row.lane is not None:
            row.lane = hashlib.sha256(f"{salt}\n{row.lane}".encode()).hexdigest()
    session.flush()
    return len(rows)
