"""Logs of a few rows for tests by hand. Day 0 is 1 January 2024; a section is the first two characters of a code."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from market.tables import Tables, check_table
from market.taxonomy import build_taxonomy

TAXONOMY = build_taxonomy("toy", [(code, f"Title {code}", code[:2], code[:1]) for code in ("111", "112", "121", "211")])


def day(number: float) -> datetime:
    return datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=number)


def application(event: str, job: str, at: float, seeker: str = "ann") -> dict[str, Any]:
    return {"event_id": event, "seeker_id": seeker, "job_id": job, "occurred_at": day(at)}


def impression(event: str, job: str, at: float, propensity: float | None, seeker: str = "ann") -> dict[str, Any]:
    return {**application(event, job, at, seeker), "propensity": propensity}


def position(
    employer: str | None, occupation: str, start: float, seeker: str = "ann", recorded: float | None = None
) -> dict[str, Any]:
    return {
        "seeker_id": seeker,
        "employer_id": employer,
        "occupation": occupation,
        "title": occupation,
        "geo": "here",
        "started_at": day(start),
        "recorded_at": day(start if recorded is None else recorded),
    }


def job(job_id: str, posted: float = -30, expires: float | None = None) -> dict[str, Any]:
    """A job called "acme-111" is of employer acme in occupation 111."""
    employer, occupation = job_id.split("-")
    return {
        "job_id": job_id,
        "account_id": "someone",
        "employer_id": employer,
        "occupation": occupation,
        "title": job_id,
        "geo": "here",
        "posted_at": day(posted),
        "expires_at": None if expires is None else day(expires),
    }


def logs(**tables: list[dict[str, Any]]) -> Tables:
    """Tables(applications=[...], positions=[...], jobs=[...], ...), checked as anybody's."""
    checked = {name: check_table(name, pa.Table.from_pylist(rows)) for name, rows in tables.items()}
    return Tables(checked, TAXONOMY)
