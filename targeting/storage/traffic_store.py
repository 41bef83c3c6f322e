"""Traffic counts on disk: added to by every process, read as the history that forecasts look back on."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import numpy as np
from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.engine import CursorResult
from sqlalchemy.orm import Session

from targeting.storage.database import Database
from targeting.storage.seeker_tables import PriceRow, TrafficRow
from targeting.traffic import HOUR, Counts, History, TrafficBuffer, TrafficConfig, hour_of

_ROWS = 1_000  # of one statement
REMEMBERED = timedelta(minutes=1)


class TrafficStore:
    """Additions commute, so processes may write side by side in any order."""

    def __init__(self, database: Database, config: TrafficConfig = TrafficConfig()) -> None:
        self._database, self.config = database, config
        self._lock = threading.Lock()
        self._remembered: dict[int, tuple[datetime, History]] = {}

    def flush(self, buffer: TrafficBuffer) -> int:
        """Write a buffer down; returns the requests in it. What can not be written stays in the buffer."""
        counts = buffer.take()
        try:
            return self.add(counts)
        except BaseException:
            buffer.give_back(counts)
            raise

    def add(self, counts: Counts) -> int:
        """Add counts to what is there, in one transaction; returns the requests among them."""
        if not counts:
            return 0
        # Sorted, so that two writers lock rows in the same order.
        cells = [
            {
                "hour": hour_of(hour),
                "occupation": occupation,
                "geo": geo,
                "requests": requests,
                "slots": slots,
                "sold": sold,
            }
            for (hour, occupation, geo), (requests, slots, sold) in sorted(counts.cells.items())
        ]
        prices = [
            {"day": hour_of(24 * day).date().isoformat(), "occupation": occupation, "level": level, "slates": slates}
            for (day, occupation, level), slates in sorted(counts.prices.items())
        ]
        with self._database.writing() as session:
            self._upsert(session, TrafficRow, cells, ("hour", "occupation", "geo"))
            self._upsert(session, PriceRow, prices, ("day", "occupation", "level"))
        return sum(cell[0] for cell in counts.cells.values())

    def history(self, now: datetime, days: int | None = None) -> History:
        """The last `days` (None: history_days) of whole hours before `now`, at most a minute old."""
        days = days or self.config.history_days
        with self._lock:
            at, found = self._remembered.get(days, (None, None))
            if at is None or found is None or not timedelta(0) <= now - at < REMEMBERED:
                found = self.read(now, days)
                self._remembered[days] = now, found
            return found

    def read(self, until: datetime, days: int) -> History:
        """Whole hours of the `days` before `until`, from the first one with traffic on."""
        last = hour_of(int(until.timestamp()) // 3600)
        first = last - timedelta(days=days)
        within = (TrafficRow.hour >= first) & (TrafficRow.hour < last)
        sums = [func.sum(column) for column in (TrafficRow.requests, TrafficRow.slots, TrafficRow.sold)]
        by_hour = select(TrafficRow.hour, sums[0]).where(within).group_by(TrafficRow.hour)
        by_cell = select(TrafficRow.occupation, TrafficRow.geo, *sums).where(within)
        by_level = select(PriceRow.occupation, PriceRow.level, func.sum(PriceRow.slates))
        here = (PriceRow.day >= first.date().isoformat()) & (PriceRow.day <= last.date().isoformat())
        with self._database.reading() as session:
            hours = {hour: int(requests) for hour, requests in session.execute(by_hour)}
            cells: list[Any] = list(session.execute(by_cell.group_by(TrafficRow.occupation, TrafficRow.geo)))
            levels = session.execute(by_level.where(here).group_by(PriceRow.occupation, PriceRow.level)).all()
        since = min(hours, default=last)
        requests = np.zeros((last - since) // HOUR, np.int64)
        for hour, number in hours.items():
            requests[(hour - since) // HOUR] = number
        prices: dict[str, dict[int, int]] = {}
        for occupation, level, slates in levels:
            prices.setdefault(occupation, {})[level] = int(slates)
        return History(
            since,
            requests,
            {(occupation, geo): int(number) for occupation, geo, number, _, _ in cells},
            prices,
            sum(int(slots) for _, _, _, slots, _ in cells),
            sum(int(sold) for _, _, _, _, sold in cells),
        )

    def first_hour(self) -> datetime | None:
        """When counting began."""
        with self._database.reading() as session:
            return session.scalar(select(TrafficRow.hour).order_by(TrafficRow.hour).limit(1))

    def forget(self, now: datetime) -> int:
        """Delete counts older than kept_days; returns how many rows of traffic went."""
        before = now.astimezone(UTC) - timedelta(days=self.config.kept_days)
        with self._database.writing() as session:
            gone = session.execute(delete(TrafficRow).where(TrafficRow.hour < before))
            session.execute(delete(PriceRow).where(PriceRow.day < before.date().isoformat()))
            return cast(CursorResult[Any], gone).rowcount

    def _upsert(
        self,
        session: Session,
        table: type[TrafficRow] | type[PriceRow],
        rows: list[dict[str, Any]],
        key: tuple[str, ...],
    ) -> None:
        for start in range(0, len(rows), _ROWS):
            some = rows[start : start + _ROWS]
            statement = sqlite_insert(table) if self._database.path else postgresql_insert(table)
            more = {name: getattr(table, name) + statement.excluded[name] for name in some[0] if name not in key}
            session.execute(statement.on_conflict_do_update(index_elements=list(key), set_=more), some)
