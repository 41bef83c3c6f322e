"""The whole API on a small engine of its own: what tests over HTTP share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from starlette.testclient import TestClient

from market.clock import FixedClock, account_day
from market.records import Filters, Job, Recommendation, SeekerProfile
from organic.question import Answer, Question
from targeting.campaigns import Campaign
from targeting.engine import (
    Audience,
    AudienceLink,
    AudienceSegment,
    NotReadyError,
    Slate,
    SlateItem,
    SlateRequest,
)
from targeting.explanation import FiredLink
from targeting.link_targeting import CampaignLinkEdit
from targeting.prospects import Prospects
from targeting.storage.store import Store
from targeting.tokens import Token, sign, verify

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECRET = b"a secret of thirty-two bytes ...."
JSON = {"Content-Type": "application/json"}
LINK = AudienceLink("lnk_1", "nurse", "carer", 0.7, 40, 60, ("occupation=nurse",), ("occupation=carer",))


class SmallEngine:
    """Ranks jobs by id and shows the live campaigns; it breaks, lacks or refuses what its attributes say."""

    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.live: list[Campaign] = []
        self.edits: list[CampaignLinkEdit] = []
        self.fired: tuple[FiredLink, ...] = ()  # by which every ad is explained
        self.learned = True  # whether lnk_1 is among the learned links
        self.asked: list[tuple[SeekerProfile, str | None, Filters, int]] = []
        self.missing: str | None = None
        self.ads_fail = self.set_campaigns_fails = False
        self.scores: dict[str, float] = {}
        self.price_micros, self.p_click, self.served = 1_000_000, 0.05, 0
        self.p_apply, self.value = 0.2, 0.1
        self.reserve_micros: int | None = None  # None: the price
        self.now: Callable[[], datetime] = lambda: NOW
        self.unsigned = False
        self.ads_broken = False
        self.model = "small"

    def upsert_jobs(self, jobs: Sequence[Job]) -> list[str | None]:
        refused = [f"unknown occupation {job.occupation}" if job.occupation == "?" else None for job in jobs]
        self.jobs |= {job.job_id: job for job, why in zip(jobs, refused, strict=True) if why is None}
        return refused

    def delete_job(self, job_id: str) -> bool:
        return self.jobs.pop(job_id, None) is not None

    def set_campaigns(self, live: Sequence[Campaign]) -> None:
        if self.set_campaigns_fails:
            raise RuntimeError("out of memory")
        self.live = list(live)

    def set_link_edits(self, edits: Sequence[CampaignLinkEdit]) -> None:
        self.edits = list(edits)

    def recommend(self, seeker: SeekerProfile, query: str | None, filters: Filters, k: int) -> list[Recommendation]:
        self.asked.append((seeker, query, filters, k))
        return [Recommendation(job_id, self.scores.get(job_id, 1.0), ("near you",)) for job_id in sorted(self.jobs)][:k]

    def answer(self, question: Question) -> Answer:
        return Answer(tuple(self.recommend(question.seeker, question.query, question.filters, question.k)))

    def slate(self, asked: SlateRequest) -> Slate:
        if self.ads_fail:
            raise RuntimeError("no plan")
        vetoed = {edit.campaign_id for edit in self.edits if edit.action == "veto"}
        open_ = [each for each in self.live if each.campaign_id not in vetoed | asked.tired]
        ads = [self._ad(each, at) for at, each in enumerate(open_[: asked.promoted], start=1)]
        found = self.recommend(asked.seeker, asked.query, asked.filters, asked.organic)
        rest = [
            SlateItem(job.job_id, "organic", at, job.score, job.reasons, False)
            for at, job in enumerate(found, start=len(ads) + 1)
        ]
        if self.ads_broken:
            return Slate(tuple(rest), skipped=3, broken=True)
        return Slate((*ads, *rest))

    def _ad(self, campaign: Campaign, at: int) -> SlateItem:
        self.served += 1
        start = int(self.now().timestamp())
        offer = Token(
            campaign_id=campaign.campaign_id,
            job_id=campaign.job_id,
            price_micros=self.price_micros,
            currency=campaign.currency,
            position=at,
            day=account_day(self.now(), campaign.time_zone).isoformat(),
            model=self.model,
            p_click=self.p_click,
            issued_at=start,
            expires_at=start + 1800,
            nonce=f"n{self.served}",
        )
        if self.unsigned:
            return SlateItem(campaign.job_id, "promoted", at, 2.0, ("ad",), True, campaign.account_id)
        given = campaign.job_id, "promoted", at, 2.0, ("ad",), True, campaign.account_id
        return SlateItem(*given, sign(offer, SECRET), campaign.campaign_id, offer, links=self.fired)

    def audience(self, campaign: Campaign, job: Job, edits: Sequence[CampaignLinkEdit]) -> Audience:
        few, by_link = AudienceSegment("cooks", 0.2, 3, 299), {edit.link_id: edit for edit in edits}
        links = tuple(replace(LINK, edit=by_link.get(LINK.link_id)) for _ in self.links_into(job))
        rest = tuple(replace(LINK, edit=edit, learned=False) for edit in edits if not links)
        return Audience(1_234, (AudienceSegment("nurses", 0.5, 40, 900), few), links + rest)

    def links_into(self, job: Job) -> tuple[AudienceLink, ...]:
        if self.missing is not None:
            raise NotReadyError(self.missing)
        return (LINK,) if self.learned else ()

    def prospects(self, campaign: Campaign, job: Job) -> Prospects:
        """Whoever comes sees the campaign at the top; they click and apply at one rate each, at the price asked."""
        if self.missing is not None:
            raise NotReadyError(self.missing)
        certain = np.ones(1)
        rates = certain, self.p_click * certain, self.p_apply * certain
        return Prospects(
            ("",), *rates, self.price_micros, self.reserve_micros or self.price_micros, {}, self.value * certain
        )

    def ready(self) -> str | None:
        return self.missing


JOBS = [
    {"job_id": "j1", "account_id": "acme", "title": "Nurse", "company": "Acme", "description": "Care", "geo": "31080"},
    {"job_id": "j2", "account_id": "beta", "title": "Cook", "company": "Beta", "description": "Food", "geo": "31080"},
]
DRAFT: dict[str, Any] = {
    "job_id": "j1",
    "name": "Nurses",
    "budget": {
        "total": {"amount_micros": 100_000_000, "currency": "EUR"},
        "daily": {"amount_micros": 10_000_000, "currency": "EUR"},
    },
    "bid": {"mode": "auto"},
    "objective": "qualified_applications",
    "starts_at": "2026-03-01T13:00:00+01:00",
    "ends_at": "2026-04-01T00:00:00+02:00",
    "time_zone": "Europe/Berlin",
    "pacing": "even",
}


@dataclass
class World:
    """The API with a key per role of acme (`owner`, …) and of beta (`beta-owner`); nobody has no key."""

    client: TestClient
    engine: SmallEngine
    clock: FixedClock
    store: Store
    keys: dict[str, str]

    def call(self, who: str, method: str, path: str, **request: Any) -> Any:
        headers = {**request.pop("headers", {})}
        if who != "nobody":
            headers["Authorization"] = f"Bearer {self.keys[who]}"
        return self.client.request(method, path, headers=headers, **request)

    def created(self, who: str = "owner", **changes: Any) -> str:
        answer = self.call(who, "POST", "/v1/campaigns", json=DRAFT | changes)
        assert answer.status_code == 201, answer.text
        found: str = answer.json()["campaign_id"]
        return found

    def slate(self, promoted: int = 1, organic: int = 0, seeker_id: str | None = None) -> list[dict[str, Any]]:
        body = {"seeker_id": seeker_id, "slots": {"organic": organic, "promoted": promoted}}
        answer = self.call("platform", "POST", "/v1/slates", json=body)
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def send(self, *events: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self.call("platform", "POST", "/v1/events:batch", json={"events": events})
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    def activated(self, **changes: Any) -> str:
        campaign_id = self.created(**changes)
        assert self.call("owner", "POST", f"/v1/campaigns/{campaign_id}/activate").status_code == 200
        return campaign_id


Opener = Callable[..., Any]


def assert_problem(answer: Any, status: int, code: str | None = None) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["request_id"] == answer.headers["x-request-id"]
    assert "Traceback" not in answer.text
    assert "sqlite" not in answer.text.lower()
    if code is not None:
        assert document["code"] == code
    return document


def click(event_id: str, item: dict[str, Any], **changes: Any) -> dict[str, Any]:
    event = {"event_id": event_id, "type": "click", "occurred_at": "2026-03-01T12:00:00Z"}
    return event | {"tracking_token": item["tracking_token"]} | changes


def euros(amount_micros: Any) -> dict[str, Any]:
    return {"amount_micros": amount_micros, "currency": "EUR"}


def campaign_of_token(item: dict[str, Any]) -> str:
    return verify(item["tracking_token"], SECRET).campaign_id
