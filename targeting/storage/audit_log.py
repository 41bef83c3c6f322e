"""The audit log: every change by a person, with what was before and after, chained so that a later hand shows.

    digest of row n = SHA-256(digest of row n - 1, then the row n as canonical JSON);   before row 1 stand 64 zeros

A row is written in the transaction of the change it tells of: either both are there or neither. Numbers run from 1
without a gap. The chain finds a row that was changed, taken out or put in. Whoever may rewrite the whole table could
rewrite the chain with it: note the last digest elsewhere from time to time, and hand it to `verify`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, insert, select, update
from sqlalchemy.orm import Session

from market.clock import format_rfc3339
from market.errors import UserError
from targeting.campaigns import Campaign
from targeting.storage.database import Database
from targeting.storage.tables import AuditRow, RevisionRow

FIRST_DIGEST = "0" * 64
CONSOLE = "console"  # the key_id of a change made at the command line
_COUNTER = "audit"  # the row of `revisions` that counts, and that writers wait for
_CHUNK = 2_000


class AuditCursorError(UserError):
    """`after` names no row of the audit log that the caller may read."""

    code = "bad_cursor"


@dataclass(frozen=True)
class Change:
    """What a person did, to be written beside it: `append(session, change)`, last in the transaction.

    account_id: whose object it is; key_id: who did it (CONSOLE for the command line). action is `noun.verb`. before and
    after are plain JSON, None where there was or is nothing, and never hold a person's data or a key.
    """

    at: datetime
    account_id: str
    key_id: str
    action: str
    object_id: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


@dataclass(frozen=True)
class Entry:
    """One row of the log, as it was written."""

    number: int
    change: Change
    digest: str


@dataclass(frozen=True)
class Verdict:
    """rows read, the digest of the last one, and the first number that does not hold (None: all hold) with the why."""

    rows: int
    digest: str
    broken: int | None = None
    why: str | None = None


@dataclass(frozen=True)
class Who:
    """Who makes a change, and when."""

    key_id: str
    at: datetime

    def changes(self, action: str, before: Campaign | None, after: Campaign) -> Change:
        """The change of one campaign."""
        was = None if before is None else campaign_record(before)
        return Change(self.at, after.account_id, self.key_id, action, after.campaign_id, was, campaign_record(after))


def append(session: Session, change: Change) -> int:
    """Write the change down and return its number.

    Raising the counter locks its row until the transaction ends: several writers come one after the other on every
    database. Call it last, so that no other lock is waited for while everybody waits for this one.
    """
    counter = update(RevisionRow).where(RevisionRow.name == _COUNTER).values(value=RevisionRow.value + 1)
    number = session.execute(counter.returning(RevisionRow.value)).scalar_one()
    before = session.scalar(select(AuditRow.digest).where(AuditRow.number == number - 1)) or FIRST_DIGEST
    row = vars(change) | {"number": number, "digest": digest(before, number, change)}
    session.execute(insert(AuditRow).values(**row))
    return number


def digest(before: str, number: int, change: Change) -> str:
    """The digest of a row behind the row with digest `before`; hexadecimal."""
    record = vars(change) | {"number": number, "at": format_rfc3339(change.at)}
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(f"{before}\n{text}".encode()).hexdigest()


def campaign_record(campaign: Campaign) -> dict[str, Any]:
    """A campaign as plain JSON, field by field; money in whole micros of its currency."""
    daily, max_cpc, target_cpa = campaign.budget.daily, campaign.bid.max_cpc, campaign.bid.target_cpa
    return {
        "job_id": campaign.job_id,
        "name": campaign.name,
        "currency": campaign.currency,
        "total_micros": campaign.budget.total.amount_micros,
        "daily_micros": None if daily is None else daily.amount_micros,
        "bid_mode": campaign.bid.mode,
        "max_cpc_micros": None if max_cpc is None else max_cpc.amount_micros,
        "target_cpa_micros": None if target_cpa is None else target_cpa.amount_micros,
        "objective": campaign.objective,
        "starts_at": format_rfc3339(campaign.starts_at),
        "ends_at": None if campaign.ends_at is None else format_rfc3339(campaign.ends_at),
        "time_zone": campaign.time_zone,
        "pacing": campaign.pacing,
        "status": campaign.status,
        "version": campaign.version,
    }


class AuditLog:
    """Reads the log; nothing changes or deletes a row (the database refuses it)."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def page(self, scope: str | None, after: str | None, limit: int) -> list[Entry]:
        """At most `limit` entries behind the one with digest `after`, oldest first; scope None: of all accounts."""
        query = select(AuditRow).order_by(AuditRow.number).limit(limit)
        if scope is not None:
            query = query.where(AuditRow.account_id == scope)
        with self._database.reading() as session:
            if after is not None:
                place = select(AuditRow.number).where(AuditRow.digest == after)
                number = session.scalar(place if scope is None else place.where(AuditRow.account_id == scope))
                if number is None:
                    raise AuditCursorError("after: not a cursor of this list; pass on `next` of the page before")
                query = query.where(AuditRow.number > number)
            return [_entry(row) for row in session.scalars(query)]

    def verify(self, noted: str | None = None) -> Verdict:
        """Walk the whole chain; `noted` is a digest that somebody has written down and that has to be in it."""
        before, number, met = FIRST_DIGEST, 0, noted is None
        counter = select(RevisionRow.value).where(RevisionRow.name == _COUNTER)
        with self._database.reading() as session:
            counted = session.scalar(counter) or 0  # rows that come while we read are for the next time
            rows = select(AuditRow).where(AuditRow.number <= counted).order_by(AuditRow.number).limit(_CHUNK)
            while portion := session.scalars(rows.where(AuditRow.number > number)).all():
                for row in portion:
                    if row.number != number + 1:
                        return Verdict(number, before, number + 1, "this row is missing")
                    if row.digest != digest(before, row.number, _entry(row).change):
                        return Verdict(number, before, row.number, "this row, or one before it, was changed")
                    before, number, met = row.digest, row.number, met or row.digest == noted
                session.expunge_all()
            last = session.scalar(select(func.max(AuditRow.number))) or 0
            if last > (session.scalar(counter) or 0):
                return Verdict(number, before, last, "this row was put in from outside")
        if counted > number:
            return Verdict(number, before, number + 1, f"{counted} rows were written, the last ones are missing")
        if not met:
            return Verdict(number, before, 1, "the digest that was noted is not in the chain: it was written anew")
        return Verdict(number, before)


def _entry(row: AuditRow) -> Entry:
    change = Change(row.at, row.account_id, row.key_id, row.action, row.object_id, row.before, row.after)
    return Entry(row.number, change, row.digest)
