"""The latest actions of a seeker as a sequence: the last 32 within 28 days, oldest first, the rest padded.

    ActivityLog      every action there is, sorted; from log tables or from profiles
    Sequences        n rows of up to `length` actions and the vectors of the jobs they are about

`latest` gives the row a seeker has at a time, `windows` the rows to train on: a long history is cut by a window that
slides back from the newest action. Window, stride and minimum follow LinkedIn's activity embeddings (Engineering Blog,
11 May 2022); the stride is not disclosed there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from market.errors import ConfigError, DataError
from market.records import SeekerProfile
from market.tables import Tables

ACTIONS = ("apply", "save", "dismiss")
APPLY, SAVE, DISMISS = range(3)
PAD = 3  # the label of a place that holds no action
KINDS = 4
TABLES = {"applications": APPLY, "saves": SAVE, "dismissals": DISMISS}
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class WindowConfig:
    """window_days None: as far back as there is anything. stride counts actions between two training rows."""

    length: int = 32
    window_days: float | None = 28.0
    minimum: int = 4  # actions of a training row; a seeker with fewer is flagged
    stride: int = 16

    def __post_init__(self) -> None:
        if not 2 <= self.minimum <= self.length:
            raise ConfigError(f"minimum is {self.minimum}, expected 2 to length ({self.length})")
        if self.stride < 1:
            raise ConfigError(f"stride is {self.stride}, expected at least 1")
        if self.window_days is not None and not self.window_days > 0:
            raise ConfigError(f"window_days is {self.window_days}, expected more than 0, or None for no limit")

    @property
    def window_us(self) -> int:
        """Microseconds; more than any two times lie apart where there is no limit."""
        return 1 << 62 if self.window_days is None else round(self.window_days * DAY_US)


@dataclass(frozen=True)
class ActivityLog:
    """m actions sorted by (seeker, at, job, action), none twice.

    seeker int32[m]: position in seeker_ids; job int32[m]: position in job_ids; action int8[m]: position in ACTIONS;
    at int64[m]: microseconds since 1970, UTC.
    """

    seeker_ids: tuple[str, ...]
    job_ids: tuple[str, ...]
    seeker: np.ndarray
    job: np.ndarray
    action: np.ndarray
    at: np.ndarray

    def __len__(self) -> int:
        return len(self.seeker)

    def until(self, as_of: int) -> ActivityLog:
        """What had happened at that microsecond."""
        return self._rows(self.at <= as_of)

    def of_seekers(self, keep: np.ndarray) -> ActivityLog:
        """The actions of seekers with keep[seeker] True (bool[S]); positions stay."""
        return self._rows(keep[self.seeker])

    def _rows(self, keep: np.ndarray) -> ActivityLog:
        columns = {name: getattr(self, name)[keep] for name in ("seeker", "job", "action", "at")}
        return replace(self, **columns)


@dataclass(frozen=True)
class Sequences:
    """n rows of L places; row i holds count[i] actions, oldest first, from place 0 on.

    owner int32[n]: whose it is; job int32[n, L]: row of `jobs`, 0 where padded; action int8[n, L]: PAD where padded;
    at int64[n, L]: microseconds, 0 where padded; count int64[n]; jobs float32[J, D]: vectors, shared by all rows.
    """

    owner: np.ndarray
    job: np.ndarray
    action: np.ndarray
    at: np.ndarray
    count: np.ndarray
    jobs: np.ndarray

    def __post_init__(self) -> None:
        if self.jobs.ndim != 2 or (self.job.size and self.job.max() >= len(self.jobs)):
            top = self.job.max(initial=0)
            raise DataError("jobs", f"vectors {self.jobs.shape} for job rows up to {top}", "give every job one")

    def __len__(self) -> int:
        return len(self.owner)

    @property
    def length(self) -> int:
        return self.job.shape[1]

    def take(self, rows: np.ndarray | slice) -> Sequences:
        names = ("owner", "job", "action", "at", "count")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})

    def before(self, end: np.ndarray) -> Sequences:
        """The first end[i] actions of each row (int64[n], at most count)."""
        held = np.arange(self.length) < end[:, None]  # [n, L]
        return replace(
            self,
            job=np.where(held, self.job, 0),
            action=np.where(held, self.action, PAD).astype(np.int8),
            at=np.where(held, self.at, 0),
            count=end,
        )

    def last(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(job int32[n], action int8[n], at int64[n]) of the newest action; every row has to have one."""
        rows, place = np.arange(len(self)), self.count - 1
        if (place < 0).any():
            raise DataError("sequences", "a row without any action has no last one", "leave out rows of count 0")
        return self.job[rows, place], self.action[rows, place], self.at[rows, place]


def ending(log: ActivityLog, stop: np.ndarray, since: np.ndarray, jobs: np.ndarray, length: int) -> Sequences:
    """One row per entry of stop: the actions before row stop[i] of the log, of that seeker, later than since[i].

    stop int64[n]: exclusive, stop[i] - 1 names the seeker; since int64[n]: microseconds, exclusive.
    """
    owner = log.seeker[stop - 1]
    begin = np.searchsorted(log.seeker, owner)
    back = stop[:, None] - length + np.arange(length)  # [n, L], the newest in the last place
    held = back >= begin[:, None]
    held &= log.at[np.maximum(back, 0)] > since[:, None]
    count = held.sum(axis=1)
    place = stop[:, None] - count[:, None] + np.arange(length)  # [n, L], the oldest in the first place
    held = np.arange(length) < count[:, None]
    row = np.where(held, place, 0)
    return Sequences(
        owner=owner.astype(np.int32),
        job=np.where(held, log.job[row], 0).astype(np.int32),
        action=np.where(held, log.action[row], PAD).astype(np.int8),
        at=np.where(held, log.at[row], 0),
        count=count,
        jobs=jobs,
    )


def latest(log: ActivityLog, jobs: np.ndarray, as_of: int, config: WindowConfig) -> Sequences:
    """The row of every seeker with any action up to `as_of` (microseconds); the row is empty if all are too old."""
    log = log.until(as_of)
    stop = np.flatnonzero(np.append(log.seeker[1:] != log.seeker[:-1], True)[: len(log)]) + 1
    return ending(log, stop, np.full(len(stop), as_of - config.window_us), jobs, config.length)


def windows(log: ActivityLog, jobs: np.ndarray, config: WindowConfig) -> Sequences:
    """Rows to train on: each ends at a seeker's newest action, or at one `stride`, 2 `stride`, ... actions older.

    A row reaches back as far as `length` and `window_days` from its own end; those below the minimum are left out.
    """
    place = np.arange(len(log))
    stops = np.searchsorted(log.seeker, log.seeker, side="right")  # [m], the end of each action's seeker
    stop = place[(stops - 1 - place) % config.stride == 0] + 1
    found = ending(log, stop, log.at[stop - 1] - config.window_us, jobs, config.length)
    return found.take(found.count >= config.minimum)


def log_of_tables(tables: Tables) -> ActivityLog:
    """Applications, saves and dismissals of the log tables; jobs in the order of the jobs table.

    DataError names an event of a job that the table does not hold.
    """
    job_ids = tables["jobs"]["job_id"].to_pylist()
    row_of = {job_id: row for row, job_id in enumerate(job_ids)}
    seekers: list[str] = []
    columns: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for name, action in TABLES.items():
        if name not in tables:
            continue
        table = tables[name]
        rows = np.array([row_of.get(job_id, -1) for job_id in table["job_id"].to_pylist()], np.int32)
        if (rows < 0).any():
            row = int((rows < 0).argmax())
            raise DataError(name, f"job {table['job_id'][row].as_py()!r} is not in jobs", "add the job", row)
        seekers += table["seeker_id"].to_pylist()
        at = table["occurred_at"].combine_chunks().cast(pa.int64()).to_numpy(zero_copy_only=False)
        columns.append((rows, np.full(len(rows), action, np.int8), at))
    if not columns:
        raise DataError("applications", "no applications, saves or dismissals here", "export at least one of them")
    return activity_log(seekers, job_ids, *(np.concatenate(parts) for parts in zip(*columns, strict=True)))


def activity_log(
    seekers: Sequence[str], job_ids: Sequence[str], job: np.ndarray, action: np.ndarray, at: np.ndarray
) -> ActivityLog:
    """Unsorted actions, one entry each (a duplicate counts once), as a log."""
    ids, seeker = np.unique(np.asarray(seekers, dtype=object).astype(str), return_inverse=True)
    keys = np.stack([seeker, at, job, action], axis=1).astype(np.int64).reshape(-1, 4)
    keys = np.unique(keys, axis=0)  # sorted by (seeker, at, job, action)
    return ActivityLog(
        seeker_ids=tuple(ids.tolist()),
        job_ids=tuple(job_ids),
        seeker=keys[:, 0].astype(np.int32),
        job=keys[:, 2].astype(np.int32),
        action=keys[:, 3].astype(np.int8),
        at=keys[:, 1],
    )


def log_of_profile(seeker: SeekerProfile, row_of: Mapping[str, int]) -> tuple[ActivityLog, int]:
    """The activity of one profile, and how many of its actions were about jobs that `row_of` does not know."""
    known = [entry for entry in seeker.activity if entry.job_id in row_of]
    job_ids = sorted(row_of, key=row_of.__getitem__)
    log = activity_log(
        [seeker.seeker_id or ""] * len(known),
        job_ids,
        np.array([row_of[entry.job_id] for entry in known], np.int64),
        np.array([ACTIONS.index(entry.action) for entry in known], np.int64),
        np.array([microseconds(entry.at) for entry in known], np.int64),
    )
    return log, len(seeker.activity) - len(known)


def microseconds(at: datetime) -> int:
    """Whole microseconds since 1970 UTC, exact; DataError for a time without a zone."""
    if at.tzinfo is None:
        raise DataError("activity", f"{at.isoformat()} has no time zone", "write times with an offset")
    passed = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (passed.days * 86_400 + passed.seconds) * 1_000_000 + passed.microseconds
