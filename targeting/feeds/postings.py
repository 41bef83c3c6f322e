"""JSON objects of a feed as jobs: our own fields (as POST /v1/jobs:batch takes them), or schema.org JobPosting.

JobPosting needs title, description, datePosted, hiringOrganization, and jobLocation or jobLocationType TELECOMMUTE
with applicantLocationRequirements. Of several locations the first one counts.
"""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import Any

from market.clock import parse_rfc3339
from market.records import Job
from targeting.feeds.items import (
    HOURS_A_YEAR,
    LINE,
    PROSE,
    BadItemError,
    Item,
    clean,
    job_id_of,
    moment,
    one_line,
    prose,
    wage,
)

_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_LINES = ("title", "company", "geo", "occupation", "seniority")
_NEEDED = ("job_id", "title", "company", "description", "geo")
_FIELDS = frozenset((*_NEEDED, *_LINES, "account_id", "skills", "remote", "wage", "expires_at", "posted_at"))


def read_job(given: dict[str, Any], account: str) -> Item:
    """A job in our own fields; account_id may be left out, and may not be another one."""
    unknown = sorted(set(given) - _FIELDS)
    if unknown:
        raise BadItemError(f"unknown field {unknown[0][:40]!r}")
    missing = [name for name in _NEEDED if given.get(name) is None]
    if missing:
        raise BadItemError(f"{', '.join(missing)} missing")
    if given.get("account_id", account) != account:
        raise BadItemError("account_id is another account than the one the feed is imported for")
    job_id, description = given["job_id"], given["description"]
    if not isinstance(job_id, str) or not _ID.fullmatch(job_id):
        raise BadItemError("job_id: expected 1 to 128 letters, digits, '.', '_' or '-'")
    if not isinstance(description, str) or len(description) > PROSE:
        raise BadItemError(f"description: expected a text of at most {PROSE} characters")
    skills, remote, paid = given.get("skills") or [], given.get("remote", False), given.get("wage")
    if not isinstance(skills, list) or len(skills) > 200:
        raise BadItemError("skills: expected a list of at most 200 texts")
    if not isinstance(remote, bool):
        raise BadItemError("remote: expected true or false")
    if paid is not None and (isinstance(paid, bool) or not isinstance(paid, (int, float)) or not 0 <= paid <= 1e9):
        raise BadItemError("wage: expected a number from 0 to 1e9")
    lines = {name: None if given.get(name) is None else _text(given[name], name) for name in _LINES}
    title, company, geo = lines.pop("title"), lines.pop("company"), lines.pop("geo")
    assert title is not None
    assert company is not None
    assert geo is not None
    return Item(
        0,
        Job(
            job_id,
            account,
            title,
            company,
            clean(description, "description"),
            geo,
            skills=tuple(_text(skill, "skills") for skill in skills),
            remote=remote,
            wage=None if paid is None else float(paid),
            expires_at=_time(given.get("expires_at"), "expires_at"),
            posted_at=_time(given.get("posted_at"), "posted_at"),
            **lines,
        ),
    )


def read_posting(given: dict[str, Any], account: str) -> Item:
    """A schema.org JobPosting."""
    if given.get("@type") != "JobPosting":
        raise BadItemError("expected an object with @type JobPosting")
    notes: list[str] = []
    title, company = _said(given, "title"), _named(given.get("hiringOrganization"))
    description, posted = prose(_string(given.get("description")), "description"), _string(given.get("datePosted"))
    remote = _string(given.get("jobLocationType")).upper() == "TELECOMMUTE"
    place = _place(given.get("jobLocation")) or (_named(given.get("applicantLocationRequirements")) if remote else "")
    needed = {
        "title": title,
        "description": description,
        "datePosted": posted,
        "hiringOrganization": company,
        "jobLocation" if not remote else "jobLocation or applicantLocationRequirements": place,
    }
    missing = [name for name, found in needed.items() if not found]
    if missing:
        raise BadItemError(f"{', '.join(missing)} missing")
    if isinstance(given.get("jobLocation"), list) and len(given["jobLocation"]) > 1:
        notes.append("several_locations")
    posted_at, until = moment(posted), given.get("validThrough")
    expires_at = moment(_string(until)) if until else None
    if posted_at is None or (until and expires_at is None):
        notes.append("unreadable_date")
    paid = _salary(given.get("baseSalary"))
    if given.get("baseSalary") and paid is None:
        notes.append("unreadable_salary")
    return Item(
        0,
        Job(
            job_id_of(account, _reference(given)),
            account,
            title,
            one_line(company, "hiringOrganization"),
            description,
            one_line(place, "jobLocation"),
            skills=_skills(given.get("skills")),
            remote=remote,
            wage=paid,
            expires_at=expires_at,
            posted_at=posted_at,
        ),
        notes=tuple(notes),
    )


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= LINE:
        raise BadItemError(f"{name}: expected a text of 1 to {LINE} characters")
    return clean(value, name)


def _time(value: Any, name: str) -> datetime | None:
    if value is None:
        return None
    try:
        return parse_rfc3339(value) if isinstance(value, str) else _no_time(name)
    except ValueError:
        return _no_time(name)


def _no_time(name: str) -> datetime:
    raise BadItemError(f"{name}: expected an RFC 3339 time with offset such as 2026-03-01T08:00:00Z")


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _said(given: dict[str, Any], name: str) -> str:
    return one_line(_string(given.get(name)), name)


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value


def _named(value: Any) -> str:
    """A text, or the name of an object."""
    found = _first(value)
    return one_line(_string(found.get("name") if isinstance(found, dict) else found), "name")


def _place(value: Any) -> str:
    found = _first(value)
    if not isinstance(found, dict):
        return one_line(_string(found), "jobLocation")
    address = found.get("address", found)
    if not isinstance(address, dict):
        return one_line(_string(address), "jobLocation")
    names = ("addressLocality", "addressRegion", "addressCountry")
    return ", ".join(part for part in (_named(address.get(name)) for name in names) if part)


def _reference(given: dict[str, Any]) -> str:
    found = _first(given.get("identifier"))
    if isinstance(found, dict):
        found = found.get("value")
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)
    return _string(found or given.get("@id") or given.get("url")).strip()


def _skills(value: Any) -> tuple[str, ...]:
    given = [_string(each) for each in value] if isinstance(value, list) else _string(value).split(",")
    found = (one_line(each, "skills") for each in given[:200])
    return tuple(dict.fromkeys(each for each in found if each))


def _salary(value: Any) -> float | None:
    """baseSalary as MonetaryAmount: a number or a range (its middle), for a unit of time."""
    amount = _first(value)
    amount = amount.get("value") if isinstance(amount, dict) else None
    if not isinstance(amount, dict):
        return None
    ends = [amount.get(name) for name in ("value", "minValue", "maxValue")]
    numbers = [
        float(each)
        for each in ends
        if isinstance(each, (int, float)) and not isinstance(each, bool) and abs(each) <= 1e12
    ]
    factor = HOURS_A_YEAR.get(_string(amount.get("unitText")).lower())
    if not numbers or factor is None or not all(map(math.isfinite, numbers)):
        return None
    return wage(sum(numbers) / len(numbers) * factor)
