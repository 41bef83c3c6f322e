"""Writes noted profiles into `seekers` and `seeker_titles`, never one of a person who was erased.

A title keeps the moment it was first seen and its place then (0 is the newest); titles a seeker has taken out since
stay, they are where the person comes from. Area and schooling are those of the last profile that said them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from targeting.profile_log import NotedProfile, ProfileLog
from targeting.storage.database import Database
from targeting.storage.seeker_tables import ErasedRow, SeekerRow, SeekerTitleRow
from targeting.storage.tombstones import Tombstones

_CHUNK = 200  # profiles of one transaction: other writers wait no longer than for that


class ProfileStore:
    """The only writer of profiles; `flush` is a task of housekeeping."""

    def __init__(self, database: Database, tombstones: Tombstones) -> None:
        self._database, self._tombstones = database, tombstones
        self._erased = -1  # how many people had been erased when this process last looked

    def flush(self, log: ProfileLog) -> int:
        """Write what waits in `log`; returns how many profiles were written. What could not be written waits again."""
        self.forget_erased(log)
        waiting = log.take()
        written = 0
        try:
            while waiting:
                written += self.write(waiting[:_CHUNK])
                waiting = waiting[_CHUNK:]
        finally:
            if waiting:
                log.put_back(waiting)
        return written

    def write(self, profiles: Sequence[NotedProfile]) -> int:
        """Write profiles, the last of a seeker counts; returns how many were written."""
        newest = {each.seeker_id: each for each in profiles}

        def put(session: Session) -> int:
            erased = self._tombstones.among(session, newest)
            kept = [newest[seeker_id] for seeker_id in sorted(newest.keys() - erased)]
            if kept:
                self._put(session, kept)
            return len(kept)

        return self._database.write(put)

    def forget_erased(self, log: ProfileLog) -> None:
        """Let this process forget whom any process has erased since the last call."""
        with self._database.reading() as session:
            count = session.scalar(select(func.count()).select_from(ErasedRow)) or 0
            if count == self._erased:
                return
            gone = self._tombstones.among(session, log.known()) if count else frozenset()
        for seeker_id in gone:
            log.forget(seeker_id)
        self._erased = count

    def _put(self, session: Session, profiles: Sequence[NotedProfile]) -> None:
        insert = sqlite_insert if self._database.path else postgresql_insert
        upsert = insert(SeekerRow)
        fresh = upsert.excluded
        statement = upsert.on_conflict_do_update(
            index_elements=["seeker_id"],
            set_={
                "geo": func.coalesce(fresh.geo, SeekerRow.geo),
                "education_years": func.coalesce(fresh.education_years, SeekerRow.education_years),
                "updated_at": fresh.updated_at,
            },
        )
        rows = [
            {
                "seeker_id": each.seeker_id,
                "geo": each.geo,
                "education_years": each.education_years,
                "updated_at": each.seen_at,
            }
            for each in profiles
        ]
        session.execute(statement, rows)
        titles = _new_titles(session, profiles)
        if titles:
            session.execute(insert(SeekerTitleRow).on_conflict_do_nothing(), titles)


def _new_titles(session: Session, profiles: Sequence[NotedProfile]) -> list[dict[str, object]]:
    ids = [each.seeker_id for each in profiles]
    known = select(SeekerTitleRow.seeker_id, SeekerTitleRow.title).where(SeekerTitleRow.seeker_id.in_(ids))
    have = {(seeker_id, title) for seeker_id, title in session.execute(known)}
    return [
        _title(each, title, place, each.seen_at)
        for each in profiles
        for place, title in enumerate(each.titles)
        if (each.seeker_id, title) not in have
    ]


def _title(profile: NotedProfile, title: str, place: int, seen_at: datetime) -> dict[str, object]:
    return {
        "seeker_id": profile.seeker_id,
        "title": title,
        "place": place,
        "occupation": profile.occupation if place == 0 else None,
        "geo": profile.geo,
        "first_seen_at": seen_at,
    }
