"""The route of the audit log: who changed what, and what it was before."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from targeting.http.schemas import Model
from targeting.http.services import AuditReader, Here
from targeting.storage.audit_log import AuditLog, Entry

router = APIRouter(prefix="/v1", tags=["audit"])


class AuditPaging(Model):
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    after: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class EntryOut(Model):
    """One change; number counts the changes of the whole marketplace and is shown to an auditor only."""

    number: int | None = None
    at: datetime
    account_id: str
    key_id: str
    action: str
    object_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    digest: str

    @classmethod
    def of(cls, entry: Entry, numbered: bool) -> EntryOut:
        return cls(number=entry.number if numbered else None, digest=entry.digest, **vars(entry.change))


class AuditPage(Model):
    """next goes into `?after=`; null: this was the last page."""

    items: tuple[EntryOut, ...]
    next: str | None


@router.get("/audit-log", response_model=AuditPage)
def read_audit_log(me: AuditReader, here: Here, paging: Annotated[AuditPaging, Query()]) -> Any:
    """Changes by people, oldest first: of the own account, or for an auditor of all."""
    found = AuditLog(here.store.database).page(me.scope, paging.after, paging.limit + 1)
    shown = found[: paging.limit]
    items = tuple(EntryOut.of(entry, numbered=me.scope is None) for entry in shown)
    return AuditPage(items=items, next=shown[-1].digest if len(found) > len(shown) else None)
