"""From the service's database to the log tables that models learn from (the schemas of `market.tables`).

    seekers, positions    recorded profiles; a `hire` event is a position at the job's employer
    jobs, occupations     jobs ever uploaded, deleted ones too; the classification of the engine's artefacts
    impressions, clicks, applications (finished ones), saves, dismissals    events

An export is written whole beside its target and swapped in. There is no incremental one on purpose: whoever was erased
since the last export is in no part of the next. Rows come in portions, so memory does not grow with the database, and
in a fixed order: the same database and artefacts give the same bytes. Tables without rows are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from sqlalchemy import func, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from market.errors import ConfigError, ConflictError
from market.swap import scratch_beside, swap_in, sync
from market.tables import SCHEMAS
from market.taxonomy import Taxonomy
from targeting.storage.database import Database
from targeting.storage.erasure import PSEUDONYM
from targeting.storage.ledger_tables import EventRow, ReserveRow, SlateRow
from targeting.storage.positions import Title, from_hire, from_profile
from targeting.storage.seeker_tables import ErasedRow, SeekerRow, SeekerTitleRow
from targeting.storage.tables import JobRow

EVENT_TABLES = {
    "impressions": "impression",
    "clicks": "click",
    "applications": "apply_complete",
    "saves": "save",
    "dismissals": "dismiss",
}
UNKNOWN = "unknown"  # of an area nobody gave; the schemas want one
PORTION = 5_000
TRIES = 3  # when people are erased while their rows are being written
DATASET = "dataset.json"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class TitleReader(Protocol):
    """`targeting.profiles.ProfileReader`: position in the taxonomy of each title, read as the engine reads it."""

    def occupations(self, titles: Sequence[str]) -> list[int]: ...


@dataclass(frozen=True)
class Exported:
    """rows by table; left_out: events that name nobody, or somebody who was erased."""

    rows: dict[str, int]
    left_out: int


def export_logs(
    database: Database, out: Path, taxonomy: Taxonomy, titles: TitleReader, portion: int = PORTION
) -> Exported:
    """Write all log tables to the directory `out`, in one step for its readers.

    ConfigError where `out` holds something else; ConflictError when people were erased during each of three tries.
    """
    if out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / DATASET).is_file())):
        raise ConfigError(f"{out} exists and holds no log tables (no {DATASET}); choose another directory")
    out.parent.mkdir(parents=True, exist_ok=True)
    for _ in range(TRIES):
        before = _erased(database)
        with scratch_beside(out) as scratch:
            found = _Export(database, scratch, taxonomy, titles, portion).write()
            if _erased(database) != before:
                continue
            for path in (*sorted(scratch.iterdir()), scratch):
                sync(path)
            swap_in(scratch, out)
            return found
    raise ConflictError("people were erased while the logs were written; export again when that is done")


def employer_of(company: str, account_id: str) -> str:
    """The employer id of a job: its company's name in lower case, letters and digits; the account where none is left.

    Letters of other scripts count: only what is no letter or digit separates words.
    """
    words = "".join(each if each.isalnum() else " " for each in company.casefold()).split()
    return "-".join(words) or account_id


class _Export:
    """One export into one directory."""

    def __init__(self, database: Database, folder: Path, taxonomy: Taxonomy, titles: TitleReader, portion: int) -> None:
        self._database, self._folder, self._portion = database, folder, portion
        self._taxonomy, self._titles = taxonomy, titles
        self._read: dict[str, str] = {}  # title -> occupation code, of this portion and those shortly before
        self._left_out = 0
        with database.reading() as session:
            latest = session.scalar(select(func.max(EventRow.received_at)))
            seen = session.scalar(select(func.max(SeekerRow.updated_at)))
            # Events that come in meanwhile wait for the next export: all tables end at one moment.
            self._until = max((each for each in (latest, seen) if each is not None), default=EPOCH)

    def write(self) -> Exported:
        classification = zip(
            self._taxonomy.codes,
            self._taxonomy.titles,
            (self._taxonomy.section_names[i] for i in self._taxonomy.section),
            (self._taxonomy.major_names[i] for i in self._taxonomy.major),
            strict=True,
        )
        names = tuple(SCHEMAS["occupations"].required)
        rows = {
            "occupations": self._put("occupations", [[dict(zip(names, each, strict=True)) for each in classification]]),
            "seekers": self._put("seekers", self._seekers()),
            "positions": self._put("positions", self._positions()),
            "jobs": self._put("jobs", self._jobs()),
            **{table: self._put(table, self._events(kind)) for table, kind in EVENT_TABLES.items()},
        }
        found = {table: count for table, count in rows.items() if count}
        about = {"occupation_scheme": self._taxonomy.scheme, "tables": sorted(found)}
        (self._folder / DATASET).write_text(json.dumps(about) + "\n")
        return Exported(found, self._left_out)

    def _put(self, table: str, portions: Iterable[Sequence[dict[str, Any]]]) -> int:
        """Write the portions of one table; without any row there is no file."""
        fields = {**SCHEMAS[table].required, **SCHEMAS[table].optional}
        schema = pa.schema([pa.field(name, kind, name not in SCHEMAS[table].required) for name, kind in fields.items()])
        count = 0
        with ExitStack() as opened:
            writer = None
            for portion in portions:
                if not portion:
                    continue
                if writer is None:
                    path = self._folder / f"{table}.parquet"
                    writer = opened.enter_context(pq.ParquetWriter(path, schema, compression="zstd"))
                writer.write_table(pa.Table.from_pylist(list(portion), schema))
                count += len(portion)
        return count

    def _seekers(self) -> Iterator[list[dict[str, Any]]]:
        for rows in self._pages(SeekerRow, SeekerRow.seeker_id):
            yield [
                {
                    "seeker_id": row.seeker_id,
                    "geo": row.geo or UNKNOWN,
                    "updated_at": row.updated_at,
                    "education_years": row.education_years,
                }
                for row in rows
            ]

    def _positions(self) -> Iterator[list[dict[str, Any]]]:
        for rows in self._pages(SeekerRow, SeekerRow.seeker_id):
            ids = [row.seeker_id for row in rows]
            query = select(SeekerTitleRow).where(SeekerTitleRow.seeker_id.in_(ids))
            by_seeker: dict[str, list[Title]] = {seeker_id: [] for seeker_id in ids}
            with self._database.reading() as session:
                for row in session.scalars(query.order_by(SeekerTitleRow.seeker_id, SeekerTitleRow.title)):
                    read = row.occupation if row.occupation in self._taxonomy.position else None
                    title = Title(row.title, row.place, row.geo or UNKNOWN, row.first_seen_at, read)
                    by_seeker[row.seeker_id].append(title)
            codes = self._codes([each.title for held in by_seeker.values() for each in held if not each.occupation])
            yield [row for seeker_id in ids for row in from_profile(seeker_id, by_seeker[seeker_id], codes)]
        for events in self._pages(EventRow, EventRow.occurred_at, EventRow.event_id, EventRow.type == "hire"):
            jobs = self._jobs_by_id({row.job_id for row in events})
            hired = [row for row in events if _named(row.seeker_id) and row.job_id in jobs]
            yield [from_hire(row.seeker_id or "", jobs[row.job_id], row.occurred_at, row.received_at) for row in hired]

    def _jobs(self) -> Iterator[list[dict[str, Any]]]:
        for rows in self._pages(JobRow, JobRow.job_id):
            yield self._job_records(rows)

    def _job_records(self, rows: Sequence[JobRow]) -> list[dict[str, Any]]:
        codes = self._codes([row.title for row in rows if row.occupation not in self._taxonomy.position])
        undated = [row.job_id for row in rows if row.posted_at is None]
        first = select(EventRow.job_id, func.min(EventRow.occurred_at)).where(EventRow.job_id.in_(undated))
        with self._database.reading() as session:
            seen = {job_id: at for job_id, at in session.execute(first.group_by(EventRow.job_id))} if undated else {}
        return [
            {
                "job_id": row.job_id,
                "account_id": row.account_id,
                "employer_id": employer_of(row.company, row.account_id),
                "occupation": row.occupation if row.occupation in self._taxonomy.position else codes[row.title],
                "title": row.title,
                "geo": row.geo,
                "posted_at": _posted_at(row, seen.get(row.job_id), self._until),
                "description": row.description or None,
                "seniority": row.seniority,
                "remote": row.remote,
                "wage": row.wage,
                "expires_at": row.expires_at,
            }
            for row in rows
        ]

    def _jobs_by_id(self, job_ids: set[str]) -> dict[str, dict[str, Any]]:
        with self._database.reading() as session:
            rows = session.scalars(select(JobRow).where(JobRow.job_id.in_(sorted(job_ids)))).all()
            session.expunge_all()
        return {record["job_id"]: record for record in self._job_records(rows)}

    def _events(self, kind: str) -> Iterator[list[dict[str, Any]]]:
        for rows in self._pages(EventRow, EventRow.occurred_at, EventRow.event_id, EventRow.type == kind):
            served = self._served([row.token_id for row in rows if row.token_id is not None])
            kept = [row for row in rows if _named(row.seeker_id)]
            self._left_out += len(rows) - len(kept)
            yield [_event(row, *served.get(row.token_id or "", (None, None))) for row in kept]

    def _served(self, token_ids: Sequence[str]) -> dict[str, tuple[str, float | None]]:
        """{token id: (slate it was part of, chance the policy had to put it there)}."""
        query = select(ReserveRow.token_id, ReserveRow.campaign_id, SlateRow.slate_id, SlateRow.items)
        query = query.join(SlateRow, SlateRow.slate_id == ReserveRow.slate_id)
        with self._database.reading() as session:
            return {
                token_id: (slate_id, _propensity(items, campaign_id))
                for token_id, campaign_id, slate_id, items in session.execute(
                    query.where(ReserveRow.token_id.in_(token_ids))
                )
            }

    def _codes(self, titles: Iterable[str]) -> dict[str, str]:
        """Occupation codes of titles as the engine reads them; remembered from one portion to the next."""
        wanted = dict.fromkeys(titles)
        self._read = {title: code for title, code in self._read.items() if title in wanted}
        missing = [title for title in wanted if title not in self._read]
        if missing:
            found = self._titles.occupations(missing)
            self._read |= {title: self._taxonomy.codes[at] for title, at in zip(missing, found, strict=True)}
        return self._read

    def _pages(self, table: Any, *order_and_filter: Any) -> Iterator[list[Any]]:
        """Rows in the order of the columns given, which end with a unique one; conditions may follow them."""
        keys = [each for each in order_and_filter if isinstance(each, InstrumentedAttribute)]
        query = select(table).where(*order_and_filter[len(keys) :])
        if table is EventRow:
            query = query.where(EventRow.received_at <= self._until)
        after: tuple[Any, ...] | None = None
        while True:
            page = query if after is None else query.where(tuple_(*keys) > after)
            with self._database.reading() as session:
                rows = list(session.scalars(page.order_by(*keys).limit(self._portion)))
                session.expunge_all()
            if rows:
                yield rows
            if len(rows) < self._portion:
                return
            after = tuple(getattr(rows[-1], key.key) for key in keys)


def _event(row: EventRow, slate_id: str | None, propensity: float | None) -> dict[str, Any]:
    return {
        "event_id": row.event_id,
        "seeker_id": row.seeker_id,
        "job_id": row.job_id,
        "occurred_at": row.occurred_at,
        "request_id": slate_id or row.request_id or _visit(row),
        "position": row.position,
        "promoted": row.token_id is not None,
        "propensity": propensity,
        "reason": row.reason,
    }


def _visit(row: EventRow) -> str:
    """Events that name no request are taken as one visit of their seeker a day (UTC)."""
    return f"visit-{row.seeker_id}-{row.occurred_at:%Y%m%d}"


def _named(seeker_id: str | None) -> bool:
    return seeker_id is not None and not seeker_id.startswith(PSEUDONYM)


def _posted_at(job: JobRow, first_event: datetime | None, until: datetime) -> datetime:
    """When it was posted; unknown: its first event, else the end of the logs, never after it expired."""
    known = job.posted_at or first_event or until
    return known if job.expires_at is None else min(known, job.expires_at)


def _propensity(items: Sequence[dict[str, Any]], campaign_id: str) -> float | None:
    for item in items:
        if item.get("campaign_id") == campaign_id:
            return item.get("propensity")
    return None


def _erased(database: Database) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(ErasedRow)) or 0
