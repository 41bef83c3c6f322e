"""Why a promoted job was shown: one object for the seeker, the advertiser and the auditor.

It is put together from what was logged when the slate was served, so it stays true after a re-fit, and after the job or
the links have changed. Only the price depends on who asks: the account that pays and the auditor are told, the job
site, which speaks to the seeker, is not. `PARAMETERS` says in words what decides about every list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from market.money import Money
from targeting.tokens import Token

LABEL = "Sponsored"
LOGGED_LINKS = 5  # the strongest; each is one that many people were hired by, so it is no portrait of one person

Reader = Literal["seeker", "advertiser", "auditor"]


@dataclass(frozen=True)
class FiredLink:
    """A link that describes the seeker and leads to the job, in words, with the hires it was learned from.

    boost: what a person added for this campaign, None where it works as it was learned.
    """

    link_id: str
    seeker: str
    job: str
    weight: float
    hires: int
    boost: float | None = None


@dataclass(frozen=True)
class Shown:
    """A promoted item as it was logged; company and account are those of today where the log does not say."""

    job_id: str
    title: str
    campaign_id: str
    account_id: str
    on_behalf_of: str
    position: int
    served_at: datetime
    reasons: tuple[str, ...]
    links: tuple[FiredLink, ...]
    by_lot: bool = False


@dataclass(frozen=True)
class Parameter:
    """One thing that decides what is listed; part: in which lists."""

    name: str
    part: Literal["organic", "promoted", "both"]
    what: str


@dataclass(frozen=True)
class Explanation:
    """why: sentences, strongest first; attributes: of the seeker, those that the links speak of."""

    shown: Shown
    why: tuple[str, ...]
    attributes: tuple[str, ...]
    model: str
    price: Money | None
    how_to_change: tuple[str, ...]


PARAMETERS = (
    Parameter("filters", "both", "Area, remote work and whatever else was asked for: a job outside is never listed."),
    Parameter("quality rules", "both", "Jobs you applied to or dismissed, and jobs that are over, are left out."),
    Parameter("text", "organic", "How alike the job's text is to the titles and skills of the profile and the query."),
    Parameter("activity", "organic", "Jobs you saved, applied to or dismissed move similar jobs up or down."),
    Parameter("career", "promoted", "Where people with the same titles and schooling were hired next, by past hires."),
    Parameter(
        "links", "promoted", "Patterns of past hires; an advertiser may exclude or strengthen one for a campaign."
    ),
    Parameter("bid", "promoted", "What the advertiser pays at most for a click, times how likely a click is."),
    Parameter("budget", "promoted", "A campaign without money left, or shown to you enough, is not shown."),
    Parameter("chance", "promoted", "A small share of the places is filled by lot, to find out what fits whom."),
    Parameter("places", "promoted", "Promoted jobs stand at fixed places of the list and are marked as sponsored."),
)
NEVER_USED = (
    "Sex, gender, race, religion, age, family, health, citizenship and postcode are not asked for and never used."
)

_SEEKER_CAN = (
    "Change the titles or the schooling in your profile: the next list follows them.",
    "Dismiss the job: it is not shown to you again.",
    "Ask the job site for results that are not personalised (personalise: false), or without promoted jobs.",
    "Ask the job site to erase what is stored about you.",
)
_ADVERTISER_CAN = (
    "Veto a link of the campaign: people it describes are not shown this job any more.",
    "Boost a link: for people it describes the campaign is retrieved earlier.",
    "Reset a link: what was learned from hires holds again.",
)


def explain(token: Token, shown: Shown, reader: Reader) -> Explanation:
    """The object for one reader; what differs is the price, and whose ways of changing it are listed."""
    by_link = tuple(
        f"{link.hires} people were hired on the pattern: {link.seeker} → {link.job}" for link in shown.links
    )
    boosted = any(link.boost is not None for link in shown.links)
    by_hand = ("the advertiser has strengthened one of these patterns for this campaign",) if boosted else ()
    by_lot = (
        ("this place was filled by lot among the jobs that fit, as a small share of places is",) if shown.by_lot else ()
    )
    paid = (f"{shown.on_behalf_of} pays for this place; it is an advertisement",)
    attributes = dict.fromkeys(part for link in shown.links for part in link.seeker.split(", "))
    return Explanation(
        shown,
        (*shown.reasons, *by_link, *by_hand, *by_lot, *paid),
        tuple(attributes),
        token.model,
        None if reader == "seeker" else Money(token.price_micros, token.currency),
        _ADVERTISER_CAN if reader == "advertiser" else _SEEKER_CAN,
    )


def fired_links_of(logged: Sequence[Mapping[str, Any]]) -> tuple[FiredLink, ...]:
    """Links as the log of slates holds them."""
    return tuple(FiredLink(**link) for link in logged)
