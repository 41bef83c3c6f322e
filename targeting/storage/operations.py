"""Work that outlives its request: what was asked, how far it is, and its result, readable until the end.

    running -> done | failed

A running operation that nobody works on any more (its process was killed) is found by `running` and taken up again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from market.errors import NotFoundError
from targeting.storage.database import Database
from targeting.storage.tables import OperationRow

State = Literal["running", "done", "failed"]


@dataclass(frozen=True)
class Operation:
    """subject: what it is about, a keyed digest where that is a person; result: notes on the way, then the answer."""

    operation_id: str
    kind: str
    subject: str
    state: State
    created_at: datetime
    finished_at: datetime | None
    result: Mapping[str, Any]


class Operations:
    """Reads operations; the functions below belong into the transaction of the work itself."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, operation_id: str) -> Operation:
        """The operation, or NotFoundError."""
        with self._database.reading() as session:
            row = session.get(OperationRow, operation_id)
            if row is None:
                raise NotFoundError(f"no operation {operation_id!r}; check the operation_id you were answered")
            return _operation_of(row)


def add(session: Session, operation: Operation) -> None:
    session.execute(insert(OperationRow).values(**(vars(operation) | {"result": dict(operation.result)})))


def running(session: Session, kind: str, subject: str | None = None) -> list[Operation]:
    """Operations of a kind that are not over, oldest first."""
    query = select(OperationRow).where(OperationRow.kind == kind, OperationRow.state == "running")
    if subject is not None:
        query = query.where(OperationRow.subject == subject)
    query = query.order_by(OperationRow.created_at, OperationRow.operation_id)
    return [_operation_of(row) for row in session.scalars(query)]


def notes_of(session: Session, operation_id: str) -> Mapping[str, Any]:
    """The result as it stands; nobody else changes it before this transaction ends."""
    query = select(OperationRow).where(OperationRow.operation_id == operation_id).with_for_update()
    return session.scalars(query).one().result or {}


def change(
    session: Session,
    operation_id: str,
    result: Mapping[str, Any],
    state: State = "running",
    finished_at: datetime | None = None,
) -> None:
    """Write down how far the operation is."""
    row = session.get(OperationRow, operation_id)
    assert row is not None, "operations are never deleted"
    row.result, row.state, row.finished_at = dict(result), state, finished_at
    session.flush()


def _operation_of(row: OperationRow) -> Operation:
    state = cast(State, row.state)
    return Operation(row.operation_id, row.kind, row.subject, state, row.created_at, row.finished_at, row.result or {})
