"""Routes of a job site that was asked to forget somebody."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, BackgroundTasks, Response

from targeting.http.privacy_schemas import OperationOut
from targeting.http.services import Here, MarketplaceReader, ObjectId, Platform

router = APIRouter(prefix="/v1", tags=["privacy"])


@router.post("/seekers/{seeker_id}/erase", response_model=OperationOut, status_code=202)
def erase(me: Platform, here: Here, seeker_id: ObjectId, after: BackgroundTasks, answer: Response) -> Any:
    """Erase a person, known here or not. Asking again is safe: nothing is left to do, and the receipt says so.

    From this answer on nothing new is stored under the id; what is there goes as an operation. Repeats need no
    Idempotency-Key, and none is kept: its digest of the path would outlive the person.
    """
    operation = here.erasure.begin(seeker_id, here.clock.now())
    after.add_task(here.erasure.work_on, operation.operation_id, here.clock.now())
    answer.headers["Location"] = f"/v1/operations/{operation.operation_id}"
    return OperationOut.of(operation)


@router.get("/operations/{operation_id}", response_model=OperationOut)
def read_operation(me: MarketplaceReader, here: Here, operation_id: ObjectId) -> Any:
    """How far an operation is; with its end comes the receipt."""
    return OperationOut.of(here.erasure.operations.get(operation_id))
