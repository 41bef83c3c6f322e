"""What the database still says of a person: rows that hold the id, and digests by which a guessed id is confirmed.

The second question is the one an attacker with a copy of the database would ask: which known inputs, together with this
id, give a digest that stands there? After an erasure none may.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import cast

from sqlalchemy import String, func, select
from sqlalchemy import cast as as_type
from sqlalchemy.orm import Session

from market.clock import parse_rfc3339
from targeting.migrations import metadata
from targeting.storage.database import Database
from targeting.storage.ingestion import Event, EventType
from targeting.storage.journal import BillingConfig, lane_of
from targeting.storage.ledger_tables import EventRow, QuarantineRow, ReserveRow, SlateRow

_PORTION = 5_000


def named_in(database: Database, seeker_id: str) -> dict[str, int]:
    """{table: rows} in which any value, as text, contains the id; tables without such rows are left out."""
    found = {}
    with database.reading() as session:
        for table in metadata().sorted_tables:
            texts = [as_type(column, String) for column in table.columns]
            holds = texts[0].contains(seeker_id, autoescape=True)
            for text in texts[1:]:
                holds |= func.coalesce(text, "").contains(seeker_id, autoescape=True)
            if count := session.scalar(select(func.count()).select_from(table).where(holds)):
                found[table.name] = count
    return found


def unkeyed_digests(database: Database, seeker_id: str, window: timedelta = BillingConfig().window) -> dict[str, int]:
    """{what: rows} whose digest can be computed from the id and what else stands in the database."""
    with database.reading() as session:
        found = {
            "events that confirm the id": sum(_event_digest(row, seeker_id) == row.digest for row in _events(session)),
            "quarantined events that confirm the id": sum(
                _payload_digest(row, seeker_id) == row.digest for row in session.scalars(select(QuarantineRow))
            ),
            "lanes that confirm the id": sum(
                lane_of(row.campaign_id, seeker_id, row.day, served_at, window) == row.lane
                for row, served_at in _lanes(session)
            ),
        }
    return {what: count for what, count in found.items() if count}


def _events(session: Session) -> Iterator[EventRow]:
    yield from session.scalars(select(EventRow).execution_options(yield_per=_PORTION))


def _lanes(session: Session) -> Iterator[tuple[ReserveRow, int]]:
    """Reserves with a lane, and the second they were served in."""
    query = select(ReserveRow, SlateRow.served_at).join(SlateRow, SlateRow.slate_id == ReserveRow.slate_id)
    query = query.where(ReserveRow.lane.is_not(None)).execution_options(yield_per=_PORTION)
    for row, served_at in session.execute(query):
        yield row, int(served_at.timestamp())


def _event_digest(row: EventRow, seeker_id: str) -> str:
    """Of an event without token: everything else it said stands in its row."""
    said = row.job_id, row.request_id, row.position, row.reason
    return Event(row.event_id, cast(EventType, row.type), row.occurred_at, None, seeker_id, *said).digest()


def _payload_digest(row: QuarantineRow, seeker_id: str) -> str:

    said = dict(row.payload) | {"seeker_id": seeker_id, "event_id": row.event_id}
    return Event(**{**said, "occurred_at": parse_rfc3339(str(said["occurred_at"]))}).digest()  # type: ignore[arg-type]
