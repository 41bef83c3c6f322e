"""Which campaign a hire belongs to, asked when it is read, so that the order of arrival does not matter.

A hire that came with a token belongs to the campaign of that token. One without belongs to the campaign through whose
token the same seeker last clicked on, or applied to, the same job: at most `BillingConfig.attribution` (90 days) before
the hire and not after it; of two at the same moment the one with the larger event id. Invalid clicks do not count.
A hire that nobody led to belongs to none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from targeting.storage.invalid_clicks import INVALID
from targeting.storage.journal import BillingConfig
from targeting.storage.ledger_tables import EventRow

LEADING = ("click", "apply_start", "apply_complete")  # events that lead to a hire


@dataclass(frozen=True)
class AttributedHire:
    """One hire; through is the event that led to it (None: the hire carried a token itself, or belongs to nobody)."""

    event_id: str
    seeker_id: str
    job_id: str
    occurred_at: datetime
    campaign_id: str | None
    through: str | None


def attributed_hires(
    session: Session, since: datetime, until: datetime, config: BillingConfig = BillingConfig()
) -> list[AttributedHire]:
    """The hires with since <= occurred_at < until, by moment and event id; reads the clicks of 90 days before too."""
    names = (EventRow.event_id, EventRow.seeker_id, EventRow.job_id, EventRow.occurred_at, EventRow.campaign_id)
    during = EventRow.occurred_at >= since, EventRow.occurred_at < until
    hires = session.execute(
        select(*names).where(EventRow.type == "hire", *during).order_by(EventRow.occurred_at, EventRow.event_id)
    ).all()
    touches = _touches(session, [(hire.seeker_id, hire.job_id) for hire in hires], since - config.attribution, until)
    found = []
    for event_id, seeker_id, job_id, at, campaign_id in hires:
        through = None
        if campaign_id is None:
            led = touches.get((seeker_id, job_id), [])
            last = bisect_right(led, at, key=lambda touch: touch[0]) - 1
            if last >= 0 and led[last][0] >= at - config.attribution:
                _, through, campaign_id = led[last]
        found.append(AttributedHire(event_id, seeker_id or "", job_id, at, campaign_id, through))
    return found


def _touches(
    session: Session, pairs: Sequence[tuple[str | None, str]], since: datetime, until: datetime
) -> dict[tuple[str | None, str], list[tuple[datetime, str, str]]]:
    """{(seeker, job): [(moment, event id, campaign)] in order} of what may have led to a hire of these pairs."""
    wanted = set(pairs)
    if not wanted:
        return {}
    hired = select(EventRow.seeker_id).where(EventRow.type == "hire")
    query = (
        select(EventRow.seeker_id, EventRow.job_id, EventRow.occurred_at, EventRow.event_id, EventRow.campaign_id)
        .where(
            EventRow.type.in_(LEADING),
            EventRow.occurred_at >= since,
            EventRow.occurred_at < until,
            EventRow.campaign_id.is_not(None),
            EventRow.seeker_id.in_(hired),
            func.coalesce(EventRow.code, "") != INVALID,
        )
        .order_by(EventRow.occurred_at, EventRow.event_id)
    )
    found: dict[tuple[str | None, str], list[tuple[datetime, str, str]]] = defaultdict(list)
    for seeker_id, job_id, at, event_id, campaign_id in session.execute(query):
        if (seeker_id, job_id) in wanted and campaign_id is not None:
            found[seeker_id, job_id].append((at, event_id, campaign_id))
    return found
