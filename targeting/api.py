"""The HTTP API of the marketplace: routes parse, call one thing, and answer.

    app = create_app(store, engine, clock)

Everything outside `gate.PUBLIC_PATHS` needs a key. Account roles see their own account, another account's object is
answered exactly like a missing one. Recommendations and slates go on when the store or the promoted part fails.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Query, Response
from fastapi.responses import PlainTextResponse
from fastapi.security import HTTPBearer
from prometheus_client import generate_latest
from starlette.concurrency import run_in_threadpool

from market.clock import Clock
from market.errors import UserError
from targeting.campaign_schemas import AudienceOut, CampaignIn, CampaignOut, CampaignPage, CampaignPatch, Paging
from targeting.campaigns import Move, check, check_change, moved, new_campaign_id
from targeting.database import StoreUnavailableError
from targeting.engine import Engine, NotReadyError
from targeting.event_schemas import EventIn, EventResults, EventsIn
from targeting.gate import Gate, Meter
from targeting.ingestion import Ingestion
from targeting.journal import BillingConfig, Journal
from targeting.keys import KeyRing
from targeting.mirror import Mirror
from targeting.problems import install, responses
from targeting.schemas import JobIn, JobOut, JobResults, JobsIn, RecommendationsOut, RecommendIn, SlateIn, SlateOut
from targeting.services import (
    Here,
    IfMatch,
    Manager,
    ObjectId,
    OnlyOnce,
    Platform,
    Reader,
    Services,
    answer_with,
    etag_of,
    require_match,
)
from targeting.store import Store

MAX_BODY_BYTES = 10_000_000
SEARCH_WAIT_SECONDS = 0.05  # a search does not wait longer for a batch of jobs that is being written


class CursorError(UserError):
    """`after` is not a cursor this API has handed out."""

    code = "bad_cursor"


router = APIRouter(
    prefix="/v1",
    dependencies=[Depends(HTTPBearer(auto_error=False, description="An API key: hiregraph keys create"))],
    responses=responses(401, 403, 404, 413, 422, 503),
)


@router.post("/recommendations", response_model=RecommendationsOut, response_model_exclude_none=True, tags=["seekers"])
def recommend(me: Platform, here: Here, body: RecommendIn) -> Any:
    """Organic jobs for a seeker, best first; notes say why the answer is empty, or not personalised."""
    here.refresh(SEARCH_WAIT_SECONDS)
    return RecommendationsOut.of(here.engine.answer(body.question()))


@router.post("/slates", response_model=SlateOut, response_model_exclude_none=True, tags=["seekers"])
def slate(me: Platform, here: Here, body: SlateIn) -> Any:
    """Organic and promoted jobs together, in the order to be shown."""
    here.refresh(SEARCH_WAIT_SECONDS)
    slots = body.slots
    return SlateOut.of(here.slate(body.profile(), body.query, body.filters(), slots.organic, slots.promoted))


@router.post("/events:batch", response_model=EventResults, response_model_exclude_none=True, tags=["seekers"])
def put_events(me: Platform, here: Here, body: EventsIn) -> Any:
    """Take up to 1,000 events, each at most once for ever; sending a batch again is safe."""
    readable = [event.event() for event in body.events if isinstance(event, EventIn)]
    results = EventResults.of(body.events, here.ingestion.take(readable, here.clock.now()))
    here.meter.count_events(item.status for item in results.items)
    return results


@router.post("/jobs:batch", response_model=JobResults, response_model_exclude_unset=True, tags=["jobs"])
def put_jobs(me: Platform, here: Here, body: JobsIn) -> Any:
    """Insert or replace up to 1,000 jobs; accepted ones are durable and visible to the next search."""
    readable = [job.job() for job in body.jobs if isinstance(job, JobIn)]
    refusals = here.mirror.put_jobs(readable)
    here.refresh()
    return JobResults.of(body.jobs, refusals)


@router.get("/jobs/{job_id}", response_model=JobOut, tags=["jobs"])
def read_job(me: Reader, here: Here, job_id: ObjectId) -> Any:
    return JobOut.of(here.store.job(job_id, me.scope))


@router.delete("/jobs/{job_id}", status_code=204, tags=["jobs"])
def delete_job(me: Platform, here: Here, job_id: ObjectId) -> None:
    here.store.job(job_id, me.scope)
    here.mirror.delete_job(job_id)
    here.refresh()


@router.post("/campaigns", status_code=201, response_model=CampaignOut, responses=responses(409), tags=["campaigns"])
def create_campaign(me: Manager, here: Here, body: CampaignIn, once: OnlyOnce) -> Any:
    """A new campaign, as a draft: activate it to start."""
    if (again := once.said_before()) is not None:
        return again
    job, now = here.store.job(body.job_id, me.scope), here.clock.now()
    campaign = body.campaign(new_campaign_id(now, here.entropy(10)), job.account_id, now)
    check(campaign, now)
    view = here.view(campaign)
    here.store.add_campaign(campaign, once.record(201, view))
    return answer_with(201, view.model_dump_json(), etag_of(view), location=f"/v1/campaigns/{campaign.campaign_id}")


@router.get("/campaigns", response_model=CampaignPage, tags=["campaigns"])
def list_campaigns(me: Reader, here: Here, paging: Annotated[Paging, Query()]) -> Any:
    """The account's campaigns, oldest first."""
    found = here.store.campaigns(me.scope, _cursor_read(paging.after), paging.limit + 1)
    shown = found[: paging.limit]
    more = _cursor_made(shown[-1].campaign_id) if len(found) > len(shown) else None
    return CampaignPage(items=tuple(here.views(shown)), next=more)


@router.get("/campaigns/{campaign_id}", response_model=CampaignOut, tags=["campaigns"])
def read_campaign(me: Reader, here: Here, campaign_id: ObjectId) -> Any:
    view = here.view(here.campaign(campaign_id, me))
    return answer_with(200, view.model_dump_json(), etag_of(view))


@router.patch("/campaigns/{campaign_id}", response_model=CampaignOut, responses=responses(409, 412), tags=["campaigns"])
def change_campaign(
    me: Manager, here: Here, campaign_id: ObjectId, body: CampaignPatch, if_match: IfMatch = None
) -> Any:
    """JSON Merge Patch; with If-Match only if nobody has changed the campaign in the meantime."""
    before = here.campaign(campaign_id, me)
    require_match(if_match, before)
    after = body.applied(before)
    check_change(before, after, here.clock.now())
    here.store.replace_campaign(after)
    here.refresh()
    view = here.view(after)
    return answer_with(200, view.model_dump_json(), etag_of(view))


@router.post(
    "/campaigns/{campaign_id}/{move}", response_model=CampaignOut, responses=responses(409, 412), tags=["campaigns"]
)
def move_campaign(
    me: Manager, here: Here, campaign_id: ObjectId, move: Move, once: OnlyOnce, if_match: IfMatch = None
) -> Any:
    """Activate, pause, resume or cancel; takes effect for the next slate."""
    before = here.campaign(campaign_id, me)
    if (again := once.said_before()) is not None:
        return again
    require_match(if_match, before)
    after = moved(before, move, here.clock.now())
    view = here.view(after)
    here.store.replace_campaign(after, once.record(200, view))
    here.refresh()
    return answer_with(200, view.model_dump_json(), etag_of(view))


@router.get("/campaigns/{campaign_id}/audience", response_model=AudienceOut, tags=["campaigns"])
def read_audience(me: Reader, here: Here, campaign_id: ObjectId) -> Any:
    """Whom the campaign is shown to, and the learned links that say so."""
    here.refresh()
    campaign = here.campaign(campaign_id, me)
    audience = here.engine.audience(campaign, here.store.job(campaign.job_id, None))
    return AudienceOut.of(campaign_id, audience)


probes = APIRouter(tags=["probes"])


@probes.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process is alive."""
    return {"status": "ok"}


@probes.get("/readyz", responses=responses(503))
def readyz(here: Here) -> dict[str, str]:
    """The store answers and the engine can search."""
    here.store.ping()
    if (missing := here.engine.ready()) is not None:
        raise NotReadyError(missing)
    return {"status": "ready"}


@probes.get("/metrics", response_class=PlainTextResponse)
def metrics(here: Here) -> Response:
    return Response(generate_latest(here.meter.registry), media_type="text/plain; version=0.0.4; charset=utf-8")


def create_app(
    store: Store,
    engine: Engine,
    clock: Clock,
    *,
    max_body_bytes: int = MAX_BODY_BYTES,
    docs: bool = True,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
    secret: bytes | None = None,
    billing: BillingConfig = BillingConfig(),
) -> FastAPI:
    """The app; starting it fills the engine from the store, stopping it checkpoints and closes the store.

    secret: what the engine signs its tokens with. Without it every token of an event is refused.
    """
    journal = Journal(store.database, billing)
    ingestion = Ingestion(store.database, secret or secrets.token_bytes(32), billing)
    mirror = Mirror(store, engine, clock, journal)
    services = Services(store, engine, mirror, journal, ingestion, clock, entropy, Meter())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await run_in_threadpool(services.mirror.catch_up)
        yield
        await run_in_threadpool(store.close)

    app = FastAPI(
        title="HireGraph",
        version="1",
        description="Campaigns, jobs, recommendations and slates of a job marketplace.",
        lifespan=lifespan,
        docs_url="/docs" if docs else None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.services = services
    app.include_router(router)
    app.include_router(probes)
    install(app)
    app.add_middleware(
        Gate,
        authenticate=KeyRing(store.key_by_digest, (StoreUnavailableError,)).authenticate,
        meter=services.meter,
        max_body_bytes=max_body_bytes,
        new_request_id=lambda: f"req_{entropy(12).hex()}",
    )
    return app


def _cursor_made(campaign_id: str) -> str:
    return base64.urlsafe_b64encode(campaign_id.encode()).rstrip(b"=").decode()


def _cursor_read(cursor: str | None) -> str:
    if cursor is None:
        return ""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise CursorError("after: not a cursor of this list; pass on `next` of the page before") from None
