"""The shapes of the HTTP edge for what people see and steer: audience, links, explanations, ranking parameters."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from targeting.engine import Audience, AudienceLink
from targeting.explanation import LABEL, NEVER_USED, PARAMETERS, Explanation, Parameter
from targeting.http.campaign_schemas import MoneyOut
from targeting.http.schemas import Model, Number
from targeting.link_targeting import MAX_BOOST, CampaignLinkEdit, EditAction
from targeting.reach import REACH_FLOOR


class LinkEditIn(Model):
    """veto: not shown to whom the link describes. boost: weight is added in retrieval. reset: as it was learned."""

    action: Literal["veto", "boost", "reset"]
    weight: Annotated[Number, Field(gt=0, le=MAX_BOOST)] | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.action == "boost" and self.weight is None:
            raise ValueError(f"boost takes a weight above 0 up to {MAX_BOOST:g}; give weight")
        if self.action != "boost" and self.weight is not None:
            raise ValueError(f"{self.action} takes no weight; leave it out")
        return self


class LinkEditOut(Model):
    action: EditAction
    weight: float | None
    edited_at: datetime

    @classmethod
    def of(cls, edit: CampaignLinkEdit) -> Self:
        return cls(action=edit.action, weight=edit.weight, edited_at=edit.edited_at)


class LinkOut(Model):
    """weight and hires as learned; edit: what a person decided for this campaign; learned: false after a re-fit that
    does not find the link any more (a veto still holds, a boost rests)."""

    link_id: str
    seeker: str
    job: str
    weight: Number
    hires: int
    no_hires: int
    learned: bool
    edit: LinkEditOut | None

    @classmethod
    def of(cls, link: AudienceLink) -> Self:
        plain = {name: getattr(link, name) for name in cls.model_fields.keys() - {"edit"}}
        return cls(**plain, edit=None if link.edit is None else LinkEditOut.of(link.edit))


class SegmentOut(Model):
    attributes: str
    weight: Number
    hires: int
    reach: int | None


class AudienceOut(Model):
    """reach has noise and two digits, and is null for groups below reach_floor: small groups are never counted."""

    campaign_id: str
    reach: int | None
    reach_floor: int
    segments: tuple[SegmentOut, ...]
    links: tuple[LinkOut, ...]

    @classmethod
    def of(cls, campaign_id: str, audience: Audience) -> Self:
        return cls(
            campaign_id=campaign_id,
            reach=_floored(audience.reach),
            reach_floor=REACH_FLOOR,
            segments=tuple(
                SegmentOut(**{**vars(segment), "reach": _floored(segment.reach)}) for segment in audience.segments
            ),
            links=tuple(LinkOut.of(link) for link in audience.links),
        )


def _floored(reach: int | None) -> int | None:
    return reach if reach is not None and reach >= REACH_FLOOR else None


class FiredLinkOut(Model):
    """boost: what the advertiser added for this campaign."""

    link_id: str
    seeker: str
    job: str
    weight: Number
    hires: int
    boost: float | None


class ParameterOut(Model):
    name: str
    part: Literal["organic", "promoted", "both"]
    what: str

    @classmethod
    def of(cls, parameter: Parameter) -> Self:
        return cls(**vars(parameter))


class ParametersOut(Model):
    """What decides about every list, and what never does."""

    parameters: tuple[ParameterOut, ...] = tuple(ParameterOut.of(each) for each in PARAMETERS)
    never_used: str = NEVER_USED


class ExplanationOut(Model):
    """Why a promoted job was shown. attributes: of the seeker, those the links speak of; price: null to a job site."""

    job_id: str
    title: str
    campaign_id: str
    sponsored: Literal[True] = True
    label: str = LABEL
    on_behalf_of: str
    paid_by: str
    position: int
    served_at: datetime
    why: tuple[str, ...]
    links: tuple[FiredLinkOut, ...]
    attributes: tuple[str, ...]
    parameters: tuple[ParameterOut, ...]
    never_used: str = NEVER_USED
    model: str
    price: MoneyOut | None
    how_to_change: tuple[str, ...]

    @classmethod
    def of(cls, found: Explanation) -> Self:
        shown = found.shown
        return cls(
            job_id=shown.job_id,
            title=shown.title,
            campaign_id=shown.campaign_id,
            on_behalf_of=shown.on_behalf_of,
            paid_by=shown.account_id,
            position=shown.position,
            served_at=shown.served_at,
            why=found.why,
            links=tuple(FiredLinkOut(**vars(link)) for link in shown.links),
            attributes=found.attributes,
            parameters=tuple(ParameterOut.of(each) for each in PARAMETERS if each.part != "organic"),
            model=found.model,
            price=None if found.price is None else MoneyOut.of(found.price),
            how_to_change=found.how_to_change,
        )
