"""The simulated site that the quality rules are tried on: what `sim` has, and the faults that it does not write.

Added here, all assumptions: seniority words (from the preparation level of an occupation, so that they say nothing an
occupation does not), postings in a language nobody on the site reads, vacancies posted again while the old posting is
still out, and old postings. *Mechanics*: how people react to them is our own click model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa

from market.records import Activity, Job, SeekerProfile
from market.tables import Tables, check_table
from sim.behaviour import apply_probability, click_logit, examination, grade_table
from sim.dismissals import (
    DismissalConfig,
    bad_match_probability,
    disliked,
    dismissal_probability,
    draw_reasons,
    overtaken,
)
from sim.market import active_seekers
from sim.stage import inventory_jobs, profile
from sim.world import SERVE, World

FOREIGN_SHARE = 0.06  # of vacancies
FOREIGN_APPLY = 0.2  # of those who would apply, the share that does so in a language they do not read
REPOST_SHARE = 0.10  # of the window's vacancies, posted again by the same employer 7 to 30 days later
OLD_SHARE = 0.30  # of the window's vacancies, up to 40 days older than the others
FOREIGN_TEXT = "Wir suchen zum nächsten Termin eine Person für diese Stelle und freuen uns auf Ihre Bewerbung mit Foto"
STEP_WORDS = ("entry", "junior", "mid", "senior", "director")
POINTS, WEIGHTS = np.polynomial.hermite_e.hermegauss(9)  # of a standard normal taste


def step_words(level: np.ndarray) -> list[str]:
    """The word for each preparation level 1 to 5."""
    return [STEP_WORDS[round(step) - 1] for step in np.clip(level, 1, 5).tolist()]


def with_faults(world: World, logs: Mapping[str, pa.Table], config: DismissalConfig) -> Tables:
    """The logs with seniority words and foreign postings, and what seekers would have done about the latter."""
    rng = np.random.default_rng([world.config.seed, 37])
    taxonomy, level = world.careers.taxonomy, world.facts.level
    tables = dict(logs)
    for name in ("jobs", "positions"):
        occupation = [taxonomy.position[code] for code in logs[name]["occupation"].to_pylist()]
        tables[name] = logs[name].append_column("seniority", pa.array(step_words(level[occupation])))
    jobs = tables["jobs"].to_pandas()
    foreign = rng.random(len(jobs)) < FOREIGN_SHARE
    tables["jobs"] = _table("jobs", jobs.assign(description=jobs.description.where(~foreign, FOREIGN_TEXT)))

    affected = set(jobs.job_id[foreign])
    shown = logs["impressions"].to_pandas().drop_duplicates("event_id")
    shown_pairs = set(zip(shown.seeker_id, shown.job_id, strict=True))
    applications = logs["applications"].to_pandas()
    pairs = zip(applications.seeker_id, applications.job_id, strict=True)
    through_list = np.array([pair in shown_pairs and pair[1] in affected for pair in pairs])
    kept = ~through_list | (rng.random(len(applications)) < FOREIGN_APPLY)
    tables["applications"] = _table("applications", applications[kept])

    applied = set(zip(applications.seeker_id[kept], applications.job_id[kept], strict=True))
    dismissed = logs["dismissals"].to_pandas()
    done = applied | set(zip(dismissed.seeker_id, dismissed.job_id, strict=True))
    open_ = np.array([(s, j) not in done for s, j in zip(shown.seeker_id, shown.job_id, strict=True)])
    seen = examination(world.behaviour, int(shown.position.max()))[shown.position.to_numpy() - 1]
    waves = shown.job_id.isin(affected) & open_ & (rng.random(len(shown)) < seen * config.language)
    more = shown[waves].assign(event_id=[f"lan-{i}" for i in range(int(waves.sum()))])
    more["reason"] = draw_reasons(config, {"language": np.ones(len(more), bool)}, rng)
    tables["dismissals"] = _table("dismissals", pd.concat([dismissed, more], ignore_index=True))
    return Tables(tables, taxonomy)


def _table(name: str, frame: pd.DataFrame) -> pa.Table:
    return check_table(name, pa.Table.from_pandas(frame, preserve_index=False))


@dataclass(frozen=True)
class Shelf:
    """The J postings of the window: job records, and per posting occupation, metro, employer int64[J], posted
    float64[J] days, wage float64[J], foreign, copied (a newer copy is out) bool[J]; vacancy int64[J], equal for copies.
    """

    jobs: tuple[Job, ...]
    occupation: np.ndarray
    metro: np.ndarray
    employer: np.ndarray
    posted: np.ndarray
    wage: np.ndarray
    foreign: np.ndarray
    copied: np.ndarray
    vacancy: np.ndarray


def fill_shelf(world: World) -> Shelf:
    """The vacancies that are open when the window opens, with all faults, oldest first."""
    rng = np.random.default_rng([world.config.seed, 41])
    stock, day = world.inventory, world.window_day
    here = np.flatnonzero((stock.posted_day <= day) & (stock.expires_day > day))
    foreign = rng.random(len(stock)) < FOREIGN_SHARE
    posted = stock.posted_day - np.where(rng.random(len(stock)) < OLD_SHARE, rng.uniform(0, 40, len(stock)), 0)
    again = here[rng.random(len(here)) < REPOST_SHARE]
    row = np.concatenate([here, again])
    posted = np.concatenate([posted[here], np.minimum(posted[again] + rng.uniform(7, 30, len(again)), day - 0.1)])
    order = np.argsort(posted, kind="stable")
    row, posted = row[order], posted[order]
    variants = np.array([len(titles) for titles in world.facts.titles])[stock.occupation]
    parts = [stock.employer, stock.metro, stock.occupation, stock.title % variants, foreign]
    keys = np.unique(np.stack(parts, axis=1)[row], axis=0, return_inverse=True)[1].ravel()
    records = inventory_jobs(world)
    words = step_words(world.facts.level[stock.occupation])
    jobs = tuple(
        replace(
            records[r],
            job_id=f"v{number}",
            description=FOREIGN_TEXT if foreign[r] else records[r].description,
            seniority=words[r],
            posted_at=instant(at),
        )
        for number, (r, at) in enumerate(zip(row.tolist(), posted.tolist(), strict=True))
    )
    return Shelf(
        jobs,
        stock.occupation[row].astype(np.int64),
        stock.metro[row].astype(np.int64),
        stock.employer[row].astype(np.int64),
        posted,
        stock.wage[row],
        foreign[row],
        overtaken(keys, posted, np.arange(len(row)), np.full(len(row), day)),
        keys,
    )


def instant(day: float) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)


def no_copy_seen(vacancy: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """float64[S, k]: P(no posting of the same vacancy was seen higher up), from vacancy int64[S, k], P(seen) [S, k]."""
    unseen = np.ones(seen.shape)
    for rank in range(1, seen.shape[1]):
        same = vacancy[:, :rank] == vacancy[:, rank : rank + 1]  # [S, rank]
        unseen[:, rank] = np.where(same, 1 - seen[:, :rank], 1.0).prod(axis=1)
    return unseen


@dataclass(frozen=True)
class Crowd:
    """S seekers of the serve fold who will move within a year, one copy of each person.

    row int64[S]: in the world; current, following int64[S]: occupation held, and the recorded next one.
    """

    world: World
    profiles: tuple[SeekerProfile, ...]
    row: np.ndarray
    current: np.ndarray
    following: np.ndarray

    @classmethod
    def of(cls, world: World, most: int) -> Crowd:
        start, end, following = world.lives.known_at(world.window_day)
        active = active_seekers(world, SERVE)
        _, first = np.unique(world.lives.person[active], return_index=True)
        row = active[first][np.sort(np.random.default_rng([world.config.seed, 43]).permutation(len(first))[:most])]
        current = world.lives.occupation[end[row] - 1].astype(np.int64)
        words = step_words(world.facts.level[current])
        profiles = [
            replace(profile(world, int(s), start, end), seniority=word) for s, word in zip(row, words, strict=True)
        ]
        return cls(world, tuple(profiles), row, current, world.lives.occupation[following[row]].astype(np.int64))

    def causes(self, config: DismissalConfig, shelf: Shelf, shown: np.ndarray) -> dict[str, np.ndarray]:
        """bool[S * k] by name, for shown int64[S, k] vacancies (-1: none, no cause)."""
        world, job, there = self.world, np.maximum(shown, 0), shown >= 0
        grade = grade_table(world.careers.taxonomy, world.behaviour)[self.following[:, None], shelf.occupation[job]]
        gap = np.abs(world.facts.level[shelf.occupation[job]] - world.facts.level[self.current][:, None])
        seeker = np.broadcast_to(self.row[:, None], shown.shape)
        company = disliked(config, seeker.ravel(), shelf.employer[job].ravel()).reshape(shown.shape)
        causes = {
            "occupation": grade <= 0,
            "seniority": gap >= config.level_gap,
            "stale": world.window_day - shelf.posted[job] > config.stale_days,
            "duplicate": shelf.copied[job],
            "company": company,
            "language": shelf.foreign[job],
        }
        return {name: (present & there).ravel() for name, present in causes.items()}

    def expected(self, config: DismissalConfig, shelf: Shelf, shown: np.ndarray) -> dict[str, np.ndarray]:
        """float64[S, k] each, of what is shown at each rank.

        postings      P(application), over the taste of the seeker and the appeal of the job (Gauss-Hermite)
        applications  the same with each vacancy once: of two copies that are seen, the second brings nothing, because
                      the same person decides alike about the same job
        bad, dismissals   P(dismissal for a cause), P(dismissal)
        """
        world, job, there = self.world, np.maximum(shown, 0), shown >= 0
        behaviour, facts = world.behaviour, world.facts
        grade = grade_table(world.careers.taxonomy, behaviour)[self.following[:, None], shelf.occupation[job]]
        own = facts.wage[self.current, world.lives.metro[self.row]][:, None]
        wage = np.log(shelf.wage[job] / own)
        gap = np.abs(facts.level[shelf.occupation[job]] - facts.level[self.current][:, None])
        nothing = np.zeros(shown.shape)
        logit = click_logit(behaviour, grade, wage, nothing, gap, nothing, nothing).astype(np.float64)
        click = behaviour["click"]
        spread = np.hypot(click["taste_sd"], click["campaign_sd"])
        clicks = (
            sum(weight / (1 + np.exp(-(logit + spread * point))) for point, weight in zip(POINTS, WEIGHTS, strict=True))
            / WEIGHTS.sum()
        )
        applies = clicks * apply_probability(behaviour, grade, wage, gap)
        applies = applies * np.where(shelf.foreign[job], FOREIGN_APPLY, 1.0)
        causes = self.causes(config, shelf, shown)
        seen = examination(behaviour, shown.shape[1]) * there
        bad, any_ = (p(config, causes).reshape(shown.shape) for p in (bad_match_probability, dismissal_probability))
        return {
            "postings": seen * applies,
            "applications": seen * applies * no_copy_seen(shelf.vacancy[job], seen),
            "bad": seen * (1 - applies) * bad,
            "dismissals": seen * (1 - applies) * any_,
        }

    def after(
        self, config: DismissalConfig, shelf: Shelf, shown: np.ndarray, at: datetime
    ) -> tuple[SeekerProfile, ...]:
        """The profiles with what the seekers did about a first list: applications and dismissals, some with reasons."""
        rng = np.random.default_rng([self.world.config.seed, 47])
        expected, causes = self.expected(config, shelf, shown), self.causes(config, shelf, shown)
        applied = rng.random(shown.shape) < expected["postings"]
        waved = ~applied & (rng.random(shown.shape) < expected["dismissals"])
        reasons = np.full(shown.shape, None, object)
        reasons[waved] = draw_reasons(config, {name: each[waved.ravel()] for name, each in causes.items()}, rng)
        activity: list[list[Activity]] = [[] for _ in self.profiles]
        for seeker, rank in np.argwhere(applied | waved).tolist():
            kind = "apply" if applied[seeker, rank] else "dismiss"
            job = shelf.jobs[shown[seeker, rank]]
            activity[seeker].append(Activity(job.job_id, kind, at, reasons[seeker, rank]))
        return tuple(replace(known, activity=tuple(done)) for known, done in zip(self.profiles, activity, strict=True))
