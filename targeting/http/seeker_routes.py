"""Routes of a job site's back end: recommendations, slates, and the events that come back."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from targeting.http.event_schemas import EventIn, EventResults, EventsIn
from targeting.http.schemas import RecommendationsOut, RecommendIn, SlateIn, SlateOut
from targeting.http.services import Here, Platform

SEARCH_WAIT_SECONDS = 0.05  # a search does not wait longer for a batch of jobs that is being written

router = APIRouter(prefix="/v1", tags=["seekers"])


@router.post("/recommendations", response_model=RecommendationsOut, response_model_exclude_none=True)
def recommend(me: Platform, here: Here, body: RecommendIn) -> Any:
    """Organic jobs for a seeker, best first; notes say why the answer is empty, or not personalised."""
    here.charge(me, body.k / 20)
    here.refresh(SEARCH_WAIT_SECONDS)
    question = body.question()
    answer = here.engine.answer(question)
    if question.personalise:
        here.profiles.note(question.seeker, here.clock.now())
    return RecommendationsOut.of(answer)


@router.post("/slates", response_model=SlateOut, response_model_exclude_none=True)
def slate(me: Platform, here: Here, body: SlateIn) -> Any:
    """Organic and promoted jobs together, in the order to be shown."""
    here.charge(me, (body.slots.organic + body.slots.promoted) / 20)
    here.refresh(SEARCH_WAIT_SECONDS)
    return SlateOut.of(here.slate(body.request()))


@router.post("/events:batch", response_model=EventResults, response_model_exclude_none=True)
def put_events(me: Platform, here: Here, body: EventsIn) -> Any:
    """Take up to 1,000 events, each at most once for ever; sending a batch again is safe."""
    here.charge(me, len(body.events) / 100)
    readable = [event.event() for event in body.events if isinstance(event, EventIn)]
    outcomes = here.ingestion.take(readable, here.clock.now())
    results = EventResults.of(body.events, outcomes)
    here.meter.count_events(item.status for item in results.items)
    here.meter.count_billed(each.billed for each in outcomes if each.billed is not None)
    return results
