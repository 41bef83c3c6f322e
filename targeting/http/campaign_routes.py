"""Routes of a campaign's life: create, list, read, change, move."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from fastapi import APIRouter, Query

from market.errors import UserError
from targeting.campaigns import Move, check, check_change, moved, new_campaign_id
from targeting.http.campaign_schemas import CampaignIn, CampaignOut, CampaignPage, CampaignPatch, Paging
from targeting.http.problems import responses
from targeting.http.services import (
    Here,
    IfMatch,
    Manager,
    ObjectId,
    OnlyOnce,
    Reader,
    answer_with,
    etag_of,
    require_match,
)

router = APIRouter(prefix="/v1", tags=["campaigns"])


class CursorError(UserError):
    """`after` is not a cursor this API has handed out."""

    code = "bad_cursor"


@router.post("/campaigns", status_code=201, response_model=CampaignOut, responses=responses(409))
def create_campaign(me: Manager, here: Here, body: CampaignIn, once: OnlyOnce) -> Any:
    """A new campaign, as a draft: activate it to start."""
    if (again := once.said_before()) is not None:
        return again
    job, now = here.store.job(body.job_id, me.scope), here.clock.now()
    campaign = body.campaign(new_campaign_id(now, here.entropy(10)), job.account_id, now)
    check(campaign, now)
    view = here.view(campaign)
    change = here.who(me).changes("campaign.created", None, campaign)
    here.store.add_campaign(campaign, once.record(201, view), change)
    return answer_with(201, view.model_dump_json(), etag_of(view), location=f"/v1/campaigns/{campaign.campaign_id}")


@router.get("/campaigns", response_model=CampaignPage)
def list_campaigns(me: Reader, here: Here, paging: Annotated[Paging, Query()]) -> Any:
    """The account's campaigns, oldest first."""
    found = here.store.campaigns(me.scope, _cursor_read(paging.after), paging.limit + 1)
    shown = found[: paging.limit]
    more = _cursor_made(shown[-1].campaign_id) if len(found) > len(shown) else None
    return CampaignPage(items=tuple(here.views(shown)), next=more)


@router.get("/campaigns/{campaign_id}", response_model=CampaignOut)
def read_campaign(me: Reader, here: Here, campaign_id: ObjectId) -> Any:
    view = here.view(here.campaign(campaign_id, me))
    return answer_with(200, view.model_dump_json(), etag_of(view))


@router.patch("/campaigns/{campaign_id}", response_model=CampaignOut, responses=responses(409, 412))
def change_campaign(
    me: Manager, here: Here, campaign_id: ObjectId, body: CampaignPatch, if_match: IfMatch = None
) -> Any:
    """JSON Merge Patch; with If-Match only if nobody has changed the campaign in the meantime."""
    before = here.campaign(campaign_id, me)
    require_match(if_match, before)
    after = body.applied(before)
    check_change(before, after, here.clock.now())
    here.store.replace_campaign(after, change=here.who(me).changes("campaign.changed", before, after))
    here.refresh()
    view = here.view(after)
    return answer_with(200, view.model_dump_json(), etag_of(view))


@router.post("/campaigns/{campaign_id}/{move}", response_model=CampaignOut, responses=responses(409, 412))
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
    change = here.who(me).changes(f"campaign.{move}", before, after)
    here.store.replace_campaign(after, once.record(200, view), change)
    here.refresh()
    return answer_with(200, view.model_dump_json(), etag_of(view))


def _cursor_made(campaign_id: str) -> str:
    return base64.urlsafe_b64encode(campaign_id.encode()).rstrip(b"=").decode()


def _cursor_read(cursor: str | None) -> str:
    if cursor is None:
        return ""
    try:
        return base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError, ValueError):
        raise CursorError("after: not a cursor of this list; pass on `next` of the page before") from None
