"""How recent promoted items did, from the reserves that are settled: clicks beside expected, visits beside caps."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from sqlalchemy import select

from targeting.forecast import TrackRecord
from targeting.storage.database import Database
from targeting.storage.ledger_tables import ReserveRow

NEWEST = 10_000  # reserves that are read; more would say little more
DAY = timedelta(days=1)
REMEMBERED = timedelta(minutes=1)


class TrackRecords:
    """kappa: the factor of reserves, from which P(click) is read back; per_hour, per_day: the frequency cap."""

    def __init__(self, database: Database, kappa: float, per_hour: int, per_day: int) -> None:
        self._database, self._kappa, self._per_hour, self._per_day = database, kappa, per_hour, per_day
        self._lock = threading.Lock()
        self._remembered: tuple[datetime, TrackRecord] | None = None

    def latest(self, now: datetime) -> TrackRecord:
        """Of the NEWEST reserves that ran out, and the clicks of the same time; at most a minute old."""
        with self._lock:
            if self._remembered is None or not timedelta(0) <= now - self._remembered[0] < REMEMBERED:
                self._remembered = now, self._read(now)
            return self._remembered[1]

    def _read(self, now: datetime) -> TrackRecord:
        columns = (
            ReserveRow.seeker_id,
            ReserveRow.slate_id,
            ReserveRow.release_at,
            ReserveRow.held_micros,
            ReserveRow.price_micros,
        )
        settled = select(*columns).where(ReserveRow.release_at <= now)
        released = settled.where(ReserveRow.state == "released").order_by(ReserveRow.release_at.desc()).limit(NEWEST)
        with self._database.reading() as session:
            rows = list(session.execute(released))
            clicked = settled.where(ReserveRow.state == "clicked")
            if len(rows) == NEWEST:
                clicked = clicked.where(ReserveRow.release_at >= rows[-1].release_at)
            clicks = list(session.execute(clicked.order_by(ReserveRow.release_at.desc()).limit(NEWEST)))
        rows += clicks
        expected = sum(row.held_micros / (self._kappa * row.price_micros) for row in rows if row.price_micros)
        visits = {(row.seeker_id, row.slate_id, row.release_at) for row in rows if row.release_at > now - DAY}
        return TrackRecord(len(clicks), expected, self._open_share(visits))

    def _open_share(self, visits: set[tuple[str | None, str, datetime]]) -> float:
        """Of the slates of the last day, the share that the caps would let one campaign appear in."""
        by_hour: dict[tuple[str, int], int] = {}
        unknown = 0
        for seeker_id, _, at in visits:
            if seeker_id is None:
                unknown += 1
                continue
            place = seeker_id, int(at.timestamp()) // 3600
            by_hour[place] = by_hour.get(place, 0) + 1
        by_seeker: dict[str, int] = {}
        for (seeker_id, _), number in by_hour.items():
            by_seeker[seeker_id] = by_seeker.get(seeker_id, 0) + min(number, self._per_hour)
        may = unknown + sum(min(number, self._per_day) for number in by_seeker.values())
        return may / len(visits) if visits else 1.0
