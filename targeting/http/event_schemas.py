"""The shapes of the HTTP edge for events."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Self

from pydantic import Field, StrictInt, StringConstraints, model_validator

from targeting.http.campaign_schemas import MoneyOut
from targeting.http.schemas import MAX_K, Id, Line, Model, Time, or_why
from targeting.storage.ingestion import Event, EventStatus, EventType, Outcome

MAX_EVENTS = 1_000

SignedToken = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=2_000, pattern=r"^[!-~]+$")]


class EventIn(Model):
    """A promoted item's event carries its tracking_token; any other one, and every hire, names seeker and job."""

    event_id: Id
    type: EventType
    occurred_at: Time
    tracking_token: SignedToken | None = None
    seeker_id: Id | None = None
    job_id: Id | None = None
    request_id: Id | None = None
    position: Annotated[StrictInt, Field(ge=1, le=2 * MAX_K)] | None = None
    reason: Line | None = None

    @model_validator(mode="after")
    def _says_whose(self) -> Self:
        named = self.seeker_id is not None and self.job_id is not None
        if not named and (self.tracking_token is None or self.type == "hire"):
            raise ValueError(
                "give seeker_id and job_id, or the tracking_token of a promoted item; a hire needs both ids"
            )
        return self

    def event(self) -> Event:
        return Event(**dict(self))


class MalformedEvent(Model):
    """An event of a batch that could not be read; the others are not held up by it."""

    event_id: str | None
    detail: str


class EventsIn(Model):
    """An unknown field refuses the whole batch; a wrong value refuses its event only."""

    events: Annotated[tuple[Annotated[EventIn, or_why("event_id", MalformedEvent)], ...], Field(max_length=MAX_EVENTS)]


class EventResult(Model):
    """billed only of a click on a promoted item; a duplicate repeats what was billed the first time."""

    event_id: str | None = None
    status: EventStatus
    code: str | None = None
    detail: str | None = None
    billed: MoneyOut | None = None


class EventResults(Model):
    """One result per event, in the order of the request."""

    items: tuple[EventResult, ...]

    @classmethod
    def of(cls, sent: Iterable[EventIn | MalformedEvent], outcomes: Iterable[Outcome]) -> Self:
        """outcomes: one per well-formed event, in order."""
        rest = iter(outcomes)
        return cls(items=tuple(_malformed(e) if isinstance(e, MalformedEvent) else _result(next(rest)) for e in sent))


def _malformed(event: MalformedEvent) -> EventResult:
    return EventResult(event_id=event.event_id, status="rejected", code="invalid", detail=event.detail)


def _result(outcome: Outcome) -> EventResult:
    billed = None if outcome.billed is None else MoneyOut.of(outcome.billed)
    return EventResult(event_id=outcome.event_id, status=outcome.status, code=outcome.code, billed=billed)
