"""Balances inside one transaction: read and locked first, moved in memory, written by conditional updates.

A campaign has one balance for its life and one for each local day. posted is what clicks were billed and never passes
the cap; reserved is what served items are expected to cost, and only decides whether more may be served. A cap is the
budget, or what was posted already where the budget was cut below that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, and_, case, insert, select, tuple_, update
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from targeting.campaigns import Campaign
from targeting.ledger import free_micros, postable
from targeting.storage.database import StoreUnavailableError
from targeting.storage.ledger_tables import BalanceRow, DayBalanceRow
from targeting.storage.tables import CampaignRow

Place = tuple[str, str]  # campaign id, local day of serving
_FRESH = {"populate_existing": True}  # one session may move the same balance twice


def open_balance(session: Session, campaign: Campaign) -> None:
    """The balance of a new campaign; its days get theirs when something is first served on them."""
    cap = campaign.budget.total.amount_micros
    row = {"campaign_id": campaign.campaign_id, "cap_micros": cap, "posted_micros": 0, "reserved_micros": 0}
    session.execute(insert(BalanceRow).values(**row))


def change_caps(session: Session, campaign: Campaign) -> None:
    """Follow an edited budget; what is posted stays posted. Days that are over are not posted to any more."""
    budget = campaign.budget
    for table, cap in ((BalanceRow, budget.total), (DayBalanceRow, budget.daily or budget.total)):
        least = case((table.posted_micros > cap.amount_micros, table.posted_micros), else_=cap.amount_micros)
        session.execute(update(table).where(table.campaign_id == campaign.campaign_id).values(cap_micros=least))


@dataclass
class _Account:
    """One balance as it was read, and how far this transaction has moved it."""

    cap: int
    posted: int
    reserved: int
    more_posted: int = 0
    more_reserved: int = 0

    def post(self, micros: int) -> None:
        self.posted, self.more_posted = self.posted + micros, self.more_posted + micros

    @property
    def moved(self) -> bool:
        return self.more_posted != 0 or self.more_reserved != 0

    def reserve(self, micros: int) -> None:
        self.reserved, self.more_reserved = self.reserved + micros, self.more_reserved + micros


class Balances:
    """The balances of `places`. Nothing is stored before `save`, not even a day on which nothing happened yet."""

    def __init__(self, session: Session, places: Collection[Place]) -> None:
        self._session = session
        campaigns = sorted({campaign_id for campaign_id, _ in places})
        # Where many may write, the lock on the campaign's balance makes its other rows safe to read as well.
        totals = select(BalanceRow).where(BalanceRow.campaign_id.in_(campaigns)).order_by(BalanceRow.campaign_id)
        self._totals = {
            row.campaign_id: _account(row)
            for row in session.scalars(totals.with_for_update(), execution_options=_FRESH)
        }
        place = tuple_(DayBalanceRow.campaign_id, DayBalanceRow.day)
        days = session.scalars(select(DayBalanceRow).where(place.in_(sorted(places))), execution_options=_FRESH)
        self._days = {(row.campaign_id, row.day): _account(row) for row in days}
        self._new = {each for each in places if each[0] in self._totals} - self._days.keys()
        self._days |= _unopened(session, self._new)

    def free(self, place: Place) -> int:
        """Micros that may still be reserved; negative when reserves exceed the room."""
        total, day = self._totals[place[0]], self._days[place]
        return int(free_micros(total.cap, day.cap, total.posted, day.posted, total.reserved, day.reserved))

    def reserve(self, place: Place, micros: int) -> None:
        """Hold `micros` more; a negative amount lets go of what was held."""
        self._totals[place[0]].reserve(micros)
        self._days[place].reserve(micros)

    def post(self, place: Place, price_micros: int) -> int:
        """Bill a click as far as both caps allow; returns the micros billed."""
        total, day = self._totals[place[0]], self._days[place]
        charge = int(postable(price_micros, total.cap, day.cap, total.posted, day.posted))
        total.post(charge)
        day.post(charge)
        return charge

    def save(self) -> None:
        """One conditional update a balance; StoreUnavailableError, and no change at all, when one no longer fits."""
        for campaign_id, account in self._totals.items():
            self._move(BalanceRow, BalanceRow.campaign_id == campaign_id, account)
        for (campaign_id, day), account in self._days.items():
            if (campaign_id, day) in self._new and account.moved:
                row = {"campaign_id": campaign_id, "day": day, "cap_micros": account.cap}
                self._session.execute(insert(DayBalanceRow).values(**row, posted_micros=0, reserved_micros=0))
            self._move(DayBalanceRow, and_(DayBalanceRow.campaign_id == campaign_id, DayBalanceRow.day == day), account)

    def _move(
        self, table: type[BalanceRow] | type[DayBalanceRow], here: ColumnElement[bool], account: _Account
    ) -> None:
        if not account.moved:
            return
        posted = table.posted_micros + account.more_posted
        reserved = table.reserved_micros + account.more_reserved
        fits = posted <= table.cap_micros
        if account.more_reserved > 0:
            fits = and_(fits, posted + reserved <= table.cap_micros)
        statement = update(table).where(here, fits).values(posted_micros=posted, reserved_micros=reserved)
        if cast(CursorResult[Any], self._session.execute(statement)).rowcount != 1:
            raise StoreUnavailableError("a budget was used up at the same moment; nothing was written, try again")


def _unopened(session: Session, places: Collection[Place]) -> dict[Place, _Account]:
    """Days on which nothing was served yet, with the caps that the campaigns have now."""
    if not places:
        return {}
    query = select(CampaignRow).where(CampaignRow.campaign_id.in_({campaign_id for campaign_id, _ in places}))
    caps = {row.campaign_id: row.daily_micros or row.total_micros for row in session.scalars(query)}
    return {place: _Account(caps[place[0]], 0, 0) for place in sorted(places)}


def short_of_money(session: Session, days: dict[str, str]) -> frozenset[str]:
    """Of the campaigns in {campaign id: its day}, those with nothing left to reserve in total or on that day."""
    spent = select(BalanceRow.campaign_id).where(_used_up(BalanceRow))
    places = select(DayBalanceRow.campaign_id, DayBalanceRow.day).where(
        DayBalanceRow.day.in_(set(days.values())), _used_up(DayBalanceRow)
    )
    found = {campaign_id for campaign_id in session.scalars(spent) if campaign_id in days}
    found |= {campaign_id for campaign_id, day in session.execute(places) if days.get(campaign_id) == day}
    return frozenset(found)


def _used_up(table: type[BalanceRow] | type[DayBalanceRow]) -> ColumnElement[bool]:
    return table.posted_micros + table.reserved_micros >= table.cap_micros


def _account(row: BalanceRow | DayBalanceRow) -> _Account:
    return _Account(row.cap_micros, row.posted_micros, row.reserved_micros)
