"""The rules once more, as plain questions about one seeker and one job: slow, obvious, without terms or clauses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from math import asin, cos, radians, sin, sqrt

from market.records import Job, SeekerProfile
from organic.quality.config import RuleConfig
from organic.quality.language import guess_language


def same_name(text: str) -> str:
    return " ".join(text.casefold().split())


def allowed(
    rule: str,
    seeker: SeekerProfile,
    job: Job,
    config: RuleConfig,
    now: datetime,
    known_jobs: Mapping[str, Job],
    occupations: list[str],
    duplicate: bool,
) -> bool:
    """Whether the rule lets the job through; ASCII names only."""
    questions: dict[str, Callable[[], bool]] = {
        "wrong-occupation": lambda: near_occupation(occupations, job, config),
        "missing-skill": lambda: shares_a_skill(seeker, job, config.least_skills),
        "too-senior": lambda: steps_above(seeker, job, config) <= config.steps_up,
        "too-junior": lambda: -steps_above(seeker, job, config) <= config.steps_down,
        "too-far": lambda: near(seeker, job, config),
        "wrong-language": lambda: readable(seeker, job, config, known_jobs),
        "stale": lambda: job.posted_at is None or -1 <= weeks_between(job.posted_at, now) <= config.stale_weeks,
        "duplicate": lambda: not duplicate,
        "company-muted": lambda: not muted(seeker, job, config, known_jobs),
    }
    return questions[rule]()


def near_occupation(occupations: list[str], job: Job, config: RuleConfig) -> bool:
    if not occupations or job.occupation not in config.groups:
        return True
    for code in occupations:
        if code not in config.groups or config.groups[code] not in config.neighbours:
            return True
    own = config.groups[job.occupation]
    return any(own == config.groups[code] or own in config.neighbours[config.groups[code]] for code in occupations)


def shares_a_skill(seeker: SeekerProfile, job: Job, least: int) -> bool:
    mine = {same_name(skill) for skill in seeker.skills if skill.strip()}
    asked = {same_name(skill) for skill in job.skills if skill.strip()}
    return len(mine) < least or len(asked) < 3 or bool(mine & asked)


def steps_above(seeker: SeekerProfile, job: Job, config: RuleConfig) -> int:
    mine, asked = (
        config.scale.get(same_name(word)) if word is not None else None for word in (seeker.seniority, job.seniority)
    )
    return 0 if mine is None or asked is None else asked - mine


def near(seeker: SeekerProfile, job: Job, config: RuleConfig) -> bool:
    if seeker.geo not in config.areas or job.remote or not job.geo.strip() or job.geo == seeker.geo:
        return True
    if job.geo not in config.areas:
        return False
    (lat, lon), (other_lat, other_lon) = config.areas[seeker.geo], config.areas[job.geo]
    half = (
        sin(radians(other_lat - lat) / 2) ** 2
        + cos(radians(lat)) * cos(radians(other_lat)) * sin(radians(other_lon - lon) / 2) ** 2
    )
    return 2 * 6371 * asin(sqrt(half)) <= config.distance_km


def readable(seeker: SeekerProfile, job: Job, config: RuleConfig, known_jobs: Mapping[str, Job]) -> bool:
    written = guess_language(f"{job.title}\n{job.description}")
    if not config.languages or written is None or written in config.languages:
        return True
    if written == guess_language("\n".join([*seeker.titles, *seeker.skills])):
        return True
    newest = sorted(seeker.activity, key=lambda event: event.at, reverse=True)
    liked = [known_jobs[event.job_id] for event in newest if event.action != "dismiss" and event.job_id in known_jobs]
    return any(written == guess_language(f"{other.title}\n{other.description}") for other in liked[:5])


def weeks_between(posted: datetime, now: datetime) -> int:
    """Calendar weeks from one Monday to the other."""
    mondays = [(at.astimezone(UTC) - timedelta(days=at.astimezone(UTC).weekday())).date() for at in (posted, now)]
    return (mondays[1] - mondays[0]).days // 7


def muted(seeker: SeekerProfile, job: Job, config: RuleConfig, known_jobs: Mapping[str, Job]) -> bool:
    of_company = [
        event
        for event in seeker.activity
        if event.action == "dismiss"
        and event.job_id in known_jobs
        and job.company.strip()
        and same_name(known_jobs[event.job_id].company) == same_name(job.company)
    ]
    if any(event.reason == "company" for event in of_company):
        return True
    return len({event.job_id for event in of_company}) >= config.company_dismissals
