"""Prices on disk, shared by all worker processes: one of them moves them on each minute, the others read.

Prices are no money: what they write is outside the money path, in transactions of their own that hold no balance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast

from sqlalchemy import Table, bindparam, case, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import CursorResult

from targeting.pacing.controller import Paced, Span
from targeting.storage.database import Database
from targeting.storage.ledger_tables import BalanceRow, DayBalanceRow, ReserveRow
from targeting.storage.pacing_tables import PacingRow, PacingTurnRow

_CHUNK = 1_000  # rows of one transaction: slates wait for no longer one
_STATE = {
    "budget": "budget_micros",
    "spent": "spent_micros",
    "at": "stepped_at",
    "cpa": "cpa_price",
}  # where a field has another name as column
_PACING = cast(Table, PacingRow.__table__)


@dataclass(frozen=True)
class Stored:
    """A state as it lies in the store; plan_price waits to be mixed in, plan is what the last plan said of it."""

    state: Paced
    plan_price: float | None
    plan: Mapping[str, Any] | None


@dataclass(frozen=True)
class Funds:
    """Micros of one campaign: posted in all; posted and reserved on its local day."""

    posted: int = 0
    day_posted: int = 0
    day_reserved: int = 0


class PacingStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    def turn(self, name: Literal["minute", "plan"]) -> int:
        """The last one that somebody took."""
        with self._database.looking() as connection:
            query = select(PacingTurnRow.turn).where(PacingTurnRow.name == name)
            return int(connection.execute(query).scalar_one())

    def take(self, name: Literal["minute", "plan"], turn: int) -> bool:
        """True for the one caller, of all processes, who does the work of this turn; turns only go up."""
        if self.turn(name) >= turn:
            return False
        later = (PacingTurnRow.name == name) & (PacingTurnRow.turn < turn)
        with self._database.writing() as session:
            moved = session.execute(update(PacingTurnRow).where(later).values(turn=turn))
            return cast(CursorResult[Any], moved).rowcount == 1

    def read(self) -> dict[str, Stored]:
        """All campaigns that have a price, by id."""
        with self._database.looking() as connection:
            rows = connection.execute(select(_PACING)).all()
        return {row.campaign_id: Stored(_state(row), row.plan_price, row.plan) for row in rows}

    def plan_of(self, campaign_id: str) -> Stored | None:
        with self._database.looking() as connection:
            row = connection.execute(select(_PACING).where(_PACING.c.campaign_id == campaign_id)).one_or_none()
        return None if row is None else Stored(_state(row), row.plan_price, row.plan)

    def save(self, states: Mapping[str, Paced], mixed: Mapping[str, float]) -> None:
        """Store states; mixed: plan prices that they took in, which wait no longer unless a newer one came."""
        rows = [_row(campaign_id, state, mixed.get(campaign_id)) for campaign_id, state in sorted(states.items())]
        columns = {name for row in rows[:1] for name in row} - {"campaign_id", "taken_in"}
        for start in range(0, len(rows), _CHUNK):
            some = rows[start : start + _CHUNK]
            made = sqlite_insert(_PACING) if self._database.path else postgresql_insert(_PACING)
            taken = bindparam("taken_in", type_=_PACING.c.plan_price.type)
            waits = case((_PACING.c.plan_price == taken, None), else_=_PACING.c.plan_price)
            # Which prices have an effect is the plan's to say, once the campaign has begun.
            changes = {name: made.excluded[name] for name in columns - {"lowest", "highest"}} | {"plan_price": waits}
            values: dict[str, Any] = {name: bindparam(name) for name in ("campaign_id", *sorted(columns))}
            statement = made.values(**values).on_conflict_do_update(index_elements=["campaign_id"], set_=changes)
            with self._database.writing() as session:
                session.connection().execute(statement, some)

    def begin(self, states: Mapping[str, Paced]) -> None:
        """Store the first states of campaigns; one that somebody else has stored meanwhile stays as it is."""
        rows = [_row(campaign_id, state, None) for campaign_id, state in sorted(states.items())]
        if not rows:
            return
        for row in rows:
            del row["taken_in"]
        made = sqlite_insert(_PACING) if self._database.path else postgresql_insert(_PACING)
        with self._database.writing() as session:
            session.connection().execute(made.on_conflict_do_nothing(index_elements=["campaign_id"]), rows)

    def put_plan(
        self, prices: Mapping[str, float], plans: Mapping[str, Mapping[str, Any]], spans: Mapping[str, Span]
    ) -> None:
        """What a plan says of campaigns that have a state already; the next minute mixes its prices in."""
        here = _PACING.c.campaign_id == bindparam("at_campaign")
        statement = (
            update(_PACING)
            .where(here)
            .values(
                plan_price=bindparam("new_price"),
                plan=bindparam("new_plan"),
                lowest=bindparam("new_lowest"),
                highest=bindparam("new_highest"),
            )
        )
        rows = [
            {
                "at_campaign": each,
                "new_price": prices[each],
                "new_plan": dict(plans[each]),
                "new_lowest": spans[each].lowest,
                "new_highest": spans[each].highest,
            }
            for each in sorted(prices)
        ]
        for start in range(0, len(rows), _CHUNK):
            with self._database.writing() as session:
                session.connection().execute(statement, rows[start : start + _CHUNK])

    def forget(self, before: datetime) -> None:
        """Drop the prices of campaigns that were last stepped before that: they have ended, or begin anew."""
        with self._database.writing() as session:
            session.execute(delete(PacingRow).where(PacingRow.stepped_at < before))

    def funds(self, days: Mapping[str, str]) -> dict[str, Funds]:
        """Of the campaigns in {campaign id: its day}."""
        totals = select(BalanceRow.campaign_id, BalanceRow.posted_micros)
        names = DayBalanceRow.campaign_id, DayBalanceRow.day, DayBalanceRow.posted_micros, DayBalanceRow.reserved_micros
        by_day = select(*names).where(DayBalanceRow.day.in_(set(days.values())))
        with self._database.reading() as session:
            connection = session.connection()
            posted = {row[0]: int(row[1]) for row in connection.execute(totals) if row[0] in days}
            on_day = {row[0]: row[2:] for row in connection.execute(by_day) if days.get(row[0]) == row[1]}
        return {each: Funds(posted.get(each, 0), *on_day.get(each, (0, 0))) for each in days}

    def cost_and_value(self, days: Mapping[str, str]) -> dict[str, tuple[float, float]]:
        """(micros, expected qualified applications) of the posted clicks of each campaign's day."""
        sums = func.sum(ReserveRow.posted_micros), func.sum(ReserveRow.value)
        mine = ReserveRow.campaign_id.in_(bindparam("campaigns", expanding=True)), ReserveRow.state == "clicked"
        names = ReserveRow.campaign_id, ReserveRow.day
        query = select(*names, *sums).where(*mine, ReserveRow.value.is_not(None)).group_by(*names)
        found: dict[str, tuple[float, float]] = {}
        wanted = sorted(days)
        with self._database.looking() as connection:
            for start in range(0, len(wanted), _CHUNK):
                rows = connection.execute(query, {"campaigns": wanted[start : start + _CHUNK]})
                found |= {row[0]: (float(row[2] or 0), float(row[3] or 0)) for row in rows if days[row[0]] == row[1]}
        return found


def _row(campaign_id: str, state: Paced, mixed: float | None) -> dict[str, Any]:
    columns = {_STATE.get(name, name): value for name, value in vars(state).items()}
    return columns | {"campaign_id": campaign_id, "taken_in": mixed}


def _state(row: Any) -> Paced:
    return Paced(**{name: getattr(row, _STATE.get(name, name)) for name in Paced.__dataclass_fields__})
