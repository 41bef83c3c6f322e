"""The job site's logs of the years before the window, in the format of production: nothing tells them apart.

Served by a neutral logging policy: at every step of a list a share of uniform draws over the open jobs of the metro,
else a draw that favours the seeker's present section; the propensity of each draw is logged. Production's noise is in:
applications without hire, hires without application, duplicated, late and unordered rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pyarrow as pa

from market.compiled import njit
from sim.behaviour import apply_probability, click_logit, examination, grade_table, hash_uniform
from sim.dismissals import (
    DismissalConfig,
    disliked,
    dismissal_probability,
    draw_reasons,
    overtaken,
    posting_keys,
)
from sim.lives import draw_employers
from sim.log_tables import job_table, log_table, occupation_table, profile_tables
from sim.vacancies import Vacancies, open_vacancies
from sim.world import FIT, World

PERIOD_DAYS = 60.0  # applications of one employer, occupation and period go to one vacancy


@dataclass(frozen=True)
class LoggingConfig:
    """How the past was served and how dirty its logs are. Shares are of rows unless said otherwise."""

    impression_days: float = 730  # impressions are kept for this long before the window
    list_length: int = 8
    uniform_share: float = 0.3  # of draws
    section_weight: float = 3.0  # weight of jobs in the present section, others 1
    off_platform_share: float = 0.2  # hires that no application explains
    lag_median_days: float = 45.0  # application to start
    lag_sd: float = 0.5  # log standard deviation
    extra_job_share: float = 0.5  # vacancies nobody was hired from
    duplicate_share: float = 0.01
    late_share: float = 0.02
    missing_employer_share: float = 0.03  # positions whose employer the seeker left out
    dismissal: DismissalConfig = field(default_factory=DismissalConfig)


@njit()
def _serve_lists(
    session_metro: np.ndarray,
    session_day: np.ndarray,
    session_section: np.ndarray,
    job_day: np.ndarray,
    job_section: np.ndarray,
    metro_start: np.ndarray,
    life_days: float,
    length: int,
    uniform_share: float,
    section_weight: float,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """A list per session, drawn without replacement: (job, propensity) [n, length]; jobs sorted by (metro, day)."""
    n = len(session_metro)
    chosen = np.full((n, length), -1, np.int32)
    propensity = np.zeros((n, length), np.float64)
    for i in range(n):
        begin, end = metro_start[session_metro[i]], metro_start[session_metro[i] + 1]
        low = begin + np.searchsorted(job_day[begin:end], session_day[i] - life_days)
        high = begin + np.searchsorted(job_day[begin:end], session_day[i])
        count = high - low
        if count == 0:
            continue
        weight = np.ones(count)
        for j in range(count):
            if job_section[low + j] == session_section[i]:
                weight[j] = section_weight
        total, left = weight.sum(), count
        for k in range(min(length, count)):
            # one draw from the mixture over the jobs not yet shown
            if hash_uniform(i, k, seed) < uniform_share:
                target = int(hash_uniform(i, k, seed + 1) * left)
                pick = -1
                for j in range(count):
                    if weight[j] > 0:
                        if target == 0:
                            pick = j
                            break
                        target -= 1
            else:
                mass = hash_uniform(i, k, seed + 1) * total
                pick = -1
                for j in range(count):
                    if weight[j] > 0:
                        pick = j
                        mass -= weight[j]
                        if mass <= 0:
                            break
            chosen[i, k] = low + pick
            propensity[i, k] = uniform_share / left + (1 - uniform_share) * weight[pick] / total
            total -= weight[pick]
            weight[pick] = 0.0
            left -= 1
    return chosen, propensity


def write_logs(world: World, config: LoggingConfig) -> dict[str, pa.Table]:
    """All log tables of the fit persons up to the window, as production would have exported them."""
    rng = np.random.default_rng([world.config.seed, 23])
    lives = world.lives
    rows = np.flatnonzero(lives.hired & (lives.start_day < world.window_day) & (world.fold[lives.seeker] == FIT))
    previous_day = lives.start_day[rows - 1]
    lag = config.lag_median_days * np.exp(rng.normal(0, config.lag_sd, len(rows)))
    lag = np.minimum(lag, 0.9 * (lives.start_day[rows] - previous_day))
    applied_day = lives.start_day[rows] - lag

    jobs, job_of_hire = _jobs(world, config, rows, applied_day, rng)
    on_platform = rng.random(len(rows)) >= config.off_platform_share
    shown = _impressions(world, config, jobs, rows, applied_day, rng)

    job_id = np.array([f"j{i}" for i in range(len(jobs))], dtype=object)
    seeker_id = np.array([world.seeker_id(i) for i in range(len(lives.person))], dtype=object)
    applications = pd.concat(
        [
            pd.DataFrame(
                {
                    "seeker_id": seeker_id[lives.seeker[rows[on_platform]]],
                    "job_id": job_id[job_of_hire[on_platform]],
                    "day": applied_day[on_platform],
                }
            ),
            pd.DataFrame(
                {
                    "seeker_id": seeker_id[shown.seeker[shown.applied]],
                    "job_id": job_id[shown.job[shown.applied]],
                    "day": shown.day[shown.applied] + 5 / 1440,
                }
            ),
        ],
        ignore_index=True,
    )
    events = {
        "impressions": _shown_rows(shown, np.ones(len(shown.seeker), bool), seeker_id, job_id),
        "clicks": _shown_rows(shown, shown.clicked, seeker_id, job_id),
        "applications": applications,
        "saves": _shown_rows(shown, shown.clicked & (rng.random(len(shown.seeker)) < 0.05), seeker_id, job_id),
    }
    rng.random(len(shown.seeker))  # a draw of earlier versions: without it the tables below would change
    tables = {
        "occupations": occupation_table(world),
        "jobs": job_table(world, jobs, job_id),
        **profile_tables(world, config.late_share, config.missing_employer_share, seeker_id, rng),
    }
    for name, frame in events.items():
        tables[name] = _event_table(name, frame, config, rng)
    # from a generator of their own, after everything else: their causes change no other table
    own = np.random.default_rng([world.config.seed, 29])
    dismissed = _dismissals(world, config.dismissal, jobs, shown, seeker_id, job_id, own)
    tables["dismissals"] = _event_table("dismissals", dismissed, config, own)
    return tables


def _event_table(name: str, frame: pd.DataFrame, config: LoggingConfig, rng: np.random.Generator) -> pa.Table:
    """With ids, a share of rows twice, in no order."""
    frame = frame.assign(event_id=[f"{name[:3]}-{i}" for i in range(len(frame))])
    twice = rng.random(len(frame)) < config.duplicate_share
    frame = pd.concat([frame, frame[twice]], ignore_index=True)
    return log_table(name, frame.iloc[rng.permutation(len(frame))], {"occurred_at": "day"})


def _dismissals(
    world: World,
    config: DismissalConfig,
    jobs: Vacancies,
    shown: Shown,
    seeker_id: np.ndarray,
    job_id: np.ndarray,
    rng: np.random.Generator,
) -> pd.DataFrame:
    """Of the jobs that were seen and not applied to, those waved away, a share of them with a reason."""
    causes = {
        "occupation": shown.grade <= 0,
        "seniority": shown.gap >= config.level_gap,
        "stale": shown.day - jobs.posted_day[shown.job] > config.stale_days,
        "duplicate": overtaken(posting_keys(world, jobs), jobs.posted_day, shown.job, shown.day),
        "company": disliked(config, shown.seeker, jobs.employer[shown.job]),
    }
    examined = examination(world.behaviour, int(shown.position.max(initial=1)))[shown.position - 1]
    chance = np.where(shown.clicked, 1.0, examined) * dismissal_probability(config, causes)
    waved = ~shown.applied & (rng.random(len(chance)) < chance)
    reasons = draw_reasons(config, {name: present[waved] for name, present in causes.items()}, rng)
    return _shown_rows(shown, waved, seeker_id, job_id).assign(reason=reasons)


def _jobs(
    world: World, config: LoggingConfig, rows: np.ndarray, applied_day: np.ndarray, rng: np.random.Generator
) -> tuple[Vacancies, np.ndarray]:
    """Vacancies behind the hires plus vacancies without any; and the vacancy of each hire. Sorted by (metro, day)."""
    lives = world.lives
    metros = len(world.metros)
    key = np.stack(
        [lives.employer[rows], lives.occupation[rows], np.floor(applied_day / PERIOD_DAYS).astype(np.int64)], axis=1
    )
    unique, job_of_hire = np.unique(key, axis=0, return_inverse=True)
    first_of = np.full(len(unique), np.iinfo(np.int64).max)
    np.minimum.at(first_of, job_of_hire, np.arange(len(rows)))
    metro = lives.metro[lives.seeker[rows]][first_of]
    extra = int(config.extra_job_share * len(unique))
    extra_occupation = rng.choice(lives.occupation[rows], extra)
    extra_metro = rng.choice(metros, extra, p=world.metros.employment / world.metros.employment.sum())
    extra_employer = draw_employers(world.careers.taxonomy.major[extra_occupation], extra_metro, metros, rng)
    extra_day = rng.choice(unique[:, 2] * PERIOD_DAYS, extra) + rng.uniform(0, PERIOD_DAYS, extra)
    extra_day -= PERIOD_DAYS * (extra_day >= world.window_day)  # an export holds no vacancy of the future

    occupation = np.concatenate([unique[:, 1], extra_occupation])
    posted = np.concatenate([unique[:, 2] * PERIOD_DAYS, extra_day])
    metro = np.concatenate([metro, extra_metro])
    employer = np.concatenate([unique[:, 0], extra_employer])
    order = np.lexsort((posted, metro))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    jobs = open_vacancies(
        world.facts,
        world.behaviour,
        occupation[order],
        metro[order],
        employer[order],
        posted[order],
        np.full(len(order), 90.0),
        world.config.remote_share,
        rng,
    )
    return jobs, place[job_of_hire.ravel()]


@dataclass(frozen=True)
class Shown:
    """One row per impression: seeker, job int; position from 1; request int; day; propensity; clicked, applied bool;
    grade: of the job for where the seeker moves next; gap: between the preparation levels."""

    seeker: np.ndarray
    job: np.ndarray
    position: np.ndarray
    request: np.ndarray
    day: np.ndarray
    propensity: np.ndarray
    clicked: np.ndarray
    applied: np.ndarray
    grade: np.ndarray
    gap: np.ndarray


def _impressions(
    world: World,
    config: LoggingConfig,
    jobs: Vacancies,
    rows: np.ndarray,
    applied_day: np.ndarray,
    rng: np.random.Generator,
) -> Shown:
    """Sessions in the sixty days before each application of the last years, and what came of them."""
    lives, facts, taxonomy = world.lives, world.facts, world.careers.taxonomy
    recent = np.flatnonzero(applied_day > world.window_day - config.impression_days)
    sessions = 1 + rng.poisson(2.0, len(recent))
    of_hire = np.repeat(recent, sessions)
    row = rows[of_hire]
    seeker = lives.seeker[row]
    day = applied_day[of_hire] - rng.uniform(0, 60, len(row))
    day = np.maximum(day, lives.start_day[row - 1])  # a session belongs to the position held before the hire
    current, following = lives.occupation[row - 1], lives.occupation[row]
    metro = lives.metro[seeker]
    chosen, propensity = _serve_lists(
        metro,
        day,
        taxonomy.section[current],
        jobs.posted_day,
        taxonomy.section[jobs.occupation],
        np.searchsorted(jobs.metro, np.arange(len(world.metros) + 1)),
        PERIOD_DAYS,
        config.list_length,
        config.uniform_share,
        config.section_weight,
        int(rng.integers(1 << 31)),
    )
    session, place = np.nonzero(chosen >= 0)
    job = chosen[session, place]
    grade = grade_table(taxonomy, world.behaviour)[following[session], jobs.occupation[job]]
    wage_ratio = np.log(jobs.wage[job] / facts.wage[current[session], metro[session]])
    gap = np.abs(facts.level[jobs.occupation[job]] - facts.level[current[session]])
    logit = click_logit(
        world.behaviour,
        grade,
        wage_ratio,
        np.zeros(len(job)),
        gap,
        rng.standard_normal(len(job)),
        rng.standard_normal(len(jobs))[job],
    )
    seen = examination(world.behaviour, config.list_length)[place]
    clicked = rng.random(len(job)) < seen / (1 + np.exp(-logit))
    applied = clicked & (rng.random(len(job)) < apply_probability(world.behaviour, grade, wage_ratio, gap))
    return Shown(
        seeker[session],
        job,
        place + 1,
        session,
        day[session] + place / 86_400,
        propensity[session, place],
        clicked,
        applied,
        grade,
        gap,
    )


def _shown_rows(shown: Shown, keep: np.ndarray, seeker_id: np.ndarray, job_id: np.ndarray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "seeker_id": seeker_id[shown.seeker[keep]],
            "job_id": job_id[shown.job[keep]],
            "request_id": ("r" + pd.Series(shown.request[keep]).astype(str)).to_numpy(),
            "position": shown.position[keep],
            "promoted": np.zeros(int(keep.sum()), bool),
            "propensity": shown.propensity[keep],
            "day": shown.day[keep],
        }
    )
