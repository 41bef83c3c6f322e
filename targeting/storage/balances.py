"""Balances inside one transaction: read and locked first, moved in memory, written by conditional updates.

A campaign has one balance for its life and one for each local day. posted is what clicks were billed and never passes
the cap; reserved is what served items are expected to cost, and only decides whether more may be served. A cap is the
budget, or what was posted already where the budget was cut below that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Table,
    Tuple,
    Update,
    and_,
    bindparam,
    case,
    insert,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.orm import Session

from targeting.campaigns import Campaign
from targeting.ledger import free_micros, postable
from targeting.storage.database import StoreUnavailableError
from targeting.storage.ledger_tables import BalanceRow, DayBalanceRow
from targeting.storage.tables import CampaignRow

Place = tuple[str, str]  # campaign id, local day of serving
_TOTALS, _DAYS = cast(Table, BalanceRow.__table__), cast(Table, DayBalanceRow.__table__)


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

    def moves(self) -> dict[str, int]:
        return {"more_posted": self.more_posted, "more_reserved": self.more_reserved}


class Balances:
    """The balances of `places`. Nothing is stored before `save`, not even a day on which nothing happened yet."""

    def __init__(self, session: Session, places: Collection[Place], spare: Collection[Place] = ()) -> None:
        """spare: places that are wanted as well, but only of campaigns on which no other writer is at work."""
        self._session = session
        # Where many may write, the lock on a campaign's balance is the lock on its days and reserves too: what is read
        # of them after this stays true. Nobody waits for a second set of locks, and all wait in the order of the ids.
        self._totals = _locked(session, {campaign_id for campaign_id, _ in places}, wait=True)
        self._totals |= _locked(session, {campaign_id for campaign_id, _ in spare} - self._totals.keys(), wait=False)
        places = {place for place in (*places, *spare) if place[0] in self._totals}
        days = session.connection().execute(_DAYS_OF, {"places": sorted(places)})
        self._days = {
            (campaign_id, day): _Account(cap, posted, reserved) for campaign_id, day, cap, posted, reserved in days
        }
        self._new = {each for each in places if each[0] in self._totals} - self._days.keys()
        self._days |= _unopened(session, self._new)

    def __contains__(self, place: Place) -> bool:
        return place in self._days

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

    def give_back(self, place: Place, micros: int) -> None:
        """Undo `micros` of what was posted there; `change_caps` has to follow where a cap was kept up by it."""
        self._totals[place[0]].post(-micros)
        self._days[place].post(-micros)

    def save(self) -> None:
        """One conditional update a balance; StoreUnavailableError, and no change at all, when one no longer fits.

        What was moved is then where it belongs, and more may be moved and saved.
        """
        opened = [
            {"campaign_id": place[0], "day": place[1], "cap_micros": self._days[place].cap} | _NOTHING
            for place in sorted(self._new)
            if self._days[place].moved
        ]
        if opened:
            self._session.connection().execute(insert(_DAYS), opened)
        totals = [{"at_campaign": name} | each.moves() for name, each in self._totals.items() if each.moved]
        days = [
            {"at_campaign": name, "at_day": day} | each.moves()
            for (name, day), each in self._days.items()
            if each.moved
        ]
        for statement, moves in ((_MOVE_TOTAL, totals), (_MOVE_DAY, days)):
            # Each changes one row or, where it no longer fits, none.
            if moves and self._session.connection().execute(statement, moves).rowcount != len(moves):
                raise StoreUnavailableError("a budget was used up at the same moment; nothing was written, try again")
        self._new -= {(row["campaign_id"], row["day"]) for row in opened}
        for account in (*self._totals.values(), *self._days.values()):
            account.more_posted = account.more_reserved = 0


def _locked(session: Session, campaign_ids: Collection[str], wait: bool) -> dict[str, _Account]:
    if not campaign_ids:
        return {}
    found = session.connection().execute(_LOCK if wait else _LOCK_SPARE, {"campaigns": sorted(campaign_ids)})
    return {campaign_id: _Account(cap, posted, reserved) for campaign_id, cap, posted, reserved in found}


def _move(table: Table, *here: ColumnElement[bool]) -> Update:
    """posted and reserved change by :more_posted and :more_reserved where the cap leaves room for it."""
    more_posted, more_reserved = (bindparam(name, type_=BigInteger) for name in ("more_posted", "more_reserved"))
    posted, reserved = table.c.posted_micros + more_posted, table.c.reserved_micros + more_reserved
    holds_less = more_reserved <= 0
    fits = and_(posted <= table.c.cap_micros, or_(holds_less, posted + reserved <= table.c.cap_micros))
    return update(table).where(*here, fits).values(posted_micros=posted, reserved_micros=reserved)


# Put together once: every slate and every batch of clicks asks these.
_OF_CAMPAIGNS = select(_TOTALS).where(_TOTALS.c.campaign_id.in_(bindparam("campaigns", expanding=True)))
_LOCK = _OF_CAMPAIGNS.order_by(_TOTALS.c.campaign_id).with_for_update()
_LOCK_SPARE = _OF_CAMPAIGNS.order_by(_TOTALS.c.campaign_id).with_for_update(skip_locked=True)
_PLACE: Tuple = tuple_(_DAYS.c.campaign_id, _DAYS.c.day)
_DAYS_OF = select(_DAYS).where(_PLACE.in_(bindparam("places", expanding=True)))
_NOTHING = {"posted_micros": 0, "reserved_micros": 0}
_MOVE_TOTAL = _move(_TOTALS, _TOTALS.c.campaign_id == bindparam("at_campaign"))
_MOVE_DAY = _move(_DAYS, _DAYS.c.campaign_id == bindparam("at_campaign"), _DAYS.c.day == bindparam("at_day"))


def _unopened(session: Session, places: Collection[Place]) -> dict[Place, _Account]:
    """Days on which nothing was served yet, with the caps that the campaigns have now."""
    if not places:
        return {}
    columns = select(CampaignRow.campaign_id, CampaignRow.daily_micros, CampaignRow.total_micros)
    query = columns.where(CampaignRow.campaign_id.in_({campaign_id for campaign_id, _ in places}))
    caps = {campaign_id: daily or total for campaign_id, daily, total in session.execute(query)}
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
