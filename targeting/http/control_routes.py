"""Routes with which people see and steer targeting: audience, edits of links, explanations, ranking parameters."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path

from market.errors import ConflictError, NotFoundError
from targeting.campaigns import Campaign
from targeting.engine import AudienceLink
from targeting.explanation import Reader as Role
from targeting.explanation import explain
from targeting.http.control_schemas import AudienceOut, ExplanationOut, LinkEditIn, LinkOut, ParametersOut
from targeting.http.problems import responses
from targeting.http.services import Here, IfMatch, Manager, ObjectId, Reader, Services, require_match
from targeting.link_targeting import CampaignLinkEdit

router = APIRouter(prefix="/v1", tags=["control"])
TrackingToken = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]{1,4096}$")]


@router.get("/campaigns/{campaign_id}/audience", response_model=AudienceOut)
def read_audience(me: Reader, here: Here, campaign_id: ObjectId) -> Any:
    """Whom the campaign is shown to, the learned links that say so, and what people decided about them."""
    here.refresh()
    campaign = here.campaign(campaign_id, me)
    edits = here.link_edits.of_campaign(campaign_id)
    return AudienceOut.of(campaign_id, here.engine.audience(campaign, here.store.job(campaign.job_id, None), edits))


@router.put("/campaigns/{campaign_id}/links/{link_id}", response_model=LinkOut, responses=responses(409, 412))
def edit_link(
    me: Manager, here: Here, campaign_id: ObjectId, link_id: ObjectId, body: LinkEditIn, if_match: IfMatch = None
) -> Any:
    """Veto or boost a link of the campaign, or reset it to what was learned; takes effect for the next slate.

    Saying the same again changes nothing. An edit does not change the campaign's ETag; with If-Match it is refused if
    the campaign itself has changed in the meantime.
    """
    here.refresh()
    campaign = here.campaign(campaign_id, me)
    link = _link(here, campaign, link_id)
    require_match(if_match, campaign)
    if campaign.status in ("completed", "cancelled"):
        raise ConflictError(f"the campaign is {campaign.status} and can not be changed any more; create a new one")
    who, version = here.who(me), None if if_match is None else campaign.version
    if body.action == "reset":
        here.link_edits.reset(campaign_id, link_id, who, version)
        after = None
    else:
        sides = link.seeker_side, link.job_side
        edit = CampaignLinkEdit(
            campaign_id, campaign.job_id, link_id, *sides, body.action, body.weight, who.key_id, who.at
        )
        after = here.link_edits.put(edit, version)
    here.refresh()
    return LinkOut.of(replace(link, edit=after))


@router.get("/explanations/{tracking_token}", response_model=ExplanationOut)
def explain_item(me: Reader, here: Here, tracking_token: TrackingToken) -> Any:
    """Why a promoted job was shown: sponsor, links with the hires behind them, and how to change it."""
    token, shown = here.shown.find(tracking_token, me.scope)
    readers: dict[str, Role] = {"platform": "seeker", "auditor": "auditor"}
    return ExplanationOut.of(explain(token, shown, readers.get(me.role, "advertiser")))


@router.get("/recommender/parameters", response_model=ParametersOut)
def read_parameters(me: Reader) -> Any:
    """The main parameters of every list, in words."""
    return ParametersOut()


def _link(here: Services, campaign: Campaign, link_id: str) -> AudienceLink:
    """A link that leads to the campaign's job, or one that was edited when it did; NotFoundError otherwise."""
    job, edits = here.store.job(campaign.job_id, None), here.link_edits.of_campaign(campaign.campaign_id)
    found = here.engine.links_into(job)
    mine = next((link for link in found if link.link_id == link_id), None)
    if mine is None and link_id in {edit.link_id for edit in edits}:
        mine = next(link for link in here.engine.audience(campaign, job, edits).links if link.link_id == link_id)
    if mine is None:
        raise NotFoundError(f"no link {link_id!r} leads to this campaign; GET its audience lists those that do")
    return mine
