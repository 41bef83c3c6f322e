"""How a job becomes a row of the index: a number, vectors, and terms that any string survives.

job=ID  geo=AREA  remote=yes|no  company=NAME  occupation=CODE  seniority=LEVEL  skill=NAME  status=open|expired
posted=YYYY-Www  language=xx  duplicate=yes|no  skills=few (under three)  unknown=geo|posted
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

import numpy as np

from market.errors import IndexInputError, NotFoundError
from market.records import Filters, Job
from organic.quality.duplicates import Duplicates
from organic.quality.language import guess_language

# names people write in many ways; ids and codes are compared as they are
NAMES = frozenset({"company", "skill", "seniority", "remote", "status"})
LONGEST_VALUE = 200
FEW_SKILLS = 3  # below it a list of skills says little about a job
# Rows count down from here: the index breaks ties by the smaller number, so the newer of two equal jobs comes first.
FIRST_ROW = 1 << 40


def term(field: str, value: str) -> str:
    """`field=value` in the form the index stores; equal for spellings that mean the same.

    Names lose case, compatibility forms and extra spaces. Control characters and half surrogates are percent-escaped,
    and what is longer than 200 characters ends in a digest. Applying it twice changes nothing.
    """
    return _short_term(field, value) if len(value) <= LONGEST_VALUE else _term(field, value)


def _term(field: str, value: str) -> str:
    if field in NAMES:
        value = " ".join(unicodedata.normalize("NFKC", value).casefold().split())
    value = "".join(letter if _plain(letter) else _escaped(letter) for letter in value)
    if len(value) > LONGEST_VALUE:
        value = f"{value[:100]}~{hashlib.sha256(value.encode()).hexdigest()[:32]}"
    return f"{field}={value}"


_short_term = lru_cache(maxsize=1 << 14)(_term)  # rules ask for the same few terms with every request


def canonical(given: str) -> str:
    """A term as somebody wrote it, in the form of the index; IndexInputError when it is not `field=value`."""
    field, equals, value = given.partition("=")
    if not (field.strip() and equals and value.strip()):
        raise IndexInputError(f"term {given[:100]!r}: expected field=value, such as geo=31080 or skill=welding")
    return term(field.strip(), value)


def canonical_filters(filters: Filters) -> Filters:
    return Filters(
        tuple(tuple(canonical(given) for given in group) for group in filters.all_of),
        tuple(canonical(given) for given in filters.none_of),
    )


def week_of(at: datetime) -> str:
    """The ISO week of an instant in UTC, such as 2026-W07."""
    year, week, _ = at.astimezone(UTC).isocalendar()
    return f"{year}-W{week:02}"


def job_terms(job: Job, now: datetime | None = None, *, duplicate: bool = False) -> list[str]:
    """The terms of a job's row, without repeats. `now` decides status; without it only the caller's deletes do.

    duplicate: a newer posting of the same job is known (`JobBook.is_duplicate`).
    """
    skills = list(dict.fromkeys(term("skill", skill) for skill in job.skills if skill.strip()))
    expired = now is not None and job.expires_at is not None and job.expires_at <= now
    pairs = [
        ("job", job.job_id),
        ("geo", job.geo),
        ("remote", "yes" if job.remote else "no"),
        ("company", job.company),
        ("occupation", job.occupation or ""),
        ("seniority", job.seniority or ""),
        ("status", "expired" if expired else "open"),
        ("posted", "" if job.posted_at is None else week_of(job.posted_at)),
        ("language", guess_language(f"{job.title}\n{job.description}") or ""),
        ("duplicate", "yes" if duplicate else "no"),
        ("skills", "few" if len(skills) < FEW_SKILLS else ""),
        ("unknown", "" if job.geo.strip() else "geo"),
        ("unknown", "" if job.posted_at is not None else "posted"),
    ]
    return list(dict.fromkeys([*(term(field, value) for field, value in pairs if value.strip()), *skills]))


@dataclass(frozen=True)
class _Entry:
    job: Job
    company: str  # "" when the job does not name its employer


class JobBook:
    """Which job is which row. A job keeps its number for as long as it is known; newer jobs have smaller numbers.

    One thread may write while others read.
    """

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        self._row_of: dict[str, int] = {}
        self._entries: dict[int, _Entry] = {}
        self._duplicates = Duplicates()
        self._overtaken: set[int] = set()
        self._next = FIRST_ROW
        self.add(jobs)

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, jobs: Iterable[Job]) -> np.ndarray:
        """int64[n]: the rows of the jobs, new or replaced."""
        rows = []
        for job in jobs:
            row = self._row_of.get(job.job_id)
            if row is None:
                row, self._next = self._next, self._next - 1
            self._entries[row] = _Entry(job, term("company", job.company) if job.company.strip() else "")
            self._row_of[job.job_id] = row
            self._overtaken |= self._duplicates.put(row, job)
            rows.append(row)
        self._overtaken -= set(rows)
        return np.array(rows, np.int64)

    def remove(self, job_id: str) -> int | None:
        """The row that is now free to be deleted from the index; None when there was none."""
        row = self._row_of.pop(job_id, None)
        if row is not None:
            del self._entries[row]
            self._overtaken |= self._duplicates.drop(row)
            self._overtaken.discard(row)
        return row

    def is_duplicate(self, job_id: str) -> bool:
        """Whether a newer, near-identical posting is known; False for a job that is not."""
        row = self._row_of.get(job_id)
        return row is not None and self._duplicates.is_duplicate(row)

    def take_overtaken(self) -> list[Job]:
        """Jobs whose duplicate term has changed through others since the last call: their rows want writing again."""
        jobs = [self._entries[row].job for row in sorted(self._overtaken)]
        self._overtaken.clear()
        return jobs

    def terms(self, job: Job, now: datetime | None = None) -> list[str]:
        """`job_terms` of a job that is in the book, or about to be."""
        return job_terms(job, now, duplicate=self.is_duplicate(job.job_id))

    def row(self, job_id: str) -> int | None:
        return self._row_of.get(job_id)

    def rows(self, job_ids: Sequence[str]) -> np.ndarray:
        """int64[n]; NotFoundError names the first id that is not known."""
        try:
            return np.array([self._row_of[job_id] for job_id in job_ids], np.int64)
        except KeyError as error:
            raise NotFoundError(f"job {error.args[0]!r} is not known here; add it first") from None

    def job(self, row: int) -> Job | None:
        """The job of a row; None when it was removed meanwhile."""
        entry = self._entries.get(row)
        return None if entry is None else entry.job

    def company(self, row: int) -> str | None:
        """The employer of a row in normal form, "" when it has no name; None when the job was removed meanwhile."""
        entry = self._entries.get(row)
        return None if entry is None else entry.company


def _plain(letter: str) -> bool:
    return not unicodedata.category(letter).startswith("C") or unicodedata.category(letter) == "Cf"


def _escaped(letter: str) -> str:
    return "".join(f"%{byte:02x}" for byte in letter.encode("utf-8", "surrogatepass"))
