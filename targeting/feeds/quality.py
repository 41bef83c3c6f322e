"""What a feed is like, beside being readable: jobs that have expired, say no salary, or are one job in many places.

Memory is sixteen bytes a job, whatever the feed holds: ids and contents are kept as 64 bits of their digest.
"""

from __future__ import annotations

import hashlib
from array import array
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np

from market.records import Job
from targeting.feeds.items import Item

MANY_PLACES = 10  # one text in so many jobs is one job in many places
EXAMPLES = 20  # refusals that a report names


@dataclass
class Survey:
    """Sees every item of a feed once. refusals: the first few, (place, why)."""

    now: datetime
    accepted: int = 0
    refused: int = 0
    refusals: list[tuple[int, str]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    _ids: array[int] = field(default_factory=lambda: array("Q"), repr=False)
    _texts: array[int] = field(default_factory=lambda: array("Q"), repr=False)

    def see(self, item: Item) -> None:
        if item.job is None:
            self.refuse(item.place, item.why or "not readable")
            return
        self.accepted += 1
        self._ids.append(digest64(item.job.job_id))
        self._texts.append(digest64("\n".join((item.job.title, item.job.company, item.job.description))))
        for code in (*item.notes, *_codes(item.job, self.now)):
            self.counts[code] = self.counts.get(code, 0) + 1

    def refuse(self, place: int, why: str) -> None:
        self.refused += 1
        if len(self.refusals) < EXAMPLES:
            self.refusals.append((place, why))

    def ids(self) -> np.ndarray:
        """uint64[n] sorted digests of the distinct job ids."""
        return np.unique(np.frombuffer(self._ids, np.uint64)) if self._ids else np.zeros(0, np.uint64)

    def findings(self) -> dict[str, int]:
        """Jobs by code: expired, no_salary, no_description, unreadable_date, unreadable_salary, several_locations,
        same_job_in_many_places (jobs whose text occurs MANY_PLACES times or more), repeated_id (all but the last)."""
        found = dict(self.counts)
        if self._texts:
            often = np.unique(np.frombuffer(self._texts, np.uint64), return_counts=True)[1]
            found["same_job_in_many_places"] = int(often[often >= MANY_PLACES].sum())
        found["repeated_id"] = self.accepted - len(self.ids())
        return {code: many for code, many in sorted(found.items()) if many}


def digest64(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def _codes(job: Job, now: datetime) -> list[str]:
    found = {
        "expired": job.expires_at is not None and job.expires_at <= now,
        "no_salary": job.wage is None,
        "no_description": not job.description.strip(),
    }
    return [code for code, holds in found.items() if holds]
