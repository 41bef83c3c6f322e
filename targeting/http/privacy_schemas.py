"""The shapes of the HTTP edge for erasure: an operation, and the receipt it ends with."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, Self

from targeting.http.schemas import Model
from targeting.storage.operations import Operation


class BytesOut(Model):
    """Whether deleted bytes are gone from the database's files too: rebuilt says that the file was written anew, found
    how often the id still stands there (null: not searched), note what is beyond our reach."""

    rebuilt: bool
    found: int | None
    note: str


class ReceiptOut(Model):
    """stores: rows deleted or made nameless per store; postings are those whose person nobody can name any more.

    retrain_advised: models may have learned from this person; a new export and fit leaves them out.
    """

    stores: dict[str, int]
    retrain_advised: bool
    bytes: BytesOut


class OperationOut(Model):
    """status runs to done, or to failed; the receipt comes with the end."""

    operation_id: str
    kind: str
    status: Literal["running", "done", "failed"]
    created_at: datetime
    finished_at: datetime | None
    receipt: ReceiptOut | None

    @classmethod
    def of(cls, operation: Operation) -> Self:
        done = operation.state == "done" and "bytes" in operation.result
        return cls(
            operation_id=operation.operation_id,
            kind=operation.kind,
            status=operation.state,
            created_at=operation.created_at,
            finished_at=operation.finished_at,
            receipt=ReceiptOut.model_validate(operation.result) if done else None,
        )
