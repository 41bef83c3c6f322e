"""What the logs say about quality: every impression with what came of it and everything a rule could have gone by.

Only what was known when a job was shown counts: positions recorded by then, postings out by then, dismissals before.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd

from market.errors import DataError
from market.records import Job
from market.tables import Tables
from market.taxonomy import Metros, Taxonomy
from organic.quality.build import TITLES_READ
from organic.quality.categories import OF_COMPANY
from organic.quality.config import RuleConfig
from organic.quality.duplicates import posting_digest
from organic.quality.language import guess_language
from organic.rows import term

DAY_US = 86_400_000_000
ATTRIBUTION_DAYS = 1.0  # an action belongs to the last impression of the job at most this long before it
COMMON = 0.25  # a language of at least this share of all jobs is one everybody reads


@dataclass(frozen=True)
class Evidence:
    """n impressions in the order of time. Unknown is NaN in numbers, -1 in positions.

    seeker int64[n]; day float64[n] since 1970; dismissed, applied bool[n]; reason object[n], None where none was given
    held        int32[n, 3]: occupations of the newest positions, newest first, as positions in the taxonomy
    occupation  int32[n]: of the job
    step, asked float64[n]: seniority step of the seeker and of the job
    km          float64[n]: between the areas, 0 for remote jobs and jobs of no area, inf for an area not on the table
    weeks       float64[n]: ISO weeks since the job was posted
    foreign     float64[n]: 1 where the job is in a language the seeker is not known to read
    duplicate   bool[n]: whether a newer open copy of the posting was out
    company     float64[n]: jobs of the company the seeker had dismissed, inf after one for the company itself
    decided     bool[n]: whether the seeker had applied to the job or dismissed it
    """

    seeker: np.ndarray
    day: np.ndarray
    dismissed: np.ndarray
    applied: np.ndarray
    reason: np.ndarray
    held: np.ndarray
    occupation: np.ndarray
    step: np.ndarray
    asked: np.ndarray
    km: np.ndarray
    weeks: np.ndarray
    foreign: np.ndarray
    duplicate: np.ndarray
    company: np.ndarray
    decided: np.ndarray

    def __len__(self) -> int:
        return len(self.seeker)

    def take(self, rows: np.ndarray | slice) -> Evidence:
        return replace(self, **{each.name: getattr(self, each.name)[rows] for each in fields(self)})


def read_evidence(tables: Tables, config: RuleConfig) -> tuple[Evidence, tuple[str, ...]]:
    """The evidence in the logs, and the languages common among the jobs.

    Scale and areas are those of `config`; its languages, or the common ones, are what everybody reads. Seniority is
    read from columns `seniority` of jobs and positions where they are there.
    """
    jobs = _jobs(tables)
    shown = _events(tables, "impressions")
    shown = shown.merge(jobs.reset_index(names="job"), on="job_id").sort_values(["day", "seeker_id", "job_id"])
    if not len(shown):
        raise DataError("impressions", "none shows a job of the jobs table", "export the jobs that were shown")
    shown = shown.reset_index(drop=True)
    dismissals, applications = _events(tables, "dismissals"), _events(tables, "applications")
    reasons = dismissals["reason"] if "reason" in dismissals else pd.Series([None] * len(dismissals), dtype=object)
    dismissals = dismissals.assign(reason=reasons.astype(object).where(reasons.notna(), None))
    waved, applied = _belonging(shown, dismissals), _belonging(shown, applications)
    reason = np.full(len(shown), None, object)
    reason[waved[waved >= 0]] = dismissals.reason.to_numpy()[waved >= 0]
    likes = pd.concat([applications, _events(tables, "saves")]) if "saves" in tables else applications
    languages = config.languages or common_languages(jobs.language)
    held, step = _held(shown, tables, config)
    evidence = Evidence(
        seeker=pd.factorize(shown.seeker_id, sort=True)[0],
        day=shown.day.to_numpy(),
        dismissed=_marked(len(shown), waved),
        applied=_marked(len(shown), applied),
        reason=reason,
        held=held,
        occupation=_positions(shown.occupation, tables.taxonomy),
        step=step,
        asked=_steps(shown.seniority, config),
        km=_distances(shown, tables, config.areas),
        weeks=_week(shown.day) - _week(shown.posted),
        foreign=_foreign(shown, likes.merge(jobs, on="job_id"), languages),
        duplicate=_overtaken(shown, jobs),
        company=_dismissed_of_company(shown, dismissals.merge(jobs, on="job_id")),
        decided=_decided(shown, pd.concat([applications, dismissals])),
    )
    return evidence, tuple(languages)


def common_languages(languages: pd.Series) -> tuple[str, ...]:
    """Those of at least a quarter of all jobs, sorted. Jobs whose language is not known count: where hardly any is, the
    few that are say nothing of the rest."""
    shares = languages.value_counts() / max(1, len(languages))
    return tuple(sorted(shares.index[shares >= COMMON]))


def _events(tables: Tables, name: str) -> pd.DataFrame:
    """seeker_id, job_id, day, (reason), each event once, by time."""
    frame = tables[name].to_pandas().drop_duplicates("event_id")
    frame["day"] = _day(frame.occurred_at)
    columns = ["seeker_id", "job_id", "day", *(["reason"] if "reason" in frame else [])]
    return frame[columns].sort_values(["day", "seeker_id", "job_id"], kind="stable").reset_index(drop=True)


def _jobs(tables: Tables) -> pd.DataFrame:
    """One row a job with what the rules go by: occupation, geo, remote, seniority, posted, expires, company, ..."""
    frame = tables["jobs"].to_pandas().drop_duplicates("job_id", keep="last").reset_index(drop=True)
    for column, blank in (("description", ""), ("seniority", None), ("remote", False), ("expires_at", pd.NaT)):
        if column not in frame:
            frame[column] = blank
    described = frame.description.fillna("").astype(str)
    records = [
        Job(job_id, "", title, company, text, geo)
        for job_id, title, company, text, geo in zip(
            frame.job_id, frame.title, frame.employer_id, described, frame.geo, strict=True
        )
    ]
    guessed: dict[str, str | None] = {}
    for job in records:
        text = f"{job.title}\n{job.description}"
        if text not in guessed:
            guessed[text] = guess_language(text)
    expires = pd.to_datetime(frame.expires_at, utc=True)
    return pd.DataFrame(
        {
            "job_id": frame.job_id,
            "occupation": frame.occupation,
            "job_geo": frame.geo,
            "remote": frame.remote.fillna(False).astype(bool),
            "seniority": frame.seniority.astype(object),
            "posted": _day(frame.posted_at),
            "expires": np.where(expires.notna(), _day(expires.fillna(pd.Timestamp(0, tz="UTC"))), np.inf),
            "company": [term("company", job.company) if job.company.strip() else "" for job in records],
            "copies": pd.factorize(np.array([posting_digest(job).hex() for job in records]))[0],
            "language": pd.Series([guessed[f"{job.title}\n{job.description}"] for job in records], dtype=object),
        }
    )


def _belonging(shown: pd.DataFrame, events: pd.DataFrame) -> np.ndarray:
    """int64[events]: the impression each event belongs to, -1 for none."""
    last = pd.merge_asof(
        events[["seeker_id", "job_id", "day"]],
        shown[["seeker_id", "job_id", "day"]].assign(row=np.arange(len(shown))),
        on="day",
        by=["seeker_id", "job_id"],
        tolerance=ATTRIBUTION_DAYS,
    )
    return last.row.fillna(-1).to_numpy(np.int64)


def _marked(n: int, rows: np.ndarray) -> np.ndarray:
    mark = np.zeros(n, bool)
    mark[rows[rows >= 0]] = True
    return mark


def _held(shown: pd.DataFrame, tables: Tables, config: RuleConfig) -> tuple[np.ndarray, np.ndarray]:
    """int32[n, 3] occupations of the newest recorded positions, and float64[n] the step of the newest of them."""
    frame = tables["positions"].to_pandas()
    frame["day"] = _day(frame.recorded_at)
    frame = frame.sort_values(["seeker_id", "day", "started_at"]).reset_index(drop=True)
    occupation = _positions(frame.occupation, tables.taxonomy)
    steps = _steps(frame.seniority, config) if "seniority" in frame else np.full(len(frame), np.nan)
    seekers, seeker = np.unique(frame.seeker_id.to_numpy(str), return_inverse=True)
    of_shown = np.searchsorted(seekers, shown.seeker_id.to_numpy(str))
    known = of_shown < len(seekers)
    known[known] = seekers[of_shown[known]] == shown.seeker_id.to_numpy(str)[known]
    held, step = np.full((len(shown), TITLES_READ), -1, np.int32), np.full(len(shown), np.nan)
    edges = np.searchsorted(seeker, np.arange(len(seekers) + 1))
    recorded, day = frame.day.to_numpy(), shown.day.to_numpy()
    for row in np.flatnonzero(known).tolist():
        low, high = edges[of_shown[row]], edges[of_shown[row] + 1]
        end = low + np.searchsorted(recorded[low:high], day[row], side="right")
        newest = np.arange(end - 1, max(low, end - TITLES_READ) - 1, -1)
        held[row, : len(newest)] = occupation[newest]
        step[row] = steps[end - 1] if end > low else np.nan
    return held, step


def _positions(codes: pd.Series, taxonomy: Taxonomy) -> np.ndarray:
    return codes.map(taxonomy.position).fillna(-1).to_numpy(np.int32)


def _steps(words: pd.Series, config: RuleConfig) -> np.ndarray:
    steps = [config.step_of(word) if isinstance(word, str) else None for word in words]
    return np.array([np.nan if step is None else step for step in steps], float)


def _distances(shown: pd.DataFrame, tables: Tables, areas: Mapping[str, tuple[float, float]]) -> np.ndarray:
    if not areas or "seekers" not in tables:
        return np.full(len(shown), np.nan)
    homes = tables["seekers"].to_pandas().drop_duplicates("seeker_id", keep="last").set_index("seeker_id").geo
    names = tuple(areas)
    latitude, longitude = np.array([areas[name] for name in names], float).T
    table = Metros(names, names, latitude, longitude, np.ones(len(names))).distance_km
    position = {name: at for at, name in enumerate(names)}
    home = shown.seeker_id.map(homes).map(position).fillna(-1).to_numpy(np.int64)
    there = shown.job_geo.map(position).fillna(-1).to_numpy(np.int64)
    km = np.where(there >= 0, table[home, there], np.inf)
    nowhere = shown.remote.to_numpy() | (shown.job_geo.str.strip() == "").to_numpy()
    return np.where(home < 0, np.nan, np.where(nowhere | (home == there), 0.0, km))


def _foreign(shown: pd.DataFrame, likes: pd.DataFrame, languages: tuple[str, ...]) -> np.ndarray:
    if not languages:
        return np.full(len(shown), np.nan)
    read: dict[tuple[str, str], float] = {}  # (seeker, language) -> since when
    for seeker, language, day in zip(likes.seeker_id, likes.language, likes.day, strict=True):
        if isinstance(language, str):
            read[seeker, language] = min(day, read.get((seeker, language), np.inf))
    foreign = np.zeros(len(shown))
    unusual = np.flatnonzero(~shown.language.isin(languages) & shown.language.notna())
    some = shown.iloc[unusual]
    for row, seeker, language, day in zip(unusual.tolist(), some.seeker_id, some.language, some.day, strict=True):
        foreign[row] = read.get((seeker, language), np.inf) >= day
    return np.where(shown.language.notna(), foreign, np.nan)


def _overtaken(shown: pd.DataFrame, jobs: pd.DataFrame) -> np.ndarray:
    """bool[n]: of the copies out at the time the newest is another one, and open."""
    order = np.lexsort((np.arange(len(jobs)), jobs.posted, jobs.copies))
    copies, posted, expires = jobs.copies.to_numpy()[order], jobs.posted.to_numpy()[order], jobs.expires.to_numpy()
    edges = np.searchsorted(copies, np.arange(copies.max() + 2))
    of_shown, job_of_shown, day_of_shown = shown.copies.to_numpy(), shown.job.to_numpy(), shown.day.to_numpy()
    duplicate = np.zeros(len(shown), bool)
    for row in np.flatnonzero(np.diff(edges)[of_shown] > 1).tolist():
        low, high = edges[of_shown[row]], edges[of_shown[row] + 1]
        job, day = job_of_shown[row], day_of_shown[row]
        out = low + np.searchsorted(posted[low:high], day, side="right")
        newest = order[out - 1] if out > low else job
        duplicate[row] = newest != job and expires[newest] > day
    return duplicate


def _dismissed_of_company(shown: pd.DataFrame, dismissals: pd.DataFrame) -> np.ndarray:
    first: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)  # (seeker, company) -> job -> first day
    muted: dict[tuple[str, str], float] = {}
    for seeker, job_id, company, reason, day in zip(
        dismissals.seeker_id, dismissals.job_id, dismissals.company, dismissals.reason, dismissals.day, strict=True
    ):
        if company:
            days = first[seeker, company]
            days[job_id] = min(day, days.get(job_id, np.inf))
            if reason == OF_COMPANY:
                muted[seeker, company] = min(day, muted.get((seeker, company), np.inf))
    sorted_days = {pair: sorted(days.values()) for pair, days in first.items()}
    found = np.zeros(len(shown))
    for row, (pair, day) in enumerate(zip(zip(shown.seeker_id, shown.company, strict=True), shown.day, strict=True)):
        if pair in sorted_days:
            found[row] = np.inf if muted.get(pair, np.inf) < day else bisect_left(sorted_days[pair], day)
    return found


def _decided(shown: pd.DataFrame, decisions: pd.DataFrame) -> np.ndarray:
    first = decisions.groupby(["seeker_id", "job_id"]).day.min()
    since = first.reindex(pd.MultiIndex.from_frame(shown[["seeker_id", "job_id"]])).to_numpy()
    return np.nan_to_num(since, nan=np.inf) < shown.day.to_numpy()


def _day(times: pd.Series) -> np.ndarray:
    """float64: days since 1970."""
    return times.to_numpy("datetime64[us]").astype(np.int64) / DAY_US


def _week(day: pd.Series) -> np.ndarray:
    """float64: number of the ISO week; 1970 began on a Thursday."""
    return np.floor((day.to_numpy() + 3) / 7)
