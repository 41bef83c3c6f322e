"""The records packages hand to each other when they speak of single things: a job, a seeker, what they did.

Bulk data stays in tables (`market.tables`); these are for requests, answers and explanations.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

ActivityKind = Literal["apply", "save", "dismiss"]


@dataclass(frozen=True)
class Job:
    """One vacancy. occupation is a code of the running taxonomy (None: found from the title by text)."""

    job_id: str
    account_id: str
    title: str
    company: str
    description: str
    geo: str
    occupation: str | None = None
    skills: tuple[str, ...] = ()
    seniority: str | None = None
    remote: bool = False
    wage: float | None = None  # per year, in the currency of the marketplace
    expires_at: datetime | None = None
    posted_at: datetime | None = None


@dataclass(frozen=True)
class Activity:
    job_id: str
    action: ActivityKind
    at: datetime
    reason: str | None = None  # of a dismissal, where the seeker gave one


@dataclass(frozen=True)
class SeekerProfile:
    """What a request tells of a seeker: titles newest first. Never sex, race, age or birth date."""

    seeker_id: str | None = None
    titles: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    geo: str | None = None
    seniority: str | None = None
    education_years: float | None = None
    activity: tuple[Activity, ...] = ()


@dataclass(frozen=True)
class Filters:
    """Hard filters in the index's own form: an AND of OR-groups of `field=value` terms, and terms to exclude."""

    all_of: tuple[tuple[str, ...], ...] = ()
    none_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recommendation:
    """One organic answer: score is comparable within the answer only; reasons are sentences for the seeker."""

    job_id: str
    score: float
    reasons: tuple[str, ...]
