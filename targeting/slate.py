"""A slate: promoted items at fixed places among organic ones, no job twice, each with its reasons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from market.clock import account_day, utc
from market.records import Job, Recommendation
from targeting.campaigns import Campaign
from targeting.engine import SlateItem
from targeting.explanation import FiredLink
from targeting.tokens import Token, expiry, sign

PROMOTED_PLACES = (0, 3, 7)  # from 0; further promoted items follow at every fourth place


@dataclass(frozen=True)
class Sale:
    """A slot sold to a campaign: what a click costs, what made it win, and the signed token."""

    job: Job
    campaign: Campaign
    price_micros: int
    p_click: float
    score: float
    reasons: tuple[str, ...]
    propensity: float = 1.0  # chance that the policy put this job into this slot
    explored: bool = False
    swapped: bool = False
    token: str | None = None
    offer: Token | None = None  # what the token says
    links: tuple[FiredLink, ...] = ()  # see `engine.SlateItem`
    value: float | None = None  # expected qualified applications of a click


@dataclass(frozen=True)
class Origin:
    """Where the sales of an engine come from: versions of its artefacts and of the policy that fills slots."""

    model: str = "unsaved"
    policy: str = ""


def sign_sale(sale: Sale, position: int, secret: bytes, now: datetime, nonce: str, origin: Origin = Origin()) -> Sale:
    """The sale with its token, which says the position from 1; without a secret (tests, dry runs) it stays unsigned."""
    if not secret:
        return sale
    budget = sale.campaign.budget.total
    token = Token(
        campaign_id=sale.campaign.campaign_id,
        job_id=sale.job.job_id,
        price_micros=sale.price_micros,
        currency=budget.currency,
        position=position,
        day=account_day(now, sale.campaign.time_zone).isoformat(),
        model=origin.model,
        p_click=round(sale.p_click, 6),
        issued_at=int(utc(now).timestamp()),
        expires_at=int(expiry(now).timestamp()),
        nonce=nonce,
        policy=origin.policy,
        propensity=sale.propensity,
    )
    return replace(sale, token=sign(token, secret), offer=token)


def place(slot: int) -> int:
    """Place from 0 of the slot-th promoted item."""
    return PROMOTED_PLACES[slot] if slot < len(PROMOTED_PLACES) else PROMOTED_PLACES[-1] + 4 * (slot - 2)


def position_of(slot: int, organic: int) -> int:
    """Position from 1 of the slot-th promoted item beside `organic` organic ones; they close up where those run out."""
    return min(place(slot), organic + slot) + 1


def merge(listed: Sequence[Recommendation], sales: Sequence[Sale], organic: int) -> list[SlateItem]:
    """At most `organic` organic items around the sales; a promoted job does not appear again as organic."""
    rest = iter(beside(listed, sales, organic))
    items: list[SlateItem] = []
    waiting = list(enumerate(sales))
    while True:
        if waiting and place(waiting[0][0]) <= len(items):
            _, sale = waiting.pop(0)
            items.append(_promoted(sale, len(items) + 1))
            continue
        following = next(rest, None)
        if following is not None:
            items.append(
                SlateItem(
                    following.job_id, "organic", len(items) + 1, following.score, following.reasons, sponsored=False
                )
            )
        elif waiting:
            _, sale = waiting.pop(0)
            items.append(_promoted(sale, len(items) + 1))
        else:
            return items


def beside(listed: Sequence[Recommendation], sales: Sequence[Sale], organic: int) -> list[Recommendation]:
    """The organic items that are shown beside the sales."""
    sold = {sale.job.job_id for sale in sales}
    return [item for item in listed if item.job_id not in sold][:organic]


def placement(item: SlateItem) -> dict[str, object]:
    """What the log of slates keeps about how a promoted item came to its place; nothing for an organic one."""
    if item.offer is None:
        return {}
    return {
        "price_micros": item.offer.price_micros,
        "p_click": item.offer.p_click,
        "propensity": item.propensity,
        "explored": item.explored,
        "swapped": item.swapped,
    }


def _promoted(sale: Sale, position: int) -> SlateItem:
    return SlateItem(
        sale.job.job_id,
        "promoted",
        position,
        sale.score,
        sale.reasons,
        sponsored=True,
        on_behalf_of=sale.job.company,
        tracking_token=sale.token,
        campaign_id=sale.campaign.campaign_id,
        offer=sale.offer,
        links=sale.links,
        value=sale.value,
        propensity=sale.propensity,
        explored=sale.explored,
        swapped=sale.swapped,
    )
