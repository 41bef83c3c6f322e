"""Tables of the simulated site's export that are not events: occupations, jobs, profiles; and how a table is made."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from market.tables import check_table
from sim.vacancies import Vacancies
from sim.world import FIT, World

DAY_US = 86_400_000_000


def profile_tables(
    world: World, late_share: float, missing_employer_share: float, seeker_id: np.ndarray, rng: np.random.Generator
) -> dict[str, pa.Table]:
    lives, careers = world.lives, world.careers
    rows = np.flatnonzero((world.fold[lives.seeker] == FIT) & (lives.start_day < world.window_day))
    seeker = lives.seeker[rows]
    recorded = lives.start_day[rows] + rng.exponential(20, len(rows))
    late = rng.random(len(rows)) < late_share
    recorded = recorded + np.where(late, rng.uniform(60, 300, len(rows)), 0)
    seen = recorded < world.window_day  # what is not recorded yet is not in the export
    rows, seeker, recorded = rows[seen], seeker[seen], recorded[seen]
    follows = np.concatenate([seeker[1:] == seeker[:-1], [False]])
    ended = np.where(follows, np.concatenate([lives.start_day[rows][1:], [0.0]]), np.nan)
    employer = np.array([f"e{i}" for i in lives.employer[rows]], dtype=object)
    employer[rng.random(len(rows)) < missing_employer_share] = None
    positions = pd.DataFrame(
        {
            "seeker_id": seeker_id[seeker],
            "employer_id": employer,
            "occupation": np.asarray(careers.taxonomy.codes, dtype=object)[lives.occupation[rows]],
            "title": [world.facts.titles[o][0] for o in lives.occupation[rows]],
            "geo": np.asarray(world.metros.ids, dtype=object)[lives.metro[seeker]],
            "started": lives.start_day[rows],
            "ended": ended,
            "recorded": recorded,
        }
    ).iloc[rng.permutation(len(rows))]
    fit = np.flatnonzero(world.fold == FIT)
    schooling = education_before(world)[fit]
    seekers = pd.DataFrame(
        {
            "seeker_id": seeker_id[fit],
            "geo": np.asarray(world.metros.ids, dtype=object)[lives.metro[fit]],
            "education_years": np.where(np.isnan(schooling), None, schooling),
            "updated": world.window_day,
        }
    )
    return {
        "positions": log_table(
            "positions", positions, {"started_at": "started", "ended_at": "ended", "recorded_at": "recorded"}
        ),
        "seekers": log_table("seekers", seekers, {"updated_at": "updated"}),
    }


def education_before(world: World) -> np.ndarray:
    """float32[S]: schooling of each seeker at its last observation up to the last visible survey year (NaN: none)."""
    careers = world.careers
    visible = careers.year <= world.config.last_year
    known = np.full(len(careers.person_ids), np.nan, np.float32)
    known[careers.person[visible]] = careers.education_years[visible]  # rows are sorted by year: the last one stays
    return known[world.lives.person]


def occupation_table(world: World) -> pa.Table:
    taxonomy = world.careers.taxonomy
    return pa.table(
        {
            "occupation": list(taxonomy.codes),
            "title": list(taxonomy.titles),
            "section": [taxonomy.section_names[i] for i in taxonomy.section],
            "major": [taxonomy.major_names[i] for i in taxonomy.major],
        }
    )


def job_table(world: World, jobs: Vacancies, job_id: np.ndarray) -> pa.Table:
    frame = pd.DataFrame(
        {
            "job_id": job_id,
            "account_id": [f"acc-{e}" for e in jobs.employer],
            "employer_id": [f"e{e}" for e in jobs.employer],
            "occupation": np.asarray(world.careers.taxonomy.codes, dtype=object)[jobs.occupation],
            "title": [world.title(jobs, i) for i in range(len(jobs))],
            "description": [world.facts.descriptions[o] for o in jobs.occupation],
            "geo": np.asarray(world.metros.ids, dtype=object)[jobs.metro],
            "remote": jobs.remote,
            "wage": np.round(jobs.wage, 2),
            "posted": jobs.posted_day,
            "expires": jobs.expires_day,
        }
    )
    return log_table("jobs", frame, {"posted_at": "posted", "expires_at": "expires"})


def log_table(name: str, frame: pd.DataFrame, times: dict[str, str]) -> pa.Table:
    """An Arrow table with day numbers turned into UTC timestamps, checked like anybody else's."""
    frame = frame.copy()
    for target, source in times.items():
        day = frame.pop(source).to_numpy(float)
        micros = np.where(np.isnan(day), 0, day * DAY_US).astype(np.int64)
        frame[target] = pa.array(micros, pa.int64(), mask=np.isnan(day)).cast(pa.timestamp("us", tz="UTC"))
    columns = {column: pa.array(frame[column], from_pandas=True) for column in frame.columns if column not in times}
    columns |= {target: _time(frame, target) for target in times}
    return check_table(name, pa.table(columns))


def _time(frame: pd.DataFrame, column: str) -> pa.Array:
    return pa.array(frame[column], pa.timestamp("us", tz="UTC"), from_pandas=True)
