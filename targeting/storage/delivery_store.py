"""Where a campaign's money is, by day and by hour, from the ledger's own tables; one snapshot, by index only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select

from market.errors import NotFoundError
from targeting.delivery import DayFigures, Figures, HourFigures
from targeting.storage.database import Database
from targeting.storage.ledger_tables import (
    BalanceRow,
    CreditRow,
    DayBalanceRow,
    PostingRow,
    QuarantineRow,
    ReserveRow,
)


class DeliveryStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def figures(self, campaign_id: str, since: datetime, day: str) -> Figures:
        """Everything by day, and by hour what was posted from `since` on; served on `day` (of the campaign) or later.

        A click is posted at most an hour after it was served, so `day` is the one an hour before `since`.
        """
        mine = PostingRow.campaign_id == campaign_id
        days = select(DayBalanceRow).where(DayBalanceRow.campaign_id == campaign_id).order_by(DayBalanceRow.day)
        clicks = select(PostingRow.day, func.count()).where(mine).group_by(PostingRow.day)
        credits = select(CreditRow.day, func.sum(CreditRow.amount_micros))
        credits = credits.where(CreditRow.campaign_id == campaign_id).group_by(CreditRow.day)
        recent = select(PostingRow.posted_at, PostingRow.amount_micros)
        recent = recent.where(mine, PostingRow.day >= day, PostingRow.posted_at >= since)
        missed = func.coalesce(func.sum(ReserveRow.price_micros - ReserveRow.posted_micros), 0)
        unbilled = select(missed).where(ReserveRow.campaign_id == campaign_id, ReserveRow.state == "clicked")
        late = select(func.coalesce(func.sum(QuarantineRow.price_micros), 0))
        late = late.where(QuarantineRow.campaign_id == campaign_id)
        with self._database.reading() as session:
            balance = session.get(BalanceRow, campaign_id)
            if balance is None:
                raise NotFoundError(f"no campaign {campaign_id!r}; GET /v1/campaigns lists yours")
            of_day = {found: int(number) for found, number in session.execute(clicks)}
            back = {found: int(micros) for found, micros in session.execute(credits)}
            rows = session.scalars(days).all()
            posted = [(at, int(micros)) for at, micros in session.execute(recent)]
            not_billed = sum(int(session.execute(query).scalar_one() or 0) for query in (unbilled, late))
            return Figures(
                balance.cap_micros,
                balance.posted_micros,
                balance.reserved_micros,
                not_billed,
                tuple(
                    DayFigures(
                        row.day,
                        row.cap_micros,
                        row.posted_micros,
                        row.reserved_micros,
                        back.get(row.day, 0),
                        of_day.get(row.day, 0),
                    )
                    for row in rows
                ),
                _by_hour(posted),
                max((at for at, _ in posted), default=None),
            )


def _by_hour(posted: Sequence[tuple[datetime, int]]) -> tuple[HourFigures, ...]:
    found: dict[datetime, tuple[int, int]] = {}
    for at, micros in posted:
        hour = at.replace(minute=0, second=0, microsecond=0)
        before = found.get(hour, (0, 0))
        found[hour] = before[0] + micros, before[1] + 1
    return tuple(HourFigures(hour, *found[hour]) for hour in sorted(found))
