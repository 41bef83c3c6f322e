"""Do the books agree? Every balance is compared with the rows it is the sum of.

posted     total balance = its day balances = postings - credits
billed     postings = what the tokens were billed = what the events say
reserved   total balance = its day balances = holds that are open
limits     no posted amount above its cap, no credit above its posting
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session
from sqlalchemy.sql import Select

from targeting.storage.database import Database
from targeting.storage.ledger_tables import BalanceRow, CreditRow, DayBalanceRow, EventRow, PostingRow, ReserveRow


@dataclass(frozen=True)
class Audit:
    """Campaigns and postings that were looked at, and one line for everything that does not agree."""

    campaigns: int
    postings: int
    faults: tuple[str, ...]


def audit(database: Database) -> Audit:
    """Compare all sums, as of one moment."""
    with database.reading() as session:
        balances = session.execute(select(BalanceRow.campaign_id, BalanceRow.posted_micros, BalanceRow.reserved_micros))
        posted: dict[str, int] = {}
        reserved: dict[str, int] = {}
        for campaign_id, more_posted, more_reserved in balances:
            posted[campaign_id], reserved[campaign_id] = more_posted, more_reserved
        open_holds = _sums(session, select(ReserveRow.campaign_id, func.sum(ReserveRow.held_micros)), "open")
        billed = _sums(session, select(PostingRow.campaign_id, func.sum(PostingRow.amount_micros)))
        credited = _sums(session, select(CreditRow.campaign_id, func.sum(CreditRow.amount_micros)))
        kept = {campaign_id: amount - credited.get(campaign_id, 0) for campaign_id, amount in billed.items()}
        days = _sums(session, select(DayBalanceRow.campaign_id, func.sum(DayBalanceRow.posted_micros)))
        held_days = _sums(session, select(DayBalanceRow.campaign_id, func.sum(DayBalanceRow.reserved_micros)))
        tokens = _sums(session, select(ReserveRow.campaign_id, func.sum(ReserveRow.posted_micros)))
        faults = [
            *_differences("posted", posted, "postings minus credits", kept),
            *_differences("posted", posted, "posted on its days", days),
            *_differences("billed", billed, "billed by token", tokens),
            *_differences("reserved", reserved, "open holds", open_holds),
            *_differences("reserved", reserved, "reserved on its days", held_days),
            *_different_events(session),
            *_over(session),
        ]
        postings = session.scalar(select(func.count()).select_from(PostingRow)) or 0
        return Audit(len(posted), postings, tuple(faults))


def _sums(session: Session, query: Select[str, int], state: str | None = None) -> dict[str, int]:
    column = query.selected_columns[0]
    chosen = query if state is None else query.where(ReserveRow.state == state)
    return {campaign_id: int(amount) for campaign_id, amount in session.execute(chosen.group_by(column))}


def _differences(name: str, left: Mapping[str, int], other: str, right: Mapping[str, int]) -> list[str]:
    return [
        f"{campaign_id}: {name} {left.get(campaign_id, 0)} micros, but {other} {right.get(campaign_id, 0)}"
        for campaign_id in sorted(left.keys() | right.keys())
        if left.get(campaign_id, 0) != right.get(campaign_id, 0)
    ]


def _different_events(session: Session) -> list[str]:
    """Events that say another amount than their posting, or one without a posting."""
    amount = func.coalesce(PostingRow.amount_micros, 0)
    query = (
        select(EventRow.event_id, EventRow.billed_micros, amount)
        .outerjoin(PostingRow, PostingRow.event_id == EventRow.event_id)
        .where(func.coalesce(EventRow.billed_micros, 0) != amount)
        .order_by(EventRow.event_id)
    )
    return [
        f"event {name}: billed {billed} micros, but posted {posted}" for name, billed, posted in session.execute(query)
    ]


def _over(session: Session) -> list[str]:
    days = select(DayBalanceRow.campaign_id, DayBalanceRow.day).where(
        DayBalanceRow.posted_micros > DayBalanceRow.cap_micros
    )
    totals = select(BalanceRow.campaign_id).where(BalanceRow.posted_micros > BalanceRow.cap_micros)
    credits = (
        select(CreditRow.event_id)
        .join(PostingRow, PostingRow.event_id == CreditRow.event_id)
        .where(CreditRow.amount_micros > PostingRow.amount_micros)
    )
    return [
        *(f"{campaign_id}: posted above its cap" for campaign_id in session.scalars(totals)),
        *(f"{campaign_id}: posted above its cap on {day}" for campaign_id, day in session.execute(days)),
        *(f"event {event_id}: credited more than was posted" for event_id in session.scalars(credits)),
    ]
