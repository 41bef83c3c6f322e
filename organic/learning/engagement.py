"""What seekers asked and what they took, from platform logs: requests, the jobs there were, and the positive pairs.

A request is one seeker on one day (UTC) with at least one positive: a click, an application or a save. Its moment is
the first of them, and it knows only what was on record before that moment:

    profile    positions begun and recorded by then, newest first; schooling and place recorded by then
    activity   applications, saves and dismissals of the 28 days before, at most 32, the last action on a job counting

Rows may come late, twice (by event_id) and in any order. Time decides every split.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from market.errors import ConfigError, DataError
from market.records import Activity, ActivityKind, Job, SeekerProfile
from market.tables import Tables
from organic.learning.position_bias import Examination, PositionBiasConfig, examination_of
from organic.towers import Request

DAY_US = 86_400_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = np.iinfo(np.int64).max
LABELS = ("clicks", "applications", "saves")
OPTIONAL = ("description", "seniority", "remote", "wage")
ACTIONS: dict[str, ActivityKind] = {"applications": "apply", "saves": "save", "dismissals": "dismiss"}


@dataclass(frozen=True)
class EngagementConfig:
    """Label weights multiply the correction for position; a pair with several labels has the largest."""

    click_weight: float = 1.0
    application_weight: float = 1.0
    save_weight: float = 1.0
    history_days: float = 28.0
    most_actions: int = 32
    most_titles: int = 8
    position_bias: PositionBiasConfig = field(default_factory=PositionBiasConfig)

    def __post_init__(self) -> None:
        weights = (self.click_weight, self.application_weight, self.save_weight)
        if not all(0 <= weight < np.inf for weight in weights) or not any(weights):
            raise ConfigError(f"label weights are {weights}; expected finite numbers from 0, one of them above")
        if not self.history_days > 0 or self.most_actions < 0 or self.most_titles < 1:
            raise ConfigError(
                f"history_days {self.history_days}, most_actions {self.most_actions}, most_titles {self.most_titles}; "
                "expected above 0, from 0, from 1"
            )


@dataclass(frozen=True)
class Inventory:
    """J jobs of all times. posted, expires int64[J] in microseconds since 1970 (NEVER: no end); major int32[J]:
    position of the occupation's major group in major_names, -1 where it has none; occupations: {code: title}."""

    jobs: tuple[Job, ...]
    posted: np.ndarray
    expires: np.ndarray
    major: np.ndarray
    major_names: tuple[str, ...]
    occupations: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.jobs)

    def open_between(self, start: int, stop: int) -> np.ndarray:
        """int64[n]: jobs that were open at some moment of [start, stop), ascending."""
        return np.flatnonzero((self.posted < stop) & (self.expires > start))


@dataclass(frozen=True)
class Engagement:
    """N requests in order of time and P positive pairs, sorted by (request, item).

    moment int64[N] microseconds; request, item int64[P]: rows of requests and of the inventory; applied bool[P]: the
    seeker applied that day; weight float32[P], what the pair counts in training.
    """

    inventory: Inventory
    requests: tuple[Request, ...]
    moment: np.ndarray
    request: np.ndarray
    item: np.ndarray
    applied: np.ndarray
    weight: np.ndarray

    def __len__(self) -> int:
        return len(self.requests)

    @property
    def seekers(self) -> list[str]:
        """The seeker of each request."""
        return [request.seeker.seeker_id or "" for request in self.requests]

    def within(self, start: int, stop: int = NEVER) -> Engagement:
        """The requests of start <= moment < stop, and their pairs."""
        return self.take((self.moment >= start) & (self.moment < stop))

    def take(self, kept: np.ndarray) -> Engagement:
        """The requests where kept bool[N] is true, and their pairs."""
        number = np.cumsum(kept) - 1
        pairs = kept[self.request]
        return replace(
            self,
            requests=tuple(request for request, stays in zip(self.requests, kept.tolist(), strict=True) if stays),
            moment=self.moment[kept],
            request=number[self.request[pairs]],
            item=self.item[pairs],
            applied=self.applied[pairs],
            weight=self.weight[pairs],
        )


def read_engagement(
    tables: Tables, config: EngagementConfig | None = None, bias_until: int | None = None
) -> Engagement:
    """Requests and pairs of all tables of a log directory.

    DataError where nobody engaged with anything, and for an event of a job that the table `jobs` does not have.
    bias_until, in microseconds, is where the estimate of the position bias stops looking.
    """
    config = config or EngagementConfig()
    inventory = _inventory(tables)
    row_of = {job.job_id: row for row, job in enumerate(inventory.jobs)}
    events = {name: _events(tables, name, row_of) for name in {*LABELS, *ACTIONS}}
    pairs = _positives(events, examination_of(tables, bias_until, config.position_bias), config)
    asked = pairs.groupby(["day", "seeker_id"], sort=False).at.min().reset_index()
    asked = asked.sort_values(["at", "seeker_id"], ignore_index=True)
    number = {key: row for row, key in enumerate(zip(asked.day, asked.seeker_id, strict=True))}
    pairs["request"] = [number[key] for key in zip(pairs.day, pairs.seeker_id, strict=True)]
    pairs = pairs.sort_values(["request", "item"])
    return Engagement(
        inventory,
        tuple(_requests(tables, events, asked, inventory, config)),
        asked["at"].to_numpy(np.int64),
        pairs.request.to_numpy(np.int64),
        pairs["item"].to_numpy(np.int64),
        pairs.applied.to_numpy(bool),
        pairs.weight.to_numpy(np.float32),
    )


def _positives(events: dict[str, pd.DataFrame], examination: Examination, config: EngagementConfig) -> pd.DataFrame:
    """One row a (seeker, day, job): item, at of its first label, applied, weight."""
    counts = (config.click_weight, config.application_weight, config.save_weight)
    parts = [
        events[name].assign(weight=count * examination.weights(events[name].position), applied=name == "applications")
        for name, count in zip(LABELS, counts, strict=True)
        if count
    ]
    rows = pd.concat(parts, ignore_index=True)
    if not len(rows):
        raise DataError("clicks, applications, saves", "nobody engaged with any job", "Export at least one such event")
    rows["day"] = rows["at"] // DAY_US
    grouped = rows.groupby(["seeker_id", "day", "item"], as_index=False)
    return grouped.agg({"at": "min", "weight": "max", "applied": "max"})


def _requests(
    tables: Tables, events: dict[str, pd.DataFrame], asked: pd.DataFrame, inventory: Inventory, config: EngagementConfig
) -> list[Request]:
    held, known, acted = _positions(tables), _seekers(tables), _actions(events)
    out = []
    for seeker, at in zip(asked.seeker_id.tolist(), asked["at"].tolist(), strict=True):
        past = [position for position in held.get(seeker, ()) if position[0] <= at]
        past.sort(key=lambda position: position[1], reverse=True)  # newest begun first
        schooling, place = known.get(seeker, {}), past[0][3] if past else None
        recorded = [when for when in schooling if when <= at]
        latest = schooling[max(recorded)] if recorded else (None, None)
        done = acted.get(seeker, [])
        first = bisect_left(done, (at - round(config.history_days * DAY_US),))
        recent = done[first : bisect_left(done, (at,))][::-1][: config.most_actions]  # newest first
        last: dict[int, ActivityKind] = {}
        for _, item, action in recent:
            last.setdefault(item, action)
        activity = tuple(Activity(inventory.jobs[item].job_id, action, _time(when)) for when, item, action in recent)
        profile = SeekerProfile(
            seeker,
            tuple(position[2] for position in past[: config.most_titles]),
            geo=place if place is not None else latest[0],
            education_years=latest[1],
            activity=activity,
        )
        liked = tuple(inventory.jobs[item] for item, action in last.items() if action != "dismiss")
        dismissed = tuple(inventory.jobs[item] for item, action in last.items() if action == "dismiss")
        out.append(Request(profile, liked=liked, dismissed=dismissed))
    return out


def _positions(tables: Tables) -> dict[str, list[tuple[int, int, str, str]]]:
    """Per seeker (on record from, begun, title, geo) of its positions."""
    table = tables["positions"]
    begun, recorded = _micros(table["started_at"]), _micros(table["recorded_at"])
    rows = zip(
        table["seeker_id"].to_pylist(),
        np.maximum(begun, recorded).tolist(),
        begun.tolist(),
        table["title"].to_pylist(),
        table["geo"].to_pylist(),
        strict=True,
    )
    held = defaultdict(list)
    for seeker, *position in sorted(set(rows)):  # a position recorded twice is one; ties in time go by title
        held[seeker].append(tuple(position))
    return held


def _seekers(tables: Tables) -> dict[str, dict[int, tuple[str, float | None]]]:
    """Per seeker {recorded at: (geo, years of schooling or None)}."""
    known: dict[str, dict[int, tuple[str, float | None]]] = defaultdict(dict)
    if "seekers" in tables:
        table = tables["seekers"]
        has_schooling = "education_years" in table.column_names
        years = table["education_years"].to_pylist() if has_schooling else [None] * table.num_rows
        rows = zip(
            table["seeker_id"].to_pylist(),
            _micros(table["updated_at"]).tolist(),
            table["geo"].to_pylist(),
            years,
            strict=True,
        )
        for seeker, at, geo, schooling in rows:
            known[seeker][at] = (geo, schooling)
    return known


def _actions(events: dict[str, pd.DataFrame]) -> dict[str, list[tuple[int, int, ActivityKind]]]:
    """Per seeker (at, item, action), oldest first."""
    acted = defaultdict(list)
    for name, action in ACTIONS.items():
        frame = events[name]
        for seeker, at, item in zip(frame.seeker_id, frame["at"].tolist(), frame["item"].tolist(), strict=True):
            acted[seeker].append((at, item, action))
    for done in acted.values():
        done.sort()
    return acted


def _events(tables: Tables, name: str, row_of: dict[str, int]) -> pd.DataFrame:
    """seeker_id, item, at, position (NaN: unknown) of each event once; of rows with one event_id the earliest."""
    if name not in tables:
        return pd.DataFrame({"seeker_id": np.zeros(0, object), "item": [], "at": [], "position": []}).astype(
            {"item": np.int64, "at": np.int64, "position": float}
        )
    table = tables[name]
    jobs = table["job_id"].to_pylist()
    unknown = next((row for row, job in enumerate(jobs) if job not in row_of), None)
    if unknown is not None:
        raise DataError(
            name, f"job {jobs[unknown]!r} is not in the table jobs", "Export every job of the events", row=unknown
        )
    positions = table["position"].to_pylist() if "position" in table.column_names else [None] * table.num_rows
    frame = pd.DataFrame(
        {
            "event_id": table["event_id"].to_pylist(),
            "seeker_id": table["seeker_id"].to_pylist(),
            "item": np.array([row_of[job] for job in jobs], np.int64),
            "at": _micros(table["occurred_at"]),
            "position": np.array(positions, float),
        }
    )
    frame = frame.sort_values(["at", "seeker_id", "item"]).drop_duplicates("event_id")
    return frame.drop(columns="event_id").reset_index(drop=True)


def _inventory(tables: Tables) -> Inventory:
    """The jobs by id; of several rows of one job the one posted last."""
    frame = tables["jobs"].to_pandas()
    frame["posted"] = _micros(tables["jobs"]["posted_at"])
    ends = "expires_at" in frame
    frame["expires"] = _micros(tables["jobs"]["expires_at"]) if ends else NEVER
    frame = frame.sort_values(["job_id", "posted"]).drop_duplicates("job_id", keep="last")
    given = {name: frame.get(name, pd.Series([None] * len(frame), frame.index)) for name in OPTIONAL}
    jobs = [
        Job(
            *(job_id, account, title, company, _or(description, ""), geo, occupation),
            seniority=_or(seniority, None),
            remote=bool(_or(remote, False)),
            wage=_or(wage, None),
            expires_at=None if expires == NEVER else _time(expires),
            posted_at=_time(posted),
        )
        for job_id, account, title, company, geo, occupation, posted, expires, description, seniority, remote, wage in (
            zip(
                *(
                    frame[name].tolist()
                    for name in ("job_id", "account_id", "title", "employer_id", "geo", "occupation")
                ),
                *(frame[name].tolist() for name in ("posted", "expires")),
                *(given[name].tolist() for name in OPTIONAL),
                strict=True,
            )
        )
    ]
    taxonomy = tables.taxonomy
    major = [
        int(taxonomy.major[taxonomy.position[code]]) if code in taxonomy.position else -1 for code in frame.occupation
    ]
    return Inventory(
        tuple(jobs),
        frame.posted.to_numpy(np.int64),
        frame.expires.to_numpy(np.int64),
        np.array(major, np.int32),
        taxonomy.major_names,
        dict(zip(taxonomy.codes, taxonomy.titles, strict=True)),
    )


def _or(value, default):
    return default if pd.isna(value) else value


def _time(micros: int) -> datetime:
    return EPOCH + timedelta(microseconds=micros)


def _micros(column) -> np.ndarray:
    """int64[n] microseconds since 1970; NEVER where there is no time."""
    return np.asarray(column.cast("int64").fill_null(NEVER))
