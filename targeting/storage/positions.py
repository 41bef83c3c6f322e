"""What a profile says about a career: the positions of the log tables, with dates a profile does not give.

A profile is a list of titles, newest first. Those it had when it was first seen are taken to follow each other every
two years, the newest two years ago, as requests are read (`targeting.profiles`). A title that appears later in front of
all known ones is a position begun when it was seen; one that appears further back is an older position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

YEARS_PER_POSITION = 2.0  # as in `targeting.profiles`, which is too heavy to import here; a test compares them
_STEP = timedelta(days=365.25 * YEARS_PER_POSITION)


@dataclass(frozen=True)
class Title:
    """A title of a profile; place 0 is the newest when it was first seen; occupation None: to be read."""

    title: str
    place: int
    geo: str
    first_seen_at: datetime
    occupation: str | None


def from_profile(seeker_id: str, titles: Sequence[Title], codes: Mapping[str, str]) -> list[dict[str, Any]]:
    """Rows of `positions`, oldest first; codes: occupation of the titles that have none."""
    rows = []
    seen = sorted(titles, key=lambda each: (each.first_seen_at, each.place, each.title))
    for number, (at, together) in enumerate(groupby(seen, key=lambda each: each.first_seen_at)):
        in_front = number > 0
        for place, title in enumerate(together):
            in_front = in_front and title.place == place
            # Seconds keep the order of several titles that came in front at once.
            started_at = at - timedelta(seconds=place) if in_front else at - _STEP * (title.place + 1)
            rows.append(
                {
                    "seeker_id": seeker_id,
                    "employer_id": None,  # profiles name titles only, so none of these confirms a hire
                    "occupation": title.occupation or codes[title.title],
                    "title": title.title,
                    "geo": title.geo,
                    "started_at": started_at,
                    "ended_at": None,
                    "recorded_at": at,
                }
            )
    return sorted(rows, key=lambda row: (row["started_at"], row["title"]))


def from_hire(seeker_id: str, job: Mapping[str, Any], hired_at: datetime, received_at: datetime) -> dict[str, Any]:
    """A reported hire: a position at the employer of the job (a row of `jobs`), begun when it happened."""
    same = {name: job[name] for name in ("employer_id", "occupation", "title", "geo")}
    return {"seeker_id": seeker_id, **same, "started_at": hired_at, "ended_at": None, "recorded_at": received_at}
