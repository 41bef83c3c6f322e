"""What every feed format is read into: one item per job of the feed, with its place, or why it was refused."""

from __future__ import annotations

import hashlib
import html
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from market.records import Job

LINE, PROSE = 500, 100_000  # characters of a one-line field and of a description, as the API takes them
_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_TAG = re.compile(r"<[^<>]{0,1000}>")
_SPACE = re.compile(r"\s+")
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")
_NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d{1,2})?|\d{1,9}(?:\.\d{1,2})?")
HOURS_A_YEAR = {"hour": 2_080, "day": 260, "week": 52, "month": 12, "year": 1}


class BadItemError(ValueError):
    """This one job of the feed can not be taken; the message says which field and why."""


@dataclass(frozen=True)
class Item:
    """A job of the feed at a line (XML, from 1) or record (JSON) number: the job, or why it was refused."""

    place: int
    job: Job | None
    why: str | None = None
    notes: tuple[str, ...] = ()  # codes of `quality` that reading it has shown


def job_id_of(account: str, reference: str) -> str:
    """`account.reference`, or with a digest where the reference can not be part of an id: the same for ever."""
    if not reference:
        raise BadItemError("there is no reference number; without one the job could not be found again")
    plain = f"{account}.{reference}"
    return plain if _ID.fullmatch(plain) else f"{account[:90]}.{hashlib.sha256(reference.encode()).hexdigest()[:32]}"


def required_line(fields: Mapping[str, str], name: str) -> str:
    found = one_line(fields.get(name, ""), name)
    if not found:
        raise BadItemError(f"{name} is missing")
    return found


def one_line(text: str, name: str) -> str:
    """White space collapsed; BadItemError when it is too long or holds what no text holds."""
    found = _SPACE.sub(" ", text).strip()
    if len(found) > LINE:
        raise BadItemError(f"{name} is longer than {LINE} characters")
    return clean(found, name)


def clean(text: str, name: str) -> str:
    if _NO_TEXT.search(text):
        raise BadItemError(f"{name} contains characters that no text contains (NUL or half a surrogate pair)")
    return text


def prose(text: str, name: str) -> str:
    """Text without markup; a description that is too long is cut, which no reader would notice."""
    plain = html.unescape(_TAG.sub(" ", text[: 4 * PROSE]))
    return clean(_SPACE.sub(" ", plain).strip()[:PROSE], name)


def moment(text: str) -> datetime | None:
    """A date, an RFC 3339 or an RFC 2822 time in UTC; without an offset UTC is meant. None: unreadable."""
    given = text.strip()[:64]
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            found = read(given)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return None


def yearly(text: str) -> float | None:
    """Of "40,000 - 50,000 a year" the middle, a year; None where amount or unit can not be read for certain."""
    short = text[:200].lower()
    units = [unit for unit in HOURS_A_YEAR if unit in short] or ["year"] * ("annum" in short or "annual" in short)
    amounts = [float(found.replace(",", "")) for found in _NUMBER.findall(short)]
    if len(units) != 1 or not 1 <= len(amounts) <= 2:
        return None
    return wage(sum(amounts) / len(amounts) * HOURS_A_YEAR[units[0]])


def wage(amount: float) -> float | None:
    return round(amount, 2) if math.isfinite(amount) and 0 < amount <= 1e9 else None
