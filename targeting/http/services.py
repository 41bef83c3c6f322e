"""What routes work with: the services of the app, who is calling, and answers that are given only once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

import structlog
from fastapi import Depends, Header, Path, Request, Response

from market.clock import Clock
from targeting.campaigns import Campaign, as_of, delivery
from targeting.engine import Engine, NotReadyError, Slate, SlateItem, SlateRequest
from targeting.hot_swap import HotSwap
from targeting.http.campaign_schemas import CampaignOut
from targeting.http.insight import Insight
from targeting.http.limits import RateLimits
from targeting.http.live import Live
from targeting.http.meter import Meter
from targeting.http.problems import IdempotencyError, PreconditionError
from targeting.http.schemas import ID_PATTERN
from targeting.pacer import Pacer
from targeting.profile_log import ProfileLog
from targeting.storage.audit_log import Who
from targeting.storage.erasure import Erasure
from targeting.storage.frequency import Frequency
from targeting.storage.ingestion import Ingestion
from targeting.storage.journal import Journal, Served
from targeting.storage.keys import Principal, Role
from targeting.storage.link_edits import LinkEdits
from targeting.storage.mirror import Mirror
from targeting.storage.shown import ShownLog
from targeting.storage.store import Answer, Store
from targeting.traffic import TrafficBuffer

log = structlog.get_logger()

SERVING_TRIES = 3  # a slate with a campaign that may not serve is made again without it


@dataclass(frozen=True)
class Services:
    """What routes work with, made once per app."""

    store: Store
    live: HotSwap[Live]
    journal: Journal
    ingestion: Ingestion
    clock: Clock
    entropy: Callable[[int], bytes]
    meter: Meter
    link_edits: LinkEdits
    shown: ShownLog
    rates: RateLimits
    frequency: Frequency
    profiles: ProfileLog
    erasure: Erasure
    traffic: TrafficBuffer
    insight: Insight
    pacer: Pacer

    @property
    def engine(self) -> Engine:
        """The one that serves now; new artefacts bring another one."""
        return self.live.current.engine

    @property
    def mirror(self) -> Mirror:
        return self.live.current.mirror

    def refresh(self, wait_seconds: float = -1) -> None:
        """Carry what is new in the store over to the engine; a failure leaves the engine as it was."""
        try:
            self.mirror.catch_up(wait_seconds)
        except Exception as error:
            log.warning("engine not brought up to date", error=type(error).__name__)

    def charge(self, me: Principal, units: float) -> None:
        """Take what this request weighs off the units of its key, see `limits`."""
        self.rates.charge(me.key_id, units)

    def who(self, me: Principal) -> Who:
        """Whom the audit log names for a change that is made now."""
        return Who(me.key_id, self.clock.now())

    def campaign(self, campaign_id: str, me: Principal) -> Campaign:
        return as_of(self.store.campaign(campaign_id, me.scope), self.clock.now())

    def view(self, campaign: Campaign) -> CampaignOut:
        return self.views([campaign])[0]

    def views(self, campaigns: list[Campaign]) -> list[CampaignOut]:
        """How campaigns look from outside right now."""
        jobs = self.store.jobs_by_id({campaign.job_id for campaign in campaigns})
        now, missing = self.clock.now(), self.engine.ready()
        closed = self.journal.closed(campaigns, now)

        def view(campaign: Campaign) -> CampaignOut:
            job, deleted = jobs[campaign.job_id]
            spent = campaign.campaign_id in closed
            return CampaignOut.of(
                as_of(campaign, now), delivery(campaign, None if deleted else job, now, missing, spent)
            )

        return [view(campaign) for campaign in campaigns]

    def slate(self, asked: SlateRequest) -> Sequence[SlateItem]:
        """The engine's slate, what it costs reserved; organic jobs alone when the promoted part fails."""
        try:
            if asked.promoted:
                tired = self.frequency.tired(asked.seeker.seeker_id, self.clock.now())
                asked = replace(asked, tired=asked.tired | tired)
            for _ in range(SERVING_TRIES):
                slate = self.engine.slate(asked)
                self.meter.count_auction(slate)
                items = slate.items
                if not any(item.kind == "promoted" for item in items):
                    self.meter.count_slate("organic")
                    self._note(asked, slate)
                    return items
                if any(item.kind == "promoted" and item.offer is None for item in items):
                    break  # nothing could be billed for it
                served = Served(f"sla_{self.entropy(12).hex()}", asked.seeker.seeker_id, items)
                refused = self.journal.reserve(served, self.clock.now())
                if not refused:
                    self.meter.count_slate("promoted")
                    self._note(asked, slate)
                    return items
                self.mirror.close(refused)
                asked = replace(asked, tired=asked.tired | refused)
        except NotReadyError:
            raise
        except Exception as error:
            log.warning("slate failed; organic jobs only", error=type(error).__name__)
        self.meter.count_slate("fallback")
        self._note(asked, Slate(()))
        organic = asked.organic
        found = self.engine.recommend(asked.seeker, asked.query, asked.filters, organic) if organic else []
        return [
            SlateItem(job.job_id, "organic", position, job.score, job.reasons, sponsored=False)
            for position, job in enumerate(found, start=1)
        ]

    def _note(self, asked: SlateRequest, slate: Slate) -> None:
        """Keep in memory what housekeeping writes down of a slate: counts of traffic, the profile that came with it."""
        now = self.clock.now()
        self.traffic.note(asked, slate, now)
        self.profiles.note(asked.seeker, now, slate.occupation)


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


def _allow(*roles: Role) -> Any:
    async def principal(request: Request) -> Principal:
        found: Principal = request.state.principal
        found.require(roles)
        return found

    return Depends(principal)


Here = Annotated[Services, Depends(_services)]
Reader = Annotated[Principal, _allow("owner", "manager", "analyst", "platform", "auditor")]
Manager = Annotated[Principal, _allow("owner", "manager")]
Planner = Annotated[Principal, _allow("owner", "manager", "analyst")]
Platform = Annotated[Principal, _allow("platform")]
MarketplaceReader = Annotated[Principal, _allow("platform", "auditor")]
AuditReader = Annotated[Principal, _allow("owner", "manager", "analyst", "auditor")]
ObjectId = Annotated[str, Path(pattern=ID_PATTERN)]
IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=1_000)]


@dataclass(frozen=True)
class Once:
    """The Idempotency-Key of a request, if it has one: the first answer is kept for 24 hours and said again."""

    key: str | None
    digest: str
    key_id: str
    store: Store
    now: datetime

    def said_before(self) -> Response | None:
        if self.key is None:
            return None
        answer = self.store.answer(self.key_id, self.key, self.now)
        if answer is None:
            return None
        if answer.request_digest != self.digest:
            raise IdempotencyError("this Idempotency-Key belongs to a different request; use a new key")
        return answer_with(answer.status, answer.body, answer.etag)

    def record(self, status: int, view: CampaignOut) -> Answer | None:
        """What to store beside the change, in the same transaction."""
        if self.key is None:
            return None
        body, etag = view.model_dump_json(), etag_of(view)
        return Answer(self.key_id, self.key, self.digest, status, body, etag, self.now)


async def _once(
    request: Request,
    here: Here,
    key: Annotated[str | None, Header(alias="Idempotency-Key", pattern=r"^[!-~]{1,255}$")] = None,
) -> Once:
    asked = f"{request.method} {request.scope['path']}\n".encode() + await request.body()
    digest = hashlib.sha256(asked).hexdigest()
    return Once(key, digest, request.state.principal.key_id, here.store, here.clock.now())


OnlyOnce = Annotated[Once, Depends(_once)]


def answer_with(status: int, body: str, etag: str | None, location: str | None = None) -> Response:
    headers = {"ETag": etag, "Location": location}
    sent = {name: value for name, value in headers.items() if value is not None}
    return Response(body, status, headers=sent, media_type="application/json")


def etag_of(campaign: Campaign | CampaignOut) -> str:
    # The clock moves the status without a new version, so both are part of the tag.
    return f'"{campaign.version}-{campaign.status}"'


def require_match(if_match: str | None, campaign: Campaign) -> None:
    if if_match is None or if_match.strip() == "*":
        return
    if etag_of(campaign) not in (tag.strip() for tag in if_match.split(",")):
        raise PreconditionError(f"the campaign has changed: its ETag is {etag_of(campaign)}; read it again and repeat")
