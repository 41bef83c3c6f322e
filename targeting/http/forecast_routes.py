"""Routes that look ahead and back: the forecast of a draft, the delivery of a campaign."""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import APIRouter

from targeting.campaigns import check
from targeting.http.campaign_schemas import CampaignIn
from targeting.http.forecast_schemas import DeliveryReportOut, ForecastOut
from targeting.http.services import Here, ObjectId, Planner, Reader

router = APIRouter(prefix="/v1", tags=["campaigns"])
DRAFT = "cmp_draft"  # of a campaign that is not stored


@router.post("/forecasts", response_model=ForecastOut)
def make_forecast(me: Planner, here: Here, body: CampaignIn) -> Any:
    """What the campaign would spend and bring, for its budget and for half to one and a half of it."""
    here.charge(me, 20)
    here.refresh()
    job, now = here.store.job(body.job_id, me.scope), here.clock.now()
    draft = body.campaign(DRAFT, job.account_id, now)
    check(draft, now)
    seed = int.from_bytes(hashlib.sha256(body.model_dump_json().encode()).digest()[:8])
    found = here.insight.outlook(draft, job, here.engine.prospects(draft, job), now, seed)
    return ForecastOut.of(found, draft.currency, here.insight.config.draws)


@router.get("/campaigns/{campaign_id}/delivery", response_model=DeliveryReportOut)
def read_delivery(me: Reader, here: Here, campaign_id: ObjectId) -> Any:
    """Where the money is, and why it is not spent."""
    here.refresh()
    campaign, now = here.campaign(campaign_id, me), here.clock.now()
    job, deleted = here.store.jobs_by_id({campaign.job_id})[campaign.job_id]
    closed = campaign_id in here.journal.closed([campaign], now)
    report, price = here.insight.report(campaign, None if deleted else job, here.engine, closed, now)
    return DeliveryReportOut.of(report, price)
