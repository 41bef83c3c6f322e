"""Why a job is recommended, in sentences a seeker can check against the posting."""

from __future__ import annotations

import re
import unicodedata

from market.records import Job
from organic.towers import Request

FEW_WORDS_SAY_NOTHING = frozenset(
    ("a", "an", "and", "as", "at", "by", "for", "in", "of", "on", "or", "the", "to", "with")
)
SKILLS_NAMED = 3


def reasons_for(job: Job, request: Request, typical: bool = False) -> tuple[str, ...]:
    """Sentences, the strongest first; typical says that a request without content was answered with what is usual."""
    found = [*_wanted(job, request, typical), *_place(job, request), *_skills(job, request)]
    return tuple(found)


def _wanted(job: Job, request: Request, typical: bool) -> list[str]:
    if request.says_nothing:
        shown = "a typical job of this marketplace" if typical else "one of the newest jobs"
        return [f"Not personalised yet: {shown}; tell us your titles or skills"]
    found = []
    title = words(job.title)
    if request.query and words(request.query) & title:
        found.append(f"Its title matches your search “{request.query.strip()}”")
    found += next(
        (
            [f"The same title as yours: {mine}" if words(mine) == title else f"Its title is close to yours: {mine}"]
            for mine in sorted(request.seeker.titles, key=lambda mine: words(mine) != title)
            if words(mine) & title
        ),
        [],
    )
    if not found and request.liked:
        found.append("Similar to jobs you applied to or saved")
    if not found:
        found.append("Close in meaning to " + ("your search" if request.query else "your profile"))
    return found


def _place(job: Job, request: Request) -> list[str]:
    if request.seeker.geo is not None and job.geo == request.seeker.geo:
        return ["In your area, remote work possible" if job.remote else "In your area"]
    return ["Remote"] if job.remote else []


def _skills(job: Job, request: Request) -> list[str]:
    mine = {_same(skill) for skill in request.seeker.skills}
    shared = [skill for skill in dict.fromkeys(job.skills) if _same(skill) in mine]
    return [f"Asks for skills you have: {', '.join(shared[:SKILLS_NAMED])}"] if shared else []


def words(text: str) -> frozenset[str]:
    """The words that carry meaning, without case; plurals are not joined."""
    return frozenset(re.findall(r"\w+", _same(text))) - FEW_WORDS_SAY_NOTHING


def _same(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
